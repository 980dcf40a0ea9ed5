//! The account rules in lives that somebody chose.

use crate::engine::contract::{Command, Draft, Input};
use crate::rig::{ACCOUNTS, Errand, Plan, SECOND, World};
use crate::risk_rules::{Mode, RuleName, Rules};
use crate::types::{AccountId, Lots, OrderKind, Side, Ticks};

const ACCOUNT: AccountId = ACCOUNTS[1];

fn connected() -> World {
    let mut world = World::new(Plan::quiet(1));
    world.run_for(3 * SECOND);
    world.broker.is_still = true;
    world
}

fn buy(world: &mut World) {
    let draft = world.draft(ACCOUNT, 0, Side::Buy, Lots(1));
    world.submit(draft);
    world.run_for(SECOND);
}

#[test]
fn what_says_nothing_about_an_account_leaves_no_book_without_a_record() {
    // No limits were stated for it, so that it has no book yet.
    const STRANGER: AccountId = AccountId(99);
    let mut world = connected();
    world.command(|request| Command::SetMode {
        request,
        account: STRANGER,
        mode: Mode::Normal,
        source: "ladder".into(),
    });
    world.command(|request| Command::ReleaseThrottle {
        request,
        account: STRANGER,
        source: "ladder".into(),
        by: "a person".into(),
    });
    assert!(!world.engine.trading.store.books.contains_key(&STRANGER));
    world.check_state();
    assert!(world.broken.is_none(), "{:?}", world.broken);
}

#[test]
fn fills_of_an_account_that_was_not_chosen_count_when_it_is_chosen_again() {
    let mut world = connected();
    let rules = Rules {
        trades_max: Some(2),
        ..Rules::default()
    };
    world.command(|request| Command::SetRules {
        request,
        account: ACCOUNT,
        rules: Box::new(rules),
    });
    buy(&mut world);
    let resting = world.draft(ACCOUNT, 0, Side::Buy, Lots(1));
    let price = world.broker.lasts[0] - 5;
    let resting = Draft {
        kind: OrderKind::Limit,
        limit: Some(Ticks(price)),
        ..resting
    };
    world.submit(resting);
    world.run_for(SECOND);
    world.run_errand(Errand::Choose {
        only: Some(ACCOUNTS[0]),
    });
    world.run_for(3 * SECOND);
    // The fill is told although nobody looks at the account: a message that was on its way when it was let go.
    let now = world.broker_now();
    world.broker.fill(1, 1, now);
    for event in std::mem::take(&mut world.broker.news) {
        world.step(Input::User(event));
    }
    assert_eq!(world.broker.net(), 2);
    world.run_errand(Errand::Choose { only: None });
    world.run_for(10 * SECOND);
    let latches = &world.engine.trading.store.books[&ACCOUNT].latches;
    assert!(latches.contains_key(&RuleName::Trades), "{latches:?}");
    assert!(world.broken.is_none(), "{:?}", world.broken);
}
