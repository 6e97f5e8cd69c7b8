"""Keeps JAX from starting a TPU that is not there.

With libtpu installed, JAX loads it on every machine, and without a TPU it prints errors of its own
on standard error. Before JAX is imported, its own search for TPUs (of jax._src.hardware_utils) is
repeated here: only where that finds none, JAX is told which platforms to use.
"""

import importlib.util
import os
import pkgutil
from collections.abc import MutableMapping
from pathlib import Path

PCI = Path("/sys/bus/pci/devices")
GOOGLE = "0x1ae0"  # vendor
TPUS = ("0x0027", "0x0056", "0x005e", "0x0062", "0x0063", "0x006f", "0x0076")  # devices
NVIDIA = Path("/dev/nvidia0")


def skip_absent_tpu(environment: MutableMapping[str, str] = os.environ) -> None:
    """Sets JAX_PLATFORMS where libtpu is installed and no TPU is attached.

    Nothing is changed if the user has set JAX_PLATFORMS or JAX_FORCE_TPU_INIT, and where another
    accelerator than an NVIDIA GPU may be meant. Must come before JAX is imported.
    """
    if {"JAX_PLATFORMS", "JAX_FORCE_TPU_INIT", "TPU_LIBRARY_PATH"} & environment.keys():
        return
    if importlib.util.find_spec("libtpu") is None or has_tpu():
        return
    plugins = plugin_names()
    if all("cuda" in name for name in plugins):
        gpu = bool(plugins) and NVIDIA.exists()
        environment["JAX_PLATFORMS"] = "cuda,cpu" if gpu else "cpu"


def has_tpu() -> bool:
    """Whether a TPU is attached to this machine."""
    for device in PCI.glob("*"):
        try:
            vendor = (device / "vendor").read_text().strip()
            if vendor == GOOGLE and (device / "device").read_text().strip() in TPUS:
                return True
        except OSError:
            continue
    return False


def plugin_names() -> list[str]:
    """Names of the JAX plugins that are installed."""
    spec = importlib.util.find_spec("jax_plugins")
    folders = spec.submodule_search_locations if spec else None
    return [module.name for module in pkgutil.iter_modules(folders)] if folders else []
