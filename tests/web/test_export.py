"""The stand-alone page: a folder on a plain file host, with no server of avatars and none of ours."""

from __future__ import annotations

import functools
import http.server
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers.browser import Browser, Page
from helpers.source_tree import REPO
from made_bundle import made_bundle, write_made_bundle

from gstalker.bridge.web.demo_avatar import demo_avatar
from gstalker.bridge.web.export import export_page, log_mel_tables
from gstalker.bridge.web.vendor import ONNXRUNTIME_WEB, fetch
from gstalker.cli.main import main
from gstalker.runtime.audio import DEFAULT_LOG_MEL, log_mel, mel_windows
from gstalker.runtime.bundle import AvatarBundle
from gstalker.runtime.errors import InputError

CACHED = REPO / ".cache" / f"{ONNXRUNTIME_WEB.name}-{ONNXRUNTIME_WEB.version}"


class QuietHost(http.server.SimpleHTTPRequestHandler):
    """A plain file host, with the types of any other."""

    extensions_map = http.server.SimpleHTTPRequestHandler.extensions_map | {  # as its base has it
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def onnxruntime_web() -> Path:
    """The package in $GSTALKER_ONNXRUNTIME_WEB, or from npm, once."""
    given = os.environ.get("GSTALKER_ONNXRUNTIME_WEB")
    if given:
        return Path(given)
    if not CACHED.is_dir():
        try:
            files = fetch(ONNXRUNTIME_WEB)
        except InputError as error:
            pytest.skip(f"no onnxruntime-web: {error}")
        for name, data in files.items():
            (CACHED / name).parent.mkdir(parents=True, exist_ok=True)
            (CACHED / name).write_bytes(data)
    return CACHED


@pytest.fixture(scope="module")
def exported(onnxruntime_web: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "page"
    export_page(demo_avatar()[0], folder, onnxruntime_web)
    return folder


@pytest.fixture(scope="module")
def page(browser: Browser, exported: Path) -> Iterator[Page]:
    host = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(QuietHost, directory=str(exported)))
    threading.Thread(target=host.serve_forever, daemon=True).start()
    page = browser.page(f"http://127.0.0.1:{host.server_port}/")
    page.resize(420, 640)
    page.wait_for("window.gstalker?.stage.shown", timeout_s=90)
    yield page
    page.close()
    host.shutdown()


def test_the_networks_give_the_bundles_own_answers(page: Page):
    """Twenty times the worst measured (1e-6): ONNX Runtime's own margin between processors."""
    worst = page.evaluate("gstalker.source.request('golden_error').then((found) => found.worst)", timeout_s=120)
    print(f"worst difference to the golden answers {worst:.2g}")
    assert worst <= 2e-5


def test_a_recording_is_spoken_and_nothing_leaves_the_machine(page: Page, artefacts: Path):
    page.give("wav", demo_avatar()[1].read_bytes())
    page.evaluate("gstalker.playback.sound.wake()")
    page.evaluate("gstalker.speech.speakFile(new File([wav], 'speech.wav')); 0")
    page.wait_for("gstalker.playback.sound.scheduled.length > 30")
    page.screenshot(artefacts / "page stand-alone.png")
    page.wait_for("!gstalker.speech.speaking")
    own = page.evaluate("location.origin")
    asked = [e["request"]["url"] for e in page.events("Network.requestWillBeSent")]
    assert [url for url in asked if not url.startswith((own, f"blob:{own}", "data:"))] == []
    assert not page.events("Network.webSocketCreated")
    assert "Content Security Policy" not in page.log()


def test_what_only_a_server_has_is_not_offered(page: Page):
    hidden = page.evaluate("['emotion-group', 'gaze'].map((id) => document.getElementById(id).hidden)")
    assert hidden == [True, True]
    assert page.evaluate("['play', 'compare'].map((id) => document.getElementById(id).disabled)") == [True, True]
    assert page.evaluate("document.getElementById('synthetic').hidden") is False


def test_the_head_and_the_face_are_held(page: Page):
    move = "(input, value) => { input.value = value; input.dispatchEvent(new Event('input', { bubbles: true })); }"
    page.evaluate(f"({move})(document.querySelectorAll('#head input')[1], 12)")
    # The turn of 12 degrees about y: the sine of it in the first row's third place.
    sine = float(np.sin(np.radians(12)))
    page.wait_for(f"Math.abs(gstalker.stage.shown.avatar_from_head[2] - {sine}) < 1e-3")
    page.evaluate("document.getElementById('release-head').click()")
    page.wait_for(f"Math.abs(gstalker.stage.shown.avatar_from_head[2] - {sine}) > 0.02")


def test_the_exported_bundle_is_a_whole_bundle_and_the_page_keeps_to_itself(exported: Path):
    assert AvatarBundle.open(exported / "bundle").manifest.name == "character"
    html = (exported / "index.html").read_text(encoding="utf-8")
    assert 'data-source="standalone/source.js"' in html
    assert "connect-src 'self'" in html
    assert "Microsoft" in (exported / "vendor" / "onnxruntime" / "LICENSE.txt").read_text()


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="expected a new or empty folder for the page, it holds something"):
        export_page(demo_avatar()[0], tmp_path)


def test_an_export_needs_a_bundle(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["view", "--export", str(tmp_path / "page")]) == 2
    assert "--export: expected a bundle" in capsys.readouterr().err
    write_made_bundle(tmp_path / "made.gsavatar")
    words = ["view", str(tmp_path / "made.gsavatar"), "--export", str(tmp_path / "page"), "--onnxruntime-web"]
    assert main([*words, str(tmp_path)]) == 2
    assert "unpacked there, the file is missing" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "page").exists()


@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
def test_features_of_a_growing_sound_are_those_of_python(bare_page: Page, rate_hz: int):
    """16 kHz: the same double precision but for the order of sums. 48 kHz: a mean of three against the sound itself."""
    front = made_bundle().manifest.audio
    seconds = np.arange(rate_hz) / rate_hz
    sound = 0.3 * np.sin(2 * np.pi * 180 * seconds) * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * seconds))
    pcm = np.round(sound * 32767).astype("<i2")
    bare_page.give("pcmBytes", pcm.tobytes())
    given = [log_mel_tables(front.log_mel), front.left_mel_frames, front.right_mel_frames, rate_hz]
    bare_page.evaluate(f"window.given = {json.dumps(given)}")
    read = bare_page.take(
        """(async ([tables, left, right, rateHz]) => {
          const { LogMel } = await import('/standalone/log_mel.js');
          const { Speech } = await import('/standalone/speech.js');
          const speech = new Speech(0, rateHz, new LogMel(tables), { left_mel_frames: left, right_mel_frames: right });
          const pcm = new Int16Array(pcmBytes.buffer), windows = [];
          for (let at = 0; at < pcm.length; at += 1700) {
            speech.add(pcm.slice(at, at + 1700));
            for (; speech.ready && windows.length < 15; speech.take()) windows.push(speech.window());
          }
          return new Blob(windows).arrayBuffer();
        })(given)"""
    )
    whole = pcm.reshape(-1, rate_hz // 16_000).mean(axis=1).astype(np.float32) / 32768
    expected = mel_windows(log_mel(whole, DEFAULT_LOG_MEL), 15, front.left_mel_frames, front.right_mel_frames)
    got = np.frombuffer(read, np.float32).reshape(expected.shape)
    assert np.abs(got - expected).max() <= 1e-5
