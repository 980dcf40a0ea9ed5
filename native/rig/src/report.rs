//! What a campaign says, for people and as JSON.

use std::time::Duration;

use serde_json::{Map, json};
use trading_bot_core::rig::{self, Fault, Hunt, Law, Plan, Totals};

/// From how many lives on every law must have been looked at and every fault must have fired.
const WHOLE_CAMPAIGN: u64 = 2_000;
/// How many laws are told of, each by its first bad life made small.
const TOLD_MAX: usize = 5;

/// The contract of `--json`.
pub fn json(totals: &Totals) -> String {
    let laws = Law::NAMES.iter().enumerate().map(|(at, name)| {
        let counts =
            json!({"checks": totals.tally.checks[at], "violations": totals.violations[at]});
        ((*name).to_owned(), counts)
    });
    let faults = Fault::all().map(|fault| {
        let count = totals.tally.faults[fault as usize];
        (fault.name().to_owned(), json!(count))
    });
    let all = json!({
        "lives": totals.lives,
        "events": totals.tally.events,
        "violations": totals.bad.len(),
        "first_bad_seed": totals.bad.first().map(|bad| bad.seed.to_string()),
        "event_hash": format!("{:016x}", totals.tally.hash),
        "invariants": laws.collect::<Map<_, _>>(),
        "faults": faults.collect::<Map<_, _>>(),
    });
    format!("{all:#}\n")
}

/// Laws that nobody looked at and faults that never fired.
fn silent(totals: &Totals) -> Vec<&'static str> {
    let laws = Law::NAMES.iter().enumerate();
    let laws = laws.filter(|(at, _)| *at != Law::Panic as usize && totals.tally.checks[*at] == 0);
    let faults = Fault::all().filter(|fault| totals.tally.faults[*fault as usize] == 0);
    laws.map(|(_, name)| *name)
        .chain(faults.map(Fault::name))
        .collect()
}

pub fn is_good(totals: &Totals) -> bool {
    totals.bad.is_empty() && (totals.lives < WHOLE_CAMPAIGN || silent(totals).is_empty())
}

/// Counts, and each bad life with its smallest plan; `is_brief` leaves out the counts of each law and fault.
pub fn print(totals: &Totals, time: Duration, is_brief: bool) {
    let per_second = totals.lives as f64 / time.as_secs_f64().max(0.001);
    println!(
        "sim: {} lives, {} steps, {} events in {:.1} s ({per_second:.0} lives/s), event hash {:016x}",
        totals.lives,
        totals.tally.steps,
        totals.tally.events,
        time.as_secs_f64(),
        totals.tally.hash
    );
    if !is_brief {
        print_counts(totals);
    }
    if totals.lives >= WHOLE_CAMPAIGN && !silent(totals).is_empty() {
        println!("sim: never happened: {}", silent(totals).join(", "));
    }
    print_bad(totals);
}

fn print_counts(totals: &Totals) {
    let laws = Law::NAMES.iter().enumerate();
    let laws: Vec<String> = laws
        .map(|(at, name)| {
            format!(
                "{name} {}/{}",
                totals.violations[at], totals.tally.checks[at]
            )
        })
        .collect();
    println!("sim: violations/checks: {}", laws.join(", "));
    let faults: Vec<String> = Fault::all()
        .map(|fault| format!("{} {}", fault.name(), totals.tally.faults[fault as usize]))
        .collect();
    println!("sim: faults: {}", faults.join(", "));
}

fn print_bad(totals: &Totals) {
    if !totals.bad.is_empty() {
        let seeds: Vec<String> = totals.bad.iter().map(|bad| bad.seed.to_string()).collect();
        println!("sim: bad seeds: {}", seeds.join(" "));
    }
    let mut told = Vec::new();
    for bad in &totals.bad {
        if told.contains(&bad.broken.law) {
            continue;
        }
        told.push(bad.broken.law);
        println!(
            "sim: seed {} broke {}: {}",
            bad.seed,
            bad.broken.law.name(),
            bad.broken.text
        );
        if told.len() > TOLD_MAX {
            continue;
        }
        let small = rig::shrink(&Plan::draw(bad.seed), bad.broken.law);
        println!("{}", rig::tell(&small));
        println!("step through it: ./dev sim --replay {} --shrink", bad.seed);
    }
}

/// The contract of `--planted --json`.
pub fn hunt_json(hunts: &[Hunt]) -> String {
    let rows = hunts.iter().map(|hunt| {
        json!({
            "id": hunt.bug.name(),
            "found": hunt.law.is_some(),
            "seed": hunt.seed.to_string(),
            "invariant": hunt.law.map(Law::name),
        })
    });
    format!("{:#}\n", rows.collect::<serde_json::Value>())
}

/// Each fault and what found it; `is_brief` leaves only the survivors.
pub fn print_hunts(hunts: &[Hunt], time: Duration, is_brief: bool) {
    for hunt in hunts {
        match hunt.law {
            Some(_) if is_brief => {}
            Some(law) => println!(
                "sim: {} found by {} with seed {}",
                hunt.bug.name(),
                law.name(),
                hunt.seed
            ),
            None => println!("sim: {} SURVIVED {} lives", hunt.bug.name(), hunt.seed),
        }
    }
    let found = hunts.iter().filter(|hunt| hunt.law.is_some()).count();
    println!(
        "sim: {found} of {} planted faults found in {:.1} s",
        hunts.len(),
        time.as_secs_f64()
    );
}
