"""Live sound and faces drive a session from outside of the wire, and their troubles are told."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from helpers.session_run import Run

from gstalker.bridge.inputs.feeds import SoundFeed
from gstalker.bridge.inputs.sound_source import SourceState
from gstalker.bridge.schema import Audio
from gstalker.bridge.server.live_inputs import InputOptions, LiveInputs
from gstalker.runtime.errors import InputError


class MadeSource:
    """Gives what it is told to."""

    rate_hz, channel_count, live = 16_000, 1, False

    def __init__(self, *pieces: np.ndarray) -> None:
        self.pieces = list(pieces)
        self.state = SourceState.RUNNING
        self.closed = False

    @property
    def status(self) -> str:
        return f"made: {self.state.value}"

    def read(self) -> np.ndarray | None:
        if not self.pieces:
            return None
        return self.pieces.pop(0)

    def close(self) -> None:
        self.closed = True


def test_sound_of_a_source_is_said_by_the_session_once_its_clock_runs():
    run = Run(wanted=(Audio,))
    source = MadeSource(np.full((16_000, 1), 700, np.int16))
    inputs = LiveInputs(SoundFeed(source))
    inputs.pump(run.session)
    assert source.pieces, "taken before anybody could hear it"
    run.start()
    inputs.pump(run.session)
    source.state = SourceState.ENDED
    inputs.pump(run.session)
    run.until(2.0)
    pcm = np.concatenate([a.pcm for a in run.of(Audio)])
    assert (pcm == 700).all()
    assert len(pcm) == 16_000
    inputs.close()
    assert source.closed


def test_a_source_that_fails_is_logged_once_and_again_when_it_is_back(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, "gstalker.bridge")
    source = MadeSource()
    inputs = LiveInputs(SoundFeed(source))
    for state in (SourceState.RUNNING, SourceState.FAILED, SourceState.FAILED, SourceState.RUNNING):
        source.state = state
        inputs.report()
    told = [(r.levelno, r.getMessage()) for r in caplog.records]
    info, warning = logging.INFO, logging.WARNING
    assert told == [(info, "made: running"), (warning, "made: failed"), (info, "made: running")]
    assert inputs.status == "made: running"


def test_without_inputs_there_is_nothing_to_tell():
    inputs = LiveInputs.open(InputOptions())
    inputs.pump(Run().session)
    inputs.report()
    assert inputs.status == ""
    inputs.close()


def test_what_was_opened_is_closed_where_the_next_input_fails():
    with pytest.raises(InputError, match="PCM: expected a rate"):
        LiveInputs.open(InputOptions(live_link_port=0, pipe=True, pipe_rate_hz=1))
