"""How a session's face and head are held: idle life, and over it what was asked for, each blended in and out.

Everything is a function of the frame and of the commands so far, so that a frame that is computed again comes out
the same, and so does a session that goes on in another process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from gstalker.bridge.errors import ControlRefused
from gstalker.bridge.server.blend import Blend
from gstalker.bridge.server.emotions import known_emotions
from gstalker.bridge.server.head_pose import (
    COMPONENT_NAMES,
    head_matrix,
    head_vector,
    soft_clamp,
    torso_vector,
)
from gstalker.bridge.server.idle_life import IdleLife, Life
from gstalker.bridge.server.snapshot_fields import LARGEST, Fields
from gstalker.runtime.bundle import IdleMotion
from gstalker.runtime.bundle_manifest import BundleManifest
from gstalker.runtime.infer import Controls

IDLE_BLEND_S = 0.6  # from one idle life to another, and to rest
LIVE_IN_S = 0.3  # a live face takes over in this time
LIVE_STEP_S = 0.08  # and moves from one received state to the next in this
LIVE_LOST_S = 0.5  # nothing new for so long: the face is given back
LIVE_OUT_S = 0.6
GAZE_FULL_RAD = 0.6  # the turn of the eyes that an eyeLook weight of 1 stands for, about 35 degrees

_GAZE = {  # ARKit name -> (yaw, pitch) that it turns the eye to; the picture's right is the person's left
    "eyeLookOutLeft": (1, 0),
    "eyeLookInRight": (1, 0),
    "eyeLookInLeft": (-1, 0),
    "eyeLookOutRight": (-1, 0),
    "eyeLookDownLeft": (0, 1),
    "eyeLookDownRight": (0, 1),
    "eyeLookUpLeft": (0, -1),
    "eyeLookUpRight": (0, -1),
}


class FaceControls:
    """Commands in, controls of a frame out.

    The setters return what they had to limit, as a line for a person; empty where everything could be taken.
    """

    def __init__(
        self,
        manifest: BundleManifest,
        idle: IdleMotion,
        seed: int,
        *,
        torso_from_head: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> None:
        """Begin with idle life.

        Args:
            manifest: of the avatar.
            idle: its idle stretch.
            seed: of the idle life; 0 is the stretch itself.
            torso_from_head: (4, 4) avatar_from_head -> (4, 4) avatar_from_torso: how the torso follows a head
                that is held. None leaves the torso to idle life.
        """
        self._manifest, self._idle, self._torso_from_head = manifest, idle, torso_from_head
        self._fps = manifest.frame_rate_hz
        self._names = tuple(c.name for c in manifest.controls)
        count = len(self._names)
        self._low = np.array([c.low for c in manifest.controls], np.float64).reshape(count)
        self._high = np.array([c.high for c in manifest.controls], np.float64).reshape(count)
        self._head_low = np.array(manifest.head_pose_range.low)
        self._head_high = np.array(manifest.head_pose_range.high)
        self._emotions = known_emotions(manifest)
        self._gaze = np.array([_GAZE.get(name, (0, 0)) for name in self._names], np.float64).reshape(count, 2)
        seen = {r.name: r.middle for r in manifest.seen.ranges}  # what a tracker says of eyes that look ahead
        self._ahead = np.array([seen.get(name, 0.0) for name in self._names], np.float64).reshape(count)
        self.idle_enabled, self.seed = True, seed
        self._life = IdleLife(manifest, idle, seed)
        self._life_from: tuple[int, Life] | None = None  # since when, and what was before: blended
        self._expression = Blend.nothing(count)
        self._emotion = Blend.nothing(count)
        self._eyes = Blend.nothing(count)
        self._head = Blend.nothing(6)
        self._live_face = Blend.nothing(count)
        self._live_head = Blend.nothing(6)
        self._live_face_share, self._live_head_share = Blend.nothing(1), Blend.nothing(1)
        self._live_at: int | None = None
        self.live_head_limited = ""  # what of the last live head pose lay beyond the trained range

    @property
    def emotion_names(self) -> tuple[str, ...]:
        """What `set_emotion` knows."""
        return tuple(self._emotions)

    @property
    def has_gaze(self) -> bool:
        """Whether the avatar's eyes can be turned."""
        return bool(self._gaze.any())

    # Commands.

    def set_expression(self, frame: int, weights: np.ndarray, held: np.ndarray, blend_s: float) -> str:
        """Hold some weights.

        Args:
            frame: the first one that may change.
            weights: (E,) in the order of the bundle's controls.
            held: (E,) bool; False gives the weight back.
            blend_s: how long the change takes.

        Raises:
            ControlRefused: another number of weights than the avatar has.
        """
        weights, held = np.asarray(weights, np.float64), np.asarray(held).astype(bool)
        if weights.shape != self._low.shape or held.shape != self._low.shape:
            raise ControlRefused(
                "bad_value", f"weights: expected {len(self._low)} of them, got {weights.size} and {held.size} held."
            )
        clipped = np.clip(weights, self._low, self._high)
        self._expression = self._expression.changed(frame, self._frames(blend_s), held.astype(np.float64), clipped)
        beyond = held & (np.abs(clipped - weights) > 1e-6)
        return _line(f"{self._names[i]} {weights[i]:.3g} to {clipped[i]:.3g}" for i in np.flatnonzero(beyond))

    def set_emotion(self, frame: int, name: str, strength: float, blend_s: float) -> str:
        """Blend in an emotion; an empty name ends it.

        Raises:
            ControlRefused: no emotion of that name.
        """
        if name and name not in self._emotions:
            known = ", ".join(self._emotions) or "none at all"
            raise ControlRefused("bad_value", f"emotion_name: expected one of {known}, got {name!r}.")
        strengths, values = np.zeros(len(self._low)), np.zeros(len(self._low))
        if name:
            strengths = min(max(float(strength), 0.0), 1.0) * self._emotions[name].touched
            values = self._emotions[name].weights
        self._emotion = self._emotion.changed(frame, self._frames(blend_s), strengths, values)
        return self._emotions[name].caveat(name) if name and strength > 0 else ""

    def set_gaze(self, frame: int, direction: tuple[float, float] | None, blend_s: float) -> str:
        """Hold the eyes at (yaw, pitch), rad: to the picture's right and down; None gives them back.

        Raises:
            ControlRefused: the avatar's eyes cannot be turned.
        """
        if not self.has_gaze:
            raise ControlRefused("not_supported", "gaze: expected an avatar with eyeLook controls, this one has none.")
        eyes = np.asarray(self._gaze.any(axis=1))
        turned = self._gaze @ np.asarray(direction or (0.0, 0.0), np.float64) / GAZE_FULL_RAD
        wanted = np.maximum(self._ahead + turned, 0.0)
        values = np.clip(wanted, self._low, self._high)
        shares = np.zeros(len(self._low)) if direction is None else np.asarray(eyes, np.float64)
        self._eyes = self._eyes.changed(frame, self._frames(blend_s), shares, values)
        beyond = eyes & (wanted > self._high + 1e-6)
        return (
            ""
            if direction is None
            else _line(f"{self._names[i]} {wanted[i]:.3g} to {values[i]:.3g}" for i in np.flatnonzero(beyond))
        )

    def set_head_pose(self, frame: int, vector: np.ndarray | None, blend_s: float) -> str:
        """Hold the head at a rotation vector and translation (6,), rad and m, softly clamped; None gives it back."""
        asked = self._life.rest.head if vector is None else np.asarray(vector, np.float64)
        clamped = soft_clamp(asked, self._head_low, self._head_high)
        shares = np.full(6, 0.0 if vector is None else 1.0)
        self._head = self._head.changed(frame, self._frames(blend_s), shares, clamped)
        return "" if vector is None else _line(_limits(COMPONENT_NAMES, asked, clamped))

    def set_idle(self, frame: int, *, enabled: bool, seed: int) -> None:
        """Switch idle life on or off, or to another seed; off holds the rest pose with open eyes."""
        if (enabled, seed) == (self.idle_enabled, self.seed):
            return
        if frame > 0:
            self._life_from = (frame, self._base(frame))
        self.idle_enabled, self.seed = enabled, seed
        self._life = IdleLife(self._manifest, self._idle, seed)

    def live_face(
        self, frame: int, weights_by_name: Mapping[str, float], rest_from_head: np.ndarray | None = None
    ) -> str:
        """Take over what a tracker sees now; given back by itself once nothing new comes for LIVE_LOST_S.

        Args:
            frame: the first one that may change.
            weights_by_name: ARKit names, any case; those that the avatar lacks are left out.
            rest_from_head: (4, 4) turn and shift of the head from its rest pose; None leaves the head alone.

        Returns:
            which weights had to be limited; of the head's pose, `live_head_limited` says it.
        """
        lower = {name.lower(): value for name, value in weights_by_name.items()}
        known = np.array([name.lower() in lower for name in self._names], bool).reshape(len(self._names))
        asked = np.array([lower.get(name.lower(), 0.0) for name in self._names], np.float64).reshape(len(known))
        weights = np.clip(asked, self._low, self._high)
        steps, take_over = self._frames(LIVE_STEP_S), self._frames(LIVE_IN_S)
        if self._live_at is not None and frame > self._live_until(self._live_at):
            self._live_face, self._live_head = Blend.nothing(len(known)), Blend.nothing(6)
            self._live_face_share, self._live_head_share = Blend.nothing(1), Blend.nothing(1)
        one = np.ones(1)
        if known.any():
            self._live_face = self._live_face.changed(frame, steps, known.astype(np.float64), weights)
            if not self._live_face_share.new_shares.any():
                self._live_face_share = self._live_face_share.changed(frame, take_over, one, one)
        self.live_head_limited = ""
        if rest_from_head is not None:
            asked_head = head_vector(head_matrix(self._life.rest.head) @ rest_from_head)
            pose = soft_clamp(asked_head, self._head_low, self._head_high)
            self.live_head_limited = _line(_limits(COMPONENT_NAMES, asked_head, pose))
            self._live_head = self._live_head.changed(frame, steps, np.ones(6), pose)
            if not self._live_head_share.new_shares.any():
                self._live_head_share = self._live_head_share.changed(frame, take_over, one, one)
        self._live_at = frame
        return _line(_limits(self._names, np.where(known, asked, weights), weights))

    # Frames.

    def at(self, frame: int, heard_emotion: str = "", heard_strength: float = 0.0) -> Controls:
        """What drives a frame >= 0 besides the voice.

        Args:
            frame: which.
            heard_emotion, heard_strength: what the voice itself was taken for; whatever is asked for goes over it.
        """
        heard = self._emotions[heard_emotion] if heard_strength > 0 else None
        untouched = self._expression.idle and self._emotion.idle and self._eyes.idle and self._head.idle
        blended = self._life_from is not None and frame < self._life_from[0] + self._frames(IDLE_BLEND_S)
        if untouched and heard is None and not blended and self._live_at is None and self.idle_enabled:
            return self._life.controls(frame)
        base = self._base(frame)
        expression = base.expression
        if heard is not None:
            expression = expression + heard_strength * heard.touched * (heard.weights - expression)
        for layer in (self._emotion, self._eyes, self._expression):
            expression = layer.apply(frame, expression)
        head = self._head.apply(frame, base.head)
        head_share = float(self._head.at(frame)[0][0])
        live = self._live_share(frame)
        if live:
            face_share = live * float(self._live_face_share.at(frame)[0][0])
            live_head = live * float(self._live_head_share.at(frame)[0][0])
            expression = expression + face_share * (self._live_face.apply(frame, expression) - expression)
            head = head + live_head * (self._live_head.apply(frame, head) - head)
            head_share = max(head_share, live_head)
        torso = base.torso
        if head_share and self._torso_from_head is not None:
            following = torso_vector(self._torso_from_head(head_matrix(head)))
            torso = torso + head_share * (following - torso)
        return Life(expression, head, torso).controls()

    # Moving to another process.

    def state(self) -> dict[str, object]:
        """What another process needs to move on alike, as msgpack has it."""
        before = None
        if self._life_from is not None:
            since, life = self._life_from
            before = [since, *([float(x) for x in part] for part in (life.expression, life.head, life.torso))]
        blends = {name: blend.state() for name, blend in self._blends().items()}
        return {
            "idle": self.idle_enabled,
            "seed": self.seed,
            "before": before,
            "blends": blends,
            "live_at": self._live_at,
        }

    @staticmethod
    def from_state(
        manifest: BundleManifest,
        idle: IdleMotion,
        state: object,
        *,
        torso_from_head: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> FaceControls:
        """Go on where `state` was taken: the same controls follow. Nothing in it is believed.

        Raises:
            RequestRefused: bad_value.
        """
        fields = Fields(state, "face", ("idle", "seed", "before", "blends", "live_at"))
        self = FaceControls(manifest, idle, fields.whole("seed", 0, 2**32 - 1), torso_from_head=torso_from_head)
        self.idle_enabled, self._live_at = fields.truth("idle"), fields.optional_whole("live_at", 0, LARGEST)
        names = ("since", "expression", "head", "torso")
        if fields.anything("before") is not None:
            parts = Fields(dict(zip(names, fields.items("before", 4), strict=False)), "face.before", names)
            self._life_from = (
                parts.whole("since", 0, LARGEST),
                Life(
                    parts.numbers("expression", len(self._low), 0.0, 1.0),
                    parts.numbers("head", 6, -10.0, 10.0),
                    parts.numbers("torso", 4, -10.0, 10.0),
                ),
            )
        own = self._blends()
        given = Fields(fields.anything("blends"), "face.blends", tuple(own))
        for name, blend in own.items():
            count = len(blend.new_shares)
            setattr(self, f"_{name}", Blend.from_state(given.anything(name), f"face.blends.{name}", count))
        return self

    def _blends(self) -> dict[str, Blend]:
        return {
            "expression": self._expression,
            "emotion": self._emotion,
            "eyes": self._eyes,
            "head": self._head,
            "live_face": self._live_face,
            "live_head": self._live_head,
            "live_face_share": self._live_face_share,
            "live_head_share": self._live_head_share,
        }

    def _base(self, frame: int) -> Life:
        """Idle life, or rest, blended over from what was before."""
        life = self._life.life(frame) if self.idle_enabled else self._life.rest
        if self._life_from is None:
            return life
        since, before = self._life_from
        s = float(np.clip((frame - since) / max(1, self._frames(IDLE_BLEND_S)), 0.0, 1.0))
        ease = s * s * (3 - 2 * s)
        return Life(
            before.expression + ease * (life.expression - before.expression),
            before.head + ease * (life.head - before.head),
            before.torso + ease * (life.torso - before.torso),
        )

    def _live_until(self, at: int) -> int:
        """The frame at which a live face that last came at `at` is given back whole."""
        return at + self._frames(LIVE_LOST_S) + self._frames(LIVE_OUT_S)

    def _live_share(self, frame: int) -> float:
        if self._live_at is None:
            return 0.0
        s = (self._live_until(self._live_at) - frame) / self._frames(LIVE_OUT_S)
        s = float(np.clip(s, 0.0, 1.0))
        return s * s * (3 - 2 * s)

    def _frames(self, seconds: float) -> int:
        return round(seconds * self._fps)


def _limits(names: Sequence[str], asked: np.ndarray, taken: np.ndarray) -> list[str]:
    """What differs, as "name asked to taken"."""
    beyond = np.flatnonzero(np.abs(taken - asked) > 1e-6)
    return [f"{names[i]} {asked[i]:.3g} to {taken[i]:.3g}" for i in beyond.tolist()]


def _line(parts: Iterable[str]) -> str:
    found = list(parts)
    return f"limited to what the avatar was trained on: {', '.join(found)}" if found else ""
