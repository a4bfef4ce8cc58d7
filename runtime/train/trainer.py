"""A run in memory, and one step of it: render a frame, compare, update, now and then add Gaussians."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gstalker.kernels.camera import intrinsics
from gstalker.kernels.differentiable import rasterize
from gstalker.kernels.triplane import Lookup
from gstalker.runtime.dataset import Dataset
from gstalker.runtime.evaluate.lpips import Lpips
from gstalker.runtime.model.avatar import STILL, Anchors, AvatarModel, Motion, PosedGaussians
from gstalker.runtime.train import checkpoint, density, frames
from gstalker.runtime.train.config import TrainConfig
from gstalker.runtime.train.device import chosen_triplane, fields_precision, training_device
from gstalker.runtime.train.losses import FrameLoss, frame_loss, mean_loss, pixel_weights, random_patch
from gstalker.runtime.train.optimizer import NamedAdam, NonFiniteGradient
from gstalker.runtime.train.pace import OneFrameACore, Window, face_windows, looks_at_face
from gstalker.runtime.train.sampler import FrameSampler
from gstalker.runtime.train.spatial_once import SpatialOnce, lookups_of
from gstalker.runtime.train.trust import PixelTrust, weighed_by_matte
from gstalker.runtime.train.vary_speech import other_voices

ANCHOR_STEPS = 25  # the fields are evaluated at positions at most this many steps old
MAX_BAD_STEPS = 20  # non-finite gradients in a row after which training gives up
READ_EVERY = 25  # steps between two looks at whether a GPU's gradients were finite


@dataclass
class Seen:
    """What a frame leaves for sums over frames; they are added up in the frames' order, whoever drew them first."""

    window: Window | None = None  # the part of the picture that was looked at; None is all of it
    screen_gradients: Tensor | None = None  # (N,)
    moved_m: Tensor | None = None  # (head movers,) how far the field moved each
    errors: Tensor | None = None  # of the picture's blocks, for `PixelTrust.learn`


class Trainer:
    """A run in memory: everything that a checkpoint holds, and the data."""

    def __init__(
        self, config: TrainConfig, dataset: Dataset, run: Path, model: AvatarModel, tracks: frames.FrameTracks,
        pictures: frames.PictureStore, perceptual: Lpips | None = None,
    ) -> None:  # fmt: skip
        self.config = config
        self.run = run
        self.device = training_device(config.device)
        model.deformation.grid = chosen_triplane(model.deformation.grid, config.on_device)
        self.model = model.to(self.device)
        self.tracks = tracks = weighed_by_matte(tracks, pictures)
        self.tables = frames.tables_on(tracks, self.device)
        self.pictures = pictures
        self.kept_where = pictures.settle(self.device)
        m = dataset.manifest
        self.size_px = m.size_px
        self.trust = PixelTrust(m.size_px, config.trust, config.steps, self.device)
        self.K = torch.from_numpy(intrinsics(m.focal_px, m.size_px, m.size_px)).float().to(self.device)
        self.optimizer = NamedAdam(model, config)
        self.sampler = FrameSampler(tracks, config)
        self.generator = torch.Generator().manual_seed(config.seed + 1)
        self.stats = self._no_stats()
        self.growth_steps = growth_steps(config)
        self.mouth_boxes = frames.mouth_boxes(tracks, self.size_px)
        self.eye_boxes = frames.eye_box_pairs(tracks, self.size_px)
        self.face_windows = face_windows(tracks.landmarks_px, self.size_px)
        at_once = self.device.type == "cpu" and config.pace.frames_at_once and perceptual is None
        self.cores = OneFrameACore(config.batch_frames if at_once else 1)
        self.step = 0
        self.bad_steps = 0
        self.skipped: list[tuple[int, str]] = []  # steps left out, with the parameter whose gradient was not finite
        self.anchors = model.anchors()
        self.perceptual = perceptual.to(self.device) if perceptual else None
        self.perceptual_from = config.steps - round(config.losses.lpips_share * config.stage2_steps)
        self._viewmat = torch.eye(4, device=self.device)
        self._found: tuple[Tensor, list[Lookup]] | None = None

    def _no_stats(self) -> density.DensityStats:
        return density.DensityStats.zeros(len(self.model.canonical), self.device)

    def motion_of(self, frame: int, spatial: tuple[Tensor, Tensor] | None = None, *, face: bool = False) -> Motion:
        """The field's deltas for a training frame; the torso's are not learnt from a face alone."""
        # Copies lie where torch's own memory does: the last bit of a matrix product depends on the alignment, and with
        # it whether a resumed run ends at the same bits.
        tables = self.tables
        mel, expression, head_pose, rigid, stretch = (
            table[frame].clone()
            for table in (
                tables.mel_windows, tables.expression, tables.head_pose, tables.torso_rigid, tables.torso_stretch
            )
        )  # fmt: skip
        code = self.model.audio(self.heard(frame, mel)[None])[0, 0]
        with fields_precision(self.device, self.config.on_device):
            motion = self.model.motion(
                code, expression, head_pose, self.anchors, spatial, rigid, stretch, learn_torso=not face
            )
        return Motion(*(None if deltas is None else deltas.float() for deltas in motion))

    def heard(self, frame: int, mel: Tensor) -> Tensor:
        """A frame's window of sound (W, bands), in a share of all cases as another voice would say it.

        Else pictures, which know one voice alone, would take back what the lesson taught of others.
        """
        if self.config.voices_share == 0:
            return mel
        # From step and frame: the same however frames are dealt among cores, and after resuming.
        seed = (self.config.seed * 1_000_003 + self.step) * 1_000_003 + frame
        voice = torch.Generator().manual_seed(seed % 2**63)
        return other_voices(mel[None], self.config.voices_share, self.config.pretrain.voice, voice)[0]

    @property
    def in_stage_2(self) -> bool:
        """Whether the fields learn by now."""
        return self.step >= self.config.stage1_steps

    def posed_at(
        self, frame: int, spatial: tuple[Tensor, Tensor] | None = None, *, face: bool = False
    ) -> tuple[PosedGaussians, Motion]:
        """The Gaussians of a training frame before its camera, and how the fields moved them."""
        motion = self.motion_of(frame, spatial, face=face) if self.in_stage_2 else STILL
        return self.posed_by(frame, motion), motion

    def posed_by(self, frame: int, motion: Motion) -> PosedGaussians:
        """The Gaussians of a training frame before its camera, moved so."""
        poses = self.tables.camera_from_head[frame], self.tables.camera_from_torso[frame]
        if not self.in_stage_2:
            return self.model.posed(*poses)
        return self.model.posed(*poses, motion, self.model.sittings.of(self._place(frame)[0], self.config.sittings))

    def frame_loss(
        self, frame: int, window: Window | None = None, spatial: tuple[Tensor, Tensor] | None = None
    ) -> tuple[FrameLoss, Seen]:
        """Render a training frame, or a part of it, and compare it with the real one."""
        posed, motion = self.posed_at(frame, spatial, face=window is not None)
        drawn, picture, seen = self.drawn(frame, posed, window)
        return self.compared(frame, motion, drawn, picture, seen), seen

    def drawn(
        self, frame: int, posed: PosedGaussians, window: Window | None
    ) -> tuple[tuple[Tensor, Tensor], frames.Picture, Seen]:
        """The rendering of a frame or a part of it (colours, alpha), the real one, and where to note what is seen."""
        picture = self.pictures.picture(*self._place(frame), self.device)
        seen = Seen(window)
        if window is None:
            seen.screen_gradients = torch.zeros_like(self.stats.screen_gradients)
        else:
            picture = frames.Picture(*(window.of(pixels) for pixels in picture))
        return self._draw(posed, picture.plate, seen.screen_gradients, window), picture, seen

    def batch_loss(self, chosen: list[int]) -> FrameLoss:
        """The mean of several frames' losses, drawn in one call, which keeps a GPU busier than one after the other."""
        posed, motions = zip(*(self.posed_at(frame) for frame in chosen), strict=True)
        real = [self.pictures.picture(*self._place(frame), self.device) for frame in chosen]
        together = PosedGaussians(*(torch.stack(values) for values in zip(*posed, strict=True)))
        drawn = self._draw(together, torch.stack([r.plate for r in real]), self.stats.screen_gradients)
        each = list(zip(chosen, motions, zip(*drawn, strict=True), real, [Seen() for _ in chosen], strict=True))
        losses = [self.compared(*frame) for frame in each]
        for *_, seen in each:
            self._add_up(seen)
        return mean_loss(losses)

    def _backward_at_once(self, chosen: list[int]) -> FrameLoss:
        """The mean gradient of frames that are drawn a core each; the same sum in the same order on any machine."""
        stage2_step = self.step - self.config.stage1_steps
        perceptual = self.perceptual is not None and self.step >= self.perceptual_from
        face = stage2_step >= 0 and not perceptual and looks_at_face(stage2_step, self.config.pace)
        field, parameters = self.model.deformation, self.optimizer.parameters()
        once = SpatialOnce(field, self._lookups(), self.cores) if stage2_step >= 0 and len(chosen) > 1 else None
        shared = once.values if once else ()

        def gradients_of(frame: int) -> tuple[FrameLoss, Seen, tuple[Tensor | None, ...]]:
            window = self.face_windows[frame] if face else None
            loss, seen = self.frame_loss(frame, window, once.values if once else None)
            wanted = [*parameters, *shared]
            return loss, seen, torch.autograd.grad(loss.total / len(chosen), wanted, allow_unused=True)

        losses, all_seen, gradients = zip(*self.cores.map(gradients_of, chosen), strict=True)
        for seen in all_seen:
            self._add_up(seen)
        sums = [sum_of_known(column) for column in zip(*gradients, strict=True)]
        for parameter, gradient in zip(parameters, sums[: len(parameters)], strict=True):
            parameter.grad = gradient
        if once:
            by_first, by_gates = sums[len(parameters) :]
            assert by_first is not None  # every frame is drawn with both
            assert by_gates is not None
            once.add_gradients(by_first, by_gates)
        return mean_loss([dataclasses.replace(loss, total=loss.total.detach()) for loss in losses])

    def _lookups(self) -> list[Lookup]:
        """Where the anchors lie in the grid, found once for many steps."""
        if self._found is None or self._found[0] is not self.anchors.head:
            self._found = self.anchors.head, lookups_of(self.model.deformation, self.anchors.head)
        return self._found[1]

    def _add_up(self, seen: Seen) -> None:
        if seen.errors is not None:
            self.trust.learn(seen.errors, seen.window)
        if seen.window is not None:  # density control counts by whole pictures
            return
        if seen.screen_gradients is not None:
            self.stats.screen_gradients += seen.screen_gradients
        if seen.moved_m is not None:
            self.stats.motion[self.model.canonical.head_movers] += seen.moved_m
        self.stats.frames += 1

    def _place(self, frame: int) -> tuple[int, int]:
        return int(self.tracks.clip_of_frame[frame]), int(self.tracks.index_in_clip[frame])

    def _draw(
        self, posed: PosedGaussians, background: Tensor, screen_gradients: Tensor | None, window: Window | None = None
    ) -> tuple[Tensor, Tensor]:
        window = window or Window(0, 0, self.size_px, self.size_px)
        return rasterize(
            *posed, viewmat=self._viewmat, K=window.camera(self.K), width_px=window.width, height_px=window.height,
            background=background, backend=self.device.type, screen_gradients=screen_gradients,
            check_values=False,  # what is not finite shows in the gradients
        )  # fmt: skip

    def compared(
        self, frame: int, motion: Motion, drawn: tuple[Tensor, Tensor], picture: frames.Picture, seen: Seen
    ) -> FrameLoss:
        (rgb, alpha), (real, matte, _) = drawn, picture
        real, matte, seen.errors = self.trust.believed(self.step, rgb, alpha, real, matte, seen.window)
        weights = pixel_weights(
            self.size_px, self.mouth_boxes[frame], self.eye_boxes[frame], float(self.tracks.confidence[frame]),
            self.config.losses, self.device,
        )  # fmt: skip
        outputs = None
        if motion.head is not None:
            outputs = motion.head / self.model.deformation.output_scale
            seen.moved_m = motion.head.detach()[:, :3].norm(dim=1)
        share = 1.0
        if seen.window is not None:
            weights, share = seen.window.of(weights), seen.window.share_of(self.size_px)
        loss = frame_loss(rgb, alpha, real, matte, weights, outputs, self.config.losses, share)
        clip, index = self._place(frame)
        if self.in_stage_2 and (prior := self.model.sittings.prior(clip, self.config.sittings)) is not None:
            loss = dataclasses.replace(loss, total=loss.total + prior)
        if self.perceptual is not None and self.step >= self.perceptual_from:
            on_host = self.pictures.host_matte(clip, index)  # its size decides a shape: no wait for the device
            rows, columns = random_patch(on_host, self.config.losses.lpips_patch_px, self.generator)
            distance = self.perceptual(rgb[rows, columns], real[rows, columns])
            loss = dataclasses.replace(loss, total=loss.total + self.config.losses.lpips * distance.mean())
        return loss

    def train_step(self) -> FrameLoss:
        """One update.

        Raises:
            NonFiniteGradient: the gradients were not finite for MAX_BAD_STEPS steps in a row.
        """
        if self.step % ANCHOR_STEPS == 0:
            self.anchors = self.model.anchors()
        chosen = [self.sampler.next() for _ in range(self.config.batch_frames)]
        with self.cores.step():
            if self.device.type == "cuda" and len(chosen) > 1:
                loss = self.batch_loss(chosen)
                loss.total.backward()
            else:
                loss = self._backward_at_once(chosen)
            self.optimizer.step(self.step)
            self.model.canonical.enforce_bounds()
            self.model.sittings.hold_mean()
        self.step += 1
        grows = self.step in self.growth_steps
        if self.device.type == "cpu" or self.step % READ_EVERY == 0 or grows:
            self._read_verdicts()
        if grows:
            self._grow()
        return loss

    def _read_verdicts(self) -> None:
        """Learn which of the last steps were left out; on a GPU this waits for it.

        Raises:
            NonFiniteGradient: too many in a row.
        """
        for step, bad in self.optimizer.verdicts():
            self.bad_steps = self.bad_steps + 1 if bad else 0
            if bad is None:
                continue
            self.skipped.append((step + 1, bad))
            self.stats = self._no_stats()
            if self.bad_steps >= MAX_BAD_STEPS:
                raise NonFiniteGradient(
                    f"step {step}: the gradient of {bad} was not finite for {MAX_BAD_STEPS} steps in a row. "
                    "The last checkpoint is sound; lower the learning rates, or check the dataset's contact sheet."
                )

    def _grow(self) -> None:
        plan = density.plan_growth(self.stats, self.model.canonical, self.config.density)
        values, kinds, origin = density.grow(self.model.canonical, plan, self.generator)
        self.model.canonical.replace_rows(values, kinds)
        self.optimizer.remap_canonical(origin)
        self.stats = self._no_stats()
        self.anchors = self.model.anchors()

    def save(self) -> Path:
        """Write a checkpoint from which training goes on exactly as if it had not stopped."""
        self._read_verdicts()
        extra = {f"adam/{n}": t for n, t in self.optimizer.state_tensors().items()}
        extra["random/growth"] = self.generator.get_state()
        extra["random/sampler"] = self.sampler.generator.get_state()
        extra["anchors/head"], extra["anchors/torso"] = self.anchors
        extra["stats/screen_gradients"] = self.stats.screen_gradients
        extra["stats/motion"] = self.stats.motion
        extra["trust/usual"] = self.trust.usual
        extra["stats/frames"] = torch.tensor([self.stats.frames])
        return checkpoint.save_checkpoint(self.run, self.step, self.model, extra)

    def restore(self, step: int, tensors: dict[str, Tensor]) -> None:
        """Take back what `save` wrote; the model itself was rebuilt from the same tensors."""
        self.step = step
        moments = {n.removeprefix("adam/"): t for n, t in tensors.items() if n.startswith("adam/")}
        self.optimizer.load_state_tensors(moments)
        self.generator.set_state(tensors["random/growth"])
        self.sampler.generator.set_state(tensors["random/sampler"])
        self.anchors = Anchors(tensors["anchors/head"].to(self.device), tensors["anchors/torso"].to(self.device))
        self.trust.usual = tensors.get("trust/usual", self.trust.usual).to(self.device)
        self.stats = density.DensityStats(
            tensors["stats/screen_gradients"].to(self.device),
            tensors["stats/motion"].to(self.device),
            int(tensors["stats/frames"]),
        )


def sum_of_known(gradients: Sequence[Tensor | None]) -> Tensor | None:
    """The sum of those that are not None, in their order; None if all are."""
    known = [g for g in gradients if g is not None]
    return sum(known[1:], known[0]) if known else None


def growth_steps(config: TrainConfig) -> frozenset[int]:
    """The steps after which Gaussians are added."""
    d = config.density
    if d.rounds == 0:
        return frozenset()
    shares = np.linspace(d.start_share, d.end_share, d.rounds)
    return frozenset((shares * config.steps).astype(int).tolist())
