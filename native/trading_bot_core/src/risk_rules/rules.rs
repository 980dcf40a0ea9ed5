//! The numbers of one account, and what of a changed set holds at once.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// Tenths of a mini that a lot of an unlisted product counts.
const MINI_TENTHS: i64 = 10;

/// What happens when a limit is reached. The later ones do what the earlier ones do, and more.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The trader is told.
    Warn,
    /// Entries are refused until the next day.
    #[default]
    Block,
    /// Everything is cancelled and closed, and entries are refused until the next day.
    Flatten,
}

impl Action {
    pub const ALL: [Self; 3] = [Self::Warn, Self::Block, Self::Flatten];

    /// The word on the seam.
    pub fn word(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Block => "block",
            Self::Flatten => "flatten",
        }
    }

    /// Reads the seam's word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.word() == word)
    }
}

/// The rules that are measured against a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleName {
    MaxLoss,
    DailyLoss,
    PersonalLoss,
    ProfitTarget,
    DailyTarget,
    Trades,
}

impl RuleName {
    /// The word on the seam, and the code of the gate's reason.
    pub fn word(self) -> &'static str {
        match self {
            Self::MaxLoss => "max_loss",
            Self::DailyLoss => "daily_loss",
            Self::PersonalLoss => "personal_loss",
            Self::ProfitTarget => "profit_target",
            Self::DailyTarget => "daily_target",
            Self::Trades => "trades",
        }
    }

    /// How people call it.
    pub fn title(self) -> &'static str {
        match self {
            Self::MaxLoss => "maximum loss",
            Self::DailyLoss => "daily loss",
            Self::PersonalLoss => "personal daily loss",
            Self::ProfitTarget => "profit target",
            Self::DailyTarget => "daily profit target",
            Self::Trades => "trades of the day",
        }
    }
}

/// From this balance (inclusive, 1/10,000 dollar) on so many minis are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScalingStep {
    pub from: i64,
    pub minis: i64,
}

/// One account's rules. `None` and empty mean: no such rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rules {
    pub name: String,
    pub source: String,
    /// Of the page the numbers come from, as text.
    pub date: String,
    pub start_balance: i64,
    /// End-of-day high that the firm states; only ever raises ours.
    pub stated_high: Option<i64>,
    pub max_loss: Option<i64>,
    pub max_loss_action: Action,
    pub daily_loss: Option<i64>,
    pub daily_loss_action: Action,
    pub personal_loss: Option<i64>,
    pub personal_loss_action: Action,
    /// Measured from the peak of the day's result, not from zero.
    pub is_personal_trailing: bool,
    /// Open profit counts in the personal rules; else only what is realised.
    pub counts_open: bool,
    pub profit_target: Option<i64>,
    pub daily_target: Option<i64>,
    pub daily_target_action: Action,
    pub trades_max: Option<i64>,
    pub minis_max: Option<i64>,
    pub scaling: Vec<ScalingStep>,
    /// Tenths of a mini by exchange root.
    pub weights: BTreeMap<String, i64>,
    /// Roots in which opposite positions of two accounts are opposite.
    pub families: Vec<BTreeSet<String>>,
    pub permitted: Option<BTreeSet<String>>,
    pub forbids_opposite: bool,
    /// The firm's own deadline as a minute of the Chicago day.
    pub flat_by_minute: Option<i64>,
    /// How long before the deadline entries end, and the own flatten begins.
    pub entries_stop_s: i64,
    pub flatten_before_s: i64,
}

impl Rules {
    /// Tenths of a mini that one lot of a root counts.
    pub fn weight(&self, root: &str) -> i64 {
        self.weights.get(root).copied().unwrap_or(MINI_TENTHS)
    }

    /// `wanted` wherever it is as strict as these rules, and these elsewhere: what may hold at once (D9).
    #[must_use]
    pub fn tightened_by(&self, wanted: &Self) -> Self {
        Self {
            start_balance: self.start_balance.max(wanted.start_balance),
            stated_high: self.stated_high.max(wanted.stated_high),
            max_loss: lower(self.max_loss, wanted.max_loss),
            max_loss_action: self.max_loss_action.max(wanted.max_loss_action),
            daily_loss: lower(self.daily_loss, wanted.daily_loss),
            daily_loss_action: self.daily_loss_action.max(wanted.daily_loss_action),
            personal_loss: lower(self.personal_loss, wanted.personal_loss),
            personal_loss_action: self.personal_loss_action.max(wanted.personal_loss_action),
            is_personal_trailing: self.is_personal_trailing || wanted.is_personal_trailing,
            counts_open: self.counts_open,
            daily_target: lower(self.daily_target, wanted.daily_target),
            daily_target_action: self.daily_target_action.max(wanted.daily_target_action),
            trades_max: lower(self.trades_max, wanted.trades_max),
            minis_max: lower(self.minis_max, wanted.minis_max),
            scaling: if self.scaling.is_empty() {
                wanted.scaling.clone()
            } else {
                self.scaling.clone()
            },
            weights: self.heavier(wanted),
            families: self.all_families(wanted),
            permitted: common(self.permitted.as_ref(), wanted.permitted.as_ref()),
            forbids_opposite: self.forbids_opposite || wanted.forbids_opposite,
            flat_by_minute: lower(self.flat_by_minute, wanted.flat_by_minute),
            entries_stop_s: self.entries_stop_s.max(wanted.entries_stop_s),
            flatten_before_s: self.flatten_before_s.max(wanted.flatten_before_s),
            ..wanted.clone()
        }
    }

    fn heavier(&self, wanted: &Self) -> BTreeMap<String, i64> {
        let roots = self.weights.keys().chain(wanted.weights.keys());
        roots
            .map(|root| (root.clone(), self.weight(root).max(wanted.weight(root))))
            .collect()
    }

    fn all_families(&self, wanted: &Self) -> Vec<BTreeSet<String>> {
        let mut families = wanted.families.clone();
        let others = self.families.iter().cloned();
        let others: Vec<_> = others.filter(|one| !families.contains(one)).collect();
        families.extend(others);
        families
    }

    /// Fails closed: numbers that cannot be meant.
    pub fn are_sane(&self) -> bool {
        let limits = [
            self.max_loss,
            self.daily_loss,
            self.personal_loss,
            self.profit_target,
            self.daily_target,
            self.trades_max,
            self.minis_max,
        ];
        let is_minute = |minute: i64| (0..1440).contains(&minute);
        limits.into_iter().flatten().all(|limit| limit > 0)
            && self.weights.values().all(|tenths| *tenths > 0)
            && self.scaling.iter().all(|step| step.minis >= 0)
            && self.flat_by_minute.is_none_or(is_minute)
            && (0..=86_400).contains(&self.entries_stop_s)
            && (0..=86_400).contains(&self.flatten_before_s)
    }
}

/// The lower of two limits; no limit is the highest.
fn lower(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}

fn common(a: Option<&BTreeSet<String>>, b: Option<&BTreeSet<String>>) -> Option<BTreeSet<String>> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.intersection(b).cloned().collect()),
        (one, other) => one.or(other).cloned(),
    }
}
