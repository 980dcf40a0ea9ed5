//! Rows of the broker's two lists, as far as a sweep needs them, and which orders a group means.

use serde::Deserialize;

use crate::engine::contract::Group;
use crate::order_execution::order::Role;
use crate::types::{Contract, Decimal, OrderKind, Side, Ticks};

/// A living order.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenOrder {
    pub id: i64,
    contract_id: String,
    #[serde(default)]
    side: i64,
    #[serde(default, rename = "type")]
    kind: i64,
    #[serde(default)]
    limit_price: Option<serde_json::Number>,
    #[serde(default)]
    stop_price: Option<serde_json::Number>,
    #[serde(default)]
    parent_order_id: Option<i64>,
    #[serde(default)]
    custom_tag: Option<String>,
}

/// An open position; its size is positive on the wire.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OpenPosition {
    pub(super) contract_id: String,
    pub(super) size: i64,
    #[serde(default, rename = "type")]
    kind: i64,
}

impl OpenPosition {
    /// Lots, negative for a short position.
    pub(super) fn net(&self) -> i64 {
        const SHORT: i64 = 2;
        if self.kind == SHORT {
            -self.size.abs()
        } else {
            self.size
        }
    }
}

/// A group, and the definition of its contract, without which a range of prices means nothing.
#[derive(Clone, Copy, Debug)]
pub struct Meant<'a> {
    pub group: &'a Group,
    pub contract: Option<&'a Contract>,
}

impl<'a> Meant<'a> {
    /// A group without a range of prices.
    pub(super) fn all(group: &'a Group) -> Self {
        Self {
            group,
            contract: None,
        }
    }

    pub(super) fn needs_positions(&self) -> bool {
        self.group.role.is_some()
    }

    pub(super) fn covers(&self, order: &OpenOrder, positions: &[OpenPosition]) -> bool {
        let group = self.group;
        let contract = group.contract_id.as_deref();
        contract.is_none_or(|id| id == order.contract_id)
            && group
                .side
                .is_none_or(|side| i64::from(side.to_wire()) == order.side)
            && group
                .kind
                .is_none_or(|kind| i64::from(kind.to_wire()) == order.kind)
            && group
                .role
                .is_none_or(|role| order.role(positions) == Some(role))
            && self.is_at_price(order)
    }

    fn is_at_price(&self, order: &OpenOrder) -> bool {
        let (lowest, highest) = (self.group.lowest, self.group.highest);
        if lowest.is_none() && highest.is_none() {
            return true;
        }
        let price = self.contract.and_then(|contract| order.price(contract));
        price.is_some_and(|price| {
            lowest.is_none_or(|lowest| price >= lowest)
                && highest.is_none_or(|highest| price <= highest)
        })
    }
}

impl OpenOrder {
    /// The trigger of a stop, else the limit.
    fn price(&self, contract: &Contract) -> Option<Ticks> {
        let number = self.stop_price.as_ref().or(self.limit_price.as_ref())?;
        let price = Decimal::parse(number.to_string().as_bytes())?;
        contract.ticks(price).ok()
    }

    /// What the order does for the position: a leg by its parent, any other by the position that it would reduce. What
    /// the failed engine had meant by it is not known any more.
    fn role(&self, positions: &[OpenPosition]) -> Option<Role> {
        let kind = OrderKind::from_wire(self.kind)?;
        let tag = self.custom_tag.as_deref().unwrap_or_default();
        let is_leg = self.parent_order_id.is_some() || tag.ends_with("-SL") || tag.ends_with("-TP");
        let mut positions = positions.iter();
        let held = positions.find(|position| position.contract_id == self.contract_id);
        let sign = Side::from_wire(self.side)?.sign();
        let is_exit = is_leg || held.is_some_and(|position| sign * position.net() < 0);
        Some(if is_exit {
            Role::of_exit(kind)
        } else {
            Role::Entry
        })
    }
}
