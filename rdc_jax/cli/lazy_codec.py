"""The model of a command: checked at once, while JAX starts only when it is needed."""

import functools
from typing import Any

from rdc_jax import installation
from rdc_jax.cli.jax_start import start_jax
from rdc_jax.model_folder import codec_model, fusion_module


class LazyCodec:
    """A model with its fusion module, loaded and checked at once, and a codec that starts JAX."""

    def __init__(self, name: str | None, fusion: str | None = None):
        """Loads the model.

        Args:
            name: Name or folder of the model; None for the default model.
            fusion: Folder of a fusion module, or "none"; None for the model's own module.

        Raises:
            RdcError: The model or the module is missing or damaged.
        """
        self.model = codec_model.load(name)
        self.module = fusion_module.choose(self.model, fusion)

    @functools.cached_property
    def codec(self) -> Any:
        """The `Codec`. Raises RdcError when JAX is not installed."""
        installation.check_jax()
        from rdc_jax.codec import compilation_cache

        start_jax()
        compilation_cache.enable()
        from rdc_jax.codec.codec import Codec

        return Codec(self.model, self.module)
