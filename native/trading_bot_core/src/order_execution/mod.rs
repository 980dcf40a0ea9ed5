//! Orders, their outcome, their risk and their way to the broker.

pub mod rest;
