"""Market data for panels and command line: contracts by any name, counted subscriptions, frames, bars.

A panel holds the product root and shows its front month; an expiry is never stored (decision 8).
"""

from __future__ import annotations

import asyncio
from collections import Counter

from app.domain import BarFrame, Contract, MarketFrame
from app.errors import InvalidOption, NotConnected
from app.native import NativeEngine

_MONTHS = "FGHJKMNQUVXZ"
_FRAME_POLL_S = 0.02


class MarketService:
    def __init__(self, engine: NativeEngine, deadline_s: float) -> None:
        self._engine = engine
        self._deadline_s = deadline_s
        self._watchers: Counter[str] = Counter()

    # contracts

    def contracts(self) -> list[Contract]:
        return self._engine.contracts()

    def known(self, text: str) -> Contract | None:
        """The contract with this id or name, or the front month of this root, among those already known."""
        wanted = text.strip().upper()
        contracts = self._engine.contracts()
        for contract in contracts:
            if wanted in {contract.id.upper(), contract.name.upper()}:
                return contract
        return front_month(contracts, wanted)

    async def find(self, text: str) -> Contract:
        """Like `known`, but asks the gateway when the contract is new to us. Raises InvalidOption."""
        if found := self.known(text):
            return found
        if text.strip():
            await self._engine.done(self._engine.search_contracts(text.strip()), self._deadline_s)
        if found := self.known(text):
            return found
        roots = sorted({contract.root for contract in self._engine.contracts() if contract.is_active})
        raise InvalidOption("contract", text, "a root, name or id; roots known here: " + (", ".join(roots) or "none"))

    async def search(self, text: str) -> list[Contract]:
        """Every contract whose id, name or description holds the text; all known ones for an empty text."""
        if text.strip():
            await self._engine.done(self._engine.search_contracts(text.strip()), self._deadline_s)
        wanted = text.strip().upper()
        return [c for c in self._engine.contracts() if wanted in f"{c.id} {c.name} {c.root} {c.description}".upper()]

    # subscriptions

    async def watch(self, contract: Contract) -> None:
        """Keep the contract streaming until as many `release` calls; the first watcher subscribes."""
        self._watchers[contract.id] += 1
        if self._watchers[contract.id] == 1:
            try:
                await self._engine.done(self._engine.subscribe(contract.id), self._deadline_s)
            except BaseException:
                self._watchers[contract.id] -= 1
                raise

    async def release(self, contract: Contract) -> None:
        assert self._watchers[contract.id] > 0, "every release follows a watch"
        self._watchers[contract.id] -= 1
        if self._watchers[contract.id] == 0:
            del self._watchers[contract.id]
            await self._engine.done(self._engine.unsubscribe(contract.id), self._deadline_s)

    def watched(self) -> list[str]:
        return sorted(contract for contract, count in self._watchers.items() if count)

    # views

    def frame(self, contract: Contract, since_revision: int, trade_limit: int = 500) -> MarketFrame | None:
        return self._engine.frame(contract.index, since_revision, trade_limit)

    async def first_quote(self, contract: Contract, deadline_s: float) -> MarketFrame:
        """Watch until bid or ask or a last price is known. Raises NotConnected when the market stays silent."""
        await self.watch(contract)
        try:
            async with asyncio.timeout(deadline_s):
                while True:
                    frame = self._engine.frame(contract.index, 0)
                    if frame is not None and _has_price(frame):
                        return frame
                    # Market data is a pull by design: there is no event to wait for.
                    await asyncio.sleep(_FRAME_POLL_S)
        except TimeoutError:
            raise NotConnected(
                f"No price of {contract.name} within {deadline_s:g} s; its market may be closed."
            ) from None
        finally:
            await self.release(contract)

    async def watch_bars(self, contract: Contract, unit: str, number: int, history_count: int) -> None:
        """Fetch history and join it to the live prints; then `bars` has the series."""
        request = self._engine.watch_bars(contract.id, unit, number, history_count)
        await self._engine.done(request, self._deadline_s)

    def bars(self, contract: Contract, unit: str, number: int, since_revision: int) -> BarFrame | None:
        return self._engine.bars(contract.index, unit, number, since_revision)


def front_month(contracts: list[Contract], root: str) -> Contract | None:
    """The nearest active contract of a root."""
    listed = [contract for contract in contracts if contract.root.upper() == root and contract.is_active]
    return min(listed, key=_expiry_order, default=None)


def _expiry_order(contract: Contract) -> tuple[int, int]:
    month_year = contract.id.rpartition(".")[2]
    letter, year = month_year[:1], month_year[1:]
    if letter in _MONTHS and year.isdigit():
        return int(year), _MONTHS.index(letter)
    return 10_000, 0


def _has_price(frame: MarketFrame) -> bool:
    return any(price is not None for price in (frame.best_bid_ticks, frame.best_ask_ticks, frame.last_ticks))
