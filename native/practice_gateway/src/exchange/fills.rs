//! What a fill does: order, trade, position, money.

use crate::exchange::Exchange;
use crate::exchange::model::{Event, Position, Status, Trade};
use crate::exchange::money::div_half_even;
use crate::feed::Side;

impl Exchange {
    /// Fills `lots` of an order at `ticks`. Events per fill: trade, order, position, account.
    pub(super) fn execute(&mut self, id: i64, lots: i64, ticks: i64, at: i64) {
        debug_assert!(lots > 0, "a fill has lots");
        let Some(order) = self.orders.get_mut(&id) else {
            return;
        };
        debug_assert!(
            lots <= order.remaining(),
            "an order never fills beyond its size"
        );
        order.filled += lots;
        order.fill_ticks_lots += lots * ticks;
        order.updated = at;
        if order.remaining() == 0 {
            order.status = Status::Filled;
        }
        let order = order.clone();
        if order.status == Status::Filled {
            self.unrest(&order);
            self.working.entry(order.account).or_default().remove(&id);
        }
        let key = (order.account, order.contract);
        let held = self.positions.get(&key).map_or(0, |position| position.lots);
        let signed = if order.side == Side::Bid { 1 } else { -1 };
        let closing = if held.signum() == -signed {
            lots.min(held.abs())
        } else {
            0
        };
        for (part, closes) in [(closing, true), (lots - closing, false)] {
            if part > 0 {
                self.trade_part(&order, part, ticks, at, closes);
            }
        }
        if self.children.contains_key(&id) && !self.to_activate.contains(&id) {
            self.to_activate.push(id);
        }
        self.leg_filled(id, at);
    }

    fn trade_part(
        &mut self,
        order: &crate::exchange::model::Order,
        lots: i64,
        ticks: i64,
        at: i64,
        closes: bool,
    ) {
        let contract = self.contracts.get(order.contract);
        let (fees, commissions) = (contract.fee_1e4 * lots, contract.commission_1e4 * lots);
        let (position, pnl) = if closes {
            self.reduce_position(order.account, order.contract, lots, ticks)
        } else {
            (self.grow_position(order, lots, ticks, at), None)
        };
        let trade = Trade {
            id: self.next_trade,
            account: order.account,
            contract: order.contract,
            contract_id: order.contract_id.clone(),
            at,
            ticks,
            pnl_1e4: pnl,
            fees_1e4: fees,
            commissions_1e4: commissions,
            side: order.side,
            lots,
            order: order.id,
        };
        self.next_trade += 1;
        self.trades
            .entry(order.account)
            .or_default()
            .push(trade.clone());
        self.events.push(Event::Trade(trade));
        self.publish_order(order.id);
        self.events.push(Event::Position(position));
        self.edit_account(order.account, |account| {
            account.balance_1e4 += pnl.unwrap_or(0) - fees - commissions;
        });
    }

    fn grow_position(
        &mut self,
        order: &crate::exchange::model::Order,
        lots: i64,
        ticks: i64,
        at: i64,
    ) -> Position {
        let contract = self.contracts.get(order.contract);
        let (value, tick) = (contract.tick_value_1e4, contract.tick_nano);
        let key = (order.account, order.contract);
        let next = self.next_position;
        let position = self.positions.entry(key).or_insert_with(|| Position {
            id: next,
            account: order.account,
            contract: order.contract,
            contract_id: order.contract_id.clone(),
            created: at,
            lots: 0,
            cost_1e4: 0,
            average_nano: 0,
        });
        if position.id == next {
            self.next_position += 1;
        }
        position.lots += if order.side == Side::Bid { lots } else { -lots };
        position.cost_1e4 += ticks * lots * value;
        position.average_nano = average_nano(position, value, tick);
        position.clone()
    }

    /// Realised result of a closing fill: it takes its share of the cost, halves to even, and the fill that flattens
    /// takes the remainder, so that the total from flat to flat is exact.
    fn reduce_position(
        &mut self,
        account: i32,
        contract: usize,
        lots: i64,
        ticks: i64,
    ) -> (Position, Option<i64>) {
        let definition = self.contracts.get(contract);
        let (value, tick) = (definition.tick_value_1e4, definition.tick_nano);
        let Some(position) = self.positions.get_mut(&(account, contract)) else {
            unreachable!("closing lots were computed from this position");
        };
        let direction = position.lots.signum();
        let share = if lots == position.lots.abs() {
            position.cost_1e4
        } else {
            let cost = i128::from(position.cost_1e4) * i128::from(lots);
            div_half_even(cost, i128::from(position.lots.abs())) as i64
        };
        position.cost_1e4 -= share;
        position.lots -= direction * lots;
        let pnl = direction * (ticks * lots * value - share);
        if position.lots != 0 {
            position.average_nano = average_nano(position, value, tick);
        }
        let row = position.clone();
        if row.lots == 0 {
            self.positions.remove(&(account, contract));
        }
        (row, Some(pnl))
    }
}

fn average_nano(position: &Position, tick_value_1e4: i64, tick_nano: i64) -> i128 {
    let numerator = i128::from(position.cost_1e4) * i128::from(tick_nano);
    div_half_even(
        numerator,
        i128::from(position.lots.abs()) * i128::from(tick_value_1e4),
    )
}
