"""A stand-in for the extension's engine: it does what a test scripted and notes what it was asked."""

from __future__ import annotations

import json
import socket
from typing import Any

import trading_bot_core as core

from app.native import Account, Contract, Fill, MarketFrame, Order, Position, RequestDone
from tests.app import records


class ScriptedCore:
    def __init__(self, wake_fd: int) -> None:
        self.wake = socket.socket(fileno=socket.dup(wake_fd))
        self.waiting: list[object] = []
        self.calls: list[tuple[Any, ...]] = []
        self.is_busy = False
        self.outcome_by_call: dict[str, tuple[str, str]] = {}
        self.payload_by_call: dict[str, object] = {}
        self.events_by_call: dict[str, list[object]] = {}
        self.held_accounts: list[Account] = [records.account()]
        self.held_contracts: list[Contract] = [records.MNQ]
        self.held_orders: list[Order] = []
        self.held_fills: list[Fill] = []
        self.held_frames: list[MarketFrame | None] = []
        self._requests = 0

    def publish(self, *events: object) -> None:
        self.waiting += events
        self.wake.send(b"!")

    def called(self, name: str) -> list[tuple[Any, ...]]:
        return [call[1:] for call in self.calls if call[0] == name]

    def _request(self, name: str, *arguments: object) -> int:
        self.calls.append((name, *arguments))
        self._requests += 1
        outcome, text = self.outcome_by_call.get(name, ("done", ""))
        payload = json.dumps(self.payload_by_call.get(name, {}))
        if outcome != "silent":
            self.publish(*self.events_by_call.get(name, []), RequestDone(self._requests, outcome, text, payload))
        return self._requests

    def clear_wake(self) -> None:
        self.calls.append(("clear_wake",))

    def drain(self, limit: int) -> list[object]:
        self.calls.append(("drain",))
        taken, self.waiting = self.waiting[:limit], self.waiting[limit:]
        return taken

    def submit(self, *arguments: object, **named: object) -> str:
        if self.is_busy:
            error = core.Busy("the queue is full")
            error.kind, error.text = "busy", "The command queue is full."
            raise error
        self.calls.append(("submit", arguments, named))
        self.publish(*self.events_by_call.get("submit", []))
        return records.TAG

    def connect(self, *arguments: object, **named: object) -> int:
        return self._request("connect", arguments, named)

    def disconnect(self) -> int:
        return self._request("disconnect")

    def choose_accounts(self, ids: list[int]) -> int:
        return self._request("choose_accounts", ids)

    def set_limits(self, account_id: int, limits: object) -> None:
        self.calls.append(("set_limits", account_id, limits))

    def limits(self, account_id: int) -> object:
        return next(limits for held_id, limits in reversed(self.called("set_limits")) if held_id == account_id)

    def set_rules(self, account_id: int, rules: object) -> int:
        return self._request("set_rules", account_id, rules)

    def search_contracts(self, text: str) -> int:
        return self._request("search_contracts", text)

    def subscribe(self, contract_id: str) -> int:
        return self._request("subscribe", contract_id)

    def unsubscribe(self, contract_id: str) -> int:
        return self._request("unsubscribe", contract_id)

    def frame(self, contract: int, since_revision: int, trade_limit: int = 500) -> MarketFrame | None:
        return self.held_frames.pop(0) if self.held_frames else None

    def modify(self, key: str, **named: object) -> int:
        return self._request("modify", key, named)

    def cancel(self, key: str, *, source: str) -> int:
        return self._request("cancel", key, source)

    def flatten(self, account_id: int, *, contract_id: str | None, source: str) -> int:
        return self._request("flatten", account_id, contract_id, source)

    def reverse(self, account_id: int, contract_id: str, **named: object) -> int:
        return self._request("reverse", account_id, contract_id, named)

    def close_position(self, account_id: int, contract_id: str, **named: object) -> int:
        return self._request("close_position", account_id, contract_id, named)

    def set_stop_rule(self, key: str, **named: object) -> int:
        return self._request("set_stop_rule", key, named)

    def accounts(self) -> list[Account]:
        return self.held_accounts

    def contracts(self) -> list[Contract]:
        return self.held_contracts

    def orders(self) -> list[Order]:
        return self.held_orders

    def positions(self) -> list[Position]:
        return []

    def fills(self) -> list[Fill]:
        return self.held_fills

    def shutdown(self) -> None:
        self.calls.append(("shutdown",))
        if self.wake.fileno() != -1:
            self.wake.send(b"!")
            self.wake.close()
