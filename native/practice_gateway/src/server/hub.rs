//! The two hubs: `SignalR` JSON over `WebSocket`, with and without negotiation.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::server::Gateway;
use crate::server::stream::END;
use crate::wire::push_string;

const HANDSHAKE_WITHIN: Duration = Duration::from_secs(15);
const PING_AFTER: Duration = Duration::from_secs(15);
/// Clients say little, and the whole buffer is cleared before every look at the socket.
const READ_BUFFER: usize = 2 << 10;
/// A peer that lets this many frames pile up is cut off.
const QUEUE_FRAMES: usize = 65_536;

/// Which hub a connection belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HubKind {
    User,
    Market,
}

impl HubKind {
    pub fn name(self) -> &'static str {
        match self {
            HubKind::User => "user",
            HubKind::Market => "market",
        }
    }
}

/// What a connection's writer is told.
pub enum Out {
    Frame(Utf8Bytes),
    /// Close record with this error text, then the WebSocket close.
    Close(String),
    /// The socket ends without a Close record.
    Drop,
    /// Nothing is sent from here on.
    Silent,
    /// Pause between frames from here on.
    Slow(Duration),
    /// The same frames over and over, as fast as the socket takes them: `messages` records in all.
    Flood {
        frames: Arc<[Utf8Bytes]>,
        per_frame: u64,
        messages: u64,
    },
}

struct Link {
    id: u64,
    kind: HubKind,
    queue: mpsc::Sender<Out>,
    overflowed: AtomicBool,
    cut: Notify,
}

/// A handle on one hub connection.
#[derive(Clone)]
pub struct Listener(Arc<Link>);

impl Listener {
    pub fn id(&self) -> u64 {
        self.0.id
    }

    pub fn kind(&self) -> HubKind {
        self.0.kind
    }

    pub fn send(&self, frame: &Utf8Bytes) {
        self.push(Out::Frame(frame.clone()));
    }

    pub fn push(&self, out: Out) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.0.queue.try_send(out) {
            self.0.overflowed.store(true, Ordering::Relaxed);
            self.0.cut.notify_one();
        }
    }
}

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Serves one upgraded connection until it ends.
pub async fn serve(gateway: Arc<Gateway>, kind: HubKind, upgraded: Upgraded, expires: i64) {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .max_message_size(Some(1 << 20))
        .max_frame_size(Some(1 << 20));
    let mut socket =
        WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
    let Some(rest) = handshake(&mut socket).await else {
        let _ = socket.close(None).await;
        return;
    };
    let (queue, outbox) = mpsc::channel(QUEUE_FRAMES);
    let link = Link {
        id: gateway.next_connection(),
        kind,
        queue,
        overflowed: AtomicBool::new(false),
        cut: Notify::new(),
    };
    let listener = Listener(Arc::new(link));
    gateway.world.lock().join(listener.clone(), expires);
    for record in records(&rest) {
        receive(&gateway, &listener, record);
    }
    run(&gateway, &listener, socket, outbox).await;
    gateway.world.lock().leave(&listener);
}

async fn run(
    gateway: &Arc<Gateway>,
    listener: &Listener,
    socket: Socket,
    outbox: mpsc::Receiver<Out>,
) {
    let (sink, mut source) = socket.split();
    let mut writer = Box::pin(write(sink, outbox));
    loop {
        tokio::select! {
            message = source.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    if !receive_all(gateway, listener, text.as_str()) {
                        break;
                    }
                }
                Some(Ok(Message::Binary(bytes))) => {
                    let Ok(text) = std::str::from_utf8(&bytes) else { break };
                    if !receive_all(gateway, listener, text) {
                        break;
                    }
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                Some(Ok(_)) => {}
            },
            () = &mut writer => break,
            () = listener.0.cut.notified() => break,
        }
    }
}

type Sink = futures_util::stream::SplitSink<Socket, Message>;

/// Sends what is queued; a ping after 15 s without traffic of ours. Returns when the connection is to end.
async fn write(mut sink: Sink, mut outbox: mpsc::Receiver<Out>) {
    let mut pause = Duration::ZERO;
    let mut silent = false;
    let mut batch = Vec::new();
    loop {
        batch.clear();
        let waited = timeout(PING_AFTER, outbox.recv_many(&mut batch, 256)).await;
        match waited {
            Ok(0) => return,
            Ok(_) => {}
            Err(_) => batch.push(Out::Frame(PING.into())),
        }
        for out in batch.drain(..) {
            let done = match out {
                Out::Silent => {
                    silent = true;
                    false
                }
                Out::Slow(gap) => {
                    pause = gap;
                    false
                }
                Out::Drop => return,
                _ if silent => false,
                Out::Frame(frame) => {
                    if !pause.is_zero() {
                        sleep(pause).await;
                    }
                    sink.feed(Message::Text(frame)).await.is_err()
                }
                Out::Close(text) => {
                    close(&mut sink, &text).await;
                    return;
                }
                Out::Flood {
                    frames,
                    per_frame,
                    messages,
                } => flood(&mut sink, &frames, per_frame, messages)
                    .await
                    .is_err(),
            };
            if done {
                return;
            }
        }
        if sink.flush().await.is_err() {
            return;
        }
    }
}

const PING: &str = "{\"type\":6}\u{1e}";

async fn close(sink: &mut Sink, text: &str) {
    let mut record = String::from("{\"type\":7,\"error\":");
    push_string(&mut record, text);
    record.push_str(",\"allowReconnect\":true}");
    record.push(END);
    let _ = sink.feed(Message::Text(record.into())).await;
    let _ = sink.send(Message::Close(None)).await;
}

/// Whole frames as long as they fit, then single records, so that exactly `messages` are sent.
async fn flood(
    sink: &mut Sink,
    frames: &[Utf8Bytes],
    per_frame: u64,
    messages: u64,
) -> Result<(), tokio_tungstenite::tungstenite::Error> {
    let mut left = messages;
    let mut index = 0;
    while left >= per_frame && per_frame > 0 && !frames.is_empty() {
        sink.feed(Message::Text(frames[index % frames.len()].clone()))
            .await?;
        index += 1;
        left -= per_frame;
    }
    if let (Some(frame), true) = (frames.first(), left > 0) {
        let part: String = frame.split_inclusive(END).take(left as usize).collect();
        sink.feed(Message::Text(part.into())).await?;
    }
    Ok(())
}

/// Reads the handshake and answers it; what followed in the same frame is returned.
async fn handshake(socket: &mut Socket) -> Option<String> {
    let deadline = Instant::now() + HANDSHAKE_WITHIN;
    let mut text = String::new();
    while !text.contains(END) {
        let left = deadline.saturating_duration_since(Instant::now());
        match timeout(left, socket.next()).await.ok()?? {
            Ok(Message::Text(part)) => text.push_str(part.as_str()),
            Ok(Message::Binary(part)) => text.push_str(std::str::from_utf8(&part).ok()?),
            Ok(Message::Ping(_) | Message::Pong(_)) => {}
            _ => return None,
        }
    }
    let (first, rest) = text.split_once(END)?;
    let error = refusal(first);
    let reply = match &error {
        None => format!("{{}}{END}"),
        Some(message) => {
            let mut out = String::from("{\"error\":");
            push_string(&mut out, message);
            out.push('}');
            out.push(END);
            out
        }
    };
    socket.send(Message::Text(reply.into())).await.ok()?;
    error.is_none().then(|| rest.to_owned())
}

fn refusal(handshake: &str) -> Option<String> {
    let Ok(request) = serde_json::from_str::<Value>(handshake) else {
        return Some("Handshake is not JSON.".to_owned());
    };
    let protocol = request["protocol"].as_str().unwrap_or_default();
    if protocol != "json" {
        return Some(format!("The protocol '{protocol}' is not supported."));
    }
    match request["version"].as_i64() {
        Some(0 | 1) => None,
        other => Some(format!(
            "The server does not support version {} of the 'json' protocol.",
            other.map_or_else(|| "?".to_owned(), |version| version.to_string())
        )),
    }
}

fn records(text: &str) -> impl Iterator<Item = &str> {
    text.split(END).filter(|record| !record.is_empty())
}

/// False when the client said goodbye.
fn receive_all(gateway: &Arc<Gateway>, listener: &Listener, text: &str) -> bool {
    records(text).all(|record| receive(gateway, listener, record))
}

fn receive(gateway: &Arc<Gateway>, listener: &Listener, record: &str) -> bool {
    // A record that is no JSON is dropped: bad input never ends a connection.
    let Ok(message) = serde_json::from_str::<Value>(record) else {
        return true;
    };
    match message["type"].as_i64() {
        Some(1) => invoke(gateway, listener, &message),
        Some(7) => return false,
        _ => {}
    }
    true
}

fn invoke(gateway: &Arc<Gateway>, listener: &Listener, message: &Value) {
    let target = message["target"].as_str().unwrap_or_default();
    let argument = &message["arguments"][0];
    let known = gateway.world.lock().invoke(listener, target, argument, || {
        completion(message, target, true)
    });
    if !known && let Some(reply) = completion(message, target, false) {
        listener.send(&reply);
    }
}

/// The completion record of an invocation; `None` when it has no id.
fn completion(message: &Value, target: &str, known: bool) -> Option<Utf8Bytes> {
    let id = message["invocationId"].as_str()?;
    let mut out = String::from("{\"type\":3,\"invocationId\":");
    push_string(&mut out, id);
    if known {
        out.push_str(",\"result\":null}");
    } else {
        out.push_str(",\"error\":");
        let text = format!(
            "Failed to invoke '{target}' due to an error on the server. HubException: Method does not exist."
        );
        push_string(&mut out, &text);
        out.push('}');
    }
    out.push(END);
    Some(out.into())
}
