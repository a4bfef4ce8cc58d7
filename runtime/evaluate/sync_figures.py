"""From agreements of lips and sound to the lip-sync surrogate's figures."""

from __future__ import annotations

import numpy as np

from gstalker.runtime.evaluate.summary import Figures
from gstalker.runtime.evaluate.sync_score import SyncScorer, sound_id, sync_score

Agreements = list[np.ndarray]

# Measured: faces that stand still 0.6 to 0.7 of chance, real speech 2.6 and 4.4 of it.
ABOVE_CHANCE = 1.5


def sync_figures(own: Agreements, strange: Agreements) -> Figures:
    """Figures of agreements with the right sound and with a strange one; None where there is no face."""
    score = sync_score(own) if own else None
    chance = sync_score(strange).confidence if strange else None
    # The best lag of lips that fit nowhere means nothing.
    fits = score is not None and (chance is None or score.confidence > ABOVE_CHANCE * chance)
    lag_s = score.lag_s if score and fits else None
    return {
        "sync_confidence": score.confidence if score else None,
        "sync_lag_ms": None if lag_s is None else 1000.0 * lag_s,
        "sync_confidence_shuffled": chance,
    }


def voice_sync(landmarks_px: np.ndarray, samples: np.ndarray, scorer: SyncScorer) -> Figures:
    """Figures of one long clip, shuffled with its own sound of another moment."""
    found = [scorer.agreement(landmarks_px, s, sound_id(samples)) for s in (samples, other_moment(samples))]
    own, strange = ([a] if a is not None else [] for a in found)
    return sync_figures(own, strange)


def other_moment(samples: np.ndarray) -> np.ndarray:
    """The same speech with its halves changed about."""
    return np.roll(samples, len(samples) // 2)
