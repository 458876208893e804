"""Architectures of keras.applications with random weights: planned, traced, explained, and nothing lost on the way."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from benchmarks.sweep import EXPLAINED, METHODS, SIZES, is_done, maker
from benchmarks.sweep_one import examined
from benchmarks.sweep_page import page
from benchmarks.sweep_rules import every_rule

if TYPE_CHECKING:
    import pathlib

QUICK = ("MobileNetV2", "VGG16")
# Their activations are GELU and Swish: there is no ReLU to guide through.
WITHOUT_RELU = ("ConvNeXtTiny", "EfficientNetB0", "EfficientNetV2B0")
RULES = ("lrp.epsilon", "lrp.zplus", "lrp.alpha2beta1", "lrp.flat")
# Hundreds of operations, and minutes under every rule: `make sweep` does it.
DEEP = ("DenseNet121", "InceptionResNetV2", "NASNetMobile")


@pytest.mark.parametrize(
    "name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in EXPLAINED if name not in QUICK)]
)
def test_an_architecture_is_explained_by_every_family(name: str) -> None:
    """What goes in comes out: relevance in float32, whose roundings of 6e-8 add up over some hundred operations.

    Where float32 is not wide enough, as the page of the sweep explains, it comes out in float64.
    """
    size = next((size for family, size in SIZES.items() if name.startswith(family)), 32)
    rules = RULES if name in (*QUICK, *DEEP) else every_rule()

    found = examined(name, size, METHODS, rules)

    assert found["order"]
    assert found["replay"]
    assert found["methods"].keys() == METHODS.keys()
    refused = {method: made["refused"] for method, made in found["methods"].items() if "refused" in made}
    assert refused == ({"guided": "RuleNeverMet"} if name in WITHOUT_RELU else {})
    assert all(made["finite"] for method, made in found["methods"].items() if method not in refused)
    assert {rule for rule, made in found["rules"].items() if "refused" in made or made["fallbacks"]} == set()
    assert all(found["rules"][rule]["finite"] for rule in RULES)
    taken = {rule: made.get("wide", made) for rule, made in found["rules"].items()}
    assert {rule for rule, made in taken.items() if not made["finite"]} == set()
    assert {rule for rule, made in taken.items() if made["claims"] and made["missing"] > 1e-3} == set()


def test_every_rule_and_composite_that_needs_no_data_is_swept() -> None:
    swept = every_rule()

    assert {"lrp.sign", "lrp.sign_mu", "lrp.alphabeta(alpha=3)", "lrp.composite", "lrp.deep_taylor"} <= set(swept)
    assert not {"lrp.pass", "lrp.gate", "lrp.pattern", "lrp.pattern_net"} & set(swept)


def test_the_page_says_what_overflowed_what_fell_back_and_what_was_refused() -> None:
    good = {"finite": True, "missing": 1e-7, "of_score": 2e-7, "share": 0.25, "grown": 3.0}
    good |= {"fallbacks": 0, "claims": True}
    wide = good | {"grown": 1e41}
    rules = {
        "good": good,
        "free": good | {"claims": False},
        "fell": good | {"fallbacks": 2},
        "large": {"finite": False, "fallbacks": 0, "claims": True, "wide": wide, "unshifted": good},
        "refused": {"refused": "UnsupportedOperation"},
    }

    text = page([{"name": "Net", "rules": rules}, {"name": "Dead", "failed": "no memory"}], "")

    for line in (
        "| good | 1e-07 |",
        "| good | 0.25 (2e-07) |",
        "| free | - |",
        "| free | 0.25 |",
        "| fell | 1e-07 2 fell back |",
        "| large | overflow (1e-07) |",
        "| large | *0.25 (2e-07)* |",
        "| large | Net | 1e+41 | 3e+00 |",
        "| refused | UnsupportedOperation |",
        "| Dead |  | no memory |  |  | none |",
    ):
        assert line in text.splitlines()


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
