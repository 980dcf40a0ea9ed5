"""The facade over the engine, and the only module that imports the extension.

    engine thread ── one byte ──► wake socket ──► pump() ──► listeners by event type
                                                     └─────► answers to request ids

There is one reader (decision 27): the window calls `pump()` from a `QSocketNotifier` on `wake_fileno()`, a headless
program lets `attach()` do it with `loop.add_reader`. Everything here runs on the thread that owns that loop. Python
keeps the wake socket until `shutdown()` has joined all engine threads, so that no thread ever writes to a descriptor
that somebody else has been given.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
import trading_bot_core as core
from trading_bot_core import (
    Account,
    AccountChanged,
    ArmedChanged,
    BarFrame,
    Contract,
    Denied,
    ExitProgress,
    Fill,
    FillAdded,
    Limits,
    Link,
    LinkChanged,
    MarketFrame,
    Notice,
    Order,
    OrderChanged,
    Position,
    PositionChanged,
    RequestDone,
    Resync,
    Risk,
    RiskChanged,
    Rules,
    RuleUse,
    StopRule,
    StopRuleChanged,
)

from app import errors

__all__ = [
    "BUILD_HASH",
    "VERSION",
    "Account",
    "AccountChanged",
    "ArmedChanged",
    "BarFrame",
    "Contract",
    "Denied",
    "ExitProgress",
    "Fill",
    "FillAdded",
    "Limits",
    "Link",
    "LinkChanged",
    "MarketFrame",
    "NativeEngine",
    "Notice",
    "Order",
    "OrderChanged",
    "Position",
    "PositionChanged",
    "RequestDone",
    "Resync",
    "Risk",
    "RiskChanged",
    "RuleUse",
    "Rules",
    "StopRule",
    "StopRuleChanged",
    "check_build",
]

BUILD_HASH = core.BUILD_HASH
VERSION = core.VERSION

_DRAIN_LIMIT = 1024
_STUB = Path(__file__).resolve().parents[1] / "native" / "stubs" / "trading_bot_core.pyi"

_log = logging.getLogger(__name__)
_EventT = TypeVar("_EventT")


def check_build(stub: Path = _STUB) -> None:
    """Refuse an extension that was built from another seam than the one this tree describes.

    The extension carries the FNV-1a hash of the stub it was compiled with. A wheel or a bundle ships no stub: there
    both halves come out of one build and nothing is compared. Raises BuildMismatch.
    """
    if not stub.is_file():
        return
    wanted = _fnv1a(stub.read_bytes())
    if wanted != BUILD_HASH:
        raise errors.BuildMismatch(
            "build", f"The engine was built for seam {BUILD_HASH}, this tree has {wanted}. Build it again with ./dev."
        )


def _fnv1a(data: bytes) -> str:
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x00000100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Turn the extension's exceptions into ours, keeping the chain for the log."""
    try:
        yield
    except core.Busy as error:
        raise errors.EngineBusy(error.kind, error.text) from error
    except core.Halted as error:
        raise errors.EngineHalted(error.kind, error.text) from error
    except core.InvalidCommand as error:
        raise errors.InvalidCommand(error.kind, error.text) from error
    except core.EngineError as error:
        raise errors.EngineFault(error.kind, error.text) from error


class NativeEngine:
    """One engine and its wake socket. Not thread-safe: use it on the loop's thread (views may be read anywhere)."""

    def __init__(self, engine: core.Engine, wake: tuple[socket.socket, socket.socket]) -> None:
        self._engine = engine
        self._reader, self._writer = wake
        self._listeners: dict[type, list[Callable[[Any], None]]] = {}
        self._answers: dict[int, asyncio.Future[RequestDone]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    @classmethod
    def open(cls, base: Path, *, is_headless: bool = False, journal_sync: str = "group") -> NativeEngine:
        """Take the base directory's lock and start the engine. `journal_sync` as the option `journal.sync`.

        Raises EngineBusy when another process holds it, BuildMismatch for an extension of another build.
        """
        check_build()
        reader, writer = socket.socketpair()
        for end in (reader, writer):
            end.settimeout(0)
        try:
            with _translated():
                engine = core.Engine(str(base), writer.fileno(), is_headless=is_headless, journal_sync=journal_sync)
        except BaseException:
            reader.close()
            writer.close()
            raise
        return cls(engine, (reader, writer))

    # wake

    def wake_fileno(self) -> int:
        return self._reader.fileno()

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let this loop pump by itself; for programs without a window."""
        loop.add_reader(self._reader.fileno(), self.pump)
        self._loop = loop

    def detach(self) -> None:
        if self._loop is not None:
            self._loop.remove_reader(self._reader.fileno())
            self._loop = None

    def pump(self) -> None:
        """Clear the flag, drain what there is and hand it out.

        The flag is cleared before draining: an event that arrives in between then wakes again instead of waiting.
        """
        with contextlib.suppress(BlockingIOError):
            while self._reader.recv(64):
                pass
        self._engine.clear_wake()
        while True:
            events = self._engine.drain(_DRAIN_LIMIT)
            for event in events:
                self._hand_out(event)
            if len(events) < _DRAIN_LIMIT:
                return

    def _hand_out(self, event: core.Event) -> None:
        if isinstance(event, RequestDone):
            answer = self._answers.pop(event.request_id, None)
            if answer is not None and not answer.done():
                answer.set_result(event)
        for listener in (*self._listeners.get(type(event), ()), *self._listeners.get(object, ())):
            try:
                listener(event)
            except Exception:  # noqa: BLE001 -- whatever a panel raises
                # One broken panel must not keep an order's news from the others.
                _log.exception("listener failed event=%s", type(event).__name__)

    def listen(self, event_type: type[_EventT], listener: Callable[[_EventT], None]) -> Callable[[], None]:
        """Call `listener` with every event of this type, in order. Returns the function that ends it."""
        listeners = self._listeners.setdefault(event_type, [])
        listeners.append(listener)

        def stop() -> None:
            if listener in listeners:
                listeners.remove(listener)

        return stop

    def listen_to_all(self, listener: Callable[[core.Event], None]) -> Callable[[], None]:
        """Call `listener` with every event of any type, after the listeners of its own type."""
        return self.listen(cast("type[core.Event]", object), listener)

    async def answer(self, request_id: int, deadline_s: float) -> RequestDone:
        """Wait for a request's end, whatever it is. Call it before the next await, or the answer may be gone.

        Raises OutcomeUnknown when the deadline passes first.
        """
        waiting: asyncio.Future[RequestDone] = asyncio.get_running_loop().create_future()
        self._answers[request_id] = waiting
        try:
            async with asyncio.timeout(deadline_s):
                return await waiting
        except TimeoutError:
            raise errors.OutcomeUnknown(f"No answer after {deadline_s:g} s; it may still have been done.") from None
        finally:
            self._answers.pop(request_id, None)

    async def done(self, request_id: int, deadline_s: float, tag: str = "") -> Any:
        """Wait for a request to be done and return its payload, decoded from JSON.

        Raises Denied, BrokerRejected, OutcomeUnknown or NotConnected, after the outcome.
        """
        answer = self.checked(await self.answer(request_id, deadline_s), tag)
        return json.loads(answer.payload_json or "{}")

    @staticmethod
    def checked(answer: RequestDone, tag: str = "") -> RequestDone:
        """Return an answer that says done; raise the exception that names any other outcome."""
        match answer.outcome:
            case "done":
                return answer
            case "denied":
                raise errors.Denied(tag, [("denied", answer.text)])
            case "refused":
                raise errors.BrokerRejected("refused", answer.text, tag)
            case "unknown":
                raise errors.OutcomeUnknown(answer.text, tag)
            case _:
                raise errors.NotConnected(answer.text)

    # life

    def connect(
        self, rest_url: str, user_hub_url: str, market_hub_url: str, user_name: str, api_key: str, *, environment: str
    ) -> int:
        with _translated():
            return self._engine.connect(
                rest_url, user_hub_url, market_hub_url, user_name, api_key, environment=environment
            )

    def disconnect(self) -> int:
        with _translated():
            return self._engine.disconnect()

    def choose_accounts(self, account_ids: Sequence[int]) -> int:
        with _translated():
            return self._engine.choose_accounts(account_ids)

    def shutdown(self) -> None:
        """Stop the engine and only then give up the wake socket. Idempotent; blocks until every thread is joined."""
        self.detach()
        for waiting in self._answers.values():
            waiting.cancel()
        self._answers.clear()
        self._engine.shutdown()
        self._reader.close()
        self._writer.close()

    def stop(self) -> None:
        """Join the engine's threads without touching the loop; may run in an executor. `shutdown()` must follow."""
        self._engine.shutdown()

    def is_running(self) -> bool:
        return self._engine.is_running()

    def halt(self, reason: str) -> None:
        self._engine.halt(reason)

    def beat_window(self) -> None:
        """Show the guardian that this thread takes its turns."""
        self._engine.beat_window()

    def lead_guardian(self, pipe_fd: int) -> None:
        """Hand over the write end of a guardian's standard input; the engine closes it."""
        with _translated():
            self._engine.lead_guardian(pipe_fd)

    # market

    def subscribe(self, contract_id: str) -> int:
        with _translated():
            return self._engine.subscribe(contract_id)

    def unsubscribe(self, contract_id: str) -> int:
        with _translated():
            return self._engine.unsubscribe(contract_id)

    def watch_bars(self, contract_id: str, unit: str, number: int, history_count: int) -> int:
        with _translated():
            return self._engine.watch_bars(contract_id, unit, number, history_count)

    def frame(self, contract: int, since_revision: int, trade_limit: int = 500) -> MarketFrame | None:
        with _translated():
            return self._engine.frame(contract, since_revision, trade_limit)

    def bars(self, contract: int, unit: str, number: int, since_revision: int) -> BarFrame | None:
        with _translated():
            return self._engine.bars(contract, unit, number, since_revision)

    def trace_book(self, contract_id: str) -> None:
        with _translated():
            self._engine.trace_book(contract_id)

    def take_book_trace(self) -> npt.NDArray[np.int64]:
        with _translated():
            return self._engine.take_book_trace()

    def search_contracts(self, text: str) -> int:
        with _translated():
            return self._engine.search_contracts(text)

    # orders

    def submit(
        self,
        account_id: int,
        contract_id: str,
        side: str,
        kind: str,
        size_lots: int,
        *,
        source: str,
        limit_ticks: int | None = None,
        stop_ticks: int | None = None,
        trail_ticks: int | None = None,
        stop_bracket_ticks: int | None = None,
        target_bracket_ticks: int | None = None,
        reduce_only: bool = False,
        pressed_mono_ns: int = 0,
    ) -> str:
        """Push one order and return its tag. Raises EngineBusy, EngineHalted or InvalidCommand."""
        with _translated():
            return self._engine.submit(
                account_id,
                contract_id,
                side,
                kind,
                size_lots,
                source=source,
                limit_ticks=limit_ticks,
                stop_ticks=stop_ticks,
                trail_ticks=trail_ticks,
                stop_bracket_ticks=stop_bracket_ticks,
                target_bracket_ticks=target_bracket_ticks,
                reduce_only=reduce_only,
                pressed_mono_ns=pressed_mono_ns,
            )

    def submit_bracket(
        self,
        account_id: int,
        contract_id: str,
        side: str,
        kind: str,
        size_lots: int,
        *,
        source: str,
        stop_leg_ticks: int,
        target_legs: Sequence[tuple[int, int]] | None = None,
        held_by: str = "broker",
        when_bare: str = "alarm",
        break_even_trigger_ticks: int | None = None,
        break_even_plus_ticks: int = 0,
        trail_stages: Sequence[tuple[int, int, int]] = (),
        limit_ticks: int | None = None,
        stop_ticks: int | None = None,
        trail_ticks: int | None = None,
        pressed_mono_ns: int = 0,
    ) -> str:
        """Push an entry with its legs and return its tag. Raises EngineBusy, EngineHalted or InvalidCommand."""
        with _translated():
            return self._engine.submit_bracket(
                account_id,
                contract_id,
                side,
                kind,
                size_lots,
                source=source,
                stop_leg_ticks=stop_leg_ticks,
                target_legs=target_legs,
                held_by=held_by,
                when_bare=when_bare,
                break_even_trigger_ticks=break_even_trigger_ticks,
                break_even_plus_ticks=break_even_plus_ticks,
                trail_stages=trail_stages,
                limit_ticks=limit_ticks,
                stop_ticks=stop_ticks,
                trail_ticks=trail_ticks,
                pressed_mono_ns=pressed_mono_ns,
            )

    def link_oco(self, keys: Sequence[str], *, source: str) -> int:
        with _translated():
            return self._engine.link_oco(keys, source=source)

    def set_bracket_mode(self, account_id: int, mode: str) -> int:
        with _translated():
            return self._engine.set_bracket_mode(account_id, mode)

    def modify(
        self,
        key: str,
        *,
        size_lots: int | None = None,
        limit_ticks: int | None = None,
        stop_ticks: int | None = None,
        trail_ticks: int | None = None,
        source: str,
    ) -> int:
        with _translated():
            return self._engine.modify(
                key,
                size_lots=size_lots,
                limit_ticks=limit_ticks,
                stop_ticks=stop_ticks,
                trail_ticks=trail_ticks,
                source=source,
            )

    def cancel(self, key: str, *, source: str) -> int:
        with _translated():
            return self._engine.cancel(key, source=source)

    def cancel_group(
        self,
        account_id: int,
        *,
        contract_id: str | None = None,
        side: str | None = None,
        kind: str | None = None,
        role: str | None = None,
        lowest_ticks: int | None = None,
        highest_ticks: int | None = None,
        source: str,
    ) -> int:
        with _translated():
            return self._engine.cancel_group(
                account_id,
                contract_id=contract_id,
                side=side,
                kind=kind,
                role=role,
                lowest_ticks=lowest_ticks,
                highest_ticks=highest_ticks,
                source=source,
            )

    def close_position(
        self,
        account_id: int,
        contract_id: str,
        *,
        size_lots: int | None = None,
        percent: int | None = None,
        source: str,
    ) -> int:
        with _translated():
            return self._engine.close_position(
                account_id, contract_id, size_lots=size_lots, percent=percent, source=source
            )

    def reverse(
        self,
        account_id: int,
        contract_id: str,
        *,
        stop_ticks: int | None = None,
        target_ticks: int | None = None,
        source: str,
    ) -> int:
        with _translated():
            return self._engine.reverse(
                account_id, contract_id, stop_ticks=stop_ticks, target_ticks=target_ticks, source=source
            )

    def flatten_everything(self, *, source: str) -> int:
        with _translated():
            return self._engine.flatten_everything(source=source)

    def flatten(self, account_id: int, *, contract_id: str | None = None, source: str) -> int:
        with _translated():
            return self._engine.flatten(account_id, contract_id=contract_id, source=source)

    def set_stop_rule(
        self,
        key: str,
        *,
        break_even_trigger_ticks: int | None = None,
        break_even_plus_ticks: int = 0,
        trail_stages: Sequence[tuple[int, int, int]] = (),
        is_immediate: bool = False,
        source: str,
    ) -> int:
        with _translated():
            return self._engine.set_stop_rule(
                key,
                break_even_trigger_ticks=break_even_trigger_ticks,
                break_even_plus_ticks=break_even_plus_ticks,
                trail_stages=trail_stages,
                is_immediate=is_immediate,
                source=source,
            )

    def clear_stop_rule(self, key: str, *, source: str) -> int:
        with _translated():
            return self._engine.clear_stop_rule(key, source=source)

    def arm(self, source: str, account_id: int, is_armed: bool) -> None:
        with _translated():
            self._engine.arm(source, account_id, is_armed)

    def set_limits(self, account_id: int, limits: Limits) -> None:
        with _translated():
            self._engine.set_limits(account_id, limits)

    def set_rules(self, account_id: int, rules: Rules) -> int:
        with _translated():
            return self._engine.set_rules(account_id, rules)

    def set_mode(self, account_id: int, mode: str, *, source: str) -> int:
        with _translated():
            return self._engine.set_mode(account_id, mode, source=source)

    def release_throttle(self, account_id: int, throttled: str, *, source: str) -> int:
        with _translated():
            return self._engine.release_throttle(account_id, throttled, source=source)

    def reconcile(self) -> int:
        with _translated():
            return self._engine.reconcile()

    # views

    def accounts(self) -> list[Account]:
        return self._engine.accounts()

    def contracts(self) -> list[Contract]:
        return self._engine.contracts()

    def orders(self) -> list[Order]:
        return self._engine.orders()

    def positions(self) -> list[Position]:
        return self._engine.positions()

    def fills(self) -> list[Fill]:
        return self._engine.fills()

    def stop_rules(self) -> list[StopRule]:
        return self._engine.stop_rules()

    def links(self) -> list[Link]:
        return self._engine.links()

    def limits(self, account_id: int) -> Limits:
        with _translated():
            return self._engine.limits(account_id)

    def risks(self) -> list[Risk]:
        """The rules of accounts and where each stands, of every account that has rules or a mode."""
        return self._engine.risks()

    def is_armed(self, source: str, account_id: int) -> bool:
        return self._engine.is_armed(source, account_id)

    def status(self) -> dict[str, int | str | bool]:
        return self._engine.status()

    def note_painted(self, receive_mono_ns: int) -> None:
        self._engine.note_painted(receive_mono_ns)

    def mono_ns(self) -> int:
        return self._engine.mono_ns()
