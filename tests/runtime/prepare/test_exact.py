from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from helpers.portrait_video import face_points, turn_header, write_video
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import save_file

from gstalker.runtime.dataset import FPS, Dataset, Tracks
from gstalker.runtime.errors import InputError
from gstalker.runtime.landmarks import GROUPS
from gstalker.runtime.prepare.exact import count_torso_from
from gstalker.runtime.prepare.face import BLENDSHAPE_NAMES
from gstalker.runtime.prepare.pipeline import PrepareConfig, prepare
from gstalker.runtime.prepare.sidecar import (
    METADATA_KEY,
    Sidecar,
    matte_path,
    plate_path,
    read_sidecar,
    tracks_path,
    write_sidecar,
)

SIZE_PX = 64
KNOWN = sorted({i for group in GROUPS.values() for i in group})  # what a made character's mesh has at least


def sidecar(frames: int, **changes: object) -> Sidecar:
    """Truth of a face that drifts to the right by a tenth of a pixel a frame."""
    drift = 0.1 * np.arange(frames)
    face = np.full((478, 2), np.nan)
    face[KNOWN] = face_points((32.0, 26.0), (14.0, 18.0))[KNOWN, :2]
    landmarks = np.repeat(face[None], frames, axis=0)
    landmarks[..., 0] += drift[:, None]
    poses = np.tile(np.eye(4), (frames, 1, 1))
    poses[:, 2, 3] = 0.8
    poses[:, 0, 3] = drift * 0.8 / 140.0
    torso = np.stack([0.2 * drift + 3.0, np.full(frames, -1.0), 0.01 * drift + 0.1], axis=-1)
    fields: dict = {
        "tracks": Tracks(
            camera_from_head=poses,
            pose_confidence=np.ones(frames),
            landmarks_px=landmarks,
            blendshapes=np.full((frames, 52), 0.1),
            torso_motion=torso,
            torso_stretch=np.zeros((frames, 3)),
        ),
        "landmarks_head_m": face_points((0.0, 0.0), (0.07, 0.09)),
        "size_px": SIZE_PX,
        "focal_px": 140.0,
        "torso_pivot_px": (32.0, 55.0),
        "torso_depth_m": 0.9,
        "blendshape_names": BLENDSHAPE_NAMES,
    }
    return Sidecar(**{**fields, **changes})


def pictures(frames: int, backdrop: tuple[int, int, int] = (30, 110, 210)) -> tuple[list[np.ndarray], np.ndarray]:
    """Pictures and matte of a block that is the person."""
    picture = np.full((SIZE_PX, SIZE_PX, 3), backdrop, np.uint8)
    matte = np.zeros((SIZE_PX, SIZE_PX), np.uint8)
    matte[8:, 16:48] = 255
    picture[matte > 0] = (200, 160, 120)
    return [picture] * frames, matte[None].repeat(frames, axis=0)


def made(tmp_path: Path, name: str, frames: int = 50, matte: bool = True, **changes: object) -> Path:
    shown, mattes = pictures(frames)
    video = write_video(tmp_path / f"{name}.mp4", shown)
    write_sidecar(video, sidecar(frames, **changes), mattes if matte else None)
    return video


def config(tmp_path: Path, *videos: Path, **changes: object) -> PrepareConfig:
    fields = {"size_px": SIZE_PX, "tracker": "sidecar", "jobs": 1, **changes}
    return PrepareConfig(videos=videos, out=tmp_path / "data", **fields)  # type: ignore[arg-type]


def test_the_truth_reads_back_as_written(tmp_path: Path):
    video = made(tmp_path, "a")
    got, truth = read_sidecar(video), sidecar(50)
    for field in dataclasses.fields(Tracks):
        written = np.asarray(getattr(truth.tracks, field.name), np.float32)
        np.testing.assert_array_equal(getattr(got.tracks, field.name), written)
    assert (got.size_px, got.focal_px, got.torso_pivot_px, got.torso_depth_m) == (64, 140.0, (32.0, 55.0), 0.9)
    assert got.blendshape_names == BLENDSHAPE_NAMES


def test_exact_tracks_become_a_dataset_untouched(tmp_path: Path):
    videos = [made(tmp_path, "a"), made(tmp_path, "b", 30)]
    dataset = Dataset(prepare(config(tmp_path, *videos)))
    manifest = dataset.manifest
    assert (manifest.tracker, manifest.backdrop) == ("exact", "matte")
    assert (manifest.focal_px, manifest.torso_depth_m) == (140.0, 0.9)
    np.testing.assert_array_equal(dataset.landmarks_head_m, sidecar(1).landmarks_head_m)
    clip, truth = dataset.load("a"), sidecar(50)
    np.testing.assert_allclose(clip.tracks.camera_from_head, truth.tracks.camera_from_head, atol=1e-6)
    np.testing.assert_allclose(clip.tracks.landmarks_px, truth.tracks.landmarks_px, atol=1e-5)
    np.testing.assert_array_equal(clip.matte, pictures(50)[1])
    assert clip.rgb.shape == (50, SIZE_PX, SIZE_PX, 3)
    # H.264 at crf 8 of a still picture with one edge; a shifted or scaled one is tens away.
    assert np.abs(clip.rgb[7].astype(int) - pictures(1)[0][0]).mean() < 3
    # The plate shows the backdrop where it is seen, and carries it on behind the person.
    assert np.abs(clip.plate.astype(int) - (30, 110, 210)).max(axis=-1)[:, :8].max() < 6
    assert np.abs(clip.plate.astype(int) - (30, 110, 210)).mean() < 12


def test_a_plate_beside_the_matte_is_taken_as_it_is(tmp_path: Path):
    video = made(tmp_path, "a")
    plate = np.random.default_rng(seed=2).integers(0, 256, (SIZE_PX, SIZE_PX, 3), np.uint8)
    Image.fromarray(plate).save(plate_path(video))
    dataset = Dataset(prepare(config(tmp_path, video)))
    np.testing.assert_array_equal(dataset.load("a_000").plate, plate)

    Image.fromarray(plate[:32]).save(plate_path(video))
    with pytest.raises(InputError, match="expected a backdrop of 64 x 64 pixels, got 64 x 32"):
        prepare(config(tmp_path, video, overwrite=True))
    plate_path(video).write_bytes(b"junk")
    with pytest.raises(InputError, match="expected a picture of the backdrop, could not read it"):
        prepare(config(tmp_path, video, overwrite=True))


def test_torso_motion_counts_from_the_reference_frame_and_draws_the_same():
    rng = np.random.default_rng(seed=6)
    motion = np.concatenate([rng.uniform(-9, 9, (5, 2)), rng.uniform(-0.2, 0.2, (5, 1))], axis=1)
    pivot, points = (120.0, 240.0), rng.uniform(0, 256, (4, 2))

    def applied(step: np.ndarray, about: tuple[float, float], to: np.ndarray) -> np.ndarray:
        cos, sin = np.cos(step[2]), np.sin(step[2])
        turned = (to - about) @ np.array([[cos, -sin], [sin, cos]]).T
        return turned + about + step[:2]

    recounted, moved_pivot = count_torso_from(motion, motion[2], pivot)
    np.testing.assert_array_equal(recounted[2], 0)
    at_reference = applied(motion[2], pivot, points)
    for old, new in zip(motion, recounted, strict=True):
        np.testing.assert_allclose(applied(new, moved_pivot, at_reference), applied(old, pivot, points), atol=1e-9)


def test_the_manifest_s_reference_frame_has_no_torso_motion(tmp_path: Path):
    dataset = Dataset(prepare(config(tmp_path, made(tmp_path, "a"), made(tmp_path, "b", 30))))
    manifest = dataset.manifest
    motion = dataset.tracks(manifest.reference_clip).torso_motion[manifest.reference_frame]
    np.testing.assert_array_equal(motion, 0)
    shift = 0.02 * manifest.reference_frame + 3.0
    assert manifest.torso_pivot_px == pytest.approx((32.0 + shift, 54.0), abs=1e-4)


def test_one_exact_video_is_cut_in_two(tmp_path: Path):
    dataset = Dataset(prepare(config(tmp_path, made(tmp_path, "a", 60))))
    train, test = dataset.manifest.clips
    assert (train.frame_count, test.frame_count) == (35, FPS)
    whole = sidecar(60).tracks.landmarks_px
    np.testing.assert_allclose(dataset.tracks(test.name).landmarks_px, whole[35:], atol=1e-5, equal_nan=True)
    assert dataset.load(test.name).matte.shape == (FPS, SIZE_PX, SIZE_PX)


def test_without_a_matte_the_plain_backdrop_is_keyed(tmp_path: Path):
    dataset = Dataset(prepare(config(tmp_path, made(tmp_path, "a", matte=False))))
    assert dataset.manifest.backdrop == "chroma"
    clip = dataset.load("a_000")
    assert clip.matte[0, 40, 32] == 255
    assert clip.matte[0, 5, 5] == 0


def test_without_a_matte_a_grey_backdrop_is_refused(tmp_path: Path):
    video = write_video(tmp_path / "a.mp4", pictures(50, backdrop=(120, 120, 120))[0])
    write_sidecar(video, sidecar(50))
    with pytest.raises(InputError, match=r"no a\.matte\.mkv beside it, so expected a plain coloured backdrop"):
        prepare(config(tmp_path, video))


def test_a_video_without_tracks_is_refused(tmp_path: Path):
    video = write_video(tmp_path / "a.mp4", pictures(50)[0])
    with pytest.raises(InputError, match=r"expected a\.tracks\.safetensors beside it, found none"):
        prepare(config(tmp_path, video))


def test_tracks_of_another_length_size_or_character_are_refused(tmp_path: Path):
    video = write_video(tmp_path / "a.mp4", pictures(50)[0])
    write_sidecar(video, sidecar(49))
    with pytest.raises(InputError, match="expected tracks of 50 frames as the video has, got 49"):
        prepare(config(tmp_path, video))
    with pytest.raises(InputError, match=r"expected 128 x 128 pixels .* got 64 x 64 and 64 x 64. Use --size-px 64"):
        prepare(config(tmp_path, video, size_px=128))
    with pytest.raises(InputError, match=r"--focal-px: expected 140.0 as the exact tracks have it, got 150.0"):
        prepare(config(tmp_path, made(tmp_path, "c"), focal_px=150.0))
    other = made(tmp_path, "b", torso_depth_m=1.5)
    with pytest.raises(InputError, match=r"expected the camera, rest face and torso of c\.tracks"):
        prepare(config(tmp_path, tmp_path / "c.mp4", other))
    assert not (tmp_path / "data").exists()


def test_a_turned_or_too_short_exact_video_is_refused(tmp_path: Path):
    video = made(tmp_path, "a")
    turn_header(video, 180)
    with pytest.raises(InputError, match="expected an upright video at 25 frames a second beside exact tracks"):
        prepare(config(tmp_path, video))
    with pytest.raises(InputError, match=r"expected at least 1 s of video, got 0.80 s"):
        prepare(config(tmp_path, made(tmp_path, "b", 20)))


def test_a_matte_of_another_length_is_refused(tmp_path: Path):
    video = made(tmp_path, "a")
    _, mattes = pictures(40)
    other = tmp_path / "b.mp4"
    write_sidecar(other, sidecar(40), mattes)
    matte_path(video).write_bytes(matte_path(other).read_bytes())
    with pytest.raises(InputError, match="expected 50 frames, got 40"):
        prepare(config(tmp_path, video))


def test_tracks_from_another_version_or_damaged_are_refused(tmp_path: Path):
    video = made(tmp_path, "a")
    with safe_open(tracks_path(video), framework="numpy") as file:
        metadata = dict(file.metadata())
        arrays = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
    save_file(
        arrays, tracks_path(video), {METADATA_KEY: metadata[METADATA_KEY].replace('"version": 1', '"version": 9')}
    )
    with pytest.raises(InputError, match="expected tracks of version 1, got 9"):
        read_sidecar(video)
    save_file({k: v for k, v in arrays.items() if k != "blendshapes"}, tracks_path(video), metadata)
    with pytest.raises(InputError, match="expected the tracks of a video, got something else"):
        read_sidecar(video)
    save_file(arrays, tracks_path(video))
    with pytest.raises(InputError, match="expected the tracks of a video, could not read them"):
        read_sidecar(video)
    tracks_path(video).write_bytes(b"\x10junk")
    with pytest.raises(InputError, match="expected the tracks of a video, could not read them"):
        read_sidecar(video)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"blendshape_names": BLENDSHAPE_NAMES[:-1]}, r"blendshapes: expected \(50, 51\), got \(50, 52\)"),
        ({"landmarks_head_m": np.zeros((468, 3))}, r"landmarks_head_m: expected \(478, 3\)"),
        ({"landmarks_head_m": np.full((478, 3), np.nan)}, "landmarks_head_m: the group 'lips' must be finite"),
    ],
)
def test_a_truth_that_does_not_fit_itself_is_not_written(tmp_path: Path, changes: dict, message: str):
    with pytest.raises(ValueError, match=message):
        write_sidecar(tmp_path / "a.mp4", sidecar(50, **changes))
    assert list(tmp_path.iterdir()) == []


def test_unknown_landmarks_in_a_group_or_a_wrong_matte_are_not_written(tmp_path: Path):
    truth = sidecar(50)
    truth.tracks.landmarks_px[3, 13] = np.nan
    with pytest.raises(ValueError, match="landmarks_px: the group 'lips' must be finite in every frame"):
        write_sidecar(tmp_path / "a.mp4", truth)
    poses = sidecar(50)
    poses.tracks.camera_from_head[0] = np.inf
    with pytest.raises(ValueError, match="camera_from_head: expected finite values"):
        write_sidecar(tmp_path / "a.mp4", poses)
    with pytest.raises(ValueError, match=r"matte: expected \(50, 64, 64\) uint8, got \(50, 64, 64\) float64"):
        write_sidecar(tmp_path / "a.mp4", sidecar(50), np.zeros((50, 64, 64)))
