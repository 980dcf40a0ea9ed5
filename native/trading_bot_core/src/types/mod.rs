//! Newtypes and enumerations that every module shares. Conversion happens at the door: text in, integers between, text out.

mod broker;
mod contract;
mod decimal;
mod money;
#[cfg(test)]
mod products;
mod tag;
pub mod thirty_seconds;
mod time;

pub use broker::{
    BrokerAccount, BrokerBar, BrokerContract, BrokerOrder, BrokerPosition, BrokerTrade,
};
#[cfg(test)]
pub(crate) use contract::tests as test_contracts;
pub use contract::{Contract, ContractError, ContractLookup, PriceError};
pub use decimal::Decimal;
pub use money::{Money, divide_half_even};
pub use tag::{ClientTag, TagError};
pub use time::{Mono, Nanos};
pub(crate) use time::{civil_from_days, days_from_civil};

use std::fmt;

/// What no broker means: a number of the wire beyond it is corrupt. Sums of what lies within fit their integers.
pub mod sane {
    /// Lots of one order, fill or position.
    pub const LOTS_MAX: i64 = 1_000_000;
    /// Ticks of one price, to either side of zero.
    pub const TICKS_MAX: i64 = 10_000_000_000;
    /// Value of one tick: a million dollars.
    pub const TICK_VALUE_MAX: i64 = 10_000_000_000;
    /// One amount of money: a trillion dollars.
    pub const MONEY_MAX: i64 = 10_000_000_000_000_000;
}

/// Price as a count of the contract's minimum increment.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Ticks(pub i64);

impl Ticks {
    /// Offset by `n` ticks; `None` on overflow, which callers treat as corrupt input.
    pub fn checked_offset(self, n: i64) -> Option<Self> {
        self.0.checked_add(n).map(Self)
    }
}

/// Number of contracts. Signed where it is a position, positive everywhere else.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Lots(pub i64);

/// Position of a contract in the engine's table; dense, given in order of first sight, never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct ContractIndex(pub u16);

impl ContractIndex {
    pub fn slot(self) -> usize {
        usize::from(self.0)
    }
}

/// The broker's number of an account.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct AccountId(pub i32);

/// The broker's number of an order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct OrderId(pub i64);

/// The broker's number of a fill.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct TradeId(pub i64);

/// Our number of a request made over the seam.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct RequestId(pub u64);

impl RequestId {
    /// What the engine does by itself: nobody waits for its end.
    pub const NOBODY: Self = Self(0);
}

macro_rules! display_as_number {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(out)
            }
        }
    )*};
}
display_as_number!(
    Ticks,
    Lots,
    ContractIndex,
    AccountId,
    OrderId,
    TradeId,
    RequestId
);

/// Side of an order or a fill.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Side {
    Buy,
    Sell,
}

impl Side {
    /// The wire's 0 and 1; anything else is not a side.
    pub const fn from_wire(number: i64) -> Option<Self> {
        match number {
            0 => Some(Self::Buy),
            1 => Some(Self::Sell),
            _ => None,
        }
    }

    pub const fn to_wire(self) -> i32 {
        match self {
            Self::Buy => 0,
            Self::Sell => 1,
        }
    }

    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }

    /// +1 for a buy, −1 for a sell.
    pub const fn sign(self) -> i64 {
        match self {
            Self::Buy => 1,
            Self::Sell => -1,
        }
    }

    pub const fn word(self) -> &'static str {
        match self {
            Self::Buy => "buy",
            Self::Sell => "sell",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Buy, Self::Sell]
            .into_iter()
            .find(|side| side.word() == word)
    }
}

/// Kind of an order; the numbers are the wire's (protocol 4.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum OrderKind {
    Limit,
    Market,
    StopLimit,
    Stop,
    TrailingStop,
    JoinBid,
    JoinAsk,
}

impl OrderKind {
    /// Every kind, in wire order from 1.
    pub const ALL: [Self; 7] = [
        Self::Limit,
        Self::Market,
        Self::StopLimit,
        Self::Stop,
        Self::TrailingStop,
        Self::JoinBid,
        Self::JoinAsk,
    ];

    /// Whether it waits for a price to be passed, as what protects a position does.
    pub const fn is_stop(self) -> bool {
        matches!(self, Self::Stop | Self::StopLimit | Self::TrailingStop)
    }

    pub fn from_wire(number: i64) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| i64::from(kind.to_wire()) == number)
    }

    pub const fn to_wire(self) -> i32 {
        match self {
            Self::Limit => 1,
            Self::Market => 2,
            Self::StopLimit => 3,
            Self::Stop => 4,
            Self::TrailingStop => 5,
            Self::JoinBid => 6,
            Self::JoinAsk => 7,
        }
    }

    pub const fn word(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::Market => "market",
            Self::StopLimit => "stop_limit",
            Self::Stop => "stop",
            Self::TrailingStop => "trailing_stop",
            Self::JoinBid => "join_bid",
            Self::JoinAsk => "join_ask",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// Broker's order status (protocol 4.3). 0 and unlisted numbers mean "ask by REST".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum OrderStatus {
    None,
    Open,
    Filled,
    Cancelled,
    Expired,
    Rejected,
    Pending,
    PendingCancellation,
    Suspended,
    Other(i64),
}

impl OrderStatus {
    pub const fn from_wire(number: i64) -> Self {
        match number {
            0 => Self::None,
            1 => Self::Open,
            2 => Self::Filled,
            3 => Self::Cancelled,
            4 => Self::Expired,
            5 => Self::Rejected,
            6 => Self::Pending,
            7 => Self::PendingCancellation,
            8 => Self::Suspended,
            other => Self::Other(other),
        }
    }

    pub const fn to_wire(self) -> i64 {
        match self {
            Self::None => 0,
            Self::Open => 1,
            Self::Filled => 2,
            Self::Cancelled => 3,
            Self::Expired => 4,
            Self::Rejected => 5,
            Self::Pending => 6,
            Self::PendingCancellation => 7,
            Self::Suspended => 8,
            Self::Other(other) => other,
        }
    }

    pub const fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::Filled | Self::Cancelled | Self::Expired | Self::Rejected
        )
    }
}

/// Who crossed the spread in a print (protocol 4.5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Aggressor {
    Buyer,
    Seller,
    /// Any other number on the wire; counted to neither side.
    Unknown,
}

impl Aggressor {
    pub const fn from_wire(number: i64) -> Self {
        match number {
            0 => Self::Buyer,
            1 => Self::Seller,
            _ => Self::Unknown,
        }
    }

    /// The seam's word: the side that took.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Buyer => "buy",
            Self::Seller => "sell",
            Self::Unknown => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_numbers_come_back_as_they_went() {
        for number in -1..12 {
            assert_eq!(OrderStatus::from_wire(number).to_wire(), number);
            if let Some(kind) = OrderKind::from_wire(number) {
                assert_eq!(i64::from(kind.to_wire()), number);
                assert_eq!(OrderKind::from_word(kind.word()), Some(kind));
            }
        }
        assert_eq!(OrderKind::from_wire(0), None);
        assert_eq!(Side::from_wire(2), None);
    }
}
