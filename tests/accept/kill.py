"""`kill -9` between send and answer: a restart finds every order by its tag, and nothing is sent twice."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from app.services.gateway import GatewayProcess, Hello
from tests.accept.control import Control
from tests.quiet_market import AT_MORNING

ROOT = Path(__file__).resolve().parents[2]
PLACE = "Order/place"
REPLY_DELAY_MS = 60_000


def hello_line(hello: Hello) -> str:
    return json.dumps(dataclasses.asdict(hello)) + "\n"


def start(mode: str, base: Path, hello: Hello) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.accept.subject", mode, str(base)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(hello_line(hello))
    process.stdin.close()
    return process


def told(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    answer: dict[str, Any] = json.loads(process.stdout.readline())
    return answer


def posts_seen(control: Control) -> int:
    return int(control.counters()["requests"].get(PLACE, 0))


def kill_one(base: Path, hello: Hello, control: Control, pause_s: float) -> str:
    """Place an order whose answer never comes in time; kill its sender `pause_s` after the exchange has the request."""
    before = posts_seen(control)
    control.fault(fault="delay_reply", endpoint=PLACE, ms=REPLY_DELAY_MS)
    process = start("place", base, hello)
    tag = str(told(process)["tag"])
    deadline = time.monotonic() + 20
    while posts_seen(control) == before and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(pause_s)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    return tag


def run(kills: int) -> tuple[dict[str, Any], bool]:
    """Returns the answer of the contracts table and whether everything held."""
    rng = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder) / "base"
        with GatewayProcess.start(
            ["--state", str(Path(folder) / "exchange"), "--seed", "7", "--no-rate-limits", *AT_MORNING]
        ) as gateway:
            control = Control(gateway.hello)
            tags, resolved_s, states = [], [], []
            for _ in range(kills):
                tags.append(kill_one(base, gateway.hello, control, rng.uniform(0.0, 0.05)))
                back = start("settle", base, gateway.hello)
                answer = told(back)
                back.wait(30)
                resolved_s.append(float(answer["resolved_s"]))
                states.append({o["tag"]: o for o in answer["orders"]}.get(tags[-1]))
            at_broker = control.orders_by_tag(int(gateway.hello.accounts[0]["id"]))
            posts = posts_seen(control)
            control.close()
    per_tag = [len(at_broker.get(tag, [])) for tag in tags]
    lives = [state["life"] if state and not state["doubt"] else "lost" for state in states]
    report = {
        "kills": kills,
        "posts_seen": posts,
        "broker_orders_per_tag_max": max(per_tag),
        "state_after": {life: lives.count(life) for life in sorted(set(lives))},
        "resolved_s": max(resolved_s),
    }
    holds = posts == kills and set(per_tag) == {1} and set(lives) == {"working"} and len(at_broker) == kills
    return report, holds
