"""Which instruments this machine has: similarity, perceptual distance, a face detector."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from gstalker.runtime.dataset import Dataset
from gstalker.runtime.errors import InputError
from gstalker.runtime.evaluate import find_models
from gstalker.runtime.evaluate.config import EvalConfig
from gstalker.runtime.evaluate.detection import Detector
from gstalker.runtime.evaluate.evaluation import Instruments
from gstalker.runtime.evaluate.face_process import FaceProcess
from gstalker.runtime.evaluate.fitted_reader import FEWEST_FRAMES, FittedReader
from gstalker.runtime.evaluate.measure import Compare, Progress
from gstalker.runtime.evaluate.sync_score import load_scorer
from gstalker.runtime.prepare.face_model import FILE_NAME


@contextmanager
def find_instruments(config: EvalConfig, dataset: Dataset, progress: Progress | None = None) -> Iterator[Instruments]:
    """Everything this machine has, and one sentence for each thing it lacks.

    Raises:
        InputError: a model file cannot be used, or one asked for by its path is not there; MediaPipe was asked
            for and is not at hand.
    """
    missing: list[str] = []
    lpips = _lpips(config.lpips_weights, missing)
    sync = load_scorer(config.sync_scorer) if config.sync_scorer else None
    detector = _detector(config, dataset, progress, missing)
    try:
        yield Instruments(ssim, detector, lpips, tuple(missing), sync)
    finally:
        if isinstance(detector, FaceProcess):
            detector.close()


def ssim(rendered: np.ndarray, real: np.ndarray) -> float:
    """Structural similarity of two (H, W, 3) uint8 pictures (`kernels.ssim`)."""
    import torch

    from gstalker.kernels.ssim import fused_ssim

    pair = [torch.from_numpy(p.astype(np.float32) / 255.0) for p in (rendered, real)]
    return float(fused_ssim(pair[0], pair[1]))


def _detector(config: EvalConfig, dataset: Dataset, progress: Progress | None, missing: list[str]) -> Detector | None:
    # A made character has exact tracks, and MediaPipe may take it for no face at all.
    filmed = dataset.manifest.tracker != "exact"
    if config.face_reader == "mediapipe" or config.face_model or (config.face_reader == "auto" and filmed):
        model = find_models.find_landmark_model(config.face_model)
        if model is not None:
            return FaceProcess(model)
        lacking = f"{FILE_NAME} was not found. Give --face-model, or put it into the folder $GSTALKER_MODELS."
        if config.face_reader == "mediapipe":
            raise InputError(f"--face-reader mediapipe: {lacking}")
        missing.append(f"faces were not read by MediaPipe's detector but by a regression: {lacking}")
    entries = dataset.clips("train")
    if sum(e.frame_count for e in entries) < FEWEST_FRAMES:
        missing.append(
            "everything read off faces (lip distance, openings, blinks): there are fewer than "
            f"{FEWEST_FRAMES} training frames to fit a reader to."
        )
        return None
    if progress:
        progress.stage("fitting the face reader", len(entries))
    return FittedReader(dataset, progress.advance if progress else None)


def _lpips(given: Path | None, missing: list[str]) -> Compare | None:
    weights = find_models.find_lpips_weights(given)
    if weights is None:
        missing.append(
            f"LPIPS: {find_models.LPIPS_FILE} was not found. Give --lpips-weights, or put it into the folder "
            "$GSTALKER_MODELS."
        )
        return None
    from gstalker.runtime.evaluate.lpips import Lpips  # imports torch

    return Lpips(weights).distance
