"""The session: whom to talk to, logging in, and which account is traded.

No account is ever chosen by itself: the local market names one on its own command line, everybody else names it by
hand, and without a chosen account nothing is traded (decision 9).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Self
from urllib.parse import urlsplit

import structlog
from pydantic import ValidationError

from app.config import ConnectionOptions, RiskOptions
from app.domain import Account, Limits, Rules
from app.errors import InvalidOption, NotConnected
from app.native import NativeEngine
from app.services import credentials
from app.services.credentials import Secret
from app.services.gateway import Hello
from app.services.risk import rules_of

Environment = Literal["demo", "replay", "live"]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Endpoint:
    """One gateway and one login. `identity` keys what is stored about it: ids are unique only within one gateway."""

    rest_url: str
    user_hub_url: str
    market_hub_url: str
    user_name: str
    api_key: Secret = field(repr=False)
    environment: Environment
    identity: str

    @classmethod
    def of_practice(cls, hello: Hello, *, is_replay: bool = False) -> Self:
        """The local market that has just said hello."""
        return cls(
            rest_url=hello.rest,
            user_hub_url=hello.user_hub,
            market_hub_url=hello.market_hub,
            user_name=hello.user_name,
            api_key=Secret(hello.api_key),
            environment="replay" if is_replay else "demo",
            identity=f"local/{hello.user_name}/{hello.instance}",
        )

    @classmethod
    async def of_live(cls, options: ConnectionOptions, *, ask: Callable[[str], str] | None = None) -> Self:
        """The real gateway of the options; its key from keyring, environment or question.

        Raises InvalidOption without a user name, CredentialsMissing without a key.
        """
        if not options.user_name:
            raise InvalidOption("connection.user_name", "", "the name you log in with at the real gateway")
        key = await asyncio.to_thread(credentials.find_api_key, options.user_name, options.rest_url, ask=ask)
        host = urlsplit(options.rest_url).netloc
        return cls(
            rest_url=options.rest_url,
            user_hub_url=options.user_hub_url,
            market_hub_url=options.market_hub_url,
            user_name=options.user_name,
            api_key=key,
            environment="live",
            identity=f"{host}/{options.user_name.lower()}",
        )


class SessionService:
    def __init__(self, engine: NativeEngine, connection: ConnectionOptions, risk: RiskOptions) -> None:
        self._engine = engine
        self._connection = connection
        self._risk = risk
        self._endpoint: Endpoint | None = None
        self._chosen: Account | None = None

    @property
    def endpoint(self) -> Endpoint | None:
        return self._endpoint

    @property
    def chosen(self) -> Account | None:
        """The account that orders go to, or None: then nothing is traded."""
        return self._chosen

    async def connect(self, endpoint: Endpoint) -> list[Account]:
        """Log in, open both hubs, reconcile; the accounts of this login.

        Raises BrokerRejected (wrong key), NotConnected (nobody there) or OutcomeUnknown (deadline).
        """
        self._chosen = None
        _log.info("session connecting", gateway=endpoint.identity, environment=endpoint.environment)
        request = self._engine.connect(
            endpoint.rest_url,
            endpoint.user_hub_url,
            endpoint.market_hub_url,
            endpoint.user_name,
            endpoint.api_key.reveal(),
            environment=endpoint.environment,
        )
        self._endpoint = endpoint
        await self._engine.done(request, self._connection.deadline_s)
        accounts = self._engine.accounts()
        _log.info("session connected", gateway=endpoint.identity, accounts=len(accounts))
        return accounts

    async def disconnect(self) -> None:
        self._chosen = None
        await self._engine.done(self._engine.disconnect(), self._connection.deadline_s)

    async def choose(self, wanted: str) -> Account:
        """Trade this account, named by its name or id, within the limits of the options and the rules of its firm.

        Raises InvalidOption, which lists the accounts there are, or InvalidRules.
        """
        account = account_named(self._engine.accounts(), wanted)
        rules_of(account, self._risk)
        await self.observe([account])
        rules = await self._state(account)
        self._chosen = account
        _log.info("session account chosen", account=account.name, word=account.word, rules=rules.name)
        return account

    @property
    def risk(self) -> RiskOptions:
        """The trader's own limits as they are stated now."""
        return self._risk

    async def restate(self, **changes: int) -> None:
        """State other limits of the options' section `risk`: lower at once, higher from the next session.

        Raises InvalidOption, InvalidRules, or what `NativeEngine.done` raises.
        """
        try:
            self._risk = RiskOptions.model_validate(self._risk.model_dump() | changes)
        except ValidationError as error:
            raise InvalidOption("limits", str(changes), str(error.errors()[0]["msg"])) from None
        if self._chosen is not None:
            await self._state(self._chosen)

    async def _state(self, account: Account) -> Rules:
        """Tell the engine the trader's limits and the firm's rules; what is looser waits there for the next session."""
        rules = rules_of(account, self._risk)
        self._engine.set_limits(account.id, limits_of(self._risk))
        await self._engine.done(self._engine.set_rules(account.id, rules), self._connection.deadline_s)
        return rules

    async def observe(self, accounts: Sequence[Account]) -> None:
        """Follow orders and positions of these accounts; that alone trades nothing."""
        ids = [account.id for account in accounts]
        await self._engine.done(self._engine.choose_accounts(ids), self._connection.deadline_s)


def account_named(accounts: Sequence[Account], wanted: str) -> Account:
    """The account with this name (case does not matter) or id. Raises NotConnected or InvalidOption."""
    if not accounts:
        raise NotConnected("There is no account: nobody is logged in, or the login has none.")
    for account in accounts:
        if wanted.lower() in {account.name.lower(), str(account.id)}:
            return account
    raise InvalidOption("account", wanted, "one of " + ", ".join(f"{held.name} ({held.word})" for held in accounts))


def limits_of(risk: RiskOptions) -> Limits:
    return Limits(
        max_order_lots=risk.max_order_lots,
        max_position_lots=risk.max_position_lots,
        max_price_away_ticks=risk.max_price_away_ticks,
        max_working_orders=risk.max_working_orders,
        duplicate_window_ms=risk.duplicate_window_ms,
        max_notional_1e4=risk.max_notional * 10_000,
        max_orders_per_second=risk.max_orders_per_second,
        max_orders_per_minute=risk.max_orders_per_minute,
        max_repeats=risk.max_repeats,
    )
