"""`python -m gstalker.runtime.demo_character --out DIR`: make the demo character's videos."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

import tyro
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gstalker.runtime.demo_character.make_clips import DemoCharacterConfig, make_clips
from gstalker.runtime.errors import InputError


@dataclass(frozen=True)
class _Arguments:
    """Make videos of a talking character with known poses, landmarks and mattes."""

    out: Path  # folder for the videos
    config: tyro.conf.OmitArgPrefixes[DemoCharacterConfig] = field(default_factory=DemoCharacterConfig)


def main() -> None:
    """Entry point; exit code 2 on bad input."""
    arguments = tyro.cli(_Arguments)
    columns = (TextColumn("drawing the character"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns) as bar:
            task = bar.add_task("frames", total=None)
            videos = make_clips(arguments.config, arguments.out, lambda n, of: bar.update(task, completed=n, total=of))
    except InputError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None
    print(f"{len(videos)} videos in {arguments.out}")


if __name__ == "__main__":
    main()
