//! Living a plan, and making a failing one smaller.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::invariants::{Broken, Law, Tally};
use super::plan::{Deed, Plan};
use super::world::World;

/// How a life went.
#[derive(Clone, Debug)]
pub struct Lived {
    pub tally: Tally,
    pub broken: Option<Broken>,
    /// One line for each input, when asked for.
    pub trace: Vec<String>,
}

/// Lives a plan to its end, or to the first invariant that breaks.
pub fn live(plan: &Plan) -> Lived {
    live_with(plan, false)
}

/// The same, with a line for each input.
pub fn live_traced(plan: &Plan) -> Lived {
    live_with(plan, true)
}

fn live_with(plan: &Plan, is_traced: bool) -> Lived {
    let ends = plan.ends;
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new(plan.clone());
        world.trace = is_traced.then(Vec::new);
        world.run_until(ends);
        if world.broken.is_none() {
            world.heal();
        }
        Lived {
            tally: world.tally,
            broken: world.broken,
            trace: world.trace.unwrap_or_default(),
        }
    }));
    outcome.unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<String>().cloned();
        let text = text.or_else(|| {
            payload
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
        });
        Lived {
            tally: Tally::default(),
            broken: Some(Broken::new(Law::Panic, text.unwrap_or_default())),
            trace: Vec::new(),
        }
    })
}

/// Drops rates and acts, one by one, while the same law still breaks.
pub fn shrink(plan: &Plan, law: Law) -> Plan {
    let mut small = plan.clone();
    let still_breaks = |plan: &Plan| live(plan).broken.is_some_and(|broken| broken.law == law);
    for rate in 0..small.rates.len() {
        if small.rates[rate] > 0 {
            let mut tried = small.clone();
            tried.rates[rate] = 0;
            if still_breaks(&tried) {
                small = tried;
            }
        }
    }
    let mut width = small.acts.len().div_ceil(2);
    while width > 0 {
        let mut at = 0;
        while at < small.acts.len() {
            let mut tried = small.clone();
            let end = (at + width).min(tried.acts.len());
            tried.acts.drain(at..end);
            if still_breaks(&tried) {
                small = tried;
            } else {
                at += width;
            }
        }
        width = if width == 1 { 0 } else { width.div_ceil(2) };
    }
    small
}

/// A plan in a few lines for people.
pub fn tell(plan: &Plan) -> String {
    let rates: Vec<String> = super::faults::Fault::all()
        .filter(|fault| {
            plan.rate(*fault) > 0 && (*fault as usize) < super::faults::Fault::TIMED.start
        })
        .map(|fault| format!("{} {}‰", fault.name(), plan.rate(fault)))
        .collect();
    let acts: Vec<String> = plan
        .acts
        .iter()
        .map(|act| {
            let mark = if matches!(act.deed, Deed::Trouble(_)) {
                "!"
            } else {
                ""
            };
            format!("{:.3} s {mark}{}", act.at as f64 / 1e9, act.deed.name())
        })
        .collect();
    format!("rates: {}\nacts: {}", rates.join(", "), acts.join(", "))
}
