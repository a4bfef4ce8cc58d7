"""How several trainings fare: a live table on a terminal, a line a change elsewhere, the table once more at the end."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from gstalker.runtime.train.many.schedule import Row

COLOURS = {"done": "green", "finished before": "green", "failed": "bold red", "stopped": "yellow", "waiting": "dim"}


class TrainTable:
    """Shows rows of `runtime.train.many.schedule`."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._live = Live(console=self._console, refresh_per_second=4, transient=True)
        self._said: dict[str, str] = {}
        self._rows: list[Row] = []

    def __enter__(self) -> TrainTable:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()
        self._console.print(status_table(self._rows))

    def show(self, rows: list[Row]) -> None:
        """Show how things stand."""
        self._rows = rows
        if self._console.is_terminal:
            self._live.update(status_table(rows))
            return
        for row in rows:
            if self._said.get(row.name) != row.status.state:
                self._said[row.name] = row.status.state
                place = f" on {row.place}" if row.place else ""
                self._console.print(f"{escape(row.name)}: {row.status.state}{place}", soft_wrap=True)


def status_table(rows: list[Row]) -> Table:
    """One line an avatar."""
    table = Table("avatar", "state", "where", "step", "left", "", box=None, header_style="bold")
    table.columns[3].justify = table.columns[4].justify = "right"
    for row in rows:
        status, colour = row.status, COLOURS.get(row.status.state, "cyan")
        table.add_row(
            escape(row.name),
            f"[{colour}]{escape(status.state)}[/]",
            str(row.place or ""),
            f"{status.step}/{status.steps}" if status.steps else "",
            "" if status.left_s is None else left(status.left_s),
            escape(status.text),
        )
    return table


def left(seconds: float) -> str:
    """Hours, minutes and seconds as a clock shows them."""
    minutes, s = divmod(round(seconds), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02}:{s:02}" if hours else f"{m}:{s:02}"
