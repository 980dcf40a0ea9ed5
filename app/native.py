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
import functools
import json
import logging
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

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
_P = ParamSpec("_P")
_R = TypeVar("_R")


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


_OURS: dict[type[core.EngineError], type[errors.EngineFault]] = {
    core.Busy: errors.EngineBusy,
    core.Halted: errors.EngineHalted,
    core.InvalidCommand: errors.InvalidCommand,
}


def _through(
    method: Callable[Concatenate[core.Engine, _P], _R],
) -> Callable[Concatenate[NativeEngine, _P], _R]:
    """Let the facade have a method of the engine under the same name, with our exceptions instead of the extension's.

    Arguments, units and results are those of the stub.
    """

    name = method.__name__

    @functools.wraps(method)
    def call(self: NativeEngine, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return cast("_R", getattr(self._engine, name)(*args, **kwargs))
        except core.EngineError as error:
            raise _translated(error) from error

    return call


def _translated(error: core.EngineError) -> errors.EngineFault:
    """Return our exception for one of the extension's; the chain is for the log."""
    return _OURS.get(type(error), errors.EngineFault)(error.kind, error.text)


class NativeEngine:
    """One engine and its wake socket. Not thread-safe: use it on the loop's thread (views may be read anywhere)."""

    def __init__(self, engine: core.Engine, wake: tuple[socket.socket, socket.socket]) -> None:
        self._engine = engine
        self._reader, self._writer = wake
        self._listeners: dict[type, list[Callable[[Any], None]]] = {}
        self._answers: dict[int, asyncio.Future[RequestDone]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    @classmethod
    def open(
        cls, base: Path, *, is_headless: bool = False, journal_sync: str = "group", spin: str = "auto"
    ) -> NativeEngine:
        """Take the base directory's lock and start the engine. Options: `journal.sync` and `engine.spin`.

        Raises EngineBusy when another process holds it, BuildMismatch for an extension of another build.
        """
        check_build()
        reader, writer = socket.socketpair()
        for end in (reader, writer):
            end.settimeout(0)
        try:
            engine = core.Engine(
                str(base),
                writer.fileno(),
                is_headless=is_headless,
                journal_sync=journal_sync,
                spin=spin,
            )
        except BaseException as error:
            reader.close()
            writer.close()
            if isinstance(error, core.EngineError):
                raise _translated(error) from error
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

    connect = _through(core.Engine.connect)
    disconnect = _through(core.Engine.disconnect)
    choose_accounts = _through(core.Engine.choose_accounts)

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

    is_running = _through(core.Engine.is_running)
    halt = _through(core.Engine.halt)
    beat_window = _through(core.Engine.beat_window)
    lead_guardian = _through(core.Engine.lead_guardian)

    # market

    subscribe = _through(core.Engine.subscribe)
    unsubscribe = _through(core.Engine.unsubscribe)
    watch_bars = _through(core.Engine.watch_bars)
    frame = _through(core.Engine.frame)
    bars = _through(core.Engine.bars)
    trace_book = _through(core.Engine.trace_book)
    take_book_trace = _through(core.Engine.take_book_trace)
    search_contracts = _through(core.Engine.search_contracts)

    # orders

    submit = _through(core.Engine.submit)
    submit_bracket = _through(core.Engine.submit_bracket)
    link_oco = _through(core.Engine.link_oco)
    set_bracket_mode = _through(core.Engine.set_bracket_mode)
    modify = _through(core.Engine.modify)
    cancel = _through(core.Engine.cancel)
    cancel_group = _through(core.Engine.cancel_group)
    close_position = _through(core.Engine.close_position)
    reverse = _through(core.Engine.reverse)
    flatten = _through(core.Engine.flatten)
    flatten_everything = _through(core.Engine.flatten_everything)
    set_stop_rule = _through(core.Engine.set_stop_rule)
    clear_stop_rule = _through(core.Engine.clear_stop_rule)
    arm = _through(core.Engine.arm)
    set_limits = _through(core.Engine.set_limits)
    set_rules = _through(core.Engine.set_rules)
    set_mode = _through(core.Engine.set_mode)
    release_throttle = _through(core.Engine.release_throttle)
    reconcile = _through(core.Engine.reconcile)

    # views

    accounts = _through(core.Engine.accounts)
    contracts = _through(core.Engine.contracts)
    orders = _through(core.Engine.orders)
    orders_since = _through(core.Engine.orders_since)
    positions = _through(core.Engine.positions)
    fills = _through(core.Engine.fills)
    stop_rules = _through(core.Engine.stop_rules)
    links = _through(core.Engine.links)
    limits = _through(core.Engine.limits)
    risks = _through(core.Engine.risks)
    is_armed = _through(core.Engine.is_armed)
    status = _through(core.Engine.status)
    note_painted = _through(core.Engine.note_painted)
    mono_ns = _through(core.Engine.mono_ns)
