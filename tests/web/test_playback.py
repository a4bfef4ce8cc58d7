"""Clock, frame buffer and delay of the page, on made-up times."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from helpers.browser import Browser, Page

from gstalker.bridge.web.server import WebServer


@pytest.fixture(scope="module")
def page(browser: Browser, files_only: WebServer) -> Iterator[Page]:
    page = browser.page(files_only.url + "licences.html")
    page.evaluate(
        """Promise.all(['frame_buffer', 'session_clock', 'playback', 'sound'].map((n) => import(`/playback/${n}.js`)))
          .then((modules) => { Object.assign(window, ...modules); })"""
    )
    yield page
    page.close()


def run(page: Page, script: str) -> Any:
    return page.evaluate(f"(() => {{ {script} }})()")


FRAME = "const frame = (index, sequence = index) => ({ index, sequence, time_s: index / 25 });"


def test_frames_come_out_by_their_times_whatever_their_order(page: Page):
    shown = run(
        page,
        FRAME
        + """const buffer = new FrameBuffer();
        for (const index of [3, 1, 2, 5, 4]) buffer.add(frame(index), null);
        return [0, 0.05, 0.085, 0.15, 9].map((nowS) => buffer.at(nowS).index);""",
    )
    assert shown == [1, 1, 2, 3, 5]


def test_lost_late_and_superseded_frames_are_counted(page: Page):
    counted = run(
        page,
        FRAME
        + """const buffer = new FrameBuffer();
        buffer.add(frame(10, 0), 0);
        buffer.add(frame(13, 3), 0);
        buffer.add({ ...frame(13, 4), again: true }, 0);
        buffer.add(frame(11, 5), 0.6);
        return [buffer.received, buffer.lost, buffer.late, buffer.superseded, buffer.newest.again];""",
    )
    assert counted == [4, 2, 1, 1, True]


def test_a_page_in_the_background_keeps_two_seconds_of_frames(page: Page):
    waiting = run(
        page,
        FRAME
        + """const buffer = new FrameBuffer();
        for (let index = 0; index < 1000; index++) buffer.add(frame(index), null);
        return buffer.waiting;""",
    )
    assert waiting == 51


def test_the_clock_trusts_the_shortest_way_there_and_back(page: Page):
    found = run(
        page,
        """const clock = new SessionClock();
        clock.sent(1.0, 5.3); // a first estimate: what was underway comes on top
        const first = clock.at(6);
        clock.measured(10, 10.5, 7, true); // slow, and not in the middle
        clock.measured(11, 11.01, 7.005, true); // quick: session minus page is -4
        clock.measured(12, 12.4, 7.9, true);
        const best = clock.at(20);
        clock.measured(13, 13.01, 0, false);
        return [first, best, clock.at(20)];""",
    )
    assert found[0] == pytest.approx(1.7)
    assert found[1] == pytest.approx(16.0)
    assert found[2] is None


def test_late_frames_delay_picture_and_sound_and_silence_wins_the_delay_back(page: Page):
    delays = run(
        page,
        """const playback = new Playback(new EventTarget()), delays = [];
        const come = (marginS, times) => { for (let i = 0; i < times; i++) playback._adapt(marginS); };
        come(0.19, 50);
        delays.push(playback.sound.delayS); // in time: none
        come(-0.1, 1);
        delays.push(playback.sound.delayS); // late by 100 ms: that, and 40 ms to spare
        come(-3, 1);
        delays.push(playback.sound.delayS); // no more than half a second
        come(0.19, 100);
        delays.push(playback.sound.delayS); // a hundred good ones later: none
        return delays;""",
    )
    assert delays == pytest.approx([0.0, 0.14, 0.5, 0.0])


def test_sound_that_waits_moves_with_the_clock_after_the_device_stood(page: Page):
    found = run(
        page,
        """const sound = new Sound(), made = [];
        sound._context = { state: 'running', currentTime: 10, outputLatency: 0,
          createBuffer: (_, count, hz) => ({ duration: count / hz, getChannelData: () => new Float32Array(count) }),
          createBufferSource: () => {
            const source = { connect() {} };
            source.start = (...words) => { source.started = words; };
            source.stop = () => { source.stopped = true; };
            made.push(source);
            return source;
          } };
        const come = (index, nowS) =>
          sound.play({ sequence: index, speech_id: 0, time_s: index / 25, pcm: new Int16Array(640) }, 16000, nowS);
        for (const index of [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]) come(index, 0); // presentation time 0 is heard at 10
        const before = made.splice(0);
        const stoodHeardS = sound.heardS(0.09); // it stood for 0.09 s: followed later, nothing is moved in sound
        const resumedHeardS = sound.heardS(0.21); // for 0.21 s: the sound of that time is gone
        return [stoodHeardS, resumedHeardS, before.every((s) => s.stopped), made.map((s) => s.started)];""",
    )
    stood_s, resumed_s, stopped, started = found
    assert stood_s == pytest.approx(0.0)
    assert resumed_s == pytest.approx(0.21)
    assert stopped
    # Of the sixth piece, from 0.20 to 0.24 s, the last 30 ms are left, and are heard at once; then the four others.
    assert started[0] == pytest.approx([10.0, 0.01, 0.03])
    assert [at_s for at_s, _, _ in started[1:]] == pytest.approx([10.03, 10.07, 10.11, 10.15])
