"""Keeps what happened: engine news into the app store, off the loop's thread, in batches.

    pump ──► listeners note the news ──► one task at a time writes the batch in `py-io` ──► app store

Only the newest state of an order waits to be written; fills and notices wait in order. The first news is written at
once, what follows it half a second later: each write is a transaction, and its thread takes the interpreter's lock from
the window. A failed write is retried with
the next news and reported once as a log line: losing history must never stop trading.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import structlog

from app import domain
from app.domain import Account, Fill, Notice, Order
from app.native import NativeEngine

if TYPE_CHECKING:
    from app.persistence import AppStore

_log = structlog.get_logger(__name__)

_MOST_NOTICES_WAITING = 10_000
_PAUSE_S = 0.5

_T = TypeVar("_T")
_Batch = tuple[dict[tuple[int, str], Order], dict[tuple[int, int], Fill], dict[int, Account], list[Notice]]


class Recorder:
    """`opening` makes the store; it runs in the executor, once, when first needed: what is noted until then waits."""

    def __init__(self, engine: NativeEngine, opening: Callable[[], AppStore], executor: ThreadPoolExecutor) -> None:
        self._engine = engine
        self._opening = opening
        self._store: AppStore | None = None
        self._opening_once = asyncio.Lock()
        self._executor = executor
        # Qt calls the pump between two turns of the loop, where asyncio would not find it.
        self._loop = asyncio.get_running_loop()
        self._gateway = ""
        self._orders: dict[tuple[int, str], Order] = {}
        self._fills: dict[tuple[int, int], Fill] = {}
        self._accounts: dict[int, Account] = {}
        self._notices: list[Notice] = []
        self._writing: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()
        self._stops: list[Callable[[], None]] = [
            engine.listen(domain.OrderChanged, self._on_order),
            engine.listen(domain.FillAdded, self._on_fill),
            engine.listen(domain.AccountChanged, self._on_account),
            engine.listen(domain.Notice, self._on_notice),
            engine.listen(domain.Resync, self._on_resync),
        ]

    async def begin(self, gateway: str) -> None:
        """Everything from now on belongs to this gateway. Call it before connecting. Raises StoreUnavailable."""
        await self._open()
        await self.flush()
        self._orders.clear()
        self._fills.clear()
        self._accounts.clear()
        self._gateway = gateway

    async def run(self, verb: Callable[[AppStore], _T], /) -> _T:
        """Run a verb on the store in the executor, in turn with what is recorded. Raises StoreUnavailable."""
        store = await self._open()
        return await self._loop.run_in_executor(self._executor, verb, store)

    async def _open(self) -> AppStore:
        async with self._opening_once:
            if self._store is None:
                self._store = await self._loop.run_in_executor(self._executor, self._opening)
        return self._store

    async def flush(self) -> None:
        """Write what waits, and wait for it."""
        self._hurry.set()
        try:
            if self._writing is not None:
                await self._writing
            if self._has_news():
                await self._write()
        finally:
            self._hurry.clear()

    async def close(self) -> None:
        """Write what waits and close the store. What the engine says later is not kept."""
        for stop in self._stops:
            stop()
        await self.flush()
        if self._store is not None:
            await self._loop.run_in_executor(self._executor, self._store.close)

    def _on_order(self, event: domain.OrderChanged) -> None:
        self._note_order(event.order)
        self._wake()

    def _note_order(self, order: Order) -> None:
        self._orders[order.account_id, order.key] = order

    def _on_fill(self, event: domain.FillAdded) -> None:
        self._fills[event.fill.account_id, event.fill.trade_id] = event.fill
        self._wake()

    def _on_account(self, event: domain.AccountChanged) -> None:
        self._accounts[event.account.id] = event.account
        self._wake()

    def _on_notice(self, event: Notice) -> None:
        level = {"info": "info", "warning": "warning"}.get(event.level, "error")
        getattr(_log, level)("notice", code=event.code, text=event.text)
        if len(self._notices) < _MOST_NOTICES_WAITING:
            self._notices.append(event)
        self._wake()

    def _on_resync(self, _event: domain.Resync) -> None:
        for order in self._engine.orders():
            self._note_order(order)
        for fill in self._engine.fills():
            self._fills[fill.account_id, fill.trade_id] = fill
        self._accounts = {account.id: account for account in self._engine.accounts()}
        self._wake()

    def _has_news(self) -> bool:
        rows = self._gateway and (self._orders or self._fills or self._accounts)
        return self._store is not None and bool(self._notices or rows)

    def _wake(self) -> None:
        if self._writing is None and self._has_news():
            self._writing = self._loop.create_task(self._write_until_quiet(), name="recorder")

    async def _write_until_quiet(self) -> None:
        try:
            while self._has_news() and await self._write():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._hurry.wait(), _PAUSE_S)
        finally:
            self._writing = None

    async def _write(self) -> bool:
        store = self._store
        assert store is not None, "nothing counts as news before the store is open"
        orders, fills, accounts, notices = self._orders, self._fills, self._accounts, self._notices
        self._orders, self._fills, self._accounts, self._notices = {}, {}, {}, []
        started = time.monotonic()
        try:
            await self._loop.run_in_executor(
                self._executor, _keep, store, self._gateway, (orders, fills, accounts, notices)
            )
        except store.failure:
            _log.exception("recorder cannot write", orders=len(orders), fills=len(fills))
            # What came meanwhile is newer and wins.
            self._orders = orders | self._orders
            self._fills = fills | self._fills
            self._accounts = accounts | self._accounts
            self._notices = notices + self._notices
            return False
        _log.debug("recorder wrote", orders=len(orders), fills=len(fills), seconds=round(time.monotonic() - started, 4))
        return True


def _keep(store: AppStore, gateway: str, batch: _Batch) -> None:
    orders, fills, accounts, notices = batch
    if gateway:
        store.keep_orders(gateway, orders.values())
        store.keep_fills(gateway, fills.values())
        store.see_accounts(gateway, accounts.values())
    store.add_notices(notices)
