//! Recorded exchange data through the parser into book and bars. Skips visibly where the recordings are absent.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::PathBuf;

use flate2::read::GzDecoder;
use trading_bot_core::calendar::Product;
use trading_bot_core::market_data::{Bar, BarSeries, BookState, DepthBook, SessionStats, Span};
use trading_bot_core::types::{
    Aggressor, BrokerContract, Contract, ContractIndex, Decimal, Lots, Mono, Nanos, Ticks,
};
use trading_bot_core::websocket::parse::{
    DepthRecord, HubEvent, HubParser, MarketEvent, TradePrint,
};
use trading_bot_core::websocket::signalr::Splitter;

/// The rows of a recorded file without its header, or `None` with a visible reason.
fn recorded(path: &str) -> Option<String> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared");
    let root = std::env::var_os("PITDESK_SHARED")
        .map_or_else(|| PathBuf::from(default), PathBuf::from)
        .join("data");
    let Ok(bytes) = std::fs::read(root.join(path)) else {
        eprintln!("SKIPPED: the recording {path} is not here");
        return None;
    };
    let mut text = String::new();
    GzDecoder::new(&bytes[..])
        .read_to_string(&mut text)
        .expect("the recording is a gzip of text");
    Some(text)
}

fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().skip(1).map(|line| line.split(',').collect())
}

fn contract(id: &str, tick_size: &str, tick_value: &str) -> Contract {
    let row = BrokerContract {
        id: id.to_owned(),
        tick_size: Decimal::parse(tick_size.as_bytes()).unwrap(),
        tick_value: Decimal::parse(tick_value.as_bytes()).unwrap(),
        ..BrokerContract::default()
    };
    Contract::from_broker(ContractIndex(0), &row).unwrap()
}

/// Writes each print as the hub would, two to a record, in pieces that cut records anywhere; returns what the parser made of it.
fn through_the_wire(prints: &[(Nanos, &str, i64, i64)], contract: &Contract) -> Vec<TradePrint> {
    let mut stream = String::new();
    for pair in prints.chunks(2) {
        let mut payload = Vec::new();
        for (time, price, size, kind) in pair {
            payload.push(format!(
                "{{\"price\":{price},\"timestamp\":\"{time}\",\"type\":{kind},\"volume\":{size}}}"
            ));
        }
        write!(
            stream,
            "{{\"type\":1,\"target\":\"GatewayTrade\",\"arguments\":[\"{}\",[{}]]}}\u{1e}",
            contract.id,
            payload.join(",")
        )
        .unwrap();
    }
    let (mut splitter, mut parser, mut seen) = (Splitter::new(), HubParser::new(), Vec::new());
    let contracts = vec![contract.clone()];
    for piece in stream.as_bytes().chunks(1021) {
        let on_record = |record: &[u8]| {
            parser.read(record, &contracts, &mut |event| {
                if let HubEvent::Market(MarketEvent::Trades(_, prints)) = event {
                    seen.extend_from_slice(prints);
                }
            });
        };
        splitter.feed(piece, on_record).unwrap();
    }
    seen
}

fn minute_bars(prints: &[TradePrint], product: Product) -> Vec<Bar> {
    let span = Span::from_word("minute", 1).unwrap();
    let mut series = BarSeries::new(span, product.calendar(), Nanos(0));
    for print in prints {
        series.apply(print);
    }
    series.close_until(Nanos(i64::MAX));
    series.closed().to_vec()
}

#[test]
fn the_recorded_es_hour_keeps_every_print() {
    let Some(text) = recorded("depth/es_esh4_20231225.trades.csv.gz") else {
        return;
    };
    let es = contract("CON.F.US.EP.H24", "0.25", "12.5");
    let stated: Vec<_> = rows(&text)
        .map(|row| {
            let kind = i64::from(row[4] == "A");
            (
                Nanos(row[1].parse().unwrap()),
                row[2],
                row[3].parse().unwrap(),
                kind,
            )
        })
        .collect();
    let prints = through_the_wire(&stated, &es);
    assert_eq!(prints.len(), 2_973);
    let mut stats = SessionStats::new(Product::Equity.calendar());
    for print in &prints {
        stats.apply(print);
    }
    assert_eq!(stats.lots, 9_892);
    let text_of = |ticks: Option<Ticks>| es.price_text(ticks.unwrap());
    assert_eq!(
        (text_of(stats.low), text_of(stats.high)),
        ("4800.25".into(), "4811.75".into())
    );
    let bars = minute_bars(&prints, Product::Equity);
    assert_eq!(bars.iter().map(|bar| bar.volume.0).sum::<i64>(), 9_892);
}

/// Bars of the vendor; (differing volumes) is a known defect of its file in one bar a day.
fn assert_gold_bars(day: &str, expected_bars: usize) {
    let ticks = recorded(&format!("ticks/gc_gcz3_{day}_ticks.csv.gz"));
    let vendor = recorded("bars/gc_gcz3_20131007_20131008_trades_1m.csv.gz");
    let (Some(ticks), Some(vendor)) = (ticks, vendor) else {
        return;
    };
    let gold = contract("CON.F.US.GCE.Z13", "0.1", "10");
    let stated: Vec<_> = rows(&ticks)
        .map(|row| {
            (
                Nanos::from_iso(row[0].as_bytes()).unwrap(),
                row[1],
                row[2].parse().unwrap(),
                0,
            )
        })
        .collect();
    let ours = minute_bars(&through_the_wire(&stated, &gold), Product::Metals);
    let date = format!("{}-{}-{}", &day[..4], &day[4..6], &day[6..]);
    let theirs: Vec<Bar> = rows(&vendor)
        .filter(|row| row[0].starts_with(&date))
        .map(|row| {
            let price = |column: usize| gold.ticks_from_decimal(row[column]).unwrap();
            let time = Nanos::from_iso(row[0].as_bytes()).unwrap();
            Bar {
                time,
                open: price(1),
                high: price(2),
                low: price(3),
                close: price(4),
                volume: Lots(row[5].parse().unwrap()),
            }
        })
        .collect();
    assert_eq!((ours.len(), theirs.len()), (expected_bars, expected_bars));
    let volumes_apart = ours
        .iter()
        .zip(&theirs)
        .filter(|(a, b)| a.volume != b.volume)
        .count();
    assert!(
        volumes_apart <= 1,
        "{volumes_apart} bars differ in volume, the vendor's defect explains one"
    );
    for (own, vendor) in ours.iter().zip(theirs) {
        assert_eq!(
            *own,
            Bar {
                volume: own.volume,
                ..vendor
            }
        );
    }
}

#[test]
fn minute_bars_of_recorded_gold_prints_equal_the_vendors() {
    assert_gold_bars("20131007", 1_314);
    assert_gold_bars("20131008", 1_377);
}

struct Checked {
    states: usize,
    crossed: usize,
    last_crossed: i64,
}

/// Applies the recorded levels, one exchange event at a time, and counts the top-ten states as the recording's page does.
fn replay_levels(text: &str, es: &Contract) -> Checked {
    let mut book = DepthBook::new();
    let (mut bids, mut asks) = (Vec::new(), Vec::new());
    let mut before = (Vec::new(), Vec::new());
    let mut checked = Checked {
        states: 0,
        crossed: 0,
        last_crossed: 0,
    };
    let all: Vec<Vec<&str>> = rows(text).collect();
    let is_same_event =
        |a: &Vec<&str>, b: &Vec<&str>| a[2] == b[2] && (a[2] == "S" || a[8] == b[8]);
    for event in all.chunk_by(is_same_event) {
        let records: Vec<DepthRecord> = event
            .iter()
            .map(|row| DepthRecord {
                time: Nanos(row[1].parse().unwrap()),
                kind: if row[3] == "A" { 1 } else { 2 },
                price: es.ticks_from_decimal(row[4]).unwrap(),
                size: Lots(row[5].parse().unwrap()),
            })
            .collect();
        book.apply(&records, Mono(1));
        book.copy_top(10, &mut bids, &mut asks);
        if (&bids, &asks) != (&before.0, &before.1) {
            checked.states += 1;
            if book.state() == BookState::Crossed {
                checked.crossed += 1;
                checked.last_crossed = event[0][0].parse().unwrap();
            }
            before = (bids.clone(), asks.clone());
        }
        let side = if event[0][3] == "A" {
            book.asks().len()
        } else {
            book.bids().len()
        };
        if event.len() == 1 {
            assert_eq!(
                side,
                event[0][7].parse::<usize>().unwrap(),
                "levels on the side"
            );
        }
    }
    checked
}

#[test]
fn the_recorded_es_book_is_crossed_only_before_the_opening_auction() {
    let Some(text) = recorded("depth/es_esh4_20231225.levels.csv.gz") else {
        return;
    };
    let checked = replay_levels(&text, &contract("CON.F.US.EP.H24", "0.25", "12.5"));
    let open = Nanos::from_iso(b"2023-12-25T23:00:00.2Z").unwrap();
    assert!(checked.states > 30_000, "{} states", checked.states);
    assert_eq!(checked.crossed, 143);
    assert!(checked.last_crossed < open.0);
}

#[test]
fn prints_without_a_stated_side_count_to_neither() {
    let es = contract("CON.F.US.EP.H24", "0.25", "12.5");
    let at = Nanos::from_iso(b"2026-11-24T15:00:00Z").unwrap();
    let prints = through_the_wire(&[(at, "4800.25", 3, 9), (at, "4800.25", 2, 1)], &es);
    let sides: Vec<_> = prints.iter().map(|print| print.aggressor).collect();
    assert_eq!(sides, [Aggressor::Unknown, Aggressor::Seller]);
    let mut stats = SessionStats::new(Product::Equity.calendar());
    for print in &prints {
        stats.apply(print);
    }
    let row = stats.traded()[0];
    assert_eq!((row.bought_lots, row.sold_lots, row.other_lots), (0, 2, 3));
}
