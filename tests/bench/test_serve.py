"""The serving benchmark on a small made bundle, and the avatars of any size that it measures with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_bundle import write_made_bundle

from gstalker.bench import serve
from gstalker.bench.serving.repeated_avatar import repeated, write_repeated
from gstalker.bench.serving.server_process import served
from gstalker.runtime.bundle import AvatarBundle
from gstalker.runtime.infer import AvatarRuntime


def test_an_avatar_is_repeated_in_proportion_and_moves_as_the_original_does(tmp_path: Path):
    small = write_made_bundle(tmp_path / "made.gsavatar")
    write_repeated(tmp_path / "made.gsavatar", 1000, tmp_path / "large.gsavatar")
    large = AvatarBundle.open(tmp_path / "large.gsavatar")
    assert large.manifest.name == "large"
    assert (large.manifest.counts.gaussians, large.manifest.counts.head_movers) == (1000, 625)
    outputs, golden = AvatarRuntime(large).golden_outputs(), large.golden
    np.testing.assert_allclose(outputs["deltas"], golden.deltas, atol=1e-5)
    np.testing.assert_array_equal(golden.deltas[:, 300:600], small.golden.deltas)


def test_an_avatar_of_no_size_is_refused():
    with pytest.raises(ValueError, match="expected at least 3 Gaussians, got 2"):
        repeated(None, 2, "x")  # type: ignore[arg-type]


def test_serving_is_measured_on_a_real_server_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(serve, "LIVE_UTTERANCES", 1)
    bundle = tmp_path / "made.gsavatar"
    write_made_bundle(bundle)
    with served([str(bundle), "--max-sessions", "2"]) as server:
        one = serve.one_session(server, 2.0)
        assert one["frames_received"] + one["frames_dropped"] >= 25
        assert one["lateness_p50_ms"] <= one["lateness_max_ms"]
        delay = serve.live_delay(server, AvatarBundle.open(bundle))
        # What is not known yet cannot have been drawn: a smaller delay would mean that the wrong frame was found.
        assert delay["sound_to_frame_arrival_p50"] >= delay["of_that_algorithm"] - 40
