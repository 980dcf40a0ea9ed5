//! The operations of the control socket: arguments by name in, a command or a view out.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{Failure, invalid};
use crate::engine::contract::{Command, Draft, Group, Wanted};
use crate::engine::handle::Handle;
use crate::engine::rows_json as rows;
use crate::engine::words;
use crate::order_execution::gate::Limits;
use crate::order_execution::legs::BracketPlan;
use crate::order_execution::stop_rules::rule::Plan;
use crate::types::{AccountId, Lots, Mono, RequestId, Ticks};

const ANSWER_DEADLINE: Duration = Duration::from_secs(30);

/// Arguments of one request, read by name.
pub(super) struct Arguments<'a>(pub(super) &'a Map<String, Value>);

impl Arguments<'_> {
    fn text(&self, name: &str) -> Result<&str, Failure> {
        self.0
            .get(name)
            .and_then(Value::as_str)
            .ok_or_else(|| invalid(format!("{name} must be given, as text.")))
    }

    fn number(&self, name: &str) -> Result<i64, Failure> {
        self.0
            .get(name)
            .and_then(Value::as_i64)
            .ok_or_else(|| invalid(format!("{name} must be given, as an integer.")))
    }

    fn optional(&self, name: &str) -> Result<Option<i64>, Failure> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => self.number(name).map(Some),
        }
    }

    fn optional_text(&self, name: &str) -> Result<Option<&str>, Failure> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => self.text(name).map(Some),
        }
    }

    fn list<T: DeserializeOwned>(&self, name: &str, of: &str) -> Result<Option<Vec<T>>, Failure> {
        let listed = self.0.get(name).filter(|value| !value.is_null());
        let read = listed.map(Vec::<T>::deserialize);
        read.transpose()
            .map_err(|_| invalid(format!("{name} must be a list of {of}.")))
    }

    fn needed_list<T: DeserializeOwned>(&self, name: &str, of: &str) -> Result<Vec<T>, Failure> {
        self.list(name, of)?
            .ok_or_else(|| invalid(format!("{name} must be given, as a list of {of}.")))
    }

    fn flag(&self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    pub(super) fn account(&self) -> Result<AccountId, Failure> {
        Ok(words::account(self.number("account_id")?)?)
    }

    pub(super) fn source(&self) -> String {
        self.text("source").unwrap_or("cli").to_owned()
    }
}

pub(super) async fn perform(engine: &Arc<Handle>, request: &Value) -> Result<Value, Failure> {
    let empty = Map::new();
    let arguments = Arguments(request["args"].as_object().unwrap_or(&empty));
    let op = request["op"].as_str().unwrap_or_default();
    if let Some(view) = read_view(engine, op, &arguments) {
        return view;
    }
    match op {
        "submit" => submit(engine, &arguments),
        "submit_bracket" => submit_bracket(engine, &arguments),
        "arm" => {
            let (account, is_armed) = (arguments.account()?, arguments.flag("is_armed"));
            engine.push(Command::Arm {
                source: arguments.source(),
                account,
                is_armed,
            })?;
            Ok(Value::Null)
        }
        "halt" => {
            engine.push(Command::Halt {
                reason: arguments.text("reason")?.to_owned(),
            })?;
            Ok(Value::Null)
        }
        "set_limits" => {
            engine.push(Command::SetLimits {
                account: arguments.account()?,
                limits: limits_of(engine, &arguments)?,
            })?;
            Ok(Value::Null)
        }
        _ => {
            if op == "kill" {
                disarm(engine, arguments.account()?)?;
            }
            let request = engine.request();
            let command = command_of(engine, op, &arguments, request)?;
            settle(engine, request, command).await
        }
    }
}

/// Disarms every source of an account: after a kill nothing enters again without a person's press.
fn disarm(engine: &Handle, account: AccountId) -> Result<(), Failure> {
    let armed = engine.board().armed.load();
    for (source, id) in armed.iter().filter(|(_, id)| *id == i64::from(account.0)) {
        tracing::info!(source = &**source, account = id, "kill state=disarmed");
        engine.push(Command::Arm {
            source: source.to_string(),
            account,
            is_armed: false,
        })?;
    }
    Ok(())
}

fn read_view(
    engine: &Handle,
    op: &str,
    arguments: &Arguments<'_>,
) -> Option<Result<Value, Failure>> {
    let board = engine.board();
    Some(Ok(match op {
        "accounts" => board.accounts.load().iter().map(rows::account).collect(),
        "contracts" => board
            .contracts
            .load()
            .iter()
            .map(|contract| rows::contract(contract))
            .collect(),
        "orders" => board
            .orders
            .load()
            .iter()
            .map(|row| rows::order(row))
            .collect(),
        "positions" => board.positions.load().iter().map(rows::position).collect(),
        "fills" => board.fills.load().iter().map(rows::fill).collect(),
        "stop_rules" => board
            .stop_rules
            .load()
            .iter()
            .map(rows::stop_rule)
            .collect(),
        "links" => board.links.load().iter().map(rows::link).collect(),
        "risks" => board.risks.load().iter().map(rows::risk).collect(),
        "status" => rows::status(engine),
        "quote" => return Some(quote(engine, arguments)),
        "limits" => {
            return Some(
                arguments
                    .number("account_id")
                    .map(|account| rows::limits(&engine.limits(account))),
            );
        }
        "is_armed" => {
            let account = arguments.number("account_id");
            return Some(
                account.map(|account| json!(engine.is_armed(&arguments.source(), account))),
            );
        }
        _ => return None,
    }))
}

fn quote(engine: &Handle, arguments: &Arguments<'_>) -> Result<Value, Failure> {
    let id = arguments.text("contract_id")?;
    let contract = engine
        .contract(id)
        .ok_or_else(|| invalid(format!("Contract {id} is not known.")))?;
    let view = engine.market(i64::from(contract.index.0));
    Ok(view.map_or(Value::Null, |view| rows::market(&view)))
}

fn submit(engine: &Handle, arguments: &Arguments<'_>) -> Result<Value, Failure> {
    let draft = draft_of(engine, arguments)?;
    let tag = draft.tag;
    engine.submit(draft)?;
    Ok(json!({"tag": tag.to_string()}))
}

fn submit_bracket(engine: &Handle, arguments: &Arguments<'_>) -> Result<Value, Failure> {
    let plan = bracket_plan_of(arguments)?;
    let draft = draft_of(engine, arguments)?;
    let tag = draft.tag;
    engine.submit_bracket(draft, plan)?;
    Ok(json!({"tag": tag.to_string()}))
}

fn bracket_plan_of(arguments: &Arguments<'_>) -> Result<BracketPlan, Failure> {
    let targets = arguments.list("target_legs", "pairs of ticks and lots")?;
    let held_by = arguments.optional_text("held_by")?.unwrap_or("broker");
    let when_bare = arguments.optional_text("when_bare")?.unwrap_or("alarm");
    let stop = arguments.number("stop_leg_ticks")?;
    Ok(words::bracket_plan(
        stop,
        targets.unwrap_or_default(),
        held_by,
        when_bare,
        plan_of(arguments)?,
    )?)
}

fn draft_of(engine: &Handle, arguments: &Arguments<'_>) -> Result<Draft, Failure> {
    let ticks = |name| arguments.optional(name).map(|value| value.map(Ticks));
    Ok(Draft {
        tag: engine.mint(),
        account: arguments.account()?,
        contract_id: arguments.text("contract_id")?.to_owned(),
        side: words::side(arguments.text("side")?)?,
        kind: words::kind(arguments.text("kind")?)?,
        size: Lots(arguments.number("size_lots")?),
        limit: ticks("limit_ticks")?,
        stop: ticks("stop_ticks")?,
        trail: ticks("trail_ticks")?,
        stop_bracket_ticks: arguments.optional("stop_bracket_ticks")?,
        target_bracket_ticks: arguments.optional("target_bracket_ticks")?,
        is_reduce_only: arguments.flag("reduce_only"),
        source: arguments.source(),
        pressed: Mono(0),
    })
}

/// What is not named stays as it is.
fn limits_of(engine: &Handle, arguments: &Arguments<'_>) -> Result<Limits, Failure> {
    let usual = engine.limits(arguments.number("account_id")?);
    let named =
        |name: &str, usual: i64| arguments.optional(name).map(|value| value.unwrap_or(usual));
    Ok(Limits {
        max_order_lots: named("max_order_lots", usual.max_order_lots)?,
        max_position_lots: named("max_position_lots", usual.max_position_lots)?,
        max_price_away_ticks: named("max_price_away_ticks", usual.max_price_away_ticks)?,
        max_working_orders: named("max_working_orders", usual.max_working_orders)?,
        duplicate_window_ms: named("duplicate_window_ms", usual.duplicate_window_ms)?,
        max_notional: named("max_notional_1e4", usual.max_notional)?,
        max_orders_per_second: named("max_orders_per_second", usual.max_orders_per_second)?,
        max_orders_per_minute: named("max_orders_per_minute", usual.max_orders_per_minute)?,
        max_repeats: named("max_repeats", usual.max_repeats)?,
        repeat_window_ms: named("repeat_window_ms", usual.repeat_window_ms)?,
    })
}

fn command_of(
    engine: &Handle,
    op: &str,
    arguments: &Arguments<'_>,
    request: RequestId,
) -> Result<Command, Failure> {
    let contract = || arguments.text("contract_id").map(str::to_owned);
    let key = || arguments.text("key").map(str::to_owned);
    let source = arguments.source();
    Ok(match op {
        "modify" => Command::Modify {
            request,
            key: key()?,
            wanted: wanted_of(arguments)?,
            source,
        },
        "cancel" => Command::Cancel {
            request,
            key: key()?,
            source,
        },
        "set_mode" | "release_throttle" => mode_command(op, arguments, request)?,
        "cancel_group" => {
            let (account, group) = (arguments.account()?, group_of(arguments)?);
            Command::CancelGroup {
                request,
                account,
                group,
                source,
            }
        }
        "flatten" | "kill" => {
            let (account, contract_id) = (arguments.account()?, group_of(arguments)?.contract_id);
            Command::Flatten {
                request,
                account,
                contract_id,
                source,
            }
        }
        "reconcile" => Command::Reconcile { request },
        "subscribe" => Command::Subscribe {
            request,
            contract_id: contract()?,
        },
        "unsubscribe" => Command::Unsubscribe {
            request,
            contract_id: contract()?,
        },
        "search_contracts" => Command::SearchContracts {
            request,
            text: arguments.text("text")?.to_owned(),
        },
        "choose_accounts" => Command::ChooseAccounts {
            request,
            accounts: accounts_of(arguments)?,
        },
        _ => return management_of(engine, op, arguments, request),
    })
}

/// The commands that manage what is there already.
fn management_of(
    engine: &Handle,
    op: &str,
    arguments: &Arguments<'_>,
    request: RequestId,
) -> Result<Command, Failure> {
    let source = arguments.source();
    Ok(match op {
        "set_stop_rule" | "clear_stop_rule" => Command::SetStopRule {
            request,
            key: arguments.text("key")?.to_owned(),
            plan: (op == "set_stop_rule")
                .then(|| plan_of(arguments))
                .transpose()?,
            source,
        },
        "close_position" => Command::ClosePosition {
            request,
            account: arguments.account()?,
            contract_id: arguments.text("contract_id")?.to_owned(),
            part: words::part(
                arguments.optional("size_lots")?,
                arguments.optional("percent")?,
            )?,
            source,
        },
        "reverse" => Command::Reverse {
            request,
            account: arguments.account()?,
            contract_id: arguments.text("contract_id")?.to_owned(),
            tag: engine.mint(),
            stop_ticks: arguments.optional("stop_ticks")?,
            target_ticks: arguments.optional("target_ticks")?,
            source,
        },
        "flatten_everything" => Command::FlattenEverything { request, source },
        "link_oco" => Command::LinkOco {
            request,
            keys: arguments.needed_list("keys", "texts")?,
            source,
        },
        "set_bracket_mode" => Command::SetBracketMode {
            request,
            account: arguments.account()?,
            mode: words::bracket_mode(arguments.text("mode")?)?,
        },
        _ => return Err(invalid(format!("Operation {op:?} is unknown."))),
    })
}

fn plan_of(arguments: &Arguments<'_>) -> Result<Plan, Failure> {
    Ok(words::stop_plan(
        arguments.optional("break_even_trigger_ticks")?,
        arguments.optional("break_even_plus_ticks")?.unwrap_or(0),
        arguments
            .list("trail_stages", "[start, distance, step]")?
            .unwrap_or_default(),
        arguments.flag("is_immediate"),
    ))
}

/// What a person states about an account: its mode, and that a stopped source may go on.
fn mode_command(
    op: &str,
    arguments: &Arguments<'_>,
    request: RequestId,
) -> Result<Command, Failure> {
    let (account, source) = (arguments.account()?, arguments.source());
    if op == "release_throttle" {
        let throttled = arguments.text("throttled")?.to_owned();
        return Ok(Command::ReleaseThrottle {
            request,
            account,
            source: throttled,
            by: source,
        });
    }
    let mode = words::mode(arguments.text("mode")?)?;
    Ok(Command::SetMode {
        request,
        account,
        mode,
        source,
    })
}

fn wanted_of(arguments: &Arguments<'_>) -> Result<Wanted, Failure> {
    let ticks = |name| arguments.optional(name).map(|value| value.map(Ticks));
    Ok(Wanted {
        size: arguments.optional("size_lots")?.map(Lots),
        limit: ticks("limit_ticks")?,
        stop: ticks("stop_ticks")?,
        trail: ticks("trail_ticks")?,
    })
}

fn group_of(arguments: &Arguments<'_>) -> Result<Group, Failure> {
    Ok(Group {
        contract_id: arguments.optional_text("contract_id")?.map(str::to_owned),
        side: arguments
            .optional_text("side")?
            .map(words::side)
            .transpose()?,
        kind: arguments
            .optional_text("kind")?
            .map(words::kind)
            .transpose()?,
        role: arguments
            .optional_text("role")?
            .map(words::role)
            .transpose()?,
        lowest: arguments.optional("lowest_ticks")?.map(Ticks),
        highest: arguments.optional("highest_ticks")?.map(Ticks),
    })
}

fn accounts_of(arguments: &Arguments<'_>) -> Result<Vec<AccountId>, Failure> {
    let ids: Vec<i64> = arguments.needed_list("account_ids", "integers")?;
    let accounts = ids.into_iter().map(words::account);
    Ok(accounts.collect::<Result<_, _>>()?)
}

/// Pushes a command and waits for the end of its request.
async fn settle(engine: &Handle, request: RequestId, command: Command) -> Result<Value, Failure> {
    let promise = engine.news().expect(request.0);
    if let Err(refusal) = engine.push(command) {
        engine.news().forget(request.0);
        return Err(refusal.into());
    }
    match tokio::time::timeout(ANSWER_DEADLINE, promise).await {
        Ok(Ok(done)) => Ok(
            json!({"outcome": done.outcome.word(), "text": done.text, "payload": done.payload_json}),
        ),
        Ok(Err(_)) => Err(("closed", "The engine has been shut down.".to_owned())),
        Err(_) => {
            engine.news().forget(request.0);
            Err((
                "unknown",
                "No end of the request after 30 s; it may still happen.".to_owned(),
            ))
        }
    }
}
