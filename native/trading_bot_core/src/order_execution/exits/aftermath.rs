//! Exits that the end of the program cut off: what had been done, and what is left, once their account was read back.
//!
//! Nothing is sent for them any more. The trader decides again, with the position before him.

use super::sequence::{Sequence, SequenceRecord};
use crate::calendar::chicago_day_and_clock;
use crate::engine::views::NoticeLevel;
use crate::order_execution::record::Record;
use crate::order_execution::trading::Trading;
use crate::types::{AccountId, ContractIndex, Nanos};

/// What a reading shows of what an exit was to take away.
struct Rest {
    orders: usize,
    /// Contract's name and net lots.
    positions: Vec<(String, i64)>,
    unknown: usize,
}

impl Trading {
    /// Notes the exits that the last run left behind; called at the start of a run.
    pub(in crate::order_execution) fn find_interrupted(&mut self) {
        self.interrupted = self.store.sequences.keys().cloned().collect();
    }

    /// Tells of every exit that was cut off and whose account was compared with the broker since; each once.
    pub(in crate::order_execution) fn tell_interrupted(&mut self) {
        if self.interrupted.is_empty() {
            return;
        }
        let is_read = |sequence: &Sequence| {
            let account = self.accounts.get(&AccountId(sequence.account));
            account.is_some_and(|state| state.is_reconciled)
        };
        let ready: Vec<(String, Sequence)> = self
            .interrupted
            .iter()
            .filter_map(|id| Some((id.clone(), self.store.sequences.get(id)?.clone())))
            .filter(|(_, sequence)| is_read(sequence))
            .collect();
        for (id, sequence) in ready {
            self.interrupted.remove(&id);
            let rest = self.rest_of(&sequence);
            let is_over = rest.orders == 0 && rest.positions.is_empty() && rest.unknown == 0;
            let level = if is_over {
                NoticeLevel::Warning
            } else {
                NoticeLevel::Alarm
            };
            let text = format!(
                "{} {} {}",
                self.what_was_cut_off(&sequence),
                self.what_was_done(&sequence),
                what_is_left(&rest)
            );
            self.record(&Record::Sequence(SequenceRecord::Ended {
                id,
                outcome: "interrupted".into(),
                text: text.clone(),
                at: self.now_ns().0,
            }));
            self.notice(level, "exit_interrupted", text);
        }
    }

    /// An account that is not chosen is not read; what was cut off on it is said all the same.
    pub(in crate::order_execution) fn tell_unread_interrupted(&mut self) {
        let sequences = self.interrupted.iter();
        let sequences = sequences.filter_map(|id| self.store.sequences.get(id));
        let is_chosen = |account: i32| {
            let account = self.accounts.get(&AccountId(account));
            account.is_some_and(|state| state.is_chosen)
        };
        let texts: Vec<String> = sequences
            .filter(|sequence| !is_chosen(sequence.account))
            .map(|sequence| {
                format!(
                    "{} Choose the account to have it read back.",
                    self.what_was_cut_off(sequence)
                )
            })
            .collect();
        for text in texts {
            self.notice(NoticeLevel::Alarm, "exit_interrupted", text);
        }
    }

    fn what_was_cut_off(&self, sequence: &Sequence) -> String {
        let account = self.accounts.get(&AccountId(sequence.account));
        let account = account.map_or_else(
            || format!("account {}", sequence.account),
            |state| state.row.name.clone(),
        );
        let contract = sequence.contract.as_deref().map_or_else(String::new, |id| {
            let known = self.store.contract(id);
            format!(
                "{} on ",
                known.map_or(id, |contract| contract.name.as_str())
            )
        });
        let lots = sequence
            .lots
            .map_or_else(String::new, |lots| format!("{lots} lots of "));
        let begun = chicago_day_and_clock(Nanos(sequence.at));
        format!(
            "The end of the program cut off a {} of {lots}{contract}{account}, begun {begun} Chicago ({}).",
            sequence.goal, sequence.source
        )
    }

    fn what_was_done(&self, sequence: &Sequence) -> String {
        let mut parts = Vec::new();
        let total = sequence.orders.len();
        if total > 0 {
            let orders = sequence.orders.iter();
            let gone = orders
                .filter_map(|key| self.store.order(key))
                .filter(|index| !self.store.orders[*index].is_live())
                .count();
            parts.push(format!("{gone} of {total} orders are gone"));
        }
        parts.extend(sequence.steps.iter().cloned());
        if let Some(tag) = &sequence.tag {
            let turning = self.store.order(tag).map(|index| &self.store.orders[index]);
            parts.push(match turning {
                None => "the order that turns the position was not sent".to_owned(),
                Some(order) if order.doubt.is_some() => {
                    format!("order {tag}, which turns the position, has no answer")
                }
                Some(order) => format!(
                    "order {tag}, which turns the position, is {}",
                    order.life.word().replace('_', " ")
                ),
            });
        }
        if parts.is_empty() {
            parts.push("nothing had been sent".to_owned());
        }
        format!("Done: {}.", parts.join(", "))
    }

    fn rest_of(&self, sequence: &Sequence) -> Rest {
        let account = AccountId(sequence.account);
        let contract = sequence.contract.as_deref();
        let contract = contract.and_then(|id| self.store.contract(id));
        let contract: Option<ContractIndex> = contract.map(|contract| contract.index);
        let is_meant = |place: (AccountId, ContractIndex)| {
            place.0 == account && contract.is_none_or(|contract| contract == place.1)
        };
        let is_cancel = sequence.goal == "cancel";
        // A group cancel that had to read the account first had named none of its orders yet.
        let meant = &sequence.orders;
        let orders = self.living(|order| {
            is_meant((order.account, order.contract))
                && (!is_cancel || meant.is_empty() || meant.contains(&order.key))
        });
        let unknown = orders.iter();
        let unknown = unknown.filter(|index| self.store.orders[**index].doubt.is_some());
        let unknown = unknown.count();
        let mut places: Vec<_> = self
            .broker_net
            .keys()
            .chain(self.store.ledgers.keys())
            .collect();
        places.sort_unstable();
        places.dedup();
        let positions = places
            .into_iter()
            .filter(|place| is_meant(**place) && !is_cancel)
            .map(|place| (self.contract_of(place.1).name.clone(), self.net_of(*place)))
            .filter(|(_, net)| *net != 0)
            .collect();
        Rest {
            orders: orders.len() - unknown,
            positions,
            unknown,
        }
    }
}

fn what_is_left(rest: &Rest) -> String {
    let mut parts: Vec<String> = rest
        .positions
        .iter()
        .map(|(name, net)| format!("{name} {net:+}"))
        .collect();
    if rest.orders > 0 {
        parts.push(format!("{} orders live", rest.orders));
    }
    if rest.unknown > 0 {
        parts.push(format!("{} orders are being checked", rest.unknown));
    }
    if parts.is_empty() {
        return "Read back from the broker: nothing is left of it.".to_owned();
    }
    format!(
        "Left, read back from the broker: {}. Nothing more is sent for it; press again what you still want.",
        parts.join(", ")
    )
}
