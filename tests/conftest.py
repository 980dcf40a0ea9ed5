"""What every test shares: where recorded data lies, and a summary of what ran."""

from __future__ import annotations

import json
import os
import platform
import tempfile
from pathlib import Path

import pytest
import structlog

# As the program does, and before its logging starts: a line printed among a command's answers would be one of them.
structlog.configure(
    processors=[structlog.stdlib.render_to_log_kwargs],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.stdlib.BoundLogger,
    cache_logger_on_first_use=False,
)

# The locks of accounts are the user's, not the test's: whoever tests beside his own desk keeps his accounts.
LOCKS = tempfile.TemporaryDirectory(prefix="pitdesk-locks-")
os.environ["PITDESK_LOCKS"] = LOCKS.name

ROOT = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="scenarios at wall time, and new lives in tests/stateful")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Leave one JSON line for ./dev to print last: python, passed, failed, skipped reasons."""
    stats = terminalreporter.stats
    reasons = [report.longrepr[2] for report in stats.get("skipped", []) if isinstance(report.longrepr, tuple)]
    summary = {
        "python": platform.python_version(),
        "passed": len(stats.get("passed", [])),
        "failed": len(stats.get("failed", [])) + len(stats.get("error", [])),
        "skipped": sorted({str(reason).removeprefix("Skipped: ") for reason in reasons}),
    }
    if target := os.environ.get("PITDESK_TEST_SUMMARY"):
        Path(target).write_text(json.dumps(summary) + "\n", encoding="utf-8")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the recorded market data, which is never part of the repository."""
    folder = Path(os.environ.get("PITDESK_SHARED", ROOT.parent / "shared")) / "data"
    if not folder.is_dir():
        pytest.skip(f"recorded market data is absent: no folder {folder.name}/ in ../shared (or PITDESK_SHARED)")
    return folder
