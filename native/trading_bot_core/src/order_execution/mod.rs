//! Orders: the state machine, the gate, positions from fills, and the loop that compares us with the broker.

pub mod budget;
pub mod gate;
pub mod outcome;
pub mod rest;
pub mod send;
pub mod tag;
