"""Sound in pieces: however it is cut, the same samples and features come out as from the whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gstalker.runtime.audio import DEFAULT_LOG_MEL, log_mel
from gstalker.runtime.audio_stream import (
    FULL_SCALE,
    FeatureTimeline,
    StreamingResampler,
    pcm_from_samples,
    window_end_sample,
)

USUAL_RATES = [8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 88_200, 96_000]
ODD_RATES = [12_345, 44_099, 95_989]  # more phases than the exact table holds
PIECES = st.lists(st.one_of(st.integers(1, 60), st.integers(100, 5000)), min_size=2, max_size=12)


def noise(count: int, seed: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.9, 0.9, count)


def in_pieces(values: np.ndarray, sizes: list[int]):
    first, number = 0, 0
    while first < len(values):
        size = sizes[number % len(sizes)]
        yield values[first : first + size]
        first, number = first + size, number + 1


def resampled(samples: np.ndarray, rate_hz: int, sizes: list[int]) -> np.ndarray:
    resampler = StreamingResampler(rate_hz)
    return np.concatenate([*(resampler.push(piece) for piece in in_pieces(samples, sizes)), resampler.flush()])


@given(rate_hz=st.sampled_from(USUAL_RATES + ODD_RATES), sizes=PIECES)
@settings(max_examples=20)
def test_any_chunking_gives_the_same_samples_bit_for_bit(rate_hz: int, sizes: list[int]):
    samples = noise(1500)
    whole = resampled(samples, rate_hz, [len(samples)])
    assert len(whole) == -(-len(samples) * 16_000 // rate_hz)
    np.testing.assert_array_equal(resampled(samples, rate_hz, sizes), whole)


@given(rate_hz=st.sampled_from([8_000, 16_000, 44_100, 48_000, 12_345]), at=st.integers(0, 5000))
@settings(max_examples=20)
def test_a_resampler_goes_on_from_its_state_bit_for_bit(rate_hz: int, at: int):
    samples = noise(5000)
    first = StreamingResampler(rate_hz)
    head = first.push(samples[:at])
    state = first.state()
    second = StreamingResampler.from_state(rate_hz, **state)  # pyright: ignore[reportArgumentType]
    tail = np.concatenate([second.push(samples[at:]), second.flush()])
    np.testing.assert_array_equal(np.concatenate([head, tail]), resampled(samples, rate_hz, [5000]))


@pytest.mark.parametrize("rate_hz", USUAL_RATES + ODD_RATES)
@pytest.mark.parametrize("hz", [100.0, 1000.0, 3000.0])
def test_a_tone_keeps_its_place_and_level(rate_hz: int, hz: float):
    """2e-5 of full scale, -94 dB: the filter's 90 dB of stop band, and the phases between tabulated ones."""
    time_s = np.arange(rate_hz // 4) / rate_hz
    got = resampled(0.9 * np.sin(2 * np.pi * hz * time_s), rate_hz, [997])
    expected = 0.9 * np.sin(2 * np.pi * hz * np.arange(len(got)) / 16_000)
    inside = slice(300, -300)  # away from the sudden ends, which sound at all frequencies
    assert np.abs(got - expected)[inside].max() < 2e-5


def test_what_16_khz_cannot_hold_is_taken_out_and_what_it_can_is_kept():
    """Flat within 0.1 dB up to 7 kHz, 85 dB down from 8 kHz on: Kaiser's 90 dB with a margin."""
    time_s = np.arange(24_000) / 48_000
    for hz, lowest_db, highest_db in [(7_000, -0.1, 0.1), (8_050, -300, -85), (9_000, -300, -85), (15_000, -300, -85)]:
        got = resampled(np.sin(2 * np.pi * hz * time_s), 48_000, [480])[300:-300]
        level_db = 20 * np.log10(np.sqrt(2 * (got**2).mean()) + 1e-12)
        assert lowest_db <= level_db <= highest_db, f"{hz} Hz: {level_db:.2f} dB"


def test_16_khz_passes_untouched_and_without_delay():
    samples = noise(1000)
    np.testing.assert_array_equal(resampled(samples, 16_000, [77]), samples)
    assert StreamingResampler(16_000).delay_s == 0
    assert StreamingResampler(48_000).delay_s == pytest.approx(0.003)


def test_a_rate_outside_of_8_to_96_khz_is_refused():
    for rate_hz in (7_999, 96_001):
        with pytest.raises(ValueError, match="expected 8000 to 96000 Hz"):
            StreamingResampler(rate_hz)


@pytest.mark.parametrize(
    ("rate_hz", "change"),
    [
        (48_000, {"given": 5}),
        (48_000, {"received": -1}),
        (48_000, {"kept": b"123"}),
        (48_000, {"kept": np.full(10_000, 2.0).tobytes()}),
        (16_000, {"kept": b"12345678"}),
    ],
)
def test_a_state_that_no_resampler_can_have_is_refused(rate_hz: int, change: dict):
    resampler = StreamingResampler(rate_hz)
    resampler.push(noise(1000))
    with pytest.raises(ValueError, match="StreamingResampler: expected"):
        StreamingResampler.from_state(rate_hz, **{**resampler.state(), **change})


def test_a_resamplers_state_with_samples_out_of_range_is_refused():
    resampler = StreamingResampler(48_000)
    resampler.push(noise(1000))
    state = resampler.state()
    kept = np.frombuffer(bytes(state["kept"]), "<f8").copy()  # pyright: ignore[reportArgumentType]
    for bad in (np.nan, 1.5):
        kept[3] = bad
        with pytest.raises(ValueError, match="expected samples of -1 to 1"):
            StreamingResampler.from_state(48_000, **{**state, "kept": kept.tobytes()})  # pyright: ignore


def pcm_noise(count: int) -> np.ndarray:
    pcm = pcm_from_samples(noise(count) * 0.3)
    pcm[count // 3 : count // 2] = 0  # a stretch of digital silence
    return pcm


@given(sizes=PIECES)
@settings(max_examples=20)
def test_streaming_features_equal_the_offline_ones_bit_for_bit(sizes: list[int]):
    pcm = pcm_noise(20_000)
    expected = log_mel((pcm / FULL_SCALE).astype(np.float32))
    timeline = FeatureTimeline(0.2)  # so short that the buffers are moved several times
    rows: list[np.ndarray] = []
    for piece in in_pieces(pcm, sizes):
        timeline.append(piece)
        ready = (timeline.end - 200) // 160 + 1 if timeline.end >= 200 else 0
        rows += [timeline.rows(m, m + 1).copy() for m in range(len(rows), ready)]
    timeline.append_silence(400)
    rows += [timeline.rows(m, m + 1).copy() for m in range(len(rows), len(expected))]
    np.testing.assert_array_equal(np.concatenate(rows), expected)


def test_rows_before_the_beginning_are_silence_as_outside_of_a_recording():
    timeline = FeatureTimeline(1.0)
    timeline.append(pcm_noise(1000))
    assert (timeline.rows(-31, 0) == np.float32(DEFAULT_LOG_MEL.silence)).all()
    assert timeline.is_silent(-31, 0)
    assert not timeline.is_silent(-31, 1)


@given(back=st.integers(0, 3000), fade=st.sampled_from([0, 80]))
@settings(max_examples=20)
def test_features_after_the_end_was_taken_back_are_those_of_what_was_written_then(back: int, fade: int):
    pcm, other = pcm_noise(9000), pcm_from_samples(noise(4000, seed=9) * 0.2)
    timeline = FeatureTimeline(2.0)
    timeline.append(pcm)
    timeline.rows(0, 50)
    timeline.take_back(9000 - back, fade)
    timeline.append(other)
    whole = timeline.pcm(0, timeline.end).copy()
    np.testing.assert_array_equal(whole[: 9000 - back - fade], pcm[: 9000 - back - fade])
    np.testing.assert_array_equal(whole[9000 - back :], other)
    last = (len(whole) - 200) // 160
    np.testing.assert_array_equal(
        timeline.rows(0, last), log_mel((whole / FULL_SCALE).astype(np.float32))[:last], strict=True
    )


def test_a_fade_before_the_cut_falls_to_nothing():
    timeline = FeatureTimeline(1.0)
    timeline.append(np.full(1000, 10_000, np.int16))
    timeline.take_back(800, 80)
    tail = timeline.pcm(700, 800).astype(int)
    assert (tail[:20] == 10_000).all()
    assert (np.diff(tail[20:]) <= 0).all()
    assert 0 < tail[-1] < 100


def test_what_is_no_longer_or_not_yet_there_is_refused():
    timeline = FeatureTimeline(0.1)
    for _ in range(10):
        timeline.append(np.ones(60_000, np.int16))
    with pytest.raises(ValueError, match="expected"):
        timeline.pcm(0, 10)
    with pytest.raises(ValueError, match="not there"):
        timeline.rows(0, 1)
    with pytest.raises(ValueError, match="or not yet"):
        timeline.rows(3749, 3750)
    with pytest.raises(ValueError, match="expected an end of"):
        timeline.take_back(timeline.end + 1)


@given(first=st.integers(0, 5000), silence=st.integers(0, 400_000))
@settings(max_examples=20)
def test_any_stretch_of_silence_is_as_if_it_had_been_written(first: int, silence: int):
    timeline = FeatureTimeline(0.3)
    timeline.append(pcm_noise(first))
    timeline.append_silence(silence)
    timeline.append(pcm_noise(3000))
    line = np.concatenate([pcm_noise(first), np.zeros(silence, np.int16), pcm_noise(3000)])
    last = (len(line) - 200) // 160
    rows = log_mel((line / FULL_SCALE).astype(np.float32))
    np.testing.assert_array_equal(timeline.rows(max(0, last - 20), last), rows[max(0, last - 20) : last])


def test_a_very_long_silence_takes_no_time():
    timeline = FeatureTimeline(1.0)
    timeline.append_silence(10**15)
    assert timeline.end == 10**15
    assert timeline.is_silent(10**15 // 160 - 50, 10**15 // 160 - 2)


def test_the_window_of_a_frame_ends_282_ms_after_the_frame_begins():
    assert window_end_sample(0, 28) == 27 * 160 + 200
    assert window_end_sample(10, 28) - window_end_sample(0, 28) == 6400
