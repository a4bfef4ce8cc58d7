"""All sessions of a server: one shared by all clients of each avatar, and private ones that come and go."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from gstalker.bridge import schema
from gstalker.bridge.errors import RequestRefused
from gstalker.bridge.schema import Message
from gstalker.bridge.server import admission
from gstalker.bridge.server.admission import BusyTime
from gstalker.bridge.server.controls import FaceControls
from gstalker.bridge.server.delivery import Subscriptions
from gstalker.bridge.server.loaded_avatar import LoadedAvatar
from gstalker.bridge.server.options import ServeOptions
from gstalker.bridge.server.session import Publish, Session
from gstalker.bridge.server.speech import SpeechTimeline
from gstalker.runtime.errors import InputError


class SessionTable:
    """Opens, finds and ends sessions; a new one is let in only while the old ones stay on time."""

    def __init__(
        self,
        avatars: Sequence[LoadedAvatar],
        recording: np.ndarray | None,
        options: ServeOptions,
        publish: Publish,
        subscriptions: Subscriptions,
        steady: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Open the shared sessions, numbered from 1 in the order of the avatars.

        Raises:
            InputError: the emotion that is to be heard in the speech is not one of every avatar's.
        """
        self.avatars, self._recording, self._options = list(avatars), recording, options
        self._publish, self._subscriptions, self._steady = publish, subscriptions, steady
        self.busy = BusyTime(steady)
        self._sessions: dict[int, Session] = {}
        self._avatar_of: dict[int, LoadedAvatar] = {}
        self._empty_since_s: dict[int, float] = {}  # of private sessions that nobody is in
        self._clients_in: dict[int, int] = {}
        self._next_id = 1
        for avatar in self.avatars:
            self._open(avatar)

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[Session]:
        return iter(self._sessions.values())

    @property
    def shared(self) -> list[Session]:
        return [self._sessions[number] for number in range(1, len(self.avatars) + 1)]

    def is_private(self, session: Session) -> bool:
        return session.session_id > len(self.avatars)

    def avatar_of(self, session: Session) -> LoadedAvatar:
        return self._avatar_of[session.session_id]

    def clients_in(self, session: Session) -> int:
        return self._clients_in.get(session.session_id, 0)

    def get(self, session_id: int) -> Session:
        """Raises RequestRefused (unknown_session) where there is none of this number."""
        session = self._sessions.get(session_id)
        if session is None:
            raise RequestRefused(
                "unknown_session",
                f"expected a session that exists, got {session_id}. Send hello with session 0 for a new one.",
            )
        return session

    def avatar_named(self, name: str) -> LoadedAvatar:
        """The avatar of a name, the first for an empty one. Raises RequestRefused (unknown_avatar)."""
        for avatar in self.avatars:
            if name in ("", avatar.name):
                return avatar
        known = ", ".join(a.name for a in self.avatars)
        raise RequestRefused("unknown_avatar", f"expected one of the avatars {known}, got {name!r}.")

    def shared_of(self, avatar: LoadedAvatar) -> Session:
        return self._sessions[1 + self.avatars.index(avatar)]

    def open_private(self, avatar: LoadedAvatar) -> Session:
        """A session of its own for one client.

        Raises:
            RequestRefused: busy, or as many as the server takes.
        """
        private, most = len(self._sessions) - len(self.avatars), self._options.limits.private_session_count
        if private >= most:
            raise RequestRefused(
                "busy",
                f"expected at most {most} private sessions, this would be one more. Leave another first, or join one.",
                self._options.limits.client_lease_s,
            )
        self._check_load(avatar)
        return self._open(avatar)

    def admit(self, session: Session) -> None:
        """Let a client into a session that exists: free where it runs already.

        Raises:
            RequestRefused: busy; the session idled unseen and would now cost time.
        """
        if not self._runs(session):
            self._check_load(self.avatar_of(session))

    def count_clients(self, clients: dict[int, int], frame_divisors: dict[int, int]) -> None:
        """Take in who is where: how many clients each session has, and the fastest of their wishes."""
        now_s = self._steady()
        self._clients_in = clients
        for session in self:
            session.frame_divisor = frame_divisors.get(session.session_id, 1)
            if clients.get(session.session_id):
                self._empty_since_s.pop(session.session_id, None)
            elif self.is_private(session):
                self._empty_since_s.setdefault(session.session_id, now_s)

    def end_empty(self, session_id: int | None = None) -> list[Session]:
        """End private sessions that nobody has been in for a while; a given one at once, where it is empty."""
        now_s, patience_s = self._steady(), self._options.limits.empty_session_s
        over = [n for n, since_s in self._empty_since_s.items() if n == session_id or now_s - since_s > patience_s]
        return [self._end(number) for number in over]

    def end_all(self) -> None:
        """Say in every session that nothing follows."""
        for session in self:
            session.end()

    def loads(self) -> list[float]:
        """What each session asks for as things stand, as a share of the time; 0 where nobody sees it."""
        return [self._load_of(s) if self._runs(s) else 0.0 for s in self]

    def limit(self) -> int:
        """How many sessions of the first avatar's cost could run as things stand."""
        first, limits = self.avatars[0], self._options.limits
        wanted = admission.seconds_a_second(first.cost, first.fps, 1)
        most = limits.private_session_count + len(self.avatars)
        return admission.session_limit(wanted, self.loads(), limits.load_share, most)

    def _check_load(self, avatar: LoadedAvatar) -> None:
        wanted = admission.seconds_a_second(avatar.cost, avatar.fps, 1)
        admission.check(wanted, self.loads(), self.busy.load(), self._options.limits.load_share)

    def _load_of(self, session: Session) -> float:
        avatar = self.avatar_of(session)
        return admission.seconds_a_second(avatar.cost, avatar.fps, session.frame_divisor)

    def _runs(self, session: Session) -> bool:
        return self.clients_in(session) > 0 or self._subscriptions.any_of(session.session_id)

    def _open(self, avatar: LoadedAvatar) -> Session:
        session_id = self._free_id()
        options = self._options.session
        manifest, idle = avatar.bundle.manifest, avatar.bundle.idle
        face = FaceControls(manifest, idle, options.seed, torso_from_head=avatar.torso_from_head)
        wish = options.emotion_from_speech
        if wish and wish not in face.emotion_names:
            known = ", ".join(face.emotion_names) or "none at all"
            raise InputError(f"--emotion-from-speech: expected an emotion of {avatar.name} ({known}), got {wish!r}.")
        if not options.idle:
            face.set_idle(0, enabled=False, seed=options.seed)

        def wanted(kind: type[Message]) -> bool:
            return self._subscriptions.wanted(kind, session_id)

        session = Session(
            *(session_id, avatar, SpeechTimeline(manifest.audio, self._options.limits.speech_capacity_s), face),
            *(options, self._publish, wanted),
            recording=self._recording,
            steady=self._steady,
        )
        self._sessions[session_id], self._avatar_of[session_id] = session, avatar
        self._subscriptions.add_session(session_id)
        return session

    def _free_id(self) -> int:
        """Numbers are used again as late as possible: a client that was gone must not meet a stranger's session."""
        while self._next_id in self._sessions or self._next_id > schema.MAX_SESSION_ID:
            self._next_id = 1 if self._next_id > schema.MAX_SESSION_ID else self._next_id + 1
        self._next_id += 1
        return self._next_id - 1

    def _end(self, session_id: int) -> Session:
        session = self._sessions.pop(session_id)
        session.end()
        self._avatar_of.pop(session_id)
        self._empty_since_s.pop(session_id, None)
        self._subscriptions.remove_session(session_id)
        return session
