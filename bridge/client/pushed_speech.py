"""Speech that a client pushes: pieces go out as the server has room, from the client's own loop.

No sockets and no clock: `AvatarClient` asks `next_request` what to send, and tells `answered` what came back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np

from gstalker.bridge.errors import Refused
from gstalker.bridge.schema import (
    Answer,
    CloseSpeech,
    OpenSpeech,
    PushSpeech,
    Refusal,
    Request,
    SpeechOpened,
    SpeechState,
)
from gstalker.runtime.errors import InputError

PIECE_S = 0.2  # of one request: small enough that none is as large as the wire allows, at any rate
AHEAD_S = 3.0  # how much sound waits at the server: more than any hitch, little enough to stop at once
_TRY_AGAIN = ("speech_full", "too_fast", "busy", "greet_first")
_LEAST_WAIT_S = 0.05

Sound = np.ndarray | Iterable[np.ndarray]


class PushedSpeech:
    """One utterance on its way to the server.

    Attributes:
        speech_id: its number within the session, once the server has opened it.
        received_s: how much of it the server has.
        cut: it was stopped, or its connection was lost, before it was all there.
        refusal: why the server took no more, if it did not.
        finished: nothing of it is left to send, for whatever reason.
    """

    def __init__(self, rate_hz: int, channel_count: int, interrupt: bool, capacity_s: float) -> None:
        """Begin an utterance.

        Args:
            rate_hz, channel_count: of the sound that will come.
            interrupt: cut what is being said, and speak at once.
            capacity_s: how much the server lets wait (`speech_capacity_s` of the welcome).
        """
        self.rate_hz, self.channel_count = rate_hz, channel_count
        self.speech_id: int | None = None
        self.received_s = 0.0
        self.cut = self.finished = False
        self.refusal: Refused | None = None
        self._interrupt = interrupt
        self._ahead_s = min(AHEAD_S, 0.8 * capacity_s) if capacity_s > 0 else AHEAD_S
        self._pieces: deque[np.ndarray] = deque()
        self._more: Iterator[np.ndarray] | None = None
        self._first_sample = 0
        self._no_more = self._asked = False
        self._waiting_s = 0.0  # at the server, when it last answered
        self._answered_at_s = self._not_before_s = -np.inf

    @property
    def queued_s(self) -> float:
        """How much sound waits on this side."""
        return sum(len(p) for p in self._pieces) / self.rate_hz

    def add(self, samples: np.ndarray) -> None:
        """Queue sound behind what is queued.

        Args:
            samples: (S,) or (S, channel_count); int16, or floating point in -1..1.

        Raises:
            InputError: another shape or type, values that are not finite, or the utterance has been closed.
        """
        if self._no_more:
            raise InputError("speech: expected no more sound after close(), got some.")
        pcm = to_pcm(samples, self.channel_count)
        step = max(1, int(PIECE_S * self.rate_hz))
        self._pieces.extend(pcm[start : start + step] for start in range(0, len(pcm), step))

    def add_all(self, chunks: Iterator[np.ndarray]) -> None:
        """Take sound from an iterator, as it is needed; its end closes the utterance."""
        self._more = chunks

    def close(self) -> None:
        """All the sound has been added."""
        self._no_more = True

    def abandon(self) -> None:
        """The connection or the session is gone."""
        self.cut = self.cut or not self.finished
        self.finished = True
        self._pieces.clear()

    def next_request(self, request_id: int, now_s: float) -> Request | None:
        """What to send now, if anything; its answer must come before the next."""
        if self.finished or self._asked or now_s < self._not_before_s:
            return None
        request: Request | None = None
        if self.speech_id is None:
            request = OpenSpeech(request_id, self.rate_hz, self.channel_count, self._interrupt)
        elif self._waiting_now_s(now_s) < self._ahead_s:
            piece = self._next_piece()
            if piece is not None:
                request = PushSpeech(
                    request_id, self.speech_id, self._first_sample, len(piece), self.channel_count, piece
                )
            elif self._no_more:
                request = CloseSpeech(request_id, self.speech_id)
        self._asked = request is not None
        return request

    def answered(self, request: Request, answer: Answer, now_s: float, where: str) -> None:
        """What came back for the last request; `where` names the server in a refusal."""
        self._asked = False
        if isinstance(answer, Refusal):
            self._refused(request, answer, now_s, where)
            return
        if isinstance(answer, SpeechOpened):
            self.speech_id = answer.speech_id
        elif isinstance(answer, SpeechState):
            self.received_s, self._waiting_s, self._answered_at_s = answer.received_s, answer.waiting_s, now_s
            if isinstance(request, PushSpeech):
                self._first_sample += request.sample_count
                self._pieces.popleft()
            self.finished = isinstance(request, CloseSpeech)

    def _refused(self, request: Request, refusal: Refusal, now_s: float, where: str) -> None:
        if refusal.code in _TRY_AGAIN:
            self._not_before_s = now_s + max(_LEAST_WAIT_S, refusal.retry_after_s)
            return
        self.cut = refusal.code == "unknown_speech"
        if not self.cut:
            text = f"{where}: refused {request.TOPIC}: {refusal.reason}"
            self.refusal = Refused(refusal.code, text, refusal.retry_after_s)
        self.finished = True
        self._pieces.clear()

    def _waiting_now_s(self, now_s: float) -> float:
        """The server speaks one second a second."""
        return max(0.0, self._waiting_s - max(0.0, now_s - self._answered_at_s))

    def _next_piece(self) -> np.ndarray | None:
        while not self._pieces and self._more is not None:
            chunk = next(self._more, None)
            if chunk is None:
                self._more = None
                self.close()
            else:
                self.add(chunk)
        return self._pieces[0] if self._pieces else None


def to_pcm(samples: np.ndarray, channel_count: int) -> np.ndarray:
    """(S, channel_count) int16 of sound as programs have it.

    Raises:
        InputError: another shape or type, or values that are not finite.
    """
    array = np.asarray(samples)
    if array.ndim == 1 and channel_count == 1:
        array = array[:, None]
    if array.ndim != 2 or array.shape[1] != channel_count:
        raise InputError(
            f"speech: expected samples of shape (S, {channel_count}){' or (S,)' if channel_count == 1 else ''}, got "
            f"{np.shape(samples)}."
        )
    if array.dtype == np.int16:
        return np.ascontiguousarray(array)
    if array.dtype.kind != "f":
        raise InputError(f"speech: expected int16 or floating point samples, got {array.dtype}.")
    if not np.isfinite(array).all():
        raise InputError("speech: expected finite samples, got NaN or infinity.")
    return np.round(np.clip(array, -1, 1) * 32767).astype(np.int16)
