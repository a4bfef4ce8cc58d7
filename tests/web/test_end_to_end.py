"""The demo character in a browser, with a real server process: seen, heard, spoken to, lost and found again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers.browser import Browser, Page, eventually

from gstalker.bridge.web.demo_avatar import demo_avatar
from gstalker.bridge.web.server import WebServer, start_web

pytest.importorskip("onnxruntime", reason="moving an avatar needs the extra cpu or gpu")

SOUND_LEADS_MS, SOUND_LAGS_MS = 45.0, 125.0  # ITU-R BT.1359: what nobody notices

# Shares of the picture: the mouth, and the forehead, which speech does not move.
MOUTH, FOREHEAD = (0.40, 0.54, 0.60, 0.68), (0.42, 0.30, 0.58, 0.38)
WATCH = """(async (seconds) => {
  const { stage } = gstalker, { view } = stage, areas = %s, changes = areas.map(() => []);
  const pixelsOf = ([left, top, right, bottom], pixels) => {
    const { width, height } = view.canvas, found = [];
    for (let y = Math.round(top * height); y < bottom * height; y++) {
      const row = 4 * (y * width);
      for (let x = Math.round(left * width); x < right * width; x++) found.push(pixels[row + 4 * x + 1]);
    }
    return found;
  };
  let before = null, frame = null;
  for (const until = performance.now() + 1000 * seconds; performance.now() < until; ) {
    await new Promise((done) => setTimeout(done, 120));
    if (stage.shown === frame) continue;
    frame = stage.shown;
    const all = view.readPixels(), now = areas.map((area) => pixelsOf(area, all));
    if (before && before[0].length === now[0].length) {
      now.forEach((values, i) => {
        let sum = 0;
        values.forEach((value, n) => (sum += Math.abs(value - before[i][n])));
        changes[i].push(sum / values.length);
      });
    }
    before = now;
  }
  return changes;
})""" % json.dumps([MOUTH, FOREHEAD])  # noqa: UP031  # JavaScript is full of braces


class Server:
    """`gstalker serve` of the demo character, which holds still but for what it says."""

    def __init__(self, port: int, *words: str) -> None:
        bundle, speech = demo_avatar()
        self.address = f"tcp://127.0.0.1:{port}"
        command = [sys.executable, "-m", "gstalker.cli.main", "serve", str(bundle), "--address", self.address]
        self._command = [*command, "--audio", str(speech), "--no-idle", "--lead", "0.5", *words]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        """As a crash would end it."""
        self.process.send_signal(signal.SIGKILL if os.name == "posix" else signal.SIGTERM)
        self.process.wait(timeout=20)


@pytest.fixture(scope="module")
def server(two_free_ports: Callable[[], int]) -> Iterator[Server]:
    server = Server(two_free_ports())
    yield server
    server.kill()


@pytest.fixture(scope="module")
def web(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    with start_web(server.address, port=0, captures=tmp_path_factory.mktemp("captures")) as web:
        yield web


@pytest.fixture(scope="module")
def page(browser: Browser, web: WebServer) -> Iterator[Page]:
    page = browser.page(web.url)
    page.resize(420, 640)
    page.wait_for("window.gstalker?.stage.shown", timeout_s=120)  # a first start compiles kernels
    page.evaluate("gstalker.stage.fixedSharpness = true; gstalker.stage.sharpness = 0.5; gstalker.stage.redraw()")
    yield page
    page.close()


def note_sound(page: Page) -> None:
    page.evaluate("gstalker.playback.sound.scheduled.length = 0; gstalker.stage.statistics.shown.length = 0")


def say(page: Page) -> None:
    """Press Play and wait until sound comes."""
    note_sound(page)
    page.evaluate("document.getElementById('play').click()")
    page.wait_for("gstalker.playback.sound.scheduled.length > 10")


def be_silent(page: Page) -> None:
    page.evaluate("document.getElementById('stop').click()")
    page.wait_for("!gstalker.speech.speaking")
    page.wait_for("!gstalker.playback.sound.playing")
    page.evaluate("new Promise((done) => setTimeout(done, 1200))")  # the mouth closes


def test_the_character_is_seen_and_its_mouth_moves_with_speech_alone(page: Page, artefacts: Path):
    page.evaluate("gstalker.playback.sound.wake()")
    say(page)
    mouth, forehead = page.evaluate(f"({WATCH})(2)")
    be_silent(page)
    still_mouth, _ = page.evaluate(f"({WATCH})(1.5)")
    page.screenshot(artefacts / "page demo character.png")
    print(f"mouth {np.mean(mouth):.2f}, forehead {np.mean(forehead):.3f}, silent mouth {np.mean(still_mouth):.3f}")
    assert len(mouth) >= 3
    # Levels of 255, measured speaking: mouth 5 to 9, forehead 0.1; silent: 0.0.
    assert np.mean(mouth) > 2.0
    assert np.mean(mouth) > 5 * np.mean(forehead)
    assert np.mean(still_mouth) < 0.2 * np.mean(mouth)


def test_sound_is_scheduled_within_45_ms_of_its_frame(page: Page):
    page.evaluate("gstalker.playback.sound.wake()")
    say(page)
    page.evaluate("new Promise((done) => setTimeout(done, 1800))")
    pieces, shown = page.evaluate(
        """[gstalker.playback.sound.scheduled.map((p) => [p.timeS, p.when]),
            gstalker.stage.statistics.shown.map((s) => [s.timeS, s.contextS])]"""
    )
    be_silent(page)
    heard = {round(time_s, 4): when for time_s, when in pieces}
    leads_ms = [1000 * (seen - heard[round(t, 4)]) for t, seen in shown if round(t, 4) in heard]
    print(
        f"{len(leads_ms)} frames with sound, the sound leads by {np.percentile(leads_ms, [0, 50, 90, 100]).round(1)} ms"
    )
    assert len(leads_ms) >= 5
    # A frame is shown from its time on, for 40 ms; what this machine's software rasteriser delays is not scheduling.
    assert min(leads_ms) >= -SOUND_LAGS_MS
    assert np.median(leads_ms) <= SOUND_LEADS_MS
    # The pieces follow each other without a seam.
    times, whens = np.array(pieces).T
    assert np.abs(np.diff(whens) - np.diff(times)).max() <= 1e-3 * SOUND_LEADS_MS


def test_a_sound_file_is_spoken(page: Page):
    page.evaluate("gstalker.playback.sound.wake()")
    note_sound(page)
    spoken = page.evaluate(
        """(async () => {
          const rate = 44100, seconds = 1, samples = rate * seconds;
          const view = new DataView(new ArrayBuffer(44 + 2 * samples));
          const text = (at, words) => [...words].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
          text(0, 'RIFF'); view.setUint32(4, 36 + 2 * samples, true); text(8, 'WAVEfmt ');
          view.setUint32(16, 16, true); view.setUint16(20, 1, true); view.setUint16(22, 1, true);
          view.setUint32(24, rate, true); view.setUint32(28, 2 * rate, true);
          view.setUint16(32, 2, true); view.setUint16(34, 16, true);
          text(36, 'data'); view.setUint32(40, 2 * samples, true);
          for (let i = 0; i < samples; i++) view.setInt16(44 + 2 * i, 9000 * Math.sin(i / 30), true);
          await gstalker.speech.speakFile(new File([view], 'hum.wav'));
          return document.getElementById('note').textContent;
        })()"""
    )
    assert spoken == ""
    page.wait_for("gstalker.playback.sound.scheduled.length >= 25")
    page.evaluate("gstalker.speech.speakFile(new File(['no sound'], 'notes.txt'))")
    page.wait_for("document.getElementById('note').textContent.includes('notes.txt is no sound')")
    be_silent(page)


def test_the_microphone_is_streamed_and_comes_back_as_the_avatars_voice(browser: Browser, web: WebServer, page: Page):
    permission = {"permission": {"name": "microphone"}, "setting": "granted", "origin": web.url.rstrip("/")}
    browser.connection.send("Browser.setPermission", permission)
    note_sound(page)
    page.evaluate("gstalker.microphone.on()")
    page.wait_for("gstalker.playback.sound.scheduled.length > 10")
    assert page.evaluate("gstalker.playback.sound.hushed")  # or it would hear itself
    page.evaluate("gstalker.microphone.off()")
    assert not page.evaluate("gstalker.playback.sound.hushed")
    be_silent(page)


def test_a_capture_is_compared_and_kept(page: Page, artefacts: Path):
    page.evaluate("document.getElementById('compare').click()")
    found = page.wait_for("gstalker.comparison.result", timeout_s=120)
    page.evaluate("document.getElementById('comparison').scrollIntoView()")
    page.screenshot(artefacts / "page comparison.png")
    print({k: v for k, v in found.items() if k != "folder"})
    assert found["whole_db"] >= 55
    assert found["inside_db"] >= 48
    assert (Path(found["folder"]) / "pictures").is_dir()
    page.evaluate("document.getElementById('rules').value = 'engine'")
    page.evaluate("document.getElementById('rules').dispatchEvent(new Event('change'))")
    page.evaluate("gstalker.comparison.result = null; document.getElementById('compare').click()")
    engines = page.wait_for("gstalker.comparison.result", timeout_s=120)
    assert engines["whole_db"] < 45
    assert "the engine's own rules" in page.evaluate("document.getElementById('comparison-words').textContent")
    page.evaluate("document.getElementById('rules').value = 'reference'")
    page.evaluate("document.getElementById('rules').dispatchEvent(new Event('change'))")
    page.evaluate("scrollTo(0, 0)")


def test_statistics_of_both_ends_are_shown(page: Page):
    page.evaluate("document.getElementById('statistics-group').open = true")
    words = page.wait_for(
        "(() => { const t = document.getElementById('statistics').innerText; return t.includes('frames/s') && t; })()"
    )
    for name in ("Pictures a second", "Frames received", "In time by", "MB/s", "Server computes"):
        assert name in words
    page.evaluate("document.getElementById('statistics-group').open = false")


def test_two_browsers_see_and_hear_one_server(browser: Browser, web: WebServer, page: Page):
    other = browser.page(web.url)
    other.resize(420, 640)
    other.wait_for("window.gstalker?.stage.shown", timeout_s=60)
    first = other.evaluate("gstalker.stage.shown.index")
    page.send("Page.bringToFront", {})
    here = page.evaluate("gstalker.stage.shown.index")
    page.wait_for(f"gstalker.stage.shown.index > {here + 10}")
    other.send("Page.bringToFront", {})
    other.wait_for(f"gstalker.stage.shown.index > {first + 10}")
    other.close()
    page.send("Page.bringToFront", {})


def test_a_server_that_dies_and_comes_back_is_seen_again_by_itself(server: Server, page: Page):
    server.kill()
    page.wait_for("document.getElementById('state').dataset.state === 'lost'", timeout_s=20)
    assert page.evaluate("document.getElementById('trouble').textContent")
    page.evaluate("gstalker.stage.shown = null")
    server.start()
    page.wait_for("gstalker.stage.shown && document.getElementById('state').dataset.state === 'connected'", 120)
    assert page.evaluate("document.getElementById('trouble').hidden")
    first = page.evaluate("gstalker.stage.shown.index")
    eventually(lambda: page.evaluate("gstalker.stage.shown.index") > first + 5, "frames going on")
