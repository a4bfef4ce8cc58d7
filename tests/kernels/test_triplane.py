"""The tri-plane against a slow twin written from tiny-cuda-nn's rules, and its gradients."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed (extra 'train')")

import torch

from gstalker.kernels.triplane import TriPlane, TriPlaneConfig

HASHED = TriPlaneConfig(
    levels=4, features_per_level=2, base_resolution=8, finest_resolution=50, log2_table_size=8,
    bounds_min_m=(-0.2, -0.3, -0.1), bounds_max_m=(0.2, 0.1, 0.3),
)  # fmt: skip
TRAINED = TriPlaneConfig()


def _filled(config: TriPlaneConfig, seed: int = 5) -> TriPlane:
    grid = TriPlane(config)
    with torch.no_grad():
        grid.tables.copy_(torch.randn(grid.tables.shape, generator=torch.Generator().manual_seed(seed)))
    return grid


def _points(config: TriPlaneConfig, count: int, seed: int = 6) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    low, high = np.array(config.bounds_min_m), np.array(config.bounds_max_m)
    return torch.tensor(rng.uniform(low, high, (count, 3)), dtype=torch.float32)


def _slow_features(config: TriPlaneConfig, tables: np.ndarray, points_m: np.ndarray) -> np.ndarray:
    """One point, plane, level and corner at a time, in 32-bit unsigned integers as the CUDA code has them."""
    out = []
    for point in points_m:
        features: list[float] = []
        for plane, (first, second) in enumerate(((0, 1), (1, 2), (2, 0))):
            offset = 0
            for level in range(config.levels):
                scale = 2.0 ** (level * math.log2(config.per_level_scale)) * config.base_resolution - 1
                side = math.ceil(scale) + 1
                size = min(-(-side * side // 8) * 8, 2**config.log2_table_size)
                cell, fraction = [], []
                for axis in (first, second):
                    low, high = config.bounds_min_m[axis], config.bounds_max_m[axis]
                    position = min(max((float(point[axis]) - low) / (high - low), 0), 1) * scale + 0.5
                    cell.append(math.floor(position))
                    fraction.append(position - math.floor(position))
                total = np.zeros(config.features_per_level)
                for corner in range(4):
                    i, j = corner & 1, corner >> 1
                    weight = (fraction[0] if i else 1 - fraction[0]) * (fraction[1] if j else 1 - fraction[1])
                    x, y = cell[0] + i, cell[1] + j
                    entry = x + y * side if side * side <= size else x ^ ((y * 2654435761) % 2**32)
                    total += weight * tables[plane, offset + entry % size]
                features.extend(total)
                offset += size
        out.append(features)
    return np.array(out)


@pytest.mark.parametrize("config", [HASHED, TRAINED], ids=["hashed", "dense"])
def test_features_match_the_slow_twin(config: TriPlaneConfig) -> None:
    """Derived: a coordinate carries 2^-24 of rounding three times over and is multiplied by the finest
    resolution (<= 64), so weights err by about 64 * 3 * 2^-24 = 1.2e-5; table differences reach about 8."""
    grid, points = _filled(config), _points(config, 200)
    with torch.no_grad():
        got = grid(points).numpy()
    expected = _slow_features(config, grid.tables.detach().numpy().astype(np.float64), points.numpy())
    assert got.shape == (200, config.feature_count)
    assert np.abs(got - expected).max() <= 1e-4


def test_the_layout_is_tiny_cuda_nns() -> None:
    """Sizes worked out by hand: squares rounded up to 8, capped by the table; growth 2 is exact."""
    layout = TRAINED.level_layout()
    assert [(v.scale, v.resolution, v.offset, v.entries, v.hashed) for v in layout] == [
        (15.0, 16, 0, 256, False),
        (31.0, 32, 256, 1024, False),
        (63.0, 64, 1280, 4096, False),
    ]
    assert TRAINED.entries_per_plane == 5376
    assert TRAINED.feature_count == 36
    assert [(v.resolution, v.entries, v.hashed) for v in HASHED.level_layout()] == [
        (8, 64, False), (15, 232, False), (28, 256, True), (50, 256, True),
    ]  # fmt: skip


@pytest.mark.parametrize("levels", [2, 3, 5, 8, 12, 16])
@pytest.mark.parametrize(("base", "finest"), [(16, 38), (16, 64), (64, 512), (7, 100)])
def test_the_finest_level_has_exactly_the_resolution_asked_for(levels: int, base: int, finest: int) -> None:
    config = TriPlaneConfig(levels=levels, base_resolution=base, finest_resolution=finest)
    resolutions = [level.resolution for level in config.level_layout()]
    assert resolutions[0] == base
    assert resolutions[-1] == finest
    assert resolutions == sorted(resolutions)


def test_gradients_match_finite_differences_in_both_tables_and_points() -> None:
    """Inside a cell the features are linear along each axis, so a central difference in float64 is exact;
    what is left is float32 rounding of positions (2^-24 times the resolution), weights and sums: 1e-6 of the
    largest gradient, of which a fifth was measured."""
    config = TriPlaneConfig(levels=2, features_per_level=2, base_resolution=4, finest_resolution=8)
    grid = _filled(config)
    points = _points(config, 30).requires_grad_()
    mix = torch.randn(30, config.feature_count, generator=torch.Generator().manual_seed(1))
    (grid(points, differentiable_points=True) * mix).sum().backward()
    assert points.grad is not None
    assert grid.tables.grad is not None

    # Linear in the tables: moving along the gradient's own direction changes the sum by its squared length.
    with torch.no_grad():
        before = (grid(points) * mix).double().sum()
        slope = grid.tables.grad
        grid.tables.add_(slope)
        after = (grid(points) * mix).double().sum()
        grid.tables.sub_(slope)
    assert (after - before).item() == pytest.approx(slope.double().square().sum().item(), rel=1e-5)

    step_m = 2.0**-13
    tables = grid.tables.detach().numpy().astype(np.float64)
    start = points.detach().numpy().astype(np.float64)
    worst, compared = 0.0, 0
    for axis in range(3):
        shift = np.eye(3)[axis] * step_m
        up, down = (_slow_features(config, tables, start + s * shift) for s in (1, -1))
        here = _slow_features(config, tables, start)
        crosses_a_border = np.abs(up + down - 2 * here).max(axis=1) > 1e-9
        slope = ((up - down) * mix.numpy()).sum(axis=1) / (2 * step_m)
        difference = np.abs(slope - points.grad.numpy()[:, axis])[~crosses_a_border]
        worst, compared = max(worst, difference.max()), compared + len(difference)
    assert compared >= 75, "nearly every point should be inside a cell"
    share = worst / (1e-6 * points.grad.abs().max().item())
    assert share <= 1, f"worst gradient error is {share:.2f} of the allowance"


def test_the_portable_torch_path_of_other_devices_agrees_with_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CUDA device runs the torch branch; here the same branch runs on the CPU."""
    from gstalker.kernels import triplane

    grid, points = _filled(HASHED), _points(HASHED, 50).requires_grad_()
    mix = torch.randn(50, HASHED.feature_count, generator=torch.Generator().manual_seed(2))
    results = []
    for fast in (True, False):
        monkeypatch.setattr(triplane, "_runs_in_numba", lambda tensor, fast=fast: fast)
        grid.tables.grad = points.grad = None
        out = grid(points, differentiable_points=True)
        (out * mix).sum().backward()
        assert grid.tables.grad is not None
        assert points.grad is not None
        results.append((out.detach(), grid.tables.grad.clone(), points.grad.clone()))
    for numba_result, torch_result in zip(*results, strict=True):
        torch.testing.assert_close(numba_result, torch_result, rtol=1e-5, atol=1e-5)


def test_points_outside_get_the_features_of_the_border_and_no_gradient() -> None:
    grid = _filled(TRAINED)
    outside = torch.tensor([[0.5, 0.05, -9.0]], requires_grad=True)
    on_border = torch.tensor([[0.2, 0.05, -0.2]])
    features = grid(outside, differentiable_points=True)
    torch.testing.assert_close(features, grid(on_border))
    features.sum().backward()
    assert outside.grad is not None
    assert outside.grad[0, 0] == 0
    assert outside.grad[0, 2] == 0
    assert outside.grad[0, 1] != 0


def test_the_remembered_lookup_is_dropped_when_the_points_change() -> None:
    grid, points = _filled(TRAINED), _points(TRAINED, 40)
    before = grid(points)
    with torch.no_grad():
        points.add_(0.01)
    assert not torch.equal(grid(points), before)
    torch.testing.assert_close(grid(points), grid(points.clone()), rtol=0, atol=0)
    other = _points(TRAINED, 40, seed=9)
    torch.testing.assert_close(grid(other), grid.sample(grid.locate(other)), rtol=0, atol=0)
    with torch.inference_mode():
        torch.testing.assert_close(grid(other.clone()), grid(other), rtol=0, atol=0)


def test_the_same_generator_starts_the_same_small_tables() -> None:
    first, second = (TriPlane(TRAINED, torch.Generator().manual_seed(8)).tables for _ in range(2))
    assert torch.equal(first, second)
    assert 0.9e-4 < first.abs().max().item() <= 1e-4


def test_bad_points_are_refused_with_their_index() -> None:
    grid = TriPlane(TRAINED)
    with pytest.raises(ValueError, match=r"expected points of shape \(N, 3\), got \(3, 4\)"):
        grid(torch.zeros(3, 4))
    points = torch.zeros(4, 3)
    points[2, 1] = math.nan
    with pytest.raises(ValueError, match=r"1 of 4 points are not finite; first is index 2"):
        grid(points)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"levels": 0}, "levels >= 1"),
        ({"features_per_level": 3}, "features_per_level in 1, 2, 4, 8"),
        ({"base_resolution": 65}, "base_resolution <= finest_resolution"),
        ({"levels": 1}, "one level has one resolution, got 16 and 64"),
        ({"log2_table_size": 25}, r"log2_table_size in 3\.\.24, got 25"),
        ({"bounds_min_m": (0.3, 0.0, 0.0)}, "bounds_min_m < bounds_max_m on all three axes"),
        ({"bounds_max_m": (math.inf, 1.0, 1.0)}, "bounds_min_m < bounds_max_m on all three axes"),
    ],
)
def test_sizes_that_make_no_grid_are_refused(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TriPlaneConfig(**change)


class _StandInEncoding(torch.nn.Module):
    """Answers like tinycudann.Encoding as far as the wiring goes: flat parameters in its order, 2D points."""

    def __init__(self, dims: int, config: dict, dtype: torch.dtype) -> None:
        super().__init__()
        assert (dims, dtype) == (2, torch.float32)
        growth = config["per_level_scale"] ** (config["n_levels"] - 1)
        self.twin = TriPlaneConfig(
            levels=config["n_levels"],
            features_per_level=config["n_features_per_level"],
            base_resolution=config["base_resolution"],
            finest_resolution=math.ceil(config["base_resolution"] * growth - 1) + 1,
            log2_table_size=config["log2_hashmap_size"],
            bounds_min_m=(0.0, 0.0, 0.0),
            bounds_max_m=(1.0, 1.0, 1.0),
        )
        count = self.twin.entries_per_plane * self.twin.features_per_level
        self.params = torch.nn.Parameter(torch.zeros(count))

    def forward(self, unit: torch.Tensor) -> torch.Tensor:
        table = self.params.reshape(self.twin.entries_per_plane, -1)
        on_xy = torch.cat([unit, torch.zeros(len(unit), 1)], dim=1)
        values = _slow_features(self.twin, np.stack([table.detach().numpy()] * 3), on_xy.numpy())
        # The slow twin's values, with the gradient of the portable grid's lookup.
        lookup = TriPlane(self.twin).locate(on_xy)
        share = self.twin.feature_count // 3
        one_plane = [part[: self.twin.levels] for part in (lookup.entries.long(), lookup.weights)]
        smooth = (table[one_plane[0]] * one_plane[1][..., None]).sum(dim=2).permute(1, 0, 2).reshape(len(unit), share)
        return torch.tensor(values[:, :share], dtype=torch.float32) + smooth - smooth.detach()


@pytest.fixture
def with_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    from gstalker.kernels import triplane_tinycudann as fast

    stand_in = type(math)("tinycudann")
    stand_in.Encoding = _StandInEncoding  # type: ignore[attr-defined]
    monkeypatch.setattr(fast, "load_tinycudann", lambda: stand_in)


@pytest.mark.usefixtures("with_stand_in")
def test_the_tinycudann_wiring_keeps_values_and_the_gradient_of_the_tables() -> None:
    from gstalker.kernels.triplane_tinycudann import TinyCudaNNTriPlane

    grid = _filled(HASHED)
    points = _points(HASHED, 60)
    mix = torch.randn(60, HASHED.feature_count, generator=torch.Generator().manual_seed(3))
    features = grid(points)
    (features * mix).sum().backward()
    assert grid.tables.grad is not None
    expected, grid.tables.grad = grid.tables.grad, None
    cuda_grid = TinyCudaNNTriPlane(grid)
    got, again = cuda_grid(points), cuda_grid(points)  # the second time with remembered points
    torch.testing.assert_close(got.detach(), features.detach(), rtol=0, atol=1e-4)
    assert torch.equal(got, again)
    (got * mix).sum().backward()
    assert grid.tables.grad is not None
    torch.testing.assert_close(grid.tables.grad, expected, rtol=1e-5, atol=1e-5)
    points[0] += 0.01
    assert not torch.equal(cuda_grid(points)[0], got[0])


@pytest.mark.usefixtures("with_stand_in")
def test_a_checkpoint_cannot_tell_which_back_end_trained_it() -> None:
    """Same names, shapes and numbers; and an update through one is seen by the other: there is one parameter."""
    from gstalker.kernels.triplane_tinycudann import TinyCudaNNTriPlane

    grid = _filled(HASHED)
    cuda_grid = TinyCudaNNTriPlane(grid)
    assert [name for name, _ in cuda_grid.named_parameters()] == ["tables"]
    assert cuda_grid.tables is grid.tables
    TriPlane(HASHED).load_state_dict(cuda_grid.state_dict())


def test_a_tinycudann_with_another_layout_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from gstalker.kernels import triplane_tinycudann as fast

    class Other(_StandInEncoding):
        def __init__(self, dims: int, config: dict, dtype: torch.dtype) -> None:
            super().__init__(dims, config, dtype)
            self.params = torch.nn.Parameter(torch.zeros(10))

    stand_in = type(math)("tinycudann")
    stand_in.Encoding = Other  # type: ignore[attr-defined]
    monkeypatch.setattr(fast, "load_tinycudann", lambda: stand_in)
    with pytest.raises(ValueError, match=r"expected 21504 parameters a plane .* got 10"):
        fast.TinyCudaNNTriPlane(TriPlane(TRAINED))


def test_without_tinycudann_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from gstalker.kernels import triplane_tinycudann as fast

    monkeypatch.setitem(sys.modules, "tinycudann", None)
    with pytest.raises(ImportError, match=r"tinycudann: cannot be used here .* portable tri-plane.* pip install"):
        fast.TinyCudaNNTriPlane(TriPlane(TRAINED))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("config", [HASHED, TRAINED], ids=["hashed", "dense"])
def test_tinycudann_agrees_with_the_portable_grid(config: TriPlaneConfig) -> None:
    """Values as in the slow-twin test; gradients are float32 sums of some hundred terms."""
    pytest.importorskip("tinycudann", reason="tinycudann is not installed")
    from gstalker.kernels.triplane_tinycudann import TinyCudaNNTriPlane

    grid, points = _filled(config), _points(config, 500)
    mix = torch.randn(500, config.feature_count, generator=torch.Generator().manual_seed(3))
    cuda_grid = TinyCudaNNTriPlane(_filled(config).cuda())
    features, cuda_features = grid(points), cuda_grid(points.cuda())
    torch.testing.assert_close(cuda_features.detach().cpu(), features.detach(), rtol=0, atol=1e-4)
    (features * mix).sum().backward()
    (cuda_features * mix.cuda()).sum().backward()
    assert grid.tables.grad is not None
    assert cuda_grid.tables.grad is not None
    worst = (cuda_grid.tables.grad.cpu() - grid.tables.grad).abs().max() / grid.tables.grad.abs().max()
    assert worst <= 1e-4, f"worst gradient error {worst:.2e} of the largest"
