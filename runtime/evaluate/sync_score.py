"""How well lips and sound fit, and by how much they are apart: a lip-sync surrogate that needs nobody's weights.

The scorer is trained by `python -m gstalker.runtime.evaluate.sync_training` on speech that the avatar never trained
on. It holds several networks, each of which has not seen one share of that speech: a clip is judged by the network
that does not know it, and speech that none knows by all of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from gstalker.runtime.audio_stream import pcm_from_samples
from gstalker.runtime.errors import InputError
from gstalker.runtime.evaluate.sync_network import (
    LIP_HALF_VIEW,
    MEL_FRAMES_PER_VIDEO_FRAME,
    MEL_HALF_VIEW,
    SyncNetwork,
    SyncSizes,
    lip_shapes,
    sound_frames,
)

FORMAT = "gstalker sync scorer 1"
MOST_LAG = 40  # mel frames, 400 ms
LAGS_S = np.arange(-MOST_LAG, MOST_LAG + 1) / 100.0
FEWEST_FRAMES = 2 * LIP_HALF_VIEW + 8


@dataclass(frozen=True)
class SyncScore:
    """The surrogate over one or several clips.

    Attributes:
        confidence: highest agreement over all lags less the median one; 0 fits nowhere in particular. On this
            scorer's own scale, comparable between figures of one scorer alone.
        lag_s: where it is highest; positive: the mouth comes after the sound. None at the edge of what was searched.
        agreement: (81,) mean cosine at LAGS_S.
    """

    confidence: float
    lag_s: float | None
    agreement: np.ndarray


@dataclass(frozen=True)
class SyncOrigin:
    """What a scorer was made of.

    Attributes:
        speech: for people: datasets, split, seconds.
        fold_of_clip: which network has not seen a clip, by `sound_id`.
    """

    speech: str
    fold_of_clip: dict[str, int]


class SyncScorer:
    """Networks that have been trained, ready to judge."""

    def __init__(self, networks: Sequence[SyncNetwork], origin: SyncOrigin) -> None:
        self.origin = origin
        self._networks = [n.eval() for n in networks]

    @torch.no_grad()
    def agreement(
        self, landmarks_px: np.ndarray, samples: np.ndarray, known_as: str | None = None
    ) -> np.ndarray | None:
        """(81, n) cosine of lips and sound at LAGS_S for the n frames that have neighbours enough.

        Args:
            landmarks_px: (T, 478, 2), NaN where no face was found.
            samples: (S,) 16 kHz speech; frame t is shown at sample 640 t.
            known_as: `sound_id` of the clip that the lips were filmed or made for, where `samples` is another's.

        Returns:
            None where there are too few frames, or no face.
        """
        lips = lip_shapes(landmarks_px)
        if lips is None or len(lips) < FEWEST_FRAMES:
            return None
        frame_count = len(lips)
        mel = torch.from_numpy(sound_frames(samples, frame_count, MEL_HALF_VIEW + MOST_LAG))[None]
        centres = MEL_FRAMES_PER_VIDEO_FRAME * np.arange(LIP_HALF_VIEW, frame_count - LIP_HALF_VIEW)
        # Row i of the sound's vectors stands at mel frame i - MOST_LAG; a late mouth fits sound of before.
        rows = torch.from_numpy(centres[None, :] + MOST_LAG - np.arange(-MOST_LAG, MOST_LAG + 1)[:, None])
        curves = []
        for network in self._judges(known_as or sound_id(samples)):
            seen = network.lip_vectors(torch.from_numpy(lips)[None])[0]
            heard = network.sound_vectors(mel)[0]
            curves.append((heard[rows] * seen).sum(dim=2).numpy())
        return np.mean(curves, axis=0)

    def _judges(self, clip: str) -> list[SyncNetwork]:
        fold = self.origin.fold_of_clip.get(clip)
        return self._networks if fold is None else [self._networks[fold]]


def sound_id(samples: np.ndarray) -> str:
    """What tells a clip by its sound: a hash of its 16-bit samples."""
    return hashlib.sha256(pcm_from_samples(np.asarray(samples, np.float32)).tobytes()).hexdigest()[:16]


def sync_score(agreements: Sequence[np.ndarray]) -> SyncScore:
    """Sum up (81, n) agreements of one or several clips, every frame counting the same.

    Raises:
        ValueError: there are none.
    """
    if not agreements:
        raise ValueError("sync_score: expected at least one clip.")
    curve = np.concatenate(agreements, axis=1).mean(axis=1)
    best = int(np.argmax(curve))
    lag_s = None
    if 0 < best < len(curve) - 1:
        before, top, after = curve[best - 1 : best + 2]
        bend = before - 2 * top + after
        lag_s = float(LAGS_S[best] + (0.005 * (before - after) / bend if bend < 0 else 0.0))
    return SyncScore(float(curve[best] - np.median(curve)), lag_s, curve)


def save_scorer(path: Path, networks: Sequence[SyncNetwork], sizes: SyncSizes, origin: SyncOrigin) -> None:
    """Write a scorer as one safetensors file."""
    tensors = {f"{k}/{n}": t.contiguous() for k, net in enumerate(networks) for n, t in net.state_dict().items()}
    about = {"sizes": asdict(sizes), "networks": len(networks), "origin": asdict(origin)}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, {"format": FORMAT, "about": json.dumps(about, sort_keys=True)})


def load_scorer(path: Path) -> SyncScorer:
    """Read a scorer.

    Raises:
        InputError: no such file, or it is damaged or something else.
    """
    where = "--sync-scorer"
    if not path.is_file():
        raise InputError(
            f"{where}: expected a scorer, found none at {path}. "
            "Train one with `python -m gstalker.runtime.evaluate.sync_training DATASET --out FILE`."
        )
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise InputError(f"{where}: expected {FORMAT!r}, got {metadata.get('format')!r} in {path}.")
            about = json.loads(metadata["about"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        sizes = SyncSizes(**{f.name: int(about["sizes"][f.name]) for f in fields(SyncSizes)})
        origin = SyncOrigin(str(about["origin"]["speech"]), dict(about["origin"]["fold_of_clip"]))
        networks = []
        for k in range(int(about["networks"])):
            network = SyncNetwork(sizes)
            prefix = f"{k}/"
            network.load_state_dict({n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)})
            networks.append(network)
        if not networks or not all(isinstance(f, int) and 0 <= f < len(networks) for f in origin.fold_of_clip.values()):
            raise ValueError("no network for some of its folds")
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError, AttributeError, OSError) as error:
        why = " ".join(str(error).split())
        raise InputError(f"{where}: expected a scorer, could not read {path} ({why}).") from error
    return SyncScorer(networks, origin)
