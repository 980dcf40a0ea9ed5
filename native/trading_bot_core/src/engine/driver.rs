//! The thread around the pure engine: it collects inputs, performs effects in order, and publishes before it tells.
//!
//! It waits for nobody: orders are written to and answered on sockets of its own that never block, other requests are
//! handed to the network threads, the journal is written inline (microseconds) and made durable by `store`, and a full
//! channel is the sender's concern. A panic in the engine ends trading, not the program:
//! the views stay readable with the state *halted*, and the caretaker alone acts from then on (decision 4).

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use tokio::runtime::Handle as Runtime;

use super::caretaker::Caretaker;
use super::contract::{
    Attempt, Command, DoneOutcome, Effect, Environment, Input, Lane, LinkChange, LinkName,
    LinkState, NoticeLevel, NoticeRow, Outbox, Outgoing, Reply, Rows, SendId, Stamp, StatusView,
};
use super::doorbell::{Doorbell, Sockets};
use super::news::{Gauges, Latency, News};
use super::pulse::{Heart, Pulse};
use super::session::{Arrival, Connect, Postbox, Session};
use super::views::{Board, Event};
use super::wakefulness::{Spin, Wakefulness};
use super::watch_line::WatchLine;
use super::{Engine, Setup};
use crate::clock::{mono, wall};
use crate::database::account_lock::AccountLocks;
use crate::database::home::Home;
use crate::database::journal::Identity;
use crate::database::log::{Durability, Log, Segment};
use crate::order_execution::boundary::{Boundary, Watch};
use crate::order_execution::order_lines::{Look, OrderLines};
use crate::order_execution::rest::LoginFailure;
use crate::order_execution::tag::TagMint;
use crate::order_execution::trading::Settings;
use crate::types::{AccountId, Mono, Nanos, RequestId};

/// Commands and batches taken in one turn, so that publication is never put off for long.
const TURN_COMMANDS: usize = 64;
const TURN_BATCHES: usize = 64;
/// Longest sleep.
const NAP: Duration = Duration::from_millis(200);
/// Shortest time between two publications that carry nothing but market data. No screen shows more, and each copies the
/// changed contracts whole.
const PUBLISH_EVERY: Duration = Duration::from_millis(1);

/// When the views are replaced: at once after a pause and for whatever is not market data, else once a millisecond.
#[derive(Debug, Default)]
struct Pace {
    last: Option<Mono>,
    /// Receive stamp of what has waited longest to be shown.
    received: Option<Mono>,
    /// An order has just left, and what shows it waits for its answer, a millisecond at the most.
    is_putting_off: bool,
}

impl Pace {
    /// Takes the stamp of market data that was applied; an earlier one still waiting is kept, since its age is told.
    fn note(&mut self, received: Option<Mono>) {
        self.received = self.received.or(received);
    }

    /// How long the views may stay as they are; zero when they are due.
    fn wait(&self, now: Mono) -> Duration {
        self.last.map_or(Duration::ZERO, |last| {
            PUBLISH_EVERY.saturating_sub(Duration::from_nanos(now.0.saturating_sub(last.0)))
        })
    }

    /// The views stay as they are for a millisecond from now, or from when they were first put off.
    fn put_off(&mut self, now: Mono) {
        if !std::mem::replace(&mut self.is_putting_off, true) {
            self.last = Some(now);
        }
    }

    /// The views are replaced now; the stamp of what has waited longest.
    fn begin(&mut self, now: Mono) -> Option<Mono> {
        self.last = Some(now);
        self.is_putting_off = false;
        self.received.take()
    }
}

/// What the driver shares with the threads that talk to it.
#[derive(Clone)]
pub struct Shared {
    pub home: Arc<Home>,
    pub board: Arc<Board>,
    pub news: Arc<News>,
    pub gauges: Arc<Gauges>,
    pub is_stopping: Arc<AtomicBool>,
    pub heart: Arc<Heart>,
    pub watch_line: Arc<WatchLine>,
    /// Tags for practice and for live endpoints.
    pub mints: Arc<[TagMint; 2]>,
    pub settings: Settings,
    pub bell: Doorbell,
    pub durability: Durability,
    /// As in [`Start`](super::handle::Start), where there is a core to spare.
    pub spin: Spin,
    /// Folder of the accounts' locks.
    pub locks: PathBuf,
    /// Only a rig that kills its own process has one.
    pub watch: Option<Watch>,
}

/// Everything the engine's thread owns.
pub struct Driver {
    shared: Shared,
    runtime: Runtime,
    commands: Receiver<(Mono, Command)>,
    arrivals: Receiver<Arrival>,
    postbox: Postbox,
    /// `None` once the engine has failed.
    engine: Option<Engine>,
    caretaker: Option<Caretaker>,
    outbox: Outbox,
    session: Option<Session>,
    sessions: u64,
    /// The login with which the present engine began; answers to requests of earlier engines mean nothing to it.
    engine_since: u64,
    log: Option<Log>,
    /// The last record that is known to be durable, and the requests that wait for theirs to be.
    durable: u64,
    held: VecDeque<Outgoing>,
    identity: String,
    /// Replies made here, for requests that never left.
    returned: VecDeque<Reply>,
    locks: AccountLocks,
    /// Answers about locks that the engine has not heard yet.
    locked: VecDeque<(AccountId, Option<String>)>,
    news: Vec<Event>,
    timer: Option<Mono>,
    is_dirty: bool,
    pace: Pace,
    pulse: Pulse,
    wants_wake: bool,
    is_rest_live: bool,
    /// The last turn that did something.
    stepped: Mono,
    trips: Trips,
    nap: Nap,
    wakefulness: Wakefulness,
}

/// What the thread sleeps on besides its bell.
#[derive(Default)]
struct Nap {
    sockets: Sockets,
    /// The order lines that the last poll named.
    named: Vec<usize>,
    /// Turns since then.
    turns: u32,
}

impl Nap {
    fn end(&mut self) {
        self.named.clear();
        self.named.extend(self.sockets.named());
        self.turns = 0;
    }

    /// Which order lines this turn reads. The turn after the one that followed a nap reads none, since it mostly ends in
    /// the next nap; a thread that stays awake reads for itself.
    fn look(&mut self) -> Option<Look<'_>> {
        self.turns = self.turns.saturating_add(1);
        match self.turns {
            1 => Some(Look::Named(&self.named)),
            2 => None,
            _ => Some(Look::Busy),
        }
    }
}

/// The ways of requests that change orders, from the queue to the views that show the answer.
#[derive(Default)]
struct Trips {
    /// When the command under way was queued; zero between commands.
    queued: Mono,
    /// An order left since this was last asked.
    has_sent: bool,
    under_way: Vec<(SendId, Latency, Mono)>,
    /// Answered, not yet shown.
    answered: Vec<(Latency, Mono)>,
}

impl Trips {
    fn sent(&mut self, outgoing: &Outgoing) {
        if let Some(latency) = Latency::of_request(outgoing.endpoint)
            && self.queued.0 > 0
        {
            self.under_way.push((outgoing.id, latency, self.queued));
            self.has_sent = true;
        }
    }

    fn is_under_way(&self, id: SendId) -> bool {
        self.under_way.iter().any(|(sent, ..)| *sent == id)
    }

    fn answered(&mut self, id: SendId) {
        if let Some(at) = self.under_way.iter().position(|(sent, ..)| *sent == id) {
            let (_, latency, queued) = self.under_way.swap_remove(at);
            self.answered.push((latency, queued));
        }
    }

    fn shown(&mut self, gauges: &Gauges) {
        for (latency, queued) in self.answered.drain(..) {
            gauges.record(latency, mono().0.saturating_sub(queued.0));
        }
    }
}

impl Driver {
    pub fn new(
        shared: Shared,
        runtime: Runtime,
        commands: Receiver<(Mono, Command)>,
        arrivals: (Sender<Arrival>, Receiver<Arrival>),
    ) -> Self {
        let postbox = Postbox::new(arrivals.0, shared.bell.clone());
        let engine = Engine::new(&setup(&shared, Environment::Demo, ""));
        let wakefulness = Wakefulness::new(shared.spin);
        let locks = AccountLocks::new(shared.locks.clone(), shared.home.directory());
        Self {
            shared,
            runtime,
            commands,
            arrivals: arrivals.1,
            postbox,
            engine: Some(engine),
            caretaker: None,
            outbox: Outbox::default(),
            session: None,
            sessions: 0,
            engine_since: 0,
            log: None,
            durable: 0,
            held: VecDeque::new(),
            identity: String::new(),
            returned: VecDeque::new(),
            locks,
            locked: VecDeque::new(),
            news: Vec::new(),
            timer: None,
            is_dirty: true,
            pace: Pace::default(),
            pulse: Pulse::default(),
            wants_wake: false,
            is_rest_live: false,
            stepped: mono(),
            trips: Trips::default(),
            nap: Nap::default(),
            wakefulness,
        }
    }

    /// Runs until the shared stop flag is set.
    pub fn run(mut self) {
        while !self.shared.is_stopping.load(Ordering::Acquire) {
            let is_hurried = self.is_hurried();
            let Shared { heart, board, .. } = &self.shared;
            self.pulse.beat(heart, board, &self.identity, is_hurried);
            match catch_unwind(AssertUnwindSafe(|| self.turn())) {
                Ok(true) => {}
                Ok(false) if self.is_wakeful() => self.wakefulness.let_others_run(),
                Ok(false) => self.nap(),
                Err(panic) => self.fail(&panic_text(panic.as_ref())),
            }
        }
        self.pulse
            .end(&self.shared.heart, &self.shared.board, &self.identity);
    }

    /// Somebody waits for this turn: for a command to leave, or for what has come or is about to come.
    fn is_hurried(&self) -> bool {
        let lines = self.session.as_ref().map(Session::lines);
        !self.commands.is_empty()
            || !self.arrivals.is_empty()
            || lines.is_some_and(OrderLines::has_orders)
    }

    /// The bell finds a thread that looks by itself, so that neither side pays for a wake-up.
    fn is_wakeful(&self) -> bool {
        let session = self.session.as_ref().filter(|it| it.is_logged_in);
        let is_due = session.is_some_and(|it| it.lines().has_orders());
        self.wakefulness.is_awake(mono(), session.is_some(), is_due)
    }

    /// Sleeps until something arrives, an order socket has news, or the timer is due.
    fn nap(&mut self) {
        self.shared.gauges.naps.fetch_add(1, Ordering::Relaxed);
        let until_timer = self.timer.map_or(NAP, |at| {
            Duration::from_nanos(at.0.saturating_sub(mono().0))
        });
        let until_shown = if self.is_dirty {
            self.pace.wait(mono())
        } else {
            NAP
        };
        #[cfg(unix)]
        self.nap
            .sockets
            .fill(self.session.iter().flat_map(|it| it.lines().descriptors()));
        let deadline = self
            .session
            .as_ref()
            .and_then(|it| it.lines().next_deadline());
        let until_over = deadline.map_or(NAP, |at| {
            Duration::from_nanos(at.0.saturating_sub(mono().0))
        });
        let most = until_timer.min(until_shown).min(until_over).min(NAP);
        let (arrivals, commands, session) = (&self.arrivals, &self.commands, &self.session);
        self.shared.bell.wait(&mut self.nap.sockets, most, || {
            !arrivals.is_empty()
                || !commands.is_empty()
                || session.as_ref().is_some_and(|it| !it.batches.is_empty())
                || self.shared.is_stopping.load(Ordering::Acquire)
        });
        self.nap.end();
    }

    /// Takes the answers that came over the order lines.
    fn answers(&mut self) -> bool {
        let (Some(look), Some(session)) = (self.nap.look(), &mut self.session) else {
            return false;
        };
        let answers = session.collect(look);
        let (number, has_any) = (session.number, !answers.is_empty());
        for (reply, server_time) in answers {
            self.answered(number, reply, server_time);
        }
        has_any
    }

    /// Also of a login that has ended: the order it speaks of has not.
    fn answered(&mut self, session: u64, reply: Reply, server_time: Option<Nanos>) {
        let is_of_order = self.trips.is_under_way(reply.id);
        self.watch(is_of_order, Boundary::AnswerRead);
        if let Some(time) = server_time {
            self.step(Input::ServerTime(time), mono());
        }
        if self.is_current(session) {
            self.note_rest(&reply);
        }
        self.trips.answered(reply.id);
        self.step(Input::Reply(reply), mono());
        self.watch(is_of_order, Boundary::AnswerRecorded);
    }

    fn watch(&self, applies: bool, boundary: Boundary) {
        if let Some(watch) = self.shared.watch.filter(|_| applies) {
            watch(boundary);
        }
    }

    /// Takes what has arrived, publishes, and tells. False when there was nothing.
    fn turn(&mut self) -> bool {
        let mut has_worked = self.answers();
        let (mut has_answers, mut is_about_orders) = (has_worked, has_worked);
        while let Ok(arrival) = self.arrivals.try_recv() {
            (has_worked, has_answers) = (true, true);
            is_about_orders |= matches!(arrival, Arrival::User { .. });
            self.arrive(arrival);
        }
        for _ in 0..TURN_COMMANDS {
            let Ok(command) = self.commands.try_recv() else {
                break;
            };
            (has_worked, is_about_orders) = (true, true);
            self.trips.queued = command.0;
            self.command(command.1);
            self.trips.queued = Mono(0);
        }
        let received = self.market();
        has_worked |= self.tick();
        let has_market = received.is_some();
        self.pace.note(received);
        if has_worked || has_market || self.is_dirty {
            self.is_dirty = true;
            let now = mono();
            self.stepped = now;
            if is_about_orders {
                self.wakefulness.note(now);
            }
            // Answers, links and fills are never put off; market data that follows closely on market data is, and so is the
            // sight of an order on its way: its answer may come first, and the core belongs to whoever gives it.
            let is_on_its_way = std::mem::take(&mut self.trips.has_sent) && !has_answers;
            if is_on_its_way {
                self.pace.put_off(now);
            } else if has_worked
                || !self.news.is_empty() && !self.pace.is_putting_off
                || self.pace.wait(now).is_zero()
            {
                let received = self.pace.begin(now);
                self.publish(received);
            }
        }
        has_worked || has_market
    }

    /// Tells the engine the time when its timer is due, and after a whole nap, so that ages, budget and market time on the
    /// board go on while nothing happens. The nap's tick leaves the timer set, since the engine names it only once.
    fn tick(&mut self) -> bool {
        let is_due = self.timer.is_some_and(|at| mono() >= at);
        if !is_due && mono().0.saturating_sub(self.stepped.0) < NAP.as_nanos() as u64 {
            return false;
        }
        if is_due {
            self.timer = None;
        }
        if !self.held.is_empty() {
            self.release();
        }
        self.step(Input::Timer, mono());
        true
    }

    /// Steps through waiting batches; the receive stamp of the newest.
    fn market(&mut self) -> Option<Mono> {
        let mut newest = None;
        for _ in 0..TURN_BATCHES {
            let Some(mut batch) = self
                .session
                .as_ref()
                .and_then(|session| session.batches.try_recv().ok())
            else {
                break;
            };
            newest = Some(batch.received);
            if let Some(engine) = &mut self.engine {
                let stamp = stamp(batch.received);
                let outbox = &mut self.outbox;
                batch.each(|event| engine.step(Input::Market(event), stamp, outbox));
            }
            batch.clear();
            if let Some(session) = &self.session {
                // A full store of spare batches frees this one.
                let _ = session.spare.try_send(batch);
            }
            self.perform();
        }
        newest
    }

    fn step(&mut self, input: Input<'_>, received: Mono) {
        if let Some(engine) = &mut self.engine {
            engine.step(input, stamp(received), &mut self.outbox);
            self.perform();
        }
    }

    /// The request leaves before rows and rules are looked at; `publish` or the next step, a millisecond later at the most,
    /// does the rest.
    fn step_ahead(&mut self, command: Command) {
        if let Some(engine) = &mut self.engine {
            engine.step_ahead(command, stamp(mono()), &mut self.outbox);
            self.perform();
        }
    }

    /// Performs effects until there are none, feeding back what performing them caused.
    fn perform(&mut self) {
        while !self.outbox.effects.is_empty()
            || !self.returned.is_empty()
            || !self.locked.is_empty()
        {
            self.is_dirty = true;
            let mut effects = std::mem::take(&mut self.outbox.effects);
            effects.drain(..).for_each(|effect| self.act(effect));
            let written = self.write();
            // The vector goes back for its capacity; nothing was pushed meanwhile, since only steps push.
            self.outbox.effects = effects;
            let Some(engine) = &mut self.engine else {
                return;
            };
            if let Some(index) = written {
                engine.step(
                    Input::JournalDone { index },
                    stamp(mono()),
                    &mut self.outbox,
                );
            }
            while let Some(reply) = self.returned.pop_front() {
                engine.step(Input::Reply(reply), stamp(mono()), &mut self.outbox);
            }
            while let Some((account, holder)) = self.locked.pop_front() {
                let answer = Input::AccountLock { account, holder };
                engine.step(answer, stamp(mono()), &mut self.outbox);
            }
        }
    }

    fn act(&mut self, effect: Effect) {
        match effect {
            Effect::Journal { index, record } => self.stage(index, &record),
            Effect::Send(outgoing) => {
                // Written before sent; all that the step has recorded so far goes in one call.
                self.write();
                self.send(outgoing);
            }
            Effect::Event(event) => self.news.push(event),
            Effect::Wake => self.wants_wake = true,
            Effect::SetTimer(at) => self.timer = Some(at),
            Effect::Subscribe { contract_id } => {
                self.session
                    .iter_mut()
                    .for_each(|session| session.subscribe(&contract_id));
            }
            Effect::Unsubscribe { contract_id } => {
                self.session
                    .iter_mut()
                    .for_each(|session| session.unsubscribe(&contract_id));
            }
            Effect::Resubscribe { contract_id } => {
                self.session
                    .iter()
                    .for_each(|session| session.resubscribe(&contract_id));
            }
            Effect::HoldAccounts { accounts } => {
                let answers = self.locks.hold(&self.identity, &accounts);
                self.locked.extend(answers);
            }
            Effect::SubscribeAccounts { accounts } => {
                self.session
                    .iter_mut()
                    .for_each(|session| session.subscribe_accounts(&accounts));
            }
        }
    }

    /// Takes one record for the next `write`.
    fn stage(&mut self, index: u64, record: &[u8]) {
        let failure = match self.log.as_mut().map(|log| log.stage(record)) {
            Some(Ok(at)) if at != index => format!("record {index} was staged as {at}"),
            Some(Err(error)) => error.to_string(),
            Some(Ok(_)) | None => return,
        };
        // What came before it is sound, and a request may rely on it.
        self.write();
        self.close_log(failure);
    }

    /// Writes the staged records; the index of the last one. A failure closes the journal.
    fn write(&mut self) -> Option<u64> {
        let log = self.log.as_mut().filter(|log| log.has_staged())?;
        let began = mono();
        let result = log.write();
        let written = log.written();
        self.shared
            .gauges
            .record(Latency::JournalWrite, mono().0.saturating_sub(began.0));
        match result {
            Ok(()) => Some(written),
            Err(error) => {
                self.close_log(error.to_string());
                None
            }
        }
    }

    /// A failure of the journal reaches the engine as an arrival, once.
    fn close_log(&mut self, failure: String) {
        self.log = None;
        self.postbox.post(Arrival::SyncFailed(failure));
    }

    /// Sends a request, or holds it until its record is as safe as the options want it.
    fn send(&mut self, outgoing: Outgoing) {
        self.trips.sent(&outgoing);
        let is_durable = outgoing.after_record.is_none_or(|at| at <= self.durable);
        if is_durable || self.shared.durability == Durability::Group || self.log.is_none() {
            return self.dispatch(outgoing);
        }
        self.held.push_back(outgoing);
        self.ask_sync();
    }

    fn ask_sync(&mut self) {
        if let Some(Err(error)) = self.log.as_mut().map(Log::ask_sync) {
            self.close_log(error.to_string());
        }
    }

    /// Lets go of held requests: those whose record is durable, those whose time is up, and all of them without a journal.
    fn release(&mut self) {
        let now = mono();
        for outgoing in std::mem::take(&mut self.held) {
            let is_durable = outgoing.after_record.is_none_or(|at| at <= self.durable);
            if is_durable || self.log.is_none() {
                self.dispatch(outgoing);
            } else if outgoing.deadline > now {
                self.held.push_back(outgoing);
            } else {
                self.hand_back(outgoing.id, "The order journal was not durable in time.");
            }
        }
        self.perform();
        self.ask_sync();
    }

    fn dispatch(&mut self, outgoing: Outgoing) {
        let written = self.log.as_ref().map_or(0, Log::written);
        let is_held = outgoing.after_record.is_some_and(|index| index > written);
        // A login may bring another engine, to which the answer to a request of this one would mean nothing.
        self.watch(outgoing.endpoint.is_mutating(), Boundary::RecordWritten);
        self.watch(outgoing.lane == Lane::Reconcile, Boundary::Reconciling);
        let session = self.session.as_mut().filter(|it| it.is_logged_in);
        let text = match session {
            // Exits leave although they cannot be audited; new risk does not.
            Some(session) if !is_held || outgoing.lane == Lane::Exit => {
                return session.send(outgoing);
            }
            Some(_) => "The order journal cannot be written.",
            None => "There is no connection.",
        };
        self.hand_back(outgoing.id, text);
    }

    fn hand_back(&mut self, id: SendId, text: &str) {
        let text = text.to_owned();
        self.returned.push_back(Reply {
            id,
            attempt: Attempt::NotSent { text },
            rows: Rows::None,
        });
    }

    fn publish(&mut self, received: Option<Mono>) {
        if let Some(engine) = &mut self.engine {
            engine.catch_up(stamp(mono()), &mut self.outbox);
        }
        self.perform();
        self.is_dirty = false;
        if let Some(engine) = &mut self.engine {
            engine.publish(&self.shared.board);
        }
        if let Some(received) = received {
            self.shared
                .gauges
                .record(Latency::WireToView, mono().0.saturating_sub(received.0));
        }
        self.trips.shown(&self.shared.gauges);
        self.ask_sync();
        let has_news = !self.news.is_empty();
        self.news
            .drain(..)
            .for_each(|event| self.shared.news.push(event));
        if has_news || std::mem::take(&mut self.wants_wake) {
            self.shared.news.wake();
        }
    }

    fn is_current(&self, session: u64) -> bool {
        self.session
            .as_ref()
            .is_some_and(|current| current.number == session)
    }

    fn arrive(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Connect(connect) => self.connect(*connect),
            #[cfg(test)]
            Arrival::Panic => panic!("planted by a test"),
            Arrival::LoggedIn { session, result } if self.is_current(session) => {
                self.logged_in(result);
            }
            Arrival::Reply {
                session,
                reply,
                server_time,
            } if session >= self.engine_since => self.answered(session, reply, server_time),
            Arrival::Line { session, line } if self.is_current(session) => {
                if let Some(session) = &mut self.session {
                    session.line_opened(line);
                }
            }
            Arrival::Tend { session } if self.is_current(session) => {
                self.session.iter_mut().for_each(Session::tend_lines);
                self.count_spent();
                self.tell_login_life();
            }
            Arrival::Link { session, change } if self.is_current(session) => {
                self.step(Input::Link(change), mono());
            }
            Arrival::User { session, event } if self.is_current(session) => {
                self.step(Input::User(event), mono());
            }
            Arrival::SyncFailed(text) => {
                self.log = None;
                self.step(Input::JournalFailed { text }, mono());
                self.release();
            }
            Arrival::Durable { identity, index } if identity == self.identity => {
                self.durable = index;
                self.release();
            }
            // News of a login that has ended.
            Arrival::LoggedIn { .. }
            | Arrival::Line { .. }
            | Arrival::Tend { .. }
            | Arrival::Durable { .. }
            | Arrival::Reply { .. }
            | Arrival::Link { .. }
            | Arrival::User { .. } => {}
        }
    }

    /// The REST link follows the last request: it is dead when nothing could be sent and live when anything came back.
    fn note_rest(&mut self, reply: &Reply) {
        let (is_live, text) = match &reply.attempt {
            Attempt::Answered { .. } => (true, String::new()),
            Attempt::NotSent { text } => (false, text.clone()),
            Attempt::Silent { .. } => return,
        };
        if std::mem::replace(&mut self.is_rest_live, is_live) != is_live {
            let state = if is_live {
                LinkState::Live
            } else {
                LinkState::Dead
            };
            self.step(
                Input::Link(LinkChange {
                    name: LinkName::Rest,
                    state,
                    text,
                    retry: None,
                }),
                mono(),
            );
        }
    }

    fn command(&mut self, command: Command) {
        if let Some(caretaker) = &mut self.caretaker {
            caretaker.command(command, &self.runtime, &self.shared.news);
            return;
        }
        if command.is_of_one_order() {
            return self.step_ahead(command);
        }
        let disconnects = matches!(command, Command::Disconnect { .. });
        if matches!(command, Command::Reconcile { .. }) {
            // Whoever wants to know now waits for no pause between attempts either.
            self.session.iter().for_each(Session::hurry_hubs);
        }
        self.step(Input::Command(command), mono());
        if disconnects {
            self.locks.release();
        }
        if disconnects && self.session.take().is_some() {
            for name in [LinkName::Market, LinkName::User, LinkName::Rest] {
                self.step(
                    Input::Link(LinkChange {
                        name,
                        state: LinkState::Off,
                        text: String::new(),
                        retry: None,
                    }),
                    mono(),
                );
            }
        }
    }

    fn connect(&mut self, connect: Connect) {
        let request = connect.request;
        if self.engine.is_none() {
            self.answer(
                request,
                DoneOutcome::Failed,
                "The engine is halted; restart the program to connect.",
            );
            return;
        }
        self.session = None;
        self.sessions += 1;
        self.step(rest_link(LinkState::Connecting, String::new()), mono());
        let Shared { gauges, board, .. } = &self.shared;
        match Session::begin(
            self.sessions,
            connect,
            &self.runtime,
            &self.postbox,
            (gauges, board),
            self.shared.watch,
        ) {
            Ok(session) => self.session = Some(session),
            Err(text) => self.refuse_connect(request, DoneOutcome::Failed, &text),
        }
    }

    fn logged_in(&mut self, result: Result<(), LoginFailure>) {
        let Some(session) = &mut self.session else {
            return;
        };
        session.is_logged_in = result.is_ok();
        let (request, environment) = (session.connect.request, session.connect.environment);
        if let Err(failure) = result {
            let outcome = if failure.is_final {
                DoneOutcome::Refused
            } else {
                DoneOutcome::Failed
            };
            self.session = None;
            self.refuse_connect(request, outcome, &failure.text);
            return;
        }
        let identity = session.identity(self.shared.home.epoch());
        if let Err(text) = self.open_journal(identity, environment) {
            self.session = None;
            self.refuse_connect(request, DoneOutcome::Failed, &text);
            return;
        }
        self.is_rest_live = true;
        self.step(rest_link(LinkState::Live, String::new()), mono());
        self.step(
            Input::LoggedIn {
                request,
                environment,
            },
            mono(),
        );
        self.count_spent();
        self.tell_login_life();
        if let Some(session) = &mut self.session {
            session.tell(&self.shared.watch_line, &self.identity);
            session.open_hubs(&self.shared.watch_line);
        }
    }

    /// Tells the budget what the session spent without asking it.
    fn count_spent(&mut self) {
        let spent = self.session.as_ref().map(|it| it.client.take_spent());
        if let Some(spent) = spent.filter(|spent| *spent > 0) {
            self.step(Input::Spent(spent), mono());
        }
    }

    /// Tells the engine how long the login lasts, once for each token.
    fn tell_login_life(&mut self) {
        let news = self.session.as_mut().and_then(Session::take_login_life);
        if let Some((ends, life)) = news {
            let life_ns = u64::try_from(life.as_nanos()).unwrap_or(u64::MAX);
            self.step(Input::LoginLife { ends, life_ns }, mono());
        }
    }

    fn refuse_connect(&mut self, request: RequestId, outcome: DoneOutcome, text: &str) {
        self.step(rest_link(LinkState::Dead, text.to_owned()), mono());
        self.answer(request, outcome, text);
    }

    fn answer(&mut self, request: RequestId, outcome: DoneOutcome, text: &str) {
        self.is_dirty = true;
        self.news.push(Event::RequestDone {
            request_id: request.0,
            outcome,
            text: text.to_owned(),
            payload_json: String::new(),
        });
    }

    /// Makes the engine the one of this gateway identity: its journal is its state (decision 15).
    fn open_journal(&mut self, gateway: String, environment: Environment) -> Result<(), String> {
        if self.identity == gateway && self.log.is_some() {
            return Ok(());
        }
        let told =
            |error: &dyn std::fmt::Display| format!("The order journal cannot be opened: {error}.");
        let home = Arc::clone(&self.shared.home);
        let path: PathBuf = home.journal_path(&gateway).map_err(|error| told(&error))?;
        let identity = Identity {
            install: home.install().to_owned(),
            gateway: gateway.clone(),
        };
        let postbox = self.postbox.clone();
        self.log = None;
        let durability = self.shared.durability;
        let named = gateway.clone();
        let on_sync = move |result| {
            let arrival = match result {
                Ok(index) => Arrival::Durable {
                    identity: named.clone(),
                    index,
                },
                Err(text) => Arrival::SyncFailed(text),
            };
            // Nobody waits for a group's sync, and the engine is not woken for it.
            if durability == Durability::BeforeSend || matches!(arrival, Arrival::SyncFailed(_)) {
                postbox.post(arrival);
            }
        };
        let (log, opening) = Log::open(&path, &identity, home.epoch(), durability, on_sync)
            .map_err(|error| told(&error))?;
        self.durable = 0;
        self.held.clear();
        let mut engine = Engine::new(&setup(&self.shared, environment, &gateway));
        let unreadable = engine.replay(opening.records.iter().map(Vec::as_slice));
        self.shared.board.markets.write().clear();
        self.shared.board.bars.write().clear();
        self.engine = Some(engine);
        self.engine_since = self.sessions;
        self.locks.release();
        self.log = Some(log);
        self.identity = gateway;
        if unreadable > 0 {
            let text = format!("{unreadable} records of the order journal cannot be read.");
            self.notice(NoticeLevel::Alarm, "journal_unreadable", text);
        }
        if let Some(damage) = opening.damage {
            self.notice(NoticeLevel::Alarm, "journal_damaged", damage.to_string());
        }
        if let Some(engine) = &mut self.engine {
            engine.start(stamp(mono()), &mut self.outbox);
        }
        self.perform();
        self.log
            .as_mut()
            .map_or(Ok(()), Log::sync)
            .map_err(|error| told(&error))
    }

    fn notice(&mut self, level: NoticeLevel, code: &'static str, text: String) {
        self.is_dirty = true;
        self.news.push(Event::Notice(NoticeRow {
            level,
            code,
            text,
            time_ns: wall().0,
        }));
    }

    /// The engine panicked: freeze what is shown, drop its state, and leave only the caretaker.
    fn fail(&mut self, text: &str) {
        tracing::error!(text, "engine state=halted");
        self.engine = None;
        self.outbox = Outbox::default();
        self.returned.clear();
        self.locked.clear();
        self.timer = None;
        let status = StatusView {
            state: "halted",
            ..(**self.shared.board.status.load()).clone()
        };
        self.shared.board.status.store(Arc::new(status));
        let client = self
            .session
            .as_ref()
            .map(|session| Arc::clone(&session.client));
        self.log = None;
        let segment = Segment::create(&self.shared.home.segment_path());
        self.caretaker = Some(Caretaker::new(
            client,
            Arc::clone(&self.shared.board),
            segment,
        ));
        let sentence = "The engine has stopped after an error of its own. Orders may still work at the broker; \
                        cancel and flatten are available.";
        self.notice(NoticeLevel::Alarm, "engine_halted", sentence.to_owned());
        self.publish(None);
    }
}

fn stamp(received: Mono) -> Stamp {
    Stamp {
        mono: mono(),
        wall: wall(),
        recv: received,
    }
}

fn rest_link(state: LinkState, text: String) -> Input<'static> {
    Input::Link(LinkChange {
        name: LinkName::Rest,
        state,
        text,
        retry: None,
    })
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without words".to_owned())
}

/// What a new engine must know about this start. `gateway` is the identity of the login.
fn setup(shared: &Shared, environment: Environment, gateway: &str) -> Setup {
    let mint = &shared.mints[usize::from(environment == Environment::Live)];
    Setup {
        epoch: shared.home.epoch(),
        tag_prefix: mint.prefix().to_owned(),
        settings: Settings {
            is_budget_lifted: shared.settings.is_budget_lifted && gateway.starts_with("loopback/"),
            ..shared.settings
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MICROSECOND: u64 = 1_000;

    #[test]
    fn a_flood_is_shown_once_a_millisecond_and_its_first_event_at_once() {
        let mut pace = Pace::default();
        let mut shown = Vec::new();
        for at in (0..3_000).step_by(100).map(|us| Mono(us * MICROSECOND)) {
            pace.note(Some(at));
            if pace.wait(at).is_zero() {
                shown.push((at.0 / MICROSECOND, pace.begin(at)));
            }
        }
        let waited = |us: u64| Some(Mono(us * MICROSECOND));
        assert_eq!(
            shown,
            [(0, waited(0)), (1_000, waited(100)), (2_000, waited(1_100))]
        );
    }

    #[test]
    fn what_is_put_off_is_shown_when_its_millisecond_is_over() {
        let mut pace = Pace::default();
        pace.begin(Mono(0));
        assert_eq!(
            pace.wait(Mono(300 * MICROSECOND)),
            Duration::from_micros(700)
        );
        assert_eq!(pace.wait(Mono(5_000 * MICROSECOND)), Duration::ZERO);
    }
}
