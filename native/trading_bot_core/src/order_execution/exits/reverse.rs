//! Reverse: cancel the exits, wait for proof, turn the position with one order, read back.
//!
//! The order's size is what is there now plus what was there when the key went down, so that an exit that filled on the
//! way never doubles the new position. Whatever cannot be proven in time ends flat, and an order without an answer is
//! waited for: closing on suspicion could leave twice the position.

use super::{Goal, Phase, SETTLE_NS, Task};
use crate::engine::contract::Draft;
use crate::engine::views::{DoneOutcome, NoticeLevel};
use crate::order_execution::gate::{admit, objections};
use crate::order_execution::legs::{BracketPlan, Holder, Target, WhenBare};
use crate::order_execution::order::Life;
use crate::order_execution::store::Place;
use crate::order_execution::trading::Trading;
use crate::types::{AccountId, ClientTag, ContractIndex, Lots, Mono, OrderKind, RequestId, Side};

/// How long a market order may take before the trader hears of it.
const SLOW_NS: u64 = 2_000_000_000;

/// Reads that wait for the new stop, each about a third of a second.
const LOOKS_MAX: u32 = 5;

/// A position that is to be turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reversal {
    /// Of the one order that turns it.
    tag: ClientTag,
    /// Net lots that are wanted in the end.
    wanted: i64,
    is_sent: bool,
    /// Distances of the new exits from the fill.
    stop_ticks: Option<i64>,
    target_ticks: Option<i64>,
    /// Reads that waited for the new stop.
    looks: u32,
}

impl Reversal {
    pub(super) fn tag(self) -> ClientTag {
        self.tag
    }

    /// Its order is on its way or has filled: from here on the position is the new one.
    pub(super) fn is_turning(self) -> bool {
        self.is_sent
    }

    /// The new exits, held here: their sizes follow the new position and not the double order (see `legs`).
    fn plan(&self) -> Option<BracketPlan> {
        let sign = self.wanted.signum();
        let target = self.target_ticks.map(|ticks| Target {
            ticks: sign.saturating_mul(ticks),
            lots: self.wanted.abs(),
        });
        (self.stop_ticks.is_some() || target.is_some()).then(|| BracketPlan {
            stop: self.stop_ticks.map(|ticks| (-sign).saturating_mul(ticks)),
            targets: target.into_iter().collect(),
            holder: Holder::Computer,
            when_bare: WhenBare::Alarm,
            rule: None,
        })
    }
}

impl Trading {
    pub(in crate::order_execution) fn start_reverse(
        &mut self,
        request: RequestId,
        account: AccountId,
        contract_id: &str,
        (tag, stop_ticks, target_ticks): (ClientTag, Option<i64>, Option<i64>),
        source: String,
    ) {
        let known = self.store.contract(contract_id);
        let Some(contract) = known.map(|contract| contract.index) else {
            let text = format!("Contract {contract_id} is not known.");
            self.done(request, DoneOutcome::Failed, text);
            return;
        };
        let place = (account, contract);
        // What the trader sees is made of the fills; the broker's message about the position may still be on its way.
        let net = if self.is_disputed(place) {
            self.net_of(place)
        } else {
            self.net(place)
        };
        let reversal = Reversal {
            tag,
            wanted: -net,
            is_sent: false,
            stop_ticks,
            target_ticks,
            looks: 0,
        };
        let fault = if net == 0 {
            Some("There is no position to reverse.".to_owned())
        } else if self.is_flattening(place) {
            Some("The position is being closed or reversed already.".to_owned())
        } else {
            // Asked before anything is cancelled: a refusal later would leave the position without its exits.
            let draft = self.turning_draft(place, tag, net.abs() * 2, net, &source);
            let reasons = objections(&self.turn_facts(&draft, reversal.plan().as_ref()));
            let texts: Vec<String> = reasons.into_iter().map(|(_, text)| text).collect();
            (!texts.is_empty()).then(|| texts.join(" "))
        };
        if let Some(fault) = fault {
            self.done(request, DoneOutcome::Denied, fault);
            return;
        }
        let mut task = Task::new(Goal::Reverse(reversal), account, Some(contract), source);
        task.requests.push(request);
        // Entries too: what rests on the old side would be an exit that nobody meant.
        task.orders = self.living(|order| (order.account, order.contract) == place);
        self.start_task(task);
    }

    fn turning_draft(
        &self,
        (account, contract): Place,
        tag: ClientTag,
        size: i64,
        net: i64,
        source: &str,
    ) -> Draft {
        Draft {
            tag,
            account,
            contract_id: self.contract_of(contract).id.clone(),
            side: if net > 0 { Side::Sell } else { Side::Buy },
            kind: OrderKind::Market,
            size: Lots(size),
            limit: None,
            stop: None,
            trail: None,
            stop_bracket_ticks: None,
            target_bracket_ticks: None,
            is_reduce_only: false,
            source: source.to_owned(),
            pressed: Mono(0),
        }
    }

    /// The newest read: turn what is there, or see that it has turned.
    pub(super) fn judge_reversal(
        &mut self,
        number: u64,
        mut task: Task,
        reversal: Reversal,
    ) -> Option<Task> {
        let contract = task.contract?;
        let place = (task.account, contract);
        let net = self.net_of(place);
        let is_settled = net == self.net(place);
        if reversal.is_sent {
            return self.judge_turned(number, task, reversal, net);
        }
        if net == 0 {
            let text =
                "Not reversed: an exit closed the position first. Flat, read back from the broker.";
            self.progress(number, &mut task, "verified", (1, 1), text.to_owned());
            self.end_task(number, &mut task, DoneOutcome::Denied, text);
            return None;
        }
        if net * reversal.wanted > 0 || !is_settled {
            let text = "The position changed its side or is not certain.";
            self.stop_halfway(number, &mut task, text);
            self.begin_read(&mut task, 0);
            return Some(task);
        }
        let size = net.abs() + reversal.wanted.abs();
        let draft = self.turning_draft(place, reversal.tag, size, net, &task.source.clone());
        let plan = reversal.plan();
        let verdict = admit(&self.turn_facts(&draft, plan.as_ref()));
        if let Err(reasons) = &verdict {
            let texts: Vec<String> = reasons.iter().map(|(_, text)| text.clone()).collect();
            self.stop_halfway(number, &mut task, &texts.join(" "));
            self.begin_read(&mut task, 0);
            return Some(task);
        }
        self.send_planned(draft, plan, verdict);
        let text = format!("One order of {size} turns {net} into {}.", reversal.wanted);
        self.progress(number, &mut task, "turning", (0, 1), text);
        task.goal = Goal::Reverse(Reversal {
            is_sent: true,
            ..reversal
        });
        task.phase = Phase::Turning {
            until: Mono(self.now.0 + SLOW_NS),
        };
        Some(task)
    }

    /// Waits for the end of the order. In doubt it is waited for as long as it takes.
    pub(super) fn wait_for_turn(&mut self, number: u64, mut task: Task, until: Mono) -> Task {
        let Goal::Reverse(reversal) = task.goal else {
            return task;
        };
        let Some(index) = self.store.order(reversal.tag.as_str()) else {
            return task;
        };
        let order = &self.store.orders[index];
        if order.life.is_end() {
            if order.life != Life::Filled {
                let why = format!("The broker did not turn it. {}", order.reason);
                self.stop_halfway(number, &mut task, why.trim_end());
            }
            self.begin_read(&mut task, SETTLE_NS);
            return task;
        }
        let is_unknown = order.doubt.is_some();
        if is_unknown && !task.lines.iter().any(|line| line.is("unknown")) {
            let text = "The order that turns the position has no answer; checking with the broker. Until then the \
                        position may be on either side, without a stop.";
            self.notice(NoticeLevel::Alarm, "reverse_unknown", text.to_owned());
            self.progress(number, &mut task, "unknown", (0, 1), text.to_owned());
        }
        if self.now >= until {
            task.phase = Phase::Turning {
                until: Mono(self.now.0 + SLOW_NS),
            };
            if !is_unknown {
                let text = "The order that turns the position has not filled, and there is no stop until it does. \
                            Flatten to give the reversal up.";
                self.notice(NoticeLevel::Alarm, "reverse_slow", text.to_owned());
                self.progress(number, &mut task, "slow", (0, 1), text.to_owned());
            }
        }
        task
    }

    fn judge_turned(
        &mut self,
        number: u64,
        mut task: Task,
        reversal: Reversal,
        net: i64,
    ) -> Option<Task> {
        if net != reversal.wanted {
            let text = format!(
                "The position is {net} instead of {} after the order.",
                reversal.wanted
            );
            self.stop_halfway(number, &mut task, &text);
            self.begin_read(&mut task, 0);
            return Some(task);
        }
        let place = (task.account, task.contract?);
        let covered = self.covered_lots(place);
        if reversal.stop_ticks.is_some() && covered < net.abs() {
            return self.wait_for_stop(number, task, reversal, covered);
        }
        let exits = match reversal.plan() {
            None => "without exits",
            Some(plan) if plan.stop.is_none() => "its target is placed, there is no stop",
            Some(_) => "its stop works",
        };
        let text = format!(
            "Reversed to {}, {exits}, read back from the broker.",
            position_text(net)
        );
        self.progress(number, &mut task, "verified", (1, 1), text.clone());
        self.end_task(number, &mut task, DoneOutcome::Done, &text);
        None
    }

    /// Lots of a position for which a stop works.
    fn covered_lots(&self, place: Place) -> i64 {
        let stops = self.stops_of(place).into_iter();
        let working = stops.map(|index| &self.store.orders[index]);
        working
            .filter(|order| order.life == Life::Working)
            .map(|order| order.open().0)
            .sum()
    }

    /// The position has turned and its stop does not work yet: looks a few times more, then says that it is bare.
    fn wait_for_stop(
        &mut self,
        number: u64,
        mut task: Task,
        reversal: Reversal,
        covered: i64,
    ) -> Option<Task> {
        if reversal.looks >= LOOKS_MAX {
            let text = format!(
                "Reversed to {}, but a stop works for {covered} of it only: the position is not protected.",
                position_text(reversal.wanted)
            );
            self.end_task(number, &mut task, DoneOutcome::Failed, &text);
            return None;
        }
        let text = "Turned; waiting for the new stop to work.";
        self.progress(number, &mut task, "protecting", (0, 1), text.to_owned());
        task.goal = Goal::Reverse(Reversal {
            looks: reversal.looks + 1,
            ..reversal
        });
        self.begin_read(&mut task, SETTLE_NS);
        Some(task)
    }

    /// Gives the reversal up for flat, and says so.
    pub(super) fn stop_halfway(&mut self, number: u64, task: &mut Task, why: &str) {
        task.goal = Goal::Close { size: None };
        task.halfway = Some(why.to_owned());
        let text = format!("The reversal stops flat half-way. {why}");
        self.record_step(number, "it was given up for flat".to_owned());
        self.notice(NoticeLevel::Warning, "reverse_halfway", text.clone());
        self.progress(number, task, "halfway", (1, 1), text);
    }

    /// Reversals of an account, or of one contract of it.
    pub(super) fn reversals_under(
        &self,
        account: AccountId,
        contract: Option<ContractIndex>,
    ) -> Vec<Place> {
        let tasks = self.tasks.values();
        tasks
            .filter(|task| matches!(task.goal, Goal::Reverse(_)) && task.account == account)
            .filter_map(|task| Some((task.account, task.contract?)))
            .filter(|place| contract.is_none_or(|contract| contract == place.1))
            .collect()
    }

    /// A close or flatten ends a reversal: flat is what was asked for last.
    pub(super) fn overtake_reversals(&mut self, place: Place) {
        let is_one = |task: &Task| matches!(task.goal, Goal::Reverse(_)) && task.covers(place);
        let numbers: Vec<u64> = self
            .tasks
            .iter()
            .filter(|(_, task)| is_one(task))
            .map(|(number, _)| *number)
            .collect();
        for number in numbers {
            if let Some(mut task) = self.tasks.remove(&number) {
                let text = "Not reversed: the position is being closed.";
                self.end_task(number, &mut task, DoneOutcome::Denied, text);
            }
        }
    }
}

/// As a trader says it; a reversal never ends flat.
fn position_text(net: i64) -> String {
    let side = if net > 0 { "long" } else { "short" };
    format!("{side} {}", net.unsigned_abs())
}
