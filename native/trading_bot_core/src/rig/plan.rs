//! A life before it is lived: rates of trouble and the acts of people and fate, drawn from one seed.
//!
//! A plan is data, so that a failing one can be made smaller: a rate goes to zero, an act is left out, and the life is
//! lived again.

use super::dice::Dice;
use super::faults::Fault;

pub const MILLI: u64 = 1_000_000;
pub const SECOND: u64 = 1_000 * MILLI;

/// What somebody does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Deed {
    Limit,
    Market,
    StopEntry,
    Bracket,
    DoubleClick,
    ModifyPrice,
    ModifySize,
    Cancel,
    CancelGroup,
    Flatten,
    FlattenTwice,
    Close,
    PartialClose,
    Disarm,
    Halt,
    Reconcile,
    SwitchAccounts,
    LowerLimits,
    /// A tag that was used before, or one of the other kind of endpoint.
    BadTag,
    /// Fate, not a person.
    Trouble(Fault),
}

/// How often each deed comes, of the sum.
const DEEDS: [(Deed, u64); 19] = [
    (Deed::Limit, 300),
    (Deed::Market, 120),
    (Deed::StopEntry, 30),
    (Deed::Bracket, 80),
    (Deed::DoubleClick, 30),
    (Deed::ModifyPrice, 80),
    (Deed::ModifySize, 60),
    (Deed::Cancel, 120),
    (Deed::CancelGroup, 30),
    (Deed::Flatten, 40),
    (Deed::FlattenTwice, 15),
    (Deed::Close, 30),
    (Deed::PartialClose, 30),
    (Deed::Disarm, 8),
    (Deed::Halt, 4),
    (Deed::Reconcile, 8),
    (Deed::SwitchAccounts, 8),
    (Deed::LowerLimits, 8),
    (Deed::BadTag, 8),
];

impl Deed {
    /// The word of reports.
    pub fn name(self) -> String {
        match self {
            Self::Trouble(fault) => fault.name().to_owned(),
            person => format!("{person:?}"),
        }
    }
}

/// One act at its moment; `roll` seeds whatever the act still has to choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Act {
    pub at: u64,
    pub deed: Deed,
    pub roll: u64,
}

/// Everything that is decided before a life begins.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    /// Permille by kind; many lives draw zero, so that rare pairs appear.
    pub rates: [u64; Fault::COUNT],
    pub acts: Vec<Act>,
    /// Faults end here and healing begins.
    pub ends: u64,
    /// A gateway with real money, so that the other kind of tag is refused.
    pub is_live: bool,
    pub max_position_lots: i64,
    /// The broker takes a second order with a known tag, as the protocol does not promise that it would not.
    pub takes_known_tags: bool,
}

impl Plan {
    /// The plan of a seed.
    pub fn draw(seed: u64) -> Self {
        let mut dice = Dice::of(seed, 1);
        let mut rates = [0; Fault::COUNT];
        for fault in Fault::all() {
            let is_on = dice.chance(35);
            let rate = dice.between(1, fault.rate_max());
            if is_on {
                rates[fault as usize] = rate;
            }
        }
        let length = dice.log_uniform(30 * SECOND, 600 * SECOND);
        let pause = dice.log_uniform(SECOND / 2, 8 * SECOND);
        let mut plan = Self {
            seed,
            rates,
            acts: Vec::new(),
            ends: 5 * SECOND + length,
            is_live: dice.chance(10),
            max_position_lots: dice.between(3, 20) as i64,
            takes_known_tags: dice.chance(30),
        };
        plan.draw_acts(&mut dice, pause);
        plan
    }

    /// A life in which nothing goes wrong and nobody acts: for tests that act by hand.
    pub fn quiet(seed: u64) -> Self {
        Self {
            seed,
            rates: [0; Fault::COUNT],
            acts: Vec::new(),
            ends: u64::MAX,
            is_live: false,
            max_position_lots: 20,
            takes_known_tags: false,
        }
    }

    fn draw_acts(&mut self, dice: &mut Dice, pause: u64) {
        let mut at = 4 * SECOND;
        while at < self.ends && self.acts.len() < 80 {
            at += dice.between(1, 2 * pause);
            let trouble = Fault::all().skip(Fault::TIMED.start);
            for fault in trouble {
                if dice.permille(self.rates[fault as usize]) {
                    self.acts.push(Act {
                        at: at + dice.roll(pause),
                        deed: Deed::Trouble(fault),
                        roll: dice.number(),
                    });
                }
            }
            let deed = draw_deed(dice);
            let roll = dice.number();
            self.acts.push(Act { at, deed, roll });
        }
        self.ends = self.ends.min(at + 2 * SECOND);
        self.acts.retain(|act| act.at < self.ends);
        self.acts.sort_by_key(|act| act.at);
    }

    pub fn rate(&self, fault: Fault) -> u64 {
        self.rates[fault as usize]
    }
}

fn draw_deed(dice: &mut Dice) -> Deed {
    let sum = DEEDS.iter().map(|row| row.1).sum();
    let mut left = dice.roll(sum);
    for (deed, weight) in DEEDS {
        if left < weight {
            return deed;
        }
        left -= weight;
    }
    Deed::Limit
}
