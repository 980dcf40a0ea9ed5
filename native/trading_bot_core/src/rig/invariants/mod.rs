//! The invariants of a life, each counted at every look: what broke first is what is told.
//!
//! The memory holds what the rig itself saw happen (drafts, departures, answers, broker rows), so that the engine is never
//! judged by its own word.

mod control;
mod memory;
mod money;
mod orders;
mod quiet;

pub use memory::Memory;

use super::faults::Fault;
use super::world::World;
use crate::engine::contract::{Endpoint, Event, Input, Outgoing, Rows};
use crate::engine::contract::{NoticeLevel, Reply};
use crate::order_execution::gate::{Limits, tokens_minted};
use crate::order_execution::record::Record;
use crate::order_execution::store::Store;
use crate::websocket::parse::UserEvent;

/// The laws of a life, by the numbers of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Law {
    I1,
    I2,
    I3,
    I4,
    I5,
    I6,
    I7,
    I8,
    I9,
    I10,
    I11,
    I12,
    I13,
    I14,
    I15,
    I16,
    I17,
    I18,
    I20,
    I21,
    I22,
    I23,
    I26,
    I27,
    I28,
    L1,
    L2,
    L3,
    L4,
    /// An assertion of the engine itself.
    Panic,
}

impl Law {
    pub const NAMES: [&'static str; 30] = [
        "I-1", "I-2", "I-3", "I-4", "I-5", "I-6", "I-7", "I-8", "I-9", "I-10", "I-11", "I-12",
        "I-13", "I-14", "I-15", "I-16", "I-17", "I-18", "I-20", "I-21", "I-22", "I-23", "I-26",
        "I-27", "I-28", "L-1", "L-2", "L-3", "L-4", "panic",
    ];

    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

/// The first invariant that broke, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    pub law: Law,
    pub text: String,
}

impl Broken {
    pub fn new(law: Law, text: impl Into<String>) -> Self {
        Self {
            law,
            text: text.into(),
        }
    }
}

/// What a life counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    pub checks: [u64; Law::NAMES.len()],
    pub faults: [u64; Fault::COUNT],
    pub events: u64,
    pub steps: u64,
    /// Of every record, request and piece of news, in order.
    pub hash: u64,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            checks: [0; Law::NAMES.len()],
            faults: [0; Fault::COUNT],
            events: 0,
            steps: 0,
            hash: 0xCBF2_9CE4_8422_2325,
        }
    }
}

impl Tally {
    pub fn fired(&mut self, fault: Fault) {
        self.faults[fault as usize] += 1;
    }

    pub fn checked(&mut self, law: Law) {
        self.checks[law as usize] += 1;
    }

    pub fn hash(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.hash = (self.hash ^ u64::from_le_bytes(word)).wrapping_mul(0x0000_0100_0000_01B3);
            self.hash = self.hash.rotate_left(23);
        }
    }
}

impl World {
    /// Counts one look at a law; the first failure ends the life.
    pub(super) fn hold(&mut self, law: Law, holds: bool, text: impl FnOnce(&Self) -> String) {
        self.tally.checked(law);
        if !holds && self.broken.is_none() {
            self.broken = Some(Broken::new(law, text(self)));
        }
    }

    pub(super) fn before_step(&mut self, input: &Input<'_>) {
        self.memory.step = memory::Step {
            tokens: tokens_minted(),
            ..memory::Step::default()
        };
        if let Input::User(UserEvent::Trade(row)) = input
            && self
                .engine
                .trading
                .store
                .contract(&row.contract_id)
                .is_some()
        {
            let voided = self.memory.told_trades.entry(row.id.0).or_default();
            *voided |= row.is_voided;
        }
    }

    pub(super) fn after_step(&mut self) {
        self.tally.steps += 1;
        self.check_orders();
        self.check_protection();
        if self.memory.step.has_moved || self.tally.steps.is_multiple_of(64) {
            self.check_money();
        }
        let minted = tokens_minted() - self.memory.step.tokens;
        let sent = self.memory.step.risk_sends;
        self.hold(Law::I6, minted == sent, |_| {
            format!("{sent} requests that raise risk left on {minted} tokens")
        });
        if self.tally.steps.is_multiple_of(64) {
            self.check_state();
            let torn = self.disk.check_torn_prefix(&mut self.market_dice);
            self.tally.checked(Law::I27);
            if let (Err(broken), None) = (torn, &self.broken) {
                self.broken = Some(broken);
            }
        }
    }

    /// Replaying the journal gives the state (I-26); as long as there is a journal.
    pub fn check_state(&mut self) {
        if self.disk.is_failed || self.broken.is_some() {
            return;
        }
        let holds = self.mirror == self.engine.trading.store;
        self.hold(Law::I26, holds, |world| {
            difference(&world.mirror, &world.engine.trading.store)
        });
    }

    /// A new process: what the rig may hold against it follows from the records that are left.
    pub(super) fn restore_memory(&mut self) {
        let prefix = self.mint.prefix().to_owned();
        let mut mirror = Store::new(&prefix);
        self.memory.forget_process();
        for at in 0..self.disk.records.len() {
            if let Some(record) = Record::from_bytes(&self.disk.records[at]) {
                mirror.apply(&record);
                self.memory.learn_record(at as u64 + 1, &record);
            }
        }
        if !self.memory.lost_now {
            let holds = mirror == self.engine.trading.store;
            self.hold(Law::I26, holds, |world| {
                difference(&mirror, &world.engine.trading.store)
            });
        }
        self.memory.lost_now = false;
        self.mirror = mirror;
        let orders = &self.engine.trading.store.orders;
        self.memory.lives = orders.iter().map(|order| order.life).collect();
        self.memory.booted = self.now;
        self.memory.max_position_lots = Limits::default().max_position_lots;
        self.memory.forget_protection();
    }

    pub(super) fn note_record(&mut self, index: u64, bytes: &[u8]) {
        self.tally.hash(bytes);
        let expected = self.disk.records.len() as u64 + 1;
        self.hold(Law::I1, index == expected, |_| {
            format!("record {index} is announced where {expected} comes next")
        });
        let Some(record) = Record::from_bytes(bytes) else {
            self.hold(Law::I26, false, |_| "a record does not read back".into());
            return;
        };
        self.judge_record(&record);
        self.mirror.apply(&record);
        self.memory.learn_record(index, &record);
    }

    pub(super) fn note_send(&mut self, send: &Outgoing) {
        self.tally.hash(send.endpoint.path().as_bytes());
        self.tally.hash(send.body.as_bytes());
        if matches!(send.endpoint, Endpoint::Place | Endpoint::Modify) {
            self.memory.step.risk_sends += 1;
        }
        self.memory.step.cancels += u32::from(send.endpoint == Endpoint::Cancel);
        self.check_budget(send.lane);
        if send.endpoint == Endpoint::Place {
            self.check_admission(&send.body);
        }
    }

    pub(super) fn note_event(&mut self, event: Event) {
        match event {
            Event::RequestDone {
                request_id,
                outcome,
                text,
                ..
            } => {
                self.tally.hash(outcome.word().as_bytes());
                self.check_done(request_id, outcome);
                self.done.insert(request_id, outcome.word());
                if let Some(errand) = self.errands.remove(&request_id) {
                    self.errand_done(errand, outcome);
                }
                self.tally.hash(text.as_bytes());
            }
            Event::Notice(notice) => {
                self.tally.hash(notice.code.as_bytes());
                self.tally.hash(notice.text.as_bytes());
                if notice.level == NoticeLevel::Alarm {
                    self.memory.step.alarms += 1;
                    if notice.code == "unprotected" {
                        self.memory.unprotected_at = Some(self.now);
                    }
                    if self.trace.is_some() || self.plan.acts.is_empty() {
                        self.alarms
                            .push(format!("{}: {}", notice.code, notice.text));
                    }
                }
            }
            Event::OrderChanged(row) => {
                self.tally.hash(row.key.as_bytes());
                self.tally.hash(row.look.as_bytes());
                let is_shown = (row.look == "unknown") == (row.doubt_since_ns > 0);
                self.hold(Law::I5, is_shown, |_| {
                    format!("{row:?} hides its doubt or its age")
                });
            }
            Event::FillAdded(row) => {
                self.memory.step.has_moved = true;
                self.tally.hash(&row.trade_id.to_le_bytes());
            }
            Event::PositionChanged(row) => {
                self.memory.step.has_moved = true;
                self.tally.hash(&row.net_lots.to_le_bytes());
            }
            _ => {}
        }
    }

    /// What an answer tells, before the engine hears it.
    pub(super) fn note_reply(&mut self, flight: &super::network::Flight, reply: &Reply) {
        self.memory.learn_reply(self.now, flight, reply);
        if let Rows::Trades(_) = reply.rows {
            self.memory.step.has_moved = true;
        }
    }
}

fn difference(replayed: &Store, live: &Store) -> String {
    for (index, order) in live.orders.iter().enumerate() {
        match replayed.orders.get(index) {
            Some(known) if known == order => {}
            other => return format!("replayed {other:?}, live {order:?}"),
        }
    }
    format!(
        "replayed {} orders and ledgers {:?}, live {} orders and {:?}",
        replayed.orders.len(),
        replayed.ledgers,
        live.orders.len(),
        live.ledgers
    )
}
