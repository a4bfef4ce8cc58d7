"""`gstalker bench`: parts are found, figures are kept with where they come from."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from gstalker.cli import bench
from gstalker.cli import main as cli
from gstalker.runtime.errors import InputError


@dataclass(frozen=True)
class Row:
    gaussians: int
    forward_ms: float


@pytest.fixture
def made_up_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    def add(name: str, run: object) -> None:
        module = ModuleType(f"gstalker.bench.{name}")
        module.run = run  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)

    def fails() -> None:
        raise RuntimeError("no such instruction")

    def needs_an_avatar(bundle: Path | None = None) -> dict[str, str]:
        if bundle is None:
            raise InputError("expected --bundle, got none.")
        return {"measured": bundle.name}

    def sized(gaussians: int = 10, optional_bundle: Path | None = None) -> dict[str, object]:
        return {"gaussians": gaussians, "also": optional_bundle and optional_bundle.name}

    add("avatar", needs_an_avatar)
    add("sized", sized)
    add("first", lambda: {"size_px": [256, 256], "rows": [Row(10_000, 12.345678)], "psnr_db": np.float32(60.5)})
    add("second", fails)
    monkeypatch.setattr(bench, "parts", lambda: ["avatar", "first", "second"])


@pytest.mark.usefixtures("made_up_parts")
def test_figures_are_shown_and_written_with_their_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "new" / "bench.json"
    assert cli.main(["bench", "first", "--json", str(path)]) == 0
    report = json.loads(path.read_text(encoding="utf-8"))
    assert report["parts"] == {
        "first": {
            "size_px": [256, 256],
            "rows": [{"gaussians": 10_000, "forward_ms": 12.345678}],
            "psnr_db": 60.5,
        }
    }
    made_by = report["made_by"]
    assert made_by["usable_cores"] >= 1
    assert made_by["versions"]["numpy"] == np.__version__
    assert made_by["commit"]  # "unknown" outside of a checkout
    out = capsys.readouterr().out
    assert "rows 0 forward_ms" in out
    assert "12.35" in out
    assert "256, 256" in out


@pytest.mark.usefixtures("made_up_parts")
def test_a_part_that_fails_loses_no_earlier_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "bench.json"
    assert cli.main(["bench", "--json", str(path)]) == 1
    assert "failed with RuntimeError: no such instruction." in capsys.readouterr().err
    report = json.loads(path.read_text(encoding="utf-8"))
    assert list(report["parts"]) == ["first"]
    assert report["left_out"] == {"avatar": "it measures an avatar: give --bundle"}


@pytest.mark.usefixtures("made_up_parts")
def test_a_part_that_measures_an_avatar_gets_the_bundle_or_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "bench.json"
    assert cli.main(["bench", "avatar", "--bundle", "some.gsavatar", "--json", str(path)]) == 0
    assert json.loads(path.read_text(encoding="utf-8"))["parts"] == {"avatar": {"measured": "some.gsavatar"}}
    capsys.readouterr()
    assert cli.main(["bench", "avatar"]) == 2
    assert capsys.readouterr().err == "gstalker bench: expected --bundle, got none.\n"


@pytest.mark.usefixtures("made_up_parts")
def test_options_reach_the_part_that_has_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(bench, "parts", lambda: ["first", "sized"])
    path = tmp_path / "bench.json"

    def figures() -> dict[str, object]:
        return json.loads(path.read_text(encoding="utf-8"))["parts"]["sized"]

    assert cli.main(["bench", "sized", "--gaussians", "77", "--bundle", "some.gsavatar", "--json", str(path)]) == 0
    assert figures() == {"gaussians": 77, "also": "some.gsavatar"}
    assert cli.main(["bench", "--gaussians", "78", "--json", str(path)]) == 0  # of all parts, those that have it
    assert figures() == {"gaussians": 78, "also": None}
    capsys.readouterr()
    assert cli.main(["bench", "first", "--gaussians", "77"]) == 2
    assert "--gaussians: expected a part that takes it, first does not" in capsys.readouterr().err


@pytest.mark.usefixtures("made_up_parts")
def test_an_unknown_part_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]):
    assert cli.main(["bench", "third"]) == 2
    assert capsys.readouterr().err == "gstalker bench: PART: expected one of all, avatar, first, second, got 'third'.\n"


def test_every_part_has_a_run_function():
    found = bench.parts()
    assert {"deform", "kernels", "wire"} <= set(found)
    for name in found:
        source = (Path(bench.__file__).parents[1] / "bench" / f"{name}.py").read_text(encoding="utf-8")
        assert "\ndef run(" in source, name


@pytest.mark.usefixtures("made_up_parts")
def test_an_option_that_the_part_does_not_take_is_refused(capsys: pytest.CaptureFixture[str]):
    assert cli.main(["bench", "first", "--seconds", "3", "--load-seconds", "1"]) == 2
    assert "--load-seconds, --seconds: expected a part that takes it, first does not." in " ".join(
        capsys.readouterr().err.split()
    )


def test_options_reach_the_parts_that_take_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    module = ModuleType("gstalker.bench.timed")
    module.run = lambda seconds=1.0, ppm=0.0, optional_bundle=None: {  # type: ignore[attr-defined]
        "got": [seconds, ppm, str(optional_bundle)]
    }
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(bench, "parts", lambda: ["timed"])
    path = tmp_path / "bench.json"
    words = ["timed", "--seconds", "3", "--ppm", "200", "--bundle", "a.gsavatar", "--json", str(path)]
    assert cli.main(["bench", *words]) == 0
    assert json.loads(path.read_text(encoding="utf-8"))["parts"]["timed"]["got"] == [3.0, 200.0, "a.gsavatar"]


def test_what_parts_share_is_no_part():
    assert "contenders" not in bench.parts()
    assert {"kernels", "serve"} <= set(bench.parts())
