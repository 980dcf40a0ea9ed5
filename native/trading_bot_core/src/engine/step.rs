//! The pure engine: one input at a time, effects out, views on demand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::clock::{ClockStep, MarketClock};
use crate::engine::contract::{
    Command, Effect, Environment, Input, LinkChange, LinkName, LinkState, Outbox, Stamp,
};
use crate::engine::market::Market;
use crate::engine::views::{
    Board, Event, LinkRow, NoticeLevel, OrderRow, OrderTable, PositionRow, StatusView,
};
use crate::engine::{risk_rows, rows};
use crate::order_execution::store::Place;
use crate::order_execution::trading::{Settings, Trading};
use crate::planted::{Bug, planted};
use crate::types::{Mono, Nanos, RequestId};
use crate::websocket::parse::{MarketEvent, UserEvent};

/// What an engine is made with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Raised above that of every earlier start, and never below the wall clock's seconds (see [`next_epoch`]).
    pub epoch: u64,
    /// What every tag of this run begins with; from [`TagMint::prefix`](crate::order_execution::tag::TagMint::prefix).
    pub tag_prefix: String,
    pub settings: Settings,
}

/// The epoch of a new start: above the last one even when the journal was restored from an old backup (G11).
pub fn next_epoch(last: u64, wall: Nanos) -> u64 {
    if planted(Bug::EpochStays) && last > 0 {
        return last;
    }
    (last + 1).max(u64::try_from(wall.0 / 1_000_000_000).unwrap_or(0))
}

#[derive(Clone, Debug)]
struct Link {
    state: LinkState,
    since_ns: i64,
    text: String,
    retry: Option<Mono>,
}

/// The single writer. Owned by one thread; everything else reads the [`Board`].
#[derive(Debug)]
pub struct Engine {
    pub trading: Trading,
    market: Market,
    clock: MarketClock,
    links: [Link; 3],
    epoch: u64,
    timer: Option<Mono>,
    unpublished: Unpublished,
    /// Rows as published, so that one changed order costs one new row.
    order_rows: Vec<Option<Arc<OrderRow>>>,
    /// Places of rows that the table does not show yet.
    stale_rows: BTreeSet<usize>,
    order_table: OrderTable,
    /// Positions as last told, without what every tick moves.
    told_positions: BTreeMap<Place, PositionRow>,
    /// `step_ahead` was called and `finish` was not.
    is_ahead: bool,
}

/// What `publish` has to rebuild.
#[expect(clippy::struct_excessive_bools, reason = "one mark per table")]
#[derive(Clone, Copy, Debug, Default)]
struct Unpublished {
    orders: bool,
    positions: bool,
    fills: bool,
    accounts: bool,
    links: bool,
    armed: bool,
    rules: bool,
    contracts: usize,
}

impl Engine {
    /// An engine without a past.
    pub fn new(setup: &Setup) -> Self {
        let off = Link {
            state: LinkState::Off,
            since_ns: 0,
            text: String::new(),
            retry: None,
        };
        Self {
            trading: Trading::new(&setup.tag_prefix, setup.settings),
            market: Market::default(),
            clock: MarketClock::new(),
            links: [off.clone(), off.clone(), off],
            epoch: setup.epoch,
            timer: None,
            // Everything: the journal may hold a past, and the board may still show that of another gateway.
            unpublished: Unpublished {
                orders: true,
                positions: true,
                fills: true,
                accounts: true,
                links: true,
                armed: true,
                rules: true,
                contracts: usize::MAX,
            },
            order_rows: Vec::new(),
            stale_rows: BTreeSet::new(),
            order_table: OrderTable::default(),
            told_positions: BTreeMap::new(),
            is_ahead: false,
        }
    }

    /// Takes the journal's records, oldest first; returns how many could not be read.
    pub fn replay<'a>(&mut self, records: impl IntoIterator<Item = &'a [u8]>) -> usize {
        self.trading.replay(records)
    }

    /// Epoch of the newest start in the journal; zero before the first.
    pub fn last_epoch(&self) -> u64 {
        self.trading.store.epoch
    }

    /// Begins the run: records the epoch (the driver syncs it before connecting) and doubts what has no proof.
    pub fn start(&mut self, stamp: Stamp, out: &mut Outbox) {
        self.set_clocks(stamp);
        self.trading.start(self.epoch);
        self.finish(out);
    }

    /// Takes one input. Never fails, never blocks.
    pub fn step(&mut self, input: Input<'_>, stamp: Stamp, out: &mut Outbox) {
        self.set_clocks(stamp);
        if self.take(input, stamp, out) {
            self.finish(out);
        }
    }

    /// Takes a command and gives out its records and requests; what else follows from it waits for the next step or for
    /// `catch_up`. Rows, timers and rules can be put off for a moment, an order cannot.
    pub fn step_ahead(&mut self, command: Command, stamp: Stamp, out: &mut Outbox) {
        self.catch_up(stamp, out);
        self.set_clocks(stamp);
        self.take_command(command);
        self.is_ahead = true;
        self.give_effects(out);
    }

    /// Does what `step_ahead` has put off; nothing when a step has come since.
    pub fn catch_up(&mut self, stamp: Stamp, out: &mut Outbox) {
        if self.is_ahead {
            self.set_clocks(stamp);
            self.finish(out);
        }
    }

    /// False when nothing can follow from it.
    fn take(&mut self, input: Input<'_>, stamp: Stamp, out: &mut Outbox) -> bool {
        match input {
            Input::Market(event) => {
                self.take_market(event, stamp);
                self.take_queue_news();
                out.push(Effect::Wake);
                // Most messages change nothing but the market: no order, no timer, no news.
                let is_due = self.timer.is_some_and(|at| at <= stamp.mono);
                return is_due || self.is_ahead || !self.trading.is_idle();
            }
            Input::User(event) => self.take_user(event, stamp),
            Input::Command(command) => self.take_command(command),
            Input::Reply(reply) => {
                if let Some(reply) = self.market.reply(reply, &mut self.trading) {
                    self.trading.reply(reply);
                }
            }
            Input::LoggedIn {
                request,
                environment,
            } => {
                self.trading.environment = Some(environment);
                self.trading.logged_in(request);
                self.market.logged_in(&mut self.trading);
            }
            Input::Link(change) => self.take_link(change),
            // The sender waits for the record, the engine for nothing: there is nothing to run.
            Input::JournalDone { .. } => return false,
            Input::Timer => {}
            Input::JournalFailed { text } => self.trading.journal_failed(&text),
            Input::LoginLife { ends, life_ns } => self.trading.take_login_life(ends, life_ns),
            Input::AccountLock { account, holder } => self.trading.take_lock(account, holder),
            Input::Spent(requests) => self.trading.note_spent(requests),
            Input::ServerTime(at) => {
                let step = self.clock.observe_server_time(at, stamp.mono);
                self.after_clock(step);
            }
        }
        true
    }

    fn set_clocks(&mut self, stamp: Stamp) {
        let now_ns = self.clock.now(stamp.mono).unwrap_or(Nanos(0));
        self.trading.set_now(stamp.mono, now_ns);
    }

    fn observe(&mut self, at: Option<Nanos>, mono: Mono) {
        if let Some(at) = at {
            let step = self.clock.observe(at, mono);
            self.after_clock(step);
        }
    }

    fn after_clock(&mut self, step: ClockStep) {
        if step == ClockStep::NewEpoch {
            self.market.new_epoch(&mut self.trading);
            let text = "The broker's clock went back; books and forming bars are rebuilt.";
            self.trading
                .notice(NoticeLevel::Warning, "clock_epoch", text.into());
        }
    }

    fn take_market(&mut self, event: MarketEvent<'_>, stamp: Stamp) {
        let at = match &event {
            MarketEvent::Quote(_, quote) => quote.updated.or(quote.time),
            MarketEvent::Trades(_, prints) => prints.last().map(|print| print.time),
            MarketEvent::Depth(_, records) => records.last().map(|record| record.time),
        };
        self.observe(at, stamp.mono);
        let moved = event.contract();
        if self.market.take(event, stamp, &mut self.trading) {
            self.unpublished.positions = true;
            self.trading.price_moved(moved);
        }
    }

    fn take_user(&mut self, event: UserEvent, stamp: Stamp) {
        let at = match &event {
            UserEvent::Order(row) => row.updated,
            UserEvent::Trade(row) => row.created,
            UserEvent::Position(_) | UserEvent::Account(_) | UserEvent::Logout => None,
        };
        self.observe(at, stamp.mono);
        self.set_clocks(stamp);
        self.trading.user(event);
    }

    fn take_command(&mut self, command: Command) {
        match command {
            Command::Subscribe {
                request,
                contract_id,
            } => {
                self.market
                    .subscribe(request, &contract_id, &mut self.trading);
            }
            Command::Unsubscribe {
                request,
                contract_id,
            } => {
                self.market
                    .unsubscribe(request, &contract_id, &mut self.trading);
            }
            Command::WatchBars {
                request,
                contract_id,
                unit,
                number,
                history_count,
            } => {
                let key = (unit, number, history_count);
                self.market
                    .watch_bars(request, &contract_id, key, &mut self.trading);
            }
            Command::SearchContracts { request, text } => {
                self.market.search(request, &text, &mut self.trading);
            }
            Command::TraceBook { contract_id, trace } => {
                self.market.trace_book(&contract_id, trace);
            }
            Command::Disconnect { .. } => {
                self.trading.command(command);
                self.trading.environment = None;
            }
            Command::Submit(_)
            | Command::SubmitBracket { .. }
            | Command::LinkOco { .. }
            | Command::SetBracketMode { .. }
            | Command::Modify { .. }
            | Command::Cancel { .. }
            | Command::CancelGroup { .. }
            | Command::ClosePosition { .. }
            | Command::Reverse { .. }
            | Command::FlattenEverything { .. }
            | Command::Flatten { .. }
            | Command::Arm { .. }
            | Command::SetStopRule { .. }
            | Command::SetLimits { .. }
            | Command::SetRules { .. }
            | Command::SetMode { .. }
            | Command::ReleaseThrottle { .. }
            | Command::Reconcile { .. }
            | Command::ChooseAccounts { .. }
            | Command::Halt { .. } => self.trading.command(command),
        }
    }

    fn take_link(&mut self, change: LinkChange) {
        let slot = link_slot(change.name);
        let link = &mut self.links[slot];
        if link.state != change.state {
            link.since_ns = self.trading.now_ns().0;
        }
        link.state = change.state;
        link.text = change.text;
        link.retry = change.retry;
        self.unpublished.links = true;
        let row = self.link_row(change.name);
        self.trading.push_event(Event::LinkChanged(row));
        self.market
            .link_changed(change.name, change.state, &mut self.trading);
        self.trading.link_changed(change.name, change.state);
    }

    fn link_row(&self, name: LinkName) -> LinkRow {
        let link = &self.links[link_slot(name)];
        let age = (self.trading.now_ns().0 - link.since_ns).max(0);
        LinkRow {
            name: name.word(),
            state: link.state.word(),
            since_ns: link.since_ns,
            age_ms: if link.since_ns == 0 {
                0
            } else {
                age / 1_000_000
            },
            text: link.text.as_str().into(),
            retry_mono_ns: link.retry.map_or(0, |at| at.0 as i64),
        }
    }

    /// Runs what is due, and turns changed state into news.
    fn finish(&mut self, out: &mut Outbox) {
        self.is_ahead = false;
        self.trading.run();
        for id in self.trading.held_under_rules() {
            self.market
                .subscribe(RequestId::NOBODY, &id, &mut self.trading);
        }
        self.market.run(&mut self.trading, &self.clock);
        self.give_effects(out);
        self.emit_rows(out);
        self.take_queue_news();
        let next = [self.trading.next_moment(), self.market.next_moment()];
        let next = next.into_iter().flatten().min();
        if next != self.timer {
            self.timer = next;
            if let Some(at) = next {
                out.push(Effect::SetTimer(at));
            }
        }
    }

    fn give_effects(&mut self, out: &mut Outbox) {
        for effect in self.trading.take_effects() {
            out.push(effect);
        }
    }

    /// Places in queues are for tables to show: rows are replaced, nobody is told.
    fn take_queue_news(&mut self) {
        for index in self.market.take_queue_news(self.trading.now()) {
            if let Some(Some(row)) = self.order_rows.get_mut(index) {
                let contract = self.trading.store.orders[index].contract;
                let row = Arc::make_mut(row);
                (row.queue_ahead_min, row.queue_ahead_max) = self.market.queue_of(index, contract);
                row.revision = self.trading.now().0 as i64;
                self.stale_rows.insert(index);
                self.unpublished.orders = true;
            }
        }
    }

    /// Follows the changed orders through their queues; all of them when a contract is new.
    fn track_queues(&mut self, changed: &BTreeSet<usize>) {
        let now = self.trading.now_ns();
        let orders = &self.trading.store.orders;
        if self.market.take_new_instruments() {
            for (index, order) in self.trading.store.rows() {
                self.market.track(index, order, now);
            }
        }
        for index in changed
            .iter()
            .filter(|index| !self.trading.store.is_merged(**index))
        {
            self.market.track(*index, &orders[*index], now);
        }
    }

    fn emit_rows(&mut self, out: &mut Outbox) {
        let orders = std::mem::take(&mut self.trading.dirty.orders);
        let fills = std::mem::take(&mut self.trading.dirty.fills);
        let positions = std::mem::take(&mut self.trading.dirty.positions);
        let accounts: BTreeSet<_> = std::mem::take(&mut self.trading.dirty.accounts);
        self.track_queues(&orders);
        self.unpublished.orders |= !orders.is_empty();
        self.unpublished.fills |= !fills.is_empty();
        self.unpublished.positions |= !positions.is_empty();
        self.unpublished.accounts |= std::mem::take(&mut self.trading.dirty.is_account_list);
        self.unpublished.armed |= std::mem::take(&mut self.trading.dirty.is_armed);
        self.unpublished.rules |= self.trading.rules_at_work.take_dirty();
        self.order_rows
            .resize(self.trading.store.orders.len(), None);
        self.stale_rows.extend(&orders);
        for index in orders {
            if self.trading.store.is_merged(index) {
                self.order_rows[index] = None;
                continue;
            }
            let contract = self.trading.store.orders[index].contract;
            let queue = self.market.queue_of(index, contract);
            let row = rows::order_row(&self.trading, index, queue);
            self.order_rows[index] = Some(Arc::new(row.clone()));
            out.event(Event::OrderChanged(row));
        }
        for index in self.trading.store.merged() {
            if self.order_rows[index].take().is_some() {
                self.stale_rows.insert(index);
            }
        }
        for (place, trade_id) in fills {
            if let Some(row) = rows::fill_row(&self.trading, place, trade_id) {
                out.event(Event::FillAdded(row));
            }
        }
        for place in positions {
            self.tell_position(place, out);
        }
        for account in std::mem::take(&mut self.trading.risk.untold) {
            if let Some(row) = risk_rows::risk_row(&self.trading, account) {
                out.event(Event::RiskChanged(Box::new(row)));
            }
        }
        for id in accounts {
            let state = &self.trading.accounts[&id];
            let row = rows::account_row(&self.trading, state);
            out.event(Event::AccountChanged(row));
        }
    }

    /// A position is news when something other than its mark changed.
    fn tell_position(&mut self, place: Place, out: &mut Outbox) {
        let row = rows::position_row(&self.trading, place);
        let lasting = PositionRow {
            mark_ticks: None,
            open_pnl_1e4: 0,
            checked_ns: 0,
            ..row.clone()
        };
        if self.told_positions.get(&place) != Some(&lasting) {
            self.told_positions.insert(place, lasting);
            out.event(Event::PositionChanged(row));
        }
    }

    /// Replaces the tables that changed since the last call. The driver calls it before handing on the events.
    pub fn publish(&mut self, board: &Board) {
        let changed = std::mem::take(&mut self.unpublished);
        let trading = &self.trading;
        self.unpublished.contracts = trading.store.contracts.len();
        if changed.contracts != trading.store.contracts.len()
            || self.market.take_definitions_changed()
        {
            board
                .contracts
                .store(Arc::new(trading.store.contracts.clone()));
        }
        if changed.orders {
            let stale = std::mem::take(&mut self.stale_rows);
            self.order_table.update(&self.order_rows, stale);
            board.orders.store(Arc::new(self.order_table.clone()));
        }
        if changed.fills {
            let ledgers = trading.store.ledgers.iter();
            let ids = ledgers.flat_map(|(place, ledger)| {
                ledger.fills().map(|(fill, _)| (*place, fill.trade_id))
            });
            let mut rows: Vec<_> = ids
                .filter_map(|(place, id)| rows::fill_row(trading, place, id))
                .collect();
            rows.sort_by_key(|row| (row.time_ns, row.trade_id));
            board.fills.store(Arc::new(rows));
        }
        if changed.positions {
            let places: BTreeSet<_> = trading
                .store
                .ledgers
                .keys()
                .chain(trading.broker_net.keys())
                .collect();
            let rows = places
                .into_iter()
                .map(|place| rows::position_row(trading, *place));
            board.positions.store(Arc::new(rows.collect()));
        }
        if changed.accounts {
            let states = trading.accounts.values();
            let rows = states.map(|state| rows::account_row(trading, state));
            board.accounts.store(Arc::new(rows.collect()));
            let limits = trading
                .limits
                .iter()
                .map(|(id, limits)| (i64::from(id.0), *limits));
            board.limits.store(Arc::new(limits.collect()));
        }
        if changed.armed {
            let pairs = trading
                .armed
                .iter()
                .map(|(source, id)| (source.as_str().into(), i64::from(id.0)));
            board.armed.store(Arc::new(pairs.collect()));
        }
        if changed.rules {
            board.stop_rules.store(Arc::new(trading.rule_rows()));
        }
        if changed.links {
            let names = [LinkName::Market, LinkName::User, LinkName::Rest];
            board
                .links
                .store(Arc::new(names.map(|name| self.link_row(name)).to_vec()));
        }
        if std::mem::take(&mut self.trading.risk.is_unpublished) {
            board.risks.store(Arc::new(risk_rows::all(&self.trading)));
        }
        self.market.publish(board);
        self.publish_status(board);
    }

    fn publish_status(&mut self, board: &Board) {
        let now = self.trading.now().0 as i64;
        let view = StatusView {
            state: self.state_word(),
            unknown_orders: self.trading.unknown_orders() as i64,
            budget_used: self.trading.budget.used(now) as i64,
            budget_limit: self.trading.budget.limit() as i64,
            exits_kept: self.trading.budget.exits_kept(now) as i64,
            market_now_ns: self.trading.now_ns().0,
            mono_ns: now,
            journal_records: self.trading.journal_records as i64,
            login_ends_mono_ns: self.trading.login_ends_soon().map_or(0, |at| at.0 as i64),
        };
        board.status.store(Arc::new(view));
    }

    fn state_word(&self) -> &'static str {
        if self.trading.halted.is_some() {
            return "halted";
        }
        let is_live = |link: &Link| link.state == LinkState::Live;
        match self.trading.environment {
            None if self.links.iter().all(|link| link.state == LinkState::Off) => "idle",
            Some(_) if is_live(&self.links[link_slot(LinkName::User)]) => "live",
            None | Some(_) => "connecting",
        }
    }

    /// The kind of gateway of the session.
    pub fn environment(&self) -> Option<Environment> {
        self.trading.environment
    }
}

fn link_slot(name: LinkName) -> usize {
    match name {
        LinkName::Market => 0,
        LinkName::User => 1,
        LinkName::Rest => 2,
    }
}
