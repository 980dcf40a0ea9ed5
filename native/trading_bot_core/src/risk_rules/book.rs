//! The durable state of one account's rules: changed by events, which the order journal keeps.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::judge;
use super::rules::{Action, RuleName, Rules};

/// What the account may do apart from its rules. Stated by a person, kept until a person states another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    #[default]
    Normal,
    /// Only what makes a position smaller.
    Reducing,
    /// The same, and it holds until the next day: nobody can take it back before.
    Locked,
}

impl Mode {
    pub const ALL: [Self; 3] = [Self::Normal, Self::Reducing, Self::Locked];

    /// The word on the seam.
    pub fn word(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Reducing => "reducing",
            Self::Locked => "locked",
        }
    }

    /// Reads the seam's word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.word() == word)
    }
}

/// A limit that was reached. It holds until the next day begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latch {
    pub used: i64,
    pub limit: i64,
    pub action: Action,
    pub at: i64,
}

/// The trader's own limits that say how much may be at stake: lowered at once, raised from the next day on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sizes {
    pub order_lots: i64,
    pub position_lots: i64,
    pub working_orders: i64,
    /// 1/10,000 dollar.
    pub notional: i64,
}

impl Sizes {
    /// The smaller of each.
    #[must_use]
    pub fn tightened_by(self, wanted: Self) -> Self {
        Self {
            order_lots: self.order_lots.min(wanted.order_lots),
            position_lots: self.position_lots.min(wanted.position_lots),
            working_orders: self.working_orders.min(wanted.working_orders),
            notional: self.notional.min(wanted.notional),
        }
    }
}

/// What can happen to the book. Journaled inside a record of the order journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "e", rename_all = "snake_case")]
pub enum RiskEvent {
    /// Rules that hold from now on.
    Rules {
        rules: Box<Rules>,
        at: i64,
    },
    /// Looser rules that wait for the next day; `None` takes them back.
    Pending {
        rules: Option<Box<Rules>>,
        at: i64,
    },
    /// Sizes that hold from now on, and larger ones that wait for the next day.
    Sizes {
        sizes: Sizes,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pending: Option<Sizes>,
        at: i64,
    },
    /// A day begins. `day`: days since 1970 of its trade date.
    Day {
        day: i32,
        balance: i64,
        high: i64,
        /// Days lie between this one and the last that was seen here.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        has_gap: bool,
        at: i64,
    },
    /// The broker's balance is another than ours for reasons that are no fill.
    Rebased {
        balance: i64,
        at: i64,
    },
    /// The day's result was never higher.
    Peak {
        pnl: i64,
        at: i64,
    },
    Warned {
        rule: RuleName,
        percent: i64,
        at: i64,
    },
    Tripped {
        rule: RuleName,
        latch: Latch,
    },
    /// The flatten of a latch was read back.
    Flattened {
        at: i64,
    },
    Mode {
        mode: Mode,
        source: String,
        at: i64,
    },
    /// A source repeated itself too often; it sends nothing until a person says so.
    Throttled {
        source: String,
        at: i64,
    },
    Released {
        source: String,
        by: String,
        at: i64,
    },
}

/// One account as its events tell it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    pub rules: Option<Rules>,
    pub pending: Option<Rules>,
    pub sizes: Option<Sizes>,
    pub pending_sizes: Option<Sizes>,
    pub day: Option<i32>,
    /// Balance at the day's begin; corrected when the broker's differs.
    pub opening: i64,
    /// Balance that decides the size: that of the day's begin, or less after a payout.
    pub size_balance: i64,
    /// Highest end-of-day balance.
    pub high: i64,
    /// There were days whose end was not seen here, and nobody stated what the high is.
    pub is_high_partial: bool,
    /// Highest result of the day as journaled.
    pub peak: i64,
    pub warned: BTreeMap<RuleName, i64>,
    pub latches: BTreeMap<RuleName, Latch>,
    pub is_flatten_due: bool,
    pub mode: Mode,
    pub throttled: BTreeSet<String>,
}

impl Book {
    /// Takes one event; false when it changed nothing.
    pub fn apply(&mut self, event: &RiskEvent) -> bool {
        let before = self.clone();
        match event {
            RiskEvent::Rules { rules, .. } => {
                let known = self.rules.as_ref().and_then(|rules| rules.stated_high);
                self.is_high_partial &= rules.stated_high <= known;
                self.high = self.high.max(rules.stated_high.unwrap_or(i64::MIN));
                self.rules = Some((**rules).clone());
                self.pending = None;
            }
            RiskEvent::Pending { rules, .. } => self.pending = rules.as_deref().cloned(),
            RiskEvent::Sizes { sizes, pending, .. } => {
                (self.sizes, self.pending_sizes) = (Some(*sizes), *pending);
            }
            RiskEvent::Day {
                day,
                balance,
                high,
                has_gap,
                ..
            } => self.begin_day(*day, *balance, *high, *has_gap),
            RiskEvent::Rebased { balance, .. } => {
                self.opening = *balance;
                self.size_balance = self.size_balance.min(*balance);
            }
            RiskEvent::Peak { pnl, .. } => self.peak = self.peak.max(*pnl),
            RiskEvent::Warned { rule, percent, .. } => {
                self.warned.insert(*rule, *percent);
            }
            RiskEvent::Tripped { rule, latch } => {
                self.latches.insert(*rule, *latch);
                self.is_flatten_due |= latch.action == Action::Flatten;
            }
            RiskEvent::Flattened { .. } => self.is_flatten_due = false,
            RiskEvent::Mode { mode, .. } => self.mode = *mode,
            RiskEvent::Throttled { source, .. } => {
                self.throttled.insert(source.clone());
            }
            RiskEvent::Released { source, .. } => {
                self.throttled.remove(source);
            }
        }
        *self != before
    }

    fn begin_day(&mut self, day: i32, balance: i64, high: i64, has_gap: bool) {
        if let Some(rules) = self.pending.take() {
            self.rules = Some(rules);
        }
        self.sizes = self.pending_sizes.take().or(self.sizes);
        let stated = self.rules.as_ref().and_then(|rules| rules.stated_high);
        // Who states a high at least as high as ours follows the firm's own number.
        let is_stated = stated.is_some_and(|stated| stated >= self.high.max(high));
        // An account at exactly its start balance is a new one.
        let start = self.rules.as_ref().map(|rules| rules.start_balance);
        let is_unseen = has_gap || (self.day.is_none() && start != Some(balance));
        self.is_high_partial |= is_unseen && !is_stated;
        self.day = Some(day);
        self.opening = balance;
        self.size_balance = balance;
        self.high = self.high.max(high);
        self.peak = 0;
        self.warned.clear();
        self.latches.clear();
        self.is_flatten_due = false;
        if self.mode == Mode::Locked {
            self.mode = Mode::Normal;
        }
    }

    /// Whether the floor of the maximum loss may be higher than shown, because a higher end of day was not seen here. Not
    /// once the floor stands at the start balance: it rises no further.
    pub fn is_floor_uncertain(&self) -> bool {
        let rules = self.rules.as_ref();
        let limit = rules.and_then(|rules| Some((rules.start_balance, rules.max_loss?)));
        self.is_high_partial
            && limit.is_some_and(|(start, limit)| judge::floor(start, limit, self.high) < start)
    }

    /// What stating `wanted` does now: stricter numbers hold at once, looser ones wait for the next day.
    pub fn state(&self, wanted: &Rules, at: i64) -> Vec<RiskEvent> {
        let rules_of = |rules: &Rules| Box::new(rules.clone());
        let Some(known) = &self.rules else {
            return vec![RiskEvent::Rules {
                rules: rules_of(wanted),
                at,
            }];
        };
        let now = known.tightened_by(wanted);
        let mut events = Vec::new();
        if now != *known {
            events.push(RiskEvent::Rules {
                rules: rules_of(&now),
                at,
            });
        }
        let pending = (now != *wanted).then(|| wanted.clone());
        if pending != self.pending || (pending.is_some() && !events.is_empty()) {
            events.push(RiskEvent::Pending {
                rules: pending.as_ref().map(rules_of),
                at,
            });
        }
        events
    }

    /// The same for sizes. Before the first day that is measured here there is nothing to protect from a second thought.
    pub fn state_sizes(&self, wanted: Sizes, at: i64) -> RiskEvent {
        let held = self.sizes.filter(|_| self.day.is_some());
        let sizes = held.map_or(wanted, |held| held.tightened_by(wanted));
        RiskEvent::Sizes {
            sizes,
            pending: (sizes != wanted).then_some(wanted),
            at,
        }
    }

    /// Whether anything looser waits for the next day.
    pub fn has_pending(&self) -> bool {
        self.pending.is_some() || self.pending_sizes.is_some()
    }
}
