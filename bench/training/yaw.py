"""`python -m gstalker.bench.training.yaw --out DIR`: how good an avatar is over the turn of its head, with known truth.

The demo character is drawn turning by 15 and by 45 degrees, an avatar is trained on each, and both are held against
the character itself at every yaw from -45 to 45 degrees, saying a sentence that neither was trained on. All that is in
DIR already is taken as it is, so a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from gstalker.bench.training.runs import trained
from gstalker.runtime.dataset import Clip, ClipEntry, Dataset, Tracks
from gstalker.runtime.demo_character.blendshapes import blendshapes
from gstalker.runtime.demo_character.controls import CharacterPose, FaceControls, MouthControls
from gstalker.runtime.demo_character.make_clips import (
    SENTENCES,
    DemoCharacterConfig,
    clip_camera,
    make_clips,
    write_script,
)
from gstalker.runtime.demo_character.motion import GAZE_SHARE, LARGEST_GAZE_RAD, MotionConfig, head_pose, torso_pivot_px
from gstalker.runtime.demo_character.picture import FOCAL_IN_SIZES, TORSO_DEPTH_M, backdrop, render_picture
from gstalker.runtime.demo_character.speech import VoiceConfig, speak
from gstalker.runtime.errors import InputError
from gstalker.runtime.evaluate.picture_measures import as_bytes, frame_regions, psnr_from_mse, squared_errors
from gstalker.runtime.model.clip_renderer import ClipRenderer
from gstalker.runtime.model.trained_run import load_run
from gstalker.runtime.poses import camera_from_torso
from gstalker.runtime.prepare.pipeline import PrepareConfig, prepare
from gstalker.runtime.prepare.sidecar import read_sidecar
from gstalker.runtime.train.config import PRESETS

RANGES_DEG = (15.0, 45.0)
YAWS_DEG = tuple(float(y) for y in np.arange(-45, 45.1, 7.5))
SHOWN_DEG = (-45.0, -30.0, -15.0, 0.0, 15.0, 30.0, 45.0)
MOMENTS = 8  # of the sentence, at every yaw
CLIPS, TEST_CLIPS = 10, 2
MEASURED = ("full", "head", "mouth")

Say = Callable[[str], None]


@dataclass(frozen=True)
class Moments:
    """What the character does at MOMENTS frames of a sentence that no avatar was trained on.

    Attributes:
        frames: (K,) their places in the clip.
        count: frames of the clip.
        mouths, faces: K states.
    """

    frames: np.ndarray
    count: int
    mouths: tuple[MouthControls, ...]
    faces: tuple[FaceControls, ...]


def moments_of(sentence: int, size_px: int) -> Moments:
    """Spread over the sentence, from its first sound to its last."""
    speech = speak((SENTENCES[sentence],), VoiceConfig())[0]
    script = write_script(speech, sentence, size_px, MotionConfig())
    count = len(script.mouth)
    frames = np.linspace(0.15 * count, 0.85 * count, MOMENTS).astype(int)
    return Moments(frames, count, tuple(script.mouth[i] for i in frames), tuple(script.motion.face[i] for i in frames))


def truth(yaw_deg: float, moments: Moments, size_px: int, torso_rest: np.ndarray, samples: np.ndarray) -> Clip:
    """The character at one yaw, as a clip of K frames.

    Args:
        torso_rest: (3,) motion that the avatar's dataset gives a torso at rest.
        samples: the sentence's sound, whole.
    """
    yaw = np.radians(yaw_deg)
    pose = head_pose(yaw, 0.0, 0.0)
    torso = camera_from_torso(np.zeros(3), torso_pivot_px(size_px), TORSO_DEPTH_M, FOCAL_IN_SIZES * size_px, size_px)
    gaze = (float(np.clip(GAZE_SHARE * yaw, -LARGEST_GAZE_RAD[0], LARGEST_GAZE_RAD[0])), 0.0)
    faces = [dataclasses.replace(f, gaze_rad=gaze) for f in moments.faces]
    camera, plate = clip_camera(size_px), backdrop(size_px, size_px)
    drawn = [
        render_picture(CharacterPose(pose, torso, m, f), camera, plate)
        for m, f in zip(moments.mouths, faces, strict=True)
    ]
    count = len(drawn)
    tracks = Tracks(
        camera_from_head=np.tile(pose, (count, 1, 1)).astype(np.float32),
        pose_confidence=np.ones(count, np.float32),
        landmarks_px=np.stack([d.landmarks_px for d in drawn]).astype(np.float32),
        blendshapes=np.stack([blendshapes(m, f) for m, f in zip(moments.mouths, faces, strict=True)]),
        torso_motion=np.tile(torso_rest, (count, 1)).astype(np.float32),
        torso_stretch=np.zeros((count, 3), np.float32),
    )
    return Clip(
        ClipEntry(f"yaw {yaw_deg:+g}", "test", count, ""),
        np.stack([d.rgb for d in drawn]),
        np.stack([d.matte for d in drawn]),
        np.round(plate * 255).astype(np.uint8),
        tracks,
        samples,
    )


def prepared(folder: Path, yaw_deg: float, size_px: int, say: Say) -> Dataset:
    """The character's clips with heads that turn so far, drawn and prepared where they are not there yet."""
    dataset = folder / "dataset"
    if not (dataset / "dataset.json").is_file():
        say(f"drawing the character, turning by {yaw_deg:g} degrees")
        config = DemoCharacterConfig(
            size_px=size_px, clips=CLIPS, processes=1, motion=MotionConfig(max_yaw_deg=yaw_deg)
        )
        videos = make_clips(config, folder / "videos")
        names = [v.stem for v in videos]
        split = folder / "split.json"
        split.write_text(json.dumps({"train": names[:-TEST_CLIPS], "test": names[-TEST_CLIPS:]}), encoding="utf-8")
        prepare(PrepareConfig(tuple(videos), dataset, size_px=size_px, split=split, tracker="sidecar", jobs=1))
    return Dataset(dataset)


def torso_at_rest(dataset: Dataset, videos: Path) -> np.ndarray:
    """(3,) the motion of a torso at rest, counted as the dataset counts: from its reference frame."""
    m = dataset.manifest
    source = next(c.source for c in m.clips if c.name == m.reference_clip)
    return -read_sidecar(videos / source).tracks.torso_motion[m.reference_frame].astype(np.float64)


def curve(run: Path, dataset: Dataset, videos: Path, moments: Moments, shown: int) -> tuple[list[dict], list]:
    """PSNR at every yaw, and (truth, avatar) pictures (H, W, 3) uint8 of the moment `shown` at SHOWN_DEG."""
    avatar = load_run(run)
    renderer = ClipRenderer(avatar.model, dataset, source=avatar.open_source())
    samples = dataset.samples(dataset.clips("test")[0].name)
    rest, rows, pictures = torso_at_rest(dataset, videos), [], []
    with torch.no_grad():
        codes = renderer.audio_codes(samples, moments.count)[torch.from_numpy(moments.frames)]
        for yaw_deg in YAWS_DEG:
            clip = truth(yaw_deg, moments, dataset.manifest.size_px, rest, samples)
            drawn = [as_bytes(p) for p in renderer.pictures(clip, range(len(clip.rgb)), codes)]
            errors = [squared_errors(p, clip.rgb[i], frame_regions(clip, i)) for i, p in enumerate(drawn)]
            psnr = {n: round(float(psnr_from_mse(np.array([e[n] for e in errors])).mean()), 2) for n in MEASURED}
            rows.append({"yaw_deg": yaw_deg, **psnr})
            if yaw_deg in SHOWN_DEG:
                pictures.append((clip.rgb[shown], drawn[shown]))
    return rows, pictures


def compare(out: Path, steps: int | None, size_px: int, say: Say) -> dict[str, object]:
    """Everything, into DIR: yaw.json, yaw.png and yaw_pictures.png."""
    config = PRESETS["demo"] if steps is None else PRESETS["demo"].with_steps(steps)
    moments = moments_of(CLIPS - TEST_CLIPS, size_px)
    shown = int(np.argmax([m.jaw_open for m in moments.mouths]))
    curves, strips = {}, []
    for yaw_deg in RANGES_DEG:
        folder = out / f"trained_{yaw_deg:g}"
        folder.mkdir(parents=True, exist_ok=True)
        dataset = prepared(folder, yaw_deg, size_px, say)
        say(f"training on {yaw_deg:g} degrees")
        run = trained(dataset.folder, folder / "run", config, say)
        rows, pictures = curve(run, dataset, folder / "videos", moments, shown)
        curves[f"{yaw_deg:g}"] = rows
        if not strips:
            strips.append(np.concatenate([real for real, _ in pictures], axis=1))
        strips.append(np.concatenate([drawn for _, drawn in pictures], axis=1))
    report = {"steps": config.steps, "size_px": size_px, "moments": MOMENTS, "psnr_db_trained_on_deg": curves}
    (out / "yaw.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    Image.fromarray(np.concatenate(strips)).save(out / "yaw_pictures.png")
    write_plot(out / "yaw.png", curves)
    return report


def write_plot(path: Path, curves: dict[str, list[dict]]) -> None:
    """Whole picture and mouth box over yaw, one line for each trained range."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), sharex=True, layout="constrained")
    for axis, (name, title) in zip(axes, (("full", "whole picture"), ("mouth", "mouth box")), strict=True):
        for (trained_deg, rows), colour in zip(curves.items(), ("#1f5fa8", "#c05020"), strict=True):
            yaws = [row["yaw_deg"] for row in rows]
            axis.plot(yaws, [row[name] for row in rows], "o-", color=colour, label=f"trained on ±{trained_deg}°")
        axis.axvspan(-RANGES_DEG[0], RANGES_DEG[0], color="0.93")
        axis.set_xlabel("yaw, degrees")
        axis.set_title(title)
        axis.set_xticks(SHOWN_DEG)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("PSNR, dB")
    axes[0].legend(loc="lower center")
    figure.savefig(path, dpi=90)
    plt.close(figure)


def main(arguments: list[str] | None = None) -> int:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m gstalker.bench.training.yaw", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for videos, runs, figures and pictures")
    parser.add_argument("--steps", type=int, help="training steps; those of the preset demo if not given")
    parser.add_argument("--size-px", type=int, default=256)
    given = parser.parse_args(arguments)
    try:
        report = compare(given.out, given.steps, given.size_px, lambda text: print(text, file=sys.stderr, flush=True))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
