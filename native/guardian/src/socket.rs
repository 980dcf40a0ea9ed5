//! The guardian's seat: one per base directory, reached by `guardian.sock`.
//!
//! ```text
//! {"op": "kill", "accounts": ["PRAC-1"], "source": "cli"}   {"ok": true, "report": {...}}       no account: all of them
//! {"op": "status"}                                          {"ok": true, "status": {...}}
//! {"op": "retire"}                                          {"ok": true}                        ends once no kill is under way
//! ```
//!
//! The socket is its owner's alone and asks for no password: killing is the safe direction, arming again is not done here.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fs4::fs_std::FileExt;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::kill::Killer;
use crate::watch::Watch;

pub const SOCKET_NAME: &str = "guardian.sock";
const LINE_MAX: u64 = 64 * 1024;
/// A predecessor may be in the middle of a kill.
const RETIRE_PATIENCE: Duration = Duration::from_secs(80);
const RETIRE_STEP: Duration = Duration::from_millis(50);

/// The lock of the base directory and the socket; given up when dropped.
pub struct Seat {
    _lock: File,
    socket: PathBuf,
}

impl Seat {
    /// Takes the seat; a predecessor, whose window is dead, is asked to leave it. `None` when it stays.
    pub async fn take(base: &Path) -> Option<Self> {
        let mut options = File::options();
        options.create(true).truncate(false).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let lock = options.open(base.join("guardian.lock")).ok()?;
        let socket = base.join(SOCKET_NAME);
        let mut waited = Duration::ZERO;
        let mut has_asked = false;
        while !lock.try_lock_exclusive().unwrap_or(false) {
            if !has_asked {
                has_asked = ask_to_retire(&socket).await.is_ok();
            }
            if waited >= RETIRE_PATIENCE {
                return None;
            }
            tokio::time::sleep(RETIRE_STEP).await;
            waited += RETIRE_STEP;
        }
        Some(Self {
            _lock: lock,
            socket,
        })
    }

    /// Serves the socket. Without one the key and the announcements still work.
    pub fn listen(&self, killer: Arc<Killer>, watch: Arc<Watch>) -> Visits {
        let (leave, left) = channel(1);
        // A leftover of a killed predecessor; the lock says that it is nobody's.
        let _ = std::fs::remove_file(&self.socket);
        match UnixListener::bind(&self.socket).and_then(|listener| {
            owner_only(&self.socket)?;
            Ok(listener)
        }) {
            Ok(listener) => {
                let leave = leave.clone();
                tokio::spawn(serve(listener, killer, watch, leave));
            }
            Err(error) => eprintln!(
                "{}",
                json!({"code": "no_socket", "level": "alarm", "text": format!("`pitdesk kill` cannot reach the guardian: {error}.")})
            ),
        }
        Visits { leave, left }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        // The lock goes with its file; a socket that stays answers nobody.
        let _ = std::fs::remove_file(&self.socket);
    }
}

/// Tells when somebody wants this process to leave.
pub struct Visits {
    leave: Sender<()>,
    left: Receiver<()>,
}

impl Visits {
    pub fn leave_taker(&self) -> Sender<()> {
        self.leave.clone()
    }

    /// Returns when it is time to leave.
    pub async fn leave(&mut self) {
        let _ = self.left.recv().await;
    }
}

async fn ask_to_retire(socket: &Path) -> std::io::Result<()> {
    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(b"{\"op\":\"retire\"}\n").await
}

fn owner_only(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
}

async fn serve(listener: UnixListener, killer: Arc<Killer>, watch: Arc<Watch>, leave: Sender<()>) {
    // SAFETY: it reads one number and cannot fail.
    let owner = unsafe { libc::geteuid() };
    while let Ok((stream, _)) = listener.accept().await {
        // The kernel names the user of the other side.
        let peer = stream.peer_cred().map(|peer| peer.uid());
        if !peer.is_ok_and(|peer| peer == owner || peer == 0) {
            continue;
        }
        tokio::spawn(converse(
            stream,
            Arc::clone(&killer),
            Arc::clone(&watch),
            leave.clone(),
        ));
    }
}

async fn converse(stream: UnixStream, killer: Arc<Killer>, watch: Arc<Watch>, leave: Sender<()>) {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader);
    loop {
        let mut line = Vec::new();
        let read = (&mut lines)
            .take(LINE_MAX)
            .read_until(b'\n', &mut line)
            .await;
        if !matches!(read, Ok(count) if count > 0) {
            return;
        }
        let request: Value = serde_json::from_slice(&line).unwrap_or(Value::Null);
        let answer = match request["op"].as_str() {
            // On a task of its own: a caller that hangs up does not stop a kill.
            Some("kill") => {
                let (wanted, source) = (names(&request), source(&request));
                let killer = Arc::clone(&killer);
                let kill = tokio::spawn(async move { killer.kill(&wanted, &source).await });
                match kill.await {
                    Ok(report) => json!({"ok": true, "report": report.to_json()}),
                    Err(error) => {
                        json!({"ok": false, "text": format!("The kill failed: {error}.")})
                    }
                }
            }
            Some("status") => json!({"ok": true, "status": status(&watch)}),
            Some("retire") => json!({"ok": true}),
            _ => json!({"ok": false, "text": "kill, status and retire are known."}),
        };
        let is_written = writer
            .write_all(format!("{answer}\n").as_bytes())
            .await
            .is_ok();
        if request["op"] == json!("retire") {
            killer.finish().await;
            let _ = leave.send(()).await;
            return;
        }
        if !is_written {
            return;
        }
    }
}

fn names(request: &Value) -> Vec<String> {
    let listed = request["accounts"].as_array().cloned().unwrap_or_default();
    listed
        .iter()
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect()
}

fn source(request: &Value) -> String {
    request["source"].as_str().unwrap_or("socket").to_owned()
}

fn status(watch: &Watch) -> Value {
    let sight = watch.sight();
    let milliseconds = |age: Option<Duration>| age.map(|age| age.as_millis() as u64);
    json!({
        "process": std::process::id(), "engine_process": sight.beat.process, "engine_age_ms": milliseconds(sight.age),
        "window_age_ms": milliseconds(watch.window_age()), "is_window_process_gone": sight.is_gone,
        "state": format!("{:?}", sight.beat.state).to_lowercase(), "living_orders": sight.beat.living_orders,
        "requests_used": sight.beat.requests_used, "held": sight.beat.detail,
    })
}
