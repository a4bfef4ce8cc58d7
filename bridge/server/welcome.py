"""What a client is told about an avatar when it enters a session."""

from __future__ import annotations

from dataclasses import replace

from gstalker.bridge import schema
from gstalker.bridge.bundle_welcome import welcome_of_bundle
from gstalker.bridge.server.loaded_avatar import LoadedAvatar
from gstalker.bridge.server.options import ServeOptions
from gstalker.bridge.server.session import Session


def welcome_of(
    avatar: LoadedAvatar,
    session: Session,
    *,
    request_id: int,
    server_id: str,
    publication_port: int,
    avatar_names: tuple[str, ...],
    options: ServeOptions,
) -> schema.Welcome:
    """The welcome to a session; encoding it raises WireError where the avatar is too large for one message."""
    return replace(
        welcome_of_bundle(avatar.bundle),
        request_id=request_id,
        server_id=server_id,
        session_id=session.session_id,
        publication_port=publication_port,
        avatar_names=avatar_names,
        lead_s=options.session.lead_s,
        client_lease_s=options.limits.client_lease_s,
        can_play=session.recording is not None,
        speech_capacity_s=options.limits.speech_capacity_s,
        emotion_names=session.face.emotion_names,
        has_gaze=session.face.has_gaze,
    )
