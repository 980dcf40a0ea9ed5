//! One life: a real engine, its journal on a disk, a broker, the network between them, people and fate, in virtual time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::broker::{Broker, CONTRACTS, START};
use super::desk::Fates;
use super::dice::Dice;
use super::disk::{Death, Disk};
use super::faults::Fault;
use super::invariants::{Broken, Law, Memory, Tally};
use super::network::{BrokerClock, Fate, Flight};
use super::operator::Errand;
use super::plan::{MILLI, Plan, SECOND};
use crate::engine::contract::{
    Effect, Endpoint, Envelope, Event, Input, LinkChange, LinkName, LinkState, Outbox, Outgoing,
    Reply, Rows, SendId, Stamp,
};
use crate::engine::{Engine, Setup, next_epoch};
use crate::order_execution::store::Store;
use crate::order_execution::tag::{TagKind, TagMint};
use crate::order_execution::trading::Settings;
use crate::types::{AccountId, Mono, Nanos, RequestId, Ticks};
use crate::websocket::parse::{MarketEvent, QuoteDelta, UserEvent};

/// Something that will happen at its moment.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a few hundred at once")]
pub enum Happening {
    Arrives {
        id: SendId,
        endpoint: Endpoint,
        body: String,
        fate: Fate,
    },
    Replied(Reply),
    NotSent(SendId),
    Deadline(SendId),
    Hub(UserEvent),
    Timer,
    Quote(usize),
    Link(LinkName, LinkState),
    DiskReady,
    JournalFailed,
    Sync,
    Errand(Errand),
    Act(usize),
    Dies(Death),
    Unlock(AccountId),
    BracketModeRight,
}

impl Happening {
    /// What goes on at the broker and in the world when our process dies.
    fn outlives_us(&self) -> bool {
        match self {
            Self::Arrives { .. }
            | Self::Quote(_)
            | Self::Act(_)
            | Self::Dies(_)
            | Self::Unlock(_)
            | Self::BracketModeRight => true,
            Self::Replied(_)
            | Self::NotSent(_)
            | Self::Deadline(_)
            | Self::Hub(_)
            | Self::Timer
            | Self::Link(..)
            | Self::DiskReady
            | Self::JournalFailed
            | Self::Sync
            | Self::Errand(_) => false,
        }
    }
}

/// One engine, one broker, and everything between.
pub struct World {
    pub plan: Plan,
    pub(super) dice: Dice,
    pub(super) market_dice: Dice,
    pub now: u64,
    pub(super) clock: BrokerClock,
    pub(super) wall_offset: i64,
    pub engine: Engine,
    pub mint: TagMint,
    epoch: u64,
    pub broker: Broker,
    pub disk: Disk,
    /// What replaying the records gives.
    pub(super) mirror: Store,
    pub queue: BTreeMap<(u64, u64), Happening>,
    next: u64,
    pub(super) held: Vec<Outgoing>,
    pub flights: BTreeMap<SendId, Flight>,
    pub is_hub_up: bool,
    pub(super) hub_deaf_until: u64,
    pub(super) market_deaf_until: u64,
    pub(super) rest_down_until: u64,
    pub(super) disk_busy_until: u64,
    pub(super) followed: BTreeSet<AccountId>,
    /// Who else manages the accounts on this computer; nobody in a drawn life.
    pub other_manager: Option<String>,
    locks_asked: VecDeque<AccountId>,
    timer: Option<u64>,
    request: u64,
    pub errands: BTreeMap<u64, Errand>,
    /// How long the operator waits before an errand is repeated.
    pub(super) patience: u64,
    /// How each request ended.
    pub done: BTreeMap<u64, &'static str>,
    pub alarms: Vec<String>,
    pub is_healing: bool,
    crash_after: Option<u64>,
    dies: Option<Death>,
    /// The last effects were never performed, so the state is ahead of the records.
    is_cut_short: bool,
    pub memory: Memory,
    pub(super) tally: Tally,
    pub broken: Option<Broken>,
    pub(super) trace: Option<Vec<String>>,
}

impl Fates for World {
    fn strikes(&mut self, fault: Fault) -> bool {
        let strikes = !self.is_healing && self.dice.permille(self.plan.rate(fault));
        if strikes {
            self.tally.fired(fault);
        }
        strikes
    }
}

impl World {
    /// The first start of a life; the operator logs in.
    pub fn new(plan: Plan) -> Self {
        let seed = plan.seed;
        let mut dice = Dice::of(seed, 2);
        let drifts = dice.permille(plan.rate(Fault::ClockDrift));
        let clock = BrokerClock::draw(START, &mut dice, drifts);
        let (engine, mint) = engine_of(&[], 1, plan.is_live);
        let mut broker = Broker::new();
        broker.takes_known_tags = plan.takes_known_tags;
        let mut world = Self {
            mirror: engine.trading.store.clone(),
            dice,
            market_dice: Dice::of(seed, 3),
            now: SECOND,
            clock,
            wall_offset: 0,
            engine,
            mint,
            epoch: 0,
            broker,
            disk: Disk::new(),
            queue: BTreeMap::new(),
            next: 0,
            held: Vec::new(),
            flights: BTreeMap::new(),
            is_hub_up: false,
            hub_deaf_until: 0,
            market_deaf_until: 0,
            rest_down_until: 0,
            disk_busy_until: 0,
            followed: BTreeSet::new(),
            other_manager: None,
            locks_asked: VecDeque::new(),
            timer: None,
            request: 0,
            errands: BTreeMap::new(),
            patience: 0,
            done: BTreeMap::new(),
            alarms: Vec::new(),
            is_healing: false,
            crash_after: None,
            dies: None,
            is_cut_short: false,
            memory: Memory::default(),
            tally: Tally::default(),
            broken: None,
            trace: None,
            plan,
        };
        if drifts {
            world.tally.fired(Fault::ClockDrift);
        }
        for slot in 0..CONTRACTS.len() {
            world.schedule(SECOND / 2 * slot as u64, Happening::Quote(slot));
        }
        for at in 0..world.plan.acts.len() {
            world.schedule_at(world.plan.acts[at].at, Happening::Act(at));
        }
        world.boot();
        world
    }

    pub fn broker_now(&self) -> Nanos {
        self.clock.at(Mono(self.now))
    }

    pub fn stamp(&self) -> Stamp {
        Stamp {
            mono: Mono(self.now),
            wall: Nanos(self.broker_now().0 + self.wall_offset),
            recv: Mono(self.now),
        }
    }

    pub fn request(&mut self) -> RequestId {
        self.request += 1;
        RequestId(self.request)
    }

    pub fn schedule(&mut self, delay: u64, happening: Happening) {
        self.schedule_at(self.now + delay, happening);
    }

    pub(super) fn schedule_at(&mut self, at: u64, happening: Happening) {
        self.next += 1;
        self.queue.insert((at.max(self.now), self.next), happening);
    }

    pub(super) fn is_rest_down(&self) -> bool {
        self.rest_down_until > self.now
    }

    /// A new process over the records that are left.
    fn boot(&mut self) {
        let wall = self.stamp().wall;
        self.epoch = next_epoch(self.epoch, wall);
        let (engine, mint) = engine_of(&self.disk.records, self.epoch, self.plan.is_live);
        self.engine = engine;
        self.mint = mint;
        self.restore_memory();
        let mut out = Outbox::default();
        self.engine.start(self.stamp(), &mut out);
        self.perform(&mut out);
        self.disk.write();
        self.disk.sync();
        self.check_state();
        self.log_in();
    }

    /// One input, its effects, and every invariant.
    pub fn step(&mut self, input: Input<'_>) {
        if self.broken.is_some() {
            return;
        }
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>12.6} {}", self.now as f64 / 1e9, brief(&input)));
        }
        self.before_step(&input);
        let mut out = Outbox::default();
        let stamp = self.stamp();
        match input {
            // As the driver does, which puts the rest off.
            Input::Command(command) if command.is_of_one_order() => {
                self.engine.step_ahead(command, stamp, &mut out);
                self.perform(&mut out);
                if self.dies.is_none() {
                    self.engine.catch_up(stamp, &mut out);
                }
            }
            input => self.engine.step(input, stamp, &mut out),
        }
        self.perform(&mut out);
        self.answer_locks(&mut out);
        match self.dies.take() {
            Some(death) => self.crash(death),
            None => self.after_step(),
        }
    }

    /// As the driver does: within the same turn.
    fn answer_locks(&mut self, out: &mut Outbox) {
        while let Some(account) = self.locks_asked.pop_front() {
            if self.dies.is_some() {
                continue;
            }
            let answer = Input::AccountLock {
                account,
                holder: self.other_manager.clone(),
            };
            let stamp = self.stamp();
            self.engine.step(answer, stamp, out);
            self.perform(out);
        }
    }

    fn perform(&mut self, out: &mut Outbox) {
        self.tally.events += out.effects.len() as u64;
        for effect in out.drain() {
            if let Some(left) = &mut self.crash_after {
                if *left == 0 {
                    self.crash_after = None;
                    self.tally.fired(Fault::CrashAtEffect);
                    self.dies = Some(Death::Killed);
                    self.is_cut_short = true;
                    return;
                }
                *left -= 1;
            }
            self.trace_effect(&effect);
            match effect {
                Effect::Journal { index, record } => self.take_record(index, record),
                Effect::Send(send) => {
                    self.note_send(&send);
                    self.take_send(send);
                }
                Effect::SetTimer(at) => {
                    self.timer = Some(at.0);
                    self.schedule_at(at.0, Happening::Timer);
                }
                Effect::Event(event) => self.note_event(event),
                Effect::HoldAccounts { accounts } => self.locks_asked.extend(accounts),
                Effect::SubscribeAccounts { accounts } => {
                    self.followed = accounts.into_iter().collect();
                }
                Effect::Wake
                | Effect::Subscribe { .. }
                | Effect::Unsubscribe { .. }
                | Effect::Resubscribe { .. } => {}
            }
        }
    }

    /// What a reader of a trace wants to see of what the engine does.
    fn trace_effect(&mut self, effect: &Effect) {
        let Some(trace) = &mut self.trace else {
            return;
        };
        let line = match effect {
            Effect::Send(send) if send.endpoint.is_mutating() => {
                format!("sends {:?} {}", send.endpoint, send.body)
            }
            Effect::Event(Event::Notice(row)) => format!("says {}: {}", row.code, row.text),
            Effect::Event(Event::RequestDone {
                request_id,
                outcome,
                text,
                ..
            }) => {
                format!("ends {request_id} {}: {text}", outcome.word())
            }
            _ => return,
        };
        trace.push(format!("{:>12.6}   {line}", self.now as f64 / 1e9));
    }

    fn take_record(&mut self, index: u64, record: Vec<u8>) {
        self.note_record(index, &record);
        self.disk.push(record);
        if self.disk_busy_until > self.now {
            return;
        }
        if self.strikes(Fault::SlowDisk) {
            let slow = self.dice.log_uniform(10 * MILLI, 5 * SECOND);
            self.disk_busy_until = self.now + slow;
            self.schedule(slow, Happening::DiskReady);
        } else {
            self.write_records();
        }
    }

    fn write_records(&mut self) {
        let was_failed = self.disk.is_failed;
        if self.disk.write() {
            self.schedule(10 * MILLI, Happening::Sync);
        } else if !was_failed {
            let how = if self.disk.capacity.is_some() {
                Fault::DiskFull
            } else {
                Fault::AppendError
            };
            self.tally.fired(how);
            self.schedule(0, Happening::JournalFailed);
        }
        self.release_held();
    }

    /// Lives on for a time.
    #[cfg(test)]
    pub fn run_for(&mut self, time: u64) {
        self.run_until(self.now + time);
    }

    pub fn run_until(&mut self, end: u64) {
        while let Some((&(at, _), _)) = self.queue.first_key_value()
            && at <= end
            && self.broken.is_none()
        {
            if let Some((_, happening)) = self.queue.pop_first() {
                self.now = self.now.max(at);
                self.happen(happening);
            }
        }
        self.now = self.now.max(end);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Arrives {
                id,
                endpoint,
                body,
                fate,
            } => {
                self.arrive(id, endpoint, &body, fate);
            }
            Happening::Replied(reply) => self.reply(reply),
            Happening::NotSent(id) => self.refuse_connection(id),
            Happening::Deadline(id) => self.give_up(id),
            Happening::Hub(event) => {
                if self.hub_carries(&event) {
                    self.step(Input::User(event));
                }
            }
            Happening::Timer => {
                if self.timer.is_some_and(|at| at <= self.now) {
                    self.timer = None;
                    self.step(Input::Timer);
                }
            }
            Happening::Quote(slot) => self.quote(slot),
            Happening::Link(name, state) => self.link(name, state),
            Happening::DiskReady => {
                self.write_records();
                let index = self.disk.written();
                self.step(Input::JournalDone { index });
            }
            Happening::JournalFailed => self.step(Input::JournalFailed {
                text: "No space.".into(),
            }),
            Happening::Sync => self.disk.sync(),
            Happening::Errand(errand) => self.run_errand(errand),
            Happening::Act(at) => self.act(at),
            Happening::Dies(death) => self.crash(death),
            Happening::Unlock(account) => self.set_lock(account, false),
            Happening::BracketModeRight => self.broker.has_wrong_bracket_mode = false,
        }
    }

    /// A connection's state, as the supervisor tells it.
    pub fn link(&mut self, name: LinkName, state: LinkState) {
        let was_up = self.is_hub_up;
        if name == LinkName::User {
            self.is_hub_up = state == LinkState::Live;
        }
        self.step(Input::Link(LinkChange {
            name,
            state,
            text: String::new(),
            retry: None,
        }));
        if self.memory.booted == self.now {
            // It died of this very step.
            return;
        }
        if name == LinkName::User && self.memory.hub_openings > 0 && was_up != self.is_hub_up {
            let is_disarmed = self.engine.trading.armed.is_empty();
            self.hold(Law::I22, is_disarmed, |_| {
                "armed outlives a change of the order connection".into()
            });
        }
        if name == LinkName::User && state == LinkState::Live {
            self.memory.hub_openings += 1;
        }
        if self.memory.operator_arms && name == LinkName::User && state == LinkState::Live {
            self.arm_all();
        }
    }

    pub(super) fn ask_broker(&mut self, endpoint: Endpoint, body: &str) -> (Envelope, Rows) {
        let now = self.broker_now();
        self.note_arrival(endpoint, body);
        let mut broker = std::mem::take(&mut self.broker);
        let answer = broker.answer(endpoint, body, now, self);
        self.broker = broker;
        self.spread_news();
        answer
    }

    fn quote(&mut self, slot: usize) {
        let now = self.broker_now();
        self.broker.trade(slot, &mut self.market_dice, now);
        self.spread_news();
        self.schedule(SECOND, Happening::Quote(slot));
        let subscribed = self.engine.trading.store.contract(CONTRACTS[slot]);
        let Some(index) = subscribed.map(|contract| contract.index) else {
            return;
        };
        if self.market_deaf_until > self.now {
            return;
        }
        let last = Ticks(self.broker.lasts[slot]);
        let delta = QuoteDelta {
            last: Some(last),
            best_bid: last.checked_offset(-1),
            best_ask: last.checked_offset(1),
            updated: Some(now),
            ..QuoteDelta::default()
        };
        self.step(Input::Market(MarketEvent::Quote(index, delta)));
    }

    pub(super) fn crash_at_effect(&mut self, count: u64) {
        self.crash_after = Some(count);
    }

    pub(super) fn call_off_crash(&mut self) {
        self.crash_after = None;
    }

    /// The process ends; the journal is all that is left, and answers on their way reach nobody.
    pub fn crash(&mut self, death: Death) {
        if self.broken.is_some() {
            return;
        }
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>12.6} dies: {death:?}", self.now as f64 / 1e9));
        }
        if !self.is_cut_short {
            self.check_state();
        }
        self.is_cut_short = false;
        self.queue.retain(|_, what| what.outlives_us());
        self.flights.clear();
        self.held.clear();
        self.errands.clear();
        self.followed.clear();
        self.locks_asked.clear();
        self.timer = None;
        self.crash_after = None;
        self.dies = None;
        self.is_hub_up = false;
        self.disk_busy_until = 0;
        let lost = match self.disk.restart(death, &mut self.dice) {
            Ok(lost) => lost,
            Err(broken) => {
                self.broken = Some(broken);
                return;
            }
        };
        self.tally.checked(Law::I27);
        self.memory.has_lost_records |= lost > 0;
        self.memory.lost_now = lost > 0;
        self.boot();
    }
}

/// An engine that has replayed the records.
pub(super) fn engine_of(records: &[Vec<u8>], epoch: u64, is_live: bool) -> (Engine, TagMint) {
    let kind = if is_live {
        TagKind::Live
    } else {
        TagKind::Practice
    };
    let mint = TagMint::new(kind, "abc123", epoch);
    let setup = Setup {
        epoch,
        tag_prefix: mint.prefix().to_owned(),
        settings: Settings::default(),
    };
    let mut engine = Engine::new(&setup);
    let unread = engine.replay(records.iter().map(Vec::as_slice));
    debug_assert!(unread == 0, "every record reads back");
    (engine, mint)
}

fn brief(input: &Input<'_>) -> String {
    let mut text = format!("{input:?}");
    if text.len() > 400 {
        let end = (0..=400)
            .rev()
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or(0);
        text.truncate(end);
    }
    text
}
