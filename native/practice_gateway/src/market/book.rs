//! A made-up book of ten levels a side around a stream of prints: tick-true, never crossed, mostly one tick wide.

use std::collections::VecDeque;

use crate::feed::{FeedEvent, Side};

use super::dice::Dice;
use super::weave::Print;

/// Levels shown on each side.
pub const DEPTH: usize = 10;
/// Steps a book walks to follow a print; a longer jump draws a new book.
const LONGEST_WALK: i64 = 40;

/// How much a contract shows.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct BookStyle {
    /// Typical lots at the best price.
    pub top_lots: f64,
    /// Typical lots at the tenth level as a multiple of the best.
    pub deepening: f64,
}

/// The book of one contract.
pub struct SyntheticBook {
    style: BookStyle,
    sides: [Ladder; 2],
}

/// One side: sizes from the best price outwards.
struct Ladder {
    side: Side,
    best: i64,
    lots: VecDeque<i64>,
}

impl Ladder {
    /// +1 where better means higher.
    fn better(&self) -> i64 {
        if self.side == Side::Bid { 1 } else { -1 }
    }

    fn price(&self, depth: usize) -> i64 {
        self.best - self.better() * depth as i64
    }

    fn level(&self, at: i64, depth: usize) -> FeedEvent {
        FeedEvent::Level {
            at,
            side: self.side,
            ticks: self.price(depth),
            lots: self.lots[depth],
        }
    }

    fn gone(&self, at: i64, depth: usize) -> FeedEvent {
        FeedEvent::Level {
            at,
            side: self.side,
            ticks: self.price(depth),
            lots: 0,
        }
    }
}

impl SyntheticBook {
    /// A book one tick wide with this best bid; says so as `Clear` and levels.
    pub fn around(
        bid: i64,
        at: i64,
        style: BookStyle,
        dice: &mut Dice,
        out: &mut Vec<FeedEvent>,
    ) -> Self {
        let mut ladder = |side, best| {
            let lots = (0..DEPTH).map(|depth| style.draw(depth, dice)).collect();
            Ladder { side, best, lots }
        };
        let book = Self {
            style,
            sides: [ladder(Side::Bid, bid), ladder(Side::Ask, bid + 1)],
        };
        out.push(FeedEvent::Clear { at });
        for ladder in &book.sides {
            out.extend((0..DEPTH).map(|depth| ladder.level(at, depth)));
        }
        book
    }

    /// Moves so that `print` can trade, prints it, and takes its lots off the level.
    pub fn follow(&mut self, print: &Print, dice: &mut Dice, out: &mut Vec<FeedEvent>) {
        let Print {
            at,
            ticks,
            lots,
            aggressor,
        } = *print;
        let taken = aggressor.map_or_else(|| self.nearer_side(ticks), Side::opposite);
        let bid = if taken == Side::Bid { ticks } else { ticks - 1 };
        if (bid - self.sides[0].best).abs() > LONGEST_WALK {
            *self = Self::around(bid, at, self.style, dice, out);
        } else {
            self.walk_to(bid, at, dice, out);
        }
        out.push(FeedEvent::Print {
            at,
            ticks,
            lots,
            aggressor,
        });
        let ladder = &mut self.sides[taken as usize];
        // The prints decide where the price goes; a level that holds is refilled by somebody who has waited for that.
        let left = ladder.lots[0] - lots;
        ladder.lots[0] = if left > 0 {
            left
        } else {
            1 + dice.below(self.style.top_lots as usize / 3 + 1) as i64
        };
        out.push(ladder.level(at, 0));
    }

    /// One change that no trade causes: somebody joins or leaves, sometimes the best price for a moment.
    pub fn stir(&mut self, at: i64, dice: &mut Dice, out: &mut Vec<FeedEvent>) {
        if self.is_wide() {
            return self.walk_to(self.sides[0].best, at, dice, out);
        }
        let side = dice.below(2);
        if side == 1 && dice.chance(0.03) {
            return self.drop_best(1, at, dice, out);
        }
        let depth = ((dice.unit().powf(1.6)) * DEPTH as f64) as usize;
        let typical = self.style.typical(depth);
        let lots = &mut self.sides[side].lots[depth];
        let change = typical * 0.18 * dice.normal() + (typical - *lots as f64) * 0.12;
        let moved = (*lots + (change.round() as i64)).max(1);
        *lots = if moved == *lots { moved + 1 } else { moved };
        out.push(self.sides[side].level(at, depth));
    }

    fn is_wide(&self) -> bool {
        self.sides[1].best - self.sides[0].best > 1
    }

    fn nearer_side(&self, ticks: i64) -> Side {
        if ticks <= self.sides[0].best {
            Side::Bid
        } else {
            Side::Ask
        }
    }

    /// Best bid to `bid` and best ask one above it, without crossing on the way.
    fn walk_to(&mut self, bid: i64, at: i64, dice: &mut Dice, out: &mut Vec<FeedEvent>) {
        while self.sides[1].best <= bid {
            self.drop_best(1, at, dice, out);
        }
        while self.sides[0].best > bid {
            self.drop_best(0, at, dice, out);
        }
        while self.sides[0].best < bid {
            self.improve(0, at, dice, out);
        }
        while self.sides[1].best > bid + 1 {
            self.improve(1, at, dice, out);
        }
    }

    /// The best level goes and a tenth comes into view.
    fn drop_best(&mut self, side: usize, at: i64, dice: &mut Dice, out: &mut Vec<FeedEvent>) {
        let ladder = &mut self.sides[side];
        out.push(ladder.gone(at, 0));
        ladder.lots.pop_front();
        ladder.lots.push_back(self.style.draw(DEPTH - 1, dice));
        ladder.best -= ladder.better();
        out.push(ladder.level(at, DEPTH - 1));
    }

    /// A new best level comes and the tenth leaves the view.
    fn improve(&mut self, side: usize, at: i64, dice: &mut Dice, out: &mut Vec<FeedEvent>) {
        let ladder = &mut self.sides[side];
        out.push(ladder.gone(at, DEPTH - 1));
        ladder.lots.pop_back();
        // A price that was just reached starts thin.
        ladder
            .lots
            .push_front((self.style.draw(0, dice) * 2 / 3).max(1));
        ladder.best += ladder.better();
        out.push(ladder.level(at, 0));
    }
}

impl BookStyle {
    fn typical(self, depth: usize) -> f64 {
        self.top_lots * (1.0 + (self.deepening - 1.0) * (depth as f64 / (DEPTH - 1) as f64).sqrt())
    }

    fn draw(self, depth: usize, dice: &mut Dice) -> i64 {
        let spread = (0.45 * dice.normal()).exp();
        ((self.typical(depth) * spread).round() as i64).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn the_book_has_ten_levels_a_side_and_is_never_crossed(
            seed: u64, moves in prop::collection::vec((-60..60_i64, 1..40_i64, 0..3_u8), 1..80),
        ) {
            let style = BookStyle { top_lots: 6.0, deepening: 3.0 };
            let (mut dice, mut out) = (Dice::of(&[seed]), Vec::new());
            let mut book = SyntheticBook::around(1_000, 0, style, &mut dice, &mut out);
            let mut shown = [BTreeMap::new(), BTreeMap::new()];
            let mut ticks = 1_000;
            for (step, lots, kind) in moves {
                ticks += if kind == 0 { step } else { step % 3 };
                let aggressor = [None, Some(Side::Bid), Some(Side::Ask)][usize::from(kind)];
                book.follow(&Print { at: 0, ticks, lots, aggressor }, &mut dice, &mut out);
                book.stir(0, &mut dice, &mut out);
                for event in out.drain(..) {
                    match event {
                        FeedEvent::Clear { .. } => shown = Default::default(),
                        FeedEvent::Level { side, ticks, lots: 0, .. } => { shown[side as usize].remove(&ticks); }
                        FeedEvent::Level { side, ticks, lots, .. } => { shown[side as usize].insert(ticks, lots); }
                        _ => {}
                    }
                }
                prop_assert_eq!((shown[0].len(), shown[1].len()), (DEPTH, DEPTH));
                let (bid, ask) = (shown[0].keys().next_back(), shown[1].keys().next());
                prop_assert!(bid < ask, "{:?} {:?}", bid, ask);
                prop_assert!(shown.iter().all(|side| side.values().all(|lots| *lots > 0)));
            }
        }
    }
}
