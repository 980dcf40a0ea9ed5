"""The program: reads the command line, runs the command, answers."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import app
from app import config, errors, logs
from app.cli import killing, managing, ordering, saving, switch, viewing
from app.cli.answering import FAULT, answer, fail
from app.cli.connecting import open_desk
from app.cli.reading import Command, Parser, Usage, common_options, source_options
from app.cli.saving import StoreCommand, named_exits, use_shelf
from app.config import Directories, Options
from app.crash import CrashFolder
from app.services import doctor, gateway
from app.services.rows import Row

INTERRUPTED = 130

COMMANDS: dict[str, Command] = {
    name: command
    for command in (*viewing.COMMANDS, *ordering.COMMANDS, *managing.COMMANDS)
    for name in (command.name, *command.aliases)
}
STORE_COMMANDS: dict[str, StoreCommand] = {command.name: command for command in saving.COMMANDS}
_PASSED_ON = ("gateway", "run")


def build_parser() -> argparse.ArgumentParser:
    common, source = common_options(), source_options()
    parser = Parser(prog="pitdesk", description="Trade futures from the command line.", parents=[common])
    parser.add_argument("--version", action="store_true", help="show the versions of program, engine, Python, system")
    parser.add_argument("--print-sample-config", action="store_true", help="print every option with its default")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    commands.add_parser("run", help="open the window; arguments go to it", add_help=False)
    commands.add_parser("gateway", help="run the practice gateway; arguments go to it", add_help=False)
    for command in dict.fromkeys(COMMANDS.values()):
        told = commands.add_parser(
            command.name, help=command.text, description=command.text, aliases=command.aliases, parents=[common, source]
        )
        command.declare(told)
    for saved in STORE_COMMANDS.values():
        saved.declare(commands.add_parser(saved.name, help=saved.text, description=saved.text, parents=[common]))
    text = "Kill switch: cancel everything and flatten, beside a frozen window or none as well."
    switch.declare(commands.add_parser("kill", help=text, description=text, parents=[common, source]))
    text = "Check what the program needs on this machine."
    commands.add_parser("doctor", help=text, description=text, parents=[common])
    return parser


async def _perform(arguments: argparse.Namespace, options: Options, directories: Directories) -> Row:
    # SIGTERM ends like Ctrl-C does: through the clean-up of every context.
    task = asyncio.current_task()
    assert task is not None, "a coroutine that runs belongs to a task"
    with contextlib.suppress(NotImplementedError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with open_desk(arguments, options, directories) as desk:
        return await COMMANDS[arguments.command].perform(desk, arguments)


def _execute(arguments: argparse.Namespace, crashes: CrashFolder, directories: Directories) -> Row:
    options = _options(arguments, directories)
    command = COMMANDS.get(arguments.command) or STORE_COMMANDS[arguments.command]
    command.check(arguments)
    directories.create()
    writer = logs.start(
        directories.log, level=options.log.level, file_kib=options.log.file_kib, files_kept=options.log.files_kept
    )
    crashes.install()
    try:
        if arguments.command in STORE_COMMANDS:
            perform = STORE_COMMANDS[arguments.command].perform
            return use_shelf(options.storage.url, directories.base, lambda shelf: perform(shelf, arguments))
        if name := getattr(arguments, "template", None):
            arguments.template = named_exits(options.storage.url, directories.base, name)
        crashes.adopt_engine_panics(directories.base)
        return asyncio.run(_perform(arguments, options, directories))
    finally:
        crashes.remove()
        writer.close()


def _options(arguments: argparse.Namespace, directories: Directories) -> Options:
    named = getattr(arguments, "config", None)
    if named is not None and not Path(named).is_file():
        raise errors.InvalidOption("--config", named, "an options file that exists; see --print-sample-config")
    file = Path(named) if named is not None else directories.config / config.CONFIG_FILE_NAME
    return config.load(file, os.environ, getattr(arguments, "option", ()))


def versions() -> Row:
    from app import native

    return {
        "pitdesk": app.__version__,
        "engine": native.VERSION,
        "seam": native.BUILD_HASH,
        "python": platform.python_version(),
        "system": platform.platform(),
    }


def _pass_on(command: str, arguments: argparse.Namespace, rest: Sequence[str]) -> int:
    """Become the gateway or the window."""
    if base := getattr(arguments, "basedir", None):
        os.environ[f"{config.ENVIRONMENT_PREFIX}BASEDIR"] = str(Path(base).resolve())
    if command == "gateway":
        program = [str(gateway.find_program())]
    else:
        program = [sys.executable, "run"] if getattr(sys, "frozen", False) else [sys.executable, "-m", "ui"]
    if sys.platform != "win32":
        sys.stdout.flush()
        os.execv(program[0], [*program, *rest])  # noqa: S606 -- no shell is wanted
    return subprocess.run([*program, *rest], check=False).returncode


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    is_json = "--json" in words
    try:
        return _dispatch(words, is_json=is_json)
    except errors.PitdeskError as error:
        return fail(error, is_json=is_json)
    except (KeyboardInterrupt, asyncio.CancelledError):
        return INTERRUPTED


def _dispatch(words: Sequence[str], *, is_json: bool) -> int:
    parser = build_parser()
    arguments, unread = parser.parse_known_args(words)
    if arguments.command in _PASSED_ON:
        return _pass_on(arguments.command, arguments, unread)
    if unread:
        raise Usage(f"Unknown argument {unread[0]!r}. See `pitdesk --help`.")
    if arguments.print_sample_config:
        print(config.sample_text(), end="")
        return 0
    if arguments.version:
        answer({"version": versions()}, is_json=is_json)
        return 0
    if arguments.command is None:
        raise Usage("Name a command. See `pitdesk --help`.")
    return _run_command(arguments, is_json=is_json)


def _run_command(arguments: argparse.Namespace, *, is_json: bool) -> int:
    directories = config.directories(getattr(arguments, "basedir", None))
    if arguments.command == "doctor":
        report = doctor.examine(directories, lambda: _options(arguments, directories))
        answer({"checks": report}, is_json=is_json)
        return FAULT if any(row["state"] == doctor.BROKEN for row in report) else 0
    if arguments.command == "kill":
        killed = killing.run(arguments, _options(arguments, directories), directories)
        answer({"kill": killed if is_json else switch.text_of(killed)}, is_json=is_json)
        return int(killed["exit_code"])
    crashes = CrashFolder(directories.crash)
    try:
        told = _execute(arguments, crashes, directories)
    except errors.PitdeskError:
        raise
    except Exception as error:  # noqa: BLE001 -- the thread's root: whatever it is, it is ours
        crashes.program_failed(error)
        return fail(errors.PitdeskError(f"This is a fault of the program: {error!r}."), is_json=is_json)
    answer(told, is_json=is_json)
    return 0
