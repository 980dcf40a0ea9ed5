//! The rules for a new order, each a function of the facts that adds its reasons.

use super::{Facts, Reason};
use crate::engine::contract::Draft;
use crate::planted::{Bug, planted};
use crate::types::{Contract, OrderKind};

/// Working orders allowed per login, so that the exits' budget can cancel them all (decision 18).
pub const WORKING_ORDERS_PER_LOGIN_MAX: usize = 60;
/// Distances the broker accepts for a trailing stop.
pub const TRAIL_TICKS_MAX: i64 = 1_000;
/// Distances below which the broker refuses a bracket's stop.
pub const BRACKET_STOP_TICKS_MIN: i64 = 4;
/// The reason of an account that another engine manages.
pub(super) const MANAGED_ELSEWHERE: &str = "managed_elsewhere";
/// The reason that trips the repeated-execution throttle.
pub(in crate::order_execution) const REPEATED: &str = "repeats";

pub(super) fn check_shape(facts: &Facts<'_>, reasons: &mut Vec<Reason>) {
    let draft = facts.draft;
    if draft.size.0 <= 0 {
        reasons.push(("size", format!("Size {} is not positive.", draft.size.0)));
    }
    let needs = match draft.kind {
        OrderKind::Limit => (true, false, false),
        OrderKind::Market | OrderKind::JoinBid | OrderKind::JoinAsk => (false, false, false),
        OrderKind::StopLimit => (true, true, false),
        OrderKind::Stop => (false, true, false),
        OrderKind::TrailingStop => (false, false, true),
    };
    let fields = [
        ("limit", needs.0, draft.limit),
        ("stop", needs.1, draft.stop),
        ("trail", needs.2, draft.trail),
    ];
    for (name, is_needed, value) in fields {
        match (is_needed, value) {
            (true, None) => {
                reasons.push(("price_missing", format!("The order needs a {name} price.")));
            }
            (false, Some(_)) => {
                reasons.push((
                    "price_extra",
                    format!(
                        "An order of kind {} has no {name} price.",
                        draft.kind.word()
                    ),
                ));
            }
            (true, Some(_)) | (false, None) => {}
        }
    }
    check_distances(draft, reasons);
}

fn check_distances(draft: &Draft, reasons: &mut Vec<Reason>) {
    if let Some(trail) = draft.trail
        && !(1..=TRAIL_TICKS_MAX).contains(&trail.0)
    {
        let text = format!(
            "A trail of {} ticks is outside 1 to {TRAIL_TICKS_MAX}.",
            trail.0
        );
        reasons.push(("trail", text));
    }
    if let Some(ticks) = draft.stop_bracket_ticks
        && !(BRACKET_STOP_TICKS_MIN..=TRAIL_TICKS_MAX).contains(&ticks)
    {
        let text = format!(
            "A stop {ticks} ticks away is outside {BRACKET_STOP_TICKS_MIN} to {TRAIL_TICKS_MAX}."
        );
        reasons.push(("bracket", text));
    }
    if let Some(ticks) = draft.target_bracket_ticks
        && !(1..=10_000).contains(&ticks)
    {
        reasons.push((
            "bracket",
            format!("A target {ticks} ticks away is outside 1 to 10000."),
        ));
    }
}

pub(super) fn check_identity(facts: &Facts<'_>, reasons: &mut Vec<Reason>) {
    match facts.contract {
        None => {
            let text = format!(
                "Contract {} is not known; subscribe to it first.",
                facts.draft.contract_id
            );
            reasons.push(("contract", text));
        }
        Some(contract) if !contract.is_active => {
            reasons.push((
                "contract_inactive",
                format!("{} is not active any more.", contract.name),
            ));
        }
        Some(_) => {}
    }
    match facts.account {
        None => reasons.push((
            "account",
            format!(
                "Account {} is not one of this login.",
                facts.draft.account.0
            ),
        )),
        Some(account) => {
            if !account.is_chosen {
                reasons.push((
                    "account_not_chosen",
                    "This account was not chosen in this session.".into(),
                ));
            }
            if !account.is_recognised {
                reasons.push((
                    "account_blocked",
                    "The account's kind cannot be told from its name; it counts as live money and is blocked.".into(),
                ));
            }
            if !account.can_trade {
                reasons.push((
                    "account_locked",
                    "The broker does not let this account trade.".into(),
                ));
            }
        }
    }
    reasons.extend(
        facts
            .elsewhere
            .clone()
            .map(|text| (MANAGED_ELSEWHERE, text)),
    );
}

pub(super) fn check_new_risk(facts: &Facts<'_>, reasons: &mut Vec<Reason>) {
    if facts.is_halted {
        reasons.push((
            "halted",
            "The engine is halted; only exits are taken.".into(),
        ));
    }
    if facts.is_flattening {
        reasons.push((
            "flattening",
            "The position is being flattened; entries wait until that ends.".into(),
        ));
    }
    if let Some(account) = facts.account {
        if !account.is_armed {
            reasons.push((
                "disarmed",
                "Trading from here is not armed on this account.".into(),
            ));
        }
        if !account.is_reconciled {
            reasons.push((
                "not_reconciled",
                "The account was not yet compared with the broker.".into(),
            ));
        }
    }
    if !facts.is_user_hub_live {
        reasons.push((
            "user_hub",
            "The order connection is down; the broker's answers would not be seen.".into(),
        ));
    }
    if facts.has_unknown {
        reasons.push(("unknown", "An earlier order is unresolved.".into()));
    }
    if facts.is_disputed {
        reasons.push((
            "disputed",
            "The broker states another position than the fills give.".into(),
        ));
    }
}

pub(super) fn check_limits(facts: &Facts<'_>, reasons: &mut Vec<Reason>) {
    let limits = &facts.limits;
    if !limits.are_sane() {
        reasons.push((
            "limits",
            "The account's limits cannot be meant; nothing new is admitted.".into(),
        ));
        return;
    }
    let size = facts.draft.size.0;
    if size > limits.max_order_lots {
        reasons.push((
            "max_order",
            format!(
                "Size {size} is above the limit of {} lots.",
                limits.max_order_lots
            ),
        ));
    }
    let worst = facts.exposure.worst_with(facts.draft.side, size.max(0));
    let most = limits.max_position_lots + i64::from(planted(Bug::LimitPlusOne));
    if worst > most {
        let text = format!(
            "The position could become {worst} lots; the limit is {} lots.",
            limits.max_position_lots
        );
        reasons.push(("max_position", text));
    }
    check_notional(facts, worst, reasons);
    let per_account = usize::try_from(limits.max_working_orders).unwrap_or(0);
    if facts.working_on_account >= per_account && !is_login_full(facts) {
        let text = format!(
            "{} orders work or are planned on this account; the limit is {per_account}.",
            facts.working_on_account
        );
        reasons.push(("working_orders", text));
    }
}

fn is_login_full(facts: &Facts<'_>) -> bool {
    facts.working_on_login >= WORKING_ORDERS_PER_LOGIN_MAX
}

fn check_notional(facts: &Facts<'_>, worst: i64, reasons: &mut Vec<Reason>) {
    let draft = facts.draft;
    let price = draft
        .limit
        .or(draft.stop)
        .or_else(|| facts.market.reference(draft.side));
    let (Some(contract), Some(price)) = (facts.contract, price) else {
        return;
    };
    let value = i128::from(price.0.unsigned_abs())
        .saturating_mul(i128::from(contract.tick_value.0))
        .saturating_mul(i128::from(worst));
    if value > i128::from(facts.limits.max_notional) {
        let text = format!(
            "The position could be worth ${}; the limit is ${}.",
            value / 10_000,
            facts.limits.max_notional / 10_000
        );
        reasons.push(("notional", text));
    }
}

/// Too many orders, or the same one too often. What may only reduce is never held back.
pub(super) fn check_pace(facts: &Facts<'_>, reasons: &mut Vec<Reason>) {
    if facts.draft.is_reduce_only {
        return;
    }
    if facts.is_throttled {
        let text = format!(
            "{} repeated itself too often; a person has to release it.",
            facts.draft.source
        );
        reasons.push(("throttled", text));
    }
    let Some(paced) = facts.paced else { return };
    let limits = &facts.limits;
    let rates = [
        (paced.in_second, limits.max_orders_per_second, "second"),
        (paced.in_minute, limits.max_orders_per_minute, "minute"),
    ];
    for (sent, most, unit) in rates {
        if sent >= most {
            let text = format!("{sent} orders were sent within one {unit}; {most} are allowed.");
            reasons.push(("rate", text));
        }
    }
    if limits.max_repeats > 0 && paced.repeats >= limits.max_repeats && !facts.is_throttled {
        let text = format!(
            "{} gave the same order {} times within {} s; it is stopped until a person releases it.",
            facts.draft.source,
            paced.repeats,
            limits.repeat_window_ms / 1_000
        );
        reasons.push((REPEATED, text));
    }
}

pub(super) fn check_price(facts: &Facts<'_>, reduces: bool, reasons: &mut Vec<Reason>) {
    let draft = facts.draft;
    let reference = facts.market.reference(draft.side);
    for price in [draft.limit, draft.stop].into_iter().flatten() {
        let Some(reference) = reference else {
            reasons.push((
                "no_market",
                "No price is known to measure the order against.".into(),
            ));
            break;
        };
        let away = price.0.saturating_sub(reference.0).saturating_abs();
        if away > facts.limits.max_price_away_ticks {
            let allowed = facts.limits.max_price_away_ticks;
            let dollars = dollars_text(facts.contract, away);
            reasons.push((
                "price_away",
                format!(
                    "The price is {away} ticks{dollars} from the market; {allowed} are allowed."
                ),
            ));
        }
    }
    let has_quote =
        facts.market.bid.is_some() && facts.market.ask.is_some() && !facts.market.is_late;
    let is_priced_by_market = match draft.kind {
        OrderKind::Market | OrderKind::TrailingStop | OrderKind::JoinBid | OrderKind::JoinAsk => {
            true
        }
        OrderKind::Limit | OrderKind::Stop | OrderKind::StopLimit => false,
    };
    if is_priced_by_market && !has_quote && !reduces {
        reasons.push(("stale_quote", "There is no fresh two-sided quote.".into()));
    }
    if !is_priced_by_market && facts.market.is_late && !reduces {
        reasons.push(("late", "The market data of this contract is late.".into()));
    }
}

/// ` ($260.00 a lot)`, or nothing for an unknown contract.
fn dollars_text(contract: Option<&Contract>, ticks: i64) -> String {
    contract.map_or_else(String::new, |contract| {
        format!(" (${} a lot)", contract.tick_value.times(ticks))
    })
}

pub(super) fn check_always(facts: &Facts<'_>, reasons: &mut Vec<Reason>) {
    // Also for what reduces: one gesture is one order, and a second exit would be a decision nobody made (D2).
    if facts.is_duplicate {
        let window = facts.limits.duplicate_window_ms;
        reasons.push((
            "duplicate",
            format!("The same order was given less than {window} ms ago."),
        ));
    }
    // Also for what reduces: one order more could not be cancelled in time, and a close needs no working order.
    if is_login_full(facts) {
        let text = format!(
            "{} orders work or are planned already; no more can be guarded. Cancel some, or close.",
            facts.working_on_login
        );
        reasons.push(("working_orders", text));
    }
    if !facts.is_tag_fresh {
        reasons.push((
            "tag",
            "The order's tag was used before or belongs to another kind of account.".into(),
        ));
    }
    check_way(facts.is_journal_writing, facts.has_budget, reasons);
}

/// What every request that needs the token needs on its way: its record, and a place in the minute's budget.
pub(super) fn check_way(is_journal_writing: bool, has_budget: bool, reasons: &mut Vec<Reason>) {
    if !is_journal_writing {
        reasons.push((
            "journal",
            "The order journal cannot be written; nothing is sent without a record.".into(),
        ));
    }
    if !has_budget {
        reasons.push((
            "budget",
            "The minute's requests are spent; what is left is kept for exits.".into(),
        ));
    }
}
