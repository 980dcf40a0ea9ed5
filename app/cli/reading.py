"""What a command line is made of: the parser, a command, and the words that several commands share."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NoReturn

from app import errors
from app.services.desk import Desk
from app.services.rows import Row


class Usage(errors.PitdeskError):
    """The command line itself cannot be read."""


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Usage(f"{message[:1].upper()}{message[1:]}. See `{self.prog} --help`.")


def _nothing(_: argparse.Namespace) -> None:
    """A command whose arguments can only be wrong in ways the parser sees."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command at a desk.

    `declare` adds its arguments; `aliases` are other spellings of the name. `check` raises for everything that is wrong
    without asking anybody, and takes the person's consent; nothing is started before it returns. `perform` acts; its
    one-key answer names the table.
    """

    name: str
    text: str
    declare: Callable[[argparse.ArgumentParser], object]
    perform: Callable[[Desk, argparse.Namespace], Awaitable[Row]]
    aliases: tuple[str, ...] = ()
    check: Callable[[argparse.Namespace], None] = _nothing


def common_options() -> Parser:
    """Options that may stand before or behind the command's name."""
    common = Parser(add_help=False, argument_default=argparse.SUPPRESS)
    common.add_argument("--basedir", metavar="DIR", help="keep everything below one directory (PITDESK_BASEDIR)")
    common.add_argument("--config", metavar="FILE", help="options file instead of the usual one")
    common.add_argument(
        "-o", "--option", metavar="NAME=VALUE", action="append", help="set one option; see --print-sample-config"
    )
    common.add_argument("--json", action="store_true", help="answer with one JSON object")
    return common


def source_options() -> Parser:
    source = Parser(add_help=False, argument_default=argparse.SUPPRESS)
    where = source.add_mutually_exclusive_group()
    where.add_argument("--practice", action="store_true", help="the practice market on this machine (the default)")
    where.add_argument("--replay", metavar="FILE", help="replay a recorded session on this machine")
    where.add_argument("--live", action="store_true", help="the real gateway of the options")
    where.add_argument(
        "--attach", metavar="FILE", help="a practice gateway that runs already: FILE holds its first --json line"
    )
    return source


def add_account(parser: argparse.ArgumentParser, *, is_required: bool) -> None:
    parser.add_argument("--account", metavar="NAME", required=is_required, default=None, help="account name or id")


def lots(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number of lots")
    return int(text)


def add_contract(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("contract", metavar="CONTRACT", help="root, name or id, such as MNQ")


def add_yes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="send without asking")


def confirm(arguments: argparse.Namespace, what: str) -> None:
    """Arm the one order: by --yes or a typed y. `what` is a phrase such as `buy 2 MNQ market`. Raises Denied."""
    if arguments.yes:
        return
    if sys.stdin.isatty():
        sys.stderr.write(f"{what} on {arguments.account}? [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() == "y":
            return
    text = f"Not sent: {what} on {arguments.account} was not confirmed; add --yes."
    raise errors.Denied("", [("not_confirmed", text)])
