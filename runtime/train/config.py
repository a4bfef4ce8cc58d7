"""What a training run is told: one frozen dataclass a concern, saved as config.json with the run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from gstalker.runtime.errors import InputError
from gstalker.runtime.expression import ExpressionConfig
from gstalker.runtime.model.audio_encoder import AudioEncoderConfig
from gstalker.runtime.model.audio_source import LOG_MEL, ONNX, HearingConfig, open_source
from gstalker.runtime.model.avatar import AvatarConfig
from gstalker.runtime.model.frozen_graph import file_sha256
from gstalker.runtime.model.sittings import SittingConfig
from gstalker.runtime.train.device import DeviceConfig
from gstalker.runtime.train.initialise import InitConfig
from gstalker.runtime.train.pace import PLAIN, PaceConfig
from gstalker.runtime.train.pretrain_audio import PretrainConfig
from gstalker.runtime.train.trust import TrustConfig

FROZEN_LOOKAHEAD = -1  # video frames that the network behind a frozen encoder adds: none
FROZEN_SMOOTHING = 8  # video frames over which it smooths: it has no convolutions to look about with
LONGEST_SMOOTHING = 16  # video frames


@dataclass(frozen=True)
class LossConfig:
    """Weights of the losses; the values start from TalkingGaussian (arXiv:2404.15264) and were tuned on speech."""

    dssim: float = 0.2  # weight of 1 - SSIM beside L1
    mouth: float = 4.0  # how much more an L1 error counts in the mouth box
    eyes: float = 3.0  # likewise in the eye boxes
    matte: float = 0.05  # L1 between the rendered alpha and the person's matte
    delta: float = 1e-4  # mean squared output of the deformation field, in its own output units
    lpips: float = 0.0  # weight of a perceptual loss on a patch, over the last `lpips_share` of stage 2
    lpips_share: float = 0.2
    lpips_patch_px: int = 96


@dataclass(frozen=True)
class RateConfig:
    """Learning rates (Adam). All decay to `final_share` by the end of stage 2."""

    means: float = 1e-3  # of a picture unit (100 px)
    quats: float = 2e-3
    log_scales: float = 1e-2
    opacities: float = 3e-2
    colors: float = 1e-2
    canonical_stage2: float = 0.3  # factor on the five above once the field moves them
    grid: float = 5e-3  # tri-plane
    networks: float = 2e-3  # field and torso
    audio: float = 3e-4  # the pretrained encoder
    final_share: float = 0.03


@dataclass(frozen=True)
class DensityConfig:
    """Adaptive density control: more Gaussians where the picture still pulls, most where things move."""

    rounds: int = 4  # growth steps, spread evenly over `start_share`..`end_share` of all steps
    start_share: float = 0.10
    end_share: float = 0.45
    growth: float = 0.04  # share of the present Gaussians that one round may add
    motion_boost: float = 4.0  # how much more a Gaussian that moves much counts than one at rest
    min_opacity: float = 0.005  # those fainter are replaced


@dataclass(frozen=True)
class TrainConfig:
    """A whole training run."""

    preset: str = "preview"  # the preset that these values started from
    seed: int = 0
    device: str = "cpu"  # "cpu" (numba rasterizer) or "cuda" (gsplat)
    stage1_steps: int = 1000  # coarse static Gaussians
    stage2_steps: int = 11_000  # deformation
    batch_frames: int = 1  # frames averaged in one step
    blink_share: float = 0.12  # share of the steps spent on frames with closing eyes
    open_mouth_share: float = 0.12  # share spent on the frames with the widest mouths
    voices_share: float = 0.5  # share of the frames that are heard in another voice, as in the lesson
    pose_share: float = 0.2  # share of the steps that is even over poses, however rarely a pose occurs
    preview_every: int = 1000  # steps between two preview strips
    checkpoint_every: int = 500  # steps between two checkpoints
    init: InitConfig = field(default_factory=InitConfig)
    pretrain: PretrainConfig = field(default_factory=PretrainConfig)
    hearing: HearingConfig = field(default_factory=HearingConfig)
    avatar: AvatarConfig = field(default_factory=AvatarConfig)
    losses: LossConfig = field(default_factory=LossConfig)
    rates: RateConfig = field(default_factory=RateConfig)
    density: DensityConfig = field(default_factory=DensityConfig)
    on_device: DeviceConfig = field(default_factory=DeviceConfig)  # precision and back ends
    expression: ExpressionConfig = field(default_factory=ExpressionConfig)  # which weights become controls
    sittings: SittingConfig = field(default_factory=SittingConfig)
    pace: PaceConfig = field(default_factory=lambda: PLAIN)  # how a CPU spends its steps
    trust: TrustConfig = field(default_factory=TrustConfig)  # what is not believed of a frame

    EARLIER: ClassVar[Mapping[str, object]] = {"on_device": DeviceConfig(), "pace": PLAIN, "voices_share": 0.0}

    @property
    def steps(self) -> int:
        """Steps of both stages."""
        return self.stage1_steps + self.stage2_steps

    def with_steps(self, steps: int) -> TrainConfig:
        """The same run in another number of steps, the stages in proportion.

        Raises:
            InputError: fewer than two steps.
        """
        if steps < 2:
            raise InputError(f"--steps: expected at least 2, one for each stage, got {steps}.")
        stage1 = max(1, round(steps * self.stage1_steps / self.steps))
        return dataclasses.replace(self, stage1_steps=stage1, stage2_steps=steps - stage1)

    def with_lookahead(self, lookahead_ms: float) -> TrainConfig:
        """The same run with an encoder that hears so far ahead.

        Raises:
            InputError: a look-ahead that the encoder cannot have.
        """
        if self.hearing.source != LOG_MEL:
            raise InputError(
                f"--lookahead-ms: expected --hears {LOG_MEL}, whose look-ahead is chosen by it, "
                f"got {self.hearing.source}. Leave the option out."
            )
        try:
            encoder = self.avatar.audio.with_lookahead(lookahead_ms)
        except ValueError as error:
            raise InputError(f"--lookahead-ms: {error}") from error
        return dataclasses.replace(self, avatar=dataclasses.replace(self.avatar, audio=encoder))

    def with_smoothing(self, frames: int) -> TrainConfig:
        """The same run with an attention over so many video frames about each, as the paper has it; 1 for none.

        It hears half of them further ahead, unless `with_lookahead` says otherwise.

        Raises:
            InputError: no such number of frames, or an encoder that has its own.
        """
        if self.hearing.source != LOG_MEL:
            raise InputError(
                f"--smoothing-frames: expected --hears {LOG_MEL}, whose smoothing is chosen by it, "
                f"got {self.hearing.source}. Leave the option out."
            )
        if not 1 <= frames <= LONGEST_SMOOTHING:
            raise InputError(f"--smoothing-frames: expected 1 to {LONGEST_SMOOTHING} video frames, got {frames}.")
        audio = dataclasses.replace(self.avatar.audio, smoothing_frames=frames, smoothing_lookahead=(frames - 1) // 2)
        return dataclasses.replace(self, avatar=dataclasses.replace(self.avatar, audio=audio))

    def with_controls(self, controls: tuple[str, ...]) -> TrainConfig:
        """The same run with a field that hears these expression weights."""
        return dataclasses.replace(self, avatar=dataclasses.replace(self.avatar, controls=controls))

    def with_hearing(self, source: str, model: Path | None) -> TrainConfig:
        """The same run with another source of audio features, and an encoder of its width behind it.

        A frozen encoder has seen its own context: the network behind it needs none and looks no further ahead.

        Raises:
            InputError: the source is not to be had here, or a file was given to one that takes none.
        """
        if (model is not None) != (source == ONNX):
            need = "needs an" if source == ONNX else "takes no"
            raise InputError(f"--audio-model: --hears {source} {need} ONNX file, got {model or 'none'}.")
        if source == LOG_MEL:
            return self
        hearing = HearingConfig(source)
        if model is not None:
            sha256 = file_sha256(model) if model.is_file() else ""
            hearing = HearingConfig(source, str(model.resolve()), sha256)
        encoder = dataclasses.replace(
            self.avatar.audio,
            mel_bands=open_source(hearing).width,
            context_convolutions=0,
            smoothing_frames=FROZEN_SMOOTHING,
            smoothing_lookahead=FROZEN_LOOKAHEAD,
        )
        return dataclasses.replace(
            self,
            hearing=hearing,
            avatar=dataclasses.replace(self.avatar, audio=encoder),
            pretrain=dataclasses.replace(self.pretrain, augmented_share=0.0),  # both turn mel bands
            voices_share=0.0,
        )


# Few steps of two frames at three times the rates of single frames: docs/training.md has what was tried.
_PREVIEW = TrainConfig(
    stage1_steps=320,
    stage2_steps=3180,
    batch_frames=2,
    pace=PaceConfig(faces_per_whole=1),
    rates=RateConfig(
        means=3e-3,
        quats=6e-3,
        log_scales=3e-2,
        opacities=9e-2,
        colors=3e-2,
        grid=1.5e-2,
        networks=6e-3,
        audio=2.5e-4,  # not faster: its lesson would be lost
    ),
)

PRESETS: dict[str, TrainConfig] = {
    # Four minutes on two CPU cores at 256 x 256.
    "preview": _PREVIEW,
    # A quarter of an hour there, for an avatar to keep.
    "fine": dataclasses.replace(_PREVIEW, preset="fine", pretrain=PretrainConfig(steps=5000)).with_steps(10_500),
    # A made character with exact tracks and half a minute of speech: two minutes on two CPU cores.
    "demo": TrainConfig(
        preset="demo",
        stage1_steps=600,
        stage2_steps=2400,
        preview_every=1500,
        checkpoint_every=1500,
        init=InitConfig(head_count=7000, torso_count=3500),
        pretrain=PretrainConfig(steps=400),
        # Half a minute of speech is learnt by heart by an encoder that sees half a second of it at once.
        avatar=AvatarConfig(audio=AudioEncoderConfig(context_convolutions=3)),
    ),
    # A GPU at 512 x 512. Steps and counts follow TalkingGaussian's schedule at one frame a step.
    "full": TrainConfig(
        preset="full",
        device="cuda",
        stage1_steps=3000,
        stage2_steps=40_000,
        preview_every=2500,
        checkpoint_every=2500,
        init=InitConfig(head_count=30_000, torso_count=12_000),
        pretrain=PretrainConfig(steps=3000),
        losses=LossConfig(lpips=0.2),
        density=DensityConfig(rounds=12, growth=0.06),
        on_device=DeviceConfig(precision="bfloat16"),
    ),
}
