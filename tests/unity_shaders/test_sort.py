"""GaussianSort.compute: a stable sort, exact, whatever the number of keys."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("slangpy", reason="slangpy, which runs HLSL, has no wheel for this machine")

from helpers.unity_shaders.avatar import sort
from helpers.unity_shaders.gpu import Gpu


def sorted_order(gpu: Gpu, keys: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Order, and the keys in it, as the device sorts them."""
    count = len(keys)
    key_buffers = [gpu.buffer(keys.astype("<u4")), gpu.buffer(count)]
    order_buffers = [gpu.buffer(np.arange(count, dtype="<u4")), gpu.buffer(count)]
    result = sort(gpu, key_buffers, order_buffers, count, bits)
    place = [b is result for b in order_buffers].index(True)
    return gpu.read(result, np.uint32), gpu.read(key_buffers[place], np.uint32)


@pytest.mark.parametrize("count", [1, 1_000, 65_537, 300_000])
def test_random_keys_of_32_bits_are_sorted_exactly(gpu: Gpu, count: int):
    keys = np.random.default_rng(count).integers(0, 2**32, count, dtype=np.uint32)
    order, in_order = sorted_order(gpu, keys, 32)
    np.testing.assert_array_equal(order, np.argsort(keys, kind="stable"))
    np.testing.assert_array_equal(in_order, np.sort(keys))


@pytest.mark.parametrize("count", [1, 1_000, 65_537, 300_000])
def test_ties_keep_the_order_they_came_in(gpu: Gpu, count: int):
    """Seven different keys only, 28 bits as depths have: seven passes, an odd number, end in the other buffer."""
    rng = np.random.default_rng(count)
    keys = rng.choice(rng.integers(0, 2**28, 7, dtype=np.uint32), count)
    order, _ = sorted_order(gpu, keys, 28)
    np.testing.assert_array_equal(order, np.argsort(keys, kind="stable"))


@pytest.mark.parametrize("count", [2, 255, 256, 257, 1023, 1024, 1025, 4096])
def test_sizes_about_a_group_and_a_block_are_sorted_exactly(gpu: Gpu, count: int):
    """All keys equal, the most one counter can meet; falling keys, where every one moves."""
    for keys in (np.full(count, 0xFFFFFFFF, np.uint32), np.arange(count, dtype=np.uint32)[::-1].copy()):
        order, _ = sorted_order(gpu, keys, 32)
        np.testing.assert_array_equal(order, np.argsort(keys, kind="stable"))


def test_digits_are_counted_and_their_places_summed_block_by_block(gpu: Gpu):
    """CountDigits and ScanCounts alone: counts digit after digit, in each block after block; then what lies before."""
    keys = np.random.default_rng(2).integers(0, 2**32, 2500, dtype=np.uint32)
    counts = gpu.buffer(16 * 3)
    values = {
        "_GsSourceKeys": gpu.buffer(keys),
        "_GsDigitCounts": counts,
        "_GsKeyCount": len(keys),
        "_GsBlockCount": 3,
        "_GsShift": 12,
    }
    gpu.run("GaussianSort.compute", "CountDigits", 3, values)
    digits = (keys >> 12) & 15
    wanted = np.stack([np.bincount(digits[b : b + 1024], minlength=16) for b in (0, 1024, 2048)], axis=1).ravel()
    np.testing.assert_array_equal(gpu.read(counts, np.uint32), wanted)
    gpu.run("GaussianSort.compute", "ScanCounts", 1, values)
    np.testing.assert_array_equal(gpu.read(counts, np.uint32), np.cumsum(wanted) - wanted)
