"""The command line's way into an engine that runs elsewhere: its control socket, and a desk over it.

One JSON object a line, answers in the order of the requests; operations are named like the engine's methods and rows
have the fields of its records (see `engine/control.rs`). What the window chose stays as it is: accounts, limits and
subscriptions are its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

from app import errors, logs
from app.domain import Account, Contract, Limits, Order, Position, Risk, RuleUse
from app.native import NativeEngine, RequestDone
from app.services import desk, risk, rows, session, trading
from app.services.market import front_month
from app.services.rows import Row
from app.services.trading import OrderDraft

SOCKET_NAME = "control.sock"
TOKEN_NAME = "control.token"  # noqa: S105 -- the name of a file
_ANSWER_DEADLINE_S = 35.0
_POLL_S = 0.02


class ControlClient:
    """One connection. Calls are made one after the other; a lost connection is NotConnected."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str) -> None:
        self._reader = reader
        self._writer = writer
        self._token = token
        self._numbers = itertools.count(1)

    @classmethod
    async def connect(cls, base: Path) -> Self | None:
        """Reach the engine of this base directory; None when none is running there."""
        if not (base / SOCKET_NAME).exists() or not hasattr(asyncio, "open_unix_connection"):
            return None
        try:
            token = (base / TOKEN_NAME).read_text(encoding="utf-8").strip()
            reader, writer = await asyncio.open_unix_connection(str(base / SOCKET_NAME), limit=1 << 26)
        except OSError:
            # A socket file without a listener is what a killed engine leaves behind.
            return None
        logs.hide(token)
        return cls(reader, writer, token)

    async def call(self, operation: str, **arguments: Any) -> Any:
        """Perform one operation and return its result. Raises the error of `app.errors` that its kind names."""
        line = json.dumps({"id": next(self._numbers), "token": self._token, "op": operation, "args": arguments})
        try:
            async with asyncio.timeout(_ANSWER_DEADLINE_S):
                self._writer.write(line.encode() + b"\n")
                await self._writer.drain()
                answer = json.loads(await self._reader.readuntil(b"\n"))
        except (OSError, asyncio.IncompleteReadError) as error:
            raise errors.NotConnected("The running window closed the connection; is it still there?") from error
        except TimeoutError:
            raise errors.OutcomeUnknown(f"The running window did not answer within {_ANSWER_DEADLINE_S:g} s.") from None
        if not answer["ok"]:
            raise _error(str(answer["kind"]), str(answer["text"]))
        return answer["result"]

    async def request(self, operation: str, **arguments: Any) -> RequestDone:
        """Perform an operation that ends later; raises what `NativeEngine.checked` raises."""
        told = await self.call(operation, **arguments)
        return NativeEngine.checked(RequestDone(0, told["outcome"], told["text"], told["payload"] or ""))

    async def close(self) -> None:
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except OSError:
            return


def _error(kind: str, text: str) -> errors.PitdeskError:
    match kind:
        case "busy":
            return errors.EngineBusy(kind, text)
        case "halted":
            return errors.EngineHalted(kind, text)
        case "invalid" | "invalid_command":
            return errors.InvalidCommand(kind, text)
        case "unknown":
            return errors.OutcomeUnknown(text)
        case "closed":
            return errors.NotConnected(text)
        case _:
            return errors.EngineFault(kind, text)


class ControlDesk:
    """A desk over somebody else's engine."""

    is_lasting = True

    def __init__(self, client: ControlClient, deadline_s: float) -> None:
        self._client = client
        self._deadline_s = deadline_s

    async def accounts(self) -> list[Account]:
        return [Account(**row) for row in await self._client.call("accounts")]

    async def account(self, wanted: str) -> Account:
        return session.account_named(await self.accounts(), wanted)

    async def follow(self, wanted: str | None) -> list[Account]:
        accounts = await self.accounts()
        return [session.account_named(accounts, wanted)] if wanted else accounts

    async def contracts(self, text: str) -> list[Contract]:
        if text:
            await self.request("search_contracts", text=text)
        wanted = text.upper()
        return [
            c for c in await self.known_contracts() if wanted in f"{c.id} {c.name} {c.root} {c.description}".upper()
        ]

    async def contract(self, wanted: str) -> Contract:
        name = wanted.strip().upper()
        for is_searched in (False, True):
            if is_searched:
                await self.request("search_contracts", text=wanted)
            contracts = await self.known_contracts()
            named = [contract for contract in contracts if name in {contract.id.upper(), contract.name.upper()}]
            if found := (named[0] if named else front_month(contracts, name)):
                return found
        raise errors.InvalidOption("contract", wanted, "a root, name or id that `pitdesk contracts` lists")

    async def known_contracts(self) -> list[Contract]:
        return [Contract(**row) for row in await self._client.call("contracts")]

    async def quote(self, contract: Contract) -> Row:
        view = await self._client.call("quote", contract_id=contract.id)
        if not _has_price(view):
            await self.request("subscribe", contract_id=contract.id)
            view = await self._first_quote(contract)
        return rows.quote_row_of(contract, view)

    async def positions(self) -> list[Position]:
        return [Position(**row) for row in await self._client.call("positions")]

    async def orders(self) -> list[Order]:
        return [Order(**row) for row in await self._client.call("orders")]

    async def limits(self, account: Account) -> Limits:
        return Limits(**await self._client.call("limits", account_id=account.id))

    async def set_limits(self, account: Account, limits: Limits) -> None:
        named = {name: getattr(limits, name) for name in rows.LIMIT_NAMES}
        await self._client.call("set_limits", account_id=account.id, **named)

    async def risk(self, account: Account) -> Risk:
        told = await self._client.call("risks")
        held = [Risk(**row | {"uses": [RuleUse(**each) for each in row["uses"]]}) for row in told]
        return risk.of_account(held, account)

    async def request(self, operation: str, **arguments: Any) -> RequestDone:
        return await self._client.request(operation, **arguments)

    @contextlib.asynccontextmanager
    async def armed(self, account: Account) -> AsyncIterator[None]:
        await self._client.call("arm", source=desk.SOURCE, account_id=account.id, is_armed=True)
        try:
            yield
        finally:
            await self._client.call("arm", source=desk.SOURCE, account_id=account.id, is_armed=False)

    async def place(self, draft: OrderDraft) -> Order:
        await self.quote(await self.contract(draft.contract_id))
        operation, arguments = trading.operation_of(draft)
        told = await self._client.call(operation, **arguments)
        return trading.accepted(await self._decided(told["tag"]))

    async def _first_quote(self, contract: Contract) -> Row:
        try:
            async with asyncio.timeout(self._deadline_s):
                while True:
                    view: Row = await self._client.call("quote", contract_id=contract.id)
                    if _has_price(view):
                        return view
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise errors.NotConnected(f"No price of {contract.name} within {self._deadline_s:g} s.") from None

    async def _decided(self, tag: str) -> Order:
        try:
            async with asyncio.timeout(self._deadline_s):
                while True:
                    for order in await self.orders():
                        if order.tag == tag and trading.is_decided(order):
                            return order
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise errors.OutcomeUnknown(
                f"Order {tag} has no answer after {self._deadline_s:g} s. It may be live.", tag
            ) from None


def _has_price(view: Any) -> bool:
    return bool(view) and any(view[name] is not None for name in ("best_bid_ticks", "best_ask_ticks", "last_ticks"))
