"""The server's log: one line an event, for people or as JSON, and never more lines than a disk can bear.

A part of the server gets its logger with `server_log(__name__)` and writes an event of a kind:

    say(log, logging.INFO, "client_greeted", "greeted by %s", name, session=7)

Kinds are fixed words in the code; what came over the wire stands only in the arguments, shortened and with control
characters replaced, so that nobody can write lines of their own. Sound, frames, keys and snapshots are never logged.
Each kind may write ten lines at once and then one a second; what was left out is counted in the next line.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from typing import Any, TextIO

ROOT = "gstalker.bridge"
BURST_LINES = 10
LINES_A_SECOND = 1.0
MAX_KINDS = 256  # kinds are words in our code; more of them is a mistake that must not fill the memory
MAX_VALUE_CHARS = 200


def server_log(name: str) -> logging.Logger:
    """The logger of a module of the bridge."""
    return logging.getLogger(name if name.startswith(ROOT) else f"{ROOT}.{name}")


def say(log: logging.Logger, level: int, kind: str, text: str, /, *values: object, **fields: object) -> None:
    """Log an event.

    Args:
        log: from `server_log`.
        level: of `logging`.
        kind: what happened, one word of the code: the rate is limited for each.
        text: for a person, with % places for the values.
        values: what fills them.
        fields: numbers and short texts for machines.
    """
    if log.isEnabledFor(level):
        log.log(level, text, *map(_harmless, values), extra={"kind": kind, "fields": fields})


class RateLimit(logging.Filter):
    """Lets BURST_LINES lines of a kind through at once and then LINES_A_SECOND; thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._lock = threading.Lock()
        self._allowance: dict[str, tuple[float, float, int]] = {}  # kind -> lines left, when, left out since

    def filter(self, record: logging.LogRecord) -> bool:
        kind, now_s = str(getattr(record, "kind", record.msg)), self._clock()
        with self._lock:
            if kind not in self._allowance and len(self._allowance) >= MAX_KINDS:
                kind = "other"
            left, then_s, left_out = self._allowance.get(kind, (float(BURST_LINES), now_s, 0))
            left = min(float(BURST_LINES), left + (now_s - then_s) * LINES_A_SECOND)
            if left < 1:
                self._allowance[kind] = (left, now_s, left_out + 1)
                return False
            self._allowance[kind] = (left - 1, now_s, 0)
        record.left_out = left_out
        return True


class HumanLines(logging.Formatter):
    """`21:04:07 WARNING refused a connection from 127.0.0.1 (and 12 more like it)`."""

    def format(self, record: logging.LogRecord) -> str:
        when = time.strftime("%H:%M:%S", time.localtime(record.created))
        level = "" if record.levelno <= logging.INFO else f" {record.levelname}"
        left_out = getattr(record, "left_out", 0)
        more = f" (and {left_out} more like it before)" if left_out else ""
        return f"{when}{level} {_one_line(record.getMessage())}{more}"


class JsonLines(logging.Formatter):
    """One JSON object a line: time (UTC), level, kind, text, the event's own fields, left_out where lines were."""

    def format(self, record: logging.LogRecord) -> str:
        milliseconds = int(record.msecs)
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{milliseconds:03d}Z",
            "level": record.levelname.lower(),
            "kind": str(getattr(record, "kind", "other")),
            "text": _one_line(record.getMessage()),
        }
        for name, value in getattr(record, "fields", {}).items():
            line.setdefault(name, _plain(value))
        if getattr(record, "left_out", 0):
            line["left_out"] = getattr(record, "left_out", 0)
        return json.dumps(line, ensure_ascii=True, allow_nan=False)


def configure_logs(stream: TextIO, *, json_lines: bool = False, level: int = logging.INFO) -> logging.Handler:
    """Send the bridge's log to a stream; returns the handler, for `end_logs`."""
    handler = logging.StreamHandler(stream)
    handler.addFilter(RateLimit())
    handler.setFormatter(JsonLines() if json_lines else HumanLines())
    root = logging.getLogger(ROOT)
    root.addHandler(handler)
    root.setLevel(level)
    root.propagate = False
    return handler


def end_logs(handler: logging.Handler) -> None:
    """Undo `configure_logs`."""
    root = logging.getLogger(ROOT)
    root.removeHandler(handler)
    root.propagate = True
    handler.close()


def _harmless(value: object) -> object:
    return value if isinstance(value, int | float) else _short(str(value))


def _plain(value: object) -> object:
    """What JSON can hold: numbers that are numbers, short texts."""
    if isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else str(value)
    return _short(str(value))


def _short(text: str) -> str:
    shown = _one_line(text)
    return shown if len(shown) <= MAX_VALUE_CHARS else shown[: MAX_VALUE_CHARS - 3] + "..."


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " if c == "\n" else "?" for c in text)
