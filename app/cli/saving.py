"""Commands on what is saved: exit templates. They open the app store and need neither an engine nor a connection."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from app import errors
from app.cli.reading import Usage
from app.services.exits import NO_TEMPLATE, ExitTemplate, parse_distance
from app.services.rows import Row
from app.services.templates import NamedTemplate, Shelf

_T = TypeVar("_T")

_ACTS = ("list", "show", "save", "remove")
_SIZED = re.compile(r"(?:(?P<size>\d+)(?P<share>%?):)?(?P<distance>[^:]+)")
_EVEN = re.compile(r"(?P<trigger>[^+]+)(?:\+(?P<plus>\d+))?")


@dataclass(frozen=True, kw_only=True)
class StoreCommand:
    """One command on the open app store; `check` and `perform` as in `reading.Command`."""

    name: str
    text: str
    declare: Callable[[argparse.ArgumentParser], object]
    check: Callable[[argparse.Namespace], None]
    perform: Callable[[Shelf, argparse.Namespace], Row]


def named_exits(url: str, base: Path, name: str) -> ExitTemplate:
    """The newest version of a name. Raises InvalidOption, which lists the names; StoreUnavailable."""
    return use_shelf(url, base, lambda shelf: shelf.get(name).template)


def use_shelf(url: str, base: Path, act: Callable[[Shelf], _T]) -> _T:
    """Open the app store for one act. Raises StoreUnavailable."""
    from app.persistence import AppStore

    store = AppStore.open(url, base)
    try:
        return act(Shelf(store))
    finally:
        store.close()


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("act", nargs="?", choices=_ACTS, default="list", help="list is the default")
    parser.add_argument("name", nargs="?", help="name of the template")
    parser.add_argument("--version", metavar="N", type=int, dest="template_version", help="show: an older version")
    parser.add_argument("--stop", metavar="DISTANCE", help="save: 40 (ticks), 10.25p (points) or 20d (dollars a lot)")
    parser.add_argument(
        "--target", metavar="[SIZE:]DISTANCE", action="append", help="save, up to four: 1:40, 50%%:80t; 80 is all lots"
    )
    add_rule(parser)


def add_rule(parser: argparse.ArgumentParser) -> None:
    """How this computer moves a stop."""
    parser.add_argument("--break-even", metavar="TRIGGER[+TICKS]", help="24+2: 24 ticks on, to 2 beyond the entry")
    parser.add_argument(
        "--trail", metavar="START:DISTANCE[:STEP]", action="append", help="40:20:4: after 40 ticks follow at 20, by 4"
    )


def rule_of(arguments: argparse.Namespace) -> ExitTemplate:
    """The rule that the options spell, as a template without legs. Raises InvalidOrder."""
    return ExitTemplate.of(**_rule(arguments))


def _rule(arguments: argparse.Namespace) -> dict[str, object]:
    return {
        "break_even": _break_even(arguments.break_even) if arguments.break_even is not None else None,
        "trail": tuple(_stage(text) for text in arguments.trail or ()),
    }


def _check(arguments: argparse.Namespace) -> None:
    if (arguments.act == "list") != (arguments.name is None):
        raise Usage("list takes no name; show, save and remove take one.")
    if arguments.act == "save":
        template_of(arguments)


def template_of(arguments: argparse.Namespace) -> ExitTemplate:
    """The template that the options spell. Raises InvalidOrder."""
    template = ExitTemplate.of(
        stop=parse_distance(arguments.stop, "stop") if arguments.stop is not None else None,
        targets=tuple(target_of(text) for text in arguments.target or ()),
        **_rule(arguments),
    )
    if template.has_rule and template.stop is None:
        raise errors.InvalidOrder("stop", "Break-even and trailing move a stop; give it a --stop.")
    if template == NO_TEMPLATE:
        raise errors.InvalidOrder("template", "The template is empty: give it a --stop or a --target.")
    return template


def target_of(text: str) -> dict[str, object]:
    """A target leg from `SIZE:DISTANCE`. Raises InvalidOrder."""
    match = _SIZED.fullmatch(text)
    if match is None:
        raise errors.InvalidOrder("target", f"Target {text!r} cannot be read; allowed: 40, 1:40t or 50%:10.25p.")
    leg: dict[str, object] = {"distance": parse_distance(match["distance"], "target")}
    if match["size"] is None:
        return leg | {"share_percent": 100}
    return leg | {"share_percent" if match["share"] else "lots": int(match["size"])}


def _break_even(text: str) -> dict[str, object]:
    match = _EVEN.fullmatch(text)
    if match is None:
        raise errors.InvalidOrder("break-even", f"Break-even {text!r} cannot be read; allowed: 24 or 24+2.")
    return {"trigger": parse_distance(match["trigger"], "break-even"), "plus_ticks": int(match["plus"] or 0)}


def _stage(text: str) -> dict[str, object]:
    start, *rest = text.split(":")
    if len(rest) not in (1, 2) or (len(rest) == 2 and not rest[1].isdecimal()):
        raise errors.InvalidOrder("trail", f"Trail {text!r} cannot be read; allowed: 40:20 or 40:20:4.")
    step = int(rest[1]) if len(rest) == 2 else 1
    stage = {"start": parse_distance(start, "trail start"), "distance": parse_distance(rest[0], "trail")}
    return {**stage, "step_ticks": step}


def _row(named: NamedTemplate) -> Row:
    return {
        "name": named.name,
        "version": named.version,
        "text": "removed" if named.is_removed else named.template.text,
        "template": named.template.model_dump(mode="json"),
    }


def _perform(shelf: Shelf, arguments: argparse.Namespace) -> Row:
    match arguments.act:
        case "list":
            return {"templates": [_row(named) for named in shelf.all()]}
        case "show" if arguments.template_version is None:
            return {"templates": [_row(named) for named in shelf.versions(arguments.name)]}
        case "show":
            return {"templates": [_row(shelf.get(arguments.name, arguments.template_version))]}
        case "save":
            return {"templates": [_row(shelf.save(arguments.name, template_of(arguments)))]}
        case _:
            return {"templates": [_row(shelf.remove(arguments.name))]}


COMMANDS = (
    StoreCommand(
        name="templates",
        text="List, show, save or remove exit templates; every save is a new version.",
        declare=_declare,
        check=_check,
        perform=_perform,
    ),
)
