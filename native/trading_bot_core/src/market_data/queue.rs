//! How many lots stand before one resting order, as two bounds. Without order-by-order data nobody knows exactly.
//!
//! An order joins behind what is shown. Prints at its price take from the front. Size that goes away without a print
//! was ahead for the lower bound and behind for the upper one, which never exceeds what is shown. The size left after a
//! trade may arrive before or after its print, so neither of the two counts twice.

/// Bounds for one order, or nothing after a gap until its price is seen again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueEstimate {
    fewest: i64,
    most: i64,
    /// Size shown at the price, `None` while it cannot be seen.
    shown: Option<i64>,
    /// Printed since the last depth message: explains the fall that comes next.
    printed: i64,
    /// Fallen without a print: a print that comes late explains it.
    fallen: i64,
    /// The part of `fallen` by which the upper bound fell too.
    clamped: i64,
}

impl QueueEstimate {
    /// An order that joined just now behind `shown` lots.
    pub const fn joined(shown: Option<i64>) -> Self {
        let ahead = match shown {
            Some(lots) => lots,
            None => i64::MAX,
        };
        Self {
            fewest: if shown.is_some() { ahead } else { 0 },
            most: ahead,
            shown,
            printed: 0,
            fallen: 0,
            clamped: 0,
        }
    }

    /// An order that has been resting for a while: anything up to what is shown may be ahead.
    pub const fn found(shown: Option<i64>) -> Self {
        Self {
            fewest: 0,
            ..Self::joined(shown)
        }
    }

    /// Fewest and most lots ahead; `None` while nothing is known.
    pub const fn bounds(&self) -> Option<(i64, i64)> {
        match self.shown {
            Some(_) => Some((self.fewest, self.most)),
            None => None,
        }
    }

    /// Part of the order filled, so that it is at the front.
    pub const fn at_front(&mut self) {
        self.fewest = 0;
        self.most = 0;
    }

    /// A print at the order's price.
    pub fn print(&mut self, lots: i64) {
        let late = lots.min(self.fallen);
        let counted = late.min(self.clamped);
        self.fallen -= late;
        self.clamped -= counted;
        self.printed += lots - late;
        self.fewest = (self.fewest - (lots - late)).max(0);
        self.most = (self.most - (lots - counted)).max(0);
    }

    /// The price shows `lots` from now on.
    pub fn show(&mut self, lots: i64) {
        let Some(before) = self.shown.replace(lots) else {
            // Nobody gets in front of an order, so the upper bound outlives a gap.
            self.most = self.most.min(lots);
            return;
        };
        let fall = (before - lots).max(0);
        let explained = fall.min(self.printed);
        let unexplained = fall - explained;
        self.printed -= explained;
        self.fallen += unexplained;
        self.fewest = (self.fewest - unexplained).max(0).min(lots);
        let excess = (self.most - lots).max(0);
        self.most -= excess;
        self.clamped += excess.min(unexplained);
    }

    /// A depth message is over: what was printed before it is in the book now.
    pub const fn settle(&mut self) {
        self.printed = 0;
    }

    /// The price cannot be seen: a gap in the feed, or it left the window of levels.
    pub const fn lose(&mut self) {
        self.shown = None;
        self.fewest = 0;
        self.printed = 0;
        self.fallen = 0;
        self.clamped = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The exchange's queue at one price: lots ahead of ours and behind it, each an order.
    #[derive(Debug)]
    struct Queue {
        ahead: Vec<i64>,
        behind: Vec<i64>,
    }

    impl Queue {
        fn ahead(&self) -> i64 {
            self.ahead.iter().sum()
        }

        fn shown(&self) -> i64 {
            self.ahead() + self.behind.iter().sum::<i64>()
        }

        /// Takes from the front, never ours.
        fn trade(&mut self, lots: i64) -> i64 {
            let mut left = lots.min(self.ahead());
            let traded = left;
            for order in &mut self.ahead {
                let taken = left.min(*order);
                *order -= taken;
                left -= taken;
            }
            self.ahead.retain(|lots| *lots > 0);
            traded
        }

        fn cancel(&mut self, which: usize) {
            let count = self.ahead.len() + self.behind.len();
            if count == 0 {
                return;
            }
            let at = which % count;
            if at < self.ahead.len() {
                self.ahead.remove(at);
            } else {
                self.behind.remove(at - self.ahead.len());
            }
        }
    }

    #[derive(Clone, Debug)]
    enum Act {
        Join(i64),
        Cancel(usize),
        Trade { lots: i64, is_print_first: bool },
        Gap,
        OtherPrice,
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            3 => (1..20_i64).prop_map(Act::Join),
            4 => (0..50_usize).prop_map(Act::Cancel),
            4 => (1..15_i64, any::<bool>()).prop_map(|(lots, is_print_first)| Act::Trade { lots, is_print_first }),
            1 => Just(Act::Gap),
            2 => Just(Act::OtherPrice),
        ]
    }

    proptest! {
        #[test]
        fn the_true_place_lies_between_the_bounds(
            ahead in proptest::collection::vec(1..30_i64, 0..12),
            acts in proptest::collection::vec(act(), 0..120),
        ) {
            let mut queue = Queue { ahead, behind: Vec::new() };
            let mut estimate = QueueEstimate::joined(Some(queue.shown()));
            for act in acts {
                match act {
                    Act::Join(lots) => queue.behind.push(lots),
                    Act::Cancel(which) => queue.cancel(which),
                    Act::Trade { lots, is_print_first } => {
                        let traded = queue.trade(lots);
                        if traded > 0 && is_print_first {
                            estimate.print(traded);
                        }
                        estimate.show(queue.shown());
                        estimate.settle();
                        if traded > 0 && !is_print_first {
                            estimate.print(traded);
                        }
                    }
                    Act::Gap => estimate.lose(),
                    Act::OtherPrice => {
                        estimate.settle();
                        continue;
                    }
                }
                prop_assert!(!matches!(act, Act::Gap) || estimate.bounds().is_none());
                estimate.show(queue.shown());
                estimate.settle();
                let (fewest, most) = estimate.bounds().expect("the price is shown");
                prop_assert!(fewest <= queue.ahead() && queue.ahead() <= most, "{fewest} {queue:?} {most}");
                prop_assert!(most <= queue.shown());
            }
        }
    }

    #[test]
    fn prints_take_from_both_bounds_and_cancels_open_a_gap_between_them() {
        let mut estimate = QueueEstimate::joined(Some(40));
        estimate.show(85);
        estimate.print(5);
        estimate.show(80);
        assert_eq!(estimate.bounds(), Some((35, 35)));
        estimate.show(57);
        assert_eq!(estimate.bounds(), Some((12, 35)));
        estimate.show(20);
        assert_eq!(estimate.bounds(), Some((0, 20)));
    }

    #[test]
    fn a_print_counts_once_whether_the_size_that_it_left_came_before_or_after() {
        let mut before = QueueEstimate::joined(Some(10));
        before.show(6);
        before.settle();
        before.print(4);
        let mut after = QueueEstimate::joined(Some(10));
        after.print(4);
        after.show(6);
        after.settle();
        assert_eq!(before.bounds(), Some((6, 6)));
        assert_eq!(after.bounds(), Some((6, 6)));
    }

    #[test]
    fn after_a_gap_nothing_is_known_until_the_price_is_seen_again() {
        let mut estimate = QueueEstimate::joined(Some(30));
        estimate.lose();
        assert_eq!(estimate.bounds(), None);
        estimate.show(50);
        assert_eq!(estimate.bounds(), Some((0, 30)));
        assert_eq!(QueueEstimate::found(Some(9)).bounds(), Some((0, 9)));
        assert_eq!(QueueEstimate::joined(None).bounds(), None);
    }
}
