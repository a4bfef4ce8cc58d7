"""`gstalker doctor` on machines of several kinds, most of them made up."""

from __future__ import annotations

import re
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from helpers.without_extras import EXTRAS, run_without

from gstalker.cli import main as cli
from gstalker.runtime import doctor


def finding(topic: str) -> doctor.Finding:
    found = [f for f in doctor.examine() if f.topic == topic]
    assert len(found) == 1, found
    return found[0]


def test_this_machine_has_a_working_base(capsys: pytest.CaptureFixture[str]):
    assert cli.main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert f"{doctor.usable_cores()} cores" in out
    assert "ok     base" in out


def test_with_no_extra_installed_every_absence_says_how_to_get_it():
    done = run_without(EXTRAS, "from gstalker.cli.main import main; sys.exit(main(['doctor']))")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    absent = {line.split()[1]: advice for line, advice in pairwise(lines) if line.startswith("absent")}
    assert set(absent) >= {"training", "inference", "face", "sound", "made"}
    for topic, extra in [("training", "train"), ("inference", "cpu"), ("sound", "audio"), ("made", "demo")]:
        assert "-> pip install 'gstalker[" in absent[topic]
        assert extra in absent[topic]


def test_a_broken_base_is_named_and_is_exit_code_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setitem(doctor.BASE_PACKAGES, "not-there", "a_module_that_is_not_there")
    assert cli.main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert re.search(r"^broken base +cannot import not-there \(No module named", out, re.M)
    assert "training" not in out  # nothing is said of what stands on it


def test_inference_is_asked_of_a_session():
    pytest.importorskip("onnxruntime", reason="needs the extra cpu or gpu")
    assert doctor.avatar_providers() == ["CPUExecutionProvider"]
    assert "CPUExecutionProvider" in doctor.starting_providers()
    assert "avatars run on CPUExecutionProvider" in finding("inference").detail


def test_two_builds_of_onnx_runtime_are_called_broken(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(doctor, "_version", lambda distribution: "1.0")
    found = doctor.inference()
    assert found.state == "broken"
    assert "both installed" in found.detail
    assert found.advice == "pip uninstall onnxruntime onnxruntime-gpu, then install one of them"


def test_a_gpu_build_that_falls_back_to_the_cpu_is_noticed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(doctor, "_version", lambda d: "1.0" if d == "onnxruntime-gpu" else "")
    monkeypatch.setattr(doctor, "_installed", lambda module: True)
    monkeypatch.setattr(doctor, "avatar_providers", lambda: ["CPUExecutionProvider"])
    monkeypatch.setattr(doctor, "starting_providers", lambda: ["CPUExecutionProvider"])
    assert "CUDA did not start" in doctor.inference().advice


def test_a_gpu_that_torch_cannot_use_is_pointed_out(monkeypatch: pytest.MonkeyPatch):
    torch = pytest.importorskip("torch", reason="needs the extra train")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(doctor, "_nvidia_gpus", lambda: ["Some GPU"])
    found = next(doctor.training())
    assert "numba rasterizer" in found.detail
    assert found.advice == "Some GPU is not used: install a CUDA build of torch"


def test_without_torch_the_advice_follows_the_gpu(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(doctor, "_installed", lambda module: False)
    for gpus, advice in [
        ([], "pip install 'gstalker[train]'"),
        (["Some GPU"], "pip install 'gstalker[gpu,train]'"),
    ]:
        monkeypatch.setattr(doctor, "_nvidia_gpus", lambda gpus=gpus: gpus)
        assert next(doctor.training()).advice == advice


@pytest.mark.skipif(sys.platform == "win32", reason="the figure to compare with comes from POSIX")
def test_the_memory_is_a_plausible_figure():
    memory = doctor.memory_bytes()
    assert memory is not None
    assert 2**28 < memory < 2**46


def test_the_face_model_is_found_where_prepare_finds_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GSTALKER_MODELS", str(tmp_path))
    absent = finding("face model")
    assert absent.state == "absent"
    assert "face_landmarker.task is neither in $GSTALKER_MODELS nor in" in absent.detail
    assert doctor.DOWNLOAD_OPTION in absent.advice
    (tmp_path / "face_landmarker.task").write_bytes(b"a model")
    assert finding("face model").detail == str(tmp_path / "face_landmarker.task")


def test_the_option_that_doctor_names_is_one_of_prepare(capsys: pytest.CaptureFixture[str]):
    assert cli.main(["prepare", "--help"]) == 0
    assert doctor.DOWNLOAD_OPTION in capsys.readouterr().out
