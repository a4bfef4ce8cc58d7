"""Which clips are for training and which for testing; a clip is never in both."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from gstalker.runtime.dataset import FPS
from gstalker.runtime.errors import InputError

TEST_EVERY = 10
SHORTEST_FRAMES = FPS  # of a clip: one second


class Cuttable(Protocol):
    """A take of a video, as far as splitting needs to know it."""

    @property
    def count(self) -> int:
        """Its frames."""
        ...

    def cut(self: TakeT, at: int, note: str) -> tuple[TakeT, TakeT]:
        """Two takes, the second from frame `at` on, both with the note."""
        ...


TakeT = TypeVar("TakeT", bound=Cuttable)


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
            f"could not read it ({error!r})."
        ) from error
    if both := split.train & split.test:
        raise InputError(f"{path}: expected each clip in one list, got '{min(both)}' in train and in test. Remove one.")
    if lost := [s for s in stems if split.of(s) is None]:
        raise InputError(f"{path}: expected every video in train or test, '{lost[0]}' is in neither. Add it.")
    for name in ("train", "test"):
        if not any(split.of(s) == name for s in stems):
            raise InputError(f"{path}: expected videos for {name}, none of those given is listed there. Add one.")
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


def name_and_split(
    videos: Sequence[Path], takes: Sequence[Sequence[TakeT]], split: Path | None
) -> list[tuple[str, str, TakeT]]:
    """Give every take its clip's name and 'train' or 'test'.

    A video of one take lends it its name; several are numbered. With a split file all takes of a video go where
    it is listed. Without one every tenth take is for testing, and a single take is cut in two in time.

    Returns:
        (name, split, take) in the order of the videos.

    Raises:
        InputError: from `read_split`, or a single take too short to cut.
    """
    stems = [v.stem for v in videos]
    named = [
        (stem if len(several) == 1 else f"{stem}_{k:03d}", stem, take)
        for stem, several in zip(stems, takes, strict=True)
        for k, take in enumerate(several)
    ]
    if split is not None:
        listed = read_split(split, stems)
        return [(name, listed.of(stem) or "train", take) for name, stem, take in named]
    if len(named) > 1:
        return [(n, s, t) for (n, _, t), s in zip(named, every_tenth(len(named)), strict=True)]
    name, _, take = named[0]
    if take.count < 2 * SHORTEST_FRAMES:
        raise InputError(
            f"{videos[0]}: expected at least {2 * SHORTEST_FRAMES / FPS:.0f} s, to train on one part and test on "
            f"the other, got {take.count / FPS:.2f} s. Give a longer video, or several."
        )
    at = take.count - max(SHORTEST_FRAMES, take.count // TEST_EVERY)
    first, second = take.cut(at, f"one take, cut {at / FPS:.2f} s after its start to train and to test")
    return [(f"{name}_000", "train", first), (f"{name}_001", "test", second)]
