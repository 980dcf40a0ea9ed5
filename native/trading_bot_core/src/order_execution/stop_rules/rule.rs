//! What a stop rule wants, as arithmetic: the entry and the best price so far give a level, and nothing else does.
//!
//! Everything is mirrored into *favour*: a price times the position's sign. The best price is then the highest for both
//! sides, and a stop never moves backwards means that its favour never falls.

use serde::{Deserialize, Serialize};

/// Stages of one trail.
pub const STAGES_MAX: usize = 3;
const TICKS_MAX: i64 = 10_000;

/// Moves the stop to the entry once the position has been far enough in profit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakEven {
    /// Ticks in profit at which it moves.
    pub trigger: i64,
    /// Ticks beyond the entry, towards profit.
    pub plus: i64,
}

/// One stage of a trail, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// Profit at which the stage begins.
    pub start: i64,
    /// How far the stop stays behind.
    pub distance: i64,
    /// The stop moves in whole steps of this size, so that a trend costs few modifications.
    pub step: i64,
}

/// A rule as the trader set it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    #[serde(default)]
    pub break_even: Option<BreakEven>,
    #[serde(default)]
    pub stages: Vec<Stage>,
    /// The first stage begins at the price of the moment ("trail now"); its start is ignored.
    #[serde(default)]
    pub is_immediate: bool,
}

impl Plan {
    /// Whether it asks for a break-even or a trail at all.
    pub fn says_something(&self) -> bool {
        self.break_even.is_some() || !self.stages.is_empty()
    }

    /// The first thing that makes the plan impossible; `None` when it can be meant.
    pub fn fault(&self) -> Option<String> {
        if !self.says_something() {
            return Some("The rule says neither break-even nor trail.".into());
        }
        if self.is_immediate && self.stages.is_empty() {
            return Some("To trail now, the rule needs a first stage.".into());
        }
        if self.stages.len() > STAGES_MAX {
            let count = self.stages.len();
            return Some(format!(
                "A trail of {count} stages is too long; {STAGES_MAX} are allowed."
            ));
        }
        let break_even = self.break_even.and_then(BreakEven::fault);
        let mut stages = self.stages.iter();
        break_even
            .or_else(|| stages.find_map(|stage| stage.fault()))
            .or_else(|| {
                let mut pairs = self.stages.windows(2);
                pairs
                    .any(|pair| pair[0].start >= pair[1].start)
                    .then(|| "Each stage must start at more profit than the one before.".into())
            })
    }

    /// The level that the plan wants, and which part of it; `None` before anything has begun.
    ///
    /// `average_1e4`: entry in 1/10,000 tick. `base` and `best`: the first and the best price since the rule holds,
    /// in ticks. `sign`: 1 for a long position, -1 for a short one. Pure, and for a fixed entry it never falls in favour
    /// while `best` improves.
    pub fn level(&self, sign: i64, average_1e4: i64, base: i64, best: i64) -> Option<Level> {
        let best = sign * best;
        // Rounded towards profit: a stop at break-even does not lose the fraction of a tick.
        let entry = -(-(sign * average_1e4)).div_euclid(10_000);
        let flat = self.break_even.filter(|even| best - entry >= even.trigger);
        let flat = flat.map(|even| (entry + even.plus, Part::BreakEven(even)));
        let trails = self.stages.iter().enumerate().filter_map(|(at, stage)| {
            let start = if at == 0 && self.is_immediate {
                sign * base
            } else {
                entry + stage.start
            };
            let steps = (best - start).div_euclid(stage.step);
            let level = start - stage.distance + steps * stage.step;
            (best >= start).then_some((level, Part::Trail(at + 1, *stage)))
        });
        // Of equals the later part explains the level: it is the one that goes on.
        let (favour, part) = flat
            .into_iter()
            .chain(trails)
            .max_by_key(|(favour, _)| *favour)?;
        Some(Level {
            ticks: sign * favour,
            part,
        })
    }

    /// The smallest distance that is worth a modification.
    pub fn step(&self) -> i64 {
        let steps = self.stages.iter().map(|stage| stage.step);
        steps.min().unwrap_or(1)
    }
}

impl BreakEven {
    fn fault(self) -> Option<String> {
        let Self { trigger, plus } = self;
        if !(1..=TICKS_MAX).contains(&trigger) {
            return Some(format!(
                "Break-even at {trigger} ticks of profit is outside 1 to {TICKS_MAX}."
            ));
        }
        (!(0..trigger).contains(&plus)).then(|| {
            format!("Break-even plus {plus} ticks must lie between 0 and its trigger of {trigger}.")
        })
    }
}

impl Stage {
    fn fault(self) -> Option<String> {
        let Self {
            start,
            distance,
            step,
        } = self;
        if !(0..=TICKS_MAX).contains(&start) {
            return Some(format!(
                "A trail that starts at {start} ticks of profit is outside 0 to {TICKS_MAX}."
            ));
        }
        if !(1..=TICKS_MAX).contains(&distance) {
            return Some(format!(
                "A trail {distance} ticks behind is outside 1 to {TICKS_MAX}."
            ));
        }
        (!(1..=TICKS_MAX).contains(&step))
            .then(|| format!("A trail's step of {step} ticks is outside 1 to {TICKS_MAX}."))
    }
}

/// Where the stop should stand, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    pub ticks: i64,
    pub part: Part,
}

/// The part of a plan that speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    BreakEven(BreakEven),
    /// Number of the stage, from 1.
    Trail(usize, Stage),
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::BreakEven(even) => {
                write!(
                    f,
                    "break-even after {} ticks, plus {}",
                    even.trigger, even.plus
                )
            }
            Self::Trail(number, stage) => write!(
                f,
                "trail stage {number}, {} ticks behind in steps of {}",
                stage.distance, stage.step
            ),
        }
    }
}

/// A rule that is attached to a stop order, as the journal tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub plan: Plan,
    pub source: String,
    /// First and best price since a position has been there to follow, in ticks.
    pub marks: Option<(i64, i64)>,
    /// The level last asked for, or at which the trader put the stop himself.
    pub level: Option<i64>,
    /// The trader moved the stop after the rule did; the rule goes on from its next step.
    pub is_by_hand: bool,
    pub moves: u32,
    /// Why the stop stands where it stands.
    pub text: String,
}

impl Rule {
    /// A rule that has not seen a price yet.
    pub fn new(plan: Plan, source: String) -> Self {
        Self {
            plan,
            source,
            marks: None,
            level: None,
            is_by_hand: false,
            moves: 0,
            text: String::new(),
        }
    }

    /// The level wanted now.
    pub fn wanted(&self, sign: i64, average_1e4: i64) -> Option<Level> {
        let (base, best) = self.marks?;
        self.plan.level(sign, average_1e4, base, best)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn s10() -> Plan {
        Plan {
            break_even: Some(BreakEven {
                trigger: 8,
                plus: 1,
            }),
            stages: vec![Stage {
                start: 16,
                distance: 12,
                step: 4,
            }],
            is_immediate: false,
        }
    }

    /// Levels as ticks of profit for a best price of so many ticks of profit.
    fn profit_levels(plan: &Plan, sign: i64, best: impl IntoIterator<Item = i64>) -> Vec<i64> {
        let entry = 1_000;
        let of = |best: i64| {
            let level = plan.level(sign, entry * 10_000, entry, entry + sign * best);
            level.map_or(-99, |level| sign * (level.ticks - entry))
        };
        best.into_iter().map(of).collect()
    }

    #[test]
    fn break_even_and_trail_stand_at_the_exact_ticks_long_and_short() {
        for sign in [1, -1] {
            let levels = profit_levels(&s10(), sign, [7, 8, 15, 16, 19, 20, 23, 24, 40]);
            assert_eq!(levels, [-99, 1, 1, 4, 4, 8, 8, 12, 28], "sign {sign}");
        }
    }

    #[test]
    fn a_fraction_of_a_tick_in_the_entry_is_rounded_towards_profit() {
        let even = |sign, average| {
            let level = s10().level(sign, average, 1_000, 1_000 + sign * 20);
            let plan = Plan {
                stages: vec![],
                ..s10()
            };
            assert!(level.is_some());
            plan.level(sign, average, 1_000, 1_000 + sign * 20)
                .map(|level| level.ticks)
        };
        assert_eq!(even(1, 10_003_333), Some(1_002));
        assert_eq!(even(-1, 9_996_667), Some(998));
        assert_eq!(
            even(1, -9_996_667),
            Some(-998),
            "negative prices round the same way"
        );
    }

    #[test]
    fn a_later_stage_takes_over_where_it_is_tighter() {
        let stage = |start, distance, step| Stage {
            start,
            distance,
            step,
        };
        let plan = Plan {
            stages: vec![stage(10, 10, 5), stage(20, 6, 2), stage(30, 2, 1)],
            ..Plan::default()
        };
        assert_eq!(
            profit_levels(&plan, 1, [9, 10, 15, 19, 20, 22, 29, 30, 31]),
            [-99, 0, 5, 5, 14, 16, 22, 28, 29]
        );
    }

    #[test]
    fn trailing_now_measures_from_the_price_of_the_moment() {
        let plan = Plan {
            is_immediate: true,
            break_even: None,
            ..s10()
        };
        let level = |best| {
            plan.level(1, 10_000_000, 990, best)
                .map(|level| level.ticks)
        };
        assert_eq!(
            [level(990), level(993), level(994)],
            [Some(978), Some(978), Some(982)]
        );
    }

    #[test]
    fn a_plan_that_cannot_be_meant_names_its_fault() {
        let even = |trigger, plus| Plan {
            break_even: Some(BreakEven { trigger, plus }),
            ..Plan::default()
        };
        let trail = |start, distance, step| Plan {
            stages: vec![Stage {
                start,
                distance,
                step,
            }],
            ..Plan::default()
        };
        let two = Plan {
            stages: vec![trail(8, 4, 1).stages[0]; 2],
            ..Plan::default()
        };
        let now = Plan {
            is_immediate: true,
            ..even(8, 1)
        };
        for plan in [
            even(0, 0),
            even(8, 8),
            even(8, -1),
            trail(-1, 4, 1),
            trail(8, 0, 1),
            trail(8, 4, 0),
            two,
            now,
            Plan::default(),
        ] {
            assert!(plan.fault().is_some(), "{plan:?}");
        }
        assert_eq!(s10().fault(), None);
    }

    proptest! {
        /// Against a model that walks the price one tick at a time and moves a stop by hand.
        #[test]
        fn the_level_is_the_running_maximum_of_a_naive_walk(
            sign in prop_oneof![Just(1_i64), Just(-1)],
            trigger in 1_i64..30, plus in 0_i64..30,
            first in (0_i64..20, 1_i64..30, 1_i64..9),
            second in (1_i64..20, 1_i64..30, 1_i64..9),
            path in proptest::collection::vec(-6_i64..=6, 1..60),
        ) {
            let stages = vec![
                Stage { start: first.0, distance: first.1, step: first.2 },
                Stage { start: first.0 + second.0, distance: second.1, step: second.2 },
            ];
            let break_even = Some(BreakEven { trigger, plus: plus.min(trigger - 1) });
            let plan = Plan { break_even, stages, is_immediate: false };
            prop_assert_eq!(plan.fault(), None);
            let (mut price, mut best, mut naive) = (0_i64, 0_i64, None::<i64>);
            let mut shown = None::<i64>;
            for delta in path {
                for _ in 0..delta.abs() {
                    price += delta.signum();
                    if break_even.is_some_and(|even| price == even.trigger) {
                        naive = naive.max(Some(break_even.map_or(0, |even| even.plus)));
                    }
                    for stage in &plan.stages {
                        if price >= stage.start && (price - stage.start) % stage.step == 0 {
                            naive = naive.max(Some(price - stage.distance));
                        }
                    }
                }
                best = best.max(price);
                // A stage that begins at the entry holds before the first step up.
                if plan.stages[0].start == 0 {
                    naive = naive.max(Some(-plan.stages[0].distance));
                }
                let level = plan.level(sign, 0, 0, sign * best).map(|level| sign * level.ticks);
                prop_assert!(level >= shown, "never backwards");
                prop_assert_eq!(level, naive);
                shown = level;
            }
        }
    }
}
