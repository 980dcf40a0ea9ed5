//! One table for the outcome of every request that changes something at the broker (decision 12).
//!
//! Silence is never a refusal: whatever does not prove that the broker took or refused the request is *unknown*, and
//! unknown is left by reading, never by sending again.

pub mod table;

use crate::planted::{Bug, planted};

/// The broker's operations the engine calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    AccountSearch,
    ContractSearch,
    ContractById,
    ContractAvailable,
    RetrieveBars,
    Place,
    Modify,
    Cancel,
    OrderSearch,
    OrderQuery,
    OrderById,
    PositionSearch,
    CloseContract,
    PartialCloseContract,
    TradeSearch,
}

impl Endpoint {
    /// Path below the REST address.
    pub fn path(self) -> &'static str {
        match self {
            Self::AccountSearch => "/api/Account/search",
            Self::ContractSearch => "/api/Contract/search",
            Self::ContractById => "/api/Contract/searchById",
            Self::ContractAvailable => "/api/Contract/available",
            Self::RetrieveBars => "/api/History/retrieveBars",
            Self::Place => "/api/Order/place",
            Self::Modify => "/api/Order/modify",
            Self::Cancel => "/api/Order/cancel",
            Self::OrderSearch => "/api/Order/search",
            Self::OrderQuery => "/api/Order/v2/query",
            Self::OrderById => "/api/Order/searchById",
            Self::PositionSearch => "/api/Position/searchOpen",
            Self::CloseContract => "/api/Position/closeContract",
            Self::PartialCloseContract => "/api/Position/partialCloseContract",
            Self::TradeSearch => "/api/Trade/search",
        }
    }

    /// Whether a lost answer may have changed something at the broker.
    pub fn is_mutating(self) -> bool {
        matches!(
            self,
            Self::Place
                | Self::Modify
                | Self::Cancel
                | Self::CloseContract
                | Self::PartialCloseContract
        )
    }

    /// Whether the sender may repeat the request by itself once, after renewing the token on 401. A place never.
    pub fn may_repeat_on_401(self) -> bool {
        !matches!(
            self,
            Self::Place | Self::Modify | Self::CloseContract | Self::PartialCloseContract
        )
    }
}

/// The part common to all answers in JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    pub success: bool,
    pub error_code: i64,
    pub error_message: String,
    pub order_id: Option<i64>,
}

/// What became of one request, as the sender saw it. Every request sent ends in exactly one of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// Provably no byte left (no name, no connection, TLS failure, withdrawn before sending).
    NotSent { text: String },
    /// A whole HTTP answer arrived. `envelope` is `None` when its body is not the envelope in JSON.
    Answered {
        status: u16,
        envelope: Option<Envelope>,
    },
    /// Bytes left and no whole answer came: timeout, reset, a body cut short.
    Silent { text: String },
}

/// The verdict on one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The broker took it; a place has its order id.
    Accepted { order_id: Option<i64> },
    /// Nothing left this machine.
    NotSent { text: String },
    /// The broker said no.
    Refused { code: i64, text: String },
    /// Neither is proven.
    Unknown { text: String },
}

/// Classifies one attempt. `is_only_attempt` says that the tag of a place was never sent before (code 2 may otherwise
/// mean that the first attempt lives).
pub fn classify(endpoint: Endpoint, attempt: &Attempt, is_only_attempt: bool) -> Outcome {
    match attempt {
        Attempt::NotSent { text } => Outcome::NotSent { text: text.clone() },
        Attempt::Silent { text } if planted(Bug::SilenceRefuses) => Outcome::Refused {
            code: 0,
            text: text.clone(),
        },
        Attempt::Silent { text } => Outcome::Unknown { text: text.clone() },
        Attempt::Answered {
            status: status @ (400 | 401 | 403 | 404 | 415),
            ..
        } => Outcome::Refused {
            code: i64::from(*status),
            text: http_text(*status).to_owned(),
        },
        Attempt::Answered {
            status: 200,
            envelope: Some(envelope),
        } => classify_envelope(endpoint, envelope, is_only_attempt),
        Attempt::Answered {
            status: 200,
            envelope: None,
        } => Outcome::Unknown {
            text: "The answer is not the broker's JSON.".to_owned(),
        },
        Attempt::Answered { status, .. } if planted(Bug::ErrorRefuses) => Outcome::Refused {
            code: i64::from(*status),
            text: "The broker answered with an error.".to_owned(),
        },
        Attempt::Answered { status, .. } => Outcome::Unknown {
            text: format!("The broker answered HTTP {status}."),
        },
    }
}

fn http_text(status: u16) -> &'static str {
    match status {
        400 => "The broker could not read the request (HTTP 400).",
        401 => "The session is not valid any more (HTTP 401).",
        403 => "The broker does not allow this (HTTP 403).",
        404 => "The broker has no such operation (HTTP 404).",
        _ => "The broker does not take this content (HTTP 415).",
    }
}

fn classify_envelope(endpoint: Endpoint, envelope: &Envelope, is_only_attempt: bool) -> Outcome {
    let code = envelope.error_code;
    if envelope.success {
        // An id of zero is what a broker that did not fill the field writes; no order has it.
        if endpoint == Endpoint::Place && envelope.order_id.is_none_or(|id| id < 1) {
            return Outcome::Unknown {
                text: "The broker accepted without naming the order.".to_owned(),
            };
        }
        return Outcome::Accepted {
            order_id: envelope.order_id,
        };
    }
    let refused = || Outcome::Refused {
        code,
        text: refusal_text(endpoint, envelope),
    };
    let unknown = || Outcome::Unknown {
        text: refusal_text(endpoint, envelope),
    };
    match (endpoint, code) {
        (Endpoint::Place, 1 | 3 | 4 | 5 | 8 | 9 | 10) => refused(),
        (Endpoint::Place, 2) if is_only_attempt => refused(),
        (Endpoint::Place, 6 | 7) if planted(Bug::PendingCodeRefuses) => refused(),
        (Endpoint::Place, _)
        | (Endpoint::Modify | Endpoint::Cancel, 4 | 5)
        | (Endpoint::CloseContract, 6 | 7)
        | (Endpoint::PartialCloseContract, 7 | 8) => unknown(),
        _ => refused(),
    }
}

/// The broker's own sentence, or one for its code.
fn refusal_text(endpoint: Endpoint, envelope: &Envelope) -> String {
    if !envelope.error_message.is_empty() {
        return envelope.error_message.chars().take(300).collect();
    }
    let named = match endpoint {
        Endpoint::Place => place_code_text(envelope.error_code),
        Endpoint::Modify | Endpoint::Cancel => change_code_text(envelope.error_code),
        _ => None,
    };
    named.map_or_else(
        || format!("The broker answered with code {}.", envelope.error_code),
        str::to_owned,
    )
}

fn place_code_text(code: i64) -> Option<&'static str> {
    Some(match code {
        1 => "The broker does not know this account.",
        2 => "The broker rejected the order.",
        3 => "Insufficient funds.",
        4 => "The account's rules forbid it.",
        5 => "Outside trading hours.",
        6 => "The broker has not decided yet.",
        7 => "The broker answered with an unknown error.",
        8 => "The broker does not know this contract.",
        9 => "The contract is not active.",
        10 => "The broker rejected the account.",
        _ => return None,
    })
}

fn change_code_text(code: i64) -> Option<&'static str> {
    Some(match code {
        1 => "The broker does not know this account.",
        2 => "The broker does not know this order.",
        3 => "The broker rejected the change.",
        4 => "The broker has not decided yet.",
        5 => "The broker answered with an unknown error.",
        6 => "The broker rejected the account.",
        7 => "The broker does not know this contract.",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn code(code: i64) -> Attempt {
        let envelope = Envelope {
            success: false,
            error_code: code,
            ..Envelope::default()
        };
        Attempt::Answered {
            status: 200,
            envelope: Some(envelope),
        }
    }

    fn success(order_id: Option<i64>) -> Attempt {
        Attempt::Answered {
            status: 200,
            envelope: Some(Envelope {
                success: true,
                order_id,
                ..Envelope::default()
            }),
        }
    }

    fn http(status: u16) -> Attempt {
        Attempt::Answered {
            status,
            envelope: None,
        }
    }

    fn word(outcome: &Outcome) -> &'static str {
        match outcome {
            Outcome::Accepted { .. } => "accepted",
            Outcome::NotSent { .. } => "not sent",
            Outcome::Refused { .. } => "refused",
            Outcome::Unknown { .. } => "unknown",
        }
    }

    #[rstest]
    #[case::no_byte_left(Attempt::NotSent { text: "refused connection".into() }, "not sent")]
    #[case::silence(Attempt::Silent { text: "timeout".into() }, "unknown")]
    #[case::h400(http(400), "refused")]
    #[case::h401(http(401), "refused")]
    #[case::h403(http(403), "refused")]
    #[case::h404(http(404), "refused")]
    #[case::h415(http(415), "refused")]
    #[case::h429(http(429), "unknown")]
    #[case::h500(http(500), "unknown")]
    #[case::h503(http(503), "unknown")]
    #[case::html_with_200(http(200), "unknown")]
    #[case::redirect(http(302), "unknown")]
    fn every_endpoint_that_changes_something_reads_the_transport_alike(
        #[case] attempt: Attempt,
        #[case] want: &str,
    ) {
        for endpoint in [
            Endpoint::Place,
            Endpoint::Modify,
            Endpoint::Cancel,
            Endpoint::CloseContract,
        ] {
            assert_eq!(
                word(&classify(endpoint, &attempt, true)),
                want,
                "{endpoint:?}"
            );
        }
    }

    #[rstest]
    #[case(success(Some(7)), true, "accepted")]
    #[case(success(None), true, "unknown")]
    #[case(success(Some(0)), true, "unknown")]
    #[case(success(Some(-1)), true, "unknown")]
    #[case(code(1), true, "refused")]
    #[case(code(2), true, "refused")]
    #[case(code(2), false, "unknown")]
    #[case(code(3), true, "refused")]
    #[case(code(4), true, "refused")]
    #[case(code(5), true, "refused")]
    #[case(code(6), true, "unknown")]
    #[case(code(7), true, "unknown")]
    #[case(code(8), true, "refused")]
    #[case(code(9), true, "refused")]
    #[case(code(10), true, "refused")]
    #[case(code(11), true, "unknown")]
    #[case(code(-3), true, "unknown")]
    fn a_place_is_read_by_its_own_codes(
        #[case] attempt: Attempt,
        #[case] only: bool,
        #[case] want: &str,
    ) {
        assert_eq!(word(&classify(Endpoint::Place, &attempt, only)), want);
    }

    #[rstest]
    #[case(success(None), "accepted")]
    #[case(code(1), "refused")]
    #[case(code(2), "refused")]
    #[case(code(3), "refused")]
    #[case(code(4), "unknown")]
    #[case(code(5), "unknown")]
    #[case(code(6), "refused")]
    #[case(code(7), "refused")]
    fn a_change_is_read_by_its_own_codes(#[case] attempt: Attempt, #[case] want: &str) {
        assert_eq!(word(&classify(Endpoint::Modify, &attempt, true)), want);
        assert_eq!(word(&classify(Endpoint::Cancel, &attempt, true)), want);
    }

    #[test]
    fn a_close_that_is_pending_is_unknown() {
        assert_eq!(
            word(&classify(Endpoint::CloseContract, &code(6), true)),
            "unknown"
        );
        assert_eq!(
            word(&classify(Endpoint::PartialCloseContract, &code(7), true)),
            "unknown"
        );
        assert_eq!(
            word(&classify(Endpoint::CloseContract, &code(2), true)),
            "refused"
        );
    }
}
