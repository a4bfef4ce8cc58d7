"""`gstalker train`: dataset in, training run out."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro


@dataclass(frozen=True)
class Train:
    """Train an avatar on a prepared dataset."""

    dataset: Annotated[Path, tyro.conf.Positional]
    """Folder that `gstalker prepare` wrote."""
    out: Path
    """Folder of the run: settings, checkpoints, metrics, previews."""
    preset: Literal["preview", "full", "demo"] = "preview"
    """preview: minutes on two CPU cores at 256 x 256. full: a CUDA GPU at 512 x 512. demo: half a minute of a made
    character."""
    device: Literal["cpu", "cuda"] | None = None
    """Where to train; the preset's own choice if not given."""
    seed: int = 0
    """Seed of everything random."""
    steps: int | None = None
    """Steps of both stages together instead of the preset's; the stages keep their proportion."""
    hears: Literal["log_mel", "moonshine", "onnx"] = "log_mel"
    """What listens. log_mel: trained from nothing, streams, goes into bundles. moonshine: a pretrained encoder out of
    the package moonshine-voice. onnx: your own, --audio-model. The last two cannot be exported."""
    audio_model: Path | None = None
    """For --hears onnx: HuBERT, wav2vec 2.0, DeepSpeech or the like as ONNX, its settings beside it as .json."""
    lookahead_ms: int | None = None
    """How far ahead the log-mel encoder hears, a multiple of 40 ms; 280 if not given. Less makes live speech prompter
    and lips worse."""
    lpips_weights: Path | None = None
    """AlexNet LPIPS weights, lpips_alex.npz, for presets with a perceptual loss; otherwise from $GSTALKER_MODELS."""
    resume: bool = False
    """Go on with the run in --out from its newest checkpoint, with the settings it was started with."""

    def run(self) -> None:
        from gstalker.cli.progress import RichProgress
        from gstalker.runtime.evaluate.find_models import find_lpips_weights
        from gstalker.runtime.train.config import PRESETS
        from gstalker.runtime.train.loop import train

        config = PRESETS[self.preset]
        config = dataclasses.replace(config, seed=self.seed, device=self.device or config.device)
        config = config.with_hearing(self.hears, self.audio_model)
        if self.lookahead_ms is not None:
            config = config.with_lookahead(self.lookahead_ms)
        if self.steps is not None:
            config = config.with_steps(self.steps)
        with RichProgress() as progress:
            train(
                *(self.dataset, self.out, config, progress),
                resume=self.resume,
                lpips_weights=find_lpips_weights(self.lpips_weights),
            )
        print(f"run written to {self.out}")
