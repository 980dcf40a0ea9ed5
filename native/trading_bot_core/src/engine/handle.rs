//! The engine as other threads hold it: non-blocking commands in, immutable views out. Python and the control socket are
//! its two callers.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use crossbeam_channel::{Sender, TrySendError, bounded, unbounded};
use parking_lot::Mutex;
use tokio::runtime::{Builder, Runtime};

use super::contract::{Command, Draft, Environment};
use super::control;
use super::driver::{Driver, Shared};
use super::news::{Gauges, News};
use super::session::{Arrival, Connect};
use super::views::Board;
use crate::database::home::{Home, HomeError};
use crate::order_execution::tag::{TagKind, TagMint};
use crate::types::{ClientTag, RequestId};

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

/// One engine of one base directory.
pub struct Handle {
    shared: Shared,
    commands: Sender<Command>,
    arrivals: Sender<Arrival>,
    engine: Thread,
    /// The last environment connected to; chooses the kind of tag.
    is_live: AtomicBool,
    next_request: AtomicU64,
    threads: Mutex<Option<(JoinHandle<()>, Runtime)>>,
}

impl Handle {
    /// Takes the base directory and starts the threads. `wake_fd` as in `News::new`.
    pub fn start(directory: &Path, wake_fd: i32) -> Result<Arc<Self>, HomeError> {
        let home = Arc::new(Home::take(directory)?);
        let failed = |error| HomeError::Io { directory: directory.display().to_string(), error };
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
            news: Arc::new(News::new(wake_fd)),
            gauges: Arc::new(Gauges::default()),
            is_stopping: Arc::new(AtomicBool::new(false)),
        };
        let (commands, wanted) = bounded(COMMANDS_MAX);
        let arrivals = unbounded();
        let sender = arrivals.0.clone();
        let (driver_shared, net) = (shared.clone(), runtime.handle().clone());
        let engine = std::thread::Builder::new()
            .name("engine".into())
            .spawn(move || Driver::new(driver_shared, net, wanted, arrivals).run())
            .map_err(failed)?;
        let handle = Arc::new(Self {
            shared,
            commands,
            arrivals: sender,
            engine: engine.thread().clone(),
            is_live: AtomicBool::new(false),
            next_request: AtomicU64::new(1),
            threads: Mutex::new(Some((engine, runtime))),
        });
        if let Some((_, runtime)) = &*handle.threads.lock() {
            control::serve(runtime.handle(), &handle).map_err(failed)?;
        }
        Ok(handle)
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

    /// A number for the next request.
    pub fn request(&self) -> RequestId {
        RequestId(self.next_request.fetch_add(1, Ordering::Relaxed))
    }

    /// Starts a connection; its end is a `RequestDone`.
    pub fn connect(&self, connect: Connect) -> Result<(), Refusal> {
        if self.is_stopping() {
            return Err(Refusal::Closed);
        }
        self.is_live.store(connect.environment == Environment::Live, Ordering::Relaxed);
        let is_sent = self.arrivals.send(Arrival::Connect(Box::new(connect))).is_ok();
        self.engine.unpark();
        if is_sent { Ok(()) } else { Err(Refusal::Closed) }
    }

    /// Pushes one command. Never waits.
    pub fn push(&self, command: Command) -> Result<(), Refusal> {
        if self.is_stopping() {
            return Err(Refusal::Closed);
        }
        let result = self.commands.try_send(command).map_err(|error| match error {
            TrySendError::Full(_) => Refusal::Busy,
            TrySendError::Disconnected(_) => Refusal::Closed,
        });
        self.engine.unpark();
        result
    }

    /// Pushes a command made with a fresh request number, and returns the number.
    pub fn ask(&self, make: impl FnOnce(RequestId) -> Command) -> Result<RequestId, Refusal> {
        let request = self.request();
        self.push(make(request)).map(|()| request)
    }

    /// Mints a tag and pushes the order made with it.
    pub fn submit(&self, make: impl FnOnce(ClientTag) -> Draft) -> Result<ClientTag, Refusal> {
        if self.is_halted() {
            return Err(Refusal::Halted);
        }
        let mint = &self.shared.mints[usize::from(self.is_live.load(Ordering::Relaxed))];
        let draft = make(mint.next_tag());
        let tag = draft.tag;
        self.push(Command::Submit(draft)).map(|()| tag)
    }

    pub fn is_halted(&self) -> bool {
        self.shared.board.status.load().state == "halted"
    }

    pub fn is_stopping(&self) -> bool {
        self.shared.is_stopping.load(Ordering::Acquire)
    }

    pub fn is_running(&self) -> bool {
        self.threads.lock().as_ref().is_some_and(|(engine, _)| !engine.is_finished())
    }

    /// Stops and joins every thread, and removes the control socket. Idempotent; may be called from any thread.
    pub fn shutdown(&self) {
        self.shared.is_stopping.store(true, Ordering::Release);
        let Some((engine, runtime)) = self.threads.lock().take() else { return };
        self.engine.unpark();
        // A panic outside `turn` would be a fault of the driver; the program ends all the same.
        let _ = engine.join();
        runtime.shutdown_timeout(Duration::from_secs(1));
        control::remove(self.home().directory());
        self.shared.home.release();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shutdown();
    }
}
