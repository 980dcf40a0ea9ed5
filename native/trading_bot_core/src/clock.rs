//! The only place that reads a clock. `mono` drives deadlines and ages, market time drives sessions and bars, wall time is for log lines only.

use crate::types::{Mono, Nanos};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A source of both machine clocks, so that the engine can be stepped in tests without waiting.
pub trait Clock: Send + Sync {
    /// Nanoseconds since an arbitrary start; never goes back.
    fn mono(&self) -> Mono;
    /// Local wall time; for log lines and for nothing else.
    fn wall(&self) -> Nanos;
}

/// Reads the machine's monotonic clock. All threads of the process share one start.
pub fn mono() -> Mono {
    static START: OnceLock<Instant> = OnceLock::new();
    let elapsed = START.get_or_init(Instant::now).elapsed();
    // One second ahead of zero, so that 0 can mean "never" in every field that holds a `Mono`.
    Mono(
        u64::try_from(elapsed.as_nanos())
            .unwrap_or(u64::MAX)
            .saturating_add(1_000_000_000),
    )
}

/// Reads the machine's wall clock, UTC.
pub fn wall() -> Nanos {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    Nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// The machine's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn mono(&self) -> Mono {
        mono()
    }

    fn wall(&self) -> Nanos {
        wall()
    }
}

/// A clock that moves only when told to.
#[derive(Debug)]
pub struct ManualClock {
    mono: AtomicU64,
    wall: AtomicI64,
}

impl ManualClock {
    pub fn new(mono: Mono, wall: Nanos) -> Self {
        Self {
            mono: AtomicU64::new(mono.0),
            wall: AtomicI64::new(wall.0),
        }
    }

    /// Moves both clocks forward.
    pub fn advance(&self, by: Duration) {
        let nanos = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.mono.fetch_add(nanos, Ordering::Relaxed);
        self.wall
            .fetch_add(i64::try_from(nanos).unwrap_or(i64::MAX), Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn mono(&self) -> Mono {
        Mono(self.mono.load(Ordering::Relaxed))
    }

    fn wall(&self) -> Nanos {
        Nanos(self.wall.load(Ordering::Relaxed))
    }
}

/// What a broker stamp did to the market clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockStep {
    /// The stamp is the newest so far.
    Advanced,
    /// The stamp is older than what is known; the clock goes on.
    Older,
    /// The broker's clock went back: books and forming bars must be rebuilt.
    NewEpoch,
}

/// How far back a stamp must lie before it can mean a new epoch.
const EPOCH_JUMP_NS: i64 = 5_000_000_000;
/// How long, and how many times, events must agree on the earlier time. The first quote of a sleepy contract carries an old stamp and proves nothing.
const AGREEMENT_NS: u64 = 1_000_000_000;
const AGREEMENT_STAMPS: u32 = 3;

#[derive(Clone, Copy, Debug)]
struct Doubt {
    since: Mono,
    newest: Nanos,
    stamps: u32,
}

/// Market time: the newest broker stamp plus the monotonic time since it arrived. Never goes back within an epoch.
#[derive(Clone, Copy, Debug, Default)]
pub struct MarketClock {
    newest: Option<(Nanos, Mono)>,
    floor: Nanos,
    epoch: u32,
    doubt: Option<Doubt>,
}

impl MarketClock {
    pub const fn new() -> Self {
        Self {
            newest: None,
            floor: Nanos(i64::MIN),
            epoch: 0,
            doubt: None,
        }
    }

    /// Market time at `at`, or `None` before the first stamp.
    pub fn now(&self, at: Mono) -> Option<Nanos> {
        let (stamp, seen) = self.newest?;
        let elapsed = i64::try_from(at.0.saturating_sub(seen.0)).unwrap_or(i64::MAX);
        Some(Nanos(stamp.0.saturating_add(elapsed)).max(self.floor))
    }

    /// Counts the times the broker's clock went back.
    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Takes the stamp of a hub event. A single old stamp is not believed; several over a second are.
    pub fn observe(&mut self, stamp: Nanos, at: Mono) -> ClockStep {
        let Some((newest, _)) = self.newest else {
            return self.advance(stamp, at);
        };
        if stamp > newest {
            return self.advance(stamp, at);
        }
        if stamp.0 > newest.0.saturating_sub(EPOCH_JUMP_NS) {
            self.doubt = None;
            return ClockStep::Older;
        }
        self.doubt_or_restart(stamp, at)
    }

    /// Takes the server's own statement of its time (HTTP `Date`, one second coarse). It is believed at once.
    pub fn observe_server_time(&mut self, stamp: Nanos, at: Mono) -> ClockStep {
        match self.newest {
            Some((newest, _)) if stamp.0 <= newest.0.saturating_sub(EPOCH_JUMP_NS) => {
                self.restart(stamp, at)
            }
            Some((newest, _)) if stamp <= newest => ClockStep::Older,
            _ => self.advance(stamp, at),
        }
    }

    fn advance(&mut self, stamp: Nanos, at: Mono) -> ClockStep {
        if let Some(before) = self.now(at) {
            self.floor = before;
        }
        self.newest = Some((stamp, at));
        self.doubt = None;
        ClockStep::Advanced
    }

    fn doubt_or_restart(&mut self, stamp: Nanos, at: Mono) -> ClockStep {
        let doubt = self.doubt.get_or_insert(Doubt {
            since: at,
            newest: stamp,
            stamps: 0,
        });
        doubt.stamps += 1;
        doubt.newest = doubt.newest.max(stamp);
        if doubt.stamps < AGREEMENT_STAMPS || at.0.saturating_sub(doubt.since.0) < AGREEMENT_NS {
            return ClockStep::Older;
        }
        let newest = doubt.newest;
        self.restart(newest, at)
    }

    fn restart(&mut self, stamp: Nanos, at: Mono) -> ClockStep {
        *self = Self {
            newest: Some((stamp, at)),
            floor: Nanos(i64::MIN),
            epoch: self.epoch + 1,
            doubt: None,
        };
        ClockStep::NewEpoch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn at(seconds: u64) -> Mono {
        Mono(seconds * 1_000_000_000)
    }

    fn stamp(seconds: i64) -> Nanos {
        Nanos(seconds * SECOND)
    }

    #[test]
    fn market_time_runs_on_between_stamps() {
        let mut clock = MarketClock::new();
        assert_eq!(clock.now(at(1)), None);
        assert_eq!(clock.observe(stamp(1_000), at(1)), ClockStep::Advanced);
        assert_eq!(clock.now(at(4)), Some(stamp(1_003)));
    }

    #[test]
    fn market_time_never_goes_back_within_an_epoch() {
        let mut clock = MarketClock::new();
        clock.observe(stamp(1_000), at(1));
        clock.observe(stamp(1_001), at(4));
        assert_eq!(clock.now(at(4)), Some(stamp(1_003)));
    }

    #[test]
    fn a_single_old_stamp_does_not_start_an_epoch() {
        let mut clock = MarketClock::new();
        clock.observe(stamp(1_000), at(1));
        assert_eq!(clock.observe(stamp(10), at(2)), ClockStep::Older);
        assert_eq!(clock.observe(stamp(1_001), at(3)), ClockStep::Advanced);
        assert_eq!(clock.epoch(), 0);
    }

    #[test]
    fn events_that_agree_on_an_earlier_time_start_an_epoch() {
        let mut clock = MarketClock::new();
        clock.observe(stamp(1_000), at(1));
        clock.observe(stamp(500), at(2));
        clock.observe(stamp(501), at(3));
        assert_eq!(clock.observe(stamp(502), at(4)), ClockStep::NewEpoch);
        assert_eq!(clock.now(at(4)), Some(stamp(502)));
        assert_eq!(clock.epoch(), 1);
    }

    #[test]
    fn the_servers_own_time_is_believed_at_once() {
        let mut clock = MarketClock::new();
        clock.observe(stamp(1_000), at(1));
        assert_eq!(
            clock.observe_server_time(stamp(998), at(2)),
            ClockStep::Older
        );
        assert_eq!(
            clock.observe_server_time(stamp(900), at(2)),
            ClockStep::NewEpoch
        );
    }

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = ManualClock::new(at(1), stamp(5));
        clock.advance(Duration::from_secs(2));
        assert_eq!((clock.mono(), clock.wall()), (at(3), stamp(7)));
    }
}
