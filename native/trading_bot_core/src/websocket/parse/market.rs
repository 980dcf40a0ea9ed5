//! The three market events, read in one pass and without allocation.

#![expect(
    clippy::option_option,
    reason = "the outer one says whether the text is JSON, the inner one whether it states a value"
)]

use super::super::json::{Cursor, Value};
use super::{Counters, DepthRecord, MarketEvent, Oddity, QuoteDelta, TradePrint};
use crate::types::{Aggressor, Contract, ContractLookup, Lots, Nanos, PriceError, Ticks};

/// Buffers that keep their capacity from message to message.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    trades: Vec<TradePrint>,
    depth: Vec<DepthRecord>,
}

impl Scratch {
    /// Reads `[contractId, payload]` of a trade message.
    pub(super) fn trades(
        &mut self,
        cursor: &mut Cursor<'_>,
        contracts: &impl ContractLookup,
        counters: &mut Counters,
        sink: &mut impl FnMut(MarketEvent<'_>),
    ) -> Option<()> {
        let Some(contract) = find_contract(cursor, contracts, counters)? else {
            return Some(());
        };
        let prints = &mut self.trades;
        prints.clear();
        let read = each_row(cursor, counters, |inner, counters| {
            match read_print(inner, contract, counters)? {
                Some(print) => prints.push(print),
                None => counters.note(Oddity::UnreadableRow),
            }
            Some(())
        });
        // Prints in front of the damage did happen: they are kept, whatever became of the rest.
        if !prints.is_empty() {
            sink(MarketEvent::Trades(contract.index, prints));
        }
        read
    }

    /// Reads `[contractId, payload]` of a depth message.
    pub(super) fn depth(
        &mut self,
        cursor: &mut Cursor<'_>,
        contracts: &impl ContractLookup,
        counters: &mut Counters,
        sink: &mut impl FnMut(MarketEvent<'_>),
    ) -> Option<()> {
        let Some(contract) = find_contract(cursor, contracts, counters)? else {
            return Some(());
        };
        let records = &mut self.depth;
        records.clear();
        let mut stamps = StampCache::default();
        let read = each_row(cursor, counters, |inner, counters| {
            let record = match predicted_depth(inner, contract, &mut stamps) {
                Some(record) => record,
                None => read_depth(inner, contract, counters)?,
            };
            records.push(record);
            Some(())
        });
        if read.is_none() {
            records.push(lost_record(Nanos(0)));
        }
        if !records.is_empty() {
            sink(MarketEvent::Depth(contract.index, records));
        }
        read
    }
}

/// Reads `[contractId, payload]` of a quote message.
pub(super) fn quotes(
    cursor: &mut Cursor<'_>,
    contracts: &impl ContractLookup,
    counters: &mut Counters,
    sink: &mut impl FnMut(MarketEvent<'_>),
) -> Option<()> {
    let Some(contract) = find_contract(cursor, contracts, counters)? else {
        return Some(());
    };
    each_row(cursor, counters, |inner, counters| {
        let quote = read_quote(inner, contract, counters)?;
        sink(MarketEvent::Quote(contract.index, quote));
        Some(())
    })
}

/// Finds the contract of a message and leaves the cursor at the payload. `Some(None)` when the contract is not known.
fn find_contract<'c>(
    cursor: &mut Cursor<'_>,
    contracts: &'c impl ContractLookup,
    counters: &mut Counters,
) -> Option<Option<&'c Contract>> {
    if !cursor.take(b'[') {
        return None;
    }
    let id = if cursor.peek() == Some(b'"') {
        let id = cursor.string()?;
        cursor.take(b',').then_some(())?;
        id
    } else {
        stated_contract(*cursor).unwrap_or(b"")
    };
    let contract = std::str::from_utf8(id)
        .ok()
        .and_then(|id| contracts.by_id(id));
    if contract.is_none() {
        counters.note(Oddity::UnknownContract);
    }
    Some(contract)
}

/// The contract that the first row of a payload names itself; for messages without the leading id.
fn stated_contract(mut payload: Cursor<'_>) -> Option<&[u8]> {
    payload.take(b'[');
    let mut id = None;
    payload.members(|key, inner| {
        let value = inner.value()?;
        if let (b"contract" | b"contractId", Value::Text(text)) = (key, value) {
            id = Some(text);
        }
        Some(())
    })?;
    id
}

/// Calls `read` for each object of a payload that is an object or an array of them. Nulls are counted and passed over.
fn each_row<'a>(
    cursor: &mut Cursor<'a>,
    counters: &mut Counters,
    mut read: impl FnMut(&mut Cursor<'a>, &mut Counters) -> Option<()>,
) -> Option<()> {
    match cursor.peek()? {
        b'{' => read(cursor, counters),
        b'[' => cursor.elements(|inner| {
            if inner.peek()? == b'{' {
                return read(inner, counters);
            }
            let oddity = if inner.value()? == Value::Null {
                Oddity::NullRow
            } else {
                Oddity::UnreadableRow
            };
            counters.note(oddity);
            Some(())
        }),
        _ => {
            let oddity = if cursor.value()? == Value::Null {
                Oddity::NullRow
            } else {
                Oddity::UnreadableRow
            };
            counters.note(oddity);
            Some(())
        }
    }
}

fn read_quote(
    cursor: &mut Cursor<'_>,
    contract: &Contract,
    counters: &mut Counters,
) -> Option<QuoteDelta> {
    let mut quote = QuoteDelta::default();
    cursor.members(|key, inner| {
        match key {
            b"bestBid" => quote.best_bid = price(inner, contract, counters)?,
            b"bestAsk" => quote.best_ask = price(inner, contract, counters)?,
            b"lastPrice" => quote.last = price(inner, contract, counters)?,
            b"volume" => quote.volume = whole(inner, counters)?.map(Lots),
            b"timestamp" => quote.time = stamp(inner, counters)?,
            b"lastUpdated" => quote.updated = stamp(inner, counters)?,
            b"open" => quote.open = price(inner, contract, counters)?,
            b"high" => quote.high = price(inner, contract, counters)?,
            b"low" => quote.low = price(inner, contract, counters)?,
            b"change" => quote.change = price(inner, contract, counters)?,
            _ => drop(inner.value()?),
        }
        Some(())
    })?;
    Some(quote)
}

/// `Some(None)` when the row is JSON but states no usable print.
fn read_print(
    cursor: &mut Cursor<'_>,
    contract: &Contract,
    counters: &mut Counters,
) -> Option<Option<TradePrint>> {
    let (mut at, mut size, mut time, mut kind) = (None, None, None, None);
    cursor.members(|key, inner| {
        match key {
            b"price" => at = price(inner, contract, counters)?,
            b"volume" => size = whole(inner, counters)?,
            b"timestamp" => time = stamp(inner, counters)?,
            b"type" => kind = whole(inner, counters)?,
            _ => drop(inner.value()?),
        }
        Some(())
    })?;
    let aggressor = kind.map_or(Aggressor::Unknown, Aggressor::from_wire);
    if aggressor == Aggressor::Unknown {
        counters.note(Oddity::UnknownEnum);
    }
    let (Some(price), Some(size), Some(time)) = (at, size.filter(|lots| *lots >= 0), time) else {
        return Some(None);
    };
    Some(Some(TradePrint {
        time,
        price,
        size: Lots(size),
        aggressor,
    }))
}

/// The last stamp of a message and its text: all records of one message usually carry the same.
#[derive(Default)]
struct StampCache<'a> {
    text: &'a [u8],
    time: Nanos,
}

impl<'a> StampCache<'a> {
    fn read(&mut self, text: &'a [u8]) -> Option<Nanos> {
        if text != self.text {
            *self = Self {
                text,
                time: Nanos::from_iso(text)?,
            };
        }
        Some(self.time)
    }
}

/// Reads a depth record whose keys stand in the order the broker has always used. Any other form answers `None`, leaves the
/// cursor where it was, and is read key by key.
fn predicted_depth<'a>(
    cursor: &mut Cursor<'a>,
    contract: &Contract,
    stamps: &mut StampCache<'a>,
) -> Option<DepthRecord> {
    let mut probe = *cursor;
    probe.literal(b"{\"timestamp\":")?;
    let time = stamps.read(probe.string()?)?;
    probe.literal(b",\"type\":")?;
    let kind = probe
        .plain_units(0)
        .filter(|kind| (0..=11).contains(kind))?;
    probe.literal(b",\"price\":")?;
    let units = probe.plain_units(contract.decimals)?;
    probe.literal(b",\"volume\":")?;
    let total = probe.plain_units(0).filter(|lots| *lots >= 0)?;
    probe.literal(b",\"currentVolume\":")?;
    let current = probe.plain_units(0).filter(|lots| *lots >= 0)?;
    probe.literal(b"}")?;
    let ticks = units / contract.tick_units;
    if ticks * contract.tick_units != units {
        return None;
    }
    *cursor = probe;
    let size = if current > 0 { current } else { total };
    Some(DepthRecord {
        time,
        kind: kind as u8,
        price: Ticks(ticks),
        size: Lots(size),
    })
}

const fn lost_record(time: Nanos) -> DepthRecord {
    DepthRecord {
        time,
        kind: DepthRecord::LOST,
        price: Ticks(0),
        size: Lots(0),
    }
}

/// A record that lacks what its type needs becomes [`DepthRecord::LOST`], so that the book knows.
fn read_depth(
    cursor: &mut Cursor<'_>,
    contract: &Contract,
    counters: &mut Counters,
) -> Option<DepthRecord> {
    let (mut at, mut total, mut current, mut time, mut kind) = (None, None, None, None, None);
    cursor.members(|key, inner| {
        match key {
            b"timestamp" => time = stamp(inner, counters)?,
            b"type" => kind = whole(inner, counters)?,
            b"price" => at = price(inner, contract, counters)?,
            b"volume" => total = whole(inner, counters)?,
            b"currentVolume" => current = whole(inner, counters)?,
            _ => drop(inner.value()?),
        }
        Some(())
    })?;
    let time = time.unwrap_or_default();
    let size = current
        .filter(|lots| *lots > 0)
        .or(total)
        .or(current)
        .filter(|lots| *lots >= 0);
    let kind = kind.and_then(|kind| u8::try_from(kind).ok());
    let is_level = matches!(kind, Some(1..=4 | 9 | 10));
    if kind.is_none() || (is_level && (at.is_none() || size.is_none())) {
        counters.note(Oddity::UnreadableRow);
        return Some(lost_record(time));
    }
    let kind = kind.unwrap_or(DepthRecord::LOST);
    if kind > 11 {
        counters.note(Oddity::UnknownEnum);
    }
    Some(DepthRecord {
        time,
        kind,
        price: at.unwrap_or_default(),
        size: Lots(size.unwrap_or(0)),
    })
}

/// A price in ticks; `Some(None)` when it is null or cannot be used.
#[inline]
fn price(
    cursor: &mut Cursor<'_>,
    contract: &Contract,
    counters: &mut Counters,
) -> Option<Option<Ticks>> {
    if let Some(units) = cursor.plain_units(contract.decimals) {
        let ticks = units / contract.tick_units;
        if ticks * contract.tick_units == units {
            return Some(Some(Ticks(ticks)));
        }
        counters.note(Oddity::OffGrid);
        return Some(None);
    }
    let value = cursor.value()?;
    Some(unusual_price(value, contract, counters))
}

#[cold]
fn unusual_price(value: Value<'_>, contract: &Contract, counters: &mut Counters) -> Option<Ticks> {
    if value == Value::Null {
        return None;
    }
    if matches!(value, Value::Text(_)) {
        counters.note(Oddity::NumberAsText);
    }
    let outcome = value
        .decimal()
        .ok_or(PriceError::Unreadable)
        .and_then(|value| contract.ticks(value));
    match outcome {
        Ok(ticks) => return Some(ticks),
        Err(PriceError::OffGrid { .. }) => counters.note(Oddity::OffGrid),
        Err(PriceError::Unreadable | PriceError::OutOfRange) => {
            counters.note(Oddity::UnreadableField);
        }
    }
    None
}

/// A whole number; `Some(None)` when it is null or cannot be used.
#[inline]
fn whole(cursor: &mut Cursor<'_>, counters: &mut Counters) -> Option<Option<i64>> {
    if let Some(number) = cursor.plain_units(0) {
        return Some(Some(number));
    }
    let value = cursor.value()?;
    if matches!(value, Value::Text(_)) {
        counters.note(Oddity::NumberAsText);
    }
    let number = value.integer();
    if number.is_none() && value != Value::Null {
        counters.note(Oddity::UnreadableField);
    }
    Some(number)
}

/// A time; `Some(None)` when it is null or cannot be used.
#[inline]
fn stamp(cursor: &mut Cursor<'_>, counters: &mut Counters) -> Option<Option<Nanos>> {
    if cursor.peek()? != b'"' {
        let value = cursor.value()?;
        if value != Value::Null {
            counters.note(Oddity::UnreadableField);
        }
        return Some(None);
    }
    let time = Nanos::from_iso(cursor.string()?);
    if time.is_none() {
        counters.note(Oddity::UnreadableField);
    }
    Some(time)
}
