"""Write the exchange sessions that the engine embeds. A development tool: run it once a year, look at the diff, commit.

It needs pandas-market-calendars, which neither the program nor its tests install:

    python -m venv .venv-calendar && .venv-calendar/bin/pip install pandas-market-calendars==5.5.0
    .venv-calendar/bin/python packaging/generate_calendar.py

Each file holds one row per trade date. Minutes count from 00:00 UTC of the trade date, so an ordinary winter session is
-60 to 1320 (17:00 to 16:00 Chicago). The maintenance break is the time between two rows.
"""

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas_market_calendars as calendars  # type: ignore[import-not-found]

FIRST_DAY = "2013-01-01"
LAST_DAY = "2030-12-31"
TARGET = Path(__file__).resolve().parent.parent / "resources" / "calendar"
SOURCES = {
    "equity": "CME Globex Equity",
    "energy": "CMEGlobex_Energy",
    "metals": "CMEGlobex_Metals",
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


def corrected_close_minute(date: str, clock: str) -> int:
    """Return the minute of the UTC day at which a Chicago clock shows `clock` on `date`."""
    local = datetime.fromisoformat(f"{date}T{clock}").replace(tzinfo=ZoneInfo("America/Chicago"))
    utc = local.astimezone(UTC)
    return utc.hour * 60 + utc.minute


def session_rows(calendar_name: str, corrections: dict[str, str]) -> list[str]:
    """Return `trade_date,open_minute,close_minute` for every session of the range."""
    schedule = calendars.get_calendar(calendar_name).schedule(FIRST_DAY, LAST_DAY, tz="UTC")
    rows = []
    for day, session in schedule.iterrows():
        midnight = day.tz_localize("UTC")
        opens, closes = ((session[key] - midnight).total_seconds() / 60 for key in ("market_open", "market_close"))
        if not opens < closes or not opens.is_integer() or not closes.is_integer():
            raise ValueError(
                f"{calendar_name} has an impossible session on {day:%Y-%m-%d}: {opens} to {closes} minutes."
            )
        date = f"{day:%Y-%m-%d}"
        close_minute = corrected_close_minute(date, corrections[date]) if date in corrections else int(closes)
        rows.append(f"{date},{int(opens)},{close_minute}")
    return rows


def main() -> None:
    TARGET.mkdir(parents=True, exist_ok=True)
    for product, calendar_name in SOURCES.items():
        corrections = {} if product == "equity" else ENERGY_AND_METALS_CLOSES
        lines = ["trade_date,open_minute,close_minute", *session_rows(calendar_name, corrections)]
        (TARGET / f"{product}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
