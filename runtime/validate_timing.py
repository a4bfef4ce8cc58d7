"""Whether a session's frames and sound came whole and on time."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from gstalker.runtime.session import AudioEntry, FrameEntry, SessionReader, holes

# ITU-R BT.1359-1: from where on viewers detect that picture and sound are apart.
SOUND_LEADS_AT_MOST_MS = 45.0
SOUND_LAGS_AT_MOST_MS = 125.0
STAMP_TOLERANCE_S = 1e-3  # a stamp is index / fps in double precision: anything visible is a mistake


@dataclass(frozen=True)
class Timing:
    """What the stamps and the times of arrival say.

    Attributes:
        missing_frames, missing_audio: numbers of the frames and pieces of sound that never came.
        worst_stamp_error_s: largest distance of a frame's presentation time from index / fps, and of a piece of
            sound's from the end of the piece before it in the same utterance.
        sent_late: frames that left the server after their presentation time.
        arrived_late: frames that arrived after it, on the recorder's clock set by the fastest message.
        picture_behind_sound_ms: smallest, median and largest delay of the picture against its sound at a client
            that plays both by their stamps; zero where both came in time. None without sound.
    """

    missing_frames: tuple[int, ...]
    missing_audio: tuple[int, ...]
    worst_stamp_error_s: float
    sent_late: int
    arrived_late: int
    picture_behind_sound_ms: tuple[float, float, float] | None

    @property
    def stamps_agree(self) -> bool:
        return self.worst_stamp_error_s <= STAMP_TOLERANCE_S

    @property
    def sound_and_picture_together(self) -> bool | None:
        """None where there is no sound."""
        if self.picture_behind_sound_ms is None:
            return None
        smallest, _, largest = self.picture_behind_sound_ms
        return smallest >= -SOUND_LAGS_AT_MOST_MS and largest <= SOUND_LEADS_AT_MOST_MS


def timing_of(session: SessionReader) -> Timing:
    """Check the order, the stamps and the arrivals of a session."""
    frames, audio = session.frames("q16"), session.audio
    # The fastest message shows by how much the two clocks are apart, as near as can be known from one side.
    offset_s = min(e.received_at_s - e.sent_at_s for e in (*frames, *audio))
    frame_late_s = np.array([e.received_at_s - offset_s - e.time_s for e in frames])
    return Timing(
        missing_frames=holes([e.index for e in frames]),
        missing_audio=holes([e.sequence for e in audio]),
        worst_stamp_error_s=_worst_stamp_error_s(frames, audio, session.info.fps, session.info.audio_rate_hz),
        sent_late=sum(e.sent_at_s > e.time_s for e in frames),
        arrived_late=int((frame_late_s > 0).sum()),
        picture_behind_sound_ms=_picture_behind_sound_ms(
            *(frames, frame_late_s, audio, offset_s, session.info.audio_rate_hz)
        ),
    )


def _worst_stamp_error_s(frames: list[FrameEntry], audio: list[AudioEntry], fps: int, rate_hz: int) -> float:
    errors = [abs(e.time_s - e.index / fps) for e in frames]
    for before, after in itertools.pairwise(audio):
        if after.sequence == before.sequence + 1 and after.speech_id == before.speech_id:
            errors.append(abs(after.time_s - before.time_s - before.sample_count / rate_hz))
    return max(errors)


def _picture_behind_sound_ms(
    frames: list[FrameEntry], frame_late_s: np.ndarray, audio: list[AudioEntry], offset_s: float, rate_hz: int
) -> tuple[float, float, float] | None:
    if not audio:
        return None
    starts_s = np.array([e.time_s for e in audio])
    ends_s = starts_s + np.array([e.sample_count for e in audio]) / rate_hz
    audio_late_s = np.array([e.received_at_s - offset_s - e.time_s for e in audio])
    times_s = np.array([e.time_s for e in frames])
    piece = np.searchsorted(starts_s, times_s + 1e-6, side="right") - 1
    heard = (piece >= 0) & (times_s < ends_s[piece])
    if not heard.any():
        return None
    behind_ms = 1e3 * (np.maximum(frame_late_s[heard], 0) - np.maximum(audio_late_s[piece[heard]], 0))
    return float(behind_ms.min()), float(np.median(behind_ms)), float(behind_ms.max())
