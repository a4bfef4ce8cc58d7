"""Learned perceptual distance of two pictures: LPIPS version 0.1 on AlexNet, from weights in plain arrays.

Five convolutions need no model library. The weights (an .npz of ordinary arrays, nothing pickled) are named by path
and never fetched.

Source: Zhang et al. 2018, arXiv:1801.03924, sec. 3 (the distance); Krizhevsky 2014, arXiv:1404.5997 (the network).
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import conv2d, max_pool2d

from gstalker.runtime.errors import InputError

SMALLEST_PX = 31
"""Below this side nothing is left of a picture behind the second pooling."""

# Mean and spread of the network's training pictures, for colours in -1..1.
_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)

# (channels in, channels out, kernel px, stride, padding) of each convolution; a 3 px pooling of stride 2 comes before
# the second and the third.
_CONVOLUTIONS = ((3, 64, 11, 4, 2), (64, 192, 5, 1, 2), (192, 384, 3, 1, 1), (384, 256, 3, 1, 1), (256, 256, 3, 1, 1))
_POOLED_BEFORE = (1, 2)


class Lpips(torch.nn.Module):
    """Perceptual distance, 0 for equal pictures; about 0.05 looks the same, 0.5 is another picture.

    Differentiable by both pictures; the weights are constants.
    """

    def __init__(self, weights_path: Path | str) -> None:
        """Read the weights.

        Args:
            weights_path: .npz with float32 arrays conv{0..4}.weight (out, in, k, k), conv{0..4}.bias (out,) and
                head{0..4}.weight (1, channels, 1, 1).

        Raises:
            InputError: no such file, not an .npz of plain arrays, or an array missing, misshapen or not finite.
        """
        super().__init__()
        for name, array in _read_weights(Path(weights_path)).items():
            self.register_buffer(name.replace(".", "_"), torch.from_numpy(array), persistent=False)
        self.register_buffer("shift", torch.tensor(_SHIFT).reshape(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(_SCALE).reshape(1, 3, 1, 1), persistent=False)

    def forward(self, img1: torch.Tensor, img2: torch.Tensor) -> torch.Tensor:
        """Distance of pictures.

        Args:
            img1, img2: (H, W, 3) or (B, H, W, 3) float32, display colours 0..1, both sides at least SMALLEST_PX.

        Returns:
            () for single pictures, (B,) for batches, float32.

        Raises:
            ValueError: other shapes, or pictures too small.
        """
        shape = img1.shape
        if shape != img2.shape or len(shape) not in (3, 4) or shape[-1] != 3:
            raise ValueError(
                f"Lpips: expected two pictures of one shape (H, W, 3) or (B, H, W, 3), "
                f"got {tuple(shape)} and {tuple(img2.shape)}."
            )
        if min(shape[-3:-1]) < SMALLEST_PX:
            raise ValueError(
                f"Lpips: expected pictures of at least {SMALLEST_PX} x {SMALLEST_PX} px, got {shape[-2]} x {shape[-3]}."
            )
        total = torch.zeros((), device=img1.device)
        for level, (a, b) in enumerate(zip(self._features(img1), self._features(img2), strict=True)):
            difference = (_unit_channels(a) - _unit_channels(b)) ** 2
            total = total + conv2d(difference, self.get_buffer(f"head{level}_weight")).mean(dim=(1, 2, 3))
        return total if len(shape) == 4 else total[0]

    def distance(self, picture1: np.ndarray, picture2: np.ndarray) -> float:
        """The distance of two NumPy pictures (H, W, 3): uint8, or floats 0..1."""
        with torch.no_grad():
            return float(self(_tensor(picture1), _tensor(picture2)))

    def _features(self, picture: torch.Tensor) -> list[torch.Tensor]:
        """What each convolution answers, (B, C, h, w), after its rectifier."""
        x = picture.reshape(-1, *picture.shape[-3:]).permute(0, 3, 1, 2)
        x = (2 * x - 1 - self.get_buffer("shift")) / self.get_buffer("scale")
        features = []
        for level, (_, _, _, stride, padding) in enumerate(_CONVOLUTIONS):
            if level in _POOLED_BEFORE:
                x = max_pool2d(x, kernel_size=3, stride=2)
            weight, bias = self.get_buffer(f"conv{level}_weight"), self.get_buffer(f"conv{level}_bias")
            x = conv2d(x, weight, bias, stride=stride, padding=padding).relu()
            features.append(x)
        return features


def _unit_channels(features: torch.Tensor) -> torch.Tensor:
    """Each pixel's channel vector at unit length; zero stays zero, and its gradient finite."""
    length = (features.square().sum(dim=1, keepdim=True) + 1e-20).sqrt()
    return features / (length + 1e-10)


def _tensor(picture: np.ndarray) -> torch.Tensor:
    if picture.dtype == np.uint8:
        return torch.from_numpy(picture.astype(np.float32) / 255)
    return torch.from_numpy(np.ascontiguousarray(picture, np.float32))


def _read_weights(path: Path) -> dict[str, np.ndarray]:
    expected: dict[str, tuple[int, ...]] = {}
    for level, (channels_in, channels_out, kernel, _, _) in enumerate(_CONVOLUTIONS):
        expected[f"conv{level}.weight"] = (channels_out, channels_in, kernel, kernel)
        expected[f"conv{level}.bias"] = (channels_out,)
        expected[f"head{level}.weight"] = (1, channels_out, 1, 1)
    if not path.is_file():
        raise InputError(f"LPIPS weights {path}: expected an .npz file, found none. Check the path.")
    try:
        if not zipfile.is_zipfile(path):  # numpy would read a lone .npy as well
            raise zipfile.BadZipFile("not a zip archive")
        with np.load(path, allow_pickle=False) as archive:
            found = {name: archive[name] for name in expected if name in archive.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(
            f"LPIPS weights {path}: expected an .npz of plain arrays, but it cannot be read as one ({error})."
        ) from error
    for name, shape in expected.items():
        if name not in found:
            raise InputError(f"LPIPS weights {path}: expected an array {name!r} of shape {shape}, found none.")
        array = found[name]
        if array.shape != shape or array.dtype != np.float32 or not np.isfinite(array).all():
            raise InputError(
                f"LPIPS weights {path}: expected {name!r} to be finite float32 of shape {shape}, "
                f"got {array.dtype} of shape {array.shape}. Is it AlexNet's?"
            )
    return found
