"""Figures for Prometheus: counted once, by avatar, and lost by nobody's leaving; and when a server is not ready."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gstalker.bridge import schema
from gstalker.bridge.server.metrics import DEAD_S, STUCK_S, Buckets, Pulse, ServerMetrics
from gstalker.bridge.server.timing_statistics import Recent, ServeStatistics


class TurnedClock:
    def __init__(self) -> None:
        self.now_s = 50.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Avatar:
    name: str = "made"
    backend: str = "fused"


@dataclass
class Session:
    session_id: int
    statistics: ServeStatistics = field(default_factory=ServeStatistics)

    def send(self, *lateness_s: float) -> None:
        for value in lateness_s:
            self.statistics.frame_sent(0.0, value, 0.2, 0.003, again=False)


def values(metrics: ServerMetrics) -> dict[str, float]:
    """Every sample by its name and labels."""
    found = {}
    for family in text_string_to_metric_families(metrics.render().decode()):
        for sample in family.samples:
            found["".join((sample.name, *(f",{k}={v}" for k, v in sorted(sample.labels.items()))))] = sample.value
    return found


def take(metrics: ServerMetrics, *sessions: Session, refused: dict[str, int] | None = None) -> None:
    metrics.take([(Avatar(), s) for s in sessions], clients=len(sessions), refused=refused or {}, load=0.25)


def test_frames_are_summed_over_the_sessions_of_an_avatar_and_stay_when_one_ends():
    metrics, one, two = ServerMetrics(Pulse()), Session(1), Session(2)
    one.send(0.001, 0.003)
    take(metrics, one, two)
    one.send(0.3)
    two.send(0.05)
    two.statistics.frames_dropped += 2
    take(metrics, one, two)
    two.send(0.05)
    metrics.session_ended(two)  # its last frame was not taken yet
    take(metrics, one)
    found = values(metrics)
    assert found["gstalker_frames_sent_total,avatar=made"] == 5
    assert found["gstalker_frames_late_total,avatar=made"] == 1
    assert found["gstalker_frames_dropped_total,avatar=made"] == 2
    assert found["gstalker_sessions,avatar=made"] == 1
    assert found["gstalker_backend_info,avatar=made,backend=fused"] == 1
    assert found["gstalker_load_ratio"] == 0.25


def test_a_session_number_that_is_used_again_counts_from_nothing():
    metrics, old, new = ServerMetrics(Pulse()), Session(2), Session(2)
    old.send(0.0, 0.0, 0.0)
    take(metrics, old)
    new.send(0.0)
    take(metrics, new)
    assert values(metrics)["gstalker_frames_sent_total,avatar=made"] == 4


def test_lateness_is_a_histogram_of_every_frame_once():
    metrics, session = ServerMetrics(Pulse()), Session(1)
    session.send(0.0005, 0.015)
    take(metrics, session)
    session.send(0.015, 5.0)
    take(metrics, session)
    take(metrics, session)
    found, name = values(metrics), "gstalker_frame_lateness_seconds"
    counts = [found[f"{name}_bucket,avatar=made,le={bound}"] for bound in ("0.001", "0.01", "0.02", "1.0", "+Inf")]
    assert counts == [1, 1, 3, 3, 4]
    assert found[f"{name}_count,avatar=made"] == 4
    assert found[f"{name}_sum,avatar=made"] == pytest.approx(5.0305, rel=1e-6)


def test_a_series_longer_than_its_memory_is_counted_as_far_as_it_is_kept():
    recent, buckets = Recent(values=np.zeros(4, np.float32)), Buckets((1.0,))
    for _ in range(10):
        recent.add(0.5)
    assert buckets.add(recent, 0) == 10
    assert buckets.counts == [4, 0]
    assert buckets.add(recent, 10) == 10
    assert buckets.counts == [4, 0]


def test_every_refusal_code_is_a_series_from_the_start():
    metrics = ServerMetrics(Pulse())
    take(metrics, refused={"busy": 3, "made up": 7})
    found = values(metrics)
    codes = {name.partition("code=")[2] for name in found if name.startswith("gstalker_requests_refused_total")}
    assert codes == set(schema.REFUSAL_CODES)
    assert found["gstalker_requests_refused_total,code=busy"] == 3


def test_no_client_can_make_a_series():
    """Sessions come and go by the hundred; what is shown stays as large as it was."""
    metrics = ServerMetrics(Pulse())
    take(metrics, Session(1))
    before = len(values(metrics))
    for number in range(2, 300):
        session = Session(number)
        session.send(0.01)
        take(metrics, Session(1), session)
        metrics.session_ended(session)
    assert len(values(metrics)) == before
    assert len(metrics._seen) == 1


def test_a_server_is_ready_while_its_thread_comes_round():
    clock = TurnedClock()
    pulse = Pulse(clock)
    assert pulse.not_ready() == "the server is starting"
    pulse.beat()
    clock.now_s += 0.9 * STUCK_S
    assert pulse.not_ready() == ""
    pulse.beat("frame of session 3")
    clock.now_s += 1.0  # the promise: not ready within a second
    assert pulse.not_ready() == "the serving thread has not come round for 1.0 s in the frame of session 3"
    assert pulse.not_alive() == ""
    clock.now_s += DEAD_S
    assert pulse.not_alive() == "the serving thread has not come round for over 30 s in the frame of session 3"
    pulse.beat()
    assert (pulse.not_ready(), pulse.not_alive()) == ("", "")
    pulse.ending()
    assert pulse.not_ready() == "the server is ending"
    clock.now_s += 100
    assert pulse.not_alive() == ""
