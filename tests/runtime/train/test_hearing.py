"""What an avatar hears with, from the option to the run, the picture and the bundle."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.made_encoders import WIDTH, made_mfcc_encoder, made_waveform_encoder
from helpers.made_speech import spoken_clip
from made_bundle import LIKENESS
from made_dataset import MadeSpeaker, write_made_dataset

from gstalker.bridge.server.speech import SpeechTimeline, algorithmic_delay_ms
from gstalker.export.bake import bake_run
from gstalker.export.write import export_avatar
from gstalker.runtime.dataset import Dataset, write_wav
from gstalker.runtime.errors import InputError
from gstalker.runtime.evaluate.subjects_from_run import subjects_from_run
from gstalker.runtime.evaluate.sync_network import SyncSizes
from gstalker.runtime.evaluate.sync_score import save_scorer
from gstalker.runtime.evaluate.sync_training import SyncTrainingConfig, train_scorer
from gstalker.runtime.model.trained_run import load_run
from gstalker.runtime.train import compare_hearing, loop
from gstalker.runtime.train.config import PRESETS, InitConfig, PretrainConfig, TrainConfig

SCORER = SyncTrainingConfig(steps=45, folds=2, clips_per_step=4)


class Quiet:
    """Progress that nobody sees."""

    def stage(self, name: str, total: int, done: int = 0) -> None: ...

    def advance(self, text: str) -> None: ...

    def say(self, text: str) -> None: ...


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_made_dataset(tmp_path_factory.mktemp("made") / "dataset", MadeSpeaker())


def trained(config: TrainConfig, dataset: Path, run: Path) -> Path:
    """A few steps: enough to write everything that a run writes."""
    config = dataclasses.replace(
        config,
        init=InitConfig(head_count=200, torso_count=80),
        pretrain=dataclasses.replace(config.pretrain, steps=4, clips_per_step=2),
    )
    return loop.train(dataset, run, config.with_steps(4), Quiet(), resume=False)


@pytest.mark.parametrize("lookahead_ms", [0, 120])
def test_a_shorter_look_ahead_reaches_the_bundle_and_the_server(dataset: Path, tmp_path: Path, lookahead_ms: int):
    run = trained(PRESETS["preview"].with_lookahead(lookahead_ms), dataset, tmp_path / "run")
    bundle, _ = export_avatar(bake_run(run, "prompt"), LIKENESS, tmp_path / "prompt.gsavatar")
    front = bundle.manifest.audio
    assert front.right_mel_frames == lookahead_ms // 10
    assert algorithmic_delay_ms(front) == lookahead_ms + 2.5
    # What the server's timeline cuts out of sound that grows is what training cut out of the whole recording.
    pcm = np.round(Dataset(dataset).samples("clip0") * 32768).astype(np.int16)
    speech = SpeechTimeline(front)
    assert speech.add_recording(pcm) == 0
    for frame in range(12):
        speech.prepare(frame)
    whole = (
        load_run(run)
        .open_source()
        .windows((pcm / 32768).astype(np.float32), 12, front.left_mel_frames, front.right_mel_frames)
    )
    np.testing.assert_array_equal(speech.window(11), whole[11])


@pytest.mark.parametrize("layout", ["waveform", "mfcc"])
def test_a_run_hears_with_a_users_encoder_and_is_not_exported(dataset: Path, tmp_path: Path, layout: str):
    model = made_mfcc_encoder(tmp_path) if layout == "mfcc" else made_waveform_encoder(tmp_path, normalise="unit")
    run = trained(PRESETS["preview"].with_hearing("onnx", model), dataset, tmp_path / "run")
    assert json.loads((run / "config.json").read_text())["train"]["hearing"]["model"] == str(model.resolve())
    avatar = load_run(run)
    assert avatar.model.config.audio.mel_bands == WIDTH
    data = Dataset(dataset)
    subjects = subjects_from_run(run, data)
    assert subjects.about["hears with"] == "encoder.onnx"
    assert subjects.about["algorithmic delay, ms"] == 240.0
    picture = next(subjects.subjects[0].pictures(data.load("clip2"), [3]))
    assert np.isfinite(picture).all()
    with pytest.raises(InputError, match=r"hears with encoder\.onnx cannot go into a bundle"):
        bake_run(run, "deaf")
    model.write_bytes(model.read_bytes() + b"\x00")
    with pytest.raises(InputError, match="expected the file that the run was trained with, got another one"):
        avatar.open_source()


def test_sources_and_look_aheads_are_compared_on_the_test_clips(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    model = made_waveform_encoder(tmp_path, normalise="none")
    options = ["--hears", "log_mel", "onnx", "--audio-model", str(model), "--lookahead-ms", "120", "0"]
    assert compare_hearing.main([str(dataset), *options, "--steps", "3", "--seeds", "0", "1"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(r["hears"], r["algorithmic_delay_ms"], r["width"]) for r in rows] == [
        ("log_mel", 122.5, 80),
        ("log_mel", 2.5, 80),
        ("onnx", 240.0, WIDTH),
    ]
    assert all(len(r["lip_error_px"]) == 2 for r in rows)
    assert len({tuple(r["mean_shape_error_px"]) for r in rows}) == 1  # the same clips, whatever hears them


def test_another_voice_is_judged_by_the_lips_told_from_it(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    scorer, voice = tmp_path / "scorer.safetensors", tmp_path / "voice.wav"
    networks, origin = train_scorer([spoken_clip(s) for s in range(6)], SCORER, SyncSizes(), "made")
    save_scorer(scorer, networks, SyncSizes(), origin)
    write_wav(voice, spoken_clip(20, seconds=3.0).samples)
    options = ["--lookahead-ms", "240", "--steps", "60", "--voice", str(voice), "--sync-scorer", str(scorer)]
    assert compare_hearing.main([str(dataset), *options]) == 0
    row = json.loads(capsys.readouterr().out)
    # Mouths of both made speakers open with loudness, so the lesson carries over; measured 0.79 and 0.15, 1 ms.
    assert row["voice_sync_confidence"][0] > 3 * row["voice_sync_confidence_shuffled"][0]
    assert abs(row["voice_sync_lag_ms"][0]) < 25
    assert compare_hearing.main([str(dataset), "--voice", str(voice)]) == 2
    assert "--voice and --sync-scorer: expected both or neither, got one" in capsys.readouterr().err


def test_settings_are_chosen_on_a_quarter_of_the_training_clips(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    made = write_made_dataset(tmp_path / "made", MadeSpeaker(train_clips=5, test_clips=1))
    short = ["--lookahead-ms", "240", "--steps", "2"]
    errors = []
    for fold in (0, 1):
        assert compare_hearing.main([str(made), *short, "--fold", str(fold)]) == 0
        row = json.loads(capsys.readouterr().out)
        assert row["fold"] == fold
        errors.append(row["mean_shape_error_px"])
    assert errors[0] != errors[1]  # other clips
    test_clip = next(c.name for c in Dataset(made).clips("test"))
    shutil.rmtree(made / "clips" / test_clip)  # nothing is read of it
    assert compare_hearing.main([str(made), *short, "--fold", "1"]) == 0
    assert json.loads(capsys.readouterr().out)["mean_shape_error_px"] == errors[1]


def test_a_comparison_needs_clips_of_both_kinds(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    data = write_made_dataset(tmp_path / "made", MadeSpeaker(train_clips=1, test_clips=0))
    assert compare_hearing.main([str(data)]) == 2
    assert "expected clips to train on and clips to test on, got 1 and 0" in capsys.readouterr().err


def test_an_opening_that_is_told_exactly_correlates_fully(dataset: Path):
    """The made mouth follows loudness: even a short lesson tells more than nothing, and the figure is a correlation."""
    data = Dataset(dataset)
    config = dataclasses.replace(PRESETS["preview"], pretrain=PretrainConfig(steps=40, clips_per_step=2))
    row = compare_hearing.compare(data, "log_mel", config, [0])
    (correlation,) = row["opening_correlation"]  # type: ignore[misc]
    assert 0.3 < correlation <= 1.0
