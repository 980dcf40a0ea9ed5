//! What the broker states of its own accord or in a read: orders, trades, positions, accounts, connections.

use crate::engine::contract::{Endpoint, LinkName, LinkState, NoticeLevel};
use crate::engine::views::DoneOutcome;
use crate::order_execution::order::{Change, Fact, Life};
use crate::order_execution::reconcile::UNSEEN_AFTER_NS;
use crate::order_execution::record::{Record, SeenRow, fill_of};
use crate::order_execution::requests::Held;
use crate::order_execution::store::Applied;
use crate::order_execution::trading::{AccountState, Pending, SECOND, Trading};
use crate::planted::{Bug, planted};
use crate::types::{
    AccountId, BrokerAccount, BrokerOrder, BrokerPosition, BrokerTrade, Mono, OrderKind, RequestId,
};
use crate::websocket::parse::UserEvent;

/// How long after a failed look-up a contract's definition is asked for again.
pub(super) const DEFINITION_AFTER_NS: u64 = 5 * SECOND;

impl Trading {
    /// Takes one order of the broker; the order it is about, when it could be applied.
    pub(super) fn see_order(&mut self, row: BrokerOrder, read: bool) -> Option<usize> {
        let Some(contract) = self.store.contract(&row.contract_id).cloned() else {
            self.name_contract(&row.contract_id);
            self.held_rows.push(Held::Order(row, read));
            return None;
        };
        let is_new = self.store.order_by_id(row.id).is_none();
        let mut seen = SeenRow::of(&row, &contract)?;
        seen.is_own_close = is_new
            && row.custom_tag.is_none()
            && row.kind == Some(OrderKind::Market)
            && self.expects_close((AccountId(seen.account), contract.index));
        let (_, applied) = self.record(&Record::Seen { row: seen, read });
        let index = self.store.order_by_id(row.id)?;
        self.unseen.remove(&index);
        // A status that nobody knows shows the order and says nothing about it.
        if Fact::of_status(row.status) != Fact::Unrecognised {
            self.settle_by_presence(index, &applied);
        }
        let order = &self.store.orders[index];
        let account = order.account;
        if is_new && order.reason == "own, record lost" {
            let text = format!(
                "Order {} is ours, but its record is lost; it was adopted.",
                order.key
            );
            self.notice(NoticeLevel::Alarm, "record_lost", text);
        }
        let has_unseen_fills =
            self.store.orders[index].broker_filled > self.store.orders[index].traded;
        if applied.is_changed && has_unseen_fills {
            // A push is usually followed by its trade; after a read nothing will come by itself.
            let wait = if read { 0 } else { UNSEEN_AFTER_NS };
            self.want_full_round(account, Mono(self.now.0 + wait));
        }
        if Fact::of_status(row.status) == Fact::Unrecognised {
            let text = format!(
                "Order {} has status {} that this program does not know.",
                row.id,
                row.status.to_wire()
            );
            self.notice(NoticeLevel::Warning, "unrecognised", text);
        }
        Some(index)
    }

    /// The broker shows an order whose place had no answer: presence settles at once. A doubted change or cancel waits
    /// for a read that began later.
    fn settle_by_presence(&mut self, index: usize, applied: &Applied) {
        let order = &self.store.orders[index];
        let is_proof = !applied.is_doubted
            && order.doubt.is_some()
            && order.change == Change::None
            && matches!(order.life, Life::Suspended | Life::Working);
        if is_proof {
            let (key, at) = (order.key.clone(), self.now_ns.0);
            self.record(&Record::Settled { key, at });
        }
    }

    pub(super) fn see_trade(&mut self, row: BrokerTrade) {
        let Some(contract) = self.store.contract(&row.contract_id).cloned() else {
            self.name_contract(&row.contract_id);
            self.held_rows.push(Held::Trade(row));
            return;
        };
        let Some(fill) = fill_of(&row, &contract) else {
            let text = format!(
                "Trade {} has a price off the grid of {}.",
                row.id, contract.name
            );
            self.notice(NoticeLevel::Alarm, "off_grid", text);
            return;
        };
        self.record(&Record::Trade(fill));
        let place = (row.account_id, contract.index);
        // Only a position that the broker stated can be compared; before the first statement there is nothing to say.
        if self.store.is_compared(row.account_id) {
            self.note_difference(place);
        }
    }

    /// Applies the rows that waited for the definition of their contract.
    pub fn contracts_changed(&mut self) {
        let known: Vec<String> = self
            .store
            .contracts
            .iter()
            .map(|contract| contract.id.clone())
            .collect();
        let had_unknown = !self.unknown_contracts.is_empty();
        self.unknown_contracts.retain(|id| !known.contains(id));
        if had_unknown && self.unknown_contracts.is_empty() {
            let accounts: Vec<AccountId> = self.loops.keys().copied().collect();
            for account in accounts {
                self.want_full_round(account, self.now);
            }
        }
        for held in std::mem::take(&mut self.held_rows) {
            match held {
                Held::Order(row, read) => {
                    self.see_order(row, read);
                }
                Held::Trade(row) => self.see_trade(row),
            }
        }
    }

    /// Notes a contract that a row named and nobody defined, unless the broker has said that it defines none.
    pub(super) fn name_contract(&mut self, id: &str) {
        if !self.undefined.contains(id) {
            self.unknown_contracts.insert(id.to_owned());
        }
    }

    /// Contracts that rows named and nobody defined, as far as it is time to ask.
    pub(crate) fn unknown_contract_ids(&self) -> Vec<String> {
        let is_due = |id: &&String| self.ask_after.get(*id).is_none_or(|at| *at <= self.now);
        self.unknown_contracts
            .iter()
            .filter(is_due)
            .cloned()
            .collect()
    }

    /// A definition could not be read: the rows that wait for it are kept, and it is asked for again.
    pub(crate) fn definition_failed(&mut self, id: &str) {
        let again = Mono(self.now.0 + DEFINITION_AFTER_NS);
        self.ask_after.insert(id.to_owned(), again);
    }

    /// The broker does not know a contract either: rows that name it cannot be shown.
    pub fn contract_missing(&mut self, id: &str) {
        if self.ask_after.get(id).is_some_and(|at| *at > self.now) {
            return;
        }
        self.unknown_contracts.remove(id);
        self.undefined.insert(id.to_owned());
        self.held_rows.retain(|held| match held {
            Held::Order(row, _) => row.contract_id != id,
            Held::Trade(row) => row.contract_id != id,
        });
        let text = format!(
            "Rows name the contract {id}, which the broker does not define; they are left out."
        );
        self.notice(NoticeLevel::Warning, "contract_missing", text);
    }

    pub(super) fn see_account(&mut self, row: BrokerAccount) {
        let id = row.id;
        let state = self.accounts.entry(id).or_insert_with(|| AccountState {
            row: row.clone(),
            is_chosen: false,
            is_reconciled: false,
        });
        let could_trade = state.row.can_trade;
        let balance = row.balance.or(state.row.balance);
        state.row = BrokerAccount { balance, ..row };
        self.dirty.is_account_list = true;
        self.dirty.accounts.insert(id);
        if could_trade && !self.accounts[&id].row.can_trade {
            let text = format!("The broker does not let account {id} trade any more.");
            self.notice(NoticeLevel::Alarm, "account_locked", text);
        }
    }

    /// Handles one message of the user hub.
    pub fn user(&mut self, event: UserEvent) {
        match event {
            UserEvent::Order(row) => {
                self.see_order(row, false);
            }
            UserEvent::Trade(row) => self.see_trade(row),
            UserEvent::Position(row) => self.see_position(&row),
            UserEvent::Account(row) => self.see_account(row),
            UserEvent::Logout => {
                let text =
                    "The broker ended the session (a sign-in elsewhere, expiry or maintenance).";
                self.notice(NoticeLevel::Alarm, "logout", text.into());
            }
        }
    }

    fn see_position(&mut self, row: &BrokerPosition) {
        let Some(contract) = self.store.contract(&row.contract_id).cloned() else {
            self.name_contract(&row.contract_id);
            self.want_full_round(row.account_id, Mono(self.now.0 + SECOND));
            return;
        };
        let average = row
            .average_price
            .and_then(|price| contract.ticks_1e4(price));
        let place = (row.account_id, contract.index);
        if self.store.is_compared(row.account_id) {
            self.set_broker_net(place, row.net.0, average, None);
        }
    }

    /// A login: every account is read again before it may trade.
    pub fn logged_in(&mut self, request: RequestId) {
        self.disarm_all();
        self.undefined.clear();
        self.has_lost_user_hub = false;
        // What was asked before this login proves nothing about the session it begins.
        self.forget_rounds();
        self.management.keep(&[]);
        // The new session's hub follows no account yet; without a choice nothing is traded (decision 9).
        for state in self.accounts.values_mut() {
            state.is_chosen = false;
            state.is_reconciled = false;
        }
        self.dirty.is_account_list = true;
        self.compare_all();
        let body = r#"{"onlyActiveAccounts":true}"#.to_owned();
        let pending = Pending::Accounts {
            request: Some(request),
        };
        if !self.read(Endpoint::AccountSearch, body, pending) {
            self.done(
                request,
                DoneOutcome::Failed,
                "The minute's requests are spent; try again in a minute.",
            );
        }
    }

    /// A connection changed. Losing the user hub disarms; getting it back compares everything.
    pub fn link_changed(&mut self, name: LinkName, state: LinkState) {
        let before = self.links.insert(name, state);
        // Live after live: another connection took over without a gap, and what it may have missed is compared.
        let is_hand_over = before == Some(LinkState::Live) && state == LinkState::Live;
        if name != LinkName::User || (before == Some(state) && !is_hand_over) {
            return;
        }
        if is_hand_over {
            self.compare_all();
            return;
        }
        if state == LinkState::Live && self.has_lost_user_hub && !planted(Bug::ArmedOutlivesHub) {
            // Armed while it was down is armed blindly: a reconnect clears it (decision 19).
            self.disarm_all();
        }
        if before == Some(LinkState::Live) {
            // Also when the hub outlived a login, which no opening shows.
            self.has_lost_user_hub = true;
            if !planted(Bug::ArmedOutlivesHub) {
                self.disarm_all();
            }
            let text = "The order connection is down; no new risk until it is back. Orders are read every 5 s.";
            self.notice(NoticeLevel::Warning, "user_hub", text.into());
        }
        self.compare_all();
    }

    fn compare_all(&mut self) {
        let accounts: Vec<AccountId> = self.loops.keys().copied().collect();
        for account in accounts {
            self.want_full_round(account, self.now);
        }
    }
}
