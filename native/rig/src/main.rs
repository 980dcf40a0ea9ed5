//! `pitdesk-rig`: thousands of lives of the engine in virtual time; exit code 1 when an invariant broke or was never checked.

mod report;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
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
    /// With --replay: makes the plan as small as it can be first.
    #[arg(long, requires = "replay")]
    shrink: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // A panic is a broken law here, told with its seed; the default message would repeat it for every shrinking step.
    std::panic::set_hook(Box::new(|_| {}));
    match arguments.replay {
        Some(seed) => replay(seed, arguments.shrink),
        None => campaign(&arguments),
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
    if let Some(path) = &arguments.json
        && let Err(error) = std::fs::write(path, report::json(&totals))
    {
        eprintln!("sim: {} cannot be written: {error}", path.display());
        return ExitCode::FAILURE;
    }
    report::print(&totals, started.elapsed());
    if report::is_good(&totals) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
