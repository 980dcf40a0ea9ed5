//! Exact decimals taken from JSON number text. No float is ever involved.

use super::{Money, divide_half_even};
use std::fmt;

/// `mantissa × 10^exponent`, exactly as the wire wrote it, without trailing zeros.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Decimal {
    pub mantissa: i64,
    pub exponent: i8,
}

/// More digits than this do not fit and are refused rather than rounded.
const MAX_DIGITS: u32 = 18;

impl Decimal {
    pub const ZERO: Self = Self {
        mantissa: 0,
        exponent: 0,
    };

    /// Makes a decimal in its one normal form.
    pub const fn new(mantissa: i64, exponent: i8) -> Self {
        let mut value = Self { mantissa, exponent };
        if mantissa == 0 {
            return Self::ZERO;
        }
        while value.mantissa % 10 == 0 && value.exponent < i8::MAX {
            value.mantissa /= 10;
            value.exponent += 1;
        }
        value
    }

    /// Reads a JSON number token (sign, fraction and exponent allowed, up to 18 significant digits). `None` for anything else.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (is_negative, body) = split_sign(text);
        let (magnitude, fraction_digits, rest) = significand(body)?;
        let written = match rest {
            [] => 0,
            [b'e' | b'E', power @ ..] => power_of_ten(power)?,
            _ => return None,
        };
        let mantissa = if is_negative { -magnitude } else { magnitude };
        if mantissa == 0 {
            return Some(Self::ZERO);
        }
        let exponent = i8::try_from(written - fraction_digits).ok()?;
        Some(Self::new(mantissa, exponent))
    }

    /// The value in units of `10^-decimals`, when that is exact and fits.
    pub fn exact_units(self, decimals: u8) -> Option<i64> {
        let shift = i32::from(self.exponent) + i32::from(decimals);
        if shift >= 0 {
            let factor = 10i64.checked_pow(u32::try_from(shift).ok()?)?;
            return self.mantissa.checked_mul(factor);
        }
        let factor = 10i64.checked_pow(shift.unsigned_abs())?;
        (self.mantissa % factor == 0).then(|| self.mantissa / factor)
    }

    /// The value in units of `10^-decimals`, rounded half to even; `None` when it does not fit.
    pub fn rounded_units(self, decimals: u8) -> Option<i64> {
        let shift = i32::from(self.exponent) + i32::from(decimals);
        if shift >= 0 {
            return self.exact_units(decimals);
        }
        let Some(factor) = 10i128.checked_pow(shift.unsigned_abs()) else {
            return Some(0);
        };
        i64::try_from(divide_half_even(i128::from(self.mantissa), factor)).ok()
    }

    /// Money in 1/10,000 dollar, half to even.
    pub fn to_money(self) -> Option<Money> {
        self.rounded_units(4).map(Money)
    }

    /// The value as a whole number, when it is one.
    pub fn to_i64(self) -> Option<i64> {
        self.exact_units(0)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.exponent >= 0 {
            write!(out, "{}", self.mantissa)?;
            return (0..self.exponent).try_for_each(|_| out.write_str("0"));
        }
        let places = usize::from(self.exponent.unsigned_abs());
        let sign = if self.mantissa < 0 { "-" } else { "" };
        let padded = format!(
            "{:0>width$}",
            self.mantissa.unsigned_abs(),
            width = places + 1
        );
        let (whole, fraction) = padded.split_at(padded.len() - places);
        write!(out, "{sign}{whole}.{fraction}")
    }
}

/// Reads the digits and the point. Returns magnitude, digits after the point, and what follows.
fn significand(body: &[u8]) -> Option<(i64, i32, &[u8])> {
    let mut value = 0i64;
    let mut seen = 0u32;
    let mut significant = 0u32;
    let mut fraction_digits: Option<i32> = None;
    let mut at = 0;
    while let Some(&byte) = body.get(at) {
        match byte {
            b'0'..=b'9' => {
                significant += u32::from(significant > 0 || byte != b'0');
                if significant > MAX_DIGITS {
                    return None;
                }
                value = value * 10 + i64::from(byte - b'0');
                seen += 1;
                fraction_digits = fraction_digits.map(|count| count + 1);
            }
            b'.' if fraction_digits.is_none() && seen > 0 => fraction_digits = Some(0),
            _ => break,
        }
        at += 1;
    }
    (seen > 0).then(|| (value, fraction_digits.unwrap_or(0), &body[at..]))
}

fn split_sign(text: &[u8]) -> (bool, &[u8]) {
    match text.split_first() {
        Some((sign @ (b'-' | b'+'), body)) => (*sign == b'-', body),
        _ => (false, text),
    }
}

fn power_of_ten(text: &[u8]) -> Option<i32> {
    let (is_negative, body) = split_sign(text);
    if body.is_empty() || body.len() > 4 || !body.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = body
        .iter()
        .fold(0i32, |value, byte| value * 10 + i32::from(byte - b'0'));
    Some(if is_negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;
    use rust_decimal::Decimal as Peer;
    use std::str::FromStr;

    #[rstest]
    #[case("25110.25", 2_511_025, -2)]
    #[case("25110", 2511, 1)]
    #[case("5E-07", 5, -7)]
    #[case("-0.0", 0, 0)]
    #[case("1e3", 1, 3)]
    #[case("0.0078125", 78125, -7)]
    fn json_numbers_are_read_exactly(
        #[case] text: &str,
        #[case] mantissa: i64,
        #[case] exponent: i8,
    ) {
        assert_eq!(
            Decimal::parse(text.as_bytes()),
            Some(Decimal { mantissa, exponent })
        );
    }

    #[rstest]
    #[case("")]
    #[case("-")]
    #[case(".5")]
    #[case("1.2.3")]
    #[case("NaN")]
    #[case("1e")]
    #[case("1e99999")]
    #[case("1234567890123456789")]
    fn what_is_no_number_or_does_not_fit_is_refused(#[case] text: &str) {
        assert_eq!(Decimal::parse(text.as_bytes()), None);
    }

    proptest! {
        #[test]
        fn decimals_agree_with_rust_decimal(mantissa in -99_999_999_999_999_999i64..99_999_999_999_999_999, scale in 0u32..17) {
            let peer = Peer::new(mantissa, scale);
            let ours = Decimal::parse(peer.to_string().as_bytes()).unwrap();
            prop_assert_eq!(Peer::from_str(&ours.to_string()).unwrap().normalize(), peer.normalize());
        }

        #[test]
        fn rounding_agrees_with_rust_decimal(mantissa in -99_999_999_999i64..99_999_999_999, scale in 0u32..12) {
            let peer = Peer::new(mantissa, scale);
            let ours = Decimal::new(mantissa, -i8::try_from(scale).unwrap());
            let expected = peer.round_dp(4) * Peer::from(10_000);
            prop_assert_eq!(Peer::from(ours.rounded_units(4).unwrap()), expected.normalize());
        }
    }
}
