"""From names to objects and back, on a plugin without TensorFlow."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import acme
import xaicore.table
from acme import Distance, Map, Times, Total, Weigh, Wrap
from xaicore.analyzer import Filtered
from xaicore.backward import Backward
from xaicore.errors import (
    ExpressionSyntax,
    FamilyNotInstalled,
    InvalidParameter,
    NotExpressible,
    UnknownName,
    UnknownParameter,
    WrongKind,
    XaicoreError,
)
from xaicore.filters import Channels, Part
from xaicore.registry import Registry
from xaicore.values import Array

ABS, ABSMAX = Part("absolute"), Channels("absmax")
REGISTRY = Registry.from_modules({"filter": xaicore.table, "acme": acme})


def get(part, kind="analyzer", **parameters):
    return REGISTRY.get(part, kind, **parameters)


# ------------------------------------------------------------------------------------------------ text to objects


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("acme.weigh", "rule", Weigh()),
        ("acme.weigh(3)", "rule", Weigh(3)),
        ("acme.weigh(amount=3, mode='hard')", "rule", Weigh(3, "hard")),
        ("acme.heavy", "rule", Weigh(2)),
        ("acme.heavy(amount=4)", "rule", Weigh(4)),
        ("acme.pass", "rule", Weigh(0)),
        ("acme.hefty", "rule", Weigh(2)),
        ("hefty", "rule", Weigh(2)),
        ("acme", "analyzer", Wrap(Backward(Weigh(2)))),
        ("acme.acme(n=3)", "analyzer", Wrap(Backward(Weigh(2)), 3)),
        ("acme.heavy", "analyzer", Backward(Weigh(2))),
        ("acme.heavy(mode='hard', at='conv')", "analyzer", Backward(Weigh(2, "hard"), at="conv")),
        ("wrap(acme.heavy, n=2)", "analyzer", Wrap(Backward(Weigh(2)), 2)),
        ("wrap('acme.heavy')", "analyzer", Wrap(Backward(Weigh(2)))),
        ("wrap(wrap(acme) | abs)", "analyzer", Wrap(Filtered(Wrap(Wrap(Backward(Weigh(2)))), (ABS,)))),
        ("acme | abs | absmax", "analyzer", Filtered(Wrap(Backward(Weigh(2))), (ABS, ABSMAX))),
        ("acme.map(rules=(('x', acme.heavy), ('y', None)))", "analyzer", Map((("x", Weigh(2)), ("y", None)))),
        ("distance + 2 * distance(order=2)", "cost", Total((Distance(), Times(2, Distance(2))))),
        ("abs", "filter", ABS),
    ],
)
def test_what_texts_make(text, kind, expected):
    assert get(text, kind) == expected


def test_parameters_beside_the_text():
    """Values, texts and objects are given as keyword arguments too; objects are lifted as names are."""
    assert get("acme.heavy", mode="hard", at="a") == Backward(Weigh(2, "hard"), at="a")
    assert get("wrap", inner="acme.heavy") == get("wrap", inner=Weigh(2)) == get("wrap(acme.heavy)")


def test_objects_pass_and_are_lifted():
    rule, analyzer = Weigh(), Wrap(Backward(Weigh()))

    assert get(rule, "rule") is rule
    assert get(rule, "analyzer") == Backward(rule)
    assert get(analyzer) is analyzer


def test_objects_that_no_row_knows_are_judged_by_the_protocol():
    @attrs.frozen
    class Own:
        setting = Weigh.setting

        def __call__(self, op, *inputs): ...

    own = Own()

    assert get(own, "rule") is own
    assert get(own, "analyzer") == Backward(own)
    with pytest.raises(WrongKind, match="quadrature"):
        get(own, "quadrature")


@pytest.mark.parametrize(
    ("text", "kind", "error", "told"),
    [
        ("acme.wiegh", "rule", UnknownName, r"acme\.weigh"),
        ("weigh", "rule", UnknownName, r"acme\.weigh"),
        ("ACME.Weigh", "rule", UnknownName, r"acme\.weigh"),
        ("corp.weigh", "rule", UnknownName, r"family 'corp'.*acme\.weigh"),
        ("filter", "filter", UnknownName, r"no default.*filter\.absmax"),
        ("acme.weigh", "rool", UnknownName, "known kinds.*rule"),
        *[
            (f"{name}.x", "analyzer", FamilyNotInstalled, f"pip install xaicore-{name}")
            for name in ("lrp", "gradient", "ig", "cam", "cf", "pipeline", "metrics", "ray", "compat")
        ],
        ("lrp", "analyzer", FamilyNotInstalled, "pip install xaicore-lrp"),
        ("acme.weigh(amuont=1)", "rule", UnknownParameter, "Did you mean 'amount'.*amount=1.0, mode='soft'"),
        ("acme.weigh(amuont=1)", "analyzer", UnknownParameter, "mode='soft'.*around it.*times_input=False"),
        ("acme.weigh(rules=1)", "analyzer", UnknownParameter, "rules"),
        ("acme.weigh(1, 'hard', None, 2, 5)", "rule", UnknownParameter, "at most 4"),
        ("acme.weigh(1, amount=2)", "rule", UnknownParameter, "by position and by name"),
        ("acme.weigh(amount='1')", "rule", InvalidParameter, "amount='1'; expected a finite number >= 0.*mode='soft'"),
        ("acme.weigh(amount=-1)", "rule", InvalidParameter, "amount=-1"),
        ("acme.weigh(mode=hard)", "rule", InvalidParameter, "in quotes"),
        ("acme.weigh(mask={})", "rule", InvalidParameter, "array of numbers"),
        ("wrap", "analyzer", InvalidParameter, "needs inner"),
        ("wrap(3)", "analyzer", InvalidParameter, "kind 'analyzer'"),
        ("wrap(None)", "analyzer", InvalidParameter, "kind 'analyzer'"),
        ("wrap((acme, acme))", "analyzer", InvalidParameter, "kind 'analyzer'"),
        ("wrap(abs)", "analyzer", WrongKind, "kind 'filter'"),
        ("wrap('1')", "analyzer", InvalidParameter, "kind 'analyzer'"),
        ("abs", "analyzer", WrongKind, r"kind 'analyzer'.*acme\.acme"),
        ("acme | acme", "analyzer", WrongKind, "kind 'filter'"),
        ("abs | abs", "filter", WrongKind, "a pipe is an analyzer"),
        ("acme + acme", "analyzer", WrongKind, "exist for cost"),
        ("acme.weigh(", "rule", ExpressionSyntax, "never closed"),
        (f"acme.weigh(mask=array('sha256:{'0' * 64}'))", "rule", InvalidParameter, "saved beside"),
    ],
)
def test_every_mistake_has_its_error(text, kind, error, told):
    with pytest.raises(error, match=f"(?s){told}"):
        get(text, kind)


@pytest.mark.parametrize(
    ("part", "parameters", "error"),
    [
        (Weigh, {}, WrongKind),
        (3, {}, WrongKind),
        (None, {}, WrongKind),
        (ABS, {}, WrongKind),
        (Weigh(), {"amount": 2}, UnknownParameter),
        ("acme | abs", {"n": 2}, UnknownParameter),
        ("acme.weigh(amount=1)", {"amount": 2}, UnknownParameter),
    ],
)
def test_every_mistake_with_objects_has_its_error(part, parameters, error):
    with pytest.raises(error):
        get(part, **parameters)


# ------------------------------------------------------------------------------------------------ objects to text


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (Weigh(), "acme.weigh"),
        (Weigh(2), "acme.heavy"),
        (Weigh(2, "hard"), "acme.heavy_and_hard"),
        (Weigh(0), "acme.pass"),
        (Weigh(3, "hard"), "acme.weigh(amount=3.0, mode='hard', offset=4.0)"),
        (Weigh(3, offset=0), "acme.weigh(amount=3.0, offset=0.0)"),
        (Backward(Weigh(2)), "acme.heavy"),
        (Backward(Weigh(2), times_input=True), "acme.heavy(times_input=True)"),
        (Wrap(Backward(Weigh(2))), "acme.acme"),
        (Wrap(Backward(Weigh(2)), 3, options=(1, {"a": None})), "acme.acme(n=3, options=(1, {'a': None}))"),
        (Wrap(Backward(Weigh())), "acme.wrap(inner=acme.weigh)"),
        (
            Filtered(Wrap(Backward(Weigh(2))), (ABS, ABSMAX)),
            "acme.acme | filter.abs | filter.absmax",
        ),
        (Map((("x", Weigh(2)), ("y", None))), "acme.map(rules=(('x', acme.heavy), ('y', None)))"),
        (Total((Distance(), Times(2, Distance(2)))), "acme.distance + 2 * acme.distance(order=2)"),
    ],
)
def test_the_canonical_text(part, text):
    assert REGISTRY.expression_of(part) == text


RULES = st.builds(
    Weigh,
    st.sampled_from([0, 1, 2]) | st.floats(0, 1e30),
    st.sampled_from(["soft", "hard"]),
    st.none() | st.floats(-5, 5) | st.just(Array(np.arange(3.0))),
    st.none() | st.floats(-9, 9),
)
FLAT = st.builds(
    Backward,
    RULES,
    times_input=st.booleans(),
    initial=st.sampled_from([None, "one", "score"]),
    at=st.none() | st.text(min_size=1, max_size=8),
)
LITERALS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)
MAPS = st.builds(Map, st.lists(st.tuples(st.text(max_size=5), st.none() | RULES), max_size=3).map(tuple), LITERALS)


def nested(inner):
    plain = inner.map(lambda a: a.inner if isinstance(a, Filtered) else a)
    filters = st.lists(st.sampled_from([ABS, ABSMAX]), min_size=1, max_size=3)
    return st.builds(Wrap, inner, st.integers(1, 99), LITERALS) | st.builds(Filtered, plain, filters)


ANALYZERS = st.recursive(FLAT | MAPS, nested, max_leaves=4)


@settings(deadline=None)  # the machine may be busy
@given(ANALYZERS)
def test_get_of_the_text_is_the_object(analyzer):
    """get(str(a)) == a, and the text of what comes back is the same text."""
    text = REGISTRY.expression_of(analyzer)

    again = get(text, arrays=REGISTRY.arrays_of(analyzer))

    assert again == analyzer
    assert REGISTRY.expression_of(again) == text


def test_arrays_come_back_through_their_digest_only():
    mask = np.arange(6.0).reshape(2, 3)
    rule = Weigh(mask=mask)
    (digest,) = REGISTRY.arrays_of(rule)
    text = REGISTRY.expression_of(rule)

    assert text == f'acme.weigh(mask=array("{digest}"))'
    assert get(text, "rule", arrays={digest: mask}) == rule
    with pytest.raises(InvalidParameter, match="content"):
        get(text, "rule", arrays={digest: mask + 1})


@attrs.frozen
class Nameless:
    pass


@pytest.mark.parametrize(
    "part",
    [
        Nameless(),
        Weigh,
        3,
        len,
        Wrap(len),
        Wrap(Nameless()),
        Wrap(Backward(Weigh()), options=lambda: 0),
        Wrap(Backward(Weigh()), options=np.zeros(3)),
        Wrap(Backward(Weigh()), options=float("nan")),
        Filtered(Backward(Weigh()), (len,)),
    ],
)
def test_what_cannot_be_written_is_refused(part):
    with pytest.raises(NotExpressible):
        REGISTRY.expression_of(part)


# ------------------------------------------------------------------------------------------------------ garbage

PAYLOADS = [
    "__import__('os').system('true')",
    "wrap(__import__('sys').exit())",
    "acme.weigh(amount=exec('1'))",
    "acme.__class__",
    "acme.weigh.__init__.__globals__",
    "(lambda: 0)()",
    "acme.weigh(mode=open('x', 'w'))",
    "eval",
    "__builtins__",
]
PIECES = st.sampled_from(
    [
        *[*acme.ROWS, *PAYLOADS, *"()[]{},=|+*-'1.: "],
        *["1e999", "None", "wrap", "abs", "amount", "inner", "rules", "n", "at", "mode"],
    ]
)


@pytest.mark.parametrize("text", PAYLOADS)
def test_code_is_never_run(text, monkeypatch):
    """Nothing of the text is evaluated or looked up outside the tables."""

    def forbidden(*_):
        raise AssertionError("evaluated")

    monkeypatch.setattr("builtins.eval", forbidden)
    monkeypatch.setattr("builtins.exec", forbidden)
    monkeypatch.setattr("builtins.open", forbidden)
    monkeypatch.setattr("os.system", forbidden)
    monkeypatch.setattr("sys.exit", forbidden)

    with pytest.raises(XaicoreError):
        get(text)


@settings(deadline=None)  # the machine may be busy
@given(st.one_of(st.text(), st.lists(PIECES, max_size=12).map("".join)), st.sampled_from(["analyzer", "rule", "cost"]))
def test_garbage_is_our_error(text, kind):
    """Whatever the text, there is an object or one of our errors; an object has a text of its own."""
    try:
        found = get(text, kind)
    except XaicoreError:
        return

    assert get(REGISTRY.expression_of(found), kind) == found
