"""The desk that a command acts at: a running window's engine, or one of our own."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import getpass
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from app import errors
from app.config import Directories, Options
from app.services import gateway
from app.services.composition import Services
from app.services.control import ControlClient, ControlDesk
from app.services.desk import Desk, HeadlessDesk
from app.services.gateway import GatewayProcess, Hello
from app.services.session import Endpoint


async def endpoint_of(
    arguments: argparse.Namespace, options: Options, directories: Directories, stack: contextlib.AsyncExitStack
) -> Endpoint:
    """Whom to talk to; a practice gateway of our own is started here and ended with the stack."""
    if getattr(arguments, "live", False):
        ask = getpass.getpass if sys.stdin.isatty() else None
        return await Endpoint.of_live(options.connection, ask=ask)
    if attached := getattr(arguments, "attach", None):
        return Endpoint.of_practice(_read_hello(Path(attached)))
    recording = getattr(arguments, "replay", None)
    if recording is not None:
        state = directories.practice / "replay"
        started = gateway.replay_arguments(state, Path(recording), rate=options.practice.rate)
    else:
        state = directories.practice / "model"
        started = gateway.practice_arguments(state, seed=options.practice.seed, rate=options.practice.rate)
    child = await asyncio.to_thread(
        GatewayProcess.start,
        started,
        log_file=directories.log / "gateway.log",
        deadline_s=options.practice.start_deadline_s,
    )
    stack.push_async_callback(asyncio.to_thread, child.stop)
    return Endpoint.of_practice(child.hello, is_replay=recording is not None)


def _read_hello(file: Path) -> Hello:
    try:
        return Hello.parse(file.read_text(encoding="utf-8").partition("\n")[0])
    except OSError as error:
        raise errors.InvalidOption("--attach", str(file), f"a readable file ({error.strerror})") from None


@contextlib.asynccontextmanager
async def open_desk(arguments: argparse.Namespace, options: Options, directories: Directories) -> AsyncIterator[Desk]:
    """The running engine of this base directory, or our own one, connected."""
    client = await ControlClient.connect(directories.base)
    if client is not None:
        try:
            yield ControlDesk(client, options.trading.request_deadline_s)
        finally:
            await client.close()
        return
    async with contextlib.AsyncExitStack() as stack:
        services = await Services.open(directories, options, is_headless=True)
        try:
            endpoint = await endpoint_of(arguments, options, directories, stack)
            await services.connect(endpoint)
            yield HeadlessDesk(services)
        finally:
            # Before the stack ends the gateway: a broken connection is no way to say goodbye.
            await services.close()
