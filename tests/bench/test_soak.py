"""A minute's worth of hours, in seconds: every frame of a real server is accounted for."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from gstalker.bench import soak
from gstalker.runtime.errors import InputError


def test_a_minute_with_guests_leaves_no_frame_unaccounted_for(soak_under_way: Callable[[], str]):
    """Memory is measured in `gstalker bench soak`, for an hour: a minute is too short to tell growth from settling."""
    figures = json.loads(soak_under_way().splitlines()[-1])
    assert figures["guest_visits"] >= 10
    assert figures["guest_trouble"] == []
    for avatar in figures["avatars"]:
        assert avatar["trouble"] == ""
        assert avatar["frames_came"] > 0.5 * 25 * figures["seconds"], "hardly any frames: what was watched?"
        assert avatar["out_of_order"] == 0
        assert avatar["unaccounted"] == 0


def test_a_soak_too_short_to_say_anything_is_refused():
    with pytest.raises(InputError, match="expected at least 10 for bench soak, got 5"):
        soak.run(seconds=5.0)
