"""The parts of training: where Gaussians start, where they are added, what the losses weigh, what audio learns."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from made_dataset import MadeSpeaker, made_clip, write_made_dataset

from gstalker.kernels.camera import Camera, intrinsics, project_points
from gstalker.runtime import audio, regions
from gstalker.runtime.dataset import Dataset
from gstalker.runtime.errors import InputError
from gstalker.runtime.model.audio_encoder import AudioEncoder, AudioEncoderConfig
from gstalker.runtime.model.canonical import KIND_HEAD_MOVER, KIND_TORSO, SH_BAND_0
from gstalker.runtime.model.deformation import DeformationConfig
from gstalker.runtime.model.driving_samples import load_driving_samples
from gstalker.runtime.model.settings import config_from_json
from gstalker.runtime.poses import avatar_space
from gstalker.runtime.train import density, frames, initialise, losses, pretrain_audio
from gstalker.runtime.train.config import PRESETS, DensityConfig, LossConfig


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    speaker = MadeSpeaker(train_clips=6, test_clips=0)
    return Dataset(write_made_dataset(tmp_path_factory.mktemp("made") / "dataset", speaker))


@pytest.fixture(scope="module")
def tracks(dataset: Dataset) -> frames.FrameTracks:
    names = [c.name for c in dataset.clips("train")]
    return frames.frame_tracks(dataset, names, avatar_space(dataset), AudioEncoderConfig())


def reference_view(dataset: Dataset) -> initialise.ReferenceView:
    clip = dataset.load("clip0")
    torso_pose = frames.torso_camera_poses(dataset.manifest, clip.tracks.torso_motion)
    return initialise.ReferenceView(
        clip.rgb[0], clip.matte[0], clip.tracks.landmarks_px[0], clip.tracks.camera_from_head[0], torso_pose[0]
    )


def test_lifted_gaussians_project_back_onto_pixels_of_their_own_colour(dataset: Dataset):
    view, m = reference_view(dataset), dataset.manifest
    config = initialise.InitConfig(head_count=500, torso_count=200)
    splats, bounds = initialise.canonical_from_views(view, view, dataset.landmarks_head_m, m.focal_px, config, 0)
    K = intrinsics(m.focal_px, m.size_px, m.size_px)
    for kind, pose in ((KIND_HEAD_MOVER, view.camera_from_head), (KIND_TORSO, view.camera_from_torso)):
        rows = splats.kinds == kind
        means = splats.means.detach()[rows].numpy().astype(np.float64)
        pixels = project_points(means, Camera(pose.astype(np.float64), K, m.size_px, m.size_px))
        colors = 0.5 + SH_BAND_0 * splats.sh_coeffs.detach()[rows, 0].numpy()
        inside = ((pixels >= 0) & (pixels < m.size_px)).all(axis=1)
        column, row = pixels[inside].astype(int).T
        same = np.abs(view.rgb[row, column] / 255.0 - colors[inside]).max(axis=1) < 0.01
        # Behind what is seen come, last of their kind, the mouth's inside and the neck's copies behind the chin.
        seen = same[: config.torso_count] if kind == KIND_TORSO else same[: -round(500 * 0.06)]
        assert seen.mean() > 0.99, f"kind {kind}: {seen.mean():.3f} of the splats lie on their own colour"
    movers = splats.means.detach()[splats.head_movers]
    assert bool(((movers > bounds[0]) & (movers < bounds[1])).all())


def test_the_start_is_denser_at_the_eyes_and_lips(dataset: Dataset):
    view = reference_view(dataset)
    everywhere = np.ones(view.matte.shape, bool)
    points = initialise.sample_pixels(view, everywhere, 800, np.random.default_rng(0)).centres_px
    x0, y0, x1, y1 = regions.mouth_box(view.landmarks_px, 64)
    in_mouth = ((points >= [x0, y0]) & (points < [x1, y1])).all(axis=1)
    density_there = in_mouth.sum() / ((x1 - x0) * (y1 - y0))
    density_elsewhere = (~in_mouth).sum() / (64 * 64 - (x1 - x0) * (y1 - y0))
    assert density_there > 2 * density_elsewhere


def splats_for_growth(dataset: Dataset):
    view, m = reference_view(dataset), dataset.manifest
    config = initialise.InitConfig(head_count=300, torso_count=100)
    return initialise.canonical_from_views(view, view, dataset.landmarks_head_m, m.focal_px, config, 0)[0]


def test_growth_prefers_what_moves_at_equal_gradient(dataset: Dataset):
    splats = splats_for_growth(dataset)
    stats = density.DensityStats.zeros(len(splats))
    stats.screen_gradients += 1.0
    stats.frames = 1
    moving = torch.arange(5, 15)
    stats.motion[moving] = 0.01
    config = DensityConfig(growth=10 / len(splats) + 1e-6)
    plan = density.plan_growth(stats, splats, config)
    assert plan.split.tolist() == moving.tolist()


def test_faint_gaussians_are_replaced_and_a_split_keeps_the_splats_middle(dataset: Dataset):
    splats = splats_for_growth(dataset)
    with torch.no_grad():
        splats.opacity_logits[7] = -9.0
    stats = density.DensityStats.zeros(len(splats))
    stats.screen_gradients[20] = 5.0
    stats.frames = 1
    plan = density.plan_growth(stats, splats, DensityConfig(growth=0.0))
    assert 7 not in plan.keep.tolist()
    assert plan.split.tolist() == [20]
    before = splats.means.detach()[20]
    values, kinds, origin = density.grow(splats, plan, torch.Generator().manual_seed(0))
    assert len(kinds) == len(splats)
    halves = [int((origin == 20).nonzero()), int((origin == -1).nonzero())]
    torch.testing.assert_close(values["means"][halves].mean(dim=0), before)
    shrink = splats.log_scales.detach()[20] - values["log_scales"][halves[0]]
    torch.testing.assert_close(shrink, torch.full((3,), float(np.log(density.SPLIT_SHRINK))))


def test_the_weights_of_a_frame_favour_mouth_and_eyes_and_follow_its_confidence():
    mouth, eyes = np.array([20, 40, 40, 52]), np.array([[10, 16, 24, 26], [38, 16, 52, 26]])
    config = LossConfig()
    weights = losses.pixel_weights(64, mouth, eyes, 0.5, config)
    assert float(weights.mean()) == pytest.approx(0.5, rel=1e-5)
    assert float(weights[45, 30] / weights[60, 60]) == pytest.approx(config.mouth, rel=1e-5)
    assert float(weights[20, 15] / weights[60, 60]) == pytest.approx(config.eyes, rel=1e-5)


def test_a_clips_mel_frames_come_back_from_its_windows(dataset: Dataset, tracks: frames.FrameTracks):
    config = AudioEncoderConfig()
    mel = audio.log_mel(dataset.samples("clip1"))
    joined = pretrain_audio.clip_mel(tracks, 1).numpy()
    left = config.left_mel_frames
    np.testing.assert_array_equal(joined[left : left + len(mel) - 4], mel[:-4])


def test_the_audio_encoder_learns_the_lips_of_unseen_clips(dataset: Dataset, tracks: frames.FrameTracks):
    m = dataset.manifest
    config = pretrain_audio.PretrainConfig(steps=150, clips_per_step=4, validation_share=0.2)
    targets = pretrain_audio.lip_targets(tracks, dataset.landmarks_head_m, m.focal_px, m.size_px, config)
    torch.manual_seed(0)
    report = pretrain_audio.pretrain_audio(
        AudioEncoder(AudioEncoderConfig()), tracks, targets, config, 0, lambda step, loss: None
    )
    # The made mouth follows loudness alone; measured 0.33 of the mean shape's error, 1 is what silence would teach.
    assert report.lip_error_px < 0.6 * report.mean_shape_error_px


def test_the_opening_row_tells_the_opening_in_its_own_spread(dataset: Dataset, tracks: frames.FrameTracks):
    m = dataset.manifest
    config = pretrain_audio.PretrainConfig()
    targets = pretrain_audio.lip_targets(tracks, dataset.landmarks_head_m, m.focal_px, m.size_px, config)
    opening = pretrain_audio.opening_px(targets.values.numpy(), targets)
    told = (targets.values @ pretrain_audio.opening_row(targets)).numpy()
    np.testing.assert_allclose(told, (opening - opening.mean()) / opening.std(ddof=1), atol=1e-3)  # float32 targets


def test_runs_from_before_speech_was_varied_go_on():
    now = dataclasses.asdict(pretrain_audio.PretrainConfig())
    earlier = {name: value for name, value in now.items() if name not in ("tempo", "opening", "voice")}
    read = config_from_json(pretrain_audio.PretrainConfig, earlier, "x")
    assert (read.tempo, read.opening) == (0.0, 0.0)
    assert config_from_json(pretrain_audio.PretrainConfig, now, "x") == pretrain_audio.PretrainConfig()


def test_settings_of_another_version_are_refused_with_both_lists():
    with pytest.raises(InputError, match=r"x: expected the settings \['channels'.*got \['colour'\]"):
        config_from_json(AudioEncoderConfig, {"colour": 1}, "x")


def test_settings_from_before_a_field_was_there_get_what_it_was_then():
    saved = dataclasses.asdict(DeformationConfig(hidden=32))
    del saved["expression"]
    assert config_from_json(DeformationConfig, saved, "x") == DeformationConfig(hidden=32)
    del saved["hidden"]
    with pytest.raises(InputError, match=r"x: expected the settings \['base_resolution'.*'hidden'"):
        config_from_json(DeformationConfig, saved, "x")


def test_fewer_than_two_steps_are_refused():
    with pytest.raises(InputError, match="--steps: expected at least 2, one for each stage, got 1"):
        PRESETS["preview"].with_steps(1)


def test_a_run_without_its_tracked_samples_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="expected the tracked samples of a run"):
        load_driving_samples(tmp_path)


def test_clips_of_a_speaker_differ_but_a_seed_repeats_itself():
    speaker = MadeSpeaker()
    first, same, other = (made_clip(speaker, "a", "train", seed) for seed in (0, 0, 1))
    assert np.array_equal(first.rgb, same.rgb)
    assert not np.array_equal(first.samples, other.samples)
