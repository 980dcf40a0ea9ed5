//! Streams that are made of prints: the model, and recordings without a book.
//!
//! A supply gives stretches of prints; a lane, one per contract, plays them and dresses them with a made-up book.
//! Stretches are asked for one at a time, so that neither a long file nor an endless model is ever laid out at once.

use std::collections::VecDeque;

use crate::feed::{FeedEvent, Tagged};

use super::book::{BookStyle, SyntheticBook};
use super::dice::Dice;
use super::session::SECOND;
use super::weave::Print;

/// What a lane plays.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Item {
    /// The session opens around this best bid.
    Open {
        at: i64,
        bid: i64,
    },
    Print(Print),
    /// The session closes and the book empties.
    Close {
        at: i64,
    },
}

impl Item {
    fn at(&self) -> i64 {
        match self {
            Self::Open { at, .. } | Self::Close { at } => *at,
            Self::Print(print) => print.at,
        }
    }
}

/// The items of a stretch of time, oldest first.
pub struct Stretch {
    pub items: Vec<Item>,
    /// Where the next stretch begins.
    pub until: i64,
    /// Mean time between two changes of the book that no print causes.
    pub stir_every: i64,
    /// Best bid in force when the stretch begins, if the market trades then.
    pub bid: Option<i64>,
}

/// Where stretches come from.
pub trait Supply: Send {
    /// The stretch that covers `from`, or the first one after it; `None` at the end.
    fn stretch(&self, contract: usize, from: i64) -> Option<Stretch>;
    /// How much the contract shows.
    fn style(&self, contract: usize) -> BookStyle;
}

/// One contract's stream.
pub struct Lane {
    contract: usize,
    style: BookStyle,
    dice: Dice,
    book: Option<SyntheticBook>,
    items: VecDeque<Item>,
    stir_every: i64,
    stir_at: i64,
    /// Where the next stretch begins; `None` once the supply has ended.
    next_from: Option<i64>,
    /// A start or a seek shows this book first.
    resync: Option<(i64, i64)>,
    fresh: Vec<FeedEvent>,
}

impl Lane {
    /// A lane that starts at `from`.
    pub fn new(contract: usize, from: i64, seed: u64, supply: &dyn Supply) -> Self {
        let mut lane = Self {
            contract,
            style: supply.style(contract),
            dice: Dice::of(&[]),
            book: None,
            items: VecDeque::new(),
            stir_every: i64::MAX,
            stir_at: i64::MAX,
            next_from: Some(from),
            resync: None,
            fresh: Vec::new(),
        };
        lane.seek(from, seed, supply);
        lane
    }

    /// Continues from `to`, with the book that belongs there.
    pub fn seek(&mut self, to: i64, seed: u64, supply: &dyn Supply) {
        self.dice = Dice::of(&[seed, self.contract as u64, to as u64]);
        self.items.clear();
        self.book = None;
        self.stir_at = i64::MAX;
        self.next_from = Some(to);
        self.resync = None;
        let Some(mut bid) = self.load(supply) else {
            return;
        };
        let mut is_open = true;
        while let Some(item) = self.items.front().copied().filter(|item| item.at() < to) {
            match item {
                Item::Open { bid: opening, .. } => (bid, is_open) = (opening, true),
                Item::Print(print) => bid = print.bid_after(bid),
                Item::Close { .. } => is_open = false,
            }
            self.items.pop_front();
        }
        let opens_now = self
            .items
            .front()
            .is_some_and(|item| matches!(item, Item::Open { .. }) && item.at() == to);
        self.resync = (is_open && !opens_now).then_some((to, bid));
    }

    /// Takes the next stretch; answers the best bid in force at its begin.
    fn load(&mut self, supply: &dyn Supply) -> Option<i64> {
        let stretch = self
            .next_from
            .and_then(|from| supply.stretch(self.contract, from));
        self.next_from = stretch.as_ref().map(|stretch| stretch.until);
        let stretch = stretch?;
        self.items.extend(stretch.items);
        self.stir_every = stretch.stir_every;
        stretch.bid
    }

    /// Time of the next event.
    pub fn next_time(&mut self, supply: &dyn Supply) -> Option<i64> {
        while self.items.is_empty() && self.next_from.is_some() {
            self.load(supply);
        }
        let item = self.items.front().map(Item::at);
        let stir = item.and(self.book.as_ref()).map(|_| self.stir_at);
        [self.resync.map(|(at, _)| at), item, stir]
            .into_iter()
            .flatten()
            .min()
    }

    /// Everything of the next moment.
    pub fn step(&mut self, at: i64, out: &mut Vec<Tagged>) {
        if let Some((at, bid)) = self.resync.take() {
            self.show(at, bid);
            self.fresh.push(FeedEvent::SessionOpen { at });
        } else if self.book.is_some() && self.stir_at <= at {
            self.stir(self.stir_at);
        } else if let Some(item) = self.items.pop_front() {
            self.play(item);
        }
        let contract = self.contract;
        out.extend(self.fresh.drain(..).map(|event| Tagged { contract, event }));
    }

    fn play(&mut self, item: Item) {
        match item {
            Item::Open { at, bid } => {
                self.fresh.push(FeedEvent::SessionOpen { at });
                self.show(at, bid);
            }
            Item::Print(print) => {
                if self.book.is_none() {
                    // The stream began in a gap of the recording, after the session's open.
                    self.fresh.push(FeedEvent::SessionOpen { at: print.at });
                    self.show(print.at, print.bid_after(print.ticks - 1));
                }
                if let Some(book) = &mut self.book {
                    book.follow(&print, &mut self.dice, &mut self.fresh);
                }
            }
            Item::Close { at } => {
                self.book = None;
                self.fresh
                    .extend([FeedEvent::SessionClose { at }, FeedEvent::Clear { at }]);
            }
        }
    }

    fn show(&mut self, at: i64, bid: i64) {
        self.book = Some(SyntheticBook::around(
            bid,
            at,
            self.style,
            &mut self.dice,
            &mut self.fresh,
        ));
        self.schedule_stir(at);
    }

    fn stir(&mut self, at: i64) {
        if let Some(book) = &mut self.book {
            book.stir(at, &mut self.dice, &mut self.fresh);
        }
        self.schedule_stir(at);
    }

    fn schedule_stir(&mut self, after: i64) {
        // Half of the changes follow another at once: others react to a change of the book.
        let share = if self.dice.chance(0.5) { 0.1 } else { 1.9 };
        // Past the end of the stretch (a gap of the recording) the book only breathes.
        let is_gap = self.next_from.is_none_or(|until| after >= until);
        let every = if is_gap {
            self.stir_every.max(5 * SECOND)
        } else {
            self.stir_every
        };
        let wait = every as f64 * share * self.dice.exponential();
        self.stir_at = after.saturating_add((wait as i64).max(1_000));
    }
}

/// Lanes played together in the order of time.
pub struct Lanes {
    all: Vec<Lane>,
    contracts: Vec<usize>,
    seed: u64,
}

impl Lanes {
    /// One lane per contract, all starting at `from`.
    pub fn new(contracts: &[usize], from: i64, seed: u64, supply: &dyn Supply) -> Self {
        let all = contracts
            .iter()
            .map(|contract| Lane::new(*contract, from, seed, supply))
            .collect();
        Self {
            all,
            contracts: contracts.to_vec(),
            seed,
        }
    }

    /// Indices of the contracts.
    pub fn contracts(&self) -> &[usize] {
        &self.contracts
    }

    /// Everything up to `until`; answers the time of the next event.
    pub fn advance(
        &mut self,
        until: i64,
        supply: &dyn Supply,
        out: &mut Vec<Tagged>,
    ) -> Option<i64> {
        let mut times: Vec<Option<i64>> = self
            .all
            .iter_mut()
            .map(|lane| lane.next_time(supply))
            .collect();
        loop {
            let (at, index) = times
                .iter()
                .enumerate()
                .filter_map(|(index, at)| at.map(|at| (at, index)))
                .min()?;
            if at > until {
                return Some(at);
            }
            self.all[index].step(at, out);
            times[index] = self.all[index].next_time(supply);
        }
    }

    /// Continues from `to`.
    pub fn seek(&mut self, to: i64, supply: &dyn Supply) {
        for lane in &mut self.all {
            lane.seek(to, self.seed, supply);
        }
    }
}
