from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from gstalker.runtime.errors import InputError
from gstalker.runtime.prepare.splits import every_tenth, name_and_split, read_split


@dataclass(frozen=True)
class Piece:
    count: int
    note: str = ""

    def cut(self, at: int, note: str) -> tuple[Piece, Piece]:
        return Piece(at, note), Piece(self.count - at, note)


def written(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "split.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.mark.parametrize(("count", "tests"), [(2, [1]), (9, [8]), (10, [9]), (19, [9]), (20, [9, 19])])
def test_every_tenth_clip_tests_and_at_least_one_does(count: int, tests: list[int]):
    names = every_tenth(count)
    assert [i for i, n in enumerate(names) if n == "test"] == tests
    assert len(names) == count


def test_one_clip_alone_cannot_be_split_by_counting():
    with pytest.raises(ValueError, match="expected at least 2 clips to split, got 1"):
        every_tenth(1)


def test_takes_of_one_video_are_numbered_and_go_where_it_is_listed(tmp_path: Path):
    split = written(tmp_path, {"train": ["a"], "test": ["b", "unused"]})
    named = name_and_split([Path("x/a.mp4"), Path("b.mov")], [[Piece(30), Piece(40)], [Piece(50)]], split)
    assert [(n, s, t.count) for n, s, t in named] == [
        ("a_000", "train", 30),
        ("a_001", "train", 40),
        ("b", "test", 50),
    ]


def test_a_single_take_gives_its_last_tenth_but_at_least_a_second_to_testing():
    for count, tested in ((50, 25), (600, 60)):
        (_, _, train), (_, _, test) = name_and_split([Path("a.mp4")], [[Piece(count)]], None)
        assert (train.count, test.count) == (count - tested, tested)
        assert "to train and to test" in test.note


def test_a_single_take_too_short_to_cut_is_refused():
    with pytest.raises(
        InputError, match=r"expected at least 2 s, to train on one part and test on the other, got 1.96"
    ):
        name_and_split([Path("a.mp4")], [[Piece(49)]], None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{ not json", "of file names without their endings, could not read it"),
        ({"train": ["a"]}, "of file names without their endings, could not read it"),
        ([1, 2], "of file names without their endings, could not read it"),
        ({"train": ["a", "b"], "test": ["b"]}, "expected each clip in one list, got 'b' in train and in test"),
        ({"train": ["a"], "test": ["c"]}, "expected every video in train or test, 'b' is in neither"),
        ({"train": ["a", "b"], "test": ["c"]}, "expected videos for test, none of those given is listed"),
    ],
)
def test_a_split_file_that_does_not_fit_is_refused(tmp_path: Path, content: object, message: str):
    with pytest.raises(InputError, match=message):
        read_split(written(tmp_path, content), ["a", "b"])


def test_a_missing_split_file_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="could not read it"):
        read_split(tmp_path / "none.json", ["a"])
