//! The loop that compares us with the broker until nothing is unknown. Start-up is the first reconnect.
//!
//! One *round* reads an account: what lives (`v2/query`), what was ordered (`Order/search`), and, when it is a full one,
//! trades and positions. Doubt asks at 0, 0.5, 1, 2, 4, 8 s and then every 10 s. Presence settles at once; absence needs
//! two full rounds apart, the first long enough after the request's connection closed, no unexplained trade and a
//! position as expected (decision 13). Differences become notices; nothing is ever repaired by trading.

use std::collections::BTreeSet;

use crate::engine::contract::{Endpoint, Lane, LinkName, LinkState, NoticeLevel, Rows};
use crate::engine::views::DoneOutcome;
use crate::order_execution::evidence::DEFINITION_AFTER_NS;
use crate::order_execution::order::{Change, Life};
use crate::order_execution::record::Record;
use crate::order_execution::requests;
use crate::order_execution::store::Place;
use crate::order_execution::trading::{Pending, SECOND, Trading};
use crate::planted::{Bug, planted};
use crate::types::{AccountId, BrokerPosition, Mono, Nanos, OrderId, OrderStatus, RequestId};

const ASK_AFTER_NS: [u64; 6] = [0, SECOND / 2, SECOND, 2 * SECOND, 4 * SECOND, 8 * SECOND];
const ASK_EVERY_NS: u64 = 10 * SECOND;
/// How far behind the last good read a search begins, in the broker's time.
const OVERLAP_NS: i64 = 60 * SECOND as i64;
/// How far back the first comparison looks for fills.
const FIRST_LOOK_NS: i64 = 24 * 3_600 * SECOND as i64;
/// How long before an intent the search for its order begins.
const INTENT_MARGIN_NS: i64 = 300 * SECOND as i64;
/// How long fills and the broker's position may disagree before it is a dispute.
const DISPUTE_AFTER_NS: u64 = 2 * SECOND;
/// How long an accepted order may stay without a status before it is asked for.
pub(super) const UNSEEN_AFTER_NS: u64 = 2 * SECOND;

/// The reading of one account.
#[derive(Debug, Default)]
pub struct AccountLoop {
    round: Option<Round>,
    /// Next round of any kind.
    next_at: Option<Mono>,
    /// Next round that must be full.
    full_at: Option<Mono>,
    /// The latest moment that somebody named: a full round that begins earlier is not the one he asked for.
    full_after: Option<Mono>,
    asked_since: Mono,
    ask_number: usize,
    /// Start of the newest full round that succeeded.
    pub(super) last_full_started: Option<Mono>,
    last_ok_ns: Option<Nanos>,
    /// What the fills left unexplained in the last round before the first comparison.
    unexplained: Option<Vec<(Place, i64)>>,
    pub(super) failures: u32,
}

impl AccountLoop {
    pub(super) fn next_moment(&self) -> Option<Mono> {
        if self.round.is_some() {
            return None;
        }
        self.next_at.into_iter().chain(self.full_at).min()
    }
}

#[derive(Debug)]
struct Round {
    number: u64,
    started: Mono,
    started_ns: Nanos,
    is_full: bool,
    waiting: u32,
    has_failed: bool,
    seen: BTreeSet<usize>,
    positions: Vec<BrokerPosition>,
}

impl Trading {
    /// Asks for an account from the beginning of the schedule.
    pub(super) fn ask_again(&mut self, account: AccountId) {
        let now = self.now;
        let state = self.loops.entry(account).or_default();
        state.asked_since = now;
        state.ask_number = 0;
        state.next_at = Some(now);
    }

    /// Drops the rounds under way.
    pub(super) fn forget_rounds(&mut self) {
        for state in self.loops.values_mut() {
            if !planted(Bug::OldLoginReads) {
                state.round = None;
            }
        }
    }

    pub(super) fn want_full_round(&mut self, account: AccountId, at: Mono) {
        let state = self.loops.entry(account).or_default();
        state.full_at = Some(state.full_at.map_or(at, |known| known.min(at)));
        state.full_after = state.full_after.max(Some(at));
    }

    /// Asks again for a full round that begins no earlier than `since`, when none is under way: one that somebody wanted
    /// sooner (a hub that came back) has taken the place of the one asked for. After a failure the pause is kept.
    pub(super) fn ensure_full_round(&mut self, account: AccountId, since: Mono) {
        let state = self.loops.entry(account).or_default();
        if state.round.is_some() {
            return;
        }
        let pause = state.next_at.filter(|_| state.failures > 0);
        self.want_full_round(account, pause.map_or(since, |at| at.max(since)));
    }

    pub(super) fn wait_for_rounds(&mut self, request: RequestId) {
        let now = self.now;
        let accounts: Vec<AccountId> = self.loops.keys().copied().collect();
        for account in &accounts {
            self.want_full_round(*account, now);
        }
        let wanted = accounts.into_iter().map(|account| (account, now)).collect();
        self.waiting.push((request, wanted));
    }

    pub(super) fn answer_waiting(&mut self) {
        for (request, wanted) in std::mem::take(&mut self.waiting) {
            let is_read = |(account, since): (&AccountId, &Mono)| {
                self.loops
                    .get(account)
                    .is_none_or(|state| state.last_full_started.is_some_and(|at| at >= *since))
            };
            let has_failed = wanted.keys().any(|account| {
                self.loops
                    .get(account)
                    .is_some_and(|state| state.failures >= 3)
            });
            if wanted.iter().all(is_read) {
                self.done(request, DoneOutcome::Done, "Compared with the broker.");
            } else if has_failed {
                self.done(request, DoneOutcome::Failed, "The broker cannot be read.");
            } else {
                self.waiting.push((request, wanted));
            }
        }
    }

    pub(super) fn run_loops(&mut self) {
        self.ask_for_unseen();
        if self.environment.is_none() {
            return;
        }
        let due: Vec<AccountId> = self
            .loops
            .iter()
            .filter(|(_, state)| state.next_moment().is_some_and(|at| at <= self.now))
            .map(|(account, _)| *account)
            .collect();
        for account in due {
            self.start_round(account);
        }
    }

    /// An accepted order of which no status arrived: the hub may have lost it.
    fn ask_for_unseen(&mut self) {
        let now = self.now;
        let due: Vec<usize> = self
            .unseen
            .iter()
            .filter(|(_, at)| **at <= now)
            .map(|(index, _)| *index)
            .collect();
        for index in due {
            self.unseen.remove(&index);
            let order = &self.store.orders[index];
            if order.life == Life::Sent {
                let account = order.account;
                self.want_full_round(account, now);
            }
        }
    }

    fn start_round(&mut self, account: AccountId) {
        let (now, now_ns) = (self.now, self.now_ns);
        let number = self.next_number;
        self.next_number += 1;
        let start = self.search_start(account);
        let Some(state) = self.loops.get_mut(&account) else {
            return;
        };
        let is_full = state.full_at.is_some_and(|at| at <= now) || state.ask_number >= 2;
        // A round that cannot be whole would only spend what the next one needs.
        let wanted = if is_full { 4 } else { 2 };
        if self.budget.room(Lane::Reconcile, now.0 as i64) < wanted {
            let later = Mono(now.0 + SECOND);
            state.full_at = state.full_at.map(|at| at.max(later));
            state.next_at = Some(later);
            return;
        }
        if is_full {
            // What was wanted for later still is: what this round reads was asked for too early.
            state.full_after = state.full_after.filter(|at| *at > now);
            state.full_at = state.full_after;
        }
        state.next_at = None;
        let mut reads = vec![
            (Endpoint::OrderQuery, requests::living_orders(account)),
            (Endpoint::OrderSearch, requests::since(account, start)),
        ];
        if is_full {
            reads.push((Endpoint::TradeSearch, requests::since(account, start)));
            reads.push((Endpoint::PositionSearch, requests::account_ref(account)));
        }
        state.round = Some(Round {
            number,
            started: now,
            started_ns: now_ns,
            is_full,
            waiting: reads.len() as u32,
            has_failed: false,
            seen: BTreeSet::new(),
            positions: Vec::new(),
        });
        let is_chosen = self.accounts.get(&account).is_some_and(|it| it.is_chosen);
        if is_full && is_chosen && !self.management.is_here(account) {
            self.ask_to_manage();
        }
        for (endpoint, body) in reads {
            let pending = Pending::Read {
                account,
                round: number,
                endpoint,
            };
            if !self.read(endpoint, body, pending) {
                self.read_ended(account, number, None);
            }
        }
    }

    /// Where a search must begin so that nothing we do not know can lie before it.
    fn search_start(&self, account: AccountId) -> Nanos {
        let now = self.now_ns.0;
        let last = self.loops.get(&account).and_then(|state| state.last_ok_ns);
        let mut start = match last {
            Some(at) => at.0 - OVERLAP_NS,
            // The broker's clock may be nowhere near ours; before its first stamp everything is asked for.
            None if now == 0 => 0,
            // After days without the program everything since its last word is asked for.
            None => match self.store.last_known() {
                Nanos(0) => now - FIRST_LOOK_NS,
                Nanos(known) => (known - OVERLAP_NS).min(now - FIRST_LOOK_NS),
            },
        };
        // A fill that was taken back may be older than any overlap; only the whole day can explain a dispute.
        let mut nets = self.broker_net.iter();
        if now != 0 && nets.any(|(place, net)| place.0 == account && net.is_disputed) {
            start = start.min(now - FIRST_LOOK_NS);
        }
        for (_, order) in self.store.open_rows() {
            if order.account == account && order.is_live() {
                start = start.min(order.created.0 - INTENT_MARGIN_NS);
            }
        }
        Nanos(start.max(0))
    }

    /// Takes the rows of one read (`None` when it failed) and ends the round with the last of them.
    pub(super) fn read_ended(&mut self, account: AccountId, number: u64, rows: Option<Rows>) {
        let is_current = |state: &&mut AccountLoop| {
            state
                .round
                .as_ref()
                .is_some_and(|round| round.number == number)
        };
        if self
            .loops
            .get_mut(&account)
            .as_ref()
            .is_none_or(|x| !is_current(x))
        {
            return;
        }
        let mut seen = Vec::new();
        let mut positions = Vec::new();
        let has_failed = rows.is_none();
        let round = self.loops.get(&account);
        let round = round.and_then(|state| state.round.as_ref());
        let started = round.map_or(Nanos(0), |round| round.started_ns);
        match rows {
            Some(Rows::Orders(rows)) => {
                for row in rows {
                    let is_known = !matches!(row.status, OrderStatus::None | OrderStatus::Other(_));
                    // A change that was answered since the reading began is newer than what the reading shows.
                    let is_newest = !self.is_changed_since(row.id, started);
                    seen.extend(self.see_order(row, is_newest).filter(|_| is_known));
                }
            }
            Some(Rows::Trades(rows)) => rows.into_iter().for_each(|row| self.see_trade(row)),
            Some(Rows::Positions(rows)) => positions = rows,
            Some(Rows::None | Rows::Accounts(_) | Rows::Contracts(_) | Rows::Bars(_)) | None => {}
        }
        let state = self.loops.entry(account).or_default();
        let Some(round) = state.round.as_mut() else {
            return;
        };
        round.seen.extend(seen);
        round.positions.extend(positions);
        round.has_failed |= has_failed;
        round.waiting = round.waiting.saturating_sub(1);
        if round.waiting == 0
            && let Some(round) = state.round.take()
        {
            self.end_round(account, &round);
        }
    }

    fn is_changed_since(&self, id: OrderId, started: Nanos) -> bool {
        let order = self.store.order_by_id(id);
        let replaced = order.and_then(|index| self.store.orders[index].replaced);
        replaced.is_some_and(|(_, at)| at >= started)
    }

    fn end_round(&mut self, account: AccountId, round: &Round) {
        if round.has_failed {
            let now = self.now;
            let state = self.loops.entry(account).or_default();
            state.failures += 1;
            let wait = SECOND * u64::from(state.failures.min(10));
            state.next_at = Some(Mono(now.0 + wait));
            if round.is_full {
                state.full_at = Some(Mono(now.0 + wait));
            }
            return;
        }
        // The position is part of the proof of absence, so it is compared first.
        if round.is_full {
            self.compare_positions(account, round);
        }
        self.judge_orders(account, round);
        if round.is_full {
            let state = self.loops.entry(account).or_default();
            state.last_full_started = Some(round.started);
            state.last_ok_ns = Some(round.started_ns).filter(|at| at.0 != 0);
        }
        self.schedule(account);
    }

    /// What the lists say about the orders we have an opinion on.
    fn judge_orders(&mut self, account: AccountId, round: &Round) {
        let rows = self.store.open_rows();
        let living: Vec<usize> = rows
            .filter(|(_, order)| {
                // A suspended leg is told of by its parent, unless its own change has no answer.
                let is_followed = order.life != Life::Suspended || order.doubt.is_some();
                order.account == account && order.is_live() && is_followed
            })
            .map(|(index, _)| index)
            .collect();
        for index in living {
            let order = &self.store.orders[index];
            let key = order.key.clone();
            let clock = self.doubts.get(&index).copied();
            let is_after_doubt = clock.is_none_or(|clock| clock.since <= round.started);
            let is_change_over =
                clock.is_none_or(|clock| self.is_change_over(&key, clock.since, round.started));
            match (round.seen.contains(&index), order.order_id, clock) {
                (true, _, Some(_)) if is_after_doubt && is_change_over => {
                    let at = self.now_ns.0;
                    self.record(&Record::Settled { key, at });
                }
                (false, None, Some(_)) if is_after_doubt && round.is_full => {
                    self.weigh_absence(index, round);
                }
                (false, Some(order_id), _)
                    if order.created < round.started_ns && is_after_doubt =>
                {
                    let body = requests::order_ref(account, order_id);
                    let asked = self.now;
                    self.read(Endpoint::OrderById, body, Pending::ById { key, asked });
                }
                _ => {}
            }
        }
    }

    /// Whether a read can settle a doubted order: a change without an answer may still be on its way (A3), and its old
    /// values prove nothing before the time of the proof of absence is over.
    pub(super) fn is_change_over(&self, key: &str, doubted: Mono, read: Mono) -> bool {
        let order = self.store.order(key).map(|index| &self.store.orders[index]);
        order.is_none_or(|order| order.change != Change::Modify)
            || read.since(doubted) >= self.settings.absence_after_ns
    }

    /// Collects the proof that the broker never took an order.
    fn weigh_absence(&mut self, index: usize, round: &Round) {
        let settings = self.settings;
        let Some(clock) = self.doubts.get_mut(&index) else {
            return;
        };
        let is_early = round.started.since(clock.since) < settings.absence_after_ns;
        if is_early && !planted(Bug::AbsenceTooEarly) {
            return;
        }
        let known = clock.absent_at.or_else(|| {
            planted(Bug::AbsenceByOneRead).then_some((round.started, round.started_ns))
        });
        let Some((first, first_ns)) = known else {
            clock.absent_at = Some((round.started, round.started_ns));
            return;
        };
        let order = &self.store.orders[index];
        let place = (order.account, order.contract);
        let is_expected = self
            .broker_net
            .get(&place)
            .is_none_or(|net| net.differs_since.is_none());
        let is_close = round.started.since(first) < settings.read_gap_ns;
        if (is_close && !planted(Bug::AbsenceByOneRead))
            || self.has_unexplained_trade(index)
            || !is_expected
        {
            return;
        }
        let tag = order.key.clone();
        let text =
            format!("Order {tag} was never taken by the broker: it is missing from two reads.");
        let at = self.now_ns.0;
        self.record(&Record::Absent {
            tag,
            reads: [first_ns.0, round.started_ns.0],
            at,
        });
        self.notice(NoticeLevel::Warning, "not_accepted", text);
    }

    fn has_unexplained_trade(&self, index: usize) -> bool {
        let order = &self.store.orders[index];
        let Some(ledger) = self.store.ledgers.get(&(order.account, order.contract)) else {
            return false;
        };
        ledger.fills().any(|(fill, _)| {
            fill.time >= order.created.0 - INTENT_MARGIN_NS
                && self
                    .store
                    .order_by_id(crate::types::OrderId(fill.order_id))
                    .is_none()
        })
    }

    fn compare_positions(&mut self, account: AccountId, round: &Round) {
        let at = self.now_ns;
        let mut stated: BTreeSet<Place> = BTreeSet::new();
        for row in &round.positions {
            let Some(contract) = self.store.contract(&row.contract_id).cloned() else {
                self.name_contract(&row.contract_id);
                continue;
            };
            let place = (account, contract.index);
            stated.insert(place);
            let average = row
                .average_price
                .and_then(|price| contract.ticks_1e4(price));
            self.set_broker_net(place, row.net.0, average, Some(round.started));
        }
        let known = self.broker_net.keys().chain(self.store.ledgers.keys());
        let silent: BTreeSet<Place> = known
            .copied()
            .filter(|place| place.0 == account && !stated.contains(place))
            .collect();
        for place in silent {
            self.set_broker_net(place, 0, None, Some(round.started));
        }
        if !self.store.is_compared(account) && !self.is_opening_stable(account) {
            self.want_full_round(account, Mono(self.now.0 + SECOND));
        } else if self.unknown_contracts.is_empty() {
            if !self.store.is_compared(account) || planted(Bug::OpeningAgain) {
                self.take_openings(account);
                self.record(&Record::Compared {
                    account: account.0,
                    at: at.0,
                });
            }
            if let Some(state) = self.accounts.get_mut(&account)
                && !state.is_reconciled
            {
                state.is_reconciled = true;
                self.dirty.is_account_list = true;
            }
        } else {
            // The rows of an unknown contract are not applied yet; the comparison waits for its definition.
            self.want_full_round(account, Mono(self.now.0 + DEFINITION_AFTER_NS));
        }
        self.raise_disputes(account);
    }

    /// Whether the fills explain an account's positions, or two rounds in a row leave the same rest: a fill between the
    /// reads of one round would be counted twice, once as a fill and once as an opening.
    fn is_opening_stable(&mut self, account: AccountId) -> bool {
        let nets = self
            .broker_net
            .iter()
            .filter(|(place, _)| place.0 == account);
        let rest = nets.map(|(place, broker)| (*place, broker.net - self.net(*place)));
        let rest: Vec<(Place, i64)> = rest.filter(|(_, lots)| *lots != 0).collect();
        let state = self.loops.entry(account).or_default();
        let before = state.unexplained.replace(rest.clone());
        rest.is_empty() || before == Some(rest)
    }

    /// The first comparison of an account: what the fills do not explain was there before.
    fn take_openings(&mut self, account: AccountId) {
        let nets: Vec<_> = self
            .broker_net
            .iter()
            .filter(|(place, _)| place.0 == account)
            .map(|(p, n)| (*p, *n))
            .collect();
        for (place, broker) in nets {
            let known = self
                .store
                .ledgers
                .get(&place)
                .map_or(0, super::ledger::Ledger::net);
            if broker.net == known {
                continue;
            }
            let contract = self.contract_of(place.1);
            let (contract, name) = (contract.id.clone(), contract.name.clone());
            let net = broker.net - known;
            self.record(&Record::Opening {
                account: account.0,
                contract,
                net,
                average_1e4: broker.average_1e4.unwrap_or(0),
                at: self.now_ns.0,
            });
            let text = format!("{name}: {net} lots were there before the first fill known here.");
            self.notice(NoticeLevel::Info, "opening", text);
            self.note_difference(place);
        }
    }

    fn raise_disputes(&mut self, account: AccountId) {
        let now = self.now;
        let due: Vec<Place> = self
            .broker_net
            .iter()
            .filter(|(place, net)| {
                place.0 == account
                    && !net.is_disputed
                    && net
                        .differs_since
                        .is_some_and(|since| now.since(since) >= DISPUTE_AFTER_NS)
            })
            .map(|(place, _)| *place)
            .collect();
        for place in due {
            let Some(broker) = self.broker_net.get_mut(&place) else {
                continue;
            };
            broker.is_disputed = true;
            let stated = broker.net;
            let ours = self
                .store
                .ledgers
                .get(&place)
                .map_or(0, super::ledger::Ledger::net);
            let name = self.contract_of(place.1).name.clone();
            self.dirty.positions.insert(place);
            let text = format!(
                "{name} on account {}: the broker states {stated} lots, the fills give {ours}. New risk waits; you decide.",
                place.0
            );
            self.notice(NoticeLevel::Alarm, "position_mismatch", text);
            if planted(Bug::DisputeTraded) {
                let id = self.contract_of(place.1).id.clone();
                self.start_flatten(RequestId::NOBODY, account, Some(&id), "engine".into());
            }
            self.want_full_round(account, now);
        }
    }

    /// Takes the broker's statement of a position. A read older than the last push changes nothing.
    pub(super) fn set_broker_net(
        &mut self,
        place: Place,
        net: i64,
        average_1e4: Option<i64>,
        read_started: Option<Mono>,
    ) {
        let (now, now_ns) = (self.now, self.now_ns);
        let entry = self.broker_net.entry(place).or_default();
        if read_started.is_some() {
            entry.read_net = net;
        }
        if read_started.is_some_and(|started| entry.pushed >= started) {
            return;
        }
        entry.net = net;
        entry.average_1e4 = average_1e4;
        entry.at = now_ns;
        entry.is_push = read_started.is_none();
        if entry.is_push {
            entry.pushed = now;
        }
        self.dirty.positions.insert(place);
        self.note_difference(place);
    }

    /// Compares the broker's position with the fills; a difference has to last to become a dispute.
    pub(super) fn note_difference(&mut self, place: Place) {
        let now = self.now;
        let ours = self
            .store
            .ledgers
            .get(&place)
            .map_or(0, super::ledger::Ledger::net);
        let Some(broker) = self.broker_net.get_mut(&place) else {
            return;
        };
        if broker.net == ours {
            let was_disputed = broker.is_disputed;
            broker.differs_since = None;
            broker.is_disputed = false;
            if was_disputed {
                self.dirty.positions.insert(place);
                let name = self.contract_of(place.1).name.clone();
                let text = format!("{name}: broker and fills agree again.");
                self.notice(NoticeLevel::Info, "position_agrees", text);
            }
            return;
        }
        if broker.differs_since.is_none() {
            broker.differs_since = Some(now);
        }
        self.want_full_round(place.0, Mono(now.0 + DISPUTE_AFTER_NS));
    }

    fn schedule(&mut self, account: AccountId) {
        let doubts = self.doubts.iter();
        let clocks: Vec<_> = doubts
            .filter(|(index, _)| self.store.orders[**index].account == account)
            .map(|(_, clock)| *clock)
            .collect();
        let is_live = self.links.get(&LinkName::User) == Some(&LinkState::Live);
        let (now, settings) = (self.now, self.settings);
        let Some(state) = self.loops.get_mut(&account) else {
            return;
        };
        state.failures = 0;
        let mut next = now.0
            + if is_live {
                settings.reconcile_every_ns
            } else {
                settings.poll_every_ns
            };
        state.full_at = Some(state.full_at.map_or(Mono(next), |at| at.min(Mono(next))));
        if !clocks.is_empty() {
            state.ask_number += 1;
            next = match ASK_AFTER_NS.get(state.ask_number) {
                Some(after) => state.asked_since.0 + after,
                None => now.0 + ASK_EVERY_NS,
            };
        }
        for clock in clocks {
            let proof = match clock.absent_at {
                None => clock.since.0 + settings.absence_after_ns,
                Some((first, _)) => first.0 + settings.read_gap_ns,
            };
            if proof > now.0 {
                next = next.min(proof);
            }
        }
        state.next_at = Some(state.next_at.map_or(Mono(next), |at| at.min(Mono(next))));
    }

    /// The journal is gone: exits go on without it.
    pub fn journal_failed(&mut self, text: &str) {
        if self.is_journal_writing {
            self.is_journal_writing = false;
            let text = format!(
                "The order journal cannot be written: {text} No new risk is taken; exits still go."
            );
            self.notice(NoticeLevel::Alarm, "journal", text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::{ACCOUNTS, Plan, World};

    fn last_full(world: &World) -> Option<Mono> {
        world.engine.trading.loops[&ACCOUNTS[0]].last_full_started
    }

    #[test]
    fn a_reading_wanted_for_later_is_not_the_one_that_began_before() {
        let mut world = World::new(Plan::quiet(1));
        world.run_for(3 * SECOND);
        let now = world.engine.trading.now();
        let later = Mono(now.0 + 2 * SECOND);
        let trading = &mut world.engine.trading;
        trading.want_full_round(ACCOUNTS[0], later);
        trading.want_full_round(ACCOUNTS[0], now);
        world.step(crate::engine::contract::Input::Timer);
        world.run_for(SECOND);
        assert!(
            last_full(&world).is_some_and(|at| at < later),
            "the sooner one"
        );
        world.run_for(3 * SECOND);
        assert!(
            last_full(&world).is_some_and(|at| at >= later),
            "and the later one"
        );
    }

    #[test]
    fn a_reading_wanted_while_one_runs_begins_after_it() {
        let mut world = World::new(Plan::quiet(1));
        world.run_for(3 * SECOND);
        world.command(|request| crate::engine::contract::Command::Reconcile { request });
        let first = world.engine.trading.now();
        world.run_for(SECOND / 200);
        let is_running = |world: &World| world.engine.trading.loops[&ACCOUNTS[0]].round.is_some();
        assert!(is_running(&world), "the first one has no answer yet");
        let mut number = 0;
        world.command(|request| {
            number = request.0;
            crate::engine::contract::Command::Reconcile { request }
        });
        let second = world.engine.trading.now();
        assert!(second > first);
        while !world.done.contains_key(&number) {
            world.run_for(SECOND / 100);
        }
        assert!(last_full(&world).is_some_and(|at| at >= second));
    }
}
