"""The human side of an order: is its shape possible, send it, and say in one word how it ended.

Shape is checked here (grid, sizes, what a kind needs) and answered beside the field; whether it is allowed is the
engine's gate, whether it is taken is the broker's word. Nothing here retries: an order without an answer is unknown.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, Protocol

import structlog

from app import domain, errors
from app.config import TradingOptions
from app.domain import Account, Contract, Order, RequestDone, StopRule
from app.errors import InvalidOrder
from app.native import NativeEngine
from app.services.exits import NO_EXITS, ExitPlan, parse_distance, ticks_of

_log = structlog.get_logger(__name__)
_P = ParamSpec("_P")

_NEEDS_LIMIT = frozenset({"limit", "stop_limit"})
_NEEDS_STOP = frozenset({"stop", "stop_limit"})
_MOST_LOTS = 1_000_000
_REFUSED_LIVES = frozenset({"refused", "not_accepted"})


class Draft(Protocol):
    """What a person asked for. Prices are ticks of the contract; None where the kind has no such price."""

    @property
    def account_id(self) -> int: ...
    @property
    def contract_id(self) -> str: ...
    @property
    def side(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def size_lots(self) -> int: ...
    @property
    def source(self) -> str: ...
    @property
    def limit_ticks(self) -> int | None: ...
    @property
    def stop_ticks(self) -> int | None: ...
    @property
    def trail_ticks(self) -> int | None: ...
    @property
    def exits(self) -> ExitPlan: ...
    @property
    def reduce_only(self) -> bool: ...
    @property
    def pressed_mono_ns(self) -> int: ...


@dataclass(frozen=True, kw_only=True)
class OrderDraft:
    """A draft of the command line and of tests; panels bring their own with the painted prices."""

    account_id: int
    contract_id: str
    side: str
    kind: str
    size_lots: int
    source: str
    limit_ticks: int | None = None
    stop_ticks: int | None = None
    trail_ticks: int | None = None
    exits: ExitPlan = NO_EXITS
    reduce_only: bool = False
    pressed_mono_ns: int = 0


def ticks_from_text(contract: Contract, text: str, field: str) -> int:
    """Parse a price a person typed. Raises InvalidOrder, naming the nearest grid prices."""
    try:
        return contract.ticks_from_text(text.strip())
    except ValueError as error:
        raise InvalidOrder(field, str(error)) from None


def distance_ticks(contract: Contract, text: str | None, field: str) -> int | None:
    """Parse a distance a person typed, in ticks, points or dollars. Raises InvalidOrder."""
    return None if text is None else ticks_of(parse_distance(text, field), contract, field)


def operation_of(draft: Draft) -> tuple[str, dict[str, Any]]:
    """The engine's operation for a draft and its arguments by name. The moment of the press is not among them.

    With a stop it is `submit_bracket`: one decision, up to four targets, legs as signed distances from the fill. Raises
    InvalidOrder for exits that no order can carry.
    """
    order = {
        "account_id": draft.account_id,
        "contract_id": draft.contract_id,
        "side": draft.side,
        "kind": draft.kind,
        "size_lots": draft.size_lots,
        "source": draft.source,
        "limit_ticks": draft.limit_ticks,
        "stop_ticks": draft.stop_ticks,
        "trail_ticks": draft.trail_ticks,
    }
    plan = draft.exits
    if plan.stop_ticks is not None:
        return "submit_bracket", order | _legs_of(draft)
    if len(plan.targets) > 1 or any(target.lots != draft.size_lots for target in plan.targets):
        raise InvalidOrder("target", "Without a stop there is one target for the whole size; allowed: one of 100%.")
    return "submit", order | {
        "target_bracket_ticks": plan.targets[0].ticks if plan.targets else None,
        "reduce_only": draft.reduce_only,
    }


def _legs_of(draft: Draft) -> dict[str, Any]:
    """Legs signed from the fill: the stop of a buy lies below it, its targets above."""
    if draft.reduce_only:
        raise InvalidOrder("exits", "An order that only reduces is an exit itself; it carries no stop and no target.")
    up = 1 if draft.side == "buy" else -1
    plan = draft.exits
    return {
        "stop_leg_ticks": -up * (plan.stop_ticks or 0),
        "target_legs": [(up * target.ticks, target.lots) for target in plan.targets],
        "held_by": plan.held_by,
        "when_bare": plan.when_bare,
        **(plan.rule if plan.has_rule else {}),
    }


def check_shape(draft: Draft, accounts: list[Account], contracts: list[Contract]) -> None:
    """Raise InvalidOrder at the first thing that no gate and no broker could ever accept."""
    account = next((held for held in accounts if held.id == draft.account_id), None)
    if account is None:
        raise InvalidOrder("account", f"Account {draft.account_id} is not one of this login.")
    if account.word == "LIVE":
        raise InvalidOrder("account", f"{account.name} looks like a live account; trading it is blocked.")
    if not any(contract.id == draft.contract_id for contract in contracts):
        raise InvalidOrder("contract", f"Contract {draft.contract_id!r} is not known; search for it first.")
    if draft.side not in domain.SIDES:
        raise InvalidOrder("side", f"Side {draft.side!r} is not one of {', '.join(domain.SIDES)}.")
    if draft.kind not in domain.KINDS:
        raise InvalidOrder("kind", f"Kind {draft.kind!r} is not one of {', '.join(domain.KINDS)}.")
    if not 1 <= draft.size_lots <= _MOST_LOTS:
        raise InvalidOrder("size", f"Size {draft.size_lots} is not a positive whole number of lots.")
    _check_prices(draft)


def _check_prices(draft: Draft) -> None:
    rules = (
        ("limit", draft.limit_ticks, draft.kind in _NEEDS_LIMIT),
        ("stop", draft.stop_ticks, draft.kind in _NEEDS_STOP),
        ("trail", draft.trail_ticks, draft.kind == "trailing_stop"),
    )
    kind = draft.kind.replace("_", " ")
    for field, ticks, is_needed in rules:
        if is_needed and ticks is None:
            raise InvalidOrder(field, f"A {kind} order needs a {field} price.")
        if not is_needed and ticks is not None:
            raise InvalidOrder(field, f"A {kind} order has no {field} price.")
    distances = (
        ("trail", draft.trail_ticks),
        ("stop", draft.exits.stop_ticks),
        *((f"target {place}", target.ticks) for place, target in enumerate(draft.exits.targets, 1)),
    )
    for field, ticks in distances:
        if ticks is not None and ticks < 1:
            raise InvalidOrder(field, f"The {field} distance is {ticks} ticks; at least 1 is needed.")


def _settled(
    command: Callable[Concatenate[NativeEngine, _P], int], deadline: Callable[[TradingOptions], float]
) -> Callable[Concatenate[TradingService, _P], Coroutine[Any, Any, RequestDone]]:
    """Let the service have a command of the engine with its arguments, and wait for the end of it.

    The coroutine raises Denied, BrokerRejected, OutcomeUnknown or NotConnected after any outcome but done.
    """

    async def call(self: TradingService, /, *args: _P.args, **kwargs: _P.kwargs) -> RequestDone:
        # By name: who stands in for the engine in a test need not be one.
        request = getattr(self._engine, command.__name__)(*args, **kwargs)
        return await self._settle(request, deadline(self._options))

    return call


def _soon(options: TradingOptions) -> float:
    return options.request_deadline_s


def _verified(options: TradingOptions) -> float:
    """How long a sequence may take that reads back after each step."""
    return options.flatten_deadline_s


class TradingService:
    def __init__(self, engine: NativeEngine, options: TradingOptions) -> None:
        self._engine = engine
        self._options = options

    def submit(self, draft: Draft) -> str:
        """Check the shape, push the order, return its tag; what becomes of it arrives as events.

        Raises InvalidOrder, EngineBusy, EngineHalted. Never waits.
        """
        check_shape(draft, self._engine.accounts(), self._engine.contracts())
        operation, arguments = operation_of(draft)
        send = self._engine.submit_bracket if operation == "submit_bracket" else self._engine.submit
        tag = send(**arguments, pressed_mono_ns=draft.pressed_mono_ns)
        _log.info("order submitted", tag=tag, source=draft.source, side=draft.side, lots=draft.size_lots)
        return tag

    def create_bracket_order(self, draft: Draft) -> str:
        """Submit an entry that must have a stop: one that could open without one is not sent.

        Raises what `submit` raises, and InvalidOrder when the draft's exits have no stop.
        """
        if draft.exits.stop_ticks is None:
            raise InvalidOrder("stop", "A bracket needs a stop; allowed: 1 to 1,000 ticks from the entry.")
        return self.submit(draft)

    async def create_oco(self, drafts: Sequence[Draft], *, source: str) -> list[str]:
        """Submit orders and link them before any of them can fill here; all of them or none stay.

        Raises what `submit` and `link_oco` raise; orders that were taken are cancelled then.
        """
        for draft in drafts:
            # A shape that cannot be stops the whole before its first half is sent.
            check_shape(draft, self._engine.accounts(), self._engine.contracts())
            operation_of(draft)
        tags: list[str] = []
        try:
            tags.extend(self.submit(draft) for draft in drafts)
            await self.link_oco(tags, source=source)
        except errors.PitdeskError:
            for tag in tags:
                # What was denied has nothing to cancel; what the broker has not named yet goes when it is named.
                # The caller has to hear why the whole failed.
                with contextlib.suppress(errors.PitdeskError):
                    await self.cancel(tag, source=source)
            raise
        return tags

    async def probe_bracket_mode(self, draft: Draft) -> str:
        """Find out an account's bracket setting with one far order and its legs, cancelled at once; practice only.

        `draft`: a resting entry with a stop. Returns the account's bracket mode afterwards. Raises InvalidOrder on an
        account that is not practice, and what `place` raises.
        """
        account = next((held for held in self._engine.accounts() if held.id == draft.account_id), None)
        if account is None or account.word not in {"DEMO", "REPLAY", "PRACTICE"}:
            raise InvalidOrder("account", "A probe places an order; allowed: on a practice account.")
        with contextlib.suppress(errors.BrokerRejected):
            taken = await self.place(draft)
            await self.cancel(taken.tag, source=draft.source)
        return next(held.bracket_mode for held in self._engine.accounts() if held.id == draft.account_id)

    async def place(self, draft: Draft) -> Order:
        """Submit and wait until the order works or is done; for callers that can show only one answer.

        Raises what `submit` raises, and Denied, BrokerRejected or OutcomeUnknown.
        """
        outcome: asyncio.Future[Order] = asyncio.get_running_loop().create_future()
        tag = ""

        def on_order(event: domain.OrderChanged) -> None:
            if event.order.tag == tag and not outcome.done() and is_decided(event.order):
                outcome.set_result(event.order)

        def on_denied(event: domain.Denied) -> None:
            if event.tag == tag and not outcome.done():
                outcome.set_exception(errors.Denied(tag, event.reasons))

        stops = (
            self._engine.listen(domain.OrderChanged, on_order),
            self._engine.listen(domain.Denied, on_denied),
        )
        try:
            tag = self.submit(draft)
            async with asyncio.timeout(self._options.request_deadline_s):
                return accepted(await outcome)
        except TimeoutError:
            raise errors.OutcomeUnknown(
                f"Order {tag} has no answer after {self._options.request_deadline_s:g} s. It may be live; "
                "look with `pitdesk orders` before sending another.",
                tag,
            ) from None
        finally:
            for stop in stops:
                stop()

    _modify = _settled(NativeEngine.modify, _soon)
    cancel = _settled(NativeEngine.cancel, _soon)
    # Cancels what matches all of it; done when none of it is left. A price range needs the contract.
    cancel_group = _settled(NativeEngine.cancel_group, _soon)
    # One cancels the others among working orders.
    link_oco = _settled(NativeEngine.link_oco, _soon)
    # An account's bracket setting: unknown, auto_oco or position_brackets.
    set_bracket_mode = _settled(NativeEngine.set_bracket_mode, _soon)
    # All, some lots, or a percentage in whole lots, rounded down; the exits then fit what is left.
    close = _settled(NativeEngine.close_position, _verified)
    # Turns a position with one order once its exits are gone; new exits stand so many ticks from the fill. Denied when
    # it ends flat or untouched.
    reverse = _settled(NativeEngine.reverse, _verified)
    # Cancels everything, closes the net, reads back. Done only when the broker says it is flat.
    flatten = _settled(NativeEngine.flatten, _verified)
    flatten_everything = _settled(NativeEngine.flatten_everything, _verified)
    # Lets this computer move a stop: to break-even, and trailing by stages of (start, distance, step) ticks. Denied for
    # an order that no rule can hold and for figures that cannot be meant.
    hold_stop = _settled(NativeEngine.set_stop_rule, _soon)
    # Takes the rule of a stop away; the stop stays where it is.
    release_stop = _settled(NativeEngine.clear_stop_rule, _soon)
    # normal, reducing or locked; a lock holds until the next session.
    set_mode = _settled(NativeEngine.set_mode, _soon)
    # Lets a source go on that the repeated-execution throttle stopped.
    release_throttle = _settled(NativeEngine.release_throttle, _soon)
    # Compares every account with the broker now; done when each was read once since the request.
    recheck = _settled(NativeEngine.reconcile, _verified)

    async def modify(
        self,
        key: str,
        *,
        size_lots: int | None = None,
        limit_ticks: int | None = None,
        stop_ticks: int | None = None,
        trail_ticks: int | None = None,
        source: str,
    ) -> RequestDone:
        """Change a working order. Raises InvalidOrder, and what `NativeEngine.done` raises."""
        if size_lots is None and limit_ticks is None and stop_ticks is None and trail_ticks is None:
            raise InvalidOrder("order", "Nothing to change: name a size or a price.")
        if size_lots is not None and size_lots < 1:
            raise InvalidOrder("size", f"Size {size_lots} is not a positive whole number of lots.")
        return await self._modify(
            key,
            size_lots=size_lots,
            limit_ticks=limit_ticks,
            stop_ticks=stop_ticks,
            trail_ticks=trail_ticks,
            source=source,
        )

    def stop_rules(self) -> list[StopRule]:
        return self._engine.stop_rules()

    def arm(self, source: str, account_id: int, *, is_armed: bool) -> None:
        self._engine.arm(source, account_id, is_armed)

    def is_armed(self, source: str, account_id: int) -> bool:
        return self._engine.is_armed(source, account_id)

    async def _settle(self, request_id: int, deadline_s: float) -> RequestDone:
        answer = await self._engine.answer(request_id, deadline_s)
        return self._engine.checked(answer)


def is_decided(order: Order) -> bool:
    """Whether the broker or the gate has spoken: the order works or is done."""
    return order.life in domain.DONE_LIVES or (order.life in {"working", "suspended"} and not order.doubt_since_ns)


def accepted(order: Order) -> Order:
    """Return an order that was taken. Raises Denied or BrokerRejected for one that was not."""
    if order.life == "denied":
        raise errors.Denied(order.tag, [("denied", order.reason)])
    if order.life in _REFUSED_LIVES:
        raise errors.BrokerRejected(order.life, order.reason or f"The broker refused order {order.tag}.", order.tag)
    return order
