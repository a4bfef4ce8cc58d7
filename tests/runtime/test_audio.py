"""The audio front end: any sound file in, the same log-mel features out however they are computed."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import av
import numpy as np
import pytest

from gstalker.runtime import audio
from gstalker.runtime.dataset import write_wav
from gstalker.runtime.errors import InputError

Codec = Literal["pcm_s16le", "pcm_f32le"]


def tone(hz: float, seconds: float, rate_hz: int = 16_000, level: float = 0.4) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate_hz)) / rate_hz)).astype(np.float32)


def speech_like(count: int) -> np.ndarray:
    return (np.random.default_rng(3).normal(size=count) * 0.1).astype(np.float32)


def write_stereo(path: Path, left: np.ndarray, right: np.ndarray, rate_hz: int, codec: Codec = "pcm_s16le") -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate_hz, layout="stereo")
        planes = np.stack([left, right])
        if codec == "pcm_s16le":
            interleaved = np.round(planes.T * 32767).astype(np.int16).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(interleaved, format="s16", layout="stereo")
        else:
            interleaved = np.ascontiguousarray(planes.T, np.float32).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(interleaved, format="flt", layout="stereo")
        frame.sample_rate = rate_hz
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def test_a_16_khz_mono_wav_is_read_without_any_change(tmp_path: Path):
    sent = np.round(speech_like(4000) * 32767) / 32768
    write_wav(tmp_path / "a.wav", sent * 32768 / 32767)
    got = audio.load_wav(tmp_path / "a.wav")
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, sent.astype(np.float32))


@pytest.mark.parametrize("codec", ["pcm_s16le", "pcm_f32le"])
def test_44_khz_stereo_becomes_16_khz_mono_of_the_same_length_and_level(tmp_path: Path, codec: Codec):
    left = tone(440, 1.0, 44_100)
    write_stereo(tmp_path / "a.wav", left, np.zeros_like(left), 44_100, codec)
    got = audio.load_wav(tmp_path / "a.wav")
    assert abs(len(got) - 16_000) <= 16, "1 ms: the resampler's own rounding at the end"
    middle = slice(1000, 15_000)
    # Half of the one sounding channel, in phase. 1e-4: measured 8e-6, times 12.
    np.testing.assert_allclose(got[middle], 0.5 * tone(440, 1.0)[middle], atol=1e-4)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "expected a sound file, found none"),
        (b"", "could not read it"),
        (b"this is no sound" * 100, "could not read it"),
    ],
)
def test_a_missing_or_unreadable_file_is_refused(tmp_path: Path, content: bytes | None, message: str):
    path = tmp_path / "a.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        audio.load_wav(path)


@pytest.mark.parametrize("count", [1, 639])
def test_a_recording_shorter_than_one_video_frame_is_refused(tmp_path: Path, count: int):
    write_wav(tmp_path / "a.wav", np.zeros(count))
    with pytest.raises(InputError, match="expected at least 40 ms of sound"):
        audio.load_wav(tmp_path / "a.wav")


def test_a_wav_with_a_header_and_no_samples_is_refused(tmp_path: Path):
    write_wav(tmp_path / "a.wav", np.zeros(640))
    (tmp_path / "empty.wav").write_bytes(_without_samples((tmp_path / "a.wav").read_bytes()))
    with pytest.raises(InputError, match=r"got 0\.0 ms|could not read it"):
        audio.load_wav(tmp_path / "empty.wav")


def _without_samples(wav: bytes) -> bytes:
    end = wav.index(b"data") + 4
    return wav[:end] + bytes(4)


def test_a_video_without_sound_is_refused(tmp_path: Path):
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width = stream.height = 16
        stream.pix_fmt = "gray"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((16, 16), np.uint8), format="gray")))
        container.mux(stream.encode(None))
    with pytest.raises(InputError, match="without a sound track"):
        audio.load_wav(tmp_path / "a.mkv")


def test_sample_values_that_are_not_finite_are_refused(tmp_path: Path):
    bad = np.full(2000, np.nan, np.float32)
    write_stereo(tmp_path / "a.wav", bad, bad, 16_000, "pcm_f32le")
    with pytest.raises(InputError, match="expected finite sample values"):
        audio.load_wav(tmp_path / "a.wav")


def test_more_sound_than_the_cap_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(audio, "LONGEST_AUDIO_S", 0.05)
    write_wav(tmp_path / "a.wav", np.zeros(16_000))
    with pytest.raises(InputError, match="expected at most"):
        audio.load_wav(tmp_path / "a.wav")


def slow_log_mel(samples: np.ndarray, m: int) -> np.ndarray:
    """One frame from the definition: a sum of cosines a bin, a triangle a band, no FFT."""
    config = audio.DEFAULT_LOG_MEL
    n = np.arange(-200, 200)
    at = 160 * m + n
    window = np.where((at >= 0) & (at < len(samples)), samples[np.clip(at, 0, len(samples) - 1)], 0.0)
    window = window * (0.5 + 0.5 * np.cos(2 * np.pi * n / 400))
    corners = audio.hz_from_mel(np.linspace(0, audio.mel_from_hz(8000.0), 82))
    bands = np.zeros(80)
    for bin_number in range(257):
        hz = 31.25 * bin_number
        power = abs(np.sum(window * np.exp(-2j * np.pi * hz * (n + 200) / 16_000))) ** 2
        for band in range(80):
            low, peak, high = corners[band : band + 3]
            bands[band] += power * max(0.0, min((hz - low) / (peak - low), (high - hz) / (high - peak)))
    return (np.log(np.maximum(bands, 1e-6)) - config.log_mean) / config.log_std


def test_log_mel_agrees_with_the_definition_written_out():
    samples = speech_like(3000)
    mel = audio.log_mel(samples)
    assert mel.shape == (19, 80)
    assert mel.dtype == np.float32
    for m in (0, 7, 18):
        # float32 keeps values of magnitude <= 4 to 2^-22 = 2.4e-7
        np.testing.assert_allclose(mel[m], slow_log_mel(samples, m), atol=1e-6)


def test_frames_computed_one_at_a_time_have_the_same_bits():
    samples = speech_like(16_000)
    whole = audio.log_mel(samples)
    padded = np.pad(samples, (200, 400))
    for m in range(len(whole)):
        alone = audio.log_mel_of_windows(padded[160 * m : 160 * m + 400][None])
        np.testing.assert_array_equal(alone[0], whole[m])


def test_a_long_recording_is_cut_into_blocks_without_a_seam():
    samples = speech_like(160 * 4200)
    part = audio.log_mel(samples[160 * 4000 :])
    np.testing.assert_array_equal(audio.log_mel(samples)[4002:], part[2:])  # 2 frames see across the cut


def test_every_mel_band_holds_a_bin_and_silence_has_one_value():
    assert (audio.mel_filters() > 0).any(axis=1).all()
    silent = audio.log_mel(np.zeros(1600, np.float32))
    np.testing.assert_array_equal(silent, np.full((10, 80), audio.DEFAULT_LOG_MEL.silence, np.float32))


def test_a_tone_is_loudest_in_the_band_around_it():
    mel = audio.log_mel(tone(1000, 0.2))
    corners = audio.hz_from_mel(np.linspace(0, audio.mel_from_hz(8000.0), 82))
    band = int(mel[10].argmax())
    assert corners[band] < 1000 < corners[band + 2]


def test_windows_are_centred_on_four_mel_frames_a_video_frame_and_padded_with_silence():
    mel = np.arange(20, dtype=np.float32)[:, None] + np.zeros((1, 80), np.float32)
    windows = audio.mel_windows(mel, 5, 6, 2)
    assert windows.shape == (5, 8, 80)
    np.testing.assert_array_equal(windows[3, :, 0], np.arange(6, 14))
    silence = np.float32(audio.DEFAULT_LOG_MEL.silence)
    np.testing.assert_array_equal(windows[0, :, 5], [silence] * 6 + [0, 1])
    np.testing.assert_array_equal(audio.mel_windows(mel, 2, 6, 2, first_frame=3), windows[3:])


def test_counts_cover_the_whole_recording():
    assert [audio.video_frame_count(n) for n in (640, 641, 16_000)] == [1, 2, 25]
    assert [audio.mel_frame_count(n) for n in (160, 161)] == [1, 2]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: audio.log_mel(np.zeros((2, 2), np.float32)), r"expected samples of shape \(S,\)"),
        (lambda: audio.mel_windows(np.zeros((9, 80), np.float32), 2, 0, 0), "left \\+ right >= 1"),
        (lambda: audio.mel_windows(np.zeros((9, 80), np.float32), -1, 2, 2), "frame_count"),
        (lambda: audio.mel_filters(audio.LogMelConfig(mel_scale="htk")), "expected the mel scale 'slaney'"),
    ],
)
def test_wrong_arguments_are_refused(call, message: str):
    with pytest.raises(ValueError, match=message):
        call()
