"""How long a newcomer waits: from `gstalker view --demo` to the first spoken frame in a browser, nothing compiled yet.

    PYTHONPATH=tests python tests/web/first_frame.py [RUNS]

Each run has an empty folder for compiled kernels and a new browser, as after `pip install`. Not a test: what it prints
goes into docs/results.md.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

from helpers.browser import Browser, find_chromium

SPOKEN = "window.gstalker?.stage.shown && gstalker.playback.sound.scheduled.length > 0 && gstalker.speech.speaking"


def seconds_to_first_spoken_frame(chromium: str, compiled: str) -> float:
    """From starting the command to the first frame of which sound is heard."""
    command = [sys.executable, "-m", "gstalker.cli.main", "view", "--demo", "--no-browser", "--port", "0"]
    began_s = time.perf_counter()
    process = subprocess.Popen(
        command, env={**os.environ, "NUMBA_CACHE_DIR": compiled}, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        with Browser(chromium, width=420, height=640, flags=("--autoplay-policy=no-user-gesture-required",)) as browser:
            page = browser.page(url)
            page.wait_for("window.gstalker?.stage.shown", timeout_s=120)
            page.evaluate("gstalker.playback.sound.wake(); document.getElementById('play').click()")
            page.wait_for(SPOKEN, timeout_s=60)
            return time.perf_counter() - began_s
    finally:
        process.terminate()
        process.wait(timeout=20)


def main() -> None:
    chromium = find_chromium()
    if chromium is None:
        sys.exit("no Chromium found")
    for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 3):
        with tempfile.TemporaryDirectory() as compiled:
            cold_s = seconds_to_first_spoken_frame(chromium, compiled)
            warm_s = seconds_to_first_spoken_frame(chromium, compiled)
        print(f"nothing compiled {cold_s:.1f} s, afterwards {warm_s:.1f} s", flush=True)


if __name__ == "__main__":
    main()
