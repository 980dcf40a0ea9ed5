//! The gateway's own clock: it starts where it is told and runs at a rate.

use std::time::{Duration, Instant};

/// UTC nanoseconds that run at `rate` times the machine's monotonic clock; they never go backwards by themselves.
#[derive(Clone, Debug)]
pub struct Clock {
    base: i64,
    since: Instant,
    rate: f64,
}

impl Clock {
    pub fn new(start: i64, rate: f64) -> Self {
        Self {
            base: start,
            since: Instant::now(),
            rate: rate.max(0.0),
        }
    }

    pub fn now(&self) -> i64 {
        let elapsed = self.since.elapsed();
        if (self.rate - 1.0).abs() < f64::EPSILON {
            return self.base + elapsed.as_nanos() as i64;
        }
        self.base + (elapsed.as_secs_f64() * self.rate * 1e9) as i64
    }

    pub fn rate(&self) -> f64 {
        self.rate
    }

    pub fn set_rate(&mut self, rate: f64) {
        self.base = self.now();
        self.since = Instant::now();
        self.rate = rate.max(0.0);
    }

    pub fn set(&mut self, to: i64) {
        self.base = to;
        self.since = Instant::now();
    }

    /// Real time until the clock shows `at`; `None` while it stands still.
    pub fn wait_until(&self, at: i64) -> Option<Duration> {
        let ahead = at - self.now();
        if ahead <= 0 {
            return Some(Duration::ZERO);
        }
        (self.rate > 0.0)
            .then(|| Duration::from_secs_f64((ahead as f64 / 1e9 / self.rate).min(3_600.0)))
    }
}
