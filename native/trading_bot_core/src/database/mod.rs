//! What is kept on disk by the core.

pub mod account_lock;
pub mod heartbeat;
pub mod home;
pub mod journal;
pub mod log;
pub mod panic_report;
