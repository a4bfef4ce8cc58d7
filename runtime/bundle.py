"""An avatar bundle, NAME.gsavatar: everything needed to run a trained avatar, in one checked folder or zip.

    avatar.json               runtime.bundle_manifest.BundleManifest, with the sha256 of every other file
    canonical.ply             the canonical Gaussians, avatar space at rest
    audio.onnx                mel_window (B, W, 80) -> audio_code (B, A)
    deform.onnx               audio_code, expression, first_layer, gates -> deltas (Mh, 11)
    torso.onnx                head_pose, torso_first_layer -> torso_rigid (1, 3), torso_deltas (Mt, 3)
    baked.safetensors         part_ids, first_layer, gates, torso_first_layer, idle_*
    golden/*.safetensors      a short input and the outputs that training's own code gave for it
    thumbnail.png, plate.png  a picture of the avatar; the backdrop it was filmed before

Needs no torch.
"""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np

from gstalker.kernels.camera import Camera, intrinsics
from gstalker.kernels.frame import PART_HEAD, PART_TORSO
from gstalker.kernels.gaussians import Gaussians
from gstalker.kernels.quantise import QuantisationBox
from gstalker.runtime.bundle_encoding import arrays_of, picture_of, png_bytes, safetensors_bytes
from gstalker.runtime.bundle_files import MANIFEST_NAME, entry_of, read_files, write_files
from gstalker.runtime.bundle_manifest import (
    MAX_GAUSSIANS,
    BundleManifest,
    check_manifest,
    manifest_json,
)
from gstalker.runtime.errors import InputError
from gstalker.runtime.graph_check import check_graph
from gstalker.runtime.ply import gaussians_from_ply, ply_bytes

GENERATOR = f"gstalker {metadata.version('gstalker')}"
GRAPH_NAMES = ("audio", "deform", "torso")


@dataclass(frozen=True)
class IdleMotion:
    """A few seconds of tracked natural motion, to be played to and fro.

    Attributes:
        avatar_from_head, avatar_from_torso: (F, 4, 4) float32 rigid.
        expression: (F, E) float32 in 0..1.
    """

    avatar_from_head: np.ndarray
    expression: np.ndarray
    avatar_from_torso: np.ndarray

    def __len__(self) -> int:
        return len(self.expression)


@dataclass(frozen=True)
class Golden:
    """Real inputs and what training's own code made of them, G rows: any runtime can check itself on them.

    Attributes:
        mel_window: (G, W, bands) windows of real speech.
        expression: (G, E)
        head_pose: (G, 6)
        audio_code: (G, A) of mel_window.
        deltas: (G, Mh, 11) of that audio code and expression.
        torso_rigid: (G, 3), torso_deltas: (G, Mt, 3) of head_pose.
    """

    mel_window: np.ndarray
    expression: np.ndarray
    head_pose: np.ndarray
    audio_code: np.ndarray
    deltas: np.ndarray
    torso_rigid: np.ndarray
    torso_deltas: np.ndarray


GOLDEN_INPUTS = ("mel_window", "expression", "head_pose")
GOLDEN_OUTPUTS = ("audio_code", "deltas", "torso_rigid", "torso_deltas")


@dataclass(frozen=True)
class AvatarBundle:
    """A bundle in memory, checked. Arrays are float32 unless said otherwise.

    Attributes:
        manifest: sizes, ranges, camera, whose likeness; its `files` are filled in by writing.
        manifest_sha256: of avatar.json, hexadecimal; names this very bundle. Empty before it was written.
        canonical: N Gaussians in the space of their part, ordered head movers, torso movers, static.
        part_ids: (N,) uint8, 0 head, 1 torso.
        first_layer: (Mh, H), gates: (Mh, 2), torso_first_layer: (Mt, Ht): inputs of the graphs.
        idle: natural motion for when nothing else drives the avatar.
        graphs: the serialised "audio", "deform" and "torso".
        golden: the self-check.
        thumbnail_rgb: (h, w, 3) uint8; plate_rgb: (size_px, size_px, 3) uint8 backdrop.
    """

    manifest: BundleManifest
    canonical: Gaussians
    part_ids: np.ndarray
    first_layer: np.ndarray
    gates: np.ndarray
    torso_first_layer: np.ndarray
    idle: IdleMotion
    graphs: dict[str, bytes]
    golden: Golden
    thumbnail_rgb: np.ndarray
    plate_rgb: np.ndarray
    manifest_sha256: str = ""

    @staticmethod
    def open(path: Path | str) -> AvatarBundle:
        """Read a bundle folder or a zip of one.

        Raises:
            InputError: see `read_files`; or contents that are damaged or do not fit together.
        """
        path = Path(path)
        manifest, manifest_bytes, files = read_files(path)
        baked = arrays_of(files["baked.safetensors"], f"{path}/baked.safetensors", BAKED_NAMES)
        golden_in = arrays_of(files["golden/input.safetensors"], f"{path}/golden/input.safetensors", GOLDEN_INPUTS)
        golden_out = arrays_of(files["golden/output.safetensors"], f"{path}/golden/output.safetensors", GOLDEN_OUTPUTS)
        placed = gaussians_from_ply(files["canonical.ply"], f"{path}/canonical.ply", MAX_GAUSSIANS)
        part_ids = baked["part_ids"]
        if part_ids.shape != (len(placed),):
            raise InputError(
                f"{path}/baked.safetensors: part_ids: expected one for each of {len(placed)} Gaussians, "
                f"got shape {part_ids.shape}. Export the avatar again."
            )
        bundle = AvatarBundle(
            manifest=manifest,
            canonical=_shift_torso(placed, part_ids, -np.array(manifest.torso_origin_avatar_m)),
            part_ids=part_ids,
            first_layer=baked["first_layer"],
            gates=baked["gates"],
            torso_first_layer=baked["torso_first_layer"],
            idle=IdleMotion(
                avatar_from_head=baked["idle_avatar_from_head"],
                expression=baked["idle_expression"],
                avatar_from_torso=baked["idle_avatar_from_torso"],
            ),
            graphs={name: files[f"{name}.onnx"] for name in GRAPH_NAMES},
            golden=Golden(**golden_in, **golden_out),
            thumbnail_rgb=picture_of(files["thumbnail.png"], f"{path}/thumbnail.png"),
            plate_rgb=picture_of(files["plate.png"], f"{path}/plate.png"),
            manifest_sha256=hashlib.sha256(manifest_bytes).hexdigest(),
        )
        check_contents(bundle, str(path))
        return bundle

    @property
    def quantisation_box(self) -> QuantisationBox:
        """What the 16-byte codes of the wire divide."""
        ranges = self.manifest.quantisation
        low_x, low_y, low_z = ranges.position_min_m
        high_x, high_y, high_z = ranges.position_max_m
        return QuantisationBox(
            position_min_m=(low_x, low_y, low_z),
            position_max_m=(high_x, high_y, high_z),
            log_scale_min=ranges.log_scale_min,
            log_scale_max=ranges.log_scale_max,
        )

    @property
    def camera(self) -> Camera:
        """The camera of the training video, avatar space as its world."""
        fields = self.manifest.camera
        return Camera(
            viewmat=np.array(fields.camera_from_avatar, np.float64),
            K=intrinsics(fields.focal_px, fields.size_px, fields.size_px),
            width_px=fields.size_px,
            height_px=fields.size_px,
        )


BAKED_NAMES = (
    "part_ids",
    "first_layer",
    "gates",
    "torso_first_layer",
    "idle_avatar_from_head",
    "idle_expression",
    "idle_avatar_from_torso",
)


def write_bundle(
    path: Path | str, bundle: AvatarBundle, *, overwrite: bool = False, zipped: bool = False
) -> AvatarBundle:
    """Write a bundle; `path` is either complete or untouched.

    Args:
        path: where to, by habit NAME.gsavatar.
        bundle: the contents; its manifest's `files` are computed here.
        overwrite: replace a bundle that is already there.
        zipped: one zip file instead of a folder.

    Returns:
        The bundle as it reads back from the bytes written, manifest and all.

    Raises:
        InputError: contents that do not fit together, or a target that exists or cannot be written.
    """
    path = Path(path)
    check_manifest(bundle.manifest, str(path))
    check_contents(bundle, str(path))
    baked = {
        "part_ids": bundle.part_ids,
        "first_layer": bundle.first_layer,
        "gates": bundle.gates,
        "torso_first_layer": bundle.torso_first_layer,
        "idle_avatar_from_head": bundle.idle.avatar_from_head,
        "idle_expression": bundle.idle.expression,
        "idle_avatar_from_torso": bundle.idle.avatar_from_torso,
    }
    origin_m = np.array(bundle.manifest.torso_origin_avatar_m)
    files = {
        "canonical.ply": ply_bytes(_shift_torso(bundle.canonical, bundle.part_ids, origin_m)),
        **{f"{name}.onnx": bundle.graphs[name] for name in GRAPH_NAMES},
        "baked.safetensors": safetensors_bytes(baked),
        "golden/input.safetensors": safetensors_bytes({n: getattr(bundle.golden, n) for n in GOLDEN_INPUTS}),
        "golden/output.safetensors": safetensors_bytes({n: getattr(bundle.golden, n) for n in GOLDEN_OUTPUTS}),
        "thumbnail.png": png_bytes(bundle.thumbnail_rgb),
        "plate.png": png_bytes(bundle.plate_rgb),
    }
    manifest = dataclasses.replace(bundle.manifest, files={name: entry_of(data) for name, data in files.items()})
    write_files(path, {MANIFEST_NAME: manifest_json(manifest), **files}, overwrite=overwrite, zipped=zipped)
    return AvatarBundle.open(path)


def check_contents(bundle: AvatarBundle, where: str) -> None:
    """Refuse parts of a bundle that do not fit each other or the manifest.

    Raises:
        InputError: naming the first such part, with the shape expected and the shape found.
    """
    counts, sizes = bundle.manifest.counts, bundle.manifest.sizes
    window = (bundle.manifest.audio.window_mel_frames, bundle.manifest.audio.log_mel.mel_bands)
    frames, rows = len(bundle.idle), len(bundle.golden.mel_window)
    size_px = bundle.manifest.camera.size_px
    expected: dict[str, tuple[np.ndarray, tuple[int, ...]]] = {
        "canonical": (bundle.canonical.means, (counts.gaussians, 3)),
        "part_ids": (bundle.part_ids, (counts.gaussians,)),
        "first_layer": (bundle.first_layer, (counts.head_movers, sizes.hidden)),
        "gates": (bundle.gates, (counts.head_movers, 2)),
        "torso_first_layer": (bundle.torso_first_layer, (counts.torso_movers, sizes.torso_hidden)),
        "idle_avatar_from_head": (bundle.idle.avatar_from_head, (frames, 4, 4)),
        "idle_expression": (bundle.idle.expression, (frames, sizes.expression)),
        "idle_avatar_from_torso": (bundle.idle.avatar_from_torso, (frames, 4, 4)),
        "golden mel_window": (bundle.golden.mel_window, (rows, *window)),
        "golden expression": (bundle.golden.expression, (rows, sizes.expression)),
        "golden head_pose": (bundle.golden.head_pose, (rows, 6)),
        "golden audio_code": (bundle.golden.audio_code, (rows, sizes.audio_code)),
        "golden deltas": (bundle.golden.deltas, (rows, counts.head_movers, 11)),
        "golden torso_rigid": (bundle.golden.torso_rigid, (rows, 3)),
        "golden torso_deltas": (bundle.golden.torso_deltas, (rows, counts.torso_movers, 3)),
        "plate": (bundle.plate_rgb, (size_px, size_px, 3)),
    }
    for name, (array, shape) in expected.items():
        dtype = np.uint8 if name in ("part_ids", "plate") else np.float32
        if array.shape != shape or array.dtype != dtype:
            raise InputError(
                f"{where}: {name}: expected {np.dtype(dtype)} of shape {shape} as avatar.json says, got "
                f"{array.dtype} of shape {array.shape}. Export the avatar again."
            )
        if not np.isfinite(array).all():
            raise InputError(f"{where}: {name}: expected finite values, got NaN or infinity. Export again.")
    if frames < 1 or rows < 1:
        raise InputError(f"{where}: expected at least one idle frame and one golden row, got {frames} and {rows}.")
    _check_parts(bundle, where)
    for name in ("avatar_from_head", "avatar_from_torso"):
        poses = getattr(bundle.idle, name).astype(np.float64)
        turned = poses[:, :3, :3] @ poses[:, :3, :3].transpose(0, 2, 1)
        # 1e-3: far beyond the 3e-7 of float32, far below what would show
        if np.abs(turned - np.eye(3)).max() > 1e-3 or np.abs(poses[:, 3] - [0, 0, 0, 1]).max() > 0:
            raise InputError(f"{where}: idle_{name}: expected rigid transforms, got others. Export again.")
    _check_graphs(bundle, where)


def _check_parts(bundle: AvatarBundle, where: str) -> None:
    head, torso = bundle.manifest.counts.head_movers, bundle.manifest.counts.torso_movers
    parts = bundle.part_ids
    known = np.isin(parts, (PART_HEAD, PART_TORSO)).all()
    if not known or (parts[:head] != PART_HEAD).any() or (parts[head : head + torso] != PART_TORSO).any():
        raise InputError(
            f"{where}: part_ids: expected {head} head movers (0), then {torso} torso movers (1), then the rest, "
            "got another order. Export the avatar again."
        )


def _check_graphs(bundle: AvatarBundle, where: str) -> None:
    counts, sizes, front = bundle.manifest.counts, bundle.manifest.sizes, bundle.manifest.audio
    expected = {
        "audio": (
            {"mel_window": (-1, front.window_mel_frames, front.log_mel.mel_bands)},
            {"audio_code": (-1, sizes.audio_code)},
        ),
        "deform": (
            {
                "audio_code": (1, sizes.audio_code),
                "expression": (1, sizes.expression),
                "first_layer": (counts.head_movers, sizes.hidden),
                "gates": (counts.head_movers, 2),
            },
            {"deltas": (counts.head_movers, 11)},
        ),
        "torso": (
            {"head_pose": (1, 6), "torso_first_layer": (counts.torso_movers, sizes.torso_hidden)},
            {"torso_rigid": (1, 3), "torso_deltas": (counts.torso_movers, 3)},
        ),
    }
    for name, (inputs, outputs) in expected.items():
        ends = check_graph(bundle.graphs[name], f"{where}/{name}.onnx")
        if ends.inputs != inputs or ends.outputs != outputs:
            raise InputError(
                f"{where}/{name}.onnx: expected {inputs} -> {outputs}, got {ends.inputs} -> {ends.outputs}. "
                "Export the avatar again."
            )


def _shift_torso(gaussians: Gaussians, part_ids: np.ndarray, offset_m: np.ndarray) -> Gaussians:
    """Move the torso's Gaussians by a vector: between torso space and avatar space at rest."""
    means = gaussians.means.astype(np.float64)
    means[part_ids == PART_TORSO] += offset_m
    return dataclasses.replace(gaussians, means=means.astype(np.float32))
