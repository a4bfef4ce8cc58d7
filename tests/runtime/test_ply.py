"""The PLY of splat programs: what they read in ours, and what we refuse in others."""

from __future__ import annotations

import io

import numpy as np
import pytest
from plyfile import PlyData

from gstalker.kernels.gaussians import Gaussians
from gstalker.runtime.errors import InputError
from gstalker.runtime.ply import gaussians_from_ply, ply_bytes


def cloud(count: int = 20, bands: int = 1, seed: int = 0) -> Gaussians:
    rng = np.random.default_rng(seed)
    quats = rng.normal(size=(count, 4))
    return Gaussians(
        means=rng.normal(size=(count, 3)).astype(np.float32),
        quats_wxyz=(quats / np.linalg.norm(quats, axis=1, keepdims=True)).astype(np.float32),
        scales=np.exp(rng.uniform(-7, -3, (count, 3))).astype(np.float32),
        opacities=rng.uniform(0.02, 0.98, count).astype(np.float32),
        sh_coeffs=rng.normal(size=(count, bands, 3)).astype(np.float32),
    )


@pytest.mark.parametrize("bands", [1, 4, 9, 16])
def test_a_stranger_reads_logits_logarithms_and_channel_major_colour(bands: int):
    sent = cloud(bands=bands)
    vertices = PlyData.read(io.BytesIO(ply_bytes(sent)))["vertex"]
    np.testing.assert_array_equal(vertices["y"], sent.means[:, 1])
    np.testing.assert_allclose(vertices["opacity"], np.log(sent.opacities / (1 - sent.opacities)), atol=2e-6)
    np.testing.assert_allclose(vertices["scale_2"], np.log(sent.scales[:, 2]), rtol=1e-6)
    np.testing.assert_allclose(vertices["rot_0"], sent.quats_wxyz[:, 0], atol=1e-6)
    np.testing.assert_array_equal(vertices["f_dc_1"], sent.sh_coeffs[:, 0, 1])
    if bands > 1:  # second coefficient of red, then, bands - 1 further, that of green
        np.testing.assert_array_equal(vertices["f_rest_1"], sent.sh_coeffs[:, 2, 0])
        np.testing.assert_array_equal(vertices[f"f_rest_{bands - 1}"], sent.sh_coeffs[:, 1, 1])


@pytest.mark.parametrize("bands", [1, 4, 16])
def test_reading_gives_back_what_was_written(bands: int):
    sent = cloud(bands=bands)
    got = gaussians_from_ply(ply_bytes(sent), "a.ply", 100)
    np.testing.assert_array_equal(got.means, sent.means)
    np.testing.assert_array_equal(got.sh_coeffs, sent.sh_coeffs)
    np.testing.assert_allclose(got.quats_wxyz, sent.quats_wxyz, atol=1e-7)
    np.testing.assert_allclose(got.scales, sent.scales, rtol=1e-6)  # |log| <= 7 keeps 7 * 2^-24 = 4e-7
    np.testing.assert_allclose(got.opacities, sent.opacities, atol=1e-6)


def test_opacities_of_exactly_0_and_1_stay_what_they_are_to_2e_9():
    sent = cloud(2)
    sent.opacities[:] = [0, 1]
    got = gaussians_from_ply(ply_bytes(sent), "a.ply", 100)
    np.testing.assert_allclose(got.opacities, [0, 1], atol=2.1e-9)


def edited(old: bytes, new: bytes) -> bytes:
    data = ply_bytes(cloud())
    assert old in data
    return data.replace(old, new, 1)


def with_value(column: int, value: float) -> bytes:
    data = bytearray(ply_bytes(cloud()))
    start = data.index(b"end_header\n") + 11 + 4 * 17 * 3 + 4 * column  # the Gaussian of index 3
    data[start : start + 4] = np.float32(value).tobytes()
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "expected a binary little-endian PLY"),
        (b"ply\nend_header\n", "expected a binary little-endian PLY"),
        (edited(b"binary_little_endian", b"ascii"), "expected a binary little-endian PLY"),
        (edited(b"float opacity", b"float see_through"), "expected the columns of a splat cloud"),
        (edited(b"float x", b"double x"), "expected the columns of a splat cloud"),
        (edited(b"vertex 20", b"vertex many"), "expected 'element vertex COUNT'"),
        (edited(b"vertex 20", b"vertex 9999999999999"), "expected 'element vertex COUNT'"),
        (edited(b"element vertex", b"element face"), "expected 'element vertex COUNT'"),
        (edited(b"vertex 20", b"vertex 0"), "expected 1 to 100 Gaussians, got 0"),
        (edited(b"vertex 20", b"vertex 101"), "expected 1 to 100 Gaussians, got 101"),
        (edited(b"vertex 20", b"vertex 21"), "expected 1428 bytes after the header for 21 Gaussians, got 1360"),
        (ply_bytes(cloud())[:-1], "expected 1360 bytes after the header for 20 Gaussians, got 1359"),
        (with_value(10, 31.0), "expected log-scales within"),
        (with_value(1, np.nan), "got NaN or infinity in Gaussian 3"),
    ],
)
def test_other_files_are_refused(data: bytes, message: str):
    with pytest.raises(InputError, match=message):
        gaussians_from_ply(data, "a.ply", 100)


def test_a_rotation_of_length_0_is_refused():
    data = ply_bytes(cloud(1))
    with pytest.raises(InputError, match="rotations of non-zero length"):
        gaussians_from_ply(data[:-16] + bytes(16), "a.ply", 100)


def test_a_rotation_whose_square_would_overflow_is_refused():
    data = ply_bytes(cloud(1))
    with pytest.raises(InputError, match="expected rotations of length up to"):
        gaussians_from_ply(data[:-16] + np.full(4, 1e30, "<f4").tobytes(), "a.ply", 100)
