//! Close, a part of a position, flatten a contract, an account, everything.

use std::collections::BTreeMap;

use super::{Goal, Joint, Phase, READ_PATIENCE_NS, ROUNDS_MAX, SETTLE_NS, Task, UNREAD};
use crate::engine::contract::{Endpoint, Lane, Outgoing};
use crate::engine::views::{DoneOutcome, NoticeLevel};
use crate::order_execution::order::{Change, Order, Role, Values};
use crate::order_execution::outcome::Outcome;
use crate::order_execution::requests;
use crate::order_execution::store::Place;
use crate::order_execution::trading::{Pending, Trading};
use crate::planted::{Bug, planted};
use crate::types::{AccountId, ContractIndex, Lots, Mono, RequestId};

/// Source of the changes that make exits fit what is left of a position.
const FIT_SOURCE: &str = "exits fitted";

/// How much of a position a close means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    All,
    Lots(i64),
    /// Whole lots, rounded down; a fraction that is less than one lot closes nothing.
    Percent(i64),
}

impl Part {
    /// The lots that it names; `None` for all, and for a fraction, which needs a position to be one of.
    pub fn lots(self) -> Option<Lots> {
        match self {
            Self::All | Self::Percent(_) => None,
            Self::Lots(lots) => Some(Lots(lots)),
        }
    }

    /// From the two ways to name a part on the seam; `None` when both are given.
    pub fn of(lots: Option<i64>, percent: Option<i64>) -> Option<Self> {
        match (lots, percent) {
            (None, None) => Some(Self::All),
            (Some(lots), None) => Some(Self::Lots(lots)),
            (None, Some(percent)) => Some(Self::Percent(percent)),
            (Some(_), Some(_)) => None,
        }
    }
}

impl Trading {
    pub(in crate::order_execution) fn start_close(
        &mut self,
        request: RequestId,
        account: AccountId,
        contract_id: &str,
        part: Part,
        source: String,
    ) {
        let known = self.store.contract(contract_id);
        let Some(contract) = known.map(|contract| contract.index) else {
            let text = format!("Contract {contract_id} is not known.");
            self.done(request, DoneOutcome::Failed, text);
            return;
        };
        let net = self.net_of((account, contract));
        let size = match size_of(part, net) {
            Ok(size) => size,
            Err(text) => {
                self.done(request, DoneOutcome::Denied, text);
                return;
            }
        };
        self.overtake_reversals((account, contract));
        if self.join_task(request, account, Some(contract), Goal::Close { size }) {
            return;
        }
        // A part keeps its exits; a whole close takes the reduce-side orders away first, so that none turns the position.
        let orders = if size.is_some() {
            Vec::new()
        } else {
            self.living(|order| {
                (order.account, order.contract) == (account, contract)
                    && order.side.sign() * net <= 0
            })
        };
        let mut task = Task::new(Goal::Close { size }, account, Some(contract), source);
        task.requests.push(request);
        task.orders = orders;
        self.start_task(task);
    }

    pub(in crate::order_execution) fn start_flatten(
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
            let text = "The contract to flatten is not known.";
            self.done(request, DoneOutcome::Failed, text);
            return;
        }
        let reversals: Vec<Place> = self.reversals_under(account, contract);
        for place in reversals {
            self.overtake_reversals(place);
        }
        if self.join_task(request, account, contract, Goal::Flatten) {
            return;
        }
        let mut task = Task::new(Goal::Flatten, account, contract, source);
        task.requests.push(request);
        task.orders = self.living(|order| task.covers((order.account, order.contract)));
        self.start_task(task);
    }

    /// Flattens a contract that nobody pressed for: a stop that was asked for is missing.
    pub(in crate::order_execution) fn flatten_unasked(&mut self, place: Place, source: &str) {
        if self.is_flattening(place) {
            return;
        }
        let mut task = Task::new(Goal::Flatten, place.0, Some(place.1), source.to_owned());
        task.orders = self.living(|order| task.covers((order.account, order.contract)));
        self.start_task(task);
    }

    /// Flattens every account that was chosen in this session; one request, which ends with the last of them.
    pub(in crate::order_execution) fn start_flatten_everything(
        &mut self,
        request: RequestId,
        source: &str,
    ) {
        let accounts = self.accounts.values().filter(|state| state.is_chosen);
        let accounts: Vec<AccountId> = accounts.map(|state| state.row.id).collect();
        if accounts.is_empty() {
            let text = "No account is chosen in this session; name the account to flatten.";
            self.done(request, DoneOutcome::Denied, text);
            return;
        }
        let joint = Joint {
            open: accounts.len(),
            worst: DoneOutcome::Done,
            ended: BTreeMap::new(),
        };
        self.joint_exits.insert(request, joint);
        for account in accounts {
            self.start_flatten(request, account, None, source.to_owned());
        }
    }

    /// The newest read against what the close is to reach.
    pub(super) fn judge_closed(&mut self, number: u64, mut task: Task) -> Option<Task> {
        let places = self.open_places(&task);
        self.tell_flips(number, &mut task, &places);
        let is_closed = task.has_closed
            && !(planted(Bug::PartialRepeated) && task.trouble == Some(DoneOutcome::Unknown));
        let is_part_done = matches!(task.goal, Goal::Close { size: Some(_) }) && is_closed;
        if is_part_done && self.fit_exits(number, &mut task) {
            self.begin_read(&mut task, SETTLE_NS);
            return Some(task);
        }
        if places.is_empty() && !is_part_done && self.is_flat_only_by_hub(&task) {
            let text =
                "The order feed says flat and the readings show a position. Check with the broker.";
            return self.read_once_more(number, task, text);
        }
        if places.is_empty() && !is_part_done && !self.is_account_read(task.account) {
            return self.read_once_more(number, task, UNREAD);
        }
        if places.is_empty() || is_part_done {
            let (outcome, text) = self.final_words(&task, is_part_done);
            self.progress(number, &mut task, "verified", (1, 1), text.clone());
            self.end_task(number, &mut task, outcome, &text);
            return None;
        }
        if !self.begin_round(number, &mut task, 0) {
            return None;
        }
        self.close_places(number, &mut task, &places);
        Some(task)
    }

    /// The hub says flat and the read-back does not: a late message may have overtaken it, and only a newer read tells.
    fn is_flat_only_by_hub(&self, task: &Task) -> bool {
        let mut nets = self.broker_net.iter();
        nets.any(|(place, net)| task.covers(*place) && net.read_net != 0)
    }

    /// Asks again while a reading leaves something open, for as long as readings may fail otherwise; then says `text`.
    pub(super) fn read_once_more(
        &mut self,
        number: u64,
        mut task: Task,
        text: &str,
    ) -> Option<Task> {
        let until = Mono(self.now.0 + READ_PATIENCE_NS);
        if self.now >= *task.contradicted_until.get_or_insert(until) {
            self.end_task(number, &mut task, DoneOutcome::Unknown, text);
            return None;
        }
        self.begin_read(&mut task, SETTLE_NS);
        Some(task)
    }

    /// A position that changed its side under way is reported; the next close takes it with it.
    pub(super) fn tell_flips(
        &mut self,
        number: u64,
        task: &mut Task,
        places: &[(ContractIndex, i64)],
    ) {
        for (index, net) in places {
            let before = task.nets.insert(*index, *net).unwrap_or(*net);
            if before * net < 0 {
                let name = self.contract_of(*index).name.clone();
                let text = format!(
                    "The position in {name} turned from {before} to {net} on the way; it is closed too."
                );
                self.notice(NoticeLevel::Warning, "flip", text.clone());
                self.progress(number, task, "flip", (1, 1), text);
            }
        }
    }

    fn final_words(&self, task: &Task, is_part_done: bool) -> (DoneOutcome, String) {
        if let Some(trouble) = task.trouble.filter(|_| is_part_done) {
            return (trouble, task.text.clone());
        }
        if let Some(why) = &task.halfway {
            let text = format!("Stopped flat half-way, read back from the broker. {why}");
            return (DoneOutcome::Denied, text);
        }
        let text = match task.goal {
            Goal::Close { size: Some(size) } => {
                let place = task.contract.map(|contract| (task.account, contract));
                let left = place.map_or(0, |place| self.net_of(place));
                format!("Closed {size}, {left} left, read back.")
            }
            Goal::Close { size: None } | Goal::Flatten | Goal::CancelGroup | Goal::Reverse(_) => {
                "Flat, read back from the broker.".to_owned()
            }
        };
        (DoneOutcome::Done, text)
    }

    pub(super) fn open_places(&self, task: &Task) -> Vec<(ContractIndex, i64)> {
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

    pub(super) fn close_places(
        &mut self,
        number: u64,
        task: &mut Task,
        places: &[(ContractIndex, i64)],
    ) {
        task.text.clear();
        task.trouble = None;
        let open = places.len() as u32;
        let what = format!("{open} closes went out in round {}", task.round);
        let record = self.record_step(number, what);
        for (index, net) in places {
            let part = match task.goal {
                Goal::Close { size: Some(size) } if size < net.abs() => Some(size),
                Goal::Close { .. } | Goal::CancelGroup | Goal::Flatten | Goal::Reverse(_) => None,
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
            let send = match record {
                Some(record) => send.after(record),
                None => send,
            };
            let pending = Pending::Close {
                task: number,
                contract: *index,
            };
            self.push_send(send, pending);
        }
        task.has_closed = true;
        task.phase = Phase::Closing { open };
        let text = format!(
            "Closing {open} positions, round {} of {ROUNDS_MAX}.",
            task.round
        );
        self.notice(NoticeLevel::Info, "closing", text.clone());
        let step = (task.round as usize, ROUNDS_MAX as usize);
        self.progress(number, task, "closing", step, text);
    }

    /// The answer of one close. Whatever it says, the next read decides.
    pub(in crate::order_execution) fn close_replied(
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

    /// Makes the exits of a position fit what is left of it, once. True when something was asked for.
    fn fit_exits(&mut self, number: u64, task: &mut Task) -> bool {
        let Some(contract) = task.contract.filter(|_| !task.has_resized) else {
            return false;
        };
        task.has_resized = true;
        let place = (task.account, contract);
        let net = self.net_of(place);
        let stops = self.fit_part(place, net, Role::Stop);
        let targets = self.fit_part(place, net, Role::Target);
        let count = stops + targets;
        if count > 0 {
            let text = format!("Exits made to fit what is left: {count} for {}.", net.abs());
            self.progress(number, task, "fitting", (count, count), text);
        }
        count > 0
    }

    /// Shrinks the exits of one kind from the newest on, until together they do not exceed the position. Exits by their
    /// intent only: what rests on that side as an entry is the trader's own, and nobody asked to change it.
    fn fit_part(&mut self, place: Place, net: i64, role: Role) -> usize {
        let is_exit = |order: &Order| {
            (order.account, order.contract) == place
                && order.side.sign() * net < 0
                && order.role == role
        };
        let mut exits = self.living(is_exit);
        // Of a change under way the wanted size counts: somebody else is fitting it already.
        let open = |order: &Order| {
            let size = order.wanted.size.unwrap_or(order.size.0);
            (size - order.filled().0).max(0)
        };
        let total: i64 = exits
            .iter()
            .map(|index| open(&self.store.orders[*index]))
            .sum();
        let mut excess = total - net.abs();
        let mut count = 0;
        while let Some(index) = exits.pop().filter(|_| excess > 0) {
            let order = &self.store.orders[index];
            let (lots, filled) = (open(order), order.filled().0);
            if order.change != Change::None {
                continue;
            }
            let cut = lots.min(excess);
            excess -= cut;
            count += 1;
            if cut == lots {
                self.send_cancel(index, FIT_SOURCE, None);
                continue;
            }
            let values = Values {
                size: Some(filled + lots - cut),
                ..Values::default()
            };
            // Smaller passes the gate; what it refuses all the same stays as it is and is seen by the next read.
            if let Err(reasons) = self.send_change(index, values, FIT_SOURCE, None) {
                let texts: Vec<String> = reasons.into_iter().map(|(_, text)| text).collect();
                let key = self.store.orders[index].key.clone();
                let text = format!(
                    "Exit {key} is larger than the position left. {}",
                    texts.join(" ")
                );
                self.notice(NoticeLevel::Alarm, "exit_too_large", text);
            }
        }
        count
    }
}

/// The lots of a part; `None` closes all. Errors are sentences for the trader.
pub(in crate::order_execution) fn size_of(part: Part, net: i64) -> Result<Option<i64>, String> {
    match part {
        Part::All | Part::Percent(100) => Ok(None),
        Part::Lots(lots) if lots <= 0 => Err("The size to close must be positive.".into()),
        Part::Lots(lots) => Ok(Some(lots)),
        Part::Percent(percent) if !(1..=100).contains(&percent) => Err(format!(
            "{percent} % is no part of a position; 1 to 100 are allowed."
        )),
        Part::Percent(percent) => match net.saturating_abs().saturating_mul(percent) / 100 {
            0 => Err(format!(
                "{percent} % of {} is less than one lot; nothing was closed.",
                net.abs()
            )),
            lots => Ok(Some(lots)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fraction_is_whole_lots_rounded_down_and_never_the_whole_by_accident() {
        let halves = [1, 2, 3, 4, 5].map(|net| size_of(Part::Percent(50), net).ok().flatten());
        assert_eq!(halves, [None, Some(1), Some(1), Some(2), Some(2)]);
        assert!(
            size_of(Part::Percent(50), -1).is_err(),
            "half of one lot closes nothing"
        );
        assert_eq!(size_of(Part::Percent(75), -3), Ok(Some(2)));
        assert_eq!(size_of(Part::Percent(100), 3), Ok(None));
        assert!(size_of(Part::Percent(0), 3).is_err() && size_of(Part::Percent(101), 3).is_err());
    }
}
