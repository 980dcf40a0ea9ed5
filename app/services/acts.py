"""What the commands do at a desk, each written once for a running window's engine and for our own.

Every act returns rows as the command line shows them, and raises the errors of `app.errors`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from app import domain
from app.domain import Account, Contract, Limits, Order, Position
from app.errors import InvalidOption, InvalidOrder
from app.services import exits, fees, management, rows, sizing, trading
from app.services.desk import SOURCE, Desk, Ticket, draft_of, order_named
from app.services.exits import ExitTemplate
from app.services.rows import Row

# looking


async def accounts(desk: Desk) -> list[Row]:
    return [rows.account_row(account) for account in await desk.accounts()]


async def contracts(desk: Desk, text: str) -> list[Row]:
    return [rows.contract_row(contract) for contract in await desk.contracts(text)]


async def quote(desk: Desk, contract: str) -> Row:
    return await desk.quote(await desk.contract(contract))


async def positions(desk: Desk, account: str | None) -> list[Row]:
    followed = {held.id for held in await desk.follow(account)}
    names, known = await _names(desk), await _contracts(desk)
    return [
        rows.position_row(position, known.get(position.contract_id), names)
        for position in await desk.positions()
        if position.account_id in followed and position.net_lots
    ]


async def orders(desk: Desk, account: str | None, *, with_done: bool) -> list[Row]:
    followed = {held.id for held in await desk.follow(account)}
    names, known = await _names(desk), await _contracts(desk)
    return [
        rows.order_row(order, known.get(order.contract_id), names)
        for order in await desk.orders()
        if order.account_id in followed and (with_done or not domain.is_done(order))
    ]


async def limits(desk: Desk, account: str) -> Row:
    chosen = await desk.account(account)
    return _limits_row(chosen, await desk.limits(chosen))


async def lower_limits(desk: Desk, account: str, wanted: dict[str, int]) -> Row:
    """Lower limits of an account from now on. Raises InvalidOption for one that would be raised."""
    chosen = await desk.account(account)
    held = await desk.limits(chosen)
    named: dict[str, int] = {name: getattr(held, name) for name in rows.LIMIT_NAMES}
    for name, value in wanted.items():
        if not 0 < value <= named[name]:
            raise InvalidOption(
                name, value, f"1 to {named[name]}: a limit is lowered at once and raised in the options"
            )
    lowered = Limits(**named | wanted)
    await desk.set_limits(chosen, lowered)
    return _limits_row(chosen, lowered)


async def risk(desk: Desk, account: str, *, mode: str | None, release: str | None) -> Row:
    """Where an account stands in its rules, after its mode was stated or a stopped source was let go on.

    Raises Denied: a lock holds until the next session.
    """
    chosen = await desk.account(account)
    if mode is not None:
        await desk.request("set_mode", account_id=chosen.id, mode=mode, source=SOURCE)
    if release is not None:
        await desk.request("release_throttle", account_id=chosen.id, throttled=release, source=SOURCE)
    return rows.risk_row(chosen, await desk.risk(chosen))


def _limits_row(account: Account, held: Limits) -> Row:
    return {"account": account.name, **{name: getattr(held, name) for name in rows.LIMIT_NAMES}}


async def set_mode(desk: Desk, account: str, mode: str) -> Row:
    """normal, reducing or locked; a lock holds until the next session."""
    chosen = await desk.account(account)
    answer = await desk.request("set_mode", account_id=chosen.id, mode=mode, source=SOURCE)
    return {"account": chosen.name, "mode": mode, "outcome": answer.outcome, "text": answer.text}


async def size_by_risk(desk: Desk, contract: str, *, risk: Decimal, stop: str, is_mixed: bool) -> Row:
    """Contracts for dollars of risk and a stop distance. Raises InvalidOrder, also for a product without known fees."""
    found = await desk.contract(contract)
    stop_ticks = exits.ticks_of(exits.parse_distance(stop, "stop"), found, "stop")
    micro = sizing.micro_of(found, await desk.contracts(sizing.MICRO_OF.get(found.root, found.root)))
    small = (micro, _fees(micro)) if micro is not None else None
    found_size = sizing.sized_by_risk(
        found, stop_ticks, int(risk * 10_000), fees_1e4=_fees(found), micro=small, is_mixed=is_mixed
    )
    return {
        "text": found_size.text,
        "parts": [
            {
                "contract": part.contract.name,
                "lots": part.lots,
                "stop_ticks": part.stop_ticks,
                "risk_1e4": part.risk_1e4,
            }
            | {"fees_1e4": part.fees_1e4}
            for part in found_size.parts
        ],
        "cost_1e4": found_size.cost_1e4,
        "risk_1e4": found_size.risk_1e4,
        "micro_lots": found_size.micro_lots,
    }


def _fees(contract: Contract) -> int:
    known = fees.round_turn_1e4(contract)
    if known is None:
        raise InvalidOrder("fees", f"The fees of {contract.root} are not known, so its risk cannot be stated.")
    return known


# ordering


async def place(desk: Desk, ticket: Ticket) -> Row:
    """Send one order; the person has consented."""
    account, contract = await desk.account(ticket.account), await desk.contract(ticket.contract)
    draft = draft_of(ticket, account, contract, market_ticks=await _market_ticks(desk, ticket, contract))
    trading.check_shape(draft, await desk.accounts(), [contract])
    async with desk.armed(account):
        order = await desk.place(draft)
    return rows.order_row(order, contract, {account.id: account.name})


async def _market_ticks(desk: Desk, ticket: Ticket, contract: Contract) -> int | None:
    """Where an order without a price of its own would fill: needed only for exits that are prices."""
    if ticket.exits is None or not ticket.exits.has_prices or ticket.limit or ticket.stop:
        return None
    ticks = (await desk.quote(contract))["ask_ticks" if ticket.side == "buy" else "bid_ticks"]
    if ticks is None:
        side = "ask" if ticket.side == "buy" else "bid"
        raise InvalidOrder("stop", f"{contract.name} shows no {side}: a price as exit has nothing to be measured from.")
    return int(ticks)


@dataclass(frozen=True, kw_only=True)
class Change:
    """What a person wants of a working order. `price` is the limit of a limit order and the stop of a stop order."""

    size_lots: int | None = None
    price: str | None = None
    limit: str | None = None
    stop: str | None = None
    trail: str | None = None


async def modify(desk: Desk, key: str, change: Change, *, is_armed: bool) -> Row:
    """Change one order; without consent only what does not raise the risk passes the gate."""
    await desk.follow(None)
    order = order_named(await desk.orders(), key)
    contract = await desk.contract(order.contract_id)
    return await _modify(desk, order, _wanted(order, contract, change), is_armed=is_armed)


def _wanted(order: Order, contract: Contract, change: Change) -> dict[str, int]:
    limit, stop = change.limit, change.stop
    if change.price is not None:
        if limit is not None or stop is not None or order.kind not in ("limit", "stop"):
            raise InvalidOrder("price", f"A {order.kind.replace('_', ' ')} order takes its prices one by one, by name.")
        limit, stop = (change.price, stop) if order.kind == "limit" else (limit, change.price)
    wanted: dict[str, int | None] = {
        "size_lots": change.size_lots,
        "limit_ticks": None if limit is None else trading.ticks_from_text(contract, limit, "limit"),
        "stop_ticks": None if stop is None else trading.ticks_from_text(contract, stop, "stop"),
        "trail_ticks": trading.distance_ticks(contract, change.trail, "trail"),
    }
    named = {name: value for name, value in wanted.items() if value is not None}
    if not named:
        raise InvalidOrder("order", "Nothing to change: name a size or a price.")
    return named


async def _modify(desk: Desk, order: Order, wanted: dict[str, int], *, is_armed: bool) -> Row:
    async with contextlib.AsyncExitStack() as stack:
        if is_armed:
            holder = next(held for held in await desk.accounts() if held.id == order.account_id)
            await stack.enter_async_context(desk.armed(holder))
        answer = await desk.request("modify", key=order.key, source=SOURCE, **wanted)
    return {"key": order.key, "outcome": answer.outcome, "text": answer.text, **wanted}


async def modify_exit(desk: Desk, account: str, contract: str, role: str, price: str) -> Row:
    """Move the stop or the target of a position: never an entry that rests on the same contract.

    Raises InvalidOrder when there is none, or more than one: then the order has to be named.
    """
    position, found, held = await _position(desk, account, contract)
    legs = management.exits_of(held, position.net_lots, role)
    if len(legs) != 1:
        keys = ", ".join(order.key for order in legs)
        raise InvalidOrder(
            role,
            f"The position in {found.name} has {len(legs)} working {role}s"
            + (f" ({keys}); name one with `pitdesk modify`." if legs else "; nothing was changed."),
        )
    ticks = trading.ticks_from_text(found, price, role)
    wanted = {"stop_ticks" if legs[0].kind != "limit" else "limit_ticks": ticks}
    return await _modify(desk, legs[0], wanted, is_armed=False)


async def break_even(desk: Desk, account: str, contract: str, plus_ticks: int) -> list[Row]:
    """Bring the stops of a position to its average price, and `plus_ticks` beyond; only where that tightens them."""
    position, found, held = await _position(desk, account, contract)
    changes = management.break_even_changes(held, position.net_lots, position.average_ticks_1e4, plus_ticks)
    if not changes:
        raise InvalidOrder("stop", f"No stop of the position in {found.name} would be tightened; nothing was changed.")
    by_key = {order.key: order for order in held}
    return [await _modify(desk, by_key[key], {"stop_ticks": ticks}, is_armed=False) for key, ticks in changes]


async def follow_stop(desk: Desk, account: str, contract: str, rule: ExitTemplate | None, *, is_now: bool) -> list[Row]:
    """Let this computer move the stops of a position: break-even and trailing stages of `rule`; None takes it away.

    With `is_now` the first stage begins at the price of the moment. The stops themselves stay at the broker.
    """
    _, found, held = await _position_and_stops(desk, account, contract)
    told = []
    for order in held:
        if rule is None:
            answer = await desk.request("clear_stop_rule", key=order.key, source=SOURCE)
        else:
            plan = exits.plan_of(rule, found, "buy", 1)
            answer = await desk.request("set_stop_rule", key=order.key, source=SOURCE, **plan.rule, is_immediate=is_now)
        told.append({"key": order.key, "outcome": answer.outcome, "text": answer.text})
    if rule is not None and not desk.is_lasting:
        told[-1]["text"] += " It sleeps until a window runs."
    return told


async def _position_and_stops(desk: Desk, account: str, contract: str) -> tuple[Position, Contract, list[Order]]:
    position, found, held = await _position(desk, account, contract)
    stops = management.exits_of(held, position.net_lots, "stop")
    if not stops:
        raise InvalidOrder("stop", f"The position in {found.name} has no stop to move; nothing was changed.")
    return position, found, stops


async def link(desk: Desk, keys: Sequence[str]) -> Row:
    """Let one of these working orders cancel the others. Held by this computer: the orders rest at the broker."""
    await desk.follow(None)
    orders = await desk.orders()
    named = [order_named(orders, key).key for key in keys]
    answer = await desk.request("link_oco", keys=named, source=SOURCE)
    text = answer.text if desk.is_lasting else f"{answer.text} It sleeps until a window runs.".strip()
    return {"keys": named, "outcome": answer.outcome, "text": text}


async def bracket_mode(desk: Desk, account: str, mode: str | None) -> Row:
    """Show an account's bracket setting at the broker, or state it."""
    chosen = await desk.account(account)
    if mode is not None:
        await desk.request("set_bracket_mode", account_id=chosen.id, mode=mode)
        chosen = await desk.account(account)
    return {"account": chosen.name, "mode": chosen.bracket_mode}


# leaving


@dataclass(frozen=True, kw_only=True)
class Group:
    """Working orders by what they are; None stands for any."""

    contract: str | None = None
    side: str | None = None
    kind: str | None = None
    role: str | None = None
    price: str | None = None


async def cancel(desk: Desk, key: str) -> Row:
    await desk.follow(None)
    order = order_named(await desk.orders(), key)
    answer = await desk.request("cancel", key=order.key, source=SOURCE)
    return {"key": order.key, "outcome": answer.outcome, "text": answer.text}


async def cancel_group(desk: Desk, account: str, group: Group) -> Row:
    """Cancel what matches all of it, and wait until it is gone. Raises InvalidOrder for a price without a contract."""
    chosen = await desk.account(account)
    found = await desk.contract(group.contract) if group.contract else None
    named: dict[str, Any] = {"side": group.side, "kind": group.kind, "role": group.role}
    named["contract_id"] = found.id if found is not None else None
    if group.price is not None:
        if found is None:
            raise InvalidOrder("price", "A price belongs to a contract: add --contract.")
        ticks = trading.ticks_from_text(found, group.price, "price")
        named |= {"lowest_ticks": ticks, "highest_ticks": ticks}
    given = {name: held for name, held in named.items() if held is not None}
    answer = await desk.request("cancel_group", account_id=chosen.id, source=SOURCE, **given)
    return {"account": chosen.name, "outcome": answer.outcome, "text": answer.text}


async def close(desk: Desk, account: str, contract: str, *, lots: int | None, percent: int | None) -> Row:
    """Close a position, a number of lots or a share of it; the rest stays, and its exits are made to fit.

    Raises InvalidOrder for more lots than are held, or when there is nothing.
    """
    position, found, _ = await _position(desk, account, contract)
    if lots is not None and lots > abs(position.net_lots):
        raise InvalidOrder("size", f"{lots} lots are more than the {abs(position.net_lots)} held in {found.name}.")
    given = {name: value for name, value in (("size_lots", lots), ("percent", percent)) if value is not None}
    place = {"account_id": position.account_id, "contract_id": found.id}
    answer = await desk.request("close_position", **place, source=SOURCE, **given)
    return {"contract": found.name, "outcome": answer.outcome, "text": answer.text}


async def reverse(desk: Desk, account: str, contract: str) -> Row:
    """Turn a position with one order once its exits are gone; the person has consented."""
    position, found, _ = await _position(desk, account, contract)
    async with desk.armed(await desk.account(account)):
        answer = await desk.request("reverse", account_id=position.account_id, contract_id=found.id, source=SOURCE)
    return {"contract": found.name, "from_lots": position.net_lots, "outcome": answer.outcome, "text": answer.text}


async def flatten(desk: Desk, account: str, contract: str | None) -> Row:
    chosen = await desk.account(account)
    named = {"contract_id": (await desk.contract(contract)).id} if contract else {}
    answer = await desk.request("flatten", account_id=chosen.id, source=SOURCE, **named)
    return {"account": chosen.name, "outcome": answer.outcome, "text": answer.text}


async def flatten_everything(desk: Desk) -> Row:
    """Flatten every account of the login; done when the last one was read back as flat."""
    followed = await desk.follow(None)
    answer = await desk.request("flatten_everything", source=SOURCE)
    return {"accounts": len(followed), "outcome": answer.outcome, "text": answer.text}


# finding


async def _position(desk: Desk, account: str, contract: str) -> tuple[Position, Contract, Sequence[Order]]:
    """The open position of an account and the working orders around it. Raises InvalidOrder."""
    chosen, found = await desk.account(account), await desk.contract(contract)
    held = [order for order in await desk.orders() if order.account_id == chosen.id and not domain.is_done(order)]
    for position in await desk.positions():
        if (position.account_id, position.contract_id) == (chosen.id, found.id) and position.net_lots:
            return position, found, [order for order in held if order.contract_id == found.id]
    raise InvalidOrder("contract", f"{chosen.name} has no position in {found.name}; see `pitdesk positions`.")


async def _names(desk: Desk) -> dict[int, str]:
    return {account.id: account.name for account in await desk.accounts()}


async def _contracts(desk: Desk) -> dict[str, Contract]:
    return {contract.id: contract for contract in await desk.known_contracts()}
