//! Every fault over real sockets: what the peer sees, and what the exchange keeps.

mod rig;

use rig::{ACCOUNT, Rig};
use serde_json::{Value, json};

async fn known_orders(rig: &Rig) -> usize {
    let body = json!({"accountId": ACCOUNT, "startTimestamp": "2000-01-01T00:00:00Z"});
    rig.ok("Order/search", body).await["orders"]
        .as_array()
        .map_or(0, Vec::len)
}

#[tokio::test]
async fn answer_is_lost_after_acceptance() {
    let rig = Rig::new(&[]).await;
    rig.fault(json!({"fault": "reply_reset", "endpoint": "order/place", "count": 1}))
        .await;
    assert_eq!(
        rig.post("Order/place", rig.order(&json!({"customTag": "x"})))
            .await,
        None
    );
    assert_eq!(known_orders(&rig).await, 1);
    assert_eq!(rig.place(json!({"customTag": "x"})).await["errorCode"], 2);
}

#[tokio::test]
async fn error_500_comes_after_acceptance() {
    let rig = Rig::new(&[]).await;
    rig.fault(json!({"fault": "error_after", "endpoint": "Order/place"}))
        .await;
    let (status, body) = rig
        .post("Order/place", rig.order(&json!({})))
        .await
        .expect("an answer");
    assert_eq!((status, body), (500, Value::Null));
    assert_eq!(known_orders(&rig).await, 1);
}

#[tokio::test]
async fn statuses_are_forced_without_acceptance() {
    let rig = Rig::new(&[]).await;
    for (fault, expected) in [("too_many", 429), ("unauthorized", 401), ("error", 500)] {
        rig.fault(json!({"fault": fault, "endpoint": "Order/place"}))
            .await;
        let (status, _) = rig
            .post("Order/place", rig.order(&json!({})))
            .await
            .expect("an answer");
        assert_eq!(status, expected);
    }
    assert_eq!(known_orders(&rig).await, 0);
}

#[tokio::test]
async fn body_is_cut() {
    let rig = Rig::new(&[]).await;
    rig.fault(json!({"fault": "cut_body", "endpoint": "Order/place"}))
        .await;
    assert_eq!(rig.post("Order/place", rig.order(&json!({}))).await, None);
    assert_eq!(known_orders(&rig).await, 1);
}

#[tokio::test]
async fn hub_event_overtakes_a_delayed_reply() {
    let rig = Rig::new(&[]).await;
    let mut hub = rig.user().await;
    rig.fault(json!({"fault": "delay_reply", "endpoint": "Order/place", "ms": 2_000}))
        .await;
    let reply = rig.post("Order/place", rig.order(&json!({})));
    tokio::pin!(reply);
    tokio::select! {
        biased;
        _ = &mut reply => panic!("the reply came before the fill"),
        seen = hub.orders_until(2) => assert!(!seen.is_empty()),
    }
    assert_eq!(reply.await.map(|answer| answer.0), Some(200));
}

#[tokio::test]
async fn user_events_are_duplicated_bared_and_lost() {
    let rig = Rig::new(&[]).await;
    let mut hub = rig.user().await;
    rig.fault(json!([
        {"fault": "duplicate", "event": "GatewayUserTrade"},
        {"fault": "bare", "event": "GatewayUserPosition"},
        {"fault": "miss", "event": "GatewayUserOrder", "count": 0},
    ]))
    .await;
    rig.place(json!({})).await;
    let (first, second) = (
        hub.event("GatewayUserTrade").await,
        hub.event("GatewayUserTrade").await,
    );
    assert_eq!(first, second);
    let bare = hub.event("GatewayUserPosition").await;
    assert_eq!(bare[0]["size"], 1);
    let counters = rig.control("counters", None).await;
    assert!(
        counters["faults"]["miss"]
            .as_u64()
            .is_some_and(|count| count >= 2)
    );
}

#[tokio::test]
async fn user_events_swap_their_order() {
    let rig = Rig::new(&[]).await;
    let mut hub = rig.user().await;
    rig.fault(json!({"fault": "swap"})).await;
    rig.place(json!({})).await;
    let first = hub.record().await.expect("an event");
    assert_eq!(first["target"], "GatewayUserAccount");
}

#[tokio::test]
async fn order_id_arrives_as_a_string() {
    let rig = Rig::new(&[]).await;
    let mut hub = rig.user().await;
    rig.fault(json!({"fault": "string_id"})).await;
    rig.place(json!({})).await;
    assert!(hub.event("GatewayUserOrder").await[0]["data"]["id"].is_string());
    assert!(hub.event("GatewayUserOrder").await[0]["data"]["id"].is_i64());
}

#[tokio::test]
async fn connections_close_drop_and_log_out() {
    let rig = Rig::new(&[]).await;
    let mut hub = rig.hub("user").await;
    hub.invoke("SubscribeAccounts", json!([])).await;
    rig.fault(json!({"fault": "logout", "hub": "user"})).await;
    hub.event("GatewayLogout").await;
    rig.fault(json!({"fault": "close", "hub": "user"})).await;
    let last = hub.record().await.expect("a close record");
    assert_eq!(
        last,
        json!({"type": 7, "error": "Connection closed with an error.", "allowReconnect": true})
    );
    assert_eq!(hub.record().await, None);
    let mut hub = rig.market("Quotes").await;
    rig.fault(json!({"fault": "drop", "hub": "market"})).await;
    while let Some(record) = hub.record().await {
        assert_ne!(record["type"], 7, "the socket ends without a Close record");
    }
}

#[tokio::test]
async fn market_arrays_hold_nulls_and_crossed_levels() {
    let rig = Rig::new(&[]).await;
    let mut hub = rig.market("MarketDepth").await;
    hub.event("GatewayDepth").await;
    rig.fault(json!([{"fault": "null_element", "event": "GatewayDepth"}, {"fault": "crossed"}]))
        .await;
    rig.steps(json!([{"ms": 0, "level": {"side": "bid", "price": 24_999, "lots": 1}}]))
        .await;
    let batch = hub.event("GatewayDepth").await[1].clone();
    assert_eq!(batch[0], Value::Null);
    let crossed = batch
        .as_array()
        .expect("an array")
        .iter()
        .any(|row| row["type"] == 2 && row["price"] == json!(25_000.75));
    assert!(crossed, "a bid beyond the best ask");
    rig.steps(json!([{"ms": 0, "level": {"side": "bid", "price": 24_999, "lots": 2}}]))
        .await;
    let next = hub.event("GatewayDepth").await[1].clone();
    assert!(
        next.as_array()
            .expect("an array")
            .iter()
            .any(|row| row["price"] == json!(25_000.75) && row["volume"] == 0)
    );
}

#[tokio::test]
async fn snapshot_comes_without_reset() {
    let rig = Rig::new(&[]).await;
    rig.fault(json!({"fault": "no_reset"})).await;
    let mut hub = rig.market("MarketDepth").await;
    assert_eq!(hub.event("GatewayDepth").await[1][0]["type"], 2);
}

#[tokio::test]
async fn cancel_races_a_fill() {
    let rig = Rig::new(&[]).await;
    let placed = rig.place(json!({"type": 1, "limitPrice": 25_000})).await;
    rig.fault(json!({"fault": "cancel_race"})).await;
    let cancel = rig
        .ok(
            "Order/cancel",
            json!({"accountId": ACCOUNT, "orderId": placed["orderId"]}),
        )
        .await;
    assert_eq!(cancel["errorCode"], 5);
    let order = rig
        .ok(
            "Order/searchById",
            json!({"accountId": ACCOUNT, "orderId": placed["orderId"]}),
        )
        .await;
    assert_eq!(order["order"]["status"], 2);
}

#[tokio::test]
async fn orphaned_leg_survives_its_sibling() {
    let rig = Rig::new(&[]).await;
    rig.fault(json!({"fault": "orphan_child"})).await;
    let bracket = json!({
        "stopLossBracket": {"ticks": -8, "type": 4}, "takeProfitBracket": {"ticks": 4, "type": 1}
    });
    rig.place(bracket).await;
    rig.steps(json!([{"ms": 0, "print": {"price": 25_002, "lots": 1, "side": "buy"}}]))
        .await;
    let open = rig
        .ok("Order/searchOpen", json!({"accountId": ACCOUNT}))
        .await;
    assert_eq!(open["orders"][0]["type"], 4);
    let positions = rig
        .ok("Position/searchOpen", json!({"accountId": ACCOUNT}))
        .await;
    assert_eq!(positions["positions"], json!([]));
}

#[tokio::test]
async fn silent_hub_stays_open_and_says_nothing() {
    let rig = Rig::new(&[]).await;
    let mut hub = rig.user().await;
    rig.fault(json!({"fault": "silent", "hub": "user"})).await;
    rig.place(json!({})).await;
    rig.fault(json!({"fault": "drop", "hub": "user"})).await;
    assert_eq!(
        hub.record().await,
        None,
        "the end is the first thing seen after the silence"
    );
}

#[tokio::test]
async fn answer_never_comes_while_other_calls_are_served() {
    let rig = Rig::new(&[]).await;
    rig.fault(json!({"fault": "reply_lost", "endpoint": "Order/place"}))
        .await;
    let lost = rig.post("Order/place", rig.order(&json!({})));
    tokio::pin!(lost);
    let mut known = 0;
    while known == 0 {
        tokio::select! {
            biased;
            answer = &mut lost => panic!("an answer came: {answer:?}"),
            count = known_orders(&rig) => known = count,
        }
    }
    assert_eq!(known, 1);
}

#[tokio::test]
async fn plan_comes_from_a_file_and_lets_the_first_pass() {
    let path = rig::folder().join("plan.json");
    let plan = json!([{"fault": "error", "endpoint": "Order/place", "after": 1, "count": 1, "status": 503}]);
    std::fs::write(&path, plan.to_string()).expect("a plan");
    let rig = Rig::new(&["--fault", &path.to_string_lossy()]).await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        let answer = rig.post("Order/place", rig.order(&json!({}))).await;
        statuses.push(answer.map(|(status, _)| status));
    }
    assert_eq!(statuses, [Some(200), Some(503), Some(200)]);
}

#[tokio::test]
async fn slow_hub_still_delivers_everything() {
    let rig = Rig::new(&[]).await;
    let mut hub = rig.user().await;
    rig.fault(json!({"fault": "slow", "hub": "user", "ms": 5}))
        .await;
    rig.place(json!({})).await;
    assert_eq!(hub.orders_until(2).await.len(), 2);
    hub.event("GatewayUserAccount").await;
}

#[tokio::test]
async fn nonsense_on_the_control_port_is_refused_by_name() {
    let rig = Rig::new(&[]).await;
    let address = rig.info["control"].as_str().expect("an address");
    let request = hyper::Request::post(format!("{address}/control/fault"))
        .header(
            "authorization",
            format!(
                "Bearer {}",
                rig.info["control_token"].as_str().expect("a token")
            ),
        )
        .body(http_body_util::Full::new(hyper::body::Bytes::from_static(
            b"{\"fault\":\"gremlin\"}",
        )))
        .expect("a request");
    let (status, body) = rig.send(request).await.expect("an answer");
    assert_eq!(status, 422);
    assert!(String::from_utf8_lossy(&body).contains("gremlin"));
    let open = hyper::Request::get(format!("{address}/control/state"))
        .body(http_body_util::Full::new(hyper::body::Bytes::new()))
        .expect("a request");
    assert_eq!(rig.send(open).await.map(|reply| reply.0), Some(401));
}
