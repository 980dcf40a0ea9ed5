//! Reads one HTTP/1.1 reply from bytes as they come, without I/O. Total: foreign bytes never panic, and a reply that is
//! not understood is broken, never half believed.

use std::ops::Range;

/// Longer heads and bodies of an order's answer are not legitimate.
const HEAD_MAX: usize = 64 << 10;
const BODY_MAX: usize = 4 << 20;

/// Where a reply stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More bytes are needed.
    Partial,
    Whole(Whole),
    Broken(&'static str),
}

/// A complete reply; ranges point into the bytes it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    pub status: u16,
    pub body: Vec<u8>,
    /// Value of `Date`.
    pub date: Option<Range<usize>>,
    /// The connection may carry another request.
    pub is_kept: bool,
}

#[derive(Default)]
struct Head {
    status: u16,
    length: Option<usize>,
    is_chunked: bool,
    is_closing: bool,
    date: Option<Range<usize>>,
}

/// Reads what has come of a reply. `is_ended`: the far side has closed, so a body without a length is complete.
pub fn read(bytes: &[u8], is_ended: bool) -> Progress {
    let mut from = 0;
    loop {
        let Some(end) = memchr::memmem::find(&bytes[from..], b"\r\n\r\n").map(|at| from + at)
        else {
            return if bytes.len() - from > HEAD_MAX {
                Progress::Broken("the reply's head is too long")
            } else {
                Progress::Partial
            };
        };
        let Some(head) = read_head(bytes, from..end) else {
            return Progress::Broken("the reply's head cannot be read");
        };
        from = end + 4;
        // Informational replies come before the one that counts.
        if head.status >= 200 {
            return read_body(bytes, from, &head, is_ended);
        }
    }
}

fn read_head(bytes: &[u8], at: Range<usize>) -> Option<Head> {
    let mut lines = Lines { bytes, at };
    let first = lines.next()?;
    let first = std::str::from_utf8(&bytes[first]).ok()?;
    let rest = first.strip_prefix("HTTP/1.1 ")?;
    let status: u16 = rest.get(..3)?.parse().ok()?;
    let mut head = Head {
        status,
        ..Head::default()
    };
    for line in lines {
        let colon = line.start + memchr::memchr(b':', &bytes[line.clone()])?;
        let value = trimmed(bytes, colon + 1..line.end);
        let (name, text) = (&bytes[line.start..colon], &bytes[value.clone()]);
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = std::str::from_utf8(text).ok()?.parse().ok()?;
            // Two lengths that differ are the classic way to smuggle a second reply.
            if head.length.is_some_and(|known| known != length) {
                return None;
            }
            head.length = Some(length);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            head.is_chunked = text.eq_ignore_ascii_case(b"chunked");
            if !head.is_chunked {
                return None;
            }
        } else if name.eq_ignore_ascii_case(b"connection") {
            head.is_closing |= text.eq_ignore_ascii_case(b"close");
        } else if name.eq_ignore_ascii_case(b"date") {
            head.date = Some(value);
        }
    }
    Some(head)
}

fn read_body(bytes: &[u8], from: usize, head: &Head, is_ended: bool) -> Progress {
    let whole = |body: Vec<u8>, is_kept: bool| {
        Progress::Whole(Whole {
            status: head.status,
            body,
            date: head.date.clone(),
            is_kept: is_kept && !head.is_closing,
        })
    };
    let rest = &bytes[from..];
    if head.status == 204 || head.status == 304 {
        return whole(Vec::new(), rest.is_empty());
    }
    if head.is_chunked {
        return match chunks(rest) {
            Chunks::Whole(body, used) => whole(body, used == rest.len()),
            Chunks::Partial if rest.len() > BODY_MAX => Progress::Broken("the reply is too long"),
            Chunks::Partial => Progress::Partial,
            Chunks::Broken => Progress::Broken("the reply's chunks cannot be read"),
        };
    }
    match head.length {
        Some(length) if length > BODY_MAX => Progress::Broken("the reply is too long"),
        // Bytes beyond the reply belong to nothing that was asked: such a connection is not used again.
        Some(length) if rest.len() >= length => {
            whole(rest[..length].to_vec(), rest.len() == length)
        }
        None if is_ended => whole(rest.to_vec(), false),
        None if rest.len() > BODY_MAX => Progress::Broken("the reply is too long"),
        Some(_) | None => Progress::Partial,
    }
}

enum Chunks {
    Partial,
    Whole(Vec<u8>, usize),
    Broken,
}

fn chunks(bytes: &[u8]) -> Chunks {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let Some(line) = memchr::memmem::find(&bytes[at..], b"\r\n") else {
            return if bytes.len() - at > 256 {
                Chunks::Broken
            } else {
                Chunks::Partial
            };
        };
        let size = bytes[at..at + line].split(|byte| *byte == b';').next();
        let size = size.and_then(|text| std::str::from_utf8(text).ok());
        let size = size.and_then(|text| usize::from_str_radix(text.trim(), 16).ok());
        let Some(size) = size.filter(|size| *size <= BODY_MAX) else {
            return Chunks::Broken;
        };
        at += line + 2;
        if size == 0 {
            return trailer_end(bytes, at).map_or(Chunks::Partial, |end| Chunks::Whole(body, end));
        }
        let Some(piece) = bytes.get(at..at + size) else {
            return Chunks::Partial;
        };
        match bytes.get(at + size..at + size + 2) {
            None => return Chunks::Partial,
            Some(b"\r\n") => body.extend_from_slice(piece),
            Some(_) => return Chunks::Broken,
        }
        if body.len() > BODY_MAX {
            return Chunks::Broken;
        }
        at += size + 2;
    }
}

/// Trailers end with an empty line; their contents do not matter here.
fn trailer_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let line = memchr::memmem::find(bytes.get(at..)?, b"\r\n")?;
        at += line + 2;
        if line == 0 {
            return Some(at);
        }
    }
}

/// The lines of a head, without their ends.
struct Lines<'a> {
    bytes: &'a [u8],
    at: Range<usize>,
}

impl Iterator for Lines<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        if self.at.is_empty() {
            return None;
        }
        let rest = &self.bytes[self.at.clone()];
        let length = memchr::memmem::find(rest, b"\r\n").unwrap_or(rest.len());
        let line = self.at.start..self.at.start + length;
        self.at.start = (line.end + 2).min(self.at.end);
        Some(line)
    }
}

fn trimmed(bytes: &[u8], at: Range<usize>) -> Range<usize> {
    let text = &bytes[at.clone()];
    let blank = text.len() - text.trim_ascii_start().len();
    let start = at.start + blank;
    start..start + text.trim_ascii().len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLAIN: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: Tue, 24 Nov 2026 12:00:00 GMT\r\ncontent-length: 12\r\n\r\n{\"orderId\":7";
    const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=1\r\n{\"ord\r\n7\r\nerId\":7\r\n0\r\nx: y\r\n\r\n";
    const BODY: &[u8] = b"{\"orderId\":7";

    fn whole(bytes: &[u8]) -> Whole {
        match read(bytes, false) {
            Progress::Whole(whole) => whole,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_reply_with_a_length_and_one_in_chunks_say_the_same() {
        let plain = whole(PLAIN);
        assert_eq!((plain.status, &*plain.body), (200, BODY));
        assert_eq!(
            &PLAIN[plain.date.clone().expect("a date")],
            b"Tue, 24 Nov 2026 12:00:00 GMT"
        );
        assert!(plain.is_kept);
        let chunked = whole(CHUNKED);
        assert_eq!((&*chunked.body, chunked.is_kept), (BODY, true));
    }

    #[test]
    fn every_cut_reply_is_partial_and_never_an_answer() {
        for reply in [PLAIN, CHUNKED] {
            for length in 0..reply.len() {
                assert_eq!(read(&reply[..length], false), Progress::Partial, "{length}");
                assert_eq!(read(&reply[..length], true), Progress::Partial, "{length}");
            }
        }
    }

    #[test]
    fn a_body_without_a_length_ends_with_the_connection() {
        let bytes = b"HTTP/1.1 500 Oh\r\nConnection: close\r\n\r\noops";
        assert_eq!(read(bytes, false), Progress::Partial);
        let Progress::Whole(reply) = read(bytes, true) else {
            panic!("the connection has ended");
        };
        assert_eq!(
            (reply.status, &*reply.body, reply.is_kept),
            (500, &b"oops"[..], false)
        );
    }

    #[test]
    fn a_continue_before_the_reply_is_skipped() {
        let bytes = [b"HTTP/1.1 100 Continue\r\n\r\n", PLAIN].concat();
        assert_eq!(whole(&bytes).body, BODY);
    }

    #[test]
    fn a_connection_that_says_more_than_the_reply_is_not_kept() {
        let bytes = [PLAIN, b"HTTP/1.1 200"].concat();
        assert!(!whole(&bytes).is_kept);
    }

    #[test]
    fn what_is_no_reply_is_broken() {
        for bytes in [
            &b"SSH-2.0-x\r\n\r\n"[..],
            b"HTTP/1.1 abc\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        ] {
            assert!(matches!(read(bytes, false), Progress::Broken(_)));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn no_damage_makes_reading_panic(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6), cut in any::<prop::sample::Index>(), is_chunked: bool) {
            let mut bytes = if is_chunked { CHUNKED.to_vec() } else { PLAIN.to_vec() };
            for (at, value) in flips {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            bytes.truncate(cut.index(bytes.len() + 1));
            let _ = (read(&bytes, false), read(&bytes, true));
        }
    }
}
