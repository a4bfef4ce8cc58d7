"""The method with one part of it taken out or put back to what is usual: one change of the settings each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gstalker.runtime.train.config import RateConfig, TrainConfig

NOTHING = 1e-9  # a scale that leaves an output in place and without effect


@dataclass(frozen=True)
class Variant:
    """One row of the table.

    Attributes:
        without: what is missing, for people.
        change: settings with everything -> settings without it.
    """

    without: str
    change: Callable[[TrainConfig], TrainConfig]


def settings(**changes: Any) -> Callable[[TrainConfig], TrainConfig]:
    """A change of single settings; those of a nested dataclass as a mapping: losses={"mouth": 1.0}."""
    return lambda config: changed(config, changes)


def changed(config: Any, changes: Mapping[str, Any]) -> Any:
    """A frozen dataclass with other values.

    Raises:
        TypeError: it has no such field.
    """
    values = {
        name: changed(getattr(config, name), value) if isinstance(value, Mapping) else value
        for name, value in changes.items()
    }
    return dataclasses.replace(config, **values)


def _one_stage(config: TrainConfig) -> TrainConfig:
    return dataclasses.replace(config, stage1_steps=1, stage2_steps=config.steps - 1)


def _coarsest(config: TrainConfig) -> TrainConfig:
    base = config.avatar.deformation.base_resolution
    return changed(config, {"avatar": {"deformation": {"levels": 1, "finest_resolution": base}}})


def _alike(config: TrainConfig) -> TrainConfig:
    return changed(config, {"blink_share": 0.0, "open_mouth_share": 0.0})


VARIANTS: dict[str, Variant] = {
    "whole": Variant("nothing", settings()),
    # Sound.
    # The encoder then learns as fast as the other networks: the preset's rate is for one that has had its lesson.
    "lesson": Variant(
        "the lips taught to the encoder before any picture",
        settings(pretrain={"steps": 1, "learning_rate": 0.0}, rates={"audio": RateConfig.networks}),
    ),
    "smoothing": Variant(
        "two of the convolutions over sound, for temporal smoothing over eight frames instead",
        settings(avatar={"audio": {"context_convolutions": 3, "smoothing_frames": 8, "smoothing_lookahead": 3}}),
    ),
    # The field.
    "resolutions": Variant("all but the coarsest of the tri-plane's resolutions", _coarsest),
    "attention": Variant("region attention", settings(avatar={"deformation": {"region_attention": False}})),
    "expression": Variant("eyes and brows as an input", settings(avatar={"deformation": {"expression": False}})),
    "shape": Variant(
        "deltas of rotation and scale",
        settings(avatar={"deformation": {"quat_scale": NOTHING, "log_scale_scale": NOTHING}}),
    ),
    "opacity": Variant("deltas of opacity", settings(avatar={"deformation": {"opacity_scale": NOTHING}})),
    "torso": Variant("small deltas of the torso", settings(avatar={"torso": {"mean_scale": NOTHING}})),
    "rigid": Variant("the torso's rigid motion as their input", settings(avatar={"torso": {"hears_rigid": False}})),
    "stretch": Variant("the torso's stretch as their input", settings(avatar={"torso": {"hears_stretch": False}})),
    # Training.
    "stages": Variant("the coarse static stage, its steps given to the second", _one_stage),
    "density": Variant("density control", settings(density={"rounds": 0})),
    "motion": Variant("the weight of motion in density control", settings(density={"motion_boost": 0.0})),
    "regions": Variant("the weights of mouth and eyes in the loss", settings(losses={"mouth": 1.0, "eyes": 1.0})),
    "dssim": Variant("D-SSIM", settings(losses={"dssim": 0.0})),
    "matte": Variant("the loss on the matte", settings(losses={"matte": 0.0})),
    "views": Variant("the start from several poses", settings(init={"views": 1})),
    "poses": Variant("more steps for poses that are rare", settings(pose_share=0.0)),
    "trust": Variant("doubts about pixels", settings(trust={"enabled": False})),
    "rare": Variant("more steps for closing eyes and wide mouths", _alike),
}
