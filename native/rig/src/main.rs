//! `pitdesk-rig`: thousands of lives of the engine in virtual time; exit code 1 when an invariant broke or was never checked.

mod report;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use trading_bot_core::planted::{Bug, TABLE};
use trading_bot_core::rig::{self, Plan};

/// Seeds that were red once; they are lived first in every run.
const RED_SEEDS: &str = include_str!("../seeds.txt");

/// Lives of the real engine, journal and gate against a model broker, with faults drawn from a seed.
#[derive(Parser)]
#[command(name = "./dev sim")]
struct Arguments {
    /// How many lives, beside the seeds that were red once.
    #[arg(long, default_value_t = 20_000)]
    lives: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Writes the totals as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Lives one seed and prints every input up to the first broken invariant.
    #[arg(long)]
    replay: Option<u64>,
    /// Hunts every planted fault instead; with names, only those.
    #[arg(long, num_args = 0.., value_name = "NAME")]
    planted: Option<Vec<String>>,
    /// One line when all is well; what went wrong is told all the same.
    #[arg(long)]
    brief: bool,
    /// With --replay: makes the plan as small as it can be first.
    #[arg(long, requires = "replay")]
    shrink: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // A panic is a broken law here, told with its seed; the default message would repeat it for every shrinking step.
    std::panic::set_hook(Box::new(|_| {}));
    match (arguments.replay, &arguments.planted) {
        (Some(seed), _) => replay(seed, arguments.shrink),
        (None, Some(names)) => hunt(&arguments, names),
        (None, None) => campaign(&arguments),
    }
}

/// Every planted fault must break a law within these many lives.
const HUNT_LIVES: u64 = 2_000;

fn hunt(arguments: &Arguments, names: &[String]) -> ExitCode {
    let started = Instant::now();
    let rows = TABLE
        .iter()
        .filter(|row| names.is_empty() || names.iter().any(|name| name == row.1));
    let bugs: Vec<Bug> = rows.map(|row| row.0).collect();
    let hunts = rig::hunt(&bugs, HUNT_LIVES, arguments.threads);
    let is_written = write(arguments, &report::hunt_json(&hunts));
    report::print_hunts(&hunts, started.elapsed(), arguments.brief);
    exit(is_written && hunts.iter().all(|hunt| hunt.law.is_some()))
}

/// Writes the answer of `--json`, if it was asked for.
fn write(arguments: &Arguments, text: &str) -> bool {
    let Some(path) = &arguments.json else {
        return true;
    };
    let written = std::fs::write(path, text);
    if let Err(error) = &written {
        eprintln!("sim: {} cannot be written: {error}", path.display());
    }
    written.is_ok()
}

fn exit(is_good: bool) -> ExitCode {
    if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn replay(seed: u64, is_shrunk: bool) -> ExitCode {
    let mut plan = Plan::draw(seed);
    if let Some(broken) = rig::live(&plan).broken.filter(|_| is_shrunk) {
        plan = rig::shrink(&plan, broken.law);
    }
    let lived = rig::live_traced(&plan);
    for line in &lived.trace {
        println!("{line}");
    }
    println!("{}", rig::tell(&plan));
    match lived.broken {
        Some(broken) => {
            println!("seed {seed}: {} {}", broken.law.name(), broken.text);
            ExitCode::FAILURE
        }
        None => ExitCode::SUCCESS,
    }
}

fn campaign(arguments: &Arguments) -> ExitCode {
    let started = Instant::now();
    let red = RED_SEEDS
        .lines()
        .filter_map(|line| line.split('#').next()?.trim().parse().ok());
    let seeds: Vec<u64> = red
        .chain(arguments.seed..arguments.seed + arguments.lives)
        .collect();
    let totals = rig::run(&seeds, arguments.threads);
    let is_written = write(arguments, &report::json(&totals));
    report::print(&totals, started.elapsed(), arguments.brief);
    exit(is_written && report::is_good(&totals))
}
