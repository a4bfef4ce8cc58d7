from __future__ import annotations

import inspect

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from helpers.splat_scenes import one_splat, plain_camera, random_cloud, tilted_camera
from helpers.stand_in_gsplat import StandInGsplat, put_in_place

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


CAMERA = tilted_camera(64, 48)
NAMES = ("means", "quats_wxyz", "scales", "opacities", "colors", "background")


def frames(count: int, gaussians: int = 60) -> list[list[torch.Tensor]]:
    """Parameters and backdrop of different clouds before CAMERA, leaves that take gradients."""
    made = []
    for seed in range(count):
        cloud = random_cloud(gaussians, CAMERA, seed=seed, opacity=(0.05, 0.9))
        plate = np.random.default_rng(seed).uniform(size=(48, 64, 3)).astype(np.float32)
        arrays = (cloud.means, cloud.quats_wxyz, cloud.scales, cloud.opacities, cloud.sh_coeffs[:, 0], plate)
        made.append([torch.tensor(array, requires_grad=True) for array in arrays])
    return made


def draw_and_pull(values: list[torch.Tensor], backend: str, screen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The picture of one frame or a batch of them, after a backward pass from a random weighing of it."""
    rgb, alpha = rasterize(
        *values[:5], viewmat=CAMERA.viewmat, K=CAMERA.K, width_px=64, height_px=48, background=values[5],
        backend=backend, screen_gradients=screen,
    )  # fmt: skip
    weights = torch.tensor(np.random.default_rng(7).normal(size=(48, 64, 3)).astype(np.float32))
    ((rgb * weights).sum((-1, -2, -3)) + alpha.sum((-1, -2))).mean().backward()
    return rgb.detach(), alpha.detach()


def grads(values: list[torch.Tensor]) -> list[torch.Tensor]:
    found = [value.grad for value in values]
    assert all(gradient is not None for gradient in found)
    return [gradient for gradient in found if gradient is not None]


def test_what_goes_through_gsplats_arguments_is_the_cpus_picture_and_its_gradients(monkeypatch: pytest.MonkeyPatch):
    """A stand-in with gsplat's shapes and plain PyTorch inside; float32 sums in two orders, measured 2e-5."""
    stand_in = put_in_place(monkeypatch)
    (ours,), (theirs,) = frames(1), frames(1)
    screens = torch.zeros(60), torch.zeros(60)
    expected, drawn = draw_and_pull(ours, "cpu", screens[0]), draw_and_pull(theirs, "cuda", screens[1])
    for got, want in zip(drawn, expected, strict=True):
        torch.testing.assert_close(got, want, rtol=0, atol=1e-5)
    for name, got, want in zip(
        (*NAMES, "screen"), (*grads(theirs), screens[1]), (*grads(ours), screens[0]), strict=True
    ):
        assert torch.linalg.norm(got - want) <= 2e-4 * torch.linalg.norm(want), name
    (call,) = stand_in.calls
    told = {
        name: call[name] for name in ("near_plane", "eps2d", "packed", "rasterize_mode", "sh_degree", "backgrounds")
    }
    assert told == {
        "near_plane": reference.NEAR_M, "eps2d": reference.DILATION_PX2, "packed": False,
        "rasterize_mode": "classic", "sh_degree": None, "backgrounds": None,
    }  # fmt: skip


@pytest.mark.parametrize("backend", ["cpu", "cuda"])
def test_a_batch_of_frames_is_each_of_them_alone_to_the_bit(backend: str, monkeypatch: pytest.MonkeyPatch):
    """Pictures, and gradients of the mean: two frames, so that halving is exact and a sum has one order."""
    stand_in = put_in_place(monkeypatch)
    single = frames(2)
    alone = torch.zeros(60)
    pictures = [draw_and_pull(values, backend, alone) for values in single]
    calls = len(stand_in.calls)
    batch = [torch.stack([v.detach() for v in both]).requires_grad_() for both in zip(*single, strict=True)]
    together = torch.zeros(60)
    drawn = draw_and_pull(batch, backend, together)
    for got, want in zip(drawn, zip(*pictures, strict=True), strict=True):
        assert torch.equal(got, torch.stack(want))
    for name, got, first, second in zip(NAMES, grads(batch), grads(single[0]), grads(single[1]), strict=True):
        assert torch.equal(got, torch.stack([first, second]) / 2), name
    assert torch.equal(together, alone / 2)
    if backend == "cuda":
        assert len(stand_in.calls) == calls + 1, "gsplat is to draw all frames in one call"
        assert stand_in.calls[-1]["means"].shape == (2, 60, 3)
        assert stand_in.calls[-1]["viewmats"].shape == (2, 1, 4, 4)


def test_values_are_checked_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch):
    stand_in = put_in_place(monkeypatch)
    batch = [torch.stack([v.detach() for v in both]) for both in zip(*frames(2), strict=True)]
    batch[0][1, 5, 2] = torch.nan
    camera = {"viewmat": CAMERA.viewmat, "K": CAMERA.K, "width_px": 64, "height_px": 48, "background": np.zeros(3)}
    with pytest.raises(ValueError, match=r"means: expected finite values, got .* at index 65 \(the first\)"):
        rasterize(*batch[:5], backend="cuda", **camera)
    assert not stand_in.calls
    rasterize(*batch[:5], backend="cuda", check_values=False, **camera)
    assert len(stand_in.calls) == 1


def test_no_gaussians_leave_the_backdrop_of_every_frame(monkeypatch: pytest.MonkeyPatch):
    stand_in = put_in_place(monkeypatch)
    values = [torch.zeros(2, 0, *shape) for shape in ((3,), (4,), (3,), (), (3,))]
    rgb, alpha = rasterize(
        *values, viewmat=CAMERA.viewmat, K=CAMERA.K, width_px=64, height_px=48, background=np.full(3, 0.25),
        backend="cuda",
    )  # fmt: skip
    assert not stand_in.calls
    assert torch.equal(rgb, torch.full((2, 48, 64, 3), 0.25))
    assert torch.equal(alpha, torch.zeros(2, 48, 64))


def test_the_stand_in_takes_gsplats_arguments():
    """gsplat imports without a GPU; only its kernels need one."""
    gsplat = pytest.importorskip("gsplat", reason="gsplat is not installed: nothing to compare the stand-in with")
    theirs = inspect.signature(gsplat.rasterization).parameters
    for name, ours in inspect.signature(StandInGsplat().rasterization).parameters.items():
        assert name in theirs
        assert theirs[name].default == ours.default, name


def test_gsplats_own_projection_in_pytorch_is_the_references():
    """Its twin of the CUDA kernel, float32: measured with 1.5.3, 4e-5 px and 1e-6 of the conic; three times that."""
    impl = pytest.importorskip("gsplat.cuda._torch_impl", reason="gsplat is not installed")
    camera = tilted_camera(101, 67)
    cloud = random_cloud(2000, camera, seed=1, overhang=1.0)
    arrays = (cloud.means, cloud.quats_wxyz, cloud.scales, camera.viewmat, camera.K)
    means, quats, scales, viewmat, K = (torch.tensor(array, dtype=torch.float32) for array in arrays)
    covariances, _ = impl._quat_scale_to_covar_preci(quats, scales, True, False, False)
    _, centres, depths, conics, _ = impl._fully_fused_projection(
        means, covariances, viewmat[None], K[None], 101, 67, eps2d=reference.DILATION_PX2, near_plane=reference.NEAR_M
    )
    want_centres, want_covariances, want_depths = reference.project_gaussians(cloud, camera)
    inverse = np.linalg.inv(want_covariances)
    want = np.stack([inverse[:, 0, 0], inverse[:, 0, 1], inverse[:, 1, 1]], axis=1)
    assert np.abs(centres[0].numpy() - want_centres).max() <= 1.2e-4
    assert np.abs(depths[0].numpy() - want_depths).max() <= 1e-6
    assert (np.abs(conics[0].numpy() - want) / np.abs(want).max(axis=1, keepdims=True)).max() <= 3e-6


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
