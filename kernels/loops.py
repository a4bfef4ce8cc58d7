"""A numba loop compiled two ways: over all threads, and for the calling thread alone with the interpreter let go.

One picture is drawn soonest by all threads together. Two pictures are drawn soonest by one thread each: nothing
waits for the other half of a loop, and caches are not shared. Training does that; showing and measuring do the
other.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import numba


class ThreadedLoop:
    """A function whose outer loop is a `prange` and gives the same whatever the number of threads.

    It runs on the threads that numba may use in the calling thread (`numba.set_num_threads`, which holds for that
    thread only). Where that is one, it runs there without any of numba's thread pools, which not every platform
    lets two threads use at once, and without the interpreter's lock.
    """

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        self.__doc__ = function.__doc__
        alone = types.FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__)
        # numba's cache on disk tells functions apart by this name, not by how they were compiled.
        alone.__qualname__ = f"{function.__qualname__}_alone"
        alone.__module__ = function.__module__
        self._on_all = numba.njit(parallel=True, **options)(function)
        self._on_one = numba.njit(nogil=True, **options)(alone)

    def __call__(self, *arguments: Any) -> Any:
        return (self._on_one if numba.get_num_threads() == 1 else self._on_all)(*arguments)

    @property
    def signatures(self) -> list[Any]:
        """What was compiled so far."""
        return [*self._on_all.signatures, *self._on_one.signatures]


def threaded_loop(**options: Any) -> Callable[[Callable[..., Any]], ThreadedLoop]:
    """Decorate a function as a `ThreadedLoop`; options of `numba.njit`, the same for both ways."""
    return lambda function: ThreadedLoop(function, options)
