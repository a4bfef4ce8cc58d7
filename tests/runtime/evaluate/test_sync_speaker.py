"""The lip-sync surrogate on a real speaker: known shifts of real speech are found in real lips."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gstalker.runtime.audio import load_wav
from gstalker.runtime.evaluate.face_process import FaceProcess
from gstalker.runtime.evaluate.sync_network import SyncSizes
from gstalker.runtime.evaluate.sync_score import SyncScorer
from gstalker.runtime.evaluate.sync_training import SpokenClip, SyncTrainingConfig, judge, train_scorer
from gstalker.runtime.prepare.video import open_video, read_frames

CLIPS = 4


@pytest.mark.speaker
def test_known_shifts_of_real_speech_are_found_on_clips_that_a_network_has_not_seen(speaker_data: Path):
    """Two networks, each taught two clips of 3 s and asked about the other two.

    Measured: at rest -6 ms, shifts off by 8 ms at most; confidence 0.17, with another clip's sound 0.07.
    """
    pytest.importorskip("mediapipe")
    names = json.loads((speaker_data / "grid_s1" / "split.json").read_text())["test"][:CLIPS]
    clips = []
    with FaceProcess(speaker_data / "models" / "face_landmarker.task") as detector:
        for name in names:
            path = speaker_data / "grid_s1" / "clips" / f"{Path(name).stem}.mp4"
            landmarks = detector.detect([np.ascontiguousarray(p) for p in read_frames(open_video(path))]).landmarks_px
            clips.append(SpokenClip(path.stem, landmarks, load_wav(path)))
    config = SyncTrainingConfig(steps=80, folds=2, clips_per_step=4)
    report = judge(SyncScorer(*train_scorer(clips, config, SyncSizes(), "test")), clips)
    found = {name: figures["lag_ms"] for name, figures in report.items()}  # type: ignore[index]
    rest = found["as filmed"]
    assert abs(rest) < 40, found
    for name, shift_ms in (("200 ms early", -200), ("80 ms early", -80), ("80 ms late", 80), ("200 ms late", 200)):
        assert abs(found[f"mouth {name}"] - rest - shift_ms) < 25, found
    own, strange = (report[n]["confidence"] for n in ("as filmed", "another clip's sound"))  # type: ignore[index]
    assert own > 1.5 * strange, report
