"""From a run to a bundle: what the bundle computes is what the torch model computes, or nothing is written."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from made_bundle import LIKENESS, made_avatar

from gstalker.cli import main as cli
from gstalker.export.likeness import likeness_from, not_stated
from gstalker.export.parity import ParityError
from gstalker.export.write import export_avatar
from gstalker.kernels.frame import assemble
from gstalker.runtime.bundle import AvatarBundle
from gstalker.runtime.infer import AvatarRuntime
from gstalker.runtime.seen import seen_lines

torch = pytest.importorskip("torch", reason="needs the extra train")

from helpers.random_run import driving_samples, random_model, write_random_run  # noqa: E402

from gstalker.runtime.model.avatar import AvatarModel  # noqa: E402
from gstalker.runtime.train.config import PRESETS  # noqa: E402


@pytest.fixture(scope="module", params=[1, 8], ids=["plain", "smoothed"])
def exported(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> tuple[Path, AvatarModel]:
    folder = tmp_path_factory.mktemp("export")
    config = PRESETS["preview"].with_smoothing(request.param).avatar
    model = write_random_run(folder / "run", random_model(config=config))
    assert cli.main(["export", str(folder / "run"), "--out", str(folder / "a.gsavatar"), *TERMS]) == 0
    return folder / "a.gsavatar", model


TERMS = ["--subject", "random numbers", "--consent", "none needed", "--licence", "CC0"]


def test_a_frame_of_the_bundle_is_the_frame_of_the_torch_model(exported):
    """From mel window and poses to every Gaussian in camera space.

    Tolerance: graphs and torch agree to 1e-4 of each output's scale (the parity check), positions move by at most
    about 0.1 m, so 1e-5 m; the PLY's rounding is smaller.
    """
    path, model = exported
    bundle = AvatarBundle.open(path)
    runtime = AvatarRuntime(bundle)
    samples = driving_samples(model)
    rows = pairing(model, bundle)
    for row in (0, 5):
        avatar_from_head = samples.idle_avatar_from_head[row].astype(np.float64)
        code = runtime.codes_of_windows(samples.mel_windows[row : row + 1])[0]
        frame = runtime.frame(code, samples.expression[row], avatar_from_head, row, 0.0)
        drawn = assemble(bundle.canonical, bundle.part_ids, frame).transformed(bundle.camera.viewmat)
        with torch.no_grad():
            torch_code = model.audio(torch.from_numpy(samples.mel_windows[row : row + 1]))[0, 0]
            pose = torch.tensor([0, 0, 0, *avatar_from_head[:3, 3]], dtype=torch.float32)
            origin = np.array(bundle.manifest.torso_origin_avatar_m)
            turn = np.arctan2(frame.avatar_from_torso[1, 0], frame.avatar_from_torso[0, 0])
            rigid = torch.tensor([*(frame.avatar_from_torso[:2, 3] - origin[:2]), turn], dtype=torch.float32)
            face, stretch = torch.from_numpy(samples.expression[row]), torch.from_numpy(samples.idle_torso_stretch)
            motion = model.motion(torch_code, face, pose, torso_rigid=rigid, torso_stretch=stretch.mean(dim=0))
            camera_from_avatar = torch.from_numpy(bundle.camera.viewmat).float()
            expected = model.posed(
                camera_from_avatar @ torch.from_numpy(avatar_from_head).float(),
                camera_from_avatar @ torch.from_numpy(frame.avatar_from_torso).float(),
                motion,
            )
        np.testing.assert_allclose(drawn.means, expected.means.numpy()[rows], atol=1e-5)
        np.testing.assert_allclose(drawn.scales, expected.scales.numpy()[rows], rtol=1e-4)
        np.testing.assert_allclose(drawn.opacities, expected.opacities.numpy()[rows], atol=1e-4)
        turns = (drawn.quats_wxyz * torch.nn.functional.normalize(expected.quats_wxyz).numpy()[rows]).sum(1)
        np.testing.assert_allclose(np.abs(turns), 1, atol=1e-5)
        np.testing.assert_allclose(0.5 + 0.28209479 * drawn.sh_coeffs[:, 0], expected.colors.numpy()[rows], atol=1e-6)


def pairing(model: AvatarModel, bundle: AvatarBundle) -> np.ndarray:
    """The torch model's row of each of the bundle's Gaussians, by colour, which nothing changes."""
    theirs = model.canonical.sh_coeffs.detach().numpy()[:, 0]
    rows = np.array([int(np.abs(theirs - colour).sum(1).argmin()) for colour in bundle.canonical.sh_coeffs[:, 0]])
    assert len(set(rows.tolist())) == len(theirs)
    return rows


def test_the_deltas_move_things_enough_for_the_comparison_to_mean_something(exported):
    golden = AvatarBundle.open(exported[0]).golden
    for columns, least in ((slice(0, 3), 1e-3), (slice(3, 7), 1e-2), (slice(7, 10), 1e-2), (slice(10, 11), 1e-2)):
        assert np.abs(golden.deltas[..., columns]).max() > least
    assert np.abs(golden.torso_deltas).max() > 1e-4
    assert np.abs(golden.torso_rigid).max() > 1e-4
    assert np.abs(golden.audio_code).max() > 1e-2


def test_the_likeness_is_in_the_bundle(exported):
    likeness = json.loads((exported[0] / "avatar.json").read_text(encoding="utf-8"))["likeness"]
    assert [likeness[k] for k in ("subject", "consent", "licence")] == ["random numbers", "none needed", "CC0"]
    assert likeness["notice"].startswith("Synthetic:")


def test_no_bundle_is_written_when_the_graphs_are_off(tmp_path: Path):
    avatar = made_avatar()
    off = dataclasses.replace(avatar.golden, audio_code=avatar.golden.audio_code + np.float32(1e-3))
    with pytest.raises(ParityError, match="No bundle was written"):
        export_avatar(dataclasses.replace(avatar, golden=off), LIKENESS, tmp_path / "a.gsavatar")
    assert list(tmp_path.iterdir()) == []


def test_with_no_terminal_the_likeness_is_recorded_as_not_stated_with_a_warning(tmp_path: Path, capsys):
    write_random_run(tmp_path / "run")
    assert cli.main(["export", str(tmp_path / "run"), "--out", str(tmp_path / "a.gsavatar"), "--zip"]) == 0
    printed = capsys.readouterr()
    assert "recorded as not stated: --subject, --consent, --licence" in " ".join(printed.err.split())
    manifest = AvatarBundle.open(tmp_path / "a.gsavatar").manifest
    assert "\n".join(seen_lines(manifest.seen)) in printed.out, "the table of what was seen"
    assert [r.name for r in manifest.seen.ranges] == [c.name for c in manifest.controls]
    likeness = manifest.likeness
    assert (likeness.subject, likeness.consent, likeness.licence) == ("not stated",) * 3
    assert (tmp_path / "a.gsavatar").is_file()


def test_a_person_is_asked_only_for_what_was_not_given():
    asked = []

    def ask(question: str) -> str:
        asked.append(question)
        return " Ada \n Lovelace " if "Whose" in question else ""

    likeness = likeness_from(None, "in writing", " ", ask)
    assert [q.split()[0] for q in asked] == ["Whose", "Under"]
    assert likeness.subject == "Ada Lovelace"
    assert likeness.consent == "in writing"
    assert not_stated(likeness) == ["licence"]


def test_bad_input_is_exit_code_2_and_one_line(tmp_path: Path, capsys):
    out = str(tmp_path / "a.gsavatar")
    assert cli.main(["export", str(tmp_path / "absent"), "--out", out]) == 2
    assert "expected a training run with config.json, found none" in " ".join(capsys.readouterr().err.split())
    (tmp_path / "a.gsavatar").mkdir()
    assert cli.main(["export", str(tmp_path / "absent"), "--out", out]) == 2
    assert "exists already" in capsys.readouterr().err
