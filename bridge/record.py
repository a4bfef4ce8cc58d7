"""Records what a server sends, as it was sent, into a session folder.

What the server takes back is not kept: a frame is written when its time has come, and of a speech that was cut only
what could be heard.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gstalker.bridge import schema
from gstalker.bridge.client.client import AvatarClient, Received
from gstalker.bridge.client.served_avatar import ServedAvatar
from gstalker.bridge.client.settling import Settling
from gstalker.bridge.errors import ServerLost
from gstalker.bridge.keys import ClientKeys
from gstalker.bridge.schema import Audio, FrameF32, FrameQ16, SpeechEnd, StreamEnd
from gstalker.runtime import session
from gstalker.runtime.session import (
    AudioEntry,
    BoxFields,
    CameraFields,
    FrameEntry,
    SessionEnd,
    SessionInfo,
    SessionWriter,
)
from gstalker.runtime.session.captures import write_capture

DRAWN_BY = "gstalker Python client, kernels.cpu"
PATIENCE_S = 5.0  # how much longer than asked for a recording may take


@dataclass(frozen=True)
class RecordOptions:
    """What to record, and for how long."""

    avatar: str = ""  # which of the server's; empty for its first
    session_id: int = 0  # which session; 0 for the avatar's shared one
    seconds: float = 10.0  # of presentation time, from the first frame that comes
    unquantised: bool = True  # also the float32 frames, which `validate` compares with
    pictures: int = 0  # how many frames the Python client draws into the session
    timeout_s: float = 5.0  # for reaching the server
    overwrite: bool = False  # replace a session that is already there


@dataclass(frozen=True)
class Recorded:
    """What came of it."""

    end: SessionEnd
    frames: int
    sound_s: float
    pictures: int


def record(
    address: str,
    out: Path,
    options: RecordOptions,
    progress: Callable[[float], None] = lambda seconds: None,
    *,
    keys: ClientKeys | None = None,
) -> Recorded:
    """Record a server; nothing is written before it has answered.

    Args:
        address: where it takes requests.
        out: a new or empty folder, or a session to replace.
        options: what and how long.
        progress: called with the seconds of presentation time recorded so far.
        keys: needed where the address is not this machine's.

    Returns:
        How it ended; a server lost after the first frame is an incomplete session, not an exception.

    Raises:
        InputError: nobody answers, or `out` holds something else.
        WireError: what the server sends is not sound.
    """
    if out.exists() and not (options.overwrite and (out / "session.json").is_file()):
        session.require_empty(out)
    topics = (FrameQ16, FrameF32, Audio) if options.unquantised else (FrameQ16, Audio)
    with AvatarClient(
        address,
        avatar=options.avatar,
        session_id=options.session_id,
        client_name="gstalker record",
        timeout_s=options.timeout_s,
        topics=topics,
        reconnect=False,
        keys=keys,
    ) as client:
        recorder = _Recorder(client.avatar, out, options)
        end = recorder.run(client, progress)
        avatar = client.avatar
    drawn = _draw(avatar, out, min(options.pictures, recorder.frames))
    return Recorded(end, recorder.frames, recorder.sound_s, drawn)


def _draw(avatar: ServedAvatar, folder: Path, count: int) -> int:
    """Draw frames spread evenly over what was recorded, from the bytes that were kept; how many."""
    if count == 0:
        return 0
    reader = session.SessionReader(folder)
    entries = reader.frames("q16")
    for number in range(count):
        frame = reader.read_frame(entries[int((number + 0.5) * len(entries) / count)])
        write_capture(folder / session.PICTURES, frame.index, avatar.camera, avatar.render(frame).rgb, DRAWN_BY)
    return count


def session_info(avatar: ServedAvatar) -> SessionInfo:
    """What the session says of the avatar."""
    welcome = avatar.welcome
    return SessionInfo(
        format_version=session.FORMAT_VERSION,
        avatar_name=welcome.avatar_name,
        bundle_sha256=welcome.bundle_sha256,
        subject=welcome.subject,
        consent=welcome.consent,
        licence=welcome.licence,
        notice=welcome.notice,
        server_version=welcome.server_version,
        wire_version=schema.WIRE_VERSION,
        fps=welcome.fps,
        audio_rate_hz=welcome.audio_rate_hz,
        lead_s=welcome.lead_s,
        gaussian_count=welcome.gaussian_count,
        mover_count=welcome.mover_count,
        camera=CameraFields.of(avatar.camera),
        box=BoxFields.of(avatar.box),
    )


class _Recorder:
    """Takes the publications of one recording; the folder is made when the first one comes."""

    def __init__(self, avatar: ServedAvatar, out: Path, options: RecordOptions) -> None:
        self.avatar, self.out, self.options = avatar, out, options
        self.frames = 0
        self.sound_s = 0.0
        self._writer: SessionWriter | None = None
        self._began_at_s = 0.0
        self._start_s = 0.0  # presentation time of the first message
        self._last_index = {FrameQ16: -1, FrameF32: -1}  # of the frames that are written
        self._settling = Settling(avatar.welcome.audio_rate_hz)
        self._progress_s = 0.0

    def run(self, client: AvatarClient, progress: Callable[[float], None]) -> SessionEnd:
        """Record until the time is up, the stream ends or the server is lost.

        Raises:
            ServerLost: before the first frame.
            WireError, ValueError, OSError: after closing what was recorded so far.
        """
        reason, complete = "the recording failed", False
        try:
            for received in client.messages():
                done = self._take(received, progress)
                if done:
                    reason, complete = done
                    break
        except ServerLost as lost:
            if self._writer is None:
                raise
            reason = str(lost)
        except KeyboardInterrupt:
            reason = "interrupted"
        except (ValueError, OSError) as error:
            reason = f"the recording failed: {error}"
            raise
        finally:
            if self._writer is not None:
                with contextlib.suppress(OSError, ValueError):  # after a full disk it is full still, and that was said
                    self._store(self._settling.rest())
            end = self._writer.close(reason, complete=complete) if self._writer else None
        if end is None:
            raise ServerLost(f"{client.address.control}: expected frames, {reason} before the first one came.")
        return end

    def _take(self, received: Received, progress: Callable[[float], None]) -> tuple[str, bool] | None:
        """Store one publication; how the recording ends, when it does."""
        message = received.message
        if isinstance(message, StreamEnd):
            return "the stream ended", True
        if isinstance(message, FrameQ16 | FrameF32):
            self.avatar.check_movers(message)
            if message.index <= self._last_index[type(message)]:
                return "the server started again", False
        if isinstance(message, FrameQ16 | FrameF32 | Audio):
            if self._writer is None:
                self._open(message.time_s, received.received_at_s)
            over = message.time_s >= self._start_s + self.options.seconds - 0.5 / self.avatar.fps
            if over and isinstance(message, FrameQ16):
                return "as long as asked for", True
            if not over:
                self._settling.put(received)
                self._progress_s = max(self._progress_s, message.time_s - self._start_s)
                progress(self._progress_s)
        elif isinstance(message, SpeechEnd):
            self._settling.put(received)
        self._store(self._settling.settled())
        if self._writer and received.received_at_s - self._began_at_s > self.options.seconds + PATIENCE_S:
            return f"the server was more than {PATIENCE_S:g} s behind its clock", False
        return None

    def _open(self, start_s: float, received_at_s: float) -> None:
        if self.options.overwrite and self.out.is_dir():
            shutil.rmtree(self.out)
        avatar = self.avatar
        self._writer = SessionWriter(self.out, session_info(avatar), avatar.canonical, avatar.part_ids, avatar.plate)
        self._start_s, self._began_at_s = start_s, received_at_s

    def _store(self, settled: list[Received]) -> None:
        for sequence in self._settling.void_sequences:
            if self._writer is not None:
                self._writer.leave_out_audio(sequence)
        self._settling.void_sequences.clear()
        for received in settled:
            assert isinstance(received.message, FrameQ16 | FrameF32 | Audio)  # nothing else is held
            self._store_one(received.message, received.received_at_s - self._began_at_s)

    def _store_one(self, message: FrameQ16 | FrameF32 | Audio, received_at_s: float) -> None:
        assert self._writer is not None  # _take opened it
        if isinstance(message, Audio):
            entry = AudioEntry(
                sequence=message.sequence,
                speech_id=message.speech_id,
                time_s=message.time_s,
                sent_at_s=message.sent_at_s,
                received_at_s=received_at_s,
                first_sample=0,
                sample_count=message.sample_count,
            )
            self._writer.add_audio(entry, message.pcm)
            self.sound_s += message.sample_count / self.avatar.welcome.audio_rate_hz
            return
        self._last_index[type(message)] = message.index
        entry = FrameEntry(
            payload="q16" if isinstance(message, FrameQ16) else "f32",
            index=message.index,
            time_s=message.time_s,
            sent_at_s=message.sent_at_s,
            received_at_s=received_at_s,
            offset=0,
            avatar_from_head=message.avatar_from_head,
            avatar_from_torso=message.avatar_from_torso,
        )
        if isinstance(message, FrameF32):
            arrays = (message.means, message.quats_wxyz, message.scales, message.opacities)
            self._writer.add_frame(entry, b"".join(a.tobytes() for a in arrays))
            return
        self._writer.add_frame(entry, message.movers.tobytes())
        self.frames += 1
