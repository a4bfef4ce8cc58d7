"""One function over many inputs, in this process or several, with progress in frames."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TypeVar

import cv2

Progress = Callable[[str, int, int], None]  # step, frames done, frames in all
Result = TypeVar("Result")


def run_all(
    step: str,
    work: Callable[..., Result],
    arguments: Sequence[tuple],
    frames: Sequence[int],
    jobs: int | None,
    show: Progress,
) -> list[Result]:
    """`work(*arguments[i])` for every i, in their order; the first failure ends all.

    Args:
        work: a module's function, so that other processes find it; in this process it is also given
            on_frame, to be called with its frames done so far.
        frames: what each is expected to take, for the progress.
        jobs: processes; None takes one a core.
    """
    total = sum(frames)
    show(step, 0, total)
    results: dict[int, Result] = {}
    done = 0
    if min(jobs or os.cpu_count() or 1, len(arguments)) <= 1:
        for index, args in enumerate(arguments):
            limit = done + frames[index]

            def on_frame(count: int, before: int = done, limit: int = limit) -> None:
                show(step, min(before + count, limit), total)

            results[index] = work(*args, on_frame=on_frame)
            done = limit
            show(step, done, total)
        return [results[i] for i in range(len(arguments))]
    # "spawn" on every system: forked copies of MediaPipe's and OpenCV's threads can hang.
    context = multiprocessing.get_context("spawn")
    workers = min(jobs or os.cpu_count() or 1, len(arguments))
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_one_thread) as pool:
        futures = {pool.submit(work, *args): index for index, args in enumerate(arguments)}
        try:
            for future in as_completed(futures):
                results[futures[future]] = future.result()
                done += frames[futures[future]]
                show(step, done, total)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return [results[i] for i in range(len(arguments))]


def _one_thread() -> None:
    cv2.setNumThreads(1)
