//! The rule that came with a bracket: it holds the bracket's stop as soon as that works, and the stop that takes its place.
//!
//! The rule is in the journal with the entry's plan, so nothing is lost when the program ends before the entry fills.

use super::rule::{Plan, Rule};
use crate::engine::views::NoticeLevel;
use crate::order_execution::legs::book::LegRecord;
use crate::order_execution::record::Record;
use crate::order_execution::trading::Trading;

impl Trading {
    /// Attaches what is due. A stop gets the rule once: what ended it there stays ended.
    pub(super) fn attach_planned_rules(&mut self) {
        let waiting = self.store.legs.ruled().filter_map(|(entry, bracket)| {
            let index = self.working_stop(entry)?;
            let key = &self.store.orders[index].key;
            (!bracket.ruled.contains(key)).then(|| (entry.clone(), key.clone()))
        });
        for (entry, key) in waiting.collect::<Vec<_>>() {
            self.attach_planned_rule(&entry, &key);
        }
    }

    fn attach_planned_rule(&mut self, entry: &str, key: &str) {
        let Some(bracket) = self.store.legs.bracket(entry) else {
            return;
        };
        let last = bracket.ruled.last();
        let before = last.and_then(|last| self.store.rules.get(last)).cloned();
        let is_last_alive = last
            .and_then(|last| self.store.order(last))
            .is_some_and(|index| self.store.orders[index].is_live());
        let plan = match &before {
            Some(rule) => Some(rule.plan.clone()),
            // A stop that lives without its rule lost it for a reason; one that is over made room for this one.
            None => bracket.plan.rule.clone().filter(|_| !is_last_alive),
        };
        // A rule that somebody set on this very stop is newer than the plan.
        let is_held = self.store.rules.contains_key(key);
        if let Some(plan) = plan.filter(|_| !is_held) {
            self.hold_planned(entry, key, plan, before.as_ref());
        }
        // Noted last, so that a sudden end in between loses nothing, and whether or not it holds: a stop is tried once.
        self.record(&Record::Legs(LegRecord::Rule {
            entry: entry.to_owned(),
            key: Some(key.to_owned()),
            at: self.now_ns.0,
        }));
    }

    fn hold_planned(&mut self, entry: &str, key: &str, plan: Plan, before: Option<&Rule>) {
        if let Some(fault) = self.rule_fault(key) {
            let text = format!("The rule of {entry} does not hold its stop. {fault}");
            self.notice(NoticeLevel::Alarm, "stop_rule_refused", text);
            return;
        }
        let order = self.store.order(entry);
        let order = order.map(|index| &self.store.orders[index]);
        let source = order.map_or_else(String::new, |order| order.source.clone());
        self.begin_rule(key, plan, &source);
        if let Some(before) = before {
            self.hand_over(key, before);
        }
    }

    /// The stop that takes another's place goes on from the same marks.
    fn hand_over(&mut self, key: &str, before: &Rule) {
        let Some((base, best)) = before.marks else {
            return;
        };
        for price in [None, Some(base), Some(best)] {
            self.record(&Record::RuleMark {
                key: key.to_owned(),
                price,
                at: self.now_ns.0,
            });
        }
    }

    /// A person takes the rule of a stop away: no other stop of the bracket gets it either.
    pub(super) fn release_planned_rule(&mut self, key: &str) {
        let entry = self.store.order(key);
        let entry = entry.and_then(|index| self.entry_of_leg(index));
        let Some(entry) = entry else { return };
        let bracket = self.store.legs.bracket(&entry);
        if bracket.is_some_and(|bracket| bracket.plan.rule.is_some()) {
            self.record(&Record::Legs(LegRecord::Rule {
                entry,
                key: None,
                at: self.now_ns.0,
            }));
        }
    }
}
