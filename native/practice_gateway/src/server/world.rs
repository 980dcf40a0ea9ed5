//! Everything behind one lock: exchange, market source, clock, streams, listeners, journal, faults.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;
use std::time::Duration;

use serde_json::Value;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::contracts::SECOND;
use crate::exchange::Exchange;
use crate::exchange::model::{Event, Status};
use crate::feed::{Bar, BarUnit, FeedEvent, MarketSource, Tagged};
use crate::server::bar_store::BarStore;
use crate::server::bars;
use crate::server::clock::Clock;
use crate::server::faults::{Faults, Occasion};
use crate::server::hub::{HubKind, Listener, Out};
use crate::server::journal::Journal;
use crate::server::stream::{END, Stream};
use crate::wire::{self, Fields, push_string};

/// Figures for `GET /control/counters`.
#[derive(Default, Clone, Debug)]
pub struct Counters {
    /// TCP connections of clients, hubs included, since the start.
    pub connections: u64,
    pub requests: BTreeMap<&'static str, u64>,
    pub posts_by_tag: BTreeMap<String, u64>,
    pub user_frames: u64,
    pub quote_frames: u64,
    pub trade_frames: u64,
    pub depth_frames: u64,
    pub feed_events: u64,
    pub journal_errors: u64,
}

/// A user hub connection and what it asked for.
struct UserSubscriber {
    listener: Listener,
    accounts: bool,
    orders: HashSet<i64>,
    positions: HashSet<i64>,
    trades: HashSet<i64>,
}

/// A hub connection and the end of its token.
struct Connection {
    listener: Listener,
    expires: i64,
}

/// The gateway's state; every method runs under the lock of `Gateway::world`.
pub struct World {
    pub exchange: Exchange,
    pub clock: Clock,
    pub faults: Faults,
    pub counters: Counters,
    pub levels: usize,
    /// Messages to flood the first market subscriber with.
    pub flood_first: Option<u64>,
    /// The firm's hours apply: flat at 15:10, nothing until 17:00 Chicago.
    pub firm_hours: bool,
    /// Hub behaviour when a token ends: close with an error, or live on.
    pub close_at_expiry: bool,
    pub(super) source: Box<dyn MarketSource>,
    pub(super) streams: Vec<Stream>,
    pub(super) journal: Journal,
    bar_store: Option<BarStore>,
    users: Vec<UserSubscriber>,
    connections: Vec<Connection>,
    inbox: Vec<Tagged>,
    active: Vec<usize>,
    undo_crossed: Vec<(usize, String)>,
    next_event: Option<i64>,
    pub(super) stream_start: i64,
    day_checked: i64,
}

impl World {
    pub fn new(
        exchange: Exchange,
        source: Box<dyn MarketSource>,
        clock: Clock,
        journal: Journal,
        faults: Faults,
    ) -> Self {
        let count = exchange.contracts().all().len();
        let mut world = Self {
            exchange,
            clock,
            faults,
            counters: Counters::default(),
            levels: 10,
            close_at_expiry: true,
            firm_hours: true,
            flood_first: None,
            source,
            streams: (0..count).map(|_| Stream::default()).collect(),
            journal,
            bar_store: None,
            users: Vec::new(),
            connections: Vec::new(),
            inbox: Vec::new(),
            active: Vec::new(),
            undo_crossed: Vec::new(),
            next_event: None,
            stream_start: 0,
            day_checked: 0,
        };
        world.begin_streams();
        world
    }

    /// Keeps streamed bars in `store` and takes over those of earlier runs.
    pub fn keep_bars(&mut self, mut store: BarStore) {
        for &contract in &self.active {
            let root = self.exchange.contracts().get(contract).root;
            let kept = store.load(root, self.stream_start);
            self.streams[contract].restore_seconds(kept);
        }
        self.bar_store = Some(store);
    }

    /// Session figures from before the stream, last price and trading state of every streamed contract.
    pub(super) fn begin_streams(&mut self) {
        let now = self.clock.now();
        self.stream_start = now;
        self.active = self.source.contracts().to_vec();
        let open = bars::session_open(now);
        for &contract in &self.active.clone() {
            let session = self.source.history(contract, BarUnit::Minute, 1, open, now);
            let before = self.source.history(
                contract,
                BarUnit::Minute,
                1,
                open - 4 * 86_400 * SECOND,
                open,
            );
            let close = before.last().map(|bar| bar.close);
            if let Some(stream) = self.streams.get_mut(contract) {
                stream.begin(open, &session, close);
            }
            let last = session.last().or(before.last()).map(|bar| bar.close);
            self.exchange
                .begin_market(contract, last, self.source.is_trading(contract, now));
        }
    }

    /// Brings the market to the clock. Returns how long to sleep until something may happen.
    pub fn pump(&mut self) -> Duration {
        let now = self.clock.now();
        self.pump_to(now);
        let ahead = self.next_event.and_then(|at| self.clock.wait_until(at));
        ahead.unwrap_or(MAX_SLEEP).clamp(MIN_SLEEP, MAX_SLEEP)
    }

    fn pump_to(&mut self, now: i64) {
        if now - self.day_checked > SECOND {
            self.day_checked = now;
            self.exchange.advance_day(now);
            let closed = self.firm_hours && bars::is_firm_closed(now);
            self.exchange.set_firm_closed(closed, now);
            self.save_bars();
            self.expire_connections(now);
            self.tick_faults();
        }
        if self.next_event.is_none_or(|at| at <= now) {
            let mut inbox = std::mem::take(&mut self.inbox);
            inbox.clear();
            self.next_event = self.source.advance(now, &mut inbox);
            self.counters.feed_events += inbox.len() as u64;
            for tagged in &inbox {
                self.absorb(tagged);
                if self
                    .streams
                    .get(tagged.contract)
                    .is_some_and(Stream::is_full)
                {
                    self.flush_market(now);
                }
            }
            self.inbox = inbox;
            self.flush_market(now);
        }
        self.commit(now);
    }

    fn absorb(&mut self, tagged: &Tagged) {
        let index = tagged.contract;
        let Some(stream) = self.streams.get_mut(index) else {
            return;
        };
        let at = tagged.event.at();
        let contract = self.exchange.contracts().get(index);
        if stream.pending_before(at) {
            stream.flush_levels(contract, self.exchange.book(index), self.levels);
        }
        match tagged.event {
            FeedEvent::Level { .. } => stream.level(at),
            FeedEvent::Print {
                ticks,
                lots,
                aggressor,
                ..
            } => stream.print(contract, at, ticks, lots, aggressor),
            FeedEvent::Clear { .. } => stream.reset(at),
            FeedEvent::SessionOpen { .. } => {
                stream.session_open(bars::session_open(at));
                stream.reset(at);
                stream.level(at);
            }
            FeedEvent::SessionClose { .. } => {}
        }
        self.exchange.feed(tagged);
    }

    /// Sends what the streams have collected. Within a contract: trades, depth, quote.
    fn flush_market(&mut self, now: i64) {
        for (contract, text) in std::mem::take(&mut self.undo_crossed) {
            self.streams[contract].push_raw_depth(&text);
        }
        for slot in 0..self.active.len() {
            let index = self.active[slot];
            let contract = self.exchange.contracts().get(index);
            let book = self.exchange.book(index);
            let stream = &mut self.streams[index];
            stream.flush_levels(contract, book, self.levels);
            if !self.faults.is_empty() {
                crossed(
                    &mut self.faults,
                    stream,
                    (contract, book),
                    now,
                    index,
                    &mut self.undo_crossed,
                );
            }
            let null = null_element(&mut self.faults, "GatewayTrade");
            if let Some(frame) = stream.take_trades(contract, null) {
                send_market(
                    &mut self.faults,
                    "GatewayTrade",
                    &stream.subscribers.trades,
                    &frame,
                );
                self.counters.trade_frames += 1;
            }
            let null = null_element(&mut self.faults, "GatewayDepth");
            if let Some(frame) = stream.take_depth(contract, null) {
                send_market(
                    &mut self.faults,
                    "GatewayDepth",
                    &stream.subscribers.depth,
                    &frame,
                );
                self.counters.depth_frames += 1;
            }
            if !stream.subscribers.quotes.is_empty()
                && let Some(frame) = stream.take_quote(contract, now)
            {
                send_market(
                    &mut self.faults,
                    "GatewayQuote",
                    &stream.subscribers.quotes,
                    &frame,
                );
                self.counters.quote_frames += 1;
            }
        }
    }

    /// Writes the exchange's events to disk, then tells the user hub. The order matters: what is told is kept.
    pub fn commit(&mut self, now: i64) {
        let events = self.exchange.take_events();
        if events.is_empty() {
            return;
        }
        if let Err(error) = self.journal.append(now, &events) {
            self.counters.journal_errors += 1;
            tracing::error!("journal append failed error={error}");
        }
        if self.users.is_empty() {
            return;
        }
        let mut frames: Vec<(usize, Utf8Bytes)> = Vec::with_capacity(events.len());
        for (index, event) in events.iter().enumerate() {
            self.frames_of(index, event, &mut frames);
        }
        if self.faults.hit("swap", hub_occasion("user", "")).is_some() {
            frames.reverse();
        }
        for (index, frame) in frames {
            self.tell(&events[index], &frame);
        }
    }

    fn frames_of(&mut self, index: usize, event: &Event, out: &mut Vec<(usize, Utf8Bytes)>) {
        let name = event_name(event);
        let occasion = hub_occasion("user", name);
        if self.faults.is_empty() {
            out.push((index, self.user_frame(event, false, false)));
            return;
        }
        if self.faults.hit("miss", occasion).is_some() {
            return;
        }
        let bare = self.faults.hit("bare", occasion).is_some();
        let is_order = matches!(event, Event::Order(_));
        let text_id = is_order && self.faults.hit("string_id", occasion).is_some();
        let frame = self.user_frame(event, bare, text_id);
        if self.faults.hit("duplicate", occasion).is_some() {
            out.push((index, frame.clone()));
        }
        out.push((index, frame));
    }

    fn user_frame(&self, event: &Event, bare: bool, text_id: bool) -> Utf8Bytes {
        let mut out = String::with_capacity(480);
        let _ = write!(
            out,
            "{{\"type\":1,\"target\":\"{}\",\"arguments\":[",
            event_name(event)
        );
        if !bare {
            let _ = write!(out, "{{\"action\":{},\"data\":", action(event));
        }
        let table = self.exchange.contracts();
        match event {
            Event::Account(row) => {
                wire::account(Fields::hub(&mut out), row);
            }
            Event::Order(row) => {
                wire::order(Fields::hub(&mut out), row, table.get(row.contract), text_id);
            }
            Event::Position(row) => {
                wire::position(Fields::hub(&mut out), row, table.get(row.contract));
            }
            Event::Trade(row) => {
                wire::trade(Fields::hub(&mut out), row, table.get(row.contract));
            }
        }
        if !bare {
            out.push('}');
        }
        out.push_str("]}");
        out.push(END);
        out.into()
    }

    fn tell(&mut self, event: &Event, frame: &Utf8Bytes) {
        for user in &self.users {
            let wanted = match event {
                Event::Account(_) => user.accounts,
                Event::Order(row) => user.orders.contains(&i64::from(row.account)),
                Event::Position(row) => user.positions.contains(&i64::from(row.account)),
                Event::Trade(row) => user.trades.contains(&i64::from(row.account)),
            };
            if wanted {
                user.listener.send(frame);
                self.counters.user_frames += 1;
            }
        }
    }

    pub fn join(&mut self, listener: Listener, expires: i64) {
        if listener.kind() == HubKind::User {
            self.users.push(UserSubscriber {
                listener: listener.clone(),
                accounts: false,
                orders: HashSet::new(),
                positions: HashSet::new(),
                trades: HashSet::new(),
            });
        }
        self.connections.push(Connection { listener, expires });
    }

    pub fn leave(&mut self, listener: &Listener) {
        let id = listener.id();
        self.connections
            .retain(|connection| connection.listener.id() != id);
        self.users.retain(|user| user.listener.id() != id);
        for stream in &mut self.streams {
            for list in [
                &mut stream.subscribers.quotes,
                &mut stream.subscribers.trades,
                &mut stream.subscribers.depth,
            ] {
                list.retain(|other| other.id() != id);
            }
        }
    }

    pub fn connection_count(&self) -> usize {
        self.connections.len()
    }

    /// A hub method. False if it does not exist; otherwise its completion goes out before anything it causes.
    pub fn invoke(
        &mut self,
        listener: &Listener,
        target: &str,
        argument: &Value,
        completion: impl FnOnce() -> Option<Utf8Bytes>,
    ) -> bool {
        let known = match listener.kind() {
            HubKind::User => self.invoke_user(listener, target, argument),
            HubKind::Market => MARKET_METHODS.contains(&target),
        };
        if !known {
            return false;
        }
        if let Some(frame) = completion() {
            listener.send(&frame);
        }
        if listener.kind() == HubKind::Market {
            self.invoke_market(listener, target, argument);
        }
        true
    }

    fn invoke_user(&mut self, listener: &Listener, target: &str, argument: &Value) -> bool {
        let (subscribe, what) = match target.strip_prefix("Unsubscribe") {
            Some(what) => (false, what),
            None => match target.strip_prefix("Subscribe") {
                Some(what) => (true, what),
                None => return false,
            },
        };
        let Some(user) = self
            .users
            .iter_mut()
            .find(|user| user.listener.id() == listener.id())
        else {
            return false;
        };
        let set = match what {
            "Accounts" => {
                user.accounts = subscribe;
                return true;
            }
            "Orders" => &mut user.orders,
            "Positions" => &mut user.positions,
            "Trades" => &mut user.trades,
            _ => return false,
        };
        let account = argument
            .as_i64()
            .or_else(|| argument.as_str()?.parse().ok());
        match account {
            Some(account) if subscribe => drop(set.insert(account)),
            Some(account) => drop(set.remove(&account)),
            None => {}
        }
        true
    }

    fn invoke_market(&mut self, listener: &Listener, target: &str, argument: &Value) {
        // Everything up to now belongs to those who listened before.
        let now = self.clock.now();
        self.pump_to(now);
        let Some(index) = argument
            .as_str()
            .and_then(|id| self.exchange.contracts().by_id(id))
        else {
            return;
        };
        self.flush_one(index);
        let contract = self.exchange.contracts().get(index);
        let stream = &mut self.streams[index];
        let subscribers = &mut stream.subscribers;
        let list = match target
            .trim_start_matches("Unsubscribe")
            .trim_start_matches("Subscribe")
        {
            "ContractQuotes" => &mut subscribers.quotes,
            "ContractTrades" => &mut subscribers.trades,
            _ => &mut subscribers.depth,
        };
        list.retain(|other| other.id() != listener.id());
        if target.starts_with("Unsubscribe") {
            return;
        }
        let is_first = list.is_empty();
        list.push(listener.clone());
        if target == "SubscribeContractQuotes" {
            if let Some(frame) = stream.full_quote(contract, now) {
                listener.send(&frame);
            }
            if is_first {
                stream.mark_told();
            }
        } else if target == "SubscribeContractMarketDepth" && self.active.contains(&index) {
            let reset = self
                .faults
                .hit("no_reset", hub_occasion("market", ""))
                .is_none();
            let book = self.exchange.book(index);
            listener.send(&stream.snapshot(contract, book, self.levels, now, reset));
        }
        if let Some(messages) = self.flood_first.take() {
            self.flood(messages);
        }
    }

    fn flush_one(&mut self, index: usize) {
        if self.active.contains(&index) {
            self.flush_market(self.clock.now());
        }
    }

    fn expire_connections(&mut self, now: i64) {
        if !self.close_at_expiry {
            return;
        }
        for connection in self
            .connections
            .iter_mut()
            .filter(|connection| connection.expires <= now)
        {
            connection.expires = i64::MAX;
            connection
                .listener
                .push(Out::Close("Connection closed with an error.".to_owned()));
        }
    }

    /// Fires the faults that act on whole connections.
    pub fn tick_faults(&mut self) {
        if self.faults.is_empty() {
            return;
        }
        for hub in ["user", "market"] {
            for kind in ["close", "drop", "silent", "slow", "logout"] {
                if !self
                    .connections
                    .iter()
                    .any(|c| c.listener.kind().name() == hub)
                {
                    continue;
                }
                let Some(rule) = self.faults.hit(kind, hub_occasion(hub, "")) else {
                    continue;
                };
                for connection in self
                    .connections
                    .iter()
                    .filter(|c| c.listener.kind().name() == hub)
                {
                    let text = rule.text.clone();
                    connection.listener.push(match kind {
                        "close" => Out::Close(
                            text.unwrap_or_else(|| "Connection closed with an error.".to_owned()),
                        ),
                        "drop" => Out::Drop,
                        "silent" => Out::Silent,
                        "slow" => Out::Slow(Duration::from_millis(rule.ms)),
                        _ => Out::Frame(logout_frame(text.as_deref()).into()),
                    });
                }
            }
        }
    }

    /// Hands the faults that live inside the matching over to the exchange, one occasion at a time.
    pub fn arm_exchange_faults(&mut self) {
        if self.faults.is_empty() {
            return;
        }
        if self
            .faults
            .hit("cancel_race", Occasion::default())
            .is_some()
        {
            self.exchange.switches.cancel_races += 1;
        }
        if self
            .faults
            .hit("orphan_child", Occasion::default())
            .is_some()
        {
            self.exchange.switches.orphan_children += 1;
        }
    }

    /// Streams `messages` prepared records to every market subscriber of any contract.
    pub fn flood(&mut self, messages: u64) -> usize {
        let now = self.clock.now();
        let mut reached = HashSet::new();
        for index in self.active.clone() {
            let contract = self.exchange.contracts().get(index);
            let (frames, per_frame) = super::flood::frames(contract, &self.exchange, index, now);
            let lists = &self.streams[index].subscribers;
            for listener in lists.quotes.iter().chain(&lists.trades).chain(&lists.depth) {
                if reached.insert(listener.id()) {
                    listener.push(Out::Flood {
                        frames: frames.clone(),
                        per_frame,
                        messages,
                    });
                }
            }
        }
        reached.len()
    }

    /// Bars of one contract: `from <= at < to`, oldest first. Bars kept from earlier runs replace the source's history
    /// of their minutes.
    pub fn bars(
        &mut self,
        contract: usize,
        unit: BarUnit,
        number: u32,
        from: i64,
        to: i64,
    ) -> Vec<Bar> {
        let from = bars::bar_start(from, unit, number);
        let until = to.min(self.stream_start.max(from));
        let streamed = self.streams[contract].seconds();
        let begin = streamed.partition_point(|bar| bar.at < from);
        let end = streamed.partition_point(|bar| bar.at < to).max(begin);
        let streamed = &streamed[begin..end];
        let kept = streamed.partition_point(|bar| bar.at < self.stream_start);
        if kept == 0 || unit == BarUnit::Second {
            let mut out = self.source.history(contract, unit, number, from, until);
            let first = out.last().map_or(i64::MIN, |bar| bar.at);
            let newer = streamed.iter().filter(|bar| bar.at >= first);
            bars::fold(&mut out, newer.copied(), unit, number);
            return out;
        }
        let minutes = self
            .source
            .history(contract, BarUnit::Minute, 1, from, until);
        let mut out = Vec::new();
        bars::fold(&mut out, bars::overlay(&minutes, streamed), unit, number);
        out
    }

    /// Jumps the market and the clock; a jump backwards is for the caller to refuse.
    pub fn seek(&mut self, to: i64) -> Result<(), String> {
        self.source.seek(to)?;
        self.clock.set(to);
        self.next_event = None;
        self.pump_to(to);
        Ok(())
    }

    /// A new run at `to`: fresh accounts, no listeners; whoever is connected is sent away.
    pub fn restart(&mut self, exchange: Exchange, to: i64) -> Result<(), String> {
        self.source.seek(to)?;
        for connection in self.connections.drain(..) {
            connection
                .listener
                .push(Out::Close("Connection closed with an error.".to_owned()));
        }
        self.users.clear();
        self.streams = self.streams.iter().map(|_| Stream::default()).collect();
        self.exchange = exchange;
        self.bar_store = None;
        self.clock.set(to);
        self.next_event = None;
        self.begin_streams();
        self.pump_to(to);
        Ok(())
    }

    /// Replaces the journal by the state as it is.
    pub fn compact(&mut self, directory: &std::path::Path) -> std::io::Result<()> {
        self.journal
            .compact(directory, self.clock.now(), &self.exchange.snapshot())
    }

    /// Adds script steps, timed from now.
    pub fn push_steps(&mut self, steps: &str) -> Result<(), String> {
        // A source that was not asked since its last event would time the steps from that one: in the past.
        self.next_event = None;
        self.pump();
        self.source.push(steps)?;
        self.next_event = None;
        self.pump();
        Ok(())
    }

    /// Appends finished one-second bars to the state folder, so that history outlives this process.
    fn save_bars(&mut self) {
        let Some(store) = &mut self.bar_store else {
            return;
        };
        for &contract in &self.active {
            let root = self.exchange.contracts().get(contract).root;
            if let Err(error) = store.append(root, self.streams[contract].seconds()) {
                self.counters.journal_errors += 1;
                tracing::error!("bars not kept root={root} error={error}");
            }
        }
    }
}

const MIN_SLEEP: Duration = Duration::from_millis(1);
const MAX_SLEEP: Duration = Duration::from_millis(50);
const MARKET_METHODS: [&str; 6] = [
    "SubscribeContractQuotes",
    "SubscribeContractTrades",
    "SubscribeContractMarketDepth",
    "UnsubscribeContractQuotes",
    "UnsubscribeContractTrades",
    "UnsubscribeContractMarketDepth",
];

fn hub_occasion<'a>(hub: &'a str, event: &'a str) -> Occasion<'a> {
    Occasion {
        hub,
        event,
        ..Occasion::default()
    }
}

fn null_element(faults: &mut Faults, event: &str) -> bool {
    !faults.is_empty()
        && faults
            .hit("null_element", hub_occasion("market", event))
            .is_some()
}

fn crossed(
    faults: &mut Faults,
    stream: &mut Stream,
    (contract, book): (&crate::contracts::Contract, &crate::exchange::book::Book),
    now: i64,
    index: usize,
    undo: &mut Vec<(usize, String)>,
) {
    if stream.subscribers.depth.is_empty()
        || faults.hit("crossed", hub_occasion("market", "")).is_none()
    {
        return;
    }
    if let Some(text) = stream.push_crossed(contract, book, now) {
        undo.push((index, text));
    }
}

fn send_market(faults: &mut Faults, event: &str, listeners: &[Listener], frame: &Utf8Bytes) {
    if !faults.is_empty() && faults.hit("miss", hub_occasion("market", event)).is_some() {
        return;
    }
    for listener in listeners {
        listener.send(frame);
    }
}

fn event_name(event: &Event) -> &'static str {
    match event {
        Event::Account(_) => "GatewayUserAccount",
        Event::Order(_) => "GatewayUserOrder",
        Event::Position(_) => "GatewayUserPosition",
        Event::Trade(_) => "GatewayUserTrade",
    }
}

fn action(event: &Event) -> u8 {
    match event {
        Event::Trade(_) => 0,
        Event::Position(row) if row.lots == 0 => 2,
        Event::Order(row) if row.status == Status::Cancelled => 2,
        _ => 1,
    }
}

fn logout_frame(text: Option<&str>) -> String {
    let mut out = String::from("{\"type\":1,\"target\":\"GatewayLogout\",\"arguments\":[");
    push_string(&mut out, text.unwrap_or("Your session was ended."));
    out.push_str("]}");
    out.push(END);
    out
}
