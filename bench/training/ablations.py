"""What each part of the method is worth: the same training without it, same seeds, same steps, same unseen clips.

    python -m gstalker.bench.training.ablations DATASET --out FOLDER --steps 4000

Every variant is a process of its own with one thread, as many at once as there are cores. What FOLDER already holds is
not done again, so a study that was stopped goes on.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gstalker.bench.training.variants import VARIANTS
from gstalker.runtime.errors import InputError

PRESET = "preview"
FIGURES = {
    "psnr_db": "full, dB",
    "mouth_psnr_db": "mouth, dB",
    "eyes_psnr_db": "eyes, dB",
    "lpips": "LPIPS",
    "lmd_px": "LMD, px",
    "lip_opening_correlation": "lips, corr.",
    "lip_opening_amplitude": "ampl.",
    "lid_opening_correlation": "lids, corr.",
    "torso_psnr_db": "torso, dB",
}
DECIMALS = {"lpips": 4, "lmd_px": 3, "lip_opening_correlation": 3, "lid_opening_correlation": 3}
FILE_NAME = "figures.json"


def measure(dataset: Path, out: Path, name: str, seed: int, steps: int, every: int) -> None:
    """Train one variant, measure it on the test clips, keep the figures in `out`.

    Args:
        every: LPIPS on every so many frames.

    Raises:
        InputError: bad dataset, or an unfinished run of other settings lies there.
    """
    from gstalker.bench.training.runs import trained
    from gstalker.runtime.dataset import Dataset
    from gstalker.runtime.evaluate.config import EvalConfig
    from gstalker.runtime.evaluate.evaluation import evaluate
    from gstalker.runtime.evaluate.instruments import find_instruments
    from gstalker.runtime.evaluate.subject import AVATAR
    from gstalker.runtime.evaluate.subjects_from_run import subjects_from_run
    from gstalker.runtime.train.config import PRESETS

    config = dataclasses.replace(PRESETS[PRESET], seed=seed, checkpoint_every=max(steps // 4, 1))
    config = VARIANTS[name].change(config.with_steps(steps))
    started = time.monotonic()
    run = trained(dataset, out / "run", config, lambda text: print(text, flush=True))
    trained_s = time.monotonic() - started
    prepared, eval_config = Dataset(dataset), EvalConfig(video=False, lpips_every=every)
    subjects = subjects_from_run(run, prepared)
    subjects = dataclasses.replace(subjects, subjects=subjects.subjects[:1], voice=None)
    with find_instruments(eval_config, prepared) as instruments:
        result = evaluate(prepared, subjects, [], instruments, out / "report", eval_config)
    figures = {key: result.figures.overall[AVATAR].get(key) for key in FIGURES}
    figures |= {"gaussians": subjects.about["Gaussians"], "seconds": round(trained_s, 1)}
    kept = {"variant": name, "seed": seed, "steps": steps, "figures": figures}
    partial = out / (FILE_NAME + ".partial")
    partial.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    partial.replace(out / FILE_NAME)


def run_all(jobs: Sequence[tuple[Path, list[str]]], at_once: int) -> list[Path]:
    """Run commands, each with one thread, its output in log.txt of its folder, so many at a time.

    Returns:
        the folders of those that failed.
    """
    waiting, running, failed = list(jobs), {}, []
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    while waiting or running:
        while waiting and len(running) < at_once:
            folder, command = waiting.pop(0)
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / "log.txt").open("a", encoding="utf-8") as log:
                process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
            running[process] = folder
        time.sleep(0.2)
        for process in [p for p in running if p.poll() is not None]:
            folder = running.pop(process)
            print(f"{folder.name}: {'done' if process.returncode == 0 else 'FAILED, see log.txt'}", flush=True)
            if process.returncode:
                failed.append(folder)
    return failed


def table(out: Path, names: Sequence[str], seeds: Sequence[int]) -> str:
    """Markdown: one row a variant, means over its seeds; differences are for the reader to take."""
    lines = ["| without | " + " | ".join(FIGURES.values()) + " |", "|---|" + "---|" * len(FIGURES)]
    for name in names:
        found = [kept(out, name, seed) for seed in seeds]
        known = [f["figures"] for f in found if f is not None]
        cells = [_cell(key, [f[key] for f in known]) for key in FIGURES]
        lines.append(f"| {VARIANTS[name].without} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(key: str, values: Sequence[float | None]) -> str:
    known = [v for v in values if v is not None]
    return f"{sum(known) / len(known):.{DECIMALS.get(key, 2)}f}" if known else "none"


def kept(out: Path, name: str, seed: int) -> dict[str, Any] | None:
    """The figures of a variant that is done."""
    path = folder_of(out, name, seed) / FILE_NAME
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def folder_of(out: Path, name: str, seed: int) -> Path:
    """Where a variant of a seed lies."""
    return out / f"{name}-{seed}"


def main(arguments: list[str] | None = None) -> int:
    """Do what is missing, then print the table."""
    parser = argparse.ArgumentParser(prog="python -m gstalker.bench.training.ablations", description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=4000, help="of both stages, in every variant")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--variants", choices=list(VARIANTS), nargs="+", default=list(VARIANTS), metavar="NAME")
    parser.add_argument("--lpips-every", type=int, default=10)
    parser.add_argument("--at-once", type=int, default=os.cpu_count() or 1, help="processes; 0 measures here, itself")
    given = parser.parse_args(arguments)
    todo = [(n, s) for s in given.seeds for n in given.variants if kept(given.out, n, s) is None]
    if given.at_once == 0:
        try:
            for name, seed in todo:
                folder = folder_of(given.out, name, seed)
                measure(given.dataset, folder, name, seed, given.steps, given.lpips_every)
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        return 0
    words = ["--steps", str(given.steps), "--lpips-every", str(given.lpips_every), "--at-once", "0"]
    base = [sys.executable, "-m", "gstalker.bench.training.ablations", str(given.dataset), "--out", str(given.out)]
    jobs = [(folder_of(given.out, n, s), [*base, *words, "--variants", n, "--seeds", str(s)]) for n, s in todo]
    failed = run_all(jobs, given.at_once)
    print(table(given.out, given.variants, given.seeds))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
