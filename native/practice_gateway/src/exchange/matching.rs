//! Orders against the market's book: arrival, resting with a place in the queue, market events.

use crate::exchange::Exchange;
use crate::exchange::commands::trail_level;
use crate::exchange::model::{Kind, Order, Status};
use crate::feed::{FeedEvent, Side, Tagged};

impl Exchange {
    /// One event of the market: the book changes first, then own orders answer to it.
    pub fn feed(&mut self, tagged: &Tagged) {
        let contract = tagged.contract;
        if contract >= self.books.len() {
            return;
        }
        let book = &mut self.books[contract];
        match tagged.event {
            FeedEvent::Level {
                at,
                side,
                ticks,
                lots,
            } => {
                book.set(side, ticks, lots);
                if !self.resting[contract].is_empty() && self.books[contract].trading {
                    self.level_changed(contract, side, ticks, lots, at);
                    self.settle(at);
                }
            }
            FeedEvent::Print {
                at,
                ticks,
                lots,
                aggressor,
            } => {
                book.last = Some(ticks);
                if !self.resting[contract].is_empty() {
                    self.printed(contract, ticks, lots, aggressor, at);
                    self.settle(at);
                }
                self.mark(at);
            }
            FeedEvent::Clear { .. } => book.clear(),
            FeedEvent::SessionOpen { .. } => book.trading = true,
            FeedEvent::SessionClose { .. } => book.trading = false,
        }
    }

    /// State of a market whose source starts inside a session: an empty book, the last price, whether it trades.
    pub fn begin_market(&mut self, contract: usize, last: Option<i64>, trading: bool) {
        let book = &mut self.books[contract];
        book.clear();
        book.last = last;
        book.trading = trading;
    }

    /// Halts or resumes a market from outside (control port).
    pub fn set_trading(&mut self, contract: usize, trading: bool) {
        self.books[contract].trading = trading;
    }

    /// A new order meets the book: Pending turns into Open, or straight into Filled.
    pub(super) fn enter(&mut self, id: i64, now: i64) {
        let Some(order) = self.orders.get_mut(&id) else {
            return;
        };
        order.status = Status::Open;
        order.updated = now;
        let resting_kind = order.kind != Kind::Market;
        if resting_kind {
            self.publish_order(id);
        }
        self.match_or_rest(id, now);
    }

    /// Takes what the book offers within the order's price, rests the remainder.
    pub(super) fn match_or_rest(&mut self, id: i64, now: i64) {
        let Some(order) = self.orders.get(&id) else {
            return;
        };
        if order.status != Status::Open {
            return;
        }
        let (side, contract) = (order.side, order.contract);
        let waits = order.is_stop() && !order.triggered;
        let is_market =
            order.kind == Kind::Market || (order.triggered && order.kind != Kind::StopLimit);
        if !waits && self.books[contract].trading {
            let limit = if is_market { None } else { order.limit };
            self.sweep(id, contract, side, limit, now);
            if is_market {
                self.fill_beyond_book(id, contract, side, now);
            }
        }
        if self
            .orders
            .get(&id)
            .is_some_and(|order| order.status == Status::Open)
        {
            self.rest(id);
        }
    }

    fn sweep(&mut self, id: i64, contract: usize, side: Side, limit: Option<i64>, now: i64) {
        let levels = self.books[contract].opposite_within(side, limit);
        for ticks in levels {
            let remaining = self.orders.get(&id).map_or(0, Order::remaining);
            if remaining == 0 {
                return;
            }
            let lots = remaining.min(self.books[contract].available(side.opposite(), ticks));
            if lots > 0 {
                self.books[contract].take(side.opposite(), ticks, lots);
                self.execute(id, lots, ticks, now);
            }
        }
    }

    /// The rest of a market order pays one tick more than the last level that is known.
    fn fill_beyond_book(&mut self, id: i64, contract: usize, side: Side, now: i64) {
        let remaining = self.orders.get(&id).map_or(0, Order::remaining);
        let worst = self.books[contract]
            .opposite_within(side, None)
            .last()
            .copied();
        let worst = worst.or(self.books[contract].last);
        if let (Some(worst), true) = (worst, remaining > 0) {
            let ticks = if side == Side::Bid {
                worst + 1
            } else {
                worst - 1
            };
            self.execute(id, remaining, ticks, now);
        }
    }

    /// Puts an open order among the resting ones; its place is behind the size shown now.
    pub(super) fn rest(&mut self, id: i64) {
        let Some(order) = self.orders.get_mut(&id) else {
            return;
        };
        let resting = &mut self.resting[order.contract];
        if order.is_stop() && !order.triggered {
            resting.stops.push(id);
        } else if let Some(ticks) = order.limit {
            order.ahead = self.books[order.contract].shown(order.side, ticks);
            resting
                .side(order.side)
                .entry(ticks)
                .or_default()
                .push_back(id);
        }
    }

    /// Takes an order off the resting ones, by the prices it rested at.
    pub(super) fn unrest(&mut self, order: &Order) {
        let resting = &mut self.resting[order.contract];
        if order.is_stop() {
            resting.stops.retain(|id| *id != order.id);
        }
        let Some(ticks) = order.limit else {
            return;
        };
        let levels = resting.side(order.side);
        if let Some(queue) = levels.get_mut(&ticks) {
            queue.retain(|id| *id != order.id);
            if queue.is_empty() {
                levels.remove(&ticks);
            }
        }
    }

    fn level_changed(&mut self, contract: usize, side: Side, ticks: i64, lots: i64, at: i64) {
        // Size that went without a print came from behind first, so the place is only clamped.
        let queue = self.resting[contract].side(side).get(&ticks).cloned();
        for id in queue.into_iter().flatten() {
            if let Some(order) = self.orders.get_mut(&id) {
                order.ahead = order.ahead.min(lots);
            }
        }
        if lots > 0 {
            self.cross(contract, side, ticks, at);
        }
    }

    /// The market offers at a price where own orders rest, or beyond: they trade at their own price.
    fn cross(&mut self, contract: usize, offered: Side, ticks: i64, at: i64) {
        let own = offered.opposite();
        for id in self.resting_through(contract, own, ticks, true) {
            let lots = self.books[contract].available(offered, ticks);
            let Some(order) = self
                .orders
                .get(&id)
                .filter(|order| order.status == Status::Open)
            else {
                continue;
            };
            let lots = lots.min(order.remaining());
            if let (Some(price), true) = (order.limit, lots > 0) {
                self.books[contract].take(offered, ticks, lots);
                self.execute(id, lots, price, at);
            }
        }
    }

    /// Own resting orders that a price reaches, in price and time order; `touching` includes the price itself.
    fn resting_through(
        &mut self,
        contract: usize,
        own: Side,
        ticks: i64,
        touching: bool,
    ) -> Vec<i64> {
        let levels = self.resting[contract].side(own);
        let reached = |price: i64| match own {
            Side::Bid => price > ticks || (touching && price == ticks),
            Side::Ask => price < ticks || (touching && price == ticks),
        };
        match own {
            Side::Bid => levels
                .iter()
                .rev()
                .take_while(|(p, _)| reached(**p))
                .flat_map(|(_, q)| q)
                .copied()
                .collect(),
            Side::Ask => levels
                .iter()
                .take_while(|(p, _)| reached(**p))
                .flat_map(|(_, q)| q)
                .copied()
                .collect(),
        }
    }

    fn printed(
        &mut self,
        contract: usize,
        ticks: i64,
        lots: i64,
        aggressor: Option<Side>,
        at: i64,
    ) {
        for own in [Side::Bid, Side::Ask] {
            for id in self.resting_through(contract, own, ticks, false) {
                let Some(order) = self.orders.get(&id) else {
                    continue;
                };
                if let (Some(price), remaining) = (order.limit, order.remaining()) {
                    self.execute(id, remaining, price, at);
                }
            }
            // A buyer takes from the offers, a seller from the bids.
            if aggressor != Some(own) {
                self.consume_queue(contract, own, ticks, lots, at);
            }
        }
        self.trail_and_trigger(contract, ticks, at);
    }

    /// A print of `lots` runs through the queue of a price: market lots ahead, then own lots, in time order.
    fn consume_queue(&mut self, contract: usize, own: Side, ticks: i64, lots: i64, at: i64) {
        let Some(queue) = self.resting[contract].side(own).get(&ticks).cloned() else {
            return;
        };
        let mut left = lots;
        let mut market_gone = 0;
        let mut fills = Vec::new();
        for id in &queue {
            let Some(order) = self.orders.get(id) else {
                continue;
            };
            let in_front = (order.ahead - market_gone).max(0).min(left);
            market_gone += in_front;
            left -= in_front;
            if left == 0 {
                break;
            }
            let own_lots = left.min(order.remaining());
            left -= own_lots;
            fills.push((*id, own_lots));
        }
        for id in &queue {
            if let Some(order) = self.orders.get_mut(id) {
                order.ahead = (order.ahead - market_gone).max(0);
            }
        }
        for (id, own_lots) in fills {
            self.execute(id, own_lots, ticks, at);
        }
    }

    fn trail_and_trigger(&mut self, contract: usize, ticks: i64, at: i64) {
        let stops = self.resting[contract].stops.clone();
        for id in stops {
            let Some(order) = self
                .orders
                .get_mut(&id)
                .filter(|order| order.status == Status::Open)
            else {
                continue;
            };
            let Some(stop) = order.stop else { continue };
            let hit = match order.side {
                Side::Bid => ticks >= stop,
                Side::Ask => ticks <= stop,
            };
            if hit {
                self.trigger(id, at);
            } else if let (Kind::TrailingStop, Some(distance)) = (order.kind, order.trail) {
                let level = trail_level(order.side, ticks, distance);
                let better = if order.side == Side::Bid {
                    level < stop
                } else {
                    level > stop
                };
                if better {
                    order.stop = Some(level);
                    order.updated = at;
                    self.publish_order(id);
                }
            }
        }
    }

    fn trigger(&mut self, id: i64, at: i64) {
        let Some(order) = self.orders.get_mut(&id) else {
            return;
        };
        order.triggered = true;
        order.updated = at;
        let contract = order.contract;
        self.resting[contract].stops.retain(|other| *other != id);
        self.match_or_rest(id, at);
    }

    /// Ends an order that is not done.
    pub(super) fn cancel_order(&mut self, id: i64, now: i64) {
        let Some(order) = self
            .orders
            .get_mut(&id)
            .filter(|order| !order.status.is_done())
        else {
            return;
        };
        order.status = Status::Cancelled;
        order.updated = now;
        let order = order.clone();
        self.unrest(&order);
        self.working.entry(order.account).or_default().remove(&id);
        self.publish_order(id);
        self.entry_cancelled(id, now);
    }
}
