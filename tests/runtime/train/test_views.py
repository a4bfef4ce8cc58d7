"""Starting from several poses: which frames are chosen, and that each adds only what was not known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from made_dataset import MadeSpeaker, write_made_dataset

from gstalker.kernels.camera import Camera, intrinsics, project_points
from gstalker.runtime.dataset import Dataset
from gstalker.runtime.model.audio_encoder import AudioEncoderConfig
from gstalker.runtime.model.canonical import KIND_HEAD_STATIC, KIND_TORSO
from gstalker.runtime.poses import avatar_space
from gstalker.runtime.train import frames, more_views, setup
from gstalker.runtime.train.config import TrainConfig
from gstalker.runtime.train.initialise import InitConfig, canonical_from_views, lift_head, lift_torso
from gstalker.runtime.train.lift import ReferenceView
from gstalker.runtime.train.sampler import POSE_BIN_RAD, FrameSampler, pose_bins


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return Dataset(write_made_dataset(tmp_path_factory.mktemp("made") / "dataset", MadeSpeaker(test_clips=0)))


@pytest.fixture(scope="module")
def tracks(dataset: Dataset) -> frames.FrameTracks:
    names = [c.name for c in dataset.clips("train")]
    return frames.frame_tracks(dataset, names, avatar_space(dataset), AudioEncoderConfig())


def still(dataset: Dataset) -> ReferenceView:
    clip = dataset.load("clip0")
    torso_pose = frames.torso_camera_poses(dataset.manifest, clip.tracks.torso_motion)
    return ReferenceView(
        clip.rgb[0], clip.matte[0], clip.tracks.landmarks_px[0], clip.tracks.camera_from_head[0], torso_pose[0]
    )


def start(dataset: Dataset, view: ReferenceView) -> list:
    rng, m = np.random.default_rng(0), dataset.manifest
    head = lift_head(view, dataset.landmarks_head_m, m.focal_px, 1500, rng)
    return [*head, lift_torso(view, dataset.landmarks_head_m, m.focal_px, 700, rng)]


def test_frames_of_other_poses_are_chosen_farthest_first_and_none_that_looks_the_same_or_is_doubted():
    pose = np.zeros((60, 6))
    pose[:, 1] = np.linspace(-0.5, 0.5, 60)
    pose[40:, 1] = 0.01  # hardly turned
    pose[5, 0] = 0.3
    trusted = np.ones(60, bool)
    trusted[20] = False
    chosen = more_views.diverse_frames(pose, trusted, first=30, count=3)
    assert set(chosen) & {0, 1, 2, 3, 4}, "the farthest turn is among them"
    turns = pose[[30, *chosen], :2]
    between = np.linalg.norm(turns[:, None] - turns[None], axis=-1)[np.triu_indices(len(turns), 1)]
    assert between.min() >= more_views.LEAST_TURN_RAD
    assert 20 not in chosen
    assert more_views.diverse_frames(pose[40:], trusted[40:], first=0, count=3) == []


def test_a_view_that_shows_nothing_new_adds_next_to_nothing_and_a_wider_person_is_added_where_he_is_wider(
    dataset: Dataset,
):
    view, m = still(dataset), dataset.manifest
    known = start(dataset, view)

    def lifted(other: ReferenceView) -> list:
        rng = np.random.default_rng(1)
        return more_views.lift_uncovered(known, [other], dataset.landmarks_head_m, m.focal_px, (1500, 700), rng)

    nothing_new = sum(len(c.means) for c in lifted(view))
    assert nothing_new < 0.03 * 2200
    top = int(np.nanmin(view.landmarks_px[:, 1]))
    matte, rgb = view.matte.copy(), view.rgb.copy()
    x0 = max(0, int(np.nanmax(view.landmarks_px[:, 0])) + 4)
    bun = (slice(top + 2, top + 10), slice(x0, x0 + 8))
    matte[bun], rgb[bun] = 255, (10, 200, 10)
    other = ReferenceView(rgb, matte, view.landmarks_px, view.camera_from_head, view.camera_from_torso)
    static = [c for c in lifted(other) if c.kind == KIND_HEAD_STATIC]
    green = np.concatenate([c.colors for c in static])[:, 1] > 0.7
    assert green.sum() > 10
    K = intrinsics(m.focal_px, m.size_px, m.size_px)
    camera = Camera(view.camera_from_head.astype(np.float64), K, m.size_px, m.size_px)
    pixels = project_points(np.concatenate([c.means for c in static])[green], camera)
    assert ((pixels >= [bun[1].start, bun[0].start]) & (pixels <= [bun[1].stop, bun[0].stop])).all()


def test_the_count_of_the_start_does_not_grow_with_the_views(dataset: Dataset, tracks: frames.FrameTracks):
    names = [c.name for c in dataset.clips("train")]
    pictures = frames.PictureStore(dataset, names)
    pictures.wait()
    view, m = still(dataset), dataset.manifest
    further = setup.further_views(dataset, names, tracks, pictures, 4)
    assert further
    counts = []
    for config, views in ((InitConfig(1500, 700, views=1), []), (InitConfig(1500, 700, views=5), further)):
        splats, _ = canonical_from_views(view, view, dataset.landmarks_head_m, m.focal_px, config, 0, views)
        counts.append(len(splats))
        assert int((splats.kinds == KIND_TORSO).sum()) >= 700
    assert counts[1] <= counts[0] * 1.01


def test_the_shell_lies_behind_the_outline_and_is_hidden_from_where_it_came(dataset: Dataset):
    view, m = still(dataset), dataset.manifest
    shell = more_views.lift_shell(view, dataset.landmarks_head_m, m.focal_px, 200, np.random.default_rng(0))
    assert len(shell.means) > 20
    front = np.concatenate([c.means for c in start(dataset, view)[:2]])
    assert np.median(shell.means[:, 2]) > np.median(front[:, 2]) + 0.02
    K = intrinsics(m.focal_px, m.size_px, m.size_px)
    camera = Camera(view.camera_from_head.astype(np.float64), K, m.size_px, m.size_px)
    columns, rows = project_points(shell.means, camera).astype(int).T
    assert (view.matte[rows, columns] == 255).all()


def test_a_share_of_the_frames_is_even_over_poses(tracks: frames.FrameTracks):
    pose = np.zeros_like(tracks.head_pose)
    turned = np.arange(len(pose)) < 4
    pose[turned, 1] = 3 * POSE_BIN_RAD
    bins = pose_bins(pose, np.ones(len(pose), bool))
    assert sorted(len(b) for b in bins) == [4, len(pose) - 4]
    rare = dataclasses.replace(tracks, head_pose=pose)
    drawn = {}
    for share in (0.0, 0.4):
        sampler = FrameSampler(rare, TrainConfig(pose_share=share))
        drawn[share] = np.mean([turned[sampler.next()] for _ in range(3000)])
    assert drawn[0.0] < 0.15
    # Half of the balanced share: 0.2; three standard deviations of 3000 draws are 0.02.
    assert drawn[0.4] > 0.2 - 0.02


def test_a_pose_that_one_frame_alone_holds_is_no_pose_of_its_own():
    pose = np.zeros((20, 6))
    pose[7, 1] = 1.0
    assert [len(b) for b in pose_bins(pose, np.ones(20, bool))] == [19]
    assert [b.tolist() for b in pose_bins(pose[:2], np.ones(2, bool))] == [[0, 1]]
