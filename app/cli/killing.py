"""`pitdesk kill`: the kill switch, which asks for no engine of its own and works beside a frozen window."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys

from app import errors
from app.cli import switch
from app.cli.connecting import endpoint_of
from app.cli.switch import Report
from app.config import Directories, Options
from app.services import guardian


def confirm(arguments: argparse.Namespace) -> None:
    """Take the person's consent: --yes or a typed y. Raises Denied."""
    if arguments.yes:
        return
    what = "Cancel all orders and close all positions of " + (", ".join(arguments.account) or "every account")
    if sys.stdin.isatty():
        sys.stderr.write(f"{what}? [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() == "y":
            return
    raise errors.Denied("", [("not_confirmed", f"Nothing was done. {what}: not confirmed; add --yes.")])


async def _kill(arguments: argparse.Namespace, options: Options, directories: Directories) -> Report:
    """Cancel and flatten by whoever is there: the guardian, the engine, or a guardian just for this."""
    report = switch.ask(directories.base, arguments.account)
    if report is None or report["outcome"] == switch.NOT_CONNECTED:
        # A guardian without a login, or whose gateway on this machine died with the window, cannot help.
        report = await guardian.kill_by_engine(directories.base, arguments.account) or report
    if report is not None and report["outcome"] != switch.NOT_CONNECTED:
        return report
    return await _kill_alone(arguments, options, directories)


async def _kill_alone(arguments: argparse.Namespace, options: Options, directories: Directories) -> Report:
    async with contextlib.AsyncExitStack() as stack:
        endpoint = await endpoint_of(arguments, options, directories, stack)
        return await guardian.kill_alone(directories.base, endpoint, arguments.account)


def run(arguments: argparse.Namespace, options: Options, directories: Directories) -> Report:
    """Perform it all; the report, whose `exit_code` is the program's."""
    confirm(arguments)
    _make(directories)
    return asyncio.run(_kill(arguments, options, directories))


def _make(directories: Directories) -> None:
    # A full disk must not keep anybody from a kill: without folders and log it still works.
    with contextlib.suppress(OSError):
        directories.create()
