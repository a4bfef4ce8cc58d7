"""Jobs as tasks of Ray, on this machine: Ray hands out GPUs and cores and starts a fresh process for each.

Ray listens on loopback alone, shows no dashboard and sends no usage statistics.
"""

from __future__ import annotations

import os
from typing import Any

from gstalker.runtime.errors import InputError
from gstalker.runtime.train.many.job import Job, run_job
from gstalker.runtime.train.many.workers import Place

# Read by Ray when it is imported. The second sounds otherwise, but is what makes its servers bind to 127.0.0.1: by
# default they listen on all interfaces.
ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
STORE_BYTES = 80 << 20  # jobs pass nothing but a few lines to each other


class RayWorkers:
    """Each job is a Ray task with a process of its own."""

    def __init__(self, places: list[Place]) -> None:
        """Start Ray.

        Raises:
            InputError: ray is not installed.
        """
        os.environ.update(ENVIRONMENT)
        try:
            import ray
            from ray.exceptions import RayError
        except ImportError as error:
            raise InputError(
                "--through ray: expected the package ray, found none: pip install 'gstalker[ray]', or leave the "
                "option out: processes of this machine need nothing."
            ) from error
        self.places = places
        self._ray: Any = ray
        self._error = RayError
        self._running: dict[Any, str] = {}
        self._ray.init(
            num_cpus=max(1, sum(place.threads for place in places)),
            num_gpus=sum(place.gpu is not None for place in places),
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            object_store_memory=STORE_BYTES,
        )

    def start(self, job: Job, place: Place) -> None:
        """Run a job; returns at once."""
        # Ray sets the number of threads and the visible GPU from what a task asks for.
        ask = {"num_cpus": place.threads, "num_gpus": int(place.gpu is not None), "max_retries": 0, "max_calls": 1}
        threads = {"NUMBA_NUM_THREADS": str(place.threads)}
        task = self._ray.remote(**ask, runtime_env={"env_vars": threads})(_run)
        self._running[task.remote(job.to_json())] = job.name

    def ended(self) -> dict[str, str]:
        """Jobs that are no longer running, each with how its process ended."""
        if not self._running:
            return {}
        over, _ = self._ray.wait(list(self._running), num_returns=len(self._running), timeout=0)
        found = {}
        for reference in over:
            name = self._running.pop(reference)
            try:
                found[name] = f"Ray's task ended: {self._ray.get(reference)}"
            except self._error as error:
                found[name] = f"Ray: {type(error).__name__}"
        return found

    def close(self) -> None:
        """End what still runs, and Ray."""
        self._running.clear()
        self._ray.shutdown()


def _run(told: str) -> str:
    return run_job(Job.from_json(told)).state
