"""`gstalker keys`: make and show the keys that reach a server from another machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.markup import escape

from gstalker.runtime.errors import InputError


@dataclass(frozen=True)
class Keys:
    """Make a key pair, list the keys of this user, or show a public key. A secret key is never printed.

    Every end needs a pair: `gstalker keys new server` where avatars are served, `gstalker keys new NAME` on each
    client's machine. Then give each other the files NAME.public.json; docs/security.md has the steps.
    """

    action: Annotated[Literal["new", "list", "show"], tyro.conf.Positional]
    """What to do: new NAME, list, or show NAME."""

    name: Annotated[str, tyro.conf.Positional] = ""
    """Name of the key: letters, digits, - and _."""

    folder: Path | None = None
    """Where the keys are kept; the user's own configuration folder unless told otherwise."""

    def run(self) -> None:
        """Do it; what is printed may be given to anybody."""
        from gstalker.bridge import keys

        console = Console(soft_wrap=True, highlight=False)
        folder = keys.key_folder() if self.folder is None else self.folder
        if (self.action == "list") == bool(self.name):
            raise InputError(f"gstalker keys {self.action}: expected {'no' if self.name else 'a'} name after it.")
        if self.action == "new":
            public_path, secret_path = keys.write_key_pair(keys.new_key_pair(self.name), folder)
            console.print(f"to give away:  {escape(str(public_path))}")
            console.print(f"to keep:       {escape(str(secret_path))}")
            if os.name != "posix":
                console.print(
                    "This system has no owner-only files as others do: the secret file is as private as its folder. "
                    "Keep it inside your user profile."
                )
        elif self.action == "show":
            key = keys.read_public_key(self.name, folder)
            console.print(f"{key.name}  {escape(key.z85)}")
        else:
            self._list(console, folder)

    @staticmethod
    def _list(console: Console, folder: Path) -> None:
        from gstalker.bridge import keys

        found = sorted(folder.glob(f"*{keys.PUBLIC_SUFFIX}")) if folder.is_dir() else []
        if not found:
            console.print(f"no keys in {escape(str(folder))}; `gstalker keys new NAME` makes a pair")
        for path in found:
            key = keys.read_public_key(path)
            secret = path.with_name(path.name.removesuffix(keys.PUBLIC_SUFFIX) + keys.SECRET_SUFFIX)
            console.print(f"{key.name}  {escape(key.z85)}  {'pair' if secret.exists() else 'public key alone'}")
