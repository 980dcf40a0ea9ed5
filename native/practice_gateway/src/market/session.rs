//! Exchange sessions of the CME group as the market sources need them: Sunday to Friday, 17:00 to 16:00 Chicago,
//! with one hour of halt between two sessions.
//!
//! Holidays are left out on purpose: a practice market that trades on a holiday is useful, and a recording brings
//! its own hours. The time zone is the rule in force since 2007, written out, so that no zone file is needed.

use std::sync::OnceLock;

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// Nanoseconds in one second.
pub const SECOND: i64 = 1_000_000_000;
/// Nanoseconds in one minute.
pub const MINUTE: i64 = 60 * SECOND;
/// Nanoseconds in one hour.
pub const HOUR: i64 = 60 * MINUTE;
/// Minutes of a full session.
pub const SESSION_MINUTES: i64 = 23 * 60;

/// One trading session, named by the date on which it ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Session {
    /// Trade date as days since 1970-01-01.
    pub day: i64,
    /// 17:00 Chicago of the calendar day before, UTC ns.
    pub open: i64,
    /// 16:00 Chicago of the trade date, UTC ns.
    pub close: i64,
}

impl Session {
    /// The session of a trade date; `None` on Saturday, on Sunday and outside the calendar.
    pub fn on(day: i64) -> Option<Self> {
        if !is_weekday(day) {
            return None;
        }
        Some(Self {
            day,
            open: chicago(day - 1, 17)?,
            close: chicago(day, 16)?,
        })
    }

    /// The session that trades at `at`, if any.
    pub fn trading_at(at: i64) -> Option<Self> {
        Self::on(trade_day(at)).filter(|session| session.open <= at && at < session.close)
    }

    /// The session that trades at `at`, or else the next one to open.
    pub fn at_or_after(at: i64) -> Option<Self> {
        let first = trade_day(at);
        (first..first + 5)
            .filter_map(Self::on)
            .find(|session| at < session.close)
    }

    /// The session before this one.
    pub fn previous(self) -> Option<Self> {
        (1..=3).find_map(|back| Self::on(self.day - back))
    }

    /// The session after this one.
    pub fn next(self) -> Option<Self> {
        (1..=3).find_map(|ahead| Self::on(self.day + ahead))
    }
}

/// Trade date (days since 1970) that `at` belongs to: a halt counts to the session before it, a weekend to Monday's.
pub fn trade_day(at: i64) -> i64 {
    roll_over_weekend(evening_before(at) + 1)
}

/// 17:00 Chicago at or before `at`: where bars of more than an hour are anchored.
pub fn anchor(at: i64) -> i64 {
    chicago(evening_before(at), 17).unwrap_or(at)
}

/// UTC ns of a wall-clock hour in Chicago; `None` outside the calendar.
pub fn chicago(day: i64, hour: i8) -> Option<i64> {
    let wall = civil(day)?.at(hour, 0, 0, 0);
    i64::try_from(chicago_zone().to_timestamp(wall).ok()?.as_nanosecond()).ok()
}

/// Monday = 0 to Sunday = 6.
pub fn weekday(day: i64) -> i64 {
    (day + 3).rem_euclid(7)
}

/// The calendar date of a day number.
pub fn civil(day: i64) -> Option<Date> {
    EPOCH.checked_add(Span::new().try_days(day).ok()?).ok()
}

const EPOCH: Date = date(1970, 1, 1);

fn is_weekday(day: i64) -> bool {
    weekday(day) < 5
}

fn roll_over_weekend(day: i64) -> i64 {
    match weekday(day) {
        5 => day + 2,
        6 => day + 1,
        _ => day,
    }
}

/// The calendar day, as seen in Chicago, of the latest 17:00 at or before `at`.
fn evening_before(at: i64) -> i64 {
    let offset = Timestamp::from_nanosecond(i128::from(at)).map_or(0, |stamp| {
        i64::from(chicago_zone().to_offset(stamp).seconds())
    });
    (at + (offset + 7 * 3600) * SECOND).div_euclid(24 * HOUR) - 1
}

fn chicago_zone() -> &'static TimeZone {
    static ZONE: OnceLock<TimeZone> = OnceLock::new();
    ZONE.get_or_init(|| TimeZone::posix("CST6CDT,M3.2.0,M11.1.0").expect("a well-formed zone rule"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_nanosecond() as i64
    }

    #[test]
    fn a_session_opens_at_five_in_the_afternoon_before_its_date_in_winter_and_in_summer() {
        let winter = Session::trading_at(at("2026-11-24T14:25:00Z")).unwrap();
        assert_eq!(
            (winter.open, winter.close),
            (at("2026-11-23T23:00:00Z"), at("2026-11-24T22:00:00Z"))
        );
        let summer = Session::trading_at(at("2026-07-01T22:00:00Z")).unwrap();
        assert_eq!(
            (summer.open, summer.close),
            (at("2026-07-01T22:00:00Z"), at("2026-07-02T21:00:00Z"))
        );
    }

    #[test]
    fn nothing_trades_in_the_halt_and_at_the_weekend() {
        for closed in [
            "2026-11-24T22:30:00Z",
            "2026-11-27T22:00:00Z",
            "2026-11-28T12:00:00Z",
            "2026-11-29T22:59:59Z",
        ] {
            assert_eq!(Session::trading_at(at(closed)), None, "{closed}");
        }
        let sunday = Session::at_or_after(at("2026-11-28T12:00:00Z")).unwrap();
        assert_eq!(sunday.open, at("2026-11-29T23:00:00Z"));
        assert_eq!(weekday(sunday.day), 0);
    }

    #[test]
    fn the_session_of_the_clock_change_is_an_hour_off_its_neighbour() {
        let monday = Session::trading_at(at("2026-11-02T14:00:00Z")).unwrap();
        let friday = monday.previous().unwrap();
        assert_eq!(monday.open, at("2026-11-01T23:00:00Z"));
        assert_eq!(friday.open, at("2026-10-29T22:00:00Z"));
        assert_eq!(friday.next(), Some(monday));
    }
}
