"""The settings that must not change a symbol: environments of fresh processes."""

import importlib.util
import os
from typing import NamedTuple

import numpy as np

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
ONE_XLA_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


class Setting(NamedTuple):
    """How a process is started.

    Attributes:
        name: Name of the setting.
        environment: Environment variables to set.
        decoder: What decodes: "jax", "numpy" (without JAX) or "onnxruntime".
        quick: Whether the quick test includes the setting.
        encodes: What the setting encodes: "all", "small" (the first image) or "" (nothing).
    """

    name: str
    environment: dict[str, str]
    decoder: str = "jax"
    quick: bool = True
    encodes: str = "all"


def settings() -> list[Setting]:
    """All settings; the others are compared with the first."""
    many = str(max(3, os.cpu_count() or 1))
    found = [
        Setting("fresh process", {}),
        Setting("the same again", {}, quick=False),
        Setting("1 thread", dict.fromkeys(THREADS, "1") | {"XLA_FLAGS": ONE_XLA_THREAD}),
        Setting("2 threads", dict.fromkeys(THREADS, "2"), quick=False),
        Setting(f"{many} threads", dict.fromkeys(THREADS, many)),
        Setting("x64 on", {"JAX_ENABLE_X64": "1"}),
        Setting("jit disabled", {"JAX_DISABLE_JIT": "1"}, encodes="small"),
        Setting("matmul precision bfloat16", {"JAX_DEFAULT_MATMUL_PRECISION": "bfloat16"}),
        Setting(
            "matmul precision highest", {"JAX_DEFAULT_MATMUL_PRECISION": "highest"}, quick=False
        ),
        Setting(
            "8 simulated devices", {"XLA_FLAGS": "--xla_force_host_platform_device_count=8"},
            quick=False,
        ),
        Setting("oldest BLAS kernels", {"OPENBLAS_CORETYPE": "Prescott"}, "numpy", encodes=""),
        Setting("oldest NumPy kernels", {"NPY_DISABLE_CPU_FEATURES": " ".join(numpy_kernels())},
                "numpy", encodes=""),
        Setting("without JAX", {}, "numpy", encodes=""),
    ]  # fmt: skip
    if importlib.util.find_spec("onnxruntime"):
        found.append(Setting("onnxruntime", {}, "onnxruntime", encodes=""))
    return found


def numpy_kernels() -> list[str]:
    """Names of the instruction sets for which NumPy chooses kernels at start."""
    try:
        return list(np._core._multiarray_umath.__cpu_dispatch__)
    except AttributeError:  # there is no public name for this list
        return []


def on_the_cpu() -> Setting:
    """Compared with the first setting where JAX finds a GPU or TPU."""
    return Setting("networks on the CPU", {"JAX_PLATFORMS": "cpu"})
