"""Where the API key comes from: the system's keyring, then PITDESK_API_KEY, then a question. Never a file.

The key is a plain `str` only between `Secret.reveal()` and the engine's `connect`; everything that prints a `Secret`
prints nothing of it, and the redactor knows it from the moment it is read. The keyring is imported where it is asked: a
practice session never needs it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, MutableMapping
from urllib.parse import urlsplit

from app import logs
from app.errors import CredentialsMissing

KEYRING_SERVICE = "pitdesk"
KEY_VARIABLE = "PITDESK_API_KEY"

_log = logging.getLogger(__name__)


class Secret:
    """Text that does not show itself. Not picklable, so that it cannot reach a file or another process by accident."""

    __slots__ = ("__text",)

    def __init__(self, text: str) -> None:
        logs.hide(text)
        self.__text = text

    def reveal(self) -> str:
        return self.__text

    def __repr__(self) -> str:
        return "Secret(hidden)"

    def __reduce__(self) -> str:
        raise TypeError("a Secret is never written anywhere")


def take_from_environment(variables: MutableMapping[str, str] = os.environ) -> Secret | None:
    """Read the key from the environment and remove it there, so that no child process inherits it."""
    text = variables.pop(KEY_VARIABLE, "")
    if not text:
        return None
    _log.warning("credentials source=environment; the system's keyring is safer, see the login window")
    return Secret(text)


def find_api_key(
    user_name: str,
    rest_url: str,
    *,
    ask: Callable[[str], str] | None = None,
    variables: MutableMapping[str, str] = os.environ,
) -> Secret:
    """Look in the keyring, then in the environment, then ask. May block on the keyring: not for the window's thread.

    ask: gets a sentence to show and returns the key, or an empty text for "no". Raises CredentialsMissing.
    """
    from_environment = take_from_environment(variables)
    if stored := _read_keyring(user_name, rest_url):
        return stored
    if from_environment is not None:
        return from_environment
    typed = ask(f"API key of {user_name or 'the user'} at {_host(rest_url)}: ") if ask is not None else ""
    if not typed:
        raise CredentialsMissing(
            f"No API key for {user_name or 'the user'} at {_host(rest_url)}: neither in the system's keyring nor in "
            f"{KEY_VARIABLE}. Store it in the login window or set the variable."
        )
    return Secret(typed)


def store_api_key(user_name: str, rest_url: str, secret: Secret) -> bool:
    """Put the key into the system's keyring; False when this system has none."""
    import keyring
    import keyring.errors

    try:
        keyring.set_password(KEYRING_SERVICE, _entry(user_name, rest_url), secret.reveal())
    except keyring.errors.KeyringError:
        _log.warning("credentials keyring=absent; the key is kept in memory only")
        return False
    return True


def forget_api_key(user_name: str, rest_url: str) -> None:
    import keyring
    import keyring.errors

    try:
        keyring.delete_password(KEYRING_SERVICE, _entry(user_name, rest_url))
    except keyring.errors.KeyringError:
        _log.info("credentials nothing to forget")


def _read_keyring(user_name: str, rest_url: str) -> Secret | None:
    import keyring
    import keyring.errors

    try:
        text = keyring.get_password(KEYRING_SERVICE, _entry(user_name, rest_url))
    except keyring.errors.KeyringError:
        return None
    return Secret(text) if text else None


def _entry(user_name: str, rest_url: str) -> str:
    return f"{user_name.lower()}@{_host(rest_url)}"


def _host(rest_url: str) -> str:
    return urlsplit(rest_url).netloc or rest_url
