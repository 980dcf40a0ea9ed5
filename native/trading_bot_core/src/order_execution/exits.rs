//! Closing, flattening and group cancels: verified state machines that end only after reading back.
//!
//! ```text
//! Cancelling ──all gone, or the wait is over──► Reading ──flat──────────────► done
//!      ▲                                          │ │
//!      └──────────orders still live───────────────┘ └─position left─► Closing ─► Reading (next round, at most 3)
//! ```
//!
//! A close that got no answer is never repeated on suspicion: the next read shows what it did.

use crate::engine::contract::{Endpoint, Group, Lane, Outgoing};
use crate::engine::views::{DoneOutcome, NoticeLevel};
use crate::order_execution::order::Order;
use crate::order_execution::outcome::Outcome;
use crate::order_execution::record::Record;
use crate::order_execution::requests;
use crate::order_execution::store::Place;
use crate::order_execution::trading::{Pending, Trading};
use crate::types::{AccountId, ContractIndex, Mono, RequestId};

const ROUNDS_MAX: u32 = 3;
const MILLISECOND: u64 = 1_000_000;
/// How long a market order of a close may take before the read that judges it.
const SETTLE_NS: u64 = 300 * MILLISECOND;
/// How long reads may fail before a task gives up with an alarm.
const READ_PATIENCE_NS: u64 = 20_000 * MILLISECOND;

/// What a task is to reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    CancelGroup,
    /// All of it, or a part.
    Close {
        size: Option<i64>,
    },
    Flatten,
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
}

/// One close, flatten or group cancel under way.
#[derive(Clone, Debug)]
pub struct Task {
    requests: Vec<RequestId>,
    account: AccountId,
    contract: Option<ContractIndex>,
    goal: Goal,
    phase: Phase,
    round: u32,
    /// Orders it cancels.
    orders: Vec<usize>,
    has_closed: bool,
    text: String,
    /// What became of the last close that was not accepted.
    trouble: Option<DoneOutcome>,
    /// What a group cancel means, for one that has to read the account first.
    group: Group,
    source: String,
}

impl Task {
    pub(super) fn next_moment(&self) -> Option<Mono> {
        match self.phase {
            Phase::Cancelling { until } => Some(until),
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

    /// Whether a market order without a tag is what the broker made of our close (C24).
    pub(super) fn expects_close(&self, place: Place) -> bool {
        let mut tasks = self.tasks.values();
        tasks.any(|task| task.has_closed && task.covers(place))
    }

    pub(super) fn start_cancel_group(
        &mut self,
        request: RequestId,
        account: AccountId,
        group: &Group,
        source: String,
    ) {
        let contract = group
            .contract_id
            .as_deref()
            .and_then(|id| self.store.contract(id));
        let contract = contract.map(|contract| contract.index);
        if group.contract_id.is_some() && contract.is_none() {
            self.done(request, DoneOutcome::Done, "There is nothing to cancel.");
            return;
        }
        let orders = self.living_of_group(account, contract, group);
        let is_read = self
            .accounts
            .get(&account)
            .is_some_and(|state| state.is_reconciled);
        if orders.is_empty() && is_read {
            self.done(request, DoneOutcome::Done, "There is nothing to cancel.");
            return;
        }
        let must_read = orders.is_empty();
        let goal = Goal::CancelGroup;
        let number = self.start_task(request, account, contract, goal, orders, source);
        if let Some(mut task) = self.tasks.remove(&number) {
            task.group = group.clone();
            if must_read {
                // Nothing is known of this account; only the broker can say that there is nothing.
                self.begin_read(&mut task, 0);
            }
            self.tasks.insert(number, task);
        }
    }

    fn living_of_group(
        &self,
        account: AccountId,
        contract: Option<ContractIndex>,
        group: &Group,
    ) -> Vec<usize> {
        self.living(|order| {
            order.account == account
                && contract.is_none_or(|contract| order.contract == contract)
                && group.side.is_none_or(|side| order.side == side)
                && group.kind.is_none_or(|kind| order.kind == kind)
        })
    }

    pub(super) fn start_close(
        &mut self,
        request: RequestId,
        account: AccountId,
        contract_id: &str,
        size: Option<i64>,
        source: String,
    ) {
        let Some(contract) = self
            .store
            .contract(contract_id)
            .map(|contract| contract.index)
        else {
            self.done(
                request,
                DoneOutcome::Failed,
                format!("Contract {contract_id} is not known."),
            );
            return;
        };
        if size.is_some_and(|size| size <= 0) {
            self.done(
                request,
                DoneOutcome::Denied,
                "The size to close must be positive.",
            );
            return;
        }
        if self.join_task(request, account, Some(contract)) {
            return;
        }
        // A part keeps its exits; a whole close takes the reduce-side orders away first, so that none turns the position.
        let net = self.net_of((account, contract));
        let orders = if size.is_some() {
            Vec::new()
        } else {
            self.living(|order| {
                (order.account, order.contract) == (account, contract)
                    && order.side.sign() * net <= 0
            })
        };
        self.start_task(
            request,
            account,
            Some(contract),
            Goal::Close { size },
            orders,
            source,
        );
    }

    pub(super) fn start_flatten(
        &mut self,
        request: RequestId,
        account: AccountId,
        contract_id: Option<&str>,
        source: String,
    ) {
        let contract = contract_id
            .and_then(|id| self.store.contract(id))
            .map(|contract| contract.index);
        if contract_id.is_some() && contract.is_none() {
            self.done(
                request,
                DoneOutcome::Failed,
                "The contract to flatten is not known.",
            );
            return;
        }
        if self.join_task(request, account, contract) {
            return;
        }
        let orders = self.living(|order| {
            order.account == account && contract.is_none_or(|contract| order.contract == contract)
        });
        self.start_task(request, account, contract, Goal::Flatten, orders, source);
    }

    /// A second press of the same exit joins the first: flatten is idempotent (H4).
    fn join_task(
        &mut self,
        request: RequestId,
        account: AccountId,
        contract: Option<ContractIndex>,
    ) -> bool {
        let same = self.tasks.values_mut().find(|task| {
            task.goal != Goal::CancelGroup && task.account == account && task.contract == contract
        });
        let Some(task) = same else { return false };
        task.requests.push(request);
        true
    }

    fn living(&self, matches: impl Fn(&Order) -> bool) -> Vec<usize> {
        let rows = self.store.rows();
        rows.filter(|(_, order)| order.is_live() && matches(order))
            .map(|(index, _)| index)
            .collect()
    }

    fn start_task(
        &mut self,
        request: RequestId,
        account: AccountId,
        contract: Option<ContractIndex>,
        goal: Goal,
        orders: Vec<usize>,
        source: String,
    ) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        let until = Mono(self.now.0 + self.settings.cancel_wait_ns);
        let task = Task {
            requests: vec![request],
            account,
            contract,
            goal,
            phase: Phase::Cancelling { until },
            round: 0,
            orders,
            has_closed: false,
            text: String::new(),
            trouble: None,
            group: Group::default(),
            source,
        };
        self.record_step(&task, "started");
        if goal == Goal::Flatten {
            let text = format!(
                "Flattening account {account}: {} orders to cancel.",
                task.orders.len()
            );
            self.notice(NoticeLevel::Info, "flatten", text);
        }
        self.cancel_all(&task.orders, &task.source);
        self.tasks.insert(number, task);
        number
    }

    fn record_step(&mut self, task: &Task, step: &str) {
        let contract = task
            .contract
            .map(|index| self.contract_of(index).id.clone());
        self.record(&Record::Exit {
            account: task.account.0,
            contract,
            step: format!("{:?} {step}", task.goal),
            source: task.source.clone(),
            at: self.now_ns.0,
        });
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

    /// Net lots by the newest of what the broker states and what the fills give.
    fn net_of(&self, place: Place) -> i64 {
        let fills = self
            .store
            .ledgers
            .get(&place)
            .map_or(0, super::ledger::Ledger::net);
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
            Phase::Cancelling { until } => {
                let mut orders = task.orders.iter();
                let are_gone = orders.all(|index| !self.store.orders[*index].is_live());
                if task.goal == Goal::CancelGroup && are_gone {
                    self.end_task(&task, DoneOutcome::Done, "All cancelled.");
                    return None;
                }
                if are_gone || self.now >= until {
                    self.begin_read(&mut task, 0);
                }
                Some(task)
            }
            Phase::Reading { since, give_up } => {
                let read = self
                    .loops
                    .get(&task.account)
                    .and_then(|state| state.last_full_started);
                if read.is_some_and(|started| started >= since) {
                    return self.judge(number, task);
                }
                if self.now >= give_up {
                    let text = "The broker cannot be read; what is left is not known. Check with the broker.";
                    self.end_task(&task, DoneOutcome::Unknown, text);
                    return None;
                }
                Some(task)
            }
            Phase::Closing { open: 0 } => {
                self.begin_read(&mut task, SETTLE_NS);
                Some(task)
            }
            Phase::Closing { .. } => Some(task),
        }
    }

    fn begin_read(&mut self, task: &mut Task, delay_ns: u64) {
        let since = Mono(self.now.0 + delay_ns);
        let give_up = Mono(since.0 + READ_PATIENCE_NS);
        task.phase = Phase::Reading { since, give_up };
        self.want_full_round(task.account, since);
    }

    /// A fresh read is in: finish, or do what is left.
    fn judge(&mut self, number: u64, mut task: Task) -> Option<Task> {
        let live: Vec<usize> = match task.goal {
            Goal::Flatten => self.living(|order| task.covers((order.account, order.contract))),
            Goal::CancelGroup if task.orders.is_empty() => {
                self.living_of_group(task.account, task.contract, &task.group)
            }
            Goal::CancelGroup | Goal::Close { .. } => {
                let orders = task.orders.iter().copied();
                orders
                    .filter(|index| self.store.orders[*index].is_live())
                    .collect()
            }
        };
        let places = self.open_places(&task);
        let is_partial_done = matches!(task.goal, Goal::Close { size: Some(_) }) && task.has_closed;
        if live.is_empty()
            && (places.is_empty() || is_partial_done || task.goal == Goal::CancelGroup)
        {
            let (outcome, text) = Self::final_words(&task, is_partial_done);
            self.end_task(&task, outcome, &text);
            return None;
        }
        task.round += 1;
        if task.round > ROUNDS_MAX {
            let text = format!(
                "Not done after {ROUNDS_MAX} rounds: {} orders live, {} positions open. {}",
                live.len(),
                places.len(),
                task.text
            );
            self.end_task(&task, DoneOutcome::Failed, &text);
            return None;
        }
        if live.is_empty() {
            self.close_places(number, &mut task, &places);
        } else {
            self.cancel_all(&live, &task.source.clone());
            task.orders = live;
            let until = Mono(self.now.0 + self.settings.cancel_wait_ns);
            task.phase = Phase::Cancelling { until };
        }
        Some(task)
    }

    fn final_words(task: &Task, is_partial_done: bool) -> (DoneOutcome, String) {
        if let Some(trouble) = task.trouble.filter(|_| is_partial_done) {
            return (trouble, task.text.clone());
        }
        match task.goal {
            Goal::CancelGroup => (DoneOutcome::Done, "All cancelled.".into()),
            Goal::Close { size: Some(size) } => {
                (DoneOutcome::Done, format!("{size} lots closed, read back."))
            }
            Goal::Close { size: None } | Goal::Flatten => {
                (DoneOutcome::Done, "Flat, read back from the broker.".into())
            }
        }
    }

    fn open_places(&self, task: &Task) -> Vec<(ContractIndex, i64)> {
        if task.goal == Goal::CancelGroup {
            return Vec::new();
        }
        let places = self.broker_net.keys().chain(self.store.ledgers.keys());
        let mut open: Vec<(ContractIndex, i64)> = places
            .filter(|place| task.covers(**place))
            .map(|place| (place.1, self.net_of(*place)))
            .filter(|(_, net)| *net != 0)
            .collect();
        open.sort_unstable();
        open.dedup();
        open
    }

    fn close_places(&mut self, number: u64, task: &mut Task, places: &[(ContractIndex, i64)]) {
        task.text.clear();
        task.trouble = None;
        for (index, net) in places {
            let part = match task.goal {
                Goal::Close { size: Some(size) } if size < net.abs() => Some(size),
                Goal::Close { .. } | Goal::CancelGroup | Goal::Flatten => None,
            };
            let contract = self.contract_of(*index);
            let body = requests::close(task.account, contract, part);
            let endpoint = match part {
                Some(_) => Endpoint::PartialCloseContract,
                None => Endpoint::CloseContract,
            };
            self.budget.try_take(Lane::Exit, self.now.0 as i64);
            let id = self.send_id();
            let send = Outgoing::exit(id, endpoint, body, self.deadline());
            self.push_send(
                send,
                Pending::Close {
                    task: number,
                    contract: *index,
                },
            );
        }
        task.has_closed = true;
        task.phase = Phase::Closing {
            open: places.len() as u32,
        };
        self.record_step(
            task,
            &format!("closing {} positions, round {}", places.len(), task.round),
        );
        let text = format!(
            "Closing {} positions, round {} of {ROUNDS_MAX}.",
            places.len(),
            task.round
        );
        self.notice(NoticeLevel::Info, "closing", text);
    }

    /// The answer of one close. Whatever it says, the next read decides.
    pub(super) fn close_replied(
        &mut self,
        number: u64,
        contract: ContractIndex,
        outcome: &Outcome,
    ) {
        let name = self.contract_of(contract).name.clone();
        let Some(task) = self.tasks.get_mut(&number) else {
            return;
        };
        if let Phase::Closing { open } = &mut task.phase {
            *open = open.saturating_sub(1);
        }
        let (trouble, text) = match outcome {
            Outcome::Accepted { .. } => return,
            Outcome::NotSent { text } => (DoneOutcome::Failed, text),
            Outcome::Refused { text, .. } => (DoneOutcome::Refused, text),
            Outcome::Unknown { text } => (DoneOutcome::Unknown, text),
        };
        task.trouble = Some(trouble);
        task.text = format!("{name}: {text}");
    }

    fn end_task(&mut self, task: &Task, outcome: DoneOutcome, text: &str) {
        self.record_step(task, outcome.word());
        if outcome != DoneOutcome::Done {
            self.notice(NoticeLevel::Alarm, "exit_failed", text.to_owned());
        } else if task.goal == Goal::Flatten {
            self.notice(NoticeLevel::Info, "flat", text.to_owned());
        }
        for request in &task.requests {
            self.done(*request, outcome, text);
        }
    }
}
