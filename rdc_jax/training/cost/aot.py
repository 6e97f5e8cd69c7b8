"""Compiles the real train step for absent accelerators, and predicts its cost.

    rdc train --config configs/sd21.py --aot v5e:16x16 data.kind=latents mesh.fsdp=16

libtpu compiles for any TPU topology on any machine. The result is the program that a pod would run:
whether it partitions and fits in memory is certain. The time is a prediction from the compiler's
cycle counts and the chip's published peaks (training/cost/hlo_cost.py).
"""

import dataclasses
import importlib.util
import os
import re
import time

import jax
import ml_collections
import numpy as np
from jax.experimental import topologies
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from rdc_jax.errors import RdcError
from rdc_jax.training import check_config, program
from rdc_jax.training.cluster import partitioning
from rdc_jax.training.cost import hlo_cost
from rdc_jax.training.cost.hardware import GIB, Peaks, peaks_of
from rdc_jax.training.tasks.selection import task_for
from rdc_jax.training.tasks.task import Task, split_parameters

OPERATORS_SHOWN = 12
WITHOUT_A_TPU = {  # settings that libtpu would ask a TPU machine for
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
}


@dataclasses.dataclass(frozen=True)
class Report:
    """Bytes, operations and seconds are per device and step."""

    topology: str
    device_kind: str
    mesh: dict[str, int]
    batch_size: int
    crop_size: int
    parameters: int
    trained: int
    compile_seconds: float
    argument_bytes: int
    temporary_bytes: int
    code_bytes: int
    hbm_bytes: float  # that the device has
    model_flops: float
    compiled_flops: float  # matrix products of the compiled program, recomputation included
    bytes_moved: float  # to and from HBM
    bytes_exchanged: float  # by collectives
    serial_seconds: float
    memory_seconds: float
    interconnect_seconds: float
    softmax_seconds: float
    step_seconds: float  # optimistic
    pessimistic_seconds: float
    mfu: float  # of the optimistic step
    pessimistic_mfu: float
    padded_bound: float  # MFU of the matrix unit at its peak, with channels that fill its tiles
    images_per_second: float  # of all devices
    operators: dict[str, hlo_cost.Cost]

    @property
    def fits(self) -> bool:
        return self.argument_bytes + self.temporary_bytes + self.code_bytes <= self.hbm_bytes

    def __str__(self) -> str:
        axes = " x ".join(f"{axis} {size}" for axis, size in self.mesh.items() if size > 1)
        devices = int(np.prod(list(self.mesh.values())))
        used = (self.argument_bytes + self.temporary_bytes + self.code_bytes) / GIB
        lines = [
            f"{self.topology}: {devices} x {self.device_kind}, mesh {axes or 'of one device'}",
            f"batch {self.batch_size} ({self.batch_size / devices:g} a device) of "
            f"{self.crop_size} x {self.crop_size} pixels",
            f"parameters {self.parameters / 1e6:.1f} M, {self.trained / 1e6:.1f} M of them trained",
            f"compiled in {self.compile_seconds:.0f} s",
            "",
            "per device",
            f"  arguments       {self.argument_bytes / GIB:9.2f} GiB",
            f"  temporaries     {self.temporary_bytes / GIB:9.2f} GiB",
            f"  program         {self.code_bytes / GIB:9.2f} GiB",
            f"  together        {used:9.2f} GiB of {self.hbm_bytes / GIB:.0f}: "
            + ("fits" if self.fits else "DOES NOT FIT"),
            f"  model FLOPs     {self.model_flops / 1e12:9.2f} T",
            f"  compiled FLOPs  {self.compiled_flops / 1e12:9.2f} T",
            f"  moved in HBM    {self.bytes_moved / 1e9:9.2f} GB",
            f"  exchanged       {self.bytes_exchanged / 1e9:9.2f} GB",
            "",
            "predicted",
            f"  instructions    {1e3 * self.serial_seconds:9.1f} ms, one after the other",
            f"  memory          {1e3 * self.memory_seconds:9.1f} ms, at full bandwidth",
            f"  interconnect    {1e3 * self.interconnect_seconds:9.1f} ms, at full bandwidth",
            f"  softmax         {1e3 * self.softmax_seconds:9.1f} ms, on the vector unit",
            "",
            *self._bounds(),
            "",
            "instructions            ms   count   TFLOP      GB",
        ]
        for name, cost in list(self.operators.items())[:OPERATORS_SHOWN]:
            lines.append(
                f"  {1e3 * cost.seconds:22.2f} {cost.count:7d} {cost.flops / 1e12:7.2f} "
                f"{cost.hbm_bytes / 1e9:7.2f}  {name}"
            )
        return "\n".join(lines)

    def _bounds(self) -> list[str]:
        """A table of what follows from the optimistic and from the pessimistic time of a step."""
        rows = [
            ("step", "ms", 1e3 * self.step_seconds, 1e3 * self.pessimistic_seconds),
            ("MFU", "%", 100 * self.mfu, 100 * self.pessimistic_mfu),
            ("of the bound", "%", 100 * self.mfu / self.padded_bound,
             100 * self.pessimistic_mfu / self.padded_bound),
            ("images/s", "on all devices", self.images_per_second,
             self.batch_size / self.pessimistic_seconds),
        ]  # fmt: skip
        return [
            f"{'':16}{'optimistic':>12}{'pessimistic':>13}",
            *(f"  {name:14}{least:12.1f}{most:13.1f} {unit}" for name, unit, least, most in rows),
            f"  The bound is {100 * self.padded_bound:.1f} % MFU: the peak, with channels that "
            "fill whole tiles of the matrix unit.",
        ]


def compile_ahead(config: ml_collections.ConfigDict, topology: str) -> Report:
    """The config's train step, compiled for `topology`, see `topology_devices`.

    Raises RdcError for an unknown topology, a step that does not fit it, or without libtpu.
    """
    config = check_config.checked(config)
    devices = topology_devices(topology)
    kind = devices[0].device_kind
    peaks = peaks_of(kind)
    if peaks is None:
        raise RdcError(
            f"no published peaks are known here for {kind}; see training/cost/hardware.py"
        )
    mesh = partitioning.make_mesh(config.mesh.to_dict(), devices)
    task = task_for(config)
    check_config.check_crops(task)
    params = task.parameter_shapes()
    run = program.build(task, mesh, params)
    started = time.perf_counter()
    try:
        compiled = lower(run, mesh).compile()
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        reason = " ".join(str(error).split())[:300]
        raise RdcError(
            f"the step does not fit {topology}: lower data.batch_size, raise mesh.fsdp or set "
            f"training.remat=blocks ({reason})"
        ) from error
    seconds = time.perf_counter() - started
    work = program.model_flops(task, params) / mesh.devices.size
    return report(task, topology, mesh, params, compiled, seconds, work, peaks)


def topology_devices(topology: str) -> list[jax.Device]:
    """The devices of a TPU topology; they exist in name only.

    topology: KIND:AxB or KIND:AxBxC, such as v5e:16x16; with several slices 2xv5e:16x16. Raises
    RdcError for an unknown topology, or without libtpu.
    """
    if importlib.util.find_spec("libtpu") is None:
        raise RdcError("--aot needs libtpu: pip install 'jax[tpu]'")
    for name, value in WITHOUT_A_TPU.items():
        os.environ.setdefault(name, value)
    jax.config.update("jax_platforms", "cpu")
    count, name = re.fullmatch(r"(?:([1-9]\d*)x)?(.*)", topology).groups()
    slices = {"num_slices": int(count)} if count else {}
    try:
        return topologies.get_topology_desc(platform="tpu", topology_name=name, **slices).devices
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:150]
        raise RdcError(
            f"--aot {topology!r} is no TPU topology ({reason}); "
            "write v5e:16x16, v5p:4x4x4, v6e:16x16 or, for two slices, 2xv5e:16x16"
        ) from error


def lower(run: program.Program, mesh: Mesh) -> jax.stages.Lowered:
    """The step traced and partitioned for the mesh."""
    key = jax.eval_shape(lambda: jax.random.key(0))
    replicated = NamedSharding(mesh, PartitionSpec())
    key = jax.ShapeDtypeStruct(key.shape, key.dtype, sharding=replicated)
    return run.step.lower(run.state, run.frozen, run.batch, key)


def report(
    task: Task,
    topology: str,
    mesh: Mesh,
    params: dict,
    compiled: jax.stages.Compiled,
    compile_seconds: float,
    model_flops: float,
    peaks: Peaks,
) -> Report:
    """The report of a compiled step.

    Args:
        task: That the step belongs to.
        topology: As given.
        mesh: Of its devices.
        params: All parts of the parameters, or their shapes.
        compiled: The step.
        compile_seconds: Time that compiling took.
        model_flops: Of one step, per device.
        peaks: Of a device.
    """
    memory = compiled.memory_analysis()
    prediction = hlo_cost.predict(compiled.as_text(), peaks)
    config, (trained, _) = task.config, split_parameters(task.trained, params)
    return Report(
        topology=topology,
        device_kind=mesh.devices.flat[0].device_kind,
        mesh=dict(mesh.shape),
        batch_size=config.data.batch_size,
        crop_size=config.data.crop_size,
        parameters=sum(
            x.size for part in params if part != "context" for x in jax.tree.leaves(params[part])
        ),
        trained=sum(x.size for x in jax.tree.leaves(trained)),
        compile_seconds=compile_seconds,
        argument_bytes=memory.argument_size_in_bytes,
        temporary_bytes=memory.temp_size_in_bytes
        + memory.output_size_in_bytes
        - memory.alias_size_in_bytes,
        code_bytes=memory.generated_code_size_in_bytes,
        hbm_bytes=peaks.memory,
        model_flops=model_flops,
        compiled_flops=prediction.flops,
        bytes_moved=prediction.hbm_bytes,
        bytes_exchanged=prediction.collective_bytes,
        serial_seconds=prediction.serial,
        memory_seconds=prediction.memory,
        interconnect_seconds=prediction.interconnect,
        softmax_seconds=prediction.softmax,
        step_seconds=prediction.seconds,
        pessimistic_seconds=prediction.pessimistic_seconds,
        mfu=model_flops / prediction.seconds / peaks.flops,
        pessimistic_mfu=model_flops / prediction.pessimistic_seconds / peaks.flops,
        padded_bound=model_flops / prediction.padded_flops,
        images_per_second=config.data.batch_size / prediction.seconds,
        operators=prediction.groups,
    )
