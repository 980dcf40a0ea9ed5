//! Exits without a position: a touch would open one that nobody wants (C17, I-16).
//!
//! Own ones are cancelled after ten seconds, with a word; those of others are reported once and left alone.

use std::collections::BTreeMap;

use crate::engine::views::NoticeLevel;
use crate::order_execution::order::{Life, Order, Role};
use crate::order_execution::record::Record;
use crate::order_execution::trading::Trading;
use crate::types::Mono;

/// Looks in the time that an orphan has.
const LOOKS: u64 = 10;
const SWEEP_SOURCE: &str = "orphan sweep";

/// Exits that have no position now, and since when; nothing here outlives the process.
#[derive(Clone, Debug, Default)]
pub struct Orphans {
    since: BTreeMap<usize, Mono>,
    /// Foreign ones that were told.
    told: Vec<usize>,
    /// All orders are looked through, so not after every input: not before this moment.
    next_look: Mono,
    /// Something may have changed since the last look.
    is_due: bool,
}

impl Trading {
    /// Looks for orphans; called after every input but market data.
    pub(in crate::order_execution) fn sweep_orphans(&mut self) {
        let now = self.now;
        if now < self.orphans.next_look {
            self.orphans.is_due |=
                !self.dirty.orders.is_empty() || !self.dirty.positions.is_empty();
            return;
        }
        self.orphans.is_due = false;
        self.orphans.next_look = Mono(now.0 + self.settings.orphan_after_ns / LOOKS);
        let found = self.living(|order| self.is_orphan(order));
        if found.is_empty() && self.orphans.since.is_empty() {
            return;
        }
        self.orphans.since.retain(|index, _| found.contains(index));
        for index in found {
            let since = *self.orphans.since.entry(index).or_insert(now);
            if now.since(since) >= self.settings.orphan_after_ns {
                self.take_away(index);
            }
        }
    }

    /// When the next orphan's time is over, or when a look is due.
    pub(in crate::order_execution) fn next_orphan_moment(&self) -> Option<Mono> {
        if self.orphans.is_due {
            return Some(self.orphans.next_look);
        }
        let since = self.orphans.since.iter();
        since
            .filter(|(index, _)| {
                !self.orphans.told.contains(index) && !self.cancels.contains_key(index)
            })
            .map(|(_, since)| Mono(since.0 + self.settings.orphan_after_ns))
            .map(|due| due.max(self.orphans.next_look))
            .min()
    }

    /// An exit by its intent that closes nothing. Only where nothing is open: an account that was compared, a position
    /// on which broker and fills agree, no order in doubt, no exit under way.
    fn is_orphan(&self, order: &Order) -> bool {
        let place = (order.account, order.contract);
        let is_exit = matches!(order.role, Role::Stop | Role::Target);
        if !is_exit || order.life != Life::Working || order.doubt.is_some() {
            return false;
        }
        let net = self.net_of(place);
        order.side.sign() * net >= 0
            && net == self.net(place)
            && !self.has_unknown(place)
            && !self.is_flattening(place)
            && self.management.is_here(order.account)
            && self
                .accounts
                .get(&order.account)
                .is_some_and(|state| state.is_reconciled)
    }

    fn take_away(&mut self, index: usize) {
        let order = &self.store.orders[index];
        let (key, role, is_foreign) = (order.key.clone(), order.role.word(), order.is_foreign);
        let (account, contract) = (order.account, self.contract_of(order.contract));
        let (name, id) = (contract.name.clone(), contract.id.clone());
        let is_known = self.orphans.told.contains(&index) || self.cancels.contains_key(&index);
        if is_known {
            return;
        }
        let what = if is_foreign {
            "It was not sent from here and stays: cancel it where it came from."
        } else {
            "It is cancelled."
        };
        let waited = self.settings.orphan_after_ns / 1_000_000_000;
        let text = format!(
            "The {role} {key} in {name} has had no position for {waited} s; a touch would open one. {what}"
        );
        self.record(&Record::Exit {
            account: account.0,
            contract: Some(id),
            step: format!("orphan {key}: {what}"),
            source: SWEEP_SOURCE.into(),
            at: self.now_ns.0,
        });
        self.notice(NoticeLevel::Warning, "orphan", text);
        if is_foreign {
            self.orphans.told.push(index);
        } else {
            self.send_cancel(index, SWEEP_SOURCE, None);
        }
    }
}
