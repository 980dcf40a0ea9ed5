//! What the rig saw with its own eyes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::engine::contract::{Attempt, Command, Draft, Endpoint, Lane, Part, Reply, Rows};
use crate::order_execution::legs::LEGS_SOURCE;
use crate::order_execution::legs::book::LegRecord;
use crate::order_execution::order::Life;
use crate::order_execution::record::Record;
use crate::rig::broker::Broker;
use crate::rig::desk::Body;
use crate::rig::network::Flight;
use crate::rig::world::World;
use crate::types::{AccountId, ClientTag, RequestId, Side};

/// A place that left.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts of one life"
)]
pub struct Departure {
    pub account: AccountId,
    pub slot: usize,
    pub side: Side,
    pub size: i64,
    pub has_arrived: bool,
    /// When its request ended, however it did.
    pub ended: Option<u64>,
    pub was_accepted: bool,
    pub was_refused: bool,
    pub was_not_sent: bool,
}

/// What a person asked an exit for.
#[derive(Clone, Copy, Debug)]
pub struct Exit {
    pub account: AccountId,
    pub slot: Option<usize>,
    pub wants_flat: bool,
}

/// An entry that asked for a stop.
#[derive(Clone, Copy, Debug, Default)]
pub struct Guarded {
    /// When it must be protected or told, once it has filled.
    pub due: Option<u64>,
    pub is_settled: bool,
}

/// Notes of one step.
#[derive(Clone, Debug, Default)]
pub struct Step {
    pub tokens: u64,
    pub risk_sends: u64,
    pub alarms: u32,
    pub has_moved: bool,
    pub absent: BTreeSet<String>,
    pub cancels: u32,
}

/// All of it.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts of one life"
)]
pub struct Memory {
    pub step: Step,
    pub is_halted: bool,
    pub operator_arms: bool,
    pub max_position_lots: i64,
    pub has_lost_records: bool,
    pub lost_now: bool,
    /// Orders of others, or fills taken back: the account's truth is not ours alone.
    pub has_foreign_moves: bool,
    pub booted: u64,
    /// How often the order connection came up since the login.
    pub hub_openings: u32,
    pub minted: BTreeSet<ClientTag>,
    pub drafts: BTreeMap<String, bool>,
    /// Own legs, each with the tag of its entry.
    pub leg_entries: BTreeMap<String, String>,
    /// Second clicks, each with the tag of its first.
    pub doubles: BTreeMap<String, String>,
    pub intents: BTreeMap<u64, String>,
    pub intent_tags: BTreeSet<String>,
    pub is_compared: BTreeSet<i32>,
    pub departed: BTreeMap<String, Departure>,
    pub open_departures: Vec<String>,
    pub lives: Vec<Life>,
    pub told_trades: BTreeMap<i64, bool>,
    pub modify_commands: BTreeMap<String, u64>,
    pub modifies_sent: u64,
    pub partial_commands: u64,
    pub partials_sent: u64,
    pub exits: BTreeMap<u64, Exit>,
    /// When the last exit of an account ended.
    pub exit_ended: BTreeMap<AccountId, u64>,
    /// When the last close of a place left or was answered, and when the newest read that answered had left.
    pub closes: BTreeMap<(AccountId, usize), u64>,
    pub reads: BTreeMap<AccountId, (u64, [i64; 2])>,
    pub full_reads: BTreeMap<(AccountId, Endpoint2), u64>,
    pub logged_in: u64,
    pub chosen: BTreeSet<AccountId>,
    pub sends: VecDeque<(u64, Lane)>,
    pub guarded: BTreeMap<String, Guarded>,
    pub unprotected_at: Option<u64>,
}

/// The reads of a full comparison, in an order of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Endpoint2 {
    Query,
    Search,
    Trades,
    Positions,
}

impl Endpoint2 {
    pub const ALL: [Self; 4] = [Self::Query, Self::Search, Self::Trades, Self::Positions];

    fn of(endpoint: Endpoint) -> Option<Self> {
        match endpoint {
            Endpoint::OrderQuery => Some(Self::Query),
            Endpoint::OrderSearch => Some(Self::Search),
            Endpoint::TradeSearch => Some(Self::Trades),
            Endpoint::PositionSearch => Some(Self::Positions),
            _ => None,
        }
    }
}

impl Memory {
    /// What a process knew and its successor does not.
    pub(super) fn forget_process(&mut self) {
        self.intents.clear();
        self.intent_tags.clear();
        self.is_compared.clear();
        self.told_trades.clear();
        self.exits.clear();
        self.reads.clear();
        self.full_reads.clear();
        self.sends.clear();
        self.chosen.clear();
        self.is_halted = false;
        self.step = Step::default();
        for departure in self.departed.values_mut() {
            departure.ended.get_or_insert(0);
        }
    }

    /// The watch over a filled entry does not outlive the process.
    pub(super) fn forget_protection(&mut self) {
        let tags = self.drafts.iter().filter(|(_, has_stop)| **has_stop);
        for (tag, _) in tags {
            self.guarded.entry(tag.clone()).or_default().is_settled = true;
        }
    }

    /// The drafted entry that an own leg's tag belongs to: the journal names it before the leg leaves.
    pub(in crate::rig) fn entry_of_leg(&self, tag: &str) -> Option<&str> {
        let entry = self.leg_entries.get(tag)?;
        self.drafts.contains_key(entry).then_some(entry.as_str())
    }

    pub(super) fn learn_record(&mut self, index: u64, record: &Record) {
        match record {
            Record::Intent(row) => {
                self.intents.insert(index, row.tag.clone());
                self.intent_tags.insert(row.tag.clone());
            }
            // Linked orders share their lots because the trader linked them; each time the record says so first.
            Record::ChangeAsked {
                key,
                is_cancel: false,
                source,
                ..
            } if source == LEGS_SOURCE => {
                *self.modify_commands.entry(key.clone()).or_default() += 1;
            }
            Record::Legs(LegRecord::Leg { entry, tag, .. }) => {
                self.leg_entries.insert(tag.clone(), entry.clone());
            }
            Record::Compared { account, .. } => {
                self.is_compared.insert(*account);
            }
            Record::Absent { tag, .. } => {
                self.step.absent.insert(tag.clone());
            }
            Record::Trade(fill) => {
                let voided = self.told_trades.entry(fill.trade_id).or_default();
                *voided |= fill.voided;
            }
            _ => {}
        }
    }

    pub(super) fn learn_reply(&mut self, now: u64, flight: &Flight, reply: &Reply) {
        let body = Body::read(&flight.body);
        let account = body.account();
        match flight.endpoint {
            Endpoint::Place => {
                let tag = body.custom_tag.unwrap_or("");
                if let Some(departure) = self.departed.get_mut(tag) {
                    departure.ended = Some(now);
                    departure.was_accepted |= is_success(&reply.attempt);
                    departure.was_refused |= is_refusal(&reply.attempt);
                    departure.was_not_sent |= matches!(reply.attempt, Attempt::NotSent { .. });
                }
            }
            Endpoint::CloseContract | Endpoint::PartialCloseContract => {
                self.note_close(now, &body);
            }
            endpoint => {
                if let Some(part) = Endpoint2::of(endpoint)
                    && is_success(&reply.attempt)
                {
                    let newest = self.full_reads.entry((account, part)).or_default();
                    *newest = (*newest).max(flight.left);
                }
            }
        }
        if let Rows::Positions(rows) = &reply.rows {
            let mut nets = [0; 2];
            for row in rows {
                if let Some(slot) = Broker::slot_of(&row.contract_id) {
                    nets[slot] = row.net.0;
                }
            }
            let known = self.reads.entry(account).or_default();
            if known.0 <= flight.left {
                *known = (flight.left, nets);
            }
        }
    }

    pub(super) fn note_close(&mut self, now: u64, body: &Body<'_>) {
        if let Some(slot) = Broker::slot_of(body.contract()) {
            self.closes.insert((body.account(), slot), now);
        }
    }
}

pub(super) fn is_success(attempt: &Attempt) -> bool {
    matches!(attempt, Attempt::Answered { status: 200, envelope: Some(envelope) } if envelope.success)
}

/// A refusal by the table of decision 12, written down again.
fn is_refusal(attempt: &Attempt) -> bool {
    match attempt {
        Attempt::Answered {
            status: 400 | 401 | 403 | 404 | 415,
            ..
        } => true,
        Attempt::Answered {
            status: 200,
            envelope: Some(envelope),
        } => !envelope.success && matches!(envelope.error_code, 1 | 2 | 3 | 4 | 5 | 8 | 9 | 10),
        _ => false,
    }
}

impl World {
    pub(in crate::rig) fn note_draft(&mut self, draft: &Draft) {
        let has_stop = draft.stop_bracket_ticks.is_some();
        self.memory.drafts.insert(draft.tag.to_string(), has_stop);
    }

    pub(crate) fn note_bracket(&mut self, draft: &Draft) {
        self.memory.drafts.insert(draft.tag.to_string(), true);
    }

    pub(in crate::rig) fn note_command(&mut self, request: RequestId, command: &Command) {
        let exit = match command {
            Command::Flatten {
                account,
                contract_id,
                ..
            } => Exit {
                account: *account,
                slot: contract_id.as_deref().and_then(Broker::slot_of),
                wants_flat: true,
            },
            Command::ClosePosition {
                account,
                contract_id,
                part,
                ..
            } => {
                self.memory.partial_commands += u64::from(*part != Part::All);
                Exit {
                    account: *account,
                    slot: Broker::slot_of(contract_id),
                    wants_flat: *part == Part::All,
                }
            }
            Command::Reverse {
                tag, stop_ticks, ..
            } => {
                let has_stop = stop_ticks.is_some();
                self.memory.drafts.insert(tag.to_string(), has_stop);
                return;
            }
            Command::Modify { key, .. } => {
                *self.memory.modify_commands.entry(key.clone()).or_default() += 1;
                return;
            }
            _ => return,
        };
        self.memory.exits.insert(request.0, exit);
    }

    pub(in crate::rig) fn note_login(&mut self) {
        self.memory.logged_in = self.now;
        self.memory.chosen.clear();
        self.memory.hub_openings = 0;
    }

    pub(in crate::rig) fn note_choice(&mut self, accounts: &[AccountId]) {
        self.memory.chosen = accounts.iter().copied().collect();
    }
}
