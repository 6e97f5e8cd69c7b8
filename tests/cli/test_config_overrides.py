"""Settings of the command line, with the meaning that ml_collections.config_flags gives them."""

import ml_collections
import pytest

from configs import fusion, hyperprior, tiny
from rdc_jax.cli.commands.config_overrides import apply_overrides, value_of
from rdc_jax.cli.main import build_parser
from rdc_jax.errors import RdcError


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("seed=5", 5),
        ("seed=0x10", 16),
        ("--config.seed=6", 6),
        ("training.muon_learning_rate=1", 1.0),
        ("training.muon_learning_rate=2e-3", 0.002),
        ("training.judge_every=-1", -1),
        ("training.split_rows=true", True),
        ("training.split_rows=1", True),
        ("model.prior_conditioning=False", False),
        ("model.unet.channels=8,8,16", (8, 8, 16)),
        ("model.unet.channels=(8, 16)", (8, 16)),
        ("model.unet.channels=8", (8,)),
        ("workdir=a=b", "a=b"),
        ("workdir=", ""),
        ("workdir=--config.seed=3", "--config.seed=3"),
        ("data.mix=a b=0.1,c=0.2", "a b=0.1,c=0.2"),
    ],
)
def test_values_have_the_type_of_the_setting(override, expected):
    config = tiny.get_config()
    apply_overrides(config, [override])
    found = value_of(config, override.removeprefix("--config.").partition("=")[0])
    assert found == expected and type(found) is type(expected)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.pth=x", r"no setting 'data\.pth'; did you mean data\.path\?"),
        ("--config.data.pth=x", r"no setting 'data\.pth'; did you mean data\.path\?"),
        ("name.first=x", r"no setting 'name\.first'"),
        ("=3", "no setting ''"),
        ("seed", "cannot read the setting 'seed'; write key=value"),
        ("seed=", "'seed' must be a whole number, not ''"),
        ("seed=true", "'seed' must be a whole number, not 'true'"),
        ("training.total_steps=1e3", "must be a whole number, not '1e3'"),
        ("training.ema_half_life=x", r"'training\.ema_half_life' must be a"),
        ("model.prior_conditioning=maybe", "must be true or false, not 'maybe'"),
        ("model.unet.channels=", r"must be a tuple such as \(96, 144, 192\), not ''"),
        ("model.unet.channels=(8,", "must be a tuple"),
        ("model.unet.channels=(8, 'a')", "must be a tuple"),
        ("model.unet.channels=(8, 1.5)", "must be a tuple"),
        ("model.timestep_range=(True, 3)", "must be a tuple"),
        ("data=3", r"'data' is a section; change its settings, such as data\."),
    ],
)
def test_what_cannot_be_read_is_named(override, message):
    config = tiny.get_config()
    with pytest.raises(RdcError, match=message) as error:
        apply_overrides(config, [override])
    assert "\n" not in str(error.value)
    assert config.to_dict() == tiny.get_config().to_dict()


def test_the_last_of_two_counts():
    config = tiny.get_config()
    apply_overrides(config, ["seed=1", "--config.seed=2", "model.unet.channels=1", "seed=3"])
    assert config.seed == 3 and config.model.unet.channels == (1,)


def test_locked_configs_can_be_changed_and_stay_locked():
    config = tiny.get_config().lock()
    apply_overrides(config, ["seed=1"])
    assert config.seed == 1 and config.is_locked


@pytest.mark.parametrize("section", ["model", "grow.autoencoder"])
def test_an_empty_section_is_named(section):
    with pytest.raises(RdcError, match=f"'{section}' is a section; change the config file"):
        apply_overrides(fusion.get_config(), [f"{section}=3"])


def test_settings_that_are_none_or_lists_take_literals():
    config = hyperprior.get_config()
    apply_overrides(config, ["model.unet=None"])
    assert config.model.unet is None
    config = ml_collections.ConfigDict(dict(values=[], more=[1]))
    apply_overrides(config, ["values=[1.5, 'a']", "more=[2, 3]"])
    assert (config["values"], config.more) == ([1.5, "a"], [2, 3])
    for wrong in ("values=3", "more=['a']", "more=abc"):
        with pytest.raises(RdcError, match="must be a list"):
            apply_overrides(config, [wrong])


@pytest.mark.parametrize(
    ("words", "overrides"),
    [
        ("--config C data.kind=latents --aot v5e:2x4 mesh.fsdp=8", "data.kind=latents mesh.fsdp=8"),
        ("a=1 --config C b=2", "a=1 b=2"),
        ("--config.a=3 --config C a=1 --aot T --config.b=1", "--config.a=3 a=1 --config.b=1"),
        ("--config C", ""),
    ],
)
def test_settings_stand_anywhere_between_the_options(words, overrides):
    args = build_parser().parse_args(["train", *words.split()])
    assert args.config == "C" and args.overrides == overrides.split()


@pytest.mark.parametrize("word", ["--configs.a=1", "--config.a", "--seed=1"])
def test_other_options_are_unknown(word):
    with pytest.raises(RdcError, match="unrecognized arguments"):
        build_parser().parse_args(["train", "--config", "C", word])
