"""What an avatar does by itself: blinks, breathes and moves its head a little. A function of the frame and a seed."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from gstalker.bridge.server.head_pose import head_matrix, head_vector, soft_clamp, torso_matrix, torso_vector
from gstalker.runtime.bundle import IdleMotion
from gstalker.runtime.bundle_manifest import BundleManifest
from gstalker.runtime.infer import Controls, to_and_fro

# Between blinks: 17 a minute at rest, log-normally distributed. Source: Bentivoglio et al. 1997, Analysis of blink rate
# patterns in normal subjects, Movement Disorders 12(6), 1028-1034. The spread (sigma of the logarithm) is ours.
BLINKS_A_MINUTE = 17.0
BLINK_SIGMA = 0.55
SHORTEST_BLINK_PAUSE_S = 0.5
BLINK_BLOCK_S = 60.0  # blinks are drawn minute by minute, so that any frame can be asked for at once
# A blink closes faster than it opens. Source: VanderWerf et al. 2003, J. Neurophysiol. 89(5), 2784-2796, rounded to
# frames: shut on the second frame, open again after six more.
_BLINK_SHAPE = np.array([0.0, 0.55, 1.0, 0.92, 0.60, 0.30, 0.12, 0.04])

BREATHS_A_MINUTE = 14.0  # adults at rest: 12 to 20
BREATH_M = 0.0006  # how far the shoulders rise and the head with them
HEAD_SHARE = 0.10  # of the trained range, to each side, added to the tracked motion
_HEAD_HZ = (0.07, 0.13, 0.23)
_OPEN_QUANTILE, _SHUT_QUANTILE = 0.4, 0.97


@dataclass(frozen=True, eq=False)
class Life:
    """One moment: weights (E,), `head_vector` (6,), `torso_vector` (4,)."""

    expression: np.ndarray
    head: np.ndarray
    torso: np.ndarray

    def controls(self) -> Controls:
        """The same for the networks."""
        expression = np.clip(self.expression, 0.0, 1.0).astype(np.float32)
        return Controls(head_matrix(self.head), expression, torso_matrix(self.torso))


class IdleLife:
    """The idle life of one avatar with one seed.

    Seed 0 is the bundle's idle stretch to and fro, exactly as `AvatarRuntime.idle_controls` has it. Any other seed
    enters the stretch somewhere and in some direction, without the stretch's own blinks, and adds blinks, breathing
    and slow motion of the head.
    """

    def __init__(self, manifest: BundleManifest, idle: IdleMotion, seed: int) -> None:
        self.seed = seed
        self._idle = idle
        self._fps = manifest.frame_rate_hz
        stretch = _stretch_of(manifest, idle)
        self.rest = stretch.rest
        self._stretch = stretch
        rng = np.random.default_rng([seed, 1])
        self._start, self._step = int(rng.integers(0, 2 * len(idle))), int(rng.choice([-1, 1]))
        self._breath_turns = rng.uniform()
        self._head_hz = rng.uniform(0.8, 1.25, (len(_HEAD_HZ), 6)) * np.array(_HEAD_HZ)[:, None]
        self._head_turns = rng.uniform(size=(len(_HEAD_HZ), 6))
        self._blinks_of_minute = functools.lru_cache(maxsize=4)(self._draw_blinks)

    def controls(self, frame: int) -> Controls:
        """What moves at frame >= 0."""
        if self.seed:
            return self.life(frame).controls()
        at = to_and_fro(frame, len(self._idle))
        return Controls(self._idle.avatar_from_head[at], self._idle.expression[at], self._idle.avatar_from_torso[at])

    def life(self, frame: int) -> Life:
        """The same as numbers that can be mixed."""
        if not self.seed:
            at = to_and_fro(frame, len(self._idle))
            return Life(self._idle.expression[at].astype(np.float64), self._stretch.head[at], self._stretch.torso[at])
        s, time_s = self._stretch, frame / self._fps
        at = to_and_fro((self._start + self._step * frame) % max(1, 2 * (len(self._idle) - 1)), len(self._idle))
        blink = self.blink(frame)
        expression = s.open_expression[at] + blink * (s.shut - s.open_expression[at]) * s.blinks
        swing = np.sin(2 * np.pi * (self._head_hz * time_s + self._head_turns)).mean(axis=0)
        breath_m = BREATH_M * np.sin(2 * np.pi * (BREATHS_A_MINUTE / 60 * time_s + self._breath_turns))
        head = s.head[at] + HEAD_SHARE * swing * (s.head_high - s.head_low)
        head[4] -= breath_m  # y points down
        torso = s.torso[at].copy()
        torso[1] -= breath_m
        return Life(expression, soft_clamp(head, s.head_low, s.head_high), torso)

    def blink(self, frame: int) -> float:
        """How far the eyes are shut by a blink, 0 to 1; of seeds other than 0."""
        time_frames = round(BLINK_BLOCK_S * self._fps)
        minute, at = divmod(frame, time_frames)
        for begin in self._blinks_of_minute(minute):
            if 0 <= at - begin < len(_BLINK_SHAPE):
                return float(_BLINK_SHAPE[at - begin])
        return 0.0

    def _draw_blinks(self, minute: int) -> tuple[int, ...]:
        """The frames of a minute at which blinks begin; none reaches into the next minute."""
        rng = np.random.default_rng([self.seed, 2, minute])
        mean_s = 60.0 / BLINKS_A_MINUTE
        median_s = mean_s * np.exp(-(BLINK_SIGMA**2) / 2)
        found: list[int] = []
        at_s = 0.5 * rng.lognormal(np.log(median_s), BLINK_SIGMA)  # as if the minute began between two blinks
        while at_s < BLINK_BLOCK_S - SHORTEST_BLINK_PAUSE_S:
            found.append(round(at_s * self._fps))
            at_s += max(SHORTEST_BLINK_PAUSE_S, rng.lognormal(np.log(median_s), BLINK_SIGMA))
        return tuple(found)


@dataclass(frozen=True, eq=False)
class _Stretch:
    """The bundle's idle stretch taken apart.

    Attributes:
        head: (F, 6), torso: (F, 4) vectors.
        open_expression: (F, E) with the stretch's own blinks taken out.
        shut: (E,) weights at the height of a blink; blinks: (E,) 1 where a blink moves the control.
        rest: the mean pose with open eyes.
        head_low, head_high: (6,) trained range.
    """

    head: np.ndarray
    torso: np.ndarray
    open_expression: np.ndarray
    shut: np.ndarray
    blinks: np.ndarray
    rest: Life
    head_low: np.ndarray
    head_high: np.ndarray


def _stretch_of(manifest: BundleManifest, idle: IdleMotion) -> _Stretch:
    names = [c.name for c in manifest.controls]
    low = np.array([c.low for c in manifest.controls]).reshape(len(names))
    high = np.array([c.high for c in manifest.controls]).reshape(len(names))
    head, torso = head_vector(idle.avatar_from_head), torso_vector(idle.avatar_from_torso)
    lids = np.array([name.startswith("eyeBlink") for name in names], bool).reshape(len(names))
    expression = idle.expression.astype(np.float64)
    rest_weights = np.median(expression, axis=0) if len(names) else np.zeros(0)
    rest_weights[lids] = np.quantile(expression[:, lids], _OPEN_QUANTILE, axis=0)
    opened = _without_blinks(expression, lids, rest_weights, high)
    middle = head.mean(axis=0)
    nearest = int(np.argmin(((head - middle) ** 2).sum(axis=1)))
    return _Stretch(
        head=head,
        torso=torso,
        open_expression=opened,
        shut=np.where(lids, high, np.clip(np.quantile(expression, _SHUT_QUANTILE, axis=0), low, high)),
        blinks=(lids | np.array([name.startswith("eyeSquint") for name in names], bool)).astype(np.float64),
        rest=Life(rest_weights, middle, torso[nearest]),
        head_low=np.array(manifest.head_pose_range.low),
        head_high=np.array(manifest.head_pose_range.high),
    )


def _without_blinks(expression: np.ndarray, lids: np.ndarray, rest: np.ndarray, high: np.ndarray) -> np.ndarray:
    """(F, E) with every frame of a blink, and two to each side, drawn straight between its neighbours."""
    if not lids.any():
        return expression
    shut = (expression[:, lids] - rest[lids]) / np.maximum(high[lids] - rest[lids], 1e-6)
    blinking = np.convolve((shut.mean(axis=1) > 0.2).astype(float), np.ones(5), mode="same") > 0
    if blinking.all():
        return np.tile(rest, (len(expression), 1))
    frames, open_frames = np.arange(len(expression)), np.flatnonzero(~blinking)
    columns = [np.interp(frames, open_frames, expression[open_frames, e]) for e in range(expression.shape[1])]
    return np.stack(columns, axis=1)
