from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.portrait_video import Drawing, SkinTracker, draw, face_points, write_video
from PIL import Image

from gstalker.runtime.dataset import FPS, Dataset
from gstalker.runtime.errors import InputError
from gstalker.runtime.landmarks import GROUPS
from gstalker.runtime.prepare.pipeline import PrepareConfig, prepare

SIZE_PX = 64


def moving(count: int, start: float = 0.0) -> list[np.ndarray]:
    """A face that drifts to and fro over a still torso."""
    phase = start + np.arange(count) / 8
    return [
        draw(Drawing(face_px=(80 + 4 * np.sin(p), 56 + 2 * np.cos(p)), torso_px=(np.sin(p / 2), 0.0))) for p in phase
    ]


def config(tmp_path: Path, *videos: Path, **changes: object) -> PrepareConfig:
    return PrepareConfig(videos=videos, out=tmp_path / "data", size_px=SIZE_PX, jobs=1, **changes)  # type: ignore[arg-type]


def left_behind(tmp_path: Path) -> list[str]:
    return sorted(p.name for p in tmp_path.iterdir() if p.is_dir())


def test_two_videos_become_a_complete_dataset(tmp_path: Path, output_dir: Path):
    a = write_video(tmp_path / "a.mp4", moving(40))
    b = write_video(tmp_path / "b.mp4", moving(30, start=2.0))
    steps: list[tuple[str, int, int]] = []
    folder = prepare(config(tmp_path, a, b), lambda *args: steps.append(args), SkinTracker())

    assert left_behind(tmp_path) == ["data"]
    dataset = Dataset(folder)
    manifest = dataset.manifest
    assert [(c.name, c.split, c.frame_count) for c in manifest.clips] == [("a", "train", 40), ("b", "test", 30)]
    assert (manifest.tracker, manifest.backdrop, manifest.reference_clip) == ("mediapipe", "chroma", "a")
    assert manifest.focal_px == pytest.approx(2.2 * SIZE_PX)
    assert dataset.landmarks_head_m.shape == (478, 3)
    for entry in manifest.clips:
        clip = dataset.load(entry.name)
        assert clip.rgb.shape == (entry.frame_count, SIZE_PX, SIZE_PX, 3)
        assert clip.samples.shape == (entry.frame_count * 640,)
        for name, indices in GROUPS.items():
            assert np.isfinite(clip.tracks.landmarks_px[:, indices]).all(), name
        assert clip.tracks.pose_confidence.min() > 0.9
        centre = clip.tracks.landmarks_px[0].mean(axis=0).astype(int)
        assert clip.matte[0, centre[1], centre[0]] == 255
        assert clip.matte[0, 2, 2] == 0
    zero = dataset.tracks("a").torso_motion[manifest.reference_frame]
    assert np.abs(zero[:2]).max() < 0.1, "the reference frame's own torso moved"
    sheet = Image.open(folder / "contact_sheet.png")
    assert sheet.height > 200
    sheet.save(output_dir / "contact_sheet.png")

    for step in ("finding the face", "cutting out the person"):
        done = [(n, total) for s, n, total in steps if s == step]
        assert done[0][0] == 0
        assert done[-1] == (70, 70)
        assert [n for n, _ in done] == sorted(n for n, _ in done)


def test_a_single_video_is_cut_in_two_in_time(tmp_path: Path):
    video = write_video(tmp_path / "only.mp4", moving(80))
    dataset = Dataset(prepare(config(tmp_path, video), face_tracker=SkinTracker()))
    train, test = dataset.manifest.clips
    assert (train.split, test.split) == ("train", "test")
    assert (train.frame_count, test.frame_count) == (80 - FPS, FPS)
    assert "one take, cut 2.20 s after its start" in train.notes[0]
    last, first = dataset.load(train.name), dataset.load(test.name)
    assert last.samples.shape == (55 * 640,)
    assert first.samples.shape == (25 * 640,)
    assert np.abs(last.rgb[-1].astype(int) - first.rgb[0]).max() > 0, "a frame is in both"


def test_a_split_file_decides_and_names_no_clip_twice(tmp_path: Path):
    videos = [write_video(tmp_path / f"{n}.mp4", moving(26)) for n in "ab"]
    split = tmp_path / "split.json"
    split.write_text(json.dumps({"train": ["b"], "test": ["a"]}))
    dataset = Dataset(prepare(config(tmp_path, *videos, split=split), face_tracker=SkinTracker()))
    assert [(c.name, c.split) for c in dataset.manifest.clips] == [("a", "test"), ("b", "train")]
    assert dataset.manifest.reference_clip == "b", "training must not start from a test clip"


def test_an_existing_dataset_is_kept_unless_told_otherwise(tmp_path: Path):
    video = write_video(tmp_path / "a.mp4", moving(60))
    folder = prepare(config(tmp_path, video), face_tracker=SkinTracker())
    (folder / "mark.txt").write_text("the old one")
    with pytest.raises(InputError, match="expected a new folder, it is there already"):
        prepare(config(tmp_path, video), face_tracker=SkinTracker())
    assert (folder / "mark.txt").exists()
    prepare(config(tmp_path, video, overwrite=True), face_tracker=SkinTracker())
    assert not (folder / "mark.txt").exists()
    assert (folder / "dataset.json").exists()


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_something_else_than_a_dataset_is_never_overwritten(tmp_path: Path, kind: str):
    out = tmp_path / "data"
    precious = out / "mine.txt" if kind == "folder" else out
    precious.parent.mkdir(exist_ok=True)
    precious.write_text("precious")
    with pytest.raises(InputError, match="expected a dataset to overwrite, found something else"):
        prepare(config(tmp_path, tmp_path / "a.mp4", overwrite=True), face_tracker=SkinTracker())
    assert precious.read_text() == "precious"


def test_a_failure_half_way_leaves_nothing_and_keeps_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    video = write_video(tmp_path / "a.mp4", moving(60))
    folder = prepare(config(tmp_path, video), face_tracker=SkinTracker())
    before = (folder / "dataset.json").read_bytes()

    def full_disk(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gstalker.runtime.prepare.pipeline.write_manifest", full_disk)
    with pytest.raises(OSError, match="No space left"):
        prepare(config(tmp_path, video, overwrite=True), face_tracker=SkinTracker())
    assert left_behind(tmp_path) == ["data"]
    assert (folder / "dataset.json").read_bytes() == before


def test_a_busy_backdrop_needs_a_matte_model_and_says_so(tmp_path: Path):
    video = write_video(tmp_path / "a.mp4", [draw(Drawing(backdrop="bricks"))] * 60)
    with pytest.raises(InputError, match=r"a\.mp4: expected a plain coloured backdrop.*Give --matte-model an ONNX"):
        prepare(config(tmp_path, video), face_tracker=SkinTracker())
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize(
    ("drawing", "message"),
    [
        (Drawing(face=False), "expected a face, found none in 60 frames"),
        (Drawing(face_px=(50, 50), second_face_px=(115, 50)), "expected one face, found 2 in 100% of the frames"),
    ],
)
def test_no_face_or_several_are_refused_and_nothing_is_left(tmp_path: Path, drawing: Drawing, message: str):
    video = write_video(tmp_path / "a.mp4", [draw(drawing)] * 60)
    with pytest.raises(InputError, match=message):
        prepare(config(tmp_path, video), face_tracker=SkinTracker())
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size_px": 63}, "--size-px: expected an even number of at least 64, got 63"),
        ({"focal_px": -1.0}, "--focal-px: expected a positive focal length, got -1.0"),
        ({"jobs": 0}, "--jobs: expected at least 1 process, got 0"),
        ({"videos": ()}, "expected at least one portrait video, got none"),
        ({"videos": (Path("x/a.mp4"), Path("y/a.mov"))}, "expected different file names, got 'a' twice"),
    ],
)
def test_options_out_of_range_are_refused_before_any_work(tmp_path: Path, changes: dict, message: str):
    fields = {"videos": (Path("a.mp4"),), "out": tmp_path / "data", **changes}
    with pytest.raises(InputError, match=message):
        prepare(PrepareConfig(**fields))


def test_a_face_lost_for_a_moment_is_carried_over_without_confidence(tmp_path: Path):
    pictures = moving(60)
    for i in (20, 21):
        pictures[i] = draw(Drawing(face=False))
    video = write_video(tmp_path / "a.mp4", pictures)
    dataset = Dataset(prepare(config(tmp_path, video), face_tracker=SkinTracker()))
    tracks = dataset.tracks("a_000")
    assert tracks.pose_confidence[[20, 21]].tolist() == [0, 0]
    assert tracks.pose_confidence[[18, 23]].min() > 0.9
    np.testing.assert_array_equal(tracks.landmarks_px[20], tracks.landmarks_px[19])
    np.testing.assert_array_equal(tracks.landmarks_px[21], tracks.landmarks_px[22])


def test_landmarks_land_on_the_face_in_the_cropped_picture(tmp_path: Path):
    video = write_video(tmp_path / "a.mp4", [draw(Drawing(face_px=(70.0, 60.0)))] * 50)
    dataset = Dataset(prepare(config(tmp_path, video), face_tracker=SkinTracker()))
    clip = dataset.load("a_000")
    skin = np.abs(clip.rgb[0].astype(int) - (224, 172, 105)).max(axis=-1) < 40
    rows, columns = np.nonzero(skin)
    middle = np.array([columns.mean() + 0.5, rows.mean() + 0.5])
    shape = face_points((0.0, 0.0), (1.0, 1.0))[:, :2]
    half = np.array([np.ptp(columns) + 1, np.ptp(rows) + 1]) / 2
    # Half a pixel of the crop: the tracker reads whole pixels of the larger video.
    assert np.abs(clip.tracks.landmarks_px[0] - (middle + shape * half)).max() < 1.0
