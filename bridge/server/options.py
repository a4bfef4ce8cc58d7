"""What a server is started with: how its sessions run, and what it lets clients ask for."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Limits:
    """Caps on what clients can make a server do; whatever is beyond is refused and counted."""

    client_count: int = 64
    private_session_count: int = 16
    requests_a_second: float = 200.0  # of one client; hello counts for more, its answer is large
    request_burst: float = 400.0
    sound_s_a_second: float = 10.0  # seconds of pushed sound each second, of one client
    sound_burst_s: float = 60.0
    speech_capacity_s: float = 60.0  # of pushed sound that waits in one session
    client_lease_s: float = 5.0  # a client that asks for nothing for this long is forgotten
    empty_session_s: float = 5.0  # how long a private session then waits for its client to come back
    load_share: float = 0.8  # of the time that frames may take; the rest is for sound, requests and other programs


@dataclass(frozen=True)
class SessionOptions:
    """How a session runs."""

    lead_s: float = 0.2  # messages leave this long before their presentation, so that a client can buffer
    seed: int = 0  # of the idle motion
    idle: bool = True
    loop: bool = False  # say the server's recording again and again
    pause_s: float = 0.6  # of idling between two rounds of a loop
    emotion_from_speech: str = ""  # the emotion that a strong voice blends in (`speech_emotion`); empty: none


@dataclass(frozen=True)
class ServeOptions:
    """How a server runs."""

    session: SessionOptions = field(default_factory=SessionOptions)
    limits: Limits = field(default_factory=Limits)
    start_now: bool = False  # start the shared sessions' clocks at once instead of with their first subscribers
    exit_when_done: bool = False  # return when the recording has been presented in every shared session
    allow_shutdown: bool = False  # let clients end the server
