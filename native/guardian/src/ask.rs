//! Asking the living engine first: its control socket answers without the interpreter (decision 2).

use std::path::Path;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use trading_bot_core::types::AccountId;

/// Asks it to disarm and flatten one account and waits for its end. `Err` says why there is none, or none that is done.
pub async fn kill(base: &Path, account: AccountId) -> Result<String, String> {
    let answer = converse(base, account)
        .await
        .map_err(|error| format!("The engine does not answer: {error}."))?;
    let told = &answer["result"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if answer["ok"] == json!(true) && told["outcome"] == json!("done") {
        return Ok(text(&told["text"]));
    }
    let why = if answer["ok"] == json!(true) {
        text(&told["text"])
    } else {
        text(&answer["text"])
    };
    Err(why)
}

async fn converse(base: &Path, account: AccountId) -> std::io::Result<Value> {
    let token = std::fs::read_to_string(base.join("control.token"))?;
    let mut stream = UnixStream::connect(base.join("control.sock")).await?;
    let arguments = json!({"account_id": account.0, "source": "kill"});
    let request = json!({"id": 1, "token": token.trim(), "op": "kill", "args": arguments});
    stream.write_all(format!("{request}\n").as_bytes()).await?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).await?;
    serde_json::from_str(&line).map_err(std::io::Error::other)
}
