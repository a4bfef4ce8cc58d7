"""A terminal progress bar with time left, for stages that report step by step."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as TimeLeftColumn


class RichProgress:
    """Shows one bar per stage; `say` leaves a line above it."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeLeftColumn(),
            TextColumn("{task.fields[text]}"),
            console=Console(stderr=True),
        )
        self._task: TaskID | None = None

    def __enter__(self) -> RichProgress:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def stage(self, name: str, total: int, done: int = 0) -> None:
        """Begin a stage of `total` steps, `done` of which lie behind."""
        self._task = self._progress.add_task(name, total=total, completed=done, text="")

    def advance(self, text: str = "") -> None:
        """One step of the present stage is done."""
        if self._task is not None:
            self._progress.update(self._task, advance=1, text=text)

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self._progress.console.print(text)
