"""The fused SSIM against its plain twin in float64."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed (extra 'train')")

import torch

from gstalker.kernels.ssim import fused_ssim, ssim_torch


def _pictures(shape: tuple[int, int, int], seed: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """A smooth picture and a noisy copy, float32 in 0..1: what a render and its target look like."""
    rng = np.random.default_rng(seed)
    y, x, c = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    smooth = 0.5 + 0.4 * np.sin(x / 9.0 + c) * np.cos(y / 7.0)
    noisy = np.clip(smooth + rng.normal(0, 0.05, shape), 0, 1)
    return torch.tensor(smooth, dtype=torch.float32), torch.tensor(noisy, dtype=torch.float32)


@pytest.mark.parametrize("shape", [(64, 80, 3), (1, 1, 1), (5, 30, 4), (31, 3, 3)])
def test_value_and_gradient_match_the_plain_twin_in_float64(shape: tuple[int, int, int]) -> None:
    """Tolerances are the worst of 6 seeds x 4, measured on a 2-core Xeon: value 5.7e-7, gradient 2.9e-5 of
    its largest entry (where both variances nearly vanish, differences of squares keep few digits)."""
    render, target = _pictures(shape)
    fused_in = render.clone().requires_grad_()
    fused = fused_ssim(fused_in, target)
    fused.backward()

    plain_in = render.double().requires_grad_()
    plain = ssim_torch(plain_in, target.double())
    plain.backward()

    assert fused.item() == pytest.approx(plain.item(), abs=2.3e-6)
    assert fused_in.grad is not None
    assert plain_in.grad is not None
    worst = (fused_in.grad - plain_in.grad).abs().max() / plain_in.grad.abs().max()
    assert worst <= 1.2e-4, f"worst gradient error {worst:.2e} of the largest gradient"


def test_the_gradient_is_scaled_by_what_follows_and_is_absent_when_not_wanted() -> None:
    render, target = _pictures((20, 20, 3))
    once, thrice = render.clone().requires_grad_(), render.clone().requires_grad_()
    fused_ssim(once, target).backward()
    (1 - 3 * fused_ssim(thrice, target)).backward()
    assert once.grad is not None
    assert thrice.grad is not None
    torch.testing.assert_close(thrice.grad, -3 * once.grad)
    assert not fused_ssim(render, target).requires_grad


def test_equal_pictures_score_one_and_a_blank_scores_near_nothing() -> None:
    _, textured = _pictures((40, 40, 3))
    assert fused_ssim(textured, textured).item() == pytest.approx(1.0, abs=1e-6)
    assert fused_ssim(torch.zeros(40, 40, 3), torch.ones(40, 40, 3)).item() < 0.01


def test_a_picture_that_is_not_contiguous_gives_the_same() -> None:
    render, target = _pictures((24, 30, 3))
    turned = render.permute(1, 0, 2).contiguous().permute(1, 0, 2)
    assert not turned.is_contiguous()
    assert fused_ssim(turned, target).item() == fused_ssim(render, target).item()


def test_a_picture_changed_in_place_before_backward_is_noticed() -> None:
    render, target = _pictures((12, 12, 3))
    weight = torch.ones((), requires_grad=True)
    picture = render * weight
    value = fused_ssim(picture, target)
    with torch.no_grad():
        picture.mul_(0.5)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        value.backward()


def test_another_device_takes_the_plain_twin() -> None:
    """The meta device stands for a GPU: it has shapes and no values, and numba could not touch it."""
    a, b = torch.zeros(8, 9, 3, device="meta"), torch.zeros(8, 9, 3, device="meta")
    assert fused_ssim(a, b).device.type == "meta"
    assert fused_ssim(a, b).shape == ()


def test_refusals_say_what_was_expected() -> None:
    a = torch.zeros(4, 5, 3)
    with pytest.raises(ValueError, match=r"one shape \(H, W, C\), got \(4, 5, 3\) and \(5, 4, 3\)"):
        fused_ssim(a, torch.zeros(5, 4, 3))
    with pytest.raises(ValueError, match=r"expected float32 pictures, got torch.float64"):
        fused_ssim(a.double(), a)
    with pytest.raises(ValueError, match=r"on one device, got meta and cpu"):
        fused_ssim(a.to("meta"), a)
    with pytest.raises(ValueError, match=r"img2 is treated as constant"):
        fused_ssim(a, a.clone().requires_grad_())
