"""Two free ports next to each other."""

from __future__ import annotations

import socket

import pytest

from gstalker.bridge import free_port as place
from gstalker.bridge.free_port import free_port
from gstalker.runtime.errors import InputError


def test_both_ports_can_be_listened_on():
    port = free_port()
    with socket.create_server(("127.0.0.1", port)), socket.create_server(("127.0.0.1", port + 1)):
        pass


def test_ports_where_somebody_listens_are_not_given(monkeypatch: pytest.MonkeyPatch):
    port = free_port()
    monkeypatch.setattr(place, "_FIRST", port)
    monkeypatch.setattr(place, "_LAST", port + 1)
    with socket.create_server(("127.0.0.1", port + 1)), pytest.raises(InputError) as refusal:
        free_port()
    assert str(refusal.value) == "expected two free ports next to each other on this machine, found none."
    assert free_port() == port
