//! What the broker's answers mean for orders, changes, reads and accounts.

use crate::engine::contract::{Attempt, Endpoint, NoticeLevel, Outcome, Reply, Rows};
use crate::engine::views::DoneOutcome;
use crate::order_execution::order::Life;
use crate::order_execution::outcome::classify;
use crate::order_execution::reconcile::UNSEEN_AFTER_NS;
use crate::order_execution::record::{End, Record};
use crate::order_execution::trading::{Pending, Trading};
use crate::types::{Mono, OrderStatus, RequestId};

impl Trading {
    /// Handles the end of one request.
    pub fn reply(&mut self, reply: Reply) {
        let Some((endpoint, pending)) = self.pending.remove(&reply.id) else {
            return;
        };
        let outcome = classify(endpoint, &reply.attempt, true);
        match pending {
            Pending::Place { tag } => self.place_replied(&tag, &outcome),
            Pending::Change {
                key,
                is_cancel,
                request,
            } => {
                self.change_replied(&key, is_cancel, request, &outcome);
            }
            Pending::Close { task, contract } => self.close_replied(task, contract, &outcome),
            Pending::Read {
                account,
                round,
                endpoint,
            } => {
                let is_good = matches!(outcome, Outcome::Accepted { .. });
                let rows = if is_good {
                    rows_of(endpoint, reply.rows)
                } else {
                    None
                };
                self.read_ended(account, round, rows);
            }
            Pending::ById { key, asked } => {
                self.by_id_replied(&key, asked, &reply.attempt, reply.rows);
            }
            Pending::Accounts { request } => self.accounts_replied(request, &outcome, reply.rows),
        }
    }

    fn place_replied(&mut self, tag: &str, outcome: &Outcome) {
        let (end, order_id, text) = end_of(outcome);
        let at = self.now_ns.0;
        let tag_text = tag.to_owned();
        self.record(&Record::PlaceEnd {
            tag: tag_text,
            end,
            order_id,
            text: text.clone(),
            at,
        });
        let Some(index) = self.store.order(tag) else {
            return;
        };
        self.learn_mode(tag, end, &text);
        match end {
            End::Accepted if self.store.orders[index].life == Life::Sent => {
                self.unseen
                    .insert(index, Mono(self.now.0 + UNSEEN_AFTER_NS));
            }
            End::Accepted => {}
            End::NotSent => self.notice(
                NoticeLevel::Warning,
                "not_sent",
                format!("Order {tag} was not sent: {text}"),
            ),
            End::Refused => {
                self.notice(
                    NoticeLevel::Warning,
                    "refused",
                    format!("The broker refused order {tag}: {text}"),
                );
            }
            // The hub may have shown it already: then the missing answer leaves nothing open.
            End::Unknown if self.store.orders[index].doubt.is_none() => {}
            End::Unknown => {
                let text = format!(
                    "Order {tag} has no clear answer: {text} It may be live. Checking with the broker; new orders wait."
                );
                self.notice(NoticeLevel::Warning, "unknown", text);
            }
        }
    }

    fn change_replied(
        &mut self,
        key: &str,
        is_cancel: bool,
        request: Option<RequestId>,
        outcome: &Outcome,
    ) {
        let (end, _, text) = end_of(outcome);
        let key_text = key.to_owned();
        let at = self.now_ns.0;
        self.record(&Record::ChangeEnd {
            key: key_text,
            is_cancel,
            end,
            text: text.clone(),
            at,
        });
        if let Some(index) = self.store.order(key) {
            if let Some(clock) = self.cancels.get_mut(&index).filter(|_| is_cancel) {
                clock.is_in_flight = false;
                clock.sent = self.now;
            }
            if matches!(end, End::Refused) && is_cancel {
                // Filled or cancelled already is the usual reason (C2); the read-back tells.
                self.cancels.remove(&index);
            }
            self.leg_change_replied(index, end);
            let account = self.store.orders[index].account;
            match end {
                End::Refused | End::NotSent => self.want_full_round(account, self.now),
                End::Accepted if is_cancel => {
                    self.want_full_round(account, Mono(self.now.0 + UNSEEN_AFTER_NS));
                }
                End::Accepted | End::Unknown => {}
            }
        }
        let Some(request) = request else { return };
        let what = if is_cancel { "cancel" } else { "change" };
        match end {
            End::Accepted => self.done(
                request,
                DoneOutcome::Done,
                format!("The broker took the {what}."),
            ),
            End::NotSent => self.done(request, DoneOutcome::Failed, format!("Not sent: {text}")),
            End::Refused => self.done(request, DoneOutcome::Refused, text),
            End::Unknown => self.done(
                request,
                DoneOutcome::Unknown,
                format!("{text} Checking with the broker."),
            ),
        }
    }

    /// Settles by a read of one order, if it shows the order in a status that says something and began after the doubt.
    fn by_id_replied(&mut self, key: &str, asked: Mono, attempt: &Attempt, rows: Rows) {
        if let Rows::Orders(orders) = rows {
            let mut is_shown = false;
            for row in orders {
                let is_known = !matches!(row.status, OrderStatus::None | OrderStatus::Other(_));
                let seen = self.see_order(row, true);
                is_shown |= is_known && seen.is_some() && seen == self.store.order(key);
            }
            let clock = self
                .store
                .order(key)
                .and_then(|index| self.doubts.get(&index));
            let is_over = clock.is_none_or(|clock| self.is_change_over(key, clock.since, asked));
            if is_shown && is_over && clock.is_none_or(|clock| clock.since <= asked) {
                let at = self.now_ns.0;
                self.record(&Record::Settled {
                    key: key.to_owned(),
                    at,
                });
            }
        } else if let Attempt::Answered { status: 200, .. } = attempt {
            let text =
                format!("The broker does not find order {key} any more. Check with the broker.");
            self.notice(NoticeLevel::Alarm, "order_lost", text);
        }
    }

    fn accounts_replied(&mut self, request: Option<RequestId>, outcome: &Outcome, rows: Rows) {
        let Rows::Accounts(accounts) = rows else {
            let (_, _, text) = end_of(outcome);
            if let Some(request) = request {
                self.done(
                    request,
                    DoneOutcome::Failed,
                    format!("The accounts cannot be read. {text}"),
                );
            }
            return;
        };
        for row in accounts {
            self.see_account(row);
        }
        if let Some(request) = request {
            self.done(request, DoneOutcome::Done, "Connected.");
        }
    }
}

fn rows_of(endpoint: Endpoint, rows: Rows) -> Option<Rows> {
    let fits = match (endpoint, &rows) {
        (Endpoint::OrderQuery | Endpoint::OrderSearch, Rows::Orders(_))
        | (Endpoint::TradeSearch, Rows::Trades(_))
        | (Endpoint::PositionSearch, Rows::Positions(_)) => true,
        (_, _) => false,
    };
    fits.then_some(rows)
}

fn end_of(outcome: &Outcome) -> (End, Option<i64>, String) {
    match outcome {
        Outcome::Accepted { order_id } => (End::Accepted, *order_id, String::new()),
        Outcome::NotSent { text } => (End::NotSent, None, text.clone()),
        Outcome::Refused { text, .. } => (End::Refused, None, text.clone()),
        Outcome::Unknown { text } => (End::Unknown, None, text.clone()),
    }
}
