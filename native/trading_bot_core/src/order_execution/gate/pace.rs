//! How often an account orders, and which source repeats itself.

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
