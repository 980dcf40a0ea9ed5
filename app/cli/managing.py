"""Commands that change what is there: orders that work, positions that are held."""

from __future__ import annotations

import argparse

from app import errors
from app.cli import saving
from app.cli.reading import Command, Usage, add_account, add_contract, add_yes, confirm, lots
from app.domain import KINDS
from app.services import acts
from app.services.acts import Change, Group
from app.services.desk import Desk
from app.services.exits import TICKS_MOST
from app.services.rows import Row

_ROLES = {"stops": "stop", "targets": "target", "entries": "entry"}
_MODES = ("unknown", "auto-oco", "position-brackets")
_GROUP = ("contract", "side", "kind", "price", "role")


def _declare_modify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("key", help="an order's key, tag or id, as `pitdesk orders` shows it")
    parser.add_argument("--size", metavar="LOTS", type=lots, help="new size, the filled part included")
    parser.add_argument("--price", metavar="PRICE", help="new limit of a limit order, new stop of a stop order")
    parser.add_argument("--limit", metavar="PRICE", help="new limit price")
    parser.add_argument("--stop", metavar="PRICE", help="new stop price")
    parser.add_argument("--trail", metavar="DISTANCE", help="new distance of a trailing stop")
    parser.add_argument("--yes", action="store_true", help="allow a change that raises the risk")


def _declare_modify_exit(parser: argparse.ArgumentParser) -> None:
    add_contract(parser)
    parser.add_argument("price", metavar="PRICE", help="new price")
    add_account(parser, is_required=True)


def _declare_cancel(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("key", nargs="?", help="an order's key, tag or id, as `pitdesk orders` shows it")
    add_account(parser, is_required=False)
    parser.add_argument("--all", action="store_true", help="all working orders of the account")
    parser.add_argument("--contract", help="those of this contract")
    parser.add_argument("--side", choices=("buy", "sell"), help="those of this side")
    parser.add_argument("--kind", choices=KINDS, help="those of this kind")
    parser.add_argument("--price", help="with --contract: those at this price")
    parser.add_argument("--role", choices=sorted(_ROLES), help="stops or targets of positions, or entries")


def _declare_close(parser: argparse.ArgumentParser) -> None:
    add_contract(parser)
    how_much = parser.add_mutually_exclusive_group()
    how_much.add_argument("size", metavar="LOTS", nargs="?", type=lots, help="how many; without it the whole position")
    how_much.add_argument("--fraction", metavar="PERCENT", type=_percent, help="a share of it, such as 50")
    add_account(parser, is_required=True)


def _declare_reverse(parser: argparse.ArgumentParser) -> None:
    add_contract(parser)
    add_account(parser, is_required=True)
    add_yes(parser)


def _check_reverse(arguments: argparse.Namespace) -> None:
    confirm(arguments, f"reverse {arguments.contract}")


def _declare_break_even(parser: argparse.ArgumentParser) -> None:
    add_contract(parser)
    parser.add_argument("--plus", metavar="TICKS", type=_ticks, default=0, help="that many ticks beyond the entry")
    add_account(parser, is_required=True)


def _declare_trail_rule(parser: argparse.ArgumentParser) -> None:
    add_contract(parser)
    add_account(parser, is_required=True)
    saving.add_rule(parser)
    parser.add_argument("--now", action="store_true", help="the first stage begins at the price of the moment")
    parser.add_argument("--off", action="store_true", help="take the rule away; the stop stays where it is")


def _declare_account(parser: argparse.ArgumentParser) -> None:
    add_account(parser, is_required=True)


def _declare_lock(parser: argparse.ArgumentParser) -> None:
    add_account(parser, is_required=True)
    parser.add_argument("--reduce-only", action="store_true", help="until `unlock`, instead of until the next session")


def _declare_oco(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("keys", metavar="KEY", nargs="+", help="two or more working orders of one account and contract")


def _check_oco(arguments: argparse.Namespace) -> None:
    if len(set(arguments.keys)) < 2:
        raise Usage("Name two or more orders; see `pitdesk orders`.")


def _declare_bracket_mode(parser: argparse.ArgumentParser) -> None:
    add_account(parser, is_required=True)
    parser.add_argument("mode", nargs="?", choices=_MODES, help="state it, as the broker's own page shows it")


def _declare_flatten(parser: argparse.ArgumentParser) -> None:
    add_account(parser, is_required=False)
    parser.add_argument("--contract", help="only this contract")
    parser.add_argument("--all", action="store_true", help="every account of the login")


def _percent(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole percentage from 1 to 100")
    return int(text)


def _ticks(text: str) -> int:
    if not text.isdecimal() or int(text) > TICKS_MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of ticks from 0 to {TICKS_MOST}")
    return int(text)


def _check_modify(arguments: argparse.Namespace) -> None:
    names = ("size", "price", "limit", "stop", "trail")
    if all(getattr(arguments, name) is None for name in names):
        raise errors.InvalidOrder("order", "Nothing to change: name a size or a price.")


def _check_cancel(arguments: argparse.Namespace) -> None:
    is_group = arguments.all or any(getattr(arguments, name) is not None for name in _GROUP)
    if is_group == (arguments.key is not None):
        raise Usage("Name one order's key, or a group (--all, --contract, --side, ...) with --account.")
    if arguments.price is not None and arguments.contract is None:
        raise Usage("--price needs --contract: a price belongs to one.")
    if is_group and arguments.account is None:
        raise Usage("--all needs --account NAME, and so does a group; see `pitdesk accounts`.")


def _check_flatten(arguments: argparse.Namespace) -> None:
    if arguments.all == (arguments.account is not None):
        raise Usage("Name --account NAME, or --all for every account of the login.")
    if arguments.all and arguments.contract is not None:
        raise Usage("--all flattens everything; --contract belongs to one --account.")


def _check_trail_rule(arguments: argparse.Namespace) -> None:
    has_rule = arguments.break_even is not None or bool(arguments.trail)
    if arguments.off == has_rule or (arguments.now and not arguments.trail):
        raise Usage("Give --trail or --break-even, or --off; --now belongs to --trail.")
    if has_rule:
        saving.rule_of(arguments)


async def _modify(desk: Desk, arguments: argparse.Namespace) -> Row:
    change = Change(
        size_lots=arguments.size,
        price=arguments.price,
        limit=arguments.limit,
        stop=arguments.stop,
        trail=arguments.trail,
    )
    try:
        return {"modified": await acts.modify(desk, arguments.key, change, is_armed=arguments.yes)}
    except errors.Denied as error:
        if arguments.yes or "not armed" not in error.text:
            raise
        # The gate speaks of panels; here the switch is an option.
        hint = ("not_confirmed", "Nothing was changed: this raises the risk; add --yes.")
        raise errors.Denied(error.tag, [hint]) from None


async def _modify_stop(desk: Desk, arguments: argparse.Namespace) -> Row:
    return {"modified": await acts.modify_exit(desk, arguments.account, arguments.contract, "stop", arguments.price)}


async def _modify_target(desk: Desk, arguments: argparse.Namespace) -> Row:
    return {"modified": await acts.modify_exit(desk, arguments.account, arguments.contract, "target", arguments.price)}


async def _cancel(desk: Desk, arguments: argparse.Namespace) -> Row:
    if arguments.key is not None:
        return {"cancelled": await acts.cancel(desk, arguments.key)}
    group = Group(
        contract=arguments.contract,
        side=arguments.side,
        kind=arguments.kind,
        price=arguments.price,
        role=_ROLES.get(arguments.role or ""),
    )
    return {"cancelled": await acts.cancel_group(desk, arguments.account, group)}


async def _close(desk: Desk, arguments: argparse.Namespace) -> Row:
    account, contract = arguments.account, arguments.contract
    return {"closed": await acts.close(desk, account, contract, lots=arguments.size, percent=arguments.fraction)}


async def _reverse(desk: Desk, arguments: argparse.Namespace) -> Row:
    return {"reversed": await acts.reverse(desk, arguments.account, arguments.contract)}


async def _break_even(desk: Desk, arguments: argparse.Namespace) -> Row:
    return {"stops": await acts.break_even(desk, arguments.account, arguments.contract, arguments.plus)}


async def _trail_rule(desk: Desk, arguments: argparse.Namespace) -> Row:
    rule = None if arguments.off else saving.rule_of(arguments)
    return {"rules": await acts.follow_stop(desk, arguments.account, arguments.contract, rule, is_now=arguments.now)}


async def _oco(desk: Desk, arguments: argparse.Namespace) -> Row:
    return {"linked": await acts.link(desk, arguments.keys)}


async def _bracket_mode(desk: Desk, arguments: argparse.Namespace) -> Row:
    mode = arguments.mode.replace("-", "_") if arguments.mode is not None else None
    return {"bracket_mode": await acts.bracket_mode(desk, arguments.account, mode)}


async def _lock(desk: Desk, arguments: argparse.Namespace) -> Row:
    mode = "reducing" if arguments.reduce_only else "locked"
    return {"locked": await acts.set_mode(desk, arguments.account, mode)}


async def _unlock(desk: Desk, arguments: argparse.Namespace) -> Row:
    return {"unlocked": await acts.set_mode(desk, arguments.account, "normal")}


async def _flatten(desk: Desk, arguments: argparse.Namespace) -> Row:
    if arguments.all:
        return {"flattened": await acts.flatten_everything(desk)}
    return {"flattened": await acts.flatten(desk, arguments.account, arguments.contract)}


COMMANDS = (
    Command(
        name="modify",
        text="Change size or price of a working order.",
        declare=_declare_modify,
        check=_check_modify,
        perform=_modify,
    ),
    Command(
        name="modify-stop",
        text="Move the stop of a position.",
        declare=_declare_modify_exit,
        perform=_modify_stop,
        aliases=("modify_stop",),
    ),
    Command(
        name="modify-target",
        text="Move the target of a position.",
        declare=_declare_modify_exit,
        perform=_modify_target,
        aliases=("modify_target", "modify-tp", "modify_tp"),
    ),
    Command(
        name="cancel",
        text="Cancel one order, a group, or all of an account.",
        declare=_declare_cancel,
        check=_check_cancel,
        perform=_cancel,
    ),
    Command(name="close", text="Close a position or a part of it.", declare=_declare_close, perform=_close),
    Command(
        name="reverse",
        text="Cancel a position's exits, wait for proof, turn it with one order.",
        declare=_declare_reverse,
        check=_check_reverse,
        perform=_reverse,
    ),
    Command(
        name="break-even",
        text="Bring the stops of a position to its average price.",
        declare=_declare_break_even,
        perform=_break_even,
        aliases=("break_even",),
    ),
    Command(
        name="trail-rule",
        text="Let this computer move the stops of a position: break-even, trailing in up to three stages.",
        declare=_declare_trail_rule,
        check=_check_trail_rule,
        perform=_trail_rule,
    ),
    Command(name="oco", text="Let one order cancel the others.", declare=_declare_oco, check=_check_oco, perform=_oco),
    Command(
        name="bracket-mode",
        text="Show or state whether an account takes native brackets (auto-oco) or not (position-brackets).",
        declare=_declare_bracket_mode,
        perform=_bracket_mode,
    ),
    Command(
        name="lock",
        text="No entries on an account until the next session, or reduce only until `unlock`.",
        declare=_declare_lock,
        perform=_lock,
    ),
    Command(name="unlock", text="End reduce only.", declare=_declare_account, perform=_unlock),
    Command(
        name="flatten",
        text="Cancel all orders of an account and close its positions.",
        declare=_declare_flatten,
        check=_check_flatten,
        perform=_flatten,
    ),
)
