"""The network in PyTorch, as zennit and Captum explain it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.peers import common, torch_branching


def network(data: common.Arrays, add: Callable[[], object] | None = None) -> tuple[object, object]:
    """Return the module, and the inputs channels first.  add: makes the peer's module of two tensors for a branch."""
    import torch

    x = torch.from_numpy(np.ascontiguousarray(data["x"].transpose(0, 3, 1, 2)))
    if "inputs" in common.layers_of(data)[0]:
        return torch_branching.network(torch, data, add), x
    return _network(torch, data), x


def _network(torch: ModuleType, data: common.Arrays) -> object:
    """Build the exported network: channels first, so the dense kernel behind a flatten is put in that order."""
    made, x, flattened = [], torch.zeros((1, *data["x"].shape[1:])).permute(0, 3, 1, 2), None
    for i, row in enumerate(common.layers_of(data)):
        kernel, bias = data.get(f"kernel_{i}"), data.get(f"bias_{i}")
        if row["kind"] == "dense" and flattened is not None:
            channels, *space = flattened
            kernel = kernel.reshape(*space, channels, -1).transpose(2, 0, 1, 3).reshape(kernel.shape)
        flattened = tuple(x.shape[1:]) if row["kind"] == "flatten" else None
        layer = _layer(torch, row, kernel, bias)
        x = layer(x).detach()
        made += [layer, torch.nn.ReLU()] if row.get("activation") == "relu" else [layer]
    return torch.nn.Sequential(*made).eval()


def _layer(torch: ModuleType, row: Mapping[str, Any], kernel: np.ndarray | None, bias: np.ndarray | None) -> object:
    if row["kind"] not in {"conv", "dense"}:
        return torch.nn.MaxPool2d(2) if row["kind"] == "pool" else torch.nn.Flatten()
    if row["kind"] == "conv":
        kernel = kernel.transpose(3, 2, 0, 1)
        layer = torch.nn.Conv2d(kernel.shape[1], kernel.shape[0], kernel.shape[2:], padding=row["padding"])
    else:
        kernel = kernel.T
        layer = torch.nn.Linear(kernel.shape[1], kernel.shape[0])
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(kernel)))
        layer.bias.copy_(torch.from_numpy(bias))
    return layer


def outputs(model: Callable[[object], object], x: object) -> Callable[[], np.ndarray]:
    """Return the function that gives the logits."""
    import torch

    def found() -> np.ndarray:
        with torch.no_grad():
            return model(x).numpy()

    return found


def gradient(model: Callable[[object], object], x: object) -> Callable[[], np.ndarray]:
    """Return the gradient of one logit, channels last, as a user of PyTorch would write it."""
    import torch

    def found() -> np.ndarray:
        leaf = x.detach().requires_grad_()
        (slope,) = torch.autograd.grad(model(leaf)[:, common.TARGET].sum(), leaf)
        return slope.permute(0, 2, 3, 1).numpy()

    return found
