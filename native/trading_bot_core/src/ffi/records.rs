//! The records that Python sees: frozen, constructible by keyword, integers throughout.

#![expect(
    clippy::too_many_arguments,
    reason = "constructors take every field by keyword"
)]
#![expect(
    clippy::struct_field_names,
    reason = "fields are named as on the wire and in the stub"
)]

use numpy::PyArray1;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::calendar::Product;
use crate::types::{PriceError, thirty_seconds};

/// One listed contract. Price of `ticks` = `ticks * tick_units / 10^decimals`, exactly.
#[pyclass(module = "trading_bot_core", frozen, get_all, new = "from_fields", eq)]
#[derive(Clone, PartialEq, Debug)]
pub struct Contract {
    pub index: u32,
    pub id: String,
    pub name: String,
    pub description: String,
    pub symbol_id: String,
    pub root: String,
    pub tick_units: i64,
    pub decimals: u32,
    pub tick_value_1e4: i64,
    pub is_active: bool,
}

/// One account of the login.
#[pyclass(module = "trading_bot_core", frozen, get_all, new = "from_fields", eq)]
#[derive(Clone, PartialEq, Debug)]
pub struct Account {
    pub id: i64,
    pub name: String,
    pub word: String,
    pub kind_text: String,
    pub balance_1e4: i64,
    pub can_trade: bool,
    pub is_simulated: bool,
    pub is_own: bool,
    pub bracket_mode: String,
    pub managed_by: String,
}

/// One order as the engine knows it. `key` is the tag of our own orders and `#<broker id>` of foreign ones.
#[pyclass(module = "trading_bot_core", frozen, get_all, new = "from_fields", eq)]
#[derive(Clone, PartialEq, Debug)]
pub struct Order {
    pub key: String,
    pub tag: String,
    pub order_id: i64,
    pub account_id: i64,
    pub contract: u32,
    pub contract_id: String,
    pub side: String,
    pub kind: String,
    pub size_lots: i64,
    pub filled_lots: i64,
    pub limit_ticks: Option<i64>,
    pub stop_ticks: Option<i64>,
    pub trail_ticks: Option<i64>,
    pub wanted_size_lots: Option<i64>,
    pub wanted_limit_ticks: Option<i64>,
    pub wanted_stop_ticks: Option<i64>,
    pub average_fill_ticks_1e4: Option<i64>,
    pub life: String,
    pub change: String,
    pub doubt_since_ns: i64,
    pub look: String,
    pub role: String,
    pub holder: String,
    pub is_foreign: bool,
    pub parent_id: i64,
    pub linked_id: i64,
    pub parent_key: String,
    pub oco_group: String,
    pub queue_ahead_min: i64,
    pub queue_ahead_max: i64,
    pub created_ns: i64,
    pub updated_ns: i64,
    pub source: String,
    pub reason: String,
}

/// Net position of one account in one contract, from fills.
#[pyclass(module = "trading_bot_core", frozen, get_all, new = "from_fields", eq)]
#[derive(Clone, PartialEq, Debug)]
pub struct Position {
    pub account_id: i64,
    pub contract: u32,
    pub contract_id: String,
    pub net_lots: i64,
    pub average_ticks_1e4: i64,
    pub mark_ticks: Option<i64>,
    pub open_pnl_1e4: i64,
    pub realised_1e4: i64,
    pub fees_1e4: i64,
    pub stop_lots: i64,
    pub target_lots: i64,
    pub unprotected_lots: i64,
    pub source: String,
    pub checked_ns: i64,
    pub broker_net_lots: i64,
    pub is_disputed: bool,
}

/// A rule of this computer that moves a stop order.
#[pyclass(module = "trading_bot_core", frozen, get_all, new = "from_fields", eq)]
#[derive(Clone, PartialEq, Debug)]
pub struct StopRule {
    pub key: String,
    pub account_id: i64,
    pub contract: u32,
    pub contract_id: String,
    pub break_even_trigger_ticks: Option<i64>,
    pub break_even_plus_ticks: i64,
    pub trail_stages: Vec<(i64, i64, i64)>,
    pub is_immediate: bool,
    pub state: String,
    pub best_ticks: Option<i64>,
    pub level_ticks: Option<i64>,
    pub moves: i64,
    pub source: String,
    pub text: String,
}

/// One execution of ours or of a foreign order.
#[pyclass(module = "trading_bot_core", frozen, get_all, new = "from_fields", eq)]
#[derive(Clone, PartialEq, Debug)]
pub struct Fill {
    pub trade_id: i64,
    pub order_id: i64,
    pub tag: String,
    pub account_id: i64,
    pub contract: u32,
    pub contract_id: String,
    pub side: String,
    pub price_ticks: i64,
    pub size_lots: i64,
    pub fees_1e4: i64,
    pub pnl_1e4: Option<i64>,
    pub time_ns: i64,
    pub is_voided: bool,
}

/// State of one connection: name is market, user or rest.
#[pyclass(module = "trading_bot_core", frozen, get_all, new = "from_fields", eq)]
#[derive(Clone, PartialEq, Debug)]
pub struct Link {
    pub name: String,
    pub state: String,
    pub since_ns: i64,
    pub age_ms: i64,
    pub text: String,
    pub retry_mono_ns: i64,
}

/// News: an order row changed.
#[pyclass(module = "trading_bot_core", frozen, get_all, new = "from_fields")]
pub struct OrderChanged {
    pub order: Py<Order>,
}

/// News: an execution arrived.
#[pyclass(module = "trading_bot_core", frozen, get_all, new = "from_fields")]
pub struct FillAdded {
    pub fill: Py<Fill>,
}

/// News: a position row changed.
#[pyclass(module = "trading_bot_core", frozen, get_all, new = "from_fields")]
pub struct PositionChanged {
    pub position: Py<Position>,
}

/// News: an account row changed.
#[pyclass(module = "trading_bot_core", frozen, get_all, new = "from_fields")]
pub struct AccountChanged {
    pub account: Py<Account>,
}

/// News: a connection changed its state.
#[pyclass(module = "trading_bot_core", frozen, get_all, new = "from_fields")]
pub struct LinkChanged {
    pub link: Py<Link>,
}

/// The gate said no: every reason, as (code, sentence). Nothing was sent.
#[pyclass(module = "trading_bot_core", frozen, get_all, new = "from_fields", eq)]
#[derive(Clone, PartialEq, Debug)]
pub struct Denied {
    pub tag: String,
    pub account_id: i64,
    pub contract_id: String,
    pub reasons: Vec<(String, String)>,
}

/// level: info, warning, alarm.
#[pyclass(module = "trading_bot_core", frozen, get_all, new = "from_fields", eq)]
#[derive(Clone, PartialEq, Debug)]
pub struct Notice {
    pub level: String,
    pub code: String,
    pub text: String,
    pub time_ns: i64,
}

/// Answer to a request id. outcome: done, denied, refused, unknown, failed. `text` is one sentence.
#[pyclass(module = "trading_bot_core", frozen, get_all, new = "from_fields", eq)]
#[derive(Clone, PartialEq, Debug)]
pub struct RequestDone {
    pub request_id: u64,
    pub outcome: String,
    pub text: String,
    pub payload_json: String,
}

/// News: one step of a close, reverse, flatten or group cancel.
#[pyclass(module = "trading_bot_core", frozen, get_all, new = "from_fields", eq)]
#[derive(Clone, PartialEq, Debug)]
pub struct ExitProgress {
    pub exit: i64,
    pub account_id: i64,
    pub contract_id: String,
    pub goal: String,
    pub step: String,
    pub count: i64,
    pub total: i64,
    pub text: String,
    pub time_ns: i64,
}

/// News: a stop rule was attached, went on, moved its stop or ended.
#[pyclass(module = "trading_bot_core", frozen, get_all, new = "from_fields")]
pub struct StopRuleChanged {
    pub rule: Py<StopRule>,
}

/// News: a source was armed or disarmed for an account.
#[pyclass(module = "trading_bot_core", frozen, get_all, new = "from_fields", eq)]
#[derive(Clone, PartialEq, Debug)]
pub struct ArmedChanged {
    pub source: String,
    pub account_id: i64,
    pub is_armed: bool,
}

/// News was dropped because nobody drained; reload the views.
#[pyclass(module = "trading_bot_core", frozen, get_all, new = "from_fields", eq)]
#[derive(Clone, PartialEq, Debug)]
pub struct Resync {}

/// One contract as of one revision; the columns belong to Python.
#[pyclass(module = "trading_bot_core", frozen, get_all, new = "from_fields")]
pub struct MarketFrame {
    pub contract: u32,
    pub revision: u64,
    pub bid_ticks: Py<PyArray1<i64>>,
    pub bid_lots: Py<PyArray1<i64>>,
    pub ask_ticks: Py<PyArray1<i64>>,
    pub ask_lots: Py<PyArray1<i64>>,
    pub book_state: String,
    pub best_bid_ticks: Option<i64>,
    pub best_ask_ticks: Option<i64>,
    pub last_ticks: Option<i64>,
    pub last_lots: i64,
    pub last_side: String,
    pub open_ticks: Option<i64>,
    pub high_ticks: Option<i64>,
    pub low_ticks: Option<i64>,
    pub settle_ticks: Option<i64>,
    pub session_lots: i64,
    pub traded_ticks: Py<PyArray1<i64>>,
    pub traded_bought_lots: Py<PyArray1<i64>>,
    pub traded_sold_lots: Py<PyArray1<i64>>,
    pub recent_ticks: Py<PyArray1<i64>>,
    pub recent_bought_lots: Py<PyArray1<i64>>,
    pub recent_sold_lots: Py<PyArray1<i64>>,
    pub trade_time_ns: Py<PyArray1<i64>>,
    pub trade_ticks: Py<PyArray1<i64>>,
    pub trade_lots: Py<PyArray1<i64>>,
    pub trade_is_buy: Py<PyArray1<bool>>,
    pub trades_skipped: i64,
    pub broker_time_ns: i64,
    pub receive_mono_ns: i64,
    pub age_ms: i64,
    pub is_late: bool,
}

/// Bars of one series from `first_changed` on.
#[pyclass(module = "trading_bot_core", frozen, get_all, new = "from_fields")]
pub struct BarFrame {
    pub contract: u32,
    pub unit: String,
    pub number: i64,
    pub revision: u64,
    pub first_changed: i64,
    pub count: i64,
    pub time_ns: Py<PyArray1<i64>>,
    pub open_ticks: Py<PyArray1<i64>>,
    pub high_ticks: Py<PyArray1<i64>>,
    pub low_ticks: Py<PyArray1<i64>>,
    pub close_ticks: Py<PyArray1<i64>>,
    pub volume_lots: Py<PyArray1<i64>>,
    pub is_forming: bool,
    pub is_loading: bool,
}
#[pymethods]
impl Contract {
    /// Decimal text of a price, with the contract's full number of decimals.
    fn price_text(&self, ticks: i64) -> String {
        price_text(
            i128::from(ticks) * i128::from(self.tick_units),
            self.decimals,
        )
    }

    /// Ticks of a decimal price, or of a Treasury's in 32nds; refuses text off the grid and names the two nearest prices.
    fn ticks_from_text(&self, text: &str) -> PyResult<i64> {
        if thirty_seconds::is_written_so(text) && Product::of_root(&self.root) == Product::Rates {
            return self.ticks_from_32nds(text);
        }
        let off_scale =
            || PyValueError::new_err(format!("{text:?} is not a decimal price of {}.", self.name));
        let (units, is_exact) = units_from_text(text, self.decimals).ok_or_else(off_scale)?;
        let tick = i128::from(self.tick_units.max(1));
        let floor = units.div_euclid(tick);
        if is_exact && units.rem_euclid(tick) == 0 {
            return i64::try_from(floor).map_err(|_| off_scale());
        }
        Err(self.off_grid(text, floor))
    }
}

impl Contract {
    fn ticks_from_32nds(&self, text: &str) -> PyResult<i64> {
        let decimals = u8::try_from(self.decimals).unwrap_or(u8::MAX);
        match thirty_seconds::on_grid(self.tick_units, decimals, text) {
            Ok(ticks) => Ok(ticks.0),
            Err(PriceError::OffGrid { below, .. }) => Err(self.off_grid(text, i128::from(below.0))),
            Err(PriceError::Unreadable | PriceError::OutOfRange) => {
                Err(PyValueError::new_err(format!(
                    "{text:?} is not a price of {} in 32nds; 110'165 is 110 and 16.5 of them.",
                    self.name
                )))
            }
        }
    }

    /// The refusal of a price between two ticks; `floor` is the lower one.
    fn off_grid(&self, text: &str, floor: i128) -> PyErr {
        let tick = i128::from(self.tick_units.max(1));
        PyValueError::new_err(format!(
            "{} is not on the {} grid of {}; nearest are {} and {}.",
            text.trim(),
            price_text(tick, self.decimals),
            self.name,
            price_text(floor * tick, self.decimals),
            price_text((floor + 1) * tick, self.decimals),
        ))
    }
}

/// Writes `units` of 10^-decimals as text.
fn price_text(units: i128, decimals: u32) -> String {
    let sign = if units < 0 { "-" } else { "" };
    let digits = format!(
        "{:0>width$}",
        units.unsigned_abs(),
        width = decimals as usize + 1
    );
    let (whole, fraction) = digits.split_at(digits.len() - decimals as usize);
    if fraction.is_empty() {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{fraction}")
    }
}

/// Reads decimal text into units of 10^-decimals, rounded down, and whether nothing was cut; spaces and thousands
/// separators of the screen are accepted. `None` when it is no number or too large.
fn units_from_text(text: &str, decimals: u32) -> Option<(i128, bool)> {
    let plain: String = text
        .chars()
        .filter(|c| !c.is_whitespace() && *c != ',' && *c != '_')
        .collect();
    let (is_negative, body) = match plain.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, plain.strip_prefix('+').unwrap_or(&plain)),
    };
    let (whole, fraction) = body.split_once('.').unwrap_or((body, ""));
    let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty())
        || whole.len() > 15
        || !all_digits(whole)
        || !all_digits(fraction)
    {
        return None;
    }
    let kept = fraction.len().min(decimals as usize);
    let digits = format!(
        "{whole}{:0<width$}",
        &fraction[..kept],
        width = decimals as usize
    );
    let units: i128 = if digits.is_empty() {
        0
    } else {
        digits.parse().ok()?
    };
    let is_exact = fraction[kept..].bytes().all(|b| b == b'0');
    let signed = if is_negative {
        -units - i128::from(!is_exact)
    } else {
        units
    };
    Some((signed, is_exact))
}

/// First risk gate, per account.
#[pyclass(module = "trading_bot_core", frozen, get_all, eq)]
#[derive(Clone, PartialEq, Debug)]
pub struct Limits {
    pub max_order_lots: i64,
    pub max_position_lots: i64,
    pub max_price_away_ticks: i64,
    pub max_working_orders: i64,
    pub duplicate_window_ms: i64,
    pub max_notional_1e4: i64,
    pub max_orders_per_second: i64,
    pub max_orders_per_minute: i64,
    pub max_repeats: i64,
    pub repeat_window_ms: i64,
}

#[pymethods]
impl Limits {
    #[new]
    #[pyo3(signature = (*, max_order_lots = 5, max_position_lots = 10, max_price_away_ticks = 400,
                        max_working_orders = 60, duplicate_window_ms = 300, max_notional_1e4 = 100_000_000_000,
                        max_orders_per_second = 20, max_orders_per_minute = 100, max_repeats = 30,
                        repeat_window_ms = 60_000))]
    fn new(
        max_order_lots: i64,
        max_position_lots: i64,
        max_price_away_ticks: i64,
        max_working_orders: i64,
        duplicate_window_ms: i64,
        max_notional_1e4: i64,
        max_orders_per_second: i64,
        max_orders_per_minute: i64,
        max_repeats: i64,
        repeat_window_ms: i64,
    ) -> Self {
        Self {
            max_order_lots,
            max_position_lots,
            max_price_away_ticks,
            max_working_orders,
            duplicate_window_ms,
            max_notional_1e4,
            max_orders_per_second,
            max_orders_per_minute,
            max_repeats,
            repeat_window_ms,
        }
    }
}

/// The classes that `drain()` returns.
pub const EVENTS: [&str; 13] = [
    "OrderChanged",
    "FillAdded",
    "PositionChanged",
    "AccountChanged",
    "LinkChanged",
    "RiskChanged",
    "Denied",
    "Notice",
    "RequestDone",
    "ArmedChanged",
    "StopRuleChanged",
    "ExitProgress",
    "Resync",
];

/// Adds every record class to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Contract>()?;
    module.add_class::<Account>()?;
    module.add_class::<Order>()?;
    module.add_class::<Position>()?;
    module.add_class::<Fill>()?;
    module.add_class::<Link>()?;
    module.add_class::<Limits>()?;
    module.add_class::<OrderChanged>()?;
    module.add_class::<FillAdded>()?;
    module.add_class::<PositionChanged>()?;
    module.add_class::<AccountChanged>()?;
    module.add_class::<LinkChanged>()?;
    module.add_class::<Denied>()?;
    module.add_class::<Notice>()?;
    module.add_class::<RequestDone>()?;
    module.add_class::<ArmedChanged>()?;
    module.add_class::<StopRule>()?;
    module.add_class::<StopRuleChanged>()?;
    module.add_class::<ExitProgress>()?;
    module.add_class::<Resync>()?;
    module.add_class::<MarketFrame>()?;
    module.add_class::<BarFrame>()?;
    Ok(())
}
