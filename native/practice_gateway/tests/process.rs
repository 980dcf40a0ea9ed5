//! The program itself: its first line, its end with standard input, its memory across `kill -9`.

mod rig;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use rig::{ACCOUNT, Rig, folder, market, script};
use serde_json::{Value, json};

fn spawn(arguments: &[&str]) -> (Child, Value) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_pitdesk-gateway"))
        .args(["--json", "--port", "0"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut line = String::new();
    let output = child.stdout.take().expect("standard output");
    BufReader::new(output)
        .read_line(&mut line)
        .expect("a first line");
    (child, serde_json::from_str(&line).expect("JSON"))
}

#[tokio::test]
async fn first_line_names_everything_and_the_end_of_input_ends_it() {
    let path = script(&market());
    let (mut child, info) = spawn(&["--market", "script", &path]);
    let keys = [
        "rest",
        "user_hub",
        "market_hub",
        "user_name",
        "api_key",
        "accounts",
        "seed",
        "control",
        "control_token",
        "instance",
        "version",
        "pid",
    ];
    for key in keys {
        assert!(!info[key].is_null(), "{key} is announced");
    }
    assert!(info["seed"].is_string());
    drop(child.stdin.take());
    assert!(child.wait().expect("ended").success());
}

#[tokio::test]
async fn what_was_answered_survives_kill() {
    let (state, path) = (folder(), script(&market()));
    let state = state.to_string_lossy().into_owned();
    let arguments = ["--state", &state, "--market", "script", &path];
    let (mut child, info) = spawn(&arguments);
    let rig = Rig::attach(info.clone(), None).await;
    let filled = rig.place(json!({"customTag": "filled"})).await["orderId"].clone();
    let resting = rig
        .place(json!({"customTag": "resting", "type": 1, "limitPrice": 24_990}))
        .await["orderId"]
        .clone();
    child.kill().expect("killed");
    child.wait().expect("ended");

    let (mut child, again) = spawn(&arguments);
    assert_eq!(
        (&again["instance"], &again["api_key"]),
        (&info["instance"], &info["api_key"])
    );
    let mut later = Rig::attach(again, None).await;
    later.token.clone_from(&rig.token);
    let open = later
        .ok("Order/searchOpen", json!({"accountId": ACCOUNT}))
        .await;
    assert_eq!(open["orders"][0]["id"], resting);
    let positions = later
        .ok("Position/searchOpen", json!({"accountId": ACCOUNT}))
        .await;
    assert_eq!(positions["positions"][0]["size"], 1);
    let trades = later
        .ok("Trade/search", json!({"accountId": ACCOUNT}))
        .await;
    assert_eq!(trades["trades"][0]["orderId"], filled);
    let next = later.place(json!({})).await["orderId"]
        .as_i64()
        .expect("an id");
    assert!(next > resting.as_i64().expect("an id"), "ids go on");
    child.kill().expect("killed");
    child.wait().expect("ended");
}

#[tokio::test]
async fn seek_backwards_is_a_new_identity_with_fresh_accounts() {
    let rig = Rig::new(&[]).await;
    let begin = rig.control("state", None).await["clock"]["now"].clone();
    rig.place(json!({"customTag": "old"})).await;
    let mut hub = rig.user().await;
    let ahead = rig.control("clock", Some(json!({"advance_s": 60}))).await;
    assert_ne!(ahead["now"], begin);
    let reply = rig.control("replay", Some(json!({ "seek": begin }))).await;
    assert_ne!(reply["instance"], rig.info["instance"]);
    while hub.record().await.is_some() {}
    let accounts = rig
        .ok("Account/search", json!({"onlyActiveAccounts": true}))
        .await;
    assert_eq!(accounts["accounts"][0]["balance"], json!(150_000));
    assert_eq!(
        rig.place(json!({"customTag": "old"})).await["success"],
        true
    );
}

#[test]
fn wrong_arguments_end_with_2() {
    let status = Command::new(env!("CARGO_BIN_EXE_pitdesk-gateway"))
        .args(["--market", "nonsense"])
        .stderr(Stdio::null())
        .status()
        .expect("ran");
    assert_eq!(status.code(), Some(2));
}
