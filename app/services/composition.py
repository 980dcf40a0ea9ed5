"""Opens what a program needs, in order, and closes it in the reverse order: for the window and the command line alike.

logs ► crash hooks ► app store ► engine ► services            close: recorder, engine (joined), store, logs
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from app.config import Directories, Options
from app.native import NativeEngine
from app.services.market import MarketService
from app.services.recorder import Recorder
from app.services.session import Endpoint, SessionService
from app.services.templates import TemplateService
from app.services.trading import TradingService

if TYPE_CHECKING:
    from app.persistence import AppStore


@dataclass(frozen=True)
class Services:
    """Everything open. Built on the loop's thread; `close()` is awaited there."""

    options: Options
    directories: Directories
    engine: NativeEngine
    executor: ThreadPoolExecutor
    session: SessionService
    market: MarketService
    trading: TradingService
    recorder: Recorder
    templates: TemplateService

    @classmethod
    async def open(cls, directories: Directories, options: Options, *, is_headless: bool = False) -> Self:
        """Raises EngineBusy when another process holds the base directory, BuildMismatch.

        The window calls `engine.pump` itself; a headless program has it attached to its loop.
        """
        directories.create()
        executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="py-io")
        try:
            engine = NativeEngine.open(
                directories.base,
                is_headless=is_headless,
                journal_sync=options.journal.sync,
                spin=options.engine.spin,
            )
        except BaseException:
            executor.shutdown()
            raise
        if is_headless:
            engine.attach(asyncio.get_running_loop())
        recorder = Recorder(engine, partial(_open_store, options.storage.url, directories.base), executor)
        return cls(
            options=options,
            directories=directories,
            engine=engine,
            executor=executor,
            session=SessionService(engine, options.connection, options.risk),
            market=MarketService(engine, options.trading.request_deadline_s),
            trading=TradingService(engine, options.trading),
            recorder=recorder,
            templates=TemplateService(recorder.run),
        )

    async def connect(self, endpoint: Endpoint) -> None:
        """Open the app store, connect, and record under this gateway's identity from the first event on.

        Raises StoreUnavailable, and what `SessionService.connect` raises.
        """
        await self.recorder.begin(endpoint.identity)
        await self.session.connect(endpoint)

    async def close(self) -> None:
        """Write what waits, join every thread, release the lock. What the engine says last is still recorded."""
        self.engine.pump()
        await self.recorder.close()
        await asyncio.to_thread(self.engine.stop)
        self.engine.shutdown()
        self.executor.shutdown()


def _open_store(url: str, base: Path) -> AppStore:
    # SQLAlchemy is a fifth of a second of imports: taken here, in the executor and behind the first paint, and never
    # by a program that opens no store.
    from app.persistence import AppStore

    return AppStore.open(url, base)
