"""One TCP connection of a ZeroMQ socket, as the system sees it: who is at the other end, how much came, end it.

ZeroMQ says only the system's number of a connection, and may have closed it by the time somebody looks; the number is
then free for another. So what is looked up is compared with what was known of it, and nothing is ever closed here,
only shut down: ZeroMQ sees that and tidies up.
"""

from __future__ import annotations

import socket
import struct
import sys
from dataclasses import dataclass, field

# A client that pushes ten seconds of stereo at 96 kHz each second sends 4 MB/s, and 23 MB at once where it may.
BYTES_A_SECOND = 8_000_000
BYTES_AT_ONCE = 32_000_000
FORGIVEN_A_SECOND = 1.0
_BYTES_RECEIVED_AT = 128  # in Linux's struct tcp_info


@dataclass
class Connection:
    """What the door remembers of a connection.

    Attributes:
        peer: address and port of the other end.
        shown_out: it was shut down, and counted.
    """

    peer: tuple[str, int]
    shown_out: bool = False
    _offences: float = 0.0  # as of _offended_s; forgiven as time goes by
    _offended_s: float = 0.0
    _received: int = 0
    _unspent: float = field(default=float(BYTES_AT_ONCE))
    _looked_s: float = float("-inf")

    def offended(self, weight: float, now_s: float) -> float:
        """Add to its offences; how many stand against it now."""
        forgiven = (now_s - self._offended_s) * FORGIVEN_A_SECOND
        self._offences = max(0.0, self._offences - forgiven) + weight
        self._offended_s = now_s
        return self._offences

    def sends_too_much(self, received: int, now_s: float) -> bool:
        """Whether it has sent more than any client has to say, given how many bytes came from it since it connected."""
        earned = (now_s - self._looked_s) * BYTES_A_SECOND
        self._unspent = min(float(BYTES_AT_ONCE), self._unspent + earned) - (received - self._received)
        self._received, self._looked_s = received, now_s
        return self._unspent < 0


def peer_of(number: int) -> tuple[str, int] | None:
    """Address and port of the other end; None where the connection is gone."""
    borrowed = _borrow(number)
    if borrowed is None:
        return None
    try:
        host, port = borrowed.getpeername()[:2]
    except (OSError, ValueError, TypeError):
        return None
    finally:
        borrowed.detach()
    return host.removeprefix("::ffff:"), port


def bytes_received(number: int) -> int | None:
    """How many bytes came since it connected; None where the connection is gone or the system (not Linux) is silent."""
    if sys.platform != "linux":
        return None
    borrowed = _borrow(number)
    if borrowed is None:
        return None
    try:
        info = borrowed.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_RECEIVED_AT + 8)
    except OSError:
        return None
    finally:
        borrowed.detach()
    if len(info) < _BYTES_RECEIVED_AT + 8:  # a kernel before 4.1
        return None
    return struct.unpack_from("=Q", info, _BYTES_RECEIVED_AT)[0]


def shut_down(number: int, peer: tuple[str, int]) -> bool:
    """End a connection that still is this peer's; whether it was."""
    if peer_of(number) != peer:
        return False
    borrowed = _borrow(number)
    if borrowed is None:
        return False
    try:
        borrowed.shutdown(socket.SHUT_RDWR)
    except OSError:
        return False
    finally:
        borrowed.detach()
    return True


def _borrow(number: int) -> socket.socket | None:
    """A Python socket over the system's, to be given back with detach()."""
    try:
        return socket.socket(fileno=number)
    except OSError:
        return None
