"""Export of the one-step decoder of one window as ONNX graphs, from the PyTorch modules.

    faithful.onnx   yhat, mean, scale, levels, timesteps             -> picture
    knob.onnx       the same, noise, tau, through the fusion module  -> picture

    yhat, mean, scale   float32 [s,s,C]           the noisy latent and its prior
    levels, timesteps   uint8 [s,s], float32 [L]  importance levels, and the timesteps of all levels
    noise               float32 [s,s,C]           starting noise of the fusion module
    tau                 float32 [s,s]             0 = faithful, 1 = realistic
    picture             float32 [fs,fs,3]         image in about 0..255; round and clip it

File names and array names are part of the format of exported folders and must not change.
`interop.onnx.decoder` runs the graphs. A graph without weights is small and uses the weights of the
model folder when it is loaded.
"""

import logging
import warnings
from pathlib import Path
from typing import Any

from rdc_jax.decoding.windows import WINDOW_PIXELS
from rdc_jax.diffusion.units import PIXEL_RANGE
from rdc_jax.errors import RdcError, option
from rdc_jax.interop.onnx.decoder import ELSEWHERE, FAITHFUL, KNOB, MODEL_ID, MODULE_ID
from rdc_jax.interop.torch.decoder import Decoder, load
from rdc_jax.interop.torch.extra import Tensor, nn, torch
from rdc_jax.interop.torch.sampler import one_step, with_module
from rdc_jax.interop.torch.timesteps import level_timesteps

OPSET = 20
LARGEST = 2**31 - 2**22  # bytes of weights in one file: the limit of protobuf, minus the graph


class Faithful(nn.Module):
    """Faithful image of a window, from channels-last arrays without a batch axis."""

    inputs = ("yhat", "mean", "scale", "levels", "timesteps")

    def __init__(self, decoder: Decoder):
        super().__init__()
        self.networks = decoder.networks

    def forward(
        self, yhat: Tensor, mean: Tensor, scale: Tensor, levels: Tensor, timesteps: Tensor
    ) -> Tensor:
        latents = (x.permute(2, 0, 1)[None] for x in (yhat, mean, scale))
        return to_255(one_step(self.networks, *latents, levels[None], timesteps))


class WithFusion(nn.Module):
    """Image of a window at any tau, with one step of the fusion module."""

    inputs = ("yhat", "mean", "scale", "noise", "levels", "tau", "timesteps")

    def __init__(self, decoder: Decoder):
        super().__init__()
        self.networks, self.fusion = decoder.networks, decoder.fusion

    def forward(
        self,
        yhat: Tensor,
        mean: Tensor,
        scale: Tensor,
        noise: Tensor,
        levels: Tensor,
        tau: Tensor,
        timesteps: Tensor,
    ) -> Tensor:
        latents = (x.permute(2, 0, 1)[None] for x in (yhat, mean, scale, noise))
        at_levels = level_timesteps(timesteps[None], levels[None])
        return to_255(
            with_module(self.networks, self.fusion, *latents, at_levels, tau[None], steps=1)
        )


def to_255(image: Tensor) -> Tensor:
    """Converts an image [1,3,H,W] in [-1,1] to [H,W,3] in 0..255."""
    return (PIXEL_RANGE * (image[0] + 1.0)).permute(1, 2, 0)


def graphs(decoder: Decoder, *, weights: bool = True) -> dict[str, bytes]:
    """Returns the graphs of a decoder, as contents by file name.

    Args:
        decoder: The decoder in PyTorch.
        weights: False to leave the weights out.

    Raises:
        RdcError: a package of the exporter is missing, or the weights are too large for ONNX.
    """
    modules = {FAITHFUL: Faithful(decoder)}
    if decoder.fusion is not None:
        modules[KNOB] = WithFusion(decoder)
    size = max(sum(p.nbytes for p in module.parameters()) for module in modules.values())
    if weights and size > LARGEST:
        raise RdcError(
            f"the weights take {size / 2**30:.1f} GiB, and an ONNX file holds 2; leave them out "
            f"with {option('--without-weights', 'weights=False')}"
        )
    contents = {}
    for name, module in modules.items():
        proto = _proto(module, decoder)
        identities = {MODEL_ID: decoder.model.model_id.hex()}
        if name == KNOB:
            identities[MODULE_ID] = decoder.module_identity
        for key, value in identities.items():
            proto.metadata_props.add(key=key, value=value)
        if not weights:
            _leave_weights_out(proto, set(module.state_dict()))
        contents[name] = proto.SerializeToString(deterministic=True)
    return contents


def export(decoder: Decoder, folder: str | Path, *, weights: bool = True) -> list[Path]:
    """Writes the graphs of a decoder into a folder and replaces existing ones.

    Args:
        decoder: The decoder in PyTorch.
        folder: Folder of the graphs, created if it does not exist.
        weights: False to leave the weights out.

    Returns:
        Paths of the graphs.

    Raises:
        RdcError: as `graphs`.
    """
    contents, folder = graphs(decoder, weights=weights), Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    return [folder / name for name in contents]


def export_model(
    model: str | Path | None, folder: str | Path, *, fusion: str | Path | None = None
) -> list[Path]:
    """Writes the graphs of a model, weights included.

    Args:
        model: Name of a shipped model, or a model folder.
        folder: Folder of the graphs, created if it does not exist.
        fusion: The fusion module, as for `interop.torch.decoder.load`.

    Returns:
        Paths of the graphs.
    """
    return export(load(model, fusion), folder)


def window_shape(decoder: Decoder) -> tuple[int, int]:
    """Returns side and channels of a window of the latent."""
    return WINDOW_PIXELS // decoder.networks.downsampling, decoder.networks.latent_channels


def _proto(graph: nn.Module, decoder: Decoder) -> Any:
    """Exports a graph as an ONNX ModelProto that keeps the names of the parameters."""
    try:
        import onnxscript  # noqa: F401
    except ImportError:
        raise RdcError(
            "exporting to ONNX needs onnxscript: pip install onnxscript onnxruntime"
        ) from None
    side, channels = window_shape(decoder)
    shapes = dict.fromkeys(("yhat", "mean", "scale", "noise"), (side, side, channels))
    shapes |= {"tau": (side, side), "timesteps": (int(decoder.model.config["num_levels"]),)}
    examples = {name: torch.ones(shape) for name, shape in shapes.items()}
    examples["levels"] = torch.zeros((side, side), dtype=torch.uint8)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter warns of its own internals
        program = torch.onnx.export(
            graph.eval(),
            tuple(examples[name] for name in graph.inputs),
            input_names=graph.inputs,
            output_names=["picture"],
            opset_version=OPSET,
            dynamo=True,
            optimize=False,  # True would store some weights transposed under other names
            verbose=False,
        )
    proto = program.model_proto
    for node in [*proto.graph.node, *(node for f in proto.functions for node in f.node)]:
        node.ClearField("metadata_props")  # stack traces, with paths of this machine
        node.ClearField("doc_string")
    proto.graph.ClearField("value_info")
    proto.graph.ClearField("metadata_props")
    return proto


def _leave_weights_out(proto: Any, names: set[str]) -> None:
    """Removes the parameters from a graph and declares them as stored elsewhere."""
    for tensor in proto.graph.initializer:
        if tensor.name in names:
            length = len(tensor.raw_data)
            tensor.ClearField("raw_data")
            tensor.data_location = tensor.EXTERNAL
            for key, value in (("location", ELSEWHERE), ("offset", 0), ("length", length)):
                tensor.external_data.add(key=key, value=str(value))
