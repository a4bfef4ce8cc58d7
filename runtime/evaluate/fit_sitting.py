"""How much of an unseen clip's error is its sitting: the numbers that training clips have, fitted on one frame of it.

A column of its own and named so, because the frame is taken from the clip that is measured.
"""

from __future__ import annotations

import torch

from gstalker.runtime.dataset import Clip
from gstalker.runtime.model.avatar import AvatarModel
from gstalker.runtime.model.clip_renderer import ClipRenderer, trusted_frame
from gstalker.runtime.model.sittings import Sitting, SittingConfig

STEPS = 60
RATE = 0.15  # in the sittings' units, about 1 px; falls to zero


def fit_sitting(renderer: ClipRenderer, model: AvatarModel, clip: Clip, config: SittingConfig) -> Sitting:
    """Fit a clip's offsets and appearance code to its first trusted frame; the model stays as it is.

    Args:
        renderer: of the model.
        clip: gives the frame, and what drives the model in it.
        config: what the run models; nothing else is fitted.
    """
    frame = trusted_frame(clip.tracks)
    real = torch.tensor(clip.rgb[frame], device=renderer.device).float() / 255.0
    sizes = (6, 3) if config.pose_refinement else (0, 0)
    numbers = [torch.zeros(n, device=renderer.device, requires_grad=True) for n in (*sizes, config.code_size)]
    fitted = [n for n in numbers if n.numel()]

    def sitting() -> Sitting:
        head, torso, code = (n if n.numel() else None for n in numbers)
        return model.sittings.natural(head, torso, code)

    if not fitted:
        return sitting()
    optimizer = torch.optim.Adam(fitted, lr=RATE)
    with torch.no_grad():
        driven = renderer.drive(clip)
    with torch.enable_grad():
        for step in range(STEPS):
            optimizer.param_groups[0]["lr"] = RATE * (1 - step / STEPS)
            loss = (renderer.draw(driven, frame, sitting()) - real).abs().mean()
            for number, gradient in zip(fitted, torch.autograd.grad(loss, fitted), strict=True):
                number.grad = gradient
            optimizer.step()
    with torch.no_grad():
        return sitting()
