"""The golden messages, which clients in every language decode: the same test here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from golden.make_golden import FOLDER, bad_messages, golden_files

from gstalker.bridge import schema
from gstalker.bridge.client.served_avatar import ServedAvatar
from gstalker.bridge.codec import decode, decode_as
from gstalker.bridge.errors import WireError
from gstalker.bridge.schema import FrameQ16, Welcome, wire_specs

GOOD = sorted(FOLDER.glob("*_v[0-9].bin"))


def test_there_are_golden_messages():
    assert len(GOOD) == len(schema.MESSAGES)


@pytest.mark.parametrize("path", GOOD, ids=lambda p: p.stem)
def test_a_golden_message_decodes_to_its_values(path: Path):
    expected = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    message = decode(path.read_bytes())
    assert expected["topic"] == message.TOPIC
    assert list(wire_specs(type(message))) == list(expected["fields"])
    for name, value in expected["fields"].items():
        got = getattr(message, name)
        if isinstance(got, np.ndarray):
            np.testing.assert_array_equal(got, np.array(value, got.dtype).reshape(got.shape), err_msg=name)
        else:
            assert (list(got) if isinstance(got, tuple) else got) == value, name


def test_the_golden_movers_decode_to_their_values():
    """Tolerance: float32 in any order of the few operations errs by parts in 10^7; a wrong code by 10^-5 and more."""
    message = decode_as(FrameQ16, (FOLDER / "frame_q16_v2.bin").read_bytes())
    avatar = ServedAvatar.from_welcome(decode_as(Welcome, (FOLDER / "welcome_v2.bin").read_bytes()))
    expected = json.loads((FOLDER / "frame_q16_v2.json").read_text(encoding="utf-8"))["decoded"]
    frame = avatar.frame(message)
    for name, values in expected.items():
        np.testing.assert_allclose(getattr(frame, name), np.array(values), rtol=1e-6, atol=1e-7, err_msg=name)


@pytest.mark.parametrize("name", list(bad_messages()))
def test_a_bad_golden_message_is_refused(name: str):
    with pytest.raises(WireError) as caught:
        decode((FOLDER / f"{name}.bin").read_bytes())
    assert bad_messages()[name][1] in str(caught.value)


def test_the_golden_files_are_what_this_version_writes():
    """`decoded` is left to the test above: exp may differ in its last bit from one machine to another."""
    for name, data in golden_files().items():
        kept = (FOLDER / name).read_bytes()
        if name.endswith(".json"):
            kept_json, made_json = json.loads(kept), json.loads(data)
            for each in (kept_json, made_json):
                each.pop("decoded", None)
            assert kept_json == made_json, f"{name}: run python tests/golden/make_golden.py"
        else:
            assert kept == data, f"{name}: run python tests/golden/make_golden.py"
    assert {p.name for p in FOLDER.iterdir() if p.suffix in (".bin", ".json")} == set(golden_files())
