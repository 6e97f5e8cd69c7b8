"""What the notebooks ask before and after pip: whether this Python and this JAX will do.

    needed, kept = versions.plan("matplotlib", upgrade=UPGRADE_JAX)
    !pip install -qe . --no-deps && pip install -q {kept} {needed}
    versions.check()

A runtime's JAX fits its GPU or TPU, so it is kept. If it is too old, pip would find no versions
that fit together, and the notebook would go on without them. So the notebook stops first, and says
how to upgrade.
"""

import os
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import NoReturn

from packaging.requirements import Requirement

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]


def plan(*more: str, upgrade: bool = False) -> tuple[str, str]:
    """What pip should install, and the packages of JAX that it should keep, as words for a shell.

    Args:
        more: Further packages.
        upgrade: Whether to replace a JAX that is too old, or too new.

    Raises:
        RuntimeError: This Python or this JAX will not do. The message says what to change.
    """
    python = ".".join(map(str, sys.version_info[:3]))
    if not Requirement(f"python{PROJECT['requires-python']}").specifier.contains(python):
        raise RuntimeError(
            f"rdc_jax needs Python {PROJECT['requires-python']}, and this runtime has {python}: "
            "choose a newer one under Runtime > Change runtime type"
        )
    jax, *others = sorted(requirements(), key=lambda requirement: requirement.name != "jax")
    needed = " ".join([*(f"'{_without_marker(r)}'" for r in others), *more])
    found = installed("jax")
    if found and jax.specifier.contains(found):
        names = {d.name: d.version for d in metadata.distributions() if d.name.startswith("jax")}
        return needed, " ".join(f"{name}=={version}" for name, version in sorted(names.items()))
    if found and not upgrade:
        raise RuntimeError(
            f"rdc_jax needs {jax}, and this runtime has {found}. Set UPGRADE_JAX = True in the "
            "first cell and run the notebook again. It upgrades JAX and restarts the runtime once"
        )
    return needed, f"'jax{accelerator()}{jax.specifier}'"


def check() -> None:
    """To be called after pip. Restarts the runtime if it has loaded packages that pip replaced.

    Raises:
        RuntimeError: pip has not installed something; its own message is above.
    """
    for requirement in requirements():
        found = installed(requirement.name)
        if found is None or not requirement.specifier.contains(found, prereleases=True):
            have = f"version {found}" if found else "nothing"
            raise RuntimeError(
                f"pip did not install {requirement} (there is {have}); its message above says why"
            )
    for name in ("jax", "numpy"):
        module = sys.modules.get(name)
        if module is not None and module.__version__ != metadata.version(name):
            restart()


def restart() -> NoReturn:
    """Ends the kernel; Colab and Jupyter start a new one."""
    print(
        "The runtime restarts, with the new JAX. Run the notebook again from the top.", flush=True
    )
    os._exit(0)


def requirements() -> list[Requirement]:
    """The dependencies of the package that apply to this machine."""
    found = [Requirement(text) for text in PROJECT["dependencies"]]
    return [r for r in found if r.marker is None or r.marker.evaluate()]


def _without_marker(requirement: Requirement) -> str:
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    return f"{requirement.name}{extras}{requirement.specifier}"


def installed(name: str) -> str | None:
    """The installed version of a package."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def accelerator() -> str:
    """The extra of JAX for this machine: "[cuda12]", "[tpu]" or ""."""
    if Path("/dev/nvidia0").exists():
        return "[cuda12]"
    if Path("/dev/accel0").exists() or Path("/dev/vfio/0").exists():
        return "[tpu]"
    return ""
