"""`gstalker say`: have a served avatar speak a sound file, a microphone or what comes on standard input."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from rich.console import Console
from rich.markup import escape

from gstalker.runtime.errors import InputError

if TYPE_CHECKING:
    from gstalker.bridge.client.client import AvatarClient
    from gstalker.bridge.client.pushed_speech import PushedSpeech
    from gstalker.bridge.inputs.sound_source import SoundSource

_TURN_S = 0.01
AHEAD_S = 1.0  # of a live source's sound that waits here
SPOKEN_WITHIN_S = 30.0  # of silence from the server, after it has all the sound
_MICROPHONE, _PIPE = "mic", "-"


@dataclass(frozen=True)
class Say:
    """Push speech to a running server: its avatar speaks it to all who watch, and this command ends when it is said."""

    address: Annotated[str, tyro.conf.Positional] = "tcp://127.0.0.1:5555"
    """Where the server takes requests."""

    audio: Annotated[str, tyro.conf.arg(metavar="{FILE,mic,mic:DEVICE,-}")] = "mic"
    """A sound file; a microphone by number or part of its name (`gstalker devices`); or - for raw 16-bit PCM on
    standard input."""

    rate_hz: Annotated[int, tyro.conf.arg(name="rate")] = 16_000
    """Samples a second of PCM on standard input, 8000 to 96000."""

    channels: int = 1
    """Channels of PCM on standard input, 1 or 2."""

    interrupt: bool = False
    """Cut what is being said, instead of speaking after it."""

    avatar: str = ""
    """Which of the server's avatars; its first unless told otherwise."""

    session: int = 0
    """Number of the session to speak in, instead of the avatar's shared one."""

    keys: str | None = None
    """This client's keys, by name or file, for a server that demands keys."""

    server_key: str | None = None
    """The server's public key, by name or file."""

    def run(self) -> None:
        """Speak until the sound is over or the command is interrupted."""
        live = self.audio in (_MICROPHONE, _PIPE) or self.audio.startswith(f"{_MICROPHONE}:")
        if not live and not Path(self.audio).is_file():
            raise InputError(f"--audio: expected a sound file, mic, mic:DEVICE or -, found no file {self.audio!r}.")

        from gstalker.bridge.client.client import AvatarClient
        from gstalker.bridge.keys import read_client_keys

        console = Console(stderr=True, soft_wrap=True, highlight=False)
        source = self._source() if live else None
        try:
            with AvatarClient(
                self.address,
                avatar=self.avatar,
                session_id=self.session,
                client_name="say",
                topics=(),
                keys=read_client_keys(self.keys, self.server_key),
            ) as client:
                if source is None:
                    speech = client.say(Path(self.audio), interrupt=self.interrupt)
                else:
                    console.print(escape(source.status))
                    speech = client.open_speech(source.rate_hz, source.channel_count, interrupt=self.interrupt)
                cut = _send(client, speech, source, console)
                if speech.refusal is not None:
                    raise speech.refusal
                print(f"said {speech.received_s:.1f} s" + (", then it was cut" if cut else ""), flush=True)
        finally:
            if source is not None:
                source.close()

    def _source(self) -> SoundSource:
        if self.audio == _PIPE:
            from gstalker.bridge.inputs.pcm_pipe import PcmPipe

            return PcmPipe(sys.stdin.buffer, self.rate_hz, self.channels)
        from gstalker.bridge.inputs.microphone import Microphone

        return Microphone(self.audio.partition(":")[2])


def _send(client: AvatarClient, speech: PushedSpeech, source: SoundSource | None, console: Console) -> bool:
    """Feed the utterance from the source, and wait until it has been spoken; whether it was cut."""
    from gstalker.bridge.inputs.sound_source import SourceState
    from gstalker.bridge.schema import SpeechEnd

    said = "" if source is None else source.status
    patience_s = SPOKEN_WITHIN_S
    while patience_s > 0:
        received = client.receive(_TURN_S)
        message = None if received is None else received.message
        if isinstance(message, SpeechEnd) and message.speech_id == speech.speech_id:
            return message.cut
        if speech.refusal is not None or speech.cut:
            return speech.cut
        if speech.finished:
            patience_s -= _TURN_S if received is None else 0.0
        if source is None:
            continue
        while speech.queued_s < AHEAD_S and (piece := source.read()) is not None:
            speech.add(piece)
        if source.state is SourceState.ENDED:
            speech.close()
            source = None
        elif source.status != said and source.state is SourceState.FAILED:
            said = source.status
            console.print(escape(said))
    return False
