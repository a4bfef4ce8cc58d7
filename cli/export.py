"""`gstalker export`: a training run to an avatar bundle."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console


@dataclass(frozen=True)
class Export:
    """Write a trained avatar as a bundle: Gaussians as PLY, networks as ONNX, checked against the training code."""

    trained: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(name="run")]
    """Folder that `gstalker train` wrote."""

    out: Path
    """Bundle to write, by habit NAME.gsavatar; NAME becomes the avatar's name."""

    subject: str | None = None
    """Whose likeness it is. Asked for on a terminal; recorded as "not stated" where nobody answers."""

    consent: str | None = None
    """What this person has agreed to, and where that is written. Asked for like --subject."""

    licence: str | None = None
    """Terms under which the avatar may be used. Asked for like --subject."""

    zip: bool = False
    """Write one zip file instead of a folder."""

    overwrite: bool = False
    """Replace the bundle if it is there."""

    def run(self) -> None:
        """Export, asking on a terminal for what the options leave open."""
        from gstalker.export.bake import bake_run
        from gstalker.export.likeness import likeness_from, not_stated
        from gstalker.export.write import export_avatar
        from gstalker.runtime.bundle_files import refuse_existing
        from gstalker.runtime.seen import seen_lines

        console = Console(stderr=True, highlight=False)
        refuse_existing(self.out, overwrite=self.overwrite)
        with console.status("evaluating the spatial part of the networks"):
            avatar = bake_run(self.trained, self.out.stem)
        ask = (lambda q: console.input(f"{q}? ")) if sys.stdin.isatty() and sys.stderr.isatty() else None
        likeness = likeness_from(self.subject, self.consent, self.licence, ask)
        missing = ", ".join(f"--{name}" for name in not_stated(likeness))
        if missing:
            console.print(f"[yellow]warning:[/] recorded as not stated: {missing}. Say whose likeness this is.")
        with console.status("checking the graphs against the trained networks"):
            bundle, parity = export_avatar(avatar, likeness, self.out, overwrite=self.overwrite, zipped=self.zip)
        counts, worst = bundle.manifest.counts, parity.worst
        size_mb = sum(f.size_bytes for f in bundle.manifest.files.values()) / 1e6
        print(
            f"bundle: {self.out}  ({counts.gaussians} Gaussians, {counts.movers} of them moving, {size_mb:.1f} MB)\n"
            f"graphs against the training code: worst is {worst.output}, off by {worst.worst:.1e} "
            f"with {worst.allowance:.1e} allowed"
        )
        for line in seen_lines(bundle.manifest.seen):
            print(line)
