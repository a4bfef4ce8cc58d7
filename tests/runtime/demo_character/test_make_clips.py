"""The videos on disk: complete, in step with their sound, with truth that the dataset reader accepts."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from gstalker.runtime.audio import load_wav
from gstalker.runtime.dataset import read_lossless_video
from gstalker.runtime.demo_character import make_clips as module
from gstalker.runtime.demo_character.controls import FaceControls, MouthControls
from gstalker.runtime.demo_character.make_clips import DemoCharacterConfig, make_clips
from gstalker.runtime.demo_character.motion import MotionConfig
from gstalker.runtime.demo_character.speech import Phoneme, Speech
from gstalker.runtime.errors import InputError
from gstalker.runtime.landmarks import LIP_OPENING
from gstalker.runtime.prepare.sidecar import matte_path, read_sidecar, tracks_path

TINY = DemoCharacterConfig(size_px=64, clips=1, supersample=1, processes=1)


def two_vowels(sentences: tuple[str, ...], _: object = None) -> list[Speech]:
    """Stands in for espeak-ng: half a second of 'ama' with a tone on the vowels."""
    rate_hz = 22_050
    t = np.arange(rate_hz // 2) / rate_hz
    loud = (t < 0.2) | (t > 0.28)
    samples = (0.4 * np.sin(2 * np.pi * 180 * t) * loud).astype(np.float32)
    said = (Phoneme("ˈɑː", 0.0, 0.2), Phoneme("m", 0.2, 0.28), Phoneme("ɑː", 0.28, 0.5))
    return [Speech(text, samples, rate_hz, said) for text in sentences]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "speak", two_vowels)
        return make_clips(TINY, tmp_path_factory.mktemp("clips"))[0]


def test_video_matte_plate_and_tracks_have_the_same_frames(clip: Path):
    frames = int(np.ceil((module.LEAD_S + 0.5 + module.TAIL_S) * 25))
    with av.open(str(clip)) as container:
        pictures = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
        assert container.streams.video[0].average_rate == 25
        assert container.streams.video[0].codec_context.name == "h264"
    assert len(pictures) == frames
    sidecar = read_sidecar(clip)
    assert sidecar.tracks.landmarks_px.shape == (frames, 478, 2)
    assert sidecar.focal_px == pytest.approx(2.2 * 64)
    matte = read_lossless_video(matte_path(clip), "gray", frames)
    plate = np.asarray(Image.open(clip.with_suffix(".plate.png")))
    backdrop = matte[frames // 2] == 0
    off = np.abs(pictures[frames // 2][backdrop].astype(int) - plate[backdrop])
    assert off.mean() < 3.0, "where nobody is the video shows the plate, but for its compression"


def test_sound_is_in_step_with_the_phonemes(clip: Path):
    """The tone starts LEAD_S into the video: nothing that AAC adds may shift it. 5 ms is an eighth of a frame."""
    samples = load_wav(clip)
    start_s = np.flatnonzero(np.abs(samples) > 0.1)[0] / 16_000
    assert abs(start_s - module.LEAD_S) < 0.005
    assert len(samples) >= 640 * len(read_sidecar(clip).tracks.pose_confidence)


def test_the_tracked_lips_open_with_the_vowels_and_close_on_m(clip: Path):
    tracks = read_sidecar(clip).tracks
    upper, lower = (tracks.landmarks_px[:, i] for i in LIP_OPENING)
    gap = np.linalg.norm(upper - lower, axis=1)
    time_s = np.arange(len(gap)) / 25 - module.LEAD_S
    assert gap[(time_s > 0.08) & (time_s < 0.12)].max() > 1.0
    assert gap[(time_s > 0.21) & (time_s < 0.27)].min() < 0.05
    assert gap[time_s > 0.34].max() > 1.0


def test_tracked_poses_project_the_resting_face_where_the_face_is_at_rest(clip: Path):
    """The forehead's landmark 10 moves with no control: pose times resting face must give its track."""
    sidecar = read_sidecar(clip)
    pose = sidecar.tracks.camera_from_head.astype(np.float64)
    point = np.einsum("tij,j->ti", pose[:, :3, :3], sidecar.landmarks_head_m[10]) + pose[:, :3, 3]
    px = point[:, :2] / point[:, 2:] * sidecar.focal_px + sidecar.size_px / 2
    # Files hold float32: 1e-7 of 0.9 m at 160 px/m is 2e-5 px a rounding; brows may pull the forehead a little.
    assert np.abs(px - sidecar.tracks.landmarks_px[:, 10]).max() < 0.15


def test_two_processes_make_what_one_makes(tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "speak", two_vowels)
    seen: list[tuple[int, int]] = []
    config = dataclasses.replace(TINY, clips=2, processes=2)
    videos = make_clips(config, tmp_path, lambda done, total: seen.append((done, total)))
    assert [v.name for v in videos] == ["character_00.mp4", "character_01.mp4"]
    assert seen[-1][0] == seen[-1][1] == len(seen)

    assert tracks_path(videos[0]).read_bytes() == tracks_path(clip).read_bytes()
    frames = seen[-1][1] // 2
    matte, expected = (read_lossless_video(matte_path(v), "gray", frames) for v in (videos[0], clip))
    assert np.array_equal(matte, expected)  # Matroska files themselves carry a random number
    first, second = (read_sidecar(v).tracks.camera_from_head for v in videos)
    assert np.abs(first - second).max() > 0.005, "each clip has a seed of its own"


def test_a_broken_drawing_process_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def mute(sentences: tuple[str, ...], _: object = None) -> list[Speech]:
        return [dataclasses.replace(s, phonemes=()) for s in two_vowels(sentences)]

    monkeypatch.setattr(module, "speak", mute)
    config = dataclasses.replace(TINY, clips=2, processes=2)
    with pytest.raises(RuntimeError, match="a drawing process failed: IndexError"):
        make_clips(config, tmp_path)
    assert not list(tmp_path.glob("character_0?.mp4")), "no half-written video under its final name"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size_px": 32}, "size: expected an even number from 64 to 2048 px, got 32"),
        ({"size_px": 129}, "size: expected an even number"),
        ({"clips": 0}, "clips: expected 1 or more, got 0"),
        ({"processes": 0}, "processes: expected 1 or more"),
        ({"supersample": 0}, "supersample: expected 1 or more"),
        ({"motion": MotionConfig(max_yaw_deg=80.0)}, "max yaw: expected 0 to 60 degrees, got 80"),
        ({"sentences": ("",)}, "sentences: expected at least one"),
    ],
)
def test_bad_options_are_refused(change: dict, message: str, tmp_path: Path):
    with pytest.raises(InputError, match=message):
        make_clips(dataclasses.replace(TINY, **change), tmp_path / "never")
    assert not (tmp_path / "never").exists()


def test_the_resting_face_of_the_sidecar_is_the_characters(clip: Path):
    from gstalker.runtime.demo_character.character import build_character

    resting = build_character().landmarks_head_m(MouthControls(), FaceControls())
    assert np.allclose(read_sidecar(clip).landmarks_head_m, resting, atol=1e-6, equal_nan=True)
