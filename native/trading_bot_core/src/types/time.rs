//! Instants: UTC nanoseconds of the market and monotonic nanoseconds of this machine.

use std::fmt;

/// UTC nanoseconds since 1970.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Nanos(pub i64);

/// Monotonic nanoseconds of this process; 0 means never.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Mono(pub u64);

impl Mono {
    /// Nanoseconds from `earlier` to this instant; 0 when `earlier` is later.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

const SECOND_NS: i64 = 1_000_000_000;
const DAY_S: i64 = 86_400;

impl Nanos {
    /// Reads the wire's ISO 8601: 0 to 9 fractional digits, then `Z`, an offset, or nothing (UTC). `None` for anything else.
    pub fn from_iso(text: &[u8]) -> Option<Self> {
        let (fixed, rest) = text.split_at_checked(19)?;
        let separators = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
        let is_shaped = separators.iter().all(|&(at, byte)| fixed[at] == byte)
            && matches!(fixed[10], b'T' | b' ');
        if !is_shaped {
            return None;
        }
        let days = days_from_civil(
            digits(&fixed[0..4])?,
            digits(&fixed[5..7])?,
            digits(&fixed[8..10])?,
        )?;
        let of_day = second_of_day(
            digits(&fixed[11..13])?,
            digits(&fixed[14..16])?,
            digits(&fixed[17..19])?,
        )?;
        let (fraction_ns, zone) = fraction(rest)?;
        let seconds = days * DAY_S + of_day - offset_s(zone)?;
        seconds
            .checked_mul(SECOND_NS)?
            .checked_add(fraction_ns)
            .map(Self)
    }

    /// ISO 8601 in UTC with 7 fractional digits, the form that REST requests send.
    pub fn to_iso(self) -> String {
        let seconds = self.0.div_euclid(SECOND_NS);
        let (year, month, day) = civil_from_days(seconds.div_euclid(DAY_S));
        let of_day = seconds.rem_euclid(DAY_S);
        let fraction = self.0.rem_euclid(SECOND_NS) / 100;
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:07}Z")
    }

    /// Days since 1970 of the UTC date.
    pub const fn utc_day(self) -> i64 {
        self.0.div_euclid(SECOND_NS * DAY_S)
    }
}

impl fmt::Display for Nanos {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.to_iso())
    }
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0i64, |value, &byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit < 10).then(|| value * 10 + i64::from(digit))
    })
}

fn second_of_day(hour: i64, minute: i64, second: i64) -> Option<i64> {
    (hour < 24 && minute < 60 && second < 61).then_some(hour * 3600 + minute * 60 + second)
}

/// Splits `.1234567+00:00` into nanoseconds and the zone.
fn fraction(rest: &[u8]) -> Option<(i64, &[u8])> {
    let Some(tail) = rest.strip_prefix(b".") else {
        return Some((0, rest));
    };
    let count = tail.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count > 9 {
        return None;
    }
    let (text, zone) = tail.split_at(count);
    let scale = 10i64.pow(9 - u32::try_from(count).ok()?);
    Some((digits(text)? * scale, zone))
}

fn offset_s(zone: &[u8]) -> Option<i64> {
    match zone {
        b"" | b"Z" | b"z" | b"+00:00" => Some(0),
        [sign @ (b'+' | b'-'), clock @ ..] if clock.len() == 5 && clock[2] == b':' => {
            let seconds = digits(&clock[..2])? * 3600 + digits(&clock[3..])? * 60;
            Some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

/// Days since 1970-01-01 of a Gregorian date; `None` outside the calendar.
pub(crate) fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years begin in March, so that the leap day is the last of its year and a cycle of 400 years has one formula.
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let of_era = shifted.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

/// Year, month and day of a day count since 1970-01-01.
pub(crate) fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = (shifted_month + 2) % 12 + 1;
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case("1970-01-01T00:00:00Z", 0)]
    #[case("1970-01-01T00:00:01.5+00:00", 1_500_000_000)]
    #[case("2026-10-06T14:30:02.0991123+00:00", 1_791_297_002_099_112_300)]
    #[case("2026-10-06T14:30:02.15673+00:00", 1_791_297_002_156_730_000)]
    #[case("2026-10-06T14:30:02", 1_791_297_002_000_000_000)]
    #[case("2026-10-06T09:30:02-05:00", 1_791_297_002_000_000_000)]
    fn stamps_of_the_wire_are_read_to_the_nanosecond(#[case] text: &str, #[case] expected: i64) {
        assert_eq!(Nanos::from_iso(text.as_bytes()), Some(Nanos(expected)));
    }

    #[rstest]
    #[case("")]
    #[case("2026-10-06")]
    #[case("2026-13-06T14:30:02Z")]
    #[case("2026-10-06T25:30:02Z")]
    #[case("2026-10-06T14:30:02.1x")]
    #[case("2026-10-06T14:30:02+5")]
    #[case("2026/10/06T14:30:02Z")]
    fn anything_else_is_no_stamp(#[case] text: &str) {
        assert_eq!(Nanos::from_iso(text.as_bytes()), None);
    }

    proptest! {
        #[test]
        fn stamps_survive_writing_and_reading(hundreds in -20_000_000_000_000_000i64..40_000_000_000_000_000) {
            let stamp = Nanos(hundreds * 100);
            prop_assert_eq!(Nanos::from_iso(stamp.to_iso().as_bytes()), Some(stamp));
        }

        #[test]
        fn dates_agree_with_an_independent_calendar(days in -20_000i64..40_000) {
            let date = jiff::civil::date(1970, 1, 1) + jiff::Span::new().days(days);
            let (year, month, day) = civil_from_days(days);
            prop_assert_eq!((year, month, day), (i64::from(date.year()), i64::from(date.month()), i64::from(date.day())));
            prop_assert_eq!(days_from_civil(year, month, day), Some(days));
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = Nanos::from_iso(&bytes);
        }
    }
}
