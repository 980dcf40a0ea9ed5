import pickle

import keyring
import keyring.backend
import keyring.errors
import pytest

from app.errors import CredentialsMissing
from app.services import credentials

URL = "https://api.example.test"


class MemoryKeyring(keyring.backend.KeyringBackend):
    priority = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.held: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.held.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.held[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.held.pop((service, username), None) is None:
            raise keyring.errors.PasswordDeleteError("absent")


class NoKeyring(MemoryKeyring):
    def get_password(self, service: str, username: str) -> str | None:
        raise keyring.errors.NoKeyringError("none here")

    def set_password(self, service: str, username: str, password: str) -> None:
        raise keyring.errors.NoKeyringError("none here")


@pytest.fixture(autouse=True)
def memory_keyring(monkeypatch: pytest.MonkeyPatch) -> MemoryKeyring:
    backend = MemoryKeyring()
    monkeypatch.setattr(keyring.core, "_keyring_backend", backend)
    return backend


@pytest.fixture
def no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyring.core, "_keyring_backend", NoKeyring())


def test_the_keyring_comes_before_the_environment_which_is_emptied_all_the_same() -> None:
    credentials.store_api_key("Ann", URL, credentials.Secret("from-keyring"))
    variables = {"PITDESK_API_KEY": "from-environment"}
    assert credentials.find_api_key("ann", URL, variables=variables).reveal() == "from-keyring"
    assert variables == {}


def test_the_environment_comes_before_the_question_and_warns(
    no_keyring: None, caplog: pytest.LogCaptureFixture
) -> None:
    variables = {"PITDESK_API_KEY": "from-environment"}
    assert credentials.find_api_key("ann", URL, variables=variables, ask=lambda _: "typed-key").reveal() == (
        "from-environment"
    )
    assert variables == {}
    assert "keyring is safer" in caplog.text


def test_the_question_comes_last_and_names_the_host() -> None:
    asked: list[str] = []

    def answer(text: str) -> str:
        asked.append(text)
        return "typed-key"

    assert credentials.find_api_key("ann", URL, variables={}, ask=answer).reveal() == "typed-key"
    assert asked == ["API key of ann at api.example.test: "]


def test_without_any_key_the_error_says_where_it_was_looked_for(no_keyring: None) -> None:
    with pytest.raises(CredentialsMissing, match="PITDESK_API_KEY"):
        credentials.find_api_key("ann", URL, variables={})


def test_a_system_without_keyring_keeps_the_key_in_memory_only(no_keyring: None) -> None:
    assert credentials.store_api_key("ann", URL, credentials.Secret("some-key")) is False


def test_a_forgotten_key_is_gone() -> None:
    credentials.store_api_key("ann", URL, credentials.Secret("some-key"))
    credentials.forget_api_key("ann", URL)
    credentials.forget_api_key("ann", URL)
    with pytest.raises(CredentialsMissing):
        credentials.find_api_key("ann", URL, variables={})


def test_a_secret_shows_itself_nowhere() -> None:
    secret = credentials.Secret("very-secret")
    assert "very-secret" not in f"{secret} {secret!r}"
    with pytest.raises(TypeError, match="never written"):
        pickle.dumps(secret)
