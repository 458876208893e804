"""Hooks of plugins: a wrong form, a wrong answer or an error harms the plugin that it comes from, and nobody else."""

from __future__ import annotations

import click
import pytest

import acme
from acme import Weigh
from registries import plugin, registry
from xaicore.errors import BrokenPlugin, NameClash


def test_a_hook_that_does_not_exist_breaks_its_plugin_only():
    """By pluggy's check_pending, for every plugin on its own."""
    found = registry(corp=plugin(xaicore_declaration=lambda: None), acme=acme)

    assert "xaicore_declaration" in str(found.broken["corp"].error)
    assert found.get("acme.heavy", "rule") == Weigh(2)


def test_a_hook_of_the_wrong_form_breaks_its_plugin_only():
    found = registry(corp=plugin(xaicore_commands=lambda nonsense: [nonsense]), acme=acme)

    assert "nonsense" in str(found.broken["corp"].error)
    assert found.get("acme.heavy", "rule") == Weigh(2)


def fail():
    raise RuntimeError("boom")


@pytest.mark.parametrize("hook", ["xaicore_declarations", "xaicore_kinds"])
def test_a_hook_that_raises_breaks_its_plugin_only(hook):
    found = registry(corp=plugin(**{hook: fail}), acme=acme)

    assert str(found.broken["corp"].error) == "boom"
    with pytest.raises(BrokenPlugin, match="boom"):
        found.get("corp.x", "rule")
    assert found.get("acme.heavy", "rule") == Weigh(2)


GREET = click.Command("greet")


def read(layer):
    raise NotImplementedError


def test_commands_and_readers_are_asked_when_they_are_needed():
    readers = {"m:L": read, "m:K": "m:read", "m:A": "sum"}
    one = plugin(xaicore_commands=lambda: [GREET], xaicore_layer_readers=lambda: readers)
    found = registry(bad=plugin(xaicore_commands=fail), corp=one, acme=acme)

    assert not found.broken
    assert found.commands() == (GREET,)
    assert found.layer_readers() == readers
    assert found.broken.keys() == {"bad"}


def lazily():
    yield GREET
    raise RuntimeError("boom")


@pytest.mark.parametrize(
    ("hook", "answer"),
    [
        ("xaicore_layer_readers", lambda: None),
        ("xaicore_layer_readers", lambda: [("m:L", read)]),
        ("xaicore_layer_readers", lambda: {"m:L": 1}),
        ("xaicore_layer_readers", lambda: {Weigh: read}),
        ("xaicore_layer_readers", lambda: {"L": read}),
        ("xaicore_layer_readers", fail),
        ("xaicore_commands", lambda: None),
        ("xaicore_commands", lambda: "greet"),
        ("xaicore_commands", lambda: [GREET, "greet"]),
        ("xaicore_commands", lambda: [click.Command(None)]),
        ("xaicore_commands", lazily),
        ("xaicore_commands", fail),
    ],
)
def test_a_wrong_answer_breaks_its_plugin_only(hook, answer):
    good = plugin(xaicore_commands=lambda: [GREET], xaicore_layer_readers=lambda: {"m:K": read})
    found = registry(bad=plugin(**{hook: answer}), corp=good, acme=acme)

    assert found.layer_readers() == {"m:K": read}
    assert found.commands() == (GREET,)
    assert found.broken.keys() == {"bad"}
    assert "Traceback" in found.broken["bad"].traceback


def test_a_broken_plugin_is_not_asked_again():
    """Neither for another hook, nor for the same hook twice; one that is well is asked once."""
    asked = []

    def answer(name, value):
        return lambda: [asked.append(name), value][1]

    bad = plugin(xaicore_declarations=fail, xaicore_commands=answer("bad", []))
    found = registry(bad=bad, corp=plugin(xaicore_commands=answer("corp", [])))

    assert (found.commands(), found.commands()) == ((), ())
    assert asked == ["corp"]


def test_two_readers_of_one_layer_clash():
    readers = [plugin(xaicore_layer_readers=lambda: {"m:L": read}) for _ in range(2)]

    with pytest.raises(NameClash, match="m:L"):
        registry(one=readers[0], two=readers[1]).layer_readers()
