"""`avatar.json`: what a bundle says about itself, written and read strictly.

The format has its own version, apart from the program's and the wire's:
    1  first published form
    2  with what was seen of the person (`seen`): ranges of all tracked weights, and emotions of its own. A bundle of
       version 1 is read as one in which nothing of this was kept.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass

from gstalker.runtime.audio import LogMelConfig
from gstalker.runtime.errors import InputError
from gstalker.runtime.seen import NOTHING_SEEN, Seen
from gstalker.runtime.strict_json import parse_json, read_as

FORMAT_VERSION = 2
READ_VERSIONS = (1, 2)
MAX_GAUSSIANS = 2_000_000
MAX_MANIFEST_BYTES = 4 << 20
NOT_STATED = "not stated"
SYNTHETIC_NOTICE = (
    "Synthetic: pictures and motion made from this avatar are generated and were never filmed. "
    "Say so wherever they are shown."
)

# What every number of this version means. docs/conventions.md has the words; this travels with the file.
CONVENTIONS = {
    "units": "metres, radians, seconds",
    "camera_axes": "OpenCV: x right, y down, z forward; right-handed",
    "transforms": "target_from_source, 4 x 4, row-major, column vectors",
    "avatar_space": "camera axes; the head in its rest pose is the identity",
    "canonical_ply": (
        "avatar space at rest: head Gaussians as they are in head space, torso Gaussians at torso space "
        "plus torso_origin_avatar_m; scales as natural logarithms, opacities as logits"
    ),
    "order": "Gaussians pair by index: head movers, torso movers, then those that never move",
    "quaternions": "w first",
    "colour": "display (sRGB encoded): 0.5 + 0.28209479 * f_dc, clamped at 0 below",
    "rasterizer": "EWA, 0.3 px^2 added to the covariance, cut off below alpha 1/255",
    "deltas": "d_mean_m 3, d_quat_wxyz 4, d_log_scale 3, d_opacity_logit 1",
    "head_pose": "rotation vector of avatar_from_head (rad) 3, its translation (m) 3",
    "torso_rigid": "dx_m, dy_m, angle_rad: a turn about z, then torso_origin_avatar_m + (dx, dy, 0)",
}


@dataclass(frozen=True)
class Counts:
    """How many Gaussians: movers of the head, then movers of the torso, then the rest."""

    gaussians: int
    head_movers: int
    torso_movers: int

    @property
    def movers(self) -> int:
        return self.head_movers + self.torso_movers


@dataclass(frozen=True)
class Sizes:
    """Widths of the networks' ends."""

    audio_code: int  # A
    expression: int  # E, the number of controls
    hidden: int  # H, width of first_layer
    torso_hidden: int  # width of torso_first_layer
    sh_degree: int


@dataclass(frozen=True)
class Control:
    """One expression weight, in the order of the network's input, and the range it was trained on."""

    name: str
    low: float
    high: float


@dataclass(frozen=True)
class AudioFrontEnd:
    """How speech becomes the input of audio.onnx: frame t sees mel frames 4 t - left to 4 t + right - 1."""

    log_mel: LogMelConfig
    left_mel_frames: int
    right_mel_frames: int

    @property
    def window_mel_frames(self) -> int:
        return self.left_mel_frames + self.right_mel_frames


@dataclass(frozen=True)
class PoseRange:
    """Smallest and largest of each of the six head pose numbers in training; beyond them is guesswork."""

    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class BundleCamera:
    """The video's camera: square picture, principal point in its middle, a translation from avatar space."""

    focal_px: float
    size_px: int
    camera_from_avatar: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class QuantisationRanges:
    """What the movers cover over the whole training video, with a margin: the box that wire codes divide.

    Attributes:
        position_min_m, position_max_m: (3,) corners over both parts, each mover in the space of its part.
        log_scale_min, log_scale_max: range of the natural logarithm of scales in metres.
    """

    position_min_m: tuple[float, ...]
    position_max_m: tuple[float, ...]
    log_scale_min: float
    log_scale_max: float


@dataclass(frozen=True)
class Likeness:
    """Whose face it is, and on what terms."""

    subject: str
    consent: str
    licence: str
    notice: str = SYNTHETIC_NOTICE


@dataclass(frozen=True)
class FileEntry:
    """What a file of the bundle must be."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class BundleManifest:
    """`avatar.json`."""

    format_version: int
    generator: str  # program and version that wrote it
    name: str
    frame_rate_hz: int
    counts: Counts
    sizes: Sizes
    controls: tuple[Control, ...]
    audio: AudioFrontEnd
    head_pose_range: PoseRange
    camera: BundleCamera
    torso_origin_avatar_m: tuple[float, ...]
    quantisation: QuantisationRanges
    likeness: Likeness
    conventions: dict[str, str]
    files: dict[str, FileEntry]
    seen: Seen = NOTHING_SEEN  # from format 2 on


def manifest_json(manifest: BundleManifest) -> bytes:
    """The bytes of `avatar.json`."""
    fields = dataclasses.asdict(manifest)
    if manifest.format_version == 1:
        del fields["seen"]
    text = json.dumps(fields, indent=1, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode("utf-8")


def parse_manifest(data: bytes, where: str) -> BundleManifest:
    """Read and check the bytes of `avatar.json`.

    Args:
        data: the bytes.
        where: the name to use in messages.

    Raises:
        InputError: not the JSON of a bundle, another format version, or a field that cannot be.
    """
    fields = parse_json(data, where, "an avatar bundle")
    if not isinstance(fields, dict) or "format_version" not in fields:
        raise InputError(f"{where}: expected the JSON of an avatar bundle with format_version, got something else.")
    version = fields["format_version"]
    if type(version) is not int or version not in READ_VERSIONS:
        raise InputError(
            f"{where}: expected bundle format {' or '.join(map(str, READ_VERSIONS))}, got {version!r}. "
            "Export the avatar again with this version of gstalker, or use the version that wrote it."
        )
    if version == 1 and "seen" not in fields:
        fields = {**fields, "seen": {"ranges": [], "emotions": []}}
    manifest = read_as(BundleManifest, fields, where)
    check_manifest(manifest, where)
    return manifest


def check_manifest(manifest: BundleManifest, where: str) -> None:
    """Refuse values that contradict each other or exceed what a reader should be asked to hold.

    Raises:
        InputError: naming the first such field.
    """
    counts, sizes, box = manifest.counts, manifest.sizes, manifest.quantisation
    mel, pose = manifest.audio.log_mel, manifest.head_pose_range
    matrix = manifest.camera.camera_from_avatar
    rules = (
        ("frame_rate_hz", manifest.frame_rate_hz == 25, "25", manifest.frame_rate_hz),
        ("name", bool(manifest.name.strip()), "a name", repr(manifest.name)),
        (
            "counts.gaussians",
            1 <= counts.gaussians <= MAX_GAUSSIANS,
            f"1 to {MAX_GAUSSIANS}",
            counts.gaussians,
        ),
        (
            "counts",
            min(counts.head_movers, counts.torso_movers) >= 0 and counts.movers <= counts.gaussians,
            "movers >= 0 and no more than Gaussians",
            dataclasses.asdict(counts),
        ),
        ("sizes", _all_within(dataclasses.astuple(sizes)[:4], 1, 4096), "widths of 1 to 4096", sizes),
        ("sizes.sh_degree", sizes.sh_degree == 0, "0", sizes.sh_degree),
        (
            "controls",
            len(manifest.controls) == sizes.expression,
            f"{sizes.expression} of them",
            len(manifest.controls),
        ),
        ("controls", all(c.low <= c.high for c in manifest.controls), "low <= high", manifest.controls),
        (
            "audio.log_mel",
            _all_within((mel.window_samples, mel.hop_samples, mel.n_fft, mel.mel_bands), 1, 65_536)
            and mel.window_samples <= mel.n_fft
            and mel.sample_rate_hz == 16_000
            and mel.hop_samples == 160
            and mel.mel_scale == "slaney"
            and mel.power_floor > 0
            and mel.log_std > 0
            and 0 <= mel.low_hz < mel.high_hz,
            "a front end that this version computes",
            mel,
        ),
        (
            "audio",
            _all_within((manifest.audio.left_mel_frames, manifest.audio.right_mel_frames), 0, 1000)
            and manifest.audio.window_mel_frames >= 1,
            "a window of 1 to 2000 mel frames",
            (manifest.audio.left_mel_frames, manifest.audio.right_mel_frames),
        ),
        (
            "head_pose_range",
            len(pose.low) == len(pose.high) == 6 and all(a <= b for a, b in zip(pose.low, pose.high, strict=True)),
            "six values each, low <= high",
            pose,
        ),
        (
            "camera",
            manifest.camera.focal_px > 0 and 1 <= manifest.camera.size_px <= 8192,
            "focal_px > 0 and size_px of 1 to 8192",
            (manifest.camera.focal_px, manifest.camera.size_px),
        ),
        (
            "camera.camera_from_avatar",
            len(matrix) == 4 and all(len(row) == 4 for row in matrix) and _is_translation(matrix),
            "a 4 x 4 translation",
            matrix,
        ),
        (
            "torso_origin_avatar_m",
            len(manifest.torso_origin_avatar_m) == 3,
            "3 values",
            manifest.torso_origin_avatar_m,
        ),
        (
            "quantisation",
            len(box.position_min_m) == len(box.position_max_m) == 3
            and all(a < b for a, b in zip(box.position_min_m, box.position_max_m, strict=True))
            and box.log_scale_min < box.log_scale_max,
            "minima < maxima",
            box,
        ),
        ("conventions", manifest.conventions == CONVENTIONS, "those of this format", "others"),
    )
    for field, holds, expected, got in rules:
        if not holds:
            raise InputError(f"{where}: {field}: expected {expected}, got {got}. Export the avatar again.")
    problem = manifest.seen.problem({c.name: (c.low, c.high) for c in manifest.controls})
    if problem or (manifest.format_version == 1 and manifest.seen != NOTHING_SEEN):
        raise InputError(f"{where}: seen: {problem or 'expected nothing in format 1'}. Export the avatar again.")


def _all_within(values: tuple[int, ...], low: int, high: int) -> bool:
    return all(low <= v <= high for v in values)


def _is_translation(matrix: tuple[tuple[float, ...], ...]) -> bool:
    identity = tuple(tuple(float(i == j) for j in range(4)) for i in range(4))
    return all(matrix[i][j] == identity[i][j] for i in range(4) for j in range(4) if j < 3 or i == 3)
