from __future__ import annotations

import cv2
import numpy as np
import pytest
from helpers.portrait_video import backdrop, face_points

from gstalker.runtime.prepare.chroma import border_mask, is_plain, key_take, measure_backdrop
from gstalker.runtime.prepare.polynomial import fit_plate, polynomial_plate

SIZE_PX = 128
LANDMARKS = face_points((64.0, 56.0), (22.0, 29.0))
TUFTS = {50: 11, 64: 8, 78: 11}  # x: y of the tip; the hair itself begins at 15, 12 and 15
HAIR, SKIN, DENIM = (45, 38, 30), (224, 172, 105), (96, 118, 150)


def person(alpha: bool = False) -> np.ndarray:
    """(S, S, 3) the person's colours, or (S, S) float how much of each pixel is person: drawn 8 times larger."""
    scale = 8
    shape = (SIZE_PX * scale, SIZE_PX * scale)
    colours = np.zeros((*shape, 3), np.uint8)
    mask = np.zeros(shape, np.uint8)

    def ellipse(centre: tuple[int, int], axes: tuple[int, int], colour: tuple[int, int, int]) -> None:
        at, size = tuple(v * scale for v in centre), tuple(v * scale for v in axes)
        cv2.ellipse(colours, at, size, 0, 0, 360, colour, -1)
        cv2.ellipse(mask, at, size, 0, 0, 360, 255, -1)

    ellipse((64, 130), (56, 38), DENIM)
    ellipse((64, 46), (27, 34), HAIR)
    for x, top in TUFTS.items():  # tufts of hair, two pixels wide, that stand off by four
        cv2.line(colours, (x * scale, top * scale), (x * scale, 20 * scale), HAIR, 2 * scale)
        cv2.line(mask, (x * scale, top * scale), (x * scale, 20 * scale), 255, 2 * scale)
    ellipse((64, 56), (22, 29), SKIN)
    small = (SIZE_PX, SIZE_PX)
    share = cv2.resize(mask, small, interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0
    if alpha:
        return share
    mean = cv2.resize(colours.astype(np.float32), small, interpolation=cv2.INTER_AREA)
    return mean / np.maximum(share, 1e-3)[..., None]


def take(kind: str, frames: int = 6, noise: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (T, S, S, 3) of the person before a backdrop, and the backdrop."""
    behind = backdrop(kind, SIZE_PX, SIZE_PX).astype(np.float32)
    share = person(alpha=True)[..., None]
    picture = share * person() + (1 - share) * behind
    rng = np.random.default_rng(seed=3)
    noisy = picture + rng.normal(0, noise, (frames, *picture.shape))
    return np.clip(np.round(noisy), 0, 255).astype(np.uint8), behind


def landmarks(frames: int) -> np.ndarray:
    return np.repeat(LANDMARKS[None], frames, axis=0)


@pytest.mark.parametrize("kind", ["blue", "red"])
def test_the_matte_is_the_share_of_person_in_each_pixel(kind: str):
    pictures, behind = take(kind)
    mattes, plate, psnr_db = key_take(pictures, landmarks(len(pictures)))
    share = person(alpha=True)
    error = np.abs(mattes / 255.0 - share)
    # Exact inside and outside; in the seam the mean error was measured as .046 (blue) and .053 (red).
    solid = cv2.erode((share == 1).astype(np.uint8), np.ones((5, 5), np.uint8)) == 1
    assert error[:, solid].max() == 0, "the matte has a hole"
    far = cv2.dilate((share > 0).astype(np.uint8), np.ones((15, 15), np.uint8)) == 0
    assert mattes[:, far].max() == 0, "backdrop is taken for person"
    seam = (share > 0) & (share < 1)
    assert error[:, seam].mean() < 0.10
    # Noise of 1.5 averaged over 6 frames leaves 0.6, and rounding to bytes 0.3.
    visible = cv2.dilate((share > 0).astype(np.uint8), np.ones((9, 9), np.uint8)) == 0
    assert np.abs(plate.astype(np.float32) - behind)[visible].mean() < 1.0
    assert psnr_db > 42  # the noise itself is 44.6 dB


def test_blue_denim_before_blue_keeps_no_hole_and_dark_tufts_stay():
    pictures, _ = take("blue")
    mattes, _, _ = key_take(pictures, landmarks(len(pictures)))
    share = person(alpha=True)
    denim = (share == 1) & (np.arange(SIZE_PX)[:, None] > 95)
    assert mattes[:, denim].min() == 255
    for x, top in TUFTS.items():
        tuft = mattes[:, top : top + 3, x - 2 : x + 2].astype(float).sum(axis=-1) / 255
        # Two pixels wide; half of that, at least, must be in the matte in every row.
        assert tuft.min() > 1.0, f"the tuft at {x} is lost"


def test_backdrop_seen_through_a_loop_of_hair_stays_backdrop_and_a_blue_badge_stays_person():
    pictures, behind = take("blue")
    loop, badge = (slice(22, 30), slice(58, 70)), (slice(105, 111), slice(60, 66))
    for hole in (loop, badge):
        pictures[:, hole[0], hole[1]] = behind[hole].astype(np.uint8)
    mattes, _, _ = key_take(pictures, landmarks(len(pictures)))
    assert mattes[:, 24:28, 61:67].max() == 0
    assert mattes[:, badge[0], badge[1]].min() == 255


def test_plain_backdrops_are_told_from_busy_and_grey_ones():
    pictures, _ = take("blue")
    marks = landmarks(len(pictures))
    assert is_plain(*measure_backdrop(pictures, marks))
    bricks, _ = take("bricks")
    spread, _ = measure_backdrop(bricks, marks)
    assert spread > 30
    assert not is_plain(spread, 1.0)
    grey = np.repeat(pictures.mean(axis=-1, keepdims=True).astype(np.uint8), 3, axis=-1)
    spread, saturation = measure_backdrop(grey, marks)
    assert spread < 16
    assert saturation < 0.05
    assert not is_plain(spread, saturation)


def test_the_border_leaves_out_the_face_and_everything_below_the_chin():
    mask = border_mask(LANDMARKS[None], SIZE_PX, SIZE_PX)
    assert mask[2, 2]
    assert mask[60, 2]
    assert not mask[100:, :].any()
    assert not mask[56, 64]


def test_a_polynomial_backdrop_is_found_exactly_under_outliers():
    y, x = np.mgrid[0:60, 0:80].astype(np.float32)
    ramp = np.stack([90 + 0.5 * x + 0.2 * y, 120 - 0.01 * x * y, 150 + 0.004 * (x - 40) ** 2], axis=-1)
    pictures = ramp[None].astype(np.float32).repeat(2, axis=0)
    pictures[:, 20:40, 30:60] = 255  # an eighth of the picture is something else
    coefficients, spread = fit_plate(pictures, np.ones(pictures.shape[:3], bool), order=2)
    assert spread < 0.5
    assert np.abs(polynomial_plate(coefficients, 60, 80) - ramp).max() < 0.5


def test_with_no_pixel_to_fit_the_spread_is_infinite():
    coefficients, spread = fit_plate(np.zeros((1, 4, 4, 3), np.float32), np.zeros((1, 4, 4), bool), order=2)
    assert coefficients.shape == (6, 3)
    assert spread == float("inf")
