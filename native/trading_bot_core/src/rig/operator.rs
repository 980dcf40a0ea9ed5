//! What the program around the engine does by itself: logging in, choosing accounts, subscribing, until it succeeds.

use super::broker::{ACCOUNTS, CONTRACTS};
use super::plan::{MILLI, SECOND};
use super::world::{Happening, World};
use crate::engine::contract::{Command, DoneOutcome, Environment, Input, LinkName, LinkState};
use crate::order_execution::gate::Limits;
use crate::risk_rules::{Action, Rules};
use crate::types::AccountId;

/// One life in so many has account rules; the others reach what rules would forbid.
const RULED_LIVES: i64 = 3;

/// A request that is repeated until it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    LogIn,
    Choose {
        only: Option<AccountId>,
    },
    Subscribe(usize),
    /// States the limits and arms; needs no answer.
    SetLimits,
}

impl World {
    pub(super) fn log_in(&mut self) {
        self.memory.operator_arms = true;
        self.step(Input::ServerTime(self.broker_now()));
        self.run_errand(Errand::LogIn);
        self.schedule(20 * MILLI, Happening::Link(LinkName::Rest, LinkState::Live));
        self.schedule(
            30 * MILLI,
            Happening::Link(LinkName::Market, LinkState::Live),
        );
        self.schedule(40 * MILLI, Happening::Link(LinkName::User, LinkState::Live));
    }

    pub(crate) fn run_errand(&mut self, errand: Errand) {
        if errand == Errand::SetLimits {
            self.set_limits(self.plan.max_position_lots);
            return;
        }
        let request = self.request();
        self.errands.insert(request.0, errand);
        let input = match errand {
            Errand::LogIn => {
                let environment = if self.plan.is_live {
                    Environment::Live
                } else {
                    Environment::Demo
                };
                self.note_login();
                Input::LoggedIn {
                    request,
                    environment,
                }
            }
            Errand::Choose { only } => {
                let accounts: Vec<_> = ACCOUNTS
                    .into_iter()
                    .filter(|id| only.is_none_or(|wanted| wanted == *id))
                    .collect();
                self.note_choice(&accounts);
                Input::Command(Command::ChooseAccounts { request, accounts })
            }
            Errand::Subscribe(slot) => Input::Command(Command::Subscribe {
                request,
                contract_id: CONTRACTS[slot].into(),
            }),
            Errand::SetLimits => return,
        };
        self.step(input);
    }

    /// The end of an errand: what follows it, or the same again.
    pub(super) fn errand_done(&mut self, errand: Errand, outcome: DoneOutcome) {
        let is_done = outcome == DoneOutcome::Done;
        if is_done {
            self.patience = 0;
        }
        match errand {
            Errand::LogIn if is_done => {
                self.schedule(0, Happening::Errand(Errand::Choose { only: None }));
                for slot in 0..CONTRACTS.len() {
                    self.schedule(0, Happening::Errand(Errand::Subscribe(slot)));
                }
            }
            Errand::Choose { .. } if is_done => {
                self.schedule(0, Happening::Errand(Errand::SetLimits));
            }
            Errand::Subscribe(_) if is_done => {}
            Errand::SetLimits => {}
            // The choice itself holds as soon as the accounts are known; the engine goes on reading them.
            Errand::Choose { .. } if !self.engine.trading.accounts.is_empty() => {
                self.schedule(0, Happening::Errand(Errand::SetLimits));
            }
            again => {
                self.patience = (self.patience * 2).clamp(SECOND, 16 * SECOND);
                let after = self
                    .patience
                    .max(self.rest_down_until.saturating_sub(self.now));
                self.schedule(after, Happening::Errand(again));
            }
        }
    }

    /// States the limits of both accounts, and arms them.
    pub(super) fn set_limits(&mut self, max_position_lots: i64) {
        let limits = Limits {
            max_position_lots,
            max_order_lots: 5,
            ..Limits::default()
        };
        self.memory.max_position_lots = max_position_lots;
        for account in ACCOUNTS {
            self.step(Input::Command(Command::SetLimits { account, limits }));
        }
        if self.plan.max_position_lots % RULED_LIVES == 0 {
            self.state_rules(ACCOUNTS[1]);
        }
        self.arm_all();
    }

    /// Rules so tight that a life may reach them: warnings and latches meet every fault, and a crash keeps them.
    fn state_rules(&mut self, account: AccountId) {
        let rules = Rules {
            name: "rig".into(),
            daily_loss: Some(400_000),
            daily_loss_action: Action::Block,
            personal_loss: Some(200_000),
            is_personal_trailing: true,
            counts_open: true,
            trades_max: Some(12),
            ..Rules::default()
        };
        let request = self.request();
        self.step(Input::Command(Command::SetRules {
            request,
            account,
            rules: Box::new(rules),
        }));
    }

    pub fn arm_all(&mut self) {
        for account in ACCOUNTS {
            self.step(Input::Command(Command::Arm {
                source: "ladder".into(),
                account,
                is_armed: true,
            }));
        }
    }
}
