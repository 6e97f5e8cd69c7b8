"""The two sides of the train-step comparison, which `train_step.py` times."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

OPTIMIZER = dict(learning_rate=1e-4, b1=0.9, b2=0.999, eps=1e-8, weight_decay=1e-2)


def our_loss(model, params: Any, batch: dict[str, Any]):
    """Returns the mean squared error of the prediction, float32."""
    import jax.numpy as jnp

    prediction = model.apply(
        {"params": params}, batch["noisy"], batch["timesteps"], batch.get("context")
    )
    return jnp.mean(jnp.square(prediction - batch["target"]))


def torch_loss(network, batch: dict[str, Any], dtype: str):
    """Returns the same in PyTorch. bfloat16 uses autocast, so parameters stay float32."""
    import torch

    device = batch["noisy"].device.type
    inputs = [batch[name] for name in ("noisy", "timesteps", "context") if name in batch]
    with torch.autocast(device, torch.bfloat16, enabled=dtype == "bfloat16"):
        prediction = network(*inputs, return_dict=False)[0]
    return (prediction.float() - batch["target"]).square().mean()


def torch_batch(batch: dict[str, np.ndarray], device: str, channels_last: bool) -> dict:
    """Converts a batch to tensors, with images as [B,C,h,w]."""
    import torch

    def tensor(array):
        if array.ndim != 4:
            return torch.from_numpy(array).to(device)
        value = torch.from_numpy(np.ascontiguousarray(array.transpose(0, 3, 1, 2))).to(device)
        return value.to(memory_format=torch.channels_last) if channels_last else value

    return {name: tensor(array) for name, array in batch.items()}


class Ours:
    """Our side. Each method runs a compiled function and returns when its work is done."""

    name = "rdc"

    def __init__(self, model, params: dict, batch: dict[str, np.ndarray]):
        import jax
        import optax

        optimizer = optax.adamw(**OPTIMIZER)
        loss = partial(our_loss, model)

        def update(state, gradients):
            params, moments = state
            updates, moments = optimizer.update(gradients, moments, params)
            return optax.apply_updates(params, updates), moments

        def step(state, batch):
            value, gradients = jax.value_and_grad(loss)(state[0], batch)
            return update(state, gradients), value

        params = jax.device_put(params)
        self._state = params, jax.jit(optimizer.init)(params)
        self._batch = jax.device_put(batch)
        self._gradients = None
        self._loss = jax.jit(loss)
        self._value_and_grad = jax.jit(jax.value_and_grad(loss))
        self._step = jax.jit(step, donate_argnums=0)
        self._update = jax.jit(update, donate_argnums=0)

    def step(self, repeats: int = 1) -> float:
        for _ in range(repeats):
            self._state, value = self._step(self._state, self._batch)
        return float(value)

    def forward(self, repeats: int = 1) -> float:
        for _ in range(repeats):
            value = self._loss(self._state[0], self._batch)
        return float(value)

    def gradient(self, repeats: int = 1) -> float:
        for _ in range(repeats):
            self._gradients = None  # frees the old gradients first, as the other side does
            value, self._gradients = self._value_and_grad(self._state[0], self._batch)
        return float(value)

    def optimizer(self, repeats: int = 1) -> None:
        import jax

        for _ in range(repeats):
            self._state = self._update(self._state, self._gradients)
        jax.block_until_ready(self._state)


class Theirs:
    """The side of PyTorch, with the same methods."""

    name = "torch"

    def __init__(
        self, network, batch: dict, dtype: str, device: str, channels_last: bool, compiled: bool
    ):
        import torch

        if channels_last:
            network = network.to(memory_format=torch.channels_last)
        self._network = network.to(device).train()
        if compiled:
            self._network = torch.compile(self._network)
        self._batch = torch_batch(batch, device, channels_last)
        self._dtype, self._device = dtype, device
        self._optimizer = torch.optim.AdamW(
            network.parameters(),
            lr=OPTIMIZER["learning_rate"],
            betas=(OPTIMIZER["b1"], OPTIMIZER["b2"]),
            eps=OPTIMIZER["eps"],
            weight_decay=OPTIMIZER["weight_decay"],
            fused=True,
        )

    def _done(self) -> None:
        if self._device == "cuda":
            import torch

            torch.cuda.synchronize()

    def _gradient(self):
        self._optimizer.zero_grad(set_to_none=True)
        value = torch_loss(self._network, self._batch, self._dtype)
        value.backward()
        return value.detach()

    def step(self, repeats: int = 1) -> float:
        for _ in range(repeats):
            value = self._gradient()
            self._optimizer.step()
        self._done()
        return float(value)

    def forward(self, repeats: int = 1) -> float:
        import torch

        with torch.no_grad():
            for _ in range(repeats):
                value = torch_loss(self._network, self._batch, self._dtype)
        self._done()
        return float(value)

    def gradient(self, repeats: int = 1) -> float:
        for _ in range(repeats):
            value = self._gradient()
        self._done()
        return float(value)

    def optimizer(self, repeats: int = 1) -> None:
        for _ in range(repeats):
            self._optimizer.step()
        self._done()
