//! From options to a listening gateway.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use jiff::ToSpan;
use jiff::civil::{Date, Weekday};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;

use crate::contracts::{ContractTable, chicago, chicago_date};
use crate::exchange::Exchange;
use crate::exchange::model::{AccountRules, Event};
use crate::feed::{MarketSource, SourceConfig};
use crate::market;
use crate::server::bar_store::BarStore;
use crate::server::clock::Clock;
use crate::server::faults::{Faults, Rule};
use crate::server::journal::{self, Identity, Journal, Recovered};
use crate::server::options::Options;
use crate::server::token::{Tokens, random_hex};
use crate::server::world::World;
use crate::server::{Gateway, Limits, body, http, pump};

const RULES: &str = include_str!("../../rules.json");

#[derive(Deserialize)]
struct RulesFile {
    accounts: Vec<AccountRules>,
}

/// A gateway that listens: addresses and the tasks' shared state.
pub struct Running {
    pub gateway: Arc<Gateway>,
    pub address: SocketAddr,
    pub control: SocketAddr,
}

/// Opens the source and the state, binds both ports and starts serving on the current runtime.
pub async fn start(options: &Options) -> Result<Running, String> {
    let config = options.source()?;
    let (source, begin) = open_source(options, &config)?;
    let is_replay = matches!(config, SourceConfig::Replay { .. });
    let mut options = options.clone();
    if is_replay {
        // A replay begins with fresh accounts and must not cost the practice market its own.
        options.state = options.state.map(|state| state.join("replay"));
    }
    let options = &options;
    let gateway = Arc::new(build(options, is_replay, source, begin)?);
    let listen = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let main = listen(options.port)
        .await
        .map_err(|e| format!("Port {}: {e}.", options.port))?;
    let control = listen(options.control_port)
        .await
        .map_err(|e| format!("Port {}: {e}.", options.control_port))?;
    let address = main.local_addr().map_err(|e| e.to_string())?;
    let control_address = control.local_addr().map_err(|e| e.to_string())?;
    tokio::spawn(accept(gateway.clone(), main, false));
    tokio::spawn(accept(gateway.clone(), control, true));
    tokio::spawn(pump(gateway.clone()));
    Ok(Running {
        gateway,
        address,
        control: control_address,
    })
}

async fn accept(gateway: Arc<Gateway>, listener: TcpListener, control: bool) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(http::serve(gateway.clone(), stream, control))),
            Err(error) => {
                // Out of descriptors: the next round may find some free again.
                tracing::warn!("accept failed error={error}");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
}

/// Opens the source and tells where the clock is to begin.
fn open_source(
    options: &Options,
    config: &SourceConfig,
) -> Result<(Box<dyn MarketSource>, i64), String> {
    let begin = match &options.clock {
        Some(text) => body::parse_time(text)
            .ok_or_else(|| format!("--clock {text}: an ISO time is expected."))?,
        None => model_start(options),
    };
    let mut source = market::open(config, &ContractTable::at(begin), options.seed, begin)?;
    if options.clock.is_some() && *config != SourceConfig::Model && source.start_time() != begin {
        source.seek(begin)?;
        return Ok((source, begin));
    }
    let start = source.start_time();
    Ok((source, start))
}

/// 08:25 Chicago of a trading day; where it was, if orders or positions exist; never before what is on record.
fn model_start(options: &Options) -> i64 {
    let wall = jiff::Timestamp::now().as_nanosecond() as i64;
    let recovered = options
        .state
        .as_deref()
        .and_then(|dir| Journal::open(dir).ok())
        .map(|(_, kept)| kept);
    let Some(Recovered {
        events,
        at: Some(at),
    }) = recovered
    else {
        return morning(wall, false);
    };
    let mut exchange = Exchange::new(ContractTable::at(at), Vec::new());
    exchange.restore(events);
    if exchange.is_engaged() {
        at
    } else {
        morning(wall.max(at), wall <= at)
    }
}

/// 08:25 Chicago on the trading day of `at`; on the next one if `after` and that moment has passed. No Good Friday: the
/// exchange closes it before that hour, and the firm's flat-by times would refuse every entry.
fn morning(at: i64, after: bool) -> i64 {
    let mut date = chicago_date(at);
    for _ in 0..10 {
        let start = chicago()
            .to_timestamp(date.at(8, 25, 0, 0))
            .map_or(at, |time| time.as_nanosecond() as i64);
        let weekend = matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday);
        if !weekend && !is_good_friday(date) && (!after || start >= at) {
            return start;
        }
        let step = if after { 1.day() } else { (-1).day() };
        date = date.saturating_add(step);
    }
    at
}

/// Two days before Easter Sunday, by the Gregorian computus (Meeus, Jones, Butcher).
fn is_good_friday(date: Date) -> bool {
    let year = i32::from(date.year());
    let (golden, century, rest) = (year % 19, year / 100, year % 100);
    let lunar = (century - (century + 8) / 25 + 1) / 3;
    let epact = (19 * golden + century - century / 4 - lunar + 15) % 30;
    let sunday = (32 + 2 * (century % 4) + 2 * (rest / 4) - epact - rest % 4) % 7;
    let shift = (golden + 11 * epact + 22 * sunday) / 451;
    let easter = epact + sunday - 7 * shift + 114;
    let ahead = date.saturating_add(2.days());
    (i32::from(ahead.month()), i32::from(ahead.day())) == (easter / 31, easter % 31 + 1)
}

fn build(
    options: &Options,
    is_replay: bool,
    source: Box<dyn MarketSource>,
    start: i64,
) -> Result<Gateway, String> {
    let state = options.state.as_deref();
    let disk = |error: io::Error| format!("State folder: {error}.");
    if let (Some(directory), true) = (state, is_replay) {
        journal::forget(directory).map_err(disk)?;
    }
    let identity = journal::identity(state, is_replay, new_identity).map_err(disk)?;
    let (mut journal, recovered) = match state {
        Some(directory) => Journal::open(directory).map_err(disk)?,
        None => (Journal::none(), Recovered::default()),
    };
    let exchange = exchange(options, start, recovered.events)?;
    if let Some(directory) = state {
        journal
            .compact(directory, start, &exchange.snapshot())
            .map_err(disk)?;
    }
    let clock = Clock::new(start, options.rate);
    let mut world = World::new(exchange, source, clock, journal, faults(options)?);
    world.levels = options.levels.clamp(1, 200);
    world.firm_hours = !options.no_firm_hours;
    world.flood_first = options.flood;
    if let (Some(directory), false) = (state, is_replay) {
        world.keep_bars(BarStore::new(directory));
    }
    world.close_at_expiry = !options.hubs_outlive_token;
    Ok(Gateway {
        tokens: Tokens::new(secret_bytes(&identity.secret), options.token_life),
        api_key: options
            .api_key
            .clone()
            .unwrap_or_else(|| identity.api_key.clone()),
        user: options.user.clone(),
        control_token: random_hex(16),
        seed: options.seed,
        limits: (!options.no_rate_limits).then(|| Mutex::new(Limits::default())),
        negotiated: Mutex::default(),
        date: Mutex::default(),
        connections: AtomicU64::new(1),
        instance: Mutex::new(identity.instance),
        options: options.clone(),
        world: Mutex::new(world),
    })
}

/// Starts over at `to` with fresh accounts under a new identity; every hub connection ends.
pub(super) fn renew(gateway: &Gateway, world: &mut World, to: i64) -> Result<String, String> {
    let disk = |error: io::Error| format!("State folder: {error}.");
    let state = gateway.options.state.as_deref();
    let fresh = exchange(&gateway.options, to, Vec::new())?;
    let identity = journal::identity(state, true, new_identity).map_err(disk)?;
    world.restart(fresh, to)?;
    if let Some(directory) = state {
        world.compact(directory).map_err(disk)?;
    }
    gateway.instance.lock().clone_from(&identity.instance);
    Ok(identity.instance)
}

fn new_identity() -> Identity {
    Identity {
        instance: random_hex(8),
        api_key: random_hex(16),
        secret: random_hex(32),
    }
}

fn secret_bytes(hex: &str) -> [u8; 32] {
    let mut secret = [0; 32];
    for (slot, pair) in secret.iter_mut().zip(hex.as_bytes().chunks(2)) {
        let text = std::str::from_utf8(pair).unwrap_or("0");
        *slot = u8::from_str_radix(text, 16).unwrap_or(0);
    }
    secret
}

fn exchange(options: &Options, now: i64, events: Vec<Event>) -> Result<Exchange, String> {
    let rules: RulesFile = serde_json::from_str(RULES).map_err(|e| format!("rules.json: {e}."))?;
    let mut exchange = Exchange::new(ContractTable::at(now), rules.accounts);
    exchange.switches.stop_limit = options.stop_limit;
    exchange.switches.close_clears_children = options.close_clears_children;
    exchange.switches.cancel_takes_sibling = options.cancel_takes_sibling;
    exchange.restore(events);
    exchange.rest_restored();
    exchange.advance_day(now);
    Ok(exchange)
}

fn faults(options: &Options) -> Result<Faults, String> {
    let mut faults = Faults::new(options.seed);
    if let Some(path) = &options.fault {
        let text = std::fs::read(path).map_err(|e| format!("{}: {e}.", path.display()))?;
        let rules: Vec<Rule> =
            serde_json::from_slice(&text).map_err(|e| format!("{}: {e}.", path.display()))?;
        for rule in rules {
            faults.arm(rule)?;
        }
    }
    Ok(faults)
}

impl Running {
    /// The machine-readable first line.
    pub fn announcement(&self) -> String {
        let gateway = &self.gateway;
        let accounts: Vec<_> = gateway
            .world
            .lock()
            .exchange
            .accounts()
            .map(|row| json!({"id": row.rules.id, "name": row.rules.name}))
            .collect();
        json!({
            "rest": format!("http://{}", self.address),
            "user_hub": format!("ws://{}/hubs/user", self.address),
            "market_hub": format!("ws://{}/hubs/market", self.address),
            "user_name": gateway.user,
            "api_key": gateway.api_key,
            "accounts": accounts,
            "seed": gateway.seed.to_string(),
            "control": format!("http://{}", self.control),
            "control_token": gateway.control_token,
            "instance": *gateway.instance.lock(),
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
        })
        .to_string()
    }

    /// Prints the first line and flushes it: the parent reads it as the sign that the port listens.
    pub fn announce(&self, as_json: bool) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if as_json {
            writeln!(out, "{}", self.announcement())?;
        } else {
            let gateway = &self.gateway;
            writeln!(
                out,
                "Practice gateway on http://{} (user {}, key {}).",
                self.address, gateway.user, gateway.api_key
            )?;
        }
        out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        body::parse_time(text).expect("a time")
    }

    #[test]
    fn the_practice_market_opens_on_a_morning_that_trades_whatever_day_it_is() {
        for (now, opens) in [
            ("2026-11-24T16:00:00Z", "2026-11-24T14:25:00Z"),
            // In the halt, in summer, at the weekend, after the clocks changed on a Sunday, on the evening of a Sunday.
            ("2026-11-24T22:30:00Z", "2026-11-24T14:25:00Z"),
            ("2026-07-01T03:00:00Z", "2026-06-30T13:25:00Z"),
            ("2026-11-28T12:00:00Z", "2026-11-27T14:25:00Z"),
            ("2026-11-01T12:00:00Z", "2026-10-30T13:25:00Z"),
            ("2026-11-29T23:30:00Z", "2026-11-27T14:25:00Z"),
            // Good Fridays.
            ("2026-04-03T16:00:00Z", "2026-04-02T13:25:00Z"),
            ("2027-03-27T16:00:00Z", "2027-03-25T13:25:00Z"),
            ("2030-04-19T16:00:00Z", "2030-04-18T13:25:00Z"),
        ] {
            assert_eq!(morning(at(now), false), at(opens), "{now}");
        }
        assert_eq!(
            morning(at("2026-04-02T20:00:00Z"), true),
            at("2026-04-06T13:25:00Z"),
            "after Thursday comes Monday"
        );
    }
}
