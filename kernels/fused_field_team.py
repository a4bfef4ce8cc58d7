"""A few threads that run one compiled function together, asleep in between.

Not numba's own `prange`: of its threading layers the one that is everywhere (workqueue) allows one caller at a time
in the whole process, and OpenMP's idle threads burn a core. Here any number of teams run at once, an idle team costs
nothing, and a helper that the system wakes late finds the work done instead of holding it up.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable


class Team:
    """Threads that share out work. Callers of `run` take turns; a team that is let go ends its threads."""

    def __init__(self, threads: int) -> None:
        """Start threads - 1 helpers; the caller of `run` is the last member."""
        self._members = _Members(threads - 1)
        weakref.finalize(self, self._members.close)

    def run(self, work: Callable[[int], None]) -> None:
        """Call work(0) here and work(k), 0 < k < threads, in every helper that wakes before that returns.

        `work` must release the interpreter's lock, take its pieces from a shared counter until none is left, and
        return; not all k need come. Returns when nobody is inside `work` any more.
        """
        self._members.run(work)


class _Members:
    """What the helpers hold; `Team` apart from it, so that they do not keep a team alive."""

    def __init__(self, helpers: int) -> None:
        self._one_run = threading.Lock()
        self._guard = threading.Lock()  # of the four fields below
        self._work: Callable[[int], None] | None = None
        self._inside = 0
        self._closed = False
        self._failure: BaseException | None = None
        self._all_out = _signal()
        self._wakes = [_signal() for _ in range(helpers)]
        for k, wake in enumerate(self._wakes, start=1):
            threading.Thread(target=self._help, args=(k, wake), name=f"field helper {k}", daemon=True).start()

    def run(self, work: Callable[[int], None]) -> None:
        with self._one_run:
            with self._guard:
                self._work, self._failure = work, None
            self._wake_all()
            try:
                work(0)
            finally:
                with self._guard:
                    self._work = None  # who wakes from here on finds nothing to do
                    waiting = self._inside > 0
                if waiting:
                    self._all_out.acquire()
            if self._failure is not None:
                raise self._failure

    def close(self) -> None:
        self._closed = True
        self._wake_all()

    def _wake_all(self) -> None:
        for wake in self._wakes:
            if wake.locked():  # else it has not even noticed the last call yet
                wake.release()

    def _help(self, k: int, wake: threading.Lock) -> None:
        while True:
            wake.acquire()
            if self._closed:
                return
            with self._guard:
                work = self._work
                self._inside += work is not None
            if work is None:
                continue
            try:
                work(k)
            except BaseException as failure:  # raised again in the caller of run
                self._failure = failure
            finally:
                del work
                with self._guard:
                    self._inside -= 1
                    last = self._inside == 0 and self._work is None
                if last:
                    self._all_out.release()


def _signal() -> threading.Lock:
    """A lock that is held until somebody signals by releasing it."""
    lock = threading.Lock()
    lock.acquire()
    return lock
