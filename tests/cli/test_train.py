"""`rdc train`: a config file and changed settings reach the training loop."""

from __future__ import annotations

import pytest

from rdc_jax.cli.main import main
from tests.cli.runs import ROOT, fails

pytestmark = pytest.mark.usefixtures("no_cache_in_this_process")


def test_train_takes_config_and_settings(monkeypatch, capsys):
    seen = []
    monkeypatch.setattr("rdc_jax.training.train.train", lambda config: seen.append(config) or "m")
    settings = [
        "workdir=a=b", "training.total_steps=7", "training.muon_learning_rate=1",
        "training.split_rows=true", "model.unet.channels=8,8,16", "data.path=",
    ]  # fmt: skip
    config = f"{ROOT}/configs/tiny.py:smoke"
    assert main(["train", "--config", config, *settings]) == 0
    assert capsys.readouterr().out == "m\n"
    assert seen[0].name == "tiny-smoke"
    assert seen[0].workdir == "a=b"
    assert seen[0].training.total_steps == 7
    assert seen[0].training.muon_learning_rate == 1.0
    assert isinstance(seen[0].training.muon_learning_rate, float)
    assert seen[0].training.split_rows is True
    assert seen[0].model.unet.channels == (8, 8, 16)
    assert seen[0].is_locked


@pytest.mark.parametrize(
    ("config", "setting", "words"),
    [
        ("configs/tiny.py", "data.pth=x", "no setting 'data.pth'; did you mean data.path?"),
        ("configs/tiny.py", "name.first=x", "no setting 'name.first'"),
        ("configs/tiny.py", "data=3", "'data' is a section"),
        ("configs/tiny.py", "data.path", "write key=value"),
        ("configs/tiny.py", "data.batch_size=2.5", "'data.batch_size' must be a whole number"),
        ("configs/tiny.py", "data.batch_size=True", "must be a whole number"),
        ("configs/tiny.py", "training.ema_half_life=x", "'training.ema_half_life' must be a"),
        ("configs/tiny.py", "--config.data.batch_size=x", "'data.batch_size' must be a whole"),
        ("configs/tiny.py", "model.prior_conditioning=2", "must be true or false"),
        ("configs/tiny.py", "model.unet.channels=8,x", "must be a tuple"),
        ("configs/tiny.py:big", "seed=1", "unknown variant 'big'"),
        ("configs/none.py", "seed=1", "no config file 'configs/none.py'"),
        ("README.md", "seed=1", "must be Python"),
        ("tests/conftest.py", "seed=1", "no function get_config"),
    ],
)
def test_train_refuses(tmp_path, capsys, monkeypatch, config, setting, words):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("rdc_jax.training.train.train", lambda config: pytest.fail("it trains"))
    assert words in fails(capsys, tmp_path, "train", "--config", config, setting)


def test_interrupted_training_says_how_to_go_on(monkeypatch, capsys):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("rdc_jax.training.train.train", interrupted)
    assert main(["train", "--config", f"{ROOT}/configs/tiny.py", "workdir=there"]) == 130
    assert "the same command continues from the last checkpoint in there" in capsys.readouterr().err
