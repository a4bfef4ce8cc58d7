"""Every request and its answer: what a client may ask, checked, counted, carried out or refused with a reason."""

from __future__ import annotations

import logging
import secrets
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gstalker.bridge import schema
from gstalker.bridge.codec import decode, encode
from gstalker.bridge.errors import RequestRefused, WireError, WireVersionError
from gstalker.bridge.schema import Message, Request
from gstalker.bridge.server import snapshot
from gstalker.bridge.server.logs import say, server_log
from gstalker.bridge.server.membership import HELLO_WEIGHT, Client, Membership
from gstalker.bridge.server.options import ServeOptions
from gstalker.bridge.server.session import Session
from gstalker.bridge.server.session_table import SessionTable
from gstalker.bridge.server.welcome import welcome_of

_log = server_log(__name__)


@dataclass(frozen=True)
class Answered:
    """What goes back, and whether what came could be read at all."""

    data: bytearray
    sound: bool


class Requests:
    """Answers requests. Knows nothing of sockets.

    Attributes:
        refused: how many refusals of each code there were.
        shutdown_asked: whether a client ended the server.
    """

    def __init__(
        self,
        table: SessionTable,
        options: ServeOptions,
        publication_port: int,
        steady: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.table = table
        self.server_id = secrets.token_hex(8)
        self.members = Membership(options.limits, steady())
        self.refused: Counter[str] = Counter()
        self.answers_dropped = 0  # because the client did not read the ones before
        self.shutdown_asked = False
        self.source: Callable[[], str] = lambda: ""  # what gives live sound or face, and how it fares
        self._ended: list[Session] = []  # since forget_silent was last asked
        self._options, self._publication_port, self._steady = options, publication_port, steady
        self._in_session: dict[type[Message], Callable[[Any, Client, Session], Message]] = {
            schema.Ping: self._ping,
            schema.Play: self._play,
            schema.Stop: self._stop,
            schema.OpenSpeech: self._open_speech,
            schema.PushSpeech: self._push_speech,
            schema.CloseSpeech: self._close_speech,
            schema.SetExpression: self._set_expression,
            schema.SetEmotion: self._set_emotion,
            schema.SetGaze: self._set_gaze,
            schema.SetHeadPose: self._set_head_pose,
            schema.SetIdle: self._set_idle,
            schema.SetRate: self._set_rate,
            schema.GetStats: self._get_stats,
            schema.GetSnapshot: self._get_snapshot,
            schema.Resume: self._resume,
            schema.Shutdown: self._shutdown,
        }

    def answer(self, identity: bytes, data: bytes) -> Answered:
        """The answer to what came from a connection."""
        try:
            request = decode(data, schema.MAX_REQUEST_BYTES)
        except WireVersionError as error:
            return Answered(self._refuse(0, "wire_version", str(error)), sound=True)
        except WireError as error:
            return Answered(self._refuse(0, "malformed", str(error)), sound=False)
        if not isinstance(request, Request):
            return Answered(self._refuse(0, "not_a_request", f"expected a request, got {request.TOPIC}."), sound=True)
        try:
            weight = HELLO_WEIGHT if isinstance(request, schema.Hello) else 1.0
            self.members.take_request(identity, self._steady(), weight)
            return Answered(encode(self._carry_out(identity, request)), sound=True)
        except RequestRefused as error:
            refusal = self._refuse(request.request_id, error.code, error.reason, error.retry_after_s)
        except ValueError as error:  # a mistake of ours that one client met must not end the server for all
            refusal = self._refuse(request.request_id, "failed", f"{request.TOPIC} could not be carried out: {error}")
        return Answered(refusal, sound=True)

    def refuse_shapeless(self) -> None:
        """Count what is not even one part, and so has no place for an answer."""
        self.refused["malformed"] += 1

    def forget_silent(self) -> list[Session]:
        """Drop clients whose lease is over, and end private sessions that nobody came back to; the sessions ended."""
        for client in self.members.forget_silent(self._steady()):
            say(_log, logging.INFO, "client_forgotten", "forgot %s: nothing was heard of it", _shown(client.name))
        self._count_clients()
        self._ended += self.table.end_empty()
        ended, self._ended = self._ended, []
        for session in ended:
            say(_log, logging.INFO, "session_ended", "session %d ends: nobody is in it", session.session_id)
        return ended

    def _carry_out(self, identity: bytes, request: Request) -> Message:
        if isinstance(request, schema.Hello):
            return self._hello(identity, request)
        client = self.members.known(identity)
        if isinstance(request, schema.Leave):
            return self._leave(client, request)
        return self._in_session[type(request)](request, client, self.table.get(client.session_id))

    def _refuse(self, request_id: int, code: str, reason: str, retry_after_s: float = 0.0) -> bytearray:
        self.refused[code] += 1
        say(_log, logging.WARNING, f"refused_{code}", "refused a request (%s): %s", code, reason, code=code)
        return encode(schema.Refusal(request_id, code, _line(reason), min(retry_after_s, 3600.0)))

    def _count_clients(self) -> None:
        counts: dict[int, int] = {}
        divisors: dict[int, int] = {}
        for client in self.members:
            counts[client.session_id] = counts.get(client.session_id, 0) + 1
            fastest = divisors.get(client.session_id, client.frame_divisor)
            divisors[client.session_id] = min(fastest, client.frame_divisor)
        self.table.count_clients(counts, divisors)

    def _hello(self, identity: bytes, request: schema.Hello) -> Message:
        self.members.check_room(identity)
        if request.session_id:
            session = self.table.get(request.session_id)
            avatar = self.table.avatar_of(session)
            if request.avatar_name not in ("", avatar.name):
                raise RequestRefused(
                    "bad_value",
                    f"expected session {request.session_id}'s avatar {avatar.name}, got {request.avatar_name!r}.",
                )
            self.table.admit(session)
        elif request.private:
            avatar = self.table.avatar_named(request.avatar_name)
            session = self.table.open_private(avatar)
        else:
            avatar = self.table.avatar_named(request.avatar_name)
            session = self.table.shared_of(avatar)
            self.table.admit(session)
        name = request.client_name
        self.members.enter(identity, name, session.session_id, self._steady())
        self._count_clients()
        said = ("%s: greeted by %s, session %d", avatar.name, _shown(name), session.session_id)
        say(_log, logging.INFO, "client_greeted", *said, session=session.session_id)
        return welcome_of(
            avatar,
            session,
            request_id=request.request_id,
            server_id=self.server_id,
            publication_port=self._publication_port,
            avatar_names=tuple(a.name for a in self.table.avatars),
            options=self._options,
        )

    def _leave(self, client: Client, request: schema.Leave) -> Message:
        self.members.leave(client.identity)
        self._count_clients()
        self._ended += self.table.end_empty(client.session_id)
        return schema.Done(request.request_id)

    def _ping(self, request: schema.Ping, client: Client, session: Session) -> Message:
        running = session.clock is not None
        return schema.Pong(request.request_id, request.client_time_s, session.now_s, running)

    def _play(self, request: schema.Play, client: Client, session: Session) -> Message:
        if session.recording is None:
            raise RequestRefused("no_speech", "expected a server with --audio, this one was started without.")
        session.play()
        return schema.Done(request.request_id)

    def _stop(self, request: schema.Stop, client: Client, session: Session) -> Message:
        session.stop()
        return schema.Done(request.request_id)

    def _open_speech(self, request: schema.OpenSpeech, client: Client, session: Session) -> Message:
        if request.interrupt:
            session.stop()
        speech_id = session.speech.open(request.rate_hz, request.channel_count)
        return schema.SpeechOpened(request.request_id, speech_id)

    def _push_speech(self, request: schema.PushSpeech, client: Client, session: Session) -> Message:
        rate_hz = session.speech.rate_hz(request.speech_id)
        self.members.take_sound(client, request.sample_count / rate_hz, self._steady())
        session.speech.push(request.speech_id, request.first_sample, request.pcm)
        return self._speech_state(request.request_id, request.speech_id, session)

    def _close_speech(self, request: schema.CloseSpeech, client: Client, session: Session) -> Message:
        session.speech.close(request.speech_id)
        return self._speech_state(request.request_id, request.speech_id, session)

    @staticmethod
    def _speech_state(request_id: int, speech_id: int, session: Session) -> Message:
        speech = session.speech
        return schema.SpeechState(request_id, speech_id, speech.received_s(speech_id), speech.waiting_of_s(speech_id))

    def _set_expression(self, request: schema.SetExpression, client: Client, session: Session) -> Message:
        names = self.table.avatar_of(session).bundle.manifest.controls
        if request.control_count != len(names):
            raise RequestRefused("bad_value", f"expected {len(names)} weights, got {request.control_count}.")
        if request.held.max(initial=0) > 1:
            raise RequestRefused("bad_value", f"held: expected 0 or 1, got {int(request.held.max())}.")
        held = request.held.astype(bool)
        return self._applied(
            request, session.face.set_expression(session.next_index, request.weights, held, request.blend_s)
        )

    def _set_emotion(self, request: schema.SetEmotion, client: Client, session: Session) -> Message:
        name, known = request.emotion_name, session.face.emotion_names
        if name and name not in known:
            raise RequestRefused("bad_value", f"expected one of the emotions {', '.join(known)}, got {name!r}.")
        return self._applied(
            request, session.face.set_emotion(session.next_index, name, request.strength, request.blend_s)
        )

    def _set_gaze(self, request: schema.SetGaze, client: Client, session: Session) -> Message:
        if not session.face.has_gaze:
            raise RequestRefused("not_supported", "expected an avatar whose eyes can move, this one's cannot.")
        direction = (request.yaw_rad, request.pitch_rad) if request.held else None
        return self._applied(request, session.face.set_gaze(session.next_index, direction, request.blend_s))

    def _set_head_pose(self, request: schema.SetHeadPose, client: Client, session: Session) -> Message:
        pose = np.array((*request.rotation_rad, *request.translation_m)) if request.held else None
        return self._applied(request, session.face.set_head_pose(session.next_index, pose, request.blend_s))

    @staticmethod
    def _applied(request: Request, limited: str) -> Message:
        return schema.Applied(request.request_id, bool(limited), _line(limited))

    def _set_idle(self, request: schema.SetIdle, client: Client, session: Session) -> Message:
        session.face.set_idle(session.next_index, enabled=request.enabled, seed=request.seed)
        return schema.Done(request.request_id)

    def _set_rate(self, request: schema.SetRate, client: Client, session: Session) -> Message:
        client.frame_divisor = request.frame_divisor
        self._count_clients()
        return schema.Done(request.request_id)

    def _get_stats(self, request: schema.GetStats, client: Client, session: Session) -> Message:
        s = session.statistics
        return schema.Stats(
            request_id=request.request_id,
            stream_time_s=session.now_s,
            speaking=session.speaking,
            frames_sent=s.frames_sent,
            frames_late=s.frames_late,
            frames_dropped=s.frames_dropped,
            frames_refused=s.frames_refused,
            frames_superseded=s.frames_superseded,
            audio_chunks_sent=s.audio_chunks_sent,
            speech_waiting_s=session.speech.waiting_s,
            speech_starved=session.speech.starved,
            requests_refused=self.refused.total(),
            lateness_p50_ms=1e3 * s.lateness_s.percentile(50),
            lateness_p99_ms=1e3 * s.lateness_s.percentile(99),
            lateness_max_ms=1e3 * s.lateness_s.largest,
            compute_p50_ms=1e3 * s.compute_s.percentile(50),
            compute_p99_ms=1e3 * s.compute_s.percentile(99),
            frames_per_second=s.rate.a_second(self._steady()),
            backend=self.table.avatar_of(session).backend[:64],
            clients=len(self.members),
            session_clients=self.table.clients_in(session),
            sessions=len(self.table),
            session_limit=self.table.limit(),
            load=self.table.busy.load(),
            source=_line(self.source()),
        )

    def _get_snapshot(self, request: schema.GetSnapshot, client: Client, session: Session) -> Message:
        state = np.frombuffer(snapshot.of_session(session, self.table.avatar_of(session)), np.uint8)
        return schema.Snapshot(request.request_id, len(state), state)

    def _resume(self, request: schema.Resume, client: Client, session: Session) -> Message:
        if not self.table.is_private(session):
            raise RequestRefused("not_allowed", "expected a private session: others may be watching this one.")
        snapshot.into_session(request.state.tobytes(), session, self.table.avatar_of(session))
        return schema.Done(request.request_id)

    def _shutdown(self, request: schema.Shutdown, client: Client, session: Session) -> Message:
        if not self._options.allow_shutdown:
            raise RequestRefused("not_allowed", "expected a server started with --allow-shutdown, this one was not.")
        self.shutdown_asked = True
        say(_log, logging.WARNING, "shutdown_asked", "%s ends the server", _shown(client.name))
        return schema.Done(request.request_id)


def _line(text: str) -> str:
    """A text as messages may hold it."""
    return "".join(c if c.isprintable() else "?" for c in text)[:1000]


def _shown(name: str) -> str:
    return name or "a client without a name"
