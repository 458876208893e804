"""Architectures of keras.applications with random weights: planned, traced, explained, and nothing lost on the way."""

from __future__ import annotations

import pytest

from benchmarks.sweep import EXPLAINED, METHODS, SIZES
from benchmarks.sweep_one import examined

QUICK = ("MobileNetV2", "VGG16")
RULES = ("lrp.epsilon", "lrp.zplus", "lrp.alpha2beta1", "lrp.flat")


@pytest.mark.parametrize(
    "name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in EXPLAINED if name not in QUICK)]
)
def test_an_architecture_is_explained_by_every_family(name: str) -> None:
    """What goes in comes out: relevance in float32, whose roundings of 6e-8 add up over some hundred operations."""
    size = next((size for family, size in SIZES.items() if name.startswith(family)), 32)

    found = examined(name, size, METHODS, RULES)

    assert found["order"]
    assert found["replay"]
    assert found["methods"].keys() == METHODS.keys()
    assert all(made.get("finite", "refused" in made) for made in found["methods"].values())
    assert {rule for rule, made in found["rules"].items() if not made["finite"] or made["missing"] > 1e-3} == set()
