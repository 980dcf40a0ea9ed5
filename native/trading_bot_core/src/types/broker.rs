//! Rows as the broker states them, the same for hub events and REST answers. Prices stay exact decimals until a contract is known.

use super::{
    AccountId, ClientTag, Decimal, Lots, Money, Nanos, OrderId, OrderKind, OrderStatus, Side,
    TradeId,
};

/// One order. Everything but the id may be missing from a message; missing means "not stated", never zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerOrder {
    pub id: OrderId,
    pub account_id: Option<AccountId>,
    /// May be the short form (`F.US.ENQ`) in old rows.
    pub contract_id: String,
    pub symbol_id: String,
    pub created: Option<Nanos>,
    pub updated: Option<Nanos>,
    pub status: OrderStatus,
    pub kind: Option<OrderKind>,
    pub side: Option<Side>,
    pub size: Option<Lots>,
    pub filled: Option<Lots>,
    pub limit_price: Option<Decimal>,
    pub stop_price: Option<Decimal>,
    /// Average price of the fills; not on the grid.
    pub filled_price: Option<Decimal>,
    pub custom_tag: Option<String>,
    /// Ticks, signed.
    pub trail_distance: Option<i64>,
    /// A distance in price when read, although it is a level when written.
    pub trail_price: Option<Decimal>,
    pub parent_id: Option<OrderId>,
    pub linked_id: Option<OrderId>,
    /// The hub's action number around the row; `None` from REST and from bare events.
    pub action: Option<i64>,
}

impl BrokerOrder {
    /// The tag when it has the shape of ours. Bracket legs carry the parent's tag with `-SL` or `-TP`, and answer `None`.
    pub fn client_tag(&self) -> Option<ClientTag> {
        self.custom_tag.as_deref()?.parse().ok()
    }

    /// The parent's tag of a bracket leg.
    pub fn parent_tag(&self) -> Option<ClientTag> {
        let text = self.custom_tag.as_deref()?;
        let parent = text
            .strip_suffix("-SL")
            .or_else(|| text.strip_suffix("-TP"))?;
        parent.parse().ok()
    }
}

/// One fill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerTrade {
    pub id: TradeId,
    pub account_id: AccountId,
    pub contract_id: String,
    pub created: Option<Nanos>,
    pub price: Decimal,
    /// Gross; `None` when the fill opened or increased.
    pub profit_and_loss: Option<Money>,
    pub fees: Money,
    pub commissions: Money,
    pub side: Side,
    pub size: Lots,
    pub is_voided: bool,
    pub order_id: Option<OrderId>,
}

/// One position row. The broker's `type` is folded into the sign; a closed position is zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerPosition {
    pub id: i64,
    pub account_id: AccountId,
    pub contract_id: String,
    pub created: Option<Nanos>,
    pub net: Lots,
    pub average_price: Option<Decimal>,
}

/// One account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerAccount {
    pub id: AccountId,
    pub name: String,
    pub balance: Option<Money>,
    pub can_trade: bool,
    pub is_visible: bool,
    pub is_simulated: bool,
}

/// One contract row, before its grid is checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrokerContract {
    pub id: String,
    pub name: String,
    pub description: String,
    pub tick_size: Decimal,
    pub tick_value: Decimal,
    pub is_active: bool,
    pub symbol_id: String,
}

/// One bar of history; `time` is its opening time as stated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokerBar {
    pub time: Nanos,
    pub open: Decimal,
    pub high: Decimal,
    pub low: Decimal,
    pub close: Decimal,
    pub volume: Lots,
}
