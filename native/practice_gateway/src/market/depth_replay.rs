//! Replay of a recorded full book: `NAME.levels.csv.gz` with its sibling `NAME.trades.csv.gz`.
//!
//! The stream runs on exchange time (`ts_event_ns`): it is the time that tells two states of the book apart, while up
//! to four states share a receive time. All rows of one time go out together, prints before the levels that
//! resulted from them, so that nobody sees half of an exchange event.
//!
//! Before the open the recorded book is an indicative auction book and may be crossed: it goes out as levels. The first
//! print of the recording that lies in a session is the opening auction; at its time the source says `SessionOpen`,
//! prints the auction, clears, and gives the whole book as it stands after the auction.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::feed::{Bar, BarUnit, FeedEvent, MarketSource, Side, Tagged};

use super::bars::Folder;
use super::records::{self, LevelRow, PrintRow};
use super::session::{SECOND, Session};

/// How long before the open a replay begins: enough to see the auction book.
const LEAD_IN: i64 = 10 * SECOND;

/// A recorded full book with its trades, of one contract.
pub struct DepthReplay {
    contract: [usize; 1],
    rows: Vec<LevelRow>,
    prints: Vec<PrintRow>,
    /// When trading begins, and when it ends if the recording reaches that far.
    open: i64,
    close: i64,
    start: i64,
    book: Book,
    next_row: usize,
    next_print: usize,
    /// A seek is answered with `Clear` and the levels in force at this time.
    resync: Option<i64>,
    close_pending: bool,
}

#[derive(Default)]
struct Book {
    bids: BTreeMap<i64, i64>,
    asks: BTreeMap<i64, i64>,
}

impl Book {
    fn apply(&mut self, row: &LevelRow) {
        let Some(side) = row.side else {
            self.bids.clear();
            self.asks.clear();
            return;
        };
        let levels = if side == Side::Bid {
            &mut self.bids
        } else {
            &mut self.asks
        };
        if row.lots == 0 {
            levels.remove(&row.ticks);
        } else {
            levels.insert(row.ticks, row.lots);
        }
    }

    /// Best levels first, bids before asks.
    fn levels(&self, at: i64) -> impl Iterator<Item = FeedEvent> + '_ {
        let level = move |side| {
            move |(&ticks, &lots): (&i64, &i64)| FeedEvent::Level {
                at,
                side,
                ticks,
                lots,
            }
        };
        self.bids
            .iter()
            .rev()
            .map(level(Side::Bid))
            .chain(self.asks.iter().map(level(Side::Ask)))
    }
}

impl DepthReplay {
    /// Reads both files. `tick_nano`: the contract's increment in 1e-9 of a point.
    ///
    /// # Errors
    /// Names the file, and the line if one is not what the format says.
    pub fn open(path: &Path, contract: usize, tick_nano: i64) -> Result<Self, String> {
        let mut rows = records::levels(path, tick_nano)?;
        let mut prints = records::trades(&trades_beside(path)?, tick_nano)?;
        let Some(first) = rows.iter().find(|row| !row.is_snapshot).map(|row| row.at) else {
            return Err(format!(
                "{} holds no level after the opening snapshot.",
                path.display()
            ));
        };
        for row in rows.iter_mut().take_while(|row| row.is_snapshot) {
            row.at = row.at.min(first);
        }
        rows.sort_by_key(|row| row.at);
        prints.sort_by_key(|print| print.at);
        let (open, close) = trading_time(first, &prints);
        let start = if open > first {
            (open - LEAD_IN).max(first)
        } else {
            first
        };
        let mut replay = Self {
            contract: [contract],
            rows,
            prints,
            open,
            close,
            start,
            book: Book::default(),
            next_row: 0,
            next_print: 0,
            resync: None,
            close_pending: false,
        };
        replay.move_to(start);
        Ok(replay)
    }

    /// Rebuilds the book just before `to`; the next `advance` shows it.
    fn move_to(&mut self, to: i64) {
        self.book = Book::default();
        self.next_row = self.rows.partition_point(|row| row.at < to);
        self.next_print = self.prints.partition_point(|print| print.at < to);
        for row in &self.rows[..self.next_row] {
            self.book.apply(row);
        }
        self.resync = Some(to);
        // A recording that stops in mid-session leaves its last book standing, so that a position can still be closed.
        self.close_pending =
            to <= self.close && self.rows.last().is_some_and(|row| row.at >= self.close);
    }

    fn next_time(&self) -> Option<i64> {
        let row = self.rows.get(self.next_row).map(|row| row.at);
        let print = self.prints.get(self.next_print).map(|print| print.at);
        let close = Some(self.close).filter(|_| self.close_pending);
        [self.resync, row, print, close].into_iter().flatten().min()
    }

    fn emit(&self, event: FeedEvent, out: &mut Vec<Tagged>) {
        out.push(Tagged {
            contract: self.contract[0],
            event,
        });
    }

    fn emit_book(&self, at: i64, out: &mut Vec<Tagged>) {
        self.emit(FeedEvent::Clear { at }, out);
        out.extend(self.book.levels(at).map(|event| Tagged {
            contract: self.contract[0],
            event,
        }));
    }

    /// Everything that happened at exactly `at`.
    fn step(&mut self, at: i64, out: &mut Vec<Tagged>) {
        if self.resync.take_if(|time| *time <= at).is_some() {
            if at != self.open {
                self.emit_book(at, out);
            }
            if self.open < at && at < self.close {
                self.emit(FeedEvent::SessionOpen { at }, out);
            }
        }
        let is_opening = at == self.open;
        if is_opening {
            self.emit(FeedEvent::SessionOpen { at }, out);
        }
        while let Some(print) = self
            .prints
            .get(self.next_print)
            .filter(|print| print.at <= at)
        {
            let PrintRow {
                at,
                ticks,
                lots,
                aggressor,
            } = *print;
            self.emit(
                FeedEvent::Print {
                    at,
                    ticks,
                    lots,
                    aggressor,
                },
                out,
            );
            self.next_print += 1;
        }
        while let Some(row) = self
            .rows
            .get(self.next_row)
            .copied()
            .filter(|row| row.at <= at)
        {
            self.book.apply(&row);
            self.next_row += 1;
            if !is_opening {
                self.emit(row_event(&row), out);
            }
        }
        if is_opening {
            self.emit_book(at, out);
        }
        if at == self.close {
            self.emit(FeedEvent::SessionClose { at }, out);
            self.close_pending = false;
        }
    }
}

impl MarketSource for DepthReplay {
    fn advance(&mut self, until: i64, out: &mut Vec<Tagged>) -> Option<i64> {
        loop {
            let next = self.next_time();
            match next {
                Some(at) if at <= until => self.step(at, out),
                _ => return next,
            }
        }
    }

    fn start_time(&self) -> i64 {
        self.start
    }

    fn seek(&mut self, to: i64) -> Result<(), String> {
        self.move_to(to);
        Ok(())
    }

    fn history(&self, contract: usize, unit: BarUnit, number: u32, from: i64, to: i64) -> Vec<Bar> {
        let mut folder = Folder::new(unit, number);
        // What the stream has not reached yet is the future, even if somebody asks for it.
        let known = if contract == self.contract[0] {
            &self.prints[..self.next_print]
        } else {
            &[]
        };
        // A bar that is still open at `to` holds what was printed before `to`: the rest is the stream's.
        for print in known.iter().filter(|print| print.at < to) {
            folder.add_print(print.at, print.ticks, print.lots);
        }
        folder.finish(from, to)
    }

    fn is_trading(&self, contract: usize, at: i64) -> bool {
        contract == self.contract[0] && self.open <= at && at < self.close
    }

    fn contracts(&self) -> &[usize] {
        &self.contract
    }
}

fn row_event(row: &LevelRow) -> FeedEvent {
    match row.side {
        Some(side) => FeedEvent::Level {
            at: row.at,
            side,
            ticks: row.ticks,
            lots: row.lots,
        },
        None => FeedEvent::Clear { at: row.at },
    }
}

/// Trading begins with the first print of the session it lies in when the recording starts before that session.
fn trading_time(first: i64, prints: &[PrintRow]) -> (i64, i64) {
    let begins = prints.first().map_or(first, |print| print.at);
    let Some(session) = Session::trading_at(begins) else {
        return (first.min(begins), i64::MAX);
    };
    let open = if first < session.open { begins } else { first };
    (open, session.close)
}

fn trades_beside(levels: &Path) -> Result<PathBuf, String> {
    let name = levels
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let trades = levels.with_file_name(name.replacen(".levels.", ".trades.", 1));
    if trades == levels || !trades.exists() {
        return Err(format!(
            "{} has no trades file beside it; {} is expected.",
            levels.display(),
            trades.display()
        ));
    }
    Ok(trades)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;
    use std::io::Read;

    const OPEN: i64 = 1_703_545_200_000_000_000;
    const QUARTER: i64 = 250_000_000;

    /// The recorded ES hour; `None`, said aloud, where the shared recordings are not at hand.
    fn recorded_hour() -> Option<PathBuf> {
        let shared = std::env::var_os("PITDESK_SHARED").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
            PathBuf::from,
        );
        let path = shared.join("data/depth/es_esh4_20231225.levels.csv.gz");
        if path.exists() {
            return Some(path);
        }
        eprintln!(
            "SKIPPED: {} is absent, the replay is not checked against it",
            path.display()
        );
        None
    }

    fn text_of(path: &Path) -> String {
        let mut text = String::new();
        let bytes = std::fs::read(path).unwrap();
        flate2::read::GzDecoder::new(&bytes[..])
            .read_to_string(&mut text)
            .unwrap();
        text
    }

    type Ten = (Vec<(i64, i64)>, Vec<(i64, i64)>);
    type Levels = BTreeMap<(char, i64), i64>;

    fn best_ten(levels: &Levels) -> Ten {
        let flat = |(key, lots): (&(char, i64), &i64)| (key.1, *lots);
        let bids = levels.range(('B', i64::MIN)..).rev().take(10).map(flat);
        let asks = levels
            .range(('A', i64::MIN)..('B', i64::MIN))
            .take(10)
            .map(flat);
        (bids.collect(), asks.collect())
    }

    /// Best ten levels a side after each exchange event, straight from the text of the file.
    fn reference(path: &Path, from: i64) -> HashMap<i64, Ten> {
        let text = text_of(path);
        let mut levels = Levels::new();
        let mut states = HashMap::new();
        let mut last = 0;
        for line in text.lines().skip(1) {
            let cells: Vec<&str> = line.split(',').collect();
            let at: i64 = cells[1].parse().unwrap();
            if at != last && last >= from {
                states.insert(last, best_ten(&levels));
            }
            last = at;
            let key = (
                cells[3].chars().next().unwrap(),
                (cells[4].parse::<f64>().unwrap() * 4.0) as i64,
            );
            match cells[5].parse().unwrap() {
                0 => levels.remove(&key),
                lots => levels.insert(key, lots),
            };
        }
        states.insert(last, best_ten(&levels));
        states
    }

    fn apply(levels: &mut Levels, event: FeedEvent) {
        match event {
            FeedEvent::Level {
                side, ticks, lots, ..
            } => {
                let key = (if side == Side::Bid { 'B' } else { 'A' }, ticks);
                if lots == 0 {
                    levels.remove(&key);
                } else {
                    levels.insert(key, lots);
                }
            }
            FeedEvent::Clear { .. } => levels.clear(),
            _ => {}
        }
    }

    #[test]
    fn the_recorded_hour_has_its_trades_and_its_book_after_every_event() {
        let Some(path) = recorded_hour() else { return };
        let mut expected = reference(&path, OPEN + 100_000);
        let mut replay = DepthReplay::open(&path, 0, QUARTER).unwrap();
        let (mut trades, mut lots, mut low, mut high) = (0, 0, i64::MAX, i64::MIN);
        let (mut levels, mut checked) = (Levels::new(), 0);
        let mut next = Some(replay.start_time());
        while let Some(at) = next {
            let mut out = Vec::new();
            next = replay.advance(at, &mut out);
            for tagged in out {
                apply(&mut levels, tagged.event);
                if let FeedEvent::Print {
                    ticks, lots: size, ..
                } = tagged.event
                {
                    (trades, lots) = (trades + 1, lots + size);
                    (low, high) = (low.min(ticks), high.max(ticks));
                }
            }
            if let Some(state) = expected.remove(&at) {
                assert_eq!(best_ten(&levels), state, "at {at}");
                checked += 1;
            }
        }
        assert_eq!((trades, lots, low, high), (2_973, 9_892, 19_201, 19_247));
        assert!(
            expected.is_empty() && checked > 40_000,
            "{checked} checked, {} never came",
            expected.len()
        );
    }

    #[test]
    fn the_open_prints_the_auction_then_clears_and_shows_an_uncrossed_book() {
        let Some(path) = recorded_hour() else { return };
        let mut replay = DepthReplay::open(&path, 0, QUARTER).unwrap();
        assert!(!replay.is_trading(0, OPEN - 1) && replay.is_trading(0, OPEN));
        let mut before = Vec::new();
        assert_eq!(replay.advance(OPEN - 1, &mut before), Some(OPEN));
        let is_level = |tagged: &Tagged| matches!(tagged.event, FeedEvent::Level { .. });
        assert!(before.len() > 1_000 && before.iter().skip(1).all(is_level));
        let mut open = Vec::new();
        replay.advance(OPEN, &mut open);
        assert_eq!(open[0].event, FeedEvent::SessionOpen { at: OPEN });
        assert_eq!(
            open[1].event,
            FeedEvent::Print {
                at: OPEN,
                ticks: 19_201,
                lots: 44,
                aggressor: None
            }
        );
        assert_eq!(open[2].event, FeedEvent::Clear { at: OPEN });
        let best = |wanted| {
            open.iter().find_map(|tagged| match tagged.event {
                FeedEvent::Level { side, ticks, .. } if side == wanted => Some(ticks),
                _ => None,
            })
        };
        assert!(best(Side::Bid) < best(Side::Ask));
    }

    #[test]
    fn a_bar_that_is_open_at_the_end_asked_for_holds_nothing_printed_later() {
        let print = |seconds: i64, lots| PrintRow {
            at: OPEN + seconds * SECOND,
            ticks: 19_200,
            lots,
            aggressor: None,
        };
        let replay = DepthReplay {
            contract: [0],
            rows: Vec::new(),
            prints: vec![print(3, 87), print(30, 66)],
            open: OPEN,
            close: i64::MAX,
            start: OPEN,
            book: Book::default(),
            next_row: 0,
            next_print: 2,
            resync: None,
            close_pending: false,
        };
        let lots = |to: i64| {
            let bars = replay.history(0, BarUnit::Minute, 1, 0, OPEN + to * SECOND);
            bars.iter().map(|bar| bar.lots).sum::<i64>()
        };
        assert_eq!([lots(3), lots(30), lots(31)], [0, 87, 153]);
    }

    #[test]
    fn a_seek_shows_the_same_book_as_playing_up_to_there() {
        let Some(path) = recorded_hour() else { return };
        let to = OPEN + 1_234 * SECOND;
        let (mut played, mut sought) = (Levels::new(), Levels::new());
        let mut replay = DepthReplay::open(&path, 0, QUARTER).unwrap();
        let mut out = Vec::new();
        replay.advance(to, &mut out);
        out.drain(..)
            .for_each(|tagged| apply(&mut played, tagged.event));
        replay.advance(to + 900 * SECOND, &mut out);
        out.clear();
        replay.seek(to).unwrap();
        replay.advance(to, &mut out);
        assert_eq!(out[0].event, FeedEvent::Clear { at: to });
        out.drain(..)
            .for_each(|tagged| apply(&mut sought, tagged.event));
        assert_eq!(played, sought);
        assert!(
            replay
                .history(0, BarUnit::Minute, 1, 0, i64::MAX)
                .iter()
                .all(|bar| bar.at <= to)
        );
    }
}
