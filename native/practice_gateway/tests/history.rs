//! Bars of the seeded market over real sockets: sixty days, joined with the stream, capped and leaking by fault.

mod rig;

use clap::Parser;
use practice_gateway::server::options::Options;
use practice_gateway::server::start::start;
use rig::Rig;
use serde_json::{Value, json};

async fn model() -> Rig {
    // A Tuesday in mid-session, so that the day's figures come from bars before the start.
    let options = Options::parse_from([
        "pitdesk-gateway",
        "--clock",
        "2026-10-06T15:00:30Z",
        "--rate",
        "0",
    ]);
    let running = start(&options).await.expect("the gateway starts");
    let info = serde_json::from_str(&running.announcement()).expect("JSON");
    Rig::attach(info, Some(running)).await
}

async fn bars(rig: &Rig, unit: u32, number: u32, from: &str, partial: bool) -> Vec<Value> {
    let body = json!({
        "contractId": rig.contract, "live": false, "startTime": from, "endTime": "2026-12-01T00:00:00Z",
        "unit": unit, "unitNumber": number, "limit": 20_000, "includePartialBar": partial,
    });
    let reply = rig.ok("History/retrieveBars", body).await;
    reply["bars"].as_array().expect("bars").clone()
}

fn number(bar: &Value, key: &str) -> f64 {
    bar[key].as_f64().expect("a number")
}

#[tokio::test]
async fn sixty_days_of_bars_end_at_the_clock() {
    let rig = model().await;
    let days = bars(&rig, 4, 1, "2026-08-07T00:00:00Z", true).await;
    assert!(days.len() >= 40, "sixty days hold at least forty sessions");
    let minutes = bars(&rig, 2, 1, "2026-09-28T00:00:00Z", true).await;
    assert!(minutes[0]["t"].as_str().expect("a time") <= "2026-10-06T15:00:30");
    assert!(minutes[0]["t"].as_str().expect("a time") >= "2026-10-06T14:59:00");
    let times: Vec<&str> = minutes
        .iter()
        .map(|bar| bar["t"].as_str().expect("a time"))
        .collect();
    assert!(
        times.windows(2).all(|pair| pair[0] > pair[1]),
        "newest first, none twice"
    );
}

#[tokio::test]
async fn quote_tells_the_session_that_began_before_the_clock() {
    let rig = model().await;
    let mut hub = rig.market("Quotes").await;
    let quote = hub.event("GatewayQuote").await[1].clone();
    let session = bars(&rig, 2, 1, "2026-10-05T22:00:00Z", true).await;
    let high = session
        .iter()
        .map(|bar| number(bar, "h"))
        .fold(f64::MIN, f64::max);
    let volume: f64 = session.iter().map(|bar| number(bar, "v")).sum();
    assert!(number(&quote, "high") >= high);
    assert!((number(&quote, "volume") - volume).abs() < 0.5);
    assert_eq!(quote["open"], session.last().expect("a first bar")["o"]);
}

#[tokio::test]
async fn stream_continues_the_history_bar_by_bar() {
    let rig = model().await;
    rig.control("clock", Some(json!({"advance_s": 600}))).await;
    let minutes = bars(&rig, 2, 1, "2026-10-06T14:30:00Z", true).await;
    assert!(
        minutes.len() >= 38,
        "forty minutes of a busy session, with at most two without a trade"
    );
    let fives = bars(&rig, 2, 5, "2026-10-06T14:30:00Z", true).await;
    let total = |rows: &[Value]| rows.iter().map(|bar| number(bar, "v")).sum::<f64>();
    assert!((total(&minutes) - total(&fives)).abs() < 0.5);
}

#[tokio::test]
async fn faults_cap_the_history_and_leak_the_forming_bar() {
    let rig = model().await;
    rig.fault(json!([{"fault": "bars_cap"}, {"fault": "partial_bar"}]))
        .await;
    let capped = bars(&rig, 2, 1, "2026-09-28T00:00:00Z", false).await;
    assert_eq!(capped.len(), 1_000);
    assert_eq!(capped[0]["t"], "2026-10-06T15:00:00+00:00");
    let whole = bars(&rig, 2, 1, "2026-09-28T00:00:00Z", false).await;
    assert!(whole.len() > 1_000);
    assert_ne!(whole[0]["t"], "2026-10-06T15:00:00+00:00");
}

#[tokio::test]
async fn jump_of_the_clock_makes_no_frame_beyond_one_mebibyte() {
    let rig = model().await;
    let mut hub = rig.market("MarketDepth").await;
    hub.event("GatewayDepth").await;
    rig.control("clock", Some(json!({"advance_s": 3_600})))
        .await;
    let mut records = 0;
    while records < 10_000 {
        let batch = hub.event("GatewayDepth").await;
        assert!(batch[1].to_string().len() < 1 << 20);
        records += batch[1].as_array().map_or(0, Vec::len);
    }
}
