//! The seeded market: MNQ, MES, NQ, ES, CL and GC.
//!
//! Minutes come first (see `path`): a minute's bar is a function of seed and session date, the live stream is woven
//! inside it. So history and stream are the same market, a restart goes on where the clock stands, and own orders can
//! never move the path.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::contracts::ContractTable;
use crate::feed::{Bar, BarUnit, MarketSource, Tagged};

use super::bars::Folder;
use super::book::BookStyle;
use super::dice::Dice;
use super::lane::{Item, Lanes, Stretch, Supply};
use super::path::{DayPath, Family};
use super::session::{MINUTE, SESSION_MINUTES, Session};
use super::weave::{Path, Print};

/// Calendar days of history before the start.
const HISTORY_DAYS: i64 = 61;
/// Prints of one minute at most; a busier minute has bigger prints.
const MOST_PRINTS: f64 = 2_400.0;

const NASDAQ: Family = Family {
    key: 11,
    group: 1,
    level: 29_480.0,
    ticks_per_point: 4.0,
    daily_move: 0.0105,
    busy: (930, 1_320),
};
const SP500: Family = Family {
    key: 12,
    group: 1,
    level: 7_862.0,
    ticks_per_point: 4.0,
    daily_move: 0.0078,
    busy: (930, 1_320),
};
const CRUDE: Family = Family {
    key: 13,
    group: 2,
    level: 64.2,
    ticks_per_point: 100.0,
    daily_move: 0.017,
    busy: (900, 1_170),
};
const GOLD: Family = Family {
    key: 14,
    group: 3,
    level: 4_310.0,
    ticks_per_point: 10.0,
    daily_move: 0.0100,
    busy: (860, 1_110),
};

/// How a contract trades its family's path.
struct Trading {
    root: &'static str,
    family: &'static Family,
    lots_a_day: f64,
    lots_a_print: f64,
    style: BookStyle,
    /// Changes of the book that no print causes, for each print.
    stirs_a_print: f64,
}

static TRADED: [Trading; 6] = [
    Trading {
        root: "MNQ",
        family: &NASDAQ,
        lots_a_day: 1_650_000.0,
        lots_a_print: 3.0,
        style: BookStyle {
            top_lots: 11.0,
            deepening: 2.6,
        },
        stirs_a_print: 0.6,
    },
    Trading {
        root: "MES",
        family: &SP500,
        lots_a_day: 1_150_000.0,
        lots_a_print: 3.2,
        style: BookStyle {
            top_lots: 62.0,
            deepening: 2.6,
        },
        stirs_a_print: 1.3,
    },
    Trading {
        root: "NQ",
        family: &NASDAQ,
        lots_a_day: 520_000.0,
        lots_a_print: 1.6,
        style: BookStyle {
            top_lots: 3.2,
            deepening: 2.4,
        },
        stirs_a_print: 1.2,
    },
    Trading {
        root: "ES",
        family: &SP500,
        lots_a_day: 1_350_000.0,
        lots_a_print: 5.0,
        style: BookStyle {
            top_lots: 105.0,
            deepening: 3.0,
        },
        stirs_a_print: 1.6,
    },
    Trading {
        root: "CL",
        family: &CRUDE,
        lots_a_day: 320_000.0,
        lots_a_print: 1.7,
        style: BookStyle {
            top_lots: 14.0,
            deepening: 3.2,
        },
        stirs_a_print: 1.8,
    },
    Trading {
        root: "GC",
        family: &GOLD,
        lots_a_day: 190_000.0,
        lots_a_print: 1.5,
        style: BookStyle {
            top_lots: 4.0,
            deepening: 3.0,
        },
        stirs_a_print: 1.6,
    },
];

/// The seeded market on all its contracts.
pub struct Model {
    market: Market,
    lanes: Lanes,
    start: i64,
    reached: i64,
}

struct Market {
    seed: u64,
    /// Contract index to how it trades.
    traded: HashMap<usize, &'static Trading>,
    /// Sessions already computed, by family key and trade date.
    days: Mutex<HashMap<(u64, i64), Arc<DayPath>>>,
}

impl Model {
    /// The market of `seed` with its clock at `start`, UTC ns.
    pub fn new(contracts: &ContractTable, seed: u64, start: i64) -> Self {
        let listed = TRADED
            .iter()
            .filter_map(|trading| Some((contracts.by_root(trading.root)?, trading)));
        let listed: Vec<(usize, &Trading)> = listed.collect();
        let indices: Vec<usize> = listed.iter().map(|(index, _)| *index).collect();
        let traded = listed.into_iter().collect();
        let market = Market {
            seed,
            traded,
            days: Mutex::default(),
        };
        let lanes = Lanes::new(&indices, start, seed, &market);
        Self {
            market,
            lanes,
            start,
            reached: start,
        }
    }
}

impl Market {
    fn day(&self, family: &Family, session: Session) -> Arc<DayPath> {
        let key = (family.key, session.day);
        let known = self.days.lock().get(&key).cloned();
        known.unwrap_or_else(|| {
            let day = Arc::new(DayPath::of(family, self.seed, session));
            self.days.lock().insert(key, Arc::clone(&day));
            day
        })
    }

    fn bar(trading: &Trading, day: &DayPath, index: usize) -> Bar {
        let minute = &day.minutes[index];
        let wanted = trading.lots_a_day / SESSION_MINUTES as f64 * minute.activity;
        let mut bar = day.bar(index, wanted.round() as i64);
        // Enough lots for every price of the bar to have traded.
        bar.lots = bar.lots.max(4 + (bar.high - bar.low) / 4);
        bar
    }

    fn prints(&self, trading: &Trading, day: &DayPath, index: usize) -> Vec<Print> {
        let bar = Self::bar(trading, day, index);
        let count = (bar.lots as f64 / trading.lots_a_print).min(MOST_PRINTS) as usize;
        let family = trading.family.key;
        // The path has the family's dice: mini and micro see one price.
        let path = Path::through(&bar, &mut Dice::of(&[self.seed, family, 7, bar.at as u64]));
        let root = trading.lots_a_day.to_bits();
        path.prints(
            bar.at,
            MINUTE,
            count,
            bar.lots,
            &mut Dice::of(&[self.seed, root, 8, bar.at as u64]),
        )
    }

    /// Prints of all minutes from the one of `from` to the one of `to`, for bars of seconds.
    fn fold_prints(&self, trading: &Trading, from: i64, to: i64, folder: &mut Folder) {
        let mut at = from;
        while let Some(session) =
            Session::at_or_after(at).filter(|session| at.max(session.open) < to)
        {
            at = at.max(session.open);
            let day = self.day(trading.family, session);
            while at < to.min(session.close) {
                for print in self.prints(trading, &day, ((at - session.open) / MINUTE) as usize) {
                    if print.at < to {
                        folder.add_print(print.at, print.ticks, print.lots);
                    }
                }
                at = at - (at - session.open) % MINUTE + MINUTE;
            }
        }
    }

    /// Whole minutes from `from` on that end by `to`; answers where they end.
    fn fold_minutes(&self, trading: &Trading, from: i64, to: i64, folder: &mut Folder) -> i64 {
        let last = to.div_euclid(MINUTE) * MINUTE;
        let mut next = Session::at_or_after(from);
        while let Some(session) = next.filter(|session| session.open < last) {
            let day = self.day(trading.family, session);
            let first = (from - session.open).max(0) / MINUTE;
            let end = ((last - session.open) / MINUTE).min(SESSION_MINUTES);
            for index in first..end {
                folder.add(Self::bar(trading, &day, index as usize));
            }
            next = session.next();
        }
        last
    }
}

impl Supply for Market {
    fn stretch(&self, contract: usize, from: i64) -> Option<Stretch> {
        let trading = self.traded.get(&contract)?;
        let session = Session::at_or_after(from)?;
        let index = (from - session.open).max(0) / MINUTE;
        let day = self.day(trading.family, session);
        let prints = self.prints(trading, &day, index as usize);
        let begin = session.open + index * MINUTE;
        let until = begin + MINUTE;
        let stirs = prints.len() as f64 * trading.stirs_a_print + 12.0;
        let bid = day.minutes[index as usize].open;
        let mut items = Vec::with_capacity(prints.len() + 1);
        if index == 0 {
            items.push(Item::Open {
                at: session.open,
                bid,
            });
        }
        items.extend(prints.into_iter().map(Item::Print));
        if until >= session.close {
            items.push(Item::Close { at: session.close });
        }
        let is_running = session.open < from;
        Some(Stretch {
            items,
            until,
            stir_every: (MINUTE as f64 / stirs) as i64,
            bid: is_running.then_some(bid),
        })
    }

    fn style(&self, contract: usize) -> BookStyle {
        self.traded.get(&contract).map_or(
            BookStyle {
                top_lots: 8.0,
                deepening: 2.5,
            },
            |trading| trading.style,
        )
    }
}

impl MarketSource for Model {
    fn advance(&mut self, until: i64, out: &mut Vec<Tagged>) -> Option<i64> {
        self.reached = self.reached.max(until);
        self.lanes.advance(until, &self.market, out)
    }

    fn start_time(&self) -> i64 {
        self.start
    }

    fn seek(&mut self, to: i64) -> Result<(), String> {
        self.reached = to;
        self.lanes.seek(to, &self.market);
        Ok(())
    }

    fn history(&self, contract: usize, unit: BarUnit, number: u32, from: i64, to: i64) -> Vec<Bar> {
        let Some(trading) = self.market.traded.get(&contract) else {
            return Vec::new();
        };
        let mut folder = Folder::new(unit, number);
        let earliest = self.start - HISTORY_DAYS * 24 * 60 * MINUTE;
        let (begin, end) = (folder.start_of(from.max(earliest)), to.min(self.reached));
        let whole = match unit {
            BarUnit::Second => begin,
            _ => self.market.fold_minutes(trading, begin, end, &mut folder),
        };
        // The forming minute, and bars of seconds, come from the prints so far.
        self.market
            .fold_prints(trading, whole.max(begin), end, &mut folder);
        folder.finish(from, to)
    }

    fn is_trading(&self, contract: usize, at: i64) -> bool {
        self.market.traded.contains_key(&contract) && Session::trading_at(at).is_some()
    }

    fn contracts(&self) -> &[usize] {
        self.lanes.contracts()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::{FeedEvent, Side};
    use crate::market::session::SECOND;
    use std::collections::BTreeMap;

    /// 2026-11-24 08:25 Chicago, a Tuesday.
    const START: i64 = 1_795_530_300_000_000_000;

    fn model(seed: u64, start: i64) -> Model {
        Model::new(&ContractTable::at(START), seed, start)
    }

    fn index(root: &str) -> usize {
        ContractTable::at(START).by_root(root).unwrap()
    }

    fn events(model: &mut Model, until: i64) -> Vec<Tagged> {
        let mut out = Vec::new();
        model.advance(until, &mut out);
        out
    }

    fn fold_stream(out: &[Tagged], contract: usize, unit: BarUnit) -> Vec<Bar> {
        let mut folder = Folder::new(unit, 1);
        for tagged in out.iter().filter(|tagged| tagged.contract == contract) {
            if let FeedEvent::Print {
                at, ticks, lots, ..
            } = tagged.event
            {
                folder.add_print(at, ticks, lots);
            }
        }
        folder.finish(0, i64::MAX)
    }

    #[test]
    fn one_seed_gives_the_same_events_however_the_clock_is_cut_and_another_seed_gives_others() {
        let whole = events(&mut model(7, START), START + MINUTE);
        let mut cut = model(7, START);
        let mut pieces = Vec::new();
        for second in 0..=60 {
            pieces.extend(events(&mut cut, START + second * SECOND));
        }
        assert!(
            whole == pieces,
            "the same market whatever the size of a step"
        );
        assert!(whole != events(&mut model(8, START), START + MINUTE));
        assert!(whole.is_sorted_by_key(|tagged| tagged.event.at()));
    }

    #[test]
    fn the_stream_rebuilds_the_minutes_of_history_and_begins_where_they_end() {
        for root in ["MNQ", "CL"] {
            let contract = index(root);
            let mut market = model(3, START);
            let before = market.history(contract, BarUnit::Minute, 1, START - 10 * MINUTE, START);
            let out = events(&mut market, START + 5 * MINUTE);
            let streamed = fold_stream(&out, contract, BarUnit::Minute);
            assert_eq!(
                before.last().unwrap().close,
                streamed[0].open,
                "{root} joins without a jump"
            );
            let later = market.history(contract, BarUnit::Minute, 1, START, START + 5 * MINUTE);
            assert_eq!(streamed[..5], later[..]);
            let seconds = market.history(contract, BarUnit::Second, 1, START, START + 2 * MINUTE);
            assert_eq!(
                fold_stream(&out, contract, BarUnit::Second)[..seconds.len()],
                seconds[..]
            );
        }
    }

    #[test]
    fn history_ends_where_the_clock_stands_and_its_forming_bar_holds_what_was_printed() {
        let contract = index("MNQ");
        let mut market = model(3, START);
        let out = events(&mut market, START + 90 * SECOND);
        let bars = market.history(contract, BarUnit::Minute, 1, START, i64::MAX);
        let mut streamed = fold_stream(&out, contract, BarUnit::Minute);
        streamed.retain(|bar| bar.at < START + 2 * MINUTE);
        assert_eq!(bars, streamed);
    }

    #[test]
    fn minutes_hours_and_days_hold_the_same_volume_and_days_begin_with_their_session() {
        let (contract, market) = (index("ES"), model(1, START));
        let to = START - START % (60 * MINUTE);
        let from = Session::trading_at(to - 40 * 24 * 60 * MINUTE)
            .unwrap()
            .open;
        let lots = |unit, number| {
            let bars = market.history(contract, unit, number, from, to);
            (bars.iter().map(|bar| bar.lots).sum::<i64>(), bars.len())
        };
        let (minutes, count) = lots(BarUnit::Minute, 1);
        assert_eq!(minutes, lots(BarUnit::Hour, 1).0);
        assert_eq!(minutes, lots(BarUnit::Minute, 7).0);
        assert_eq!(
            count as i64 % SESSION_MINUTES,
            (to - Session::trading_at(to).unwrap().open) / MINUTE
        );
        let days = market.history(contract, BarUnit::Day, 1, from, to);
        assert_eq!(days.iter().map(|bar| bar.lots).sum::<i64>(), minutes);
        assert!(
            days.iter()
                .all(|bar| Session::trading_at(bar.at).unwrap().open == bar.at)
        );
    }

    #[test]
    fn mini_and_micro_have_one_price_and_every_book_stays_ten_deep_and_uncrossed() {
        let mut market = model(5, START);
        let out = events(&mut market, START + 2 * MINUTE);
        let prices = |root| {
            fold_stream(&out, index(root), BarUnit::Minute)
                .iter()
                .map(|bar| [bar.open, bar.high, bar.low, bar.close])
                .collect::<Vec<_>>()
        };
        assert_eq!(prices("NQ"), prices("MNQ"));
        assert_eq!(prices("ES"), prices("MES"));
        let mut books: BTreeMap<usize, [BTreeMap<i64, i64>; 2]> = BTreeMap::new();
        let (mut one_tick, mut wider) = (0, 0);
        for Tagged { contract, event } in out {
            let book = books.entry(contract).or_default();
            match event {
                FeedEvent::Level {
                    side,
                    ticks,
                    lots: 0,
                    ..
                } => drop(book[side as usize].remove(&ticks)),
                FeedEvent::Level {
                    side, ticks, lots, ..
                } => drop(book[side as usize].insert(ticks, lots)),
                FeedEvent::Clear { .. } => *book = Default::default(),
                FeedEvent::Print {
                    ticks, aggressor, ..
                } => {
                    let (bid, ask) = (
                        *book[0].keys().next_back().unwrap(),
                        *book[1].keys().next().unwrap(),
                    );
                    assert!(bid < ask && book.iter().all(|side| side.len() == 10));
                    assert_eq!(
                        ticks,
                        if aggressor == Some(Side::Bid) {
                            ask
                        } else {
                            bid
                        }
                    );
                    if ask - bid == 1 {
                        one_tick += 1;
                    } else {
                        wider += 1;
                    }
                }
                FeedEvent::SessionOpen { .. } | FeedEvent::SessionClose { .. } => {}
            }
        }
        assert_eq!(books.len(), 6);
        assert!(
            one_tick > 9 * wider,
            "{one_tick} prints in a one-tick market, {wider} in a wider one"
        );
    }

    #[test]
    fn the_market_closes_empties_and_opens_an_hour_later() {
        let session = Session::trading_at(START).unwrap();
        let mut market = model(2, session.close - 5 * SECOND);
        let contract = index("MNQ");
        let out = events(&mut market, session.close + 60 * MINUTE);
        let of_mnq: Vec<FeedEvent> = out
            .iter()
            .filter(|tagged| tagged.contract == contract)
            .map(|tagged| tagged.event)
            .collect();
        let close = of_mnq
            .iter()
            .position(|event| matches!(event, FeedEvent::SessionClose { .. }))
            .unwrap();
        assert_eq!(of_mnq[close], FeedEvent::SessionClose { at: session.close });
        assert_eq!(of_mnq[close + 1], FeedEvent::Clear { at: session.close });
        assert_eq!(
            of_mnq[close + 2],
            FeedEvent::SessionOpen {
                at: session.close + 60 * MINUTE
            }
        );
        assert!(
            market.is_trading(contract, session.close - 1)
                && !market.is_trading(contract, session.close)
        );
    }

    #[test]
    fn the_open_of_the_stock_market_is_many_times_busier_than_the_night() {
        let mnq = index("MNQ");
        let prints = |start| {
            let out = events(&mut model(4, start), start + MINUTE);
            let of_mnq = out.iter().filter(|tagged| tagged.contract == mnq);
            of_mnq
                .filter(|tagged| matches!(tagged.event, FeedEvent::Print { .. }))
                .count()
        };
        let (day, night) = (prints(START + 35 * MINUTE), prints(START - 8 * 60 * MINUTE));
        assert!(
            (600..=2_400).contains(&day) && (10..day / 4).contains(&night),
            "{day} by day, {night} by night"
        );
    }
}
