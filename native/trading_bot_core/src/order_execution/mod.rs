//! Orders: the state machine, the gate, positions from fills, and the loop that compares us with the broker.

pub mod boundary;
pub mod budget;
mod cancels;
mod changes;
pub mod elsewhere;
mod evidence;
pub mod exits;
pub mod gate;
#[cfg(test)]
mod hostile;
mod http_reply;
pub mod ledger;
pub mod legs;
pub mod login_life;
pub mod order;
pub mod order_lines;
pub mod outcome;
mod placing;
pub mod reconcile;
pub mod record;
mod replies;
pub mod requests;
pub mod rest;
pub mod risk;
pub mod send;
pub mod stop_rules;
pub mod store;
pub mod sweep;
pub mod tag;
pub mod trading;
