"""Figures that other programs measured on the same videos, read from their files: SyncNet and OpenFace.

Neither program is here. SyncNet's demo prints three lines (AV offset, Min dist, Confidence): keep them in a text
file. OpenFace's FeatureExtraction writes a CSV a video, with the strength of action units in columns AU01_r and so on.
"""

from __future__ import annotations

import csv
import math
import re
from pathlib import Path

from gstalker.runtime.errors import InputError
from gstalker.runtime.evaluate.summary import Figures

SYNCNET_LINES = {
    "syncnet_offset_frames": r"AV offset:\s*(-?[\d.]+)",
    "syncnet_distance": r"Min dist:\s*(-?[\d.]+)",
    "syncnet_confidence": r"Confidence:\s*(-?[\d.]+)",
}
# The rest of OpenFace's units are of the lower face.
UPPER_FACE = ("AU01_r", "AU02_r", "AU04_r", "AU05_r", "AU06_r", "AU07_r", "AU45_r")
LARGEST_BYTES = 256 * 1024 * 1024

Row = dict[str, float]


def syncnet_figures(path: Path) -> Figures:
    """What SyncNet said of a video.

    Raises:
        InputError: no such file, or none of its lines.
    """
    text = _text(path, "--syncnet")
    figures: Figures = {}
    for key, pattern in SYNCNET_LINES.items():
        found = re.findall(pattern, text)
        if len(found) != 1:
            raise InputError(
                f"--syncnet: expected the lines 'AV offset', 'Min dist' and 'Confidence' once each, got {len(found)} "
                f"of {pattern.split(':')[0]!r} in {path}."
            )
        figures[key] = float(found[0])
    return figures


def action_unit_errors(real: Path, rendered: Path) -> Figures:
    """Mean absolute difference of the action units of two videos, frame by frame, by half of the face.

    Raises:
        InputError: a file is missing, is no such CSV, or the two share no frame in which both found a face.
    """
    options = ("--openface-real", "--openface-avatar")
    tables = [_openface(path, option) for path, option in zip((real, rendered), options, strict=True)]
    frames = sorted(set(tables[0]) & set(tables[1]))
    if not frames:
        raise InputError(f"{options[1]}: expected frames in which both videos show a face, found none in {rendered}.")
    units = sorted(set(tables[0][frames[0]]) & set(tables[1][frames[0]]))
    errors = {u: sum(abs(tables[0][f][u] - tables[1][f][u]) for f in frames) / len(frames) for u in units}
    upper = [e for u, e in errors.items() if u in UPPER_FACE]
    lower = [e for u, e in errors.items() if u not in UPPER_FACE]
    return {
        "au_error_lower": sum(lower) / len(lower) if lower else None,
        "au_error_upper": sum(upper) / len(upper) if upper else None,
        "au_frames": float(len(frames)),
    }


def _openface(path: Path, option: str) -> dict[int, Row]:
    """Strengths by frame number, of frames with a face."""
    rows: dict[int, Row] = {}
    reader = csv.DictReader(_text(path, option).splitlines(), skipinitialspace=True)
    names = [n.strip() for n in reader.fieldnames or []]
    units = [n for n in names if re.fullmatch(r"AU\d\d_r", n)]
    if not units or "frame" not in names or "success" not in names:
        raise InputError(
            f"{option}: expected OpenFace's CSV with frame, success and AU01_r and so on, got {names[:6]} in {path}."
        )
    for number, line in enumerate(reader, 2):
        cells = {(k or "").strip(): v for k, v in line.items()}
        try:
            values = {u: float(cells[u]) for u in units}
            frame, success = int(float(cells["frame"])), float(cells["success"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{option}: expected numbers in line {number} of {path}, got others ({error}).") from error
        if success and all(math.isfinite(v) for v in values.values()):
            rows[frame] = values
    return rows


def _text(path: Path, option: str) -> str:
    if not path.is_file():
        raise InputError(f"{option}: expected a file, found none at {path}.")
    if path.stat().st_size > LARGEST_BYTES:
        raise InputError(f"{option}: expected at most 256 MiB, got {path.stat().st_size} bytes in {path}.")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{option}: expected text, could not read {path} ({error}).") from error
