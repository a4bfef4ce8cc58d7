"""`gstalker bench`: runs the parts of `gstalker.bench` and keeps their figures with where they come from."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
import os
import pkgutil
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from gstalker.runtime.errors import InputError

ALL = "all"
FORMAT_VERSION = 1
# Passed to the parts that take them.
PART_OPTIONS = ("bundle", "dataset", "gaussians", "movers", "cycles", "seconds", "ppm", "load_seconds", "plots")


@dataclass(frozen=True)
class Bench:
    """Measure parts of gstalker on this machine; figures carry machine, commit and sizes."""

    part: Annotated[str, tyro.conf.Positional] = ALL
    """Which part, a module of gstalker.bench such as kernels; all of them if not given."""
    bundle: Path | None = None
    """Avatar NAME.gsavatar for the parts that measure one; without it they are left out."""
    dataset: Path | None = None
    """Folder that `prepare` wrote, for the parts that train on one; without it they are left out."""
    gaussians: int | None = None
    """How many Gaussians, for the parts that make their own."""
    movers: float | None = None
    """deform: share of them that moves."""
    cycles: int | None = None
    """Rounds, for the parts that compare by turns."""
    seconds: float | None = None
    """How long to measure, seconds, for the parts that run in real time."""
    ppm: float | None = None
    """av: by how many parts in a million the client's clock and its sound device's are off."""
    load_seconds: float | None = None
    """av: seconds in the middle in which every core is kept busy."""
    plots: Path | None = None
    """Folder for plots, for the parts that draw some."""
    json: Path | None = None
    """File for the figures, JSON; replaced if it exists."""

    def run(self) -> None:
        if "-" in self.part:  # unity-fill is the module unity_fill
            dataclasses.replace(self, part=self.part.replace("-", "_")).run()
            return
        known = parts()
        if self.part != ALL and self.part not in known:
            raise InputError(f"PART: expected one of {', '.join([ALL, *known])}, got {self.part!r}.")
        if self.part != ALL:
            self._refuse_unused()
        report: dict[str, Any] = {"format_version": FORMAT_VERSION, "made_by": made_by(), "parts": {}, "left_out": {}}
        console = Console(highlight=False)
        for name in known if self.part == ALL else [self.part]:
            measure = importlib.import_module(f"gstalker.bench.{name}").run
            takes = inspect.signature(measure).parameters
            if self.part == ALL and (missing := self._missing(takes)):
                report["left_out"][name] = missing
                console.print(f"[yellow]left out[/] {name}: {report['left_out'][name]}", soft_wrap=True)
                continue
            options = {key: value for key, value in self._given().items() if key in takes}
            if "optional_bundle" in takes and self.bundle is not None:
                options["optional_bundle"] = self.bundle
            with Console(stderr=True).status(f"measuring {name}"):
                figures = measure(**options)
            report["parts"][name] = plain(figures)
            console.print(figure_table(name, report["parts"][name]))
            if self.json is not None:  # after every part, so that a later failure loses nothing
                write_json(report, self.json)
        if self.json is not None:
            console.print(f"figures written to {self.json}", soft_wrap=True)

    def _missing(self, takes: Container[str]) -> str | None:
        """Why a part that takes these options cannot be measured."""
        if "bundle" in takes and self.bundle is None:
            return "it measures an avatar: give --bundle"
        if "dataset" in takes and self.dataset is None:
            return "it trains on a dataset: give --dataset"
        return None

    def _given(self) -> dict[str, Any]:
        """The options of parts that were given, by the parameter they are for."""
        given = {name: getattr(self, name) for name in PART_OPTIONS}
        return {name: value for name, value in given.items() if value is not None}

    def _refuse_unused(self) -> None:
        takes = set(inspect.signature(importlib.import_module(f"gstalker.bench.{self.part}").run).parameters)
        takes |= {"bundle"} if "optional_bundle" in takes else set()
        unused = sorted(self._given().keys() - takes)
        if unused:
            flags = ", ".join("--" + name.replace("_", "-") for name in unused)
            raise InputError(f"{flags}: expected a part that takes it, {self.part} does not.")


def parts() -> list[str]:
    """Names of what can be measured: the modules of gstalker.bench; its packages are what they share."""
    package = importlib.import_module("gstalker.bench")
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__) if not module.ispkg)


def made_by() -> dict[str, Any]:
    """Machine, versions, commit and time of the figures."""
    from gstalker.runtime.doctor import memory_bytes, usable_cores
    from gstalker.runtime.evaluate.provenance import provenance

    found = provenance()
    return {
        **found,
        "commit": found["commit"] or "unknown",
        "usable_cores": usable_cores(),
        "memory_bytes": memory_bytes(),
    }


def plain(value: Any) -> Any:
    """Dataclasses as dicts, NumPy scalars as numbers, tuples as lists: what JSON can say."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    return value.item() if isinstance(value, np.generic) else value


def figure_table(title: str, figures: Any) -> Table:
    """One row a figure; names of nested figures are joined by spaces."""
    table = Table("figure", "value", title=title, title_justify="left")
    table.columns[1].justify = "right"
    for name, value in rows(figures):
        table.add_row(name, f"{value:.4g}" if isinstance(value, float) else str(value))
    return table


def rows(figures: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Flatten nested dicts and lists into (name, value)."""
    if isinstance(figures, dict):
        for key, inner in figures.items():
            yield from rows(inner, f"{prefix} {key}".strip())
    elif isinstance(figures, list) and any(isinstance(inner, (dict, list)) for inner in figures):
        for index, inner in enumerate(figures):
            yield from rows(inner, f"{prefix} {index}".strip())
    elif isinstance(figures, list):
        yield prefix, ", ".join(str(inner) for inner in figures)
    else:
        yield prefix, figures


def write_json(report: dict[str, Any], path: Path) -> None:
    """Write whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    os.replace(unfinished, path)
