"""What a training clip has of its own: offsets that move a part rigidly, codes that shift colours, mean zero."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.random_run import random_model, write_random_run
from safetensors.torch import load_file, save_file
from scipy.spatial.transform import Rotation
from torch import Tensor

from gstalker.kernels.camera import rigid_rotation_quat_wxyz
from gstalker.runtime.errors import InputError
from gstalker.runtime.model import trained_run
from gstalker.runtime.model.avatar import AvatarModel
from gstalker.runtime.model.canonical import SH_BAND_0
from gstalker.runtime.model.sittings import (
    WITHOUT_SITTINGS,
    Sitting,
    SittingConfig,
    Sittings,
    moved_pose,
    sittings_of,
)
from gstalker.runtime.train.checkpoint import read_train_config


def poses() -> tuple[Tensor, Tensor]:
    head, torso = torch.eye(4), torch.eye(4)
    head[:3, :3] = torch.from_numpy(Rotation.from_rotvec([0.1, -0.2, 0.05]).as_matrix()).float()
    head[:3, 3], torso[:3, 3] = torch.tensor([0.01, 0.0, 1.0]), torch.tensor([0.0, 0.1, 1.1])
    return head, torso


def model_with_codes(code_size: int, clips: int = 3) -> AvatarModel:
    plain = random_model()
    canonical = plain.canonical.with_looks(code_size)
    model = AvatarModel(plain.config, plain.setup, canonical, clips)
    torch.nn.init.normal_(model.canonical.looks, generator=torch.Generator().manual_seed(1))
    return model


def test_an_offset_turns_a_part_about_its_own_origin():
    head, _ = poses()
    offset = torch.tensor([0.01, -0.03, 0.02, 0.001, -0.002, 0.004])
    moved, quat_wxyz = moved_pose(head, offset)
    expected = Rotation.from_rotvec(offset[:3].numpy()).as_matrix() @ head[:3, :3].numpy()
    # The angle is 2 atan(a / 2): short by a^3 / 12, 4e-6 at this size; the rest is float32.
    np.testing.assert_allclose(moved[:3, :3].numpy(), expected, atol=6e-6)
    np.testing.assert_allclose(moved[:3, 3], head[:3, 3] + offset[3:], atol=1e-7)
    turn = rigid_rotation_quat_wxyz(moved[:3, :3].numpy() @ head[:3, :3].numpy().T)
    np.testing.assert_allclose(np.abs(np.dot(turn, quat_wxyz.numpy())), 1, atol=1e-6)


def test_a_sitting_draws_what_its_moved_poses_draw():
    """Positions and orientations alike: the offset is a rigid motion of the whole part and of nothing else."""
    model = random_model()
    head, torso = poses()
    sitting = model.sittings.natural(torch.tensor([1.0, -2, 3, 1, 2, -1]), torch.tensor([2.0, -1, 3]), None)
    assert sitting.head is not None
    assert sitting.torso is not None
    with torch.no_grad():
        got = model.posed(head, torso, sitting=sitting)
        moved = (moved_pose(head, sitting.head)[0], moved_pose(torso, sitting.torso)[0])
        expected, still = model.posed(*moved), model.posed(head, torso)
    np.testing.assert_allclose(got.means, expected.means, atol=1e-6)
    aligned = (got.quats_wxyz * expected.quats_wxyz).sum(dim=1).abs()
    np.testing.assert_allclose(aligned, 1, atol=1e-5)
    assert float((got.means - still.means).norm(dim=1).min()) > 1e-4


def test_a_torso_moves_in_the_picture_plane_alone():
    model = random_model()
    with torch.no_grad():
        moved = model.posed(*poses(), sitting=model.sittings.natural(None, torch.tensor([1.0, 1, 1]), None))
        still = model.posed(*poses())
    change = moved.means - still.means
    rows = model.canonical.torso
    assert bool((change[rows, :2].norm(dim=1) > 1e-4).all())
    assert not change[: rows.start].any()
    np.testing.assert_allclose(change[rows, 2], 0, atol=1e-7)


def test_gradients_reach_every_number_of_a_sitting():
    model = model_with_codes(2)
    config = SittingConfig(pose_refinement=True, code_size=2)
    torch.nn.init.normal_(model.sittings.codes)
    posed = model.posed(*poses(), sitting=model.sittings.of(1, config))
    weights = torch.randn(len(posed.means), generator=torch.Generator().manual_seed(2))[:, None]
    total = (posed.means * weights).sum() + (posed.quats_wxyz * weights).sum() + (posed.colors * weights).sum()
    total.backward()
    for name in ("head", "torso", "codes"):
        gradient = getattr(model.sittings, name).grad
        assert bool((gradient[1] != 0).all()), name
        assert not gradient[[0, 2]].any(), f"{name}: another clip's numbers were touched"


def test_a_code_shifts_colours_in_proportion_and_no_code_is_the_mean():
    canonical = model_with_codes(2).canonical
    with torch.no_grad():
        still, shifted = canonical.colors(), canonical.colors(torch.tensor([0.0, 0.3]))
        np.testing.assert_allclose(shifted - still, 0.3 * SH_BAND_0 * canonical.looks[:, 1], atol=1e-6)
        assert torch.equal(canonical.colors(torch.zeros(2)), still)


def test_offsets_and_codes_have_mean_zero_over_the_clips():
    sittings = Sittings(5, 3, head_px_m=1e-3, torso_px_m=1e-3)
    sittings.scatter_codes(torch.Generator().manual_seed(0))
    assert float(sittings.codes.detach().std()) > 0.3
    torch.nn.init.uniform_(sittings.head, 1, 2)
    spread = sittings.head.detach().std(dim=0)
    sittings.hold_mean()
    for numbers in sittings.parameters():
        np.testing.assert_allclose(numbers.detach().mean(dim=0), 0, atol=1e-6)
    np.testing.assert_allclose(sittings.head.detach().std(dim=0), spread, rtol=1e-5)


def test_what_is_turned_off_is_neither_drawn_nor_charged():
    sittings = Sittings(2, 0, head_px_m=1e-3, torso_px_m=1e-3)
    torch.nn.init.ones_(sittings.head)
    off, on = SittingConfig(pose_refinement=False), SittingConfig(pose_refinement=True, pose_prior=0.5)
    assert sittings.of(0, off) == Sitting(None, None, None)
    assert sittings.prior(0, off) is None
    charged = sittings.prior(0, on)
    assert charged is not None
    assert float(charged.detach()) == pytest.approx(0.5 * 6)


def test_a_run_from_before_sittings_loads_and_draws_as_it_did(tmp_path: Path):
    model = write_random_run(tmp_path / "run")
    checkpoint = trained_run.newest_checkpoint(tmp_path / "run")
    assert checkpoint is not None
    kept = {n: t for n, t in load_file(checkpoint).items() if "sittings." not in n and "canonical.looks" not in n}
    save_file(kept, checkpoint, {"step": "10"})
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    del config["train"]["sittings"]
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))

    trained = trained_run.load_run(tmp_path / "run")
    with torch.no_grad():
        for got, expected in zip(trained.model.posed(*poses()), model.posed(*poses()), strict=True):
            assert torch.equal(got, expected)
    assert sittings_of(trained.settings, "run") == WITHOUT_SITTINGS
    with pytest.raises(InputError, match=r"'sittings'.*train again"):
        read_train_config(tmp_path / "run")


def test_sittings_of_another_version_are_refused():
    with pytest.raises(InputError, match=r"run: sittings: expected the settings \['code_prior'.*got \['hats'\]"):
        sittings_of({"sittings": {"hats": 3}}, "run")
