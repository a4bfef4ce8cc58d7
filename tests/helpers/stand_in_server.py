"""A server that only sends: enough of the wire for clients to be tested with loads that no avatar here makes.

It answers hello and ping, publishes frames of any size at any rate or as fast as they are read, and can demand CURVE
keys. No part of the product: avatars are served by gstalker.bridge.server.
"""

from __future__ import annotations

import math
import struct
import threading
import time
from dataclasses import dataclass, replace
from types import TracebackType

import numpy as np
import zmq
import zmq.auth
from zmq.auth.thread import ThreadAuthenticator

from gstalker.bridge import schema
from gstalker.bridge.codec import decode, encode
from gstalker.bridge.schema import FrameQ16, Hello, Ping, Pong, Welcome

SESSION = 1
IDENTITY = (1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0)


@dataclass(frozen=True)
class CurveServer:
    """A server's own pair and the public keys of clients that it lets in, all in Z85."""

    public: bytes
    secret: bytes
    allowed: tuple[bytes, ...]


class StandInServer:
    """Runs on threads of its own between `with` and its end.

    Attributes:
        sent: frames published so far.
    """

    def __init__(
        self,
        port: int,
        *,
        movers: int = 4,
        frames_hz: float | None = 25.0,
        curve: CurveServer | None = None,
        lead_s: float = 0.1,
    ) -> None:
        """`frames_hz` None: as fast as the subscribers read, none dropped."""
        self.address = f"tcp://127.0.0.1:{port}"
        self._port, self._rate_hz, self._lead_s = port, frames_hz, lead_s
        self._context = zmq.Context()
        self._authenticator: ThreadAuthenticator | None = None
        self._stopping = threading.Event()
        self._started_s = time.perf_counter()
        self._welcome = make_welcome(port + 1, movers, lead_s, round(frames_hz or 240))
        rng = np.random.default_rng(3)
        packed = rng.integers(0, 2**30, (movers, 4), np.uint32).view(np.uint8).reshape(movers, 16)
        self._frame = FrameQ16(SESSION, 0, 0, 0.0, 0.0, IDENTITY, IDENTITY, movers, packed)
        self.sent = 0
        if curve is not None:
            self._authenticator = ThreadAuthenticator(self._context)
            self._authenticator.start()
            self._authenticator.configure_curve_callback("*", credentials_provider=_Allowed(curve.allowed))
        self._sockets = [self._bind(kind, at, curve) for kind, at in ((zmq.ROUTER, port), (zmq.XPUB, port + 1))]
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._answer, self._publish)]

    def __enter__(self) -> StandInServer:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(10)
        if self._authenticator is not None:
            self._authenticator.stop()
        self._context.destroy(linger=0)

    def _bind(self, kind: int, port: int, curve: CurveServer | None) -> zmq.Socket:
        socket = self._context.socket(kind)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.SNDHWM, 8)
        if kind == zmq.XPUB and self._rate_hz is None:
            socket.setsockopt(zmq.XPUB_NODROP, 1)
            socket.setsockopt(zmq.SNDTIMEO, 100)
        if curve is not None:
            socket.curve_server = True
            socket.curve_secretkey = curve.secret
        socket.bind(f"tcp://127.0.0.1:{port}")
        return socket

    def _stream_time_s(self) -> float:
        return time.perf_counter() - self._started_s - self._lead_s

    def _answer(self) -> None:
        socket = self._sockets[0]
        while not self._stopping.is_set():
            if not socket.poll(20):
                continue
            identity, data = socket.recv_multipart()
            request = decode(data)
            if isinstance(request, Hello):
                answer: schema.Message = replace(self._welcome, request_id=request.request_id)
            elif isinstance(request, Ping):
                answer = Pong(request.request_id, request.client_time_s, self._stream_time_s(), True)
            else:
                answer = schema.Done(getattr(request, "request_id"))  # noqa: B009
            socket.send_multipart([identity, bytes(encode(answer))])

    def _publish(self) -> None:
        """One message whose three changing numbers are written in place: encoding would be what is measured."""
        socket = self._sockets[1]
        message = encode(replace(self._frame, sequence=2**40, index=2**40, time_s=0.5, sent_at_s=0.5))
        places = [message.index(name) + len(name) for name in (b"sequence", b"index", b"time_s", b"sent_at_s")]
        subscribers = 0
        while not self._stopping.is_set():
            wait_s = 0.0 if self._rate_hz is None else self.sent / self._rate_hz - self._lead_s - self._stream_time_s()
            if subscribers == 0 or wait_s > 0:
                if socket.poll(20 if subscribers == 0 else min(20, math.ceil(wait_s * 1000))):
                    subscribers += 1 if socket.recv()[0] else -1
                continue
            time_s = self.sent / self._welcome.fps
            for place, value in zip(places[:2], (self.sent, self.sent), strict=True):
                struct.pack_into(">Q", message, place + 1, value)
            for place, value in zip(places[2:], (time_s, self._stream_time_s()), strict=True):
                struct.pack_into(">d", message, place + 1, value)
            try:
                socket.send(message, copy=True)
                self.sent += 1
            except zmq.Again:
                continue


class _Allowed:
    """What ThreadAuthenticator asks about a client's key."""

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        self._keys = keys

    def callback(self, domain: str, key: bytes) -> bool:
        return key in self._keys


def make_welcome(publication_port: int, movers: int, lead_s: float, fps: int) -> Welcome:
    """An avatar of so many movers and nothing else; far too small values for any picture."""
    return Welcome(
        request_id=1,
        server_version="0",
        server_id="stand-in",
        session_id=SESSION,
        publication_port=publication_port,
        avatar_name="stand-in",
        avatar_names=("stand-in",),
        bundle_sha256="0" * 64,
        subject="nobody",
        consent="not needed",
        licence="Apache-2.0",
        notice="Synthetic.",
        fps=fps,
        audio_rate_hz=16_000,
        lead_s=lead_s,
        client_lease_s=5.0,
        can_play=False,
        speech_capacity_s=0.0,
        control_names=(),
        emotion_names=(),
        has_gaze=False,
        head_pose_low=(0.0,) * 6,
        head_pose_high=(0.0,) * 6,
        control_count=0,
        gaussian_count=movers,
        mover_count=movers,
        camera_from_avatar=IDENTITY,
        K=(8.0, 0.0, 2.0, 0.0, 8.0, 1.5, 0.0, 0.0, 1.0),
        width_px=4,
        height_px=3,
        box_position_min_m=(-1.0, -1.0, -1.0),
        box_position_max_m=(1.0, 1.0, 1.0),
        box_log_scale_min=-8.0,
        box_log_scale_max=-2.0,
        control_ranges=np.zeros((0, 2), np.float32),
        means=np.zeros((movers, 3), np.float32),
        quats_wxyz=np.tile(np.array([1, 0, 0, 0], np.float32), (movers, 1)),
        scales=np.full((movers, 3), 0.01, np.float32),
        opacities=np.ones(movers, np.float32),
        sh_coeffs=np.zeros((movers, 1, 3), np.float32),
        part_ids=np.zeros(movers, np.uint8),
        plate=np.zeros((3, 4, 3), np.uint8),
    )
