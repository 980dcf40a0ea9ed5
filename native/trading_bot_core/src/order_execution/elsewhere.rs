//! Accounts that another engine of this computer manages (F9): they are shown, and only made smaller from here.
//!
//! The driver holds one lock per account; what it could not get is somebody else's. Without the lock nothing is placed,
//! changed, moved, fitted or flattened by itself; cancels, closes and flattens of a person always pass. Each full reading
//! asks for the lock again, and an account that comes over is compared with the broker before anything is done for it.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::contract::Effect;
use crate::engine::views::NoticeLevel;
use crate::order_execution::trading::Trading;
use crate::types::AccountId;

/// Who manages the chosen accounts. One in neither list has not been answered yet, and nothing is done for it.
#[derive(Clone, Debug, Default)]
pub struct Management {
    here: BTreeSet<AccountId>,
    elsewhere: BTreeMap<AccountId, String>,
}

impl Management {
    /// This engine manages the account.
    pub(crate) fn is_here(&self, account: AccountId) -> bool {
        self.here.contains(&account)
    }

    /// Who else manages it; empty when nobody is known to.
    pub(crate) fn holder(&self, account: AccountId) -> &str {
        self.elsewhere.get(&account).map_or("", String::as_str)
    }

    /// Keeps what is known of these accounts only.
    pub(super) fn keep(&mut self, accounts: &[AccountId]) {
        self.here.retain(|account| accounts.contains(account));
        self.elsewhere
            .retain(|account, _| accounts.contains(account));
    }

    /// Why nothing is placed or changed; `None` where this engine manages the account.
    pub(super) fn objection(&self, account: AccountId) -> Option<String> {
        if self.is_here(account) {
            return None;
        }
        Some(match self.elsewhere.get(&account) {
            Some(holder) => format!(
                "The account is managed by {holder}; only cancels, closes and flattens go out from here."
            ),
            None => "It is not known yet whether another Pitdesk manages this account.".to_owned(),
        })
    }
}

impl Trading {
    /// Asks for the locks of the chosen accounts.
    pub(super) fn ask_to_manage(&mut self) {
        let states = self.accounts.values().filter(|state| state.is_chosen);
        let accounts = states.map(|state| state.row.id).collect();
        self.push_effect(Effect::HoldAccounts { accounts });
    }

    /// The driver's answer about one account: `holder` names who has its lock, `None` that it is ours.
    pub(crate) fn take_lock(&mut self, account: AccountId, holder: Option<String>) {
        let was_elsewhere = self.management.elsewhere.remove(&account).is_some();
        let was_here = self.management.here.remove(&account);
        let name = self.accounts.get(&account);
        let name = name.map_or_else(|| account.to_string(), |state| state.row.name.clone());
        let Some(holder) = holder else {
            self.management.here.insert(account);
            if was_elsewhere {
                let text = format!(
                    "{name} is managed here from now on; it is compared with the broker first."
                );
                self.begin_management(account, NoticeLevel::Warning, "managed_here", text);
            } else if !was_here {
                self.note_account(account);
            }
            return;
        };
        let text = format!(
            "{name} is managed by {holder}. Here it is shown only: cancels, closes and flattens go out, nothing is placed, \
             moved or closed by a rule."
        );
        self.management.elsewhere.insert(account, holder);
        if !was_elsewhere {
            self.begin_management(account, NoticeLevel::Alarm, "managed_elsewhere", text);
        }
    }

    /// Another hand from now on: what was armed was armed for the hand before, and what was known must be seen again.
    fn begin_management(
        &mut self,
        account: AccountId,
        level: NoticeLevel,
        code: &'static str,
        text: String,
    ) {
        self.disarm_account(account);
        if let Some(state) = self.accounts.get_mut(&account) {
            state.is_reconciled = false;
        }
        self.want_full_round(account, self.now());
        self.note_account(account);
        self.notice(level, code, text);
    }

    fn note_account(&mut self, account: AccountId) {
        self.dirty.is_account_list = true;
        if self.accounts.contains_key(&account) {
            self.dirty.accounts.insert(account);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::contract::{Command, Input, Wanted};
    use crate::order_execution::legs::{BracketPlan, Holder};
    use crate::order_execution::order::{Change, Life};
    use crate::rig::{ACCOUNTS, Plan, SECOND, World};
    use crate::types::{Lots, OrderKind, OrderStatus, Side, Ticks};

    const ACCOUNT: AccountId = ACCOUNTS[0];

    fn connected() -> World {
        let mut world = World::new(Plan::quiet(1));
        world.run_for(3 * SECOND);
        world.broker.is_still = true;
        world
    }

    /// Another engine gets the account's lock, or gives it back.
    fn pass_to(world: &mut World, holder: Option<&str>) {
        world.other_manager = holder.map(str::to_owned);
        world.step(Input::AccountLock {
            account: ACCOUNT,
            holder: holder.map(str::to_owned),
        });
    }

    fn arm(world: &mut World) {
        world.step(Input::Command(Command::Arm {
            source: "ladder".into(),
            account: ACCOUNT,
            is_armed: true,
        }));
    }

    fn rest(world: &mut World, below: i64) -> String {
        let mut draft = world.draft(ACCOUNT, 0, Side::Buy, Lots(1));
        draft.kind = OrderKind::Limit;
        draft.limit = Some(Ticks(world.broker.lasts[0] - below));
        let tag = draft.tag.to_string();
        world.submit(draft);
        world.run_for(SECOND / 2);
        tag
    }

    fn life(world: &World, tag: &str) -> Option<(Life, Change)> {
        let store = &world.engine.trading.store;
        let order = &store.orders[store.order(tag)?];
        Some((order.life, order.change))
    }

    fn stops(world: &World) -> usize {
        let rows = world.broker.orders.iter();
        rows.filter(|row| row.kind == Some(OrderKind::Stop) && row.status == OrderStatus::Open)
            .count()
    }

    #[test]
    fn an_account_managed_elsewhere_takes_cancels_and_nothing_else() {
        let mut world = connected();
        let tag = rest(&mut world, 5);
        pass_to(&mut world, Some("another Pitdesk (process 7, /desk/b)"));
        let is_told = |text: &String| text.contains("/desk/b");
        assert!(world.alarms.iter().any(is_told), "{:?}", world.alarms);
        arm(&mut world);
        world.run_for(SECOND);
        let before = world.broker.orders.len();
        let denied = rest(&mut world, 6);
        assert_eq!(world.broker.orders.len(), before, "nothing is placed");
        assert_eq!(life(&world, &denied).map(|it| it.0), Some(Life::Denied));
        let (key, lower) = (tag.clone(), world.broker.lasts[0] - 9);
        world.command(|request| Command::Modify {
            request,
            key,
            wanted: Wanted {
                limit: Some(Ticks(lower)),
                ..Wanted::default()
            },
            source: "ladder".into(),
        });
        assert_eq!(life(&world, &tag), Some((Life::Working, Change::None)));
        let key = tag.clone();
        world.command(|request| Command::Cancel {
            request,
            key,
            source: "ladder".into(),
        });
        world.run_for(SECOND);
        assert_eq!(life(&world, &tag).map(|it| it.0), Some(Life::Cancelled));
        assert!(world.broken.is_none(), "{:?}", world.broken);
    }

    #[test]
    fn legs_wait_for_the_lock_and_are_placed_after_a_comparison() {
        let mut world = connected();
        let draft = world.draft(ACCOUNT, 0, Side::Buy, Lots(1));
        let plan = BracketPlan {
            rule: None,
            stop: Some(-40),
            holder: Holder::Computer,
            ..BracketPlan::default()
        };
        world.note_bracket(&draft);
        world.step(Input::Command(Command::SubmitBracket { draft, plan }));
        pass_to(&mut world, Some("another Pitdesk"));
        world.run_for(5 * SECOND);
        assert_eq!(world.broker.nets.get(&(ACCOUNT, 0)), Some(&1), "it filled");
        assert_eq!(stops(&world), 0, "the other engine's exits are its own");
        world.other_manager = None;
        world.command(|request| Command::Reconcile { request });
        world.run_for(3 * SECOND);
        assert!(world.engine.trading.accounts[&ACCOUNT].is_reconciled);
        assert_eq!(stops(&world), 1);
        let mut armed = world.engine.trading.armed.iter();
        assert!(armed.all(|pair| pair.1 != ACCOUNT), "by another hand");
    }

    #[test]
    fn before_the_answer_about_the_lock_nothing_is_placed() {
        let management = Management::default();
        assert!(management.objection(ACCOUNT).is_some());
    }
}
