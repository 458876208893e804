"""The rows of all plugins, and how a name finds its row: canonical names first, then aliases."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import attrs

from xaicore.declaration import MEMBER, Declaration, Kind
from xaicore.errors import BrokenPlugin, FamilyNotInstalled, InvalidDeclaration, NameClash, UnknownName
from xaicore.registry.discovery import VARIABLE, Broken, Discovery, Plugin
from xaicore.registry.families import FAMILIES, FORMER, default_of

Answer = TypeVar("Answer")


@attrs.frozen
class Row:
    """One registered name: what it is, and which distribution it comes from."""

    name: str
    kind: str
    distribution: str
    version: str
    declaration: Declaration


@attrs.frozen(eq=False)
class Catalogue:
    """All rows.

    rows: by full name.  bare: short name -> rows that claim it.  aliases: alias -> rows.
    kinds: by name.  broken: by family; a hook that fails when it is asked later adds to it.
    answered: hook -> what the plugins answered, for those that are asked later.
    """

    found: Discovery
    rows: Mapping[str, Row]
    bare: Mapping[str, tuple[Row, ...]]
    aliases: Mapping[str, tuple[Row, ...]]
    kinds: Mapping[str, Kind]
    broken: dict[str, Broken]
    answered: dict[str, tuple[Any, ...]] = attrs.field(factory=dict)

    @classmethod
    def of(cls, found: Discovery) -> Catalogue:
        """Ask the plugins for kinds and rows; one whose answer is wrong is broken, the others live."""
        broken = dict(found.broken)
        kinds: dict[str, Kind] = {}
        for plugin, function in _implementations(found, "xaicore_kinds"):
            try:
                kinds = _with_kinds(kinds, function())
            except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever a plugin does, the host lives
                broken[plugin.family] = Broken.by(error, plugin.family, plugin.distribution, plugin.version)
        rows: dict[str, Row] = {}
        for plugin, function in _implementations(found, "xaicore_declarations"):
            if plugin.family in broken:
                continue
            try:
                rows |= _checked_rows(plugin, function(), kinds)
            except (Exception, SystemExit) as error:  # noqa: BLE001  # as above
                broken[plugin.family] = Broken.by(error, plugin.family, plugin.distribution, plugin.version)
        rows = dict(sorted(rows.items()))
        bare = _claims((row.declaration.short, row) for row in rows.values())
        aliases = _claims((alias, row) for row in rows.values() for alias in row.declaration.aliases)
        return cls(found, rows, bare, aliases, kinds, broken)

    def answers(self, hook: str, checked: Callable[[object], Answer]) -> tuple[Answer, ...]:
        """Return what the plugins answer to a hook; each is asked once.

        checked: takes an answer and returns it as it will be used, read to its end; raises where it is none.  A plugin
        that fails here counts as broken, and one that is broken is not asked.
        """
        if hook not in self.answered:
            found = []
            for plugin, function in _implementations(self.found, hook):
                if plugin.family in self.broken:
                    continue
                try:
                    found.append(checked(function()))
                except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever a plugin does, the host lives
                    self.broken[plugin.family] = Broken.by(error, plugin.family, plugin.distribution, plugin.version)
            self.answered[hook] = tuple(found)
        return self.answered[hook]

    def find(self, name: str) -> Row:
        """Return the row of a name: full, family alone, short, alias, in this order.

        Raises:
            UnknownName, FamilyNotInstalled, BrokenPlugin, NameClash: each says what to do.
        """
        family, _, member = name.partition(".")
        if family in self.found.clashes:
            claims = " and ".join(self.found.clashes[family])
            raise NameClash(f"{name!r}: the family {family!r} is claimed by {claims}. Uninstall one of them.")
        shorts = self.bare.get(name, ())
        foreign = tuple(row for row in shorts if not row.name.startswith(f"{family}."))
        if foreign and family in self.found.plugins:
            raise NameClash(
                f"{name!r} is the family of {self.found.plugins[family].name}, and claimed as a short name by "
                f"{_origins(foreign)}. Write the full name."
            )
        full = name if member else default_of(name)
        if full is not None and full in self.rows:
            return self.rows[full]
        for rows in (shorts, self.aliases.get(name, ())):
            if len(rows) > 1:
                raise NameClash(f"{name!r} is claimed by {_origins(rows)}. Write the full name.")
            if rows:
                return rows[0]
        raise self.missing(name, family, member)

    def missing(self, name: str, family: str, member: str) -> UnknownName | BrokenPlugin:
        """Return the error that tells why there is no such name, and what to do."""
        if family in self.broken:
            return self.error_of(self.broken[family])
        if family in self.found.disabled:
            return UnknownName(
                f"{name!r}: the family {family!r} of {self.found.disabled[family]} is installed and switched off: "
                f"the environment variable {VARIABLE} does not name it. Add {family!r} there, or unset it."
            )
        if family not in self.found.plugins and family in FAMILIES:
            return FamilyNotInstalled(
                f"{name!r}: the family {family!r} is not installed. Run: pip install xaicore-{family}"
            )
        own = [row for row in self.rows if row.startswith(f"{family}.")]
        near = self.nearest(name, own if member else [])
        if own and not member:
            problem = f"the family {family!r} has no default; name a member"
            near = own
        elif own:
            problem = f"the family {family!r} has no such member"
        else:
            problem = f"no plugin declares {'the family ' + repr(family) if member else 'this name'}"
        return UnknownName(f"Unknown name {name!r}: {problem}. {_advice(near)}{self._broken_note()}")

    def error_of(self, broken: Broken) -> BrokenPlugin:
        """Return the error for a family whose plugin is broken, with what broke it as its cause."""
        error = BrokenPlugin(
            f"The plugin for the family {broken.family!r}, {broken.distribution} {broken.version}, cannot be used: "
            f"{type(broken.error).__name__}: {broken.error}. `xaicore doctor` shows the traceback."
        )
        error.__cause__ = broken.error
        return error

    def nearest(self, name: str, own: Iterable[str] = ()) -> list[str]:
        """Return at most five known names that look like this one; those of ``own`` come first."""
        name, own = name.lower(), list(own)
        known = {short: rows[0].name for table in (self.aliases, self.bare) for short, rows in table.items()}
        known |= {full: full for full in self.rows} | {full.partition(".")[2]: full for full in self.rows}
        hits = difflib.get_close_matches(name, own, n=5, cutoff=0.4)
        hits += [known[hit] for hit in difflib.get_close_matches(name, known, n=5, cutoff=0.6)]
        hits += [full for full in self.rows if full.partition(".")[2] == name.partition(".")[2]]
        return list(dict.fromkeys(hits))[:5]

    def _broken_note(self) -> str:
        if not self.broken:
            return ""
        return f" Plugins that are broken: {', '.join(sorted(self.broken))}; see `xaicore doctor`."


def _advice(near: list[str]) -> str:
    if not near:
        return "`xaicore.available()` lists all names."
    return f"Nearest names: {', '.join(near[:12])}; `xaicore.available()` lists all."


def _origins(rows: tuple[Row, ...]) -> str:
    return " and ".join(f"{row.distribution} {row.version} ({row.name})" for row in rows)


def _implementations(found: Discovery, hook: str) -> Iterator[tuple[Plugin, Callable[[], Any]]]:
    """Yield (plugin, its function): core, our families, others.  Called one by one, each fails alone."""
    by_name = {plugin.name: plugin for plugin in found.plugins.values()}
    caller = getattr(found.manager.hook, hook)
    for one in sorted(caller.get_hookimpls(), key=lambda one: _precedence(by_name[one.plugin_name].family)):
        yield by_name[one.plugin_name], one.function


def _precedence(family: str) -> tuple[bool, bool, str]:
    return family != "filter", family not in FAMILIES, family


def _claims(pairs: Iterable[tuple[str | None, Row]]) -> dict[str, tuple[Row, ...]]:
    claims: dict[str, tuple[Row, ...]] = {}
    for name, row in pairs:
        if name is not None:
            claims[name] = (*claims.get(name, ()), row)
    return claims


def _with_kinds(kinds: Mapping[str, Kind], declared: Iterable[object]) -> dict[str, Kind]:
    """Return the kinds with those of one more plugin; a known kind gets what it did not say yet."""
    merged = dict(kinds)
    for kind in declared:
        if not isinstance(kind, Kind):
            raise InvalidDeclaration(f"Given {kind!r} as a kind; expected xaicore.declaration.Kind objects.")
        known = merged.get(kind.name, kind)
        lift = {**kind.lift, **known.lift}
        pairs = [(known.protocol, kind.protocol), (known.pipe, kind.pipe), (known.sum, kind.sum)]
        pairs += [(known.scaled, kind.scaled), *((known.lift.get(k), kind.lift.get(k)) for k in lift)]
        if any(a != b and a is not None and b is not None for a, b in pairs):
            raise NameClash(f"The kind {kind.name!r} is declared as {known} and as {kind}; one has to give way.")
        pipe, total, scaled = known.pipe or kind.pipe, known.sum or kind.sum, known.scaled or kind.scaled
        merged[kind.name] = attrs.evolve(known, lift=lift, pipe=pipe, sum=total, scaled=scaled)
    return merged


def _checked_rows(plugin: Plugin, declared: object, kinds: Mapping[str, Kind]) -> dict[str, Row]:
    if not isinstance(declared, Mapping):
        raise InvalidDeclaration(
            f"xaicore_declarations returned {declared!r:.60}; expected a dict: name -> Declaration."
        )
    rows = {}
    for name, row in declared.items():
        family, _, member = str(name).partition(".")
        if family != plugin.family or not MEMBER.fullmatch(member):
            raise InvalidDeclaration(
                f"Given the name {name!r} in the plugin of family {plugin.family!r}; expected "
                f"'{plugin.family}.<member>' with a member in lower case, [a-z][a-z0-9_]*."
            )
        if not isinstance(row, Declaration):
            raise InvalidDeclaration(f"Given {row!r:.60} for {name!r}; expected a xaicore.declaration.Declaration.")
        if row.kind not in kinds:
            raise InvalidDeclaration(f"Given the kind {row.kind!r} for {name!r}; known kinds: {', '.join(kinds)}.")
        bare = [*row.aliases, *([row.short] if row.short else [])]
        foreign = [a for a in bare if a.partition(".")[0] in {*FAMILIES} - {family}]
        owners = {a: a.partition(".")[0] for a in row.aliases if "." in a}
        foreign += [a for a, owner in owners.items() if FORMER.get(owner, owner) != family]
        if foreign:
            raise InvalidDeclaration(f"{name!r} claims {foreign[0]!r}, which belongs to another family.")
        rows[str(name)] = Row(str(name), row.kind, plugin.distribution, plugin.version, row)
    return rows
