//! A login that could not be renewed and nears its end: new risk stops in time, exits go on to the last moment (C15).

use crate::engine::views::NoticeLevel;
use crate::order_execution::gate::Reason;
use crate::order_execution::trading::Trading;
use crate::types::Mono;

const SECOND: u64 = 1_000_000_000;
/// How long before the end new risk stops; of a short login the last tenth. Renewal is due at half of the life.
const MARGIN_NS: u64 = 600 * SECOND;
/// When the trader hears how long it still lasts, in tenths of that time before the end.
const TOLD_TENTHS: [u64; 4] = [10, 5, 2, 0];

/// The end of the login as the broker dated it, and how much of the countdown was told.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoginLife {
    ends: Option<Mono>,
    margin_ns: u64,
    told: usize,
}

impl LoginLife {
    fn next_moment(&self) -> Option<Mono> {
        let tenths = TOLD_TENTHS.get(self.told)?;
        let before = self.margin_ns / 10 * tenths;
        Some(Mono(self.ends?.0.saturating_sub(before)))
    }

    fn is_short(&self, now: Mono) -> bool {
        let ends = self.ends;
        ends.is_some_and(|ends| now.0.saturating_add(self.margin_ns) >= ends.0)
    }
}

impl Trading {
    /// A token was issued: `ends` by the local clock, from the token's own stamps.
    pub(crate) fn take_login_life(&mut self, ends: Mono, life_ns: u64) {
        if self.login_life.told > 0 {
            let text = "The login was renewed; new orders are taken again.";
            self.notice(NoticeLevel::Info, "login_renewed", text.into());
        }
        self.login_life = LoginLife {
            ends: Some(ends),
            margin_ns: MARGIN_NS.min(life_ns / 10),
            told: 0,
        };
    }

    pub(super) fn forget_login_life(&mut self) {
        self.login_life = LoginLife::default();
    }

    pub(super) fn next_login_moment(&self) -> Option<Mono> {
        self.login_life.next_moment()
    }

    /// Counts down aloud.
    pub(super) fn watch_login_life(&mut self) {
        let now = self.now();
        let is_due = |life: &LoginLife| life.next_moment().is_some_and(|at| at <= now);
        if !is_due(&self.login_life) {
            return;
        }
        // A machine that slept hears the newest word only.
        while is_due(&self.login_life) {
            self.login_life.told += 1;
        }
        let ends = self.login_life.ends.unwrap_or(now);
        let left = ends.since(now).div_ceil(SECOND);
        let text = if left == 0 {
            "The login has ended and could not be renewed: nothing can be sent until you sign in again. What rests at the \
             broker works on."
                .to_owned()
        } else {
            format!(
                "The login could not be renewed and ends in {}. New orders wait; cancels, closes and flattens go out \
                 until then. Flatten, or sign in again.",
                lasting(left)
            )
        };
        self.notice(NoticeLevel::Alarm, "login_ends", text);
    }

    /// When a login ends that nears its end without having been renewed.
    pub(crate) fn login_ends_soon(&self) -> Option<Mono> {
        let life = &self.login_life;
        life.ends.filter(|_| life.is_short(self.now()))
    }

    /// Why more risk waits for a new login.
    pub(super) fn login_reason(&self) -> Option<Reason> {
        self.login_life.is_short(self.now()).then(|| {
            let text = "The login nears its end and could not be renewed; only exits are taken.";
            ("login_ends", text.to_owned())
        })
    }
}

fn lasting(seconds: u64) -> String {
    if seconds < 120 {
        format!("{seconds} s")
    } else {
        format!("{} min", seconds / 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::contract::Effect;
    use crate::engine::views::Event;
    use crate::order_execution::trading::Settings;
    use crate::types::Nanos;

    const DAY_NS: u64 = 24 * 3_600 * SECOND;

    fn at(trading: &mut Trading, seconds: u64) -> Vec<String> {
        trading.set_now(Mono(seconds * SECOND), Nanos(0));
        trading.watch_login_life();
        let effects = trading.take_effects().into_iter();
        let notice = |effect| match effect {
            Effect::Event(Event::Notice(row)) => Some(row.text),
            _ => None,
        };
        effects.filter_map(notice).collect()
    }

    #[test]
    fn new_risk_stops_ten_minutes_before_the_end_and_begins_again_with_a_new_token() {
        let mut trading = Trading::new("p", Settings::default());
        trading.take_login_life(Mono(DAY_NS), DAY_NS);
        let end = DAY_NS / SECOND;
        assert!(at(&mut trading, end - 601).is_empty());
        assert!(trading.login_reason().is_none());
        assert_eq!(trading.login_ends_soon(), None);
        assert_eq!(trading.next_login_moment(), Some(Mono(DAY_NS - MARGIN_NS)));
        let told = at(&mut trading, end - 600);
        assert!(told[0].contains("ends in 10 min"), "{told:?}");
        assert!(trading.login_reason().is_some());
        assert_eq!(trading.login_ends_soon(), Some(Mono(DAY_NS)));
        assert!(at(&mut trading, end - 599).is_empty(), "told once");
        assert!(at(&mut trading, end - 300)[0].contains("ends in 5 min"));
        trading.take_login_life(Mono(2 * DAY_NS), DAY_NS);
        assert!(at(&mut trading, end)[0].contains("renewed"));
        assert!(trading.login_reason().is_none());
    }

    #[test]
    fn after_a_sleep_beyond_the_end_one_word_says_that_it_is_over() {
        let mut trading = Trading::new("p", Settings::default());
        trading.take_login_life(Mono(DAY_NS), DAY_NS);
        let told = at(&mut trading, 2 * DAY_NS / SECOND);
        assert_eq!(told.len(), 1);
        assert!(told[0].starts_with("The login has ended"), "{told:?}");
        assert!(trading.login_reason().is_some());
    }
}
