//! The fault plan: what goes wrong, when, how often. Off unless rules are given by file or control port.
//!
//! A rule is one JSON object; a plan file holds an array of them. Fields common to all:
//! `fault` (below), `count` (how often, default 1, 0 = without end), `after` (matching occasions let through first),
//! `after_s` (real seconds to wait), `probability` (0 to 1, drawn from the gateway's seed). Others as noted.
//!
//! | `fault` | acts on | effect |
//! |---|---|---|
//! | `delay_request` `ms` | REST, `endpoint` | waits before the request is looked at |
//! | `delay_reply` `ms` | REST, `endpoint` | accepted at once, answered late: hub events overtake the reply |
//! | `latency` `ms` | REST, `endpoint` | `delay_request` without end |
//! | `reply_lost` | REST, `endpoint` | accepted, never answered |
//! | `reply_reset` | REST, `endpoint` | accepted, connection closed without an answer |
//! | `request_lost` | REST, `endpoint` | not accepted, never answered |
//! | `error_after` `status` | REST, `endpoint` | accepted, answered with 500 (or `status`) |
//! | `error` `status` | REST, `endpoint` | not accepted, answered with 500 (or `status`) |
//! | `too_many` | REST, `endpoint` | 429 |
//! | `unauthorized` | REST, `endpoint` | 401 |
//! | `cut_body` | REST, `endpoint` | accepted, body ends early |
//! | `answer` `status` `text` | REST, `endpoint` | not accepted, answered with 200 (or `status`) and exactly this body |
//! | `answer_after` `status` `text` | REST, `endpoint` | accepted, answered the same way |
//! | `bars_cap` | `History/retrieveBars` | at most 1,000 bars |
//! | `partial_bar` | `History/retrieveBars` | the forming bar leaks in |
//! | `close` `text` | `hub` | Close record with an error, then the end |
//! | `drop` | `hub` | TCP ends without a Close record |
//! | `silent` | `hub` | connection stays, nothing more is sent, not even pings |
//! | `slow` `ms` | `hub` | so many milliseconds between frames of that connection |
//! | `logout` | `hub` | `GatewayLogout` event |
//! | `duplicate` | user events, `event` | sent twice |
//! | `swap` | user events | the events of one step in reverse order |
//! | `miss` | user or market events, `event` | not sent |
//! | `null_element` | market arrays, `event` | a null in front of the array's elements |
//! | `bare` | user events, `event` | without the `action` wrapper |
//! | `string_id` | order events | `id` as a string |
//! | `no_reset` | depth subscription | snapshot without Reset |
//! | `crossed` | depth | a level beyond the other side, taken back in the next frame |
//! | `cancel_race` | `Order/cancel` | the order fills first, code 5 |
//! | `orphan_child` | matching | the other leg survives the fill of one |

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

const KINDS: &[&str] = &[
    "delay_request",
    "delay_reply",
    "latency",
    "reply_lost",
    "reply_reset",
    "request_lost",
    "error_after",
    "error",
    "too_many",
    "unauthorized",
    "cut_body",
    "answer",
    "answer_after",
    "bars_cap",
    "partial_bar",
    "close",
    "drop",
    "silent",
    "slow",
    "logout",
    "duplicate",
    "swap",
    "miss",
    "null_element",
    "bare",
    "string_id",
    "no_reset",
    "crossed",
    "cancel_race",
    "orphan_child",
];

/// One rule as it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub fault: String,
    #[serde(default)]
    pub endpoint: Option<String>,
    #[serde(default)]
    pub hub: Option<String>,
    #[serde(default)]
    pub event: Option<String>,
    #[serde(default = "once")]
    pub count: u32,
    #[serde(default)]
    pub after: u32,
    #[serde(default)]
    pub after_s: f64,
    #[serde(default)]
    pub probability: Option<f64>,
    #[serde(default)]
    pub ms: u64,
    #[serde(default)]
    pub status: Option<u16>,
    #[serde(default)]
    pub text: Option<String>,
}

fn once() -> u32 {
    1
}

struct Armed {
    rule: Rule,
    left: Option<u32>,
    skip: u32,
    due: Instant,
}

/// What fits a rule: any part that the rule names must be equal.
#[derive(Clone, Copy, Default)]
pub struct Occasion<'a> {
    pub endpoint: &'a str,
    pub hub: &'a str,
    pub event: &'a str,
}

/// Armed rules and how often each kind has fired.
pub struct Faults {
    armed: Vec<Armed>,
    rng: ChaCha8Rng,
    pub fired: BTreeMap<String, u64>,
}

impl Faults {
    pub fn new(seed: u64) -> Self {
        Self {
            armed: Vec::new(),
            rng: ChaCha8Rng::seed_from_u64(seed),
            fired: BTreeMap::new(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.armed.is_empty()
    }

    pub fn clear(&mut self) {
        self.armed.clear();
    }

    pub fn arm(&mut self, rule: Rule) -> Result<(), String> {
        if !KINDS.contains(&rule.fault.as_str()) {
            return Err(format!(
                "Fault {:?} is unknown; known are {}.",
                rule.fault,
                KINDS.join(", ")
            ));
        }
        if !(0.0..=86_400.0).contains(&rule.after_s) {
            return Err(format!(
                "after_s is {}; 0 to 86400 is allowed.",
                rule.after_s
            ));
        }
        let endless = rule.count == 0 || rule.fault == "latency";
        self.armed.push(Armed {
            left: (!endless).then_some(rule.count),
            skip: rule.after,
            due: Instant::now() + Duration::from_secs_f64(rule.after_s),
            rule,
        });
        Ok(())
    }

    /// The rule of `kind` that fires on this occasion, counted down.
    pub fn hit(&mut self, kind: &str, occasion: Occasion<'_>) -> Option<Rule> {
        let mut found = None;
        for (index, armed) in self.armed.iter_mut().enumerate() {
            if armed.rule.fault != kind
                || !fits(&armed.rule, occasion)
                || Instant::now() < armed.due
            {
                continue;
            }
            if armed.skip > 0 {
                armed.skip -= 1;
                continue;
            }
            if armed
                .rule
                .probability
                .is_some_and(|chance| self.rng.random::<f64>() >= chance)
            {
                continue;
            }
            found = Some(index);
            break;
        }
        let index = found?;
        *self.fired.entry(kind.to_owned()).or_insert(0) += 1;
        let rule = self.armed[index].rule.clone();
        if let Some(left) = &mut self.armed[index].left {
            *left -= 1;
            if *left == 0 {
                self.armed.remove(index);
            }
        }
        Some(rule)
    }

    pub fn armed_count(&self) -> usize {
        self.armed.len()
    }
}

fn fits(rule: &Rule, occasion: Occasion<'_>) -> bool {
    let same = |wanted: &Option<String>, is: &str| {
        wanted
            .as_ref()
            .is_none_or(|wanted| wanted.trim_start_matches('/').eq_ignore_ascii_case(is))
    };
    same(&rule.endpoint, occasion.endpoint)
        && same(&rule.hub, occasion.hub)
        && same(&rule.event, occasion.event)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Rule {
        serde_json::from_str(text).expect("a rule")
    }

    #[test]
    fn a_rule_fires_as_often_as_it_says_after_what_it_lets_through() {
        let mut faults = Faults::new(1);
        faults
            .arm(rule(
                r#"{"fault":"reply_lost","endpoint":"order/place","count":2,"after":1}"#,
            ))
            .expect("known");
        let occasion = Occasion {
            endpoint: "Order/place",
            ..Occasion::default()
        };
        let hits: Vec<bool> = (0..5)
            .map(|_| faults.hit("reply_lost", occasion).is_some())
            .collect();
        assert_eq!(hits, [false, true, true, false, false]);
        assert_eq!(faults.fired["reply_lost"], 2);
        assert!(faults.is_empty());
    }

    #[test]
    fn unknown_kinds_are_named() {
        let error = Faults::new(1)
            .arm(rule(r#"{"fault":"gremlin"}"#))
            .expect_err("unknown");
        assert!(error.contains("gremlin"));
    }

    #[test]
    fn chance_repeats_with_the_seed() {
        let draw = |seed| {
            let mut faults = Faults::new(seed);
            faults
                .arm(rule(r#"{"fault":"miss","count":0,"probability":0.5}"#))
                .expect("known");
            (0..64)
                .map(|_| faults.hit("miss", Occasion::default()).is_some())
                .collect::<Vec<_>>()
        };
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
    }
}
