//! The gateway as a program: one loopback listener for REST and both hubs, one for the control port, one lock.

mod bar_store;
pub mod bars;
pub mod body;
pub mod clock;
mod control;
pub mod faults;
mod flood;
mod http;
mod hub;
pub mod journal;
pub mod options;
mod rest;
pub mod start;
pub mod stream;
pub mod token;
pub mod world;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hyper::header::HeaderValue;
use parking_lot::Mutex;

use crate::server::options::Options;
use crate::server::token::{Tokens, random_hex};
use crate::server::world::World;

/// What every connection shares.
pub struct Gateway {
    pub world: Mutex<World>,
    pub user: String,
    pub api_key: String,
    /// Names this run's accounts; another one after a seek backwards.
    pub instance: Mutex<String>,
    pub control_token: String,
    pub seed: u64,
    options: Options,
    tokens: Tokens,
    limits: Option<Mutex<Limits>>,
    negotiated: Mutex<HashMap<String, bool>>,
    /// The `Date` of the present second.
    date: Mutex<Option<(i64, HeaderValue)>>,
    connections: AtomicU64,
}

impl Gateway {
    pub(crate) fn now(&self) -> i64 {
        self.world.lock().clock.now()
    }

    pub(crate) fn issue_token(&self) -> String {
        let instance = self.instance.lock().clone();
        self.tokens
            .issue(&instance, &self.user, &random_hex(8), self.now())
    }

    pub(crate) fn next_connection(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed)
    }

    /// False when the bucket of this endpoint is empty.
    pub(crate) fn admit(&self, endpoint: &str) -> bool {
        let Some(limits) = &self.limits else {
            return true;
        };
        limits.lock().admit(endpoint, Instant::now())
    }
}

/// Sliding windows of the login: bars apart, everything else together.
#[derive(Default)]
struct Limits {
    bars: VecDeque<Instant>,
    rest: VecDeque<Instant>,
}

impl Limits {
    fn admit(&mut self, endpoint: &str, now: Instant) -> bool {
        let (window, seconds, most) = if endpoint == "History/retrieveBars" {
            (&mut self.bars, 30, 50)
        } else {
            (&mut self.rest, 60, 200)
        };
        while window
            .front()
            .is_some_and(|at| now.duration_since(*at) >= Duration::from_secs(seconds))
        {
            window.pop_front();
        }
        if window.len() >= most {
            return false;
        }
        window.push_back(now);
        true
    }
}

/// Keeps the market at the clock until the process ends.
async fn pump(gateway: Arc<Gateway>) {
    loop {
        let wait = gateway.world.lock().pump();
        tokio::time::sleep(wait).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_slide_and_bars_have_their_own() {
        let mut limits = Limits::default();
        let start = Instant::now();
        let admitted = (0..250)
            .filter(|_| limits.admit("Order/place", start))
            .count();
        assert_eq!(admitted, 200);
        let bars = (0..60)
            .filter(|_| limits.admit("History/retrieveBars", start))
            .count();
        assert_eq!(bars, 50);
        assert!(limits.admit("Order/place", start + Duration::from_secs(60)));
    }
}
