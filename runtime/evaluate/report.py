"""Everything an evaluation leaves on disk: figures, curves, pictures, plots and the page that shows them.

REPORT/
  index.html            the page; holds its pictures, so it can be sent around (videos lie beside it)
  metrics.json          every figure, overall and by clip, with machine, versions and options
  frames.csv            every curve: a line a subject and frame
  comparison.mp4        real | rendered | difference, with sound
  voice.mp4             another voice, where one was given
  pictures/, plots/     what the page shows, as files
"""

from __future__ import annotations

import csv
import json
import math
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from gstalker.runtime.evaluate import plots
from gstalker.runtime.evaluate.comparison_video import DIFFERENCE_GAIN, difference
from gstalker.runtime.evaluate.curves import MeasuredClip
from gstalker.runtime.evaluate.face_measures import lip_distance_px
from gstalker.runtime.evaluate.keepsakes import ClipKeepsakes
from gstalker.runtime.evaluate.picture_measures import REGIONS, psnr_from_mse
from gstalker.runtime.evaluate.strips import sheet
from gstalker.runtime.evaluate.summary import Figures, add_gains, real_figures, subject_figures
from gstalker.runtime.evaluate.voice import VoiceReport

METRICS_VERSION = 1
SHEET_CELL_PX = 208  # a picture on a sheet; mouths are shown at this width too


@dataclass(frozen=True)
class AllFigures:
    """Figures by subject, overall and by clip; `real` is of the real pictures themselves."""

    overall: dict[str, Figures]
    real: Figures
    clips: dict[str, dict[str, Figures]]
    real_of_clips: dict[str, Figures]


def all_figures(clips: list[MeasuredClip]) -> AllFigures:
    """Sum curves up."""
    subjects = list(clips[0].subjects)
    overall = {name: subject_figures(clips, name) for name in subjects}
    add_gains(overall)
    by_clip = {}
    for clip in clips:
        by_clip[clip.name] = {name: subject_figures([clip], name) for name in subjects}
        add_gains(by_clip[clip.name])
    return AllFigures(overall, real_figures(clips), by_clip, {c.name: real_figures([c]) for c in clips})


def write_metrics(path: Path, figures: AllFigures, about: dict[str, object]) -> None:
    """Write metrics.json; a figure that could not be measured is null."""
    document = {
        "format_version": METRICS_VERSION,
        "headline": "PSNR is the mean over frames of each frame's PSNR; *_of_mean_db is that of the mean error",
        "overall": figures.overall,
        "real_picture": figures.real,
        "clips": {
            name: {"subjects": own, "real_picture": figures.real_of_clips[name]} for name, own in figures.clips.items()
        },
        **about,
    }
    path.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def write_frames_csv(path: Path, clips: list[MeasuredClip]) -> None:
    """Write every curve, real faces under the subject 'real'; unknown values are empty."""
    faces = ["lip_opening_px", "lid_opening_px", "blink"]
    heading = ["clip", "frame", "subject", *(f"{r}_psnr_db" for r in REGIONS), "ssim", "lpips"]
    heading += ["lmd_px", "lmd_centred_px", *faces, "loudness_db"]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(heading)
        for clip in clips:
            real = clip.real or clip.tracked
            for t in range(clip.frames):
                blank = [""] * (len(REGIONS) + 4)
                own = [_text(getattr(real, f)[t]) for f in faces]
                writer.writerow([clip.name, t, "real", *blank, *own, _text(clip.loudness_db[t])])
            for name, curves in clip.subjects.items():
                columns = [psnr_from_mse(curves.mse[r]) for r in REGIONS] + [curves.ssim, curves.lpips]
                face = curves.face
                if face is not None and clip.real is not None:
                    columns += [
                        lip_distance_px(face.landmarks_px, clip.real.landmarks_px, centred=centred)
                        for centred in (False, True)
                    ]
                    columns += [getattr(face, f) for f in faces]
                else:
                    columns += [[math.nan] * clip.frames] * 5
                for t in range(clip.frames):
                    writer.writerow([clip.name, t, name, *(_text(c[t]) for c in columns), ""])


@dataclass(frozen=True)
class PictureSection:
    """A sheet of pictures on the page."""

    title: str
    text: str
    path: Path


def write_sheets(
    folder: Path, keepsakes: list[ClipKeepsakes], figures: AllFigures, subjects: list[str]
) -> list[PictureSection]:
    """Write the sheets of pictures: a typical clip, mouths of the typical and the worst clip, worst frames."""
    folder.mkdir(parents=True, exist_ok=True)

    def quality(kept: ClipKeepsakes) -> float:
        value = figures.clips[kept.name][subjects[0]].get("mouth_psnr_db")
        return -math.inf if value is None else value

    ranked = sorted(keepsakes, key=quality)
    typical, worst = ranked[len(ranked) // 2], ranked[0]
    rows = ["real", *subjects]
    sections = []

    def save(name: str, image: Image.Image, title: str, text: str) -> None:
        image.save(folder / f"{name}.png")
        sections.append(PictureSection(title, text, folder / f"{name}.png"))

    def moments(kept: ClipKeepsakes) -> list[str]:
        return [f"frame {t}" for t in kept.moments]

    width = typical.pictures["real"][0].shape[1]
    save(
        "typical_clip",
        sheet([(r, typical.pictures[r]) for r in rows], moments(typical), scale=SHEET_CELL_PX / width),
        f"Clip {typical.name}",
        "The clip of median mouth-box PSNR; moments spread over how far the real lips open, and the most closed eyes.",
    )
    for kept, which in ((typical, "the same clip"), (worst, "the clip of lowest mouth-box PSNR")):
        mouths = {r: kept.mouths(r) for r in rows}
        mouth_width = mouths["real"][0].shape[1]
        save(
            f"mouths_{'typical' if kept is typical else 'worst'}",
            sheet([(r, mouths[r]) for r in rows], moments(kept), scale=SHEET_CELL_PX / mouth_width),
            f"Mouths of {kept.name}",
            f"The mouth boxes of {which}, enlarged.",
        )
        if worst is typical:
            break
    bad = sorted((k for k in keepsakes if k.worst), key=lambda k: k.worst.mse if k.worst else 0.0)[::-1][:8]
    found = [(k.name, k.worst) for k in bad if k.worst]
    save(
        "worst_frames",
        sheet(
            [
                ("real", [w.real for _, w in found]),
                (subjects[0], [w.rendered for _, w in found]),
                (f"difference x {DIFFERENCE_GAIN}", [difference(w.rendered, w.real) for _, w in found]),
            ],
            [f"{name}, frame {w.frame}" for name, w in found],
            scale=SHEET_CELL_PX / width,
        ),
        f"Worst frames of {subjects[0]}",
        "The frame of lowest PSNR of each clip, worst first.",
    )
    return sections


def write_voice_sheet(folder: Path, voice: VoiceReport) -> Path:
    """Write the moments of another voice."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "voice.png"
    pictures = [picture for _, picture in voice.moments]
    scale = SHEET_CELL_PX / pictures[0].shape[1]
    image = sheet([(voice.subject, pictures)], [f"{s:.2f} s" for s, _ in voice.moments], scale=scale)
    image.save(path)
    return path


@dataclass(frozen=True)
class PlotSection:
    """A plot on the page; files by `plots.plot_path`."""

    name: str
    title: str
    text: str


def write_plots(
    folder: Path, clips: list[MeasuredClip], figures: AllFigures, voice: VoiceReport | None
) -> list[PlotSection]:
    """Draw the plots for both themes; those without anything to show are left out."""
    subjects = list(clips[0].subjects)
    first = subjects[0]
    sections = [
        PlotSection("lip_opening", "Lip opening over time", "Distance of the inner lips; behind it the loudness."),
        PlotSection("lid_opening", "Lid opening over time", "Distance between the lids, mean of both eyes."),
        PlotSection("clips", "Clip by clip", "How even the quality is over the held-out clips."),
        PlotSection("frames", "PSNR over frames", "One clip after the other."),
    ]
    drawn = set()
    for theme in plots.THEMES:
        paths = {s.name: plots.plot_path(folder, s.name, theme) for s in sections}
        if plots.opening_plot(paths["lip_opening"], theme, clips, first, lids=False):
            drawn.add("lip_opening")
        if plots.opening_plot(paths["lid_opening"], theme, clips, first, lids=True):
            drawn.add("lid_opening")
        plots.clips_plot(paths["clips"], theme, [c.name for c in clips], subjects, figures.clips)
        plots.frames_plot(paths["frames"], theme, clips, subjects)
        drawn |= {"clips", "frames"}
        if voice is not None:
            path = plots.plot_path(folder, "voice", theme)
            if plots.voice_plot(path, theme, voice):
                drawn.add("voice")
    if "voice" in drawn:
        sections.append(PlotSection("voice", "Lip opening over time", "Behind it the loudness."))
    return [s for s in sections if s.name in drawn]


def _text(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else ""
