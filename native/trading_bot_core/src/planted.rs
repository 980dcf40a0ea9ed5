//! Faults that the rig must find: planted in order, risk and journal code, one at a time, chosen when the rig runs.
//!
//! Without the feature `planted` every question is answered `false` at compile time and nothing of this is left in a
//! program; no program for users has the feature.

/// One planted fault. Each is what a tired engineer could write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    PlaceTwice,
    EpochStays,
    FillCountedTwice,
    LedgerTakesTwice,
    VoidIgnored,
    FeesOfVoidedFills,
    RoundedDown,
    AbsenceByOneRead,
    AbsenceTooEarly,
    CancelByAnswer,
    UnknownForgotten,
    UnknownLeavesExposure,
    ReservePolled,
    SendBeforeJournal,
    WrongRecordNamed,
    FlatUnread,
    SellsForgotten,
    ChainUnchecked,
    TornTailTaken,
    TornTailSilent,
    ArmedOutlivesHub,
    HaltForgotten,
    EndReopened,
    SilenceRefuses,
    ErrorRefuses,
    RestartTrusts,
    AnyTag,
    AnyAccount,
    UncomparedTrades,
    PartialRepeated,
    DoubleClick,
    OpeningAgain,
    DisputeTraded,
    OldLoginReads,
    PartIsWhole,
    RecordDropped,
    LimitPlusOne,
    CancelHalted,
    NobodyFollowed,
    StopNotMissed,
    PendingCodeRefuses,
}

/// A fault, its name in reports, and what it does.
pub const TABLE: [(Bug, &str, &str); 41] = [
    (
        Bug::PlaceTwice,
        "place-twice",
        "a place without a bracket leaves twice",
    ),
    (
        Bug::EpochStays,
        "epoch-stays",
        "a restart keeps the epoch, so tags repeat",
    ),
    (
        Bug::FillCountedTwice,
        "fill-counted-twice",
        "a repeated fill counts again for its order",
    ),
    (
        Bug::LedgerTakesTwice,
        "ledger-takes-twice",
        "a repeated fill moves the position again",
    ),
    (Bug::VoidIgnored, "void-ignored", "a voided trade stays"),
    (
        Bug::FeesOfVoidedFills,
        "fees-of-voided-fills",
        "a voided trade keeps its fees",
    ),
    (
        Bug::RoundedDown,
        "rounded-down",
        "the cost of closed lots is cut, not rounded",
    ),
    (
        Bug::AbsenceByOneRead,
        "absence-by-one-read",
        "one read proves that an order is absent",
    ),
    (
        Bug::AbsenceTooEarly,
        "absence-too-early",
        "absence is believed right after the request",
    ),
    (
        Bug::CancelByAnswer,
        "cancel-by-answer",
        "the answer to a cancel ends the order",
    ),
    (
        Bug::UnknownForgotten,
        "unknown-forgotten",
        "an unknown order does not hold up the next",
    ),
    (
        Bug::UnknownLeavesExposure,
        "unknown-leaves-exposure",
        "an unknown order counts for nothing in the limits",
    ),
    (
        Bug::ReservePolled,
        "reserve-polled",
        "reads spend what is kept for exits",
    ),
    (
        Bug::SendBeforeJournal,
        "send-before-journal",
        "a place does not wait for its record",
    ),
    (
        Bug::WrongRecordNamed,
        "wrong-record-named",
        "a place waits for the record before its own",
    ),
    (
        Bug::FlatUnread,
        "flat-unread",
        "flat is told when the close was answered",
    ),
    (
        Bug::SellsForgotten,
        "sells-forgotten",
        "working sells count for nothing in the limits",
    ),
    (
        Bug::ChainUnchecked,
        "chain-unchecked",
        "a journal's chain is not compared",
    ),
    (
        Bug::TornTailTaken,
        "torn-tail-taken",
        "what is left of a torn record is read as one",
    ),
    (
        Bug::TornTailSilent,
        "torn-tail-silent",
        "a torn tail is cut and not told",
    ),
    (
        Bug::ArmedOutlivesHub,
        "armed-outlives-hub",
        "losing the order connection disarms nobody",
    ),
    (
        Bug::HaltForgotten,
        "halt-forgotten",
        "the gate does not ask whether the engine is halted",
    ),
    (
        Bug::EndReopened,
        "end-reopened",
        "an old row opens an order that is over",
    ),
    (
        Bug::SilenceRefuses,
        "silence-refuses",
        "a place without an answer counts as refused",
    ),
    (
        Bug::ErrorRefuses,
        "error-refuses",
        "HTTP 5xx counts as a refusal",
    ),
    (
        Bug::RestartTrusts,
        "restart-trusts",
        "a restart does not doubt what was under way",
    ),
    (
        Bug::AnyTag,
        "any-tag",
        "used tags and tags of the other kind are sent",
    ),
    (
        Bug::AnyAccount,
        "any-account",
        "an account that was not chosen trades",
    ),
    (
        Bug::UncomparedTrades,
        "uncompared-trades",
        "an account trades before it was compared",
    ),
    (
        Bug::PartialRepeated,
        "partial-repeated",
        "a partial close without an answer is sent again",
    ),
    (
        Bug::DoubleClick,
        "double-click",
        "the second click of a double click is an order",
    ),
    (
        Bug::OpeningAgain,
        "opening-again",
        "every difference becomes an opening",
    ),
    (
        Bug::DisputeTraded,
        "dispute-traded",
        "a disputed position is closed at once",
    ),
    (
        Bug::OldLoginReads,
        "old-login-reads",
        "reads of before a login compare the session after it",
    ),
    (
        Bug::PartIsWhole,
        "part-is-whole",
        "a whole close joins the close of a part",
    ),
    (
        Bug::RecordDropped,
        "record-dropped",
        "the end of a doubt is not journaled",
    ),
    (
        Bug::LimitPlusOne,
        "limit-plus-one",
        "the position limit allows one lot more",
    ),
    (
        Bug::CancelHalted,
        "cancel-halted",
        "a halted engine takes no cancels",
    ),
    (
        Bug::NobodyFollowed,
        "nobody-followed",
        "a choice of accounts does not reach the hub",
    ),
    (
        Bug::StopNotMissed,
        "stop-not-missed",
        "a missing protective stop raises no alarm",
    ),
    (
        Bug::PendingCodeRefuses,
        "pending-code-refuses",
        "place codes 6 and 7 count as refusals",
    ),
];

impl Bug {
    /// The name of reports.
    pub fn name(self) -> &'static str {
        TABLE[self as usize].1
    }
}

#[cfg(feature = "planted")]
thread_local! {
    static ACTIVE: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
}

/// Whether this fault is on in this thread.
#[cfg(feature = "planted")]
pub(crate) fn planted(bug: Bug) -> bool {
    ACTIVE.get() == Some(bug)
}

/// Whether this fault is on: never, without the feature.
#[cfg(not(feature = "planted"))]
#[inline]
pub(crate) const fn planted(_: Bug) -> bool {
    false
}

/// Switches one fault on, or all off, for the engines of this thread.
#[cfg(feature = "planted")]
pub fn plant(bug: Option<Bug>) {
    ACTIVE.set(bug);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_holds_every_fault_at_its_own_place() {
        for (at, row) in TABLE.iter().enumerate() {
            assert_eq!(at, row.0 as usize, "{}", row.1);
        }
    }
}
