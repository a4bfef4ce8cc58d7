"""The code of others is the code that was pinned."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from helpers.source_tree import REPO

from gstalker.bridge.web import vendor
from gstalker.bridge.web.vendor import ONNXRUNTIME_WEB, PLAYCANVAS, fetch
from gstalker.runtime.errors import InputError

VENDOR = REPO / "web_client" / "vendor"


def test_the_engine_that_ships_is_the_pinned_one_with_its_licence():
    for name, sha256 in PLAYCANVAS.sha256.items():
        assert hashlib.sha256((VENDOR / vendor.SHIPPED_AS[name]).read_bytes()).hexdigest() == sha256
    assert "Permission is hereby granted" in (VENDOR / "playcanvas.LICENSE.txt").read_text()
    assert f"PlayCanvas {PLAYCANVAS.version}" in (REPO / "web_client" / "licences.html").read_text()


def test_a_folder_with_other_bytes_or_none_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="unpacked there, the file is missing"):
        fetch(ONNXRUNTIME_WEB, tmp_path)
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "ort.wasm.bundle.min.mjs").write_bytes(b"something else")
    with pytest.raises(InputError, match=r"expected onnxruntime-web 1\.23\.2 with sha256"):
        fetch(ONNXRUNTIME_WEB, tmp_path)


def test_without_npm_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="expected npm on the PATH to fetch it, found none"):
        fetch(PLAYCANVAS)


@pytest.mark.skipif(os.name != "posix", reason="a script stands in for npm")
def test_what_npm_says_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho 'no such version' >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(InputError, match=r"it failed \(no such version\)"):
        fetch(PLAYCANVAS)
