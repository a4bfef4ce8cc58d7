"""Two ports next to each other on which nobody listens, for a server of this machine that was given no address."""

from __future__ import annotations

import random
import socket

from gstalker.runtime.errors import InputError

# Below those that Linux (32768 on), Windows and macOS (49152 on) give to whoever connects to something: one of those
# may be gone by the time that the server listens.
_FIRST, _LAST = 20_000, 32_000
_TRIES = 200


def free_port() -> int:
    """A loopback port that was free, with the next one, a moment ago.

    Raises:
        InputError: there are no such two.
    """
    chance = random.SystemRandom()  # of its own: two processes with one seed would ask for the same ports
    for _ in range(_TRIES):
        port = chance.randrange(_FIRST, _LAST)
        with socket.socket() as first, socket.socket() as second:
            try:
                first.bind(("127.0.0.1", port))
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port
    raise InputError("expected two free ports next to each other on this machine, found none.")
