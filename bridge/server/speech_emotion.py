"""How strongly somebody speaks, from how loud and how high the voice is: a heuristic, and no reading of feelings.

It tells strength and never which emotion: louder and higher than the same voice usually is counts as stronger, and
nobody speaking as none. It hears what the avatar says, frame by frame, and looks at nothing later than the frame.
"""

from __future__ import annotations

import numpy as np

from gstalker.bridge.server.pitch import pitch_hz
from gstalker.bridge.server.snapshot_fields import LARGEST, Fields

FRAMES_A_SECOND = 25
MEMORY_FRAMES = 20 * FRAMES_A_SECOND  # what "usually" means: the last 20 s
SMOOTH_FRAMES = 30  # 1.2 s: no faster than a face changes its expression
LEAST_KNOWN_FRAMES = FRAMES_A_SECOND  # of speech, before which nothing is called loud or high
QUIET_DB = -60.0  # of full scale: below, nobody speaks, whoever it is
BELOW_LOUDEST_DB = 25.0  # and so far below the loudest of the memory
USUAL = 0.4  # strength of a voice at its usual level and pitch
A_STEP = 0.3  # strength that is added by LOUDER_DB, and by HIGHER_SEMITONES
LOUDER_DB = 6.0
HIGHER_SEMITONES = 3.0
LEAST, MOST = 0.1, 1.0  # of somebody who speaks
SPEAKING_SHARE = 0.5  # of the frames of running speech are loud enough to count; more is no more speech
SHRINK = 0.1  # share of frames that count as usual beside those heard: a single voiced frame says little
LARGEST_STEP = 0.06  # a frame: from nothing to all in 0.7 s at the fastest
_SILENT_DB = -120.0
# Weights of the last frames, newest last: a raised cosine, which begins and ends at nothing.
_SMOOTHING = 1.0 - np.cos(2 * np.pi * (np.arange(SMOOTH_FRAMES) + 0.5) / SMOOTH_FRAMES)
_SMOOTHING /= _SMOOTHING.sum()


class SpeechEmotion:
    """Sound in, strength out: a function of the last 20 s before a frame, so that a frame heard again is the same."""

    def __init__(self) -> None:
        self._next = 0  # the frame that is heard next
        self._levels_db = np.full(MEMORY_FRAMES, _SILENT_DB)  # newest last
        self._semitones = np.full(MEMORY_FRAMES, np.nan)  # above 1 Hz; NaN where there is no voice
        self._strengths = np.zeros(MEMORY_FRAMES)

    def hear(self, frame: int, sound: np.ndarray | None) -> float:
        """The strength at a frame, 0..1.

        Args:
            frame: in order; one that was heard before makes everything from it on forgotten, as after a cut.
            sound: (PITCH_SAMPLES,) int16, the last of it what is heard with the frame; None where nobody speaks.
        """
        self._go_to(frame)
        level_db, semitones = _SILENT_DB, np.nan
        if sound is not None and sound.any():
            samples = sound / 32768.0
            level_db = 10 * np.log10(np.mean(samples * samples))
            hz = pitch_hz(samples) if level_db > QUIET_DB else 0.0
            semitones = 12 * np.log2(hz) if hz else np.nan
        self._levels_db = np.append(self._levels_db[1:], level_db)
        self._semitones = np.append(self._semitones[1:], semitones)
        self._next = frame + 1
        before = self._strengths[-1]
        strength = before + min(max(self._wanted() - before, -LARGEST_STEP), LARGEST_STEP)
        self._strengths = np.append(self._strengths[1:], strength)
        return float(strength)

    def _go_to(self, frame: int) -> None:
        """Forget what was heard from a frame on; frames that were left out count as silence."""
        step = frame - self._next
        if step == 0:
            return
        for name, nothing in (("_levels_db", _SILENT_DB), ("_semitones", np.nan), ("_strengths", 0.0)):
            old = getattr(self, name)
            new = np.full(MEMORY_FRAMES, nothing)
            if 0 < step < MEMORY_FRAMES:
                new[:-step] = old[step:]
            elif -MEMORY_FRAMES < step < 0:
                new[-step:] = old[:step]
            setattr(self, name, new)

    def _wanted(self) -> float:
        """What the last frames ask for, before steps are bounded."""
        threshold_db = max(QUIET_DB, self._levels_db.max() - BELOW_LOUDEST_DB)
        speaks = self._levels_db > threshold_db
        voiced = speaks & np.isfinite(self._semitones)
        speaking = float(_SMOOTHING @ speaks[-SMOOTH_FRAMES:])
        strength = USUAL
        if speaks.sum() >= LEAST_KNOWN_FRAMES:
            strength += A_STEP / LOUDER_DB * _beyond_usual(self._levels_db, speaks)
            strength += A_STEP / HIGHER_SEMITONES * _beyond_usual(self._semitones, voiced)
        return min(1.0, speaking / SPEAKING_SHARE) * min(max(strength, LEAST), MOST)

    # Moving to another process.

    def state(self) -> dict[str, object]:
        """What another process needs to go on, as msgpack has it."""
        semitones = np.nan_to_num(self._semitones, nan=-1.0)
        return {
            "next": self._next,
            "levels_db": self._levels_db.astype("<f8").tobytes(),
            "semitones": semitones.astype("<f8").tobytes(),
            "strengths": self._strengths.astype("<f8").tobytes(),
        }

    @staticmethod
    def from_state(state: object) -> SpeechEmotion:
        """Go on where `state` was taken. Nothing in it is believed.

        Raises:
            RequestRefused: bad_value.
        """
        fields = Fields(state, "speech_emotion", ("next", "levels_db", "semitones", "strengths"))
        self = SpeechEmotion()
        self._next = fields.whole("next", 0, LARGEST)
        for name, low, high in (("levels_db", -400.0, 10.0), ("semitones", -1.0, 200.0), ("strengths", 0.0, 1.0)):
            raw = fields.raw(name, 8 * MEMORY_FRAMES)
            values = np.frombuffer(raw, "<f8") if len(raw) == 8 * MEMORY_FRAMES else np.full(1, np.nan)
            if not ((values >= low) & (values <= high)).all():
                raise fields.refused(name, f"{MEMORY_FRAMES} numbers of {low:g} to {high:g}")
            setattr(self, f"_{name}", values.astype(np.float64))
        self._semitones = np.where(self._semitones < 0, np.nan, self._semitones)
        return self


def _beyond_usual(values: np.ndarray, counted: np.ndarray) -> float:
    """How far the last frames lie above the mean of all, both of those that are counted."""
    weights = _SMOOTHING * counted[-SMOOTH_FRAMES:]
    if not weights.any():
        return 0.0
    rises = np.where(counted, values, 0.0)[-SMOOTH_FRAMES:] - values[counted].mean()
    return float((weights * rises)[weights > 0].sum() / (weights.sum() + SHRINK))
