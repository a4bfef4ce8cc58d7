"""Is what was drawn what was trained? Compares a session's pictures with the reference renderer's.

Three questions, each with its own threshold in dB of PSNR:

    as sent    the reference on the 16-byte frames against the reference on the unquantised ones: what the wire loses
    client     the Python client's renderer (kernels.cpu) against the reference, both on the frames as sent
    pictures   what an engine, or the recorder, captured against the reference on the same frame and camera

The referee is slow, so the first two look at frames spread evenly over the session, and at the one that the quick
renderer finds worst among all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from gstalker.kernels import cpu, reference
from gstalker.kernels.camera import Camera
from gstalker.kernels.frame import assemble
from gstalker.kernels.gaussians import Gaussians
from gstalker.runtime.errors import InputError
from gstalker.runtime.metrics import difference_stats, psnr, psnr_from_mse, ssim
from gstalker.runtime.session import PICTURES, FrameEntry, SessionReader
from gstalker.runtime.session.captures import Capture, read_captures
from gstalker.runtime.validate_report import Comparison, Group, ValidationReport, prepare_folder, write_report
from gstalker.runtime.validate_timing import timing_of

Progress = Callable[[str, int, int], None]  # what, how many done, of how many


@dataclass(frozen=True)
class ValidateOptions:
    """How closely to look, and what is good enough."""

    reference_frames: int = 8  # spread evenly; the worst one comes on top
    as_sent_db: float = 55.0
    client_db: float = 50.0
    pictures_db: float = 50.0  # an 8-bit PNG of a perfect drawing has 59 dB by rounding alone


def validate_session(
    session: Path,
    out: Path,
    pictures: Path | None = None,
    options: ValidateOptions | None = None,
    progress: Progress = lambda what, done, total: None,
) -> ValidationReport:
    """Compare and write the report: report.json, index.html and difference pictures.

    Args:
        session: what `gstalker record` wrote.
        out: folder of the report; new, empty, or an earlier report to replace.
        pictures: captured pictures (runtime.session.captures); the session's own, if it has any, where None.
        options: how many frames, and the thresholds.
        progress: told of each step.

    Raises:
        InputError: a session or captures that cannot be read, or `out` holds something else.
    """
    options = options or ValidateOptions()
    if options.reference_frames < 1:
        raise InputError(f"reference frames: expected 1 or more, got {options.reference_frames}.")
    reader = SessionReader(session)
    if pictures is None and (reader.folder / PICTURES).is_dir():
        pictures = reader.folder / PICTURES
    captures = read_captures(pictures) if pictures else []
    drawer = _Drawer(reader)
    frames = {e.index: e for e in reader.frames("q16")}
    unquantised = {e.index: e for e in reader.frames("f32")}
    for capture in captures:
        _check_capture(capture, frames, reader)
    prepare_folder(out)

    worst = _worst_by_quick_renderer(drawer, frames, unquantised, progress)
    chosen = _spread(sorted(frames), options.reference_frames)
    if worst is not None:
        chosen = sorted({*chosen, worst})
    groups = [
        _as_sent(drawer, [(frames[i], unquantised[i]) for i in chosen if i in unquantised], options, progress),
        _client(drawer, [frames[i] for i in chosen], options, progress),
        _pictures(drawer, captures, frames, options, progress),
    ]
    report = ValidationReport(
        session=str(session),
        info=reader.info,
        frame_count=len(frames),
        recorded=reader.end,
        groups=[g for g in groups if g is not None],
        timing=timing_of(reader),
        worst_by_quick_renderer=worst,
    )
    write_report(out, report)
    return report


class _Drawer:
    """A session's frames as pictures."""

    def __init__(self, reader: SessionReader) -> None:
        self.reader = reader
        self.background = reader.plate / 255.0
        # Two payloads and a capture of one frame come close together: three kept pictures are enough.
        self.reference = lru_cache(maxsize=4)(self._reference)

    def cloud(self, entry: FrameEntry) -> Gaussians:
        return assemble(self.reader.canonical, self.reader.part_ids, self.reader.read_frame(entry))

    def quick(self, entry: FrameEntry) -> np.ndarray:
        return cpu.render(self.cloud(entry), self.reader.camera, self.background).rgb

    def _reference(self, entry: FrameEntry) -> np.ndarray:
        return self.reference_at(entry, self.reader.camera, self.background)

    def reference_at(self, entry: FrameEntry, camera: Camera, background: np.ndarray) -> np.ndarray:
        return reference.render(self.cloud(entry), camera, background).rgb


def _spread(indices: list[int], count: int) -> list[int]:
    """At most `count` of the numbers, evenly spread, each end half a step in."""
    if len(indices) <= count:
        return indices
    return [indices[int((k + 0.5) * len(indices) / count)] for k in range(count)]


def _worst_by_quick_renderer(
    drawer: _Drawer, frames: dict[int, FrameEntry], unquantised: dict[int, FrameEntry], progress: Progress
) -> int | None:
    """The frame that quantising changes most; None where no unquantised frames were recorded."""
    both = sorted(frames.keys() & unquantised.keys())
    scores: dict[int, float] = {}
    for done, index in enumerate(both):
        progress("looking for the worst frame", done, len(both))
        scores[index] = psnr(drawer.quick(frames[index]), drawer.quick(unquantised[index]))
    return min(scores, key=lambda i: scores[i]) if scores else None


def _as_sent(
    drawer: _Drawer, pairs: list[tuple[FrameEntry, FrameEntry]], options: ValidateOptions, progress: Progress
) -> Group | None:
    if not pairs:
        return None
    comparisons = []
    for done, (sent, unquantised) in enumerate(pairs):
        progress("reference: as sent against unquantised", done, len(pairs))
        pictures = drawer.reference(unquantised), drawer.reference(sent)
        comparisons.append(_compare(f"frame {sent.index}", sent.index, *pictures))
    return _group(
        "as-sent",
        "The frames as sent, drawn by the reference, against the unquantised frames",
        options.as_sent_db,
        comparisons,
    )


def _client(drawer: _Drawer, entries: list[FrameEntry], options: ValidateOptions, progress: Progress) -> Group:
    comparisons = []
    for done, entry in enumerate(entries):
        progress("Python client against the reference", done, len(entries))
        comparisons.append(_compare(f"frame {entry.index}", entry.index, drawer.reference(entry), drawer.quick(entry)))
    return _group(
        "client", "The Python client's picture against the reference, both as sent", options.client_db, comparisons
    )


def _pictures(
    drawer: _Drawer,
    captures: list[Capture],
    frames: dict[int, FrameEntry],
    options: ValidateOptions,
    progress: Progress,
) -> Group | None:
    if not captures:
        return None
    comparisons = []
    for done, capture in enumerate(captures):
        progress("captured pictures against the reference", done, len(captures))
        background = np.array(capture.background_rgb) if capture.background_rgb else drawer.background
        expected = drawer.reference_at(frames[capture.frame_index], capture.camera, background)
        comparisons.append(_compare(capture.name, capture.frame_index, np.clip(expected, 0, 1), capture.rgb))
    drawn_by = ", ".join(sorted({c.drawn_by for c in captures}))
    return _group(
        "pictures", f"Captured pictures (by {drawn_by}) against the reference", options.pictures_db, comparisons
    )


def _check_capture(capture: Capture, frames: dict[int, FrameEntry], reader: SessionReader) -> None:
    if capture.frame_index not in frames:
        raise InputError(
            f"picture {capture.name}: expected a frame of the session, {min(frames)} to {max(frames)}, got "
            f"{capture.frame_index}. Record the session while the pictures are captured."
        )
    size = (capture.camera.width_px, capture.camera.height_px)
    own = (reader.camera.width_px, reader.camera.height_px)
    if not capture.background_rgb and size != own:
        raise InputError(
            f"picture {capture.name}: expected the plate's size {own[0]} x {own[1]} px, or a background_rgb, got "
            f"{size[0]} x {size[1]} before the plate."
        )


def _compare(name: str, frame_index: int, expected: np.ndarray, got: np.ndarray) -> Comparison:
    return Comparison(
        name=name,
        frame_index=frame_index,
        difference=difference_stats(expected, got),
        ssim=ssim(expected, got),
        expected=np.asarray(expected, np.float32),
        got=np.asarray(got, np.float32),
    )


def _group(name: str, title: str, threshold_db: float, comparisons: list[Comparison]) -> Group:
    errors = [((c.expected.astype(np.float64) - c.got) ** 2).mean() for c in comparisons]
    return Group(name, title, threshold_db, tuple(comparisons), overall_psnr_db=psnr_from_mse(float(np.mean(errors))))
