//! A record of a book's best levels after every depth time, for comparison with a recorded book. Off unless asked for.

use std::sync::Arc;

use parking_lot::Mutex;

use super::DepthBook;
use crate::websocket::parse::DepthRecord;

/// Levels a side that a row holds.
pub const TRACE_LEVELS: usize = 10;
/// Numbers in a row: time, bid ticks, bid lots, ask ticks, ask lots; missing levels are 0.
pub const TRACE_WIDTH: usize = 1 + 4 * TRACE_LEVELS;
/// About two hours of a busy contract; what comes later is not recorded.
const ROWS_MAX: usize = 500_000;

/// Rows shared with the one who asked for them.
#[derive(Clone, Debug, Default)]
pub struct BookTrace(Arc<Mutex<Vec<i64>>>);

impl BookTrace {
    /// Takes out what was recorded so far, row after row.
    pub fn take(&self) -> Vec<i64> {
        std::mem::take(&mut *self.0.lock())
    }

    /// Records the book as it stands after the records of one time.
    pub fn note(&self, book: &DepthBook, group: &[DepthRecord]) {
        let Some(last) = group.last() else {
            return;
        };
        let mut rows = self.0.lock();
        if rows.len() >= ROWS_MAX * TRACE_WIDTH {
            return;
        }
        let start = rows.len();
        rows.resize(start + TRACE_WIDTH, 0);
        let row = &mut rows[start..];
        row[0] = last.time.0;
        for (n, (price, lots)) in book.bids().take(TRACE_LEVELS).enumerate() {
            row[1 + n] = price.0;
            row[1 + TRACE_LEVELS + n] = lots.0;
        }
        for (n, (price, lots)) in book.asks().take(TRACE_LEVELS).enumerate() {
            row[1 + 2 * TRACE_LEVELS + n] = price.0;
            row[1 + 3 * TRACE_LEVELS + n] = lots.0;
        }
    }
}
