//! Requests on their way out, and who may build which.
//!
//! A request that can raise risk needs a [`Admitted`] token, which only the gate makes and which is spent by use. Exits
//! and reads need none: nothing may stand in the way of a cancel.

use crate::engine::contract::{Endpoint, Lane, SendId};
use crate::types::{Mono, RequestId};

use super::gate::Admitted;

/// One request for the sender. Built only by the functions below.
#[derive(Debug)]
pub struct Outgoing {
    pub id: SendId,
    pub endpoint: Endpoint,
    /// JSON.
    pub body: String,
    /// The journal record that must be written first.
    pub after_record: Option<u64>,
    pub lane: Lane,
    /// When the sender gives up: unsent becomes `NotSent`, sent becomes `Silent`.
    pub deadline: Mono,
    /// The press that caused it, for measurements; zero when none.
    pub pressed: Mono,
    /// The request of Python that caused it, for log lines.
    pub cause: Option<RequestId>,
    _sealed: Sealed,
}

#[derive(Debug)]
struct Sealed;

impl Outgoing {
    /// A request that may raise risk: a place or a modification. Spends the gate's token.
    pub fn risk(
        token: Admitted,
        id: SendId,
        endpoint: Endpoint,
        body: String,
        deadline: Mono,
    ) -> Self {
        debug_assert!(
            matches!(endpoint, Endpoint::Place | Endpoint::Modify),
            "only these two can raise risk"
        );
        drop(token);
        Self::build(id, endpoint, body, Lane::Ordinary, deadline)
    }

    /// The same request again, under another id.
    #[cfg(feature = "planted")]
    pub(super) fn twin(&self, id: SendId) -> Self {
        Self {
            after_record: self.after_record,
            ..Self::build(
                id,
                self.endpoint,
                self.body.clone(),
                self.lane,
                self.deadline,
            )
        }
    }

    /// A cancel or a close.
    pub fn exit(id: SendId, endpoint: Endpoint, body: String, deadline: Mono) -> Self {
        debug_assert!(
            matches!(
                endpoint,
                Endpoint::Cancel | Endpoint::CloseContract | Endpoint::PartialCloseContract
            ),
            "exits only reduce"
        );
        Self::build(id, endpoint, body, Lane::Exit, deadline)
    }

    /// A request that changes nothing at the broker.
    pub fn read(id: SendId, endpoint: Endpoint, body: String, lane: Lane, deadline: Mono) -> Self {
        debug_assert!(!endpoint.is_mutating(), "a read changes nothing");
        Self::build(id, endpoint, body, lane, deadline)
    }

    fn build(id: SendId, endpoint: Endpoint, body: String, lane: Lane, deadline: Mono) -> Self {
        Self {
            id,
            endpoint,
            body,
            after_record: None,
            lane,
            deadline,
            pressed: Mono(0),
            cause: None,
            _sealed: Sealed,
        }
    }

    /// Holds the request until record `index` is written.
    #[must_use]
    pub fn after(mut self, index: u64) -> Self {
        self.after_record = Some(index);
        self
    }

    /// Remembers when the key went down.
    #[must_use]
    pub fn pressed_at(mut self, pressed: Mono) -> Self {
        self.pressed = pressed;
        self
    }
}
