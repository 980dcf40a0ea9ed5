//! Break-even and trailing stops: rules held by this computer that move a stop which stands at the broker.
//!
//! ```text
//! attached ──position there──► following ──level above the stop──► one modification in flight ─┐
//!    ▲                           │   ▲                                                        │
//!    └──────── flat ─────────────┘   └──────────── answered, or read back ────────────────────┘
//! restart, new session: resuming ──reconciled, stop and position still there──► following, else ended with a word
//! ```
//!
//! The stop itself is always an order at the broker: when this computer dies, it stays where it was moved last. A rule
//! ends with its order. Prices that count are prints, and the touch at which the position could be closed; each new best
//! is journaled before it is used, so that a restart goes on from the same high-water mark. The rule of a bracket is part
//! of its plan and is attached here (`planned`), whoever lives or dies between the entry and its fill.

mod planned;
pub mod rule;

use std::collections::BTreeMap;

use self::rule::{Level, Part, Plan, Rule};
use crate::engine::views::{DoneOutcome, Event, NoticeLevel, StopRuleRow};
use crate::order_execution::order::{Change, Life, Role, Values};
use crate::order_execution::record::Record;
use crate::order_execution::store::{Applied, Store};
use crate::order_execution::trading::Trading;
use crate::types::{ContractIndex, Mono, OrderKind, RequestId, Ticks};

const SECOND: u64 = 1_000_000_000;
/// Source of every modification that a rule asks for.
pub(super) const RULE_SOURCE: &str = "stop rule";
/// After so many refusals in a row a rule gives up, loudly.
const FAILURES_MAX: u32 = 5;

/// What a rule has under way; nothing here outlives the process.
#[derive(Clone, Copy, Debug, Default)]
struct RuleClock {
    /// Position and stop were seen since the account was last compared with the broker.
    is_resumed: bool,
    /// The level of a modification without an answer.
    asked: Option<i64>,
    failures: u32,
    /// When the next modification may leave after a failure.
    not_before: Mono,
}

/// What all rules have under way, by the key of their stop order.
#[derive(Debug, Default)]
pub struct RulesAtWork {
    clocks: BTreeMap<String, RuleClock>,
    is_dirty: bool,
}

impl RulesAtWork {
    /// Whether rows changed since the last call.
    pub(crate) fn take_dirty(&mut self) -> bool {
        std::mem::take(&mut self.is_dirty)
    }
}

impl Trading {
    /// Attaches a rule to a stop order, or takes it away when there is no plan.
    pub(super) fn set_stop_rule(
        &mut self,
        request: RequestId,
        key: &str,
        plan: Option<Plan>,
        source: &str,
    ) {
        let Some(plan) = plan else {
            self.release_planned_rule(key);
            let text = if self.store.rules.contains_key(key) {
                self.end_rule(key, NoticeLevel::Info, "The rule was taken away.");
                "The rule was taken away; the stop stays where it is."
            } else {
                "No rule holds this order."
            };
            self.done(request, DoneOutcome::Done, text);
            return;
        };
        if let Some(fault) = plan.fault().or_else(|| self.rule_fault(key)) {
            self.done(request, DoneOutcome::Denied, fault);
            return;
        }
        self.begin_rule(key, plan, source);
        let text = "This computer moves the stop from now on; the stop itself stays at the broker.";
        self.done(request, DoneOutcome::Done, text);
    }

    fn begin_rule(&mut self, key: &str, plan: Plan, source: &str) {
        self.record(&Record::RuleSet {
            key: key.to_owned(),
            plan,
            source: source.to_owned(),
            at: self.now_ns.0,
        });
        // Attached in this session: position and stop were just seen.
        let clock = RuleClock {
            is_resumed: true,
            ..RuleClock::default()
        };
        self.rules_at_work.clocks.insert(key.to_owned(), clock);
        if let Some(contract) = self.rule_contract(key) {
            self.take_mark(key, contract, None);
        }
        self.watch_rule(key);
        self.tell_rule(key);
    }

    /// Why no rule can hold an order; `None` when one can.
    fn rule_fault(&self, key: &str) -> Option<String> {
        let Some(index) = self.store.order(key) else {
            return Some(format!("Order {key} is not known."));
        };
        let order = &self.store.orders[index];
        if let Some(text) = self.management.objection(order.account) {
            return Some(text);
        }
        let net = self.net((order.account, order.contract));
        let is_exit = order.role == Role::Stop || order.side.sign() * net < 0;
        let text = if order.is_foreign {
            "was not sent from here; only own stops are moved by a rule"
        } else if order.kind != OrderKind::Stop {
            "is no stop order; a rule moves a stop's price"
        } else if !order.is_live() {
            "is over already"
        } else if !is_exit {
            "would open a position; a rule holds a stop that closes one"
        } else {
            return None;
        };
        Some(format!("Order {key} {text}."))
    }

    fn rule_contract(&self, key: &str) -> Option<ContractIndex> {
        let index = self.store.order(key)?;
        Some(self.store.orders[index].contract)
    }

    /// Prices of a contract moved. `span`: lowest and highest print of the message, if it was one of prints.
    pub(crate) fn prices_moved(&mut self, contract: ContractIndex, span: Option<(Ticks, Ticks)>) {
        if self.store.rules.is_empty() {
            return;
        }
        let keys: Vec<String> = self.store.rules.keys().cloned().collect();
        for key in keys {
            if self.rule_contract(&key) == Some(contract) {
                self.take_mark(&key, contract, span);
                self.watch_rule(&key);
            }
        }
    }

    /// Journals a new best price of a rule that has a position to follow.
    fn take_mark(&mut self, key: &str, contract: ContractIndex, span: Option<(Ticks, Ticks)>) {
        let Some(sign) = self.followed_sign(key) else {
            return;
        };
        let market = self.markets.get(&contract).copied().unwrap_or_default();
        let is_crossed = market.bid.is_some() && market.ask.is_some() && market.bid >= market.ask;
        let touch = if sign > 0 { market.bid } else { market.ask };
        let touch = touch.filter(|_| !is_crossed && !market.is_late);
        let prints = span.map(|(low, high)| if sign > 0 { high } else { low });
        let favour = [touch, prints].into_iter().flatten();
        let Some(best) = favour.map(|price| sign * price.0).max() else {
            return;
        };
        let marks = self.store.rules.get(key).and_then(|rule| rule.marks);
        if marks.is_none_or(|(_, known)| best > sign * known) {
            self.record(&Record::RuleMark {
                key: key.to_owned(),
                price: Some(sign * best),
                at: self.now_ns.0,
            });
        }
    }

    /// The sign of the position that a rule follows now; `None` while it has to wait.
    fn followed_sign(&self, key: &str) -> Option<i64> {
        let order = &self.store.orders[self.store.order(key)?];
        let is_resumed = self.rules_at_work.clocks.get(key)?.is_resumed;
        let sign = self.net((order.account, order.contract)).signum();
        (is_resumed && order.side.sign() * sign < 0).then_some(sign)
    }

    /// Does for every rule what is due; called after every input but market data.
    pub(super) fn run_rules(&mut self) {
        self.attach_planned_rules();
        if self.store.rules.is_empty() && self.rules_at_work.clocks.is_empty() {
            return;
        }
        let keys: Vec<String> = self.store.rules.keys().cloned().collect();
        for key in keys {
            self.watch_rule(&key);
        }
        let rules = &self.store.rules;
        self.rules_at_work
            .clocks
            .retain(|key, _| rules.contains_key(key));
    }

    /// When a rule that failed tries again.
    pub(super) fn next_rule_moment(&self) -> Option<Mono> {
        let clocks = self.rules_at_work.clocks.values();
        let waiting = clocks.filter(|clock| clock.not_before > self.now && clock.asked.is_none());
        waiting.map(|clock| clock.not_before).min()
    }

    /// One look at one rule: it ends, waits, or moves its stop.
    fn watch_rule(&mut self, key: &str) {
        let Some(index) = self.store.order(key) else {
            return;
        };
        let order = &self.store.orders[index];
        let place = (order.account, order.contract);
        let has_position = order.side.sign() * self.net(place) < 0;
        if order.life.is_end() {
            self.end_with_order(key, order.life, has_position);
            return;
        }
        let account = self.accounts.get(&place.0);
        let is_compared = account.is_some_and(|state| state.is_reconciled);
        if !is_compared || !self.management.is_here(place.0) {
            // A new session, a restart or another engine's account: what was known must be seen again first.
            self.rules_at_work.clocks.remove(key);
            return;
        }
        let is_resumed = self
            .rules_at_work
            .clocks
            .get(key)
            .is_some_and(|clock| clock.is_resumed);
        if !is_resumed && !self.resume_rule(key, index, has_position) {
            return;
        }
        if !has_position {
            self.forget_marks(key);
            return;
        }
        self.settle_asked(key, index);
        self.move_stop(key, index);
    }

    fn end_with_order(&mut self, key: &str, life: Life, has_position: bool) {
        let text = match life {
            Life::Filled => "Its stop filled.".to_owned(),
            other => format!("Its stop is {}.", other.word().replace('_', " ")),
        };
        let is_loud = has_position && life != Life::Filled;
        let level = if is_loud {
            NoticeLevel::Warning
        } else {
            NoticeLevel::Info
        };
        self.end_rule(key, level, &text);
    }

    /// After a comparison with the broker: goes on where the journal left off, or ends. True when it goes on.
    fn resume_rule(&mut self, key: &str, index: usize, has_position: bool) -> bool {
        let order = &self.store.orders[index];
        let place = (order.account, order.contract);
        let net = self.net(place);
        let is_settled = order.doubt.is_none()
            && !self
                .broker_net
                .get(&place)
                .is_some_and(|net| net.is_disputed);
        if !is_settled {
            return false;
        }
        let is_waiting_leg = order.life == Life::Suspended;
        if !has_position && !is_waiting_leg {
            let text = if net == 0 {
                "The position it followed is gone; the stop still works at the broker."
            } else {
                "The position turned; the stop no longer closes it."
            };
            self.end_rule(key, NoticeLevel::Warning, text);
            return false;
        }
        let clock = RuleClock {
            is_resumed: true,
            ..RuleClock::default()
        };
        self.rules_at_work.clocks.insert(key.to_owned(), clock);
        let contract = self.contract_of(place.1);
        let stop = order.stop.map_or_else(
            || "waits for its entry".to_owned(),
            |stop| format!("stands at {}", contract.price_text(stop)),
        );
        let text = format!(
            "The rule of stop {key} goes on: {} position {net}, the stop {stop}.",
            contract.name
        );
        self.notice(NoticeLevel::Info, "stop_rule_resumed", text);
        self.tell_rule(key);
        true
    }

    /// Without a position there is nothing to follow: the next one begins with its own first price.
    fn forget_marks(&mut self, key: &str) {
        let has_marks = |rule: &Rule| rule.marks.is_some() || rule.level.is_some();
        if self.store.rules.get(key).is_some_and(has_marks) {
            self.record(&Record::RuleMark {
                key: key.to_owned(),
                price: None,
                at: self.now_ns.0,
            });
            self.tell_rule(key);
        }
    }

    /// Takes the end of the modification under way: the order shows the level, or it shows that it failed.
    fn settle_asked(&mut self, key: &str, index: usize) {
        let order = &self.store.orders[index];
        if order.change != Change::None || order.doubt.is_some() {
            return;
        }
        let stop = order.stop.map(|ticks| ticks.0);
        let (now, reason) = (self.now, order.reason.clone());
        let Some(clock) = self.rules_at_work.clocks.get_mut(key) else {
            return;
        };
        let Some(asked) = clock.asked.take() else {
            return;
        };
        if stop == Some(asked) {
            clock.failures = 0;
            return;
        }
        clock.failures += 1;
        clock.not_before = Mono(now.0 + SECOND * u64::from(clock.failures));
        let failures = clock.failures;
        if failures >= FAILURES_MAX {
            let text = format!(
                "The stop could not be moved {failures} times in a row and stays where it is. {reason}"
            );
            self.end_rule(key, NoticeLevel::Alarm, text.trim());
        }
    }

    /// Asks for one modification when the wanted level is better than the stop.
    fn move_stop(&mut self, key: &str, index: usize) {
        let order = &self.store.orders[index];
        let place = (order.account, order.contract);
        let is_ready = order.life == Life::Working
            && order.change == Change::None
            && order.doubt.is_none()
            && !self.is_cancel_in_flight(index);
        let (Some(rule), Some(clock)) = (
            self.store.rules.get(key),
            self.rules_at_work.clocks.get(key),
        ) else {
            return;
        };
        let (Some(stop), Some(sign)) = (order.stop, self.followed_sign(key)) else {
            return;
        };
        if !is_ready || clock.asked.is_some() || clock.not_before > self.now {
            return;
        }
        let average = self
            .store
            .ledgers
            .get(&place)
            .map_or(0, super::ledger::Ledger::average_1e4);
        let Some(wanted) = rule.wanted(sign, average) else {
            return;
        };
        let is_news = rule
            .level
            .is_none_or(|level| sign * wanted.ticks > sign * level);
        if rule.is_by_hand && !is_news {
            return;
        }
        let Some(room) = self.room(place.1, sign) else {
            return;
        };
        let favour = (sign * wanted.ticks).min(room);
        let gain = favour - sign * stop.0;
        // Held back by the market, the stop creeps no finer than the rule's own steps.
        let is_held_back = favour < sign * wanted.ticks;
        if gain <= 0 || (is_held_back && gain < rule.plan.step()) {
            return;
        }
        self.ask_to_move(key, index, sign * favour, wanted);
    }

    /// The best level on the right side of the market, in favour; `None` while no fresh price is known.
    fn room(&self, contract: ContractIndex, sign: i64) -> Option<i64> {
        let market = self
            .markets
            .get(&contract)
            .filter(|market| !market.is_late)?;
        let touch = if sign > 0 { market.bid } else { market.ask };
        let prices = [touch, market.last].into_iter().flatten();
        Some(prices.map(|price| sign * price.0).min()? - 1)
    }

    fn ask_to_move(&mut self, key: &str, index: usize, level: i64, wanted: Level) {
        let values = Values {
            stop: Some(level),
            ..Values::default()
        };
        let text = self.explain(index, level, wanted);
        let sent = self.send_change(index, values, RULE_SOURCE, None);
        let Err(reasons) = sent else {
            self.record(&Record::RuleMoved {
                key: key.to_owned(),
                level,
                is_by_hand: false,
                text: text.clone(),
                at: self.now_ns.0,
            });
            if let Some(clock) = self.rules_at_work.clocks.get_mut(key) {
                clock.asked = Some(level);
            }
            self.notice(NoticeLevel::Info, "stop_moved", text);
            self.tell_rule(key);
            return;
        };
        let now = self.now;
        // A spent budget comes back by itself within the minute.
        let is_passing = reasons.iter().any(|(code, _)| *code == "budget");
        let Some(clock) = self.rules_at_work.clocks.get_mut(key) else {
            return;
        };
        clock.failures += u32::from(!is_passing);
        clock.not_before = Mono(now.0 + SECOND * u64::from(clock.failures.max(1)));
        if clock.failures >= FAILURES_MAX {
            let reasons: Vec<String> = reasons.into_iter().map(|(_, text)| text).collect();
            let text = format!("The gate refused to move the stop. {}", reasons.join(" "));
            self.end_rule(key, NoticeLevel::Alarm, &text);
        }
    }

    /// One sentence for the log and the trader: from where to where, and why.
    fn explain(&self, index: usize, level: i64, wanted: Level) -> String {
        let order = &self.store.orders[index];
        let contract = self.contract_of(order.contract);
        let price = |ticks: i64| contract.price_text(Ticks(ticks));
        let marks = self.store.rules.get(&order.key).and_then(|rule| rule.marks);
        let best = marks.map_or_else(String::new, |(_, best)| format!(", best {}", price(best)));
        let held = if level == wanted.ticks {
            String::new()
        } else {
            format!(
                "; {} is on the wrong side of the market by now",
                price(wanted.ticks)
            )
        };
        let from = order.stop.map_or_else(String::new, |stop| {
            format!(" from {}", contract.price_text(stop))
        });
        format!(
            "Stop of {}{from} to {}: {}{best}{held}.",
            contract.name,
            price(level),
            wanted.part
        )
    }

    /// The trader moved a stop that a rule holds: the rule takes that for good and goes on from its next step.
    pub(super) fn note_hand(&mut self, index: usize, stop: Option<i64>, source: &str) {
        let order = &self.store.orders[index];
        let (key, place) = (order.key.clone(), (order.account, order.contract));
        if source == RULE_SOURCE || stop.is_none() {
            return;
        }
        let Some(rule) = self.store.rules.get(&key) else {
            return;
        };
        let sign = -order.side.sign();
        let average = self
            .store
            .ledgers
            .get(&place)
            .map_or(0, super::ledger::Ledger::average_1e4);
        let level = rule.wanted(sign, average).map(|level| level.ticks);
        let Some(level) = level.or(stop) else { return };
        self.record(&Record::RuleMoved {
            key,
            level,
            is_by_hand: true,
            text: "Moved by hand; the rule goes on from its next step.".into(),
            at: self.now_ns.0,
        });
    }

    fn end_rule(&mut self, key: &str, level: NoticeLevel, text: &str) {
        let row = self.rule_row(key, "ended");
        let applied = self.record(&Record::RuleEnded {
            key: key.to_owned(),
            text: text.to_owned(),
            at: self.now_ns.0,
        });
        if !applied.1.is_changed {
            return;
        }
        self.rules_at_work.clocks.remove(key);
        self.rules_at_work.is_dirty = true;
        if let Some(mut row) = row {
            row.text = text.into();
            self.push_event(Event::StopRuleChanged(row));
        }
        self.notice(
            level,
            "stop_rule_ended",
            format!("The rule of stop {key} ended. {text}"),
        );
    }

    fn tell_rule(&mut self, key: &str) {
        self.rules_at_work.is_dirty = true;
        if let Some(row) = self.rule_row(key, self.rule_state(key)) {
            self.push_event(Event::StopRuleChanged(row));
        }
    }

    /// resuming, waiting (for a position or for its trigger) or following.
    fn rule_state(&self, key: &str) -> &'static str {
        let is_resumed = self
            .rules_at_work
            .clocks
            .get(key)
            .is_some_and(|clock| clock.is_resumed);
        if !is_resumed {
            return "resuming";
        }
        let wanted = self.followed_sign(key).and_then(|sign| {
            let order = &self.store.orders[self.store.order(key)?];
            let ledger = self.store.ledgers.get(&(order.account, order.contract))?;
            self.store
                .rules
                .get(key)?
                .wanted(sign, ledger.average_1e4())
        });
        match wanted.map(|level| level.part) {
            None => "waiting",
            Some(Part::BreakEven(_)) => "break_even",
            Some(Part::Trail(..)) => "trailing",
        }
    }

    fn rule_row(&self, key: &str, state: &'static str) -> Option<StopRuleRow> {
        let rule = self.store.rules.get(key)?;
        let order = &self.store.orders[self.store.order(key)?];
        let contract = self.contract_of(order.contract);
        let stages = rule.plan.stages.iter();
        Some(StopRuleRow {
            key: key.into(),
            account_id: i64::from(order.account.0),
            contract: i64::from(order.contract.0),
            contract_id: contract.id.as_str().into(),
            break_even_trigger_ticks: rule.plan.break_even.map(|even| even.trigger),
            break_even_plus_ticks: rule.plan.break_even.map_or(0, |even| even.plus),
            trail_stages: stages
                .map(|stage| (stage.start, stage.distance, stage.step))
                .collect(),
            is_immediate: rule.plan.is_immediate,
            state,
            best_ticks: rule.marks.map(|(_, best)| best),
            level_ticks: rule.level,
            moves: i64::from(rule.moves),
            source: rule.source.as_str().into(),
            text: rule.text.as_str().into(),
        })
    }

    /// All rules, for the board.
    pub(crate) fn rule_rows(&self) -> Vec<StopRuleRow> {
        let keys = self.store.rules.keys();
        keys.filter_map(|key| self.rule_row(key, self.rule_state(key)))
            .collect()
    }
}

/// The durable half: what each record does to the rules.
impl Store {
    pub(super) fn apply_rule_set(&mut self, key: &str, plan: &Plan, source: &str) -> Applied {
        if self.order(key).is_none() {
            return Applied::default();
        }
        let rule = Rule::new(plan.clone(), source.to_owned());
        self.rules.insert(key.to_owned(), rule);
        Applied {
            is_changed: true,
            ..Applied::default()
        }
    }

    pub(super) fn apply_rule_mark(&mut self, key: &str, price: Option<i64>) -> Applied {
        let Some(rule) = self.rules.get_mut(key) else {
            return Applied::default();
        };
        rule.marks = price.map(|best| (rule.marks.map_or(best, |(base, _)| base), best));
        if price.is_none() {
            (rule.level, rule.is_by_hand) = (None, false);
        }
        Applied {
            is_changed: true,
            ..Applied::default()
        }
    }

    pub(super) fn apply_rule_moved(
        &mut self,
        key: &str,
        level: i64,
        is_by_hand: bool,
        text: &str,
    ) -> Applied {
        let Some(rule) = self.rules.get_mut(key) else {
            return Applied::default();
        };
        (rule.level, rule.is_by_hand) = (Some(level), is_by_hand);
        rule.moves += u32::from(!is_by_hand);
        text.clone_into(&mut rule.text);
        Applied {
            is_changed: true,
            ..Applied::default()
        }
    }

    pub(super) fn apply_rule_ended(&mut self, key: &str) -> Applied {
        Applied {
            is_changed: self.rules.remove(key).is_some(),
            ..Applied::default()
        }
    }
}

#[cfg(test)]
mod tests;
