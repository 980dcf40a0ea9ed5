"""Composition root of the window: command line, services, desk, crash hook, ordered shutdown.

start      options ► logs ► crash hooks ► Qt, fonts, theme ► loop ► services (engine) ► desk ► window ► connect
shutdown   input off ► frames and timers off ► layout ► tasks cancelled and gathered ► bridge ► services (engine joined)
           ► gateway ► logs ► window closes for real ► loop ends

The loop ends last: an engine thread alive at interpreter exit crashes one exit in three.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from PySide6.QtCore import QMessageLogContext, QTimer, QtMsgType, QUrl, qInstallMessageHandler
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import QApplication

from app import config, logs
from app.crash import CrashFolder
from app.errors import CredentialsMissing, EngineBusy, InvalidOption, PitdeskError, ProgramMissing
from app.native import BUILD_HASH, VERSION
from app.services import credentials, guardian
from app.services.composition import Services
from app.services.gateway import GatewayProcess, Hello, practice_arguments, replay_arguments
from app.services.session import Endpoint
from ui.bridge import Bridge
from ui.desk import Desk
from ui.dialogs.base import Dialog
from ui.dialogs.confirm import ConfirmDialog, CrashDialog, QuitDialog
from ui.dialogs.login import AccountDialog, ConnectDialog
from ui.frame_clock import FrameClock
from ui.loop import GarbageTimer, TaskKeeper, make_loop
from ui.main_window import MainWindow
from ui.theme import Theme, load_fonts

EXIT_USAGE, EXIT_BUSY, EXIT_FAULT = 2, 7, 70
DEFAULT_ROOT = "ES"
_LAYOUT_FILE = "state.ini"
_PAINT_DEADLINE_S = 1.0
_BEAT_EVERY_MS = 250
# Another thread that computes, such as the one that writes history, gives the interpreter's lock back after this long
# and not after the default 5 ms: the window asks for it several times a frame.
_SWITCH_S = 0.000_5

_log = logging.getLogger(__name__)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The window's command line. Answers --help and --version without a QApplication."""
    parser = argparse.ArgumentParser(prog="pitdesk", description="Futures day-trading desktop.")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--replay", metavar="FILE", type=Path, help="replay a recorded session in the practice gateway")
    source.add_argument(
        "--attach",
        metavar="FILE",
        type=Path,
        help="use a practice gateway that runs already: FILE holds its first --json line",
    )
    source.add_argument("--live", action="store_true", help="connect to the real gateway of the options")
    parser.add_argument("--account", metavar="NAME", help="account to trade; without it a live login asks")
    parser.add_argument("--contract", metavar="NAME", default=DEFAULT_ROOT, help="root, name or id shown first")
    parser.add_argument("--rate", type=float, help="speed of the practice gateway's clock, up to 100")
    parser.add_argument("--basedir", metavar="DIR", help="keep everything under one directory")
    parser.add_argument("--config", metavar="FILE", type=Path, help="options file instead of the usual one")
    parser.add_argument("-o", dest="assignments", action="append", default=[], metavar="SECTION.NAME=VALUE")
    parser.add_argument("--safe-mode", action="store_true", help="start without the saved layout")
    parser.add_argument("--print-sample-config", action="store_true", help="print a commented options file and end")
    parser.add_argument("--version", action="version", version=f"pitdesk {VERSION} (engine {BUILD_HASH})")
    return parser.parse_args(arguments)


class Application:
    """One run of the window."""

    def __init__(
        self,
        arguments: argparse.Namespace,
        options: config.Options,
        directories: config.Directories,
        crash: CrashFolder,
    ) -> None:
        self.arguments = arguments
        self.options = options
        self.directories = directories
        self.crash = crash
        self.exit_code = 0
        self.theme = Theme(options.window.theme)
        # Before the first widget: menus and buttons take their font when they are made.
        self.theme.apply(QApplication.instance())
        self.window = MainWindow(self.theme)
        self.keeper = TaskKeeper(self._on_task_failed)
        self.services: Services | None = None
        self.desk: Desk | None = None
        self.bridge: Bridge | None = None
        self._gateway: GatewayProcess | None = None
        self._guardian: guardian.GuardianProcess | None = None
        # One that ends by itself again and again would end by itself for ever.
        self._guardians_left = 3
        self._beat = QTimer(self.window)
        self._replay_folder: Path | None = None
        self._ended = asyncio.Event()
        self._painted = asyncio.Event()
        self._dialog: Dialog | None = None
        self._is_crash_shown = False
        self._crash_sentence = ""
        self._reporting_hook = sys.excepthook
        self._reported: set[tuple[type[BaseException], tuple[str, int]]] = set()

    # life

    async def run(self) -> int:
        """Open everything, serve until the window is asked to end, close everything."""
        gateway = None if self.arguments.live else asyncio.create_task(self._open_gateway(), name="gateway")
        try:
            self.services = await Services.open(self.directories, self.options)
        except PitdeskError as error:
            await self._give_up(gateway, error)
            return self.exit_code
        self._build(self.services)
        self.window.first_painted.connect(self._painted.set)
        self.window.show()
        self._say_old_crashes()
        self._say_old_news()
        self._start_beating(self.services)
        self.keeper.spawn(self._start_guardian(self.services), "guardian")
        self.keeper.spawn(self._connect(gateway), "connect")
        await self._ended.wait()
        await self._shutdown()
        return self.exit_code

    def request_end(self) -> None:
        """End without a question: SIGTERM, end of session, or a confirmed quit."""
        self._ended.set()

    def _build(self, services: Services) -> None:
        screen = QGuiApplication.primaryScreen()
        rate = min(screen.refreshRate() if screen else 60.0, float(self.options.window.frames_per_second))
        clock = FrameClock(rate, self.window)
        self.bridge = Bridge(services.engine.wake_fileno(), self._pump, self.window)
        services.engine.listen_to_all(self.bridge.deliver)
        self.desk = Desk(self.window, services, self.bridge, clock, self.keeper)
        window = self.window
        window.arrange()
        window.fill_view_menu(window.top_bar.menus["View"])
        if self.arguments.safe_mode or not window.restore_layout(self._layout_file()):
            window.fill_screen()
        self._check_theme_commands()
        self.desk.refresh()
        window.close_requested.connect(self._on_close_requested)
        window.command_invoked.connect(self._on_command)
        window.account_chosen.connect(self.desk.choose_account)
        window.contract_chosen.connect(self.desk.choose_contract)
        window.lock_requested.connect(self.desk.lock_all)
        window.flatten_all_requested.connect(self._on_flatten_all)
        self.desk.account_changed.connect(self._on_account_changed)
        self.desk.options_stated.connect(self._on_options_stated)

    def _pump(self) -> None:
        if self.services is not None:
            self.services.engine.pump()

    async def _shutdown(self) -> None:
        window = self.window
        window.setEnabled(False)
        if self.desk is not None:
            self.desk.stop()
        window.save_layout(self._layout_file())
        await self.keeper.close(1.0)
        if self.bridge is not None:
            self.bridge.close()
        self._beat.stop()
        if self.services is not None:
            await self.services.close()
        await self._stop_guardian()
        await self._stop_gateway()
        window.close_for_real()

    async def _give_up(self, gateway: asyncio.Task[Hello] | None, error: PitdeskError) -> None:
        """The program cannot start: say why, end with the code that names it."""
        self.exit_code = EXIT_BUSY if isinstance(error, EngineBusy) else EXIT_FAULT
        sys.stderr.write(f"{error.text}\n")
        if gateway is not None:
            await asyncio.wait([gateway])
        await self._stop_gateway()

    def _layout_file(self) -> Path:
        return self.directories.log.parent / _LAYOUT_FILE

    # the gateway and the session

    async def _open_gateway(self) -> Hello:
        """The local market: one that runs already, or a child of ours."""
        if self.arguments.attach is not None:
            return Hello.parse(await asyncio.to_thread(self.arguments.attach.read_text, "utf-8"))
        self._gateway = await self._start_gateway()
        return self._gateway.hello

    async def _start_gateway(self) -> GatewayProcess:
        """Start the practice gateway as our child, on the recorded session when one is named."""
        folder, practice = self.directories.practice, self.options.practice
        rate = self.arguments.rate or practice.rate
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.arguments.replay is not None:
            self._replay_folder = Path(tempfile.mkdtemp(prefix="replay-", dir=folder))
            words = replay_arguments(self._replay_folder, self.arguments.replay, rate=rate)
        else:
            words = practice_arguments(folder / "model", seed=practice.seed, rate=rate)
        log_file = self.directories.log / "gateway.log"
        return await asyncio.to_thread(
            GatewayProcess.start, words, log_file=log_file, deadline_s=practice.start_deadline_s
        )

    async def _stop_gateway(self) -> None:
        if self._gateway is not None:
            await asyncio.to_thread(self._gateway.stop)
            self._gateway = None
        if self._replay_folder is not None:
            await asyncio.to_thread(shutil.rmtree, self._replay_folder, ignore_errors=True)

    # the guardian

    def _start_beating(self, services: Services) -> None:
        """Show that this thread takes its turns; the engine shows its own without us."""
        self._beat.setObjectName("beat")
        self._beat.setInterval(_BEAT_EVERY_MS)
        self._beat.timeout.connect(services.engine.beat_window)
        self._beat.start()

    async def _start_guardian(self, services: Services) -> None:
        """Start the process that outlives us; without it the window works and says so."""
        loop = asyncio.get_running_loop()

        def pass_on(news: guardian.News) -> None:
            # The thread may still read when the loop has ended.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._on_guardian_news, news)

        try:
            self._guardian = await asyncio.to_thread(
                guardian.GuardianProcess.start,
                self.directories.base,
                services.engine,
                self.options.guardian,
                on_news=pass_on,
            )
        except ProgramMissing as error:
            if self.desk is not None:
                self.desk.show_guardian("absent")
                self.desk.say("warning", "no_guardian", f"There is no kill switch beside this window. {error.text}")
            return
        if self.desk is not None:
            self.desk.show_guardian("watching" if self._guardian.is_running() else "absent")

    def _on_guardian_news(self, news: guardian.News) -> None:
        if self.desk is None or self.services is None or self._ended.is_set():
            return
        self.desk.say(news.level, news.code, news.text)
        if news.code != guardian.GONE:
            return
        self.desk.show_guardian("absent")
        if self._guardians_left:
            self._guardians_left -= 1
            self.keeper.spawn(self._replace_guardian(self.services), "guardian")

    async def _replace_guardian(self, services: Services) -> None:
        if self._guardian is not None:
            await asyncio.to_thread(self._guardian.stop)
        await self._start_guardian(services)

    async def _stop_guardian(self) -> None:
        """The engine has said goodbye to it; what it announced was shown."""
        if self._guardian is not None:
            await asyncio.to_thread(self._guardian.stop)
            await asyncio.to_thread(guardian.take_news, self.directories.base)
            self._guardian = None

    def _say_old_news(self) -> None:
        """What a guardian said after our last life had ended without a goodbye."""
        for news in guardian.take_news(self.directories.base):
            if self.desk is not None and news.level != "info":
                self.desk.say(news.level, news.code, f"While the window was gone: {news.text}")

    def _on_kill(self) -> None:
        self.keeper.spawn(self._kill(), "kill")

    async def _kill(self) -> None:
        """Everything, at once, by the guardian; by our own engine when there is none."""
        assert self.desk is not None, "a command needs a desk"
        try:
            report = await guardian.kill(self.directories.base, (), source="window")
            if report is None:
                await self.desk.flatten_all()
            elif report["exit_code"]:
                self.desk.say("alarm", "kill", report["text"])
        except PitdeskError as error:
            self.desk.say("alarm", "kill", error.text)

    async def _connect(self, gateway: asyncio.Task[Hello] | None) -> None:
        """Log in, choose account and contract; what fails is said in the message list."""
        assert self.services is not None and self.desk is not None, "built before"  # noqa: PT018
        # The store's imports would hold the interpreter while the window wants to paint. A hidden window never paints.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._painted.wait(), _PAINT_DEADLINE_S)
        try:
            if gateway is None:
                name = await self._log_in_live(self.services)
            else:
                hello = await gateway
                await self.services.connect(Endpoint.of_practice(hello, is_replay=self.arguments.replay is not None))
                name = self.arguments.account or str(hello.accounts[0]["name"])
            if name:
                await self.desk.trade_account(name)
            await self.desk.load_templates()
            contract = await self._first_contract(self.services)
            self.desk.choose_contract(contract)
        except (PitdeskError, OSError) as error:
            self.desk.say("alarm", "connect", getattr(error, "text", str(error)))
            self.desk.book.show_page("messages")

    async def _first_contract(self, services: Services) -> str:
        try:
            return (await services.market.find(self.arguments.contract)).id
        except InvalidOption:
            listed = [contract for contract in services.market.contracts() if contract.is_active]
            if self.arguments.contract != DEFAULT_ROOT or not listed:
                raise
            return listed[0].id

    async def _log_in_live(self, services: Services) -> str:
        """Connect with the stored key, or ask until it works; returns the account's name, empty for none."""
        try:
            await services.connect(await Endpoint.of_live(self.options.connection))
        except (InvalidOption, CredentialsMissing):
            if not await self._ask_for_key(services):
                return ""
        if self.arguments.account:
            return str(self.arguments.account)
        return await self._ask_for_account()

    async def _ask_for_key(self, services: Services) -> bool:
        connection = self.options.connection
        dialog = ConnectDialog(connection.rest_url, connection.user_name, self.window)
        attempts: asyncio.Queue[tuple[str, str, bool] | None] = asyncio.Queue()
        dialog.connect_requested.connect(lambda user, key, keep: attempts.put_nowait((user, key, keep)))
        dialog.answered.connect(lambda _answer: attempts.put_nowait(None))
        dialog.open()
        while (attempt := await attempts.get()) is not None:
            user, key, keep = attempt
            held = credentials.Secret(key)
            options = connection.model_copy(update={"user_name": user})
            try:
                await services.connect(await Endpoint.of_live(options, ask=_Answer(held)))
            except PitdeskError as error:
                dialog.show_failure(error.text)
                continue
            if keep:
                await asyncio.to_thread(credentials.store_api_key, user, options.rest_url, held)
            dialog.answer("done")
            return True
        return False

    async def _ask_for_account(self) -> str:
        assert self.desk is not None, "built before"
        accounts = self.desk.accounts()
        dialog = AccountDialog(self.theme, accounts, self.window)
        chosen: list[int] = []
        dialog.account_chosen.connect(chosen.append)
        await self._ask(dialog)
        return str(chosen[0]) if chosen else ""

    async def _ask(self, dialog: Dialog) -> str:
        """Open a dialog and wait for its answer; no nested loop."""
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def settle(word: str) -> None:
            if not answer.done():
                answer.set_result(word)

        dialog.answered.connect(settle)
        self._dialog = dialog
        dialog.open()
        try:
            return await answer
        finally:
            self._dialog = None
            dialog.deleteLater()

    def _on_account_changed(self) -> None:
        account = self.desk.account if self.desk is not None else None
        self.window.setWindowTitle(f"{account.word} {account.nickname} \u2013 Pitdesk" if account else "Pitdesk")

    # commands

    def _on_command(self, name: str) -> None:
        handler = {
            "quit": self._on_close_requested,
            "reconcile": self._on_reconcile,
            "open_logs": self._on_open_logs,
            "reset_layout": self.window.arrange,
            "toggle_theme": self._on_toggle_theme,
            "cancel_all": self._on_cancel_all,
            "kill": self._on_kill,
            "flatten_contract": self._on_flatten_contract,
            "show_messages": self._on_show_messages,
            "focus_ticket": self._on_focus_ticket,
            "disarm_all": self._on_disarm_all,
            "lock_all": self._on_lock_all,
            "about": self._on_about,
        }.get(name)
        if handler is not None:
            handler()
            return
        kind, _, value = name.partition("_")
        if kind == "theme":
            self._choose_theme(value)
        elif kind == "pair":
            self.theme.choose(self.theme.name, value)
            self._check_theme_commands()

    def _check_theme_commands(self) -> None:
        self.window.commands.check(f"theme_{self.theme.name}")
        self.window.commands.check(f"pair_{self.theme.pair}")

    def _on_toggle_theme(self) -> None:
        self._choose_theme("light" if self.theme.name == "dark" else "dark")

    def _choose_theme(self, name: str) -> None:
        """Switch now and keep the choice in the options file."""
        self.theme.choose(name)
        self._check_theme_commands()
        self._keep({"window.theme": name})

    def _on_options_stated(self, values: dict[str, int]) -> None:
        self._keep(values)

    def _keep(self, values: Mapping[str, str | int]) -> None:
        """Write options into the person's file."""
        file = self.arguments.config or self.directories.config / config.CONFIG_FILE_NAME

        def write() -> None:
            for name, value in values.items():
                config.write_option(file, name, value)

        self.keeper.spawn(asyncio.to_thread(write), "keep options")

    def _on_reconcile(self) -> None:
        if self.desk is not None:
            self.desk.recheck()

    def _on_open_logs(self) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(self.directories.log)))

    def _on_cancel_all(self) -> None:
        if self.desk is not None:
            self.desk.cancel_all()

    def _on_disarm_all(self) -> None:
        if self.desk is not None:
            self.desk.disarm_all()

    def _on_lock_all(self) -> None:
        if self.desk is not None:
            self.desk.lock_all(not self.desk.is_locked)

    def _on_focus_ticket(self) -> None:
        if self.desk is not None:
            self.desk.ticket.keyboard_focus()

    def _on_show_messages(self) -> None:
        if self.desk is not None:
            self.desk.book.show_page("messages")

    def _on_about(self) -> None:
        self.keeper.spawn(self._show_about(), "about")

    async def _show_about(self) -> None:
        dialog = Dialog("Pitdesk", self.window, 440)
        dialog.say(f"Version {VERSION}, engine {BUILD_HASH}", "em")
        dialog.say("Fonts: Inter (SIL Open Font Licence 1.1) and JetBrains Mono (Apache Licence 2.0).")
        dialog.add_answer("close", "Close", is_safe=True)
        await self._ask(dialog)

    def _on_flatten_contract(self) -> None:
        self.keeper.spawn(self._confirm_flatten(), "confirm flatten")

    async def _confirm_flatten(self) -> None:
        desk = self.desk
        if desk is None or desk.contract is None or desk.account is None:
            return
        dialog = ConfirmDialog(
            self.theme,
            "Flatten",
            figure=f"Flatten {desk.contract.name}",
            detail="Cancels its orders, closes the position, reads it back.",
            account=desk.account,
            parent=self.window,
        )
        if await self._ask(dialog) == "yes":
            desk.flatten_contract()

    def _on_flatten_all(self) -> None:
        self.keeper.spawn(self._flatten_all(), "flatten all")

    async def _flatten_all(self) -> None:
        if self.desk is None:
            return
        try:
            await self.desk.flatten_all()
        except PitdeskError as error:
            self.desk.say("alarm", "flatten", error.text)

    # quitting

    def _on_close_requested(self) -> None:
        if self._dialog is None:
            self.keeper.spawn(self._ask_to_quit(), "quit")

    async def _ask_to_quit(self) -> None:
        lines = self.desk.open_business() if self.desk is not None else []
        if lines:
            answer = await self._ask(QuitDialog(lines, self.window))
            if answer == "cancel":
                return
            if answer == "flatten":
                await self._flatten_all()
                if self.desk is not None and self.desk.open_business():
                    self.desk.say("alarm", "quit", "Not everything is flat; the window stays open.")
                    return
        self.request_end()

    # failures

    def install_hooks(self) -> None:
        """Show what nobody caught; the report itself is written by the crash folder's own hooks."""
        self._reporting_hook = sys.excepthook
        sys.excepthook = self._on_uncaught

    def remove_hooks(self) -> None:
        """Give the interpreter's hook back."""
        sys.excepthook = self._reporting_hook

    def _on_uncaught(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        place = _place_of(trace)
        if (kind, place) in self._reported:
            # A fault in a paint handler comes sixty times a second; one report says it.
            return
        self._reported.add((kind, place))
        self._reporting_hook(kind, error, trace)
        if not issubclass(kind, KeyboardInterrupt):
            self._show_crash(f"{kind.__name__}: {error}")

    def _on_task_failed(self, name: str, error: BaseException) -> None:
        text = "".join(traceback.format_exception(error))
        self.crash.report(f"task {name}", text)
        self._show_crash(f"{name}: {type(error).__name__}: {error}")

    def _show_crash(self, sentence: str) -> None:
        # Once per run: a fault in a paint handler comes sixty times a second.
        if self._is_crash_shown or self._ended.is_set():
            return
        self._is_crash_shown = True
        self._crash_sentence = sentence
        QTimer.singleShot(0, self.window, self._on_crash_due)

    def _on_crash_due(self) -> None:
        self.keeper.spawn(self._offer_flatten(self._crash_sentence), "crash dialog")

    async def _offer_flatten(self, sentence: str) -> None:
        reports = self.crash.reports()
        dialog = CrashDialog(sentence, str(reports[-1]) if reports else "", self.window)
        if await self._ask(dialog) == "flatten":
            await self._flatten_all()

    def _say_old_crashes(self) -> None:
        reports = self.crash.reports()
        if reports and self.desk is not None:
            text = (
                f"{len(reports)} crash report{'s' if len(reports) > 1 else ''} of earlier runs in {self.crash.folder}"
            )
            self.desk.say("warning", "crash", text)


def _place_of(trace: TracebackType | None) -> tuple[str, int]:
    """File and line where an exception was raised."""
    if trace is None:
        return "", 0
    while trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_code.co_filename, trace.tb_lineno


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the window; returns the exit code."""
    parsed = parse(sys.argv[1:] if arguments is None else arguments)
    if parsed.print_sample_config:
        sys.stdout.write(config.sample_text())
        return 0
    directories = config.directories(parsed.basedir)
    try:
        file = parsed.config or directories.config / config.CONFIG_FILE_NAME
        options = config.load(file, os.environ, parsed.assignments)
    except InvalidOption as error:
        sys.stderr.write(f"{error.text}\n")
        return EXIT_USAGE
    sys.setswitchinterval(_SWITCH_S)
    directories.create()
    writer = logs.start(
        directories.log, level=options.log.level, file_kib=options.log.file_kib, files_kept=options.log.files_kept
    )
    crash = CrashFolder(directories.crash)
    crash.install()
    crash.adopt_engine_panics(directories.base)
    try:
        return _run_qt(parsed, options, directories, crash)
    finally:
        crash.remove()
        writer.close()


def _run_qt(
    parsed: argparse.Namespace, options: config.Options, directories: config.Directories, crash: CrashFolder
) -> int:
    application = QApplication.instance() or QApplication([sys.argv[0]])
    assert isinstance(application, QApplication), "nobody made a smaller application before"
    application.setApplicationName(config.PROGRAM)
    qInstallMessageHandler(_MessageSink(crash))
    load_fonts()
    loop = make_loop(application)
    loop.set_exception_handler(crash.loop_failed)
    with loop:  # type: ignore[attr-defined] # qasync's loop is a context manager
        run = Application(parsed, options, directories, crash)
        run.install_hooks()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(run.request_end))
        application.commitDataRequest.connect(run.request_end)
        garbage = GarbageTimer()
        try:
            return loop.run_until_complete(run.run())
        finally:
            garbage.stop()
            run.remove_hooks()
            qInstallMessageHandler(None)


class _Answer:
    """Answers the question for a key with the one just typed."""

    def __init__(self, held: credentials.Secret) -> None:
        self._held = held

    def __call__(self, _question: str) -> str:
        return self._held.reveal()


class _MessageSink:
    """Qt's own messages go to the log; a fatal one leaves a crash report first."""

    def __init__(self, crash: CrashFolder) -> None:
        self._crash = crash

    def __call__(self, kind: QtMsgType, _context: QMessageLogContext, text: Any) -> None:
        if kind == QtMsgType.QtFatalMsg:
            self._crash.qt_message_failed(str(text))
        level = {
            QtMsgType.QtDebugMsg: logging.DEBUG,
            QtMsgType.QtInfoMsg: logging.INFO,
            QtMsgType.QtWarningMsg: logging.WARNING,
        }.get(kind, logging.ERROR)
        _log.log(level, "qt %s", text)
