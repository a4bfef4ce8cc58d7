"""The reader that needs no face model."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.talking_disc import make_clip, write_dataset

from gstalker.runtime.dataset import Clip, Dataset
from gstalker.runtime.errors import InputError
from gstalker.runtime.evaluate.agreement import agreement
from gstalker.runtime.evaluate.curves import FaceCurves, detected_face, tracked_face
from gstalker.runtime.evaluate.face_measures import lip_distance_px
from gstalker.runtime.evaluate.fitted_reader import FittedReader

FRAMES = 60


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    clips = [make_clip(n, "train", i, FRAMES, sway=3.0) for i, n in enumerate("abc")]
    clips.append(make_clip("t", "test", 9, FRAMES, sway=3.0))
    return Dataset(write_dataset(tmp_path_factory.mktemp("reader"), clips))


@pytest.fixture(scope="module")
def reader(dataset: Dataset) -> FittedReader:
    return FittedReader(dataset)


@pytest.fixture(scope="module")
def held_out(dataset: Dataset) -> Clip:
    return dataset.load("t")


def read(reader: FittedReader, pictures: np.ndarray) -> FaceCurves:
    return detected_face(reader.detect(pictures), reader.blendshape_names)


def test_unseen_pictures_of_a_swaying_head_are_read_well(reader: FittedReader, dataset: Dataset, held_out: Clip):
    """Measured 0.066 px, correlations above 0.999; twice the error is allowed. The mouth sways by 3 px."""
    found = read(reader, held_out.rgb)
    known = tracked_face(held_out.tracks, range(FRAMES), dataset.manifest.blendshape_names)
    assert lip_distance_px(found.landmarks_px, known.landmarks_px, centred=False).mean() < 0.13
    for curve in ("lip_opening_px", "lid_opening_px", "blink"):
        value = agreement([getattr(found, curve)], [getattr(known, curve)])
        assert value.correlation is not None
        assert value.correlation > 0.99, curve
        assert value.amplitude_ratio == pytest.approx(1.0, abs=0.08), curve


def test_an_averaged_mouth_is_read_as_one_that_opens_less(reader: FittedReader, held_out: Clip):
    """0.4 of the picture's motion is left, so 0.4 of the opening's: it must not be read back into shape."""
    mixed = np.round(0.4 * held_out.rgb + 0.6 * held_out.rgb.mean(axis=0)).astype(np.uint8)
    value = agreement([read(reader, mixed).lip_opening_px], [read(reader, held_out.rgb).lip_opening_px])
    assert value.amplitude_ratio == pytest.approx(0.4, abs=0.05)


def test_too_few_training_frames_are_refused(tmp_path):
    folder = write_dataset(tmp_path / "d", [make_clip("a", "train", 1, 10)])
    with pytest.raises(InputError, match="expected at least 60 training frames to fit a lip reader to, got 10"):
        FittedReader(Dataset(folder))
