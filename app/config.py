"""Every option of the program, declared once: type, default, unit, range, description.

Sources, weakest first: default, TOML file, `PITDESK_<SECTION>__<NAME>` in the environment, command line
(`-o section.name=value`). They are read once, at start. The commented sample file, the command line's help and the
settings page are generated from these declarations, so an option that is not declared here does not exist.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import tomlkit
import tomlkit.exceptions
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from app.errors import InvalidOption
from app.places import ENVIRONMENT_PREFIX as ENVIRONMENT_PREFIX  # noqa: PLC0414 -- part of this module's own words
from app.places import PROGRAM as PROGRAM  # noqa: PLC0414
from app.places import Directories as Directories  # noqa: PLC0414
from app.places import directories as directories  # noqa: PLC0414

CONFIG_FILE_NAME = "pitdesk.toml"


def _option(default: Any, description: str, *, unit: str = "", **bounds: Any) -> Any:
    """Declare one option; `unit` travels in the schema so that every generated page can show it."""
    return Field(default=default, description=description, json_schema_extra={"unit": unit}, **bounds)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LogOptions(_Section):
    level: Literal["debug", "info", "warning", "error"] = _option("info", "Least severe line that is written.")
    file_kib: int = _option(4096, "Size at which a log file is rotated.", unit="KiB", ge=64, le=1_048_576)
    files_kept: int = _option(7, "Rotated log files kept beside the current one.", unit="files", ge=1, le=100)


class StorageOptions(_Section):
    url: str = _option(
        "",
        "Where accounts, layouts, notices, orders and fills are kept: empty for app.db in the base directory, or a "
        "SQLAlchemy URL such as postgresql+psycopg://user@host/name (schema app). Put no password here: use ~/.pgpass.",
        pattern=r"^($|sqlite:///|postgresql(\+psycopg)?://)",
    )


class JournalOptions(_Section):
    sync: Literal["group", "before_send"] = _option(
        "group",
        "What an order waits for: its record is written and on the disk within 10 ms, or it is on the disk before the "
        "order leaves, which costs the time of the disk.",
    )


class EngineOptions(_Section):
    spin: Literal["off", "auto", "on"] = _option(
        "auto",
        "When the engine looks for news without sleeping, so that orders leave and answers are read sooner: auto, for "
        "5 ms after a command, an answer or news of an order and for 20 ms while an answer is due; on, always while "
        "connected, at the price of a whole processor core; off, never. On one core it sleeps all the same, and auto "
        "sleeps wherever somebody else waits for its core.",
    )


class ConnectionOptions(_Section):
    rest_url: str = _option(
        "https://api.topstepx.com",
        "Address of the real gateway's REST interface, without a path.",
        pattern=r"^https?://",
    )
    user_hub_url: str = _option("wss://rtc.topstepx.com/hubs/user", "Address of the user hub.", pattern=r"^wss?://")
    market_hub_url: str = _option(
        "wss://rtc.topstepx.com/hubs/market", "Address of the market hub.", pattern=r"^wss?://"
    )
    user_name: str = _option(
        "", "User name at the real gateway; the API key lives in the system's keyring, never here."
    )
    deadline_s: float = _option(
        20.0, "Longest wait for logging in, listing accounts and opening both hubs.", unit="s", ge=1, le=300
    )


class PracticeOptions(_Section):
    seed: int = _option(1, "Seed of the market model.", ge=0, le=2**63 - 1)
    rate: float = _option(1.0, "Speed of the gateway's clock against real time.", unit="times", gt=0, le=100)
    start_deadline_s: float = _option(
        15.0, "Longest wait for the practice gateway's first line.", unit="s", ge=1, le=120
    )


class RiskOptions(_Section):
    max_order_lots: int = _option(5, "Largest size of one order.", unit="lots", ge=1, le=1000)
    max_position_lots: int = _option(
        10, "Largest position that working orders may lead to.", unit="lots", ge=1, le=1000
    )
    max_price_away_ticks: int = _option(400, "Furthest a limit may be from the market.", unit="ticks", ge=1, le=100_000)
    max_working_orders: int = _option(60, "Most working orders at one time.", unit="orders", ge=1, le=60)
    duplicate_window_ms: int = _option(
        300, "The same order again within this time is denied; 0 turns it off.", unit="ms", ge=0, le=10_000
    )
    max_notional: int = _option(
        10_000_000, "Largest value of the position that working orders may lead to.", unit="USD", ge=1, le=10**9
    )
    max_orders_per_second: int = _option(20, "Most orders of an account in a second.", unit="orders", ge=1, le=1000)
    max_orders_per_minute: int = _option(100, "Most orders of an account in a minute.", unit="orders", ge=1, le=10_000)
    max_repeats: int = _option(
        30,
        "So many same orders of one source within a minute stop it until you release it; 0 turns that off.",
        unit="orders",
        ge=0,
        le=10_000,
    )
    rules: str = _option(
        "auto",
        "The firm's rules of the account: auto (by its name and balance), none, or a pack and size such as "
        "topstep-express/100K (files in resources/rules).",
        pattern=r"^(auto|none|[a-z0-9-]+/[A-Za-z0-9]+)$",
    )
    firm_limit_action: Literal["block", "flatten"] = _option(
        "flatten", "What happens when a loss limit of the firm is reached: no entries, or also everything closed."
    )
    stated_high: int = _option(
        0,
        "Highest end-of-day balance that the firm states, when it is above what was seen here; 0: none.",
        unit="USD",
        ge=0,
        le=100_000_000,
    )
    daily_loss: int = _option(
        0,
        "Your own daily loss limit; 0: 80 % of the firm's, where the account has one.",
        unit="USD",
        ge=0,
        le=10_000_000,
    )
    daily_loss_from: Literal["start", "peak"] = _option(
        "start", "Your own loss limit counts from the day's start, or trails from the peak of the day's result."
    )
    daily_loss_counts: Literal["open", "realised"] = _option(
        "open", "Your own limits count the open result too, or only what is realised."
    )
    daily_loss_action: Literal["block", "flatten"] = _option(
        "flatten", "What happens at your own daily loss: no entries until the next session, or also everything closed."
    )
    daily_target: int = _option(0, "Profit of a day after which you stop; 0: none.", unit="USD", ge=0, le=10_000_000)
    daily_target_action: Literal["warn", "block", "flatten"] = _option(
        "block", "What happens at the daily profit target."
    )
    trades_a_day: int = _option(0, "Most entries a day; 0: any number.", unit="orders", ge=0, le=10_000)
    entries_stop_s: int = _option(
        600, "Entries are refused so long before the firm's deadline (15:10 Chicago).", unit="s", ge=180, le=14_400
    )
    flatten_before_s: int = _option(
        180, "Everything is closed so long before the firm's deadline.", unit="s", ge=130, le=14_400
    )


class TradingOptions(_Section):
    request_deadline_s: float = _option(
        10.0, "Longest wait for the answer to a change or a cancel.", unit="s", ge=1, le=120
    )
    flatten_deadline_s: float = _option(30.0, "Longest wait for a flatten to be proved.", unit="s", ge=1, le=300)
    offered_stop_ticks: int = _option(
        40,
        "Distance of the stop that the ladder offers to a position without one; the ticket's exits go first.",
        unit="ticks",
        ge=1,
        le=1_000,
    )


class WindowOptions(_Section):
    theme: Literal["dark", "light"] = _option("dark", "Colours of the window.")
    frames_per_second: int = _option(60, "Most repaints a second.", unit="Hz", ge=5, le=120)


_Policy = Literal["never", "hold", "ask"]


class ConfirmOptions(_Section):
    """How an action is confirmed in ticket, ladder and tables: at once, held for 400 ms, or by a question.

    The question defaults to no. A menu and a key cannot be held: what wants a hold asks there.
    """

    break_even: _Policy = _option("never", "Break-even: act at once, after a hold, or ask.")
    trail: _Policy = _option("never", "Trail now: act at once, after a hold, or ask.")
    halve: _Policy = _option("never", "Halve: act at once, after a hold, or ask.")
    close: _Policy = _option("never", "Close: act at once, after a hold, or ask.")
    reverse: _Policy = _option("hold", "Reverse: act at once, after a hold, or ask.")
    flatten: _Policy = _option("hold", "Flatten: act at once, after a hold, or ask.")
    cancel: Literal["never", "ask"] = _option("never", "Cancels of a group: act at once, or ask.")


class GuardianOptions(_Section):
    on_death: Literal["announce", "flatten"] = _option(
        "announce",
        "What the guardian does when the window's process dies: say what is open, or cancel and flatten it as well.",
    )
    global_key: str = _option(
        "ctrl+alt+shift+k",
        "Key that cancels and flattens everything, wherever the focus is, on X11 and Windows; empty for none. On other "
        "desktops bind a key of their own to the command `pitdesk kill --yes`.",
        pattern=r"^$|^[A-Za-z0-9]+(\+[A-Za-z0-9]+)*$",
    )


class _SectionEnvironment(EnvSettingsSource):
    """Only `PITDESK_SECTION__NAME`: a bare `PITDESK_LOG` is no JSON document for the whole section."""

    def __init__(self, settings_class: type[BaseSettings], variables: Mapping[str, str]) -> None:
        super().__init__(settings_class, env_prefix=ENVIRONMENT_PREFIX, env_nested_delimiter="__")
        self.env_vars = {name.lower(): value for name, value in variables.items() if "__" in name}


class Options(BaseSettings):
    model_config = SettingsConfigDict(extra="forbid", frozen=True)

    log: LogOptions = LogOptions()
    storage: StorageOptions = StorageOptions()
    journal: JournalOptions = JournalOptions()
    engine: EngineOptions = EngineOptions()
    connection: ConnectionOptions = ConnectionOptions()
    practice: PracticeOptions = PracticeOptions()
    risk: RiskOptions = RiskOptions()
    trading: TradingOptions = TradingOptions()
    window: WindowOptions = WindowOptions()
    confirm: ConfirmOptions = ConfirmOptions()
    guardian: GuardianOptions = GuardianOptions()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 -- names given by pydantic-settings
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # `load` merges the sources itself, so that one error message can name the option wherever its value came from.
        return (init_settings,)


@dataclass(frozen=True)
class Declaration:
    """One option as the generated pages see it. `name` is `section.name`."""

    name: str
    field: FieldInfo

    @property
    def default(self) -> Any:
        return self.field.default

    @property
    def description(self) -> str:
        return self.field.description or ""

    @property
    def unit(self) -> str:
        extra = self.field.json_schema_extra
        return str(extra.get("unit", "")) if isinstance(extra, dict) else ""

    @property
    def allowed(self) -> str:
        """What a value may be, as text for people."""
        if get_origin(self.field.annotation) is Literal:
            return " or ".join(str(choice) for choice in get_args(self.field.annotation))
        bounds: dict[str, Any] = {}
        for rule in self.field.metadata:
            bounds |= {
                key: getattr(rule, key) for key in ("ge", "gt", "le", "pattern") if getattr(rule, key, None) is not None
            }
        if "pattern" in bounds:
            return f"text matching {bounds['pattern']}"
        kind = {"int": "a whole number", "float": "a number"}.get(
            getattr(self.field.annotation, "__name__", ""), "text"
        )
        if "ge" in bounds:
            kind += f" from {bounds['ge']}"
        if "gt" in bounds:
            kind += f" above {bounds['gt']}"
        if "le" in bounds:
            kind += f" to {bounds['le']}"
        return f"{kind} {self.unit}".rstrip()


def declarations() -> Iterator[Declaration]:
    """Every option, in the order of the sample file."""
    for section, section_field in Options.model_fields.items():
        model = section_field.annotation
        assert isinstance(model, type), "a section is a model class"
        assert issubclass(model, _Section), "a section is a model class"
        for name, field in model.model_fields.items():
            yield Declaration(f"{section}.{name}", field)


def sample_text() -> str:
    """Write the commented sample file: every option with its default, switched off by `#` except for the sections."""
    lines = [f"# Options of {PROGRAM}. Remove the # before a line to change it.", ""]
    section = ""
    for declaration in declarations():
        head, _, name = declaration.name.partition(".")
        if head != section:
            section = head
            lines += [f"[{section}]"]
        lines += [f"# {declaration.description}", f"# Allowed: {declaration.allowed}"]
        lines += [f"#{name} = {tomlkit.item(declaration.default).as_string()}", ""]
    return "\n".join(lines)


def load(file: Path | None, environment: Mapping[str, str], assignments: Sequence[str] = ()) -> Options:
    """Resolve all options. `file` may be None or absent; `assignments` are `section.name=value` of the command line.

    Raises InvalidOption, which names the option, its value and what is allowed.
    """
    merged: dict[str, Any] = _read_toml(file) if file is not None and file.exists() else {}
    for layer in (_SectionEnvironment(Options, environment)(), _parse_assignments(assignments)):
        for section, values in layer.items():
            held = merged.setdefault(section, {})
            if not isinstance(held, dict) or not isinstance(values, dict):
                raise InvalidOption(section, held, "a section with options in it")
            held |= values
    try:
        return Options(**merged)
    except ValidationError as error:
        raise _invalid_option(error) from None


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomlkit.parse(file.read_text(encoding="utf-8")).unwrap()
    except (tomlkit.exceptions.ParseError, UnicodeDecodeError) as error:
        raise InvalidOption(str(file), str(error), "a TOML file in UTF-8 (see --print-sample-config)") from None


def _parse_assignments(assignments: Sequence[str]) -> dict[str, dict[str, str]]:
    parsed: dict[str, dict[str, str]] = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        section, dot, option = name.strip().partition(".")
        if not (equals and dot and option):
            raise InvalidOption("-o", assignment, "section.name=value, such as log.level=debug")
        parsed.setdefault(section, {})[option] = value.strip()
    return parsed


def _invalid_option(error: ValidationError) -> InvalidOption:
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"][:2])
    known = {declaration.name: declaration for declaration in declarations()}
    if name in known:
        return InvalidOption(name, first["input"], known[name].allowed)
    section = f"{first['loc'][0]}."
    near = [other for other in known if other.startswith(section)] or list(Options.model_fields)
    return InvalidOption(name, first["input"], "no such option; there are " + ", ".join(near))


def write_option(file: Path, name: str, value: str | float | bool) -> None:
    """Change one option in the user's file and keep his comments and order. Raises InvalidOption before writing."""
    section, _, option = name.partition(".")
    document = tomlkit.parse(file.read_text(encoding="utf-8")) if file.exists() else tomlkit.document()
    table = document.setdefault(section, tomlkit.table())
    table[option] = value
    try:
        Options(**document.unwrap())
    except ValidationError as error:
        raise _invalid_option(error) from None
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(".new")
    draft.write_text(tomlkit.dumps(document), encoding="utf-8")
    draft.replace(file)
