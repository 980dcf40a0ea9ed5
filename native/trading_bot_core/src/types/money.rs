//! Money in 1/10,000 dollar, because tick values such as 7.8125 exist. Cents only on the wire and on the screen.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};

/// 1/10,000 dollar.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Money(pub i64);

impl Money {
    pub const ZERO: Self = Self(0);

    /// Whole cents, half to even.
    pub fn to_cents(self) -> i64 {
        // An i64 divided by 100 always fits back.
        divide_half_even(i128::from(self.0), 100) as i64
    }

    pub const fn from_cents(cents: i64) -> Self {
        Self(cents.saturating_mul(100))
    }

    /// Value of `count` units (lots, ticks × lots); saturates, which the gate's limits keep out of reach.
    #[must_use]
    pub const fn times(self, count: i64) -> Self {
        Self(self.0.saturating_mul(count))
    }

    /// The share of `part` in `whole`, half to even: `self × part / whole`.
    #[must_use]
    pub fn share(self, part: i64, whole: i64) -> Self {
        debug_assert!(whole != 0, "a share needs a whole");
        let exact = i128::from(self.0) * i128::from(part);
        Self(i64::try_from(divide_half_even(exact, i128::from(whole))).unwrap_or(i64::MAX))
    }
}

/// Integer division that rounds half to even. `divisor` must not be zero.
pub fn divide_half_even(dividend: i128, divisor: i128) -> i128 {
    let (dividend, divisor) = if divisor < 0 {
        (dividend.saturating_neg(), divisor.saturating_neg())
    } else {
        (dividend, divisor)
    };
    let floor = dividend.div_euclid(divisor);
    let twice = dividend.rem_euclid(divisor) * 2;
    let rounds_up = twice > divisor || (twice == divisor && floor % 2 != 0);
    floor + i128::from(rounds_up)
}

impl Add for Money {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Money {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl AddAssign for Money {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for Money {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Neg for Money {
    type Output = Self;
    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

/// Dollars and cents, half to even: `-12.50`.
impl fmt::Display for Money {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cents = self.to_cents();
        let sign = if cents < 0 { "-" } else { "" };
        write!(
            out,
            "{sign}{}.{:02}",
            cents.unsigned_abs() / 100,
            cents.unsigned_abs() % 100
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case(78_125, 781)]
    #[case(150, 2)]
    #[case(250, 2)]
    #[case(251, 3)]
    #[case(-150, -2)]
    #[case(-250, -2)]
    fn cents_are_rounded_half_to_even(#[case] units: i64, #[case] cents: i64) {
        assert_eq!(Money(units).to_cents(), cents);
    }

    #[test]
    fn money_reads_as_dollars_and_cents() {
        assert_eq!(Money(-125_000).to_string(), "-12.50");
        assert_eq!(Money(500).to_string(), "0.05");
    }

    proptest! {
        #[test]
        fn division_is_the_nearest_and_ties_go_to_even(dividend in -1_000_000i128..1_000_000, divisor in 1i128..1000) {
            let quotient = divide_half_even(dividend, divisor);
            let twice_error = (dividend - quotient * divisor).abs() * 2;
            prop_assert!(twice_error <= divisor);
            prop_assert!(twice_error < divisor || quotient % 2 == 0);
        }
    }
}
