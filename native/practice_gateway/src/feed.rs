//! What a market source hands to the server, and the interface every source keeps.
//!
//! The server owns the visible book (built from `Level` events), the prints and the bars of the running session; a
//! source only says what happened on the exchange and when. Own orders never reach a source.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A side of the book; as the aggressor of a print, `Bid` is a buyer and `Ask` a seller.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Side {
    Bid,
    Ask,
}

impl Side {
    /// The other side.
    #[must_use]
    pub fn opposite(self) -> Self {
        match self {
            Side::Bid => Side::Ask,
            Side::Ask => Side::Bid,
        }
    }
}

/// One exchange event, already ordered. Prices are ticks of the contract, times UTC nanoseconds of the gateway's clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FeedEvent {
    /// New absolute size of a level, 0 = gone.
    Level {
        at: i64,
        side: Side,
        ticks: i64,
        lots: i64,
    },
    Print {
        at: i64,
        ticks: i64,
        lots: i64,
        aggressor: Option<Side>,
    },
    /// The book is empty from here on.
    Clear {
        at: i64,
    },
    SessionOpen {
        at: i64,
    },
    SessionClose {
        at: i64,
    },
}

impl FeedEvent {
    /// When it happened, UTC nanoseconds.
    pub fn at(&self) -> i64 {
        match *self {
            FeedEvent::Level { at, .. }
            | FeedEvent::Print { at, .. }
            | FeedEvent::Clear { at }
            | FeedEvent::SessionOpen { at }
            | FeedEvent::SessionClose { at } => at,
        }
    }
}

/// An event with the index of its contract in the [`crate::contracts::ContractTable`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tagged {
    pub contract: usize,
    pub event: FeedEvent,
}

/// The wire's `AggregateBarUnit`; `Tick` is not served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BarUnit {
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
}

/// One bar; `at` is its opening time in UTC nanoseconds, prices are ticks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Bar {
    pub at: i64,
    pub open: i64,
    pub high: i64,
    pub low: i64,
    pub close: i64,
    pub lots: i64,
}

/// Which market the gateway streams.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SourceConfig {
    /// Seeded model of MNQ, MES, NQ, ES, CL, GC.
    Model,
    /// Recorded levels, bars or ticks; companion files are found by name.
    Replay { path: PathBuf },
    /// A list of timed quotes, prints and levels.
    Script { path: PathBuf },
}

/// A stream of exchange events on the gateway's clock. Deterministic: same seed, same file, same events.
pub trait MarketSource: Send {
    /// Everything with `at <= until`, oldest first, appended to `out`. Returns the time of the next event, None at the end.
    fn advance(&mut self, until: i64, out: &mut Vec<Tagged>) -> Option<i64>;
    /// Where the gateway's clock begins.
    fn start_time(&self) -> i64;
    /// Continues from `to`; the next `advance` begins with `Clear` and the levels in force there.
    fn seek(&mut self, to: i64) -> Result<(), String>;
    /// History older than the stream, of one contract; `from <= bar.at < to`, oldest first. A bar open at `to` holds only
    /// what was printed before `to`.
    fn history(&self, contract: usize, unit: BarUnit, number: u32, from: i64, to: i64) -> Vec<Bar>;
    fn is_trading(&self, contract: usize, at: i64) -> bool;
    /// Indices of the contracts it streams.
    fn contracts(&self) -> &[usize];
    /// Adds steps at run time (control port); only a script takes them.
    fn push(&mut self, _steps: &str) -> Result<(), String> {
        Err("This market takes no steps; start the gateway with --market script FILE.".to_owned())
    }
    /// Appends steps (JSON) to a script, timed from now; other sources refuse.
    fn push_script(&mut self, _json: &str) -> Result<(), String> {
        Err("Only a script takes further steps.".into())
    }
}
