"""What was seen of a person: ranges of weights and head pose, and how far each emotion lies within them.

Kept with a run (seen.json) and in its bundle (avatar.json, from format 2 on). Needs no torch.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gstalker.runtime.errors import InputError
from gstalker.runtime.strict_json import parse_json, read_as

SEEN_FILE = "seen.json"
SEEN_FORMAT_VERSION = 1
WEIGHT, RADIANS, METRES = "weight", "rad", "m"
WEAK_SUPPORT = 0.25  # an emotion of which less was seen is called weak


@dataclass(frozen=True)
class SeenRange:
    """What the training clips show of one number.

    Attributes:
        name: ARKit's of a weight, or a component of the head's pose.
        unit: "weight" (0..1), "rad" or "m".
        low, middle, high: 2nd, 50th and 98th percentile (99.5th of eyeBlink).
        control: whether it can be set: it moved enough to be learnt.
    """

    name: str
    unit: str
    low: float
    middle: float
    high: float
    control: bool


@dataclass(frozen=True)
class Emotion:
    """A named emotion as this person was seen to come nearest to it.

    Attributes:
        name: "angry" and the like.
        support: 0..1, how much of the whole expression, mouth included, the targets are.
        targets: control -> weight at full strength, within the control's range; the others are left alone.
    """

    name: str
    support: float
    targets: dict[str, float]


@dataclass(frozen=True)
class Seen:
    """Ranges and emotions of one person; both empty where nothing was kept."""

    ranges: tuple[SeenRange, ...] = ()
    emotions: tuple[Emotion, ...] = ()

    def problem(self, controls: dict[str, tuple[float, float]]) -> str:
        """What contradicts itself or the avatar's controls (name -> low, high), as "expected .., got .."; or empty."""
        for r in self.ranges:
            if not (r.low <= r.middle <= r.high and r.unit in (WEIGHT, RADIANS, METRES)):
                return f"ranges: expected low <= middle <= high in {WEIGHT}, {RADIANS} or {METRES}, got {r}"
        names = [e.name for e in self.emotions]
        if len(set(names)) < len(names) or not all(n and len(n) <= 64 and n.isprintable() for n in names):
            return f"emotions: expected different names of 1 to 64 characters, got {names}"
        for e in self.emotions:
            if not 0.0 <= e.support <= 1.0:
                return f"emotions: expected a support of 0 to 1, got {e.support} for {e.name}"
            for name, value in e.targets.items():
                low, high = controls.get(name, (1.0, 0.0))
                if not low - 1e-6 <= value <= high + 1e-6:
                    return f"emotions: expected targets within the ranges of controls, got {e.name}: {name} {value}"
        return ""


NOTHING_SEEN = Seen()


def write_seen(run: Path, seen: Seen) -> None:
    """Write `seen.json` into a run's folder."""
    fields = {"format_version": SEEN_FORMAT_VERSION, **dataclasses.asdict(seen)}
    (run / SEEN_FILE).write_text(json.dumps(fields, indent=1) + "\n", encoding="utf-8")


def read_seen(run: Path) -> Seen | None:
    """Read it back; None where a run was made before there was one.

    Raises:
        InputError: another version, or damaged.
    """
    path = Path(run) / SEEN_FILE
    if not path.is_file():
        return None
    fields = parse_json(path.read_bytes(), str(path), "the ranges of a run")
    version = fields.pop("format_version", None) if isinstance(fields, dict) else None
    if version != SEEN_FORMAT_VERSION:
        raise InputError(f"{path}: expected format {SEEN_FORMAT_VERSION}, got {version!r}. Train again.")
    return read_as(Seen, fields, str(path))


def seen_lines(seen: Seen) -> list[str]:
    """The table for people."""
    lines = [f"{'seen in training':<24}{'low':>8}{'middle':>8}{'high':>8}"] if seen.ranges else []
    lines += [_range_line(r) for r in seen.ranges]
    if seen.emotions:
        lines.append("emotions, and how much of each was seen of this person:")
        lines += [
            f"  {e.name:<22}{e.support:>8.2f}{'  weak' if e.support < WEAK_SUPPORT else ''}"
            for e in sorted(seen.emotions, key=lambda e: -e.support)
        ]
    elif seen.ranges:
        lines.append("emotions: none; hardly anything of any was seen of this person")
    return lines


def _range_line(r: SeenRange) -> str:
    digits = 2 if r.unit == WEIGHT else 3
    figures = "".join(f"{value:>8.{digits}f}" for value in (r.low, r.middle, r.high))
    note = f" {r.unit}" if r.unit != WEIGHT else "" if r.control else "  too little to be a control"
    return f"  {r.name:<22}{figures}{note}"


def emotion_named(emotions: Sequence[Emotion], name: str) -> Emotion | None:
    """The emotion of a name."""
    return next((e for e in emotions if e.name == name), None)
