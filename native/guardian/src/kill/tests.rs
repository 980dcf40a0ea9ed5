//! A kill beside an engine that beats, with a broker that keeps count of what it was asked.

use std::sync::atomic::AtomicUsize;

use parking_lot::Mutex;
use secrecy::SecretString;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::Notify;
use trading_bot_core::database::heartbeat::{EngineBeat, EngineState, Page};
use trading_bot_core::order_execution::rest::{Client, Endpoint};

use super::*;

const ORDERS: i64 = 60;

/// What the broker holds, and what was asked of it.
#[derive(Debug, Default)]
struct Book {
    living: Vec<i64>,
    is_position_open: bool,
    cancels: Vec<i64>,
    closes: usize,
    readings: usize,
}

impl Book {
    fn answer(&mut self, path: &str, body: &Value) -> Value {
        match path {
            "/api/Order/v2/query" => {
                self.readings += 1;
                let row = |id: &i64| json!({"id": id, "contractId": "C", "side": 0, "type": 1});
                let rows: Vec<Value> = self.living.iter().map(row).collect();
                json!({"success": true, "orders": rows})
            }
            "/api/Order/cancel" => {
                let id = body["orderId"].as_i64().expect("an order's id");
                self.cancels.push(id);
                self.living.retain(|living| *living != id);
                json!({"success": true})
            }
            "/api/Position/searchOpen" => {
                let row = json!({"contractId": "C", "size": 2});
                let rows = if self.is_position_open {
                    vec![row]
                } else {
                    vec![]
                };
                json!({"success": true, "positions": rows})
            }
            "/api/Position/closeContract" => {
                self.closes += 1;
                self.is_position_open = false;
                json!({"success": true})
            }
            other => panic!("nobody asks for {other}"),
        }
    }
}

/// A broker, and an engine that beats with sixty orders on its page.
struct Scene {
    book: Arc<Mutex<Book>>,
    sweep: Sweep,
    watch: Arc<Watch>,
    /// Lets the engine answer.
    answer: Arc<Notify>,
    directory: PathBuf,
}

impl Scene {
    /// One account's part of a kill that is pressed now.
    fn job(&self) -> Job {
        Job {
            base: self.directory.clone(),
            watch: Arc::clone(&self.watch),
            sweep: self.sweep.clone(),
            account: AccountId(1),
            name: "PRAC-1".into(),
            started: Instant::now(),
            allowance: KEPT_FOR_EXITS,
        }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// `on_asked` is what the engine does to the broker's book when it is asked for a kill.
async fn scene(on_asked: fn(&mut Book)) -> Scene {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("pitdesk-kill-{}-{number}", std::process::id());
    let directory = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&directory).expect("a folder");
    let book = Arc::new(Mutex::new(Book {
        living: (1..=ORDERS).collect(),
        is_position_open: true,
        ..Book::default()
    }));
    let client = serve_broker(&book).await;
    let answer = Arc::new(Notify::new());
    serve_engine(&directory, Arc::clone(&book), Arc::clone(&answer), on_asked);
    let watch = Arc::new(Watch::new(&directory));
    beat(&directory, Arc::clone(&watch));
    until(|| watch.sight().is_beating(FRESH)).await;
    Scene {
        book,
        sweep: Sweep::new(Arc::new(client), Arc::new(Segment::silent())),
        watch,
        answer,
        directory,
    }
}

async fn serve_broker(book: &Arc<Mutex<Book>>) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let book = Arc::clone(book);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(converse(socket, Arc::clone(&book)));
        }
    });
    let endpoint = Endpoint::parse(&format!("http://127.0.0.1:{port}")).expect("an address");
    Client::new(endpoint, "trader".into(), SecretString::from("key"))
}

async fn converse(socket: TcpStream, book: Arc<Mutex<Book>>) {
    let (reader, mut writer) = socket.into_split();
    let mut reader = BufReader::new(reader);
    loop {
        let (mut path, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if !matches!(reader.read_line(&mut line).await, Ok(1..)) {
                return;
            }
            let lower = line.trim().to_ascii_lowercase();
            if path.is_empty() {
                path = line.split(' ').nth(1).unwrap_or_default().to_owned();
            } else if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            } else if lower.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).await.expect("a whole body");
        let body = serde_json::from_slice(&body).expect("JSON");
        let text = book.lock().answer(&path, &body).to_string();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", text.len());
        let sent = writer.write_all((head + &text).as_bytes()).await;
        sent.expect("the client reads");
    }
}

fn serve_engine(
    directory: &Path,
    book: Arc<Mutex<Book>>,
    answer: Arc<Notify>,
    on_asked: fn(&mut Book),
) {
    std::fs::write(directory.join("control.token"), "token").expect("a token");
    let listener = UnixListener::bind(directory.join("control.sock")).expect("a socket");
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("the guardian asks");
        let mut line = String::new();
        let asked = BufReader::new(&mut stream).read_line(&mut line).await;
        asked.expect("one line");
        on_asked(&mut book.lock());
        answer.notified().await;
        let told = json!({"ok": true, "result": {"outcome": "unknown", "text": "slow"}});
        let sent = stream.write_all(format!("{told}\n").as_bytes()).await;
        sent.expect("the guardian listens");
    });
}

/// Beats for as long as the test lives; its page goes on showing the orders, as that of a stopped engine does.
fn beat(directory: &Path, watch: Arc<Watch>) {
    let page = Page::create(directory).expect("a page");
    tokio::spawn(async move {
        for number in 1.. {
            let beat = EngineBeat {
                beat: number,
                living_orders: ORDERS as u32,
                state: EngineState::Live,
                ..EngineBeat::default()
            };
            page.write_engine(&beat).expect("the page is there");
            watch.look();
            tokio::time::sleep(WAIT_STEP).await;
        }
    });
}

async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_does_not_cancel_is_helped_with_each_order_once_and_nothing_is_closed() {
    let scene = scene(|_| {}).await;
    let mut help = Help::default();
    let has_answered = Arc::new(AtomicBool::new(false));
    let (heard, asked) = scene.job().ask_first(&has_answered, &mut help).await;
    assert!(matches!(heard, Heard::Nothing), "the engine never answered");
    help.settle(Duration::from_secs(60)).await;
    asked.expect("still asked").abort();
    let mut book = scene.book.lock();
    book.cancels.sort_unstable();
    assert_eq!(book.cancels, (1..=ORDERS).collect::<Vec<_>>());
    assert_eq!(
        book.readings, 1,
        "one help, before the orders are taken over"
    );
    assert_eq!(book.closes, 0, "the engine lives and may be closing");
    assert_eq!(help.cancelled, ORDERS as usize);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_engine_has_cancelled_is_not_cancelled_again() {
    let scene = scene(|book| book.living.clear()).await;
    let (book, answer) = (Arc::clone(&scene.book), Arc::clone(&scene.answer));
    let let_it_answer = tokio::spawn(async move {
        until(|| book.lock().readings > 0).await;
        answer.notify_one();
    });
    let row = scene.job().run().await;
    let_it_answer.await.expect("it has answered");
    assert_eq!(row.swept.outcome, DoneOutcome::Done);
    let book = scene.book.lock();
    assert!(
        book.cancels.is_empty(),
        "the reading showed that they are gone"
    );
    assert_eq!(book.closes, 1, "closed once the engine had answered");
}
