//! Laws about risk and control: I-17, I-18, I-20 to I-23.

use super::{Law, World};
use crate::engine::contract::{DoneOutcome, Lane};
use crate::order_execution::order::Order;
use crate::rig::broker::Broker;
use crate::rig::desk::Body;
use crate::rig::invariants::memory::Endpoint2;
use crate::rig::plan::SECOND;
use crate::types::{AccountId, ContractIndex, Side};

/// What stands on both sides of a position, worked out by the rig.
#[derive(Clone, Copy, Debug, Default)]
struct Sides {
    net: i64,
    buys: i64,
    sells: i64,
}

impl Sides {
    fn add(&mut self, side: Option<Side>, lots: i64) {
        match side {
            Some(Side::Buy) => self.buys += lots,
            Some(Side::Sell) => self.sells += lots,
            None => {}
        }
    }

    fn worst(self) -> i64 {
        (self.net + self.buys)
            .abs()
            .max((self.net - self.sells).abs())
    }

    /// Everything open on a side can only make the position smaller.
    fn only_reduces(self, side: Side) -> bool {
        match side {
            Side::Buy => self.net < 0 && self.net + self.buys <= 0,
            Side::Sell => self.net > 0 && self.net - self.sells >= 0,
        }
    }
}

/// Lots of an order that may still fill.
fn open_at_worst(order: &Order) -> i64 {
    if order.life.is_end() && order.doubt.is_none() {
        return 0;
    }
    let wanted = order.wanted.size.unwrap_or(0).max(order.size.0);
    (wanted - order.traded.0.max(order.broker_filled.0)).max(0)
}

impl World {
    /// By the engine's own rows, the order that is being admitted included.
    fn sides_of_rows(&self, account: AccountId, contract: ContractIndex) -> Sides {
        let store = &self.engine.trading.store;
        let mut sides = Sides {
            net: store
                .ledgers
                .get(&(account, contract))
                .map_or(0, |ledger| ledger.totals().net),
            ..Sides::default()
        };
        for (_, order) in store.rows() {
            if (order.account, order.contract) == (account, contract) {
                let unseen = (order.broker_filled.0 - order.traded.0).max(0);
                let lots = open_at_worst(order) + if order.is_foreign { 0 } else { unseen };
                sides.add(Some(order.side), lots);
            }
        }
        sides
    }

    /// By the broker's book and what is on its way to it.
    fn sides_of_truth(&self, account: AccountId, slot: usize) -> Sides {
        let mut sides = Sides {
            net: self.broker.nets.get(&(account, slot)).copied().unwrap_or(0),
            ..Sides::default()
        };
        for (at, order) in self.broker.orders.iter().enumerate() {
            let is_here = order.account_id == Some(account)
                && Broker::slot_of(&order.contract_id) == Some(slot);
            // Of native legs only one can fill, and it reduces.
            if is_here && self.broker.is_working(at) && order.parent_id.is_none() {
                sides.add(order.side, self.broker.open_lots(at));
            }
        }
        for departure in self.memory.departed.values() {
            let is_here = (departure.account, departure.slot) == (account, slot);
            let may_arrive =
                !departure.has_arrived && !departure.was_not_sent && !departure.was_refused;
            let is_young = departure
                .ended
                .is_none_or(|ended| self.now < ended + 30 * SECOND);
            if is_here && may_arrive && is_young {
                sides.add(Some(departure.side), departure.size);
            }
        }
        sides
    }

    /// A place is handed to the sender: what allowed it?
    /// A leg never opens or turns a position: the lots of its kind stay within what the fills give (I-17).
    fn check_leg(&mut self, account: AccountId, contract: ContractIndex, tag: &str) {
        let store = &self.engine.trading.store;
        let net = store
            .ledgers
            .get(&(account, contract))
            .map_or(0, |ledger| ledger.totals().net);
        let kind = store.order(tag).map(|index| store.orders[index].role);
        let is_replaced = |key: &str| {
            let entry = store.legs.leg_of(key).map(|(entry, _)| entry);
            let bracket = entry.and_then(|entry| store.legs.bracket(entry));
            bracket.is_none_or(|bracket| bracket.vacated.contains(key))
        };
        let legs = store.rows().filter(|(_, order)| {
            (order.account, order.contract) == (account, contract)
                && Some(order.role) == kind
                && !is_replaced(&order.key)
        });
        let lots: i64 = legs
            .map(|(_, order)| order.side.sign() * open_at_worst(order))
            .sum();
        let holds = lots * net <= 0 && lots.abs() <= net.abs();
        self.hold(Law::I17, holds, |_| {
            format!("with leg {tag} legs of {lots} lots stand against {net}")
        });
        let is_compared = self.was_compared_since_login(account);
        let is_chosen = self.memory.chosen.contains(&account);
        self.hold(Law::I22, is_chosen && is_compared, |_| {
            format!("leg {tag} left: chosen {is_chosen}, compared {is_compared}")
        });
    }

    pub(super) fn check_admission(&mut self, body: &str) {
        let body = Body::read(body);
        let (account, side) = (body.account(), body.side().unwrap_or(Side::Buy));
        let Some(contract) = self.engine.trading.store.contract(body.contract()) else {
            self.hold(Law::I22, false, |_| {
                "an order for an unknown contract".into()
            });
            return;
        };
        let (contract, slot) = (
            contract.index,
            Broker::slot_of(body.contract()).unwrap_or(0),
        );
        let tag = body.custom_tag.unwrap_or("");
        if self.memory.entry_of_leg(tag).is_some() {
            self.check_leg(account, contract, tag);
            return;
        }
        let rows = self.sides_of_rows(account, contract);
        let reduces = rows.only_reduces(side);
        let limit = self.memory.max_position_lots;
        if !reduces {
            self.hold(Law::I17, rows.worst() <= limit, |_| {
                format!("{rows:?} could become {} of {limit} lots", rows.worst())
            });
            if !self.memory.has_foreign_moves && !self.memory.has_lost_records {
                let mut truth = self.sides_of_truth(account, slot);
                truth.add(Some(side), body.lots().unwrap_or(0));
                self.hold(Law::I17, truth.worst() <= limit, |_| {
                    format!(
                        "truth {truth:?} could become {} of {limit} lots",
                        truth.worst()
                    )
                });
            }
        }
        let store = &self.engine.trading.store;
        let tag = body.custom_tag.unwrap_or("").to_owned();
        let doubted = store.rows().find(|(_, order)| {
            let is_here = (order.account, order.contract) == (account, contract);
            is_here && order.doubt.is_some() && order.key != tag
        });
        let doubted = doubted.map(|(_, order)| order.key.clone());
        self.hold(Law::I22, reduces || doubted.is_none(), |_| {
            format!("new risk left while {doubted:?} is unknown")
        });
        let is_calm = !self.memory.is_halted || reduces;
        self.hold(Law::I18, is_calm, |_| {
            "new risk left although halted".into()
        });
        let is_chosen = self.memory.chosen.contains(&account);
        let is_compared = reduces || self.was_compared_since_login(account);
        self.hold(Law::I22, is_chosen && is_compared, |_| {
            format!("account {account}: chosen {is_chosen}, compared {is_compared}")
        });
        let letter = if self.plan.is_live { 'l' } else { 'p' };
        self.hold(Law::I23, tag.starts_with(letter), |_| {
            format!("tag {tag} crossed over")
        });
    }

    fn was_compared_since_login(&self, account: AccountId) -> bool {
        Endpoint2::ALL.iter().all(|part| {
            let read = self.memory.full_reads.get(&(account, *part));
            read.is_some_and(|left| *left >= self.memory.logged_in)
        })
    }

    /// Requests of any 60 s (I-21).
    pub(super) fn check_budget(&mut self, lane: Lane) {
        let now = self.now;
        let sends = &mut self.memory.sends;
        sends.push_back((now, lane));
        while sends.front().is_some_and(|(at, _)| now - at >= 60 * SECOND) {
            sends.pop_front();
        }
        let count = |wanted: Lane| sends.iter().filter(|(_, lane)| *lane == wanted).count();
        let (ordinary, exits) = (count(Lane::Ordinary), count(Lane::Exit));
        let all = sends.len();
        let holds = all <= 200 && ordinary <= 100 && all - exits <= 120;
        self.hold(Law::I21, holds, |_| {
            format!("{all} requests in 60 s, {ordinary} ordinary, {exits} exits")
        });
    }

    /// The end of a request: flat is said only after a read-back newer than the last close (I-20).
    pub(super) fn check_done(&mut self, request: u64, outcome: DoneOutcome) {
        let Some(exit) = self.memory.exits.remove(&request) else {
            return;
        };
        let ended_before = self.memory.exit_ended.insert(exit.account, self.now);
        if !exit.wants_flat || outcome != DoneOutcome::Done {
            return;
        }
        let slots = exit.slot.map_or(0..2, |slot| slot..slot + 1);
        let (read, nets) = self
            .memory
            .reads
            .get(&exit.account)
            .copied()
            .unwrap_or_default();
        for slot in slots {
            let closed = self
                .memory
                .closes
                .get(&(exit.account, slot))
                .copied()
                .unwrap_or(0);
            let truth = self
                .broker
                .nets
                .get(&(exit.account, slot))
                .copied()
                .unwrap_or(0);
            let is_read = read > 0 && read >= closed;
            let is_flat = nets[slot] == 0 || truth == 0;
            // Another exit of the account may have closed meanwhile; then it must be so at the broker.
            let is_shared = self
                .memory
                .exits
                .values()
                .any(|other| other.account == exit.account)
                || ended_before.is_some_and(|at| self.now < at + 5 * SECOND);
            let is_shared = is_shared && read > 0 && truth == 0;
            self.hold(Law::I20, (is_read && is_flat) || is_shared, |_| {
                format!("flat is told; read at {read} {nets:?}, last close {closed}, truth {truth}")
            });
        }
    }
}
