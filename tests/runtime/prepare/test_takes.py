from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.portrait_video import Drawing, SkinTracker, draw, write_video

from gstalker.runtime.errors import InputError
from gstalker.runtime.prepare import takes
from gstalker.runtime.prepare.takes import find_takes
from gstalker.runtime.prepare.video import open_video


def shot(count: int, x: float = 80.0, backdrop: str = "blue", step: float = 0.1) -> list[np.ndarray]:
    return [draw(Drawing(face_px=(x + step * i, 56.0), backdrop=backdrop)) for i in range(count)]


def found(tmp_path: Path, pictures: list[np.ndarray], sound_s: float | None = None) -> list[takes.Take]:
    return find_takes(open_video(write_video(tmp_path / "a.mp4", pictures, sound_s=sound_s)), SkinTracker())


def spans(several: list[takes.Take]) -> list[tuple[int, int]]:
    return [(t.start, t.count) for t in several]


def test_an_uncut_video_is_one_take_with_its_sound(tmp_path: Path):
    (take,) = found(tmp_path, shot(40))
    assert (take.start, take.count, take.notes) == (0, 40, ())
    assert take.samples.shape == (40 * 640,)
    assert take.track.found.all()


def test_a_cut_to_another_picture_splits_there(tmp_path: Path):
    several = found(tmp_path, [*shot(30), *shot(40, backdrop="red")])
    assert spans(several) == [(0, 30), (30, 40)]
    assert several[1].samples.shape == (40 * 640,)
    assert several[1].notes == ("frames 30 to 69 of 70",)


def test_a_jump_of_the_face_before_the_same_backdrop_splits_there(tmp_path: Path):
    assert spans(found(tmp_path, [*shot(30, x=60.0), *shot(30, x=100.0)])) == [(0, 30), (30, 30)]


def test_a_fast_but_steady_move_does_not_split(tmp_path: Path):
    there_and_back = np.concatenate([np.linspace(40, 120, 10), np.linspace(120, 40, 10)])  # 0.2 face widths a frame
    pictures = [draw(Drawing(face_px=(x, 56.0))) for x in np.tile(there_and_back, 2)]
    assert spans(found(tmp_path, pictures)) == [(0, 40)]


def test_pieces_shorter_than_a_second_are_left_out_and_it_is_said(tmp_path: Path):
    several = found(tmp_path, [*shot(30), *shot(10, backdrop="red"), *shot(30)])
    assert spans(several) == [(0, 30), (40, 30)]
    assert all("0.40 s of the video left out" in t.notes[-1] for t in several)


def test_long_takes_are_written_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(takes, "LONGEST_FRAMES", 40)
    assert spans(found(tmp_path, shot(100))) == [(0, 33), (33, 34), (67, 33)]


def test_a_take_without_a_face_is_left_out(tmp_path: Path):
    faceless = [draw(Drawing(face=False, backdrop="red"))] * 30
    several = found(tmp_path, [*shot(30), *faceless])
    assert spans(several) == [(0, 30)]
    assert "1.20 s of the video left out: too short between cuts, or no face" in several[0].notes


def test_a_video_shorter_than_a_second_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"expected at least 1 s of video, got 0.96 s"):
        found(tmp_path, shot(24))


def test_a_video_cut_to_shreds_is_refused(tmp_path: Path):
    shreds = [p for i in range(4) for p in shot(12, backdrop=("blue", "red")[i % 2])]
    with pytest.raises(InputError, match="expected a second without a cut and with a face, found none"):
        found(tmp_path, shreds)


def test_sound_that_ends_early_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"expected sound as long as the picture \(2.00 s\), got 1.5"):
        found(tmp_path, shot(50), sound_s=1.5)


def test_one_passing_stranger_is_no_reason_to_refuse(tmp_path: Path):
    pictures = shot(60, x=50.0, step=0.0)
    pictures[10:14] = [draw(Drawing(face_px=(50.0, 56.0), second_face_px=(130.0, 50.0)))] * 4
    assert spans(found(tmp_path, pictures)) == [(0, 60)]
