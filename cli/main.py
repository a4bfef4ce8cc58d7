"""`gstalker`: finds the command asked for, imports that one alone and turns failures into one line."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import metadata
from typing import Protocol

from rich.console import Console
from rich.markup import escape

from gstalker.runtime.errors import InputError

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


# Failures of the file system that name a path are the input's, not ours.
PATH_ERRORS = (FileNotFoundError, FileExistsError, PermissionError, IsADirectoryError, NotADirectoryError)


class Runnable(Protocol):
    """What a command module exposes: a frozen dataclass of its options that runs itself."""

    def run(self) -> int | None:
        """Do the work and return the exit code; None is success."""
        ...


@dataclass(frozen=True)
class Command:
    """One row of `gstalker --help`."""

    module: str  # under gstalker.cli
    class_name: str
    summary: str


# In the order of the chain. The summaries stand here so that --help imports no command.
COMMANDS = {
    "prepare": Command("prepare", "Prepare", "talking-portrait videos with sound -> dataset"),
    "train": Command("train", "Train", "dataset -> trained avatar (a run)"),
    "eval": Command("evaluate", "Evaluate", "run + held-out clips -> figures, plots, one HTML page"),
    "export": Command("export", "Export", "run -> bundle NAME.gsavatar (PLY + ONNX)"),
    "render": Command("render", "Render", "bundle + speech -> MP4 with sound"),
    "serve": Command("serve", "Serve", "bundle + speech -> frames and sound over ZeroMQ"),
    "say": Command("say", "Say", "sound file, microphone or PCM -> a running server's avatar speaks it"),
    "devices": Command("devices", "Devices", "which microphones this machine has"),
    "stats": Command("stats", "Stats", "running server -> how it keeps time, live"),
    "keys": Command("keys", "Keys", "make and show the keys that reach a server from another machine"),
    "view": Command("view", "View", "running server or bundle -> the avatar in a browser"),
    "play": Command("play", "Play", "running server -> loudspeaker, and how sound and picture keep together"),
    "record": Command("record", "Record", "running server -> session: the frames as sent"),
    "validate": Command("validate", "Validate", "session + an engine's pictures -> is the drawing right"),
    "demo": Command("demo", "Demo", "the whole chain on an avatar it makes itself"),
    "bench": Command("bench", "Bench", "measured figures with machine, commit and sizes"),
    "doctor": Command("doctor", "Doctor", "what is installed, which devices will be used, what is missing"),
}

# Import name -> the extra that brings it.
EXTRA_OF_MODULE = {
    "torch": "train",
    "mediapipe": "train",
    "cv2": "train",
    "tensorboard": "train",
    "onnxruntime": "cpu",
    "gsplat": "gpu",
    "ray": "ray",
    "sounddevice": "audio",
    "pythonosc": "osc",
    "espeakng_loader": "demo",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line, the program's own by default, and return its exit code.

    0 success, 1 a failure inside, 2 bad input or usage, 130 interrupted. Python's own traceback of a failure
    is shown only with --debug, which may stand anywhere before a bare `--`.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    end_of_options = words.index("--") if "--" in words else len(words)
    debug = "--debug" in words[:end_of_options]
    words = [w for w in words[:end_of_options] if w != "--debug"] + words[end_of_options:]

    if not words or words[0] in ("-h", "--help", "help"):
        _print_overview()
        return EXIT_OK if words else EXIT_BAD_INPUT
    if words[0] == "--version":
        print(f"gstalker {metadata.version('gstalker')}")
        return EXIT_OK
    name = words[0]
    if name not in COMMANDS:
        near = get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {near[0]}?" if near else "see gstalker --help."
        return _complain("gstalker", f"no command named {name!r}; {hint}", EXIT_BAD_INPUT)
    try:
        return _run(name, words[1:])
    except SystemExit as stop:  # tyro's way out after --help (0) and after a bad option (2)
        return stop.code if isinstance(stop.code, int) else EXIT_OK
    except KeyboardInterrupt:
        return _complain(f"gstalker {name}", "interrupted.", EXIT_INTERRUPTED)
    except Exception as error:  # the one place where a failure becomes a line and an exit code
        if debug:
            traceback.print_exc()
        message, code = describe_failure(error, debug=debug)
        return _complain(f"gstalker {name}", message, code)


def describe_failure(error: Exception, *, debug: bool = False) -> tuple[str, int]:
    """The line a person reads about a failure, and the exit code."""
    if isinstance(error, InputError):
        return str(error), EXIT_BAD_INPUT
    if isinstance(error, ModuleNotFoundError):
        missing = (error.name or "").partition(".")[0]
        if missing in EXTRA_OF_MODULE:
            extra = EXTRA_OF_MODULE[missing]
            return (
                f"{missing} is not installed, and this command needs it: pip install 'gstalker[{extra}]'.",
                EXIT_BAD_INPUT,
            )
    if isinstance(error, PATH_ERRORS) and error.filename is not None:
        return f"{error.filename}: {error.strerror}.", EXIT_BAD_INPUT
    text = " ".join(str(error).split()).rstrip(".") or "no message"
    hint = "" if debug else " Run again with --debug for the traceback."
    return f"failed with {type(error).__name__}: {text}.{hint}", EXIT_FAILED


def _run(name: str, arguments: list[str]) -> int:
    import tyro  # a tenth of a second that --version and --help do without

    command = COMMANDS[name]
    module = importlib.import_module(f"gstalker.cli.{command.module}")
    cls: type[Runnable] = getattr(module, command.class_name)
    code = tyro.cli(cls, prog=f"gstalker {name}", args=arguments).run()
    return EXIT_OK if code is None else code


def _complain(source: str, message: str, code: int) -> int:
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    console.print(f"[bold red]{escape(source)}:[/] {escape(' '.join(message.split()))}")
    return code


def _print_overview() -> None:
    console = Console(highlight=False)
    console.print("usage: gstalker COMMAND ...    (gstalker COMMAND --help shows its options)\n")
    width = max(map(len, COMMANDS))
    for name, command in COMMANDS.items():
        console.print(f"  [bold]{name:<{width}}[/]  {escape(command.summary)}", soft_wrap=True)
    console.print("\n  --debug, anywhere, shows the traceback of a failure; --version the version", soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
