"""Settings saved as JSON and read back as the frozen dataclasses they were."""

from __future__ import annotations

import dataclasses
import typing
from typing import Any, TypeVar

from gstalker.runtime.errors import InputError

T = TypeVar("T")


def config_from_json(kind: type[T], fields: dict[str, Any], where: str) -> T:
    """Rebuild a frozen dataclass, with nested ones, from the dict that `dataclasses.asdict` gave.

    A dataclass whose fields have become more says in its class variable `EARLIER` what runs without a field had:
    field name -> value.

    Raises:
        InputError: fields are missing or unknown.
    """
    hints = typing.get_type_hints(kind)
    names = {f.name for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    earlier = {name: value for name, value in getattr(kind, "EARLIER", {}).items() if name not in fields}
    if set(fields) | set(earlier) != names:
        raise InputError(
            f"{where}: expected the settings {sorted(names)}, got {sorted(fields)}. "
            "The run was written by another version of gstalker: train again."
        )
    values: dict[str, Any] = dict(earlier)
    for name, value in fields.items():
        hint = hints[name]
        if dataclasses.is_dataclass(hint):
            value = config_from_json(typing.cast(type, hint), value, f"{where}.{name}")
        elif isinstance(value, list):
            value = tuple(value)
        values[name] = value
    return kind(**values)
