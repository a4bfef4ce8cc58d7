"""Freed memory stays with the process where the C library can be told so."""

from __future__ import annotations

import platform

import numpy as np
import pytest

from gstalker.runtime.train.memory import keep_freed_memory


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told")
def test_arrays_that_are_taken_and_freed_again_and_again_ask_the_system_for_no_new_pages():
    import resource

    def faults() -> int:
        for _ in range(3):
            [np.ones(1 << 18) for _ in range(8)]  # 16 MB in all
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

    assert keep_freed_memory()
    before = after = faults()
    for _ in range(10):
        after = faults()
    # Given back and asked for anew, they would be 4096 pages each time.
    assert after - before < 4096


def test_other_c_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not keep_freed_memory()
