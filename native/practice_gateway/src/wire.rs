//! JSON of the protocol, written by hand: exact decimals, times with trimmed digits, the field order of the vendor.

use std::fmt::Write;

use crate::contracts::{Contract, ContractTable, SECOND, nano_text};
use crate::exchange::model::{Account, Order, Position, Trade};
use crate::exchange::money::{cents_text, div_half_even};
use crate::feed::Side;

/// Digits of a second's fraction in REST replies.
pub const REST_DIGITS: usize = 6;
/// Digits in hub events.
pub const HUB_DIGITS: usize = 7;
/// Digits of the `timestamp` of quotes and prints; the rest is cut, not rounded.
pub const FEED_DIGITS: usize = 3;

/// Appends a time as ISO-8601 with `+00:00`, at most `digits` of the fraction, trailing zeros cut.
pub fn push_time(out: &mut String, at: i64, digits: usize) {
    let seconds = at.div_euclid(SECOND);
    let fraction = at.rem_euclid(SECOND);
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    let of_day = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    let _ = write!(
        out,
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
    );
    let text = format!("{fraction:09}");
    let kept = text[..digits.min(9)].trim_end_matches('0');
    if !kept.is_empty() {
        out.push('.');
        out.push_str(kept);
    }
    out.push_str("+00:00");
}

/// Year, month, day of a count of days since 1970-01-01.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Appends a JSON string.
pub fn push_string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if (c as u32) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Writes the fields of one object; a `None` is `null` in REST replies and absent in hub events.
pub struct Fields<'a> {
    out: &'a mut String,
    nulls: bool,
    digits: usize,
    first: bool,
}

impl<'a> Fields<'a> {
    pub fn rest(out: &'a mut String) -> Self {
        out.push('{');
        Self {
            out,
            nulls: true,
            digits: REST_DIGITS,
            first: true,
        }
    }

    pub fn hub(out: &'a mut String) -> Self {
        out.push('{');
        Self {
            out,
            nulls: false,
            digits: HUB_DIGITS,
            first: true,
        }
    }

    fn key(&mut self, key: &str) {
        if !self.first {
            self.out.push(',');
        }
        self.first = false;
        let _ = write!(self.out, "\"{key}\":");
    }

    pub fn raw(&mut self, key: &str, value: impl std::fmt::Display) {
        self.key(key);
        let _ = write!(self.out, "{value}");
    }

    pub fn maybe(&mut self, key: &str, value: Option<impl std::fmt::Display>) {
        match value {
            Some(value) => self.raw(key, value),
            None if self.nulls => self.raw(key, "null"),
            None => {}
        }
    }

    pub fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        push_string(self.out, value);
    }

    pub fn maybe_text(&mut self, key: &str, value: Option<&str>) {
        match value {
            Some(value) => self.text(key, value),
            None => self.maybe(key, None::<&str>),
        }
    }

    pub fn time(&mut self, key: &str, at: i64) {
        let digits = self.digits;
        self.time_with(key, at, digits);
    }

    pub fn time_with(&mut self, key: &str, at: i64, digits: usize) {
        self.key(key);
        self.out.push('"');
        push_time(self.out, at, digits);
        self.out.push('"');
    }

    pub fn end(self) {
        self.out.push('}');
    }
}

fn side_number(side: Side) -> u8 {
    match side {
        Side::Bid => 0,
        Side::Ask => 1,
    }
}

/// An account row, the same in REST and hub.
pub fn account(mut f: Fields<'_>, row: &Account) {
    f.raw("id", row.rules.id);
    f.text("name", &row.rules.name);
    f.raw("balance", cents_text(row.balance_1e4));
    f.raw("canTrade", row.can_trade && !row.locked_for_day);
    f.raw("isVisible", row.visible);
    f.raw("simulated", true);
    f.end();
}

/// An order row. `text_id` is the fault that sends the id as a string.
pub fn order(mut f: Fields<'_>, row: &Order, contract: &Contract, text_id: bool) {
    if text_id {
        f.text("id", &row.id.to_string());
    } else {
        f.raw("id", row.id);
    }
    f.raw("accountId", row.account);
    f.text("contractId", &row.contract_id);
    f.text("symbolId", &contract.symbol_id);
    f.time("creationTimestamp", row.created);
    f.time("updateTimestamp", row.updated);
    f.raw("status", row.status as u8);
    f.raw("type", row.kind as u8);
    f.raw("side", side_number(row.side));
    f.raw("size", row.size);
    f.maybe(
        "limitPrice",
        row.limit.map(|ticks| contract.price_text(ticks)),
    );
    f.maybe(
        "stopPrice",
        row.stop.map(|ticks| contract.price_text(ticks)),
    );
    f.raw("fillVolume", row.filled);
    f.maybe("filledPrice", average_fill(row, contract));
    f.maybe_text("customTag", row.tag.as_deref());
    let distance = row.offset.or(row.trail);
    f.maybe("trailDistance", distance);
    f.maybe(
        "trailPrice",
        distance.map(|ticks| contract.price_text(ticks)),
    );
    f.maybe("parentOrderId", row.parent);
    f.maybe("linkedOrderId", row.linked);
    f.end();
}

fn average_fill(row: &Order, contract: &Contract) -> Option<String> {
    let lots = i128::from(row.filled);
    let nano = i128::from(row.fill_ticks_lots) * i128::from(contract.tick_nano);
    (lots > 0).then(|| nano_text(div_half_even(nano, lots)))
}

/// A position row; `lots` 0 announces its end (type 0).
pub fn position(mut f: Fields<'_>, row: &Position, contract: &Contract) {
    f.raw("id", row.id);
    f.raw("accountId", row.account);
    f.text("contractId", &row.contract_id);
    f.text("contractDisplayName", &contract.display);
    f.time_with("creationTimestamp", row.created, REST_DIGITS);
    f.raw(
        "type",
        match row.lots.signum() {
            1 => 1,
            -1 => 2,
            _ => 0,
        },
    );
    f.raw("size", row.lots.abs());
    f.raw("averagePrice", nano_text(row.average_nano));
    f.end();
}

pub fn trade(mut f: Fields<'_>, row: &Trade, contract: &Contract) {
    f.raw("id", row.id);
    f.raw("accountId", row.account);
    f.text("contractId", &row.contract_id);
    f.time("creationTimestamp", row.at);
    f.raw("price", contract.price_text(row.ticks));
    f.maybe("profitAndLoss", row.pnl_1e4.map(cents_text));
    f.raw("fees", cents_text(row.fees_1e4));
    f.raw("commissions", cents_text(row.commissions_1e4));
    f.raw("side", side_number(row.side));
    f.raw("size", row.lots);
    f.raw("voided", false);
    f.raw("orderId", row.order);
    f.end();
}

pub fn contract(mut f: Fields<'_>, row: &Contract) {
    f.text("id", &row.id);
    f.text("name", &row.name);
    f.text("description", &row.description);
    f.raw("tickSize", nano_text(i128::from(row.tick_nano)));
    f.raw(
        "tickValue",
        nano_text(i128::from(row.tick_value_1e4) * 100_000),
    );
    f.raw("activeContract", row.active);
    f.text("symbolId", &row.symbol_id);
    f.end();
}

/// The definition a stored row refers to: its own expiry if the table has rolled on.
pub fn definition(table: &ContractTable, index: usize) -> &Contract {
    table.get(index)
}

/// The end of every reply.
pub fn envelope(out: &mut String, code: i32, message: Option<&str>) {
    let _ = write!(
        out,
        "\"success\":{},\"errorCode\":{code},\"errorMessage\":",
        code == 0
    );
    match message {
        Some(text) => push_string(out, text),
        None => out.push_str("null"),
    }
    out.push('}');
}

/// A comma separated JSON array from a writer of its items.
pub fn array<T>(
    out: &mut String,
    items: impl IntoIterator<Item = T>,
    mut write_item: impl FnMut(&mut String, T),
) {
    out.push('[');
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_item(out, item);
    }
    out.push(']');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(at: i64, digits: usize) -> String {
        let mut out = String::new();
        push_time(&mut out, at, digits);
        out
    }

    #[test]
    fn times_have_trimmed_digits_and_a_numeric_offset() {
        let at = 1_793_630_100_156_730_000;
        assert_eq!(text(at, HUB_DIGITS), "2026-11-02T14:35:00.15673+00:00");
        assert_eq!(text(at, FEED_DIGITS), "2026-11-02T14:35:00.156+00:00");
        assert_eq!(
            text(1_793_630_100_000_000_000, 7),
            "2026-11-02T14:35:00+00:00"
        );
        assert_eq!(
            text(951_782_400_000_000_000, 7),
            "2000-02-29T00:00:00+00:00"
        );
    }

    #[test]
    fn strings_are_escaped() {
        let mut out = String::new();
        push_string(&mut out, "a\"b\\c\u{1}\n");
        assert_eq!(out, "\"a\\\"b\\\\c\\u0001\\n\"");
    }
}
