"""The dataset on disk: what `prepare` writes and `train` and `eval` read. Needs no torch.

DATASET/
  dataset.json                 this module's `DatasetManifest`
  contact_sheet.png            one picture a person can check at a glance
  head.safetensors             landmarks_head_m (478, 3)
  clips/NAME/frames.mkv        FFV1, RGB, size x size, 25 fps, lossless
  clips/NAME/matte.mkv         FFV1, grey: 255 person, 0 backdrop
  clips/NAME/plate.png         the clip's own backdrop without the person
  clips/NAME/plate_seen.png    255 where the plate was seen, 0 where it is a guess; datasets of old have none
  clips/NAME/tracks.safetensors  `Tracks`
  clips/NAME/audio.wav         16 kHz mono PCM 16
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError
from PIL import Image
from safetensors.numpy import load_file, save_file

from gstalker.runtime.errors import InputError

FORMAT_VERSION = 1
FPS = 25
AUDIO_RATE_HZ = 16_000
LANDMARKS = 478


@dataclass(frozen=True)
class ClipEntry:
    """One uninterrupted take."""

    name: str
    split: str  # "train" or "test"; a clip is never shared
    frame_count: int
    source: str  # file name of the video it came from, without its folder
    notes: tuple[str, ...] = ()  # what prepare changed: resampled, turned, split at a cut


@dataclass(frozen=True)
class DatasetManifest:
    """`dataset.json`."""

    format_version: int
    size_px: int  # pictures are size x size
    focal_px: float  # assumed focal length; the principal point is the middle
    fps: int
    audio_rate_hz: int
    blendshape_names: tuple[str, ...]  # 52 ARKit names, the columns of Tracks.blendshapes
    tracker: str  # "mediapipe" or "exact" (a made character with known truth)
    backdrop: str  # "chroma" or "matte": how person and backdrop were told apart
    torso_pivot_px: tuple[float, float]  # the point that Tracks.torso_motion turns about
    torso_depth_m: float  # distance of the torso plane from the camera
    reference_clip: str  # the frame whose torso motion is zero, and from which training starts
    reference_frame: int
    clips: tuple[ClipEntry, ...]


@dataclass(frozen=True)
class Tracks:
    """What was measured on each of a clip's T frames.

    Attributes:
        camera_from_head: (T, 4, 4) float32 rigid pose of the head, metres (docs/conventions.md).
        pose_confidence: (T,) float32 in 0..1; 0 where no face was found and the pose is carried over.
        landmarks_px: (T, 478, 2) float32 in MediaPipe's order; NaN for those that a tracker does not know.
            The groups of `runtime.landmarks` are always finite.
        blendshapes: (T, 52) float32 in 0..1, columns named in the manifest.
        torso_motion: (T, 3) float32 (dx_px, dy_px, angle_rad): the rigid motion in the picture plane that
            takes the reference frame's torso to this frame's, the turn about torso_pivot_px.
        torso_stretch: (T, 3) float32 stretch along x, along y, and shear, before that motion, each 0 for none: how a
            torso that leans or turns departs from it. Zeros where nobody looked.
    """

    camera_from_head: np.ndarray
    pose_confidence: np.ndarray
    landmarks_px: np.ndarray
    blendshapes: np.ndarray
    torso_motion: np.ndarray
    torso_stretch: np.ndarray

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Tracks:
        """Arrays as a file holds them; one from before stretches were looked for has none.

        Raises:
            KeyError, TypeError: arrays are missing, or there are others besides.
        """
        unstretched = np.zeros_like(arrays["torso_motion"])
        return cls(**{"torso_stretch": unstretched, **arrays})


@dataclass(frozen=True)
class Clip:
    """A clip in memory.

    Attributes:
        rgb: (T, H, W, 3) uint8.
        matte: (T, H, W) uint8, 255 where the person is.
        plate: (H, W, 3) uint8 backdrop.
        plate_seen: (H, W) bool, false where the person hid the backdrop in every frame; None where it is not known.
        samples: (S,) float32 speech at 16 kHz, -1..1; frame t is shown at sample 640 t.
    """

    entry: ClipEntry
    rgb: np.ndarray
    matte: np.ndarray
    plate: np.ndarray
    tracks: Tracks
    samples: np.ndarray
    plate_seen: np.ndarray | None = None


class Dataset:
    """A prepared dataset, opened for reading."""

    def __init__(self, folder: Path) -> None:
        """Read the manifest.

        Raises:
            InputError: no dataset there, or one written by another format version.
        """
        self.folder = Path(folder)
        self.manifest = read_manifest(self.folder)
        head = load_file(self.folder / "head.safetensors")
        self.landmarks_head_m: np.ndarray = head["landmarks_head_m"]  # (478, 3) mean face, head space

    def clips(self, split: str) -> list[ClipEntry]:
        """Entries of 'train' or 'test'."""
        return [c for c in self.manifest.clips if c.split == split]

    def clip_folder(self, name: str) -> Path:
        return self.folder / "clips" / name

    def tracks(self, name: str) -> Tracks:
        return Tracks.from_arrays(load_file(self.clip_folder(name) / "tracks.safetensors"))

    def samples(self, name: str) -> np.ndarray:
        """(S,) float32 speech of a clip, 16 kHz."""
        with av.open(str(self.clip_folder(name) / "audio.wav")) as container:
            blocks = [f.to_ndarray().ravel() for f in container.decode(audio=0)]
        return np.concatenate(blocks).astype(np.float32) / 32768.0

    def load(self, name: str) -> Clip:
        """Decode a whole clip into memory."""
        folder = self.clip_folder(name)
        entry = next(c for c in self.manifest.clips if c.name == name)
        return Clip(
            entry=entry,
            rgb=read_lossless_video(folder / "frames.mkv", "rgb24", entry.frame_count),
            matte=read_lossless_video(folder / "matte.mkv", "gray", entry.frame_count),
            plate=np.asarray(Image.open(folder / "plate.png").convert("RGB")),
            tracks=self.tracks(name),
            samples=self.samples(name),
            plate_seen=read_plate_seen(folder / "plate_seen.png"),
        )


def read_plate_seen(path: Path) -> np.ndarray | None:
    """(H, W) bool of a clip's `plate_seen.png`; None where there is none."""
    return np.asarray(Image.open(path).convert("L")) >= 128 if path.is_file() else None


def read_manifest(folder: Path) -> DatasetManifest:
    """Read and check `dataset.json`.

    Raises:
        InputError: missing, unreadable, or of another version.
    """
    path = Path(folder) / "dataset.json"
    if not path.is_file():
        raise InputError(f"{folder}: expected a dataset with dataset.json, found none. Run `gstalker prepare` first.")
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        version = fields["format_version"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise InputError(f"{path}: expected the JSON of a dataset, got something else ({error}).") from error
    if version != FORMAT_VERSION:
        raise InputError(
            f"{path}: expected dataset format {FORMAT_VERSION}, got {version}. "
            "Run `gstalker prepare` again with this version of gstalker."
        )
    expected = {f.name for f in dataclasses.fields(DatasetManifest)}
    if set(fields) != expected:
        raise InputError(f"{path}: expected the fields {sorted(expected)}, got {sorted(fields)}. Prepare it again.")
    entries = tuple(ClipEntry(**{**c, "notes": tuple(c["notes"])}) for c in fields.pop("clips"))
    names = tuple(fields.pop("blendshape_names"))
    pivot = tuple(fields.pop("torso_pivot_px"))
    return DatasetManifest(**fields, clips=entries, blendshape_names=names, torso_pivot_px=pivot)


def write_manifest(folder: Path, manifest: DatasetManifest, landmarks_head_m: np.ndarray) -> None:
    """Write `head.safetensors`, then `dataset.json`, whose presence makes the dataset complete."""
    head = {"landmarks_head_m": np.ascontiguousarray(landmarks_head_m, np.float32)}
    save_file(head, Path(folder) / "head.safetensors")
    text = json.dumps(dataclasses.asdict(manifest), indent=1)
    (Path(folder) / "dataset.json").write_text(text + "\n", encoding="utf-8")


def write_clip(dataset_folder: Path, clip: Clip) -> None:
    """Write one clip's folder."""
    folder = Path(dataset_folder) / "clips" / clip.entry.name
    folder.mkdir(parents=True, exist_ok=True)
    write_lossless_video(folder / "frames.mkv", clip.rgb, "rgb24")
    write_lossless_video(folder / "matte.mkv", clip.matte, "gray")
    Image.fromarray(clip.plate).save(folder / "plate.png")
    if clip.plate_seen is not None:
        Image.fromarray(clip.plate_seen.astype(np.uint8) * 255).save(folder / "plate_seen.png")
    arrays = {f.name: getattr(clip.tracks, f.name) for f in dataclasses.fields(Tracks)}
    save_file({k: np.ascontiguousarray(v, np.float32) for k, v in arrays.items()}, folder / "tracks.safetensors")
    write_wav(folder / "audio.wav", clip.samples)


def write_wav(path: Path, samples: np.ndarray, rate_hz: int = AUDIO_RATE_HZ) -> None:
    """Write mono float samples (-1..1) as PCM 16."""
    pcm = np.clip(np.round(np.asarray(samples) * 32767.0), -32768, 32767).astype(np.int16)
    with av.open(str(path), "w", format="wav") as container:
        stream = container.add_stream("pcm_s16le", rate=rate_hz, layout="mono")
        frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
        frame.sample_rate = rate_hz
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def write_lossless_video(path: Path, pictures: np.ndarray, pixel_format: str) -> None:
    """Write (T, H, W[, 3]) uint8 pictures as FFV1; `read_lossless_video` gives the same bytes back."""
    stored = {"rgb24": "bgr0", "gray": "gray"}[pixel_format]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=FPS)
        stream.height, stream.width = pictures.shape[1:3]
        stream.pix_fmt = stored
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format=pixel_format)
            container.mux(stream.encode(frame.reformat(format=stored)))
        container.mux(stream.encode(None))


def read_lossless_video(path: Path, pixel_format: str, frame_count: int) -> np.ndarray:
    """(T, H, W[, 3]) uint8 pictures.

    Raises:
        InputError: the file is missing, cannot be read or holds another number of frames.
    """
    try:
        with av.open(str(path)) as container:
            pictures = [f.to_ndarray(format=pixel_format) for f in container.decode(video=0)]
    except (OSError, FFmpegError) as error:
        raise InputError(f"{path}: expected a video of {frame_count} frames, could not read it ({error}).") from error
    if len(pictures) != frame_count:
        raise InputError(f"{path}: expected {frame_count} frames, got {len(pictures)}. Prepare the dataset again.")
    return np.stack(pictures)
