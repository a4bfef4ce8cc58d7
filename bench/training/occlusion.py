"""`python -m gstalker.bench.training.occlusion DATASET --out DIR`: do hands and microphones before the face burn in?

A copy of the dataset gets an occluder pasted over a share of its training frames, as long and as large as a gesture.
Avatars trained on the dataset as it is and on the copy are held against the same unseen, uncovered frames.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from gstalker.bench.training.runs import held_out_psnr_db, trained
from gstalker.runtime import landmarks as lm
from gstalker.runtime.dataset import FPS, Clip, Dataset, write_lossless_video
from gstalker.runtime.errors import InputError
from gstalker.runtime.regions import polygon_mask
from gstalker.runtime.train.config import PRESETS, TrainConfig

SHARE = 0.10  # of the training frames
SHORTEST_S, LONGEST_S = 0.6, 1.6  # how long a gesture covers the face
HAND_COLOUR = (196.0, 146.0, 118.0)
HEAD_COLOUR, STICK_COLOUR = (38.0, 38.0, 42.0), (90.0, 92.0, 96.0)  # a microphone's


@dataclass(frozen=True)
class Gesture:
    """One occluder over some frames of a clip: fades in from below and out again."""

    clip: str
    start: int
    stop: int
    kind: str  # "hand" or "microphone"
    place: tuple[float, float]  # of its middle, in face widths and heights from the face's middle
    turn_rad: float


def plan_gestures(dataset: Dataset, share: float, seed: int) -> list[Gesture]:
    """Gestures that cover `share` of all training frames, at most one a clip at a time."""
    rng = np.random.default_rng(seed)
    entries = dataset.clips("train")
    wanted = round(share * sum(e.frame_count for e in entries))
    gestures: list[Gesture] = []
    taken = {e.name: np.zeros(e.frame_count, bool) for e in entries}
    for _ in range(100 * len(entries)):
        if wanted <= 0:
            break
        entry = entries[int(rng.integers(len(entries)))]
        length = min(wanted, entry.frame_count, round(rng.uniform(SHORTEST_S, LONGEST_S) * FPS))
        start = int(rng.integers(0, entry.frame_count - length + 1))
        kind = "hand" if rng.random() < 0.5 else "microphone"
        place = (float(rng.uniform(-0.35, 0.35)), float(rng.uniform(-0.1, 0.45)))
        if taken[entry.name][start : start + length].any():
            continue
        taken[entry.name][start : start + length] = True
        gestures.append(Gesture(entry.name, start, start + length, kind, place, float(rng.uniform(-0.5, 0.5))))
        wanted -= length
    return gestures


def occluder(gesture: Gesture, frame: int, landmarks_px: np.ndarray, size_px: int) -> tuple[np.ndarray, np.ndarray]:
    """(H, W, 3) colours 0..255 and (H, W) coverage 0..1 of a gesture in one frame."""
    oval = landmarks_px[list(lm.FACE_OVAL)]
    low, high = oval.min(axis=0), oval.max(axis=0)
    middle, size = (low + high) / 2, high - low
    done = (frame - gesture.start + 0.5) / (gesture.stop - gesture.start)
    sunk = 0.9 * (2 * done - 1) ** 6  # comes from below, stays, and leaves
    centre = middle + size * (np.array(gesture.place) + np.array([0.03 * np.sin(9 * done), sunk]))
    cos, sin = np.cos(gesture.turn_rad), np.sin(gesture.turn_rad)
    to_picture = np.array([[cos, -sin], [sin, cos]]) * size[0]

    def capsule(ax: float, ay: float, bx: float, by: float, radius: float) -> np.ndarray:
        """Drawn in face widths, y down."""
        angle = np.linspace(0, np.pi, 9)
        along = np.arctan2(by - ay, bx - ax) + np.pi / 2
        ring_a = np.stack([ax + radius * np.cos(along + angle), ay + radius * np.sin(along + angle)], axis=1)
        ring_b = np.stack([bx - radius * np.cos(along + angle), by - radius * np.sin(along + angle)], axis=1)
        return polygon_mask(np.concatenate([ring_a, ring_b]) @ to_picture.T + centre, size_px, size_px)

    colours = np.zeros((size_px, size_px, 3))
    if gesture.kind == "hand":
        shapes = [
            (capsule(0.0, 0.15, 0.0, 2.5, 0.24), HAND_COLOUR),
            (capsule(-0.05, 0.0, 0.05, 0.12, 0.25), HAND_COLOUR),
        ]
        shapes += [
            (capsule(0.13 * i, -0.1, 0.16 * i, -0.5 + 0.06 * abs(i), 0.062), HAND_COLOUR)
            for i in (-1.4, -0.5, 0.5, 1.4)
        ]
        shapes += [(capsule(0.2, 0.1, 0.45, -0.12, 0.07), HAND_COLOUR)]
    else:
        shapes = [
            (capsule(0.0, 0.2, 0.0, 2.5, 0.07), STICK_COLOUR),
            (capsule(0.0, -0.04, 0.0, 0.06, 0.22), HEAD_COLOUR),
        ]
    mask = np.zeros((size_px, size_px), bool)
    for shape, colour in shapes:
        colours[shape] = colour
        mask |= shape
    shade = 1 + 0.12 * np.sin(np.arange(size_px)[:, None] / 3.1) * np.cos(np.arange(size_px)[None, :] / 2.3)
    cover = gaussian_filter(mask.astype(np.float64), 0.6)
    # Colours carried a little beyond the outline, so that its soft edge is not dark.
    soft = (
        gaussian_filter(colours, (1.2, 1.2, 0)) / np.maximum(gaussian_filter(mask.astype(float), 1.2), 1e-6)[..., None]
    )
    return np.clip(np.where(mask[..., None], colours, soft) * shade[..., None], 0, 255), cover


def covered_clip(clip: Clip, gestures: list[Gesture]) -> tuple[np.ndarray, np.ndarray]:
    """Frames (T, H, W, 3) and mattes (T, H, W) with the gestures before them; a key takes an occluder for person."""
    rgb, matte = clip.rgb.copy(), clip.matte.copy()
    for gesture in gestures:
        for frame in range(gesture.start, gesture.stop):
            colours, cover = occluder(gesture, frame, clip.tracks.landmarks_px[frame], matte.shape[1])
            mixed = rgb[frame] * (1 - cover[..., None]) + colours * cover[..., None]
            rgb[frame] = np.round(mixed).astype(np.uint8)
            matte[frame] = np.maximum(matte[frame], np.round(255 * cover).astype(np.uint8))
    return rgb, matte


def occluded_copy(dataset: Dataset, out: Path, share: float = SHARE, seed: int = 0) -> list[Gesture]:
    """Write a copy whose training frames are covered; tracks, confidence and test clips stay as they are.

    Raises:
        InputError: `out` is there already.
    """
    if out.exists():
        raise InputError(f"{out}: expected a new folder for the occluded copy, it is there already.")
    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(dataset.folder, partial)
    gestures = plan_gestures(dataset, share, seed)
    for name in sorted({g.clip for g in gestures}):
        rgb, matte = covered_clip(dataset.load(name), [g for g in gestures if g.clip == name])
        write_lossless_video(partial / "clips" / name / "frames.mkv", rgb, "rgb24")
        write_lossless_video(partial / "clips" / name / "matte.mkv", matte, "gray")
    partial.rename(out)
    return gestures


def compare(
    dataset: Dataset, out: Path, config: TrainConfig, share: float, every: int, *, without_trust: bool
) -> dict[str, object]:
    """Train on the dataset and on its covered copy, and measure both on the test clips.

    Args:
        every: measures one test frame in so many.
        without_trust: also train on the copy believing every pixel.
    """

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    out.mkdir(parents=True, exist_ok=True)
    copy = out / "covered"
    if not copy.exists():
        occluded_copy(dataset, copy, share, config.seed)
    believing = dataclasses.replace(config, trust=dataclasses.replace(config.trust, enabled=False))
    runs = {"uncovered": (dataset.folder, config), "covered": (copy, config)}
    if without_trust:
        runs["covered, every pixel believed"] = (copy, believing)
    figures: dict[str, dict[str, float]] = {}
    for name, (folder, settings) in runs.items():
        say(name)
        run = trained(folder, out / f"run_{name.replace(', ', '_').replace(' ', '_')}", settings, say)
        figures[name] = {k: round(v, 2) for k, v in held_out_psnr_db(run, dataset, every).items()}
        say(f"{name}: {figures[name]}")
    fall = {k: round(figures["uncovered"][k] - figures["covered"][k], 2) for k in figures["uncovered"]}
    report = {"share": share, "steps": config.steps, "held_out_psnr_db": figures, "fall_db": fall}
    (out / "occlusion.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return report


def main(arguments: list[str] | None = None) -> int:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m gstalker.bench.training.occlusion", description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="folder for the copy, the runs and the figures")
    parser.add_argument("--preset", choices=tuple(PRESETS), default="preview")
    parser.add_argument("--steps", type=int, help="training steps; the preset's own if not given")
    parser.add_argument("--share", type=float, default=SHARE, help="of the training frames that are covered")
    parser.add_argument("--every", type=int, default=5, help="measure one test frame in so many")
    parser.add_argument("--without-trust", action="store_true", help="also train believing every pixel")
    given = parser.parse_args(arguments)
    try:
        config = PRESETS[given.preset]
        config = config if given.steps is None else config.with_steps(given.steps)
        if not 0 < given.share <= 0.5:
            raise InputError(f"--share: expected above 0 and at most 0.5 of the frames, got {given.share}.")
        report = compare(
            Dataset(given.dataset), given.out, config, given.share, given.every, without_trust=given.without_trust
        )
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
