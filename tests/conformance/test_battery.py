"""Every registered name goes through the battery by being registered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from xaicore.testing import ANALYZER_LAWS, FILTER_LAWS, expressions

if TYPE_CHECKING:
    from xaicore.testing.battery import Law

# What a registered name is made into: each composition has to pass what its parts pass.
COMPOSED = (
    "smoothgrad(lrp.epsilon(epsilon=0.25), n=3) | absmax | abs",
    "lrp.composite(rule=lrp.epsilon(epsilon=0.1), input=lrp.flat, conv=lrp.alpha1beta0, dense=lrp.z)",
    "gradient.input_times_gradient(score='probability')",
    "smoothgrad(smoothgrad(n=2), n=2, seed=3)",
    "ig(inner=smoothgrad(n=2), n_steps=3)",
    "ig(n_steps=4) | abs | normalize",
    "smoothgrad(cam.gradcam, n=3)",
    "cam.gradcam(relu=False) | normalize",
)
# A channel filter changes the shape, which the laws on shapes do not expect of an analyzer.
KEEPS_SHAPE = tuple(e for e in COMPOSED if "absmax" not in e)


@pytest.mark.parametrize("law", ANALYZER_LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("expression", [*expressions("analyzer"), *KEEPS_SHAPE])
def test_analyzer_obeys(expression: str, law: Law) -> None:
    law(expression)


@pytest.mark.parametrize("law", FILTER_LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("expression", expressions("filter"))
def test_filter_obeys(expression: str, law: Law) -> None:
    law(expression)


def test_a_broken_law_is_found() -> None:
    """The battery can fail: a law holds what it is for against a name that breaks it."""
    from xaicore.testing.battery import shaped_and_finite

    with pytest.raises(AssertionError, match="for an input of"):
        shaped_and_finite("gradient | absmax")
