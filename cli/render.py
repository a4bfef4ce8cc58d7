"""`gstalker render`: a bundle and speech to a video with sound."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class Render:
    """Let an avatar speak a recording and write it as an MP4 with sound."""

    bundle: Annotated[Path, tyro.conf.Positional]
    """Avatar bundle, a folder or a zip, that `gstalker export` wrote."""

    audio: Path
    """Speech: a WAV, or any file with sound."""

    out: Path
    """MP4 to write."""

    size_px: int | None = None
    """Width and height in pixels, even. Default: the size the avatar was trained at."""

    mark: bool = False
    """Draw a visible label SYNTHETIC. The file's metadata says so in any case."""

    overwrite: bool = False
    """Replace the MP4 if it is there."""

    threads: int = 2
    """Threads of the networks."""

    def run(self) -> None:
        """Render, with a progress bar."""
        from gstalker.cli.progress import RichProgress
        from gstalker.runtime.bundle import AvatarBundle
        from gstalker.runtime.render_video import render_video

        bundle = AvatarBundle.open(self.bundle)
        with RichProgress() as progress:

            def show(done: int, total: int) -> None:
                if done == 1:
                    progress.stage("render", total)
                progress.advance()

            video = render_video(
                bundle,
                self.audio,
                self.out,
                size_px=self.size_px,
                mark=self.mark,
                overwrite=self.overwrite,
                threads=self.threads,
                progress=show,
            )
        print(f"video: {video.path}  ({video.frame_count} frames, {video.seconds:.1f} s, {video.size_px} px)")
