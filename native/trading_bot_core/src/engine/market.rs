//! The market half of `step`: routes events into book, quote, tape and bars, keeps marks, and publishes views.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::calendar::{Calendar, Product};
use crate::clock::MarketClock;
use crate::engine::contract::{
    BarUnit, Effect, Endpoint, LinkName, LinkState, Outcome, Reply, Rows, SendId, Stamp,
};
use crate::engine::views::{
    BarRow, BarView, Board, DoneOutcome, MarketView, NoticeLevel, PrintRow, TradedRow,
};
use crate::market_data::{
    Bar, BarChange, BarSeries, BookState, BookTrace, DepthBook, Freshness, Quote, RecentRules,
    RecentTrades, SessionStats, Span, Traded,
};
use crate::order_execution::gate::MarketFacts;
use crate::order_execution::order::Order;
use crate::order_execution::outcome::classify;
use crate::order_execution::record::{ContractRow, Record};
use crate::order_execution::requests::json_text;
use crate::order_execution::trading::Trading;
use crate::types::{BrokerContract, Contract, ContractIndex, Lots, Mono, Nanos, RequestId, Ticks};
use crate::websocket::parse::{DepthRecord, MarketEvent, TradePrint};

mod history;
mod resting;

use history::{History, Page, Reading};
use resting::RestingOrders;

const SECOND: u64 = 1_000_000_000;
/// Prints kept for readers.
const PRINTS_KEPT: usize = 1_000;
/// Revisions of a series for which the first changed bar is known; an older reader loads everything.
const CLOSINGS_KEPT: usize = 512;
/// How long a late contract waits before its subscription is repeated (decision 22).
const RESUBSCRIBE_AFTER_NS: u64 = 15 * SECOND;
/// A hub that was called late for this long may have lost its subscriptions, and prints with them.
const MISSED_AFTER_NS: u64 = 10 * SECOND;
/// How long a crossed book is believed to be an auction.
const CROSSED_AFTER_NS: u64 = SECOND;
/// How often the places of orders in their queues are told.
const QUEUES_EVERY_NS: u64 = SECOND / 5;
/// Bars of history the broker gives at once.
const HISTORY_MAX: i64 = 20_000;
/// A visit to a price ends three ticks away or after two minutes.
const RECENT_RULES: RecentRules = RecentRules {
    leave_ticks: 3,
    hold_ns: 120 * SECOND as i64,
};

type SeriesKey = (BarUnit, i64);

#[derive(Debug)]
struct Instrument {
    id: String,
    calendar: &'static Calendar,
    book: DepthBook,
    quote: Quote,
    stats: SessionStats,
    recent: RecentTrades,
    freshness: Freshness,
    prints: VecDeque<(i64, PrintRow)>,
    prints_total: u64,
    last_print: Option<TradePrint>,
    series: BTreeMap<SeriesKey, Series>,
    resting: RestingOrders,
    trace: Option<BookTrace>,
    is_subscribed: bool,
    is_late: bool,
    resubscribed: Mono,
    revision: i64,
    is_dirty: bool,
    broker_time: Nanos,
    received: Mono,
}

#[derive(Debug)]
struct Series {
    bars: BarSeries,
    history: History,
    rows: Arc<Vec<BarRow>>,
    revision: i64,
    rewritten_at: i64,
    closed_at: Vec<(i64, usize)>,
    is_dirty: bool,
    waiting: Vec<RequestId>,
}

#[derive(Debug)]
enum Asked {
    Listing,
    Search {
        request: RequestId,
    },
    ById {
        contract_id: String,
        then: Vec<RequestId>,
    },
    Bars {
        contract: ContractIndex,
        key: SeriesKey,
        page: Page,
    },
}

/// All contracts that are watched.
#[derive(Debug, Default)]
pub(super) struct Market {
    instruments: BTreeMap<ContractIndex, Instrument>,
    asked: HashMap<SendId, Asked>,
    asked_ids: HashSet<String>,
    /// Bars wanted of contracts that are not known yet.
    wanted_bars: Vec<(RequestId, String, BarUnit, i64, i64)>,
    wanted_subscriptions: Vec<(RequestId, String)>,
    are_definitions_changed: bool,
    has_new_instruments: bool,
    /// When places in queues are told; set by the first that moves.
    queues_due: Option<Mono>,
    is_hub_connected: bool,
    /// Since when a connected hub has said nothing although it used to.
    hub_silent_since: Option<Mono>,
    next_check: Option<Mono>,
}

impl Market {
    /// Takes one message. True when a mark of an open position moved.
    pub fn take(&mut self, event: MarketEvent<'_>, stamp: Stamp, trading: &mut Trading) -> bool {
        let index = event.contract();
        let Some(instrument) = self.instruments.get_mut(&index) else {
            return false;
        };
        instrument.freshness.apply(stamp.recv);
        instrument.received = stamp.recv;
        instrument.is_dirty = true;
        instrument.is_late = false;
        let span = span_of(&event);
        match event {
            MarketEvent::Quote(_, delta) => {
                instrument.quote.apply(&delta);
                if let Some(at) = delta.updated.or(delta.time) {
                    instrument.broker_time = instrument.broker_time.max(at);
                }
            }
            MarketEvent::Trades(_, prints) => {
                for print in prints {
                    instrument.print(print);
                }
            }
            MarketEvent::Depth(_, records) => {
                instrument.depth(records, stamp.mono);
                instrument.resting.depth(records, &instrument.book);
                instrument.broker_time = instrument.broker_time.max(instrument.book.time());
            }
        }
        if instrument.resting.is_changed() {
            let due = Mono(stamp.mono.0 + QUEUES_EVERY_NS);
            self.queues_due.get_or_insert(due);
        }
        let facts = instrument.facts();
        let before = trading.markets.insert(index, facts);
        trading.prices_moved(index, span);
        before != Some(facts) && trading.has_position(index)
    }

    /// Records the book of a watched contract from now on; of one that is not watched, nothing.
    pub fn trace_book(&mut self, contract_id: &str, trace: BookTrace) {
        let mut watched = self.instruments.values_mut();
        if let Some(instrument) = watched.find(|i| i.id == contract_id) {
            instrument.trace = Some(trace);
        }
    }

    /// Takes the answers of this half; gives back those that are not.
    pub fn reply(&mut self, reply: Reply, trading: &mut Trading) -> Option<Reply> {
        let Some(asked) = self.asked.remove(&reply.id) else {
            return Some(reply);
        };
        let endpoint = asked.endpoint();
        let outcome = classify(endpoint, &reply.attempt, true);
        let is_good = matches!(outcome, Outcome::Accepted { .. });
        let failure = failure_text(&outcome);
        match asked {
            Asked::Listing => {
                let rows = contracts_of(reply.rows).unwrap_or_default();
                self.define(&rows, trading);
            }
            Asked::Search { request } => {
                self.searched(request, contracts_of(reply.rows), &failure, trading);
            }
            Asked::ById { contract_id, then } => {
                self.asked_ids.remove(&contract_id);
                let rows = contracts_of(reply.rows).filter(|_| is_good);
                if rows.is_none() && !matches!(outcome, Outcome::Refused { code: 1, .. }) {
                    trading.definition_failed(&contract_id);
                }
                self.found(&contract_id, then, rows, &failure, trading);
            }
            Asked::Bars {
                contract,
                key,
                page,
            } => {
                let bars = if let Rows::Bars(bars) = reply.rows {
                    Some(bars).filter(|_| is_good)
                } else {
                    None
                };
                let definition = trading.store.contracts.get(contract.slot()).cloned()?;
                let bars = bars.map(|rows| {
                    let on_grid = rows
                        .iter()
                        .filter_map(|row| Bar::from_broker(row, &definition));
                    on_grid.collect::<Vec<_>>()
                });
                self.joined((contract, key), page, bars, &failure, trading);
            }
        }
        None
    }

    fn searched(
        &mut self,
        request: RequestId,
        rows: Option<Vec<BrokerContract>>,
        failure: &str,
        trading: &mut Trading,
    ) {
        let Some(rows) = rows else {
            trading.finish_request(request, DoneOutcome::Failed, failure, String::new());
            return;
        };
        self.define(&rows, trading);
        let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        let payload = serde_json::to_string(&ids).unwrap_or_default();
        let text = format!("{} contracts found.", ids.len());
        trading.finish_request(request, DoneOutcome::Done, &text, payload);
    }

    fn found(
        &mut self,
        contract_id: &str,
        then: Vec<RequestId>,
        rows: Option<Vec<BrokerContract>>,
        failure: &str,
        trading: &mut Trading,
    ) {
        self.define(&rows.unwrap_or_default(), trading);
        if trading.store.contract(contract_id).is_none() {
            let text = format!("Contract {contract_id} is not known to the broker. {failure}");
            for request in then {
                trading.finish_request(request, DoneOutcome::Failed, &text, String::new());
            }
            self.wanted_bars.retain(|(_, id, ..)| id != contract_id);
            self.wanted_subscriptions
                .retain(|(_, id)| id != contract_id);
            trading.contract_missing(contract_id);
            return;
        }
        let (ready, rest) = std::mem::take(&mut self.wanted_subscriptions)
            .into_iter()
            .partition::<Vec<_>, _>(|(_, id)| id == contract_id);
        self.wanted_subscriptions = rest;
        for (request, id) in ready {
            self.subscribe(request, &id, trading);
        }
        let (ready, rest) = std::mem::take(&mut self.wanted_bars)
            .into_iter()
            .partition::<Vec<_>, _>(|(_, id, ..)| id == contract_id);
        self.wanted_bars = rest;
        for (request, id, unit, number, count) in ready {
            self.watch_bars(request, &id, (unit, number, count), trading);
        }
    }

    /// Takes definitions into the table; each change is journaled.
    fn define(&mut self, rows: &[BrokerContract], trading: &mut Trading) {
        for row in rows {
            let Ok(index) = u16::try_from(trading.store.contracts.len()) else {
                break;
            };
            match Contract::from_broker(ContractIndex(index), row) {
                Ok(contract) => {
                    let record = Record::Contract(ContractRow::of(&contract));
                    self.are_definitions_changed |= trading.take_definition(&record);
                }
                Err(error) => trading.notice(NoticeLevel::Warning, "contract", error.to_string()),
            }
        }
        trading.contracts_changed();
    }

    /// Whether definitions changed since the last call.
    pub fn take_definitions_changed(&mut self) -> bool {
        std::mem::take(&mut self.are_definitions_changed)
    }

    /// A login: the broker lists what can be traded.
    pub fn logged_in(&mut self, trading: &mut Trading) {
        let body = r#"{"live":false}"#.to_owned();
        self.ask(Endpoint::ContractAvailable, body, Asked::Listing, trading);
    }

    pub fn search(&mut self, request: RequestId, text: &str, trading: &mut Trading) {
        let body = format!(r#"{{"searchText":{},"live":false}}"#, json_text(text));
        if !self.ask(
            Endpoint::ContractSearch,
            body,
            Asked::Search { request },
            trading,
        ) {
            trading.finish_request(
                request,
                DoneOutcome::Failed,
                "The minute's requests are spent.",
                String::new(),
            );
        }
    }

    fn ask(
        &mut self,
        endpoint: Endpoint,
        body: String,
        asked: Asked,
        trading: &mut Trading,
    ) -> bool {
        let Some(id) = trading.send_market_read(endpoint, body) else {
            return false;
        };
        self.asked.insert(id, asked);
        true
    }

    fn ask_by_id(&mut self, contract_id: &str, then: Vec<RequestId>, trading: &mut Trading) {
        if !then.is_empty() || self.asked_ids.insert(contract_id.to_owned()) {
            let body = format!(r#"{{"contractId":{}}}"#, json_text(contract_id));
            let contract_id = contract_id.to_owned();
            self.ask(
                Endpoint::ContractById,
                body,
                Asked::ById { contract_id, then },
                trading,
            );
        }
    }

    pub fn subscribe(&mut self, request: RequestId, contract_id: &str, trading: &mut Trading) {
        let Some(contract) = trading.store.contract(contract_id).cloned() else {
            self.wanted_subscriptions
                .push((request, contract_id.to_owned()));
            self.ask_by_id(contract_id, vec![request], trading);
            return;
        };
        let instrument = self.instrument(&contract);
        if !instrument.is_subscribed {
            instrument.is_subscribed = true;
            let contract_id = contract_id.to_owned();
            trading.push_effect(Effect::Subscribe { contract_id });
        }
        self.next_check = self.next_check.or(Some(Mono(trading.now().0 + SECOND)));
        trading.finish_request(request, DoneOutcome::Done, "Subscribed.", String::new());
    }

    pub fn unsubscribe(&mut self, request: RequestId, contract_id: &str, trading: &mut Trading) {
        let contract = trading
            .store
            .contract(contract_id)
            .map(|contract| contract.index);
        if let Some(instrument) = contract.and_then(|index| self.instruments.get_mut(&index))
            && instrument.is_subscribed
        {
            instrument.is_subscribed = false;
            instrument.book.mark_stale();
            instrument.resting.lose();
            instrument.is_late = true;
            instrument.is_dirty = true;
            let contract_id = contract_id.to_owned();
            trading.push_effect(Effect::Unsubscribe { contract_id });
        }
        trading.finish_request(request, DoneOutcome::Done, "Unsubscribed.", String::new());
    }

    fn instrument(&mut self, contract: &Contract) -> &mut Instrument {
        let entry = self.instruments.entry(contract.index);
        entry.or_insert_with(|| {
            self.has_new_instruments = true;
            Instrument::new(contract)
        })
    }

    pub fn watch_bars(
        &mut self,
        request: RequestId,
        contract_id: &str,
        (unit, number, count): (BarUnit, i64, i64),
        trading: &mut Trading,
    ) {
        let Some(contract) = trading.store.contract(contract_id).cloned() else {
            self.wanted_bars
                .push((request, contract_id.to_owned(), unit, number, count));
            self.ask_by_id(contract_id, vec![request], trading);
            return;
        };
        let Some(span) = Span::from_word(unit.word(), number) else {
            trading.finish_request(
                request,
                DoneOutcome::Failed,
                "There is no such length of bar.",
                String::new(),
            );
            return;
        };
        let now = trading.now_ns();
        let instrument = self.instrument(&contract);
        let calendar = instrument.calendar;
        let series = instrument
            .series
            .entry((unit, number))
            .or_insert_with(|| Series {
                bars: BarSeries::new(span, calendar, now),
                history: History::new(),
                rows: Arc::default(),
                revision: 0,
                rewritten_at: 0,
                closed_at: Vec::new(),
                is_dirty: true,
                waiting: Vec::new(),
            });
        let is_more = series.history.raise(count.clamp(1, HISTORY_MAX));
        if is_more || series.history.is_open() {
            series.waiting.push(request);
        } else {
            trading.finish_request(
                request,
                DoneOutcome::Done,
                "The bars are there.",
                String::new(),
            );
        }
    }

    /// History arrived (or not) for a series.
    fn joined(
        &mut self,
        (contract, key): (ContractIndex, SeriesKey),
        page: Page,
        bars: Option<Vec<Bar>>,
        failure: &str,
        trading: &mut Trading,
    ) {
        let series = self
            .instruments
            .get_mut(&contract)
            .and_then(|found| found.series.get_mut(&key));
        let Some(series) = series else { return };
        if !series.history.take_asked(page) {
            return;
        }
        let Some(bars) = bars else {
            series.history.failed(page, trading.now());
            for request in std::mem::take(&mut series.waiting) {
                let text = format!("No history: {failure} It is asked for again.");
                trading.finish_request(request, DoneOutcome::Failed, &text, String::new());
            }
            return;
        };
        if series.take_page(page, &bars) == Reading::GoesOn {
            return;
        }
        let text = format!("{} bars of history.", series.rows.len());
        for request in std::mem::take(&mut series.waiting) {
            trading.finish_request(request, DoneOutcome::Done, &text, String::new());
        }
    }

    /// Takes the state of the market hub. Silence alone loses nothing: the book stays what it was, and a subscription
    /// that is repeated begins with a reset of its own.
    pub fn link_changed(&mut self, name: LinkName, state: LinkState, trading: &mut Trading) {
        if name != LinkName::Market {
            return;
        }
        let now = trading.now();
        let is_connected = matches!(state, LinkState::Live | LinkState::Late);
        let was_connected = std::mem::replace(&mut self.is_hub_connected, is_connected);
        // Live after live: another connection took over, and what was printed between the two is missing.
        let is_hand_over =
            was_connected && state == LinkState::Live && self.hub_silent_since.is_none();
        let silent_since = match state {
            LinkState::Late => self.hub_silent_since.or(Some(now)),
            LinkState::Off | LinkState::Connecting | LinkState::Live | LinkState::Dead => None,
        };
        let was_silent = std::mem::replace(&mut self.hub_silent_since, silent_since)
            .is_some_and(|since| now.since(since) >= MISSED_AFTER_NS);
        let is_gap_over = is_connected
            && (!was_connected || is_hand_over || (was_silent && silent_since.is_none()));
        let market_now = trading.now_ns();
        for (index, instrument) in &mut self.instruments {
            instrument.is_dirty = true;
            instrument.is_late |= state != LinkState::Live;
            if was_connected && !is_connected {
                instrument.book.lose_connection();
                instrument.resting.lose();
            }
            if is_gap_over {
                instrument.rejoin(market_now);
            }
            trading.markets.insert(*index, instrument.facts());
        }
        self.queues_due.get_or_insert(now);
    }

    /// The broker's clock went back: books, quotes and bars begin again.
    pub fn new_epoch(&mut self, trading: &mut Trading) {
        let now = trading.now_ns();
        for (index, instrument) in &mut self.instruments {
            instrument.begin_again(now);
            trading.markets.insert(*index, instrument.facts());
            if instrument.is_subscribed {
                let contract_id = instrument.id.clone();
                trading.push_effect(Effect::Resubscribe { contract_id });
            }
        }
    }

    /// Follows one of our orders through the queue of its price.
    pub fn track(&mut self, index: usize, order: &Order, now: Nanos) {
        if let Some(instrument) = self.instruments.get_mut(&order.contract) {
            let book = &instrument.book;
            instrument.resting.track(index, order, book, now);
        }
    }

    /// Whether contracts came since the last call, whose orders are not followed yet.
    pub fn take_new_instruments(&mut self) -> bool {
        std::mem::take(&mut self.has_new_instruments)
    }

    /// Fewest and most lots ahead of an order; -1 while nothing is known.
    pub fn queue_of(&self, index: usize, contract: ContractIndex) -> (i64, i64) {
        let instrument = self.instruments.get(&contract);
        let bounds = instrument.and_then(|found| found.resting.bounds(index));
        bounds.unwrap_or((-1, -1))
    }

    /// The orders whose place in the queue may have moved, a few times a second.
    pub fn take_queue_news(&mut self, now: Mono) -> Vec<usize> {
        if self.queues_due.is_none_or(|due| due > now) {
            return Vec::new();
        }
        self.queues_due = None;
        let rows = self.instruments.values_mut();
        rows.flat_map(|row| row.resting.take_changed()).collect()
    }

    pub fn next_moment(&self) -> Option<Mono> {
        self.next_check
    }

    /// Looks after what time changes: missing definitions, history, late feeds, bars that end.
    pub fn run(&mut self, trading: &mut Trading, clock: &MarketClock) {
        if trading.environment.is_some() {
            for id in trading.unknown_contract_ids() {
                self.ask_by_id(&id, Vec::new(), trading);
            }
            self.ask_history(trading, clock);
        }
        let now = trading.now();
        if self.next_check.is_some_and(|at| at > now) {
            return;
        }
        let market_now = clock.now(now);
        let is_hub_live = self.is_hub_connected && self.hub_silent_since.is_none();
        for (index, instrument) in &mut self.instruments {
            if instrument.check(now, market_now, is_hub_live) {
                let contract_id = instrument.id.clone();
                trading.push_effect(Effect::Resubscribe { contract_id });
            }
            trading.markets.insert(*index, instrument.facts());
        }
        self.next_check = (!self.instruments.is_empty()).then_some(Mono(now.0 + SECOND));
    }

    fn ask_history(&mut self, trading: &mut Trading, clock: &MarketClock) {
        let now = trading.now();
        let Some(market_now) = clock.now(now) else {
            return;
        };
        let has_room = trading.has_room_to_spare();
        let mut wanted = Vec::new();
        for (index, instrument) in &self.instruments {
            for (key, series) in &instrument.series {
                let conditions = (series.is_seam_over(market_now), has_room);
                if let Some(page) = series.history.next_page(now, market_now, conditions) {
                    let body = history::body(&instrument.id, *key, series.history.count, page);
                    wanted.push((*index, *key, page, body));
                }
            }
        }
        for (contract, key, page, body) in wanted {
            let asked = Asked::Bars {
                contract,
                key,
                page,
            };
            let is_sent = self.ask(Endpoint::RetrieveBars, body, asked, trading);
            let series = self
                .instruments
                .get_mut(&contract)
                .and_then(|found| found.series.get_mut(&key));
            if let Some(series) = series {
                let newest_held = series.bars.closed().last().map(|bar| bar.time);
                series.history.left(page, is_sent, now, newest_held);
            }
        }
    }

    /// Publishes the contracts and series that changed.
    pub fn publish(&mut self, board: &Board) {
        for (index, instrument) in &mut self.instruments {
            if instrument.is_dirty {
                instrument.is_dirty = false;
                instrument.revision += 1;
                let view = Arc::new(instrument.view(*index));
                let slot = i64::from(index.0);
                let known = board.markets.read().get(&slot).cloned();
                if let Some(cell) = known {
                    cell.store(view);
                } else {
                    let cell = Arc::new(ArcSwap::new(view));
                    board.markets.write().insert(slot, cell);
                }
            }
            for (key, series) in &mut instrument.series {
                if series.is_dirty {
                    series.publish(*index, *key, board);
                }
            }
        }
    }
}

impl Asked {
    fn endpoint(&self) -> Endpoint {
        match self {
            Self::Listing => Endpoint::ContractAvailable,
            Self::Search { .. } => Endpoint::ContractSearch,
            Self::ById { .. } => Endpoint::ContractById,
            Self::Bars { .. } => Endpoint::RetrieveBars,
        }
    }
}

impl Instrument {
    /// Applies one message; a traced book goes time by time, so that each state the exchange stamped is seen.
    fn depth(&mut self, records: &[DepthRecord], at: Mono) {
        let Some(trace) = &self.trace else {
            self.book.apply(records, at);
            return;
        };
        for group in records.chunk_by(|one, next| one.time == next.time) {
            self.book.apply(group, at);
            trace.note(&self.book, group);
        }
    }

    fn new(contract: &Contract) -> Self {
        let calendar = Product::of_root(&contract.root).calendar();
        Self {
            id: contract.id.clone(),
            calendar,
            book: DepthBook::new(),
            quote: Quote::default(),
            stats: SessionStats::new(calendar),
            recent: RecentTrades::new(RECENT_RULES),
            freshness: Freshness::default(),
            prints: VecDeque::new(),
            prints_total: 0,
            last_print: None,
            series: BTreeMap::new(),
            resting: RestingOrders::default(),
            trace: None,
            is_subscribed: false,
            is_late: false,
            resubscribed: Mono(0),
            revision: 0,
            is_dirty: true,
            broker_time: Nanos(0),
            received: Mono(0),
        }
    }

    fn begin_again(&mut self, now: Nanos) {
        self.book.clear();
        self.resting.lose();
        self.quote.clear();
        self.stats.clear();
        self.recent.clear();
        self.freshness.clear();
        self.prints.clear();
        self.last_print = None;
        self.broker_time = Nanos(0);
        self.is_dirty = true;
        for series in self.series.values_mut() {
            series.bars.clear(now);
            series.history.begin_again();
            series.rewrite();
        }
    }

    /// Prints were missed, so history is joined again.
    fn rejoin(&mut self, now: Nanos) {
        self.freshness.clear();
        for series in self.series.values_mut() {
            series.bars.resume_from(now);
            series.history.resume();
        }
    }

    fn print(&mut self, print: &TradePrint) {
        self.resting.print(print);
        self.stats.apply(print);
        self.recent.apply(print);
        self.prints_total += 1;
        let row = PrintRow {
            sequence: self.prints_total,
            time_ns: print.time.0,
            ticks: print.price.0,
            lots: print.size.0,
            is_buy: print.aggressor != crate::types::Aggressor::Seller,
        };
        self.prints.push_back((self.revision + 1, row));
        if self.prints.len() > PRINTS_KEPT {
            self.prints.pop_front();
        }
        self.last_print = Some(*print);
        self.broker_time = self.broker_time.max(print.time);
        for series in self.series.values_mut() {
            series.print(print);
        }
    }

    fn best(&self) -> (Option<Ticks>, Option<Ticks>) {
        if self.book.state() == BookState::Live {
            let bid = self.book.best_bid().map(|level| level.0);
            let ask = self.book.best_ask().map(|level| level.0);
            return (bid.or(self.quote.best_bid), ask.or(self.quote.best_ask));
        }
        (self.quote.best_bid, self.quote.best_ask)
    }

    fn last(&self) -> Option<Ticks> {
        self.last_print.map(|print| print.price).or(self.quote.last)
    }

    fn facts(&self) -> MarketFacts {
        let (bid, ask) = self.best();
        MarketFacts {
            bid,
            ask,
            last: self.last(),
            is_late: self.is_late || !self.is_subscribed,
        }
    }

    /// The second's look: late, crossed, faded, ended. True when the subscription should be repeated.
    fn check(&mut self, now: Mono, market_now: Option<Nanos>, is_hub_live: bool) -> bool {
        if let Some(market_now) = market_now {
            self.recent.expire(market_now);
            for series in self.series.values_mut() {
                series.close_until(market_now);
            }
        }
        if !self.is_subscribed {
            return false;
        }
        let is_open = market_now.is_none_or(|at| self.calendar.is_open(at));
        let is_late = !is_hub_live || (is_open && self.freshness.is_late(now));
        self.is_dirty |= is_late != self.is_late;
        self.is_late = is_late;
        let is_crossed = self
            .book
            .crossed_since()
            .is_some_and(|since| now.since(since) >= CROSSED_AFTER_NS);
        let is_old = is_late
            && self
                .freshness
                .age_ns(now)
                .is_some_and(|age| age >= RESUBSCRIBE_AFTER_NS);
        let is_due = now.since(self.resubscribed) >= RESUBSCRIBE_AFTER_NS;
        if is_hub_live && is_open && (is_crossed || is_old) && is_due {
            self.resubscribed = now;
            self.book.clear();
            self.resting.lose();
            self.is_dirty = true;
            return true;
        }
        false
    }

    fn view(&self, index: ContractIndex) -> MarketView {
        let (mut bids, mut asks) = (Vec::new(), Vec::new());
        self.book.copy_top(usize::MAX, &mut bids, &mut asks);
        let (bid, ask) = self.best();
        let ticks = |value: Option<Ticks>| value.map(|ticks| ticks.0);
        let lots = |value: Option<Lots>| value.map_or(self.stats.lots, |lots| lots.0);
        MarketView {
            contract: i64::from(index.0),
            revision: self.revision,
            bids,
            asks,
            book_state: self.book.state().word(),
            best_bid_ticks: ticks(bid),
            best_ask_ticks: ticks(ask),
            last_ticks: ticks(self.last()),
            last_lots: self.last_print.map_or(0, |print| print.size.0),
            last_side: self.last_print.map_or("", |print| print.aggressor.word()),
            open_ticks: ticks(self.quote.open.or(self.stats.open)),
            high_ticks: ticks(self.quote.high.max(self.stats.high)),
            low_ticks: ticks(least(self.quote.low, self.stats.low)),
            settle_ticks: ticks(self.quote.settle),
            session_lots: lots(self.quote.volume).max(self.stats.lots),
            traded: self.stats.traded().iter().map(traded_row).collect(),
            recent: self.recent.rows().map(|row| traded_row(&row)).collect(),
            prints: self.prints.iter().copied().collect(),
            prints_total: self.prints_total,
            broker_time_ns: self.broker_time.0,
            receive_mono_ns: self.received.0 as i64,
            is_late: self.is_late,
        }
    }
}

impl Series {
    fn print(&mut self, print: &TradePrint) {
        match self.bars.apply(print) {
            BarChange::Forming => {}
            BarChange::Closed => self.note_closed(),
            BarChange::Corrected(at) => self.note_corrected(at),
        }
        self.is_dirty = true;
    }

    fn close_until(&mut self, now: Nanos) {
        if self.bars.close_until(now) {
            self.note_closed();
            self.is_dirty = true;
        }
    }

    fn note_closed(&mut self) {
        let closed = self.bars.closed();
        let known = self.rows.len().min(closed.len());
        let rows = Arc::make_mut(&mut self.rows);
        rows.extend(closed[known..].iter().map(bar_row));
        self.note_count();
    }

    /// From the coming revision on, readers hold this many closed bars.
    fn note_count(&mut self) {
        self.closed_at.push((self.revision + 1, self.rows.len()));
        if self.closed_at.len() > CLOSINGS_KEPT {
            self.closed_at.remove(0);
        }
    }

    fn note_corrected(&mut self, at: usize) {
        if let (Some(bar), Some(row)) = (
            self.bars.closed().get(at),
            Arc::make_mut(&mut self.rows).get_mut(at),
        ) {
            *row = bar_row(bar);
        }
        for (_, count) in &mut self.closed_at {
            *count = (*count).min(at);
        }
        self.note_count();
    }

    fn rewrite(&mut self) {
        self.rows = Arc::new(self.bars.closed().iter().map(bar_row).collect());
        self.rewritten_at = self.revision + 1;
        self.closed_at.clear();
        self.note_count();
        self.is_dirty = true;
    }

    /// The bar across the seam is over, so that the broker's version of it is whole.
    fn is_seam_over(&self, market_now: Nanos) -> bool {
        let end = self.bars.seam_end();
        end.is_some_and(|end| market_now.0 > end.0 + 2 * SECOND as i64)
    }

    /// Joins one page of history; says whether an older one is wanted.
    fn take_page(&mut self, page: Page, bars: &[Bar]) -> Reading {
        if page.before.is_none() {
            self.bars.join(bars, page.as_of);
        } else {
            self.bars.join_older(bars, page.as_of);
        }
        self.rewrite();
        let oldest = bars.iter().map(|bar| bar.time).min();
        let held = self.rows.len() + usize::from(self.bars.forming().is_some());
        self.history
            .came(page, oldest, bars.len() as i64, held as i64)
    }

    fn publish(&mut self, contract: ContractIndex, key: SeriesKey, board: &Board) {
        self.is_dirty = false;
        self.revision += 1;
        let slot = (i64::from(contract.0), key.0.word(), key.1);
        let view = Arc::new(BarView {
            contract: slot.0,
            unit: slot.1,
            number: slot.2,
            revision: self.revision,
            bars: Arc::clone(&self.rows),
            forming: self.bars.forming().map(bar_row),
            rewritten_at: self.rewritten_at,
            closed_at: self.closed_at.clone(),
            is_loading: self.bars.is_loading(),
        });
        let known = board.bars.read().get(&slot).cloned();
        match known {
            Some(cell) => cell.store(view),
            None => {
                board
                    .bars
                    .write()
                    .insert(slot, Arc::new(ArcSwap::new(view)));
            }
        }
    }
}

/// Lowest and highest print of a message.
fn span_of(event: &MarketEvent<'_>) -> Option<(Ticks, Ticks)> {
    let MarketEvent::Trades(_, prints) = event else {
        return None;
    };
    let prices = prints.iter().map(|print| print.price);
    Some((prices.clone().min()?, prices.max()?))
}

fn least(left: Option<Ticks>, right: Option<Ticks>) -> Option<Ticks> {
    left.into_iter().chain(right).min()
}

fn traded_row(row: &Traded) -> TradedRow {
    TradedRow {
        ticks: row.ticks,
        bought_lots: row.bought_lots,
        sold_lots: row.sold_lots,
    }
}

fn bar_row(bar: &Bar) -> BarRow {
    BarRow {
        time_ns: bar.time.0,
        open_ticks: bar.open.0,
        high_ticks: bar.high.0,
        low_ticks: bar.low.0,
        close_ticks: bar.close.0,
        volume_lots: bar.volume.0,
    }
}

fn contracts_of(rows: Rows) -> Option<Vec<BrokerContract>> {
    if let Rows::Contracts(rows) = rows {
        Some(rows)
    } else {
        None
    }
}

fn failure_text(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Accepted { .. } => String::new(),
        Outcome::NotSent { text } | Outcome::Refused { text, .. } | Outcome::Unknown { text } => {
            text.clone()
        }
    }
}

#[cfg(test)]
mod tests;
