//! What one contract sends: the visible window of its book, the merged quote, prints, and bars of the running stream.

use std::fmt::Write;

use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::contracts::{Contract, SECOND, nano_text};
use crate::exchange::book::Book;
use crate::feed::{Bar, Side};
use crate::server::hub::Listener;
use crate::wire::{FEED_DIGITS, Fields, HUB_DIGITS, push_string};

/// The end of every `SignalR` record.
pub const END: char = '\u{1e}';

/// Collected text at which a frame is sent though more has happened: after a jump of the clock.
const FRAME_BYTES: usize = 256 << 10;

/// Fields of a quote; `None` has not been known yet.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Quote {
    last: Option<i64>,
    bid: Option<i64>,
    ask: Option<i64>,
    open: Option<i64>,
    high: Option<i64>,
    low: Option<i64>,
    volume: i64,
}

/// Listeners by kind of event.
#[derive(Default)]
pub struct Subscribers {
    pub quotes: Vec<Listener>,
    pub trades: Vec<Listener>,
    pub depth: Vec<Listener>,
}

/// Everything the server keeps about one contract beside its book.
#[derive(Default)]
pub struct Stream {
    pub subscribers: Subscribers,
    window_bids: Vec<(i64, i64)>,
    window_asks: Vec<(i64, i64)>,
    best: [Option<i64>; 2],
    /// Book changed at this time and the window was not compared yet.
    dirty_at: Option<i64>,
    depth: String,
    trades: String,
    quote: Quote,
    sent: Quote,
    quote_at: i64,
    previous_close: Option<i64>,
    /// When the session that the quote describes began.
    session: i64,
    /// One-second bars of the prints streamed so far.
    seconds: Vec<Bar>,
    scratch: Vec<(i64, i64)>,
}

impl Stream {
    /// Takes over what happened in the session before the stream began.
    pub fn begin(&mut self, opened: i64, session: &[Bar], previous_close: Option<i64>) {
        self.session = opened;
        self.previous_close = previous_close;
        self.quote = Quote::default();
        for bar in session {
            self.quote.open.get_or_insert(bar.open);
            self.quote.high = self.quote.high.max(Some(bar.high));
            self.quote.low = Some(self.quote.low.map_or(bar.low, |low| low.min(bar.low)));
            self.quote.volume += bar.lots;
            self.quote.last = Some(bar.close);
        }
        self.quote.last = self.quote.last.or(previous_close);
        self.sent = Quote::default();
    }

    pub fn seconds(&self) -> &[Bar] {
        &self.seconds
    }

    pub fn restore_seconds(&mut self, bars: Vec<Bar>) {
        self.seconds = bars;
    }

    /// A level changed; `levels` is the window's height and `book` already holds the change.
    pub fn level(&mut self, at: i64) {
        self.dirty_at = Some(at);
    }

    /// True if an event at `at` must not be mixed with earlier changes.
    pub fn pending_before(&self, at: i64) -> bool {
        self.dirty_at.is_some_and(|dirty| dirty != at)
    }

    pub fn print(
        &mut self,
        contract: &Contract,
        at: i64,
        ticks: i64,
        lots: i64,
        aggressor: Option<Side>,
    ) {
        self.quote.last = Some(ticks);
        self.quote.open.get_or_insert(ticks);
        self.quote.high = self.quote.high.max(Some(ticks));
        self.quote.low = Some(self.quote.low.map_or(ticks, |low| low.min(ticks)));
        self.quote.volume += lots;
        self.quote_at = at;
        self.fold(at, ticks, lots);
        if self.subscribers.trades.is_empty() {
            return;
        }
        if !self.trades.is_empty() {
            self.trades.push(',');
        }
        let mut f = Fields::hub(&mut self.trades);
        f.text("symbolId", &contract.symbol_id);
        f.raw("price", contract.price_text(ticks));
        f.time_with("timestamp", at, FEED_DIGITS);
        f.raw("type", u8::from(aggressor == Some(Side::Ask)));
        f.raw("volume", lots);
        f.text("contractId", &contract.id);
        f.end();
    }

    fn fold(&mut self, at: i64, ticks: i64, lots: i64) {
        let start = at.div_euclid(SECOND) * SECOND;
        match self.seconds.last_mut() {
            Some(bar) if bar.at == start => {
                bar.high = bar.high.max(ticks);
                bar.low = bar.low.min(ticks);
                bar.close = ticks;
                bar.lots += lots;
            }
            _ => self.seconds.push(Bar {
                at: start,
                open: ticks,
                high: ticks,
                low: ticks,
                close: ticks,
                lots,
            }),
        }
    }

    /// A market opens; if that begins a new session, its range and volume start anew. A source that starts inside a
    /// session also says so, and then what came before still counts.
    pub fn session_open(&mut self, session: i64) {
        if session == self.session {
            return;
        }
        self.session = session;
        self.previous_close = self.quote.last.or(self.previous_close);
        let last = self.quote.last;
        self.quote = Quote {
            last,
            ..Quote::default()
        };
        self.sent = Quote {
            last,
            ..Quote::default()
        };
    }

    /// Depth record 6; the window is empty after it.
    pub fn reset(&mut self, at: i64) {
        self.window_bids.clear();
        self.window_asks.clear();
        self.best = [None, None];
        if !self.subscribers.depth.is_empty() {
            push_depth(&mut self.depth, at, 6, "0", 0, 0);
        }
    }

    /// Compares the book's best levels with the window told so far and writes what differs.
    pub fn flush_levels(&mut self, contract: &Contract, book: &Book, levels: usize) {
        let Some(at) = self.dirty_at.take() else {
            return;
        };
        self.quote_book(book, at);
        if self.subscribers.depth.is_empty() {
            return;
        }
        for side in [Side::Bid, Side::Ask] {
            book.top(side, levels, &mut self.scratch);
            let window = match side {
                Side::Bid => &mut self.window_bids,
                Side::Ask => &mut self.window_asks,
            };
            if *window == self.scratch {
                continue;
            }
            let number = level_number(side);
            for (ticks, _) in window
                .iter()
                .filter(|(t, _)| !self.scratch.iter().any(|(n, _)| n == t))
            {
                push_depth(
                    &mut self.depth,
                    at,
                    number,
                    &contract.price_text(*ticks),
                    0,
                    0,
                );
            }
            for level in self.scratch.iter().filter(|level| !window.contains(level)) {
                push_depth(
                    &mut self.depth,
                    at,
                    number,
                    &contract.price_text(level.0),
                    level.1,
                    level.1,
                );
            }
            std::mem::swap(window, &mut self.scratch);
        }
        if book.trading {
            self.push_best(contract, at);
        }
    }

    /// Types 3 and 4 tell a new best price; their `currentVolume` is 0, as seen live.
    fn push_best(&mut self, contract: &Contract, at: i64) {
        let tops = [
            (4, self.window_bids.first().copied()),
            (3, self.window_asks.first().copied()),
        ];
        for (slot, (number, top)) in tops.into_iter().enumerate() {
            let ticks = top.map(|level| level.0);
            if let (Some((ticks, lots)), true) = (top, ticks != self.best[slot]) {
                push_depth(
                    &mut self.depth,
                    at,
                    number,
                    &contract.price_text(ticks),
                    lots,
                    0,
                );
            }
            self.best[slot] = ticks;
        }
    }

    fn quote_book(&mut self, book: &Book, at: i64) {
        if !book.trading {
            return;
        }
        let (bid, ask) = (book.best(Side::Bid), book.best(Side::Ask));
        if (bid, ask) != (self.quote.bid, self.quote.ask) {
            self.quote.bid = bid.or(self.quote.bid);
            self.quote.ask = ask.or(self.quote.ask);
            self.quote_at = at;
        }
    }

    /// True when what is collected would make a frame that a client with the documented limit of 1 MiB refuses.
    pub fn is_full(&self) -> bool {
        self.depth.len().max(self.trades.len()) > FRAME_BYTES
    }

    /// Prints collected since the last call, as one frame.
    pub fn take_trades(&mut self, contract: &Contract, null_first: bool) -> Option<Utf8Bytes> {
        take_array(&mut self.trades, "GatewayTrade", &contract.id, null_first)
    }

    /// Depth records collected since the last call, as one frame.
    pub fn take_depth(&mut self, contract: &Contract, null_first: bool) -> Option<Utf8Bytes> {
        take_array(&mut self.depth, "GatewayDepth", &contract.id, null_first)
    }

    /// Adds a level that crosses the other side (fault); the returned text takes it back later.
    pub fn push_crossed(&mut self, contract: &Contract, book: &Book, at: i64) -> Option<String> {
        let ask = book.best(Side::Ask)?;
        let price = contract.price_text(ask + 2);
        push_depth(&mut self.depth, at, 2, &price, 1, 1);
        let mut undo = String::new();
        push_depth(&mut undo, at, 2, &price, 0, 0);
        Some(undo)
    }

    pub fn push_raw_depth(&mut self, text: &str) {
        if !self.depth.is_empty() {
            self.depth.push(',');
        }
        self.depth.push_str(text);
    }

    /// The quote's changed fields as a frame, `None` if nothing changed.
    pub fn take_quote(&mut self, contract: &Contract, now: i64) -> Option<Utf8Bytes> {
        if self.quote == self.sent {
            return None;
        }
        let frame = self.quote_frame(contract, now, self.sent);
        self.sent = self.quote;
        Some(frame)
    }

    /// The whole quote for a new subscriber, `None` before anything is known.
    pub fn full_quote(&self, contract: &Contract, now: i64) -> Option<Utf8Bytes> {
        (self.quote != Quote::default()).then(|| self.quote_frame(contract, now, Quote::default()))
    }

    /// Differences count from here on: the first listener was just told everything.
    pub fn mark_told(&mut self) {
        self.sent = self.quote;
    }

    fn quote_frame(&self, contract: &Contract, now: i64, told: Quote) -> Utf8Bytes {
        let quote = &self.quote;
        let mut out = String::with_capacity(420);
        open_market(&mut out, "GatewayQuote", &contract.id);
        let mut f = Fields::hub(&mut out);
        f.text("symbol", &contract.symbol_id);
        let changed = |new: Option<i64>, old: Option<i64>| {
            new.filter(|_| new != old).map(|t| contract.price_text(t))
        };
        if told == Quote::default() {
            f.text("symbolName", &format!("/{}", contract.root));
        }
        f.maybe("lastPrice", changed(quote.last, told.last));
        f.maybe("bestBid", changed(quote.bid, told.bid));
        f.maybe("bestAsk", changed(quote.ask, told.ask));
        if quote.last != told.last {
            self.push_change(&mut f, contract);
        }
        f.maybe("open", changed(quote.open, told.open));
        f.maybe("high", changed(quote.high, told.high));
        f.maybe("low", changed(quote.low, told.low));
        if quote.volume != told.volume {
            f.raw("volume", quote.volume);
        }
        let stamp = if self.quote_at == 0 {
            now
        } else {
            self.quote_at
        };
        f.time("lastUpdated", now.max(stamp));
        f.time_with("timestamp", stamp, FEED_DIGITS);
        f.text("contract", &contract.id);
        f.end();
        close_record(&mut out);
        out.into()
    }

    fn push_change(&self, f: &mut Fields<'_>, contract: &Contract) {
        let (Some(last), Some(close)) = (self.quote.last, self.previous_close) else {
            return;
        };
        f.raw("change", contract.price_text(last - close));
        if close != 0 {
            let parts = i128::from(last - close) * 100_000_000_000 / i128::from(close);
            // Hundredths of a percent suffice; the client computes its own.
            f.raw("changePercent", nano_text(parts / 10_000_000 * 10_000_000));
        }
    }

    /// Reset and the window as it is now; `levels` high. Also the state that later differences build on.
    pub fn snapshot(
        &mut self,
        contract: &Contract,
        book: &Book,
        levels: usize,
        at: i64,
        reset: bool,
    ) -> Utf8Bytes {
        let mut records = String::new();
        if reset {
            push_depth(&mut records, at, 6, "0", 0, 0);
        }
        book.top(Side::Bid, levels, &mut self.window_bids);
        book.top(Side::Ask, levels, &mut self.window_asks);
        for (side, window) in [
            (Side::Bid, &self.window_bids),
            (Side::Ask, &self.window_asks),
        ] {
            for (ticks, lots) in window {
                push_depth(
                    &mut records,
                    at,
                    level_number(side),
                    &contract.price_text(*ticks),
                    *lots,
                    *lots,
                );
            }
        }
        if book.trading {
            for (number, top) in [(4, self.window_bids.first()), (3, self.window_asks.first())] {
                if let Some((ticks, lots)) = top {
                    push_depth(
                        &mut records,
                        at,
                        number,
                        &contract.price_text(*ticks),
                        *lots,
                        0,
                    );
                }
            }
        }
        self.best = [
            self.window_bids.first().map(|l| l.0),
            self.window_asks.first().map(|l| l.0),
        ];
        let mut out = String::with_capacity(records.len() + 96);
        open_market(&mut out, "GatewayDepth", &contract.id);
        out.push('[');
        out.push_str(&records);
        out.push(']');
        close_record(&mut out);
        out.into()
    }
}

fn level_number(side: Side) -> u8 {
    match side {
        Side::Ask => 1,
        Side::Bid => 2,
    }
}

fn push_depth(out: &mut String, at: i64, number: u8, price: &str, volume: i64, current: i64) {
    if !out.is_empty() {
        out.push(',');
    }
    let mut f = Fields::hub(out);
    f.time_with("timestamp", at, HUB_DIGITS);
    f.raw("type", number);
    f.raw("price", price);
    f.raw("volume", volume);
    f.raw("currentVolume", current);
    f.end();
}

fn open_market(out: &mut String, target: &str, contract_id: &str) {
    let _ = write!(out, "{{\"type\":1,\"target\":\"{target}\",\"arguments\":[");
    push_string(out, contract_id);
    out.push(',');
}

fn close_record(out: &mut String) {
    out.push_str("]}");
    out.push(END);
}

fn take_array(
    items: &mut String,
    target: &str,
    contract_id: &str,
    null_first: bool,
) -> Option<Utf8Bytes> {
    if items.is_empty() {
        return None;
    }
    let mut out = String::with_capacity(items.len() + 96);
    open_market(&mut out, target, contract_id);
    out.push('[');
    if null_first {
        out.push_str("null,");
    }
    out.push_str(items);
    items.clear();
    out.push(']');
    close_record(&mut out);
    Some(out.into())
}
