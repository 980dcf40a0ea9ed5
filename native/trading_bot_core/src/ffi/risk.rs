//! The account rules as Python states and reads them.

#![expect(
    clippy::too_many_arguments,
    reason = "constructors take every field by keyword"
)]

use std::collections::{BTreeMap, BTreeSet};

use pyo3::prelude::*;

use crate::engine::views::{RiskRow, RuleUseRow};
use crate::risk_rules::{self, Action, ScalingStep};

/// The rules of one account; None and empty mean: no such rule.
#[pyclass(module = "trading_bot_core", frozen, get_all, eq)]
#[derive(Clone, PartialEq, Debug)]
pub struct Rules {
    pub name: String,
    pub source: String,
    pub date: String,
    pub start_balance_1e4: i64,
    pub stated_high_1e4: Option<i64>,
    pub max_loss_1e4: Option<i64>,
    pub max_loss_action: String,
    pub daily_loss_1e4: Option<i64>,
    pub daily_loss_action: String,
    pub personal_loss_1e4: Option<i64>,
    pub personal_loss_action: String,
    pub is_personal_trailing: bool,
    pub counts_open: bool,
    pub profit_target_1e4: Option<i64>,
    pub daily_target_1e4: Option<i64>,
    pub daily_target_action: String,
    pub trades_max: Option<i64>,
    pub minis_max: Option<i64>,
    pub scaling: Vec<(i64, i64)>,
    pub weights: BTreeMap<String, i64>,
    pub families: Vec<Vec<String>>,
    pub permitted: Option<Vec<String>>,
    pub forbids_opposite: bool,
    pub flat_by_minute: Option<i64>,
    pub entries_stop_s: i64,
    pub flatten_before_s: i64,
}

#[pymethods]
impl Rules {
    #[new]
    #[pyo3(signature = (*, name, source = String::new(), date = String::new(), start_balance_1e4 = 0,
                        stated_high_1e4 = None, max_loss_1e4 = None, max_loss_action = "flatten".to_owned(),
                        daily_loss_1e4 = None, daily_loss_action = "flatten".to_owned(), personal_loss_1e4 = None,
                        personal_loss_action = "flatten".to_owned(), is_personal_trailing = false, counts_open = true,
                        profit_target_1e4 = None, daily_target_1e4 = None, daily_target_action = "block".to_owned(),
                        trades_max = None, minis_max = None, scaling = Vec::new(), weights = BTreeMap::new(),
                        families = Vec::new(), permitted = None, forbids_opposite = false, flat_by_minute = None,
                        entries_stop_s = 600, flatten_before_s = 180))]
    fn new(
        name: String,
        source: String,
        date: String,
        start_balance_1e4: i64,
        stated_high_1e4: Option<i64>,
        max_loss_1e4: Option<i64>,
        max_loss_action: String,
        daily_loss_1e4: Option<i64>,
        daily_loss_action: String,
        personal_loss_1e4: Option<i64>,
        personal_loss_action: String,
        is_personal_trailing: bool,
        counts_open: bool,
        profit_target_1e4: Option<i64>,
        daily_target_1e4: Option<i64>,
        daily_target_action: String,
        trades_max: Option<i64>,
        minis_max: Option<i64>,
        scaling: Vec<(i64, i64)>,
        weights: BTreeMap<String, i64>,
        families: Vec<Vec<String>>,
        permitted: Option<Vec<String>>,
        forbids_opposite: bool,
        flat_by_minute: Option<i64>,
        entries_stop_s: i64,
        flatten_before_s: i64,
    ) -> Self {
        Self {
            name,
            source,
            date,
            start_balance_1e4,
            stated_high_1e4,
            max_loss_1e4,
            max_loss_action,
            daily_loss_1e4,
            daily_loss_action,
            personal_loss_1e4,
            personal_loss_action,
            is_personal_trailing,
            counts_open,
            profit_target_1e4,
            daily_target_1e4,
            daily_target_action,
            trades_max,
            minis_max,
            scaling,
            weights,
            families,
            permitted,
            forbids_opposite,
            flat_by_minute,
            entries_stop_s,
            flatten_before_s,
        }
    }
}

impl Rules {
    /// The engine's form. Fails with a sentence when an action is no action.
    pub fn rules(&self) -> Result<risk_rules::Rules, String> {
        let action = |word: &str| {
            Action::from_word(word).ok_or_else(|| {
                let allowed = Action::ALL.map(Action::word).join(", ");
                format!("Action {word:?} is unknown; {allowed} are allowed.")
            })
        };
        let set = |roots: &Vec<String>| roots.iter().cloned().collect::<BTreeSet<_>>();
        let step = |(from, minis): &(i64, i64)| ScalingStep {
            from: *from,
            minis: *minis,
        };
        Ok(risk_rules::Rules {
            name: self.name.clone(),
            source: self.source.clone(),
            date: self.date.clone(),
            start_balance: self.start_balance_1e4,
            stated_high: self.stated_high_1e4,
            max_loss: self.max_loss_1e4,
            max_loss_action: action(&self.max_loss_action)?,
            daily_loss: self.daily_loss_1e4,
            daily_loss_action: action(&self.daily_loss_action)?,
            personal_loss: self.personal_loss_1e4,
            personal_loss_action: action(&self.personal_loss_action)?,
            is_personal_trailing: self.is_personal_trailing,
            counts_open: self.counts_open,
            profit_target: self.profit_target_1e4,
            daily_target: self.daily_target_1e4,
            daily_target_action: action(&self.daily_target_action)?,
            trades_max: self.trades_max,
            minis_max: self.minis_max,
            scaling: self.scaling.iter().map(step).collect(),
            weights: self.weights.clone(),
            families: self.families.iter().map(set).collect(),
            permitted: self.permitted.as_ref().map(set),
            forbids_opposite: self.forbids_opposite,
            flat_by_minute: self.flat_by_minute,
            entries_stop_s: self.entries_stop_s,
            flatten_before_s: self.flatten_before_s,
        })
    }
}

/// How much of one rule is used.
#[pyclass(
    module = "trading_bot_core",
    frozen,
    get_all,
    new = "from_fields",
    eq,
    from_py_object
)]
#[derive(Clone, PartialEq, Debug)]
pub struct RuleUse {
    pub rule: String,
    pub used: i64,
    pub limit: i64,
    pub percent: i64,
    pub action: String,
    pub is_latched: bool,
    pub latched_ns: i64,
    pub until_ns: i64,
}

/// One account's rules and where it stands.
#[pyclass(
    module = "trading_bot_core",
    frozen,
    get_all,
    new = "from_fields",
    eq,
    from_py_object
)]
#[derive(Clone, PartialEq, Debug)]
pub struct Risk {
    pub account_id: i64,
    pub rules_name: String,
    pub rules_source: String,
    pub rules_date: String,
    pub has_pending: bool,
    pub mode: String,
    pub is_measured: bool,
    pub day_ends_ns: i64,
    pub opening_balance_1e4: i64,
    pub high_balance_1e4: i64,
    pub is_floor_uncertain: bool,
    pub floor_1e4: Option<i64>,
    pub target_1e4: Option<i64>,
    pub equity_1e4: i64,
    pub realised_1e4: i64,
    pub open_1e4: i64,
    pub peak_1e4: i64,
    pub trades: i64,
    pub tenths_held: i64,
    pub tenths_max: Option<i64>,
    pub entries_end_ns: i64,
    pub flatten_ns: i64,
    pub deadline_ns: i64,
    pub uses: Vec<RuleUse>,
    pub throttled: Vec<String>,
}

/// News: an account's rules, warnings, latches, mode or day changed.
#[pyclass(module = "trading_bot_core", frozen, get_all, new = "from_fields", eq)]
#[derive(Clone, PartialEq, Debug)]
pub struct RiskChanged {
    pub risk: Risk,
}

/// The row of the engine as the record of the stub.
pub fn risk(row: &RiskRow) -> Risk {
    Risk {
        account_id: row.account_id,
        rules_name: row.rules_name.to_string(),
        rules_source: row.rules_source.to_string(),
        rules_date: row.rules_date.to_string(),
        has_pending: row.has_pending,
        mode: row.mode.to_owned(),
        is_measured: row.is_measured,
        day_ends_ns: row.day_ends_ns,
        opening_balance_1e4: row.opening_balance_1e4,
        high_balance_1e4: row.high_balance_1e4,
        is_floor_uncertain: row.is_floor_uncertain,
        floor_1e4: row.floor_1e4,
        target_1e4: row.target_1e4,
        equity_1e4: row.equity_1e4,
        realised_1e4: row.realised_1e4,
        open_1e4: row.open_1e4,
        peak_1e4: row.peak_1e4,
        trades: row.trades,
        tenths_held: row.tenths_held,
        tenths_max: row.tenths_max,
        entries_end_ns: row.entries_end_ns,
        flatten_ns: row.flatten_ns,
        deadline_ns: row.deadline_ns,
        uses: row.uses.iter().map(rule_use).collect(),
        throttled: row.throttled.iter().map(ToString::to_string).collect(),
    }
}

fn rule_use(row: &RuleUseRow) -> RuleUse {
    RuleUse {
        rule: row.rule.to_owned(),
        used: row.used,
        limit: row.limit,
        percent: row.percent,
        action: row.action.to_owned(),
        is_latched: row.is_latched,
        latched_ns: row.latched_ns,
        until_ns: row.until_ns,
    }
}

/// Adds the record classes to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Rules>()?;
    module.add_class::<RuleUse>()?;
    module.add_class::<Risk>()?;
    module.add_class::<RiskChanged>()
}
