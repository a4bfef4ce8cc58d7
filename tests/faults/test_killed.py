"""Processes that die without a word: the server comes back to its clients, and clients leave nothing behind."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from gstalker.bench.serving.server_process import ServerProcess, end, start
from gstalker.bridge import schema
from gstalker.bridge.client.client import AvatarClient
from gstalker.bridge.codec import encode, topic_field
from gstalker.bridge.free_port import free_port
from gstalker.bridge.schema import FrameQ16

SHORT_CLIENT = Path(__file__).with_name("short_client.py")
KILLED_CLIENTS = 100
AT_ONCE = 10
BACK_WITHIN_S = 1.0
# What a run of 100 killed clients may leave: the allocator's own hunger, measured as up to 1.5 MB, twice.
MEMORY_MB = 3.0
STALL_S = 1.5


def first_frame(client: AvatarClient, timeout_s: float) -> tuple[FrameQ16, float, int]:
    """The next frame, when it came, and of which epoch."""
    until_s = time.perf_counter() + timeout_s
    while time.perf_counter() < until_s:
        received = client.receive(0.1)
        if received is not None and isinstance(received.message, FrameQ16):
            return received.message, received.received_at_s, received.epoch
    raise AssertionError(f"no frame within {timeout_s} s; {client.state}, {client.trouble}")


def test_a_killed_server_that_is_started_again_has_its_client_back_within_a_second(avatar_path: Path, tone_path: Path):
    address = f"tcp://127.0.0.1:{free_port()}"
    words = [str(avatar_path), "--audio", str(tone_path), "--loop", "--start", "now"]
    server = start(words, address)
    try:
        with AvatarClient(address, timeout_s=20.0) as client:
            for _ in range(30):
                first_frame(client, 5.0)
            before, _, epoch = first_frame(client, 5.0)
            old = client.avatar.welcome.server_id
            server.process.kill()
            server.process.wait()
            for _ in range(20):  # as long as a server takes to start, nothing comes, and nothing is made up
                received = client.receive(0.1)
                assert received is None or received.epoch == epoch
            server = start(words, address)
            serving_at_s = time.perf_counter()
            frame, came_at_s, new_epoch = first_frame(client, 10.0)
            assert came_at_s - serving_at_s <= BACK_WITHIN_S
            assert new_epoch == epoch + 1
            assert client.avatar.welcome.server_id != old
            assert frame.index < before.index, "a frame of the old server's clock: stale"
            # All that follows is of the new server: its numbers go up without a step back.
            indices = [first_frame(client, 5.0)[0].index for _ in range(20)]
            assert indices == sorted(indices)
    finally:
        end(server)


def short_client(server: ServerProcess, folder: Path, count: int, reads: str) -> subprocess.Popen[str]:
    """A process with so many subscribers to the frames of session 1."""
    port = int(server.address.rpartition(":")[2])
    (folder / "hello.bin").write_bytes(encode(schema.Hello(1, "short", "", 0, False)))
    (folder / "topic.bin").write_bytes(topic_field(FrameQ16, 1))
    words = ["127.0.0.1", port, folder / "hello.bin", port + 1, folder / "topic.bin", count, reads]
    return subprocess.Popen(
        [sys.executable, str(SHORT_CLIENT), *map(str, words)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def says(client: subprocess.Popen[str], word: str) -> None:
    assert client.stdout is not None
    assert client.stdout.readline() == f"{word}\n"


class Witness(threading.Thread):
    """A client that lives, reads all the time, and remembers which frames came."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self.client = AvatarClient(address, timeout_s=20.0)
        self.frames: list[tuple[int, float]] = []  # sequence, when it came
        self.clients = 0  # that the server knew of, a moment ago
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.is_set():
            received = self.client.receive(0.2)
            if received is not None and isinstance(received.message, FrameQ16):
                self.frames.append((received.message.sequence, received.received_at_s))
                if received.message.sequence % 10 == 0:
                    self.clients = self.client.stats().clients
        self.client.close()


@pytest.mark.usefixtures("linux")
def test_a_hundred_killed_clients_leave_nothing_behind_and_hold_nobody_up(
    avatar_path: Path, tone_path: Path, tmp_path: Path
):
    address = f"tcp://127.0.0.1:{free_port()}"
    words = [str(avatar_path), "--audio", str(tone_path), "--loop", "--start", "now"]
    server = start(words, address)
    try:
        witness = Witness(address)
        witness.start()
        kill_some(server, tmp_path)  # libzmq and the allocator take what they keep
        settled(server, witness)
        handles, memory_mb = server.handles(), server.memory_mb()
        for _ in range(KILLED_CLIENTS // AT_ONCE):
            kill_some(server, tmp_path)
        settled(server, witness)
        witness.done.set()
        witness.join(10)
        assert witness.clients == 1
        assert server.handles() <= handles
        assert server.memory_mb() - memory_mb < MEMORY_MB
        sequences, came_s = (np.array(values) for values in zip(*witness.frames, strict=True))
        assert len(sequences) > 100
        assert (np.diff(sequences) > 0).all()
        # A server that waited for a dead client would wait for its heartbeat, 3 s. A busy machine that stops the
        # witness itself for a moment makes it miss a few frames, as the queue of a subscriber holds 0.2 s.
        assert np.diff(came_s).max() < STALL_S
    finally:
        end(server)


def settled(server: ServerProcess, witness: Witness) -> None:
    """Wait until the server knows of the witness alone: heartbeats find the dead after 3 s, leases end after 5."""
    until_s = time.monotonic() + 20.0
    least = server.handles()
    while time.monotonic() < until_s:
        time.sleep(1.0)
        if witness.clients == 1 and server.handles() >= least:
            return
        least = min(least, server.handles())


def kill_some(server: ServerProcess, folder: Path) -> None:
    """Ten clients get their first frames and are killed."""
    clients = [short_client(server, folder, 1, "yes") for _ in range(AT_ONCE)]
    for client in clients:
        says(client, "frames")
    for client in clients:
        client.kill()
        client.communicate()
