"""What is generated from the schema is current, and says what the schema says."""

from __future__ import annotations

import re
from datetime import date

import pytest
from helpers.source_tree import REPO

from gstalker.bridge import generate, schema
from gstalker.bridge.schema import wire_specs


@pytest.mark.parametrize("name", list(generate.TARGETS))
def test_regenerating_changes_no_byte(name: str):
    kept = (REPO / name).read_text(encoding="utf-8")
    assert generate.TARGETS[name](kept) == kept, "run python -m gstalker.bridge.generate"


def test_check_names_a_stale_file_and_fails(tmp_path, monkeypatch: pytest.MonkeyPatch, capsys):
    (tmp_path / "docs").mkdir()
    page = tmp_path / "docs" / "protocol.md"
    current = (REPO / "docs" / "protocol.md").read_text(encoding="utf-8")
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    page.write_text(current.replace("| `request_id` |", "| `request_number` |"), encoding="utf-8")
    assert generate.main(["--check"]) == 1
    assert "stale: docs/protocol.md" in capsys.readouterr().out
    assert generate.main([]) == 0
    assert page.read_text(encoding="utf-8") == current
    assert generate.main(["--check"]) == 0


def test_a_page_without_its_blocks_is_refused():
    with pytest.raises(ValueError, match=r"docs/protocol\.md: expected the blocks"):
        generate.protocol_page("# nothing generated here\n")


def test_the_page_lists_every_message_and_every_field():
    page = (REPO / "docs" / "protocol.md").read_text(encoding="utf-8")
    for topic, message in schema.MESSAGES.items():
        section = page.split(f"### `{topic}`\n")[1].split("\n### ")[0]
        rows = re.findall(r"^\| `(\w+)` \|", section.split("<!-- end")[0], re.M)
        assert rows == list(wire_specs(message)), topic


def test_wire_versions_count_up_with_their_dates():
    numbers = [number for number, _, _ in schema.WIRE_HISTORY]
    days = [date.fromisoformat(day) for _, day, _ in schema.WIRE_HISTORY]
    assert numbers == list(range(1, schema.WIRE_VERSION + 1))
    assert days == sorted(days)
    newest = max(spec.since for m in schema.MESSAGES.values() for spec in wire_specs(m).values())
    assert newest <= schema.WIRE_VERSION
