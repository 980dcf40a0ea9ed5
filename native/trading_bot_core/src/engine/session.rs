//! One login: its REST client, its two hubs, and the way their news takes to the engine's thread.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use hyper::body::Bytes;
use secrecy::SecretString;
use tokio::runtime::Handle as Runtime;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use super::contract::{
    Attempt, Endpoint, Envelope, Environment, LinkChange, Outgoing, Reply, Rows, SendId,
};
use super::doorbell::Doorbell;
use super::feed::{Batch, Feed, MarketSink, UserSink};
use super::news::{Gauges, Latency};
use super::views::Board;
use super::watch_line::WatchLine;
use crate::clock::mono;
use crate::order_execution::boundary::Watch;
use crate::order_execution::order_lines::{Ended, Line, Look, OrderLines, WANTED};
use crate::order_execution::rest::{self, Client, LoginFailure, Pool};
use crate::types::{AccountId, Mono, Nanos, RequestId};
use crate::websocket::parse::{self, RestError, UserEvent};
use crate::websocket::supervisor::{
    FrameSink, Hub, Supervisor, Topic, Wish, account_topics, accounts_topic, contract_topics,
};

/// User events that may wait for the engine before their socket is left unread.
const ARRIVALS_MAX: usize = 4_096;
/// Warm connections beside the order lines, of each pool.
const WARM: [usize; 2] = [6, 2 - WANTED];
const TEND_EVERY: Duration = Duration::from_secs(5);
/// How often the orders of a login that has ended are looked at.
const LEFT_EVERY: Duration = Duration::from_millis(2);

/// What `connect` was called with.
pub struct Connect {
    pub request: RequestId,
    pub rest_url: String,
    pub user_hub_url: String,
    pub market_hub_url: String,
    pub user_name: String,
    pub api_key: SecretString,
    pub environment: Environment,
}

/// What reaches the engine's thread besides commands and market data. `session` tells news of an ended login apart.
pub enum Arrival {
    Connect(Box<Connect>),
    LoggedIn {
        session: u64,
        result: Result<(), LoginFailure>,
    },
    /// An order line was opened, or could not be.
    Line {
        session: u64,
        line: Option<Line>,
    },
    /// Look after the warm order lines.
    Tend {
        session: u64,
    },
    Reply {
        session: u64,
        reply: Reply,
        server_time: Option<Nanos>,
    },
    Link {
        session: u64,
        change: LinkChange,
    },
    User {
        session: u64,
        event: UserEvent,
    },
    SyncFailed(String),
    /// Every record of this journal up to `index` is durable.
    Durable {
        identity: String,
        index: u64,
    },
    /// Stands for an error in the engine's own reasoning.
    #[cfg(test)]
    Panic,
}

/// The engine thread's letter box. Sending also wakes the thread.
#[derive(Clone)]
pub struct Postbox {
    arrivals: Sender<Arrival>,
    bell: Doorbell,
}

impl Postbox {
    pub fn new(arrivals: Sender<Arrival>, bell: Doorbell) -> Self {
        Self { arrivals, bell }
    }

    /// Delivers; false when the engine's thread has ended.
    pub fn post(&self, arrival: Arrival) -> bool {
        let is_delivered = self.arrivals.send(arrival).is_ok();
        self.bell.ring();
        is_delivered
    }

    pub fn wake(&self) {
        self.bell.ring();
    }

    /// More waits than the engine should have left; the user hub then stops reading.
    pub fn is_crowded(&self) -> bool {
        self.arrivals.len() > ARRIVALS_MAX
    }
}

/// A login under way or done. Dropping it ends its tasks and sockets.
pub struct Session {
    pub number: u64,
    pub connect: Connect,
    pub client: Arc<Client>,
    lines: OrderLines,
    pub batches: Receiver<Batch>,
    pub spare: Sender<Batch>,
    pub is_logged_in: bool,
    told_life: Option<Mono>,
    hubs: Option<[UnboundedSender<Wish>; 2]>,
    contracts: BTreeSet<String>,
    accounts: BTreeSet<i32>,
    tasks: Vec<JoinHandle<()>>,
    feed: Feed,
    runtime: Runtime,
    postbox: Postbox,
    gauges: Arc<Gauges>,
}

/// Frames that may wait for the engine; beyond it the socket is not read and TCP pushes back.
const BATCHES_MAX: usize = 1_024;

impl Session {
    /// Starts the login. `Err` is the sentence about addresses that cannot be meant.
    pub fn begin(
        number: u64,
        mut connect: Connect,
        runtime: &Runtime,
        postbox: &Postbox,
        (gauges, board): (&Arc<Gauges>, &Arc<Board>),
        watch: Option<Watch>,
    ) -> Result<Self, String> {
        let endpoint = rest::Endpoint::parse(&connect.rest_url).ok_or_else(|| {
            format!(
                "{:?} is not a REST address; http:// or https:// is allowed.",
                connect.rest_url
            )
        })?;
        for url in [&connect.user_hub_url, &connect.market_hub_url] {
            if !url.starts_with("ws://") && !url.starts_with("wss://") {
                return Err(format!(
                    "{url:?} is not a hub address; ws:// or wss:// is allowed."
                ));
            }
        }
        let api_key = std::mem::replace(&mut connect.api_key, SecretString::from(""));
        let user_name = connect.user_name.clone();
        let client = Arc::new(Client::with_warm(endpoint, user_name, api_key, WARM));
        let (full, batches) = bounded(BATCHES_MAX);
        let (spare, empty) = bounded(BATCHES_MAX);
        let feed = Feed {
            full,
            empty,
            board: Arc::clone(board),
            gauges: Arc::clone(gauges),
        };
        let mut session = Self {
            number,
            connect,
            lines: OrderLines::new(Arc::clone(&client), watch),
            client,
            batches,
            spare,
            is_logged_in: false,
            told_life: None,
            hubs: None,
            contracts: BTreeSet::new(),
            accounts: BTreeSet::new(),
            tasks: Vec::new(),
            feed,
            runtime: runtime.clone(),
            postbox: postbox.clone(),
            gauges: Arc::clone(gauges),
        };
        session.log_in();
        Ok(session)
    }

    fn log_in(&mut self) {
        let opening = self.open_lines();
        let (client, postbox, session) =
            (Arc::clone(&self.client), self.postbox.clone(), self.number);
        self.runtime.spawn(async move {
            let result = client.login().await;
            if result.is_ok() {
                client.warm_up().await;
            }
            for line in opening {
                // Each has told the engine; an order must not be the first to wait for one.
                let _ = line.await;
            }
            postbox.post(Arrival::LoggedIn { session, result });
        });
    }

    /// Tells the guardian of this login.
    pub fn tell(&self, line: &WatchLine, gateway: &str) {
        let Connect {
            rest_url,
            environment,
            ..
        } = &self.connect;
        line.login(Arc::clone(&self.client), rest_url, gateway, *environment);
    }

    /// Opens both hubs and keeps the connections warm. Call once, after the login.
    pub fn open_hubs(&mut self, line: &Arc<WatchLine>) {
        let user = UserSink::new(self.number, self.postbox.clone(), Arc::clone(&self.gauges));
        let market = MarketSink::new(self.number, self.postbox.clone(), self.feed.clone());
        let user_topics = BTreeSet::from([accounts_topic()]);
        let (user_url, market_url) = (
            self.connect.user_hub_url.clone(),
            self.connect.market_hub_url.clone(),
        );
        let user = self.supervise(Hub::User, user_url, user_topics, user);
        let market = self.supervise(Hub::Market, market_url, BTreeSet::new(), market);
        self.hubs = Some([user, market]);
        let (client, line) = (Arc::clone(&self.client), Arc::clone(line));
        let (postbox, session) = (self.postbox.clone(), self.number);
        self.tasks.push(self.runtime.spawn(async move {
            loop {
                tokio::time::sleep(client.until_renewal().min(TEND_EVERY)).await;
                postbox.post(Arrival::Tend { session });
                client.tend().await;
                let before = client.generation();
                // One that fails is tried again; the engine counts down to the end of the token.
                let _ = client.renew_when_due().await;
                if client.generation() != before {
                    postbox.post(Arrival::Tend { session });
                }
                line.refresh();
            }
        }));
    }

    fn supervise<S: FrameSink + 'static>(
        &mut self,
        hub: Hub,
        url: String,
        wanted: BTreeSet<Topic>,
        sink: S,
    ) -> UnboundedSender<Wish> {
        let (wish, wishes) = unbounded_channel();
        let supervisor = Supervisor {
            hub,
            url,
            client: Arc::clone(&self.client),
            wishes,
            wanted,
            sink,
        };
        self.tasks.push(self.runtime.spawn(supervisor.run()));
        wish
    }

    fn wish(&self, hub: Hub, wish: Wish) {
        if let Some([user, market]) = &self.hubs {
            let task = if hub == Hub::User { user } else { market };
            // The task ends only with the session.
            let _ = task.send(wish);
        }
    }

    pub fn subscribe(&mut self, contract_id: &str) {
        if self.contracts.insert(contract_id.to_owned()) {
            self.want_contracts();
        }
    }

    pub fn unsubscribe(&mut self, contract_id: &str) {
        if self.contracts.remove(contract_id) {
            self.want_contracts();
        }
    }

    fn want_contracts(&self) {
        let topics = self
            .contracts
            .iter()
            .flat_map(|id| contract_topics(id))
            .collect();
        self.wish(Hub::Market, Wish::Want(topics));
    }

    pub fn resubscribe(&self, contract_id: &str) {
        self.wish(
            Hub::Market,
            Wish::Refresh(contract_topics(contract_id).to_vec()),
        );
    }

    /// Hubs that wait for their next attempt begin it now.
    pub fn hurry_hubs(&self) {
        self.wish(Hub::Market, Wish::Hurry);
        self.wish(Hub::User, Wish::Hurry);
    }

    pub fn subscribe_accounts(&mut self, accounts: &[AccountId]) {
        self.accounts = accounts.iter().map(|account| account.0).collect();
        let mut topics: BTreeSet<Topic> = self
            .accounts
            .iter()
            .flat_map(|account| account_topics(i64::from(*account)))
            .collect();
        topics.insert(accounts_topic());
        self.wish(Hub::User, Wish::Want(topics));
    }

    /// Opens the order lines that are missing; each arrives as `Arrival::Line`.
    fn open_lines(&mut self) -> Vec<JoinHandle<()>> {
        let open = |_| {
            let (client, postbox, session) =
                (Arc::clone(&self.client), self.postbox.clone(), self.number);
            self.runtime.spawn_blocking(move || {
                let line = Line::open(&client)
                    .inspect_err(|text| tracing::warn!(text, "order line state=not opened"));
                postbox.post(Arrival::Line {
                    session,
                    line: line.ok(),
                });
            })
        };
        (0..self.lines.take_missing()).map(open).collect()
    }

    /// When the login ends and how long it lasts in all, if that changed since the last call.
    pub fn take_login_life(&mut self) -> Option<(Mono, Duration)> {
        let (ends, life) = self.client.life()?;
        (self.told_life.replace(ends) != Some(ends)).then_some((ends, life))
    }

    /// Takes what `open_lines` promised.
    pub fn line_opened(&mut self, line: Option<Line>) {
        self.lines.opened(line);
    }

    /// Looks after the order lines; call every few seconds.
    pub fn tend_lines(&mut self) {
        self.lines.tend();
        drop(self.open_lines());
    }

    pub fn lines(&self) -> &OrderLines {
        &self.lines
    }

    /// The answers that came over the order lines, with the broker's time where it is news.
    pub fn collect(&mut self, look: Look<'_>) -> Vec<(Reply, Option<Nanos>)> {
        let mut ended = Vec::new();
        self.lines.collect(look, &mut ended);
        let has_news = matches!(look, Look::Named(lines) if !lines.is_empty());
        if self.is_logged_in && (has_news || !ended.is_empty()) {
            drop(self.open_lines());
        }
        let answers = ended.into_iter();
        answers.filter_map(|ended| self.answer_of(ended)).collect()
    }

    /// A refused token is renewed elsewhere; that answer arrives like those of the pool.
    fn answer_of(&self, ended: Ended) -> Option<(Reply, Option<Nanos>)> {
        if !matches!(
            ended.answer.outcome,
            rest::Outcome::Reply { status: 401, .. }
        ) {
            return Some(reply_of(
                ended.outgoing.id,
                ended.outgoing.endpoint,
                ended.answer,
                ended.allowed,
            ));
        }
        let (client, postbox, session) =
            (Arc::clone(&self.client), self.postbox.clone(), self.number);
        self.runtime.spawn(async move {
            let Outgoing {
                id, endpoint, body, ..
            } = ended.outgoing;
            let request = (
                Pool::Orders,
                endpoint.path(),
                Bytes::from(body),
                ended.allowed,
            );
            let may_repeat = endpoint.may_repeat_on_401();
            let answer = client
                .after_401(ended.answer, ended.generation, request, may_repeat)
                .await;
            let (reply, server_time) = reply_of(id, endpoint, answer, ended.allowed);
            postbox.post(Arrival::Reply {
                session,
                reply,
                server_time,
            });
        });
        None
    }

    /// Sends one request, on an order line when it may and one is free. Its end comes from `collect` or as
    /// `Arrival::Reply`.
    pub fn send(&mut self, outgoing: Outgoing) {
        if !outgoing.endpoint.is_mutating() {
            return self.send_pooled(outgoing);
        }
        let pressed = outgoing.pressed;
        match self.lines.send(outgoing) {
            Ok(sent) if pressed.0 > 0 && sent > pressed => {
                self.gauges
                    .record(Latency::PressToBytes, sent.0 - pressed.0);
            }
            Ok(_) => {}
            Err(outgoing) => self.send_pooled(outgoing),
        }
    }

    fn send_pooled(&self, outgoing: Outgoing) {
        let (client, postbox, session) =
            (Arc::clone(&self.client), self.postbox.clone(), self.number);
        let gauges = Arc::clone(&self.gauges);
        self.runtime.spawn(async move {
            let (reply, server_time) = exchange(&client, outgoing, &gauges).await;
            postbox.post(Arrival::Reply {
                session,
                reply,
                server_time,
            });
        });
    }

    /// The login ends, its orders do not: whoever asked still hears what became of them.
    fn leave_orders_behind(&mut self) {
        let mut left = self.lines.take_busy();
        let (postbox, session) = (self.postbox.clone(), self.number);
        if left.is_empty() {
            return;
        }
        self.runtime.spawn(async move {
            let mut ended = Vec::new();
            while !left.is_empty() {
                tokio::time::sleep(LEFT_EVERY).await;
                left.collect(Look::Busy, &mut ended);
                for Ended {
                    outgoing,
                    allowed,
                    answer,
                    ..
                } in ended.drain(..)
                {
                    let (reply, server_time) =
                        reply_of(outgoing.id, outgoing.endpoint, answer, allowed);
                    postbox.post(Arrival::Reply {
                        session,
                        reply,
                        server_time,
                    });
                }
                left.drop_idle();
            }
        });
    }

    /// Names the journal of this login (decision 3). A loopback gateway gets another port at every start, so it is known
    /// by its user and by whom its tokens name as issuer; a replay begins with fresh accounts each time, so each start of it is somebody else.
    pub fn identity(&self, epoch: u64) -> String {
        let endpoint = self.client.endpoint();
        let user = &self.connect.user_name;
        match self.connect.environment {
            Environment::Replay => format!("replay/{user}/{epoch}"),
            Environment::Demo if endpoint.is_loopback() => {
                format!("loopback/{user}/{}", self.client.issuer())
            }
            Environment::Demo | Environment::Live => {
                format!("{}:{}/{user}", endpoint.host, endpoint.port)
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.hubs = None;
        self.leave_orders_behind();
        self.tasks.iter().for_each(JoinHandle::abort);
        self.client.close();
    }
}

/// Performs one request and reads what came back.
async fn exchange(client: &Client, outgoing: Outgoing, gauges: &Gauges) -> (Reply, Option<Nanos>) {
    let Outgoing {
        id,
        endpoint,
        body,
        deadline,
        pressed,
        ..
    } = outgoing;
    let allowed = Duration::from_nanos(deadline.0.saturating_sub(mono().0));
    if allowed.is_zero() {
        let text = "The request was withdrawn before it was sent.".to_owned();
        return (
            Reply {
                id,
                attempt: Attempt::NotSent { text },
                rows: Rows::None,
            },
            None,
        );
    }
    // With lines of its own the engine takes the next warm one only when both are busy.
    let pool = if endpoint.is_mutating() && WANTED == 0 {
        Pool::Orders
    } else {
        Pool::Ordinary
    };
    let answer = client
        .post(
            pool,
            endpoint.path(),
            Bytes::from(body),
            allowed,
            endpoint.may_repeat_on_401(),
        )
        .await;
    if pressed.0 > 0 && answer.sent_mono_ns > pressed.0 {
        gauges.record(Latency::PressToBytes, answer.sent_mono_ns - pressed.0);
    }
    reply_of(id, endpoint, answer, allowed)
}

fn reply_of(
    id: SendId,
    endpoint: Endpoint,
    answer: rest::Answer,
    allowed: Duration,
) -> (Reply, Option<Nanos>) {
    let (attempt, rows) = read_answer(endpoint, answer.outcome, allowed);
    (Reply { id, attempt, rows }, answer.server_time)
}

fn read_answer(endpoint: Endpoint, outcome: rest::Outcome, allowed: Duration) -> (Attempt, Rows) {
    let attempt = match outcome {
        rest::Outcome::NotSent(text) => Attempt::NotSent { text },
        rest::Outcome::Reset(text) => Attempt::Silent {
            text: format!("The connection broke: {text}."),
        },
        rest::Outcome::Timeout => Attempt::Silent {
            text: format!("No answer after {:.1} s.", allowed.as_secs_f64()),
        },
        rest::Outcome::Reply { status, body } => {
            let envelope = read_envelope(&body);
            if !envelope
                .as_ref()
                .is_some_and(|envelope| status == 200 && envelope.success)
            {
                return (Attempt::Answered { status, envelope }, Rows::None);
            }
            return match read_rows(endpoint, &body) {
                Some(rows) => (Attempt::Answered { status, envelope }, rows),
                None => (
                    Attempt::Silent {
                        text: "The answer holds rows that cannot be read.".to_owned(),
                    },
                    Rows::None,
                ),
            };
        }
    };
    (attempt, Rows::None)
}

fn read_envelope(body: &[u8]) -> Option<Envelope> {
    let envelope = parse::rest_envelope(body).ok()?;
    Some(Envelope {
        success: envelope.success,
        error_code: envelope.error_code,
        error_message: envelope.error_message.unwrap_or_default(),
        order_id: envelope.order_id.map(|id| id.0),
    })
}

/// Rows of a reading endpoint. A list with a row that cannot be read is `None`: absence must not be proven by it.
fn read_rows(endpoint: Endpoint, body: &[u8]) -> Option<Rows> {
    fn whole<T>(rows: Result<parse::Rows<T>, RestError>) -> Option<Vec<T>> {
        rows.ok()
            .filter(|rows| rows.unreadable == 0)
            .map(|rows| rows.rows)
    }
    fn readable<T>(rows: Result<parse::Rows<T>, RestError>) -> Option<Vec<T>> {
        rows.ok().map(|rows| rows.rows)
    }
    match endpoint {
        Endpoint::AccountSearch => whole(parse::rest_accounts(body)).map(Rows::Accounts),
        Endpoint::ContractSearch | Endpoint::ContractById | Endpoint::ContractAvailable => {
            readable(parse::rest_contracts(body)).map(Rows::Contracts)
        }
        Endpoint::RetrieveBars => readable(parse::rest_bars(body)).map(Rows::Bars),
        Endpoint::OrderSearch | Endpoint::OrderQuery | Endpoint::OrderById => {
            whole(parse::rest_orders(body)).map(Rows::Orders)
        }
        Endpoint::PositionSearch => whole(parse::rest_positions(body)).map(Rows::Positions),
        Endpoint::TradeSearch => whole(parse::rest_trades(body)).map(Rows::Trades),
        Endpoint::Place
        | Endpoint::Modify
        | Endpoint::Cancel
        | Endpoint::CloseContract
        | Endpoint::PartialCloseContract => Some(Rows::None),
    }
}
