"""The command line's way into an engine that runs elsewhere: its control socket, and a desk over it.

One JSON object a line, answers in the order of the requests; operations are named like the engine's methods and rows
have the fields of its records (see `engine/control.rs`). What the window chose stays as it is: accounts, limits and
subscriptions are its own.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from pathlib import Path
from typing import Any, Self

from app import domain, errors, logs
from app.domain import Account, Contract, Order, Position
from app.native import NativeEngine, RequestDone
from app.services import desk, session, trading
from app.services.desk import SOURCE, Row, Ticket
from app.services.market import front_month

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

    def __init__(self, client: ControlClient, deadline_s: float) -> None:
        self._client = client
        self._deadline_s = deadline_s

    async def accounts(self) -> list[Row]:
        return [desk.account_row(account) for account in await self._accounts()]

    async def contracts(self, text: str) -> list[Row]:
        if text:
            await self._client.request("search_contracts", text=text)
        wanted = text.upper()
        return [
            desk.contract_row(contract)
            for contract in await self._contracts()
            if wanted in f"{contract.id} {contract.name} {contract.root} {contract.description}".upper()
        ]

    async def quote(self, contract: str) -> Row:
        found = await self._find(contract)
        view = await self._client.call("quote", contract_id=found.id)
        if not _has_price(view):
            await self._client.request("subscribe", contract_id=found.id)
            view = await self._first_quote(found)
        return desk.quote_row_of(found, view)

    async def positions(self, account: str | None) -> list[Row]:
        wanted, names = await self._named(account)
        contracts = {contract.id: contract for contract in await self._contracts()}
        positions = [Position(**row) for row in await self._client.call("positions")]
        return [
            desk.position_row(position, contracts.get(position.contract_id), names)
            for position in positions
            if position.account_id in wanted and position.net_lots
        ]

    async def orders(self, account: str | None, *, with_done: bool) -> list[Row]:
        wanted, names = await self._named(account)
        contracts = {contract.id: contract for contract in await self._contracts()}
        return [
            desk.order_row(order, contracts.get(order.contract_id), names)
            for order in await self._orders()
            if order.account_id in wanted and (with_done or not domain.is_done(order))
        ]

    async def place(self, ticket: Ticket) -> Row:
        accounts = await self._accounts()
        account = session.account_named(accounts, ticket.account)
        contract = await self._find(ticket.contract)
        draft = desk.draft_of(ticket, account, contract)
        trading.check_shape(draft, accounts, [contract])
        await self.quote(contract.id)
        await self._client.call("arm", source=SOURCE, account_id=account.id, is_armed=True)
        try:
            told = await self._client.call("submit", **desk.submit_arguments(draft))
            order = trading.accepted(await self._decided(told["tag"]))
        finally:
            await self._client.call("arm", source=SOURCE, account_id=account.id, is_armed=False)
        return desk.order_row(order, contract, {account.id: account.name})

    async def cancel(self, key: str) -> Row:
        order = desk.order_named(await self._orders(), key)
        answer = await self._client.request("cancel", key=order.key, source=SOURCE)
        return {"key": order.key, "outcome": answer.outcome, "text": answer.text}

    async def cancel_all(self, account: str, contract: str | None) -> Row:
        return await self._exit("cancel_group", account, contract)

    async def flatten(self, account: str, contract: str | None) -> Row:
        return await self._exit("flatten", account, contract)

    async def _exit(self, operation: str, account: str, contract: str | None) -> Row:
        chosen = session.account_named(await self._accounts(), account)
        arguments = {"contract_id": (await self._find(contract)).id} if contract else {}
        answer = await self._client.request(operation, account_id=chosen.id, source=SOURCE, **arguments)
        return {"account": chosen.name, "outcome": answer.outcome, "text": answer.text}

    async def _accounts(self) -> list[Account]:
        return [Account(**row) for row in await self._client.call("accounts")]

    async def _contracts(self) -> list[Contract]:
        return [Contract(**row) for row in await self._client.call("contracts")]

    async def _orders(self) -> list[Order]:
        return [Order(**row) for row in await self._client.call("orders")]

    async def _named(self, account: str | None) -> tuple[set[int], dict[int, str]]:
        accounts = await self._accounts()
        chosen = [session.account_named(accounts, account)] if account else accounts
        return {held.id for held in chosen}, {held.id: held.name for held in accounts}

    async def _find(self, text: str) -> Contract:
        wanted = text.strip().upper()
        for is_searched in (False, True):
            if is_searched:
                await self._client.request("search_contracts", text=text)
            contracts = await self._contracts()
            named = [contract for contract in contracts if wanted in {contract.id.upper(), contract.name.upper()}]
            if found := (named[0] if named else front_month(contracts, wanted)):
                return found
        raise errors.InvalidOption("contract", text, "a root, name or id that `pitdesk contracts` lists")

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
                    for order in await self._orders():
                        if order.tag == tag and trading.is_decided(order):
                            return order
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise errors.OutcomeUnknown(
                f"Order {tag} has no answer after {self._deadline_s:g} s. It may be live.", tag
            ) from None


def _has_price(view: Any) -> bool:
    return bool(view) and any(view[name] is not None for name in ("best_bid_ticks", "best_ask_ticks", "last_ticks"))
