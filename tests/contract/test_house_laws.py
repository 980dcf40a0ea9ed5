"""The repository's own laws that no linter sees: sizes, banned names, who may name what."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUST_CORE = ROOT / "native" / "trading_bot_core" / "src"
BANNED_MODULE_NAMES = {"utils", "util", "helpers", "common", "manager", "misc"}
LONGEST_FUNCTION_LINES = 70


def tracked(*patterns: str) -> list[Path]:
    names = subprocess.run(["git", "ls-files", "-z", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in names.stdout.split("\0") if name and (ROOT / name).is_file()]


def python_functions() -> Iterator[tuple[Path, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for path in tracked("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield path, node


def test_no_python_function_is_longer_than_a_screen() -> None:
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path, node in python_functions()
        if (node.end_lineno or node.lineno) - node.lineno + 1 > LONGEST_FUNCTION_LINES
    ]
    assert long == []


def test_no_rust_function_is_longer_than_a_screen() -> None:
    long = []
    for path in tracked("native/**/*.rs", "native/*.rs"):
        text = path.read_text(encoding="utf-8")
        for match in re.finditer(r"^([ ]*)(?:pub(?:\([^)]*\))? )?(?:async )?(?:unsafe )?fn (\w+)", text, re.MULTILINE):
            end = text.find(f"\n{match.group(1)}}}", match.end())
            lines = text.count("\n", match.start(), end) + 1 if end > 0 else 0
            if lines > LONGEST_FUNCTION_LINES:
                long.append(f"{path.relative_to(ROOT)} fn {match.group(2)} {lines} lines")
    assert long == []


def test_no_module_is_named_after_nothing() -> None:
    assert [str(p) for p in tracked("*.py", "*.rs") if p.stem in BANNED_MODULE_NAMES] == []


def test_no_stub_is_left_in_rust() -> None:
    left = [str(p) for p in tracked("*.rs") if re.search(r"\b(todo|unimplemented)!\(", p.read_text(encoding="utf-8"))]
    assert left == []


def test_pyo3_is_named_only_under_ffi() -> None:
    outside = [
        str(path.relative_to(ROOT))
        for path in tracked("native/trading_bot_core/src/*.rs", "native/trading_bot_core/src/**/*.rs")
        if "ffi" not in path.relative_to(RUST_CORE).parts
        and re.search(r"^\s*(pub )?use (pyo3|numpy)", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert outside == []


def test_the_practice_gateway_shares_no_code_with_the_engine() -> None:
    manifest = (ROOT / "native" / "practice_gateway" / "Cargo.toml").read_text(encoding="utf-8")
    assert "trading_bot_core" not in manifest


def test_only_the_facade_imports_the_extension() -> None:
    importers = [
        str(path.relative_to(ROOT))
        for path in tracked("app/*.py", "ui/*.py")
        if re.search(r"^\s*(from|import) trading_bot_core", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert importers == ["app/native.py"]


@pytest.mark.parametrize(
    "banned", [".exec(", "processEvents(", "QFileDialog.get", "QMessageBox.question", "QMessageBox.warning"]
)
def test_nothing_in_the_window_spins_a_nested_loop(banned: str) -> None:
    """A nested loop inside a coroutine loses another task for ever: asyncio refuses its wake-up."""
    users = [str(p.relative_to(ROOT)) for p in tracked("ui/*.py") if banned in p.read_text(encoding="utf-8")]
    assert users == []


def test_no_python_opens_the_market_store() -> None:
    users = [
        str(p.relative_to(ROOT)) for p in tracked("app/*.py", "ui/*.py") if "market.db" in p.read_text(encoding="utf-8")
    ]
    assert users == []


def test_what_users_run_contains_no_planted_fault() -> None:
    """The rig's faults are a feature that no build for users names; the names of the faults are in no such library."""
    native = ROOT / "native"
    manifest = (native / "trading_bot_core" / "Cargo.toml").read_text(encoding="utf-8")
    assert not re.search(r"^default\s*=", manifest, re.MULTILINE)
    users = [
        path.parent.name
        for path in tracked("native/*/Cargo.toml")
        if re.search(r"features\s*=\s*\[[^\]]*\"(planted|rig)\"", path.read_text(encoding="utf-8"))
    ]
    assert users == ["rig"]
    builds = (ROOT / "dev").read_text(encoding="utf-8") + (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert "planted" not in re.sub(r"--planted|planted faults", "", builds)
    names = re.findall(r'\(Bug::\w+,\s*"([a-z-]+)"', (native / "trading_bot_core/src/planted.rs").read_text("utf-8"))
    names += re.findall(r'Bug::\w+,\n\s*"([a-z-]+)"', (native / "trading_bot_core/src/planted.rs").read_text("utf-8"))
    assert len(set(names)) >= 30
    for library in (native / "target" / "release").glob("libtrading_bot_core.*"):
        if library.suffix in {".so", ".dylib"}:
            assert not [name for name in names if name.encode() in library.read_bytes()]


def test_the_lock_names_hashes_and_no_registry() -> None:
    lock = (ROOT / "packaging" / "requirements.lock").read_text(encoding="utf-8")
    assert "--hash=sha256:" in lock
    assert not re.search(r"https?://|--(extra-)?index-url", lock)
