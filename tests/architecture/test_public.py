"""What is public says so, and is there."""

from __future__ import annotations

import importlib
import pkgutil
import types

import pytest

import xaicore
import xaicore_cam
import xaicore_cf
import xaicore_gradient
import xaicore_ig
import xaicore_lrp
import xaicore_perturbation

PACKAGES = (xaicore, xaicore_cam, xaicore_cf, xaicore_gradient, xaicore_ig, xaicore_lrp, xaicore_perturbation)
MODULES = sorted(
    found.name
    for package in PACKAGES
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not found.name.endswith("__main__")
)


def test_all_is_what_can_be_imported():
    """Public names of `xaicore` are those in `__all__`: nothing more, nothing less, sorted."""
    importable = {
        name
        for name, value in vars(xaicore).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    } - {"TYPE_CHECKING", "annotations"}
    promised = {name for name in xaicore.__all__ if not name.startswith("_")}

    assert promised >= importable
    assert all(getattr(xaicore, name) is not None for name in promised)
    assert list(xaicore.__all__) == sorted(xaicore.__all__)


@pytest.mark.parametrize("name", MODULES)
def test_every_module_says_what_it_is(name):
    """Every module can be imported, has a docstring, and exports only what it has."""
    module = importlib.import_module(name)

    assert (module.__doc__ or "").strip()
    assert all(hasattr(module, public) for public in getattr(module, "__all__", ()))


def test_versions_are_one():
    """One version for all distributions, written in one place."""
    from importlib import metadata

    names = (
        "xaicore",
        "xaicore-cam",
        "xaicore-cf",
        "xaicore-gradient",
        "xaicore-ig",
        "xaicore-lrp",
        "xaicore-perturbation",
    )

    assert {metadata.version(name) for name in names} == {xaicore.__version__}
