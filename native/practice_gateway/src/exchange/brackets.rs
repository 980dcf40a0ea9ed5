//! Bracket legs: opening them when their entry fills, one-cancels-other, and their end with the entry.

use crate::exchange::Exchange;
use crate::exchange::commands::trail_level;
use crate::exchange::model::{Kind, Order, Status};
use crate::exchange::money::div_half_even;

impl Exchange {
    /// Opens or grows the legs of entries that filled in this step.
    pub(super) fn activate_legs(&mut self, now: i64) {
        while let Some(parent) = self.to_activate.pop() {
            let Some(entry) = self
                .orders
                .get(&parent)
                .filter(|entry| entry.filled > 0)
                .cloned()
            else {
                continue;
            };
            // Seen live: the target opens first, then the stop.
            for leg in self.legs_of(parent).into_iter().rev() {
                self.open_leg(&entry, leg, now);
            }
        }
    }

    fn open_leg(&mut self, entry: &Order, leg: i64, now: i64) {
        let closed: i64 = self
            .legs_of(entry.id)
            .iter()
            .map(|id| self.orders[id].filled)
            .sum();
        let Some(order) = self
            .orders
            .get_mut(&leg)
            .filter(|order| !order.status.is_done())
        else {
            return;
        };
        let fresh = order.status == Status::Suspended;
        let size = order.filled + (entry.filled - closed).max(0);
        if !fresh && size == order.size {
            return;
        }
        order.size = size;
        order.updated = now;
        if fresh {
            let average =
                div_half_even(i128::from(entry.fill_ticks_lots), i128::from(entry.filled)) as i64;
            let price = average + order.offset.unwrap_or(0);
            order.status = Status::Open;
            match order.kind {
                Kind::Limit => order.limit = Some(price),
                Kind::TrailingStop => {
                    order.stop = Some(trail_level(order.side, average, order.trail.unwrap_or(0)));
                }
                _ => order.stop = Some(price),
            }
        }
        self.publish_order(leg);
        if fresh {
            self.match_or_rest(leg, now);
        }
    }

    /// After a fill of a leg: the other one shrinks by as much, or ends when nothing is left to protect.
    pub(super) fn leg_filled(&mut self, leg: i64, now: i64) {
        let Some(parent) = self.orders.get(&leg).and_then(|order| order.parent) else {
            return;
        };
        let Some(entry_filled) = self.orders.get(&parent).map(|entry| entry.filled) else {
            return;
        };
        let legs = self.legs_of(parent);
        let closed: i64 = legs.iter().map(|id| self.orders[id].filled).sum();
        let left = (entry_filled - closed).max(0);
        let leg_is_done = self.orders[&leg].status == Status::Filled;
        if left == 0 && leg_is_done {
            // A later fill of the entry would have no legs, so what is left of it ends too.
            self.cancel_order(parent, now);
        }
        for sibling in legs.into_iter().filter(|id| *id != leg) {
            if leg_is_done {
                if self.switches.orphan_children > 0 {
                    self.switches.orphan_children -= 1;
                    continue;
                }
                self.cancel_order(sibling, now);
            } else {
                self.resize_leg(sibling, left, now);
            }
        }
    }

    fn resize_leg(&mut self, leg: i64, left: i64, now: i64) {
        let Some(order) = self
            .orders
            .get_mut(&leg)
            .filter(|order| order.status == Status::Open)
        else {
            return;
        };
        order.size = order.filled + left.max(1);
        order.updated = now;
        self.publish_order(leg);
    }

    /// Suspended legs end with an entry that never filled; opened ones stay.
    pub(super) fn entry_cancelled(&mut self, entry: i64, now: i64) {
        for leg in self.legs_of(entry) {
            if self
                .orders
                .get(&leg)
                .is_some_and(|order| order.status == Status::Suspended)
            {
                self.cancel_order(leg, now);
            }
        }
    }

    pub(super) fn cancel_siblings(&mut self, leg: i64, now: i64) {
        let Some(parent) = self.orders.get(&leg).and_then(|order| order.parent) else {
            return;
        };
        for sibling in self.legs_of(parent).into_iter().filter(|id| *id != leg) {
            self.cancel_order(sibling, now);
        }
    }

    pub(super) fn cancel_children_of(&mut self, account: i32, contract: usize, now: i64) {
        for id in self.working_of(account, Some(contract)) {
            if self
                .orders
                .get(&id)
                .is_some_and(|order| order.parent.is_some())
            {
                self.cancel_order(id, now);
            }
        }
    }

    fn legs_of(&self, entry: i64) -> Vec<i64> {
        self.children.get(&entry).cloned().unwrap_or_default()
    }
}
