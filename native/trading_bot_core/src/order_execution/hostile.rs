//! Numbers that nobody means, through every sum of the money paths: saturated or refused, never a panic, never wrapped.

use proptest::prelude::*;

use crate::engine::contract::{Board, Input, Outbox, Stamp};
use crate::order_execution::gate::Exposure;
use crate::order_execution::ledger::{Fill, Ledger, Opening};
use crate::rig::{ACCOUNTS, CONTRACTS, Plan, SECOND, World};
use crate::risk_rules::{Book, DayFills, Marks, Rules, judge, size};
use crate::types::sane::{LOTS_MAX, MONEY_MAX, TICKS_MAX};
use crate::types::{BrokerContract, Contract, ContractIndex, Decimal, Mono, Nanos, Side};
use crate::websocket::parse::{self, HubEvent, HubParser};

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

/// One row of the user hub with whatever numbers, on an account and contract that the engine knows.
fn any_row() -> impl Strategy<Value = String> {
    let numbers = prop::collection::vec(any_number(), 5);
    let small = (
        0_usize..4,
        0_i64..11,
        0_i64..7,
        0_i64..2,
        -12_i32..12,
        any::<bool>(),
    );
    (numbers, small).prop_map(|(numbers, (target, status, kind, side, power, is_known))| {
        let id = if is_known { 9_000 + status } else { numbers[0] };
        let account = ACCOUNTS[side as usize].0;
        let contract = CONTRACTS[side as usize];
        let (size, filled, price, money) = (numbers[1], numbers[2], numbers[3], numbers[4]);
        let (target, row) = match target {
            0 => ("Order", format!(r#""status":{status},"type":{kind},"side":{side},"size":{size},"fillVolume":{filled},"limitPrice":{price}e{power},"stopPrice":{money}e{power},"filledPrice":{price}e{power},"trailDistance":{money}"#)),
            1 => ("Trade", format!(r#""price":{price}e{power},"fees":{money}e{power},"side":{side},"size":{size},"orderId":{}"#, 9_000 + status)),
            2 => ("Position", format!(r#""type":{kind},"size":{size},"averagePrice":{price}e{power}"#)),
            _ => ("Account", format!(r#""name":"PRAC-1","balance":{money}e{power},"canTrade":true"#)),
        };
        let id = if target == "Account" { i64::from(account) } else { id };
        format!(r#"{{"type":1,"target":"GatewayUser{target}","arguments":[{{"action":1,"data":{{"id":{id},"accountId":{account},"contractId":"{contract}","creationTimestamp":"2026-10-06T14:30:02.012+00:00",{row}}}}}]}}"#)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// Decoded, applied, judged, valued and shown: the sums of a desk hold whatever the broker's feed says.
    #[test]
    fn no_feed_of_numbers_stops_the_engine(rows in prop::collection::vec(any_row(), 1..40)) {
        let mut world = World::new(Plan::quiet(1));
        world.run_for(3 * SECOND);
        let (board, mut out, mut parser) = (Board::default(), Outbox::default(), HubParser::new());
        let contracts: Vec<Contract> = Vec::new();
        for (row, step) in rows.into_iter().zip(1..) {
            let mut events = Vec::new();
            parser.read(row.as_bytes(), &contracts, &mut |event| {
                if let HubEvent::User(event) = event {
                    events.push(event);
                }
            });
            let mono = Mono(world.now + step * SECOND);
            for event in events {
                let stamp = Stamp { mono, wall: Nanos(0), recv: mono };
                world.engine.step(Input::User(event), stamp, &mut out);
            }
            world.engine.publish(&board);
            out.effects.clear();
        }
    }
}
