"""One strict environment for every test.

Set before the first `import jax` anywhere, through the environment, so that the tests of the
NumPy rooms need no jax: eight simulated CPU devices, strict dtype promotion, no silent rank
promotion, quick compilation. Warnings are errors (pyproject.toml). A child process inherits
these variables; one that must run as a user's does takes the fixture `user_environment`.
"""

from __future__ import annotations

import os
import random
import signal

STRICTNESS = {
    "JAX_NUMPY_DTYPE_PROMOTION": "strict",
    "JAX_NUMPY_RANK_PROMOTION": "raise",
}
DEVICE_COUNT = 8
DEVICE_FLAG = f"--xla_force_host_platform_device_count={DEVICE_COUNT}"
# Tests compile much and run little.
COMPILE_FLAGS = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"

_flags_of_the_user = os.environ.get("XLA_FLAGS", "")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["XLA_FLAGS"] = f"{COMPILE_FLAGS} {_flags_of_the_user} {DEVICE_FLAG}"
os.environ.update(STRICTNESS)
os.environ["RDC_CACHE_DIR"] = os.devnull  # no folder: no test fills the user's cache
os.environ["RDC_DATA_DIR"] = os.devnull  # and none uses the user's detectors

import hypothesis  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402
from absl import flags  # noqa: E402

# grain's worker processes read absl flags, which only absl's own main function parses.
flags.FLAGS.mark_as_parsed()

# The same examples in every run; a first call may compile for seconds.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None)
hypothesis.settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def fixed_seeds():
    """Seeds the global generators before each test."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002  for libraries that draw from the global generator


@pytest.fixture
def rng() -> np.random.Generator:
    """A NumPy generator with a fixed seed."""
    return np.random.default_rng(0)


@pytest.fixture
def ctrl_c():
    """SIGINT interrupts this process and those it starts, even where the parent ignores it.

    A shell without job control ignores it for what it runs in the background, and children
    inherit that: a nightly run, or a CI job.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def user_environment() -> dict[str, str]:
    """The environment of a user's shell: CPU, but no simulated devices and no strictness."""
    environment = {name: v for name, v in os.environ.items() if name not in STRICTNESS}
    environment["XLA_FLAGS"] = _flags_of_the_user
    if not _flags_of_the_user:
        del environment["XLA_FLAGS"]
    return environment


@pytest.fixture(scope="session")
def refusing():
    """Source text for a child process in which importing the named packages fails."""

    def source(*names: str) -> str:
        return f"""
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {names!r}:
            raise ImportError(f"{{name}} is not here")

sys.meta_path.insert(0, Refuse())
"""

    return source


@pytest.fixture(scope="session")
def smoke_model(tmp_path_factory):
    """Folder of a model of smoke size: a DCT with random networks around it, all layers alive."""
    import jax

    from configs import tiny
    from rdc_jax.model_folder import codec_model
    from rdc_jax.models.autoencoder import dct_analysis_matrix
    from rdc_jax.models.networks import Networks

    config = tiny.get_config("smoke").model.to_dict()
    networks = Networks.from_config(config)
    generator = np.random.default_rng(0)

    def draw(leaf):
        scale = 0.1 if leaf.ndim == 1 else 0.5 / np.sqrt(np.prod(leaf.shape[:-1]))
        return generator.normal(0, scale, leaf.shape).astype(np.float32)

    params = jax.tree.map(draw, jax.eval_shape(networks.init, jax.random.key(0)))
    analysis = dct_analysis_matrix(36, 10)
    params["autoencoder"]["analysis"]["linear"]["kernel"] = analysis
    params["autoencoder"]["synthesis"]["linear"]["kernel"] = np.linalg.pinv(analysis)
    spread = np.log2(40 / (1 + np.arange(56) % 36))
    for layer in ("pass0_1", "pass1_2", "pass2_2"):
        params["hyperprior"][layer]["bias"][56:] = spread
    params["hyperprior"]["hyper_prior"]["bias"][4:] += 1.0
    folder = tmp_path_factory.mktemp("models") / "smoke"
    entropy = codec_model.entropy_arrays(
        params["hyperprior"], networks.step_table(params), networks.hyperprior.latent_unit
    )
    codec_model.save(folder, "tiny-smoke", config, params, entropy)
    return folder
