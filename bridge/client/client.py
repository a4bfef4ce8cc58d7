"""The Python client of a served avatar: connects, receives frames and sound, asks, and comes back by itself.

    with AvatarClient("tcp://127.0.0.1:5555") as client:
        for received in client.messages():
            if isinstance(received.message, FrameQ16):
                picture = client.render(client.avatar.frame(received.message))

The model for clients in other languages; docs/clients.md says what each must do, docs/protocol.md every byte.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from types import TracebackType

import zmq

from gstalker.bridge import schema
from gstalker.bridge.client.clock_estimator import ClockEstimator
from gstalker.bridge.client.commands import AnswerType, Commands
from gstalker.bridge.client.greeting import Greeting, Wanted
from gstalker.bridge.client.link import Arrived, Link
from gstalker.bridge.client.pushed_speech import PushedSpeech
from gstalker.bridge.client.served_avatar import ServedAvatar
from gstalker.bridge.client.warm_up import warm_up
from gstalker.bridge.codec import decode, topic_field
from gstalker.bridge.errors import Refused, ServerLost, WireError
from gstalker.bridge.keys import ClientKeys
from gstalker.bridge.schema import Answer, Message, Refusal, Request
from gstalker.bridge.transport import DEFAULT_ADDRESS, Address, parse_address
from gstalker.kernels.frame import Frame
from gstalker.kernels.rendered_image import RenderedImage
from gstalker.runtime.errors import InputError

SILENCE_S = 2.0  # frames come every 40 ms, also between utterances: after this the server is taken for dead
LOST_S = 10.0  # and after this a user interface should say so; the client goes on trying
PING_S = 1.0
FIRST_PINGS_S = 0.1  # between the first pings, until the clock is known well
FIRST_PINGS = 6
LOOKED_AWAY_S = 0.5  # a client that did not look for so long cannot tell whether the server was silent
LONGEST_TURN_S = 0.1  # how long the client waits at most before it looks after its connection again
KEPT_MESSAGES = 256  # that came while the client waited for an answer


class ConnectionState(Enum):
    """How the connection fares, for user interfaces."""

    CONNECTED = "connected"
    RECONNECTING = "reconnecting"
    LOST = "lost"


@dataclass(frozen=True)
class Received:
    """A publication, when it came on the client's own steady clock, and of which epoch it is."""

    message: Message
    received_at_s: float
    epoch: int = 0


class AvatarClient(Commands):
    """A client in one session of a server. Use it from one thread, call `receive` often, and close it.

    Attributes:
        avatar: whom the session shows.
        clock: the session's clock, told from pings.
        epoch: grows when the server or the session became another one: everything from before is void.
        trouble: why it is not connected, for a person.
        overflowed: publications given up because nobody received them while an answer was waited for.
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        avatar: str = "",
        session_id: int = 0,
        private: bool = False,
        client_name: str = "python",
        timeout_s: float = 5.0,
        topics: tuple[type[Message], ...] = (schema.FrameQ16, schema.Audio),
        latest_only: bool = False,
        reconnect: bool = True,
        keys: ClientKeys | None = None,
        steady: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Connect, greet the server and subscribe.

        Args:
            address: where the server takes requests.
            avatar: which of its avatars; empty for the first.
            session_id: join this session; 0 for another.
            private: with session 0, open a session of this client's own instead of joining the avatar's shared one.
            client_name: for the server's log.
            timeout_s: how long to go on trying to reach the server, and to wait for each answer.
            topics: which publications to get, besides the events, which always come.
            latest_only: keep only the newest frame, for display: a slow program skips frames and never lags.
                Sound and events then come through a connection of their own and none is skipped.
            reconnect: come back by itself when the server was restarted or the connection lost.
            keys: needed where the address is not this machine's.
            steady: the client's clock, seconds.

        Raises:
            InputError: no server answers there, or the address is not allowed.
            WireVersionError: it speaks another wire version.
            Refused: it does not want this client.
        """
        super().__init__()
        self.address: Address = parse_address(address)
        self.clock = ClockEstimator()
        self.epoch = 0
        self.trouble = ""
        self.overflowed = 0
        self._groups = _groups(topics, latest_only)
        self._timeout_s, self._reconnect, self._keys, self._steady = timeout_s, reconnect, keys, steady
        self._waiting: deque[Received] = deque()
        self._answers: dict[int, Callable[[Answer], None]] = {}
        self._speeches: list[PushedSpeech] = []
        self._rate_wish = self._rate_asked = 1
        self._next_rate_s = 0.0
        self._welcome: schema.Welcome | None = None
        self._greeting = Greeting(Wanted(avatar, session_id, private, client_name))
        self._heard_at_s = self._turned_at_s = self._steady()
        self._next_ping_s = 0.0
        self._context = zmq.Context()
        self._link: Link | None = None
        warm_up()
        try:
            self._connect()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> AvatarClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Say goodbye and disconnect. Nothing can be received after it."""
        if self._link is not None:
            if self._welcome is not None and self._link.up:
                self._link.send(schema.Leave(self._next_id()))
                self._link.receive(0.02)  # the goodbye leaves while its answer is waited for; a lease ends, too
            self._link.close()
            self._link = None
        self._context.destroy(linger=0)

    @property
    def state(self) -> ConnectionState:
        """How the connection fares."""
        if self._welcome is not None and not self._greeting.under_way:
            return ConnectionState.CONNECTED
        lost = not self._reconnect or self._steady() - self._heard_at_s > LOST_S
        return ConnectionState.LOST if lost else ConnectionState.RECONNECTING

    def receive(self, timeout_s: float) -> Received | None:
        """The next publication; None when none comes in this time.

        Also keeps the connection: pings, measures the clock, sends pushed speech, reconnects. While the connection is
        lost, nothing comes; `state` tells.

        Raises:
            WireError: what came is not a sound message.
            WireVersionError: the server was replaced by one of another wire version.
        """
        if self._link is None:
            raise ServerLost(f"{self._where}: expected an open client, this one was closed.")
        give_up_at_s = self._steady() + max(0.0, timeout_s)
        while not self._waiting:
            left_s = give_up_at_s - self._steady()
            self._turn(max(0.0, left_s))
            if left_s <= 0:
                break
        return self._waiting.popleft() if self._waiting else None

    def messages(self, silence_s: float = SILENCE_S) -> Iterator[Received]:
        """All publications until the server says that the stream is over.

        Args:
            silence_s: how long nothing may come before the server is given up; a program that is to outlive a
                restart of the server uses `receive`.

        Raises:
            ServerLost: nothing came for that long.
            WireError: what came is not a sound message.
        """
        while True:
            received = self.receive(silence_s)
            if received is None:
                raise ServerLost(
                    f"{self.address.control}: expected a frame every {1000 / self.avatar.fps:.0f} ms, got nothing for "
                    f"{silence_s:g} s: the server was stopped or is stuck. Start it again with `gstalker serve`."
                )
            yield received
            if isinstance(received.message, schema.StreamEnd):
                return

    def render(self, frame: Frame) -> RenderedImage:
        """Draw a frame on the CPU before the avatar's backdrop, as its own camera sees it."""
        return self.avatar.render(frame)

    def wish_rate(self, frame_divisor: int) -> None:
        """Have only every n-th frame sent: as `set_rate`, but nothing is waited for, and after a reconnection or a
        refusal it is asked again."""
        self._rate_wish = frame_divisor

    def wait_for_speech(self, speech: PushedSpeech, *, queued_s: float = 0.0) -> None:
        """Look after the connection until no more than so much of an utterance waits on this side.

        With 0, until all of it has been handed over. Publications that come meanwhile are kept for `receive`.

        Raises:
            Refused: the server did not take it.
            ServerLost: nothing of it moved for the timeout.
        """
        moved_at_s, received_s = self._steady(), -1.0
        while not speech.finished and (queued_s == 0.0 or speech.queued_s > queued_s):
            self._turn(LONGEST_TURN_S)
            if speech.received_s != received_s:
                moved_at_s, received_s = self._steady(), speech.received_s
            if self._steady() - moved_at_s > self._timeout_s + self.avatar.welcome.speech_capacity_s:
                raise ServerLost(f"{self.address.control}: expected to take the speech, it stopped taking any.")
        if speech.refusal is not None:
            raise speech.refusal

    def _connect(self) -> None:
        give_up_at_s = self._steady() + self._timeout_s
        while self._welcome is None and self._steady() < give_up_at_s:
            self._turn(give_up_at_s - self._steady())
            if self._greeting.refusal is not None:
                raise self._greeting.refusal
        if self._welcome is None:
            raise InputError(self._no_answer("hello"))

    def _no_answer(self, topic: str) -> str:
        return (
            f"{self.address.control}: expected an avatar server to answer {topic}, none did within "
            f"{self._timeout_s:g} s. Start one with `gstalker serve BUNDLE`, or check the address."
        )

    def _turn(self, longest_s: float) -> None:
        """Look after the connection once, and take what has come."""
        now_s = self._steady()
        if now_s - self._turned_at_s > LOOKED_AWAY_S:
            self._heard_at_s = max(self._heard_at_s, now_s)
        self._turned_at_s = now_s
        self._look_after_link(now_s)
        if self._link is None:
            raise ServerLost(f"{self._where}: expected an open client, this one was closed.")
        self._send_due(now_s)
        for arrived in self._link.receive(min(longest_s, LONGEST_TURN_S)):
            self._take(arrived)

    def _look_after_link(self, now_s: float) -> None:
        silent = now_s - self._heard_at_s > SILENCE_S and self._welcome is not None
        broken = self._link is not None and (self._link.dropped or silent) and not self._greeting.under_way
        if broken:
            self.trouble = "the connection was lost" if self._link and self._link.dropped else "the server is silent"
        if broken and self._reconnect:
            self._void_answers()
            self._greeting.begin(now_s)
        first = self._link is None and self._welcome is None
        if first:
            self._greeting.begin(now_s)
        up = self._link is not None and self._link.up
        if self._greeting.due(now_s, up=up, patience_s=self._timeout_s):
            if self._link is not None:
                self._link.close()
            self._answers.clear()
            self._link = Link(self._context, self.address, self._keys, self._steady)
            self._hello()

    def _hello(self) -> None:
        assert self._link is not None  # the caller made it
        hello = self._greeting.hello(self._next_id(), self._welcome)
        self._answers[hello.request_id] = self._welcomed
        self._link.send(hello)

    def _welcomed(self, answer: Answer) -> None:
        now_s = self._steady()
        if isinstance(answer, Refusal):
            where = f"{self.address.control}: refused hello: {answer.reason}"
            self.trouble = answer.reason
            if self._greeting.refused(answer, Refused(answer.code, where, answer.retry_after_s), now_s):
                self._hello()
            return
        if not isinstance(answer, schema.Welcome):
            raise WireError(f"message: expected welcome, got {answer.TOPIC}.")
        if self._greeting.in_a_stranger_s_session(answer, self._welcome):
            self._welcome = None
            self._hello()
            return
        assert self._link is not None  # its answer came through it
        old, self._welcome = self._welcome, answer
        if old is None or (old.server_id, old.session_id) != (answer.server_id, answer.session_id):
            self.epoch += old is not None
            self.clock.reset()
            self._waiting.clear()
            for speech in self._speeches:
                speech.abandon()
            self._speeches.clear()
        self.avatar = ServedAvatar.from_welcome(answer)
        self._greeting.end()
        self._rate_asked = 1  # what a server takes those for who have just greeted
        self.trouble = ""
        self._next_ping_s = now_s
        groups = [(tuple(topic_field(t, answer.session_id) for t in kinds), latest) for kinds, latest in self._groups]
        self._link.subscribe(answer.publication_port, groups)

    def _send_due(self, now_s: float) -> None:
        """Pings, a wish for another rate, and pieces of speech."""
        if self._link is None or self._greeting.under_way:
            return
        if now_s >= self._next_ping_s:
            first = self.clock.readings_since_reset < FIRST_PINGS
            self._next_ping_s = now_s + (FIRST_PINGS_S if first else PING_S)
            sent_s = self._steady()
            ping = schema.Ping(self._next_id(), sent_s)
            self._request(ping, lambda answer: self._pong(sent_s, answer))
        if self._rate_wish != self._rate_asked and now_s >= self._next_rate_s:
            self._rate_asked = self._rate_wish
            self._request(schema.SetRate(self._next_id(), self._rate_wish), self._rate_answered)
        self._speeches = [s for s in self._speeches if not s.finished]
        for speech in self._speeches:
            request = speech.next_request(next(self._request_ids), now_s)
            if request is not None:
                self._request(request, lambda a, s=speech, r=request: s.answered(r, a, self._steady(), self._where))
            if speech.speech_id is None:
                break  # utterances are spoken in the order in which they were opened

    @property
    def _where(self) -> str:
        return self.address.control

    def _request(self, request: Request, answered: Callable[[Answer], None]) -> None:
        assert self._link is not None  # callers have one
        while len(self._answers) >= KEPT_MESSAGES:  # of requests whose answers never came
            del self._answers[next(iter(self._answers))]
        self._answers[request.request_id] = answered
        self._link.send(request)

    def _pong(self, sent_s: float, answer: Answer) -> None:
        if isinstance(answer, schema.Pong) and answer.running:
            self.clock.add(sent_s, self._arrived_at_s, answer.stream_time_s)
        elif isinstance(answer, Refusal) and answer.code in ("greet_first", "unknown_session"):
            self._greet_again()

    def _rate_answered(self, answer: Answer) -> None:
        if isinstance(answer, Refusal):
            self._rate_asked, self._next_rate_s = 0, self._steady() + PING_S

    def _greet_again(self) -> None:
        """The server has forgotten this client, which was silent for too long. What is under way is answered first."""
        if not self._greeting.under_way:
            self._greeting.begin(self._steady(), on_this_link=True)
            self._hello()

    def _void_answers(self) -> None:
        """Whoever waits for an answer waits in vain."""
        answers, self._answers = self._answers, {}
        lost = Refusal(0, "failed", "the connection was lost before the answer came.", 0.0)
        for answered in answers.values():
            answered(lost)

    def _take(self, arrived: Arrived) -> None:
        message = decode(arrived.data)
        self._heard_at_s = self._arrived_at_s = arrived.received_at_s
        if isinstance(message, Answer):
            answered = self._answers.pop(message.request_id, None)
            if answered is not None:
                answered(message)
            elif message.request_id == 0 and isinstance(message, Refusal):
                self._refused_unread(message)
            return
        if getattr(message, "session_id", None) != self.avatar.welcome.session_id:
            return
        sent_at_s = getattr(message, "sent_at_s", None)
        if sent_at_s is not None:
            self.clock.add_one_way(arrived.received_at_s, sent_at_s)
        self._waiting.append(Received(message, arrived.received_at_s, self.epoch))
        if len(self._waiting) > KEPT_MESSAGES:
            self._waiting.popleft()
            self.overflowed += 1

    def _refused_unread(self, refusal: Refusal) -> None:
        """The server could not even read a request: it is the one that was asked last."""
        if self._answers:
            self._answers.pop(next(reversed(self._answers)))(refusal)

    def _ask(self, request: Request, expected: type[AnswerType]) -> AnswerType:
        """Send a request and wait for its answer; greets again first where the server has forgotten this client."""
        give_up_at_s = self._steady() + self._timeout_s
        answer = self._exchange(request, give_up_at_s)
        if isinstance(answer, Refusal) and answer.code == "greet_first":
            self._greet_again()
            answer = self._exchange(request, give_up_at_s)
        if answer is None:
            raise ServerLost(self._no_answer(request.TOPIC))
        if isinstance(answer, Refusal):
            text = f"{self._where}: refused {request.TOPIC}: {answer.reason}"
            raise Refused(answer.code, text, answer.retry_after_s)
        if not isinstance(answer, expected):
            raise WireError(f"message: expected {expected.TOPIC}, got {answer.TOPIC}.")
        return answer

    def _exchange(self, request: Request, give_up_at_s: float) -> Answer | None:
        while self._greeting.under_way or self._welcome is None:
            if self._steady() >= give_up_at_s:
                return None
            self._turn(give_up_at_s - self._steady())
        answers: list[Answer] = []
        self._request(request, answers.append)
        while not answers and self._steady() < give_up_at_s:
            self._turn(give_up_at_s - self._steady())
        return answers[0] if answers else None

    def _speak(self, speech: PushedSpeech) -> None:
        self._speeches.append(speech)
        self._send_due(self._steady())


def _groups(topics: tuple[type[Message], ...], latest_only: bool) -> list[tuple[tuple[type[Message], ...], bool]]:
    """Which topics share a subscription, and whether only its newest message is kept."""
    frames = tuple(t for t in topics if t in (schema.FrameQ16, schema.FrameF32)) if latest_only else ()
    if len(frames) > 1:
        names = [t.TOPIC for t in frames]
        raise InputError(f"latest_only: expected one kind of frame, got {names}. Ask for one of them.")
    others = (*(t for t in topics if t not in frames), schema.SpeechEnd, schema.StreamEnd)
    return [*([(frames, True)] if frames else []), (others, False)]


__all__ = ["AvatarClient", "ConnectionState", "Received", "WireError"]
