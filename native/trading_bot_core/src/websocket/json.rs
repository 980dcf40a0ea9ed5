//! A small JSON reader for the wire: borrowed, total, without floats. It reads what a message states and skips what it does not know.

use crate::types::Decimal;

/// Nesting deeper than this is refused; the protocol needs five.
pub(super) const DEPTH_CAP: u32 = 32;

const POWERS_OF_TEN: [i64; 13] = [
    1,
    10,
    100,
    1_000,
    10_000,
    100_000,
    1_000_000,
    10_000_000,
    100_000_000,
    1_000_000_000,
    10_000_000_000,
    100_000_000_000,
    1_000_000_000_000,
];

/// One value as it stands in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    /// The number's token.
    Number(&'a [u8]),
    /// What stands between the quotes, escapes untouched.
    Text(&'a [u8]),
    /// An object or an array, with its brackets.
    Nested(&'a [u8]),
}

impl<'a> Value<'a> {
    /// The digits of a number, whether it was written bare or in quotes.
    pub(super) fn digits(self) -> Option<&'a [u8]> {
        match self {
            Self::Number(text) | Self::Text(text) => Some(text),
            Self::Null | Self::Bool(_) | Self::Nested(_) => None,
        }
    }

    pub(super) fn decimal(self) -> Option<Decimal> {
        self.digits().and_then(Decimal::parse)
    }

    pub(super) fn integer(self) -> Option<i64> {
        self.decimal().and_then(Decimal::to_i64)
    }

    /// The text with escapes resolved; `None` for anything but a string.
    pub(super) fn text(self) -> Option<String> {
        let Self::Text(raw) = self else { return None };
        if !raw.contains(&b'\\') {
            return Some(String::from_utf8_lossy(raw).into_owned());
        }
        let mut quoted = Vec::with_capacity(raw.len() + 2);
        quoted.push(b'"');
        quoted.extend_from_slice(raw);
        quoted.push(b'"');
        serde_json::from_slice(&quoted).ok()
    }

    pub(super) fn flag(self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(value),
            Self::Number(b"0") | Self::Text(b"false") => Some(false),
            Self::Number(b"1") | Self::Text(b"true") => Some(true),
            _ => None,
        }
    }
}

/// A position in a text. Every method leaves it behind what it read, or answers `None` and the text is malformed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next byte that is not white space.
    #[inline]
    pub(super) fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.bytes.get(self.at)?;
            if byte > b' ' {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// Steps over `byte` when it is next.
    #[inline]
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    /// Steps over exactly these bytes.
    #[inline]
    pub(super) fn literal(&mut self, text: &[u8]) -> Option<()> {
        let is_next = self.bytes.get(self.at..)?.starts_with(text);
        self.at += if is_next { text.len() } else { 0 };
        is_next.then_some(())
    }

    /// True when nothing but white space is left.
    pub(super) fn is_at_end(&mut self) -> bool {
        self.peek().is_none()
    }

    /// What stands between the quotes, escapes untouched.
    #[inline]
    pub(super) fn string(&mut self) -> Option<&'a [u8]> {
        if !self.take(b'"') {
            return None;
        }
        let start = self.at;
        loop {
            let hit = start_of_special(self.bytes, self.at)?;
            if self.bytes[hit] == b'"' {
                self.at = hit + 1;
                return Some(&self.bytes[start..hit]);
            }
            // The byte behind a backslash can be a quote that ends nothing.
            self.at = hit + 2;
        }
    }

    /// A number or literal up to its delimiter.
    fn token(&mut self) -> &'a [u8] {
        let start = self.at;
        let is_part =
            |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
        let length = self.bytes[start..]
            .iter()
            .take_while(|byte| is_part(byte))
            .count();
        self.at += length;
        &self.bytes[start..self.at]
    }

    /// Reads any value.
    #[inline]
    pub(super) fn value(&mut self) -> Option<Value<'a>> {
        match self.peek()? {
            b'"' => self.string().map(Value::Text),
            b'{' | b'[' => self.nested().map(Value::Nested),
            _ => match self.token() {
                b"null" => Some(Value::Null),
                b"true" => Some(Value::Bool(true)),
                b"false" => Some(Value::Bool(false)),
                number @ [b'-' | b'0'..=b'9', ..] => Some(Value::Number(number)),
                _ => None,
            },
        }
    }

    /// Steps over an object or array and returns its text. Brackets inside strings do not count.
    fn nested(&mut self) -> Option<&'a [u8]> {
        let start = self.at;
        let mut depth = 0u32;
        loop {
            match self.peek()? {
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                b'"' => {
                    self.string()?;
                    continue;
                }
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Some(&self.bytes[start..self.at]);
            }
            if depth > DEPTH_CAP {
                return None;
            }
        }
    }

    /// Reads `{"key":value,…}`; `visit` must read exactly the value.
    #[inline]
    pub(super) fn members(
        &mut self,
        mut visit: impl FnMut(&'a [u8], &mut Self) -> Option<()>,
    ) -> Option<()> {
        if !self.take(b'{') {
            return None;
        }
        if self.take(b'}') {
            return Some(());
        }
        loop {
            let key = self.string()?;
            if !self.take(b':') {
                return None;
            }
            visit(key, self)?;
            if self.take(b'}') {
                return Some(());
            }
            if !self.take(b',') {
                return None;
            }
        }
    }

    /// Reads `[value,…]`; `visit` must read exactly the value.
    #[inline]
    pub(super) fn elements(
        &mut self,
        mut visit: impl FnMut(&mut Self) -> Option<()>,
    ) -> Option<()> {
        if !self.take(b'[') {
            return None;
        }
        if self.take(b']') {
            return Some(());
        }
        loop {
            visit(self)?;
            if self.take(b']') {
                return Some(());
            }
            if !self.take(b',') {
                return None;
            }
        }
    }

    /// The hot path of a plain number: its value in units of `10^-decimals`. Leaves the cursor where it was and answers `None`
    /// for every other form, which [`Self::value`] then reads.
    #[inline]
    pub(super) fn plain_units(&mut self, decimals: u8) -> Option<i64> {
        let start = self.at + usize::from(self.bytes.get(self.at) == Some(&b'-'));
        let (whole, point) = self.digits_from(start, 0)?;
        let (value, end, places) = match self.bytes.get(point) {
            Some(b'.') => {
                let (value, end) = self.digits_from(point + 1, whole)?;
                (value, end, end - point - 1)
            }
            _ => (whole, point, 0),
        };
        let is_delimited = matches!(self.bytes.get(end), Some(b',' | b'}' | b']'));
        if !is_delimited || end == start || end - start > 16 {
            return None;
        }
        let missing = usize::from(decimals).checked_sub(places)?;
        let units = value.checked_mul(*POWERS_OF_TEN.get(missing)?)?;
        let is_negative = start > self.at;
        self.at = end;
        Some(if is_negative { -units } else { units })
    }

    #[inline]
    fn digits_from(&self, start: usize, seed: i64) -> Option<(i64, usize)> {
        let mut value = seed;
        let mut at = start;
        while let Some(digit) = self
            .bytes
            .get(at)
            .map(|byte| byte.wrapping_sub(b'0'))
            .filter(|digit| *digit < 10)
        {
            // Seventeen digits can never overflow; the caller refuses longer ones.
            if at - start > 16 {
                return None;
            }
            value = value.wrapping_mul(10).wrapping_add(i64::from(digit));
            at += 1;
        }
        Some((value, at))
    }
}

/// Position of the next quote or backslash. Keys and stamps are short: eight bytes at a time is done before a vector search has
/// started.
#[inline]
fn start_of_special(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(word) = bytes.get(at..at + 8) {
        let word = u64::from_le_bytes(word.try_into().ok()?);
        let hits = zero_bytes(word ^ QUOTES) | zero_bytes(word ^ BACKSLASHES);
        if hits != 0 {
            return Some(at + hits.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let tail = bytes.get(at..)?;
    let offset = tail.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
    Some(at + offset)
}

const ONES: u64 = 0x0101_0101_0101_0101;
const QUOTES: u64 = ONES * b'"' as u64;
const BACKSLASHES: u64 = ONES * b'\\' as u64;

/// Sets the top bit of each byte that is zero; above the lowest such byte the answer may be wrong, which nobody looks at.
#[inline]
const fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & (ONES << 7)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    fn read(text: &str) -> Option<Value<'_>> {
        let mut cursor = Cursor::new(text.as_bytes());
        let value = cursor.value()?;
        cursor.is_at_end().then_some(value)
    }

    #[rstest]
    #[case("null", Some(Value::Null))]
    #[case(" true ", Some(Value::Bool(true)))]
    #[case("-1.5e3", Some(Value::Number(b"-1.5e3")))]
    #[case(r#""a\"b""#, Some(Value::Text(br#"a\"b"#)))]
    #[case(r#"{"a":["}"]}"#, Some(Value::Nested(br#"{"a":["}"]}"#)))]
    #[case("", None)]
    #[case("[1", None)]
    #[case("\"open", None)]
    #[case("wrong", None)]
    fn values_are_read_as_they_stand(#[case] text: &str, #[case] expected: Option<Value<'_>>) {
        assert_eq!(read(text), expected);
    }

    #[test]
    fn nesting_has_a_limit() {
        let deep = "[".repeat(40) + &"]".repeat(40);
        let fair = "[".repeat(30) + &"]".repeat(30);
        assert_eq!(read(&deep), None);
        assert!(read(&fair).is_some());
    }

    #[test]
    fn escapes_are_resolved_only_when_a_text_is_wanted() {
        assert_eq!(
            Value::Text(br"caf\u00e9\n").text().as_deref(),
            Some("café\n")
        );
        assert_eq!(Value::Text(br"broken\q").text(), None);
        assert_eq!(Value::Number(b"1").text(), None);
    }

    proptest! {
        #[test]
        fn the_plain_path_agrees_with_the_exact_reader(mantissa in -9_999_999_999i64..9_999_999_999, places in 0u8..6, decimals in 0u8..8) {
            let number = Decimal::new(mantissa, -(places as i8)).to_string();
            let text = format!("{number},");
            let mut cursor = Cursor::new(text.as_bytes());
            if let Some(units) = cursor.plain_units(decimals) {
                prop_assert_eq!(Decimal::parse(number.as_bytes()).unwrap().exact_units(decimals), Some(units));
                prop_assert!(cursor.take(b','));
            }
        }

        #[test]
        fn the_end_of_a_text_is_found_as_by_looking_at_each_byte(text in "[a-c\"\\\\é]{0,40}", from in 0usize..45) {
            let bytes = text.as_bytes();
            let expected = (from..bytes.len()).find(|at| matches!(bytes[*at], b'"' | b'\\'));
            prop_assert_eq!(start_of_special(bytes, from), expected);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut cursor = Cursor::new(&bytes);
            while cursor.value().is_some() {}
            let _ = Cursor::new(&bytes).plain_units(4);
            let _ = Cursor::new(&bytes).members(|_, inner| inner.value().map(drop));
        }

        #[test]
        fn every_value_of_an_independent_writer_is_read_whole(numbers in proptest::collection::vec(any::<i64>(), 0..8), text in ".*") {
            let json = serde_json::json!({"numbers": numbers, text.clone(): {"inner": text}}).to_string();
            prop_assert_eq!(read(&json), Some(Value::Nested(json.as_bytes())));
        }
    }
}
