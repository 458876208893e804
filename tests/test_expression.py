"""The grammar: text -> tree -> text -> tree, and nothing but the grammar."""

from __future__ import annotations

import keyword

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xaicore.errors import ExpressionSyntax, NotExpressible
from xaicore.expression import DEEPEST, LONGEST, ArrayRef, Call, Pipe, Scaled, Sum, parse, parse_value, unparse

MEMBERS = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
WORDS = MEMBERS.filter(lambda word: not keyword.iskeyword(word) and word != "array")
NAMES = st.one_of(WORDS, st.builds("{}.{}".format, WORDS, MEMBERS), st.builds("{}.{}".format, WORDS, st.just("pass")))
NUMBERS = st.one_of(st.integers(), st.floats(allow_nan=False))
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=10))
ARRAYS = st.builds(ArrayRef, st.from_regex(r"sha256:[0-9a-f]{64}", fullmatch=True))


def calls(values):
    keywords = st.dictionaries(WORDS, values, max_size=3).map(lambda found: tuple(found.items()))
    return st.builds(Call, NAMES, st.lists(values, max_size=2).map(tuple), keywords)


def nodes(values):
    """Trees as `parse` makes them: pipes and sums are flat."""
    call = calls(values)
    pipe = st.builds(Pipe, call, st.lists(call, min_size=1, max_size=3).map(tuple))
    scaled = st.builds(Scaled, NUMBERS, st.one_of(call, pipe, st.builds(Scaled, NUMBERS, call)))
    terms = st.lists(st.one_of(call, scaled, pipe), min_size=2, max_size=3).map(tuple)
    total = st.builds(Sum, terms)
    return st.one_of(
        call, pipe, scaled, total, st.builds(Scaled, NUMBERS, total), st.builds(Pipe, total, st.tuples(call))
    )


def containers(values):
    keys = st.one_of(st.integers(), st.text(max_size=5))
    lists = st.lists(values, max_size=3)
    return st.one_of(lists, lists.map(tuple), st.dictionaries(keys, values, max_size=3), nodes(values))


VALUES = st.recursive(st.one_of(SCALARS, ARRAYS), containers, max_leaves=12)


@settings(deadline=None)  # the machine may be busy
@given(VALUES)
def test_a_tree_comes_back_from_its_text(tree):
    """parse(unparse(tree)) == tree, and the text is stable: types count, 1 is neither True nor 1.0."""
    text = unparse(tree)

    again = parse_value(text)

    assert again == tree
    assert unparse(again) == text


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("lrp.epsilon", Call("lrp.epsilon")),
        ("lrp.epsilon()", Call("lrp.epsilon")),
        (" a ( 1 ,\n b = -2.5 ) ", Call("a", (1,), (("b", -2.5),))),
        ("lrp.pass | f", Pipe(Call("lrp.pass"), (Call("f"),))),
        ("a | b(2) | c", Pipe(Call("a"), (Call("b", (2,)), Call("c")))),
        ("(a | b) | c", Pipe(Call("a"), (Call("b"), Call("c")))),
        ("a + 2 * (b + c)", Sum((Call("a"), Scaled(2, Sum((Call("b"), Call("c"))))))),
        ("a + (b + c)", Sum((Call("a"), Call("b"), Call("c")))),
        ("-0.5 * a", Scaled(-0.5, Call("a"))),
        ("a(x={'b': [1, (2,)]})", Call("a", (), (("x", {"b": [1, (2,)]}),))),
    ],
)
def test_what_texts_mean(text, tree):
    assert parse(text) == tree


def test_one_text_for_one_dict():
    assert unparse({"b": 1, "a": 2}) == unparse({"a": 2, "b": 1}) == "{'a': 2, 'b': 1}"


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "1", "'a'", "(a, b)", "a,", "a b", "a.b.c", "a()()", "a().b", "a[0]", "a.b(", "a)", "a)(",
        "a - b", "a / b", "a ** 2", "a * 2", "a | 2", "a | 'f'", "2 + a", "2 * 3 * a", "-a", "+1", "not a", "~a",
        "a if b else c", "a or b", "a < b", "lambda: 0", "lambda x: x", "f'{a}'", "b'x'", "a(f'{b}')", "a(*b)",
        "a(**b)", "a(b=1, b=2)", "a(b := 1)", "a(1j)", "a(...)", "a({1})", "a({**b})", "a({b: 1})",
        "a({1: 2, 1: 3})", "a(0x10)", "a(1_000)", "a([x for x in b])", "a(x for x in b)", "await a", "(yield)",
        "import os", "a; b",
        "a = 1", "a # b", "a\\\nb", "pass", "lrp.pass_PYTHONS", "array", "array(1)", "array('sha256:00')",
        "array.a", "a(b c)", "\xe4", "a\x00", "a('\\d')", "a('\\N{DIGIT ONE}')", "a(-True)", "a(- -1)", "\ud800",
        "a('\ud800')",
    ],
    ids=ascii,
)  # fmt: skip
def test_what_is_no_expression(text):
    with pytest.raises(ExpressionSyntax, match="Expected"):
        parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 5000,
        "(" * 5000 + "a" + ")" * 5000,
        "a(" * 3000 + ")" * 3000,
        "[" * 200 + "]" * 200,
        "-" * 9000 + "1",
        "a" + "|a" * 9000,
        "a" + "+a" * 9000,
        "2*" * 9000 + "a",
        "a" * (LONGEST + 1),
        "a(" + "9" * 10_000 + ")",
        "a(0x" + "f" * 10_000 + ")",
        "a" + ".a" * 5000,
        "a" + "()" * 5000,
        "'" * 9999,
        "not " * 4000 + "a",
    ],
    ids=lambda text: f"{text[:10]}({len(text)})",
)
def test_hostile_text_is_our_error(text):
    """No RecursionError, no MemoryError, whatever the length and the depth."""
    with pytest.raises(ExpressionSyntax) as caught:
        parse(text)

    assert len(str(caught.value)) < 1000


def test_the_limit_of_depth_leaves_room():
    nested = "a(" * (DEEPEST - 1) + "b" + ")" * (DEEPEST - 1)

    assert unparse(parse(nested)) == nested


@settings(deadline=None)  # the machine may be busy
@given(st.one_of(st.text(), st.text(alphabet="ab.()[]{},=|+*-'\"1e \\\n"), st.lists(VALUES.map(unparse)).map("".join)))
def test_garbage_is_our_error_or_a_tree(text):
    try:
        tree = parse(text)
    except ExpressionSyntax:
        return

    assert parse(unparse(tree)) == tree


@pytest.mark.parametrize("value", [float("nan"), 1j, b"x", {1, 2}, object(), lambda: 0, 10**5000], ids=type)
def test_what_has_no_text(value):
    with pytest.raises(NotExpressible):
        unparse(Call("a", (value,)))


@pytest.mark.parametrize("given", [None, 3, b"lrp.epsilon"])
def test_only_text_is_parsed(given):
    with pytest.raises(ExpressionSyntax, match="as text"):
        parse(given)
