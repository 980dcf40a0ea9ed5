//! What callers say in words and plain numbers, turned into the types of commands: for Python and for the control socket
//! alike, so that both refuse the same things in the same words.

use super::contract::{BarUnit, Environment, Part};
use super::handle::Refusal;
use crate::order_execution::legs::{BracketMode, BracketPlan, Holder, Target, WhenBare};
use crate::order_execution::order::Role;
use crate::order_execution::stop_rules::rule::{BreakEven, Plan, Stage};
use crate::risk_rules::Mode;
use crate::types::{AccountId, OrderKind, Side};

type Read<T> = Result<T, Refusal>;

/// `found`, or the sentence that names the word and what is allowed.
fn known<T>(what: &str, word: &str, found: Option<T>, allowed: &str) -> Read<T> {
    found.ok_or_else(|| {
        Refusal::Invalid(format!(
            "{what} {word:?} is unknown; {allowed} are allowed."
        ))
    })
}

pub fn account(id: i64) -> Read<AccountId> {
    i32::try_from(id)
        .map(AccountId)
        .map_err(|_| Refusal::Invalid(format!("{id} is no account id.")))
}

pub fn side(word: &str) -> Read<Side> {
    known("Side", word, Side::from_word(word), "buy and sell")
}

pub fn kind(word: &str) -> Read<OrderKind> {
    let allowed = OrderKind::ALL.map(OrderKind::word).join(", ");
    known("Order kind", word, OrderKind::from_word(word), &allowed)
}

pub fn role(word: &str) -> Read<Role> {
    let allowed = Role::ALL.map(Role::word).join(", ");
    known("Role", word, Role::from_word(word), &allowed)
}

pub fn mode(word: &str) -> Read<Mode> {
    let allowed = Mode::ALL.map(Mode::word).join(", ");
    known("Mode", word, Mode::from_word(word), &allowed)
}

pub fn bracket_mode(word: &str) -> Read<BracketMode> {
    let allowed = "unknown, auto_oco and position_brackets";
    known("Bracket mode", word, BracketMode::from_word(word), allowed)
}

pub fn environment(word: &str) -> Read<Environment> {
    let allowed = "demo, replay and live";
    known("Environment", word, Environment::from_word(word), allowed)
}

pub fn bar_unit(word: &str) -> Read<BarUnit> {
    let allowed = "second, minute, hour and day";
    known("Bar unit", word, BarUnit::from_word(word), allowed)
}

/// `stop` and the targets' (ticks, lots) are signed distances from the entry's fill; a `rule` that says nothing is none.
pub fn bracket_plan(
    stop: i64,
    targets: Vec<(i64, i64)>,
    held_by: &str,
    when_bare: &str,
    rule: Plan,
) -> Read<BracketPlan> {
    let targets = targets.into_iter();
    Ok(BracketPlan {
        stop: Some(stop),
        targets: targets
            .map(|(ticks, lots)| Target { ticks, lots })
            .collect(),
        holder: known(
            "Holder",
            held_by,
            Holder::from_word(held_by),
            "broker and computer",
        )?,
        when_bare: known(
            "Answer to a missing stop",
            when_bare,
            WhenBare::from_word(when_bare),
            "alarm and flatten",
        )?,
        rule: Some(rule).filter(Plan::says_something),
    })
}

/// Stages are (start, distance, step) in ticks.
pub fn stop_plan(
    trigger: Option<i64>,
    plus: i64,
    stages: Vec<(i64, i64, i64)>,
    is_immediate: bool,
) -> Plan {
    let stages = stages.into_iter().map(|(start, distance, step)| Stage {
        start,
        distance,
        step,
    });
    Plan {
        break_even: trigger.map(|trigger| BreakEven { trigger, plus }),
        stages: stages.collect(),
        is_immediate,
    }
}

/// Neither closes all of it.
pub fn part(lots: Option<i64>, percent: Option<i64>) -> Read<Part> {
    let text = "Name lots or a percentage to close, not both.";
    Part::of(lots, percent).ok_or_else(|| Refusal::Invalid(text.to_owned()))
}
