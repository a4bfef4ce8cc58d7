"""One picture of a dataset that a person can check at a glance."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from gstalker.runtime.dataset import Clip, ClipEntry, Dataset
from gstalker.runtime.poses import camera_from_torso
from gstalker.runtime.prepare.head_pose import intrinsics, project
from gstalker.runtime.prepare.never_seen import striped
from gstalker.runtime.regions import eye_boxes, mouth_box

CLIPS_SHOWN = 10
CELL_PX = 224
GREEN = (0, 200, 90)
AXIS_M = 0.06


def write_contact_sheet(folder: Path) -> None:
    """Write `contact_sheet.png`: a row for each of ten clips, the least certain among them.

    Columns: first frame; middle frame with landmarks, head axes and boxes; the frame with the widest mouth;
    the person over green; the matte; the backdrop plate, striped where the person always hid it.
    """
    dataset = Dataset(folder)
    rows = [_row(dataset, dataset.load(entry.name)) for entry in _chosen(dataset)]
    Image.fromarray(np.concatenate(rows, axis=0)).save(folder / "contact_sheet.png")


def _chosen(dataset: Dataset) -> list[ClipEntry]:
    """Clips spread over the dataset, and the one with the least certain pose."""
    entries = list(dataset.manifest.clips)
    worst = min(entries, key=lambda e: float(dataset.tracks(e.name).pose_confidence.mean()))
    at = np.unique(np.linspace(0, len(entries) - 1, min(CLIPS_SHOWN, len(entries))).round().astype(int))
    shown = [entries[i] for i in at]
    return shown if worst in shown else [*shown[:-1], worst]


def _row(dataset: Dataset, clip: Clip) -> np.ndarray:
    middle = len(clip.rgb) // 2
    opening = np.linalg.norm(clip.tracks.landmarks_px[:, 13] - clip.tracks.landmarks_px[:, 14], axis=-1)
    widest = int(opening.argmax())
    share = clip.matte[middle][..., None] / 255.0
    over = clip.rgb[middle] * share + np.array(GREEN) * (1 - share)
    cells = [
        _labelled(clip.rgb[0], f"{clip.entry.name} ({clip.entry.split})"),
        _labelled(_marked(dataset, clip, middle), f"frame {middle} of {len(clip.rgb)}"),
        _labelled(clip.rgb[widest], f"widest mouth {opening[widest]:.1f} px"),
        _labelled(over.astype(np.uint8), "person"),
        _labelled(
            np.repeat(clip.matte[middle][..., None], 3, axis=-1), f"matte; torso {_span(clip.tracks.torso_motion)}"
        ),
        _plate(clip),
    ]
    return np.concatenate(cells, axis=1)


def _plate(clip: Clip) -> np.ndarray:
    if clip.plate_seen is None:
        return _labelled(clip.plate, "plate")
    return _labelled(
        striped(clip.plate, clip.plate_seen), f"plate; striped: never seen, {1 - clip.plate_seen.mean():.0%}"
    )


def _span(motion: np.ndarray) -> str:
    dx, dy, angle = motion.mean(axis=0)
    return f"{dx:+.1f} {dy:+.1f} px {np.degrees(angle):+.1f} deg"


def _marked(dataset: Dataset, clip: Clip, frame: int) -> np.ndarray:
    manifest = dataset.manifest
    picture = np.ascontiguousarray(clip.rgb[frame])
    points = clip.tracks.landmarks_px[frame]
    for x, y in points[np.isfinite(points).all(axis=-1)]:
        cv2.circle(picture, (int(x), int(y)), 0, (255, 255, 0), -1)
    boxes = [mouth_box(points, manifest.size_px), *eye_boxes(points, manifest.size_px)]
    for x0, y0, x1, y1 in boxes:
        cv2.rectangle(picture, (x0, y0), (x1 - 1, y1 - 1), (255, 0, 0), 1)
    K = intrinsics(manifest.focal_px, manifest.size_px)
    axes = np.concatenate([np.zeros((1, 3)), AXIS_M * np.diag([1.0, 1.0, -1.0])])
    head = project(axes, clip.tracks.camera_from_head[frame : frame + 1].astype(np.float64), K)[0]
    pose = camera_from_torso(
        clip.tracks.torso_motion[frame : frame + 1],
        manifest.torso_pivot_px,
        manifest.torso_depth_m,
        manifest.focal_px,
        manifest.size_px,
    )
    body = project(axes, pose, K)[0]
    for start, *ends in (head, body):
        for end, colour in zip(ends, ((255, 60, 60), (60, 255, 60), (80, 80, 255)), strict=True):
            cv2.line(picture, tuple(start.astype(int).tolist()), tuple(end.astype(int).tolist()), colour, 1)
    return picture


def _labelled(picture: np.ndarray, text: str) -> np.ndarray:
    cell = cv2.resize(picture, (CELL_PX, CELL_PX), interpolation=cv2.INTER_AREA)
    for colour, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(cell, text, (4, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.38, colour, width, cv2.LINE_AA)
    return cell
