//! `--once`: nobody is there to be asked. Logs in with what standard input says, cancels and flattens, and prints the report.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use trading_bot_core::database::log::Segment;
use trading_bot_core::order_execution::sweep::{Leave, Sweep};

use crate::kill::{Report, Row, choose, summary};
use crate::login::{self, Line};

const PATIENCE: Duration = Duration::from_secs(75);
const ALLOWANCE: usize = 200;

/// Runs it all; the exit code of the report.
pub async fn run(base: &Path, wanted: &[String]) -> u8 {
    let report = kill(base, wanted).await;
    println!("{}", report.to_json());
    report.exit_code
}

async fn kill(base: &Path, wanted: &[String]) -> Report {
    let line = tokio::task::spawn_blocking(login::next_line).await;
    let Ok(Line::Login(login)) = line else {
        return Report::failed("invalid", 2, "Standard input holds no login.");
    };
    if let Err(failure) = login.client.login().await {
        let (outcome, code) = if failure.is_final {
            ("refused", 4)
        } else {
            ("not_connected", 6)
        };
        return Report::failed(outcome, code, failure.text);
    }
    login.client.warm_up().await;
    let segment = Segment::create(&base.join("guardian-kills.jsonl"));
    let sweep = Sweep::new(Arc::clone(&login.client), Arc::new(segment));
    let accounts = match choose(&sweep, Vec::new(), wanted).await {
        Ok(accounts) => accounts,
        Err(report) => return report,
    };
    let started = Instant::now();
    let mut work = JoinSet::new();
    for (account, name) in accounts {
        let sweep = sweep.clone();
        work.spawn(async move {
            let may_close = || true;
            let leave = Leave {
                until: started + PATIENCE,
                allowance: ALLOWANCE,
                may_close: &may_close,
            };
            let swept = sweep.flatten(account, None, &leave).await;
            Row {
                account,
                name,
                swept,
                by: "guardian",
                engine_text: String::new(),
            }
        });
    }
    let rows = work.join_all().await;
    let report = summary(&rows, started, sweep.sent());
    sweep.note(report.to_json()).await;
    report
}
