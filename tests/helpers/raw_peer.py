"""A peer that speaks ZMTP 3 by hand over a plain TCP socket, so that it can do what ZeroMQ never would."""

from __future__ import annotations

import socket
import struct
import time

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"NULL".ljust(20, b"\0") + bytes(32)


class RawPeer:
    """One TCP connection to a port of this machine; nothing is sent but what is asked for."""

    def __init__(self, port: int, timeout_s: float = 10.0) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)

    def __enter__(self) -> RawPeer:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def shake_hands(self, socket_type: bytes) -> None:
        """Greeting and READY of the NULL mechanism, both ways."""
        self.socket.sendall(GREETING)
        self.read_exactly(len(GREETING))
        body = b"\x05READY" + _property(b"Socket-Type", socket_type) + _property(b"Identity", b"")
        self.socket.sendall(b"\x04" + bytes([len(body)]) + body)
        flags, size = self.read_exactly(2)
        assert flags == 4
        self.read_exactly(size)

    def send_frame(self, data: bytes, *, more: bool = False) -> None:
        self.socket.sendall(frame(data, more=more))

    def read_exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise ConnectionError("the other end closed the connection")
            data += piece
        return data

    def closed_within(self, seconds: float) -> bool:
        """Whether the other end closes the connection, whatever it sends before."""
        give_up = time.monotonic() + seconds
        while (left := give_up - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                if not self.socket.recv(65536):
                    return True
            except TimeoutError:
                return False
            except ConnectionError:
                return True
        return False


def frame(data: bytes, *, more: bool = False) -> bytes:
    """A message part as ZMTP 3 frames it."""
    if len(data) < 256:
        return bytes([more, len(data)]) + data
    return bytes([2 | more]) + struct.pack(">Q", len(data)) + data


def long_header(size: int) -> bytes:
    """The head of a part that claims to be this long."""
    return b"\x02" + struct.pack(">Q", size)


def _property(name: bytes, value: bytes) -> bytes:
    return bytes([len(name)]) + name + struct.pack(">I", len(value)) + value
