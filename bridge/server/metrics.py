"""What a server shows of itself while it runs: figures for Prometheus, and whether it is alive and ready.

The serving thread hands over plain numbers and goes on; whoever asks reads what was handed over last:

    pulse, metrics = Pulse(), ServerMetrics(pulse, door)
    pulse.beat("frame of session 3")        before whatever may take long, and every round
    pulse.beat()
    metrics.take(sessions, clients=..., refused=..., load=...)      about twice a second
    metrics.session_ended(session)          so that its last figures are not lost
    pulse.ending()

`bridge.server.http` answers from another thread, so a stuck field shows as stuck instead of silencing its watcher.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from prometheus_client import CollectorRegistry, Metric, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from gstalker.bridge import schema
from gstalker.bridge.server.authentication import Door
from gstalker.bridge.server.timing_statistics import Recent, ServeStatistics

STUCK_S = 0.6  # a round is at most 0.2 s of waiting and a frame of each session
DEAD_S = 30.0  # then nothing but a new start helps
TAKE_EVERY_S = 0.5
LATENESS_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.125, 0.2, 0.5, 1.0)
COMPUTE_BUCKETS_S = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.5)
_COUNTED = ("frames_sent", "frames_late", "frames_dropped", "frames_refused", "frames_superseded", "audio_chunks_sent")
_HELP = {
    "frames_sent": "Time steps sent.",
    "frames_late": "Time steps sent after their presentation time.",
    "frames_dropped": "Time steps never sent, because they would have been late.",
    "frames_refused": "Time steps never sent, because a value lay outside the bundle's box.",
    "frames_superseded": "Time steps sent again after a stop.",
    "audio_chunks_sent": "Pieces of sound sent.",
}


class ServedAvatar(Protocol):
    """What is told of an avatar."""

    @property
    def name(self) -> str: ...

    @property
    def backend(self) -> str: ...


class WatchedSession(Protocol):
    """What is read of a session."""

    @property
    def session_id(self) -> int: ...

    @property
    def statistics(self) -> ServeStatistics: ...


class Pulse:
    """A sign of life of the serving thread, written there and read anywhere."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # One object, replaced whole: a reader never sees a moment and a deed that do not belong together.
        self._state = ("starting", clock(), "")

    def beat(self, doing: str = "") -> None:
        """The thread has come round, and what it is about to do."""
        self._state = ("running", self._clock(), doing)

    def ending(self) -> None:
        """Nothing more will be served, on purpose."""
        self._state = ("ending", self._clock(), "")

    @property
    def age_s(self) -> float:
        return self._clock() - self._state[1]

    def not_ready(self) -> str:
        """Why nobody should be sent here now; empty where all is well."""
        phase, at_s, doing = self._state
        age_s = self._clock() - at_s
        if phase != "running":
            return f"the server is {phase}"
        if age_s > STUCK_S:
            where = f" in the {doing}" if doing else ""
            return f"the serving thread has not come round for {age_s:.1f} s{where}"
        return ""

    def not_alive(self) -> str:
        """Why the process should be started again; empty where it need not."""
        phase, at_s, doing = self._state
        if phase == "running" and self._clock() - at_s > DEAD_S:
            return f"the serving thread has not come round for over {DEAD_S:g} s{' in the ' if doing else ''}{doing}"
        return ""


class Buckets:
    """How many values of a series fell below each bound, since the beginning."""

    def __init__(self, bounds_s: tuple[float, ...]) -> None:
        self.bounds_s = bounds_s
        self.counts = [0] * (len(bounds_s) + 1)
        self.sum_s = 0.0

    def add(self, recent: Recent, seen: int) -> int:
        """Count what a series got after its first `seen` values; returns how many it has now."""
        size = len(recent.values)
        for index in range(max(seen, recent.count - size), recent.count):
            value = max(0.0, float(recent.values[index % size]))
            self.counts[bisect_left(self.bounds_s, value)] += 1
            self.sum_s += value
        return recent.count

    def cumulative(self) -> list[tuple[str, float]]:
        """As Prometheus has it: bound, and how many values do not exceed it."""
        total, rows = 0, []
        for bound, count in zip((*map(str, self.bounds_s), "+Inf"), self.counts, strict=True):
            total += count
            rows.append((bound, float(total)))
        return rows


@dataclass
class _AvatarFigures:
    backend: str = ""
    sessions: int = 0
    totals: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_COUNTED, 0))
    lateness: Buckets = field(default_factory=lambda: Buckets(LATENESS_BUCKETS_S))
    compute: Buckets = field(default_factory=lambda: Buckets(COMPUTE_BUCKETS_S))


@dataclass
class _Seen:
    """How far a session's own figures have been taken."""

    avatar: str
    statistics: ServeStatistics
    totals: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_COUNTED, 0))
    lateness: int = 0
    compute: int = 0


class ServerMetrics(Collector):
    """The figures of one server. Sessions are summed by avatar: clients cannot make new series.

    `take` and `session_ended` are the serving thread's, `render` anybody's.
    """

    def __init__(self, pulse: Pulse, door: Door | None = None) -> None:
        self._pulse, self._door = pulse, door
        self._lock = threading.Lock()
        self._avatars: dict[str, _AvatarFigures] = {}
        self._seen: dict[int, _Seen] = {}
        self._refused: dict[str, int] = dict.fromkeys(schema.REFUSAL_CODES, 0)
        self._clients, self._load = 0, 0.0
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)  # memory, open files and processor time, where there is /proc

    def take(
        self,
        sessions: Iterable[tuple[ServedAvatar, WatchedSession]],
        *,
        clients: int,
        refused: Mapping[str, int],
        load: float,
    ) -> None:
        """Take in the figures as they stand.

        Args:
            sessions: all there are, each with its avatar.
            clients: how many.
            refused: requests refused so far, by code of schema.REFUSAL_CODES.
            load: share of the time spent computing, of late.
        """
        with self._lock:
            for figures in self._avatars.values():
                figures.sessions = 0
            for avatar, session in sessions:
                figures = self._avatars.setdefault(avatar.name, _AvatarFigures())
                figures.backend = avatar.backend
                figures.sessions += 1
                seen = self._seen.get(session.session_id)
                if seen is None or seen.statistics is not session.statistics:  # a number may be used again
                    seen = self._seen[session.session_id] = _Seen(avatar.name, session.statistics)
                self._add(figures, seen)
            self._clients, self._load = clients, load
            for code in self._refused:
                self._refused[code] = refused.get(code, 0)

    def session_ended(self, session: WatchedSession) -> None:
        """Take in what a session that is no more counted since the last `take`."""
        with self._lock:
            seen = self._seen.pop(session.session_id, None)
            if seen is not None and seen.statistics is session.statistics:
                self._add(self._avatars[seen.avatar], seen)

    def render(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        with self._lock:
            yield from self._of_avatars()
            yield _gauge("clients", "Clients that have greeted.", self._clients)
            yield _gauge("load_ratio", "Share of the time that frames are being computed.", self._load)
            refused = CounterMetricFamily("gstalker_requests_refused", "Requests refused, by code.", labels=["code"])
            for code, count in self._refused.items():
                refused.add_metric([code], count)
        yield refused
        yield _gauge("ready", "1 where the serving thread comes round in time.", int(not self._pulse.not_ready()))
        yield _gauge("serving_thread_age_seconds", "Since the serving thread came round.", self._pulse.age_s)
        if self._door is not None:
            yield from _of_door(self._door)

    def _of_avatars(self) -> Iterator[Metric]:
        avatars = self._avatars.items()
        for name in _COUNTED:
            counter = CounterMetricFamily(f"gstalker_{name}", _HELP[name], labels=["avatar"])
            for avatar, figures in avatars:
                counter.add_metric([avatar], figures.totals[name])
            yield counter
        lateness = HistogramMetricFamily(
            "gstalker_frame_lateness_seconds", "How long after it was due a frame left.", labels=["avatar"]
        )
        compute = HistogramMetricFamily("gstalker_frame_compute_seconds", "What a frame took.", labels=["avatar"])
        sessions = GaugeMetricFamily("gstalker_sessions", "Sessions that run.", labels=["avatar"])
        backend = GaugeMetricFamily("gstalker_backend_info", "What computes frames.", labels=["avatar", "backend"])
        for avatar, figures in avatars:
            lateness.add_metric([avatar], figures.lateness.cumulative(), figures.lateness.sum_s)
            compute.add_metric([avatar], figures.compute.cumulative(), figures.compute.sum_s)
            sessions.add_metric([avatar], figures.sessions)
            backend.add_metric([avatar, figures.backend], 1)
        yield from (lateness, compute, sessions, backend)

    @staticmethod
    def _add(figures: _AvatarFigures, seen: _Seen) -> None:
        statistics = seen.statistics
        for name in _COUNTED:
            now = int(getattr(statistics, name))
            figures.totals[name] += now - seen.totals[name]
            seen.totals[name] = now
        seen.lateness = figures.lateness.add(statistics.lateness_s, seen.lateness)
        seen.compute = figures.compute.add(statistics.compute_s, seen.compute)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"gstalker_{name}", text, value=value)


def _of_door(door: Door) -> Iterator[Metric]:
    counts = door.counts()
    yield _gauge("connections", "Connections to both ports, greeted or not.", counts.connections)
    yield CounterMetricFamily("gstalker_connections_accepted", "Connections that came.", value=counts.accepted)
    refused = CounterMetricFamily(
        "gstalker_connections_refused", "Connections not taken or closed, by reason.", labels=["reason"]
    )
    for reason, count in counts.refused.items():
        refused.add_metric([reason], count)
    yield refused
