//! Exits that a sudden end of the program cuts off: nothing of them is sent afterwards, and the trader hears of them once.

use crate::engine::contract::{Command, Endpoint, Group, LinkName, LinkState};
use crate::order_execution::order::Life;
use crate::order_execution::record::Record;
use crate::rig::{ACCOUNTS, CONTRACTS, Death, MILLI, Plan, SECOND, World};
use crate::types::{AccountId, ClientTag, Lots, OrderKind, RequestId, Side, Ticks};

const ACCOUNT: AccountId = ACCOUNTS[0];
const CONTRACT: &str = CONTRACTS[0];

/// Two lots and a stop below them that works, and a market that fills nothing more.
fn with_a_position() -> World {
    let mut world = World::new(Plan::quiet(1));
    world.run_for(3 * SECOND);
    let entry = world.draft(ACCOUNT, 0, Side::Buy, Lots(2));
    world.submit(entry);
    world.run_for(SECOND);
    assert_eq!(world.broker.net(), 2, "a position to leave");
    world.broker.is_still = true;
    let mut stop = world.draft(ACCOUNT, 0, Side::Sell, Lots(2));
    stop.kind = OrderKind::Stop;
    stop.stop = Some(Ticks(world.broker.lasts[0] - 40));
    world.submit(stop);
    world.run_for(SECOND);
    assert_eq!(living(&world), 1);
    world
}

fn living(world: &World) -> usize {
    let orders = world.broker.orders.iter();
    orders.filter(|order| !order.status.is_terminal()).count()
}

fn flatten(world: &mut World) {
    world.command(|request| Command::Flatten {
        request,
        account: ACCOUNT,
        contract_id: None,
        source: "ladder".into(),
    });
}

fn reverse(world: &mut World) -> String {
    let tag: ClientTag = world.draft(ACCOUNT, 0, Side::Sell, Lots(4)).tag;
    world.command(|request: RequestId| Command::Reverse {
        request,
        account: ACCOUNT,
        contract_id: CONTRACT.into(),
        tag,
        stop_ticks: Some(20),
        target_ticks: None,
        source: "ladder".into(),
    });
    tag.to_string()
}

fn run_until_sent(world: &mut World, endpoint: Endpoint) {
    for _ in 0..5_000 {
        let mut flights = world.flights.values();
        if flights.any(|flight| flight.endpoint == endpoint) {
            return;
        }
        world.run_for(MILLI);
    }
    panic!("no {endpoint:?} left within five seconds; {:?}", world.done);
}

/// What was told of exits that were cut off, oldest first, and how often the journal says that one was.
fn told(world: &World) -> (Vec<&String>, usize) {
    let alarms = world.alarms.iter();
    let told = alarms.filter(|text| text.contains("The end of the program cut off"));
    let is_end = |bytes: &&Vec<u8>| {
        let record = Record::from_bytes(bytes);
        matches!(record, Some(Record::Sequence(super::SequenceRecord::Ended { outcome, .. })) if outcome == "interrupted")
    };
    let ended = world.disk.records.iter().filter(is_end).count();
    (told.collect(), ended)
}

#[test]
fn a_flatten_that_was_cut_off_before_its_close_is_told_and_not_gone_on_with() {
    let mut world = with_a_position();
    flatten(&mut world);
    run_until_sent(&mut world, Endpoint::Cancel);
    world.crash(Death::Killed);
    world.run_for(60 * SECOND);
    assert_eq!(world.broker.net(), 2, "nobody pressed again");
    let (texts, ended) = told(&world);
    assert_eq!((texts.len(), ended), (1, 1), "{texts:?}");
    assert!(texts[0].contains("a flatten of"), "{texts:?}");
    assert!(texts[0].contains("+2"), "the position read back: {texts:?}");
    world.crash(Death::Killed);
    world.run_for(30 * SECOND);
    assert_eq!(told(&world).1, 1, "it is told once");
    assert!(world.broken.is_none(), "{:?}", world.broken);
}

#[test]
fn a_flatten_pressed_again_after_the_restart_ends_flat() {
    let mut world = with_a_position();
    flatten(&mut world);
    run_until_sent(&mut world, Endpoint::Cancel);
    world.crash(Death::Killed);
    world.run_for(10 * SECOND);
    flatten(&mut world);
    world.run_for(20 * SECOND);
    assert_eq!((world.broker.net(), living(&world)), (0, 0));
    assert!(world.engine.trading.store.sequences.is_empty());
}

#[test]
fn a_flatten_that_reached_its_end_before_the_restart_is_told_as_read_back_flat() {
    let mut world = with_a_position();
    flatten(&mut world);
    run_until_sent(&mut world, Endpoint::CloseContract);
    world.run_for(SECOND / 5);
    assert_eq!(world.broker.net(), 0, "the close was carried out");
    world.crash(Death::Killed);
    world.run_for(20 * SECOND);
    let (texts, ended) = told(&world);
    assert_eq!((texts.len(), ended), (0, 1), "nothing to be alarmed about");
}

#[test]
fn the_second_half_of_a_reverse_is_never_sent_after_a_restart() {
    let mut world = with_a_position();
    let tag = reverse(&mut world);
    run_until_sent(&mut world, Endpoint::Cancel);
    world.crash(Death::Killed);
    world.run_for(60 * SECOND);
    assert_eq!(world.broker.net(), 2);
    assert!(world.engine.trading.store.order(&tag).is_none());
    let (texts, _) = told(&world);
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert!(texts[0].contains("was not sent"), "{texts:?}");
}

/// A renewed login hands the hub over, and the comparison of that moment takes the place of the one the exit waits for.
#[test]
fn a_hub_handed_over_while_a_flatten_waits_for_its_reading_does_not_hold_it_up() {
    let mut world = with_a_position();
    flatten(&mut world);
    run_until_sent(&mut world, Endpoint::CloseContract);
    let ends = world.done.len();
    // The close is answered, and the reading that is to judge it has not begun.
    while world.broker.net() != 0 {
        world.run_for(MILLI);
    }
    world.run_for(SECOND / 10);
    world.link(LinkName::User, LinkState::Live);
    world.run_for(3 * SECOND);
    assert_eq!(
        world.done.len(),
        ends + 1,
        "flat and read back within seconds"
    );
}

/// A restart after which the account is chosen and not compared yet, and an order of somebody else in each contract.
fn before_the_first_comparison() -> World {
    let mut world = with_a_position();
    world.crash(Death::Killed);
    for contract in CONTRACTS {
        world.broker.add_of_others(1, contract);
    }
    for _ in 0..5_000 {
        let state = world.engine.trading.accounts.get(&ACCOUNT);
        if state.is_some_and(|state| state.is_chosen && !state.is_reconciled) {
            return world;
        }
        world.run_for(MILLI);
    }
    panic!("the account was not chosen within five seconds");
}

fn cancel_group(world: &mut World, contract: Option<&str>) -> u64 {
    let group = Group {
        contract_id: contract.map(str::to_owned),
        ..Group::default()
    };
    let mut number = 0;
    world.command(|request| {
        number = request.0;
        Command::CancelGroup {
            request,
            account: ACCOUNT,
            group,
            source: "ladder".into(),
        }
    });
    number
}

#[test]
fn a_group_cancel_before_the_first_comparison_takes_what_only_the_broker_knows() {
    let mut world = before_the_first_comparison();
    let others = living(&world) - 1;
    assert!(others > 0, "orders that nobody here has seen");
    let request = cancel_group(&mut world, None);
    world.run_for(8 * SECOND);
    assert_eq!(world.done.get(&request), Some(&"done"));
    assert_eq!(living(&world), 0);
}

#[test]
fn a_group_cancel_in_a_contract_that_nobody_named_yet_waits_for_the_reading_and_takes_no_other() {
    let mut world = before_the_first_comparison();
    let (contract, before) = (CONTRACTS[CONTRACTS.len() - 1], living(&world));
    let request = cancel_group(&mut world, Some(contract));
    assert_eq!(world.done.get(&request), None, "nothing is known yet");
    world.run_for(8 * SECOND);
    assert_eq!(world.done.get(&request), Some(&"done"));
    let orders = world.broker.orders.iter();
    let mut left = orders.filter(|order| !order.status.is_terminal());
    assert!(left.all(|order| order.contract_id != contract));
    assert_eq!(living(&world), before - 1);
}

/// What only reduces is admitted while a reversal reads the account, and both together would pass the limit.
#[test]
fn an_exit_ordered_while_a_reversal_reads_is_gone_before_the_position_turns() {
    let mut world = with_a_position();
    let tag = reverse(&mut world);
    let is_live = |world: &World| {
        let mut rows = world.engine.trading.store.open_rows();
        rows.any(|(_, order)| order.is_live())
    };
    for _ in 0..5_000 {
        if !is_live(&world) {
            break;
        }
        world.run_for(MILLI);
    }
    assert!(!is_live(&world), "the stop is known to be gone");
    let mut exit = world.draft(ACCOUNT, 0, Side::Sell, Lots(2));
    exit.kind = OrderKind::Limit;
    exit.limit = Some(Ticks(world.broker.lasts[0] + 40));
    let key = exit.tag.to_string();
    world.submit(exit);
    world.run_for(20 * SECOND);
    let store = &world.engine.trading.store;
    let life = |key: &str| store.order(key).map(|index| store.orders[index].life);
    assert_eq!(
        life(&key),
        Some(Life::Cancelled),
        "admitted, then cancelled"
    );
    assert_eq!(life(&tag), Some(Life::Filled), "{:?}", world.alarms);
    assert_eq!(world.broker.net(), -2);
    assert!(world.broken.is_none(), "{:?}", world.broken);
}

/// The screen shows what the fills give; the message about the position comes when it comes.
#[test]
fn a_reverse_turns_what_the_fills_tell_before_the_broker_tells_the_position() {
    let mut world = with_a_position();
    for told in world.engine.trading.broker_net.values_mut() {
        told.net = 0;
    }
    let tag = reverse(&mut world);
    world.run_for(20 * SECOND);
    let store = &world.engine.trading.store;
    let life = store.order(&tag).map(|index| store.orders[index].life);
    assert_eq!(life, Some(Life::Filled), "{:?}", world.alarms);
    assert_eq!(world.broker.net(), -2);
}
