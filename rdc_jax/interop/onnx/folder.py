"""The folder of `rdc export --to onnx`: the graphs, what a caller must know, whose licence applies.

    faithful.onnx, knob.onnx    see `onnx_export`
    README.md, LICENSE*         where the weights are inside the graphs
    manifest.json               sha256 of every file, the model's id and the module's

Graphs without weights are for the folder `onnx` of the model they were made of, where `rdc decode
--backend onnxruntime` finds them; licence and explanations are there already.
"""

from collections.abc import Iterator
from pathlib import Path

from rdc_jax.decoding.windows import OVERLAP_PIXELS, WINDOW_PIXELS
from rdc_jax.interop import export_folder
from rdc_jax.interop.onnx.decoder import ELSEWHERE, FAITHFUL, KNOB
from rdc_jax.interop.onnx.export import graphs, tile_shape
from rdc_jax.interop.torch.decoder import Decoder

README = """# {name}, exported by rdc_jax

Model id `{model_id}`: `.rdc` files that carry it decode with this model.

{graphs}

| | | |
|---|---|---|
{arrays}

One tile: all shapes are fixed. A larger latent is cut into tiles that overlap by {overlap} or
more, and their pictures are cross-faded linearly; a smaller one is continued by its edge, and the
picture is cropped. rdc_jax/decoding/windows.py does it, and rdc_jax.entropy decodes the latent, in
exact integers and without a network. All of it together, without JAX or PyTorch:

```python
from rdc_jax.interop.onnx import decoder as onnx_decoder

decoder = onnx_decoder.load("MODEL", folder="FOLDER")
pixels = decoder.decode(data, tau=0.0)  # uint8 [H,W,3] of an .rdc file's bytes
```

`manifest.json`: sha256 of every file.

## Licence of the weights

{licence}
"""


def files(decoder: Decoder, *, weights: bool = True) -> dict[str, bytes]:
    """Names and contents of all files but the manifest. Raises RdcError as `graphs` does."""
    contents = graphs(decoder, weights=weights)
    if weights:
        contents["README.md"] = readme(decoder).encode()
        contents |= dict(export_folder.licence_files(decoder.model))
    return contents


def write(out: Path, decoder: Decoder, contents: dict[str, bytes], *, weights: bool = True) -> None:
    """Writes what `files` made, the manifest last. Raises OSError when it cannot be written."""
    said = {"module_id": decoder.module_identity, "weights": "inside" if weights else ELSEWHERE}
    export_folder.write(out, decoder.model, contents.items(), **said)


def readme(decoder: Decoder) -> str:
    """Text of README.md."""
    model = decoder.model
    graphs = [f"- `{FAITHFUL}`: the picture of smallest squared error."]
    if decoder.fusion is not None:
        identity = decoder.module_identity
        graphs += [f"- `{KNOB}`: the picture at any tau, in one step of the module `{identity}`."]
    return README.format(
        name=model.name,
        model_id=model.model_id.hex(),
        graphs="\n".join(graphs),
        arrays="\n".join(f"| {' | '.join(row)} |" for row in _arrays(decoder)),
        overlap=OVERLAP_PIXELS // decoder.networks.downsampling,
        licence=export_folder.licence(model),
    )


def _arrays(decoder: Decoder) -> Iterator[tuple[str, str, str]]:
    """Name, type with shape, and meaning of inputs and output."""
    side, channels = tile_shape(decoder)
    latent, square = f"float32 [{side},{side},{channels}]", f"[{side},{side}]"
    levels = int(decoder.model.config["num_levels"])
    yield "`yhat`, `mean`, `scale`", latent, "noisy latent and its prior, of the entropy stage"
    yield "`levels`", f"uint8 {square}", "importance map"
    yield "`timesteps`", f"float32 [{levels}]", "of the map's levels"
    if decoder.fusion is not None:
        yield f"`noise` ({KNOB})", latent, "uniform, of unit variance, a function of the file"
        yield f"`tau` ({KNOB})", f"float32 {square}", "0 faithful .. 1 realistic"
    pixels = f"float32 [{WINDOW_PIXELS},{WINDOW_PIXELS},3]"
    yield "output `picture`", pixels, "RGB, about 0..255, to be rounded and clipped"
