//! Orders and changes of orders on their way out: facts for the gate, its verdict, the record, the request.

use crate::engine::contract::{Draft, Effect, Endpoint, Environment, Lane, Outgoing};
use crate::engine::rows::kind_of;
use crate::engine::views::{DeniedRow, DoneOutcome, Event};
use crate::order_execution::gate::{
    AccountFacts, Admitted, ChangeFacts, Exposure, Facts, REPEATED, Reason, admit_change,
};
use crate::order_execution::legs::BracketPlan;
use crate::order_execution::order::{Change, Life, Order, Values};
use crate::order_execution::record::{IntentRow, Record};
use crate::order_execution::requests;
use crate::order_execution::store::Place;
use crate::order_execution::trading::{Pending, Trading};
use crate::planted::{Bug, planted};
use crate::types::{AccountId, ClientTag, Lots, OrderKind, RequestId, Side, Ticks};

impl Trading {
    /// Judges a draft and, when admitted, records it and sends it once.
    pub(super) fn submit(&mut self, draft: Draft) {
        let plan = BracketPlan::native_of(&draft);
        self.submit_planned(draft, plan);
    }

    pub(super) fn submit_planned(&mut self, draft: Draft, plan: Option<BracketPlan>) {
        let verdict = self.judge_order(&draft, plan.as_ref());
        self.send_planned(draft, plan, verdict);
    }

    /// Facts about the order that turns a position: its exits are being cancelled, and the task that stands in the way of
    /// entries is its own.
    pub(super) fn turn_facts<'a>(
        &'a mut self,
        draft: &'a Draft,
        plan: Option<&BracketPlan>,
    ) -> Facts<'a> {
        let mode = self.store.legs.mode(draft.account.0);
        let against = plan.map_or_else(Vec::new, |plan| plan.reasons(draft, mode));
        let contract = self.store.contract(&draft.contract_id);
        let place = contract.map(|contract| (draft.account, contract.index));
        let resting = place.map_or(0, |place| self.exposure(place, None).open_on(draft.side));
        // The rules count what rests now beside the order; it will be gone, so it is taken off the order instead.
        let more = (draft.size.0 - resting).max(0);
        let rules = place.map_or_else(Vec::new, |place| {
            self.rule_reasons(place, draft.side, more, None)
        });
        let legs = plan.map_or(0, BracketPlan::leg_count);
        let counted = |is_meant: &dyn Fn(Place) -> bool| {
            self.working_orders(|other| Some(other) != place && is_meant(other)) + legs
        };
        let (on_account, on_login) = (
            counted(&|other| other.0 == draft.account),
            counted(&|_| true),
        );
        let mut facts = self.facts(draft);
        // What rests on the place is gone by then.
        facts.working_on_account = on_account;
        facts.working_on_login = on_login;
        facts.is_flattening = false;
        facts.rule_reasons = rules.into_iter().chain(against).collect();
        facts.exposure = Exposure {
            net: facts.exposure.net,
            ..Exposure::default()
        };
        facts
    }

    /// Sends an admitted draft and its plan once, records first; records a denied one and tells the reasons.
    pub(super) fn send_planned(
        &mut self,
        draft: Draft,
        plan: Option<BracketPlan>,
        verdict: Result<Admitted, Vec<Reason>>,
    ) {
        let contract = self.store.contract(&draft.contract_id).cloned();
        let intent = self.intent(&draft);
        let (token, contract) = match (verdict, contract) {
            (Ok(token), Some(contract)) => (token, contract),
            (Ok(_), None) => return,
            (Err(reasons), _) => {
                let texts = reasons.iter().map(|(_, text)| text.clone()).collect();
                self.record(&Record::Denied {
                    intent,
                    reasons: texts,
                });
                let row = DeniedRow {
                    tag: draft.tag.to_string().into(),
                    account_id: i64::from(draft.account.0),
                    contract_id: draft.contract_id.as_str().into(),
                    reasons,
                };
                let is_repeated = row.reasons.iter().any(|(code, _)| *code == REPEATED);
                self.effects.push(Effect::Event(Event::Denied(row)));
                if is_repeated {
                    self.stop_source(draft.account, draft.source);
                }
                return;
            }
        };
        self.budget.try_take(Lane::Ordinary, self.now.0 as i64);
        if let Some(plan) = plan {
            self.record_plan(&draft, plan);
        }
        let (index, _) = self.record(&Record::Intent(intent));
        let last = self
            .markets
            .get(&contract.index)
            .and_then(|market| market.last);
        let body = requests::place(&draft, &contract, last);
        let id = self.send_id();
        let send = Outgoing::risk(token, id, Endpoint::Place, body, self.deadline())
            .pressed_at(draft.pressed);
        let send = match index {
            Some(_) if planted(Bug::SendBeforeJournal) => send,
            Some(index) if planted(Bug::WrongRecordNamed) => send.after(index - 1),
            Some(index) => send.after(index),
            None => send,
        };
        self.presses.note(&draft, self.now);
        let tag = draft.tag.to_string();
        if !self.settings.is_budget_lifted {
            self.pace.note(&draft, self.now);
        }
        #[cfg(feature = "planted")]
        if planted(Bug::PlaceTwice) && draft.stop_bracket_ticks.is_none() {
            let twin = send.twin(self.send_id());
            self.push_send(twin, Pending::Place { tag: tag.clone() });
        }
        self.push_send(send, Pending::Place { tag });
    }

    pub(super) fn intent(&self, draft: &Draft) -> IntentRow {
        IntentRow {
            tag: draft.tag.to_string(),
            account: draft.account.0,
            contract: draft.contract_id.clone(),
            side: draft.side.to_wire(),
            kind: draft.kind.to_wire(),
            size: draft.size.0,
            limit: draft.limit.map(|ticks| ticks.0),
            stop: draft.stop.map(|ticks| ticks.0),
            trail: draft.trail.map(|ticks| ticks.0),
            stop_bracket: draft.stop_bracket_ticks,
            target_bracket: draft.target_bracket_ticks,
            is_reduce_only: draft.is_reduce_only,
            source: draft.source.clone(),
            at: self.now_ns.0,
        }
    }

    pub(super) fn facts<'a>(&'a mut self, draft: &'a Draft) -> Facts<'a> {
        let limits = self.limits.get(&draft.account).copied().unwrap_or_default();
        let window_ms = limits.duplicate_window_ms;
        let is_duplicate =
            !planted(Bug::DoubleClick) && self.presses.has_twin(draft, window_ms, self.now);
        let has_budget = self.budget.has_room(Lane::Ordinary, self.now.0 as i64);
        let contract = self.store.contract(&draft.contract_id).map(AsRef::as_ref);
        let place = contract.map(|contract| (draft.account, contract.index));
        let account = self.accounts.get(&draft.account).map(|state| AccountFacts {
            is_chosen: state.is_chosen || planted(Bug::AnyAccount),
            is_reconciled: state.is_reconciled || planted(Bug::UncomparedTrades),
            can_trade: state.row.can_trade,
            is_recognised: self.environment != Some(Environment::Live)
                || is_name_recognised(&state.row.name),
            is_armed: self.armed.contains(&(draft.source.clone(), draft.account)),
        });
        let market = contract.and_then(|contract| self.markets.get(&contract.index));
        Facts {
            draft,
            contract,
            limits,
            account,
            elsewhere: self.elsewhere(draft.account),
            market: market.copied().unwrap_or_default(),
            exposure: place
                .map(|place| self.exposure(place, None))
                .unwrap_or_default(),
            open_stops: place.map_or(0, |place| self.open_stops(place, draft.side)),
            working_on_account: self.working_orders(|place| place.0 == draft.account),
            working_on_login: self.working_orders(|_| true),
            has_unknown: !planted(Bug::UnknownForgotten)
                && place.is_some_and(|place| self.has_unknown(place)),
            is_disputed: place.is_some_and(|place| self.is_disputed(place)),
            is_duplicate,
            is_flattening: place.is_some_and(|place| self.is_flattening(place)),
            is_halted: self.halted.is_some() && !planted(Bug::HaltForgotten),
            is_user_hub_live: self.is_user_hub_live(),
            is_journal_writing: self.is_journal_writing,
            has_budget,
            paced: (!self.settings.is_budget_lifted)
                .then(|| self.pace.count(draft, limits.repeat_window_ms, self.now)),
            is_throttled: self.is_throttled(draft.account, &draft.source),
            rule_reasons: place.map_or_else(Vec::new, |place| {
                self.rule_reasons(place, draft.side, draft.size.0, None)
            }),
            is_tag_fresh: self.is_tag_fresh(&draft.tag),
        }
    }

    /// Why this engine leaves an account to another one.
    fn elsewhere(&self, account: AccountId) -> Option<String> {
        let objection = self.management.objection(account);
        // An account that is not of this login has a reason of its own.
        objection.filter(|_| {
            self.accounts
                .get(&account)
                .is_some_and(|state| state.is_chosen)
        })
    }

    /// Minted in this run, and not used: of an earlier run's tags the journal may have lost the last.
    pub(super) fn is_tag_fresh(&self, tag: &ClientTag) -> bool {
        planted(Bug::AnyTag)
            || (tag.as_str().starts_with(&self.run_prefix)
                && self.store.order(tag.as_str()).is_none())
    }

    /// Orders that a flatten may have to cancel: those that live, and legs that an admitted entry may still bring.
    pub(super) fn working_orders(&self, matches: impl Fn(Place) -> bool) -> usize {
        let is_meant = |order: &Order| matches((order.account, order.contract));
        let rows = self.store.open_rows();
        let live = rows.filter(|(_, order)| order.is_live() && is_meant(order));
        live.count() + self.planned_legs(is_meant)
    }

    pub(super) fn has_unknown(&self, place: Place) -> bool {
        self.doubts.keys().any(|index| {
            let order = &self.store.orders[*index];
            (order.account, order.contract) == place
        })
    }

    /// Orders whose fate is not known.
    pub fn unknown_orders(&self) -> usize {
        let rows = self.store.open_rows();
        rows.filter(|(_, order)| order.doubt.is_some()).count()
    }

    /// Net and open lots at worst, without one order.
    pub(super) fn exposure(&self, place: Place, without: Option<usize>) -> Exposure {
        let net = self
            .store
            .ledgers
            .get(&place)
            .map_or(0, super::ledger::Ledger::net);
        let mut exposure = Exposure {
            net,
            ..Exposure::default()
        };
        for (index, order) in self.store.open_rows() {
            if (order.account, order.contract) != place || Some(index) == without {
                continue;
            }
            if planted(Bug::UnknownLeavesExposure) && order.doubt.is_some() {
                continue;
            }
            if planted(Bug::SellsForgotten) && order.side.sign() < 0 {
                continue;
            }
            exposure.add(order.side, order.may_still_fill());
        }
        exposure
    }

    /// Unfilled lots of the stops of one side that work or may work; those of an entry without a fill wait with it.
    fn open_stops(&self, place: Place, side: Side) -> i64 {
        let rows = self.store.open_rows().map(|(_, order)| order);
        let stops = rows.filter(|order| {
            (order.account, order.contract) == place
                && order.side == side
                && order.kind.is_stop()
                && order.life != Life::Suspended
        });
        stops.map(Order::may_still_fill).sum()
    }

    pub(super) fn modify(&mut self, request: RequestId, key: &str, values: Values, source: &str) {
        let Some(index) = self.store.order(key) else {
            self.done(
                request,
                DoneOutcome::Failed,
                format!("Order {key} is not known."),
            );
            return;
        };
        if self.keep_change(index, request, values, source) {
            return;
        }
        match self.send_change(index, values, source, Some(request)) {
            Ok(()) => self.note_hand(index, values.stop, source),
            Err(reasons) => {
                let texts: Vec<String> = reasons.into_iter().map(|(_, text)| text).collect();
                self.done(request, DoneOutcome::Denied, texts.join(" "));
            }
        }
    }

    /// Judges a modification and, when admitted, records it and sends it once.
    pub(super) fn send_change(
        &mut self,
        index: usize,
        values: Values,
        source: &str,
        request: Option<RequestId>,
    ) -> Result<(), Vec<Reason>> {
        let token = admit_change(&self.change_facts(index, values, source))?;
        self.send_admitted(token, index, values, source, request);
        Ok(())
    }

    /// Records an admitted change and sends it.
    pub(super) fn send_admitted(
        &mut self,
        token: Admitted,
        index: usize,
        values: Values,
        source: &str,
        request: Option<RequestId>,
    ) {
        let key = self.store.orders[index].key.clone();
        self.budget.try_take(Lane::Ordinary, self.now.0 as i64);
        let (record, _) = self.record(&Record::ChangeAsked {
            key: key.clone(),
            is_cancel: false,
            values,
            source: source.to_owned(),
            at: self.now_ns.0,
        });
        let order = &self.store.orders[index];
        let contract = self.contract_of(order.contract);
        let last = self
            .markets
            .get(&order.contract)
            .and_then(|market| market.last);
        let body = requests::modify(order, values, contract, last);
        let id = self.send_id();
        let send = Outgoing::risk(token, id, Endpoint::Modify, body, self.deadline());
        let send = match record {
            Some(record) => send.after(record),
            None => send,
        };
        self.push_send(
            send,
            Pending::Change {
                key,
                is_cancel: false,
                request,
            },
        );
    }

    fn change_facts(&mut self, index: usize, values: Values, source: &str) -> ChangeFacts {
        let has_budget = self.budget.has_room(Lane::Ordinary, self.now.0 as i64);
        let order = &self.store.orders[index];
        let place = (order.account, order.contract);
        let size = values.size.map_or(order.size, Lots);
        let filled = order.filled();
        ChangeFacts {
            limits: self.limits.get(&order.account).copied().unwrap_or_default(),
            elsewhere: self.elsewhere(order.account),
            market: self
                .markets
                .get(&order.contract)
                .copied()
                .unwrap_or_default(),
            exposure_without: self.exposure(place, Some(index)),
            side: order.side,
            open_now: order.open(),
            open_wanted: Lots((size.0 - filled.0).max(0)),
            size_wanted: size,
            filled,
            prices: [values.limit.map(Ticks), values.stop.map(Ticks)],
            is_changeable: order.order_id.is_some()
                && order.doubt.is_none()
                && order.change == Change::None
                && matches!(order.life, Life::Working | Life::Suspended)
                && order.kind != OrderKind::Market,
            is_armed: self.armed.contains(&(source.to_owned(), order.account)),
            is_halted: self.halted.is_some(),
            has_unknown: self.has_unknown(place),
            is_disputed: self.is_disputed(place),
            is_flattening: self.is_flattening(place),
            is_user_hub_live: self.is_user_hub_live(),
            is_journal_writing: self.is_journal_writing,
            has_budget,
            rule_reasons: self.rule_reasons(
                place,
                order.side,
                (size.0 - filled.0).max(0),
                Some(index),
            ),
        }
    }
}

/// Whether an account's name says what kind it is; an unknown kind counts as live money and is blocked (decision 9).
pub(crate) fn is_name_recognised(name: &str) -> bool {
    kind_of(name) != "LIVE"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::contract::{Command, Input};
    use crate::order_execution::gate::{Limits, WORKING_ORDERS_PER_LOGIN_MAX};
    use crate::order_execution::legs::{Holder, Target};
    use crate::rig::{ACCOUNTS, Plan, SECOND, World};
    use crate::types::Side;
    use proptest::prelude::*;

    const WIDE: Limits = Limits {
        max_order_lots: 100,
        max_position_lots: 1_001,
        max_price_away_ticks: 400,
        max_working_orders: 60,
        duplicate_window_ms: 0,
        max_notional: i64::MAX,
        max_orders_per_second: 100,
        max_orders_per_minute: 1_000,
        max_repeats: 0,
        repeat_window_ms: 0,
    };

    /// One account, long of more lots than orders may work, and nothing that fills.
    fn long() -> World {
        let plan = Plan {
            max_position_lots: WIDE.max_position_lots,
            ..Plan::quiet(1)
        };
        let mut world = World::new(plan);
        world.broker.nets.insert((ACCOUNTS[0], 0), 90);
        world.run_for(5 * SECOND);
        world.broker.is_still = true;
        for account in ACCOUNTS {
            world.engine.trading.limits.insert(account, WIDE);
        }
        world
    }

    /// 0: a plain entry, 1: an exit that only reduces, else an entry with a stop and targets of this computer.
    fn submit(world: &mut World, kind: usize, number: i64) {
        let account = ACCOUNTS[if kind == 1 { 0 } else { number as usize % 2 }];
        let (side, away) = if kind == 1 {
            (Side::Sell, 1)
        } else {
            (Side::Buy, -1)
        };
        let size = Lots(kind.max(1) as i64);
        let mut draft = world.draft(account, 0, side, size);
        draft.kind = OrderKind::Limit;
        draft.limit = Some(Ticks(world.broker.lasts[0] + away * (5 + number)));
        draft.is_reduce_only = kind == 1;
        if kind < 2 {
            world.submit(draft);
            return;
        }
        let target = |number: usize| Target {
            ticks: 20 + number as i64,
            lots: 1,
        };
        let plan = BracketPlan {
            rule: None,
            stop: Some(-40),
            targets: (1..kind).map(target).collect(),
            holder: Holder::Computer,
            ..BracketPlan::default()
        };
        world.note_bracket(&draft);
        world.step(Input::Command(Command::SubmitBracket { draft, plan }));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        /// Decision 18: a flatten has 80 requests, and every order may need one of them.
        #[test]
        fn no_sequence_of_orders_leaves_more_to_cancel_than_a_flatten_can(kinds in prop::collection::vec(0_usize..6, 30..75)) {
            let mut world = long();
            for (kind, number) in kinds.into_iter().zip(0..) {
                submit(&mut world, kind, number);
                world.run_for(SECOND);
                let working = world.engine.trading.working_orders(|_| true);
                prop_assert!(working <= WORKING_ORDERS_PER_LOGIN_MAX, "{working}");
                prop_assert!(world.broken.is_none(), "{:?}", world.broken);
            }
        }
    }

    #[test]
    fn exits_that_only_reduce_end_at_the_cap_too() {
        let mut world = long();
        for number in 0..70 {
            submit(&mut world, 1, number);
            world.run_for(SECOND);
        }
        assert_eq!(
            world.engine.trading.working_orders(|_| true),
            WORKING_ORDERS_PER_LOGIN_MAX
        );
    }
}
