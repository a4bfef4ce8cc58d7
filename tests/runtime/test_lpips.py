"""The perceptual distance: its properties on made-up weights, and on AlexNet's where they are at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

pytest.importorskip("torch", reason="torch is not installed (extra 'train')")

import torch

from gstalker.runtime.errors import InputError
from gstalker.runtime.evaluate.lpips import SMALLEST_PX, Lpips


def _weights(seed: int = 0) -> dict[str, np.ndarray]:
    """Arrays of AlexNet's shapes; random, but small enough to keep answers finite and heads positive."""
    rng = np.random.default_rng(seed)
    arrays: dict[str, np.ndarray] = {}
    sizes = [(3, 64, 11), (64, 192, 5), (192, 384, 3), (384, 256, 3), (256, 256, 3)]
    for level, (into, out, kernel) in enumerate(sizes):
        spread = (2 / (into * kernel**2)) ** 0.5
        arrays[f"conv{level}.weight"] = rng.normal(0, spread, (out, into, kernel, kernel)).astype(np.float32)
        arrays[f"conv{level}.bias"] = rng.normal(0, 0.1, out).astype(np.float32)
        arrays[f"head{level}.weight"] = rng.uniform(0, 1, (1, out, 1, 1)).astype(np.float32)
    return arrays


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Lpips:
    path = tmp_path_factory.mktemp("lpips") / "weights.npz"
    np.savez(path, **_weights())  # type: ignore[arg-type]
    return Lpips(path)


@pytest.fixture(scope="module")
def alexnet(speaker_data: Path) -> Lpips:
    path = speaker_data / "models" / "lpips_alex.npz"
    if not path.is_file():
        pytest.skip("no LPIPS weights: models/lpips_alex.npz is not among the speaker's data")
    return Lpips(path)


def _picture(seed: int = 3, size: int = 64) -> np.ndarray:
    """Coloured blobs and edges, float64 0..1."""
    rng = np.random.default_rng(seed)
    picture = gaussian_filter(rng.uniform(0, 1, (size, size, 3)), (3, 3, 0))
    picture = (picture - picture.min()) / np.ptp(picture)
    picture[size // 4 : size // 2, size // 4 : size // 2] = rng.uniform(0, 1, 3)
    return picture


def test_equal_pictures_have_no_distance_and_the_order_does_not_matter(made_up: Lpips) -> None:
    a, b = _picture(), _picture(seed=4)
    assert made_up.distance(a, a) == 0
    assert made_up.distance(a, b) > 0.01
    assert made_up.distance(a, b) == pytest.approx(made_up.distance(b, a), rel=1e-5)


@pytest.mark.speaker
def test_more_blur_and_more_noise_are_farther_away(alexnet: Lpips) -> None:
    sharp = _picture(size=96)
    noise = np.random.default_rng(5).normal(0, 1, sharp.shape)
    blurred = [alexnet.distance(sharp, gaussian_filter(sharp, (s, s, 0))) for s in (0.5, 1, 2, 4)]
    noisy = [alexnet.distance(sharp, np.clip(sharp + s * noise, 0, 1)) for s in (0.01, 0.03, 0.1)]
    for distances in (blurred, noisy):
        assert distances == sorted(distances)
        assert 0 < distances[0] < 0.5 * distances[-1]


@pytest.mark.speaker
def test_the_distance_of_two_drawn_pictures_stays_what_the_checked_port_gave(alexnet: Lpips) -> None:
    """On the two example pairs published with LPIPS this code gives 0.72188 and 0.13757 (LPIPS's own: 0.722 and
    0.138). Those pictures are not kept here; these two follow from arithmetic alone, and their distances were
    written down from the code that passed there. 1e-4 is for another machine's convolutions."""
    y, x = np.mgrid[0:64, 0:64] / 63.0
    drawn = np.stack([x, y, 0.5 + 0.5 * np.sin(20 * x * y)], axis=-1)
    coarser = np.round(drawn * 4) / 4
    assert alexnet.distance(drawn, coarser) == pytest.approx(0.0625, abs=1e-4)
    assert alexnet.distance(drawn, drawn[:, ::-1]) == pytest.approx(0.2696, abs=1e-4)


def test_a_batch_is_its_pictures_one_by_one(made_up: Lpips) -> None:
    first = torch.tensor(np.stack([_picture(1), _picture(2)]), dtype=torch.float32)
    second = torch.tensor(np.stack([_picture(3), _picture(1)]), dtype=torch.float32)
    together = made_up(first, second)
    assert together.shape == (2,)
    one_by_one = torch.stack([made_up(a, b) for a, b in zip(first, second, strict=True)])
    torch.testing.assert_close(together, one_by_one, rtol=1e-4, atol=1e-6)


def test_bytes_are_taken_as_255ths(made_up: Lpips) -> None:
    levels = np.round(_picture() * 255).astype(np.uint8)
    assert made_up.distance(levels, levels / 255.0) == pytest.approx(0, abs=1e-8)


def test_the_gradient_is_finite_on_blank_pictures_and_descends_elsewhere(made_up: Lpips) -> None:
    blank = torch.zeros(40, 40, 3, requires_grad=True)
    made_up(blank, torch.zeros(40, 40, 3)).backward()
    assert blank.grad is not None
    assert torch.isfinite(blank.grad).all()

    moved = torch.tensor(_picture(1), dtype=torch.float32, requires_grad=True)
    target = torch.tensor(_picture(2), dtype=torch.float32)
    before = made_up(moved, target)
    before.backward()
    assert moved.grad is not None
    with torch.no_grad():
        step = moved - 0.002 * moved.grad / moved.grad.abs().mean()
    assert made_up(step, target).item() < before.item()


def test_pictures_that_do_not_fit_are_refused(made_up: Lpips) -> None:
    with pytest.raises(
        ValueError, match=r"one shape \(H, W, 3\) or \(B, H, W, 3\), got \(40, 48, 3\) and \(48, 40, 3\)"
    ):
        made_up(torch.zeros(40, 48, 3), torch.zeros(48, 40, 3))
    with pytest.raises(ValueError, match=r"got \(3, 40, 48\)"):  # channels first: the right number of values
        made_up(torch.zeros(3, 40, 48), torch.zeros(3, 40, 48))
    with pytest.raises(ValueError, match=r"at least 31 x 31 px, got 64 x 30"):
        made_up(torch.zeros(30, 64, 3), torch.zeros(30, 64, 3))
    smallest = torch.rand(SMALLEST_PX, SMALLEST_PX, 3)
    assert torch.isfinite(made_up(smallest, 1 - smallest))


def _save(path: Path, **change: np.ndarray | None) -> Path:
    arrays = {**_weights(), **{name.replace("__", "."): array for name, array in change.items()}}
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})  # type: ignore[arg-type]
    return path


def test_weights_that_are_not_alexnets_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"LPIPS weights .*none\.npz: expected an \.npz file, found none"):
        Lpips(tmp_path / "none.npz")
    junk = tmp_path / "junk.npz"
    junk.write_bytes(b"not an archive")
    with pytest.raises(InputError, match=r"junk\.npz: expected an \.npz of plain arrays, but it cannot be read"):
        Lpips(junk)
    single = tmp_path / "single.npy"
    np.save(single, np.zeros(3))
    with pytest.raises(InputError, match=r"single\.npy: expected an \.npz of plain arrays"):
        Lpips(single)
    with pytest.raises(InputError, match=r"expected an array 'head3\.weight' of shape \(1, 256, 1, 1\), found none"):
        Lpips(_save(tmp_path / "missing.npz", head3__weight=None))
    transposed = _weights()["conv1.weight"].transpose(1, 0, 2, 3)
    with pytest.raises(InputError, match=r"of shape \(192, 64, 5, 5\), got float32 of shape \(64, 192, 5, 5\)"):
        Lpips(_save(tmp_path / "transposed.npz", conv1__weight=transposed))
    nan_bias = np.full(64, np.nan, np.float32)
    with pytest.raises(InputError, match=r"'conv0\.bias' to be finite"):
        Lpips(_save(tmp_path / "nan.npz", conv0__bias=nan_bias))


def test_a_truncated_archive_and_a_pickled_array_are_refused(tmp_path: Path) -> None:
    whole = _save(tmp_path / "whole.npz").read_bytes()
    cut = tmp_path / "cut.npz"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"cut\.npz: expected an \.npz of plain arrays, but it cannot be read"):
        Lpips(cut)
    pickled = np.array([{"not": "an array"}], dtype=object)
    with pytest.raises(InputError, match=r"pickled\.npz: expected an \.npz of plain arrays"):
        Lpips(_save(tmp_path / "pickled.npz", conv0__bias=pickled))
