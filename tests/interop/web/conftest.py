"""Node.js, which runs the page's modules; tests that want it are skipped where it is missing."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
OLDEST = 20  # major version of Node.js


@pytest.fixture(scope="session")
def node():
    """Function (script, *arguments, test) -> standard output of Node.js, which must succeed."""
    program = shutil.which("node")
    if program is None:
        pytest.skip("needs Node.js")
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    if int(re.match(r"v(\d+)", version.stdout)[1]) < OLDEST:
        pytest.skip(f"needs Node.js {OLDEST} or newer, found {version.stdout.strip()}")

    def run(script, *arguments, test=False):
        environment = os.environ | {"RDC_TEST_FOLDER": str(arguments[0])} if test else None
        options = ["--test"] if test else []
        done = subprocess.run(
            [program, *options, HERE / script, *map(str, () if test else arguments)],
            env=environment, capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-6000:]
        return done.stdout

    return run
