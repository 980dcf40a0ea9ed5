//! The JSON protocol of the hubs: records that end with 0x1E, and the messages in them. No I/O.

use super::json::{Cursor, Value};
use std::fmt::Write as _;

/// Ends every record.
pub const SEPARATOR: u8 = 0x1E;
/// A record longer than this is not a message of this protocol.
pub const RECORD_CAP: usize = 4 * 1024 * 1024;

/// The bytes hold no end of record within [`RECORD_CAP`]; the connection is of no further use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("A hub record is longer than 4 MiB.")]
pub struct RecordTooLong;

/// Cuts a byte stream into records. A record may arrive in any number of pieces.
#[derive(Debug, Default)]
pub struct Splitter {
    pending: Vec<u8>,
}

impl Splitter {
    pub const fn new() -> Self {
        Self {
            pending: Vec::new(),
        }
    }

    /// Takes the next bytes and hands over each completed record, without its separator. Whole records are never copied.
    pub fn feed(
        &mut self,
        bytes: &[u8],
        mut on_record: impl FnMut(&[u8]),
    ) -> Result<(), RecordTooLong> {
        let mut rest = bytes;
        while let Some(end) = memchr::memchr(SEPARATOR, rest) {
            let (piece, tail) = (&rest[..end], &rest[end + 1..]);
            if self.pending.is_empty() {
                check_length(piece.len())?;
                on_record(piece);
            } else {
                self.keep(piece)?;
                on_record(&self.pending);
                self.pending.clear();
            }
            rest = tail;
        }
        self.keep(rest)
    }

    /// True when no half record waits.
    pub fn is_between_records(&self) -> bool {
        self.pending.is_empty()
    }

    fn keep(&mut self, piece: &[u8]) -> Result<(), RecordTooLong> {
        check_length(self.pending.len() + piece.len())?;
        self.pending.extend_from_slice(piece);
        Ok(())
    }
}

fn check_length(length: usize) -> Result<(), RecordTooLong> {
    if length > RECORD_CAP {
        Err(RecordTooLong)
    } else {
        Ok(())
    }
}

/// One message. Texts are as they stand on the wire; `error` texts have their escapes resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// Reply to the handshake: `{}` or an error.
    Handshake { error: Option<String> },
    /// Type 1. `arguments` is the raw JSON array.
    Invocation {
        target: &'a [u8],
        arguments: &'a [u8],
    },
    /// Type 3. An `error` means that the method failed.
    Completion {
        invocation_id: Option<u64>,
        error: Option<String>,
    },
    /// Type 6.
    Ping,
    /// Type 7.
    Close {
        error: Option<String>,
        allows_reconnect: bool,
    },
    /// Any other type; ignored, as the protocol asks for.
    Other(i64),
}

#[derive(Default)]
struct Members<'a> {
    kind: Option<i64>,
    target: Option<&'a [u8]>,
    arguments: Option<&'a [u8]>,
    invocation_id: Option<u64>,
    error: Option<String>,
    allows_reconnect: bool,
}

/// Reads one record; `None` when it is not JSON or lacks what its type requires.
pub fn read_record(record: &[u8]) -> Option<Message<'_>> {
    let mut found = Members::default();
    let mut cursor = Cursor::new(record);
    cursor.members(|key, inner| {
        let value = inner.value()?;
        match (key, value) {
            (b"type", value) => found.kind = value.integer(),
            (b"target", Value::Text(text)) => found.target = Some(text),
            (b"arguments", Value::Nested(text)) => found.arguments = Some(text),
            (b"invocationId", value) => {
                found.invocation_id = value.integer().and_then(|id| u64::try_from(id).ok());
            }
            (b"error", value) => found.error = value.text(),
            (b"allowReconnect", value) => found.allows_reconnect = value.flag().unwrap_or(false),
            _ => {}
        }
        Some(())
    })?;
    if !cursor.is_at_end() {
        return None;
    }
    message_of(found)
}

fn message_of(found: Members<'_>) -> Option<Message<'_>> {
    Some(match found.kind {
        None => Message::Handshake { error: found.error },
        Some(1) => Message::Invocation {
            target: found.target?,
            arguments: found.arguments.unwrap_or(b"[]"),
        },
        Some(3) => Message::Completion {
            invocation_id: found.invocation_id,
            error: found.error,
        },
        Some(6) => Message::Ping,
        Some(7) => Message::Close {
            error: found.error,
            allows_reconnect: found.allows_reconnect,
        },
        Some(other) => Message::Other(other),
    })
}

/// One argument of an invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument<'a> {
    Number(i64),
    Text(&'a str),
}

/// The first record of a connection.
pub const HANDSHAKE: &str = "{\"protocol\":\"json\",\"version\":1}\u{1e}";
/// A keep-alive record.
pub const PING: &str = "{\"type\":6}\u{1e}";

/// Writes an invocation. Without an id the server sends no completion, not even for an error.
pub fn invocation(id: Option<u64>, target: &str, arguments: &[Argument<'_>]) -> String {
    let mut text = String::from("{\"type\":1,");
    if let Some(id) = id {
        push(&mut text, format_args!("\"invocationId\":\"{id}\","));
    }
    push(
        &mut text,
        format_args!("\"target\":{},\"arguments\":[", quoted(target)),
    );
    for (at, argument) in arguments.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        match argument {
            Argument::Number(number) => push(&mut text, format_args!("{comma}{number}")),
            Argument::Text(value) => push(&mut text, format_args!("{comma}{}", quoted(value))),
        }
    }
    text.push_str("]}\u{1e}");
    text
}

fn push(text: &mut String, piece: std::fmt::Arguments<'_>) {
    let written = text.write_fmt(piece);
    debug_assert!(written.is_ok(), "a String takes everything");
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    fn split(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut splitter = Splitter::new();
        let mut records = Vec::new();
        for piece in pieces {
            splitter
                .feed(piece, |record| records.push(record.to_vec()))
                .unwrap();
        }
        records
    }

    proptest! {
        #[test]
        fn records_are_the_same_wherever_the_stream_is_cut(
            records in proptest::collection::vec(proptest::collection::vec(0u8..0x1e, 0..30), 0..8),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..10),
        ) {
            let stream: Vec<u8> = records.iter().flat_map(|record| record.iter().copied().chain([SEPARATOR])).collect();
            let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            places.extend([0, stream.len()]);
            places.sort_unstable();
            let pieces: Vec<&[u8]> = places.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
            prop_assert_eq!(split(&pieces), records);
        }

        #[test]
        fn no_record_makes_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_record(&bytes);
        }
    }

    #[test]
    fn a_record_without_an_end_is_refused() {
        let mut splitter = Splitter::new();
        let piece = vec![b'x'; RECORD_CAP];
        assert_eq!(splitter.feed(&piece, |_| ()), Ok(()));
        assert_eq!(splitter.feed(b"y", |_| ()), Err(RecordTooLong));
    }

    #[rstest]
    #[case("{}", Message::Handshake { error: None })]
    #[case(r#"{"error":"no \"json\""}"#, Message::Handshake { error: Some("no \"json\"".into()) })]
    #[case(r#"{"type":6}"#, Message::Ping)]
    #[case(r#"{"type":3,"invocationId":"1","result":null}"#, Message::Completion { invocation_id: Some(1), error: None })]
    #[case(r#"{"type":3,"invocationId":2,"error":"x"}"#, Message::Completion { invocation_id: Some(2), error: Some("x".into()) })]
    #[case(r#"{"type":7,"error":"bye","allowReconnect":true}"#, Message::Close { error: Some("bye".into()), allows_reconnect: true })]
    #[case(r#"{"type":7}"#, Message::Close { error: None, allows_reconnect: false })]
    #[case(r#"{"type":9,"sequenceId":4}"#, Message::Other(9))]
    #[case(r#"{"arguments":[1],"target":"A","type":1}"#, Message::Invocation { target: b"A", arguments: b"[1]" })]
    fn messages_are_read(#[case] text: &str, #[case] expected: Message<'_>) {
        assert_eq!(read_record(text.as_bytes()), Some(expected));
    }

    #[rstest]
    #[case("")]
    #[case("[]")]
    #[case(r#"{"type":1,"arguments":[]}"#)]
    #[case(r#"{"type":6}{"type":6}"#)]
    fn what_is_no_message_is_refused(#[case] text: &str) {
        assert_eq!(read_record(text.as_bytes()), None);
    }

    #[test]
    fn an_invocation_reads_back_as_it_was_written() {
        let text = invocation(
            Some(4),
            "SubscribeOrders",
            &[Argument::Number(-7), Argument::Text("a\"b")],
        );
        assert_eq!(
            text,
            "{\"type\":1,\"invocationId\":\"4\",\"target\":\"SubscribeOrders\",\"arguments\":[-7,\"a\\\"b\"]}\u{1e}"
        );
        let record = text.trim_end_matches('\u{1e}').as_bytes();
        let expected = Message::Invocation {
            target: b"SubscribeOrders",
            arguments: br#"[-7,"a\"b"]"#,
        };
        assert_eq!(read_record(record), Some(expected));
        assert!(!invocation(None, "Heartbeat", &[]).contains("invocationId"));
    }
}
