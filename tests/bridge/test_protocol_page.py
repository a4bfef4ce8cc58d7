"""What docs/protocol.md says in prose holds: its worked bytes decode, its limits are the server's."""

from __future__ import annotations

import re
from pathlib import Path

from gstalker.bridge.codec import decode, encode
from gstalker.bridge.schema import Hello, SpeechEnd, Stop
from gstalker.bridge.server import snapshot, speech
from gstalker.bridge.server.membership import HELLO_WEIGHT
from gstalker.bridge.server.options import Limits
from gstalker.bridge.server.session import STOP_MARGIN_S

PAGE = Path(__file__).parents[2] / "docs" / "protocol.md"


def test_the_worked_bytes_are_what_the_codec_writes():
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"```text\n(.*?)```", text, re.DOTALL)
    found = [
        bytes.fromhex("".join(re.findall(r"^ *\d+  ((?:[0-9a-f]{2} ?)+) ", block, re.MULTILINE))) for block in blocks
    ]
    messages = [decode(data) for data in found]
    assert [type(m) for m in messages] == [Hello, Stop, SpeechEnd]
    assert [bytes(encode(m)) for m in messages] == found
    cut = messages[2]
    assert isinstance(cut, SpeechEnd)
    assert (cut.session_id, cut.speech_id, cut.time_s, cut.cut) == (3, 5, 12.48, True)


def test_the_limits_of_the_page_are_those_of_a_server():
    text, limits = PAGE.read_text(encoding="utf-8"), Limits()
    for said in (
        f"| clients | {limits.client_count} ",
        f"| private sessions | {limits.private_session_count} ",
        f"| share of the time for frames | {100 * limits.load_share:.0f} % ",
        f"| {limits.requests_a_second:.0f} a second, {limits.request_burst:.0f} at once; a `hello` counts as "
        f"{HELLO_WEIGHT:.0f} ",
        f"| {limits.sound_s_a_second:.0f} s a second, {limits.sound_burst_s:.0f} s at once ",
        f"| {limits.speech_capacity_s:.0f} s (`speech_capacity_s`) ",
        f"| utterances that wait in a session | {speech.MAX_UTTERANCES} ",
        f"| a client that asks for nothing | {limits.client_lease_s:.0f} s ",
        f"| a private session without a client | {limits.empty_session_s:.0f} s ",
        f"| a snapshot | {snapshot.MAX_STATE_BYTES} bytes ",
        f"at least {1000 * STOP_MARGIN_S:.0f} ms after the server read the request: at most "
        f"{1000 * STOP_MARGIN_S + 40:.0f} ms later",
    ):
        assert said in text
