//! What is kept on disk by the core.

pub mod journal;
