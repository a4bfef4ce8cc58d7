"""What a GPU run relies on, as far as it can be tried without one."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.random_run import random_model
from helpers.stand_in_gsplat import put_in_place
from made_dataset import MadeSpeaker, write_made_dataset
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from gstalker.kernels import differentiable, triplane
from gstalker.kernels.camera import rotation_from_quat_wxyz
from gstalker.kernels.ssim import ssim_torch
from gstalker.runtime.dataset import Dataset
from gstalker.runtime.errors import InputError
from gstalker.runtime.model import avatar
from gstalker.runtime.model.sittings import quat_product_matrix
from gstalker.runtime.poses import avatar_space
from gstalker.runtime.train import device, frames, losses, optimizer, trainer
from gstalker.runtime.train.config import PRESETS, TrainConfig
from gstalker.runtime.train.device import DeviceConfig
from gstalker.runtime.train.trust import TrustConfig

SPEAKING = PRESETS["preview"].stage1_steps


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    speaker = MadeSpeaker(size_px=48, seconds=0.4, test_clips=0)
    return Dataset(write_made_dataset(tmp_path_factory.mktemp("made") / "dataset", speaker))


def made_trainer(dataset: Dataset, run: Path, **changes: Any) -> trainer.Trainer:
    """In the speaking stage, with a model of random weights."""
    config = dataclasses.replace(PRESETS["preview"], trust=TrustConfig(enabled=False), **changes)
    names = [c.name for c in dataset.clips("train")]
    tracks = frames.frame_tracks(dataset, names, avatar_space(dataset), config.avatar.audio)
    pictures = frames.PictureStore(dataset, names)
    pictures.wait()
    made = trainer.Trainer(config, dataset, run, random_model(), tracks, pictures)
    made.step = SPEAKING
    return made


def gradients(made: trainer.Trainer) -> dict[str, torch.Tensor]:
    found = {name: p.grad for name, p in made.model.named_parameters() if p.grad is not None}
    for parameter in made.model.parameters():
        parameter.grad = None
    return found


def test_a_batch_pulls_like_the_mean_of_its_frames(dataset: Dataset, tmp_path: Path):
    """The rasterizer's part is exact (test_cuda); autograd adds the rest up in another order, measured 2e-6."""
    made = made_trainer(dataset, tmp_path)
    chosen = [1, 7, 12]
    for frame in chosen:
        (made.batch_loss([frame]).total / len(chosen)).backward()
    alone, screen, motion = gradients(made), made.stats.screen_gradients.clone(), made.stats.motion.clone()
    made.stats = made._no_stats()
    made.batch_loss(chosen).total.backward()
    together = gradients(made)
    assert together.keys() == alone.keys()
    for name, want in alone.items():
        assert torch.linalg.norm(together[name] - want) <= 1e-4 * torch.linalg.norm(want), name
    torch.testing.assert_close(made.stats.screen_gradients, screen, rtol=1e-4, atol=1e-7)
    assert torch.equal(made.stats.motion, motion)
    assert made.stats.frames == len(chosen)


def test_fields_in_bfloat16_pull_nearly_the_same_way(dataset: Dataset, tmp_path: Path):
    """bfloat16 keeps 8 bits. Measured: cosines of 0.999 and more; a wrong cast or lost scale turns a gradient away."""
    found = []
    for precision in ("float32", "bfloat16"):
        made = made_trainer(dataset, tmp_path, on_device=DeviceConfig(precision=precision))
        loss = made.batch_loss([5])
        loss.total.backward()
        found.append((float(loss.total.detach()), gradients(made)))
    (want_loss, want), (got_loss, got) = found
    assert got_loss == pytest.approx(want_loss, rel=0.01)
    assert got_loss != want_loss, "nothing ran in bfloat16"
    assert got.keys() == want.keys()
    for name, expected in want.items():
        assert got[name].dtype == torch.float32, name
        assert bool(torch.isfinite(got[name]).all()), name
        if float(expected.norm()) > 1e-6:
            assert float(torch.cosine_similarity(got[name].flatten(), expected.flatten(), dim=0)) > 0.98, name


class NothingIsRead(TorchDispatchMode):
    """Fails at every operation for which a CPU would have to wait for a GPU: values read, sizes that depend on them."""

    WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "_unique2", "equal")

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name.removeprefix("aten::")
        assert name not in self.WAITS, f"{name}: a step on a GPU would wait here"
        masks = [i for i in args[1] if i is not None] if name in ("index", "index_put_") else []
        assert not any(i.dtype == torch.bool for i in masks), f"{name} with a mask: a step on a GPU would wait here"
        return func(*args, **(kwargs or {}))


def test_a_step_on_a_gpu_reads_nothing_back(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """All of a step's own code, with gsplat's and numba's places taken by what runs on a GPU."""
    stand_in = put_in_place(monkeypatch)
    draw = stand_in.rasterization

    def unwatched(*args: Any, **kwargs: Any) -> Any:
        with _disable_current_modes():
            return draw(*args, **kwargs)

    monkeypatch.setattr(sys.modules["gsplat"], "rasterization", unwatched)
    made = made_trainer(dataset, tmp_path)
    made.batch_loss([2])  # anchors are looked up once for many steps, and that may wait
    monkeypatch.setattr(triplane, "_runs_in_numba", lambda tensor: False)
    monkeypatch.setattr(losses, "fused_ssim", ssim_torch)
    monkeypatch.setattr(optimizer, "_on_cpu", lambda parameters: False)
    monkeypatch.setattr(avatar, "quat_turn_matrix", lambda r: quat_product_matrix(avatar.quat_where_it_lies(r)))
    monkeypatch.setattr(trainer, "rasterize", lambda *a, **k: differentiable.rasterize(*a, **{**k, "backend": "cuda"}))
    ssim_torch(torch.zeros(48, 48, 3), torch.zeros(48, 48, 3))  # uploads its window once
    with NothingIsRead():
        loss = made.batch_loss([3, 9])
        loss.total.backward()
        made.optimizer.step(made.step)
        made.model.canonical.enforce_bounds()
        made.model.sittings.hold_mean()
    assert stand_in.calls[-1]["means"].shape == (2, 120, 3)
    assert made.optimizer.verdicts() == [(SPEAKING, None)]
    with pytest.raises(AssertionError, match="a step on a GPU would wait here"), NothingIsRead():
        float(loss.total.detach())


@pytest.mark.parametrize("as_on_gpu", [False, True], ids=["as on the CPU", "as on a GPU"])
def test_steps_with_bad_gradients_change_nothing_and_are_named_when_asked(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_on_gpu: bool
):
    if as_on_gpu:
        monkeypatch.setattr(optimizer, "_on_cpu", lambda parameters: False)
    made = made_trainer(dataset, tmp_path)
    before = {name: p.detach().clone() for name, p in made.model.named_parameters()}
    for step, poison in enumerate((False, True, True, False)):
        made.batch_loss([4]).total.backward()
        if poison:
            assert made.model.canonical.means.grad is not None
            made.model.canonical.means.grad[3, 1] = torch.nan
        made.optimizer.step(SPEAKING + step)
        same = all(torch.equal(p.detach(), before[name]) for name, p in made.model.named_parameters())
        assert same == poison
        before = {name: p.detach().clone() for name, p in made.model.named_parameters()}
    bad = "canonical.means"
    assert made.optimizer.verdicts() == [(SPEAKING + n, bad if n in (1, 2) else None) for n in range(4)]
    assert made.optimizer.verdicts() == []
    counts = [t for name, t in made.optimizer.state_tensors().items() if name == "canonical.means/step"]
    assert float(counts[0]) == 2.0, "skipped steps must not count as updates"


GIB = 1 << 30


@pytest.mark.parametrize(
    ("pictures", "on_device", "in_memory", "where"),
    [
        (8 * GIB, 78 * GIB, 100 * GIB, "device"),
        (8 * GIB, 12 * GIB, 100 * GIB, "device"),  # four are left for all else
        (8 * GIB, 12 * GIB - 1, 100 * GIB, "pinned"),
        (8 * GIB, 6 * GIB, 16 * GIB, "pinned"),
        (8 * GIB, 6 * GIB, 16 * GIB - 1, "memory"),
    ],
)
def test_pictures_lie_where_free_memory_says(pictures: int, on_device: int, in_memory: int, where: str):
    assert frames.residence(pictures, on_device, in_memory) == where


def test_pictures_come_out_as_they_were_decoded(dataset: Dataset):
    names = [c.name for c in dataset.clips("train")]
    store = frames.PictureStore(dataset, names)
    store.wait()
    cpu = torch.device("cpu")
    assert store.settle(cpu) == "memory"
    clip = dataset.load(names[1])
    got = store.picture(1, 6, cpu)
    for pixels, want in zip(got, (clip.rgb[6], clip.matte[6], clip.plate), strict=True):
        np.testing.assert_array_equal(pixels.numpy(), want.astype(np.float32) / np.float32(255))
    assert torch.equal(store.host_matte(1, 6), got.matte)


def test_rotations_become_quaternions_without_leaving_their_device():
    """Against the eigenvector method in float64; all four forms are met. float32: a few of its roundings."""
    quats = np.random.default_rng(0).normal(size=(200, 4))
    quats[:8] = np.vstack([np.eye(4), np.eye(4) + 1e-3])
    for rotation in torch.tensor(rotation_from_quat_wxyz(quats), dtype=torch.float32):
        want = avatar.quat_turn_matrix(rotation)
        got = quat_product_matrix(avatar.quat_where_it_lies(rotation))
        assert min(float((got - want).abs().max()), float((got + want).abs().max())) <= 1e-6


def test_unknown_precisions_and_back_ends_are_refused():
    with pytest.raises(InputError, match="precision: expected one of float32, bfloat16, got 'float16'"):
        DeviceConfig(precision="float16")
    with pytest.raises(InputError, match="triplane: expected one of portable, tinycudann, got 'torch'"):
        DeviceConfig(triplane="torch")


def test_tinycudann_that_cannot_be_used_is_bad_input(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "tinycudann", None)
    grid = triplane.TriPlane(triplane.TriPlaneConfig())
    assert device.chosen_triplane(grid, DeviceConfig()) is grid
    with pytest.raises(InputError, match="tinycudann: cannot be used here"):
        device.chosen_triplane(grid, DeviceConfig(triplane="tinycudann"))


def test_the_full_preset_is_for_a_gpu_and_runs_its_fields_in_bfloat16():
    full = PRESETS["full"]
    assert (full.device, full.on_device.precision) == ("cuda", "bfloat16")
    assert {p.on_device.precision for p in (PRESETS["preview"], PRESETS["demo"], TrainConfig())} == {"float32"}
