//! `decide` against a naive model: a broker that does at once what is asked, and fills in any order.

use proptest::prelude::*;

use super::book::STOP;
use super::decide::{Action, Leg, View, decide, shares};
use super::plan::Target;

#[derive(Clone, Copy, Debug)]
enum Event {
    EntryFills(i64),
    LegFills { at: usize, lots: i64 },
    ClosedByHand(i64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (1_i64..4).prop_map(Event::EntryFills),
        (0_usize..8, 1_i64..4).prop_map(|(at, lots)| Event::LegFills { at, lots }),
        (1_i64..3).prop_map(Event::ClosedByHand),
    ]
}

/// The truth: an entry, its legs, and a position that only they and a hand change.
struct Model {
    size: i64,
    position: i64,
    view: View,
}

impl Model {
    fn new(size: i64, lots: &[i64]) -> Self {
        let mut left = size;
        let targets = lots.iter().filter_map(|lots| {
            let lots = (*lots).min(left);
            left -= lots;
            (lots > 0).then_some(Target { ticks: 10, lots })
        });
        let view = View {
            is_booked: true,
            is_entry_live: true,
            has_stop: true,
            is_stop_own: true,
            targets: targets.collect(),
            ..View::default()
        };
        Self {
            size,
            position: 0,
            view,
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::EntryFills(lots) => {
                let lots = lots.min(self.size - self.view.entry_filled);
                self.view.entry_filled += lots;
                self.position += lots;
            }
            Event::LegFills { at, lots } => {
                let mut live = self.view.legs.iter_mut().filter(|leg| leg.is_live);
                if let Some(leg) = live.nth(at) {
                    let lots = lots.min(leg.open);
                    leg.filled += lots;
                    set_open(leg, leg.open - lots);
                    self.position -= lots;
                }
            }
            Event::ClosedByHand(lots) => self.position -= lots.min(self.position),
        }
        self.view.available = self.position;
        self.view.is_entry_live &= self.view.entry_filled < self.size;
        self.view.is_settled = !self.view.is_entry_live;
    }

    /// Does everything that is decided until nothing is left to do; true when the bracket is over.
    fn settle(&mut self) -> bool {
        for _ in 0..12 {
            let actions = decide(&self.view);
            if actions.contains(&Action::End) {
                return true;
            }
            if actions.is_empty() {
                return false;
            }
            for action in actions {
                self.perform(action);
            }
        }
        panic!("never comes to rest: {:?}", self.view);
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Place { slot, lots } => {
                let mut leg = new_leg(self.view.legs.len(), slot);
                set_open(&mut leg, lots);
                self.view.legs.push(leg);
                self.check_size(slot);
            }
            Action::Resize { index, open } => {
                let slot = self.view.legs[index].slot;
                let has_grown = open > self.view.legs[index].open;
                set_open(&mut self.view.legs[index], open);
                if has_grown {
                    self.check_size(slot);
                }
            }
            Action::Cancel { index } => set_open(&mut self.view.legs[index], 0),
            Action::CancelEntry => {
                self.view.is_entry_live = false;
                self.view.is_settled = true;
            }
            Action::End => {}
        }
    }

    fn open(&self, is_stop: bool) -> i64 {
        let legs = self.view.legs.iter();
        legs.filter(|leg| (leg.slot == STOP) == is_stop)
            .map(|leg| leg.open)
            .sum()
    }

    /// Nothing is placed and nothing grows beyond the position.
    fn check_size(&self, slot: u8) {
        let open = self.open(slot == STOP);
        assert!(open <= self.position, "{open} of {}", self.position);
    }
}

fn new_leg(index: usize, slot: u8) -> Leg {
    Leg {
        index,
        slot,
        is_native: false,
        is_vacated: false,
        is_live: true,
        is_working: true,
        is_free: true,
        is_cancelling: false,
        is_waiting: false,
        open: 0,
        cover: 0,
        filled: 0,
    }
}

fn set_open(leg: &mut Leg, open: i64) {
    leg.open = open;
    leg.cover = open;
    leg.is_live = open > 0;
    leg.is_working = leg.is_live;
    leg.is_free = leg.is_live;
}

proptest! {
    #[test]
    fn legs_cover_what_is_held_and_never_stand_for_more(
        size in 1_i64..7,
        lots in prop::collection::vec(1_i64..4, 0..5),
        events in prop::collection::vec(event(), 1..24),
    ) {
        let mut model = Model::new(size, &lots);
        for event in events {
            model.happen(event);
            if model.settle() {
                prop_assert_eq!(model.open(true) + model.open(false), 0);
                break;
            }
            let held = model.view.held();
            prop_assert!(held <= model.position);
            prop_assert_eq!(model.open(true), held, "the stop covers what is held");
            let wanted: i64 = shares(&model.view, held).iter().sum();
            prop_assert_eq!(model.open(false), wanted, "targets share it");
            prop_assert!(wanted <= held);
        }
    }
}

#[test]
fn a_leg_is_no_orphan_while_the_trade_of_a_known_fill_is_missing() {
    let mut leg = new_leg(0, STOP);
    leg.is_native = true;
    set_open(&mut leg, 2);
    let view = View {
        entry_filled: 2,
        available: 0,
        has_stop: true,
        legs: vec![leg],
        ..View::default()
    };
    assert_eq!(decide(&view), []);
    let booked = View {
        is_booked: true,
        ..view
    };
    assert_eq!(decide(&booked), [Action::Cancel { index: 0 }]);
}

#[test]
fn a_replaced_stop_goes_only_when_the_new_one_covers() {
    let mut old = new_leg(0, STOP);
    set_open(&mut old, 3);
    old.is_vacated = true;
    let mut new = new_leg(1, STOP);
    set_open(&mut new, 2);
    new.cover = 0;
    let mut view = View {
        entry_filled: 2,
        available: 2,
        is_booked: true,
        has_stop: true,
        is_stop_own: true,
        legs: vec![old, new],
        ..View::default()
    };
    assert_eq!(decide(&view), []);
    view.legs[1].cover = 2;
    assert_eq!(decide(&view), [Action::Cancel { index: 0 }]);
}
