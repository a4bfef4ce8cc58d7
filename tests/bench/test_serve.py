"""The serving benchmark, on a small made bundle."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_bundle import write_made_bundle

from gstalker.bench import serve
from gstalker.runtime.errors import InputError


def test_serving_is_measured_on_a_real_server_process(tmp_path: Path):
    bundle = tmp_path / "made.gsavatar"
    write_made_bundle(bundle)
    figures = serve.run(bundle, seconds=2.0)
    assert figures["frames_received"] + figures["frames_dropped"] >= 50
    assert figures["movers"] <= figures["gaussians"]
    assert figures["lateness_p50_ms"] <= figures["lateness_max_ms"]


def test_serving_without_a_bundle_is_refused():
    with pytest.raises(InputError, match=r"bench serve: expected --bundle NAME\.gsavatar, got none"):
        serve.run()
