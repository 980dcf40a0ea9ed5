//! The hubs: framing, payloads, and (with tokio) the connection itself.

mod json;
pub mod parse;
pub mod signalr;
pub mod supervisor;
