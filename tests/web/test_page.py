"""The page against an avatar server that only acts as one: what it shows, sends, refuses and says."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from helpers.acting_server import ActingServer
from helpers.as_sent import welcome_of
from helpers.browser import Browser, Page, eventually
from made_bundle import made_bundle

from gstalker.bridge import schema
from gstalker.bridge.codec import encode
from gstalker.bridge.web.server import WebServer, start_web
from gstalker.kernels.quantise import pack_movers

AnyRequest = TypeVar("AnyRequest", bound=schema.Request)
AXE = Path(__file__).parent / "vendor" / "axe.min.js"
STILL = (1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0)


@pytest.fixture
def stage_set(two_free_ports: Callable[[], int]) -> Iterator[ActingServer]:
    """A made avatar with three weights, two emotions and eyes that can move."""
    welcome = replace(
        welcome_of(made_bundle()),
        control_names=("browInnerUp", "eyeBlinkLeft", "mouthSmileLeft"),
        control_ranges=np.array([[0, 0.5], [0, 1], [0.1, 0.8]], np.float32),
        control_count=3,
        emotion_names=("happy", "sad"),
        has_gaze=True,
        head_pose_low=(-0.2, -0.3, -0.1, 0.0, 0.0, 0.0),
        head_pose_high=(0.2, 0.3, 0.1, 0.0, 0.0, 0.0),
        can_play=True,
    )
    with ActingServer(two_free_ports(), welcome) as server:
        yield server


@pytest.fixture
def web(stage_set: ActingServer) -> Iterator[WebServer]:
    with start_web(stage_set.address, port=0) as web:
        yield web


@pytest.fixture
def page(browser: Browser, web: WebServer) -> Iterator[Page]:
    page = browser.page(web.url)
    page.resize(900, 700)
    page.wait_for("document.getElementById('state').dataset.state === 'connected'")
    yield page
    page.close()


def frame_of(server: ActingServer, number: int, time_s: float) -> schema.FrameQ16:
    """The made avatar as it stands, moved a little to the right with every number."""
    bundle, movers = made_bundle(), server.welcome.mover_count
    canonical = bundle.canonical
    means = canonical.means[:movers] + np.array([0.002 * number, 0, 0], np.float32)
    arrays = (means, canonical.quats_wxyz[:movers], canonical.scales[:movers], canonical.opacities[:movers])
    packed = pack_movers(*arrays, bundle.quantisation_box)
    torso = (*STILL[:7], 0.12, *STILL[8:])
    return schema.FrameQ16(1, number, number, time_s, max(0.0, time_s - 0.2), STILL, torso, movers, packed)


def shown(page: Page) -> int | None:
    return page.evaluate("gstalker.stage.shown?.index ?? null")


def show(server: ActingServer, page: Page, number: int) -> None:
    """Publish a frame until it is on the canvas: the first ones may precede the subscription.

    Each has longer to become due than a page delays frames at most: one that came sooner would replace it, with a
    later time, and neither would ever be shown.
    """
    published_s = -math.inf

    def there() -> bool:
        nonlocal published_s
        if server.now_s > published_s + 1.0:
            published_s = server.now_s
            server.publish(encode(frame_of(server, number, max(0.0, published_s - 0.01))))
        return shown(page) == number

    eventually(there, f"frame {number} on the canvas")


def test_splats_appear_where_the_avatar_is(stage_set: ActingServer, page: Page, artefacts: Path):
    show(stage_set, page, 1)
    page.wait_for("gstalker.stage.view.settled")
    differs = """(() => {
      const { view, avatar } = gstalker.stage;
      const pixels = view.readPixels(), { width, height } = view.canvas, { plate } = avatar.welcome;
      const off = (u, v) => {
        const [x, y] = [Math.floor(u * width), Math.floor(v * height)];
        const at = 4 * (y * width + x), on = 3 * (Math.floor(v * 64) * 64 + Math.floor(u * 64));
        return Math.max(...[0, 1, 2].map((c) => Math.abs(pixels[at + c] - plate[on + c])));
      };
      return [off(0.5, 0.45), off(0.03, 0.05)];
    })()"""

    def drawn() -> bool:
        page.evaluate("gstalker.stage.redraw()")
        middle, corner = page.evaluate(differs)
        return middle > 40 and corner <= 4

    eventually(drawn, "a face before the plate, and the plate alone in the corner")
    page.screenshot(artefacts / "page made avatar.png")


def test_bad_frames_are_refused_and_the_last_good_one_stays(stage_set: ActingServer, page: Page):
    show(stage_set, page, 1)
    good = bytes(encode(frame_of(stage_set, 9, stage_set.now_s)))
    pose = frame_of(stage_set, 9, stage_set.now_s)
    few = replace(pose, mover_count=3, movers=pose.movers[:3])
    bad = [
        good[:-16],
        good + b"\0" * 16,
        good[:16] + b"GSTX" + good[20:],
        good[:22] + b"\x01\0" + good[24:],
        bytes(encode(few)),
    ]
    for number, data in enumerate(bad, start=1):
        stage_set.publish(data)
        page.wait_for(f"gstalker.source.messagesRefused === {number}", timeout_s=10)
    assert shown(page) == 1
    assert page.evaluate("document.getElementById('state').dataset.state") == "connected"
    show(stage_set, page, 10)


def test_another_wire_version_is_named_and_not_drawn(stage_set: ActingServer, page: Page):
    show(stage_set, page, 1)
    good = bytes(encode(frame_of(stage_set, 9, stage_set.now_s)))
    stage_set.publish(good[:20] + b"\x63\0" + good[22:])
    page.wait_for("document.getElementById('trouble').textContent.includes('the server 99')")
    page.wait_for("document.getElementById('state').dataset.state === 'connected'")  # it was one message only


def test_the_controls_are_those_of_the_welcome_and_reach_the_server(stage_set: ActingServer, page: Page):
    names = page.evaluate("[...document.querySelectorAll('#expressions span')].map((e) => e.textContent)")
    assert names == ["Brow inner up", "Eye blink left", "Mouth smile left"]
    emotions = page.evaluate("[...document.querySelectorAll('#emotions button')].map((e) => e.textContent)")
    assert emotions == ["none", "Happy", "Sad"]
    page.evaluate("document.querySelector('[data-emotion=sad]').click()")
    move = "(input, value) => { input.value = value; input.dispatchEvent(new Event('input', { bubbles: true })); }"
    page.evaluate(f"({move})(document.querySelectorAll('#expressions input')[2], 0.6)")
    page.evaluate(f"({move})(document.querySelectorAll('#head input')[1], 10)")
    page.evaluate(f"({move})(document.querySelectorAll('#gaze input')[0], -15)")
    page.evaluate("document.getElementById('idle').click()")

    def asked(kind: type[AnyRequest]) -> list[AnyRequest]:
        return eventually(lambda: [m for m in stage_set.asked if isinstance(m, kind)], kind.TOPIC)

    (emotion,) = asked(schema.SetEmotion)
    assert (emotion.emotion_name, emotion.strength) == ("sad", 0.8)
    face = asked(schema.SetExpression)[-1]
    assert face.held.tolist() == [0, 0, 1]
    assert face.weights[2] == pytest.approx(0.6)
    head = asked(schema.SetHeadPose)[-1]
    assert head.rotation_rad == pytest.approx((0.0, np.radians(10), 0.0))
    gaze = asked(schema.SetGaze)[-1]
    assert (gaze.yaw_rad, gaze.pitch_rad) == pytest.approx((np.radians(-15), 0.0))
    (idle,) = asked(schema.SetIdle)
    assert idle.enabled is False
    page.wait_for("document.getElementById('note').textContent === 'Limited to what was seen.'")


def test_a_refusal_of_the_server_is_told_in_its_words(stage_set: ActingServer, page: Page):
    page.evaluate("document.getElementById('play').click()")
    page.wait_for("document.getElementById('note').textContent === 'There is no sound here.'")


def test_keys_turn_the_camera_and_reset_it(stage_set: ActingServer, page: Page):
    show(stage_set, page, 1)
    press = "(key) => document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }))"
    page.evaluate("document.getElementById('canvas').focus()")
    for key in ("ArrowLeft", "ArrowUp", "+"):
        page.evaluate(f"({press})('{key}')")
    yaw, pitch, zoom = page.evaluate("(({ yawRad, pitchRad, zoom }) => [yawRad, pitchRad, zoom])(gstalker.stage.orbit)")
    assert yaw < 0 < pitch
    assert zoom > 1
    page.evaluate(f"({press})('0')")
    assert page.evaluate("gstalker.stage.orbit.own")


def test_a_colour_and_ones_own_picture_go_behind_the_avatar(stage_set: ActingServer, page: Page):
    show(stage_set, page, 1)
    corner = "Array.from(gstalker.stage.view.readPixels().slice(0, 3))"
    choose = "(value) => { const s = document.getElementById('background'); s.value = value;"
    choose += " s.dispatchEvent(new Event('change')); }"
    page.evaluate(f"document.getElementById('color').value = '#3366cc'; ({choose})('color')")
    eventually(lambda: page.evaluate(corner) == [0x33, 0x66, 0xCC], "the colour in the corner")
    page.evaluate(
        f"""(async () => {{
          ({choose})('picture');
          const canvas = new OffscreenCanvas(40, 20), context = canvas.getContext('2d');
          context.fillStyle = '#20c040';
          context.fillRect(0, 0, 40, 20);
          const files = new DataTransfer();
          files.items.add(new File([await canvas.convertToBlob()], 'green.png', {{ type: 'image/png' }}));
          const input = document.getElementById('picture');
          input.files = files.files;
          input.dispatchEvent(new Event('change'));
        }})()"""
    )
    eventually(lambda: page.evaluate(corner) == [0x20, 0xC0, 0x40], "the picture in the corner")


def test_a_quick_browser_draws_between_two_frames(stage_set: ActingServer, page: Page):
    show(stage_set, page, 1)
    # As on a machine whose graphics keep up, whatever this one's do.
    page.evaluate("gstalker.stage._measureTurns = () => {}; gstalker.stage.smooth = true")
    began_s = stage_set.now_s + 0.3
    for number, time_s in ((20, began_s), (21, began_s + 2)):
        stage_set.publish(encode(frame_of(stage_set, number, time_s)))
    page.wait_for("gstalker.stage.shown.index === 20")
    drawn = "gstalker.stage.view.framesDrawn"
    first = page.evaluate(drawn)
    eventually(lambda: page.evaluate(drawn) >= first + 3, "several pictures of one frame")
    middle = page.evaluate("gstalker.stage.avatar.cloud.means[0]")
    page.wait_for("gstalker.stage.shown.index === 21")
    eventually(lambda: page.evaluate("gstalker.stage.avatar.cloud.means[0]") > middle, "the next frame, to the right")


def test_the_mark_says_synthetic_and_whose_face_it_is(page: Page, stage_set: ActingServer):
    assert page.evaluate("getComputedStyle(document.getElementById('synthetic')).display") != "none"
    words = page.evaluate("document.getElementById('synthetic').textContent")
    assert "Synthetic" in words
    assert stage_set.welcome.subject in words
    told = page.evaluate("document.getElementById('likeness').textContent")
    for record in ("notice", "subject", "consent", "licence"):
        assert getattr(stage_set.welcome, record) in told


def test_a_server_that_is_not_there_is_said_in_words(browser: Browser, files_only: WebServer):
    page = browser.page(files_only.url)
    page.wait_for("document.getElementById('trouble').textContent.includes('start gstalker serve')", timeout_s=20)
    assert page.evaluate("document.getElementById('state').textContent") == "Not connected"
    page.close()


def test_no_webgl2_is_said_in_words(browser: Browser, files_only: WebServer):
    page = browser.page()
    source = "HTMLCanvasElement.prototype.getContext = () => null;"
    page.send("Page.addScriptToEvaluateOnNewDocument", {"source": source})
    page.open(files_only.url)
    page.wait_for("document.getElementById('trouble').textContent.includes('no WebGL 2')")
    page.close()


def test_a_refused_microphone_is_said_in_words_and_an_allowed_one_is_pushed(
    browser: Browser, web: WebServer, page: Page, stage_set: ActingServer
):
    origin = web.url.rstrip("/")
    permission = {"permission": {"name": "microphone"}, "origin": origin}
    browser.connection.send("Browser.setPermission", {**permission, "setting": "denied"})
    page.evaluate("gstalker.microphone.on()")
    assert "The microphone was refused" in page.evaluate("document.getElementById('note').textContent")
    browser.connection.send("Browser.setPermission", {**permission, "setting": "granted"})
    page.evaluate("gstalker.microphone.on()")
    assert eventually(lambda: [m for m in stage_set.asked if isinstance(m, schema.OpenSpeech)], "open_speech")


@pytest.mark.parametrize(("name", "dark", "width", "height"), [
    ("light", False, 1100, 800), ("dark", True, 1100, 800), ("phone", False, 390, 844), ("phone dark", True, 390, 844),
])  # fmt: skip
def test_every_view_is_accessible_and_fits(
    name: str, dark: bool, width: int, height: int, stage_set: ActingServer, page: Page, artefacts: Path
):
    page.resize(width, height, mobile=width < 500)
    scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
    page.send("Emulation.setEmulatedMedia", {"features": scheme})
    show(stage_set, page, 1)
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    page.evaluate(AXE.read_text(encoding="utf-8") + "; 0")
    found = page.evaluate(
        """axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) =>
          violations.map((v) => [v.impact, v.id, v.nodes.map((n) => n.target.join(' ')).slice(0, 5)]))"""
    )
    serious = [v for v in found if v[0] in ("serious", "critical")]
    assert not serious, serious
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = false; }); scrollTo(0, 0)")
    page.screenshot(artefacts / f"page {name}.png")
    boxes = page.evaluate(
        """['canvas', 'play', 'stop', 'microphone', 'mute'].map((id) => {
          const { left, right, top, bottom } = document.getElementById(id).getBoundingClientRect();
          return [left, right, top, bottom];
        })"""
    )
    for left, right, top, bottom in boxes:
        assert left >= 0
        assert right <= width
        assert 0 <= top < bottom <= height
    assert boxes[0][1] - boxes[0][0] >= 300
    assert all(bottom - top >= 40 for _, _, top, bottom in boxes[1:])


def test_nothing_is_asked_of_another_machine(browser: Browser, web: WebServer, stage_set: ActingServer):
    page = browser.page(web.url)
    page.wait_for("document.getElementById('state').dataset.state === 'connected'")
    show(stage_set, page, 1)
    asked = [e["request"]["url"] for e in page.events("Network.requestWillBeSent")]
    asked += [e["url"] for e in page.events("Network.webSocketCreated")]
    own = (web.url, web.url.replace("http", "ws"), "data:", f"blob:{web.url}", "blob:")
    assert len(asked) > 20
    assert [url for url in asked if not url.startswith(own)] == []
    refused = [line for line in page.log().splitlines() if "Content Security Policy" in line]
    assert not refused
    page.close()


def test_two_pages_at_once_see_the_same_frames(browser: Browser, web: WebServer, stage_set: ActingServer):
    pages = [browser.page(web.url), browser.page(web.url)]
    for number, page in itertools.product((1, 2), pages):
        page.send("Page.bringToFront", {})
        page.wait_for("document.getElementById('state').dataset.state === 'connected'")
        show(stage_set, page, number)
    assert len([m for m in stage_set.asked if isinstance(m, schema.Hello)]) >= 2
    for page in pages:
        page.close()
