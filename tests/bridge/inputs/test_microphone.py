"""The microphone on a made-up sounddevice module: there is no sound card where the tests run."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from helpers import fake_sounddevice
from helpers.fake_sounddevice import FakeSounddevice

from gstalker.bridge.inputs.feeds import SoundFeed
from gstalker.bridge.inputs.microphone import Microphone, find_device, list_devices
from gstalker.bridge.inputs.sound_source import SourceState
from gstalker.bridge.server.speech import SpeechTimeline
from gstalker.runtime.audio import LogMelConfig
from gstalker.runtime.bundle_manifest import AudioFrontEnd
from gstalker.runtime.errors import InputError

FRONT = AudioFrontEnd(LogMelConfig(), left_mel_frames=31, right_mel_frames=28)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeSounddevice:
    return fake_sounddevice.install(monkeypatch)


@pytest.fixture
def microphone(fake: FakeSounddevice) -> Iterator[Microphone]:
    opened = Microphone(retry_s=0.05)
    yield opened
    opened.close()


def eventually(true: Callable[[], bool]) -> bool:
    """Whether something becomes true within 10 s: a bound for a loaded machine, usually it takes 0.2 s."""
    deadline = time.monotonic() + 10
    while not true() and time.monotonic() < deadline:
        time.sleep(0.01)
    return true()


def test_devices_that_sound_can_come_from_are_listed(fake: FakeSounddevice):
    assert [(d.number, d.name, d.channel_count, d.rate_hz, d.default) for d in list_devices()] == [
        (1, "Built-in microphone", 1, 48_000, True),
        (2, "USB headset", 2, 44_100, False),
    ]


@pytest.mark.parametrize(
    ("wanted", "number"), [("", 1), ("2", 2), ("usb", 2), ("Built-in microphone", 1), ("micro", 1)]
)
def test_a_device_is_found_by_number_by_name_or_as_the_default(fake: FakeSounddevice, wanted: str, number: int):
    assert find_device(wanted).number == number


@pytest.mark.parametrize(
    ("wanted", "text"),
    [("0", "got none"), ("9", "There are: 1 Built-in microphone; 2 USB headset"), ("e", "got 2 of them")],
)
def test_a_device_that_is_not_there_or_not_one_is_refused(fake: FakeSounddevice, wanted: str, text: str):
    with pytest.raises(InputError, match="expected one device") as caught:
        find_device(wanted)
    assert text in str(caught.value)


def test_a_machine_without_any_device_is_told_so(fake: FakeSounddevice):
    fake.devices[:] = fake.devices[:1]
    with pytest.raises(InputError, match="this machine has none that sound can come from"):
        Microphone()


def test_a_device_that_does_not_open_is_told_with_the_systems_words(fake: FakeSounddevice):
    fake.refuses = "Device busy"
    with pytest.raises(InputError, match="expected to open it at 48000 Hz, the system said: Device busy"):
        Microphone()


def test_without_the_package_or_its_library_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(InputError, match=r"pip install 'gstalker\[audio\]'"):
        list_devices()

    class NoLibrary:
        def find_spec(self, name, path=None, target=None):
            if name == "sounddevice":
                raise OSError("PortAudio library not found")

    monkeypatch.delitem(sys.modules, "sounddevice")
    monkeypatch.setattr(sys, "meta_path", [NoLibrary(), *sys.meta_path])
    with pytest.raises(InputError, match="expected the PortAudio library, found none"):
        list_devices()


def test_a_list_that_the_system_refuses_is_told(fake: FakeSounddevice, monkeypatch: pytest.MonkeyPatch):
    def refuse():
        raise fake.PortAudioError("not initialised")

    monkeypatch.setattr(sys.modules["sounddevice"], "query_devices", refuse)
    with pytest.raises(InputError, match="expected a list of sound devices, the system said: not initialised"):
        list_devices()


def test_sound_comes_out_as_it_came_in_although_the_driver_uses_its_buffer_again(
    fake: FakeSounddevice, microphone: Microphone
):
    assert (microphone.rate_hz, microphone.channel_count, microphone.live) == (48_000, 1, True)
    assert microphone.status == "microphone Built-in microphone: running, 48000 Hz mono"
    fake.streams[0].feed(np.arange(480, dtype=np.int16)[:, None])
    piece = microphone.read()
    assert piece is not None
    np.testing.assert_array_equal(piece[:, 0], np.arange(480))
    assert microphone.read() is None


def test_sound_that_nobody_takes_is_bounded_and_the_oldest_is_lost(fake: FakeSounddevice, microphone: Microphone):
    for number in range(15):
        fake.streams[0].feed(np.full((4800, 1), number, np.int16))
    first = microphone.read()
    assert first is not None
    assert first[0, 0] == 5, "a second is kept, ten pieces of a tenth"
    assert "0.5 s lost" in microphone.status


def test_a_pulled_device_is_reported_tried_again_and_used_when_it_is_back(
    fake: FakeSounddevice, microphone: Microphone
):
    fake.streams[0].feed(np.zeros((480, 1), np.int16))
    fake.pull_out()
    assert eventually(lambda: "Device unavailable" in microphone.status)
    assert microphone.state is SourceState.FAILED
    assert microphone.status.startswith("microphone Built-in microphone: gone (")
    assert "trying again every 0.05 s" in microphone.status
    assert microphone.read() is None, "what it gave before is stale"
    assert fake.streams[0].closed
    tries = fake.restarts
    assert eventually(lambda: fake.restarts > tries + 2)
    fake.refuses = ""
    assert eventually(lambda: microphone.state is SourceState.RUNNING)
    fake.streams[-1].feed(np.full((480, 1), 7, np.int16))
    piece = microphone.read()
    assert piece is not None
    assert piece[0, 0] == 7


def test_a_device_that_falls_silent_altogether_counts_as_gone(fake: FakeSounddevice, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gstalker.bridge.inputs.microphone.SILENT_S", 0.1)
    microphone = Microphone(retry_s=60)
    try:
        assert eventually(lambda: "gives no sound" in microphone.status)
    finally:
        microphone.close()


def test_a_microphones_sound_reaches_the_timeline_and_a_pulled_one_ends_its_utterance(
    fake: FakeSounddevice, microphone: Microphone
):
    feed, timeline = SoundFeed(microphone), SpeechTimeline(FRONT)
    for frame in range(30):
        fake.streams[0].feed(np.full((1920, 1), 1000, np.int16))
        feed.pump(timeline)
        timeline.prepare(frame)
    assert timeline.speech_at(29) == 0
    assert feed.status == microphone.status
    fake.pull_out()
    assert eventually(lambda: microphone.state is SourceState.FAILED)
    told = []
    for frame in range(30, 50):
        feed.pump(timeline)
        timeline.prepare(frame)
        told += [e.speech_id for e in timeline.ended(frame)]
    assert told == [0]
    assert not timeline.speaking
    fake.refuses = ""
    assert eventually(lambda: microphone.state is SourceState.RUNNING)
    for frame in range(50, 80):
        fake.streams[-1].feed(np.full((1920, 1), 1000, np.int16))
        feed.pump(timeline)
        timeline.prepare(frame)
    assert timeline.speech_at(79) == 1, "a new utterance"


def test_what_was_heard_before_anybody_listened_is_left_out(fake: FakeSounddevice, microphone: Microphone):
    feed, timeline = SoundFeed(microphone), SpeechTimeline(FRONT)
    for number in range(100):
        fake.streams[0].feed(np.full((480, 1), number, np.int16))
    feed.pump(timeline)
    assert 0.09 <= timeline.waiting_s <= 0.11
    assert timeline.received_s(0) == pytest.approx(0.11, abs=0.011)


def test_after_a_stop_what_the_microphone_hears_then_is_a_new_utterance(fake: FakeSounddevice, microphone: Microphone):
    feed, timeline = SoundFeed(microphone), SpeechTimeline(FRONT)
    for frame in range(60):
        fake.streams[0].feed(np.full((1920, 1), 1000, np.int16))
        if frame == 30:
            assert timeline.cut(28) == 0
        feed.pump(timeline)
        timeline.prepare(frame)
    assert timeline.speech_at(59) == 1
    assert feed.refused == ""
