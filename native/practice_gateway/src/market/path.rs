//! The price of a product through a session, minute by minute: a function of seed, product and trade date alone.
//!
//! A slow curve (value noise of several periods plus a little of each day) says where every session closes, so that any
//! day can be computed without the days before it. Inside the session a random walk runs from one close to the next;
//! its steps follow the activity of the hour, come in calm and busy spells, and lean with trends that last about an
//! hour. Products of one group (ES and NQ) share most of their steps.

use crate::feed::Bar;

use super::dice::Dice;
use super::session::{MINUTE, SESSION_MINUTES, Session, weekday};

/// Random steps inside a minute, from which its high and low come.
const STEPS: usize = 6;

/// A product as the model knows it; mini and micro share it.
#[derive(PartialEq, Debug)]
pub struct Family {
    /// Part of every random key.
    pub key: u64,
    /// Products with the same group move together.
    pub group: u64,
    /// Price around which the curve swings, in points.
    pub level: f64,
    /// Ticks in a point.
    pub ticks_per_point: f64,
    /// Typical move of a day as a fraction of the price.
    pub daily_move: f64,
    /// Minute of the session (from 17:00 Chicago) at which the busy hours begin, and at which they end.
    pub busy: (i64, i64),
}

/// One minute: its bar, without volume, and how busy it is (1.0 = an average minute of the day).
#[derive(Clone, Copy, Debug)]
pub struct Minute {
    pub open: i64,
    pub high: i64,
    pub low: i64,
    pub close: i64,
    pub activity: f64,
}

/// All minutes of one session.
pub struct DayPath {
    pub session: Session,
    pub minutes: Vec<Minute>,
}

impl DayPath {
    /// Computes the session of a family.
    pub fn of(family: &Family, seed: u64, session: Session) -> Self {
        let opening = opening(family, seed, session);
        let target = settle(family, seed, session.day) - opening;
        let steps = Walk::of(family, seed, session.day);
        let (length, end) = (steps.spread_before[steps.moves.len()], steps.total);
        let mut last = (opening * family.ticks_per_point).round() as i64;
        let mut position = 0.0;
        let scale = family.daily_move * opening;
        let mut minutes = Vec::with_capacity(SESSION_MINUTES as usize);
        for (index, activity) in steps.activity.iter().enumerate() {
            let mut minute = Minute {
                open: last,
                high: last,
                low: last,
                close: last,
                activity: *activity,
            };
            for step in index * STEPS..(index + 1) * STEPS {
                position += steps.moves[step];
                // Pulled so that the walk ends at the close, more where the market moves more anyway.
                let pulled =
                    position + (target / scale - end) * steps.spread_before[step + 1] / length;
                minute.close = ((opening + pulled * scale) * family.ticks_per_point).round() as i64;
                minute.high = minute.high.max(minute.close);
                minute.low = minute.low.min(minute.close);
            }
            last = minute.close;
            minutes.push(minute);
        }
        Self { session, minutes }
    }

    /// The bar of a minute with a volume.
    pub fn bar(&self, index: usize, lots: i64) -> Bar {
        let Minute {
            open,
            high,
            low,
            close,
            ..
        } = self.minutes[index];
        Bar {
            at: self.session.open + index as i64 * MINUTE,
            open,
            high,
            low,
            close,
            lots,
        }
    }
}

/// The raw steps of a day, in units of a typical day's move.
struct Walk {
    moves: Vec<f64>,
    /// Sum of the expected squares of all steps before this one.
    spread_before: Vec<f64>,
    total: f64,
    activity: Vec<f64>,
}

impl Walk {
    fn of(family: &Family, seed: u64, day: i64) -> Self {
        let mut shared = Dice::of(&[seed, family.group, 1, day as u64]);
        let mut own = Dice::of(&[seed, family.key, 2, day as u64]);
        let day_mood = (0.3 * shared.normal()).exp();
        let shape = shape(family);
        let (mut spell, mut lean) = (shared.normal() * 0.5, shared.normal());
        let count = shape.len() * STEPS;
        let mut walk = Self {
            moves: Vec::with_capacity(count),
            spread_before: vec![0.0],
            total: 0.0,
            activity: Vec::with_capacity(shape.len()),
        };
        let mut spread = 0.0;
        for share in shape {
            spell = 0.955 * spell + 0.17 * shared.normal();
            lean = 0.985 * lean + 0.17 * shared.normal();
            let mood = spell.exp() * day_mood;
            let deviation = (share / STEPS as f64).sqrt() * mood;
            let surge = (0.28 * own.normal()).exp();
            walk.activity
                .push(share * SESSION_MINUTES as f64 * mood * surge);
            for _ in 0..STEPS {
                let step = deviation * (0.88 * shared.normal() + 0.47 * own.normal() + 0.05 * lean);
                walk.moves.push(step);
                walk.total += step;
                spread += deviation * deviation;
                walk.spread_before.push(spread);
            }
        }
        walk
    }
}

/// Share of the day's variance that falls into each minute; sums to 1.
fn shape(family: &Family) -> Vec<f64> {
    let weights: Vec<f64> = (0..SESSION_MINUTES)
        .map(|minute| weight(family.busy, minute))
        .collect();
    let total: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / total).collect()
}

/// Quiet evening and night, a livelier European morning, a U over the busy hours, and a thin last hour.
fn weight((begin, end): (i64, i64), minute: i64) -> f64 {
    let since = (minute - begin) as f64;
    if minute >= end {
        let after = (minute - end) as f64;
        return 0.10 + 0.5 * (-after / 12.0).exp();
    }
    if minute >= begin {
        let left = (end - minute) as f64;
        return 0.85 + 2.3 * (-since / 28.0).exp() + 1.5 * (-left / 16.0).exp();
    }
    let evening = 0.30 * (-(minute as f64) / 25.0).exp();
    // Frankfurt and London open at 01:00 and 02:00 Chicago: minutes 480 and 540.
    let europe = if minute > 480 {
        0.22 * (1.0 - (-(minute - 480) as f64 / 40.0).exp())
    } else {
        0.0
    };
    let numbers = 0.25 * (since / 20.0).exp();
    0.09 + evening + europe + numbers
}

/// First price of a session in points: the close before it, with a gap that is wider over a weekend.
fn opening(family: &Family, seed: u64, session: Session) -> f64 {
    let before = session
        .previous()
        .map_or(session.day, |previous| previous.day);
    let gap = if weekday(session.day) == 0 {
        0.12
    } else {
        0.025
    };
    let mut dice = Dice::of(&[seed, family.key, 3, session.day as u64]);
    settle(family, seed, before) * (1.0 + family.daily_move * gap * dice.normal())
}

/// Where the session of a date closes, in points.
fn settle(family: &Family, seed: u64, day: i64) -> f64 {
    let mut swing = 0.0;
    for (period, size) in [(4, 0.45), (9, 0.8), (21, 1.2), (55, 1.8)] {
        let shared = value_noise(&[seed, family.group, 4, period as u64], day, period);
        let own = value_noise(&[seed, family.key, 5, period as u64], day, period);
        swing += size * (0.85 * shared + 0.5 * own);
    }
    let daily = Dice::of(&[seed, family.group, 6, day as u64]).normal() * 0.4;
    family.level * (family.daily_move * (swing + daily)).exp()
}

/// A smooth curve through random values that stand `period` days apart, about -1.5 to 1.5.
fn value_noise(keys: &[u64], day: i64, period: i64) -> f64 {
    let knot = |index: i64| {
        let keys: Vec<u64> = keys.iter().copied().chain([index as u64]).collect();
        Dice::of(&keys).normal()
    };
    let (index, along) = (
        day.div_euclid(period),
        day.rem_euclid(period) as f64 / period as f64,
    );
    let eased = along * along * (3.0 - 2.0 * along);
    knot(index) * (1.0 - eased) + knot(index + 1) * eased
}
