//! The control port: the market, faults, the clock, a replay's position and accounts, changed from outside; state,
//! book and counters, looked at.
//!
//! | Request | Body or query |
//! |---|---|
//! | `POST /control/fault` | one rule or an array of rules (see `faults`); `{"clear":true}` disarms all |
//! | `POST /control/market` | `{"flood":{"messages":N}}`, `{"script":[steps]}` timed from now, `{"halt":"ES"}`, `{"resume":"ES"}`, `{"levels":N}` |
//! | `POST /control/clock` | `{"rate":R}`, `{"to":ISO}` (forwards only), `{"advance_s":N}` |
//! | `POST /control/replay` | `{"rate":R}`, `{"seek":ISO}`; a seek backwards is a new `instance` with fresh accounts, and every hub connection ends |
//! | `POST /control/account` | `{"id":N}` with any of `auto_oco`, `can_trade`, `balance`, `locked`, `flatten` |
//! | `GET /control/state` | accounts, working orders, positions, clock |
//! | `GET /control/book?contract=ID` | whole book of one contract |
//! | `GET /control/counters` | requests by endpoint, connections opened, frames, posts by tag, faults fired |

use hyper::Method;
use serde_json::{Value, json};

use crate::contracts::SECOND;
use crate::exchange::money::cents_text;
use crate::feed::Side;
use crate::server::Gateway;
use crate::server::body::parse_time;
use crate::server::faults::Rule;
use crate::server::rest::Answer;
use crate::server::start;
use crate::server::world::World;
use crate::wire;

/// Answers one authorised request.
pub fn handle(gateway: &Gateway, method: &Method, path: &str, bytes: &[u8]) -> Answer {
    let Some(what) = path.strip_prefix("/control/") else {
        return (404, String::new());
    };
    if *method == Method::GET {
        return look(gateway, what);
    }
    let Ok(body) = serde_json::from_slice::<Value>(bytes) else {
        return refused("The body is not JSON.");
    };
    let mut world = gateway.world.lock();
    world.pump();
    let done = match what {
        "fault" => fault(&mut world, &body),
        "market" => market(&mut world, &body),
        "clock" => clock(&mut world, &body),
        "replay" => replay(gateway, &mut world, &body),
        "account" => account(&mut world, &body),
        _ => return (404, String::new()),
    };
    let now = world.clock.now();
    world.commit(now);
    match done {
        Ok(value) => (200, value.to_string()),
        Err(message) => refused(&message),
    }
}

fn refused(message: &str) -> Answer {
    (422, json!({"error": message}).to_string())
}

fn fault(world: &mut World, body: &Value) -> Result<Value, String> {
    if body["clear"] == true {
        world.faults.clear();
        return Ok(json!({"armed": 0}));
    }
    let rules = match body {
        Value::Array(rules) => rules.clone(),
        one => vec![one.clone()],
    };
    for rule in rules {
        let rule: Rule = serde_json::from_value(rule)
            .map_err(|error| format!("The rule does not bind: {error}."))?;
        world.faults.arm(rule)?;
    }
    world.tick_faults();
    Ok(json!({"armed": world.faults.armed_count()}))
}

fn market(world: &mut World, body: &Value) -> Result<Value, String> {
    if let Some(messages) = body["flood"]["messages"].as_u64() {
        return Ok(json!({"connections": world.flood(messages)}));
    }
    if body["script"].is_array() {
        world.push_steps(&body["script"].to_string())?;
        return Ok(clock_value(world));
    }
    if let Some(levels) = body["levels"].as_u64() {
        world.levels = (levels as usize).clamp(1, 200);
        return Ok(json!({"levels": world.levels}));
    }
    for (verb, trading) in [("halt", false), ("resume", true)] {
        if let Some(name) = body[verb].as_str() {
            let index = find_contract(world, name)?;
            world.exchange.set_trading(index, trading);
            return Ok(json!({"contract": name, "trading": trading}));
        }
    }
    Err("One of flood, script, levels, halt, resume is expected.".to_owned())
}

fn find_contract(world: &World, name: &str) -> Result<usize, String> {
    let table = world.exchange.contracts();
    table
        .by_id(name)
        .or_else(|| table.by_root(name))
        .ok_or_else(|| format!("Contract {name:?} is unknown."))
}

fn rate_of(body: &Value) -> Result<Option<f64>, String> {
    match body["rate"].as_f64() {
        Some(rate) if (0.0..=1_000.0).contains(&rate) => Ok(Some(rate)),
        Some(rate) => Err(format!("rate is {rate}; 0 to 1000 is allowed.")),
        None => Ok(None),
    }
}

fn clock(world: &mut World, body: &Value) -> Result<Value, String> {
    if let Some(rate) = rate_of(body)? {
        world.clock.set_rate(rate);
    }
    let now = world.clock.now();
    let target = match (body["to"].as_str(), body["advance_s"].as_f64()) {
        (Some(text), _) => {
            Some(parse_time(text).ok_or_else(|| format!("{text:?} is no ISO time."))?)
        }
        (None, Some(seconds)) => Some(now + (seconds * SECOND as f64) as i64),
        (None, None) => None,
    };
    if let Some(target) = target {
        if target < now {
            return Err("The clock does not go backwards; a new run is a new identity.".to_owned());
        }
        world.clock.set(target);
        world.pump();
    }
    Ok(clock_value(world))
}

fn clock_value(world: &World) -> Value {
    let mut now = String::new();
    wire::push_time(&mut now, world.clock.now(), 9);
    json!({"now": now, "rate": world.clock.rate()})
}

fn replay(gateway: &Gateway, world: &mut World, body: &Value) -> Result<Value, String> {
    if let Some(rate) = rate_of(body)? {
        world.clock.set_rate(rate);
    }
    if let Some(text) = body["seek"].as_str() {
        let target = parse_time(text).ok_or_else(|| format!("{text:?} is no ISO time."))?;
        if target < world.clock.now() {
            start::renew(gateway, world, target)?;
        } else {
            world.seek(target)?;
        }
    }
    let mut value = clock_value(world);
    value["instance"] = json!(*gateway.instance.lock());
    Ok(value)
}

fn account(world: &mut World, body: &Value) -> Result<Value, String> {
    let id = body["id"]
        .as_i64()
        .and_then(|id| i32::try_from(id).ok())
        .ok_or("id is expected.")?;
    if let Some(balance) = body["balance"].as_f64()
        && balance.abs() > 1e9
    {
        return Err(format!("balance is {balance}; at most 1e9 is allowed."));
    }
    let known = world.exchange.edit_account(id, |row| {
        if let Some(on) = body["auto_oco"].as_bool() {
            row.rules.auto_oco = on;
        }
        if let Some(on) = body["can_trade"].as_bool() {
            row.can_trade = on;
        }
        if let Some(on) = body["locked"].as_bool() {
            row.locked_for_day = on;
        }
        if let Some(balance) = body["balance"].as_f64() {
            row.balance_1e4 = (balance * 10_000.0).round() as i64;
        }
    });
    if !known {
        return Err(format!("Account {id} is unknown."));
    }
    if body["flatten"] == true {
        let now = world.clock.now();
        world.exchange.flatten(id, now);
    }
    Ok(json!({"id": id}))
}

fn look(gateway: &Gateway, what: &str) -> Answer {
    let mut world = gateway.world.lock();
    world.pump();
    let (name, query) = what.split_once('?').unwrap_or((what, ""));
    let value = match name {
        "state" => state(&world, gateway),
        "counters" => counters(&world),
        "book" => match book(&world, query) {
            Ok(value) => value,
            Err(message) => return refused(&message),
        },
        _ => return (404, String::new()),
    };
    (200, value.to_string())
}

fn state(world: &World, gateway: &Gateway) -> Value {
    let accounts: Vec<Value> = world
        .exchange
        .accounts()
        .map(|row| {
            let id = row.rules.id;
            let working = world.exchange.working(id).count();
            let positions: Vec<Value> = world
                .exchange
                .positions_of(id)
                .map(|p| json!({"contractId": p.contract_id, "lots": p.lots, "cost_1e4": p.cost_1e4}))
                .collect();
            let net: i64 = world
                .exchange
                .trades_of(id)
                .iter()
                .map(|t| t.pnl_1e4.unwrap_or(0) - t.fees_1e4 - t.commissions_1e4)
                .sum();
            json!({
                "id": id, "name": row.rules.name, "balance_1e4": row.balance_1e4, "balance": cents_text(row.balance_1e4),
                "net_1e4": net, "can_trade": row.can_trade, "locked": row.locked_for_day,
                "auto_oco": row.rules.auto_oco, "equity_1e4": world.exchange.equity_1e4(id),
                "loss_floor_1e4": row.loss_floor_1e4(), "working": working, "positions": positions,
                "orders": world.exchange.orders_of(id).count(), "trades": world.exchange.trades_of(id).len(),
            })
        })
        .collect();
    json!({"clock": clock_value(world), "instance": *gateway.instance.lock(), "accounts": accounts,
        "connections": world.connection_count(), "faults_armed": world.faults.armed_count()})
}

fn counters(world: &World) -> Value {
    let c = &world.counters;
    json!({
        "requests": c.requests, "connections": c.connections, "posts_by_tag": c.posts_by_tag, "user_frames": c.user_frames,
        "quote_frames": c.quote_frames, "trade_frames": c.trade_frames, "depth_frames": c.depth_frames,
        "feed_events": c.feed_events, "journal_errors": c.journal_errors, "faults": world.faults.fired,
    })
}

fn book(world: &World, query: &str) -> Result<Value, String> {
    let name = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("contract="))
        .ok_or("?contract=ID is expected.")?;
    let index = find_contract(world, name)?;
    let book = world.exchange.book(index);
    let side = |side: Side| {
        let mut levels = Vec::new();
        book.top(side, usize::MAX, &mut levels);
        levels
    };
    Ok(
        json!({"contractId": world.exchange.contracts().get(index).id, "trading": book.trading, "last": book.last,
        "bids": side(Side::Bid), "asks": side(Side::Ask)}),
    )
}
