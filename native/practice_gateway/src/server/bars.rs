//! Bars: the source's history joined with the prints streamed since, in any unit.

use jiff::ToSpan;
use jiff::civil::{DateTime, Weekday};

use crate::contracts::{SECOND, chicago, timestamp};
use crate::feed::{Bar, BarUnit};

/// Nanoseconds of `number` units that have a fixed length.
fn fixed_length(unit: BarUnit, number: u32) -> Option<i64> {
    let seconds = match unit {
        BarUnit::Second => 1,
        BarUnit::Minute => 60,
        BarUnit::Hour => 3_600,
        BarUnit::Day | BarUnit::Week | BarUnit::Month => return None,
    };
    Some(seconds * i64::from(number) * SECOND)
}

/// Opening time of the bar that holds `at`. Up to an hour bars sit on the UTC clock; longer intraday bars count from
/// the session's open (17:00 Chicago); day, week and month carry the stamp of their first session's open.
pub fn bar_start(at: i64, unit: BarUnit, number: u32) -> i64 {
    match fixed_length(unit, number.max(1)) {
        Some(length) if length <= 3_600 * SECOND => at.div_euclid(length) * length,
        Some(length) => {
            let open = session_open(at);
            open + (at - open).div_euclid(length) * length
        }
        None => long_start(at, unit),
    }
}

/// 17:00 Chicago at or before `at`.
pub fn session_open(at: i64) -> i64 {
    let local = chicago().to_datetime(timestamp(at));
    let day = if local.hour() >= 17 {
        local.date()
    } else {
        local.date().saturating_sub(1.day())
    };
    instant(day.at(17, 0, 0, 0))
}

/// Between 15:10 and 17:00 Chicago, and from Friday 15:10 to Sunday 17:00: the firm allows no position.
pub fn is_firm_closed(at: i64) -> bool {
    let local = chicago().to_datetime(timestamp(at));
    let minute = i32::from(local.hour()) * 60 + i32::from(local.minute());
    match local.weekday() {
        Weekday::Saturday => true,
        Weekday::Sunday => minute < 17 * 60,
        Weekday::Friday => minute >= 15 * 60 + 10,
        _ => (15 * 60 + 10..17 * 60).contains(&minute),
    }
}

fn long_start(at: i64, unit: BarUnit) -> i64 {
    if unit == BarUnit::Day {
        return session_open(at);
    }
    let trade_date = chicago()
        .to_datetime(timestamp(at))
        .saturating_add(7.hours())
        .date();
    let first = match unit {
        BarUnit::Week => trade_date
            .saturating_sub(i64::from(trade_date.weekday().to_monday_zero_offset()).days()),
        _ => trade_date.first_of_month(),
    };
    instant(first.saturating_sub(1.day()).at(17, 0, 0, 0))
}

fn instant(local: DateTime) -> i64 {
    chicago()
        .to_timestamp(local)
        .map_or(0, |time| time.as_nanosecond() as i64)
}

/// Folds finer bars, oldest first, into `unit` bars appended to `out`; continues its last bar where it fits.
pub fn fold(out: &mut Vec<Bar>, finer: impl IntoIterator<Item = Bar>, unit: BarUnit, number: u32) {
    for bar in finer {
        let start = bar_start(bar.at, unit, number);
        match out.last_mut() {
            Some(last) if last.at == start => {
                last.high = last.high.max(bar.high);
                last.low = last.low.min(bar.low);
                last.close = bar.close;
                last.lots += bar.lots;
            }
            _ => out.push(Bar { at: start, ..bar }),
        }
    }
}

/// Minute bars with every minute replaced for which finer bars exist; both oldest first, and so is the answer.
pub fn overlay(minutes: &[Bar], finer: &[Bar]) -> Vec<Bar> {
    let minute = |bar: &Bar| bar_start(bar.at, BarUnit::Minute, 1);
    let mut merged: Vec<Bar> = minutes.to_vec();
    merged.retain(|bar| {
        let next = finer.partition_point(|other| other.at < bar.at);
        finer.get(next).is_none_or(|other| minute(other) != bar.at)
    });
    merged.extend_from_slice(finer);
    merged.sort_by_key(|bar| bar.at);
    merged
}

/// End of the bar that starts at `start`: the start of the next one.
pub fn bar_end(start: i64, unit: BarUnit, number: u32) -> i64 {
    let number = number.max(1);
    if let Some(length) = fixed_length(unit, number) {
        return start + length;
    }
    let days = match unit {
        BarUnit::Day => 1,
        BarUnit::Week => 7,
        _ => 31,
    };
    start + days * 86_400 * SECOND
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<jiff::Timestamp>()
            .map_or(0, |t| t.as_nanosecond() as i64)
    }

    #[test]
    fn minutes_sit_on_the_clock_and_four_hours_on_the_session() {
        assert_eq!(
            bar_start(at("2026-07-01T14:31:59Z"), BarUnit::Minute, 5),
            at("2026-07-01T14:30:00Z")
        );
        assert_eq!(
            bar_start(at("2026-07-01T05:30:00Z"), BarUnit::Hour, 4),
            at("2026-07-01T02:00:00Z")
        );
        assert_eq!(
            bar_start(at("2026-12-01T05:30:00Z"), BarUnit::Hour, 4),
            at("2026-12-01T03:00:00Z")
        );
    }

    #[test]
    fn days_carry_the_session_open() {
        assert_eq!(
            bar_start(at("2026-07-01T14:00:00Z"), BarUnit::Day, 1),
            at("2026-06-30T22:00:00Z")
        );
        assert_eq!(
            bar_start(at("2026-07-01T22:00:00Z"), BarUnit::Day, 1),
            at("2026-07-01T22:00:00Z")
        );
        assert_eq!(
            bar_start(at("2026-07-01T14:00:00Z"), BarUnit::Week, 1),
            at("2026-06-28T22:00:00Z")
        );
    }

    #[test]
    fn finer_bars_replace_their_minute() {
        let bar = |seconds: i64, close| Bar {
            at: seconds * SECOND,
            open: close,
            high: close,
            low: close,
            close,
            lots: 1,
        };
        let merged = overlay(
            &[bar(0, 1), bar(60, 2), bar(120, 3)],
            &[bar(70, 8), bar(90, 9)],
        );
        let closes: Vec<i64> = merged.iter().map(|bar| bar.close).collect();
        assert_eq!(closes, [1, 8, 9, 3]);
    }

    #[test]
    fn folding_continues_the_last_bar() {
        let bar = |at, close| Bar {
            at,
            open: close,
            high: close,
            low: close,
            close,
            lots: 1,
        };
        let mut out = vec![bar(0, 5)];
        fold(
            &mut out,
            [bar(30 * SECOND, 7), bar(60 * SECOND, 6)],
            BarUnit::Minute,
            1,
        );
        assert_eq!(out.len(), 2);
        assert_eq!((out[0].high, out[0].close, out[0].lots), (7, 7, 2));
    }
}
