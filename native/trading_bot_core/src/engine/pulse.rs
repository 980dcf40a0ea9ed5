//! The engine's heartbeat: what is published, shortened to what a guardian must know, at least five times a second.
//!
//! It is written by the engine's own thread between two turns, so that a beat proves that turns are taken; the
//! interpreter's lock has no part in it.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::views::{Board, OrderRow};
use crate::clock::mono;
use crate::database::heartbeat::{
    Detail, EngineBeat, EngineState, HeldAccount, HeldExit, HeldPosition, Page,
};
use crate::types::Mono;

/// The engine naps at most 200 ms, so that a beat is never older than that while it works.
const BEAT_EVERY: Duration = Duration::from_millis(100);
/// While orders are on their way a beat waits for a better moment, and no longer than this: it walks all rows and writes a
/// file. A guardian calls an engine silent after 1.5 s.
const BEAT_AT_LEAST: Duration = Duration::from_millis(300);

/// The page, shared by engine and window. Without a page nothing beats: trading does not depend on being watched.
#[derive(Debug)]
pub struct Heart {
    page: Option<Page>,
    window: AtomicU64,
}

impl Heart {
    pub fn new(directory: &Path) -> Self {
        let page = Page::create(directory);
        if let Err(error) = &page {
            tracing::warn!(%error, "heartbeat state=absent");
        }
        Self {
            page: page.ok(),
            window: AtomicU64::new(0),
        }
    }

    /// The window's thread takes its turns; call it from that thread a few times a second.
    pub fn beat_window(&self) {
        let beat = self.window.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(page) = &self.page {
            // A beat that cannot be written is what the guardian waits for.
            let _ = page.write_window(beat, mono().0);
        }
    }
}

/// The engine thread's own part.
#[derive(Debug, Default)]
pub struct Pulse {
    beat: u64,
    last: Option<Mono>,
}

impl Pulse {
    /// Beats when it is due; later when `is_hurried`. `gateway` is the identity of the journal in use.
    pub fn beat(&mut self, heart: &Heart, board: &Board, gateway: &str, is_hurried: bool) {
        let now = mono();
        if self.is_due(now, is_hurried) && heart.page.is_some() {
            self.last = Some(now);
            self.write(heart, board, gateway, state_of(board), now);
        }
    }

    fn is_due(&self, now: Mono, is_hurried: bool) -> bool {
        let pause = if is_hurried {
            BEAT_AT_LEAST
        } else {
            BEAT_EVERY
        };
        self.last
            .is_none_or(|last| Duration::from_nanos(now.0.saturating_sub(last.0)) >= pause)
    }

    /// The last beat of an engine that ends in order.
    pub fn end(&mut self, heart: &Heart, board: &Board, gateway: &str) {
        self.write(heart, board, gateway, EngineState::Ended, mono());
    }

    fn write(
        &mut self,
        heart: &Heart,
        board: &Board,
        gateway: &str,
        state: EngineState,
        now: Mono,
    ) {
        self.beat += 1;
        let orders = board.orders.load();
        let beat = EngineBeat {
            beat: self.beat,
            mono_ns: now.0,
            process: std::process::id(),
            requests_used: u32::try_from(board.status.load().budget_used).unwrap_or(0),
            living_orders: orders.iter().filter(|row| is_living(row.life)).count() as u32,
            state,
            detail: detail_of(board, gateway),
        };
        if let Some(page) = &heart.page {
            let _ = page.write_engine(&beat);
        }
    }
}

fn state_of(board: &Board) -> EngineState {
    match board.status.load().state {
        "live" => EngineState::Live,
        "halted" => EngineState::Halted,
        _ => EngineState::Idle,
    }
}

fn is_living(life: &str) -> bool {
    matches!(life, "intent" | "sent" | "suspended" | "working")
}

fn detail_of(board: &Board, gateway: &str) -> Detail {
    let accounts = board.accounts.load();
    let positions = board.positions.load();
    Detail {
        gateway: gateway.to_owned(),
        accounts: accounts
            .iter()
            .filter(|row| row.is_own)
            .map(|row| HeldAccount {
                id: row.id,
                name: row.name.to_string(),
            })
            .collect(),
        positions: positions
            .iter()
            .filter(|row| row.net_lots != 0)
            .map(|row| HeldPosition {
                account: row.account_id,
                contract: row.contract_id.to_string(),
                net_lots: row.net_lots,
                stop_lots: row.stop_lots,
            })
            .collect(),
        exits: exits_of(board),
    }
}

/// Exits that nobody carries out without this engine: rules that move stops, and orders that it only holds.
fn exits_of(board: &Board) -> Vec<HeldExit> {
    let (rules, orders) = (board.stop_rules.load(), board.orders.load());
    let rules = rules.iter().filter(|rule| rule.state != "ended");
    let rules = rules.map(|rule| HeldExit {
        account: rule.account_id,
        contract: rule.contract_id.to_string(),
        what: match (rule.break_even_trigger_ticks, rule.trail_stages.is_empty()) {
            (Some(_), false) => "break-even and trail",
            (None, false) => "trail",
            (_, true) => "break-even",
        }
        .to_owned(),
    });
    let is_linked = |row: &OrderRow| row.holder != "broker" || !row.oco_group.is_empty();
    let held = orders
        .iter()
        .filter(|row| is_linked(row) && is_living(row.life));
    let held = held.map(|row| HeldExit {
        account: row.account_id,
        contract: row.contract_id.to_string(),
        what: if row.oco_group.is_empty() {
            format!("link of the {}", row.role)
        } else {
            "OCO link".to_owned()
        },
    });
    let mut exits: Vec<HeldExit> = rules.chain(held).collect();
    // One line for a pair of legs, or for all orders of a group.
    exits.sort_by(|a, b| (a.account, &a.contract, &a.what).cmp(&(b.account, &b.contract, &b.what)));
    exits.dedup();
    exits
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::engine::views::StopRuleRow;

    fn rule(contract: &str, state: &'static str) -> StopRuleRow {
        StopRuleRow {
            key: "p-1".into(),
            account_id: 5,
            contract: 0,
            contract_id: contract.into(),
            break_even_trigger_ticks: Some(8),
            break_even_plus_ticks: 0,
            trail_stages: vec![(1, 40, 4)],
            is_immediate: false,
            state,
            best_ticks: None,
            level_ticks: None,
            moves: 0,
            source: "test".into(),
            text: "".into(),
        }
    }

    #[test]
    fn rules_that_move_stops_are_named_once_while_they_live() {
        let board = Board::default();
        let rules = ["trailing", "waiting", "ended"].map(|state| rule("MNQ", state));
        board.stop_rules.store(Arc::new(rules.to_vec()));
        let exits = detail_of(&board, "g").exits;
        let named = HeldExit {
            account: 5,
            contract: "MNQ".into(),
            what: "break-even and trail".into(),
        };
        assert_eq!(exits, [named]);
    }

    #[test]
    fn a_beat_lets_an_order_pass_but_not_one_after_the_other() {
        const MS: u64 = 1_000_000;
        let pulse = Pulse {
            beat: 1,
            last: Some(Mono(0)),
        };
        let due = |ms: u64| {
            let at = Mono(ms * MS);
            (pulse.is_due(at, false), pulse.is_due(at, true))
        };
        assert_eq!(due(99), (false, false));
        assert_eq!(due(100), (true, false));
        assert_eq!(due(300), (true, true));
        assert!(Pulse::default().is_due(Mono(0), true), "the first at once");
    }

    #[test]
    fn the_last_beat_tells_an_end_in_order() {
        let folder = std::env::temp_dir().join(format!("pitdesk-pulse-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a scratch directory");
        let (heart, board, mut pulse) = (Heart::new(&folder), Board::default(), Pulse::default());
        pulse.beat(&heart, &board, "g", false);
        let reader = crate::database::heartbeat::Reader::open(&folder).expect("a page");
        let first = reader.engine().expect("a beat");
        assert_eq!((first.beat, first.state), (1, EngineState::Idle));
        pulse.end(&heart, &board, "g");
        let last = reader.engine().expect("a beat");
        assert_eq!((last.beat, last.state), (2, EngineState::Ended));
        std::fs::remove_dir_all(&folder).expect("removable");
    }
}
