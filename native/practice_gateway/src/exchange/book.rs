//! The market's own liquidity of one contract, as its source tells it.

use std::collections::{BTreeMap, HashMap};

use crate::feed::Side;

/// Levels of one contract in ticks and lots, without own orders.
#[derive(Clone, Default, Debug)]
pub struct Book {
    bids: BTreeMap<i64, i64>,
    asks: BTreeMap<i64, i64>,
    /// Size that own orders took and the source does not know of; it stays unavailable until its level changes.
    taken: HashMap<(Side, i64), i64>,
    pub last: Option<i64>,
    pub trading: bool,
}

impl Book {
    /// New absolute size of a level, 0 = gone.
    pub fn set(&mut self, side: Side, ticks: i64, lots: i64) {
        if !self.taken.is_empty() {
            self.taken.remove(&(side, ticks));
        }
        let levels = match side {
            Side::Bid => &mut self.bids,
            Side::Ask => &mut self.asks,
        };
        if lots > 0 {
            levels.insert(ticks, lots);
        } else {
            levels.remove(&ticks);
        }
    }

    pub fn clear(&mut self) {
        self.bids.clear();
        self.asks.clear();
        self.taken.clear();
    }

    /// Shown size of a level.
    pub fn shown(&self, side: Side, ticks: i64) -> i64 {
        self.side(side).get(&ticks).copied().unwrap_or(0)
    }

    /// Size of a level that an own order may still take.
    pub fn available(&self, side: Side, ticks: i64) -> i64 {
        let taken = self.taken.get(&(side, ticks)).copied().unwrap_or(0);
        (self.shown(side, ticks) - taken).max(0)
    }

    pub fn take(&mut self, side: Side, ticks: i64, lots: i64) {
        *self.taken.entry((side, ticks)).or_insert(0) += lots;
    }

    pub fn best(&self, side: Side) -> Option<i64> {
        match side {
            Side::Bid => self.bids.last_key_value().map(|(ticks, _)| *ticks),
            Side::Ask => self.asks.first_key_value().map(|(ticks, _)| *ticks),
        }
    }

    /// Best `count` levels, best first.
    pub fn top(&self, side: Side, count: usize, out: &mut Vec<(i64, i64)>) {
        out.clear();
        match side {
            Side::Bid => out.extend(self.bids.iter().rev().take(count).map(|(t, l)| (*t, *l))),
            Side::Ask => out.extend(self.asks.iter().take(count).map(|(t, l)| (*t, *l))),
        }
    }

    /// Levels that an incoming order of `side` would meet, best first, as long as `limit` allows.
    pub fn opposite_within(&self, side: Side, limit: Option<i64>) -> Vec<i64> {
        match side {
            Side::Bid => {
                let allowed = self
                    .asks
                    .keys()
                    .take_while(|t| limit.is_none_or(|l| **t <= l));
                allowed.copied().collect()
            }
            Side::Ask => {
                let allowed = self
                    .bids
                    .keys()
                    .rev()
                    .take_while(|t| limit.is_none_or(|l| **t >= l));
                allowed.copied().collect()
            }
        }
    }

    fn side(&self, side: Side) -> &BTreeMap<i64, i64> {
        match side {
            Side::Bid => &self.bids,
            Side::Ask => &self.asks,
        }
    }
}
