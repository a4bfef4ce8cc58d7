"""Passages of speech at other tempi and in other voices: lips stay with their sound."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from gstalker.runtime.train.vary_speech import SpokenClips, VoiceConfig, other_voices

LEFT, WINDOW = 5, 9
UNCHANGED = VoiceConfig(warp=0.0, shift_bands=0.0, gain=0.0, tilt=0.0, noise=0.0, masked_bands=0)


def clock(frames: int, clip: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A clip whose features and targets tell the time, in video frames, and the clip."""
    rows = (torch.arange(WINDOW + 4 * (frames - 1)) - LEFT) / 4
    times = torch.arange(frames).float()
    return (
        torch.stack([rows, torch.full_like(rows, clip)], 1),
        torch.stack([times, torch.full_like(times, clip)], 1),
    )


def clips(*lengths: int) -> SpokenClips:
    features, values = zip(*(clock(n, i) for i, n in enumerate(lengths)), strict=True)
    return SpokenClips(features, values, LEFT, WINDOW)


@pytest.mark.parametrize("tempo", [0.0, 0.15])
def test_sound_and_lips_of_a_passage_are_of_the_same_moment(tempo: float):
    frames = 12
    found = clips(30, 20).passages(64, frames, tempo, torch.Generator().manual_seed(0))
    assert found.features.shape == (64, WINDOW + 4 * (frames - 1), 2)
    assert found.values.shape == (64, frames, 2)
    # Feature row LEFT + 4 k stands at frame k; where the window leaves the clip its outermost row goes on.
    heard = found.features[:, LEFT : LEFT + 4 * frames : 4]
    torch.testing.assert_close(heard, found.values, rtol=0, atol=1e-4)  # float32 of numbers up to 30
    steps = found.values[:, 1:, 0] - found.values[:, :-1, 0]
    torch.testing.assert_close(steps, steps[:, :1].expand_as(steps), rtol=0, atol=1e-4)
    if tempo:
        assert 0.86 < float(steps.min()) < 0.9
        assert 1.1 < float(steps.max()) < 1.17
    else:
        assert torch.equal(found.values[..., 0], found.values[..., 0].round())
    assert set(found.values[:, 0, 1].tolist()) == {0.0, 1.0}


def test_frames_beyond_the_end_of_a_clip_are_not_taught():
    found = clips(10).passages(200, 10, 0.15, torch.Generator().manual_seed(1))
    beyond = found.known == 0
    assert bool(beyond.any())
    assert bool((found.known.sum(dim=1) >= 8).all())
    assert float(found.values[..., 0][beyond].min()) == 9.0  # the last frame, held
    assert float(found.values[..., 0].max()) <= 9.0


def test_a_share_of_the_passages_is_in_another_voice_and_the_others_untouched():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(400, 20, 80, generator=generator)
    varied = other_voices(features, 0.3, VoiceConfig(), generator)
    untouched = (varied == features).all(dim=2).all(dim=1)
    assert 0.6 < float(untouched.float().mean()) < 0.8  # 0.7 +/- 4 standard deviations of 400 draws
    assert torch.equal(other_voices(features, 0.0, VoiceConfig(), generator), features)


def test_a_voice_without_changes_is_the_same_voice():
    features = torch.randn(8, 20, 80, generator=torch.Generator().manual_seed(0))
    same = other_voices(features, 1.0, UNCHANGED, torch.Generator().manual_seed(1))
    torch.testing.assert_close(same, features, rtol=0, atol=1e-5)  # products with ones and zeros, places in float32


def test_another_vocal_tract_moves_formants_and_keeps_time():
    features = torch.zeros(64, 20, 80)
    features[:, 7, 40] = 1.0
    moved = other_voices(
        features, 1.0, dataclasses.replace(UNCHANGED, shift_bands=2.0), torch.Generator().manual_seed(0)
    )
    assert float(moved[:, :7].abs().max()) == float(moved[:, 8:].abs().max()) == 0.0
    places = (moved[:, 7] * torch.arange(80)).sum(dim=1) / moved[:, 7].sum(dim=1)
    assert 1.2 < float(places.std()) < 2.8  # 2 bands, 64 draws
