//! Volume by price of the current session, and of the current visit to each price (the ladder's two inner columns).

use crate::calendar::{Calendar, TradeDate};
use crate::types::{Aggressor, Nanos, Ticks};
use crate::websocket::parse::TradePrint;

/// Lots traded at one price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traded {
    pub ticks: i64,
    pub bought_lots: i64,
    pub sold_lots: i64,
    /// Prints without a stated aggressor.
    pub other_lots: i64,
}

impl Traded {
    fn add(&mut self, print: &TradePrint) {
        let lots = match print.aggressor {
            Aggressor::Buyer => &mut self.bought_lots,
            Aggressor::Seller => &mut self.sold_lots,
            Aggressor::Unknown => &mut self.other_lots,
        };
        *lots = lots.saturating_add(print.size.0);
    }

    /// All lots at the price, whoever took them.
    pub const fn total_lots(&self) -> i64 {
        self.bought_lots + self.sold_lots + self.other_lots
    }
}

/// What the prints of one session add up to. Starts empty when joined in mid-session; the quote states the whole session.
#[derive(Clone, Debug)]
pub struct SessionStats {
    calendar: &'static Calendar,
    trade_date: Option<TradeDate>,
    rows: Vec<Traded>,
    pub open: Option<Ticks>,
    pub high: Option<Ticks>,
    pub low: Option<Ticks>,
    pub last: Option<Ticks>,
    pub lots: i64,
}

impl SessionStats {
    pub const fn new(calendar: &'static Calendar) -> Self {
        Self {
            calendar,
            trade_date: None,
            rows: Vec::new(),
            open: None,
            high: None,
            low: None,
            last: None,
            lots: 0,
        }
    }

    /// Counts a print; the first print of a later trade date starts over. True when it did.
    pub fn apply(&mut self, print: &TradePrint) -> bool {
        let date = self.calendar.trade_date(print.time);
        let is_new = date > self.trade_date;
        if is_new {
            self.clear();
            self.trade_date = date;
        }
        self.count(print);
        is_new
    }

    fn count(&mut self, print: &TradePrint) {
        let price = print.price;
        self.open.get_or_insert(price);
        self.high = self.high.max(Some(price));
        self.low = Some(self.low.map_or(price, |low| low.min(price)));
        self.last = Some(price);
        self.lots = self.lots.saturating_add(print.size.0);
        row_at(&mut self.rows, price.0).add(print);
    }

    /// Rows in ascending order of price.
    pub fn traded(&self) -> &[Traded] {
        &self.rows
    }

    pub const fn trade_date(&self) -> Option<TradeDate> {
        self.trade_date
    }

    /// Forgets the session, as in a new epoch.
    pub fn clear(&mut self) {
        let mut rows = std::mem::take(&mut self.rows);
        rows.clear();
        *self = Self {
            rows,
            ..Self::new(self.calendar)
        };
    }
}

fn row_at(rows: &mut Vec<Traded>, ticks: i64) -> &mut Traded {
    let at = match rows.binary_search_by_key(&ticks, |row| row.ticks) {
        Ok(at) => at,
        Err(at) => {
            rows.insert(
                at,
                Traded {
                    ticks,
                    ..Traded::default()
                },
            );
            at
        }
    };
    &mut rows[at]
}

/// When a visit to a price is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecentRules {
    /// The last price has to be further away than this before a return is a new visit.
    pub leave_ticks: i64,
    /// A price without a print for this long has no visit.
    pub hold_ns: i64,
}

impl Default for RecentRules {
    fn default() -> Self {
        Self {
            leave_ticks: 2,
            hold_ns: 60_000_000_000,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Visit {
    traded: Traded,
    last_print: Nanos,
    was_left: bool,
}

/// Bought and sold at each price since the current visit to it. What was left stays shown until the price returns or time ends it.
#[derive(Clone, Debug, Default)]
pub struct RecentTrades {
    rules: RecentRules,
    visits: Vec<Visit>,
}

impl RecentTrades {
    pub const fn new(rules: RecentRules) -> Self {
        Self {
            rules,
            visits: Vec::new(),
        }
    }

    pub fn apply(&mut self, print: &TradePrint) {
        self.expire(print.time);
        let price = print.price.0;
        for visit in &mut self.visits {
            visit.was_left |= (visit.traded.ticks - price).abs() > self.rules.leave_ticks;
        }
        let fresh = Visit {
            traded: Traded {
                ticks: price,
                ..Traded::default()
            },
            last_print: print.time,
            was_left: false,
        };
        let at = match self
            .visits
            .binary_search_by_key(&price, |visit| visit.traded.ticks)
        {
            Ok(at) => {
                if self.visits[at].was_left {
                    self.visits[at] = fresh;
                }
                at
            }
            Err(at) => {
                self.visits.insert(at, fresh);
                at
            }
        };
        self.visits[at].traded.add(print);
        self.visits[at].last_print = self.visits[at].last_print.max(print.time);
    }

    /// Ends the visits that time ended. Call before publishing, so that a quiet market fades too.
    pub fn expire(&mut self, now: Nanos) {
        let oldest = now.0.saturating_sub(self.rules.hold_ns);
        self.visits.retain(|visit| visit.last_print.0 >= oldest);
    }

    /// Rows in ascending order of price.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = Traded> {
        self.visits.iter().map(|visit| visit.traded)
    }

    pub fn clear(&mut self) {
        self.visits.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::Product;
    use crate::types::Lots;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const SECOND: i64 = 1_000_000_000;

    fn print(seconds: i64, price: i64, size: i64, aggressor: Aggressor) -> TradePrint {
        TradePrint {
            time: Nanos(seconds * SECOND),
            price: Ticks(price),
            size: Lots(size),
            aggressor,
        }
    }

    fn rows(recent: &RecentTrades) -> Vec<(i64, i64, i64)> {
        recent
            .rows()
            .map(|row| (row.ticks, row.bought_lots, row.sold_lots))
            .collect()
    }

    #[test]
    fn a_new_trade_date_starts_the_session_over() {
        let mut stats = SessionStats::new(Product::Equity.calendar());
        let close = Nanos::from_iso(b"2026-11-24T21:59:59Z").unwrap();
        let open = Nanos::from_iso(b"2026-11-24T23:00:00Z").unwrap();
        let at = |time, price| TradePrint {
            time,
            price: Ticks(price),
            size: Lots(2),
            aggressor: Aggressor::Buyer,
        };
        assert!(stats.apply(&at(close, 10)));
        assert!(!stats.apply(&at(close, 12)));
        assert_eq!((stats.lots, stats.high), (4, Some(Ticks(12))));
        assert!(stats.apply(&at(open, 8)));
        assert_eq!(
            (stats.lots, stats.open, stats.high, stats.traded().len()),
            (2, Some(Ticks(8)), Some(Ticks(8)), 1)
        );
    }

    #[test]
    fn a_return_after_leaving_is_a_new_visit() {
        let mut recent = RecentTrades::new(RecentRules {
            leave_ticks: 1,
            hold_ns: 60 * SECOND,
        });
        recent.apply(&print(1, 100, 5, Aggressor::Buyer));
        recent.apply(&print(2, 101, 3, Aggressor::Seller));
        recent.apply(&print(3, 100, 2, Aggressor::Buyer));
        assert_eq!(rows(&recent), [(100, 7, 0), (101, 0, 3)]);
        recent.apply(&print(4, 103, 1, Aggressor::Buyer));
        assert_eq!(rows(&recent), [(100, 7, 0), (101, 0, 3), (103, 1, 0)]);
        recent.apply(&print(5, 100, 4, Aggressor::Seller));
        assert_eq!(rows(&recent), [(100, 0, 4), (101, 0, 3), (103, 1, 0)]);
    }

    #[test]
    fn time_ends_a_visit() {
        let mut recent = RecentTrades::new(RecentRules {
            leave_ticks: 1,
            hold_ns: 10 * SECOND,
        });
        recent.apply(&print(1, 100, 5, Aggressor::Buyer));
        recent.apply(&print(8, 101, 5, Aggressor::Buyer));
        recent.expire(Nanos(12 * SECOND));
        assert_eq!(rows(&recent), [(101, 5, 0)]);
    }

    proptest! {
        #[test]
        fn session_volume_equals_a_naive_count(prints in proptest::collection::vec((-20i64..20, 0i64..9, 0i64..3), 0..80)) {
            let start = Nanos::from_iso(b"2026-11-24T15:00:00Z").unwrap().0 / SECOND;
            let mut stats = SessionStats::new(Product::Equity.calendar());
            let mut naive: BTreeMap<i64, [i64; 3]> = BTreeMap::new();
            for (price, size, aggressor) in &prints {
                stats.apply(&print(start, *price, *size, Aggressor::from_wire(*aggressor)));
                naive.entry(*price).or_default()[usize::try_from(*aggressor).unwrap()] += size;
            }
            let ours: Vec<_> = stats.traded().iter().map(|row| (row.ticks, [row.bought_lots, row.sold_lots, row.other_lots])).collect();
            prop_assert_eq!(ours, naive.into_iter().collect::<Vec<_>>());
            prop_assert_eq!(stats.lots, prints.iter().map(|(_, size, _)| size).sum::<i64>());
            prop_assert_eq!(stats.traded().iter().map(Traded::total_lots).sum::<i64>(), stats.lots);
            prop_assert_eq!(stats.high.map(|high| high.0), prints.iter().map(|(price, ..)| *price).max());
            prop_assert_eq!(stats.low.map(|low| low.0), prints.iter().map(|(price, ..)| *price).min());
        }
    }
}
