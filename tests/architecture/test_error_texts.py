"""Which messages to people no test has ever seen: a list to work off, not a gate."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator

from helpers.source_tree import REPO, Module, modules

RAISED = ("InputError", "WireError", "BundleError", "SessionError")
WORDS = 3  # so many words in a row, found in a test, count as a test of the message


def messages(module: Module) -> Iterator[tuple[int, str]]:
    """Line and literal text of every message to people; what is filled in becomes a gap."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            call = node.exc
            if ast.unparse(call.func).rpartition(".")[2] in RAISED and call.args:
                yield node.lineno, literal_text(call.args[0])


def literal_text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(literal_text(part) for part in node.values)
    if isinstance(node, ast.BinOp):
        return literal_text(node.left) + literal_text(node.right)
    return "\0"


def phrases(text: str) -> set[str]:
    """Runs of WORDS words between the gaps; shorter stretches as a whole."""
    found = set()
    for stretch in text.split("\0"):
        words = re.findall(r"[\w-]+", stretch.lower())
        if words:
            found |= {" ".join(words[i : i + WORDS]) for i in range(max(1, len(words) - WORDS + 1))}
    return found


def test_messages_that_no_test_matches_are_listed():
    tested = " ".join(
        " ".join(re.findall(r"[\w-]+", path.read_text(encoding="utf-8").lower()))
        for path in sorted((REPO / "tests").rglob("*.py"))
    )
    total, unmatched = 0, []
    for module in modules().values():
        for line, text in messages(module):
            total += 1
            if not any(phrase in tested for phrase in phrases(text) if len(phrase.split()) == WORDS):
                unmatched.append(f"{module.shown}:{line} {text!r}")
    assert total, "found no message to people: is this test still reading them?"
    if unmatched:
        listed = "\n  ".join(unmatched)
        warnings.warn(f"{len(unmatched)} of {total} messages stand in no test:\n  {listed}", stacklevel=1)


def test_a_message_is_read_across_pieces_and_gaps():
    source = "raise InputError(f'{path}: expected sound, ' f'got {n} streams. ' 'Record with a microphone.')"
    ((line, text),) = messages(Module("x", REPO, ast.parse(source)))
    assert line == 1
    assert text == "\0: expected sound, got \0 streams. Record with a microphone."
    assert "expected sound got" in phrases(text)
    assert "with a microphone" in phrases(text)
    assert "got streams record" not in phrases(text)
