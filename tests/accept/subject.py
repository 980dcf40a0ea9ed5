"""The program that gets killed: a headless engine that places one order, or one that comes back and settles.

python -m tests.accept.subject place  BASE < hello line      prints the tag, then waits for its end
python -m tests.accept.subject settle BASE < hello line      prints the orders once nothing is unknown
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

from app import logs
from app.config import Directories, Options, RiskOptions
from app.services.composition import Services
from app.services.gateway import Hello
from app.services.session import Endpoint
from app.services.trading import OrderDraft

SOURCE = "accept"
CONTRACT_ROOT = "MNQ"
AWAY_TICKS = 40


def tell(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


async def open_services(base: Path, hello: Hello) -> Services:
    # Standard output is the answer; what the services log goes to the folder.
    Directories.under(base).create()
    logs.start(Directories.under(base).log)
    # Every killed run leaves its order working: the gate must have room for all of them.
    options = Options(risk=RiskOptions(max_position_lots=1000))
    services = await Services.open(Directories.under(base), options, is_headless=True)
    await services.connect(Endpoint.of_practice(hello))
    await services.session.choose(str(hello.accounts[0]["name"]))
    return services


async def place(services: Services, hello: Hello) -> None:
    account = int(hello.accounts[0]["id"])
    contract = await services.market.find(CONTRACT_ROOT)
    await services.market.watch(contract)
    frame = await services.market.first_quote(contract, 20.0)
    assert frame.best_bid_ticks is not None
    services.trading.arm(SOURCE, account, is_armed=True)
    tag = services.trading.submit(
        OrderDraft(
            account_id=account,
            contract_id=contract.id,
            side="buy",
            kind="limit",
            size_lots=1,
            source=SOURCE,
            limit_ticks=frame.best_bid_ticks - AWAY_TICKS,
        )
    )
    tell(tag=tag)
    await asyncio.sleep(60)


async def settle(services: Services) -> None:
    started = time.monotonic()
    while services.engine.status()["unknown_orders"] or any(o.doubt_since_ns for o in services.engine.orders()):
        if time.monotonic() - started > 50:
            break
        await asyncio.sleep(0.01)
    rows = [
        {"tag": o.tag, "order_id": o.order_id, "life": o.life, "doubt": bool(o.doubt_since_ns)}
        for o in services.engine.orders()
    ]
    tell(orders=rows, resolved_s=round(time.monotonic() - started, 3))
    await services.close()


async def main(mode: str, base: Path, hello: Hello) -> None:
    services = await open_services(base, hello)
    if mode == "place":
        await place(services, hello)
    else:
        await settle(services)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), Hello.parse(sys.stdin.readline())))
