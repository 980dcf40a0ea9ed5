//! From the day's figures to how much of each rule is used, and to the events that follow from it.

use super::book::{Book, Latch, RiskEvent};
use super::rules::{Action, RuleName, Rules};

/// At these percentages of a limit the trader is warned, once a day each.
pub const WARN_AT_PERCENT: [i64; 3] = [50, 75, 90];
/// The journal learns a new peak when it rose by this share of the trailing limit: a crash forgets at most that much.
const PEAK_STEPS: i64 = 50;

/// The day's figures of one account, 1/10,000 dollar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Net of fees.
    pub realised: i64,
    pub open: i64,
    pub trades: i64,
    /// Highest result of the day, at least zero.
    pub peak: i64,
}

/// How much of one rule is used, in the rule's own unit: 1/10,000 dollar, or trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    pub rule: RuleName,
    pub used: i64,
    pub limit: i64,
    pub action: Action,
}

impl Use {
    /// Whole percent of the limit, rounded down.
    pub fn percent(&self) -> i64 {
        let share = i128::from(self.used) * 100 / i128::from(self.limit.max(1));
        i64::try_from(share).unwrap_or(i64::MAX)
    }
}

/// Loss limit that follows the highest end-of-day balance, never falls, and stops at the start balance.
///
/// `start`, `limit`, `high`: 1/10,000 dollar. An Express account starts at 0, so its floor ends at 0.
/// Source: protocol document 18.1, "MLL" (Topstep help article 8284204, modified 2026-09-18).
pub fn floor(start: i64, limit: i64, high: i64) -> i64 {
    let risen = high.saturating_sub(start).max(0);
    start.min(start.saturating_sub(limit).saturating_add(risen))
}

/// The result that the personal rules look at.
pub fn personal_pnl(rules: &Rules, realised: i64, open: i64) -> i64 {
    realised.saturating_add(if rules.counts_open { open } else { 0 })
}

/// How much of each rule is used.
pub fn uses(rules: &Rules, book: &Book, marks: &Marks) -> Vec<Use> {
    let pnl = personal_pnl(rules, marks.realised, marks.open);
    let day = marks.realised.saturating_add(marks.open);
    let equity = book.opening.saturating_add(day);
    let from = if rules.is_personal_trailing {
        marks.peak.max(0)
    } else {
        0
    };
    let lost_of_floor = rules.max_loss.map_or(0, |limit| {
        let floor = floor(rules.start_balance, limit, book.high);
        floor.saturating_add(limit).saturating_sub(equity)
    });
    let won = book.opening.saturating_add(marks.realised);
    let won = won.saturating_sub(rules.start_balance);
    let rows = [
        (
            RuleName::MaxLoss,
            rules.max_loss,
            lost_of_floor,
            rules.max_loss_action,
        ),
        (
            RuleName::DailyLoss,
            rules.daily_loss,
            day.saturating_neg(),
            rules.daily_loss_action,
        ),
        (
            RuleName::PersonalLoss,
            rules.personal_loss,
            from.saturating_sub(pnl),
            rules.personal_loss_action,
        ),
        (
            RuleName::ProfitTarget,
            rules.profit_target,
            won,
            Action::Warn,
        ),
        (
            RuleName::DailyTarget,
            rules.daily_target,
            pnl,
            rules.daily_target_action,
        ),
        (
            RuleName::Trades,
            rules.trades_max,
            marks.trades,
            Action::Block,
        ),
    ];
    let stated = rows.into_iter().filter_map(|(rule, limit, used, action)| {
        let used = used.max(0);
        Some(Use {
            rule,
            used,
            limit: limit?,
            action,
        })
    });
    stated.collect()
}

/// The events of one look: a new peak, warnings, and limits that are reached now.
pub fn events(book: &Book, marks: &Marks, at: i64) -> Vec<RiskEvent> {
    let Some(rules) = &book.rules else {
        return Vec::new();
    };
    let mut events = Vec::new();
    let step = rules.personal_loss.unwrap_or(i64::MAX) / PEAK_STEPS;
    if rules.is_personal_trailing
        && marks.peak > book.peak
        && marks.peak.saturating_sub(book.peak) >= step
    {
        events.push(RiskEvent::Peak {
            pnl: marks.peak,
            at,
        });
    }
    for usage in uses(rules, book, marks) {
        events.extend(told(book, &usage, at));
    }
    events
}

fn told(book: &Book, usage: &Use, at: i64) -> Option<RiskEvent> {
    let rule = usage.rule;
    if book.latches.contains_key(&rule) {
        return None;
    }
    if usage.used >= usage.limit {
        let latch = Latch {
            used: usage.used,
            limit: usage.limit,
            action: usage.action,
            at,
        };
        return Some(RiskEvent::Tripped { rule, latch });
    }
    let reached = WARN_AT_PERCENT
        .into_iter()
        .filter(|percent| usage.percent() >= *percent);
    let percent = reached.max()?;
    let known = book.warned.get(&rule).copied().unwrap_or(0);
    (percent > known).then_some(RiskEvent::Warned { rule, percent, at })
}

/// The event that begins a day. `balance`: the broker's, now; `realised`: since the day began, net.
pub fn begin_day(book: &Book, day: i32, balance: i64, realised: i64, at: i64) -> RiskEvent {
    let rules = book.pending.as_ref().or(book.rules.as_ref());
    let start = rules.map_or(i64::MIN, |rules| rules.start_balance);
    let stated = rules.and_then(|rules| rules.stated_high);
    let balance = balance.saturating_sub(realised);
    let high = book
        .day
        .map_or(balance, |_| book.high.max(balance))
        .max(start)
        .max(stated.unwrap_or(i64::MIN));
    RiskEvent::Day {
        day,
        balance,
        high,
        has_gap: false,
        at,
    }
}
