"""The emotions that an avatar can be asked for: its bundle's own, or prototypes where the bundle brings none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gstalker.runtime.bundle_manifest import BundleManifest
from gstalker.runtime.emotions import prototype_shares
from gstalker.runtime.seen import NOTHING_SEEN, WEAK_SUPPORT


@dataclass(frozen=True, eq=False)
class KnownEmotion:
    """One emotion of one avatar.

    Attributes:
        weights: (E,) of each control at full strength, within its range.
        touched: (E,) bool; the other controls are left alone.
        support: 0..1, how much of it was seen of the person; None where nobody measured it.
    """

    weights: np.ndarray
    touched: np.ndarray
    support: float | None

    def caveat(self, name: str) -> str:
        """A line for a person where little of the emotion can be shown, else empty."""
        if self.support is None or self.support >= WEAK_SUPPORT:
            return ""
        return f"weak: of {name} as much as {100 * self.support:.0f} % was seen of this person"


def known_emotions(manifest: BundleManifest) -> dict[str, KnownEmotion]:
    """Name -> emotion.

    A bundle that says what was seen of its person (from format 2 on) lists the emotions itself, even if those are
    none. For others an emotion is a share of each control's range, 1 as strong as the person was ever seen.
    """
    names = tuple(c.name for c in manifest.controls)
    low = np.array([c.low for c in manifest.controls], np.float64).reshape(len(names))
    high = np.array([c.high for c in manifest.controls], np.float64).reshape(len(names))
    if manifest.seen != NOTHING_SEEN:
        found = {}
        for emotion in manifest.seen.emotions:
            weights = np.array([emotion.targets.get(name, np.nan) for name in names], np.float64).reshape(len(names))
            found[emotion.name] = _known(weights, low, high, emotion.support)
        return found
    shares = prototype_shares(names)
    return {name: _known(low + share * (high - low), low, high, None) for name, share in shares.items()}


def _known(weights: np.ndarray, low: np.ndarray, high: np.ndarray, support: float | None) -> KnownEmotion:
    touched = np.isfinite(weights)
    return KnownEmotion(np.clip(np.where(touched, weights, 0.0), low, high), touched, support)
