//! The hubs: framing, payloads, and (with tokio) the connection itself.

pub mod parse;
