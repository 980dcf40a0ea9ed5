"""Services without an engine: what the desk asks for, answered from lists that a test fills."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from app.config import Options
from app.services.exits import ExitTemplate
from app.services.templates import NamedTemplate
from tests.ui import records


class FakeEngine:
    """The views and notes of an engine; every list is the test's own."""

    def __init__(self) -> None:
        self.account_list = [
            SimpleNamespace(
                id=7,
                name="DEMO-50K-4471",
                word="DEMO",
                kind_text="Alpha 50K",
                balance_1e4=500_000_000,
                can_trade=True,
                managed_by="",
            ),
            SimpleNamespace(
                id=8,
                name="DEMO-150K-0917",
                word="DEMO",
                kind_text="150K",
                balance_1e4=1_500_000_000,
                can_trade=True,
                managed_by="",
            ),
        ]
        self.contract_list = [records.Contract(), records.Contract(1, "CON.F.US.MNQ.Z26", "MNQZ6", root="MNQ")]
        self.order_list: list[Any] = []
        self.position_list: list[Any] = []
        self.fill_list: list[Any] = []
        self.risk_list: list[Any] = []
        self.link_list = [link("market"), link("user"), link("rest")]
        self.newest_frame: Any = None
        self.newest_bars: Any = None
        self.painted: list[int] = []
        self.armed: set[tuple[str, int]] = set()
        self.status_values: dict[str, Any] = {
            "state": "live",
            "unknown_orders": 0,
            "budget_used": 37,
            "budget_limit": 200,
            "exits_kept": 80,
            "market_now_ns": records.NOON_NS,
        }

    def accounts(self) -> list[Any]:
        return self.account_list

    def contracts(self) -> list[Any]:
        return self.contract_list

    def orders(self) -> list[Any]:
        return self.order_list

    def orders_since(self, _revision: int) -> tuple[int, int, list[Any]]:
        return 1, len(self.order_list), self.order_list

    def positions(self) -> list[Any]:
        return self.position_list

    def fills(self) -> list[Any]:
        return self.fill_list

    def links(self) -> list[Any]:
        return self.link_list

    def risks(self) -> list[Any]:
        return self.risk_list

    def status(self) -> dict[str, Any]:
        return self.status_values

    def limits(self, _account_id: int) -> Any:
        return SimpleNamespace(max_order_lots=5, max_position_lots=10, max_working_orders=60)

    def mono_ns(self) -> int:
        return 20_000_000

    def note_painted(self, receive_mono_ns: int) -> None:
        self.painted.append(receive_mono_ns)


class FakeTrading:
    """Records what was asked for."""

    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine
        self.submitted: list[Any] = []
        self.asked: list[tuple[Any, ...]] = []

    def submit(self, draft: Any) -> str:
        self.submitted.append(draft)
        return "p1-1-1"

    async def modify(self, key: str, *, source: str, **changes: int) -> None:
        self.asked.append(("modify", key, changes, source))

    async def hold_stop(self, key: str, *, source: str, **rule: Any) -> None:
        self.asked.append(("hold stop", key, rule, source))

    async def flatten_everything(self, *, source: str) -> None:
        self.asked.append(("flatten everything", source))

    async def reverse(self, account_id: int, contract_id: str, *, source: str) -> None:
        self.asked.append(("reverse", account_id, contract_id, source))

    async def set_mode(self, account_id: int, mode: str, *, source: str) -> None:
        self.asked.append(("mode", account_id, mode, source))

    async def release_throttle(self, account_id: int, throttled: str, *, source: str) -> None:
        self.asked.append(("release", account_id, throttled, source))

    async def recheck(self) -> None:
        self.asked.append(("recheck",))

    async def cancel(self, key: str, *, source: str) -> None:
        self.asked.append(("cancel", key, source))

    async def close(self, account_id: int, contract_id: str, *, size_lots: int | None, source: str) -> None:
        self.asked.append(("close", account_id, contract_id, size_lots, source))

    async def flatten(self, account_id: int, *, contract_id: str | None = None, source: str) -> None:
        self.asked.append(("flatten", account_id, contract_id, source))

    def arm(self, source: str, account_id: int, *, is_armed: bool) -> None:
        if is_armed:
            self._engine.armed.add((source, account_id))
        else:
            self._engine.armed.discard((source, account_id))

    def is_armed(self, source: str, account_id: int) -> bool:
        return (source, account_id) in self._engine.armed


class FakeMarket:
    """Frames and bars as the test set them."""

    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine

    def frame(self, _contract: Any, since_revision: int) -> Any:
        frame = self._engine.newest_frame
        return frame if frame is not None and frame.revision > since_revision else None

    def bars(self, _contract: Any, _unit: str, _number: int, since_revision: int) -> Any:
        bars = self._engine.newest_bars
        return bars if bars is not None and bars.revision > since_revision else None

    async def watch(self, _contract: Any) -> None:
        return None

    async def watch_bars(self, _contract: Any, _unit: str, _number: int, _count: int) -> None:
        return None

    async def release(self, _contract: Any) -> None:
        return None


class FakeSession:
    """Chooses whatever is asked for."""

    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine
        self.risk = Options().risk
        self.stated: list[dict[str, int]] = []

    async def restate(self, **changes: int) -> None:
        self.stated.append(changes)

    async def choose(self, wanted: str) -> Any:
        return next(account for account in self._engine.account_list if str(account.id) == wanted)


class FakeTemplates:
    """Keeps what is saved in memory."""

    def __init__(self) -> None:
        self.held: list[NamedTemplate] = []

    async def load(self) -> list[NamedTemplate]:
        return self.held

    async def save(self, name: str, template: ExitTemplate) -> NamedTemplate:
        version = 1 + max((held.version for held in self.held if held.name == name), default=0)
        saved = NamedTemplate(name, version, template)
        self.held = [*(held for held in self.held if held.name != name), saved]
        return saved

    async def remove(self, name: str) -> None:
        self.held = [held for held in self.held if held.name != name]


class FakeServices:
    """Everything the desk uses."""

    def __init__(self) -> None:
        self.options = Options()
        self.engine = FakeEngine()
        self.trading = FakeTrading(self.engine)
        self.market = FakeMarket(self.engine)
        self.session = FakeSession(self.engine)
        self.templates = FakeTemplates()


def link(name: str, state: str = "live", age_ms: int = 38, retry_mono_ns: int = 0) -> Any:
    """One connection's state."""
    return SimpleNamespace(name=name, state=state, since_ns=0, age_ms=age_ms, text="", retry_mono_ns=retry_mono_ns)
