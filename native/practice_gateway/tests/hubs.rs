//! Both hubs over real sockets: negotiation, handshake, invocations, market and user events.

mod rig;

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use rig::{Hub, Rig};
use serde_json::{Value, json};

async fn negotiate(rig: &Rig, query: &str) -> Value {
    let address = rig.info["rest"].as_str().expect("an address");
    let request = Request::post(format!("{address}/hubs/user/negotiate{query}"))
        .header("authorization", format!("Bearer {}", rig.token))
        .body(Full::new(Bytes::new()))
        .expect("a request");
    let (status, bytes) = rig.send(request).await.expect("an answer");
    assert_eq!(status, 200);
    serde_json::from_slice(&bytes).expect("JSON")
}

#[tokio::test]
async fn negotiation_serves_both_versions_and_is_optional() {
    let rig = Rig::new(&[]).await;
    let old = negotiate(&rig, "").await;
    assert!(old["connectionId"].is_string());
    // The stock server states version 0 too, and signalrcore insists on an integer.
    assert_eq!(old["negotiateVersion"], 0);
    assert!(old.get("connectionToken").is_none());
    let new = negotiate(&rig, "?negotiateVersion=1").await;
    assert_eq!(new["negotiateVersion"], 1);
    assert_eq!(new["availableTransports"][0]["transport"], "WebSockets");
    let token = new["connectionToken"].as_str().expect("a token");
    let address = format!(
        "{}?id={token}",
        rig.info["user_hub"].as_str().expect("an address")
    );
    for _ in 0..2 {
        // The second round reuses a stale id, with the token in the header alone.
        let mut hub = Hub::open(&address, Some(&rig.token))
            .await
            .expect("a socket");
        assert_eq!(hub.handshake(0).await, json!({}));
    }
    assert!(Hub::open(&address, None).await.is_err());
    assert!(Hub::open(&address, Some("x.y.z")).await.is_err());
}

#[tokio::test]
async fn handshake_refuses_what_it_does_not_speak() {
    let rig = Rig::new(&[]).await;
    let address = format!(
        "{}?access_token={}",
        rig.info["market_hub"].as_str().expect("an address"),
        rig.token
    );
    let mut hub = Hub::open(&address, None).await.expect("a socket");
    assert!(hub.handshake(2).await["error"].is_string());
    assert_eq!(hub.record().await, None);
}

#[tokio::test]
async fn unknown_methods_answer_with_an_id_and_are_silent_without() {
    let rig = Rig::new(&[]).await;
    let mut hub = rig.hub("user").await;
    hub.raw("{\"type\":1,\"target\":\"Heartbeat\",\"arguments\":[{}]}\u{1e}{\"type\":6}\u{1e}not json\u{1e}").await;
    let reply = hub.invoke("Heartbeat", json!([{}])).await;
    assert!(
        reply["error"]
            .as_str()
            .is_some_and(|text| text.contains("Method does not exist"))
    );
    assert_eq!(
        hub.invoke("SubscribeAccounts", json!([])).await["result"],
        Value::Null
    );
}

#[tokio::test]
async fn first_quote_is_full_and_later_ones_are_partial() {
    let rig = Rig::new(&[]).await;
    let mut hub = rig.market("Quotes").await;
    let first = hub.event("GatewayQuote").await;
    assert_eq!(first[0], json!(rig.contract));
    assert_eq!(
        (
            &first[1]["bestBid"],
            &first[1]["bestAsk"],
            &first[1]["lastPrice"]
        ),
        (&json!(25_000), &json!(25_000.25), &json!(25_000))
    );
    assert_eq!(first[1]["symbol"], "F.US.MNQ");
    rig.steps(
        json!([{"ms": 0, "quote": {"bid": 25_000, "bid_lots": 4, "ask": 25_000.5, "ask_lots": 3}}]),
    )
    .await;
    let second = hub.event("GatewayQuote").await[1].clone();
    assert_eq!(second["bestAsk"], json!(25_000.5));
    for absent in ["bestBid", "lastPrice", "volume", "symbolName"] {
        assert!(second.get(absent).is_none(), "{absent} did not change");
    }
    assert!(
        second["timestamp"]
            .as_str()
            .is_some_and(|text| text.ends_with("+00:00"))
    );
}

#[tokio::test]
async fn prints_come_as_arrays_in_time_order() {
    let rig = Rig::new(&[]).await;
    let mut hub = rig.market("Trades").await;
    rig.steps(json!([
        {"ms": 0, "print": {"price": 25_000.25, "lots": 3, "side": "buy"}},
        {"ms": 0, "print": {"price": 25_000, "lots": 2, "side": "sell"}},
    ]))
    .await;
    let batch = hub.event("GatewayTrade").await[1].clone();
    let rows: Vec<_> = batch
        .as_array()
        .expect("an array")
        .iter()
        .map(|row| (row["type"].clone(), row["volume"].clone()))
        .collect();
    assert_eq!(rows, [(json!(0), json!(3)), (json!(1), json!(2))]);
    assert_eq!(batch[0]["symbolId"], "F.US.MNQ");
}

#[tokio::test]
async fn depth_begins_with_reset_and_snapshot_and_goes_on_with_differences() {
    let rig = Rig::new(&["--levels", "2"]).await;
    let mut hub = rig.market("MarketDepth").await;
    let snapshot = hub.event("GatewayDepth").await[1].clone();
    let types: Vec<_> = snapshot
        .as_array()
        .expect("an array")
        .iter()
        .map(|row| row["type"].clone())
        .collect();
    assert_eq!(types, [6, 2, 2, 1, 1, 4, 3].map(Value::from));
    // A better bid pushes the lowest of the two shown levels out of the window.
    rig.steps(
        json!([{"ms": 0, "level": {"side": "ask", "price": 25_000.25, "lots": 0}},
        {"ms": 0, "level": {"side": "bid", "price": 25_000.25, "lots": 6}}]),
    )
    .await;
    let changes = hub.event("GatewayDepth").await[1].clone();
    let row = |kind: i64, price: f64| {
        let rows = changes.as_array().expect("an array");
        rows.iter()
            .find(|row| row["type"] == kind && row["price"] == json!(price))
            .map(|row| row["volume"].clone())
    };
    assert_eq!(row(2, 24_999.75), Some(json!(0)));
    assert_eq!(row(2, 25_000.25), Some(json!(6)));
    assert_eq!(row(1, 25_000.25), Some(json!(0)));
    assert_eq!(row(4, 25_000.25), Some(json!(6)));
}

#[tokio::test]
async fn own_orders_never_appear_in_depth() {
    let rig = Rig::new(&[]).await;
    let mut hub = rig.market("MarketDepth").await;
    hub.event("GatewayDepth").await;
    rig.place(json!({"type": 1, "limitPrice": 24_999.5, "size": 3}))
        .await;
    rig.steps(json!([{"ms": 0, "level": {"side": "bid", "price": 24_999, "lots": 1}}]))
        .await;
    let changes = hub.event("GatewayDepth").await[1].clone();
    assert_eq!(changes.as_array().map(Vec::len), Some(1));
    assert_eq!(changes[0]["price"], json!(24_999));
}

#[tokio::test]
async fn user_events_are_wrapped_and_leave_nulls_out() {
    let rig = Rig::new(&[]).await;
    let mut hub = rig.user().await;
    rig.place(json!({"customTag": "w"})).await;
    let mut seen = std::collections::BTreeMap::new();
    while seen.len() < 4 {
        let record = hub.record().await.expect("the connection lives");
        let target = record["target"].as_str().unwrap_or_default().to_owned();
        seen.insert(target, record["arguments"][0].clone());
    }
    let order = &seen["GatewayUserOrder"];
    assert!(order["action"].is_i64());
    assert!(order["data"].get("limitPrice").is_none());
    assert_eq!(seen["GatewayUserTrade"]["action"], 0);
    assert!(
        seen["GatewayUserTrade"]["data"]
            .get("profitAndLoss")
            .is_none()
    );
    assert_eq!(seen["GatewayUserPosition"]["data"]["type"], 1);
    assert_eq!(
        seen["GatewayUserAccount"]["data"]["balance"],
        json!(149_999.39)
    );
}

#[tokio::test]
async fn flat_position_is_announced_with_its_old_average() {
    let rig = Rig::new(&[]).await;
    let mut hub = rig.user().await;
    rig.place(json!({})).await;
    rig.ok(
        "Position/closeContract",
        json!({"accountId": rig::ACCOUNT, "contractId": rig.contract}),
    )
    .await;
    hub.event("GatewayUserPosition").await;
    let flat = hub.event("GatewayUserPosition").await[0].clone();
    assert_eq!(flat["action"], 2);
    assert_eq!(
        (&flat["data"]["type"], &flat["data"]["size"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(flat["data"]["averagePrice"], json!(25_000.25));
}

#[tokio::test]
async fn resting_order_fills_in_part_after_its_queue() {
    let rig = Rig::new(&[]).await;
    let mut hub = rig.user().await;
    let placed = rig
        .place(json!({"type": 1, "limitPrice": 25_000, "size": 4}))
        .await;
    rig.steps(json!([{"ms": 0, "print": {"price": 25_000, "lots": 7, "side": "sell"}}]))
        .await;
    let seen = loop {
        let order = hub.event("GatewayUserOrder").await[0]["data"].clone();
        if order["fillVolume"] != 0 {
            break order;
        }
    };
    assert_eq!(
        (&seen["id"], &seen["status"], &seen["fillVolume"]),
        (&placed["orderId"], &json!(1), &json!(2))
    );
}

#[tokio::test]
async fn flood_sends_exactly_what_was_asked() {
    let rig = Rig::new(&[]).await;
    let mut hub = rig.market("Quotes").await;
    hub.event("GatewayQuote").await;
    rig.control("market", Some(json!({"flood": {"messages": 1_000}})))
        .await;
    for _ in 0..1_000 {
        let record = hub.record().await.expect("the connection lives");
        assert_eq!(record["type"], 1);
    }
    assert_eq!(
        hub.invoke("UnsubscribeContractQuotes", json!([rig.contract]))
            .await["result"],
        Value::Null
    );
}

#[tokio::test]
async fn hub_closes_with_an_error_when_its_token_ends() {
    let rig = Rig::new(&["--no-firm-hours"]).await;
    let mut hub = rig.hub("user").await;
    hub.invoke("SubscribeAccounts", json!([])).await;
    rig.control("clock", Some(json!({"advance_s": 90_000})))
        .await;
    loop {
        let record = hub.record().await.expect("a close record");
        if record["type"] == 7 {
            assert!(record["error"].is_string());
            break;
        }
    }
}

#[tokio::test]
async fn firm_flattens_at_ten_past_three_and_accepts_nothing_until_five() {
    let rig = Rig::new(&["--clock", "2026-10-06T20:09:00Z"]).await;
    let mut hub = rig.user().await;
    assert_eq!(
        rig.place(json!({"customTag": "held"})).await["success"],
        true
    );
    rig.place(json!({"type": 1, "limitPrice": 24_990, "customTag": "resting"}))
        .await;
    rig.control("clock", Some(json!({"advance_s": 120}))).await;
    hub.orders_until(3).await;
    let account = json!({"accountId": rig::ACCOUNT});
    assert_eq!(
        rig.ok("Position/searchOpen", account).await["positions"],
        json!([])
    );
    let late = rig.place(json!({"customTag": "late"})).await;
    assert_eq!(late["errorCode"], 2);
    assert!(
        late["errorMessage"]
            .as_str()
            .is_some_and(|text| text.starts_with("Trading is currently unavailable."))
    );
    rig.control("clock", Some(json!({"advance_s": 7_200})))
        .await;
    assert_eq!(
        rig.place(json!({"customTag": "evening"})).await["success"],
        true
    );
}
