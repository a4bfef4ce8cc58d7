"""`gstalker prepare`: portrait videos to a dataset."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

NOTES_SHOWN = 20


@dataclass(frozen=True)
class Prepare:
    """Turn portrait videos of one person, with sound, into a dataset to train on."""

    videos: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Video files: one person, heard speaking. Any size and frame rate; several takes are welcome."""

    out: Path
    """Folder of the dataset to make."""

    size_px: int = 256
    """Width and height of the square pictures, pixels."""

    split: Path | None = None
    """JSON {"train": [...], "test": [...]} of file names without endings. Default: every tenth clip tests."""

    tracker: Literal["mediapipe", "sidecar"] = "mediapipe"
    """mediapipe: find the face. sidecar: exact tracks lie beside each video, as a made character has them."""

    face_model: Path | None = None
    """The file face_landmarker.task. Default: looked for in $GSTALKER_MODELS and the user's cache."""

    download_face_model: bool = False
    """Allow the face model (3.8 MB, Google, Apache-2.0) to be downloaded once if it is not found."""

    matte_model: Path | None = None
    """ONNX matte network such as ISNet, needed only where the backdrop is not plain and coloured: input
    (1, 3, S, S) RGB as (value - 128) / 256, first output (1, 1, S, S), 0 backdrop to 1 person."""

    focal_px: float | None = None
    """Focal length of the cropped pictures, pixels. Default: 2.2 times size-px."""

    jobs: int | None = None
    """Processes. Default: one a core."""

    overwrite: bool = False
    """Replace the dataset if it is there."""

    def run(self) -> None:
        """Prepare, with a progress bar."""
        from gstalker.runtime.dataset import read_manifest
        from gstalker.runtime.prepare.pipeline import PrepareConfig, prepare

        config = PrepareConfig(
            videos=self.videos,
            out=self.out,
            size_px=self.size_px,
            split=self.split,
            tracker=self.tracker,
            face_model=self.face_model,
            face_model_download=self.download_face_model,
            matte_model=self.matte_model,
            focal_px=self.focal_px,
            jobs=self.jobs,
            overwrite=self.overwrite,
        )
        console = Console()
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f} frames"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console) as bar:
            tasks: dict[str, TaskID] = {}

            def show(step: str, done: int, total: int) -> None:
                if step not in tasks:
                    tasks[step] = bar.add_task(step, total=total)
                bar.update(tasks[step], completed=done)

            folder = prepare(config, show)
        manifest = read_manifest(folder)
        notes = [f"{c.name}: {note}" for c in manifest.clips for note in c.notes]
        for line in notes[:NOTES_SHOWN]:
            console.print(line, markup=False, highlight=False)
        if len(notes) > NOTES_SHOWN:
            console.print(f"... and {len(notes) - NOTES_SHOWN} more such notes in {folder / 'dataset.json'}")
        tests = sum(c.split == "test" for c in manifest.clips)
        seconds = sum(c.frame_count for c in manifest.clips) / manifest.fps
        console.print(
            f"{folder}: {len(manifest.clips)} clips ({tests} to test), {seconds:.0f} s, backdrop: {manifest.backdrop}. "
            f"Look at {folder / 'contact_sheet.png'}",
            markup=False,
        )
