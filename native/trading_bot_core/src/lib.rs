//! The engine of Pitdesk: every fact about the market and about our orders has one owner, and it lives here.

#[cfg(feature = "python")]
mod ffi;
