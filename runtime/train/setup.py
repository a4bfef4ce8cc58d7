"""Before the first step: choose reference frames, gather statistics, lift the start, teach the audio encoder."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from gstalker.runtime import regions
from gstalker.runtime.dataset import Dataset
from gstalker.runtime.errors import InputError
from gstalker.runtime.model.audio_encoder import AudioEncoder
from gstalker.runtime.model.avatar import PICTURE_UNIT_PX, AvatarModel, AvatarSetup
from gstalker.runtime.train.config import TrainConfig
from gstalker.runtime.train.frames import FrameTracks, PictureStore
from gstalker.runtime.train.initialise import ReferenceView, canonical_from_views
from gstalker.runtime.train.more_views import diverse_frames
from gstalker.runtime.train.pace import one_torch_thread
from gstalker.runtime.train.pretrain_audio import PretrainReport, lip_targets, pretrain_audio

EXPRESSION_STD_FLOOR = 0.03  # a weight that hardly moves in the data must not be blown up
SEAT_WEIGHT = 0.01  # of a clip's mean error beside errors within clips; measured: docs/training.md
RIGID_STEPS = 400  # updates that regress the torso's rigid motion on head pose; takes a second


def reference_views(dataset: Dataset, names: list[str], tracks: FrameTracks, pictures: PictureStore) -> tuple[
    ReferenceView, ReferenceView
]:  # fmt: skip
    """The dataset's reference frame (mouth closed), and the trusted frame with the widest mouth.

    Raises:
        InputError: the reference clip is not in the training split.
    """
    m = dataset.manifest
    if m.reference_clip not in names:
        raise InputError(
            f"{dataset.folder}: expected the reference clip {m.reference_clip!r} in the training split. Prepare again."
        )
    at_reference = (tracks.clip_of_frame == names.index(m.reference_clip)) & (tracks.index_in_clip == m.reference_frame)
    opening = regions.lip_opening_px(tracks.landmarks_px)
    trusted = tracks.confidence >= np.median(tracks.confidence) * 0.8
    # Not the very widest: a blurred or mistracked frame would often be it.
    ranked = np.argsort(np.where(trusted, opening, -1))
    widest = ranked[-1 - len(ranked) // 400]
    return _view(tracks, pictures, int(np.flatnonzero(at_reference)[0])), _view(tracks, pictures, int(widest))


def further_views(
    dataset: Dataset, names: list[str], tracks: FrameTracks, pictures: PictureStore, count: int
) -> list[ReferenceView]:
    """Up to `count` trusted frames of other head poses than the reference frame's, each unlike those before it."""
    m = dataset.manifest
    at_reference = (tracks.clip_of_frame == names.index(m.reference_clip)) & (tracks.index_in_clip == m.reference_frame)
    trusted = tracks.confidence >= np.median(tracks.confidence) * 0.8
    first = int(np.flatnonzero(at_reference)[0])
    return [_view(tracks, pictures, f) for f in diverse_frames(tracks.head_pose, trusted, first, count)]


def _view(tracks: FrameTracks, pictures: PictureStore, frame: int) -> ReferenceView:
    clip = pictures.clip(int(tracks.clip_of_frame[frame]))
    index = int(tracks.index_in_clip[frame])
    return ReferenceView(
        rgb=clip.rgb[index],
        matte=clip.matte[index],
        landmarks_px=tracks.landmarks_px[frame],
        camera_from_head=tracks.camera_from_head[frame],
        camera_from_torso=tracks.camera_from_torso[frame],
    )


def avatar_setup(dataset: Dataset, tracks: FrameTracks, mover_bounds_m: Tensor) -> AvatarSetup:
    """Statistics of the tracked frames that scale the networks' inputs and outputs."""
    m = dataset.manifest
    depth_m = float(tracks.camera_from_head[:, 2, 3].mean())
    return AvatarSetup(
        expression_mean=torch.from_numpy(tracks.expression.mean(axis=0)),
        expression_std=torch.from_numpy(np.maximum(tracks.expression.std(axis=0), EXPRESSION_STD_FLOOR)),
        mover_bounds_m=mover_bounds_m,
        pose_mean=torch.from_numpy(tracks.head_pose.mean(axis=0)),
        pose_std=torch.from_numpy(np.maximum(tracks.head_pose.std(axis=0), 1e-3)),
        torso_rigid_std=torch.from_numpy(np.maximum(tracks.torso_rigid.std(axis=0), 1e-4)),
        picture_unit_m=torch.tensor([PICTURE_UNIT_PX * depth_m / m.focal_px]),
        torso_unit_m=torch.tensor([PICTURE_UNIT_PX * m.torso_depth_m / m.focal_px]),
    )


def start_avatar(
    config: TrainConfig,
    dataset: Dataset,
    names: list[str],
    tracks: FrameTracks,
    pictures: PictureStore,
    on_pretrain_step: Callable[[int, float], None],
) -> tuple[AvatarModel, PretrainReport]:
    """The avatar at step zero: lifted Gaussians, a pretrained audio encoder, a regressed torso.

    The pictures may still be decoding while the audio encoder learns, which therefore takes one core for itself:
    threads of torch that wait for one another spin on the cores that decoders need.
    """
    m = dataset.manifest
    torch.manual_seed(config.seed)
    encoder = AudioEncoder(config.avatar.audio)
    targets = lip_targets(tracks, dataset.landmarks_head_m, m.focal_px, m.size_px, config.pretrain)
    with one_torch_thread():
        report = pretrain_audio(encoder, tracks, targets, config.pretrain, config.seed, on_pretrain_step)
    pictures.wait()
    still, open_mouth = reference_views(dataset, names, tracks, pictures)
    further = further_views(dataset, names, tracks, pictures, config.init.views - 1)
    canonical, bounds_m = canonical_from_views(
        still, open_mouth, dataset.landmarks_head_m, m.focal_px, config.init, config.seed, further
    )
    canonical = canonical.with_looks(config.sittings.code_size)
    model = AvatarModel(config.avatar, avatar_setup(dataset, tracks, bounds_m), canonical, len(names))
    model.audio.load_state_dict(encoder.state_dict())
    model.sittings.scatter_codes(torch.Generator().manual_seed(config.seed + 3))
    model.torso.expect_stretch(torch.from_numpy(tracks.torso_stretch))
    fit_rigid_torso(model, tracks, offset_per_clip=config.sittings.torso_offset)
    return model, report


def fit_rigid_torso(model: AvatarModel, tracks: FrameTracks, *, offset_per_clip: bool) -> float:
    """Regress the torso's tracked rigid motion on head pose, in place.

    Where a person sits differs from clip to clip by far more than the torso moves within one, and a head's pose
    tells little of it: a plain regression takes a nod for another seat. With an offset for each clip, motion within
    clips is learnt. The offsets that fit best are the clips' mean errors, so they need no variables of their own;
    they are held to `SEAT_WEIGHT`, so that a head that moves far aside still takes the torso along.

    Returns:
        the mean squared error left, in units of the motion's own variance (1 = head pose tells nothing); with
        offsets, what is left beside them.
    """
    poses, motion = torch.from_numpy(tracks.head_pose), torch.from_numpy(tracks.torso_rigid)
    clips = torch.from_numpy(tracks.clip_of_frame)
    frames_of_clip = torch.bincount(clips).clamp(min=1).unsqueeze(1)
    optimizer = torch.optim.AdamW(model.torso.rigid.parameters(), lr=1e-2, weight_decay=1e-2)
    seat_weight = SEAT_WEIGHT if offset_per_clip else 1.0

    def errors() -> tuple[Tensor, Tensor]:
        error = (model.torso.rigid_motion(poses) - motion) / model.torso.rigid_std
        sums = error.new_zeros(len(frames_of_clip), 3).index_add(0, clips, error)
        seat = (sums / frames_of_clip)[clips]
        return error - seat, seat

    for _ in range(RIGID_STEPS):
        within, seat = errors()
        optimizer.zero_grad()
        (within.square().mean() + seat_weight * seat.square().mean()).backward()
        optimizer.step()
    with torch.no_grad():
        within, seat = errors()
        model.torso.shift_rigid(-seat.mean(dim=0) * model.torso.rigid_std)
        seat = torch.zeros_like(seat) if offset_per_clip else seat - seat.mean(dim=0)
        return float((within.square() + seat.square()).mean())
