//! Folding prints and minutes into bars of any unit and number, true to the exchange's sessions.
//!
//! Intraday bars count from 17:00 Chicago, which is a whole hour, so that every length that divides an hour sits on
//! the clock and four-hour bars begin with the session. Day bars are stamped with the session's open; weeks and months
//! with the open of their first session.

use crate::feed::{Bar, BarUnit};

use super::session::{HOUR, MINUTE, SECOND, Session, anchor, civil, trade_day, weekday};

/// Folds pieces, oldest first, into bars.
pub struct Folder {
    unit: BarUnit,
    number: i64,
    /// The stretch of time for which `base` is the anchor; most pieces fall into the one before.
    window: (i64, i64),
    base: i64,
    bars: Vec<Bar>,
}

impl Folder {
    /// A folder for bars of `number` units; a number of 0 counts as 1.
    pub fn new(unit: BarUnit, number: u32) -> Self {
        Self {
            unit,
            number: i64::from(number.max(1)),
            window: (0, 0),
            base: 0,
            bars: Vec::new(),
        }
    }

    /// Adds a piece: a shorter bar, or a print as a bar of one price.
    pub fn add(&mut self, piece: Bar) {
        let at = self.start_of(piece.at);
        match self.bars.last_mut() {
            Some(bar) if bar.at == at => {
                bar.high = bar.high.max(piece.high);
                bar.low = bar.low.min(piece.low);
                bar.close = piece.close;
                bar.lots += piece.lots;
            }
            _ => self.bars.push(Bar { at, ..piece }),
        }
    }

    /// Adds one print.
    pub fn add_print(&mut self, at: i64, ticks: i64, lots: i64) {
        self.add(Bar {
            at,
            open: ticks,
            high: ticks,
            low: ticks,
            close: ticks,
            lots,
        });
    }

    /// The bars, oldest first; those that begin outside `from..to` are left out.
    pub fn finish(self, from: i64, to: i64) -> Vec<Bar> {
        let mut bars = self.bars;
        bars.retain(|bar| from <= bar.at && bar.at < to);
        bars
    }

    /// Opening time of the bar that `at` falls into.
    pub fn start_of(&mut self, at: i64) -> i64 {
        if at < self.window.0 || self.window.1 <= at {
            self.move_window(at);
        }
        let length = match self.unit {
            BarUnit::Second => SECOND,
            BarUnit::Minute => MINUTE,
            BarUnit::Hour => HOUR,
            BarUnit::Day | BarUnit::Week | BarUnit::Month => return self.base,
        } * self.number;
        self.base + (at - self.base).div_euclid(length) * length
    }

    fn move_window(&mut self, at: i64) {
        let evening = anchor(at);
        // A day on which the clock changes has 23 or 25 hours, so the next evening is looked up, not computed.
        let next = anchor(evening + 26 * HOUR);
        let end = if next > evening {
            next
        } else {
            evening + 24 * HOUR
        };
        self.window = (evening, end.max(at + 1));
        self.base = match self.unit {
            BarUnit::Second | BarUnit::Minute | BarUnit::Hour => evening,
            BarUnit::Day | BarUnit::Week | BarUnit::Month => {
                open_of(first_day(trade_day(at), self.unit, self.number), evening)
            }
        };
    }
}

/// First trade date of the bar of days, weeks or months that `day` falls into.
fn first_day(day: i64, unit: BarUnit, number: i64) -> i64 {
    let monday = day - weekday(day);
    let week = (monday + 3) / 7;
    match unit {
        BarUnit::Week => monday - week.rem_euclid(number) * 7,
        BarUnit::Month => first_of_months(day, number).unwrap_or(day),
        _ => {
            let workday = week * 5 + weekday(day).min(4);
            let first = workday - workday.rem_euclid(number);
            first.div_euclid(5) * 7 - 3 + first.rem_euclid(5)
        }
    }
}

fn first_of_months(day: i64, number: i64) -> Option<i64> {
    let date = civil(day)?;
    let back = (i64::from(date.year()) * 12 + i64::from(date.month()) - 1).rem_euclid(number);
    let first = date
        .first_of_month()
        .checked_sub(jiff::Span::new().try_months(back).ok()?)
        .ok()?;
    let offset = first.since((jiff::Unit::Day, date)).ok()?.get_days();
    Some(day + i64::from(offset))
}

fn open_of(day: i64, otherwise: i64) -> i64 {
    (day..day + 3)
        .find_map(Session::on)
        .map_or(otherwise, |session| session.open)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use proptest::prelude::*;

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_nanosecond() as i64
    }

    fn start(text: &str, unit: BarUnit, number: u32) -> i64 {
        Folder::new(unit, number).start_of(at(text))
    }

    #[test]
    fn bars_that_divide_an_hour_sit_on_the_clock_and_four_hours_begin_with_the_session() {
        assert_eq!(
            start("2026-11-24T14:44:31.5Z", BarUnit::Second, 5),
            at("2026-11-24T14:44:30Z")
        );
        assert_eq!(
            start("2026-11-24T14:44:31Z", BarUnit::Minute, 15),
            at("2026-11-24T14:30:00Z")
        );
        assert_eq!(
            start("2026-11-24T14:44:31Z", BarUnit::Hour, 4),
            at("2026-11-24T11:00:00Z")
        );
        assert_eq!(
            start("2026-07-01T14:44:31Z", BarUnit::Hour, 4),
            at("2026-07-01T14:00:00Z")
        );
    }

    #[test]
    fn days_weeks_and_months_are_stamped_with_the_open_of_their_first_session() {
        assert_eq!(
            start("2026-11-24T14:44:31Z", BarUnit::Day, 1),
            at("2026-11-23T23:00:00Z")
        );
        assert_eq!(
            start("2026-11-24T23:00:00Z", BarUnit::Day, 1),
            at("2026-11-24T23:00:00Z")
        );
        assert_eq!(
            start("2026-11-27T14:44:31Z", BarUnit::Week, 1),
            at("2026-11-22T23:00:00Z")
        );
        assert_eq!(
            start("2026-11-24T14:44:31Z", BarUnit::Month, 1),
            at("2026-11-01T23:00:00Z")
        );
        assert_eq!(
            start("2026-10-05T14:44:31Z", BarUnit::Month, 1),
            at("2026-09-30T22:00:00Z")
        );
    }

    #[test]
    fn two_day_bars_never_hold_more_than_two_sessions() {
        let opens =
            (0..14).map(|ahead| start("2026-11-16T15:00:00Z", BarUnit::Day, 1) + ahead * 24 * HOUR);
        let mut starts: Vec<i64> = opens
            .filter(|open| Session::trading_at(*open).is_some())
            .map(|open| Folder::new(BarUnit::Day, 2).start_of(open))
            .collect();
        assert_eq!(starts.len(), 10);
        starts.dedup();
        assert!((5..=6).contains(&starts.len()), "{starts:?}");
    }

    proptest! {
        #[test]
        fn folding_twice_gives_what_folding_once_gives(steps in prop::collection::vec((1..900_i64, -3..4_i64, 1..9_i64), 1..300)) {
            let mut clock = at("2026-10-29T20:00:00Z");
            let (mut price, mut minutes, mut hours) = (100, Folder::new(BarUnit::Minute, 1), Folder::new(BarUnit::Hour, 1));
            for (seconds, change, lots) in steps {
                clock += seconds * SECOND;
                price += change;
                minutes.add_print(clock, price, lots);
                hours.add_print(clock, price, lots);
            }
            let mut again = Folder::new(BarUnit::Hour, 1);
            for minute in minutes.finish(0, i64::MAX) {
                again.add(minute);
            }
            prop_assert_eq!(again.finish(0, i64::MAX), hours.finish(0, i64::MAX));
        }
    }
}
