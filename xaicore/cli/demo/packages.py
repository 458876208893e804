"""Files inside installed packages.  The packages are looked into, never imported."""

from __future__ import annotations

import pathlib
from importlib import metadata

import attrs

from xaicore.cli.models import sha256 as sha256_of
from xaicore.errors import PackageMissing, UnreadableModel


@attrs.frozen
class Found:
    """Where a file is, and the version of the distribution that brought it."""

    path: pathlib.Path
    distribution: str
    version: str

    def __str__(self) -> str:
        """Return the distribution and its version."""
        return f"{self.distribution} {self.version}"


@attrs.frozen
class PackageFile:
    """A file that a distribution brings.

    distribution, path: its name, and the file's path inside it.
    install: the command that brings it.
    sha256: of the file that this was written for; "" where another version of the file would do as well.
    """

    distribution: str
    path: str
    install: str
    sha256: str = ""

    def find(self) -> Found:
        """Return where the file is.

        Raises:
            PackageMissing: the distribution, or the file in it, is not there; the message says what to install.
            UnreadableModel: the file is not the one that this was written for.
        """
        try:
            found = metadata.distribution(self.distribution)
        except metadata.PackageNotFoundError as error:
            raise PackageMissing(
                f"The package {self.distribution} is not installed. Install it with `{self.install}`."
            ) from error
        path = pathlib.Path(str(found.locate_file(self.path)))
        if not path.is_file():
            raise PackageMissing(
                f"The package {self.distribution} {found.version} has no file {self.path}. "
                f"Install it anew with `{self.install}`."
            )
        self._check(path)
        return Found(path, self.distribution, found.version)

    def _check(self, path: pathlib.Path) -> None:
        if self.sha256 and (given := sha256_of(path)) != self.sha256:
            raise UnreadableModel(
                f"{path} has SHA-256 {given}, expected {self.sha256}: another file than the demo's. "
                f"Install the known one with `{self.install}`."
            )
