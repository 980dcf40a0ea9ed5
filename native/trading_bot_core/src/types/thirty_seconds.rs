//! Treasury prices as traders write them: `110'165` is 110 and 16.5 thirty-seconds.
//!
//! Behind the mark stand two digits of 32nds and, where the grid is finer, one of the fraction: 0, 1 (an eighth), 2, 3, 5
//! (a half), 6, 7, 8. The wire has decimals only; this is for what people type.

use super::{Contract, PriceError, Ticks};

/// Units of 1/256 point, an eighth of a 32nd.
const UNITS: i64 = 256;
const UNITS_PER_32ND: i64 = 8;

/// Whether a text is written in 32nds.
pub fn is_written_so(text: &str) -> bool {
    text.contains('\'')
}

/// Ticks of a price in 32nds on a contract's grid.
///
/// # Errors
/// `Unreadable` for anything but this notation, and for a grid that is not in 256ths; `OffGrid` with both neighbours.
pub fn ticks(contract: &Contract, text: &str) -> Result<Ticks, PriceError> {
    on_grid(contract.tick_units, contract.decimals, text)
}

/// The same for a tick of `tick_units` in units of `10^-decimals`.
pub(crate) fn on_grid(tick_units: i64, decimals: u8, text: &str) -> Result<Ticks, PriceError> {
    let scale = 10_i128
        .checked_pow(u32::from(decimals))
        .ok_or(PriceError::Unreadable)?;
    let tick = i128::from(tick_units) * i128::from(UNITS);
    if tick % scale != 0 {
        return Err(PriceError::Unreadable);
    }
    let tick = i64::try_from(tick / scale).map_err(|_| PriceError::OutOfRange)?;
    let price = units(text.trim()).ok_or(PriceError::Unreadable)?;
    let below = price.div_euclid(tick.max(1));
    match price.rem_euclid(tick.max(1)) {
        0 => Ok(Ticks(below)),
        _ => Err(PriceError::OffGrid {
            below: Ticks(below),
            above: Ticks(below + 1),
        }),
    }
}

fn units(text: &str) -> Option<i64> {
    let (is_negative, body) = match text.strip_prefix('-') {
        Some(body) => (true, body),
        None => (false, text),
    };
    let (whole, part) = body.split_once('\'')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(part) || whole.len() > 9 || !(2..=3).contains(&part.len()) {
        return None;
    }
    let thirty_seconds: i64 = part[..2].parse().ok().filter(|count| *count < 32)?;
    let eighths = match part[2..].bytes().next().unwrap_or(b'0') {
        digit @ b'0'..=b'3' => i64::from(digit - b'0'),
        digit @ b'5'..=b'8' => i64::from(digit - b'1'),
        _ => return None,
    };
    let whole: i64 = whole.parse().ok()?;
    let size = whole * UNITS + thirty_seconds * UNITS_PER_32ND + eighths;
    Some(if is_negative { -size } else { size })
}
