"""Threads are lent and given back."""

from __future__ import annotations

import numba
import pytest
import torch

from gstalker.runtime.evaluate import threads


def test_one_core_is_left_and_given_back_even_after_a_failure(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(threads.os, "cpu_count", lambda: 2)
    before = torch.get_num_threads(), numba.get_num_threads()
    inside = None

    def fail() -> None:
        nonlocal inside
        with threads.leave_a_core():
            inside = torch.get_num_threads(), numba.get_num_threads()
            raise ValueError("render failed")

    with pytest.raises(ValueError, match="render failed"):
        fail()
    assert inside == (1, 1)
    assert (torch.get_num_threads(), numba.get_num_threads()) == before
