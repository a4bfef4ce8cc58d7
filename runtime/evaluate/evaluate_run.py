"""`gstalker eval`: a run in, a report out."""

from __future__ import annotations

from pathlib import Path

from gstalker.runtime.dataset import Dataset
from gstalker.runtime.errors import InputError
from gstalker.runtime.evaluate.config import EvalConfig
from gstalker.runtime.evaluate.evaluation import EvaluationResult, chosen_clips, evaluate
from gstalker.runtime.evaluate.instruments import find_instruments
from gstalker.runtime.evaluate.measure import Progress
from gstalker.runtime.evaluate.nearest import NearestByAudio
from gstalker.runtime.evaluate.threads import leave_a_core


def evaluate_run(run: Path, out: Path, config: EvalConfig, progress: Progress | None = None) -> EvaluationResult:
    """Measure a trained run on the held-out clips of its dataset, next to the baselines.

    Raises:
        InputError: no run there, or it or its dataset cannot be read or is of another version or size; no test
            clips; bad options.
    """
    from gstalker.runtime.evaluate.subjects_from_run import subjects_from_run  # imports torch, as does the next
    from gstalker.runtime.model.trained_run import read_run_json

    _, facts = read_run_json(run)
    folder = config.dataset or Path(facts.dataset)
    if not folder.is_dir():
        raise InputError(f"{run}: expected its dataset at {folder}, found none. Say with --dataset where it lies now.")
    dataset = Dataset(folder)
    manifest = dataset.manifest
    if (manifest.size_px, manifest.focal_px) != (facts.size_px, facts.focal_px):
        raise InputError(
            f"{folder}: expected the dataset that {run} was trained on, {facts.size_px} px with a focal length of "
            f"{facts.focal_px:g} px, got {manifest.size_px} px and {manifest.focal_px:g} px. Give it with --dataset."
        )
    chosen_clips(dataset, config)  # complain before anything slow happens
    subjects = subjects_from_run(run, dataset)
    with find_instruments(config, dataset, progress) as instruments, leave_a_core():
        return evaluate(dataset, subjects, [NearestByAudio(dataset)], instruments, out, config, progress)
