//! Cancels and flattens by REST alone, without the engine's state: for the caretaker of a failed engine and for the
//! guardian of a dead one (decision 4).
//!
//! It keeps nothing, believes only what the broker answers, cancels many orders at once, and ends when both lists have
//! been read back empty. What it is about to do is noted in a segment before the first byte leaves.
//!
//! ```text
//! read ──empty──► flat
//!  │ orders                     ┌── a close is never repeated before the next reading ──┐
//!  └────► cancel all at once ──► read ──► close what is open (when closing is allowed) ──┘──► read …
//! ```

mod lists;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use self::lists::OpenPosition;
pub use self::lists::{Meant, OpenOrder};
use futures_util::stream::{self, StreamExt};
use hyper::body::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::database::log::Segment;
use crate::engine::contract::{Endpoint, Group, Part};
use crate::engine::views::DoneOutcome;
use crate::order_execution::exits::size_of;
use crate::order_execution::rest::{Client, Outcome, Pool};
use crate::types::{AccountId, Lots, Side};

/// Cancels under way at one time: as many as a login may have working orders (decision 18), so that none waits for the
/// answer of another. Each connection beyond the warm ones is opened for it.
const IN_FLIGHT: usize = 60;
const REQUEST_DEADLINE: Duration = Duration::from_secs(3);
const NOTE_PATIENCE: Duration = Duration::from_millis(100);
/// Time a market order of a close gets before the reading that judges it.
const SETTLE: Duration = Duration::from_millis(200);
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_LONGEST: Duration = Duration::from_secs(2);

/// What became of one request, in words for people.
pub type Verdict = (DoneOutcome, String);

/// What a flatten may do, and for how long.
pub struct Leave<'a> {
    /// Until when it goes on while something is open or cannot be read.
    pub until: Instant,
    /// Requests that may go out one after the other; what is left beyond them waits for the broker's minute to pass.
    pub allowance: usize,
    /// Whether positions may be closed now. A second closer beside a living engine could turn a position.
    pub may_close: &'a (dyn Fn() -> bool + Sync),
}

/// How a flatten of one account ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swept {
    /// Done only when both lists were read back empty.
    pub outcome: DoneOutcome,
    pub text: String,
    /// Cancels and closes that the broker took.
    pub cancelled: usize,
    pub closed: usize,
    /// From the start of the flatten to the last cancel's answer.
    pub last_cancel: Option<Duration>,
}

/// The routine over one login.
#[derive(Clone)]
pub struct Sweep {
    client: Arc<Client>,
    segment: Arc<Segment>,
    /// Requests handed to the client since the beginning.
    sent: Arc<AtomicUsize>,
}

impl Sweep {
    pub fn new(client: Arc<Client>, segment: Arc<Segment>) -> Self {
        Self {
            client,
            segment,
            sent: Arc::default(),
        }
    }

    /// Requests handed to the client since the beginning.
    pub fn sent(&self) -> usize {
        self.sent.load(Ordering::Relaxed)
    }

    /// Cancels one order and reads back until it is gone.
    pub async fn cancel_one(
        &self,
        account: AccountId,
        order: i64,
        until: Instant,
    ) -> Result<String, Verdict> {
        self.note(json!({"account": account.0, "cancel": [order]}))
            .await;
        let asked = self.cancel(i64::from(account.0), order).await;
        let wanted = Sight::OrderGone(order);
        match asked {
            // Refused because it filled or was cancelled meanwhile: only the list can tell.
            Err(refused @ (DoneOutcome::Refused, _)) if !self.shows(account, &wanted).await? => {
                Err(refused)
            }
            Err(failed @ (DoneOutcome::Failed, _)) => Err(failed),
            Ok(()) | Err(_) => {
                self.read_until(account, &wanted, until).await?;
                Ok(format!(
                    "Order #{order} is gone, read back from the broker."
                ))
            }
        }
    }

    /// Closes a position, or a part of it, once, and reads back until that shows.
    pub async fn close_part(
        &self,
        account: AccountId,
        contract: &str,
        part: Part,
        until: Instant,
    ) -> Result<String, Verdict> {
        let net = self.net(account, contract).await?;
        if net == 0 {
            return Ok(format!("There is no position in {contract}."));
        }
        let size = size_of(part, net).map_err(|text| (DoneOutcome::Denied, text))?;
        let size = size.filter(|size| *size < net.abs());
        let left = size.map_or(0, |size| net.abs() - size);
        if size.is_none() {
            self.cancel_exits(account, contract, net).await?;
        }
        self.note(json!({"account": account.0, "close": contract, "lots": size}))
            .await;
        let asked = self.close(account, contract, size.map(Lots)).await;
        if let Err(failed @ (DoneOutcome::Refused | DoneOutcome::Failed, _)) = asked {
            return Err(failed);
        }
        let wanted = Sight::NetAtMost(contract, left);
        self.read_until(account, &wanted, until).await?;
        Ok(format!(
            "Closed {} in {contract}, {left} left, read back from the broker.",
            net.abs() - left
        ))
    }

    /// Asks for the cancel of what would turn a position once it is closed.
    async fn cancel_exits(
        &self,
        account: AccountId,
        contract: &str,
        net: i64,
    ) -> Result<(), Verdict> {
        let exits = Group {
            contract_id: Some(contract.to_owned()),
            side: Some(if net > 0 { Side::Sell } else { Side::Buy }),
            ..Group::default()
        };
        let orders = self.open_orders(account, &Meant::all(&exits)).await?;
        if !orders.is_empty() {
            self.cancel_all(account, &orders).await;
        }
        Ok(())
    }

    async fn shows(&self, account: AccountId, wanted: &Sight<'_>) -> Result<bool, Verdict> {
        match wanted {
            Sight::OrderGone(id) => {
                let all = Group::default();
                let orders = self.open_orders(account, &Meant::all(&all)).await?;
                Ok(!orders.iter().any(|open| open.id == *id))
            }
            Sight::NetAtMost(contract, lots) => {
                Ok(self.net(account, contract).await?.abs() <= *lots)
            }
        }
    }

    /// Repeats a reading until it shows what is wanted; one that fails is repeated like one that does not show it yet.
    async fn read_until(
        &self,
        account: AccountId,
        wanted: &Sight<'_>,
        until: Instant,
    ) -> Result<(), Verdict> {
        let mut pause = PAUSE_FIRST;
        loop {
            let trouble = match self.shows(account, wanted).await {
                Ok(true) => return Ok(()),
                Ok(false) => String::new(),
                Err((_, text)) => text,
            };
            if Instant::now() >= until {
                let text =
                    format!("The broker does not show it yet; look at its own platform. {trouble}");
                return Err((DoneOutcome::Unknown, text.trim_end().to_owned()));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_LONGEST);
        }
    }

    async fn net(&self, account: AccountId, contract: &str) -> Result<i64, Verdict> {
        let group = Group {
            contract_id: Some(contract.to_owned()),
            ..Group::default()
        };
        let positions = self.open_positions(account, &group).await?;
        Ok(positions.iter().map(OpenPosition::net).sum())
    }

    /// Asks for one cancel.
    pub async fn cancel(&self, account: i64, order: i64) -> Result<(), Verdict> {
        let body = json!({"accountId": account, "orderId": order});
        self.call(Endpoint::Cancel, body).await.map(drop)
    }

    /// Asks for the close of one position, or of a part of it.
    pub async fn close(
        &self,
        account: AccountId,
        contract: &str,
        size: Option<Lots>,
    ) -> Result<(), Verdict> {
        let mut body = json!({"accountId": account.0, "contractId": contract});
        let endpoint = match size {
            None => Endpoint::CloseContract,
            Some(size) => {
                body["size"] = json!(size.0);
                Endpoint::PartialCloseContract
            }
        };
        self.call(endpoint, body).await.map(drop)
    }

    /// Cancels a group until none of it is left; how many the broker took.
    pub async fn cancel_group(
        &self,
        account: AccountId,
        meant: &Meant<'_>,
        until: Instant,
    ) -> Result<usize, Verdict> {
        let mut pause = PAUSE_FIRST;
        let mut count = 0;
        loop {
            let orders = self.open_orders(account, meant).await?;
            if orders.is_empty() {
                return Ok(count);
            }
            count += self.cancel_all(account, &orders).await;
            if Instant::now() >= until {
                let text = "Orders are still open; look at the broker's own platform.";
                return Err((DoneOutcome::Unknown, text.to_owned()));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_LONGEST);
        }
    }

    /// Cancels, closes, and reads back until both lists are empty. One answer that got lost ends nothing.
    pub async fn flatten(
        &self,
        account: AccountId,
        contract: Option<&str>,
        leave: &Leave<'_>,
    ) -> Swept {
        let group = Group {
            contract_id: contract.map(str::to_owned),
            ..Group::default()
        };
        let mut round = Round::new();
        let mut pause = PAUSE_FIRST;
        loop {
            match self.pass(account, &group, leave, &mut round).await {
                Ok(true) => {
                    return round.ended(DoneOutcome::Done, "Flat, read back from the broker.");
                }
                Ok(false) => {}
                Err((_, text)) => round.trouble = text,
            }
            if Instant::now() >= leave.until {
                let text = format!(
                    "Orders or positions may still be open; look at the broker's own platform. {}",
                    round.trouble
                );
                return round.ended(DoneOutcome::Unknown, text.trim_end());
            }
            let is_spent = self.sent() >= leave.allowance;
            tokio::time::sleep(if is_spent { PAUSE_LONGEST } else { pause }).await;
            pause = (pause * 2).min(PAUSE_LONGEST);
        }
    }

    /// Reads what lives and asks once for the cancel of it; how many the broker took. What the reading does not show is
    /// done, and is not asked for again.
    pub async fn cancel_living(&self, account: AccountId) -> Result<usize, Verdict> {
        let all = Group::default();
        let orders = self.open_orders(account, &Meant::all(&all)).await?;
        if orders.is_empty() {
            return Ok(0);
        }
        Ok(self.cancel_all(account, &orders).await)
    }

    /// Whether no order lives and no position is open.
    pub async fn is_flat(&self, account: AccountId) -> Result<bool, Verdict> {
        let all = Group::default();
        Ok(self
            .open_orders(account, &Meant::all(&all))
            .await?
            .is_empty()
            && self.open_positions(account, &all).await?.is_empty())
    }

    /// One pass; true when nothing was left.
    async fn pass(
        &self,
        account: AccountId,
        group: &Group,
        leave: &Leave<'_>,
        round: &mut Round,
    ) -> Result<bool, Verdict> {
        let orders = self.open_orders(account, &Meant::all(group)).await?;
        if !orders.is_empty() {
            round.cancelled += self.cancel_all(account, &orders).await;
            round.last_cancel = Some(round.started.elapsed());
        }
        let positions = self.open_positions(account, group).await?;
        if positions.is_empty() {
            // Read again only when something was there: a fill may have brought another position meanwhile.
            return Ok(orders.is_empty());
        }
        if !(leave.may_close)() {
            return Ok(false);
        }
        for position in &positions {
            self.note(
                json!({"account": account.0, "close": position.contract_id, "lots": position.size}),
            )
            .await;
            match self.close(account, &position.contract_id, None).await {
                Ok(()) => round.closed += 1,
                // Refused when the last close has just filled; the next reading tells.
                Err((_, text)) => round.trouble = text,
            }
        }
        tokio::time::sleep(SETTLE).await;
        Ok(false)
    }

    /// Asks for the cancel of all of them at once; how many the broker took.
    async fn cancel_all(&self, account: AccountId, orders: &[OpenOrder]) -> usize {
        let ids: Vec<i64> = orders.iter().map(|order| order.id).collect();
        self.note(json!({"account": account.0, "cancel": ids}))
            .await;
        // An order that filled meanwhile refuses its cancel; the rest must still be cancelled.
        let taken = stream::iter(ids)
            .map(|order| self.cancel(i64::from(account.0), order))
            .buffer_unordered(IN_FLIGHT)
            .filter(|result| std::future::ready(result.is_ok()))
            .count()
            .await;
        self.note(json!({"account": account.0, "cancelled": taken}))
            .await;
        taken
    }

    /// The living orders of a group.
    pub async fn open_orders(
        &self,
        account: AccountId,
        meant: &Meant<'_>,
    ) -> Result<Vec<OpenOrder>, Verdict> {
        // Working, pending, about to be cancelled and suspended: the plain search hides the legs of a bracket.
        let body = json!({"filter": {"accountId": account.0, "statuses": [1, 6, 7, 8]}, "pageSize": 1_000});
        let orders: Vec<OpenOrder> =
            rows(self.call(Endpoint::OrderQuery, body).await?["orders"].take())?;
        let positions = if meant.needs_positions() {
            self.open_positions(account, meant.group).await?
        } else {
            Vec::new()
        };
        Ok(orders
            .into_iter()
            .filter(|order| meant.covers(order, &positions))
            .collect())
    }

    async fn open_positions(
        &self,
        account: AccountId,
        group: &Group,
    ) -> Result<Vec<OpenPosition>, Verdict> {
        let body = json!({"accountId": account.0});
        let positions: Vec<OpenPosition> =
            rows(self.call(Endpoint::PositionSearch, body).await?["positions"].take())?;
        let wanted = group.contract_id.as_deref();
        Ok(positions
            .into_iter()
            .filter(|p| p.size != 0 && wanted.is_none_or(|wanted| wanted == p.contract_id))
            .collect())
    }

    /// The accounts of the login that can be traded, with their names.
    pub async fn accounts(&self) -> Result<Vec<(AccountId, String)>, Verdict> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Row {
            id: i32,
            #[serde(default)]
            name: String,
        }
        let body = json!({"onlyActiveAccounts": true});
        let found: Vec<Row> =
            rows(self.call(Endpoint::AccountSearch, body).await?["accounts"].take())?;
        Ok(found
            .into_iter()
            .map(|row| (AccountId(row.id), row.name))
            .collect())
    }

    /// Notes one line in the segment. A disk that hangs delays what follows by a tenth of a second, not for ever.
    pub async fn note(&self, mut line: Value) {
        line["wall_ns"] = json!(crate::clock::wall().0);
        let segment = Arc::clone(&self.segment);
        let noting = tokio::task::spawn_blocking(move || segment.note(&line));
        let _ = tokio::time::timeout(NOTE_PATIENCE, noting).await;
    }

    async fn call(&self, endpoint: Endpoint, body: Value) -> Result<Value, Verdict> {
        self.sent.fetch_add(1, Ordering::Relaxed);
        let pool = if endpoint.is_mutating() {
            Pool::Orders
        } else {
            Pool::Ordinary
        };
        let answer = self
            .client
            .post(
                pool,
                endpoint.path(),
                Bytes::from(body.to_string()),
                REQUEST_DEADLINE,
                endpoint.may_repeat_on_401(),
            )
            .await;
        verdict_of(answer.outcome)
    }
}

/// What a reading is to show.
enum Sight<'a> {
    OrderGone(i64),
    /// Lots of a contract, whichever side.
    NetAtMost(&'a str, i64),
}

/// What one flatten has done so far.
struct Round {
    started: Instant,
    cancelled: usize,
    closed: usize,
    last_cancel: Option<Duration>,
    trouble: String,
}

impl Round {
    fn new() -> Self {
        Self {
            started: Instant::now(),
            cancelled: 0,
            closed: 0,
            last_cancel: None,
            trouble: String::new(),
        }
    }

    fn ended(self, outcome: DoneOutcome, text: &str) -> Swept {
        Swept {
            outcome,
            text: text.to_owned(),
            cancelled: self.cancelled,
            closed: self.closed,
            last_cancel: self.last_cancel,
        }
    }
}

fn verdict_of(outcome: Outcome) -> Result<Value, Verdict> {
    let unknown = |text: &str| (DoneOutcome::Unknown, text.to_owned());
    let body = match outcome {
        Outcome::Reply { status: 200, body } => body,
        Outcome::Reply { status, .. } => {
            return Err(unknown(&format!("The broker answered HTTP {status}.")));
        }
        Outcome::NotSent(text) => {
            return Err((DoneOutcome::Failed, format!("Nothing was sent: {text}.")));
        }
        Outcome::Timeout | Outcome::Reset(_) => return Err(unknown("The broker did not answer.")),
    };
    let value: Value = serde_json::from_slice(&body)
        .map_err(|_| unknown("The broker's answer cannot be read."))?;
    if value["success"] == json!(true) {
        return Ok(value);
    }
    let text = value["errorMessage"]
        .as_str()
        .unwrap_or("The broker refused without a reason.");
    Err((DoneOutcome::Refused, text.to_owned()))
}

fn rows<T: for<'de> Deserialize<'de>>(value: Value) -> Result<Vec<T>, Verdict> {
    let unreadable = |_| {
        (
            DoneOutcome::Unknown,
            "The broker's rows cannot be read.".to_owned(),
        )
    };
    serde_json::from_value(value).map_err(unreadable)
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
    async fn broker() -> (Sweep, Arc<Mutex<Vec<String>>>) {
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
        let client = Client::new(endpoint, "trader".into(), SecretString::from("key"));
        let nowhere = Segment::create(std::path::Path::new(""));
        (Sweep::new(Arc::new(client), Arc::new(nowhere)), asked)
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
        let (sweep, asked) = broker().await;
        let swept = sweep.flatten(AccountId(1), None, &leave(&|| true)).await;
        assert_eq!(
            (swept.outcome, swept.cancelled, swept.closed),
            (DoneOutcome::Done, 1, 1)
        );
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
        let end: Vec<&str> = asked[asked.len() - 2..]
            .iter()
            .map(String::as_str)
            .collect();
        let reading = [Endpoint::OrderQuery.path(), Endpoint::PositionSearch.path()];
        assert_eq!(end, reading, "the end is a reading of both lists");
    }

    #[tokio::test]
    async fn flatten_of_another_contract_touches_nothing() {
        let (sweep, asked) = broker().await;
        let swept = sweep
            .flatten(AccountId(1), Some("OTHER"), &leave(&|| true))
            .await;
        assert_eq!(swept.outcome, DoneOutcome::Done);
        assert!(
            !asked
                .lock()
                .iter()
                .any(|path| path == Endpoint::CloseContract.path())
        );
    }

    #[tokio::test]
    async fn beside_a_living_engine_it_cancels_but_does_not_close() {
        let (sweep, asked) = broker().await;
        let is_allowed = std::sync::atomic::AtomicBool::new(false);
        let may_close = || {
            // Asked once, refused; allowed from then on.
            is_allowed.swap(true, Ordering::Relaxed)
        };
        let swept = sweep.flatten(AccountId(1), None, &leave(&may_close)).await;
        assert_eq!((swept.outcome, swept.closed), (DoneOutcome::Done, 1));
        let asked = asked.lock();
        let closes = asked
            .iter()
            .filter(|path| *path == Endpoint::CloseContract.path());
        assert_eq!(closes.count(), 1);
    }

    fn leave(may_close: &(dyn Fn() -> bool + Sync)) -> Leave<'_> {
        Leave {
            until: Instant::now() + Duration::from_secs(30),
            allowance: 80,
            may_close,
        }
    }
}
