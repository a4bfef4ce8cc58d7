"""Keys: made, kept for their owner's eyes, read strictly, never shown."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import pytest
import zmq

from gstalker.bridge import keys
from gstalker.bridge.keys import new_key_pair, read_allowed, read_key_pair, read_public_key, write_key_pair
from gstalker.runtime.errors import InputError

posix = pytest.mark.skipif(os.name != "posix", reason="this system has no owner-only permissions to check")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def test_a_pair_reads_back_and_its_halves_belong_together(folder: Path):
    pair = new_key_pair("alice")
    public_path, secret_path = write_key_pair(pair, folder)
    assert read_key_pair(secret_path) == pair
    assert read_public_key(public_path) == pair.public
    assert zmq.curve_public(pair.secret_z85.encode()).decode() == pair.public.z85
    assert (read_key_pair("alice", folder), read_public_key("alice", folder)) == (pair, pair.public)
    assert new_key_pair("alice") != pair


@posix
def test_only_the_owner_can_read_a_secret_file_and_its_folder(folder: Path):
    public_path, secret_path = write_key_pair(new_key_pair("alice"), folder)
    assert secret_path.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert public_path.stat().st_mode & 0o222 == 0o200


@posix
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o777])
def test_a_secret_that_others_may_read_or_change_is_refused(mode: int, folder: Path):
    _, secret_path = write_key_pair(new_key_pair("alice"), folder)
    secret_path.chmod(mode)
    with pytest.raises(
        InputError, match=f"expected a secret key that only its owner may read.*mode {mode:o}.*chmod 600"
    ):
        read_key_pair(secret_path)


def test_a_key_is_never_replaced(folder: Path):
    pair = new_key_pair("alice")
    write_key_pair(pair, folder)
    with pytest.raises(InputError, match="exists already, and a key is never replaced"):
        write_key_pair(new_key_pair("alice"), folder)
    assert read_key_pair("alice", folder) == pair


def test_a_secret_is_in_no_repr_and_in_no_error(folder: Path, caplog: pytest.LogCaptureFixture):
    pair = new_key_pair("alice")
    _, secret_path = write_key_pair(pair, folder)
    shown = [repr(pair), str(pair), repr(keys.ServerKeys(pair, {})), repr(keys.ClientKeys(pair, pair.public))]
    text = secret_path.read_text()
    for damaged in (text[:-3], text.replace('"name"', '"nam"'), text.replace(pair.public.z85[:5], "aaaaa", 1)):
        secret_path.write_text(damaged)
        with pytest.raises(InputError) as caught:
            read_key_pair(secret_path)
        shown += [str(caught.value), repr(caught.value.__cause__)]
    logging.getLogger("gstalker.bridge").warning("%s", pair)
    assert not any(pair.secret_z85 in line for line in (*shown, caplog.text))
    assert any(pair.public.z85 in line for line in shown)


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "..", "a b", "a" * 65, "ä", "-x", "a\n"])
def test_a_name_that_could_be_a_path_is_refused(name: str):
    with pytest.raises(InputError, match="expected a name of 1 to 64 letters, digits"):
        new_key_pair(name)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b"[" * 3000,
        b"\x80\x04N.",  # pickled None
        json.dumps({"format": "gstalker key 1", "name": "x", "public_key": "a" * 40, "more": 1}).encode(),
        json.dumps({"format": "gstalker key 2", "name": "x", "public_key": "a" * 40}).encode(),
        b" " * 5000,
    ],
)
def test_what_is_no_key_file_is_refused(content: bytes, tmp_path: Path):
    path = tmp_path / "x.public.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match="expected a key file"):
        read_public_key(path)


@pytest.mark.parametrize("key", ["a" * 39, "a" * 41, "#" * 40, "~" * 40, 7, None, "ä" * 40])
def test_what_is_no_z85_key_is_refused(key: object, tmp_path: Path):
    path = tmp_path / "x.public.json"
    path.write_text(json.dumps({"format": "gstalker key 1", "name": "x", "public_key": key}))
    with pytest.raises(InputError, match="expected a name and a public key of 40 Z85 characters"):
        read_public_key(path)


def test_a_secret_of_another_public_key_is_refused(folder: Path):
    pair, other = new_key_pair("alice"), new_key_pair("bob")
    _, path = write_key_pair(pair, folder)
    path.write_text(path.read_text().replace(pair.public.z85, other.public.z85))
    with pytest.raises(InputError, match="expected a secret key that belongs to its public key"):
        read_key_pair(path)


def test_a_public_file_is_no_secret_one_nor_the_other_way_round(folder: Path):
    public_path, secret_path = write_key_pair(new_key_pair("alice"), folder)
    with pytest.raises(InputError, match="key file of gstalker with a public key alone"):
        read_public_key(secret_path)
    public_path.chmod(0o600)
    with pytest.raises(InputError, match="key file of gstalker with both keys"):
        read_key_pair(public_path)


def test_a_missing_key_says_how_to_make_one(folder: Path):
    with pytest.raises(InputError, match=r"expected a key file, found nothing\. `gstalker keys new NAME`"):
        read_public_key("nobody", folder)


def test_allowed_keys_come_from_folders_files_and_names(folder: Path, tmp_path: Path):
    alice, bob, carol = (new_key_pair(n) for n in ("alice", "bob", "carol"))
    write_key_pair(alice, folder)
    write_key_pair(bob, folder)
    public_path, _ = write_key_pair(carol, tmp_path)
    expected = {p.public.z85: p.public.name for p in (alice, bob, carol)}
    assert read_allowed([folder, public_path]) == expected
    assert read_allowed(["bob", "alice", public_path], folder) == expected


def test_a_client_names_its_own_keys_and_the_server_it_means(folder: Path):
    alice, server = new_key_pair("alice"), new_key_pair("server")
    _, secret_path = write_key_pair(alice, folder)
    public_path, _ = write_key_pair(server, folder)
    assert keys.read_client_keys(str(secret_path), str(public_path)) == keys.ClientKeys(alice, server.public)
    assert keys.read_client_keys(None, None) is None
    for one in ((str(secret_path), None), (None, str(public_path))):
        with pytest.raises(InputError, match="expected both or neither: who this is, and which server is meant"):
            keys.read_client_keys(*one)


def test_nobody_allowed_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="allowed clients: expected 1 to 1000 public keys, got 0"):
        read_allowed([tmp_path])
    with pytest.raises(InputError, match="allowed clients: expected 1 to 1000 public keys, got 0"):
        read_allowed([])


def test_one_key_under_two_names_is_refused(folder: Path, tmp_path: Path):
    pair = new_key_pair("alice")
    write_key_pair(pair, folder)
    other = tmp_path / "bob.public.json"
    other.write_text((folder / "alice.public.json").read_text().replace('"alice"', '"bob"'))
    with pytest.raises(InputError, match="expected one name for a key, got bob and alice"):
        read_allowed([folder, other])


def test_a_zeromq_without_encryption_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(zmq, "has", lambda capability: False)
    with pytest.raises(InputError, match="expected a build with CURVE encryption, this one has none"):
        new_key_pair("alice")


def test_keys_live_in_the_users_own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr(keys.sys, "platform", "linux")
    assert keys.key_folder() == tmp_path / "gstalker" / "keys"
    monkeypatch.setenv("APPDATA", str(tmp_path / "roaming"))
    monkeypatch.setattr(keys.sys, "platform", "win32")
    assert keys.key_folder() == tmp_path / "roaming" / "gstalker" / "keys"
