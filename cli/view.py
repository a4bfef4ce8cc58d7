"""`gstalker view`: the avatar in a browser."""

from __future__ import annotations

import subprocess
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from rich.console import Console
from rich.markup import escape

from gstalker.cli.child_process import running
from gstalker.runtime.errors import InputError

if TYPE_CHECKING:
    from gstalker.bridge.keys import ClientKeys


@dataclass(frozen=True)
class View:
    """Show an avatar in a browser: one that is served already, a bundle, or the demo character; until interrupted."""

    what: Annotated[str, tyro.conf.Positional] = ""
    """Where a server takes requests, as tcp://127.0.0.1:5555, which is also what is meant by nothing; or a bundle
    NAME.gsavatar, which is then served."""

    demo: bool = False
    """The trained demo character that comes with gstalker, with a sentence to say."""

    audio: Path | None = None
    """With a bundle: what it says when Play is pressed. Without it, files and the microphone make it speak."""

    port: int = 8765
    """TCP port of the page on this machine; 0 for any free one."""

    browser: bool = True
    """Open the page in the default browser."""

    captures: Path = Path("out/captures")
    """Folder for the pictures that are compared with the reference, each with its report."""

    export: Path | None = None
    """With a bundle: write the stand-alone page into this folder, for any file host, and end."""

    onnxruntime_web: Path | None = None
    """For --export: the unpacked npm package onnxruntime-web, where npm is not to fetch it."""

    keys: str | None = None
    """This client's keys, by name or file, for a server that demands keys."""

    server_key: str | None = None
    """The server's public key, by name or file."""

    def run(self) -> None:
        """Serve the page, and the avatar where one is given, until SIGINT or SIGTERM."""
        bundle, audio, address = self._chosen()
        if not 0 <= self.port <= 65535:
            raise InputError(f"--port: expected 0 to 65535, got {self.port}.")

        if self.export is not None:
            self._export(bundle, self.export)
            return

        from gstalker.bridge.web.server import start_web
        from gstalker.cli.serve import asked_to_end

        console = Console(stderr=True, soft_wrap=True, highlight=False)
        with (
            asked_to_end() as ended,
            _served(bundle, audio, address) as server,
            start_web(
                address,
                port=self.port,
                captures=self.captures,
                judge=_judge,
                keys=self._client_keys(),
                log=lambda line: console.print(f"[dim]{escape(line)}[/]"),
            ) as web,
        ):
            # On standard output and flushed: scripts wait for this line.
            print(f"viewing {bundle or address} at {web.url}", flush=True)
            if self.browser and not webbrowser.open(web.url):
                console.print("No browser could be opened: open the address yourself.")
            while not ended:
                if server is not None and server.poll() is not None:
                    raise InputError(f"{bundle}: the avatar's server ended with code {server.returncode}, see above.")
                threading.Event().wait(0.2)

    def _export(self, bundle: Path | None, folder: Path) -> None:
        if bundle is None:
            raise InputError("--export: expected a bundle NAME.gsavatar or --demo with it.")

        from gstalker.bridge.web.export import export_page

        size = export_page(bundle, folder, self.onnxruntime_web)
        console = Console(soft_wrap=True, highlight=False)
        console.print(f"{escape(str(folder))}: {size / 1e6:.1f} MB. Put it on any file host, or try it here:")
        console.print(f"  python -m http.server --bind 127.0.0.1 --directory {escape(str(folder))} 8000")

    def _chosen(self) -> tuple[Path | None, Path | None, str]:
        """The bundle to serve, its sound, and the address."""
        from gstalker.bridge.transport import DEFAULT_ADDRESS

        if self.demo:
            from gstalker.bridge.web.demo_avatar import demo_avatar

            if self.what:
                raise InputError(f"--demo: expected nothing else to view, got {self.what}.")
            bundle, speech = demo_avatar()
            return bundle, self.audio or speech, _free_address()
        if self.what and not self.what.startswith("tcp://"):
            bundle = Path(self.what)
            if not bundle.exists():
                raise InputError(
                    f"{self.what}: expected an address as {DEFAULT_ADDRESS} or an avatar bundle, found no such file."
                )
            return bundle, self.audio, _free_address()
        if self.audio is not None:
            raise InputError("--audio: expected a bundle with it; a server that runs has its own sound.")
        return None, None, self.what or DEFAULT_ADDRESS

    def _client_keys(self) -> ClientKeys | None:
        if (self.keys is None) != (self.server_key is None):
            raise InputError(
                "--keys and --server-key: expected both or neither: who this is, and which server is meant."
            )
        if self.keys is None or self.server_key is None:
            return None
        from gstalker.bridge.keys import ClientKeys, read_key_pair, read_public_key

        return ClientKeys(read_key_pair(self.keys), read_public_key(self.server_key))


@contextmanager
def _served(bundle: Path | None, audio: Path | None, address: str) -> Iterator[subprocess.Popen[bytes] | None]:
    """`gstalker serve` in a process of its own, so that drawing the page never waits for the avatar."""
    if bundle is None:
        yield None
        return
    sound = () if audio is None else ("--audio", audio)
    with running("serve", bundle, "--address", address, *sound, quiet=True) as process:
        yield process


def _free_address() -> str:
    from gstalker.bridge.free_port import free_port

    return f"tcp://127.0.0.1:{free_port()}"


def _judge(session: Path) -> str:
    """What `gstalker validate` says of a capture."""
    from gstalker.runtime.validate import ValidateOptions, validate_session

    report = validate_session(session, session / "report", None, ValidateOptions(reference_frames=1))
    return "gstalker validate passes it." if report.passed else "gstalker validate fails it: see its report."
