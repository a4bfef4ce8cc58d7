"""A trained run as columns of the report: the avatar, the same with less help, baselines made of it. Needs torch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gstalker.runtime import landmarks
from gstalker.runtime.dataset import Clip, ClipEntry, Dataset, Tracks
from gstalker.runtime.evaluate.fit_sitting import fit_sitting
from gstalker.runtime.evaluate.subject import (
    AVATAR,
    AVATAR_FIELD_TORSO,
    AVATAR_FITTED,
    AVATAR_MEAN_SEAT,
    BLENDSHAPES,
    STATIC,
    RunSubjects,
)
from gstalker.runtime.model.audio_source import algorithmic_delay_ms
from gstalker.runtime.model.avatar import AvatarModel
from gstalker.runtime.model.clip_renderer import ClipRenderer, Driving
from gstalker.runtime.model.sittings import SittingConfig, sittings_of
from gstalker.runtime.model.trained_run import TrainedAvatar, load_run

TRACKED = "tracked head and torso pose, tracked eye and brow weights, the clip's own backdrop"
FIELD_TORSO = (
    "sound; tracked head pose, torso pose from the torso field, tracked eye and brow weights, the clip's own backdrop"
)
RIDGE = 1e-2  # of the mean variance of the blendshapes: steadies the regression of codes


@dataclass(frozen=True)
class RenderedSubject:
    """The trained model, driven in one of the ways that evaluation compares."""

    name: str
    composited: str
    renderer: ClipRenderer
    codes: BlendshapeCodes | None = None  # audio codes from tracked mouth weights instead of from sound

    def pictures(self, clip: Clip, frame_indices: Sequence[int]) -> Iterator[np.ndarray]:
        codes = self.codes(clip.tracks.blendshapes) if self.codes else None
        with torch.no_grad():
            yield from self.renderer.pictures(clip, frame_indices, codes)


@dataclass(frozen=True)
class FittedSubject:
    """The avatar with a clip's own offsets and colours, fitted on one of the frames that it is measured on."""

    renderer: ClipRenderer
    model: AvatarModel
    config: SittingConfig
    name: str = AVATAR_FITTED

    @property
    def composited(self) -> str:
        what = ["the head's and the torso's offset"] if self.config.pose_refinement else []
        what += ["the appearance code"] if self.config.code_size else []
        return f"sound; {TRACKED}; {' and '.join(what)} fitted to the clip's first trusted frame, which is measured too"

    def pictures(self, clip: Clip, frame_indices: Sequence[int]) -> Iterator[np.ndarray]:
        sitting = fit_sitting(self.renderer, self.model, clip, self.config)
        with torch.no_grad():
            yield from self.renderer.pictures(clip, frame_indices, sitting=sitting)


class BlendshapeCodes:
    """Audio codes regressed on the tracked mouth blendshapes: what the field does when told the true mouth.

    A ridge regression over the training clips, with squares of the weights as further inputs.
    """

    def __init__(self, renderer: ClipRenderer, dataset: Dataset) -> None:
        self._device = renderer.device
        columns = dataset.manifest.blendshape_names
        self._columns = [columns.index(n) for n in landmarks.MOUTH_BLENDSHAPES]
        inputs, codes = [], []
        with torch.no_grad():
            for entry in dataset.clips("train"):
                inputs.append(self._inputs(dataset.tracks(entry.name).blendshapes))
                codes.append(renderer.audio_codes(dataset.samples(entry.name), entry.frame_count).cpu().numpy())
        x, y = np.concatenate(inputs), np.concatenate(codes)
        self._mean = x.mean(axis=0)
        self._offset = y.mean(axis=0)
        centred = x - self._mean
        gram = centred.T @ centred
        gram += RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram))
        self._weights = np.linalg.solve(gram, centred.T @ (y - self._offset))

    def _inputs(self, blendshapes: np.ndarray) -> np.ndarray:
        mouth = blendshapes[:, self._columns].astype(np.float64)
        return np.concatenate([mouth, mouth**2], axis=1)

    def __call__(self, blendshapes: np.ndarray) -> Tensor:
        """(T, 52) tracked weights -> (T, A) codes."""
        codes = (self._inputs(blendshapes) - self._mean) @ self._weights + self._offset
        return torch.from_numpy(codes).float().to(self._device)


class RunVoice:
    """The avatar speaking any sound, head held as in the dataset's reference frame."""

    name = AVATAR

    def __init__(self, renderer: ClipRenderer, dataset: Dataset) -> None:
        self._renderer = renderer
        self._dataset = dataset

    def voice_pictures(self, samples: np.ndarray, frame_count: int) -> Iterator[np.ndarray]:
        m = self._dataset.manifest
        clip = self._dataset.load(m.reference_clip)
        held = {
            name: np.repeat(getattr(clip.tracks, name)[m.reference_frame][None], frame_count, axis=0)
            for name in Tracks.__dataclass_fields__
        }
        still = Clip(
            entry=ClipEntry("voice", "test", frame_count, "voice"),
            rgb=clip.rgb,
            matte=clip.matte,
            plate=clip.plate,
            tracks=Tracks(**held),
            samples=samples,
        )
        with torch.no_grad():
            yield from self._renderer.pictures(still, range(frame_count))


def subjects_from_run(run: Path, dataset: Dataset) -> RunSubjects:
    """All columns that a run gives.

    Raises:
        InputError: no run, no checkpoint, another version or damaged files.
    """
    trained = load_run(run)
    # A run trained on a GPU can be looked at anywhere.
    device = "cuda" if trained.settings["device"] == "cuda" and torch.cuda.is_available() else "cpu"
    model = trained.model.to(device)

    source = trained.open_source()

    def renderer(driving: Driving | None = None) -> ClipRenderer:
        return ClipRenderer(model, dataset, device, driving, source)

    full = renderer()
    sittings = sittings_of(trained.settings, str(trained.run / "config.json"))
    has_own = sittings.pose_refinement or sittings.code_size > 0
    return RunSubjects(
        title=Path(run).resolve().name,
        subjects=(
            RenderedSubject(AVATAR, f"sound; {TRACKED}", full),
            RenderedSubject(
                AVATAR_FIELD_TORSO,
                f"{FIELD_TORSO}; where the person sits is taken from the clip's first trusted frame",
                renderer(Driving(torso_from_field=True, seat_from_frame=True)),
            ),
            RenderedSubject(
                AVATAR_MEAN_SEAT,
                f"{FIELD_TORSO}; the person sits where they did on average in training, nothing taken from the clip",
                renderer(Driving(torso_from_field=True)),
            ),
            *((FittedSubject(full, model, sittings),) if has_own else ()),
            RenderedSubject(STATIC, f"no deformation; {TRACKED}", renderer(Driving(still=True))),
            RenderedSubject(
                BLENDSHAPES,
                f"audio codes regressed on the tracked mouth weights, no sound; {TRACKED}",
                full,
                BlendshapeCodes(full, dataset),
            ),
        ),
        voice=RunVoice(full, dataset),
        about=about(trained)
        | {
            "hears with": source.name,
            "algorithmic delay, ms": algorithmic_delay_ms(source, model.config.audio),
        },
    )


def about(trained: TrainedAvatar) -> dict[str, str | int | float | None]:
    """What people should know of the run."""
    log = trained.run / "metrics.jsonl"
    lines = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
    seconds = json.loads(lines[-1])["seconds"] if lines else None
    return {
        "preset": str(trained.settings["preset"]),
        "device": str(trained.settings["device"]),
        "seed": int(trained.settings["seed"]),
        "steps": trained.step,
        "Gaussians": len(trained.model.canonical),
        "seconds in the training loop": None if seconds is None else round(seconds, 1),
    }
