//! The kill: the living engine is asked first; what it does not do, or not soon, is done here.
//!
//! Cancelling twice harms nobody, so an engine that has not answered after 100 ms is helped once: what still lives by a
//! reading of our own is cancelled. An engine at its work has cancelled by then, and the reading finds little or nothing.
//! After 700 ms the orders are ours until none is left. Closing twice could turn a position, so positions are closed here
//! only when the engine is proved dead (its end of the pipe is closed), has been silent for two seconds, has answered, or
//! has not answered for ten. The end is always a reading of our own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use trading_bot_core::database::log::Segment;
use trading_bot_core::engine::contract::DoneOutcome;
use trading_bot_core::order_execution::sweep::{Leave, Sweep, Swept};
use trading_bot_core::types::AccountId;

use crate::ask;
use crate::login::{Login, Logins};
use crate::tell::Teller;
use crate::watch::{News, Watch};

/// A beat older than this is no engine to wait for.
const FRESH: Duration = Duration::from_millis(500);
/// An engine that works gets so long before its cancels are helped along, once.
const HELP_AFTER: Duration = Duration::from_millis(100);
/// And so long before they are taken over, reading after reading.
const HEAD_START: Duration = Duration::from_millis(700);
/// What a help that is still on its way may hold up what follows it.
const HELP_PATIENCE: Duration = Duration::from_millis(300);
const SILENCE: Duration = Duration::from_secs(2);
const ENGINE_PATIENCE: Duration = Duration::from_secs(10);
/// One whole minute of the broker's budget, and what remains of it at its end.
const PATIENCE: Duration = Duration::from_secs(75);
const WAIT_STEP: Duration = Duration::from_millis(20);
/// The broker's count per minute, and what is kept of it for exits (decision 18).
const BUDGET: usize = 200;
const KEPT_FOR_EXITS: usize = 80;

/// What came of a kill. `exit_code` follows decision 2.
#[derive(Clone, Debug)]
pub struct Report {
    pub outcome: &'static str,
    pub text: String,
    pub exit_code: u8,
    pub more: Value,
}

impl Report {
    pub fn failed(outcome: &'static str, exit_code: u8, text: impl Into<String>) -> Self {
        Self {
            outcome,
            text: text.into(),
            exit_code,
            more: json!({}),
        }
    }

    /// The report as one JSON object.
    pub fn to_json(&self) -> Value {
        let mut all =
            json!({"outcome": self.outcome, "text": self.text, "exit_code": self.exit_code});
        if let (Some(all), Some(more)) = (all.as_object_mut(), self.more.as_object()) {
            all.extend(more.clone());
        }
        all
    }
}

/// Carries out kills, one at a time.
pub struct Killer {
    base: PathBuf,
    watch: Arc<Watch>,
    logins: Arc<Logins>,
    teller: Teller,
    at_work: tokio::sync::Mutex<()>,
}

impl Killer {
    pub fn new(base: &Path, watch: Arc<Watch>, logins: Arc<Logins>, teller: Teller) -> Self {
        Self {
            base: base.to_owned(),
            watch,
            logins,
            teller,
            at_work: tokio::sync::Mutex::new(()),
        }
    }

    /// Cancels everything and flattens, for the accounts named (all that the engine trades when none is).
    pub async fn kill(&self, wanted: &[String], source: &str) -> Report {
        // A second press joins the queue and then finds everything flat.
        let _turn = self.at_work.lock().await;
        let Some(login) = self.logins.current() else {
            return Report::failed("not_connected", 6, "The guardian was never told a login.");
        };
        let sweep = Sweep::new(Arc::clone(&login.client), Arc::new(self.segment()));
        let accounts = match self.accounts(&sweep, wanted).await {
            Ok(accounts) => accounts,
            Err(report) => return report,
        };
        self.say(
            "kill_started",
            "warning",
            "Cancelling and flattening everything.",
        );
        let used = self.watch.sight().beat.requests_used as usize;
        let allowance = KEPT_FOR_EXITS.max(BUDGET.saturating_sub(used));
        let started = Instant::now();
        sweep
            .note(json!({"kill": source, "accounts": ids(&accounts), "gateway": login.gateway}))
            .await;
        let mut work = JoinSet::new();
        for (account, name) in accounts {
            let job = Job {
                base: self.base.clone(),
                watch: Arc::clone(&self.watch),
                sweep: sweep.clone(),
                account,
                name,
                started,
                allowance,
            };
            work.spawn(job.run());
        }
        let rows = work.join_all().await;
        let report = summary(&rows, started, sweep.sent());
        sweep.note(report.to_json()).await;
        let level = if report.exit_code == 0 {
            "warning"
        } else {
            "alarm"
        };
        self.say("kill_ended", level, &report.text);
        report
    }

    /// Waits for a kill that is under way.
    pub async fn finish(&self) {
        drop(self.at_work.lock().await);
    }

    /// Whether nothing is open in any account the engine traded; `None` when the broker cannot be read.
    pub async fn is_flat(&self) -> Option<bool> {
        let login = self.logins.current()?;
        let sweep = Sweep::new(Arc::clone(&login.client), Arc::new(Segment::silent()));
        for (account, _) in self.accounts(&sweep, &[]).await.ok()? {
            if !sweep.is_flat(account).await.ok()? {
                return Some(false);
            }
        }
        Some(true)
    }

    /// Whether the gateway runs on this machine.
    pub fn is_local(&self) -> bool {
        let login = self.logins.current();
        login.is_none_or(|login: Arc<Login>| login.client.endpoint().is_loopback())
    }

    fn segment(&self) -> Segment {
        Segment::create(&self.base.join("guardian-kills.jsonl"))
    }

    fn say(&self, code: &'static str, level: &'static str, text: &str) {
        self.teller.tell(&News {
            code,
            level,
            text: text.to_owned(),
            more: Value::Null,
        });
    }

    /// The accounts that are meant: those of the heartbeat page, else those the broker lists.
    async fn accounts(
        &self,
        sweep: &Sweep,
        wanted: &[String],
    ) -> Result<Vec<(AccountId, String)>, Report> {
        let held = self.watch.sight().beat.detail.accounts;
        let known: Vec<(AccountId, String)> = held
            .into_iter()
            .filter_map(|account| Some((AccountId(i32::try_from(account.id).ok()?), account.name)))
            .collect();
        choose(sweep, known, wanted).await
    }
}

/// Picks the accounts that `wanted` names, by name or id, out of those known or, failing that, out of the broker's list.
pub async fn choose(
    sweep: &Sweep,
    known: Vec<(AccountId, String)>,
    wanted: &[String],
) -> Result<Vec<(AccountId, String)>, Report> {
    let pick = |from: &[(AccountId, String)]| -> Vec<(AccountId, String)> {
        let is_named = |(id, name): &&(AccountId, String)| {
            wanted.is_empty()
                || wanted
                    .iter()
                    .any(|text| text.eq_ignore_ascii_case(name) || *text == id.0.to_string())
        };
        from.iter().filter(is_named).cloned().collect()
    };
    let least = wanted.len().max(1);
    let mut chosen = pick(&known);
    if chosen.len() >= least {
        return Ok(chosen);
    }
    let listed = sweep.accounts().await.map_err(|(_, text)| {
        Report::failed(
            "not_connected",
            6,
            format!("The accounts cannot be read. {text}"),
        )
    })?;
    chosen = pick(&listed);
    if chosen.len() < least {
        let names: Vec<&str> = listed.iter().map(|(_, name)| name.as_str()).collect();
        let text = format!(
            "Account {} is not known; there are {}.",
            wanted.join(", "),
            names.join(", ")
        );
        return Err(Report::failed("invalid", 2, text));
    }
    Ok(chosen)
}

fn ids(accounts: &[(AccountId, String)]) -> Vec<i32> {
    accounts.iter().map(|(id, _)| id.0).collect()
}

/// How one account ended, and who did it.
pub struct Row {
    pub account: AccountId,
    pub name: String,
    pub swept: Swept,
    /// engine, guardian or both.
    pub by: &'static str,
    pub engine_text: String,
}

/// One account's part of a kill.
struct Job {
    base: PathBuf,
    watch: Arc<Watch>,
    sweep: Sweep,
    account: AccountId,
    name: String,
    started: Instant,
    allowance: usize,
}

/// What was heard of the engine before this process began to act.
enum Heard {
    Done(String),
    NotDone(String),
    /// Silent, dead, or too slow to wait for.
    Nothing,
}

/// The one help with an engine's cancels. It goes on while the engine is waited for.
#[derive(Default)]
struct Help {
    under_way: Option<JoinHandle<(usize, Duration)>>,
    cancelled: usize,
    /// From the start of the kill to the answer of its last cancel.
    last_cancel: Option<Duration>,
}

impl Help {
    fn start(&mut self, job: &Job) {
        let (sweep, account, started) = (job.sweep.clone(), job.account, job.started);
        self.under_way = Some(tokio::spawn(async move {
            // A reading that failed is made again by what follows.
            let cancelled = sweep.cancel_living(account).await.unwrap_or(0);
            (cancelled, started.elapsed())
        }));
    }

    /// Waits for its end, up to a limit; one that takes longer goes on.
    async fn settle(&mut self, limit: Duration) {
        let Some(under_way) = &mut self.under_way else {
            return;
        };
        let Ok(ended) = tokio::time::timeout(limit, under_way).await else {
            return;
        };
        self.under_way = None;
        if let Ok((cancelled @ 1.., after)) = ended {
            (self.cancelled, self.last_cancel) = (cancelled, Some(after));
        }
    }
}

impl Drop for Help {
    /// A reading that hangs until the kill is over might name orders of a later decision.
    fn drop(&mut self) {
        if let Some(under_way) = &self.under_way {
            under_way.abort();
        }
    }
}

impl Job {
    async fn run(self) -> Row {
        let has_answered = Arc::new(AtomicBool::new(false));
        let mut help = Help::default();
        let (heard, asked) = self.ask_first(&has_answered, &mut help).await;
        help.settle(HELP_PATIENCE).await;
        let may_close = || {
            let sight = self.watch.sight();
            has_answered.load(Ordering::Acquire)
                || !sight.is_beating(SILENCE)
                || self.started.elapsed() >= ENGINE_PATIENCE
        };
        let leave = Leave {
            until: self.started + PATIENCE,
            allowance: self.allowance,
            may_close: &may_close,
        };
        let began = self.started.elapsed();
        let mut swept = self.sweep.flatten(self.account, None, &leave).await;
        help.settle(Duration::ZERO).await;
        swept.cancelled += help.cancelled;
        let own = swept.last_cancel.map(|after| began + after);
        swept.last_cancel = own.max(help.last_cancel);
        if let Some(asked) = asked {
            asked.abort();
        }
        let has_acted = swept.cancelled + swept.closed > 0;
        let (by, engine_text) = match heard {
            Heard::Done(text) if has_acted => ("both", text),
            Heard::Done(text) => ("engine", text),
            Heard::NotDone(text) => ("guardian", text),
            Heard::Nothing => ("guardian", String::new()),
        };
        Row {
            account: self.account,
            name: self.name,
            swept,
            by,
            engine_text,
        }
    }

    /// Asks an engine that beats, and waits as long as waiting is better than acting, but for the help with its cancels.
    async fn ask_first(
        &self,
        has_answered: &Arc<AtomicBool>,
        help: &mut Help,
    ) -> (Heard, Option<tokio::task::AbortHandle>) {
        if !self.watch.sight().is_beating(FRESH) {
            return (Heard::Nothing, None);
        }
        let (base, account, flag) = (self.base.clone(), self.account, Arc::clone(has_answered));
        let mut asking = tokio::spawn(async move {
            let answer = ask::kill(&base, account).await;
            flag.store(true, Ordering::Release);
            answer
        });
        let mut has_helped = false;
        loop {
            tokio::select! {
                answer = &mut asking => return match answer {
                    Ok(Ok(text)) => (Heard::Done(text), None),
                    Ok(Err(text)) => (Heard::NotDone(text), None),
                    Err(_) => (Heard::NotDone("The question to the engine failed.".into()), None),
                },
                () = tokio::time::sleep(WAIT_STEP) => {}
            }
            let sight = self.watch.sight();
            let waited = self.started.elapsed();
            let has_orders = sight.beat.living_orders > 0;
            let is_late = waited >= HEAD_START && has_orders;
            if !sight.is_beating(FRESH) || is_late || waited >= ENGINE_PATIENCE {
                return (Heard::Nothing, Some(asking.abort_handle()));
            }
            if waited >= HELP_AFTER && has_orders && !has_helped {
                has_helped = true;
                help.start(self);
            }
        }
    }
}

/// One report of all accounts: done only when each was read back flat.
pub fn summary(rows: &[Row], started: Instant, sent: usize) -> Report {
    let open: Vec<&Row> = rows
        .iter()
        .filter(|row| row.swept.outcome != DoneOutcome::Done)
        .collect();
    let accounts: Vec<Value> = rows.iter().map(row_json).collect();
    let cancelled: usize = rows.iter().map(|row| row.swept.cancelled).sum();
    let closed: usize = rows.iter().map(|row| row.swept.closed).sum();
    let more = json!({
        "accounts": accounts, "took_ms": started.elapsed().as_millis() as u64, "requests": sent,
        "flat_verified": open.is_empty(),
    });
    if open.is_empty() {
        let who = if cancelled + closed == 0 {
            "no order and no position was left to the guardian".to_owned()
        } else {
            format!("the guardian cancelled {cancelled} orders and closed {closed} positions")
        };
        let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        let text = format!(
            "Flat, read back from the broker: {} ({who}).",
            names.join(", ")
        );
        return Report {
            outcome: "done",
            text,
            exit_code: 0,
            more,
        };
    }
    let texts: Vec<String> = open
        .iter()
        .map(|row| format!("{}: {}", row.name, row.swept.text))
        .collect();
    Report {
        outcome: "unknown",
        text: texts.join(" "),
        exit_code: 5,
        more,
    }
}

fn row_json(row: &Row) -> Value {
    json!({
        "id": row.account.0, "name": row.name, "outcome": row.swept.outcome.word(), "text": row.swept.text, "by": row.by,
        "engine": row.engine_text, "cancelled": row.swept.cancelled, "closed": row.swept.closed,
        "last_cancel_ms": row.swept.last_cancel.map(|after| after.as_millis() as u64),
    })
}

#[cfg(test)]
mod tests;
