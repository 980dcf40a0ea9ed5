//! Account rules: what a prop firm or the trader allows an account to lose, win, hold and trade, and until when.
//!
//! Pure: no clock, no socket, no file. [`Rules`] are the numbers of one account, [`Book`] is its durable state, changed
//! by [`RiskEvent`]s and by nothing else, and [`judge`] says what those events are. Money is 1/10,000 dollar.
//!
//! # Formulas
//!
//! Source of the firm's: protocol document, section 18 (Topstep help articles 8284204, 10490293, 8284197, 8284223, 8284206).
//!
//! | Quantity | Rule |
//! |---|---|
//! | day | from one 17:00 Chicago to the next on trading days: the trade date of the session that opened last |
//! | opening balance B | the broker's balance less what was realised since the day began |
//! | realised R | Σ profit of the day's fills − their fees and commissions; voided fills count nothing |
//! | open O | Σ profit of the open lots at the last price (between the quotes before the first print) |
//! | equity | B + R + O |
//! | end-of-day high H | the highest B ever seen, at least the start balance S; it never falls |
//! | maximum loss D | floor = min(S, S − D + max(0, H − S)): it follows H, never falls, and stops at S; touched when equity ≤ floor |
//! | daily loss L | touched when R + O ≤ −L |
//! | personal loss P | fixed: pnl ≤ −P; trailing: peak of the day − pnl ≥ P, the peak being at least 0; pnl is R + O, or R alone |
//! | profit target | B + R − S ≥ target; only announced |
//! | trades | orders of the day whose fills opened or added lots |
//! | size | Σ over contracts of the worst possible lots × tenths of a mini; 10 micros are 1 mini |
//!
//! A rule that is touched latches until the next day begins, whatever the result does afterwards.

mod book;
mod day;
pub mod judge;
mod rules;
pub mod size;
#[cfg(test)]
mod tests;

pub use book::{Book, Latch, Mode, RiskEvent, Sizes};
pub use day::DayFills;
pub use judge::{Marks, Use};
pub use rules::{Action, RuleName, Rules, ScalingStep};
