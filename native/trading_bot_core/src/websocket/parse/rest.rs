//! Bodies of REST answers: the envelope and the rows in it.

use super::super::json::{Cursor, Value};
use super::user::{self, Row};
use super::{Counters, Oddity};
use crate::types::{
    BrokerAccount, BrokerBar, BrokerContract, BrokerOrder, BrokerPosition, BrokerTrade, OrderId,
};

/// What every answer says about itself (protocol section 5: codes mean different things per endpoint).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    pub success: bool,
    pub error_code: i64,
    pub error_message: Option<String>,
    /// Only in answers to `Order/place`; a refused order may have one too.
    pub order_id: Option<OrderId>,
    /// `token` or `newToken` of the login answers. Secret: never logged.
    pub token: Option<String>,
}

/// The rows of one answer. Rows that could not be read are counted, so that a reader never takes an incomplete list for a whole one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows<T> {
    pub envelope: Envelope,
    pub rows: Vec<T>,
    pub unreadable: usize,
}

/// Why a body is no answer of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestError {
    #[error("The body is not a JSON object.")]
    NotJson,
    #[error("The answer does not say whether it succeeded.")]
    NoEnvelope,
}

/// Reads the envelope of any answer.
pub fn rest_envelope(body: &[u8]) -> Result<Envelope, RestError> {
    top(body).and_then(|row| envelope(&row))
}

/// `orders[]` or, for `searchById`, `order`.
pub fn rest_orders(body: &[u8]) -> Result<Rows<BrokerOrder>, RestError> {
    rows(body, "orders", "order", |row, counters| {
        user::order(row, None, counters)
    })
}

/// `trades[]`, as sent: newest first.
pub fn rest_trades(body: &[u8]) -> Result<Rows<BrokerTrade>, RestError> {
    rows(body, "trades", "trade", user::trade)
}

/// `positions[]`.
pub fn rest_positions(body: &[u8]) -> Result<Rows<BrokerPosition>, RestError> {
    rows(body, "positions", "position", |row, counters| {
        user::position(row, None, counters)
    })
}

/// `accounts[]`.
pub fn rest_accounts(body: &[u8]) -> Result<Rows<BrokerAccount>, RestError> {
    rows(body, "accounts", "account", user::account)
}

/// `contracts[]` or, for `searchById`, `contract`.
pub fn rest_contracts(body: &[u8]) -> Result<Rows<BrokerContract>, RestError> {
    rows(body, "contracts", "contract", user::contract)
}

/// `bars[]`, as sent: newest first.
pub fn rest_bars(body: &[u8]) -> Result<Rows<BrokerBar>, RestError> {
    rows(body, "bars", "bar", user::bar)
}

fn top(body: &[u8]) -> Result<Row<'_>, RestError> {
    let mut cursor = Cursor::new(body);
    let row = Row::read(&mut cursor).ok_or(RestError::NotJson)?;
    // A cut or doubled body is no answer, even when its first object can be read.
    if cursor.is_at_end() {
        Ok(row)
    } else {
        Err(RestError::NotJson)
    }
}

fn envelope(row: &Row<'_>) -> Result<Envelope, RestError> {
    let text = |name| row.get(name).and_then(Value::text);
    Ok(Envelope {
        success: row
            .get("success")
            .and_then(Value::flag)
            .ok_or(RestError::NoEnvelope)?,
        error_code: row.get("errorCode").and_then(Value::integer).unwrap_or(0),
        error_message: text("errorMessage"),
        order_id: row.get("orderId").and_then(Value::integer).map(OrderId),
        token: text("token").or_else(|| text("newToken")),
    })
}

fn rows<T>(
    body: &[u8],
    list: &str,
    single: &str,
    make: impl Fn(&Row<'_>, &mut Counters) -> Option<T>,
) -> Result<Rows<T>, RestError> {
    let answer = top(body)?;
    let mut found = Rows {
        envelope: envelope(&answer)?,
        rows: Vec::new(),
        unreadable: 0,
    };
    let Some(Value::Nested(text)) = answer.get(list).or_else(|| answer.get(single)) else {
        // Silence is not an empty list: absence would be proven by an answer that says nothing.
        found.unreadable = usize::from(found.envelope.success);
        return Ok(found);
    };
    let mut counters = Counters::default();
    let mut take = |cursor: &mut Cursor<'_>| {
        let row = if cursor.peek()? == b'{' {
            make(&Row::read(cursor)?, &mut counters)
        } else {
            cursor.value().and(None)
        };
        match row {
            Some(row) => found.rows.push(row),
            None => found.unreadable += 1,
        }
        Some(())
    };
    let mut cursor = Cursor::new(text);
    let read = if cursor.peek() == Some(b'[') {
        cursor.elements(&mut take)
    } else {
        take(&mut cursor)
    };
    if read.is_none() {
        counters.note(Oddity::Malformed);
        return Err(RestError::NotJson);
    }
    Ok(found)
}
