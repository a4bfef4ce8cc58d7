"""JSON into dataclasses with nothing guessed: exact types, exactly the fields declared, finite numbers."""

from __future__ import annotations

import dataclasses
import json
import math
import typing
from typing import Any, TypeVar

from gstalker.runtime.errors import InputError

T = TypeVar("T")


def parse_json(data: bytes, where: str, what: str) -> Any:
    """Decode JSON bytes.

    Args:
        data: UTF-8.
        where: the file's name for messages.
        what: what the file should be, for messages.

    Raises:
        InputError: not UTF-8, not JSON, nested too deeply, or holding NaN or infinity.
    """
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: expected the JSON of {what}, could not read it ({error}).") from error


def read_as(cls: type[T], value: Any, where: str, path: str = "") -> T:
    """Parsed JSON as the type `cls`: a dataclass, tuple[X, ...], dict[str, X], str, int, float or bool.

    Args:
        cls: the type wanted.
        value: what `parse_json` gave.
        where: the file's name for messages.
        path: the place inside the file for messages.

    Raises:
        InputError: naming the first place where the value is not of its type.
    """

    def refuse(expected: str, got: Any) -> InputError:
        place = f" {path}:" if path else ""
        return InputError(f"{where}:{place} expected {expected}, got {repr(got)[:80]}. Write the file again.")

    prefix = f"{path}." if path else ""
    origin = typing.get_origin(cls)
    if dataclasses.is_dataclass(cls):
        names = [f.name for f in dataclasses.fields(cls)]
        if not isinstance(value, dict) or set(value) != set(names):
            raise refuse(f"the fields {', '.join(names)}", sorted(value) if isinstance(value, dict) else value)
        hints = typing.get_type_hints(cls)
        return cls(**{n: read_as(hints[n], value[n], where, prefix + n) for n in names})
    if origin is tuple:
        if not isinstance(value, list):
            raise refuse("a list", value)
        item = typing.get_args(cls)[0]
        return typing.cast(T, tuple(read_as(item, v, where, f"{path}[{i}]") for i, v in enumerate(value)))
    if origin is dict:
        if not isinstance(value, dict):
            raise refuse("an object", value)
        item = typing.get_args(cls)[1]
        return typing.cast(T, {k: read_as(item, v, where, prefix + k) for k, v in value.items()})
    if cls is float and type(value) is int and abs(value) < 2**53:
        value = float(value)  # 1 and 1.0 are the same JSON number
    if type(value) is not cls or (cls is float and not math.isfinite(typing.cast(float, value))):
        raise refuse(f"a finite {cls.__name__}" if cls is float else f"a value of type {cls.__name__}", value)
    return typing.cast(T, value)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")
