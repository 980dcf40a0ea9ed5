//! One listed contract: its grid, and the exact way between decimal text and ticks.

use super::sane::{TICK_VALUE_MAX, TICKS_MAX};
use super::{BrokerContract, ContractIndex, Decimal, Money, Ticks, divide_half_even};

/// Definition of a contract. Price of `t` ticks = `t × tick_units / 10^decimals`, exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contract {
    pub index: ContractIndex,
    /// The broker's id with expiry, such as `CON.F.US.MNQ.Z26`.
    pub id: String,
    /// The exchange name with expiry, such as `MNQZ6`.
    pub name: String,
    pub description: String,
    /// The broker's product id, such as `F.US.MNQ`.
    pub symbol_id: String,
    /// The exchange root, such as `MNQ`; what panels store instead of an expiry.
    pub root: String,
    pub tick_units: i64,
    pub decimals: u8,
    pub tick_value: Money,
    pub is_active: bool,
}

/// Finds contracts by broker id. Implemented by the engine's table and by the connection's copy of it.
pub trait ContractLookup {
    fn by_id(&self, id: &str) -> Option<&Contract>;
}

impl ContractLookup for [Contract] {
    fn by_id(&self, id: &str) -> Option<&Contract> {
        self.iter().find(|contract| contract.id == id)
    }
}

impl ContractLookup for Vec<Contract> {
    fn by_id(&self, id: &str) -> Option<&Contract> {
        self.as_slice().by_id(id)
    }
}

/// Why a decimal is no price of a contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    #[error("The text is not a decimal number of at most 18 digits.")]
    Unreadable,
    #[error("The price is outside the range that can be represented.")]
    OutOfRange,
    #[error("The price is off the grid, between two ticks.")]
    OffGrid { below: Ticks, above: Ticks },
}

/// Why a broker row is no usable contract.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContractError {
    #[error("Contract {id} has no positive tick size.")]
    TickSize { id: String },
    #[error("Contract {id} has no tick value between 0 and a million dollars.")]
    TickValue { id: String },
}

impl Contract {
    /// Takes a broker row into the table.
    pub fn from_broker(index: ContractIndex, row: &BrokerContract) -> Result<Self, ContractError> {
        let size_error = || ContractError::TickSize { id: row.id.clone() };
        let value_error = || ContractError::TickValue { id: row.id.clone() };
        let decimals =
            u8::try_from(-i32::from(row.tick_size.exponent).min(0)).map_err(|_| size_error())?;
        let tick_units = row
            .tick_size
            .exact_units(decimals)
            .filter(|units| *units > 0)
            .ok_or_else(size_error)?;
        let tick_value = row
            .tick_value
            .to_money()
            .filter(|value| (1..=TICK_VALUE_MAX).contains(&value.0))
            .ok_or_else(value_error)?;
        if decimals > 12 {
            return Err(size_error());
        }
        Ok(Self {
            index,
            id: row.id.clone(),
            name: row.name.clone(),
            description: row.description.clone(),
            symbol_id: row.symbol_id.clone(),
            root: root_of(&row.name).to_owned(),
            tick_units,
            decimals,
            tick_value,
            is_active: row.is_active,
        })
    }

    /// Reads decimal text as a price on this contract's grid.
    pub fn ticks_from_decimal(&self, text: &str) -> Result<Ticks, PriceError> {
        let value = Decimal::parse(text.trim().as_bytes()).ok_or(PriceError::Unreadable)?;
        self.ticks(value)
    }

    /// Puts an exact decimal on this contract's grid.
    pub fn ticks(&self, value: Decimal) -> Result<Ticks, PriceError> {
        if let Some(units) = value.exact_units(self.decimals) {
            let below = units.div_euclid(self.tick_units);
            if !(-TICKS_MAX..=TICKS_MAX).contains(&below) {
                return Err(PriceError::OutOfRange);
            }
            return match units.rem_euclid(self.tick_units) {
                0 => Ok(Ticks(below)),
                _ => Err(PriceError::OffGrid {
                    below: Ticks(below),
                    above: Ticks(below + 1),
                }),
            };
        }
        // Finer than the grid's own digits, or too large: the wide path tells which.
        let shift = i32::from(value.exponent) + i32::from(self.decimals);
        if shift >= 0 {
            return Err(PriceError::OutOfRange);
        }
        let factor = 10i128
            .checked_pow(shift.unsigned_abs())
            .ok_or(PriceError::Unreadable)?;
        let grid = factor
            .checked_mul(i128::from(self.tick_units))
            .ok_or(PriceError::Unreadable)?;
        let below = i64::try_from(i128::from(value.mantissa).div_euclid(grid))
            .ok()
            .filter(|below| (-TICKS_MAX..=TICKS_MAX).contains(below))
            .ok_or(PriceError::OutOfRange)?;
        Err(PriceError::OffGrid {
            below: Ticks(below),
            above: Ticks(below + 1),
        })
    }

    /// An average price in 1/10,000 tick, half to even; averages of fills lie between ticks.
    pub fn ticks_1e4(&self, value: Decimal) -> Option<i64> {
        let shift = i32::from(value.exponent) + i32::from(self.decimals);
        let scaled = i128::from(value.mantissa) * 10_000;
        let most = TICKS_MAX * 10_000;
        let power = 10i128.checked_pow(shift.unsigned_abs())?;
        let grid = i128::from(self.tick_units);
        let (dividend, divisor) = if shift >= 0 {
            (scaled.checked_mul(power)?, grid)
        } else {
            (scaled, grid.checked_mul(power)?)
        };
        let average = i64::try_from(divide_half_even(dividend, divisor)).ok()?;
        (-most..=most).contains(&average).then_some(average)
    }

    /// The price as an exact decimal, for requests.
    pub fn price(&self, ticks: Ticks) -> Decimal {
        Decimal::new(
            ticks.0.saturating_mul(self.tick_units),
            -(self.decimals as i8),
        )
    }

    /// The price with all of the grid's digits, for people.
    pub fn price_text(&self, ticks: Ticks) -> String {
        let units = i128::from(ticks.0) * i128::from(self.tick_units);
        let places = usize::from(self.decimals);
        let sign = if units < 0 { "-" } else { "" };
        if places == 0 {
            return units.to_string();
        }
        let padded = format!("{:0>width$}", units.unsigned_abs(), width = places + 1);
        let (whole, fraction) = padded.split_at(padded.len() - places);
        format!("{sign}{whole}.{fraction}")
    }
}

/// `MNQZ6` → `MNQ`, `6BU6` → `6B`, `M2KU26` → `M2K`. A name without an expiry is its own root.
fn root_of(name: &str) -> &str {
    let body = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let has_year = (1..=2).contains(&(name.len() - body.len()));
    match body.char_indices().next_back() {
        Some((at, letter)) if has_year && at > 0 && "FGHJKMNQUVXZ".contains(letter) => &body[..at],
        _ => name,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    /// A contract with the given grid, for tests of every module.
    pub(crate) fn contract(index: u16, id: &str, tick_size: &str, tick_value: &str) -> Contract {
        let symbol = id.split('.').nth(3).unwrap_or("X");
        let row = BrokerContract {
            id: id.to_owned(),
            name: format!("{symbol}Z6"),
            description: String::new(),
            tick_size: Decimal::parse(tick_size.as_bytes()).unwrap(),
            tick_value: Decimal::parse(tick_value.as_bytes()).unwrap(),
            is_active: true,
            symbol_id: format!("F.US.{symbol}"),
        };
        Contract::from_broker(ContractIndex(index), &row).unwrap()
    }

    pub(crate) fn mnq() -> Contract {
        contract(0, "CON.F.US.MNQ.Z26", "0.25", "0.5")
    }

    #[rstest]
    #[case("MNQZ6", "MNQ")]
    #[case("6BU6", "6B")]
    #[case("M2KU6", "M2K")]
    #[case("E7U26", "E7")]
    #[case("F", "F")]
    #[case("", "")]
    fn the_root_is_the_name_without_the_expiry(#[case] name: &str, #[case] root: &str) {
        assert_eq!(root_of(name), root);
    }

    #[test]
    fn a_price_off_the_grid_names_its_neighbours() {
        let expected = PriceError::OffGrid {
            below: Ticks(86_017),
            above: Ticks(86_018),
        };
        assert_eq!(mnq().ticks_from_decimal("21504.30"), Err(expected));
        let negative = PriceError::OffGrid {
            below: Ticks(-2),
            above: Ticks(-1),
        };
        assert_eq!(mnq().ticks_from_decimal("-0.251"), Err(negative));
    }

    #[test]
    fn prices_read_in_every_notation() {
        let yen = contract(0, "CON.F.US.JY6.U26", "5E-07", "6.25");
        assert_eq!(yen.ticks_from_decimal("0.0067125"), Ok(Ticks(13_425)));
        assert_eq!(yen.ticks_from_decimal("67125e-7"), Ok(Ticks(13_425)));
        assert_eq!(yen.price_text(Ticks(13_425)), "0.0067125");
        assert_eq!(mnq().ticks_from_decimal("x"), Err(PriceError::Unreadable));
        assert_eq!(
            mnq().ticks_from_decimal("9e17"),
            Err(PriceError::OutOfRange)
        );
    }

    #[test]
    fn averages_lie_between_ticks() {
        let average = Decimal::parse(b"25110.333333333333").unwrap();
        assert_eq!(mnq().ticks_1e4(average), Some(1_004_413_333));
    }

    #[test]
    fn a_contract_without_a_grid_is_refused() {
        let mut row = BrokerContract {
            tick_value: Decimal::new(5, -1),
            ..BrokerContract::default()
        };
        assert!(Contract::from_broker(ContractIndex(0), &row).is_err());
        row.tick_size = Decimal::new(-25, -2);
        assert!(Contract::from_broker(ContractIndex(0), &row).is_err());
    }

    proptest! {
        #[test]
        fn every_tick_of_every_grid_survives_text(
            ticks in -1_000_000_000i64..1_000_000_000,
            size in prop::sample::select(vec!["0.25", "0.1", "5", "0.0000005", "0.0078125", "0.015625", "0.00390625", "1", "0.025"]),
        ) {
            let contract = contract(0, "CON.F.US.X.Z26", size, "1");
            prop_assert_eq!(contract.ticks_from_decimal(&contract.price_text(Ticks(ticks))), Ok(Ticks(ticks)));
            prop_assert_eq!(contract.ticks(contract.price(Ticks(ticks))), Ok(Ticks(ticks)));
            prop_assert_eq!(contract.ticks_1e4(contract.price(Ticks(ticks))), Some(ticks * 10_000));
        }
    }
}
