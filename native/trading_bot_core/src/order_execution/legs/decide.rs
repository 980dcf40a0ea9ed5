//! What to do about the legs of one bracket: a pure function of what is known now.
//!
//! The stop covers what is held; targets share it in their order. A leg that is larger than its share shrinks at once,
//! one that is smaller grows, and targets wait until the stop covers, so that the position is never less protected than
//! it is ambitious.

use super::book::{STOP, Slot};
use super::plan::Target;

/// One living or ended leg.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, each named where it decides"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leg {
    /// Row of the order.
    pub index: usize,
    pub slot: Slot,
    pub is_native: bool,
    /// Another leg takes its place, or it is not needed any more.
    pub is_vacated: bool,
    pub is_live: bool,
    /// Works at the broker, and nothing is in doubt.
    pub is_working: bool,
    /// It can be changed now.
    pub is_free: bool,
    pub is_cancelling: bool,
    /// A change of it was refused; it is left alone until the broker was read again.
    pub is_waiting: bool,
    pub open: i64,
    /// Lots that it surely covers.
    pub cover: i64,
    pub filled: i64,
}

/// Everything that is known about one bracket.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, each named where it decides"
)]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    pub entry_filled: i64,
    /// Every fill of entry and legs that the broker stated is in the position.
    pub is_booked: bool,
    /// Nothing of the entry can fill any more, and everything is booked.
    pub is_settled: bool,
    pub is_entry_live: bool,
    /// Lots of the position on the entry's side that no newer bracket claims.
    pub available: i64,
    pub targets: Vec<Target>,
    pub has_stop: bool,
    /// The stop is an own order: the trader chose so, or the native one could not be resized.
    pub is_stop_own: bool,
    /// A person took the stop away.
    pub is_stop_waived: bool,
    /// The broker holds the only target.
    pub is_target_native: bool,
    pub released: Vec<Slot>,
    pub legs: Vec<Leg>,
}

/// One thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Place {
        slot: Slot,
        lots: i64,
    },
    /// The leg's open lots become `open`.
    Resize {
        index: usize,
        open: i64,
    },
    Cancel {
        index: usize,
    },
    /// The exits closed everything: what is left of the entry would be a position nobody protects.
    CancelEntry,
    /// Nothing is left to look after.
    End,
}

impl View {
    /// Lots that the exits closed.
    pub fn closed(&self) -> i64 {
        self.legs.iter().map(|leg| leg.filled).sum()
    }

    /// Lots that the bracket holds: filled, not closed by its legs, and really there.
    pub fn held(&self) -> i64 {
        (self.entry_filled - self.closed())
            .min(self.available)
            .max(0)
    }

    /// Lots that the bracket may hold at most: while a fill is known and its trade is not, the position does not show
    /// it yet, and a leg that stands for it must not be taken for an orphan.
    fn most(&self) -> i64 {
        if self.is_booked {
            self.held()
        } else {
            (self.entry_filled - self.closed()).max(0)
        }
    }

    /// Lots for which a stop works.
    pub fn covered(&self) -> i64 {
        let stops = self.legs.iter().filter(|leg| leg.slot == STOP);
        stops.map(|leg| leg.cover).sum()
    }

    fn is_released(&self, slot: Slot) -> bool {
        self.released.contains(&slot)
    }

    fn current(&self, slot: Slot) -> impl Iterator<Item = &Leg> {
        self.legs
            .iter()
            .filter(move |leg| leg.slot == slot && leg.is_live && !leg.is_vacated)
    }
}

/// What to do now, most urgent first.
pub fn decide(view: &View) -> Vec<Action> {
    let held = view.held();
    let mut actions = Vec::new();
    decide_stop(view, held, &mut actions);
    decide_targets(view, held, &mut actions);
    let closed = view.closed();
    if held == 0 && closed > 0 && closed >= view.entry_filled && view.is_entry_live {
        actions.push(Action::CancelEntry);
    }
    if held == 0 && view.is_settled && view.legs.iter().all(|leg| !leg.is_live) {
        actions.push(Action::End);
    }
    actions
}

fn decide_stop(view: &View, held: i64, actions: &mut Vec<Action>) {
    for leg in view.current(STOP) {
        fit(leg, [held, view.most()], true, actions);
    }
    let is_vacant = view.current(STOP).next().is_none();
    if view.has_stop && view.is_stop_own && held > 0 && is_vacant && !view.is_released(STOP) {
        actions.push(Action::Place {
            slot: STOP,
            lots: held,
        });
    }
    // A replaced stop goes only when the new one works: decision 17.
    let new: i64 = view.current(STOP).map(|leg| leg.cover).sum();
    if new >= held {
        cancel_vacated(view, STOP, actions);
    }
}

fn decide_targets(view: &View, held: i64, actions: &mut Vec<Action>) {
    let is_covered = !view.has_stop || view.covered() >= held || view.is_stop_waived;
    let most = shares(view, view.most());
    for (slot, (open, most)) in (1_u8..).zip(shares(view, held).into_iter().zip(most)) {
        for leg in view.current(slot) {
            fit(leg, [open, most], is_covered, actions);
        }
        cancel_vacated(view, slot, actions);
        let is_vacant = !view.legs.iter().any(|leg| leg.slot == slot && leg.is_live);
        let is_wanted = open > 0 && !view.is_target_native && !view.is_released(slot);
        if is_wanted && is_vacant && is_covered {
            actions.push(Action::Place { slot, lots: open });
        }
    }
}

/// Open lots of each target: the entry's fills go to the first, then to the next; what is not there any more is taken
/// from the last.
pub fn shares(view: &View, held: i64) -> Vec<i64> {
    let mut before = 0;
    let mut left = held;
    let mut shares = Vec::with_capacity(view.targets.len());
    for (slot, target) in (1_u8..).zip(&view.targets) {
        let due = (view.entry_filled - before).clamp(0, target.lots);
        before += target.lots;
        let filled: i64 = view
            .legs
            .iter()
            .filter(|leg| leg.slot == slot)
            .map(|leg| leg.filled)
            .sum();
        let open = (due - filled).clamp(0, left);
        left -= open;
        shares.push(open);
    }
    shares
}

/// Makes one leg as large as its share: never larger than it may be, and as large as it surely should be.
fn fit(leg: &Leg, [least, most]: [i64; 2], may_grow: bool, actions: &mut Vec<Action>) {
    let open = leg.open.clamp(least, most.max(least));
    if leg.is_cancelling || leg.is_waiting {
        return;
    }
    if open == 0 {
        // A suspended child of an entry that has not filled waits for it; the broker ends it with its parent.
        if leg.is_working || !leg.is_native {
            actions.push(Action::Cancel { index: leg.index });
        }
    } else if leg.is_free && leg.open != open && (leg.open > open || may_grow) {
        let index = leg.index;
        actions.push(Action::Resize { index, open });
    }
}

fn cancel_vacated(view: &View, slot: Slot, actions: &mut Vec<Action>) {
    let vacated = view.legs.iter().filter(|leg| {
        leg.slot == slot && leg.is_live && leg.is_vacated && !leg.is_cancelling && !leg.is_waiting
    });
    actions.extend(vacated.map(|leg| Action::Cancel { index: leg.index }));
}
