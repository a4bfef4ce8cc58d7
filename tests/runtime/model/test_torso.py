"""The torso's deltas: what they hear of, and what runs from before they heard of the rigid motion still do."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from gstalker.runtime.model.settings import config_from_json
from gstalker.runtime.model.torso import TorsoConfig, TorsoField


def made_field(*, hears_rigid: bool = True) -> TorsoField:
    torch.manual_seed(0)
    field = TorsoField(
        TorsoConfig(hears_rigid=hears_rigid), pose_mean=torch.zeros(6), pose_std=torch.full((6,), 0.1),
        rigid_std=torch.tensor([0.01, 0.01, 0.02]), picture_unit_m=0.15,
    )  # fmt: skip
    torch.nn.init.normal_(field.out.weight)
    return field


MEANS_M = 0.1 * torch.randn(7, 3, generator=torch.Generator().manual_seed(1))
POSE = 0.1 * torch.randn(6, generator=torch.Generator().manual_seed(2))
PLACE = torch.tensor([0.02, -0.01, 0.03])


def test_deltas_depend_on_where_the_torso_is():
    field = made_field()
    assert not torch.allclose(field(MEANS_M, POSE, PLACE), field(MEANS_M, POSE, -PLACE))


def test_where_nobody_says_where_the_torso_is_the_regressed_motion_counts():
    field = made_field()
    torch.testing.assert_close(field(MEANS_M, POSE), field(MEANS_M, POSE, field.rigid_motion(POSE)))
    before = field(MEANS_M, POSE)
    field.shift_rigid(PLACE)  # another seat, as export chooses one
    assert not torch.allclose(field(MEANS_M, POSE), before)


def test_pictures_do_not_teach_the_regressed_motion():
    """It is regressed on tracked motion alone: a picture that it could please by moving would undo that."""
    field = made_field()
    field(MEANS_M, POSE).sum().backward()
    assert all(p.grad is None for p in field.rigid.parameters())
    assert field.from_rigid is not None
    assert field.from_rigid.weight.grad is not None


def test_a_field_that_hears_of_the_head_alone_does_not_care():
    field = made_field(hears_rigid=False)
    assert torch.equal(field(MEANS_M, POSE, PLACE), field(MEANS_M, POSE))
    assert "from_rigid.weight" not in field.state_dict()


@pytest.mark.parametrize("left_out", [True, False])
def test_settings_from_before_there_was_a_choice_mean_the_head_alone(*, left_out: bool):
    fields = dataclasses.asdict(TorsoConfig())
    if left_out:
        del fields["hears_rigid"]
    assert config_from_json(TorsoConfig, fields, "run").hears_rigid is not left_out
