"""The exported torso sits where the idle clip's does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gstalker.runtime.bundle import AvatarBundle
from gstalker.runtime.infer import AvatarRuntime

torch = pytest.importorskip("torch", reason="needs the extra train")

from helpers.random_run import driving_samples, random_model, write_random_run  # noqa: E402
from made_bundle import LIKENESS  # noqa: E402

from gstalker.export.bake import bake_run  # noqa: E402
from gstalker.export.write import export_avatar  # noqa: E402
from gstalker.runtime.model.clip_renderer import torso_poses  # noqa: E402
from gstalker.runtime.model.idle_seat import rigid_of_poses, take_idle_seat  # noqa: E402
from gstalker.runtime.poses import AvatarSpace, head_pose_vector  # noqa: E402


def test_a_torso_pose_gives_back_its_motion():
    space = AvatarSpace(np.eye(4), np.array([0.01, 0.2, 0.05]))
    motion = np.random.default_rng(0).normal(size=(6, 3)) * [0.02, 0.02, 0.1]
    np.testing.assert_allclose(rigid_of_poses(torso_poses(motion, space), space), motion, atol=1e-12)


def test_torsos_tracked_and_told_by_the_head_agree_over_the_idle_clip(tmp_path: Path):
    """Where a client takes the head over from the idle clip, the torso must not jump."""
    write_random_run(tmp_path / "run")
    export_avatar(bake_run(tmp_path / "run", "a"), LIKENESS, tmp_path / "a.gsavatar")
    bundle = AvatarBundle.open(tmp_path / "a.gsavatar")
    runtime = AvatarRuntime(bundle)
    idle = bundle.idle
    told = np.array([runtime.torso_from_head(head.astype(np.float64)) for head in idle.avatar_from_head])
    space = AvatarSpace(np.eye(4), np.array(bundle.manifest.torso_origin_avatar_m))
    apart = rigid_of_poses(told, space) - rigid_of_poses(idle.avatar_from_torso, space)
    before = random_model()
    poses = torch.from_numpy(head_pose_vector(idle.avatar_from_head)).float()
    unseated = before.torso.rigid_motion(poses).detach().numpy() - rigid_of_poses(idle.avatar_from_torso, space)
    assert np.abs(unseated.mean(axis=0)).max() > 1e-3  # else there is nothing to agree on
    np.testing.assert_allclose(apart.mean(axis=0), 0, atol=1e-6)  # float32 metres and radians


def test_the_shift_is_what_the_idle_clip_says():
    model = random_model()
    samples = driving_samples(model)
    space = AvatarSpace(np.eye(4), np.array([0.0, 0.12, 0.02]))
    shift = take_idle_seat(model, samples, space)
    np.testing.assert_allclose(take_idle_seat(model, samples, space), 0, atol=1e-7)
    assert np.abs(shift).max() > 1e-3
    assert samples.idle_torso_stretch.any()
    np.testing.assert_allclose(model.torso.own_stretch.numpy(), samples.idle_torso_stretch.mean(axis=0), atol=1e-8)
