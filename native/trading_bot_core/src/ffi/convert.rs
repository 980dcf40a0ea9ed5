//! View rows to the records of Python.

use pyo3::prelude::*;

use super::{records, risk};
use crate::engine::news::Item;
use crate::engine::views::{
    AccountRow, DeniedRow, Event, ExitProgressRow, FillRow, LinkRow, NoticeRow, OrderRow,
    PositionRow, StopRuleRow,
};
use crate::order_execution::gate;
use crate::types;

pub fn account(row: &AccountRow) -> records::Account {
    records::Account {
        id: row.id,
        name: row.name.to_string(),
        word: row.word.to_string(),
        kind_text: row.kind_text.to_string(),
        balance_1e4: row.balance_1e4,
        can_trade: row.can_trade,
        is_simulated: row.is_simulated,
        is_own: row.is_own,
        bracket_mode: row.bracket_mode.to_owned(),
        managed_by: row.managed_by.to_string(),
    }
}

pub fn contract(row: &types::Contract) -> records::Contract {
    records::Contract {
        index: u32::from(row.index.0),
        id: row.id.clone(),
        name: row.name.clone(),
        description: row.description.clone(),
        symbol_id: row.symbol_id.clone(),
        root: row.root.clone(),
        tick_units: row.tick_units,
        decimals: u32::from(row.decimals),
        tick_value_1e4: row.tick_value.0,
        is_active: row.is_active,
    }
}

pub fn order(row: &OrderRow) -> records::Order {
    records::Order {
        key: row.key.to_string(),
        tag: row.tag.to_string(),
        order_id: row.order_id,
        account_id: row.account_id,
        contract: row.contract as u32,
        contract_id: row.contract_id.to_string(),
        side: row.side.to_owned(),
        kind: row.kind.to_owned(),
        size_lots: row.size_lots,
        filled_lots: row.filled_lots,
        limit_ticks: row.limit_ticks,
        stop_ticks: row.stop_ticks,
        trail_ticks: row.trail_ticks,
        wanted_size_lots: row.wanted_size_lots,
        wanted_limit_ticks: row.wanted_limit_ticks,
        wanted_stop_ticks: row.wanted_stop_ticks,
        average_fill_ticks_1e4: row.average_fill_ticks_1e4,
        life: row.life.to_owned(),
        change: row.change.to_owned(),
        doubt_since_ns: row.doubt_since_ns,
        look: row.look.to_owned(),
        role: row.role.to_owned(),
        holder: row.holder.to_owned(),
        is_foreign: row.is_foreign,
        parent_id: row.parent_id,
        linked_id: row.linked_id,
        parent_key: row.parent_key.to_string(),
        oco_group: row.oco_group.to_string(),
        queue_ahead_min: row.queue_ahead_min,
        queue_ahead_max: row.queue_ahead_max,
        created_ns: row.created_ns,
        updated_ns: row.updated_ns,
        source: row.source.to_string(),
        reason: row.reason.to_string(),
    }
}

pub fn position(row: &PositionRow) -> records::Position {
    records::Position {
        account_id: row.account_id,
        contract: row.contract as u32,
        contract_id: row.contract_id.to_string(),
        net_lots: row.net_lots,
        average_ticks_1e4: row.average_ticks_1e4,
        mark_ticks: row.mark_ticks,
        open_pnl_1e4: row.open_pnl_1e4,
        realised_1e4: row.realised_1e4,
        fees_1e4: row.fees_1e4,
        stop_lots: row.stop_lots,
        target_lots: row.target_lots,
        unprotected_lots: row.unprotected_lots,
        source: row.source.to_owned(),
        checked_ns: row.checked_ns,
        broker_net_lots: row.broker_net_lots,
        is_disputed: row.is_disputed,
    }
}

pub fn stop_rule(row: &StopRuleRow) -> records::StopRule {
    records::StopRule {
        key: row.key.to_string(),
        account_id: row.account_id,
        contract: row.contract as u32,
        contract_id: row.contract_id.to_string(),
        break_even_trigger_ticks: row.break_even_trigger_ticks,
        break_even_plus_ticks: row.break_even_plus_ticks,
        trail_stages: row.trail_stages.clone(),
        is_immediate: row.is_immediate,
        state: row.state.to_owned(),
        best_ticks: row.best_ticks,
        level_ticks: row.level_ticks,
        moves: row.moves,
        source: row.source.to_string(),
        text: row.text.to_string(),
    }
}

pub fn fill(row: &FillRow) -> records::Fill {
    records::Fill {
        trade_id: row.trade_id,
        order_id: row.order_id,
        tag: row.tag.to_string(),
        account_id: row.account_id,
        contract: row.contract as u32,
        contract_id: row.contract_id.to_string(),
        side: row.side.to_owned(),
        price_ticks: row.price_ticks,
        size_lots: row.size_lots,
        fees_1e4: row.fees_1e4,
        pnl_1e4: row.pnl_1e4,
        time_ns: row.time_ns,
        is_voided: row.is_voided,
    }
}

pub fn link(row: &LinkRow) -> records::Link {
    records::Link {
        name: row.name.to_owned(),
        state: row.state.to_owned(),
        since_ns: row.since_ns,
        age_ms: row.age_ms,
        text: row.text.to_string(),
        retry_mono_ns: row.retry_mono_ns,
    }
}

pub fn limits(row: &gate::Limits) -> records::Limits {
    records::Limits {
        max_order_lots: row.max_order_lots,
        max_position_lots: row.max_position_lots,
        max_price_away_ticks: row.max_price_away_ticks,
        max_working_orders: row.max_working_orders,
        duplicate_window_ms: row.duplicate_window_ms,
        max_notional_1e4: row.max_notional,
        max_orders_per_second: row.max_orders_per_second,
        max_orders_per_minute: row.max_orders_per_minute,
        max_repeats: row.max_repeats,
        repeat_window_ms: row.repeat_window_ms,
    }
}

fn object<T: pyo3::PyClass + Into<pyo3::PyClassInitializer<T>>>(
    py: Python<'_>,
    value: T,
) -> PyResult<Py<PyAny>> {
    Ok(Py::new(py, value)?.into_any())
}

/// One piece of news as the object `drain()` returns.
pub fn news(py: Python<'_>, item: Item) -> PyResult<Py<PyAny>> {
    let Item::News(event) = item else {
        return object(py, records::Resync {});
    };
    match event {
        Event::OrderChanged(row) => {
            let order = Py::new(py, order(&row))?;
            object(py, records::OrderChanged { order })
        }
        Event::FillAdded(row) => {
            let fill = Py::new(py, fill(&row))?;
            object(py, records::FillAdded { fill })
        }
        Event::PositionChanged(row) => {
            let position = Py::new(py, position(&row))?;
            object(py, records::PositionChanged { position })
        }
        Event::AccountChanged(row) => {
            let account = Py::new(py, account(&row))?;
            object(py, records::AccountChanged { account })
        }
        Event::LinkChanged(row) => {
            let link = Py::new(py, link(&row))?;
            object(py, records::LinkChanged { link })
        }
        Event::RiskChanged(row) => {
            let risk = risk::risk(&row);
            object(py, risk::RiskChanged { risk })
        }
        Event::Denied(row) => object(py, denied(row)),
        Event::Notice(row) => object(py, notice(row)),
        Event::RequestDone {
            request_id,
            outcome,
            text,
            payload_json,
        } => {
            let outcome = outcome.word().to_owned();
            object(
                py,
                records::RequestDone {
                    request_id,
                    outcome,
                    text,
                    payload_json,
                },
            )
        }
        Event::ExitProgress(row) => object(py, exit_progress(row)),
        Event::StopRuleChanged(row) => {
            let rule = Py::new(py, stop_rule(&row))?;
            object(py, records::StopRuleChanged { rule })
        }
        Event::ArmedChanged {
            source,
            account_id,
            is_armed,
        } => {
            let source = source.to_string();
            object(
                py,
                records::ArmedChanged {
                    source,
                    account_id,
                    is_armed,
                },
            )
        }
    }
}

fn exit_progress(row: ExitProgressRow) -> records::ExitProgress {
    records::ExitProgress {
        exit: row.exit,
        account_id: row.account_id,
        contract_id: row.contract_id.to_string(),
        goal: row.goal.to_owned(),
        step: row.step.to_owned(),
        count: row.count,
        total: row.total,
        text: row.text,
        time_ns: row.time_ns,
    }
}

fn denied(row: DeniedRow) -> records::Denied {
    records::Denied {
        tag: row.tag.to_string(),
        account_id: row.account_id,
        contract_id: row.contract_id.to_string(),
        reasons: row
            .reasons
            .into_iter()
            .map(|(code, text)| (code.to_owned(), text))
            .collect(),
    }
}

fn notice(row: NoticeRow) -> records::Notice {
    records::Notice {
        level: row.level.word().to_owned(),
        code: row.code.to_owned(),
        text: row.text,
        time_ns: row.time_ns,
    }
}
