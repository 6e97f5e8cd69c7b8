"""The folder of `rdc export --to onnx`: graphs, explanations and licences.

    faithful.onnx, knob.onnx    see `onnx.export`
    README.md, LICENSE*         only if the graphs include the weights
    manifest.json               SHA-256 of every file, and the ids of model and fusion module

Graphs without weights belong into the folder `onnx` of their model, where `rdc decode --backend
onnxruntime` finds them. That model folder already has licence and explanations.
"""

from collections.abc import Iterator
from pathlib import Path

from rdc_jax.decoding.windows import OVERLAP_PIXELS, WINDOW_PIXELS
from rdc_jax.interop import export_folder
from rdc_jax.interop.onnx.decoder import ELSEWHERE, FAITHFUL, KNOB
from rdc_jax.interop.onnx.export import graphs, window_shape
from rdc_jax.interop.torch.decoder import Decoder

README = """# {name}, exported by rdc_jax

Model id `{model_id}`: `.rdc` files that carry it decode with this model.

{graphs}

| | | |
|---|---|---|
{arrays}

The graphs decode one window, and all shapes are fixed. A larger latent is cut into windows that
overlap by at least {overlap} latent pixels, and their images are cross-faded linearly. A smaller
latent is padded by repeating its edge, and the image is cropped. rdc_jax/decoding/windows.py does
this. rdc_jax.entropy decodes the latent in exact integers. The package decodes a whole file without
JAX or PyTorch:

```python
from rdc_jax.interop.onnx import decoder as onnx_decoder

decoder = onnx_decoder.load("MODEL", folder="FOLDER")
pixels = decoder.decode(data, tau=0.0)  # uint8 [H,W,3] of an .rdc file's bytes
```

`manifest.json` holds the SHA-256 of every file.

## Licence of the weights

{licence}
"""


def files(decoder: Decoder, *, weights: bool = True) -> dict[str, bytes]:
    """Returns contents by name of all files except the manifest. Raises RdcError as `graphs`."""
    contents = graphs(decoder, weights=weights)
    if weights:
        contents["README.md"] = readme(decoder).encode()
        contents |= dict(export_folder.licence_files(decoder.model))
    return contents


def write(out: Path, decoder: Decoder, contents: dict[str, bytes], *, weights: bool = True) -> None:
    """Writes the files, the manifest last.

    Args:
        out: Folder to write to.
        decoder: The decoder in PyTorch.
        contents: The result of `files`.
        weights: False if the graphs have no weights.

    Raises:
        OSError: the folder cannot be written.
    """
    said = {"module_id": decoder.module_identity, "weights": "inside" if weights else ELSEWHERE}
    export_folder.write(out, decoder.model, contents.items(), **said)


def readme(decoder: Decoder) -> str:
    """Returns the text of README.md."""
    model = decoder.model
    graphs = [f"- `{FAITHFUL}`: the image with the smallest squared error."]
    if decoder.fusion is not None:
        identity = decoder.module_identity
        graphs += [
            f"- `{KNOB}`: the image at any tau, with one step of fusion module `{identity}`."
        ]
    return README.format(
        name=model.name,
        model_id=model.model_id.hex(),
        graphs="\n".join(graphs),
        arrays="\n".join(f"| {' | '.join(row)} |" for row in _arrays(decoder)),
        overlap=OVERLAP_PIXELS // decoder.networks.downsampling,
        licence=export_folder.licence(model),
    )


def _arrays(decoder: Decoder) -> Iterator[tuple[str, str, str]]:
    """Yields name, type with shape, and meaning of all inputs and the output."""
    side, channels = window_shape(decoder)
    latent, square = f"float32 [{side},{side},{channels}]", f"[{side},{side}]"
    levels = int(decoder.model.config["num_levels"])
    yield "`yhat`, `mean`, `scale`", latent, "noisy latent and its prior"
    yield "`levels`", f"uint8 {square}", "importance level of each latent pixel"
    yield "`timesteps`", f"float32 [{levels}]", "timestep of each importance level"
    if decoder.fusion is not None:
        yield f"`noise` ({KNOB})", latent, "uniform noise of unit variance, derived from the file"
        yield f"`tau` ({KNOB})", f"float32 {square}", "0 = faithful, 1 = realistic"
    pixels = f"float32 [{WINDOW_PIXELS},{WINDOW_PIXELS},3]"
    yield "output `picture`", pixels, "RGB in about 0..255; round and clip it"
