"""`gstalker prepare` from the command line: options arrive, notes are said, bad input leaves with code 2."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.portrait_video import Drawing, SkinTracker, draw, write_video

from gstalker.cli import main as cli
from gstalker.runtime.dataset import Dataset
from gstalker.runtime.prepare import pipeline


@pytest.fixture
def skin_tracker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The command's face tracker is the stand-in."""
    (tmp_path / "face.task").write_bytes(b"not looked at")
    monkeypatch.setattr(pipeline, "MediaPipeTracker", lambda model: SkinTracker())


def test_a_dataset_is_made_and_what_was_changed_is_said(
    skin_tracker: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    video = write_video(tmp_path / "a.mp4", [draw()] * 70, rate=30)
    out = tmp_path / "data"
    options = ["--out", str(out), "--size-px", "64", "--jobs", "1", "--face-model", str(tmp_path / "face.task")]
    assert cli.main(["prepare", str(video), *options]) == 0
    assert Dataset(out).manifest.size_px == 64
    said = " ".join(capsys.readouterr().out.split())
    assert "resampled from 30.000 to 25 frames a second" in said
    assert "2 clips (1 to test)" in said
    assert "cutting out the person" in said


@pytest.mark.parametrize(
    ("with_sound", "face", "message"),
    [(False, True, "expected a video with sound, got none"), (True, False, "expected a face, found none")],
)
def test_a_video_without_sound_or_face_leaves_with_code_2_and_one_line(
    skin_tracker: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], with_sound: bool, face: bool, message: str
):
    video = write_video(tmp_path / "a.mp4", [draw(Drawing(face=face))] * 60, with_sound=with_sound)
    options = ["--out", str(tmp_path / "data"), "--jobs", "1", "--face-model", str(tmp_path / "face.task")]
    assert cli.main(["prepare", str(video), *options]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert message in said
    assert "Traceback" not in said
    assert not (tmp_path / "data").exists()


def test_a_video_cut_off_in_the_middle_leaves_with_code_2(
    skin_tracker: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    whole = write_video(tmp_path / "whole.mp4", [draw()] * 60, options={"movflags": "faststart"})
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    options = ["--out", str(tmp_path / "data"), "--jobs", "1", "--face-model", str(tmp_path / "face.task")]
    assert cli.main(["prepare", str(cut), *options]) == 2
    assert "cut.mp4: expected" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "data").exists()
