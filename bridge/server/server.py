"""Serves avatars: sockets, subscriptions and the order of work. One thread."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import zmq

from gstalker.bridge.codec import encode
from gstalker.bridge.keys import ServerKeys
from gstalker.bridge.server.authentication import ServerSockets, open_sockets
from gstalker.bridge.server.delivery import Delivery
from gstalker.bridge.server.live_inputs import InputOptions, LiveInputs
from gstalker.bridge.server.loaded_avatar import LoadedAvatar
from gstalker.bridge.server.logs import say, server_log
from gstalker.bridge.server.metrics import TAKE_EVERY_S, Pulse, ServerMetrics
from gstalker.bridge.server.options import ServeOptions
from gstalker.bridge.server.requests import Requests
from gstalker.bridge.server.scheduler import due_by_deadline, one_frame
from gstalker.bridge.server.session import Session
from gstalker.bridge.server.session_table import SessionTable
from gstalker.bridge.server.welcome import welcome_of
from gstalker.bridge.transport import MAX_CONNECTIONS, Address, check_server_address, parse_address
from gstalker.kernels.quantise import BYTES_PER_MOVER
from gstalker.runtime.audio import load_wav
from gstalker.runtime.bundle import AvatarBundle
from gstalker.runtime.errors import InputError

SETTLE_S = 0.1  # from a session's first subscription to its start: a client's other subscriptions come in this time
LONGEST_WAIT_S = 0.2  # how soon a request to stop is noticed
REQUESTS_A_ROUND = 8  # a flood of requests must not hold up the frames
SWEEP_S = TAKE_EVERY_S  # how often silent clients and empty sessions are looked for, and figures handed over
FLUSH_S = 0.1  # before closing, so that the last messages leave
HEADER_BYTES = 512  # of a frame, about
_log = server_log(__name__)


class AvatarServer:
    """Avatars behind one pair of sockets.

    Attributes:
        table: its sessions; requests: who may ask what, and the counts of refusals.
        pulse, metrics: for those who watch from other threads.
        live: what drives the first avatar's shared session from outside of the wire.
    """

    def __init__(
        self,
        context: zmq.Context,
        address: Address,
        avatars: Sequence[LoadedAvatar],
        recording: np.ndarray | None,
        options: ServeOptions,
        keys: ServerKeys | None = None,
        live: LiveInputs | None = None,
    ) -> None:
        """Warm up and bind the sockets.

        Args:
            context: of ZeroMQ.
            address: where to listen.
            avatars: of different names, at least one.
            recording: (S,) float32 at 16 kHz that `play` says, or None.
            options: how to run.
            keys: who the server is and whom it lets in.
            live: what drives the first avatar's shared session; the server closes it.

        Raises:
            InputError: a port is taken, or the avatar's frames cannot be packed.
            WireError: a text of a bundle cannot be sent, or an avatar is too large for one message.
        """
        self.address, self.options = address, options
        for avatar in avatars:
            avatar.warm_up()
        self.live = live or LiveInputs()
        self._sockets = self._open(context, address, avatars, keys)
        self.pulse = Pulse()
        self.metrics = ServerMetrics(self.pulse, self._sockets.door)
        try:
            delivery = Delivery(self._sockets)
            self._delivery, self._subscriptions = delivery, delivery.subscriptions
            self.table = SessionTable(avatars, recording, options, delivery.publish, delivery.subscriptions)
            self.requests = Requests(self.table, options, address.publication_port)
            self.requests.source = lambda: self.live.status
            self._refuse_what_cannot_be_answered()
        except BaseException:
            self._sockets.close()
            raise
        now_s = time.perf_counter()
        self._start_at_s = {s.session_id: now_s for s in self.table} if options.start_now else {}
        self._sweep_at_s = now_s + SWEEP_S
        self._poller = zmq.Poller()
        for socket in (self._sockets.control, self._sockets.publication):
            self._poller.register(socket, zmq.POLLIN)

    @property
    def sockets(self) -> ServerSockets:
        return self._sockets

    @property
    def notices(self) -> list[str]:
        """What viewers must be told, each text once."""
        return list(dict.fromkeys(a.bundle.manifest.likeness.notice for a in self.table.avatars))

    @property
    def finished(self) -> bool:
        """Whether the recording has been presented in every shared session."""
        return all(session.finished for session in self.table.shared)

    def summary(self) -> list[str]:
        """How each avatar's shared session kept time, for a person."""
        return [f"{self.table.avatar_of(s).name}: {s.statistics.summary()}" for s in self.table.shared]

    def close(self) -> None:
        """Close the sockets and the live inputs; what has not left by now is lost."""
        self._sockets.close()
        self.live.close()

    def run(self, stop: Callable[[], bool]) -> None:
        """Serve until `stop` says so, a client ends it, or the recording is over where that was asked for."""
        try:
            while not (stop() or self.requests.shutdown_asked or (self.options.exit_when_done and self.finished)):
                self._poller.poll(math.ceil(max(0.0, min(LONGEST_WAIT_S, self.wait_s())) * 1000))
                self.turn()
        finally:
            self.pulse.ending()
            self.table.end_all()
            time.sleep(FLUSH_S)

    def wait_s(self) -> float:
        """Seconds until `turn` has something to do by itself."""
        now_s = time.perf_counter()
        starts = (at_s - now_s for at_s in self._start_at_s.values())
        return min((self._sweep_at_s - now_s, *starts, *(s.wait_s() for s in self.table)))

    def turn(self) -> None:
        """Do what is due: subscriptions, a few requests, at most one frame of each session."""
        self.pulse.beat()
        self._delivery.follow()
        self._answer_requests()
        self._start_sessions()
        self.live.pump(self.table.shared[0])
        for session in due_by_deadline(self.table):
            self._step(session)
        if time.perf_counter() >= self._sweep_at_s:
            self._sweep()

    def _sweep(self) -> None:
        for ended in self.requests.forget_silent():
            self.metrics.session_ended(ended)
        self.metrics.take(
            ((self.table.avatar_of(s), s) for s in self.table),
            clients=len(self.requests.members),
            refused=self.requests.refused,
            load=self.table.busy.load(),
        )
        self.live.report()
        self._sweep_at_s = time.perf_counter() + SWEEP_S

    def _step(self, session: Session) -> None:
        began_s = time.perf_counter()
        self.pulse.beat(f"frame of session {session.session_id}")
        one_frame(session)
        self.table.busy.add(time.perf_counter() - began_s)
        if session.last_refusal:
            said = ("session %d: a frame was not sent: %s", session.session_id, session.last_refusal)
            say(_log, logging.ERROR, "frame_refused", *said, session=session.session_id)
            session.last_refusal = ""

    def _start_sessions(self) -> None:
        """Start the clocks of sessions that somebody has begun to watch."""
        now_s = time.perf_counter()
        for session in self.table:
            if session.clock is not None:
                continue
            if self._subscriptions.any_of(session.session_id):
                self._start_at_s.setdefault(session.session_id, now_s + SETTLE_S)
            if now_s >= self._start_at_s.get(session.session_id, math.inf):
                del self._start_at_s[session.session_id]
                session.start(play=not self.table.is_private(session))
                said = ("%s: session %d begins", self.table.avatar_of(session).name, session.session_id)
                say(_log, logging.INFO, "session_began", *said, session=session.session_id)

    def _answer_requests(self) -> None:
        control = self._sockets.control
        for _ in range(REQUESTS_A_ROUND):
            if not control.poll(0):
                return
            parts = control.recv_multipart(copy=False)
            if len(parts) != 2:  # not one of our clients: nothing says where an answer should begin
                self.requests.refuse_shapeless()
                self._sockets.offended(parts[-1])
                continue
            identity = parts[0].bytes
            answered = self.requests.answer(identity, parts[1].bytes)
            if not answered.sound:
                self._sockets.offended(parts[1])
            try:  # an answer for which there is no room goes where the client's attention went
                control.send_multipart([identity, answered.data], zmq.NOBLOCK)
            except zmq.Again:
                self.requests.answers_dropped += 1

    def _open(
        self, context: zmq.Context, address: Address, avatars: Sequence[LoadedAvatar], keys: ServerKeys | None
    ) -> ServerSockets:
        frame_bytes = HEADER_BYTES + BYTES_PER_MOVER * max(a.mover_count for a in avatars)
        # A client has a connection to one port and up to two to the other.
        most = max(MAX_CONNECTIONS, 3 * self.options.limits.client_count)
        fps = max(a.fps for a in avatars)
        return open_sockets(
            *(context, address, keys),
            frame_bytes=frame_bytes,
            fps=fps,
            lead_s=self.options.session.lead_s,
            max_connections=most,
        )

    def _refuse_what_cannot_be_answered(self) -> None:
        for session in self.table.shared:
            welcome = welcome_of(
                *(self.table.avatar_of(session), session),
                request_id=0,
                server_id=self.requests.server_id,
                publication_port=self.address.publication_port,
                avatar_names=tuple(a.name for a in self.table.avatars),
                options=self.options,
            )
            encode(welcome)


def prepare(
    bundles: Sequence[Path],
    audio: Path | None,
    address: str,
    options: ServeOptions,
    *,
    keys: ServerKeys | None = None,
    inputs: InputOptions | None = None,
    threads: int = 1,
    backend: str = "auto",
) -> AvatarServer:
    """Load avatars and speech, open the live inputs and bind the sockets.

    Raises:
        InputError: a bundle, the sound or the address is not what it should be, two avatars share a name, a device or
            package is not there, or a port is taken.
    """
    place = parse_address(address)
    check_server_address(place, keys)
    recording = None if audio is None else load_wav(audio)
    avatars: list[LoadedAvatar] = []
    for path in bundles:
        avatar = LoadedAvatar(AvatarBundle.open(path), threads=threads, backend=backend)
        if avatar.name in (a.name for a in avatars):
            raise InputError(
                f"{path}: expected avatars of different names, got {avatar.name!r} twice: clients choose by it. "
                "One bundle serves any number of sessions."
            )
        avatars.append(avatar)
    live = LiveInputs.open(inputs or InputOptions())
    try:
        return AvatarServer(zmq.Context.instance(), place, avatars, recording, options, keys, live)
    except BaseException:
        live.close()
        raise
