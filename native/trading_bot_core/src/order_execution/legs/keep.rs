//! Looks after the legs: gathers what [`decide`] needs, does what it says, and tells when a position is bare.

use std::collections::{BTreeMap, BTreeSet};

use super::book::{Bracket, Dropped, LegRecord, STOP, Slot};
use super::decide::{Action, Leg, View, decide};
use super::plan::{BracketPlan, WhenBare};
use super::{Holder, LEGS_SOURCE};
use crate::engine::contract::{Command, Draft, Endpoint, Lane, Outgoing};
use crate::engine::views::NoticeLevel;
use crate::order_execution::gate::{Admitted, LegFacts, Reason, admit, admit_leg, objections};
use crate::order_execution::order::{Change, Life, Order, Role, Values};
use crate::order_execution::record::{End, Record};
use crate::order_execution::requests;
use crate::order_execution::store::Place;
use crate::order_execution::trading::{Pending, Trading};
use crate::planted::{Bug, planted};
use crate::types::{ClientTag, Lots, Mono, OrderKind, Ticks, divide_half_even};

const MILLISECOND: u64 = 1_000_000;
/// How long after a fill the stop may take to work before the trader hears it (I-15).
const PROTECTED_WITHIN_NS: u64 = 2_000 * MILLISECOND;
/// How long the broker may take to fit its own legs before the engine does it.
const NATIVE_GRACE_NS: u64 = 1_000 * MILLISECOND;
/// When something that the gate holds back is tried again.
const RETRY_NS: u64 = 250 * MILLISECOND;
/// Passes over one bracket in a step: a leg given up is replaced at the same moment.
const PASSES: usize = 4;

/// A leg whose change was refused or not sent: it is left alone until the account was read again.
#[derive(Clone, Copy, Debug)]
struct Wait {
    since: Mono,
    /// The refused change was our resize.
    is_resize: bool,
}

/// A position whose stop does not cover it.
#[derive(Clone, Copy, Debug)]
struct Bare {
    due: Mono,
    lots: i64,
    is_told: bool,
    is_flattened: bool,
    place: Place,
}

/// What is under way about legs in this run; everything durable is in the store.
#[derive(Debug, Default)]
pub(in crate::order_execution) struct Keeping {
    resizing: BTreeSet<usize>,
    waits: BTreeMap<usize, Wait>,
    /// Legs that do not take another size.
    stiff: BTreeSet<usize>,
    /// Native legs that do not fit, and when the engine fits them.
    misfits: BTreeMap<usize, Mono>,
    bare: BTreeMap<String, Bare>,
    /// Entries whose brackets look over, and since when.
    ending: BTreeMap<String, Mono>,
    retry: Option<Mono>,
}

impl Keeping {
    /// The next moment after `now`: one that is over already would hide every later one.
    fn next_moment(&self, now: Mono) -> Option<Mono> {
        let bare = self.bare.values().filter(|bare| !bare.is_told);
        let bare = bare.map(|bare| bare.due);
        let misfits = self.misfits.values().copied();
        let moments = bare.chain(misfits).chain(self.retry);
        moments.filter(|at| *at > now).min()
    }

    pub(super) fn is_waiting(&self, index: usize) -> bool {
        self.waits.contains_key(&index)
    }

    pub(super) fn is_stiff(&self, index: usize) -> bool {
        self.stiff.contains(&index)
    }

    pub(super) fn retry_at(&mut self, at: Mono) {
        self.retry = Some(self.retry.map_or(at, |known| known.min(at)));
    }
}

impl Trading {
    /// The commands about legs, groups and bracket modes.
    pub(in crate::order_execution) fn legs_command(&mut self, command: Command) {
        match command {
            Command::SubmitBracket { draft, plan } => self.submit_bracket(draft, plan),
            Command::LinkOco {
                request,
                keys,
                source,
            } => self.link_oco(request, &keys, &source),
            Command::SetBracketMode {
                request,
                account,
                mode,
            } => self.set_bracket_mode(request, account, mode),
            other => debug_assert!(false, "{other:?} is not about legs"),
        }
    }

    /// Submits an entry with its legs as one decision.
    fn submit_bracket(&mut self, mut draft: Draft, plan: BracketPlan) {
        plan.dress(&mut draft);
        self.submit_planned(draft, Some(plan));
    }

    /// The gate's verdict on an order and on what is to protect it, with every reason.
    pub(in crate::order_execution) fn judge_order(
        &mut self,
        draft: &Draft,
        plan: Option<&BracketPlan>,
    ) -> Result<Admitted, Vec<Reason>> {
        let mode = self.store.legs.mode(draft.account.0);
        let against = plan.map_or_else(Vec::new, |plan| plan.reasons(draft, mode));
        let mut facts = self.facts(draft);
        if !against.is_empty() {
            // A question only: the token of an order that its plan forbids would never be spent (I-6).
            let reasons = objections(&facts).into_iter();
            return Err(reasons.chain(against).collect());
        }
        let legs = plan.map_or(0, BracketPlan::leg_count);
        facts.working_on_account += legs;
        facts.working_on_login += legs;
        admit(&facts)
    }

    /// Records what an entry is to be protected by; before its intent.
    pub(in crate::order_execution) fn record_plan(&mut self, draft: &Draft, plan: BracketPlan) {
        let record = LegRecord::Plan {
            entry: draft.tag.to_string(),
            plan,
            at: self.now_ns().0,
        };
        self.record(&Record::Legs(record));
    }

    /// The earliest moment at which legs need something without an input.
    pub(in crate::order_execution) fn legs_moment(&self) -> Option<Mono> {
        self.keeping.next_moment(self.now())
    }

    /// Lots of a position whose stop was asked for and does not work.
    pub fn unprotected_lots(&self, place: Place) -> i64 {
        let told = self.keeping.bare.values();
        told.filter(|bare| bare.is_told && bare.place == place)
            .map(|bare| bare.lots)
            .sum()
    }

    /// Living stops that make a position smaller, the one with the most lots first.
    pub fn stops_of(&self, place: Place) -> Vec<usize> {
        let net = self.net(place);
        let mut stops: Vec<(i64, usize)> = self
            .store
            .open_rows()
            .filter(|(_, order)| {
                (order.account, order.contract) == place
                    && order.side.sign() * net < 0
                    && order.is_live()
                    && matches!(
                        order.kind,
                        OrderKind::Stop | OrderKind::StopLimit | OrderKind::TrailingStop
                    )
            })
            .map(|(index, order)| (-order.open().0, index))
            .collect();
        stops.sort_unstable();
        stops.into_iter().map(|(_, index)| index).collect()
    }

    /// Looks after everything that hangs together. Called after every input.
    pub(in crate::order_execution) fn run_legs(&mut self) {
        self.keeping.retry = None;
        if self.store.legs.is_empty() {
            return;
        }
        self.end_waits();
        self.run_groups();
        let mut claims = BTreeMap::new();
        for entry in self.store.legs.entries() {
            self.keep_bracket(&entry, &mut claims);
        }
    }

    /// A refused change is judged again after a whole read that began later: the usual reason is a fill on its way.
    fn end_waits(&mut self) {
        for (index, wait) in self.keeping.waits.clone() {
            let account = self.store.orders[index].account;
            let read = self.loops.get(&account);
            let read = read.and_then(|state| state.last_full_started);
            if read.is_some_and(|started| started >= wait.since) {
                self.keeping.waits.remove(&index);
                if wait.is_resize {
                    self.keeping.stiff.insert(index);
                }
            }
        }
    }

    /// Whether the engine may act for an account: chosen, managed here, and compared with the broker since the login.
    pub(super) fn may_keep(&self, place: Place) -> bool {
        let state = self.accounts.get(&place.0);
        state.is_some_and(|state| state.is_chosen && state.is_reconciled)
            && self.management.is_here(place.0)
    }

    fn keep_bracket(&mut self, entry: &str, claims: &mut BTreeMap<(Place, i64), i64>) {
        let Some(index) = self.store.order(entry) else {
            return;
        };
        let order = &self.store.orders[index];
        let (place, sign) = ((order.account, order.contract), order.side.sign());
        if !self.may_keep(place) {
            // Nothing is sent for an account that is not chosen or not compared; a bare position is told all the same.
            if self.accounts.contains_key(&place.0) {
                self.watch_cover(entry, place, false);
            }
            return;
        }
        let claimed = claims.entry((place, sign)).or_default();
        let available = (sign * self.net(place) - *claimed).max(0);
        let mut held = 0;
        for _ in 0..PASSES {
            let Some(view) = self.view(entry, index, available) else {
                return;
            };
            let (is_dropped, is_lost) = self.note_lost(entry, &view);
            if is_dropped {
                self.watch_cover(entry, place, is_lost);
                continue;
            }
            held = view.held();
            let mut is_changed = false;
            for action in decide(&view) {
                is_changed |= self.perform(entry, index, &view, action);
            }
            self.forget_fitting(index, &view);
            self.watch_cover(entry, place, false);
            if !is_changed {
                break;
            }
        }
        *claimed += held;
    }

    fn view(&self, entry: &str, index: usize, available: i64) -> Option<View> {
        let bracket = self.store.legs.bracket(entry)?;
        let order = &self.store.orders[index];
        let legs = self.legs_of(bracket, order);
        let is_booked = |row: usize| {
            let order = &self.store.orders[row];
            order.traded >= order.filled()
        };
        let are_booked = is_booked(index) && legs.iter().all(|leg| is_booked(leg.index));
        Some(View {
            entry_filled: order.filled().0,
            is_booked: are_booked,
            is_settled: !order.is_live() && are_booked && !self.is_place_pending(entry),
            is_entry_live: order.is_live()
                && order.change != Change::Cancel
                && !self.cancels.contains_key(&index),
            available,
            targets: bracket.plan.targets.clone(),
            has_stop: bracket.plan.stop.is_some(),
            is_stop_own: bracket.plan.holder == Holder::Computer || bracket.is_native_stop_replaced,
            is_stop_waived: bracket.released.get(&STOP) == Some(&Dropped::Released),
            is_target_native: bracket.plan.has_native_target(order.size.0),
            released: bracket.released.keys().copied().collect(),
            legs,
        })
    }

    /// Legs that do not live and may still be placed, of the entries that match.
    pub(in crate::order_execution) fn planned_legs(
        &self,
        matches: impl Fn(&Order) -> bool,
    ) -> usize {
        if self.store.legs.is_empty() {
            return 0;
        }
        let entries = self.store.legs.entries().into_iter();
        let indices = entries.filter_map(|entry| Some((self.store.order(&entry)?, entry)));
        let meant = indices.filter(|(index, _)| matches(&self.store.orders[*index]));
        meant
            .map(|(index, entry)| self.legs_to_come(&entry, index))
            .sum()
    }

    fn legs_to_come(&self, entry: &str, index: usize) -> usize {
        let order = &self.store.orders[index];
        let available = order.side.sign() * self.net((order.account, order.contract));
        let Some(view) = self.view(entry, index, available.max(0)) else {
            return 0;
        };
        if !order.is_live() && view.is_booked && view.held() == 0 {
            return 0;
        }
        let stop = view.has_stop.then_some(STOP);
        let targets = (1..).take(view.targets.len());
        let is_to_come = |slot: &Slot| {
            let mut legs = view.legs.iter();
            !view.released.contains(slot)
                && !legs.any(|leg| leg.slot == *slot && leg.is_live && !leg.is_vacated)
        };
        stop.into_iter().chain(targets).filter(is_to_come).count()
    }

    /// Whether the answer to a place is still to come: it tells about the account's bracket mode.
    fn is_place_pending(&self, wanted: &str) -> bool {
        let mut pending = self.pending.values();
        pending.any(|(_, pending)| matches!(pending, Pending::Place { tag } if tag == wanted))
    }

    fn legs_of(&self, bracket: &Bracket, entry: &Order) -> Vec<Leg> {
        let own = bracket.legs.iter().filter_map(|(slot, tag)| {
            let index = self.store.order(tag)?;
            Some(self.leg(bracket, index, *slot, false))
        });
        let children = entry.order_id.map(|id| self.store.legs.children(id.0));
        let native = children.unwrap_or_default().iter().filter_map(|index| {
            let order = &self.store.orders[*index];
            let is_own = self.store.legs.leg_of(&order.key).is_some();
            let slot = if order.role == Role::Target { 1 } else { STOP };
            (!is_own && !self.store.is_merged(*index))
                .then(|| self.leg(bracket, *index, slot, true))
        });
        own.chain(native).collect()
    }

    fn leg(&self, bracket: &Bracket, index: usize, slot: Slot, is_native: bool) -> Leg {
        let order = &self.store.orders[index];
        let is_working = order.life == Life::Working && order.doubt.is_none();
        let is_waiting = self.keeping.is_waiting(index);
        Leg {
            index,
            slot,
            is_native,
            is_vacated: bracket.vacated.contains(&order.key),
            is_live: order.is_live(),
            is_working,
            is_free: is_working
                && order.order_id.is_some()
                && order.change == Change::None
                && !is_waiting,
            is_cancelling: order.change == Change::Cancel || self.cancels.contains_key(&index),
            is_waiting,
            open: order.open().0,
            cover: cover_of(order),
            filled: order.filled().0,
        }
    }

    /// Own legs that ended without filling and without anybody's wish: whether there was one, and whether it was a stop.
    fn note_lost(&mut self, entry: &str, view: &View) -> (bool, bool) {
        let (mut is_dropped, mut is_stop_lost) = (false, false);
        let slots: BTreeSet<Slot> = view.legs.iter().map(|leg| leg.slot).collect();
        for slot in slots {
            let newest = view
                .legs
                .iter()
                .rfind(|leg| leg.slot == slot && !leg.is_native);
            let Some(leg) = newest.filter(|leg| !leg.is_live && !leg.is_vacated) else {
                continue;
            };
            let order = &self.store.orders[leg.index];
            if order.life == Life::Filled || view.released.contains(&slot) {
                continue;
            }
            let (key, reason) = (order.key.clone(), order.reason.clone());
            let why = if view.held() > 0 {
                Dropped::Lost
            } else {
                Dropped::Vacated
            };
            self.drop_leg(entry, &key, why);
            is_dropped = true;
            if why == Dropped::Lost {
                is_stop_lost |= slot == STOP;
                let what = if slot == STOP { "stop" } else { "target" };
                let text = format!("The {what} {key} is gone: {reason} It is not placed again.");
                self.notice(NoticeLevel::Warning, "leg_lost", text);
            }
        }
        (is_dropped, is_stop_lost)
    }

    fn drop_leg(&mut self, entry: &str, key: &str, why: Dropped) {
        let record = LegRecord::Dropped {
            entry: entry.to_owned(),
            key: key.to_owned(),
            why,
            at: self.now_ns().0,
        };
        self.record(&Record::Legs(record));
    }

    /// A person cancels an order: if it is a leg, its place stays empty from now on.
    pub(in crate::order_execution) fn release_leg(&mut self, index: usize, source: &str) {
        if source == LEGS_SOURCE || source == "engine" {
            return;
        }
        if let Some(entry) = self.entry_of_leg(index) {
            let key = self.store.orders[index].key.clone();
            self.drop_leg(&entry, &key, Dropped::Released);
        }
    }

    /// The entry whose bracket, not over yet, an order is a leg of.
    pub(in crate::order_execution) fn entry_of_leg(&self, index: usize) -> Option<String> {
        let order = &self.store.orders[index];
        let own = self.store.legs.leg_of(&order.key);
        let native = || {
            let parent = self.store.order_by_id(order.parent?)?;
            Some(self.store.orders[parent].key.as_str())
        };
        let entry = own.map(|(entry, _)| entry).or_else(native)?;
        self.store.legs.bracket(entry)?;
        Some(entry.to_owned())
    }

    /// The stop of a bracket that works now and is there to stay.
    pub(in crate::order_execution) fn working_stop(&self, entry: &str) -> Option<usize> {
        let bracket = self.store.legs.bracket(entry)?;
        let order = &self.store.orders[self.store.order(entry)?];
        if !self.may_keep((order.account, order.contract)) {
            return None;
        }
        let legs = self.legs_of(bracket, order);
        let is_meant = |leg: &&Leg| leg.slot == STOP && leg.is_working && !leg.is_vacated;
        legs.iter().rfind(is_meant).map(|leg| leg.index)
    }

    /// Does one thing; true when the bracket should be looked at again at once.
    fn perform(&mut self, entry: &str, entry_index: usize, view: &View, action: Action) -> bool {
        match action {
            Action::Place { slot, lots } => {
                self.place_leg(entry, entry_index, slot, lots);
                false
            }
            Action::Resize { index, open } => self.resize_leg(entry, view, index, open),
            Action::Cancel { index } => {
                self.cancel_leg(entry, view, index);
                false
            }
            Action::CancelEntry => {
                let is_due = view.is_stop_own || self.is_grace_over(entry_index);
                if is_due && !self.keeping.is_waiting(entry_index) {
                    self.send_cancel(entry_index, LEGS_SOURCE, None);
                }
                false
            }
            Action::End if !self.is_end_certain(entry, entry_index) => false,
            Action::End => {
                let (entry, at) = (entry.to_owned(), self.now_ns().0);
                self.note_overfill(&entry, view);
                self.keeping.bare.remove(&entry);
                self.keeping.ending.remove(&entry);
                self.record(&Record::Legs(LegRecord::End { entry, at }));
                false
            }
        }
    }

    /// Whether a position that looks closed is closed: fills come in any order, and one that is still on its way may leave
    /// lots to protect. A whole read that began later tells, when the broker's position agrees with it.
    fn is_end_certain(&mut self, entry: &str, index: usize) -> bool {
        let order = &self.store.orders[index];
        let place = (order.account, order.contract);
        let now = self.now();
        let since = *self.keeping.ending.entry(entry.to_owned()).or_insert(now);
        let read = self.loops.get(&place.0);
        let read = read.and_then(|state| state.last_full_started);
        let net = self.broker_net.get(&place);
        read.is_some_and(|started| started >= since)
            && net.is_none_or(|net| net.differs_since.is_none())
    }

    /// Stop and target may both fill in a fast market; the sum of the fills is the truth, and only the trader acts (C10).
    fn note_overfill(&mut self, entry: &str, view: &View) {
        if view.closed() <= view.entry_filled {
            return;
        }
        let record = LegRecord::Overfilled {
            entry: entry.to_owned(),
            at: self.now_ns().0,
        };
        if self.record(&Record::Legs(record)).1.is_changed {
            let text = format!(
                "The legs of {entry} closed {} lots of {}: two of them filled in one race. Look at the position now.",
                view.closed(),
                view.entry_filled
            );
            self.notice(NoticeLevel::Alarm, "legs_overfilled", text);
        }
    }

    /// Whether the broker had its time to fit a leg by itself.
    fn is_grace_over(&mut self, index: usize) -> bool {
        let now = self.now();
        let due = Mono(now.0 + NATIVE_GRACE_NS);
        *self.keeping.misfits.entry(index).or_insert(due) <= now
    }

    /// Legs that fit have no time running.
    fn forget_fitting(&mut self, entry: usize, view: &View) {
        let actions = decide(view);
        if !actions.contains(&Action::End) {
            self.keeping.ending.remove(&self.store.orders[entry].key);
        }
        let wanted: BTreeSet<usize> = actions
            .into_iter()
            .filter_map(|action| match action {
                Action::Resize { index, .. } | Action::Cancel { index } => Some(index),
                Action::CancelEntry => Some(entry),
                Action::Place { .. } | Action::End => None,
            })
            .collect();
        let rows = view.legs.iter().map(|leg| leg.index).chain([entry]);
        for index in rows.filter(|index| !wanted.contains(index)) {
            self.keeping.misfits.remove(&index);
            self.keeping.stiff.remove(&index);
        }
    }

    fn cancel_leg(&mut self, entry: &str, view: &View, index: usize) {
        let Some(leg) = view.legs.iter().find(|leg| leg.index == index) else {
            return;
        };
        if leg.is_native && !leg.is_vacated && !self.is_grace_over(index) {
            return;
        }
        if !leg.is_native && !leg.is_vacated {
            let key = self.store.orders[index].key.clone();
            self.drop_leg(entry, &key, Dropped::Vacated);
        }
        self.send_cancel(index, LEGS_SOURCE, None);
    }

    fn resize_leg(&mut self, entry: &str, view: &View, index: usize, open: i64) -> bool {
        let Some(leg) = view.legs.iter().find(|leg| leg.index == index).copied() else {
            return false;
        };
        // With targets of our own nobody but us can shrink the native stop; that may not wait.
        let is_broker_s_turn = leg.is_native && (view.is_target_native || leg.open < open);
        if is_broker_s_turn && !self.is_grace_over(index) {
            return false;
        }
        if self.keeping.is_stiff(index) {
            let key = self.store.orders[index].key.clone();
            let text = format!(
                "Leg {key} does not take another size; one of the right size takes its place."
            );
            self.notice(NoticeLevel::Warning, "leg_replaced", text);
            self.keeping.stiff.remove(&index);
            self.drop_leg(entry, &key, Dropped::Vacated);
            return true;
        }
        self.send_resize(index, open);
        false
    }

    /// Changes the open lots of a leg or of an order in a group.
    pub(super) fn send_resize(&mut self, index: usize, open: i64) {
        let facts = self.leg_facts(index, open);
        let Ok(token) = admit_leg(&facts) else {
            let at = Mono(self.now().0 + RETRY_NS);
            self.keeping.retry_at(at);
            return;
        };
        let size = self.store.orders[index].filled().0 + open;
        let values = Values {
            size: Some(size),
            ..Values::default()
        };
        self.keeping.resizing.insert(index);
        self.send_admitted(token, index, values, LEGS_SOURCE, None);
    }

    fn leg_facts(&mut self, index: usize, open_wanted: i64) -> LegFacts {
        let order = &self.store.orders[index];
        let (place, side) = ((order.account, order.contract), order.side);
        let (open_now, is_stop) = (order.open().0, order.kind.is_stop());
        let facts = self.leg_place_facts(place, is_stop, Some(index));
        LegFacts {
            side,
            open_now,
            open_wanted,
            ..facts
        }
    }

    /// What the gate needs to know about a place, without one leg.
    fn leg_place_facts(&mut self, place: Place, is_stop: bool, without: Option<usize>) -> LegFacts {
        let has_budget = self.budget.has_room(Lane::Ordinary, self.now().0 as i64);
        let state = self.accounts.get(&place.0);
        LegFacts {
            side: crate::types::Side::Buy,
            open_now: 0,
            open_wanted: 0,
            open_others: self.open_legs(place, is_stop, without),
            net: self.net(place),
            can_trade: state.is_some_and(|state| state.row.can_trade),
            is_disputed: self.is_disputed(place),
            is_flattening: self.is_closing(place),
            is_journal_writing: self.is_journal_writing,
            has_budget,
            is_tag_fresh: true,
        }
    }

    /// Open lots of the legs of one kind on a place; legs that another one replaces do not count.
    fn open_legs(&self, place: Place, is_stop: bool, without: Option<usize>) -> i64 {
        let mut open = 0;
        for entry in self.store.legs.entries() {
            let Some((bracket, index)) = self
                .store
                .legs
                .bracket(&entry)
                .zip(self.store.order(&entry))
            else {
                continue;
            };
            let order = &self.store.orders[index];
            if (order.account, order.contract) != place {
                continue;
            }
            let legs = self.legs_of(bracket, order).into_iter();
            let counted = legs.filter(|leg| {
                (leg.slot == STOP) == is_stop
                    && Some(leg.index) != without
                    && !leg.is_vacated
                    && self.store.orders[leg.index].life != Life::Suspended
            });
            open += counted.map(|leg| leg.open).sum::<i64>();
        }
        open
    }

    fn place_leg(&mut self, entry: &str, entry_index: usize, slot: Slot, lots: i64) {
        let Some(draft) = self.leg_draft(entry, entry_index, slot, lots) else {
            return;
        };
        let place = {
            let order = &self.store.orders[entry_index];
            (order.account, order.contract)
        };
        let facts = LegFacts {
            side: draft.side,
            open_wanted: lots,
            is_tag_fresh: self.is_tag_fresh(&draft.tag),
            ..self.leg_place_facts(place, slot == STOP, None)
        };
        let Ok(token) = admit_leg(&facts) else {
            let at = Mono(self.now().0 + RETRY_NS);
            self.keeping.retry_at(at);
            return;
        };
        let tag = draft.tag.to_string();
        let leg = LegRecord::Leg {
            entry: entry.to_owned(),
            slot,
            tag: tag.clone(),
            at: self.now_ns().0,
        };
        self.record(&Record::Legs(leg));
        let intent = self.intent(&draft);
        let (record, _) = self.record(&Record::Intent(intent));
        self.budget.try_take(Lane::Ordinary, self.now().0 as i64);
        let body = requests::place(&draft, self.contract_of(place.1), None);
        let id = self.send_id();
        let send = Outgoing::risk(token, id, Endpoint::Place, body, self.deadline());
        let send = match record {
            Some(record) => send.after(record),
            None => send,
        };
        self.push_send(send, Pending::Place { tag });
    }

    /// The order of an own leg: its price is the entry's average fill and the signed distance, on the grid.
    fn leg_draft(&self, entry: &str, entry_index: usize, slot: Slot, lots: i64) -> Option<Draft> {
        let bracket = self.store.legs.bracket(entry)?;
        let order = &self.store.orders[entry_index];
        let tag = self.next_leg_tag(entry, bracket)?;
        let distance = match slot {
            STOP => bracket.plan.stop?,
            target => bracket.plan.targets.get(usize::from(target) - 1)?.ticks,
        };
        let average = divide_half_even(i128::from(order.average_1e4?), 10_000);
        let price = Ticks(i64::try_from(average).ok()?.checked_add(distance)?);
        let is_stop = slot == STOP;
        Some(Draft {
            tag,
            account: order.account,
            contract_id: self.contract_of(order.contract).id.clone(),
            side: order.side.opposite(),
            kind: if is_stop {
                OrderKind::Stop
            } else {
                OrderKind::Limit
            },
            size: Lots(lots),
            limit: (!is_stop).then_some(price),
            stop: is_stop.then_some(price),
            trail: None,
            stop_bracket_ticks: None,
            target_bracket_ticks: None,
            is_reduce_only: true,
            source: LEGS_SOURCE.to_owned(),
            pressed: Mono(0),
        })
    }

    /// The tag of the next own leg of an entry: the entry's tag and a number, as long as the entry is of this run. For an
    /// older entry the journal may have lost the last numbers, and a tag that left is never sent again (I-3, I-9): such
    /// a leg is named after this run's entry number zero, which no mint ever gives.
    fn next_leg_tag(&self, entry: &str, bracket: &Bracket) -> Option<ClientTag> {
        let run = &self.run_prefix;
        let text = if entry.starts_with(run) {
            format!("{entry}-{}", bracket.legs.len() + 1)
        } else {
            let stem = format!("{run}0-");
            let number = self.store.legs.count_tags(&stem) + 1;
            format!("{stem}{number}")
        };
        text.parse().ok()
    }

    /// The answer to a change of a leg or of an order in a group.
    pub(in crate::order_execution) fn leg_change_replied(&mut self, index: usize, end: End) {
        let is_resize = self.keeping.resizing.remove(&index);
        let key = &self.store.orders[index].key;
        let is_kept = is_resize
            || self.store.legs.leg_of(key).is_some()
            || self.store.legs.group_of(key).is_some()
            || self.store.legs.bracket(key).is_some()
            || self.store.orders[index].parent.is_some();
        if is_kept && matches!(end, End::Refused | End::NotSent) {
            let wait = Wait {
                since: self.now(),
                is_resize: is_resize && end == End::Refused,
            };
            self.keeping.waits.insert(index, wait);
        }
    }

    /// A stop that was asked for covers the position within 2 s of a fill, or the trader hears it and sees it (I-15).
    fn watch_cover(&mut self, entry: &str, place: Place, is_lost: bool) {
        let Some((bracket, index)) = self.store.legs.bracket(entry).zip(self.store.order(entry))
        else {
            return;
        };
        let (when_bare, stop_released) =
            (bracket.plan.when_bare, bracket.released.get(&STOP).copied());
        let sign = self.store.orders[index].side.sign();
        let Some(view) = self.view(entry, index, (sign * self.net(place)).max(0)) else {
            return;
        };
        // The clock starts with whatever tells of the fill first, the order or the trade; the alarm is about lots held.
        let filled = view.entry_filled - view.closed();
        let lots = view.held() - view.covered();
        if !view.has_stop || filled <= view.covered() {
            self.end_bare(entry);
            return;
        }
        let (now, may_keep) = (self.now(), self.may_keep(place));
        let due = Mono(now.0 + if is_lost { 0 } else { PROTECTED_WITHIN_NS });
        let bare = self.keeping.bare.entry(entry.to_owned()).or_insert(Bare {
            due,
            lots,
            is_told: false,
            is_flattened: false,
            place,
        });
        bare.due = bare.due.min(due);
        bare.lots = lots.max(0);
        if lots <= 0 || bare.due > now {
            return;
        }
        let is_news = !std::mem::replace(&mut bare.is_told, true);
        // Whoever took the stop away by hand knows; only what happened to him is answered by flattening.
        let is_answered = when_bare == WhenBare::Flatten
            && stop_released != Some(Dropped::Released)
            && may_keep
            && !bare.is_flattened;
        bare.is_flattened |= is_answered;
        if is_news {
            self.tell_bare(entry, place, lots);
        }
        if is_answered {
            self.flatten_unasked(place, LEGS_SOURCE);
        }
    }

    fn tell_bare(&mut self, entry: &str, place: Place, lots: i64) {
        self.dirty.positions.insert(place);
        let name = self.contract_of(place.1).name.clone();
        let text = format!(
            "UNPROTECTED POSITION in {name}: {lots} lots of {entry} have no working stop, though one was asked for."
        );
        if !planted(Bug::StopNotMissed) {
            self.notice(NoticeLevel::Alarm, "unprotected", text);
        }
    }

    fn end_bare(&mut self, entry: &str) {
        if let Some(bare) = self.keeping.bare.remove(entry)
            && bare.is_told
        {
            self.dirty.positions.insert(bare.place);
            let name = self.contract_of(bare.place.1).name.clone();
            let text = format!("{name}: no lots of {entry} are without a stop any more.");
            self.notice(NoticeLevel::Info, "protected", text);
        }
    }
}

/// Lots that a stop surely covers: the smaller size while a resize is under way, none while a cancel is.
fn cover_of(order: &Order) -> i64 {
    if order.life != Life::Working {
        return 0;
    }
    let size = match order.change {
        Change::Cancel => 0,
        Change::Modify => order
            .wanted
            .size
            .map_or(order.size.0, |wanted| wanted.min(order.size.0)),
        Change::None if order.doubt.is_some() => 0,
        Change::None => order.size.0,
    };
    (size - order.filled().0).max(0)
}
