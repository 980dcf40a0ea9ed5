//! Many lives on two threads, and their totals.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::invariants::{Broken, Law, Tally};
use super::life::live;
use super::plan::Plan;
#[cfg(feature = "planted")]
use crate::planted::{Bug, plant};

/// A life that broke a law.
#[derive(Clone, Debug)]
pub struct BadLife {
    pub seed: u64,
    pub broken: Broken,
}

/// What many lives gave.
#[derive(Debug, Default)]
pub struct Totals {
    pub lives: u64,
    pub tally: Tally,
    pub bad: Vec<BadLife>,
    pub violations: [u64; Law::NAMES.len()],
}

impl Totals {
    fn add(&mut self, seed: u64, tally: &Tally, broken: Option<Broken>) {
        self.lives += 1;
        for (sum, more) in self.tally.checks.iter_mut().zip(tally.checks) {
            *sum += more;
        }
        for (sum, more) in self.tally.faults.iter_mut().zip(tally.faults) {
            *sum += more;
        }
        self.tally.events += tally.events;
        self.tally.steps += tally.steps;
        // Lives end in any order on two threads, so their hashes are summed.
        self.tally.hash = self.tally.hash.wrapping_add(tally.hash ^ seed);
        if let Some(broken) = broken {
            self.violations[broken.law as usize] += 1;
            self.bad.push(BadLife { seed, broken });
        }
    }
}

/// How many seeds are lived twice, to see that they give the same (I-28).
pub const TWICE: u64 = 1_000;

/// Lives the seeds, the first thousand of them twice.
pub fn run(seeds: &[u64], threads: usize) -> Totals {
    let next = AtomicU64::new(0);
    let totals = Mutex::new(Totals::default());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(seed) = seeds.get(at as usize).copied() else {
                        return;
                    };
                    let (tally, broken) = live_checked(seed, at < TWICE);
                    let mut totals = totals
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner);
                    totals.add(seed, &tally, broken);
                }
            });
        }
    });
    let mut totals = totals
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    totals.bad.sort_by_key(|bad| bad.seed);
    totals
}

fn live_checked(seed: u64, is_lived_twice: bool) -> (Tally, Option<Broken>) {
    let plan = Plan::draw(seed);
    let first = live(&plan);
    let (mut tally, mut broken) = (first.tally, first.broken);
    if is_lived_twice && broken.is_none() {
        let again = live(&plan).tally.hash;
        if again != tally.hash {
            let text = format!("the same seed gave {:016x} and {again:016x}", tally.hash);
            broken = Some(Broken::new(Law::I28, text));
        }
        tally.checked(Law::I28);
    }
    (tally, broken)
}

/// How the rig did against one planted fault.
#[cfg(feature = "planted")]
#[derive(Clone, Debug)]
pub struct Hunt {
    pub bug: Bug,
    pub seed: u64,
    /// The law that broke, when one did.
    pub law: Option<Law>,
    pub text: String,
}

/// Lives seeds with each fault until a law breaks, at most `lives` of them.
#[cfg(feature = "planted")]
pub fn hunt(bugs: &[Bug], lives: u64, threads: usize) -> Vec<Hunt> {
    let next = AtomicU64::new(0);
    let hunts = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(bug) = bugs.get(at as usize).copied() else {
                        return;
                    };
                    let hunt = hunt_one(bug, lives);
                    let mut hunts = hunts
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner);
                    hunts.push(hunt);
                }
            });
        }
    });
    let mut hunts = hunts
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    hunts.sort_by_key(|hunt| hunt.bug as usize);
    hunts
}

#[cfg(feature = "planted")]
fn hunt_one(bug: Bug, lives: u64) -> Hunt {
    let mut broken = (1..=lives).filter_map(|seed| {
        let plan = Plan::draw(seed);
        plant(Some(bug));
        let broken = live(&plan).broken;
        plant(None);
        // A life that breaks without the fault too says nothing about it.
        broken
            .filter(|_| live(&plan).broken.is_none())
            .map(|broken| (seed, broken))
    });
    let found = broken.next();
    match found {
        Some((seed, broken)) => Hunt {
            bug,
            seed,
            law: Some(broken.law),
            text: broken.text,
        },
        None => Hunt {
            bug,
            seed: lives,
            law: None,
            text: String::new(),
        },
    }
}
