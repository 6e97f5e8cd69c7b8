"""What `rdc encode`, `decode` and `info` import: nothing of training, and JAX only if it runs."""

import json
import subprocess
import sys

import pytest

from tests.cli.runs import ROOT

TRAINING = {
    *("array_record", "clu", "grain", "ml_collections", "optax", "orbax"),
    *("tensorflow", "tensorflow_datasets"),
}
HEAVY = {*TRAINING, "einops", "flax", "jax", "jaxlib", "matplotlib", "scipy", "torch"}
COMMAND = """
import json, sys
from rdc_jax.cli.main import main
code = main(sys.argv[1:])
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
sys.exit(code)
"""


def imported(environment, source, *arguments) -> set[str]:
    """The packages that a process has imported at its end; `source` prints them last."""
    done = subprocess.run(
        [sys.executable, "-c", source, *map(str, arguments)],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_encoding_imports_nothing_of_training(models, photo, user_environment):
    command = ["encode", photo, "--model", models / "first", "--roi", "contrast"]
    target = ["--target-quality", "psnr=1"]  # random weights reach that
    packages = imported(user_environment, COMMAND, *command, *target)
    assert packages & TRAINING == set() and "jax" in packages


def test_decoding_imports_nothing_of_training(models, coded, user_environment):
    command = ["decode", coded, "--model", models / "first", "--tau", "roi", "-f"]
    packages = imported(user_environment, COMMAND, *command)
    assert packages & TRAINING == set() and "jax" in packages


@pytest.mark.parametrize("command", ["info", "models"])
def test_commands_without_networks_import_no_jax(coded, user_environment, command):
    arguments = [command, coded] if command == "info" else [command]
    packages = imported(user_environment, COMMAND, *arguments)
    assert packages & HEAVY == set() and "rdc_jax" in packages


def test_the_package_imports_no_jax_for_info(coded, user_environment):
    source = COMMAND.replace("from rdc_jax.cli.main import main", "import rdc_jax")
    source = source.replace("main(sys.argv[1:])", "rdc_jax.info(sys.argv[1]).width != 83")
    assert imported(user_environment, source, coded) & HEAVY == set()
