//! `pitdesk-guardian`: a small process beside the window that outlives it (decision 1).
//!
//! It watches the heartbeat page and the pipe to its parent, says within two seconds what a dead engine leaves unmanaged
//! and when the window is frozen, and cancels and flattens when it is told to: by `guardian.sock`, by the global key, or,
//! with `--once`, right away. It opens no position.
//!
//! ```text
//! window process ──stdin: login, tokens, "end"──►┐
//! heartbeat.page ──beats of engine and window───►│ guardian ──REST: query, cancel, close──► broker
//! pitdesk kill ──guardian.sock──────────────────►│    │
//! global key (X11, Windows)─────────────────────►┘    └──control.sock: flatten──► the engine, while it lives
//! ```
//!
//! It has warm connections of its own, and neither the engine, the interpreter nor the disk is needed for what it does.
//! Exit codes: 0 done, 2 usage, 5 not proved flat, 6 not connected, 7 another guardian stays.

mod ask;
mod key;
mod kill;
mod login;
mod once;
mod socket;
mod tell;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;

use crate::kill::Killer;
use crate::login::{Line, Logins};
use crate::socket::Seat;
use crate::tell::Teller;
use crate::watch::{Parent, Watch};

const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How often the connections are opened anew. A ping would keep them as well, but spends a request of the budget.
const REFRESH_EVERY: Duration = Duration::from_secs(45);
const REST_WORKERS: usize = 2;

#[derive(Parser)]
#[command(
    name = "pitdesk-guardian",
    version,
    about = "Watches Pitdesk's engine and window; cancels and flattens when told to."
)]
struct Arguments {
    /// The engine's base directory.
    #[arg(long)]
    base: PathBuf,
    /// Global key that cancels and flattens everything, such as ctrl+alt+shift+k; empty for none.
    #[arg(long, default_value = "")]
    key: String,
    /// What to do when the window's process dies with something open: announce it, or cancel and flatten as well.
    #[arg(long, value_enum, default_value = "announce")]
    on_death: OnDeath,
    /// Cancel and flatten now with the login on standard input, print the report, and end.
    #[arg(long)]
    once: bool,
    /// With --once: only this account, by name or id; may be given more than once.
    #[arg(long)]
    account: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum OnDeath {
    Announce,
    Flatten,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    ignore_full_disks();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(REST_WORKERS)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("pitdesk-guardian: no runtime: {error}.");
            return ExitCode::from(70);
        }
    };
    let code = if arguments.once {
        runtime.block_on(once::run(&arguments.base, &arguments.account))
    } else {
        runtime.block_on(serve(arguments))
    };
    // A thread may still wait for its standard input.
    runtime.shutdown_background();
    ExitCode::from(code)
}

/// A file that may not grow must cost a line of the segment, not the process.
fn ignore_full_disks() {
    #[cfg(unix)]
    // SAFETY: the disposition is set before any other thread exists, to a value that runs no code.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
    }
}

/// Watches until the window has ended in order, or somebody else takes over.
async fn serve(arguments: Arguments) -> u8 {
    let Some(seat) = Seat::take(&arguments.base).await else {
        return 7;
    };
    let teller = Teller::start(&arguments.base);
    let watch = Arc::new(Watch::new(&arguments.base));
    let logins = Arc::new(Logins::default());
    let killer = Arc::new(Killer::new(
        &arguments.base,
        Arc::clone(&watch),
        Arc::clone(&logins),
        teller.clone(),
    ));
    let mut lines = login::read_lines();
    let mut keys = key::listen(&arguments.key, &teller);
    tokio::spawn(refresh(Arc::clone(&logins), Arc::clone(&watch)));
    let mut visits = seat.listen(Arc::clone(&killer), Arc::clone(&watch));
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = looks.tick() => watch.look().into_iter().for_each(|news| teller.tell(&news)),
            line = lines.recv() => match line {
                Some(Line::Login(login)) => logins.take(login),
                Some(Line::End) => break,
                Some(Line::Gone) => {
                    watch.parent_is(Parent::Gone);
                    if arguments.on_death == OnDeath::Flatten {
                        start_kill(&killer, "death");
                    }
                    let leave = visits.leave_taker();
                    tokio::spawn(linger(arguments.base.clone(), Arc::clone(&killer), leave));
                }
                None => lines = login::silence(),
            },
            Some(()) = keys.recv() => start_kill(&killer, "key"),
            () = visits.leave() => break,
        }
    }
    killer.finish().await;
    drop(seat);
    0
}

/// Everything, at once, without a question.
fn start_kill(killer: &Arc<Killer>, source: &'static str) {
    let killer = Arc::clone(killer);
    tokio::spawn(async move {
        killer.kill(&[], source).await;
    });
}

/// Keeps connections young; renews the token once nobody else does.
async fn refresh(logins: Arc<Logins>, watch: Arc<Watch>) {
    loop {
        tokio::time::sleep(REFRESH_EVERY).await;
        if let Some(login) = logins.current() {
            if watch.is_parent_gone() {
                // Refused here, it shows itself in the 401 of the next request, which logs in again.
                let _ = login.client.renew_when_due().await;
            }
            login.client.close();
            login.client.warm_up().await;
        }
    }
}

const LINGER_STEP: Duration = Duration::from_secs(5);
/// The broker is asked once a minute.
const LINGER_STEPS: u32 = 12;
/// After so many unanswered questions to a gateway of this machine, that gateway is gone as well.
const LINGER_TRIES: u32 = 2;

/// After the window's death: stays as long as something is open, so that `pitdesk kill` finds it at work.
async fn linger(base: PathBuf, killer: Arc<Killer>, leave: tokio::sync::mpsc::Sender<()>) {
    let mut failures = 0;
    for step in 1_u32.. {
        tokio::time::sleep(LINGER_STEP).await;
        if !base.is_dir() {
            break;
        }
        if step % LINGER_STEPS != 0 {
            continue;
        }
        match killer.is_flat().await {
            Some(true) => break,
            Some(false) => failures = 0,
            None => failures += 1,
        }
        if failures >= LINGER_TRIES && killer.is_local() {
            break;
        }
    }
    // The receiver lives as long as the loop that this ends.
    let _ = leave.send(()).await;
}
