"""A bad network in user space: passes TCP connections on, late, slowly, in jumps or not at all.

python relay.py --listen-ns NAME --to-ns NAME --pairs 5555,5556

Runs between two network namespaces, or within one between 127.0.0.2 (listening) and 127.0.0.1. Takes one JSON object a
line on standard input, the fields of `Weather`, each replacing the weather; answers each with a line.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import json
import os
import random
import socket
import sys
import time
from dataclasses import dataclass

CLONE_NEWNET = 0x40000000
READ_BYTES = 65_536
# What waits in the relay at most in each direction; beyond it the sender feels the back-pressure, as on a real line.
LINE_BYTES = 512 * 1024


@dataclass
class Weather:
    """How the line is."""

    delay_ms: float = 0.0
    jitter_ms: float = 0.0  # each piece is delayed by delay +- jitter, in order
    bytes_per_s: float = 0.0  # 0 for no limit
    dark: bool = False  # nothing passes; connections stay open


class Line:
    """All connections between the two sides."""

    def __init__(self, seed: int) -> None:
        self.weather = Weather()
        self.changed = asyncio.Event()
        self._random = random.Random(seed)

    def set(self, weather: Weather) -> None:
        self.weather = weather
        self.changed.set()
        self.changed = asyncio.Event()

    async def pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One direction of one connection."""
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(maxsize=LINE_BYTES // READ_BYTES)

        async def take() -> None:
            latest_s = 0.0
            try:
                while data := await reader.read(READ_BYTES):
                    w = self.weather
                    delay_s = (w.delay_ms + self._random.uniform(-w.jitter_ms, w.jitter_ms)) / 1000
                    latest_s = max(latest_s, time.monotonic() + max(0.0, delay_s))  # TCP keeps its order
                    await waiting.put((latest_s, data))
            except ConnectionError:
                pass
            await waiting.put((0.0, b""))

        task = asyncio.create_task(take())
        try:
            while True:
                due_s, data = await waiting.get()
                if not data:
                    break
                await asyncio.sleep(max(0.0, due_s - time.monotonic()))
                while self.weather.dark:
                    await self.changed.wait()
                if self.weather.bytes_per_s:
                    await asyncio.sleep(len(data) / self.weather.bytes_per_s)
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            task.cancel()
            writer.close()


def enter(namespace: str) -> None:
    """Sockets opened from now on belong to this network namespace; an empty name stays where it is."""
    if not namespace:
        return
    with open(f"/run/netns/{namespace}", "rb") as file:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(file.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


async def serve(listen_ns: str, to_ns: str, listen_host: str, to_host: str, ports: list[int], seed: int) -> None:
    """Listen on one side, connect on the other, until standard input ends."""
    line = Line(seed)

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        try:
            onward_reader, onward_writer = await asyncio.open_connection(to_host, port)
        except OSError:
            writer.close()  # nobody listens over there: the client sees its connection closed and tries again
            return
        await asyncio.gather(line.pump(reader, onward_writer), line.pump(onward_reader, writer))

    enter(listen_ns)
    listening = []
    for port in ports:
        listener = socket.create_server((listen_host, port))
        listening.append((listener, port))
    enter(to_ns)
    servers = [
        await asyncio.start_server(lambda r, w, port=port: accepted(r, w, port), sock=listener)
        for listener, port in listening
    ]
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    while text := await loop.run_in_executor(None, sys.stdin.readline):
        line.set(Weather(**json.loads(text)))
        print("ok", flush=True)
    for server in servers:
        server.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--listen-ns", default="")
    parser.add_argument("--to-ns", default="")
    parser.add_argument("--listen-host", default="127.0.0.1")
    parser.add_argument("--to-host", default="127.0.0.1")
    parser.add_argument("--ports", required=True)
    parser.add_argument("--seed", type=int, default=7)
    a = parser.parse_args()
    ports = [int(p) for p in a.ports.split(",")]
    asyncio.run(serve(a.listen_ns, a.to_ns, a.listen_host, a.to_host, ports, a.seed))


if __name__ == "__main__":
    main()
