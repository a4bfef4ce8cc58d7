"""The report's plots, each drawn for a light and for a dark page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gstalker.runtime.dataset import FPS
from gstalker.runtime.evaluate.curves import MeasuredClip
from gstalker.runtime.evaluate.picture_measures import psnr_from_mse
from gstalker.runtime.evaluate.summary import Figures
from gstalker.runtime.evaluate.voice import VoiceReport

DPI = 120
MOST_PANELS = 12


@dataclass(frozen=True)
class Theme:
    """Colours of a page; series are told apart by colour-blind readers and in grey."""

    name: str
    paper: str
    ink: str
    faint: str
    sound: str
    series: tuple[str, ...]


LIGHT = Theme(
    name="light",
    paper="#ffffff",
    ink="#1c1c1e",
    faint="#d9d9de",
    sound="#e4e8f0",
    series=("#0b62c4", "#d1610a", "#6f6f76", "#0d8a6a", "#a23b9b", "#8a6d00"),
)
DARK = Theme(
    name="dark",
    paper="#1b1c20",
    ink="#ececf0",
    faint="#3a3b42",
    sound="#2b303b",
    series=("#5aa6ff", "#ff9d4d", "#a0a0a8", "#3fcf9f", "#e08ad9", "#d9bb4a"),
)
THEMES = (LIGHT, DARK)
MARKERS = "osD^vP"


def plot_path(folder: Path, name: str, theme: Theme) -> Path:
    """Where a plot lies: NAME.png for the light page, NAME_dark.png for the dark one."""
    return folder / (f"{name}.png" if theme.name == "light" else f"{name}_{theme.name}.png")


def opening_plot(path: Path, theme: Theme, clips: Sequence[MeasuredClip], subject: str, *, lids: bool) -> bool:
    """Lip (or lid) opening over time, real and rendered, a panel a clip; the loudness of the speech behind.

    Returns:
        False, and writes nothing, where no clip has faces.
    """
    curve = "lid_opening_px" if lids else "lip_opening_px"
    shown = [c for c in clips if c.real is not None and c.subjects[subject].face is not None][:MOST_PANELS]
    if not shown:
        return False
    columns = min(2, len(shown))
    figure = _figure(theme, 11.5, 1.65 * -(-len(shown) // columns) + 0.6)
    axes = figure.subplots(-(-len(shown) // columns), columns, squeeze=False, sharey=True)
    for panel in axes.ravel()[len(shown) :]:
        panel.set_visible(False)
    top = max(float(np.nanmax(getattr(c.real, curve))) for c in shown) * 1.15 + 0.5
    for panel, clip in zip(axes.ravel(), shown, strict=False):
        seconds = np.arange(clip.frames) / FPS
        if not lids:
            level = np.nan_to_num(clip.loudness_db / max(float(np.nanmax(clip.loudness_db)), 1e-6))
            panel.fill_between(seconds, 0, level * top, color=theme.sound, linewidth=0, label="loudness")
        panel.plot(seconds, getattr(clip.real, curve), color=theme.ink, linewidth=1.6, label="real")
        face = clip.subjects[subject].face
        panel.plot(seconds, getattr(face, curve), color=theme.series[0], linewidth=1.6, label=subject)
        panel.set_ylim(0, top)
        panel.set_xlim(0, max(seconds[-1], 1 / FPS))
        panel.set_title(clip.name, loc="left", fontsize=8, color=theme.ink, pad=3)
        _dress(panel, theme)
    for panel in axes[:, 0]:
        panel.set_ylabel("px", color=theme.ink, fontsize=8)
    for panel in axes.ravel()[max(0, len(shown) - columns) : len(shown)]:
        panel.set_xlabel("s", color=theme.ink, fontsize=8)
    _legend(figure, axes[0, 0], theme)
    _save(figure, path)
    return True


def frames_plot(path: Path, theme: Theme, clips: Sequence[MeasuredClip], subjects: Sequence[str]) -> None:
    """PSNR of the full picture and of the mouth box over all measured frames, one clip after the other."""
    figure = _figure(theme, 11.5, 5.2)
    axes = figure.subplots(2, 1, sharex=True)
    edges = np.cumsum([0] + [c.frames for c in clips])
    for panel, (region, title) in zip(
        axes, (("full", "PSNR, full picture"), ("mouth", "PSNR, mouth box")), strict=True
    ):
        for number, name in reversed(list(enumerate(subjects))):
            values = np.concatenate([psnr_from_mse(c.subjects[name].mse[region]) for c in clips])
            colour = theme.series[number % len(theme.series)]
            panel.plot(values, color=colour, linewidth=1.5 if number == 0 else 0.8, label=name)
        for edge in edges[1:-1]:
            panel.axvline(edge - 0.5, color=theme.faint, linewidth=1)
        panel.set_title(title, loc="left", fontsize=9, color=theme.ink)
        panel.set_ylabel("dB", color=theme.ink, fontsize=8)
        panel.set_xlim(0, max(edges[-1] - 1, 1))
        _dress(panel, theme)
    axes[1].set_xticks((edges[:-1] + edges[1:]) / 2 - 0.5, [c.name for c in clips], fontsize=7, rotation=20)
    axes[1].tick_params(axis="x", length=0)
    _legend(figure, axes[0], theme, reverse=True)
    _save(figure, path)


def clips_plot(
    path: Path,
    theme: Theme,
    names: Sequence[str],
    subjects: Sequence[str],
    figures: dict[str, dict[str, Figures]],
) -> None:
    """A few figures of each clip, a mark a subject: how even the quality is.

    Args:
        names: clips.
        figures: clip -> subject -> figures.
    """
    rows = [
        (key, label)
        for key, label in (
            ("psnr_db", "PSNR, full picture, dB"),
            ("mouth_psnr_db", "PSNR, mouth box, dB"),
            ("lmd_px", "lip distance, px"),
            ("lip_opening_correlation", "lip opening, correlation"),
        )
        if any(figures[n][s].get(key) is not None for n in names for s in subjects)
    ]
    figure = _figure(theme, 11.5, 1.7 * len(rows) + 0.8)
    axes = figure.subplots(len(rows), 1, sharex=True, squeeze=False)[:, 0]
    for panel, (key, label) in zip(axes, rows, strict=True):
        for number, subject in enumerate(subjects):
            values = [figures[n][subject].get(key) for n in names]
            shift = (number - (len(subjects) - 1) / 2) * 0.12
            panel.plot(
                np.arange(len(names)) + shift,
                [np.nan if v is None else v for v in values],
                MARKERS[number % len(MARKERS)],
                color=theme.series[number % len(theme.series)],
                markersize=6,
                label=subject,
            )
        panel.set_title(label, loc="left", fontsize=9, color=theme.ink)
        values = [v for n in names for s in subjects if (v := figures[n][s].get(key)) is not None]
        if key == "lmd_px" and min(values) > 0 and max(values) > 4 * min(values):
            panel.set_yscale("log")  # pasted frames are off by whole heads and would press the others flat
            panel.yaxis.set_major_formatter("{x:g}")
            panel.yaxis.set_minor_formatter("{x:g}")
        _dress(panel, theme)
        panel.grid(axis="y", color=theme.faint, linewidth=0.6)
        for edge in range(1, len(names)):
            panel.axvline(edge - 0.5, color=theme.faint, linewidth=0.6)
        panel.set_xlim(-0.5, len(names) - 0.5)
    axes[-1].set_xticks(np.arange(len(names)), list(names), fontsize=7, rotation=20)
    _legend(figure, axes[0], theme)
    _save(figure, path)


def voice_plot(path: Path, theme: Theme, report: VoiceReport) -> bool:
    """Lip opening over time for another voice, its loudness behind. False where no face was looked for."""
    if report.lip_opening_px is None or not np.isfinite(report.lip_opening_px).any():
        return False
    figure = _figure(theme, 11.5, 2.4)
    panel = figure.subplots()
    seconds = np.arange(len(report.lip_opening_px)) / FPS
    top = float(np.nanmax(report.lip_opening_px)) * 1.15 + 0.5
    level = np.nan_to_num(report.loudness_db / max(float(np.nanmax(report.loudness_db)), 1e-6))
    panel.fill_between(seconds, 0, level * top, color=theme.sound, linewidth=0, label="loudness")
    panel.plot(seconds, report.lip_opening_px, color=theme.series[0], linewidth=1.4, label=report.subject)
    panel.set_xlim(0, max(seconds[-1], 1 / FPS))
    panel.set_ylim(0, top)
    panel.set_ylabel("lip opening, px", color=theme.ink, fontsize=8)
    panel.set_xlabel("s", color=theme.ink, fontsize=8)
    _dress(panel, theme)
    _legend(figure, panel, theme)
    _save(figure, path)
    return True


def _figure(theme: Theme, width_in: float, height_in: float) -> Figure:
    figure = Figure(figsize=(width_in, height_in), dpi=DPI, facecolor=theme.paper, layout="constrained")
    FigureCanvasAgg(figure)  # no window system, whatever the user's settings say
    return figure


def _dress(panel: Axes, theme: Theme) -> None:
    panel.set_facecolor(theme.paper)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        panel.spines[side].set_color(theme.faint)
    panel.tick_params(which="both", colors=theme.ink, labelsize=7, width=0.6)


def _legend(figure: Figure, panel: Axes, theme: Theme, *, reverse: bool = False) -> None:
    handles, labels = panel.get_legend_handles_labels()
    step = -1 if reverse else 1
    legend = figure.legend(
        handles[::step],
        labels[::step],
        loc="outside upper right",
        ncols=len(labels),
        fontsize=8,
        frameon=False,
    )
    for text in legend.get_texts():
        text.set_color(theme.ink)


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
