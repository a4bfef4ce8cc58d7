"""`gstalker eval`: run in, report out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Table


@dataclass(frozen=True)
class Evaluate:
    """Measure a run on the held-out clips of its dataset, next to what a simpler model would show."""

    run_folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(name="run")]
    """Folder that `gstalker train` wrote."""
    out: Path
    """Folder of the report: index.html, metrics.json, pictures, plots, videos. An earlier report is replaced."""
    dataset: Path | None = None
    """The run's dataset, if it is no longer where it was in training."""
    clips: int | None = None
    """Measure the first so many held-out clips only."""
    frames: int | None = None
    """Measure the first so many frames of each clip only."""
    face_reader: Literal["auto", "mediapipe", "fitted"] = "auto"
    """What finds lips and lids in the pictures. mediapipe: its face landmarker. fitted: a regression on the
    training clips. auto: mediapipe for a filmed person where the model is found, else fitted."""
    face_model: Path | None = None
    """MediaPipe's face_landmarker.task; otherwise from $GSTALKER_MODELS or the user's cache."""
    lpips_weights: Path | None = None
    """AlexNet LPIPS weights, lpips_alex.npz; otherwise from $GSTALKER_MODELS. Without them no LPIPS."""
    lpips_every: int = 5
    """LPIPS on every so many frames."""
    voice: Path | None = None
    """A WAV of another speaker: does that voice move the mouth?"""
    voice_seconds: float = 20.0
    """Speak at most so many seconds of it."""
    sync_scorer: Path | None = None
    """A lip-sync scorer, .safetensors, made by `python -m gstalker.runtime.evaluate.sync_training`: confidence and lag
    of a surrogate, for the real pictures, the avatar, and both with other sound."""
    syncnet: Path | None = None
    """A text file with what SyncNet's demo printed of the avatar's video."""
    openface_real: Path | None = None
    """OpenFace's CSV of the real video, together with --openface-avatar."""
    openface_avatar: Path | None = None
    """OpenFace's CSV of the avatar's video."""
    video: bool = True
    """Write real | rendered | difference as MP4 with sound."""

    def run(self) -> None:
        from gstalker.cli.progress import RichProgress
        from gstalker.runtime.evaluate.config import EvalConfig
        from gstalker.runtime.evaluate.evaluate_run import evaluate_run
        from gstalker.runtime.evaluate.tables import figure_table

        config = EvalConfig(
            dataset=self.dataset,
            clips=self.clips,
            frames=self.frames,
            lpips_weights=self.lpips_weights,
            lpips_every=self.lpips_every,
            face_reader=self.face_reader,
            face_model=self.face_model,
            voice=self.voice,
            voice_seconds=self.voice_seconds,
            sync_scorer=self.sync_scorer,
            syncnet=self.syncnet,
            openface_real=self.openface_real,
            openface_avatar=self.openface_avatar,
            video=self.video,
        )
        with RichProgress() as progress:
            result = evaluate_run(self.run_folder, self.out, config, progress)

        console = Console(highlight=False)
        console.width = max(console.width, 132)  # a column a subject; a narrower terminal wraps whole lines
        part = figure_table(result.figures.overall, result.figures.real, main_only=True)
        table = Table(box=None, header_style="bold")
        table.add_column("")
        for name in part.columns:
            table.add_column(escape(name), justify="right")
        for row in part.rows:
            cells = [f"[bold]{c.text}[/]" if c.kind == "best" else c.text for c in row.cells]
            table.add_row(escape(f"{row.label} {row.unit}".strip()), *cells)
        console.print(table)
        for line in result.skipped:
            console.print(f"not measured: {escape(line)}", soft_wrap=True)
        console.print(f"report written to {escape(str(result.report / 'index.html'))}", soft_wrap=True)
        console.print(f"it took {result.seconds:.0f} s", soft_wrap=True)
