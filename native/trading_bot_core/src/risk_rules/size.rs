//! How large an account may be, which products it may hold, and against which other accounts.

use super::rules::Rules;
use crate::types::Side;

/// The largest total position in tenths of a mini; `None` without such a rule.
///
/// `balance`: that of the day's begin, or less after a payout (it rises only with the next session).
/// Source: protocol document 18.1 and 18.2 (help articles 8284197 and 8284223).
pub fn tenths_max(rules: &Rules, balance: i64) -> Option<i64> {
    let steps = rules.scaling.iter().filter(|step| step.from <= balance);
    let scaled = steps
        .max_by_key(|step| step.from)
        .or_else(|| rules.scaling.iter().min_by_key(|step| step.from))
        .map(|step| step.minis);
    let minis = match (rules.minis_max, scaled) {
        (Some(flat), Some(scaled)) => Some(flat.min(scaled)),
        (one, other) => one.or(other),
    };
    minis.map(|minis| minis.saturating_mul(10))
}

/// Tenths of a mini of `(root, worst lots)`, added up without regard to side: mixes add up.
pub fn tenths<'a>(rules: &Rules, lots: impl IntoIterator<Item = (&'a str, i64)>) -> i64 {
    lots.into_iter().fold(0, |sum: i64, (root, lots)| {
        sum.saturating_add(lots.saturating_abs().saturating_mul(rules.weight(root)))
    })
}

/// `2.3` for 23 tenths, `2` for 20.
pub fn minis_text(tenths: i64) -> String {
    if tenths % 10 == 0 {
        (tenths / 10).to_string()
    } else {
        format!("{}.{}", tenths / 10, (tenths % 10).abs())
    }
}

/// Whether a product may be traded.
pub fn is_permitted(rules: &Rules, root: &str) -> bool {
    rules
        .permitted
        .as_ref()
        .is_none_or(|roots| roots.contains(root))
}

/// Whether two roots are the same or equivalent products.
pub fn are_equivalent(rules: &Rules, one: &str, other: &str) -> bool {
    let mut families = rules.families.iter();
    one == other || families.any(|family| family.contains(one) && family.contains(other))
}

/// Whether lots that another account holds or works for stand against an entry on `side`.
pub fn is_opposite(side: Side, net: i64, open_buys: i64, open_sells: i64) -> bool {
    match side {
        Side::Buy => net < 0 || open_sells > net.max(0),
        Side::Sell => net > 0 || open_buys > net.saturating_neg().max(0),
    }
}
