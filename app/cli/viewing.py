"""Commands that only look, and the limits of an account."""

from __future__ import annotations

import argparse
from decimal import Decimal, InvalidOperation

from app.cli.reading import Command, add_account, add_contract
from app.services import acts, rows
from app.services.desk import Desk
from app.services.rows import Row


def _declare_nothing(_: argparse.ArgumentParser) -> None:
    pass


def _declare_contracts(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("text", nargs="?", default="", help="part of a name or root")


def _declare_positions(parser: argparse.ArgumentParser) -> None:
    add_account(parser, is_required=False)


def _declare_orders(parser: argparse.ArgumentParser) -> None:
    add_account(parser, is_required=False)
    parser.add_argument("--all", action="store_true", help="also those that are done")


def _declare_limits(parser: argparse.ArgumentParser) -> None:
    add_account(parser, is_required=True)
    for name in rows.LIMIT_NAMES[:4]:
        words = name.removeprefix("max_").replace("_", " ")
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, metavar="N", help=f"lower the limit of {words}")


def _declare_risk(parser: argparse.ArgumentParser) -> None:
    add_account(parser, is_required=True)
    parser.add_argument("--mode", choices=("normal", "reducing", "locked"), help="a lock holds until the next session")
    parser.add_argument("--release", metavar="SOURCE", help="let a source go on that repeated itself too often")


def _declare_size(parser: argparse.ArgumentParser) -> None:
    add_contract(parser)
    parser.add_argument("--risk", metavar="DOLLARS", type=_dollars, required=True, help="most that a stop-out may cost")
    parser.add_argument("--stop", metavar="DISTANCE", required=True, help="such as 40, 10.25p or 20d")
    parser.add_argument("--mixed", action="store_true", help="fill the rest with micros")


def _dollars(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount <= 0 or amount != round(amount, 2):
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive amount of dollars and cents")
    return amount


async def _accounts(desk: Desk, _arguments: argparse.Namespace) -> Row:
    return {"accounts": await acts.accounts(desk)}


async def _contracts(desk: Desk, arguments: argparse.Namespace) -> Row:
    return {"contracts": await acts.contracts(desk, arguments.text)}


async def _quote(desk: Desk, arguments: argparse.Namespace) -> Row:
    return {"quote": await acts.quote(desk, arguments.contract)}


async def _positions(desk: Desk, arguments: argparse.Namespace) -> Row:
    return {"positions": await acts.positions(desk, arguments.account)}


async def _orders(desk: Desk, arguments: argparse.Namespace) -> Row:
    return {"orders": await acts.orders(desk, arguments.account, with_done=arguments.all)}


async def _limits(desk: Desk, arguments: argparse.Namespace) -> Row:
    wanted = {name: getattr(arguments, name) for name in rows.LIMIT_NAMES if getattr(arguments, name, None) is not None}
    if wanted:
        return {"limits": await acts.lower_limits(desk, arguments.account, wanted)}
    return {"limits": await acts.limits(desk, arguments.account)}


async def _risk(desk: Desk, arguments: argparse.Namespace) -> Row:
    return {"risk": await acts.risk(desk, arguments.account, mode=arguments.mode, release=arguments.release)}


async def _size(desk: Desk, arguments: argparse.Namespace) -> Row:
    named = {"risk": arguments.risk, "stop": arguments.stop, "is_mixed": arguments.mixed}
    return {"size": await acts.size_by_risk(desk, arguments.contract, **named)}


COMMANDS = (
    Command(name="accounts", text="List the accounts of the login.", declare=_declare_nothing, perform=_accounts),
    Command(name="contracts", text="List contracts.", declare=_declare_contracts, perform=_contracts),
    Command(name="quote", text="Show bid, ask and last price.", declare=add_contract, perform=_quote),
    Command(name="positions", text="List open positions.", declare=_declare_positions, perform=_positions),
    Command(name="orders", text="List working orders.", declare=_declare_orders, perform=_orders),
    Command(name="limits", text="Show or lower an account's size limits.", declare=_declare_limits, perform=_limits),
    Command(name="risk", text="Where an account stands in its rules.", declare=_declare_risk, perform=_risk),
    Command(name="size", text="Contracts for dollars of risk and a stop.", declare=_declare_size, perform=_size),
)
