//! The depth book of one contract in integer ticks.
//!
//! Each side is one sorted array with the best level at its end, where nearly every change happens: an update moves a few
//! entries and allocates nothing once the arrays have grown to the feed's width.
//!
//! ```text
//! Building ──first levels──► Live ◄──uncrossed── Crossed
//!    ▲                        │  ──bid ≥ ask──►    │
//!    └──── Reset ─────────────┴── Stale ◄──lost────┘
//! ```

use crate::types::{Lots, Mono, Nanos, Ticks};
use crate::websocket::parse::DepthRecord;

/// How far the book can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum BookState {
    /// Waiting for a snapshot.
    #[default]
    Building,
    Live,
    /// Best bid at or above best ask: data of the venue in an auction, a fault when it lasts.
    Crossed,
    /// A change was lost; only a reset or a new snapshot helps.
    Stale,
}

impl BookState {
    /// The word on the seam.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Building => "building",
            Self::Live => "live",
            Self::Crossed => "crossed",
            Self::Stale => "stale",
        }
    }
}

/// Levels kept free of allocation from the start.
const USUAL_LEVELS: usize = 64;

/// One side. `key` is the price for bids and the negated price for asks, so that the best level is always the greatest.
#[derive(Clone, Debug)]
struct Ladder {
    levels: Vec<(i64, i64)>,
}

impl Ladder {
    fn new() -> Self {
        Self {
            levels: Vec::with_capacity(USUAL_LEVELS),
        }
    }

    fn set(&mut self, key: i64, lots: i64) {
        // Changes cluster at the inside: a short walk from the end beats a binary search there.
        let place = self
            .levels
            .iter()
            .rev()
            .take(8)
            .position(|(held, _)| *held <= key);
        let found = match place {
            Some(back) => {
                let at = self.levels.len() - 1 - back;
                if self.levels[at].0 == key {
                    Ok(at)
                } else {
                    Err(at + 1)
                }
            }
            None => self.levels.binary_search_by_key(&key, |level| level.0),
        };
        match (found, lots) {
            (Ok(at), 0) => drop(self.levels.remove(at)),
            (Ok(at), lots) => self.levels[at].1 = lots,
            (Err(_), 0) => {}
            (Err(at), lots) => self.levels.insert(at, (key, lots)),
        }
    }

    /// Removes every level that is better than `key`.
    fn cut_above(&mut self, key: i64) {
        while self.levels.last().is_some_and(|(held, _)| *held > key) {
            self.levels.pop();
        }
    }

    fn best(&self) -> Option<(i64, i64)> {
        self.levels.last().copied()
    }
}

/// The depth book of one contract.
#[derive(Clone, Debug)]
pub struct DepthBook {
    bids: Ladder,
    asks: Ladder,
    state: BookState,
    crossed_since: Option<Mono>,
    time: Nanos,
    /// The next message belongs to a new connection.
    begins_anew: bool,
}

impl Default for DepthBook {
    fn default() -> Self {
        Self::new()
    }
}

impl DepthBook {
    pub fn new() -> Self {
        Self {
            bids: Ladder::new(),
            asks: Ladder::new(),
            state: BookState::Building,
            crossed_since: None,
            time: Nanos(0),
            begins_anew: false,
        }
    }

    /// Applies one message as a whole; the state is judged only behind its last record. `at` is when it arrived.
    pub fn apply(&mut self, records: &[DepthRecord], at: Mono) {
        if std::mem::take(&mut self.begins_anew) {
            self.clear();
        }
        let mut has_levels = false;
        for record in records {
            has_levels |= self.apply_record(record);
            self.time = self.time.max(record.time);
        }
        self.judge(has_levels, at);
    }

    /// The type table of protocol 9.4. True when the record is a level.
    fn apply_record(&mut self, record: &DepthRecord) -> bool {
        let (price, lots) = (record.price.0, record.size.0);
        match record.kind {
            1 => self.asks.set(-price, lots),
            2 => self.bids.set(price, lots),
            3 | 10 => {
                self.asks.cut_above(-price);
                self.bids.cut_above(price - 1);
                self.set_if_sized(false, price, lots);
            }
            4 | 9 => {
                self.bids.cut_above(price);
                self.asks.cut_above(-price - 1);
                self.set_if_sized(true, price, lots);
            }
            6 => {
                self.clear_levels();
                self.state = BookState::Building;
                return false;
            }
            DepthRecord::LOST => {
                self.state = BookState::Stale;
                return false;
            }
            _ => return false,
        }
        true
    }

    /// Best-price records often carry no size; then they only cut.
    fn set_if_sized(&mut self, is_bid: bool, price: i64, lots: i64) {
        if lots > 0 {
            let (ladder, key) = if is_bid {
                (&mut self.bids, price)
            } else {
                (&mut self.asks, -price)
            };
            ladder.set(key, lots);
        }
    }

    fn judge(&mut self, has_levels: bool, at: Mono) {
        let is_waiting = self.state == BookState::Building && !has_levels;
        if is_waiting || self.state == BookState::Stale {
            self.crossed_since = None;
            return;
        }
        let is_crossed = matches!((self.bids.best(), self.asks.best()), (Some((bid, _)), Some((ask, _))) if bid >= -ask);
        self.crossed_since = is_crossed.then(|| self.crossed_since.unwrap_or(at));
        self.state = if is_crossed {
            BookState::Crossed
        } else {
            BookState::Live
        };
    }

    /// The connection dropped or a message was lost: levels stay readable, the state says that they are old.
    pub fn mark_stale(&mut self) {
        if self.state != BookState::Building {
            self.state = BookState::Stale;
        }
        self.crossed_since = None;
    }

    /// The connection is lost: levels stay readable until the first message of the next one, whose snapshot may come
    /// before or after the word that it is live.
    pub fn lose_connection(&mut self) {
        self.mark_stale();
        self.begins_anew = true;
    }

    /// Empties the book before a new snapshot: a new subscription, or a new epoch of the broker's clock.
    pub fn clear(&mut self) {
        self.clear_levels();
        self.state = BookState::Building;
        self.crossed_since = None;
        self.begins_anew = false;
    }

    fn clear_levels(&mut self) {
        self.bids.levels.clear();
        self.asks.levels.clear();
    }

    pub const fn state(&self) -> BookState {
        self.state
    }

    /// Since when the book has been crossed without a break.
    pub const fn crossed_since(&self) -> Option<Mono> {
        self.crossed_since
    }

    /// Newest stamp of any record.
    pub const fn time(&self) -> Nanos {
        self.time
    }

    pub fn best_bid(&self) -> Option<(Ticks, Lots)> {
        self.bids().next()
    }

    pub fn best_ask(&self) -> Option<(Ticks, Lots)> {
        self.asks().next()
    }

    /// Bids from the inside outwards.
    pub fn bids(&self) -> impl ExactSizeIterator<Item = (Ticks, Lots)> + DoubleEndedIterator {
        self.bids
            .levels
            .iter()
            .rev()
            .map(|(key, lots)| (Ticks(*key), Lots(*lots)))
    }

    /// Asks from the inside outwards.
    pub fn asks(&self) -> impl ExactSizeIterator<Item = (Ticks, Lots)> + DoubleEndedIterator {
        self.asks
            .levels
            .iter()
            .rev()
            .map(|(key, lots)| (Ticks(-*key), Lots(*lots)))
    }

    /// Size shown at a price, 0 when there is no level. `is_bid` chooses the side.
    pub fn size_at(&self, is_bid: bool, price: Ticks) -> Lots {
        let (ladder, key) = if is_bid {
            (&self.bids, price.0)
        } else {
            (&self.asks, -price.0)
        };
        let found = ladder.levels.binary_search_by_key(&key, |level| level.0);
        Lots(found.map_or(0, |at| ladder.levels[at].1))
    }

    /// Copies the best `count` levels of both sides into the caller's buffers, from the inside outwards.
    pub fn copy_top(&self, count: usize, bids: &mut Vec<(i64, i64)>, asks: &mut Vec<(i64, i64)>) {
        bids.clear();
        asks.clear();
        bids.extend(
            self.bids()
                .take(count)
                .map(|(price, lots)| (price.0, lots.0)),
        );
        asks.extend(
            self.asks()
                .take(count)
                .map(|(price, lots)| (price.0, lots.0)),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn record(kind: u8, price: i64, size: i64) -> DepthRecord {
        DepthRecord {
            time: Nanos(1),
            kind,
            price: Ticks(price),
            size: Lots(size),
        }
    }

    /// The same table on maps, written for reading.
    #[derive(Default)]
    struct Naive {
        bids: BTreeMap<i64, i64>,
        asks: BTreeMap<i64, i64>,
    }

    type Levels = Vec<(i64, i64)>;

    impl Naive {
        fn apply(&mut self, record: &DepthRecord) {
            let (price, size) = (record.price.0, record.size.0);
            match record.kind {
                1 if size == 0 => drop(self.asks.remove(&price)),
                2 if size == 0 => drop(self.bids.remove(&price)),
                1 => drop(self.asks.insert(price, size)),
                2 => drop(self.bids.insert(price, size)),
                3 | 10 => {
                    self.asks.retain(|held, _| *held >= price);
                    self.bids.retain(|held, _| *held < price);
                    if size > 0 {
                        self.asks.insert(price, size);
                    }
                }
                4 | 9 => {
                    self.bids.retain(|held, _| *held <= price);
                    self.asks.retain(|held, _| *held > price);
                    if size > 0 {
                        self.bids.insert(price, size);
                    }
                }
                6 => *self = Self::default(),
                _ => {}
            }
        }

        fn top(&self, count: usize) -> (Levels, Levels) {
            let bids = self
                .bids
                .iter()
                .rev()
                .take(count)
                .map(|(price, size)| (*price, *size))
                .collect();
            let asks = self
                .asks
                .iter()
                .take(count)
                .map(|(price, size)| (*price, *size))
                .collect();
            (bids, asks)
        }
    }

    proptest! {
        #[test]
        fn the_book_equals_a_naive_one_after_any_records(
            batches in proptest::collection::vec(proptest::collection::vec((0u8..13, -30i64..30, 0i64..4), 0..12), 0..40),
        ) {
            let (mut book, mut naive) = (DepthBook::new(), Naive::default());
            for batch in batches {
                let records: Vec<_> = batch.into_iter().map(|(kind, price, size)| record(kind, price, size)).collect();
                book.apply(&records, Mono(1));
                for record in &records {
                    naive.apply(record);
                }
                let (mut bids, mut asks) = (Vec::new(), Vec::new());
                book.copy_top(usize::MAX, &mut bids, &mut asks);
                prop_assert_eq!(&(bids, asks), &naive.top(usize::MAX));
                for price in -30..30 {
                    prop_assert_eq!(book.size_at(true, Ticks(price)).0, naive.bids.get(&price).copied().unwrap_or(0));
                    prop_assert_eq!(book.size_at(false, Ticks(price)).0, naive.asks.get(&price).copied().unwrap_or(0));
                }
                let is_crossed = matches!((book.best_bid(), book.best_ask()), (Some(bid), Some(ask)) if bid.0 >= ask.0);
                prop_assert!(book.state() != BookState::Live || !is_crossed);
                prop_assert!(book.state() != BookState::Crossed || is_crossed);
            }
        }
    }

    #[test]
    fn a_reset_waits_for_levels_and_a_snapshot_makes_the_book_live() {
        let mut book = DepthBook::new();
        book.apply(&[record(6, 0, 0)], Mono(1));
        assert_eq!(book.state(), BookState::Building);
        book.apply(
            &[record(6, 0, 0), record(2, 10, 3), record(1, 11, 4)],
            Mono(2),
        );
        assert_eq!(book.state(), BookState::Live);
        assert_eq!(
            (book.best_bid(), book.best_ask()),
            (Some((Ticks(10), Lots(3))), Some((Ticks(11), Lots(4))))
        );
    }

    #[test]
    fn a_crossed_book_remembers_since_when_and_recovers_by_itself() {
        let mut book = DepthBook::new();
        book.apply(&[record(2, 10, 3), record(1, 10, 4)], Mono(5));
        book.apply(&[record(2, 9, 1)], Mono(9));
        assert_eq!(
            (book.state(), book.crossed_since()),
            (BookState::Crossed, Some(Mono(5)))
        );
        book.apply(&[record(1, 10, 0)], Mono(12));
        assert_eq!(
            (book.state(), book.crossed_since()),
            (BookState::Live, None)
        );
    }

    #[test]
    fn a_book_that_lost_a_change_stays_stale_until_a_reset() {
        let mut book = DepthBook::new();
        book.apply(&[record(2, 10, 3)], Mono(1));
        book.apply(&[record(DepthRecord::LOST, 0, 0), record(2, 9, 3)], Mono(2));
        assert_eq!(book.state(), BookState::Stale);
        book.apply(&[record(2, 8, 3)], Mono(3));
        assert_eq!(book.state(), BookState::Stale);
        book.apply(&[record(6, 0, 0), record(2, 8, 3)], Mono(4));
        assert_eq!(book.state(), BookState::Live);
    }

    #[test]
    fn the_newest_inside_wins_over_what_it_crosses() {
        let mut book = DepthBook::new();
        book.apply(
            &[
                record(2, 10, 3),
                record(2, 9, 5),
                record(1, 11, 4),
                record(1, 12, 6),
            ],
            Mono(1),
        );
        book.apply(&[record(4, 11, 2)], Mono(2));
        assert_eq!(book.best_bid(), Some((Ticks(11), Lots(2))));
        assert_eq!(book.best_ask(), Some((Ticks(12), Lots(6))));
        book.apply(&[record(3, 10, 0)], Mono(3));
        assert_eq!(book.best_bid(), Some((Ticks(9), Lots(5))));
        assert_eq!(book.best_ask(), Some((Ticks(12), Lots(6))));
    }
}
