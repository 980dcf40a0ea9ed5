//! Exact money: integers of 1/10,000 dollar, halves to even.

/// `numerator / denominator`, halves to even. `denominator` is positive.
pub fn div_half_even(numerator: i128, denominator: i128) -> i128 {
    debug_assert!(denominator > 0, "a share is taken of something");
    let quotient = numerator.div_euclid(denominator);
    let twice = numerator.rem_euclid(denominator) * 2;
    match twice.cmp(&denominator) {
        std::cmp::Ordering::Less => quotient,
        std::cmp::Ordering::Greater => quotient + 1,
        std::cmp::Ordering::Equal => quotient + (quotient & 1),
    }
}

/// Dollars with at most two decimals, halves to even, trailing zeros trimmed: what the wire shows.
pub fn cents_text(money_1e4: i64) -> String {
    let cents = div_half_even(i128::from(money_1e4), 100);
    crate::contracts::nano_text(cents * 10_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_go_to_the_even_neighbour_on_both_sides_of_zero() {
        assert_eq!(div_half_even(5, 2), 2);
        assert_eq!(div_half_even(7, 2), 4);
        assert_eq!(div_half_even(-5, 2), -2);
        assert_eq!(div_half_even(-7, 2), -4);
        assert_eq!(div_half_even(10, 3), 3);
        assert_eq!(div_half_even(-10, 3), -3);
    }

    #[test]
    fn the_wire_shows_cents() {
        assert_eq!(cents_text(1_499_999_950), "150000");
        assert_eq!(cents_text(78_125), "7.81");
        assert_eq!(cents_text(-6_100), "-0.61");
        assert_eq!(cents_text(78_150), "7.82");
    }
}
