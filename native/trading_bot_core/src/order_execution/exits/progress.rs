//! What an exit tells while it runs, and the report it ends with: one line for every step.

use std::collections::BTreeMap;

use serde_json::json;

use super::{Goal, SequenceRecord, Task};
use crate::engine::views::{DoneOutcome, Event, ExitProgressRow, NoticeLevel};
use crate::order_execution::record::Record;
use crate::order_execution::trading::Trading;
use crate::types::{AccountId, ClientTag, RequestId};

/// One line of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    step: &'static str,
    count: i64,
    total: i64,
    text: String,
    at: i64,
}

impl Line {
    pub(super) fn is(&self, step: &str) -> bool {
        self.step == step
    }
}

/// A request that ends when several exits have ended.
#[derive(Clone, Debug)]
pub(in crate::order_execution) struct Joint {
    pub(super) open: usize,
    pub(super) worst: DoneOutcome,
    /// Text and report of each account that has ended.
    pub(super) ended: BTreeMap<AccountId, (String, serde_json::Value)>,
}

impl Goal {
    /// The word on the seam.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::CancelGroup => "cancel",
            Self::Close { .. } => "close",
            Self::Flatten => "flatten",
            Self::Reverse(_) => "reverse",
        }
    }

    /// Lots of a close that is a part.
    fn part(self) -> Option<i64> {
        match self {
            Self::Close { size } => size,
            Self::CancelGroup | Self::Flatten | Self::Reverse(_) => None,
        }
    }

    /// Tag of the order that turns a position.
    fn tag(self) -> Option<ClientTag> {
        match self {
            Self::Reverse(reversal) => Some(reversal.tag()),
            Self::CancelGroup | Self::Close { .. } | Self::Flatten => None,
        }
    }
}

impl Task {
    fn report(&self, outcome: DoneOutcome) -> serde_json::Value {
        let line = |line: &Line| {
            json!({
                "step": line.step, "count": line.count, "total": line.total, "text": line.text, "at_ns": line.at,
            })
        };
        json!({
            "goal": self.asked.word(), "account_id": self.account.0, "outcome": outcome.word(),
            "steps": self.lines.iter().map(line).collect::<Vec<_>>(),
        })
    }
}

impl Trading {
    /// Tells one step and keeps it for the report; a step that was just told is not told again.
    pub(super) fn progress(
        &mut self,
        number: u64,
        task: &mut Task,
        step: &'static str,
        (count, total): (usize, usize),
        text: String,
    ) {
        let line = Line {
            step,
            count: count as i64,
            total: total as i64,
            text,
            at: self.now_ns.0,
        };
        let is_told =
            |told: &Line| (told.step, told.count, told.total) == (step, line.count, line.total);
        if task.lines.last().is_some_and(is_told) {
            return;
        }
        let contract_id = task.contract.map_or_else(
            || "".into(),
            |index| self.contract_of(index).id.as_str().into(),
        );
        self.push_event(Event::ExitProgress(ExitProgressRow {
            exit: number as i64,
            account_id: i64::from(task.account.0),
            contract_id,
            goal: task.asked.word(),
            step,
            count: line.count,
            total: line.total,
            text: line.text.clone(),
            time_ns: line.at,
        }));
        task.lines.push(line);
    }

    /// Unique in a journal: the epoch is that of one run, the number that of one exit in it.
    fn sequence_id(&self, number: u64) -> String {
        format!("{}-{number}", self.store.epoch)
    }

    pub(super) fn record_begin(&mut self, number: u64, task: &Task) {
        let contract = task.contract.map(|index| self.contract_of(index));
        let contract = contract.map(|contract| contract.id.clone());
        let orders = task.orders.iter();
        let record = SequenceRecord::Begun {
            id: self.sequence_id(number),
            goal: task.goal.word().to_owned(),
            account: task.account.0,
            contract,
            lots: task.goal.part(),
            orders: orders
                .map(|index| self.store.orders[*index].key.clone())
                .collect(),
            tag: task.goal.tag().map(|tag| tag.to_string()),
            source: task.source.clone(),
            at: self.now_ns.0,
        };
        self.record(&Record::Sequence(record));
    }

    /// Records what is sent next; the number of the record, which has to be written before the request leaves.
    pub(super) fn record_step(&mut self, number: u64, text: String) -> Option<u64> {
        let record = SequenceRecord::Step {
            id: self.sequence_id(number),
            text,
            at: self.now_ns.0,
        };
        self.record(&Record::Sequence(record)).0
    }

    pub(super) fn end_task(
        &mut self,
        number: u64,
        task: &mut Task,
        outcome: DoneOutcome,
        text: &str,
    ) {
        self.record(&Record::Sequence(SequenceRecord::Ended {
            id: self.sequence_id(number),
            outcome: outcome.word().to_owned(),
            text: text.to_owned(),
            at: self.now_ns.0,
        }));
        let step = if outcome == DoneOutcome::Done {
            "done"
        } else {
            "failed"
        };
        self.progress(number, task, step, (1, 1), text.to_owned());
        if outcome != DoneOutcome::Done {
            self.notice(NoticeLevel::Alarm, "exit_failed", text.to_owned());
        } else if task.asked == Goal::Flatten {
            self.notice(NoticeLevel::Info, "flat", text.to_owned());
        }
        let report = task.report(outcome);
        for request in std::mem::take(&mut task.requests) {
            self.answer_exit(request, task, outcome, text, report.clone());
        }
    }

    fn answer_exit(
        &mut self,
        request: RequestId,
        task: &Task,
        outcome: DoneOutcome,
        text: &str,
        report: serde_json::Value,
    ) {
        let Some(joint) = self.joint_exits.get_mut(&request) else {
            self.done_with(request, outcome, text, report.to_string());
            return;
        };
        joint.open -= 1;
        let text = format!("Account {}: {text}", task.account);
        joint.ended.insert(task.account, (text, report));
        if joint.worst == DoneOutcome::Done {
            joint.worst = outcome;
        }
        if joint.open > 0 {
            return;
        }
        if let Some(joint) = self.joint_exits.remove(&request) {
            let (texts, reports): (Vec<_>, Vec<_>) = joint.ended.into_values().unzip();
            let payload = json!({"goal": "flatten", "accounts": reports}).to_string();
            self.done_with(request, joint.worst, texts.join(" "), payload);
        }
    }
}
