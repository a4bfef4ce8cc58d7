"""A session moves to another process in the middle of a sentence: what follows there would have followed here."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gstalker.bench.serving.server_process import served
from gstalker.bridge.client.client import AvatarClient
from gstalker.bridge.schema import Audio, FrameQ16

pytest.importorskip("onnxruntime", reason="moving an avatar needs the extra cpu or gpu")

PATIENCE_S = 30.0
MOVED_AT = 50  # about two seconds
FRAMES = 40  # compared at most; a loaded machine drops some on either side


def receive(client: AvatarClient, enough: Callable[[dict, dict], bool]) -> tuple[dict[int, FrameQ16], dict[int, Audio]]:
    """Frames by index and pieces of sound by the index of their frame, until there are enough."""
    frames: dict[int, FrameQ16] = {}
    sounds: dict[int, Audio] = {}
    give_up_s = time.perf_counter() + PATIENCE_S
    while not enough(frames, sounds):
        assert time.perf_counter() < give_up_s, f"waited in vain, with {len(frames)} frames, {len(sounds)} of sound"
        received = client.receive(0.1)
        if received is None:
            continue
        message = received.message
        if isinstance(message, FrameQ16):
            frames[message.index] = message
        elif isinstance(message, Audio):
            sounds[round(message.time_s * client.avatar.fps)] = message
    return frames, sounds


def voice(seconds: float) -> np.ndarray:
    """Something that no two frames share."""
    at_s = np.arange(round(seconds * 16_000)) / 16_000
    return (0.4 * np.sin(2 * np.pi * (150 + 60 * at_s) * at_s) * np.sin(2 * np.pi * 3 * at_s) ** 2).astype(np.float32)


def test_a_session_goes_on_in_another_process_with_the_same_frames_and_sound(bundle_path: Path):
    words = [str(bundle_path), "--backend", "fused"]
    with served(words) as here, served(words) as there:
        with AvatarClient(here.address, private=True, timeout_s=PATIENCE_S) as old:
            old.set_head_pose((0.0, 0.1, 0.0), blend_s=3.0)  # under way when the session moves
            old.set_idle(True, seed=5)
            old.say(voice(5.0))
            receive(old, lambda frames, sounds: bool(sounds) and max(frames, default=0) >= MOVED_AT)
            state = old.snapshot()
            frames, sounds = receive(old, lambda frames, sounds: max(sounds, default=0) >= MOVED_AT + FRAMES)
        with AvatarClient(there.address, private=True, timeout_s=PATIENCE_S) as new:
            new.resume(state)
            # What this session had sent of its own before has lower numbers: it is moments old.
            new_frames, new_sounds = receive(new, lambda frames, sounds: max(sounds, default=0) >= MOVED_AT + FRAMES)
            assert new.avatar.welcome.server_id != old.avatar.welcome.server_id

    moved = [index for index in new_frames if index > MOVED_AT]
    both = sorted(frames.keys() & set(moved))
    assert len(both) > FRAMES / 2
    for index in both:
        assert new_frames[index].movers.tobytes() == frames[index].movers.tobytes(), f"frame {index}"
        assert new_frames[index].avatar_from_head == frames[index].avatar_from_head, f"frame {index}"
    assert len({frames[index].avatar_from_head for index in both}) > FRAMES / 2, "a head that stands tells nothing"
    heard = sorted(sounds.keys() & new_sounds.keys())
    assert len(heard) > FRAMES / 2
    for index in heard:
        assert new_sounds[index].speech_id == sounds[index].speech_id
        assert new_sounds[index].pcm.tobytes() == sounds[index].pcm.tobytes(), f"sound of frame {index}"
    assert any(sounds[index].pcm.any() for index in heard)
