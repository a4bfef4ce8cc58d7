"""Person and backdrop told apart by colour, where the backdrop is plain.

A take's backdrop is modelled by a smooth plate, first a low-order polynomial per channel over pixels that are
backdrop for certain, then refined by what is seen of it in every pixel. A pixel's matte is the share of
person in the mixture I = alpha F + (1 - alpha) P of person colour F and plate P; it is solved along the line
from P to F only in the seam between what is backdrop and what is person for certain.
"""

from __future__ import annotations

import cv2
import numpy as np

from gstalker.runtime.prepare.polynomial import fit_plate, polynomial_plate
from gstalker.runtime.regions import below_jaw

PLAIN_BACKDROP = 16.0  # spread of border pixels about a quadratic, of 255, that still counts as plain
PLAIN_SATURATION = 0.25  # a key needs a colour of its own: (max - min) / max of the plate
BORDER = 0.10  # of the picture's side: where backdrop is looked for first, at the top and the sides
PLATE_FRAMES = 15
SEAM_PX_AT_256 = 2.5  # half width of the seam between certain person and certain backdrop
BACKDROP_CHROMA = 0.10  # chroma distance from the plate, in units of the plate's own chroma, still backdrop
LEAST_LOOP = 1e-4  # of the picture's area; smaller holes above the jaw are noise
HAIR_REACH_PX_AT_256 = 12  # how far single tufts stand off the head
HAIR_CHANGE = 30.0  # of 255, from the plate
LEAST_CONTRAST = 20.0  # of 255: person and plate nearer in colour than this are not told apart in the seam
DARK = 12.0  # of 255, added to brightness, so that the chroma of near black counts little
CLEAR_PX_AT_256 = 3  # pixels this far from any person show the plate itself
PERSON_CHROMA = 0.45  # from here on person for certain


def border_mask(landmarks_px: np.ndarray, height_px: int, width_px: int) -> np.ndarray:
    """(H, W) bool: top and side borders above the chin, and clear of the face: backdrop in a portrait."""
    rows, columns = max(2, round(BORDER * height_px)), max(2, round(BORDER * width_px))
    mask = np.zeros((height_px, width_px), bool)
    mask[:rows] = True
    mask[:, :columns] = mask[:, -columns:] = True
    mask[int(np.clip(np.median(landmarks_px[:, 152, 1]), rows, height_px)) :] = False
    low, high = np.nanmin(landmarks_px[..., :2], axis=(0, 1)), np.nanmax(landmarks_px[..., :2], axis=(0, 1))
    grow = 0.35 * (high - low)  # hair above and beside the face
    x0, y0 = np.maximum(low - grow, 0).astype(int)
    x1, y1 = (high + grow).astype(int) + 1
    mask[y0:y1, x0:x1] = False
    return mask


def measure_backdrop(pictures: np.ndarray, landmarks_px: np.ndarray) -> tuple[float, float]:
    """How plain the backdrop is, from its borders alone.

    Args:
        pictures: (T, H, W, 3) uint8, may be small.
        landmarks_px: (T, 478, >=2); NaN where unknown, the groups of `runtime.landmarks` finite.

    Returns:
        robust spread about a quadratic, of 255; and the saturation 0..1 of the fitted plate at the border.
    """
    height, width = pictures.shape[1:3]
    border = border_mask(landmarks_px, height, width)
    chosen = np.broadcast_to(border, pictures.shape[:3])
    coefficients, spread = fit_plate(pictures.astype(np.float32), chosen, order=2)
    if not np.isfinite(spread):
        return spread, 0.0
    plate = polynomial_plate(coefficients, height, width)[border]
    top = plate.max(axis=-1)
    return spread, float(np.median((top - plate.min(axis=-1)) / np.maximum(top, 1.0)))


def is_plain(spread: float, saturation: float) -> bool:
    """Whether a backdrop measured so can be keyed."""
    return spread <= PLAIN_BACKDROP and saturation >= PLAIN_SATURATION


def find_plate(pictures: np.ndarray, landmarks_px: np.ndarray) -> np.ndarray:
    """(H, W, 3) float32 0..255: the smooth model of one take's backdrop, before its person is known.

    Args:
        pictures: (T, H, W, 3) uint8.
        landmarks_px: (T, 478, >=2); NaN where unknown, the groups of `runtime.landmarks` finite.
    """
    picked = np.linspace(0, len(pictures) - 1, min(PLATE_FRAMES, len(pictures))).round().astype(int)
    sample = pictures[picked].astype(np.float32)
    height, width = sample.shape[1:3]
    border = border_mask(landmarks_px[picked], height, width)
    coarse = sample[:, ::2, ::2]  # a smooth surface needs no more
    small = (coarse.shape[1], coarse.shape[2])
    coefficients, _ = fit_plate(coarse, np.broadcast_to(border[::2, ::2], coarse.shape[:3]), order=2)
    for order in (3, 5, 5):
        certain = _certain_backdrop(coarse, polynomial_plate(coefficients, *small))
        coefficients, _ = fit_plate(coarse, certain, order=order)
    plate = polynomial_plate(coefficients, height, width)
    return _with_detail(sample, _certain_backdrop(sample, plate), plate)


def key_take(pictures: np.ndarray, landmarks_px: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Mattes and plate of one take.

    Args:
        pictures: (T, H, W, 3) uint8.
        landmarks_px: (T, 478, >=2); NaN where unknown, the groups of `runtime.landmarks` finite.

    Returns:
        mattes (T, H, W) uint8; plate (H, W, 3) uint8; and the plate's PSNR against all pixels that are well
        clear of the person, dB.
    """
    plate = find_plate(pictures, landmarks_px)
    mattes = np.stack([key_matte(p, plate, marks) for p, marks in zip(pictures, landmarks_px, strict=True)])
    # What is seen of the backdrop is the plate; the smooth model fills in what the person always hides.
    size = 2 * max(1, round(CLEAR_PX_AT_256 * pictures.shape[1] / 256)) + 1
    kernel = np.ones((size, size), np.uint8)
    total, seen = np.zeros_like(plate), np.zeros(plate.shape[:2], np.float32)
    clear = np.stack([cv2.dilate(m, kernel) == 0 for m in mattes])
    for picture, free in zip(pictures, clear, strict=True):
        total += picture * free[..., None]
        seen += free
    known = seen >= min(3, len(pictures))
    plate = np.where(known[..., None], total / np.maximum(seen, 1.0)[..., None], plate)
    stored = np.round(plate).astype(np.uint8)
    error = sum(float(((p.astype(np.float32) - stored)[f] ** 2).sum()) for p, f in zip(pictures, clear, strict=True))
    count = 3 * int(clear.sum())
    psnr = 10 * np.log10(255.0**2 * count / error) if error > 0 else float("inf")
    return mattes, stored, float(psnr)


def key_matte(picture: np.ndarray, plate: np.ndarray, landmarks_px: np.ndarray) -> np.ndarray:
    """The soft matte of one frame.

    Args:
        picture: (H, W, 3) uint8.
        plate: (H, W, 3) float32.
        landmarks_px: (478, >=2).

    Returns:
        (H, W) uint8, 255 where the person is.
    """
    image = picture.astype(np.float32)
    distance = chroma_distance(image, plate)
    size = picture.shape[0]
    person = _solid_person(distance, landmarks_px)
    radius = max(1, round(SEAM_PX_AT_256 * size / 256))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    inner = cv2.erode(person, kernel).astype(bool)
    reach = cv2.dilate(person, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (4 * radius + 1, 4 * radius + 1)))
    seam = (reach.astype(bool) | _tufts(image, plate, person, landmarks_px)) & ~inner
    foreground = _spread(image, inner, sigma=2.0 * radius)
    line = foreground - plate
    along = np.einsum("hwc,hwc->hw", image - plate, line)
    alpha = along / np.maximum(np.einsum("hwc,hwc->hw", line, line), LEAST_CONTRAST**2)
    alpha = np.clip((alpha - 0.06) / 0.88, 0.0, 1.0)  # noise of the plate and of the person's colour
    matte = np.where(inner, 1.0, np.where(seam, alpha, 0.0))
    return np.round(matte * 255.0).astype(np.uint8)


def chroma_distance(image: np.ndarray, plate: np.ndarray) -> np.ndarray:
    """(..., 3), (..., 3) -> (...) how far a colour has left the plate's chroma; 0 plate, 1 grey.

    Signed along the plate's chroma: grey cloth in blue light stays far from a blue plate that is in shade,
    since what counts is the share of the plate's chroma left at the pixel's own brightness.
    """
    plate_brightness = plate.mean(axis=-1, keepdims=True)
    plate_chroma = (plate - plate_brightness) / (plate_brightness + DARK)
    reference = np.maximum((plate_chroma**2).sum(axis=-1), 1e-4)
    # The plate's chroma adds up to 0 over the channels, so the image's brightness drops out of the product.
    along = plate_chroma / reference[..., None]
    red, green, blue = (image[..., c] for c in range(3))
    product = red * along[..., 0] + green * along[..., 1] + blue * along[..., 2]
    return 1.0 - product / ((red + green + blue) / 3.0 + DARK)


def _certain_backdrop(sample: np.ndarray, plate: np.ndarray) -> np.ndarray:
    near = _largest_change(sample, plate) < 28.0
    near &= np.abs(chroma_distance(sample, plate)) < 2 * BACKDROP_CHROMA
    kernel = np.ones((5, 5), np.uint8)
    return np.stack([cv2.erode(n.astype(np.uint8), kernel, borderValue=1).astype(bool) for n in near])


def _largest_change(image: np.ndarray, plate: np.ndarray) -> np.ndarray:
    """(..., 3), (..., 3) -> (...) of the three channels' differences the largest."""
    change = np.abs(image - plate)
    return np.maximum(np.maximum(change[..., 0], change[..., 1]), change[..., 2])


def _with_detail(sample: np.ndarray, certain: np.ndarray, plate: np.ndarray) -> np.ndarray:
    """Add to the smooth plate what is seen beside it: lamps, seams of cloth, clipped highlights."""
    seen = certain.sum(axis=0).astype(np.float32)
    residual = ((sample - plate) * certain[..., None]).sum(axis=0)
    mean = residual / np.maximum(seen, 1.0)[..., None]
    known = seen >= min(3, len(sample))
    wide = _spread(mean, known, sigma=plate.shape[0] / 40)
    return np.clip(plate + np.where(known[..., None], mean, wide), 0.0, 255.0).astype(np.float32)


def _solid_person(distance: np.ndarray, landmarks_px: np.ndarray) -> np.ndarray:
    """(H, W) uint8 0/1: the person with no holes: what the face belongs to, closed from its outline inward."""
    height, width = distance.shape
    person = (distance > (BACKDROP_CHROMA + PERSON_CHROMA) / 2).astype(np.uint8)
    person = cv2.morphologyEx(person, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    # The torso runs out of the picture: close its lower edge so that holes that touch it are filled as well.
    below = below_jaw(landmarks_px[:, :2], height, width)
    columns = np.flatnonzero(person[-3:].any(axis=0))
    if len(columns):
        person[-1, columns[0] : columns[-1] + 1] = 1
    count, labels = cv2.connectedComponents(person)
    known = landmarks_px[np.isfinite(landmarks_px[:, :2]).all(axis=1), :2]
    marks = known.astype(int)
    inside = (marks >= 0).all(axis=1) & (marks[:, 0] < width) & (marks[:, 1] < height)
    votes = np.bincount(labels[marks[inside, 1], marks[inside, 0]], minlength=count)
    votes[0] = 0
    face = labels == votes.argmax()
    torso = np.isin(labels, np.unique(labels[below & (labels > 0)])) & (labels > 0)
    # Pieces of the torso that the key cut off are kept where they are large; specks of noise are not.
    large = np.bincount(labels.ravel(), minlength=count) > 0.002 * height * width
    person = (face | (torso & large[labels])).astype(np.uint8)
    flooded = np.pad(person, 1)
    scratch = np.zeros((height + 4, width + 4), np.uint8)  # floodFill wants it two larger each way
    cv2.floodFill(flooded, scratch, (0, 0), 2)
    filled = (flooded[1:-1, 1:-1] != 2).astype(np.uint8)
    # Backdrop seen through a loop of hair is no hole in the key; below the jaw it is more likely blue cloth.
    count, labels = cv2.connectedComponents(((filled > 0) & (person == 0)).astype(np.uint8))
    for hole in range(1, count):
        inside = labels == hole
        clear = np.abs(np.median(distance[inside])) < BACKDROP_CHROMA
        if clear and inside.sum() > LEAST_LOOP * height * width and not (inside & below).any():
            filled[inside] = 0
    return filled


def _tufts(image: np.ndarray, plate: np.ndarray, person: np.ndarray, landmarks_px: np.ndarray) -> np.ndarray:
    """(H, W) bool: hair that stands off the head, told by any colour change that hangs together with it.

    Chroma alone misses it: backdrop seen through dark hair keeps its chroma and only darkens.
    """
    height, width = person.shape
    reach = 2 * round(HAIR_REACH_PX_AT_256 * height / 256) + 1
    near = cv2.dilate(person, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))).astype(bool)
    near &= ~below_jaw(landmarks_px[:, :2], height, width)
    changed = near & (_largest_change(image, plate) > HAIR_CHANGE)
    count, components = cv2.connectedComponents((changed | (person > 0)).astype(np.uint8))
    labels = components.astype(np.int64)
    touching = np.zeros(count, bool)
    touching[np.unique(labels[person > 0])] = True
    touching[0] = False
    hanging = touching[labels] & changed
    return cv2.dilate(hanging.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)


def _spread(image: np.ndarray, known: np.ndarray, sigma: float) -> np.ndarray:
    """Values of `known` pixels carried outward: normalised convolution, four times wider where nothing is near."""
    mask = known.astype(np.float32)
    values = np.dstack([image * mask[..., None], mask]).astype(np.float32)
    near = cv2.GaussianBlur(values, (0, 0), sigma)
    height, width = mask.shape
    quarter = cv2.resize(values, (max(1, width // 4), max(1, height // 4)), interpolation=cv2.INTER_AREA)
    far = cv2.resize(cv2.GaussianBlur(quarter, (0, 0), sigma), (width, height), interpolation=cv2.INTER_LINEAR)
    blended = near + 1e-3 * far
    return blended[..., :3] / np.maximum(blended[..., 3:], 1e-12)
