"""`pitdesk doctor`: what the program needs on this machine, looked at one by one, nothing changed and nobody called."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator

from app import native
from app.config import Directories, Options
from app.crash import CrashFolder
from app.errors import PitdeskError
from app.persistence import AppStore
from app.services import gateway, guardian
from app.services.control import SOCKET_NAME
from app.services.rows import Row

FINE, NOTE, BROKEN = "fine", "note", "broken"


def examine(directories: Directories, load_options: Callable[[], Options]) -> list[Row]:
    """One row per thing: name, state (fine, note or broken) and a sentence."""
    found = (*_directories(directories), *_options(directories, load_options))
    rows = [*found, _engine(), _gateway(), _guardian(), _keyring(), _holder(directories), _crashes(directories)]
    return [{"name": name, "state": state, "text": text} for name, state, text in rows]


_Check = tuple[str, str, str]


def _directories(directories: Directories) -> Iterator[_Check]:
    for name in ("base", "config", "log", "crash"):
        folder = getattr(directories, name)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            yield f"{name} folder", BROKEN, f"{folder} cannot be written: {error.strerror}."
        else:
            yield f"{name} folder", FINE, str(folder)


def _options(directories: Directories, load_options: Callable[[], Options]) -> Iterator[_Check]:
    try:
        options = load_options()
    except PitdeskError as error:
        yield "options", BROKEN, error.text
        return
    yield "options", FINE, "All options are allowed."
    try:
        store = AppStore.open(options.storage.url, directories.base)
    except PitdeskError as error:
        yield "app store", BROKEN, error.text
        return
    store.close()
    yield "app store", FINE, "PostgreSQL" if options.storage.url.startswith("postgresql") else "SQLite"


def _engine() -> _Check:
    try:
        native.check_build()
    except PitdeskError as error:
        return "engine", BROKEN, error.text
    return "engine", FINE, f"version {native.VERSION}, seam {native.BUILD_HASH}"


def _gateway() -> _Check:
    try:
        return "practice gateway", FINE, str(gateway.find_program())
    except PitdeskError as error:
        return "practice gateway", BROKEN, error.text


def _guardian() -> _Check:
    try:
        return "guardian", FINE, str(guardian.find_program())
    except PitdeskError as error:
        return "guardian", NOTE, f"There is no kill switch beside the window. {error.text}"


def _keyring() -> _Check:
    import keyring
    import keyring.errors

    try:
        keyring.get_password("pitdesk-doctor", "nobody")
    except keyring.errors.KeyringError as error:
        why = str(error).partition(".")[0]
        return "keyring", NOTE, f"None on this system ({why}); the API key is asked for at each start."
    return "keyring", FINE, keyring.get_keyring().name


def _holder(directories: Directories) -> _Check:
    if (directories.base / SOCKET_NAME).exists():
        return "running engine", NOTE, "An engine serves this base directory; commands go to it."
    return "running engine", FINE, "None; commands start their own."


def _crashes(directories: Directories) -> _Check:
    reports = CrashFolder(directories.crash).reports()
    if reports:
        return "crash reports", NOTE, f"{len(reports)} in {directories.crash}, the newest {reports[-1].name}"
    return "crash reports", FINE, "None."
