//! What the journal holds about an exit under way, so that a sudden end of the program does not hide it.
//!
//! An exit is never gone on with after a restart: hours may have passed, and what is there now may be another decision.
//! What had been sent and what is left is told instead, with the account read back (see `aftermath`).

use serde::{Deserialize, Serialize};

use crate::order_execution::store::{Applied, Store};

/// One step of one exit. `id` is unique in a journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum SequenceRecord {
    /// Pressed; written before its first request.
    Begun {
        id: String,
        /// cancel, close, flatten or reverse.
        goal: String,
        account: i32,
        contract: Option<String>,
        /// Lots of a part.
        lots: Option<i64>,
        /// Keys of the orders that it cancels first.
        orders: Vec<String>,
        /// Of the one order that turns a position.
        tag: Option<String>,
        source: String,
        at: i64,
    },
    /// What is sent next; written before it leaves.
    Step { id: String, text: String, at: i64 },
    Ended {
        id: String,
        outcome: String,
        text: String,
        at: i64,
    },
}

/// An exit that has begun and not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequence {
    pub goal: String,
    pub account: i32,
    pub contract: Option<String>,
    pub lots: Option<i64>,
    pub orders: Vec<String>,
    pub tag: Option<String>,
    pub source: String,
    pub at: i64,
    pub steps: Vec<String>,
}

impl Store {
    pub(in crate::order_execution) fn apply_sequence(
        &mut self,
        record: &SequenceRecord,
    ) -> Applied {
        let is_changed = match record {
            SequenceRecord::Begun {
                id,
                goal,
                account,
                contract,
                lots,
                orders,
                tag,
                source,
                at,
            } => {
                let sequence = Sequence {
                    goal: goal.clone(),
                    account: *account,
                    contract: contract.clone(),
                    lots: *lots,
                    orders: orders.clone(),
                    tag: tag.clone(),
                    source: source.clone(),
                    at: *at,
                    steps: Vec::new(),
                };
                self.sequences.insert(id.clone(), sequence).is_none()
            }
            SequenceRecord::Step { id, text, .. } => {
                let sequence = self.sequences.get_mut(id);
                sequence.is_some_and(|sequence| {
                    sequence.steps.push(text.clone());
                    true
                })
            }
            SequenceRecord::Ended { id, .. } => self.sequences.remove(id).is_some(),
        };
        Applied {
            is_changed,
            ..Applied::default()
        }
    }
}
