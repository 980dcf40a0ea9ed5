//! Properties and scenes of the exchange.

use std::collections::HashMap;

use proptest::prelude::*;

use super::Exchange;
use super::model::{
    AccountKind, AccountRules, Bracket, Event, Kind, Modify, Order, Place, Reply, Status,
};
use crate::contracts::ContractTable;
use crate::feed::{FeedEvent, Side, Tagged};

const NOW: i64 = 1_793_630_100_000_000_000;
const ACCOUNT: i64 = 7;
const TICK: i128 = 250_000_000;
const BID: i64 = 100_000;

fn rules(id: i32, auto_oco: bool) -> AccountRules {
    AccountRules {
        id,
        name: format!("PRAC-V2-{id}"),
        kind: AccountKind::Practice,
        start_balance: 150_000,
        max_loss: None,
        daily_loss: None,
        max_minis: 15,
        auto_oco,
    }
}

/// An exchange whose MNQ market is 5 lots at 100,000 ticks bid and 7 lots one tick higher, three levels deep.
struct Scene {
    exchange: Exchange,
    contract: usize,
    now: i64,
}

impl Scene {
    fn new() -> Self {
        Self::with(vec![rules(7, true), rules(8, false)])
    }

    fn with(rules: Vec<AccountRules>) -> Self {
        let table = ContractTable::at(NOW);
        let contract = table.by_root("MNQ").expect("listed");
        let mut scene = Self {
            exchange: Exchange::new(table, rules),
            contract,
            now: NOW,
        };
        scene.exchange.begin_market(contract, Some(BID), true);
        for depth in 0..3 {
            scene.level(Side::Bid, BID - depth, 5);
            scene.level(Side::Ask, BID + 1 + depth, 7);
        }
        scene
    }

    fn tick(&mut self) -> i64 {
        self.now += 1_000;
        self.now
    }

    fn feed(&mut self, event: FeedEvent) {
        self.exchange.feed(&Tagged {
            contract: self.contract,
            event,
        });
    }

    fn level(&mut self, side: Side, ticks: i64, lots: i64) {
        let at = self.tick();
        self.feed(FeedEvent::Level {
            at,
            side,
            ticks,
            lots,
        });
    }

    fn print(&mut self, ticks: i64, lots: i64, aggressor: Option<Side>) {
        let at = self.tick();
        self.feed(FeedEvent::Print {
            at,
            ticks,
            lots,
            aggressor,
        });
    }

    fn request(&self, kind: i64, side: i64, size: i64) -> Place {
        Place {
            account: ACCOUNT,
            contract_id: self.exchange.contracts().get(self.contract).id.clone(),
            kind,
            side,
            size,
            ..Place::default()
        }
    }

    fn place(&mut self, request: &Place) -> Reply {
        let at = self.tick();
        self.exchange.place(at, request)
    }

    fn limit(&mut self, side: i64, size: i64, ticks: i64) -> i64 {
        let request = Place {
            limit: Some(i128::from(ticks) * TICK),
            ..self.request(1, side, size)
        };
        self.place(&request).order.expect("accepted")
    }

    fn market(&mut self, side: i64, size: i64) -> i64 {
        let request = self.request(2, side, size);
        self.place(&request).order.expect("accepted")
    }

    fn order(&self, id: i64) -> &Order {
        self.exchange.order(id).expect("known")
    }

    fn nth_working(&self, pick: usize) -> Option<i64> {
        self.exchange.working(7).nth(pick).map(|order| order.id)
    }

    fn lots(&self) -> i64 {
        self.exchange
            .positions_of(7)
            .map(|position| position.lots)
            .sum()
    }

    fn bracketed(&mut self, request: Place) -> i64 {
        let request = Place {
            tag: Some("t".to_owned()),
            stop_loss: Some(Bracket {
                ticks: -40,
                kind: 4,
            }),
            take_profit: Some(Bracket { ticks: 80, kind: 1 }),
            ..request
        };
        self.place(&request).order.expect("accepted")
    }
}

#[test]
fn market_order_takes_level_after_level_and_pays_their_prices() {
    let mut scene = Scene::new();
    let id = scene.market(0, 10);
    let prices: Vec<(i64, i64)> = scene
        .exchange
        .trades_of(7)
        .iter()
        .map(|trade| (trade.ticks, trade.lots))
        .collect();
    assert_eq!(prices, [(BID + 1, 7), (BID + 2, 3)]);
    assert_eq!(scene.order(id).status, Status::Filled);
}

#[test]
fn market_order_beyond_the_book_pays_one_tick_more_than_its_last_level() {
    let mut scene = Scene::new();
    scene.market(0, 25);
    let last = scene.exchange.trades_of(7).last().expect("filled");
    assert_eq!((last.ticks, last.lots), (BID + 4, 4));
}

#[test]
fn taken_size_stays_unavailable_until_its_level_changes() {
    let mut scene = Scene::new();
    scene.market(0, 7);
    let id = scene.limit(0, 2, BID + 1);
    assert_eq!(scene.order(id).filled, 0);
    scene.level(Side::Ask, BID + 1, 9);
    assert_eq!(scene.order(id).filled, 2);
}

#[test]
fn queue_position_counts_down_by_prints_and_fills_in_part() {
    let mut scene = Scene::new();
    let id = scene.limit(0, 4, BID);
    scene.print(BID, 3, Some(Side::Ask));
    assert_eq!((scene.order(id).ahead, scene.order(id).filled), (2, 0));
    scene.print(BID, 4, Some(Side::Ask));
    assert_eq!(scene.order(id).filled, 2);
    assert_eq!(scene.order(id).status, Status::Open);
    scene.print(BID, 2, Some(Side::Ask));
    assert_eq!(scene.order(id).status, Status::Filled);
}

#[test]
fn buyers_do_not_fill_resting_bids() {
    let mut scene = Scene::new();
    let id = scene.limit(0, 1, BID);
    scene.print(BID, 50, Some(Side::Bid));
    assert_eq!(scene.order(id).filled, 0);
}

#[test]
fn size_that_shrinks_without_a_print_comes_from_behind_first() {
    let mut scene = Scene::new();
    let id = scene.limit(0, 1, BID);
    scene.level(Side::Bid, BID, 12);
    scene.level(Side::Bid, BID, 8);
    assert_eq!(scene.order(id).ahead, 5);
    scene.level(Side::Bid, BID, 3);
    assert_eq!(scene.order(id).ahead, 3);
}

#[test]
fn print_through_the_price_fills_at_the_order_price() {
    let mut scene = Scene::new();
    let id = scene.limit(0, 4, BID);
    scene.print(BID - 1, 1, Some(Side::Ask));
    assert_eq!(scene.order(id).status, Status::Filled);
    assert_eq!(scene.exchange.trades_of(7)[0].ticks, BID);
}

#[test]
fn earlier_own_orders_fill_first_at_one_price() {
    let mut scene = Scene::new();
    let first = scene.limit(0, 2, BID);
    let second = scene.limit(0, 2, BID);
    scene.print(BID, 8, Some(Side::Ask));
    assert_eq!(
        (scene.order(first).filled, scene.order(second).filled),
        (2, 1)
    );
}

#[test]
fn stop_becomes_a_market_order_at_a_print_through_it() {
    let mut scene = Scene::new();
    scene.market(0, 1);
    let stop = Place {
        stop: Some(i128::from(BID - 8) * TICK),
        ..scene.request(4, 1, 1)
    };
    let id = scene.place(&stop).order.expect("accepted");
    scene.print(BID - 7, 1, None);
    assert_eq!(scene.order(id).status, Status::Open);
    scene.print(BID - 8, 1, None);
    assert_eq!(scene.order(id).status, Status::Filled);
    assert_eq!(scene.lots(), 0);
}

#[test]
fn trailing_stop_follows_and_reads_back_its_distance() {
    let mut scene = Scene::new();
    scene.market(0, 1);
    let trailing = Place {
        trail: Some(i128::from(BID - 10) * TICK),
        ..scene.request(5, 1, 1)
    };
    let id = scene.place(&trailing).order.expect("accepted");
    assert_eq!(
        (scene.order(id).trail, scene.order(id).stop),
        (Some(10), Some(BID - 10))
    );
    scene.print(BID + 6, 1, None);
    assert_eq!(scene.order(id).stop, Some(BID - 4));
    scene.print(BID, 1, None);
    assert_eq!(scene.order(id).stop, Some(BID - 4));
    scene.print(BID - 4, 1, None);
    assert_eq!(scene.order(id).status, Status::Filled);
}

#[test]
fn join_bid_rests_at_the_touch_and_does_not_follow() {
    let mut scene = Scene::new();
    let request = scene.request(6, 0, 1);
    let id = scene.place(&request).order.expect("accepted");
    scene.level(Side::Ask, BID + 1, 0);
    scene.level(Side::Bid, BID + 1, 3);
    assert_eq!(scene.order(id).limit, Some(BID));
}

#[test]
fn bracket_family_has_consecutive_ids_and_opens_around_the_fill() {
    let mut scene = Scene::new();
    let request = scene.request(2, 0, 2);
    let id = scene.bracketed(request);
    let (stop, target) = (scene.order(id + 1), scene.order(id + 2));
    assert_eq!(
        (stop.kind, stop.stop, stop.status),
        (Kind::Stop, Some(BID + 1 - 40), Status::Open)
    );
    assert_eq!(
        (target.kind, target.limit, target.status),
        (Kind::Limit, Some(BID + 81), Status::Open)
    );
    assert_eq!(
        (stop.tag.as_deref(), target.tag.as_deref()),
        (Some("t-SL"), Some("t-TP"))
    );
    assert_eq!((stop.parent, stop.linked), (Some(id), None));
    assert_eq!((target.parent, target.linked), (Some(id), Some(id + 1)));
    assert_eq!(stop.created, scene.order(id).created);
}

#[test]
fn bracket_events_come_as_seen_live() {
    let mut scene = Scene::new();
    let request = scene.request(2, 0, 1);
    let id = scene.bracketed(request);
    let seen: Vec<(i64, Status)> = scene
        .exchange
        .take_events()
        .into_iter()
        .filter_map(|event| match event {
            Event::Order(order) => Some((order.id - id, order.status)),
            _ => None,
        })
        .collect();
    let expected = [
        (1, Status::Suspended),
        (0, Status::Pending),
        (2, Status::Suspended),
        (0, Status::Filled),
        (2, Status::Open),
        (1, Status::Open),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn one_leg_cancels_the_other_unless_the_fault_says_otherwise() {
    let mut scene = Scene::new();
    let request = scene.request(2, 0, 2);
    let id = scene.bracketed(request);
    scene.print(BID + 90, 1, None);
    assert_eq!(scene.order(id + 2).status, Status::Filled);
    assert_eq!(scene.order(id + 1).status, Status::Cancelled);
    assert_eq!(scene.lots(), 0);

    let mut scene = Scene::new();
    scene.exchange.switches.orphan_children = 1;
    let request = scene.request(2, 0, 2);
    let id = scene.bracketed(request);
    scene.print(BID + 90, 1, None);
    assert_eq!(scene.order(id + 1).status, Status::Open);
}

#[test]
fn legs_grow_with_a_part_filled_entry() {
    let mut scene = Scene::new();
    let limit = Place {
        limit: Some(i128::from(BID) * TICK),
        ..scene.request(1, 0, 4)
    };
    let id = scene.bracketed(limit);
    assert_eq!(scene.order(id + 1).status, Status::Suspended);
    scene.print(BID, 6, Some(Side::Ask));
    assert_eq!(
        (scene.order(id + 1).status, scene.order(id + 1).size),
        (Status::Open, 1)
    );
    scene.print(BID, 3, Some(Side::Ask));
    assert_eq!((scene.order(id + 1).size, scene.order(id + 2).size), (4, 4));
}

#[test]
fn cancelling_an_unfilled_entry_ends_its_legs() {
    let mut scene = Scene::new();
    let limit = Place {
        limit: Some(i128::from(BID - 5) * TICK),
        ..scene.request(1, 0, 1)
    };
    let id = scene.bracketed(limit);
    let at = scene.tick();
    assert_eq!(scene.exchange.cancel(at, ACCOUNT, id).code, 0);
    for order in [id, id + 1, id + 2] {
        assert_eq!(scene.order(order).status, Status::Cancelled);
    }
}

#[test]
fn closing_leaves_the_legs_working_and_cancel_codes_follow_the_table() {
    let mut scene = Scene::new();
    let request = scene.request(2, 0, 1);
    let id = scene.bracketed(request);
    let contract = scene.order(id).contract_id.clone();
    let at = scene.tick();
    assert_eq!(scene.exchange.close(at, ACCOUNT, &contract).code, 0);
    assert_eq!(scene.lots(), 0);
    assert_eq!(scene.order(id + 1).status, Status::Open);
    assert_eq!(scene.exchange.cancel(at, ACCOUNT, id).code, 5);
    assert_eq!(scene.exchange.cancel(at, ACCOUNT, 12).code, 2);
    assert_eq!(scene.exchange.cancel(at, 99, id).code, 1);
    assert_eq!(scene.exchange.close(at, ACCOUNT, &contract).code, 2);
    assert_eq!(
        scene
            .exchange
            .partial_close(at, ACCOUNT, "CON.F.US.XX.Z26", 1)
            .code,
        3
    );
}

/// Requests that the exchange refuses, each with the text it answers.
fn refused_requests(base: &Place) -> Vec<(Place, &'static str)> {
    let stop = |ticks, kind| Some(Bracket { ticks, kind });
    vec![
        (
            Place {
                stop_loss: stop(40, 4),
                ..base.clone()
            },
            "Invalid stop loss ticks (40). Ticks should be less than zero when longing.",
        ),
        (
            Place {
                side: 1,
                take_profit: stop(40, 1),
                ..base.clone()
            },
            "Invalid take profit ticks (40). Ticks should be less than zero when shorting.",
        ),
        (
            Place {
                stop_loss: stop(-3, 4),
                ..base.clone()
            },
            "Invalid stop loss ticks (-3). Stop loss tick value should be at least 4 ticks.",
        ),
        (
            Place {
                stop_loss: stop(-10, 1),
                ..base.clone()
            },
            "Invalid stop loss type (Limit)",
        ),
        (
            Place {
                account: 8,
                stop_loss: stop(-10, 4),
                ..base.clone()
            },
            "Brackets cannot be used with Position Brackets. You must enable Auto OCO Brackets.",
        ),
        (
            Place {
                kind: 1,
                limit: Some(TICK),
                ..base.clone()
            },
            "Invalid price. Price is outside allowed range.",
        ),
    ]
}

fn refused_trails(base: &Place) -> Vec<(Place, &'static str)> {
    vec![
        (
            Place {
                kind: 5,
                ..base.clone()
            },
            "Trail Distance not set.",
        ),
        (
            Place {
                kind: 5,
                trail: Some(1),
                ..base.clone()
            },
            "Invalid trail price. Price is not aligned to tick size.",
        ),
        (
            Place {
                kind: 5,
                trail: Some(i128::from(BID - 1_001) * TICK),
                ..base.clone()
            },
            "Trail Distance exceeds maximum (1000)",
        ),
    ]
}

#[test]
fn refusals_carry_the_literal_messages() {
    let mut scene = Scene::new();
    let base = scene.request(2, 0, 1);
    let cases = [refused_requests(&base), refused_trails(&base)].concat();
    for (request, message) in cases {
        let reply = scene.place(&request);
        assert_eq!((reply.code, reply.message.as_deref()), (2, Some(message)));
        let id = reply.order.expect("a refused order has an id");
        assert_eq!(scene.order(id).status, Status::Rejected);
    }
    assert_eq!(
        scene
            .place(&Place {
                account: 1,
                ..base.clone()
            })
            .code,
        1
    );
    assert_eq!(
        scene
            .place(&Place {
                contract_id: "CON.F.US.MNQ.H26".to_owned(),
                ..base.clone()
            })
            .code,
        9
    );
    assert_eq!(
        scene
            .place(&Place {
                contract_id: "MNQ".to_owned(),
                ..base
            })
            .code,
        8
    );
}

#[test]
fn a_tag_is_unique_for_ever_within_its_account() {
    let mut scene = Scene::new();
    let request = Place {
        tag: Some("once".to_owned()),
        ..scene.request(2, 0, 1)
    };
    assert_eq!(scene.place(&request).code, 0);
    let again = scene.place(&request);
    assert_eq!((again.code, again.order), (2, None));
    let other = Place {
        account: 8,
        ..request
    };
    assert_eq!(scene.place(&other).code, 0);
}

#[test]
fn maximum_position_counts_working_orders_and_lets_exits_pass() {
    let mut scene = Scene::new();
    scene.market(0, 100);
    let mut request = scene.request(1, 0, 51);
    request.limit = Some(i128::from(BID - 5) * TICK);
    assert_eq!(scene.place(&request).code, 2);
    request.size = 50;
    assert_eq!(scene.place(&request).code, 0);
    request.size = 1;
    assert_eq!(scene.place(&request).code, 2);
    let exit = scene.request(2, 1, 100);
    assert_eq!(scene.place(&exit).code, 0);
}

#[test]
fn loss_floor_trails_the_end_of_day_high_and_stops_at_the_start() {
    let limited = AccountRules {
        max_loss: Some(2_000),
        start_balance: 50_000,
        ..rules(7, true)
    };
    let mut account = super::model::Account::open(limited);
    assert_eq!(account.loss_floor_1e4(), Some(480_000_000));
    account.high_1e4 = 510_000_000;
    assert_eq!(account.loss_floor_1e4(), Some(490_000_000));
    account.high_1e4 = 530_000_000;
    assert_eq!(account.loss_floor_1e4(), Some(500_000_000));
}

#[test]
fn the_trading_day_turns_at_17_chicago_and_again_after_a_restart() {
    let limited = AccountRules {
        max_loss: Some(2_000),
        daily_loss: Some(100),
        ..rules(7, true)
    };
    let mut scene = Scene::with(vec![limited.clone()]);
    scene.exchange.advance_day(NOW);
    scene.market(0, 10);
    scene.print(BID - 25, 1, None);
    assert!(
        scene
            .exchange
            .account(ACCOUNT)
            .expect("known")
            .locked_for_day
    );
    assert_eq!(scene.lots(), 0);
    let request = scene.request(2, 0, 1);
    assert_eq!(scene.place(&request).code, 4);

    let mut rebuilt = Exchange::new(ContractTable::at(NOW), vec![limited]);
    rebuilt.restore(scene.exchange.take_events());
    rebuilt.advance_day(NOW + 60_000_000_000);
    assert!(rebuilt.account(ACCOUNT).expect("known").locked_for_day);
    rebuilt.advance_day(NOW + 86_400_000_000_000);
    let account = rebuilt.account(ACCOUNT).expect("known");
    assert!(!account.locked_for_day);
    assert_eq!(account.day_start_1e4, account.balance_1e4);
}

#[test]
fn touching_the_loss_floor_liquidates_and_ends_trading() {
    let limited = AccountRules {
        max_loss: Some(100),
        ..rules(7, true)
    };
    let mut scene = Scene::with(vec![limited]);
    scene.market(0, 10);
    scene.print(BID - 30, 1, None);
    assert_eq!(scene.lots(), 0);
    let account = scene.exchange.account(ACCOUNT).expect("known");
    assert!(!account.can_trade);
    let request = scene.request(2, 0, 1);
    assert_eq!(scene.place(&request).code, 4);
}

#[test]
fn closed_market_refuses_with_the_text_seen_live() {
    let mut scene = Scene::new();
    let at = scene.tick();
    scene.feed(FeedEvent::SessionClose { at });
    let request = scene.request(2, 0, 1);
    let reply = scene.place(&request);
    let text =
        "Trading is currently unavailable. The instrument is not in an active trading status.";
    assert_eq!((reply.code, reply.message.as_deref()), (2, Some(text)));
}

#[test]
fn a_cancel_that_races_a_fill_answers_5_and_the_order_is_filled() {
    let mut scene = Scene::new();
    let id = scene.limit(0, 2, BID);
    scene.exchange.switches.cancel_races = 1;
    let at = scene.tick();
    assert_eq!(scene.exchange.cancel(at, ACCOUNT, id).code, 5);
    assert_eq!(scene.order(id).status, Status::Filled);
}

#[test]
fn a_fill_that_turns_the_position_round_is_two_trades() {
    let mut scene = Scene::new();
    scene.market(0, 2);
    scene.market(1, 3);
    let trades = scene.exchange.trades_of(7);
    let tail: Vec<(i64, bool)> = trades[1..]
        .iter()
        .map(|t| (t.lots, t.pnl_1e4.is_some()))
        .collect();
    assert_eq!(tail, [(2, true), (1, false)]);
    assert_eq!(scene.lots(), -1);
}

#[derive(Clone, Debug)]
enum Step {
    Market {
        buy: bool,
        lots: i64,
    },
    Limit {
        buy: bool,
        lots: i64,
        away: i64,
    },
    Stop {
        buy: bool,
        lots: i64,
        away: i64,
    },
    Bracket {
        buy: bool,
        lots: i64,
    },
    Cancel {
        pick: usize,
    },
    Modify {
        pick: usize,
        lots: i64,
        away: i64,
    },
    Close,
    Level {
        bid: bool,
        away: i64,
        lots: i64,
    },
    Print {
        away: i64,
        lots: i64,
        side: Option<bool>,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let lots = 1..6_i64;
    let step =
        prop_oneof![
            (any::<bool>(), lots.clone()).prop_map(|(buy, lots)| Step::Market { buy, lots }),
            (any::<bool>(), lots.clone(), -6..6_i64).prop_map(|(buy, lots, away)| Step::Limit {
                buy,
                lots,
                away
            }),
            (any::<bool>(), lots.clone(), -9..9_i64).prop_map(|(buy, lots, away)| Step::Stop {
                buy,
                lots,
                away
            }),
            (any::<bool>(), lots.clone()).prop_map(|(buy, lots)| Step::Bracket { buy, lots }),
            (0..40_usize).prop_map(|pick| Step::Cancel { pick }),
            (0..40_usize, lots.clone(), -6..6_i64).prop_map(|(pick, lots, away)| Step::Modify {
                pick,
                lots,
                away
            }),
            Just(Step::Close),
            (any::<bool>(), 0..6_i64, 0..9_i64).prop_map(|(bid, away, lots)| Step::Level {
                bid,
                away,
                lots
            }),
            (-9..9_i64, 1..12_i64, any::<Option<bool>>())
                .prop_map(|(away, lots, side)| Step::Print { away, lots, side }),
        ];
    prop::collection::vec(step, 1..120)
}

/// The order that a step places, if it places one.
fn placed(scene: &Scene, step: &Step) -> Option<Place> {
    let side = |buy: bool| i64::from(!buy);
    let price = |away: i64| Some(i128::from(BID + away) * TICK);
    match *step {
        Step::Market { buy, lots } => Some(scene.request(2, side(buy), lots)),
        Step::Limit { buy, lots, away } => Some(Place {
            limit: price(away),
            ..scene.request(1, side(buy), lots)
        }),
        Step::Stop { buy, lots, away } => Some(Place {
            stop: price(away),
            ..scene.request(4, side(buy), lots)
        }),
        Step::Bracket { buy, lots } => {
            let sign = if buy { 1 } else { -1 };
            Some(Place {
                stop_loss: Some(Bracket {
                    ticks: -5 * sign,
                    kind: 4,
                }),
                take_profit: Some(Bracket {
                    ticks: 4 * sign,
                    kind: 1,
                }),
                ..scene.request(2, side(buy), lots)
            })
        }
        _ => None,
    }
}

fn run(scene: &mut Scene, step: &Step) {
    if let Some(request) = placed(scene, step) {
        scene.place(&request);
        return;
    }
    let price = |away: i64| Some(i128::from(BID + away) * TICK);
    match *step {
        Step::Market { .. } | Step::Limit { .. } | Step::Stop { .. } | Step::Bracket { .. } => {
            unreachable!("placed above")
        }
        Step::Cancel { pick } => {
            if let Some(id) = scene.nth_working(pick) {
                let at = scene.tick();
                scene.exchange.cancel(at, ACCOUNT, id);
            }
        }
        Step::Modify { pick, lots, away } => {
            if let Some(id) = scene.nth_working(pick) {
                let at = scene.tick();
                let request = Modify {
                    account: ACCOUNT,
                    order: id,
                    size: Some(lots),
                    limit: price(away),
                    stop: price(away),
                    trail: None,
                };
                scene.exchange.modify(at, &request);
            }
        }
        Step::Close => {
            let id = scene.exchange.contracts().get(scene.contract).id.clone();
            let at = scene.tick();
            scene.exchange.close(at, ACCOUNT, &id);
        }
        Step::Level { bid, away, lots } => {
            let (side, ticks) = if bid {
                (Side::Bid, BID - away)
            } else {
                (Side::Ask, BID + 1 + away)
            };
            scene.level(side, ticks, lots);
        }
        Step::Print { away, lots, side } => {
            let aggressor = side.map(|buyer| if buyer { Side::Bid } else { Side::Ask });
            scene.print(BID + away, lots, aggressor);
        }
    }
}

fn check(scene: &Scene) {
    let exchange = &scene.exchange;
    let trades = exchange.trades_of(7);
    let value = exchange.contracts().get(scene.contract).tick_value_1e4;
    let signed = |side: Side, lots: i64| if side == Side::Bid { lots } else { -lots };
    let naive_lots: i64 = trades.iter().map(|t| signed(t.side, t.lots)).sum();
    assert_eq!(
        scene.lots(),
        naive_lots,
        "a position is the sum of its fills"
    );
    let cash: i64 = trades
        .iter()
        .map(|t| -signed(t.side, t.lots) * t.ticks * value)
        .sum();
    let costs: i64 = trades.iter().map(|t| t.fees_1e4 + t.commissions_1e4).sum();
    let booked: i64 = trades.iter().map(|t| t.pnl_1e4.unwrap_or(0)).sum();
    let balance = exchange.account(ACCOUNT).expect("known").balance_1e4;
    assert_eq!(
        balance,
        1_500_000_000 + booked - costs,
        "balance is the start, results and costs"
    );
    let last = exchange.book(scene.contract).last.expect("printed");
    let equity = exchange.equity_1e4(7).expect("known");
    assert_eq!(
        equity,
        1_500_000_000 + cash - costs + naive_lots * last * value,
        "equity is cash and holdings"
    );
    check_orders(scene);
}

fn check_orders(scene: &Scene) {
    let exchange = &scene.exchange;
    let mut filled: HashMap<i64, i64> = HashMap::new();
    for trade in exchange.trades_of(7) {
        *filled.entry(trade.order).or_default() += trade.lots;
    }
    let resting = &exchange.resting[scene.contract];
    let rests = |id: i64| {
        let levels = resting.bids.values().chain(resting.asks.values());
        levels
            .flatten()
            .chain(&resting.stops)
            .filter(|other| **other == id)
            .count()
    };
    for order in exchange.orders_of(7) {
        assert_eq!(
            order.filled,
            filled.get(&order.id).copied().unwrap_or(0),
            "fills belong to their order"
        );
        assert!(
            order.filled <= order.size,
            "an order never fills beyond its size"
        );
        assert_eq!(
            order.status == Status::Filled,
            order.filled == order.size && order.status != Status::Cancelled
        );
        assert_eq!(
            rests(order.id),
            usize::from(order.status == Status::Open),
            "an open order rests exactly once"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn positions_balances_and_orders_agree_with_a_naive_model(steps in steps()) {
        let mut scene = Scene::new();
        for step in &steps {
            run(&mut scene, step);
            check(&scene);
        }
    }

    #[test]
    fn recorded_events_rebuild_the_exchange(steps in steps()) {
        let mut scene = Scene::new();
        for step in &steps {
            run(&mut scene, step);
        }
        let mut rebuilt = Exchange::new(ContractTable::at(NOW), vec![rules(7, true), rules(8, false)]);
        rebuilt.restore(scene.exchange.take_events());
        rebuilt.rest_restored();
        let forget_queue = |events: Vec<Event>| -> Vec<Event> {
            events.into_iter().map(|event| match event {
                Event::Order(order) => Event::Order(Order { ahead: 0, ..order }),
                other => other,
            }).collect()
        };
        prop_assert_eq!(forget_queue(rebuilt.snapshot()), forget_queue(scene.exchange.snapshot()));
        let next = scene.exchange.next_order;
        prop_assert!(rebuilt.next_order == next, "an id is never given twice");
    }
}
