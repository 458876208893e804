"""Plugins: found, isolated, selected; clashes and wrong tables."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint

import attrs
import pytest

import acme
import xaicore.table
from acme import HERE, Weigh
from registries import plugin, registry
from xaicore.declaration import Declaration, Kind, part
from xaicore.errors import BrokenPlugin, InvalidDeclaration, NameClash, UnknownName
from xaicore.registry import Registry


@attrs.frozen
class Distribution:
    """What `EntryPoint.dist` has to have."""

    name: str
    version: str = "1.2"


def point(family, value, distribution):
    return EntryPoint(family, value, "xaicore")._for(Distribution(distribution))


CORE = point("filter", "xaicore.table", "xaicore")
ACME = point("acme", "acme", "xaicore-acme")


# ------------------------------------------------------------------------------------------------------ discovery


def test_rows_say_where_they_come_from():
    found = Registry.from_entry_points(points=[CORE, ACME])

    row = found.find("acme.heavy")

    assert (row.name, row.kind, row.distribution, row.version) == ("acme.heavy", "rule", "xaicore-acme", "1.2")
    assert found.plugins["acme"].name == "xaicore-acme 1.2 (acme)"


def test_a_plugin_that_cannot_be_imported_harms_its_family_only():
    broken = point("corp", "no_such_module_anywhere", "xaicore-corp")

    found = Registry.from_entry_points(points=[broken, ACME, CORE])

    assert found.get("acme.heavy", "rule") == Weigh(2)
    with pytest.raises(BrokenPlugin, match=r"xaicore-corp 1\.2.*no_such_module_anywhere.*doctor") as caught:
        found.get("corp.rule", "rule")
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)
    assert "Traceback" in found.broken["corp"].traceback
    with pytest.raises(UnknownName, match="broken: corp"):
        found.get("nothing", "rule")


@pytest.mark.parametrize("error", [RuntimeError("boom"), SystemExit(3), SyntaxError("bad")])
def test_whatever_an_import_raises_the_host_lives(error, monkeypatch):
    def load(self):
        if self.name == "corp":
            raise error
        return acme if self.name == "acme" else xaicore.table

    monkeypatch.setattr(EntryPoint, "load", load)

    found = Registry.from_entry_points(points=[CORE, ACME, point("corp", "corp", "xaicore-corp")])

    assert found.broken["corp"].error is error
    assert found.get("acme.heavy", "rule") == Weigh(2)


def test_two_claims_to_a_family_name_both_distributions():
    found = Registry.from_entry_points(points=[CORE, ACME, point("acme", "other.plugin", "other")])

    with pytest.raises(NameClash, match=r"other 1\.2.*xaicore-acme 1\.2|xaicore-acme 1\.2.*other 1\.2"):
        found.get("acme.heavy", "rule")
    assert found.get("abs", "filter") is not None
    assert "acme" in found.clashes


@pytest.mark.parametrize(
    ("selection", "families"),
    [
        (None, {"acme", "corp", "filter"}),
        ("", {"filter"}),
        ("acme", {"acme", "filter"}),
        ("acme, corp", {"acme", "corp", "filter"}),
    ],
)
def test_the_selection(selection, families, monkeypatch):
    """A selection names families; core's own are no plugin and stay."""
    modules = {"acme": acme, "corp": plugin(), "filter": xaicore.table}
    monkeypatch.setattr(EntryPoint, "load", lambda self: modules[self.name])

    found = Registry.from_entry_points(selection, [CORE, ACME, point("corp", "corp", "xaicore-corp")])

    assert found.plugins.keys() == families


def test_a_family_that_is_switched_off_says_so():
    found = Registry.from_entry_points("", [CORE, ACME])

    with pytest.raises(UnknownName, match=r"xaicore-acme.*switched off.*XAICORE_PLUGINS"):
        found.get("acme.heavy", "rule")


def test_what_the_selection_leaves_out_or_nobody_brings_is_known():
    found = Registry.from_entry_points("corp, acmee", [CORE, ACME])

    assert found.disabled == {"acme": "xaicore-acme"}
    assert found.unknown == ("acmee", "corp")
    assert Registry.from_entry_points("", [CORE, ACME]).unknown == ()


def test_a_family_has_a_name_of_the_grammar():
    found = Registry.from_entry_points(points=[CORE, point("Acme-2", "acme", "acme")])

    assert isinstance(found.broken["Acme-2"].error, InvalidDeclaration)


# --------------------------------------------------------------------------------------------------------- tables


@pytest.mark.parametrize(
    ("name", "row", "told"),
    [
        ("other.x", {}, "'other.x'.*family 'corp'"),
        ("x", {}, "'x'"),
        ("corp.X", {}, "lower case"),
        ("corp.x.y", {}, "lower case"),
        ("corp.x", {"kind": "rool"}, "known kinds"),
        ("corp.x", {"short": "lrp"}, "another family"),
        ("corp.x", {"aliases": ("lrp.x",)}, "another family"),
        ("corp.x", {"aliases": ("acme.x",)}, "another family"),
    ],
)
def test_wrong_rows_break_their_plugin_only(name, row, told):
    row = Declaration(**{"kind": "rule", "factory": HERE + "Weigh"} | row)

    found = registry(corp=plugin({name: row}), acme=acme)

    assert isinstance(found.broken["corp"].error, InvalidDeclaration)
    with pytest.raises(BrokenPlugin, match=told):
        found.get("corp.x", "rule")
    assert found.get("acme.heavy", "rule") == Weigh(2)


@pytest.mark.parametrize(
    "wrong",
    [
        {"factory": "module.Class"},
        {"factory": Weigh},
        {"preset": [("a", 1)]},
        {"preset": {"not a name": 1}},
        {"short": "a.b"},
        {"short": "pass"},
        {"short": "array"},
        {"aliases": "abc"},
        {"aliases": ("A",)},
        {"cites": "bach2015"},
    ],
)
def test_a_wrong_declaration_is_refused_at_once(wrong):
    with pytest.raises(InvalidDeclaration, match="expected"):
        Declaration(**{"kind": "rule", "factory": "m:C"} | wrong)


def test_two_claims_to_a_bare_name():
    """Both distributions are named, full names go on working."""
    found = registry(acme=acme, corp=plugin({"corp.wrap": attrs.evolve(acme.ROWS["acme.wrap"])}))

    with pytest.raises(NameClash, match=r"xaicore-acme 0 \(acme.wrap\) and xaicore-corp 0 \(corp.wrap\)"):
        found.get("wrap(acme)", "analyzer")
    assert found.get("acme.wrap(acme)", "analyzer") == found.get("corp.wrap(acme)", "analyzer")
    assert found.clashes.keys() == {"wrap"}


def test_a_bare_name_that_is_a_family():
    found = registry(acme=acme, corp=plugin({"corp.x": Declaration("rule", HERE + "Weigh", short="acme")}))

    with pytest.raises(NameClash, match="xaicore-corp 0"):
        found.get("acme", "analyzer")


def test_aliases_come_after_names():
    taken = Declaration("rule", HERE + "Weigh", preset={"amount": 7}, aliases=("corp.y", "wrap"))
    found = registry(acme=acme, corp=plugin({"corp.x": taken, "corp.y": Declaration("rule", HERE + "Weigh")}))

    assert found.find("corp.y").name == "corp.y"
    assert found.find("wrap").name == "acme.wrap"


def test_the_text_does_not_change_with_other_plugins():
    """A row of the plugin that brings the class goes before rows of others."""
    foreign = plugin({"aaa.mine": Declaration("rule", HERE + "Weigh", preset={"amount": 2, "mode": "soft"})})
    foreign.__name__ = "aaa.plugin"

    assert registry(acme=acme, aaa=foreign).expression_of(Weigh(2)) == "acme.heavy"


def test_presets_that_hold_each_other_are_an_error():
    row = Declaration("analyzer", HERE + "Wrap", preset={"inner": "corp.x"})

    with pytest.raises(InvalidDeclaration, match="hold each other"):
        registry(corp=plugin({"corp.x": row})).get("corp.x", "analyzer")


@pytest.mark.parametrize(
    ("factory", "error"),
    [
        ("no_such_module:X", BrokenPlugin),
        (HERE + "Missing", BrokenPlugin),
        (HERE + "ROWS", InvalidDeclaration),
        ("fractions:Fraction", InvalidDeclaration),
    ],
)
def test_a_factory_that_is_not_there(factory, error):
    found = registry(corp=plugin({"corp.x": Declaration("rule", factory)}))

    with pytest.raises(error):
        found.get("corp.x", "rule")


def test_a_preset_of_no_parameter_is_an_error():
    with pytest.raises(InvalidDeclaration, match="'colour'"):
        registry(corp=plugin({"corp.x": Declaration("rule", HERE + "Weigh", preset={"colour": 1})})).get(
            "corp.x", "rule"
        )


def test_a_plugin_brings_kinds_and_lifts():
    """A plugin of its own kind: names of the kind, and its lift to another."""
    shape = Kind("shape", "xaicore.protocols:Rule", lift={"analyzer": ("xaicore.backward:Backward", "rules")})
    found = registry(acme=acme, corp=plugin({"corp.round": Declaration("shape", HERE + "Weigh")}, kinds=(shape,)))

    assert found.get("corp.round", "shape") == Weigh()
    assert found.get("corp.round", "analyzer").rules == Weigh()
    assert {row.name for row in found.available("shape")} == {"corp.round"}


def test_a_kind_that_contradicts_another_breaks_its_plugin():
    found = registry(corp=plugin(kinds=(Kind("rule", "xaicore.protocols:Filter"),)))

    assert isinstance(found.broken["corp"].error, NameClash)
    assert found.broken.keys() == {"corp"}


def test_available_counts_lifted_names():
    """available("analyzer") are the names that get makes an analyzer of; without a kind, all."""
    found = registry(acme=acme)

    names = {row.name for row in found.available("analyzer")}

    assert {"acme.acme", "acme.heavy"} <= names
    assert not {"acme.distance", "filter.abs"} & names
    assert len(found.available()) == len(acme.ROWS) + len(xaicore.table.ROWS)
    with pytest.raises(UnknownName, match="known kinds"):
        found.available("analyser")


def test_part_is_an_attrs_field_that_knows_its_kind():
    @attrs.frozen
    class Holder:
        one: object = part("rule", default=None, metadata={"more": 1})
        several: object = part("rule", default=())

    expected = {"more": 1, "kind": "rule", "many": False, "literal": False}
    assert dict(attrs.fields(Holder).one.metadata) == expected
    assert attrs.fields(Holder).several.metadata["many"]


# -------------------------------------------------------------------------------------------------- the installed


@pytest.mark.parametrize("selection", [None, "", "nonsense"])
def test_looking_up_imports_nothing_heavy(selection):
    """`import xaicore; xaicore.available()` in a new interpreter, with plugins selected or not."""
    code = (
        "import sys, xaicore; names = [row.name for row in xaicore.available()]; xaicore.get_filter('absmax'); "
        "print([m for m in ('tensorflow', 'keras', 'numpy') if m in sys.modules], 'filter.abs' in names)"
    )
    environment = {"PATH": "", **({} if selection is None else {"XAICORE_PLUGINS": selection})}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)

    assert done.stdout == "[] True\n", done.stderr


def test_what_is_not_public_is_an_attribute_error():
    with pytest.raises(AttributeError, match="get_analyzer"):
        _ = xaicore.get_analyser
    assert "get_analyzer" in dir(xaicore)
