//! The control socket: other programs of the same user command the running engine (decision 2).
//!
//! `control.sock` in the base directory, for its owner only. Every line is one JSON object, answers come in the order of
//! the requests, one line each; `id` is any value of the caller's and comes back unchanged:
//!
//! ```text
//! {"id": 1, "token": "<text of control.token>", "op": "orders", "args": {}}
//! {"id": 1, "ok": true, "result": [...]}
//! {"id": 1, "ok": false, "kind": "invalid", "text": "..."}          kind: a word of ERROR_KINDS, or "denied token"
//! ```
//!
//! The token is needed once per connection. Operations and their arguments are those of the `Engine` in
//! `native/stubs/trading_bot_core.pyi`, with the same names and defaults:
//!
//! | op | result |
//! |---|---|
//! | `accounts contracts orders positions fills links stop_rules` | the rows, as objects |
//! | `status` | the figures, with `limits` of each account left to `limits` |
//! | `risks` | the rules of accounts and where each stands |
//! | `limits` `is_armed` | by `account_id` (and `source`) |
//! | `quote` | the newest view of `contract_id`: best prices, last, book |
//! | `submit submit_bracket` | `{"tag": ...}`; the verdict shows itself in `orders` and `denied` |
//! | `kill` | disarms every source of `account_id`, then as `flatten` |
//! | `modify cancel cancel_group close_position reverse flatten flatten_everything reconcile set_stop_rule clear_stop_rule subscribe unsubscribe search_contracts choose_accounts link_oco set_bracket_mode set_mode release_throttle` | `{"outcome", "text", "payload"}` once the request has ended, or an error of kind `unknown` after 30 s |
//! | `arm halt set_limits` | `null` |

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Handle as Runtime;

use super::contract::{Command, Draft, Group, Part, Wanted};
use super::handle::{Handle, Refusal};
use super::rows_json as rows;
use crate::database::home::write_private;
use crate::order_execution::gate::Limits;
use crate::order_execution::legs::{BracketMode, BracketPlan, Holder, Target, WhenBare};
use crate::order_execution::order::Role;
use crate::order_execution::stop_rules::rule::{BreakEven, Plan, Stage};
use crate::risk_rules::Mode;
use crate::types::{AccountId, Lots, Mono, OrderKind, RequestId, Side, Ticks};

const LINE_MAX: u64 = 1 << 20;
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);

/// Opens the socket and serves it until the runtime ends.
pub fn serve(runtime: &Runtime, engine: &Arc<Handle>) -> std::io::Result<()> {
    let directory = engine.home().directory();
    remove(directory);
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|error| std::io::Error::other(error.to_string()))?;
    let token = blake3::hash(&random).to_hex().to_string();
    write_private(&directory.join("control.token"), &token)?;
    let listener = {
        let _context = runtime.enter();
        UnixListener::bind(directory.join("control.sock"))?
    };
    owner_only(&directory.join("control.sock"))?;
    let (engine, token) = (Arc::downgrade(engine), Arc::new(token));
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(stream, engine.clone(), Arc::clone(&token)));
        }
    });
    Ok(())
}

/// Removes the socket of an engine that has ended.
pub fn remove(directory: &Path) {
    for name in ["control.sock", "control.token"] {
        // Usually absent; a leftover that cannot be removed makes the next bind fail with its reason.
        let _ = std::fs::remove_file(directory.join(name));
    }
}

fn owner_only(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
}

/// A failed operation: the kind and the sentence.
type Failure = (&'static str, String);

fn invalid(text: impl Into<String>) -> Failure {
    ("invalid", text.into())
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        (refusal.kind(), refusal.to_string())
    }
}

async fn converse(stream: UnixStream, engine: Weak<Handle>, token: Arc<String>) {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader);
    let mut is_known = false;
    let mut armed = Armed::new(engine.clone());
    loop {
        let mut line = Vec::new();
        let read = tokio::io::AsyncReadExt::take(&mut lines, LINE_MAX)
            .read_until(b'\n', &mut line)
            .await;
        if !matches!(read, Ok(count) if count > 0) || line.last() != Some(&b'\n') {
            return;
        }
        let request: Value = serde_json::from_slice(&line).unwrap_or(Value::Null);
        let offered = request["token"].as_str().unwrap_or_default();
        is_known = is_known || blake3::hash(offered.as_bytes()) == blake3::hash(token.as_bytes());
        let result = match engine.upgrade() {
            _ if !is_known => Err((
                "denied token",
                "The token does not match control.token.".to_owned(),
            )),
            Some(engine) => {
                armed.note(&request);
                perform(&engine, &request).await
            }
            None => Err(("closed", "The engine has been shut down.".to_owned())),
        };
        let mut answer = match result {
            Ok(result) => json!({"id": request["id"], "ok": true, "result": result}),
            Err((kind, text)) => {
                json!({"id": request["id"], "ok": false, "kind": kind, "text": text})
            }
        }
        .to_string();
        answer.push('\n');
        if writer.write_all(answer.as_bytes()).await.is_err() || !is_known {
            return;
        }
    }
}

/// What one connection armed. It ends with the connection: a caller that died must leave nothing armed.
struct Armed {
    engine: Weak<Handle>,
    pairs: BTreeSet<(String, AccountId)>,
}

impl Armed {
    fn new(engine: Weak<Handle>) -> Self {
        Self {
            engine,
            pairs: BTreeSet::new(),
        }
    }

    fn note(&mut self, request: &Value) {
        if let (Some("arm"), Some(arguments)) =
            (request["op"].as_str(), request["args"].as_object())
            && let Ok(account) = Arguments(arguments).account()
        {
            self.pairs.insert((Arguments(arguments).source(), account));
        }
    }
}

impl Drop for Armed {
    fn drop(&mut self) {
        let Some(engine) = self.engine.upgrade() else {
            return;
        };
        for (source, account) in std::mem::take(&mut self.pairs) {
            // Refused only by an engine that is ending.
            let _ = engine.push(Command::Arm {
                source,
                account,
                is_armed: false,
            });
        }
    }
}

/// Arguments of one request, read by name.
struct Arguments<'a>(&'a Map<String, Value>);

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

    fn flag(&self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    fn account(&self) -> Result<AccountId, Failure> {
        account_of(self.number("account_id")?)
    }

    fn source(&self) -> String {
        self.text("source").unwrap_or("cli").to_owned()
    }
}

fn account_of(number: i64) -> Result<AccountId, Failure> {
    i32::try_from(number)
        .map(AccountId)
        .map_err(|_| invalid(format!("{number} is no account id.")))
}

fn side_of(word: &str) -> Result<Side, Failure> {
    Side::from_word(word).ok_or_else(|| {
        invalid(format!(
            "Side {word:?} is unknown; buy and sell are allowed."
        ))
    })
}

fn kind_of(word: &str) -> Result<OrderKind, Failure> {
    OrderKind::from_word(word).ok_or_else(|| {
        let allowed = OrderKind::ALL.map(OrderKind::word).join(", ");
        invalid(format!(
            "Order kind {word:?} is unknown; {allowed} are allowed."
        ))
    })
}

fn role_of(word: &str) -> Result<Role, Failure> {
    Role::from_word(word).ok_or_else(|| {
        let allowed = Role::ALL.map(Role::word).join(", ");
        invalid(format!("Role {word:?} is unknown; {allowed} are allowed."))
    })
}

async fn perform(engine: &Arc<Handle>, request: &Value) -> Result<Value, Failure> {
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
    let listed = arguments.0.get("target_legs").and_then(Value::as_array);
    let targets = listed.into_iter().flatten().map(|leg| {
        let pair = (leg[0].as_i64(), leg[1].as_i64());
        let (Some(ticks), Some(lots)) = pair else {
            return Err(invalid("A target leg is a pair of ticks and lots."));
        };
        Ok(Target { ticks, lots })
    });
    let held_by = arguments.optional_text("held_by")?.unwrap_or("broker");
    let when_bare = arguments.optional_text("when_bare")?.unwrap_or("alarm");
    Ok(BracketPlan {
        stop: Some(arguments.number("stop_leg_ticks")?),
        targets: targets.collect::<Result<_, _>>()?,
        holder: Holder::from_word(held_by)
            .ok_or_else(|| invalid("held_by is broker or computer."))?,
        when_bare: WhenBare::from_word(when_bare)
            .ok_or_else(|| invalid("when_bare is alarm or flatten."))?,
        rule: Some(plan_of(arguments)?).filter(Plan::says_something),
    })
}

fn draft_of(engine: &Handle, arguments: &Arguments<'_>) -> Result<Draft, Failure> {
    let ticks = |name| arguments.optional(name).map(|value| value.map(Ticks));
    Ok(Draft {
        tag: engine.mint(),
        account: arguments.account()?,
        contract_id: arguments.text("contract_id")?.to_owned(),
        side: side_of(arguments.text("side")?)?,
        kind: kind_of(arguments.text("kind")?)?,
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
    Ok(Limits {
        max_order_lots: arguments
            .optional("max_order_lots")?
            .unwrap_or(usual.max_order_lots),
        max_position_lots: arguments
            .optional("max_position_lots")?
            .unwrap_or(usual.max_position_lots),
        max_price_away_ticks: arguments
            .optional("max_price_away_ticks")?
            .unwrap_or(usual.max_price_away_ticks),
        max_working_orders: arguments
            .optional("max_working_orders")?
            .unwrap_or(usual.max_working_orders),
        duplicate_window_ms: arguments
            .optional("duplicate_window_ms")?
            .unwrap_or(usual.duplicate_window_ms),
        max_notional: arguments
            .optional("max_notional_1e4")?
            .unwrap_or(usual.max_notional),
        max_orders_per_second: arguments
            .optional("max_orders_per_second")?
            .unwrap_or(usual.max_orders_per_second),
        max_orders_per_minute: arguments
            .optional("max_orders_per_minute")?
            .unwrap_or(usual.max_orders_per_minute),
        max_repeats: arguments
            .optional("max_repeats")?
            .unwrap_or(usual.max_repeats),
        repeat_window_ms: arguments
            .optional("repeat_window_ms")?
            .unwrap_or(usual.repeat_window_ms),
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
            part: part_of(arguments)?,
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
            keys: keys_of(arguments)?,
            source,
        },
        "set_bracket_mode" => Command::SetBracketMode {
            request,
            account: arguments.account()?,
            mode: BracketMode::from_word(arguments.text("mode")?)
                .ok_or_else(|| invalid("mode is unknown, auto_oco or position_brackets."))?,
        },
        _ => return Err(invalid(format!("Operation {op:?} is unknown."))),
    })
}

fn part_of(arguments: &Arguments<'_>) -> Result<Part, Failure> {
    let lots = arguments.optional("size_lots")?;
    let percent = arguments.optional("percent")?;
    Part::of(lots, percent).ok_or_else(|| invalid("Name lots or a percentage to close, not both."))
}

fn plan_of(arguments: &Arguments<'_>) -> Result<Plan, Failure> {
    let trigger = arguments.optional("break_even_trigger_ticks")?;
    let plus = arguments.optional("break_even_plus_ticks")?.unwrap_or(0);
    let stages = match arguments.0.get("trail_stages") {
        None | Some(Value::Null) => Vec::new(),
        Some(listed) => serde_json::from_value::<Vec<(i64, i64, i64)>>(listed.clone())
            .map_err(|_| invalid("trail_stages must be a list of [start, distance, step]."))?,
    };
    let stages = stages.into_iter().map(|(start, distance, step)| Stage {
        start,
        distance,
        step,
    });
    Ok(Plan {
        break_even: trigger.map(|trigger| BreakEven { trigger, plus }),
        stages: stages.collect(),
        is_immediate: arguments.flag("is_immediate"),
    })
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
    let word = arguments.text("mode")?;
    let mode = Mode::from_word(word).ok_or_else(|| {
        let allowed = Mode::ALL.map(Mode::word).join(", ");
        invalid(format!("Mode {word:?} is unknown; {allowed} are allowed."))
    })?;
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
        side: arguments.optional_text("side")?.map(side_of).transpose()?,
        kind: arguments.optional_text("kind")?.map(kind_of).transpose()?,
        role: arguments.optional_text("role")?.map(role_of).transpose()?,
        lowest: arguments.optional("lowest_ticks")?.map(Ticks),
        highest: arguments.optional("highest_ticks")?.map(Ticks),
    })
}

fn keys_of(arguments: &Arguments<'_>) -> Result<Vec<String>, Failure> {
    let listed = arguments.0.get("keys").and_then(Value::as_array);
    let listed = listed.ok_or_else(|| invalid("keys must be given, as a list."))?;
    let keys = listed.iter().map(|key| key.as_str().map(str::to_owned));
    keys.collect::<Option<_>>()
        .ok_or_else(|| invalid("keys are texts."))
}

fn accounts_of(arguments: &Arguments<'_>) -> Result<Vec<AccountId>, Failure> {
    let listed = arguments.0.get("account_ids").and_then(Value::as_array);
    let listed = listed.ok_or_else(|| invalid("account_ids must be given, as a list."))?;
    listed
        .iter()
        .map(|id| account_of(id.as_i64().unwrap_or(i64::MAX)))
        .collect()
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
