"""Write the exchange sessions that the engine embeds. A development tool: run it once a year, look at the diff, commit.

It needs pandas-market-calendars, which neither the program nor its tests install:

    python -m venv .venv-calendar && .venv-calendar/bin/pip install pandas-market-calendars==5.5.0
    .venv-calendar/bin/python packaging/generate_calendar.py

Each file holds one row per trade date. Minutes count from 00:00 UTC of the trade date, so an ordinary winter session is
-60 to 1320 (17:00 to 16:00 Chicago). The maintenance break is the time between two rows; a halt inside a session
(grains) stands in two more columns.
"""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas_market_calendars as calendars  # type: ignore[import-not-found]

FIRST_DAY = "2013-01-01"
LAST_DAY = "2030-12-31"
TARGET = Path(__file__).resolve().parent.parent / "resources" / "calendar"
SOURCES = {
    "equity": "CME Globex Equity",
    "energy": "CMEGlobex_Energy",
    "metals": "CMEGlobex_Metals",
    "rates": "CME Globex Interest Rate Products",
    "currencies": "CMEGlobex_FX",
    "grains": "CME_Agriculture",
    "livestock": "CMEGlobex_Livestock",
    "crypto": "CME Globex Crypto",
}

# Early closes of energy and metals, Chicago time, where version 5.5.0 disagrees with the exchange's holiday notices as
# QuantConnect/Lean's market-hours database records them. Remove a line when the package has it right.
ENERGY_AND_METALS_CLOSES = {
    **dict.fromkeys(("2013-01-21", "2013-02-18", "2013-05-27", "2013-07-04", "2013-09-02", "2013-11-28"), "12:15"),
    **dict.fromkeys(("2014-01-20", "2014-02-17"), "12:15"),
    **dict.fromkeys(("2013-12-24", "2014-12-24", "2015-12-24", "2018-12-24", "2019-12-24"), "12:45"),
    **dict.fromkeys(("2020-12-24", "2024-12-24", "2025-12-24"), "12:45"),
    **dict.fromkeys(("2022-09-05", "2023-09-04", "2024-09-02", "2025-09-01"), "13:30"),
    **dict.fromkeys(("2025-07-04", "2027-06-18"), "12:00"),
    "2025-11-28": "13:45",
}

# The same for currencies.
CURRENCIES_CLOSES = {
    **dict.fromkeys(("2013-01-18", "2013-02-15", "2013-05-24", "2013-08-30", "2014-01-17", "2014-02-14"), "15:15"),
    **dict.fromkeys(("2014-05-23", "2014-08-29", "2015-01-16", "2015-02-13", "2015-05-22"), "15:15"),
    **dict.fromkeys(("2025-07-04", "2026-06-19", "2026-07-03", "2027-06-18"), "12:00"),
    **dict.fromkeys(("2025-11-28", "2026-11-27"), "13:45"),
    **dict.fromkeys(("2025-12-24", "2026-12-24"), "12:45"),
}
CORRECTIONS = {
    "energy": ENERGY_AND_METALS_CLOSES,
    "metals": ENERGY_AND_METALS_CLOSES,
    "currencies": CURRENCIES_CLOSES,
}

# From this day on crypto trades round the clock; version 5.5.0 does not know. A trade date then lasts from 17:00
# Chicago of the trade date before it to its own 17:00, weekends included. The weekend's maintenance has no known hours.
CRYPTO_CONTINUOUS_FROM = date(2026, 6, 1)


def corrected_close_minute(date: str, clock: str) -> int:
    """Return the minute of the UTC day at which a Chicago clock shows `clock` on `date`."""
    local = datetime.fromisoformat(f"{date}T{clock}").replace(tzinfo=ZoneInfo("America/Chicago"))
    utc = local.astimezone(UTC)
    return utc.hour * 60 + utc.minute


def minute_of(moment: Any, midnight: Any) -> int:
    """Return whole minutes from `midnight` to `moment`."""
    minutes = (moment - midnight).total_seconds() / 60
    if not minutes.is_integer():
        raise ValueError(f"{moment} is not on a whole minute.")
    return int(minutes)


def session_rows(calendar_name: str, corrections: dict[str, str]) -> list[str]:
    """Return `trade_date,open_minute,close_minute` for every session of the range, and its halt where there is one."""
    schedule = calendars.get_calendar(calendar_name).schedule(FIRST_DAY, LAST_DAY, tz="UTC")
    rows = []
    for day, session in schedule.iterrows():
        midnight = day.tz_localize("UTC")
        opens, closes = (minute_of(session[key], midnight) for key in ("market_open", "market_close"))
        if not opens < closes:
            raise ValueError(
                f"{calendar_name} has an impossible session on {day:%Y-%m-%d}: {opens} to {closes} minutes."
            )
        text = f"{day:%Y-%m-%d}"
        close_minute = corrected_close_minute(text, corrections[text]) if text in corrections else closes
        row = [text, opens, close_minute]
        if "break_start" in session and session["break_start"] < session["break_end"]:
            row += [minute_of(session[key], midnight) for key in ("break_start", "break_end")]
        rows.append(",".join(str(cell) for cell in row))
    return rows


def continuous_from(rows: list[str], first: date) -> list[str]:
    """Make the sessions from `first` on follow each other without a gap, turning at 17:00 Chicago."""
    done: list[str] = []
    before = ""
    for old in rows:
        row = old
        text, *_ = old.split(",")
        if before and date.fromisoformat(text) >= first:
            midnight = datetime.fromisoformat(text).replace(tzinfo=UTC)
            turns = [
                datetime.fromisoformat(f"{day}T17:00").replace(tzinfo=ZoneInfo("America/Chicago"))
                for day in (before, text)
            ]
            row = ",".join([text, *(str(minute_of(turn.astimezone(UTC), midnight)) for turn in turns)])
        done.append(row)
        before = text
    return done


def main() -> None:
    TARGET.mkdir(parents=True, exist_ok=True)
    for product, calendar_name in SOURCES.items():
        rows = session_rows(calendar_name, CORRECTIONS.get(product, {}))
        if product == "crypto":
            rows = continuous_from(rows, CRYPTO_CONTINUOUS_FROM)
        columns = "trade_date,open_minute,close_minute" + (",halt_from,halt_until" if product == "grains" else "")
        lines = [columns, *rows]
        (TARGET / f"{product}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
