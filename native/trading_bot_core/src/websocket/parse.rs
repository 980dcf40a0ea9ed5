//! Payloads to events.

use crate::types::{
    Aggressor, BrokerAccount, BrokerOrder, BrokerPosition, BrokerTrade, ContractIndex, Lots, Nanos,
    Ticks,
};

/// What a quote message states; absent fields are unchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuoteDelta {
    pub last: Option<Ticks>,
    pub best_bid: Option<Ticks>,
    pub best_ask: Option<Ticks>,
    pub open: Option<Ticks>,
    pub high: Option<Ticks>,
    pub low: Option<Ticks>,
    /// Change against the previous settlement, in ticks.
    pub change: Option<Ticks>,
    pub volume: Option<Lots>,
    /// Exchange time of the quote.
    pub time: Option<Nanos>,
    /// The broker's own time of sending.
    pub updated: Option<Nanos>,
}

/// One print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TradePrint {
    pub time: Nanos,
    pub price: Ticks,
    pub size: Lots,
    pub aggressor: Aggressor,
}

/// One depth record. `kind` is the wire's number (protocol 4.6); `size` already chose between `volume` and `currentVolume`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepthRecord {
    pub time: Nanos,
    pub kind: u8,
    pub price: Ticks,
    pub size: Lots,
}

/// One market message. Trades and depth borrow the parser's scratch buffers until the next message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarketEvent<'a> {
    Quote(ContractIndex, QuoteDelta),
    Trades(ContractIndex, &'a [TradePrint]),
    Depth(ContractIndex, &'a [DepthRecord]),
}

/// One user message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserEvent {
    Order(BrokerOrder),
    Trade(BrokerTrade),
    Position(BrokerPosition),
    Account(BrokerAccount),
    /// The session was ended by the server (protocol 9.5).
    Logout,
}
