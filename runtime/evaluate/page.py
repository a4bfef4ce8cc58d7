"""The one page of a report: pictures inside it, so that it can be sent around."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import jinja2
from PIL import Image

from gstalker.runtime.evaluate import plots
from gstalker.runtime.evaluate.comparison_video import DIFFERENCE_GAIN
from gstalker.runtime.evaluate.report import AllFigures, PictureSection, PlotSection
from gstalker.runtime.evaluate.tables import Cell, Row, Table, figure_table
from gstalker.runtime.evaluate.voice import VoiceReport

JPEG_QUALITY = 92


@dataclass(frozen=True)
class PageContent:
    """What the page shows.

    Attributes:
        frames_of_clips: clip -> measured frames.
        composited: (subject, what its pictures are made of).
        reader: what found lips and lids in the pictures.
        skipped: what was not measured and why.
        video: file name beside the page; None without one.
        video_width_px: its own width.
        plot_folder: where the plots' files are.
        conditions: (name, text) of machine, versions, options, time.
    """

    title: str
    subtitle: str
    figures: AllFigures
    frames_of_clips: dict[str, int]
    composited: list[tuple[str, str]]
    reader: str | None
    skipped: list[str]
    pictures: list[PictureSection]
    plot_folder: Path
    plots: list[PlotSection]
    video: str | None
    video_width_px: int
    voice: VoiceReport | None
    voice_picture: Path | None
    voice_video: str | None
    conditions: list[tuple[str, str]]


def write_page(path: Path, content: PageContent) -> None:
    """Write index.html."""
    template = resources.files(__package__ or "gstalker.runtime.evaluate").joinpath("page.html")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    figures = content.figures
    frames = sum(content.frames_of_clips.values())
    html = environment.from_string(template.read_text(encoding="utf-8")).render(
        title=content.title,
        subtitle=content.subtitle,
        clips_text=f"{len(content.frames_of_clips)} held-out clips, {frames} frames.",
        headline_text=(
            "PSNR is the mean over frames of each frame's PSNR, of the model's own full picture rounded to 8 bits; "
            "what it was composited from stands below."
        ),
        main=figure_table(figures.overall, figures.real, main_only=True),
        full=figure_table(figures.overall, figures.real, main_only=False, define=True),
        clips=[
            {
                "name": name,
                "text": f"{content.frames_of_clips[name]} frames",
                "table": figure_table(own, figures.real_of_clips[name], main_only=True),
            }
            for name, own in figures.clips.items()
        ],
        reader=content.reader,
        skipped=content.skipped,
        composited=content.composited,
        pictures=[{"title": p.title, "text": p.text, "source": _photo_source(p.path)} for p in content.pictures],
        plots=[_plot(content.plot_folder, p) for p in content.plots if p.name != "voice"],
        video=content.video,
        video_width_px=content.video_width_px,
        difference_gain=DIFFERENCE_GAIN,
        first_subject=next(iter(figures.overall)),
        voice=_voice(content),
        conditions=content.conditions,
    )
    path.write_text(html, encoding="utf-8")


def _voice(content: PageContent) -> dict[str, object] | None:
    voice = content.voice
    if voice is None:
        return None
    own, real = voice.figures(), content.figures.real
    rows = []
    for key, label, unit, decimals in (
        ("lip_opening_spread_px", "spread of the lip opening", "px", 2),
        ("loudness_correlation", "lip opening and loudness", "", 3),
        ("loudness_lag_s", "lag behind loudness", "s", 2),
        ("loudness_correlation_at_lag", "correlation at that lag", "", 3),
        ("sync_confidence", "sync surrogate, confidence", "", 3),
        ("sync_lag_ms", "sync surrogate, lag", "ms", 0),
        ("sync_confidence_shuffled", "sync surrogate, sound of another moment", "", 3),
    ):
        values = [own.get(key), real.get(key)]
        if key.startswith("sync") and values == [None, None]:
            continue
        texts = [f"{v:.{decimals}f}" if isinstance(v, float) else "–" for v in values]
        rows.append(Row(label, unit, "", [Cell(texts[0]), Cell(texts[1], "real")]))
    spoken = f"{voice.seconds:.1f} s of {voice.source_seconds:.1f} s were spoken"
    plot = next((p for p in content.plots if p.name == "voice"), None)
    return {
        "source": voice.source,
        "text": f"{spoken} with the head held still. Frames without a face: {voice.faces_missed}.",
        "table": Table(["another voice", "real person on the test clips"], rows),
        "picture": _photo_source(content.voice_picture) if content.voice_picture else None,
        "plot": _plot(content.plot_folder, plot) if plot else None,
        "video": content.voice_video,
    }


def _plot(folder: Path, section: PlotSection) -> dict[str, str]:
    light, dark = (_drawing_source(plots.plot_path(folder, section.name, theme)) for theme in plots.THEMES)
    return {"title": section.title, "text": section.text, "alt": section.title, "light": light, "dark": dark}


def _photo_source(path: Path) -> str:
    """A sheet of photographs as JPEG inside the page: a fifth of the PNG's size."""
    buffer = io.BytesIO()
    with Image.open(path) as image:
        image.convert("RGB").save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _drawing_source(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
