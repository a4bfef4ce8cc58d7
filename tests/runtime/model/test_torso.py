"""The torso's deltas: what they hear of, and what runs from before they heard of all that still do."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from gstalker.runtime.model.settings import config_from_json
from gstalker.runtime.model.torso import TorsoConfig, TorsoField


def made_field(*, hears_rigid: bool = True, hears_stretch: bool = True) -> TorsoField:
    torch.manual_seed(0)
    field = TorsoField(
        TorsoConfig(hears_rigid=hears_rigid, hears_stretch=hears_stretch),
        pose_mean=torch.zeros(6),
        pose_std=torch.full((6,), 0.1),
        rigid_std=torch.tensor([0.01, 0.01, 0.02]),
        picture_unit_m=0.15,
    )
    torch.nn.init.normal_(field.out.weight)
    return field


MEANS_M = 0.1 * torch.randn(7, 3, generator=torch.Generator().manual_seed(1))
POSE = 0.1 * torch.randn(6, generator=torch.Generator().manual_seed(2))
STRETCHES = 0.02 * torch.randn(40, 3, generator=torch.Generator().manual_seed(3))
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


def test_deltas_depend_on_how_the_torso_is_stretched():
    field = made_field()
    field.expect_stretch(STRETCHES)
    assert not torch.allclose(field(MEANS_M, POSE, PLACE, STRETCHES[0]), field(MEANS_M, POSE, PLACE, STRETCHES[1]))
    deaf = made_field(hears_stretch=False)
    assert torch.equal(deaf(MEANS_M, POSE, PLACE, STRETCHES[0]), deaf(MEANS_M, POSE, PLACE))
    assert not [name for name in deaf.state_dict() if "stretch" in name]


def test_where_nobody_says_how_it_is_stretched_its_own_stretch_counts():
    field = made_field()
    field.expect_stretch(STRETCHES)
    torch.testing.assert_close(field.own_stretch, STRETCHES.median(dim=0).values)
    torch.testing.assert_close(field(MEANS_M, POSE), field(MEANS_M, POSE, stretch=field.own_stretch))
    field.own_stretch.copy_(STRETCHES[3])
    torch.testing.assert_close(field(MEANS_M, POSE), field(MEANS_M, POSE, stretch=STRETCHES[3]))


def test_the_first_layer_that_a_bundle_keeps_has_the_avatar_s_own_stretch_in_it():
    field = made_field()
    field.expect_stretch(STRETCHES)
    field.own_stretch.copy_(STRETCHES[2])
    assert field.from_rigid is not None
    drive = field.from_pose(field.normalised_pose(POSE)) + field.from_rigid(field.rigid_motion(POSE) / field.rigid_std)
    hidden = (field.first_layer(MEANS_M) + drive).relu()
    deltas = field.out(field.hidden(hidden).relu()) * field.config.mean_scale * field.picture_unit_m
    torch.testing.assert_close(deltas, field(MEANS_M, POSE))


def test_a_fit_that_went_wrong_neither_widens_the_spread_nor_drives_further_than_three():
    field = made_field()
    wrong = torch.cat([STRETCHES, torch.full((3, 3), 0.24)])
    field.expect_stretch(wrong)
    assert float(field.stretch_spread.max()) < 2 * float(STRETCHES.std(dim=0).max())
    at_three = field.stretch_middle + 3 * field.stretch_spread
    torch.testing.assert_close(field.stretch_drive(torch.full((3,), 0.24)), field.stretch_drive(at_three))


def test_a_torso_that_nobody_saw_stretch_counts_in_what_tracking_can_tell():
    field = made_field()
    field.expect_stretch(torch.zeros(5, 3))
    torch.testing.assert_close(field.stretch_spread, torch.full((3,), 1e-3))
    assert torch.equal(field.stretch_drive(torch.zeros(3)), torch.zeros(field.config.hidden))


@pytest.mark.parametrize("left_out", [True, False])
def test_settings_from_before_there_was_a_choice_mean_the_head_alone(*, left_out: bool):
    fields = dataclasses.asdict(TorsoConfig())
    if left_out:
        del fields["hears_rigid"], fields["hears_stretch"]
    read = config_from_json(TorsoConfig, fields, "run")
    assert (read.hears_rigid, read.hears_stretch) == (not left_out, not left_out)
