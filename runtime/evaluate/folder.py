"""A report folder that is there whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gstalker.runtime.errors import InputError

FINISHED = "metrics.json"  # a folder with it is a report, which a new one may replace


@contextmanager
def report_folder(out: Path) -> Iterator[Path]:
    """Give a folder to write into, which becomes `out` when the work is done and vanishes when it fails.

    Raises:
        InputError: `out` is a file, or a folder with something in it that is not a report.
    """
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out}: expected a folder for the report, got a file. Choose another path.")
    if out.is_dir() and any(out.iterdir()) and not (out / FINISHED).is_file():
        raise InputError(
            f"--out {out}: expected an empty folder or an earlier report, got other files. Choose another path."
        )
    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        if out.exists():
            shutil.rmtree(out)
        partial.rename(out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
