//! View rows as JSON, with the field names of the Python records; for the control socket.

use serde_json::{Value, json};

use super::contract::ContractDef;
use super::handle::Handle;
use super::news::Latency;
use super::views::{
    AccountRow, FillRow, LinkRow, MarketView, OrderRow, PositionRow, RiskRow, RuleUseRow,
    StopRuleRow,
};
use crate::order_execution::gate::Limits;

pub fn account(row: &AccountRow) -> Value {
    json!({
        "id": row.id, "name": &*row.name, "word": &*row.word, "kind_text": &*row.kind_text,
        "balance_1e4": row.balance_1e4, "can_trade": row.can_trade, "is_simulated": row.is_simulated,
        "is_own": row.is_own, "bracket_mode": row.bracket_mode, "managed_by": &*row.managed_by,
    })
}

pub fn contract(row: &ContractDef) -> Value {
    json!({
        "index": row.index.0, "id": row.id, "name": row.name, "description": row.description,
        "symbol_id": row.symbol_id, "root": row.root, "tick_units": row.tick_units, "decimals": row.decimals,
        "tick_value_1e4": row.tick_value.0, "is_active": row.is_active,
    })
}

pub fn order(row: &OrderRow) -> Value {
    json!({
        "key": &*row.key, "tag": &*row.tag, "order_id": row.order_id, "account_id": row.account_id,
        "contract": row.contract, "contract_id": &*row.contract_id, "side": row.side, "kind": row.kind,
        "size_lots": row.size_lots, "filled_lots": row.filled_lots, "limit_ticks": row.limit_ticks,
        "stop_ticks": row.stop_ticks, "trail_ticks": row.trail_ticks, "wanted_size_lots": row.wanted_size_lots,
        "wanted_limit_ticks": row.wanted_limit_ticks, "wanted_stop_ticks": row.wanted_stop_ticks,
        "average_fill_ticks_1e4": row.average_fill_ticks_1e4, "life": row.life, "change": row.change,
        "doubt_since_ns": row.doubt_since_ns, "look": row.look, "role": row.role, "holder": row.holder,
        "is_foreign": row.is_foreign, "parent_id": row.parent_id, "linked_id": row.linked_id,
        "parent_key": &*row.parent_key, "oco_group": &*row.oco_group,
        "queue_ahead_min": row.queue_ahead_min, "queue_ahead_max": row.queue_ahead_max,
        "created_ns": row.created_ns, "updated_ns": row.updated_ns, "source": &*row.source, "reason": &*row.reason,
    })
}

pub fn position(row: &PositionRow) -> Value {
    json!({
        "account_id": row.account_id, "contract": row.contract, "contract_id": &*row.contract_id,
        "net_lots": row.net_lots, "average_ticks_1e4": row.average_ticks_1e4, "mark_ticks": row.mark_ticks,
        "open_pnl_1e4": row.open_pnl_1e4, "realised_1e4": row.realised_1e4, "fees_1e4": row.fees_1e4,
        "stop_lots": row.stop_lots, "target_lots": row.target_lots,
        "unprotected_lots": row.unprotected_lots, "source": row.source,
        "checked_ns": row.checked_ns, "broker_net_lots": row.broker_net_lots, "is_disputed": row.is_disputed,
    })
}

pub fn stop_rule(row: &StopRuleRow) -> Value {
    json!({
        "key": &*row.key, "account_id": row.account_id, "contract": row.contract, "contract_id": &*row.contract_id,
        "break_even_trigger_ticks": row.break_even_trigger_ticks, "break_even_plus_ticks": row.break_even_plus_ticks,
        "trail_stages": row.trail_stages, "is_immediate": row.is_immediate, "state": row.state,
        "best_ticks": row.best_ticks, "level_ticks": row.level_ticks, "moves": row.moves, "source": &*row.source,
        "text": &*row.text,
    })
}

pub fn fill(row: &FillRow) -> Value {
    json!({
        "trade_id": row.trade_id, "order_id": row.order_id, "tag": &*row.tag, "account_id": row.account_id,
        "contract": row.contract, "contract_id": &*row.contract_id, "side": row.side,
        "price_ticks": row.price_ticks, "size_lots": row.size_lots, "fees_1e4": row.fees_1e4,
        "pnl_1e4": row.pnl_1e4, "time_ns": row.time_ns, "is_voided": row.is_voided,
    })
}

pub fn link(row: &LinkRow) -> Value {
    json!({
        "name": row.name, "state": row.state, "since_ns": row.since_ns, "age_ms": row.age_ms, "text": &*row.text,
        "retry_mono_ns": row.retry_mono_ns,
    })
}

pub fn limits(row: &Limits) -> Value {
    json!({
        "max_order_lots": row.max_order_lots, "max_position_lots": row.max_position_lots,
        "max_price_away_ticks": row.max_price_away_ticks, "max_working_orders": row.max_working_orders,
        "duplicate_window_ms": row.duplicate_window_ms, "max_notional_1e4": row.max_notional,
        "max_orders_per_second": row.max_orders_per_second, "max_orders_per_minute": row.max_orders_per_minute,
        "max_repeats": row.max_repeats, "repeat_window_ms": row.repeat_window_ms,
    })
}

pub fn risk(row: &RiskRow) -> Value {
    let throttled: Vec<&str> = row.throttled.iter().map(|source| &**source).collect();
    json!({
        "account_id": row.account_id, "rules_name": &*row.rules_name, "rules_source": &*row.rules_source,
        "rules_date": &*row.rules_date, "has_pending": row.has_pending, "mode": row.mode,
        "is_measured": row.is_measured, "day_ends_ns": row.day_ends_ns,
        "opening_balance_1e4": row.opening_balance_1e4, "high_balance_1e4": row.high_balance_1e4,
        "is_floor_uncertain": row.is_floor_uncertain,
        "floor_1e4": row.floor_1e4, "target_1e4": row.target_1e4, "equity_1e4": row.equity_1e4, "realised_1e4": row.realised_1e4,
        "open_1e4": row.open_1e4, "peak_1e4": row.peak_1e4, "trades": row.trades, "tenths_held": row.tenths_held,
        "tenths_max": row.tenths_max, "entries_end_ns": row.entries_end_ns, "flatten_ns": row.flatten_ns,
        "deadline_ns": row.deadline_ns, "throttled": throttled,
        "uses": row.uses.iter().map(rule_use).collect::<Value>(),
    })
}

fn rule_use(row: &RuleUseRow) -> Value {
    json!({
        "rule": row.rule, "used": row.used, "limit": row.limit, "percent": row.percent, "action": row.action,
        "is_latched": row.is_latched, "latched_ns": row.latched_ns, "until_ns": row.until_ns,
    })
}

/// The newest view of a contract, without its prints.
pub fn market(view: &MarketView) -> Value {
    json!({
        "contract": view.contract, "revision": view.revision, "book_state": view.book_state,
        "best_bid_ticks": view.best_bid_ticks, "best_ask_ticks": view.best_ask_ticks,
        "last_ticks": view.last_ticks, "last_lots": view.last_lots, "last_side": view.last_side,
        "open_ticks": view.open_ticks, "high_ticks": view.high_ticks, "low_ticks": view.low_ticks,
        "settle_ticks": view.settle_ticks, "session_lots": view.session_lots, "bids": view.bids, "asks": view.asks,
        "broker_time_ns": view.broker_time_ns, "is_late": view.is_late,
    })
}

/// The figures of `Engine.status()`.
pub fn status(engine: &Handle) -> Value {
    let mut figures = json!({});
    for (name, value) in engine.figures() {
        figures[name] = json!(value);
    }
    for (latency, name) in Latency::ALL {
        let [median, p95, p99] = engine.gauges().percentiles_us(latency);
        figures[format!("{name}_p50")] = json!(median);
        figures[format!("{name}_p95")] = json!(p95);
        figures[format!("{name}_p99")] = json!(p99);
    }
    figures["state"] = json!(engine.board().status.load().state);
    figures
}
