//! Time bars from prints, joined to history from the broker.
//!
//! Volume is traded volume. A bar begins at the session's open plus a whole number of spans, so that four-hour bars sit where
//! the broker's do and day bars are sessions; a stray print between two sessions counts from the close of the former.
//!
//! The join: bars that began after `live_from` were seen whole and stay as built here; older ones come from history. The one
//! bar that began before `live_from` and was still forming when history answered cannot be known exactly: it is joined as
//! well as possible, marked by [`BarSeries::seam_end`], and becomes exact when the caller joins history again after that end.

use crate::calendar::{Calendar, Session};
use crate::types::{BrokerBar, Contract, Lots, Nanos, Ticks, divide_half_even};
use crate::websocket::parse::TradePrint;
use std::cmp::Ordering;

const SECOND_NS: i64 = 1_000_000_000;

/// Length of a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Span {
    /// Seconds, minutes or hours, as nanoseconds.
    Clock(i64),
    /// Sessions.
    Days(i64),
}

impl Span {
    /// Reads the seam's unit word; `None` for another word or a number that is not positive.
    pub fn from_word(unit: &str, number: i64) -> Option<Self> {
        let unit_s = match unit {
            "second" => 1,
            "minute" => 60,
            "hour" => 3600,
            "day" => return (number > 0).then_some(Self::Days(number)),
            _ => return None,
        };
        let length = number.checked_mul(unit_s * SECOND_NS)?;
        (length > 0).then_some(Self::Clock(length))
    }
}

/// One bar. `time` is when it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    pub time: Nanos,
    pub open: Ticks,
    pub high: Ticks,
    pub low: Ticks,
    pub close: Ticks,
    pub volume: Lots,
}

impl Bar {
    /// A history bar on the contract's grid. Settlement prices can lie between ticks; they go to the nearest one.
    pub fn from_broker(row: &BrokerBar, contract: &Contract) -> Option<Self> {
        let ticks = |value| {
            let exact = contract.ticks_1e4(value)?;
            i64::try_from(divide_half_even(i128::from(exact), 10_000))
                .ok()
                .map(Ticks)
        };
        Some(Self {
            time: row.time,
            open: ticks(row.open)?,
            high: ticks(row.high)?,
            low: ticks(row.low)?,
            close: ticks(row.close)?,
            volume: row.volume,
        })
    }

    fn from_print(time: Nanos, print: &TradePrint) -> Self {
        let price = print.price;
        Self {
            time,
            open: price,
            high: price,
            low: price,
            close: price,
            volume: print.size,
        }
    }

    fn fold(&mut self, print: &TradePrint) {
        self.fold_late(print);
        self.close = print.price;
    }

    /// Folds a print of a bar that later bars follow: its close was already taken from a later print.
    fn fold_late(&mut self, print: &TradePrint) {
        self.high = self.high.max(print.price);
        self.low = self.low.min(print.price);
        self.volume = Lots(self.volume.0.saturating_add(print.size.0));
    }
}

/// What a print did to a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BarChange {
    /// The forming bar changed.
    Forming,
    /// The former forming bar is closed and a new one began.
    Closed,
    /// A closed bar at this index changed or was put in.
    Corrected(usize),
}

/// How much later than stated a stream is believed to be complete: market time may come from a stamp that is cut to the second,
/// and a subscription takes a round trip. Too late costs nothing, too early leaves a hole in the first bar.
const HEARING_MARGIN_NS: i64 = 2 * SECOND_NS;

const fn heard_from(live_from: Nanos) -> Nanos {
    Nanos(live_from.0.saturating_add(HEARING_MARGIN_NS))
}

/// Prints kept while history is under way; a busier start only makes the seam bar less exact until it is joined again.
const PENDING_CAP: usize = 65_536;

/// One series: closed bars in order of time, and the forming one.
#[derive(Clone, Debug)]
pub struct BarSeries {
    span: Span,
    calendar: &'static Calendar,
    live_from: Nanos,
    closed: Vec<Bar>,
    forming: Option<Bar>,
    pending: Vec<TradePrint>,
    is_loading: bool,
    seam_end: Option<Nanos>,
    slot: Option<(Nanos, Nanos)>,
}

impl BarSeries {
    /// A series whose prints are complete from `live_from` (market time) on. It counts as loading until history was joined.
    pub const fn new(span: Span, calendar: &'static Calendar, live_from: Nanos) -> Self {
        Self {
            span,
            calendar,
            live_from: heard_from(live_from),
            closed: Vec::new(),
            forming: None,
            pending: Vec::new(),
            is_loading: true,
            seam_end: None,
            slot: None,
        }
    }

    /// Folds a print.
    pub fn apply(&mut self, print: &TradePrint) -> BarChange {
        if self.is_loading && self.pending.len() < PENDING_CAP {
            self.pending.push(*print);
        }
        let start = self.start_of_print(print.time);
        let Some(forming) = &mut self.forming else {
            return self.apply_without_forming(start, print);
        };
        if start == forming.time {
            forming.fold(print);
            return BarChange::Forming;
        }
        if start < forming.time {
            return self.correct(start, print);
        }
        self.closed.push(*forming);
        self.forming = Some(Bar::from_print(start, print));
        BarChange::Closed
    }

    fn apply_without_forming(&mut self, start: Nanos, print: &TradePrint) -> BarChange {
        match self.closed.last() {
            Some(last) if start <= last.time => self.correct(start, print),
            _ => {
                self.forming = Some(Bar::from_print(start, print));
                BarChange::Forming
            }
        }
    }

    /// A print that belongs to a closed bar: late on the wire, or the last of a bar that [`Self::close_until`] ended.
    fn correct(&mut self, start: Nanos, print: &TradePrint) -> BarChange {
        let at = self.closed.partition_point(|bar| bar.time < start);
        let is_newest = at + 1 == self.closed.len() && self.forming.is_none();
        match self.closed.get_mut(at).filter(|bar| bar.time == start) {
            Some(bar) if is_newest => bar.fold(print),
            Some(bar) => bar.fold_late(print),
            None => self.closed.insert(at, Bar::from_print(start, print)),
        }
        BarChange::Corrected(at)
    }

    /// Closes the forming bar once its end is behind `now`, without waiting for the next print. True when it did.
    pub fn close_until(&mut self, now: Nanos) -> bool {
        let Some(bar) = self.forming else {
            return false;
        };
        if now < self.end_of(bar.time) {
            return false;
        }
        self.closed.push(bar);
        self.forming = None;
        true
    }

    /// Begins again to collect from `live_from`, keeping what is there: prints were missed, so history has to be joined again.
    pub fn resume_from(&mut self, live_from: Nanos) {
        self.live_from = heard_from(live_from);
        self.is_loading = true;
        self.pending.clear();
    }

    /// Drops everything: a new epoch of the broker's clock.
    pub fn clear(&mut self, live_from: Nanos) {
        *self = Self::new(self.span, self.calendar, live_from);
    }

    /// Joins history, in any order and with any doubles, as the broker knew it at `as_of` (market time when it was asked for).
    pub fn join(&mut self, history: &[Bar], as_of: Nanos) {
        let history = self.tidy(history, as_of);
        let mut own = std::mem::take(&mut self.closed);
        own.extend(self.forming.take());
        let mut joined = merge(&own, &history, |own, theirs| {
            self.choose(own, theirs, as_of)
        });
        self.is_loading = false;
        self.pending = Vec::new();
        self.seam_end = self.find_seam(&joined, as_of);
        // Whatever begins last may still grow; `close_until` ends it when its time is over.
        self.forming = joined.pop();
        self.closed = joined;
    }

    /// Joins a page of older history behind a first one that [`Self::join`] took. The forming bar stays ours.
    pub fn join_older(&mut self, history: &[Bar], as_of: Nanos) {
        let mut history = self.tidy(history, as_of);
        if let Some(forming) = self.forming {
            history.retain(|bar| bar.time < forming.time);
        }
        let own = std::mem::take(&mut self.closed);
        self.closed = merge(&own, &history, |own, theirs| {
            self.choose(own, theirs, as_of)
        });
    }

    /// History in order, on this series' starts, without doubles and without bars from the future.
    fn tidy(&self, history: &[Bar], as_of: Nanos) -> Vec<Bar> {
        let mut bars: Vec<Bar> = history
            .iter()
            .map(|bar| Bar {
                time: self.start_of_stated(bar.time),
                ..*bar
            })
            .collect();
        bars.retain(|bar| self.covered_from(bar.time) <= as_of);
        bars.sort_by_key(|bar| bar.time);
        bars.dedup_by_key(|bar| bar.time);
        bars
    }

    /// Which of two versions of one bar is right.
    fn choose(&self, own: &Bar, theirs: &Bar, as_of: Nanos) -> Bar {
        if self.covered_from(own.time) >= self.live_from {
            return *own;
        }
        if self.end_of(own.time) <= as_of {
            return *theirs;
        }
        if !self.is_loading {
            // Already joined once and grown since: a second partial answer knows less than we do.
            return *own;
        }
        let mut bar = *theirs;
        let start = bar.time;
        let late_prints = self
            .pending
            .iter()
            .filter(|print| print.time >= as_of && self.start_of(print.time) == start);
        late_prints.for_each(|print| bar.fold(print));
        // Prints that the answer already holds cannot widen its range, so folding the range of all of ours is safe.
        bar.high = bar.high.max(own.high);
        bar.low = bar.low.min(own.low);
        bar.close = own.close;
        bar
    }

    /// End of the bar that began before `live_from` and was not yet over at `as_of`.
    fn find_seam(&self, joined: &[Bar], as_of: Nanos) -> Option<Nanos> {
        let bar = joined
            .iter()
            .rev()
            .find(|bar| self.covered_from(bar.time) < self.live_from)?;
        let end = self.end_of(bar.time);
        (end > as_of && end > self.live_from).then_some(end)
    }

    /// While set, the bar that ends then is approximate: ask for history again once the market is past it.
    pub const fn seam_end(&self) -> Option<Nanos> {
        self.seam_end
    }

    pub const fn is_loading(&self) -> bool {
        self.is_loading
    }

    pub fn closed(&self) -> &[Bar] {
        &self.closed
    }

    pub const fn forming(&self) -> Option<&Bar> {
        self.forming.as_ref()
    }

    pub const fn span(&self) -> Span {
        self.span
    }

    /// When the bar that holds `at` began.
    pub fn start_of(&self, at: Nanos) -> Nanos {
        slot_start(self.span, self.calendar, at)
    }

    /// The same for prints, which nearly always fall into the slot of the one before.
    fn start_of_print(&mut self, at: Nanos) -> Nanos {
        if let Some((start, end)) = self.slot
            && start <= at
            && at < end
        {
            return start;
        }
        let start = self.start_of(at);
        self.slot = Some((start, self.end_of(start)));
        start
    }

    /// The start that a history stamp means: day bars are stamped at the session's open or at 00:00 UTC of the trade date.
    fn start_of_stated(&self, stamp: Nanos) -> Nanos {
        match self.span {
            Span::Clock(_) => self.start_of(stamp),
            Span::Days(_) => {
                let session = self.calendar.session_of_day_bar(stamp);
                self.start_of(session.map_or(stamp, |session| session.open))
            }
        }
    }

    /// From when on prints count towards the bar that begins at `start`: a day bar also takes the strays of the break before it.
    fn covered_from(&self, start: Nanos) -> Nanos {
        match self.span {
            Span::Clock(_) => start,
            Span::Days(_) => self.calendar.stretch_of(Nanos(start.0.saturating_sub(1))).0,
        }
    }

    /// When the bar that began at `start` is over.
    pub fn end_of(&self, start: Nanos) -> Nanos {
        slot_end(self.span, self.calendar, start)
    }
}

fn slot_start(span: Span, calendar: &Calendar, at: Nanos) -> Nanos {
    match span {
        Span::Clock(length) => {
            let (from, _) = calendar.stretch_of(at);
            Nanos(at.0 - (at.0 - from.0).rem_euclid(length))
        }
        Span::Days(number) => day_group(calendar, at, number).map_or(at, |(first, _)| first.open),
    }
}

fn slot_end(span: Span, calendar: &Calendar, start: Nanos) -> Nanos {
    match span {
        Span::Clock(length) => {
            let (_, until) = calendar.stretch_of(start);
            Nanos(start.0.saturating_add(length)).min(until)
        }
        Span::Days(number) => {
            day_group(calendar, start, number).map_or(start, |(_, last)| last.close)
        }
    }
}

/// First and last session of the group of `number` sessions that `at` counts towards.
fn day_group(calendar: &Calendar, at: Nanos, number: i64) -> Option<(Session, Session)> {
    let sessions = calendar.sessions();
    let index = sessions.partition_point(|session| session.close <= at);
    let size = usize::try_from(number).ok().filter(|size| *size > 0)?;
    let first = index - index % size;
    let last = (first + size - 1).min(sessions.len().checked_sub(1)?);
    Some((*sessions.get(first)?, *sessions.get(last)?))
}

/// Merges two lists in order of time; `choose` decides where both have a bar.
fn merge(own: &[Bar], theirs: &[Bar], choose: impl Fn(&Bar, &Bar) -> Bar) -> Vec<Bar> {
    let mut joined = Vec::with_capacity(own.len() + theirs.len());
    let (mut ours, mut others) = (own.iter().peekable(), theirs.iter().peekable());
    while let (Some(own), Some(theirs)) = (ours.peek(), others.peek()) {
        match own.time.cmp(&theirs.time) {
            Ordering::Less => joined.extend(ours.next()),
            Ordering::Greater => joined.extend(others.next()),
            Ordering::Equal => {
                joined.push(choose(own, theirs));
                ours.next();
                others.next();
            }
        }
    }
    joined.extend(ours);
    joined.extend(others);
    joined
}

#[cfg(test)]
mod tests;
