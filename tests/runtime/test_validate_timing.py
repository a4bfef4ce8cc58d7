"""Order, stamps and arrivals of a session, told apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers import made_session
from helpers.made_session import audio_entry, frame_entry

from gstalker.runtime.session import SessionReader, SessionWriter
from gstalker.runtime.validate_timing import Timing, timing_of


def timing(
    folder: Path,
    frame_late_s: dict[int, float] | None = None,
    audio_late_s: dict[int, float] | None = None,
    stamp_error_s: dict[int, float] | None = None,
) -> Timing:
    """Ten frames and their sound; the numbers say which arrive late by how much, after the presentation time."""
    writer = SessionWriter(folder, made_session.info(), *made_session.cloud())
    for index in range(10):
        made = made_session.frame(index)
        # In time means: one millisecond after the server sent it, 0.2 s before it is due, on a clock 50 s ahead.
        due_s = made.time_s + 50.0
        audio_s = due_s + (audio_late_s or {}).get(index, -0.2)
        frame_s = due_s + (frame_late_s or {}).get(index, -0.2)
        sound_time_s = made.time_s + (stamp_error_s or {}).get(index, 0.0)
        writer.add_audio(audio_entry(index, sound_time_s, audio_s), np.zeros(640, "<i2"))
        writer.add_frame(frame_entry("q16", made, frame_s), made_session.q16_bytes(made))
    writer.close("done", complete=True)
    return timing_of(SessionReader(folder))


def test_what_comes_in_time_is_together(tmp_path: Path):
    found = timing(tmp_path / "s")
    assert found.sound_and_picture_together
    assert found.picture_behind_sound_ms == (0.0, 0.0, 0.0)
    assert (found.sent_late, found.arrived_late) == (0, 0)
    assert found.stamps_agree


@pytest.mark.parametrize(
    ("frame_late_s", "audio_late_s", "largest", "together"),
    [
        ({4: 0.040}, {}, 40, True),
        ({4: 0.050}, {}, 50, False),
        ({}, {4: 0.120}, -120, True),
        ({}, {4: 0.130}, -130, False),
        ({4: 0.300}, {4: 0.280}, 20, True),
    ],
)
def test_picture_and_sound_may_be_apart_as_far_as_viewers_do_not_notice(
    tmp_path: Path, frame_late_s: dict, audio_late_s: dict, largest: float, together: bool
):
    found = timing(tmp_path / "s", frame_late_s, audio_late_s)
    assert found.picture_behind_sound_ms is not None
    smallest, median, most = found.picture_behind_sound_ms
    assert (most if largest > 0 else smallest) == pytest.approx(largest, abs=1e-6)
    assert median == 0.0
    assert found.sound_and_picture_together is together
    assert found.arrived_late == len(frame_late_s)


def test_a_wrong_stamp_is_found(tmp_path: Path):
    found = timing(tmp_path / "s", stamp_error_s={9: 0.02})
    assert found.worst_stamp_error_s == pytest.approx(0.02)
    assert not found.stamps_agree


def test_frames_without_sound_say_nothing_of_being_together(tmp_path: Path):
    made_session.write_made_session(tmp_path / "s", sound=False)
    found = timing_of(SessionReader(tmp_path / "s"))
    assert found.picture_behind_sound_ms is None
    assert found.sound_and_picture_together is None
