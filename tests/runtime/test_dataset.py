"""Datasets from before something was tracked can still be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from made_dataset import write_made_dataset
from safetensors.numpy import load_file, save_file

from gstalker.runtime.dataset import Dataset


def test_a_dataset_from_before_torsos_were_seen_to_stretch_has_none(tmp_path: Path):
    folder = write_made_dataset(tmp_path / "made")
    name = Dataset(folder).manifest.clips[0].name
    path = folder / "clips" / name / "tracks.safetensors"
    arrays = load_file(path)
    del arrays["torso_stretch"]
    save_file(arrays, path)
    tracks = Dataset(folder).tracks(name)
    np.testing.assert_array_equal(tracks.torso_stretch, np.zeros_like(tracks.torso_motion))
    np.testing.assert_array_equal(tracks.torso_motion, arrays["torso_motion"])
