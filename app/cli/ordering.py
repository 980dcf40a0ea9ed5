"""Commands that send orders. Those of the predecessor keep its names and its order: contract, side, size, prices."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

from app import errors
from app.cli import saving
from app.cli.reading import Command, add_account, add_contract, add_yes, confirm, lots
from app.services import acts
from app.services.desk import Desk, Ticket
from app.services.exits import ExitTemplate, parse_distance
from app.services.rows import Row

_DISTANCE = "such as 40 (ticks), 10.25p (points) or 20d (dollars)"


# arguments


def _add_size(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("size", metavar="LOTS", type=lots, help="how many contracts")


def _add_order(parser: argparse.ArgumentParser, *, with_side: bool = True) -> None:
    """CONTRACT SIDE LOTS, as the predecessor had them; an account is never assumed."""
    add_contract(parser)
    if with_side:
        parser.add_argument("side", metavar="SIDE", type=str.lower, choices=("buy", "sell"), help="buy or sell")
    _add_size(parser)
    add_account(parser, is_required=True)
    add_yes(parser)


def _declare_side(parser: argparse.ArgumentParser) -> None:
    _add_size(parser)
    add_contract(parser)
    add_account(parser, is_required=True)
    parser.add_argument("--limit", metavar="PRICE", help="limit price")
    parser.add_argument("--stop", metavar="PRICE", help="stop price; with --limit a stop limit order")
    parser.add_argument(
        "--trail", "--trail-ticks", metavar="DISTANCE", help=f"a trailing stop this far away, {_DISTANCE}"
    )
    parser.add_argument("--join", choices=("bid", "ask"), help="a limit order at the best bid or ask")
    parser.add_argument("--stop-bracket", metavar="DISTANCE", help=f"protect each fill with a stop, {_DISTANCE}")
    parser.add_argument("--target-bracket", metavar="DISTANCE", help="take profit that far away")
    parser.add_argument("--reduce-only", action="store_true", help="an exit: never opens or turns a position")
    add_yes(parser)


def _declare_limit(parser: argparse.ArgumentParser) -> None:
    _add_order(parser)
    parser.add_argument("limit", metavar="PRICE", help="limit price, on the contract's grid")


def _declare_stop(parser: argparse.ArgumentParser, *, with_side: bool) -> None:
    _add_order(parser, with_side=with_side)
    parser.add_argument("stop", metavar="PRICE", help="stop price, on the contract's grid")
    parser.add_argument("--limit", metavar="PRICE", help="makes it a stop limit order")
    parser.add_argument("--reduce-only", action="store_true", help="the stop of a position: never opens one")


def _declare_trail(parser: argparse.ArgumentParser) -> None:
    _add_order(parser)
    parser.add_argument("trail", metavar="DISTANCE", help=_DISTANCE)
    parser.add_argument("--reduce-only", action="store_true", help="the stop of a position: never opens one")


def _declare_join(parser: argparse.ArgumentParser) -> None:
    _add_order(parser)
    parser.add_argument("--at", choices=("bid", "ask"), help="default: the order's own side")


def _declare_bracket(parser: argparse.ArgumentParser) -> None:
    _add_order(parser)
    parser.add_argument("stop_leg", metavar="STOP", nargs="?", help=f"{_DISTANCE}; @PRICE for a price")
    parser.add_argument("target_leg", metavar="TARGET", nargs="?", help="the same for the take profit")
    parser.add_argument("--template", metavar="NAME", help="exits as saved under this name, instead of STOP and TARGET")
    parser.add_argument("--target", metavar="SIZE:DISTANCE", action="append", help="further targets: 1:40, 50%%:20p")
    parser.add_argument(
        "--own-legs", action="store_true", help="legs held by this computer, for an account without native brackets"
    )
    parser.add_argument("--limit", metavar="PRICE", help="enter at this limit instead of at the market")


def _declare_native_bracket(parser: argparse.ArgumentParser) -> None:
    _add_order(parser)
    parser.add_argument("stop_leg", metavar="STOP_PRICE", help="stop price, on the losing side of the market")
    parser.add_argument("target_leg", metavar="TARGET_PRICE", nargs="?", help="target price, on the winning side")


def _declare_stop_bracket(parser: argparse.ArgumentParser) -> None:
    _add_order(parser)
    parser.add_argument("entry", metavar="ENTRY", help="stop price that opens the position")
    parser.add_argument("stop_leg", metavar="STOP_PRICE", help="stop price, on the losing side of the entry")
    parser.add_argument("target_leg", metavar="TARGET_PRICE", nargs="?", help="target price, on the winning side")


# orders


def _bracket(stop: str | None, target: str | None, *, is_price: bool = False) -> ExitTemplate | None:
    """One stop and one target for the whole size, or None when there is neither."""
    mark = "@" if is_price else ""
    legs = [] if target is None else [{"distance": parse_distance(f"{mark}{target}", "target"), "share_percent": 100}]
    if stop is None and not legs:
        return None
    return ExitTemplate.of(stop=None if stop is None else parse_distance(f"{mark}{stop}", "stop"), targets=tuple(legs))


def _of_side(arguments: argparse.Namespace) -> Ticket:
    """Choose the kind of order from what was given. Raises InvalidOrder for a mixture that has no meaning."""
    has_price = arguments.limit is not None or arguments.stop is not None
    if arguments.trail is not None and (has_price or arguments.join):
        raise errors.InvalidOrder("trail", "A trailing stop has no other price: leave out --limit, --stop and --join.")
    if arguments.join and has_price:
        raise errors.InvalidOrder("join", "An order that joins the market has no price: leave out --limit and --stop.")
    if arguments.trail is not None:
        kind = "trailing_stop"
    elif arguments.join:
        kind = f"join_{arguments.join}"
    elif arguments.stop is not None:
        kind = "stop_limit" if arguments.limit is not None else "stop"
    else:
        kind = "limit" if arguments.limit is not None else "market"
    return _ticket(
        arguments,
        kind,
        side=arguments.command,
        trail=arguments.trail,
        exits=_bracket(arguments.stop_bracket, arguments.target_bracket),
    )


def _ticket(arguments: argparse.Namespace, kind: str, **parts: Any) -> Ticket:
    """The ticket of what every order command has, and `parts` of the one."""
    optional = {"side": "side", "limit": "limit", "stop": "stop", "is_reduce_only": "reduce_only"}
    named: dict[str, Any] = {
        field: getattr(arguments, name) for field, name in optional.items() if hasattr(arguments, name)
    }
    return Ticket(
        account=arguments.account,
        contract=arguments.contract,
        kind=kind,
        size_lots=arguments.size,
        **(named | parts),
    )


def _of_stop(arguments: argparse.Namespace, side: str | None = None) -> Ticket:
    kind = "stop_limit" if arguments.limit is not None else "stop"
    return _ticket(arguments, kind, **({} if side is None else {"side": side}))


def _of_trail(arguments: argparse.Namespace) -> Ticket:
    return _ticket(arguments, "trailing_stop", trail=arguments.trail)


def _of_join(arguments: argparse.Namespace) -> Ticket:
    return _ticket(arguments, f"join_{arguments.at or ('bid' if arguments.side == 'buy' else 'ask')}")


def _of_bracket(arguments: argparse.Namespace) -> Ticket:
    kind = "limit" if arguments.limit is not None else "market"
    if (arguments.template is None) == (arguments.stop_leg is None):
        raise errors.InvalidOrder("stop", "Give the stop's distance, or --template with the name of saved exits.")
    if arguments.template is not None:
        # Until the store is open it is only a name.
        exits = arguments.template if isinstance(arguments.template, ExitTemplate) else None
    elif arguments.target:
        first = [] if arguments.target_leg is None else [arguments.target_leg]
        targets = tuple(saving.target_of(text) for text in (*first, *arguments.target))
        exits = ExitTemplate.of(stop=parse_distance(arguments.stop_leg, "stop"), targets=targets)
    else:
        exits = _bracket(arguments.stop_leg, arguments.target_leg)
    if exits is not None and arguments.own_legs:
        exits = exits.model_copy(update={"held_by": "computer"})
    return _ticket(arguments, kind, exits=exits)


def _of_native_bracket(arguments: argparse.Namespace) -> Ticket:
    return _ticket(arguments, "market", exits=_bracket(arguments.stop_leg, arguments.target_leg, is_price=True))


def _of_stop_bracket(arguments: argparse.Namespace) -> Ticket:
    exits = _bracket(arguments.stop_leg, arguments.target_leg, is_price=True)
    return _ticket(arguments, "stop", stop=arguments.entry, exits=exits)


Making = Callable[[argparse.Namespace], Ticket]


def _check(arguments: argparse.Namespace, make: Making) -> None:
    ticket, named = make(arguments), getattr(arguments, "template", None)
    prices = [("stop", ticket.stop), ("limit", ticket.limit), ("trailing", ticket.trail)]
    price = " ".join(f"{name} {text}" for name, text in prices if text) or ticket.kind.replace("_", " ")
    exits = f" with {ticket.exits.text}" if ticket.exits else f" with exits {named}" if named else ""
    confirm(arguments, f"{ticket.side} {ticket.size_lots} {ticket.contract} {price}{exits}")


async def _place(desk: Desk, arguments: argparse.Namespace, make: Making) -> Row:
    return {"order": await acts.place(desk, make(arguments))}


def _sending(
    name: str, text: str, declare: Callable[[argparse.ArgumentParser], object], make: Making, *aliases: str
) -> Command:
    return Command(
        name=name,
        text=text,
        declare=declare,
        check=partial(_check, make=make),
        perform=partial(_place, make=make),
        aliases=aliases,
    )


COMMANDS = (
    _sending("buy", "Send one order to buy: market, or as the options say.", _declare_side, _of_side),
    _sending("sell", "Send one order to sell: market, or as the options say.", _declare_side, _of_side),
    _sending("trade", "Send a market order.", _add_order, lambda held: _ticket(held, "market")),
    _sending("limit", "Send a limit order.", _declare_limit, lambda held: _ticket(held, "limit")),
    _sending("stop", "Send a stop order.", partial(_declare_stop, with_side=True), _of_stop),
    _sending(
        "stop-buy",
        "Send a stop order to buy.",
        partial(_declare_stop, with_side=False),
        partial(_of_stop, side="buy"),
        "stop_buy",
    ),
    _sending(
        "stop-sell",
        "Send a stop order to sell.",
        partial(_declare_stop, with_side=False),
        partial(_of_stop, side="sell"),
        "stop_sell",
    ),
    _sending("trail", "Send a trailing stop that the broker holds.", _declare_trail, _of_trail),
    _sending("join", "Send a limit order at the best bid or ask.", _declare_join, _of_join),
    _sending("bracket", "Enter with a stop and a target at distances from the entry.", _declare_bracket, _of_bracket),
    _sending(
        "native-bracket",
        "Enter at the market with a stop and a target at prices.",
        _declare_native_bracket,
        _of_native_bracket,
        "native_bracket",
    ),
    _sending(
        "stop-bracket",
        "Enter by a stop order with a stop and a target at prices.",
        _declare_stop_bracket,
        _of_stop_bracket,
        "stop_bracket",
    ),
)
