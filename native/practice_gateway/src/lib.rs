//! A ProjectX-faithful exchange on loopback. It shares no code with the client, so that one misreading of the
//! protocol cannot hide in both halves.

pub mod contracts;
pub mod exchange;
pub mod feed;
pub mod market;
pub mod server;
pub mod wire;
