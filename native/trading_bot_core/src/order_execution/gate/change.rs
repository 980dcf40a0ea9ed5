//! The rules for a modification.

use super::checks::{MANAGED_ELSEWHERE, check_way};
use super::{Admitted, Exposure, Limits, MarketFacts, Reason, verdict};
use crate::types::{Lots, Side, Ticks};

/// What the gate judges a modification by.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, each named at its rule"
)]
#[derive(Clone, Debug)]
pub struct ChangeFacts {
    pub limits: Limits,
    /// As for a new order.
    pub elsewhere: Option<String>,
    pub market: MarketFacts,
    /// Exposure without the order itself.
    pub exposure_without: Exposure,
    pub side: Side,
    /// Unfilled lots now and as wanted.
    pub open_now: Lots,
    pub open_wanted: Lots,
    pub size_wanted: Lots,
    pub filled: Lots,
    pub prices: [Option<Ticks>; 2],
    pub is_changeable: bool,
    pub is_armed: bool,
    pub is_halted: bool,
    /// Another order of this account and contract is in doubt.
    pub has_unknown: bool,
    pub is_disputed: bool,
    pub is_flattening: bool,
    pub is_user_hub_live: bool,
    pub is_journal_writing: bool,
    pub has_budget: bool,
    /// What the account's rules, its mode and the hours of the exchange have against more lots.
    pub rule_reasons: Vec<Reason>,
}

/// Judges a modification. Changes that do not raise the worst case pass when disarmed or halted (decision 19).
///
/// # Errors
/// All reasons against it.
pub fn admit_change(facts: &ChangeFacts) -> Result<Admitted, Vec<Reason>> {
    let mut reasons = Vec::new();
    if !facts.is_changeable {
        reasons.push((
            "order_state",
            "The order cannot be changed in its present state.".into(),
        ));
    }
    if facts.size_wanted.0 <= facts.filled.0 {
        let text = format!(
            "Size {} is not above the {} lots filled already.",
            facts.size_wanted.0, facts.filled.0
        );
        reasons.push(("size", text));
    }
    reasons.extend(
        facts
            .elsewhere
            .clone()
            .map(|text| (MANAGED_ELSEWHERE, text)),
    );
    check_change_risk(facts, &mut reasons);
    let reference = facts.market.reference(facts.side);
    for (price, reference) in facts
        .prices
        .into_iter()
        .flatten()
        .filter_map(|price| Some((price, reference?)))
    {
        let away = price.0.saturating_sub(reference.0).saturating_abs();
        if away > facts.limits.max_price_away_ticks {
            let allowed = facts.limits.max_price_away_ticks;
            reasons.push((
                "price_away",
                format!("The price is {away} ticks from the market; {allowed} are allowed."),
            ));
        }
    }
    check_way(facts.is_journal_writing, facts.has_budget, &mut reasons);
    verdict(reasons)
}

fn check_change_risk(facts: &ChangeFacts, reasons: &mut Vec<Reason>) {
    if facts.open_wanted.0 <= facts.open_now.0 {
        return;
    }
    if facts.is_halted {
        reasons.push((
            "halted",
            "The engine is halted; only exits are taken.".into(),
        ));
    }
    if !facts.is_armed {
        reasons.push((
            "disarmed",
            "Trading from here is not armed on this account.".into(),
        ));
    }
    check_change_state(facts, reasons);
    reasons.extend(facts.rule_reasons.iter().cloned());
    if facts.size_wanted.0 > facts.limits.max_order_lots {
        let (size, limit) = (facts.size_wanted.0, facts.limits.max_order_lots);
        reasons.push((
            "max_order",
            format!("Size {size} is above the limit of {limit} lots."),
        ));
    }
    let worst = facts
        .exposure_without
        .worst_with(facts.side, facts.open_wanted.0);
    if worst > facts.limits.max_position_lots
        && !facts
            .exposure_without
            .only_reduces(facts.side, facts.open_wanted.0)
    {
        let limit = facts.limits.max_position_lots;
        reasons.push((
            "max_position",
            format!("The position could become {worst} lots; the limit is {limit} lots."),
        ));
    }
}

/// More lots are new risk: what forbids a new order forbids them too.
fn check_change_state(facts: &ChangeFacts, reasons: &mut Vec<Reason>) {
    let rules = [
        (
            facts.is_flattening,
            "flattening",
            "The position is being flattened; entries wait until that ends.",
        ),
        (
            !facts.is_user_hub_live,
            "user_hub",
            "The order connection is down; the broker's answers would not be seen.",
        ),
        (
            facts.has_unknown,
            "unknown",
            "An earlier order is unresolved.",
        ),
        (
            facts.is_disputed,
            "disputed",
            "The broker states another position than the fills give.",
        ),
        (
            !facts.limits.are_sane(),
            "limits",
            "The account's limits cannot be meant; nothing new is admitted.",
        ),
    ];
    let told = rules.into_iter().filter(|(applies, ..)| *applies);
    reasons.extend(told.map(|(_, code, text)| (code, text.to_owned())));
}
