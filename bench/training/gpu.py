"""The figures of a GPU in one command that needs no network: agreement, training, speed, quality, memory.

    python -m gstalker.bench.training.gpu DATASET --out FOLDER

writes FOLDER/figures.json with machine, commit and command after every stage. What is there already is not done again,
and with --minutes training stops in time and the same command goes on with it: so it fits a machine that is lent for
minutes at a time. On a machine without a GPU it does what can be done there, and says what it left out.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shlex
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gstalker.bench.training.runs import Quiet
from gstalker.kernels import cpu, cuda, reference
from gstalker.kernels.camera import Camera
from gstalker.kernels.dense_torch import rasterize_dense
from gstalker.kernels.differentiable import rasterize
from gstalker.kernels.gaussians import Gaussians
from gstalker.kernels.sh import SH_DEGREE_0
from gstalker.runtime.dataset import Dataset
from gstalker.runtime.errors import InputError
from gstalker.runtime.evaluate.provenance import provenance
from gstalker.runtime.model.clip_renderer import ClipRenderer
from gstalker.runtime.model.trained_run import checkpoint_step, load_run, newest_checkpoint
from gstalker.runtime.train.config import PRESETS, TrainConfig
from gstalker.runtime.train.device import training_device
from gstalker.runtime.train.loop import TrainingStopped, train

STAGES = ("train", "agreement", "speed", "quality")
QUALITY = ("psnr_db", "ssim", "lpips", "lmd_px", "mouth_psnr_db")  # of the paper's table, and the mouth's
GRADIENT_SPLATS = 2000  # float64 autograd over dense lists of more would take minutes
WARM_UP_FRAMES = 10
PARAMETERS = ("means", "quats_wxyz", "scales", "opacities", "colors")


def agreement(run: Path, dataset: Dataset, skipped: list[str]) -> dict[str, Any]:
    """One frame's Gaussians drawn by every rasterizer, and the gradients of one random weighing of the picture.

    Pictures are compared with the float64 reference, all Gaussians; gradients with float64 autograd, every so many-th
    Gaussian.
    """
    posed, camera, plate = one_frame(run, dataset)
    means, quats_wxyz, scales, opacities, colors = posed
    cloud = Gaussians(means, quats_wxyz, scales, opacities, ((colors - 0.5) / SH_DEGREE_0)[:, None])
    expected = reference.render(cloud, camera, plate)
    backends = {"cpu": cpu.render}
    if (reason := cuda.why_unavailable()) is None:
        backends["gsplat"] = cuda.render
    else:
        skipped.append(f"gsplat's picture and gradients: {reason}")
    figures: dict[str, Any] = {"gaussians": len(posed[0]), "size_px": camera.width_px}
    for name, render in backends.items():
        drawn = render(cloud, camera, plate)
        error = np.abs(drawn.rgb - expected.rgb).max(axis=2)
        figures[name] = {
            "picture_worst": float(error.max()),
            "picture_rms": float(np.sqrt((error**2).mean())),
            "pixels_off_by_1_of_255": int((error > 1 / 255).sum()),
        }
    few = [values[:: max(1, len(values) // GRADIENT_SPLATS)] for values in posed]
    truth = pulled(few, camera, plate, "float64")
    for name in backends:
        found = pulled(few, camera, plate, name)
        figures[name]["gradient_error_of_length"] = {
            parameter: float(np.linalg.norm(found[parameter] - want) / max(np.linalg.norm(want), 1e-30))
            for parameter, want in truth.items()
        }
    figures["gradient_gaussians"] = len(few[0])
    return figures


def pulled(values: list[np.ndarray], camera: Camera, plate: np.ndarray, backend: str) -> dict[str, np.ndarray]:
    """Gradients of the parameters of one random weighing of the picture, by "float64", "cpu" or "gsplat"."""
    dtype = torch.float64 if backend == "float64" else torch.float32
    device = "cuda" if backend == "gsplat" else "cpu"
    leaves = [torch.tensor(v, dtype=dtype, device=device, requires_grad=True) for v in values]
    weights = np.random.default_rng(0).normal(size=(camera.height_px, camera.width_px, 3))
    view = {"width_px": camera.width_px, "height_px": camera.height_px}
    viewmat, K, background = (torch.tensor(a, dtype=dtype, device=device) for a in (camera.viewmat, camera.K, plate))
    if backend == "float64":
        rgb, _ = rasterize_dense(*leaves, viewmat=viewmat, K=K, background=background, **view)
    else:
        rgb, _ = rasterize(*leaves, viewmat=viewmat, K=K, background=background, backend=device, **view)
    (rgb * torch.tensor(weights, dtype=dtype, device=device)).sum().backward()
    return {
        n: leaf.grad.double().cpu().numpy() for n, leaf in zip(PARAMETERS, leaves, strict=True) if leaf.grad is not None
    }


def one_frame(run: Path, dataset: Dataset) -> tuple[list[np.ndarray], Camera, np.ndarray]:
    """What a rasterizer takes for the middle frame of a clip that the run did not train on."""
    avatar = load_run(run)
    clip = dataset.load((dataset.clips("test") or dataset.clips("train"))[0].name)
    middle, size = clip.entry.frame_count // 2, dataset.manifest.size_px
    with torch.no_grad():
        driven = ClipRenderer(avatar.model, dataset, source=avatar.open_source()).drive(clip)
        motion = avatar.model.motion(
            driven.codes[middle], driven.expression[middle], driven.head_pose[middle],
            torso_rigid=driven.torso_rigid[middle],
            torso_stretch=driven.torso_stretch[middle],
        )  # fmt: skip
        posed = avatar.model.posed(driven.camera_from_head[middle], driven.camera_from_torso[middle], motion)
    camera = Camera(np.eye(4), driven.K.numpy(), size, size)
    return [values.numpy() for values in posed], camera, driven.plate.numpy()


def speed(run: Path, dataset: Dataset, device: str, frames: int) -> dict[str, Any]:
    """Frames a second of deformation and rendering together, sound already encoded, pictures left on the device."""
    avatar = load_run(run)
    clip = dataset.load((dataset.clips("test") or dataset.clips("train"))[0].name)
    renderer = ClipRenderer(avatar.model.to(device), dataset, device, source=avatar.open_source())
    with torch.no_grad():
        driven = renderer.drive(clip)
        for frame in range(WARM_UP_FRAMES):
            renderer.draw(driven, frame % clip.entry.frame_count)
        wait(device)
        started = time.perf_counter()
        for frame in range(frames):
            renderer.draw(driven, frame % clip.entry.frame_count)
        wait(device)
    seconds = time.perf_counter() - started
    return {"frames": frames, "frames_per_second": frames / seconds, "ms_per_frame": 1000 * seconds / frames}


def first_call_s() -> float:
    """Seconds of gsplat's first drawing, in which it compiles its kernels where no build of them lies yet."""
    started = time.perf_counter()
    one = (np.array(a, np.float32) for a in ([[0, 0, 1]], [[1, 0, 0, 0]], [[0.01] * 3], [0.5], [[[0, 0, 0]]]))
    K = np.array([[50, 0, 16], [0, 50, 16], [0, 0, 1]], np.float64)
    cuda.render(Gaussians(*one), Camera(np.eye(4), K, 32, 32), np.zeros(3))
    return time.perf_counter() - started


def wait(device: str) -> None:
    """Until a GPU has done all it was told."""
    if device == "cuda":
        torch.cuda.synchronize()


def training(dataset: Path, run: Path, config: TrainConfig, before: dict[str, Any], limit_s: float) -> dict[str, Any]:
    """Train, or go on with it, for so long at most; minutes add up over calls."""
    from gstalker.runtime.evaluate.find_models import find_lpips_weights

    began = time.monotonic()
    if config.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    resume = newest_checkpoint(run) is not None
    try:
        train(
            *(dataset, run, config, Quiet(lambda text: print(text, flush=True))),
            resume=resume,
            lpips_weights=find_lpips_weights(None),
            stop=lambda: time.monotonic() - began > limit_s,
        )
    except TrainingStopped as stopped:
        print(f"training stopped {stopped}", flush=True)
    seconds = before.get("seconds", 0.0) + time.monotonic() - began
    newest = newest_checkpoint(run)
    step = 0 if newest is None else checkpoint_step(newest)
    memory = torch.cuda.max_memory_allocated() if config.device == "cuda" else 0
    return {
        "step": step,
        "steps": config.steps,
        "seconds": seconds,
        "minutes": seconds / 60,
        "batch_frames": config.batch_frames,
        "precision": config.on_device.precision,
        "most_device_bytes": max(memory, before.get("most_device_bytes", 0)),
    }


def quality(run: Path, report: Path, clips: int | None, skipped: list[str]) -> dict[str, Any]:
    """The report's figures of the avatar on clips it never saw."""
    from gstalker.runtime.evaluate.config import EvalConfig
    from gstalker.runtime.evaluate.evaluate_run import evaluate_run
    from gstalker.runtime.evaluate.subject import AVATAR

    result = evaluate_run(run, report, EvalConfig(video=False, clips=clips))
    skipped.extend(result.skipped)
    found = result.figures.overall[AVATAR]
    return {name: found.get(name) for name in QUALITY}


def about() -> dict[str, Any]:
    """Machine, GPU, versions, commit."""
    found = provenance()
    gpu = None
    if torch.cuda.is_available():
        p = torch.cuda.get_device_properties(0)
        gpu = {"name": p.name, "memory_bytes": p.total_memory, "cuda": torch.version.cuda}
    versions = {}
    for name in ("gsplat", "tinycudann"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    return {**found, "gpu": gpu, "gpu_packages": versions, "command": shlex.join(sys.argv)}


def run_stages(options: argparse.Namespace) -> dict[str, Any]:
    """Do what is asked for and not done yet; figures.json is whole after every stage.

    Raises:
        InputError: no such dataset; CUDA is asked for and not there.
    """
    training_device(options.device)  # complain before anything slow happens
    out, run = Path(options.out), Path(options.out) / "run"
    dataset = Dataset(options.dataset)
    config = PRESETS[options.preset]
    config = dataclasses.replace(config, device=options.device, seed=options.seed, batch_frames=options.batch_frames)
    if options.steps is not None:
        config = config.with_steps(options.steps)
    precision = "float32" if options.device == "cpu" else config.on_device.precision
    config = dataclasses.replace(config, on_device=dataclasses.replace(config.on_device, precision=precision))
    path = out / "figures.json"
    figures: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    skipped: list[str] = figures.get("skipped", [])
    out.mkdir(parents=True, exist_ok=True)

    def keep(stage: str, found: dict[str, Any]) -> None:
        figures[stage] = found
        figures["skipped"] = list(dict.fromkeys(skipped))
        figures["made_by"] = {**figures.get("made_by", {}), stage: about()}
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
        partial.replace(path)
        print(f"{stage}: {json.dumps(found)}", flush=True)

    if options.device == "cuda" and cuda.why_unavailable() is None:
        print(f"gsplat built and warm after {first_call_s():.0f} s, which no figure contains", flush=True)
    before = figures.get("train", {})
    if "train" in options.only and before.get("step", -1) != config.steps:
        keep("train", training(Path(options.dataset), run, config, before, 60 * options.minutes))
    if figures.get("train", {}).get("step") != config.steps:
        print("the same command goes on with training; the other stages come after it", flush=True)
        return figures
    stages = {
        "agreement": lambda: agreement(run, dataset, skipped),
        "speed": lambda: speed(run, dataset, options.device, options.frames),
        "quality": lambda: quality(run, out / "report", options.clips, skipped),
    }
    for stage, measure in stages.items():
        if stage in options.only and stage not in figures:
            keep(stage, measure())
    return figures


def parser() -> argparse.ArgumentParser:
    """The command line."""
    about = (__doc__ or "").split("\n")[0]
    p = argparse.ArgumentParser(prog="python -m gstalker.bench.training.gpu", description=about)
    p.add_argument("dataset", help="folder that gstalker prepare wrote; 512 x 512 for figures like the paper's")
    p.add_argument("--out", required=True, help="folder for figures.json, the run and the report")
    p.add_argument("--preset", default="full", choices=sorted(PRESETS))
    p.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--steps", type=int, default=None, help="of training, instead of the preset's")
    p.add_argument("--batch-frames", type=int, default=1, help="frames drawn in one call")
    p.add_argument("--minutes", type=float, default=1e9, help="of training in this call; the next goes on")
    p.add_argument("--frames", type=int, default=500, help="drawn to measure speed")
    p.add_argument("--clips", type=int, default=None, help="test clips to measure quality on; all if not given")
    p.add_argument("--only", nargs="+", default=list(STAGES), choices=STAGES, help="some of the stages")
    return p


if __name__ == "__main__":
    try:
        for line in run_stages(parser().parse_args())["skipped"]:
            print(f"not measured: {line}")
    except InputError as error:
        sys.exit(f"gstalker.bench.training.gpu: {error}")
