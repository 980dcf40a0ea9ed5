//! A gateway in this process, spoken to over real sockets only.

#![allow(dead_code, reason = "each test binary uses its own part of the rig")]

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use clap::Parser;
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use practice_gateway::server::options::Options;
use practice_gateway::server::start::{Running, start};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

pub const LIMIT: Duration = Duration::from_secs(30);
pub const ACCOUNT: i64 = 7001;
/// A Tuesday: a day that a test lets pass must not end in a weekend because of the day it runs on.
const MORNING: &str = "2026-11-24T14:25:00Z";

/// Quote, print and three levels a side of MNQ, all at the start.
pub fn market() -> Value {
    json!([
        {"ms": 0, "quote": {"bid": 25000, "bid_lots": 5, "ask": 25000.25, "ask_lots": 7}},
        {"ms": 0, "level": {"side": "bid", "price": 24999.75, "lots": 9}},
        {"ms": 0, "level": {"side": "ask", "price": 25000.5, "lots": 9}},
        {"ms": 0, "print": {"price": 25000, "lots": 1, "side": "sell"}},
    ])
}

static SERIAL: AtomicU32 = AtomicU32::new(0);

/// A fresh folder below the system's temporary one.
pub fn folder() -> PathBuf {
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    let path =
        std::env::temp_dir().join(format!("pitdesk-gateway-{}-{serial}", std::process::id()));
    std::fs::create_dir_all(&path).expect("a temporary folder");
    path
}

/// Writes a script and returns its path as text.
pub fn script(steps: &Value) -> String {
    let path = folder().join("script.json");
    std::fs::write(&path, steps.to_string()).expect("a script file");
    path.to_string_lossy().into_owned()
}

pub struct Rig {
    pub info: Value,
    pub token: String,
    pub contract: String,
    http: Client<HttpConnector, Full<Bytes>>,
    _running: Option<Running>,
}

impl Rig {
    pub async fn new(extra: &[&str]) -> Self {
        Self::with_script(&market(), extra).await
    }

    pub async fn with_script(steps: &Value, extra: &[&str]) -> Self {
        let path = script(steps);
        let mut arguments = vec!["pitdesk-gateway", "--market", "script", &path];
        arguments.extend_from_slice(extra);
        if !extra.contains(&"--clock") {
            arguments.extend_from_slice(&["--clock", MORNING]);
        }
        let options = Options::parse_from(arguments);
        let running = start(&options).await.expect("the gateway starts");
        let info = serde_json::from_str(&running.announcement()).expect("the first line is JSON");
        Self::attach(info, Some(running)).await
    }

    /// Logs into a gateway that announced itself.
    pub async fn attach(info: Value, running: Option<Running>) -> Self {
        let mut rig = Self {
            info,
            token: String::new(),
            contract: String::new(),
            http: Client::builder(TokioExecutor::new()).build_http(),
            _running: running,
        };
        let credentials = json!({"userName": rig.info["user_name"], "apiKey": rig.info["api_key"]});
        let login = rig.ok("Auth/loginKey", credentials).await;
        rig.token = login["token"].as_str().expect("a token").to_owned();
        let found = rig
            .ok(
                "Contract/search",
                json!({"searchText": "MNQ", "live": false}),
            )
            .await;
        let contract = found["contracts"][0]["id"].as_str().expect("MNQ");
        contract.clone_into(&mut rig.contract);
        rig
    }

    pub async fn send(&self, request: Request<Full<Bytes>>) -> Option<(u16, Vec<u8>)> {
        let reply = timeout(LIMIT, self.http.request(request))
            .await
            .expect("in time")
            .ok()?;
        let status = reply.status().as_u16();
        let body = reply.into_body().collect().await.ok()?;
        Some((status, body.to_bytes().to_vec()))
    }

    pub fn request(&self, path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
        let address = self.info["rest"].as_str().expect("an address");
        Request::post(format!("{address}/api/{path}"))
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {}", self.token))
            .body(Full::new(body.into()))
            .expect("a request")
    }

    /// Status and JSON (null if the body is empty); `None` if the connection broke.
    pub async fn post(&self, path: &str, body: Value) -> Option<(u16, Value)> {
        let (status, bytes) = self.send(self.request(path, body.to_string())).await?;
        Some((
            status,
            serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        ))
    }

    /// The JSON of a reply with status 200.
    pub async fn ok(&self, path: &str, body: Value) -> Value {
        let (status, value) = self.post(path, body).await.expect("an answer");
        assert_eq!(status, 200, "{path}: {value}");
        value
    }

    pub async fn control(&self, path: &str, body: Option<Value>) -> Value {
        let address = self.info["control"].as_str().expect("an address");
        let token = self.info["control_token"].as_str().expect("a token");
        let method = if body.is_some() { "POST" } else { "GET" };
        let request = Request::builder()
            .method(method)
            .uri(format!("{address}/control/{path}"))
            .header("authorization", format!("Bearer {token}"))
            .body(Full::new(
                body.map_or_else(String::new, |b| b.to_string()).into(),
            ))
            .expect("a request");
        let (status, bytes) = self.send(request).await.expect("an answer");
        let value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        assert_eq!(status, 200, "{path}: {value}");
        value
    }

    pub async fn fault(&self, rule: Value) {
        self.control("fault", Some(rule)).await;
    }

    pub async fn steps(&self, steps: Value) {
        self.control("market", Some(json!({ "script": steps })))
            .await;
    }

    pub fn order(&self, fields: &Value) -> Value {
        let mut order = json!({"accountId": ACCOUNT, "contractId": self.contract, "type": 2, "side": 0, "size": 1});
        for (key, value) in fields.as_object().expect("fields") {
            order[key] = value.clone();
        }
        order
    }

    pub async fn place(&self, fields: Value) -> Value {
        self.ok("Order/place", self.order(&fields)).await
    }

    pub async fn hub(&self, name: &str) -> Hub {
        let address = self.info[format!("{name}_hub")]
            .as_str()
            .expect("an address");
        let mut hub = Hub::open(&format!("{address}?access_token={}", self.token), None)
            .await
            .expect("a socket");
        hub.handshake(1).await;
        hub
    }

    /// The user hub with every subscription of the account.
    pub async fn user(&self) -> Hub {
        let mut hub = self.hub("user").await;
        hub.invoke("SubscribeAccounts", json!([])).await;
        for what in ["Orders", "Positions", "Trades"] {
            hub.invoke(&format!("Subscribe{what}"), json!([ACCOUNT]))
                .await;
        }
        hub
    }

    /// The market hub with one subscription.
    pub async fn market(&self, what: &str) -> Hub {
        let mut hub = self.hub("market").await;
        hub.invoke(&format!("SubscribeContract{what}"), json!([self.contract]))
            .await;
        hub
    }
}

pub struct Hub {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    records: std::collections::VecDeque<Value>,
    next: u32,
}

impl Hub {
    pub async fn open(address: &str, bearer: Option<&str>) -> Result<Self, String> {
        let mut request = address.into_client_request().expect("an address");
        if let Some(token) = bearer {
            request.headers_mut().insert(
                "authorization",
                format!("Bearer {token}").parse().expect("a header"),
            );
        }
        let (socket, _) = connect_async(request)
            .await
            .map_err(|error| error.to_string())?;
        Ok(Self {
            socket,
            records: std::collections::VecDeque::new(),
            next: 0,
        })
    }

    pub async fn handshake(&mut self, version: u32) -> Value {
        self.raw(&format!(
            "{{\"protocol\":\"json\",\"version\":{version}}}\u{1e}"
        ))
        .await;
        self.record().await.expect("a handshake reply")
    }

    pub async fn raw(&mut self, text: &str) {
        self.socket
            .send(Message::Text(text.into()))
            .await
            .expect("sent");
    }

    /// Invokes with an id and waits for the completion, which is returned; events before it are kept.
    pub async fn invoke(&mut self, target: &str, arguments: Value) -> Value {
        self.next += 1;
        let id = self.next.to_string();
        let message =
            json!({"type": 1, "invocationId": id, "target": target, "arguments": arguments});
        self.raw(&format!("{message}\u{1e}")).await;
        let mut passed = Vec::new();
        loop {
            let record = self.record().await.expect("a completion");
            if record["type"] == 3 && record["invocationId"] == id {
                for event in passed.into_iter().rev() {
                    self.records.push_front(event);
                }
                return record;
            }
            passed.push(record);
        }
    }

    /// The next record, `None` at the end of the connection.
    pub async fn record(&mut self) -> Option<Value> {
        while self.records.is_empty() {
            let message = timeout(LIMIT, self.socket.next()).await.expect("in time");
            match message {
                Some(Ok(Message::Text(text))) => {
                    assert!(text.ends_with('\u{1e}'), "a frame ends on a separator");
                    for part in text.split('\u{1e}').filter(|part| !part.is_empty()) {
                        self.records
                            .push_back(serde_json::from_str(part).expect("JSON"));
                    }
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
        self.records.pop_front()
    }

    /// The arguments of the next event with this target.
    pub async fn event(&mut self, target: &str) -> Value {
        loop {
            let record = self.record().await.expect("the connection lives");
            if record["target"] == target {
                return record["arguments"].clone();
            }
        }
    }

    /// Collects order events (unwrapped) until one has this status.
    pub async fn orders_until(&mut self, status: i64) -> Vec<Value> {
        let mut seen = Vec::new();
        loop {
            let order = self.event("GatewayUserOrder").await[0]["data"].clone();
            seen.push(order.clone());
            if order["status"] == status {
                return seen;
            }
        }
    }
}
