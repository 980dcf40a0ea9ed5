use super::*;
use crate::engine::contract::Environment;
use crate::order_execution::trading::Settings;
use crate::types::Decimal;
use crate::websocket::parse::DepthRecord;

const CONTRACT: &str = "CON.F.US.MNQ.Z26";
const INDEX: ContractIndex = ContractIndex(0);
/// 2026-10-06T14:30:00Z, a Tuesday in session.
const NOON: i64 = 1_791_297_000_000_000_000;

/// The market half alone, with one subscribed contract and a live hub.
struct Desk {
    market: Market,
    trading: Trading,
    clock: MarketClock,
    now: Mono,
}

impl Desk {
    fn new() -> Self {
        let mut desk = Self {
            market: Market::default(),
            trading: Trading::new("pabcdef-1-", Settings::default()),
            clock: MarketClock::new(),
            now: Mono(0),
        };
        desk.trading.environment = Some(Environment::Demo);
        desk.pass(SECOND);
        desk.clock.observe(Nanos(NOON), desk.now);
        desk.pass(0);
        desk.market.define(&[contract_row()], &mut desk.trading);
        desk.link(LinkState::Live);
        desk.market
            .subscribe(RequestId(1), CONTRACT, &mut desk.trading);
        desk
    }

    fn pass(&mut self, time: u64) {
        self.now = Mono(self.now.0 + time);
        let market_now = self.clock.now(self.now).unwrap_or(Nanos(0));
        self.trading.set_now(self.now, market_now);
    }

    fn link(&mut self, state: LinkState) {
        self.market
            .link_changed(LinkName::Market, state, &mut self.trading);
    }

    fn take(&mut self, event: MarketEvent<'_>) {
        let stamp = Stamp {
            mono: self.now,
            wall: Nanos(0),
            recv: self.now,
        };
        self.market.take(event, stamp, &mut self.trading);
    }

    fn depth(&mut self, records: &[(u8, i64, i64)]) {
        let record = |&(kind, price, size): &(u8, i64, i64)| DepthRecord {
            time: self.trading.now_ns(),
            kind,
            price: Ticks(price),
            size: Lots(size),
        };
        let records: Vec<_> = records.iter().map(record).collect();
        self.take(MarketEvent::Depth(INDEX, &records));
    }

    fn view(&self) -> MarketView {
        self.market.instruments[&INDEX].view(INDEX)
    }
}

fn contract_row() -> BrokerContract {
    BrokerContract {
        id: CONTRACT.into(),
        name: "MNQZ6".into(),
        description: String::new(),
        tick_size: Decimal::new(25, -2),
        tick_value: Decimal::new(5, -1),
        is_active: true,
        symbol_id: "F.US.MNQ".into(),
    }
}

const SNAPSHOT: [(u8, i64, i64); 5] = [(6, 0, 0), (2, 10, 3), (2, 9, 5), (1, 11, 4), (1, 12, 6)];

#[test]
fn a_hub_that_was_only_silent_keeps_its_book() {
    let mut desk = Desk::new();
    desk.depth(&SNAPSHOT);
    desk.pass(4 * SECOND);
    desk.link(LinkState::Late);
    assert!(desk.view().is_late);
    desk.depth(&[(2, 10, 1)]);
    desk.link(LinkState::Live);
    let view = desk.view();
    assert_eq!(
        (view.bids, view.asks),
        (vec![(10, 1), (9, 5)], vec![(11, 4), (12, 6)])
    );
    assert_eq!((view.book_state, view.is_late), ("live", false));
}

#[test]
fn a_snapshot_that_comes_before_the_word_that_the_hub_is_live_stays() {
    let mut desk = Desk::new();
    desk.depth(&SNAPSHOT);
    desk.link(LinkState::Dead);
    assert_eq!(desk.view().book_state, "stale");
    desk.link(LinkState::Connecting);
    desk.depth(&[(2, 20, 7), (1, 21, 8)]);
    desk.link(LinkState::Live);
    let view = desk.view();
    assert_eq!((view.bids, view.asks), (vec![(20, 7)], vec![(21, 8)]));
    assert_eq!(view.book_state, "live");
}
