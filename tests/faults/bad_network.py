"""Two machines with a bad line between them: two network namespaces and a relay, where the system lets us."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from faults.relay import Weather

RELAY = Path(__file__).with_name("relay.py")


@dataclass(frozen=True)
class Line:
    """The line, and how to run a program on either side of it.

    Attributes:
        server_prefix, client_prefix: words before a command that puts it on that side.
        client_host: where the client finds the server, which itself listens on 127.0.0.1.
        isolated: whether nothing but the relay joins the two sides.
    """

    relay: subprocess.Popen[str]
    server_prefix: tuple[str, ...]
    client_prefix: tuple[str, ...]
    client_host: str
    isolated: bool

    def weather(self, weather: Weather) -> None:
        """Change the line; returns once it has changed."""
        assert self.relay.stdin is not None
        assert self.relay.stdout is not None
        self.relay.stdin.write(json.dumps(asdict(weather)) + "\n")
        self.relay.stdin.flush()
        assert self.relay.stdout.readline() == "ok\n"


@contextmanager
def bad_network(control_port: int) -> Iterator[Line]:
    """A line for a server's two ports, in namespaces of its own as root on Linux, else from 127.0.0.2 to 127.0.0.1."""
    sides = (f"gs{control_port}s", f"gs{control_port}c")
    isolated = all(_made(side) for side in sides)
    ports = f"{control_port},{control_port + 1}"
    if isolated:
        words = ["--listen-ns", sides[1], "--to-ns", sides[0]]
        prefixes = [("ip", "netns", "exec", side) for side in sides]
        client_host = "127.0.0.1"
    else:
        words = ["--listen-host", "127.0.0.2"]
        prefixes = [(), ()]
        client_host = "127.0.0.2"
    relay = subprocess.Popen(
        [sys.executable, str(RELAY), "--ports", ports, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert relay.stdout is not None
        assert relay.stdout.readline() == "ready\n"
        yield Line(relay, prefixes[0], prefixes[1], client_host, isolated)
    finally:
        relay.kill()
        relay.wait()
        for side in sides:
            _ip("netns", "del", side)


def _made(side: str) -> bool:
    return _ip("netns", "add", side) and _ip("-n", side, "link", "set", "lo", "up")


def _ip(*words: str) -> bool:
    try:
        return subprocess.run(["ip", *words], capture_output=True, check=False).returncode == 0
    except OSError:  # no such program: not Linux, or a bare container
        return False
