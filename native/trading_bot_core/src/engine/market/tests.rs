use super::*;
use crate::engine::contract::{Attempt, Envelope, Environment};
use crate::order_execution::record::SeenRow;
use crate::order_execution::trading::Settings;
use crate::types::{BrokerBar, Decimal};
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

    /// A broker with a bar for every minute since `first`, oldest at that minute, that gives `most` at once. Returns the
    /// counts that were asked for.
    fn answer_history(&mut self, first: i64, most: usize) -> Vec<i64> {
        let mut counts = Vec::new();
        for _ in 0..100 {
            self.market.run(&mut self.trading, &self.clock);
            let sends: Vec<_> = self.sends().collect();
            if sends.is_empty() {
                return counts;
            }
            for (id, body) in sends {
                let json: serde_json::Value = serde_json::from_str(&body).expect("JSON");
                counts.push(json["limit"].as_i64().expect("a number"));
                let limit = most.min(json["limit"].as_u64().expect("a count") as usize);
                let end = json["endTime"].as_str().expect("a time");
                let end = Nanos::from_iso(end.as_bytes()).expect("a time").0;
                let bars = (0..).map(|back| NOON - back * MINUTE);
                let bars = bars.take_while(|at| *at >= first).filter(|at| *at <= end);
                let rows = Rows::Bars(bars.take(limit).map(bar).collect());
                self.reply(id, rows);
            }
        }
        panic!("history is asked for without end");
    }

    fn sends(&mut self) -> impl Iterator<Item = (SendId, String)> + use<> {
        let effects = self.trading.take_effects().into_iter();
        effects.filter_map(|effect| match effect {
            Effect::Send(send) if send.endpoint == Endpoint::RetrieveBars => {
                Some((send.id, send.body))
            }
            _ => None,
        })
    }

    fn reply(&mut self, id: SendId, rows: Rows) {
        let envelope = Envelope {
            success: true,
            ..Envelope::default()
        };
        let attempt = Attempt::Answered {
            status: 200,
            envelope: Some(envelope),
        };
        let reply = Reply { id, attempt, rows };
        self.market.reply(reply, &mut self.trading);
    }

    fn watch_minutes(&mut self, count: i64) {
        let key = (BarUnit::Minute, 1, count);
        self.market
            .watch_bars(RequestId(9), CONTRACT, key, &mut self.trading);
    }

    fn minutes(&self) -> Vec<i64> {
        let series = &self.market.instruments[&INDEX].series[&(BarUnit::Minute, 1)];
        let bars = series.bars.closed().iter().chain(series.bars.forming());
        bars.map(|bar| bar.time.0).collect()
    }

    /// An own order to buy rests at a price; `index` is its row.
    fn rest(&mut self, price: i64, index: usize) {
        let row = SeenRow {
            id: 9,
            account: 1,
            contract: CONTRACT.into(),
            tag: Some("pabcdef-1-1".into()),
            status: 1,
            kind: Some(1),
            side: Some(0),
            size: Some(1),
            limit: Some(price),
            created: self.trading.now_ns().0,
            updated: self.trading.now_ns().0,
            ..SeenRow::default()
        };
        let store = &mut self.trading.store;
        store.apply(&Record::Seen { row, read: true });
        let at = store.order("pabcdef-1-1").expect("the order is known");
        let order = store.orders[at].clone();
        let now = self.trading.now_ns();
        self.market.track(index, &order, now);
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

const MINUTE: i64 = 60 * SECOND as i64;

fn bar(at: i64) -> BrokerBar {
    let price = Decimal::new(25_000, 0);
    BrokerBar {
        time: Nanos(at),
        open: price,
        high: price,
        low: price,
        close: price,
        volume: Lots(1),
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

#[test]
fn history_of_a_server_that_cuts_its_answers_is_read_page_by_page() {
    let mut desk = Desk::new();
    desk.watch_minutes(60);
    let asked = desk.answer_history(NOON - 500 * MINUTE, 25);
    assert_eq!(asked, [60, 35, 10]);
    let expected: Vec<i64> = (0..60).rev().map(|back| NOON - back * MINUTE).collect();
    assert_eq!(desk.minutes(), expected);
}

#[test]
fn history_that_is_shorter_than_wanted_ends_with_one_empty_page() {
    let mut desk = Desk::new();
    desk.watch_minutes(60);
    let asked = desk.answer_history(NOON - 9 * MINUTE, 25);
    assert_eq!(asked, [60, 50]);
    assert_eq!(desk.minutes().len(), 10);
}

#[test]
fn a_reconnect_reads_back_to_what_is_held_and_no_further() {
    let mut desk = Desk::new();
    desk.watch_minutes(60);
    desk.answer_history(NOON - 500 * MINUTE, 25);
    desk.link(LinkState::Dead);
    desk.link(LinkState::Live);
    assert_eq!(desk.answer_history(NOON - 500 * MINUTE, 25), [60]);
    assert_eq!(desk.minutes().len(), 60);
}

#[test]
fn an_answer_from_before_a_reconnect_does_not_end_the_gap() {
    let mut desk = Desk::new();
    desk.watch_minutes(60);
    desk.market.run(&mut desk.trading, &desk.clock);
    let old: Vec<_> = desk.sends().collect();
    desk.link(LinkState::Dead);
    desk.pass(SECOND);
    desk.link(LinkState::Live);
    for (id, _) in old {
        desk.reply(id, Rows::Bars(vec![bar(NOON - MINUTE)]));
    }
    assert!(desk.minutes().is_empty());
    desk.answer_history(NOON - 500 * MINUTE, 100);
    assert_eq!(desk.minutes().len(), 60);
}

#[test]
fn a_price_below_the_deepest_level_shown_has_no_known_queue() {
    let mut desk = Desk::new();
    desk.depth(&SNAPSHOT);
    desk.rest(9, 100);
    assert_eq!(desk.market.queue_of(100, INDEX), (5, 5));
    desk.depth(&[(2, 9, 0)]);
    assert_eq!(desk.market.queue_of(100, INDEX), (-1, -1));
    desk.depth(&[(2, 9, 8)]);
    assert_eq!(desk.market.queue_of(100, INDEX), (0, 5));
}

#[test]
fn an_order_that_moves_joins_the_end_of_another_queue() {
    let mut desk = Desk::new();
    desk.depth(&SNAPSHOT);
    desk.rest(9, 100);
    desk.depth(&[(2, 9, 2)]);
    assert_eq!(desk.market.queue_of(100, INDEX), (2, 2));
    desk.rest(10, 100);
    assert_eq!(desk.market.queue_of(100, INDEX), (3, 3));
    desk.link(LinkState::Dead);
    assert_eq!(desk.market.queue_of(100, INDEX), (-1, -1));
}

#[test]
fn an_order_that_rested_before_the_book_was_seen_may_be_anywhere_in_it() {
    let mut desk = Desk::new();
    desk.rest(10, 100);
    desk.pass(5 * SECOND);
    desk.depth(&SNAPSHOT);
    assert_eq!(desk.market.queue_of(100, INDEX), (0, 3));
}
