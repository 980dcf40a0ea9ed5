//! Rows of the user hub, and the same rows in REST answers.

use super::super::json::{Cursor, Value};
use super::{Counters, Oddity, UserEvent};
use crate::types::sane::{LOTS_MAX, MONEY_MAX};
use crate::types::{
    AccountId, BrokerAccount, BrokerBar, BrokerContract, BrokerOrder, BrokerPosition, BrokerTrade,
    Decimal, Lots, Money, Nanos, OrderId, OrderKind, OrderStatus, Side, TradeId,
};

/// One JSON object as a list of its members.
pub(super) struct Row<'a> {
    members: Vec<(&'a [u8], Value<'a>)>,
}

impl<'a> Row<'a> {
    /// Reads the object at the cursor.
    pub(super) fn read(cursor: &mut Cursor<'a>) -> Option<Self> {
        let mut members = Vec::with_capacity(24);
        cursor.members(|key, inner| {
            members.push((key, inner.value()?));
            Some(())
        })?;
        Some(Self { members })
    }

    /// The member of that name in any case; nulls count as absent.
    pub(super) fn get(&self, name: &str) -> Option<Value<'a>> {
        let found = self
            .members
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name.as_bytes()));
        found
            .map(|(_, value)| *value)
            .filter(|value| *value != Value::Null)
    }

    fn text(&self, name: &str) -> Option<String> {
        self.get(name).and_then(Value::text)
    }

    fn text_or_empty(&self, name: &str) -> String {
        self.text(name).unwrap_or_default()
    }

    fn flag(&self, name: &str) -> Option<bool> {
        self.get(name).and_then(Value::flag)
    }
}

/// A number that no broker means.
struct NotMeant;

/// Reads fields of one row and counts what cannot be used.
struct Fields<'r, 'a> {
    row: &'r Row<'a>,
    counters: &'r mut Counters,
}

impl<'a> Fields<'_, 'a> {
    fn convert<T>(&mut self, name: &str, read: impl FnOnce(Value<'a>) -> Option<T>) -> Option<T> {
        let value = self.row.get(name)?;
        let result = read(value);
        if result.is_none() {
            self.counters.note(Oddity::UnreadableField);
        }
        result
    }

    fn decimal(&mut self, name: &str) -> Option<Decimal> {
        self.note_quotes(name);
        self.convert(name, Value::decimal)
    }

    fn integer(&mut self, name: &str) -> Option<i64> {
        self.note_quotes(name);
        self.convert(name, Value::integer)
    }

    fn note_quotes(&mut self, name: &str) {
        if matches!(self.row.get(name), Some(Value::Text(_))) {
            self.counters.note(Oddity::NumberAsText);
        }
    }

    /// A number of lots, if it is stated; one that cannot be meant takes its row with it.
    fn lots(&mut self, name: &str) -> Result<Option<Lots>, NotMeant> {
        let is_stated = self.row.get(name).is_some();
        let lots = self.integer(name);
        let is_meant = |lots| (-LOTS_MAX..=LOTS_MAX).contains(&lots);
        self.meant(lots.map_or(!is_stated, is_meant))?;
        Ok(lots.map(Lots))
    }

    /// An amount of money, as `lots`.
    fn money(&mut self, name: &str) -> Result<Option<Money>, NotMeant> {
        let Some(written) = self.decimal(name) else {
            return Ok(None);
        };
        let money = written.to_money();
        let is_meant = money.is_some_and(|it| (-MONEY_MAX..=MONEY_MAX).contains(&it.0));
        self.meant(is_meant)?;
        Ok(money)
    }

    fn meant(&mut self, is_meant: bool) -> Result<(), NotMeant> {
        if is_meant {
            return Ok(());
        }
        self.counters.note(Oddity::UnreadableField);
        Err(NotMeant)
    }

    fn stamp(&mut self, name: &str) -> Option<Nanos> {
        self.convert(name, |value| match value {
            Value::Text(text) => Nanos::from_iso(text),
            _ => None,
        })
    }

    fn account(&mut self, name: &str) -> Option<AccountId> {
        self.integer(name)
            .and_then(|id| i32::try_from(id).ok())
            .map(AccountId)
    }

    fn enumeration<T>(&mut self, name: &str, read: impl FnOnce(i64) -> Option<T>) -> Option<T> {
        let number = self.integer(name)?;
        let value = read(number);
        if value.is_none() {
            self.counters.note(Oddity::UnknownEnum);
        }
        value
    }
}

/// Reads the argument list of a user message; `None` when it is not JSON.
pub(super) fn rows(
    target: &[u8],
    cursor: &mut Cursor<'_>,
    counters: &mut Counters,
    sink: &mut impl FnMut(UserEvent),
) -> Option<()> {
    let make: fn(&Row<'_>, Option<i64>, &mut Counters) -> Option<UserEvent> = match target {
        b"GatewayUserOrder" => {
            |row, action, counters| order(row, action, counters).map(UserEvent::Order)
        }
        b"GatewayUserTrade" => |row, _, counters| trade(row, counters).map(UserEvent::Trade),
        b"GatewayUserPosition" => {
            |row, action, counters| position(row, action, counters).map(UserEvent::Position)
        }
        b"GatewayUserAccount" => |row, _, counters| account(row, counters).map(UserEvent::Account),
        _ => {
            counters.note(Oddity::UnknownTarget);
            return Some(());
        }
    };
    let mut on_row = |row: &Row<'_>, action: Option<i64>, counters: &mut Counters| match make(
        row, action, counters,
    ) {
        Some(event) => sink(event),
        None => counters.note(Oddity::UnreadableRow),
    };
    cursor.elements(|inner| argument(inner, counters, &mut on_row, 0))
}

/// One argument: a row, a wrapped row, a list of either, or something to pass over. Lists inside lists are read two deep.
fn argument(
    cursor: &mut Cursor<'_>,
    counters: &mut Counters,
    on_row: &mut impl FnMut(&Row<'_>, Option<i64>, &mut Counters),
    depth: u8,
) -> Option<()> {
    match cursor.peek()? {
        b'{' => {
            let row = Row::read(cursor)?;
            unwrap_row(&row, counters, on_row, depth)
        }
        b'[' if depth < 2 => {
            counters.note(Oddity::ListedRows);
            cursor.elements(|inner| argument(inner, counters, &mut *on_row, depth + 1))
        }
        _ => {
            let oddity = if cursor.value()? == Value::Null {
                Oddity::NullRow
            } else {
                Oddity::UnreadableRow
            };
            counters.note(oddity);
            Some(())
        }
    }
}

fn unwrap_row(
    row: &Row<'_>,
    counters: &mut Counters,
    on_row: &mut impl FnMut(&Row<'_>, Option<i64>, &mut Counters),
    depth: u8,
) -> Option<()> {
    let Some(Value::Nested(data)) = row.get("data") else {
        counters.note(Oddity::BareRow);
        on_row(row, None, counters);
        return Some(());
    };
    let action = row.get("action").and_then(Value::integer);
    let mut cursor = Cursor::new(data);
    if depth < 2 && cursor.peek() == Some(b'[') {
        counters.note(Oddity::ListedRows);
        return cursor.elements(|inner| {
            let row = Row::read(inner)?;
            on_row(&row, action, counters);
            Some(())
        });
    }
    let inner = Row::read(&mut cursor)?;
    on_row(&inner, action, counters);
    Some(())
}

pub(super) fn order(
    row: &Row<'_>,
    action: Option<i64>,
    counters: &mut Counters,
) -> Option<BrokerOrder> {
    let mut fields = Fields { row, counters };
    // One report has `orderId` in the place of `id`.
    let id = fields.integer("id").or_else(|| fields.integer("orderId"))?;
    let status = OrderStatus::from_wire(fields.integer("status").unwrap_or(0));
    if matches!(status, OrderStatus::Other(_)) {
        fields.counters.note(Oddity::UnknownEnum);
    }
    Some(BrokerOrder {
        id: OrderId(id),
        account_id: fields.account("accountId"),
        contract_id: row.text_or_empty("contractId"),
        symbol_id: row.text_or_empty("symbolId"),
        created: fields.stamp("creationTimestamp"),
        updated: fields.stamp("updateTimestamp"),
        status,
        kind: fields.enumeration("type", OrderKind::from_wire),
        side: fields.enumeration("side", Side::from_wire),
        size: fields.lots("size").ok()?,
        filled: fields.lots("fillVolume").ok()?,
        limit_price: fields.decimal("limitPrice"),
        stop_price: fields.decimal("stopPrice"),
        filled_price: fields.decimal("filledPrice"),
        custom_tag: row.text("customTag"),
        trail_distance: fields.integer("trailDistance"),
        trail_price: fields.decimal("trailPrice"),
        parent_id: fields.integer("parentOrderId").map(OrderId),
        linked_id: fields.integer("linkedOrderId").map(OrderId),
        action,
    })
}

pub(super) fn trade(row: &Row<'_>, counters: &mut Counters) -> Option<BrokerTrade> {
    let mut fields = Fields { row, counters };
    Some(BrokerTrade {
        id: TradeId(fields.integer("id")?),
        account_id: fields.account("accountId")?,
        contract_id: row.text_or_empty("contractId"),
        created: fields.stamp("creationTimestamp"),
        price: fields.decimal("price")?,
        profit_and_loss: fields.money("profitAndLoss").ok()?,
        fees: fields.money("fees").ok()?.unwrap_or_default(),
        commissions: fields.money("commissions").ok()?.unwrap_or_default(),
        side: fields.enumeration("side", Side::from_wire)?,
        size: fields.lots("size").ok()?.filter(|lots| lots.0 > 0)?,
        is_voided: row.flag("voided").unwrap_or(false),
        order_id: fields.integer("orderId").map(OrderId),
    })
}

pub(super) fn position(
    row: &Row<'_>,
    action: Option<i64>,
    counters: &mut Counters,
) -> Option<BrokerPosition> {
    let mut fields = Fields { row, counters };
    let size = fields.lots("size").ok()??.0.abs();
    let direction = match fields.integer("type")? {
        1 => 1,
        2 => -1,
        0 => 0,
        _ => {
            fields.counters.note(Oddity::UnknownEnum);
            return None;
        }
    };
    // Action 2 announces the end of a position, whatever size is repeated beside it.
    let net = if action == Some(2) {
        0
    } else {
        direction * size
    };
    if net == 0 && size != 0 && action != Some(2) {
        return None;
    }
    Some(BrokerPosition {
        id: fields.integer("id").unwrap_or(0),
        account_id: fields.account("accountId")?,
        contract_id: row.text("contractId")?,
        created: fields.stamp("creationTimestamp"),
        net: Lots(net),
        average_price: fields.decimal("averagePrice"),
    })
}

pub(super) fn account(row: &Row<'_>, counters: &mut Counters) -> Option<BrokerAccount> {
    let mut fields = Fields { row, counters };
    Some(BrokerAccount {
        id: fields.account("id")?,
        name: row.text_or_empty("name"),
        balance: fields.money("balance").ok()?,
        can_trade: row.flag("canTrade").unwrap_or(false),
        is_visible: row.flag("isVisible").unwrap_or(true),
        is_simulated: row.flag("simulated").unwrap_or(false),
    })
}

pub(super) fn contract(row: &Row<'_>, counters: &mut Counters) -> Option<BrokerContract> {
    let mut fields = Fields { row, counters };
    Some(BrokerContract {
        id: row.text("id")?,
        name: row.text_or_empty("name"),
        description: row.text_or_empty("description"),
        tick_size: fields.decimal("tickSize")?,
        tick_value: fields.decimal("tickValue")?,
        is_active: row.flag("activeContract").unwrap_or(false),
        symbol_id: row.text_or_empty("symbolId"),
    })
}

pub(super) fn bar(row: &Row<'_>, counters: &mut Counters) -> Option<BrokerBar> {
    let mut fields = Fields { row, counters };
    Some(BrokerBar {
        time: fields.stamp("t")?,
        open: fields.decimal("o")?,
        high: fields.decimal("h")?,
        low: fields.decimal("l")?,
        close: fields.decimal("c")?,
        volume: Lots(fields.integer("v")?),
    })
}
