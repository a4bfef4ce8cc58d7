"""The demo character's videos with sound and exact tracks: sentences in, NAME.mp4 and its truth out."""

from __future__ import annotations

import multiprocessing
import queue
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from PIL import Image

from gstalker.kernels.camera import Camera, intrinsics
from gstalker.runtime.dataset import FPS, LANDMARKS, Tracks
from gstalker.runtime.demo_character.blendshapes import BLENDSHAPE_NAMES, blendshapes
from gstalker.runtime.demo_character.character import build_character
from gstalker.runtime.demo_character.controls import CharacterPose, FaceControls, MouthControls
from gstalker.runtime.demo_character.motion import Motion, MotionConfig, make_motion, torso_pivot_px
from gstalker.runtime.demo_character.picture import FOCAL_IN_SIZES, TORSO_DEPTH_M, backdrop, render_picture
from gstalker.runtime.demo_character.speech import Phoneme, Speech, VoiceConfig, speak
from gstalker.runtime.demo_character.visemes import mouth_track, segments
from gstalker.runtime.errors import InputError
from gstalker.runtime.poses import camera_from_torso
from gstalker.runtime.prepare.sidecar import Sidecar, write_sidecar

LEAD_S, TAIL_S = 0.24, 0.32  # silence before and after the voice
SOUND_RATE_HZ = 48_000
SMALLEST_PX, LARGEST_PX = 64, 2048

Progress = Callable[[int, int], None]  # frames drawn so far, frames in all

# Every sound of English several times, closures and round vowels in many neighbourhoods.
SENTENCES = (
    "My brother bought five blue boxes by the bay.",
    "She thinks you should choose the other window.",
    "Put the warm pie above the fire before Polly.",
    "Maybe the pilot will move his boat to the harbor.",
    "Seven zebras jumped the fence and vanished.",
    "How far would Emma walk for a bowl of soup?",
    "We love smooth, round pebbles along the path.",
    "The judge was happy to measure the garage.",
    "Both families have seen puffins near Black Rock.",
    "Why don't you wear the vest to Bob's party?",
)


@dataclass(frozen=True)
class DemoCharacterConfig:
    size_px: int = 256  # width and height of the video
    clips: int = 10  # one sentence each
    seed: int = 0
    supersample: int = 2  # samples per pixel edge
    crf: int = 12  # quality of the H.264 video; lower is better
    processes: int = 2
    motion: MotionConfig = field(default_factory=MotionConfig)
    voice: VoiceConfig = field(default_factory=VoiceConfig)
    sentences: tuple[str, ...] = SENTENCES  # said in turn, from the start again when there are more clips


def make_clips(config: DemoCharacterConfig, out_dir: Path, progress: Progress | None = None) -> list[Path]:
    """Make the videos, each with NAME.tracks.safetensors, NAME.matte.mkv and NAME.plate.png beside it.

    The same configuration makes the same pictures and tracks. Programs that call this with more than one
    process need the usual `if __name__ == "__main__"` guard.

    Returns:
        The videos, in order.

    Raises:
        InputError: an option is out of range, or espeak-ng is missing or failed.
    """
    _check(config)
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    said = tuple(config.sentences[i % len(config.sentences)] for i in range(config.clips))
    spoken = speak(said, config.voice)
    jobs = [
        (config, out_dir / f"character_{i:02d}.mp4", speech, config.seed * 1000 + i) for i, speech in enumerate(spoken)
    ]
    total = sum(frame_count(speech) for speech in spoken)
    if config.processes == 1 or len(jobs) == 1:
        drawn = 0
        for job in jobs:
            for _ in make_clip(*job):
                drawn += 1
                if progress:
                    progress(drawn, total)
    else:
        _in_processes(jobs, min(config.processes, len(jobs)), total, progress)
    return [video for _, video, _, _ in jobs]


def _check(config: DemoCharacterConfig) -> None:
    if not SMALLEST_PX <= config.size_px <= LARGEST_PX or config.size_px % 2:
        raise InputError(f"size: expected an even number from {SMALLEST_PX} to {LARGEST_PX} px, got {config.size_px}.")
    for name, value in (("clips", config.clips), ("processes", config.processes), ("supersample", config.supersample)):
        if value < 1:
            raise InputError(f"{name}: expected 1 or more, got {value}.")
    if not 0 <= config.motion.max_yaw_deg <= 60:
        raise InputError(f"max yaw: expected 0 to 60 degrees, got {config.motion.max_yaw_deg}.")
    if not config.sentences or not all(s.strip() for s in config.sentences):
        raise InputError("sentences: expected at least one, each with words in it, got an empty one.")


def _in_processes(jobs: list[tuple], workers: int, total: int, progress: Progress | None) -> None:
    context = multiprocessing.get_context("spawn")  # the same on every system, and numba's threads stay apart
    news = context.Queue()
    # Longest first, each to the worker that has least to do.
    shares: list[list[tuple]] = [[] for _ in range(workers)]
    for job in sorted(jobs, key=lambda j: -len(j[2].samples)):
        min(shares, key=lambda s: sum(len(j[2].samples) for j in s)).append(job)
    processes = [context.Process(target=_work, args=(share, news), daemon=True) for share in shares]
    for process in processes:
        process.start()
    drawn, working = 0, workers
    try:
        while working:
            try:
                message = news.get(timeout=1.0)
            except queue.Empty:
                dead = [p.exitcode for p in processes if p.exitcode]
                if dead:
                    raise RuntimeError(f"a drawing process ended with code {dead[0]}") from None
                continue
            if message == "frame":
                drawn += 1
                if progress:
                    progress(drawn, total)
            elif message == "done":
                working -= 1
            else:
                raise RuntimeError(f"a drawing process failed: {message}")
    finally:
        for process in processes:
            if working:
                process.terminate()
            process.join()


def _work(jobs: list[tuple], news: multiprocessing.Queue) -> None:
    """Body of a drawing process."""
    try:
        for job in jobs:
            for _ in make_clip(*job):
                news.put("frame")
        news.put("done")
    except Exception as error:
        news.put(f"{type(error).__name__}: {error}")
        raise


def frame_count(speech: Speech) -> int:
    """Frames of a clip with its silences."""
    return int(np.ceil((LEAD_S + len(speech.samples) / speech.rate_hz + TAIL_S) * FPS))


@dataclass(frozen=True)
class Script:
    """What the character does in a clip of T frames."""

    mouth: tuple[MouthControls, ...]
    motion: Motion


def write_script(speech: Speech, seed: int, size_px: int, motion: MotionConfig) -> Script:
    """Mouth from the phonemes, the rest from the seed."""
    times_s = np.arange(frame_count(speech)) / FPS
    phonemes = [replace(p, start_s=p.start_s + LEAD_S, end_s=p.end_s + LEAD_S) for p in speech.phonemes]
    end_s = phonemes[-1].end_s
    padded = (Phoneme("", 0.0, phonemes[0].start_s), *phonemes, Phoneme("", end_s, max(end_s, float(times_s[-1]))))
    moved = make_motion(times_s, [p.start_s for p in phonemes if p.stressed], seed, size_px, motion)
    track = mouth_track(segments(padded), times_s)
    mouths = [MouthControls.from_vector(row) for row in track]
    smiling = tuple(replace(m, smile=float(s) * (1 - m.pucker)) for m, s in zip(mouths, moved.smile, strict=True))
    return Script(smiling, moved)


def clip_camera(size_px: int) -> Camera:
    """The fixed camera of every clip."""
    return Camera(np.eye(4), intrinsics(FOCAL_IN_SIZES * size_px, size_px, size_px), size_px, size_px)


def make_clip(config: DemoCharacterConfig, video: Path, speech: Speech, seed: int):
    """Draw one clip and write it with its truth; yields after each frame."""
    size, character = config.size_px, build_character()
    script = write_script(speech, seed, size, config.motion)
    count, camera, plate = len(script.mouth), clip_camera(size), backdrop(size, size)
    torso = camera_from_torso(
        script.motion.torso_motion, torso_pivot_px(size), TORSO_DEPTH_M, FOCAL_IN_SIZES * size, size
    )
    landmarks_px = np.empty((count, LANDMARKS, 2), np.float32)
    mattes = np.empty((count, size, size), np.uint8)
    unfinished = video.with_suffix(".part.mp4")
    with av.open(str(unfinished), "w", format="mp4") as container:
        picture_stream = container.add_stream("libx264", rate=FPS)
        picture_stream.width = picture_stream.height = size
        picture_stream.pix_fmt = "yuv420p"
        picture_stream.options = {"crf": str(config.crf), "preset": "medium"}
        sound_stream = container.add_stream("aac", rate=SOUND_RATE_HZ, layout="mono")
        sound_stream.bit_rate = 160_000
        for i in range(count):
            pose = CharacterPose(script.motion.camera_from_head[i], torso[i], script.mouth[i], script.motion.face[i])
            drawn = render_picture(pose, camera, plate, config.supersample, character)
            landmarks_px[i], mattes[i] = drawn.landmarks_px, drawn.matte
            container.mux(picture_stream.encode(av.VideoFrame.from_ndarray(drawn.rgb, format="rgb24")))
            yield i
        container.mux(picture_stream.encode(None))
        _write_sound(container, sound_stream, _with_silence(speech, count))
    tracks = Tracks(
        camera_from_head=script.motion.camera_from_head.astype(np.float32),
        pose_confidence=np.ones(count, np.float32),
        landmarks_px=landmarks_px,
        blendshapes=np.stack([blendshapes(m, f) for m, f in zip(script.mouth, script.motion.face, strict=True)]),
        torso_motion=script.motion.torso_motion.astype(np.float32),
        torso_stretch=np.zeros((count, 3), np.float32),
    )
    sidecar = Sidecar(
        tracks=tracks,
        landmarks_head_m=character.landmarks_head_m(MouthControls(), FaceControls()).astype(np.float32),
        size_px=size,
        focal_px=FOCAL_IN_SIZES * size,
        torso_pivot_px=torso_pivot_px(size),
        torso_depth_m=TORSO_DEPTH_M,
        blendshape_names=BLENDSHAPE_NAMES,
    )
    write_sidecar(video, sidecar, mattes)
    Image.fromarray(np.round(plate * 255).astype(np.uint8)).save(video.with_suffix(".plate.png"))
    unfinished.replace(video)  # the video appears last, complete


def _with_silence(speech: Speech, frames: int) -> np.ndarray:
    """(S,) float32 at SOUND_RATE_HZ, exactly as long as the pictures."""
    total = frames * SOUND_RATE_HZ // FPS
    at = (np.arange(total) / SOUND_RATE_HZ - LEAD_S) * speech.rate_hz
    return np.interp(at, np.arange(len(speech.samples)), speech.samples, left=0.0, right=0.0).astype(np.float32)


def _write_sound(container: OutputContainer, stream: AudioStream, samples: np.ndarray) -> None:
    block = 1024
    for start in range(0, len(samples), block):
        frame = av.AudioFrame.from_ndarray(samples[None, start : start + block], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = SOUND_RATE_HZ, start
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
