"""Live sound keeps its delay: devices with wrong clocks, hiccups and no pauses, simulated for minutes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from gstalker.bridge.server.live_balance import (
    BLOCK_SAMPLES,
    FADE_SAMPLES,
    HARD_LIMIT_SAMPLES,
    HIGH_SAMPLES,
    LOW_SAMPLES,
    TARGET_SAMPLES,
    LiveBalance,
)
from gstalker.bridge.server.speech import SpeechTimeline, algorithmic_delay_ms
from gstalker.runtime.audio import LogMelConfig
from gstalker.runtime.audio_stream import window_end_sample
from gstalker.runtime.bundle_manifest import AudioFrontEnd

FRONT = AudioFrontEnd(LogMelConfig(), left_mel_frames=31, right_mel_frames=28)
DEVICE_BLOCK = 320  # 20 ms at 16 kHz


def voice(count: int, seed: int, pause_every_s: float = 4.0) -> np.ndarray:
    """Loud noise as long as a sentence, then half a second of a room's hiss, again and again."""
    rng = np.random.default_rng(seed)
    loud = rng.normal(size=count) * 3000
    period = round(pause_every_s * 16_000)
    pausing = np.arange(count) % period > period - 8000
    return np.where(pausing, rng.normal(size=count) * 30, loud).astype(np.int16)


@dataclass
class Device:
    """A microphone whose clock is off, pushing blocks into a timeline while frames are prepared."""

    ppm: float
    sound: np.ndarray
    live: bool = True
    timeline: SpeechTimeline = field(default_factory=lambda: SpeechTimeline(FRONT))
    sent: int = 0
    margins: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.speech_id = self.timeline.open(16_000, 1, live=self.live)

    def run(self, first: int, last: int, stalled: range = range(0)) -> None:
        for frame in range(first, last):
            due = int((frame + 1) * 640 * (1 + self.ppm * 1e-6)) // DEVICE_BLOCK * DEVICE_BLOCK
            if frame not in stalled and due > self.sent:
                piece = self.sound[np.arange(self.sent, due) % len(self.sound)]
                self.timeline.push(self.speech_id, self.sent, piece[:, None])
                self.sent = due
            self.timeline.prepare(frame)
            reached = self.timeline._timeline.end if self.timeline._ran_out_at is None else self.timeline._ran_out_at
            need = window_end_sample(frame, FRONT.right_mel_frames)
            self.margins.append(reached - need + round(self.timeline.waiting_s * 16_000))


@pytest.mark.parametrize("ppm", [500.0, -500.0, 100.0, -100.0])
def test_ten_minutes_of_a_device_that_is_off_stay_within_the_band(ppm: float):
    """The band is 10 to 50 ms, give or take one block of the device (20 ms) and what drifts from pause to pause.

    A pause comes every 4 s, in which 500 ppm make 32 samples; in ten minutes they make 0.3 s. Now and then a frame
    sees one block more or less than the one before, which moves what waits by a whole block at once.
    """
    device = Device(ppm, voice(160_000, seed=2))
    device.run(0, 15_000)
    settled = np.array(device.margins[500:])
    slack = 32 + DEVICE_BLOCK
    assert settled.min() >= LOW_SAMPLES - slack, settled.min()
    assert settled.max() <= HIGH_SAMPLES + slack, settled.max()
    assert device.timeline.starved == 0
    balance = device.timeline._active.balance  # pyright: ignore[reportOptionalMemberAccess]
    assert balance is not None
    moved_s = (balance.trimmed - balance.stretched) / 16_000
    assert moved_s == pytest.approx(600 * ppm * 1e-6, abs=0.08), "all of the drift, and nothing else"


def test_a_clients_microphone_that_nobody_called_one_keeps_its_delay_too():
    device = Device(500.0, voice(160_000, seed=6), live=False)
    device.run(0, 6000)  # four minutes, in which 0.12 s would pile up
    assert max(device.margins[1000:]) <= HIGH_SAMPLES + DEVICE_BLOCK + 32
    assert min(device.margins[1000:]) >= LOW_SAMPLES - DEVICE_BLOCK - 32


def test_sound_that_comes_ahead_of_its_time_is_never_touched():
    pcm = voice(16_000 * 40, seed=7)
    timeline = SpeechTimeline(FRONT)
    speech_id, heard = timeline.open(16_000, 1), []
    for frame in range(900):
        if frame % 25 == 0 and frame < 600:  # 1.6 s each second, as text-to-speech services send
            first = frame // 25 * 25_600
            timeline.push(speech_id, first, pcm[first : first + 25_600][:, None])
        timeline.prepare(frame)
        heard.append(timeline.pcm(frame))
        assert heard[-1] is not None
        heard[-1] = heard[-1].copy()
    line = np.concatenate(heard)
    np.testing.assert_array_equal(line, pcm[: len(line)])


def test_what_piled_up_in_a_hiccup_is_trimmed_in_the_next_pauses():
    device = Device(0.0, voice(160_000, seed=3))
    device.run(0, 200)
    device.run(200, 400, stalled=range(200, 212))  # 0.48 s of nothing, then all of it at once
    assert device.timeline.starved == 1
    assert 0.2 < device.timeline.silence_inserted_s < 0.48
    assert max(device.margins[212:]) > HIGH_SAMPLES + 2 * DEVICE_BLOCK
    device.run(400, 900)
    assert min(device.margins[-100:]) >= 0
    assert max(device.margins[-100:]) <= HIGH_SAMPLES + DEVICE_BLOCK


def test_without_any_pause_the_delay_stops_at_the_hard_limit():
    device = Device(2000.0, voice(160_000, seed=4, pause_every_s=1e6))
    device.run(0, 5000)  # 0.4 s too much
    assert max(device.margins) <= HARD_LIMIT_SAMPLES + DEVICE_BLOCK + 640


def test_live_sound_begins_with_no_more_than_the_target_waiting():
    device = Device(0.0, voice(160_000, seed=5))
    device.run(0, 30)
    assert device.margins[-1] <= TARGET_SAMPLES + DEVICE_BLOCK + 640
    first = next(frame for frame in range(30) if device.timeline.speech_at(frame) is not None)
    heard = device.timeline.pcm(first)
    assert heard is not None
    np.testing.assert_array_equal(heard, device.sound[:640])
    # A sample that the device took at 0 s is in the frame of that time plus look-ahead, what waits (at most the band's
    # upper end here), a block of the device, and what is left of a frame.
    assert first * 40.0 <= algorithmic_delay_ms(FRONT) + 50 + 20 + 40


@pytest.mark.parametrize(("margin", "grows"), [(HIGH_SAMPLES + 1, -1), (LOW_SAMPLES - 1, 1)])
def test_a_block_is_taken_out_or_put_in_where_it_is_quiet_and_faded_over(margin: int, grows: int):
    tone = (8000 * np.sin(2 * np.pi * 200 * np.arange(1600) / 16_000)).astype(np.int16)
    tone[640:960] = np.arange(320) % 7  # two quiet blocks in the middle
    balance = LiveBalance()
    for _ in range(24):
        balance.balanced(tone, 400)
    balance.margins = [margin] * 24
    after = balance.balanced(tone, margin)
    assert len(after) == 1600 + grows * BLOCK_SAMPLES
    np.testing.assert_array_equal(after[:640], tone[:640])
    np.testing.assert_array_equal(after[-(640 - FADE_SAMPLES) :], tone[-(640 - FADE_SAMPLES) :])
    assert (balance.trimmed, balance.stretched) == ((160, 0) if grows < 0 else (0, 160))
    assert balance.margins[-1] == margin + grows * BLOCK_SAMPLES


def test_loud_sound_in_the_band_is_left_alone():
    loud = voice(1600, seed=1, pause_every_s=1e6)
    balance = LiveBalance()
    balance.heard(loud)
    for margin in (LOW_SAMPLES, HIGH_SAMPLES) * 20:
        assert balance.balanced(loud, margin) is loud
    assert balance.balanced(loud, 0) is loud, "nothing quiet to lengthen: it may starve, and is counted"


def test_loud_sound_is_shortened_only_beyond_the_hard_limit():
    loud = voice(8000, seed=1, pause_every_s=1e6)
    for margin, taken in [(HARD_LIMIT_SAMPLES, 0), (HARD_LIMIT_SAMPLES + 1, BLOCK_SAMPLES)]:
        balance = LiveBalance()
        balance.floor_rms, balance.margins = 30.0, [margin] * 24
        assert len(loud) - len(balance.balanced(loud, margin)) == taken


def test_a_rooms_hiss_counts_as_quiet_once_it_is_known():
    rng = np.random.default_rng(0)
    hiss = (rng.normal(size=1600) * 300).astype(np.int16)
    balance = LiveBalance()
    assert balance.balanced(hiss, 0) is not hiss or balance.floor_rms == 1000.0
    for _ in range(100):
        balance.heard(voice(1600, seed=1, pause_every_s=1e6))
        balance.heard(hiss)
    assert 200 < balance.floor_rms < 400
    assert len(balance.balanced(hiss, 0)) == 1600 + BLOCK_SAMPLES
