"""`gstalker validate`: is the drawing right."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.markup import escape


@dataclass(frozen=True)
class Validate:
    """Compare a session's pictures with the reference renderer; exit code 1 where they are not good enough."""

    session: Annotated[Path, tyro.conf.Positional]
    """Folder that `gstalker record` wrote."""

    out: Path
    """Folder to write the report to: index.html, report.json and difference pictures."""

    pictures: Path | None = None
    """Folder of pictures that an engine captured, NAME.png with NAME.json; by default SESSION/pictures if it is
    there."""

    reference_frames: int = 8
    """How many frames the reference draws, spread evenly; the worst one comes on top."""

    as_sent_db: float = 55.0
    """PSNR in dB that frames as sent must reach against the unquantised ones."""

    client_db: float = 50.0
    """PSNR in dB that the Python client's picture must reach against the reference."""

    pictures_db: float = 50.0
    """PSNR in dB that captured pictures must reach against the reference."""

    def run(self) -> int:
        """Compare, write the report, print the verdict."""
        from rich.progress import Progress

        from gstalker.runtime.validate import ValidateOptions, validate_session

        console = Console(stderr=True, soft_wrap=True, highlight=False)
        options = ValidateOptions(self.reference_frames, self.as_sent_db, self.client_db, self.pictures_db)
        with Progress(console=console, transient=True) as bar:
            task = bar.add_task("reading", total=None)
            report = validate_session(
                *(self.session, self.out, self.pictures, options),
                progress=lambda what, done, total: bar.update(task, description=what, completed=done, total=total),
            )
        out = Console(soft_wrap=True, highlight=False)
        for what, holds, figures in report.checks():
            out.print(f"{'[green]holds[/]' if holds else '[bold red]fails[/]'}  {escape(what)}: {escape(figures)}")
        for note in report.notes():
            out.print(f"[yellow]note[/]   {escape(note)}")
        out.print(f"report: {escape(str(self.out / 'index.html'))}")
        return 0 if report.passed else 1
