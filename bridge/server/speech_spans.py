"""Where utterances lie on a session's timeline: which sounds when, and which is over."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from gstalker.bridge.server.snapshot_fields import LARGEST, Fields
from gstalker.runtime.audio import SAMPLE_RATE_HZ, SAMPLES_PER_VIDEO_FRAME

MAX_SPANS = 1000  # in a snapshot


class SpeechEnded(NamedTuple):
    """An utterance whose sound is over, and the presentation time at which it is."""

    speech_id: int
    time_s: float


@dataclass
class _Span:
    speech_id: int
    first: int
    last: int | None  # None while it is being spoken
    reported: bool = False


class SpeechSpans:
    """Stretches of samples, one for each utterance that has begun, in order; each begins with a frame."""

    def __init__(self) -> None:
        self._spans: deque[_Span] = deque()

    @property
    def open(self) -> bool:
        """Whether an utterance is being spoken."""
        return bool(self._spans) and self._spans[-1].last is None

    def begin(self, speech_id: int, first: int) -> None:
        """An utterance begins at a sample."""
        self._spans.append(_Span(speech_id, first, None))

    def finish(self, last: int) -> None:
        """The utterance that is being spoken ends before a sample."""
        self._spans[-1].last = last

    def at(self, frame: int) -> int | None:
        """The utterance that sounds in a frame."""
        first = frame * SAMPLES_PER_VIDEO_FRAME
        for span in reversed(self._spans):
            if span.first < first + SAMPLES_PER_VIDEO_FRAME and (span.last is None or span.last > first):
                return span.speech_id
        return None

    def ended(self, frame: int) -> list[SpeechEnded]:
        """Utterances whose sound is over when a frame begins; each is told once."""
        until = frame * SAMPLES_PER_VIDEO_FRAME
        found: list[SpeechEnded] = []
        for span in self._spans:
            if not span.reported and span.last is not None and span.last <= until:
                span.reported = True
                found.append(SpeechEnded(span.speech_id, span.last / SAMPLE_RATE_HZ))
        return found

    def cut(self, sample: int) -> int | None:
        """End everything at a sample, untold; the utterance that would have sounded on, None if none would."""
        found = None
        for span in self._spans:
            if span.last is None or span.last > sample:
                found = span.speech_id
                span.first, span.last, span.reported = min(span.first, sample), sample, True
        return found

    def forget(self, before: int) -> None:
        """Drop what was told and ended before a sample."""
        while self._spans and self._spans[0].reported and (self._spans[0].last or 0) < before:
            self._spans.popleft()

    def state(self) -> list[list[object]]:
        """For a snapshot."""
        return [[s.speech_id, s.first, s.last, s.reported] for s in self._spans]

    @staticmethod
    def from_state(rows: list[object], end: int) -> SpeechSpans:
        """What `state` gave, of a timeline that ends at a sample.

        Raises:
            RequestRefused: bad_value.
        """
        self = SpeechSpans()
        names = ("speech_id", "first", "last", "reported")
        for number, row in enumerate(rows):
            listed = row if isinstance(row, list | tuple) else []
            fields = Fields(dict(zip(names, listed, strict=False)), f"spans.{number}", names)
            first = fields.whole("first", 0, end)
            last = fields.optional_whole("last", first, end)
            if last is None and number < len(rows) - 1:
                raise fields.refused("last", "the end of all but the last")
            self._spans.append(_Span(fields.whole("speech_id", 0, LARGEST), first, last, fields.truth("reported")))
        return self
