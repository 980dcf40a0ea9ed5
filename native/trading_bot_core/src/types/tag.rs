//! Our name for an order, carried by the broker as `customTag`.

use std::fmt;
use std::str::FromStr;

/// Longest tag, in bytes.
const CAPACITY: usize = 24;

/// At most 24 bytes of `[a-z0-9-]`, stored inline so that it can be copied anywhere.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientTag {
    bytes: [u8; CAPACITY],
    length: u8,
}

/// Why a text is no tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TagError {
    #[error("A tag has 1 to 24 characters, this one has {0}.")]
    Length(usize),
    #[error("A tag is made of a to z, 0 to 9 and hyphens; byte {0} is another character.")]
    Character(usize),
}

impl ClientTag {
    pub fn as_str(&self) -> &str {
        let bytes = &self.bytes[..usize::from(self.length)];
        debug_assert!(bytes.is_ascii(), "only ASCII passes the parser");
        std::str::from_utf8(bytes).unwrap_or("")
    }
}

impl FromStr for ClientTag {
    type Err = TagError;

    fn from_str(text: &str) -> Result<Self, TagError> {
        if text.is_empty() || text.len() > CAPACITY {
            return Err(TagError::Length(text.len()));
        }
        let is_allowed = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        if let Some(at) = text.bytes().position(|byte| !is_allowed(&byte)) {
            return Err(TagError::Character(at));
        }
        let mut bytes = [0; CAPACITY];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Ok(Self {
            bytes,
            length: text.len() as u8,
        })
    }
}

impl fmt::Display for ClientTag {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.as_str())
    }
}

impl fmt::Debug for ClientTag {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "ClientTag({})", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_tag_refuses_what_the_rule_excludes() {
        assert_eq!("".parse::<ClientTag>(), Err(TagError::Length(0)));
        assert_eq!(
            "a".repeat(25).parse::<ClientTag>(),
            Err(TagError::Length(25))
        );
        assert_eq!("abC".parse::<ClientTag>(), Err(TagError::Character(2)));
    }

    proptest! {
        #[test]
        fn a_tag_reads_back_as_it_was_written(text in "[a-z0-9-]{1,24}") {
            prop_assert_eq!(text.parse::<ClientTag>().unwrap().to_string(), text);
        }
    }
}
