"""The renderer for machines with no GPU: numba, float32, forward and backward.

Same rules as `reference` (docs/conventions.md). Results do not depend on the number of threads: every tile is
drawn by one worker in order, and the partial gradients of a splat are added in a fixed order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from gstalker.kernels.camera import Camera
from gstalker.kernels.cpu_bin import bin_splats, share_tiles
from gstalker.kernels.cpu_blend import TILE_COLS, TILE_ROWS, blend, blend_backward
from gstalker.kernels.cpu_project import project, project_backward
from gstalker.kernels.gaussians import Gaussians
from gstalker.kernels.rendered_image import RenderedImage
from gstalker.kernels.sh import view_colors

_INPUT_NAMES = ("means", "quats_wxyz", "scales", "opacities", "colors")


@dataclass(frozen=True)
class Drawing:
    """A picture and all that its backward pass needs.

    Attributes:
        rgb: (H, W, 3) float32; transmittance: (H, W) float32, what is left of the background.
    """

    rgb: np.ndarray
    transmittance: np.ndarray
    means: np.ndarray
    quats_wxyz: np.ndarray
    scales: np.ndarray
    viewmat: np.ndarray
    K: np.ndarray
    tiles: np.ndarray
    splats: np.ndarray
    last: np.ndarray
    order: np.ndarray
    rank: np.ndarray
    first_pair: np.ndarray
    tile_start: np.ndarray
    tile_ranks: np.ndarray
    tile_pairs: np.ndarray
    dealt: np.ndarray
    worker_start: np.ndarray
    background: np.ndarray


@dataclass(frozen=True)
class Gradients:
    """dL/d of every input of `draw`, float32, and (N,) `screen`: |dL/d mean2d| in 1/px."""

    means: np.ndarray
    quats_wxyz: np.ndarray
    scales: np.ndarray
    opacities: np.ndarray
    colors: np.ndarray
    screen: np.ndarray


def _contiguous(array: np.ndarray, dtype: type = np.float32) -> np.ndarray:
    # Read-only or misaligned arrays are other types to numba: it would compile everything again for them.
    return np.require(array, dtype, ("C", "ALIGNED", "WRITEABLE"))


def draw(
    means: np.ndarray,
    quats_wxyz: np.ndarray,
    scales: np.ndarray,
    opacities: np.ndarray,
    colors: np.ndarray,
    viewmat: np.ndarray,
    K: np.ndarray,
    width_px: int,
    height_px: int,
    background: np.ndarray,
) -> Drawing:
    """Render arrays (shapes as in `differentiable.rasterize`).

    Raises:
        ValueError: a shape disagrees, or a value is not finite.
    """
    means, quats_wxyz, scales = _contiguous(means), _contiguous(quats_wxyz), _contiguous(scales)
    opacities, colors = _contiguous(opacities), _contiguous(colors)
    inputs = (means, quats_wxyz, scales, opacities, colors)
    count = len(means)
    for name, array, shape in zip(
        _INPUT_NAMES,
        inputs,
        ((count, 3), (count, 4), (count, 3), (count,), (count, 3)),
        strict=True,
    ):
        if array.shape != shape:
            raise ValueError(f"{name}: expected shape {shape} for {count} Gaussians, got {array.shape}.")
    plate = background_plate(background, width_px, height_px)
    viewmat, K = _contiguous(viewmat, np.float64), _contiguous(K, np.float64)
    if viewmat.shape != (4, 4) or not np.isfinite(viewmat).all():
        raise ValueError(f"viewmat: expected (4, 4) finite values, got {viewmat.tolist()}.")
    if K.shape != (3, 3) or not (np.isfinite(K).all() and K[0, 0] > 0 and K[1, 1] > 0):
        raise ValueError(f"K: expected (3, 3) finite values with positive focal lengths, got {K.tolist()}.")
    splats, depths_m, tiles, bad = project(
        means, quats_wxyz, scales, opacities, colors, viewmat, K, width_px, height_px, TILE_ROWS, TILE_COLS
    )
    if bad >= 0:
        raise ValueError(_describe_bad(inputs, int(bad)))
    tile_columns = -(-width_px // TILE_COLS)
    tile_count = tile_columns * -(-height_px // TILE_ROWS)
    order, rank, first_pair, tile_start, tile_ranks, tile_pairs = bin_splats(depths_m, tiles, tile_columns, tile_count)
    dealt, worker_start = share_tiles(tile_start, numba.get_num_threads())
    rgb, transmittance, last = blend(
        splats, order, tile_start, tile_ranks, dealt, worker_start, plate, width_px, height_px
    )
    return Drawing(
        rgb=rgb,
        transmittance=transmittance,
        means=means,
        quats_wxyz=quats_wxyz,
        scales=scales,
        viewmat=viewmat,
        K=K,
        tiles=tiles,
        splats=splats,
        last=last,
        order=order,
        rank=rank,
        first_pair=first_pair,
        tile_start=tile_start,
        tile_ranks=tile_ranks,
        tile_pairs=tile_pairs,
        dealt=dealt,
        worker_start=worker_start,
        background=plate,
    )


def draw_backward(drawing: Drawing, g_rgb: np.ndarray, g_alpha: np.ndarray) -> Gradients:
    """Gradients of a loss with dL/d rgb (H, W, 3) and dL/d alpha (H, W). The background's is T * g_rgb."""
    partials = blend_backward(
        drawing.splats,
        drawing.order,
        drawing.tile_start,
        drawing.tile_ranks,
        drawing.tile_pairs,
        drawing.dealt,
        drawing.worker_start,
        drawing.background,
        drawing.transmittance,
        drawing.last,
        _contiguous(g_rgb),
        _contiguous(g_alpha),
    )
    height_px, width_px = drawing.transmittance.shape
    gradients = project_backward(
        drawing.means,
        drawing.quats_wxyz,
        drawing.scales,
        drawing.viewmat,
        drawing.K,
        width_px,
        height_px,
        drawing.tiles,
        drawing.rank,
        drawing.first_pair,
        partials,
    )
    return Gradients(*gradients)


def render(gaussians: Gaussians, camera: Camera, background: np.ndarray) -> RenderedImage:
    """Draw a cloud, float32.

    Args:
        background: (3,) colour or (H, W, 3) picture behind the Gaussians.

    Raises:
        ValueError: a shape disagrees, or a value is not finite.
    """
    drawing = draw(
        gaussians.means,
        gaussians.quats_wxyz,
        gaussians.scales,
        gaussians.opacities,
        view_colors(gaussians, camera),
        camera.viewmat,
        camera.K,
        camera.width_px,
        camera.height_px,
        background,
    )
    return RenderedImage(rgb=drawing.rgb, alpha=1 - drawing.transmittance)


def warm_up() -> None:
    """Compile everything on one Gaussian: half a minute the first time, about a second from numba's cache."""
    one = np.ones((1, 3), np.float32)
    drawing = draw(one, np.ones((1, 4)), one, one[:, 0], one, np.eye(4), np.diag([8.0, 8.0, 1.0]), 8, 8, np.zeros(3))
    draw_backward(drawing, drawing.rgb, drawing.transmittance)


def background_plate(background: np.ndarray, width_px: int, height_px: int) -> np.ndarray:
    """(3,) as (1, 1, 3), (H, W, 3) as it is, float32.

    Raises:
        ValueError: any other shape, or a value that is not finite.
    """
    plate = _contiguous(background)
    if plate.shape not in ((3,), (height_px, width_px, 3)):
        raise ValueError(f"background: expected shape (3,) or ({height_px}, {width_px}, 3), got {plate.shape}.")
    if not np.isfinite(plate).all():
        raise ValueError("background: expected finite values, got NaN or infinity.")
    return plate.reshape(1, 1, 3) if plate.ndim == 1 else plate


def _describe_bad(inputs: tuple[np.ndarray, ...], index: int) -> str:
    for name, array in zip(_INPUT_NAMES, inputs, strict=True):
        value = array[index].tolist()
        if not np.isfinite(array[index]).all():
            return f"{name}: expected finite values, got {value} at index {index} (the first)."
    return f"quats_wxyz: expected non-zero lengths, got zero at index {index} (the first)."
