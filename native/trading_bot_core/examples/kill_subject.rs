//! The program that the kill harness kills: engine, journal and REST client against a practice gateway, no Python.
//!
//! `kill_subject trade BASE SEED [BOUNDARY COUNT]` places, changes and cancels orders at random until it is killed; with a
//! boundary it kills itself when it comes to that moment for the COUNT-th time, and names it on standard output before.
//! `kill_subject settle BASE` waits until nothing is unknown and prints every order as JSON. Both read the gateway's
//! first line from standard input.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use secrecy::SecretString;
use serde_json::{Value, json};
use trading_bot_core::engine::contract::{Command, DoneOutcome, Draft, Environment, Wanted};
use trading_bot_core::engine::handle::{Handle, Start};
use trading_bot_core::engine::news::Done;
use trading_bot_core::engine::session::Connect;
use trading_bot_core::engine::views::{OrderRow, OrderTable};
use trading_bot_core::order_execution::boundary::{Boundary, Watch};
use trading_bot_core::order_execution::gate::Limits;
use trading_bot_core::types::{AccountId, Lots, Mono, OrderKind, RequestId, Side, Ticks};

const SOURCE: &str = "kill";
/// Several, since an unknown order blocks its contract until there is proof.
const CONTRACTS: [&str; 4] = [
    "CON.F.US.MNQ.Z26",
    "CON.F.US.MES.Z26",
    "CON.F.US.ENQ.Z26",
    "CON.F.US.EP.Z26",
];
const SETTLED_WITHIN: Duration = Duration::from_secs(30);

static DEADLY: AtomicUsize = AtomicUsize::new(usize::MAX);
static TIMES_LEFT: AtomicI64 = AtomicI64::new(0);

fn die_at(boundary: Boundary) {
    let Some((number, (_, name))) = Boundary::ALL
        .iter()
        .enumerate()
        .find(|(_, (known, _))| *known == boundary)
    else {
        return;
    };
    if DEADLY.load(Ordering::Relaxed) == number && TIMES_LEFT.fetch_sub(1, Ordering::Relaxed) == 1 {
        say(name);
        kill_self();
    }
}

#[cfg(unix)]
fn kill_self() {
    // SAFETY: a signal to this very process, which runs nothing afterwards.
    unsafe {
        libc::kill(libc::getpid(), libc::SIGKILL);
    }
    std::thread::sleep(Duration::from_secs(10));
}

#[cfg(not(unix))]
fn kill_self() {
    std::process::abort();
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // The harness may have gone; then nobody listens.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Draws without a crate: splitmix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

struct Subject {
    handle: Arc<Handle>,
    account: AccountId,
}

impl Subject {
    /// Starts the engine and follows the account; `Err` says what did not work.
    fn start(base: &str, hello: &Value, watch: Option<Watch>) -> Result<Self, String> {
        let handle = Handle::start_with(
            Path::new(base),
            Start {
                watch,
                ..Start::default()
            },
        )
        .map_err(|e| e.to_string())?;
        let text = |name: &str| hello[name].as_str().unwrap_or_default().to_owned();
        let request = handle.request();
        let promise = handle.news().expect(request.0);
        let connect = Connect {
            request,
            rest_url: text("rest"),
            user_hub_url: text("user_hub"),
            market_hub_url: text("market_hub"),
            user_name: text("user_name"),
            api_key: SecretString::from(text("api_key")),
            environment: Environment::Demo,
        };
        handle.connect(connect).map_err(|e| e.to_string())?;
        let done = promise.blocking_recv().map_err(|e| e.to_string())?;
        let account = hello["accounts"][0]["id"].as_i64().unwrap_or_default();
        let subject = Self {
            handle,
            account: AccountId(i32::try_from(account).map_err(|e| e.to_string())?),
        };
        wanted("connect", &done)?;
        let accounts = vec![subject.account];
        wanted(
            "accounts",
            &subject.ask(|request| Command::ChooseAccounts { request, accounts }),
        )?;
        Ok(subject)
    }

    fn ask(&self, make: impl FnOnce(RequestId) -> Command) -> Done {
        let request = self.handle.request();
        let promise = self.handle.news().expect(request.0);
        let refused = |text: String| Done {
            outcome: DoneOutcome::Failed,
            text,
            payload_json: String::new(),
        };
        if let Err(refusal) = self.handle.push(make(request)) {
            return refused(refusal.to_string());
        }
        promise
            .blocking_recv()
            .unwrap_or_else(|_| refused("the engine has ended".to_owned()))
    }

    /// Waits for the quotes of every contract and arms this source.
    fn prepare(&self) -> Result<(), String> {
        for contract_id in CONTRACTS.map(str::to_owned) {
            wanted(
                "subscribe",
                &self.ask(|request| Command::Subscribe {
                    request,
                    contract_id,
                }),
            )?;
        }
        // Arming does not outlive the opening of the user hub.
        while self.handle.board().status.load().state != "live" {
            std::thread::sleep(Duration::from_millis(1));
        }
        let limits = Limits {
            max_position_lots: 1_000,
            duplicate_window_ms: 0,
            ..Limits::default()
        };
        let (account, source) = (self.account, SOURCE.to_owned());
        let arm = Command::Arm {
            source,
            account,
            is_armed: true,
        };
        for command in [Command::SetLimits { account, limits }, arm] {
            self.handle.push(command).map_err(|e| e.to_string())?;
        }
        let is_armed = || self.handle.is_armed(SOURCE, i64::from(account.0));
        while !is_armed() || CONTRACTS.iter().any(|id| self.bid(id).is_none()) {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn bid(&self, contract_id: &str) -> Option<i64> {
        let contract = self.handle.contract(contract_id)?;
        let view = self.handle.market(i64::from(contract.index.0))?;
        view.best_bid_ticks
    }

    fn rows(&self) -> Arc<OrderTable> {
        self.handle.board().orders.load_full()
    }

    /// One decision of a restless trader. What the gate denies is as good as nothing done.
    fn act(&self, dice: &mut Dice) {
        let rows = self.rows();
        let mut working = rows.iter().filter(|row| row.life == "working");
        let count = working.clone().count() as u64;
        let one = (count > 0)
            .then(|| working.nth(dice.below(count) as usize))
            .flatten();
        let source = SOURCE.to_owned();
        let command = match (dice.below(10), one) {
            (0..=1, Some(row)) => Command::Modify {
                request: self.handle.request(),
                key: row.key.to_string(),
                wanted: Wanted {
                    limit: row.limit_ticks.map(|ticks| Ticks(ticks - 1)),
                    ..Wanted::default()
                },
                source,
            },
            (2..=3, Some(row)) => cancel(&self.handle, row),
            // The cap on working orders must never end the game.
            (_, Some(row)) if count > 20 => cancel(&self.handle, row),
            (number, _) => match self.draft(dice, number == 4) {
                Some(draft) => Command::Submit(draft),
                None => return,
            },
        };
        // A full queue is a decision not taken.
        let _ = self.handle.push(command);
    }

    fn draft(&self, dice: &mut Dice, is_market: bool) -> Option<Draft> {
        let contract_id = CONTRACTS[dice.below(CONTRACTS.len() as u64) as usize];
        let side = [Side::Buy, Side::Sell][dice.below(2) as usize];
        let away = 40 + dice.below(100) as i64;
        let limit = Ticks(self.bid(contract_id)? - side.sign() * away);
        Some(Draft {
            tag: self.handle.mint(),
            account: self.account,
            contract_id: contract_id.to_owned(),
            side,
            kind: if is_market {
                OrderKind::Market
            } else {
                OrderKind::Limit
            },
            size: Lots(1),
            limit: (!is_market).then_some(limit),
            stop: None,
            trail: None,
            stop_bracket_ticks: None,
            target_bracket_ticks: None,
            is_reduce_only: false,
            source: SOURCE.to_owned(),
            pressed: Mono(0),
        })
    }

    /// Every order once nothing is unknown, or what is left when the time is up.
    fn settle(&self) -> Value {
        let limit = Instant::now() + SETTLED_WITHIN;
        let is_settled = |rows: &OrderTable| {
            rows.iter()
                .all(|row| row.doubt_since_ns == 0 && !matches!(row.life, "intent" | "sent"))
        };
        while !is_settled(&self.rows()) && Instant::now() < limit {
            std::thread::sleep(Duration::from_millis(2));
        }
        // The last round of comparing may have changed what was shown.
        let done = self.ask(|request| Command::Reconcile { request });
        let rows = self.rows();
        let orders: Vec<Value> = rows
            .iter()
            .map(|row| {
                json!({"tag": &*row.tag, "order_id": row.order_id, "life": row.life,
                       "is_unknown": row.doubt_since_ns != 0, "is_foreign": row.is_foreign})
            })
            .collect();
        json!({"orders": orders, "reconciled": done.outcome.word()})
    }
}

fn cancel(handle: &Handle, row: &OrderRow) -> Command {
    Command::Cancel {
        request: handle.request(),
        key: row.key.to_string(),
        source: SOURCE.to_owned(),
    }
}

fn wanted(what: &str, done: &Done) -> Result<(), String> {
    if done.outcome == DoneOutcome::Done {
        Ok(())
    } else {
        Err(format!("{what}: {}", done.text))
    }
}

fn trade(subject: &Subject, seed: u64) -> Result<(), String> {
    subject.prepare()?;
    say("ready");
    let mut dice = Dice(seed);
    loop {
        subject.act(&mut dice);
        std::thread::sleep(Duration::from_micros(dice.below(4_000)));
    }
}

fn run(told: &[String]) -> Result<(), String> {
    let mut line = String::new();
    std::io::stdin()
        .read_line(&mut line)
        .map_err(|e| e.to_string())?;
    let hello: Value = serde_json::from_str(&line).map_err(|e| e.to_string())?;
    let watch = match told.get(4..6) {
        Some([name, count]) => {
            let number = Boundary::ALL.iter().position(|(_, known)| known == name);
            DEADLY.store(number.ok_or("no such boundary")?, Ordering::Relaxed);
            TIMES_LEFT.store(count.parse().unwrap_or(1), Ordering::Relaxed);
            Some(die_at as Watch)
        }
        _ => None,
    };
    let base = told.get(2).ok_or("no base directory")?;
    let subject = Subject::start(base, &hello, watch)?;
    match told.get(1).map(String::as_str) {
        Some("settle") => say(&subject.settle().to_string()),
        Some("trade") => {
            let seed = told.get(3).and_then(|text| text.parse().ok()).unwrap_or(1);
            trade(&subject, seed)?;
        }
        _ => return Err("trade or settle is wanted".to_owned()),
    }
    subject.handle.shutdown();
    Ok(())
}

fn main() {
    let told: Vec<String> = std::env::args().collect();
    if let Err(text) = run(&told) {
        eprintln!("kill_subject: {text}");
        std::process::exit(1);
    }
}
