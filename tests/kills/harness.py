"""The kill harness: a Rust-only trader is killed again and again; at the end the exchange and the journal must agree.

A third of the kills come at a random time, start-up and comparing included; the others at a named boundary between two
effects, where the subject kills itself. After the last one it comes back once more and settles. Then

lost        a tag whose order the exchange and the journal tell differently, or that only one of them has
duplicated  orders beyond the first of one tag
unknown_end orders the journal still has no proof of
"""

from __future__ import annotations

import dataclasses
import json
import random
import subprocess
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from app.services.gateway import GatewayProcess, Hello
from tests.accept.control import Control
from tests.quiet_market import AT_MORNING

ROOT = Path(__file__).resolve().parents[2]
SUBJECT = ROOT / "native" / "target" / "debug" / "examples" / "kill_subject"
BOUNDARIES = ("record_written", "half_sent", "sent", "answer_read", "answer_recorded", "reconciling")
RANDOM = "random"
_SHORT = {
    "PITDESK_ENGINE_ABSENCE_AFTER_S": "0.2",
    "PITDESK_ENGINE_READ_GAP_S": "0.1",
    "PITDESK_ENGINE_BENCH_LIMITS_OFF": "1",
}
"""The gateway answers at once, so that a request it has not seen after a fifth of a second never comes."""
_RANDOM_WITHIN_S = 0.35
_NEVER_REACHED_S = 2.0
_SETTLED_WITHIN_S = 60.0
_LIVES = {"working": {1}, "filled": {2}, "cancelled": {3}, "expired": {4}, "refused": {5}}
"""A life of the journal and the statuses of the exchange that mean it."""


@dataclasses.dataclass
class Tally:
    """What one or several rigs found. `faults` names every lost order for people."""

    kills: int = 0
    orders: int = 0
    lost: int = 0
    duplicated: int = 0
    unknown_end: int = 0
    kill_points: Counter[str] = dataclasses.field(default_factory=Counter)
    faults: list[str] = dataclasses.field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.kills += other.kills
        self.orders += other.orders
        self.lost += other.lost
        self.duplicated += other.duplicated
        self.unknown_end += other.unknown_end
        self.kill_points += other.kill_points
        self.faults += other.faults

    @property
    def holds(self) -> bool:
        """Nothing lost, doubled or left unknown, with orders there to lose and a kill at every boundary."""
        is_whole = self.lost == self.duplicated == self.unknown_end == 0
        return is_whole and self.orders > 0 and all(self.kill_points[name] for name in BOUNDARIES)

    def report(self) -> dict[str, Any]:
        """The answer of the contracts table."""
        told = {**dataclasses.asdict(self), "kill_points": dict(sorted(self.kill_points.items()))}
        del told["faults"]
        return told


def build() -> None:
    """Compile the subject unless it is there already, as `cargo test` does."""
    manifest = ROOT / "native" / "Cargo.toml"
    # Of the whole workspace: with the features of one package alone the engine would be compiled once more.
    command = ["cargo", "build", "--quiet", "--locked", "--manifest-path", str(manifest), "--workspace"]
    subprocess.run([*command, "--example", "kill_subject"], check=True)


def run(kills: int, seed: int = 1, workers: int = 2) -> Tally:
    """Kill `kills` times altogether, on `workers` exchanges side by side."""
    shares = [kills // workers + (number < kills % workers) for number in range(workers)]
    tally = Tally()
    with ThreadPoolExecutor(workers) as pool:
        for found in pool.map(_rig, shares, [seed * 1_000 + number for number in range(workers)]):
            tally.add(found)
    return tally


def _rig(kills: int, seed: int) -> Tally:
    """One exchange and one base directory from the first kill to the settled end."""
    dice, tally = random.Random(seed), Tally()
    with tempfile.TemporaryDirectory(prefix="kills-") as name:
        folder = Path(name)
        arguments = ["--state", str(folder / "exchange"), "--seed", str(seed), "--no-rate-limits", *AT_MORNING]
        with GatewayProcess.start(arguments) as gateway:
            hello = gateway.hello
            for number in range(kills):
                tally.kill_points[_life(folder / "base", hello, dice, number)] += 1
                tally.kills += 1
            settled = _settled(folder / "base", hello)
            control = Control(hello)
            try:
                compare(tally, settled["orders"], control.orders_by_tag(int(hello.accounts[0]["id"])))
            finally:
                control.close()
    return tally


def _start(arguments: Sequence[object], hello: Hello) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [str(SUBJECT), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=_SHORT,
    )
    assert process.stdin is not None, "the pipe was asked for"
    process.stdin.write(json.dumps(dataclasses.asdict(hello)) + "\n")
    process.stdin.close()
    # Closed for good; `communicate` must not try to write to it.
    process.stdin = None
    return process


def _life(base: Path, hello: Hello, dice: random.Random, number: int) -> str:
    """Start the trader and see it killed; where it died."""
    is_random = number % 3 == 0
    boundary = RANDOM if is_random else dice.choice(BOUNDARIES)
    deadly: list[object] = [] if is_random else [boundary, dice.randint(1, 4)]
    with _start(["trade", base, dice.getrandbits(60), *deadly], hello) as process:
        try:
            process.wait(dice.uniform(0.0, _RANDOM_WITHIN_S) if is_random else _NEVER_REACHED_S)
        except subprocess.TimeoutExpired:
            boundary = RANDOM
        process.kill()
        process.wait()
        assert process.stdout is not None, "the pipe was asked for"
        said = process.stdout.read().split()
    assert process.returncode == -9, f"the subject ended with {process.returncode} by itself: {said}"
    return boundary


def _settled(base: Path, hello: Hello) -> dict[str, Any]:
    with _start(["settle", base], hello) as process:
        told, _ = process.communicate(timeout=_SETTLED_WITHIN_S)
    answer: dict[str, Any] = json.loads(told.splitlines()[-1])
    return answer


def compare(tally: Tally, ours: list[dict[str, Any]], theirs: dict[str, list[dict[str, Any]]]) -> None:
    """Hold the settled orders of the journal against those of the exchange by their tags."""
    known = {order["tag"]: order for order in ours if order["tag"]}
    tally.orders += len(theirs)
    for tag, rows in theirs.items():
        tally.duplicated += len(rows) - 1
        order = known.get(tag)
        status = int(rows[0]["status"])
        if order is None or order["is_foreign"] or status not in _LIVES.get(order["life"], set()):
            tally.lost += 1
            tally.faults.append(f"{tag}: status {status} at the exchange, here {order}")
    for tag, order in known.items():
        tally.unknown_end += bool(order["is_unknown"])
        if tag not in theirs and order["life"] in _LIVES and order["life"] != "refused":
            tally.lost += 1
            tally.faults.append(f"{tag}: not at the exchange, here {order}")
