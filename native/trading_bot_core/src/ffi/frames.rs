//! Views of the market turned into columns of numbers, without the interpreter, and into the seam's frames with it.

use std::sync::Arc;

use numpy::{IntoPyArray, PyArray1};
use pyo3::prelude::*;

use super::records;
use crate::clock::mono;
use crate::engine::contract::{BarView, MarketView};

type Column = Vec<i64>;

fn array(py: Python<'_>, column: Column) -> Py<PyArray1<i64>> {
    column.into_pyarray(py).unbind()
}

/// A market view turned into columns, without the interpreter.
pub(super) struct FrameColumns {
    view: Arc<MarketView>,
    levels: [Column; 4],
    traded: [Column; 3],
    recent: [Column; 3],
    prints: [Column; 3],
    print_is_buy: Vec<bool>,
    trades_skipped: i64,
    age_ms: i64,
}

impl FrameColumns {
    pub(super) fn of(view: Arc<MarketView>, since_revision: i64, trade_limit: usize) -> Self {
        let level = |side: &[(i64, i64)]| -> [Column; 2] {
            [
                side.iter().map(|l| l.0).collect(),
                side.iter().map(|l| l.1).collect(),
            ]
        };
        let ([bid_ticks, bid_lots], [ask_ticks, ask_lots]) = (level(&view.bids), level(&view.asks));
        let traded = |rows: &[crate::engine::views::TradedRow]| -> [Column; 3] {
            [
                rows.iter().map(|row| row.ticks).collect(),
                rows.iter().map(|row| row.bought_lots).collect(),
                rows.iter().map(|row| row.sold_lots).collect(),
            ]
        };
        let (prints, skipped) = view.prints_since(since_revision, trade_limit);
        let age_ms = mono().0.saturating_sub(view.receive_mono_ns.max(0) as u64) / 1_000_000;
        Self {
            levels: [bid_ticks, bid_lots, ask_ticks, ask_lots],
            traded: traded(&view.traded),
            recent: traded(&view.recent),
            prints: [
                prints.iter().map(|(_, print)| print.time_ns).collect(),
                prints.iter().map(|(_, print)| print.ticks).collect(),
                prints.iter().map(|(_, print)| print.lots).collect(),
            ],
            print_is_buy: prints.iter().map(|(_, print)| print.is_buy).collect(),
            trades_skipped: skipped as i64,
            age_ms: age_ms as i64,
            view,
        }
    }

    pub(super) fn into_frame(self, py: Python<'_>) -> records::MarketFrame {
        let view = self.view;
        let [bid_ticks, bid_lots, ask_ticks, ask_lots] =
            self.levels.map(|column| array(py, column));
        let [traded_ticks, traded_bought_lots, traded_sold_lots] =
            self.traded.map(|column| array(py, column));
        let [recent_ticks, recent_bought_lots, recent_sold_lots] =
            self.recent.map(|column| array(py, column));
        let [trade_time_ns, trade_ticks, trade_lots] = self.prints.map(|column| array(py, column));
        records::MarketFrame {
            contract: view.contract as u32,
            revision: view.revision as u64,
            bid_ticks,
            bid_lots,
            ask_ticks,
            ask_lots,
            book_state: view.book_state.to_owned(),
            best_bid_ticks: view.best_bid_ticks,
            best_ask_ticks: view.best_ask_ticks,
            last_ticks: view.last_ticks,
            last_lots: view.last_lots,
            last_side: view.last_side.to_owned(),
            open_ticks: view.open_ticks,
            high_ticks: view.high_ticks,
            low_ticks: view.low_ticks,
            settle_ticks: view.settle_ticks,
            session_lots: view.session_lots,
            traded_ticks,
            traded_bought_lots,
            traded_sold_lots,
            recent_ticks,
            recent_bought_lots,
            recent_sold_lots,
            trade_time_ns,
            trade_ticks,
            trade_lots,
            trade_is_buy: self.print_is_buy.into_pyarray(py).unbind(),
            trades_skipped: self.trades_skipped,
            broker_time_ns: view.broker_time_ns,
            receive_mono_ns: view.receive_mono_ns,
            age_ms: self.age_ms,
            is_late: view.is_late,
        }
    }
}

/// A series of bars turned into columns, without the interpreter.
pub(super) struct BarColumns {
    view: Arc<BarView>,
    first_changed: usize,
    columns: [Column; 6],
}

impl BarColumns {
    pub(super) fn of(view: Arc<BarView>, since_revision: i64) -> Self {
        let first_changed = view.first_changed(since_revision);
        let mut columns: [Column; 6] = Default::default();
        for bar in view.bars[first_changed..].iter().chain(&view.forming) {
            let values = [
                bar.time_ns,
                bar.open_ticks,
                bar.high_ticks,
                bar.low_ticks,
                bar.close_ticks,
                bar.volume_lots,
            ];
            columns
                .iter_mut()
                .zip(values)
                .for_each(|(column, value)| column.push(value));
        }
        Self {
            view,
            first_changed,
            columns,
        }
    }

    pub(super) fn into_frame(self, py: Python<'_>) -> records::BarFrame {
        let is_forming = self.view.forming.is_some();
        let count = self.view.bars.len() + usize::from(is_forming);
        let [
            time_ns,
            open_ticks,
            high_ticks,
            low_ticks,
            close_ticks,
            volume_lots,
        ] = self.columns.map(|column| array(py, column));
        records::BarFrame {
            contract: self.view.contract as u32,
            unit: self.view.unit.to_owned(),
            number: self.view.number,
            revision: self.view.revision as u64,
            first_changed: self.first_changed as i64,
            count: count as i64,
            time_ns,
            open_ticks,
            high_ticks,
            low_ticks,
            close_ticks,
            volume_lots,
            is_forming,
            is_loading: self.view.is_loading,
        }
    }
}
