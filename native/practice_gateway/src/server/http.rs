//! One HTTP/1.1 connection: routing, tokens, limits, faults around the operations, upgrades to the hubs.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited, combinators::BoxBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::sleep;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::contracts::{SECOND, timestamp};
use crate::server::body::{Body, unreadable};
use crate::server::faults::{Occasion, Rule};
use crate::server::hub::{self, HubKind};
use crate::server::rest::{self, Answer};
use crate::server::token::{Denied, random_hex};
use crate::server::{Gateway, control};

const MAX_BODY: usize = 1 << 20;
/// How long an answer that never comes keeps its connection.
const NEVER: Duration = Duration::from_secs(600);

type Reply = Response<BoxBody<Bytes, io::Error>>;

/// Serves one connection to its end; with `control` it speaks the control port's language.
pub async fn serve(gateway: Arc<Gateway>, stream: TcpStream, control: bool) {
    // A reply is one small write; waiting for more of it would only add latency.
    let _ = stream.set_nodelay(true);
    if !control {
        gateway.world.lock().counters.connections += 1;
    }
    let service = service_fn(move |request| {
        let gateway = gateway.clone();
        async move {
            if control {
                Ok(control_reply(&gateway, request).await)
            } else {
                answer(gateway, request).await
            }
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(600))
        .auto_date_header(false)
        // A request whose sender hung up is carried out all the same, as behind the real gateway.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    if let Err(error) = connection.await {
        tracing::debug!("connection ended error={error}");
    }
}

/// An `Err` closes the connection without an answer.
async fn answer(gateway: Arc<Gateway>, request: Request<Incoming>) -> Result<Reply, io::Error> {
    let path = request.uri().path().trim_end_matches('/').to_owned();
    let lower = path.to_ascii_lowercase();
    match lower.as_str() {
        "/hubs/user" => return Ok(upgrade(&gateway, request, HubKind::User)),
        "/hubs/market" => return Ok(upgrade(&gateway, request, HubKind::Market)),
        "/hubs/user/negotiate" | "/hubs/market/negotiate" => {
            return Ok(negotiate(&gateway, &request));
        }
        "/api/status/ping" => return Ok(ping(&gateway, &request)),
        _ => {}
    }
    let Some(operation) = operation_of(&lower) else {
        return Ok(empty(&gateway, 404));
    };
    if request.method() != Method::POST {
        return Ok(empty(&gateway, 405));
    }
    call(gateway, operation, request).await
}

const AUTH: [&str; 4] = [
    "Auth/loginKey",
    "Auth/loginApp",
    "Auth/validate",
    "Auth/logout",
];

/// The documented spelling of a path below `/api/`; case does not matter, and clients that repeat `/api` are served.
fn operation_of(lower: &str) -> Option<&'static str> {
    let below = lower
        .strip_prefix("/api/api/")
        .or_else(|| lower.strip_prefix("/api/"))?;
    let names = AUTH
        .iter()
        .copied()
        .chain(rest::OPERATIONS.iter().map(|(name, _)| *name));
    names
        .into_iter()
        .find(|name| name.eq_ignore_ascii_case(below))
}

async fn call(
    gateway: Arc<Gateway>,
    operation: &'static str,
    request: Request<Incoming>,
) -> Result<Reply, io::Error> {
    *gateway
        .world
        .lock()
        .counters
        .requests
        .entry(operation)
        .or_insert(0) += 1;
    if let Some(reply) = before(&gateway, operation).await? {
        return Ok(reply);
    }
    if !gateway.admit(operation) {
        return Ok(empty(&gateway, 429));
    }
    let verdict = authorized(&gateway, &request);
    let is_login = operation.starts_with("Auth/login");
    if verdict.is_err() && !is_login && operation != "Auth/validate" {
        return Ok(unauthorized(&gateway));
    }
    if !is_json(&request) {
        return Ok(empty(&gateway, 415));
    }
    let Ok(collected) = Limited::new(request.into_body(), MAX_BODY).collect().await else {
        return Ok(closing(empty(&gateway, 413)));
    };
    let answer = perform(&gateway, operation, &collected.to_bytes(), verdict);
    after(&gateway, operation, answer).await
}

fn is_json(request: &Request<Incoming>) -> bool {
    let Some(kind) = request.headers().get(header::CONTENT_TYPE) else {
        return true;
    };
    kind.to_str()
        .is_ok_and(|kind| kind.to_ascii_lowercase().contains("json"))
}

fn perform(
    gateway: &Gateway,
    operation: &str,
    bytes: &[u8],
    verdict: Result<i64, Denied>,
) -> Answer {
    match operation {
        "Auth/validate" => return rest::validate(gateway, verdict.map(drop)),
        "Auth/logout" => return rest::logout(),
        _ => {}
    }
    let Some(mut body) = Body::parse(bytes) else {
        return (400, unreadable());
    };
    match operation {
        "Auth/loginKey" => rest::login_key(gateway, &mut body),
        "Auth/loginApp" => rest::login_app(gateway, &mut body),
        _ => match rest::OPERATIONS.iter().find(|(name, _)| *name == operation) {
            Some((_, handler)) => handler(gateway, &mut body),
            None => (404, String::new()),
        },
    }
}

fn hit(gateway: &Gateway, kind: &str, endpoint: &str) -> Option<Rule> {
    let mut world = gateway.world.lock();
    if world.faults.is_empty() {
        return None;
    }
    world.faults.hit(
        kind,
        Occasion {
            endpoint,
            ..Occasion::default()
        },
    )
}

/// Faults that strike before the request is looked at.
async fn before(gateway: &Arc<Gateway>, operation: &str) -> Result<Option<Reply>, io::Error> {
    for kind in ["latency", "delay_request"] {
        if let Some(rule) = hit(gateway, kind, operation) {
            sleep(Duration::from_millis(rule.ms)).await;
        }
    }
    if hit(gateway, "request_lost", operation).is_some() {
        return Err(never().await);
    }
    if hit(gateway, "too_many", operation).is_some() {
        return Ok(Some(empty(gateway, 429)));
    }
    if hit(gateway, "unauthorized", operation).is_some() {
        return Ok(Some(unauthorized(gateway)));
    }
    if let Some(rule) = hit(gateway, "answer", operation) {
        return Ok(Some(told(gateway, rule)));
    }
    let broken = hit(gateway, "error", operation);
    Ok(broken.map(|rule| empty(gateway, rule.status.unwrap_or(500))))
}

/// Faults that strike after the request was carried out.
async fn after(
    gateway: &Arc<Gateway>,
    operation: &str,
    answer: Answer,
) -> Result<Reply, io::Error> {
    if hit(gateway, "reply_lost", operation).is_some() {
        return Err(never().await);
    }
    if hit(gateway, "reply_reset", operation).is_some() {
        return Err(io::Error::from(io::ErrorKind::ConnectionReset));
    }
    if let Some(rule) = hit(gateway, "delay_reply", operation) {
        sleep(Duration::from_millis(rule.ms)).await;
    }
    if let Some(rule) = hit(gateway, "error_after", operation) {
        return Ok(empty(gateway, rule.status.unwrap_or(500)));
    }
    if hit(gateway, "cut_body", operation).is_some() {
        return Ok(cut(gateway, &answer));
    }
    if let Some(rule) = hit(gateway, "answer_after", operation) {
        return Ok(told(gateway, rule));
    }
    Ok(json(gateway, answer))
}

/// The words of a rule in place of our own.
fn told(gateway: &Gateway, rule: Rule) -> Reply {
    let kind = "application/json; charset=utf-8";
    let text = rule.text.unwrap_or_default();
    respond(gateway, rule.status.unwrap_or(200), kind, text.into())
}

async fn never() -> io::Error {
    sleep(NEVER).await;
    io::Error::from(io::ErrorKind::TimedOut)
}

fn token_of(request: &Request<Incoming>) -> Option<String> {
    let query = request.uri().query().unwrap_or_default();
    let in_query = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("access_token="));
    if let Some(token) = in_query {
        return Some(token.replace("%2E", ".").replace("%2e", "."));
    }
    let value = request
        .headers()
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim().to_owned())
}

fn authorized(gateway: &Gateway, request: &Request<Incoming>) -> Result<i64, Denied> {
    let token = token_of(request).ok_or(Denied::Invalid)?;
    gateway.tokens.check(&token, gateway.now())
}

fn ping(gateway: &Gateway, request: &Request<Incoming>) -> Reply {
    if request.method() != Method::GET {
        return empty(gateway, 405);
    }
    respond(
        gateway,
        200,
        "text/plain; charset=utf-8",
        Bytes::from_static(b"pong"),
    )
}

fn query_value<'a>(request: &'a Request<Incoming>, name: &str) -> Option<&'a str> {
    let query = request.uri().query().unwrap_or_default();
    query.split('&').find_map(|pair| {
        pair.split_once('=')
            .filter(|(key, _)| *key == name)
            .map(|(_, value)| value)
    })
}

fn negotiate(gateway: &Gateway, request: &Request<Incoming>) -> Reply {
    if request.method() != Method::POST {
        return empty(gateway, 405);
    }
    if authorized(gateway, request).is_err() {
        return unauthorized(gateway);
    }
    let id = random_hex(11);
    let transports =
        r#""availableTransports":[{"transport":"WebSockets","transferFormats":["Text","Binary"]}]"#;
    let (key, text) = if query_value(request, "negotiateVersion")
        .is_some_and(|version| version != "0")
    {
        let secret = random_hex(16);
        let text = format!(
            r#"{{"negotiateVersion":1,"connectionId":"{id}","connectionToken":"{secret}",{transports}}}"#
        );
        (secret, text)
    } else {
        (
            id.clone(),
            format!(r#"{{"negotiateVersion":0,"connectionId":"{id}",{transports}}}"#),
        )
    };
    let mut negotiated = gateway.negotiated.lock();
    // Connections that were negotiated and never opened must not pile up.
    if negotiated.len() > 10_000 {
        negotiated.clear();
    }
    negotiated.insert(key, true);
    json(gateway, (200, text))
}

/// Opens a hub socket. An `id` that is unknown is let through: one client library reuses stale ids.
fn upgrade(gateway: &Arc<Gateway>, mut request: Request<Incoming>, kind: HubKind) -> Reply {
    let Ok(expires) = authorized(gateway, &request) else {
        return unauthorized(gateway);
    };
    let key = request.headers().get(header::SEC_WEBSOCKET_KEY).cloned();
    let (Some(key), Method::GET) = (key, request.method().clone()) else {
        return empty(gateway, 400);
    };
    if let Some(id) = query_value(&request, "id") {
        gateway.negotiated.lock().remove(id);
    }
    let upgrading = hyper::upgrade::on(&mut request);
    let shared = gateway.clone();
    tokio::spawn(async move {
        match upgrading.await {
            Ok(upgraded) => hub::serve(shared, kind, upgraded, expires).await,
            Err(error) => tracing::debug!("upgrade failed error={error}"),
        }
    });
    let mut reply = empty(gateway, 101);
    let headers = reply.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(&derive_accept_key(key.as_bytes())) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    reply
}

async fn control_reply(gateway: &Arc<Gateway>, request: Request<Incoming>) -> Reply {
    let bearer = token_of(&request);
    if bearer.as_deref() != Some(gateway.control_token.as_str()) {
        return unauthorized(gateway);
    }
    let (parts, body) = request.into_parts();
    let Ok(collected) = Limited::new(body, MAX_BODY).collect().await else {
        return empty(gateway, 413);
    };
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    json(
        gateway,
        control::handle(gateway, &parts.method, path, &collected.to_bytes()),
    )
}

fn respond(gateway: &Gateway, status: u16, kind: &'static str, bytes: Bytes) -> Reply {
    let body = Full::new(bytes)
        .map_err(|never: Infallible| match never {})
        .boxed();
    let mut reply = Response::new(body);
    *reply.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = reply.headers_mut();
    if !kind.is_empty() {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    if let Some(date) = date_header(gateway) {
        headers.insert(header::DATE, date);
    }
    reply
}

/// The same for a whole second of the gateway's clock.
fn date_header(gateway: &Gateway) -> Option<HeaderValue> {
    let second = gateway.now().div_euclid(SECOND);
    let mut kept = gateway.date.lock();
    match &*kept {
        Some((at, date)) if *at == second => Some(date.clone()),
        _ => {
            let date = HeaderValue::from_str(&http_date(second)).ok()?;
            *kept = Some((second, date.clone()));
            Some(date)
        }
    }
}

fn json(gateway: &Gateway, (status, text): Answer) -> Reply {
    match status {
        401 => unauthorized(gateway),
        400 => respond(
            gateway,
            400,
            "application/problem+json; charset=utf-8",
            text.into(),
        ),
        _ => respond(
            gateway,
            status,
            "application/json; charset=utf-8",
            text.into(),
        ),
    }
}

fn empty(gateway: &Gateway, status: u16) -> Reply {
    respond(gateway, status, "", Bytes::new())
}

fn unauthorized(gateway: &Gateway) -> Reply {
    let mut reply = empty(gateway, 401);
    let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
    reply
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, challenge);
    reply
}

fn closing(mut reply: Reply) -> Reply {
    reply
        .headers_mut()
        .insert(header::CONNECTION, HeaderValue::from_static("close"));
    reply
}

/// Promises the whole body, sends half of it and breaks the connection.
fn cut(gateway: &Gateway, answer: &Answer) -> Reply {
    let bytes = Bytes::copy_from_slice(&answer.1.as_bytes()[..answer.1.len() / 2]);
    let broken = io::Error::from(io::ErrorKind::BrokenPipe);
    let frames = futures_util::stream::iter([Ok(Frame::data(bytes)), Err(broken)]);
    let mut reply = json(gateway, (answer.0, String::new()));
    reply
        .headers_mut()
        .insert(header::CONTENT_LENGTH, HeaderValue::from(answer.1.len()));
    *reply.body_mut() = BoxBody::new(http_body_util::StreamBody::new(frames));
    reply
}

/// RFC 9110 date of a second since 1970.
fn http_date(second: i64) -> String {
    let time = timestamp(second * SECOND);
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
