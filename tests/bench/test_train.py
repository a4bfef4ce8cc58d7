from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

from made_dataset import write_made_dataset

from gstalker.bench import train
from gstalker.runtime.errors import InputError


def test_both_ways_are_timed_on_one_dataset_and_the_parts_of_a_frame_make_its_sum(tmp_path: Path):
    """Few steps, and no claim on the times: those are for `gstalker bench train` on a quiet machine."""
    figures = train.run(write_made_dataset(tmp_path / "dataset"), cycles=1, steps=2)
    assert figures["frames_a_second_ratio"] == pytest.approx(
        figures["plain"]["frame_ms"] / figures["preset"]["frame_ms"]
    )
    for way in ("plain", "preset"):
        assert figures[way]["step_ms"] == pytest.approx(figures[way]["frame_ms"] * figures[way]["frames_a_step"])
    for parts in figures["one frame on one core, ms by part"].values():
        assert set(parts) == {"audio and fields", "placing", "drawing", "comparing", "backward", "sum"}
        assert min(parts.values()) > 0


def test_without_a_dataset_the_bench_says_what_it_needs():
    with pytest.raises(InputError, match=r"bench train: expected --dataset FOLDER, what `gstalker prepare` wrote"):
        train.run()
