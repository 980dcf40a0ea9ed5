//! The bodies of requests: exact text, prices with the grid's own digits, no float anywhere.

use std::fmt::Write as _;

use crate::engine::contract::Draft;
use crate::order_execution::order::{Order, Values};
use crate::types::{
    AccountId, BrokerOrder, BrokerTrade, Contract, Nanos, OrderId, OrderKind, Side, Ticks,
};

/// Enough for every body of an order, so that none grows while it is written.
const ROOM: usize = 320;

/// A broker row whose contract is not known yet; it is applied as soon as it is.
#[expect(
    clippy::large_enum_variant,
    reason = "a handful of rows, held for one answer"
)]
#[derive(Clone, Debug)]
pub enum Held {
    Order(BrokerOrder, bool),
    Trade(BrokerTrade),
}

/// `Order/place`. `last` is needed by a trailing stop only: the broker measures the distance from it.
pub fn place(draft: &Draft, contract: &Contract, last: Option<Ticks>) -> String {
    let mut body = String::with_capacity(ROOM);
    // A string takes every write.
    let _ = write!(
        body,
        r#"{{"accountId":{},"contractId":{},"type":{},"side":{},"size":{}"#,
        draft.account.0,
        json_text(&draft.contract_id),
        draft.kind.to_wire(),
        draft.side.to_wire(),
        draft.size.0,
    );
    price_field(&mut body, "limitPrice", draft.limit, contract);
    price_field(&mut body, "stopPrice", draft.stop, contract);
    if draft.kind == OrderKind::TrailingStop {
        let level = trail_level(draft.side, draft.trail, last);
        price_field(&mut body, "trailPrice", level, contract);
    }
    let _ = write!(body, r#","customTag":"{}""#, draft.tag.as_str());
    // Signed from the fill: a long's stop lies below and its target above.
    let sign = draft.side.sign();
    if let Some(ticks) = draft.stop_bracket_ticks {
        let _ = write!(
            body,
            r#","stopLossBracket":{{"ticks":{},"type":4}}"#,
            ticks.saturating_mul(-sign)
        );
    }
    if let Some(ticks) = draft.target_bracket_ticks {
        let _ = write!(
            body,
            r#","takeProfitBracket":{{"ticks":{},"type":1}}"#,
            ticks.saturating_mul(sign)
        );
    }
    body.push('}');
    body
}

/// `Order/modify`; values that are not wanted are left out.
pub fn modify(order: &Order, values: Values, contract: &Contract, last: Option<Ticks>) -> String {
    let id = order.order_id.unwrap_or(OrderId(0));
    let mut body = String::with_capacity(ROOM);
    let _ = write!(
        body,
        r#"{{"accountId":{},"orderId":{}"#,
        order.account.0, id.0
    );
    if let Some(size) = values.size {
        let _ = write!(body, r#","size":{size}"#);
    }
    price_field(&mut body, "limitPrice", values.limit.map(Ticks), contract);
    price_field(&mut body, "stopPrice", values.stop.map(Ticks), contract);
    let level = trail_level(order.side, values.trail.map(Ticks), last);
    price_field(&mut body, "trailPrice", level, contract);
    body.push('}');
    body
}

/// The price level from which the broker computes a trail's distance.
fn trail_level(side: Side, trail: Option<Ticks>, last: Option<Ticks>) -> Option<Ticks> {
    last?.checked_offset(side.sign() * trail?.0)
}

/// `Order/cancel` and `Order/searchById`.
pub fn order_ref(account: AccountId, order: OrderId) -> String {
    format!(r#"{{"accountId":{},"orderId":{}}}"#, account.0, order.0)
}

/// `Position/searchOpen`.
pub fn account_ref(account: AccountId) -> String {
    format!(r#"{{"accountId":{}}}"#, account.0)
}

/// `Order/search` and `Trade/search`.
pub fn since(account: AccountId, start: Nanos) -> String {
    format!(
        r#"{{"accountId":{},"startTimestamp":"{}"}}"#,
        account.0,
        start.to_iso()
    )
}

/// `Order/v2/query` for everything that lives: open, pending, pending cancellation, suspended.
pub fn living_orders(account: AccountId) -> String {
    format!(
        r#"{{"filter":{{"accountId":{},"statuses":[1,6,7,8]}},"pageSize":1000}}"#,
        account.0
    )
}

/// `Position/closeContract`, or its partial form with a size.
pub fn close(account: AccountId, contract: &Contract, size: Option<i64>) -> String {
    let mut body = format!(
        r#"{{"accountId":{},"contractId":{}"#,
        account.0,
        json_text(&contract.id)
    );
    if let Some(size) = size {
        let _ = write!(body, r#","size":{size}"#);
    }
    body.push('}');
    body
}

fn price_field(body: &mut String, name: &str, price: Option<Ticks>, contract: &Contract) {
    if let Some(ticks) = price {
        let _ = write!(body, r#","{name}":{}"#, contract.price_text(ticks));
    }
}

/// A JSON string; foreign text (contract ids, search words) may hold anything.
pub fn json_text(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}
