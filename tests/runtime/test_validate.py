"""Validation passes what was drawn right, fails what was not, and says where."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
from helpers import made_session
from helpers.made_session import BOX, CAMERA, MOVERS, SIZE_PX, frame_entry, write_made_session
from markupsafe import escape
from PIL import Image

from gstalker.kernels import reference
from gstalker.kernels.camera import Camera, intrinsics
from gstalker.kernels.frame import assemble
from gstalker.kernels.quantise import pack_movers
from gstalker.runtime.errors import InputError
from gstalker.runtime.metrics import DifferenceStats
from gstalker.runtime.session import PICTURES, SessionReader, SessionWriter
from gstalker.runtime.session.captures import write_capture
from gstalker.runtime.validate import ValidateOptions, validate_session
from gstalker.runtime.validate_report import Comparison, Group, ValidationReport, difference_strip

FEW = ValidateOptions(reference_frames=2)


@pytest.fixture
def session(tmp_path: Path) -> Path:
    write_made_session(tmp_path / "session", range(8))
    return tmp_path / "session"


def group(report: ValidationReport, name: str) -> Group:
    return next(g for g in report.groups if g.name == name)


def test_a_sound_session_passes_and_says_by_how_much(session: Path, tmp_path: Path):
    report = validate_session(session, tmp_path / "report", options=FEW)
    assert report.passed
    assert [g.name for g in report.groups] == ["as-sent", "client"]
    # 55 and 50 dB are asked for; quantising must cost something, or the two payloads are not what they say.
    assert 55 <= group(report, "as-sent").worst.difference.psnr_db < 100
    assert group(report, "client").worst.difference.psnr_db > 100
    assert group(report, "client").worst.ssim > 0.999999
    assert report.notes() == []
    written = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))
    assert written["passed"] is True
    assert [c["passed"] for c in written["checks"]] == [True] * 4
    for compared in written["groups"][0]["comparisons"]:
        strip = Image.open(tmp_path / "report" / compared["picture"])
        assert strip.size == (3 * SIZE_PX, SIZE_PX)


def test_the_worst_frame_of_all_is_looked_at_though_it_is_not_among_the_spread_ones(tmp_path: Path):
    """Frame 1 of 8 was packed with every mover shifted by a millimetre; the spread frames are 2 and 6."""
    writer = SessionWriter(tmp_path / "session", made_session.info(), *made_session.cloud())
    for index in range(8):
        made = made_session.frame(index)
        means = made.means + np.float32(1e-3 if index == 1 else 0)
        packed = pack_movers(means, made.quats_wxyz, made.scales, made.opacities, BOX)
        writer.add_frame(frame_entry("q16", made), packed.tobytes())
        writer.add_frame(frame_entry("f32", made), made_session.f32_bytes(made))
    writer.close("done", complete=True)
    report = validate_session(tmp_path / "session", tmp_path / "report", options=FEW)
    assert report.worst_by_quick_renderer == 1
    as_sent = group(report, "as-sent")
    assert [c.frame_index for c in as_sent.comparisons] == [1, 2, 6]
    assert as_sent.worst.frame_index == 1
    assert not as_sent.passed
    assert not report.passed
    assert group(report, "client").passed, "the client draws well what was sent wrong"
    checks = {what: (holds, text) for what, holds, text in report.checks()}
    holds, text = checks[as_sent.title]
    assert not holds
    assert "at frame 1" in text
    assert "at least 55 dB wanted" in text


def capture_all(session: Path, folder: Path, change=lambda rgb: rgb, camera: Camera = CAMERA, background=None) -> None:
    """What an engine that draws like the reference would capture of frames 2 and 5."""
    reader = SessionReader(session)
    behind = reader.plate / 255 if background is None else np.array(background)
    for entry in reader.frames("q16"):
        if entry.index in (2, 5):
            cloud = assemble(reader.canonical, reader.part_ids, reader.read_frame(entry))
            rgb = change(reference.render(cloud, camera, behind).rgb)
            path = write_capture(folder, entry.index, camera, rgb, "a made engine")
            if background is not None:
                fields = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
                fields["background_rgb"] = list(background)
                path.with_suffix(".json").write_text(json.dumps(fields), encoding="utf-8")


def test_pictures_drawn_right_pass(session: Path, tmp_path: Path):
    capture_all(session, tmp_path / "engine")
    report = validate_session(session, tmp_path / "report", tmp_path / "engine", FEW)
    pictures = group(report, "pictures")
    assert pictures.passed
    assert "a made engine" in pictures.title
    # Rounding to 8 bits alone leaves 10 log10(12 * 255^2) = 58.9 dB, more where the plate shows, which has 8 bits.
    assert 58.4 < pictures.overall_psnr_db < 64


def test_pictures_in_the_session_are_found_by_themselves(session: Path, tmp_path: Path):
    capture_all(session, session / PICTURES)
    report = validate_session(session, tmp_path / "report", options=FEW)
    assert len(group(report, "pictures").comparisons) == 2


def test_a_picture_that_was_drawn_wrong_fails_at_its_worst_pixel(session: Path, tmp_path: Path):
    def spot(rgb: np.ndarray) -> np.ndarray:
        rgb = rgb.copy()
        rgb[20, 11] = 1 - np.round(np.clip(rgb[20, 11], 0, 1))
        return rgb

    capture_all(session, tmp_path / "engine", spot)
    report = validate_session(session, tmp_path / "report", tmp_path / "engine", FEW)
    pictures = group(report, "pictures")
    assert not pictures.passed
    assert not report.passed
    difference = pictures.worst.difference
    assert (difference.worst_x_px, difference.worst_y_px) == (11, 20)
    assert difference.visible_share == pytest.approx(1 / SIZE_PX**2)
    lenient = dataclasses.replace(FEW, pictures_db=10.0)
    assert validate_session(session, tmp_path / "report", tmp_path / "engine", lenient).passed


def test_a_mirrored_picture_fails(session: Path, tmp_path: Path):
    capture_all(session, tmp_path / "engine", lambda rgb: rgb[:, ::-1])
    report = validate_session(session, tmp_path / "report", tmp_path / "engine", FEW)
    assert group(report, "pictures").worst.difference.psnr_db < 30


def test_an_engine_may_use_a_camera_of_its_own_before_one_colour(session: Path, tmp_path: Path):
    viewmat = CAMERA.viewmat.copy()
    viewmat[:3, 3] += [0.02, -0.01, 0.1]
    camera = Camera(viewmat, intrinsics(90.0, 48, 40), 48, 40)
    capture_all(session, tmp_path / "engine", camera=camera, background=(0.2, 0.4, 0.6))
    report = validate_session(session, tmp_path / "report", tmp_path / "engine", FEW)
    assert group(report, "pictures").passed


def test_another_size_before_the_plate_is_refused(session: Path, tmp_path: Path):
    camera = Camera(CAMERA.viewmat, intrinsics(90.0, 48, 40), 48, 40)
    write_capture(tmp_path / "engine", 2, camera, np.zeros((40, 48, 3)), "a made engine")
    with pytest.raises(InputError, match="expected the plate's size 32 x 32 px, or a background_rgb, got 48 x 40"):
        validate_session(session, tmp_path / "report", tmp_path / "engine", FEW)
    assert not (tmp_path / "report").exists()


def test_a_picture_of_a_frame_that_was_not_recorded_is_refused(session: Path, tmp_path: Path):
    write_capture(tmp_path / "engine", 99, CAMERA, np.zeros((SIZE_PX, SIZE_PX, 3)), "a made engine")
    with pytest.raises(InputError, match="expected a frame of the session, 0 to 7, got 99"):
        validate_session(session, tmp_path / "report", tmp_path / "engine", FEW)


def test_without_unquantised_frames_what_the_wire_loses_is_not_measured_and_that_is_said(tmp_path: Path):
    write_made_session(tmp_path / "session", unquantised=False, sound=False)
    report = validate_session(tmp_path / "session", tmp_path / "report", options=FEW)
    assert [g.name for g in report.groups] == ["client"]
    assert "No unquantised frames were recorded, so what the wire loses was not measured." in report.notes()
    assert "The session has no sound." in report.notes()
    assert report.passed


def test_what_never_came_is_noted(tmp_path: Path):
    write_made_session(tmp_path / "session", [0, 1, 4, 5])
    (tmp_path / "session" / "end.json").unlink()
    report = validate_session(tmp_path / "session", tmp_path / "report", options=FEW)
    assert "2 frames never came: 2, 3." in report.notes()
    assert any("before it was killed" in note for note in report.notes())


def test_more_frames_asked_for_than_there_are_takes_them_all(session: Path, tmp_path: Path):
    report = validate_session(session, tmp_path / "report", options=ValidateOptions(reference_frames=100))
    assert [c.frame_index for c in group(report, "client").comparisons] == list(range(8))


def test_no_frames_asked_for_is_refused(session: Path, tmp_path: Path):
    with pytest.raises(InputError, match="reference frames: expected 1 or more, got 0"):
        validate_session(session, tmp_path / "report", options=ValidateOptions(reference_frames=0))


def test_a_report_replaces_an_earlier_one_and_nothing_else(session: Path, tmp_path: Path):
    validate_session(session, tmp_path / "report", options=FEW)
    (tmp_path / "report" / PICTURES / "stale.png").write_bytes(b"old")
    validate_session(session, tmp_path / "report", options=FEW)
    assert not (tmp_path / "report" / PICTURES / "stale.png").exists()
    with pytest.raises(InputError, match="expected a new folder or an earlier report, it holds other files"):
        validate_session(session, session, options=FEW)
    assert (session / "session.json").is_file()


def test_the_page_needs_no_other_file_to_show_its_verdict(session: Path, tmp_path: Path):
    report = validate_session(session, tmp_path / "report", options=FEW)
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    sources = re.findall(r'<img src="([^"]{20})', page)
    assert len(sources) == len(report.groups)
    assert all(s.startswith("data:image/png") for s in sources)
    assert not re.findall(r"<(?:script|link)\b|https?://", page)
    assert "prefers-color-scheme: dark" in page
    for what, _, text in report.checks():
        assert escape(what) in page
        assert escape(text) in page


def test_text_from_the_wire_cannot_write_into_the_page(tmp_path: Path):
    folder = tmp_path / "session"
    write_made_session(folder)
    fields = json.loads((folder / "session.json").read_text(encoding="utf-8"))
    fields["avatar_name"] = "<script>alert(1)</script>"
    (folder / "session.json").write_text(json.dumps(fields), encoding="utf-8")
    validate_session(folder, tmp_path / "report", options=FEW)
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize(("largest", "gain"), [(1.0, 1), (0.3, 2), (0.1, 8), (1e-6, 256), (0.0, 256)])
def test_differences_are_shown_as_large_as_fits(largest: float, gain: int):
    expected, got = np.full((2, 2, 3), 0.0, np.float32), np.full((2, 2, 3), 0.0, np.float32)
    got[0, 1] = largest
    comparison = Comparison("x", 0, DifferenceStats(0.0, 0.0, 0.0, 0, 0), 1.0, expected, got)
    strip, used = difference_strip(comparison)
    assert used == gain
    assert strip.shape == (2, 6, 3)
    assert strip[0, 5].tolist() == [round(255 * largest * gain)] * 3


def test_progress_is_told(session: Path, tmp_path: Path):
    told: list[tuple[str, int, int]] = []
    validate_session(session, tmp_path / "report", options=FEW, progress=lambda *step: told.append(step))
    assert {what for what, _, _ in told} == {
        "looking for the worst frame",
        "reference: as sent against unquantised",
        "Python client against the reference",
    }
    assert all(0 <= done < total for _, done, total in told)


def test_the_movers_are_what_is_compared(session: Path):
    """The made session moves, or the tests above would compare one picture with itself."""
    reader = SessionReader(session)
    first, last = (reader.read_frame(e) for e in (reader.frames("q16")[0], reader.frames("q16")[-1]))
    assert len(first.means) == MOVERS
    assert np.abs(first.means - last.means).max() > 5e-3
