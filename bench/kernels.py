"""How much faster the CPU rasterizer is than dense lists in PyTorch, on the same picture and gradients."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import torch

from gstalker.kernels import cpu
from gstalker.kernels.dense_torch import rasterize_dense
from gstalker.kernels.differentiable import rasterize
from gstalker.runtime.evaluate.provenance import provenance

TARGET_SPEEDUP = 40.0
PICTURE_TOLERANCE = 1.0 / 255.0  # one splat at its cut-off, where rounding tips the decision to draw it
GRADIENT_TOLERANCE = 1e-3  # of the gradient's length, float32 against float32

# Standard deviations of the splats before the dilation, px: fine detail, and what a trained avatar has.
SCENES_SIGMA_PX = {"fine splats": (0.5, 4 / 3), "avatar-sized splats": (1.5, 4.0)}
PARAMETERS = ("means", "quats_wxyz", "scales", "opacities", "colors")


@dataclass(frozen=True)
class Pass:
    """One forward and backward pass: times in ms, and what came out."""

    forward_ms: float
    backward_ms: float
    rgb: np.ndarray
    gradients: dict[str, np.ndarray]


def run(gaussians: int = 10_000, size_px: int = 256, repeats: int = 7) -> dict[str, Any]:
    """Measure forward and backward of both rasterizers by turns in one process, medians in ms.

    Both run through torch autograd on all usable threads from the same float32 parameters; the first pass of each,
    in which numba may compile, is not counted.

    Raises:
        RuntimeError: picture or gradients of the two disagree, so the times would compare different things.
    """
    cpu.warm_up()
    scenes = {
        name: measure(scene(gaussians, size_px, sigma_px), size_px, repeats)
        for name, sigma_px in SCENES_SIGMA_PX.items()
    }
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "gaussians": gaussians,
        "size_px": size_px,
        "repeats": repeats,
        "machine": {
            "host": provenance()["machine"],
            "numba_threads": numba.get_num_threads(),
            "torch_threads": torch.get_num_threads(),
            "load_average_after": load,
        },
        "scenes": scenes,
        "speedup": min(figures["speedup"] for figures in scenes.values()),
        "target_speedup": TARGET_SPEEDUP,
    }


def scene(gaussians: int, size_px: int, sigma_px: tuple[float, float]) -> dict[str, torch.Tensor]:
    """Random splats all over the picture, about 1 m away, of opacity 0.05 to 1."""
    rng = np.random.default_rng(0)
    focal_px = focal(size_px)
    z = rng.uniform(0.8, 1.2, gaussians)
    pixels = rng.uniform(0, size_px, (gaussians, 2))
    arrays = (
        np.column_stack([(pixels - size_px / 2) / focal_px * z[:, None], z]),
        rng.normal(size=(gaussians, 4)),
        rng.uniform(*sigma_px, (gaussians, 3)) / focal_px,
        rng.uniform(0.05, 1.0, gaussians),
        rng.uniform(0.0, 1.0, (gaussians, 3)),
    )
    return {name: torch.tensor(a, dtype=torch.float32) for name, a in zip(PARAMETERS, arrays, strict=True)}


def measure(parameters: dict[str, torch.Tensor], size_px: int, repeats: int) -> dict[str, Any]:
    """Figures of one scene.

    Raises:
        RuntimeError: picture or gradients disagree.
    """
    ours, dense = [], []
    for _ in range(repeats + 1):
        ours.append(one_pass(rasterize, parameters, size_px))
        dense.append(one_pass(rasterize_dense, parameters, size_px))
    figures: dict[str, Any] = {}
    for name, passes in (("cpu", ours[1:]), ("dense_torch", dense[1:])):
        figures[f"{name}_forward_ms"] = statistics.median(p.forward_ms for p in passes)
        figures[f"{name}_backward_ms"] = statistics.median(p.backward_ms for p in passes)
        figures[f"{name}_step_ms"] = statistics.median(p.forward_ms + p.backward_ms for p in passes)
    figures["speedup"] = figures["dense_torch_step_ms"] / figures["cpu_step_ms"]
    return figures | agreement(ours[-1], dense[-1])


def agreement(ours: Pass, dense: Pass) -> dict[str, Any]:
    """How far apart the results are.

    Raises:
        RuntimeError: further than the tolerances.
    """
    picture_error = float(np.abs(ours.rgb - dense.rgb).max())
    gradient_errors = {
        name: float(np.linalg.norm(ours.gradients[name] - want) / np.linalg.norm(want))
        for name, want in dense.gradients.items()
    }
    if picture_error > PICTURE_TOLERANCE or max(gradient_errors.values()) > GRADIENT_TOLERANCE:
        raise RuntimeError(
            f"the two rasterizers disagree: worst pixel {picture_error:.1e} (allowed {PICTURE_TOLERANCE:.1e}), "
            f"gradients {gradient_errors} (allowed {GRADIENT_TOLERANCE:.0e})."
        )
    return {"picture_max_error": picture_error, "gradient_relative_errors": gradient_errors}


def one_pass(rasterizer: Callable[..., Any], parameters: dict[str, torch.Tensor], size_px: int) -> Pass:
    """Draw, weigh every pixel differently, go back."""
    leaves = {name: value.clone().requires_grad_() for name, value in parameters.items()}
    focal_px = focal(size_px)
    K = torch.tensor([[focal_px, 0, size_px / 2], [0, focal_px, size_px / 2], [0, 0, 1]], dtype=torch.float32)
    weights = torch.linspace(-1, 1, size_px * size_px * 3).reshape(size_px, size_px, 3)
    started = time.perf_counter()
    rgb, alpha = rasterizer(
        *leaves.values(),
        viewmat=torch.eye(4),
        K=K,
        width_px=size_px,
        height_px=size_px,
        background=torch.full((3,), 0.5),
    )
    drawn = time.perf_counter()
    loss = (rgb * weights).sum() + alpha.sum()
    before_backward = time.perf_counter()
    loss.backward()
    done = time.perf_counter()
    return Pass(
        forward_ms=1e3 * (drawn - started),
        backward_ms=1e3 * (done - before_backward),
        rgb=rgb.detach().numpy(),
        gradients={name: leaf.grad.numpy() for name, leaf in leaves.items() if leaf.grad is not None},
    )


def focal(size_px: int) -> float:
    """px; a portrait's angle of view, 45 degrees."""
    return 1.2 * size_px
