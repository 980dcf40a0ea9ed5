//! The last known quote of a contract, merged from partial messages.

use crate::types::{Lots, Nanos, Ticks};
use crate::websocket::parse::QuoteDelta;

/// Everything that quote messages have stated so far; `None` until first stated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quote {
    pub last: Option<Ticks>,
    pub best_bid: Option<Ticks>,
    pub best_ask: Option<Ticks>,
    pub open: Option<Ticks>,
    pub high: Option<Ticks>,
    pub low: Option<Ticks>,
    /// Previous settlement: the last price less the stated change.
    pub settle: Option<Ticks>,
    /// Session volume as the broker counts it.
    pub volume: Option<Lots>,
    /// Newest exchange time of any quote.
    pub time: Option<Nanos>,
    pub updated: Option<Nanos>,
}

impl Quote {
    /// Merges a message; absent fields stay. Messages come in the order of the wire, which is trusted over their stamps.
    pub fn apply(&mut self, delta: &QuoteDelta) {
        self.last = delta.last.or(self.last);
        self.best_bid = delta.best_bid.or(self.best_bid);
        self.best_ask = delta.best_ask.or(self.best_ask);
        self.open = delta.open.or(self.open);
        self.high = delta.high.or(self.high);
        self.low = delta.low.or(self.low);
        self.volume = delta.volume.or(self.volume);
        self.time = self.time.max(delta.time);
        self.updated = self.updated.max(delta.updated);
        if let (Some(last), Some(change)) = (self.last, delta.change) {
            self.settle = last.0.checked_sub(change.0).map(Ticks);
        }
    }

    /// Forgets everything: a new connection or a new epoch begins with a full quote.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_field_is_unchanged_and_not_zero() {
        let mut quote = Quote::default();
        quote.apply(&QuoteDelta {
            best_bid: Some(Ticks(10)),
            last: Some(Ticks(11)),
            change: Some(Ticks(-4)),
            time: Some(Nanos(5)),
            ..QuoteDelta::default()
        });
        quote.apply(&QuoteDelta {
            best_ask: Some(Ticks(12)),
            time: Some(Nanos(4)),
            ..QuoteDelta::default()
        });
        let expected = Quote {
            last: Some(Ticks(11)),
            best_bid: Some(Ticks(10)),
            best_ask: Some(Ticks(12)),
            settle: Some(Ticks(15)),
            time: Some(Nanos(5)),
            ..Quote::default()
        };
        assert_eq!(quote, expected);
    }
}
