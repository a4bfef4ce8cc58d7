"""The pitch estimator against the written-out method, and on sounds of known pitch."""

from __future__ import annotations

import numpy as np
import pytest

from gstalker.bridge.server.pitch import LONGEST_LAG, PITCH_SAMPLES, normalised_difference, period_pitch_hz, pitch_hz

TIMES_S = np.arange(PITCH_SAMPLES) / 16_000


def voice(hz: float, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    """Ten harmonics that fall off like a voice's, the second louder than the first, as with a telephone."""
    rng = np.random.default_rng(seed)
    levels = [0.3, 1.0, 0.6, 0.5, 0.3, 0.3, 0.2, 0.2, 0.1, 0.1]
    harmonics = [
        level * np.sin(2 * np.pi * hz * (k + 1) * TIMES_S + rng.uniform(0, 6)) for k, level in enumerate(levels)
    ]
    return 0.05 * np.sum([h for k, h in enumerate(harmonics) if hz * (k + 1) < 7500], axis=0) + noise * rng.normal(
        size=PITCH_SAMPLES
    )


def referee(samples: np.ndarray) -> float:
    """YIN's difference, sample by sample."""
    window = PITCH_SAMPLES - LONGEST_LAG
    difference = [sum((samples[j] - samples[j + lag]) ** 2 for j in range(window)) for lag in range(LONGEST_LAG + 1)]
    mean_so_far = [sum(difference[1 : lag + 1]) / lag for lag in range(1, LONGEST_LAG + 1)]
    normalised = [1.0] + [d / m for d, m in zip(difference[1:], mean_so_far, strict=True)]
    return period_pitch_hz(np.array(normalised))


@pytest.mark.parametrize("hz", [70.0, 101.3, 180.0, 262.7, 440.0])
def test_a_voice_of_known_pitch_is_found_and_no_octave_of_it(hz: float):
    """Within 0.5 %, a twelfth of a semitone: the parabola through three samples of a lag of 36 or more."""
    assert pitch_hz(voice(hz)) == pytest.approx(hz, rel=0.005)
    assert pitch_hz(voice(hz, noise=0.005)) == pytest.approx(hz, rel=0.01), "and under some noise"


@pytest.mark.parametrize("seed", range(3))
def test_the_fast_estimator_is_the_written_out_method(seed: int):
    rng = np.random.default_rng(seed)
    samples = voice(rng.uniform(80, 400), noise=0.01, seed=seed)
    assert pitch_hz(samples) == pytest.approx(referee(samples), rel=1e-9)


def test_scale_does_not_matter_and_16_bit_samples_will_do():
    pcm = np.round(voice(150.0) * 32767).astype(np.int16)
    assert pitch_hz(pcm) == pytest.approx(150.0, rel=0.005)
    assert pitch_hz(pcm.astype(float) * 1e-6) == pytest.approx(pitch_hz(pcm), rel=1e-9)


def test_noise_and_silence_have_no_pitch():
    noise = [pitch_hz(np.random.default_rng(s).normal(size=PITCH_SAMPLES)) for s in range(20)]
    assert noise == [0.0] * 20
    assert pitch_hz(np.zeros(PITCH_SAMPLES)) == 0.0
    assert normalised_difference(np.zeros(5)).tolist() == [1.0] * 5


def test_another_number_of_samples_is_refused():
    with pytest.raises(ValueError, match=r"pitch_hz: expected \(1024,\) samples, got \(1000,\)"):
        pitch_hz(np.zeros(1000))
