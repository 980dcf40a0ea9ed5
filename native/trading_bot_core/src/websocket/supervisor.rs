//! One task per hub: connect, shake hands, subscribe, keep alive, notice death and silence, back off, and again.
//!
//! A reconnect is a new connection: nothing is replayed and every subscription is gone, so the task holds what is
//! *wanted* and makes each connection agree with it. What the frames mean is the sink's business.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{FutureExt, SinkExt, StreamExt};
use secrecy::ExposeSecret;
use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Bytes, Error as WsError, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use crate::clock::mono;
use crate::order_execution::rest::Client;
use crate::types::Mono;

const SEPARATOR: u8 = 0x1e;
const HANDSHAKE: &str = "{\"protocol\":\"json\",\"version\":1}\u{1e}";
const PING: &str = "{\"type\":6}\u{1e}";
const OPEN_DEADLINE: Duration = Duration::from_secs(10);
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Most frames taken under one time stamp before the engine hears of them.
const BURST: usize = 32;
const PROBE_EVERY: Duration = Duration::from_secs(2);
const PROBES_LOST: u32 = 3;
const SILENCE_IS_DEATH: Duration = Duration::from_secs(30);
/// How long the old connection is heard beside its successor, whose subscriptions take a round trip.
const HAND_OVER: Duration = Duration::from_millis(250);
/// A gateway that answers no invocation is live all the same.
const ANSWERS_OVERDUE: Duration = Duration::from_secs(3);
const LATE_AFTER: Duration = Duration::from_secs(3);
const RESUBSCRIBE_AFTER: Duration = Duration::from_secs(15);
/// A connection that lived this long ends a series of failures.
const LIVED: Duration = Duration::from_secs(10);
const BACK_OFF_S: [u64; 8] = [0, 1, 2, 5, 10, 20, 30, 60];
const REFUSED_LOGINS: u32 = 5;

/// Which hub a task serves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hub {
    Market,
    User,
}

impl Hub {
    /// Its name as a link.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Market => "market",
            Self::User => "user",
        }
    }

    /// Bytes of a read. All of them are cleared before every look at the socket, and orders wait for the user hub's.
    const fn read_buffer(self) -> usize {
        match self {
            Self::Market => 128 << 10,
            Self::User => 8 << 10,
        }
    }
}

/// State of a hub's connection, as the window shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkState {
    Off,
    Connecting,
    Live,
    Late,
    Dead,
}

impl LinkState {
    /// The word on the seam.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Connecting => "connecting",
            Self::Live => "live",
            Self::Late => "late",
            Self::Dead => "dead",
        }
    }
}

/// One subscription: the method without its first word, and the argument as JSON (empty for none).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Topic {
    pub method: &'static str,
    pub argument: String,
}

/// The three topics of a contract on the market hub.
pub fn contract_topics(contract_id: &str) -> [Topic; 3] {
    let argument = serde_json::Value::from(contract_id).to_string();
    ["ContractQuotes", "ContractTrades", "ContractMarketDepth"].map(|method| Topic {
        method,
        argument: argument.clone(),
    })
}

/// The topics of an account on the user hub.
pub fn account_topics(account_id: i64) -> [Topic; 3] {
    ["Orders", "Positions", "Trades"].map(|method| Topic {
        method,
        argument: account_id.to_string(),
    })
}

/// The topic of the login as a whole.
pub fn accounts_topic() -> Topic {
    Topic {
        method: "Accounts",
        argument: String::new(),
    }
}

/// What the owner asks of a running task.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wish {
    Want(BTreeSet<Topic>),
    /// Unsubscribe and subscribe these again, for a fresh snapshot.
    Refresh(Vec<Topic>),
    /// Ends the pause before the next attempt; a connection that lives stays.
    Hurry,
}

/// What a frame amounted to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Taken {
    /// Events of the feed, without pings and completions.
    pub events: u64,
    /// Answers to our invocations.
    pub completions: u64,
    pub end: Option<End>,
}

/// Why the far side ends the session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum End {
    Closed(String),
    /// `GatewayLogout`: the token is of no use any more.
    LoggedOut,
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// One hub's task.
pub struct Supervisor<S> {
    pub hub: Hub,
    pub url: String,
    pub client: Arc<Client>,
    pub wishes: UnboundedReceiver<Wish>,
    pub wanted: BTreeSet<Topic>,
    pub sink: S,
}

enum Ended {
    /// The owner dropped its end: the task is over.
    Stopped,
    Unauthorized,
    LoggedOut,
    Lost(String),
}

/// How a pause between two attempts ended.
enum Waited {
    Out,
    Hurried,
    /// The owner is gone.
    Stopped,
}

impl<S: FrameSink> Supervisor<S> {
    /// Runs until the owner drops its end of `wishes`.
    pub async fn run(mut self) {
        let (mut failures, mut refused) = (0_usize, 0_u32);
        loop {
            let state = if failures == 0 {
                LinkState::Connecting
            } else {
                LinkState::Dead
            };
            self.sink.link(state, String::new(), None).await;
            let started = Instant::now();
            let generation = self.client.generation();
            let ended = self.connect_and_serve().await;
            if started.elapsed() >= LIVED {
                (failures, refused) = (0, 0);
            }
            let text = match ended {
                Ended::Stopped => break,
                Ended::Unauthorized | Ended::LoggedOut => {
                    refused += 1;
                    self.log_in_again(generation).await
                }
                Ended::Lost(text) => text,
            };
            failures += 1;
            let waited = if refused >= REFUSED_LOGINS {
                self.sink.link(LinkState::Dead, text, None).await;
                self.wait_for_word().await
            } else {
                let pause = pause_after(failures);
                let retry = Mono(mono().0 + u64::try_from(pause.as_nanos()).unwrap_or(0));
                self.sink.link(LinkState::Dead, text, Some(retry)).await;
                self.back_off(pause).await
            };
            match waited {
                Waited::Stopped => break,
                // Somebody is looking: the pauses begin with the short ones again.
                Waited::Hurried => (failures, refused) = (0, 0),
                Waited::Out => {}
            }
        }
        self.sink.link(LinkState::Off, String::new(), None).await;
    }

    async fn log_in_again(&mut self, generation: u64) -> String {
        match self.client.renew(generation).await {
            Ok(()) => format!(
                "The {} hub ended the session; logged in again.",
                self.hub.word()
            ),
            Err(failure) => failure.text,
        }
    }

    /// Waits out the pause before the next attempt.
    async fn back_off(&mut self, pause: Duration) -> Waited {
        let until = tokio::time::Instant::now() + pause;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return Waited::Out,
                wish = self.wishes.recv() => match wish {
                    None => return Waited::Stopped,
                    Some(Wish::Hurry) => return Waited::Hurried,
                    Some(other) => self.note(other),
                },
            }
        }
    }

    /// The circuit is open: five logins were refused in a row, only the owner starts again.
    async fn wait_for_word(&mut self) -> Waited {
        let text = "Five logins were refused in a row; connect again by hand.".to_owned();
        self.sink.link(LinkState::Off, text, None).await;
        loop {
            match self.wishes.recv().await {
                None => return Waited::Stopped,
                Some(Wish::Hurry) => return Waited::Hurried,
                Some(other) => self.note(other),
            }
        }
    }

    fn note(&mut self, wish: Wish) {
        if let Wish::Want(topics) = wish {
            self.wanted = topics;
        }
    }

    async fn connect_and_serve(&mut self) -> Ended {
        let generation = self.client.generation();
        let (socket, rest) = match self.open().await {
            Ok(opened) => opened,
            Err(ended) => return ended,
        };
        self.sink.reset();
        let mut session = Session::new(socket, generation);
        match session.serve(self, &rest).await {
            Ok(ended) => {
                // A close frame is a courtesy: the far side may be gone already.
                let _ = timeout(Duration::from_millis(200), session.socket.close(None)).await;
                ended
            }
            Err(text) => Ended::Lost(text),
        }
    }

    /// Opens the socket and shakes hands. The bytes after the handshake's record belong to the first frame.
    async fn open(&mut self) -> Result<(Socket, Vec<u8>), Ended> {
        let lost = |text: &str| Ended::Lost(format!("The {} hub {text}.", self.hub.word()));
        let mut url = self.url.clone();
        if let Some(token) = self.client.token() {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str("access_token=");
            url.push_str(token.expose_secret());
        }
        let config = WebSocketConfig::default()
            .read_buffer_size(self.hub.read_buffer())
            .max_message_size(Some(64 << 20))
            .max_frame_size(Some(64 << 20));
        let connecting = connect_async_with_config(url, Some(config), true);
        let mut socket = match timeout(OPEN_DEADLINE, connecting).await {
            Ok(Ok((socket, _))) => socket,
            Ok(Err(WsError::Http(response))) if matches!(response.status().as_u16(), 401 | 403) => {
                return Err(Ended::Unauthorized);
            }
            // The text of the error may quote the address and with it the token; its kind alone is told.
            Ok(Err(WsError::Http(response))) => {
                return Err(lost(&format!(
                    "answered HTTP {}",
                    response.status().as_u16()
                )));
            }
            Ok(Err(WsError::Io(error))) => {
                return Err(lost(&format!("cannot be reached: {}", error.kind())));
            }
            Ok(Err(_)) => return Err(lost("does not speak the protocol")),
            Err(_) => return Err(lost("did not open in 10 s")),
        };
        let shaking = async {
            socket.send(Message::text(HANDSHAKE)).await?;
            loop {
                match socket.next().await {
                    Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => {
                        return Ok(Some(message.into_data()));
                    }
                    Some(Ok(Message::Close(_))) | None => return Ok(None),
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Err(error),
                }
            }
        };
        let reply: Bytes = match timeout(OPEN_DEADLINE, shaking).await {
            Ok(Ok(Some(reply))) => reply,
            Ok(_) => return Err(lost("closed during the handshake")),
            Err(_) => return Err(lost("did not shake hands in 10 s")),
        };
        let end = reply
            .iter()
            .position(|b| *b == SEPARATOR)
            .ok_or_else(|| lost("sent no handshake"))?;
        if serde_json::from_slice::<serde_json::Value>(&reply[..end])
            .is_ok_and(|v| v.get("error").is_none())
        {
            return Ok((socket, reply[end + 1..].to_vec()));
        }
        Err(lost("refused the handshake"))
    }
}

/// Where frames and news of the connection go. Both `take` and `flush` may wait: reading then stops and TCP pushes back.
pub trait FrameSink: Send {
    /// `retry`: when the next attempt begins, while one is waited for.
    fn link(
        &mut self,
        state: LinkState,
        text: String,
        retry: Option<Mono>,
    ) -> impl Future<Output = ()> + Send;
    /// A new connection begins: forget half a record.
    fn reset(&mut self);
    fn take(&mut self, frame: &[u8], received: Mono) -> impl Future<Output = Taken> + Send;
    /// No further frame is at hand: what `take` has collected goes on its way.
    fn flush(&mut self) -> impl Future<Output = ()> + Send;
}

/// A live connection: what it is subscribed to and when it was last heard.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent marks of one connection"
)]
struct Session {
    socket: Socket,
    /// The token it was opened with, as the client counts them.
    generation: u64,
    active: BTreeSet<Topic>,
    next_id: u64,
    sent: Instant,
    heard: Instant,
    event: Instant,
    refreshed: Instant,
    /// Events a second, averaged over about a minute, as of the last event.
    rate: f64,
    counted: u64,
    unanswered: u32,
    has_ponged: bool,
    is_late: bool,
    opened: Instant,
    /// Invocations without an answer.
    awaited: u64,
    /// The gateway answers invocations at all.
    has_answered: bool,
    is_announced: bool,
}

impl Session {
    fn new(socket: Socket, generation: u64) -> Self {
        let now = Instant::now();
        Self {
            socket,
            generation,
            active: BTreeSet::new(),
            next_id: 0,
            sent: now,
            heard: now,
            event: now,
            refreshed: now,
            rate: 0.0,
            counted: 0,
            unanswered: 0,
            has_ponged: false,
            is_late: false,
            opened: now,
            awaited: 0,
            has_answered: false,
            is_announced: false,
        }
    }

    /// Serves the connection to its end. `Err` is the sentence about its loss.
    async fn serve<S: FrameSink>(
        &mut self,
        owner: &mut Supervisor<S>,
        rest: &[u8],
    ) -> Result<Ended, String> {
        self.agree(&owner.wanted).await?;
        self.announce(owner, false).await;
        if let Some(ended) = self.take_rest(owner, rest).await {
            return Ok(ended);
        }
        let mut tick = tokio::time::interval(PROBE_EVERY / 2);
        let mut is_probe = false;
        loop {
            tokio::select! {
                message = self.socket.next() => {
                    let ended = self.receive_burst(owner, message).await;
                    owner.sink.flush().await;
                    if let Some(ended) = ended? {
                        return Ok(ended);
                    }
                }
                wish = owner.wishes.recv() => match wish {
                    None => return Ok(Ended::Stopped),
                    Some(Wish::Hurry) => {}
                    Some(Wish::Refresh(topics)) => self.refresh(&topics).await?,
                    Some(Wish::Want(topics)) => {
                        owner.wanted = topics;
                        self.agree(&owner.wanted).await?;
                    }
                },
                _ = tick.tick() => {
                    is_probe = !is_probe;
                    self.watch(owner, is_probe).await?;
                    if self.generation != owner.client.generation()
                        && let Some(ended) = self.take_new_token(owner).await?
                    {
                        return Ok(ended);
                    }
                }
            }
        }
    }

    /// Takes the bytes that came with the handshake.
    async fn take_rest<S: FrameSink>(
        &mut self,
        owner: &mut Supervisor<S>,
        rest: &[u8],
    ) -> Option<Ended> {
        let ended = if rest.is_empty() {
            None
        } else {
            self.take(owner, rest, mono()).await
        };
        owner.sink.flush().await;
        ended
    }

    /// The token was renewed: the gateway may end connections opened with the old one, so a successor takes over before
    /// that. On the user hub it is subscribed while the old connection is still heard: what both of them tell is known by
    /// its ids. On the market hub the old one is left first, since a print heard twice would count twice.
    async fn take_new_token<S: FrameSink>(
        &mut self,
        owner: &mut Supervisor<S>,
    ) -> Result<Option<Ended>, String> {
        let generation = owner.client.generation();
        let (socket, rest) = match owner.open().await {
            Ok(opened) => opened,
            Err(ended) => return Ok(Some(ended)),
        };
        let mut successor = Self::new(socket, generation);
        let mut until = tokio::time::Instant::now();
        if owner.hub == Hub::User {
            successor.agree(&owner.wanted).await?;
            until += HAND_OVER;
        }
        while let Ok(message) = tokio::time::timeout_at(until, self.socket.next()).await {
            // However the old connection ends now, the new one goes on.
            if !matches!(self.receive(owner, message, mono()).await, Ok(None)) {
                break;
            }
        }
        owner.sink.flush().await;
        owner.sink.reset();
        let mut old = std::mem::replace(self, successor);
        let _ = timeout(Duration::from_millis(200), old.socket.close(None)).await;
        self.agree(&owner.wanted).await?;
        Ok(self.take_rest(owner, &rest).await)
    }

    /// Takes a frame and those that lie ready behind it, under one time stamp: under load the clock, the hand-over to the
    /// engine and its waking cost more than the frames.
    async fn receive_burst<S: FrameSink>(
        &mut self,
        owner: &mut Supervisor<S>,
        first: Option<Result<Message, WsError>>,
    ) -> Result<Option<Ended>, String> {
        let received = mono();
        self.heard = Instant::now();
        self.unanswered = 0;
        let mut message = first;
        for _ in 1..BURST {
            if let Some(ended) = self.receive(owner, message, received).await? {
                return Ok(Some(ended));
            }
            let Some(ready) = self.socket.next().now_or_never() else {
                return Ok(None);
            };
            message = ready;
        }
        self.receive(owner, message, received).await
    }

    async fn receive<S: FrameSink>(
        &mut self,
        owner: &mut Supervisor<S>,
        message: Option<Result<Message, WsError>>,
        received: Mono,
    ) -> Result<Option<Ended>, String> {
        let hub = owner.hub.word();
        match message {
            Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => {
                let data = message.into_data();
                Ok(self.take(owner, &data, received).await)
            }
            Some(Ok(Message::Pong(_))) => {
                self.has_ponged = true;
                Ok(None)
            }
            Some(Ok(Message::Close(frame))) => {
                let code = frame.map_or(1005, |f| u16::from(f.code));
                Err(format!(
                    "The {hub} hub closed the connection (code {code})."
                ))
            }
            Some(Ok(_)) => Ok(None),
            Some(Err(_)) | None => Err(format!("The connection to the {hub} hub broke.")),
        }
    }

    async fn take<S: FrameSink>(
        &mut self,
        owner: &mut Supervisor<S>,
        frame: &[u8],
        received: Mono,
    ) -> Option<Ended> {
        let taken = owner.sink.take(frame, received).await;
        self.awaited = self.awaited.saturating_sub(taken.completions);
        self.has_answered |= taken.completions > 0;
        self.announce(owner, false).await;
        if taken.events > 0 {
            self.event = self.heard;
            self.counted += taken.events;
            if std::mem::take(&mut self.is_late) {
                owner.sink.link(LinkState::Live, String::new(), None).await;
            }
        }
        match taken.end? {
            End::LoggedOut => Some(Ended::LoggedOut),
            End::Closed(text) => Some(Ended::Lost(text)),
        }
    }

    /// Tells once that the connection is live: all first subscriptions are answered, so that what is read by REST from
    /// now on leaves no gap. `is_overdue` tells it without the answers.
    async fn announce<S: FrameSink>(&mut self, owner: &mut Supervisor<S>, is_overdue: bool) {
        if (self.awaited == 0 || is_overdue) && !std::mem::replace(&mut self.is_announced, true) {
            owner.sink.link(LinkState::Live, String::new(), None).await;
        }
    }

    /// Once a second: keep-alive, probes, death and silence.
    async fn watch<S: FrameSink>(
        &mut self,
        owner: &mut Supervisor<S>,
        is_probe: bool,
    ) -> Result<(), String> {
        let now = Instant::now();
        if now - self.opened >= ANSWERS_OVERDUE {
            self.announce(owner, true).await;
        }
        if now - self.sent >= KEEP_ALIVE {
            self.send(PING.to_owned()).await?;
        }
        if is_probe {
            let is_dead = self.has_ponged && self.unanswered >= PROBES_LOST;
            if is_dead || now - self.heard >= SILENCE_IS_DEATH {
                return Err(format!("The {} hub does not answer.", owner.hub.word()));
            }
            self.unanswered += 1;
            self.write(Message::Ping(Bytes::new())).await?;
        }
        let silence = now - self.event;
        if silence < LATE_AFTER {
            self.rate += (std::mem::take(&mut self.counted) as f64 - self.rate) / 60.0;
            return Ok(());
        }
        if owner.hub == Hub::Market && self.rate > 1.0 && !self.is_late {
            self.is_late = true;
            owner
                .sink
                .link(
                    LinkState::Late,
                    format!("No market data for {} s.", silence.as_secs()),
                    None,
                )
                .await;
        }
        if self.is_late && silence >= RESUBSCRIBE_AFTER && now - self.refreshed >= RESUBSCRIBE_AFTER
        {
            // A socket may answer pings for ever while nobody behind it lives; a quiet market answers the invocation.
            if self.has_answered && self.awaited > 0 {
                return Err(format!(
                    "The {} hub is silent and answers no subscription.",
                    owner.hub.word()
                ));
            }
            self.refreshed = now;
            let topics: Vec<Topic> = self.active.iter().cloned().collect();
            self.refresh(&topics).await?;
        }
        Ok(())
    }

    async fn agree(&mut self, wanted: &BTreeSet<Topic>) -> Result<(), String> {
        for topic in self.active.difference(wanted).cloned().collect::<Vec<_>>() {
            self.invoke("Unsubscribe", &topic).await?;
        }
        for topic in wanted.difference(&self.active).cloned().collect::<Vec<_>>() {
            self.invoke("Subscribe", &topic).await?;
        }
        self.active.clone_from(wanted);
        Ok(())
    }

    async fn refresh(&mut self, topics: &[Topic]) -> Result<(), String> {
        for topic in topics
            .iter()
            .filter(|topic| self.active.contains(topic))
            .cloned()
            .collect::<Vec<_>>()
        {
            self.invoke("Unsubscribe", &topic).await?;
            self.invoke("Subscribe", &topic).await?;
        }
        Ok(())
    }

    async fn invoke(&mut self, verb: &str, topic: &Topic) -> Result<(), String> {
        let (id, method, argument) = (self.next_id, topic.method, &topic.argument);
        self.next_id += 1;
        self.awaited += 1;
        self.send(format!(
            "{{\"type\":1,\"invocationId\":\"{id}\",\"target\":\"{verb}{method}\",\"arguments\":[{argument}]}}\u{1e}"
        ))
        .await
    }

    async fn send(&mut self, text: String) -> Result<(), String> {
        self.sent = Instant::now();
        self.write(Message::text(text)).await
    }

    async fn write(&mut self, message: Message) -> Result<(), String> {
        match timeout(OPEN_DEADLINE, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err("The connection broke while writing.".to_owned()),
            Err(_) => Err("The far side takes no more bytes.".to_owned()),
        }
    }
}

/// How long to wait after that many failures in a row.
fn pause_after(failures: usize) -> Duration {
    let base = BACK_OFF_S[(failures - 1).min(BACK_OFF_S.len() - 1)] * 1_000;
    Duration::from_millis(base / 2 + jitter_ms(base / 2 + 100))
}

/// A random pause below `bound_ms`, so that two programs that lost the same gateway do not return in step.
fn jitter_ms(bound_ms: u64) -> u64 {
    let mut bytes = [0; 8];
    // Without randomness the pause is merely regular.
    let _ = getrandom::fill(&mut bytes);
    u64::from_le_bytes(bytes) % bound_ms.max(1)
}
