"""Arguments of training, of its data, and of import and export of models."""

from argparse import ArgumentParser
from typing import Any

from rdc_jax.cli.flags.shared import (
    config_and_overrides,
    force,
    json_lines,
    new_command,
    number,
    sharing,
    width_and_height,
)


def add_train(commands: Any) -> None:
    p = new_command(commands, "train", "train a model, or continue a run")
    config_and_overrides(
        p, "Python file with get_config(), for instance configs/tiny.py:smoke",
        "training.total_steps=9",
    )  # fmt: skip
    p.add_argument(
        "--aot", metavar="TOPOLOGY",
        help="do not train, but compile the step for TPUs such as v5e:16x16, or two slices of "
        "them, 2xv5e:16x16, and print its memory and expected speed; needs libtpu",
    )  # fmt: skip
    p.add_argument(
        "--describe", action="store_true",
        help="do not train, but print the layers of the networks, their shapes and parameters",
    )  # fmt: skip


def add_data(commands: Any) -> None:
    p = new_command(commands, "data", "make data sets for training")
    actions = p.add_subparsers(metavar="ACTION", required=True, title="actions")
    add_prepare(actions)
    add_synthesize(actions)
    add_encode_latents(actions)


def add_prepare(actions: Any) -> None:
    p = new_command(
        actions, "prepare", "turn a folder of images into ArrayRecord shards",
        epilog="Run the command again to continue with the missing shards after an interruption. "
        "Train on the result with data.path=OUT.",
    )  # fmt: skip
    p.set_defaults(module="data", action="prepare")
    p.add_argument("folder", metavar="FOLDER", help="all jpg, png and webp images below it")
    folder_of_shards(p)
    shards(p, "one for each 128 MiB")
    p.add_argument(
        "--workers", type=number(int, 1, 512), metavar="N",
        help="number of processes; default: one a CPU",
    )  # fmt: skip
    p.add_argument(
        "--max-side", type=number(int, 64), metavar="PIXELS",
        help="scale larger images down to this longer side; default: keep the files unchanged",
    )  # fmt: skip
    p.add_argument(
        "--quality", type=number(int, 1, 100), metavar="Q",
        help="JPEG quality of images that are scaled down; default: 95",
    )  # fmt: skip
    p.add_argument(
        "--masks", metavar="DIR",
        help="segmentations: for FOLDER/a/b.jpg, DIR/a/b.png with a segment number per pixel",
    )  # fmt: skip


def add_synthesize(actions: Any) -> None:
    p = new_command(
        actions, "synthesize", "draw pages of text, screens, charts, drawings and gradients",
        epilog="Run the command again, perhaps with a larger --count, to draw the missing images. "
        "Train on them together with photographs with data.mix=OUT=0.12. Needs matplotlib (pip "
        "install matplotlib).",
    )  # fmt: skip
    p.set_defaults(module="data", action="synthesize")
    p.add_argument("out", metavar="OUT", help="folder for the images and manifest.json")
    p.add_argument(
        "--count", type=number(int, 1, 99999), default=240, metavar="N",
        help="number of images; default: 240",
    )  # fmt: skip
    p.add_argument(
        "--seed", type=number(int, 0), default=0, metavar="S",
        help="another seed draws other images; default: 0",
    )  # fmt: skip
    p.add_argument(
        "--size", type=width_and_height, metavar="WxH",
        help="size of all images in pixels; default: sides of 512 to 1280",
    )  # fmt: skip
    p.add_argument(
        "--fonts", metavar="DIR",
        help="fonts to use in addition to Matplotlib's; default: /usr/share/fonts, if it exists",
    )  # fmt: skip


def add_encode_latents(actions: Any) -> None:
    p = new_command(
        actions, "encode-latents", "run a frozen autoencoder over a set of photos once",
        epilog="Run the command again to continue with the missing shards after an interruption. "
        "Train on the result with data.path=OUT, stage=diffusion or stage=entropy, and the same "
        "init_from. Several hosts can share the shards.",
    )  # fmt: skip
    p.set_defaults(module="encode_latents")
    folder_of_shards(p)
    config_and_overrides(
        p, "config of the training that will follow, for instance configs/sd21.py",
        "init_from=FOLDER with the autoencoder (required), data.path of the photos or shards",
    )  # fmt: skip
    p.add_argument(
        "--tile", type=number(int, 8), metavar="PIXELS",
        help="side of the squares that photos are cut into; smaller photos are enlarged to it; "
        "default: 2 data.crop_size",
    )  # fmt: skip
    p.add_argument(
        "--batch", type=number(int, 1, 4096), metavar="N", help="squares per device; default: 4"
    )
    shards(p, "one for 1024 photos")
    sharing(p, "shards")


def add_import(commands: Any) -> None:
    p = new_command(
        commands, "import", "make a model from another project's weights",
        epilog="compressai: mbt2018-mean, from a .safetensors or (with torch) .pth file. "
        "diffusers: a folder with unet/ and vae/ (UNet2DConditionModel, AutoencoderKL), "
        "owner/name@COMMIT on the Hugging Face hub, or a folder of `rdc export`.",
    )  # fmt: skip
    p.set_defaults(module="import_model")
    p.add_argument("--from", dest="origin", choices=("compressai", "diffusers"), required=True)
    p.add_argument("path", metavar="PATH", help="file with the state dict, or folder")
    p.add_argument("out", metavar="OUT", help="model folder, for `rdc encode --model OUT`")
    force(p, "an existing model")
    json_lines(p)
    p = p.add_argument_group("options for diffusers")
    p.add_argument(
        "--config", metavar="PATH[:VARIANT]",
        help="config of the model to make, for instance configs/sd21.py; a folder of `rdc export` "
        "has its own",
    )  # fmt: skip
    p.add_argument(
        "overrides",
        nargs="*",
        metavar="key=value",
        help="settings to change, such as model.prediction=eps",
    )
    p.add_argument(
        "--unet", metavar="PATH",
        help="folder, or one .safetensors file with config.json beside it; default: PATH/unet",
    )  # fmt: skip
    p.add_argument("--vae", metavar="PATH", help="as --unet; default: PATH/vae")
    p.add_argument(
        "--context", metavar="FILE",
        help="output of the text encoder for an empty prompt, [tokens, width], as .npy or "
        ".safetensors; default: zeros",
    )  # fmt: skip


def add_export(commands: Any) -> None:
    p = new_command(
        commands, "export", "write a model for another project, or one of a run that goes on",
        epilog="diffusers: folders unet/, vae/ and scheduler/ that from_pretrained loads, and the "
        "rest of the model in safetensors; parts without a class in diffusers have our own names. "
        "`rdc import --from diffusers` reads the folder back, bit for bit. onnx: the one-step "
        "decoder of a window as faithful.onnx and knob.onnx, made by PyTorch, with a README of "
        "inputs and outputs. web: a page that decodes .rdc files in any browser, with a JavaScript "
        "library, for any static host. --from: the averaged weights of a checkpoint, as `rdc "
        "train` writes them to WORKDIR/model at the end. The checkpoint is only read, so the run "
        "may go on.",
    )  # fmt: skip
    p.set_defaults(module="export_model")
    what = p.add_mutually_exclusive_group(required=True)
    what.add_argument("--to", dest="target", choices=("diffusers", "onnx", "web"))
    what.add_argument("--from", dest="workdir", metavar="WORKDIR", help="of a run of `rdc train`")
    p.add_argument(
        "--step", type=number(int, 0), metavar="N",
        help="for --from: the checkpoint after N steps; default: the newest",
    )  # fmt: skip
    p.add_argument(
        "model", metavar="MODEL", nargs="?",
        help="for --to: a name from `rdc models`, or a folder",
    )  # fmt: skip
    p.add_argument("out", metavar="OUT", help="new folder")
    force(p, "an earlier export")
    p.add_argument(
        "--without-weights", action="store_true",
        help="for onnx: write small graphs that load their weights from the model's folder; use "
        "MODEL/onnx as OUT, where `rdc decode` looks for them",
    )  # fmt: skip
    p.add_argument(
        "--runtime", metavar="PATH",
        help="for web: a copy of the npm package onnxruntime-web, .tgz or folder; default: npm "
        "fetches it",
    )  # fmt: skip
    p.add_argument(
        "--webgpu", action="store_true",
        help="for web: the page may run the networks on the GPU; adds 27 MB to the folder",
    )  # fmt: skip
    json_lines(p)


# Arguments of both kinds of shards.


def folder_of_shards(p: ArgumentParser) -> None:
    p.add_argument(
        "out", metavar="OUT", help="folder for the shards, manifest.json and skipped.txt"
    )


def shards(p: ArgumentParser, default: str) -> None:
    p.add_argument(
        "--shards",
        type=number(int, 1, 99999),
        metavar="N",
        help=f"number of shards; default: {default}",
    )
