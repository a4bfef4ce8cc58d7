from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from gstalker.runtime.errors import InputError
from gstalker.runtime.prepare import face_model
from gstalker.runtime.prepare.face_model import FILE_NAME, find_face_model

CONTENT = b"a stand-in for the model"


@pytest.fixture
def empty_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No model anywhere; the cache is tmp_path/cache."""
    monkeypatch.delenv("GSTALKER_MODELS", raising=False)
    monkeypatch.setattr(face_model, "cache_folder", lambda: tmp_path / "cache")
    return tmp_path


def put(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE_NAME).write_bytes(CONTENT)
    return folder / FILE_NAME


def serve(folder: Path) -> str:
    return put(folder).as_uri()  # urllib opens file: as it opens https:


def test_the_given_file_comes_first_then_the_models_folder_then_the_cache(
    empty_places: Path, monkeypatch: pytest.MonkeyPatch
):
    cached = put(empty_places / "cache")
    assert find_face_model(None, may_download=False) == cached
    listed = put(empty_places / "models")
    monkeypatch.setenv("GSTALKER_MODELS", str(empty_places / "models"))
    assert find_face_model(None, may_download=False) == listed
    given = put(empty_places / "given")
    assert find_face_model(given, may_download=False) == given


def test_without_consent_nothing_is_fetched_and_the_way_is_told(empty_places: Path, monkeypatch: pytest.MonkeyPatch):
    def forbidden(*args: object, **kwargs: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(face_model.urllib.request, "urlopen", forbidden)
    with pytest.raises(InputError, match=r"in \$GSTALKER_MODELS or in .*Add --download-face-model to fetch it once"):
        find_face_model(None, may_download=False)


def test_a_download_with_the_right_hash_lands_in_the_cache(empty_places: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(face_model, "SHA256", hashlib.sha256(CONTENT).hexdigest())
    found = find_face_model(None, may_download=True, url=serve(empty_places / "server"))
    assert found == empty_places / "cache" / FILE_NAME
    assert found.read_bytes() == CONTENT
    assert [p.name for p in found.parent.iterdir()] == [FILE_NAME], "a scrap of the download is left"


def test_a_download_with_another_hash_is_refused_and_not_kept(empty_places: Path):
    with pytest.raises(InputError, match=r"expected a file with sha256 64184e229b.*Nothing was kept"):
        find_face_model(None, may_download=True, url=serve(empty_places / "server"))
    assert not (empty_places / "cache").exists()


def test_a_failed_download_says_how_to_go_on(empty_places: Path):
    nowhere = (empty_places / "nowhere").as_uri()
    with pytest.raises(InputError, match=r"expected to download it.*Fetch it by hand and give it with --face-model"):
        find_face_model(None, may_download=True, url=nowhere)


def test_a_given_model_that_is_not_there_is_refused(empty_places: Path):
    with pytest.raises(InputError, match=f"--face-model: expected the file {FILE_NAME}, found none"):
        find_face_model(empty_places / "no.task", may_download=True)


@pytest.mark.parametrize(
    ("platform", "variable", "ending"),
    [("win32", "LOCALAPPDATA", "gstalker"), ("linux", "XDG_CACHE_HOME", "gstalker")],
)
def test_the_cache_follows_the_system_s_habit(
    platform: str, variable: str, ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(face_model.sys, "platform", platform)
    monkeypatch.setenv(variable, str(tmp_path))
    assert face_model.cache_folder() == tmp_path / ending


def test_the_real_model_has_the_expected_hash(speaker_data: Path):
    real = speaker_data / "models" / FILE_NAME
    assert hashlib.sha256(real.read_bytes()).hexdigest() == face_model.SHA256
