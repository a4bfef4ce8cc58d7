"""What the package's C# does with the kernels each frame, in Python: the order of dispatches and who binds what.

The contract itself is unity_client/Documentation~/drawing.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import slangpy as spy
from helpers.unity_shaders.gpu import Gpu, Target
from helpers.unity_shaders.shaderlab import ShaderPass

from gstalker.kernels.gaussians import Gaussians
from gstalker.kernels.quantise import QuantisationBox

GAUSSIAN = np.dtype(
    [("mean_m", "<f4", 3), ("opacity", "<f4"), ("quat_wxyz", "<f4", 4), ("scale_m", "<f4", 3), ("part", "<u4")]
)
EYE_OF_PART = np.dtype([("view_x", "<f4", 4), ("view_y", "<f4", 4), ("view_z", "<f4", 4), ("eye_in_part_m", "<f4", 4)])
SPLAT = np.dtype(
    [
        ("centre_ndc", "<f4", 2),
        ("major_px", "<f4", 2),
        ("minor_px", "<f4"),
        ("depth_ndc", "<f4"),
        ("color_opacity", "<f2", 4),
    ]
)
THREADS = 64
CORNERS = 8
TILE = 16
SORT_BLOCK = 1024
SORT_DIGITS = 16
DEPTH_KEY_BITS = 28
NO_BUDGET = 0xFFFFFFFF


@dataclass(frozen=True)
class Eye:
    """What Unity knows of one eye: worldToCameraMatrix, and GL.GetGPUProjectionMatrix of its projection; (4, 4)."""

    view_from_world: np.ndarray
    clip_from_view: np.ndarray


def records(cloud: Gaussians, part_ids: np.ndarray) -> np.ndarray:
    """(N,) GAUSSIAN of a cloud in part space."""
    out = np.zeros(len(cloud), GAUSSIAN)
    out["mean_m"], out["opacity"] = cloud.means, cloud.opacities
    out["quat_wxyz"], out["scale_m"], out["part"] = cloud.quats_wxyz, cloud.scales, part_ids
    return out


class Avatar:
    """The buffers of one avatar on the device, and its steps."""

    def __init__(self, gpu: Gpu, canonical: Gaussians, part_ids: np.ndarray, box: QuantisationBox) -> None:
        count = len(canonical)
        self.gpu, self.count = gpu, count
        step_m, log_step = box.position_step_m, box.log_scale_step
        self.globals: dict[str, Any] = {
            "_GsGaussianCount": count,
            "_GsMoverCount": 0,
            "_GsCanonical": gpu.buffer(records(canonical, part_ids), GAUSSIAN.itemsize),
            "_GsBoxMinimum": spy.float4(*box.position_min_m, box.log_scale_min),
            "_GsBoxStep": spy.float4(*step_m, log_step),
            "_GsHarmonics": gpu.buffer(canonical.sh_coeffs.astype(np.float32), 4),
            "_GsHarmonicsStored": canonical.sh_coeffs.shape[1],
            "_GsHarmonicsUsed": canonical.sh_coeffs.shape[1],
            "_GsBudget": NO_BUDGET,
            "_GsDepthMinimumNdc": 0.0,
            "_GsEyesPerDraw": 1,
            "_GsCorners": CORNERS,
            "_GsVisibleCount": gpu.buffer(1),
        }
        self.posed = gpu.buffer(count, GAUSSIAN.itemsize)
        self.eyes_of_parts = gpu.buffer(4, EYE_OF_PART.itemsize)
        self.splats = gpu.buffer(2 * count, SPLAT.itemsize)
        self.ranks = gpu.buffer(np.zeros(count, "<u4"))  # all equal: nobody has been weighed yet
        self.weights = gpu.buffer(np.zeros(count, "<u4"))
        self.arguments = gpu.buffer(4, indirect=True)
        self.keys, self.order = [gpu.buffer(count) for _ in range(2)], [gpu.buffer(count) for _ in range(2)]

    def show(self, frame_a: np.ndarray, frame_b: np.ndarray, mix: float) -> None:
        """Two frames' packed movers, (M, 16) uint8 each, mixed into every Gaussian's values in part space."""
        self.globals["_GsMoverCount"] = len(frame_a)
        self._run(
            "MixFrames",
            {
                "_GsFrameA": self.gpu.raw_buffer(frame_a),
                "_GsFrameB": self.gpu.raw_buffer(frame_b),
                "_GsFrameMix": mix,
                "_GsPosedOut": self.posed,
            },
        )

    def project(
        self,
        eyes: list[Eye],
        size_px: tuple[int, int],
        avatar_from_part: list[np.ndarray],
        world_from_object: np.ndarray | None = None,
        *,
        eyes_per_draw: int = 1,
        budget: int = NO_BUDGET,
    ) -> None:
        """Splats of every eye, their order and the draw arguments."""
        twice = [eyes[0], eyes[-1]]
        self.globals |= {
            "_GsEyeCount": len(eyes),
            "_GsEyesPerDraw": eyes_per_draw,
            "_GsBudget": budget,
            "_GsTargetSize": spy.float2(*map(float, size_px)),
            "_GsAvatarFromPart": [_matrix(m) for m in avatar_from_part],
            "_GsWorldFromObject": _matrix(np.eye(4) if world_from_object is None else world_from_object),
            "_GsViewFromWorld": [_matrix(e.view_from_world) for e in twice],
            "_GsClipFromView": [_matrix(e.clip_from_view) for e in twice],
        }
        self._run("SeeParts", {"_GsEyesOfPartsOut": self.eyes_of_parts}, groups=1)
        self._run(
            "ProjectSplats",
            {
                "_GsPosed": self.posed,
                "_GsEyesOfParts": self.eyes_of_parts,
                "_GsRanks": self.ranks,
                "_GsSplatsOut": self.splats,
                "_GsKeysOut": self.keys[0],
                "_GsOrderOut": self.order[0],
            },
        )
        self.drawn_order = sort(self.gpu, self.keys, self.order, self.count, DEPTH_KEY_BITS)
        self._run("WriteDrawArguments", {"_GsDrawArguments": self.arguments}, groups=1)

    def draw(self, target: Target, *, eye: int = 0, shader_pass: str | ShaderPass = "Splats", **options: Any) -> None:
        """One eye's splats, or with eye_array=True both, into a target."""
        values = {
            "_GsSplats": self.splats,
            "_GsOrder": self.drawn_order,
            "_GsGaussianCount": self.count,
            "_GsEye": eye,
            "_GsTargetSize": self.globals["_GsTargetSize"],
            "_GsCorners": self.globals["_GsCorners"],
        }
        chosen = self.gpu.passes()[shader_pass] if isinstance(shader_pass, str) else shader_pass
        self.gpu.draw(chosen, target, values, arguments=self.arguments, **options)

    def weigh(self, size_px: tuple[int, int]) -> None:
        """After `project` of a picture of that size: how much each Gaussian shows in it, and who goes first."""
        values = {
            "_GsSplatsIn": self.splats,
            "_GsOrder": self.drawn_order,
            "_GsVisibleCountIn": self.globals["_GsVisibleCount"],
            "_GsWeights": self.weights,
        }
        tiles = (-(-size_px[0] // TILE), -(-size_px[1] // TILE))
        self.gpu.run("GaussianAvatar.compute", "WeighSplats", tiles, self.globals | values)
        ranking = {"_GsWeights": self.weights, "_GsKeysOut": self.keys[0], "_GsOrderOut": self.order[0]}
        self._run("RankByWeight", ranking)
        order = sort(self.gpu, self.keys, self.order, self.count, 32)
        self._run("StoreRanks", {"_GsOrder": order, "_GsRanksOut": self.ranks})

    def _run(self, kernel: str, values: dict[str, Any], groups: int | None = None) -> None:
        groups = -(-self.count // THREADS) if groups is None else groups
        self.gpu.run("GaussianAvatar.compute", kernel, groups, self.globals | values)


def sort(gpu: Gpu, keys: list[spy.Buffer], order: list[spy.Buffer], count: int, bits: int) -> spy.Buffer:
    """Sort keys[0] with order[0] by the lowest `bits`; returns the buffer that holds the sorted order."""
    blocks = -(-count // SORT_BLOCK)
    counts = gpu.buffer(SORT_DIGITS * blocks)
    source, target = 0, 1
    for shift in range(0, bits, 4):
        values = {
            "_GsSourceKeys": keys[source],
            "_GsSourceOrder": order[source],
            "_GsSortedKeys": keys[target],
            "_GsSortedOrder": order[target],
            "_GsDigitCounts": counts,
            "_GsKeyCount": count,
            "_GsBlockCount": blocks,
            "_GsShift": shift,
        }
        gpu.run("GaussianSort.compute", "CountDigits", blocks, values)
        gpu.run("GaussianSort.compute", "ScanCounts", 1, values)
        gpu.run("GaussianSort.compute", "ScatterKeys", blocks, values)
        source, target = target, source
    return order[source]


def _matrix(m: np.ndarray) -> spy.float4x4:
    return spy.float4x4(np.ascontiguousarray(m, np.float32))
