"""The log: lines that a flood cannot multiply, that nobody outside can write, and that machines can read."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from gstalker.bridge.server import logs
from gstalker.bridge.server.logs import configure_logs, end_logs, say, server_log

log = server_log("test")


@pytest.fixture(params=[False, True], ids=["human", "json"])
def written(request: pytest.FixtureRequest) -> Iterator[tuple[io.StringIO, bool]]:
    stream = io.StringIO()
    handler = configure_logs(stream, json_lines=request.param)
    yield stream, request.param
    end_logs(handler)


def lines(stream: io.StringIO) -> list[str]:
    return stream.getvalue().splitlines()


def test_an_event_is_one_line(written: tuple[io.StringIO, bool]):
    stream, as_json = written
    say(log, logging.WARNING, "client_greeted", "greeted by %s in session %d", "bob", 7, session=7, share=0.5)
    (line,) = lines(stream)
    if not as_json:
        assert line.endswith("WARNING greeted by bob in session 7")
        return
    fields = json.loads(line)
    assert fields.pop("time").endswith("Z")
    assert fields == {
        "level": "warning",
        "kind": "client_greeted",
        "text": "greeted by bob in session 7",
        "session": 7,
        "share": 0.5,
    }


def test_what_came_over_the_wire_cannot_write_lines_or_move_the_cursor(written: tuple[io.StringIO, bool]):
    stream, as_json = written
    say(log, logging.INFO, "k", "greeted by %s", "bob\n12:00:00 all is well\x1b[2J\u202e\r", name="a\nb", level="x")
    (line,) = lines(stream)
    assert line.isprintable()
    if as_json:
        fields = json.loads(line)
        assert (fields["name"], fields["level"]) == ("a b", "info")  # a field never stands for the event's own
        assert fields["text"].isprintable()


def test_long_values_are_cut(written: tuple[io.StringIO, bool]):
    stream, _ = written
    say(log, logging.INFO, "k", "refused %s", "x" * 100_000, reason="y" * 100_000)
    assert len(stream.getvalue()) < 1000


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), b"\xff", None])
def test_any_value_can_be_logged_as_json(value: object):
    stream = io.StringIO()
    handler = configure_logs(stream, json_lines=True)
    say(log, logging.INFO, "k", "x", value=value)
    end_logs(handler)
    assert "value" in json.loads(stream.getvalue())


def test_a_flood_of_one_kind_leaves_few_lines_and_a_count(written: tuple[io.StringIO, bool]):
    stream, as_json = written
    for number in range(5000):
        say(log, logging.WARNING, "refused", "refused %d", number)
    say(log, logging.INFO, "other", "something else is still heard")
    assert logs.BURST_LINES <= len(lines(stream)) <= logs.BURST_LINES + 10  # one more a second, however slow this is
    assert "something else" in lines(stream)[-1]
    assert as_json or "more like it" not in lines(stream)[0]


def record(kind: str) -> logging.LogRecord:
    made = logging.LogRecord("gstalker.bridge", logging.INFO, "", 0, "text", (), None)
    made.kind = kind
    return made


def test_a_kind_may_speak_again_after_a_second_and_says_what_was_left_out():
    now_s = [0.0]
    limit = logs.RateLimit(lambda: now_s[0])
    assert sum(limit.filter(record("flood")) for _ in range(100)) == logs.BURST_LINES
    now_s[0] = 1.0
    again = record("flood")
    assert limit.filter(again)
    assert getattr(again, "left_out", 0) == 100 - logs.BURST_LINES
    assert "(and 90 more like it before)" in logs.HumanLines().format(again)
    assert json.loads(logs.JsonLines().format(again))["left_out"] == 90
    assert not limit.filter(record("flood"))


def test_kinds_without_end_share_one_allowance():
    limit = logs.RateLimit(lambda: 0.0)
    passed = sum(limit.filter(record(f"kind {number}")) for number in range(10 * logs.MAX_KINDS))
    assert passed == logs.MAX_KINDS + logs.BURST_LINES
    assert len(limit._allowance) == logs.MAX_KINDS + 1
