//! The exchange as a pure synchronous state machine: no I/O, no clock of its own, no randomness.
//!
//! Commands and market events come in with their time; answers go out at once and events pile up until
//! [`Exchange::take_events`]. The events carry whole rows, so replaying them into a fresh exchange
//! ([`Exchange::restore`]) rebuilds it: that is what the journal on disk holds.
//!
//! | Question the documentation leaves open | Answer here |
//! |---|---|
//! | queue | ahead = shown size at arrival; prints at the price reduce it; shrinking without a print clamps it; a print through the price fills |
//! | size taken from the recorded book | unavailable until that level changes |
//! | market order larger than the book | the rest fills one tick beyond the last level |
//! | stop trigger | a print at or through the stop price |
//! | bracket legs of a part-filled entry | open with the filled size and grow |
//! | one leg fills in part | the other shrinks by as much; filled completely cancels it |
//! | cancel of one leg | the other stays |
//! | cancel of an unfilled entry | both legs are cancelled |
//! | JoinBid, JoinAsk | rest at the touch of the arrival, do not follow |
//! | a fill that turns a position round | two trades: the closing part, then the opening part |

mod accounts;
pub mod book;
mod brackets;
mod commands;
mod fills;
mod matching;
pub mod model;
pub mod money;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use crate::contracts::ContractTable;
use crate::exchange::book::Book;
use crate::exchange::model::{Account, AccountRules, Event, Order, Position, Status, Trade};
use crate::feed::Side;

/// Choices where the real gateway's behaviour is not known, and faults that live inside the matching.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Switches {
    /// Accept type 3 as a stop that becomes a limit order.
    pub stop_limit: bool,
    /// `closeContract` also cancels the working bracket legs of that contract.
    pub close_clears_children: bool,
    /// Cancelling one bracket leg cancels the other.
    pub cancel_takes_sibling: bool,
    /// Fault: the next so many one-cancels-other cancels do not happen.
    pub orphan_children: u32,
    /// Fault: the next so many cancels find their order just filled (code 5).
    pub cancel_races: u32,
}

/// Own resting orders of one contract.
#[derive(Default)]
struct Resting {
    bids: BTreeMap<i64, VecDeque<i64>>,
    asks: BTreeMap<i64, VecDeque<i64>>,
    stops: Vec<i64>,
}

impl Resting {
    fn is_empty(&self) -> bool {
        self.bids.is_empty() && self.asks.is_empty() && self.stops.is_empty()
    }

    fn side(&mut self, side: Side) -> &mut BTreeMap<i64, VecDeque<i64>> {
        match side {
            Side::Bid => &mut self.bids,
            Side::Ask => &mut self.asks,
        }
    }
}

/// Accounts, orders, fills and positions against the books of all contracts.
pub struct Exchange {
    pub switches: Switches,
    contracts: ContractTable,
    books: Vec<Book>,
    accounts: BTreeMap<i32, Account>,
    orders: HashMap<i64, Order>,
    /// Order ids by account, oldest first.
    order_ids: HashMap<i32, Vec<i64>>,
    /// Orders that are not done, by account.
    working: HashMap<i32, BTreeSet<i64>>,
    trades: HashMap<i32, Vec<Trade>>,
    positions: BTreeMap<(i32, usize), Position>,
    tags: HashMap<(i32, String), i64>,
    /// Bracket legs by entry.
    children: HashMap<i64, Vec<i64>>,
    resting: Vec<Resting>,
    /// Entries that filled in the current step and whose legs are to be opened.
    to_activate: Vec<i64>,
    events: Vec<Event>,
    next_order: i64,
    next_trade: i64,
    next_position: i32,
    firm_closed: bool,
}

impl Exchange {
    pub fn new(contracts: ContractTable, rules: Vec<AccountRules>) -> Self {
        let count = contracts.all().len();
        let accounts = rules
            .into_iter()
            .map(|r| (r.id, Account::open(r)))
            .collect();
        Self {
            switches: Switches::default(),
            contracts,
            books: vec![Book::default(); count],
            accounts,
            orders: HashMap::new(),
            order_ids: HashMap::new(),
            working: HashMap::new(),
            trades: HashMap::new(),
            positions: BTreeMap::new(),
            tags: HashMap::new(),
            children: HashMap::new(),
            resting: (0..count).map(|_| Resting::default()).collect(),
            to_activate: Vec::new(),
            events: Vec::new(),
            next_order: 5_100_000_001,
            next_trade: 4_200_000_001,
            next_position: 880_000_001,
            firm_closed: false,
        }
    }

    /// Applies recorded events to a fresh exchange.
    pub fn restore(&mut self, events: impl IntoIterator<Item = Event>) {
        for event in events {
            match event {
                Event::Account(account) => {
                    self.accounts.insert(account.rules.id, account);
                }
                Event::Order(order) => self.restore_order(order),
                Event::Position(position) => self.restore_position(position),
                Event::Trade(trade) => {
                    self.next_trade = self.next_trade.max(trade.id + 1);
                    self.trades.entry(trade.account).or_default().push(trade);
                }
            }
        }
    }

    /// Puts restored working orders back to rest; call once, after [`Exchange::restore`].
    pub fn rest_restored(&mut self) {
        let mut ids: Vec<i64> = self.working.values().flatten().copied().collect();
        ids.sort_unstable();
        for id in ids {
            if self
                .orders
                .get(&id)
                .is_some_and(|o| o.status != Status::Suspended)
            {
                self.rest(id);
            }
        }
    }

    fn restore_order(&mut self, order: Order) {
        self.next_order = self.next_order.max(order.id + 1);
        if !self.orders.contains_key(&order.id) {
            self.index_order(&order);
        }
        let working = self.working.entry(order.account).or_default();
        if order.status.is_done() {
            working.remove(&order.id);
        } else {
            working.insert(order.id);
        }
        self.orders.insert(order.id, order);
    }

    fn restore_position(&mut self, position: Position) {
        self.next_position = self.next_position.max(position.id + 1);
        let key = (position.account, position.contract);
        if position.lots == 0 {
            self.positions.remove(&key);
        } else {
            self.positions.insert(key, position);
        }
    }

    fn index_order(&mut self, order: &Order) {
        self.order_ids
            .entry(order.account)
            .or_default()
            .push(order.id);
        if let Some(tag) = &order.tag {
            self.tags.insert((order.account, tag.clone()), order.id);
        }
        if let Some(parent) = order.parent {
            self.children.entry(parent).or_default().push(order.id);
        }
    }

    /// Events since the last call, in the order in which they happened.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Every row that is needed to rebuild this state, as events: the content of a snapshot.
    pub fn snapshot(&self) -> Vec<Event> {
        let mut rows: Vec<Event> = self
            .accounts
            .values()
            .cloned()
            .map(Event::Account)
            .collect();
        let mut orders: Vec<&Order> = self.orders.values().collect();
        orders.sort_unstable_by_key(|order| order.id);
        rows.extend(orders.into_iter().cloned().map(Event::Order));
        let mut trades: Vec<&Trade> = self.trades.values().flatten().collect();
        trades.sort_unstable_by_key(|trade| trade.id);
        rows.extend(trades.into_iter().cloned().map(Event::Trade));
        rows.extend(self.positions.values().cloned().map(Event::Position));
        rows
    }

    pub fn contracts(&self) -> &ContractTable {
        &self.contracts
    }

    pub fn book(&self, contract: usize) -> &Book {
        &self.books[contract]
    }

    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    pub fn account(&self, id: i64) -> Option<&Account> {
        self.accounts.get(&i32::try_from(id).ok()?)
    }

    /// Changes an account from outside the protocol (control port) and announces it.
    pub fn edit_account(&mut self, id: i32, edit: impl FnOnce(&mut Account)) -> bool {
        let Some(account) = self.accounts.get_mut(&id) else {
            return false;
        };
        edit(account);
        let row = account.clone();
        self.events.push(Event::Account(row));
        true
    }

    pub fn order(&self, id: i64) -> Option<&Order> {
        self.orders.get(&id)
    }

    /// Orders of an account, oldest first, every status.
    pub fn orders_of(&self, account: i32) -> impl DoubleEndedIterator<Item = &Order> {
        let ids = self.order_ids.get(&account).map_or(&[][..], Vec::as_slice);
        ids.iter().filter_map(|id| self.orders.get(id))
    }

    /// Orders of an account that are not done, oldest first; suspended legs included.
    pub fn working(&self, account: i32) -> impl Iterator<Item = &Order> {
        let ids = self.working.get(&account).into_iter().flatten();
        ids.filter_map(|id| self.orders.get(id))
    }

    /// Fills of an account, oldest first.
    pub fn trades_of(&self, account: i32) -> &[Trade] {
        self.trades.get(&account).map_or(&[], Vec::as_slice)
    }

    pub fn positions_of(&self, account: i32) -> impl Iterator<Item = &Position> {
        self.positions
            .range((account, 0)..=(account, usize::MAX))
            .map(|(_, position)| position)
    }

    /// True if an order works or a position is open anywhere.
    pub fn is_engaged(&self) -> bool {
        self.working.values().any(|ids| !ids.is_empty()) || !self.positions.is_empty()
    }

    fn has_tag(&self, account: i32, tag: &str) -> bool {
        self.tags.contains_key(&(account, tag.to_owned()))
    }

    fn publish_order(&mut self, id: i64) {
        if let Some(order) = self.orders.get(&id) {
            self.events.push(Event::Order(order.clone()));
        }
    }

    /// Orders of an account that are not done, oldest first; suspended legs included.
    fn working_of(&self, account: i32, contract: Option<usize>) -> Vec<i64> {
        let ids = self.working.get(&account).into_iter().flatten();
        let wanted = |id: &&i64| {
            let order = self.orders.get(*id);
            order.is_some_and(|order| contract.is_none_or(|c| order.contract == c))
        };
        ids.filter(wanted).copied().collect()
    }
}
