//! The broker's truth: orders, fills and positions of two accounts in two contracts.

use std::collections::BTreeMap;

use super::dice::Dice;
use crate::types::{
    AccountId, BrokerAccount, BrokerContract, BrokerOrder, BrokerPosition, BrokerTrade, Contract,
    ContractIndex, Decimal, Lots, Money, Nanos, OrderId, OrderKind, OrderStatus, Side, Ticks,
    TradeId,
};
use crate::websocket::parse::UserEvent;

pub const ACCOUNTS: [AccountId; 2] = [AccountId(7001), AccountId(7002)];
pub const CONTRACTS: [&str; 2] = ["CON.F.US.MNQ.Z26", "CON.F.US.MES.Z26"];
/// 2026-10-06T14:30:00Z, a Tuesday in session.
pub const START: i64 = 1_791_297_000_000_000_000;
const FIRST_ORDER: i64 = 5_000;

/// Every contract the broker defines.
pub fn contract_rows() -> Vec<BrokerContract> {
    let row = |slot: usize, name: &str, symbol: &str, value: Decimal| BrokerContract {
        id: CONTRACTS[slot].into(),
        name: name.into(),
        description: String::new(),
        tick_size: Decimal::new(25, -2),
        tick_value: value,
        is_active: true,
        symbol_id: symbol.into(),
    };
    vec![
        row(0, "MNQZ6", "F.US.MNQ", Decimal::new(5, -1)),
        row(1, "MESZ6", "F.US.MES", Decimal::new(125, -2)),
    ]
}

/// What the broker knows of an order and does not tell.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Secret {
    /// Bracket legs are made when the entry is taken, and work once it fills.
    pub stop_leg: Option<usize>,
    pub target_leg: Option<usize>,
    pub loses_legs: bool,
    /// A cancel was taken and nothing happens.
    pub is_stuck: bool,
    pub ignores_oco: bool,
}

/// The broker.
#[derive(Debug, Default)]
pub struct Broker {
    pub orders: Vec<BrokerOrder>,
    pub(super) secrets: Vec<Secret>,
    pub trades: Vec<BrokerTrade>,
    pub nets: BTreeMap<(AccountId, usize), i64>,
    pub lasts: [i64; 2],
    /// Hub messages that the last acts caused.
    pub news: Vec<UserEvent>,
    pub locked: Vec<AccountId>,
    pub has_wrong_bracket_mode: bool,
    pub takes_known_tags: bool,
    /// A position in a contract that nobody defines.
    pub stranger: Option<BrokerPosition>,
    /// What a look-up of any other contract answers.
    pub strange_code: i64,
    /// Nothing fills by itself.
    pub is_still: bool,
    contracts: Vec<Contract>,
}

impl Broker {
    pub fn new() -> Self {
        let rows = contract_rows().into_iter().enumerate();
        let contracts = rows
            .filter_map(|(slot, row)| Contract::from_broker(ContractIndex(slot as u16), &row).ok());
        Self {
            lasts: [100_000, 24_000],
            contracts: contracts.collect(),
            ..Self::default()
        }
    }

    pub fn slot_of(id: &str) -> Option<usize> {
        CONTRACTS.iter().position(|known| *known == id)
    }

    pub fn account_row(&self, id: AccountId) -> BrokerAccount {
        BrokerAccount {
            id,
            name: format!("PRAC-V2-{id}"),
            balance: Some(Money(1_500_000_000)),
            can_trade: !self.locked.contains(&id),
            is_visible: true,
            is_simulated: true,
        }
    }

    /// Net lots of all accounts and contracts.
    #[cfg(test)]
    pub fn net(&self) -> i64 {
        self.nets.values().sum()
    }

    pub fn position(&self, account: AccountId, slot: usize) -> BrokerPosition {
        BrokerPosition {
            id: i64::from(account.0) * 10 + slot as i64,
            account_id: account,
            contract_id: CONTRACTS[slot].into(),
            created: None,
            net: Lots(self.nets.get(&(account, slot)).copied().unwrap_or(0)),
            average_price: None,
        }
    }

    pub(super) fn index_of(id: i64) -> usize {
        (id - FIRST_ORDER) as usize
    }

    /// Takes an order into the book; nobody is told yet.
    pub(super) fn add(&mut self, order: BrokerOrder, secret: Secret) -> usize {
        let index = self.orders.len();
        let id = OrderId(FIRST_ORDER + index as i64);
        self.orders.push(BrokerOrder { id, ..order });
        self.secrets.push(secret);
        index
    }

    /// Somebody else's order like a known one, in a contract; nobody is told.
    #[cfg(test)]
    pub(crate) fn add_of_others(&mut self, like: usize, contract_id: &str) {
        let order = BrokerOrder {
            custom_tag: None,
            contract_id: contract_id.to_owned(),
            ..self.orders[like].clone()
        };
        self.add(order, Secret::default());
    }

    pub(super) fn tell(&mut self, index: usize) {
        self.news.push(UserEvent::Order(self.orders[index].clone()));
    }

    pub fn open_lots(&self, index: usize) -> i64 {
        let order = &self.orders[index];
        order.size.map_or(0, |lots| lots.0) - order.filled.map_or(0, |lots| lots.0)
    }

    pub fn is_working(&self, index: usize) -> bool {
        matches!(
            self.orders[index].status,
            OrderStatus::Open | OrderStatus::PendingCancellation
        )
    }

    pub(super) fn end(&mut self, index: usize, status: OrderStatus, now: Nanos) {
        let order = &mut self.orders[index];
        if order.status.is_terminal() {
            return;
        }
        order.status = status;
        order.updated = Some(now);
        self.tell(index);
        // Legs whose entry ends without a fill go with it.
        if self.orders[index].filled.is_none_or(|lots| lots.0 == 0) {
            let secret = self.secrets[index];
            for leg in [secret.stop_leg, secret.target_leg].into_iter().flatten() {
                self.end(leg, OrderStatus::Cancelled, now);
            }
        }
    }

    /// Fills lots of a living order at the last price.
    pub fn fill(&mut self, index: usize, lots: i64, now: Nanos) {
        let lots = lots.min(self.open_lots(index));
        if self.orders[index].status.is_terminal() || lots <= 0 {
            return;
        }
        let order = &mut self.orders[index];
        let (Some(account), Some(slot), Some(side)) = (
            order.account_id,
            Self::slot_of(&order.contract_id),
            order.side,
        ) else {
            return;
        };
        let filled = order.filled.map_or(0, |known| known.0) + lots;
        order.filled = Some(Lots(filled));
        order.updated = Some(now);
        if Some(Lots(filled)) == order.size {
            order.status = OrderStatus::Filled;
        }
        let (id, contract_id) = (order.id, order.contract_id.clone());
        let price = self.contracts[slot].price(Ticks(self.lasts[slot]));
        let trade = BrokerTrade {
            id: TradeId(9_000 + self.trades.len() as i64),
            account_id: account,
            contract_id,
            created: Some(now),
            price,
            profit_and_loss: None,
            fees: Money(3_600),
            commissions: Money(2_500),
            side,
            size: Lots(lots),
            is_voided: false,
            order_id: Some(id),
        };
        *self.nets.entry((account, slot)).or_default() += side.sign() * lots;
        self.trades.push(trade.clone());
        self.news.push(UserEvent::Trade(trade));
        self.tell(index);
        self.news
            .push(UserEvent::Position(self.position(account, slot)));
        self.after_fill(index, filled, now);
        self.sweep_legs(account, slot, now);
    }

    /// Legs follow the entry, and one leg ends the other.
    fn after_fill(&mut self, index: usize, filled: i64, now: Nanos) {
        let secret = self.secrets[index];
        for leg in [secret.stop_leg, secret.target_leg].into_iter().flatten() {
            let order = &mut self.orders[leg];
            if secret.loses_legs || order.status.is_terminal() {
                continue;
            }
            order.status = OrderStatus::Open;
            order.size = Some(Lots(filled));
            order.updated = Some(now);
            self.tell(leg);
        }
        let Some(entry) = self.orders[index].parent_id else {
            return;
        };
        let family = self.secrets[Self::index_of(entry.0)];
        let others = [family.stop_leg, family.target_leg].into_iter().flatten();
        for other in others.filter(|leg| *leg != index && !secret.ignores_oco) {
            if self.orders[index].status.is_terminal() {
                self.end(other, OrderStatus::Cancelled, now);
            } else if let Some(size) = self.orders[other].size {
                let filled = self.orders[other].filled.map_or(0, |lots| lots.0);
                let left = Lots((size.0 - 1).max(filled + 1));
                self.orders[other].size = Some(left);
                self.orders[other].updated = Some(now);
                self.tell(other);
            }
        }
    }

    /// The broker takes legs away that reduce nothing any more.
    fn sweep_legs(&mut self, account: AccountId, slot: usize, now: Nanos) {
        let net = self.nets.get(&(account, slot)).copied().unwrap_or(0);
        for index in 0..self.orders.len() {
            let order = &self.orders[index];
            let is_here = order.account_id == Some(account) && order.contract_id == CONTRACTS[slot];
            let reduces = order.side.is_some_and(|side| side.sign() * net < 0);
            if is_here && order.parent_id.is_some() && self.is_working(index) && !reduces {
                self.end(index, OrderStatus::Cancelled, now);
            }
        }
    }

    /// The broker takes a fill back: it never happened.
    pub fn void(&mut self, at: usize, now: Nanos) {
        let trade = &mut self.trades[at];
        if trade.is_voided {
            return;
        }
        trade.is_voided = true;
        let (account, lots) = (trade.account_id, trade.side.sign() * trade.size.0);
        let Some(slot) = Self::slot_of(&trade.contract_id) else {
            return;
        };
        let told = trade.clone();
        *self.nets.entry((account, slot)).or_default() -= lots;
        self.news.push(UserEvent::Trade(told));
        self.news
            .push(UserEvent::Position(self.position(account, slot)));
        self.sweep_legs(account, slot, now);
    }

    /// The market trades: prices walk and living orders may fill, whole or in part.
    pub fn trade(&mut self, slot: usize, dice: &mut Dice, now: Nanos) {
        self.lasts[slot] += dice.roll(5) as i64 - 2;
        if self.is_still {
            return;
        }
        for index in 0..self.orders.len() {
            let is_here = self.orders[index].contract_id == CONTRACTS[slot];
            if !is_here || !self.is_working(index) {
                continue;
            }
            let is_market = self.orders[index].kind == Some(OrderKind::Market);
            if dice.chance(if is_market { 80 } else { 8 }) {
                let lots = 1 + dice.roll(2) as i64;
                self.fill(index, if is_market { i64::MAX } else { lots }, now);
            }
        }
    }

    /// Somebody else trades on the account.
    pub fn external(&mut self, dice: &mut Dice, now: Nanos) {
        let Some(account) = dice.pick(&ACCOUNTS).copied() else {
            return;
        };
        let slot = dice.roll(2) as usize;
        let side = if dice.chance(50) {
            Side::Buy
        } else {
            Side::Sell
        };
        let size = 1 + dice.roll(2) as i64;
        let is_market = dice.chance(50);
        let kind = if is_market {
            OrderKind::Market
        } else {
            OrderKind::Limit
        };
        let mut order = blank(account, CONTRACTS[slot], side, kind, size, now);
        if !is_market {
            let limit = self.lasts[slot] - side.sign() * dice.roll(30) as i64;
            order.limit_price = Some(self.contracts[slot].price(Ticks(limit)));
        }
        let index = self.add(order, Secret::default());
        self.tell(index);
        if is_market {
            self.fill(index, size, now);
        }
    }
}

/// An open order without prices.
pub(super) fn blank(
    account: AccountId,
    contract_id: &str,
    side: Side,
    kind: OrderKind,
    size: i64,
    now: Nanos,
) -> BrokerOrder {
    BrokerOrder {
        id: OrderId(0),
        account_id: Some(account),
        contract_id: contract_id.into(),
        symbol_id: String::new(),
        created: Some(now),
        updated: Some(now),
        status: OrderStatus::Open,
        kind: Some(kind),
        side: Some(side),
        size: Some(Lots(size)),
        filled: Some(Lots(0)),
        limit_price: None,
        stop_price: None,
        filled_price: None,
        custom_tag: None,
        trail_distance: None,
        trail_price: None,
        parent_id: None,
        linked_id: None,
        action: None,
    }
}
