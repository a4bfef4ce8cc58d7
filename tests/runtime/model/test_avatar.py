"""The model's parts: what they promise whatever they have learnt."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from gstalker.kernels.camera import rotation_from_quat_wxyz
from gstalker.kernels.differentiable import rasterize
from gstalker.runtime.model.audio_encoder import AudioEncoder, AudioEncoderConfig
from gstalker.runtime.model.avatar import AvatarConfig, AvatarModel, AvatarSetup, Motion, quat_turn_matrix
from gstalker.runtime.model.canonical import (
    KIND_HEAD_MOVER,
    KIND_HEAD_STATIC,
    KIND_TORSO,
    SH_BAND_0,
    CanonicalGaussians,
)

MOVERS, TORSO, STATIC = 30, 20, 10
COUNT = MOVERS + TORSO + STATIC
EXPRESSIONS = 9
SMOOTHED = AudioEncoderConfig(context_convolutions=3, smoothing_frames=8, smoothing_lookahead=3)


def canonical(seed: int = 0) -> CanonicalGaussians:
    rng = torch.Generator().manual_seed(seed)
    kinds = torch.tensor([KIND_HEAD_MOVER] * MOVERS + [KIND_TORSO] * TORSO + [KIND_HEAD_STATIC] * STATIC)
    values = {
        "means": 0.1 * torch.randn(COUNT, 3, generator=rng),
        "quats_wxyz": torch.randn(COUNT, 4, generator=rng),
        "log_scales": torch.full((COUNT, 3), -4.0) + 0.3 * torch.randn(COUNT, 3, generator=rng),
        "opacity_logits": torch.randn(COUNT, generator=rng),
        "sh_coeffs": torch.randn(COUNT, 1, 3, generator=rng),
    }
    return CanonicalGaussians(values, kinds, (-6.0, -3.0))


@pytest.fixture
def model() -> AvatarModel:
    torch.manual_seed(0)
    setup = AvatarSetup(
        expression_mean=torch.rand(EXPRESSIONS),
        expression_std=torch.rand(EXPRESSIONS) + 0.1,
        mover_bounds_m=torch.tensor([[-0.5, -0.5, -0.5], [0.5, 0.5, 0.5]]),
        pose_mean=torch.zeros(6),
        pose_std=torch.ones(6),
        torso_rigid_std=torch.ones(3),
        picture_unit_m=torch.tensor([0.15]),
        torso_unit_m=torch.tensor([0.15]),
    )
    return AvatarModel(AvatarConfig(), setup, canonical())


def poses() -> tuple[Tensor, Tensor]:
    head, torso = torch.eye(4), torch.eye(4)
    head[:3, 3], torso[:3, 3] = torch.tensor([0.0, 0.0, 1.0]), torch.tensor([0.0, 0.1, 1.1])
    return head, torso


def test_an_untrained_field_leaves_the_canonical_face_as_it_is(model: AvatarModel):
    motion = model.motion(torch.randn(32), torch.rand(EXPRESSIONS), torch.randn(6))
    assert motion.head is not None
    assert motion.torso is not None
    assert not motion.head.any()
    assert not motion.torso.any()


@pytest.mark.parametrize(("output", "column"), [("position", 0), ("rotation", 4), ("scale", 7), ("opacity", 10)])
def test_every_output_of_the_field_changes_the_picture(model: AvatarModel, output: str, column: int):
    def draw(deltas: Tensor) -> Tensor:
        posed = model.posed(*poses(), Motion(deltas, torch.zeros(TORSO, 3)))
        K = torch.tensor([[80.0, 0, 24], [0, 80, 24], [0, 0, 1]])
        black = torch.zeros(3)
        return rasterize(*posed, viewmat=torch.eye(4), K=K, width_px=48, height_px=48, background=black)[0]

    still = torch.zeros(MOVERS, 11)
    moved = still.clone()
    moved[:, column] = 0.5 if column else 0.02
    change = float((draw(moved) - draw(still)).detach().abs().max())
    assert change > 1 / 255, f"a delta of {output} changed no pixel by a grey level: {change:.4f}"


def test_the_baked_first_layer_gives_the_same_deltas(model: AvatarModel):
    torch.nn.init.normal_(model.deformation.out.weight)
    means = model.canonical.means.detach()[model.canonical.head_movers]
    code, expression = torch.randn(32), torch.rand(EXPRESSIONS)
    whole = model.deformation(means, code, expression)
    baked = model.deformation.from_baked(*model.deformation.spatial(means), code, expression)
    assert torch.equal(whole, baked)


@pytest.mark.parametrize(("switch", "gates"), [("expression", [None, 0]), ("region_attention", [1, 1])])
def test_parts_of_the_field_can_be_left_out(model: AvatarModel, switch: str, gates: list[float | None]):
    field = model.deformation
    torch.nn.init.normal_(field.out.weight)
    field.config = dataclasses.replace(field.config, **{switch: False})
    means = model.canonical.means.detach()[model.canonical.head_movers]
    found = field.spatial(means)[1]
    for column, wanted in enumerate(gates):
        assert (found[:, column] == wanted).all() if wanted is not None else found[:, column].std() > 0
    codes, faces = torch.randn(2, 32), torch.rand(2, EXPRESSIONS)
    still = field(means, codes[0], faces[0])
    assert not torch.equal(field(means, codes[1], faces[0]), still)
    assert torch.equal(field(means, codes[0], faces[1]), still) == (switch == "expression")


def test_rows_that_are_not_sorted_by_kind_are_refused():
    good = canonical()
    values = {name: getattr(good, name).detach() for name in good.PARAMETERS}
    with pytest.raises(ValueError, match="rows must be sorted by kind"):
        CanonicalGaussians(values, good.kinds.flip(0), (-6.0, -3.0))
    with pytest.raises(ValueError, match="expected 60 rows, got 59"):
        CanonicalGaussians({**values, "means": values["means"][1:]}, good.kinds, (-6.0, -3.0))


def test_bounds_keep_scales_and_colours_drawable():
    splats = canonical()
    with torch.no_grad():
        splats.log_scales[3] = 5.0
        splats.sh_coeffs[4] = -90.0
    splats.enforce_bounds()
    assert float(splats.log_scales.detach().max()) == -3.0
    assert float(splats.colors().detach().min()) >= -1e-6
    assert float(splats.colors().detach().max()) <= 1 + 1e-6
    assert float(splats.sh_coeffs.detach().abs().max()) <= 0.5 / SH_BAND_0 + 1e-6


def test_turning_a_quaternion_is_turning_its_rotation():
    rng = np.random.default_rng(0)
    for _ in range(20):
        first, second = rng.normal(size=(2, 4))
        turn = rotation_from_quat_wxyz(first)
        turned = quat_turn_matrix(torch.from_numpy(turn)).numpy() @ second
        # float64 throughout; an order or sign mistake errs by about 1
        np.testing.assert_allclose(rotation_from_quat_wxyz(turned), turn @ rotation_from_quat_wxyz(second), atol=1e-9)


@pytest.mark.parametrize("config", [AudioEncoderConfig(), SMOOTHED], ids=["plain", "smoothed"])
def test_a_window_gives_the_same_code_as_the_whole_clip(config: AudioEncoderConfig):
    torch.manual_seed(0)
    encoder = AudioEncoder(config).double()
    frames = 6
    mel = torch.randn(config.window_mel_frames + 4 * (frames - 1), config.mel_bands, dtype=torch.float64)
    whole = encoder(mel[None])[0]
    alone = torch.stack([encoder(mel[4 * t : 4 * t + config.window_mel_frames][None])[0, 0] for t in range(frames)])
    assert whole.shape == (frames, config.code_size)
    torch.testing.assert_close(whole, alone, rtol=0, atol=1e-12)  # float64 rounding of sums of some hundred terms


@pytest.mark.parametrize("config", [AudioEncoderConfig(), SMOOTHED], ids=["plain", "smoothed"])
def test_a_code_hears_exactly_its_window(config: AudioEncoderConfig):
    """The stated look-ahead and look-back are what the network really uses, no more and no less."""
    torch.manual_seed(0)
    encoder = AudioEncoder(config).double()
    mel = torch.randn(1, config.window_mel_frames, config.mel_bands, dtype=torch.float64, requires_grad=True)
    encoder(mel).sum().backward()
    assert mel.grad is not None
    heard = mel.grad[0].abs().sum(dim=1) > 0
    assert bool(heard.all()), f"mel frames {torch.nonzero(~heard).flatten().tolist()} of the window are never used"
    assert config.left_mel_frames + config.right_mel_frames == config.window_mel_frames
