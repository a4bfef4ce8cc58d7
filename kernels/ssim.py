"""Structural similarity as a training loss: one fused pass forward, one backward, in numba.

PyTorch's convolutions spend most of their time moving intermediate pictures about; here each picture row is
blurred downwards and sideways while it is in the first-level cache, so nothing of intermediate size is stored
but the three derivative maps that the backward pass needs.

The picture outside its border counts as zero ('same' convolution with zero padding), as in the loss of
Kerbl et al. 2023 (arXiv:2308.04079). `runtime.metrics.ssim` is the float64 twin for measuring.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numba
import numpy as np
import torch

from gstalker.kernels.loops import threaded_loop

WINDOW_TAPS = 11
WINDOW_SIGMA_PX = 1.5
C1 = 0.01**2
C2 = 0.03**2
_HALF = WINDOW_TAPS // 2
_C1, _C2 = np.float32(C1), np.float32(C2)


def _window() -> tuple[float, ...]:
    weights = [math.exp(-((i - _HALF) ** 2) / (2 * WINDOW_SIGMA_PX**2)) for i in range(WINDOW_TAPS)]
    return tuple(w / sum(weights) for w in weights)


_TAPS = np.array(_window(), dtype=np.float32)
# Adding and multiplying may be joined, and sums reordered, so that the loops become vector code; NaN and
# infinity keep their meaning.
_FASTMATH = {"contract", "reassoc", "nsz", "arcp"}


@numba.njit(fastmath=_FASTMATH, inline="always", error_model="numpy")
def _blur_at(padded, i, step):
    """The 11 taps around entry i of a row with 5 * step zeros before it; step is the channel count."""
    return (
        _TAPS[0] * (padded[i] + padded[i + np.uintp(10) * step])
        + _TAPS[1] * (padded[i + step] + padded[i + np.uintp(9) * step])
        + _TAPS[2] * (padded[i + np.uintp(2) * step] + padded[i + np.uintp(8) * step])
        + _TAPS[3] * (padded[i + np.uintp(3) * step] + padded[i + np.uintp(7) * step])
        + _TAPS[4] * (padded[i + np.uintp(4) * step] + padded[i + np.uintp(6) * step])
        + _TAPS[5] * padded[i + np.uintp(5) * step]
    )


@numba.njit(fastmath=_FASTMATH, inline="always", error_model="numpy")
def _factors(mu1, mu2, squares, product):
    """Tops A1, A2 and bottoms B1, B2 of S = A1 A2 / (B1 B2), from the blurred a, b, a^2 + b^2 and a * b."""
    mu12, mu_squares = mu1 * mu2, mu1 * mu1 + mu2 * mu2
    return (
        2 * mu12 + _C1,
        2 * (product - mu12) + _C2,
        mu_squares + _C1,
        (squares - mu_squares) + _C2,
    )


# The loops below write one or two arrays each: with more, the compiler gives up proving that they do not
# overlap and leaves scalar code, which takes three times as long.
@threaded_loop(cache=True, fastmath=_FASTMATH, error_model="numpy")
def _forward(img1, img2, channels, want_gradient, row_sums, d_mean, d_square, d_product):
    """Fill row_sums (H,) with the summed SSIM and, if wanted, the derivative maps (H, W*C) of that sum.

    img1, img2: (H, W*C) float32. The maps are the derivatives by the blurred img1, img1^2 and img1 * img2.
    """
    height, width = img1.shape
    step = np.uintp(channels)
    one = np.float32(1)
    for y in numba.prange(height):
        pad = _HALF * channels
        padded = np.zeros((4, width + 2 * pad), np.float32)
        inside = slice(pad, pad + width)
        v1, v2, vs, vp = padded[0, inside], padded[1, inside], padded[2, inside], padded[3, inside]
        for tap in range(WINDOW_TAPS):
            source = y + tap - _HALF
            if source < 0 or source >= height:
                continue
            w = _TAPS[tap]
            a, b = img1[source], img2[source]
            for i in range(width):
                v1[i] += w * a[i]
                v2[i] += w * b[i]
            for i in range(width):
                vs[i] += w * (a[i] * a[i] + b[i] * b[i])
                vp[i] += w * (a[i] * b[i])
        blurred = np.empty((4, width), np.float32)
        for quantity in range(4):
            row, out = padded[quantity], blurred[quantity]
            for j in range(width):
                i = np.uintp(j)
                out[i] = _blur_at(row, i, step)
        m1, m2, ms, mp = blurred[0], blurred[1], blurred[2], blurred[3]
        total = np.float32(0)
        for i in range(width):
            a1, a2, b1, b2 = _factors(m1[i], m2[i], ms[i], mp[i])
            total += a1 * a2 / (b1 * b2)
        row_sums[y] = total
        if want_gradient:
            out = d_product[y]
            for i in range(width):
                a1, a2, b1, b2 = _factors(m1[i], m2[i], ms[i], mp[i])
                out[i] = 2 * a1 / (b1 * b2)
            out = d_square[y]
            for i in range(width):
                a1, a2, b1, b2 = _factors(m1[i], m2[i], ms[i], mp[i])
                inverse = one / (b1 * b2)
                out[i] = -a1 * a2 * inverse * inverse * b1
            out = d_mean[y]
            for i in range(width):
                a1, a2, b1, b2 = _factors(m1[i], m2[i], ms[i], mp[i])
                inverse = one / (b1 * b2)
                out[i] = 2 * inverse * (m2[i] * (a2 - a1) - a1 * a2 * inverse * m1[i] * (b2 - b1))


@threaded_loop(cache=True, fastmath=_FASTMATH, error_model="numpy")
def _backward(img1, img2, channels, scale, d_mean, d_square, d_product, gradient):
    """gradient (H, W*C) = scale times the derivative of the summed SSIM by img1.

    The blur is symmetric, zero padding included, so its adjoint is the same blur.
    """
    height, width = img1.shape
    step = np.uintp(channels)
    for y in numba.prange(height):
        pad = _HALF * channels
        padded = np.zeros((3, width + 2 * pad), np.float32)
        inside = slice(pad, pad + width)
        vm, vs, vp = padded[0, inside], padded[1, inside], padded[2, inside]
        for tap in range(WINDOW_TAPS):
            source = y + tap - _HALF
            if source < 0 or source >= height:
                continue
            w = _TAPS[tap]
            m, s, p = d_mean[source], d_square[source], d_product[source]
            for i in range(width):
                vm[i] += w * m[i]
            for i in range(width):
                vs[i] += w * s[i]
                vp[i] += w * p[i]
        a, b, out = img1[y], img2[y], gradient[y]
        for j in range(width):
            i = np.uintp(j)
            by_mean, by_square = _blur_at(padded[0], i, step), _blur_at(padded[1], i, step)
            out[i] = scale * (by_mean + 2 * a[i] * by_square + b[i] * _blur_at(padded[2], i, step))


def _rows(picture: torch.Tensor) -> np.ndarray:
    """(H, W, C) -> (H, W*C), sharing memory where it is contiguous."""
    return picture.detach().contiguous().reshape(picture.shape[0], -1).numpy()


class _FusedSsim(torch.autograd.Function):
    @staticmethod
    def forward(ctx, img1: torch.Tensor, img2: torch.Tensor) -> torch.Tensor:
        height, _, channels = img1.shape
        a, b = _rows(img1), _rows(img2)
        want_gradient = ctx.needs_input_grad[0]
        row_sums = np.empty(height, np.float32)
        maps = np.empty((3, *a.shape) if want_gradient else (3, 1, 1), np.float32)
        _forward(a, b, channels, want_gradient, row_sums, maps[0], maps[1], maps[2])
        ctx.save_for_backward(img1, img2)  # so that torch notices a picture changed in place
        ctx.maps = maps
        return torch.tensor(float(row_sums.sum(dtype=np.float64) / a.size), dtype=torch.float32)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx, grad_output: torch.Tensor
    ) -> tuple[torch.Tensor, None]:
        img1, img2 = ctx.saved_tensors
        a, b, maps = _rows(img1), _rows(img2), ctx.maps
        gradient = np.empty_like(a)
        scale = np.float32(grad_output.item() / a.size)
        _backward(a, b, img1.shape[2], scale, maps[0], maps[1], maps[2], gradient)
        return torch.from_numpy(gradient).reshape(img1.shape), None


def fused_ssim(img1: torch.Tensor, img2: torch.Tensor) -> torch.Tensor:
    """Mean structural similarity of two pictures, differentiable by the first.

    An 11 x 11 Gaussian window of sigma 1.5 px, C1 = 0.01^2, C2 = 0.03^2 (colours 0..1), zero padding, the
    mean over all pixels and channels. float32 throughout.

    Args:
        img1: (H, W, C) float32, 0..1. The gradient goes here. On another device than the CPU, `ssim_torch`
            does the work.
        img2: (H, W, C) float32 on the same device, 0..1. Treated as constant.

    Returns:
        () float32 in -1..1; 1 for equal pictures.

    Raises:
        ValueError: shapes that differ or are not (H, W, C), another dtype, two devices, or a gradient asked for
            img2.

    Source: Wang et al. 2004, 'Image quality assessment: from error visibility to structural similarity'.
    """
    if img1.dim() != 3 or img1.shape != img2.shape or img1.numel() == 0:
        raise ValueError(
            f"fused_ssim: expected two pictures of one shape (H, W, C), got {tuple(img1.shape)} "
            f"and {tuple(img2.shape)}."
        )
    if img1.dtype != torch.float32 or img2.dtype != torch.float32:
        raise ValueError(f"fused_ssim: expected float32 pictures, got {img1.dtype} and {img2.dtype}.")
    if img1.device != img2.device:
        raise ValueError(f"fused_ssim: expected both pictures on one device, got {img1.device} and {img2.device}.")
    if img2.requires_grad and torch.is_grad_enabled():
        raise ValueError("fused_ssim: img2 is treated as constant, but it requires a gradient; detach it.")
    return _FusedSsim.apply(img1, img2) if img1.device.type == "cpu" else ssim_torch(img1, img2)


@lru_cache(maxsize=8)
def _square_window(dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """(11, 11) blurring weights, uploaded once."""
    with torch.inference_mode(False):
        taps = torch.tensor(_window(), dtype=dtype, device=device)
        return torch.outer(taps, taps)


def ssim_torch(img1: torch.Tensor, img2: torch.Tensor) -> torch.Tensor:
    """The same in plain PyTorch: any device and dtype, both pictures differentiable.

    The referee of `fused_ssim`, and what a GPU uses.

    Args:
        img1, img2: (H, W, C), 0..1.

    Returns:
        () mean SSIM.
    """
    channels = img1.shape[2]
    window = _square_window(img1.dtype, img1.device).expand(channels, 1, -1, -1)

    def blur(picture: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.conv2d(picture, window, padding=_HALF, groups=channels)

    a, b = img1.permute(2, 0, 1)[None], img2.permute(2, 0, 1)[None]
    mu1, mu2 = blur(a), blur(b)
    variance1, variance2, covariance = blur(a * a) - mu1**2, blur(b * b) - mu2**2, blur(a * b) - mu1 * mu2
    top = (2 * mu1 * mu2 + C1) * (2 * covariance + C2)
    return (top / ((mu1**2 + mu2**2 + C1) * (variance1 + variance2 + C2))).mean()
