"""What several tests of a latent's coding share: sizes, random latents, a round trip."""

import numpy as np

from rdc_jax.entropy import latent_coding

SIZES = [(1, 1), (1, 9), (7, 1), (5, 3), (4, 4), (13, 22)]
SKIPPED = 36  # number of scale indexes in skip mode, in tests that use it


def random_latent(rng, height, width, channels=4):
    return rng.normal(0, 30, (height, width, channels)).astype(np.float32)


def round_trip(model, latent, conditions):
    hyper, body, coded = latent_coding.encode_latent(model, latent, conditions)
    return hyper, body, coded, latent_coding.decode_latent(model, hyper, body, conditions)
