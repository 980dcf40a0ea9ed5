//! The engine of Pitdesk: every fact about the market and about our orders has one owner, and it lives here.

pub mod calendar;
pub mod clock;
pub mod database;
pub mod engine;
pub mod error;
pub mod market_data;
pub mod order_execution;
pub mod planted;
#[cfg(any(test, feature = "rig"))]
pub mod rig;
pub mod risk_rules;
pub mod types;
pub mod websocket;

#[cfg(feature = "python")]
mod ffi;
