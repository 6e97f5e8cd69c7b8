"""`rdc demo`: runs the codec on a photograph that comes with the package."""

from argparse import Namespace

from rdc_jax.codec import compilation_cache


def run(args: Namespace) -> int:
    compilation_cache.enable()
    from rdc_jax import demo

    demo.run(args.output, overwrite=args.force)
    return 0
