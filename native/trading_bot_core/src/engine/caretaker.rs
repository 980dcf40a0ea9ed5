//! What acts after the engine has failed (decision 4): it reads orders and positions by REST, cancels, closes, reads
//! back, and can do nothing else. It keeps no state, believes only what the broker answers, and notes what it does in a
//! journal segment of its own.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::runtime::Handle as Runtime;
use tokio::time::Instant;

use super::contract::{Command, DoneOutcome, Group, Part};
use super::news::News;
use super::views::{Board, DeniedRow, Event};
use crate::database::log::Segment;
use crate::order_execution::rest::Client;
use crate::order_execution::sweep::{Leave, Sweep, Verdict};
use crate::types::RequestId;

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
        let target = match &command {
            Command::Cancel { key, .. } => self.find(key),
            _ => None,
        };
        let (news, segment) = (Arc::clone(news), Arc::clone(&self.segment));
        runtime.spawn(async move {
            let sweep = Sweep::new(client, segment);
            sweep
                .note(json!({"request": request.0, "command": format!("{command:?}")}))
                .await;
            let verdict = carry_out(&sweep, command, target).await;
            sweep
                .note(json!({"request": request.0, "outcome": verdict.0.word(), "text": verdict.1}))
                .await;
            answer(&news, request, verdict);
        });
    }

    /// Account and broker id of an order of the frozen table.
    fn find(&self, key: &str) -> Option<(i64, i64)> {
        let orders = self.board.orders.load();
        let row = orders.iter().find(|row| &*row.key == key)?;
        (row.order_id != 0).then_some((row.account_id, row.order_id))
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

/// Whether the orders of a group can be told by what the broker states of each.
fn is_plain(group: &Group) -> bool {
    group.role.is_none() && group.lowest.is_none() && group.highest.is_none()
}

async fn carry_out(sweep: &Sweep, command: Command, target: Option<(i64, i64)>) -> Verdict {
    let failed = |text: String| (DoneOutcome::Failed, text);
    let until = Instant::now() + PATIENCE;
    let result = match command {
        Command::Cancel { key, .. } => match target {
            Some((account, order)) => sweep
                .cancel(account, order)
                .await
                .map(|()| format!("Order #{order} is cancelled.")),
            None => Err(failed(format!("No order {key} with a broker id is known."))),
        },
        Command::CancelGroup { group, .. } if !is_plain(&group) => Err(failed(
            "The halted engine cancels by contract, side and kind only.".to_owned(),
        )),
        Command::CancelGroup { account, group, .. } => sweep
            .cancel_group(account, &group, until)
            .await
            .map(|count| format!("{count} orders are cancelled.")),
        Command::ClosePosition {
            part: Part::Percent(_),
            ..
        } => Err(failed(
            "The halted engine closes lots or all, no fraction.".to_owned(),
        )),
        Command::FlattenEverything { .. } => Err(failed(
            "The halted engine flattens one account at a time; name it.".to_owned(),
        )),
        Command::ClosePosition {
            account,
            contract_id,
            part,
            ..
        } => sweep
            .close(account, &contract_id, part.lots())
            .await
            .map(|()| format!("The position in {contract_id} is closed.")),
        Command::Flatten {
            account,
            contract_id,
            ..
        } => {
            let may_close = || true;
            let leave = Leave {
                until,
                allowance: ALLOWANCE,
                may_close: &may_close,
            };
            let swept = sweep.flatten(account, contract_id.as_deref(), &leave).await;
            return (swept.outcome, swept.text);
        }
        _ => Err(failed(
            "The engine is halted; only cancels and closes are taken.".to_owned(),
        )),
    };
    result.map_or_else(|failure| failure, |text| (DoneOutcome::Done, text))
}
