//! The only HTTP client that sends orders.
//!
//! It reports facts and interprets nothing: whether the first byte left, which status came back, or that nothing did.
//! What a fact means for an order is one table of the engine. A request that changes something is never repeated here;
//! reads and cancels repeat once after a 401, with a renewed token.
//!
//! Connections: two are kept for orders, six for everything else, all warm. One that idled for 60 s is pinged, one that
//! no request used for 90 s is replaced, because a connection the far side has silently dropped would cost an order. The
//! engine holds its two order connections itself (`order_lines`); programs without an engine have them here.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HOST, HeaderValue};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use parking_lot::{Mutex, RwLock};
use rustls::pki_types::ServerName;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

use crate::types::{Mono, Nanos};

/// Where a connection is opened at most this long; longer means the gateway cannot be reached.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// Twenty thousand bars are about 2 MB; nothing legitimate comes near this.
const BODY_LIMIT: usize = 32 << 20;
const RENEWAL_PAUSE: Duration = Duration::from_secs(5);
pub(crate) const PING_AFTER: Duration = Duration::from_secs(60);
pub(crate) const REPLACE_AFTER: Duration = Duration::from_secs(90);

/// Which connections a request uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pool {
    /// Reads and logins.
    Ordinary,
    /// Placing, changing, cancelling and closing: never behind a long read.
    Orders,
}

/// What is known after one request.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Not one byte left this machine.
    NotSent(String),
    /// A whole reply arrived.
    Reply { status: u16, body: Bytes },
    /// The deadline passed without a whole reply.
    Timeout,
    /// The connection broke after the first byte had left.
    Reset(String),
}

/// One request's outcome and the moment its first byte was handed to the kernel (0 = never).
#[derive(Clone, Debug)]
pub struct Answer {
    pub outcome: Outcome,
    pub sent_mono_ns: u64,
    /// The broker's own time (HTTP `Date`), one second coarse.
    pub server_time: Option<Nanos>,
}

/// Address of a gateway's REST side.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endpoint {
    pub is_tls: bool,
    pub host: String,
    pub port: u16,
    pub prefix: String,
}

impl Endpoint {
    /// Reads `http[s]://host[:port][/prefix]`; `None` when it is anything else.
    pub fn parse(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let is_tls = match scheme {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let default_port = if is_tls { 443 } else { 80 };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (authority, default_port),
        };
        let prefix = path.trim_end_matches('/');
        let prefix = if prefix.is_empty() {
            String::new()
        } else {
            format!("/{prefix}")
        };
        let is_usable = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c == '@');
        is_usable.then(|| Self {
            is_tls,
            host: host.to_owned(),
            port,
            prefix,
        })
    }

    /// Whether the gateway runs on this machine.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host == "127.0.0.1" || self.host == "[::1]"
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A stream that notes when the first byte since the last reset was handed to the kernel.
struct Stamped {
    inner: Box<dyn Stream>,
    first_write: Arc<AtomicU64>,
}

impl Stamped {
    fn note(&self, result: &Poll<std::io::Result<usize>>) {
        if matches!(result, Poll::Ready(Ok(written)) if *written > 0) {
            let now = crate::clock::mono().0;
            let _ = self
                .first_write
                .compare_exchange(0, now, Ordering::AcqRel, Ordering::Relaxed);
        }
    }
}

impl AsyncRead for Stamped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Stamped {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.note(&result);
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.note(&result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

struct Connection {
    sender: SendRequest<Full<Bytes>>,
    first_write: Arc<AtomicU64>,
    /// The task that reads and writes the socket.
    driver: tokio::task::JoinHandle<()>,
    /// Last use by a request that was not a ping.
    used: Instant,
    pinged: Instant,
    server_time: Option<Nanos>,
}

impl Connection {
    /// Closes the socket now and waits for that: afterwards no byte of a given-up request can leave.
    async fn cut(&mut self) {
        self.driver.abort();
        // Aborted or ended, it writes no more.
        let _ = (&mut self.driver).await;
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Outcome {
        self.first_write.store(0, Ordering::Release);
        let response = match self.sender.try_send_request(request).await {
            Ok(response) => response,
            Err(mut failure) => {
                let never_written = failure.take_message().is_some()
                    || self.first_write.load(Ordering::Acquire) == 0;
                let text = failure.into_error().to_string();
                return if never_written {
                    Outcome::NotSent(text)
                } else {
                    Outcome::Reset(text)
                };
            }
        };
        let status = response.status().as_u16();
        let date = response.headers().get(DATE);
        self.server_time = date.and_then(|value| server_time(value.as_bytes()));
        match Limited::new(response.into_body(), BODY_LIMIT)
            .collect()
            .await
        {
            Ok(body) => Outcome::Reply {
                status,
                body: body.to_bytes(),
            },
            Err(error) => Outcome::Reset(error.to_string()),
        }
    }
}

/// The session: the key it was opened with and the token it got. Nothing here is ever printed.
struct Session {
    user_name: String,
    api_key: SecretString,
    token: Option<SecretString>,
    generation: u64,
    renew_at: Option<Instant>,
    /// End of the token by the local clock, and how long it lasts in all.
    life: Option<(Mono, Duration)>,
    issuer: String,
}

/// Why a login did not succeed. `is_final`: the gateway said no, so asking again would not help.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LoginFailure {
    pub text: String,
    pub is_final: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LoginReply {
    #[serde(alias = "newToken")]
    token: Option<String>,
    #[serde(default)]
    success: bool,
    #[serde(default)]
    error_code: i64,
    error_message: Option<String>,
}

/// HTTP client of one gateway login. Cheap to share; `Debug` shows the address alone.
pub struct Client {
    endpoint: Endpoint,
    tls: Option<Arc<rustls::ClientConfig>>,
    spent: AtomicU64,
    idle: [Mutex<Vec<Connection>>; 2],
    /// Connections kept warm, of each pool.
    warm: [usize; 2],
    session: RwLock<Session>,
    renewing: tokio::sync::Mutex<()>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

const WARM: [usize; 2] = [6, 2];

impl Client {
    /// A client without connections; `warm_up` opens them.
    pub fn new(endpoint: Endpoint, user_name: String, api_key: SecretString) -> Self {
        Self::with_warm(endpoint, user_name, api_key, WARM)
    }

    /// A client that keeps other numbers of connections warm.
    pub fn with_warm(
        endpoint: Endpoint,
        user_name: String,
        api_key: SecretString,
        warm: [usize; 2],
    ) -> Self {
        let tls = endpoint.is_tls.then(tls_config);
        let session = Session {
            user_name,
            api_key,
            token: None,
            generation: 0,
            renew_at: None,
            life: None,
            issuer: String::new(),
        };
        Self {
            endpoint,
            tls,
            spent: AtomicU64::new(0),
            idle: [Mutex::new(Vec::new()), Mutex::new(Vec::new())],
            warm,
            session: RwLock::new(session),
            renewing: tokio::sync::Mutex::new(()),
        }
    }

    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(crate) const fn tls(&self) -> Option<&Arc<rustls::ClientConfig>> {
        self.tls.as_ref()
    }

    /// Requests made for the session's own sake since the last call: logins, renewals, pings and repeats. The broker
    /// counts them like any other.
    pub fn take_spent(&self) -> u64 {
        self.spent.swap(0, Ordering::Relaxed)
    }

    pub(crate) fn note_spent(&self) {
        self.spent.fetch_add(1, Ordering::Relaxed);
    }

    /// Opens the connections of both pools that are missing. Failures are left to the request that needs one.
    pub async fn warm_up(&self) {
        for (pool, wanted) in self.warm.iter().enumerate() {
            while self.idle[pool].lock().len() < *wanted {
                match self.open().await {
                    Ok(connection) => self.idle[pool].lock().push(connection),
                    Err(_) => return,
                }
            }
        }
    }

    /// Keeps the pools warm: pings what idles, replaces what no request has used for long. Call every few seconds.
    pub async fn tend(&self) {
        for pool in &self.idle {
            let now = Instant::now();
            let due: Vec<Connection> = {
                let mut idle = pool.lock();
                idle.retain(|c| !c.sender.is_closed() && now - c.used < REPLACE_AFTER);
                let (due, kept) = std::mem::take(&mut *idle)
                    .into_iter()
                    .partition(|c| now - c.pinged >= PING_AFTER);
                *idle = kept;
                due
            };
            for mut connection in due {
                self.note_spent();
                let ping = self.request(Method::GET, "/api/Status/ping", Bytes::new(), None);
                let answer = tokio::time::timeout(CONNECT_DEADLINE, connection.send(ping)).await;
                if matches!(answer, Ok(Outcome::Reply { .. })) {
                    connection.pinged = Instant::now();
                    pool.lock().push(connection);
                }
            }
        }
        self.warm_up().await;
    }

    /// Closes every idle connection.
    pub fn close(&self) {
        for pool in &self.idle {
            pool.lock().clear();
        }
    }

    /// Posts `body` once. Reads and cancels (`may_repeat`) repeat once after a 401 with a renewed token.
    pub async fn post(
        &self,
        pool: Pool,
        path: &str,
        body: Bytes,
        deadline: Duration,
        may_repeat: bool,
    ) -> Answer {
        let generation = self.session.read().generation;
        let first = self
            .exchange(pool, path, body.clone(), self.authorization(), deadline)
            .await;
        if !matches!(first.outcome, Outcome::Reply { status: 401, .. }) {
            return first;
        }
        self.after_401(first, generation, (pool, path, body, deadline), may_repeat)
            .await
    }

    /// Renews the token after a 401 and, where it may, repeats the request once. `generation`: of the token refused.
    pub async fn after_401(
        &self,
        first: Answer,
        generation: u64,
        (pool, path, body, deadline): (Pool, &str, Bytes, Duration),
        may_repeat: bool,
    ) -> Answer {
        let is_renewed = self.renew(generation).await.is_ok();
        if is_renewed && may_repeat {
            self.note_spent();
            self.exchange(pool, path, body, self.authorization(), deadline)
                .await
        } else {
            first
        }
    }

    async fn exchange(
        &self,
        pool: Pool,
        path: &str,
        body: Bytes,
        authorization: Option<HeaderValue>,
        deadline: Duration,
    ) -> Answer {
        let pool = &self.idle[pool as usize];
        // Opening a connection is part of the time: an order must not leave long after its press.
        let until = tokio::time::Instant::now() + deadline;
        let opened = tokio::time::timeout_at(until, self.check_out(pool)).await;
        let late = || Err("no connection was opened in time".to_owned());
        let mut connection = match opened.unwrap_or_else(|_| late()) {
            Ok(connection) => connection,
            Err(text) => {
                return Answer {
                    outcome: Outcome::NotSent(text),
                    sent_mono_ns: 0,
                    server_time: None,
                };
            }
        };
        let request = self.request(Method::POST, path, body, authorization);
        let first_write = Arc::clone(&connection.first_write);
        // A connection that times out is cut, never reused, since the late reply would be read as the answer of the next
        // request.
        let ended = tokio::time::timeout_at(until, connection.send(request)).await;
        let outcome = if let Ok(outcome) = ended {
            outcome
        } else {
            connection.cut().await;
            if first_write.load(Ordering::Acquire) == 0 {
                Outcome::NotSent("the socket took no byte".into())
            } else {
                Outcome::Timeout
            }
        };
        let server_time = connection.server_time.take();
        if matches!(outcome, Outcome::Reply { .. }) && !connection.sender.is_closed() {
            connection.used = Instant::now();
            connection.pinged = connection.used;
            pool.lock().push(connection);
        }
        Answer {
            outcome,
            sent_mono_ns: first_write.load(Ordering::Acquire),
            server_time,
        }
    }

    async fn check_out(&self, pool: &Mutex<Vec<Connection>>) -> Result<Connection, String> {
        loop {
            let Some(mut connection) = pool.lock().pop() else {
                break;
            };
            // `ready` returns at once on an idle connection and fails on one the far side has closed.
            let is_ready =
                tokio::time::timeout(Duration::from_millis(50), connection.sender.ready()).await;
            if matches!(is_ready, Ok(Ok(()))) {
                return Ok(connection);
            }
        }
        self.open().await
    }

    async fn open(&self) -> Result<Connection, String> {
        let opening = async {
            let address = (
                self.endpoint.host.trim_matches(['[', ']']),
                self.endpoint.port,
            );
            let tcp = TcpStream::connect(address)
                .await
                .map_err(|e| e.to_string())?;
            tcp.set_nodelay(true).map_err(|e| e.to_string())?;
            let inner: Box<dyn Stream> = match &self.tls {
                None => Box::new(tcp),
                Some(config) => {
                    let connector = TlsConnector::from(Arc::clone(config));
                    let name = ServerName::try_from(self.endpoint.host.clone())
                        .map_err(|e| e.to_string())?;
                    Box::new(
                        connector
                            .connect(name, tcp)
                            .await
                            .map_err(|e| e.to_string())?,
                    )
                }
            };
            let first_write = Arc::new(AtomicU64::new(0));
            let io = TokioIo::new(Stamped {
                inner,
                first_write: Arc::clone(&first_write),
            });
            let (sender, driver) = handshake(io).await.map_err(|e| e.to_string())?;
            let driver = tokio::spawn(async move {
                // Its error reaches the request that was under way; an idle connection's end needs no word.
                let _ = driver.await;
            });
            let now = Instant::now();
            Ok(Connection {
                sender,
                first_write,
                driver,
                used: now,
                pinged: now,
                server_time: None,
            })
        };
        tokio::time::timeout(CONNECT_DEADLINE, opening)
            .await
            .unwrap_or_else(|_| {
                Err(format!(
                    "{}:{} did not accept a connection in 5 s",
                    self.endpoint.host, self.endpoint.port
                ))
            })
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        authorization: Option<HeaderValue>,
    ) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        // Paths are constants of this crate and the prefix was parsed, so a failure here cannot carry foreign data;
        // "/" then earns a 404, which refuses the request instead of ending the engine.
        *request.uri_mut() = format!("{}{path}", self.endpoint.prefix)
            .parse()
            .unwrap_or_default();
        let headers = request.headers_mut();
        let host = format!("{}:{}", self.endpoint.host, self.endpoint.port);
        if let Ok(host) = HeaderValue::from_str(&host) {
            headers.insert(HOST, host);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(value) = authorization {
            headers.insert(AUTHORIZATION, value);
        }
        request
    }

    fn authorization(&self) -> Option<HeaderValue> {
        let session = self.session.read();
        let bearer = Zeroizing::new(format!(
            "Bearer {}",
            session.token.as_ref()?.expose_secret()
        ));
        let mut value = HeaderValue::from_str(&bearer).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// The token for a hub's address. It leaves Rust only inside the hub's own socket.
    pub fn token(&self) -> Option<SecretString> {
        self.session.read().token.clone()
    }

    /// The user and the key of this login, for the guardian alone.
    pub fn credentials(&self) -> (String, SecretString) {
        let session = self.session.read();
        (session.user_name.clone(), session.api_key.clone())
    }

    /// Takes a token that another client of the same login was given.
    pub fn adopt(&self, token: &SecretString) {
        self.enter_session(token.expose_secret());
    }

    /// Logs in with the key.
    pub async fn login(&self) -> Result<(), LoginFailure> {
        let body = {
            let session = self.session.read();
            let body = serde_json::json!({"userName": session.user_name, "apiKey": session.api_key.expose_secret()});
            Bytes::from(body.to_string())
        };
        self.enter("/api/Auth/loginKey", body, None).await
    }

    /// Prolongs the session at half of its life; logs in again when the gateway will not.
    pub async fn renew_when_due(&self) -> Result<(), LoginFailure> {
        let (generation, is_due) = {
            let session = self.session.read();
            (
                session.generation,
                session.renew_at.is_some_and(|at| Instant::now() >= at),
            )
        };
        if !is_due {
            return Ok(());
        }
        let authorization = self.authorization();
        if self
            .enter(
                "/api/Auth/validate",
                Bytes::from_static(b"{}"),
                authorization,
            )
            .await
            .is_ok()
        {
            return Ok(());
        }
        self.renew(generation).await
    }

    /// How long until the token's half life. A renewal that failed is tried again after a pause.
    pub fn until_renewal(&self) -> Duration {
        let due = self.session.read().renew_at;
        due.and_then(|at| at.checked_duration_since(Instant::now()))
            .unwrap_or(RENEWAL_PAUSE)
    }

    /// Logs in again unless somebody has since `generation`: ten refused requests are one login.
    pub async fn renew(&self, generation: u64) -> Result<(), LoginFailure> {
        let _guard = self.renewing.lock().await;
        if self.session.read().generation != generation {
            return Ok(());
        }
        self.login().await
    }

    /// Who issued the token, by its own word; empty when it does not say.
    pub fn issuer(&self) -> String {
        self.session.read().issuer.clone()
    }

    /// When the token ends by the local clock, and how long it lasts in all; `None` before the first.
    pub fn life(&self) -> Option<(Mono, Duration)> {
        self.session.read().life
    }

    /// Which token is in use; for `renew`.
    pub fn generation(&self) -> u64 {
        self.session.read().generation
    }

    async fn enter(
        &self,
        path: &str,
        body: Bytes,
        authorization: Option<HeaderValue>,
    ) -> Result<(), LoginFailure> {
        let failure = |text: String, is_final| LoginFailure { text, is_final };
        self.note_spent();
        let answer = self
            .exchange(
                Pool::Ordinary,
                path,
                body,
                authorization,
                Duration::from_secs(10),
            )
            .await;
        let (status, body) = match answer.outcome {
            Outcome::Reply { status, body } => (status, body),
            Outcome::NotSent(text) | Outcome::Reset(text) => return Err(failure(text, false)),
            Outcome::Timeout => {
                return Err(failure("no answer to the login in 10 s".into(), false));
            }
        };
        if status != 200 {
            return Err(failure(
                format!("the gateway answered the login with HTTP {status}"),
                status == 400,
            ));
        }
        let reply: LoginReply = serde_json::from_slice(&body)
            .map_err(|_| failure("the answer to the login cannot be read".into(), false))?;
        let token = reply
            .token
            .filter(|token| reply.success && !token.is_empty());
        let Some(token) = token.map(Zeroizing::new) else {
            let text = reply
                .error_message
                .unwrap_or_else(|| login_error_text(reply.error_code).to_owned());
            return Err(failure(text, reply.error_code != 8));
        };
        self.enter_session(&token);
        Ok(())
    }

    fn enter_session(&self, token: &str) {
        let claims = Claims::read(token);
        let life = claims
            .as_ref()
            .and_then(Claims::life)
            .unwrap_or(Duration::from_secs(24 * 3600));
        let mut session = self.session.write();
        session.token = Some(SecretString::from(token));
        session.generation += 1;
        session.renew_at = Some(Instant::now() + life / 2);
        let ends = crate::clock::mono().0 + u64::try_from(life.as_nanos()).unwrap_or(u64::MAX / 2);
        session.life = Some((Mono(ends), life));
        session.issuer = claims.and_then(|claims| claims.iss).unwrap_or_default();
    }
}

/// Reads an HTTP date; one that cannot be read states nothing.
pub(crate) fn server_time(value: &[u8]) -> Option<Nanos> {
    let stamp = jiff::fmt::rfc2822::parse(std::str::from_utf8(value).ok()?)
        .ok()?
        .timestamp();
    i64::try_from(stamp.as_nanosecond()).ok().map(Nanos)
}

fn login_error_text(code: i64) -> &'static str {
    match code {
        1 => "The gateway does not know this user name.",
        2 | 3 => "The gateway refuses this user name and key.",
        7 => "The platform's agreements are not signed yet; sign in on its site once.",
        9 => "This user has no API subscription.",
        10 => "Login by key is switched off for this user.",
        _ => "The gateway refused the login without a reason.",
    }
}

/// What a token says about itself.
#[derive(Deserialize)]
struct Claims {
    iat: Option<u64>,
    exp: u64,
    iss: Option<String>,
}

impl Claims {
    fn read(token: &str) -> Option<Self> {
        serde_json::from_slice(&base64url(token.split('.').nth(1)?)?).ok()
    }

    /// `exp − iat`; the local clock is not consulted.
    fn life(&self) -> Option<Duration> {
        let life = self.exp.checked_sub(self.iat?)?;
        (life > 0).then(|| Duration::from_secs(life.min(30 * 24 * 3600)))
    }
}

fn base64url(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut pending, mut bits) = (0_u32, 0_u32);
    for c in text.trim_end_matches('=').bytes() {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'-' | b'+' => 62,
            b'_' | b'/' => 63,
            _ => return None,
        };
        pending = (pending << 6) | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((pending >> bits) as u8);
            pending &= (1 << bits) - 1;
        }
    }
    Some(bytes)
}

fn tls_config() -> Arc<rustls::ClientConfig> {
    let roots = rustls::RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring supports the default TLS versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn client_of(port: u16) -> Client {
        let endpoint =
            Endpoint::parse(&format!("http://127.0.0.1:{port}")).expect("a loopback address");
        Client::new(endpoint, "trader".into(), SecretString::from("canary-key"))
    }

    /// Answers each request of one connection with the next of `replies`; an empty one closes the socket.
    async fn serve(replies: Vec<&'static str>) -> u16 {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        tokio::spawn(async move {
            let mut replies = replies.into_iter();
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut buffer = [0; 4096];
                while socket.read(&mut buffer).await.is_ok_and(|n| n > 0) {
                    match replies.next() {
                        Some("") | None => break,
                        Some(text) => socket
                            .write_all(text.as_bytes())
                            .await
                            .expect("client reads"),
                    }
                }
            }
        });
        port
    }

    async fn place(client: &Client) -> Answer {
        client
            .post(
                Pool::Orders,
                "/api/Order/place",
                Bytes::from_static(b"{}"),
                Duration::from_millis(300),
                false,
            )
            .await
    }

    #[tokio::test]
    async fn a_refused_connection_is_not_sent() {
        let answer = place(&client_of(1)).await;
        assert!(matches!(answer.outcome, Outcome::NotSent(_)), "{answer:?}");
        assert_eq!(answer.sent_mono_ns, 0);
    }

    #[tokio::test]
    async fn a_socket_closed_after_the_request_is_a_reset_not_a_failure_to_send() {
        let client = client_of(serve(vec![""]).await);
        let answer = place(&client).await;
        assert!(matches!(answer.outcome, Outcome::Reset(_)), "{answer:?}");
        assert!(answer.sent_mono_ns > 0);
    }

    #[tokio::test]
    async fn a_cut_body_is_a_reset() {
        let client = client_of(
            serve(vec![
                "HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{\"orderId\"",
                "",
            ])
            .await,
        );
        let answer = place(&client).await;
        assert!(
            matches!(answer.outcome, Outcome::Timeout | Outcome::Reset(_)),
            "{answer:?}"
        );
    }

    #[tokio::test]
    async fn a_place_is_never_repeated_after_a_401_and_a_read_is_once() {
        let refused = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n";
        let login =
            "HTTP/1.1 200 OK\r\ncontent-length: 32\r\n\r\n{\"token\":\"a.b.c\",\"success\":true}";
        let ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
        // Both requests and both logins share one connection, so the replies are consumed in this order.
        let client = client_of(serve(vec![refused, login, refused, login, ok]).await);
        let read = Bytes::from_static(b"{}");
        let deadline = Duration::from_millis(500);
        let answer = client
            .post(
                Pool::Ordinary,
                "/api/Account/search",
                read.clone(),
                deadline,
                false,
            )
            .await;
        assert!(
            matches!(answer.outcome, Outcome::Reply { status: 401, .. }),
            "{answer:?}"
        );
        assert_eq!(client.generation(), 1, "the token was renewed all the same");
        let answer = client
            .post(Pool::Ordinary, "/api/Account/search", read, deadline, true)
            .await;
        assert!(
            matches!(answer.outcome, Outcome::Reply { status: 200, .. }),
            "{answer:?}"
        );
    }

    #[tokio::test]
    async fn after_a_timeout_the_socket_is_closed_so_that_nothing_follows() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let silent = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.expect("the client connects");
            let mut all = Vec::new();
            // Never answers; ends when the client has closed.
            let _ = socket.read_to_end(&mut all).await;
            all
        });
        let answer = place(&client_of(port)).await;
        assert!(matches!(answer.outcome, Outcome::Timeout), "{answer:?}");
        let all = silent.await.expect("the connection was closed");
        assert!(all.starts_with(b"POST /api/Order/place"));
    }

    #[test]
    fn neither_key_nor_token_is_printed() {
        assert!(!format!("{:?}", client_of(1)).contains("canary"));
    }

    #[test]
    fn token_life_is_the_difference_of_its_own_stamps() {
        // {"iat":1000,"exp":87400}
        let claims =
            Claims::read("e30.eyJpYXQiOjEwMDAsImV4cCI6ODc0MDB9.sig").expect("readable claims");
        assert_eq!(claims.life(), Some(Duration::from_secs(86_400)));
        assert!(Claims::read("not a token").is_none());
    }

    #[test]
    fn addresses_are_read_or_refused() {
        let endpoint = Endpoint::parse("https://api.topstepx.com").expect("valid");
        assert_eq!((endpoint.port, endpoint.is_tls), (443, true));
        assert!(Endpoint::parse("ftp://host").is_none());
        assert!(Endpoint::parse("http://").is_none());
    }
}
