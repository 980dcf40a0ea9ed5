//! The `Engine` class: every method crosses one of two gates that convert errors and panics. What may wait releases the
//! interpreter; what only queues a command keeps it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use numpy::{IntoPyArray, PyArray2, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use secrecy::SecretString;

use super::convert;
use super::errors::engine_error;
use super::frames::{BarColumns, FrameColumns};
use super::{records, risk};
use crate::clock::mono;
use crate::database::home::HomeError;
use crate::database::log::Durability;
use crate::database::panic_report;
use crate::engine::contract::{BarUnit, Command, Draft, Group, Wanted};
use crate::engine::handle::{Handle, Refusal, Start};
use crate::engine::news::Latency;
use crate::engine::session::Connect;
use crate::engine::wakefulness::Spin;
use crate::engine::words;
use crate::market_data::{BookTrace, TRACE_WIDTH};
use crate::order_execution::gate::Limits;
use crate::types::{Lots, Mono, OrderKind, RequestId, Side, Ticks};

impl From<Refusal> for PyErr {
    fn from(refusal: Refusal) -> Self {
        engine_error(refusal.kind(), refusal.to_string())
    }
}

/// Runs `work` without the interpreter; a panic becomes an `EngineError` of kind `fault`.
fn gate<T: Send>(py: Python<'_>, work: impl FnOnce() -> T + Send) -> PyResult<T> {
    py.detach(|| catch_unwind(AssertUnwindSafe(work)))
        .map_err(|_| fault())
}

/// The same for work that never waits, with the interpreter kept: whoever took it meanwhile would give it back only after
/// a turn of its own, and a press would wait for that.
fn quick_gate<T>(work: impl FnOnce() -> T) -> PyResult<T> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| fault())
}

fn fault() -> PyErr {
    engine_error(
        "fault",
        "The engine failed inside a call; restart the program.",
    )
}

fn invalid(text: String) -> PyErr {
    Refusal::Invalid(text).into()
}

/// The engine of one base directory. Creating it takes the lock and starts the threads; `shutdown()` joins them.
#[pyclass(module = "trading_bot_core", frozen)]
pub struct Engine {
    handle: Arc<Handle>,
    trace: BookTrace,
}

impl Engine {
    fn ask(&self, make: impl FnOnce(RequestId) -> Command) -> PyResult<u64> {
        Ok(quick_gate(|| self.handle.ask(make))??.0)
    }

    fn push(&self, command: Command) -> PyResult<()> {
        Ok(quick_gate(|| self.handle.push(command))??)
    }
}

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (base_directory, wake_fd, *, is_headless = false, journal_sync = "group", spin = "auto"))]
    fn new(
        py: Python<'_>,
        base_directory: &str,
        wake_fd: i32,
        is_headless: bool,
        journal_sync: &str,
        spin: &str,
    ) -> PyResult<Self> {
        let durability = Durability::from_word(journal_sync).ok_or_else(|| {
            invalid(format!(
                "Sync {journal_sync:?} is unknown; group and before_send are allowed."
            ))
        })?;
        let spin = Spin::from_word(spin).ok_or_else(|| {
            invalid(format!(
                "Spin {spin:?} is unknown; off, auto and on are allowed."
            ))
        })?;
        let start = Start {
            wake_fd,
            durability,
            spin,
            ..Start::default()
        };
        let directory = PathBuf::from(base_directory);
        let handle =
            gate(py, || Handle::start_with(&directory, start))?.map_err(|error| match error {
                HomeError::Held { .. } => engine_error("busy", error.to_string()),
                HomeError::Io { .. } => engine_error("io", error.to_string()),
            })?;
        panic_report::install(&directory);
        tracing::info!(is_headless, "engine state=started");
        Ok(Self {
            handle,
            trace: BookTrace::default(),
        })
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the seam fixes them; all are named in the stub"
    )]
    #[pyo3(signature = (rest_url, user_hub_url, market_hub_url, user_name, api_key, *, environment))]
    fn connect(
        &self,
        py: Python<'_>,
        rest_url: String,
        user_hub_url: String,
        market_hub_url: String,
        user_name: String,
        api_key: String,
        environment: &str,
    ) -> PyResult<u64> {
        let environment = words::environment(environment)?;
        let request = self.handle.request();
        let api_key = SecretString::from(api_key);
        let connect = Connect {
            request,
            rest_url,
            user_hub_url,
            market_hub_url,
            user_name,
            api_key,
            environment,
        };
        gate(py, || self.handle.connect(connect))??;
        Ok(request.0)
    }

    fn disconnect(&self) -> PyResult<u64> {
        self.ask(|request| Command::Disconnect { request })
    }

    fn choose_accounts(&self, account_ids: Vec<i64>) -> PyResult<u64> {
        let accounts = account_ids.into_iter().map(words::account);
        let accounts = accounts.collect::<Result<Vec<_>, _>>()?;
        self.ask(|request| Command::ChooseAccounts { request, accounts })
    }

    fn shutdown(&self, py: Python<'_>) -> PyResult<()> {
        gate(py, || self.handle.shutdown())
    }

    fn is_running(&self) -> bool {
        self.handle.is_running()
    }

    fn beat_window(&self) {
        self.handle.beat_window();
    }

    /// Owns the descriptor from now on, whatever happens.
    #[cfg(unix)]
    fn lead_guardian(&self, py: Python<'_>, pipe_fd: i32) -> PyResult<()> {
        use std::os::fd::FromRawFd;
        if pipe_fd < 0 {
            return Err(invalid(format!("{pipe_fd} is no descriptor.")));
        }
        // SAFETY: the caller made this descriptor for us and gives it up, as the stub says.
        let pipe = unsafe { std::fs::File::from_raw_fd(pipe_fd) };
        gate(py, || self.handle.lead_guardian(pipe))
    }

    fn halt(&self, reason: String) -> PyResult<()> {
        self.push(Command::Halt { reason })
    }

    fn subscribe(&self, contract_id: String) -> PyResult<u64> {
        self.ask(|request| Command::Subscribe {
            request,
            contract_id,
        })
    }

    fn unsubscribe(&self, contract_id: String) -> PyResult<u64> {
        self.ask(|request| Command::Unsubscribe {
            request,
            contract_id,
        })
    }

    #[pyo3(signature = (contract_id, unit, number, history_count))]
    fn watch_bars(
        &self,
        contract_id: String,
        #[pyo3(from_py_with = unit_argument)] unit: BarUnit,
        number: i64,
        history_count: i64,
    ) -> PyResult<u64> {
        self.ask(|request| Command::WatchBars {
            request,
            contract_id,
            unit,
            number,
            history_count,
        })
    }

    #[pyo3(signature = (contract, since_revision, trade_limit = 500))]
    fn frame(
        &self,
        py: Python<'_>,
        contract: i64,
        since_revision: i64,
        trade_limit: usize,
    ) -> PyResult<Option<records::MarketFrame>> {
        let columns = gate(py, || {
            let view = self.handle.market(contract)?;
            (view.revision > since_revision)
                .then(|| FrameColumns::of(view, since_revision, trade_limit))
        })?;
        Ok(columns.map(|columns| columns.into_frame(py)))
    }

    #[pyo3(signature = (contract, unit, number, since_revision))]
    fn bars(
        &self,
        py: Python<'_>,
        contract: i64,
        #[pyo3(from_py_with = unit_argument)] unit: BarUnit,
        number: i64,
        since_revision: i64,
    ) -> PyResult<Option<records::BarFrame>> {
        let columns = gate(py, || {
            let view = self.handle.bars(contract, unit, number)?;
            (view.revision > since_revision).then(|| BarColumns::of(view, since_revision))
        })?;
        Ok(columns.map(|columns| columns.into_frame(py)))
    }

    fn trace_book(&self, contract_id: String) -> PyResult<()> {
        let trace = self.trace.clone();
        self.push(Command::TraceBook { contract_id, trace })
    }

    fn take_book_trace<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<i64>>> {
        let rows = gate(py, || self.trace.take())?;
        let count = rows.len() / TRACE_WIDTH;
        rows.into_pyarray(py).reshape([count, TRACE_WIDTH])
    }

    fn search_contracts(&self, text: String) -> PyResult<u64> {
        self.ask(|request| Command::SearchContracts { request, text })
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the seam fixes them; all are named in the stub"
    )]
    #[pyo3(signature = (account_id, contract_id, side, kind, size_lots, *, source, limit_ticks = None,
                        stop_ticks = None, trail_ticks = None, stop_bracket_ticks = None,
                        target_bracket_ticks = None, reduce_only = false, pressed_mono_ns = 0))]
    fn submit(
        &self,
        account_id: i64,
        contract_id: String,
        #[pyo3(from_py_with = side_argument)] side: Side,
        #[pyo3(from_py_with = kind_argument)] kind: OrderKind,
        size_lots: i64,
        source: String,
        limit_ticks: Option<i64>,
        stop_ticks: Option<i64>,
        trail_ticks: Option<i64>,
        stop_bracket_ticks: Option<i64>,
        target_bracket_ticks: Option<i64>,
        reduce_only: bool,
        pressed_mono_ns: u64,
    ) -> PyResult<String> {
        let tag = self.handle.mint();
        let draft = Draft {
            tag,
            account: words::account(account_id)?,
            contract_id,
            side,
            kind,
            size: Lots(size_lots),
            limit: limit_ticks.map(Ticks),
            stop: stop_ticks.map(Ticks),
            trail: trail_ticks.map(Ticks),
            stop_bracket_ticks,
            target_bracket_ticks,
            is_reduce_only: reduce_only,
            source,
            pressed: Mono(pressed_mono_ns),
        };
        quick_gate(|| self.handle.submit(draft))??;
        Ok(tag.to_string())
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the seam fixes them; all are named in the stub"
    )]
    #[pyo3(signature = (account_id, contract_id, side, kind, size_lots, *, source, stop_leg_ticks, target_legs = None,
                        held_by = "broker", when_bare = "alarm", break_even_trigger_ticks = None,
                        break_even_plus_ticks = 0, trail_stages = None, limit_ticks = None, stop_ticks = None,
                        trail_ticks = None, pressed_mono_ns = 0))]
    fn submit_bracket(
        &self,
        account_id: i64,
        contract_id: String,
        #[pyo3(from_py_with = side_argument)] side: Side,
        #[pyo3(from_py_with = kind_argument)] kind: OrderKind,
        size_lots: i64,
        source: String,
        stop_leg_ticks: i64,
        target_legs: Option<Vec<(i64, i64)>>,
        held_by: &str,
        when_bare: &str,
        break_even_trigger_ticks: Option<i64>,
        break_even_plus_ticks: i64,
        trail_stages: Option<Vec<(i64, i64, i64)>>,
        limit_ticks: Option<i64>,
        stop_ticks: Option<i64>,
        trail_ticks: Option<i64>,
        pressed_mono_ns: u64,
    ) -> PyResult<String> {
        let plan = words::bracket_plan(
            stop_leg_ticks,
            target_legs.unwrap_or_default(),
            held_by,
            when_bare,
            words::stop_plan(
                break_even_trigger_ticks,
                break_even_plus_ticks,
                trail_stages.unwrap_or_default(),
                false,
            ),
        )?;
        let tag = self.handle.mint();
        let draft = Draft {
            tag,
            account: words::account(account_id)?,
            contract_id,
            side,
            kind,
            size: Lots(size_lots),
            limit: limit_ticks.map(Ticks),
            stop: stop_ticks.map(Ticks),
            trail: trail_ticks.map(Ticks),
            stop_bracket_ticks: None,
            target_bracket_ticks: None,
            is_reduce_only: false,
            source,
            pressed: Mono(pressed_mono_ns),
        };
        quick_gate(|| self.handle.submit_bracket(draft, plan))??;
        Ok(tag.to_string())
    }

    #[pyo3(signature = (keys, *, source))]
    fn link_oco(&self, keys: Vec<String>, source: String) -> PyResult<u64> {
        self.ask(|request| Command::LinkOco {
            request,
            keys,
            source,
        })
    }

    fn set_bracket_mode(&self, account_id: i64, mode: &str) -> PyResult<u64> {
        let account = words::account(account_id)?;
        let mode = words::bracket_mode(mode)?;
        self.ask(|request| Command::SetBracketMode {
            request,
            account,
            mode,
        })
    }

    #[pyo3(signature = (key, *, size_lots = None, limit_ticks = None, stop_ticks = None, trail_ticks = None, source))]
    fn modify(
        &self,
        key: String,
        size_lots: Option<i64>,
        limit_ticks: Option<i64>,
        stop_ticks: Option<i64>,
        trail_ticks: Option<i64>,
        source: String,
    ) -> PyResult<u64> {
        let wanted = Wanted {
            size: size_lots.map(Lots),
            limit: limit_ticks.map(Ticks),
            stop: stop_ticks.map(Ticks),
            trail: trail_ticks.map(Ticks),
        };
        self.ask(|request| Command::Modify {
            request,
            key,
            wanted,
            source,
        })
    }

    #[pyo3(signature = (key, *, source))]
    fn cancel(&self, key: String, source: String) -> PyResult<u64> {
        self.ask(|request| Command::Cancel {
            request,
            key,
            source,
        })
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the seam fixes them; all are named in the stub"
    )]
    #[pyo3(signature = (account_id, *, contract_id = None, side = None, kind = None, role = None,
                        lowest_ticks = None, highest_ticks = None, source))]
    fn cancel_group(
        &self,
        account_id: i64,
        contract_id: Option<String>,
        side: Option<&str>,
        kind: Option<&str>,
        role: Option<&str>,
        lowest_ticks: Option<i64>,
        highest_ticks: Option<i64>,
        source: String,
    ) -> PyResult<u64> {
        let account = words::account(account_id)?;
        let group = Group {
            contract_id,
            side: side.map(words::side).transpose()?,
            kind: kind.map(words::kind).transpose()?,
            role: role.map(words::role).transpose()?,
            lowest: lowest_ticks.map(Ticks),
            highest: highest_ticks.map(Ticks),
        };
        self.ask(|request| Command::CancelGroup {
            request,
            account,
            group,
            source,
        })
    }

    #[pyo3(signature = (account_id, contract_id, *, size_lots = None, percent = None, source))]
    fn close_position(
        &self,
        account_id: i64,
        contract_id: String,
        size_lots: Option<i64>,
        percent: Option<i64>,
        source: String,
    ) -> PyResult<u64> {
        let account = words::account(account_id)?;
        let part = words::part(size_lots, percent)?;
        self.ask(|request| Command::ClosePosition {
            request,
            account,
            contract_id,
            part,
            source,
        })
    }

    #[pyo3(signature = (account_id, contract_id, *, stop_ticks = None, target_ticks = None, source))]
    fn reverse(
        &self,
        account_id: i64,
        contract_id: String,
        stop_ticks: Option<i64>,
        target_ticks: Option<i64>,
        source: String,
    ) -> PyResult<u64> {
        let account = words::account(account_id)?;
        let tag = self.handle.mint();
        self.ask(|request| Command::Reverse {
            request,
            account,
            contract_id,
            tag,
            stop_ticks,
            target_ticks,
            source,
        })
    }

    #[pyo3(signature = (*, source))]
    fn flatten_everything(&self, source: String) -> PyResult<u64> {
        self.ask(|request| Command::FlattenEverything { request, source })
    }

    #[pyo3(signature = (account_id, *, contract_id = None, source))]
    fn flatten(
        &self,
        account_id: i64,
        contract_id: Option<String>,
        source: String,
    ) -> PyResult<u64> {
        let account = words::account(account_id)?;
        self.ask(|request| Command::Flatten {
            request,
            account,
            contract_id,
            source,
        })
    }

    #[pyo3(signature = (key, *, break_even_trigger_ticks = None, break_even_plus_ticks = 0,
                        trail_stages = None, is_immediate = false, source))]
    fn set_stop_rule(
        &self,
        key: String,
        break_even_trigger_ticks: Option<i64>,
        break_even_plus_ticks: i64,
        trail_stages: Option<Vec<(i64, i64, i64)>>,
        is_immediate: bool,
        source: String,
    ) -> PyResult<u64> {
        let plan = Some(words::stop_plan(
            break_even_trigger_ticks,
            break_even_plus_ticks,
            trail_stages.unwrap_or_default(),
            is_immediate,
        ));
        self.ask(|request| Command::SetStopRule {
            request,
            key,
            plan,
            source,
        })
    }

    #[pyo3(signature = (key, *, source))]
    fn clear_stop_rule(&self, key: String, source: String) -> PyResult<u64> {
        self.ask(|request| Command::SetStopRule {
            request,
            key,
            plan: None,
            source,
        })
    }

    fn arm(&self, source: String, account_id: i64, is_armed: bool) -> PyResult<()> {
        let account = words::account(account_id)?;
        self.push(Command::Arm {
            source,
            account,
            is_armed,
        })
    }

    fn set_limits(&self, account_id: i64, limits: &Bound<'_, records::Limits>) -> PyResult<()> {
        let stated = limits.get();
        let limits = Limits {
            max_order_lots: stated.max_order_lots,
            max_position_lots: stated.max_position_lots,
            max_price_away_ticks: stated.max_price_away_ticks,
            max_working_orders: stated.max_working_orders,
            duplicate_window_ms: stated.duplicate_window_ms,
            max_notional: stated.max_notional_1e4,
            max_orders_per_second: stated.max_orders_per_second,
            max_orders_per_minute: stated.max_orders_per_minute,
            max_repeats: stated.max_repeats,
            repeat_window_ms: stated.repeat_window_ms,
        };
        let account = words::account(account_id)?;
        self.push(Command::SetLimits { account, limits })
    }

    fn set_rules(&self, account_id: i64, rules: &Bound<'_, risk::Rules>) -> PyResult<u64> {
        let account = words::account(account_id)?;
        let rules = Box::new(rules.get().rules().map_err(invalid)?);
        self.ask(|request| Command::SetRules {
            request,
            account,
            rules,
        })
    }

    #[pyo3(signature = (account_id, mode, *, source))]
    fn set_mode(&self, account_id: i64, mode: &str, source: String) -> PyResult<u64> {
        let account = words::account(account_id)?;
        let mode = words::mode(mode)?;
        self.ask(|request| Command::SetMode {
            request,
            account,
            mode,
            source,
        })
    }

    #[pyo3(signature = (account_id, throttled, *, source))]
    fn release_throttle(
        &self,
        account_id: i64,
        throttled: String,
        source: String,
    ) -> PyResult<u64> {
        let account = words::account(account_id)?;
        self.ask(|request| Command::ReleaseThrottle {
            request,
            account,
            source: throttled,
            by: source,
        })
    }

    fn risks(&self) -> Vec<risk::Risk> {
        let rows = self.handle.board().risks.load();
        rows.iter().map(risk::risk).collect()
    }

    fn reconcile(&self) -> PyResult<u64> {
        self.ask(|request| Command::Reconcile { request })
    }

    fn accounts(&self) -> Vec<records::Account> {
        self.handle
            .board()
            .accounts
            .load()
            .iter()
            .map(convert::account)
            .collect()
    }

    fn contracts(&self) -> Vec<records::Contract> {
        self.handle
            .board()
            .contracts
            .load()
            .iter()
            .map(|contract| convert::contract(contract))
            .collect()
    }

    fn orders(&self) -> Vec<records::Order> {
        self.handle
            .board()
            .orders
            .load()
            .iter()
            .map(|row| convert::order(row))
            .collect()
    }

    fn orders_since(&self, revision: i64) -> (i64, usize, Vec<records::Order>) {
        let orders = self.handle.board().orders.load();
        let newest = orders.iter().map(|row| row.revision).max();
        let changed = orders.iter().filter(|row| row.revision > revision);
        let rows = changed.map(|row| convert::order(row)).collect();
        (newest.unwrap_or(0), orders.len(), rows)
    }

    fn positions(&self) -> Vec<records::Position> {
        self.handle
            .board()
            .positions
            .load()
            .iter()
            .map(convert::position)
            .collect()
    }

    fn fills(&self) -> Vec<records::Fill> {
        self.handle
            .board()
            .fills
            .load()
            .iter()
            .map(convert::fill)
            .collect()
    }

    fn stop_rules(&self) -> Vec<records::StopRule> {
        self.handle
            .board()
            .stop_rules
            .load()
            .iter()
            .map(convert::stop_rule)
            .collect()
    }

    fn links(&self) -> Vec<records::Link> {
        self.handle
            .board()
            .links
            .load()
            .iter()
            .map(convert::link)
            .collect()
    }

    fn limits(&self, account_id: i64) -> records::Limits {
        convert::limits(&self.handle.limits(account_id))
    }

    fn is_armed(&self, source: &str, account_id: i64) -> bool {
        self.handle.is_armed(source, account_id)
    }

    fn status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let figures = PyDict::new(py);
        figures.set_item("state", self.handle.board().status.load().state)?;
        for (name, value) in self.handle.figures() {
            figures.set_item(name, value)?;
        }
        for (latency, name) in Latency::ALL {
            let figures_us = self.handle.gauges().percentiles_us(latency);
            for (quantile, value) in ["p50", "p95", "p99"].into_iter().zip(figures_us) {
                figures.set_item(format!("{name}_{quantile}"), value)?;
            }
        }
        Ok(figures)
    }

    fn clear_wake(&self) {
        self.handle.news().clear_wake();
    }

    #[pyo3(signature = (limit = 1024))]
    fn drain(&self, py: Python<'_>, limit: usize) -> PyResult<Vec<Py<PyAny>>> {
        let items = gate(py, || self.handle.news().drain(limit))?;
        items
            .into_iter()
            .map(|item| convert::news(py, item))
            .collect()
    }

    fn forget_latencies(&self) {
        self.handle.gauges().forget();
    }

    fn note_painted(&self, receive_mono_ns: u64) {
        if receive_mono_ns > 0 {
            let nanos = mono().0.saturating_sub(receive_mono_ns);
            self.handle
                .gauges()
                .record(Latency::ReceiveToPainted, nanos);
        }
    }

    #[expect(clippy::unused_self, reason = "the seam has it as a method")]
    fn mono_ns(&self) -> u64 {
        mono().0
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Forgotten by its owner: the threads must still end before the wake socket can be closed.
        self.handle.shutdown();
    }
}

fn unit_argument(value: &Bound<'_, PyAny>) -> PyResult<BarUnit> {
    Ok(words::bar_unit(value.extract()?)?)
}

fn side_argument(value: &Bound<'_, PyAny>) -> PyResult<Side> {
    Ok(words::side(value.extract()?)?)
}

fn kind_argument(value: &Bound<'_, PyAny>) -> PyResult<OrderKind> {
    Ok(words::kind(value.extract()?)?)
}
