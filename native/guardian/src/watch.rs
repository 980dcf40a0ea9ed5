//! What the beats say: who lives, who is silent, and what a death leaves alone.
//!
//! Age is counted from when a beat was last seen to change, by this process's own clock. A pause of this process itself
//! (a laptop that slept) is nobody's silence and is taken out.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::{Value, json};
use trading_bot_core::database::heartbeat::{Detail, EngineBeat, EngineState, Reader};

/// An engine is called silent after so long, so that the news is out within two seconds.
const ENGINE_SILENT: Duration = Duration::from_millis(1_500);
const WINDOW_FROZEN: Duration = Duration::from_secs(2);
/// A parent that shows no page by then will not show one.
const PAGE_MISSING: Duration = Duration::from_secs(5);
/// Between two looks at most; more was a pause of ours.
const LOOK_LONGEST: Duration = Duration::from_millis(500);

/// The program that started us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parent {
    There,
    /// Its end of the pipe closed without a goodbye: the process is dead.
    Gone,
}

/// One announcement.
#[derive(Clone, Debug, PartialEq)]
pub struct News {
    pub code: &'static str,
    /// info, warning or alarm.
    pub level: &'static str,
    pub text: String,
    pub more: Value,
}

/// The engine as it looks now.
#[derive(Clone, Debug)]
pub struct Sight {
    /// Since when its beat has not changed; `None` when it never beat.
    pub age: Option<Duration>,
    pub is_gone: bool,
    pub beat: EngineBeat,
}

impl Sight {
    /// It has taken turns within `limit`.
    pub fn is_beating(&self, limit: Duration) -> bool {
        !self.is_gone
            && self.beat.state != EngineState::Ended
            && self.age.is_some_and(|age| age < limit)
    }
}

/// What an announcement is about, so that each is made once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Said {
    NoPage,
    Silence,
    Death,
    Halt,
    Window,
}

/// Pure part: what has been seen and said.
#[derive(Debug)]
struct Seen {
    began: Instant,
    looked: Instant,
    parent: Parent,
    engine: Option<(EngineBeat, Instant)>,
    window: (u64, Instant),
    /// What has been announced and is not over.
    said: BTreeSet<Said>,
}

/// The page and what has been seen on it.
pub struct Watch {
    directory: PathBuf,
    reader: Mutex<Option<Reader>>,
    seen: Mutex<Seen>,
}

impl Watch {
    pub fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            reader: Mutex::new(None),
            seen: Mutex::new(Seen::new(Instant::now())),
        }
    }

    pub fn parent_is(&self, parent: Parent) {
        self.seen.lock().parent = parent;
    }

    pub fn is_parent_gone(&self) -> bool {
        self.seen.lock().parent == Parent::Gone
    }

    /// Reads the page; what is to be announced.
    pub fn look(&self) -> Vec<News> {
        let mut reader = self.reader.lock();
        if reader.is_none() {
            *reader = Reader::open(&self.directory).ok();
        }
        let (engine, window) = reader
            .as_ref()
            .map_or((None, None), |page| (page.engine(), page.window()));
        self.seen.lock().look(engine, window, Instant::now())
    }

    pub fn sight(&self) -> Sight {
        let seen = self.seen.lock();
        Sight {
            age: seen.engine.as_ref().map(|(_, at)| at.elapsed()),
            is_gone: seen.parent == Parent::Gone,
            beat: seen
                .engine
                .as_ref()
                .map(|(beat, _)| beat.clone())
                .unwrap_or_default(),
        }
    }

    /// Since when the window's beat has not changed; `None` when it never beat.
    pub fn window_age(&self) -> Option<Duration> {
        let seen = self.seen.lock();
        (seen.window.0 > 0).then(|| seen.window.1.elapsed())
    }
}

impl Seen {
    fn new(now: Instant) -> Self {
        Self {
            began: now,
            looked: now,
            parent: Parent::There,
            engine: None,
            window: (0, now),
            said: BTreeSet::new(),
        }
    }

    fn look(&mut self, engine: Option<EngineBeat>, window: Option<u64>, now: Instant) -> Vec<News> {
        self.forgive(now);
        if let Some(beat) = engine
            && self
                .engine
                .as_ref()
                .is_none_or(|(last, _)| (last.beat, last.process) != (beat.beat, beat.process))
        {
            self.engine = Some((beat, now));
        }
        if let Some(beat) = window.filter(|beat| *beat != self.window.0) {
            self.window = (beat, now);
        }
        let mut news = Vec::new();
        self.look_at_engine(now, &mut news);
        self.look_at_window(now, &mut news);
        news
    }

    /// Takes a pause of this process out of every age.
    fn forgive(&mut self, now: Instant) {
        let pause = now.duration_since(self.looked);
        if pause > LOOK_LONGEST {
            if let Some((_, at)) = &mut self.engine {
                *at += pause;
            }
            self.window.1 += pause;
        }
        self.looked = now;
    }

    fn look_at_engine(&mut self, now: Instant, news: &mut Vec<News>) {
        let Some((beat, at)) = &self.engine else {
            if now.duration_since(self.began) >= PAGE_MISSING && self.said.insert(Said::NoPage) {
                news.push(no_page());
            }
            return;
        };
        if beat.state == EngineState::Ended {
            return;
        }
        let age = now.duration_since(*at);
        let is_dead = self.parent == Parent::Gone;
        if is_dead || age >= ENGINE_SILENT {
            // A death after a silence is news of its own.
            let subject = if is_dead { Said::Death } else { Said::Silence };
            if self.said.insert(subject) {
                news.push(loss_of(beat, age, is_dead));
            }
        } else if self.said.remove(&Said::Silence) {
            let text = "Pitdesk's engine works again.".to_owned();
            news.push(News {
                code: "engine_back",
                level: "info",
                text,
                more: Value::Null,
            });
        }
        if beat.state == EngineState::Halted && self.said.insert(Said::Halt) {
            news.push(News {
                code: "engine_halted",
                level: "alarm",
                text: format!(
                    "Pitdesk's engine has failed; only cancels and closes are left. {}",
                    unmanaged(&beat.detail)
                ),
                more: json!({"process": beat.process}),
            });
        }
    }

    /// A frozen window is news only while the engine works: the death of both is told once.
    fn look_at_window(&mut self, now: Instant, news: &mut Vec<News>) {
        let is_engine_well = self.parent == Parent::There
            && self.engine.as_ref().is_some_and(|(beat, at)| {
                beat.state != EngineState::Ended && now.duration_since(*at) < ENGINE_SILENT
            });
        let age = now.duration_since(self.window.1);
        if self.window.0 == 0 || !is_engine_well {
            return;
        }
        let is_frozen = age >= WINDOW_FROZEN;
        let is_change = if is_frozen {
            self.said.insert(Said::Window)
        } else {
            self.said.remove(&Said::Window)
        };
        if !is_change {
            return;
        }
        let (code, level, text) = if is_frozen {
            let text = format!(
                "Pitdesk's window has not moved for {:.1} s; what it shows is old. The engine works, orders and exits are managed.",
                age.as_secs_f64()
            );
            ("window_frozen", "warning", text)
        } else {
            let text = "Pitdesk's window moves again.".to_owned();
            ("window_back", "info", text)
        };
        let more = json!({"age_ms": age.as_millis() as u64});
        news.push(News {
            code,
            level,
            text,
            more,
        });
    }
}

fn no_page() -> News {
    let text = "The guardian sees no heartbeat of Pitdesk's engine, so that it cannot tell when the engine dies. `pitdesk kill` works.";
    News {
        code: "no_heartbeat",
        level: "warning",
        text: text.to_owned(),
        more: Value::Null,
    }
}

fn loss_of(beat: &EngineBeat, age: Duration, is_dead: bool) -> News {
    let what = if is_dead {
        format!(
            "Pitdesk (process {}) has ended without a goodbye.",
            beat.process
        )
    } else {
        format!(
            "Pitdesk's engine has been silent for {:.1} s.",
            age.as_secs_f64()
        )
    };
    let detail = &beat.detail;
    let is_empty =
        beat.living_orders == 0 && detail.positions.is_empty() && detail.exits.is_empty();
    News {
        code: if is_dead {
            "engine_dead"
        } else {
            "engine_silent"
        },
        level: if is_empty { "warning" } else { "alarm" },
        text: format!("{what} {}", describe(beat)),
        more: json!({
            "process": beat.process, "age_ms": age.as_millis() as u64, "living_orders": beat.living_orders,
            "positions": detail.positions, "exits": detail.exits,
        }),
    }
}

fn describe(beat: &EngineBeat) -> String {
    let mut text = unmanaged(&beat.detail);
    match beat.living_orders {
        0 => {}
        1 => text.push_str(" 1 order works at the broker."),
        count => {
            let _ = write!(text, " {count} orders work at the broker.");
        }
    }
    if beat.living_orders > 0 || !beat.detail.positions.is_empty() {
        text.push_str(" `pitdesk kill` cancels and flattens everything.");
    }
    text
}

/// What nobody manages now, in one or two sentences.
fn unmanaged(detail: &Detail) -> String {
    let name = |id: i64| {
        let known = detail.accounts.iter().find(|account| account.id == id);
        known.map_or_else(|| id.to_string(), |account| account.name.clone())
    };
    let positions: Vec<String> = detail
        .positions
        .iter()
        .map(|p| {
            let (lots, covered) = (p.net_lots.abs(), p.stop_lots.min(p.net_lots.abs()));
            format!(
                "{:+} {} on {} ({covered} of {lots} lots have a stop at the broker)",
                p.net_lots,
                p.contract,
                name(p.account)
            )
        })
        .collect();
    let exits: Vec<String> = detail
        .exits
        .iter()
        .map(|exit| {
            format!(
                "{} in {} on {}",
                exit.what,
                exit.contract,
                name(exit.account)
            )
        })
        .collect();
    let mut text = if positions.is_empty() {
        "No position was open.".to_owned()
    } else {
        format!("Unmanaged: {}.", positions.join("; "))
    };
    if !exits.is_empty() {
        let _ = write!(
            text,
            " Held by this computer and no longer carried out: {}.",
            exits.join("; ")
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use trading_bot_core::database::heartbeat::{HeldAccount, HeldExit, HeldPosition};

    fn beat(number: u64) -> EngineBeat {
        EngineBeat {
            beat: number,
            process: 7,
            living_orders: 2,
            state: EngineState::Live,
            detail: Detail {
                gateway: "g".into(),
                accounts: vec![HeldAccount {
                    id: 5,
                    name: "PRAC-5".into(),
                }],
                positions: vec![HeldPosition {
                    account: 5,
                    contract: "MNQ".into(),
                    net_lots: -3,
                    stop_lots: 2,
                }],
                exits: vec![HeldExit {
                    account: 5,
                    contract: "MNQ".into(),
                    what: "trail".into(),
                }],
            },
            ..EngineBeat::default()
        }
    }

    /// Looks every 50 ms for `span`, with the beats that `engine` and `window` give for the number of the look.
    fn watch(
        seen: &mut Seen,
        start: Instant,
        looks: std::ops::Range<u64>,
        engine: impl Fn(u64) -> u64,
        window: impl Fn(u64) -> u64,
    ) -> Vec<(u64, News)> {
        looks
            .flat_map(|n| {
                let now = start + Duration::from_millis(50 * n);
                let news = seen.look(Some(beat(engine(n))), Some(window(n)), now);
                news.into_iter().map(move |news| (n * 50, news))
            })
            .collect()
    }

    #[test]
    fn a_silent_engine_is_announced_within_two_seconds_with_what_it_leaves() {
        let start = Instant::now();
        let mut seen = Seen::new(start);
        let told = watch(&mut seen, start, 1..60, |n| n.min(10), |_| 0);
        assert_eq!(told.len(), 1, "{told:?}");
        let (at_ms, news) = &told[0];
        assert!(at_ms - 500 < 2_000);
        assert_eq!((news.code, news.level), ("engine_silent", "alarm"));
        for part in [
            "-3 MNQ on PRAC-5",
            "2 of 3 lots",
            "trail in MNQ",
            "2 orders",
        ] {
            assert!(news.text.contains(part), "{}", news.text);
        }
    }

    #[test]
    fn a_broken_pipe_is_a_death_at_once() {
        let start = Instant::now();
        let mut seen = Seen::new(start);
        watch(&mut seen, start, 1..5, |n| n, |_| 0);
        seen.parent = Parent::Gone;
        let told = watch(&mut seen, start, 5..40, |_| 4, |_| 0);
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].0, told[0].1.code), (250, "engine_dead"));
    }

    #[test]
    fn a_frozen_window_is_told_with_its_age_and_when_it_is_over() {
        let start = Instant::now();
        let mut seen = Seen::new(start);
        let told = watch(
            &mut seen,
            start,
            1..100,
            |n| n,
            |n| if n < 80 { n.min(20) } else { n },
        );
        let codes: Vec<_> = told.iter().map(|(_, news)| news.code).collect();
        assert_eq!(codes, ["window_frozen", "window_back"]);
        assert_eq!(told[0].1.more["age_ms"], 2_000);
    }

    #[test]
    fn a_page_that_never_comes_is_told_once() {
        let start = Instant::now();
        let mut seen = Seen::new(start);
        let told: Vec<News> = (1..200)
            .flat_map(|n| seen.look(None, None, start + Duration::from_millis(50 * n)))
            .collect();
        let codes: Vec<_> = told.iter().map(|news| news.code).collect();
        assert_eq!(codes, ["no_heartbeat"]);
    }

    #[test]
    fn our_own_pause_is_nobodys_silence() {
        let start = Instant::now();
        let mut seen = Seen::new(start);
        watch(&mut seen, start, 1..5, |n| n, |n| n);
        let later = start + Duration::from_secs(3_600);
        assert_eq!(seen.look(Some(beat(4)), Some(4), later), []);
    }

    #[test]
    fn an_engine_that_ended_in_order_is_not_mourned() {
        let start = Instant::now();
        let mut seen = Seen::new(start);
        let ended = EngineBeat {
            state: EngineState::Ended,
            ..beat(9)
        };
        let told: Vec<News> = (1..100)
            .flat_map(|n| {
                seen.look(
                    Some(ended.clone()),
                    Some(3),
                    start + Duration::from_millis(50 * n),
                )
            })
            .collect();
        assert_eq!(told, []);
    }
}
