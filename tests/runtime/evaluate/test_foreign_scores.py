"""What SyncNet and OpenFace wrote is read as they wrote it, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest

from gstalker.runtime.errors import InputError
from gstalker.runtime.evaluate import foreign_scores
from gstalker.runtime.evaluate.config import EvalConfig
from gstalker.runtime.evaluate.evaluation import foreign_figures
from gstalker.runtime.evaluate.foreign_scores import action_unit_errors, syncnet_figures

HEADING = "frame, face_id, timestamp, confidence, success, AU01_r, AU12_r, AU01_c\n"


def openface(path: Path, rows: list[tuple[int, int, float, float]]) -> Path:
    lines = [f"{frame}, 0, 0.04, 0.98, {success}, {up}, {low}, 1\n" for frame, success, up, low in rows]
    path.write_text(HEADING + "".join(lines))
    return path


def test_syncnets_three_lines_become_three_figures(tmp_path: Path):
    path = tmp_path / "said.txt"
    path.write_text("Model loaded\nAV offset: \t-1 \nMin dist: \t6.742\nConfidence: \t7.321\nCompute time 1.2 sec.\n")
    assert syncnet_figures(path) == {
        "syncnet_offset_frames": -1.0,
        "syncnet_distance": 6.742,
        "syncnet_confidence": 7.321,
    }


def test_action_units_are_compared_in_frames_where_both_show_a_face(tmp_path: Path):
    real = openface(tmp_path / "real.csv", [(1, 1, 1.0, 2.0), (2, 1, 0.0, 1.0), (3, 0, 9.0, 9.0)])
    ours = openface(tmp_path / "ours.csv", [(1, 1, 1.5, 2.0), (2, 1, 0.5, 3.0), (3, 1, 0.0, 0.0)])
    assert action_unit_errors(real, ours) == {"au_error_upper": 0.5, "au_error_lower": 1.0, "au_frames": 2.0}


def test_figures_come_from_the_files_that_were_given(tmp_path: Path):
    assert foreign_figures(EvalConfig()) == {}
    table = openface(tmp_path / "a.csv", [(1, 1, 1.0, 2.0)])
    assert foreign_figures(EvalConfig(openface_real=table, openface_avatar=table))["au_error_lower"] == 0.0
    with pytest.raises(InputError, match="--openface-real and --openface-avatar: expected both or neither, got one"):
        foreign_figures(EvalConfig(openface_real=table))


def test_files_of_another_kind_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "x"
    with pytest.raises(InputError, match="--syncnet: expected a file, found none"):
        syncnet_figures(path)
    path.write_text("AV offset: 1\nAV offset: 2\nMin dist: 3\nConfidence: 4\n")
    with pytest.raises(InputError, match="once each, got 2 of 'AV offset'"):
        syncnet_figures(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="--syncnet: expected text, could not read"):
        syncnet_figures(path)
    path.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="--openface-real: expected OpenFace's CSV with frame, success"):
        action_unit_errors(path, path)
    good = openface(tmp_path / "good.csv", [(1, 1, 1.0, 2.0)])
    path.write_text(HEADING + "1, 0, 0.04, 0.98, 1, loud, 2, 1\n")
    with pytest.raises(InputError, match="--openface-avatar: expected numbers in line 2"):
        action_unit_errors(good, path)
    elsewhere = openface(tmp_path / "else.csv", [(7, 1, 1.0, 2.0)])
    with pytest.raises(InputError, match="--openface-avatar: expected frames in which both videos show a face"):
        action_unit_errors(good, elsewhere)
    monkeypatch.setattr(foreign_scores, "LARGEST_BYTES", 4)
    with pytest.raises(InputError, match="expected at most 256 MiB"):
        syncnet_figures(good)
