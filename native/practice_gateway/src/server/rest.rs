//! The REST operations: from a bound body to the exact reply text. No sockets here.

use std::fmt::Write;

use crate::contracts::Contract;
use crate::exchange::model::{Modify, Order, Place, Reply, Status};
use crate::feed::BarUnit;
use crate::server::Gateway;
use crate::server::bars;
use crate::server::body::Body;
use crate::server::faults::Occasion;
use crate::server::token::Denied;
use crate::server::world::World;
use crate::wire::{self, Fields, array, envelope, push_string, push_time};

/// Status and JSON body of an answer.
pub type Answer = (u16, String);

type Handler = fn(&Gateway, &mut Body) -> Answer;

/// Every operation by its path below `/api/`, except login, validate, logout and ping, which need no or other tokens.
pub const OPERATIONS: &[(&str, Handler)] = &[
    ("Account/search", account_search),
    ("Contract/search", contract_search),
    ("Contract/searchById", contract_by_id),
    ("Contract/available", contract_available),
    ("History/retrieveBars", retrieve_bars),
    ("Order/place", place),
    ("Order/modify", modify),
    ("Order/cancel", cancel),
    ("Order/search", order_search),
    ("Order/searchOpen", order_search_open),
    ("Order/searchById", order_by_id),
    ("Order/v2/query", order_query),
    ("Position/searchOpen", position_search),
    ("Position/closeContract", close_contract),
    ("Position/partialCloseContract", partial_close),
    ("Trade/search", trade_search),
];

/// Runs `act` if the body bound, otherwise answers 400.
fn bound(body: &Body, act: impl FnOnce() -> String) -> Answer {
    match body.problem() {
        Some(problem) => (400, problem),
        None => (200, act()),
    }
}

fn plain(code: i32, message: Option<&str>) -> String {
    let mut out = String::from("{");
    envelope(&mut out, code, message);
    out
}

fn listed<T>(
    name: &str,
    items: impl IntoIterator<Item = T>,
    write_item: impl FnMut(&mut String, T),
) -> String {
    let mut out = format!("{{\"{name}\":");
    array(&mut out, items, write_item);
    out.push(',');
    envelope(&mut out, 0, None);
    out
}

fn empty_list(name: &str, code: i32) -> String {
    let mut out = format!("{{\"{name}\":[],");
    envelope(&mut out, code, None);
    out
}

/// `Auth/loginKey`.
pub fn login_key(gateway: &Gateway, body: &mut Body) -> Answer {
    let (user, key) = (body.text("userName"), body.text("apiKey"));
    bound(body, || {
        let right = user.eq_ignore_ascii_case(&gateway.user) && key == gateway.api_key;
        login_reply(right.then(|| gateway.issue_token()))
    })
}

/// `Auth/loginApp`: there is no application that may use it.
pub fn login_app(_gateway: &Gateway, body: &mut Body) -> Answer {
    for field in ["userName", "password", "deviceId", "appId", "verifyKey"] {
        body.text(field);
    }
    bound(body, || login_reply(None))
}

fn login_reply(token: Option<String>) -> String {
    let mut out = String::from("{\"token\":");
    let code = if token.is_some() { 0 } else { 3 };
    match token {
        Some(token) => push_string(&mut out, &token),
        None => out.push_str("null"),
    }
    out.push(',');
    envelope(&mut out, code, None);
    out
}

/// `Auth/validate` with the verdict on the token that came along.
pub fn validate(gateway: &Gateway, verdict: Result<(), Denied>) -> Answer {
    if verdict.is_err() {
        return (401, String::new());
    }
    let mut out = String::from("{\"newToken\":");
    push_string(&mut out, &gateway.issue_token());
    out.push(',');
    envelope(&mut out, 0, None);
    (200, out)
}

/// `Auth/logout` ends nothing: older tokens stay valid, as the vendor says.
pub fn logout() -> Answer {
    (200, plain(0, None))
}

fn account_search(gateway: &Gateway, body: &mut Body) -> Answer {
    let only_active = body.bool("onlyActiveAccounts");
    bound(body, || {
        let world = gateway.world.lock();
        let rows = world
            .exchange
            .accounts()
            .filter(|row| !only_active || (row.can_trade && row.visible));
        listed("accounts", rows, |out, row| {
            wire::account(Fields::rest(out), row);
        })
    })
}

fn write_contract(out: &mut String, row: &Contract) {
    wire::contract(Fields::rest(out), row);
}

fn contract_available(gateway: &Gateway, body: &mut Body) -> Answer {
    let live = body.bool("live");
    bound(body, || {
        let world = gateway.world.lock();
        listed(
            "contracts",
            world.exchange.contracts().all().iter().filter(|_| !live),
            write_contract,
        )
    })
}

/// Fuzzy, as the vendor's: any part of id, name or description; the products that begin so come first.
fn contract_search(gateway: &Gateway, body: &mut Body) -> Answer {
    let text = body
        .maybe_text("searchText")
        .unwrap_or_default()
        .to_ascii_uppercase();
    let live = body.bool("live");
    bound(body, || {
        let world = gateway.world.lock();
        let mut rows: Vec<&Contract> = world
            .exchange
            .contracts()
            .all()
            .iter()
            .filter(|row| {
                let hay =
                    format!("{} {} {}", row.id, row.name, row.description).to_ascii_uppercase();
                !live && hay.contains(&text)
            })
            .collect();
        rows.sort_by_key(|row| !row.name.starts_with(&text));
        rows.truncate(20);
        listed("contracts", rows, write_contract)
    })
}

fn contract_by_id(gateway: &Gateway, body: &mut Body) -> Answer {
    let id = body.text("contractId");
    bound(body, || {
        let world = gateway.world.lock();
        let table = world.exchange.contracts();
        let found = table
            .by_id(&id)
            .map(|index| table.get(index).clone())
            .or_else(|| table.inactive(&id));
        let mut out = String::from("{\"contract\":");
        match &found {
            Some(row) => write_contract(&mut out, row),
            None => out.push_str("null"),
        }
        out.push(',');
        envelope(&mut out, i32::from(found.is_none()), None);
        out
    })
}

const MAX_BARS: usize = 20_000;

fn retrieve_bars(gateway: &Gateway, body: &mut Body) -> Answer {
    let id = body.text("contractId");
    body.bool("live");
    let (from, to) = (body.time("startTime"), body.time("endTime"));
    let (unit, number, limit) = (body.int("unit"), body.int("unitNumber"), body.int("limit"));
    let partial = body.bool("includePartialBar");
    bound(body, || {
        let mut world = gateway.world.lock();
        let Some(index) = world.exchange.contracts().by_id(&id) else {
            let known = world.exchange.contracts().inactive(&id).is_some();
            return empty_list("bars", i32::from(!known));
        };
        let Some(unit) = bar_unit(unit) else {
            return empty_list("bars", 2);
        };
        if !(1..=10_000).contains(&number) {
            return empty_list("bars", 3);
        }
        if limit < 1 {
            return empty_list("bars", 4);
        }
        let limit = (limit as usize).min(MAX_BARS);
        bars_reply(
            &mut world,
            index,
            (unit, number as u32),
            (from, to),
            (limit, partial),
        )
    })
}

fn bar_unit(number: i64) -> Option<BarUnit> {
    Some(match number {
        1 => BarUnit::Second,
        2 => BarUnit::Minute,
        3 => BarUnit::Hour,
        4 => BarUnit::Day,
        5 => BarUnit::Week,
        6 => BarUnit::Month,
        _ => return None,
    })
}

fn bars_reply(
    world: &mut World,
    index: usize,
    (unit, number): (BarUnit, u32),
    (from, to): (i64, i64),
    (limit, partial): (usize, bool),
) -> String {
    world.pump();
    let now = world.clock.now();
    let occasion = Occasion {
        endpoint: "History/retrieveBars",
        ..Occasion::default()
    };
    let limit = if world.faults.hit("bars_cap", occasion).is_some() {
        limit.min(1_000)
    } else {
        limit
    };
    let partial = partial || world.faults.hit("partial_bar", occasion).is_some();
    // The end is inclusive on the wire; nothing of the future exists.
    let mut rows = world.bars(index, unit, number, from, to.saturating_add(1).min(now));
    rows.retain(|bar| {
        bar.at >= from && bar.at <= to && (partial || bars::bar_end(bar.at, unit, number) <= now)
    });
    let contract = world.exchange.contracts().get(index);
    listed("bars", rows.iter().rev().take(limit), |out, bar| {
        out.push_str("{\"t\":\"");
        push_time(out, bar.at, wire::REST_DIGITS);
        out.push('"');
        for (key, ticks) in [
            ("o", bar.open),
            ("h", bar.high),
            ("l", bar.low),
            ("c", bar.close),
        ] {
            let _ = write!(out, ",\"{key}\":{}", contract.price_text(ticks));
        }
        let _ = write!(out, ",\"v\":{}}}", bar.lots);
    })
}

fn command_reply(reply: &Reply) -> String {
    plain(reply.code, reply.message.as_deref())
}

/// Runs a command at the present state of the market and writes it down before anybody hears of it.
fn command(gateway: &Gateway, run: impl FnOnce(&mut World, i64) -> Reply) -> Reply {
    let mut world = gateway.world.lock();
    world.pump();
    let now = world.clock.now();
    let reply = run(&mut world, now);
    world.commit(now);
    reply
}

fn place(gateway: &Gateway, body: &mut Body) -> Answer {
    let request = Place {
        account: body.int("accountId"),
        contract_id: body.text("contractId"),
        kind: body.int("type"),
        side: body.int("side"),
        size: body.int("size"),
        limit: body.maybe_price("limitPrice"),
        stop: body.maybe_price("stopPrice"),
        trail: body.maybe_price("trailPrice"),
        tag: body.maybe_text("customTag").filter(|tag| !tag.is_empty()),
        stop_loss: body.maybe_bracket("stopLossBracket"),
        take_profit: body.maybe_bracket("takeProfitBracket"),
    };
    bound(body, || {
        let reply = command(gateway, |world, now| {
            if let Some(tag) = &request.tag {
                *world.counters.posts_by_tag.entry(tag.clone()).or_insert(0) += 1;
            }
            world.arm_exchange_faults();
            world.exchange.place(now, &request)
        });
        let mut out = String::from("{\"orderId\":");
        out.push_str(
            &reply
                .order
                .map_or_else(|| "null".to_owned(), |id| id.to_string()),
        );
        out.push(',');
        envelope(&mut out, reply.code, reply.message.as_deref());
        out
    })
}

fn modify(gateway: &Gateway, body: &mut Body) -> Answer {
    let request = Modify {
        account: body.int("accountId"),
        order: body.int("orderId"),
        size: body.maybe_int("size"),
        limit: body.maybe_price("limitPrice"),
        stop: body.maybe_price("stopPrice"),
        trail: body.maybe_price("trailPrice"),
    };
    bound(body, || {
        command_reply(&command(gateway, |world, now| {
            world.exchange.modify(now, &request)
        }))
    })
}

fn cancel(gateway: &Gateway, body: &mut Body) -> Answer {
    let (account, order) = (body.int("accountId"), body.int("orderId"));
    bound(body, || {
        command_reply(&command(gateway, |world, now| {
            world.arm_exchange_faults();
            world.exchange.cancel(now, account, order)
        }))
    })
}

fn close_contract(gateway: &Gateway, body: &mut Body) -> Answer {
    let (account, contract) = (body.int("accountId"), body.text("contractId"));
    bound(body, || {
        command_reply(&command(gateway, |world, now| {
            world.exchange.close(now, account, &contract)
        }))
    })
}

fn partial_close(gateway: &Gateway, body: &mut Body) -> Answer {
    let (account, contract, size) = (
        body.int("accountId"),
        body.text("contractId"),
        body.int("size"),
    );
    bound(body, || {
        command_reply(&command(gateway, |world, now| {
            world.exchange.partial_close(now, account, &contract, size)
        }))
    })
}

fn write_order(world: &World) -> impl FnMut(&mut String, &Order) + '_ {
    |out, row| {
        wire::order(
            Fields::rest(out),
            row,
            world.exchange.contracts().get(row.contract),
            false,
        );
    }
}

/// Runs `act` with the account's id, or answers code 1 with an empty list.
fn for_account(
    gateway: &Gateway,
    account: i64,
    name: &str,
    act: impl FnOnce(&World, i32) -> String,
) -> String {
    let mut world = gateway.world.lock();
    world.pump();
    match world.exchange.account(account).map(|row| row.rules.id) {
        Some(id) => act(&world, id),
        None => empty_list(name, 1),
    }
}

/// Oldest first; suspended legs are not shown.
fn order_search(gateway: &Gateway, body: &mut Body) -> Answer {
    let (account, from, to) = (
        body.int("accountId"),
        body.time("startTimestamp"),
        body.maybe_time("endTimestamp"),
    );
    bound(body, || {
        for_account(gateway, account, "orders", |world, id| {
            let rows = world.exchange.orders_of(id).filter(|row| {
                let inside = row.created >= from && to.is_none_or(|to| row.created <= to);
                inside && !matches!(row.status, Status::Suspended | Status::Pending)
            });
            listed("orders", rows, write_order(world))
        })
    })
}

fn order_search_open(gateway: &Gateway, body: &mut Body) -> Answer {
    let account = body.int("accountId");
    bound(body, || {
        for_account(gateway, account, "orders", |world, id| {
            let rows = world
                .exchange
                .working(id)
                .filter(|row| row.status == Status::Open);
            listed("orders", rows, write_order(world))
        })
    })
}

fn order_by_id(gateway: &Gateway, body: &mut Body) -> Answer {
    let (account, order) = (body.int("accountId"), body.int("orderId"));
    bound(body, || {
        let world = gateway.world.lock();
        let found = world
            .exchange
            .order(order)
            .filter(|row| i64::from(row.account) == account);
        let mut out = String::from("{\"order\":");
        match found {
            Some(row) => write_order(&world)(&mut out, row),
            None => out.push_str("null"),
        }
        out.push(',');
        envelope(&mut out, i32::from(found.is_none()), None);
        out
    })
}

/// What `Order/v2/query` asks for.
struct Query {
    account: i64,
    statuses: Option<Vec<i64>>,
    contract: Option<String>,
    after: Option<i64>,
    before: Option<i64>,
    size: usize,
    offset: usize,
    by_id: bool,
    descending: bool,
    count: bool,
}

fn read_query(body: &mut Body) -> Query {
    let mut filter = body.object("filter");
    let account = filter.int("accountId");
    let statuses = filter.maybe_ints("statuses");
    let contract = filter.maybe_text("contractId");
    let (after, before) = (
        filter.maybe_time("createdAfter"),
        filter.maybe_time("createdBefore"),
    );
    let known = statuses
        .iter()
        .flatten()
        .all(|status| (0..=8).contains(status));
    filter.check(known, "statuses", "A status is 0 to 8.");
    body.absorb(filter, "filter");
    let size = body.maybe_int("pageSize").unwrap_or(100);
    let offset = body.maybe_int("pageOffset").unwrap_or(0);
    let sort = body.maybe_int("sortBy").unwrap_or(0);
    let direction = body.maybe_int("sortDirection").unwrap_or(1);
    body.check(
        (1..=1_000).contains(&size),
        "pageSize",
        "The page size must be between 1 and 1000.",
    );
    body.check(
        offset >= 0,
        "pageOffset",
        "The page offset must not be negative.",
    );
    body.check(
        (0..=1).contains(&sort),
        "sortBy",
        "The sort field is 0 or 1.",
    );
    body.check(
        (0..=1).contains(&direction),
        "sortDirection",
        "The sort direction is 0 or 1.",
    );
    Query {
        account,
        statuses,
        contract,
        after,
        before,
        size: size as usize,
        offset: offset as usize,
        by_id: sort == 1,
        descending: direction == 1,
        count: body.maybe_bool("includeTotalCount").unwrap_or(false),
    }
}

fn order_query(gateway: &Gateway, body: &mut Body) -> Answer {
    let query = read_query(body);
    bound(body, || {
        for_account(gateway, query.account, "orders", |world, id| {
            run_query(world, id, &query)
        })
    })
}

fn run_query(world: &World, account: i32, query: &Query) -> String {
    let only_working = query
        .statuses
        .as_ref()
        .is_some_and(|wanted| wanted.iter().all(|s| matches!(s, 1 | 6 | 7 | 8)));
    let wanted = |row: &&Order| {
        let status = query
            .statuses
            .as_ref()
            .is_none_or(|wanted| wanted.contains(&(row.status as i64)));
        let contract = query
            .contract
            .as_ref()
            .is_none_or(|id| *id == row.contract_id);
        let after = query.after.is_none_or(|at| row.created >= at);
        status && contract && after && query.before.is_none_or(|at| row.created <= at)
    };
    // Working orders are few and indexed; a reconcile must not walk the whole history.
    let mut rows: Vec<&Order> = if only_working {
        world.exchange.working(account).filter(wanted).collect()
    } else {
        world.exchange.orders_of(account).filter(wanted).collect()
    };
    rows.sort_by_key(|row| {
        if query.by_id {
            (0, row.id)
        } else {
            (row.created, row.id)
        }
    });
    if query.descending {
        rows.reverse();
    }
    let total = rows.len();
    let mut out = String::from("{\"orders\":");
    array(
        &mut out,
        rows.into_iter().skip(query.offset).take(query.size),
        write_order(world),
    );
    let total = if query.count {
        total.to_string()
    } else {
        "null".to_owned()
    };
    let _ = write!(out, ",\"totalCount\":{total},");
    envelope(&mut out, 0, None);
    out
}

fn position_search(gateway: &Gateway, body: &mut Body) -> Answer {
    let account = body.int("accountId");
    bound(body, || {
        for_account(gateway, account, "positions", |world, id| {
            listed("positions", world.exchange.positions_of(id), |out, row| {
                wire::position(
                    Fields::rest(out),
                    row,
                    world.exchange.contracts().get(row.contract),
                );
            })
        })
    })
}

/// Newest first.
fn trade_search(gateway: &Gateway, body: &mut Body) -> Answer {
    let account = body.int("accountId");
    let (from, to) = (
        body.maybe_time("startTimestamp"),
        body.maybe_time("endTimestamp"),
    );
    bound(body, || {
        for_account(gateway, account, "trades", |world, id| {
            let inside =
                |at: i64| from.is_none_or(|from| at >= from) && to.is_none_or(|to| at <= to);
            let rows = world
                .exchange
                .trades_of(id)
                .iter()
                .rev()
                .filter(|row| inside(row.at));
            listed("trades", rows, |out, row| {
                wire::trade(
                    Fields::rest(out),
                    row,
                    world.exchange.contracts().get(row.contract),
                );
            })
        })
    })
}
