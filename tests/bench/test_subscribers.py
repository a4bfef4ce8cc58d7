"""The subscribers' benchmark, in small."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_bundle import write_made_bundle

from gstalker.bench import subscribers
from gstalker.bench.serving.many_subscribers import lateness_ms


def test_frames_on_the_beat_are_not_late_and_one_off_it_is():
    beat = (5.0 + np.arange(50) / 25).tolist()
    late = np.array(lateness_ms([beat, [*beat[:-1], beat[-1] + 0.5]]))
    assert np.abs(late[:99]).max() < 1e-6
    assert late[99] == pytest.approx(500)


def test_both_turns_are_measured_on_a_real_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(subscribers, "READERS", 4)
    monkeypatch.setattr(subscribers, "SLEEPERS", 2)
    write_made_bundle(tmp_path / "made.gsavatar")
    figures = subscribers.run(tmp_path / "made.gsavatar", gaussians=480, seconds=4.0, cycles=1)
    assert figures["frames_a_turn"] > 10
    assert figures["rise_ms"] == figures["p99_late_ms_with_sleepers"] - figures["p99_late_ms_alone"]
