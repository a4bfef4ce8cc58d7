"""Serves avatars: answers requests, follows subscriptions, keeps every stream on its clock. One thread."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

import numpy as np
import zmq

from gstalker.bridge import schema
from gstalker.bridge.codec import decode, encode, topic_field
from gstalker.bridge.errors import WireError, WireVersionError
from gstalker.bridge.schema import Message
from gstalker.bridge.server.sources import BundleFrames
from gstalker.bridge.server.stream import AvatarStream, FrameMaker, StreamOptions
from gstalker.bridge.server.timing_statistics import ServeStatistics
from gstalker.bridge.transport import Address, bind_server, parse_address
from gstalker.runtime.audio import SAMPLE_RATE_HZ, load_wav
from gstalker.runtime.bundle import AvatarBundle
from gstalker.runtime.session import rows_from_pose

SETTLE_S = 0.1  # from the first subscription to the start: a client's other subscriptions come in this time
LONGEST_WAIT_S = 0.2  # how soon a request to stop is noticed
REQUESTS_A_ROUND = 4  # a flood of requests must not hold up the frames
FLUSH_S = 0.1  # before closing, so that the last messages leave

_PUBLISHED = tuple(topic_field(kind, 1) for kind in schema.PUBLICATIONS)


@dataclass(frozen=True)
class ServeOptions:
    """How a server runs."""

    stream: StreamOptions = field(default_factory=StreamOptions)
    start_now: bool = False  # start the clock at once instead of with the first subscriber
    exit_when_done: bool = False  # return when every speech has been presented


class AvatarServer:
    """One avatar behind one pair of sockets."""

    def __init__(
        self,
        context: zmq.Context,
        address: Address,
        maker: BundleFrames,
        options: ServeOptions,
        log: Callable[[str], None] = lambda line: None,
    ) -> None:
        """Bind the sockets.

        Raises:
            InputError: a port is taken, or the avatar's frames cannot be packed.
            WireError: a text of the bundle cannot be sent, or the avatar is too large for one message.
        """
        self.address = address
        self._log = log
        self._welcome = welcome_of(maker.bundle, maker, options.stream, address)
        encode(self._welcome)  # refuse now what could never be answered
        self._topics: set[bytes] = set()
        self.stream = AvatarStream(maker, options.stream, self._publish, self._wanted)
        self.stream.warm_up()
        self.control, self.publication = bind_server(context, address)
        self._start_at_s: float | None = time.perf_counter() if options.start_now else None

    @property
    def name(self) -> str:
        return self._welcome.avatar_name

    @property
    def notice(self) -> str:
        """What viewers must be told."""
        return self._welcome.notice

    @property
    def statistics(self) -> ServeStatistics:
        return self.stream.statistics

    def close(self) -> None:
        """Close the sockets; what has not left by now is lost."""
        self.control.close(linger=0)
        self.publication.close(linger=0)

    def wait_s(self) -> float:
        """Seconds until `turn` has something to do by itself."""
        if self.stream.clock is not None:
            return self.stream.wait_s()
        return math.inf if self._start_at_s is None else self._start_at_s - time.perf_counter()

    def turn(self) -> None:
        """Do what is due: subscriptions, a few requests, at most one frame."""
        self._follow_subscriptions()
        self._answer_requests()
        if self.stream.clock is None:
            if self._start_at_s is None and self._topics:
                self._start_at_s = time.perf_counter() + SETTLE_S
            if self._start_at_s is not None and time.perf_counter() >= self._start_at_s:
                self._log(f"{self.name}: the stream begins")
                self.stream.start()
        if self.stream.wait_s() <= 0:
            self.stream.step()
            if self.stream.last_refusal:
                self._log(f"{self.name}: a frame was not sent: {self.stream.last_refusal}")
                self.stream.last_refusal = ""

    def _publish(self, message: Message) -> None:
        # No copy: encode gives a fresh buffer each time. A subscriber whose queue is full just misses it.
        self.publication.send(encode(message), copy=False)

    def _wanted(self, kind: type[Message]) -> bool:
        return any(topic_field(kind, 1).startswith(topic) for topic in self._topics)

    def _follow_subscriptions(self) -> None:
        while self.publication.poll(0):
            event = self.publication.recv()
            # Only topics that exist are remembered, so that nobody fills this set.
            if event[:1] == b"\x01" and any(t.startswith(event[1:]) for t in _PUBLISHED):
                self._topics.add(event[1:])
            elif event[:1] == b"\x00":
                self._topics.discard(event[1:])

    def _answer_requests(self) -> None:
        for _ in range(REQUESTS_A_ROUND):
            if not self.control.poll(0):
                return
            parts = self.control.recv_multipart()
            if len(parts) != 2:  # not one of our clients: nothing says where an answer should begin
                self.statistics.requests_refused += 1
                continue
            self.control.send_multipart([parts[0], encode(self._answer(parts[1]))])

    def _answer(self, data: bytes) -> Message:
        try:
            request = decode(data, schema.MAX_REQUEST_BYTES)
        except WireVersionError as error:
            return self._refuse(0, "wire_version", str(error))
        except WireError as error:
            return self._refuse(0, "malformed", str(error))
        if isinstance(request, schema.Hello):
            self._log(f"{self.name}: greeted by {request.client_name or 'a client without a name'}")
            return dataclasses.replace(self._welcome, request_id=request.request_id)
        if isinstance(request, schema.GetStats):
            return self.stream.stats(request.request_id)
        if isinstance(request, schema.Play):
            if not self.stream.maker.speech_frame_count:
                return self._refuse(
                    request.request_id, "no_speech", "expected a server with --audio, this one was started without."
                )
            self.stream.play()
            return schema.Done(request_id=request.request_id)
        if isinstance(request, schema.Stop):
            self.stream.silence()
            return schema.Done(request_id=request.request_id)
        return self._refuse(0, "not_a_request", f"expected a request, got {request.TOPIC}.")

    def _refuse(self, request_id: int, code: str, reason: str) -> schema.Refusal:
        self.statistics.requests_refused += 1
        self._log(f"{self.name}: refused a request: {reason}")
        printable = "".join(c if c.isprintable() else "?" for c in reason)
        return schema.Refusal(request_id=request_id, code=code, reason=printable[:1000], retry_after_s=0.0)


def welcome_of(bundle: AvatarBundle, maker: FrameMaker, options: StreamOptions, address: Address) -> schema.Welcome:
    """What a client is told about an avatar; request_id is filled in for each."""
    manifest, canonical, camera = bundle.manifest, bundle.canonical, bundle.camera
    return schema.Welcome(
        request_id=0,
        server_version=metadata.version("gstalker"),
        server_id="",
        session_id=1,
        publication_port=address.publication_port,
        avatar_name=manifest.name,
        avatar_names=(manifest.name,),
        bundle_sha256=bundle.manifest_sha256,
        subject=manifest.likeness.subject,
        consent=manifest.likeness.consent,
        licence=manifest.likeness.licence,
        notice=manifest.likeness.notice,
        fps=maker.fps,
        audio_rate_hz=SAMPLE_RATE_HZ,
        lead_s=options.lead_s,
        client_lease_s=5.0,
        can_play=maker.speech_frame_count > 0,
        speech_capacity_s=0.0,
        control_names=tuple(c.name for c in manifest.controls),
        emotion_names=(),
        has_gaze=False,
        head_pose_low=manifest.head_pose_range.low,
        head_pose_high=manifest.head_pose_range.high,
        control_count=len(manifest.controls),
        gaussian_count=len(canonical),
        mover_count=maker.mover_count,
        camera_from_avatar=rows_from_pose(camera.viewmat),
        K=tuple(float(v) for v in camera.K.ravel()),
        width_px=camera.width_px,
        height_px=camera.height_px,
        box_position_min_m=maker.box.position_min_m,
        box_position_max_m=maker.box.position_max_m,
        box_log_scale_min=maker.box.log_scale_min,
        box_log_scale_max=maker.box.log_scale_max,
        control_ranges=np.array([(c.low, c.high) for c in manifest.controls], np.float32).reshape(-1, 2),
        means=canonical.means,
        quats_wxyz=canonical.quats_wxyz,
        scales=canonical.scales,
        opacities=canonical.opacities,
        sh_coeffs=canonical.sh_coeffs,
        part_ids=bundle.part_ids,
        plate=bundle.plate_rgb,
    )


def prepare(
    bundles: Sequence[Path],
    audio: Path | None,
    address: str,
    options: ServeOptions,
    *,
    threads: int = 1,
    log: Callable[[str], None] = lambda line: None,
) -> list[AvatarServer]:
    """Load avatars and speech and bind the sockets: one server an avatar, two ports each, in order.

    Raises:
        InputError: a bundle, the sound or the address is not what it should be, or a port is taken.
    """
    first = parse_address(address)
    parse_address(first.at(first.control_port + 2 * (len(bundles) - 1)))  # the last one's port exists, too
    speech = None if audio is None else load_wav(audio)
    servers: list[AvatarServer] = []
    try:
        for number, path in enumerate(bundles):
            maker = BundleFrames(AvatarBundle.open(path), speech, threads=threads)
            place = dataclasses.replace(first, control_port=first.control_port + 2 * number)
            servers.append(AvatarServer(zmq.Context.instance(), place, maker, options, log))
    except BaseException:
        for server in servers:
            server.close()
        raise
    return servers


def serve(servers: Sequence[AvatarServer], options: ServeOptions, stop: Callable[[], bool]) -> None:
    """Run until `stop` says so, or all speech is done where that was asked for; then say that it is over."""
    poller = zmq.Poller()
    for server in servers:
        poller.register(server.control, zmq.POLLIN)
        poller.register(server.publication, zmq.POLLIN)
    try:
        while not stop() and not (options.exit_when_done and all(s.stream.finished for s in servers)):
            wait_s = min(LONGEST_WAIT_S, *(s.wait_s() for s in servers))
            poller.poll(math.ceil(max(0.0, wait_s) * 1000))
            for server in servers:  # each at most one frame a round, so that none starves the others
                server.turn()
    finally:
        for server in servers:
            server.stream.end()
        time.sleep(FLUSH_S)
