//! Position and profit of one account and contract, from its fills (decision 7).
//!
//! The state is a function of the *set* of fills: arrival order and repetition change nothing. Fills fold in the order of
//! their ids. Cost is the exact integer Σ(ticks × lots × tick value) in 1/10,000 dollar; a closing fill of q out of Q
//! takes cost·q/Q, half to even; the fill that flattens takes the remainder, so a flat-to-flat total is exact.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::planted::{Bug, planted};
use crate::types::{Side, divide_half_even};

/// One fill, as journaled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fill {
    pub trade_id: i64,
    pub order_id: i64,
    pub account: i32,
    pub contract: String,
    /// The wire's number: 0 buy, 1 sell.
    pub side: i32,
    pub price: i64,
    pub size: i64,
    pub fees: i64,
    pub time: i64,
    pub voided: bool,
}

impl Fill {
    /// The side as a type.
    pub fn side(&self) -> Side {
        if self.side == 0 {
            Side::Buy
        } else {
            Side::Sell
        }
    }

    /// Lots with the sign of the side.
    pub fn signed(&self) -> i64 {
        self.side().sign().saturating_mul(self.size)
    }
}

/// What taking a fill did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Known already, equal in everything.
    Known,
    New,
    /// The broker changed price, size or fees, or voided it.
    Corrected,
}

/// The position that existed before the first fill we know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opening {
    pub net: i64,
    /// Average price in 1/10,000 tick.
    pub average_1e4: i64,
}

/// Totals after some fills.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub net: i64,
    /// Cost of the open lots, positive for a price above zero on either side, in 1/10,000 dollar.
    pub cost: i128,
    pub realised: i64,
    pub fees: i64,
}

/// All fills of one account and contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    tick_value: i64,
    opening: Opening,
    fills: BTreeMap<i64, (Fill, Option<i64>)>,
    totals: Totals,
}

impl Ledger {
    /// An empty ledger. `tick_value` in 1/10,000 dollar per tick and lot.
    pub fn new(tick_value: i64) -> Self {
        Self {
            tick_value,
            opening: Opening::default(),
            fills: BTreeMap::new(),
            totals: Totals::default(),
        }
    }

    /// Takes one fill; a repeated one changes nothing, a voided one stays voided.
    pub fn take(&mut self, fill: &Fill) -> Taken {
        let last = self.fills.last_key_value().map(|(id, _)| *id);
        if let Some((known, _)) = self.fills.get_mut(&fill.trade_id) {
            let mut wanted = fill.clone();
            wanted.voided |= known.voided;
            if planted(Bug::VoidIgnored) {
                wanted.voided = known.voided;
            }
            // Hub and REST cut the same stamp to different digits; the first one told stays.
            wanted.time = known.time;
            if wanted.order_id == 0 {
                wanted.order_id = known.order_id;
            }
            if *known == wanted {
                if planted(Bug::LedgerTakesTwice) {
                    fold(&mut self.totals, fill, self.tick_value);
                    return Taken::Corrected;
                }
                return Taken::Known;
            }
            *known = wanted;
            self.refold();
            return Taken::Corrected;
        }
        self.fills.insert(fill.trade_id, (fill.clone(), None));
        if last.is_none_or(|last| last < fill.trade_id) {
            let pnl = fold(&mut self.totals, fill, self.tick_value);
            if let Some(entry) = self.fills.get_mut(&fill.trade_id) {
                entry.1 = pnl;
            }
        } else {
            self.refold();
        }
        Taken::New
    }

    /// States what was there before the first known fill.
    pub fn open_with(&mut self, opening: Opening) {
        self.opening = opening;
        self.refold();
    }

    fn refold(&mut self) {
        let cost = i128::from(self.opening.average_1e4)
            .saturating_mul(i128::from(self.opening.net.unsigned_abs()))
            .saturating_mul(i128::from(self.tick_value));
        self.totals = Totals {
            net: self.opening.net,
            cost: divide_half_even(cost, 10_000),
            ..Totals::default()
        };
        for (fill, pnl) in self.fills.values_mut() {
            *pnl = fold(&mut self.totals, fill, self.tick_value);
        }
    }

    /// Net lots, positive when long.
    pub fn net(&self) -> i64 {
        self.totals.net
    }

    /// What was there before the first known fill.
    pub fn opening(&self) -> Opening {
        self.opening
    }

    /// The totals after all fills.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Average price of the open lots in 1/10,000 tick; zero when flat.
    pub fn average_1e4(&self) -> i64 {
        let lots = i128::from(self.totals.net.unsigned_abs()) * i128::from(self.tick_value);
        if lots == 0 {
            return 0;
        }
        clamp(divide_half_even(
            self.totals.cost.saturating_mul(10_000),
            lots,
        ))
    }

    /// Profit of the open lots at `mark`, in 1/10,000 dollar.
    pub fn open_pnl(&self, mark: i64) -> i64 {
        let net = i128::from(self.totals.net);
        let value = i128::from(mark)
            .saturating_mul(net.abs())
            .saturating_mul(i128::from(self.tick_value));
        clamp(
            value
                .saturating_sub(self.totals.cost)
                .saturating_mul(net.signum()),
        )
    }

    /// The fills, oldest first, with the profit each realised (`None` when it opened or was voided).
    pub fn fills(&self) -> impl Iterator<Item = (&Fill, Option<i64>)> {
        self.fills.values().map(|(fill, pnl)| (fill, *pnl))
    }

    /// One fill by its id.
    pub fn fill(&self, trade_id: i64) -> Option<(&Fill, Option<i64>)> {
        self.fills.get(&trade_id).map(|(fill, pnl)| (fill, *pnl))
    }
}

/// Adds one fill to the totals; returns what it realised.
fn fold(totals: &mut Totals, fill: &Fill, tick_value: i64) -> Option<i64> {
    if fill.voided && planted(Bug::FeesOfVoidedFills) {
        totals.fees = totals.fees.saturating_add(fill.fees);
    }
    if fill.voided {
        return None;
    }
    totals.fees = totals.fees.saturating_add(fill.fees);
    let signed = fill.signed();
    let value_of = |lots: i64| {
        (i128::from(fill.price) * i128::from(lots)).saturating_mul(i128::from(tick_value))
    };
    let closing = if totals.net.signum() == -signed.signum() {
        totals.net.saturating_abs().min(fill.size)
    } else {
        0
    };
    let mut realised = None;
    if closing > 0 {
        let held = totals.net.saturating_abs();
        let taken = if closing == held {
            totals.cost
        } else if planted(Bug::RoundedDown) {
            totals.cost.saturating_mul(i128::from(closing)) / i128::from(held)
        } else {
            let share = totals.cost.saturating_mul(i128::from(closing));
            divide_half_even(share, i128::from(held))
        };
        let gained = value_of(closing).saturating_sub(taken);
        let pnl = clamp(gained.saturating_mul(i128::from(totals.net.signum())));
        totals.cost = totals.cost.saturating_sub(taken);
        totals.realised = totals.realised.saturating_add(pnl);
        realised = Some(pnl);
    }
    totals.cost = totals.cost.saturating_add(value_of(fill.size - closing));
    totals.net = totals.net.saturating_add(signed);
    realised
}

fn clamp(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rust_decimal::{Decimal, RoundingStrategy};

    fn fill(trade_id: i64, side: i32, price: i64, size: i64) -> Fill {
        Fill {
            trade_id,
            order_id: 1,
            account: 1,
            contract: "C".into(),
            side,
            price,
            size,
            fees: 37,
            time: 0,
            voided: false,
        }
    }

    fn ledger_of<'a>(tick_value: i64, fills: impl IntoIterator<Item = &'a Fill>) -> Ledger {
        let mut ledger = Ledger::new(tick_value);
        for fill in fills {
            ledger.take(fill);
        }
        ledger
    }

    /// The same sentence in decimals, written without integers or shortcuts.
    fn model(tick_value: i64, fills: &[Fill]) -> (i64, Decimal, i64) {
        let (mut net, mut cost, mut realised) = (0_i64, Decimal::ZERO, Decimal::ZERO);
        let mut fees = 0;
        for fill in fills.iter().filter(|fill| !fill.voided) {
            let price = Decimal::from(fill.price) * Decimal::from(tick_value);
            let mut left = fill.size;
            if net * fill.signed() < 0 {
                let closing = left.min(net.abs());
                let share = cost * Decimal::from(closing) / Decimal::from(net.abs());
                let share = share.round_dp_with_strategy(0, RoundingStrategy::MidpointNearestEven);
                realised += (price * Decimal::from(closing) - share) * Decimal::from(net.signum());
                cost -= share;
                net -= net.signum() * closing;
                left -= closing;
            }
            cost += price * Decimal::from(left);
            net += fill.side().sign() * left;
            fees += fill.fees;
        }
        (net, realised, fees)
    }

    fn some_fills() -> impl Strategy<Value = Vec<Fill>> {
        let one = (
            0_i32..2,
            -300_i64..30_000,
            1_i64..9,
            prop::bool::weighted(0.1),
            0_i64..20_000,
        );
        prop::collection::vec(one, 1..40).prop_map(|rows| {
            let rows = rows.into_iter().zip(1..);
            rows.map(|((side, price, size, voided, fees), id)| Fill {
                fees,
                voided,
                ..fill(id, side, price, size)
            })
            .collect()
        })
    }

    #[test]
    fn half_a_tick_of_average_is_kept_to_the_cent() {
        let fills = [fill(1, 0, 100, 1), fill(2, 0, 101, 1), fill(3, 1, 101, 1)];
        let ledger = ledger_of(125_000, &fills);
        assert_eq!((ledger.net(), ledger.totals().realised), (1, 62_500));
        assert_eq!(ledger.average_1e4(), 1_005_000);
        assert_eq!(ledger.open_pnl(103), 312_500);
    }

    #[test]
    fn a_turn_closes_the_old_side_and_opens_the_new_one_at_its_own_price() {
        let ledger = ledger_of(5_000, &[fill(1, 0, 100, 2), fill(2, 1, 110, 5)]);
        assert_eq!((ledger.net(), ledger.average_1e4()), (-3, 1_100_000));
        assert_eq!(ledger.totals().realised, 2 * 10 * 5_000);
        assert_eq!(ledger.open_pnl(108), 3 * 2 * 5_000);
    }

    #[test]
    fn a_voided_fill_is_undone_and_stays_undone() {
        let mut voided = fill(2, 0, 120, 3);
        let mut ledger = ledger_of(5_000, &[fill(1, 0, 100, 1), voided.clone()]);
        voided.voided = true;
        assert_eq!(ledger.take(&voided), Taken::Corrected);
        voided.voided = false;
        assert_eq!(ledger.take(&voided), Taken::Known);
        assert_eq!((ledger.net(), ledger.average_1e4()), (1, 1_000_000));
    }

    #[test]
    fn a_stamp_with_other_digits_is_no_correction() {
        let mut ledger = ledger_of(5_000, &[fill(1, 0, 100, 1)]);
        let mut again = fill(1, 0, 100, 1);
        again.time = 900;
        assert_eq!(ledger.take(&again), Taken::Known);
    }

    #[test]
    fn what_was_there_before_counts_from_its_average() {
        let mut ledger = ledger_of(5_000, &[fill(5, 1, 110, 2)]);
        ledger.open_with(Opening {
            net: 2,
            average_1e4: 1_005_000,
        });
        assert_eq!((ledger.net(), ledger.totals().realised), (0, 95_000));
    }

    proptest! {
        #[test]
        fn integers_agree_with_the_decimal_model(fills in some_fills(), tick_value in prop::sample::select(vec![5_000_i64, 12_500, 78_125, 100_000])) {
            let ledger = ledger_of(tick_value, &fills);
            let (net, realised, fees) = model(tick_value, &fills);
            prop_assert_eq!((ledger.net(), ledger.totals().fees), (net, fees));
            prop_assert_eq!(Decimal::from(ledger.totals().realised), realised);
        }

        /// Every other one twice, and of those that were taken back also the word from before that.
        #[test]
        fn arrival_order_and_repetition_change_nothing(fills in some_fills(), seed in any::<u64>()) {
            let voided = fills.iter().filter(|fill| fill.voided);
            let before: Vec<Fill> = voided.map(|fill| Fill { voided: false, ..fill.clone() }).collect();
            let mut shuffled: Vec<&Fill> = fills.iter().chain(fills.iter().step_by(2)).chain(&before).collect();
            let length = shuffled.len();
            for n in 0..length {
                shuffled.swap(n, (seed.rotate_left(n as u32 % 64) % length as u64) as usize);
            }
            prop_assert_eq!(ledger_of(12_500, shuffled), ledger_of(12_500, &fills));
        }

        #[test]
        fn a_flat_to_flat_total_is_exact(fills in some_fills()) {
            let mut fills = fills;
            let net = ledger_of(78_125, &fills).net();
            if net != 0 {
                fills.push(fill(1_000, i32::from(net > 0), 77, net.abs()));
            }
            let cash: i64 = fills.iter().filter(|fill| !fill.voided).map(|fill| -fill.signed() * fill.price * 78_125).sum();
            prop_assert_eq!(ledger_of(78_125, &fills).totals().realised, cash);
        }
    }
}
