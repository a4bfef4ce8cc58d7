"""What `gstalker train` refuses before anything slow happens, and how an interrupt is taken."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch")

from gstalker.cli.main import main
from gstalker.cli.train import interrupt_is_a_wish


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "DATASET: expected at least one folder that `gstalker prepare` wrote, got none"),
        (["a", "b", "--workers", "999"], "--workers: expected 1 to"),
        (["x/a", "y/a"], "runs are named by their dataset's folder, and 'a' is taken"),
    ],
)
def test_what_cannot_be_started_is_refused_with_nothing_written(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "out"
    assert main(["train", *words, "--out", str(out)]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not out.exists()


@pytest.fixture
def interrupts_raise() -> Iterator[None]:
    """As in a terminal, also where a shell has started the tests in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot send itself an interrupt")
@pytest.mark.usefixtures("interrupts_raise")
def test_the_first_interrupt_asks_and_the_second_interrupts():
    with interrupt_is_a_wish() as stop:
        assert not stop()
        os.kill(os.getpid(), signal.SIGINT)
        assert stop()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot send itself an interrupt")
@pytest.mark.usefixtures("interrupts_raise")
def test_a_job_that_ignores_interrupts_goes_on_ignoring_them():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interrupt_is_a_wish() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert not stop()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
