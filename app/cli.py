"""`pitdesk …`: every capability without the window.

A command goes to the engine that holds the base directory, over its control socket; when nobody holds it, it runs an
engine of its own, reconciles, acts and ends (decision 2). Exit codes:

    0 done   2 usage   3 denied here   4 refused there   5 unknown   6 not connected   7 busy   70 fault

With `--json` there is one JSON object on standard output, for errors as well.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import getpass
import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import app
from app import config, errors, logs
from app.config import Directories, Options
from app.crash import CrashFolder
from app.services import doctor, gateway
from app.services.composition import Services
from app.services.control import ControlClient, ControlDesk
from app.services.desk import Desk, HeadlessDesk, Row, Ticket
from app.services.gateway import GatewayProcess, Hello
from app.services.session import Endpoint

FAULT = 70
INTERRUPTED = 130

# The first class that fits decides; the order matters where one is a kind of another.
EXIT_CODES: tuple[tuple[type[errors.PitdeskError], int], ...] = (
    (errors.InvalidOption, 2),
    (errors.InvalidOrder, 2),
    (errors.InvalidCommand, 2),
    (errors.Denied, 3),
    (errors.EngineHalted, 3),
    (errors.BrokerRejected, 4),
    (errors.OutcomeUnknown, 5),
    (errors.NotConnected, 6),
    (errors.EngineBusy, 7),
    (errors.PitdeskError, FAULT),
)

_PASSED_ON = ("gateway", "run")
_TABLE_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "accounts": ("name", "word", "kind", "balance", "id"),
    "contracts": ("name", "id", "description", "tick", "tick_value", "is_active"),
    "positions": ("account", "name", "net_lots", "average", "mark", "open_pnl", "realised"),
    "orders": (
        "key",
        "account",
        "name",
        "side",
        "kind",
        "size_lots",
        "filled_lots",
        "limit",
        "stop",
        "average",
        "look",
    ),
    "checks": ("name", "state", "text"),
}


class _Usage(errors.PitdeskError):
    """The command line itself cannot be read."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _Usage(f"{message[:1].upper()}{message[1:]}. See `{self.prog} --help`.")


def exit_code(error: errors.PitdeskError) -> int:
    if isinstance(error, _Usage):
        return 2
    return next(code for kind, code in EXIT_CODES if isinstance(error, kind))


# parser


def _common_options() -> _Parser:
    """Options that may stand before or behind the command's name."""
    common = _Parser(add_help=False, argument_default=argparse.SUPPRESS)
    common.add_argument("--basedir", metavar="DIR", help="keep everything below one directory (PITDESK_BASEDIR)")
    common.add_argument("--config", metavar="FILE", help="options file instead of the usual one")
    common.add_argument(
        "-o", "--option", metavar="NAME=VALUE", action="append", help="set one option; see --print-sample-config"
    )
    common.add_argument("--json", action="store_true", help="answer with one JSON object")
    return common


def _source_options() -> _Parser:
    source = _Parser(add_help=False, argument_default=argparse.SUPPRESS)
    where = source.add_mutually_exclusive_group()
    where.add_argument("--practice", action="store_true", help="the practice market on this machine (the default)")
    where.add_argument("--replay", metavar="FILE", help="replay a recorded session on this machine")
    where.add_argument("--live", action="store_true", help="the real gateway of the options")
    where.add_argument(
        "--attach", metavar="FILE", help="a practice gateway that runs already: FILE holds its first --json line"
    )
    return source


def build_parser() -> argparse.ArgumentParser:
    common, source = _common_options(), _source_options()
    parser = _Parser(prog="pitdesk", description="Trade futures from the command line.", parents=[common])
    parser.add_argument("--version", action="store_true", help="show the versions of program, engine, Python, system")
    parser.add_argument("--print-sample-config", action="store_true", help="print every option with its default")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)

    def add(name: str, text: str, *, connects: bool = True) -> argparse.ArgumentParser:
        parents = [common, source] if connects else [common]
        return commands.add_parser(name, help=text, description=text, parents=parents)

    commands.add_parser("run", help="open the window; arguments go to it", add_help=False)
    commands.add_parser("gateway", help="run the practice gateway; arguments go to it", add_help=False)
    add("accounts", "List the accounts of the login.")
    add("contracts", "List contracts.").add_argument("text", nargs="?", default="", help="part of a name or root")
    add("quote", "Show bid, ask and last price.").add_argument("contract", help="root, name or id, such as MNQ")
    _add_account(add("positions", "List open positions."), is_required=False)
    orders = add("orders", "List working orders.")
    _add_account(orders, is_required=False)
    orders.add_argument("--all", action="store_true", help="also those that are done")
    for side in ("buy", "sell"):
        _add_ticket(add(side, f"Send one order to {side}: market, or as the options say."))
    _add_cancel(add("cancel", "Cancel one order, or all of an account."))
    flatten = add("flatten", "Cancel all orders of an account and close its positions.")
    _add_account(flatten, is_required=True)
    flatten.add_argument("--contract", help="only this contract")
    add("doctor", "Check what the program needs on this machine.", connects=False)
    return parser


def _add_account(parser: argparse.ArgumentParser, *, is_required: bool) -> None:
    parser.add_argument("--account", metavar="NAME", required=is_required, default=None, help="account name or id")


def _add_ticket(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("size", metavar="LOTS", type=_lots, help="how many contracts")
    parser.add_argument("contract", metavar="CONTRACT", help="root, name or id, such as MNQ")
    _add_account(parser, is_required=True)
    parser.add_argument("--limit", metavar="PRICE", help="limit price")
    parser.add_argument("--stop", metavar="PRICE", help="stop price; with --limit a stop limit order")
    parser.add_argument("--trail-ticks", metavar="N", type=int, help="a trailing stop this far away")
    parser.add_argument("--join", choices=("bid", "ask"), help="a limit order at the best bid or ask")
    parser.add_argument("--stop-bracket", metavar="N", type=int, help="protect each fill with a stop N ticks away")
    parser.add_argument("--target-bracket", metavar="N", type=int, help="take profit N ticks away")
    parser.add_argument("--yes", action="store_true", help="send without asking")


def _add_cancel(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("key", nargs="?", help="an order's key, tag or id, as `pitdesk orders` shows it")
    parser.add_argument("--all", action="store_true", help="all working orders of the account")
    _add_account(parser, is_required=False)
    parser.add_argument("--contract", help="with --all: only this contract")


def _lots(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number of lots")
    return int(text)


def _ticket(arguments: argparse.Namespace) -> Ticket:
    """Choose the kind of order from what was given. Raises InvalidOrder for a mixture that has no meaning."""
    has_price = arguments.limit is not None or arguments.stop is not None
    if arguments.trail_ticks is not None and (has_price or arguments.join):
        raise errors.InvalidOrder("trail", "A trailing stop has no other price: leave out --limit, --stop and --join.")
    if arguments.join and has_price:
        raise errors.InvalidOrder("join", "An order that joins the market has no price: leave out --limit and --stop.")
    if arguments.trail_ticks is not None:
        kind = "trailing_stop"
    elif arguments.join:
        kind = f"join_{arguments.join}"
    elif arguments.stop is not None:
        kind = "stop_limit" if arguments.limit is not None else "stop"
    else:
        kind = "limit" if arguments.limit is not None else "market"
    return Ticket(
        account=arguments.account,
        contract=arguments.contract,
        side=arguments.command,
        kind=kind,
        size_lots=arguments.size,
        limit=arguments.limit,
        stop=arguments.stop,
        trail_ticks=arguments.trail_ticks,
        stop_bracket_ticks=arguments.stop_bracket,
        target_bracket_ticks=arguments.target_bracket,
    )


def _confirm(arguments: argparse.Namespace, ticket: Ticket) -> None:
    """Arm the one order: by --yes or a typed y. Raises Denied."""
    if arguments.yes:
        return
    price = " ".join(f"{name} {text}" for name, text in (("stop", ticket.stop), ("limit", ticket.limit)) if text)
    what = f"{ticket.side} {ticket.size_lots} {ticket.contract} {price or ticket.kind.replace('_', ' ')}"
    if sys.stdin.isatty():
        sys.stderr.write(f"{what} on {ticket.account}? [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() == "y":
            return
    raise errors.Denied("", [("not_confirmed", f"Not sent: {what} on {ticket.account} was not confirmed; add --yes.")])


# connecting


async def _endpoint(
    arguments: argparse.Namespace, options: Options, directories: Directories, stack: contextlib.AsyncExitStack
) -> Endpoint:
    """Whom to talk to; a practice gateway of our own is started here and ended with the stack."""
    if getattr(arguments, "live", False):
        ask = getpass.getpass if sys.stdin.isatty() else None
        return await Endpoint.of_live(options.connection, ask=ask)
    if attached := getattr(arguments, "attach", None):
        return Endpoint.of_practice(_read_hello(Path(attached)))
    recording = getattr(arguments, "replay", None)
    if recording is not None:
        state = directories.practice / "replay"
        started = gateway.replay_arguments(state, Path(recording), rate=options.practice.rate)
    else:
        state = directories.practice / "model"
        started = gateway.practice_arguments(state, seed=options.practice.seed, rate=options.practice.rate)
    child = await asyncio.to_thread(
        GatewayProcess.start,
        started,
        log_file=directories.log / "gateway.log",
        deadline_s=options.practice.start_deadline_s,
    )
    stack.push_async_callback(asyncio.to_thread, child.stop)
    return Endpoint.of_practice(child.hello, is_replay=recording is not None)


def _read_hello(file: Path) -> Hello:
    try:
        return Hello.parse(file.read_text(encoding="utf-8").partition("\n")[0])
    except OSError as error:
        raise errors.InvalidOption("--attach", str(file), f"a readable file ({error.strerror})") from None


@contextlib.asynccontextmanager
async def _open_desk(arguments: argparse.Namespace, options: Options, directories: Directories) -> AsyncIterator[Desk]:
    """The running engine of this base directory, or our own one, connected."""
    client = await ControlClient.connect(directories.base)
    if client is not None:
        try:
            yield ControlDesk(client, options.trading.request_deadline_s)
        finally:
            await client.close()
        return
    async with contextlib.AsyncExitStack() as stack:
        services = await Services.open(directories, options, is_headless=True)
        try:
            endpoint = await _endpoint(arguments, options, directories, stack)
            await services.connect(endpoint)
            yield HeadlessDesk(services)
        finally:
            # Before the stack ends the gateway: a broken connection is no way to say goodbye.
            await services.close()


# commands


async def _accounts(desk: Desk, _arguments: argparse.Namespace) -> Row:
    return {"accounts": await desk.accounts()}


async def _contracts(desk: Desk, arguments: argparse.Namespace) -> Row:
    return {"contracts": await desk.contracts(arguments.text)}


async def _quote(desk: Desk, arguments: argparse.Namespace) -> Row:
    return {"quote": await desk.quote(arguments.contract)}


async def _positions(desk: Desk, arguments: argparse.Namespace) -> Row:
    return {"positions": await desk.positions(arguments.account)}


async def _orders(desk: Desk, arguments: argparse.Namespace) -> Row:
    return {"orders": await desk.orders(arguments.account, with_done=arguments.all)}


async def _place(desk: Desk, arguments: argparse.Namespace) -> Row:
    return {"order": await desk.place(_ticket(arguments))}


async def _cancel(desk: Desk, arguments: argparse.Namespace) -> Row:
    if arguments.all:
        return {"cancelled": await desk.cancel_all(arguments.account, arguments.contract)}
    return {"cancelled": await desk.cancel(arguments.key)}


async def _flatten(desk: Desk, arguments: argparse.Namespace) -> Row:
    return {"flattened": await desk.flatten(arguments.account, arguments.contract)}


_COMMANDS: Mapping[str, Callable[[Desk, argparse.Namespace], Awaitable[Row]]] = {
    "accounts": _accounts,
    "contracts": _contracts,
    "quote": _quote,
    "positions": _positions,
    "orders": _orders,
    "buy": _place,
    "sell": _place,
    "cancel": _cancel,
    "flatten": _flatten,
}


def _check_before_connecting(arguments: argparse.Namespace) -> None:
    """Everything that can be wrong without asking anybody."""
    if arguments.command in ("buy", "sell"):
        _confirm(arguments, _ticket(arguments))
    if arguments.command == "cancel":
        if arguments.all == (arguments.key is not None):
            raise _Usage("Name one order's key, or --all with --account.")
        if arguments.all and arguments.account is None:
            raise _Usage("--all needs --account NAME; see `pitdesk accounts`.")


async def _perform(arguments: argparse.Namespace, options: Options, directories: Directories) -> Row:
    # SIGTERM ends like Ctrl-C does: through the clean-up of every context.
    task = asyncio.current_task()
    assert task is not None, "a coroutine that runs belongs to a task"
    with contextlib.suppress(NotImplementedError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with _open_desk(arguments, options, directories) as desk:
        return await _COMMANDS[arguments.command](desk, arguments)


def _execute(arguments: argparse.Namespace, crashes: CrashFolder, directories: Directories) -> Row:
    options = _options(arguments, directories)
    _check_before_connecting(arguments)
    directories.create()
    writer = logs.start(
        directories.log, level=options.log.level, file_kib=options.log.file_kib, files_kept=options.log.files_kept
    )
    crashes.install()
    try:
        crashes.adopt_engine_panics(directories.base)
        return asyncio.run(_perform(arguments, options, directories))
    finally:
        crashes.remove()
        writer.close()


def _options(arguments: argparse.Namespace, directories: Directories) -> Options:
    named = getattr(arguments, "config", None)
    if named is not None and not Path(named).is_file():
        raise errors.InvalidOption("--config", named, "an options file that exists; see --print-sample-config")
    file = Path(named) if named is not None else directories.config / config.CONFIG_FILE_NAME
    return config.load(file, os.environ, getattr(arguments, "option", ()))


def versions() -> Row:
    from app import native

    return {
        "pitdesk": app.__version__,
        "engine": native.VERSION,
        "seam": native.BUILD_HASH,
        "python": platform.python_version(),
        "system": platform.platform(),
    }


def _pass_on(command: str, arguments: argparse.Namespace, rest: Sequence[str]) -> int:
    """Become the gateway or the window."""
    if base := getattr(arguments, "basedir", None):
        os.environ[f"{config.ENVIRONMENT_PREFIX}BASEDIR"] = str(Path(base).resolve())
    if command == "gateway":
        program = [str(gateway.find_program())]
    else:
        program = [sys.executable, "run"] if getattr(sys, "frozen", False) else [sys.executable, "-m", "ui"]
    if sys.platform != "win32":
        sys.stdout.flush()
        os.execv(program[0], [*program, *rest])  # noqa: S606 -- no shell is wanted
    return subprocess.run([*program, *rest], check=False).returncode


# output


def _table(rows: Sequence[Row], columns: Sequence[str]) -> str:
    def cell(value: Any) -> str:
        if value is None:
            return "-"
        return ("no", "yes")[value] if isinstance(value, bool) else str(value)

    lines = [[name.replace("_", " ") for name in columns]]
    lines += [[cell(row[name]) for name in columns] for row in rows]
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def _text_of(answer: Row) -> str:
    ((name, value),) = answer.items()
    if isinstance(value, list):
        return _table(value, _TABLE_COLUMNS[name]) if value else f"No {name}."
    if isinstance(value, str):
        return value
    return "\n".join(f"{key.replace('_', ' ')}: {'-' if held is None else held}" for key, held in value.items())


def _fail(error: errors.PitdeskError, *, is_json: bool) -> int:
    code = exit_code(error)
    if is_json:
        told = {"kind": type(error).__name__.lstrip("_"), "text": error.text, "exit_code": code}
        for name in ("field", "name", "allowed", "tag", "reasons"):
            if getattr(error, name, None):
                told[name] = getattr(error, name)
        print(logs.redactor.text(json.dumps({"error": told})))
    else:
        sys.stderr.write(logs.redactor.text(f"pitdesk: {error.text}\n"))
    return code


def _answer(answer: Row, *, is_json: bool) -> None:
    print(logs.redactor.text(json.dumps(answer) if is_json else _text_of(answer)))


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    is_json = "--json" in words
    try:
        return _dispatch(words, is_json=is_json)
    except errors.PitdeskError as error:
        return _fail(error, is_json=is_json)
    except (KeyboardInterrupt, asyncio.CancelledError):
        return INTERRUPTED


def _dispatch(words: Sequence[str], *, is_json: bool) -> int:
    parser = build_parser()
    arguments, unread = parser.parse_known_args(words)
    if arguments.command in _PASSED_ON:
        return _pass_on(arguments.command, arguments, unread)
    if unread:
        raise _Usage(f"Unknown argument {unread[0]!r}. See `pitdesk --help`.")
    if arguments.print_sample_config:
        print(config.sample_text(), end="")
        return 0
    if arguments.version:
        _answer({"version": versions()}, is_json=is_json)
        return 0
    if arguments.command is None:
        raise _Usage("Name a command. See `pitdesk --help`.")
    return _run_command(arguments, is_json=is_json)


def _run_command(arguments: argparse.Namespace, *, is_json: bool) -> int:
    directories = config.directories(getattr(arguments, "basedir", None))
    if arguments.command == "doctor":
        report = doctor.examine(directories, lambda: _options(arguments, directories))
        _answer({"checks": report}, is_json=is_json)
        return FAULT if any(row["state"] == doctor.BROKEN for row in report) else 0
    crashes = CrashFolder(directories.crash)
    try:
        answer = _execute(arguments, crashes, directories)
    except errors.PitdeskError:
        raise
    except Exception as error:  # noqa: BLE001 -- the thread's root: whatever it is, it is ours
        crashes.program_failed(error)
        return _fail(errors.PitdeskError(f"This is a fault of the program: {error!r}."), is_json=is_json)
    _answer(answer, is_json=is_json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
