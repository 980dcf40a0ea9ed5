"""There is one way to an order endpoint, and the gate stands in it (I-6)."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CORE = "native/trading_bot_core/src"
GATE = f"{CORE}/order_execution/gate"


def sources(*folders: str) -> dict[str, str]:
    """Rust of these folders by path, without comments and without the tests at the end of a file."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", *folders], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    found = {}
    for name in filter(lambda name: name.endswith(".rs"), listed.split("\0")):
        text = (ROOT / name).read_text(encoding="utf-8").split("#[cfg(test)]\nmod tests {")[0]
        found[name] = re.sub(r"//[^\n]*", "", text)
    return found


def users(pattern: str, *folders: str) -> dict[str, int]:
    """How often each file matches."""
    counts = {name: len(re.findall(pattern, text)) for name, text in sources(*folders).items()}
    return {name: count for name, count in counts.items() if count}


def test_only_the_three_admitting_functions_make_a_token() -> None:
    assert users(r"Admitted::mint\(\)", "native") == {f"{GATE}/mod.rs": 1}, "in the verdict over all reasons"
    assert users(r"\bverdict\(", GATE) == {
        f"{GATE}/mod.rs": 2,
        f"{GATE}/change.rs": 1,
        f"{GATE}/leg.rs": 1,
    }, "its declaration, and one use in each admitting function"
    text = sources(GATE)[f"{GATE}/mod.rs"]
    assert re.findall(r"(pub[^\n]*)?\bfn verdict\(", text) == [""], "private to the gate"
    assert "pub struct Admitted(());" in text
    assert re.findall(r"(pub[^\n]*)?\bfn mint\(", text) == [""], "private to the gate"
    assert users(r"\bAdmitted\s*\(\s*\(|\bAdmitted\s*\{\s*0", "native") == {f"{GATE}/mod.rs": 1}, "the declaration"
    assert not re.search(r"derive\([^)]*(Clone|Copy|Default)[^)]*\)\][^;]*?struct Admitted", text)


def test_a_token_is_spent_by_the_one_function_that_builds_a_risky_request() -> None:
    assert set(users(r"\bAdmitted\b", "native")) == {
        f"{GATE}/mod.rs",
        f"{GATE}/change.rs",
        f"{GATE}/leg.rs",
        f"{CORE}/order_execution/send.rs",
        f"{CORE}/order_execution/placing.rs",
        f"{CORE}/order_execution/legs/keep.rs",
    }, "placing and the legs pass a verdict on and make none"
    send = sources(CORE)[f"{CORE}/order_execution/send.rs"]
    assert re.findall(r"fn (\w+)\([^)]*Admitted", send) == ["risk"]
    assert send.count("_sealed: Sealed,") == 2, "the field, and the one place that builds a request"
    assert re.findall(r"(pub )?fn build\(", send) == [""], "which is private"


def test_only_the_engine_asks_for_risky_requests() -> None:
    allowed = re.compile(rf"^{CORE}/order_execution/(placing|legs[a-z_/]*)\.rs$")
    found = users(r"\bOutgoing::risk\b", "native")
    assert found
    assert [name for name in found if not allowed.match(name)] == []


def test_the_order_endpoints_are_named_in_one_table() -> None:
    paths = r'"/?api/Order/(place|modify)"'
    assert set(users(paths, CORE, "native/guardian")) == {f"{CORE}/order_execution/outcome.rs"}
    python = [*(ROOT / "app").rglob("*.py"), *(ROOT / "ui").rglob("*.py")]
    assert [file for file in python if re.search(r"Order/(place|modify)", file.read_text(encoding="utf-8"))] == []


def test_no_other_module_of_the_core_speaks_http_to_the_broker() -> None:
    senders = users(r"hyper_util::client|hyper::client|reqwest", CORE, "native/guardian/src")
    assert senders
    assert [name for name in senders if "/order_execution/rest" not in name] == []
