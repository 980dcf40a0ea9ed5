//! Brackets, linked legs and one-cancels-other groups: what protects an entry, and who holds it.
//!
//! ```text
//! SubmitBracket ─► plan journaled ─► entry sent ─► fills ─► stop works ─► targets work
//!                                                     │         ▲              │
//!                                                     └─ sizes follow: decide() looks at everything again after every input
//! ```
//!
//! A leg's size is never an increment: it follows from what the entry filled, what the exits filled and what position
//! there is, so that lost, doubled and reordered news change nothing about the end. Legs held by the *broker* (native
//! children) are watched, resized and, when orphaned, cancelled; legs held by *this computer* are own orders whose link
//! is the journal's. No leg is ever replaced by another kind of order: what cannot be placed is shown as UNPROTECTED.
//!
//! | Module | Holds |
//! |---|---|
//! | [`plan`] | what a bracket wants, and what is wrong with it |
//! | [`book`] | the durable state, changed by records only |
//! | [`decide`] | pure: what to do about the legs of one bracket now |
//! | `keep` | gathers what `decide` needs and does what it says |
//! | `oco` | groups of free orders |
//! | [`mode`] | whether an account takes native brackets |

pub mod book;
pub mod decide;
mod keep;
pub mod mode;
mod oco;
pub mod plan;
#[cfg(test)]
mod tests;

pub use book::Legs;
pub(super) use keep::Keeping;
pub use mode::BracketMode;
pub use plan::{BracketPlan, Holder, Target, WhenBare};

/// The source of everything that the engine does about legs.
pub const LEGS_SOURCE: &str = "legs";
