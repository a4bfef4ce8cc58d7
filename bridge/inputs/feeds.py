"""Between the inputs and a session: called from the server's own thread, they never block it."""

from __future__ import annotations

import contextlib

import numpy as np

from gstalker.bridge.errors import SpeechRefused
from gstalker.bridge.inputs.live_face import FaceSource
from gstalker.bridge.inputs.sound_source import SoundSource, SourceState
from gstalker.bridge.server.controls import FaceControls
from gstalker.bridge.server.speech import SpeechTimeline

PIECES_A_CALL = 64
FRESH_S = 0.1  # of live sound that came before anybody listened
AHEAD_S = 2.0  # of sound that can wait: so much is moved ahead, the rest stays where it comes from


class SoundFeed:
    """Moves what a source gives into a session's speech, as one utterance after the other.

    Attributes:
        refused: why the session took no sound, if it did not.
    """

    def __init__(self, source: SoundSource) -> None:
        self.source = source
        self.refused = ""
        self._speech_id: int | None = None
        self._sent = 0  # samples of this utterance
        self._held: np.ndarray | None = None  # taken from the source and not yet by the session

    @property
    def status(self) -> str:
        """One line for `Stats.source`."""
        return f"{self.source.status}; {self.refused}" if self.refused else self.source.status

    def pump(self, speech: SpeechTimeline) -> None:
        """Hand over what has come; once for every frame, or oftener."""
        if self.source.live and self._speech_id is None:
            self._drop_stale()
        for _ in range(PIECES_A_CALL):
            if not self.source.live and speech.waiting_s > AHEAD_S:
                return
            piece = self._held if self._held is not None else self.source.read()
            self._held = None
            if piece is None:
                break
            if not self._push(speech, piece):
                self._held = None if self.source.live else piece  # live sound that nobody takes is stale
                return
        if self.source.state in (SourceState.FAILED, SourceState.ENDED):
            self._close(speech)

    def close(self) -> None:
        """End the source."""
        self.source.close()

    def _drop_stale(self) -> None:
        """Of live sound from before an utterance keep only what has come just now, or it would be late for ever."""
        newest: list[np.ndarray] = []
        while (piece := self.source.read()) is not None:
            newest.append(piece)
            while len(newest) > 1 and sum(map(len, newest[1:])) > FRESH_S * self.source.rate_hz:
                newest.pop(0)
        self._held = np.concatenate(newest) if newest else None

    def _push(self, speech: SpeechTimeline, piece: np.ndarray) -> bool:
        for _ in range(2):
            try:
                if self._speech_id is None:
                    self._speech_id = speech.open(self.source.rate_hz, self.source.channel_count, live=self.source.live)
                    self._sent = 0
                speech.push(self._speech_id, self._sent, piece)
            except SpeechRefused as error:
                self.refused = str(error)
                if error.code != "unknown_speech":
                    return False
                self._speech_id = None  # it was cut or given up: what comes now is a new one
                continue
            self._sent += len(piece)
            self.refused = ""
            return True
        return False

    def _close(self, speech: SpeechTimeline) -> None:
        if self._speech_id is None:
            return
        with contextlib.suppress(SpeechRefused):  # cut meanwhile
            speech.close(self._speech_id)
        self._speech_id = None


class FaceFeed:
    """Moves the newest state of a tracker into a session's face."""

    def __init__(self, source: FaceSource) -> None:
        self.source = source
        self._limited = ""

    @property
    def status(self) -> str:
        """One line for `Stats.source`: how the source fares, and whether the head turns beyond what was trained."""
        return f"{self.source.status}; head {self._limited}" if self._limited else self.source.status

    def pump(self, face: FaceControls, frame: int) -> None:
        """Hand over what has come, for this frame on."""
        state = self.source.read()
        if state is not None:
            face.live_face(frame, state.weights, state.rest_from_head)
            self._limited = face.live_head_limited

    def close(self) -> None:
        """End the source."""
        self.source.close()
