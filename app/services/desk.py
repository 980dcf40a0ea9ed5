"""What the command line can ask for, as plain rows, whoever answers: our own headless engine or a running window's.

A row holds integers as the engine has them and, beside them, the price or amount as text, so that a program reads the
one and a person the other.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from app import domain
from app.domain import Account, Contract, Order, Position
from app.errors import InvalidOrder, NotConnected
from app.native import MarketFrame
from app.services import session, trading
from app.services.composition import Services
from app.services.trading import OrderDraft

SOURCE = "cli"
_MARK_DEADLINE_S = 3.0

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """An order as a person types it: prices are text, the contract any name, the account a name or id."""

    account: str
    contract: str
    side: str
    kind: str
    size_lots: int
    limit: str | None = None
    stop: str | None = None
    trail_ticks: int | None = None
    stop_bracket_ticks: int | None = None
    target_bracket_ticks: int | None = None


class Desk(Protocol):
    """One connected engine. Every method raises the errors of `app.errors`; `is_armed` states the person's consent."""

    async def accounts(self) -> list[Row]: ...
    async def contracts(self, text: str) -> list[Row]: ...
    async def quote(self, contract: str) -> Row: ...
    async def positions(self, account: str | None) -> list[Row]: ...
    async def orders(self, account: str | None, *, with_done: bool) -> list[Row]: ...
    async def place(self, ticket: Ticket) -> Row: ...
    async def cancel(self, key: str) -> Row: ...
    async def cancel_all(self, account: str, contract: str | None) -> Row: ...
    async def flatten(self, account: str, contract: str | None) -> Row: ...


class HeadlessDesk:
    """A desk over services of this process, connected already."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._engine = services.engine

    async def accounts(self) -> list[Row]:
        return [account_row(account) for account in self._engine.accounts()]

    async def contracts(self, text: str) -> list[Row]:
        return [contract_row(contract) for contract in await self._services.market.search(text)]

    async def quote(self, contract: str) -> Row:
        found = await self._services.market.find(contract)
        frame = await self._services.market.first_quote(found, self._services.options.trading.request_deadline_s)
        return quote_row(found, frame)

    async def positions(self, account: str | None) -> list[Row]:
        wanted = await self._follow(account)
        contracts = self._contracts()
        for contract_id in {position.contract_id for position in self._open_positions(wanted)} & contracts.keys():
            # Without a price there is no open profit to show; a closed market is no reason to show no position.
            with contextlib.suppress(NotConnected):
                await self._services.market.first_quote(contracts[contract_id], _MARK_DEADLINE_S)
        names = self._names()
        return [
            position_row(position, contracts.get(position.contract_id), names)
            for position in self._open_positions(wanted)
        ]

    def _open_positions(self, accounts: set[int]) -> list[Position]:
        return [held for held in self._engine.positions() if held.net_lots and held.account_id in accounts]

    async def orders(self, account: str | None, *, with_done: bool) -> list[Row]:
        wanted = await self._follow(account)
        return [
            self._order_row(order)
            for order in self._engine.orders()
            if order.account_id in wanted and (with_done or not domain.is_done(order))
        ]

    async def place(self, ticket: Ticket) -> Row:
        account = await self._services.session.choose(ticket.account)
        contract = await self._services.market.find(ticket.contract)
        draft = draft_of(ticket, account, contract)
        trading.check_shape(draft, self._engine.accounts(), self._engine.contracts())
        # The gate measures the distance from the market: it needs a price before it is asked.
        await self._services.market.watch(contract)
        await self._services.market.first_quote(contract, self._services.options.trading.request_deadline_s)
        await self._order_connection()
        self._services.trading.arm(SOURCE, account.id, is_armed=True)
        try:
            return self._order_row(await self._services.trading.place(draft))
        finally:
            self._services.trading.arm(SOURCE, account.id, is_armed=False)

    async def _order_connection(self) -> None:
        """Wait until the broker's answers would be seen: before that every order is denied, and arming is cleared."""
        deadline_s = self._services.options.trading.request_deadline_s
        changed = asyncio.Event()
        stop = self._engine.listen(domain.LinkChanged, lambda _: changed.set())
        try:
            async with asyncio.timeout(deadline_s):
                while all(link.name != "user" or link.state != "live" for link in self._engine.links()):
                    await changed.wait()
                    changed.clear()
        except TimeoutError:
            raise NotConnected(f"The order connection is not open after {deadline_s:g} s.") from None
        finally:
            stop()

    async def cancel(self, key: str) -> Row:
        await self._follow(None)
        order = order_named(self._engine.orders(), key)
        answer = await self._services.trading.cancel(order.key, source=SOURCE)
        return {"key": order.key, "outcome": answer.outcome, "text": answer.text}

    async def cancel_all(self, account: str, contract: str | None) -> Row:
        chosen = await self._services.session.choose(account)
        contract_id = (await self._services.market.find(contract)).id if contract else None
        answer = await self._services.trading.cancel_group(chosen.id, contract_id=contract_id, source=SOURCE)
        return {"account": chosen.name, "outcome": answer.outcome, "text": answer.text}

    async def flatten(self, account: str, contract: str | None) -> Row:
        chosen = await self._services.session.choose(account)
        contract_id = (await self._services.market.find(contract)).id if contract else None
        answer = await self._services.trading.flatten(chosen.id, contract_id=contract_id, source=SOURCE)
        return {"account": chosen.name, "outcome": answer.outcome, "text": answer.text}

    async def _follow(self, account: str | None) -> set[int]:
        accounts = self._engine.accounts()
        followed = [session.account_named(accounts, account)] if account else accounts
        await self._services.session.observe(followed)
        return {held.id for held in followed}

    def _contracts(self) -> dict[str, Contract]:
        return {contract.id: contract for contract in self._engine.contracts()}

    def _names(self) -> dict[int, str]:
        return {account.id: account.name for account in self._engine.accounts()}

    def _order_row(self, order: Order) -> Row:
        return order_row(order, self._contracts().get(order.contract_id), self._names())


def order_named(orders: Sequence[Order], key: str) -> Order:
    """The order with this key, tag or broker id. Raises InvalidOrder."""
    for order in orders:
        if key in {order.key, order.tag, str(order.order_id)}:
            return order
    raise InvalidOrder("order", f"There is no order {key!r}; see `pitdesk orders --all`.")


def draft_of(ticket: Ticket, account: Account, contract: Contract) -> OrderDraft:
    """Turn typed text into ticks. Raises InvalidOrder beside the field."""

    def ticks(text: str | None, field: str) -> int | None:
        return None if text is None else trading.ticks_from_text(contract, text, field)

    return OrderDraft(
        account_id=account.id,
        contract_id=contract.id,
        side=ticket.side,
        kind=ticket.kind,
        size_lots=ticket.size_lots,
        source=SOURCE,
        limit_ticks=ticks(ticket.limit, "limit"),
        stop_ticks=ticks(ticket.stop, "stop"),
        trail_ticks=ticket.trail_ticks,
        stop_bracket_ticks=ticket.stop_bracket_ticks,
        target_bracket_ticks=ticket.target_bracket_ticks,
    )


def submit_arguments(draft: OrderDraft) -> Row:
    """The draft as arguments of the control socket's `submit`; the moment of the press stays in its process."""
    return {name: value for name, value in asdict(draft).items() if name != "pressed_mono_ns"}


def account_row(account: Account) -> Row:
    return {
        "id": account.id,
        "name": account.name,
        "word": account.word,
        "kind": account.kind_text,
        "balance_1e4": account.balance_1e4,
        "balance": domain.money_text(account.balance_1e4),
        "can_trade": account.can_trade,
    }


def contract_row(contract: Contract) -> Row:
    return {
        "id": contract.id,
        "name": contract.name,
        "root": contract.root,
        "description": contract.description,
        "tick": contract.price_text(1),
        "tick_value": domain.money_text(contract.tick_value_1e4),
        "tick_value_1e4": contract.tick_value_1e4,
        "is_active": contract.is_active,
    }


def quote_row(contract: Contract, frame: MarketFrame) -> Row:
    names = (
        "best_bid_ticks",
        "best_ask_ticks",
        "last_ticks",
        "last_lots",
        "session_lots",
        "book_state",
        "broker_time_ns",
        "is_late",
    )
    return quote_row_of(contract, {name: getattr(frame, name) for name in names})


def quote_row_of(contract: Contract, view: Mapping[str, Any]) -> Row:
    """A quote from the fields of a market view, however it came here."""

    def text(ticks: int | None) -> str | None:
        return None if ticks is None else contract.price_text(ticks)

    return {
        "contract_id": contract.id,
        "name": contract.name,
        "bid": text(view["best_bid_ticks"]),
        "ask": text(view["best_ask_ticks"]),
        "last": text(view["last_ticks"]),
        "last_lots": view["last_lots"],
        "session_lots": view["session_lots"],
        "book_state": view["book_state"],
        "broker_time_ns": view["broker_time_ns"],
        "is_late": view["is_late"],
    }


def position_row(position: Position, contract: Contract | None, names: dict[int, str]) -> Row:
    mark = position.mark_ticks
    return {
        "account_id": position.account_id,
        "account": names.get(position.account_id, ""),
        "contract_id": position.contract_id,
        "name": contract.name if contract else position.contract_id,
        "net_lots": position.net_lots,
        "average": domain.average_price_text(contract, position.average_ticks_1e4) if contract else None,
        "mark": contract.price_text(mark) if contract and mark is not None else None,
        "open_pnl_1e4": None if mark is None else position.open_pnl_1e4,
        "open_pnl": None if mark is None else domain.money_text(position.open_pnl_1e4, is_signed=True),
        "realised_1e4": position.realised_1e4,
        "realised": domain.money_text(position.realised_1e4, is_signed=True),
        "fees_1e4": position.fees_1e4,
        "stop_lots": position.stop_lots,
        "is_disputed": position.is_disputed,
    }


def order_row(order: Order, contract: Contract | None, names: dict[int, str]) -> Row:
    def text(ticks: int | None) -> str | None:
        return None if ticks is None or contract is None else contract.price_text(ticks)

    average = order.average_fill_ticks_1e4
    return {
        "key": order.key,
        "order_id": order.order_id,
        "account_id": order.account_id,
        "account": names.get(order.account_id, ""),
        "contract_id": order.contract_id,
        "name": contract.name if contract else order.contract_id,
        "side": order.side,
        "kind": order.kind,
        "size_lots": order.size_lots,
        "filled_lots": order.filled_lots,
        "limit": text(order.limit_ticks),
        "stop": text(order.stop_ticks),
        "average": domain.average_price_text(contract, average) if contract and average is not None else None,
        "life": order.life,
        "look": order.look,
        "is_foreign": order.is_foreign,
        "reason": order.reason,
    }
