//! What the order journal holds: the events from which the state of orders and positions follows.
//!
//! Live code and recovery use the same [`Store::apply`](super::store::Store::apply), so replaying the journal gives the
//! state by construction. Records are JSON lines of short keys: they are read by people after an accident.

use serde::{Deserialize, Serialize};

use crate::order_execution::exits::SequenceRecord;
use crate::order_execution::ledger::Fill;
use crate::order_execution::legs::book::LegRecord;
use crate::order_execution::order::Values;
use crate::order_execution::stop_rules::rule::Plan;
use crate::risk_rules::RiskEvent;
use crate::types::{BrokerOrder, BrokerTrade, Contract, ContractIndex, Money};

/// One order as asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntentRow {
    pub tag: String,
    pub account: i32,
    pub contract: String,
    pub side: i32,
    pub kind: i32,
    pub size: i64,
    pub limit: Option<i64>,
    pub stop: Option<i64>,
    pub trail: Option<i64>,
    pub stop_bracket: Option<i64>,
    pub target_bracket: Option<i64>,
    #[serde(default)]
    pub is_reduce_only: bool,
    pub source: String,
    pub at: i64,
}

/// One order as the broker stated it, with prices on the contract's grid.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenRow {
    pub id: i64,
    pub account: i32,
    pub contract: String,
    pub tag: Option<String>,
    pub status: i64,
    pub kind: Option<i32>,
    pub side: Option<i32>,
    pub size: Option<i64>,
    pub filled: Option<i64>,
    pub limit: Option<i64>,
    pub stop: Option<i64>,
    pub average_1e4: Option<i64>,
    pub trail: Option<i64>,
    pub parent: Option<i64>,
    pub linked: Option<i64>,
    pub created: i64,
    pub updated: i64,
    /// The market order that the broker made of our close request; it carries no tag.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_own_close: bool,
}

impl SeenRow {
    /// Puts a broker row on the grid; `None` when it names no account. A price off the grid is left out.
    pub fn of(row: &BrokerOrder, contract: &Contract) -> Option<Self> {
        let on_grid = |price: Option<crate::types::Decimal>| {
            price
                .and_then(|price| contract.ticks(price).ok())
                .map(|ticks| ticks.0)
        };
        Some(Self {
            id: row.id.0,
            account: row.account_id?.0,
            contract: contract.id.clone(),
            tag: row.custom_tag.clone(),
            status: row.status.to_wire(),
            kind: row.kind.map(crate::types::OrderKind::to_wire),
            side: row.side.map(crate::types::Side::to_wire),
            size: row.size.map(|lots| lots.0),
            filled: row.filled.map(|lots| lots.0),
            limit: on_grid(row.limit_price),
            stop: on_grid(row.stop_price),
            average_1e4: row.filled_price.and_then(|price| contract.ticks_1e4(price)),
            trail: row.trail_distance.map(i64::saturating_abs),
            parent: row.parent_id.map(|id| id.0),
            linked: row.linked_id.map(|id| id.0),
            created: row.created.map_or(0, |at| at.0),
            updated: row.updated.or(row.created).map_or(0, |at| at.0),
            is_own_close: false,
        })
    }
}

/// A fill as the broker stated it; `None` when its price is not on the grid.
pub fn fill_of(row: &BrokerTrade, contract: &Contract) -> Option<Fill> {
    Some(Fill {
        trade_id: row.id.0,
        order_id: row.order_id.map_or(0, |id| id.0),
        account: row.account_id.0,
        contract: contract.id.clone(),
        side: row.side.to_wire(),
        price: contract.ticks(row.price).ok()?.0,
        size: row.size.0,
        fees: (row.fees + row.commissions).0,
        time: row.created.map_or(0, |at| at.0),
        voided: row.is_voided,
    })
}

/// A contract's definition, kept so that an old journal can be read without the broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContractRow {
    pub id: String,
    pub name: String,
    pub description: String,
    pub symbol_id: String,
    pub root: String,
    pub tick_units: i64,
    pub decimals: u8,
    pub tick_value: i64,
    pub is_active: bool,
}

impl ContractRow {
    /// The definition without its index.
    pub fn of(contract: &Contract) -> Self {
        Self {
            id: contract.id.clone(),
            name: contract.name.clone(),
            description: contract.description.clone(),
            symbol_id: contract.symbol_id.clone(),
            root: contract.root.clone(),
            tick_units: contract.tick_units,
            decimals: contract.decimals,
            tick_value: contract.tick_value.0,
            is_active: contract.is_active,
        }
    }

    /// The definition at an index of the table.
    pub fn contract(&self, index: ContractIndex) -> Contract {
        Contract {
            index,
            id: self.id.clone(),
            name: self.name.clone(),
            description: self.description.clone(),
            symbol_id: self.symbol_id.clone(),
            root: self.root.clone(),
            tick_units: self.tick_units,
            decimals: self.decimals,
            tick_value: Money(self.tick_value),
            is_active: self.is_active,
        }
    }
}

/// How a request ended, as journaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    Accepted,
    NotSent,
    Refused,
    Unknown,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "t", rename_all = "snake_case")]
pub enum Record {
    /// A start of the program; its epoch is above every earlier one.
    Start {
        epoch: u64,
        at: i64,
    },
    Contract(ContractRow),
    /// An admitted order; written before its request leaves.
    Intent(IntentRow),
    /// The gate said no; nothing was sent.
    Denied {
        intent: IntentRow,
        reasons: Vec<String>,
    },
    PlaceEnd {
        tag: String,
        end: End,
        order_id: Option<i64>,
        text: String,
        at: i64,
    },
    /// A modification or (without values) a cancel was asked for.
    ChangeAsked {
        key: String,
        is_cancel: bool,
        #[serde(default)]
        values: Values,
        source: String,
        at: i64,
    },
    ChangeEnd {
        key: String,
        is_cancel: bool,
        end: End,
        text: String,
        at: i64,
    },
    /// Why an order is in doubt from now on.
    Doubt {
        key: String,
        text: String,
        at: i64,
    },
    /// A read that began after the doubt showed the order: the doubt is over.
    Settled {
        key: String,
        at: i64,
    },
    /// The proof of absence: when the two reads began.
    Absent {
        tag: String,
        reads: [i64; 2],
        at: i64,
    },
    /// A row of the broker that changed something. `read` tells an answer from a hub message.
    Seen {
        row: SeenRow,
        read: bool,
    },
    Trade(Fill),
    /// A position that existed before the first fill known here.
    Opening {
        account: i32,
        contract: String,
        net: i64,
        average_1e4: i64,
        at: i64,
    },
    /// An account's first comparison with the broker is done: later differences are disputes, not openings.
    Compared {
        account: i32,
        at: i64,
    },
    /// Something about an account's rules.
    Risk {
        account: i32,
        event: RiskEvent,
    },
    /// Brackets, their legs, groups and bracket modes.
    Legs(LegRecord),
    /// A close, reverse, flatten or group cancel: its begin, what it sends, its end.
    Sequence(SequenceRecord),
    /// Something done about exits, for the record.
    Exit {
        account: i32,
        contract: Option<String>,
        step: String,
        source: String,
        at: i64,
    },
    /// A rule holds a stop order from now on; it replaces an earlier one.
    RuleSet {
        key: String,
        plan: Plan,
        source: String,
        at: i64,
    },
    /// The best price that a rule has seen; without a price there is no position to follow.
    RuleMark {
        key: String,
        price: Option<i64>,
        at: i64,
    },
    /// A rule asked for a level, or the trader put the stop elsewhere himself.
    RuleMoved {
        key: String,
        level: i64,
        #[serde(default)]
        is_by_hand: bool,
        text: String,
        at: i64,
    },
    RuleEnded {
        key: String,
        text: String,
        at: i64,
    },
}

impl Record {
    /// The bytes of the journal.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Room for all but the longest, which would otherwise be copied twice as they grow.
        let mut bytes = Vec::with_capacity(512);
        match serde_json::to_writer(&mut bytes, self) {
            Ok(()) => bytes,
            Err(_) => Vec::new(),
        }
    }

    /// Reads the bytes of the journal.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}
