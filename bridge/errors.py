"""What can be wrong with a message."""

from __future__ import annotations


class WireError(ValueError):
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
