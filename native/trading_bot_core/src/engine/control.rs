//! The control socket: other programs of the same user command the running engine (decision 2).
//!
//! `control.sock` in the base directory, for its owner only. Every line is one JSON object, answers come in the order of
//! the requests, one line each; `id` is any value of the caller's and comes back unchanged:
//!
//! ```text
//! {"id": 1, "token": "<text of control.token>", "op": "orders", "args": {}}
//! {"id": 1, "ok": true, "result": [...]}
//! {"id": 1, "ok": false, "kind": "invalid", "text": "..."}          kind: a word of ERROR_KINDS, or "denied token"
//! ```
//!
//! The token is needed once per connection. Operations and their arguments are those of the `Engine` in
//! `native/stubs/trading_bot_core.pyi`, with the same names and defaults:
//!
//! | op | result |
//! |---|---|
//! | `accounts contracts orders positions fills links stop_rules` | the rows, as objects |
//! | `status` | the figures, with `limits` of each account left to `limits` |
//! | `risks` | the rules of accounts and where each stands |
//! | `limits` `is_armed` | by `account_id` (and `source`) |
//! | `quote` | the newest view of `contract_id`: best prices, last, book |
//! | `submit submit_bracket` | `{"tag": ...}`; the verdict shows itself in `orders` and `denied` |
//! | `kill` | disarms every source of `account_id`, then as `flatten` |
//! | `modify cancel cancel_group close_position reverse flatten flatten_everything reconcile set_stop_rule clear_stop_rule subscribe unsubscribe search_contracts choose_accounts link_oco set_bracket_mode set_mode release_throttle` | `{"outcome", "text", "payload"}` once the request has ended, or an error of kind `unknown` after 30 s |
//! | `arm halt set_limits` | `null` |

mod operations;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Weak};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Handle as Runtime;

use self::operations::{Arguments, perform};
use super::contract::Command;
use super::handle::{Handle, Refusal};
use crate::database::home::write_private;
use crate::types::AccountId;

const LINE_MAX: u64 = 1 << 20;

/// Opens the socket and serves it until the runtime ends.
pub fn serve(runtime: &Runtime, engine: &Arc<Handle>) -> std::io::Result<()> {
    let directory = engine.home().directory();
    remove(directory);
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|error| std::io::Error::other(error.to_string()))?;
    let token = blake3::hash(&random).to_hex().to_string();
    write_private(&directory.join("control.token"), &token)?;
    let listener = {
        let _context = runtime.enter();
        UnixListener::bind(directory.join("control.sock"))?
    };
    owner_only(&directory.join("control.sock"))?;
    let (engine, token) = (Arc::downgrade(engine), Arc::new(token));
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(stream, engine.clone(), Arc::clone(&token)));
        }
    });
    Ok(())
}

/// Removes the socket of an engine that has ended.
pub fn remove(directory: &Path) {
    for name in ["control.sock", "control.token"] {
        // Usually absent; a leftover that cannot be removed makes the next bind fail with its reason.
        let _ = std::fs::remove_file(directory.join(name));
    }
}

fn owner_only(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
}

/// A failed operation: the kind and the sentence.
type Failure = (&'static str, String);

fn invalid(text: impl Into<String>) -> Failure {
    ("invalid", text.into())
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        (refusal.kind(), refusal.to_string())
    }
}

async fn converse(stream: UnixStream, engine: Weak<Handle>, token: Arc<String>) {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader);
    let mut is_known = false;
    let mut armed = Armed::new(engine.clone());
    loop {
        let mut line = Vec::new();
        let read = tokio::io::AsyncReadExt::take(&mut lines, LINE_MAX)
            .read_until(b'\n', &mut line)
            .await;
        if !matches!(read, Ok(count) if count > 0) || line.last() != Some(&b'\n') {
            return;
        }
        let request: Value = serde_json::from_slice(&line).unwrap_or(Value::Null);
        let offered = request["token"].as_str().unwrap_or_default();
        is_known = is_known || blake3::hash(offered.as_bytes()) == blake3::hash(token.as_bytes());
        let result = match engine.upgrade() {
            _ if !is_known => Err((
                "denied token",
                "The token does not match control.token.".to_owned(),
            )),
            Some(engine) => {
                armed.note(&request);
                perform(&engine, &request).await
            }
            None => Err(("closed", "The engine has been shut down.".to_owned())),
        };
        let mut answer = match result {
            Ok(result) => json!({"id": request["id"], "ok": true, "result": result}),
            Err((kind, text)) => {
                json!({"id": request["id"], "ok": false, "kind": kind, "text": text})
            }
        }
        .to_string();
        answer.push('\n');
        if writer.write_all(answer.as_bytes()).await.is_err() || !is_known {
            return;
        }
    }
}

/// What one connection armed. It ends with the connection: a caller that died must leave nothing armed.
struct Armed {
    engine: Weak<Handle>,
    pairs: BTreeSet<(String, AccountId)>,
}

impl Armed {
    fn new(engine: Weak<Handle>) -> Self {
        Self {
            engine,
            pairs: BTreeSet::new(),
        }
    }

    fn note(&mut self, request: &Value) {
        if let (Some("arm"), Some(arguments)) =
            (request["op"].as_str(), request["args"].as_object())
            && let Ok(account) = Arguments(arguments).account()
        {
            self.pairs.insert((Arguments(arguments).source(), account));
        }
    }
}

impl Drop for Armed {
    fn drop(&mut self) {
        let Some(engine) = self.engine.upgrade() else {
            return;
        };
        for (source, account) in std::mem::take(&mut self.pairs) {
            // Refused only by an engine that is ending.
            let _ = engine.push(Command::Arm {
                source,
                account,
                is_armed: false,
            });
        }
    }
}
