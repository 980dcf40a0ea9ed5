//! The gate for legs: orders that the engine places, resizes or shrinks because an admitted entry filled.
//!
//! The entry was armed and judged; its protection must not depend on what happened since (a reconnect disarms, an
//! unknown order elsewhere blocks new risk). What a leg may never do is open or turn a position: its lots and those of
//! its kind stay within the position that the fills give.

use super::checks::check_way;
use super::{Admitted, Reason, verdict};
use crate::types::Side;

/// What the gate judges a leg by.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, each named at its rule"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LegFacts {
    pub side: Side,
    /// Unfilled lots of this leg now; zero for a new one.
    pub open_now: i64,
    /// Unfilled lots as wanted.
    pub open_wanted: i64,
    /// Unfilled lots of other legs of the same kind (stops, or targets) on this place.
    pub open_others: i64,
    /// Net of the fills.
    pub net: i64,
    pub can_trade: bool,
    pub is_disputed: bool,
    pub is_flattening: bool,
    pub is_journal_writing: bool,
    pub has_budget: bool,
    pub is_tag_fresh: bool,
}

/// Judges a leg. Shrinking needs a journal and a request, nothing else.
///
/// # Errors
/// All reasons against it.
pub fn admit_leg(facts: &LegFacts) -> Result<Admitted, Vec<Reason>> {
    let mut reasons = Vec::new();
    if facts.open_wanted > facts.open_now {
        check_growth(facts, &mut reasons);
    }
    if facts.open_wanted < 1 {
        reasons.push(("size", "A leg without lots is cancelled, not sent.".into()));
    }
    check_way(facts.is_journal_writing, facts.has_budget, &mut reasons);
    verdict(reasons)
}

fn check_growth(facts: &LegFacts, reasons: &mut Vec<Reason>) {
    let held = (-facts.side.sign() * facts.net).max(0);
    let wanted = facts.open_wanted.saturating_add(facts.open_others);
    if wanted > held {
        let text = format!("Legs of {wanted} lots would stand against a position of {held}.");
        reasons.push(("leg_size", text));
    }
    let rules = [
        (
            !facts.can_trade,
            "account_locked",
            "The broker does not let this account trade.",
        ),
        (
            facts.is_disputed,
            "disputed",
            "The broker states another position than the fills give.",
        ),
        (
            facts.is_flattening,
            "flattening",
            "The position is being flattened.",
        ),
        (!facts.is_tag_fresh, "tag", "The leg's tag was used before."),
    ];
    let told = rules.into_iter().filter(|(applies, ..)| *applies);
    reasons.extend(told.map(|(_, code, text)| (code, text.to_owned())));
}
