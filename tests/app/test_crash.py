import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.crash import CrashFolder


@pytest.fixture
def crashes(tmp_path: Path) -> Iterator[CrashFolder]:
    folder = CrashFolder(tmp_path / "crash")
    folder.install()
    yield folder
    folder.remove()


def fail() -> None:
    raise RuntimeError("broken on purpose")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_dies_leaves_a_report_with_its_name(crashes: CrashFolder) -> None:
    thread = threading.Thread(target=fail, name="worker-7")
    thread.start()
    thread.join()
    (report,) = crashes.reports()
    text = report.read_text()
    assert "where: thread worker-7" in text
    assert "broken on purpose" in text


def test_what_asyncio_cannot_deliver_leaves_a_report(crashes: CrashFolder) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(crashes.loop_failed)
        loop.call_soon(fail)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(main())
    (report,) = crashes.reports()
    assert "where: asyncio" in report.read_text()


def test_a_failing_finaliser_leaves_a_report(tmp_path: Path) -> None:
    run_child(tmp_path, "class Broken:\n    def __del__(self): raise RuntimeError('in the end')\nBroken()")
    (report,) = CrashFolder(tmp_path).reports()
    assert "in the end" in report.read_text()


def test_an_uncaught_exception_of_the_program_leaves_a_report(tmp_path: Path) -> None:
    run_child(tmp_path, "raise RuntimeError('at the top')")
    (report,) = CrashFolder(tmp_path).reports()
    assert "where: main thread" in report.read_text()


def test_a_dying_interpreter_leaves_its_stacks(tmp_path: Path) -> None:
    run_child(tmp_path, "import faulthandler; faulthandler._sigsegv()")
    (report,) = CrashFolder(tmp_path).reports()
    assert report.name.startswith("fault-")
    assert "Segmentation fault" in report.read_text()


def test_a_clean_end_leaves_nothing(tmp_path: Path) -> None:
    folder = CrashFolder(tmp_path)
    before = (sys.excepthook, threading.excepthook, sys.unraisablehook)
    folder.install()
    folder.install()
    folder.remove()
    folder.remove()
    assert (sys.excepthook, threading.excepthook, sys.unraisablehook) == before
    assert list(tmp_path.iterdir()) == []


def test_the_engines_panic_file_is_taken_over_once(crashes: CrashFolder, tmp_path: Path) -> None:
    (tmp_path / "panic-1.txt").write_text("engine panicked: index out of bounds")
    (adopted,) = crashes.adopt_engine_panics(tmp_path)
    assert "index out of bounds" in adopted.read_text()
    assert crashes.adopt_engine_panics(tmp_path) == []


def run_child(folder: Path, code: str) -> None:
    start = (
        f"from pathlib import Path\nfrom app.crash import CrashFolder\nCrashFolder(Path({str(folder)!r})).install()\n"
    )
    subprocess.run([sys.executable, "-c", start + code], check=False, capture_output=True, timeout=60)
