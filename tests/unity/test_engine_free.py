"""What of the Unity package needs no engine, compiled against netstandard 2.1 at C# 9 and run here."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from helpers.made_session import write_made_session
from helpers.unity_build import PACKAGE, REPO, UnityBuild

from gstalker.bridge.codec import decode
from gstalker.bridge.errors import WireError
from gstalker.runtime.session import SessionReader

GOLDEN = REPO / "tests" / "golden"


@pytest.fixture(autouse=True)
def golden_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GSTALKER_GOLDEN", str(GOLDEN))


def test_every_unit_test_of_the_package_passes(unity_build: UnityBuild):
    printed = unity_build.run("Runner", str(unity_build.program("GStalker.Tests")))

    closing = printed.strip().splitlines()[-1]
    sources = (PACKAGE / "Tests" / "EngineFree").glob("*.cs")
    written = sum(len(re.findall(r"\[Test\]", path.read_text(encoding="utf-8"))) for path in sources)
    assert closing == f"{written} passed, 0 failed, 0 skipped"


def test_a_million_damaged_messages_do_nothing_but_be_refused(unity_build: UnityBuild):
    """All of them in CI, too: each takes a few microseconds. The words of every thousandth fault are the garbage."""
    told = unity_build.run_json("Mutations", str(GOLDEN), "1000000", "1")

    faults = told["faults"]
    assert sum(faults.values()) == 1_000_000
    assert faults["None"] > 1000, "some damage must go unnoticed: payloads may hold anything"
    assert all(count > 0 for kind, count in faults.items() if kind != "TextLength"), faults
    assert told["garbage_per_message"] < 20


def test_csharp_and_python_agree_on_what_a_sound_message_is(unity_build: UnityBuild, tmp_path: Path):
    rng = np.random.default_rng(11)
    sound = [path.read_bytes() for path in sorted(GOLDEN.glob("*_v2.bin"))]
    damaged = [_damage(bytearray(sound[rng.integers(len(sound))]), rng) for _ in range(20_000)]
    file = tmp_path / "messages.bin"
    file.write_bytes(b"".join(struct.pack("<I", len(m)) + m for m in damaged))

    verdicts = unity_build.run("Verdicts", str(file)).strip()

    expected = "".join("1" if _is_sound(message) else "0" for message in damaged)
    differing = [i for i, (a, b) in enumerate(zip(verdicts, expected, strict=True)) if a != b]
    assert not differing, f"message {differing[0]}: C# says {verdicts[differing[0]]}: {damaged[differing[0]]!r}"
    assert 1000 < expected.count("1") < 19_000


def _damage(message: bytearray, rng: np.random.Generator) -> bytes:
    """One byte or bit in the header or payload: what the prefix says is checked elsewhere."""
    at = int(rng.integers(32, len(message)))
    message[at] = int(rng.integers(256)) if rng.integers(2) else message[at] ^ (1 << int(rng.integers(8)))
    return bytes(message)


def _is_sound(message: bytes) -> bool:
    try:
        decode(message)
    except WireError:
        return False
    return True


def test_recorded_sessions_are_read_as_python_reads_them(unity_build: UnityBuild, tmp_path: Path):
    folder = tmp_path / "session"
    write_made_session(folder)
    times_s = (0.0, 0.05, 0.2, 9.0)

    printed = unity_build.run("Session", str(folder), *map(str, times_s)).strip().splitlines()

    reader = SessionReader(folder)
    whole, *shown = map(json.loads, printed)
    assert whole["frames"] == len(reader.frames()) == 6
    assert (whole["gaussians"], whole["movers"]) == (len(reader.canonical), reader.info.mover_count)
    assert whole["means"] == pytest.approx(reader.canonical.means.astype(float).sum(), abs=1e-9)
    assert whole["plate"] == int(reader.plate.sum())
    assert whole["depth_m"] == reader.camera.viewmat[2, 3]
    assert (whole["samples"], whole["sound"]) == (len(reader.samples()), int(reader.samples().astype(int).sum()))
    assert [(s["earlier"], s["later"], s["weight"]) for s in shown] == [
        (0, 1, 0.0),
        (1, 2, pytest.approx(0.25)),
        (5, 5, 0.0),
        (5, 5, 0.0),
    ]
    for told in shown:
        frame = reader.read_frame(reader.frames()[told["earlier"]])
        # Both decode with float32 arithmetic; one of positions up to 0.2 m is exact to 2e-8.
        assert told["x"] == pytest.approx(frame.means[-1, 0], abs=1e-7)
        assert told["head"] == pytest.approx(frame.avatar_from_head[0, 1], abs=1e-12)


def test_a_session_cut_short_in_the_middle_of_a_frame_plays_to_its_last_whole_one(
    unity_build: UnityBuild, tmp_path: Path
):
    folder = tmp_path / "session"
    write_made_session(folder)
    frames = folder / "frames_q16.bin"
    frames.write_bytes(frames.read_bytes()[:-1])

    assert json.loads(unity_build.run("Session", str(folder)))["frames"] == 5
