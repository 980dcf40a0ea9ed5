//! From a bar to prints: a believable path inside open, high, low and close, with exactly the bar's volume.
//!
//! The path is drawn first, on a grid of time, so that a mini and its micro can print along the same one; each contract
//! then has its own times and sizes. The first print is the open, the last the close, and high and low are touched.

use crate::feed::{Bar, Side};

use super::dice::Dice;

/// Grid points of a path; a minute has four a second.
const POINTS: usize = 240;

/// One trade to come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Print {
    pub at: i64,
    pub ticks: i64,
    pub lots: i64,
    /// `None` where a recording is to be left as it is.
    pub aggressor: Option<Side>,
}

impl Print {
    /// Best bid after this print in a book one tick wide, when it was `bid` before.
    pub fn bid_after(&self, bid: i64) -> i64 {
        match self.aggressor {
            Some(Side::Ask) => self.ticks,
            None if self.ticks <= bid => self.ticks,
            Some(Side::Bid) | None => self.ticks - 1,
        }
    }
}

/// The price of one bar through its time, in ticks.
pub struct Path {
    points: Vec<i64>,
    low: i64,
    high: i64,
    /// Prices that must be printed, with their place on the grid, in order.
    waypoints: Vec<(usize, i64)>,
}

impl Path {
    /// Draws a path through the bar.
    pub fn through(bar: &Bar, dice: &mut Dice) -> Self {
        let waypoints = waypoints(bar, dice);
        let mut points = vec![bar.open; POINTS];
        for leg in waypoints.windows(2) {
            draw_leg(&mut points, leg[0], leg[1], (bar.low, bar.high), dice);
        }
        Self {
            points,
            low: bar.low,
            high: bar.high,
            waypoints,
        }
    }

    /// Prints along the path: about `count` of them, `lots` contracts in all, within `length` ns from `from`.
    pub fn prints(
        &self,
        from: i64,
        length: i64,
        count: usize,
        lots: i64,
        dice: &mut Dice,
    ) -> Vec<Print> {
        let fewest = self.waypoints.len();
        // A vendor's bar can show four prices on fewer contracts; the prices win and some prints have no lots.
        let count = count.min(usize::try_from(lots).unwrap_or(0)).max(fewest);
        let times = clustered_times(from, length, count, dice);
        let sizes = sizes(count, lots, dice);
        let mut prices: Vec<i64> = times
            .iter()
            .map(|at| self.near(*at - from, length, dice))
            .collect();
        for (index, ticks) in self.pinned(count) {
            prices[index] = ticks;
        }
        let mut bid = self.points[0];
        let prints = times.into_iter().zip(sizes).zip(prices);
        prints
            .map(|((at, lots), ticks)| Print {
                at,
                ticks,
                lots,
                aggressor: Some(aggressor(&mut bid, ticks)),
            })
            .collect()
    }

    /// A price at the path or a tick beside it.
    fn near(&self, since: i64, length: i64, dice: &mut Dice) -> i64 {
        let place = (i128::from(since) * POINTS as i128 / i128::from(length.max(1))) as usize;
        let bounce = i64::from(dice.chance(0.45));
        (self.points[place.min(POINTS - 1)] + bounce).clamp(self.low, self.high)
    }

    /// Which of `count` prints carry the waypoints: spread like the path, each on a print of its own.
    fn pinned(&self, count: usize) -> Vec<(usize, i64)> {
        let total = self.waypoints.len();
        let mut least = 0;
        let mut pinned = Vec::with_capacity(total);
        for (order, (place, ticks)) in self.waypoints.iter().enumerate() {
            let wanted = place * (count - 1) / (POINTS - 1);
            let index = wanted.max(least).min(count - (total - order));
            pinned.push((index, *ticks));
            least = index + 1;
        }
        pinned
    }
}

/// Who must have crossed the spread for a print at `ticks`, with a one-tick spread above `bid` that follows the prints.
pub fn aggressor(bid: &mut i64, ticks: i64) -> Side {
    if ticks > *bid {
        *bid = ticks - 1;
        Side::Bid
    } else {
        *bid = ticks;
        Side::Ask
    }
}

/// Open, the extremes that neither open nor close touches, in a likely order, close; one point for a flat bar.
fn waypoints(bar: &Bar, dice: &mut Dice) -> Vec<(usize, i64)> {
    let low_first = dice.chance(if bar.close >= bar.open { 0.72 } else { 0.28 });
    let extremes = if low_first {
        [bar.low, bar.high]
    } else {
        [bar.high, bar.low]
    };
    let first = 1 + dice.below(POINTS / 2 - 1);
    let second = first + 1 + dice.below(POINTS - 2 - first);
    if bar.high == bar.low {
        return vec![(0, bar.open)];
    }
    let inside = [(first, extremes[0]), (second, extremes[1])];
    let missing = inside
        .into_iter()
        .filter(|(_, ticks)| *ticks != bar.open && *ticks != bar.close);
    std::iter::once((0, bar.open))
        .chain(missing)
        .chain([(POINTS - 1, bar.close)])
        .collect()
}

/// Walks from one waypoint to the next, pulled to its end and kept inside the bar.
fn draw_leg(
    points: &mut [i64],
    from: (usize, i64),
    to: (usize, i64),
    limits: (i64, i64),
    dice: &mut Dice,
) {
    let steps = to.0 - from.0;
    let roughness = 0.5 + (limits.1 - limits.0) as f64 / (POINTS as f64).sqrt();
    let mut price = from.1 as f64;
    for step in 0..steps {
        let pull = (to.1 as f64 - price) / (steps - step) as f64;
        price = (price + pull + roughness * 0.6 * dice.normal())
            .clamp(limits.0 as f64, limits.1 as f64);
        points[from.0 + step] = price.round() as i64;
    }
    points[from.0] = from.1;
    points[to.0..].fill(to.1);
}

/// Times that come in bursts, as trades do: more than half follow another within a small part of the mean gap.
fn clustered_times(from: i64, length: i64, count: usize, dice: &mut Dice) -> Vec<i64> {
    let mut elapsed = 0.0;
    let mut marks = Vec::with_capacity(count);
    for _ in 0..count {
        let gap = dice.exponential();
        elapsed += if dice.chance(0.55) {
            gap * 0.06
        } else {
            gap * 2.1
        };
        marks.push(elapsed);
    }
    let scale = length as f64 / (elapsed + dice.exponential());
    marks
        .into_iter()
        .map(|mark| from + ((mark * scale) as i64).min(length - 1))
        .collect()
}

/// `count` sizes with a long tail that sum to `lots` exactly.
fn sizes(count: usize, lots: i64, dice: &mut Dice) -> Vec<i64> {
    let floor = i64::from(lots >= count as i64);
    let weights: Vec<f64> = (0..count).map(|_| dice.exponential().powi(2)).collect();
    let total: f64 = weights.iter().sum::<f64>().max(f64::MIN_POSITIVE);
    let spare = (lots - floor * count as i64).max(0);
    let mut sizes: Vec<i64> = weights
        .iter()
        .map(|weight| floor + (spare as f64 * weight / total) as i64)
        .collect();
    let mut missing = lots - sizes.iter().sum::<i64>();
    let mut index = dice.below(count);
    while missing > 0 {
        sizes[index % count] += 1;
        missing -= 1;
        index += 1;
    }
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn prints_rebuild_their_bar_exactly(
            seed: u64, mut prices in prop::array::uniform4(-40..40_i64), lots in 0..3_000_i64, count in 0..400_usize,
        ) {
            prices.sort_unstable();
            let [low, first, second, high] = prices;
            let (open, close) = if seed % 2 == 0 { (first, second) } else { (second, first) };
            let bar = Bar { at: 1_000, open, high, low, close, lots };
            let mut dice = Dice::of(&[seed]);
            let prints = Path::through(&bar, &mut dice).prints(1_000, 60_000, count, lots, &mut dice);
            prop_assert!(prints.is_sorted_by_key(|print| print.at));
            prop_assert!(prints.iter().all(|print| (1_000..61_000).contains(&print.at) && print.lots >= 0));
            prop_assert_eq!(prints.iter().map(|print| print.lots).sum::<i64>(), lots);
            prop_assert_eq!((prints[0].ticks, prints[prints.len() - 1].ticks), (open, close));
            let touched: Vec<i64> = prints.iter().map(|print| print.ticks).collect();
            prop_assert_eq!((touched.iter().max(), touched.iter().min()), (Some(&high), Some(&low)));
        }
    }
}
