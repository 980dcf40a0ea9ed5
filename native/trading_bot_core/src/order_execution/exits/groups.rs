//! Which working orders a group cancel means.

use super::{Goal, Task};
use crate::engine::contract::Group;
use crate::engine::views::DoneOutcome;
use crate::order_execution::order::{Order, Role};
use crate::order_execution::trading::Trading;
use crate::types::{AccountId, RequestId};

impl Trading {
    pub(in crate::order_execution) fn start_cancel_group(
        &mut self,
        request: RequestId,
        account: AccountId,
        group: &Group,
        source: String,
    ) {
        let has_prices = group.lowest.is_some() || group.highest.is_some();
        if has_prices && group.contract_id.is_none() {
            let text = "A price means something in one contract only; name it.";
            self.done(request, DoneOutcome::Denied, text);
            return;
        }
        let orders = self.living_of_group(account, group);
        let is_read = self.is_account_read(account);
        if orders.is_empty() && is_read {
            self.done(request, DoneOutcome::Done, "There is nothing to cancel.");
            return;
        }
        let must_read = orders.is_empty();
        let contract = group.contract_id.as_deref();
        let contract = contract.and_then(|id| self.store.contract(id));
        let contract = contract.map(|contract| contract.index);
        let mut task = Task::new(Goal::CancelGroup, account, contract, source);
        task.is_unread = !is_read;
        task.requests.push(request);
        task.orders = orders;
        task.group = group.clone();
        let number = self.start_task(task);
        if must_read && let Some(mut task) = self.tasks.remove(&number) {
            // Nothing is known of this account; only the broker can say that there is nothing.
            self.begin_read(&mut task, 0);
            self.tasks.insert(number, task);
        }
    }

    /// Whether the account was compared with the broker in this session: before that, what is not known here may exist.
    pub(super) fn is_account_read(&self, account: AccountId) -> bool {
        let state = self.accounts.get(&account);
        state.is_some_and(|state| state.is_reconciled)
    }

    pub(super) fn living_of_group(&self, account: AccountId, group: &Group) -> Vec<usize> {
        let contract = match group
            .contract_id
            .as_deref()
            .map(|id| self.store.contract(id))
        {
            // One that no row has named yet has no orders, and must not be taken for "any contract".
            Some(None) => return Vec::new(),
            Some(Some(contract)) => Some(contract.index),
            None => None,
        };
        self.living(|order| {
            order.account == account
                && contract.is_none_or(|contract| order.contract == contract)
                && group.side.is_none_or(|side| order.side == side)
                && group.kind.is_none_or(|kind| order.kind == kind)
                && group.role.is_none_or(|role| self.part_of(order) == role)
                && is_at_price(order, group)
        })
    }

    /// What an order does for the position: an own exit by its intent, any other by the position that it would reduce.
    fn part_of(&self, order: &Order) -> Role {
        let net = self.net_of((order.account, order.contract));
        if order.role != Role::Entry || order.side.sign() * net >= 0 {
            return order.role;
        }
        Role::of_exit(order.kind)
    }
}

/// Whether an order's price (the trigger of a stop, else the limit) lies in the group's range, ends included.
fn is_at_price(order: &Order, group: &Group) -> bool {
    if group.lowest.is_none() && group.highest.is_none() {
        return true;
    }
    order.stop.or(order.limit).is_some_and(|price| {
        group.lowest.is_none_or(|lowest| price >= lowest)
            && group.highest.is_none_or(|highest| price <= highest)
    })
}
