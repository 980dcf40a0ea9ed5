//! Each rule alone, all of them together, and the worst case by property.

use super::*;
use crate::engine::contract::Draft;
use crate::types::{AccountId, Mono};
use crate::types::{Contract, Lots, OrderKind, Side, Ticks};
use proptest::prelude::*;
use rstest::rstest;

pub(super) fn draft(side: Side, size: i64) -> Draft {
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
        elsewhere: None,
        market: MarketFacts {
            bid: Some(Ticks(99)),
            ask: Some(Ticks(101)),
            last: Some(Ticks(100)),
            is_late: false,
        },
        exposure: Exposure::default(),
        open_stops: 0,
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
        paced: Some(Paced::default()),
        is_throttled: false,
        rule_reasons: Vec::new(),
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
    (draft.limit, draft.stop, draft.trail) = (limit.map(Ticks), stop.map(Ticks), trail.map(Ticks));
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
        elsewhere: None,
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
        rule_reasons: Vec::new(),
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

#[test]
fn a_price_far_away_is_told_in_ticks_and_dollars() {
    let mut draft = draft(Side::Buy, 1);
    draft.limit = Some(Ticks(-419));
    let contract = contract();
    let reasons = admit(&calm(&draft, &contract)).expect_err("too far away");
    let text = "The price is 520 ticks ($260.00 a lot) from the market; 400 are allowed.";
    assert_eq!(reasons, [("price_away", text.to_owned())]);
}

#[test]
fn the_value_of_the_position_at_worst_has_a_limit() {
    let contract = contract();
    let draft = draft(Side::Buy, 2);
    let mut facts = calm(&draft, &contract);
    // 4 lots at tick 100 are 4 x 100 x $0.50.
    facts.exposure.net = 2;
    facts.limits.max_notional = 2_000_000;
    assert!(codes(&facts).is_empty());
    facts.limits.max_notional = 1_999_999;
    assert_eq!(codes(&facts), ["notional"]);
}

#[test]
fn rates_hold_back_entries_and_never_what_is_meant_to_reduce() {
    let busy = Some(Paced {
        in_second: 20,
        in_minute: 100,
        repeats: 0,
    });
    assert_eq!(with(|facts| facts.paced = busy), ["rate", "rate"]);
    assert!(with(|facts| facts.paced = None).is_empty());
    let (mut exit, contract) = (draft(Side::Sell, 1), contract());
    exit.is_reduce_only = true;
    let mut facts = calm(&exit, &contract);
    facts.exposure.net = 1;
    (facts.paced, facts.is_throttled) = (busy, true);
    assert!(codes(&facts).is_empty());
}

#[test]
fn a_stop_for_lots_without_a_stop_passes_beside_the_targets_of_the_position() {
    let (mut stop, contract) = (draft(Side::Sell, 2), contract());
    (stop.kind, stop.limit, stop.stop) = (OrderKind::Stop, None, Some(Ticks(90)));
    stop.is_reduce_only = true;
    let judge = |stop: &Draft, open_stops, open_sells| {
        let mut facts = calm(stop, &contract);
        facts.account.as_mut().expect("calm").is_armed = false;
        (facts.exposure.net, facts.exposure.open_sells) = (3, open_sells);
        facts.open_stops = open_stops;
        codes(&facts)
    };
    // A bracket of one lot, and two lots that nothing covers; then targets of all three.
    assert!(judge(&stop, 1, 2).is_empty());
    assert!(judge(&stop, 1, 4).is_empty());
    assert!(judge(&stop, 2, 2).contains(&"reduce_only"));
    stop.is_reduce_only = false;
    assert!(judge(&stop, 1, 2).contains(&"disarmed"));
}

#[test]
fn a_source_that_repeats_itself_is_stopped() {
    let many = Some(Paced {
        in_second: 0,
        in_minute: 30,
        repeats: 30,
    });
    assert_eq!(with(|facts| facts.paced = many), ["repeats"]);
    assert_eq!(with(|facts| facts.is_throttled = true), ["throttled"]);
    let off = with(|facts| {
        facts.paced = many;
        facts.limits.max_repeats = 0;
    });
    assert!(off.is_empty());
}

#[test]
fn the_pace_counts_a_source_and_its_gesture_and_forgets_after_a_minute() {
    let mut pace = Pace::default();
    let one = draft(Side::Buy, 1);
    let mut other_price = one.clone();
    other_price.limit = Some(Ticks(101));
    for (at, order) in [(1, &one), (2, &other_price), (3, &one)] {
        pace.note(order, Mono(at * 1_000_000_000));
    }
    let now = |second: u64| Mono(second * 1_000_000_000);
    let counted = pace.count(&one, 60_000, Mono(3_900_000_000));
    let wanted = Paced {
        in_second: 1,
        in_minute: 3,
        repeats: 2,
    };
    assert_eq!(counted, wanted);
    assert_eq!(pace.count(&one, 60_000, now(62)).in_minute, 1);
    assert_eq!(pace.count(&one, 500, now(3)).repeats, 1);
    pace.forgive(one.account, &one.source);
    assert_eq!(pace.count(&one, 60_000, now(4)).repeats, 0);
}

/// Every way in which working orders may fill, one by one: the worst position that any of them leads to.
fn worst_by_enumeration(net: i64, orders: &[(Side, i64)]) -> i64 {
    let Some(((side, size), rest)) = orders.split_first() else {
        return net.abs();
    };
    let outcomes = (0..=*size).map(|filled| worst_by_enumeration(net + side.sign() * filled, rest));
    outcomes.max().unwrap_or(0)
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

    #[test]
    fn the_worst_case_is_the_worst_of_all_ways_to_fill(
        net in -4_i64..5, sizes in prop::collection::vec((any::<bool>(), 1_i64..4), 0..5), is_buy: bool, size in 0_i64..4,
    ) {
        let side_of = |is_buy: bool| if is_buy { Side::Buy } else { Side::Sell };
        let mut orders: Vec<(Side, i64)> = sizes.into_iter().map(|(is_buy, size)| (side_of(is_buy), size)).collect();
        let mut exposure = Exposure { net, ..Exposure::default() };
        for (side, size) in &orders {
            exposure.add(*side, *size);
        }
        orders.push((side_of(is_buy), size));
        // A position that is there already and that no order touches is the least there can be.
        prop_assert_eq!(exposure.worst_with(side_of(is_buy), size).max(net.abs()), worst_by_enumeration(net, &orders));
    }
}

proptest! {
    /// A number typed by a cat, or sent by a broken program: every reason is told, and nothing panics (D10).
    #[test]
    fn the_gate_answers_to_any_number(numbers in prop::collection::vec(prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX)], 9)) {
        let mut draft = draft(if numbers[0] % 2 == 0 { Side::Sell } else { Side::Buy }, numbers[0]);
        draft.is_reduce_only = numbers[1] % 2 == 0;
        draft.limit = Some(Ticks(numbers[1]));
        draft.stop_bracket_ticks = Some(numbers[2]);
        let mut contract = contract();
        contract.tick_value = crate::types::Money(numbers[3]);
        let mut facts = calm(&draft, &contract);
        facts.market.bid = Some(Ticks(numbers[4]));
        facts.exposure = Exposure { net: numbers[5], open_buys: numbers[6].max(0), open_sells: numbers[7].max(0) };
        facts.limits.max_notional = numbers[8];
        facts.limits.max_position_lots = numbers[8];
        objections(&facts);
    }
}
