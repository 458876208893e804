"""Entry points -> plugins.  One plugin that is broken, or claimed twice, harms its own family only.

pluggy's own loader drops the second plugin of a name without a word and stops at the first that raises;
so entry points are loaded here, one by one, and registered under their distribution's name and version.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points

import attrs
import pluggy

from xaicore import hookspecs
from xaicore.declaration import is_bare
from xaicore.errors import InvalidDeclaration

GROUP = "xaicore"
VARIABLE = "XAICORE_PLUGINS"


@attrs.frozen(eq=False)
class Plugin:
    """A plugin that was loaded: its family, where it is from, and its module."""

    family: str
    distribution: str
    version: str
    module: object

    @property
    def name(self) -> str:
        """The name under which pluggy knows it."""
        return f"{self.distribution} {self.version} ({self.family})"


@attrs.frozen(eq=False)
class Broken:
    """A plugin that could not be loaded, or whose table is wrong.  ``traceback`` is text."""

    family: str
    distribution: str
    version: str
    error: BaseException
    traceback: str

    @classmethod
    def by(cls, error: BaseException, family: str, distribution: str, version: str) -> Broken:
        """Keep an error and where it came from."""
        return cls(family, distribution, version, error, "".join(traceback.format_exception(error)))


@attrs.frozen(eq=False)
class Discovery:
    """What was found.

    manager: pluggy's, with the plugins registered.
    plugins: by family.  broken: by family.  clashes: family -> distributions that claim it.
    disabled: families that XAICORE_PLUGINS leaves out, and their distributions.  unknown: those that it names and that
    no entry point brings.
    """

    manager: pluggy.PluginManager
    plugins: Mapping[str, Plugin]
    broken: Mapping[str, Broken]
    clashes: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)
    disabled: Mapping[str, str] = attrs.field(factory=dict)
    unknown: tuple[str, ...] = ()


def discover(selection: str | None, points: Iterable[EntryPoint] | None = None) -> Discovery:
    """Load entry points of group ``xaicore``.

    Args:
        selection: Families to load, "lrp,gradient"; empty for none, None for all.  Core's own are always loaded.
        points: Entry points, by default those that are installed.
    """
    wanted = None if selection is None else set(filter(None, re.split(r"[\s,]+", selection)))
    by_family: dict[str, list[EntryPoint]] = {}
    disabled: dict[str, str] = {}
    for point in sorted(entry_points(group=GROUP) if points is None else points, key=lambda p: (p.name, p.value)):
        distribution, _ = origin(point)
        if wanted is None or point.name in wanted or distribution == "xaicore":
            by_family.setdefault(point.name, []).append(point)
        else:
            disabled[point.name] = distribution
    clashes = {family: tuple(_described(p) for p in claims) for family, claims in by_family.items() if len(claims) > 1}
    loaded, broken = [], {}
    for family, (point, *others) in by_family.items():
        if others:
            continue
        try:
            loaded.append(Plugin(_checked(family), *origin(point), point.load()))
        except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever a plugin does, the host lives
            broken[family] = Broken.by(error, family, *origin(point))
    unknown = tuple(sorted((wanted or set()) - by_family.keys()))
    return attrs.evolve(register(loaded, broken=broken, clashes=clashes, disabled=disabled), unknown=unknown)


def register(
    loaded: Iterable[Plugin],
    *,
    broken: Mapping[str, Broken] | None = None,
    clashes: Mapping[str, tuple[str, ...]] | None = None,
    disabled: Mapping[str, str] | None = None,
) -> Discovery:
    """Register plugins in pluggy, each checked on its own: a hook of the wrong form breaks its plugin only."""
    manager = pluggy.PluginManager("xaicore")
    manager.add_hookspecs(hookspecs)
    plugins, failed = {}, dict(broken or {})
    for plugin in loaded:
        try:
            manager.register(plugin.module, plugin.name)
            manager.check_pending()
        except (ValueError, pluggy.PluginValidationError) as error:
            if manager.get_plugin(plugin.name) is plugin.module:
                manager.unregister(name=plugin.name)
            failed[plugin.family] = Broken.by(error, plugin.family, plugin.distribution, plugin.version)
        else:
            plugins[plugin.family] = plugin
    return Discovery(manager, plugins, failed, clashes or {}, disabled or {})


def origin(point: EntryPoint) -> tuple[str, str]:
    """Return name and version of the distribution that an entry point comes from."""
    return (point.dist.name, point.dist.version) if point.dist is not None else ("unknown", "0")


def _described(point: EntryPoint) -> str:
    return " ".join((*origin(point), f"({point.value})"))


def _checked(family: str) -> str:
    if not is_bare(family):
        raise InvalidDeclaration(
            f"Given the entry point {family!r}; expected a family in lower case, [a-z][a-z0-9_]*, no word of Python."
        )
    return family
