"""The command line with the real engine against the real practice gateway, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from app import cli, config
from app.cli.program import INTERRUPTED
from app.persistence import AppStore
from app.services.composition import Services
from app.services.gateway import GatewayProcess
from app.services.session import Endpoint

pytestmark = pytest.mark.e2e

Ask = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PITDESK_BASEDIR", str(tmp_path / "base"))
    return tmp_path / "base"


@pytest.fixture
def ask(market: GatewayProcess, base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Run one command with --json; its exit code and its one object."""
    hello = tmp_path / "hello.json"
    hello.write_text(json.dumps(asdict(market.hello)))

    def run(*words: str) -> tuple[int, dict[str, Any]]:
        before = set(threading.enumerate())
        capsys.readouterr()
        code = cli.main([*words, "--json", "--attach", str(hello)])
        shown = capsys.readouterr()
        assert len(shown.out.splitlines()) == 1, shown
        assert set(threading.enumerate()) <= before, "a command leaves no thread behind"
        told: dict[str, Any] = json.loads(shown.out)
        return code, told

    return run


LIMIT_S = 30.0


def shows(ask: Ask, *words: str, wanted: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """Ask until the answer is as wanted: the broker's word on what a command did may come a moment after its end."""
    deadline = time.monotonic() + LIMIT_S
    while not wanted(told := ask(*words)[1]):
        assert time.monotonic() < deadline, told
        time.sleep(0.2)
    return told


def legs(ask: Ask, *roles: str) -> dict[str, dict[str, Any]]:
    """Working orders by role, once all of these roles are there."""
    told = shows(ask, "orders", wanted=lambda told: {row["role"] for row in told["orders"]} >= set(roles))
    return {row["role"]: row for row in told["orders"]}


def is_empty(what: str) -> Callable[[dict[str, Any]], bool]:
    return lambda told: told == {what: []}


def nets(told: dict[str, Any]) -> list[int]:
    return [row["net_lots"] for row in told["positions"]]


def test_accounts_contracts_and_quote_are_told(ask: Ask, account: str) -> None:
    code, told = ask("accounts")
    assert code == 0
    assert (told["accounts"][0]["name"], told["accounts"][0]["word"]) == (account, "DEMO")
    _, told = ask("contracts", "MNQ")
    assert [row["root"] for row in told["contracts"]][:1] == ["MNQ"]
    code, told = ask("quote", "MNQ")
    assert (code, told["quote"]["bid"], told["quote"]["ask"]) == (0, "21500.00", "21500.25")


def test_a_limit_order_works_is_listed_and_is_cancelled_in_later_commands(ask: Ask, account: str) -> None:
    code, told = ask("buy", "2", "MNQ", "--account", account, "--limit", "21499.50", "--yes")
    assert code == 0, told
    assert (told["order"]["life"], told["order"]["limit"]) == ("working", "21499.50")
    _, listed = ask("orders")
    assert [(row["key"], row["size_lots"]) for row in listed["orders"]] == [(told["order"]["key"], 2)]
    code, cancelled = ask("cancel", told["order"]["key"])
    assert (code, cancelled["cancelled"]["outcome"]) == (0, "done")
    shows(ask, "orders", wanted=is_empty("orders"))


def test_a_market_order_fills_makes_a_position_and_is_flattened(ask: Ask, account: str, base: Path) -> None:
    code, told = ask("buy", "2", "MNQ", "--account", account, "--yes")
    assert code == 0, told
    assert (told["order"]["life"], told["order"]["filled_lots"]) == ("filled", 2)
    told = shows(ask, "positions", "--account", account, wanted=nets)
    assert [(row["net_lots"], row["average"]) for row in told["positions"]] == [(2, "21500.2500")]
    assert [row["stop_lots"] for row in told["positions"]] == [0]
    assert told["positions"][0]["open_pnl"] is not None
    code, told = ask("flatten", "--account", account)
    assert code == 0, told
    shows(ask, "positions", wanted=is_empty("positions"))
    store = AppStore.open("", base)
    gateways = {row["gateway"] for row in store._rows(_every_account())}
    (gateway,) = gateways
    fills = store.fills(gateway)
    assert sum(row["size_lots"] * (1 if row["side"] == "buy" else -1) for row in fills) == 0
    assert sum(row["size_lots"] for row in fills) == 4
    store.close()


@pytest.fixture
def window(base: Path, market: GatewayProcess, account: str) -> Iterator[Services]:
    """A running window: many commands through one login, as the gateway's budget of requests wants it."""
    with _running_window(base, market, account) as services:
        yield services


def test_a_bracket_protects_its_position_and_its_legs_are_moved_by_role(
    window: Services, ask: Ask, account: str
) -> None:
    mine = ["--account", account]
    code, told = ask("bracket", "MNQ", "buy", "2", "40", "80", *mine, "--yes")
    assert code == 0, told
    held_by = legs(ask, "stop", "target")
    assert (held_by["stop"]["stop"], held_by["target"]["limit"]) == ("21490.25", "21520.25")
    shows(ask, "positions", wanted=lambda told: [row["stop_lots"] for row in told["positions"]] == [2])
    # A stop entry on the same contract is nobody's exit.
    code, entry = ask("stop", "MNQ", "sell", "1", "21480", *mine, "--yes")
    assert code == 0, entry
    code, told = ask("modify-stop", "MNQ", "21495.00", *mine)
    assert (code, told.get("modified", told)["outcome"]) == (0, "done"), told
    assert ask("modify-tp", "MNQ", "21515.00", *mine)[0] == 0
    wanted = {
        held_by["stop"]["key"]: ("21495.00", None),
        held_by["target"]["key"]: (None, "21515.00"),
        entry["order"]["key"]: ("21480.00", None),
    }
    shows(
        ask,
        "orders",
        wanted=lambda told: {row["key"]: (row["stop"], row["limit"]) for row in told["orders"]} == wanted,
    )
    assert ask("modify-tp", "MNQ", "21515.13", *mine)[1]["error"]["exit_code"] == 2
    assert ask("flatten", "--all")[0] == 0
    shows(ask, "orders", wanted=is_empty("orders"))


def test_a_part_of_a_position_is_closed_and_the_rest_stays(window: Services, ask: Ask, account: str) -> None:
    mine = ["--account", account]
    assert ask("trade", "MNQ", "sell", "4", *mine, "--yes")[0] == 0
    shows(ask, "positions", wanted=lambda told: nets(told) == [-4])
    code, told = ask("close", "MNQ", "1", *mine)
    assert code == 0, told
    shows(ask, "positions", wanted=lambda told: nets(told) == [-3])
    assert ask("close", "MNQ", "--fraction", "50", *mine)[0] == 0
    shows(ask, "positions", wanted=lambda told: nets(told) == [-2])
    code, told = ask("close", "MNQ", "5", *mine)
    assert (code, "5 lots are more than the 2 held" in told["error"]["text"]) == (2, True)
    assert ask("close", "MNQ", *mine)[0] == 0
    shows(ask, "positions", wanted=is_empty("positions"))
    assert "has no position in" in ask("close", "MNQ", *mine)[1]["error"]["text"]


def test_working_orders_are_changed_and_cancelled_by_group(window: Services, ask: Ask, account: str) -> None:
    mine = ["--account", account]
    low = ask("limit", "MNQ", "buy", "1", "21499.00", *mine, "--yes")[1]["order"]["key"]
    ask("limit", "MNQ", "sell", "1", "21505.00", *mine, "--yes")
    stop = ask("stop-buy", "MNQ", "1", "21510.00", *mine, "--yes")[1]["order"]["key"]
    trail = ask("trail", "MNQ", "sell", "1", "10p", *mine, "--yes")[1]["order"]
    assert trail["kind"] == "trailing_stop"
    code, told = ask("modify", low, "--size", "2")
    assert (code, "add --yes" in told["error"]["text"]) == (3, True)
    assert ask("modify", low, "--price", "21498.50", "--size", "2", "--yes")[0] == 0
    assert ask("modify", stop, "--price", "21512.00")[0] == 0
    wanted = {low: (2, "21498.50", None), stop: (1, None, "21512.00")}

    def shown(told: dict[str, Any]) -> dict[str, tuple[int, str | None, str | None]]:
        return {row["key"]: (row["size_lots"], row["limit"], row["stop"]) for row in told["orders"]}

    shows(ask, "orders", wanted=lambda told: wanted.items() <= shown(told).items())
    assert ask("cancel", "--side", "sell", *mine)[0] == 0
    shows(ask, "orders", wanted=lambda told: {row["side"] for row in told["orders"]} == {"buy"})
    assert ask("cancel", "--price", "21498.50", "--contract", "MNQ", *mine)[0] == 0
    shows(ask, "orders", wanted=lambda told: low not in {row["key"] for row in told["orders"]})
    assert ask("cancel", "--kind", "stop", *mine)[0] == 0
    shows(ask, "orders", wanted=is_empty("orders"))


def test_a_stop_is_followed_by_this_computer_until_it_is_told_off(window: Services, ask: Ask, account: str) -> None:
    mine = ["--account", account]
    assert ask("bracket", "MNQ", "buy", "1", "40", *mine, "--yes")[0] == 0
    legs(ask, "stop")
    code, told = ask("trail-rule", "MNQ", "--trail", "40:20:4", "--break-even", "24+2", *mine)
    assert (code, "the stop itself stays at the broker" in told["rules"][0]["text"]) == (0, True), told
    (rule,) = window.engine.stop_rules()
    assert (rule.break_even_trigger_ticks, rule.break_even_plus_ticks) == (24, 2)
    assert rule.trail_stages == [(40, 20, 4)]
    assert ask("trail-rule", "MNQ", "--off", *mine)[0] == 0
    assert [held.state for held in window.engine.stop_rules() if held.state != "ended"] == []
    ask("flatten", *mine)
    shows(ask, "positions", wanted=is_empty("positions"))
    code, told = ask("trail-rule", "MNQ", "--off", *mine)
    assert (code, "has no position" in told["error"]["text"]) == (2, True)


def test_break_even_tightens_the_stop_once(ask: Ask, account: str) -> None:
    mine = ["--account", account]
    assert ask("bracket", "MNQ", "buy", "1", "40", *mine, "--yes")[0] == 0
    # The market stands below the entry: beyond it a stop would trigger at once, so the broker refuses.
    code, told = ask("break-even", "MNQ", *mine)
    assert code in (0, 3, 4), told
    ask("flatten", *mine)
    shows(ask, "positions", wanted=is_empty("positions"))
    code, told = ask("break-even", "MNQ", *mine)
    assert (code, "has no position" in told["error"]["text"]) == (2, True)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("native-bracket MNQ buy 1 21510 21520", "The stop 21510.00 must be below the entry 21500.25."),
        ("native-bracket MNQ sell 1 21510 21520", "The target 1 21520.00 must be below the entry 21500.00."),
        ("native-bracket MNQ buy 1 1500 21520", "is 80,001 ticks of"),
        ("stop-bracket MNQ buy 1 21510 21515 21530", "The stop 21515.00 must be below the entry 21510.00."),
        ("limit MNQ buy 1 24990.13", "nearest are 24990.00 and 24990.25"),
        ("bracket MNQ buy 1 10.3p", "nearest are 10.25 and 10.5 points"),
    ],
)
def test_the_predecessors_silent_corrections_are_refusals(ask: Ask, account: str, words: str, says: str) -> None:
    code, told = ask(*words.split(), "--account", account, "--yes")
    assert (code, says in told["error"]["text"]) == (2, True), told
    assert ask("orders", "--all")[1] == {"orders": []}


def test_a_saved_template_sizes_and_protects_an_order(
    ask: Ask, account: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["templates", "save", "Scalp", "--stop", "20d", "--target", "10p"]) == 0
    code, told = ask("bracket", "MNQ", "sell", "1", "--template", "Scalp", "--account", account, "--yes")
    assert code == 0, told
    held_by = legs(ask, "stop", "target")
    assert (held_by["stop"]["stop"], held_by["target"]["limit"]) == ("21510.00", "21490.00")


def test_dollars_of_risk_are_told_in_lots_and_micros(ask: Ask) -> None:
    _, told = ask("size", "NQ", "--risk", "300", "--stop", "22", "--mixed")
    assert told["size"]["text"] == "2 NQ + 5 MNQ: 288.66 of 300.00 with fees."
    assert ask("size", "NQ", "--risk", "100", "--stop", "22")[1]["size"]["micro_lots"] == 8


def test_limits_are_lowered_at_once_and_raised_only_in_the_options(ask: Ask, account: str) -> None:
    assert ask("limits", "--account", account)[1]["limits"]["max_order_lots"] == 5
    code, told = ask("limits", "--account", account, "--max-order-lots", "9")
    assert (code, "1 to 5" in told["error"]["text"]) == (2, True)


def test_an_account_shows_its_rules_and_takes_no_entries_in_reduce_only_mode(ask: Ask, account: str) -> None:
    code, told = ask("risk", "--account", account)
    assert (code, told["risk"]["mode"], told["risk"]["minis_allowed"]) == (0, "normal", 15.0)
    assert told["risk"]["rules"].startswith("Topstep 150K Practice, 2026-")
    assert ask("risk", "--account", account, "--mode", "reducing")[1]["risk"]["mode"] == "reducing"
    code, told = ask("buy", "1", "MNQ", "--account", account, "--yes")
    assert (code, "reduce-only" in told["error"]["text"]) == (3, True)
    assert ask("risk", "--account", account, "--mode", "locked")[0] == 0
    code, told = ask("risk", "--account", account, "--mode", "normal")
    assert (code, "next session" in told["error"]["text"]) == (3, True)


def test_a_position_is_turned_and_leaves_nothing_of_the_old_side(window: Services, ask: Ask, account: str) -> None:
    mine = ["--account", account]
    assert ask("bracket", "MNQ", "buy", "2", "40", "80", *mine, "--yes")[0] == 0
    code, told = ask("reverse", "MNQ", *mine)
    assert (code, "reverse MNQ" in told["error"]["text"]) == (3, True)
    code, told = ask("reverse", "MNQ", *mine, "--yes")
    assert code == 0, told
    shows(ask, "positions", wanted=lambda told: [row["net_lots"] for row in told["positions"]] == [-2])
    shows(ask, "orders", wanted=is_empty("orders"))
    assert ask("flatten", "--all")[0] == 0
    assert ask("positions")[1] == {"positions": []}


def test_a_bracket_with_two_targets_is_one_decision(window: Services, ask: Ask, account: str) -> None:
    mine = ["--account", account]
    words = ["bracket", "MNQ", "buy", "2", "40", "--target", "1:40", "--target", "1:80"]
    code, told = ask(*words, *mine, "--yes")
    assert code == 0, told

    def targets(told: dict[str, Any]) -> list[tuple[int, str]]:
        return sorted((row["size_lots"], row["limit"]) for row in told["orders"] if row["role"] == "target")

    shows(ask, "orders", wanted=lambda told: targets(told) == [(1, "21510.25"), (1, "21520.25")])
    assert ask("flatten", *mine)[0] == 0
    shows(ask, "orders", wanted=is_empty("orders"))


def test_the_fill_of_a_linked_order_cancels_the_other(window: Services, ask: Ask, account: str) -> None:
    mine = ["--account", account]
    low = ask("limit", "MNQ", "buy", "1", "21499.00", *mine, "--yes")[1]["order"]["key"]
    high = ask("stop-buy", "MNQ", "1", "21510.00", *mine, "--yes")[1]["order"]["key"]
    code, told = ask("oco", low, high)
    assert (code, told["linked"]["keys"]) == (0, [low, high]), told
    assert len({order.oco_group for order in window.engine.orders()}) == 1
    # At the ask it fills at once, and the other one goes with it.
    assert ask("modify", low, "--price", "21500.25", "--yes")[0] == 0
    shows(ask, "positions", wanted=nets)
    shows(ask, "orders", wanted=is_empty("orders"))


def test_the_bracket_mode_is_stated_and_shown(window: Services, ask: Ask, account: str) -> None:
    mine = ["--account", account]
    assert ask("bracket-mode", "position-brackets", *mine)[1]["bracket_mode"]["mode"] == "position_brackets"
    code, told = ask("bracket", "MNQ", "buy", "1", "40", *mine, "--yes")
    assert code == 3, told
    assert ask("bracket-mode", "auto-oco", *mine)[1]["bracket_mode"]["mode"] == "auto_oco"


def test_an_account_is_locked_to_reducing_and_unlocked(window: Services, ask: Ask, account: str) -> None:
    mine = ["--account", account]
    assert ask("lock", "--reduce-only", *mine)[0] == 0
    code, told = ask("trade", "MNQ", "buy", "1", *mine, "--yes")
    assert code == 3, told
    assert ask("unlock", *mine)[0] == 0
    assert ask("trade", "MNQ", "buy", "1", *mine, "--yes")[0] == 0
    assert ask("lock", *mine)[0] == 0
    assert ask("trade", "MNQ", "buy", "1", *mine, "--yes")[0] == 3
    code, told = ask("unlock", *mine)
    assert code == 3, told
    assert ask("flatten", *mine)[0] == 0


def test_what_happens_is_kept_on_postgresql_when_the_options_say_so(
    ask: Ask, account: str, base: Path, postgres_url: str
) -> None:
    option = f"storage.url={postgres_url}"
    code, told = ask("buy", "1", "MNQ", "--account", account, "--yes", "-o", option)
    assert code == 0, told
    # A command ends with its order; a fill that is told after that is taken at the next comparison.
    shows(ask, "positions", "-o", option, wanted=nets)
    store = AppStore.open(postgres_url, base)
    (gateway,) = {row["gateway"] for row in store._rows(_every_account())}
    assert [row["life"] for row in store.orders(gateway)] == ["filled"]
    assert [row["size_lots"] for row in store.fills(gateway)] == [1]
    store.close()
    assert not (base / "app.db").exists()


def _every_account() -> Any:
    import sqlalchemy as sa

    from app.persistence.tables import accounts_seen

    return sa.select(accounts_seen.c.gateway)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["buy", "50", "MNQ", "--yes"], 3, "limit of 5 lots"),
        (["buy", "1", "MNQ", "--yes", "--limit", "21499.60"], 2, "nearest are 21499.50 and 21499.75"),
        (["buy", "1", "NOSUCH", "--yes"], 2, "NOSUCH"),
        (["sell", "1", "MNQ", "--yes", "--limit", "30000"], 3, ""),
        (["cancel", "no-such-order"], 2, "no-such-order"),
    ],
)
def test_what_is_refused_here_never_reaches_the_gateway(
    ask: Ask, account: str, words: list[str], code: int, says: str
) -> None:
    named = ["--account", account] if words[0] != "cancel" else []
    found, told = ask(*words, *named)
    assert (found, told["error"]["exit_code"]) == (code, code)
    assert says in told["error"]["text"]
    orders = ask("orders", "--all")[1]["orders"]
    assert [(row["order_id"], row["life"]) for row in orders] in ([], [(0, "denied")])


def test_an_unknown_account_is_answered_with_those_there_are(ask: Ask, account: str) -> None:
    code, told = ask("buy", "1", "MNQ", "--account", "NOBODY", "--yes")
    assert code == 2
    assert account in told["error"]["text"]


def test_a_wrong_key_is_refused_there(
    market: GatewayProcess, base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hello = tmp_path / "wrong.json"
    hello.write_text(json.dumps(asdict(market.hello) | {"api_key": "not-the-right-key"}))
    code = cli.main(["accounts", "--json", "--attach", str(hello)])
    assert code in (4, 6)
    assert "not-the-right-key" not in capsys.readouterr().out


def test_a_gateway_that_is_gone_is_no_connection(ask: Ask, market: GatewayProcess) -> None:
    market.stop()
    code, told = ask("accounts", "-o", "connection.deadline_s=5")
    assert code in (5, 6), told


def test_a_command_goes_through_the_engine_that_already_runs(
    ask: Ask, account: str, market: GatewayProcess, base: Path
) -> None:
    with _running_window(base, market, account) as services:
        code, told = ask("buy", "1", "MNQ", "--account", account, "--limit", "21499.50", "--yes")
        assert code == 0, told
        told_key = told["order"]["key"]
        (order,) = [order for order in services.engine.orders() if order.key == told_key]
        assert order.life == "working"
        assert [row["key"] for row in ask("orders")[1]["orders"]] == [order.key]
        assert ask("quote", "MNQ")[1]["quote"]["bid"] == "21500.00"
        assert ask("cancel", order.key)[0] == 0
        assert ask("buy", "1", "MNQ", "--account", account, "--yes")[1]["order"]["life"] == "filled"
        assert ask("flatten", "--account", account)[0] == 0
        assert ask("accounts")[1]["accounts"][0]["name"] == account
        shows(ask, "positions", wanted=is_empty("positions"))
        assert all(position.net_lots == 0 for position in services.engine.positions())


@contextlib.contextmanager
def _running_window(base: Path, market: GatewayProcess, account: str) -> Iterator[Services]:
    """Services as a window has them, open and connected in a thread of their own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="window")
    thread.start()

    async def open_services() -> Services:
        services = await Services.open(config.Directories.under(base), config.Options(), is_headless=True)
        await services.connect(Endpoint.of_practice(market.hello))
        await services.session.choose(account)
        return services

    services = asyncio.run_coroutine_threadsafe(open_services(), loop).result(60)
    try:
        yield services
    finally:
        asyncio.run_coroutine_threadsafe(services.close(), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_a_base_directory_held_by_an_engine_that_cannot_be_asked_is_busy(
    ask: Ask, account: str, market: GatewayProcess, base: Path
) -> None:
    with _running_window(base, market, account):
        (base / "control.sock").unlink()
        code, told = ask("accounts")
    assert (code, told["error"]["kind"]) == (7, "EngineBusy")
    assert str(os.getpid()) in told["error"]["text"]


def test_a_day_of_commands_leaves_no_secret_in_any_file_or_answer(
    ask: Ask, account: str, market: GatewayProcess, base: Path
) -> None:
    said = [
        json.dumps(ask(*words)[1])
        for words in (
            ["accounts", "-o", "log.level=debug"],
            ["buy", "1", "MNQ", "--account", account, "--yes", "-o", "log.level=debug"],
            ["flatten", "--account", account, "-o", "log.level=debug"],
            ["orders", "--all", "-o", "log.level=debug"],
        )
    ]
    outputs = {str(path): path.read_bytes() for path in base.rglob("*") if path.is_file()}
    outputs["answers"] = "".join(said).encode()
    assert {"pitdesk.jsonl", "app.db", "orders.journal"} <= {Path(name).name for name in outputs}
    for name, content in outputs.items():
        for secret in (market.hello.api_key, market.hello.control_token, "eyJ"):
            assert secret.encode() not in content, name


def test_sigterm_ends_a_command_in_order(market: GatewayProcess, base: Path, tmp_path: Path) -> None:
    hello = tmp_path / "hello.json"
    hello.write_text(json.dumps(asdict(market.hello)))
    words = ["quote", "ES", "--attach", str(hello), "-o", "trading.request_deadline_s=120"]
    child = subprocess.Popen([sys.executable, "-m", "app.cli", *words], env=os.environ | {"PITDESK_BASEDIR": str(base)})
    log = base / "log" / "pitdesk.jsonl"
    while not (log.exists() and "session connected" in log.read_text()):
        assert child.poll() is None, "the command waits for a price that never comes"
    child.send_signal(signal.SIGTERM)
    assert child.wait(30) == INTERRUPTED
    assert not (base / "control.sock").exists()
