"""What a run keeps for its export, and what runs of old kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.random_run import driving_samples, random_model
from safetensors.numpy import load_file, save_file

from gstalker.runtime.errors import InputError
from gstalker.runtime.model.driving_samples import load_driving_samples


def test_samples_from_before_torsos_were_seen_to_stretch_have_none(tmp_path: Path):
    samples = driving_samples(random_model())
    samples.save(tmp_path)
    np.testing.assert_array_equal(load_driving_samples(tmp_path).idle_torso_stretch, samples.idle_torso_stretch)
    path = tmp_path / "driving.safetensors"
    arrays = load_file(path)
    del arrays["idle_torso_stretch"]
    save_file(arrays, path)
    read = load_driving_samples(tmp_path)
    np.testing.assert_array_equal(read.idle_torso_stretch, np.zeros((len(samples.idle_expression), 3)))
    del arrays["idle_expression"]
    save_file(arrays, path)
    with pytest.raises(InputError, match="expected the tracked samples of a run, could not read them"):
        load_driving_samples(tmp_path)
