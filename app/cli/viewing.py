"""Commands that only look."""

from __future__ import annotations

import argparse

from app.cli.reading import Command, add_account
from app.services.desk import Desk, Row


def _declare_nothing(_: argparse.ArgumentParser) -> None:
    pass


def _declare_contracts(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("text", nargs="?", default="", help="part of a name or root")


def _declare_quote(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("contract", help="root, name or id, such as MNQ")


def _declare_positions(parser: argparse.ArgumentParser) -> None:
    add_account(parser, is_required=False)


def _declare_orders(parser: argparse.ArgumentParser) -> None:
    add_account(parser, is_required=False)
    parser.add_argument("--all", action="store_true", help="also those that are done")


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


COMMANDS = (
    Command(name="accounts", text="List the accounts of the login.", declare=_declare_nothing, perform=_accounts),
    Command(name="contracts", text="List contracts.", declare=_declare_contracts, perform=_contracts),
    Command(name="quote", text="Show bid, ask and last price.", declare=_declare_quote, perform=_quote),
    Command(name="positions", text="List open positions.", declare=_declare_positions, perform=_positions),
    Command(name="orders", text="List working orders.", declare=_declare_orders, perform=_orders),
)
