"""The one-step decoder as ONNX graphs of one tile, made from the PyTorch modules.

    faithful.onnx   yhat, mean, scale, levels, timesteps                 -> picture
    knob.onnx       the same, noise, tau, through the plug-and-play module -> picture

    yhat, mean, scale   float32 [s,s,C]           as the entropy stage gives them
    levels, timesteps   uint8 [s,s], float32 [L]  the map, and the timesteps of its levels
    noise               float32 [s,s,C]           what the module starts from
    tau                 float32 [s,s]             0 faithful .. 1 realistic
    picture             float32 [fs,fs,3]         about 0..255, to be rounded and clipped

`interop.onnx_decoder` runs them. Without weights a graph is small, and takes the weights of the
model folder when it is loaded.
"""

import logging
import warnings
from pathlib import Path
from typing import Any

from rdc_jax.decoding.windows import WINDOW_PIXELS
from rdc_jax.errors import RdcError
from rdc_jax.interop.onnx.decoder import ELSEWHERE, FAITHFUL, KNOB, MODEL_ID, MODULE_ID
from rdc_jax.interop.torch.decoder import Decoder, load
from rdc_jax.interop.torch.extra import Tensor, nn, torch
from rdc_jax.interop.torch.sampler import one_step, with_module
from rdc_jax.interop.torch.timesteps import level_timesteps

OPSET = 20
LARGEST = 2**31 - 2**22  # bytes of weights in one file: what protobuf holds, less the graph


class Faithful(nn.Module):
    """A tile's faithful picture, from channels-last arrays without a batch."""

    inputs = ("yhat", "mean", "scale", "levels", "timesteps")

    def __init__(self, decoder: Decoder):
        super().__init__()
        self.networks = decoder.networks

    def forward(
        self, yhat: Tensor, mean: Tensor, scale: Tensor, levels: Tensor, timesteps: Tensor
    ) -> Tensor:
        latents = (x.permute(2, 0, 1)[None] for x in (yhat, mean, scale))
        return to_255(one_step(self.networks, *latents, levels[None], timesteps))


class Knob(nn.Module):
    """A tile's picture at taus, with one step of the plug-and-play module."""

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
    """[1,3,H,W] in [-1,1] -> [H,W,3] in 0..255."""
    return (127.5 * (image[0] + 1.0)).permute(1, 2, 0)


def graphs(decoder: Decoder, *, weights: bool = True) -> dict[str, bytes]:
    """The graphs of a decoder, contents by file name. weights: False leaves them out.

    Raises RdcError without the exporter's packages, and for weights that no ONNX file holds.
    """
    modules = {FAITHFUL: Faithful(decoder)}
    if decoder.fusion is not None:
        modules[KNOB] = Knob(decoder)
    size = max(sum(p.nbytes for p in module.parameters()) for module in modules.values())
    if weights and size > LARGEST:
        raise RdcError(
            f"the weights take {size / 2**30:.1f} GiB, and an ONNX file holds 2; leave them out "
            "with --without-weights"
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
    """Writes `graphs` into a folder, replacing those there; returns their paths."""
    contents, folder = graphs(decoder, weights=weights), Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    return [folder / name for name in contents]


def export_model(
    model: str | Path | None, folder: str | Path, *, fusion: str | Path | None = None
) -> list[Path]:
    """`export` of a shipped model's name or a model folder, weights included."""
    return export(load(model, fusion), folder)


def tile_shape(decoder: Decoder) -> tuple[int, int]:
    """Side and channels of a tile of the latent."""
    return WINDOW_PIXELS // decoder.networks.downsampling, decoder.networks.latent_channels


def _proto(graph: nn.Module, decoder: Decoder) -> Any:
    """The graph as an ONNX ModelProto with the parameters' own names."""
    try:
        import onnxscript  # noqa: F401
    except ImportError:
        raise RdcError("exporting to ONNX needs onnxscript: pip install 'rdc_jax[onnx]'") from None
    side, channels = tile_shape(decoder)
    shapes = dict.fromkeys(("yhat", "mean", "scale", "noise"), (side, side, channels))
    shapes |= {"tau": (side, side), "timesteps": (int(decoder.model.config["num_levels"]),)}
    examples = {name: torch.ones(shape) for name, shape in shapes.items()}
    examples["levels"] = torch.zeros((side, side), dtype=torch.uint8)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter's, about its own insides
        program = torch.onnx.export(
            graph.eval(),
            tuple(examples[name] for name in graph.inputs),
            input_names=graph.inputs,
            output_names=["picture"],
            opset_version=OPSET,
            dynamo=True,
            optimize=False,  # else some weights are stored transposed, under other names
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
    """Declares the parameters as stored elsewhere."""
    for tensor in proto.graph.initializer:
        if tensor.name in names:
            length = len(tensor.raw_data)
            tensor.ClearField("raw_data")
            tensor.data_location = tensor.EXTERNAL
            for key, value in (("location", ELSEWHERE), ("offset", 0), ("length", length)):
                tensor.external_data.add(key=key, value=str(value))
