//! What the engine does in lives that somebody chose: single troubles, placed by hand into the rig's quiet world. Drawn
//! lives are the rig's own affair (`rig`).

use std::sync::Arc;

use super::contract::{
    Attempt, Command, Draft, Endpoint, Group, Input, Lane, LinkName, LinkState, Part, Reply, Rows,
    SendId, Wanted,
};
use super::views::Board;
use crate::order_execution::gate::tokens_minted;
use crate::order_execution::legs::book::LegRecord;
use crate::order_execution::legs::{BracketPlan, Holder};
use crate::order_execution::order::{Life, Order, Role};
use crate::order_execution::record::Record;
use crate::rig::{
    self, ACCOUNTS, CONTRACTS, Death, Errand, Fate, Happening, MILLI, Plan, SECOND, World,
};
use crate::types::{
    AccountId, BrokerOrder, BrokerPosition, ContractIndex, Lots, OrderId, OrderKind, OrderStatus,
    RequestId, Side, Ticks,
};
use crate::websocket::parse::{DepthRecord, MarketEvent, UserEvent};

const ACCOUNT: AccountId = ACCOUNTS[0];
const CONTRACT: &str = CONTRACTS[0];

/// A world without trouble, logged in, armed, and with a quote.
fn connected() -> World {
    let mut world = World::new(Plan::quiet(1));
    world.run_for(3 * SECOND);
    world
}

fn place(world: &mut World, side: Side, limit: Option<i64>, size: i64) -> String {
    let mut draft = world.draft(ACCOUNT, 0, side, Lots(size));
    if let Some(limit) = limit {
        draft.kind = OrderKind::Limit;
        draft.limit = Some(Ticks(limit));
    }
    let tag = draft.tag.to_string();
    world.submit(draft);
    tag
}

/// A limit order that works and does not fill.
fn resting(world: &mut World) -> String {
    world.broker.is_still = true;
    let price = world.broker.lasts[0] - 5;
    let tag = place(world, Side::Buy, Some(price), 1);
    world.run_for(SECOND / 2);
    assert_eq!(order(world, &tag).life, Life::Working);
    tag
}

fn order(world: &World, key: &str) -> Order {
    let store = &world.engine.trading.store;
    store.orders[store.order(key).expect("known")].clone()
}

fn command(world: &mut World, make: impl FnOnce(RequestId) -> Command) -> u64 {
    let mut number = 0;
    world.command(|request| {
        number = request.0;
        make(request)
    });
    number
}

fn arm(world: &mut World) {
    world.step(Input::Command(Command::Arm {
        source: "ladder".into(),
        account: ACCOUNT,
        is_armed: true,
    }));
}

/// The request of that kind that is under way.
fn in_flight(world: &World, endpoint: Endpoint) -> SendId {
    let mut flights = world.flights.iter();
    let found = flights.find(|(_, flight)| flight.endpoint == endpoint);
    *found.expect("one is under way").0
}

/// What will happen to it at the broker.
fn arrival(world: &mut World, wanted: SendId) -> &mut Happening {
    let is_wanted =
        |what: &Happening| matches!(what, Happening::Arrives { id, .. } if *id == wanted);
    let mut queue = world.queue.values_mut();
    queue
        .find(|what| is_wanted(what))
        .expect("it is on its way")
}

fn silence(world: &mut World, id: SendId) {
    let attempt = Attempt::Silent {
        text: "no answer".into(),
    };
    world.reply(Reply {
        id,
        attempt,
        rows: Rows::None,
    });
}

fn place_count(world: &World) -> usize {
    world.broker.orders.len()
}

fn assert_whole(world: &World) {
    assert!(world.broken.is_none(), "{:?}", world.broken);
}

#[test]
fn a_drawn_life_holds_every_invariant_and_is_the_same_each_time() {
    let mut orders = 0;
    for seed in 1..=12 {
        let plan = Plan::draw(seed);
        let lived = rig::live(&plan);
        assert!(lived.broken.is_none(), "seed {seed}: {:?}", lived.broken);
        assert_eq!(rig::live(&plan).tally, lived.tally, "seed {seed}");
        orders += lived.tally.checks[rig::Law::I2 as usize];
    }
    assert!(orders > 12, "the lives really traded: {orders}");
}

#[test]
fn a_quiet_life_fills_and_flattens_without_an_alarm() {
    let mut world = connected();
    for turn in 0..12 {
        let side = if turn % 3 == 0 { Side::Sell } else { Side::Buy };
        let limit = (turn % 2 == 0).then_some(world.broker.lasts[0] - side.sign() * turn);
        place(&mut world, side, limit, 1 + turn % 3);
        world.run_for(SECOND);
    }
    let request = command(&mut world, |request| Command::Flatten {
        request,
        account: ACCOUNT,
        contract_id: None,
        source: "ladder".into(),
    });
    world.run_for(5 * SECOND);
    assert_eq!(world.done.get(&request), Some(&"done"));
    assert_eq!(world.broker.net(), 0);
    assert!(
        world
            .broker
            .orders
            .iter()
            .all(|order| order.status.is_terminal())
    );
    world.check_agreement();
    assert_whole(&world);
    assert!(world.alarms.is_empty(), "{:?}", world.alarms);
}

#[test]
fn a_request_that_never_arrived_is_not_accepted_only_after_the_proof() {
    let mut world = connected();
    let tag = place(&mut world, Side::Buy, None, 1);
    let id = in_flight(&world, Endpoint::Place);
    world
        .queue
        .retain(|_, what| !matches!(what, Happening::Arrives { id: other, .. } if *other == id));
    silence(&mut world, id);
    world.run_for(39 * SECOND);
    assert!(order(&world, &tag).doubt.is_some(), "39 s prove nothing");
    world.run_for(4 * SECOND);
    assert_eq!(order(&world, &tag).life, Life::NotAccepted);
    let is_proof =
        |bytes: &&Vec<u8>| matches!(Record::from_bytes(bytes), Some(Record::Absent { .. }));
    assert_eq!(world.disk.records.iter().filter(is_proof).count(), 1);
    assert_whole(&world);
}

#[test]
fn an_account_whose_rows_cannot_be_read_yet_is_not_reconciled() {
    let mut world = connected();
    world.broker.stranger = Some(BrokerPosition {
        contract_id: "CON.F.US.XYZ.Z26".into(),
        net: Lots(3),
        ..world.broker.position(ACCOUNT, 0)
    });
    world.broker.strange_code = 9;
    world.crash(Death::Killed);
    world.run_for(20 * SECOND);
    let is_reconciled = |world: &World| world.engine.trading.accounts[&ACCOUNT].is_reconciled;
    assert!(!is_reconciled(&world), "the position is not known");
    let used = world.engine.trading.budget.used(world.now as i64);
    assert!(used < 80, "patience costs few requests, not {used}");
    world.broker.strange_code = 1;
    world.run_for(20 * SECOND);
    assert!(is_reconciled(&world), "the broker defines no such contract");
}

/// A working order that the hub shows in a status nobody knows.
fn with_a_strange_status() -> (World, String) {
    let mut world = connected();
    let key = resting(&mut world);
    world.broker.orders[0].status = OrderStatus::Other(42);
    let row = world.broker.orders[0].clone();
    world.step(Input::User(UserEvent::Order(row)));
    (world, key)
}

#[test]
fn a_read_that_shows_a_status_nobody_knows_settles_nothing() {
    let (mut world, key) = with_a_strange_status();
    world.run_for(5 * SECOND);
    assert!(
        order(&world, &key).doubt.is_some(),
        "it says nothing about the order"
    );
    world.broker.orders[0].status = OrderStatus::Open;
    world.run_for(15 * SECOND);
    assert!(
        order(&world, &key).doubt.is_none(),
        "a status that is known settles"
    );
}

#[test]
fn a_new_login_trades_nothing_before_an_account_is_chosen() {
    let mut world = connected();
    place(&mut world, Side::Buy, None, 1);
    world.run_for(SECOND);
    assert_eq!(place_count(&world), 1, "before it trades");
    let request = world.request();
    let environment = super::contract::Environment::Demo;
    world.step(Input::LoggedIn {
        request,
        environment,
    });
    world.run_for(SECOND);
    arm(&mut world);
    place(&mut world, Side::Buy, None, 2);
    world.run_for(SECOND);
    assert_eq!(place_count(&world), 1, "the new hub follows no account");
}

#[test]
fn what_was_read_before_a_login_reconciles_nothing_after_it() {
    let mut world = connected();
    command(&mut world, |request| Command::Reconcile { request });
    let old: Vec<SendId> = world.flights.keys().copied().collect();
    let request = world.request();
    let environment = super::contract::Environment::Demo;
    world.step(Input::LoggedIn {
        request,
        environment,
    });
    world
        .queue
        .retain(|_, what| !matches!(what, Happening::Arrives { id, .. } if !old.contains(id)));
    world.run_for(SECOND / 2);
    assert!(
        old.iter().all(|id| !world.flights.contains_key(id)),
        "the old reads are answered"
    );
    assert!(!world.engine.trading.accounts[&ACCOUNT].is_reconciled);
}

#[test]
fn arming_while_the_hub_is_down_does_not_outlive_the_reconnect() {
    let mut world = connected();
    world.memory.operator_arms = false;
    world.link(LinkName::User, LinkState::Dead);
    arm(&mut world);
    world.link(LinkName::User, LinkState::Live);
    place(&mut world, Side::Buy, None, 1);
    world.run_for(SECOND);
    assert_eq!(place_count(&world), 0, "a reconnect disarms");
}

#[test]
fn a_bracket_that_only_its_plan_forbids_makes_no_token() {
    let mut world = connected();
    let before = tokens_minted();
    let draft = world.draft(ACCOUNT, 0, Side::Buy, Lots(1));
    // A buy's stop above its fill cannot be meant; nothing else is wrong.
    let plan = BracketPlan {
        stop: Some(20),
        ..BracketPlan::default()
    };
    world.step(Input::Command(Command::SubmitBracket { draft, plan }));
    world.run_for(SECOND);
    assert_eq!(tokens_minted(), before, "nothing would have spent it");
    assert_eq!(place_count(&world), 0);
}

#[test]
fn two_orders_with_one_tag_raise_an_alarm() {
    let mut world = connected();
    resting(&mut world);
    let first = world.broker.orders[0].clone();
    let second = BrokerOrder {
        id: OrderId(first.id.0 + 1_000),
        ..first
    };
    world.step(Input::User(UserEvent::Order(second)));
    let is_told = |text: &String| text.contains("Two orders carry the tag");
    assert!(world.alarms.iter().any(is_told), "{:?}", world.alarms);
}

/// Three lots that were there before, and a close of some of them whose answer is an error.
fn with_an_unanswered_close(part: Part) -> (World, u64) {
    let mut world = connected();
    world.broker.nets.insert((ACCOUNT, 0), 3);
    world.crash(Death::Killed);
    world.run_for(4 * SECOND);
    let request = command(&mut world, |request| Command::ClosePosition {
        request,
        account: ACCOUNT,
        contract_id: CONTRACT.into(),
        part,
        source: "ladder".into(),
    });
    let endpoint = match part {
        Part::All => Endpoint::CloseContract,
        Part::Lots(_) | Part::Percent(_) => Endpoint::PartialCloseContract,
    };
    while !world
        .flights
        .values()
        .any(|flight| flight.endpoint == endpoint)
    {
        world.run_for(MILLI);
    }
    let id = in_flight(&world, endpoint);
    if let Happening::Arrives { fate, .. } = arrival(&mut world, id) {
        *fate = Fate::HttpAfter(500);
    }
    (world, request)
}

#[test]
fn a_partial_close_without_an_answer_ends_unknown_and_is_not_repeated() {
    let (mut world, request) = with_an_unanswered_close(Part::Lots(1));
    world.run_for(30 * SECOND);
    assert_eq!(world.done.get(&request), Some(&"unknown"));
    assert_eq!(world.broker.net(), 2, "one close for one decision");
}

#[test]
fn a_whole_close_does_not_take_the_end_of_a_partial_one_for_its_own() {
    let (mut world, _) = with_an_unanswered_close(Part::Lots(1));
    let whole = command(&mut world, |request| Command::ClosePosition {
        request,
        account: ACCOUNT,
        contract_id: CONTRACT.into(),
        part: Part::All,
        source: "ladder".into(),
    });
    world.run_for(30 * SECOND);
    assert_eq!(world.done.get(&whole), Some(&"done"));
    assert_eq!(world.broker.net(), 0, "done means flat");
}

#[test]
fn a_group_cancel_of_an_account_never_read_asks_the_broker_first() {
    let mut world = connected();
    resting(&mut world);
    world.broker.orders[0].custom_tag = None;
    world.disk = rig::Disk::new();
    world.memory.has_lost_records = true;
    world.crash(Death::Killed);
    // Logged in, and nobody chooses an account.
    world.errands.clear();
    world.run_for(SECOND);
    let request = command(&mut world, |request| Command::CancelGroup {
        request,
        account: ACCOUNT,
        group: Group::default(),
        source: "cli".into(),
    });
    world.run_for(10 * SECOND);
    assert_eq!(world.done.get(&request), Some(&"done"));
    assert_eq!(world.broker.orders[0].status, OrderStatus::Cancelled);
}

/// A working order whose change to three lots gets no answer and arrives after 15 s.
fn with_a_late_change() -> (World, String) {
    let mut world = connected();
    let key = resting(&mut world);
    let wanted = Wanted {
        size: Some(Lots(3)),
        ..Wanted::default()
    };
    command(&mut world, |request| Command::Modify {
        request,
        key: key.clone(),
        wanted,
        source: "ladder".into(),
    });
    let id = in_flight(&world, Endpoint::Modify);
    let is_it =
        |what: &Happening| matches!(what, Happening::Arrives { id: other, .. } if *other == id);
    let at = world
        .queue
        .iter()
        .find(|(_, what)| is_it(what))
        .map(|(at, _)| *at);
    let mut what = world.queue.remove(&at.expect("on its way")).expect("found");
    if let Happening::Arrives { fate, .. } = &mut what {
        *fate = Fate::AnswerLost;
    }
    world.schedule(15 * SECOND, what);
    (world, key)
}

#[test]
fn a_change_without_an_answer_stays_in_doubt_while_it_may_still_arrive() {
    let (mut world, key) = with_a_late_change();
    world.run_for(12 * SECOND);
    assert!(
        order(&world, &key).doubt.is_some(),
        "reads of old values prove nothing"
    );
    assert!(order(&world, &key).open().0 >= 3, "the larger size counts");
    world.run_for(5 * SECOND);
    assert!(order(&world, &key).doubt.is_none(), "its arrival settles");
    assert_whole(&world);
}

#[test]
fn a_reading_that_a_change_overtook_does_not_bring_the_old_price_back() {
    let mut world = connected();
    let key = resting(&mut world);
    let before = order(&world, &key).limit.expect("a limit order");
    command(&mut world, |request| Command::Reconcile { request });
    let read = in_flight(&world, Endpoint::OrderQuery);
    let is_it = |what: &Happening| matches!(what, Happening::Replied(reply) if reply.id == read);
    let mut held = None;
    for _ in 0..1_000 {
        world.run_for(MILLI / 4);
        let found = world.queue.iter().find(|(_, what)| is_it(what));
        if let Some(at) = found.map(|(at, _)| *at) {
            held = world.queue.remove(&at);
            break;
        }
    }
    let Some(Happening::Replied(old)) = held else {
        panic!("the reading was never answered");
    };
    let wanted = Ticks(before.0 - 7);
    command(&mut world, |request| Command::Modify {
        request,
        key: key.clone(),
        wanted: Wanted {
            limit: Some(wanted),
            ..Wanted::default()
        },
        source: "ladder".into(),
    });
    // Its answer comes, the hub's message about it does not.
    world
        .queue
        .retain(|_, what| !matches!(what, Happening::Hub(_)));
    while in_flight_of(&world, Endpoint::Modify) {
        world.run_for(MILLI);
        world
            .queue
            .retain(|_, what| !matches!(what, Happening::Hub(_)));
    }
    assert_eq!(order(&world, &key).limit, Some(wanted));
    world.reply(old);
    assert_eq!(order(&world, &key).limit, Some(wanted), "newer knowledge");
    world.run_for(40 * SECOND);
    assert_eq!(order(&world, &key).limit, Some(wanted));
    assert_whole(&world);
}

fn in_flight_of(world: &World, endpoint: Endpoint) -> bool {
    let mut flights = world.flights.values();
    flights.any(|flight| flight.endpoint == endpoint)
}

#[test]
fn a_fill_between_the_reads_of_the_first_comparison_is_counted_once() {
    let mut world = connected();
    world.broker.is_still = true;
    let price = world.broker.lasts[0] - 5;
    place(&mut world, Side::Buy, Some(price), 2);
    world.run_for(SECOND);
    world.disk = rig::Disk::new();
    world.memory.has_lost_records = true;
    world.crash(Death::Killed);
    world.run_for(150 * MILLI);
    let now = world.broker_now();
    while !world
        .flights
        .values()
        .any(|flight| flight.endpoint == Endpoint::PositionSearch)
    {
        world.run_for(MILLI);
    }
    let position = in_flight(&world, Endpoint::PositionSearch);
    while world.flights.contains_key(&position) {
        world.run_for(MILLI);
    }
    world.broker.fill(0, 1, now);
    world.spread_news();
    world.run_for(20 * SECOND);
    let store = &world.engine.trading.store;
    let net = store.ledgers[&(ACCOUNT, ContractIndex(0))].net();
    assert_eq!(net, world.broker.net());
    assert!(
        world
            .engine
            .trading
            .broker_net
            .values()
            .all(|net| !net.is_disputed)
    );
}

#[test]
fn a_fill_that_was_taken_back_while_the_hub_was_down_is_found_again() {
    let mut world = connected();
    place(&mut world, Side::Buy, None, 2);
    world.run_for(SECOND);
    world.broker.is_still = true;
    world.run_for(200 * SECOND);
    world.link(LinkName::User, LinkState::Dead);
    let now = world.broker_now();
    world.broker.void(0, now);
    world.spread_news();
    world.run_for(SECOND);
    world.link(LinkName::User, LinkState::Live);
    world.run_for(40 * SECOND);
    let store = &world.engine.trading.store;
    assert_eq!(store.ledgers[&(ACCOUNT, ContractIndex(0))].net(), 0);
    assert!(
        world
            .engine
            .trading
            .broker_net
            .values()
            .all(|net| !net.is_disputed)
    );
}

/// Buys, with a stop held by this computer; `limit` ticks off the last price, or at the market.
fn submit_own_stop(world: &mut World, size: i64, limit: Option<i64>) -> String {
    let draft = world.draft(ACCOUNT, 0, Side::Buy, Lots(size));
    let draft = Draft {
        kind: limit.map_or(OrderKind::Market, |_| OrderKind::Limit),
        limit: limit.map(|away| Ticks(world.broker.lasts[0] + away)),
        ..draft
    };
    let entry = draft.tag.to_string();
    let plan = BracketPlan {
        rule: None,
        stop: Some(-40),
        holder: Holder::Computer,
        ..BracketPlan::default()
    };
    world.note_bracket(&draft);
    world.step(Input::Command(Command::SubmitBracket { draft, plan }));
    world.run_for(SECOND);
    entry
}

/// One lot and its stop.
fn with_an_own_stop(limit: Option<i64>) -> (World, String) {
    let mut world = connected();
    world.broker.is_still = true;
    let entry = submit_own_stop(&mut world, 1, limit);
    (world, entry)
}

fn working_stops(world: &World) -> Vec<BrokerOrder> {
    let rows = world.broker.orders.iter();
    let is_stop =
        |row: &&BrokerOrder| row.kind == Some(OrderKind::Stop) && row.status == OrderStatus::Open;
    rows.filter(is_stop).cloned().collect()
}

#[test]
fn a_leg_whose_record_was_lost_is_taken_back_and_not_placed_again() {
    let (mut world, entry) = with_an_own_stop(None);
    let is_leg = |bytes: &Vec<u8>| {
        let record = Record::from_bytes(bytes);
        matches!(record, Some(Record::Legs(LegRecord::Leg { .. })))
    };
    let at = world.disk.records.iter().position(is_leg).expect("placed");
    world.disk.lose_from(at);
    world.memory.has_lost_records = true;
    world.memory.lost_now = true;
    world.crash(Death::Killed);
    world.run_for(20 * SECOND);
    let stops = working_stops(&world);
    assert_eq!(stops.len(), 1, "{stops:?}");
    let leg = order(&world, &format!("{entry}-1"));
    assert_eq!(leg.role, Role::Stop);
    command(&mut world, |request| Command::Flatten {
        request,
        account: ACCOUNT,
        contract_id: None,
        source: "ladder".into(),
    });
    world.run_for(5 * SECOND);
    assert!(
        working_stops(&world).is_empty(),
        "it goes with its position"
    );
    assert_whole(&world);
}

#[test]
fn a_bracket_lives_on_while_a_fill_may_still_be_on_its_way() {
    let mut world = connected();
    world.broker.is_still = true;
    place(&mut world, Side::Sell, None, 3);
    let price = world.broker.lasts[0] - 5;
    place(&mut world, Side::Buy, Some(price), 2);
    world.run_for(SECOND);
    let now = world.broker_now();
    world.broker.fill(1, 1, now);
    world.broker.news.clear();
    submit_own_stop(&mut world, 3, None);
    world.run_for(20 * SECOND);
    let stops = working_stops(&world);
    let sizes: Vec<_> = stops.iter().filter_map(|row| row.size).collect();
    assert_eq!(world.broker.net(), 1);
    assert_eq!(sizes, [Lots(1)], "the fill that was lost makes a position");
    assert_whole(&world);
}

#[test]
fn a_fill_without_its_stop_is_told_also_on_an_account_that_is_not_chosen_any_more() {
    let (mut world, _) = with_an_own_stop(Some(-5));
    let only = Some(ACCOUNTS[1]);
    world.run_errand(Errand::Choose { only });
    world.run_for(5 * SECOND);
    let now = world.broker_now();
    world.broker.fill(0, 1, now);
    command(&mut world, |request| Command::CancelGroup {
        request,
        account: ACCOUNT,
        group: Group::default(),
        source: "cli".into(),
    });
    world.run_for(10 * SECOND);
    let is_told = |text: &String| text.starts_with("unprotected");
    assert!(world.alarms.iter().any(is_told), "{:?}", world.alarms);
    assert!(working_stops(&world).is_empty(), "nothing is sent for it");
    assert_whole(&world);
}

#[test]
fn an_entry_whose_cancel_is_refused_is_not_asked_again_before_it_was_read() {
    let mut world = connected();
    world.broker.is_still = true;
    submit_own_stop(&mut world, 2, Some(-5));
    let now = world.broker_now();
    world.broker.fill(0, 1, now);
    world.spread_news();
    world.run_for(SECOND);
    // The broker ended the entry and told nobody; then the stop closes what there was.
    world.broker.orders[0].status = OrderStatus::Cancelled;
    world.broker.fill(1, 1, now);
    world.spread_news();
    world.run_for(5 * SECOND);
    let exits = world.memory.sends.iter();
    let count = exits.filter(|(_, lane)| *lane == Lane::Exit).count();
    assert_eq!(
        count, 2,
        "the stop's, which crosses its fill, and the entry's once"
    );
    assert_whole(&world);
}

#[test]
fn a_leg_of_an_entry_of_an_earlier_run_has_a_tag_of_this_run() {
    let (mut world, entry) = with_an_own_stop(Some(-5));
    world.crash(Death::Killed);
    world.run_for(5 * SECOND);
    let now = world.broker_now();
    world.broker.fill(0, 1, now);
    world.spread_news();
    world.run_for(2 * SECOND);
    let stops = working_stops(&world);
    assert_eq!(stops.len(), 1);
    let tag = stops[0].custom_tag.clone().unwrap_or_default();
    assert!(!tag.starts_with(&entry), "{tag} may have left before");
    assert_whole(&world);
}

#[test]
fn a_resting_order_shows_how_many_lots_are_ahead_of_it() {
    let mut world = connected();
    world.broker.is_still = true;
    let price = world.broker.lasts[0] - 4;
    depth(
        &mut world,
        &[
            (6, 0, 0),
            (2, price, 40),
            (2, price - 1, 9),
            (1, price + 8, 9),
        ],
    );
    place(&mut world, Side::Buy, Some(price), 1);
    world.run_for(SECOND);
    depth(&mut world, &[(2, price, 52)]);
    depth(&mut world, &[(2, price, 45)]);
    world.run_for(2 * SECOND);
    let board = Arc::new(Board::default());
    world.engine.publish(&board);
    let rows = board.orders.load();
    let places = rows
        .iter()
        .map(|row| (row.queue_ahead_min, row.queue_ahead_max));
    assert_eq!(places.collect::<Vec<_>>(), [(33, 40)]);
}

/// Levels of the book: (type, price, size).
fn depth(world: &mut World, records: &[(u8, i64, i64)]) {
    let time = world.broker_now();
    let record = |&(kind, price, size): &(u8, i64, i64)| DepthRecord {
        time,
        kind,
        price: Ticks(price),
        size: Lots(size),
    };
    let records: Vec<_> = records.iter().map(record).collect();
    world.step(Input::Market(MarketEvent::Depth(
        ContractIndex(0),
        &records,
    )));
}
