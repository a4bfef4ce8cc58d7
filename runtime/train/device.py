"""What a training run does differently on a GPU: precision, repeatability, and the back end of the tri-plane.

Gaussians, rasterizer, losses and optimizer are float32 always. Only the deformation and torso fields, which are matrix
products with wide tolerance, may run in bfloat16, whose exponent is float32's: nothing overflows and no loss needs to
be scaled.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch

from gstalker.kernels.triplane import TriPlane
from gstalker.runtime.errors import InputError

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
TRIPLANES = ("portable", "tinycudann")
# cuBLAS sums in a fixed order only with a workspace of a fixed size, and reads this when it is first used.
_CUBLAS_WORKSPACE = ("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


@dataclass(frozen=True)
class DeviceConfig:
    """How a run uses its device."""

    precision: str = "float32"  # of the deformation and torso fields: "float32" or "bfloat16"
    triplane: str = "portable"  # "portable", or "tinycudann" where that is installed; the same numbers either way
    deterministic: bool = True  # on CUDA: torch's repeatable algorithms, where it has them

    def __post_init__(self) -> None:
        for name, known in (("precision", tuple(PRECISIONS)), ("triplane", TRIPLANES)):
            if getattr(self, name) not in known:
                raise InputError(f"{name}: expected one of {', '.join(known)}, got {getattr(self, name)!r}.")


def training_device(name: str) -> torch.device:
    """The device a run asks for.

    Raises:
        InputError: CUDA is asked for and not there.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError(
            "--device cuda: expected a CUDA GPU and a CUDA build of torch, found none. Train with --device cpu "
            "(the preview preset is made for it), or see `gstalker doctor`."
        )
    return torch.device(name)


def fields_precision(device: torch.device, config: DeviceConfig) -> AbstractContextManager[object]:
    """Within it, matrix products run in the precision that the settings give to the fields."""
    if config.precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=PRECISIONS[config.precision])


@contextmanager
def numerics(device: torch.device, config: DeviceConfig) -> Iterator[None]:
    """Settings of torch for a training on a CUDA device, put back afterwards; nothing on the CPU.

    Convolutions may not round to TF32: SSIM takes differences of blurred squares, which its 10 bits would drown.
    """
    if device.type != "cuda":
        yield
        return
    algorithms = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    os.environ.setdefault(*_CUBLAS_WORKSPACE)
    torch.use_deterministic_algorithms(config.deterministic, warn_only=True)
    try:
        with torch.backends.cudnn.flags(
            enabled=True, benchmark=False, deterministic=config.deterministic, allow_tf32=False
        ):
            yield
    finally:
        torch.use_deterministic_algorithms(algorithms[0], warn_only=algorithms[1])


def chosen_triplane(grid: TriPlane, config: DeviceConfig) -> TriPlane:
    """The grid that the settings ask for, with the very parameters of the given one.

    Raises:
        InputError: tinycudann is asked for and cannot be used here.
    """
    if config.triplane == "portable":
        return grid
    from gstalker.kernels.triplane_tinycudann import TinyCudaNNTriPlane

    try:
        return TinyCudaNNTriPlane(grid)
    except ImportError as error:
        raise InputError(str(error)) from error
