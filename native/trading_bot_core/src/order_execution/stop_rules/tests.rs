//! A position, its stop, and scripted prices: which modifications leave, and what becomes of the rule.

use super::rule::{BreakEven, Plan, Stage};
use crate::engine::contract::{Attempt, Effect, Endpoint, Envelope, Reply, Rows};
use crate::engine::views::{Event, NoticeLevel};
use crate::order_execution::gate::MarketFacts;
use crate::order_execution::ledger::Fill;
use crate::order_execution::order::Values;
use crate::order_execution::record::{ContractRow, IntentRow, Record, SeenRow};
use crate::order_execution::send::Outgoing;
use crate::order_execution::trading::{AccountState, Settings, Trading};
use crate::types::{AccountId, BrokerAccount, ContractIndex, Mono, Nanos, RequestId, Ticks};

const PREFIX: &str = "pabc123-1-";
const STOP: &str = "pabc123-1-2";
const ACCOUNT: i32 = 7;
const CONTRACT: &str = "CON.F.US.MNQ.Z26";
const ENTRY: i64 = 1_000;

/// One account with a position and a stop; `sign` mirrors every price around the entry.
struct Desk {
    trading: Trading,
    journal: Vec<Vec<u8>>,
    sign: i64,
    sends: Vec<Outgoing>,
    notices: Vec<(NoticeLevel, String)>,
    request: u64,
}

impl Desk {
    fn new(sign: i64) -> Self {
        let mut desk = Self {
            trading: Trading::new(PREFIX, Settings::default()),
            journal: Vec::new(),
            sign,
            sends: Vec::new(),
            notices: Vec::new(),
            request: 0,
        };
        desk.trading.set_now(Mono(1_000_000_000), Nanos(1_000));
        desk.compare();
        desk.trading.record(&Record::Contract(ContractRow {
            id: CONTRACT.into(),
            name: "MNQZ6".into(),
            description: String::new(),
            symbol_id: "F.US.MNQ".into(),
            root: "MNQ".into(),
            tick_units: 25,
            decimals: 2,
            tick_value: 5_000,
            is_active: true,
        }));
        desk.trade(1, 2);
        desk.place_stop(-20);
        desk.take();
        desk
    }

    fn compare(&mut self) {
        let row = BrokerAccount {
            id: AccountId(ACCOUNT),
            name: "PRAC-1".into(),
            balance: None,
            can_trade: true,
            is_visible: true,
            is_simulated: true,
        };
        let state = AccountState {
            row,
            is_chosen: true,
            is_reconciled: true,
        };
        self.trading.accounts.insert(AccountId(ACCOUNT), state);
        self.trading.take_lock(AccountId(ACCOUNT), None);
    }

    fn at(&self, profit: i64) -> i64 {
        ENTRY + self.sign * profit
    }

    /// A fill of the position's side (or, negative, against it) at the entry.
    fn trade(&mut self, id: i64, lots: i64) {
        let is_buy = lots * self.sign > 0;
        self.trading.record(&Record::Trade(Fill {
            trade_id: id,
            order_id: 0,
            account: ACCOUNT,
            contract: CONTRACT.into(),
            side: i32::from(!is_buy),
            price: ENTRY,
            size: lots.abs(),
            fees: 0,
            time: id,
            voided: false,
        }));
        self.trading.run();
    }

    fn place_stop(&mut self, profit: i64) {
        self.trading.record(&Record::Intent(IntentRow {
            tag: STOP.into(),
            account: ACCOUNT,
            contract: CONTRACT.into(),
            side: i32::from(self.sign > 0),
            kind: 4,
            size: 2,
            limit: None,
            stop: Some(self.at(profit)),
            trail: None,
            stop_bracket: None,
            target_bracket: None,
            is_reduce_only: true,
            source: "test".into(),
            at: 1,
        }));
        self.see_stop(1, profit);
    }

    fn see_stop(&mut self, status: i64, profit: i64) {
        let row = SeenRow {
            id: 50,
            account: ACCOUNT,
            contract: CONTRACT.into(),
            tag: Some(STOP.into()),
            status,
            kind: Some(4),
            side: Some(i32::from(self.sign > 0)),
            size: Some(2),
            stop: Some(self.at(profit)),
            ..SeenRow::default()
        };
        self.trading.record(&Record::Seen { row, read: false });
        self.trading.run();
        self.take();
    }

    fn attach(&mut self, plan: &Plan) {
        self.request += 1;
        let request = RequestId(self.request);
        self.trading
            .set_stop_rule(request, STOP, Some(plan.clone()), "test");
        self.take();
    }

    /// One message of prints, in ticks of profit.
    fn prints(&mut self, profits: &[i64]) {
        let prices = profits.iter().map(|profit| self.at(*profit));
        let span = (prices.clone().min(), prices.max());
        let last = Ticks(self.at(*profits.last().expect("a print")));
        let market = MarketFacts {
            bid: last.checked_offset(-1),
            ask: last.checked_offset(1),
            last: Some(last),
            is_late: false,
        };
        self.trading.markets.insert(ContractIndex(0), market);
        let span = span
            .0
            .zip(span.1)
            .map(|(low, high)| (Ticks(low), Ticks(high)));
        self.trading.prices_moved(ContractIndex(0), span);
        self.take();
    }

    fn take(&mut self) {
        for effect in self.trading.take_effects() {
            match effect {
                Effect::Journal { record, .. } => self.journal.push(record),
                Effect::Send(send) => self.sends.push(send),
                Effect::Event(Event::Notice(notice)) => {
                    self.notices.push((notice.level, notice.text));
                }
                _ => {}
            }
        }
    }

    /// Ticks of profit at which the modifications so far wanted the stop.
    fn moves(&self) -> Vec<i64> {
        let sends = self
            .sends
            .iter()
            .filter(|send| send.endpoint == Endpoint::Modify);
        let stop = |send: &Outgoing| {
            let json: serde_json::Value = serde_json::from_str(&send.body).expect("JSON");
            let price = json["stopPrice"].as_f64().expect("a stop price");
            self.sign * ((price * 4.0) as i64 - ENTRY)
        };
        sends.map(stop).collect()
    }

    fn answer(&mut self, is_success: bool) {
        let id = self.sends.last().expect("a request").id;
        let envelope = Envelope {
            success: is_success,
            error_code: if is_success { 0 } else { 3 },
            ..Envelope::default()
        };
        self.trading.reply(Reply {
            id,
            attempt: Attempt::Answered {
                status: 200,
                envelope: Some(envelope),
            },
            rows: Rows::None,
        });
        self.trading.run();
        self.take();
    }

    /// Plays a path of single prints; every modification is answered at once.
    fn play(&mut self, profits: &[i64]) {
        for profit in profits {
            let before = self.moves().len();
            self.prints(&[*profit]);
            if self.moves().len() > before {
                self.answer(true);
            }
        }
    }

    fn is_ruled(&self) -> bool {
        self.trading.store.rules.contains_key(STOP)
    }

    /// The process dies and comes back with nothing but its journal.
    fn restart(&mut self) {
        let mut trading = Trading::new(PREFIX, Settings::default());
        trading.set_now(Mono(2_000_000_000), Nanos(2_000));
        assert_eq!(trading.replay(self.journal.iter().map(Vec::as_slice)), 0);
        assert!(
            trading.store == self.trading.store,
            "the journal tells the state"
        );
        self.trading = trading;
    }

    fn last_notice(&self) -> &str {
        self.notices.last().map_or("", |(_, text)| text)
    }
}

fn s10() -> Plan {
    Plan {
        break_even: Some(BreakEven {
            trigger: 8,
            plus: 1,
        }),
        stages: vec![Stage {
            start: 16,
            distance: 12,
            step: 4,
        }],
        is_immediate: false,
    }
}

#[test]
fn a_path_up_and_down_moves_the_stop_at_the_exact_ticks_and_no_oftener() {
    for sign in [1, -1] {
        let mut desk = Desk::new(sign);
        desk.attach(&s10());
        desk.play(&[
            0, 4, 7, 5, 8, 9, 3, 12, 15, 16, 17, 19, 14, 20, 21, 18, 24, 13,
        ]);
        assert_eq!(desk.moves(), [1, 4, 8, 12], "sign {sign}");
        let explained = desk
            .notices
            .iter()
            .filter(|(_, text)| text.starts_with("Stop of MNQZ6"));
        assert_eq!(
            explained.count(),
            4,
            "each move says why: {:?}",
            desk.notices
        );
        assert!(
            desk.last_notice()
                .contains("trail stage 1, 12 ticks behind in steps of 4")
        );
    }
}

#[test]
fn a_rush_through_all_stages_costs_one_modification() {
    for sign in [1, -1] {
        let mut desk = Desk::new(sign);
        desk.attach(&s10());
        // The best print of the message counts, not its last.
        desk.prints(&[0, 9, 17, 41, 38]);
        assert_eq!(desk.moves(), [28], "sign {sign}");
    }
}

#[test]
fn at_most_one_change_is_in_flight_and_the_next_takes_the_newest_level() {
    let mut desk = Desk::new(1);
    desk.attach(&s10());
    for profit in [8, 16, 20, 24, 28] {
        desk.prints(&[profit]);
    }
    assert_eq!(desk.moves(), [1]);
    desk.answer(true);
    assert_eq!(desk.moves(), [1, 16]);
}

#[test]
fn a_level_the_market_has_passed_is_asked_for_on_the_right_side() {
    for sign in [1, -1] {
        let mut desk = Desk::new(sign);
        desk.attach(&s10());
        desk.prints(&[0, 40, 20]);
        // Wanted is 28; the touch stands at 19, so 18 is the nearest level that is not in the market.
        assert_eq!(desk.moves(), [18], "sign {sign}");
        desk.answer(true);
        desk.play(&[21, 22, 23]);
        assert_eq!(
            desk.moves(),
            [18],
            "no creeping: the steps are those of the rule"
        );
        assert!(desk.last_notice().contains("wrong side of the market"));
        desk.play(&[24]);
        assert_eq!(desk.moves(), [18, 22]);
    }
}

#[test]
fn a_stop_moved_by_hand_is_left_alone_until_the_next_step() {
    let mut desk = Desk::new(1);
    desk.attach(&s10());
    desk.play(&[16]);
    let index = desk.trading.store.order(STOP).expect("the stop");
    let loose = Values {
        stop: Some(desk.at(-10)),
        ..Values::default()
    };
    desk.trading
        .send_change(index, loose, "ladder", None)
        .expect("a change that adds no risk");
    desk.trading.note_hand(index, loose.stop, "ladder");
    desk.take();
    desk.answer(true);
    desk.play(&[17, 18, 19]);
    assert_eq!(desk.moves(), [4, -10], "not fought");
    desk.play(&[20]);
    assert_eq!(desk.moves(), [4, -10, 8], "the next step goes on");
}

#[test]
fn the_rule_ends_with_its_stop_and_says_so() {
    let mut desk = Desk::new(1);
    desk.attach(&s10());
    desk.play(&[8]);
    desk.see_stop(3, 1);
    assert!(!desk.is_ruled());
    let (level, text) = desk.notices.last().expect("a word");
    assert_eq!(
        *level,
        NoticeLevel::Warning,
        "the position is left without it"
    );
    assert!(text.contains("Its stop is cancelled"), "{text}");
}

#[test]
fn refusals_are_retried_and_then_the_rule_gives_up_aloud() {
    let mut desk = Desk::new(1);
    desk.attach(&s10());
    desk.prints(&[8]);
    for count in 1..=5_u64 {
        assert_eq!(desk.moves().len() as u64, count);
        desk.answer(false);
        desk.prints(&[8]);
        assert_eq!(
            desk.moves().len() as u64,
            count,
            "not before its pause is over"
        );
        let now = desk.trading.now().0 + (count + 1) * 1_000_000_000;
        desk.trading.set_now(Mono(now), Nanos(now as i64));
        desk.prints(&[8]);
    }
    assert!(!desk.is_ruled());
    assert!(
        desk.notices
            .iter()
            .any(|(level, text)| *level == NoticeLevel::Alarm
                && text.contains("could not be moved 5 times in a row"))
    );
}

#[test]
fn without_a_position_the_rule_waits_and_the_next_position_begins_afresh() {
    let mut desk = Desk::new(1);
    desk.attach(&s10());
    desk.play(&[16]);
    desk.trade(2, -2);
    desk.play(&[30]);
    assert_eq!(desk.moves(), [4]);
    desk.trade(3, 2);
    desk.play(&[7]);
    assert_eq!(desk.moves(), [4], "the old best is forgotten");
    desk.play(&[20]);
    assert_eq!(desk.moves(), [4, 8]);
}

#[test]
fn after_a_restart_the_rule_goes_on_only_once_position_and_stop_were_seen() {
    let mut desk = Desk::new(1);
    desk.attach(&s10());
    desk.play(&[16, 19]);
    desk.restart();
    desk.prints(&[24]);
    assert_eq!(
        desk.moves(),
        [4],
        "nothing before the comparison with the broker"
    );
    desk.compare();
    desk.trading.run();
    desk.take();
    assert!(
        desk.last_notice()
            .contains("goes on: MNQZ6 position 2, the stop stands at")
    );
    desk.prints(&[18]);
    assert_eq!(
        desk.moves(),
        [4],
        "the high-water mark is that of the journal"
    );
    desk.prints(&[20]);
    assert_eq!(desk.moves(), [4, 8]);
}

#[test]
fn after_a_restart_without_the_position_the_rule_ends_with_a_word() {
    let mut desk = Desk::new(1);
    desk.attach(&s10());
    desk.play(&[16]);
    desk.restart();
    desk.trade(2, -2);
    desk.compare();
    desk.trading.run();
    desk.take();
    assert!(!desk.is_ruled());
    assert!(desk.last_notice().contains("position it followed is gone"));
}

#[test]
fn only_an_own_stop_that_closes_a_position_can_be_held() {
    let mut desk = Desk::new(1);
    let refused = |desk: &mut Desk, key: &str, plan: Plan| {
        desk.trading
            .set_stop_rule(RequestId(99), key, Some(plan), "test");
        let effects = desk.trading.take_effects();
        let text = effects.iter().find_map(|effect| match effect {
            Effect::Event(Event::RequestDone { text, .. }) => Some(text.clone()),
            _ => None,
        });
        assert!(!desk.is_ruled());
        text.expect("an answer")
    };
    assert!(refused(&mut desk, "#1", s10()).contains("not known"));
    assert!(refused(&mut desk, STOP, Plan::default()).contains("neither break-even nor trail"));
    desk.see_stop(2, -20);
    assert!(refused(&mut desk, STOP, s10()).contains("over already"));
}

#[test]
fn trail_now_begins_at_the_price_of_the_moment() {
    let mut desk = Desk::new(1);
    desk.prints(&[-3]);
    let plan = Plan {
        break_even: None,
        is_immediate: true,
        ..s10()
    };
    desk.attach(&plan);
    // The touch of the moment is one tick below the last print: 4 ticks of loss, 12 behind.
    assert_eq!(desk.moves(), [-16]);
}
