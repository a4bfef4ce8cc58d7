"""The whole evaluation over made-up talkers whose figures are known beforehand."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import av
import numpy as np
import pytest
from helpers.made_subjects import FRAMES, INSTRUMENTS, NO_LPIPS, PERFECT, Made, MadeVoice, averaged, figure, run_of
from PIL import Image

from gstalker.runtime.bundle_manifest import SYNTHETIC_NOTICE
from gstalker.runtime.dataset import Dataset
from gstalker.runtime.evaluate.config import EvalConfig
from gstalker.runtime.evaluate.evaluation import EvaluationResult, evaluate
from gstalker.runtime.evaluate.metric_list import METRICS
from gstalker.runtime.evaluate.nearest import NearestByAudio
from gstalker.runtime.evaluate.picture_measures import PSNR_CAP_DB
from gstalker.runtime.evaluate.subject import NEAREST, STATIC

LATE_FRAMES = 2


SUBJECTS = (
    PERFECT,
    Made("late", lambda clip, t: clip.rgb[max(0, t - LATE_FRAMES)]),
    Made("averaged", averaged),
    Made(STATIC, lambda clip, t: clip.rgb.mean(axis=0)),
)


class CountingProgress:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.stages: list[list] = []

    def stage(self, name: str, total: int, done: int = 0) -> None:
        self.stages.append([name, total, done])

    def advance(self, text: str = "") -> None:
        self.stages[-1][2] += 1


@pytest.fixture(scope="module")
def progress() -> CountingProgress:
    return CountingProgress()


@pytest.fixture(scope="module")
def result(
    dataset: Dataset, voice_wav: Path, progress: CountingProgress, tmp_path_factory: pytest.TempPathFactory
) -> EvaluationResult:
    return evaluate(
        dataset,
        run_of(*SUBJECTS, voice=MadeVoice()),
        [NearestByAudio(dataset)],
        INSTRUMENTS,
        tmp_path_factory.mktemp("out") / "report",
        EvalConfig(voice=voice_wav),
        progress,
    )


def test_the_real_pictures_themselves_are_perfect(result: EvaluationResult):
    for key in ("psnr_db", "mouth_psnr_db", "eyes_psnr_db", "psnr_of_mean_db"):
        assert figure(result, "perfect", key) == PSNR_CAP_DB
    # float32 sums over flat colours err by 1e-5 (measured), twice that is allowed
    assert figure(result, "perfect", "ssim") == pytest.approx(1.0, abs=2e-5)
    assert figure(result, "perfect", "lmd_px") == 0.0
    assert figure(result, "perfect", "lip_opening_correlation") == pytest.approx(1.0)
    assert figure(result, "perfect", "lip_opening_amplitude") == pytest.approx(1.0)
    assert figure(result, "perfect", "blink_error") == 0.0
    assert figure(result, "perfect", "lmd_share_of_static") == 0.0


def test_a_late_mouth_shows_its_lag_against_the_sound(result: EvaluationResult):
    real = result.figures.real["loudness_lag_s"]
    assert real is not None
    assert figure(result, "late", "loudness_lag_s") - real == pytest.approx(LATE_FRAMES / 25, abs=0.021)
    assert figure(result, "late", "lip_opening_amplitude") == pytest.approx(1.0, abs=0.1)
    assert figure(result, "late", "lip_opening_correlation") < 0.9


def test_an_averaged_mouth_correlates_and_is_given_away_by_its_amplitude(result: EvaluationResult):
    """Mixing pictures mixes their openings, so the amplitude is the share of the mixture: 0.4."""
    assert figure(result, "averaged", "lip_opening_correlation") > 0.99
    assert figure(result, "averaged", "lip_opening_amplitude") == pytest.approx(0.4, abs=0.02)
    assert figure(result, "averaged", "lid_opening_amplitude") == pytest.approx(0.4, abs=0.02)


def test_a_still_mouth_has_neither_correlation_nor_lag(result: EvaluationResult):
    still = result.figures.overall[STATIC]
    assert still["lip_opening_correlation"] is None
    assert still["loudness_lag_s"] is None
    assert still["mouth_gain_db"] == 0.0
    assert still["lmd_share_of_static"] == 1.0


def test_gains_are_counted_from_the_static_model(result: EvaluationResult):
    gain = figure(result, "averaged", "mouth_psnr_db") - figure(result, STATIC, "mouth_psnr_db")
    assert figure(result, "averaged", "mouth_gain_db") == pytest.approx(gain)
    assert gain > 1.0


def test_only_clips_with_a_blink_count_for_the_lids(result: EvaluationResult):
    assert figure(result, "perfect", "clips_with_blinks") == 1
    assert figure(result, "perfect", "lid_opening_correlation") == pytest.approx(1.0)
    assert result.figures.clips["staring"]["perfect"]["lid_opening_correlation"] is None


def test_the_detectors_noise_is_told(result: EvaluationResult):
    """The disc reader errs by the rounding to 8 bits alone: 1/280 of a row in each of some 8 rows."""
    noise = result.figures.real["lmd_px"]
    assert noise is not None
    assert 0 < noise < 0.03


def test_overall_figures_lie_between_those_of_the_clips(result: EvaluationResult):
    for subject in ("late", "averaged", STATIC, NEAREST):
        for key in ("psnr_db", "mouth_psnr_db", "ssim", "lmd_px"):
            values = [result.figures.clips[c][subject][key] for c in ("blinking", "staring")]
            of_clips = [v for v in values if v is not None]
            assert len(of_clips) == 2
            assert min(of_clips) <= figure(result, subject, key) <= max(of_clips)


def test_another_voice_is_measured_against_its_loudness(result: EvaluationResult):
    voice = result.voice
    assert voice is not None
    assert voice.loudness_lag_s == pytest.approx(0.12, abs=0.011)
    assert voice.loudness_correlation_at_lag is not None
    assert voice.loudness_correlation_at_lag > 0.99
    assert voice.seconds == 2.0
    assert voice.source == "other_voice.wav"


def test_progress_counts_every_picture(result: EvaluationResult, progress: CountingProgress):
    assert progress.stages == [
        ["measuring", 2 * FRAMES * 5, 2 * FRAMES * 5],
        ["another voice", 50, 50],
        ["writing the report", 1, 1],
    ]


def test_metrics_json_holds_every_figure_and_where_it_comes_from(result: EvaluationResult):
    def refuse(value: str) -> None:
        raise AssertionError(f"{value} is not JSON")

    document = json.loads((result.report / "metrics.json").read_text(encoding="utf-8"), parse_constant=refuse)
    assert document["overall"] == result.figures.overall
    assert document["clips"]["staring"]["subjects"][NEAREST]["psnr_db"] > 0
    assert set(document["overall"]["perfect"]) == {m.key for m in METRICS}
    assert document["skipped"] == [NO_LPIPS]
    assert document["config"]["lpips_every"] == 5
    assert document["machine"]["cores"] >= 1
    assert document["versions"]["numpy"] == np.__version__
    assert document["run"] == {"preset": "made up"}
    assert set(document["composited"]) == set(document["overall"])


def test_the_curves_are_written_frame_by_frame(result: EvaluationResult):
    with (result.report / "frames.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * FRAMES * 6  # five subjects and the real face
    late = [float(r["mouth_psnr_db"]) for r in rows if r["subject"] == "late"]
    assert np.mean(late) == pytest.approx(figure(result, "late", "mouth_psnr_db"), abs=1e-3)
    real = [float(r["lip_opening_px"]) for r in rows if r["subject"] == "real" and r["clip"] == "staring"]
    assert np.std(real) > 1


def test_the_page_has_a_column_for_each_subject_and_needs_nothing_from_the_net(result: EvaluationResult):
    page = (result.report / "index.html").read_text(encoding="utf-8")
    head = page[page.index("<thead>") : page.index("</thead>")]
    names = [*(s.name for s in SUBJECTS), NEAREST, "real picture"]
    assert re.findall("<th>(.*?)</th>", head) == ["", *names]
    sources = set(re.findall(r'(?:src|srcset|href)="([^"]{0,40})', page))
    for source in sources:
        assert source.startswith("data:image/") or (result.report / source).is_file(), source
    assert "prefers-color-scheme: dark" in page
    assert NO_LPIPS in page
    assert "nan" not in re.sub(r'"data:[^"]*"', "", page).lower().replace("canonical", "")


def test_the_video_shows_all_frames_with_their_sound_and_is_marked(result: EvaluationResult):
    with av.open(str(result.report / "comparison.mp4")) as container:
        assert container.metadata["comment"] == SYNTHETIC_NOTICE
        heard = sum(f.samples for f in container.decode(audio=0))
        # AAC adds up to two blocks of 1024 samples.
        assert heard / 16_000 == pytest.approx(2 * FRAMES / 25, abs=0.13)
    with av.open(str(result.report / "comparison.mp4")) as container:
        pictures = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    assert len(pictures) == 2 * FRAMES
    height, width = pictures[0].shape[:2]
    assert width == 3 * 96
    assert height >= 96
    right = pictures[10][24 : 24 + 90, 2 * 96 + 3 :]
    assert right.mean() < 12, "the difference of equal pictures is black"


def test_sheets_are_there_to_look_at(result: EvaluationResult):
    for name in ("typical_clip", "mouths_typical", "mouths_worst", "worst_frames", "voice"):
        with Image.open(result.report / "pictures" / f"{name}.png") as image:
            assert np.asarray(image.convert("L")).std() > 10
