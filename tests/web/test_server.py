"""What the web server hands out, to whom, and what it refuses."""

from __future__ import annotations

import contextlib
import gzip
import json
import shutil
import socket
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from helpers.acting_server import ActingServer
from helpers.as_sent import frames_of, served, welcome_of
from made_bundle import made_bundle
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from gstalker.bridge import schema
from gstalker.bridge.codec import decode, encode
from gstalker.bridge.errors import WireError
from gstalker.bridge.web import demo_avatar
from gstalker.bridge.web.comparison import compare, read_header
from gstalker.bridge.web.server import WebServer, start_web
from gstalker.bridge.web.site import site_files
from gstalker.kernels import reference
from gstalker.runtime.bundle import AvatarBundle
from gstalker.runtime.dataset import write_wav
from gstalker.runtime.errors import InputError
from gstalker.runtime.session import SessionReader, rows_from_pose
from gstalker.runtime.session.captures import read_captures, to_uint8


def get(url: str, **headers: str):
    return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10)


def status(url: str, **headers: str) -> int:
    with pytest.raises(urllib.error.HTTPError) as caught:
        get(url, **headers)
    return caught.value.code


def test_the_page_comes_with_rules_that_keep_it_on_this_machine(files_only: WebServer):
    with get(files_only.url) as answer:
        policy = answer.headers["Content-Security-Policy"]
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert answer.read() == site_files()["/index.html"].body
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "connect-src 'self';" in policy


def test_files_come_packed_where_that_is_welcome_and_once_only(files_only: WebServer):
    url = files_only.url + "vendor/playcanvas.min.mjs"
    with get(url, **{"Accept-Encoding": "gzip"}) as answer:
        etag = answer.headers["ETag"]
        packed = answer.read()
    assert gzip.decompress(packed) == site_files()["/vendor/playcanvas.min.mjs"].body
    assert len(packed) < 800_000
    assert status(url, **{"If-None-Match": etag}) == 304


def test_what_is_no_file_of_the_page_is_not_found(files_only: WebServer):
    for path in ("nothing.html", "../pyproject.toml", "__init__.py", "demo/character.gsavatar", "%2e%2e/README.md"):
        assert status(files_only.url + path) == 404, path


def test_another_host_name_is_refused(files_only: WebServer):
    assert status(files_only.url, Host=f"evil.example:{files_only.port}") == 421


@pytest.mark.parametrize("origin", ["http://evil.example", "null", None])
def test_pages_of_another_origin_get_no_socket(files_only: WebServer, origin: str | None):
    address = files_only.url.replace("http", "ws") + "avatar"
    with pytest.raises(InvalidStatus, match="403"), connect(address, origin=origin):  # type: ignore[arg-type]
        pass


def test_a_socket_elsewhere_is_not_found(files_only: WebServer):
    origin = files_only.url.rstrip("/")
    with (
        pytest.raises(InvalidStatus, match="404"),
        connect(files_only.url.replace("http", "ws") + "other", origin=origin),  # type: ignore[arg-type]
    ):
        pass


def avatar_socket(web: WebServer, path: str = "avatar"):
    return connect(web.url.replace("http", "ws") + path, origin=web.url.rstrip("/"), max_size=None)  # type: ignore[arg-type]


def test_the_relay_carries_the_very_bytes(two_free_ports):
    welcome = welcome_of(made_bundle())
    with (
        ActingServer(two_free_ports(), welcome) as server,
        start_web(server.address, port=0) as web,
        avatar_socket(web) as browser,
    ):
        browser.send(bytes(encode(schema.Hello(7, "test", "", 0, False))))
        answer = decode(bytes(browser.recv(timeout=10)))  # type: ignore[arg-type]
        assert isinstance(answer, schema.Welcome)
        assert answer.request_id == 7
        sound = bytes(encode(schema.Audio(1, 0, 0, 0.0, 0.0, 3, np.array([1, 2, 3], "<i2"))))
        other = bytes(encode(schema.Audio(2, 0, 0, 0.0, 0.0, 3, np.array([4, 5, 6], "<i2"))))
        for _ in range(100):  # until the subscription has arrived
            server.publish(other)  # another session's, which is not this browser's business
            server.publish(sound)
            try:
                assert browser.recv(timeout=0.1) == sound
                break
            except TimeoutError:
                continue
        else:
            raise AssertionError("no publication came through")


def test_a_text_is_no_message(files_only: WebServer):
    with avatar_socket(files_only) as browser:
        browser.send("hello")
        with pytest.raises(ConnectionClosed, match="Messages are binary"):
            browser.recv(timeout=10)


def test_a_request_that_is_too_long_ends_the_line(files_only: WebServer):
    with avatar_socket(files_only) as browser:
        browser.send(b"x" * (schema.MAX_REQUEST_BYTES + 1))
        with pytest.raises(ConnectionClosed, match="1009"):
            browser.recv(timeout=10)


def test_a_taken_port_another_machine_and_a_wrong_address_are_refused():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InputError, match=r"expected a free port, could not listen there"):
            start_web(port=taken.getsockname()[1])
    with pytest.raises(InputError, match=r"0\.0\.0\.0: expected 127\.0\.0\.1, ::1 or localhost"):
        start_web(host="0.0.0.0")
    with pytest.raises(InputError, match="expected an address"):
        start_web("http://127.0.0.1:5555")


# Comparisons


@pytest.fixture(scope="module")
def captured(tmp_path_factory: pytest.TempPathFactory) -> tuple[AvatarBundle, bytes, str, bytes]:
    """An avatar, a frame of it as sent, and a perfect picture of that with its header."""
    pytest.importorskip("onnxruntime", reason="moving an avatar needs the extra cpu or gpu")
    speech = tmp_path_factory.mktemp("speech") / "hum.wav"
    write_wav(speech, np.sin(np.arange(16_000) / 20).astype(np.float32) * 0.2)
    bundle = made_bundle()
    (frame,) = frames_of(bundle, speech, [10])
    avatar = served(bundle)
    drawn = reference.render(avatar.assemble(avatar.frame(frame)), avatar.camera, np.array([0.2, 0.4, 0.6]))
    rgb = to_uint8(drawn.rgb).tobytes()
    data = bytes(encode(frame))
    return bundle, data, json.dumps(header_fields(bundle, len(data), len(rgb))), rgb


def header_fields(bundle: AvatarBundle, frame_bytes: int, rgb_bytes: int) -> dict[str, object]:
    camera = bundle.camera
    pinhole = {
        "viewmat": list(rows_from_pose(camera.viewmat)),
        "K": camera.K.ravel().tolist(),
        "width_px": camera.width_px,
        "height_px": camera.height_px,
    }
    return {
        "camera": pinhole,
        "background_rgb": [0.2, 0.4, 0.6],
        "rules": "reference",
        "frame_bytes": frame_bytes,
        "rgb_bytes": rgb_bytes,
    }


def test_a_perfect_capture_is_off_by_rounding_alone_and_kept_for_validate(captured, tmp_path: Path):
    bundle, frame, header, rgb = captured
    done = compare(served(bundle), read_header(header), frame, rgb, tmp_path / "captures")
    assert done.figures["worst_off"] == 0
    assert 58 < done.figures["whole_db"] < 65  # 58.9 dB is rounding to 8 bits of what has no code
    assert done.reference.tobytes() == rgb
    assert done.folder is not None
    (capture,) = read_captures(done.folder / "pictures")
    assert capture.background_rgb == (0.2, 0.4, 0.6)
    assert "gstalker's rules" in capture.drawn_by
    (entry,) = SessionReader(done.folder).frames()
    assert entry.index == capture.frame_index == 10


@pytest.mark.parametrize(
    "change",
    [
        {"rules": "mine"},
        {"background_rgb": [1.0]},
        {"rgb_bytes": 5},
        {"camera": {}},
        {"frame_bytes": "many"},
    ],
)
def test_a_capture_that_contradicts_itself_is_refused(captured, change: dict[str, object]):
    with pytest.raises(WireError, match="capture: expected"):
        read_header(json.dumps(json.loads(captured[2]) | change))


def test_a_capture_before_the_backdrop_must_be_of_its_size(captured):
    bundle, frame, header, _ = captured
    fields = json.loads(header) | {"background_rgb": [], "rgb_bytes": 3 * 8 * 8}
    fields["camera"] |= {"width_px": 8, "height_px": 8}
    with pytest.raises(WireError, match=r"expected 64 x 64 px before the avatar's own backdrop"):
        compare(served(bundle), read_header(json.dumps(fields)), frame, bytes(3 * 64), None)


def test_the_comparison_socket_says_what_is_wrong(captured, two_free_ports):
    bundle, frame, header, rgb = captured
    with ActingServer(two_free_ports(), welcome_of(bundle)) as server, start_web(server.address, port=0) as web:
        with avatar_socket(web, "compare") as line:
            with contextlib.suppress(ConnectionClosed):  # the server may have answered and closed already
                line.send(header)
            assert "connected to an avatar server" in json.loads(line.recv(timeout=10))["error"]
        with avatar_socket(web) as browser:
            browser.send(bytes(encode(schema.Hello(1, "test", "", 0, False))))
            browser.recv(timeout=10)
        with avatar_socket(web, "compare") as line:
            line.send(header)
            line.send(frame)
            line.send(rgb + b"more")
            assert "in binary pieces" in json.loads(line.recv(timeout=10))["error"]
        with avatar_socket(web, "compare") as line:
            line.send(header)
            for piece in (frame[:100], frame[100:], rgb):
                line.send(piece)
            assert json.loads(line.recv(timeout=30))["worst_off"] == 0
            assert line.recv(timeout=10) == rgb


# The avatar that ships


def test_the_demo_avatar_is_whole_and_small_enough():
    bundle, speech = demo_avatar.demo_avatar()
    assert bundle.stat().st_size <= demo_avatar.MAX_AVATAR_BYTES
    assert AvatarBundle.open(bundle).manifest.likeness.subject == "the demo character, a made-up person"
    assert speech.stat().st_size > 50_000


def test_a_damaged_demo_avatar_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = demo_avatar.demo_avatar()[0].parent
    monkeypatch.setattr(demo_avatar.resources, "files", lambda _: tmp_path)
    with pytest.raises(InputError, match="expected the demo avatar that comes with gstalker"):
        demo_avatar.demo_avatar()
    shutil.copytree(folder, tmp_path / "demo")
    (tmp_path / "demo" / "speech.wav").write_bytes(b"changed")
    with pytest.raises(InputError, match="expected the file of the package, it was changed"):
        demo_avatar.demo_avatar()


def test_a_finished_demo_is_packed_with_its_hashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from gstalker.runtime.bundle import write_bundle

    with pytest.raises(InputError, match="found no audio"):
        demo_avatar.pack(tmp_path, tmp_path / "into")
    write_bundle(tmp_path / "character.gsavatar", made_bundle())
    (tmp_path / "session").mkdir()
    write_wav(tmp_path / "session" / "audio.wav", np.zeros(1600, np.float32))
    size = demo_avatar.pack(tmp_path, tmp_path / "into")
    assert size == (tmp_path / "into" / "character.gsavatar").stat().st_size
    assert set(json.loads((tmp_path / "into" / "files.json").read_text())) == {"character.gsavatar", "speech.wav"}
    monkeypatch.setattr(demo_avatar, "MAX_AVATAR_BYTES", 1000)
    with pytest.raises(InputError, match="expected at most 1000 bytes zipped"):
        demo_avatar.pack(tmp_path, tmp_path / "into")
