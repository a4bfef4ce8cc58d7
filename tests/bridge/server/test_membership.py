"""Who is in, for how long, and what they may ask for; on a clock that the test turns."""

from __future__ import annotations

import pytest

from gstalker.bridge.errors import RequestRefused
from gstalker.bridge.server.membership import HELLO_WEIGHT, Membership
from gstalker.bridge.server.options import Limits
from gstalker.bridge.server.rate_limit import RateLimit


def test_a_rate_is_kept_over_any_time_with_its_burst():
    limit = RateLimit(a_second=10.0, burst=5.0, now_s=0.0)
    taken = sum(limit.take(1.0, 0.0) == 0.0 for _ in range(100))
    assert taken == 5
    for step in range(1, 1001):
        taken += limit.take(1.0, 0.01 * step) == 0.0
    assert taken == pytest.approx(105, abs=1)


def test_what_is_refused_says_when_it_will_be_there():
    limit = RateLimit(a_second=10.0, burst=5.0, now_s=0.0)
    assert limit.take(5.0, 0.0) == 0.0
    wait_s = limit.take(2.0, 0.0)
    assert wait_s == pytest.approx(0.2)
    assert limit.take(2.0, wait_s + 1e-9) == 0.0
    # More than ever fits is answered with the time until the bucket is full, not with never.
    assert limit.take(50.0, 100.0) == 0.0 or limit.take(50.0, 100.0) <= 0.5


def test_a_client_is_known_until_its_lease_is_over():
    members = Membership(Limits(client_lease_s=5.0), 0.0)
    members.enter(b"a", "one", 1, 0.0)
    members.enter(b"b", "two", 1, 0.0)
    members.take_request(b"a", 4.0)
    assert [c.name for c in members.forget_silent(5.1)] == ["two"]
    assert members.known(b"a").name == "one"
    with pytest.raises(RequestRefused, match="was forgotten after 5 s without a request") as no:
        members.known(b"b")
    assert no.value.code == "greet_first"


def test_one_client_more_than_the_cap_is_refused_and_those_inside_may_greet_again():
    members = Membership(Limits(client_count=2), 0.0)
    members.enter(b"a", "", 1, 0.0)
    members.enter(b"b", "", 1, 0.0)
    members.check_room(b"a")
    with pytest.raises(RequestRefused, match="at most 2 clients") as no:
        members.check_room(b"c")
    assert no.value.code == "too_many_clients"
    members.leave(b"b")
    members.check_room(b"c")


def test_one_clients_flood_leaves_the_others_their_share():
    members = Membership(Limits(requests_a_second=10, request_burst=20), 0.0)
    members.enter(b"a", "", 1, 0.0)
    members.enter(b"b", "", 1, 0.0)
    for _ in range(20):
        members.take_request(b"a", 0.0)
    with pytest.raises(RequestRefused, match="at most 10 requests a second") as no:
        members.take_request(b"a", 0.0)
    assert no.value.code == "too_fast"
    assert no.value.retry_after_s == pytest.approx(0.1)
    for _ in range(20):
        members.take_request(b"b", 0.0)


def test_strangers_share_one_allowance_so_that_identities_cost_no_memory():
    limits = Limits(requests_a_second=10, request_burst=20, client_count=3)
    members = Membership(limits, 0.0)
    for number in range(round(20 + HELLO_WEIGHT * 3)):
        members.take_request(f"stranger {number}".encode(), 0.0)
    with pytest.raises(RequestRefused, match="at most 10 requests a second"):
        members.take_request(b"one more", 0.0)
    assert len(members) == 0


def test_as_many_clients_as_the_server_takes_may_greet_at_once():
    members = Membership(Limits(), 0.0)
    for number in range(Limits().client_count):
        members.take_request(b"%d" % number, 0.0, HELLO_WEIGHT)
        members.enter(b"%d" % number, "", 1, 0.0)


def test_sound_is_limited_by_the_second():
    members = Membership(Limits(sound_s_a_second=2.0, sound_burst_s=4.0), 0.0)
    client = members.enter(b"a", "", 1, 0.0)
    members.take_sound(client, 4.0, 0.0)
    with pytest.raises(RequestRefused, match="at most 2 s of sound a second") as no:
        members.take_sound(client, 1.0, 0.0)
    assert (no.value.code, no.value.retry_after_s) == ("too_fast", pytest.approx(0.5))
    members.take_sound(client, 1.0, 0.51)


def test_a_wish_for_a_rate_is_forgotten_on_moving_to_another_session():
    members = Membership(Limits(), 0.0)
    members.enter(b"a", "", 1, 0.0).frame_divisor = 5
    assert members.enter(b"a", "", 1, 0.0).frame_divisor == 5
    assert members.enter(b"a", "", 2, 0.0).frame_divisor == 1
    assert [c.identity for c in members.in_session(2)] == [b"a"]
