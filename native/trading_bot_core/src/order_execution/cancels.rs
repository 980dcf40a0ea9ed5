//! Cancels: sent at once or as soon as the broker has named the order, and repeated when nothing comes of them.

use crate::engine::contract::{Endpoint, Lane, Outgoing};
use crate::engine::views::{DoneOutcome, NoticeLevel};
use crate::order_execution::order::Values;
use crate::order_execution::record::Record;
use crate::order_execution::requests;
use crate::order_execution::trading::{Pending, Trading};
use crate::types::{Mono, RequestId};

#[derive(Clone, Copy, Debug)]
pub(super) struct CancelClock {
    pub sent: Mono,
    pub tries: u32,
    pub is_in_flight: bool,
}

impl Trading {
    pub(super) fn cancel(&mut self, request: RequestId, key: &str, source: &str) {
        let Some(index) = self.store.order(key) else {
            self.done(
                request,
                DoneOutcome::Failed,
                format!("Order {key} is not known."),
            );
            return;
        };
        if !self.store.orders[index].is_live() {
            let text = format!("Order {key} is over already.");
            self.done(request, DoneOutcome::Done, text);
            return;
        }
        if self.is_cancel_in_flight(index) {
            self.done(request, DoneOutcome::Done, "A cancel is on its way.");
            return;
        }
        if !self.send_cancel(index, source, Some(request)) {
            // Not done: a program that ended now would leave the order live.
            self.done(
                request,
                DoneOutcome::Unknown,
                "The broker has not named the order yet; its cancel goes out as soon as that is known.",
            );
        }
    }

    pub(super) fn is_cancel_in_flight(&self, index: usize) -> bool {
        self.cancels
            .get(&index)
            .is_some_and(|clock| clock.is_in_flight)
    }

    /// Sends a cancel, or remembers it when the broker's id is not known yet (then `false`).
    pub(super) fn send_cancel(
        &mut self,
        index: usize,
        source: &str,
        request: Option<RequestId>,
    ) -> bool {
        self.release_leg(index, source);
        let key = self.store.orders[index].key.clone();
        let (record, _) = self.record(&Record::ChangeAsked {
            key: key.clone(),
            is_cancel: true,
            values: Values::default(),
            source: source.to_owned(),
            at: self.now_ns.0,
        });
        let order = &self.store.orders[index];
        let tries = self.cancels.get(&index).map_or(0, |clock| clock.tries);
        let Some(order_id) = order.order_id else {
            let clock = CancelClock {
                sent: self.now,
                tries,
                is_in_flight: false,
            };
            self.cancels.insert(index, clock);
            return false;
        };
        let body = requests::order_ref(order.account, order_id);
        self.budget.try_take(Lane::Exit, self.now.0 as i64);
        let id = self.send_id();
        let send = Outgoing::exit(id, Endpoint::Cancel, body, self.deadline());
        let send = match record {
            Some(record) => send.after(record),
            None => send,
        };
        self.push_send(
            send,
            Pending::Change {
                key,
                is_cancel: true,
                request,
            },
        );
        let clock = CancelClock {
            sent: self.now,
            tries: tries + 1,
            is_in_flight: true,
        };
        self.cancels.insert(index, clock);
        true
    }
    pub(super) fn run_cancels(&mut self) {
        let over: Vec<usize> = self
            .cancels
            .keys()
            .copied()
            .filter(|index| !self.store.orders[*index].is_live())
            .collect();
        for index in over {
            self.cancels.remove(&index);
        }
        let ready: Vec<(usize, CancelClock)> = self
            .cancels
            .iter()
            .filter(|(index, clock)| !clock.is_in_flight && self.is_cancel_due(**index, **clock))
            .map(|(index, clock)| (*index, *clock))
            .collect();
        for (index, clock) in ready {
            self.repeat_cancel(index, clock);
        }
    }

    fn is_cancel_due(&self, index: usize, clock: CancelClock) -> bool {
        let order = &self.store.orders[index];
        let is_first = clock.tries == 0 && order.order_id.is_some();
        is_first || self.now.since(clock.sent) >= self.settings.cancel_repeat_ns
    }

    /// A cancel without effect is repeated at most twice; it is idempotent in effect (C3, A4).
    fn repeat_cancel(&mut self, index: usize, clock: CancelClock) {
        let order = &self.store.orders[index];
        if order.order_id.is_none() {
            self.cancels.insert(
                index,
                CancelClock {
                    sent: self.now,
                    ..clock
                },
            );
            return;
        }
        if clock.tries >= 3 {
            let text = format!(
                "Order {} does not cancel; the broker was asked 3 times.",
                order.key
            );
            self.cancels.remove(&index);
            self.notice(NoticeLevel::Alarm, "cancel_failed", text);
            return;
        }
        self.send_cancel(index, "engine", None);
    }
}
