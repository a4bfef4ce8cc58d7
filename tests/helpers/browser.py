"""A headless Chromium, driven over its DevTools protocol: no npm and no driver package."""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--disable-extensions",
    "--no-first-run",
    "--mute-audio",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
    "--remote-debugging-port=0",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
)


def find_chromium() -> str | None:
    """The browser to test with: $GSTALKER_CHROMIUM, or one on the PATH."""
    return os.environ.get("GSTALKER_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


class BrowserError(AssertionError):
    """A page threw, or did not get where a test waited for it to be."""


class Browser:
    """One Chromium process; `page` opens tabs in it."""

    def __init__(self, executable: str, *, width: int = 900, height: int = 700, flags: tuple[str, ...] = ()) -> None:
        self._profile = tempfile.TemporaryDirectory(prefix="gstalker_chromium_", ignore_cleanup_errors=True)
        command = [executable, *FLAGS, *flags, f"--user-data-dir={self._profile.name}"]
        command += [f"--window-size={width},{height}", "about:blank"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._closing = ExitStack()
        self._socket = self._closing.enter_context(connect(self._address(), max_size=None, compression=None))
        self.connection = Connection(self._socket)

    def _address(self) -> str:
        place = Path(self._profile.name) / "DevToolsActivePort"
        for _ in range(600):
            if place.is_file() and len(lines := place.read_text().splitlines()) == 2:
                return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
            if self._process.poll() is not None:
                raise BrowserError(f"Chromium ended with code {self._process.returncode} before it could be driven")
            time.sleep(0.05)
        raise BrowserError("Chromium did not open its DevTools port within 30 s")

    def page(self, url: str = "about:blank") -> Page:
        """A new tab."""
        target = self.connection.send("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = self.connection.send("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        page = Page(self.connection, session, target)
        if url != "about:blank":
            page.open(url)
        return page

    def close(self) -> None:
        with suppress(BrowserError, OSError, WebSocketException):  # gone already; it is ended below in any case
            self.connection.send("Browser.close", {})
        self._closing.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._profile.cleanup()

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class Connection:
    """Calls and events of the DevTools protocol on one socket."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.events: deque[dict[str, Any]] = deque(maxlen=5000)

    def send(self, method: str, params: dict[str, Any], session: str = "", timeout_s: float = 60.0) -> dict[str, Any]:
        """Call a method and wait for its result; events that come meanwhile are kept."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params, **({"sessionId": session} if session else {})}
        self._socket.send(json.dumps(message))
        give_up_at_s = time.monotonic() + timeout_s
        while time.monotonic() < give_up_at_s:
            answer = json.loads(self._socket.recv(timeout=max(0.01, give_up_at_s - time.monotonic())))
            if answer.get("id") == number:
                if "error" in answer:
                    raise BrowserError(f"{method}: {answer['error']}")
                return answer["result"]
            if "method" in answer:
                self.events.append(answer)
        raise BrowserError(f"{method}: no answer within {timeout_s:g} s")


class Page:
    """One tab."""

    def __init__(self, connection: Connection, session: str, target: str) -> None:
        self._connection, self._session, self._target = connection, session, target
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable", {})

    def send(self, method: str, params: dict[str, Any], timeout_s: float = 60.0) -> dict[str, Any]:
        return self._connection.send(method, params, self._session, timeout_s)

    def open(self, url: str) -> None:
        """Go there and wait until the page has loaded."""
        self.send("Page.navigate", {"url": url})
        self.wait_for("document.readyState === 'complete' && location.href !== 'about:blank'")

    def evaluate(self, expression: str, timeout_s: float = 60.0) -> Any:
        """The value of a JavaScript expression, awaited where it is a promise.

        Raises:
            BrowserError: it threw; with what the page says of it.
        """
        params = {"expression": expression, "awaitPromise": True, "returnByValue": True, "userGesture": True}
        result = self.send("Runtime.evaluate", params, timeout_s)
        if "exceptionDetails" in result:
            details = result["exceptionDetails"]
            raise BrowserError(details.get("exception", {}).get("description") or details["text"])
        return result["result"].get("value")

    def wait_for(self, condition: str, timeout_s: float = 30.0) -> Any:
        """Until a JavaScript expression is true; its value."""
        give_up_at_s = time.monotonic() + timeout_s
        value = None
        while time.monotonic() < give_up_at_s:
            value = self.evaluate(f"Promise.resolve({condition}).catch(() => null)")
            if value:
                return value
            time.sleep(0.05)
        raise BrowserError(
            f"within {timeout_s:g} s this did not become true: {condition}; last: {value!r}\n{self.log()}"
        )

    def give(self, name: str, data: bytes) -> None:
        """Put bytes into the page as `window.NAME`, a Uint8Array."""
        text = base64.b64encode(data).decode("ascii")
        self.evaluate(f"window.{name} = Uint8Array.from(atob('{text}'), (c) => c.charCodeAt(0)); 0")

    def take(self, expression: str, timeout_s: float = 60.0) -> bytes:
        """Bytes of the page: the expression is a Uint8Array, or a promise of one."""
        script = f"""(async () => {{
            const taken = new Uint8Array(await ({expression}));
            let text = '';
            for (let i = 0; i < taken.length; i += 32768) {{
                text += String.fromCharCode(...taken.subarray(i, i + 32768));
            }}
            return btoa(text);
        }})()"""
        return base64.b64decode(self.evaluate(script, timeout_s))

    def screenshot(self, path: Path) -> Path:
        """The visible page as a PNG."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", {"format": "png"})["data"]))
        return path

    def resize(self, width: int, height: int, *, scale: float = 1.0, mobile: bool = False) -> None:
        params = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": mobile}
        self.send("Emulation.setDeviceMetricsOverride", params)

    def events(self, method: str) -> list[dict[str, Any]]:
        """What the page has reported so far under this name."""
        self.evaluate("0")  # what waits in the socket comes in before the answer
        mine = (e for e in self._connection.events if e.get("sessionId") == self._session)
        return [e["params"] for e in mine if e["method"] == method]

    def log(self) -> str:
        """Console messages and errors, a line each, for a failing test to show."""
        lines = [
            " ".join(str(a.get("value", a.get("description", ""))) for a in e["args"])
            for e in self.events("Runtime.consoleAPICalled")
        ]
        lines += [
            e["exceptionDetails"].get("exception", {}).get("description", e["exceptionDetails"]["text"])
            for e in self.events("Runtime.exceptionThrown")
        ]
        lines += [e["entry"]["text"] for e in self.events("Log.entryAdded")]
        return "\n".join(lines)

    def close(self) -> None:
        self._connection.send("Target.closeTarget", {"targetId": self._target})


def eventually(condition: Callable[[], Any], what: str, timeout_s: float = 30.0) -> Any:
    """Until a Python condition holds; its value."""
    give_up_at_s = time.monotonic() + timeout_s
    while time.monotonic() < give_up_at_s:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise BrowserError(f"within {timeout_s:g} s this did not come: {what}")
