"""One connected engine as the command line sees it, whoever it is: our own headless one or a running window's.

A desk finds accounts, contracts, orders and positions by the names people use and passes requests on; what a command
does with them is written once, in `acts`. Requests carry the names and arguments of the engine's methods.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from app import domain
from app.domain import Account, Contract, Limits, Order, Position, Risk
from app.errors import InvalidOrder, NotConnected
from app.native import RequestDone
from app.services import risk, rows, session, trading
from app.services.composition import Services
from app.services.exits import NO_EXITS, ExitTemplate, plan_of
from app.services.rows import Row
from app.services.trading import OrderDraft

SOURCE = "cli"
_MARK_DEADLINE_S = 3.0


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """An order as a person types it: prices are text, the contract any name, the account a name or id.

    `exits` protect it from the first fill; their prices are measured from the order's own price, or from the side of
    the market that a market order takes.
    """

    account: str
    contract: str
    side: str
    kind: str
    size_lots: int
    limit: str | None = None
    stop: str | None = None
    trail: str | None = None
    exits: ExitTemplate | None = None
    is_reduce_only: bool = False


class Desk(Protocol):
    """Every method raises the errors of `app.errors`. A row of `quote` tells prices as text and as ticks."""

    @property
    def is_lasting(self) -> bool:
        """Whether this engine goes on after the command: a rule held by this computer acts only then."""

    async def accounts(self) -> list[Account]: ...
    async def account(self, wanted: str) -> Account:
        """The account of this name or id, followed and within its limits."""

    async def follow(self, wanted: str | None) -> list[Account]:
        """The account named, or all of them, with orders and positions up to date."""

    async def contracts(self, text: str) -> list[Contract]: ...
    async def contract(self, wanted: str) -> Contract: ...
    async def known_contracts(self) -> list[Contract]: ...
    async def quote(self, contract: Contract) -> Row: ...
    async def positions(self) -> list[Position]:
        """Of the followed accounts, with marks where a market answers."""

    async def orders(self) -> list[Order]: ...
    async def limits(self, account: Account) -> Limits: ...
    async def set_limits(self, account: Account, limits: Limits) -> None: ...
    async def risk(self, account: Account) -> Risk: ...
    async def request(self, operation: str, **arguments: Any) -> RequestDone:
        """A request that ends later; returns when it is done."""

    def armed(self, account: Account) -> contextlib.AbstractAsyncContextManager[None]:
        """Consent to what is sent within: the one order of a command."""

    async def place(self, draft: OrderDraft) -> Order:
        """Send within `armed` and wait until the order works or is done."""


class HeadlessDesk:
    """A desk over services of this process, connected already."""

    is_lasting = False

    def __init__(self, services: Services) -> None:
        self._services = services
        self._engine = services.engine
        self._deadline_s = services.options.trading.request_deadline_s

    async def accounts(self) -> list[Account]:
        return self._engine.accounts()

    async def account(self, wanted: str) -> Account:
        return await self._services.session.choose(wanted)

    async def follow(self, wanted: str | None) -> list[Account]:
        accounts = self._engine.accounts()
        followed = [session.account_named(accounts, wanted)] if wanted else accounts
        await self._services.session.observe(followed)
        return followed

    async def contracts(self, text: str) -> list[Contract]:
        return await self._services.market.search(text)

    async def contract(self, wanted: str) -> Contract:
        return await self._services.market.find(wanted)

    async def known_contracts(self) -> list[Contract]:
        return self._engine.contracts()

    async def quote(self, contract: Contract) -> Row:
        return rows.quote_row(contract, await self._services.market.first_quote(contract, self._deadline_s))

    async def positions(self) -> list[Position]:
        contracts = {contract.id: contract for contract in self._engine.contracts()}
        for contract_id in {held.contract_id for held in self._engine.positions() if held.net_lots} & contracts.keys():
            # Without a price there is no open profit to show; a closed market is no reason to show no position.
            with contextlib.suppress(NotConnected):
                await self._services.market.first_quote(contracts[contract_id], _MARK_DEADLINE_S)
        return self._engine.positions()

    async def orders(self) -> list[Order]:
        return self._engine.orders()

    async def limits(self, account: Account) -> Limits:
        return self._engine.limits(account.id)

    async def set_limits(self, account: Account, limits: Limits) -> None:
        self._engine.set_limits(account.id, limits)

    async def risk(self, account: Account) -> Risk:
        return risk.of_account(self._engine.risks(), account)

    async def request(self, operation: str, **arguments: Any) -> RequestDone:
        options = self._services.options.trading
        deadline_s = options.flatten_deadline_s if operation in SLOW else options.request_deadline_s
        number: int = getattr(self._engine, operation)(**arguments)
        return self._engine.checked(await self._engine.answer(number, deadline_s))

    @contextlib.asynccontextmanager
    async def armed(self, account: Account) -> AsyncIterator[None]:
        await self._order_connection()
        self._services.trading.arm(SOURCE, account.id, is_armed=True)
        try:
            yield
        finally:
            self._services.trading.arm(SOURCE, account.id, is_armed=False)

    async def place(self, draft: OrderDraft) -> Order:
        contract = await self.contract(draft.contract_id)
        # The gate measures the distance from the market: it needs a price before it is asked.
        await self._services.market.watch(contract)
        await self._services.market.first_quote(contract, self._deadline_s)
        return await self._services.trading.place(draft)

    async def _order_connection(self) -> None:
        """Wait until the broker's answers would be seen: before that every order is denied, and arming is cleared."""
        changed = asyncio.Event()
        stop = self._engine.listen(domain.LinkChanged, lambda _: changed.set())
        try:
            async with asyncio.timeout(self._deadline_s):
                while all(link.name != "user" or link.state != "live" for link in self._engine.links()):
                    await changed.wait()
                    changed.clear()
        except TimeoutError:
            raise NotConnected(f"The order connection is not open after {self._deadline_s:g} s.") from None
        finally:
            stop()


# Requests that end only after reading back.
SLOW = frozenset({"close_position", "reverse", "flatten", "flatten_everything", "cancel_group"})


def order_named(orders: Sequence[Order], key: str) -> Order:
    """The order with this key, tag or broker id. Raises InvalidOrder."""
    for order in orders:
        if key in {order.key, order.tag, str(order.order_id)}:
            return order
    raise InvalidOrder("order", f"There is no order {key!r}; see `pitdesk orders --all`.")


def draft_of(ticket: Ticket, account: Account, contract: Contract, *, market_ticks: int | None = None) -> OrderDraft:
    """Turn typed text into ticks. `market_ticks` is where a market order of this side would fill.

    Raises InvalidOrder beside the field.
    """

    def ticks(text: str | None, field: str) -> int | None:
        return None if text is None else trading.ticks_from_text(contract, text, field)

    limit, stop = ticks(ticket.limit, "limit"), ticks(ticket.stop, "stop")
    entry = next((price for price in (limit, stop, market_ticks) if price is not None), None)
    plan = NO_EXITS
    if ticket.exits is not None:
        plan = plan_of(ticket.exits, contract, ticket.side, ticket.size_lots, entry_ticks=entry)
    return OrderDraft(
        account_id=account.id,
        contract_id=contract.id,
        side=ticket.side,
        kind=ticket.kind,
        size_lots=ticket.size_lots,
        source=SOURCE,
        limit_ticks=limit,
        stop_ticks=stop,
        trail_ticks=trading.distance_ticks(contract, ticket.trail, "trail"),
        reduce_only=ticket.is_reduce_only,
        exits=plan,
    )
