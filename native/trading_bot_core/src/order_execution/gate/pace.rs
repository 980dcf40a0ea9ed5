//! How often an account orders, which source repeats itself, and what was pressed twice.

use std::collections::{BTreeMap, VecDeque};

use crate::engine::contract::Draft;
use crate::types::{AccountId, Mono, OrderKind, Side, Ticks};

const SECOND_NS: u64 = 1_000_000_000;
/// Nothing older is looked at.
const MEMORY_NS: u64 = 60 * SECOND_NS;
const MILLISECOND_NS: u64 = 1_000_000;

/// What makes two orders of one source the same. A loop that follows the price is the rates' to stop.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Gesture {
    source: String,
    contract_id: String,
    side: Side,
    kind: OrderKind,
    size: i64,
    limit: Option<Ticks>,
    stop: Option<Ticks>,
}

impl Gesture {
    fn of(draft: &Draft) -> Self {
        Self {
            source: draft.source.clone(),
            contract_id: draft.contract_id.clone(),
            side: draft.side,
            kind: draft.kind,
            size: draft.size.0,
            limit: draft.limit,
            stop: draft.stop,
        }
    }

    /// Whether a draft says the same, whoever says it: a click and a key are one decision as well.
    fn is_twin_of(&self, draft: &Draft) -> bool {
        self.contract_id == draft.contract_id
            && self.side == draft.side
            && self.kind == draft.kind
            && self.size == draft.size.0
            && self.limit == draft.limit
            && self.stop == draft.stop
    }
}

/// The newest admitted orders of each account, as far back as its window for duplicates.
#[derive(Clone, Debug, Default)]
pub struct Presses {
    last: BTreeMap<AccountId, VecDeque<(Mono, Gesture)>>,
}

impl Presses {
    /// Remembers an admitted order.
    pub fn note(&mut self, draft: &Draft, now: Mono) {
        let last = self.last.entry(draft.account).or_default();
        last.push_back((now, Gesture::of(draft)));
    }

    /// Whether the same order was admitted less than `window_ms` ago.
    pub fn has_twin(&mut self, draft: &Draft, window_ms: i64, now: Mono) -> bool {
        let window = u64::try_from(window_ms).unwrap_or(0) * MILLISECOND_NS;
        let Some(last) = self.last.get_mut(&draft.account) else {
            return false;
        };
        while last.front().is_some_and(|(at, _)| now.since(*at) >= window) {
            last.pop_front();
        }
        last.iter().any(|(_, known)| known.is_twin_of(draft))
    }
}

/// The admitted orders of the last minute, by account.
#[derive(Clone, Debug, Default)]
pub struct Pace {
    sent: BTreeMap<AccountId, VecDeque<(Mono, Gesture)>>,
}

/// Orders of the account before this one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paced {
    pub in_second: i64,
    pub in_minute: i64,
    /// The same gesture of the same source within the throttle's window.
    pub repeats: i64,
}

impl Pace {
    /// Remembers an admitted order.
    pub fn note(&mut self, draft: &Draft, now: Mono) {
        let sent = self.sent.entry(draft.account).or_default();
        while sent
            .front()
            .is_some_and(|(at, _)| now.since(*at) >= MEMORY_NS)
        {
            sent.pop_front();
        }
        sent.push_back((now, Gesture::of(draft)));
    }

    /// Counts what came before a draft. `window_ms`: how far back a repetition counts.
    pub fn count(&self, draft: &Draft, window_ms: i64, now: Mono) -> Paced {
        let Some(sent) = self.sent.get(&draft.account) else {
            return Paced::default();
        };
        let window = u64::try_from(window_ms).unwrap_or(0) * MILLISECOND_NS;
        let gesture = Gesture::of(draft);
        let mut paced = Paced::default();
        for (at, known) in sent {
            let age = now.since(*at);
            paced.in_second += i64::from(age < SECOND_NS);
            paced.in_minute += i64::from(age < MEMORY_NS);
            paced.repeats += i64::from(age < window && *known == gesture);
        }
        paced
    }

    /// A person let the source go on: what it did before counts no more as a repetition.
    pub fn forgive(&mut self, account: AccountId, source: &str) {
        if let Some(sent) = self.sent.get_mut(&account) {
            for (_, gesture) in sent.iter_mut().filter(|(_, one)| one.source == source) {
                gesture.source.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::draft;
    use super::*;

    const MS: u64 = MILLISECOND_NS;

    #[test]
    fn a_twin_is_one_within_the_window_of_its_own_account_whatever_others_press() {
        let (mut presses, mine) = (Presses::default(), draft(Side::Buy, 1));
        let mut other = draft(Side::Buy, 1);
        other.account = AccountId(mine.account.0 + 1);
        presses.note(&mine, Mono(0));
        // A shorter window of another account forgets nothing of this one.
        assert!(!presses.has_twin(&other, 0, Mono(2_000 * MS)));
        assert!(presses.has_twin(&mine, 3_000, Mono(2_999 * MS)));
        assert!(!presses.has_twin(&mine, 3_000, Mono(3_000 * MS)));
    }

    #[test]
    fn another_price_is_no_twin_and_another_source_is() {
        let (mut presses, mut twin) = (Presses::default(), draft(Side::Buy, 1));
        presses.note(&twin, Mono(0));
        twin.source = "hotkey".into();
        assert!(presses.has_twin(&twin, 300, Mono(MS)));
        twin.limit = Some(Ticks(1));
        assert!(!presses.has_twin(&twin, 300, Mono(MS)));
    }
}
