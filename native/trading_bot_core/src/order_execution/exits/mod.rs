//! Closing, reversing, flattening and group cancels: verified state machines that end only after reading back.
//!
//! ```text
//! Cancelling ──all gone, or the wait is over──► Reading ──flat──────────────► done
//!      ▲                                          │ │
//!      └──────orders live, no position────────────┘ └─position left─► Closing ─► Reading (next round, at most 3)
//!
//! Reverse: Cancelling ──all gone──► Reading ──position still there──► Turning ──filled──► Reading ──turned──► done
//!              └──too late── goes on as a close: it stops flat half-way, and says so ──┘
//! ```
//!
//! A close that got no answer is never repeated on suspicion: the next read shows what it did. Every step is told as it
//! happens, and the request ends with the report of all of them.
//!
//! | Module | Holds |
//! |---|---|
//! | `groups` | which orders a cancel means |
//! | `closing` | close, a part of a position, flatten, everything |
//! | `reverse` | one order that turns a position |
//! | `orphans` | exits without a position |
//! | `progress` | what is told, and the report |
//! | `sequence` | what the journal holds of an exit under way |
//! | `aftermath` | exits that the end of the program cut off |

mod aftermath;
mod closing;
mod groups;
mod orphans;
mod progress;
mod reverse;
mod sequence;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use self::closing::Part;
pub(super) use self::closing::size_of;
pub(super) use self::orphans::Orphans;
pub(super) use self::progress::Joint;
use self::progress::Line;
use self::reverse::Reversal;
pub use self::sequence::{Sequence, SequenceRecord};
use crate::engine::contract::Group;
use crate::engine::views::{DoneOutcome, NoticeLevel};
use crate::order_execution::order::Order;
use crate::order_execution::store::Place;
use crate::order_execution::trading::Trading;
use crate::planted::{Bug, planted};
use crate::types::{AccountId, ContractIndex, Mono, RequestId};

const ROUNDS_MAX: u32 = 3;
const MILLISECOND: u64 = 1_000_000;
/// How long a market order of a close may take before the read that judges it.
const SETTLE_NS: u64 = 300 * MILLISECOND;
/// How long reads may fail before a task gives up with an alarm.
const READ_PATIENCE_NS: u64 = 20_000 * MILLISECOND;

/// Said when the comparison of an account does not come to an end.
const UNREAD: &str = "The account could not be compared with the broker to the end; what is left is not known. Check with the broker.";

/// What a task is to reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goal {
    CancelGroup,
    /// All of it, or a part.
    Close {
        size: Option<i64>,
    },
    Flatten,
    Reverse(Reversal),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Cancelling {
        until: Mono,
    },
    /// Waits for a whole read that began after `since`.
    Reading {
        since: Mono,
        give_up: Mono,
    },
    /// Waits for the answers of its closes.
    Closing {
        open: u32,
    },
    /// Waits for the end of the order that turns the position; `until` it should have filled.
    Turning {
        until: Mono,
    },
}

/// One close, reverse, flatten or group cancel under way.
#[derive(Clone, Debug)]
pub struct Task {
    requests: Vec<RequestId>,
    account: AccountId,
    contract: Option<ContractIndex>,
    goal: Goal,
    /// What was pressed; a reverse may go on as a close.
    asked: Goal,
    phase: Phase,
    round: u32,
    /// Orders it cancels.
    orders: Vec<usize>,
    has_closed: bool,
    /// Exits were made to fit what is left of the position.
    has_resized: bool,
    text: String,
    /// What became of the last close that was not accepted.
    trouble: Option<DoneOutcome>,
    /// A reading left something open (the feed contradicts it, the comparison is not over): how long that may last.
    contradicted_until: Option<Mono>,
    /// Why the task stops flat instead of reaching what was pressed.
    halfway: Option<String>,
    /// Position of each contract when it was last looked at.
    nets: BTreeMap<ContractIndex, i64>,
    /// What a group cancel means, for one that has to read the account first.
    group: Group,
    /// The account was not compared yet when it was pressed: what was found then need not be all.
    is_unread: bool,
    source: String,
    lines: Vec<Line>,
}

impl Task {
    fn new(
        goal: Goal,
        account: AccountId,
        contract: Option<ContractIndex>,
        source: String,
    ) -> Self {
        Self {
            requests: Vec::new(),
            account,
            contract,
            goal,
            asked: goal,
            phase: Phase::Closing { open: 0 },
            round: 0,
            orders: Vec::new(),
            has_closed: false,
            has_resized: false,
            text: String::new(),
            trouble: None,
            contradicted_until: None,
            halfway: None,
            nets: BTreeMap::new(),
            group: Group::default(),
            is_unread: false,
            source,
            lines: Vec::new(),
        }
    }

    pub(super) fn next_moment(&self) -> Option<Mono> {
        match self.phase {
            Phase::Cancelling { until } | Phase::Turning { until } => Some(until),
            Phase::Reading { give_up, .. } => Some(give_up),
            Phase::Closing { .. } => None,
        }
    }

    fn covers(&self, place: Place) -> bool {
        self.account == place.0 && self.contract.is_none_or(|contract| contract == place.1)
    }
}

impl Trading {
    pub(super) fn is_flattening(&self, place: Place) -> bool {
        let mut tasks = self.tasks.values();
        tasks.any(|task| task.goal != Goal::CancelGroup && task.covers(place))
    }

    /// The same for exits: those of a reversal are placed while its task still waits for them.
    pub(super) fn is_closing(&self, place: Place) -> bool {
        let is_turned =
            |goal: Goal| matches!(goal, Goal::Reverse(reversal) if reversal.is_turning());
        let mut tasks = self.tasks.values();
        tasks.any(|task| {
            task.goal != Goal::CancelGroup && task.covers(place) && !is_turned(task.goal)
        })
    }

    /// Whether a market order without a tag is what the broker made of our close (C24).
    pub(super) fn expects_close(&self, place: Place) -> bool {
        let mut tasks = self.tasks.values();
        tasks.any(|task| task.has_closed && task.covers(place))
    }

    /// A second press of the same exit joins the first: flatten is idempotent (H4). A whole close never joins the close
    /// of a part, whose end would be told as flat.
    fn join_task(
        &mut self,
        request: RequestId,
        account: AccountId,
        contract: Option<ContractIndex>,
        goal: Goal,
    ) -> bool {
        let same = self.tasks.values_mut().find(|task| {
            let is_same = task.goal == goal
                || (planted(Bug::PartIsWhole) && matches!(task.goal, Goal::Close { .. }));
            is_same && task.account == account && task.contract == contract
        });
        let Some(task) = same else { return false };
        task.requests.push(request);
        true
    }

    fn living(&self, matches: impl Fn(&Order) -> bool) -> Vec<usize> {
        let rows = self.store.open_rows();
        rows.filter(|(_, order)| order.is_live() && matches(order))
            .map(|(index, _)| index)
            .collect()
    }

    fn start_task(&mut self, mut task: Task) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        let until = Mono(self.now.0 + self.settings.cancel_wait_ns);
        task.phase = Phase::Cancelling { until };
        self.record_begin(number, &task);
        if task.goal == Goal::Flatten {
            let text = format!(
                "Flattening account {}: {} orders to cancel.",
                task.account,
                task.orders.len()
            );
            self.notice(NoticeLevel::Info, "flatten", text);
        }
        self.cancel_all(&task.orders, &task.source);
        self.tell_cancels(number, &mut task);
        self.tasks.insert(number, task);
        number
    }

    fn cancel_all(&mut self, orders: &[usize], source: &str) {
        for index in orders {
            let order = &self.store.orders[*index];
            // A suspended leg goes with its parent, and on its own when the parent is gone.
            if order.is_live() && !self.is_cancel_in_flight(*index) {
                self.send_cancel(*index, source, None);
            }
        }
    }

    /// Cancels once more what had its time: a request that was lost shows nothing for seconds, and twice does no harm.
    fn cancel_again(&mut self, orders: &[usize], source: &str) {
        for index in orders {
            let clock = self.cancels.get(index);
            let is_fresh = clock.is_some_and(|clock| {
                clock.is_in_flight && self.now.since(clock.sent) < self.settings.cancel_wait_ns
            });
            if !is_fresh && self.store.orders[*index].is_live() {
                self.send_cancel(*index, source, None);
            }
        }
    }

    fn tell_cancels(&mut self, number: u64, task: &mut Task) {
        let total = task.orders.len();
        let orders = task.orders.iter();
        let gone = orders
            .filter(|index| !self.store.orders[**index].is_live())
            .count();
        if total > 0 {
            let text = format!("{gone} of {total} orders are gone.");
            self.progress(number, task, "cancelling", (gone, total), text);
        }
    }

    /// Net lots by the newest of what the broker states and what the fills give.
    fn net_of(&self, place: Place) -> i64 {
        let fills = self.net(place);
        self.broker_net
            .get(&place)
            .map_or(fills, |broker| broker.net)
    }

    pub(super) fn run_tasks(&mut self) {
        let numbers: Vec<u64> = self.tasks.keys().copied().collect();
        for number in numbers {
            // A task moves through several phases at one moment when nothing holds it up; each pass goes one further.
            for _ in 0..4 {
                let Some(task) = self.tasks.remove(&number) else {
                    break;
                };
                let before = task.phase;
                let Some(task) = self.step_task(number, task) else {
                    break;
                };
                let is_moving = task.phase != before;
                self.tasks.insert(number, task);
                if !is_moving {
                    break;
                }
            }
        }
    }

    /// One step; `None` ends the task.
    fn step_task(&mut self, number: u64, mut task: Task) -> Option<Task> {
        match task.phase {
            Phase::Cancelling { until } => self.wait_for_cancels(number, task, until),
            Phase::Reading { since, give_up } => {
                let read = self
                    .loops
                    .get(&task.account)
                    .and_then(|state| state.last_full_started);
                if read.is_some_and(|started| started >= since) {
                    return self.judge(number, task);
                }
                self.ensure_full_round(task.account, since);
                if self.now >= give_up {
                    let text = "The broker cannot be read; what is left is not known. Check with the broker.";
                    self.end_task(number, &mut task, DoneOutcome::Unknown, text);
                    return None;
                }
                Some(task)
            }
            Phase::Closing { open: 0 } if planted(Bug::FlatUnread) => {
                self.end_task(number, &mut task, DoneOutcome::Done, "Flat.");
                None
            }
            Phase::Closing { open: 0 } => {
                self.begin_read(&mut task, SETTLE_NS);
                Some(task)
            }
            Phase::Closing { .. } => Some(task),
            Phase::Turning { until } => Some(self.wait_for_turn(number, task, until)),
        }
    }

    fn wait_for_cancels(&mut self, number: u64, mut task: Task, until: Mono) -> Option<Task> {
        self.tell_cancels(number, &mut task);
        let mut orders = task.orders.iter();
        let are_gone = orders.all(|index| !self.store.orders[*index].is_live());
        if task.goal == Goal::CancelGroup && are_gone && !task.is_unread {
            self.end_task(number, &mut task, DoneOutcome::Done, "All cancelled.");
            return None;
        }
        if are_gone {
            self.begin_read(&mut task, 0);
        } else if self.now >= until {
            if matches!(task.goal, Goal::Reverse(_)) {
                self.stop_halfway(number, &mut task, "The cancels were not proven in time.");
            }
            self.begin_read(&mut task, 0);
        }
        Some(task)
    }

    fn begin_read(&mut self, task: &mut Task, delay_ns: u64) {
        let since = Mono(self.now.0 + delay_ns);
        let give_up = Mono(since.0 + READ_PATIENCE_NS);
        task.phase = Phase::Reading { since, give_up };
        self.want_full_round(task.account, since);
    }

    /// A fresh read is in: finish, or do what is left.
    fn judge(&mut self, number: u64, mut task: Task) -> Option<Task> {
        let live = self.still_living(&task);
        if !live.is_empty() {
            return self.next_round(number, task, live);
        }
        match task.goal {
            Goal::CancelGroup if !self.is_account_read(task.account) => {
                self.read_once_more(number, task, UNREAD)
            }
            Goal::CancelGroup => {
                self.end_task(number, &mut task, DoneOutcome::Done, "All cancelled.");
                None
            }
            Goal::Reverse(reversal) => self.judge_reversal(number, task, reversal),
            Goal::Close { .. } | Goal::Flatten => self.judge_closed(number, task),
        }
    }

    /// Orders that the task still has to get rid of, as the newest read shows them.
    fn still_living(&self, task: &Task) -> Vec<usize> {
        match task.goal {
            Goal::Flatten => self.living(|order| task.covers((order.account, order.contract))),
            Goal::CancelGroup if task.orders.is_empty() || task.is_unread => {
                self.living_of_group(task.account, &task.group)
            }
            // The order that turns the position is judged without what rests beside it: an exit that was admitted since the
            // key went down would come on top of it.
            Goal::Reverse(reversal) if !reversal.is_turning() => {
                self.living(|order| task.covers((order.account, order.contract)))
            }
            Goal::CancelGroup | Goal::Close { .. } | Goal::Reverse(_) => {
                let orders = task.orders.iter().copied();
                orders
                    .filter(|index| self.store.orders[*index].is_live())
                    .collect()
            }
        }
    }

    fn next_round(&mut self, number: u64, mut task: Task, live: Vec<usize>) -> Option<Task> {
        if !self.begin_round(number, &mut task, live.len()) {
            return None;
        }
        self.cancel_again(&live, &task.source.clone());
        task.orders = live;
        let places = self.open_places(&task);
        if matches!(task.goal, Goal::Close { size: None } | Goal::Flatten) && !places.is_empty() {
            // Cancels had their time; a position must not wait for them any longer.
            self.tell_flips(number, &mut task, &places);
            self.close_places(number, &mut task, &places);
            return Some(task);
        }
        let until = Mono(self.now.0 + self.settings.cancel_wait_ns);
        task.phase = Phase::Cancelling { until };
        Some(task)
    }

    /// Counts a round; `false` when there were enough of them and the task is over.
    fn begin_round(&mut self, number: u64, task: &mut Task, live: usize) -> bool {
        task.round += 1;
        if task.round <= ROUNDS_MAX {
            return true;
        }
        let places = self.open_places(task).len();
        let text = format!(
            "Not done after {ROUNDS_MAX} rounds: {live} orders live, {places} positions open. {}",
            task.text
        );
        self.end_task(number, task, DoneOutcome::Failed, text.trim_end());
        false
    }
}
