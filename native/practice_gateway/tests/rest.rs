//! REST over real sockets: envelopes, codes, bad input, limits.

mod rig;

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use rig::{ACCOUNT, Rig};
use serde_json::{Value, json};

const EVER: &str = "2000-01-01T00:00:00Z";

#[tokio::test]
async fn login_answers_as_documented() {
    let rig = Rig::new(&[]).await;
    let wrong = rig
        .ok(
            "Auth/loginKey",
            json!({"userName": "demo_trader", "apiKey": "no"}),
        )
        .await;
    assert_eq!(
        wrong,
        json!({"token": null, "success": false, "errorCode": 3, "errorMessage": null})
    );
    let shouting = json!({"userName": "DEMO_TRADER", "apiKey": rig.info["api_key"]});
    assert_eq!(rig.ok("Auth/loginKey", shouting).await["success"], true);
    let (status, problem) = rig
        .post("Auth/loginKey", json!({"userName": "x"}))
        .await
        .expect("an answer");
    assert_eq!((status, &problem["status"]), (400, &json!(400)));
    assert!(problem["errors"]["apiKey"].is_array());
    let renewed = rig.ok("Auth/validate", json!({})).await;
    assert_eq!(
        renewed["newToken"]
            .as_str()
            .map(|token| token.split('.').count()),
        Some(3)
    );
    assert_eq!(rig.ok("Auth/logout", json!({})).await["success"], true);
}

#[tokio::test]
async fn ping_needs_no_token() {
    let rig = Rig::new(&[]).await;
    let address = rig.info["rest"].as_str().expect("an address");
    let ping = Request::get(format!("{address}/api/Status/ping"))
        .body(Full::new(Bytes::new()))
        .expect("a request");
    assert_eq!(rig.send(ping).await, Some((200, b"pong".to_vec())));
}

#[tokio::test]
async fn bad_input_gets_its_answer_and_the_server_lives_on() {
    let mut rig = Rig::new(&[]).await;
    let status = |reply: Option<(u16, Value)>| reply.map(|(status, _)| status);
    assert_eq!(status(rig.post("No/such", json!({})).await), Some(404));
    assert_eq!(status(rig.post("Order/place", json!([1])).await), Some(400));
    let named = rig.order(&json!({"side": "Bid"}));
    assert_eq!(status(rig.post("Order/place", named).await), Some(400));
    let broken = rig
        .send(rig.request("Order/place", "{\"accountId\":"))
        .await;
    assert_eq!(broken.map(|reply| reply.0), Some(400));
    let huge = rig
        .send(rig.request("Order/place", vec![b' '; 3 << 20]))
        .await;
    assert!(huge.is_none_or(|reply| reply.0 == 413));
    for body in [
        json!({"accountId": 1}),
        json!({"accountId": 9_999_999_999_i64}),
    ] {
        assert_eq!(rig.ok("Order/searchOpen", body).await["errorCode"], 1);
    }
    let good = std::mem::replace(&mut rig.token, "a.b.c".to_owned());
    assert_eq!(
        status(
            rig.post("Order/searchOpen", json!({"accountId": 7001}))
                .await
        ),
        Some(401)
    );
    rig.token = good;
    assert_eq!(
        rig.ok("Order/searchOpen", json!({"accountId": 7001})).await["success"],
        true
    );
}

#[tokio::test]
async fn token_ends_after_24_hours_of_the_gateways_clock() {
    let rig = Rig::new(&[]).await;
    rig.control("clock", Some(json!({"advance_s": 86_399})))
        .await;
    rig.control("clock", Some(json!({"rate": 0}))).await;
    let body = json!({"accountId": ACCOUNT});
    let (status, _) = rig
        .post("Position/searchOpen", body.clone())
        .await
        .expect("an answer");
    let first = status;
    rig.control("clock", Some(json!({"advance_s": 2}))).await;
    let (status, _) = rig
        .post("Position/searchOpen", body)
        .await
        .expect("an answer");
    assert_eq!(status, 401);
    assert!(
        first == 200 || first == 401,
        "the clock ran on between login and the first jump"
    );
}

#[tokio::test]
async fn two_hundred_calls_a_minute_then_429() {
    let rig = Rig::new(&[]).await;
    let mut counts = (0, 0);
    for _ in 0..210 {
        match rig
            .post("Position/searchOpen", json!({"accountId": ACCOUNT}))
            .await
            .expect("an answer")
            .0
        {
            200 => counts.0 += 1,
            429 => counts.1 += 1,
            other => panic!("status {other}"),
        }
    }
    // Two calls of the bucket went into login and contract search.
    assert_eq!(counts, (198, 12));
}

#[tokio::test]
async fn market_order_is_in_every_search() {
    let rig = Rig::new(&[]).await;
    let placed = rig.place(json!({"size": 2, "customTag": "one"})).await;
    assert_eq!(placed["success"], true);
    let orders = rig
        .ok(
            "Order/search",
            json!({"accountId": ACCOUNT, "startTimestamp": EVER}),
        )
        .await;
    let order = &orders["orders"][0];
    assert_eq!(
        (&order["id"], &order["status"], &order["fillVolume"]),
        (&placed["orderId"], &json!(2), &json!(2))
    );
    assert_eq!(order["limitPrice"], Value::Null);
    assert!(
        order
            .as_object()
            .expect("an object")
            .contains_key("limitPrice"),
        "REST keeps nulls"
    );
    let trades = rig
        .ok(
            "Trade/search",
            json!({"accountId": ACCOUNT, "startTimestamp": EVER}),
        )
        .await;
    let trade = &trades["trades"][0];
    assert_eq!(
        (
            &trade["fees"],
            &trade["commissions"],
            &trade["profitAndLoss"]
        ),
        (&json!(0.72), &json!(0.5), &Value::Null)
    );
    let positions = rig
        .ok("Position/searchOpen", json!({"accountId": ACCOUNT}))
        .await;
    assert_eq!(positions["positions"][0]["averagePrice"], json!(25_000.25));
    let accounts = rig
        .ok("Account/search", json!({"onlyActiveAccounts": true}))
        .await;
    assert_eq!(accounts["accounts"][0]["balance"], json!(149_998.78));
    let found = rig
        .ok(
            "Order/searchById",
            json!({"accountId": ACCOUNT, "orderId": placed["orderId"]}),
        )
        .await;
    assert_eq!(found["order"]["customTag"], "one");
    assert_eq!(
        rig.ok(
            "Order/searchById",
            json!({"accountId": ACCOUNT, "orderId": 1})
        )
        .await["errorCode"],
        1
    );
}

#[tokio::test]
async fn suspended_legs_are_seen_by_query_alone() {
    let rig = Rig::new(&[]).await;
    let placed = rig
        .place(json!({
            "type": 1, "limitPrice": 24_990, "customTag": "b",
            "stopLossBracket": {"ticks": -40, "type": 4}, "takeProfitBracket": {"ticks": 80, "type": 1}
        }))
        .await;
    let id = placed["orderId"].as_i64().expect("an id");
    let open = rig
        .ok("Order/searchOpen", json!({"accountId": ACCOUNT}))
        .await;
    assert_eq!(open["orders"].as_array().map(Vec::len), Some(1));
    let search = rig
        .ok(
            "Order/search",
            json!({"accountId": ACCOUNT, "startTimestamp": EVER}),
        )
        .await;
    assert_eq!(search["orders"].as_array().map(Vec::len), Some(1));
    let query = json!({
        "filter": {"accountId": ACCOUNT, "statuses": [1, 8]}, "sortBy": 1, "sortDirection": 0, "includeTotalCount": true
    });
    let reply = rig.ok("Order/v2/query", query).await;
    assert_eq!(reply["totalCount"], 3);
    let ids: Vec<_> = (0..3)
        .map(|index| reply["orders"][index]["id"].as_i64().expect("an id") - id)
        .collect();
    assert_eq!(ids, [0, 1, 2]);
    let stop = &reply["orders"][1];
    assert_eq!(
        (
            &stop["trailDistance"],
            &stop["trailPrice"],
            &stop["stopPrice"]
        ),
        (&json!(-40), &json!(-10), &Value::Null)
    );
    let (status, _) = rig
        .post(
            "Order/v2/query",
            json!({"filter": {"accountId": ACCOUNT}, "pageSize": 0}),
        )
        .await
        .expect("an answer");
    assert_eq!(status, 400);
}

#[tokio::test]
async fn contracts_are_found_by_search_and_by_id() {
    let rig = Rig::new(&[]).await;
    let all = rig.ok("Contract/available", json!({"live": false})).await;
    assert_eq!(all["contracts"].as_array().map(Vec::len), Some(51));
    let live = rig.ok("Contract/available", json!({"live": true})).await;
    assert_eq!(live["contracts"], json!([]));
    let fuzzy = rig
        .ok(
            "Contract/search",
            json!({"searchText": "ES", "live": false}),
        )
        .await;
    assert!(
        fuzzy["contracts"]
            .as_array()
            .is_some_and(|rows| rows.len() > 1 && rows.len() <= 20)
    );
    let old = rig
        .ok(
            "Contract/searchById",
            json!({"contractId": "CON.F.US.MNQ.U19"}),
        )
        .await;
    assert_eq!(old["contract"]["activeContract"], false);
    let none = rig
        .ok(
            "Contract/searchById",
            json!({"contractId": "CON.F.US.NONE.U19"}),
        )
        .await;
    assert_eq!(
        (&none["errorCode"], &none["contract"]),
        (&json!(1), &Value::Null)
    );
}

#[tokio::test]
async fn bars_are_newest_first_and_bad_arguments_have_codes() {
    let steps = json!([
        {"ms": 0, "print": {"price": 25000, "lots": 1, "side": "sell"}},
        {"ms": 61_000, "print": {"price": 25001, "lots": 3, "side": "buy"}},
        {"ms": 62_000, "print": {"price": 25000.5, "lots": 2, "side": "buy"}},
        {"ms": 190_000, "print": {"price": 25002, "lots": 4, "side": "buy"}},
    ]);
    let rig = Rig::with_script(&steps, &[]).await;
    rig.control("clock", Some(json!({"advance_s": 200}))).await;
    let ask = |unit: i64, number: i64, limit: i64, partial: bool| {
        json!({"contractId": rig.contract, "live": false, "startTime": EVER, "endTime": "2100-01-01T00:00:00Z",
            "unit": unit, "unitNumber": number, "limit": limit, "includePartialBar": partial})
    };
    let all = rig.ok("History/retrieveBars", ask(2, 1, 10, true)).await;
    let volumes: Vec<_> = all["bars"]
        .as_array()
        .expect("bars")
        .iter()
        .map(|bar| bar["v"].clone())
        .collect();
    assert_eq!(volumes, [json!(4), json!(5), json!(1)]);
    assert_eq!(
        (&all["bars"][1]["o"], &all["bars"][1]["c"]),
        (&json!(25_001), &json!(25_000.5))
    );
    let whole = rig.ok("History/retrieveBars", ask(2, 1, 10, false)).await;
    assert_eq!(whole["bars"][0]["v"], 5);
    assert_eq!(
        rig.ok("History/retrieveBars", ask(2, 1, 1, true)).await["bars"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    for (unit, number, limit, code) in [(7, 1, 1, 2), (2, 0, 1, 3), (2, 1, 0, 4)] {
        assert_eq!(
            rig.ok("History/retrieveBars", ask(unit, number, limit, true))
                .await["errorCode"],
            code
        );
    }
}

#[tokio::test]
async fn paths_ignore_case_and_a_repeated_prefix() {
    let rig = Rig::new(&[]).await;
    for path in ["api/Position/searchOpen", "position/SEARCHOPEN"] {
        assert_eq!(
            rig.ok(path, json!({"accountid": ACCOUNT})).await["success"],
            true
        );
    }
}

#[tokio::test]
async fn order_is_carried_out_though_its_sender_dies_at_once() {
    use tokio::io::AsyncWriteExt;
    let rig = Rig::new(&["--no-rate-limits"]).await;
    let address = rig.info["rest"]
        .as_str()
        .expect("an address")
        .trim_start_matches("http://")
        .to_owned();
    for serial in 0..40 {
        let order = rig.order(
            &json!({"customTag": format!("orphan-{serial}"), "type": 1, "limitPrice": 24_990}),
        );
        let (body, token) = (order.to_string(), &rig.token);
        let length = body.len();
        let request = format!(
            "POST /api/Order/place HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
             Authorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        let mut socket = tokio::net::TcpStream::connect(&address)
            .await
            .expect("connected");
        socket.write_all(request.as_bytes()).await.expect("sent");
    }
    let all_open = async {
        loop {
            let open = rig
                .ok("Order/searchOpen", json!({"accountId": ACCOUNT}))
                .await;
            if open["orders"].as_array().map(Vec::len) == Some(40) {
                break;
            }
        }
    };
    tokio::time::timeout(rig::LIMIT, all_open)
        .await
        .expect("every order is carried out");
}
