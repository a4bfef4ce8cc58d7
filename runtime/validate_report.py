"""The report of `validate`: verdicts, report.json, difference pictures and one page that can be sent around."""

from __future__ import annotations

import base64
import json
import math
import platform
import shutil
from dataclasses import asdict, dataclass
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from PIL import Image

from gstalker.runtime.errors import InputError
from gstalker.runtime.metrics import DifferenceStats
from gstalker.runtime.session import SessionEnd, SessionInfo
from gstalker.runtime.session.captures import to_uint8
from gstalker.runtime.validate_timing import SOUND_LAGS_AT_MOST_MS, SOUND_LEADS_AT_MOST_MS, Timing

FORMAT_VERSION = 1
LARGEST_GAIN = 256
PICTURES = "pictures"


@dataclass(frozen=True, eq=False)
class Comparison:
    """One picture against what it should be; (H, W, 3) float32, display space."""

    name: str
    frame_index: int
    difference: DifferenceStats
    ssim: float
    expected: np.ndarray
    got: np.ndarray


@dataclass(frozen=True)
class Group:
    """The comparisons that answer one question.

    Attributes:
        name: for file names; title: for people.
        threshold_db: every single picture must reach it.
        overall_psnr_db: of the mean squared error over all pictures.
    """

    name: str
    title: str
    threshold_db: float
    comparisons: tuple[Comparison, ...]
    overall_psnr_db: float

    @property
    def worst(self) -> Comparison:
        return min(self.comparisons, key=lambda c: c.difference.psnr_db)

    @property
    def passed(self) -> bool:
        return self.worst.difference.psnr_db >= self.threshold_db  # NaN fails


@dataclass(frozen=True)
class ValidationReport:
    """All that was found out about one session.

    Attributes:
        recorded: how the recording ended; None where the recorder was killed.
        worst_by_quick_renderer: index of the frame that quantising changes most; None without unquantised frames.
    """

    session: str
    info: SessionInfo
    frame_count: int
    recorded: SessionEnd | None
    groups: list[Group]
    timing: Timing
    worst_by_quick_renderer: int | None

    def checks(self) -> list[tuple[str, bool, str]]:
        """(what, whether it holds, the figures) of everything that decides the verdict."""
        found = [
            (
                group.title,
                group.passed,
                f"worst {_db(group.worst.difference.psnr_db)} at {group.worst.name}, "
                f"at least {group.threshold_db:g} dB wanted",
            )
            for group in self.groups
        ]
        found.append(
            (
                "Presentation times follow the frame numbers and the sound",
                self.timing.stamps_agree,
                f"worst {1e3 * self.timing.worst_stamp_error_s:.3f} ms",
            )
        )
        together = self.timing.sound_and_picture_together
        if together is not None and self.timing.picture_behind_sound_ms is not None:
            smallest, median, largest = self.timing.picture_behind_sound_ms
            found.append(
                (
                    "Sound and picture arrive in time for each other",
                    together,
                    f"picture behind sound {smallest:.1f} to {largest:.1f} ms, median {median:.1f} ms; "
                    f"-{SOUND_LAGS_AT_MOST_MS:g} to +{SOUND_LEADS_AT_MOST_MS:g} ms allowed (ITU-R BT.1359)",
                )
            )
        return found

    @property
    def passed(self) -> bool:
        return all(holds for _, holds, _ in self.checks())

    def notes(self) -> list[str]:
        """What is not an error of drawing, but should be known."""
        timing, notes = self.timing, []
        if timing.missing_frames:
            notes.append(f"{len(timing.missing_frames)} frames never came: {_some(timing.missing_frames)}.")
        if timing.missing_audio:
            notes.append(f"{len(timing.missing_audio)} pieces of sound never came: {_some(timing.missing_audio)}.")
        if timing.sent_late or timing.arrived_late:
            notes.append(
                f"{timing.sent_late} frames left after their presentation time, {timing.arrived_late} arrived after it."
            )
        if self.worst_by_quick_renderer is None:
            notes.append("No unquantised frames were recorded, so what the wire loses was not measured.")
        if timing.picture_behind_sound_ms is None:
            notes.append("The session has no sound.")
        if self.recorded is None:
            notes.append("The recorder did not end by itself; what is read here came before it was killed.")
        elif not self.recorded.complete:
            notes.append(f"The recording is incomplete: {self.recorded.reason}")
        return notes


def prepare_folder(out: Path) -> None:
    """Make the folder of the report, in place of an earlier one.

    Raises:
        InputError: it holds something that is not a report.
    """
    if out.exists():
        if not out.is_dir() or (any(out.iterdir()) and not (out / "report.json").is_file()):
            raise InputError(f"{out}: expected a new folder or an earlier report, it holds other files. Give another.")
        shutil.rmtree(out)
    (out / PICTURES).mkdir(parents=True)


def write_report(out: Path, report: ValidationReport) -> None:
    """Write the difference pictures, index.html, and report.json last, whose presence makes the report complete."""
    for group in report.groups:
        for comparison in group.comparisons:
            strip, _ = difference_strip(comparison)
            Image.fromarray(strip).save(out / PICTURES / _file_name(group, comparison))
    (out / "index.html").write_text(_page(out, report), encoding="utf-8")
    text = json.dumps(report_json(report), indent=1, allow_nan=False)
    (out / "report.json").write_text(text + "\n", encoding="utf-8")


def difference_strip(comparison: Comparison) -> tuple[np.ndarray, int]:
    """Expected | got | absolute difference times a gain, side by side, (H, 3 W, 3) uint8; and the gain."""
    difference = np.abs(comparison.expected - comparison.got)
    largest = float(difference.max())
    gain = LARGEST_GAIN if largest * LARGEST_GAIN <= 1 else max(1, 2 ** math.floor(math.log2(1 / largest)))
    return to_uint8(np.concatenate([comparison.expected, comparison.got, difference * gain], axis=1)), gain


def report_json(report: ValidationReport) -> dict[str, Any]:
    """The report as JSON; a PSNR of null means equal pictures."""
    return {
        "format_version": FORMAT_VERSION,
        "passed": report.passed,
        "session": report.session,
        "avatar": report.info.avatar_name,
        "bundle_sha256": report.info.bundle_sha256,
        "frames": report.frame_count,
        "checks": [{"what": what, "passed": holds, "figures": text} for what, holds, text in report.checks()],
        "notes": report.notes(),
        "groups": [_group_json(group) for group in report.groups],
        "timing": asdict(report.timing),
        "worst_by_quick_renderer": report.worst_by_quick_renderer,
        "made_with": _made_with(report),
    }


def _group_json(group: Group) -> dict[str, Any]:
    return {
        "name": group.name,
        "title": group.title,
        "passed": group.passed,
        "threshold_db": group.threshold_db,
        "overall_psnr_db": _finite(group.overall_psnr_db),
        "worst": group.worst.name,
        "comparisons": [
            {
                "name": c.name,
                "frame_index": c.frame_index,
                "ssim": c.ssim,
                "picture": f"{PICTURES}/{_file_name(group, c)}",
                **{k: _finite(v) for k, v in asdict(c.difference).items()},
            }
            for c in group.comparisons
        ],
    }


def _page(out: Path, report: ValidationReport) -> str:
    template = resources.files("gstalker.runtime").joinpath("validate_page.html").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters["db"] = _db
    groups = []
    for group in report.groups:
        worst = group.worst
        data = (out / PICTURES / _file_name(group, worst)).read_bytes()
        groups.append(
            {
                "group": group,
                "gain": difference_strip(worst)[1],
                "source": "data:image/png;base64," + base64.b64encode(data).decode("ascii"),
                "rows": [(c, f"{PICTURES}/{_file_name(group, c)}") for c in group.comparisons],
            }
        )
    return environment.from_string(template).render(report=report, groups=groups, made_with=_made_with(report))


def _made_with(report: ValidationReport) -> dict[str, str]:
    return {
        "session": report.session,
        "avatar": f"{report.info.avatar_name}: {report.info.gaussian_count} Gaussians, {report.info.mover_count} move",
        "bundle": report.info.bundle_sha256,
        "served by": f"gstalker {report.info.server_version}, wire version {report.info.wire_version}",
        "validated by": f"gstalker {metadata.version('gstalker')}, Python {platform.python_version()}",
        "machine": f"{platform.system()} {platform.machine()}",
    }


def _file_name(group: Group, comparison: Comparison) -> str:
    safe = "".join(c if c.isalnum() or c in "-_" else "_" for c in comparison.name)
    return f"{group.name}_{safe}.png"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _db(value: float) -> str:
    return "equal" if value == math.inf else f"{value:.2f} dB"


def _some(numbers: tuple[int, ...]) -> str:
    shown = ", ".join(map(str, numbers[:8]))
    return shown if len(numbers) <= 8 else f"{shown}, ..."
