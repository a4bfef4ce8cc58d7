"""Fifty subscribers, ten of which never read: the others miss nothing."""

from __future__ import annotations

import json
import time
from pathlib import Path

from faults.test_killed import says, short_client

from gstalker.bench.serving.server_process import end, start
from gstalker.bridge.client.client import AvatarClient
from gstalker.bridge.free_port import free_port

READERS, SLEEPERS = 40, 10
SECONDS = 4.0


def test_subscribers_that_never_read_cost_the_others_no_frame(avatar_path: Path, tmp_path: Path):
    address = f"tcp://127.0.0.1:{free_port()}"
    server = start([str(avatar_path), "--start", "now", "--max-clients", "8"], address)
    try:
        sleepers = short_client(server, tmp_path, SLEEPERS, "no")
        says(sleepers, "connected")
        readers = short_client(server, tmp_path, READERS, "yes")
        says(readers, "frames")
        with AvatarClient(address, timeout_s=20.0) as client:
            before = client.stats()
            until_s = time.monotonic() + SECONDS
            while time.monotonic() < until_s:
                client.receive(0.1)
            after = client.stats()
        out, _ = readers.communicate("")
        arrivals = json.loads(out)
        sleepers.kill()
        sleepers.communicate()
    finally:
        end(server)
    sent = after.frames_sent - before.frames_sent
    assert sent > 0.8 * 25 * SECONDS, "the server itself did not keep time"
    assert len(arrivals) == READERS
    counts = [len(times) for times in arrivals]
    # All subscribed before the counting began and go on a little after it.
    assert min(counts) >= sent
    assert max(counts) - min(counts) <= 3, "some readers missed frames that others got"
