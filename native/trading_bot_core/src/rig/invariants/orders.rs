//! Laws about single orders: I-1 to I-10, and I-15.

use std::collections::btree_map::Entry;

use super::memory::Departure;
use super::{Law, World};
use crate::engine::contract::Endpoint;
use crate::order_execution::ledger::Ledger;
use crate::order_execution::order::{Life, Order, Role};
use crate::order_execution::record::Record;
use crate::rig::broker::{Broker, CONTRACTS};
use crate::rig::desk::Body;
use crate::rig::network::Flight;
use crate::rig::plan::{MILLI, SECOND};
use crate::types::{BrokerTrade, ClientTag, OrderId, OrderKind, OrderStatus};

/// The least time between the end of a request and the record of its proof of absence: 30 s and two reads 10 s apart.
const PROOF_NS: u64 = 40 * SECOND;

impl World {
    pub(in crate::rig) fn note_tag(&mut self, tag: ClientTag) {
        let is_new = self.memory.minted.insert(tag);
        self.hold(Law::I3, is_new, |_| format!("tag {tag} was minted before"));
    }

    /// A request leaves the machine.
    pub(in crate::rig) fn check_departure(&mut self, flight: &Flight, after: Option<u64>) {
        let body = Body::read(&flight.body);
        let is_written = after.is_none_or(|record| record <= self.disk.written());
        let is_exit = flight.lane == crate::engine::contract::Lane::Exit;
        if flight.endpoint.is_mutating() {
            let holds = is_written || (is_exit && self.disk.is_failed);
            self.hold(Law::I1, holds, |_| {
                format!("{flight:?} left before record {after:?}")
            });
        }
        match flight.endpoint {
            Endpoint::Place => self.check_place(&body, after),
            // Legs are resized and moved by the engine itself; what a person placed changes only when asked.
            Endpoint::Modify if self.is_entry(body.order()) => {
                self.memory.modifies_sent += 1;
                let asked: u64 = self.memory.modify_commands.values().sum();
                let sent = self.memory.modifies_sent;
                self.hold(Law::I9, sent <= asked, |_| {
                    format!("{sent} changes for {asked} wishes")
                });
            }
            Endpoint::CloseContract | Endpoint::PartialCloseContract => {
                self.memory.note_close(self.now, &body);
                let account = body.account();
                let is_asked = self
                    .memory
                    .exits
                    .values()
                    .any(|exit| exit.account == account);
                // The trader's setting for a missing stop asks for it, after the alarm.
                let is_asked = is_asked || self.memory.unprotected_at.is_some();
                self.hold(Law::I14, is_asked, |_| {
                    format!("nobody asked for {}", flight.body)
                });
                if flight.endpoint == Endpoint::PartialCloseContract {
                    self.memory.partials_sent += 1;
                    let (sent, asked) = (self.memory.partials_sent, self.memory.partial_commands);
                    self.hold(Law::I9, sent <= asked, |_| {
                        format!("{sent} partial closes for {asked} wishes")
                    });
                }
            }
            _ => {}
        }
    }

    fn is_entry(&self, id: Option<i64>) -> bool {
        let store = &self.engine.trading.store;
        let index = id.and_then(|id| store.order_by_id(OrderId(id)));
        index.is_some_and(|index| store.orders[index].role == Role::Entry)
    }

    fn check_place(&mut self, body: &Body<'_>, after: Option<u64>) {
        let tag = body.custom_tag.unwrap_or("").to_owned();
        let recorded = after.and_then(|index| self.memory.intents.get(&index));
        let is_recorded = recorded == Some(&tag);
        self.hold(Law::I1, is_recorded, |_| {
            format!("place {tag} leaves without its record")
        });
        let is_leg = self.memory.entry_of_leg(&tag).is_some();
        let is_meant = is_leg || self.memory.drafts.contains_key(&tag);
        self.hold(Law::I14, is_meant, |_| {
            format!("nobody asked for order {tag}")
        });
        if let Some(first) = self.memory.doubles.get(&tag) {
            let both = self.memory.departed.contains_key(first);
            let text = format!("a double click sent {first} and {tag}");
            self.hold(Law::I2, !both, |_| text);
        }
        let departure = Departure {
            account: body.account(),
            slot: Broker::slot_of(body.contract()).unwrap_or(0),
            side: body.side().unwrap_or(crate::types::Side::Buy),
            size: body.lots().unwrap_or(0),
            has_arrived: false,
            ended: None,
            was_accepted: false,
            was_refused: false,
            was_not_sent: false,
        };
        let is_first = match self.memory.departed.entry(tag.clone()) {
            Entry::Vacant(entry) => {
                entry.insert(departure);
                true
            }
            Entry::Occupied(_) => false,
        };
        self.hold(Law::I9, is_first, |_| format!("place {tag} was sent twice"));
        self.memory.open_departures.push(tag);
    }

    /// A request reaches the broker.
    pub(in crate::rig) fn note_arrival(&mut self, endpoint: Endpoint, body: &str) {
        if endpoint != Endpoint::Place {
            return;
        }
        let body = Body::read(body);
        let tag = body.custom_tag.unwrap_or("");
        if let Some(departure) = self.memory.departed.get_mut(tag) {
            departure.has_arrived = true;
        }
        let is_known = self.memory.intent_tags.contains(tag) || self.memory.has_lost_records;
        let text = format!("order {tag} is at the broker and not in the journal");
        self.hold(Law::I4, is_known, |_| text);
        let same = self
            .broker
            .orders
            .iter()
            .filter(|o| o.custom_tag.as_deref() == Some(tag));
        let count = same.count();
        let is_only = count == 0 || !self.plan.takes_known_tags;
        let text = format!("{} orders carry the tag {tag}", count + 1);
        self.hold(Law::I2, is_only, |_| text);
    }

    pub(super) fn judge_record(&mut self, record: &Record) {
        match record {
            Record::Trade(fill) => {
                let truth = self
                    .broker
                    .trades
                    .iter()
                    .find(|trade| trade.id.0 == fill.trade_id);
                let holds = truth.is_some_and(|trade| {
                    trade.size.0 == fill.size && (trade.is_voided || !fill.voided)
                });
                self.hold(Law::I14, holds, |_| {
                    format!("{fill:?} was never made by the broker")
                });
            }
            Record::Opening { account, .. } => {
                let is_first = !self.memory.is_compared.contains(account);
                self.hold(Law::I14, is_first, |_| {
                    format!("{account}: an opening after the start")
                });
            }
            Record::Absent { tag, .. } => self.judge_absence(tag),
            _ => {}
        }
    }

    /// A proof of absence is late enough, and true.
    fn judge_absence(&mut self, tag: &str) {
        let ended = self
            .memory
            .departed
            .get(tag)
            .map(|departure| departure.ended);
        let is_late = self.is_proof_due(ended.unwrap_or(Some(0)));
        let is_there = |order: &crate::types::BrokerOrder| order.custom_tag.as_deref() == Some(tag);
        let is_absent = !self.broker.orders.iter().any(is_there);
        let text = format!("{tag} is said to be absent; late enough {is_late}, true {is_absent}");
        self.hold(Law::I10, is_late && is_absent, |_| text);
    }

    fn is_proof_due(&self, ended: Option<u64>) -> bool {
        ended.is_some_and(|ended| self.now >= ended.max(self.memory.booted) + PROOF_NS)
    }

    /// Every order after every step.
    pub(super) fn check_orders(&mut self) {
        let mut wrong: Option<(Law, usize)> = None;
        let orders = &self.engine.trading.store.orders;
        for (index, order) in orders.iter().enumerate() {
            let before = self
                .memory
                .lives
                .get(index)
                .copied()
                .unwrap_or(Life::Intent);
            if before != order.life && !self.may_move(index, before) {
                wrong = wrong.or(Some((Law::I7, index)));
            }
            if before != order.life && !self.is_evident(index) {
                wrong = wrong.or(Some((Law::I10, index)));
            }
            if !self.is_filled_truly(index) {
                wrong = wrong.or(Some((Law::I8, index)));
            }
        }
        for law in [Law::I7, Law::I8, Law::I10] {
            self.tally.checked(law);
        }
        if let Some((law, index)) = wrong {
            let before = self.memory.lives.get(index).copied();
            self.hold(law, false, |world| {
                format!(
                    "was {before:?}, is {:?}",
                    world.engine.trading.store.orders[index]
                )
            });
        }
        let orders = &self.engine.trading.store.orders;
        let lives = &mut self.memory.lives;
        lives.resize(orders.len(), Life::Intent);
        for (life, order) in lives.iter_mut().zip(orders) {
            *life = order.life;
        }
        self.check_departed();
    }

    /// Life moves up; an end moves only by the broker's word, with an alarm.
    fn may_move(&self, index: usize, before: Life) -> bool {
        let order = &self.engine.trading.store.orders[index];
        let merged = self.engine.trading.store.is_merged(index);
        merged
            || order.life.rank() > before.rank()
            || (before.is_end() && self.memory.step.alarms > 0)
    }

    /// A refusal or an absence has a reason that the rig saw too.
    fn is_evident(&self, index: usize) -> bool {
        let order = &self.engine.trading.store.orders[index];
        let departure = self.memory.departed.get(&order.key);
        match order.life {
            // Without a journal the proof leaves no record; its time is judged all the same.
            Life::NotAccepted if !self.engine.trading.is_journal_writing => {
                departure.is_none_or(|departure| {
                    departure.was_not_sent || self.is_proof_due(departure.ended)
                })
            }
            Life::NotAccepted => {
                let was_not_sent = departure.is_none_or(|departure| departure.was_not_sent);
                was_not_sent || self.memory.step.absent.contains(&order.key)
            }
            Life::Refused => {
                let truth = order.order_id.and_then(|id| self.broker_row(id.0));
                departure.is_none_or(|departure| departure.was_refused)
                    || truth.is_some_and(|row| row.status == OrderStatus::Rejected)
            }
            _ => true,
        }
    }

    pub(super) fn broker_row(&self, id: i64) -> Option<&crate::types::BrokerOrder> {
        self.broker
            .orders
            .get(usize::try_from(id).ok()?.checked_sub(5_000)?)
    }

    /// No more lots are shown as filled than the broker filled, and an order that is over keeps none open.
    fn is_filled_truly(&self, index: usize) -> bool {
        let order = &self.engine.trading.store.orders[index];
        let is_over = !order.life.is_end() || order.doubt.is_some() || order.open().0 == 0;
        let Some(row) = order.order_id.and_then(|id| self.broker_row(id.0)) else {
            return is_over;
        };
        let filled = row.filled.map_or(0, |lots| lots.0);
        is_over
            && order.traded.0 <= filled
            && order.broker_filled.0 <= filled
            && order.filled() <= order.size
    }

    /// Every order that left is at an end, working, under way, or unknown (I-5).
    fn check_departed(&mut self) {
        let store = &self.engine.trading.store;
        let (mut lost, mut at) = (None, 0);
        while let Some(tag) = self.memory.open_departures.get(at) {
            let order = store.order(tag).map(|index| &store.orders[index]);
            if order.is_some_and(|order| order.life.is_end()) {
                self.memory.open_departures.swap_remove(at);
                continue;
            }
            let departure = &self.memory.departed[tag];
            let is_accounted = match order {
                Some(order) => {
                    let is_young = order.life.rank() < Life::Suspended.rank();
                    order.doubt.is_some()
                        || !is_young
                        || departure.ended.is_none()
                        || departure.was_accepted
                }
                None => self.memory.has_lost_records,
            };
            if !is_accounted {
                lost = Some(tag.clone());
            }
            at += 1;
        }
        self.tally.checked(Law::I5);
        if let Some(tag) = lost {
            self.hold(Law::I5, false, |_| {
                format!("order {tag} left and nobody knows of it")
            });
        }
    }

    /// An entry with a stop is protected within 2 s of its fill, or the trader hears it (I-15).
    pub(super) fn check_protection(&mut self) {
        let store = &self.engine.trading.store;
        for (tag, has_stop) in &self.memory.drafts {
            if !has_stop
                || self
                    .memory
                    .guarded
                    .get(tag)
                    .is_some_and(|guarded| guarded.is_settled)
            {
                continue;
            }
            let Some(order) = store.order(tag).map(|index| &store.orders[index]) else {
                continue;
            };
            let ledger = store.ledgers.get(&(order.account, order.contract));
            let net = ledger.map_or(0, Ledger::net) * order.side.sign();
            let is_booked = order.life.is_end() && order.traded >= order.filled();
            let broker_net = self.broker_net_of(order) * order.side.sign();
            let guarded = self.memory.guarded.entry(tag.clone()).or_default();
            if order.traded.0 > 0 && net > 0 {
                guarded.due.get_or_insert(self.now + 2 * SECOND);
            } else {
                guarded.due = None;
                // All of it went into closing an opposite position: a later one is not this entry's to protect.
                guarded.is_settled = order.traded.0 > 0 && is_booked && broker_net <= 0;
            }
        }
        let is_due = |due: u64| self.now > due + 100 * MILLI;
        let due = self.memory.guarded.iter();
        let due = due.filter(|(_, guarded)| !guarded.is_settled && guarded.due.is_some_and(is_due));
        let due: Vec<(String, u64)> = due
            .filter_map(|(tag, guarded)| Some((tag.clone(), guarded.due?)))
            .collect();
        for (tag, due) in due {
            self.memory
                .guarded
                .entry(tag.clone())
                .or_default()
                .is_settled = true;
            let holds = self.is_protected_or_told(&tag, due);
            self.hold(Law::I15, holds, |_| {
                format!("entry {tag} filled and has no stop")
            });
        }
    }

    /// The broker's own position in an order's contract and account.
    fn broker_net_of(&self, order: &Order) -> i64 {
        let id = &self.engine.trading.store.contracts[order.contract.slot()].id;
        let slot = CONTRACTS.iter().position(|known| known == id).unwrap_or(0);
        let net = self.broker.nets.get(&(order.account, slot));
        net.copied().unwrap_or(0)
    }

    /// Lots by which an entry opened the position that is there, by the broker's trades in their order: a fill may close
    /// an opposite position instead, and what was flat or turned since holds none of them.
    fn lots_of_entry(&self, order: &Order) -> i64 {
        let contract = &self.engine.trading.store.contracts[order.contract.slot()].id;
        let sign = order.side.sign();
        let (mut net, mut lots) = (0, 0);
        let trades = self.broker.trades.iter();
        let here = |trade: &&BrokerTrade| {
            trade.account_id == order.account && trade.contract_id == *contract && !trade.is_voided
        };
        for trade in trades.filter(here) {
            let before = net;
            net += trade.side.sign() * sign * trade.size.0;
            if trade.order_id == order.order_id {
                lots += net.max(0) - before.max(0);
            }
            lots = lots.min(net.max(0));
        }
        lots
    }

    fn is_protected_or_told(&self, tag: &str, due: u64) -> bool {
        let store = &self.engine.trading.store;
        let Some(order) = store.order(tag).map(|index| &store.orders[index]) else {
            return true;
        };
        // Only a position on the entry's side is the entry's to protect, and only as long as its own lots are in it.
        let is_flat = self.lots_of_entry(order) == 0
            || self.broker_net_of(order) * order.side.sign() <= 0
            || store
                .ledgers
                .get(&(order.account, order.contract))
                .is_none_or(|ledger| ledger.net() * order.side.sign() <= 0);
        let told = self
            .memory
            .unprotected_at
            .is_some_and(|at| at + 25 * SECOND >= due);
        // A native child of the entry, or an own order that carries the entry's tag and a number.
        let entry = order.order_id;
        let mut legs = self.broker.orders.iter().filter(|row| {
            let own = row.custom_tag.as_deref();
            let own = own.and_then(|own| self.memory.entry_of_leg(own));
            own == Some(tag) || (entry.is_some() && row.parent_id == entry)
        });
        let has_leg = legs.any(|row| {
            row.kind == Some(OrderKind::Stop)
                && !matches!(row.status, OrderStatus::Suspended | OrderStatus::Rejected)
        });
        is_flat || told || has_leg
    }
}
