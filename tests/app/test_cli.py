"""The command line without any engine: reading, refusing, answering. With one: `test_cli_end_to_end.py`."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest

from app import cli, errors
from app.cli import answering
from app.cli import program as cli_program
from tests.app.services.test_gateway import program


@pytest.fixture(autouse=True)
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PITDESK_BASEDIR", str(tmp_path / "base"))
    return tmp_path / "base"


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = cli.main(words)
    shown = capsys.readouterr()
    return code, shown.out, shown.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nonsense"], "'nonsense'"),
        ([], "Name a command"),
        (["buy", "0", "MNQ", "--account", "A"], "'0' is not a positive whole number of lots"),
        (["buy", "1.5", "MNQ", "--account", "A"], "'1.5'"),
        (["buy", "1", "MNQ"], "--account"),
        (["sell", "1", "MNQ", "--account", "A", "--trail-ticks", "4", "--limit", "1"], "no other price"),
        (["sell", "1", "MNQ", "--account", "A", "--join", "bid", "--limit", "1"], "has no price"),
        (["sell", "1", "MNQ", "--account", "A", "--join", "top"], "'top'"),
        (["cancel"], "Name one order's key"),
        (["cancel", "key", "--all"], "Name one order's key"),
        (["cancel", "--all"], "--all needs --account"),
        (["cancel", "key", "--side", "buy"], "Name one order's key"),
        (["cancel", "--price", "1", "--account", "A"], "--price needs --contract"),
        (["cancel", "--side", "buy"], "--all needs --account"),
        (["modify", "key"], "Nothing to change"),
        (["modify", "key", "--size", "0"], "'0' is not a positive whole number of lots"),
        (["close", "MNQ", "--fraction", "0", "--account", "A"], "'0' is not a whole percentage from 1 to 100"),
        (["close", "MNQ", "1", "--fraction", "50", "--account", "A"], "not allowed with"),
        (["break-even", "MNQ", "--plus", "-1", "--account", "A"], "--plus"),
        (["trade", "MNQ", "long", "1", "--account", "A"], "'long'"),
        (["trade", "MNQ", "buy", "-3", "--account", "A"], "-3"),
        (["bracket", "MNQ", "buy", "1", "--account", "A"], "Give the stop's distance"),
        (["bracket", "MNQ", "buy", "1", "40x", "--account", "A"], "allowed: 40 or 40t (ticks)"),
        (["flatten", "--all", "--account", "A"], "Name --account NAME, or --all"),
        (["size", "MNQ", "--risk", "0", "--stop", "40"], "'0' is not a positive amount"),
        (["trail-rule", "MNQ", "--account", "A"], "Give --trail or --break-even, or --off"),
        (["trail-rule", "MNQ", "--account", "A", "--trail", "x:4"], "cannot be read"),
        (["oco", "one"], "Name two or more orders"),
        (["oco", "one", "one"], "Name two or more orders"),
        (["bracket-mode", "auto", "--account", "A"], "'auto'"),
        (["bracket", "MNQ", "buy", "2", "40", "--target", "x:1", "--account", "A"], "allowed: 40, 1:40t"),
        (["templates", "show"], "take one"),
        (["templates", "save", "Swing"], "The template is empty"),
        (["templates", "save", "Swing", "--stop", "40", "--trail", "8"], "allowed: 40:20 or 40:20:4"),
        (["flatten"], "--account"),
        (["accounts", "--wrong"], "'--wrong'"),
        (["accounts", "--live", "--practice"], "not allowed with"),
        (["accounts", "-o", "risk.max_order_lots=none"], "from 1 to 1000 lots"),
        (["accounts", "--config", "absent.toml"], "'absent.toml'"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error_that_names_it(
    capsys: pytest.CaptureFixture[str], base: Path, words: list[str], says: str
) -> None:
    code, out, err = answer(capsys, *words)
    assert code == 2
    assert out == ""
    assert says in err
    assert not base.exists()


def test_an_order_that_nobody_confirmed_is_denied_before_anything_is_started(
    capsys: pytest.CaptureFixture[str], base: Path
) -> None:
    code, _, err = answer(capsys, "buy", "2", "MNQ", "--account", "PRAC-1", "--limit", "21500")
    assert code == 3
    assert "buy 2 MNQ limit 21500 on PRAC-1 was not confirmed; add --yes" in err
    assert not base.exists()


def test_with_json_an_error_is_one_object_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = answer(capsys, "accounts", "-o", "log.level=loud", "--json")
    told = json.loads(out)["error"]
    assert (code, told["exit_code"], told["kind"], told["name"]) == (2, 2, "InvalidOption", "log.level")
    assert err == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InvalidOrder("size", "x"), 2),
        (errors.InvalidCommand("invalid", "x"), 2),
        (errors.Denied("t", []), 3),
        (errors.EngineHalted("halted", "x"), 3),
        (errors.BrokerRejected("2", "x"), 4),
        (errors.OutcomeUnknown("x"), 5),
        (errors.NotConnected("x"), 6),
        (errors.CredentialsMissing("x"), 6),
        (errors.GatewayUnavailable("x"), 6),
        (errors.EngineBusy("busy", "x"), 7),
        (errors.BuildMismatch("build", "x"), 70),
        (errors.StoreUnavailable("x"), 70),
    ],
)
def test_every_error_has_its_documented_exit_code(error: errors.PitdeskError, code: int) -> None:
    assert answering.exit_code(error) == code


EVERY = [*cli_program.COMMANDS, *cli_program.STORE_COMMANDS, "doctor"]


@pytest.mark.parametrize("command", [[], *[[name] for name in EVERY]])
def test_every_command_has_help(capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([*command, "--help"])
    assert ended.value.code == 0
    assert "usage: pitdesk" in capsys.readouterr().out


def test_the_sample_config_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = answer(capsys, "--print-sample-config")
    assert code == 0
    assert "[risk]" in out


def test_the_version_names_engine_python_and_system(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = answer(capsys, "--version", "--json")
    assert {"pitdesk", "engine", "python", "system"} <= set(json.loads(out)["version"])


def test_doctor_looks_at_everything_and_fails_for_what_is_broken(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PITDESK_GATEWAY", str(program(tmp_path, "")))
    _, out, _ = answer(capsys, "doctor", "--json")
    states = {row["name"]: row["state"] for row in json.loads(out)["checks"]}
    assert states["app store"] == states["options"] == states["practice gateway"] == states["base folder"] == "fine"
    monkeypatch.setenv("PITDESK_GATEWAY", str(tmp_path / "absent"))
    code, out, _ = answer(capsys, "doctor")
    assert code == 70
    assert "broken" in out


def test_doctor_survives_broken_options(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = answer(capsys, "doctor", "-o", "risk.max_order_lots=none")
    assert code == 70
    assert "from 1 to 1000 lots" in out


def test_gateway_hands_its_arguments_and_its_end_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PITDESK_GATEWAY", str(program(tmp_path, "print(json.dumps(sys.argv[1:]))\nsys.exit(9)\n")))
    words = ["gateway", "--json", "--port", "0", "--help"]
    ended = subprocess.run([sys.executable, "-m", "app.cli", *words], capture_output=True, text=True, check=False)
    assert json.loads(ended.stdout) == words[1:]
    assert ended.returncode == 9


def test_a_fault_of_the_program_leaves_a_report_and_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, base: Path
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr(cli_program, "_perform", fail)
    code, _, err = answer(capsys, "accounts")
    assert code == 70
    assert "fault of the program" in err
    assert len(list((base / "crash").glob("crash-*.txt"))) == 1


def test_a_table_lines_up_and_shows_what_is_absent() -> None:
    rows = [{"name": "A", "id": 1, "balance": None}, {"name": "LONG", "id": 22, "balance": True}]
    assert answering.table(rows, ("name", "id", "balance")).splitlines() == [
        "name  id  balance",
        "A     1   -",
        "LONG  22  yes",
    ]


# The predecessor's trading commands as a person typed them, and the same wish here (predecessor 1.2).
PREDECESSOR = {
    "trade MNQ BUY 1": "trade MNQ BUY 1",
    "limit MNQ BUY 1 21499.50": "limit MNQ BUY 1 21499.50",
    "bracket MNQ BUY 1 40 80": "bracket MNQ BUY 1 40 80",
    "native_bracket MNQ BUY 1 21490 21520": "native_bracket MNQ BUY 1 21490 21520",
    "stop_bracket MNQ BUY 1 21510 21500 21530": "stop_bracket MNQ BUY 1 21510 21500 21530",
    "stop MNQ SELL 1 21490": "stop MNQ SELL 1 21490",
    "stop_buy MNQ 1 21510": "stop_buy MNQ 1 21510",
    "stop_sell MNQ 1 21490": "stop_sell MNQ 1 21490",
    "trail MNQ SELL 1 10": "trail MNQ SELL 1 10p",
    "modify_stop 77 21495": "modify_stop MNQ 21495",
    "modify_tp 77 21530": "modify_tp MNQ 21530",
    "close 77 1": "close MNQ 1",
    "cancel 77": "cancel 77",
    "modify 77 2": "modify 77 --size 2",
    "modify 77 21499.75": "modify 77 --price 21499.75",
    "flatten": "flatten",
}
NAMELESS = ("cancel", "modify")


@pytest.mark.parametrize(("old", "new"), PREDECESSOR.items())
def test_every_trading_command_of_the_predecessor_is_understood(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, old: str, new: str
) -> None:
    reached: list[str] = []

    def note(arguments: argparse.Namespace, *_: object) -> dict[str, object]:
        command = cli_program.COMMANDS[arguments.command]
        command.check(arguments)
        reached.append(command.name)
        return {"order": {}}

    monkeypatch.setattr(cli_program, "_execute", note)
    account = [] if old.split(maxsplit=1)[0] in NAMELESS else ["--account", "A"]
    consent = ["--yes"] if "add --yes" in answer(capsys, *new.split(), *account)[2] else []
    code, _, err = answer(capsys, *new.split(), *account, *consent)
    assert (code, err) == (0, "")
    spelled = old.split(maxsplit=1)[0].replace("_", "-").replace("modify-tp", "modify-target")
    assert reached[-1] == spelled


def test_the_readme_tells_where_every_command_of_the_predecessor_went() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    table = {line.split("|")[1].strip().split()[0].strip("`") for line in readme.splitlines() if line.startswith("| `")}
    assert {old.split()[0] for old in PREDECESSOR} <= table


def test_a_template_is_saved_listed_and_removed_without_any_engine(
    capsys: pytest.CaptureFixture[str], base: Path
) -> None:
    legs = ["--target", "1:40", "--target", "50%:80t", "--break-even", "24+2", "--trail", "40:20:4"]
    assert answer(capsys, "templates", "save", "Swing", "--stop", "40", *legs)[0] == 0
    _, out, _ = answer(capsys, "templates", "save", "Swing", "--stop", "20d", "--json")
    assert (json.loads(out)["templates"][0]["version"], json.loads(out)["templates"][0]["text"]) == (2, "stop 20d")
    _, out, _ = answer(capsys, "templates", "show", "Swing", "--version", "1")
    assert "targets 1 at 40t and 50% at 80t, break-even after 24t +2, trail from 40t at 20t by 4" in out
    answer(capsys, "templates", "remove", "Swing")
    assert answer(capsys, "templates")[1] == "No templates.\n"
    code, _, err = answer(capsys, "templates", "show", "Swing", "--version", "9")
    assert (code, "one of 1, 2" in err) == (2, True)


def test_an_unknown_template_stops_an_order_before_anything_is_started(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["bracket", "MNQ", "buy", "1", "--template", "Swong", "--account", "A"]
    code, _, err = answer(capsys, *words)
    assert (code, "with exits Swong on A was not confirmed" in err) == (3, True)
    code, _, err = answer(capsys, *words, "--yes")
    assert (code, "'Swong'; allowed: a name; none is saved yet" in err) == (2, True)
