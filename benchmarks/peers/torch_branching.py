"""A network that branches, in PyTorch: operations in order, each with the numbers of those that it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.peers import common


def network(torch: ModuleType, data: common.Arrays, add: Callable[[], object] | None) -> object:
    """Return the exported network, its padding taken into the operations behind it."""
    rows = common.layers_of(data)

    class Branching(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            made = {str(i): _module(torch, rows, i, data, add) for i, row in enumerate(rows) if row["kind"] != "pad"}
            self.operations = torch.nn.ModuleDict(made)

        def forward(self, x: object) -> object:
            found = {-1: x}
            for i, row in enumerate(rows):
                given = [found[k] for k in row["inputs"]]
                found[i] = given[0] if row["kind"] == "pad" else self.operations[str(i)](*given)
            return found[len(rows) - 1]

    return Branching().eval()


def _module(
    torch: ModuleType,
    rows: Sequence[Mapping[str, Any]],
    i: int,
    data: common.Arrays,
    add: Callable[[], object] | None,
) -> object:
    row, nn = rows[i], torch.nn
    before = rows[row["inputs"][0]] if row["inputs"][0] >= 0 else {"kind": ""}
    by = before["by"] if before["kind"] == "pad" else 0
    if row["kind"] in {"conv", "dense"}:
        return _weighted(torch, row, data[f"kernel_{i}"], data[f"bias_{i}"], by)
    if row["kind"] == "norm":
        return _norm(torch, row, *(data[f"{name}_{i}"] for name in ("gamma", "beta", "mean", "variance")))
    if row["kind"] == "pool":  # behind a ReLU: what is padded is never the largest
        return nn.MaxPool2d(row.get("size", 2), row.get("strides"), padding=by)
    if row["kind"] == "add":
        return add() if add else _plain_sum(torch)
    if row["kind"] == "mean":
        return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.ReLU()


def _weighted(torch: ModuleType, row: Mapping[str, Any], kernel: np.ndarray, bias: np.ndarray, by: int) -> object:
    if row["kind"] == "dense":
        kernel = kernel.T
        layer = torch.nn.Linear(kernel.shape[1], kernel.shape[0])
    else:
        kernel = kernel.transpose(3, 2, 0, 1)
        padding = "same" if row["padding"] == "same" and row.get("strides", 1) == 1 else by
        layer = torch.nn.Conv2d(
            kernel.shape[1], kernel.shape[0], kernel.shape[2:], stride=row.get("strides", 1), padding=padding
        )
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(kernel)))
        layer.bias.copy_(torch.from_numpy(bias))
    return layer


def _norm(torch: ModuleType, row: Mapping[str, Any], *arrays: np.ndarray) -> object:
    layer = torch.nn.BatchNorm2d(len(arrays[0]), eps=row["epsilon"])
    with torch.no_grad():
        for tensor, array in zip(
            (layer.weight, layer.bias, layer.running_mean, layer.running_var), arrays, strict=True
        ):
            tensor.copy_(torch.from_numpy(array))
    return layer


def _plain_sum(torch: ModuleType) -> object:
    class Sum(torch.nn.Module):
        def forward(self, a: object, b: object) -> object:
            return a + b

    return Sum()
