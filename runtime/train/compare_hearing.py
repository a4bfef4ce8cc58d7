"""`python -m gstalker.runtime.train.compare_hearing DATASET`: which source and look-ahead tell lips best from sound.

A proxy that takes minutes where an avatar takes an hour: only the stage that teaches lips, on the training clips,
and its error on the test clips. It draws no picture. With another speaker's voice and a lip-sync scorer
(`runtime.evaluate.sync_training`) it also says how well the lips told from that voice fit it.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from gstalker.runtime import landmarks
from gstalker.runtime.audio import load_wav, video_frame_count
from gstalker.runtime.dataset import LANDMARKS, Dataset
from gstalker.runtime.errors import InputError
from gstalker.runtime.evaluate.agreement import best_lag
from gstalker.runtime.evaluate.loudness import LAGS_S, shifted_loudness_db
from gstalker.runtime.evaluate.sync_figures import voice_sync
from gstalker.runtime.evaluate.sync_score import SyncScorer, load_scorer
from gstalker.runtime.model.audio_encoder import AudioEncoder
from gstalker.runtime.model.audio_source import LOG_MEL, ONNX, SOURCES, algorithmic_delay_ms, open_source
from gstalker.runtime.poses import avatar_space
from gstalker.runtime.train.config import PRESETS, TrainConfig
from gstalker.runtime.train.frames import frame_tracks
from gstalker.runtime.train.pretrain_audio import LipTargets, lip_targets, lips_px, opening_px, pretrain_audio

FOLDS = 4  # settings are chosen on quarters of the training clips, each held out in turn
FOLD_SEED = 7


@dataclass(frozen=True)
class OtherVoice:
    """Sound of somebody whom no encoder heard in training, and what judges the lips told from it."""

    samples: np.ndarray  # (S,) 16 kHz
    scorer: SyncScorer


def compare(
    dataset: Dataset,
    name: str,
    config: TrainConfig,
    seeds: list[int],
    other: OtherVoice | None = None,
    fold: int | None = None,
) -> dict[str, object]:
    """One row: a source with its look-ahead, trained on the training clips and measured on the test clips.

    Args:
        fold: measure on this quarter of the training clips instead, trained on the other three; settings are
            chosen so, and the test clips are not even read.

    Raises:
        InputError: no clips to train on or to test on, or the source is not to be had.
    """
    training, test = ([c.name for c in dataset.clips(split)] for split in ("train", "test"))
    if not training or not test:
        raise InputError(
            f"{dataset.folder}: expected clips to train on and clips to test on, got {len(training)} and {len(test)}."
        )
    if fold is not None:
        order = np.random.default_rng(FOLD_SEED).permutation(len(training))
        test = [training[i] for i in sorted(order[fold::FOLDS])]
        training = [name for name in training if name not in test]
    source, encoder = open_source(config.hearing), config.avatar.audio
    started = time.process_time()
    tracks = frame_tracks(dataset, [*training, *test], avatar_space(dataset), encoder, source)
    features_s = time.process_time() - started
    m = dataset.manifest
    targets = lip_targets(tracks, dataset.landmarks_head_m, m.focal_px, m.size_px, config.pretrain)
    held_out = range(len(training), len(training) + len(test))
    reports, voices = [], []
    for seed in seeds:
        torch.manual_seed(seed)
        network = AudioEncoder(encoder)
        readout = nn.Linear(encoder.code_size, targets.values.shape[1])
        reports.append(pretrain_audio(network, tracks, targets, config.pretrain, seed, _untold, held_out, readout))
        if other is not None:
            count = video_frame_count(len(other.samples))
            windows = source.windows(other.samples, count, encoder.left_mel_frames, encoder.right_mel_frames)
            with torch.no_grad():
                told = readout(network(torch.from_numpy(windows))[:, 0]).numpy()
            face = face_with_lips(told, targets, dataset, float(tracks.camera_from_head[:, 2, 3].mean()))
            loudness = best_lag([shifted_loudness_db(other.samples, count)], [opening_px(told, targets)], LAGS_S)
            voices.append(
                {**voice_sync(face, other.samples, other.scorer), "loudness_correlation": loudness.correlation_at_lag}
            )
    return {
        "hears": name,
        "algorithmic_delay_ms": algorithmic_delay_ms(source, encoder),
        "native_rate_hz": round(source.native_rate_hz, 2),
        "width": source.width,
        **{f.name: [round(getattr(r, f.name), 4) for r in reports] for f in dataclasses.fields(reports[0])},
        **{f"voice_{key}": [v[key] for v in voices] for key in (voices[0] if voices else ())},
        "fold": fold,
        "cpu_s_features": round(features_s, 1),
        "cpu_s_learning": round(time.process_time() - started - features_s, 1),
        "steps": config.pretrain.steps,
    }


def _untold(step: int, loss: float) -> None:
    """Progress of a row is not shown."""


def face_with_lips(told: np.ndarray, targets: LipTargets, dataset: Dataset, depth_m: float) -> np.ndarray:
    """(T, 478, 2) landmarks in px of a face seen from the front whose lips (T, D) were told from sound; others NaN."""
    points = np.full((len(told), LANDMARKS, 2), np.nan)
    lips = list(landmarks.LIPS)
    points[:, lips] = lips_px(told, targets) + dataset.landmarks_head_m[lips, :2] * dataset.manifest.focal_px / depth_m
    return points


def main(arguments: list[str] | None = None) -> int:
    """Print one line of JSON a row."""
    parser = argparse.ArgumentParser(prog="python -m gstalker.runtime.train.compare_hearing", description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--hears", choices=SOURCES, nargs="+", default=[LOG_MEL])
    parser.add_argument("--audio-model", type=Path, help="the ONNX file of --hears onnx")
    parser.add_argument("--lookahead-ms", type=int, nargs="+", default=[240, 120, 0], help="of log_mel")
    parser.add_argument("--smoothing-frames", type=int, default=1, help="of log_mel, 1 for none")
    parser.add_argument("--steps", type=int, default=PRESETS["preview"].pretrain.steps, help="updates a row")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--fold", type=int, choices=range(FOLDS), help="a quarter of the training clips to measure on")
    parser.add_argument("--voice", type=Path, help="a WAV of another speaker, with --sync-scorer")
    parser.add_argument("--sync-scorer", type=Path, help="what judges the lips told from it")
    given = parser.parse_args(arguments)
    try:
        dataset = Dataset(given.dataset)
        if (given.voice is None) != (given.sync_scorer is None):
            raise InputError("--voice and --sync-scorer: expected both or neither, got one.")
        other = OtherVoice(load_wav(given.voice), load_scorer(given.sync_scorer)) if given.voice else None
        config = PRESETS["preview"]
        config = dataclasses.replace(config, pretrain=dataclasses.replace(config.pretrain, steps=given.steps))
        for source in given.hears:
            rows = [config.with_hearing(source, given.audio_model if source == ONNX else None)]
            if source == LOG_MEL:
                smoothed = config.with_smoothing(given.smoothing_frames)
                rows = [smoothed.with_lookahead(ms) for ms in given.lookahead_ms]
            for row in rows:
                print(json.dumps(compare(dataset, source, row, given.seeds, other, given.fold)), flush=True)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
