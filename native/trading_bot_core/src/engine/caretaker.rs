//! What acts after the engine has failed (decision 4): it reads orders and positions by REST, cancels, closes, reads
//! back, and can do nothing else. It keeps no state, believes only what the broker answers, and notes what it does in a
//! journal segment of its own.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::runtime::Handle as Runtime;

use super::contract::{Command, DoneOutcome, Endpoint, Group};
use super::news::News;
use super::views::{Board, DeniedRow, Event};
use crate::clock::wall;
use crate::database::log::Segment;
use crate::order_execution::rest::{Client, Outcome, Pool};
use crate::types::{AccountId, Lots, RequestId};

const DEADLINE: Duration = Duration::from_secs(5);
/// How often the result is read back before the answer is *unknown*.
const READ_BACKS: u32 = 10;

/// The commands that may still be carried out.
pub struct Caretaker {
    client: Option<Arc<Client>>,
    board: Arc<Board>,
    segment: Arc<Segment>,
}

type Verdict = (DoneOutcome, String);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OpenOrder {
    id: i64,
    contract_id: String,
    #[serde(default)]
    side: i64,
    #[serde(default, rename = "type")]
    kind: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OpenPosition {
    contract_id: String,
    size: i64,
}

impl Caretaker {
    pub fn new(client: Option<Arc<Client>>, board: Arc<Board>, segment: Segment) -> Self {
        Self {
            client,
            board,
            segment: Arc::new(segment),
        }
    }

    /// Carries out a cancel or a close, and refuses everything else.
    pub fn command(&mut self, command: Command, runtime: &Runtime, news: &Arc<News>) {
        let Some(request) = request_of(&command) else {
            if let Command::Submit(draft) = command {
                news.push(Event::Denied(DeniedRow {
                    tag: draft.tag.to_string().into(),
                    account_id: i64::from(draft.account.0),
                    contract_id: draft.contract_id.into(),
                    reasons: vec![(
                        "halted",
                        "The engine is halted; only cancels and closes are taken.".to_owned(),
                    )],
                }));
                news.wake();
            }
            return;
        };
        let Some(client) = self.client.clone() else {
            return answer(
                news,
                request,
                (DoneOutcome::Failed, "There is no connection.".to_owned()),
            );
        };
        let target = match &command {
            Command::Cancel { key, .. } => self.find(key),
            _ => None,
        };
        let (news, segment) = (Arc::clone(news), Arc::clone(&self.segment));
        runtime.spawn(async move {
            segment.note(&json!({"request": request.0, "command": format!("{command:?}"), "wall_ns": wall().0}));
            let verdict = carry_out(&client, command, target).await;
            segment.note(&json!({"request": request.0, "outcome": verdict.0.word(), "text": verdict.1}));
            answer(&news, request, verdict);
        });
    }

    /// Account and broker id of an order of the frozen table.
    fn find(&self, key: &str) -> Option<(i64, i64)> {
        let orders = self.board.orders.load();
        let row = orders.iter().find(|row| &*row.key == key)?;
        (row.order_id != 0).then_some((row.account_id, row.order_id))
    }
}

fn answer(news: &News, request: RequestId, (outcome, text): Verdict) {
    news.push(Event::RequestDone {
        request_id: request.0,
        outcome,
        text,
        payload_json: String::new(),
    });
    news.wake();
}

fn request_of(command: &Command) -> Option<RequestId> {
    match command {
        Command::Modify { request, .. }
        | Command::Cancel { request, .. }
        | Command::CancelGroup { request, .. }
        | Command::ClosePosition { request, .. }
        | Command::Flatten { request, .. }
        | Command::SetStopRule { request, .. }
        | Command::Reconcile { request }
        | Command::ChooseAccounts { request, .. }
        | Command::Subscribe { request, .. }
        | Command::Unsubscribe { request, .. }
        | Command::WatchBars { request, .. }
        | Command::SearchContracts { request, .. }
        | Command::Disconnect { request } => Some(*request),
        Command::Submit(_)
        | Command::Arm { .. }
        | Command::SetLimits { .. }
        | Command::TraceBook { .. }
        | Command::Halt { .. } => None,
    }
}

async fn carry_out(client: &Client, command: Command, target: Option<(i64, i64)>) -> Verdict {
    let result = match command {
        Command::Cancel { key, .. } => match target {
            Some((account, order)) => cancel(client, account, order).await,
            None => Err((
                DoneOutcome::Failed,
                format!("No order {key} with a broker id is known."),
            )),
        },
        Command::CancelGroup { account, group, .. } => cancel_group(client, account, &group).await,
        Command::ClosePosition {
            account,
            contract_id,
            size,
            ..
        } => close(client, account, &contract_id, size).await,
        Command::Flatten {
            account,
            contract_id,
            ..
        } => flatten(client, account, contract_id).await,
        _ => Err((
            DoneOutcome::Failed,
            "The engine is halted; only cancels and closes are taken.".to_owned(),
        )),
    };
    result.map_or_else(|failure| failure, |text| (DoneOutcome::Done, text))
}

async fn call(client: &Client, endpoint: Endpoint, body: Value) -> Result<Value, Verdict> {
    let pool = if endpoint.is_mutating() {
        Pool::Orders
    } else {
        Pool::Ordinary
    };
    let bytes = Bytes::from(body.to_string());
    let answer = client
        .post(
            pool,
            endpoint.path(),
            bytes,
            DEADLINE,
            endpoint.may_repeat_on_401(),
        )
        .await;
    let body = match answer.outcome {
        Outcome::Reply { status: 200, body } => body,
        Outcome::Reply { status, .. } => {
            return Err((
                DoneOutcome::Unknown,
                format!("The broker answered HTTP {status}."),
            ));
        }
        Outcome::NotSent(text) => {
            return Err((DoneOutcome::Failed, format!("Nothing was sent: {text}.")));
        }
        Outcome::Timeout | Outcome::Reset(_) => {
            return Err((
                DoneOutcome::Unknown,
                "The broker did not answer.".to_owned(),
            ));
        }
    };
    let value: Value = serde_json::from_slice(&body).map_err(|_| {
        (
            DoneOutcome::Unknown,
            "The broker's answer cannot be read.".to_owned(),
        )
    })?;
    if value["success"] == json!(true) {
        return Ok(value);
    }
    let text = value["errorMessage"]
        .as_str()
        .unwrap_or("The broker refused without a reason.");
    Err((DoneOutcome::Refused, text.to_owned()))
}

async fn cancel(client: &Client, account: i64, order: i64) -> Result<String, Verdict> {
    call(
        client,
        Endpoint::Cancel,
        json!({"accountId": account, "orderId": order}),
    )
    .await?;
    Ok(format!("Order #{order} is cancelled."))
}

async fn open_orders(client: &Client, account: AccountId) -> Result<Vec<OpenOrder>, Verdict> {
    // Working, pending, about to be cancelled and suspended: the plain search hides the legs of a bracket.
    let body =
        json!({"filter": {"accountId": account.0, "statuses": [1, 6, 7, 8]}, "pageSize": 1_000});
    rows(call(client, Endpoint::OrderQuery, body).await?["orders"].take())
}

async fn open_positions(client: &Client, account: AccountId) -> Result<Vec<OpenPosition>, Verdict> {
    rows(
        call(
            client,
            Endpoint::PositionSearch,
            json!({"accountId": account.0}),
        )
        .await?["positions"]
            .take(),
    )
}

fn rows<T: for<'de> Deserialize<'de>>(value: Value) -> Result<Vec<T>, Verdict> {
    serde_json::from_value(value).map_err(|_| {
        (
            DoneOutcome::Unknown,
            "The broker's rows cannot be read.".to_owned(),
        )
    })
}

/// Cancels a group and reads back that it is gone.
async fn cancel_group(
    client: &Client,
    account: AccountId,
    group: &Group,
) -> Result<String, Verdict> {
    let mut count = 0;
    for attempt in 0..READ_BACKS {
        let (found, cancelled) = cancel_each(client, account, group).await?;
        count += cancelled;
        if found == 0 {
            return Ok(format!("{count} orders are cancelled."));
        }
        tokio::time::sleep(Duration::from_millis(200 * u64::from(attempt + 1))).await;
    }
    let text = "Orders are still open; look at the broker's own platform.";
    Err((DoneOutcome::Unknown, text.to_owned()))
}

/// Asks for the cancel of every living order of a group; how many there were, and how many the broker took.
async fn cancel_each(
    client: &Client,
    account: AccountId,
    group: &Group,
) -> Result<(usize, usize), Verdict> {
    let orders = open_orders(client, account).await?;
    let is_meant = |order: &&OpenOrder| {
        group
            .contract_id
            .as_ref()
            .is_none_or(|id| *id == order.contract_id)
            && group
                .side
                .is_none_or(|side| i64::from(side.to_wire()) == order.side)
            && group
                .kind
                .is_none_or(|kind| i64::from(kind.to_wire()) == order.kind)
    };
    let (mut found, mut cancelled) = (0, 0);
    for order in orders.iter().filter(is_meant) {
        found += 1;
        // An order that filled meanwhile refuses its cancel; the rest must still be cancelled.
        let result = cancel(client, i64::from(account.0), order.id).await;
        cancelled += usize::from(result.is_ok());
    }
    Ok((found, cancelled))
}

async fn close(
    client: &Client,
    account: AccountId,
    contract: &str,
    size: Option<Lots>,
) -> Result<String, Verdict> {
    let mut body = json!({"accountId": account.0, "contractId": contract});
    let endpoint = match size {
        None => Endpoint::CloseContract,
        Some(size) => {
            body["size"] = json!(size.0);
            Endpoint::PartialCloseContract
        }
    };
    call(client, endpoint, body).await?;
    Ok(format!("The position in {contract} is closed."))
}

/// Cancels, closes, and reads back until both lists are empty. One answer that got lost ends nothing.
async fn flatten(
    client: &Client,
    account: AccountId,
    contract: Option<String>,
) -> Result<String, Verdict> {
    let group = Group {
        contract_id: contract,
        ..Group::default()
    };
    let mut last = String::new();
    for attempt in 0..READ_BACKS {
        match flatten_once(client, account, &group).await {
            Ok(true) => return Ok("Flat: no order and no position is left.".to_owned()),
            Ok(false) => {}
            Err((_, text)) => last = text,
        }
        tokio::time::sleep(Duration::from_millis(200 * u64::from(attempt + 1))).await;
    }
    let text = "Orders or positions may still be open; look at the broker's own platform.";
    Err((
        DoneOutcome::Unknown,
        format!("{text} {last}").trim_end().to_owned(),
    ))
}

/// One pass; true when nothing was left.
async fn flatten_once(client: &Client, account: AccountId, group: &Group) -> Result<bool, Verdict> {
    let is_meant = |id: &String| group.contract_id.as_ref().is_none_or(|wanted| wanted == id);
    cancel_each(client, account, group).await?;
    let positions = open_positions(client, account).await?;
    let open: Vec<_> = positions
        .iter()
        .filter(|p| p.size != 0 && is_meant(&p.contract_id))
        .collect();
    let orders = open_orders(client, account).await?;
    if open.is_empty() && !orders.iter().any(|order| is_meant(&order.contract_id)) {
        return Ok(true);
    }
    for position in open {
        // Refused when the last close has just filled; the next reading tells.
        let _ = close(client, account, &position.contract_id, None).await;
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order_execution::rest;
    use parking_lot::Mutex;
    use secrecy::SecretString;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// A broker with one order and one position, which go when they are told to, and whose first answer is cut short.
    /// Remembers the paths it was asked.
    async fn broker() -> (Arc<Client>, Arc<Mutex<Vec<String>>>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let log = Arc::clone(&log);
                tokio::spawn(async move {
                    let mut buffer = [0; 4096];
                    while let Ok(read @ 1..) = socket.read(&mut buffer).await {
                        let head = String::from_utf8_lossy(&buffer[..read]);
                        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                        let body = answer_of(&path, &log.lock());
                        log.lock().push(path);
                        let text = format!(
                            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
                            body.len()
                        );
                        socket
                            .write_all(text.as_bytes())
                            .await
                            .expect("the client reads");
                    }
                });
            }
        });
        let endpoint =
            rest::Endpoint::parse(&format!("http://127.0.0.1:{port}")).expect("an address");
        (
            Arc::new(Client::new(
                endpoint,
                "trader".into(),
                SecretString::from("key"),
            )),
            asked,
        )
    }

    fn answer_of(path: &str, asked: &[String]) -> String {
        if asked.is_empty() {
            // The first answer is cut short; nothing must end by that.
            return "{\"succ".to_owned();
        }
        let is_done = |endpoint: Endpoint| asked.iter().any(|path| path == endpoint.path());
        let order = json!({"id": 7, "contractId": "C", "side": 0, "type": 1});
        let position = json!({"contractId": "C", "size": 2});
        let rows = |is_gone: bool, row: Value| if is_gone { json!([]) } else { json!([row]) };
        match path {
            "/api/Order/v2/query" => json!({"success": true, "orders": rows(is_done(Endpoint::Cancel), order)}),
            "/api/Position/searchOpen" => {
                json!({"success": true, "positions": rows(is_done(Endpoint::CloseContract), position)})
            }
            _ => json!({"success": true}),
        }
        .to_string()
    }

    #[tokio::test]
    async fn flatten_cancels_closes_and_believes_only_what_it_reads_back() {
        let (client, asked) = broker().await;
        let text = flatten(&client, AccountId(1), None).await.expect("flat");
        assert!(text.starts_with("Flat"));
        let asked = asked.lock();
        let at = |endpoint: Endpoint| {
            asked
                .iter()
                .position(|path| path == endpoint.path())
                .expect("asked")
        };
        assert!(
            at(Endpoint::Cancel) < at(Endpoint::CloseContract),
            "orders go before the position"
        );
        assert_eq!(
            asked.last().map(String::as_str),
            Some(Endpoint::OrderQuery.path()),
            "the end is a reading"
        );
    }

    #[tokio::test]
    async fn flatten_of_another_contract_touches_nothing() {
        let (client, asked) = broker().await;
        flatten(&client, AccountId(1), Some("OTHER".into()))
            .await
            .expect("flat");
        assert!(
            !asked
                .lock()
                .iter()
                .any(|path| path == Endpoint::CloseContract.path())
        );
    }
}
