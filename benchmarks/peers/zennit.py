"""zennit 1.0 on PyTorch.  Where torchvision does not import, a stand-in has the types that zennit compares with."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from types import ModuleType

from benchmarks.peers import common, keys, torch_network

TYPES = {"torchvision.ops": ("FrozenBatchNorm2d",), "torchvision.models.resnet": ("Bottleneck", "BasicBlock")}


def stand_in_for_torchvision() -> None:
    """Put modules in its place whose types no layer of our networks has."""
    try:
        import torchvision  # noqa: F401  # only whether it is there
    except (ImportError, RuntimeError):  # missing, or built for another PyTorch
        for name in ("torchvision", "torchvision.models", *TYPES):
            sys.modules[name] = ModuleType(name)
        for name in ("torchvision.models", *TYPES):
            parent, _, child = name.rpartition(".")
            setattr(sys.modules[parent], child, sys.modules[name])
        for name, types in TYPES.items():
            vars(sys.modules[name]).update({one: type(one, (), {}) for one in types})


def composites() -> dict[str, tuple[str, object]]:
    """Return key -> (what it is called, composite): rules for kernel layers, the rest as in zennit's own composites."""
    from zennit import composites as made
    from zennit import rules, types

    kernels = (types.Convolution, types.Linear)

    def everywhere(rule: object) -> object:
        return made.LayerMapComposite([*made.layer_map_base(), *((kind, rule) for kind in kernels)])

    by_kind = [(types.Convolution, rules.AlphaBeta(1, 0)), (types.Linear, rules.Epsilon(1e-6))]
    return {
        keys.GRADIENT: ("Gradient", None),
        keys.GUIDED: ("GuidedBackprop", made.GuidedBackprop()),
        keys.EPSILON: ("Epsilon(1e-6)", everywhere(rules.Epsilon(1e-6))),
        keys.ALPHA2BETA1: ("AlphaBeta(2, 1)", everywhere(rules.AlphaBeta(2, 1))),
        keys.ALPHA1BETA0: ("AlphaBeta(1, 0)", everywhere(rules.AlphaBeta(1, 0))),
        keys.ZPLUS: ("ZPlus", everywhere(rules.ZPlus(zero_params="bias"))),
        keys.COMPOSITE: (
            "AlphaBeta(1, 0) for convolutions, Epsilon(1e-6)",
            made.LayerMapComposite([*made.layer_map_base(), *by_kind]),
        ),
    }


def methods(workload: str, model: object, x: object) -> list[common.Method]:
    """Return the methods of a workload."""
    import torch
    from zennit import attribution

    def chosen(output: object) -> object:
        one = torch.zeros_like(output)
        one[:, common.TARGET] = 1
        return one

    def value(output: object) -> object:
        return chosen(output) * output.detach()

    def called(
        key: str, label: str, start: object, kind: Callable[..., object], *rules: object, **given: object
    ) -> common.Method:
        return common.Method(key, label, lambda: lambda: kind(model, *rules, attr_output=start, **given)(x))

    if workload == "W4":
        return [
            called(
                keys.INTEGRATED, "IntegratedGradients, n_iter=50", chosen, attribution.IntegratedGradients, n_iter=50
            )
        ]
    plain = (keys.GRADIENT, keys.GUIDED)
    made = [
        called(key, label, chosen if key in plain else value, attribution.Gradient, composite)
        for key, (label, composite) in composites().items()
        if workload == "W3" or key != keys.GUIDED
    ]
    smooth = called(keys.SMOOTH, "SmoothGrad, n_iter=32", chosen, attribution.SmoothGrad, n_iter=32)
    return [*made, smooth] if workload == "W3" else made


def summed() -> object:
    """Return zennit's sum, whose relevance its composites split by what each branch adds."""
    import torch
    from zennit.layer import Sum

    class Pair(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.sum = Sum()

        def forward(self, a: object, b: object) -> object:
            return self.sum(torch.stack([a, b], dim=-1))

    return Pair()


def prepare(workload: str, data: common.Arrays, wanted: Sequence[str]) -> common.Maps:  # noqa: ARG001  # one signature
    """Build the network in PyTorch."""
    stand_in_for_torchvision()
    model, x = torch_network.network(data, summed)
    return common.Maps(torch_network.outputs(model, x), torch_network.gradient(model, x), methods(workload, model, x))


if __name__ == "__main__":
    common.main(("zennit", "torch"), prepare)
