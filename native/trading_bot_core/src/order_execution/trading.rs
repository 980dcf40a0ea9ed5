//! The trading half of the engine: commands in, requests and news out, every decision recorded before it leaves.
//!
//! Nothing here waits. Whatever needs an answer is remembered in `pending` under the request's id, whatever needs time
//! has a moment in `next_moment`; `run` looks at both after every input.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::engine::contract::{
    Command, Effect, Endpoint, Environment, Lane, LinkName, LinkState, Outgoing, SendId, Wanted,
};
use crate::engine::views::{DoneOutcome, Event, NoticeLevel, NoticeRow};
use crate::order_execution::budget::{Budget, BudgetLimits};
use crate::order_execution::cancels::CancelClock;
use crate::order_execution::changes::WaitingChanges;
use crate::order_execution::elsewhere::Management;
use crate::order_execution::exits::{Joint, Orphans, Task};
use crate::order_execution::gate::{Limits, MarketFacts, Pace, Presses};
use crate::order_execution::ledger::Ledger;
use crate::order_execution::legs::Keeping;
use crate::order_execution::login_life::LoginLife;
use crate::order_execution::order::{Change, Life, Order, Values};
use crate::order_execution::reconcile::AccountLoop;
use crate::order_execution::record::Record;
use crate::order_execution::requests;
use crate::order_execution::risk::RiskDesk;
use crate::order_execution::stop_rules::RulesAtWork;
use crate::order_execution::store::{Applied, Place, Store};
use crate::order_execution::tag::run_prefix;
use crate::planted::{Bug, planted};
use crate::types::{
    AccountId, BrokerAccount, Contract, ContractIndex, Mono, Nanos, RequestId, Ticks,
};

pub(super) const SECOND: u64 = 1_000_000_000;

/// Times that test rigs shorten together with the gateway's delays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    pub request_timeout_ns: u64,
    /// `unknown.absence_after_s`
    pub absence_after_ns: u64,
    /// `unknown.read_gap_s`
    pub read_gap_ns: u64,
    pub reconcile_every_ns: u64,
    /// The same while the user hub is down.
    pub poll_every_ns: u64,
    /// How long a flatten waits for its cancels.
    pub cancel_wait_ns: u64,
    /// After how long a cancel without effect is repeated.
    pub cancel_repeat_ns: u64,
    /// How long an exit may stand without its position.
    pub orphan_after_ns: u64,
    /// No budget of requests: for measurements, and only ever true for a gateway on loopback (decision 37).
    pub is_budget_lifted: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            request_timeout_ns: 5 * SECOND,
            absence_after_ns: 30 * SECOND,
            read_gap_ns: 10 * SECOND,
            reconcile_every_ns: 30 * SECOND,
            poll_every_ns: 5 * SECOND,
            cancel_wait_ns: SECOND,
            cancel_repeat_ns: 5 * SECOND,
            orphan_after_ns: 10 * SECOND,
            is_budget_lifted: false,
        }
    }
}

/// What an answer will mean.
#[derive(Clone, Debug)]
pub(super) enum Pending {
    Place {
        tag: String,
    },
    Change {
        key: String,
        is_cancel: bool,
        request: Option<RequestId>,
    },
    Close {
        task: u64,
        contract: ContractIndex,
    },
    Read {
        account: AccountId,
        round: u64,
        endpoint: Endpoint,
    },
    ById {
        key: String,
        asked: Mono,
    },
    Accounts {
        request: Option<RequestId>,
    },
}

/// One account of the login.
#[derive(Clone, Debug)]
pub struct AccountState {
    pub row: BrokerAccount,
    pub is_chosen: bool,
    pub is_reconciled: bool,
}

/// The broker's own statement of a position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BrokerNet {
    pub net: i64,
    pub average_1e4: Option<i64>,
    pub at: Nanos,
    pub is_push: bool,
    /// What the newest whole read stated, whatever the hub said since.
    pub read_net: i64,
    /// When the hub last stated it.
    pub pushed: Mono,
    /// Since when it differs from the fills.
    pub differs_since: Option<Mono>,
    pub is_disputed: bool,
}

/// What changed in this step and is not in the views yet.
#[derive(Debug, Default)]
pub struct Dirty {
    pub orders: BTreeSet<usize>,
    pub positions: BTreeSet<Place>,
    /// Fills by the place and the broker's trade id.
    pub fills: Vec<(Place, i64)>,
    pub accounts: BTreeSet<AccountId>,
    pub is_account_list: bool,
    pub is_armed: bool,
}

/// Times of one order's doubt on the local clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct DoubtClock {
    /// When the request's connection was closed, or when the doubt was noticed.
    pub since: Mono,
    /// Start of the first read that counts towards the proof of absence.
    pub absent_at: Option<(Mono, Nanos)>,
}

/// Orders, positions, accounts and everything that is under way. Changed only by the engine's `step`.
#[derive(Debug)]
pub struct Trading {
    pub store: Store,
    pub settings: Settings,
    pub budget: Budget,
    pub accounts: BTreeMap<AccountId, AccountState>,
    pub limits: BTreeMap<AccountId, Limits>,
    pub armed: BTreeSet<(String, AccountId)>,
    pub markets: HashMap<ContractIndex, MarketFacts>,
    pub links: HashMap<LinkName, LinkState>,
    pub environment: Option<Environment>,
    pub halted: Option<String>,
    pub broker_net: BTreeMap<Place, BrokerNet>,
    pub journal_records: u64,
    pub is_journal_writing: bool,
    pub dirty: Dirty,
    pub(crate) rules_at_work: RulesAtWork,
    pub(super) now: Mono,
    pub(super) now_ns: Nanos,
    pub(super) effects: Vec<Effect>,
    pub(super) pending: HashMap<SendId, (Endpoint, Pending)>,
    pub(super) doubts: BTreeMap<usize, DoubtClock>,
    pub(super) cancels: BTreeMap<usize, CancelClock>,
    pub(super) waiting_changes: WaitingChanges,
    /// Accepted orders whose status has not been seen, and when to ask.
    pub(super) unseen: BTreeMap<usize, Mono>,
    pub(super) keeping: Keeping,
    pub(super) loops: BTreeMap<AccountId, AccountLoop>,
    pub(super) tasks: BTreeMap<u64, Task>,
    pub(super) joint_exits: BTreeMap<RequestId, Joint>,
    /// Exits of the last run that it did not end, until they were told of.
    pub(super) interrupted: BTreeSet<String>,
    pub(super) login_life: LoginLife,
    pub(crate) management: Management,
    pub(super) orphans: Orphans,
    pub(super) waiting: Vec<(RequestId, BTreeMap<AccountId, Mono>)>,
    pub(super) next_number: u64,
    pub(super) held_rows: Vec<requests::Held>,
    pub(super) unknown_contracts: BTreeSet<String>,
    /// Contracts that the broker was asked for in this session and does not define.
    pub(super) undefined: BTreeSet<String>,
    /// The user hub was live and went down in this session: its return is a reconnect.
    pub(super) has_lost_user_hub: bool,
    /// When a definition that could not be read is asked for again.
    pub(super) ask_after: HashMap<String, Mono>,
    pub(crate) risk: RiskDesk,
    pub(super) pace: Pace,
    /// What every tag of this run begins with; before the start, what every tag of this installation does.
    pub(super) run_prefix: String,
    next_send: u64,
    pub(super) presses: Presses,
}

impl Trading {
    /// A state without a journal. `tag_prefix` is that of the mint.
    pub fn new(tag_prefix: &str, settings: Settings) -> Self {
        Self {
            store: Store::new(tag_prefix),
            settings,
            budget: if settings.is_budget_lifted {
                Budget::with_limits(BudgetLimits::LIFTED)
            } else {
                Budget::default()
            },
            accounts: BTreeMap::new(),
            limits: BTreeMap::new(),
            armed: BTreeSet::new(),
            markets: HashMap::new(),
            links: HashMap::new(),
            environment: None,
            halted: None,
            broker_net: BTreeMap::new(),
            journal_records: 0,
            is_journal_writing: true,
            dirty: Dirty::default(),
            rules_at_work: RulesAtWork::default(),
            now: Mono(0),
            now_ns: Nanos(0),
            effects: Vec::new(),
            pending: HashMap::new(),
            doubts: BTreeMap::new(),
            cancels: BTreeMap::new(),
            waiting_changes: WaitingChanges::new(),
            unseen: BTreeMap::new(),
            keeping: Keeping::default(),
            loops: BTreeMap::new(),
            tasks: BTreeMap::new(),
            joint_exits: BTreeMap::new(),
            interrupted: BTreeSet::new(),
            login_life: LoginLife::default(),
            management: Management::default(),
            orphans: Orphans::default(),
            waiting: Vec::new(),
            next_number: 1,
            held_rows: Vec::new(),
            unknown_contracts: BTreeSet::new(),
            undefined: BTreeSet::new(),
            has_lost_user_hub: false,
            ask_after: HashMap::new(),
            risk: RiskDesk::default(),
            pace: Pace::default(),
            run_prefix: tag_prefix.to_owned(),
            next_send: 1,
            presses: Presses::default(),
        }
    }

    /// Takes a journal's records; returns how many could not be read.
    pub fn replay<'a>(&mut self, records: impl IntoIterator<Item = &'a [u8]>) -> usize {
        let mut unread = 0;
        for bytes in records {
            self.journal_records += 1;
            match Record::from_bytes(bytes) {
                Some(record) => {
                    self.store.apply(&record);
                }
                None => unread += 1,
            }
        }
        self.dirty
            .orders
            .extend(self.store.rows().map(|(index, _)| index));
        self.dirty
            .positions
            .extend(self.store.ledgers.keys().copied());
        unread
    }

    /// Begins a run: records the epoch, and doubts every order whose last word was ours.
    pub fn start(&mut self, epoch: u64) {
        let at = self.now_ns.0;
        self.run_prefix = run_prefix(&self.run_prefix, epoch);
        self.record(&Record::Start { epoch, at });
        self.risk.is_unpublished = true;
        self.find_interrupted();
        let is_open = |order: &Order| {
            !order.life.is_end()
                && (matches!(order.life, Life::Intent | Life::Sent) || order.change != Change::None)
        };
        let keys: Vec<String> = self
            .store
            .rows()
            .filter(|(_, order)| is_open(order))
            .map(|(_, order)| order.key.clone())
            .collect();
        for key in keys {
            if planted(Bug::RestartTrusts) {
                break;
            }
            let text = "The program ended before the broker's answer.".to_owned();
            self.record(&Record::Doubt { key, text, at });
        }
        let doubted: Vec<usize> = self
            .store
            .rows()
            .filter(|(_, order)| order.doubt.is_some())
            .map(|(index, _)| index)
            .collect();
        for index in doubted {
            self.begin_doubt(index);
        }
    }

    /// Sets the clocks of this step.
    pub fn set_now(&mut self, now: Mono, now_ns: Nanos) {
        self.now = now;
        self.now_ns = now_ns;
    }

    /// Effects of this step so far, oldest first.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Local clock of this step.
    pub fn now(&self) -> Mono {
        self.now
    }

    /// Market time of this step; zero before the broker's first stamp.
    pub fn now_ns(&self) -> Nanos {
        self.now_ns
    }

    pub(crate) fn push_effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    pub(crate) fn push_event(&mut self, event: Event) {
        self.effects.push(Effect::Event(event));
    }

    /// Whether this step left nothing to do: no effects, no changed rows.
    pub(crate) fn is_idle(&self) -> bool {
        self.effects.is_empty()
            && self.dirty.orders.is_empty()
            && self.dirty.positions.is_empty()
            && self.dirty.fills.is_empty()
            && self.unknown_contracts.is_empty()
            && !self.risk.is_due(self.now_ns)
    }

    pub(crate) fn finish_request(
        &mut self,
        request: RequestId,
        outcome: DoneOutcome,
        text: &str,
        payload: String,
    ) {
        self.done_with(request, outcome, text, payload);
    }

    /// Sends a read of the market half; `None` when the ordinary budget is spent.
    pub(crate) fn send_market_read(&mut self, endpoint: Endpoint, body: String) -> Option<SendId> {
        if !self.budget.try_take(Lane::Ordinary, self.now.0 as i64) {
            return None;
        }
        let id = self.send_id();
        let send = Outgoing::read(id, endpoint, body, Lane::Ordinary, self.deadline());
        self.effects.push(Effect::Send(send));
        Some(id)
    }

    /// Counts requests that were made without asking the budget: the broker counts them too.
    pub(crate) fn note_spent(&mut self, requests: u64) {
        for _ in 0..requests {
            self.budget.note(self.now.0 as i64);
        }
    }

    /// Whether so few requests were made that older history may be read beside everything else.
    pub(crate) fn has_room_to_spare(&mut self) -> bool {
        let used = self.budget.used(self.now.0 as i64);
        used * 4 < self.budget.limit()
    }

    /// Takes a contract's definition; true when it is new or changed.
    pub(crate) fn take_definition(&mut self, record: &Record) -> bool {
        self.record(record).1.is_changed
    }

    /// The price at which open lots are valued: the last trade, else the middle of the quote.
    pub fn mark(&self, contract: ContractIndex) -> Option<Ticks> {
        let market = self.markets.get(&contract)?;
        let middle = || Some(Ticks(i64::midpoint(market.bid?.0, market.ask?.0)));
        market.last.or_else(middle)
    }

    /// Whether any account has a position in a contract.
    pub(crate) fn has_position(&self, contract: ContractIndex) -> bool {
        let mut ledgers = self.store.ledgers.iter();
        ledgers.any(|(place, ledger)| place.1 == contract && ledger.net() != 0)
    }

    /// Applies a record, journals it when it changed something, and returns its index and what it changed.
    pub(super) fn record(&mut self, record: &Record) -> (Option<u64>, Applied) {
        let applied = self.store.apply(record);
        if !applied.is_changed {
            return (None, applied);
        }
        self.dirty.orders.extend(applied.orders.iter().copied());
        self.dirty.positions.extend(applied.position);
        self.risk.touched.extend(applied.position);
        self.dirty.fills.extend(applied.fill);
        if let Some(alarm) = &applied.alarm {
            self.notice(NoticeLevel::Alarm, "evidence", alarm.clone());
        }
        for index in &applied.orders {
            let order = &self.store.orders[*index];
            self.dirty.positions.insert((order.account, order.contract));
            if order.doubt.is_none() {
                self.doubts.remove(index);
            }
        }
        if applied.is_doubted {
            for index in applied.orders.clone() {
                self.begin_doubt(index);
            }
        }
        (self.journal(record), applied)
    }

    fn journal(&mut self, record: &Record) -> Option<u64> {
        let is_dropped = planted(Bug::RecordDropped) && matches!(record, Record::Settled { .. });
        if !self.is_journal_writing || is_dropped {
            return None;
        }
        self.journal_records += 1;
        let index = self.journal_records;
        self.effects.push(Effect::Journal {
            index,
            record: record.to_bytes(),
        });
        Some(index)
    }

    pub(super) fn begin_doubt(&mut self, index: usize) {
        let clock = DoubtClock {
            since: self.now,
            absent_at: None,
        };
        self.doubts.entry(index).or_insert(clock);
        let account = self.store.orders[index].account;
        self.ask_again(account);
    }

    pub(crate) fn notice(&mut self, level: NoticeLevel, code: &'static str, text: String) {
        let time_ns = self.now_ns.0;
        self.effects.push(Effect::Event(Event::Notice(NoticeRow {
            level,
            code,
            text,
            time_ns,
        })));
    }

    pub(super) fn done(
        &mut self,
        request: RequestId,
        outcome: DoneOutcome,
        text: impl Into<String>,
    ) {
        self.done_with(request, outcome, text, String::new());
    }

    pub(super) fn done_with(
        &mut self,
        request: RequestId,
        outcome: DoneOutcome,
        text: impl Into<String>,
        payload_json: String,
    ) {
        if request == RequestId::NOBODY {
            return;
        }
        self.effects.push(Effect::Event(Event::RequestDone {
            request_id: request.0,
            outcome,
            text: text.into(),
            payload_json,
        }));
    }

    pub(super) fn send_id(&mut self) -> SendId {
        let id = SendId(self.next_send);
        self.next_send += 1;
        id
    }

    pub(super) fn deadline(&self) -> Mono {
        Mono(self.now.0 + self.settings.request_timeout_ns)
    }

    pub(super) fn push_send(&mut self, send: Outgoing, pending: Pending) {
        self.pending.insert(send.id, (send.endpoint, pending));
        self.effects.push(Effect::Send(send));
    }

    /// Sends a read when the budget has a request for it.
    pub(super) fn read(&mut self, endpoint: Endpoint, body: String, pending: Pending) -> bool {
        if !self.budget.try_take(Lane::Reconcile, self.now.0 as i64) {
            return false;
        }
        let id = self.send_id();
        let send = Outgoing::read(id, endpoint, body, Lane::Reconcile, self.deadline());
        self.push_send(send, pending);
        true
    }

    pub(super) fn contract_of(&self, index: ContractIndex) -> &Contract {
        &self.store.contracts[index.slot()]
    }

    /// Handles one command of the trading half; market commands are the engine's.
    pub fn command(&mut self, command: Command) {
        match command {
            Command::Submit(draft) => self.submit(draft),
            Command::SubmitBracket { .. }
            | Command::LinkOco { .. }
            | Command::SetBracketMode { .. } => self.legs_command(command),
            Command::Modify {
                request,
                key,
                wanted,
                source,
            } => {
                self.modify(request, &key, values_of(wanted), &source);
            }
            Command::Cancel { .. }
            | Command::CancelGroup { .. }
            | Command::ClosePosition { .. }
            | Command::Reverse { .. }
            | Command::Flatten { .. }
            | Command::FlattenEverything { .. } => self.exit(command),
            Command::Arm {
                source,
                account,
                is_armed,
            } => self.arm(source, account, is_armed),
            Command::SetLimits { account, limits } => {
                self.set_limits(account, limits);
            }
            Command::SetRules { .. }
            | Command::SetMode { .. }
            | Command::ReleaseThrottle { .. } => {
                self.rules_command(command);
            }
            Command::Reconcile { request } => self.wait_for_rounds(request),
            Command::SetStopRule {
                request,
                key,
                plan,
                source,
            } => self.set_stop_rule(request, &key, plan, &source),
            Command::ChooseAccounts { request, accounts } => self.choose(request, &accounts),
            Command::Halt { reason } => self.halt(reason),
            Command::Disconnect { request } => {
                self.disarm_all();
                self.forget_login_life();
                self.management.keep(&[]);
                self.done(request, DoneOutcome::Done, "Disconnected.");
            }
            Command::Subscribe { request, .. }
            | Command::Unsubscribe { request, .. }
            | Command::WatchBars { request, .. }
            | Command::SearchContracts { request, .. } => {
                debug_assert!(false, "market commands are handled before");
                self.done(request, DoneOutcome::Failed, "Not a trading command.");
            }
            Command::TraceBook { .. } => debug_assert!(false, "market commands are handled before"),
        }
    }

    /// The commands about what is there already. What only makes smaller meets nothing in its way.
    fn exit(&mut self, command: Command) {
        match command {
            Command::Cancel { request, .. }
                if planted(Bug::CancelHalted) && self.halted.is_some() =>
            {
                self.done(request, DoneOutcome::Failed, "Halted.");
            }
            Command::Cancel {
                request,
                key,
                source,
            } => self.cancel(request, &key, &source),
            Command::CancelGroup {
                request,
                account,
                group,
                source,
            } => {
                self.start_cancel_group(request, account, &group, source);
            }
            Command::ClosePosition {
                request,
                account,
                contract_id,
                part,
                source,
            } => self.start_close(request, account, &contract_id, part, source),
            Command::Reverse {
                request,
                account,
                contract_id,
                tag,
                stop_ticks,
                target_ticks,
                source,
            } => {
                let order = (tag, stop_ticks, target_ticks);
                self.start_reverse(request, account, &contract_id, order, source);
            }
            Command::FlattenEverything { request, source } => {
                self.start_flatten_everything(request, &source);
            }
            Command::Flatten {
                request,
                account,
                contract_id,
                source,
            } => {
                self.start_flatten(request, account, contract_id.as_deref(), source);
            }
            other => debug_assert!(false, "{other:?} is no exit"),
        }
    }

    fn halt(&mut self, reason: String) {
        let text = format!("Halted: {reason} Only exits are taken.");
        self.notice(NoticeLevel::Alarm, "halted", text);
        self.halted = Some(reason);
        self.disarm_all();
    }

    pub(super) fn arm(&mut self, source: String, account: AccountId, is_armed: bool) {
        let key = (source, account);
        let is_changed = if is_armed {
            (self.halted.is_none() || planted(Bug::HaltForgotten)) && self.armed.insert(key.clone())
        } else {
            self.armed.remove(&key)
        };
        if is_changed {
            self.dirty.is_armed = true;
            self.effects.push(Effect::Event(Event::ArmedChanged {
                source: key.0.into(),
                account_id: i64::from(account.0),
                is_armed,
            }));
        }
    }

    pub(super) fn disarm_all(&mut self) {
        for (source, account) in self.armed.clone() {
            self.arm(source, account, false);
        }
    }

    pub(super) fn disarm_account(&mut self, wanted: AccountId) {
        let pairs = self.armed.iter().filter(|(_, account)| *account == wanted);
        for (source, account) in pairs.cloned().collect::<Vec<_>>() {
            self.arm(source, account, false);
        }
    }

    fn choose(&mut self, request: RequestId, accounts: &[AccountId]) {
        if let Some(stranger) = accounts.iter().find(|id| !self.accounts.contains_key(id)) {
            let text = format!("Account {stranger} is not one of this login.");
            self.done(request, DoneOutcome::Failed, text);
            return;
        }
        self.disarm_all();
        for (id, state) in &mut self.accounts {
            state.is_chosen = accounts.contains(id);
            state.is_reconciled &= state.is_chosen;
        }
        self.dirty.is_account_list = true;
        self.management.keep(accounts);
        self.ask_to_manage();
        self.risk.begin_watching(accounts);
        self.loops.retain(|id, _| accounts.contains(id));
        for account in accounts {
            self.loops.entry(*account).or_default();
        }
        let accounts = accounts.to_vec();
        if !planted(Bug::NobodyFollowed) {
            self.effects.push(Effect::SubscribeAccounts { accounts });
        }
        self.tell_unread_interrupted();
        self.wait_for_rounds(request);
    }

    /// Does what is due now; called after every input.
    pub fn run(&mut self) {
        self.watch_login_life();
        self.run_legs();
        self.run_cancels();
        self.run_changes();
        self.run_risk();
        self.tell_interrupted();
        self.run_tasks();
        // After the tasks: what one of them wants to have read now has no other moment than this.
        self.run_loops();
        self.sweep_orphans();
        self.run_rules();
        self.answer_waiting();
    }

    /// The earliest moment at which `run` has something to do without an input.
    pub fn next_moment(&self) -> Option<Mono> {
        let cancels = self.cancels.values().filter(|clock| !clock.is_in_flight);
        let cancels = cancels.map(|clock| Mono(clock.sent.0 + self.settings.cancel_repeat_ns));
        let loops = self.loops.values().filter_map(AccountLoop::next_moment);
        let tasks = self.tasks.values().filter_map(Task::next_moment);
        let unseen = self.unseen.values().copied();
        let unseen = unseen.chain(self.legs_moment()).chain(self.risk_moment());
        let rules = self.next_rule_moment().into_iter();
        let rules = rules
            .chain(self.next_orphan_moment())
            .chain(self.next_login_moment());
        cancels
            .chain(loops)
            .chain(tasks)
            .chain(unseen)
            .chain(rules)
            .min()
    }

    /// Net lots by the fills.
    pub(super) fn net(&self, place: Place) -> i64 {
        self.store.ledgers.get(&place).map_or(0, Ledger::net)
    }

    pub(super) fn is_disputed(&self, place: Place) -> bool {
        self.broker_net
            .get(&place)
            .is_some_and(|net| net.is_disputed)
    }

    pub(super) fn is_user_hub_live(&self) -> bool {
        self.links.get(&LinkName::User) == Some(&LinkState::Live)
    }
}

fn values_of(wanted: Wanted) -> Values {
    Values {
        size: wanted.size.map(|lots| lots.0),
        limit: wanted.limit.map(|ticks| ticks.0),
        stop: wanted.stop.map(|ticks| ticks.0),
        trail: wanted.trail.map(|ticks| ticks.0),
    }
}
