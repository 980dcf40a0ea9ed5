//! The risk gate: one function, every reason, and the only maker of the token that a risky request needs.
//!
//! Sizes are lots and prices are ticks: text off the grid was refused before it became a draft, with its two neighbours.
//!
//! The gate judges facts that the engine gathered; it looks nothing up itself, so each rule can be tested alone. Orders
//! that cannot raise the worst case pass where only new risk is forbidden (disarmed, halted, unknown, hub down): a trader
//! must be able to get smaller at any time. Cancels never come here.

use checks::{
    check_always, check_identity, check_limits, check_new_risk, check_pace, check_price,
    check_shape,
};

mod change;
mod checks;
mod facts;
mod leg;
mod pace;
#[cfg(test)]
mod tests;

pub use change::{ChangeFacts, admit_change};
pub(super) use checks::REPEATED;
pub use checks::{BRACKET_STOP_TICKS_MIN, TRAIL_TICKS_MAX, WORKING_ORDERS_PER_LOGIN_MAX};
pub use facts::{AccountFacts, Exposure, Facts, Limits, MarketFacts, Reason};
pub use leg::{LegFacts, admit_leg};
pub use pace::{Pace, Paced, Presses};

/// Proof that the gate said yes. Spent by building the request; there is no other way to make one.
#[derive(Debug)]
#[must_use = "an admitted order is sent, or the admission was pointless"]
pub struct Admitted(());

impl Admitted {
    fn mint() -> Self {
        #[cfg(any(test, feature = "rig"))]
        MINTED.with(|count| count.set(count.get() + 1));
        Self(())
    }
}

#[cfg(any(test, feature = "rig"))]
thread_local! {
    static MINTED: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// How many tokens this thread's gates made: the rig compares it with the requests that needed one.
#[cfg(any(test, feature = "rig"))]
pub(crate) fn tokens_minted() -> u64 {
    MINTED.with(std::cell::Cell::get)
}

/// Judges a new order. Returns the token, or every reason against it.
///
/// # Errors
/// All reasons, in a fixed order, so that the trader corrects them at once and not one by one.
pub fn admit(facts: &Facts<'_>) -> Result<Admitted, Vec<Reason>> {
    verdict(objections(facts))
}

/// The only place that makes a token.
fn verdict(reasons: Vec<Reason>) -> Result<Admitted, Vec<Reason>> {
    if reasons.is_empty() {
        Ok(Admitted::mint())
    } else {
        Err(reasons)
    }
}

/// Whether the order is a stop for lots that no stop covers. Like a leg it is counted among its kind alone: the target
/// of a position is no reason to leave the position without its stop, and whoever is short of both takes the target back.
fn is_protection(facts: &Facts<'_>) -> bool {
    let draft = facts.draft;
    let held = facts.exposure.net.saturating_mul(-draft.side.sign());
    draft.is_reduce_only
        && draft.kind.is_stop()
        && facts.open_stops.saturating_add(draft.size.0) <= held
}

/// Every reason against an order, for a question that sends nothing: no token is made for it (I-6).
pub fn objections(facts: &Facts<'_>) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let size = facts.draft.size.0;
    // While broker and fills disagree nobody knows which side would be smaller.
    let reduces = size > 0
        && !facts.is_disputed
        && (facts.exposure.only_reduces(facts.draft.side, size) || is_protection(facts));
    check_shape(facts, &mut reasons);
    check_identity(facts, &mut reasons);
    if !reduces {
        check_new_risk(facts, &mut reasons);
        check_limits(facts, &mut reasons);
        check_pace(facts, &mut reasons);
        reasons.extend(facts.rule_reasons.iter().cloned());
    }
    check_price(facts, reduces, &mut reasons);
    check_always(facts, &mut reasons);
    if facts.draft.is_reduce_only && !reduces && size > 0 {
        reasons.push((
            "reduce_only",
            "The order is meant to reduce, and it could open or turn the position.".into(),
        ));
    }
    reasons
}
