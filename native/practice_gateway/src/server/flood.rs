//! Prepared frames for ingest benchmarks: quotes, prints and depth records of one contract, many records per frame.

use std::sync::Arc;

use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::contracts::Contract;
use crate::exchange::Exchange;
use crate::feed::Side;
use crate::server::stream::END;
use crate::wire::{FEED_DIGITS, HUB_DIGITS, push_time};

const FRAMES: i64 = 16;
const PER_FRAME: i64 = 128;

/// A ring of frames and the number of records in each. Every record is a whole `SignalR` message.
pub fn frames(
    contract: &Contract,
    exchange: &Exchange,
    index: usize,
    now: i64,
) -> (Arc<[Utf8Bytes]>, u64) {
    let book = exchange.book(index);
    let base = book.best(Side::Bid).or(book.last).unwrap_or(20_000).max(20);
    let ring: Vec<Utf8Bytes> = (0..FRAMES)
        .map(|frame| one_frame(contract, base, now, frame))
        .collect();
    (ring.into(), PER_FRAME as u64)
}

fn one_frame(contract: &Contract, base: i64, now: i64, frame: i64) -> Utf8Bytes {
    let mut out = String::with_capacity(PER_FRAME as usize * 260);
    for record in 0..PER_FRAME {
        let serial = frame * PER_FRAME + record;
        let wave = (serial / 8) % 5 - 2;
        let at = now + serial * 1_000;
        match record % 4 {
            0 => quote(&mut out, contract, base + wave, at),
            1 => trade(&mut out, contract, base + wave, at, serial),
            _ => depth(&mut out, contract, base, at, serial),
        }
        out.push(END);
    }
    out.into()
}

fn stamp(at: i64, digits: usize) -> String {
    let mut out = String::new();
    push_time(&mut out, at, digits);
    out
}

fn quote(out: &mut String, contract: &Contract, bid: i64, at: i64) {
    use std::fmt::Write;
    let _ = write!(
        out,
        r#"{{"type":1,"target":"GatewayQuote","arguments":["{id}",{{"symbol":"{symbol}","bestBid":{bid},"bestAsk":{ask},"lastUpdated":"{hub}","timestamp":"{feed}","contract":"{id}"}}]}}"#,
        id = contract.id,
        symbol = contract.symbol_id,
        bid = contract.price_text(bid),
        ask = contract.price_text(bid + 1),
        hub = stamp(at, HUB_DIGITS),
        feed = stamp(at, FEED_DIGITS),
    );
}

fn trade(out: &mut String, contract: &Contract, ticks: i64, at: i64, serial: i64) {
    use std::fmt::Write;
    let _ = write!(
        out,
        r#"{{"type":1,"target":"GatewayTrade","arguments":["{id}",[{{"symbolId":"{symbol}","price":{price},"timestamp":"{feed}","type":{aggressor},"volume":{volume},"contractId":"{id}"}}]]}}"#,
        id = contract.id,
        symbol = contract.symbol_id,
        price = contract.price_text(ticks),
        feed = stamp(at, FEED_DIGITS),
        aggressor = serial % 2,
        volume = 1 + serial % 4,
    );
}

fn depth(out: &mut String, contract: &Contract, base: i64, at: i64, serial: i64) {
    use std::fmt::Write;
    let is_bid = serial % 2 == 0;
    let distance = (serial / 2) % 10;
    let ticks = if is_bid {
        base - 3 - distance
    } else {
        base + 4 + distance
    };
    let volume = 1 + serial % 37;
    let _ = write!(
        out,
        r#"{{"type":1,"target":"GatewayDepth","arguments":["{id}",[{{"timestamp":"{hub}","type":{side},"price":{price},"volume":{volume},"currentVolume":{volume}}}]]}}"#,
        id = contract.id,
        hub = stamp(at, HUB_DIGITS),
        side = if is_bid { 2 } else { 1 },
        price = contract.price_text(ticks),
    );
}
