//! What acts after the engine has failed (decision 4): it reads orders and positions by REST, cancels, closes, reads
//! back, and can do nothing else. It keeps no state, believes only what the broker answers, and notes what it does in a
//! journal segment of its own.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tokio::runtime::Handle as Runtime;
use tokio::time::Instant;

use super::contract::{Command, ContractDef, DoneOutcome, Group, Part};
use super::news::News;
use super::views::{Board, DeniedRow, Event};
use crate::database::log::Segment;
use crate::order_execution::rest::Client;
use crate::order_execution::sweep::{Leave, Meant, Sweep, Verdict};
use crate::types::{AccountId, RequestId};

/// How long orders or positions may stay open before the answer is *unknown*.
const PATIENCE: Duration = Duration::from_secs(15);
/// The broker's whole minute: how much of it the failed engine had spent is not known any more.
const ALLOWANCE: usize = 200;

/// The commands that may still be carried out.
pub struct Caretaker {
    client: Option<Arc<Client>>,
    board: Arc<Board>,
    segment: Arc<Segment>,
}

impl Caretaker {
    pub fn new(client: Option<Arc<Client>>, board: Arc<Board>, segment: Segment) -> Self {
        Self {
            client,
            board,
            segment: Arc::new(segment),
        }
    }

    /// Carries out a cancel or a close, and refuses everything else.
    pub fn command(&mut self, command: Command, runtime: &Runtime, news: &Arc<News>) {
        let Some(request) = request_of(&command) else {
            if let Command::Submit(draft) | Command::SubmitBracket { draft, .. } = command {
                news.push(Event::Denied(DeniedRow {
                    tag: draft.tag.to_string().into(),
                    account_id: i64::from(draft.account.0),
                    contract_id: draft.contract_id.into(),
                    reasons: vec![(
                        "halted",
                        "The engine is halted; only cancels and closes are taken.".to_owned(),
                    )],
                }));
                news.wake();
            }
            return;
        };
        let Some(client) = self.client.clone() else {
            return answer(
                news,
                request,
                (DoneOutcome::Failed, "There is no connection.".to_owned()),
            );
        };
        let wish = format!("{command:?}");
        let errand = match self.errand(command) {
            Ok(errand) => errand,
            Err(verdict) => return answer(news, request, verdict),
        };
        let (news, segment) = (Arc::clone(news), Arc::clone(&self.segment));
        runtime.spawn(async move {
            let sweep = Sweep::new(client, segment);
            sweep
                .note(json!({"request": request.0, "command": wish}))
                .await;
            let verdict = carry_out(&sweep, errand).await;
            sweep
                .note(json!({"request": request.0, "outcome": verdict.0.word(), "text": verdict.1}))
                .await;
            answer(&news, request, verdict);
        });
    }
}

fn answer(news: &News, request: RequestId, (outcome, text): Verdict) {
    news.push(Event::RequestDone {
        request_id: request.0,
        outcome,
        text,
        payload_json: String::new(),
    });
    news.wake();
}

fn request_of(command: &Command) -> Option<RequestId> {
    match command {
        Command::Modify { request, .. }
        | Command::LinkOco { request, .. }
        | Command::SetBracketMode { request, .. }
        | Command::Cancel { request, .. }
        | Command::CancelGroup { request, .. }
        | Command::ClosePosition { request, .. }
        | Command::Reverse { request, .. }
        | Command::FlattenEverything { request, .. }
        | Command::Flatten { request, .. }
        | Command::SetStopRule { request, .. }
        | Command::Reconcile { request }
        | Command::ChooseAccounts { request, .. }
        | Command::Subscribe { request, .. }
        | Command::Unsubscribe { request, .. }
        | Command::WatchBars { request, .. }
        | Command::SearchContracts { request, .. }
        | Command::SetRules { request, .. }
        | Command::SetMode { request, .. }
        | Command::ReleaseThrottle { request, .. }
        | Command::Disconnect { request } => Some(*request),
        Command::Submit(_)
        | Command::SubmitBracket { .. }
        | Command::Arm { .. }
        | Command::SetLimits { .. }
        | Command::TraceBook { .. }
        | Command::Halt { .. } => None,
    }
}

/// What a command needs of the frozen board, taken before the work begins.
enum Errand {
    Cancel(AccountId, i64),
    CancelGroup(AccountId, Group, Option<Arc<ContractDef>>),
    Close(AccountId, String, Part),
    /// Accounts with their names, and one contract or all.
    Flatten(Vec<(AccountId, String)>, Option<String>),
}

impl Caretaker {
    /// What a command asks for; `Err` is what is said at once.
    fn errand(&self, command: Command) -> Result<Errand, Verdict> {
        match command {
            Command::Cancel { key, .. } => self.find(&key).map_or_else(
                || {
                    let text = format!("No order {key} with a broker id is known.");
                    Err((DoneOutcome::Failed, text))
                },
                |(account, order)| Ok(Errand::Cancel(account, order)),
            ),
            Command::CancelGroup { account, group, .. } => {
                let contract = self.contract_of(&group)?;
                Ok(Errand::CancelGroup(account, group, contract))
            }
            Command::ClosePosition {
                account,
                contract_id,
                part,
                ..
            } => Ok(Errand::Close(account, contract_id, part)),
            Command::Flatten {
                account,
                contract_id,
                ..
            } => Ok(Errand::Flatten(
                vec![(account, self.name_of(account))],
                contract_id,
            )),
            Command::FlattenEverything { .. } => {
                let rows = self.board.accounts.load();
                let chosen = rows.iter().filter(|row| row.is_own);
                let accounts: Vec<_> = chosen
                    .filter_map(|row| Some((i32::try_from(row.id).ok()?, row.name.to_string())))
                    .map(|(id, name)| (AccountId(id), name))
                    .collect();
                if accounts.is_empty() {
                    let text = "No account was chosen before the engine failed; name the account to flatten.";
                    return Err((DoneOutcome::Denied, text.to_owned()));
                }
                Ok(Errand::Flatten(accounts, None))
            }
            _ => Err((
                DoneOutcome::Failed,
                "The engine is halted; only cancels and closes are taken.".to_owned(),
            )),
        }
    }

    /// The definition that a range of prices needs.
    fn contract_of(&self, group: &Group) -> Result<Option<Arc<ContractDef>>, Verdict> {
        if group.lowest.is_none() && group.highest.is_none() {
            return Ok(None);
        }
        let contracts = self.board.contracts.load();
        let mut contracts = contracts.iter();
        let known = contracts.find(|known| group.contract_id.as_deref() == Some(&known.id));
        known.map(|known| Some(Arc::clone(known))).ok_or_else(|| {
            let text = "A price means something in one known contract only; name it.";
            (DoneOutcome::Denied, text.to_owned())
        })
    }

    fn name_of(&self, account: AccountId) -> String {
        let rows = self.board.accounts.load();
        let row = rows.iter().find(|row| row.id == i64::from(account.0));
        row.map_or_else(|| account.to_string(), |row| row.name.to_string())
    }

    /// Account and broker id of an order of the frozen table.
    fn find(&self, key: &str) -> Option<(AccountId, i64)> {
        let orders = self.board.orders.load();
        let row = orders.iter().find(|row| &*row.key == key)?;
        let account = i32::try_from(row.account_id).ok()?;
        (row.order_id != 0).then_some((AccountId(account), row.order_id))
    }
}

async fn carry_out(sweep: &Sweep, errand: Errand) -> Verdict {
    let until = Instant::now() + PATIENCE;
    let result = match errand {
        Errand::Cancel(account, order) => sweep.cancel_one(account, order, until).await,
        Errand::CancelGroup(account, group, contract) => {
            let meant = Meant {
                group: &group,
                contract: contract.as_deref(),
            };
            let cancelled = sweep.cancel_group(account, &meant, until).await;
            cancelled.map(|count| format!("{count} orders are cancelled, read back."))
        }
        Errand::Close(account, contract, part) => {
            sweep.close_part(account, &contract, part, until).await
        }
        Errand::Flatten(accounts, contract) => {
            return flatten(sweep, &accounts, contract.as_deref(), until).await;
        }
    };
    result.map_or_else(|failure| failure, |text| (DoneOutcome::Done, text))
}

/// Flattens accounts side by side; the worst of their ends is the end of all.
async fn flatten(
    sweep: &Sweep,
    accounts: &[(AccountId, String)],
    contract: Option<&str>,
    until: Instant,
) -> Verdict {
    let may_close = || true;
    let leave = Leave {
        until,
        allowance: ALLOWANCE,
        may_close: &may_close,
    };
    let flattens = accounts
        .iter()
        .map(|(account, _)| sweep.flatten(*account, contract, &leave));
    let swept = join_all(flattens).await;
    let mut ends = swept.iter().map(|swept| swept.outcome);
    let worst = ends.find(|outcome| *outcome != DoneOutcome::Done);
    let texts = accounts.iter().zip(&swept);
    let texts: Vec<String> = texts
        .map(|((_, name), swept)| format!("{name}: {}", swept.text))
        .collect();
    (worst.unwrap_or(DoneOutcome::Done), texts.join(" "))
}

#[cfg(test)]
mod tests;
