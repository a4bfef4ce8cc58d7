"""A bundle and speech to an MP4: lengths, sound, colours, the synthetic mark, and nothing half-written."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from helpers.without_extras import EXTRAS, run_without
from made_bundle import made_bundle, write_made_bundle

from gstalker.cli import main as cli
from gstalker.kernels import reference
from gstalker.kernels.frame import assemble
from gstalker.runtime import mp4
from gstalker.runtime.audio import load_wav
from gstalker.runtime.bundle import AvatarBundle
from gstalker.runtime.bundle_manifest import NOT_STATED, Likeness
from gstalker.runtime.dataset import write_wav
from gstalker.runtime.errors import InputError
from gstalker.runtime.infer import AvatarRuntime
from gstalker.runtime.render_video import mark_overlay, render_video, scaled_camera, scaled_plate, synthetic_metadata

pytest.importorskip("onnxruntime", reason="needs the extra cpu or gpu")

FRAME_S = 1 / 25


def chirps(seconds: float, rate_hz: int = 16_000) -> np.ndarray:
    t = np.arange(int(seconds * rate_hz)) / rate_hz
    return (0.3 * np.sin(2 * np.pi * (300 + 200 * np.sin(9 * t)) * t) * (np.sin(20 * t) > 0)).astype(np.float32)


@pytest.fixture(scope="module")
def bundle() -> AvatarBundle:
    return made_bundle()


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("speech") / "a.wav"
    write_wav(path, chirps(1.21))  # 30.25 frames
    return path


@pytest.fixture(scope="module")
def video(bundle: AvatarBundle, speech: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "a.mp4"
    done = []
    result = render_video(bundle, speech, path, size_px=96, progress=lambda i, n: done.append((i, n)))
    assert done == [(i, 31) for i in range(1, 32)]
    assert (result.frame_count, result.size_px, result.seconds) == (31, 96, 31 / 25)
    return path


def pictures(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def psnr_db(picture: np.ndarray, expected: np.ndarray) -> float:
    return float(-10 * np.log10(((picture - expected) ** 2).mean()))


def duration_s(stream) -> float:
    return float(stream.duration * stream.time_base)


def test_the_video_covers_the_sound_to_the_next_frame(video: Path):
    with av.open(str(video)) as container:
        picture, sound = container.streams.video[0], container.streams.audio[0]
        assert (picture.codec_context.name, sound.codec_context.name) == ("h264", "aac")
        assert picture.average_rate == Fraction(25)
        assert (picture.width, picture.height, picture.frames) == (96, 96, 31)
        assert picture.start_time == 0
        assert duration_s(sound) == pytest.approx(1.21, abs=0.001)
        assert 0 <= duration_s(picture) - duration_s(sound) < FRAME_S


def test_the_sound_is_intact_and_starts_where_it_did(video: Path, speech: Path):
    sent, got = load_wav(speech), load_wav(video)
    got = got[: len(sent)]
    lags = np.fft.irfft(np.fft.rfft(got, 1 << 16) * np.conj(np.fft.rfft(sent, 1 << 16)))
    assert lags.argmax() == 0
    assert np.corrcoef(sent, got)[0, 1] > 0.99  # AAC at 96 kbit/s; measured 0.9997


def test_each_frame_is_the_reference_picture_of_its_time(video: Path, bundle: AvatarBundle, speech: Path):
    """Tolerance: H.264 with colour at half resolution leaves these noisy pictures at 36.2 dB or more (measured),
    so 34 dB; the picture of 15 frames later is at 32.6 to 35.0, swapped channels at 15.
    """
    runtime = AvatarRuntime(bundle)
    codes = runtime.audio_codes(load_wav(speech))
    shown = pictures(video)
    for index in (0, 17, 30):
        controls = runtime.idle_controls(index)
        frame = runtime.frame(
            codes[index], controls.expression, controls.avatar_from_head, index, 0.0, controls.avatar_from_torso
        )
        cloud = assemble(bundle.canonical, bundle.part_ids, frame)
        expected = reference.render(cloud, scaled_camera(bundle, 96), scaled_plate(bundle, 96)).rgb
        right, late = (psnr_db(shown[i] / 255, np.clip(expected, 0, 1)) for i in (index, (index + 15) % 31))
        assert right > 34
        assert right > late + 1


def test_pictures_keep_their_order_colour_and_times(tmp_path: Path):
    colours = np.array([[200, 40, 40], [40, 200, 40], [40, 40, 200], [250, 250, 250], [5, 5, 5]], np.uint8)
    with mp4.Mp4Writer(tmp_path / "a.mp4", width_px=64, height_px=32, fps=25, metadata={}) as writer:
        for colour in colours:
            writer.add_picture(np.broadcast_to(colour, (32, 64, 3)))
    with av.open(str(tmp_path / "a.mp4")) as container:
        frames = list(container.decode(video=0))
    assert [frame.time for frame in frames] == [i / 25 for i in range(5)]
    for frame, colour in zip(frames, colours, strict=True):
        # 4 of 255: the rounding of limited-range YUV is 1 to 2; another colour matrix would be off by 10 or more
        np.testing.assert_allclose(frame.to_ndarray(format="rgb24").mean(axis=(0, 1)), colour, atol=4)


def test_every_file_says_that_it_is_synthetic_and_of_whom(video: Path):
    with av.open(str(video)) as container:
        comment = container.metadata["comment"]
    assert comment.startswith("Synthetic: generated by gstalker")
    assert "avatar of nobody: random numbers; consent: not needed; licence: Apache-2.0" in comment


def test_a_subject_that_nobody_stated_is_called_so(bundle: AvatarBundle):
    likeness = Likeness(subject=NOT_STATED, consent=NOT_STATED, licence=NOT_STATED)
    unstated = dataclasses.replace(bundle, manifest=dataclasses.replace(bundle.manifest, likeness=likeness))
    assert "avatar of a person not stated; consent: not stated" in synthetic_metadata(unstated)["comment"]


def test_the_visible_mark_is_drawn_only_when_asked(bundle: AvatarBundle, video: Path, tmp_path: Path):
    write_wav(tmp_path / "a.wav", chirps(0.12))
    render_video(bundle, tmp_path / "a.wav", tmp_path / "b.mp4", size_px=96, mark=True)
    change = np.abs(pictures(tmp_path / "b.mp4")[0].astype(int) - pictures(video)[0]).max(axis=2)
    covered = mark_overlay(96)[..., 3] > 0
    assert covered[: 96 * 3 // 4].sum() == 0, "the label keeps to the lower quarter"
    assert np.median(change[covered]) > 30
    assert np.median(change[~covered]) <= 3


@pytest.mark.parametrize("size_px", [32, 64, 512])
def test_the_mark_is_readable_at_every_size(size_px: int):
    overlay = mark_overlay(size_px)
    assert overlay.shape == (size_px, size_px, 4)
    white = (overlay[..., :3].min(axis=2) > 0.9) & (overlay[..., 3] > 0.9)
    rows = np.flatnonzero(white.any(axis=1))
    assert rows[-1] - rows[0] >= 5, "letters at least 6 px high"


def test_44_khz_stereo_stays_44_khz_stereo(bundle: AvatarBundle, tmp_path: Path):
    left = chirps(0.5, 44_100)
    with av.open(str(tmp_path / "a.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=44_100, layout="stereo")
        pcm = np.round(np.stack([left, np.zeros_like(left)], axis=1) * 32767).astype(np.int16).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="stereo")
        frame.sample_rate = 44_100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    render_video(bundle, tmp_path / "a.wav", tmp_path / "a.mp4", size_px=32)
    with av.open(str(tmp_path / "a.mp4")) as container:
        sound = container.streams.audio[0]
        assert (sound.rate, sound.channels) == (44_100, 2)
        assert abs(duration_s(sound) - duration_s(container.streams.video[0])) < FRAME_S
        planes = np.concatenate([f.to_ndarray() for f in container.decode(audio=0)], axis=1)
    assert np.abs(planes[0]).max() > 0.2
    assert np.abs(planes[1]).max() < 0.01


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size_px": 97}, "size: expected an even number of 32 to 4096 px, got 97"),
        ({"size_px": 0}, "size: expected an even number"),
        ({"out": Path("a.avi")}, r"expected a name that ends in \.mp4, got '\.avi'"),
        ({"audio": Path("absent.wav")}, "expected a sound file, found none"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(
    bundle: AvatarBundle, speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change, message: str
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        render_video(bundle, **{"audio": speech, "out": Path("a.mp4"), **change})
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_replaced_only_when_asked(bundle: AvatarBundle, tmp_path: Path):
    write_wav(tmp_path / "a.wav", chirps(0.08))
    (tmp_path / "a.mp4").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"exists already\. Give another --out"):
        render_video(bundle, tmp_path / "a.wav", tmp_path / "a.mp4", size_px=32)
    assert (tmp_path / "a.mp4").read_bytes() == b"mine"
    render_video(bundle, tmp_path / "a.wav", tmp_path / "a.mp4", size_px=32, overwrite=True)
    assert len(pictures(tmp_path / "a.mp4")) == 2


def test_an_interrupted_render_leaves_nothing(bundle: AvatarBundle, speech: Path, tmp_path: Path):
    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render_video(bundle, speech, tmp_path / "a.mp4", size_px=32, progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_refused(bundle: AvatarBundle, speech: Path, tmp_path: Path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="expected a place to write the video"):
        render_video(bundle, speech, tmp_path / "file" / "a.mp4")


def test_a_disk_that_fills_up_is_said_and_leaves_nothing(
    bundle: AvatarBundle, speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(mp4.os, "replace", full)
    with pytest.raises(InputError, match="expected room for the video, could not write it"):
        render_video(bundle, speech, tmp_path / "a.mp4", size_px=32)
    assert list(tmp_path.iterdir()) == []


def test_the_command_renders_a_zipped_bundle(tmp_path: Path, speech: Path, capsys: pytest.CaptureFixture[str]):
    write_made_bundle(tmp_path / "a.gsavatar", zipped=True)
    words = ["render", str(tmp_path / "a.gsavatar"), "--audio", str(speech), "--out", str(tmp_path / "a.mp4")]
    assert cli.main([*words, "--mark"]) == 0
    assert "(31 frames, 1.2 s, 64 px)" in capsys.readouterr().out
    assert len(pictures(tmp_path / "a.mp4")) == 31


def test_rendering_needs_no_training_packages(tmp_path: Path):
    write_made_bundle(tmp_path / "a.gsavatar")
    write_wav(tmp_path / "a.wav", chirps(0.08))
    words = [
        "render",
        str(tmp_path / "a.gsavatar"),
        "--audio",
        str(tmp_path / "a.wav"),
        "--out",
        str(tmp_path / "a.mp4"),
    ]
    script = f"from gstalker.cli.main import main; sys.exit(main({words!r}))"
    done = run_without(tuple(p for p in EXTRAS if p != "onnxruntime"), script)
    assert done.returncode == 0, done.stderr
    assert len(pictures(tmp_path / "a.mp4")) == 2


@pytest.mark.parametrize("count", [0, 100])
def test_the_command_refuses_an_empty_wav_with_exit_code_2(tmp_path: Path, count: int, capsys):
    write_made_bundle(tmp_path / "a.gsavatar")
    write_wav(tmp_path / "a.wav", np.zeros(max(count, 640)))
    if count == 0:
        data = (tmp_path / "a.wav").read_bytes()
        (tmp_path / "a.wav").write_bytes(data[: data.index(b"data") + 4] + bytes(4))
    else:
        write_wav(tmp_path / "a.wav", np.zeros(count))
    words = ["render", str(tmp_path / "a.gsavatar"), "--audio", str(tmp_path / "a.wav"), "--out", "x.mp4"]
    assert cli.main(words) == 2
    assert "a.wav: expected" in "".join(capsys.readouterr().err.split("\n"))
