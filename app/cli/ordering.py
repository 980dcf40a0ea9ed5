"""Commands that trade."""

from __future__ import annotations

import argparse
import sys

from app import errors
from app.cli.reading import Command, Usage, add_account, lots
from app.services.desk import Desk, Row, Ticket


def _declare_ticket(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("size", metavar="LOTS", type=lots, help="how many contracts")
    parser.add_argument("contract", metavar="CONTRACT", help="root, name or id, such as MNQ")
    add_account(parser, is_required=True)
    parser.add_argument("--limit", metavar="PRICE", help="limit price")
    parser.add_argument("--stop", metavar="PRICE", help="stop price; with --limit a stop limit order")
    parser.add_argument("--trail-ticks", metavar="N", type=int, help="a trailing stop this far away")
    parser.add_argument("--join", choices=("bid", "ask"), help="a limit order at the best bid or ask")
    parser.add_argument("--stop-bracket", metavar="N", type=int, help="protect each fill with a stop N ticks away")
    parser.add_argument("--target-bracket", metavar="N", type=int, help="take profit N ticks away")
    parser.add_argument("--yes", action="store_true", help="send without asking")


def _declare_cancel(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("key", nargs="?", help="an order's key, tag or id, as `pitdesk orders` shows it")
    parser.add_argument("--all", action="store_true", help="all working orders of the account")
    add_account(parser, is_required=False)
    parser.add_argument("--contract", help="with --all: only this contract")


def _declare_flatten(parser: argparse.ArgumentParser) -> None:
    add_account(parser, is_required=True)
    parser.add_argument("--contract", help="only this contract")


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


def _confirm(arguments: argparse.Namespace) -> None:
    """Arm the one order: by --yes or a typed y. Raises Denied."""
    ticket = _ticket(arguments)
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


def _check_cancel(arguments: argparse.Namespace) -> None:
    if arguments.all == (arguments.key is not None):
        raise Usage("Name one order's key, or --all with --account.")
    if arguments.all and arguments.account is None:
        raise Usage("--all needs --account NAME; see `pitdesk accounts`.")


async def _place(desk: Desk, arguments: argparse.Namespace) -> Row:
    return {"order": await desk.place(_ticket(arguments))}


async def _cancel(desk: Desk, arguments: argparse.Namespace) -> Row:
    if arguments.all:
        return {"cancelled": await desk.cancel_all(arguments.account, arguments.contract)}
    return {"cancelled": await desk.cancel(arguments.key)}


async def _flatten(desk: Desk, arguments: argparse.Namespace) -> Row:
    return {"flattened": await desk.flatten(arguments.account, arguments.contract)}


COMMANDS = (
    *(
        Command(
            name=side,
            text=f"Send one order to {side}: market, or as the options say.",
            declare=_declare_ticket,
            check=_confirm,
            perform=_place,
        )
        for side in ("buy", "sell")
    ),
    Command(
        name="cancel",
        text="Cancel one order, or all of an account.",
        declare=_declare_cancel,
        check=_check_cancel,
        perform=_cancel,
    ),
    Command(
        name="flatten",
        text="Cancel all orders of an account and close its positions.",
        declare=_declare_flatten,
        perform=_flatten,
    ),
)
