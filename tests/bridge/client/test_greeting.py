"""When a client greets and as whom, in simulated time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gstalker.bridge.client.greeting import AGAIN_S, PROBE_S, Greeting, Wanted
from gstalker.bridge.codec import decode_as
from gstalker.bridge.errors import Refused
from gstalker.bridge.schema import Refusal, Welcome


@pytest.fixture(scope="module")
def welcome() -> Welcome:
    from pathlib import Path

    data = (Path(__file__).parents[2] / "golden" / "welcome_v2.bin").read_bytes()
    return decode_as(Welcome, data)


def refuse(greeting: Greeting, code: str, retry_after_s: float, now_s: float) -> bool:
    return greeting.refused(Refusal(1, code, "no.", retry_after_s), Refused(code, "no.", retry_after_s), now_s)


def test_while_nobody_answers_a_fresh_connection_tries_more_than_twice_a_second():
    greeting = Greeting(Wanted("", 0, False, "test"))
    greeting.begin(10.0)
    tries = [n / 100 for n in range(1000, 1500) if greeting.due(n / 100, up=False, patience_s=5.0)]
    assert tries[0] == 10.0
    assert max(np.diff(tries)) <= PROBE_S + 0.011


def test_a_server_that_was_reached_is_given_time_to_answer():
    greeting = Greeting(Wanted("", 0, False, "test"))
    greeting.begin(10.0)
    tries = [n / 100 for n in range(1000, 2000) if greeting.due(n / 100, up=True, patience_s=5.0)]
    assert tries == pytest.approx([10.0, 15.0], abs=0.011)


def test_a_refusal_is_kept_and_asked_again_after_the_time_it_names():
    greeting = Greeting(Wanted("", 0, False, "test"))
    greeting.begin(0.0)
    assert greeting.due(0.0, up=False, patience_s=5.0)
    assert not refuse(greeting, "busy", 3.0, 0.1)
    assert greeting.refusal is not None
    assert greeting.refusal.retry_after_s == 3.0
    assert not greeting.due(3.0, up=True, patience_s=5.0)
    assert greeting.due(3.2, up=True, patience_s=5.0)
    refuse(greeting, "failed", 0.0, 3.3)
    assert not greeting.due(3.2 + AGAIN_S, up=True, patience_s=5.0)
    assert greeting.due(3.4 + AGAIN_S, up=True, patience_s=5.0)


def test_a_private_session_is_asked_for_by_number_after_a_lost_connection(welcome: Welcome):
    greeting = Greeting(Wanted("", 0, True, "test"))
    first = greeting.hello(1, None)
    assert (first.session_id, first.private, first.avatar_name) == (0, True, "")
    again = greeting.hello(2, welcome)
    assert (again.session_id, again.private) == (welcome.session_id, True)
    assert not greeting.in_a_stranger_s_session(welcome, welcome)


def test_where_the_private_session_has_ended_another_is_opened(welcome: Welcome):
    greeting = Greeting(Wanted("", 0, True, "test"))
    greeting.begin(0.0)
    assert refuse(greeting, "unknown_session", 0.0, 0.1)
    assert greeting.hello(3, welcome).session_id == 0
    assert not refuse(greeting, "unknown_session", 0.0, 0.2)  # and not again and again


def test_the_session_of_that_number_in_another_server_is_somebody_else_s(welcome: Welcome):
    greeting = Greeting(Wanted("", 0, True, "test"))
    other = replace(welcome, server_id="another")
    assert greeting.in_a_stranger_s_session(other, welcome)
    assert greeting.hello(4, welcome).session_id == 0
    assert not greeting.in_a_stranger_s_session(other, welcome)


def test_a_shared_session_is_joined_again_by_its_avatar(welcome: Welcome):
    hello = Greeting(Wanted("", 0, False, "test")).hello(2, welcome)
    assert (hello.session_id, hello.private, hello.avatar_name) == (0, False, welcome.avatar_name)
