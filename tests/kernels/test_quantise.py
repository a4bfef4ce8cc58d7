"""Sixteen bytes a mover: the layout, the bounds on what is lost, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gstalker.kernels.quantise import (
    BYTES_PER_MOVER,
    QuantisationBox,
    box_for,
    pack_movers,
    pack_movers_reference,
    unpack_movers,
    unpack_movers_reference,
)

BOX = QuantisationBox((-0.15, -0.2, -0.1), (0.15, 0.25, 0.12), -9.5, -2.5)
Movers = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _movers(count: int, seed: int = 4) -> Movers:
    rng = np.random.default_rng(seed)
    means = rng.uniform(BOX.position_min_m, BOX.position_max_m, (count, 3))
    scales = np.exp(rng.uniform(BOX.log_scale_min, BOX.log_scale_max, (count, 3)))
    values = means, rng.normal(size=(count, 4)), scales, rng.uniform(0, 1, count)
    return tuple(v.astype(np.float32) for v in values)  # type: ignore[return-value]


def _edge_movers() -> Movers:
    """Corners of the box, ends of the ranges, quaternions with ties and with a negative largest component."""
    half = math.sqrt(0.5)
    quats = [
        [1, 0, 0, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 1, 0], [0, 0, 0, -1], [1, 1, 1, 1], [-1, 1, -1, 1],
        [half, half, 0, 0], [0, half, 0, -half], [3e-9, -4e-9, 0, 0], [1e18, 1e18, -1e18, 1], [-0.0, 0, -2, 2],
    ]  # fmt: skip
    count = len(quats)
    means = np.resize(np.array([BOX.position_min_m, BOX.position_max_m, (0, 0, 0)]), (count, 3))
    scales = np.exp(np.resize([BOX.log_scale_min, BOX.log_scale_max, -5.0, -4.0], (count, 3)))
    opacities = np.resize([0.0, 1.0, -0.0, 0.5], count)
    return tuple(np.asarray(v, np.float32) for v in (means, quats, scales, opacities))  # type: ignore[return-value]


def _angles_rad(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Angle of the rotation between quaternions, float64; well conditioned for small angles."""
    a, b = (q.astype(np.float64) for q in (a, b))
    a, b = (q / np.linalg.norm(q, axis=1, keepdims=True) for q in (a, b))
    b = b * np.sign(np.sum(a * b, axis=1, keepdims=True))
    return 4 * np.arcsin(np.linalg.norm(a - b, axis=1) / 2)


@pytest.mark.parametrize("movers", [_movers(5_000), _edge_movers()], ids=["random", "edges"])
def test_numba_writes_and_reads_the_bits_of_the_reference(movers: Movers) -> None:
    packed = pack_movers(*movers, BOX)
    assert packed.shape == (len(movers[0]), BYTES_PER_MOVER)
    np.testing.assert_array_equal(packed, pack_movers_reference(*movers, BOX))
    for fast, slow in zip(unpack_movers(packed, BOX), unpack_movers_reference(packed, BOX), strict=True):
        assert fast.dtype == np.float32
        np.testing.assert_array_equal(fast, slow)


def test_any_bytes_decode_alike_in_both() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (2_000, 16), dtype=np.uint8)
    for fast, slow in zip(unpack_movers(noise, BOX), unpack_movers_reference(noise, BOX), strict=True):
        np.testing.assert_array_equal(fast, slow)
        assert np.isfinite(fast).all()


def test_one_record_has_the_bytes_of_the_table() -> None:
    """Worked by hand. x at the minimum is 0, y at the maximum 65535, z in the middle 32768 (32767.5 to even);
    opacity 1 is 65535. The rotation is 90 degrees about -x: w = -x = sqrt(1/2), the first of equals is the
    largest (index 0), x = -sqrt(1/2) is code 0, y = z = 0 are 511. Log-scales 0, 0.5 and 2 of 0..2 are 0,
    256 (255.75) and 1023."""
    box = QuantisationBox((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0), 0.0, 2.0)
    half = math.sqrt(0.5)
    movers = ([[-1, 1, 0]], [[half, -half, 0, 0]], [[1, math.exp(0.5), math.exp(2)]], [1])
    means, quats, scales, opacities = (np.array(v, np.float32) for v in movers)
    packed = pack_movers(means, quats, scales, opacities, box)
    rotation_word = 0 | 511 << 10 | 511 << 20 | 0 << 30
    scales_word = 0 | 256 << 10 | 1023 << 20
    expected = b"\x00\x00" + b"\xff\xff" + b"\x00\x80" + b"\xff\xff"
    expected += rotation_word.to_bytes(4, "little") + scales_word.to_bytes(4, "little")
    assert packed.tobytes() == expected


def test_positions_opacities_and_scales_move_by_half_a_code_at_most() -> None:
    """Derived: half a code, plus float32: 65535 * 2^-24 = 0.4 % of a code for each of five roundings (2 % of a
    code), and half a last place of a coordinate."""
    movers = _movers(20_000)
    means, _, scales, opacities = unpack_movers(pack_movers(*movers, BOX), BOX)
    allowed_m = 0.52 * np.array(BOX.position_step_m) + 2.0**-25
    worst_m = np.abs(means.astype(np.float64) - movers[0]).max(axis=0)
    assert (worst_m <= allowed_m).all(), f"worst {worst_m} m, allowed {allowed_m} m"
    assert (worst_m >= 0.9 * allowed_m).all(), "suspiciously exact: is it still 16 bits?"

    worst_opacity = np.abs(opacities.astype(np.float64) - movers[3]).max()
    assert 0.45 / 65535 <= worst_opacity <= 0.52 / 65535

    worst_log = np.abs(np.log(scales.astype(np.float64)) - np.log(movers[2].astype(np.float64))).max()
    assert 0.45 * BOX.log_scale_step <= worst_log <= 0.501 * BOX.log_scale_step


ROTATION_BOUND_RAD = 4 * math.sqrt(3) / (1022 * math.sqrt(2)) + 1e-6
"""The module's head derives it; 1e-6 for float32. 0.2747 degrees."""


def _rotations_come_back(quats: np.ndarray) -> np.ndarray:
    count = len(quats)
    movers = np.zeros((count, 3), np.float32), quats, np.full((count, 3), 0.001, np.float32), np.ones(count, np.float32)
    back = unpack_movers(pack_movers(*movers, BOX), BOX)[1]
    np.testing.assert_allclose(np.linalg.norm(back, axis=1), 1, rtol=0, atol=1e-6)
    return _angles_rad(quats, back)


def test_random_rotations_come_back_within_the_derived_angle() -> None:
    worst = _rotations_come_back(_movers(200_000)[1]).max()
    assert worst <= ROTATION_BOUND_RAD <= math.radians(0.3)
    assert worst >= 0.7 * ROTATION_BOUND_RAD, "the bound should be nearly met by so many"


COMPONENT = st.floats(-1, 1, width=32)


@given(st.lists(st.tuples(COMPONENT, COMPONENT, COMPONENT, COMPONENT), min_size=1, max_size=20))
def test_any_rotation_comes_back_within_the_derived_angle(components: list[tuple[float, ...]]) -> None:
    quats = np.array(components, np.float32)
    quats = quats[np.linalg.norm(quats, axis=1) > 1e-3]
    if len(quats):
        assert _rotations_come_back(quats).max() <= ROTATION_BOUND_RAD


def test_a_gaussian_that_does_not_turn_comes_back_exactly() -> None:
    assert _rotations_come_back(np.eye(4, dtype=np.float32)).max() == 0


def test_a_preallocated_buffer_is_filled_and_an_unfit_one_refused() -> None:
    movers = _movers(7)
    out = np.zeros((7, 16), np.uint8)
    assert pack_movers(*movers, BOX, out=out) is out
    np.testing.assert_array_equal(out, pack_movers(*movers, BOX))
    with pytest.raises(
        ValueError, match=r"out: expected contiguous uint8 of shape \(7, 16\), got uint8 of shape \(6, 16\)"
    ):
        pack_movers(*movers, BOX, out=out[:6])
    with pytest.raises(ValueError, match=r"out: expected contiguous"):
        pack_movers(*movers, BOX, out=np.zeros((14, 16), np.uint8)[::2])


def test_no_movers_make_no_bytes() -> None:
    packed = pack_movers(*_movers(0), BOX)
    assert packed.shape == (0, 16)
    assert [len(a) for a in unpack_movers(packed, BOX)] == [0, 0, 0, 0]


@pytest.mark.parametrize("pack", [pack_movers, pack_movers_reference])
@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (0, math.nan, r"means: 2 of 9 Gaussians are not in the box .* first is index 3, value \["),
        (0, math.inf, r"means: 2 of 9 .* first is index 3"),
        (0, 0.2501, r"means: 2 of 9 .* first is index 3"),
        (0, -0.2001, r"means: 2 of 9 .* first is index 3"),
        (1, math.nan, r"quats_wxyz: 2 of 9 Gaussians are not finite and of non-zero length; first is index 3"),
        (1, math.inf, r"quats_wxyz: 2 of 9 .* first is index 3"),
        (2, math.nan, r"scales: 2 of 9 Gaussians are not in the box .* first is index 3"),
        (2, math.exp(-2.4), r"scales: 2 of 9 .* first is index 3"),
        (2, math.exp(-9.6), r"scales: 2 of 9 .* first is index 3"),
        (2, 0.0, r"scales: 2 of 9 .* first is index 3"),
        (2, -0.01, r"scales: 2 of 9 .* first is index 3"),
        (2, math.inf, r"scales: 2 of 9 .* first is index 3"),
        (3, math.nan, r"opacities: 2 of 9 Gaussians are not in 0\.\.1; first is index 3, value nan"),
        (3, 1.001, r"opacities: 2 of 9 Gaussians are not in 0\.\.1; first is index 3, value 1\.00"),
        (3, -0.001, r"opacities: 2 of 9 .* value -0\.001.* None were dropped or clamped"),
    ],
)
def test_a_value_with_no_code_is_refused_with_its_place(pack, field: int, value: float, message: str) -> None:
    movers = _movers(9)
    movers[field].reshape(9, -1)[[3, 7], -1 if field == 2 else min(1, movers[field].ndim - 1)] = value
    with pytest.raises(ValueError, match=message):
        pack(*movers, BOX)


@pytest.mark.parametrize("pack", [pack_movers, pack_movers_reference])
def test_a_quaternion_of_zero_length_is_refused(pack) -> None:
    movers = _movers(4)
    movers[1][2] = 0
    with pytest.raises(ValueError, match=r"quats_wxyz: 1 of 4 .* first is index 2, value \[0\.0, 0\.0, 0\.0, 0\.0\]"):
        pack(*movers, BOX)


def test_up_to_half_a_step_outside_is_still_half_a_step_off() -> None:
    means, quats, scales, opacities = _movers(1)
    step_m = BOX.position_step_m[0]
    means[0, 0] = BOX.position_max_m[0] + 0.4 * step_m
    back = unpack_movers(pack_movers(means, quats, scales, opacities, BOX), BOX)[0]
    assert abs(back[0, 0] - means[0, 0]) <= 0.5 * step_m
    means[0, 0] = BOX.position_max_m[0] + 0.6 * step_m
    with pytest.raises(ValueError, match="means: 1 of 1"):
        pack_movers(means, quats, scales, opacities, BOX)


def test_arrays_of_another_shape_or_dtype_are_refused() -> None:
    means, quats, scales, opacities = _movers(5)
    with pytest.raises(
        ValueError, match=r"quats_wxyz: expected float32 of shape \(5, 4\), got float32 of shape \(4, 5\)"
    ):
        pack_movers(means, np.ascontiguousarray(quats.T), scales, opacities, BOX)
    with pytest.raises(ValueError, match=r"scales: expected float32 of shape \(5, 3\), got float64"):
        pack_movers(means, quats, scales.astype(np.float64), opacities, BOX)
    for unpack in (unpack_movers, unpack_movers_reference):
        with pytest.raises(
            ValueError, match=r"packed: expected uint8 of shape \(M, 16\), got uint8 of shape \(16, 3\)"
        ):
            unpack(np.zeros((16, 3), np.uint8), BOX)


def test_box_for_leaves_room_and_keeps_float32_numbers() -> None:
    low, high = np.array([-0.1, 0.0, 0.05]), np.array([0.1, 0.4, 0.05])
    box = box_for(low, high, -8.0, -4.0)
    np.testing.assert_allclose(box.position_min_m, [-0.15, -0.1, 0.049], atol=1e-7)
    np.testing.assert_allclose(box.position_max_m, [0.15, 0.5, 0.051], atol=1e-7)
    assert (box.log_scale_min, box.log_scale_max) == (-9.0, -3.0)
    for value in (*box.position_min_m, *box.position_max_m, box.log_scale_min, box.log_scale_max):
        assert value == float(np.float32(value))
    assert box_for(low, high, -4.0, -4.0).log_scale_max == pytest.approx(-3.95)


def test_boxes_with_no_inside_are_refused() -> None:
    with pytest.raises(ValueError, match=r"box_for: expected minima <= maxima, got \[0.0, 0.0, nan\]"):
        box_for(np.array([0, 0, math.nan]), np.ones(3), -8, -4)
    with pytest.raises(ValueError, match=r"box_for: .* log-scales -4 to -8"):
        box_for(np.zeros(3), np.ones(3), -4, -8)
    with pytest.raises(ValueError, match=r"expected position_min_m < position_max_m"):
        QuantisationBox((0.0, 0.0, 0.0), (1.0, 0.0, 1.0), -8, -4)
    with pytest.raises(ValueError, match=r"finite log_scale_min < log_scale_max, got -4 and inf"):
        QuantisationBox((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), -4, math.inf)
