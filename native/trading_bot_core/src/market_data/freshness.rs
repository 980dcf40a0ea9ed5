//! When a contract's feed counts as late: measured against its own usual pace, so that a sleepy contract raises no alarm.

use crate::types::Mono;
use std::collections::VecDeque;

const FLOOR_NS: u64 = 3_000_000_000;
const CEILING_NS: u64 = 60_000_000_000;
const WINDOW_NS: u64 = 300_000_000_000;
const FACTOR: u64 = 20;
/// One gap in so many is kept once the window holds this many; a median needs no more.
const KEPT_GAPS: usize = 256;

/// Gaps between the events of one contract over the last five minutes.
#[derive(Clone, Debug, Default)]
pub struct Freshness {
    last: Option<Mono>,
    gaps: VecDeque<(Mono, u64)>,
}

impl Freshness {
    /// Takes the arrival of an event.
    pub fn apply(&mut self, at: Mono) {
        if let Some(last) = self.last {
            if self.gaps.len() == KEPT_GAPS {
                self.gaps.pop_front();
            }
            self.gaps.push_back((at, at.since(last)));
        }
        while self
            .gaps
            .front()
            .is_some_and(|(seen, _)| at.since(*seen) > WINDOW_NS)
        {
            self.gaps.pop_front();
        }
        self.last = Some(at);
    }

    /// Age of the newest event, or `None` before the first.
    pub fn age_ns(&self, at: Mono) -> Option<u64> {
        self.last.map(|last| at.since(last))
    }

    /// The age beyond which the feed is late.
    pub fn allowance_ns(&self) -> u64 {
        let mut gaps: Vec<u64> = self.gaps.iter().map(|(_, gap)| *gap).collect();
        if gaps.is_empty() {
            return CEILING_NS;
        }
        let middle = gaps.len() / 2;
        let median = *gaps.select_nth_unstable(middle).1;
        median.saturating_mul(FACTOR).clamp(FLOOR_NS, CEILING_NS)
    }

    /// True when the newest event is older than the allowance. The caller asks only while the session is open.
    pub fn is_late(&self, at: Mono) -> bool {
        self.age_ns(at)
            .is_some_and(|age| age > FLOOR_NS && age > self.allowance_ns())
    }

    /// Forgets the pace, as after a reconnect.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn paced(gap_ms: u64) -> Freshness {
        let mut feed = Freshness::default();
        for n in 0..50 {
            feed.apply(Mono(1 + n * gap_ms * MS));
        }
        feed
    }

    #[test]
    fn a_fast_feed_is_late_after_three_seconds() {
        let feed = paced(10);
        let last = 1 + 49 * 10 * MS;
        assert!(!feed.is_late(Mono(last + 3_000 * MS)));
        assert!(feed.is_late(Mono(last + 3_001 * MS)));
    }

    #[test]
    fn a_slow_feed_gets_twenty_of_its_own_gaps_but_a_minute_at_most() {
        assert_eq!(paced(400).allowance_ns(), 8_000 * MS);
        assert_eq!(paced(5_000).allowance_ns(), 60_000 * MS);
    }
}
