//! Limits of accounts: position size, loss limits, the turn of the trading day.

use jiff::ToSpan;

use crate::contracts::{chicago, timestamp};
use crate::exchange::Exchange;
use crate::exchange::model::{Account, Kind};
use crate::feed::Side;

impl Exchange {
    /// Whether an account may add `lots` of `side`: canTrade, daily lock, maximum position with its working orders.
    pub(super) fn check_limits(
        &self,
        account: i32,
        contract: usize,
        side: Side,
        lots: i64,
    ) -> Result<(), (i32, String)> {
        let row = &self.accounts[&account];
        let held = self
            .positions
            .get(&(account, contract))
            .map_or(0, |position| position.lots);
        let signed = if side == Side::Bid { lots } else { -lots };
        let reduces = held.signum() == -signed.signum() && signed.abs() <= held.abs();
        if !row.can_trade {
            return Err((4, "Account is not allowed to trade.".to_owned()));
        }
        if row.locked_for_day && !reduces {
            return Err((4, "Account has reached its daily loss limit.".to_owned()));
        }
        if reduces {
            return Ok(());
        }
        let weight = self.contracts.get(contract).weight_tenths;
        let here = (held + signed + self.working_lots(account, contract, side)).abs() * weight;
        let elsewhere: i64 = self
            .positions_of(account)
            .filter(|position| position.contract != contract)
            .map(|position| {
                position.lots.abs() * self.contracts.get(position.contract).weight_tenths
            })
            .sum();
        if here + elsewhere > row.rules.max_minis * 10 {
            return Err((
                2,
                "Order rejected. Maximum position size would be exceeded.".to_owned(),
            ));
        }
        Ok(())
    }

    /// Signed lots of working entries of one side; legs and stops do not count.
    fn working_lots(&self, account: i32, contract: usize, side: Side) -> i64 {
        let mut lots = 0;
        for id in self.working.get(&account).into_iter().flatten() {
            let Some(order) = self.orders.get(id) else {
                continue;
            };
            if order.contract == contract
                && order.side == side
                && order.parent.is_none()
                && order.kind == Kind::Limit
            {
                lots += order.remaining();
            }
        }
        if side == Side::Bid { lots } else { -lots }
    }

    /// Ends a step: legs of filled entries open.
    pub(super) fn settle(&mut self, now: i64) {
        self.activate_legs(now);
    }

    /// Looks at the equity of every account after a price moved: one that closed at a loss before it holds nothing now.
    pub(super) fn mark(&mut self, at: i64) {
        let ids: Vec<i32> = self.accounts.keys().copied().collect();
        for account in ids {
            self.enforce_loss_limits(account, at);
        }
    }

    /// Balance plus open result at the last prices, 1/10,000 dollar.
    pub fn equity_1e4(&self, account: i32) -> Option<i64> {
        let row = self.accounts.get(&account)?;
        let open: i64 = self
            .positions_of(account)
            .filter_map(|position| {
                let last = self.books[position.contract].last?;
                let value = self.contracts.get(position.contract).tick_value_1e4;
                Some(position.lots * last * value - position.lots.signum() * position.cost_1e4)
            })
            .sum();
        Some(row.balance_1e4 + open)
    }

    fn enforce_loss_limits(&mut self, account: i32, at: i64) {
        let (Some(equity), Some(row)) = (self.equity_1e4(account), self.accounts.get(&account))
        else {
            return;
        };
        let below_floor = row.loss_floor_1e4().is_some_and(|floor| equity <= floor);
        let daily = row.rules.daily_loss.map(|limit| limit * 10_000);
        let day_lost =
            daily.is_some_and(|limit| row.day_start_1e4 - equity >= limit) && !row.locked_for_day;
        if below_floor && row.can_trade {
            self.edit_account(account, |row| row.can_trade = false);
            self.flatten(account, at);
        } else if day_lost {
            self.edit_account(account, |row| row.locked_for_day = true);
            self.flatten(account, at);
        }
    }

    /// Cancels every order and closes every position of an account whose market trades.
    pub fn flatten(&mut self, account: i32, at: i64) {
        for id in self.working_of(account, None) {
            self.cancel_order(id, at);
        }
        let held: Vec<(usize, i64)> = self
            .positions_of(account)
            .map(|p| (p.contract, p.lots))
            .collect();
        for (contract, lots) in held {
            if self.books[contract].trading {
                self.close_lots(at, account, contract, lots);
            }
        }
        self.settle(at);
    }

    /// The firm's hours: when they end everything is flattened, and nothing is accepted until they begin.
    pub fn set_firm_closed(&mut self, closed: bool, now: i64) {
        if closed && !self.firm_closed {
            let ids: Vec<i32> = self.accounts.keys().copied().collect();
            for id in ids {
                self.flatten(id, now);
            }
        }
        self.firm_closed = closed;
    }

    /// Turns the trading day (17:00 Chicago): end-of-day highs rise, daily locks end.
    pub fn advance_day(&mut self, now: i64) {
        let shifted = chicago()
            .to_datetime(timestamp(now))
            .saturating_add(7.hours());
        let date = i64::from(shifted.year()) * 10_000
            + i64::from(shifted.month()) * 100
            + i64::from(shifted.day());
        let due = |account: &&Account| account.trade_date != date;
        let ids: Vec<i32> = self
            .accounts
            .values()
            .filter(due)
            .map(|account| account.rules.id)
            .collect();
        for id in ids {
            self.edit_account(id, |account| {
                account.high_1e4 = account.high_1e4.max(account.balance_1e4);
                account.day_start_1e4 = account.balance_1e4;
                account.locked_for_day = false;
                account.trade_date = date;
            });
        }
    }
}
