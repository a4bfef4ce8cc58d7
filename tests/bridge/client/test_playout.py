"""The laws of playing: sound and picture together, no time heard twice, nothing stale, everything counted.

In simulated time, so that hours of faults take seconds; what is heard and seen is told from content alone
(helpers.simulated_playout).
"""

from __future__ import annotations

import numpy as np
import pytest
from helpers.simulated_playout import DEVICE_HZ, FPS, LAGS_S, LEADS_S, PIECE, POSE, RATE_HZ, Faults, World, decode_made
from hypothesis import given, settings
from hypothesis import strategies as st

from gstalker.bridge.client.clock_estimator import ClockEstimator
from gstalker.bridge.client.playout import Playout, PlayoutFormat
from gstalker.bridge.schema import Audio, FrameF32, FrameQ16, StreamEnd


def leads_s(world: World) -> np.ndarray:
    """How far the sound led the picture whenever both were there."""
    return np.array(
        [t.sound_leads_s for t in world.ticks if t.picture and not t.picture.held and t.heard_s == t.heard_s]
    )


def check_laws(world: World) -> None:
    pictures = [t.picture for t in world.ticks if t.picture is not None]
    heard = [p.heard_s for p in pictures]
    assert heard == sorted(heard), "time that was heard came again"
    offsets = leads_s(world)
    assert len(offsets) > 50, "hardly ever both were there: the world is too broken to tell anything"
    assert offsets.max() <= LEADS_S
    assert offsets.min() >= -LAGS_S
    check_nothing_stale(world)
    check_counts(world)


def check_nothing_stale(world: World) -> None:
    """Where the newest version of both frames around a moment had come, nothing older of them was seen."""
    newest: dict[int, int] = {}
    waiting = [(at_s, m) for at_s, m in world.arrived if isinstance(m, FrameQ16)]
    for tick in world.ticks:
        while waiting and waiting[0][0] <= tick.at_s:
            message = waiting.pop(0)[1]
            newest[message.index] = max(newest.get(message.index, 0), int(message.movers[0, 0]))
        if tick.picture is None:
            continue
        around = {int(np.floor(tick.seen_s * FPS + 1e-4)), int(np.ceil(tick.seen_s * FPS - 1e-4))}
        if around <= newest.keys():
            assert tick.seen_version >= min(newest[i] for i in around) - 1e-3


def check_counts(world: World) -> None:
    frames, sounds = world.playout.frames, world.playout.sounds
    arrived = [m for _, m in world.arrived]
    assert frames.received == sum(isinstance(m, FrameQ16) for m in arrived)
    assert frames.received == (
        frames.shown
        + frames.passed_over
        + frames.late
        + frames.superseded
        + frames.repeated
        + world.playout.waiting_frames
    )
    assert sounds.samples_received == sum(m.sample_count for m in arrived if isinstance(m, Audio))
    ended = sounds.samples_taken + sounds.samples_late + sounds.samples_void
    assert ended >= sounds.samples_received  # samples that were taken may be voided by a cut later
    pictures = world.playout.pictures
    assert pictures.pictures == sum(t.picture is not None for t in world.ticks)
    assert pictures.held == sum(t.picture is not None and t.picture.held for t in world.ticks)


times = st.floats(0.5, 5.0)
spans = st.tuples(times, st.floats(0.05, 0.8))
short_spans = st.tuples(times, st.floats(0.05, 0.45))


@settings(deadline=None, max_examples=25)
@given(
    faults=st.builds(
        Faults,
        client_ppm=st.floats(-500, 500),
        device_ppm=st.floats(-500, 500),
        delay_s=st.sampled_from([0.0005, 0.02, 0.15]),
        jitter_s=st.sampled_from([0.0, 0.001, 0.02]),
        loss=st.sampled_from([0.0, 0.02, 0.15]),
        stalls=st.lists(spans, max_size=1).map(tuple),
        freezes=st.lists(spans, max_size=1).map(tuple),
        stops=st.lists(spans, max_size=1).map(tuple),
        halts=st.lists(short_spans, max_size=1).map(tuple),
        cuts=st.lists(times, max_size=2).map(tuple),
        heard_jitter_s=st.sampled_from([0.0, 0.002]),
    ),
    display_hz=st.sampled_from([60.0, 72.0, 90.0, 120.0]),
    seed=st.integers(0, 1000),
)
def test_whatever_goes_wrong_sound_and_picture_stay_together_and_everything_is_counted(faults, display_hz, seed):
    check_laws(World(faults, seed, display_hz).run(6.0))


@pytest.mark.parametrize("ppm", [-500, 500])
def test_a_minute_of_drift_is_followed_by_resampling_alone(ppm: float):
    world = World(Faults(client_ppm=ppm, device_ppm=ppm), display_hz=20).run(60.0)
    check_laws(world)
    offsets = leads_s(world)
    assert np.percentile(np.abs(offsets), 95) < 0.002  # measured 0.4 ms
    sounds = world.playout.sounds
    assert (sounds.skips, sounds.waits, sounds.underruns) == (0, 0, 0)
    assert world.playout.device_drift == pytest.approx(-ppm * 1e-6, abs=40e-6)
    # In step with the session, too: what is heard is what its clock shows.
    last = [(t.picture.heard_s, t.at_s) for t in world.ticks if t.picture][-1]
    assert abs(last[0] - last[1]) < 0.005


def test_on_a_quiet_network_every_picture_is_at_the_moment_that_is_heard():
    world = World(Faults(), display_hz=120).run(5.0)
    check_laws(world)
    assert np.abs(leads_s(world)).max() < 0.002
    assert world.playout.frames.late == world.playout.frames.lost == world.playout.frames.passed_over == 0
    assert world.playout.pictures.held == 0
    assert world.playout.delay_s == 0.0


def test_lost_sound_is_silence_that_is_counted_to_the_sample():
    world = World(Faults(loss=0.1, jitter_s=0.0), seed=5).run(5.0)
    pieces = {round(m.time_s * FPS) for _, m in world.arrived if isinstance(m, Audio)}
    begun, over = min(pieces), int([t.picture.heard_s for t in world.ticks if t.picture][-1] * FPS)
    missing = set(range(begun, over)) - pieces
    assert missing
    assert world.playout.sounds.samples_concealed == pytest.approx(len(missing) * PIECE, abs=PIECE + 500)
    assert world.playout.sounds.pieces_lost >= len(missing) - 1
    runs = sum(n - 1 not in missing for n in missing)
    assert world.playout.sounds.underruns == pytest.approx(runs, abs=1)


def test_a_slow_network_is_played_later_and_then_whole():
    world = World(Faults(delay_s=0.3, jitter_s=0.005)).run(10.0)
    check_laws(world)
    assert 0.1 < world.playout.delay_s < 0.2  # 0.3 on the road and 0.03 in the device, less the lead of 0.2
    late = [t for t in world.ticks if t.at_s > 3 and (t.picture is None or t.picture.held)]
    assert len(late) < 0.02 * len(world.ticks)


def test_without_a_sound_device_the_session_s_clock_gives_the_time():
    world = World(Faults(device=False, client_ppm=300)).run(5.0)
    for tick in world.ticks:
        if tick.picture is not None and tick.at_s > 0.5:
            assert abs(tick.seen_s - tick.at_s) < 0.003


def test_a_device_that_stops_leaves_the_picture_running_and_is_joined_when_it_comes_back():
    world = World(Faults(freezes=((2.0, 1.5),))).run(6.0)
    check_laws(world)
    after = [t for t in world.ticks if t.at_s > 4.0 and t.picture]
    assert abs(after[-1].seen_s - (after[-1].at_s - world.playout.delay_s)) < 0.15


def test_missing_frames_are_bridged_for_a_while_and_then_held():
    clock = ClockEstimator()
    playout = Playout(PlayoutFormat(FPS, RATE_HZ, 0.2), clock, decode_made)
    clock.add(0.0, 0.0, 0.0)
    movers = np.zeros((1, 16), np.uint8)
    for sequence, index in enumerate((0, 1, 4, 5, 15, 16)):
        playout.take(FrameQ16(1, sequence, index, index / FPS, 0.0, POSE, POSE, 1, movers), 0.0)
    seen = {t: playout.picture(t).time_s for t in (0.02, 0.1, 0.3, 0.5, 0.57, 0.58, 0.59, 0.61)}  # type: ignore[union-attr]
    assert seen[0.02] == 0.02
    assert seen[0.1] == 0.1  # between 1 and 4
    assert seen[0.3] == seen[0.5] == 0.2  # 5 to 15 is too far to guess
    assert 0.2 < seen[0.57] < seen[0.58] < seen[0.59] < 0.6 < seen[0.61]
    assert (playout.pictures.mixed, playout.pictures.bridged, playout.pictures.held) == (6, 4, 5)
    held = playout.picture(0.7)
    assert held is not None
    assert held.held
    assert held.time_s == 16 / FPS
    assert held.sound_leads_s == pytest.approx(0.7 - 16 / FPS)


def test_what_was_sent_again_replaces_what_was_sent_ahead_and_all_that_followed_it():
    clock = ClockEstimator()
    clock.add(0.0, 0.0, 0.0)
    playout = Playout(PlayoutFormat(FPS, RATE_HZ, 0.2), clock, decode_made)

    def frame(sequence: int, index: int, version: int) -> FrameQ16:
        movers = np.full((1, 16), version, np.uint8)
        return FrameQ16(1, sequence, index, index / FPS, 0.0, POSE, POSE, 1, movers)

    for index in range(5):
        playout.take(frame(index, index, 0), 0.0)
    playout.take(frame(5, 2, 1), 0.0)  # 3 and 4 are void, although their replacements have not come
    assert playout.frames.superseded == 3
    assert playout.waiting_frames == 3
    playout.take(frame(7, 4, 1), 0.0)
    playout.take(frame(6, 3, 1), 0.0)  # overtaken on the way
    playout.take(frame(6, 3, 1), 0.0)
    playout.take(frame(4, 4, 0), 0.0)
    assert (playout.frames.superseded, playout.frames.repeated, playout.frames.lost) == (4, 1, 0)
    shown = playout.picture(3.5 / FPS)
    assert shown is not None
    assert shown.frame.means[0, 1] == 1.0


def test_another_session_begins_with_nothing_of_the_old_one():
    world = World(Faults()).run(3.0)
    playout = world.playout
    playout.reset()
    world.clock.reset()
    assert playout.picture(world.local_s(3.0)) is None
    assert not playout.sound(480, world.local_s(3.1), world.local_s(3.08)).any()
    world.clock.add(world.local_s(3.1), world.local_s(3.1), 0.0)
    movers = np.zeros((1, 16), np.uint8)
    playout.take(FrameQ16(1, 0, 0, 0.0, -0.2, POSE, POSE, 1, movers), world.local_s(3.1))
    picture = playout.picture(world.local_s(3.11))
    assert picture is not None
    assert picture.time_s == 0.0
    check_counts_after_reset = playout.frames
    assert (
        check_counts_after_reset.received == check_counts_after_reset.shown + check_counts_after_reset.passed_over + 1
    )


def test_a_session_clock_that_went_back_by_itself_is_followed():
    world = World(Faults(cuts=())).run(5.0)
    world.clock.add(world.local_s(5.0), world.local_s(5.0), 0.0)
    assert world.clock.jumps == 1
    world.playout.take(StreamEnd(1, 0, 0, 0.0), world.local_s(5.0))
    world.playout.sound(480, world.local_s(5.02), world.local_s(5.0))
    assert world.playout.sounds.restarts == 1
    heard_s = world.playout.heard_s(world.local_s(5.02))
    assert heard_s == pytest.approx(0.02, abs=0.05)
    assert world.playout.picture(world.local_s(5.02)) is None


def test_no_jump_clicks():
    """A skip in the middle of a tone: no step between samples above that of the tone itself and of the fades."""
    clock = ClockEstimator()
    clock.add(0.0, 0.0, 0.0)
    playout = Playout(PlayoutFormat(FPS, RATE_HZ, 0.2), clock, decode_made)
    for n in range(50):
        numbers = np.arange(n * PIECE, (n + 1) * PIECE)
        pcm = np.round(16_000 * np.sin(2 * np.pi * 300 / RATE_HZ * numbers)).astype(np.int16)
        playout.take(Audio(1, n, 0, n / FPS, 0.0, PIECE, pcm), 0.0)
    heard = [playout.sound(480, n * 0.01, n * 0.01) for n in range(50)]
    heard += [playout.sound(480, n * 0.01 + 0.3, n * 0.01 + 0.3) for n in range(50, 100)]  # the device stood for 0.3 s
    assert playout.sounds.skips == 1
    steps = np.abs(np.diff(np.concatenate(heard)))
    tone_step = 16_000 / 32_768 * 2 * np.pi * 300 / DEVICE_HZ
    assert steps[480:].max() < 1.3 * tone_step + 0.5 / 240


def test_of_two_kinds_of_frames_only_the_first_is_played():
    clock = ClockEstimator()
    clock.add(0.0, 0.0, 0.0)
    playout = Playout(PlayoutFormat(FPS, RATE_HZ, 0.2), clock, decode_made)
    q16 = FrameQ16(1, 0, 0, 0.0, 0.0, POSE, POSE, 1, np.zeros((1, 16), np.uint8))
    arrays = (np.zeros((1, 3), np.float32), np.zeros((1, 4), np.float32), np.ones((1, 3), np.float32))
    playout.take(q16, 0.0)
    playout.take(FrameF32(1, 7, 0, 0.0, 0.0, POSE, POSE, 1, *arrays, np.ones(1, np.float32)), 0.0)
    assert playout.frames.received == 1
    assert playout.frames.lost == 0
