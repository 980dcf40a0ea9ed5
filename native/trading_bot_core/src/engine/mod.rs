//! The engine: `step(input, outbox)`, the pure single writer of every fact about the market and about our orders.
//!
//! ```text
//! let opened = database::journal::open(path, &identity, epoch)?;
//! let mut engine = Engine::new(setup);                       // Setup { install, epoch, tag_prefix, settings }
//! engine.replay(&opened.records);                            // the journal is the state
//! loop { engine.step(input, stamp, &mut outbox); engine.publish(&board); perform(outbox.drain()); }
//! ```
//!
//! The first `step` must be preceded by `engine.start(stamp, &mut outbox)`, which records the epoch and takes every order
//! without proof into doubt; its record is synced before connecting.

pub mod caretaker;
pub mod contract;
pub mod control;
mod doorbell;
mod driver;
pub mod feed;
pub mod handle;
mod market;
pub mod news;
mod priority;
pub mod pulse;
mod risk_rows;
pub(crate) mod rows;
mod rows_json;
pub mod session;
#[cfg(test)]
mod simulation;
mod step;
pub mod views;
pub mod wakefulness;
pub mod watch_line;
pub mod words;

pub use step::{Engine, Setup, next_epoch};
