"""Bundles: what is written reads back, and every way a bundle can be wrong is refused with its reason."""

from __future__ import annotations

import dataclasses
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from made_bundle import made_bundle, write_made_bundle

from gstalker.runtime import bundle_files
from gstalker.runtime.bundle import AvatarBundle, write_bundle
from gstalker.runtime.bundle_files import FILE_NAMES, entry_of
from gstalker.runtime.bundle_manifest import manifest_json
from gstalker.runtime.errors import InputError
from gstalker.runtime.seen import NOTHING_SEEN, Emotion, Seen, SeenRange

RANGE = {"name": "browInnerUp", "unit": "weight", "low": 0.0, "middle": 0.1, "high": 0.9, "control": True}
SAD = {"name": "sad", "support": 0.5, "targets": {"browInnerUp": 0.8}}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "made.gsavatar"
    write_made_bundle(path)
    return path


@pytest.fixture
def copied(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "a.gsavatar"))


def edit_manifest(folder: Path, change) -> None:
    """Apply `change` to the parsed avatar.json."""
    path = folder / "avatar.json"
    fields = json.loads(path.read_text(encoding="utf-8"))
    change(fields)
    path.write_text(json.dumps(fields), encoding="utf-8")


def replace_file(folder: Path, name: str, data: bytes) -> None:
    """Swap a file and make the manifest agree, as a careless or hostile exporter would."""
    (folder / name).write_bytes(data)
    edit_manifest(folder, lambda m: m["files"].update({name: dataclasses.asdict(entry_of(data))}))


def zip_folder(folder: Path, path: Path, prefix: str = "") -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, prefix + file.relative_to(folder).as_posix())


def test_a_bundle_reads_back_as_it_was(written: Path):
    made, read = made_bundle(), AvatarBundle.open(written)
    for name in ("part_ids", "first_layer", "gates", "torso_first_layer", "thumbnail_rgb", "plate_rgb"):
        np.testing.assert_array_equal(getattr(read, name), getattr(made, name))
    for group in ("idle", "golden"):
        for field in dataclasses.fields(getattr(made, group)):
            np.testing.assert_array_equal(
                getattr(getattr(read, group), field.name), getattr(getattr(made, group), field.name)
            )
    assert read.graphs == made.graphs
    assert dataclasses.replace(read.manifest, files={}) == made.manifest
    assert set(read.manifest.files) == set(FILE_NAMES)
    # The PLY holds avatar space, logits and logarithms: each costs a rounding of float32, 2^-24 of the value;
    # the torso moves by 0.12 m there and back, so 0.5 m bounds the value.
    np.testing.assert_allclose(read.canonical.means, made.canonical.means, atol=0.5 * 2.0**-23)
    np.testing.assert_allclose(read.canonical.scales, made.canonical.scales, rtol=1e-6)  # |log| <= 6, times 2^-24
    np.testing.assert_allclose(read.canonical.opacities, made.canonical.opacities, atol=1e-6)
    np.testing.assert_array_equal(read.canonical.sh_coeffs, made.canonical.sh_coeffs)
    turns = np.abs((read.canonical.quats_wxyz * made.canonical.quats_wxyz).sum(1))
    np.testing.assert_allclose(turns, 1, atol=1e-6)


def test_the_ply_puts_the_torso_at_its_place_below_the_head(written: Path):
    from plyfile import PlyData

    made = made_bundle()
    vertices = PlyData.read(written / "canonical.ply")["vertex"]
    placed = np.stack([vertices["x"], vertices["y"], vertices["z"]], axis=1)
    torso = made.part_ids == 1
    origin_m = np.array(made.manifest.torso_origin_avatar_m)
    np.testing.assert_array_equal(placed[~torso], made.canonical.means[~torso])
    np.testing.assert_allclose(placed[torso], made.canonical.means[torso] + origin_m, atol=1e-7)


def test_the_camera_looks_from_the_training_video(written: Path):
    camera = AvatarBundle.open(written).camera
    np.testing.assert_array_equal(camera.viewmat[:3, 3], [0, 0, 0.6])
    assert (camera.K[0, 0], camera.K[0, 2], camera.width_px, camera.height_px) == (128.0, 32.0, 64, 64)


def test_the_quantisation_box_holds_every_mover_with_room(written: Path):
    bundle = AvatarBundle.open(written)
    box, movers = bundle.quantisation_box, bundle.manifest.counts.movers
    assert (bundle.canonical.means[:movers] > box.position_min_m).all()
    assert (bundle.canonical.means[:movers] < box.position_max_m).all()
    assert np.log(bundle.canonical.scales[:movers]).min() > box.log_scale_min


@pytest.mark.parametrize("prefix", ["", "a.gsavatar/"])
def test_a_zip_of_the_folder_or_of_its_content_opens_as_the_same_bundle(written: Path, tmp_path: Path, prefix: str):
    zip_folder(written, tmp_path / "a.zip", prefix)
    assert AvatarBundle.open(tmp_path / "a.zip").manifest_sha256 == AvatarBundle.open(written).manifest_sha256


def test_a_bundle_written_as_a_zip_is_the_same_bundle_and_the_same_bytes_each_time(written: Path, tmp_path: Path):
    zipped = [write_made_bundle(tmp_path / f"{i}.gsavatar", zipped=True) for i in range(2)]
    assert zipped[0].manifest_sha256 == AvatarBundle.open(written).manifest_sha256
    assert (tmp_path / "0.gsavatar").read_bytes() == (tmp_path / "1.gsavatar").read_bytes()


def test_files_that_the_manifest_does_not_list_are_left_alone(copied: Path):
    (copied / "canonical.ply.meta").write_text("an engine's own note")
    AvatarBundle.open(copied)


@pytest.mark.parametrize("name", ["canonical.ply", "audio.onnx", "golden/output.safetensors", "plate.png"])
def test_one_changed_byte_is_found(copied: Path, name: str):
    data = bytearray((copied / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copied / name).write_bytes(bytes(data))
    with pytest.raises(InputError, match=f"{name}: expected the sha256 .* changed or damaged"):
        AvatarBundle.open(copied)


@pytest.mark.parametrize("name", ["torso.onnx", "golden/input.safetensors"])
def test_a_missing_file_is_named(copied: Path, name: str):
    (copied / name).unlink()
    with pytest.raises(InputError, match=f"expected the file {name}, it is missing"):
        AvatarBundle.open(copied)


@pytest.mark.parametrize(("change", "got"), [(b"\0", "more"), (None, r"\d+")])
def test_a_file_of_another_length_is_refused_before_it_is_read_in_full(copied: Path, change: bytes | None, got: str):
    path = copied / "baked.safetensors"
    path.write_bytes(path.read_bytes() + change if change else path.read_bytes()[:-1])
    with pytest.raises(InputError, match=rf"baked.safetensors: expected \d+ bytes, got {got}\. Copy the bundle again"):
        AvatarBundle.open(copied)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that opens but cannot be read")
def test_a_file_that_cannot_be_read_is_said(copied: Path):
    (copied / "canonical.ply").unlink()
    (copied / "canonical.ply").symlink_to("/proc/self/mem")
    with pytest.raises(InputError, match="expected an avatar bundle, a folder or a zip of one, could not read it"):
        AvatarBundle.open(copied)


@pytest.mark.parametrize("version", [0, 3, "1", None])
def test_another_format_version_is_refused_showing_both(copied: Path, version):
    edit_manifest(copied, lambda m: m.update(format_version=version))
    with pytest.raises(InputError, match=f"expected bundle format 1 or 2, got {version!r}"):
        AvatarBundle.open(copied)


def test_what_is_no_bundle_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="expected an avatar bundle, found nothing"):
        AvatarBundle.open(tmp_path / "absent.gsavatar")
    with pytest.raises(InputError, match=r"with avatar\.json, found none"):
        AvatarBundle.open(tmp_path)
    (tmp_path / "text.gsavatar").write_text("hello")
    with pytest.raises(InputError, match="a folder or a zip of one, could not read it"):
        AvatarBundle.open(tmp_path / "text.gsavatar")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(InputError, match=r"with avatar\.json, found none"):
        AvatarBundle.open(tmp_path / "other.zip")


def test_a_manifest_that_lists_other_files_is_refused(copied: Path):
    edit_manifest(copied, lambda m: m["files"].update({"../../secret": m["files"].pop("plate.png")}))
    with pytest.raises(InputError, match=r"files: expected the files of format 1, differs in \['../../secret', 'plate"):
        AvatarBundle.open(copied)


def test_a_bundle_over_the_size_cap_is_refused_by_what_it_declares(copied: Path):
    edit_manifest(copied, lambda m: m["files"]["plate.png"].update(size_bytes=600 << 20))
    with pytest.raises(InputError, match="expected at most 512 MiB of files, got 600"):
        AvatarBundle.open(copied)


def test_a_manifest_over_its_cap_is_refused(copied: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bundle_files, "MAX_MANIFEST_BYTES", 100)
    with pytest.raises(InputError, match=r"avatar\.json: expected at most 100 bytes"):
        AvatarBundle.open(copied)


def test_more_gaussians_than_the_cap_are_refused_by_the_manifest(copied: Path):
    edit_manifest(copied, lambda m: m["counts"].update(gaussians=2_000_001))
    with pytest.raises(InputError, match=r"counts\.gaussians: expected 1 to 2000000, got 2000001"):
        AvatarBundle.open(copied)


def test_a_zip_bomb_is_read_no_further_than_its_manifest_declares(written: Path, tmp_path: Path):
    folder = Path(shutil.copytree(written, tmp_path / "bomb"))
    (folder / "plate.png").write_bytes(bytes(50 << 20))
    zip_folder(folder, tmp_path / "bomb.zip")
    assert (tmp_path / "bomb.zip").stat().st_size < 1 << 20
    with pytest.raises(InputError, match=r"plate\.png: expected 215 bytes, got more"):
        AvatarBundle.open(tmp_path / "bomb.zip")


@pytest.mark.parametrize("name", ["/etc/passwd", "../outside.txt", "a/../../b", "C:\\windows\\x", "..\\x"])
def test_a_zip_with_a_path_that_leaves_it_is_refused(written: Path, tmp_path: Path, name: str):
    zip_folder(written, tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip", "a") as archive:
        archive.writestr(name, "x")
    with pytest.raises(InputError, match="expected file names inside the bundle, got"):
        AvatarBundle.open(tmp_path / "a.zip")


def test_a_zip_with_a_file_twice_or_with_two_bundles_or_too_many_files_is_refused(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    zip_folder(written, tmp_path / "twice.zip")
    with (
        pytest.warns(UserWarning, match="Duplicate name"),
        zipfile.ZipFile(tmp_path / "twice.zip", "a") as archive,
    ):
        archive.writestr("plate.png", "x")
    with pytest.raises(InputError, match="expected every file once in the zip"):
        AvatarBundle.open(tmp_path / "twice.zip")
    zip_folder(written, tmp_path / "two.zip")
    with zipfile.ZipFile(tmp_path / "two.zip", "a") as archive:
        archive.writestr("b.gsavatar/avatar.json", "{}")
    with pytest.raises(InputError, match="expected one avatar bundle in the zip, got 2"):
        AvatarBundle.open(tmp_path / "two.zip")
    monkeypatch.setattr(bundle_files, "MAX_ZIP_ENTRIES", 3)
    with pytest.raises(InputError, match="expected at most 3 files in the zip"):
        AvatarBundle.open(tmp_path / "two.zip")


@pytest.mark.parametrize("at", [0.2, 0.5, 0.9])
def test_a_damaged_zip_is_refused(tmp_path: Path, at: float):
    write_made_bundle(tmp_path / "a.gsavatar", zipped=True)
    data = (tmp_path / "a.gsavatar").read_bytes()
    (tmp_path / "a.gsavatar").write_bytes(data[: int(at * len(data))])
    with pytest.raises(InputError, match="could not read it"):
        AvatarBundle.open(tmp_path / "a.gsavatar")


def test_every_flipped_byte_of_a_zip_is_refused_or_harmless(tmp_path: Path):
    """No input makes the reader fail with anything but its own error."""
    write_made_bundle(tmp_path / "a.gsavatar", zipped=True, head_movers=5, torso_movers=3, static=2, golden_rows=1)
    data = (tmp_path / "a.gsavatar").read_bytes()
    for at in np.random.default_rng(0).integers(0, len(data), 150):
        changed = bytearray(data)
        changed[at] ^= 0xFF
        (tmp_path / "b.gsavatar").write_bytes(bytes(changed))
        try:
            AvatarBundle.open(tmp_path / "b.gsavatar")
        except InputError as error:
            if "b.gsavatar" not in str(error):
                raise


@pytest.mark.parametrize("name", FILE_NAMES)
def test_a_damaged_file_with_a_fitting_hash_is_refused_or_harmless(tmp_path: Path, name: str):
    """A hostile exporter can hash anything: the readers behind the hash fail with our error alone, too."""
    write_made_bundle(tmp_path / "a", head_movers=5, torso_movers=3, static=2, golden_rows=1)
    data = (tmp_path / "a" / name).read_bytes()
    rng = np.random.default_rng(1)
    for at in [*rng.integers(0, min(len(data), 300), 15), *rng.integers(0, len(data), 5)]:
        changed = bytearray(data)
        changed[at] ^= int(rng.integers(1, 256))
        replace_file(tmp_path / "a", name, bytes(changed))
        try:
            AvatarBundle.open(tmp_path / "a")
        except InputError as error:
            if name not in str(error) and str(tmp_path) not in str(error):
                raise


def set_at(fields: dict, path: str, value) -> None:
    *parents, last = path.split(".")
    for name in parents:
        fields = fields[name]
    fields[last] = value


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("name", " ", "name: expected a name"),
        ("name", 7, "name: expected a value of type str, got 7"),
        ("frame_rate_hz", 30, "frame_rate_hz: expected 25, got 30"),
        ("frame_rate_hz", True, "frame_rate_hz: expected a value of type int, got True"),
        ("counts.head_movers", 400, "counts: expected movers >= 0 and no more than Gaussians"),
        ("counts.head_movers", 300.0, "counts.head_movers: expected a value of type int"),
        ("sizes.hidden", 0, "sizes: expected widths of 1 to 4096"),
        ("sizes.sh_degree", 1, "sizes.sh_degree: expected 0, got 1"),
        ("controls", [], "controls: expected 9 of them, got 0"),
        ("controls", {}, "controls: expected a list"),
        ("audio.log_mel.mel_scale", "htk", "audio.log_mel: expected a front end that this version computes"),
        ("audio.left_mel_frames", 5000, "audio: expected a window of 1 to 2000 mel frames"),
        ("head_pose_range.low", [0.0], "head_pose_range: expected six values each"),
        ("camera.focal_px", -1.0, "camera: expected focal_px > 0"),
        ("camera.camera_from_avatar", [[1.0, 0, 0, 0]] * 4, "camera.camera_from_avatar: expected a 4 x 4 translation"),
        ("torso_origin_avatar_m", [1.0], "torso_origin_avatar_m: expected 3 values"),
        ("quantisation.position_min_m", [9.0, 9.0, 9.0], "quantisation: expected minima < maxima"),
        ("quantisation.log_scale_min", 1e999, "not a number|expected a finite float"),
        ("conventions.units", "inches", "conventions: expected those of this format"),
        ("conventions", [], "conventions: expected an object"),
        ("likeness.subject", None, "likeness.subject: expected a value of type str"),
        ("surprise", 1, "expected the fields format_version, generator"),
        ("counts.gaussians", 10**400, "counts.gaussians: expected 1 to 2000000"),
        ("camera.focal_px", 10**400, "camera.focal_px: expected a finite float"),
    ],
)
def test_a_manifest_with_a_field_that_cannot_be_is_refused(copied: Path, path: str, value, message: str):
    edit_manifest(copied, lambda m: set_at(m, path, value))
    with pytest.raises(InputError, match=message):
        AvatarBundle.open(copied)


@pytest.mark.parametrize(
    ("seen", "message"),
    [
        ({"ranges": []}, "seen: expected the fields ranges, emotions"),
        ({"ranges": [RANGE | {"middle": 2.0}], "emotions": []}, "seen: ranges: expected low <= middle <= high"),
        (
            {"ranges": [RANGE | {"unit": "inch"}], "emotions": []},
            "seen: ranges: expected low <= middle <= high in weight",
        ),
        ({"ranges": [], "emotions": [SAD, SAD]}, "seen: emotions: expected different names"),
        ({"ranges": [], "emotions": [SAD | {"name": ""}]}, "seen: emotions: expected different names of 1 to 64"),
        ({"ranges": [], "emotions": [SAD | {"support": 1.5}]}, "expected a support of 0 to 1, got 1.5 for sad"),
        ({"ranges": [], "emotions": [SAD | {"targets": {"browInnerUp": 0.95}}]}, "expected targets within the ranges"),
        ({"ranges": [], "emotions": [SAD | {"targets": {"jawOpen": 0.1}}]}, "got sad: jawOpen 0.1"),
    ],
)
def test_what_was_seen_must_fit_the_avatars_controls(copied: Path, seen: dict, message: str):
    edit_manifest(copied, lambda m: m.update(seen=seen))
    with pytest.raises(InputError, match=message):
        AvatarBundle.open(copied)


def test_a_bundle_of_format_1_is_read_as_one_in_which_nothing_was_kept_of_the_person(copied: Path):
    def to_version_1(manifest: dict) -> None:
        manifest["format_version"] = 1
        del manifest["seen"]

    edit_manifest(copied, to_version_1)
    bundle = AvatarBundle.open(copied)
    assert bundle.manifest.seen == NOTHING_SEEN
    assert json.loads(manifest_json(bundle.manifest)) == json.loads((copied / "avatar.json").read_text("utf-8"))
    edit_manifest(copied, lambda m: m.update(seen={"ranges": [RANGE], "emotions": []}))
    with pytest.raises(InputError, match="seen: expected nothing in format 1"):
        AvatarBundle.open(copied)


def test_what_was_seen_comes_back_as_it_was_written(tmp_path: Path):
    seen = Seen(
        (SeenRange("browInnerUp", "weight", 0.0, 0.1, 0.9, True),), (Emotion("sad", 0.5, {"browInnerUp": 0.8}),)
    )
    bundle = made_bundle()
    bundle = dataclasses.replace(bundle, manifest=dataclasses.replace(bundle.manifest, seen=seen))
    write_bundle(tmp_path / "a.gsavatar", bundle)
    assert AvatarBundle.open(tmp_path / "a.gsavatar").manifest.seen == seen


@pytest.mark.parametrize("text", ["", "[]", "{}", "{", "\xff\xfe", "[" * 100_000, '{"format_version": NaN}'])
def test_a_manifest_that_is_no_manifest_is_refused(copied: Path, text: str):
    (copied / "avatar.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match="expected the JSON of an avatar bundle"):
        AvatarBundle.open(copied)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("counts.gaussians", 479, r"canonical: expected float32 of shape \(479, 3\) as avatar.json says, got"),
        ("counts.head_movers", 299, r"first_layer: expected float32 of shape \(299, 64\)"),
        ("counts.torso_movers", 99, r"torso_first_layer: expected float32 of shape \(99, 32\)"),
        ("sizes.audio_code", 31, r"golden audio_code: expected float32 of shape \(3, 31\)"),
        ("audio.left_mel_frames", 30, r"golden mel_window: expected float32 of shape \(3, 58, 80\)"),
        ("camera.size_px", 65, r"plate: expected uint8 of shape \(65, 65, 3\)"),
    ],
)
def test_arrays_that_disagree_with_the_manifest_are_refused(copied: Path, path: str, value, message: str):
    edit_manifest(copied, lambda m: set_at(m, path, value))
    with pytest.raises(InputError, match=message):
        AvatarBundle.open(copied)


def with_array(bundle: AvatarBundle, name: str, value) -> AvatarBundle:
    group, _, field = name.rpartition(".")
    if not group:
        return dataclasses.replace(bundle, **{field: value})
    return dataclasses.replace(bundle, **{group: dataclasses.replace(getattr(bundle, group), **{field: value})})


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("first_layer", lambda a: a * np.float32(np.nan), "first_layer: expected finite values"),
        ("gates", lambda a: a.astype(np.float64), "gates: expected float32 of shape .* got float64"),
        (
            "part_ids",
            lambda a: a[::-1].copy(),
            "part_ids: expected 300 head movers .* then the rest, got another order",
        ),
        (
            "part_ids",
            lambda a: a + np.uint8(7),
            "part_ids: expected 300 head movers .* then the rest, got another order",
        ),
        ("idle.avatar_from_head", lambda a: a * np.float32(1.1), "idle_avatar_from_head: expected rigid transforms"),
        ("idle.expression", lambda a: a[:-1], "idle_avatar_from_head: expected float32 of shape"),
        ("golden.head_pose", lambda a: a[:-1], "golden head_pose: expected float32 of shape"),
        (
            "graphs",
            lambda g: {**g, "torso": g["audio"]},
            r"torso\.onnx: expected .* -> .*, got .* Export the avatar again",
        ),
        ("graphs", lambda g: {**g, "audio": b"no graph"}, r"audio\.onnx: expected an ONNX graph"),
    ],
)
def test_contents_that_do_not_fit_are_not_even_written(tmp_path: Path, name: str, change, message: str):
    bundle = made_bundle()
    value = bundle
    for part in name.split("."):
        value = getattr(value, part)
    with pytest.raises(InputError, match=message):
        write_bundle(tmp_path / "a.gsavatar", with_array(bundle, name, change(value)))
    assert list(tmp_path.iterdir()) == []


def test_an_avatar_without_idle_motion_or_golden_rows_is_refused(tmp_path: Path):
    bundle = made_bundle()
    empty = {f.name: getattr(bundle.golden, f.name)[:0] for f in dataclasses.fields(bundle.golden)}
    with pytest.raises(InputError, match="expected at least one idle frame and one golden row"):
        write_bundle(tmp_path / "a", dataclasses.replace(bundle, golden=dataclasses.replace(bundle.golden, **empty)))


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("baked.safetensors", b"none", r"baked\.safetensors: expected safetensors"),
        ("golden/input.safetensors", None, r"golden/input\.safetensors: expected the arrays"),
        ("plate.png", b"none", r"plate\.png: expected a PNG picture"),
        ("canonical.ply", b"none", r"canonical\.ply: expected a binary little-endian PLY"),
    ],
)
def test_a_file_of_another_kind_is_refused_even_with_a_fitting_hash(copied: Path, name: str, data, message: str):
    replace_file(copied, name, data or (copied / "baked.safetensors").read_bytes())
    with pytest.raises(InputError, match=message):
        AvatarBundle.open(copied)


def test_part_ids_of_another_cloud_are_refused(copied: Path, tmp_path: Path):
    write_made_bundle(tmp_path / "b", static=81)
    replace_file(copied, "canonical.ply", (tmp_path / "b" / "canonical.ply").read_bytes())
    with pytest.raises(InputError, match="part_ids: expected one for each of 481 Gaussians"):
        AvatarBundle.open(copied)


def test_a_huge_picture_is_refused(copied: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gstalker.runtime.bundle_encoding.MAX_PICTURE_PX", 32)
    with pytest.raises(InputError, match="expected at most 32 px a side"):
        AvatarBundle.open(copied)


def test_an_existing_bundle_is_replaced_only_when_asked(copied: Path):
    (copied / "note.txt").write_text("old")
    with pytest.raises(InputError, match=r"exists already\. Give another --out"):
        write_made_bundle(copied)
    write_bundle(copied, made_bundle(seed=1), overwrite=True)
    assert not (copied / "note.txt").exists()
    assert [p.name for p in copied.parent.iterdir()] == [copied.name], "nothing temporary is left"


def test_what_is_no_bundle_is_never_replaced(tmp_path: Path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"x")
    (tmp_path / "b.txt").write_text("x")
    for name in ("photos", "b.txt"):
        with pytest.raises(InputError, match="is no avatar bundle, so it is not replaced"):
            write_bundle(tmp_path / name, made_bundle(), overwrite=True)
    assert (tmp_path / "photos" / "a.jpg").exists()


def test_a_write_that_fails_leaves_the_old_bundle_and_nothing_else(copied: Path, monkeypatch: pytest.MonkeyPatch):
    before = (copied / "avatar.json").read_bytes()

    def full_disk(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bundle_files.os, "replace", full_disk)
    with pytest.raises(InputError, match="expected a place to write the bundle, could not"):
        write_bundle(copied, made_bundle(seed=1), overwrite=True)
    assert (copied / "avatar.json").read_bytes() == before
    assert [p.name for p in copied.parent.iterdir()] == [copied.name]
