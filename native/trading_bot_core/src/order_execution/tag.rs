//! Client tags: the only handle by which an order without an answer is found again (decision 10).
//!
//! `{p|l}{install6}-{epoch36}-{n36}`: kind of endpoint, six characters of the installation, the start's epoch, a
//! counter. Install and epoch make a tag unique across machines, restored backups and restarts.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::types::ClientTag;

/// Which kind of endpoint a tag may travel to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagKind {
    Practice,
    Live,
}

impl TagKind {
    fn letter(self) -> char {
        match self {
            Self::Practice => 'p',
            Self::Live => 'l',
        }
    }
}

/// Mints tags from an atomic counter; shared with the thread that pushes commands.
#[derive(Debug)]
pub struct TagMint {
    prefix: String,
    epoch: u64,
    counter: AtomicU64,
}

impl TagMint {
    /// `install` is the installation's id: six characters of `[a-z0-9]`. `epoch` was raised and synced before.
    pub fn new(kind: TagKind, install: &str, epoch: u64) -> Self {
        debug_assert_eq!(install.len(), 6, "the installation's id has six characters");
        let prefix = format!("{}{install}-", kind.letter());
        Self {
            prefix,
            epoch,
            counter: AtomicU64::new(1),
        }
    }

    /// The next tag. Never repeats within the epoch.
    ///
    /// # Panics
    /// Never within 36^9 orders of one epoch: prefix, epoch and counter then fit the 24 characters.
    pub fn next_tag(&self) -> ClientTag {
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        let run = run_prefix(&self.prefix, self.epoch);
        let text = format!("{run}{}", base36(number));
        text.parse().expect("prefix, epoch and counter fit a tag")
    }

    /// What every tag of this installation and kind begins with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether `tag` came from this installation, in whatever epoch.
    pub fn is_own(&self, tag: &str) -> bool {
        tag.starts_with(&self.prefix)
    }
}

/// What every tag of one run begins with.
pub(super) fn run_prefix(prefix: &str, epoch: u64) -> String {
    format!("{prefix}{}-", base36(epoch))
}

/// A new installation id from random bytes.
pub fn install_id(random: [u8; 6]) -> String {
    random
        .iter()
        .map(|byte| char::from(DIGITS[usize::from(*byte) % 36]))
        .collect()
}

const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

fn base36(mut value: u64) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(DIGITS[(value % 36) as usize]);
        value /= 36;
        if value == 0 {
            break;
        }
    }
    digits.iter().rev().map(|byte| char::from(*byte)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_stay_short_and_plain_even_after_many_starts_and_orders() {
        let mint = TagMint::new(TagKind::Live, "zzzzzz", 36_u64.pow(6) - 1);
        mint.counter.store(36_u64.pow(8) - 1, Ordering::Relaxed);
        assert_eq!(mint.next_tag().as_str().len(), 8 + 6 + 1 + 8);
    }

    #[test]
    fn a_later_epoch_never_repeats_a_tag() {
        let first = TagMint::new(TagKind::Practice, "abc123", 1);
        let second = TagMint::new(TagKind::Practice, "abc123", 2);
        let before: Vec<_> = (0..50).map(|_| first.next_tag()).collect();
        assert!((0..50).all(|_| !before.contains(&second.next_tag())));
        assert!(second.is_own(before[0].as_str()));
    }

    #[test]
    fn practice_and_live_tags_are_strangers_to_each_other() {
        let practice = TagMint::new(TagKind::Practice, "abc123", 1);
        assert!(!TagMint::new(TagKind::Live, "abc123", 1).is_own(practice.next_tag().as_str()));
    }
}
