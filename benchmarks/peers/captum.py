"""Captum 0.9 on PyTorch.  Its LRP has no default rule for Flatten; the epsilon rule passes relevance on there."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.peers import common, keys, torch_network


def propagated(
    model: object, x: object, conv: Callable[[], object], dense: Callable[[], object]
) -> Callable[[], common.Run]:
    """Return the maker of LRP with one rule for convolutions and one for dense layers."""

    def make() -> common.Run:
        import torch
        from captum.attr import LRP
        from captum.attr._utils.lrp_rules import EpsilonRule

        rules = {torch.nn.Conv2d: conv, torch.nn.Linear: dense, torch.nn.Flatten: EpsilonRule}

        def run() -> object:
            for layer in model.modules():  # Captum removes the rules after every call
                if type(layer) in rules:
                    layer.rule = rules[type(layer)]()
            return LRP(model).attribute(x, target=common.TARGET)

        return run

    return make


def methods(workload: str, model: object, x: object) -> list[common.Method]:
    """Return the methods of a workload."""
    from captum import attr
    from captum.attr._utils.lrp_rules import Alpha1_Beta0_Rule, EpsilonRule

    def called(key: str, label: str, explainer: object, **given: object) -> common.Method:
        return common.Method(key, label, lambda: lambda: explainer.attribute(x, target=common.TARGET, **given))

    def epsilon() -> object:
        return EpsilonRule(1e-6)

    if workload == "W4":
        ig = {"n_steps": 50, "method": "gausslegendre"}
        return [
            called(
                keys.INTEGRATED,
                "IntegratedGradients, internal_batch_size=512",
                attr.IntegratedGradients(model),
                internal_batch_size=512,
                **ig,
            )
        ]
    rules = (
        (keys.EPSILON, "EpsilonRule(1e-6)", epsilon, epsilon),
        (keys.ALPHA1BETA0, "Alpha1_Beta0_Rule", Alpha1_Beta0_Rule, Alpha1_Beta0_Rule),
        (keys.COMPOSITE, "Alpha1_Beta0_Rule for convolutions, EpsilonRule(1e-6)", Alpha1_Beta0_Rule, epsilon),
    )
    made = [
        called(keys.GRADIENT, "Saliency, abs=False", attr.Saliency(model), abs=False),
        *(common.Method(key, label, propagated(model, x, *pair)) for key, label, *pair in rules),
    ]
    if workload in {"W1", "W2"}:
        return made
    guided = common.Method(keys.GUIDED, "GuidedBackprop", lambda: guided_call(model, x))
    noisy = {"nt_type": "smoothgrad", "nt_samples": 32, "nt_samples_batch_size": 1, "abs": False}
    tunnel = attr.NoiseTunnel(attr.Saliency(model))
    return [*made, guided, called(keys.SMOOTH, "NoiseTunnel(Saliency), 32 samples, one at a time", tunnel, **noisy)]


def guided_call(model: object, x: object) -> common.Run:
    """Return one call of guided backpropagation, whose constructor hooks into the model."""
    from captum.attr import GuidedBackprop

    explainer = GuidedBackprop(model)
    return lambda: explainer.attribute(x, target=common.TARGET)


def prepare(workload: str, data: common.Arrays, wanted: Sequence[str]) -> common.Maps:  # noqa: ARG001  # one signature
    """Build the network in PyTorch."""
    from captum.attr._utils.custom_modules import Addition_Module

    model, x = torch_network.network(data, Addition_Module)
    return common.Maps(torch_network.outputs(model, x), torch_network.gradient(model, x), methods(workload, model, x))


if __name__ == "__main__":
    common.main(("captum", "torch"), prepare)
