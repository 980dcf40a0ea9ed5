//! What the gate judges by: limits, exposure, and what the engine knows about account and market.

use super::Paced;
use crate::engine::contract::Draft;
use crate::risk_rules::Sizes;
use crate::types::{Contract, Side, Ticks};

/// The limits of one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub max_order_lots: i64,
    pub max_position_lots: i64,
    pub max_price_away_ticks: i64,
    pub max_working_orders: i64,
    pub duplicate_window_ms: i64,
    /// Value of the position at worst, 1/10,000 dollar.
    pub max_notional: i64,
    pub max_orders_per_second: i64,
    pub max_orders_per_minute: i64,
    /// So many same orders of one source within the window stop it until a person says otherwise; 0 turns that off.
    pub max_repeats: i64,
    pub repeat_window_ms: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_order_lots: 5,
            max_position_lots: 10,
            max_price_away_ticks: 400,
            max_working_orders: 60,
            duplicate_window_ms: 300,
            max_notional: 100_000_000_000,
            max_orders_per_second: 20,
            max_orders_per_minute: 100,
            max_repeats: 30,
            repeat_window_ms: 60_000,
        }
    }
}

impl Limits {
    /// What of them waits for a session when it is raised.
    pub fn sizes(&self) -> Sizes {
        Sizes {
            order_lots: self.max_order_lots,
            position_lots: self.max_position_lots,
            working_orders: self.max_working_orders,
            notional: self.max_notional,
        }
    }

    /// The same limits with these sizes.
    #[must_use]
    pub fn with(self, sizes: Sizes) -> Self {
        Self {
            max_order_lots: sizes.order_lots,
            max_position_lots: sizes.position_lots,
            max_working_orders: sizes.working_orders,
            max_notional: sizes.notional,
            ..self
        }
    }

    /// Fails closed: limits that cannot be meant admit nothing new.
    pub fn are_sane(&self) -> bool {
        self.max_order_lots >= 0
            && self.max_position_lots >= 0
            && self.max_price_away_ticks > 0
            && self.max_working_orders >= 0
            && self.duplicate_window_ms >= 0
            && self.max_notional >= 0
            && self.max_orders_per_second > 0
            && self.max_orders_per_minute > 0
            && self.max_repeats >= 0
            && self.repeat_window_ms >= 0
    }
}

/// What stands on one side of a position, at worst.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exposure {
    /// Net of the fills.
    pub net: i64,
    /// Unfilled lots of buys that work, are being sent or are unknown.
    pub open_buys: i64,
    /// The same for sells.
    pub open_sells: i64,
}

impl Exposure {
    /// The largest position, in absolute lots, that the market could give with `size` more on `side`.
    pub fn worst_with(&self, side: Side, size: i64) -> i64 {
        let (buys, sells) = match side {
            Side::Buy => (self.open_buys.saturating_add(size), self.open_sells),
            Side::Sell => (self.open_buys, self.open_sells.saturating_add(size)),
        };
        (self.net.saturating_add(buys))
            .max(self.net.saturating_sub(sells).saturating_neg())
            .max(0)
    }

    /// Counts lots that may fill on a side.
    pub fn add(&mut self, side: Side, lots: i64) {
        match side {
            Side::Buy => self.open_buys = self.open_buys.saturating_add(lots),
            Side::Sell => self.open_sells = self.open_sells.saturating_add(lots),
        }
    }

    /// Unfilled lots of one side.
    pub fn open_on(&self, side: Side) -> i64 {
        match side {
            Side::Buy => self.open_buys,
            Side::Sell => self.open_sells,
        }
    }

    /// Whether `size` on `side` can only make the position smaller, whatever else fills.
    pub fn only_reduces(&self, side: Side, size: i64) -> bool {
        match side {
            Side::Buy => {
                self.net < 0 && self.open_buys.saturating_add(size) <= self.net.saturating_neg()
            }
            Side::Sell => self.net > 0 && self.open_sells.saturating_add(size) <= self.net,
        }
    }
}

/// What the engine knows about the account of a draft.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, each named at its rule"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountFacts {
    pub is_chosen: bool,
    pub is_reconciled: bool,
    pub can_trade: bool,
    /// The account's kind is known, so that the program may touch it.
    pub is_recognised: bool,
    pub is_armed: bool,
}

/// What the engine knows about the market of a draft.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MarketFacts {
    pub bid: Option<Ticks>,
    pub ask: Option<Ticks>,
    pub last: Option<Ticks>,
    pub is_late: bool,
}

impl MarketFacts {
    /// The price a distance is measured from: the far side of the quote, else the last trade.
    pub(super) fn reference(&self, side: Side) -> Option<Ticks> {
        let touch = match side {
            Side::Buy => self.ask.or(self.bid),
            Side::Sell => self.bid.or(self.ask),
        };
        touch.or(self.last)
    }
}

/// Everything the gate judges by.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, each named at its rule"
)]
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    pub draft: &'a Draft,
    pub contract: Option<&'a Contract>,
    pub limits: Limits,
    pub account: Option<AccountFacts>,
    /// Why this engine does not manage the account; `None` where it does.
    pub elsewhere: Option<String>,
    pub market: MarketFacts,
    pub exposure: Exposure,
    /// Unfilled lots of the stops on the draft's side.
    pub open_stops: i64,
    /// Orders that work, are on their way or are planned as legs, without the draft.
    pub working_on_account: usize,
    pub working_on_login: usize,
    /// An order of this account and contract is in doubt.
    pub has_unknown: bool,
    pub is_disputed: bool,
    pub is_duplicate: bool,
    /// A flatten of this account or contract is under way; entries wait until it ends.
    pub is_flattening: bool,
    pub is_halted: bool,
    pub is_user_hub_live: bool,
    pub is_journal_writing: bool,
    /// The ordinary lane has a request left.
    pub has_budget: bool,
    /// Orders of the account so far; `None` where nothing is paced (a measurement on loopback).
    pub paced: Option<Paced>,
    /// The throttle stopped this source earlier.
    pub is_throttled: bool,
    /// What the account's rules, its mode and the hours of the exchange have against more risk.
    pub rule_reasons: Vec<Reason>,
    /// The tag's kind letter fits the endpoint and the tag was never used.
    pub is_tag_fresh: bool,
}

/// One reason: a code for programs and a sentence for people.
pub type Reason = (&'static str, String);
