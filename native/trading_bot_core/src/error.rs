//! The one error type of the core. Kinds are enumerable so that Python can map them without reading sentences.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

/// What went wrong, as a closed list. The words are part of the seam: `ERROR_KINDS` is built from [`ErrorKind::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// A bounded queue was full; nothing was queued.
    Busy,
    /// The engine is halted; only cancels and closes are taken.
    Halted,
    /// The command cannot be meant: unknown account, contract, order or a value outside its range.
    InvalidCommand,
    /// Another process holds the base directory.
    BaseDirectoryHeld,
    /// The command needs a connection and there is none.
    NotConnected,
    /// The login was refused or the token ended and could not be renewed.
    Credentials,
    /// A socket, a name or a handshake failed.
    Network,
    /// The other side said something that the protocol does not allow.
    Protocol,
    /// A file or a database could not be read or written.
    Storage,
    /// The order journal is damaged, or written by a newer version.
    Journal,
    /// Our own mistake, caught at a thread's root.
    Internal,
}

impl ErrorKind {
    /// Every kind, in the order of the seam's table.
    pub const ALL: [Self; 11] = [
        Self::Busy,
        Self::Halted,
        Self::InvalidCommand,
        Self::BaseDirectoryHeld,
        Self::NotConnected,
        Self::Credentials,
        Self::Network,
        Self::Protocol,
        Self::Storage,
        Self::Journal,
        Self::Internal,
    ];

    /// The word that crosses the seam.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Halted => "halted",
            Self::InvalidCommand => "invalid_command",
            Self::BaseDirectoryHeld => "base_directory_held",
            Self::NotConnected => "not_connected",
            Self::Credentials => "credentials",
            Self::Network => "network",
            Self::Protocol => "protocol",
            Self::Storage => "storage",
            Self::Journal => "journal",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())
    }
}

/// One failure: its kind, one sentence for people, and the chain below it for the log.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    text: Cow<'static, str>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The result of everything in this crate that can fail in more than one way.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Makes an error without a cause. `text` is one plain sentence that holds no secret.
    pub fn new(kind: ErrorKind, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            text: text.into(),
            source: None,
        }
    }

    /// Keeps the lower-level error for the log.
    #[must_use]
    pub fn caused_by(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// Shorthand for [`ErrorKind::InvalidCommand`].
    pub fn invalid(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::InvalidCommand, text)
    }

    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// The whole chain on one line, for the log.
    pub fn chain(&self) -> String {
        let mut line = format!("{}: {}", self.kind, self.text);
        let mut below = self.source();
        while let Some(cause) = below {
            line.push_str(": ");
            line.push_str(&cause.to_string());
            below = cause.source();
        }
        line
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source
            .as_deref()
            .map(|below| below as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_kind_has_its_own_word() {
        let words: HashSet<_> = ErrorKind::ALL.iter().map(|kind| kind.word()).collect();
        assert_eq!(words.len(), ErrorKind::ALL.len());
    }

    #[test]
    fn the_chain_names_the_cause_and_the_sentence_does_not() {
        let below = std::io::Error::other("disk full");
        let error =
            Error::new(ErrorKind::Storage, "The journal cannot be written.").caused_by(below);
        assert_eq!(error.to_string(), "The journal cannot be written.");
        assert_eq!(
            error.chain(),
            "storage: The journal cannot be written.: disk full"
        );
    }
}
