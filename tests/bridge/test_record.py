"""What becomes of a recording when something is in its way."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers.running_server import Running

from gstalker.bridge.client.client import AvatarClient, Received
from gstalker.bridge.errors import ServerLost, WireError
from gstalker.bridge.record import RecordOptions, record
from gstalker.bridge.schema import Audio, FrameQ16
from gstalker.runtime.errors import InputError
from gstalker.runtime.session import SessionReader

pytest.importorskip("onnxruntime", reason="moving an avatar needs the extra cpu or gpu")

SHORT = RecordOptions(seconds=0.4)


def test_a_recording_is_as_long_as_asked_for(running: Running, tmp_path: Path):
    told: list[float] = []
    recorded = record(running.address, tmp_path / "s", SHORT, told.append)
    assert recorded.end.complete
    assert recorded.frames == 10
    assert recorded.sound_s == pytest.approx(0.4)
    assert told == sorted(told)
    assert told[-1] == pytest.approx(0.36)
    session = SessionReader(tmp_path / "s")
    assert len(session.frames("q16")) == len(session.frames("f32")) == 10
    assert session.info.notice.startswith("Synthetic")
    assert session.info.bundle_sha256 == running.server.table.avatars[0].bundle.manifest_sha256


def test_the_unquantised_frames_can_be_left_out(running: Running, tmp_path: Path):
    record(running.address, tmp_path / "s", dataclasses.replace(SHORT, unquantised=False))
    session = SessionReader(tmp_path / "s")
    assert len(session.frames("q16")) == 10
    assert session.frames("f32") == []


def test_the_frames_are_the_very_bytes_that_were_sent(running: Running, tmp_path: Path, monkeypatch):
    sent: dict[int, bytes] = {}
    original = AvatarClient.messages

    def keeping(self: AvatarClient, silence_s: float = 10) -> Iterator[Received]:
        for received in original(self, silence_s):
            if isinstance(received.message, FrameQ16):
                sent[received.message.index] = received.message.movers.tobytes()
            yield received

    monkeypatch.setattr(AvatarClient, "messages", keeping)
    record(running.address, tmp_path / "s", SHORT)
    session = SessionReader(tmp_path / "s")
    data = (tmp_path / "s" / "frames_q16.bin").read_bytes()
    size = 16 * session.info.mover_count
    for entry in session.frames("q16"):
        assert data[entry.offset : entry.offset + size] == sent[entry.index]


def test_an_earlier_session_is_replaced_only_when_asked_for_and_other_files_never(running: Running, tmp_path: Path):
    record(running.address, tmp_path / "s", SHORT)
    first = (tmp_path / "s" / "frames.jsonl").read_bytes()
    with pytest.raises(InputError, match="expected a new or empty folder, it holds files"):
        record(running.address, tmp_path / "s", SHORT)
    assert (tmp_path / "s" / "frames.jsonl").read_bytes() == first
    record(running.address, tmp_path / "s", dataclasses.replace(SHORT, overwrite=True))
    assert (tmp_path / "s" / "frames.jsonl").read_bytes() != first
    (tmp_path / "diary").mkdir()
    (tmp_path / "diary" / "today.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(InputError, match="expected a new or empty folder"):
        record(running.address, tmp_path / "diary", dataclasses.replace(SHORT, overwrite=True))
    assert (tmp_path / "diary" / "today.txt").is_file()


def test_an_earlier_session_survives_when_nobody_serves(free_port: int, tmp_path: Path, running: Running):
    record(running.address, tmp_path / "s", SHORT)
    running.end()
    options = dataclasses.replace(SHORT, overwrite=True, timeout_s=0.3)
    with pytest.raises(InputError, match="expected an avatar server to answer hello"):
        record(running.address, tmp_path / "s", options)
    assert len(SessionReader(tmp_path / "s").frames("q16")) == 10


def after_the_first(monkeypatch: pytest.MonkeyPatch, change) -> None:
    """Let a function of (frame number, message) replace or end what the client receives."""
    original = AvatarClient.messages

    def changed(self: AvatarClient, silence_s: float = 10) -> Iterator[Received]:
        frames = 0
        for received in original(self, silence_s):
            message = change(frames, received.message)
            frames += isinstance(received.message, FrameQ16)
            yield dataclasses.replace(received, message=message)

    monkeypatch.setattr(AvatarClient, "messages", changed)


def test_a_server_that_starts_again_ends_the_recording(running: Running, tmp_path: Path, monkeypatch):
    def again(frames: int, message):
        if not isinstance(message, FrameQ16):
            return message
        if frames == 4:
            return dataclasses.replace(message, sent_at_s=0.3)  # the time of all frames so far is over
        return dataclasses.replace(message, index=0) if frames == 5 else message

    after_the_first(monkeypatch, again)
    recorded = record(running.address, tmp_path / "s", SHORT)
    assert recorded.end.reason == "the server started again"
    assert not recorded.end.complete
    assert [e.index for e in SessionReader(tmp_path / "s").frames("q16")] == [0, 1, 2, 3, 4]


def test_what_a_stop_takes_back_is_not_recorded_and_not_missing(running: Running, tmp_path: Path, monkeypatch):
    """Frames and sound are sent two seconds ahead here, so nearly all of both is taken back."""
    original = AvatarClient.messages

    def stopping(self: AvatarClient, silence_s: float = 10) -> Iterator[Received]:
        for number, received in enumerate(original(self, silence_s)):
            if number == 20:
                self.stop()
            yield received

    monkeypatch.setattr(AvatarClient, "messages", stopping)
    recorded = record(running.address, tmp_path / "s", dataclasses.replace(SHORT, seconds=1.0))
    session = SessionReader(tmp_path / "s")
    assert recorded.end.complete
    assert recorded.end.missing_frames == ()
    assert recorded.end.missing_audio == ()
    assert [e.index for e in session.frames("q16")] == list(range(25))
    assert recorded.sound_s <= 0.3


@pytest.mark.parametrize("lost_after", [0, 5])
def test_a_lost_server_leaves_what_came_and_nothing_where_nothing_came(
    lost_after: int, running: Running, tmp_path: Path, monkeypatch
):
    original = AvatarClient.messages

    def losing(self: AvatarClient, silence_s: float = 10) -> Iterator[Received]:
        frames = 0
        for received in original(self, silence_s):
            if frames >= lost_after:
                raise ServerLost("got nothing")
            frames += isinstance(received.message, FrameQ16)
            yield received

    monkeypatch.setattr(AvatarClient, "messages", losing)
    if lost_after == 0:
        with pytest.raises(ServerLost, match="got nothing"):
            record(running.address, tmp_path / "s", SHORT)
        assert not (tmp_path / "s").exists()
        return
    recorded = record(running.address, tmp_path / "s", dataclasses.replace(SHORT, pictures=2))
    assert (recorded.end.reason, recorded.end.complete, recorded.frames) == ("got nothing", False, 5)
    assert recorded.pictures == 2


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (lambda m: dataclasses.replace(m, mover_count=1, movers=m.movers[:1]), WireError, "mover_count: expected 400"),
        (lambda m: (_ for _ in ()).throw(OSError(28, "No space left on device")), OSError, "No space left"),
    ],
)
def test_what_is_wrong_is_said_and_what_came_before_can_be_read(
    change, error: type[Exception], text: str, running: Running, tmp_path: Path, monkeypatch
):
    after_the_first(monkeypatch, lambda frames, m: change(m) if frames == 5 and isinstance(m, FrameQ16) else m)
    with pytest.raises(error, match=text):
        record(running.address, tmp_path / "s", SHORT)
    session = SessionReader(tmp_path / "s")
    assert session.end is not None
    assert "the recording failed" in session.end.reason
    assert text in session.end.reason
    assert len(session.frames("q16")) == 5


def test_lost_frames_and_sound_are_listed(running: Running, tmp_path: Path, monkeypatch):
    original = AvatarClient.messages

    def leaky(self: AvatarClient, silence_s: float = 10) -> Iterator[Received]:
        for received in original(self, silence_s):
            message = received.message
            lost = (isinstance(message, FrameQ16) and message.index in (3, 4)) or (
                isinstance(message, Audio) and message.sequence == 6
            )
            if not lost:
                yield received

    monkeypatch.setattr(AvatarClient, "messages", leaky)
    recorded = record(running.address, tmp_path / "s", SHORT)
    assert recorded.end.missing_frames == (3, 4)
    assert recorded.end.missing_audio == (6,)
    samples = SessionReader(tmp_path / "s").samples()
    assert len(samples) == 10 * 640
    assert not samples[6 * 640 : 7 * 640].any()
    assert np.abs(samples[7 * 640 :]).max() > 0
