//! Payloads to events: borrowed, tolerant, total. What cannot be read is counted by kind and left out, never guessed.
//!
//! Shapes accepted everywhere: a payload bare, wrapped in `{action, data}` or in a list; nulls for absent; ids and numbers bare or in
//! quotes; keys in any order and, for user rows, in any case. Prices go from their decimal text to ticks without a float.

mod market;
mod rest;
mod user;

pub use rest::{
    Envelope, RestError, Rows, rest_accounts, rest_bars, rest_contracts, rest_envelope,
    rest_orders, rest_positions, rest_trades,
};

use super::json::Cursor;
use super::signalr::{Message, read_record};
use crate::types::{
    Aggressor, BrokerAccount, BrokerOrder, BrokerPosition, BrokerTrade, ContractIndex,
    ContractLookup, Lots, Nanos, Ticks,
};

/// What a quote message states; absent fields are unchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuoteDelta {
    pub last: Option<Ticks>,
    pub best_bid: Option<Ticks>,
    pub best_ask: Option<Ticks>,
    pub open: Option<Ticks>,
    pub high: Option<Ticks>,
    pub low: Option<Ticks>,
    /// Change against the previous settlement, in ticks.
    pub change: Option<Ticks>,
    pub volume: Option<Lots>,
    /// Exchange time of the quote.
    pub time: Option<Nanos>,
    /// The broker's own time of sending.
    pub updated: Option<Nanos>,
}

/// One print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TradePrint {
    pub time: Nanos,
    pub price: Ticks,
    pub size: Lots,
    pub aggressor: Aggressor,
}

/// One depth record. `kind` is the wire's number (protocol 4.6); `size` already chose between `volume` and `currentVolume`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepthRecord {
    pub time: Nanos,
    pub kind: u8,
    pub price: Ticks,
    pub size: Lots,
}

impl DepthRecord {
    /// Stands in the place of a record that could not be read: the book has lost a change and must be rebuilt.
    pub const LOST: u8 = u8::MAX;
}

/// One market message. Trades and depth borrow the parser's scratch buffers until the next message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarketEvent<'a> {
    Quote(ContractIndex, QuoteDelta),
    Trades(ContractIndex, &'a [TradePrint]),
    Depth(ContractIndex, &'a [DepthRecord]),
}

impl MarketEvent<'_> {
    /// The contract it is about.
    pub fn contract(&self) -> ContractIndex {
        match self {
            Self::Quote(index, _) | Self::Trades(index, _) | Self::Depth(index, _) => *index,
        }
    }
}

/// One user message.
#[expect(
    clippy::large_enum_variant,
    reason = "orders are the usual case, and events are moved a few times a second"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserEvent {
    Order(BrokerOrder),
    Trade(BrokerTrade),
    Position(BrokerPosition),
    Account(BrokerAccount),
    /// The session was ended by the server (protocol 9.5).
    Logout,
}

/// One thing that a hub said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HubEvent<'a> {
    Market(MarketEvent<'a>),
    User(UserEvent),
    Handshake {
        error: Option<String>,
    },
    Completion {
        invocation_id: Option<u64>,
        error: Option<String>,
    },
    Ping,
    Close {
        error: Option<String>,
        allows_reconnect: bool,
    },
}

/// What was met that the documentation does not promise, or that could not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Oddity {
    /// The record is no JSON message.
    Malformed,
    /// An invocation with a target that is not ours.
    UnknownTarget,
    /// A message of a type outside the protocol's list.
    UnknownType,
    /// A market message for a contract that the table does not hold.
    UnknownContract,
    /// A row without what it needs to mean anything.
    UnreadableRow,
    /// A field whose value could not be used; the rest of its row was.
    UnreadableField,
    /// A price between two ticks.
    OffGrid,
    /// A null in the place of a row.
    NullRow,
    /// A user row without the usual wrapper.
    BareRow,
    /// Several user rows in one list.
    ListedRows,
    /// An id or number written in quotes.
    NumberAsText,
    /// An enumeration value outside the documented list.
    UnknownEnum,
}

impl Oddity {
    pub const ALL: [Self; 12] = [
        Self::Malformed,
        Self::UnknownTarget,
        Self::UnknownType,
        Self::UnknownContract,
        Self::UnreadableRow,
        Self::UnreadableField,
        Self::OffGrid,
        Self::NullRow,
        Self::BareRow,
        Self::ListedRows,
        Self::NumberAsText,
        Self::UnknownEnum,
    ];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownTarget => "unknown_target",
            Self::UnknownType => "unknown_type",
            Self::UnknownContract => "unknown_contract",
            Self::UnreadableRow => "unreadable_row",
            Self::UnreadableField => "unreadable_field",
            Self::OffGrid => "off_grid",
            Self::NullRow => "null_row",
            Self::BareRow => "bare_row",
            Self::ListedRows => "listed_rows",
            Self::NumberAsText => "number_as_text",
            Self::UnknownEnum => "unknown_enum",
        }
    }
}

/// How often each oddity was met, and how many messages came in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub messages: u64,
    odd: [u64; Oddity::ALL.len()],
}

impl Counters {
    pub const fn of(&self, oddity: Oddity) -> u64 {
        self.odd[oddity as usize]
    }

    /// Messages and rows that were lost to us.
    pub const fn unrecognised(&self) -> u64 {
        self.of(Oddity::Malformed)
            + self.of(Oddity::UnknownTarget)
            + self.of(Oddity::UnreadableRow)
            + self.of(Oddity::UnknownType)
    }

    fn note(&mut self, oddity: Oddity) {
        self.odd[oddity as usize] += 1;
    }
}

/// Reads the records of one connection. Holds only scratch space and counters.
#[derive(Debug, Default)]
pub struct HubParser {
    market: market::Scratch,
    counters: Counters,
}

/// How nearly every market record begins; the rest is then read in one pass.
const INVOCATION_START: &[u8] = b"{\"type\":1,\"target\":\"";
const ARGUMENTS_START: &[u8] = b",\"arguments\":";

impl HubParser {
    pub fn new() -> Self {
        Self::default()
    }

    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Reads one record and hands over each event in it, in order. Never fails: what is odd is counted.
    pub fn read(
        &mut self,
        record: &[u8],
        contracts: &impl ContractLookup,
        sink: &mut impl FnMut(HubEvent<'_>),
    ) {
        self.counters.messages += 1;
        if let Some((target, arguments)) = split_invocation(record) {
            self.invocation(target, arguments, contracts, sink);
            return;
        }
        match read_record(record) {
            Some(Message::Invocation { target, arguments }) => {
                self.invocation(target, arguments, contracts, sink);
            }
            Some(Message::Handshake { error }) => sink(HubEvent::Handshake { error }),
            Some(Message::Completion {
                invocation_id,
                error,
            }) => sink(HubEvent::Completion {
                invocation_id,
                error,
            }),
            Some(Message::Ping) => sink(HubEvent::Ping),
            Some(Message::Close {
                error,
                allows_reconnect,
            }) => sink(HubEvent::Close {
                error,
                allows_reconnect,
            }),
            Some(Message::Other(_)) => self.counters.note(Oddity::UnknownType),
            None => self.counters.note(Oddity::Malformed),
        }
    }

    fn invocation(
        &mut self,
        target: &[u8],
        arguments: &[u8],
        contracts: &impl ContractLookup,
        sink: &mut impl FnMut(HubEvent<'_>),
    ) {
        let mut cursor = Cursor::new(arguments);
        let counters = &mut self.counters;
        let read = match target {
            b"GatewayQuote" => market::quotes(&mut cursor, contracts, counters, &mut |event| {
                sink(HubEvent::Market(event));
            }),
            b"GatewayTrade" => self
                .market
                .trades(&mut cursor, contracts, counters, &mut |event| {
                    sink(HubEvent::Market(event));
                }),
            b"GatewayDepth" => self
                .market
                .depth(&mut cursor, contracts, counters, &mut |event| {
                    sink(HubEvent::Market(event));
                }),
            b"GatewayLogout" => {
                sink(HubEvent::User(UserEvent::Logout));
                Some(())
            }
            other => user::rows(other, &mut cursor, counters, &mut |event| {
                sink(HubEvent::User(event));
            }),
        };
        if read.is_none() {
            counters.note(Oddity::Malformed);
        }
    }
}

/// Target and arguments of a record in the usual form. The arguments still carry the record's closing brace, which nobody reads.
fn split_invocation(record: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = record.strip_prefix(INVOCATION_START)?;
    let end = rest.iter().take(32).position(|byte| *byte == b'"')?;
    let arguments = rest[end + 1..].strip_prefix(ARGUMENTS_START)?;
    Some((&rest[..end], arguments))
}

#[cfg(test)]
mod tests;
