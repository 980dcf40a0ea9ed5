//! When the engine's thread goes on looking for news instead of sleeping (option `engine.spin`).
//!
//! Waking a thread whose core has gone to sleep costs as much as half an order's round trip on loopback. Orders come in
//! company: an answer after its request, hub events after the answer, the next leg or the correction after those. So the
//! thread stays awake for a moment after each and for a bounded time while an answer is due, as an adaptive mutex does,
//! and sleeps as ever when nothing of the kind goes on.

use std::time::Duration;

use crate::clock::mono;
use crate::types::Mono;

/// After the last command, answer or event of an order. At an order a second this is half a percent of a core.
const LINGER: Duration = Duration::from_millis(5);
/// After the last of them while a request that changes orders has no answer: a broker that takes longer is worth a sleep.
const IN_FLIGHT: Duration = Duration::from_millis(20);

/// A turn at the core that came back later than this went to somebody else, who needs it more than our looking does.
const GIVEN_AWAY: Duration = Duration::from_micros(20);
/// How long the thread then only sleeps, at first and at most; it doubles while the core stays wanted.
const REST_MIN: Duration = Duration::from_millis(5);
const REST_MAX: Duration = Duration::from_secs(1);

/// The words of the option.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spin {
    /// Sleeps whenever nothing has come.
    Off,
    /// Awake around orders, if there is a core to spare.
    #[default]
    Auto,
    /// Never sleeps while connected, if there is a core to spare.
    On,
}

impl Spin {
    /// Reads the word of the option `engine.spin`.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "off" => Some(Self::Off),
            "auto" => Some(Self::Auto),
            "on" => Some(Self::On),
            _ => None,
        }
    }

    /// What is left of it on `cores`: a thread that never sleeps on the only core would leave nothing to those it waits
    /// for.
    #[must_use]
    pub const fn on_cores(self, cores: usize) -> Self {
        if cores > 1 { self } else { Self::Off }
    }
}

/// How many cores this process may use; one where the system does not say.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Decides between looking again and sleeping.
#[derive(Debug)]
pub struct Wakefulness {
    spin: Spin,
    last: Option<Mono>,
    /// While the core is wanted by others.
    rest: Duration,
    rests_until: Mono,
}

impl Wakefulness {
    pub const fn new(spin: Spin) -> Self {
        Self {
            spin,
            last: None,
            rest: REST_MIN,
            rests_until: Mono(0),
        }
    }

    /// A command, an answer or a user event has just been taken.
    pub fn note(&mut self, now: Mono) {
        self.last = Some(now);
        if now >= self.rests_until {
            self.rest = (self.rest / 2).max(REST_MIN);
        }
    }

    /// Lets others run who wait for this core. When there was somebody, the thread goes back to sleeping for a while: to
    /// keep a core from the one whose answer it waits for would be slower than any wake-up.
    pub fn let_others_run(&mut self) {
        let before = mono();
        std::thread::yield_now();
        self.note_turn(before, mono());
    }

    fn note_turn(&mut self, given: Mono, back: Mono) {
        if Duration::from_nanos(back.0.saturating_sub(given.0)) > GIVEN_AWAY {
            self.rests_until = Mono(back.0 + self.rest.as_nanos() as u64);
            self.rest = (self.rest * 2).min(REST_MAX);
        }
    }

    /// Whether to look again at once. `is_due` tells whether an order's request waits for its answer.
    pub fn is_awake(&self, now: Mono, is_connected: bool, is_due: bool) -> bool {
        let most = match self.spin {
            Spin::Off => return false,
            Spin::On => return is_connected,
            Spin::Auto if now < self.rests_until => return false,
            Spin::Auto if is_due => IN_FLIGHT,
            Spin::Auto => LINGER,
        };
        let since = self.last.map(|last| now.0.saturating_sub(last.0));
        is_connected && since.is_some_and(|age| Duration::from_nanos(age) < most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn it_lingers_after_an_order_and_then_sleeps() {
        let mut wakefulness = Wakefulness::new(Spin::Auto);
        assert!(!wakefulness.is_awake(Mono(0), true, false), "nothing came");
        wakefulness.note(Mono(100 * MS));
        assert!(wakefulness.is_awake(Mono(104 * MS), true, false));
        assert!(!wakefulness.is_awake(Mono(105 * MS), true, false));
        assert!(!wakefulness.is_awake(Mono(101 * MS), false, false));
    }

    #[test]
    fn an_answer_that_is_due_keeps_it_awake_longer_but_not_for_ever() {
        let mut wakefulness = Wakefulness::new(Spin::Auto);
        wakefulness.note(Mono(0));
        assert!(wakefulness.is_awake(Mono(19 * MS), true, true));
        assert!(!wakefulness.is_awake(Mono(20 * MS), true, true));
    }

    #[test]
    fn it_sleeps_when_somebody_else_needs_the_core() {
        let mut wakefulness = Wakefulness::new(Spin::Auto);
        wakefulness.note(Mono(0));
        wakefulness.note_turn(Mono(MS), Mono(MS + 1_000));
        assert!(wakefulness.is_awake(Mono(2 * MS), true, true));
        wakefulness.note_turn(Mono(MS), Mono(2 * MS));
        assert!(!wakefulness.is_awake(Mono(2 * MS), true, true));
        wakefulness.note(Mono(6 * MS));
        assert!(!wakefulness.is_awake(Mono(6 * MS), true, true));
        wakefulness.note(Mono(7 * MS));
        assert!(wakefulness.is_awake(Mono(7 * MS), true, true));
    }

    #[test]
    fn a_core_that_stays_wanted_is_left_for_longer_each_time_and_a_quiet_one_for_less() {
        let mut wakefulness = Wakefulness::new(Spin::Auto);
        let mut now = 0;
        for rest in [5, 10, 20, 40] {
            wakefulness.note_turn(Mono(now), Mono(now + MS));
            assert_eq!(wakefulness.rests_until, Mono(now + MS + rest * MS));
            now = wakefulness.rests_until.0;
        }
        wakefulness.note(Mono(now));
        assert_eq!(wakefulness.rest, Duration::from_millis(40));
    }

    #[test]
    fn off_always_sleeps_and_on_never_does_while_connected() {
        let mut off = Wakefulness::new(Spin::Off);
        off.note(Mono(0));
        assert!(!off.is_awake(Mono(0), true, true));
        let on = Wakefulness::new(Spin::On);
        assert!(on.is_awake(Mono(900_000 * MS), true, false));
        assert!(!on.is_awake(Mono(0), false, false));
    }

    #[test]
    fn the_only_core_is_left_to_those_it_waits_for() {
        assert_eq!(Spin::On.on_cores(1), Spin::Off);
        assert_eq!(Spin::Auto.on_cores(1), Spin::Off);
        assert_eq!(Spin::Auto.on_cores(2), Spin::Auto);
    }

    #[test]
    fn the_option_has_three_words() {
        for (word, spin) in [("off", Spin::Off), ("auto", Spin::Auto), ("on", Spin::On)] {
            assert_eq!(Spin::from_word(word), Some(spin));
        }
        assert_eq!(Spin::from_word("always"), None);
    }
}
