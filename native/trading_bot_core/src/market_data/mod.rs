//! The market as plain structs with `apply(…)`: quote, depth book, session volume and time bars. No clock, no I/O, no thread.

mod bars;
mod book;
mod freshness;
mod queue;
mod quote;
mod session;
mod trace;

pub use bars::{Bar, BarChange, BarSeries, Span};
pub use book::{BookState, DepthBook};
pub use freshness::Freshness;
pub use queue::QueueEstimate;
pub use quote::Quote;
pub use session::{RecentRules, RecentTrades, SessionStats, Traded};
pub use trace::{BookTrace, TRACE_WIDTH};
