//! The proof rig: the real engine, journal and gate against a model broker, in virtual time, with faults from one seed.
//!
//! ```text
//! seed ─► Plan (rates, acts) ─► World ─┬─ Engine::step ─► records ─► Disk (the journal's own framing)
//!                                      ├─ requests ─► network ─► Broker (desk) ─► hub news ─► network ─► Engine
//!                                      └─ invariants after every step ─► Tally, first Broken
//! ```
//!
//! A life is a plan and nothing else; the same plan gives the same life. Only tests and the feature `rig` build this.

mod broker;
mod campaign;
mod desk;
mod dice;
mod disk;
mod faults;
mod invariants;
mod life;
mod network;
mod operator;
mod people;
mod plan;
mod world;

pub use campaign::{BadLife, TWICE, Totals, run};
#[cfg(feature = "planted")]
pub use campaign::{Hunt, hunt};
pub use faults::Fault;
pub use invariants::{Broken, Law, Tally};
pub use life::{Lived, live, live_traced, shrink, tell};
pub use plan::Plan;
#[cfg(test)]
pub(crate) use {
    broker::{ACCOUNTS, CONTRACTS},
    disk::{Death, Disk},
    network::Fate,
    operator::Errand,
    plan::{MILLI, SECOND},
    world::{Happening, World},
};
