"""Where compiled programs are kept: by default, for several hosts, and in a bucket."""

import jax
import pytest

from rdc_jax import paths
from rdc_jax.codec import compilation_cache
from tests import bucket_client, bucket_server


@pytest.fixture(autouse=True)
def settings(monkeypatch):
    """JAX's settings as they are set here; nothing is really changed."""
    found = {}
    monkeypatch.setattr(jax.config, "update", found.__setitem__)
    return found


def folder(settings):
    return str(settings["jax_compilation_cache_dir"])


def test_several_hosts_use_the_workdir_that_they_share(settings, monkeypatch, tmp_path):
    monkeypatch.delenv("RDC_CACHE_DIR")
    compilation_cache.enable_for_several_hosts(str(tmp_path / "run"))
    assert folder(settings) == str(tmp_path / "run" / "compilation_cache")
    assert (tmp_path / "run" / "compilation_cache").is_dir()


def test_a_folder_of_the_users_own_comes_first(settings, monkeypatch, tmp_path):
    monkeypatch.setenv("RDC_CACHE_DIR", str(tmp_path / "mine"))
    compilation_cache.enable_for_several_hosts(str(tmp_path / "run"))
    assert folder(settings) == str(tmp_path / "mine") and not (tmp_path / "run").exists()


def test_a_folder_may_be_in_a_bucket(settings, monkeypatch):
    with bucket_server.serving() as server:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        bucket_client.install()
        monkeypatch.delenv("RDC_CACHE_DIR")
        compilation_cache.enable_for_several_hosts("gs://runs/a")
        assert folder(settings) == "gs://runs/a/compilation_cache"
        monkeypatch.setenv("RDC_CACHE_DIR", "gs://cache/rdc")
        assert compilation_cache.enable() == paths.of("gs://cache/rdc")
        assert folder(settings) == "gs://cache/rdc"
