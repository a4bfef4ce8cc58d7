"""Live faces that come as UDP datagrams: one thread, bounded work, the newest state wins.

UDP carries no proof of who sent it. On loopback only programs of this machine can send; any other address demands
the sender's own address, and everything from elsewhere is dropped and counted.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Callable

from gstalker.bridge.inputs.live_face import FaceState
from gstalker.runtime.errors import InputError

MAX_DATAGRAM_BYTES = 8192
MAX_DATAGRAMS_A_SECOND = 400  # trackers send 30 to 120; the rest stays in the socket and is lost
SILENT_AFTER_S = 2.0
_POLL_S = 0.2


class UdpFace:
    """A UDP port that datagrams of one tracker come to; `FaceSource`.

    Attributes:
        taken, refused, strangers: datagrams that gave a state, that could not be read, that others sent.
        trouble: why the last one could not be read.
    """

    def __init__(
        self,
        name: str,
        host: str,
        port: int,
        parse: Callable[[bytes], FaceState | None],
        *,
        sender: str | None = None,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """Bind the port and listen.

        Args:
            name: for the status.
            host, port: where to listen; port 0 takes a free one.
            parse: a datagram's bytes to a state, None where it holds none; ValueError where it is not sound.
            sender: the only IP address that is listened to.

        Raises:
            InputError: the address cannot be used, or is not loopback and `sender` is missing.
        """
        for what, address in (("host", host), ("sender", sender or "127.0.0.1")):
            try:
                ipaddress.ip_address(address)
            except ValueError as error:
                raise InputError(f"{name}: {what}: expected an IP address like 127.0.0.1, got {address!r}.") from error
        if sender is None and not ipaddress.ip_address(host).is_loopback:
            raise InputError(
                f"{name}: expected the sender's IP address with a host that other machines reach ({host}), got none. "
                "UDP has no keys: name the one device that may move the face."
            )
        self.name = name
        self.taken = self.refused = self.strangers = 0
        self.trouble = ""
        self._parse, self._sender, self._steady = parse, sender, steady
        self._newest: FaceState | None = None
        self._newest_at_s = -float("inf")
        self._lock = threading.Lock()
        self._closing = threading.Event()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
            self._socket.bind((host, port))
        except (OSError, OverflowError) as error:
            self._socket.close()
            raise InputError(
                f"{name}: expected a free UDP port {port} at {host}, could not take it ({error}). Give another one."
            ) from error
        self._socket.settimeout(_POLL_S)
        self.host, self.port = host, int(self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._listen, name=name, daemon=True)
        self._thread.start()

    @property
    def status(self) -> str:
        """One line: where it listens, and whether something comes."""
        with self._lock:
            since_s = self._steady() - self._newest_at_s
        where = f"{self.name} at {self.host}:{self.port}"
        if since_s <= SILENT_AFTER_S:
            state = "receiving"
        elif self.taken:
            state = f"silent for {since_s:.0f} s"
        else:
            state = "nothing received yet"
        troubles = [f"{self.refused} datagrams refused, last: {self.trouble}"] if self.refused else []
        troubles += [f"{self.strangers} from other senders dropped"] if self.strangers else []
        return "; ".join([f"{where}: {state}", *troubles])

    def read(self) -> FaceState | None:
        """The newest state since the last call, None where nothing came."""
        with self._lock:
            newest, self._newest = self._newest, None
        return newest

    def close(self) -> None:
        """Stop listening."""
        self._closing.set()
        self._thread.join(timeout=5.0)
        self._socket.close()

    def _listen(self) -> None:
        second, count = self._steady(), 0
        while not self._closing.is_set():
            if count >= MAX_DATAGRAMS_A_SECOND:
                self._closing.wait(max(0.0, second + 1.0 - self._steady()))
            if self._steady() - second >= 1.0:
                second, count = self._steady(), 0
            try:
                data, address = self._socket.recvfrom(MAX_DATAGRAM_BYTES + 1)
            except TimeoutError:
                continue
            except OSError as error:  # as Windows reports a datagram that was too long, or a port that is gone
                self.refused, self.trouble = self.refused + 1, str(error)
                self._closing.wait(0.01)
                continue
            count += 1
            self._take(data, str(address[0]))

    def _take(self, data: bytes, address: str) -> None:
        if self._sender is not None and address != self._sender:
            self.strangers += 1
            return
        try:
            if len(data) > MAX_DATAGRAM_BYTES:
                raise ValueError(f"expected at most {MAX_DATAGRAM_BYTES} bytes")
            state = self._parse(data)
        except ValueError as error:
            self.refused, self.trouble = self.refused + 1, str(error)[:200]
            return
        if state is not None:
            with self._lock:
                self._newest, self._newest_at_s = state, self._steady()
                self.taken += 1
