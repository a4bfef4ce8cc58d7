"""The command line's own behaviour: what it imports, how it fails, which code it leaves with."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from types import ModuleType

import pytest
from helpers.without_extras import EXTRAS, run_without

from gstalker.cli import main as cli
from gstalker.runtime.errors import InputError


def missing_torch() -> None:
    raise ModuleNotFoundError("No module named 'torch'", name="torch")


def missing_own_module() -> None:
    raise ModuleNotFoundError("No module named 'gstalker.nowhere'", name="gstalker.nowhere")


def bad_input() -> None:
    raise InputError("clip.mp4: expected sound,\ngot none; record with a microphone.")


def no_file() -> None:
    open("there/is/no/such.wav", "rb").close()


def bug() -> None:
    raise RuntimeError("the tensor [3, 4] is not [4, 3]")


def interrupted() -> None:
    raise KeyboardInterrupt


def finds_a_difference() -> int:
    return 3


def works() -> None:
    return None


BEHAVIOURS = {
    f.__name__: f
    for f in (
        missing_torch,
        missing_own_module,
        bad_input,
        no_file,
        bug,
        interrupted,
        finds_a_difference,
        works,
    )
}


@dataclass(frozen=True)
class Probe:
    """A made-up command that does one of BEHAVIOURS."""

    what: str = "works"
    size_px: int = 256  # has a default that --help shows

    def run(self) -> int | None:
        return BEHAVIOURS[self.what]()


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("gstalker.cli.probe")
    module.Probe = Probe  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "gstalker.cli.probe", module)
    monkeypatch.setitem(cli.COMMANDS, "probe", cli.Command("probe", "Probe", "made up for the test"))


@pytest.mark.parametrize(
    ("what", "code", "line"),
    [
        ("works", 0, ""),
        ("finds_a_difference", 3, ""),
        (
            "bad_input",
            2,
            "gstalker probe: clip.mp4: expected sound, got none; record with a microphone.\n",
        ),
        (
            "no_file",
            2,
            "gstalker probe: there/is/no/such.wav: No such file or directory.\n",
        ),
        (
            "missing_torch",
            2,
            "gstalker probe: torch is not installed, and this command needs it: pip install 'gstalker[train]'.\n",
        ),
        (
            "missing_own_module",
            1,
            "gstalker probe: failed with ModuleNotFoundError: No module named 'gstalker.nowhere'. "
            "Run again with --debug for the traceback.\n",
        ),
        (
            "bug",
            1,
            "gstalker probe: failed with RuntimeError: the tensor [3, 4] is not [4, 3]. "
            "Run again with --debug for the traceback.\n",
        ),
        ("interrupted", 130, "gstalker probe: interrupted.\n"),
    ],
)
@pytest.mark.usefixtures("probe")
def test_every_failure_is_one_line_and_a_code(what: str, code: int, line: str, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["probe", "--what", what]) == code
    out, err = capsys.readouterr()
    assert err == line
    assert not out


@pytest.mark.parametrize("words", [["--debug", "probe"], ["probe", "--debug"]])
@pytest.mark.usefixtures("probe")
def test_debug_anywhere_shows_the_traceback_and_keeps_the_code(words: list[str], capsys: pytest.CaptureFixture[str]):
    assert cli.main([*words, "--what", "bad_input"]) == 2
    err = capsys.readouterr().err
    assert "Traceback (most recent call last)" in err
    assert "in bad_input" in err
    assert err.endswith("gstalker probe: clip.mp4: expected sound, got none; record with a microphone.\n")


@pytest.mark.usefixtures("probe")
def test_a_wrong_option_ends_with_code_2(capsys: pytest.CaptureFixture[str]):
    assert cli.main(["probe", "--size-px", "large"]) == 2
    assert "--size-px" in capsys.readouterr().err


def test_an_unknown_command_ends_with_code_2_and_the_nearest_name(capsys: pytest.CaptureFixture[str]):
    assert cli.main(["trian"]) == 2
    assert capsys.readouterr().err == "gstalker: no command named 'trian'; did you mean train?\n"
    assert cli.main(["xyzzy"]) == 2
    assert capsys.readouterr().err == "gstalker: no command named 'xyzzy'; see gstalker --help.\n"


def test_no_command_shows_the_overview_with_code_2(capsys: pytest.CaptureFixture[str]):
    assert cli.main([]) == 2
    without = capsys.readouterr().out
    assert cli.main(["--help"]) == 0
    assert capsys.readouterr().out == without
    for name, command in cli.COMMANDS.items():
        assert f"{name} " in without
        assert command.summary in without


def test_the_version_is_the_installed_one(capsys: pytest.CaptureFixture[str]):
    from importlib.metadata import version

    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"gstalker {version('gstalker')}\n"


def test_the_overview_imports_no_command_and_nothing_heavy():
    script = (
        "import sys; from gstalker.cli.main import main; main(['--help']);"
        "print([m for m in sys.modules if m in ('torch', 'numba', 'onnxruntime', 'tyro', 'numpy')"
        " or m.startswith('gstalker.cli.') and m != 'gstalker.cli.main'], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300)
    assert done.stderr.strip() == "[]"


@pytest.fixture(scope="module")
def helps() -> dict[str, dict[str, str]]:
    """What every command answers to --help, and with which code, in a process that sees no extra's package."""
    script = """
import contextlib, io, json
from gstalker.cli.main import COMMANDS, main
answers = {}
for name in COMMANDS:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([name, "--help"])
    answers[name] = {"code": str(code), "out": out.getvalue(), "err": err.getvalue()}
print(json.dumps(answers))
"""
    done = run_without(EXTRAS, script)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_the_help_of_every_command_shows_defaults_and_needs_no_extra(name: str, helps: dict[str, dict[str, str]]):
    """--help must answer on a base install, so a command imports what its extra brings only when it runs."""
    answer = helps[name]
    assert answer["code"] == "0", answer["err"]
    assert f"usage: gstalker {name}" in answer["out"]
    assert "default:" in answer["out"] or name in ("doctor", "devices")  # which have no options
