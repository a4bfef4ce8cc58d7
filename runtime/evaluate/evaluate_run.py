"""`gstalker eval`: a run in, a report out."""

from __future__ import annotations

from pathlib import Path

from gstalker.runtime.evaluate.config import EvalConfig
from gstalker.runtime.evaluate.evaluation import EvaluationResult, chosen_clips, evaluate
from gstalker.runtime.evaluate.instruments import find_instruments
from gstalker.runtime.evaluate.measure import Progress
from gstalker.runtime.evaluate.nearest import NearestByAudio


def evaluate_run(run: Path, out: Path, config: EvalConfig, progress: Progress | None = None) -> EvaluationResult:
    """Measure a trained run on the held-out clips of its dataset, next to the baselines.

    Raises:
        InputError: no run there, or it or its dataset cannot be read or is of another version; no test clips;
            bad options.
    """
    from gstalker.runtime.evaluate.subjects_from_run import subjects_from_run  # imports torch

    subjects = subjects_from_run(run, config.dataset)
    chosen_clips(subjects.dataset, config)  # complain before anything slow happens
    instruments = find_instruments(config)
    return evaluate(subjects, [NearestByAudio(subjects.dataset)], instruments, out, config, progress)
