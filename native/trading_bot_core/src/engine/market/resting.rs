//! Our own orders that rest in one contract's book, and how many lots stand before each.

use crate::market_data::{BookState, DepthBook, QueueEstimate};
use crate::order_execution::order::{Life, Order};
use crate::types::{Lots, Nanos, OrderKind, Side, Ticks};
use crate::websocket::parse::{DepthRecord, TradePrint};

/// An order older than this when it is first seen resting may have been passed by nobody knows how many.
const JOINED_WITHIN_NS: i64 = 3_000_000_000;

#[derive(Debug)]
struct Resting {
    index: usize,
    is_bid: bool,
    price: Ticks,
    size: Lots,
    estimate: QueueEstimate,
}

/// Empty for nearly every contract nearly always: then nothing here costs anything.
#[derive(Debug, Default)]
pub(super) struct RestingOrders {
    rows: Vec<Resting>,
    is_changed: bool,
}

impl RestingOrders {
    /// Takes an order as it is now. A new price or a larger size is a new place at the end of the queue.
    pub fn track(&mut self, index: usize, order: &Order, book: &DepthBook, now: Nanos) {
        let at = self.rows.iter().position(|row| row.index == index);
        let Some(price) = order.limit.filter(|_| is_queued(order)) else {
            if let Some(at) = at {
                self.rows.swap_remove(at);
            }
            return;
        };
        let is_bid = order.side == Side::Buy;
        let shown = shown(book, is_bid, price);
        let row = if let Some(at) = at {
            &mut self.rows[at]
        } else {
            let is_fresh = now.0 - order.created.0 < JOINED_WITHIN_NS;
            let estimate = if is_fresh {
                QueueEstimate::joined(shown)
            } else {
                QueueEstimate::found(shown)
            };
            self.rows.push(Resting {
                index,
                is_bid,
                price,
                size: order.size,
                estimate,
            });
            let last = self.rows.len() - 1;
            &mut self.rows[last]
        };
        if row.price != price || row.size < order.size {
            row.estimate = QueueEstimate::joined(shown);
        }
        (row.price, row.size) = (price, order.size);
        if order.filled().0 > 0 {
            row.estimate.at_front();
        }
    }

    /// Bounds of one order, when they are known.
    pub fn bounds(&self, index: usize) -> Option<(i64, i64)> {
        let row = self.rows.iter().find(|row| row.index == index)?;
        row.estimate.bounds()
    }

    pub fn print(&mut self, print: &TradePrint) {
        for row in self.rows.iter_mut().filter(|row| row.price == print.price) {
            row.estimate.print(print.size.0);
            self.is_changed = true;
        }
    }

    /// One depth message, after the book took it.
    pub fn depth(&mut self, records: &[DepthRecord], book: &DepthBook) {
        for row in &mut self.rows {
            let before = row.estimate;
            let kind = if row.is_bid { 2 } else { 1 };
            let own = records
                .iter()
                .filter(|record| record.kind == kind && record.price == row.price);
            // Each change on its own: a join and a cancel of one message would hide each other. A level that goes may
            // have left the window of levels, so that nothing is said about its size.
            if before.bounds().is_some() {
                own.for_each(|record| match record.size.0 {
                    0 => row.estimate.lose(),
                    lots => row.estimate.show(lots),
                });
            }
            match shown(book, row.is_bid, row.price) {
                Some(lots) => row.estimate.show(lots),
                None => row.estimate.lose(),
            }
            row.estimate.settle();
            self.is_changed |= before != row.estimate;
        }
    }

    /// The feed has a gap.
    pub fn lose(&mut self) {
        for row in &mut self.rows {
            row.estimate.lose();
            self.is_changed = true;
        }
    }

    /// The orders whose bounds may have moved since the last call.
    pub fn take_changed(&mut self) -> Vec<usize> {
        if std::mem::take(&mut self.is_changed) {
            self.rows.iter().map(|row| row.index).collect()
        } else {
            Vec::new()
        }
    }

    pub const fn is_changed(&self) -> bool {
        self.is_changed
    }
}

fn is_queued(order: &Order) -> bool {
    let is_limit = matches!(
        order.kind,
        OrderKind::Limit | OrderKind::JoinBid | OrderKind::JoinAsk
    );
    is_limit && order.life == Life::Working && !order.is_foreign
}

/// Size shown at a price; `None` while the book is not whole, and below the deepest level that the feed shows.
fn shown(book: &DepthBook, is_bid: bool, price: Ticks) -> Option<i64> {
    if book.state() != BookState::Live {
        return None;
    }
    let lots = book.size_at(is_bid, price).0;
    let deepest = if is_bid {
        book.bids().next_back()
    } else {
        book.asks().next_back()
    };
    let (deepest, _) = deepest?;
    let is_inside = if is_bid {
        price >= deepest
    } else {
        price <= deepest
    };
    (lots > 0 || is_inside).then_some(lots)
}
