"""Exit templates under names: saved, never overwritten. Every save is a new version, the earlier ones can be read.

Shelf            the verbs over an open store, synchronous: the command line, and the executor below
TemplateService  the same for the window: the newest of each name in memory, written behind the loop's back
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from app.errors import InvalidOption, InvalidOrder
from app.services.exits import ExitTemplate

if TYPE_CHECKING:
    from app.persistence import AppStore
    from app.persistence.store import SavedTemplate

NAME_LONGEST = 60

_T = TypeVar("_T")


@dataclass(frozen=True)
class NamedTemplate:
    name: str
    version: int
    template: ExitTemplate
    saved_ns: int = 0
    is_removed: bool = False


class Shelf:
    """Raises InvalidOption for a name or version that is not there."""

    def __init__(self, store: AppStore) -> None:
        self._store = store

    def all(self) -> list[NamedTemplate]:
        """The newest version of each, by name."""
        return [_named(saved) for saved in self._store.templates()]

    def get(self, name: str, version: int | None = None) -> NamedTemplate:
        """The newest version, or the one asked for, even of a name that was removed since."""
        versions = self.versions(name)
        if version is None:
            newest = versions[-1]
            if newest.is_removed:
                raise self._absent(name)
            return newest
        for held in versions:
            if held.version == version and not held.is_removed:
                return held
        kept = ", ".join(str(held.version) for held in versions if not held.is_removed)
        raise InvalidOption("version", version, f"one of {kept}")

    def versions(self, name: str) -> list[NamedTemplate]:
        versions = [_named(saved) for saved in self._store.template_versions(name)]
        if not versions:
            raise self._absent(name)
        return versions

    def save(self, name: str, template: ExitTemplate) -> NamedTemplate:
        """Add a version. Raises InvalidOption for the name, InvalidOrder for a template that holds a price."""
        wanted = checked_name(name)
        if template.has_prices:
            raise InvalidOrder("template", f"{wanted} holds a price; a template keeps ticks, points or dollars.")
        return NamedTemplate(wanted, self._store.save_template(wanted, template.body), template)

    def remove(self, name: str) -> NamedTemplate:
        """Take the name out of the lists; its versions stay readable by number."""
        last = self.get(name)
        version = self._store.save_template(name, last.template.body, is_removed=True)
        return NamedTemplate(name, version, last.template, is_removed=True)

    def _absent(self, name: str) -> InvalidOption:
        names = ", ".join(held.name for held in self.all())
        return InvalidOption("template", name, f"one of {names}" if names else "a name; none is saved yet")


def checked_name(name: str) -> str:
    """The name without blanks around it. Raises InvalidOption."""
    wanted = name.strip()
    if not 1 <= len(wanted) <= NAME_LONGEST or not wanted.isprintable():
        raise InvalidOption("template", name, f"a name of 1 to {NAME_LONGEST} printable characters")
    return wanted


def _named(saved: SavedTemplate) -> NamedTemplate:
    return NamedTemplate(saved.name, saved.version, ExitTemplate.parse(saved.body), saved.saved_ns, saved.is_removed)


class StoreRunner(Protocol):
    """Runs a verb on the open app store away from the loop's thread, and opens the store first if need be."""

    def __call__(self, verb: Callable[[AppStore], _T], /) -> Awaitable[_T]: ...


class TemplateService:
    """`held` is what the window shows; call `load` once the loop runs."""

    def __init__(self, run: StoreRunner) -> None:
        self._run = run
        self._held: dict[str, NamedTemplate] = {}

    @property
    def held(self) -> list[NamedTemplate]:
        return [self._held[name] for name in sorted(self._held, key=str.casefold)]

    async def load(self) -> list[NamedTemplate]:
        """Read the newest version of each. Raises StoreUnavailable."""
        found = await self._run(lambda store: Shelf(store).all())
        self._held = {named.name: named for named in found}
        return self.held

    async def save(self, name: str, template: ExitTemplate) -> NamedTemplate:
        """Save as a new version. Raises InvalidOption, StoreUnavailable."""
        saved = await self._run(lambda store: Shelf(store).save(name, template))
        self._held[saved.name] = saved
        return saved

    async def remove(self, name: str) -> None:
        await self._run(lambda store: Shelf(store).remove(name))
        self._held.pop(name, None)
