//! What the fills of one day and contract come to.

use std::collections::BTreeSet;

use crate::order_execution::ledger::Ledger;

/// Sums of one contract's fills since the day began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DayFills {
    /// Profit less fees, 1/10,000 dollar.
    pub realised: i64,
    /// Broker ids of the orders that opened or added lots.
    pub trades: BTreeSet<i64>,
}

impl DayFills {
    /// Adds up a ledger's fills from `begin` (UTC nanoseconds, inclusive) on. Voided fills count nothing.
    pub fn of(ledger: &Ledger, begin: i64) -> Self {
        let is_of_day = |time: i64, is_voided: bool| time >= begin && !is_voided;
        let fills = ledger.fills();
        let day: Vec<_> = fills
            .filter(|(fill, _)| is_of_day(fill.time, fill.voided))
            .collect();
        let moves = day.iter().map(|(fill, _)| fill.signed());
        let mut net = moves.fold(ledger.net(), i64::saturating_sub);
        let mut sums = Self::default();
        for (fill, pnl) in day {
            let gained = pnl.unwrap_or(0).saturating_sub(fill.fees);
            sums.realised = sums.realised.saturating_add(gained);
            let after = net.saturating_add(fill.signed());
            if after.unsigned_abs() > net.unsigned_abs()
                || after.signum() == -net.signum() && after != 0
            {
                sums.trades.insert(fill.order_id);
            }
            net = after;
        }
        sums
    }
}
