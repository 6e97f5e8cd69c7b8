"""The tables of `rdc train --describe`."""

import re

import jax
import pytest

from configs import hyperprior, sd21, tiny
from rdc_jax.cli.main import main
from rdc_jax.errors import RdcError
from rdc_jax.training.describe import describe
from rdc_jax.training.tasks.selection import task_for


@pytest.mark.parametrize("module", [tiny, hyperprior, sd21])
def test_every_network_has_a_table_with_its_parameters(module):
    config = module.get_config("smoke")
    text = describe(config)
    shapes = task_for(config).parameter_shapes()
    networks = sorted(name for name in shapes if name != "context")  # a constant, no network
    assert sorted(re.findall(r"^(\w+)$", text, re.MULTILINE)) == networks
    totals = re.findall(r"Total Parameters: ([\d,]+)", text)
    found = sorted(int(total.replace(",", "")) for total in totals)
    wanted = [sum(x.size for x in jax.tree.leaves(shapes[name])) for name in networks]
    assert found == sorted(wanted)
    assert "\x1b" not in text


def test_a_config_that_cannot_be_trained_is_not_described():
    config = tiny.get_config("smoke")
    config.data.crop_size = 48
    with pytest.raises(RdcError, match="multiple of 32"):
        describe(config)


def test_the_command_prints_and_trains_nothing(monkeypatch, capsys):
    monkeypatch.setattr("rdc_jax.training.describe.describe", lambda config: config.name)
    monkeypatch.setattr("rdc_jax.training.train.train", lambda config: pytest.fail("it trains"))
    assert main(["train", "--config", f"{tiny.__file__}:smoke", "--describe", "name=other"]) == 0
    assert capsys.readouterr().out == "other\n"
