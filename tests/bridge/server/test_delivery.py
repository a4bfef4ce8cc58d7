"""Which topics somebody wants."""

from __future__ import annotations

import time

import numpy as np
import zmq

from gstalker.bridge.codec import decode_as, topic_field
from gstalker.bridge.schema import Audio, FrameF32, FrameQ16, SpeechEnd
from gstalker.bridge.server.authentication import open_sockets
from gstalker.bridge.server.delivery import Delivery, Subscriptions
from gstalker.bridge.transport import parse_address


def of_sessions(*session_ids: int) -> Subscriptions:
    subscriptions = Subscriptions()
    for session_id in session_ids:
        subscriptions.add_session(session_id)
    return subscriptions


def test_a_topic_is_wanted_from_the_first_subscription_to_the_last():
    subscriptions = of_sessions(1, 2)
    assert not subscriptions.any_of(1)
    subscriptions.take(True, topic_field(FrameQ16, 1))
    assert subscriptions.wanted(FrameQ16, 1)
    assert not subscriptions.wanted(FrameF32, 1)
    assert not subscriptions.wanted(FrameQ16, 2)
    assert subscriptions.any_of(1)
    subscriptions.take(False, topic_field(FrameQ16, 1))
    assert not subscriptions.any_of(1)


def test_the_session_is_part_of_the_topic_to_its_last_digit():
    subscriptions = of_sessions(1, 12)
    subscriptions.take(True, topic_field(Audio, 1))
    assert not subscriptions.wanted(Audio, 12)


def test_the_beginning_of_a_topic_is_a_subscription_to_all_that_begin_so():
    subscriptions = of_sessions(1, 2)
    subscriptions.take(True, b"frame/")
    assert all(subscriptions.wanted(k, n) for k in (FrameQ16, FrameF32) for n in (1, 2))
    assert not subscriptions.wanted(Audio, 1)
    subscriptions.take(True, b"")
    assert subscriptions.wanted(SpeechEnd, 2)
    subscriptions.add_session(3)
    assert subscriptions.wanted(SpeechEnd, 3)


def test_what_does_not_exist_is_not_remembered():
    subscriptions = of_sessions(1)
    for number in range(2, 1000):
        subscriptions.take(True, topic_field(FrameQ16, number))
    subscriptions.take(True, b"weather")
    assert len(subscriptions) == 0
    subscriptions.take(False, b"weather")


def test_a_session_that_ends_takes_its_subscriptions_with_it():
    subscriptions = of_sessions(1, 7)
    for topic in (topic_field(FrameQ16, 7), topic_field(FrameQ16, 1), b"audio"):
        subscriptions.take(True, topic)
    subscriptions.remove_session(7)
    assert len(subscriptions) == 2
    subscriptions.add_session(7)
    assert not subscriptions.wanted(FrameQ16, 7), "a new session must not compute what the one before was asked for"
    assert subscriptions.wanted(Audio, 7)
    subscriptions.take(True, topic_field(FrameQ16, 7))
    assert subscriptions.wanted(FrameQ16, 7)


def test_messages_on_their_way_are_not_overwritten_by_the_next_ones(free_port: int):
    context = zmq.Context()
    sockets = open_sockets(context, parse_address(f"tcp://127.0.0.1:{free_port}"), frame_bytes=1000, fps=1000)
    try:
        delivery = Delivery(sockets)
        delivery.subscriptions.add_session(1)
        reader = context.socket(zmq.SUB)
        reader.setsockopt(zmq.SUBSCRIBE, topic_field(Audio, 1))
        reader.connect(f"tcp://127.0.0.1:{free_port + 1}")
        give_up_s = time.monotonic() + 20
        while not delivery.subscriptions.any_of(1) and time.monotonic() < give_up_s:
            delivery.follow()
            time.sleep(0.01)
        for number in range(20):  # none is read before all were sent
            delivery.publish(Audio(1, number, 0, 0.0, 0.0, 640, np.full(640, number, np.int16)))
        got = []
        while len(got) < 20 and reader.poll(5000):
            got.append(decode_as(Audio, reader.recv()))
    finally:
        sockets.close()
        context.destroy(linger=0)
    assert [a.sequence for a in got] == list(range(20))
    assert all((a.pcm == a.sequence).all() for a in got)
