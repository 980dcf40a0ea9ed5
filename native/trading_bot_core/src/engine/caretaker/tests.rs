//! The caretaker over sockets, against a broker of a few lists: what it does is what these lists show afterwards.

use parking_lot::Mutex;
use secrecy::SecretString;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::engine::views::AccountRow;
use crate::order_execution::order::Role;
use crate::order_execution::rest;
use crate::types::{Contract, ContractIndex, Money, Ticks};

const C: &str = "CON.F.US.MNQ.Z26";

/// The broker's two lists.
#[derive(Default)]
struct Lists {
    orders: Vec<Value>,
    positions: Vec<Value>,
    cancels: Vec<i64>,
}

impl Lists {
    fn answer(&mut self, path: &str, body: &Value) -> Value {
        let account = |row: &Value| row["accountId"] == body["accountId"];
        match path {
            "/api/Order/v2/query" => {
                let wanted = &body["filter"]["accountId"];
                let rows = self.orders.iter();
                let rows: Vec<_> = rows.filter(|row| row["accountId"] == *wanted).collect();
                json!({"success": true, "orders": rows})
            }
            "/api/Position/searchOpen" => {
                let rows: Vec<_> = self.positions.iter().filter(|row| account(row)).collect();
                json!({"success": true, "positions": rows})
            }
            "/api/Order/cancel" => {
                self.orders.retain(|row| row["id"] != body["orderId"]);
                self.cancels.push(body["orderId"].as_i64().expect("an id"));
                json!({"success": true})
            }
            "/api/Position/closeContract" => {
                self.positions.retain(|row| !account(row));
                json!({"success": true})
            }
            "/api/Position/partialCloseContract" => {
                for row in self.positions.iter_mut().filter(|row| account(row)) {
                    let left =
                        row["size"].as_i64().expect("lots") - body["size"].as_i64().expect("lots");
                    row["size"] = json!(left);
                }
                json!({"success": true})
            }
            other => {
                json!({"success": false, "errorMessage": format!("{other} is not for a caretaker")})
            }
        }
    }
}

async fn serve(mut socket: TcpStream, lists: Arc<Mutex<Lists>>) {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && let Ok(body) = serde_json::from_str::<Value>(body)
        {
            let path = head.split(' ').nth(1).unwrap_or_default();
            let answer = lists.lock().answer(path, &body).to_string();
            let length = answer.len();
            let text = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{answer}");
            if socket.write_all(text.as_bytes()).await.is_err() {
                return;
            }
            bytes.clear();
        }
        let mut buffer = [0; 4096];
        match socket.read(&mut buffer).await {
            Ok(read @ 1..) => bytes.extend_from_slice(&buffer[..read]),
            _ => return,
        }
    }
}

async fn broker(orders: Vec<Value>, positions: Vec<Value>) -> (Caretaker, Arc<Mutex<Lists>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let lists = Arc::new(Mutex::new(Lists {
        orders,
        positions,
        cancels: Vec::new(),
    }));
    let served = Arc::clone(&lists);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(serve(socket, Arc::clone(&served)));
        }
    });
    let endpoint = rest::Endpoint::parse(&format!("http://127.0.0.1:{port}")).expect("an address");
    let client = Client::new(endpoint, "trader".into(), SecretString::from("key"));
    let segment = Segment::create(std::path::Path::new(""));
    let board = Arc::new(Board::default());
    board.contracts.store(Arc::new(vec![Arc::new(Contract {
        index: ContractIndex(0),
        id: C.into(),
        name: "MNQZ6".into(),
        description: String::new(),
        symbol_id: "F.US.MNQ".into(),
        root: "MNQ".into(),
        tick_units: 25,
        decimals: 2,
        tick_value: Money(5_000),
        is_active: true,
    })]));
    (
        Caretaker::new(Some(Arc::new(client)), board, segment),
        lists,
    )
}

/// What the command comes to.
async fn done(caretaker: &Caretaker, command: Command) -> Verdict {
    let client = caretaker.client.clone().expect("a connection");
    let sweep = Sweep::new(client, Arc::clone(&caretaker.segment));
    match caretaker.errand(command) {
        Ok(errand) => carry_out(&sweep, errand).await,
        Err(verdict) => verdict,
    }
}

fn order(account: i32, id: i64, side: i64, kind: i64, price: f64) -> Value {
    let name = if kind == 4 { "stopPrice" } else { "limitPrice" };
    json!({"id": id, "accountId": account, "contractId": C, "side": side, "type": kind, name: price})
}

fn long(account: i32, lots: i64) -> Value {
    json!({"accountId": account, "contractId": C, "type": 1, "size": lots})
}

fn close(part: Part) -> Command {
    Command::ClosePosition {
        request: RequestId(1),
        account: AccountId(7),
        contract_id: C.into(),
        part,
        source: "window".into(),
    }
}

fn cancel(group: Group) -> Command {
    Command::CancelGroup {
        request: RequestId(1),
        account: AccountId(7),
        group,
        source: "window".into(),
    }
}

#[tokio::test]
async fn half_a_position_is_closed_once_and_read_back() {
    let (caretaker, lists) = broker(vec![order(7, 1, 1, 4, 21_000.0)], vec![long(7, 5)]).await;
    let (outcome, text) = done(&caretaker, close(Part::Percent(50))).await;
    assert_eq!(outcome, DoneOutcome::Done, "{text}");
    assert_eq!(lists.lock().positions, [long(7, 3)]);
    assert_eq!(lists.lock().orders.len(), 1, "a part keeps its exits");
    let (outcome, text) = done(&caretaker, close(Part::Percent(10))).await;
    assert_eq!(outcome, DoneOutcome::Denied);
    assert!(text.contains("less than one lot"), "{text}");
}

#[tokio::test]
async fn a_whole_close_takes_the_exits_away_that_would_turn_the_position() {
    let orders = vec![order(7, 1, 1, 4, 21_000.0), order(7, 2, 0, 1, 20_000.0)];
    let (caretaker, lists) = broker(orders, vec![long(7, 2)]).await;
    let (outcome, text) = done(&caretaker, close(Part::Lots(9))).await;
    assert_eq!(outcome, DoneOutcome::Done, "{text}");
    let lists = lists.lock();
    assert!(lists.positions.is_empty());
    assert_eq!(lists.cancels, [1], "the resting buy is no exit");
}

#[tokio::test]
async fn stops_and_targets_are_told_by_the_position_they_reduce() {
    let orders = vec![
        order(7, 1, 1, 4, 21_000.0),
        order(7, 2, 1, 1, 21_900.0),
        order(7, 3, 0, 4, 21_800.0),
        order(8, 4, 1, 4, 21_000.0),
    ];
    let (caretaker, lists) = broker(orders, vec![long(7, 2)]).await;
    let role = |role| {
        cancel(Group {
            role: Some(role),
            ..Group::default()
        })
    };
    let (outcome, text) = done(&caretaker, role(Role::Stop)).await;
    assert_eq!(outcome, DoneOutcome::Done, "{text}");
    assert_eq!(
        lists.lock().cancels,
        [1],
        "not the buy stop, nor another account's"
    );
    done(&caretaker, role(Role::Entry)).await;
    assert_eq!(lists.lock().cancels, [1, 3]);
}

#[tokio::test]
async fn a_range_of_prices_needs_its_contract_and_means_the_trigger_of_a_stop() {
    let orders = vec![order(7, 1, 1, 4, 21_000.25), order(7, 2, 1, 1, 21_900.0)];
    let (caretaker, lists) = broker(orders, Vec::new()).await;
    let range = |contract_id: Option<&str>| {
        cancel(Group {
            contract_id: contract_id.map(str::to_owned),
            lowest: Some(Ticks(84_001)),
            highest: Some(Ticks(84_001)),
            ..Group::default()
        })
    };
    assert_eq!(done(&caretaker, range(None)).await.0, DoneOutcome::Denied);
    let (outcome, text) = done(&caretaker, range(Some(C))).await;
    assert_eq!(outcome, DoneOutcome::Done, "{text}");
    assert_eq!(lists.lock().cancels, [1]);
}

#[tokio::test]
async fn flatten_everything_means_the_accounts_that_were_chosen_and_no_other() {
    let orders = vec![order(7, 1, 1, 4, 21_000.0), order(9, 2, 0, 1, 20_000.0)];
    let positions = vec![long(7, 2), long(8, 1), long(9, 4)];
    let (caretaker, lists) = broker(orders, positions).await;
    let everything = || Command::FlattenEverything {
        request: RequestId(1),
        source: "window".into(),
    };
    assert_eq!(
        done(&caretaker, everything()).await.0,
        DoneOutcome::Denied,
        "nobody chose an account"
    );
    let row = |id: i64, is_own: bool| AccountRow {
        id,
        name: format!("PRAC-{id}").into(),
        word: "PRACTICE".into(),
        kind_text: "".into(),
        balance_1e4: 0,
        can_trade: true,
        is_simulated: true,
        is_own,
        bracket_mode: "unknown",
        managed_by: "".into(),
    };
    let rows = vec![row(7, true), row(8, true), row(9, false)];
    caretaker.board.accounts.store(Arc::new(rows));
    let (outcome, text) = done(&caretaker, everything()).await;
    assert_eq!(outcome, DoneOutcome::Done, "{text}");
    assert!(
        text.contains("PRAC-7: Flat") && text.contains("PRAC-8: Flat"),
        "{text}"
    );
    let lists = lists.lock();
    assert_eq!(lists.positions, [long(9, 4)], "the account of others");
    assert_eq!(lists.cancels, [1]);
}
