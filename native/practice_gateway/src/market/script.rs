//! A script: a list of timed quotes, prints and levels, for exact tests.
//!
//! ```json
//! [{"ms": 0, "quote": {"bid": 29480, "bid_lots": 5, "ask": 29480.25, "ask_lots": 7}},
//!  {"ms": 250, "print": {"price": 29480.25, "lots": 2, "side": "buy"}},
//!  {"ms": 250, "contract": "ES", "level": {"side": "bid", "price": 7862, "lots": 40}},
//!  {"ms": 900, "session": "close"}]
//! ```
//!
//! `ms` counts from the start of the clock, in steps pushed at run time from the moment of the push. A step without a
//! `contract` (root, name or id) belongs to MNQ. A quote becomes the best of both sides: levels that would lie inside it or
//! cross it go, deeper ones stay. Other steps: `{"clear": true}`, `{"session": "open"}`. The market trades from the start
//! unless the script itself opens it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;
use serde_json::Number;

use crate::contracts::ContractTable;
use crate::feed::{Bar, BarUnit, FeedEvent, MarketSource, Side, Tagged};

use super::bars::Folder;
use super::records::ticks;

const DEFAULT_CONTRACT: &str = "MNQ";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    ms: u32,
    contract: Option<String>,
    quote: Option<Quote>,
    print: Option<Print>,
    level: Option<Level>,
    session: Option<SessionStep>,
    clear: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Quote {
    bid: Number,
    #[serde(default = "one_lot")]
    bid_lots: u32,
    ask: Number,
    #[serde(default = "one_lot")]
    ask_lots: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Print {
    price: Number,
    lots: u32,
    side: Option<Aggressor>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Level {
    side: BookSide,
    price: Number,
    lots: u32,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum BookSide {
    Bid,
    Ask,
}

impl From<BookSide> for Side {
    fn from(side: BookSide) -> Self {
        match side {
            BookSide::Bid => Side::Bid,
            BookSide::Ask => Side::Ask,
        }
    }
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Aggressor {
    Buy,
    Sell,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum SessionStep {
    Open,
    Close,
}

impl Step {
    /// What the step does at `at`; exactly one of its kinds has to be there.
    fn action(&self, at: i64, tick_nano: i64) -> Result<Action, String> {
        let clear = self.clear.filter(|clear| *clear);
        match (&self.quote, &self.print, &self.level, self.session, clear) {
            (Some(quote), None, None, None, None) => quote.action(tick_nano),
            (None, Some(print), None, None, None) => {
                let aggressor = print.side.map(|side| match side {
                    Aggressor::Buy => Side::Bid,
                    Aggressor::Sell => Side::Ask,
                });
                let (ticks, lots) = (on_grid(&print.price, tick_nano)?, print.lots.into());
                Ok(Action::Event(FeedEvent::Print {
                    at,
                    ticks,
                    lots,
                    aggressor,
                }))
            }
            (None, None, Some(level), None, None) => {
                let (ticks, lots) = (on_grid(&level.price, tick_nano)?, level.lots.into());
                Ok(Action::Event(FeedEvent::Level {
                    at,
                    side: level.side.into(),
                    ticks,
                    lots,
                }))
            }
            (None, None, None, Some(SessionStep::Open), None) => {
                Ok(Action::Event(FeedEvent::SessionOpen { at }))
            }
            (None, None, None, Some(SessionStep::Close), None) => {
                Ok(Action::Event(FeedEvent::SessionClose { at }))
            }
            (None, None, None, None, Some(_)) => Ok(Action::Event(FeedEvent::Clear { at })),
            _ => Err("exactly one of quote, print, level, session and clear is expected.".into()),
        }
    }
}

impl Quote {
    fn action(&self, tick_nano: i64) -> Result<Action, String> {
        let (bid, ask) = (
            on_grid(&self.bid, tick_nano)?,
            on_grid(&self.ask, tick_nano)?,
        );
        if ask <= bid {
            return Err(format!("bid {} is not below ask {}.", self.bid, self.ask));
        }
        let (bid_lots, ask_lots) = (self.bid_lots.into(), self.ask_lots.into());
        Ok(Action::Quote {
            bid,
            bid_lots,
            ask,
            ask_lots,
        })
    }
}

fn on_grid(price: &Number, tick_nano: i64) -> Result<i64, String> {
    ticks(&price.to_string(), tick_nano)
}

fn one_lot() -> u32 {
    1
}

/// One thing a step does, prices already on the grid.
#[derive(Clone, Copy)]
enum Action {
    Quote {
        bid: i64,
        bid_lots: i64,
        ask: i64,
        ask_lots: i64,
    },
    Event(FeedEvent),
}

struct Timed {
    at: i64,
    contract: usize,
    action: Action,
}

/// A market that does exactly what its script says.
pub struct Script {
    table: ContractTable,
    contracts: Vec<usize>,
    steps: Vec<Timed>,
    next: usize,
    start: i64,
    /// Time the stream has reached.
    now: i64,
    /// Contracts whose session the script opens itself.
    self_opened: BTreeSet<usize>,
    /// Visible prices of both sides, by contract.
    books: BTreeMap<usize, [BTreeMap<i64, i64>; 2]>,
    opens_pending: Vec<usize>,
}

impl Script {
    /// Reads a script file; its clock begins at `start`, UTC ns.
    ///
    /// # Errors
    /// Names the file and the step that cannot be played.
    pub fn open(path: &Path, table: &ContractTable, start: i64) -> Result<Self, String> {
        let name = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("Cannot read {name}: {error}."))?;
        Self::parse(&text, table, start).map_err(|reason| format!("{name}: {reason}"))
    }

    /// A script from its JSON text.
    ///
    /// # Errors
    /// Names the step that cannot be played.
    pub fn parse(json: &str, table: &ContractTable, start: i64) -> Result<Self, String> {
        let mut script = Self {
            table: table.clone(),
            contracts: Vec::new(),
            steps: Vec::new(),
            next: 0,
            start,
            now: start,
            self_opened: BTreeSet::new(),
            books: BTreeMap::new(),
            opens_pending: Vec::new(),
        };
        script.push(json)?;
        if script.contracts.is_empty() {
            let default = script.contract_named(None)?;
            script.contracts.push(default);
        }
        script.opens_pending = script.open_from_start();
        Ok(script)
    }

    /// Appends steps whose `ms` count from now. Nothing is appended when one of them is wrong.
    ///
    /// # Errors
    /// Names the step that cannot be played.
    pub fn push(&mut self, json: &str) -> Result<(), String> {
        let steps: Vec<Step> =
            serde_json::from_str(json).map_err(|error| format!("Not a list of steps: {error}."))?;
        let mut timed = Vec::with_capacity(steps.len());
        for (index, step) in steps.iter().enumerate() {
            timed.push(
                self.timed(step)
                    .map_err(|reason| format!("step {index}: {reason}"))?,
            );
        }
        for step in &timed {
            if !self.contracts.contains(&step.contract) {
                self.contracts.push(step.contract);
            }
            if matches!(step.action, Action::Event(FeedEvent::SessionOpen { .. })) {
                self.self_opened.insert(step.contract);
            }
        }
        self.steps.extend(timed);
        // Stable, so that steps of one time keep the order in which they were written.
        self.steps[self.next..].sort_by_key(|step| step.at);
        Ok(())
    }

    fn open_from_start(&self) -> Vec<usize> {
        self.contracts
            .iter()
            .copied()
            .filter(|contract| !self.self_opened.contains(contract))
            .collect()
    }

    fn contract_named(&self, name: Option<&str>) -> Result<usize, String> {
        let name = name.unwrap_or(DEFAULT_CONTRACT);
        let known = |contract: &crate::contracts::Contract| {
            [contract.root, &contract.name, &contract.id].contains(&name)
        };
        let found = self.table.all().iter().position(known);
        found.ok_or_else(|| {
            format!("contract {name:?} is not listed; a root, a name or an id is expected.")
        })
    }

    fn timed(&self, step: &Step) -> Result<Timed, String> {
        let contract = self.contract_named(step.contract.as_deref())?;
        let at = self.now + i64::from(step.ms) * 1_000_000;
        let action = step.action(at, self.table.get(contract).tick_nano)?;
        Ok(Timed {
            at,
            contract,
            action,
        })
    }
    fn play(&mut self, index: usize, out: &mut Vec<Tagged>) {
        let Timed {
            at,
            contract,
            action,
        } = self.steps[index];
        match action {
            Action::Quote {
                bid,
                bid_lots,
                ask,
                ask_lots,
            } => {
                self.quote(at, contract, [bid, ask], out);
                self.event(
                    contract,
                    FeedEvent::Level {
                        at,
                        side: Side::Bid,
                        ticks: bid,
                        lots: bid_lots,
                    },
                    out,
                );
                self.event(
                    contract,
                    FeedEvent::Level {
                        at,
                        side: Side::Ask,
                        ticks: ask,
                        lots: ask_lots,
                    },
                    out,
                );
            }
            Action::Event(event) => self.event(contract, event, out),
        }
    }

    /// Takes away what lies above the new bid among bids and below the new ask among asks.
    fn quote(&mut self, at: i64, contract: usize, [bid, ask]: [i64; 2], out: &mut Vec<Tagged>) {
        let [bids, asks] = self.books.entry(contract).or_default();
        let gone_bids = bids.range(bid + 1..).map(|(ticks, _)| (Side::Bid, *ticks));
        let gone_asks = asks.range(..ask).map(|(ticks, _)| (Side::Ask, *ticks));
        let gone: Vec<(Side, i64)> = gone_bids.chain(gone_asks).collect();
        for (side, ticks) in gone {
            self.event(
                contract,
                FeedEvent::Level {
                    at,
                    side,
                    ticks,
                    lots: 0,
                },
                out,
            );
        }
    }

    fn event(&mut self, contract: usize, event: FeedEvent, out: &mut Vec<Tagged>) {
        let book = self.books.entry(contract).or_default();
        match event {
            FeedEvent::Level {
                side,
                ticks,
                lots: 0,
                ..
            } => {
                book[side as usize].remove(&ticks);
            }
            FeedEvent::Level {
                side, ticks, lots, ..
            } => {
                book[side as usize].insert(ticks, lots);
            }
            FeedEvent::Clear { .. } => *book = Default::default(),
            FeedEvent::Print { .. }
            | FeedEvent::SessionOpen { .. }
            | FeedEvent::SessionClose { .. } => {}
        }
        out.push(Tagged { contract, event });
    }
}

impl MarketSource for Script {
    fn push(&mut self, steps: &str) -> Result<(), String> {
        Script::push(self, steps)
    }

    fn advance(&mut self, until: i64, out: &mut Vec<Tagged>) -> Option<i64> {
        if until >= self.start {
            for contract in std::mem::take(&mut self.opens_pending) {
                out.push(Tagged {
                    contract,
                    event: FeedEvent::SessionOpen { at: self.start },
                });
            }
        }
        while self
            .steps
            .get(self.next)
            .is_some_and(|step| step.at <= until)
        {
            self.play(self.next, out);
            self.next += 1;
        }
        self.now = self.now.max(until);
        self.steps.get(self.next).map(|step| step.at)
    }

    fn start_time(&self) -> i64 {
        self.start
    }

    fn seek(&mut self, to: i64) -> Result<(), String> {
        self.books.clear();
        self.next = 0;
        let mut replayed = Vec::new();
        while self.steps.get(self.next).is_some_and(|step| step.at < to) {
            self.play(self.next, &mut replayed);
            self.next += 1;
        }
        self.now = to;
        let mut levels = Vec::new();
        for (&contract, [bids, asks]) in &self.books {
            levels.push(Timed {
                at: to,
                contract,
                action: Action::Event(FeedEvent::Clear { at: to }),
            });
            let sides = [(Side::Bid, bids), (Side::Ask, asks)];
            let shown = sides
                .into_iter()
                .flat_map(|(side, levels)| levels.iter().map(move |level| (side, level)));
            for (side, (&ticks, &lots)) in shown {
                levels.push(Timed {
                    at: to,
                    contract,
                    action: Action::Event(FeedEvent::Level {
                        at: to,
                        side,
                        ticks,
                        lots,
                    }),
                });
            }
        }
        self.steps.splice(self.next..self.next, levels);
        Ok(())
    }

    fn history(&self, contract: usize, unit: BarUnit, number: u32, from: i64, to: i64) -> Vec<Bar> {
        let mut folder = Folder::new(unit, number);
        for step in self.steps[..self.next]
            .iter()
            .filter(|step| step.contract == contract && step.at < to)
        {
            if let Action::Event(FeedEvent::Print {
                at, ticks, lots, ..
            }) = step.action
            {
                folder.add_print(at, ticks, lots);
            }
        }
        folder.finish(from, to)
    }

    fn is_trading(&self, contract: usize, at: i64) -> bool {
        let mut is_open = !self.self_opened.contains(&contract);
        for step in self
            .steps
            .iter()
            .filter(|step| step.contract == contract && step.at <= at)
        {
            match step.action {
                Action::Event(FeedEvent::SessionOpen { .. }) => is_open = true,
                Action::Event(FeedEvent::SessionClose { .. }) => is_open = false,
                _ => {}
            }
        }
        is_open && self.contracts.contains(&contract)
    }

    fn contracts(&self) -> &[usize] {
        &self.contracts
    }

    fn push_script(&mut self, json: &str) -> Result<(), String> {
        self.push(json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_795_500_000_000_000_000;
    const MS: i64 = 1_000_000;

    fn script(json: &str) -> Script {
        Script::parse(json, &ContractTable::at(START), START).unwrap()
    }

    fn refusal(json: &str) -> String {
        Script::parse(json, &ContractTable::at(START), START)
            .err()
            .unwrap()
    }

    fn events_until(script: &mut Script, ms: i64) -> Vec<FeedEvent> {
        let mut out = Vec::new();
        script.advance(START + ms * MS, &mut out);
        out.into_iter().map(|tagged| tagged.event).collect()
    }

    #[test]
    fn steps_come_at_their_millisecond_and_in_their_written_order() {
        let mut script = script(
            r#"[{"ms": 5, "print": {"price": 29480.25, "lots": 2, "side": "buy"}},
                {"ms": 0, "level": {"side": "bid", "price": 29480, "lots": 3}},
                {"ms": 5, "print": {"price": 29480, "lots": 1, "side": "sell"}}]"#,
        );
        let first = events_until(&mut script, 4);
        assert_eq!(first[0], FeedEvent::SessionOpen { at: START });
        assert_eq!(
            first[1],
            FeedEvent::Level {
                at: START,
                side: Side::Bid,
                ticks: 117_920,
                lots: 3
            }
        );
        let at = START + 5 * MS;
        assert_eq!(
            events_until(&mut script, 5),
            [
                FeedEvent::Print {
                    at,
                    ticks: 117_921,
                    lots: 2,
                    aggressor: Some(Side::Bid)
                },
                FeedEvent::Print {
                    at,
                    ticks: 117_920,
                    lots: 1,
                    aggressor: Some(Side::Ask)
                },
            ]
        );
    }

    #[test]
    fn a_quote_removes_the_levels_it_would_cross_and_keeps_deeper_ones() {
        let mut script = script(
            r#"[{"ms": 0, "quote": {"bid": 100, "ask": 100.25}}, {"ms": 1, "quote": {"bid": 99.5, "ask": 100, "ask_lots": 4}}]"#,
        );
        events_until(&mut script, 0);
        let at = START + MS;
        assert_eq!(
            events_until(&mut script, 1),
            [
                FeedEvent::Level {
                    at,
                    side: Side::Bid,
                    ticks: 400,
                    lots: 0
                },
                FeedEvent::Level {
                    at,
                    side: Side::Bid,
                    ticks: 398,
                    lots: 1
                },
                FeedEvent::Level {
                    at,
                    side: Side::Ask,
                    ticks: 400,
                    lots: 4
                },
            ]
        );
    }

    #[test]
    fn pushed_steps_count_from_the_moment_of_the_push() {
        let mut script = script("[]");
        events_until(&mut script, 700);
        script
            .push_script(r#"[{"ms": 50, "print": {"price": 29480, "lots": 1}}]"#)
            .unwrap();
        assert!(events_until(&mut script, 749).is_empty());
        let print = FeedEvent::Print {
            at: START + 750 * MS,
            ticks: 117_920,
            lots: 1,
            aggressor: None,
        };
        assert_eq!(events_until(&mut script, 750), [print]);
        let bar = script.history(script.contracts[0], BarUnit::Minute, 1, 0, i64::MAX)[0];
        assert_eq!((bar.close, bar.lots), (117_920, 1));
    }

    #[test]
    fn a_wrong_step_is_refused_by_its_number_and_nothing_of_the_push_stays() {
        let mut script = script("[]");
        let push = r#"[{"ms": 0, "print": {"price": 1, "lots": 1}}, {"ms": 0, "print": {"price": 1.1, "lots": 1}}]"#;
        let refused = script.push_script(push).unwrap_err();
        assert_eq!(
            refused,
            "step 1: price 1.1 is not on the grid of 0.25 points."
        );
        assert!(script.steps.is_empty());
        assert!(refusal(r#"[{"ms": 0}]"#).contains("exactly one of"));
        assert!(
            refusal(r#"[{"ms": 0, "quote": {"bid": 2, "ask": 2}}]"#)
                .contains("bid 2 is not below ask 2")
        );
        assert!(
            refusal(r#"[{"ms": 0, "contract": "XX", "clear": true}]"#)
                .contains("\"XX\" is not listed")
        );
    }

    #[test]
    fn a_script_that_opens_the_session_itself_does_not_trade_before() {
        let script = script(r#"[{"ms": 10, "session": "open"}, {"ms": 20, "session": "close"}]"#);
        let trading =
            [0, 10, 19, 20].map(|ms| script.is_trading(script.contracts[0], START + ms * MS));
        assert_eq!(trading, [false, true, true, false]);
    }

    #[test]
    fn a_bar_that_is_open_at_the_end_asked_for_holds_nothing_printed_later() {
        let mut script = script(
            r#"[{"ms": 10, "print": {"price": 100, "lots": 3}}, {"ms": 20, "print": {"price": 101, "lots": 4}}]"#,
        );
        events_until(&mut script, 30);
        let contract = script.contracts[0];
        let lots = |to| -> Vec<i64> {
            let bars = script.history(contract, BarUnit::Minute, 1, 0, START + to * MS);
            bars.iter().map(|bar| bar.lots).collect()
        };
        assert_eq!([lots(10), lots(20), lots(21)], [vec![], vec![3], vec![7]]);
    }

    #[test]
    fn a_seek_shows_the_levels_in_force_there() {
        let mut script = script(
            r#"[{"ms": 0, "quote": {"bid": 100, "ask": 101}}, {"ms": 9, "level": {"side": "bid", "price": 100, "lots": 8}}]"#,
        );
        events_until(&mut script, 20);
        script.seek(START + 5 * MS).unwrap();
        let at = START + 5 * MS;
        assert_eq!(
            events_until(&mut script, 5),
            [
                FeedEvent::Clear { at },
                FeedEvent::Level {
                    at,
                    side: Side::Bid,
                    ticks: 400,
                    lots: 1
                },
                FeedEvent::Level {
                    at,
                    side: Side::Ask,
                    ticks: 404,
                    lots: 1
                },
            ]
        );
        assert_eq!(events_until(&mut script, 9).len(), 1);
    }
}
