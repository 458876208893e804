"""Commands by name: they start fast, say what is installed, and mistakes are one message with exit code 2."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from xaicore.cli import group as commands
from xaicore.cli.group import group
from xaicore.errors import InvalidArgument


def run(*arguments):
    return CliRunner().invoke(group, arguments)


@pytest.mark.parametrize(
    "arguments", [("list",), ("list", "--json"), ("show", "lrp.epsilon"), ("--help",), ("explain", "-h")]
)
def test_what_only_names_things_imports_neither_tensorflow_nor_keras(arguments):
    """In a Python of its own; NumPy is out, too, as it is a fifth of a second."""
    code = (
        "import sys; from xaicore.cli.group import group\n"
        f"group({list(arguments)!r}, standalone_mode=False)\n"
        "sys.exit(' '.join({'tensorflow', 'keras', 'numpy'} & sys.modules.keys()) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_without_the_packages_of_the_command_line_it_says_what_to_install():
    code = "import sys; sys.modules['click'] = None; from xaicore.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode != 0
    assert done.stderr.strip().endswith("Install it with `pip install xaicore[cli]`.")
    assert "Traceback" not in done.stderr


def test_list_shows_every_name_once_with_its_distribution():
    import xaicore

    rows = json.loads(run("list", "--json").stdout)
    assert [r["name"] for r in rows] == [r.name for r in xaicore.available()]
    epsilon = next(r for r in rows if r["name"] == "lrp.epsilon")
    assert (epsilon["kind"], epsilon["distribution"]) == ("rule", "xaicore-lrp")
    table = run("list").stdout
    assert all(r["name"] in table and r["summary"] in table for r in rows)


def test_list_of_a_kind_shows_what_can_serve_as_it():
    def names(kind):
        return {r["name"]: r["kind"] for r in json.loads(run("list", kind, "--json").stdout)}

    assert set(names("filter").values()) == {"filter"}
    assert names("analyzer")["lrp.epsilon"] == "rule"
    assert "filter.abs" not in names("analyzer")


def test_show_tells_parameters_formula_publication_and_origin():
    text = run("show", "lrp.epsilon").stdout
    for part in ("lrp.epsilon(epsilon=", "R_j", "bach2015", "xaicore-lrp", "initial="):
        assert part in text
    assert "fixes" in run("show", "lrp.alpha2beta1").stdout
    assert run("show", "absmax").stdout.startswith("filter.absmax")


def test_show_tells_what_a_rule_covers():
    text = " ".join(run("show", "lrp.epsilon").stdout.split())
    assert "DepthwiseConv2D" in text
    assert "SeparableConv2D (each of its two stages)" in text
    assert "Matmul (by a constant)" in text
    assert "lrp.gate on product" in text
    assert "LayerNormalization" in run("show", "lrp.sample_norm").stdout


def test_show_tells_which_rules_a_composite_is_made_of():
    text = " ".join(run("show", "lrp.epsilon_plus_flat").stdout.split())
    assert "rules lrp.flat(stabilizer=1e-06) on first; lrp.pass on norm" in text
    assert "lrp.gate on product" in text
    assert "\nrules " not in run("show", "gradient").stdout
    assert "learn" in run("show", "lrp.pattern_net").stdout  # it has none yet


@pytest.mark.parametrize("arguments", [("list",), ("show", "lrp.epsilon"), ("explain", "--help"), ("--help",)])
def test_names_are_not_taken_for_markup(arguments):
    result = run(*arguments)
    assert result.exit_code == 0
    assert "\x1b" not in result.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("show", "lpr.epsilon"), "lrp.epsilon"),
        (("list", "nonsense"), "analyzer"),
        (("plan", "absent.keras", "-a", "lrp.epsilon"), "no model file"),
        (("plan", "absent.keras", "-a", "lrp.epsilon(epsilom=1)"), "epsilom"),
        (("plan", "absent.keras", "-a", "lrp.epsilon("), "lrp.epsilon("),
    ],
)
def test_mistakes_are_one_message_and_exit_code_2(arguments, said):
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")
    assert said in result.stderr
    assert "Traceback" not in result.output


@click.command("greet")
def greet():
    """Say hello."""
    raise InvalidArgument("hello, and no")


@click.command("list")
def thief():
    """Take the name of a command of ours."""


def test_plugins_add_commands_but_cannot_take_ours(monkeypatch):
    monkeypatch.setattr(commands, "_plugin_commands", lambda: (greet, thief, "no command"))
    assert "greet    Say hello." in run("--help").stdout
    assert "Take the name" not in run("--help").stdout
    assert run("list").stdout.startswith("name")
    result = run("greet")
    assert (result.exit_code, result.stderr) == (2, "Error: hello, and no\n")


def test_doctor_shows_versions_and_plugins():
    result = run("doctor", "--fast")
    assert result.exit_code == 0
    for part in ("keras", "tensorflow", "xaicore-lrp", "All is well."):
        assert part in result.stdout


def installed(folder, module):
    """Return the command line in a Python of its own that also has a module of a folder as the plugin ``acme``."""
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module.replace('_', '-')}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[xaicore]\nacme = {module}\n")
    code = f"import sys; sys.path.insert(0, {str(folder)!r}); from xaicore.cli import main; main()"

    def fresh(*arguments, **environment):
        command, variables = [sys.executable, "-c", code, *arguments], {**os.environ, **environment}
        return subprocess.run(command, check=False, capture_output=True, text=True, env=variables)

    return fresh


@pytest.mark.parametrize("hook", ["xaicore_commands", "xaicore_layer_readers"])
def test_doctor_asks_the_hooks_that_nothing_else_asks_at_once(tmp_path, hook):
    """One answer that is none: every command works, and doctor says whose it is."""
    text = f"from xaicore import hookimpl\n@hookimpl\ndef {hook}():\n    return None\n"
    (tmp_path / "acme_none.py").write_text(text)
    fresh = installed(tmp_path, "acme_none")

    doctor = fresh("doctor", "--fast")
    assert doctor.returncode == 1
    for part in ("BROKEN: acme-none 1.0 (acme)", f"{hook} returned None"):
        assert part in " ".join(doctor.stdout.split())
    helped = fresh("--help")
    assert helped.returncode == 0
    assert "explain" in helped.stdout


def test_doctor_shows_what_the_variable_switches_off_and_what_nobody_brings():
    code = "from xaicore.cli import main; main()"
    command = [sys.executable, "-c", code, "doctor", "--fast"]
    variables = {**os.environ, "XAICORE_PLUGINS": "lrp,lpr"}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=variables)
    assert done.returncode == 1
    assert "XAICORE_PLUGINS names 'lpr'" in done.stdout
    assert re.search(r"gradient +xaicore-gradient +switched off by XAICORE_PLUGINS", done.stdout)


def test_doctor_shows_the_traceback_of_a_broken_plugin(tmp_path):
    """A distribution whose module raises, installed as two files on the path of a Python of its own."""
    (tmp_path / "acme_broken.py").write_text("raise RuntimeError('no license for acme')\n")
    fresh = installed(tmp_path, "acme_broken")

    doctor = fresh("doctor", "--fast")
    assert doctor.returncode == 1
    for part in ("BROKEN: acme-broken 1.0 (acme)", "Traceback", "acme_broken.py", "no license for acme"):
        assert part in doctor.stdout
    listed = fresh("list")
    assert listed.returncode == 0
    assert "lrp.epsilon" in listed.stdout
    assert "acme-broken 1.0 (acme)" in listed.stderr
    shown = fresh("show", "acme.method")
    assert shown.returncode == 2
    assert "no license for acme" in shown.stderr
