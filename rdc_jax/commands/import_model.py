"""`rdc import`: weights of another project as a model folder that `rdc encode --model` takes."""

import json
from argparse import Namespace
from pathlib import Path

import numpy as np

from rdc_jax import model_folder
from rdc_jax.errors import RdcError
from rdc_jax.interop import compressai
from rdc_jax.models.networks import Networks


def run(args: Namespace) -> int:
    out = Path(args.out)
    if (out / "manifest.json").exists() and not args.force:
        raise RdcError(f"{out} holds a model already; -f replaces it")
    state = compressai.read_state(args.path)
    flat = model_folder.flatten(compressai.from_state_dict(state))
    # What a decoder will load: rounded to the float16 that is stored.
    params = model_folder.unflatten({k: v.astype(np.float16) for k, v in flat.items()})
    config = compressai.model_section(params)
    networks = Networks.from_config(config)
    entropy = model_folder.entropy_arrays(
        params["hyperprior"], networks.step_table(params), **networks.entropy_settings()
    )
    try:
        model_id = model_folder.save(out, out.name, config, params, entropy)
    except OSError as error:
        raise RdcError(f"cannot write {out}: {error.strerror or error}") from error
    cost = float(compressai.gaussian_cost(state).sum()) / 64**2
    report = {"path": str(out), "model_id": model_id.hex(), "hyper_prior_bpp": cost}
    if args.json:
        print(json.dumps(report))
    else:
        print(f"{out}: model {model_id.hex()}; Gaussian hyper-prior costs {cost:.4f} bpp")
    return 0
