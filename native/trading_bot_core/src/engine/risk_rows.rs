//! From an account's rules and figures to the row that others read.

use crate::engine::views::{RiskRow, RuleUseRow};
use crate::order_execution::trading::Trading;
use crate::risk_rules::{Book, Marks, Rules, judge, size};
use crate::types::{AccountId, Nanos};

/// The rows of every account that has rules or a mode, by account.
pub fn all(trading: &Trading) -> Vec<RiskRow> {
    let accounts = trading.store.books.keys();
    accounts
        .filter_map(|account| risk_row(trading, *account))
        .collect()
}

/// One account's row; `None` when nothing was ever stated about it.
pub fn risk_row(trading: &Trading, account: AccountId) -> Option<RiskRow> {
    let book = trading.store.books.get(&account)?;
    let nothing = Rules::default();
    let rules = book.rules.as_ref().unwrap_or(&nothing);
    let figures = trading.risk_figures(account);
    let (_, end, marks) = figures.unwrap_or((Nanos(0), Nanos(0), Marks::default()));
    let times = trading.times_of(account);
    let text = |text: &str| text.into();
    let floor = |limit| judge::floor(rules.start_balance, limit, book.high);
    Some(RiskRow {
        account_id: i64::from(account.0),
        rules_name: text(&rules.name),
        rules_source: text(&rules.source),
        rules_date: text(&rules.date),
        has_pending: book.has_pending(),
        mode: book.mode.word(),
        is_measured: book.rules.is_none() || book.day.is_some(),
        day_ends_ns: end.0,
        opening_balance_1e4: book.opening,
        high_balance_1e4: book.high,
        is_floor_uncertain: book.is_floor_uncertain(),
        floor_1e4: rules.max_loss.map(floor),
        target_1e4: rules
            .profit_target
            .map(|won| rules.start_balance.saturating_add(won)),
        equity_1e4: (book.opening)
            .saturating_add(marks.realised)
            .saturating_add(marks.open),
        realised_1e4: marks.realised,
        open_1e4: marks.open,
        peak_1e4: marks.peak,
        trades: marks.trades,
        tenths_held: trading.tenths_held(account, rules),
        tenths_max: size::tenths_max(rules, book.size_balance),
        entries_end_ns: times.map_or(0, |times| times.entries_end.0),
        flatten_ns: times.map_or(0, |times| times.flatten.0),
        deadline_ns: times.map_or(0, |times| times.deadline.0),
        uses: uses(rules, book, &marks, end),
        throttled: book.throttled.iter().map(|source| text(source)).collect(),
    })
}

fn uses(rules: &Rules, book: &Book, marks: &Marks, end: Nanos) -> Vec<RuleUseRow> {
    let uses = judge::uses(rules, book, marks).into_iter();
    uses.map(|usage| {
        let latch = book.latches.get(&usage.rule);
        RuleUseRow {
            rule: usage.rule.word(),
            used: usage.used,
            limit: usage.limit,
            percent: usage.percent(),
            action: usage.action.word(),
            is_latched: latch.is_some(),
            latched_ns: latch.map_or(0, |latch| latch.at),
            until_ns: latch.map_or(0, |_| end.0),
        }
    })
    .collect()
}
