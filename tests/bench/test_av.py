"""The A/V benchmark: its witnesses tell moments from content, and a short run of it on a real server process."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
from made_bundle import write_made_bundle
from scipy.signal import resample_poly

from gstalker.bench import av
from gstalker.bench.av_witness.device import SimulatedDevice
from gstalker.bench.av_witness.moments import Watch, locate_sound, speech_noise
from gstalker.runtime.errors import InputError


@pytest.mark.parametrize("at_s", [0.7, 1.2345, 3.05])
@pytest.mark.parametrize("guess_off_s", [-0.3, 0.0, 0.35])
def test_forty_milliseconds_of_the_speech_are_found_in_it_to_a_sample(at_s: float, guess_off_s: float):
    speech = speech_noise(4.0, 16_000)
    heard = resample_poly(speech, 3, 1)
    middle = round(at_s * 48_000)
    noise = np.random.default_rng(0).normal(0, 0.002, 1920)
    found = locate_sound(heard[middle - 960 : middle + 960] + noise, 48_000, speech, 16_000, at_s + guess_off_s)
    assert found == pytest.approx(at_s, abs=1.5 / 16_000)


def test_silence_and_other_sound_are_not_found():
    speech = speech_noise(4.0, 16_000)
    other = np.random.default_rng(5).normal(0, 0.1, 1920)
    assert locate_sound(np.zeros(1920), 48_000, speech, 16_000, 2.0) is None
    assert locate_sound(other, 48_000, speech, 16_000, 2.0) is None
    assert locate_sound(other, 48_000, speech, 16_000, 9.0) is None


def moving(index: float) -> np.ndarray:
    """(300, 3) movers of which some swing."""
    means = np.zeros((300, 3))
    means[:200, 1] = 0.004 * np.sin(0.7 * np.floor(index) + np.arange(200))
    nearer = 0.004 * np.sin(0.7 * (np.floor(index) + 1) + np.arange(200))
    means[:200, 1] += (index - np.floor(index)) * (nearer - means[:200, 1])
    return means.astype(np.float32)


def test_a_picture_between_two_frames_is_placed_between_them():
    watch = Watch(25, 1e-6)
    for index in range(60):
        watch.came(index, moving(index))
    for moment in (30.0, 34.25, 40.9):
        assert watch.locate(watch.seen(moving(moment)), 36 / 25) == pytest.approx(moment / 25, abs=1e-4)
    assert watch.locate(watch.seen(moving(30.0)), 900 / 25) is None


def test_a_face_that_holds_still_tells_no_moment():
    watch = Watch(25, 1e-6)
    for index in range(60):
        watch.came(index, moving(0))
    assert watch.locate(watch.seen(moving(0)), 40 / 25) is None


def test_the_simulated_device_plays_at_its_own_rate_and_keeps_what_it_played():
    asked: list[tuple[int, float, float]] = []

    def ask(count: int, heard_at_s: float, now_s: float, underrun: bool) -> np.ndarray:
        asked.append((count, heard_at_s, now_s))
        return np.full(count, 0.25, np.float32)

    device = SimulatedDevice(ask, lambda true_s: true_s, 2.0, rate_hz=16_000, ppm=500.0)
    assert device.true_rate_hz == pytest.approx(16_008)
    device.start()
    time.sleep(0.3)
    now_s = time.perf_counter()
    device.stop()
    window = device.around(now_s - 0.1, 100)
    assert window is not None
    assert device.around(now_s + 5, 100) is None
    assert device.sample_at(now_s) == pytest.approx(0.3 * 16_008, rel=0.5)
    assert all(0 <= heard_s - at_s + 5e-3 < 0.2 for _, heard_s, at_s in asked)
    assert {count for count, _, _ in asked} == {160}


def test_back_in_step_is_when_a_whole_second_is():
    at_s = np.arange(0, 10, 0.05)
    ms = np.where((at_s > 4) & (at_s < 5.52), 60.0, 1.0)
    assert av.back_in_step_s(at_s, ms, 5.0) == pytest.approx(0.5, abs=0.051)  # one late picture of 20 is 95 %
    assert av.back_in_step_s(at_s, np.full(200, 60.0), 5.0) == np.inf
    ms[100:120] = np.nan
    assert av.back_in_step_s(at_s, ms, 5.0) >= 0.5


def test_sound_and_picture_stay_together_at_a_client_whose_clocks_are_off(tmp_path: Path):
    """Ten seconds on a machine that may be busy: the median is what a wrong clock or rate would move, and a fault of
    one frame moves by 40 ms; single pictures stall with the machine and are left to the long run."""
    bundle = tmp_path / "made.gsavatar"
    write_made_bundle(bundle)
    figures = av.run(bundle, seconds=10.0, ppm=200.0, load_seconds=1.0, plots=tmp_path / "plots")
    assert figures["measured"] >= 20
    assert abs(figures["quiet"]["median_ms"]) < 15.0  # one refresh of the display is 14 ms
    assert figures["clock_drift_found_ppm"] < 0  # the client's clock is the faster one
    assert "back_in_step_after_s" in figures
    report = json.loads((tmp_path / "plots" / "av_offset.json").read_text(encoding="utf-8"))
    assert len(report["sound_leads_ms"]) == figures["measured"]
    assert (tmp_path / "plots" / "av_offset.png").stat().st_size > 10_000


@pytest.mark.parametrize(("seconds", "load_s"), [(5.0, 0.0), (10.0, 9.0), (10.0, -1.0)])
def test_times_that_make_no_sense_are_refused(seconds: float, load_s: float, tmp_path: Path):
    with pytest.raises(InputError, match="bench av: expected at least 7 seconds and a load that leaves 6 of them free"):
        av.run(tmp_path, seconds=seconds, load_seconds=load_s)
