//! The newest prints of a contract in a ring of fixed size.

use crate::websocket::parse::TradePrint;
use std::collections::VecDeque;

/// One print with its place in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TapePrint {
    /// Counts every print of the contract, from 1.
    pub sequence: u64,
    pub print: TradePrint,
}

/// Ring of prints. Identical neighbours are legitimate and both kept: the wire has no trade id.
#[derive(Clone, Debug)]
pub struct Tape {
    ring: VecDeque<TapePrint>,
    capacity: usize,
    total: u64,
}

impl Tape {
    /// `capacity`: prints kept, at least 1.
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.max(1);
        Self {
            ring: VecDeque::with_capacity(capacity),
            capacity,
            total: 0,
        }
    }

    /// Appends a print; the oldest one leaves a full ring.
    pub fn apply(&mut self, print: TradePrint) {
        if self.ring.len() == self.capacity {
            self.ring.pop_front();
        }
        self.total += 1;
        self.ring.push_back(TapePrint {
            sequence: self.total,
            print,
        });
    }

    /// Prints ever seen.
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// The kept prints after `sequence`, oldest first.
    pub fn since(&self, sequence: u64) -> impl ExactSizeIterator<Item = &TapePrint> {
        let start = self
            .ring
            .partition_point(|print| print.sequence <= sequence);
        self.ring.range(start..)
    }

    pub fn last(&self) -> Option<&TapePrint> {
        self.ring.back()
    }

    /// Drops the prints of an epoch that ended; the count goes on.
    pub fn clear(&mut self) {
        self.ring.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Aggressor, Lots, Nanos, Ticks};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_ring_holds_the_newest_prints_in_order(count in 0u64..50, capacity in 1usize..20, after in 0u64..60) {
            let mut tape = Tape::new(capacity);
            for n in 1..=count {
                tape.apply(TradePrint { time: Nanos(0), price: Ticks(n as i64), size: Lots(1), aggressor: Aggressor::Buyer });
            }
            let seen: Vec<u64> = tape.since(after).map(|print| print.sequence).collect();
            let oldest = count.saturating_sub(capacity as u64).max(after) + 1;
            prop_assert_eq!(seen, (oldest..=count).collect::<Vec<_>>());
            prop_assert_eq!(tape.total(), count);
        }
    }
}
