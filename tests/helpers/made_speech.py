"""Clips of a made mouth that opens with a made voice, at no regular beat: what a lip-sync scorer can learn from."""

from __future__ import annotations

import numpy as np
from made_dataset import face_points_m
from scipy.ndimage import gaussian_filter1d

from gstalker.runtime.dataset import AUDIO_RATE_HZ, FPS
from gstalker.runtime.evaluate.sync_training import SpokenClip

PIXELS_A_METRE = 560.0


def spoken_clip(seed: int, seconds: float = 2.0) -> SpokenClip:
    """One clip; mouths and voices of two seeds have nothing to do with each other."""
    rng = np.random.default_rng(seed)
    count = round(seconds * FPS)
    times_s = np.arange(count * 640) / AUDIO_RATE_HZ
    fine = gaussian_filter1d(rng.normal(size=round(seconds * 200) + 40), 10.0)  # syllables of about 0.15 s
    fine = np.clip(0.5 + 0.4 * fine / fine.std(), 0.0, 1.0)
    opening = np.interp(np.arange(count) / FPS, np.arange(len(fine)) / 200.0, fine)
    loudness = np.interp(times_s, np.arange(len(fine)) / 200.0, fine) ** 2
    voice = sum(np.sin(2 * np.pi * 140 * k * times_s + k) / k for k in range(1, 12))
    samples = (0.1 * loudness * voice + 0.001 * rng.normal(size=len(times_s))).astype(np.float32)
    landmarks = np.stack([PIXELS_A_METRE * face_points_m(o, 0.0)[:, :2] + 128 for o in opening])
    landmarks += rng.normal(0, 0.05, landmarks.shape)  # a detector's jitter, px
    return SpokenClip(f"made{seed}", landmarks.astype(np.float32), samples)
