"""The speech timeline: what windows and sound a session's frames get, whoever pushes how."""

from __future__ import annotations

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gstalker.bridge.errors import RequestRefused, SpeechRefused
from gstalker.bridge.server.speech import (
    ABANDONED_FRAMES,
    ANTICIPATION_FRAMES,
    FADE_SAMPLES,
    SpeechTimeline,
    algorithmic_delay_ms,
)
from gstalker.runtime.audio import LogMelConfig, log_mel, mel_windows, video_frame_count
from gstalker.runtime.bundle_manifest import AudioFrontEnd

FRONT = AudioFrontEnd(LogMelConfig(), left_mel_frames=31, right_mel_frames=28)
LOOK_AHEAD = 27 * 160 + 200  # samples that a window needs from its frame's beginning on
LEFT_FRAMES = 9  # frames after the end of sound in whose windows it still is: 31 mel frames and half a spectrum


def sound(count: int, seed: int = 1) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=count) * 3000).astype(np.int16)


def run(timeline: SpeechTimeline, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
    """Prepare frames; their windows (n, 59, 80), and their sound (n * 640,) with zeros where there is none."""
    windows, heard = [], []
    for frame in range(first, last):
        timeline.prepare(frame)
        windows.append(timeline.window(frame).copy())
        pcm = timeline.pcm(frame)
        heard.append(np.zeros(640, np.int16) if pcm is None else pcm.copy())
    return np.stack(windows), np.concatenate(heard)


def offline_windows(timeline_pcm: np.ndarray, first: int, count: int) -> np.ndarray:
    mel = log_mel((timeline_pcm / 32768).astype(np.float32))
    return mel_windows(mel, count, FRONT.left_mel_frames, FRONT.right_mel_frames, first_frame=first)


def test_a_recording_at_the_start_gives_the_offline_windows_bit_for_bit():
    pcm = sound(20_000)
    timeline = SpeechTimeline(FRONT)
    assert timeline.add_recording(pcm) == 0
    frames = video_frame_count(len(pcm))
    windows, heard = run(timeline, 0, frames + 20)
    np.testing.assert_array_equal(heard[: len(pcm)], pcm)
    assert not heard[len(pcm) :].any()
    np.testing.assert_array_equal(windows, offline_windows(np.pad(pcm, (0, 30_000)), 0, frames + 20))


def test_float_samples_are_spoken_as_sixteen_bits():
    timeline = SpeechTimeline(FRONT)
    timeline.add_recording(np.array([0.5, -1.0, 1.0] * 700, np.float32))
    timeline.prepare(0)
    pcm = timeline.pcm(0)
    assert pcm is not None
    assert pcm[:3].tolist() == [16384, -32768, 32767]


@given(
    sizes=st.lists(st.integers(1, 4000), min_size=1, max_size=20),
    start=st.integers(0, 40),
    rate_hz=st.sampled_from([16_000, 24_000, 48_000]),
    channels=st.sampled_from([1, 2]),
)
@settings(max_examples=20)
def test_pushed_sound_in_any_pieces_gives_the_windows_of_the_whole(
    sizes: list[int], start: int, rate_hz: int, channels: int
):
    """Chunks come between frames, more than fast enough; from 3 frames before the first sound all windows are final."""
    pcm = np.stack([sound(24_000, seed) for seed in range(channels)], axis=1)
    whole = SpeechTimeline(FRONT)
    whole.push(whole.open(rate_hz, channels), 0, pcm)
    whole.close(0)
    _, expected = run(whole, 0, 60)

    timeline = SpeechTimeline(FRONT)
    run(timeline, 0, start + 1)
    speech_id, sent, frame, parts = timeline.open(rate_hz, channels), 0, start + 1, []
    while sent < len(pcm):
        deadline = sent + rate_hz // 20  # 50 ms of sound each 40 ms frame
        while sent < min(deadline, len(pcm)):
            size = sizes[(sent + frame) % len(sizes)]
            timeline.push(speech_id, sent, pcm[sent : sent + size])
            sent += min(size, len(pcm) - sent)
        parts.append(run(timeline, frame, frame + 1))
        frame += 1
    timeline.close(speech_id)
    parts.append(run(timeline, frame, frame + 60))
    windows, heard = (np.concatenate(p) for p in zip(*parts, strict=True))
    begin = int(np.flatnonzero(heard)[0]) // 640 * 640
    length = -(-24_000 * 16_000 // rate_hz)
    np.testing.assert_array_equal(heard[begin : begin + length], expected[:length])
    assert not heard[begin + length :].any()
    whole_line = np.concatenate([np.zeros((start + 1) * 640, np.int16), heard, np.zeros(9000, np.int16)])
    first = begin // 640 - ANTICIPATION_FRAMES + start + 1
    count = start + 1 + len(windows) - first
    np.testing.assert_array_equal(windows[-count:], offline_windows(whole_line, first, count))
    assert timeline.starved == 0


def test_an_utterance_out_of_silence_begins_three_frames_on_and_pushed_sound_waits_for_its_look_ahead():
    timeline = SpeechTimeline(FRONT)
    run(timeline, 0, 10)
    timeline.add_recording(sound(3200))
    run(timeline, 10, 11)
    assert [timeline.speech_at(10 + i) for i in range(3)] == [None] * 3
    run(timeline, 11, 18)
    assert [timeline.speech_at(frame) for frame in range(12, 19)] == [None, 0, 0, 0, 0, 0, None]

    run(timeline, 18, 40)
    pushed = timeline.open(16_000, 1)
    timeline.push(pushed, 0, sound(LOOK_AHEAD - 1)[:, None])
    run(timeline, 40, 44)
    assert timeline.speech_at(43 + ANTICIPATION_FRAMES) is None
    timeline.push(pushed, LOOK_AHEAD - 1, sound(1)[:, None])
    run(timeline, 44, 45)
    assert timeline.speech_at(44 + ANTICIPATION_FRAMES) == pushed


def test_a_short_utterance_that_is_closed_does_not_wait_for_its_look_ahead():
    timeline = SpeechTimeline(FRONT)
    run(timeline, 0, 5)
    speech_id = timeline.open(16_000, 1)
    timeline.push(speech_id, 0, sound(100)[:, None])
    timeline.close(speech_id)
    _, heard = run(timeline, 5, 12)
    np.testing.assert_array_equal(heard[ANTICIPATION_FRAMES * 640 :][:100], sound(100))


def test_the_next_utterance_follows_at_the_next_frame_and_ends_are_told_once():
    timeline = SpeechTimeline(FRONT)
    timeline.add_recording(sound(1000))
    timeline.add_recording(sound(640, seed=2))
    timeline.close(timeline.open(16_000, 1))  # nothing in it: it just ends
    told: list[tuple[int, int, float]] = []
    heard = []
    for frame in range(12):
        told += [(frame, ended.speech_id, ended.time_s) for ended in timeline.ended(frame)]
        heard.append(run(timeline, frame, frame + 1)[1])
    line = np.concatenate(heard)
    np.testing.assert_array_equal(line[:1000], sound(1000))
    assert not line[1000:1280].any()
    np.testing.assert_array_equal(line[1280:1920], sound(640, seed=2))
    assert told == [(2, 0, 1000 / 16_000), (3, 1, 0.12), (3, 2, 0.12)]
    assert not timeline.speaking


def test_windows_after_the_sound_see_it_for_the_left_context_and_then_are_silent():
    timeline = SpeechTimeline(FRONT)
    timeline.add_recording(sound(6400))
    silent = []
    for frame in range(40):
        timeline.prepare(frame)
        silent.append(timeline.is_silent(frame))
    assert silent == [False] * (10 + LEFT_FRAMES) + [True] * (30 - LEFT_FRAMES)


def test_starving_inserts_silence_counts_once_and_goes_on_where_it_can():
    timeline = SpeechTimeline(FRONT)
    pcm = sound(16_000)
    speech_id = timeline.open(16_000, 1)
    timeline.push(speech_id, 0, pcm[:8000, None])
    _, before = run(timeline, 0, 25)
    assert timeline.starved == 1
    np.testing.assert_array_equal(before[:8000], pcm[:8000])
    assert not before[8000:].any()
    assert timeline.speech_at(24) == speech_id, "the hole belongs to the utterance: clients play silence"
    timeline.push(speech_id, 8000, pcm[8000:9000, None])
    run(timeline, 25, 26)
    assert timeline.waiting_s == 1000 / 16_000, "less than a tenth of a second is not worth going on for"
    timeline.push(speech_id, 9000, pcm[9000:, None])
    timeline.close(speech_id)
    _, after = run(timeline, 26, 50)
    np.testing.assert_array_equal(after[ANTICIPATION_FRAMES * 640 :][:8000], pcm[8000:])
    assert timeline.starved == 1
    assert timeline.silence_inserted_s == pytest.approx(((26 + ANTICIPATION_FRAMES) * 640 - 8000) / 16_000)


def test_sound_that_comes_late_but_before_it_is_due_leaves_no_hole_and_is_not_counted():
    timeline = SpeechTimeline(FRONT)
    pcm = sound(12_000)
    speech_id = timeline.open(16_000, 1)
    timeline.push(speech_id, 0, pcm[:6400, None])
    _, first = run(timeline, 0, 6)  # windows reach beyond 6400 by now, what is heard does not
    timeline.push(speech_id, 6400, pcm[6400:, None])
    timeline.close(speech_id)
    windows, second = run(timeline, 6, 19)
    np.testing.assert_array_equal(np.concatenate([first, second])[:12_000], pcm)
    assert timeline.starved == 0
    np.testing.assert_array_equal(windows, offline_windows(np.pad(pcm, (0, 9000)), 6, 13))


def test_an_utterance_that_nobody_goes_on_with_is_closed_after_ten_seconds():
    timeline = SpeechTimeline(FRONT)
    forgotten = timeline.open(16_000, 1)
    timeline.push(forgotten, 0, sound(1000)[:, None])
    timeline.add_recording(sound(640, seed=2))
    run(timeline, 0, ABANDONED_FRAMES)
    assert timeline.received_s(forgotten) == 1000 / 16_000
    _, heard = run(timeline, ABANDONED_FRAMES, ABANDONED_FRAMES + 20)
    assert heard.any()
    assert not timeline.speaking
    with pytest.raises(SpeechRefused, match="was never opened or is over"):
        timeline.push(forgotten, 1000, sound(10)[:, None])


def test_a_cut_ends_all_speech_at_its_frame_with_a_short_fade():
    timeline = SpeechTimeline(FRONT)
    timeline.add_recording(sound(32_000))
    timeline.add_recording(sound(640))
    run(timeline, 0, 20)
    assert timeline.cut(15) == 0
    assert not timeline.speaking
    assert timeline.waiting_s == 0
    windows, heard = run(timeline, 15, 40)
    assert not heard.any()
    faded = timeline.pcm(14)
    assert faded is not None
    np.testing.assert_array_equal(faded[:-FADE_SAMPLES], sound(32_000)[14 * 640 : 15 * 640 - FADE_SAMPLES])
    assert np.abs(faded[-3:]).max() < 100
    line = np.concatenate([sound(32_000)[: 14 * 640], faded, np.zeros(30_000, np.int16)])
    np.testing.assert_array_equal(windows, offline_windows(line, 15, 25))
    assert timeline.ended(40) == [], "whoever cuts tells it himself"
    assert timeline.cut(40) is None


def test_after_a_cut_the_next_utterance_is_spoken():
    timeline = SpeechTimeline(FRONT)
    timeline.add_recording(sound(32_000))
    run(timeline, 0, 20)
    timeline.cut(15)
    speech_id = timeline.add_recording(sound(640, seed=3))
    _, heard = run(timeline, 15, 25)
    np.testing.assert_array_equal(heard[3 * 640 : 4 * 640], sound(640, seed=3))
    assert speech_id == 1


def refused(code: str, timeline: SpeechTimeline, call: str, *args) -> SpeechRefused:
    with pytest.raises(SpeechRefused) as caught:
        getattr(timeline, call)(*args)
    assert caught.value.code == code
    return caught.value


def test_what_does_not_fit_is_refused_with_its_code():
    timeline = SpeechTimeline(FRONT)
    assert "8000 to 96000 Hz, got 7000" in str(refused("bad_value", timeline, "open", 7000, 1))
    assert "expected 1 or 2, got 3" in str(refused("bad_value", timeline, "open", 16_000, 3))
    assert "never opened" in str(refused("unknown_speech", timeline, "push", 0, 0, sound(5)[:, None]))
    speech_id = timeline.open(16_000, 1)
    assert "expected 1 channels" in str(refused("bad_value", timeline, "push", speech_id, 0, np.zeros((5, 2), "<i2")))
    assert "expected 0, right behind" in str(
        refused("sound_hole", timeline, "push", speech_id, 5, np.zeros((5, 1), "<i2"))
    )
    timeline.push(speech_id, 0, sound(5)[:, None])
    timeline.close(speech_id)
    assert "is closed" in str(refused("unknown_speech", timeline, "push", speech_id, 5, sound(5)[:, None]))
    assert "is closed" in str(refused("unknown_speech", timeline, "close", speech_id))
    assert timeline.rate_hz(speech_id) == 16_000


def test_more_than_the_capacity_is_refused_with_a_time_and_nothing_of_it_is_taken():
    timeline = SpeechTimeline(FRONT, capacity_s=2.0)
    speech_id = timeline.open(48_000, 1)
    timeline.push(speech_id, 0, np.zeros((90_000, 1), np.int16))
    error = refused("speech_full", timeline, "push", speech_id, 90_000, np.zeros((24_000, 1), np.int16))
    assert "expected at most 2 s to wait" in str(error)
    assert error.retry_after_s == pytest.approx(90_000 / 48_000 + 0.5 - 2.0, abs=0.004)  # 3 ms are in the filter
    assert timeline.received_s(speech_id) == 90_000 / 48_000
    run(timeline, 0, 10)
    timeline.push(speech_id, 90_000, np.zeros((12_000, 1), np.int16))
    for _ in range(63):
        timeline.open(16_000, 1)
    timeline.open(16_000, 1)
    assert "expected at most 64" in str(refused("speech_full", timeline, "open", 16_000, 1))


@given(at=st.integers(0, 60))
@settings(max_examples=20)
def test_a_timeline_goes_on_from_its_state_with_the_same_windows_and_sound(at: int):
    """Through a recording, resampled sound in pieces, a hole, and what waits behind."""
    recording = sound(9000, seed=4)

    def built(until: int) -> SpeechTimeline:
        timeline = SpeechTimeline(FRONT)
        timeline.add_recording(recording)
        timeline.open(48_000, 2)
        timeline.open(16_000, 1)
        advance(timeline, 0, until)
        return timeline

    def advance(timeline: SpeechTimeline, first: int, last: int) -> list[np.ndarray]:
        found: list[np.ndarray] = []
        for frame in range(first, last):
            if frame < 12 or 40 <= frame < 50:
                number = frame if frame < 12 else frame - 28
                timeline.push(1, number * 2500, np.stack([sound(2500, frame), sound(2500, 99)], axis=1))
            if frame == 50:
                timeline.close(1)
                timeline.push(2, 0, sound(6000)[:, None])
                timeline.close(2)
            found += run(timeline, frame, frame + 1)
            found.append(np.array([e.time_s for e in timeline.ended(frame)]))
        return found

    expected = advance(whole := built(at), at, 90)
    state = msgpack.unpackb(msgpack.packb(built(at).state(at)))
    other = SpeechTimeline.from_state(FRONT, state, recording=recording)
    for a, b in zip(advance(other, at, 90), expected, strict=True):
        np.testing.assert_array_equal(a, b)
    assert (other.starved, other.silence_inserted_s) == (whole.starved, whole.silence_inserted_s)
    assert whole.starved == 1


def test_a_state_is_small_while_nobody_pushes_far_ahead():
    timeline = SpeechTimeline(FRONT)
    timeline.add_recording(sound(160_000))
    run(timeline, 0, 100)
    assert len(msgpack.packb(timeline.state(100)) or b"") in range(10_000, 25_000)


def made_state() -> dict:
    timeline = SpeechTimeline(FRONT)
    timeline.push(timeline.open(48_000, 1), 0, sound(30_000)[:, None])
    run(timeline, 0, 5)
    return msgpack.unpackb(msgpack.packb(timeline.state(5)))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("start",), 3),
        (("first_frame",), 7_000),
        (("sound_end",), 10**9),
        (("spans", 0), [0, 10**9, None, False]),
        (("start",), -160),
        (("pcm",), b"1"),
        (("pcm",), "text"),
        (("spans",), 5),
        (("spans",), []),
        (("spans", 0), [0, 0]),
        (("spans", 0), [0, -1, None, False]),
        (("active", "rate_hz"), 1),
        (("active", "closed"), 1),
        (("active", "waiting"), b"\0" * 2_000_000),
        (("active", "resampler", "kept"), b""),
        (("active", "heard"), [1]),
        (("active", "balance"), [float("nan")]),
        (("active", "recording_sha256"), "0" * 64),
        (("active",), None),
        (("waiting",), [None] * 65),
        (("next_id",), True),
        (("starved",), 1.5),
        (("silence_inserted_s",), float("inf")),
        (("hole_counted",), None),
        (("ran_out_at",), 10**9),
        (("unknown",), 1),
    ],
)
def test_a_state_that_is_not_sound_is_refused(path: tuple, value: object):
    state = made_state()
    place = state
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(RequestRefused, match=r"snapshot: s(peech|pans)") as caught:
        SpeechTimeline.from_state(FRONT, state)
    assert caught.value.code == "bad_value"


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**60), 2**60),
    st.integers(-2000, 50_000),
    st.floats(),
    st.binary(max_size=50),
    st.text(max_size=5),
    st.lists(st.integers(-5, 5), max_size=4),
)


@given(data=st.data())
@settings(max_examples=150)
def test_whatever_stands_in_a_state_it_is_refused_or_frames_follow(data: st.DataObject):
    """One to three values of a sound state become anything; nothing raises but the refusal, and nothing hangs."""
    state = made_state()
    for _ in range(data.draw(st.integers(1, 3))):
        place, key = state, data.draw(st.sampled_from(sorted(state)))
        while isinstance(place[key], dict | list) and place[key] and data.draw(st.booleans()):
            place = place[key]
            key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        place[key] = data.draw(ODD)
    try:
        timeline = SpeechTimeline.from_state(FRONT, state)
    except RequestRefused:
        return
    first = state["first_frame"]
    for frame in range(first, first + 40):
        timeline.prepare(frame)
        assert timeline.window(frame).shape == (59, 80)
        timeline.pcm(frame)
        timeline.ended(frame)
    timeline.cut(first + 35)
    timeline.prepare(first + 40)


def test_a_state_of_another_frame_than_the_snapshot_says_is_refused():
    with pytest.raises(RequestRefused, match="first_frame: expected 6, the snapshot's next frame"):
        SpeechTimeline.from_state(FRONT, made_state(), first_frame=6)


def test_the_algorithmic_delay_follows_from_the_windows():
    assert algorithmic_delay_ms(FRONT) == 282.5  # (27 * 160 + 200) / 16 samples a millisecond
    assert algorithmic_delay_ms(FRONT, 48_000) == pytest.approx(285.5)
    short = AudioFrontEnd(LogMelConfig(), left_mel_frames=4, right_mel_frames=4)
    assert algorithmic_delay_ms(short) == 42.5
