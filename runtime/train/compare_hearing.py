"""`python -m gstalker.runtime.train.compare_hearing DATASET`: which source and look-ahead tell lips best from sound.

A proxy that takes minutes where an avatar takes an hour: only the stage that teaches lips, on the training clips,
and its error on the test clips. It draws no picture.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from pathlib import Path

import torch

from gstalker.runtime.dataset import Dataset
from gstalker.runtime.errors import InputError
from gstalker.runtime.model.audio_encoder import AudioEncoder
from gstalker.runtime.model.audio_source import LOG_MEL, ONNX, SOURCES, algorithmic_delay_ms, open_source
from gstalker.runtime.poses import avatar_space
from gstalker.runtime.train.config import PRESETS, TrainConfig
from gstalker.runtime.train.frames import frame_tracks
from gstalker.runtime.train.pretrain_audio import lip_targets, pretrain_audio


def compare(dataset: Dataset, name: str, config: TrainConfig, seeds: list[int]) -> dict[str, object]:
    """One row: a source with its look-ahead, trained on the training clips and measured on the test clips.

    Raises:
        InputError: no clips to train on or to test on, or the source is not to be had.
    """
    training, test = ([c.name for c in dataset.clips(split)] for split in ("train", "test"))
    if not training or not test:
        raise InputError(
            f"{dataset.folder}: expected clips to train on and clips to test on, got {len(training)} and {len(test)}."
        )
    source, encoder = open_source(config.hearing), config.avatar.audio
    started = time.process_time()
    tracks = frame_tracks(dataset, [*training, *test], avatar_space(dataset), encoder, source)
    features_s = time.process_time() - started
    m = dataset.manifest
    targets = lip_targets(tracks, dataset.landmarks_head_m, m.focal_px, m.size_px, config.pretrain)
    held_out = range(len(training), len(training) + len(test))
    reports = []
    for seed in seeds:
        torch.manual_seed(seed)
        network = AudioEncoder(encoder)
        reports.append(pretrain_audio(network, tracks, targets, config.pretrain, seed, lambda *_: None, held_out))
    return {
        "hears": name,
        "algorithmic_delay_ms": algorithmic_delay_ms(source, encoder),
        "native_rate_hz": round(source.native_rate_hz, 2),
        "width": source.width,
        **{f.name: [round(getattr(r, f.name), 4) for r in reports] for f in dataclasses.fields(reports[0])},
        "cpu_s_features": round(features_s, 1),
        "cpu_s_learning": round(time.process_time() - started - features_s, 1),
        "steps": config.pretrain.steps,
    }


def main(arguments: list[str] | None = None) -> int:
    """Print one line of JSON a row."""
    parser = argparse.ArgumentParser(prog="python -m gstalker.runtime.train.compare_hearing", description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--hears", choices=SOURCES, nargs="+", default=[LOG_MEL])
    parser.add_argument("--audio-model", type=Path, help="the ONNX file of --hears onnx")
    parser.add_argument("--lookahead-ms", type=int, nargs="+", default=[280, 120, 0], help="of log_mel")
    parser.add_argument("--steps", type=int, default=PRESETS["preview"].pretrain.steps, help="updates a row")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    given = parser.parse_args(arguments)
    try:
        dataset = Dataset(given.dataset)
        config = PRESETS["preview"]
        config = dataclasses.replace(config, pretrain=dataclasses.replace(config.pretrain, steps=given.steps))
        for source in given.hears:
            rows = [config.with_hearing(source, given.audio_model if source == ONNX else None)]
            if source == LOG_MEL:
                rows = [config.with_lookahead(ms) for ms in given.lookahead_ms]
            for row in rows:
                print(json.dumps(compare(dataset, source, row, given.seeds)), flush=True)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
