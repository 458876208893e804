"""Every registered name goes through the battery by being registered."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, ClassVar

import attrs
import numpy as np
import pytest
import tensorflow as tf

import xaicore
import xaicore.table
from xaicore import registry
from xaicore.declaration import Declaration
from xaicore.hookspecs import hookimpl
from xaicore.protocols import Relevance, Setting
from xaicore.testing import ANALYZER_LAWS, LAWS, expressions
from xaicore.testing.battery import claims_hold, shaped_and_finite
from xaicore.testing.parts import adds_up, descends, integrates, slopes

if TYPE_CHECKING:
    from collections.abc import Callable

    from xaicore.testing import Law

# What a registered name is made into: each composition has to pass what its parts pass.
COMPOSED = (
    "smoothgrad(lrp.epsilon(epsilon=0.25), n=3) | absmax | abs",
    "lrp.composite(rule=lrp.epsilon(epsilon=0.1), input=lrp.flat, conv=lrp.alpha1beta0, dense=lrp.z)",
    "gradient.input_times_gradient(score='probability')",
    "smoothgrad(smoothgrad(n=2), n=2, seed=3)",
    "ig(inner=smoothgrad(n=2), n_steps=3)",
    "ig(n_steps=4) | abs | normalize",
    "ig(at='conv1', n_steps=4)",
    "ig.gausskronrod(n_steps=5)",
    "ig.simpson(n_steps=5)",
    "smoothgrad(cam.gradcam, n=3)",
    "cam.gradcam(relu=False) | normalize",
)
OF_PARTS = [
    (law, name) for kind, laws in LAWS.items() if kind != "analyzer" for law in laws for name in expressions(kind)
]


@pytest.mark.parametrize("law", ANALYZER_LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("expression", [*expressions("analyzer"), *COMPOSED])
def test_analyzer_obeys(expression: str, law: Law) -> None:
    if law is shaped_and_finite and "absmax" in expression:
        pytest.skip("a channel filter changes the shape, which this law does not expect of an analyzer")
    law(expression)


@pytest.mark.parametrize(("law", "name"), OF_PARTS, ids=lambda one: getattr(one, "__name__", one))
def test_part_obeys(law: Law, name: str) -> None:
    law(name)


def test_there_is_a_law_for_every_kind_of_the_core() -> None:
    """Kinds of one family, such as baselines, answer by the analyzers that take them."""
    kinds = registry.default().kinds.values()
    assert {kind.name for kind in kinds if kind.protocol.startswith("xaicore.protocols:")} <= LAWS.keys()


# ------------------------------------------------------------------------------------------ the battery can fail


@attrs.frozen
class Leaky:
    """The plain gradient, as a rule that says it conserves."""

    setting: ClassVar[Setting] = Setting(initial="score", claims=frozenset({"conservation"}), otherwise="gradient")

    def __call__(self, op: object, *inputs: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], Relevance]]:
        """Return the output, and the gradient."""
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(inputs)
            output = op.forward(*inputs)
        return output, lambda r: Relevance(tuple(tape.gradient(output, list(inputs), output_gradients=r)))


@attrs.frozen
class Uneven:
    """Weights that do not sum to 1."""

    def __call__(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Return n nodes of weight 1 / (n + 1)."""
        return np.linspace(0, 1, n), np.full(n, 1 / (n + 1))

    def degree(self, n: int) -> int:
        """Return 0."""
        return 0 * n


@attrs.frozen
class Overstated(Uneven):
    """The left Riemann sum, which says that it is exact for lines."""

    def __call__(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Return n nodes of weight 1 / n."""
        return np.arange(n) / n, np.full(n, 1 / n)

    def degree(self, n: int) -> int:
        """Return 1."""
        return 1 + 0 * n


@attrs.frozen
class Unsummed:
    """A cost per feature."""

    def __call__(self, x: tf.Tensor, **beside: tf.Tensor) -> tf.Tensor:
        """Return (batch, features)."""
        return x - beside["original"]


@attrs.frozen
class Coupled:
    """A cost in which samples see each other."""

    def __call__(self, x: tf.Tensor, **beside: tf.Tensor) -> tf.Tensor:
        """Return (batch,)."""
        return tf.reduce_sum(x - tf.reduce_mean(x, axis=0), axis=1) + 0 * beside["original"][:, 0]


@attrs.frozen
class Slopeless:
    """A cost that hides its gradient."""

    def __call__(self, x: tf.Tensor, **beside: tf.Tensor) -> tf.Tensor:
        """Return (batch,)."""
        return tf.reduce_sum(tf.stop_gradient(x) * beside["original"], axis=1)


@attrs.frozen
class Drifting:
    """Moves entries without a gradient."""

    shared: bool = False
    sign: float = -1.0

    def init(self, x: tf.Tensor) -> tuple[()]:
        """Return no state."""
        del x
        return ()

    def update(self, gradient: tf.Tensor, state: tuple[()], x: tf.Tensor) -> tuple[tf.Tensor, tuple[()]]:
        """Return a step."""
        if not self.shared:
            return self.sign * (0.01 * gradient + (1e-3 if self.sign < 0 else 0)), state
        return self.sign * gradient / tf.norm(gradient) + 0 * x, state


HERE = f"{__name__}:"
ROWS = {
    "acme.broken": Declaration("rule", "no_such_module:Rule"),
    "acme.coupled": Declaration("cost", HERE + "Coupled"),
    "acme.drifting": Declaration("optimizer", HERE + "Drifting"),
    "acme.leaky": Declaration("rule", HERE + "Leaky"),
    "acme.overstated": Declaration("quadrature", HERE + "Overstated"),
    "acme.shared": Declaration("optimizer", HERE + "Drifting", preset={"shared": True}),
    "acme.slopeless": Declaration("cost", HERE + "Slopeless"),
    "acme.uneven": Declaration("quadrature", HERE + "Uneven"),
    "acme.unsummed": Declaration("cost", HERE + "Unsummed"),
    "acme.upward": Declaration("optimizer", HERE + "Drifting", preset={"sign": 1.0}),
}


@pytest.fixture
def acme(monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a family whose parts break a law each, beside those that are installed."""
    module = type(sys)("acme_plugin")
    module.xaicore_declarations = hookimpl(lambda: ROWS)
    modules = {family: plugin.module for family, plugin in registry.default().plugins.items()}
    found = registry.Registry.from_modules({**modules, "acme": module})
    assert not found.broken
    monkeypatch.setattr(registry, "default", lambda: found)


@pytest.mark.usefixtures("acme")
@pytest.mark.parametrize(
    ("law", "name", "told"),
    [
        (adds_up, "acme.leaky", "is lost at"),
        (claims_hold, "acme.leaky", "is nowhere"),
        (integrates, "acme.uneven", r"t\^0 is off"),
        (integrates, "acme.overstated", r"degree 1 declared, t\^1 is off"),
        (slopes, "acme.unsummed", r"\(4, 5\) for 4 samples"),
        (slopes, "acme.coupled", "another value alone"),
        (slopes, "acme.slopeless", "the gradient by x is off"),
        (descends, "acme.drifting", "a held entry moves"),
        (descends, "acme.shared", "rows depend on each other"),
        (descends, "acme.upward", "goes up"),
    ],
)
def test_a_broken_law_is_found(law: Law, name: str, told: str) -> None:
    """The battery can fail: a law holds what it is for against a name that breaks it."""
    with pytest.raises(AssertionError, match=told):
        law(name)


def test_another_shape_is_found() -> None:
    with pytest.raises(AssertionError, match="for an input of"):
        shaped_and_finite("gradient | absmax")


@pytest.mark.usefixtures("acme")
def test_a_name_that_cannot_be_imported_is_in_the_battery_and_fails() -> None:
    """What only lacks a parameter is left out, and nothing else."""
    assert "acme.broken" in expressions("rule")
    assert "acme.broken" in expressions("analyzer")
    assert "lrp.pattern" not in expressions("rule")
    with pytest.raises(xaicore.errors.BrokenPlugin, match="no_such_module"):
        LAWS["rule"][0]("acme.broken")
