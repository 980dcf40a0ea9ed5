//! A sample day by hand, each rule alone, and the floor against a naive model.

use std::collections::BTreeSet;

use super::*;
use crate::order_execution::ledger::{Fill, Ledger};
use crate::types::Side;
use proptest::prelude::*;
use rstest::rstest;

/// Dollars as 1/10,000.
const fn usd(dollars: i64) -> i64 {
    dollars * 10_000
}

fn combine_50k() -> Rules {
    Rules {
        name: "Topstep 50K Combine".into(),
        start_balance: usd(50_000),
        max_loss: Some(usd(2_000)),
        max_loss_action: Action::Flatten,
        daily_loss: Some(usd(1_000)),
        daily_loss_action: Action::Flatten,
        counts_open: true,
        profit_target: Some(usd(3_000)),
        minis_max: Some(5),
        weights: [("MNQ", 1), ("SIL", 2), ("MBT", 10)]
            .map(|(root, tenths)| (root.to_owned(), tenths))
            .into(),
        families: vec![BTreeSet::from(["ES".to_owned(), "MES".to_owned()])],
        permitted: Some(["MNQ", "NQ"].map(str::to_owned).into()),
        flat_by_minute: Some(910),
        entries_stop_s: 600,
        flatten_before_s: 180,
        ..Rules::default()
    }
}

fn book(rules: &Rules) -> Book {
    let mut book = Book::default();
    for event in book.state(rules, 1) {
        book.apply(&event);
    }
    book
}

fn begun(rules: &Rules, balance: i64) -> Book {
    let mut book = book(rules);
    let event = judge::begin_day(&book, 20_000, balance, 0, 1);
    book.apply(&event);
    book
}

/// Judges and applies, until nothing follows any more.
fn judge_at(book: &mut Book, marks: Marks) -> Vec<RiskEvent> {
    let mut all = Vec::new();
    loop {
        let events = judge::events(book, &marks, 7);
        if events.is_empty() {
            return all;
        }
        for event in events {
            book.apply(&event);
            all.push(event);
        }
    }
}

fn words(events: &[RiskEvent]) -> Vec<String> {
    let word = |event: &RiskEvent| match event {
        RiskEvent::Warned { rule, percent, .. } => format!("{} {percent}", rule.word()),
        RiskEvent::Tripped { rule, latch } => format!("{} {}", rule.word(), latch.action.word()),
        RiskEvent::Peak { .. } => "peak".into(),
        other => format!("{other:?}"),
    };
    events.iter().map(word).collect()
}

fn open(pnl: i64) -> Marks {
    Marks {
        open: pnl,
        ..Marks::default()
    }
}

fn fill(id: i64, order: i64, side: Side, size: i64, price: i64, time: i64) -> Fill {
    Fill {
        trade_id: id,
        order_id: order,
        account: 1,
        contract: "MNQ".into(),
        side: side.to_wire(),
        price,
        size,
        fees: 6_100 * size,
        time,
        voided: false,
    }
}

/// One day of a 50K Combine in MNQ (tick 0.25 = $0.50), all figures by hand.
///
/// | step | money |
/// |---|---|
/// | balance in the morning | 50,640.00; highest end of day 50,900.00 |
/// | floor | 50,000 − 2,000 + (50,900 − 50,000) = 48,900.00 |
/// | buy 3 at 21,500.00, sell 1 at 21,520.00 | 1 × 80 ticks × 0.50 = +40.00; fees 4 sides × 0.61 = 2.44; realised +37.56 |
/// | last 21,490.00, 2 lots long | 2 × −40 ticks × 0.50 = −40.00 open; day −2.44; equity 50,637.56 |
/// | last 21,240.00 | 2 × −1,040 × 0.50 = −1,040.00 open; day −1,002.44: the daily loss of 1,000 is reached |
/// | sold 2 at 21,239.50 | 2 × −1,042 × 0.50 = −1,042.00; fees 1.22; realised 37.56 − 1,043.22 = −1,005.66 |
#[test]
fn a_sample_day_comes_to_the_figures_worked_out_by_hand() {
    let mut book = begun(&combine_50k(), usd(50_900));
    let event = judge::begin_day(&book, 20_001, usd(50_640), 0, 2);
    book.apply(&event);
    let floor = judge::floor(usd(50_000), usd(2_000), book.high);
    assert_eq!(
        (book.opening, book.high, floor),
        (usd(50_640), usd(50_900), usd(48_900))
    );

    let mut ledger = Ledger::new(5_000);
    ledger.take(&fill(1, 11, Side::Buy, 3, 86_000, 100));
    ledger.take(&fill(2, 12, Side::Sell, 1, 86_080, 101));
    let day = DayFills::of(&ledger, 100);
    assert_eq!(day.realised, 375_600);
    assert_eq!(day.trades, BTreeSet::from([11]));

    let calm = Marks {
        realised: day.realised,
        open: ledger.open_pnl(85_960),
        trades: 1,
        peak: 0,
    };
    assert_eq!(calm.open, -400_000);
    assert_eq!(book.opening + calm.realised + calm.open, 506_375_600);
    assert_eq!(words(&judge_at(&mut book, calm)), Vec::<String>::new());

    let lost = Marks {
        open: ledger.open_pnl(84_960),
        ..calm
    };
    assert_eq!(lost.realised + lost.open, -10_024_400);
    // Of the maximum loss 2,000 − (49,637.56 − 48,900) = 1,262.44 are used: 63 %.
    assert_eq!(
        words(&judge_at(&mut book, lost)),
        ["max_loss 50", "daily_loss flatten"]
    );
    assert!(book.is_flatten_due);

    ledger.take(&fill(3, 13, Side::Sell, 2, 84_958, 102));
    assert_eq!(DayFills::of(&ledger, 100).realised, -10_056_600);
}

#[rstest]
#[case(50_000, 2_000, 50_000, 48_000)]
#[case(50_000, 2_000, 51_500, 49_500)]
#[case(50_000, 2_000, 52_000, 50_000)]
#[case(50_000, 2_000, 58_000, 50_000)]
// An Express account starts at zero.
#[case(0, 2_000, 0, -2_000)]
#[case(0, 2_000, 700, -1_300)]
#[case(0, 2_000, 9_000, 0)]
fn the_floor_follows_the_high_and_stops_at_the_start(
    #[case] start: i64,
    #[case] limit: i64,
    #[case] high: i64,
    #[case] floor: i64,
) {
    assert_eq!(judge::floor(usd(start), usd(limit), usd(high)), usd(floor));
}

#[test]
fn touching_the_floor_with_open_loss_trips_at_once() {
    let mut book = begun(
        &Rules {
            daily_loss: None,
            ..combine_50k()
        },
        usd(50_000),
    );
    assert_eq!(
        words(&judge_at(&mut book, open(-usd(2_000) + 1))),
        ["max_loss 90"]
    );
    assert_eq!(
        words(&judge_at(&mut book, open(-usd(2_000)))),
        ["max_loss flatten"]
    );
}

#[test]
fn warnings_come_once_each_and_the_highest_at_once() {
    let mut book = begun(&combine_50k(), usd(50_000));
    assert_eq!(
        words(&judge_at(&mut book, open(-usd(499)))),
        Vec::<String>::new()
    );
    assert_eq!(
        words(&judge_at(&mut book, open(-usd(500)))),
        ["daily_loss 50"]
    );
    assert_eq!(
        words(&judge_at(&mut book, open(-usd(100)))),
        Vec::<String>::new()
    );
    assert_eq!(
        words(&judge_at(&mut book, open(-usd(600)))),
        Vec::<String>::new()
    );
    assert_eq!(
        words(&judge_at(&mut book, open(-usd(940)))),
        ["daily_loss 90"]
    );
}

/// Regression 15: a daily loss latches to the session's end.
#[test]
fn a_reached_limit_stays_latched_when_the_result_recovers_and_ends_with_the_day() {
    let mut book = begun(&combine_50k(), usd(50_000));
    judge_at(&mut book, open(-usd(1_000)));
    judge_at(&mut book, open(usd(400)));
    assert!(book.latches.contains_key(&RuleName::DailyLoss));
    let event = judge::begin_day(&book, 20_001, usd(49_000), 0, 9);
    book.apply(&event);
    assert!(book.latches.is_empty());
    assert!(!book.is_flatten_due);
}

/// Regression 16: a restart keeps the highest end-of-day balance and the latches.
#[test]
fn events_read_back_from_their_bytes_give_the_same_book() {
    let mut book = Book::default();
    let mut events = book.state(&combine_50k(), 1);
    for event in &events {
        book.apply(event);
    }
    let day = judge::begin_day(&book, 20_000, usd(51_200), 0, 2);
    book.apply(&day);
    events.push(day);
    events.extend(judge_at(&mut book, open(-usd(1_000))));
    let text = serde_json::to_string(&events).expect("events are plain data");
    let read: Vec<RiskEvent> = serde_json::from_str(&text).expect("their own bytes");
    let mut again = Book::default();
    for event in &read {
        again.apply(event);
    }
    assert_eq!(again, book);
    assert_eq!(again.high, usd(51_200));
    assert!(again.latches.contains_key(&RuleName::DailyLoss));
    // The next day's lower balance does not lower the high.
    let next = judge::begin_day(&again, 20_001, usd(50_100), 0, 3);
    again.apply(&next);
    assert_eq!(again.high, usd(51_200));
}

#[test]
fn a_trailing_personal_loss_is_measured_from_the_peak() {
    let rules = Rules {
        personal_loss: Some(usd(500)),
        personal_loss_action: Action::Block,
        is_personal_trailing: true,
        daily_loss: None,
        max_loss: None,
        ..combine_50k()
    };
    let mut book = begun(&rules, usd(50_000));
    let gain = Marks {
        open: usd(1_200),
        peak: usd(1_200),
        ..Marks::default()
    };
    assert_eq!(words(&judge_at(&mut book, gain)), ["peak"]);
    let less = |open: i64| Marks {
        open: usd(open),
        ..gain
    };
    assert_eq!(words(&judge_at(&mut book, less(950))), ["personal_loss 50"]);
    assert_eq!(
        words(&judge_at(&mut book, less(700))),
        ["personal_loss block"]
    );
    assert!(
        !book.is_flatten_due,
        "block leaves the position to the trader"
    );
}

#[test]
fn a_fixed_personal_loss_may_look_at_realised_results_only() {
    let rules = Rules {
        personal_loss: Some(usd(500)),
        counts_open: false,
        daily_loss: None,
        max_loss: None,
        ..combine_50k()
    };
    let mut book = begun(&rules, usd(50_000));
    assert!(judge_at(&mut book, open(-usd(900))).is_empty());
    let closed = Marks {
        realised: -usd(500),
        ..Marks::default()
    };
    assert_eq!(words(&judge_at(&mut book, closed)), ["personal_loss block"]);
}

#[test]
fn targets_and_the_count_of_trades_have_their_own_actions() {
    let rules = Rules {
        daily_target: Some(usd(600)),
        daily_target_action: Action::Flatten,
        trades_max: Some(2),
        ..combine_50k()
    };
    let mut book = begun(&rules, usd(52_500));
    let won = Marks {
        realised: usd(500),
        open: usd(100),
        trades: 2,
        peak: usd(600),
    };
    let told = words(&judge_at(&mut book, won));
    assert_eq!(
        told,
        ["profit_target warn", "daily_target flatten", "trades block"]
    );
}

#[test]
fn stricter_numbers_hold_at_once_and_looser_ones_from_the_next_day() {
    let mut book = begun(&combine_50k(), usd(50_000));
    let stricter = Rules {
        daily_loss: Some(usd(700)),
        ..combine_50k()
    };
    let apply = |book: &mut Book, rules: &Rules| {
        let events = book.state(rules, 3);
        for event in &events {
            book.apply(event);
        }
        events.len()
    };
    assert_eq!(apply(&mut book, &stricter), 1);
    assert_eq!(
        book.rules.as_ref().and_then(|rules| rules.daily_loss),
        Some(usd(700))
    );
    let looser = Rules {
        daily_loss: None,
        ..combine_50k()
    };
    assert_eq!(apply(&mut book, &looser), 1);
    assert_eq!(
        book.rules.as_ref().and_then(|rules| rules.daily_loss),
        Some(usd(700))
    );
    assert_eq!(
        apply(&mut book, &looser),
        0,
        "stating them again changes nothing"
    );
    // A mix: the target is lowered at once, the loss stays until tomorrow.
    let mixed = Rules {
        daily_target: Some(usd(900)),
        ..looser.clone()
    };
    apply(&mut book, &mixed);
    let now = book.rules.clone().expect("rules");
    assert_eq!(
        (now.daily_loss, now.daily_target),
        (Some(usd(700)), Some(usd(900)))
    );
    let event = judge::begin_day(&book, 20_001, usd(50_000), 0, 9);
    book.apply(&event);
    assert_eq!(book.rules.as_ref(), Some(&mixed));
    assert_eq!(book.pending, None);
}

#[test]
fn taking_a_loosening_back_leaves_nothing_pending() {
    let mut book = begun(&combine_50k(), usd(50_000));
    for rules in [
        Rules {
            daily_loss: None,
            ..combine_50k()
        },
        combine_50k(),
    ] {
        for event in book.state(&rules, 3) {
            book.apply(&event);
        }
    }
    assert_eq!((book.pending, book.rules), (None, Some(combine_50k())));
}

fn sizes(order_lots: i64, position_lots: i64) -> Sizes {
    Sizes {
        order_lots,
        position_lots,
        working_orders: 60,
        notional: usd(10_000_000),
    }
}

#[test]
fn sizes_are_lowered_at_once_and_raised_with_the_next_day() {
    let mut book = Book::default();
    book.apply(&book.state_sizes(sizes(5, 10), 1));
    book.apply(&book.state_sizes(sizes(6, 10), 1));
    let before = (book.sizes, book.pending_sizes);
    assert_eq!(before, (Some(sizes(6, 10)), None), "no day has begun");
    book.apply(&judge::begin_day(&book, 20_000, usd(50_000), 0, 2));
    book.apply(&book.state_sizes(sizes(2, 20), 3));
    assert_eq!(book.sizes, Some(sizes(2, 10)));
    assert!(book.has_pending());
    book.apply(&book.state_sizes(sizes(4, 8), 4));
    let held = (book.sizes, book.pending_sizes);
    assert_eq!(
        held,
        (Some(sizes(2, 8)), Some(sizes(4, 8))),
        "the last word waits"
    );
    book.apply(&judge::begin_day(&book, 20_001, usd(50_000), 0, 5));
    assert_eq!((book.sizes, book.has_pending()), (Some(sizes(4, 8)), false));
}

#[test]
fn a_lock_cannot_be_taken_back_by_the_day_but_ends_with_it() {
    let mut book = begun(&combine_50k(), usd(50_000));
    book.apply(&RiskEvent::Mode {
        mode: Mode::Locked,
        source: "window".into(),
        at: 1,
    });
    let event = judge::begin_day(&book, 20_001, usd(50_000), 0, 9);
    book.apply(&event);
    assert_eq!(book.mode, Mode::Normal);
}

#[test]
fn trades_are_orders_that_opened_or_added() {
    let mut ledger = Ledger::new(5_000);
    ledger.take(&fill(1, 10, Side::Buy, 2, 100, 5));
    // The day begins here with 2 lots held.
    ledger.take(&fill(2, 11, Side::Buy, 1, 100, 10));
    ledger.take(&fill(3, 11, Side::Buy, 1, 100, 11));
    ledger.take(&fill(4, 12, Side::Sell, 4, 100, 12));
    // Turns through zero: one fill, and it is an entry.
    ledger.take(&fill(5, 13, Side::Sell, 1, 100, 13));
    ledger.take(&fill(6, 14, Side::Buy, 3, 100, 14));
    let mut voided = fill(7, 15, Side::Buy, 5, 100, 15);
    voided.voided = true;
    ledger.take(&voided);
    assert_eq!(
        DayFills::of(&ledger, 10).trades,
        BTreeSet::from([11, 13, 14])
    );
}

#[rstest]
#[case(&[("MNQ", 50)], 50)]
#[case(&[("NQ", 4), ("MNQ", -9)], 49)]
#[case(&[("SIL", 5)], 10)]
#[case(&[("MBT", 3)], 30)]
fn ten_micros_are_one_mini_and_mixes_add_up(#[case] lots: &[(&str, i64)], #[case] tenths: i64) {
    assert_eq!(size::tenths(&combine_50k(), lots.iter().copied()), tenths);
}

/// The scaling plan of an Express 50K account: 2 minis below 1,500, 3 to 2,000, 5 above.
#[rstest]
#[case(-500, 2)]
#[case(0, 2)]
#[case(1_499, 2)]
#[case(1_500, 3)]
#[case(2_000, 3)]
#[case(2_001, 5)]
fn the_scaling_plan_goes_by_the_balance_of_the_morning(#[case] balance: i64, #[case] minis: i64) {
    let step = |from: i64, minis: i64| ScalingStep { from, minis };
    let rules = Rules {
        scaling: vec![
            step(i64::MIN, 2),
            step(usd(1_500), 3),
            step(usd(2_000) + 1, 5),
        ],
        ..combine_50k()
    };
    assert_eq!(size::tenths_max(&rules, usd(balance)), Some(minis * 10));
}

#[test]
fn a_payout_lowers_the_size_at_once_and_a_gift_does_not_raise_it() {
    let mut book = begun(&combine_50k(), usd(2_500));
    book.apply(&RiskEvent::Rebased {
        balance: usd(1_000),
        at: 2,
    });
    assert_eq!((book.opening, book.size_balance), (usd(1_000), usd(1_000)));
    book.apply(&RiskEvent::Rebased {
        balance: usd(4_000),
        at: 3,
    });
    assert_eq!((book.opening, book.size_balance), (usd(4_000), usd(1_000)));
}

#[rstest]
#[case(Side::Buy, 2, 0, 0, false)]
#[case(Side::Buy, -1, 0, 0, true)]
#[case(Side::Buy, 0, 0, 1, true)]
#[case(Side::Buy, 2, 0, 2, false)]
#[case(Side::Buy, 2, 0, 3, true)]
#[case(Side::Sell, 1, 0, 0, true)]
#[case(Side::Sell, -2, 2, 0, false)]
fn the_other_side_of_another_account_is_opposite(
    #[case] side: Side,
    #[case] net: i64,
    #[case] buys: i64,
    #[case] sells: i64,
    #[case] is_opposite: bool,
) {
    assert_eq!(size::is_opposite(side, net, buys, sells), is_opposite);
    assert!(size::are_equivalent(&combine_50k(), "ES", "MES"));
    assert!(!size::are_equivalent(&combine_50k(), "ES", "NQ"));
}

#[test]
fn numbers_that_cannot_be_meant_are_found() {
    assert!(combine_50k().are_sane());
    assert!(
        !Rules {
            daily_loss: Some(0),
            ..combine_50k()
        }
        .are_sane()
    );
    assert!(
        !Rules {
            max_loss: Some(-1),
            ..combine_50k()
        }
        .are_sane()
    );
    assert!(
        !Rules {
            flat_by_minute: Some(1_440),
            ..combine_50k()
        }
        .are_sane()
    );
}

proptest! {
    /// The floor of each day against the sentence of the rulebook, day by day.
    #[test]
    fn the_floor_agrees_with_the_rulebook_told_naively(
        results in prop::collection::vec(-2_500_i64..2_500, 1..40), start in prop::sample::select(vec![0_i64, 50_000, 150_000]),
        limit in prop::sample::select(vec![2_000_i64, 3_000, 4_500]),
    ) {
        let mut book = begun(&Rules { start_balance: usd(start), max_loss: Some(usd(limit)), ..Rules::default() }, usd(start));
        let mut balance = start;
        let mut naive = start - limit;
        for (day, result) in results.iter().enumerate() {
            let floor = judge::floor(usd(start), usd(limit), book.high);
            prop_assert_eq!(floor, usd(naive));
            balance += result;
            // "Trails the end-of-day balance high, never falls, stops rising at the starting balance."
            if balance - limit > naive {
                naive = (balance - limit).min(start);
            }
            let event = judge::begin_day(&book, 20_001 + day as i32, usd(balance), 0, 1);
            book.apply(&event);
        }
    }

    /// Whatever is stated in whatever order, nothing that holds within a day becomes looser.
    #[test]
    fn within_a_day_no_limit_ever_rises(limits in prop::collection::vec(prop::option::of(1_i64..3_000), 1..12)) {
        let mut book = begun(&combine_50k(), usd(50_000));
        let mut held = usd(1_000);
        for limit in limits {
            let rules = Rules { daily_loss: limit.map(usd), ..combine_50k() };
            for event in book.state(&rules, 1) {
                book.apply(&event);
            }
            let now = book.rules.as_ref().and_then(|rules| rules.daily_loss).unwrap_or(i64::MAX);
            prop_assert!(now <= held);
            prop_assert_eq!(now, held.min(limit.map_or(i64::MAX, usd)));
            held = now;
        }
    }
}

/// Rules with a loss of 2,000 below the highest end of day, and what the firm states as that.
fn trailing(stated_high: Option<i64>) -> Rules {
    Rules {
        start_balance: usd(50_000),
        max_loss: Some(usd(2_000)),
        stated_high,
        ..Rules::default()
    }
}

fn day_after(book: &mut Book, balance: i64, has_gap: bool) {
    let day = book.day.map_or(20_000, |day| day + 1);
    let mut event = judge::begin_day(book, day, balance, 0, 1);
    if let RiskEvent::Day { has_gap: gap, .. } = &mut event {
        *gap = has_gap;
    }
    book.apply(&event);
}

#[test]
fn a_first_day_with_a_past_leaves_the_floor_uncertain_until_the_high_is_stated() {
    let mut seen = begun(&trailing(None), usd(50_640));
    assert!(seen.is_floor_uncertain());
    day_after(&mut seen, usd(50_700), false);
    assert!(
        seen.is_floor_uncertain(),
        "one day more tells nothing of those before"
    );
    for event in seen.state(&trailing(Some(usd(51_000))), 3) {
        seen.apply(&event);
    }
    assert!(!seen.is_floor_uncertain());
    assert_eq!(seen.high, usd(51_000));
    assert!(
        !begun(&trailing(None), usd(50_000)).is_floor_uncertain(),
        "a new account"
    );
    assert!(!begun(&trailing(Some(usd(51_000))), usd(50_640)).is_floor_uncertain());
}

#[test]
fn days_that_were_not_seen_leave_the_floor_uncertain_unless_it_cannot_rise() {
    let mut seen = begun(&trailing(None), usd(50_000));
    day_after(&mut seen, usd(50_300), false);
    assert!(!seen.is_floor_uncertain());
    day_after(&mut seen, usd(50_100), true);
    assert!(seen.is_floor_uncertain());
    day_after(&mut seen, usd(52_100), false);
    assert!(!seen.is_floor_uncertain(), "it stands at the start balance");
    let mut followed = begun(&trailing(Some(usd(50_500))), usd(50_000));
    day_after(&mut followed, usd(50_100), true);
    assert!(
        !followed.is_floor_uncertain(),
        "the firm's own number is followed"
    );
}
