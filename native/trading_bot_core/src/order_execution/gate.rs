//! The risk gate: one function, every reason, and the only maker of the token that a risky request needs.
//!
//! The gate judges facts that the engine gathered; it looks nothing up itself, so each rule can be tested alone. Orders
//! that cannot raise the worst case pass where only new risk is forbidden (disarmed, halted, unknown, hub down): a trader
//! must be able to get smaller at any time. Cancels never come here.

use crate::engine::contract::Draft;
use crate::types::{Contract, Lots, OrderKind, Side, Ticks};

/// The limits of one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub max_order_lots: i64,
    pub max_position_lots: i64,
    pub max_price_away_ticks: i64,
    pub max_working_orders: i64,
    pub duplicate_window_ms: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_order_lots: 5,
            max_position_lots: 10,
            max_price_away_ticks: 400,
            max_working_orders: 60,
            duplicate_window_ms: 300,
        }
    }
}

impl Limits {
    /// Fails closed: limits that cannot be meant admit nothing new.
    pub fn are_sane(&self) -> bool {
        self.max_order_lots >= 0
            && self.max_position_lots >= 0
            && self.max_price_away_ticks > 0
            && self.max_working_orders >= 0
            && self.duplicate_window_ms >= 0
    }
}

/// Working orders allowed per login, so that the exits' budget can cancel them all (decision 18).
pub const WORKING_ORDERS_PER_LOGIN_MAX: usize = 60;
/// Distances the broker accepts for a trailing stop.
pub const TRAIL_TICKS_MAX: i64 = 1_000;
/// Distances below which the broker refuses a bracket's stop.
pub const BRACKET_STOP_TICKS_MIN: i64 = 4;

/// Proof that the gate said yes. Spent by building the request; there is no other way to make one.
#[derive(Debug)]
#[must_use = "an admitted order is sent, or the admission was pointless"]
pub struct Admitted(());

/// What stands on one side of a position, at worst.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exposure {
    /// Net of the fills.
    pub net: i64,
    /// Unfilled lots of buys that work, are being sent or are unknown.
    pub open_buys: i64,
    /// The same for sells.
    pub open_sells: i64,
}

impl Exposure {
    /// The largest position, in absolute lots, that the market could give with `size` more on `side`.
    pub fn worst_with(&self, side: Side, size: i64) -> i64 {
        let (buys, sells) = match side {
            Side::Buy => (self.open_buys.saturating_add(size), self.open_sells),
            Side::Sell => (self.open_buys, self.open_sells.saturating_add(size)),
        };
        (self.net.saturating_add(buys))
            .max(-(self.net.saturating_sub(sells)))
            .max(0)
    }

    /// Whether `size` on `side` can only make the position smaller, whatever else fills.
    pub fn only_reduces(&self, side: Side, size: i64) -> bool {
        match side {
            Side::Buy => self.net < 0 && self.open_buys.saturating_add(size) <= -self.net,
            Side::Sell => self.net > 0 && self.open_sells.saturating_add(size) <= self.net,
        }
    }
}

/// What the engine knows about the account of a draft.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, each named at its rule"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountFacts {
    pub is_chosen: bool,
    pub is_reconciled: bool,
    pub can_trade: bool,
    /// The account's kind is known, so that the program may touch it.
    pub is_recognised: bool,
    pub is_armed: bool,
}

/// What the engine knows about the market of a draft.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MarketFacts {
    pub bid: Option<Ticks>,
    pub ask: Option<Ticks>,
    pub last: Option<Ticks>,
    pub is_late: bool,
}

impl MarketFacts {
    /// The price a distance is measured from: the far side of the quote, else the last trade.
    fn reference(&self, side: Side) -> Option<Ticks> {
        let touch = match side {
            Side::Buy => self.ask.or(self.bid),
            Side::Sell => self.bid.or(self.ask),
        };
        touch.or(self.last)
    }
}

/// Everything the gate judges by.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, each named at its rule"
)]
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    pub draft: &'a Draft,
    pub contract: Option<&'a Contract>,
    pub limits: Limits,
    pub account: Option<AccountFacts>,
    pub market: MarketFacts,
    pub exposure: Exposure,
    pub working_on_account: usize,
    pub working_on_login: usize,
    /// An order of this account and contract is in doubt.
    pub has_unknown: bool,
    pub is_disputed: bool,
    pub is_duplicate: bool,
    /// A flatten of this account or contract is under way; entries wait until it ends.
    pub is_flattening: bool,
    pub is_halted: bool,
    pub is_user_hub_live: bool,
    pub is_journal_writing: bool,
    /// The ordinary lane has a request left.
    pub has_budget: bool,
    /// The tag's kind letter fits the endpoint and the tag was never used.
    pub is_tag_fresh: bool,
}

/// One reason: a code for programs and a sentence for people.
pub type Reason = (&'static str, String);

/// Judges a new order. Returns the token, or every reason against it.
///
/// # Errors
/// All reasons, in a fixed order, so that the trader corrects them at once and not one by one.
pub fn admit(facts: &Facts<'_>) -> Result<Admitted, Vec<Reason>> {
    let mut reasons = Vec::new();
    let size = facts.draft.size.0;
    // While broker and fills disagree nobody knows which side would be smaller.
    let reduces =
        size > 0 && !facts.is_disputed && facts.exposure.only_reduces(facts.draft.side, size);
    check_shape(facts, &mut reasons);
    check_identity(facts, &mut reasons);
    if !reduces {
        check_new_risk(facts, &mut reasons);
        check_limits(facts, &mut reasons);
    }
    check_price(facts, reduces, &mut reasons);
    check_always(facts, &mut reasons);
    if facts.draft.is_reduce_only && !reduces && size > 0 {
        reasons.push((
            "reduce_only",
            "The order is meant to reduce, and it could open or turn the position.".into(),
        ));
    }
    if reasons.is_empty() {
        Ok(Admitted(()))
    } else {
        Err(reasons)
    }
}

fn check_shape(facts: &Facts<'_>, reasons: &mut Vec<Reason>) {
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

fn check_identity(facts: &Facts<'_>, reasons: &mut Vec<Reason>) {
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
}

fn check_new_risk(facts: &Facts<'_>, reasons: &mut Vec<Reason>) {
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

fn check_limits(facts: &Facts<'_>, reasons: &mut Vec<Reason>) {
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
    if worst > limits.max_position_lots {
        let text = format!(
            "The position could become {worst} lots; the limit is {} lots.",
            limits.max_position_lots
        );
        reasons.push(("max_position", text));
    }
    let per_account = usize::try_from(limits.max_working_orders).unwrap_or(0);
    if facts.working_on_account >= per_account
        || facts.working_on_login >= WORKING_ORDERS_PER_LOGIN_MAX
    {
        let text = format!(
            "{} orders work already; no more can be guarded.",
            facts.working_on_login
        );
        reasons.push(("working_orders", text));
    }
}

fn check_price(facts: &Facts<'_>, reduces: bool, reasons: &mut Vec<Reason>) {
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
            let text = format!(
                "The price is {away} ticks from the market; {} are allowed.",
                facts.limits.max_price_away_ticks
            );
            reasons.push(("price_away", text));
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

fn check_always(facts: &Facts<'_>, reasons: &mut Vec<Reason>) {
    // Also for what reduces: one gesture is one order, and a second exit would be a decision nobody made (D2).
    if facts.is_duplicate {
        let window = facts.limits.duplicate_window_ms;
        reasons.push((
            "duplicate",
            format!("The same order was given less than {window} ms ago."),
        ));
    }
    if !facts.is_tag_fresh {
        reasons.push((
            "tag",
            "The order's tag was used before or belongs to another kind of account.".into(),
        ));
    }
    if !facts.is_journal_writing {
        reasons.push((
            "journal",
            "The order journal cannot be written; an order without a record is not sent.".into(),
        ));
    }
    if !facts.has_budget {
        reasons.push((
            "budget",
            "The minute's requests are spent; what is left is kept for exits.".into(),
        ));
    }
}

/// What the gate judges a modification by.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, each named at its rule"
)]
#[derive(Clone, Debug)]
pub struct ChangeFacts {
    pub limits: Limits,
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
    if !facts.is_journal_writing {
        reasons.push(("journal", "The order journal cannot be written.".into()));
    }
    if !facts.has_budget {
        reasons.push((
            "budget",
            "The minute's requests are spent; what is left is kept for exits.".into(),
        ));
    }
    if reasons.is_empty() {
        Ok(Admitted(()))
    } else {
        Err(reasons)
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{AccountId, Mono};
    use proptest::prelude::*;
    use rstest::rstest;

    fn draft(side: Side, size: i64) -> Draft {
        Draft {
            tag: "pabc123-1-1".parse().expect("a tag"),
            account: AccountId(1),
            contract_id: "C".into(),
            side,
            kind: OrderKind::Limit,
            size: Lots(size),
            limit: Some(Ticks(100)),
            stop: None,
            trail: None,
            stop_bracket_ticks: None,
            target_bracket_ticks: None,
            is_reduce_only: false,
            source: "ladder".into(),
            pressed: Mono(0),
        }
    }

    fn contract() -> Contract {
        use crate::types::{BrokerContract, ContractIndex, Decimal};
        let row = BrokerContract {
            id: "C".into(),
            name: "MNQZ6".into(),
            tick_size: Decimal::new(25, -2),
            tick_value: Decimal::new(5, -1),
            is_active: true,
            ..BrokerContract::default()
        };
        Contract::from_broker(ContractIndex(0), &row).expect("a good contract")
    }

    /// Facts under which everything passes.
    fn calm<'a>(draft: &'a Draft, contract: &'a Contract) -> Facts<'a> {
        Facts {
            draft,
            contract: Some(contract),
            limits: Limits::default(),
            account: Some(AccountFacts {
                is_chosen: true,
                is_reconciled: true,
                can_trade: true,
                is_recognised: true,
                is_armed: true,
            }),
            market: MarketFacts {
                bid: Some(Ticks(99)),
                ask: Some(Ticks(101)),
                last: Some(Ticks(100)),
                is_late: false,
            },
            exposure: Exposure::default(),
            working_on_account: 0,
            working_on_login: 0,
            has_unknown: false,
            is_disputed: false,
            is_duplicate: false,
            is_flattening: false,
            is_halted: false,
            is_user_hub_live: true,
            is_journal_writing: true,
            has_budget: true,
            is_tag_fresh: true,
        }
    }

    fn codes(facts: &Facts<'_>) -> Vec<&'static str> {
        match admit(facts) {
            Ok(_) => Vec::new(),
            Err(reasons) => reasons.into_iter().map(|(code, _)| code).collect(),
        }
    }

    fn with(change: impl FnOnce(&mut Facts<'_>)) -> Vec<&'static str> {
        let (draft, contract) = (draft(Side::Buy, 1), contract());
        let mut facts = calm(&draft, &contract);
        change(&mut facts);
        codes(&facts)
    }

    #[test]
    fn a_plain_order_in_a_calm_market_passes() {
        assert!(with(|_| {}).is_empty());
    }

    #[test]
    fn each_fact_alone_denies_with_its_own_code() {
        let account = |change: fn(&mut AccountFacts)| {
            with(move |facts| facts.account.iter_mut().for_each(change))
        };
        assert_eq!(
            account(|account| account.is_chosen = false),
            ["account_not_chosen"]
        );
        assert_eq!(
            account(|account| account.is_reconciled = false),
            ["not_reconciled"]
        );
        assert_eq!(
            account(|account| account.can_trade = false),
            ["account_locked"]
        );
        assert_eq!(
            account(|account| account.is_recognised = false),
            ["account_blocked"]
        );
        assert_eq!(account(|account| account.is_armed = false), ["disarmed"]);
        assert_eq!(with(|facts| facts.account = None), ["account"]);
        assert_eq!(with(|facts| facts.contract = None), ["contract"]);
        assert_eq!(with(|facts| facts.has_unknown = true), ["unknown"]);
        assert_eq!(with(|facts| facts.is_disputed = true), ["disputed"]);
        assert_eq!(with(|facts| facts.is_duplicate = true), ["duplicate"]);
        assert_eq!(with(|facts| facts.is_flattening = true), ["flattening"]);
        assert_eq!(with(|facts| facts.is_halted = true), ["halted"]);
        assert_eq!(with(|facts| facts.is_user_hub_live = false), ["user_hub"]);
        assert_eq!(with(|facts| facts.is_journal_writing = false), ["journal"]);
        assert_eq!(with(|facts| facts.has_budget = false), ["budget"]);
        assert_eq!(with(|facts| facts.is_tag_fresh = false), ["tag"]);
        assert_eq!(
            with(|facts| facts.working_on_login = 60),
            ["working_orders"]
        );
        assert_eq!(with(|facts| facts.market.is_late = true), ["late"]);
        assert_eq!(
            with(|facts| facts.market = MarketFacts::default()),
            ["no_market"]
        );
        assert_eq!(
            with(|facts| facts.limits.max_price_away_ticks = -1),
            ["limits", "price_away"]
        );
    }

    #[test]
    fn every_reason_is_told_at_once() {
        let found = with(|facts| {
            facts.is_halted = true;
            facts.has_unknown = true;
            facts.limits.max_order_lots = 0;
        });
        assert_eq!(found, ["halted", "unknown", "max_order"]);
    }

    #[rstest]
    #[case(OrderKind::Limit, None, None, None, &["price_missing"])]
    #[case(OrderKind::Market, Some(100), None, None, &["price_extra"])]
    #[case(OrderKind::Stop, None, Some(105), None, &[])]
    #[case(OrderKind::TrailingStop, None, None, Some(0), &["trail"])]
    #[case(OrderKind::TrailingStop, None, None, Some(20), &[])]
    #[case(OrderKind::JoinBid, None, None, None, &[])]
    fn each_kind_has_its_own_prices(
        #[case] kind: OrderKind,
        #[case] limit: Option<i64>,
        #[case] stop: Option<i64>,
        #[case] trail: Option<i64>,
        #[case] want: &[&str],
    ) {
        let mut draft = draft(Side::Buy, 1);
        draft.kind = kind;
        (draft.limit, draft.stop, draft.trail) =
            (limit.map(Ticks), stop.map(Ticks), trail.map(Ticks));
        assert_eq!(codes(&calm(&draft, &contract())), want);
    }

    #[test]
    fn a_market_order_needs_a_fresh_quote_on_both_sides() {
        let mut draft = draft(Side::Buy, 1);
        (draft.kind, draft.limit) = (OrderKind::Market, None);
        let contract = contract();
        let mut facts = calm(&draft, &contract);
        facts.market.ask = None;
        assert_eq!(codes(&facts), ["stale_quote"]);
    }

    #[test]
    fn getting_smaller_passes_when_disarmed_halted_and_in_doubt() {
        let (draft, contract) = (draft(Side::Sell, 2), contract());
        let mut facts = calm(&draft, &contract);
        facts.exposure.net = 2;
        facts.is_halted = true;
        facts.has_unknown = true;
        facts.is_user_hub_live = false;
        facts
            .account
            .iter_mut()
            .for_each(|account| account.is_armed = false);
        assert!(codes(&facts).is_empty());
        facts.exposure.open_sells = 1;
        assert_eq!(codes(&facts), ["halted", "disarmed", "user_hub", "unknown"]);
    }

    #[test]
    fn a_double_click_on_an_exit_is_one_order() {
        let (draft, contract) = (draft(Side::Sell, 1), contract());
        let mut facts = calm(&draft, &contract);
        facts.exposure.net = 2;
        facts.is_duplicate = true;
        assert_eq!(codes(&facts), ["duplicate"]);
    }

    #[test]
    fn nothing_counts_as_smaller_while_the_broker_states_another_position() {
        let (draft, contract) = (draft(Side::Sell, 2), contract());
        let mut facts = calm(&draft, &contract);
        facts.exposure.net = 2;
        facts.is_disputed = true;
        assert_eq!(codes(&facts), ["disputed"]);
    }

    fn growth() -> ChangeFacts {
        ChangeFacts {
            limits: Limits::default(),
            market: MarketFacts::default(),
            exposure_without: Exposure::default(),
            side: Side::Buy,
            open_now: Lots(1),
            open_wanted: Lots(3),
            size_wanted: Lots(3),
            filled: Lots(0),
            prices: [None, None],
            is_changeable: true,
            is_armed: true,
            is_halted: false,
            has_unknown: false,
            is_disputed: false,
            is_flattening: false,
            is_user_hub_live: true,
            is_journal_writing: true,
            has_budget: true,
        }
    }

    #[rstest]
    #[case(|facts: &mut ChangeFacts| facts.is_armed = false, "disarmed")]
    #[case(|facts: &mut ChangeFacts| facts.is_halted = true, "halted")]
    #[case(|facts: &mut ChangeFacts| facts.has_unknown = true, "unknown")]
    #[case(|facts: &mut ChangeFacts| facts.is_disputed = true, "disputed")]
    #[case(|facts: &mut ChangeFacts| facts.is_flattening = true, "flattening")]
    #[case(|facts: &mut ChangeFacts| facts.is_user_hub_live = false, "user_hub")]
    #[case(|facts: &mut ChangeFacts| facts.limits.max_price_away_ticks = -1, "limits")]
    fn what_forbids_a_new_order_forbids_more_lots_on_an_old_one(
        #[case] change: fn(&mut ChangeFacts),
        #[case] code: &str,
    ) {
        assert!(admit_change(&growth()).is_ok());
        let mut facts = growth();
        change(&mut facts);
        let reasons = admit_change(&facts).expect_err("new risk");
        assert_eq!(
            reasons.iter().map(|(code, _)| *code).collect::<Vec<_>>(),
            [code]
        );
        facts.open_wanted = facts.open_now;
        assert!(admit_change(&facts).is_ok(), "a mere move passes");
    }

    #[test]
    fn the_worst_case_counts_what_works_and_what_is_unknown() {
        let (draft, contract) = (draft(Side::Buy, 3), contract());
        let mut facts = calm(&draft, &contract);
        facts.exposure = Exposure {
            net: 4,
            open_buys: 4,
            open_sells: 9,
        };
        assert_eq!(codes(&facts), ["max_position"]);
    }

    proptest! {
        #[test]
        fn no_admitted_order_can_lead_beyond_the_limit(
            net in -15_i64..15, open_buys in 0_i64..15, open_sells in 0_i64..15, size in 1_i64..6, is_buy: bool, filled in 0_i64..100,
        ) {
            let (draft, contract) = (draft(if is_buy { Side::Buy } else { Side::Sell }, size), contract());
            let mut facts = calm(&draft, &contract);
            facts.exposure = Exposure { net, open_buys, open_sells };
            if codes(&facts).is_empty() {
                let buys = open_buys + if is_buy { size } else { 0 };
                let sells = open_sells + if is_buy { 0 } else { size };
                let after = net + buys * filled / 100 - sells * (99 - filled) / 100;
                let limit = facts.limits.max_position_lots.max(net.abs());
                prop_assert!(after.abs() <= limit || facts.exposure.only_reduces(draft.side, size));
            }
        }
    }
}
