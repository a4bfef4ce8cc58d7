"""Tables for people: a subject a column, a figure a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gstalker.runtime.evaluate.metric_list import FILE_METRICS, METRICS, Metric
from gstalker.runtime.evaluate.summary import Figures

REAL = "real picture"


@dataclass(frozen=True)
class Cell:
    """kind: "best", "real" or ""."""

    text: str
    kind: str = ""


@dataclass(frozen=True)
class Row:
    label: str
    unit: str
    definition: str
    cells: list[Cell]


@dataclass(frozen=True)
class Table:
    columns: list[str]
    rows: list[Row]


def figure_table(figures: dict[str, Figures], real: Figures | None, *, main_only: bool, define: bool = False) -> Table:
    """Lay figures out; a row nobody has a figure for is left out.

    Args:
        figures: by subject, in the order of the columns.
        real: the last column.
        main_only: rows marked as main alone.
        define: put the definition under each label.
    """
    columns = [*figures, *([REAL] if real is not None else [])]
    rows = []
    for metric in (*METRICS, *FILE_METRICS):
        values = [own.get(metric.key) for own in figures.values()]
        of_real = real.get(metric.key) if real is not None else None
        if (main_only and not metric.main) or all(v is None for v in [*values, of_real]):
            continue
        best = _best(metric, values)
        cells = [Cell(show(v, metric), "best" if i in best else "") for i, v in enumerate(values)]
        if real is not None:
            cells.append(Cell(show(of_real, metric), "real"))
        rows.append(Row(metric.label, metric.unit, metric.definition if define else "", cells))
    return Table(columns, rows)


def show(value: float | None, metric: Metric) -> str:
    """A figure as text; an en dash where there is none."""
    return "–" if value is None else f"{value:.{metric.decimals}f}"


def _best(metric: Metric, values: Sequence[float | None]) -> set[int]:
    """Which columns are best to the digits shown; none where there is nothing to compare."""
    known = [(i, round(v, metric.decimals)) for i, v in enumerate(values) if v is not None]
    if metric.better == "none" or len(known) < 2:
        return set()
    rank = {"higher": lambda v: -v, "lower": lambda v: v, "one": lambda v: abs(v - 1.0)}[metric.better]
    least = min(rank(v) for _, v in known)
    return {i for i, v in known if rank(v) == least}
