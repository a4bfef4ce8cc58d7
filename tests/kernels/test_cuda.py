from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from helpers.splat_scenes import one_splat, plain_camera, random_cloud, tilted_camera

from gstalker.kernels import cuda, reference
from gstalker.kernels.differentiable import rasterize

REASON = cuda.why_unavailable()
needs_cuda = pytest.mark.skipif(REASON is not None, reason=f"CUDA rasterizer: {REASON}")


@pytest.mark.skipif(REASON is None, reason="CUDA is there: nothing to refuse")
def test_without_cuda_it_says_what_is_missing():
    with pytest.raises(RuntimeError, match=r"CUDA rasterizer: (torch sees no CUDA device|gsplat is not installed)"):
        cuda.render(one_splat(), plain_camera(), np.zeros(3))
    values = [torch.ones(1, 3), torch.ones(1, 4), torch.ones(1, 3), torch.ones(1), torch.ones(1, 3)]
    with pytest.raises(RuntimeError, match=r"CUDA rasterizer: (torch sees no CUDA device|gsplat is not installed)"):
        rasterize(
            *values,
            viewmat=np.eye(4),
            K=np.eye(3),
            width_px=8,
            height_px=8,
            background=np.zeros(3),
            backend="cuda",
        )


def test_a_missing_gsplat_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(cuda.importlib.util, "find_spec", lambda name: None)
    assert cuda.why_unavailable() == 'gsplat is not installed: pip install "gstalker[gpu]"'


@needs_cuda
@pytest.mark.parametrize("plate", [False, True], ids=["color", "picture"])
def test_the_picture_is_the_references(plate: bool):
    """gsplat takes exp as an approximation, good to about 1e-6; a flipped threshold moves a pixel by 1/255."""
    camera = tilted_camera(101, 67)
    cloud = random_cloud(2000, camera, seed=1, sh_degree=3)
    background = np.random.default_rng(0).uniform(size=(67, 101, 3) if plate else 3)
    drawn, expected = cuda.render(cloud, camera, background), reference.render(cloud, camera, background)
    error = np.abs(drawn.rgb - expected.rgb).max(axis=2)
    assert (error > 5e-5).sum() <= 20, f"{(error > 5e-5).sum()} pixels, worst {error.max():.2e}"
    assert error.max() <= 2 / 255
    assert np.abs(drawn.alpha - expected.alpha).max() <= 2 / 255


@needs_cuda
def test_gradients_are_the_cpus():
    """Two float32 sums in different orders over about a hundred pixels a splat."""
    camera = tilted_camera(64, 48)
    cloud = random_cloud(400, camera, seed=2, opacity=(0.05, 0.9))
    rng = np.random.default_rng(3)
    weights = rng.normal(size=(48, 64, 3)).astype(np.float32)
    plate = rng.uniform(size=(48, 64, 3)).astype(np.float32)
    found = []
    for backend, device in (("cpu", "cpu"), ("cuda", "cuda")):
        values = [
            torch.tensor(array, device=device, requires_grad=True)
            for array in (
                cloud.means,
                cloud.quats_wxyz,
                cloud.scales,
                cloud.opacities,
                cloud.sh_coeffs[:, 0],
                plate,
            )
        ]
        screen = torch.zeros(400, device=device)
        rgb, alpha = rasterize(
            *values[:5],
            viewmat=camera.viewmat,
            K=camera.K,
            width_px=64,
            height_px=48,
            background=values[5],
            backend=backend,
            screen_gradients=screen,
        )
        ((rgb * torch.tensor(weights, device=device)).sum() + alpha.sum()).backward()
        grads = [value.grad for value in values]
        assert all(grad is not None for grad in grads)
        found.append([grad.cpu().numpy() for grad in (*grads, screen) if grad is not None])
    for ours, theirs in zip(*found, strict=True):
        assert np.linalg.norm(ours - theirs) <= 1e-3 * np.linalg.norm(ours)


@needs_cuda
def test_bad_values_and_no_gaussians_are_treated_as_on_the_cpu():
    camera = plain_camera()
    broken = one_splat()
    broken.means[0, 1] = np.nan
    with pytest.raises(ValueError, match=r"means: expected finite values, got .* at index 0 \(the first\)"):
        cuda.render(broken, camera, np.zeros(3))
    with pytest.raises(ValueError, match=r"background: expected shape \(3,\)"):
        cuda.render(one_splat(), camera, np.zeros((32, 3)))
    empty = cuda.render(random_cloud(0, camera, seed=0), camera, np.full(3, 0.25))
    np.testing.assert_array_equal(empty.rgb, np.full((32, 32, 3), 0.25, np.float32))
