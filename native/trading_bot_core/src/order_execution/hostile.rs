//! Numbers that nobody means, through every sum of the money paths: saturated or refused, never a panic, never wrapped.

use proptest::prelude::*;

use crate::order_execution::gate::Exposure;
use crate::order_execution::ledger::{Fill, Ledger, Opening};
use crate::risk_rules::{Book, DayFills, Marks, Rules, judge, size};
use crate::types::sane::{LOTS_MAX, MONEY_MAX, TICKS_MAX};
use crate::types::{BrokerContract, Contract, ContractIndex, Decimal, Side};
use crate::websocket::parse;

/// Every magnitude alike, the ends more often than chance would have them.
fn any_number() -> impl Strategy<Value = i64> {
    let ends = prop::sample::select(vec![
        i64::MIN,
        i64::MIN + 1,
        -1,
        0,
        1,
        i64::MAX - 1,
        i64::MAX,
    ]);
    let some = (any::<i64>(), 0_u32..63).prop_map(|(value, shift)| value >> shift);
    prop_oneof![1 => ends, 2 => some]
}

fn some_fills() -> impl Strategy<Value = Vec<Fill>> {
    let one = (0_i32..2, any_number(), 1..=i64::MAX, any_number());
    prop::collection::vec(one, 0..12).prop_map(|rows| {
        let rows = rows.into_iter().zip(1..);
        rows.map(|((side, price, size, fees), trade_id)| Fill {
            trade_id,
            order_id: trade_id,
            account: 1,
            contract: "C".into(),
            side,
            price,
            size,
            fees,
            time: trade_id,
            voided: false,
        })
        .collect()
    })
}

proptest! {
    #[test]
    fn a_ledger_takes_any_fills(fills in some_fills(), tick_value in 1..=i64::MAX, mark in any_number(), net in any_number(), average_1e4 in any_number()) {
        let mut ledger = Ledger::new(tick_value);
        ledger.open_with(Opening { net, average_1e4 });
        for fill in &fills {
            ledger.take(fill);
        }
        ledger.open_pnl(mark);
        ledger.average_1e4();
        DayFills::of(&ledger, 3);
    }

    #[test]
    fn the_worst_case_of_any_exposure_is_no_smaller_than_what_is_held(net in any_number(), open_buys in 0..=i64::MAX, open_sells in 0..=i64::MAX, more in 0..=i64::MAX) {
        let exposure = Exposure { net, open_buys, open_sells };
        for side in [Side::Buy, Side::Sell] {
            prop_assert!(exposure.worst_with(side, more) >= net.saturating_abs());
            exposure.only_reduces(side, more);
        }
    }

    #[test]
    fn rules_measure_any_day(numbers in prop::collection::vec(any_number(), 12)) {
        let rules = Rules {
            start_balance: numbers[0],
            max_loss: Some(numbers[1]),
            daily_loss: Some(numbers[2]),
            personal_loss: Some(numbers[3]),
            is_personal_trailing: true,
            counts_open: true,
            profit_target: Some(numbers[4]),
            daily_target: Some(numbers[5]),
            ..Rules::default()
        };
        let book = Book { rules: Some(rules.clone()), day: Some(1), opening: numbers[6], high: numbers[7], peak: numbers[8], ..Book::default() };
        let marks = Marks { realised: numbers[9], open: numbers[10], trades: 1, peak: numbers[11] };
        judge::events(&book, &marks, 1);
        judge::begin_day(&book, 2, numbers[6], numbers[9], 1);
        size::tenths(&rules, [("MNQ", numbers[0]), ("NQ", numbers[1])]);
    }

    /// What comes through the door can be added up; what cannot be meant takes its row with it.
    #[test]
    fn rows_with_numbers_that_cannot_be_meant_are_unreadable(size in any_number(), filled in any_number(), fees in any_number(), balance in any_number()) {
        let order = format!(r#"{{"success":true,"orders":[{{"id":1,"accountId":1,"contractId":"C","status":1,"type":1,"side":0,"size":{size},"fillVolume":{filled}}}]}}"#);
        for row in parse::rest_orders(order.as_bytes()).expect("an answer").rows {
            prop_assert!(row.size.is_none_or(|lots| lots.0.abs() <= LOTS_MAX));
            prop_assert!(row.filled.is_none_or(|lots| lots.0.abs() <= LOTS_MAX));
        }
        let trade = format!(r#"{{"success":true,"trades":[{{"id":1,"accountId":1,"contractId":"C","price":1,"side":0,"size":{size},"fees":{fees}}}]}}"#);
        let trades = parse::rest_trades(trade.as_bytes()).expect("an answer");
        prop_assert_eq!(trades.rows.len() + trades.unreadable, 1);
        for row in trades.rows {
            prop_assert!((1..=LOTS_MAX).contains(&row.size.0) && row.fees.0.abs() <= MONEY_MAX);
        }
        let position = format!(r#"{{"success":true,"positions":[{{"id":1,"accountId":1,"contractId":"C","type":1,"size":{size}}}]}}"#);
        for row in parse::rest_positions(position.as_bytes()).expect("an answer").rows {
            prop_assert!(row.net.0.abs() <= LOTS_MAX);
        }
        let account = format!(r#"{{"success":true,"accounts":[{{"id":1,"name":"A","balance":{balance},"canTrade":true}}]}}"#);
        for row in parse::rest_accounts(account.as_bytes()).expect("an answer").rows {
            prop_assert!(row.balance.is_none_or(|money| money.0.abs() <= MONEY_MAX));
        }
    }

    #[test]
    fn a_grid_takes_or_refuses_any_decimal(mantissa in any_number(), exponent in -18_i8..18, size in any_number(), value in any_number()) {
        let row = BrokerContract {
            id: "C".into(),
            name: "MNQZ6".into(),
            tick_size: Decimal::new(size, -2),
            tick_value: Decimal::new(value, -2),
            is_active: true,
            ..BrokerContract::default()
        };
        if let Ok(contract) = Contract::from_broker(ContractIndex(0), &row) {
            let price = Decimal::new(mantissa, exponent);
            if let Ok(ticks) = contract.ticks(price) {
                prop_assert!(ticks.0.abs() <= TICKS_MAX);
                contract.price(ticks);
                contract.price_text(ticks);
            }
            contract.ticks_1e4(price);
        }
    }
}
