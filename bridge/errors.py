"""What can be wrong with a message or with the other end."""

from __future__ import annotations

from gstalker.runtime.errors import InputError


class WireError(InputError):
    """Bytes that are not a message of this wire version, or values that must not be sent as one."""


class WireVersionError(WireError):
    """The other end speaks another wire version."""

    def __init__(self, theirs: int, ours: int) -> None:
        super().__init__(
            f"wire version: expected {ours}, got {theirs}. Server and client must come from versions of gstalker "
            f"that speak the same wire version: update the one with the lower number."
        )
        self.theirs = theirs
        self.ours = ours


class Refused(InputError):
    """The server answered a request with a refusal.

    Attributes:
        code: one of schema.REFUSAL_CODES.
        retry_after_s: when asking again may help; 0 where it will not.
    """

    def __init__(self, code: str, text: str, retry_after_s: float = 0.0) -> None:
        super().__init__(text)
        self.code = code
        self.retry_after_s = retry_after_s


class ServerLost(InputError):
    """The server fell silent in the middle of a stream."""


class RequestRefused(InputError):
    """A server's own no to a request: what its refusal will say.

    Attributes:
        code: one of schema.REFUSAL_CODES.
        reason: for a person: what was expected, what came.
        retry_after_s: when asking again may help; 0 where it will not.
    """

    def __init__(self, code: str, reason: str, retry_after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.retry_after_s = retry_after_s


class SpeechRefused(RequestRefused):
    """An utterance, or a piece of its sound, that the speech timeline does not take."""


class ControlRefused(RequestRefused):
    """A face or head control that this avatar cannot be given."""
