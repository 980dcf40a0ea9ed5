//! One order: life × change × doubt × filled × origin (decision 11), and the table by which its life moves.

use crate::types::{
    AccountId, ClientTag, ContractIndex, Lots, Nanos, OrderId, OrderKind, OrderStatus, Side, Ticks,
};

/// How far an order has come. It only moves up; the last six are ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Life {
    Intent,
    Sent,
    Suspended,
    Working,
    Filled,
    Cancelled,
    Expired,
    Refused,
    Denied,
    NotAccepted,
}

impl Life {
    /// Every life, lowest first.
    pub const ALL: [Self; 10] = [
        Self::Intent,
        Self::Sent,
        Self::Suspended,
        Self::Working,
        Self::Filled,
        Self::Cancelled,
        Self::Expired,
        Self::Refused,
        Self::Denied,
        Self::NotAccepted,
    ];

    /// The word on the seam.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::Sent => "sent",
            Self::Suspended => "suspended",
            Self::Working => "working",
            Self::Filled => "filled",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Refused => "refused",
            Self::Denied => "denied",
            Self::NotAccepted => "not_accepted",
        }
    }

    /// Nothing more is expected from the broker.
    pub const fn is_end(self) -> bool {
        self.rank() == 4
    }

    /// Ends are equal: which one it is was said by the broker.
    pub const fn rank(self) -> u8 {
        match self {
            Self::Intent => 0,
            Self::Sent => 1,
            Self::Suspended => 2,
            Self::Working => 3,
            Self::Filled
            | Self::Cancelled
            | Self::Expired
            | Self::Refused
            | Self::Denied
            | Self::NotAccepted => 4,
        }
    }
}

/// Something that is known to have happened to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fact {
    /// The request was handed to the sender.
    Left,
    /// The gate said no.
    Denied,
    Pending,
    Suspended,
    Open,
    PendingCancel,
    Filled,
    Cancelled,
    Expired,
    Rejected,
    /// The broker stated a status that this program does not know.
    Unrecognised,
    ReplyAccepted,
    ReplyRefused,
    ReplyNotSent,
    ReplyUnknown,
    /// The proof of absence is complete.
    ProvenAbsent,
}

impl Fact {
    /// Every fact.
    pub const ALL: [Self; 16] = [
        Self::Left,
        Self::Denied,
        Self::Pending,
        Self::Suspended,
        Self::Open,
        Self::PendingCancel,
        Self::Filled,
        Self::Cancelled,
        Self::Expired,
        Self::Rejected,
        Self::Unrecognised,
        Self::ReplyAccepted,
        Self::ReplyRefused,
        Self::ReplyNotSent,
        Self::ReplyUnknown,
        Self::ProvenAbsent,
    ];

    /// The fact that a broker's status states.
    pub const fn of_status(status: OrderStatus) -> Self {
        match status {
            OrderStatus::Open => Self::Open,
            OrderStatus::Filled => Self::Filled,
            OrderStatus::Cancelled => Self::Cancelled,
            OrderStatus::Expired => Self::Expired,
            OrderStatus::Rejected => Self::Rejected,
            OrderStatus::Pending => Self::Pending,
            OrderStatus::PendingCancellation => Self::PendingCancel,
            OrderStatus::Suspended => Self::Suspended,
            OrderStatus::None | OrderStatus::Other(_) => Self::Unrecognised,
        }
    }
}

/// What a fact does to a life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Moves up.
    Enter(Life),
    /// Already known, or older than what is known.
    Stay,
    /// Neither way is proven: ask.
    Doubt,
    /// The broker's refusal and a live order contradict each other. From the hub it may be an old event: ask. From a
    /// read it is so: adopt, with an alarm.
    Contradicts(Life),
    /// Broker evidence against an end that we inferred, or against another end: adopt, with an alarm.
    Overturn(Life),
}

/// A fact that cannot happen to an order of this life: our own mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an order that is {life:?} cannot see {fact:?}")]
pub struct Illegal {
    pub life: Life,
    pub fact: Fact,
}

/// The whole machine: one row for each kind of fact, one column for each life. No arm catches what was not thought of.
pub const fn advance(life: Life, fact: Fact) -> Result<Verdict, Illegal> {
    let verdict = match fact {
        Fact::Left => from_intent(life, Life::Sent),
        Fact::Denied => from_intent(life, Life::Denied),
        Fact::Pending => Some(seen_alive(life, Life::Sent)),
        Fact::Suspended => Some(seen_alive(life, Life::Suspended)),
        Fact::Open | Fact::PendingCancel => Some(seen_alive(life, Life::Working)),
        Fact::Filled => Some(seen_filled(life)),
        Fact::Cancelled => Some(seen_over(life, Life::Cancelled)),
        Fact::Expired => Some(seen_over(life, Life::Expired)),
        Fact::Rejected => Some(seen_over(life, Life::Refused)),
        Fact::Unrecognised => Some(seen_unrecognised(life)),
        Fact::ReplyAccepted => Some(accepted(life)),
        Fact::ReplyRefused => Some(declined(life, Life::Refused)),
        Fact::ReplyNotSent => Some(declined(life, Life::NotAccepted)),
        Fact::ReplyUnknown => Some(unanswered(life)),
        Fact::ProvenAbsent => proven_absent(life),
    };
    match verdict {
        Some(verdict) => Ok(verdict),
        None => Err(Illegal { life, fact }),
    }
}

/// What this program does itself, to an intent and to nothing else: no order is sent twice.
const fn from_intent(life: Life, to: Life) -> Option<Verdict> {
    use Life as L;
    match life {
        L::Intent => Some(Verdict::Enter(to)),
        L::Sent
        | L::Suspended
        | L::Working
        | L::Filled
        | L::Cancelled
        | L::Expired
        | L::Refused
        | L::Denied
        | L::NotAccepted => None,
    }
}

const fn seen_alive(life: Life, to: Life) -> Verdict {
    use Life as L;
    match life {
        L::Intent | L::Sent | L::Suspended | L::Working if life.rank() < to.rank() => {
            Verdict::Enter(to)
        }
        L::Intent | L::Sent | L::Suspended | L::Working | L::Filled | L::Cancelled | L::Expired => {
            Verdict::Stay
        }
        L::Refused => Verdict::Contradicts(to),
        L::Denied | L::NotAccepted => Verdict::Overturn(to),
    }
}

const fn seen_filled(life: Life) -> Verdict {
    use Life as L;
    match life {
        L::Intent | L::Sent | L::Suspended | L::Working => Verdict::Enter(L::Filled),
        L::Filled => Verdict::Stay,
        L::Cancelled | L::Expired | L::Refused | L::Denied | L::NotAccepted => {
            Verdict::Overturn(L::Filled)
        }
    }
}

const fn seen_over(life: Life, to: Life) -> Verdict {
    use Life as L;
    match life {
        L::Intent | L::Sent | L::Suspended | L::Working => Verdict::Enter(to),
        L::Filled | L::Cancelled | L::Expired | L::Refused => Verdict::Stay,
        L::Denied | L::NotAccepted => Verdict::Overturn(to),
    }
}

const fn seen_unrecognised(life: Life) -> Verdict {
    use Life as L;
    match life {
        L::Filled | L::Cancelled | L::Expired => Verdict::Stay,
        L::Intent
        | L::Sent
        | L::Suspended
        | L::Working
        | L::Refused
        | L::Denied
        | L::NotAccepted => Verdict::Doubt,
    }
}

const fn accepted(life: Life) -> Verdict {
    use Life as L;
    match life {
        L::Intent => Verdict::Enter(L::Sent),
        L::Sent
        | L::Suspended
        | L::Working
        | L::Filled
        | L::Cancelled
        | L::Expired
        | L::Refused => Verdict::Stay,
        L::Denied | L::NotAccepted => Verdict::Overturn(L::Sent),
    }
}

/// An answer that says no, or that nothing left, against an order that the broker has shown: one of the two is wrong.
const fn declined(life: Life, to: Life) -> Verdict {
    use Life as L;
    match life {
        L::Intent | L::Sent => Verdict::Enter(to),
        L::Suspended | L::Working => Verdict::Doubt,
        L::Filled | L::Cancelled | L::Expired | L::Refused | L::Denied | L::NotAccepted => {
            Verdict::Stay
        }
    }
}

const fn unanswered(life: Life) -> Verdict {
    use Life as L;
    match life {
        L::Intent | L::Sent => Verdict::Doubt,
        L::Suspended
        | L::Working
        | L::Filled
        | L::Cancelled
        | L::Expired
        | L::Refused
        | L::Denied
        | L::NotAccepted => Verdict::Stay,
    }
}

const fn proven_absent(life: Life) -> Option<Verdict> {
    use Life as L;
    match life {
        L::Intent | L::Sent => Some(Verdict::Enter(L::NotAccepted)),
        L::Suspended | L::Working => None,
        L::Filled | L::Cancelled | L::Expired | L::Refused | L::Denied | L::NotAccepted => {
            Some(Verdict::Stay)
        }
    }
}

/// What was asked of the broker about a living order and is not answered yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Change {
    #[default]
    None,
    Modify,
    Cancel,
}

impl Change {
    /// The word on the seam.
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Modify => "modify",
            Self::Cancel => "cancel",
        }
    }
}

/// What an order is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    #[default]
    Entry,
    Stop,
    Target,
    Close,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::Entry, Self::Stop, Self::Target, Self::Close];

    /// The part of an order of that kind which makes a position smaller.
    pub const fn of_exit(kind: OrderKind) -> Self {
        match kind {
            OrderKind::Stop | OrderKind::StopLimit | OrderKind::TrailingStop => Self::Stop,
            OrderKind::Limit | OrderKind::JoinBid | OrderKind::JoinAsk => Self::Target,
            OrderKind::Market => Self::Close,
        }
    }

    /// Reads the seam's word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.word() == word)
    }

    /// The word on the seam.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Entry => "entry",
            Self::Stop => "stop",
            Self::Target => "target",
            Self::Close => "close",
        }
    }
}

/// Values that a modification changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Values {
    pub size: Option<i64>,
    pub limit: Option<i64>,
    pub stop: Option<i64>,
    pub trail: Option<i64>,
}

impl Values {
    /// These values, and those of `other` where nothing is wanted here.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            size: self.size.or(other.size),
            limit: self.limit.or(other.limit),
            stop: self.stop.or(other.stop),
            trail: self.trail.or(other.trail),
        }
    }
}

/// One order as the engine knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The tag for our own, `#<broker id>` for others.
    pub key: String,
    pub tag: Option<ClientTag>,
    pub order_id: Option<OrderId>,
    pub account: AccountId,
    pub contract: ContractIndex,
    pub side: Side,
    pub kind: OrderKind,
    pub size: Lots,
    pub limit: Option<Ticks>,
    pub stop: Option<Ticks>,
    pub trail: Option<Ticks>,
    pub life: Life,
    pub change: Change,
    pub wanted: Values,
    pub doubt: Option<Nanos>,
    /// Highest fill volume the broker stated.
    pub broker_filled: Lots,
    /// Sum of the fills known for its id.
    pub traded: Lots,
    pub average_1e4: Option<i64>,
    pub role: Role,
    pub is_foreign: bool,
    pub parent: Option<OrderId>,
    pub linked: Option<OrderId>,
    pub created: Nanos,
    pub updated: Nanos,
    /// The newest stamp of the broker's rows; an older row changes no values.
    pub seen: Nanos,
    /// What the last modification that the broker took replaced, and when that was known. An older message may still
    /// show it.
    pub replaced: Option<(Values, Nanos)>,
    pub source: String,
    pub reason: String,
}

impl Order {
    /// Lots filled, by whichever evidence is ahead; never above the size.
    pub fn filled(&self) -> Lots {
        self.broker_filled.max(self.traded).min(self.size)
    }

    /// Lots that could still fill: zero once the broker said that it is over and nobody doubts it.
    pub fn open(&self) -> Lots {
        if self.life.is_end() && self.doubt.is_none() {
            return Lots(0);
        }
        let wanted = self.wanted.size.unwrap_or(0).max(self.size.0);
        Lots((wanted - self.filled().0).max(0))
    }

    /// Lots that may still move the position: what is open, and fills that the broker counted and that did not arrive yet.
    pub fn may_still_fill(&self) -> i64 {
        let unseen = (self.filled().0 - self.traded.0).max(0);
        let unseen = if self.is_foreign { 0 } else { unseen };
        self.open().0.saturating_add(unseen)
    }

    /// Whether it can be cancelled or changed at the broker.
    pub fn is_live(&self) -> bool {
        !self.life.is_end() || self.doubt.is_some()
    }
}

/// The look of an order: a pure function with the precedence done, unknown, cancelling, changing, sending, part-filled,
/// working.
pub fn look(order: &Order) -> &'static str {
    if order.doubt.is_some() {
        return "unknown";
    }
    if order.life.is_end() {
        return "done";
    }
    match (order.change, order.life) {
        (Change::Cancel, _) => "cancelling",
        (Change::Modify, _) => "changing",
        (Change::None, Life::Intent | Life::Sent) => "sending",
        (Change::None, _) if order.filled().0 > 0 => "part_filled",
        (Change::None, _) => "working",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn life_never_falls_except_by_evidence_against_an_end() {
        for life in Life::ALL {
            for fact in Fact::ALL {
                match advance(life, fact) {
                    Ok(Verdict::Enter(next)) => {
                        assert!(next.rank() > life.rank(), "{life:?} {fact:?}");
                    }
                    Ok(Verdict::Overturn(_) | Verdict::Contradicts(_)) => {
                        assert!(life.is_end(), "{life:?} {fact:?}");
                    }
                    Ok(Verdict::Stay | Verdict::Doubt) | Err(_) => {}
                }
            }
        }
    }

    #[test]
    fn an_order_the_broker_ended_is_never_opened_again() {
        for life in [Life::Filled, Life::Cancelled, Life::Expired] {
            for fact in [
                Fact::Pending,
                Fact::Open,
                Fact::Suspended,
                Fact::PendingCancel,
                Fact::Unrecognised,
            ] {
                assert_eq!(advance(life, fact), Ok(Verdict::Stay));
            }
        }
    }

    #[test]
    fn silence_is_never_a_refusal() {
        for life in [Life::Intent, Life::Sent] {
            assert_eq!(advance(life, Fact::ReplyUnknown), Ok(Verdict::Doubt));
        }
    }

    #[test]
    fn an_order_believed_absent_that_shows_up_is_adopted_with_an_alarm() {
        assert_eq!(
            advance(Life::NotAccepted, Fact::Open),
            Ok(Verdict::Overturn(Life::Working))
        );
        assert_eq!(
            advance(Life::NotAccepted, Fact::Filled),
            Ok(Verdict::Overturn(Life::Filled))
        );
    }

    #[test]
    fn only_an_intent_can_leave_so_no_order_is_sent_twice() {
        for life in Life::ALL {
            assert_eq!(advance(life, Fact::Left).is_ok(), life == Life::Intent);
        }
    }
}
