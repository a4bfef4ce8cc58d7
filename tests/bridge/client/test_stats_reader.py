"""Asking a server how it fares, without watching it."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.running_server import Running, run_server

from gstalker.bridge.client.stats_reader import StatsReader
from gstalker.bridge.errors import Refused
from gstalker.runtime.errors import InputError


def test_asking_shows_the_figures_and_begins_nothing(running: Running):
    with StatsReader(running.address, timeout_s=20) as reader:
        first, second = reader.read(), reader.read()
    assert first.clients == first.session_clients == 1
    assert second.stream_time_s == first.stream_time_s < 0  # the clock stands until somebody watches
    assert second.frames_sent == 0
    assert reader.welcome.avatar_name == "made"


def test_a_session_or_avatar_that_is_not_there_is_refused(running: Running):
    with pytest.raises(Refused, match="expected a session that exists, got 9"):
        StatsReader(running.address, session_id=9, timeout_s=20)
    with pytest.raises(Refused, match="expected one of the avatars made, got 'other'"):
        StatsReader(running.address, avatar_name="other", timeout_s=20)


def test_a_server_that_was_started_again_is_greeted_again(running: Running, bundle_path: Path, free_port: int):
    with StatsReader(running.address, timeout_s=20) as reader:
        before = reader.welcome.server_id
        running.end()
        again = run_server(bundle_path, None, free_port)
        try:
            assert reader.read().clients == 1
        finally:
            again.end()
        assert reader.welcome.server_id != before


def test_where_nobody_answers_it_says_so(free_port: int):
    with pytest.raises(InputError, match="expected an avatar server to answer hello"):
        StatsReader(f"tcp://127.0.0.1:{free_port}", timeout_s=0.2)
