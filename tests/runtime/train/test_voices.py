"""Pictures are learnt from other voices, too: which frame hears which voice depends on seed, step and frame alone."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from made_dataset import MadeSpeaker, write_made_dataset

from gstalker.runtime.dataset import Dataset
from gstalker.runtime.model.audio_source import LogMelSource
from gstalker.runtime.poses import avatar_space
from gstalker.runtime.train import frames, setup
from gstalker.runtime.train.config import TrainConfig
from gstalker.runtime.train.trainer import Trainer


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    folder = tmp_path_factory.mktemp("voices")
    dataset = Dataset(write_made_dataset(folder / "data", MadeSpeaker(train_clips=2)))
    config = TrainConfig()
    config = dataclasses.replace(
        config,
        voices_share=1.0,
        init=dataclasses.replace(config.init, head_count=200, torso_count=100),
        pretrain=dataclasses.replace(config.pretrain, steps=2),
    )
    names = [c.name for c in dataset.clips("train")]
    tracks = frames.frame_tracks(
        dataset, names, avatar_space(dataset), config.avatar.audio, LogMelSource(), config.avatar.controls
    )
    pictures = frames.PictureStore(dataset, names)
    model, _ = setup.start_avatar(config, dataset, names, tracks, pictures, lambda step, loss: None)
    return Trainer(config, dataset, folder / "run", model, tracks, pictures)


def test_a_frame_of_a_step_is_heard_alike_every_time_and_otherwise_in_the_next_step(trainer: Trainer):
    window = trainer.tables.mel_windows[3]
    trainer.step = 7
    once, again, neighbour = trainer.heard(3, window), trainer.heard(3, window), trainer.heard(4, window)
    assert torch.equal(once, again)
    assert not torch.equal(once, window)
    assert not torch.equal(once, neighbour)
    trainer.step = 8
    assert not torch.equal(trainer.heard(3, window), once)


def test_the_global_random_numbers_are_left_alone(trainer: Trainer):
    before = torch.get_rng_state()
    trainer.heard(3, trainer.tables.mel_windows[3])
    assert torch.equal(torch.get_rng_state(), before)


def test_without_other_voices_a_frame_is_heard_as_it_is(trainer: Trainer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(trainer, "config", dataclasses.replace(trainer.config, voices_share=0.0))
    window = trainer.tables.mel_windows[3]
    assert trainer.heard(3, window) is window


def test_a_frozen_encoders_features_are_not_turned_as_if_they_were_log_mel(monkeypatch: pytest.MonkeyPatch):
    from gstalker.runtime.train import config as module

    monkeypatch.setattr(module, "open_source", lambda hearing: LogMelSource())
    assert TrainConfig().voices_share > 0
    assert TrainConfig().with_hearing("moonshine", None).voices_share == 0
