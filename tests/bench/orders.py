"""`order_place`, `order_modify`, `order_cancel`, `submit_call`, `gui_lateness_under_orders` and `press_to_bytes`.

One practice gateway a round; every contender in turn sends the same orders to it over a warm connection, all of them
and the gateway on one core: there no sleeping core has to be woken. Ours is timed inside the engine, from the command
entering its queue to the views that show the answer: gate, journal, request, answer, state.
Peers are timed around the call that builds the body and decodes the answer. The floor is `examples/order_floor.rs`.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from tests.bench import peers
from tests.bench.peers import Absent
from tests.bench.report import Row, compared, quantile
from tests.native.rig import QUOTE, Gateway

_ORDERS = 300
_ENGINE, _SPINNING, _SLEEPING = "engine", "engine spinning", "engine sleeping"
_FLOOR, _REQWEST = "raw Rust socket", "pyreqwest"
_OURS = (_ENGINE, _SPINNING, _SLEEPING)
_CLIENTS = ("requests", "aiohttp", _REQWEST, "httpx")
_KINDS = {"place": 5.0, "modify": 3.0, "cancel": 2.0}
"""Each kind of request with the migration checklist's target, ms at the 95th percentile."""


@dataclass
class Results:
    """What each contender told, round by round, and why one told nothing."""

    told: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def of(self, name: str, kind: str, share: float) -> list[float]:
        """One quantile of each round, microseconds."""
        rounds = self.told.get(name, [])
        if name in _OURS:
            figure = {0.5: "p50", 0.95: "p95", 0.99: "p99"}[share]
            return [float(each[f"order_{kind}_us_{figure}"]) for each in rounds]
        return [quantile(each[kind], share) / 1000 for each in rounds]


def measure(rounds: int) -> Iterator[Row]:
    """The three requests beside every peer, the submitting call, and the window's timer under a thousand orders."""
    results, free = _contend(max(2, rounds), _one_core()), _contend(2, nullcontext(), (*_OURS, _FLOOR, _REQWEST))
    if not results.told.get(_ENGINE) or not free.told.get(_ENGINE):
        yield Row("order_place", skipped=results.reasons.get(_ENGINE, "no round ended"))
        return
    for kind, target_ms in _KINDS.items():
        yield from _kind_rows(results, kind, target_ms)
        yield from _free_rows(free, kind)
    yield from _own_rows(results.told[_ENGINE], free.told[_ENGINE], free.told.get(_SPINNING, []))
    for name, reason in results.reasons.items():
        yield Row(f"order_place.beside {name}", peer=name, skipped=reason)
    yield _lateness_row(rounds)


def _contend(
    rounds: int, placement: AbstractContextManager[None], names: Sequence[str] = (_ENGINE, _FLOOR, *_CLIENTS)
) -> Results:
    results = Results()
    with placement:
        for number in range(rounds):
            # Nobody is always first: the exchange's book of orders grows over a round.
            turn = number % len(names)
            with _gateway() as gateway:
                for name in (*names[turn:], *names[:turn]):
                    if name in results.reasons:
                        continue
                    try:
                        results.told.setdefault(name, []).append(_run(name, gateway))
                    except Absent as error:
                        results.reasons[name] = str(error)
    return results


@contextmanager
def _one_core() -> Iterator[None]:
    """Whatever is started inside shares one core; without such a system call it is placed freely."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def _gateway() -> Iterator[Gateway]:
    # Quotes go on, or the gate would rightly call the market late.
    steps = [{"ms": 500 * step, "quote": QUOTE | {"bid_lots": 50 + step % 2}} for step in range(600)]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        gateway = Gateway(Path(folder), steps)
        try:
            yield gateway
        finally:
            gateway.stop()


def _run(name: str, gateway: Gateway) -> dict[str, Any]:
    hello = gateway.hello
    told = json.dumps({**vars(hello), "count": _ORDERS})
    if name == _FLOOR:
        token = _token(gateway)
        address, account = hello.rest.split("://")[1], str(hello.accounts[0]["id"])
        return peers.run_json([_floor(), address, token, account, str(_ORDERS)])
    # httpx is a dependency of the program, and ours is the program; the others may only be in the peers' environment.
    python = sys.executable if name in (*_OURS, "httpx") else peers.bench_python()
    command = [python, "-W", "ignore", "-m", "tests.bench.orders_client", name, told]
    path = os.pathsep.join(filter(None, (str(peers.ROOT), os.environ.get("PYTHONPATH"))))
    return peers.run_json(command, deadline_s=180.0, extra={"PYTHONPATH": path})


def _token(gateway: Gateway) -> str:
    from tests.bench.orders_client import log_in, posting

    post, close = posting("httpx", gateway.hello.rest)
    try:
        return log_in(post, vars(gateway.hello))
    finally:
        close()


@cache
def _floor() -> str:
    """The raw Rust client, compiled once. Raises Absent."""
    source = peers.ROOT / "native" / "trading_bot_core" / "examples" / "order_floor.rs"
    program = peers.ROOT / "native" / "target" / "order_floor"
    try:
        command = ["rustc", "--edition", "2024", "-O", "-o", str(program), str(source)]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
    except (OSError, subprocess.SubprocessError) as error:
        raise Absent(f"rustc could not build it: {error}") from error
    return str(program)


def _kind_rows(results: Results, kind: str, target_ms: float) -> Iterator[Row]:
    ours = {share: results.of(_ENGINE, kind, share) for share in (0.5, 0.95, 0.99)}
    n = _ORDERS * len(ours[0.5])
    name, p50, p99 = f"order_{kind}", statistics.median(ours[0.5]), statistics.median(ours[0.99])
    goals = {_FLOOR: (1.15, 1.3), _REQWEST: (1.0, 1.0), "requests": (1 / 8, None)}
    for peer in (_FLOOR, _REQWEST, "requests", "aiohttp", "httpx"):
        if peer not in results.told:
            continue
        most, most_p99 = goals.get(peer, (None, None))
        row = compared(Row(name, n, "us", p50, p99, goal=_goal(most)), peer, ours[0.5], results.of(peer, kind, 0.5))
        yield _judged(row, most)
        if most_p99 is not None:
            slow = Row(f"{name}.p99", n, "us", p99, goal=_goal(most_p99))
            yield _judged(compared(slow, peer, ours[0.99], results.of(peer, kind, 0.99)), most_p99)
    p95 = statistics.median(ours[0.95])
    beaten = f"{target_ms:g} ms p95 (checklist); beaten {target_ms * 1000 / p95:,.0f} times"
    yield Row(f"{name}.p95", n, "us", p95, goal=beaten, met=p95 < target_ms * 1000)


def _goal(most: float | None) -> str:
    if most is None:
        return ""
    return f"<= {most:.3g}x" if most >= 1 else f"{1 / most:.0f} times as fast (25 wanted)"


def _judged(row: Row, most: float | None) -> Row:
    if most is None or row.ratio is None:
        return row
    return Row(**{**vars(row), "met": row.ratio <= most})


def _free_rows(results: Results, kind: str) -> Iterator[Row]:
    """Placed by the scheduler, as a user has it: by default the engine is awake around orders; always; never."""
    for name, suffix, most in (
        (_ENGINE, "free_cores", 1.0),
        (_SPINNING, "spinning", 0.6),
        (_SLEEPING, "sleeping", None),
    ):
        ours = results.of(name, kind, 0.5)
        if not ours:
            continue
        p99 = statistics.median(results.of(name, kind, 0.99))
        row = Row(f"order_{kind}.{suffix}", _ORDERS * len(ours), "us", statistics.median(ours), p99)
        for peer in (_FLOOR, _REQWEST):
            if peer in results.told:
                judged = compared(row, peer, ours, results.of(peer, kind, 0.5))
                aim = most if peer == _REQWEST else None
                yield Row(**{**vars(_judged(judged, aim)), "goal": f"<= {aim:g}x" if aim is not None else ""})


def _own_rows(
    pinned: Sequence[dict[str, Any]], free: Sequence[dict[str, Any]], spinning: Sequence[dict[str, Any]]
) -> Iterator[Row]:
    """The journal's share where the trip was measured, the caller's cost where the engine has a core of its own."""

    def mid(name: str, rounds: Sequence[dict[str, Any]] = ()) -> float:
        rounds = rounds or (free if name.startswith(("call", "press")) else pinned)
        return statistics.median(float(each[name]) for each in rounds)

    n = _ORDERS * len(pinned)
    yield Row(
        "order_place.journal", n, "us a write", mid("journal_write_us_p50"), mid("journal_write_us_p99"),
        goal=f"shown apart; {mid('records_an_order'):.1f} records an order, place, modify and cancel together",
    )  # fmt: skip
    p99 = mid("press_to_bytes_us_p99")
    yield Row("press_to_bytes", n, "us", mid("press_to_bytes_us_p50"), p99, goal="p99 < 1 ms", met=p99 < 1000)
    for name, text in (("", "the engine asleep"), (".awake", "the engine at work")):
        p50 = mid(f"call{name}_us_p50")
        goal = f"< 2 us, {text}"
        yield Row(f"submit_call{name}", n, "us", p50, mid(f"call{name}_us_p99"), goal=goal, met=p50 < 2)
    if spinning:
        p50, p99 = mid("call_us_p50", spinning), mid("call_us_p99", spinning)
        yield Row("submit_call.spinning", n, "us", p50, p99, goal="< 2 us, the engine never asleep", met=p50 < 2)
    nice = mid("nice")
    yield Row("order_place.priority", 1, "nice of the engine's thread", nice, goal="-10 where the system allows it")


def _lateness_row(rounds: int) -> Row:
    """The window's timer while 1,000 orders go out, beside the same window left alone, in turn."""
    name, unit = "gui_lateness_under_orders", "ms late, p99 of a 5 ms timer"
    quiet, busy = [], []
    for _ in range(min(rounds, 3)):
        try:
            told = peers.module("window_client", "orders", 1_000, deadline_s=150.0)
        except Absent as error:
            return Row(name, goal="unchanged", skipped=str(error))
        quiet.append(float(told["quiet_p99_ms"]))
        busy.append(float(told["orders_p99_ms"]))
    row = compared(
        Row(name, 1_000 * len(busy), unit, statistics.median(busy)), "the same window, no orders", busy, quiet
    )
    # A timer's own scatter is a tenth or so from one second to the next.
    return Row(**{**vars(row), "goal": "unchanged (<= 1.15x)", "met": row.ratio is not None and row.ratio <= 1.15})
