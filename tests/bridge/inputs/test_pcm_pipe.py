"""PCM on standard input: any pieces, whole samples, and a writer that has to wait."""

from __future__ import annotations

import io
import os
import time

import numpy as np
import pytest

from gstalker.bridge.inputs.feeds import SoundFeed
from gstalker.bridge.inputs.pcm_pipe import QUEUE_S, PcmPipe
from gstalker.bridge.inputs.sound_source import SourceState
from gstalker.bridge.server.speech import SpeechTimeline
from gstalker.runtime.audio import LogMelConfig
from gstalker.runtime.bundle_manifest import AudioFrontEnd
from gstalker.runtime.errors import InputError

FRONT = AudioFrontEnd(LogMelConfig(), left_mel_frames=31, right_mel_frames=28)


def all_of(pipe: PcmPipe) -> np.ndarray:
    pieces, deadline = [np.zeros((0, pipe.channel_count), np.int16)], time.monotonic() + 10
    while pipe.state is not SourceState.ENDED and time.monotonic() < deadline:
        piece = pipe.read()
        if piece is None:
            time.sleep(0.001)
        else:
            pieces.append(piece)
    return np.concatenate(pieces)


class InLumps(io.BytesIO):
    """A stream that gives odd numbers of bytes, as pipes do."""

    def read1(self, size: int | None = -1, /) -> bytes:
        return super().read(7)


@pytest.mark.parametrize("channels", [1, 2])
def test_what_is_written_comes_out_whatever_the_lumps(channels: int):
    sent = np.arange(2000, dtype="<i2").reshape(-1, channels)
    got = all_of(pipe := PcmPipe(InLumps(sent.tobytes()), 16_000, channels))
    np.testing.assert_array_equal(got, sent)
    assert pipe.status.startswith("standard input: ended, 16000 Hz")


def test_half_a_sample_at_the_end_is_said():
    pipe = PcmPipe(io.BytesIO(b"\x01\x00\x02\x00\x03"), 16_000)
    assert all_of(pipe)[:, 0].tolist() == [1, 2]
    assert "1 bytes at the end are no whole sample" in pipe.status


def test_a_stream_that_breaks_ends_with_its_reason():
    class Broken(io.BytesIO):
        def read1(self, size: int | None = -1, /) -> bytes:
            raise OSError("broken pipe")

    pipe = PcmPipe(Broken(), 16_000)
    assert len(all_of(pipe)) == 0
    assert "broken pipe" in pipe.status


@pytest.mark.parametrize(
    ("rate_hz", "channels", "text"),
    [(7000, 1, "expected a rate of 8000 to 96000 Hz, got 7000"), (16_000, 3, "expected 1 or 2 channels, got 3")],
)
def test_what_cannot_be_pcm_is_refused(rate_hz: int, channels: int, text: str):
    with pytest.raises(InputError, match=text):
        PcmPipe(io.BytesIO(), rate_hz, channels)


def test_a_long_stream_waits_for_the_avatar_instead_of_filling_the_memory():
    """A minute is there at once; what is read ahead and what waits in the session stays below 5 s."""
    sent = (np.random.default_rng(0).normal(size=60 * 16_000) * 3000).astype("<i2")
    pipe = PcmPipe(io.BytesIO(sent.tobytes()), 16_000)
    feed, timeline = SoundFeed(pipe), SpeechTimeline(FRONT, capacity_s=3.0)
    heard = []
    for frame in range(300):
        for _ in range(20):
            feed.pump(timeline)
            time.sleep(0.0001)
        timeline.prepare(frame)
        pcm = timeline.pcm(frame)
        heard.append(np.zeros(640, np.int16) if pcm is None else pcm.copy())
        assert timeline.waiting_s <= 3.0
        assert pipe._queue._count <= (QUEUE_S + 0.1) * 16_000
    line = np.concatenate(heard)
    first = int(np.flatnonzero(line)[0])
    np.testing.assert_array_equal(line[first:], sent[np.flatnonzero(sent)[0] :][: len(line) - first])
    assert timeline.starved == 0
    pipe.close()


def test_a_pause_of_the_writer_does_not_block_the_server_and_an_end_closes_the_utterance():
    reader, writer = os.pipe()
    pipe = PcmPipe(os.fdopen(reader, "rb"), 16_000)
    feed, timeline = SoundFeed(pipe), SpeechTimeline(FRONT)
    os.write(writer, np.full(16_000, 100, "<i2").tobytes())
    deadline = time.monotonic() + 10
    while timeline.waiting_s < 1.0 and time.monotonic() < deadline:
        feed.pump(timeline)
    began = time.monotonic()
    feed.pump(timeline)
    assert time.monotonic() - began < 1.0, "pump must not wait for the writer"
    os.close(writer)
    while pipe.state is not SourceState.ENDED and time.monotonic() < deadline:
        feed.pump(timeline)
    told = []
    for frame in range(40):
        feed.pump(timeline)
        timeline.prepare(frame)
        told += timeline.ended(frame)
    assert [(e.speech_id, e.time_s) for e in told] == [(0, 1.0)]
