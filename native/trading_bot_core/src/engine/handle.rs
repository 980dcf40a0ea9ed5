//! The engine as other threads hold it: non-blocking commands in, immutable views out. Python and the control socket are
//! its two callers.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Sender, TrySendError, bounded, unbounded};
use parking_lot::Mutex;
use tokio::runtime::{Builder, Runtime};

use super::contract::{BarUnit, BarView, Command, ContractDef, Draft, Environment, MarketView};
use super::control;
use super::doorbell::Doorbell;
use super::driver::{Driver, Shared};
use super::news::{Gauges, News};
use super::priority::prefer_this_thread;
use super::pulse::Heart;
use super::session::{Arrival, Connect};
use super::views::{Board, Event, NoticeLevel, NoticeRow};
use super::wakefulness::{self, Spin};
use crate::clock::{mono, wall};
use crate::database::account_lock;
use crate::database::home::{Home, HomeError};
use crate::database::log::Durability;
use crate::order_execution::boundary::Watch;
use crate::order_execution::gate::Limits;
use crate::order_execution::legs::BracketPlan;
use crate::order_execution::tag::{TagKind, TagMint};
use crate::order_execution::trading::Settings;
use crate::types::{ClientTag, Mono, RequestId};

/// Commands that may wait; a caller beyond it is told at once.
const COMMANDS_MAX: usize = 1_024;
const NET_THREADS: usize = 2;

/// Why a command was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("The command queue is full; nothing was queued.")]
    Busy,
    #[error("The engine is halted; only cancels and closes are taken.")]
    Halted,
    #[error("The engine has been shut down.")]
    Closed,
    #[error("{0}")]
    Invalid(String),
}

impl Refusal {
    /// The word of `ERROR_KINDS`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Halted => "halted",
            Self::Closed => "closed",
            Self::Invalid(_) => "invalid",
        }
    }
}

/// How an engine is started.
#[derive(Clone, Copy)]
pub struct Start {
    /// As in `News::new`.
    pub wake_fd: i32,
    pub durability: Durability,
    pub spin: Spin,
    /// For a rig that wants to know at which moment it can die.
    pub watch: Option<Watch>,
}

impl Default for Start {
    fn default() -> Self {
        Self {
            wake_fd: -1,
            durability: Durability::default(),
            spin: Spin::default(),
            watch: None,
        }
    }
}

/// One engine of one base directory.
pub struct Handle {
    shared: Shared,
    commands: Sender<(Mono, Command)>,
    arrivals: Sender<Arrival>,
    /// The last environment connected to; chooses the kind of tag.
    is_live: AtomicBool,
    next_request: AtomicU64,
    threads: Mutex<Option<(JoinHandle<()>, Runtime)>>,
}

impl Handle {
    /// Takes the base directory and starts the threads. `wake_fd` as in `News::new`.
    pub fn start(directory: &Path, wake_fd: i32) -> Result<Arc<Self>, HomeError> {
        let start = Start {
            wake_fd,
            ..Start::default()
        };
        Self::start_with(directory, start)
    }

    pub fn start_with(directory: &Path, start: Start) -> Result<Arc<Self>, HomeError> {
        let home = Arc::new(Home::take(directory)?);
        let failed = |error| HomeError::Io {
            directory: directory.display().to_string(),
            error,
        };
        let runtime = Builder::new_multi_thread()
            .worker_threads(NET_THREADS)
            .thread_name("net")
            .enable_all()
            .build()
            .map_err(failed)?;
        let mint = |kind| TagMint::new(kind, home.install(), home.epoch());
        let shared = Shared {
            mints: Arc::new([mint(TagKind::Practice), mint(TagKind::Live)]),
            home: Arc::clone(&home),
            board: Arc::new(Board::default()),
            news: Arc::new(News::new(start.wake_fd)),
            gauges: Arc::new(Gauges::default()),
            is_stopping: Arc::new(AtomicBool::new(false)),
            heart: Arc::new(Heart::new(directory)),
            watch_line: Arc::default(),
            settings: settings_of(&|name| std::env::var(name).ok()),
            bell: Doorbell::new().map_err(failed)?,
            durability: start.durability,
            spin: start.spin.on_cores(wakefulness::cores()),
            locks: account_lock::folder(&|name| std::env::var(name).ok()),
            watch: start.watch,
        };
        let (commands, wanted) = bounded(COMMANDS_MAX);
        let arrivals = unbounded();
        let sender = arrivals.0.clone();
        let (driver_shared, net) = (shared.clone(), runtime.handle().clone());
        let engine = std::thread::Builder::new()
            .name("engine".into())
            .spawn(move || {
                prefer_this_thread();
                Driver::new(driver_shared, net, wanted, arrivals).run();
            })
            .map_err(failed)?;
        let handle = Arc::new(Self {
            shared,
            commands,
            arrivals: sender,
            is_live: AtomicBool::new(false),
            next_request: AtomicU64::new(1),
            threads: Mutex::new(Some((engine, runtime))),
        });
        let net = handle
            .threads
            .lock()
            .as_ref()
            .map(|(_, runtime)| runtime.handle().clone());
        if let Some(Err(error)) = net.map(|net| control::serve(&net, &handle)) {
            handle.warn_without_control(&error);
        }
        Ok(handle)
    }

    /// The window works without the socket; only the command line cannot reach it.
    fn warn_without_control(&self, error: &std::io::Error) {
        let path = self.home().directory().display();
        let text = format!(
            "The command line cannot reach this engine: no control socket in {path}: {error}."
        );
        let (level, code, time_ns) = (NoticeLevel::Warning, "no_control_socket", wall().0);
        self.news().push(Event::Notice(NoticeRow {
            level,
            code,
            text,
            time_ns,
        }));
        self.news().wake();
    }

    pub fn board(&self) -> &Arc<Board> {
        &self.shared.board
    }

    pub fn news(&self) -> &Arc<News> {
        &self.shared.news
    }

    pub fn gauges(&self) -> &Arc<Gauges> {
        &self.shared.gauges
    }

    pub fn home(&self) -> &Home {
        &self.shared.home
    }

    /// The window's thread takes its turns.
    pub fn beat_window(&self) {
        self.shared.heart.beat_window();
    }

    /// Takes the write end of a guardian's standard input.
    pub fn lead_guardian(&self, pipe: std::fs::File) {
        self.shared.watch_line.attach(pipe);
    }

    /// A number for the next request.
    pub fn request(&self) -> RequestId {
        RequestId(self.next_request.fetch_add(1, Ordering::Relaxed))
    }

    /// Starts a connection; its end is a `RequestDone`.
    pub fn connect(&self, connect: Connect) -> Result<(), Refusal> {
        if self.is_stopping() {
            return Err(Refusal::Closed);
        }
        self.is_live
            .store(connect.environment == Environment::Live, Ordering::Relaxed);
        let is_sent = self
            .arrivals
            .send(Arrival::Connect(Box::new(connect)))
            .is_ok();
        self.shared.bell.ring();
        if is_sent {
            Ok(())
        } else {
            Err(Refusal::Closed)
        }
    }

    /// Pushes one command. Never waits.
    pub fn push(&self, command: Command) -> Result<(), Refusal> {
        if self.is_stopping() {
            return Err(Refusal::Closed);
        }
        let result = self
            .commands
            .try_send((mono(), command))
            .map_err(|error| match error {
                TrySendError::Full(_) => Refusal::Busy,
                TrySendError::Disconnected(_) => Refusal::Closed,
            });
        self.shared.bell.ring();
        result
    }

    /// Pushes a command made with a fresh request number, and returns the number.
    pub fn ask(&self, make: impl FnOnce(RequestId) -> Command) -> Result<RequestId, Refusal> {
        let request = self.request();
        self.push(make(request)).map(|()| request)
    }

    /// A tag for the next order.
    pub fn mint(&self) -> ClientTag {
        self.shared.mints[usize::from(self.is_live.load(Ordering::Relaxed))].next_tag()
    }

    /// Pushes one order.
    pub fn submit(&self, draft: Draft) -> Result<(), Refusal> {
        if self.is_halted() {
            return Err(Refusal::Halted);
        }
        self.push(Command::Submit(draft))
    }

    /// Pushes one entry with its legs.
    pub fn submit_bracket(&self, draft: Draft, plan: BracketPlan) -> Result<(), Refusal> {
        if self.is_halted() {
            return Err(Refusal::Halted);
        }
        self.push(Command::SubmitBracket { draft, plan })
    }

    pub fn limits(&self, account: i64) -> Limits {
        self.board()
            .limits
            .load()
            .get(&account)
            .copied()
            .unwrap_or_default()
    }

    pub fn is_armed(&self, source: &str, account: i64) -> bool {
        self.board()
            .armed
            .load()
            .iter()
            .any(|(armed, id)| &**armed == source && *id == account)
    }

    pub fn contract(&self, id: &str) -> Option<Arc<ContractDef>> {
        self.board()
            .contracts
            .load()
            .iter()
            .find(|contract| contract.id == id)
            .cloned()
    }

    /// The newest view of a contract by index.
    pub fn market(&self, contract: i64) -> Option<Arc<MarketView>> {
        self.board()
            .markets
            .read()
            .get(&contract)
            .map(|view| view.load_full())
    }

    /// The newest view of a series of bars.
    pub fn bars(&self, contract: i64, unit: BarUnit, number: i64) -> Option<Arc<BarView>> {
        self.board()
            .bars
            .read()
            .get(&(contract, unit.word(), number))
            .map(|view| view.load_full())
    }

    /// The whole numbers of `status()`, without the latencies.
    pub fn figures(&self) -> [(&'static str, i64); 10] {
        let status = self.board().status.load();
        let since_ns = (mono().0 as i64 - status.mono_ns).max(0);
        let market_now_ns = match status.market_now_ns {
            0 => 0,
            published => published + since_ns,
        };
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as i64;
        [
            ("unknown_orders", status.unknown_orders),
            ("budget_used", status.budget_used),
            ("budget_limit", status.budget_limit),
            ("exits_kept", status.exits_kept),
            ("market_now_ns", market_now_ns),
            ("messages", count(&self.gauges().messages)),
            (
                "messages_unrecognised",
                count(&self.gauges().messages_unrecognised),
            ),
            ("journal_records", status.journal_records),
            ("login_ends_mono_ns", status.login_ends_mono_ns),
            ("naps", count(&self.gauges().naps)),
        ]
    }

    pub fn is_halted(&self) -> bool {
        self.shared.board.status.load().state == "halted"
    }

    pub fn is_stopping(&self) -> bool {
        self.shared.is_stopping.load(Ordering::Acquire)
    }

    pub fn is_running(&self) -> bool {
        self.threads
            .lock()
            .as_ref()
            .is_some_and(|(engine, _)| !engine.is_finished())
    }

    /// Stops and joins every thread, and removes the control socket. Idempotent; may be called from any thread.
    pub fn shutdown(&self) {
        self.shared.is_stopping.store(true, Ordering::Release);
        let Some((engine, runtime)) = self.threads.lock().take() else {
            return;
        };
        self.shared.bell.ring();
        // A panic outside `turn` would be a fault of the driver; the program ends all the same.
        let _ = engine.join();
        runtime.shutdown_timeout(Duration::from_secs(1));
        control::remove(self.home().directory());
        self.shared.watch_line.end();
        self.shared.home.release();
    }
}

/// The engine's settings; test rigs shorten the waits for absence together with the gateway's delays (decision 13).
fn settings_of(variable: &dyn Fn(&str) -> Option<String>) -> Settings {
    let nanos = |name: &str, usual: u64| {
        let seconds = variable(name)
            .and_then(|text| text.parse::<f64>().ok())
            .filter(|s| (0.1..=3_600.0).contains(s));
        seconds.map_or(usual, |seconds| (seconds * 1e9) as u64)
    };
    let usual = Settings::default();
    Settings {
        request_timeout_ns: nanos("PITDESK_ENGINE_REQUEST_TIMEOUT_S", usual.request_timeout_ns),
        absence_after_ns: nanos("PITDESK_ENGINE_ABSENCE_AFTER_S", usual.absence_after_ns),
        read_gap_ns: nanos("PITDESK_ENGINE_READ_GAP_S", usual.read_gap_ns),
        cancel_wait_ns: nanos("PITDESK_ENGINE_CANCEL_WAIT_S", usual.cancel_wait_ns),
        orphan_after_ns: nanos("PITDESK_ENGINE_ORPHAN_AFTER_S", usual.orphan_after_ns),
        is_budget_lifted: variable("PITDESK_ENGINE_BENCH_LIMITS_OFF").as_deref() == Some("1"),
        ..usual
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shutdown();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::contract::DoneOutcome;
    use crate::engine::news::Done;
    use crate::types::{AccountId, Lots, OrderKind, Side};

    struct Running(Arc<Handle>, std::path::PathBuf);

    impl Running {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("pitdesk-{name}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&path);
            Self(Handle::start(&path, -1).expect("a fresh directory"), path)
        }

        fn halted(name: &str) -> Self {
            let running = Self::new(name);
            running
                .0
                .arrivals
                .send(Arrival::Panic)
                .expect("the engine listens");
            running.0.shared.bell.ring();
            wait_for(|| running.0.is_halted());
            running
        }

        fn end_of(&self, make: impl FnOnce(RequestId) -> Command) -> Done {
            let request = self.0.request();
            let promise = self.0.news().expect(request.0);
            self.0.push(make(request)).expect("room in the queue");
            promise.blocking_recv().expect("an end")
        }
    }

    impl Drop for Running {
        fn drop(&mut self) {
            self.0.shutdown();
            let _ = std::fs::remove_dir_all(&self.1);
        }
    }

    /// Thirty seconds are the limit of a hang, not a measurement.
    fn wait_for(condition: impl Fn() -> bool) {
        let limit = std::time::Instant::now() + Duration::from_secs(30);
        while !condition() {
            assert!(
                std::time::Instant::now() < limit,
                "the condition never came true"
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn draft(tag: ClientTag) -> Draft {
        Draft {
            tag,
            account: AccountId(1),
            contract_id: "CON.F.US.MNQ.Z26".into(),
            side: Side::Buy,
            kind: OrderKind::Market,
            size: Lots(1),
            limit: None,
            stop: None,
            trail: None,
            stop_bracket_ticks: None,
            target_bracket_ticks: None,
            is_reduce_only: false,
            source: "test".into(),
            pressed: Mono(0),
        }
    }

    #[test]
    fn a_panic_halts_the_engine_and_leaves_views_and_exits() {
        let running = Running::halted("panic");
        assert_eq!(
            running.0.submit(draft(running.0.mint())),
            Err(Refusal::Halted)
        );
        let done = running.end_of(|request| Command::Reconcile { request });
        assert_eq!(done.outcome, DoneOutcome::Failed);
        assert!(
            running.0.is_running(),
            "the thread lives on as the caretaker"
        );
        assert!(running.0.board().orders.load().is_empty());
        assert!(
            running.0.home().segment_path().exists(),
            "the caretaker has a journal of its own"
        );
    }

    #[test]
    fn shutdown_ends_a_halted_engine_and_frees_the_directory() {
        let running = Running::halted("halted-shutdown");
        running.0.shutdown();
        assert!(!running.0.is_running());
        assert_eq!(
            running.0.push(Command::Reconcile {
                request: RequestId(1)
            }),
            Err(Refusal::Closed)
        );
        drop(Home::take(&running.1).expect("the lock is free"));
    }

    #[test]
    fn the_waits_for_absence_come_from_the_environment_within_reason() {
        let short = settings_of(&|name| {
            (name == "PITDESK_ENGINE_ABSENCE_AFTER_S").then(|| "1.5".to_owned())
        });
        assert_eq!(short.absence_after_ns, 1_500_000_000);
        let absurd = settings_of(&|_| Some("-3".to_owned()));
        assert_eq!(
            absurd.absence_after_ns,
            Settings::default().absence_after_ns
        );
    }
}
