"""Where a config file may lie, and which files it may import."""

import pytest

from configs import tiny
from rdc_jax.cli.commands.train import load_config
from rdc_jax.errors import RdcError

CONFIG = """
import ml_collections

from . import {sibling}


def get_config(variant=""):
    return ml_collections.ConfigDict(dict(value={sibling}.VALUE, variant=variant))
"""


def test_a_shipped_config_is_loaded_from_another_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = load_config(f"{tiny.__file__}:smoke")
    assert config.to_json() == tiny.get_config("smoke").to_json()


def test_a_config_imports_the_file_beside_it(tmp_path, monkeypatch):
    """Each its own, also where two folders have a file of the same name."""
    for value, name in enumerate(("a", "b")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.py").write_text(CONFIG.format(sibling="defaults"))
        (folder / "defaults.py").write_text(f"VALUE = {value}\n")
    monkeypatch.chdir(tmp_path)
    found = [load_config(f"{name}/config.py:x") for name in ("a", "b", "a")]
    assert [config.value for config in found] == [0, 1, 0]
    assert found[0].variant == "x"


def test_a_config_without_the_file_beside_it_is_refused_in_one_line(tmp_path):
    path = tmp_path / "config.py"
    path.write_text(CONFIG.format(sibling="defaults"))
    with pytest.raises(RdcError, match=r"config\.py' imports a file that is not beside") as error:
        load_config(str(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "variant", "message"),
    [
        ("def get_config(:", "", r"config\.py, line 1: "),
        ("get_config = 3", "", "has no function get_config"),
        ("def get_config():\n    return {'a': 1}", "", "must return a ConfigDict, not a dict"),
        ("def get_config():\n    return None", "", "must return a ConfigDict, not a NoneType"),
        ("def get_config():\n    return 1", ":big", "does not take a variant such as 'big'"),
        ("def get_config(variant):\n    return 1", "", "needs :VARIANT"),
    ],
)
def test_a_file_that_is_no_config_is_refused_in_one_line(tmp_path, text, variant, message):
    path = tmp_path / "config.py"
    path.write_text(text)
    with pytest.raises(RdcError, match=message) as error:
        load_config(f"{path}{variant}")
    assert "\n" not in str(error.value)
