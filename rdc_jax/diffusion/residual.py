"""The latent diffusion of the fusion module: the residual that a decoded latent lacks.

The module works on the residual between a better latent y_p and the decoded latent y_c, in units
of the deviation w that the entropy model expects there (known to every decoder):

    r = (y_p - y_c) / w,    r_u = alpha(u) r + sigma(u) n,    n of unit variance

with the angular clock alpha(u) = cos(pi u / 2), sigma(u) = sin(pi u / 2), u = 1 pure noise, and
v-prediction (Salimans & Ho 2022): v = alpha n - sigma r. Sampling is DDIM with eta = 0 from u = 1
down to 0. The strength tau fuses the two latents (2412.11379, tau-controlled fusion):

    y_tau = (1 - tau) y_c + tau y_d,    y_d = y_c + w r
"""

import math

import jax
import jax.numpy as jnp


def unit_noise(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Uniform noise of unit variance; decoders draw it from the file's dither generator."""
    return jax.random.uniform(key, shape, jnp.float32, -(3.0**0.5), 3.0**0.5)


def alpha_sigma(u: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Signal and noise amplitudes of clock values u [B] in 0..1: two arrays [B,1,1,1]."""
    angle = (0.5 * math.pi) * u[:, None, None, None]
    return jnp.cos(angle), jnp.sin(angle)


def diffuse(residual: jax.Array, noise: jax.Array, u: jax.Array) -> jax.Array:
    """The noisy residual r_u, [B,h,w,C].

    Args:
        residual: Clean, [B,h,w,C].
        noise: Of unit variance, [B,h,w,C].
        u: Clock values, [B].
    """
    alpha, sigma = alpha_sigma(u)
    return alpha * residual + sigma * noise


def velocity(residual: jax.Array, noise: jax.Array, u: jax.Array) -> jax.Array:
    """The network's target v = alpha n - sigma r, [B,h,w,C].

    Args:
        residual: Clean, [B,h,w,C].
        noise: Of unit variance, [B,h,w,C].
        u: Clock values, [B].
    """
    alpha, sigma = alpha_sigma(u)
    return alpha * noise - sigma * residual


def clean_residual(noisy: jax.Array, v: jax.Array, u: jax.Array) -> jax.Array:
    """The clean residual that a network output stands for, [B,h,w,C].

    Args:
        noisy: r_u, [B,h,w,C].
        v: Output of the network, [B,h,w,C].
        u: Clock values, [B].
    """
    alpha, sigma = alpha_sigma(u)
    return alpha * noisy - sigma * v


def ddim_step(noisy: jax.Array, v: jax.Array, now: jax.Array, after: jax.Array) -> jax.Array:
    """One DDIM step (eta = 0) from r_now to r_after, [B,h,w,C].

    Args:
        noisy: r_now, [B,h,w,C].
        v: Output of the network for it, [B,h,w,C].
        now: Clock values of `noisy`, [B].
        after: Clock values of the result, [B].
    """
    alpha, sigma = alpha_sigma(now)
    noise = sigma * noisy + alpha * v
    return diffuse(alpha * noisy - sigma * v, noise, after)


def clock(num_steps: int) -> list[float]:
    """Clock values at the start of each of num_steps steps, and 0 at the end."""
    return [1.0 - n / num_steps for n in range(num_steps + 1)]


def fuse(decoded: jax.Array, transformed: jax.Array, tau: jax.Array) -> jax.Array:
    """y_tau, [B,h,w,C].

    Args:
        decoded: The faithful latent, which tau = 0 gives.
        transformed: The realistic latent, which tau = 1 gives.
        tau: In [0,1]; broadcasts to the latents.
    """
    return (1.0 - tau) * decoded + tau * transformed
