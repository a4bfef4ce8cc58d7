"""Face steps and several frames at once: what they leave out, and that nothing else changes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numba
import numpy as np
import pytest
import torch
from made_dataset import write_made_dataset
from torch import Tensor

from gstalker.bench.train import in_stage_2
from gstalker.runtime import landmarks as lm
from gstalker.runtime.train.config import PRESETS, InitConfig, TrainConfig
from gstalker.runtime.train.pace import OneFrameACore, PaceConfig, Window, face_windows, looks_at_face
from gstalker.runtime.train.trainer import Trainer
from gstalker.runtime.train.trust import TrustConfig

FACES = PaceConfig(faces_per_whole=3, frames_at_once=True)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_made_dataset(tmp_path_factory.mktemp("made") / "dataset")


@pytest.fixture
def trainer(dataset: Path, tmp_path: Path) -> Trainer:
    return made_trainer(dataset, tmp_path)


def made_trainer(dataset: Path, folder: Path, pace: PaceConfig = FACES, batch: int = 2) -> Trainer:
    config = small(PRESETS["preview"], pace, batch)
    torch.manual_seed(0)
    trainer = in_stage_2(config, dataset, folder)
    with torch.no_grad():  # a field that moves something, so that every gradient is there
        trainer.model.deformation.out.weight.normal_(0, 0.05)
    return trainer


def small(config: TrainConfig, pace: PaceConfig, batch: int) -> TrainConfig:
    return dataclasses.replace(
        config,
        init=InitConfig(head_count=400, torso_count=150),
        stage1_steps=10,
        stage2_steps=90,
        batch_frames=batch,
        pace=pace,
        trust=TrustConfig(enabled=False),
    )


def test_a_window_of_the_picture_is_drawn_as_the_same_part_of_the_whole_with_the_same_gradients(trainer: Trainer):
    frame = 3
    window = Window(8, 16, 40, 32)
    posed, _ = trainer.posed_at(frame)
    leaves = type(posed)(*(values.detach().requires_grad_() for values in posed))
    plate = trainer.pictures.picture(0, frame, trainer.device).plate
    whole, alpha = trainer._draw(leaves, plate, None)
    part, part_alpha = trainer._draw(leaves, window.of(plate).contiguous(), None, window)
    # The camera's Jacobian is held 15 % of the width beyond each border: only splats out there differ.
    torch.testing.assert_close(part, window.of(whole), atol=2e-4, rtol=0)
    torch.testing.assert_close(part_alpha, window.of(alpha), atol=2e-4, rtol=0)
    weights = torch.randn(part.shape)
    got = torch.autograd.grad((part * weights).sum(), leaves)
    want = torch.autograd.grad((window.of(whole) * weights).sum(), leaves)
    for g, w in zip(got, want, strict=True):
        assert float((g - w).norm() / w.norm()) < 0.01


def test_face_windows_hold_all_that_the_field_moves_and_lie_on_the_grid(trainer: Trainer):
    size = trainer.size_px
    for frame in range(0, len(trainer.face_windows), 7):
        window = trainer.face_windows[frame]
        posed, motion = trainer.posed_at(frame)
        assert motion.head is not None
        means = posed.means[: len(motion.head)].detach().numpy()
        focal = float(trainer.K[0, 0])
        pixels = means[:, :2] / means[:, 2:] * focal + size / 2
        inside = (pixels >= [window.left, window.top]) & (
            pixels <= [window.left + window.width, window.top + window.height]
        )
        assert inside.all(axis=1).mean() > 0.98
        assert {window.top % 2, window.left % 2, window.height % 2, window.width % 2} == {0}
        assert window.top + window.height <= size
        assert window.left + window.width <= size


def test_a_frame_without_a_face_is_looked_at_whole():
    points = np.full((2, 478, 2), 50.0, np.float32)
    points[0, list(lm.FACE_OVAL)] = np.random.default_rng(0).uniform(30, 70, (len(lm.FACE_OVAL), 2))
    points[1] = np.nan
    face, whole = face_windows(points, 128)
    assert face.share_of(128) < 0.5
    assert whole == Window(0, 0, 128, 128)


def test_one_step_in_so_many_is_whole_and_none_is_a_face_step_the_plain_way():
    assert [looks_at_face(n, FACES) for n in range(6)] == [False, True, True, True, False, True]
    assert not any(looks_at_face(n, PaceConfig(faces_per_whole=0)) for n in range(6))


def gradients(trainer: Trainer, chosen: list[int]) -> dict[str, Tensor]:
    trainer.model.zero_grad()  # the torso's rigid motion was regressed before
    trainer._backward_at_once(chosen)
    return {n: p.grad.clone() for n, p in trainer.model.named_parameters() if p.grad is not None}


def test_two_frames_at_once_give_the_mean_of_the_gradients_that_each_gives_the_plain_way(trainer: Trainer):
    together = gradients(trainer, [5, 11])
    trainer.model.zero_grad()
    for frame in (5, 11):
        loss, _ = trainer.frame_loss(frame)  # nothing shared: autograd through the whole field
        (loss.total / 2).backward()
    plain = {n: p.grad for n, p in trainer.model.named_parameters() if p.grad is not None}
    assert together.keys() == plain.keys()
    for name, want in plain.items():
        # Sums of the same float32 terms in another order.
        assert float((together[name] - want).norm()) <= 2e-5 * float(want.norm()) + 1e-12, name


def test_how_many_cores_there_are_changes_no_bit(dataset: Path, tmp_path: Path):
    runs = []
    for at_once in (True, False):
        trainer = made_trainer(dataset, tmp_path, dataclasses.replace(FACES, frames_at_once=at_once))
        before = numba.get_num_threads(), torch.get_num_threads()
        numba.set_num_threads(1)
        torch.set_num_threads(1)
        try:
            for _ in range(6):
                trainer.train_step()
        finally:
            numba.set_num_threads(before[0])
            torch.set_num_threads(before[1])
        runs.append(trainer.model.state_dict())
    assert not [name for name in runs[0] if not torch.equal(runs[0][name], runs[1][name])]


def test_what_a_frame_raises_reaches_the_caller():
    def fails(frame: int) -> int:
        if frame == 1:
            raise ValueError("frame 1 is damaged")
        return frame

    with pytest.raises(ValueError, match="frame 1 is damaged"):
        OneFrameACore(2).map(fails, [0, 1])
