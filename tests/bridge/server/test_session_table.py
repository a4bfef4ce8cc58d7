"""Sessions come and go: who is let in, how long they stay, and what is left; on a clock that the test turns."""

from __future__ import annotations

import pytest
from helpers.asked_server import Asked, avatars

from gstalker.bridge import schema
from gstalker.bridge.schema import Done, FrameQ16, Pong, Stats, StreamEnd
from gstalker.bridge.server.delivery import Subscriptions
from gstalker.bridge.server.options import Limits, ServeOptions, SessionOptions
from gstalker.bridge.server.session_table import SessionTable
from gstalker.runtime.errors import InputError

pytest.importorskip("onnxruntime", reason="moving an avatar needs the extra cpu or gpu")


def test_a_session_more_than_there_is_time_for_is_refused_before_the_old_ones_are_late():
    asked = Asked(cost_s=0.007)  # 17.5 % each at 25 Hz; four fit into 80 %
    for number in range(4):
        asked.hello(b"%d" % number, private=True)
    stats = asked.ask(schema.GetStats(1), Stats, b"0")
    assert (stats.sessions, stats.session_limit, stats.clients) == (6, 4, 4)
    refusal = asked.refused(schema.Hello(9, "", "", 0, True), b"4")
    assert refusal.code == "busy"
    assert refusal.retry_after_s > 0
    assert "70 % of the time is taken" in refusal.reason
    assert len(asked.table) == 6, "a session was opened for nobody"
    # Nor is there time for a shared session that nobody watches yet; one that runs costs nothing more.
    assert asked.refused(schema.Hello(9, "", "other", 0, False), b"4").code == "busy"
    assert asked.hello(b"4", session_id=3).session_id == 3
    asked.ask(schema.Leave(1), Done, b"1")
    assert asked.hello(b"5", private=True).session_id == 7


def test_an_emotion_that_an_avatar_cannot_show_is_refused_before_anything_is_served():
    options = ServeOptions(session=SessionOptions(emotion_from_speech="bored"))
    with pytest.raises(InputError, match=r"--emotion-from-speech: expected an emotion of .*happy.*, got 'bored'"):
        SessionTable(avatars(), None, options, lambda message: None, Subscriptions())
    shared = SessionTable(
        *(avatars(), None, ServeOptions(session=SessionOptions(emotion_from_speech="sad"))),
        *(lambda message: None, Subscriptions()),
    )
    assert all(session.speech_emotion is not None for session in shared)


def test_a_slower_rate_makes_room():
    asked = Asked(cost_s=0.014)  # 35 % each, 7 % at a fifth of the rate
    asked.hello(b"0", private=True)
    asked.hello(b"1", private=True)
    assert asked.refused(schema.Hello(9, "", "", 0, True), b"2").code == "busy"
    asked.ask(schema.SetRate(1, 5), Done, b"0")
    asked.hello(b"2", private=True)


def test_of_the_wishes_for_a_rate_the_fastest_counts():
    asked = Asked()
    for client in (b"a", b"b"):
        asked.hello(client)
    asked.watch(1)
    asked.ask(schema.SetRate(1, 5), Done, b"a")
    assert asked.table.get(1).frame_divisor == 1, "the other client never asked for less"
    asked.ask(schema.SetRate(1, 2), Done, b"b")
    assert asked.table.get(1).frame_divisor == 2
    asked.until(1.0)
    assert all(f.index % 2 == 0 for f in asked.of(FrameQ16, 1))
    asked.ask(schema.Leave(1), Done, b"b")
    assert asked.table.get(1).frame_divisor == 5
    asked.ask(schema.Leave(1), Done, b"a")
    assert asked.table.get(1).frame_divisor == 1


def test_private_sessions_have_a_cap_of_their_own():
    asked = Asked(limits=Limits(private_session_count=2))
    asked.hello(b"a", private=True)
    asked.hello(b"b", private=True)
    refusal = asked.refused(schema.Hello(1, "", "", 0, True), b"c")
    assert refusal.code == "busy"
    assert "at most 2 private sessions" in refusal.reason


def test_one_client_more_than_the_cap_is_refused():
    asked = Asked(limits=Limits(client_count=1))
    asked.hello(b"a")
    assert asked.refused(schema.Hello(1, "", "", 0, False), b"b").code == "too_many_clients"
    asked.hello(b"a", avatar_name="other")


def test_a_private_session_ends_when_its_client_leaves_and_says_so():
    asked = Asked()
    session_id = asked.hello(private=True).session_id
    asked.watch(session_id)
    asked.until(0.5)
    asked.ask(schema.Leave(2), Done)
    (end,) = asked.of(StreamEnd, session_id)
    assert end.frame_count > 5
    assert asked.refused(schema.Hello(3, "", "", session_id, False)).code == "unknown_session"
    assert [s.session_id for s in asked.requests.forget_silent()] == [session_id]
    assert len(asked.table) == 2, "shared sessions stay"


def test_a_lost_client_finds_its_session_again_for_a_while():
    asked = Asked()
    session_id = asked.hello(b"a", private=True).session_id
    asked.clock.now_s += 5.1
    asked.requests.forget_silent()
    assert asked.refused(schema.Ping(1, 0.0), b"a").code == "greet_first"
    asked.clock.now_s += 4.0
    asked.requests.forget_silent()
    assert asked.hello(b"b", session_id=session_id).session_id == session_id
    for _ in range(30):  # signs of life keep it
        asked.clock.now_s += 1.0
        asked.ask(schema.Ping(1, 0.0), Pong, b"b")
        asked.requests.forget_silent()
    asked.clock.now_s += 5.1
    asked.requests.forget_silent()
    asked.clock.now_s += 5.1
    assert [s.session_id for s in asked.requests.forget_silent()] == [session_id]


def test_the_session_that_a_client_moved_from_ends_when_nobody_comes_back():
    asked = Asked()
    first = asked.hello(private=True).session_id
    asked.hello(private=True)
    ended: list[int] = []
    for _ in range(6):
        asked.clock.now_s += 1.0
        asked.ask(schema.Ping(1, 0.0), Pong)
        ended += [s.session_id for s in asked.requests.forget_silent()]
    assert ended == [first]


def test_clients_that_come_and_go_leave_nothing_behind():
    asked = Asked()
    for number in range(200):
        client = b"%d" % number
        session_id = asked.hello(client, private=True).session_id
        asked.watch(session_id)
        asked.until(0.05)
        asked.ask(schema.Leave(1), Done, client)
        asked.clock.now_s += 0.2
    asked.requests.forget_silent()
    assert len(asked.table) == 2
    assert len(asked.requests.members) == 0
    assert len(asked.subscriptions) == 0
    assert asked.hello(b"x", private=True).session_id == 203, "numbers are used again as late as possible"


def test_an_avatar_is_loaded_once_for_all_its_sessions():
    asked = Asked()
    asked.hello(private=True)
    assert asked.table.avatar_of(asked.table.get(3)) is asked.table.avatar_of(asked.table.get(1)) is avatars()[0]
