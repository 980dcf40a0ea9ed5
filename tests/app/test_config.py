from pathlib import Path

import pytest

from app import config
from app.errors import InvalidOption


def test_the_sample_file_parses_back_to_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "pitdesk.toml"
    file.write_text(config.sample_text())
    assert config.load(file, {}) == config.Options()


def test_the_sample_file_with_every_option_switched_on_is_still_the_defaults(tmp_path: Path) -> None:
    lines = []
    for line in config.sample_text().splitlines():
        switched_off = line.startswith("#") and not line.startswith("# ")
        lines.append(line[1:] if switched_off else line)
    file = tmp_path / "pitdesk.toml"
    file.write_text("\n".join(lines))
    assert config.load(file, {}) == config.Options()
    assert sum(" = " in line for line in lines) == len(list(config.declarations()))


def test_every_option_has_a_description_and_says_what_is_allowed() -> None:
    for declaration in config.declarations():
        assert declaration.description.endswith("."), declaration.name
        assert declaration.allowed, declaration.name


def test_each_source_beats_the_one_before(tmp_path: Path) -> None:
    file = tmp_path / "pitdesk.toml"
    file.write_text('[risk]\nmax_order_lots = 2\nmax_position_lots = 3\n[log]\nlevel = "debug"\n')
    environment = {"PITDESK_RISK__MAX_ORDER_LOTS": "4", "PITDESK_RISK__MAX_POSITION_LOTS": "6"}
    options = config.load(file, environment, ["risk.max_order_lots=7"])
    assert (options.risk.max_order_lots, options.risk.max_position_lots, options.log.level) == (7, 6, "debug")
    assert options.risk.max_working_orders == 60


def test_variables_of_other_purposes_are_no_options() -> None:
    environment = {"PITDESK_API_KEY": "x", "PITDESK_LOG": "nonsense", "PITDESK_GATEWAY": "/somewhere"}
    assert config.load(None, environment) == config.Options()


@pytest.mark.parametrize(
    ("assignment", "parts"),
    [
        ("risk.max_order_lots=0", ["risk.max_order_lots", "'0'", "from 1 to 1000 lots"]),
        ("log.level=loud", ["log.level", "'loud'", "debug or info or warning or error"]),
        ("log.volume=3", ["log.volume", "log.level"]),
        ("nothing.at_all=3", ["nothing", "window"]),
        ("noequals", ["noequals", "section.name=value"]),
    ],
)
def test_an_error_names_the_option_its_value_and_what_is_allowed(assignment: str, parts: list[str]) -> None:
    with pytest.raises(InvalidOption) as caught:
        config.load(None, {}, [assignment])
    for part in parts:
        assert part in caught.value.text


def test_a_broken_file_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "pitdesk.toml"
    file.write_text("[log\n")
    with pytest.raises(InvalidOption, match="line 1"):
        config.load(file, {})


def test_writing_an_option_keeps_the_users_comments(tmp_path: Path) -> None:
    file = tmp_path / "pitdesk.toml"
    file.write_text('# mine\n[window]\ntheme = "dark" # at night\n')
    config.write_option(file, "window.theme", "light")
    config.write_option(file, "risk.max_order_lots", 2)
    text = file.read_text()
    assert "# mine" in text
    assert "# at night" in text
    assert config.load(file, {}).window.theme == "light"


def test_an_option_that_is_not_allowed_is_not_written(tmp_path: Path) -> None:
    file = tmp_path / "pitdesk.toml"
    with pytest.raises(InvalidOption):
        config.write_option(file, "window.theme", "pink")
    assert not file.exists()


def test_one_base_directory_holds_everything(tmp_path: Path) -> None:
    found = config.directories(tmp_path)
    found.create()
    for directory in (found.base, found.config, found.log, found.crash, found.practice):
        assert directory.is_relative_to(tmp_path.resolve())
        assert directory.stat().st_mode & 0o077 == 0 or directory == found.base


def test_the_environment_may_name_the_base_directory(tmp_path: Path) -> None:
    assert config.directories(None, {"PITDESK_BASEDIR": str(tmp_path)}).base == tmp_path.resolve()
