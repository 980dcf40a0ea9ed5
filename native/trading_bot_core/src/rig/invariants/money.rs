//! Laws about fills, positions and money: I-11 to I-13, against a second arithmetic.

use std::collections::BTreeMap;

use super::{Law, World};
use crate::order_execution::ledger::Ledger;
use crate::order_execution::store::Place;
use crate::types::{BrokerTrade, Side};

/// Totals by the sentence of decision 7, written down again: cost in 1/10,000 dollar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sums {
    net: i64,
    cost: i128,
    realised: i128,
    fees: i128,
}

impl Sums {
    fn take(&mut self, trade: &BrokerTrade, price_ticks: i64, tick_value: i64) {
        let sign = if trade.side == Side::Buy { 1 } else { -1 };
        let value = i128::from(price_ticks) * i128::from(tick_value);
        self.fees += i128::from(trade.fees.0 + trade.commissions.0);
        let mut left = trade.size.0;
        if self.net * sign < 0 {
            let held = self.net.abs();
            let closing = left.min(held);
            let share = if closing == held {
                self.cost
            } else {
                half_even(self.cost * i128::from(closing), i128::from(held))
            };
            self.realised += (value * i128::from(closing) - share) * i128::from(self.net.signum());
            self.cost -= share;
            self.net += sign * closing;
            left -= closing;
        }
        self.cost += value * i128::from(left);
        self.net += sign * left;
    }
}

/// The nearest whole number, the even one of two.
fn half_even(dividend: i128, divisor: i128) -> i128 {
    let floor = dividend.div_euclid(divisor);
    let twice = 2 * dividend.rem_euclid(divisor);
    match twice.cmp(&divisor) {
        std::cmp::Ordering::Less => floor,
        std::cmp::Ordering::Greater => floor + 1,
        std::cmp::Ordering::Equal => floor + floor.rem_euclid(2),
    }
}

impl World {
    /// Every ledger against the broker's trades of the ids it holds.
    pub(super) fn check_money(&mut self) {
        let ledgers = &self.engine.trading.store.ledgers;
        let mut wrong: Option<(Law, String)> = None;
        let mut known = 0;
        for (place, ledger) in ledgers {
            known += ledger.fills().count();
            wrong = wrong.or_else(|| self.judge_ledger(*place, ledger));
        }
        wrong = wrong.or_else(|| self.missing_trade(ledgers));
        for law in [Law::I11, Law::I12, Law::I13] {
            self.tally.checked(law);
        }
        if let Some((law, text)) = wrong {
            self.hold(law, false, |_| format!("{text} ({known} fills known)"));
        }
    }

    fn judge_ledger(&self, place: Place, ledger: &Ledger) -> Option<(Law, String)> {
        let contract = &self.engine.trading.store.contracts[place.1.slot()];
        let opening = ledger.opening();
        let tick_value = contract.tick_value.0;
        let cost = i128::from(opening.average_1e4)
            * i128::from(opening.net.abs())
            * i128::from(tick_value);
        let mut sums = Sums {
            net: opening.net,
            cost: half_even(cost, 10_000),
            ..Sums::default()
        };
        for (fill, _) in ledger.fills() {
            let truth = usize::try_from(fill.trade_id - 9_000).ok();
            let Some(trade) = truth.and_then(|at| self.broker.trades.get(at)) else {
                return Some((Law::I12, format!("{fill:?} is no trade of the broker")));
            };
            let ticks = contract.ticks(trade.price).map_or(0, |ticks| ticks.0);
            let is_same = trade.account_id == place.0
                && trade.size.0 == fill.size
                && trade.side == fill.side()
                && ticks == fill.price
                && trade.order_id.map(|id| id.0) == Some(fill.order_id);
            if !is_same {
                return Some((Law::I12, format!("{fill:?} differs from {trade:?}")));
            }
            if !fill.voided {
                sums.take(trade, ticks, tick_value);
            }
        }
        let totals = ledger.totals();
        if totals.net != sums.net {
            return Some((
                Law::I11,
                format!("net {} where the fills give {}", totals.net, sums.net),
            ));
        }
        let money = Sums {
            net: totals.net,
            cost: totals.cost,
            realised: i128::from(totals.realised),
            fees: i128::from(totals.fees),
        };
        (money != sums).then(|| (Law::I13, format!("{money:?} where the fills give {sums:?}")))
    }

    /// A trade that the engine was told of is in its ledger, voided if it was told so.
    fn missing_trade(&self, ledgers: &BTreeMap<Place, Ledger>) -> Option<(Law, String)> {
        self.memory.told_trades.iter().find_map(|(id, is_voided)| {
            let mut places = ledgers.values();
            let fill = places.find_map(|ledger| ledger.fill(*id));
            let holds = fill.is_some_and(|(fill, _)| fill.voided == *is_voided || fill.voided);
            (!holds).then(|| {
                (
                    Law::I12,
                    format!("trade {id} was told, voided {is_voided}; known: {fill:?}"),
                )
            })
        })
    }
}
