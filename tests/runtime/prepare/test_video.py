from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from helpers.portrait_video import Drawing, draw, turn_header, write_video

from gstalker.runtime.dataset import AUDIO_RATE_HZ, write_wav
from gstalker.runtime.errors import InputError
from gstalker.runtime.prepare.video import fit_sound, open_video, read_frames, read_sound

NUMBERED = 256  # grey levels that number a picture


def numbered(count: int, step: int = 4) -> list[np.ndarray]:
    """Plain pictures whose grey level tells their number."""
    return [np.full((64, 64, 3), (i * step) % NUMBERED, np.uint8) for i in range(count)]


def numbers(path: Path, step: int = 4) -> list[int]:
    """Which of `numbered` a video shows at 25 frames a second."""
    return [round(float(p.mean()) / step) for p in read_frames(open_video(path))]


def test_a_25_fps_video_comes_through_frame_by_frame(tmp_path: Path):
    path = write_video(tmp_path / "a.mp4", numbered(40))
    info = open_video(path)
    assert info.notes == ()
    assert info.expected_frames == 40
    assert numbers(path) == list(range(40))


@pytest.mark.parametrize("rate", [Fraction(30), Fraction(50), Fraction(15), Fraction(30000, 1001)])
def test_another_frame_rate_is_resampled_to_the_nearest_picture_and_said(tmp_path: Path, rate: Fraction):
    path = write_video(tmp_path / "a.mp4", numbered(60), rate=rate)
    (note,) = open_video(path).notes
    assert note == f"resampled from {float(rate):.3f} to 25 frames a second"
    shown = numbers(path)
    assert abs(len(shown) - 60 / float(rate) * 25) <= 1
    # Half a stored frame, and the rounding of the grey level's number.
    for k, number in enumerate(shown):
        assert abs(number - k / 25 * float(rate)) <= 0.5 + 1e-6, f"at {k / 25} s: picture {number}"


@pytest.mark.parametrize("clockwise", [90, 180, 270])
def test_a_phone_video_is_turned_upright_and_it_is_said(tmp_path: Path, clockwise: int):
    upright = draw(Drawing(face_px=(60.0, 50.0)))
    stored = np.ascontiguousarray(np.rot90(upright, clockwise // 90))  # counter-clockwise, as the sensor lay
    path = write_video(tmp_path / "phone.mp4", [stored] * 5)
    turn_header(path, clockwise)
    info = open_video(path)
    assert (info.width_px, info.height_px) == (160, 128)
    assert info.notes == (f"turned upright by {clockwise} degrees clockwise",)
    got = next(read_frames(info))
    # H.264 at crf 8: measured mean error 0.9 of 255; a picture not turned is 20 off.
    assert np.abs(got.astype(int) - upright).mean() < 3


def test_sound_is_mono_16_khz_and_starts_with_the_picture(tmp_path: Path):
    path = write_video(tmp_path / "a.mp4", numbered(50))
    samples = read_sound(open_video(path))
    assert abs(len(samples) - 2 * AUDIO_RATE_HZ) < 0.05 * AUDIO_RATE_HZ
    spectrum = np.abs(np.fft.rfft(samples[: 2 * AUDIO_RATE_HZ] * np.hanning(2 * AUDIO_RATE_HZ)))
    assert spectrum.argmax() == pytest.approx(2 * 220, abs=1)  # bins of half a hertz


def test_sound_up_to_a_frame_short_is_padded_and_more_is_refused(tmp_path: Path):
    path = write_video(tmp_path / "a.mp4", numbered(50))
    info = open_video(path)
    exactly = fit_sound(info, np.ones(50 * 640 - 640, np.float32), 50)
    assert exactly.shape == (50 * 640,)
    assert exactly[-640:].max() == 0
    with pytest.raises(InputError, match=r"expected sound as long as the picture \(2.00 s\), got 1.96 s"):
        fit_sound(info, np.ones(50 * 640 - 641, np.float32), 50)


def test_a_missing_file_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="expected a video file, found none"):
        open_video(tmp_path / "nowhere.mp4")


def test_something_else_than_a_video_is_refused(tmp_path: Path):
    path = tmp_path / "letter.mp4"
    path.write_text("dear reader " * 200)
    with pytest.raises(InputError, match="expected a video, could not read it"):
        open_video(path)


def test_sound_without_pictures_is_refused(tmp_path: Path):
    write_wav(tmp_path / "only.wav", np.zeros(16_000, np.float32))
    with pytest.raises(InputError, match="expected a video with pictures, got none"):
        open_video(tmp_path / "only.wav")


def test_a_video_without_sound_is_refused(tmp_path: Path):
    path = write_video(tmp_path / "silent.mp4", numbered(30), with_sound=False)
    with pytest.raises(InputError, match="expected a video with sound, got none"):
        open_video(path)


def test_a_video_cut_off_in_the_middle_is_refused(tmp_path: Path):
    rng = np.random.default_rng(seed=1)
    pictures = [rng.integers(0, 256, (96, 96, 3), np.uint8) for _ in range(60)]
    # An index at the start promises packets that are gone; Matroska only says how long it should be.
    for ending, options, message in (
        ("mp4", {"movflags": "faststart"}, r"as its header says, found|it breaks off after \d+ frames"),
        ("mkv", {}, r"expected 2.4\d s as its header says, found 1.\d\d s. The file is cut off"),
    ):
        whole = write_video(tmp_path / f"whole.{ending}", pictures, options=options)
        assert sum(1 for _ in read_frames(open_video(whole))) == 60
        cut = tmp_path / f"cut.{ending}"
        cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
        with pytest.raises(InputError, match=message):
            list(read_frames(open_video(cut)))


def test_a_video_stream_without_a_picture_is_refused(tmp_path: Path):
    path = tmp_path / "empty.mkv"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width = video.height = 64
        video.pix_fmt = "yuv420p"
        audio = container.add_stream("aac", rate=48_000, layout="mono")
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 48_000
        container.mux(audio.encode(silence))
        container.mux(audio.encode(None))
    with pytest.raises(InputError, match="expected pictures with a frame rate, found none"):
        open_video(path)


def test_sound_that_cannot_be_decoded_is_refused(tmp_path: Path):
    path = write_video(tmp_path / "a.mp4", numbered(50))
    with av.open(str(path)) as container:
        places = [(p.pos, p.size) for p in container.demux(audio=0) if p.pos is not None and p.size]
    data = bytearray(path.read_bytes())
    for at, size in places[5:]:
        data[at : at + size] = b"\xff" * size
    path.write_bytes(bytes(data))
    with pytest.raises(InputError, match="expected sound, could not decode it"):
        read_sound(open_video(path))


def test_a_video_whose_index_is_lost_is_refused(tmp_path: Path):
    whole = write_video(tmp_path / "whole.mp4", numbered(60))  # its index stands at the end
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(InputError, match="It may be cut off or of another format"):
        open_video(cut)


def test_a_variable_frame_rate_is_followed_by_its_times(tmp_path: Path):
    path = tmp_path / "uneven.mkv"
    times_ms = [0, 40, 200, 240, 400, 440, 1000]
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25, options={"crf": "8"})
        video.width = video.height = 64
        video.pix_fmt = "yuv444p"
        audio = container.add_stream("aac", rate=48_000, layout="mono")
        for number, (at, picture) in enumerate(zip(times_ms, numbered(7, step=20), strict=True)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = at, Fraction(1, 1000)
            assert number < 13
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        tone.sample_rate = 48_000
        container.mux(audio.encode(tone))
        container.mux(audio.encode(None))
    shown = numbers(path, step=20)
    expected = [int(np.abs(np.array(times_ms) / 1000 - k / 25).argmin()) for k in range(len(shown))]
    assert len(shown) == 26
    wrong = [k for k, (a, b) in enumerate(zip(shown, expected, strict=True)) if a != b]
    # Ties (a tick in the very middle of two pictures) may fall to either side.
    middles = {k for k in range(26) for a, b in itertools.pairwise(times_ms) if 40 * k * 2 == a + b}
    assert set(wrong) <= middles
