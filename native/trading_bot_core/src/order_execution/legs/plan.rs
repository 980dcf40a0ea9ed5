//! What a bracket wants: signed distances from the entry's fill, and every reason why they cannot be meant.

use serde::{Deserialize, Serialize};

use super::BracketMode;
use crate::engine::contract::Draft;
use crate::order_execution::gate::{BRACKET_STOP_TICKS_MIN, Reason};
use crate::order_execution::stop_rules::rule::Plan;
use crate::types::Side;

/// Targets of one bracket.
pub const TARGETS_MAX: usize = 4;
/// Farthest leg, in ticks from the fill.
pub const LEG_TICKS_MAX: i64 = 10_000;

/// Who links the legs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holder {
    /// Native children of the entry: they live on when this computer does not.
    #[default]
    Broker,
    /// Own orders, placed after the fill and linked here.
    Computer,
}

impl Holder {
    /// The word on the seam.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Broker => "broker",
            Self::Computer => "computer",
        }
    }

    /// Reads the seam's word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Broker, Self::Computer]
            .into_iter()
            .find(|holder| holder.word() == word)
    }
}

/// What happens when a stop that was asked for does not work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenBare {
    #[default]
    Alarm,
    /// Alarm, and flatten the contract on this account.
    Flatten,
}

impl WhenBare {
    /// Reads the seam's word.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "alarm" => Some(Self::Alarm),
            "flatten" => Some(Self::Flatten),
            _ => None,
        }
    }
}

/// One target: signed ticks from the fill, and how many lots it takes off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    pub ticks: i64,
    pub lots: i64,
}

/// The legs of one entry. Distances are signed from the entry's average fill: a long's stop is negative.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BracketPlan {
    pub stop: Option<i64>,
    pub targets: Vec<Target>,
    pub holder: Holder,
    #[serde(default)]
    pub when_bare: WhenBare,
    /// How this computer moves the stop once it works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Plan>,
}

impl BracketPlan {
    /// The plan of a plain order with native distances; `None` when it has none.
    pub fn native_of(draft: &Draft) -> Option<Self> {
        let sign = draft.side.sign();
        let target = draft.target_bracket_ticks.map(|ticks| Target {
            ticks: sign.saturating_mul(ticks),
            lots: draft.size.0,
        });
        let stop = draft
            .stop_bracket_ticks
            .map(|ticks| (-sign).saturating_mul(ticks));
        (stop.is_some() || target.is_some()).then(|| Self {
            stop,
            targets: target.into_iter().collect(),
            holder: Holder::Broker,
            when_bare: WhenBare::Alarm,
            rule: None,
        })
    }

    /// Whether the broker holds the only target too: one native target takes the whole size (decision 17).
    pub fn has_native_target(&self, entry_size: i64) -> bool {
        self.holder == Holder::Broker
            && self.targets.len() == 1
            && self.targets[0].lots == entry_size
    }

    /// Puts the native part of the plan on the entry. Only for a plan without reasons against it.
    pub fn dress(&self, draft: &mut Draft) {
        if self.holder == Holder::Computer {
            return;
        }
        // A distance on the wrong side is no distance: it is denied, and nothing of it may look as if it were meant.
        let distance = |towards: Side, ticks: i64| {
            Some(towards.sign().saturating_mul(ticks)).filter(|ticks| *ticks > 0)
        };
        draft.stop_bracket_ticks = self
            .stop
            .and_then(|ticks| distance(draft.side.opposite(), ticks));
        if self.has_native_target(draft.size.0) {
            draft.target_bracket_ticks = distance(draft.side, self.targets[0].ticks);
        }
    }

    /// Orders that will work beside the entry.
    pub fn leg_count(&self) -> usize {
        usize::from(self.stop.is_some()) + self.targets.len()
    }

    /// Every reason against the plan; nothing is sent when there is one.
    pub fn reasons(&self, draft: &Draft, mode: BracketMode) -> Vec<Reason> {
        let mut reasons = Vec::new();
        if self.holder == Holder::Broker && mode == BracketMode::PositionBrackets {
            let text = "The account is in Position Brackets mode; the broker refuses brackets on orders. Enable Auto OCO \
                        Brackets there, or choose legs held by this computer.";
            reasons.push(("bracket_mode", text.to_owned()));
        }
        if draft.is_reduce_only {
            let text = "An order that only reduces has no bracket; it is an exit itself.";
            reasons.push(("bracket", text.to_owned()));
        }
        if self.targets.len() > TARGETS_MAX {
            let text = format!(
                "{} targets; at most {TARGETS_MAX} are allowed.",
                self.targets.len()
            );
            reasons.push(("bracket", text));
        }
        if let Some(fault) = self.rule_fault() {
            reasons.push(("stop_rule", fault));
        }
        if let Some(stop) = self.stop {
            self.check_distance("stop", stop, draft.side.opposite(), &mut reasons);
        }
        let mut lots = 0_i64;
        for target in &self.targets {
            self.check_distance("target", target.ticks, draft.side, &mut reasons);
            if target.lots < 1 {
                let text = format!("A target of {} lots; at least 1 is needed.", target.lots);
                reasons.push(("bracket", text));
            }
            lots = lots.saturating_add(target.lots.max(0));
        }
        if lots > draft.size.0 {
            let text = format!(
                "The targets take {lots} lots; the entry has {}.",
                draft.size.0
            );
            reasons.push(("bracket", text));
        }
        reasons
    }

    fn rule_fault(&self) -> Option<String> {
        let rule = self.rule.as_ref()?;
        if self.stop.is_none() {
            return Some("Break-even and trailing move a stop, and the bracket has none.".into());
        }
        rule.fault()
    }

    /// A distance must lie on its own side of the fill; its sign is never corrected (the predecessor took the absolute value).
    fn check_distance(&self, name: &str, ticks: i64, towards: Side, reasons: &mut Vec<Reason>) {
        let nearest = match (name, self.holder) {
            ("stop", Holder::Broker) => BRACKET_STOP_TICKS_MIN,
            _ => 1,
        };
        let distance = towards.sign().saturating_mul(ticks);
        if (nearest..=LEG_TICKS_MAX).contains(&distance) {
            return;
        }
        let (low, high) = match towards {
            Side::Buy => (nearest, LEG_TICKS_MAX),
            Side::Sell => (-LEG_TICKS_MAX, -nearest),
        };
        let text = format!(
            "A {name} {ticks:+} ticks from the fill cannot be meant; {low:+} to {high:+} are allowed."
        );
        reasons.push(("bracket_side", text));
    }
}
