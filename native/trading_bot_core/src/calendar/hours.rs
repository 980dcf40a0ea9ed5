//! Chicago's clock, and the firm's deadlines by it.
//!
//! The rule in force since 2007 is written out, so that no zone file is needed: daylight time from the second Sunday of
//! March, 02:00, to the first Sunday of November, 02:00. A test compares it with the zone database over all years.

use super::{Product, Session, TradeDate};
use crate::types::{Nanos, civil_from_days, days_from_civil};

const SECOND_NS: i64 = 1_000_000_000;
const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 24 * HOUR_S;
/// The firm's day ends, and the next begins, at 17:00 Chicago.
const DAY_TURNS_MINUTE: i64 = 17 * 60;
/// On a holiday's early close the firm wants positions flat so long before it (help article 13350348).
const BEFORE_EARLY_CLOSE_S: i64 = 15 * 60;

/// Chicago's distance from UTC in seconds at an instant; negative.
pub fn chicago_offset_s(at: Nanos) -> i64 {
    let seconds = at.0.div_euclid(SECOND_NS);
    let (year, ..) = civil_from_days(seconds.div_euclid(DAY_S));
    let sunday = |month: i64, nth: i64| -> i64 {
        let first = days_from_civil(year, month, 1).unwrap_or(0);
        // 1970-01-01 was a Thursday; Sunday counts as 0.
        first + (7 - (first + 4).rem_euclid(7)) % 7 + 7 * (nth - 1)
    };
    let begins = sunday(3, 2) * DAY_S + 8 * HOUR_S;
    let ends = sunday(11, 1) * DAY_S + 7 * HOUR_S;
    if (begins..ends).contains(&seconds) {
        -5 * HOUR_S
    } else {
        -6 * HOUR_S
    }
}

/// The instant at which Chicago's clock shows `minute` of a date. Meant for trading hours, which no change of clocks falls in.
pub fn chicago(date: TradeDate, minute: i64) -> Nanos {
    let local_s = i64::from(date.0) * DAY_S + minute * 60;
    let guess = Nanos((local_s + 6 * HOUR_S) * SECOND_NS);
    Nanos((local_s - chicago_offset_s(guess)) * SECOND_NS)
}

/// `10:31` by Chicago's clock.
pub fn chicago_clock(at: Nanos) -> String {
    let local = at.0.div_euclid(SECOND_NS) + chicago_offset_s(at);
    let minute = local.rem_euclid(DAY_S) / 60;
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

/// `Tue 17:00` by Chicago's clock.
pub fn chicago_day_and_clock(at: Nanos) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let local = at.0.div_euclid(SECOND_NS) + chicago_offset_s(at);
    let day = DAYS[local.div_euclid(DAY_S).rem_euclid(7) as usize];
    format!("{day} {}", chicago_clock(at))
}

/// When a product has to be left in one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlatBy {
    /// The firm's deadline.
    pub deadline: Nanos,
    /// Until when nothing is opened again: the turn of the firm's day, or the next session when that is sooner.
    pub until: Nanos,
}

impl Product {
    /// The minute of Chicago's day at which an ordinary session ends.
    const fn usual_close_minute(self) -> i64 {
        match self {
            Self::Grains => 13 * 60 + 20,
            Self::Livestock => 13 * 60 + 5,
            Self::Equity
            | Self::Rates
            | Self::Currencies
            | Self::Energy
            | Self::Metals
            | Self::Crypto => 16 * 60,
        }
    }

    /// The deadline of the session that opened last before `at`; `None` outside the tables.
    ///
    /// `firm_minute`: the firm's own deadline on an ordinary day. A product that closes earlier has its close as the
    /// deadline, and on an early close it lies 15 minutes before that. Source: protocol document 18.3.
    pub fn flat_by(self, at: Nanos, firm_minute: i64) -> Option<FlatBy> {
        let calendar = self.firm_calendar();
        let (session, next) = calendar.last_opened(at)?;
        let turn = chicago(session.trade_date, DAY_TURNS_MINUTE);
        Some(FlatBy {
            deadline: self.deadline(session, firm_minute),
            until: next.map_or(turn, |next| next.open.min(turn)),
        })
    }

    fn deadline(self, session: Session, firm_minute: i64) -> Nanos {
        let firm = chicago(session.trade_date, firm_minute);
        let is_early = session.close < chicago(session.trade_date, self.usual_close_minute());
        let close = if is_early {
            Nanos(session.close.0 - BEFORE_EARLY_CLOSE_S * SECOND_NS)
        } else {
            session.close
        };
        firm.min(close)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use jiff::tz::TimeZone;
    use rstest::rstest;

    fn utc(text: &str) -> Nanos {
        Nanos::from_iso(text.as_bytes()).unwrap()
    }

    #[test]
    fn the_rule_of_daylight_time_agrees_with_the_zone_database() {
        let zone = TimeZone::get("America/Chicago").unwrap();
        // Every half hour of eighteen years, and with it both sides of every change.
        let (mut at, end) = (utc("2013-01-01T00:00:00Z").0, utc("2031-01-01T00:00:00Z").0);
        while at < end {
            let stamp = Timestamp::from_nanosecond(i128::from(at)).unwrap();
            let offset = i64::from(zone.to_offset(stamp).seconds());
            assert_eq!(chicago_offset_s(Nanos(at)), offset, "{stamp}");
            at += 1_800 * SECOND_NS;
        }
    }

    #[rstest]
    // An ordinary winter and summer day, and the Monday after a change of clocks.
    #[case(
        Product::Equity,
        "2026-11-24T15:00:00Z",
        "2026-11-24T21:10:00Z",
        "2026-11-24T23:00:00Z"
    )]
    #[case(
        Product::Equity,
        "2026-07-01T15:00:00Z",
        "2026-07-01T20:10:00Z",
        "2026-07-01T22:00:00Z"
    )]
    #[case(
        Product::Equity,
        "2026-11-02T15:00:00Z",
        "2026-11-02T21:10:00Z",
        "2026-11-02T23:00:00Z"
    )]
    #[case(
        Product::Equity,
        "2026-10-30T15:00:00Z",
        "2026-10-30T20:10:00Z",
        "2026-10-30T22:00:00Z"
    )]
    // Grains and livestock are left at their own close.
    #[case(
        Product::Grains,
        "2026-11-24T15:00:00Z",
        "2026-11-24T19:20:00Z",
        "2026-11-24T23:00:00Z"
    )]
    #[case(
        Product::Livestock,
        "2026-07-01T15:00:00Z",
        "2026-07-01T18:05:00Z",
        "2026-07-01T22:00:00Z"
    )]
    // The half day after Thanksgiving: 15 minutes before the early close.
    #[case(
        Product::Equity,
        "2026-11-27T15:00:00Z",
        "2026-11-27T18:00:00Z",
        "2026-11-27T23:00:00Z"
    )]
    #[case(
        Product::Energy,
        "2026-11-27T15:00:00Z",
        "2026-11-27T19:30:00Z",
        "2026-11-27T23:00:00Z"
    )]
    // Crypto trades at the exchange all the time and at the firm until 15:10.
    #[case(
        Product::Crypto,
        "2026-11-24T15:00:00Z",
        "2026-11-24T21:10:00Z",
        "2026-11-24T23:00:00Z"
    )]
    fn the_deadline_is_the_products_own(
        #[case] product: Product,
        #[case] at: &str,
        #[case] deadline: &str,
        #[case] until: &str,
    ) {
        let flat = product.flat_by(utc(at), 15 * 60 + 10).unwrap();
        assert_eq!(flat.deadline, utc(deadline));
        assert_eq!(flat.until, utc(until));
    }

    #[test]
    fn clocks_read_as_people_say_them() {
        assert_eq!(chicago_clock(utc("2026-11-24T21:07:00Z")), "15:07");
        assert_eq!(
            chicago_day_and_clock(utc("2026-11-24T23:00:00Z")),
            "Tue 17:00"
        );
        assert_eq!(
            chicago(TradeDate::from_ymd(2026, 7, 1).unwrap(), 910),
            utc("2026-07-01T20:10:00Z")
        );
    }
}
