"""Hours in minutes: two avatars at 25 frames a second while clients come, speak, change faces, leave and are lost.

Counts every frame: what the server says it sent must have come to the witnesses, in one piece and in order, but for
what was counted as dropped. Memory is read from outside, after a while of settling.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gstalker.bench.serving.made_voice import tone, write_tone
from gstalker.bench.serving.repeated_avatar import write_repeated
from gstalker.bench.serving.server_process import ServerProcess, served
from gstalker.bridge.client.client import AvatarClient, Received
from gstalker.bridge.errors import Refused, ServerLost
from gstalker.bridge.schema import FrameQ16, Stats
from gstalker.bridge.web.demo_avatar import demo_avatar
from gstalker.runtime.errors import InputError

MEMORY_TARGET_MB = 5.0
SETTLE_SHARE = 0.1  # of the run, before memory counts: buffers and the allocator find their size
SAMPLE_S = 1.0
GUEST_S = (2.0, 6.0)  # how long a guest stays
GUESTS_AT_ONCE = 3
WITNESS_AVATARS = ("first", "second")
SMALLEST_S = 10.0
LAST_FRAME_S = 2.0


@dataclass
class Witness:
    """A client of an avatar's shared session that is there all the time.

    Attributes:
        came: frames that came. lost: of those sent, how many never came: gaps in `sequence`.
        backwards: frames whose number was not higher than that of the one before.
        stats: what the server said at the end.
    """

    avatar: str
    came: int = 0
    lost: int = 0
    backwards: int = 0
    first_sequence: int | None = None
    stats: Stats | None = None
    trouble: str = ""
    done: threading.Event = field(default_factory=threading.Event)
    _last: int = -1

    def watch(self, address: str) -> None:
        """Until told to end, and then until the last frame that the server had counted by then has come."""
        try:
            with AvatarClient(address, avatar=self.avatar, client_name="soak witness", timeout_s=60.0) as client:
                while not self.done.is_set():
                    self._take(client.receive(0.2))
                self.stats = client.stats()
                until_s = time.monotonic() + LAST_FRAME_S
                while self._last < self.stats.frames_sent - 1 and time.monotonic() < until_s:
                    self._take(client.receive(0.2))
        except InputError as error:  # also refusals and a lost server: the run goes on, and says so
            self.trouble = str(error)

    def _take(self, received: Received | None) -> None:
        if received is None or not isinstance(received.message, FrameQ16):
            return
        sequence = received.message.sequence
        if self.stats is not None and sequence >= self.stats.frames_sent:
            return  # sent after the server had counted
        self.first_sequence = sequence if self.first_sequence is None else self.first_sequence
        self.backwards += sequence <= self._last
        self.lost += max(0, sequence - self._last - 1) if self._last >= 0 else 0
        self.came += 1
        self._last = sequence


@dataclass
class Guests:
    """Clients that come and go."""

    visits: int = 0
    refused: int = 0
    trouble: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def come_and_go(self, address: str, seed: int, over: Callable[[], bool]) -> None:
        """One guest after the other, each doing a little of everything."""
        rng = np.random.default_rng(seed)
        while not over():
            try:
                self._visit(address, rng, over)
            except Refused:
                with self._lock:
                    self.refused += 1
                time.sleep(1.0)
            except (ServerLost, InputError) as error:
                with self._lock:
                    self.trouble.append(str(error))
                time.sleep(1.0)

    def _visit(self, address: str, rng: np.random.Generator, over: Callable[[], bool]) -> None:
        with self._lock:
            self.visits += 1
        avatar = WITNESS_AVATARS[int(rng.integers(len(WITNESS_AVATARS)))]
        with AvatarClient(address, avatar=avatar, private=bool(rng.random() < 0.5), client_name="guest") as client:
            until_s = time.monotonic() + float(rng.uniform(*GUEST_S))
            private = client.avatar.welcome.session_id > len(WITNESS_AVATARS)
            if private:
                client.say(tone(1.0), 16_000)
                client.set_head_pose((0.0, float(rng.uniform(-0.05, 0.05)), 0.0))
                client.set_expression({client.avatar.welcome.control_names[0]: 0.5})
            while time.monotonic() < until_s and not over():
                client.receive(0.1)
            if private and rng.random() < 0.5:
                client.stop()


def run(optional_bundle: Path | None = None, gaussians: int = 10_000, seconds: float = 60.0) -> dict[str, Any]:
    """Serve two avatars from one process, and count.

    Args:
        optional_bundle: the avatar whose Gaussians are repeated; the demo character if not given.
        gaussians: how many each avatar shall have.
        seconds: how long; 3600 for the figures of docs/results.md.

    Raises:
        InputError: too short to say anything.
        RuntimeError: the server ended badly.
    """
    if seconds < SMALLEST_S:
        raise InputError(f"--seconds: expected at least {SMALLEST_S:g} for bench soak, got {seconds:g}.")
    source = optional_bundle or demo_avatar()[0]
    with tempfile.TemporaryDirectory() as folder:
        bundles = [write_repeated(source, gaussians, Path(folder) / f"{n}.gsavatar") for n in WITNESS_AVATARS]
        speech = write_tone(Path(folder) / "speech.wav", 8.0)
        words = [*map(str, bundles), "--audio", str(speech), "--loop", "--start", "now"]
        with served(words) as server:
            return _soak(server, seconds)


def _soak(server: ServerProcess, seconds: float) -> dict[str, Any]:
    witnesses = [Witness(name) for name in WITNESS_AVATARS]
    guests = Guests()
    ends_s = time.monotonic() + seconds
    threads = [threading.Thread(target=w.watch, args=(server.address,), daemon=True) for w in witnesses]
    threads += [
        threading.Thread(
            target=guests.come_and_go, args=(server.address, n, lambda: time.monotonic() > ends_s), daemon=True
        )
        for n in range(GUESTS_AT_ONCE)
    ]
    for thread in threads:
        thread.start()
    memory: list[tuple[float, float]] = []
    began_s, cpu_s = time.monotonic(), server.cpu_s()
    while time.monotonic() < ends_s:
        if server.process.poll() is not None:
            raise RuntimeError(f"soak: the server ended with exit code {server.process.returncode}.")
        memory.append((time.monotonic() - began_s, server.memory_mb()))
        time.sleep(SAMPLE_S)
    used_s = server.cpu_s() - cpu_s
    time.sleep(1.0)
    for witness in witnesses:
        witness.done.set()
    for thread in threads:
        thread.join(30)
    return {
        "seconds": seconds,
        "avatars": [_account(w) for w in witnesses],
        "guest_visits": guests.visits,
        "guests_refused": guests.refused,
        "guest_trouble": guests.trouble[:20],
        "cpu_cores": used_s / seconds,
        **_growth(memory, seconds),
        "open_handles_at_the_end": server.handles(),
    }


def _account(witness: Witness) -> dict[str, Any]:
    """Does what came and what was counted as lost make up what was sent?"""
    if witness.stats is None:
        return {"avatar": witness.avatar, "trouble": witness.trouble or "the witness did not end", "unaccounted": None}
    s = witness.stats
    # What the session sent before the witness had subscribed was for guests.
    sent_to_it = s.frames_sent - (witness.first_sequence or 0)
    return {
        "avatar": witness.avatar,
        "trouble": witness.trouble,
        "frames_sent": s.frames_sent,
        "frames_came": witness.came,
        "frames_lost_on_the_way": witness.lost,
        "frames_dropped_by_the_server": s.frames_dropped,
        "frames_late": s.frames_late,
        "frames_refused": s.frames_refused,
        "frames_superseded": s.frames_superseded,
        "out_of_order": witness.backwards,
        "unaccounted": sent_to_it - witness.came - witness.lost,
        "lateness_p99_ms": s.lateness_p99_ms,
    }


def _growth(memory: list[tuple[float, float]], seconds: float) -> dict[str, float]:
    """Memory at the end against memory after settling, each the median of a tenth of the run."""
    at_s, mb = np.array(memory).T
    settled = mb[(at_s >= SETTLE_SHARE * seconds) & (at_s < 2 * SETTLE_SHARE * seconds)]
    last = mb[at_s >= (1 - SETTLE_SHARE) * seconds]
    return {
        "memory_settled_mb": float(np.median(settled)),
        "memory_at_the_end_mb": float(np.median(last)),
        "memory_growth_mb": float(np.median(last) - np.median(settled)),
        "memory_growth_target_mb": MEMORY_TARGET_MB,
    }
