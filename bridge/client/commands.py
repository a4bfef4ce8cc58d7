"""What a client can ask of its session, as methods: speech, face, head, statistics, snapshots."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np

from gstalker.bridge import schema
from gstalker.bridge.client.pushed_speech import PushedSpeech
from gstalker.bridge.client.served_avatar import ServedAvatar
from gstalker.bridge.schema import Applied, Done, Message, Request
from gstalker.runtime.audio import SAMPLE_RATE_HZ, load_wav
from gstalker.runtime.errors import InputError

AnswerType = TypeVar("AnswerType", bound=Message)
BLEND_S = 0.2  # how long a change of the face takes unless told otherwise


class Commands(ABC):
    """Requests as methods. Each waits for its answer, and raises Refused where the server says no."""

    avatar: ServedAvatar

    def __init__(self) -> None:
        self._request_ids = itertools.count(1)

    @abstractmethod
    def _ask(self, request: Request, expected: type[AnswerType]) -> AnswerType:
        """Send a request and wait for its answer."""

    @abstractmethod
    def _speak(self, speech: PushedSpeech) -> None:
        """Send this utterance from now on, besides everything else."""

    def _next_id(self) -> int:
        return next(self._request_ids)

    def play(self) -> None:
        """Have the server speak its own sound from the beginning."""
        self._ask(schema.Play(self._next_id()), Done)

    def stop(self) -> None:
        """Cut all speech at once; the mouth closes by itself and idle life goes on."""
        self._ask(schema.Stop(self._next_id()), Done)

    def open_speech(self, rate_hz: int, channel_count: int = 1, *, interrupt: bool = False) -> PushedSpeech:
        """Begin an utterance whose sound comes bit by bit, as from a text-to-speech service.

        `add` sound to what comes back, and `close` it; `receive` (or `wait_for_speech`) sends it on as the server
        has room for it.

        Args:
            rate_hz: 8000 to 96000.
            channel_count: 1 or 2; two are averaged.
            interrupt: cut what is being said and speak at once, instead of after what waits.
        """
        if not (8000 <= rate_hz <= 96_000 and channel_count in (1, 2)):
            raise InputError(
                f"speech: expected 8000 to 96000 Hz and 1 or 2 channels, got {rate_hz} Hz and {channel_count}."
            )
        speech = PushedSpeech(rate_hz, channel_count, interrupt, self.avatar.welcome.speech_capacity_s)
        self._speak(speech)
        return speech

    def say(
        self,
        sound: Path | str | np.ndarray | Iterable[np.ndarray],
        rate_hz: int = SAMPLE_RATE_HZ,
        *,
        interrupt: bool = False,
    ) -> PushedSpeech:
        """Have the avatar speak a sound of the client's; returns at once, see `open_speech`.

        Args:
            sound: a WAV file of any rate; samples (S,) or (S, channels) as int16 or as floats in -1..1; or an
                iterable of such pieces, all with the same number of channels, drawn from as they are needed.
            rate_hz: of samples; a file brings its own.
            interrupt: cut what is being said and speak at once.

        Raises:
            InputError: the file or the samples are not what they should be.
        """
        if isinstance(sound, str | Path):
            sound, rate_hz = load_wav(Path(sound)), SAMPLE_RATE_HZ
        if isinstance(sound, np.ndarray):
            speech = self.open_speech(rate_hz, _channels(sound), interrupt=interrupt)
            speech.add(sound)
            speech.close()
            return speech
        chunks = iter(sound)
        first = next(chunks, None)
        if first is None:
            raise InputError("speech: expected at least one piece of sound, got none.")
        speech = self.open_speech(rate_hz, _channels(np.asarray(first)), interrupt=interrupt)
        speech.add_all(itertools.chain([first], chunks))
        return speech

    def set_expression(self, weights: Mapping[str, float] | np.ndarray, *, blend_s: float = BLEND_S) -> Applied:
        """Hold expression weights.

        Args:
            weights: by ARKit name, those alone are held and all others given back to idle life (none: all of them);
                or an array (E,) in the order of `control_names`, where NaN gives one back.
            blend_s: how long the change takes.

        Returns:
            Whether values had to be limited to what the avatar was trained on, and which.

        Raises:
            InputError: a name that this avatar does not have, or an array of another length.
        """
        names = self.avatar.welcome.control_names
        values = np.full(len(names), np.nan, np.float32)
        if isinstance(weights, Mapping):
            unknown = sorted(weights.keys() - set(names))
            if unknown:
                raise InputError(f"expression: expected names of {', '.join(names)}, got {', '.join(unknown)}.")
            for name, weight in weights.items():
                values[names.index(name)] = weight
        elif np.shape(weights) == values.shape:
            values[:] = weights
        else:
            raise InputError(f"expression: expected {len(names)} weights, got an array of {np.shape(weights)}.")
        held = np.isfinite(values)
        request = schema.SetExpression(
            self._next_id(), blend_s, len(names), np.where(held, values, np.float32(0)), held.astype(np.uint8)
        )
        return self._ask(request, Applied)

    def set_emotion(self, name: str = "", strength: float = 1.0, *, blend_s: float = BLEND_S) -> Applied:
        """Blend in one of `emotion_names`, or end it with an empty name."""
        return self._ask(schema.SetEmotion(self._next_id(), name, strength, blend_s), Applied)

    def set_gaze(self, direction_rad: tuple[float, float] | None, *, blend_s: float = BLEND_S) -> Applied:
        """Hold the eyes (yaw to the picture's right, pitch down) relative to the head; None gives them back."""
        yaw, pitch = direction_rad or (0.0, 0.0)
        return self._ask(schema.SetGaze(self._next_id(), direction_rad is not None, yaw, pitch, blend_s), Applied)

    def set_head_pose(
        self,
        rotation_rad: tuple[float, float, float] | None,
        translation_m: tuple[float, float, float] = (0.0, 0.0, 0.0),
        *,
        blend_s: float = BLEND_S,
    ) -> Applied:
        """Hold the head in a pose, rotation vector and translation of avatar_from_head; None gives it back."""
        held, rotation = rotation_rad is not None, rotation_rad or (0.0, 0.0, 0.0)
        return self._ask(schema.SetHeadPose(self._next_id(), held, rotation, translation_m, blend_s), Applied)

    def set_idle(self, enabled: bool, seed: int = 0) -> None:
        """Switch idle life on or off."""
        self._ask(schema.SetIdle(self._next_id(), enabled, seed), Done)

    def set_rate(self, frame_divisor: int) -> None:
        """Have only every n-th frame sent; of the wishes in a session the fastest counts."""
        self._ask(schema.SetRate(self._next_id(), frame_divisor), Done)

    def stats(self) -> schema.Stats:
        """How well the server keeps time."""
        return self._ask(schema.GetStats(self._next_id()), schema.Stats)

    def snapshot(self) -> bytes:
        """The session's state, from which `resume` goes on, also in another server of the same avatar."""
        return self._ask(schema.GetSnapshot(self._next_id()), schema.Snapshot).state.tobytes()

    def resume(self, state: bytes) -> None:
        """Put this client's private session into a state that `snapshot` gave."""
        array = np.frombuffer(state, np.uint8)
        self._ask(schema.Resume(self._next_id(), len(array), array), Done)

    def shutdown(self) -> None:
        """End the server, where it was started so that clients may."""
        self._ask(schema.Shutdown(self._next_id()), Done)


def _channels(samples: np.ndarray) -> int:
    """Of samples (S,) or (S, C)."""
    return 1 if samples.ndim == 1 else samples.shape[-1]
