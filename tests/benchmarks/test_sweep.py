"""Architectures of keras.applications with random weights: planned, traced, explained, and nothing lost on the way."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from benchmarks.sweep import EXPLAINED, METHODS, SIZES, is_done, maker
from benchmarks.sweep_one import examined

if TYPE_CHECKING:
    import pathlib

QUICK = ("MobileNetV2", "VGG16")
# Their activations are GELU and Swish: there is no ReLU to guide through.
WITHOUT_RELU = ("ConvNeXtTiny", "EfficientNetB0", "EfficientNetV2B0")
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
    refused = {method: made["refused"] for method, made in found["methods"].items() if "refused" in made}
    assert refused == ({"guided": "RuleNeverMet"} if name in WITHOUT_RELU else {})
    assert all(made["finite"] for method, made in found["methods"].items() if method not in refused)
    assert {rule for rule, made in found["rules"].items() if not made["finite"] or made["missing"] > 1e-3} == set()


def test_a_result_counts_for_its_code_and_versions_and_a_failure_is_tried_again(tmp_path: pathlib.Path) -> None:
    made_by = maker()
    assert set(made_by) == {"code", "tensorflow", "keras", "numpy"}
    path = tmp_path / "VGG16.json"
    assert not is_done(path, made_by)
    for kept, done in (
        ({"name": "VGG16", "made_by": made_by}, True),
        ({"name": "VGG16", "made_by": made_by, "failed": "no memory"}, False),
        ({"name": "VGG16", "made_by": {**made_by, "code": "other"}}, False),
        ({"name": "VGG16"}, False),
    ):
        path.write_text(json.dumps(kept), encoding="utf-8")
        assert is_done(path, made_by) is done
