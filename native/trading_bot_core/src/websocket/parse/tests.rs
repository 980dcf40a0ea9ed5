use super::*;
use crate::types::{
    AccountId, Contract, Decimal, Money, OrderId, OrderKind, OrderStatus, Side, test_contracts,
};
use proptest::prelude::*;
use rstest::rstest;
use std::path::PathBuf;

/// An event whose borrowed parts are owned, so that a test can keep it.
#[derive(Debug, PartialEq)]
enum Seen {
    Quote(u16, QuoteDelta),
    Trades(u16, Vec<TradePrint>),
    Depth(u16, Vec<DepthRecord>),
    User(UserEvent),
    Control,
}

fn contracts() -> Vec<Contract> {
    vec![
        test_contracts::mnq(),
        test_contracts::contract(1, "CON.F.US.JY6.U26", "0.0000005", "6.25"),
    ]
}

fn read(parser: &mut HubParser, record: &[u8]) -> Vec<Seen> {
    let mut seen = Vec::new();
    parser.read(record, &contracts(), &mut |event| {
        seen.push(match event {
            HubEvent::Market(MarketEvent::Quote(index, quote)) => Seen::Quote(index.0, quote),
            HubEvent::Market(MarketEvent::Trades(index, prints)) => {
                Seen::Trades(index.0, prints.to_vec())
            }
            HubEvent::Market(MarketEvent::Depth(index, records)) => {
                Seen::Depth(index.0, records.to_vec())
            }
            HubEvent::User(event) => Seen::User(event),
            _ => Seen::Control,
        });
    });
    seen
}

fn read_one(record: &str) -> (Vec<Seen>, Counters) {
    let mut parser = HubParser::new();
    let seen = read(&mut parser, record.as_bytes());
    (seen, *parser.counters())
}

fn utc(text: &str) -> Nanos {
    Nanos::from_iso(text.as_bytes()).unwrap()
}

const STAMP: &str = "2026-10-06T14:30:02.052+00:00";

#[test]
fn a_partial_quote_states_only_what_changed() {
    let (seen, counters) = read_one(
        r#"{"type":1,"target":"GatewayQuote","arguments":["CON.F.US.MNQ.Z26",{"symbol":"F.US.MNQ","bestBid":25110.25,"bestAsk":25110.75,"lastUpdated":"2026-10-06T14:30:02.1347534+00:00","timestamp":"2026-10-06T14:30:02.048+00:00","contract":"CON.F.US.MNQ.Z26"}]}"#,
    );
    let expected = QuoteDelta {
        best_bid: Some(Ticks(100_441)),
        best_ask: Some(Ticks(100_443)),
        updated: Some(utc("2026-10-06T14:30:02.1347534Z")),
        time: Some(utc("2026-10-06T14:30:02.048Z")),
        ..QuoteDelta::default()
    };
    assert_eq!(seen, [Seen::Quote(0, expected)]);
    assert_eq!(
        counters,
        Counters {
            messages: 1,
            ..Counters::default()
        }
    );
}

#[test]
fn prints_come_as_one_object_or_as_a_list_with_nulls() {
    let print =
        r#"{"price":25110.25,"timestamp":"2026-10-06T14:30:02.052+00:00","type":1,"volume":3}"#;
    let expected = TradePrint {
        time: utc(STAMP),
        price: Ticks(100_441),
        size: Lots(3),
        aggressor: Aggressor::Seller,
    };
    let (bare, _) = read_one(&format!(
        r#"{{"type":1,"target":"GatewayTrade","arguments":["CON.F.US.MNQ.Z26",{print}]}}"#
    ));
    assert_eq!(bare, [Seen::Trades(0, vec![expected])]);
    let list = format!(
        r#"{{"arguments":["CON.F.US.MNQ.Z26",[{print},null,{print}]],"target":"GatewayTrade","type":1}}"#
    );
    let (listed, counters) = read_one(&list);
    assert_eq!(listed, [Seen::Trades(0, vec![expected, expected])]);
    assert_eq!(counters.of(Oddity::NullRow), 1);
}

#[test]
fn numbers_may_be_written_in_quotes_or_with_an_exponent() {
    let (seen, counters) = read_one(
        r#"{"type":1,"target":"GatewayDepth","arguments":["CON.F.US.JY6.U26",{"timestamp":"2026-10-06T14:30:02.052+00:00","type":"2","price":67125E-07,"volume":"4","currentVolume":null}]}"#,
    );
    let expected = DepthRecord {
        time: utc(STAMP),
        kind: 2,
        price: Ticks(13_425),
        size: Lots(4),
    };
    assert_eq!(seen, [Seen::Depth(1, vec![expected])]);
    assert_eq!(counters.of(Oddity::NumberAsText), 2);
}

#[rstest]
#[case(6, 6, 6)]
#[case(6, 0, 6)]
#[case(0, 5, 5)]
#[case(0, 0, 0)]
fn a_levels_size_is_the_current_volume_or_else_the_volume(
    #[case] volume: i64,
    #[case] current: i64,
    #[case] size: i64,
) {
    let record = format!(
        r#"{{"type":1,"target":"GatewayDepth","arguments":["CON.F.US.MNQ.Z26",[{{"timestamp":"{STAMP}","type":1,"price":1,"volume":{volume},"currentVolume":{current}}}]]}}"#
    );
    let (seen, _) = read_one(&record);
    assert_eq!(
        seen,
        [Seen::Depth(
            0,
            vec![DepthRecord {
                time: utc(STAMP),
                kind: 1,
                price: Ticks(4),
                size: Lots(size)
            }]
        )]
    );
}

#[test]
fn a_depth_record_that_cannot_be_read_is_reported_to_the_book() {
    let record = format!(
        r#"{{"type":1,"target":"GatewayDepth","arguments":["CON.F.US.MNQ.Z26",[{{"timestamp":"{STAMP}","type":1,"price":1.1,"volume":2}}]]}}"#
    );
    let (seen, counters) = read_one(&record);
    assert!(matches!(&seen[..], [Seen::Depth(0, records)] if records[0].kind == DepthRecord::LOST));
    assert_eq!(
        (
            counters.of(Oddity::OffGrid),
            counters.of(Oddity::UnreadableRow)
        ),
        (1, 1)
    );
}

#[test]
fn a_depth_message_that_breaks_off_tells_the_book_what_came_before_and_that_more_is_lost() {
    let record = format!(
        r#"{{"type":1,"target":"GatewayDepth","arguments":["CON.F.US.MNQ.Z26",[{{"timestamp":"{STAMP}","type":1,"price":1,"volume":2,"currentVolume":0}},{{"timest"#
    );
    let (seen, counters) = read_one(&record);
    let [Seen::Depth(0, records)] = &seen[..] else {
        panic!("expected one depth message, not {seen:?}")
    };
    let kinds: Vec<u8> = records.iter().map(|record| record.kind).collect();
    assert_eq!(kinds, [1, DepthRecord::LOST]);
    assert_eq!(counters.of(Oddity::Malformed), 1);
}

#[test]
fn a_market_message_without_its_leading_id_names_the_contract_itself() {
    let (seen, _) = read_one(
        r#"{"type":1,"target":"GatewayQuote","arguments":[{"contract":"CON.F.US.MNQ.Z26","lastPrice":25110}]}"#,
    );
    assert_eq!(
        seen,
        [Seen::Quote(
            0,
            QuoteDelta {
                last: Some(Ticks(100_440)),
                ..QuoteDelta::default()
            }
        )]
    );
}

#[rstest]
#[case(
    r#"{"type":1,"target":"GatewayQuote","arguments":["CON.F.US.ES.Z26",{}]}"#,
    Oddity::UnknownContract
)]
#[case(
    r#"{"type":1,"target":"Weather","arguments":[]}"#,
    Oddity::UnknownTarget
)]
#[case(r#"{"type":8,"sequenceId":1}"#, Oddity::UnknownType)]
#[case(
    r#"{"type":1,"target":"GatewayQuote","arguments":["CON.F.US.MNQ.Z26",{"bestBid":}]}"#,
    Oddity::Malformed
)]
#[case(
    r#"{"type":1,"target":"GatewayUserOrder","arguments":[{"action":1,"data":{"size":1}}]}"#,
    Oddity::UnreadableRow
)]
#[case(
    r#"{"type":1,"target":"GatewayUserOrder","arguments":[null]}"#,
    Oddity::NullRow
)]
#[case("nonsense", Oddity::Malformed)]
fn what_cannot_be_used_is_counted_by_kind(#[case] record: &str, #[case] oddity: Oddity) {
    let (seen, counters) = read_one(record);
    assert_eq!(seen, []);
    assert_eq!(counters.of(oddity), 1, "{oddity:?}");
}

const ORDER: &str = r#"{"id":"7100000141","accountId":90000001,"contractId":"CON.F.US.MNQ.Z26","symbolId":"F.US.MNQ","creationTimestamp":"2026-10-06T15:02:20.1+00:00","updateTimestamp":null,"status":1,"type":4,"side":1,"size":2,"stopPrice":25100.25,"fillVolume":0,"customTag":"p-4f2a9c10-SL","parentOrderId":7100000101,"trailDistance":-40,"trailPrice":-10}"#;

#[test]
fn an_order_reads_the_same_bare_wrapped_and_listed() {
    let frame = |argument: String| {
        format!(r#"{{"type":1,"target":"GatewayUserOrder","arguments":[{argument}]}}"#)
    };
    let order = |record: String| match read_one(&record).0.pop() {
        Some(Seen::User(UserEvent::Order(order))) => order,
        other => panic!("expected one order, not {other:?}"),
    };
    let wrapped = order(frame(format!(r#"{{"action":1,"data":{ORDER}}}"#)));
    assert_eq!(wrapped.action, Some(1));
    assert_eq!(
        (wrapped.id, wrapped.account_id),
        (OrderId(7_100_000_141), Some(AccountId(90_000_001)))
    );
    assert_eq!(
        (wrapped.status, wrapped.kind, wrapped.side),
        (OrderStatus::Open, Some(OrderKind::Stop), Some(Side::Sell))
    );
    assert_eq!(
        (wrapped.stop_price, wrapped.limit_price),
        (Some(Decimal::new(2_510_025, -2)), None)
    );
    assert_eq!(
        (
            wrapped.client_tag(),
            wrapped.parent_tag().map(|tag| tag.to_string())
        ),
        (None, Some("p-4f2a9c10".to_owned()))
    );
    let bare = order(frame(ORDER.to_owned()));
    assert_eq!(
        bare,
        BrokerOrder {
            action: None,
            ..wrapped.clone()
        }
    );
    assert_eq!(
        order(frame(format!(r#"[{{"data":{ORDER},"action":1}}]"#))),
        wrapped
    );
    assert_eq!(
        order(frame(format!(r#"{{"action":1,"data":[{ORDER}]}}"#))),
        wrapped
    );
}

#[rstest]
#[case(r#"{"action":1,"data":{"accountId":1,"contractId":"A","type":2,"size":3,"averagePrice":1.5}}"#, Some(-3))]
#[case(
    r#"{"action":1,"data":{"accountId":1,"contractId":"A","type":1,"size":3}}"#,
    Some(3)
)]
#[case(
    r#"{"action":2,"data":{"accountId":1,"contractId":"A","type":0,"size":0}}"#,
    Some(0)
)]
#[case(
    r#"{"action":1,"data":{"accountId":1,"contractId":"A","type":0,"size":3}}"#,
    None
)]
#[case(
    r#"{"action":1,"data":{"accountId":1,"contractId":"A","type":9,"size":3}}"#,
    None
)]
fn a_positions_direction_becomes_its_sign(#[case] argument: &str, #[case] expected: Option<i64>) {
    let (seen, _) = read_one(&format!(
        r#"{{"type":1,"target":"GatewayUserPosition","arguments":[{argument}]}}"#
    ));
    let net = seen.iter().find_map(|event| match event {
        Seen::User(UserEvent::Position(position)) => Some(position.net.0),
        _ => None,
    });
    assert_eq!(net, expected);
}

#[test]
fn money_of_a_fill_is_exact_and_an_opening_fill_has_no_result() {
    let (seen, _) = read_one(
        r#"{"type":1,"target":"GatewayUserTrade","arguments":[{"action":0,"data":{"id":3100000011,"accountId":90000001,"contractId":"CON.F.US.MNQ.Z26","price":25110.25,"fees":0.36,"commissions":0.25,"side":0,"size":1,"voided":false,"orderId":7100000101}}]}"#,
    );
    let [Seen::User(UserEvent::Trade(trade))] = &seen[..] else {
        panic!("expected one trade, not {seen:?}")
    };
    assert_eq!(
        (trade.fees, trade.commissions, trade.profit_and_loss),
        (Money(3_600), Money(2_500), None)
    );
}

#[test]
fn a_logout_is_understood_with_any_argument() {
    for arguments in ["[]", "[null]", r#"["bye"]"#] {
        let (seen, _) = read_one(&format!(
            r#"{{"type":1,"target":"GatewayLogout","arguments":{arguments}}}"#
        ));
        assert_eq!(seen, [Seen::User(UserEvent::Logout)]);
    }
}

#[test]
fn an_answer_counts_the_rows_that_it_could_not_read() {
    let body = br#"{"trades":[{"id":1,"accountId":2,"price":1,"side":0,"size":1,"profitAndLoss":null},{"id":2},null],"success":true,"errorCode":0,"errorMessage":null}"#;
    let answer = rest_trades(body).unwrap();
    assert_eq!(
        (
            answer.rows.len(),
            answer.unreadable,
            answer.envelope.success
        ),
        (1, 2, true)
    );
}

#[rstest]
#[case("", RestError::NotJson)]
#[case(r#"{"success":true"#, RestError::NotJson)]
#[case(r#"{"success":true}x"#, RestError::NotJson)]
#[case("{}", RestError::NoEnvelope)]
fn a_cut_or_foreign_body_is_no_answer(#[case] body: &str, #[case] error: RestError) {
    assert_eq!(rest_envelope(body.as_bytes()), Err(error));
}

#[test]
fn a_refused_place_keeps_its_order_id_and_its_reason() {
    let body = br#"{"orderId":5100000004,"success":false,"errorCode":2,"errorMessage":"Price is not aligned to tick size."}"#;
    let envelope = rest_envelope(body).unwrap();
    assert_eq!(
        (envelope.success, envelope.error_code, envelope.order_id),
        (false, 2, Some(OrderId(5_100_000_004)))
    );
    assert_eq!(
        envelope.error_message.as_deref(),
        Some("Price is not aligned to tick size.")
    );
}

fn shared(name: &str) -> Option<Vec<u8>> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared");
    let root =
        std::env::var_os("PITDESK_SHARED").map_or_else(|| PathBuf::from(default), PathBuf::from);
    let bytes = std::fs::read(root.join("data/wire").join(name)).ok();
    if bytes.is_none() {
        eprintln!("SKIPPED: the shared wire sample {name} is not here");
    }
    bytes
}

#[test]
fn every_recorded_hub_frame_is_recognised() {
    for name in ["hub_market_frames.jsonl", "hub_user_frames.jsonl"] {
        let Some(bytes) = shared(name) else { return };
        let mut parser = HubParser::new();
        for line in bytes
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            let seen = read(&mut parser, line);
            assert_eq!(seen.len(), 1, "{}", String::from_utf8_lossy(line));
        }
        assert_eq!(parser.counters().unrecognised(), 0);
        assert_eq!(parser.counters().of(Oddity::UnreadableField), 0);
    }
}

#[test]
fn every_recorded_answer_is_read_whole() {
    let Some(orders) = shared("rest_order_search_response.json") else {
        return;
    };
    let orders = rest_orders(&orders).unwrap();
    assert_eq!((orders.rows.len(), orders.unreadable), (5, 0));
    assert_eq!(
        rest_trades(&shared("rest_trade_search_response.json").unwrap())
            .unwrap()
            .rows
            .len(),
        2
    );
    assert_eq!(
        rest_accounts(&shared("rest_account_search_response.json").unwrap())
            .unwrap()
            .rows
            .len(),
        2
    );
    assert_eq!(
        rest_contracts(&shared("rest_contract_available_response.json").unwrap())
            .unwrap()
            .rows
            .len(),
        3
    );
    assert_eq!(
        rest_bars(&shared("rest_history_retrievebars_response.json").unwrap())
            .unwrap()
            .rows
            .len(),
        3
    );
    let positions =
        rest_positions(&shared("rest_position_searchopen_response.json").unwrap()).unwrap();
    assert_eq!(positions.rows[0].net, Lots(1));
}

const SAMPLES: [&str; 4] = [
    r#"{"type":1,"target":"GatewayQuote","arguments":["CON.F.US.MNQ.Z26",{"symbol":"F.US.MNQ","lastPrice":25110.25,"bestBid":25110,"volume":812345,"timestamp":"2026-10-06T14:30:02.012+00:00"}]}"#,
    r#"{"type":1,"target":"GatewayTrade","arguments":["CON.F.US.MNQ.Z26",[{"price":25110.25,"timestamp":"2026-10-06T14:30:02.052+00:00","type":0,"volume":1},null]]}"#,
    r#"{"type":1,"target":"GatewayDepth","arguments":["CON.F.US.MNQ.Z26",[{"timestamp":"2026-10-06T14:30:02.1173693+00:00","type":4,"price":25110.25,"volume":2,"currentVolume":0}]]}"#,
    r#"{"type":1,"target":"GatewayUserTrade","arguments":[{"action":0,"data":{"id":3100000011,"accountId":90000001,"price":25110.25,"fees":0.36,"side":0,"size":1}}]}"#,
];

const ANSWERS: [&str; 6] = [
    r#"{"orders":[{"id":7,"accountId":1,"contractId":"CON.F.US.MNQ.Z26","creationTimestamp":"2026-10-06T14:30:02.012+00:00","status":1,"type":4,"side":1,"size":2,"stopPrice":25110.25,"fillVolume":0,"customTag":"pabc123-1-1"}],"success":true,"errorCode":0}"#,
    r#"{"trades":[{"id":3,"accountId":1,"contractId":"C","creationTimestamp":"2026-10-06T14:30:02.012+00:00","price":25110.25,"profitAndLoss":-12.5,"fees":0.36,"side":0,"size":1,"voided":false,"orderId":7}],"success":true,"errorCode":0}"#,
    r#"{"positions":[{"id":3,"accountId":1,"contractId":"C","type":2,"size":3,"averagePrice":25110.333333}],"success":true,"errorCode":0}"#,
    r#"{"accounts":[{"id":1,"name":"PRAC-1","balance":50000.25,"canTrade":true,"isVisible":true,"simulated":true}],"success":true,"errorCode":0}"#,
    r#"{"contracts":[{"id":"C","name":"MNQZ6","tickSize":0.25,"tickValue":5e-1,"activeContract":true,"symbolId":"F.US.MNQ"}],"success":true,"errorCode":0}"#,
    r#"{"bars":[{"t":"2026-10-06T14:30:00+00:00","o":25110.25,"h":25111,"l":25110,"c":25110.5,"v":12}],"orderId":null,"success":true,"errorCode":0}"#,
];

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        read(&mut HubParser::new(), &bytes);
    }

    #[test]
    fn a_damaged_message_never_makes_the_parser_panic(
        sample in prop::sample::select(SAMPLES.to_vec()),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = sample.as_bytes().to_vec();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        read(&mut HubParser::new(), &bytes);
        read(&mut HubParser::new(), &bytes[..cut.index(bytes.len())]);
        let _ = rest_orders(&bytes);
    }

    #[test]
    fn a_damaged_answer_never_makes_a_reader_panic(
        sample in prop::sample::select(ANSWERS.to_vec()),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), prop_oneof![any::<u8>(), Just(b'9'), Just(b'-'), Just(b'e')]), 0..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = sample.as_bytes().to_vec();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        for body in [&bytes[..], &bytes[..cut.index(bytes.len())]] {
            let _ = rest_envelope(body);
            let _ = rest_orders(body);
            let _ = rest_trades(body);
            let _ = rest_positions(body);
            let _ = rest_accounts(body);
            let _ = rest_contracts(body);
            let _ = rest_bars(body);
        }
    }

    #[test]
    fn a_depth_record_reads_the_same_whatever_the_order_of_its_keys(
        kind in 0i64..13,
        ticks in -50i64..50,
        volume in -2i64..9,
        current in -2i64..9,
        order in Just(vec![0usize, 1, 2, 3, 4]).prop_shuffle(),
    ) {
        let price = contracts()[0].price_text(Ticks(ticks));
        let members = [
            format!(r#""timestamp":"{STAMP}""#),
            format!(r#""type":{kind}"#),
            format!(r#""price":{price}"#),
            format!(r#""volume":{volume}"#),
            format!(r#""currentVolume":{current}"#),
        ];
        let frame = |members: &[String]| {
            let row = members.join(",");
            format!(r#"{{"type":1,"target":"GatewayDepth","arguments":["CON.F.US.MNQ.Z26",[{{{row}}},{{{row}}}]]}}"#)
        };
        let shuffled: Vec<String> = order.iter().map(|at| members[*at].clone()).collect();
        prop_assert_eq!(read_one(&frame(&members)), read_one(&frame(&shuffled)));
    }

    #[test]
    fn prices_of_a_quote_reach_their_tick_exactly(ticks in -200_000i64..200_000) {
        let text = contracts()[0].price_text(Ticks(ticks));
        let record = format!(r#"{{"type":1,"target":"GatewayQuote","arguments":["CON.F.US.MNQ.Z26",{{"bestBid":{text}}}]}}"#);
        let (seen, _) = read_one(&record);
        prop_assert_eq!(seen, [Seen::Quote(0, QuoteDelta { best_bid: Some(Ticks(ticks)), ..QuoteDelta::default() })]);
    }
}

#[test]
fn an_answer_without_its_list_is_not_an_empty_list() {
    for body in [
        r#"{"success":true,"errorCode":0}"#,
        r#"{"orders":null,"success":true,"errorCode":0}"#,
        r#"{"orders":"none","success":true,"errorCode":0}"#,
    ] {
        let read = rest_orders(body.as_bytes()).expect("an envelope");
        assert_eq!((read.rows.len(), read.unreadable), (0, 1), "{body}");
    }
    let empty = rest_orders(br#"{"orders":[],"success":true,"errorCode":0}"#).expect("readable");
    assert_eq!(empty.unreadable, 0);
}
