//! What is still wanted of one series' history. The newest bars are asked for first and shown at once; a server that
//! gives fewer than asked (some stop at 1,000 without a word) is asked for older pages until there are enough.

use super::{BarUnit, SECOND, SeriesKey, json_text};
use crate::types::{Mono, Nanos};

/// Pages of one reading: a server that stops at 1,000 gives the most that is ever wanted.
const PAGES_MAX: u32 = 20;
/// The end asked for is inclusive, and bars begin at whole seconds.
const STEP_NS: i64 = SECOND as i64;

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// Market time when the newest page of this reading was asked for.
    pub as_of: Nanos,
    /// Only bars that begin before; `None` asks for the newest.
    pub before: Option<Nanos>,
    /// How many it asks for.
    pub count: i64,
}

/// What came of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// An older page is wanted.
    GoesOn,
    Over,
}

/// The wants of one series.
#[derive(Debug)]
pub(super) struct History {
    /// Bars wanted.
    pub count: i64,
    pub wants_newest: bool,
    older: Option<Page>,
    asked: Option<Page>,
    retry_at: Option<Mono>,
    pages: u32,
    /// Everything older than this bar is held already.
    held_back_from: Option<Nanos>,
    is_whole: bool,
}

impl History {
    pub const fn new() -> Self {
        Self {
            count: 0,
            wants_newest: true,
            older: None,
            asked: None,
            retry_at: None,
            pages: 0,
            held_back_from: None,
            is_whole: false,
        }
    }

    /// Begins again: what is held is dropped, and so is what is under way.
    pub fn begin_again(&mut self) {
        let count = self.count;
        *self = Self {
            count,
            ..Self::new()
        };
    }

    /// There may be a gap up to now; an answer that is under way was asked for before its end and no longer counts.
    pub const fn resume(&mut self) {
        self.asked = None;
        self.older = None;
        self.wants_newest = true;
    }

    /// Raises the number of bars wanted. True when more have to be read.
    pub fn raise(&mut self, count: i64) -> bool {
        let is_more = count > self.count;
        if is_more {
            self.count = count;
            self.wants_newest = true;
            self.is_whole = false;
        }
        is_more
    }

    /// Whether a reading is wanted or under way.
    pub const fn is_open(&self) -> bool {
        self.wants_newest || self.asked.is_some() || self.older.is_some()
    }

    /// The page to ask for now. `is_seam_over`: the bar across the seam can be read whole. `has_room`: an older page
    /// leaves enough requests for everything else.
    pub fn next_page(
        &self,
        now: Mono,
        market_now: Nanos,
        (is_seam_over, has_room): (bool, bool),
    ) -> Option<Page> {
        if self.asked.is_some() || self.retry_at.is_some_and(|at| at > now) {
            return None;
        }
        if self.wants_newest || is_seam_over {
            return Some(Page {
                as_of: market_now,
                before: None,
                count: self.count,
            });
        }
        self.older.filter(|_| has_room)
    }

    /// The page has left, or could not. `newest_held` is the newest bar that is over.
    pub fn left(&mut self, page: Page, is_sent: bool, now: Mono, newest_held: Option<Nanos>) {
        self.retry_at = (!is_sent).then_some(Mono(now.0 + 2 * SECOND));
        if !is_sent {
            self.wants_newest |= page.before.is_none();
            return;
        }
        self.asked = Some(page);
        self.older = None;
        if page.before.is_none() {
            self.wants_newest = false;
            self.pages = 0;
            self.held_back_from = newest_held.filter(|_| self.is_whole);
        }
    }

    /// Takes an answer's page; false when nobody waits for it any more.
    pub fn take_asked(&mut self, page: Page) -> bool {
        self.asked.take_if(|asked| *asked == page).is_some()
    }

    /// A page came with so many bars, the oldest of them at `oldest`. `held` is how many the series has now.
    pub fn came(&mut self, page: Page, oldest: Option<Nanos>, got: i64, held: i64) -> Reading {
        self.pages += 1;
        let is_new = oldest.filter(|at| page.before.is_none_or(|before| *at < before));
        let is_enough = match (is_new, self.held_back_from) {
            (None, _) => true,
            (Some(at), Some(known)) => at <= known,
            (Some(_), None) => got >= page.count || held >= self.count,
        };
        // A newest page that is wanted meanwhile begins a reading of its own.
        if is_enough || self.pages >= PAGES_MAX || self.wants_newest {
            self.is_whole |= !self.wants_newest;
            return Reading::Over;
        }
        self.older = Some(Page {
            as_of: page.as_of,
            before: is_new,
            count: (self.count - held).clamp(1, self.count.max(1)),
        });
        Reading::GoesOn
    }

    /// A page failed: the same is asked for again after a while.
    pub fn failed(&mut self, page: Page, now: Mono) {
        if page.before.is_some() && !self.wants_newest {
            self.older = Some(page);
        } else {
            self.wants_newest = true;
        }
        self.retry_at = Some(Mono(now.0 + 5 * SECOND));
    }
}

/// Bars are asked for over twice their plain span and a long weekend: nights and holidays have none.
pub(super) fn body(id: &str, (unit, number): SeriesKey, wanted: i64, page: Page) -> String {
    let unit_s: i64 = match unit {
        BarUnit::Second => 1,
        BarUnit::Minute => 60,
        BarUnit::Hour => 3_600,
        BarUnit::Day => 86_400,
    };
    let span_s = unit_s
        .saturating_mul(number)
        .saturating_mul(wanted)
        .saturating_mul(2)
        .saturating_add(4 * 86_400);
    let span_ns = span_s.saturating_mul(SECOND as i64);
    let start = Nanos(page.as_of.0.saturating_sub(span_ns).max(0));
    let end = page
        .before
        .map_or(page.as_of, |before| Nanos(before.0 - STEP_NS));
    format!(
        r#"{{"contractId":{},"live":false,"startTime":"{}","endTime":"{}","unit":{},"unitNumber":{number},"limit":{},"includePartialBar":true}}"#,
        json_text(id),
        start.to_iso(),
        end.max(start).to_iso(),
        unit.to_wire(),
        page.count,
    )
}
