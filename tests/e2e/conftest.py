"""A market whose every price is known, a window over it, and proof that the window leaves nothing behind."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import shlex
import stat
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
pytest.importorskip("trading_bot_core", reason="the extension is not built")

from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QApplication

from app.config import Directories, Options
from app.errors import GatewayUnavailable
from app.services.composition import Services
from app.services.gateway import PROGRAM_VARIABLE, GatewayProcess, find_program
from tests.e2e.leaks import Belongings, left_behind, unfinished
from tests.e2e.person import STANDING_MARKET, Person, Play, Scene, new_run
from tests.quiet_market import AT_MORNING, pulse
from ui.loop import make_loop


@pytest.fixture
def program() -> Path:
    """The practice gateway, built before."""
    try:
        return find_program()
    except GatewayUnavailable as error:
        pytest.skip(error.text)


@pytest.fixture
def script(tmp_path: Path) -> Path:
    file = tmp_path / "script.json"
    file.write_text(json.dumps([*STANDING_MARKET, *pulse(600)]))
    return file


@pytest.fixture
def market(tmp_path: Path, program: Path, script: Path) -> Iterator[GatewayProcess]:
    """A practice gateway beside the window."""
    arguments = ["--state", str(tmp_path / "state"), "--market", "script", str(script), *AT_MORNING]
    with GatewayProcess.start(arguments, program=program, log_file=tmp_path / "gateway.log") as started:
        yield started


@pytest.fixture
def hello(market: GatewayProcess, tmp_path: Path) -> Path:
    """File for --attach."""
    file = tmp_path / "hello.json"
    file.write_text(json.dumps(asdict(market.hello)))
    return file


@pytest.fixture
def scripted_child(tmp_path: Path, program: Path, script: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Whoever starts the practice gateway as a child from here on gets the standing market."""
    if sys.platform == "win32":
        pytest.skip("needs a shell to put words on the gateway's command line")
    wrapper = tmp_path / "gateway-with-script"
    scripted = shlex.join(["--market", "script", str(script), *AT_MORNING])
    wrapper.write_text(f'#!/bin/sh\nexec {shlex.quote(str(program))} "$@" {scripted}\n')
    wrapper.chmod(wrapper.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv(PROGRAM_VARIABLE, str(wrapper))
    return wrapper


@pytest.fixture(scope="session")
def warm_process(qapp: QApplication, tmp_path_factory: pytest.TempPathFactory) -> None:
    """What the libraries open once and keep is open before anything is counted."""

    async def once() -> None:
        services = await Services.open(Directories.under(tmp_path_factory.mktemp("warm")), Options())
        await services.close()

    loop = make_loop(qapp)
    loop.run_until_complete(once())
    loop.close()


@pytest.fixture(autouse=True)
def garbage_of_the_window_dies_on_this_thread() -> Iterator[None]:
    """As the program itself does: an automatic collection may run on any thread, and no widget survives that."""
    gc.disable()
    yield
    gc.collect()
    gc.enable()


@pytest.fixture
def play(qapp: QApplication, warm_process: None, tmp_path: Path) -> Play:
    """Run a scene in a window and the window to its end; proves that no thread, timer, task or descriptor is left."""

    def run_scene(scene: Scene, *words: str) -> int:
        before = Belongings.now()
        code = _live(qapp, tmp_path / "base", scene, words)
        assert left_behind(before) == {}
        return code

    return run_scene


def _live(qapp: QApplication, base: Path, scene: Scene, words: tuple[str, ...]) -> int:
    loop = make_loop(qapp)
    run = new_run(base, *words)
    run.window.resize(1600, 950)

    async def both() -> int:
        life = asyncio.create_task(run.run(), name="window")
        try:
            await scene(Person(run))
        finally:
            if not life.done():
                run.request_end()
        return await life

    try:
        code = loop.run_until_complete(both())
        assert unfinished(loop) == []
    finally:
        run.window.deleteLater()
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        loop.close()
    return code
