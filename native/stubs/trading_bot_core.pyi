"""The seam: what the Rust engine offers to Python.

One `Engine` per process and base directory. Nothing here blocks on the network: commands are non-blocking pushes,
verdicts and answers come back as events from `drain()`, market data as columns from `frame()` and `bars()`.
Integers everywhere: prices are ticks of the contract, sizes are lots, times are UTC nanoseconds, money is 1/10,000 of a
dollar (`_1e4`). A price in text or a float exists only at the edges.

Enumerations travel as lower-case words, listed once here:
side         buy sell
kind         limit market stop_limit stop trailing_stop join_bid join_ask
life         intent sent suspended working filled cancelled expired refused denied not_accepted
change       none modify cancel
look         sending working changing cancelling part_filled unknown done   (pure function of the row, in the core)
role         entry stop target close
holder       broker computer
bracket mode unknown auto_oco position_brackets
when_bare    alarm flatten
book_state   building live crossed stale
link state   off connecting live late dead
"""

from collections.abc import Sequence
from typing import Final, Self, final

import numpy as np
import numpy.typing as npt

type _I64 = npt.NDArray[np.int64]

BUILD_HASH: Final[str]
VERSION: Final[str]

class EngineError(Exception):
    """Any failure the engine reports. `kind` is one of ERROR_KINDS, `text` is for people."""

    kind: str
    text: str

class Busy(EngineError):
    """The command queue is full; nothing was queued."""

class Halted(EngineError):
    """The engine is halted; only cancels and closes are taken."""

class InvalidCommand(EngineError):
    """The command cannot be meant: unknown account, contract, order or a value outside its range."""

ERROR_KINDS: Final[tuple[str, ...]]

@final
class Contract:
    """One listed contract. Price of `ticks` = ticks * tick_units / 10**decimals, exactly."""

    def __new__(
        cls,
        index: int,
        id: str,
        name: str,
        description: str,
        symbol_id: str,
        root: str,
        tick_units: int,
        decimals: int,
        tick_value_1e4: int,
        is_active: bool,
    ) -> Self: ...
    index: int
    id: str
    name: str
    description: str
    symbol_id: str
    root: str
    tick_units: int
    decimals: int
    tick_value_1e4: int
    is_active: bool

    def price_text(self, ticks: int) -> str: ...
    def ticks_from_text(self, text: str) -> int:
        """Parse a decimal price. Raises ValueError naming the nearest two grid prices when it is off the grid."""

@final
class Account:
    def __new__(
        cls,
        id: int,
        name: str,
        word: str,
        kind_text: str,
        balance_1e4: int,
        can_trade: bool,
        is_simulated: bool,
        is_own: bool,
        bracket_mode: str,
        managed_by: str,
    ) -> Self: ...
    id: int
    name: str
    word: str
    kind_text: str
    balance_1e4: int
    can_trade: bool
    is_simulated: bool
    is_own: bool
    bracket_mode: str
    managed_by: str
    """Who else manages the account on this computer; empty when nobody does."""

@final
class Order:
    """One order as the engine knows it. `key` is the tag of our own orders and `#<broker id>` of foreign ones."""

    def __new__(
        cls,
        key: str,
        tag: str,
        order_id: int,
        account_id: int,
        contract: int,
        contract_id: str,
        side: str,
        kind: str,
        size_lots: int,
        filled_lots: int,
        limit_ticks: int | None,
        stop_ticks: int | None,
        trail_ticks: int | None,
        wanted_size_lots: int | None,
        wanted_limit_ticks: int | None,
        wanted_stop_ticks: int | None,
        average_fill_ticks_1e4: int | None,
        life: str,
        change: str,
        doubt_since_ns: int,
        look: str,
        role: str,
        holder: str,
        is_foreign: bool,
        parent_id: int,
        linked_id: int,
        parent_key: str,
        oco_group: str,
        queue_ahead_min: int,
        queue_ahead_max: int,
        created_ns: int,
        updated_ns: int,
        source: str,
        reason: str,
    ) -> Self: ...
    key: str
    tag: str
    order_id: int
    account_id: int
    contract: int
    contract_id: str
    side: str
    kind: str
    size_lots: int
    filled_lots: int
    limit_ticks: int | None
    stop_ticks: int | None
    trail_ticks: int | None
    wanted_size_lots: int | None
    wanted_limit_ticks: int | None
    wanted_stop_ticks: int | None
    average_fill_ticks_1e4: int | None
    life: str
    change: str
    doubt_since_ns: int
    look: str
    role: str
    holder: str
    is_foreign: bool
    parent_id: int
    linked_id: int
    parent_key: str
    oco_group: str
    queue_ahead_min: int
    queue_ahead_max: int
    created_ns: int
    updated_ns: int
    source: str
    reason: str


@final
class Position:
    def __new__(
        cls,
        account_id: int,
        contract: int,
        contract_id: str,
        net_lots: int,
        average_ticks_1e4: int,
        mark_ticks: int | None,
        open_pnl_1e4: int,
        realised_1e4: int,
        fees_1e4: int,
        stop_lots: int,
        target_lots: int,
        unprotected_lots: int,
        source: str,
        checked_ns: int,
        broker_net_lots: int,
        is_disputed: bool,
    ) -> Self: ...
    account_id: int
    contract: int
    contract_id: str
    net_lots: int
    average_ticks_1e4: int
    mark_ticks: int | None
    open_pnl_1e4: int
    realised_1e4: int
    fees_1e4: int
    stop_lots: int
    target_lots: int
    unprotected_lots: int
    source: str
    checked_ns: int
    broker_net_lots: int
    is_disputed: bool

@final
class StopRule:
    """A rule of this computer that moves a stop order; the stop itself stays at the broker.

    state: resuming (not compared with the broker yet), waiting, break_even, trailing, ended. `trail_stages` are
    (start, distance, step) in ticks, start in ticks of profit. `best_ticks` is the best price since the position is
    followed, `level_ticks` the level last asked for, `text` says why the stop stands there or why the rule ended.
    """

    def __new__(
        cls,
        key: str,
        account_id: int,
        contract: int,
        contract_id: str,
        break_even_trigger_ticks: int | None,
        break_even_plus_ticks: int,
        trail_stages: list[tuple[int, int, int]],
        is_immediate: bool,
        state: str,
        best_ticks: int | None,
        level_ticks: int | None,
        moves: int,
        source: str,
        text: str,
    ) -> Self: ...
    key: str
    account_id: int
    contract: int
    contract_id: str
    break_even_trigger_ticks: int | None
    break_even_plus_ticks: int
    trail_stages: list[tuple[int, int, int]]
    is_immediate: bool
    state: str
    best_ticks: int | None
    level_ticks: int | None
    moves: int
    source: str
    text: str

@final
class Fill:
    def __new__(
        cls,
        trade_id: int,
        order_id: int,
        tag: str,
        account_id: int,
        contract: int,
        contract_id: str,
        side: str,
        price_ticks: int,
        size_lots: int,
        fees_1e4: int,
        pnl_1e4: int | None,
        time_ns: int,
        is_voided: bool,
    ) -> Self: ...
    trade_id: int
    order_id: int
    tag: str
    account_id: int
    contract: int
    contract_id: str
    side: str
    price_ticks: int
    size_lots: int
    fees_1e4: int
    pnl_1e4: int | None
    time_ns: int
    is_voided: bool

@final
class Link:
    """State of one connection: name is market, user or rest.

    `retry_mono_ns`: when the next attempt begins, on the clock of `mono_ns`; 0 while none is waited for.
    """

    def __new__(
        cls,
        name: str,
        state: str,
        since_ns: int,
        age_ms: int,
        text: str,
        retry_mono_ns: int,
    ) -> Self: ...
    name: str
    state: str
    since_ns: int
    age_ms: int
    text: str
    retry_mono_ns: int


@final
class Limits:
    """First risk gate, per account."""

    def __new__(
        cls,
        *,
        max_order_lots: int = 5,
        max_position_lots: int = 10,
        max_price_away_ticks: int = 400,
        max_working_orders: int = 60,
        duplicate_window_ms: int = 300,
        max_notional_1e4: int = 100_000_000_000,
        max_orders_per_second: int = 20,
        max_orders_per_minute: int = 100,
        max_repeats: int = 30,
        repeat_window_ms: int = 60_000,
    ) -> Self: ...
    max_order_lots: int
    max_position_lots: int
    max_price_away_ticks: int
    max_working_orders: int
    duplicate_window_ms: int
    max_notional_1e4: int
    max_orders_per_second: int
    max_orders_per_minute: int
    max_repeats: int
    repeat_window_ms: int

@final
class Rules:
    """The rules of one account; None and empty mean: no such rule. Actions are warn, block and flatten.

    scaling: (balance from which on, minis). weights: tenths of a mini by root. families: roots that are one product
    when positions of two accounts are compared. flat_by_minute: the firm's deadline as a minute of the Chicago day.
    counts_open: open profit counts in the personal limits.
    """

    def __new__(
        cls,
        *,
        name: str,
        source: str = ...,
        date: str = ...,
        start_balance_1e4: int = 0,
        stated_high_1e4: int | None = None,
        max_loss_1e4: int | None = None,
        max_loss_action: str = ...,
        daily_loss_1e4: int | None = None,
        daily_loss_action: str = ...,
        personal_loss_1e4: int | None = None,
        personal_loss_action: str = ...,
        is_personal_trailing: bool = False,
        counts_open: bool = True,
        profit_target_1e4: int | None = None,
        daily_target_1e4: int | None = None,
        daily_target_action: str = ...,
        trades_max: int | None = None,
        minis_max: int | None = None,
        scaling: Sequence[tuple[int, int]] = ...,
        weights: dict[str, int] = ...,
        families: Sequence[Sequence[str]] = ...,
        permitted: Sequence[str] | None = None,
        forbids_opposite: bool = False,
        flat_by_minute: int | None = None,
        entries_stop_s: int = 600,
        flatten_before_s: int = 180,
    ) -> Self: ...
    name: str
    source: str
    date: str
    start_balance_1e4: int
    stated_high_1e4: int | None
    max_loss_1e4: int | None
    max_loss_action: str
    daily_loss_1e4: int | None
    daily_loss_action: str
    personal_loss_1e4: int | None
    personal_loss_action: str
    is_personal_trailing: bool
    counts_open: bool
    profit_target_1e4: int | None
    daily_target_1e4: int | None
    daily_target_action: str
    trades_max: int | None
    minis_max: int | None
    scaling: list[tuple[int, int]]
    weights: dict[str, int]
    families: list[list[str]]
    permitted: list[str] | None
    forbids_opposite: bool
    flat_by_minute: int | None
    entries_stop_s: int
    flatten_before_s: int

@final
class RuleUse:
    """How much of one rule is used: 1/10,000 dollar, or orders for the rule `trades`. Rules are max_loss, daily_loss,
    personal_loss, profit_target, daily_target and trades; until_ns is zero without a latch."""

    def __new__(
        cls,
        rule: str,
        used: int,
        limit: int,
        percent: int,
        action: str,
        is_latched: bool,
        latched_ns: int,
        until_ns: int,
    ) -> Self: ...
    rule: str
    used: int
    limit: int
    percent: int
    action: str
    is_latched: bool
    latched_ns: int
    until_ns: int

@final
class Risk:
    """One account's rules and where it stands. Times are zero where there is no such rule.

    mode is normal, reducing or locked. is_measured: the balance is known; before that nothing new is admitted.
    is_floor_uncertain: a higher end of day may have been missed, so the floor may be higher than it says.
    tenths_*: tenths of a mini. entries_end_ns, flatten_ns, deadline_ns: of what is open, the soonest.
    """

    def __new__(
        cls,
        account_id: int,
        rules_name: str,
        rules_source: str,
        rules_date: str,
        has_pending: bool,
        mode: str,
        is_measured: bool,
        day_ends_ns: int,
        opening_balance_1e4: int,
        high_balance_1e4: int,
        is_floor_uncertain: bool,
        floor_1e4: int | None,
        target_1e4: int | None,
        equity_1e4: int,
        realised_1e4: int,
        open_1e4: int,
        peak_1e4: int,
        trades: int,
        tenths_held: int,
        tenths_max: int | None,
        entries_end_ns: int,
        flatten_ns: int,
        deadline_ns: int,
        uses: Sequence[RuleUse],
        throttled: Sequence[str],
    ) -> Self: ...
    account_id: int
    rules_name: str
    rules_source: str
    rules_date: str
    has_pending: bool
    mode: str
    is_measured: bool
    day_ends_ns: int
    opening_balance_1e4: int
    high_balance_1e4: int
    is_floor_uncertain: bool
    floor_1e4: int | None
    target_1e4: int | None
    equity_1e4: int
    realised_1e4: int
    open_1e4: int
    peak_1e4: int
    trades: int
    tenths_held: int
    tenths_max: int | None
    entries_end_ns: int
    flatten_ns: int
    deadline_ns: int
    uses: list[RuleUse]
    throttled: list[str]

# Events: what `drain()` returns, in order.
@final
class RiskChanged:
    """An account's rules, warnings, latches, mode or day changed."""

    def __new__(
        cls,
        risk: Risk,
    ) -> Self: ...
    risk: Risk

@final
class OrderChanged:
    def __new__(
        cls,
        order: Order,
    ) -> Self: ...
    order: Order

@final
class FillAdded:
    def __new__(
        cls,
        fill: Fill,
    ) -> Self: ...
    fill: Fill

@final
class PositionChanged:
    def __new__(
        cls,
        position: Position,
    ) -> Self: ...
    position: Position

@final
class AccountChanged:
    def __new__(
        cls,
        account: Account,
    ) -> Self: ...
    account: Account

@final
class LinkChanged:
    def __new__(
        cls,
        link: Link,
    ) -> Self: ...
    link: Link

@final
class Denied:
    """The gate said no: every reason, as (code, sentence). Nothing was sent."""

    def __new__(
        cls,
        tag: str,
        account_id: int,
        contract_id: str,
        reasons: list[tuple[str, str]],
    ) -> Self: ...
    tag: str
    account_id: int
    contract_id: str
    reasons: list[tuple[str, str]]


@final
class Notice:
    """level: info, warning, alarm."""

    def __new__(
        cls,
        level: str,
        code: str,
        text: str,
        time_ns: int,
    ) -> Self: ...
    level: str
    code: str
    text: str
    time_ns: int


@final
class RequestDone:
    """Answer to a request id. outcome: done, denied, refused, unknown, failed. `text` is one sentence."""

    def __new__(
        cls,
        request_id: int,
        outcome: str,
        text: str,
        payload_json: str,
    ) -> Self: ...
    request_id: int
    outcome: str
    text: str
    payload_json: str


@final
class ArmedChanged:
    def __new__(
        cls,
        source: str,
        account_id: int,
        is_armed: bool,
    ) -> Self: ...
    source: str
    account_id: int
    is_armed: bool

@final
class StopRuleChanged:
    """A stop rule was attached, went on, moved its stop or ended."""

    def __new__(
        cls,
        rule: StopRule,
    ) -> Self: ...
    rule: StopRule

@final
class ExitProgress:
    """One step of a close, reverse, flatten or group cancel; all steps of one exit carry the same number.

    goal: cancel close reverse flatten.
    step: cancelling closing flip fitting turning protecting slow unknown halfway verified done failed.
    `count` of `total` is how far the step has come. `contract_id` is empty when it is about a whole account.
    """

    def __new__(
        cls,
        exit: int,
        account_id: int,
        contract_id: str,
        goal: str,
        step: str,
        count: int,
        total: int,
        text: str,
        time_ns: int,
    ) -> Self: ...
    exit: int
    account_id: int
    contract_id: str
    goal: str
    step: str
    count: int
    total: int
    text: str
    time_ns: int

@final
class Resync:
    """News was dropped because nobody drained; reload the views."""

    def __new__(cls) -> Self: ...

type Event = (
    OrderChanged
    | FillAdded
    | PositionChanged
    | AccountChanged
    | LinkChanged
    | RiskChanged
    | Denied
    | Notice
    | RequestDone
    | ArmedChanged
    | StopRuleChanged
    | ExitProgress
    | Resync
)

@final
class MarketFrame:
    """One contract as of one revision. Columns are owned by Python.

    Book columns run from the inside outwards. `trade_*` are the prints since the revision asked from, oldest first, at most
    `trade_limit`; `trades_skipped` counts the ones left out. `traded_*` is the session's volume by price, ascending;
    `recent_*` the prints since the current visit to the price.
    """

    def __new__(
        cls,
        contract: int,
        revision: int,
        bid_ticks: _I64,
        bid_lots: _I64,
        ask_ticks: _I64,
        ask_lots: _I64,
        book_state: str,
        best_bid_ticks: int | None,
        best_ask_ticks: int | None,
        last_ticks: int | None,
        last_lots: int,
        last_side: str,
        open_ticks: int | None,
        high_ticks: int | None,
        low_ticks: int | None,
        settle_ticks: int | None,
        session_lots: int,
        traded_ticks: _I64,
        traded_bought_lots: _I64,
        traded_sold_lots: _I64,
        recent_ticks: _I64,
        recent_bought_lots: _I64,
        recent_sold_lots: _I64,
        trade_time_ns: _I64,
        trade_ticks: _I64,
        trade_lots: _I64,
        trade_is_buy: npt.NDArray[np.bool_],
        trades_skipped: int,
        broker_time_ns: int,
        receive_mono_ns: int,
        age_ms: int,
        is_late: bool,
    ) -> Self: ...
    contract: int
    revision: int
    bid_ticks: _I64
    bid_lots: _I64
    ask_ticks: _I64
    ask_lots: _I64
    book_state: str
    best_bid_ticks: int | None
    best_ask_ticks: int | None
    last_ticks: int | None
    last_lots: int
    last_side: str
    open_ticks: int | None
    high_ticks: int | None
    low_ticks: int | None
    settle_ticks: int | None
    session_lots: int
    traded_ticks: _I64
    traded_bought_lots: _I64
    traded_sold_lots: _I64
    recent_ticks: _I64
    recent_bought_lots: _I64
    recent_sold_lots: _I64
    trade_time_ns: _I64
    trade_ticks: _I64
    trade_lots: _I64
    trade_is_buy: npt.NDArray[np.bool_]
    trades_skipped: int
    broker_time_ns: int
    receive_mono_ns: int
    age_ms: int
    is_late: bool


@final
class BarFrame:
    """Bars from `first_changed` on (0 = the whole series); the last one is forming when `is_forming`.

    time_ns is the opening time of each bar; day bars carry the session open.
    """

    def __new__(
        cls,
        contract: int,
        unit: str,
        number: int,
        revision: int,
        first_changed: int,
        count: int,
        time_ns: _I64,
        open_ticks: _I64,
        high_ticks: _I64,
        low_ticks: _I64,
        close_ticks: _I64,
        volume_lots: _I64,
        is_forming: bool,
        is_loading: bool,
    ) -> Self: ...
    contract: int
    unit: str
    number: int
    revision: int
    first_changed: int
    count: int
    time_ns: _I64
    open_ticks: _I64
    high_ticks: _I64
    low_ticks: _I64
    close_ticks: _I64
    volume_lots: _I64
    is_forming: bool
    is_loading: bool


@final
class Engine:
    """The engine of one base directory. Creating it takes the lock and starts the threads; `shutdown()` joins them."""

    def __new__(
        cls,
        base_directory: str,
        wake_fd: int,
        *,
        is_headless: bool = False,
        journal_sync: str = "group",
        spin: str = "auto",
    ) -> Self:
        """Raise Busy when another process holds the base directory. `wake_fd`: a non-blocking socket, one byte per wake.
        `spin`: off, auto, on, as the option `engine.spin`."""

    # life
    def connect(self, rest_url: str, user_hub_url: str, market_hub_url: str, user_name: str, api_key: str, *, environment: str) -> int:
        """Log in, list accounts and contracts, open both hubs, reconcile. environment: demo, replay, live. Request id."""
    def disconnect(self) -> int: ...
    def choose_accounts(self, account_ids: Sequence[int]) -> int: ...
    def shutdown(self) -> None:
        """Stop and join every thread, release the lock; idempotent; lets the interpreter run meanwhile."""
    def is_running(self) -> bool: ...
    def halt(self, reason: str) -> None: ...

    # being watched
    def beat_window(self) -> None:
        """Show the guardian that the window's thread takes its turns; call it from there a few times a second."""
    def lead_guardian(self, pipe_fd: int) -> None:
        """Tell a guardian every login, over the write end of its standard input. The engine owns the descriptor from now
        on; make it non-blocking, so that a guardian that stops reading delays nobody. Secrets take this way alone."""

    # market
    def subscribe(self, contract_id: str) -> int: ...
    def unsubscribe(self, contract_id: str) -> int: ...
    def watch_bars(self, contract_id: str, unit: str, number: int, history_count: int) -> int:
        """unit: second minute hour day. Fetches history and joins it to the live prints; then `bars()` has the series."""
    def frame(self, contract: int, since_revision: int, trade_limit: int = 500) -> MarketFrame | None:
        """The contract's newest view, or None when nothing changed since that revision."""
    def bars(self, contract: int, unit: str, number: int, since_revision: int) -> BarFrame | None: ...
    def trace_book(self, contract_id: str) -> None:
        """From now on record the ten best levels of a watched contract after every depth time."""
    def take_book_trace(self) -> _I64:
        """Take out what was recorded: shape (rows, 41), each time_ns, 10 bid ticks, 10 bid lots, 10 ask ticks, 10 ask lots."""
    def search_contracts(self, text: str) -> int:
        """RequestDone.payload_json = list of contract ids, now known to `contracts()`."""

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
        """Push one order; returns its tag. Raises Busy or Halted. The gate's verdict is an event."""
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
        trail_stages: Sequence[tuple[int, int, int]] | None = None,
        limit_ticks: int | None = None,
        stop_ticks: int | None = None,
        trail_ticks: int | None = None,
        pressed_mono_ns: int = 0,
    ) -> str:
        """Push an entry with its legs as one decision; returns the entry's tag. Raises Busy or Halted.

        stop_leg_ticks and the targets' (ticks, lots) are signed distances from the entry's fill: the stop of a buy is
        negative, its targets positive; the wrong side is denied. held_by broker: native legs; computer: own orders
        after the fill, linked here. when_bare: what follows the alarm when the stop does not work.
        Break-even and stages are part of the decision: this computer attaches them when the stop works, also after a
        restart in between (see set_stop_rule).
        """
    def link_oco(self, keys: Sequence[str], *, source: str) -> int:
        """One cancels the others among living own orders of one account and contract. Request id."""
    def set_bracket_mode(self, account_id: int, mode: str) -> int: ...
    def modify(
        self,
        key: str,
        *,
        size_lots: int | None = None,
        limit_ticks: int | None = None,
        stop_ticks: int | None = None,
        trail_ticks: int | None = None,
        source: str,
    ) -> int: ...
    def cancel(self, key: str, *, source: str) -> int: ...
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
        """Cancel what matches all of it, and wait until it is gone.

        role: stop and target are also plain orders that would reduce the position. The range counts the trigger of a
        stop, else the limit, ends included, and needs a contract.
        """
    def close_position(
        self, account_id: int, contract_id: str, *, size_lots: int | None = None, percent: int | None = None, source: str
    ) -> int:
        """Close all (its exits are cancelled first), lots, or a percentage in whole lots, rounded down; read back.

        A part keeps its exits; they are then made to fit what is left.
        """
    def reverse(
        self,
        account_id: int,
        contract_id: str,
        *,
        stop_ticks: int | None = None,
        target_ticks: int | None = None,
        source: str,
    ) -> int:
        """Cancel every order of the contract, wait for proof, turn the position with one order, read back.

        The new exits are linked legs of this computer, so many ticks from the fill; done only when the stop works.
        Denied when the gate forbids the new position; then nothing is cancelled. Where proof is late it stops flat.
        """
    def flatten(self, account_id: int, *, contract_id: str | None = None, source: str) -> int:
        """Cancel, wait for proof, close the net, read back; ExitProgress tells the steps, RequestDone the end.

        RequestDone.payload_json of every exit is its report: {goal, account_id, outcome, steps: [{step, count, total,
        text, at_ns}]}.
        """
    def flatten_everything(self, *, source: str) -> int:
        """Flatten every account of this session; the report is {goal, accounts: [one report each]}."""
    def set_stop_rule(
        self,
        key: str,
        *,
        break_even_trigger_ticks: int | None = None,
        break_even_plus_ticks: int = 0,
        trail_stages: Sequence[tuple[int, int, int]] | None = None,
        is_immediate: bool = False,
        source: str,
    ) -> int:
        """Let this computer move the own stop order `key`, or a native leg: to break-even, and trailing in up to three stages.

        Replaces an earlier rule of the order. `is_immediate` ("trail now"): the first stage begins at the price of the
        moment. Denied when the order is no own stop that closes a position, or the figures cannot be meant.
        """
    def clear_stop_rule(self, key: str, *, source: str) -> int:
        """Take the rule away; the stop stays where it is."""
    def arm(self, source: str, account_id: int, is_armed: bool) -> None: ...
    def set_limits(self, account_id: int, limits: Limits) -> None: ...
    def set_rules(self, account_id: int, rules: Rules) -> int:
        """State an account's rules: stricter numbers hold at once, looser ones from the next session."""
    def set_mode(self, account_id: int, mode: str, *, source: str) -> int:
        """normal, reducing, or locked; a lock holds until the next session and cannot be taken back."""
    def release_throttle(self, account_id: int, throttled: str, *, source: str) -> int:
        """Let a source go on that the repeated-execution throttle stopped."""
    def reconcile(self) -> int: ...

    # views, all immutable, never waiting
    def accounts(self) -> list[Account]: ...
    def contracts(self) -> list[Contract]: ...
    def orders(self) -> list[Order]: ...
    def orders_since(self, revision: int) -> tuple[int, int, list[Order]]:
        """The revision to ask with next time, how many rows there are, and those that changed after `revision`; 0 for
        all. Rows also vanish: then there are fewer than the reader holds, and it reads all of them again."""
    def positions(self) -> list[Position]: ...
    def fills(self) -> list[Fill]: ...
    def stop_rules(self) -> list[StopRule]: ...
    def links(self) -> list[Link]: ...
    def limits(self, account_id: int) -> Limits: ...
    def risks(self) -> list[Risk]:
        """Of every account that has rules or a mode."""
    def is_armed(self, source: str, account_id: int) -> bool: ...
    def status(self) -> dict[str, int | str | bool]:
        """state (idle connecting live halted), unknown_orders, budget_used, budget_limit, exits_kept, market_now_ns,
        messages, messages_unrecognised, journal_records, login_ends_mono_ns (on the clock of `mono_ns`; 0 unless the login
        nears its end and was not renewed), naps (of the engine's thread), and _p50/_p95/_p99 of wire_to_view_us,
        press_to_bytes_us, receive_to_painted_us, journal_write_us, and of order_place_us, order_modify_us and
        order_cancel_us: from the command's entry into the queue to the views that show the answer."""

    # wake
    def clear_wake(self) -> None:
        """Clear the flag; call before `drain()`."""
    def drain(self, limit: int = 1024) -> list[Event]: ...
    def note_painted(self, receive_mono_ns: int) -> None:
        """Feed the receive-to-painted histogram."""
    def forget_latencies(self) -> None:
        """Begin the latencies of `status()` anew, so that a bench can leave out its first orders."""
    def mono_ns(self) -> int: ...

@final
class SignalRCodec:
    """The hub's record splitter and parser on bytes, for benches and tests: no sockets."""

    def __new__(cls) -> Self: ...
    def feed(self, data: bytes) -> int:
        """Parse what `data` completes; the number of messages so far."""
