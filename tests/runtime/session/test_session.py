"""A session reads back as it was written, whole or cut short, and anything else is refused."""

from __future__ import annotations

import dataclasses
import json
import wave
from pathlib import Path

import numpy as np
import pytest
from helpers import made_session
from helpers.made_session import audio_entry, frame_entry, write_made_session

from gstalker.runtime.errors import InputError
from gstalker.runtime.session import SessionReader, SessionWriter, holes, pose_from_rows, rows_from_pose


def new_writer(folder: Path) -> SessionWriter:
    return SessionWriter(folder, made_session.info(), *made_session.cloud())


def test_a_session_reads_back_as_it_was_written(tmp_path: Path):
    write_made_session(tmp_path / "s")
    session = SessionReader(tmp_path / "s")
    canonical, part_ids, plate = made_session.cloud()
    assert session.info == made_session.info()
    assert session.box == made_session.BOX
    np.testing.assert_array_equal(session.camera.viewmat, made_session.CAMERA.viewmat)
    np.testing.assert_array_equal(session.camera.K, made_session.CAMERA.K)
    np.testing.assert_array_equal(session.canonical.sh_coeffs, canonical.sh_coeffs)
    np.testing.assert_array_equal(session.part_ids, part_ids)
    np.testing.assert_array_equal(session.plate, plate)
    assert session.end is not None
    assert session.end.complete
    assert [e.index for e in session.frames("q16")] == [e.index for e in session.frames("f32")] == list(range(6))
    for entry in session.frames("f32"):
        got, made = session.read_frame(entry), made_session.frame(entry.index)
        for name in ("means", "quats_wxyz", "scales", "opacities", "avatar_from_head", "avatar_from_torso"):
            np.testing.assert_array_equal(getattr(got, name), getattr(made, name), err_msg=name)
    for entry in session.frames("q16"):
        got, made = session.read_frame(entry), made_session.frame(entry.index)
        # Half a step of the box, 0.4 m in 65535 steps; to which float32 adds a hundredth.
        np.testing.assert_allclose(got.means, made.means, atol=0.51 * 0.4 / 65535)
        np.testing.assert_array_equal(got.avatar_from_head, made.avatar_from_head)
    np.testing.assert_array_equal(session.samples(), np.repeat(np.arange(6, dtype=np.int16), 640))


def test_missing_frames_and_sound_are_recorded(tmp_path: Path):
    writer = new_writer(tmp_path / "s")
    for index in (3, 4, 7):
        made = made_session.frame(index)
        writer.add_frame(frame_entry("q16", made), made_session.q16_bytes(made))
        writer.add_audio(audio_entry(index, made.time_s), np.full(640, index, "<i2"))
    end = writer.close("done", complete=True)
    assert end.missing_frames == end.missing_audio == (5, 6)
    session = SessionReader(tmp_path / "s")
    assert session.end == end
    # The hole is silence, so that what comes after it stays in its place.
    samples = session.samples()
    assert len(samples) == 5 * 640
    assert not samples[2 * 640 : 4 * 640].any()
    assert (samples[4 * 640 :] == 7).all()
    assert [e.first_sample for e in session.audio] == [0, 640, 4 * 640]


def test_holes_are_what_lies_between():
    assert holes([2, 3, 6]) == (4, 5)
    assert holes([9]) == holes([]) == ()


def test_a_session_whose_recorder_was_killed_reads_up_to_its_last_whole_frame(tmp_path: Path):
    write_made_session(tmp_path / "s")
    (tmp_path / "s" / "end.json").unlink()
    for name, keep in (("frames_q16.bin", 4 * 640 + 13), ("frames.jsonl", -40), ("audio.jsonl", -10)):
        path = tmp_path / "s" / name
        path.write_bytes(path.read_bytes()[:keep])
    session = SessionReader(tmp_path / "s")
    assert session.end is None
    assert [e.index for e in session.frames("q16")] == [0, 1, 2, 3]
    assert [e.index for e in session.frames("f32")] == [0, 1, 2, 3, 4]
    assert len(session.audio) == 5
    session.read_frame(session.frames("q16")[-1])


def test_a_session_that_is_still_being_written_can_be_read(tmp_path: Path):
    writer = new_writer(tmp_path / "s")
    made = made_session.frame(0)
    writer.add_audio(audio_entry(0, 0.0), np.full(640, 5, "<i2"))
    writer.add_frame(frame_entry("q16", made), made_session.q16_bytes(made))
    session = SessionReader(tmp_path / "s")
    assert len(session.frames("q16")) == 1
    assert (session.samples() == 5).all()
    assert len(session.samples()) == 640
    writer.close("done", complete=True)


def test_the_sound_is_a_wav_that_any_program_plays(tmp_path: Path):
    write_made_session(tmp_path / "s")
    with wave.open(str(tmp_path / "s" / "audio.wav")) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16_000)
        assert file.getnframes() == 6 * 640


def test_a_session_without_sound_has_no_samples(tmp_path: Path):
    write_made_session(tmp_path / "s", sound=False)
    assert len(SessionReader(tmp_path / "s").samples()) == 0
    assert not (tmp_path / "s" / "audio.wav").exists()


def test_a_folder_with_other_files_is_not_written_to(tmp_path: Path):
    (tmp_path / "diary.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(InputError, match="expected a new or empty folder, it holds files"):
        new_writer(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["diary.txt"]


@pytest.mark.parametrize(
    ("first", "second", "text"),
    [
        ((0, 640 * 1), (0, 640), "frame 0: expected an index above 0"),
        ((5, 640), (3, 640), "frame 3: expected an index above 5"),
        ((0, 640), (1, 639), "frame 1: expected 640 bytes of q16, got 639"),
    ],
)
def test_frames_out_of_order_or_of_another_size_are_refused(
    tmp_path: Path, first: tuple[int, int], second: tuple[int, int], text: str
):
    writer = new_writer(tmp_path / "s")
    writer.add_frame(frame_entry("q16", made_session.frame(first[0])), bytes(first[1]))
    with pytest.raises(ValueError, match=text):
        writer.add_frame(frame_entry("q16", made_session.frame(second[0])), bytes(second[1]))
    writer.close("done", complete=False)


@pytest.mark.parametrize("time_s", [0.02, 1e9])
def test_sound_that_overlaps_or_would_fill_the_disk_with_silence_is_refused(tmp_path: Path, time_s: float):
    writer = new_writer(tmp_path / "s")
    writer.add_audio(audio_entry(0, 0.0), np.zeros(640, "<i2"))
    with pytest.raises(ValueError, match="sound 1: expected to start within 600 s after sample 640"):
        writer.add_audio(audio_entry(1, time_s), np.zeros(640, "<i2"))
    writer.close("done", complete=False)


def change_json(path: Path, **changes: object) -> None:
    fields = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(fields | changes), encoding="utf-8")


def test_no_session_and_another_format_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"expected a session with session\.json, found none"):
        SessionReader(tmp_path)
    write_made_session(tmp_path / "s")
    change_json(tmp_path / "s" / "session.json", format_version=2)
    with pytest.raises(InputError, match="expected session format 1, got 2"):
        SessionReader(tmp_path / "s")


def test_a_session_without_frames_is_refused(tmp_path: Path):
    new_writer(tmp_path / "s").close("nothing came", complete=False)
    with pytest.raises(InputError, match="expected a session with frames, it holds none"):
        SessionReader(tmp_path / "s")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"mover_count": 61}, "expected 60 Gaussians with 61 movers"),
        ({"gaussian_count": 59}, "expected 59 Gaussians with 40 movers"),
        ({"fps": "fast"}, "fps: expected a value of type int"),
        ({"colour": 1}, "expected the fields"),
        ({"box": {"position_min_m": [0], "position_max_m": [1], "log_scale_min": 0, "log_scale_max": 1}}, "Record it"),
        ({"camera": {"viewmat": [[1]], "K": [[1]], "width_px": 32, "height_px": 32}}, "expected viewmat"),
        ({"camera": dataclasses.asdict(made_session.info().camera) | {"width_px": 31}}, "a plate of 31 x 32"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(tmp_path: Path, changes: dict[str, object], text: str):
    write_made_session(tmp_path / "s", [0, 1])
    change_json(tmp_path / "s" / "session.json", **changes)
    with pytest.raises(InputError, match=text):
        SessionReader(tmp_path / "s")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda line: b"{not json", "expected the JSON of a session's line"),
        (lambda line: line.replace(b'"index": 1', b'"index": 0'), "expected q16 frames in order of index"),
        (lambda line: line.replace(b'"offset": 640', b'"offset": 3'), "expected q16 frames in order of index"),
        (lambda line: line.replace(b'"q16"', b'"q99"'), "expected a payload of q16, f32"),
        (lambda line: line.replace(b"1.0, 0.0]}", b"0.0]}"), "poses of 12 numbers"),
    ],
)
def test_a_damaged_line_is_refused_with_its_place(tmp_path: Path, change, text: str):
    write_made_session(tmp_path / "s", [0, 1, 2], unquantised=False)
    path = tmp_path / "s" / "frames.jsonl"
    lines = path.read_bytes().split(b"\n")
    changed = change(lines[1])
    assert changed != lines[1]
    lines[1] = changed
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(InputError, match=text) as caught:
        SessionReader(tmp_path / "s")
    assert "frames.jsonl" in str(caught.value)


@pytest.mark.parametrize("damage", [b"", b"not safetensors at all"])
def test_damaged_gaussians_are_refused(tmp_path: Path, damage: bytes):
    write_made_session(tmp_path / "s", [0])
    (tmp_path / "s" / "canonical.safetensors").write_bytes(damage)
    with pytest.raises(InputError, match="expected a session's Gaussians, could not read them"):
        SessionReader(tmp_path / "s")


def test_damaged_sound_is_refused(tmp_path: Path):
    write_made_session(tmp_path / "s", [0])
    (tmp_path / "s" / "audio.wav").write_bytes(b"RIFF")
    with pytest.raises(InputError, match="expected the sound of a session, could not read it"):
        SessionReader(tmp_path / "s").samples()


def test_sound_of_half_a_sample_is_refused(tmp_path: Path):
    write_made_session(tmp_path / "s")
    path = tmp_path / "s" / "audio.wav"
    data = bytearray(path.read_bytes())
    data[32:36] = b"\x01\x00\x08\x00"  # one byte a sample
    path.write_bytes(data[:45])
    with pytest.raises(InputError, match="expected the sound of a session, could not read it"):
        SessionReader(tmp_path / "s").samples()


def test_sound_whose_parts_reach_beyond_their_whole_is_refused(tmp_path: Path):
    write_made_session(tmp_path / "s")
    path = tmp_path / "s" / "audio.wav"
    data = bytearray(path.read_bytes())
    data[16:20] = b"\xff\xff\xff\x00"
    data[4:8] = b"\x40\x00\x00\x00"
    path.write_bytes(data)
    with pytest.raises(InputError, match="expected the sound of a session, could not read it"):
        SessionReader(tmp_path / "s").samples()


def test_a_header_that_claims_gigabytes_of_sound_gets_what_is_there(tmp_path: Path):
    write_made_session(tmp_path / "s")
    path = tmp_path / "s" / "audio.wav"
    data = bytearray(path.read_bytes())
    data[4:8] = data[40:44] = b"\xf0\xff\xff\x7f"
    path.write_bytes(data)
    assert len(SessionReader(tmp_path / "s").samples()) == 6 * 640


def test_a_pose_survives_as_its_first_three_rows():
    pose = np.eye(4)
    pose[:3, :] = np.arange(12).reshape(3, 4) / 7
    np.testing.assert_array_equal(pose_from_rows(rows_from_pose(pose)), pose)
