//! Rows that the exchange keeps: orders, fills, positions, accounts, and what it answers.

use serde::{Deserialize, Serialize};

use crate::feed::Side;

/// The wire's `OrderStatus`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Status {
    Open = 1,
    Filled = 2,
    Cancelled = 3,
    Rejected = 5,
    Pending = 6,
    Suspended = 8,
}

impl Status {
    pub fn is_done(self) -> bool {
        matches!(self, Status::Filled | Status::Cancelled | Status::Rejected)
    }
}

/// The wire's `OrderType`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Kind {
    Limit = 1,
    Market = 2,
    StopLimit = 3,
    Stop = 4,
    TrailingStop = 5,
    JoinBid = 6,
    JoinAsk = 7,
}

impl Kind {
    pub fn from_wire(number: i64) -> Option<Self> {
        Some(match number {
            1 => Kind::Limit,
            2 => Kind::Market,
            3 => Kind::StopLimit,
            4 => Kind::Stop,
            5 => Kind::TrailingStop,
            6 => Kind::JoinBid,
            7 => Kind::JoinAsk,
            _ => return None,
        })
    }

    /// The enum's name as the vendor's messages print it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Limit => "Limit",
            Kind::Market => "Market",
            Kind::StopLimit => "StopLimit",
            Kind::Stop => "Stop",
            Kind::TrailingStop => "TrailingStop",
            Kind::JoinBid => "JoinBid",
            Kind::JoinAsk => "JoinAsk",
        }
    }
}

/// An order. Prices are ticks; `trail` is a distance in ticks; `offset` is a bracket leg's signed distance.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Order {
    pub id: i64,
    pub account: i32,
    pub contract: usize,
    pub contract_id: String,
    pub created: i64,
    pub updated: i64,
    pub status: Status,
    pub kind: Kind,
    pub side: Side,
    pub size: i64,
    pub limit: Option<i64>,
    pub stop: Option<i64>,
    pub trail: Option<i64>,
    pub offset: Option<i64>,
    pub filled: i64,
    /// Sum of ticks x lots over the fills.
    pub fill_ticks_lots: i64,
    pub tag: Option<String>,
    pub parent: Option<i64>,
    pub linked: Option<i64>,
    /// A stop whose price was reached: what is left executes at the market.
    pub triggered: bool,
    /// Market lots in front of a resting order. Not kept on disk: after a restart it joins at the end.
    #[serde(skip)]
    pub ahead: i64,
}

impl Order {
    pub fn remaining(&self) -> i64 {
        self.size - self.filled
    }

    pub fn is_stop(&self) -> bool {
        matches!(self.kind, Kind::Stop | Kind::TrailingStop | Kind::StopLimit)
    }
}

/// One fill.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Trade {
    pub id: i64,
    pub account: i32,
    pub contract: usize,
    pub contract_id: String,
    pub at: i64,
    pub ticks: i64,
    /// Gross, 1/10,000 dollar; `None` for a fill that opened or added.
    pub pnl_1e4: Option<i64>,
    pub fees_1e4: i64,
    pub commissions_1e4: i64,
    pub side: Side,
    pub lots: i64,
    pub order: i64,
}

/// Net position of one account in one contract.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Position {
    pub id: i32,
    pub account: i32,
    pub contract: usize,
    pub contract_id: String,
    pub created: i64,
    /// Signed lots; 0 in the event that announces the end.
    pub lots: i64,
    /// Sum of ticks x lots x tick value of what is open, 1/10,000 dollar, of unsigned lots.
    pub cost_1e4: i64,
    /// Average price in 1e-9 of a point; stays at its last value when the position ends.
    pub average_nano: i128,
}

/// What distinguishes the kinds of account.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountKind {
    Practice,
    Combine,
    Express,
}

/// Rules of one account, whole dollars as in the published table.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AccountRules {
    pub id: i32,
    pub name: String,
    pub kind: AccountKind,
    pub start_balance: i64,
    pub max_loss: Option<i64>,
    pub daily_loss: Option<i64>,
    pub max_minis: i64,
    /// "Auto OCO Brackets" (true) or "Position Brackets".
    pub auto_oco: bool,
}

/// An account and the state of its limits; money is 1/10,000 dollar.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Account {
    pub rules: AccountRules,
    pub balance_1e4: i64,
    pub can_trade: bool,
    pub visible: bool,
    /// Highest end-of-day balance.
    pub high_1e4: i64,
    pub day_start_1e4: i64,
    /// Daily limit hit: refused until the next trading day.
    pub locked_for_day: bool,
    /// Trading day of `day_start_1e4` as yyyymmdd, 0 before the first one.
    #[serde(default)]
    pub trade_date: i64,
}

impl Account {
    pub fn open(rules: AccountRules) -> Self {
        let balance = rules.start_balance * 10_000;
        Self {
            rules,
            balance_1e4: balance,
            can_trade: true,
            visible: true,
            high_1e4: balance,
            day_start_1e4: balance,
            locked_for_day: false,
            trade_date: 0,
        }
    }

    /// Equity at or below this ends the account; it follows the end-of-day high and stops at the start balance.
    pub fn loss_floor_1e4(&self) -> Option<i64> {
        let allowance = self.rules.max_loss? * 10_000;
        let start = self.rules.start_balance * 10_000;
        Some(start.min(start - allowance + (self.high_1e4 - start).max(0)))
    }
}

/// What happened, in the order in which hubs tell it. Each event carries the whole row, so the list is also the
/// record that rebuilds the state.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Event {
    Account(Account),
    Order(Order),
    Position(Position),
    Trade(Trade),
}

/// Answer of a command: `code` 0 is success; codes belong to the endpoint (protocol document, section 5).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reply {
    pub order: Option<i64>,
    pub code: i32,
    pub message: Option<String>,
}

impl Reply {
    pub fn ok(order: Option<i64>) -> Self {
        Self {
            order,
            code: 0,
            message: None,
        }
    }

    pub fn code(code: i32) -> Self {
        Self {
            order: None,
            code,
            message: None,
        }
    }

    pub fn refused(code: i32, message: impl Into<String>) -> Self {
        Self {
            order: None,
            code,
            message: Some(message.into()),
        }
    }
}

/// A bracket of a place request: signed ticks from the fill and the wire's order type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bracket {
    pub ticks: i64,
    pub kind: i64,
}

/// A price as the wire sent it, in 1e-9 of a point.
pub type Nano = i128;

/// `Order/place`. Numbers are as sent: nothing is checked yet.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Place {
    pub account: i64,
    pub contract_id: String,
    pub kind: i64,
    /// 0 buy, 1 sell.
    pub side: i64,
    pub size: i64,
    pub limit: Option<Nano>,
    pub stop: Option<Nano>,
    pub trail: Option<Nano>,
    pub tag: Option<String>,
    pub stop_loss: Option<Bracket>,
    pub take_profit: Option<Bracket>,
}

/// `Order/modify`: an absent field leaves its value alone.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Modify {
    pub account: i64,
    pub order: i64,
    pub size: Option<i64>,
    pub limit: Option<Nano>,
    pub stop: Option<Nano>,
    pub trail: Option<Nano>,
}
