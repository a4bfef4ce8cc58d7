"""A client of few lines, without gstalker: greets, subscribes, says so at its first frame, reads on or never reads.

python short_client.py HOST CONTROL_PORT HELLO.bin PUBLICATION_PORT TOPIC.bin COUNT READS

HELLO.bin and TOPIC.bin hold the bytes to send; COUNT sockets subscribe; READS is "yes", or "no" for sockets that never
read. What was received is printed at the end of standard input: one JSON list of arrival times a socket.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

import zmq


def main() -> None:
    host, control_port, hello, publication_port, topic, count, reads = sys.argv[1:]
    context = zmq.Context()
    control = context.socket(zmq.DEALER)
    control.connect(f"tcp://{host}:{control_port}")
    control.send(Path(hello).read_bytes())
    control.recv()
    sockets = []
    for _ in range(int(count)):
        socket = context.socket(zmq.SUB)
        socket.setsockopt(zmq.RCVHWM, 4)
        socket.setsockopt(zmq.RCVBUF, 65_536)
        socket.setsockopt(zmq.SUBSCRIBE, Path(topic).read_bytes())
        socket.connect(f"tcp://{host}:{publication_port}")
        sockets.append(socket)
    if reads == "no":
        print("connected", flush=True)
        sys.stdin.read()
        return
    poller = zmq.Poller()
    for socket in sockets:
        poller.register(socket, zmq.POLLIN)
    arrivals: dict[zmq.Socket, list[float]] = {socket: [] for socket in sockets}
    done = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), done.set()), daemon=True).start()
    said = False
    while not done.is_set():
        for socket, _ in poller.poll(100):
            socket.recv()
            arrivals[socket].append(time.perf_counter())
        if not said and all(arrivals.values()):
            print("frames", flush=True)
            said = True
    print(json.dumps(list(arrivals.values())), flush=True)


if __name__ == "__main__":
    main()
