//! Changes that follow one another faster than the broker answers: a price dragged along the ladder.
//!
//! One change of an order is under way at most. A newer one waits and replaces what waited before it; it is judged and
//! sent when the answer is there. What is dropped last is therefore what the broker gets, and a burst costs no more
//! requests than there are answers.

use std::collections::BTreeMap;

use crate::engine::contract::DoneOutcome;
use crate::order_execution::order::{Change, Values};
use crate::order_execution::trading::Trading;
use crate::types::RequestId;

/// What waits for the answer to the change before it.
#[derive(Debug)]
pub(super) struct Waiting {
    request: RequestId,
    values: Values,
    source: String,
}

/// At most one for each order, by its place in the store.
pub(super) type WaitingChanges = BTreeMap<usize, Waiting>;

impl Trading {
    /// Keeps a change whose predecessor is under way; false when there is none and it can be sent at once.
    pub(super) fn keep_change(
        &mut self,
        index: usize,
        request: RequestId,
        values: Values,
        source: &str,
    ) -> bool {
        let order = &self.store.orders[index];
        if !order.is_live() || order.change != Change::Modify || order.doubt.is_some() {
            return false;
        }
        let waiting = Waiting {
            request,
            values,
            source: source.to_owned(),
        };
        let Some(older) = self.waiting_changes.insert(index, waiting) else {
            return true;
        };
        if let Some(newer) = self.waiting_changes.get_mut(&index) {
            newer.values = newer.values.or(older.values);
        }
        self.done(
            older.request,
            DoneOutcome::Done,
            "Replaced by a newer change before it was sent.",
        );
        true
    }

    /// Sends what waited for an answer that is there now, and ends what cannot be sent any more.
    pub(super) fn run_changes(&mut self) {
        let due: Vec<usize> = self
            .waiting_changes
            .keys()
            .copied()
            .filter(|index| {
                let order = &self.store.orders[*index];
                !order.is_live() || order.doubt.is_some() || order.change != Change::Modify
            })
            .collect();
        for index in due {
            let Some(waiting) = self.waiting_changes.remove(&index) else {
                continue;
            };
            let order = &self.store.orders[index];
            let (key, is_live, is_doubted) =
                (order.key.clone(), order.is_live(), order.doubt.is_some());
            if !is_live {
                let text = format!("Order {key} is over; the last change was not sent.");
                self.done(waiting.request, DoneOutcome::Failed, text);
            } else if is_doubted {
                let text = format!(
                    "The change of order {key} before this one has no clear answer; this one was not sent."
                );
                self.done(waiting.request, DoneOutcome::Denied, text);
            } else {
                self.modify(waiting.request, &key, waiting.values, &waiting.source);
            }
        }
    }
}
