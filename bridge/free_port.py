"""Two ports next to each other on which nobody listens, for a server of this machine that was given no address."""

from __future__ import annotations

import socket

from gstalker.runtime.errors import InputError

_TRIES = 100


def free_port() -> int:
    """A loopback port that was free, with the next one, a moment ago.

    Raises:
        InputError: there are no such two.
    """
    for _ in range(_TRIES):
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            try:
                second.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port
    raise InputError("expected two free ports next to each other on this machine, found none.")
