//! The broker's counter: what each request of the protocol does and answers.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::broker::{ACCOUNTS, Broker, Secret, blank, contract_rows};
use super::faults::Fault;
use crate::engine::contract::{Endpoint, Envelope, Rows};
use crate::types::{AccountId, BrokerOrder, Decimal, Lots, Nanos, OrderKind, OrderStatus, Side};

const BRACKETS_OFF: &str =
    "Brackets cannot be used with Position Brackets. You must enable Auto OCO Brackets.";

#[derive(Deserialize)]
struct Bracket {
    ticks: i64,
}

/// The fields of every request's body.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Body<'a> {
    account_id: Option<i32>,
    #[serde(borrow)]
    contract_id: Option<std::borrow::Cow<'a, str>>,
    order_id: Option<i64>,
    #[serde(rename = "type")]
    kind: Option<i64>,
    side: Option<i64>,
    size: Option<i64>,
    #[serde(borrow)]
    limit_price: Option<&'a RawValue>,
    #[serde(borrow)]
    stop_price: Option<&'a RawValue>,
    #[serde(borrow)]
    pub custom_tag: Option<&'a str>,
    #[serde(borrow)]
    start_timestamp: Option<&'a str>,
    stop_loss_bracket: Option<Bracket>,
    take_profit_bracket: Option<Bracket>,
    filter: Option<Filter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filter {
    account_id: i32,
}

impl<'a> Body<'a> {
    pub(super) fn read(text: &'a str) -> Self {
        serde_json::from_str(text).expect("the engine writes bodies in JSON")
    }

    pub(super) fn account(&self) -> AccountId {
        let stated = self
            .account_id
            .or(self.filter.as_ref().map(|f| f.account_id));
        AccountId(stated.unwrap_or(0))
    }

    pub(super) fn contract(&self) -> &str {
        self.contract_id.as_deref().unwrap_or("")
    }

    pub(super) fn order(&self) -> Option<i64> {
        self.order_id
    }

    pub(super) fn lots(&self) -> Option<i64> {
        self.size
    }

    pub(super) fn side(&self) -> Option<Side> {
        self.side.and_then(Side::from_wire)
    }
}

fn decimal(raw: Option<&RawValue>) -> Option<Decimal> {
    Decimal::parse(raw?.get().as_bytes())
}

fn good(order_id: Option<i64>) -> Envelope {
    Envelope {
        success: true,
        order_id,
        ..Envelope::default()
    }
}

fn bad(code: i64, text: &str) -> Envelope {
    Envelope {
        error_code: code,
        error_message: text.into(),
        ..Envelope::default()
    }
}

/// Trouble that strikes at the counter: whether it does is asked once for each occasion.
pub(super) trait Fates {
    fn strikes(&mut self, fault: Fault) -> bool;
}

impl Broker {
    /// Does what one request asks.
    pub(super) fn answer(
        &mut self,
        endpoint: Endpoint,
        body: &str,
        now: Nanos,
        fates: &mut dyn Fates,
    ) -> (Envelope, Rows) {
        let body = Body::read(body);
        match endpoint {
            Endpoint::Place => (self.place(&body, now, fates), Rows::None),
            Endpoint::Cancel => (self.cancel(&body, now, fates), Rows::None),
            Endpoint::Modify => (self.modify(&body, now, fates), Rows::None),
            Endpoint::CloseContract | Endpoint::PartialCloseContract => {
                (self.close(&body, now), Rows::None)
            }
            _ => self.read(endpoint, &body),
        }
    }

    fn read(&self, endpoint: Endpoint, body: &Body<'_>) -> (Envelope, Rows) {
        let account = body.account();
        let since = body.start_timestamp.unwrap_or("");
        let since = Nanos::from_iso(since.as_bytes()).unwrap_or(Nanos(0));
        let is_recent = |at: Option<Nanos>| at.is_some_and(|at| at >= since);
        let orders = |matches: &dyn Fn(&BrokerOrder) -> bool| {
            let mine = self.orders.iter().filter(|o| o.account_id == Some(account));
            Rows::Orders(mine.filter(|order| matches(order)).cloned().collect())
        };
        let rows = match endpoint {
            Endpoint::AccountSearch => {
                Rows::Accounts(ACCOUNTS.map(|id| self.account_row(id)).to_vec())
            }
            Endpoint::ContractById => match Self::slot_of(body.contract()) {
                Some(slot) => Rows::Contracts(vec![contract_rows().swap_remove(slot)]),
                None => return (bad(self.strange_code, ""), Rows::None),
            },
            Endpoint::ContractAvailable | Endpoint::ContractSearch => {
                Rows::Contracts(contract_rows())
            }
            Endpoint::OrderQuery => orders(&|order| !order.status.is_terminal()),
            Endpoint::OrderSearch => orders(&|order| is_recent(order.created)),
            Endpoint::OrderById => orders(&|order| Some(order.id.0) == body.order_id),
            Endpoint::TradeSearch => {
                let mine = self.trades.iter().filter(|t| t.account_id == account);
                Rows::Trades(mine.filter(|t| is_recent(t.created)).cloned().collect())
            }
            Endpoint::PositionSearch => {
                let rows = (0..2).map(|slot| self.position(account, slot));
                let open = rows.filter(|row| row.net.0 != 0);
                let strange = self
                    .stranger
                    .clone()
                    .filter(|row| row.account_id == account);
                Rows::Positions(open.chain(strange).collect())
            }
            _ => Rows::Bars(Vec::new()),
        };
        (good(None), rows)
    }

    fn place(&mut self, body: &Body<'_>, now: Nanos, fates: &mut dyn Fates) -> Envelope {
        let (Some(kind), Some(side), Some(size)) = (
            body.kind.and_then(OrderKind::from_wire),
            body.side(),
            body.size,
        ) else {
            return bad(2, "malformed");
        };
        let account = body.account();
        if self.locked.contains(&account) {
            return bad(4, "Trading is locked.");
        }
        let tag = body.custom_tag.map(str::to_owned);
        let is_known = |order: &BrokerOrder| order.custom_tag == tag;
        if !self.takes_known_tags && tag.is_some() && self.orders.iter().any(is_known) {
            return bad(2, "tag in use");
        }
        let has_bracket = body.stop_loss_bracket.is_some() || body.take_profit_bracket.is_some();
        if has_bracket && self.has_wrong_bracket_mode {
            return bad(2, BRACKETS_OFF);
        }
        let order = BrokerOrder {
            limit_price: decimal(body.limit_price),
            stop_price: decimal(body.stop_price),
            custom_tag: tag,
            ..blank(account, body.contract(), side, kind, size, now)
        };
        let index = self.add(order, Secret::default());
        self.add_legs(index, body, now, fates);
        self.tell(index);
        if fates.strikes(Fault::LateReject) {
            self.end(index, OrderStatus::Rejected, now);
        } else if kind == OrderKind::Market {
            let is_part = size > 1 && fates.strikes(Fault::PartialFill);
            self.fill(index, if is_part { 1 } else { size }, now);
        }
        good(Some(self.orders[index].id.0))
    }

    fn add_legs(&mut self, entry: usize, body: &Body<'_>, now: Nanos, fates: &mut dyn Fates) {
        let parent = self.orders[entry].clone();
        let Some(side) = parent.side.map(Side::opposite) else {
            return;
        };
        let leg = |kind, suffix: &str| BrokerOrder {
            status: OrderStatus::Suspended,
            side: Some(side),
            kind: Some(kind),
            limit_price: None,
            stop_price: None,
            created: Some(now),
            custom_tag: parent
                .custom_tag
                .as_ref()
                .map(|tag| format!("{tag}{suffix}")),
            parent_id: Some(parent.id),
            ..parent.clone()
        };
        let secret = Secret {
            ignores_oco: fates.strikes(Fault::BothLegsFill),
            ..Secret::default()
        };
        if body
            .stop_loss_bracket
            .as_ref()
            .is_some_and(|b| b.ticks != 0)
        {
            let at = self.add(leg(OrderKind::Stop, "-SL"), secret);
            self.secrets[entry].stop_leg = Some(at);
            self.tell(at);
        }
        if body
            .take_profit_bracket
            .as_ref()
            .is_some_and(|b| b.ticks != 0)
        {
            let at = self.add(leg(OrderKind::Limit, "-TP"), secret);
            self.secrets[entry].target_leg = Some(at);
            self.tell(at);
        }
        let has_legs = self.secrets[entry].stop_leg.is_some();
        self.secrets[entry].loses_legs = has_legs && fates.strikes(Fault::MissingLegs);
    }

    fn living(&self, id: Option<i64>) -> Option<usize> {
        let at = self
            .orders
            .iter()
            .position(|order| Some(order.id.0) == id)?;
        (!self.orders[at].status.is_terminal()).then_some(at)
    }

    fn cancel(&mut self, body: &Body<'_>, now: Nanos, fates: &mut dyn Fates) -> Envelope {
        let Some(index) = self.living(body.order_id) else {
            return bad(2, "Order is not open.");
        };
        if fates.strikes(Fault::FillDuringChange) && self.is_working(index) {
            self.fill(index, i64::MAX, now);
            return bad(3, "Order is filled.");
        }
        let is_stuck = !self.secrets[index].is_stuck && fates.strikes(Fault::StuckCancel);
        if is_stuck && self.orders[index].status == OrderStatus::Open {
            self.secrets[index].is_stuck = true;
            self.orders[index].status = OrderStatus::PendingCancellation;
            self.orders[index].updated = Some(now);
            self.tell(index);
            return good(None);
        }
        self.end(index, OrderStatus::Cancelled, now);
        good(None)
    }

    fn modify(&mut self, body: &Body<'_>, now: Nanos, fates: &mut dyn Fates) -> Envelope {
        let Some(index) = self.living(body.order_id) else {
            return bad(3, "Order is not open.");
        };
        if fates.strikes(Fault::FillDuringChange) && self.is_working(index) {
            self.fill(index, 1, now);
        }
        let order = &mut self.orders[index];
        if order.status.is_terminal() {
            return bad(3, "Order is filled.");
        }
        order.limit_price = decimal(body.limit_price).or(order.limit_price);
        order.stop_price = decimal(body.stop_price).or(order.stop_price);
        let filled = order.filled.map_or(0, |lots| lots.0);
        if let Some(size) = body.size {
            if size <= filled {
                return bad(3, "Size is not above the filled lots.");
            }
            order.size = Some(Lots(size));
        }
        order.updated = Some(now);
        self.tell(index);
        good(None)
    }

    fn close(&mut self, body: &Body<'_>, now: Nanos) -> Envelope {
        let account = body.account();
        let Some(slot) = Self::slot_of(body.contract()) else {
            return bad(3, "No such contract.");
        };
        let net = self.nets.get(&(account, slot)).copied().unwrap_or(0);
        if net == 0 {
            return bad(2, "No position.");
        }
        let side = if net > 0 { Side::Sell } else { Side::Buy };
        let lots = body.size.unwrap_or(i64::MAX).min(net.abs());
        let order = blank(account, body.contract(), side, OrderKind::Market, lots, now);
        let index = self.add(order, Secret::default());
        self.fill(index, lots, now);
        good(None)
    }
}
