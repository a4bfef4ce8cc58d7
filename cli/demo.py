"""`gstalker demo`: the whole chain on an avatar it makes itself, one command after the other."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from gstalker.cli.child_process import running
from gstalker.runtime.errors import InputError

TEST_CLIPS = 2
SERVER_START_S = 60  # a first start compiles kernels
RECORD_SECONDS = 6.0


@dataclass(frozen=True)
class Demo:
    """Make a talking character, train an avatar on it, evaluate, export, serve, record, validate, render."""

    out: Path = Path("out/demo")
    """Folder for everything that is made; must not exist, or --overwrite."""
    size_px: int = 256
    """Width and height of the pictures, pixels."""
    clips: int = 10
    """How many sentences the character says; the last two test."""
    steps: int | None = None
    """Training steps; the preset's own if not given."""
    seed: int = 0
    """Seed of the character's motion and of training."""
    port: int = 5565
    """Loopback port on which the avatar is served; the next one is used as well."""
    overwrite: bool = False
    """Replace what an earlier demo left in --out."""
    view: bool = field(default_factory=lambda: sys.stdout.isatty())
    """Show the avatar in a browser at the end, until interrupted; by default where the output is a terminal."""
    browser: bool = True
    """With --view: open the page; without it, only its address is printed."""
    web_port: int = 8765
    """With --view: TCP port of the page on this machine; 0 for any free one."""

    def run(self) -> int:
        """Run the chain; the exit code is that of validation."""
        import shutil

        from gstalker.cli.evaluate import Evaluate
        from gstalker.cli.export import Export
        from gstalker.cli.prepare import Prepare
        from gstalker.cli.record import Record
        from gstalker.cli.render import Render
        from gstalker.cli.train import Train
        from gstalker.cli.validate import Validate

        if self.clips <= TEST_CLIPS:
            raise InputError(f"--clips: expected more than {TEST_CLIPS}, which test, got {self.clips}.")
        if self.out.exists() and any(self.out.iterdir()):
            if not self.overwrite:
                raise InputError(f"{self.out}: holds an earlier demo. Give another --out, or --overwrite.")
            shutil.rmtree(self.out)
        started = time.monotonic()
        chapters = _Chapters(Console(stderr=True, highlight=False))
        out = self.out
        dataset, trained, bundle = out / "dataset", out / "run", out / "character.gsavatar"
        report, session, validation = out / "report", out / "session", out / "validation"

        chapters.begin("a character is drawn, speaking", f"the videos in {out / 'character'}")
        videos, split = self._make_videos()
        speech = videos[-1].with_suffix(".mp4")
        chapters.begin("gstalker prepare", "videos -> dataset")
        Prepare(tuple(videos), dataset, size_px=self.size_px, split=split, tracker="sidecar").run()
        chapters.begin("gstalker train", "dataset -> trained avatar")
        Train((dataset,), trained, preset="demo", steps=self.steps, seed=self.seed).run()
        chapters.begin("gstalker eval", "trained avatar -> report on unseen clips")
        Evaluate(trained, report).run()
        chapters.begin("gstalker export", "trained avatar -> bundle")
        Export(
            trained,
            bundle,
            subject="the demo character, a made-up person",
            consent="none needed: nobody is shown",
            licence="Apache-2.0",
        ).run()
        chapters.begin("gstalker serve and record", "the bundle speaks over ZeroMQ, a Python client listens")
        address = f"tcp://127.0.0.1:{self.port}"
        with running("serve", bundle, "--audio", speech, "--address", address):
            Record(address, session, seconds=RECORD_SECONDS, pictures=4, timeout_s=SERVER_START_S).run()
        chapters.begin("gstalker validate", "what was sent against the reference renderer")
        verdict = Validate(session, validation, reference_frames=4).run()
        chapters.begin("gstalker render", "bundle + speech -> video with sound")
        Render(bundle, speech, out / "character.mp4", mark=True).run()
        chapters.end(
            time.monotonic() - started,
            {
                "the character's videos": out / "character",
                "what prepare saw": dataset / "contact_sheet.png",
                "how good the avatar is": report / "index.html",
                "the avatar": bundle,
                "is the drawing right": validation / "index.html",
                "the avatar speaking": out / "character.mp4",
            },
        )
        if self.view:
            from gstalker.cli.view import View

            chapters.begin("gstalker view", "the avatar in a browser, until Ctrl-C")
            View(str(bundle), audio=speech, port=self.web_port, browser=self.browser, captures=out / "captures").run()
        else:
            print(f"the avatar in a browser: gstalker view {bundle} --audio {speech}", flush=True)
        return verdict

    def _make_videos(self) -> tuple[list[Path], Path]:
        """The character's videos and a split file."""
        from gstalker.cli.progress import RichProgress
        from gstalker.runtime.demo_character.make_clips import DemoCharacterConfig, make_clips

        folder = self.out / "character"
        config = DemoCharacterConfig(size_px=self.size_px, clips=self.clips, seed=self.seed)
        with RichProgress() as progress:

            def show(done: int, total: int) -> None:
                if done == 1:
                    progress.stage("drawing", total)
                progress.advance()

            videos = make_clips(config, folder, show)
        names = [video.stem for video in videos]
        split = folder / "split.json"
        split.write_text(json.dumps({"train": names[:-TEST_CLIPS], "test": names[-TEST_CLIPS:]}), encoding="utf-8")
        return videos, split


class _Chapters:
    """Headings with the time each part took."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began: float | None = None

    def _close(self) -> None:
        if self._began is not None:
            self._console.print(f"[dim]{time.monotonic() - self._began:.0f} s[/]")

    def begin(self, title: str, what: str) -> None:
        self._close()
        self._began = time.monotonic()
        self._console.print(f"\n[bold cyan]{escape(title)}[/]  {escape(what)}")

    def end(self, seconds: float, places: dict[str, Path]) -> None:
        self._close()
        self._console.print(f"\n[bold green]done[/] in {seconds:.0f} s. Look at:")
        width = max(map(len, places))
        for what, path in places.items():
            self._console.print(f"  {what:<{width}}  {escape(str(path))}", soft_wrap=True)
