"""What covers the face in a few frames is not believed, what is rare but the person's own is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gstalker.runtime.train.trust import PixelTrust, TrustConfig, matte_confidence

SIZE = 256


def after_many_frames(config: TrustConfig | None = None, steps: int = 150) -> tuple[PixelTrust, np.random.Generator]:
    """A trust that saw frames with an error of about 0.01 everywhere, as a trained avatar's."""
    trust, rng = PixelTrust(SIZE, config or TrustConfig(), steps, torch.device("cpu")), np.random.default_rng(0)
    for step in range(steps):
        trust.observe(step, usual_error(rng))
    return trust, rng


def usual_error(rng: np.random.Generator) -> torch.Tensor:
    return torch.from_numpy(np.abs(rng.normal(0, 0.012, (SIZE, SIZE)))).float()


def test_a_hand_before_the_face_is_replaced_by_the_rendering_with_a_margin_and_nothing_else_is():
    trust, rng = after_many_frames()
    rgb = torch.from_numpy(rng.uniform(0, 1, (SIZE, SIZE, 3))).float().requires_grad_()
    real = rgb.detach() + usual_error(rng)[..., None]
    real[100:160, 80:140] = (rgb.detach()[100:160, 80:140] + 0.3).clamp(max=2)
    alpha, matte = torch.zeros(SIZE, SIZE), torch.ones(SIZE, SIZE)
    believed, believed_matte, _ = trust.believed(149, rgb, alpha, real, matte)
    same = (believed == rgb).all(dim=2)
    assert bool(same[98:162, 78:142].all())
    assert bool((believed_matte[98:162, 78:142] == 0).all())
    far = torch.ones(SIZE, SIZE, dtype=torch.bool)
    far[60:200, 40:180] = False
    assert torch.equal(believed[far], real[far])
    (believed - rgb).abs().sum().backward()
    assert rgb.grad is not None
    assert bool((rgb.grad[100:160, 80:140] == 0).all()), "what is not believed must pull in no direction"
    assert bool((rgb.grad[far] != 0).all())


@pytest.mark.parametrize(
    ("rows", "columns", "error"),
    [(slice(100, 109), slice(80, 106), 0.30), (slice(150, 157), slice(110, 140), 0.35)],
    ids=["a closed lid", "a row of teeth"],
)
def test_lids_and_teeth_that_few_frames_show_are_believed(rows: slice, columns: slice, error: float):
    trust, rng = after_many_frames()
    rare = usual_error(rng)
    rare[rows, columns] = error
    assert trust.observe(149, rare) is None


def test_a_place_that_is_always_wrong_is_believed_so_that_it_can_be_learnt():
    trust, rng = after_many_frames()
    hard = usual_error(rng)
    hard[20:80, 20:80] = 0.25
    assert trust.observe(149, hard) is not None
    for _ in range(200):
        trust.observe(149, hard)
    assert trust.observe(149, hard) is None


def test_nothing_is_doubted_before_the_pictures_mean_anything_or_when_it_is_switched_off():
    trust, _ = after_many_frames()
    assert trust.observe(10, torch.ones(SIZE, SIZE)) is None
    off = PixelTrust(SIZE, TrustConfig(enabled=False), 100, torch.device("cpu"))
    real, matte = torch.ones(SIZE, SIZE, 3), torch.ones(SIZE, SIZE)
    assert off.believed(99, torch.zeros(SIZE, SIZE, 3), torch.zeros(SIZE, SIZE), real, matte)[0] is real


def test_a_picture_whose_size_is_no_multiple_of_the_blocks_is_covered_to_its_edge():
    trust = PixelTrust(70, TrustConfig(), 10, torch.device("cpu"))
    trust.observe(0, torch.full((70, 70), 0.01))
    covered = trust.observe(9, torch.full((70, 70), 0.5))
    assert covered is not None
    assert covered.shape == (70, 70)
    assert bool(covered.all())


def test_a_matte_with_a_hand_beside_the_head_lowers_a_frames_confidence():
    landmarks = np.zeros((5, 478, 2))
    landmarks[:, :, 0], landmarks[:, :, 1] = np.linspace(20, 44, 478), 60.0
    mattes = np.zeros((5, 64, 64), np.uint8)
    mattes[:, 10:50, 20:44] = 255
    mattes[3, 10:50, 4:60] = 255
    got = matte_confidence(landmarks, mattes, np.full(5, 0.8))
    assert got.tolist() == [1, 1, 1, 0, 1]
    nearer = np.array([0.8, 0.8, 0.8, 0.8, 0.8 * np.sqrt(24 / 56)])
    mattes[4] = mattes[3]
    assert matte_confidence(landmarks, mattes, nearer)[4] == 1, "a head that is nearer is larger"
