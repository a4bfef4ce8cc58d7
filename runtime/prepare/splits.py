"""Which clips are for training and which for testing; a clip is never in both."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from gstalker.runtime.errors import InputError

TEST_EVERY = 10


@dataclass(frozen=True)
class Split:
    """Stems of video files, as a split file lists them."""

    train: frozenset[str]
    test: frozenset[str]

    def of(self, stem: str) -> str | None:
        """'train', 'test' or None for a stem that is not listed."""
        return "train" if stem in self.train else "test" if stem in self.test else None


def read_split(path: Path, stems: list[str]) -> Split:
    """Read {"train": [...], "test": [...]} and hold it against the videos given.

    Raises:
        InputError: unreadable, a clip in both lists, a video in none, or no video left for one of them.
    """
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        split = Split(frozenset(fields["train"]), frozenset(fields["test"]))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise InputError(
            f'{path}: expected JSON {{"train": [...], "test": [...]}} of file names without their endings, '
            f"could not read it ({error})."
        ) from error
    if both := split.train & split.test:
        raise InputError(f"{path}: expected each clip in one list, got '{min(both)}' in train and in test. Remove one.")
    if lost := [s for s in stems if split.of(s) is None]:
        raise InputError(f"{path}: expected every video in train or test, '{lost[0]}' is in neither. Add it.")
    for name in ("train", "test"):
        if not any(split.of(s) == name for s in stems):
            raise InputError(f"{path}: expected videos for {name}, none of those given is listed there.")
    return split


def every_tenth(count: int) -> list[str]:
    """'train' or 'test' for `count` clips, at least one of each: every tenth is for testing, else the last.

    Raises:
        ValueError: fewer than two clips.
    """
    if count < 2:
        raise ValueError(f"count: expected at least 2 clips to split, got {count}")
    names = ["test" if i % TEST_EVERY == TEST_EVERY - 1 else "train" for i in range(count)]
    if "test" not in names:
        names[-1] = "test"
    return names
