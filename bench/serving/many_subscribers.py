"""Many subscribers in one process: `python -m gstalker.bench.serving.many_subscribers HOST PORT SESSION COUNT READS`.

READS is "yes", or "no" for sockets that never read. Says "ready" once all get frames (or have connected); ends with
standard input. Those that read then print how late each frame came, in ms: one JSON list for all sockets together.
"""

from __future__ import annotations

import json
import sys
import threading
import time

import numpy as np
import zmq

from gstalker.bridge.codec import topic_field
from gstalker.bridge.schema import FrameQ16


def subscribe(context: zmq.Context, address: str, session_id: int) -> zmq.Socket:
    """A subscriber with queues of a few frames, as a display has."""
    socket = context.socket(zmq.SUB)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.RCVHWM, 5)
    socket.setsockopt(zmq.RCVBUF, 65_536)
    socket.setsockopt(zmq.SUBSCRIBE, topic_field(FrameQ16, session_id))
    socket.connect(address)
    return socket


def lateness_ms(arrivals: list[list[float]], fps: int = 25) -> list[float]:
    """How much later than the steady beat of its socket each frame came: half of them came before the beat."""
    late: list[float] = []
    for times in arrivals:
        beat = np.array(times) - np.arange(len(times)) / fps
        late += (1000 * (beat - np.median(beat))).tolist()
    return late


def main() -> None:
    host, port, session, count, reads = sys.argv[1:]
    context = zmq.Context()
    sockets = [subscribe(context, f"tcp://{host}:{port}", int(session)) for _ in range(int(count))]
    if reads == "no":
        time.sleep(1.0)
        print("ready", flush=True)
        sys.stdin.read()
        context.destroy(linger=0)
        return
    poller = zmq.Poller()
    for socket in sockets:
        poller.register(socket, zmq.POLLIN)
    arrivals: dict[zmq.Socket, list[float]] = {socket: [] for socket in sockets}
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    ready = False
    while not over.is_set():
        for socket, _ in poller.poll(100):
            socket.recv()
            arrivals[socket].append(time.perf_counter())
        if not ready and all(arrivals.values()):
            ready = True
            for times in arrivals.values():
                times.clear()  # what came while the others connected
            print("ready", flush=True)
    print(json.dumps(lateness_ms([t for t in arrivals.values() if t])), flush=True)
    context.destroy(linger=0)


if __name__ == "__main__":
    main()
