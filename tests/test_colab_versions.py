"""What the notebooks check before and after pip, for runtimes that are not this one."""

import subprocess
import sys

import pytest

from colab import versions


@pytest.fixture
def runtime(monkeypatch):
    """Function (versions by name) -> nothing; other packages are as they are here."""

    def have(**others):
        real = versions.installed
        monkeypatch.setattr(
            versions, "installed", lambda name: others[name] if name in others else real(name)
        )

    return have


def test_a_jax_that_fits_is_kept():
    needed, kept = versions.plan("matplotlib")
    assert f"jax=={versions.metadata.version('jax')}" in kept.split()
    assert needed.endswith(" matplotlib") and "'jax" not in needed and "'flax>=" in needed
    assert "'etils[epath]>=" in needed and ";" not in needed


@pytest.mark.parametrize("found", ["0.7.2", "0.13.0"])
def test_another_jax_stops_the_notebook_and_offers_the_upgrade(runtime, monkeypatch, found):
    runtime(jax=found)
    with pytest.raises(RuntimeError, match=rf"runtime has {found}\. Set UPGRADE_JAX = True in the"):
        versions.plan()
    for extra in ("", "[tpu]", "[cuda12]"):
        monkeypatch.setattr(versions, "accelerator", lambda extra=extra: extra)
        assert versions.plan(upgrade=True)[1] == f"'jax{extra}<0.13,>=0.10'"


def test_without_jax_one_is_installed(runtime):
    runtime(jax=None)
    assert versions.plan()[1].startswith("'jax")


def test_an_old_python_is_named(monkeypatch):
    monkeypatch.setattr(versions.sys, "version_info", (3, 10, 12))
    with pytest.raises(RuntimeError, match=r"needs Python >=3.11, and this runtime has 3.10.12"):
        versions.plan()


@pytest.mark.parametrize(("found", "have"), [(None, "nothing"), ("0.10.2", "version 0.10.2")])
def test_what_pip_did_not_install_stops_the_notebook(runtime, found, have):
    """`!pip` that fails lets the notebook go on."""
    versions.check()
    runtime(flax=found)
    with pytest.raises(RuntimeError, match=rf"did not install flax>=.*there is {have}\)"):
        versions.check()


def test_a_replaced_package_restarts_the_kernel():
    code = (
        "import numpy; numpy.__version__ = '1.0'\n"
        "from colab import versions\nversions.check()\nprint('goes on')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=versions.Path(__file__).parents[1], capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    assert "The runtime restarts" in done.stdout and "goes on" not in done.stdout
