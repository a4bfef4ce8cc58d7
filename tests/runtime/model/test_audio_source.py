"""Sources of audio features: what each sees, when it sees it, and what is refused."""

from __future__ import annotations

from importlib import util
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.made_encoders import WIDTH, made_mfcc_encoder, made_waveform_encoder, write_settings

from gstalker.runtime import audio
from gstalker.runtime.audio_stream import window_end_sample
from gstalker.runtime.errors import InputError
from gstalker.runtime.model import audio_source, frozen_graph
from gstalker.runtime.model.audio_encoder import AudioEncoder, AudioEncoderConfig
from gstalker.runtime.model.audio_source import HearingConfig, LogMelSource, algorithmic_delay_ms, open_source
from gstalker.runtime.model.frozen_encoder import Blocks, FrozenEncoder
from gstalker.runtime.model.frozen_graph import file_sha256, moonshine_graph, user_graph
from gstalker.runtime.model.mfcc import CEPSTRA, mfcc, mfcc_with_context
from gstalker.runtime.train.config import PRESETS

SHORT = Blocks(left_ms=200, block_ms=80, right_ms=40)


def speech(seconds: float, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).normal(size=round(16_000 * seconds))).astype(np.float32)


@pytest.mark.parametrize("smoothing", [1, 8])
@pytest.mark.parametrize("lookahead_ms", [0, 40, 120, 240])
def test_no_sound_after_the_stated_look_ahead_changes_a_code(lookahead_ms: int, smoothing: int):
    smoothed = PRESETS["preview"].with_smoothing(smoothing).avatar.audio
    config = smoothed.with_lookahead(lookahead_ms)
    source, frame = LogMelSource(), 12
    assert config.window_mel_frames == smoothed.window_mel_frames
    assert algorithmic_delay_ms(source, config) == config.lookahead_ms == lookahead_ms + 2.5
    # The same number that a server counts with.
    end = window_end_sample(frame, config.right_mel_frames)
    assert end == 640 * frame + round(16 * config.lookahead_ms)
    torch.manual_seed(0)
    encoder = AudioEncoder(config)

    def code(samples: np.ndarray) -> np.ndarray:
        windows = source.windows(samples, frame + 1, config.left_mel_frames, config.right_mel_frames)
        return encoder(torch.from_numpy(windows[-1:])).detach().numpy()[0, 0]

    samples = speech(1.5)
    later, within = samples.copy(), samples.copy()
    later[end:] += speech(1.5, 1)[end:]
    within[end - 200 :] += speech(1.5, 1)[end - 200 :]
    np.testing.assert_array_equal(code(later), code(samples))
    assert np.abs(code(within) - code(samples)).max() > 0


def test_the_preset_hears_as_far_ahead_as_its_options_say():
    preview = PRESETS["preview"]
    assert preview.avatar.audio.lookahead_ms == 242.5
    assert preview.with_lookahead(240) == preview == preview.with_smoothing(1)
    smoothed = preview.with_smoothing(8)  # four frames before and three after
    assert smoothed.avatar.audio.lookahead_ms == 362.5
    assert smoothed.avatar.audio.window_mel_frames == preview.avatar.audio.window_mel_frames + 7 * 4


@pytest.mark.parametrize("frames", [0, 17])
def test_a_smoothing_that_cannot_be_is_refused(frames: int):
    with pytest.raises(InputError, match=rf"--smoothing-frames: expected 1 to 16 video frames, got {frames}\."):
        PRESETS["preview"].with_smoothing(frames)
    with pytest.raises(ValueError, match="expected 1 or more smoothing_frames, got 0"):
        AudioEncoderConfig(smoothing_frames=0)


@pytest.mark.parametrize("lookahead_ms", [-40, 30, 600])
def test_a_look_ahead_that_cannot_be_is_refused(lookahead_ms: int):
    said = rf"--lookahead-ms: expected a multiple of 40 ms from 0 to 440, got {lookahead_ms}\."
    with pytest.raises(InputError, match=said):
        PRESETS["preview"].with_lookahead(lookahead_ms)


def test_log_mel_windows_are_those_of_the_front_end():
    samples = speech(0.5)
    expected = audio.mel_windows(audio.log_mel(samples), 13, 20, 12)
    np.testing.assert_array_equal(LogMelSource().windows(samples, 13, 20, 12), expected)


@pytest.mark.parametrize("normalise", ["none", "unit"])
def test_a_wave_encoder_is_run_over_bounded_blocks_and_laid_on_ten_milliseconds(tmp_path: Path, normalise: str):
    source = FrozenEncoder(user_graph(made_waveform_encoder(tmp_path, normalise=normalise)), SHORT)
    assert (source.width, source.native_rate_hz) == (WIDTH, 50.0)
    assert (source.left_ms, source.right_ms) == (280.0, 120.0)
    samples = speech(1.0)
    features = source.features(samples)
    assert features.shape == (100, WIDTH)
    changed = samples.copy()
    changed[8000:] = 0.0  # all that comes after 0.5 s
    first_changed = int(np.flatnonzero((source.features(changed) != features).any(axis=1))[0])
    # The block from 0.40 s is given sound up to 0.52 s, and normalising spreads a change over all of it; the one
    # before it ends at 0.44 s. Alone, the filter of 25 ms reaches from row to row only.
    assert first_changed == {"unit": 40, "none": 49}[normalise]
    louder = source.features(3.0 * samples)
    ratio = np.abs(louder).mean() / np.abs(features).mean()
    assert ratio == pytest.approx(3.0 if normalise == "none" else 1.0, rel=0.01)


def test_a_frozen_encoder_hears_no_later_than_its_stated_delay_and_once_as_late(tmp_path: Path):
    source = FrozenEncoder(user_graph(made_waveform_encoder(tmp_path, normalise="unit")), SHORT)
    encoder = AudioEncoderConfig(mel_bands=WIDTH, context_convolutions=0, smoothing_frames=8, smoothing_lookahead=-1)
    delay = algorithmic_delay_ms(source, encoder)
    # Windows end 10 ms before their frame: 30 ms into a block at the earliest, 50 ms before its end, and 40 ms more.
    assert delay == 80.0
    samples, frames = speech(1.0), 20

    def windows(heard: np.ndarray) -> np.ndarray:
        return source.windows(heard, frames, encoder.left_mel_frames, encoder.right_mel_frames)

    whole, latest = windows(samples), []
    for frame in (6, 7, 8, 9):
        end = 640 * frame + round(16 * delay)
        for heard_ms in (0, 10):  # all that is stated, and 10 ms less
            cut = samples.copy()
            cut[end - 16 * heard_ms :] = 0.0
            latest.append((heard_ms, bool((windows(cut)[frame] == whole[frame]).all())))
    assert all(same for heard_ms, same in latest if heard_ms == 0)
    assert not all(same for heard_ms, same in latest if heard_ms == 10)


def test_a_frozen_encoder_places_a_click_where_it_sounds(tmp_path: Path):
    source = FrozenEncoder(user_graph(made_waveform_encoder(tmp_path, normalise="none")), SHORT)
    for at_ms in (300, 500, 610):
        samples = np.zeros(16_000, np.float32)
        samples[at_ms * 16 : at_ms * 16 + 80] = speech(0.005)
        energy = (source.features(samples) ** 2).sum(axis=1)
        centre_ms = 10 * float((energy * np.arange(100)).sum() / energy.sum())
        # The made filter is 25 ms wide and its rows 20 ms apart: half a row, plus half a filter.
        assert abs(centre_ms - at_ms) < 22


def test_a_mask_is_given_as_ones(tmp_path: Path):
    plain = user_graph(made_waveform_encoder(tmp_path / "plain", normalise="none"))
    masked = user_graph(made_waveform_encoder(tmp_path / "masked", normalise="none", mask=True))
    np.testing.assert_array_equal(masked.run(speech(0.4)), plain.run(speech(0.4)))


def test_a_deepspeech_layout_is_fed_cepstra_with_their_neighbours(tmp_path: Path):
    graph = user_graph(made_mfcc_encoder(tmp_path))
    rows = graph.run(speech(0.5))
    assert rows.shape == (1 + (8000 - 512) // 320, WIDTH)
    source = FrozenEncoder(graph, SHORT)
    assert (source.width, source.native_rate_hz) == (WIDTH, 50.0)


def test_cepstra_of_a_louder_sound_differ_in_the_first_coefficient_alone():
    quiet, loud = mfcc(speech(0.2)), mfcc(2.0 * speech(0.2))
    # Twice the amplitude adds ln 2 to each of 40 bands: sqrt(2 / 40) * 40 * ln 2 in the constant term, derived.
    np.testing.assert_allclose(loud[:, 0] - quiet[:, 0], np.sqrt(2 / 40) * 40 * np.log(2), atol=1e-4)
    np.testing.assert_allclose(loud[:, 1:], quiet[:, 1:], atol=1e-4)
    context = mfcc_with_context(speech(0.2))
    assert context.shape == (len(quiet), 19, CEPSTRA)
    np.testing.assert_array_equal(context[3, 9], quiet[3])
    np.testing.assert_array_equal(context[3, 12], quiet[6])
    assert not context[0, :9].any()


def test_sound_too_short_for_one_spectrum_has_no_cepstra():
    with pytest.raises(ValueError, match="mfcc: expected at least 512 samples, got 100"):
        mfcc(np.zeros(100))


def test_blocks_of_impossible_lengths_are_refused():
    with pytest.raises(ValueError, match=r"Blocks: expected left and right of 0 ms or more.*got -1, 0 and 80"):
        Blocks(-1, 80, 0)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"layout": "pictures"}, "layout: expected 'waveform' or 'mfcc', got 'pictures'"),
        ({"sample_rate_hz": 8000}, "sample_rate_hz: expected 16000, got 8000"),
        ({"normalise": "loud"}, "normalise: expected 'unit' or 'none', got 'loud'"),
        ({"layout": "mfcc", "normalise": "unit"}, "normalise: expected 'none', got 'unit'"),
        ({"normalise": None}, "expected the fields .*'normalise'"),
        ({"layout": "mfcc"}, "expected one float input of 4 dimensions for the layout 'mfcc'"),
    ],
)
def test_settings_that_cannot_be_are_refused(tmp_path: Path, fields: dict[str, object], message: str):
    model = made_waveform_encoder(tmp_path, normalise="none")
    write_settings(model, **fields)
    with pytest.raises(InputError, match=message):
        user_graph(model)


def test_a_graph_whose_context_is_of_another_size_is_refused(tmp_path: Path):
    model = made_mfcc_encoder(tmp_path)
    write_settings(model, layout="waveform")
    with pytest.raises(InputError, match="expected one float input of 2 dimensions for the layout 'waveform'"):
        user_graph(model)


def test_files_that_are_missing_damaged_or_others_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match="--audio-model: expected an ONNX file, found none"):
        user_graph(tmp_path / "nowhere.onnx")
    model = made_waveform_encoder(tmp_path, normalise="none")
    assert user_graph(model, file_sha256(model)).name == "encoder.onnx"
    with pytest.raises(InputError, match="expected the file that the run was trained with, got another one"):
        user_graph(model, "0" * 64)
    model.with_suffix(".json").write_text("{")
    with pytest.raises(InputError, match="expected JSON, could not read it"):
        user_graph(model)
    model.with_suffix(".json").unlink()
    with pytest.raises(InputError, match=r"expected the encoder's settings at .*encoder\.json, found none"):
        user_graph(model)
    write_settings(model)
    model.write_bytes(b"no graph")
    with pytest.raises(InputError, match="expected an ONNX graph, could not load"):
        user_graph(model)


class Pooled:
    """A network that gives one vector for the whole sound: no encoder for lips."""

    name, why_not_in_a_bundle = "pooled", "no reason"

    def run(self, samples: np.ndarray) -> np.ndarray:
        return np.zeros((1, 4), np.float32)


def test_a_network_without_a_row_for_each_moment_is_refused():
    with pytest.raises(InputError, match="pooled: expected a row of features for every 10 ms to 1 s"):
        FrozenEncoder(Pooled(), SHORT)


def test_a_graph_that_fails_on_sound_says_so(tmp_path: Path):
    graph = user_graph(made_waveform_encoder(tmp_path, normalise="none"))
    with pytest.raises(InputError, match=r"encoder\.onnx: could not run on 10 samples"):
        graph.run(np.zeros(10, np.float32))
    with pytest.raises(InputError, match=r"encoder\.onnx: expected finite rows"):
        graph.run(np.full(2000, np.nan, np.float32))


def test_a_users_encoder_shapes_the_run_and_is_refused_at_export(tmp_path: Path):
    model = made_waveform_encoder(tmp_path, normalise="unit")
    config = PRESETS["preview"].with_hearing("onnx", model)
    assert config.avatar.audio.mel_bands == WIDTH
    source = open_source(config.hearing)
    assert (
        algorithmic_delay_ms(source, config.avatar.audio) == 240.0
    )  # the row 30 ms into a block of 160 ms, and 120 ms more
    with pytest.raises(InputError, match=r"hears with encoder.onnx cannot go into a bundle: .*--hears log_mel"):
        source.bundle_front_end()
    assert LogMelSource().bundle_front_end() == audio.DEFAULT_LOG_MEL
    with pytest.raises(InputError, match="--lookahead-ms: expected --hears log_mel"):
        config.with_lookahead(120)
    with pytest.raises(InputError, match="--smoothing-frames: expected --hears log_mel"):
        config.with_smoothing(8)


def test_sources_that_do_not_exist_here_are_refused(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(InputError, match="audio source: expected one of log_mel, moonshine, onnx, got 'ears'"):
        open_source(HearingConfig("ears"))
    with pytest.raises(InputError, match="--audio-model: --hears onnx needs an ONNX file, got none"):
        PRESETS["preview"].with_hearing("onnx", None)
    with pytest.raises(InputError, match=r"--audio-model: --hears log_mel takes no ONNX file, got x\.onnx"):
        PRESETS["preview"].with_hearing("log_mel", Path("x.onnx"))
    monkeypatch.setattr(frozen_graph.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"--hears moonshine: expected the package moonshine-voice.*\[moonshine\]"):
        moonshine_graph()


def test_runs_older_than_the_choice_hear_log_mel():
    assert audio_source.hearing_of({}, "run") == HearingConfig()
    with pytest.raises(InputError, match="run: hearing: expected the settings"):
        audio_source.hearing_of({"hearing": {"source": "log_mel"}}, "run")


@pytest.mark.skipif(util.find_spec("moonshine_voice") is None, reason="the extra moonshine is not installed")
def test_moonshines_width_and_rate_are_what_its_graph_gives():
    source = FrozenEncoder(moonshine_graph(), SHORT)
    assert source.width == 288
    assert source.native_rate_hz == pytest.approx(16_000 / 384, abs=0.2)  # strides 64 x 3 x 2
    features = source.features(speech(0.3))
    assert features.shape == (30, 288)
    assert features.std() > 0.1
