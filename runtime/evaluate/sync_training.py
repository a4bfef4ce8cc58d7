"""`python -m gstalker.runtime.evaluate.sync_training DATASET... --out FILE`: train a lip-sync scorer.

By default on the test clips, speech that an avatar of the dataset never trained on; with several networks, each of
which leaves out one share of the clips (`sync_score`). At the end it says what the networks make of the clips that
each has not seen: as filmed, shifted by known times, and with another clip's sound.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from gstalker.runtime.dataset import AUDIO_RATE_HZ, Dataset
from gstalker.runtime.errors import InputError
from gstalker.runtime.evaluate.sync_network import (
    LIP_HALF_VIEW,
    MEL_FRAMES_PER_VIDEO_FRAME,
    MEL_HALF_VIEW,
    SyncNetwork,
    SyncSizes,
    lip_shapes,
    sound_frames,
)
from gstalker.runtime.evaluate.sync_score import (
    FEWEST_FRAMES,
    SyncOrigin,
    SyncScorer,
    save_scorer,
    sound_id,
    sync_score,
)

SHIFTS_S = (-0.2, -0.08, 0.0, 0.08, 0.2)


@dataclass(frozen=True)
class SyncTrainingConfig:
    """How a scorer is trained."""

    steps: int = 150  # updates of each network
    folds: int = 5  # networks; each leaves out one share of the clips
    clips_per_step: int = 8
    learning_rate: float = 2e-3  # decays to nothing along a cosine
    weight_decay: float = 1e-2
    loudness_noise: float = 0.3  # of a log-mel unit, one number a clip: louder and softer
    band_noise: float = 0.15  # one number a band and clip: another microphone
    sound_noise: float = 0.15  # one a value
    lip_noise: float = 0.15  # of a lip unit: a detector's jitter
    lip_gain: float = 0.25  # one number a clip: who opens the mouth more or less
    seed: int = 0


@dataclass(frozen=True)
class SpokenClip:
    """A clip to learn from or to judge.

    Attributes:
        landmarks_px: (T, 478, 2), samples: (S,) 16 kHz.
    """

    name: str
    landmarks_px: np.ndarray
    samples: np.ndarray


def spoken_clips(dataset: Dataset, split: str) -> list[SpokenClip]:
    """The clips of a split ("test", "train", or "all") that are long enough, lips as tracked."""
    splits = ("train", "test") if split == "all" else (split,)
    entries = [e for s in splits for e in dataset.clips(s) if e.frame_count >= FEWEST_FRAMES]
    return [SpokenClip(e.name, dataset.tracks(e.name).landmarks_px, dataset.samples(e.name)) for e in entries]


def train_scorer(clips: Sequence[SpokenClip], config: SyncTrainingConfig, sizes: SyncSizes, speech: str) -> tuple[
    list[SyncNetwork], SyncOrigin
]:  # fmt: skip
    """Train one network for each fold.

    Raises:
        InputError: fewer than two clips for each fold to leave out one and learn from others.
    """
    folds = min(config.folds, len(clips))
    if folds < 2:
        raise InputError(f"sync scorer: expected at least 2 clips of speech to learn from, got {len(clips)}.")
    fold_of_clip = {sound_id(c.samples): i % folds for i, c in enumerate(clips)}
    networks = []
    for fold in range(folds):
        seen = [c for i, c in enumerate(clips) if i % folds != fold]
        networks.append(_train_network(seen, config, sizes, config.seed + fold))
    return networks, SyncOrigin(speech, fold_of_clip)


def _train_network(clips: Sequence[SpokenClip], config: SyncTrainingConfig, sizes: SyncSizes, seed: int) -> SyncNetwork:
    torch.manual_seed(seed)
    lips, sounds = [], []
    for clip in clips:
        shapes = lip_shapes(clip.landmarks_px)
        if shapes is not None:
            lips.append(torch.from_numpy(shapes))
            sounds.append(torch.from_numpy(sound_frames(clip.samples, len(shapes), MEL_HALF_VIEW)))
    if not lips:
        raise InputError("sync scorer: expected clips with a face, got none.")
    network = SyncNetwork(sizes)
    _, _, rows = np.linalg.svd(torch.cat(lips).numpy(), full_matrices=False)
    network.basis[: min(sizes.lip_components, len(rows))] = torch.from_numpy(rows[: sizes.lip_components])
    span = min(len(s) for s in lips)
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.steps)
    for _ in range(config.steps):
        batch_lips, batch_sound = [], []
        for clip in torch.randint(len(lips), (config.clips_per_step,)).tolist():
            start = int(torch.randint(len(lips[clip]) - span + 1, (1,)))
            first = MEL_FRAMES_PER_VIDEO_FRAME * start
            length = MEL_FRAMES_PER_VIDEO_FRAME * span + 2 * MEL_HALF_VIEW
            batch_lips.append(_vary_lips(lips[clip][start : start + span], config))
            batch_sound.append(_vary_sound(sounds[clip][first : first + length], config))
        loss = contrast(network, torch.stack(batch_lips), torch.stack(batch_sound))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval()


def contrast(network: SyncNetwork, lips: Tensor, sounds: Tensor) -> Tensor:
    """Each lip vector must fit its own moment's sound better than all other moments', and the other way round.

    The moments next to its own, 40 ms away, count neither way.

    Args:
        lips: (B, T, 80), sounds: (B, 4 T + 36, 20).
    """
    seen = network.lip_vectors(lips)  # (B, n, vector)
    n = seen.shape[1]
    at = MEL_FRAMES_PER_VIDEO_FRAME * torch.arange(LIP_HALF_VIEW, LIP_HALF_VIEW + n)
    heard = network.sound_vectors(sounds)[:, at]
    logits = network.log_sharpness.exp() * seen.flatten(0, 1) @ heard.flatten(0, 1).T
    place = torch.arange(len(logits))
    same_clip = place[:, None] // n == place[None, :] // n
    beside = same_clip & ((place[:, None] - place[None, :]).abs() == 1)
    logits = logits.masked_fill(beside, -torch.inf)
    return functional.cross_entropy(logits, place) + functional.cross_entropy(logits.T, place)


def _vary_lips(lips: Tensor, config: SyncTrainingConfig) -> Tensor:
    gain = torch.exp(config.lip_gain * torch.randn(1))
    return gain * lips + config.lip_noise * torch.randn_like(lips)


def _vary_sound(mel: Tensor, config: SyncTrainingConfig) -> Tensor:
    bands = config.loudness_noise * torch.randn(1) + config.band_noise * torch.randn(1, mel.shape[1])
    return mel + bands + config.sound_noise * torch.randn_like(mel)


def judge(scorer: SyncScorer, clips: Sequence[SpokenClip]) -> dict[str, object]:
    """What a scorer makes of clips: as they are, shifted by known times, and with the next clip's sound."""
    result: dict[str, object] = {}
    for shift_s in SHIFTS_S:
        found = [scorer.agreement(c.landmarks_px, shifted(c.samples, shift_s), sound_id(c.samples)) for c in clips]
        score = sync_score([a for a in found if a is not None])
        name = (
            "as filmed" if shift_s == 0 else f"mouth {1000 * abs(shift_s):.0f} ms {'late' if shift_s > 0 else 'early'}"
        )
        result[name] = {"confidence": round(score.confidence, 4), "lag_ms": _ms(score.lag_s)}
    others = [*clips[1:], clips[0]]
    found = [
        scorer.agreement(c.landmarks_px, o.samples, sound_id(c.samples)) for c, o in zip(clips, others, strict=True)
    ]
    score = sync_score([a for a in found if a is not None])
    result["another clip's sound"] = {"confidence": round(score.confidence, 4), "lag_ms": _ms(score.lag_s)}
    return result


def shifted(samples: np.ndarray, seconds: float) -> np.ndarray:
    """Sound that plays so much earlier, so that a mouth comes so much later; silence moves in."""
    count = round(abs(seconds) * AUDIO_RATE_HZ)
    silence = np.zeros(count, np.float32)
    if seconds >= 0:
        return np.concatenate([samples[count:], silence])
    return np.concatenate([silence, samples[: len(samples) - count]])


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(1000 * seconds, 1)


def main(arguments: list[str] | None = None) -> int:
    """Train, write, and print what the scorer makes of what each network has not seen."""
    defaults = SyncTrainingConfig()
    parser = argparse.ArgumentParser(prog="python -m gstalker.runtime.evaluate.sync_training", description=__doc__)
    parser.add_argument("datasets", type=Path, nargs="+", metavar="DATASET")
    parser.add_argument("--out", type=Path, required=True, help="the scorer, .safetensors")
    parser.add_argument("--split", choices=("test", "train", "all"), default="test", help="clips to learn from")
    parser.add_argument("--steps", type=int, default=defaults.steps, help="updates of each network")
    parser.add_argument("--folds", type=int, default=defaults.folds, help="networks, each without a share of the clips")
    parser.add_argument("--seed", type=int, default=defaults.seed)
    given = parser.parse_args(arguments)
    try:
        datasets = [Dataset(folder) for folder in given.datasets]
        clips = [c for d in datasets for c in spoken_clips(d, given.split)]
        seconds = sum(len(c.samples) for c in clips) / AUDIO_RATE_HZ
        speech = (
            f"{', '.join(d.folder.name for d in datasets)}, split {given.split}, {len(clips)} clips, {seconds:.0f} s"
        )
        config = SyncTrainingConfig(steps=given.steps, folds=given.folds, seed=given.seed)
        networks, origin = train_scorer(clips, config, SyncSizes(), speech)
        save_scorer(given.out, networks, SyncSizes(), origin)
        print(json.dumps({"speech": speech, "unseen": judge(SyncScorer(networks, origin), clips)}, indent=1))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
