//! The moments between two effects of one order, at which a program can die with something half done.
//!
//! A rig that kills its own process hands in a [`Watch`]; everybody else runs without one.

/// A moment at the edge of an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Boundary {
    /// The intent is in the journal, not one byte of its request has left.
    RecordWritten,
    /// Half of a request is in the socket.
    HalfSent,
    /// The whole request is in the socket, its answer has not been read.
    Sent,
    /// The answer has been read, nothing of it is in the journal.
    AnswerRead,
    /// What the answer said is in the journal, nobody has been told.
    AnswerRecorded,
    /// A read that compares us with the broker is about to leave.
    Reconciling,
}

impl Boundary {
    /// Every boundary with its name in reports.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::RecordWritten, "record_written"),
        (Self::HalfSent, "half_sent"),
        (Self::Sent, "sent"),
        (Self::AnswerRead, "answer_read"),
        (Self::AnswerRecorded, "answer_recorded"),
        (Self::Reconciling, "reconciling"),
    ];
}

/// Called at every boundary, on the engine's thread.
pub type Watch = fn(Boundary);
