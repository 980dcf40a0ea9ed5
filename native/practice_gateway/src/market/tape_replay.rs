//! Replay of recordings without a book: bar files and tick files, with a made-up book around their prints.
//!
//! Bars become prints inside their open, high, low and close with exactly their volume; ticks stay what they are.

use crate::feed::{Bar, BarUnit, MarketSource, Tagged};

use super::bars::Folder;
use super::book::BookStyle;
use super::dice::Dice;
use super::lane::{Item, Lanes, Stretch, Supply};
use super::records::{BarRow, PrintRow, bar_length};
use super::session::{MINUTE, SECOND, Session, trade_day};
use super::weave::{Path, Print};

/// Prints that a bar is woven into at most; bigger volumes come in bigger prints.
const MOST_PRINTS: usize = 900;
/// Ticks handed out at a time.
const TICKS_AT_ONCE: usize = 500;

/// What was recorded.
enum Tape {
    Bars { rows: Vec<BarRow>, length: i64 },
    Ticks(Vec<PrintRow>),
}

/// A recording of one contract.
pub struct TapeReplay {
    supply: Recording,
    lanes: Lanes,
    /// What the stream has not reached yet is the future, even for history.
    reached: i64,
}

struct Recording {
    tape: Tape,
    seed: u64,
}

impl TapeReplay {
    /// A replay of bars.
    ///
    /// # Errors
    /// Says so when there is no bar.
    pub fn of_bars(mut rows: Vec<BarRow>, contract: usize, seed: u64) -> Result<Self, String> {
        rows.sort_by_key(|row| row.at);
        let length = bar_length(&rows);
        Self::start(Tape::Bars { rows, length }, contract, seed)
    }

    /// A replay of ticks.
    ///
    /// # Errors
    /// Says so when there is no tick.
    pub fn of_ticks(mut rows: Vec<PrintRow>, contract: usize, seed: u64) -> Result<Self, String> {
        rows.sort_by_key(|row| row.at);
        Self::start(Tape::Ticks(rows), contract, seed)
    }

    fn start(tape: Tape, contract: usize, seed: u64) -> Result<Self, String> {
        let supply = Recording { tape, seed };
        let start = supply.time_of(0).ok_or("The recording is empty.")?;
        let lanes = Lanes::new(&[contract], start, seed, &supply);
        Ok(Self {
            supply,
            lanes,
            reached: start,
        })
    }
}

impl Recording {
    fn time_of(&self, index: usize) -> Option<i64> {
        match &self.tape {
            Tape::Bars { rows, .. } => rows.get(index).map(|row| row.at),
            Tape::Ticks(rows) => rows.get(index).map(|row| row.at),
        }
    }

    fn last(&self) -> i64 {
        match &self.tape {
            Tape::Bars { rows, length } => rows.last().map_or(0, |row| row.at + length),
            Tape::Ticks(rows) => rows.last().map_or(0, |row| row.at),
        }
    }

    /// First and past-the-last row of the stretch that covers `from`.
    fn rows_from(&self, from: i64) -> (usize, usize) {
        match &self.tape {
            Tape::Bars { rows, length } => {
                let first = rows.partition_point(|row| row.at + length <= from);
                (first, first + 1)
            }
            Tape::Ticks(rows) => {
                let first = rows.partition_point(|row| row.at < from);
                let mut end = (first + TICKS_AT_ONCE).min(rows.len());
                // Rows of one millisecond stay together: the next stretch is found by its time.
                while end < rows.len() && rows[end].at == rows[end - 1].at {
                    end += 1;
                }
                (first, end)
            }
        }
    }

    fn prints(&self, first: usize, end: usize) -> Vec<Print> {
        match &self.tape {
            Tape::Bars { rows, length } => self.weave(&rows[first], *length),
            Tape::Ticks(rows) => rows[first..end]
                .iter()
                .map(|row| Print {
                    at: row.at,
                    ticks: row.ticks,
                    lots: row.lots,
                    aggressor: row.aggressor,
                })
                .collect(),
        }
    }

    fn weave(&self, row: &BarRow, length: i64) -> Vec<Print> {
        let [open, high, low, close] = row.prices;
        let bar = Bar {
            at: row.at,
            open,
            high,
            low,
            close,
            lots: row.lots,
        };
        let mut dice = Dice::of(&[self.seed, row.at as u64]);
        let count = usize::try_from(row.lots / 2).unwrap_or(0).min(MOST_PRINTS);
        Path::through(&bar, &mut dice).prints(row.at, length, count, row.lots, &mut dice)
    }

    /// Adds the open before the first print of a session and the close where its session ends.
    fn with_session(&self, prints: Vec<Print>, first: usize, end: usize) -> Vec<Item> {
        let mut items = Vec::with_capacity(prints.len() + 2);
        let mut before = first.checked_sub(1).and_then(|index| self.time_of(index));
        for print in prints {
            if before.is_none_or(|before| trade_day(before) != trade_day(print.at)) {
                items.extend(before.map(close_after).map(|close| Item::Close {
                    at: close.min(print.at),
                }));
                items.push(Item::Open {
                    at: print.at,
                    bid: print.bid_after(print.ticks - 1),
                });
            }
            items.push(Item::Print(print));
            before = Some(print.at);
        }
        if end >= self.row_count() {
            items.extend(
                before
                    .and_then(Session::trading_at)
                    .map(|session| Item::Close { at: session.close }),
            );
        }
        items
    }

    fn row_count(&self) -> usize {
        match &self.tape {
            Tape::Bars { rows, .. } => rows.len(),
            Tape::Ticks(rows) => rows.len(),
        }
    }
}

/// When the session of a print ends.
fn close_after(at: i64) -> i64 {
    Session::on(trade_day(at)).map_or(at, |session| session.close.max(at))
}

impl Supply for Recording {
    fn stretch(&self, _contract: usize, from: i64) -> Option<Stretch> {
        let (first, end) = self.rows_from(from);
        let begin = self.time_of(first)?;
        let prints = self.prints(first, end);
        let bid = prints.first().map(|print| print.bid_after(print.ticks - 1));
        let until = match &self.tape {
            Tape::Bars { length, .. } => begin + length,
            Tape::Ticks(rows) => rows[end - 1].at + 1,
        };
        let span = (until - begin).max(MINUTE / 4);
        let stir_every = (span / (prints.len() as i64 * 2 + 10)).min(2 * SECOND);
        let items = self.with_session(prints, first, end);
        let is_running =
            begin <= from && !matches!(items.first(), Some(Item::Open { .. } | Item::Close { .. }));
        Some(Stretch {
            items,
            until,
            stir_every,
            bid: bid.filter(|_| is_running || begin < from),
        })
    }

    fn style(&self, _contract: usize) -> BookStyle {
        BookStyle {
            top_lots: 8.0,
            deepening: 2.5,
        }
    }
}

impl MarketSource for TapeReplay {
    fn advance(&mut self, until: i64, out: &mut Vec<Tagged>) -> Option<i64> {
        self.reached = self.reached.max(until);
        self.lanes.advance(until, &self.supply, out)
    }

    fn start_time(&self) -> i64 {
        self.supply.time_of(0).unwrap_or(0)
    }

    fn seek(&mut self, to: i64) -> Result<(), String> {
        self.reached = to;
        self.lanes.seek(to, &self.supply);
        Ok(())
    }

    fn history(&self, contract: usize, unit: BarUnit, number: u32, from: i64, to: i64) -> Vec<Bar> {
        let mut folder = Folder::new(unit, number);
        if !self.lanes.contracts().contains(&contract) {
            return Vec::new();
        }
        let first = folder.start_of(from);
        let mut index = self.supply.rows_from(first).0;
        while self
            .supply
            .time_of(index)
            .is_some_and(|at| at < to && at <= self.reached)
        {
            let end = match &self.supply.tape {
                Tape::Bars { .. } => index + 1,
                Tape::Ticks(rows) => (index + TICKS_AT_ONCE).min(rows.len()),
            };
            for print in self.supply.prints(index, end) {
                if print.at < to && print.at <= self.reached {
                    folder.add_print(print.at, print.ticks, print.lots);
                }
            }
            index = end;
        }
        folder.finish(from, to)
    }

    fn is_trading(&self, contract: usize, at: i64) -> bool {
        let inside = self.start_time() <= at && at < close_after(self.supply.last());
        inside && self.lanes.contracts().contains(&contract) && Session::trading_at(at).is_some()
    }

    fn contracts(&self) -> &[usize] {
        self.lanes.contracts()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::FeedEvent;

    /// 2026-11-23 23:00 UTC, the open of a session.
    const OPEN: i64 = 1_795_474_800_000_000_000;

    fn bar(minute: i64, prices: [i64; 4], lots: i64) -> BarRow {
        BarRow {
            at: OPEN + minute * MINUTE,
            prices,
            lots,
        }
    }

    fn play(replay: &mut TapeReplay, until: i64) -> Vec<FeedEvent> {
        let mut out = Vec::new();
        replay.advance(until, &mut out);
        out.into_iter().map(|tagged| tagged.event).collect()
    }

    fn fold(events: &[FeedEvent]) -> Vec<Bar> {
        let mut folder = Folder::new(BarUnit::Minute, 1);
        for event in events {
            if let FeedEvent::Print {
                at, ticks, lots, ..
            } = event
            {
                folder.add_print(*at, *ticks, *lots);
            }
        }
        folder.finish(0, i64::MAX)
    }

    fn as_bars(rows: &[BarRow]) -> Vec<Bar> {
        let whole = |row: &BarRow| {
            let [open, high, low, close] = row.prices;
            Bar {
                at: row.at,
                open,
                high,
                low,
                close,
                lots: row.lots,
            }
        };
        rows.iter().map(whole).collect()
    }

    #[test]
    fn streaming_bars_gives_the_bars_back_across_a_gap_and_a_halt() {
        let rows = [
            bar(0, [100, 104, 98, 101], 57),
            bar(1, [101, 101, 101, 101], 1),
            bar(9, [103, 110, 103, 109], 300),
            bar(1_379, [109, 111, 108, 110], 12),
            bar(1_440, [120, 122, 119, 119], 40),
        ];
        let mut replay = TapeReplay::of_bars(rows.to_vec(), 0, 1).unwrap();
        let events = play(&mut replay, i64::MAX);
        assert_eq!(fold(&events), as_bars(&rows));
        let count =
            |wanted: fn(&FeedEvent) -> bool| events.iter().filter(|event| wanted(event)).count();
        assert_eq!(
            count(|event| matches!(event, FeedEvent::SessionOpen { .. })),
            2
        );
        assert_eq!(
            count(|event| matches!(event, FeedEvent::SessionClose { .. })),
            2
        );
        assert!(events.is_sorted_by_key(FeedEvent::at));
    }

    #[test]
    fn history_never_shows_what_has_not_been_streamed() {
        let rows = [
            bar(0, [100, 104, 98, 101], 57),
            bar(1, [101, 109, 90, 95], 80),
        ];
        let mut replay = TapeReplay::of_bars(rows.to_vec(), 0, 1).unwrap();
        let events = play(&mut replay, OPEN + 90 * SECOND);
        assert_eq!(
            replay.history(0, BarUnit::Minute, 1, 0, i64::MAX),
            fold(&events)
        );
        replay.seek(OPEN + MINUTE).unwrap();
        let again = play(&mut replay, OPEN + MINUTE);
        assert_eq!(again[0], FeedEvent::Clear { at: OPEN + MINUTE });
        assert_eq!(
            replay.history(0, BarUnit::Minute, 1, 0, OPEN + MINUTE),
            as_bars(&rows[..1])
        );
    }

    #[test]
    fn a_bar_that_is_open_at_the_end_asked_for_holds_nothing_printed_later() {
        let rows = [bar(0, [100, 104, 98, 101], 57)];
        let mut replay = TapeReplay::of_bars(rows.to_vec(), 0, 1).unwrap();
        let half = OPEN + 30 * SECOND;
        let before = fold(&play(&mut replay, half - 1));
        let after = fold(&play(&mut replay, OPEN + MINUTE));
        let history = replay.history(0, BarUnit::Minute, 1, 0, half);
        assert_eq!(history, before);
        assert_eq!(history[0].lots + after[0].lots, 57);
    }

    #[test]
    fn ticks_of_one_millisecond_keep_their_order_and_their_empty_rows() {
        let tick = |ms: i64, ticks, lots| PrintRow {
            at: OPEN + ms * 1_000_000,
            ticks,
            lots,
            aggressor: None,
        };
        let rows: Vec<PrintRow> = (0..1_200)
            .map(|step| tick(step / 7, 1_000 + step % 5, step % 3))
            .collect();
        let mut replay = TapeReplay::of_ticks(rows.clone(), 0, 1).unwrap();
        let printed: Vec<(i64, i64, i64)> = play(&mut replay, i64::MAX)
            .into_iter()
            .filter_map(|event| match event {
                FeedEvent::Print {
                    at, ticks, lots, ..
                } => Some((at, ticks, lots)),
                _ => None,
            })
            .collect();
        assert_eq!(
            printed,
            rows.iter()
                .map(|row| (row.at, row.ticks, row.lots))
                .collect::<Vec<_>>()
        );
    }
}
