//! What people do, act by act, and what fate does at its moments.

use super::broker::{ACCOUNTS, Broker, CONTRACTS};
use super::desk::Body;
use super::dice::Dice;
use super::disk::Death;
use super::faults::Fault;
use super::invariants::Law;
use super::operator::Errand;
use super::plan::{Deed, MILLI, SECOND};
use super::world::{Happening, World};
use crate::engine::contract::{
    Command, Draft, Endpoint, Group, Input, LinkName, LinkState, Part, Wanted,
};
use crate::order_execution::legs::{BracketMode, BracketPlan, Holder, Target, WhenBare};
use crate::order_execution::order::{Change, Life};
use crate::order_execution::tag::{TagKind, TagMint};
use crate::types::{AccountId, ClientTag, Lots, Mono, OrderKind, Side, Ticks};
use crate::websocket::parse::UserEvent;

impl World {
    pub(super) fn act(&mut self, at: usize) {
        let act = self.plan.acts[at];
        if self.is_healing {
            return;
        }
        let mut dice = Dice::of(act.roll, 7);
        if let Some(trace) = &mut self.trace {
            trace.push(format!(
                "{:>12.6} act {at}: {}",
                self.now as f64 / 1e9,
                act.deed.name()
            ));
        }
        match act.deed {
            Deed::Trouble(fault) => self.trouble(fault, &mut dice),
            deed => self.person(deed, &mut dice),
        }
    }

    fn person(&mut self, deed: Deed, dice: &mut Dice) {
        let account = if dice.chance(75) {
            ACCOUNTS[0]
        } else {
            ACCOUNTS[1]
        };
        match deed {
            Deed::Limit | Deed::Market | Deed::StopEntry | Deed::Bracket | Deed::DoubleClick => {
                self.enter(deed, account, dice);
            }
            Deed::ModifyPrice | Deed::ModifySize => self.change(deed, dice),
            Deed::Cancel => self.cancel(dice),
            Deed::CancelGroup => self.cancel_group(account, dice),
            Deed::Flatten => self.flatten(account, dice),
            Deed::FlattenTwice => {
                self.flatten(account, &mut dice.clone());
                self.flatten(account, dice);
            }
            Deed::Close | Deed::PartialClose => self.close(deed, account, dice),
            Deed::Disarm => self.step(Input::Command(Command::Arm {
                source: "ladder".into(),
                account,
                is_armed: false,
            })),
            Deed::Halt => {
                self.memory.is_halted = true;
                let reason = "drill".into();
                self.step(Input::Command(Command::Halt { reason }));
            }
            Deed::Reconcile => self.command(|request| Command::Reconcile { request }),
            Deed::SwitchAccounts => {
                let only = dice.chance(50).then_some(account);
                self.run_errand(Errand::Choose { only });
            }
            Deed::LowerLimits => self.set_limits(dice.between(1, 4) as i64),
            Deed::BadTag => self.use_bad_tag(account, dice),
            Deed::Trouble(_) => {}
        }
    }

    pub fn command(&mut self, make: impl FnOnce(crate::types::RequestId) -> Command) {
        let request = self.request();
        let command = make(request);
        self.note_command(request, &command);
        self.step(Input::Command(command));
    }

    fn enter(&mut self, deed: Deed, account: AccountId, dice: &mut Dice) {
        if dice.chance(85) {
            self.arm_all();
        }
        let slot = usize::from(dice.chance(25));
        let side = if dice.chance(50) {
            Side::Buy
        } else {
            Side::Sell
        };
        let size = Lots(1 + dice.roll(4) as i64);
        let away = dice.roll(20) as i64;
        let draft = self.draft(account, slot, side, size);
        let last = self.broker.lasts[slot];
        let near = Some(Ticks(last - side.sign() * away));
        if deed == Deed::Bracket && dice.chance(60) {
            self.submit_bracket(draft, near, away, dice);
            return;
        }
        if deed == Deed::StopEntry && dice.chance(50) {
            self.submit_breakout(account, slot, size, away);
            return;
        }
        let draft = match deed {
            Deed::Market => draft,
            Deed::StopEntry => Draft {
                kind: OrderKind::Stop,
                stop: Some(Ticks(last + side.sign() * (1 + away))),
                ..draft
            },
            Deed::Bracket => Draft {
                stop_bracket_ticks: Some(8 + away),
                target_bracket_ticks: dice.chance(70).then_some(10 + away),
                kind: if away % 2 == 0 {
                    OrderKind::Market
                } else {
                    OrderKind::Limit
                },
                limit: near.filter(|_| away % 2 != 0),
                ..draft
            },
            _ => Draft {
                kind: OrderKind::Limit,
                limit: near,
                ..draft
            },
        };
        let again = (deed == Deed::DoubleClick).then(|| draft.clone());
        self.submit(draft);
        if let Some(again) = again {
            self.now += MILLI * dice.between(1, 250);
            let tag = self.mint_tag();
            let (first, second) = (again.tag.to_string(), tag.to_string());
            self.memory.doubles.insert(second, first);
            self.submit(Draft { tag, ..again });
        }
    }

    /// An entry with a stop and up to three targets, held by the broker or by this computer.
    fn submit_bracket(&mut self, draft: Draft, near: Option<Ticks>, away: i64, dice: &mut Dice) {
        let (account, sign) = (draft.account, draft.side.sign());
        if dice.chance(50) {
            self.command(|request| Command::SetBracketMode {
                request,
                account,
                mode: BracketMode::Unknown,
            });
        }
        let count = dice.roll(4).min(draft.size.0 as u64) as i64;
        let targets = (1..=count).map(|place| Target {
            ticks: sign * (6 + away) * place,
            lots: if place == count {
                draft.size.0 - count + 1
            } else {
                1
            },
        });
        let plan = BracketPlan {
            rule: None,
            stop: Some(-sign * (8 + away)),
            targets: targets.collect(),
            holder: if dice.chance(60) {
                Holder::Computer
            } else {
                Holder::Broker
            },
            when_bare: if dice.chance(20) {
                WhenBare::Flatten
            } else {
                WhenBare::Alarm
            },
        };
        let limit = near.filter(|_| away % 2 != 0);
        let draft = Draft {
            kind: limit.map_or(OrderKind::Market, |_| OrderKind::Limit),
            limit,
            ..draft
        };
        self.note_bracket(&draft);
        self.step(Input::Command(Command::SubmitBracket { draft, plan }));
    }

    /// A stop entry on both sides of the market, of which one cancels the other.
    fn submit_breakout(&mut self, account: AccountId, slot: usize, size: Lots, away: i64) {
        let mut keys = Vec::new();
        for side in [Side::Buy, Side::Sell] {
            let last = self.broker.lasts[slot];
            let draft = Draft {
                kind: OrderKind::Stop,
                stop: Some(Ticks(last + side.sign() * (1 + away))),
                ..self.draft(account, slot, side, size)
            };
            keys.push(draft.tag.to_string());
            self.submit(draft);
        }
        let source = "ladder".to_owned();
        self.command(|request| Command::LinkOco {
            request,
            keys,
            source,
        });
    }

    /// A market order; callers give it prices.
    pub fn draft(&mut self, account: AccountId, slot: usize, side: Side, size: Lots) -> Draft {
        Draft {
            tag: self.mint_tag(),
            account,
            contract_id: CONTRACTS[slot].into(),
            side,
            kind: OrderKind::Market,
            size,
            limit: None,
            stop: None,
            trail: None,
            stop_bracket_ticks: None,
            target_bracket_ticks: None,
            is_reduce_only: false,
            source: "ladder".into(),
            pressed: Mono(0),
        }
    }

    pub fn submit(&mut self, draft: Draft) {
        self.note_draft(&draft);
        self.step(Input::Command(Command::Submit(draft)));
    }

    fn mint_tag(&mut self) -> ClientTag {
        let tag = self.mint.next_tag();
        self.note_tag(tag);
        tag
    }

    fn use_bad_tag(&mut self, account: AccountId, dice: &mut Dice) {
        self.arm_all();
        let mut draft = self.draft(account, 0, Side::Buy, Lots(1));
        let used: Vec<String> = self.memory.departed.keys().cloned().collect();
        let old = dice.pick(&used).and_then(|tag| tag.parse().ok());
        let kind = if self.plan.is_live {
            TagKind::Practice
        } else {
            TagKind::Live
        };
        let other = TagMint::new(kind, "abc123", 1 + dice.roll(1_000));
        draft.tag = old
            .filter(|_| dice.chance(50))
            .unwrap_or_else(|| other.next_tag());
        self.step(Input::Command(Command::Submit(draft)));
    }

    fn change(&mut self, deed: Deed, dice: &mut Dice) {
        let Some(key) = self.some_key(dice) else {
            return;
        };
        let store = &self.engine.trading.store;
        let Some(order) = store.order(&key).map(|index| &store.orders[index]) else {
            return;
        };
        let (kind, size) = (order.kind, order.size.0);
        let slot = Broker::slot_of(&store.contracts[order.contract.slot()].id).unwrap_or(0);
        let price = Some(Ticks(self.broker.lasts[slot] + dice.roll(40) as i64 - 20));
        let is_stop = kind == OrderKind::Stop;
        let wanted = match deed {
            Deed::ModifySize => Wanted {
                size: Some(Lots(1 + (size + dice.roll(4) as i64) % 6)),
                ..Wanted::default()
            },
            _ => Wanted {
                limit: price.filter(|_| !is_stop),
                stop: price.filter(|_| is_stop),
                ..Wanted::default()
            },
        };
        self.command(|request| Command::Modify {
            request,
            key,
            wanted,
            source: "ladder".into(),
        });
    }

    fn is_cancel_under_way(&self, id: i64) -> bool {
        let left = self
            .flights
            .values()
            .map(|flight| (flight.endpoint, &flight.body));
        let held = self.held.iter().map(|send| (send.endpoint, &send.body));
        let mut cancels = left
            .chain(held)
            .filter(|(endpoint, _)| *endpoint == Endpoint::Cancel);
        cancels.any(|(_, body)| Body::read(body).order() == Some(id))
    }

    /// A cancel goes out at once, whatever else holds the engine up, unless one is on its way (I-18).
    fn cancel(&mut self, dice: &mut Dice) {
        let Some(key) = self.some_key(dice) else {
            return;
        };
        let store = &self.engine.trading.store;
        let order = store.order(&key).map(|index| &store.orders[index]);
        let must_go = order.is_some_and(|order| {
            order.life == Life::Working
                && order.change == Change::None
                && order
                    .order_id
                    .is_some_and(|id| !self.is_cancel_under_way(id.0))
        });
        self.command(|request| Command::Cancel {
            request,
            key,
            source: "ladder".into(),
        });
        let has_gone = self.memory.step.cancels > 0 || !must_go || self.memory.booted >= self.now;
        self.hold(Law::I18, has_gone, |_| "a cancel was held back".into());
    }

    fn cancel_group(&mut self, account: AccountId, dice: &mut Dice) {
        let side = dice.chance(60).then_some(Side::Buy);
        let contract_id = dice.chance(30).then(|| CONTRACTS[0].to_owned());
        self.command(|request| Command::CancelGroup {
            request,
            account,
            group: Group {
                contract_id,
                side,
                ..Group::default()
            },
            source: "ladder".into(),
        });
    }

    pub fn flatten(&mut self, account: AccountId, dice: &mut Dice) {
        let contract_id = dice.chance(30).then(|| CONTRACTS[0].to_owned());
        self.command(|request| Command::Flatten {
            request,
            account,
            contract_id,
            source: "ladder".into(),
        });
    }

    fn close(&mut self, deed: Deed, account: AccountId, dice: &mut Dice) {
        let contract_id = CONTRACTS[usize::from(dice.chance(25))].to_owned();
        let lots = 1 + dice.roll(2) as i64;
        let part = if deed == Deed::PartialClose {
            Part::Lots(lots)
        } else {
            Part::All
        };
        self.command(|request| Command::ClosePosition {
            request,
            account,
            contract_id,
            part,
            source: "ladder".into(),
        });
    }

    /// One of the newest orders.
    pub fn some_key(&self, dice: &mut Dice) -> Option<String> {
        let rows = self.engine.trading.store.rows();
        let keys: Vec<&str> = rows.map(|(_, order)| order.key.as_str()).collect();
        let recent = &keys[keys.len().saturating_sub(6)..];
        dice.pick(recent).map(|key| (*key).to_owned())
    }

    fn trouble(&mut self, fault: Fault, dice: &mut Dice) {
        let is_process = Fault::Crash as usize <= fault as usize;
        if is_process {
            self.process_trouble(fault, dice);
            return;
        }
        self.tally.fired(fault);
        match fault {
            Fault::HubDrop => self.drop_hub(dice),
            Fault::HubHalfOpen => {
                self.hub_deaf_until = self.now + 10 * SECOND;
                self.schedule(
                    10 * SECOND,
                    Happening::Link(LinkName::User, LinkState::Dead),
                );
                let back = 10 * SECOND + dice.log_uniform(SECOND / 4, 5 * SECOND);
                self.schedule(back, Happening::Link(LinkName::User, LinkState::Live));
            }
            Fault::MarketDrop => {
                let time = dice.log_uniform(SECOND, 20 * SECOND);
                self.market_deaf_until = self.now + time;
                self.schedule(time, Happening::Link(LinkName::Market, LinkState::Live));
                self.link(LinkName::Market, LinkState::Connecting);
            }
            Fault::RestDown => {
                let time = dice.log_uniform(SECOND, 30 * SECOND);
                self.rest_down_until = self.now + time;
                self.schedule(time, Happening::Link(LinkName::Rest, LinkState::Live));
                self.link(LinkName::Rest, LinkState::Connecting);
            }
            Fault::WallStep => {
                let step = dice.log_uniform(SECOND, 86_400 * SECOND) as i64;
                self.wall_offset += if dice.chance(50) { step } else { -step };
            }
            Fault::Sleep => {
                // Our clock stands still, the broker's does not; the sockets are dead when we wake.
                self.clock.slept += dice.log_uniform(SECOND, 1_800 * SECOND);
                self.drop_hub(dice);
            }
            other => self.broker_trouble(other, dice),
        }
    }

    fn drop_hub(&mut self, dice: &mut Dice) {
        let time = dice.log_uniform(SECOND / 4, 20 * SECOND);
        self.schedule(time, Happening::Link(LinkName::User, LinkState::Live));
        self.link(LinkName::User, LinkState::Connecting);
    }

    fn broker_trouble(&mut self, fault: Fault, dice: &mut Dice) {
        let now = self.broker_now();
        match fault {
            Fault::VoidTrade => {
                let count = self.broker.trades.len() as u64;
                if count > 0 {
                    self.broker.void(dice.roll(count) as usize, now);
                    self.memory.has_foreign_moves = true;
                }
            }
            Fault::ExternalOrder => {
                self.broker.external(dice, now);
                self.memory.has_foreign_moves = true;
            }
            Fault::AccountLock => {
                let account = ACCOUNTS[dice.roll(2) as usize];
                let time = dice.log_uniform(SECOND, 30 * SECOND);
                self.schedule(time, Happening::Unlock(account));
                self.set_lock(account, true);
            }
            Fault::WrongBracketMode => {
                self.broker.has_wrong_bracket_mode = true;
                let time = dice.log_uniform(SECOND, 60 * SECOND);
                self.schedule(time, Happening::BracketModeRight);
            }
            _ => {}
        }
        self.spread_news();
    }

    pub(super) fn set_lock(&mut self, account: AccountId, is_locked: bool) {
        self.broker.locked.retain(|id| *id != account);
        if is_locked {
            self.broker.locked.push(account);
        }
        let row = self.broker.account_row(account);
        self.broker.news.push(UserEvent::Account(row));
        self.spread_news();
    }

    fn process_trouble(&mut self, fault: Fault, dice: &mut Dice) {
        let death = match fault {
            Fault::CrashAtEffect => {
                self.crash_at_effect(dice.roll(12));
                return;
            }
            Fault::AppendError => {
                self.disk.fails_next = true;
                return;
            }
            Fault::DiskFull => {
                self.disk.fill_up(dice.roll(2_000) as usize);
                return;
            }
            Fault::CrashLoop => {
                for _ in 0..dice.between(1, 3) {
                    let next = dice.log_uniform(MILLI, 4 * SECOND);
                    self.schedule(next, Happening::Dies(Death::Killed));
                }
                Death::Killed
            }
            Fault::PowerCut => Death::PowerCut,
            Fault::TornTail => Death::TornTail,
            Fault::BitFlip => Death::BitFlip,
            _ => Death::Killed,
        };
        self.tally.fired(fault);
        self.crash(death);
    }
}
