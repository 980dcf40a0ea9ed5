//! The request budget: pure accounting of a sliding minute with lanes of their own (decision 18).
//!
//! The broker counts 200 requests in 60 s per login. 100 are ordinary, 20 belong to reconciliation and 80 are kept for
//! exits, so that no amount of polling can leave a cancel without a request.

use std::collections::VecDeque;

use crate::planted::{Bug, planted};

/// Which share of the budget a request spends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// New orders, modifications, history, contract look-ups.
    Ordinary,
    /// Reads that settle doubt. They borrow from `Ordinary` when their own share is spent.
    Reconcile,
    /// Cancel, close, flatten. They may spend whatever is left of the 200.
    Exit,
}

const WINDOW_NS: i64 = 60_000_000_000;

/// Requests per sliding minute, per lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetLimits {
    pub ordinary: usize,
    pub reconcile: usize,
    pub exits: usize,
}

impl Default for BudgetLimits {
    fn default() -> Self {
        Self {
            ordinary: 100,
            reconcile: 20,
            exits: 80,
        }
    }
}

impl BudgetLimits {
    /// More than a measurement on loopback can spend in a minute.
    pub const LIFTED: Self = Self {
        ordinary: 200_000,
        reconcile: 20_000,
        exits: 200_000,
    };

    fn total(self) -> usize {
        self.ordinary + self.reconcile + self.exits
    }
}

/// What was sent in the last minute.
#[derive(Debug, Default)]
pub struct Budget {
    limits: BudgetLimits,
    sent: VecDeque<(i64, Lane)>,
    /// How many of `sent` each share paid.
    paid: [usize; 3],
}

impl Budget {
    /// A budget with other shares, for tests and for benches on loopback.
    pub fn with_limits(limits: BudgetLimits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Spends one request of `lane`, or says no. The share that pays is what is counted.
    pub fn try_take(&mut self, lane: Lane, mono_ns: i64) -> bool {
        let Some(payer) = self.payer(lane, mono_ns) else {
            return false;
        };
        self.spend(payer, mono_ns);
        true
    }

    /// Counts a request that was made without asking: it pays from the ordinary share, even beyond it.
    pub fn note(&mut self, mono_ns: i64) {
        self.forget(mono_ns);
        self.spend(Lane::Ordinary, mono_ns);
    }

    /// Whether a request of `lane` could go now.
    pub fn has_room(&mut self, lane: Lane, mono_ns: i64) -> bool {
        self.payer(lane, mono_ns).is_some()
    }

    /// How many requests of `lane` could go now.
    pub fn room(&mut self, lane: Lane, mono_ns: i64) -> usize {
        self.forget(mono_ns);
        let total = self.limits.total().saturating_sub(self.sent.len());
        let shares = Self::payers(lane).iter();
        let left = shares.map(|payer| self.share(*payer).saturating_sub(self.count(*payer)));
        left.sum::<usize>().min(total)
    }

    /// Whose shares a lane may spend, its own first.
    fn payers(lane: Lane) -> &'static [Lane] {
        match lane {
            Lane::Ordinary => &[Lane::Ordinary],
            Lane::Reconcile if planted(Bug::ReservePolled) => {
                &[Lane::Reconcile, Lane::Ordinary, Lane::Exit]
            }
            Lane::Reconcile => &[Lane::Reconcile, Lane::Ordinary],
            Lane::Exit => &[Lane::Exit, Lane::Ordinary, Lane::Reconcile],
        }
    }

    fn payer(&mut self, lane: Lane, mono_ns: i64) -> Option<Lane> {
        self.forget(mono_ns);
        if self.sent.len() >= self.limits.total() {
            return None;
        }
        Self::payers(lane)
            .iter()
            .copied()
            .find(|candidate| self.count(*candidate) < self.share(*candidate))
    }

    /// Requests of the last minute.
    pub fn used(&mut self, mono_ns: i64) -> usize {
        self.forget(mono_ns);
        self.sent.len()
    }

    /// Requests of the exits' own share that are still there.
    pub fn exits_kept(&mut self, mono_ns: i64) -> usize {
        self.forget(mono_ns);
        self.limits.exits - self.count(Lane::Exit).min(self.limits.exits)
    }

    /// Requests a minute allows altogether.
    pub fn limit(&self) -> usize {
        self.limits.total()
    }

    /// When the oldest request leaves the window, if there is one.
    pub fn relief_mono_ns(&self) -> Option<i64> {
        self.sent.front().map(|(at, _)| at + WINDOW_NS)
    }

    fn forget(&mut self, mono_ns: i64) {
        while let Some((at, payer)) = self.sent.front()
            && mono_ns - at >= WINDOW_NS
        {
            self.paid[*payer as usize] -= 1;
            self.sent.pop_front();
        }
    }

    fn spend(&mut self, payer: Lane, mono_ns: i64) {
        self.paid[payer as usize] += 1;
        self.sent.push_back((mono_ns, payer));
    }

    fn count(&self, lane: Lane) -> usize {
        self.paid[lane as usize]
    }

    fn share(&self, lane: Lane) -> usize {
        match lane {
            Lane::Ordinary => self.limits.ordinary,
            Lane::Reconcile => self.limits.reconcile,
            Lane::Exit => self.limits.exits,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn polling_cannot_spend_what_is_kept_for_exits() {
        let mut budget = Budget::default();
        let granted = (0..500)
            .filter(|n| budget.try_take([Lane::Ordinary, Lane::Reconcile][n % 2], 0))
            .count();
        assert_eq!(granted, 120);
        assert_eq!(
            (0..100).filter(|_| budget.try_take(Lane::Exit, 1)).count(),
            80
        );
    }

    #[test]
    fn what_the_session_spent_for_itself_is_missing_elsewhere() {
        let mut budget = Budget::default();
        (0..7).for_each(|_| budget.note(0));
        let granted = (0..200).filter(|_| budget.try_take(Lane::Ordinary, 1));
        assert_eq!(granted.count(), 93);
        assert_eq!(budget.used(1), 100);
    }

    #[test]
    fn a_request_leaves_the_window_after_sixty_seconds() {
        let mut budget = Budget::with_limits(BudgetLimits {
            ordinary: 1,
            reconcile: 0,
            exits: 0,
        });
        assert!(budget.try_take(Lane::Ordinary, 0));
        assert!(!budget.try_take(Lane::Ordinary, WINDOW_NS - 1));
        assert!(budget.try_take(Lane::Ordinary, WINDOW_NS));
    }

    proptest! {
        #[test]
        fn no_sliding_minute_ever_holds_more_than_the_limit(steps in prop::collection::vec((0_i64..3_000_000_000, 0_u8..3), 1..600)) {
            let mut budget = Budget::default();
            let (mut now, mut sent) = (0, Vec::new());
            for (pause, lane) in steps {
                now += pause;
                let lane = [Lane::Ordinary, Lane::Reconcile, Lane::Exit][usize::from(lane)];
                if budget.try_take(lane, now) {
                    sent.push(now);
                }
                let in_window = sent.iter().filter(|at| now - **at < WINDOW_NS).count();
                prop_assert!(in_window <= 200);
            }
        }
    }
}
