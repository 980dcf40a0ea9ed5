//! The account rules at work: the day's figures from fills and marks, what follows from them, and the flat-by times.
//!
//! Everything durable is an event of [`risk_rules`](crate::risk_rules) inside a journal record; what is here can be
//! computed again. Only accounts chosen in this session are acted on.

use std::collections::{BTreeMap, BTreeSet};

use crate::calendar::{Product, TradeDate, chicago_clock, chicago_day_and_clock};
use crate::engine::contract::{Command, Environment};
use crate::engine::views::{DoneOutcome, NoticeLevel};
use crate::order_execution::gate::{Exposure, Limits, Reason};
use crate::order_execution::order::{Order, Role};
use crate::order_execution::record::Record;
use crate::order_execution::store::Place;
use crate::order_execution::trading::Trading;
use crate::risk_rules::{
    Action, Book, DayFills, Latch, Marks, Mode, RiskEvent, RuleName, Rules, judge, size,
};
use crate::types::{AccountId, Contract, ContractIndex, Money, Mono, Nanos, RequestId, Side};

const SECOND: u64 = 1_000_000_000;
const SECOND_NS: i64 = 1_000_000_000;
/// How long a flatten of the rules waits before it is tried again.
const RETRY_NS: u64 = 10 * SECOND;
/// How long the broker's balance must differ before it counts: fills and balances arrive apart.
const DRIFT_NS: u64 = 30 * SECOND;
/// Rounding of cents over a day's fills is no difference, 1/10,000 dollar.
const DRIFT_MIN_1E4: i64 = 10_000;
/// How long after the deadline the own flatten still tries; then the firm has done it.
const AFTER_DEADLINE_S: i64 = 300;
/// Who the orders of the rules come from.
pub(super) const SOURCE: &str = "rules";

/// What can be computed again about one account.
#[derive(Clone, Debug, Default)]
struct Live {
    /// The session that makes the day: its open and the next one's.
    day: Option<(Nanos, Nanos)>,
    fills: BTreeMap<ContractIndex, DayFills>,
    marks: Marks,
    trades: i64,
    drift: Option<(i64, Mono)>,
    /// When a flatten that is due is tried again.
    retry: Mono,
    flat_retry: BTreeMap<ContractIndex, Mono>,
    /// Nothing about flat-by times is to be done before.
    flat_check: Nanos,
    /// As last told: of what is open, the soonest first.
    times: Option<FlatTimes>,
}

/// The moving half of all accounts' rules.
#[derive(Debug, Default)]
pub struct RiskDesk {
    live: BTreeMap<AccountId, Live>,
    pub(super) touched: BTreeSet<Place>,
    dirty: BTreeSet<AccountId>,
    /// Accounts whose durable state changed since it was last told.
    pub(crate) untold: BTreeSet<AccountId>,
    /// Market time at which something is due without an input.
    due: Nanos,
    pub(crate) is_unpublished: bool,
}

impl RiskDesk {
    /// Accounts that are chosen now: what happened while they were not is judged at once.
    pub(super) fn begin_watching(&mut self, accounts: &[AccountId]) {
        self.dirty.extend(accounts);
    }

    pub(super) fn is_due(&self, now: Nanos) -> bool {
        !self.touched.is_empty() || !self.dirty.is_empty() || (self.due.0 > 0 && now >= self.due)
    }
}

/// The instants of one product's day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlatTimes {
    /// Entries are refused from here on.
    pub entries_end: Nanos,
    /// The own flatten.
    pub flatten: Nanos,
    pub deadline: Nanos,
    pub until: Nanos,
}

/// The flat-by times of a product, by the session that opened last; `None` without such a rule.
pub fn flat_times(rules: &Rules, product: Product, now: Nanos) -> Option<FlatTimes> {
    let flat = product.flat_by(now, rules.flat_by_minute?)?;
    let before = |seconds: i64| Nanos(flat.deadline.0 - seconds * SECOND_NS);
    Some(FlatTimes {
        entries_end: before(rules.entries_stop_s),
        flatten: before(rules.flatten_before_s),
        deadline: flat.deadline,
        until: flat.until,
    })
}

/// Whether a session lies between two trade dates.
fn is_gap(last: TradeDate, date: TradeDate) -> bool {
    let calendar = Product::Equity.calendar();
    let session = calendar.session_on(date);
    let before = session.and_then(|session| calendar.last_opened(Nanos(session.open.0 - 1)));
    before.is_none_or(|(before, _)| before.trade_date > last)
}

fn dollars(money: i64) -> String {
    format!("${}", Money(money))
}

fn amount(rule: RuleName, value: i64) -> String {
    if rule == RuleName::Trades {
        value.to_string()
    } else {
        dollars(value)
    }
}

impl Trading {
    /// The commands about an account's rules.
    pub(super) fn rules_command(&mut self, command: Command) {
        match command {
            Command::SetRules {
                request,
                account,
                rules,
            } => self.set_rules(request, account, &rules),
            Command::SetMode {
                request,
                account,
                mode,
                source,
            } => self.set_mode(request, account, mode, source),
            Command::ReleaseThrottle {
                request,
                account,
                source,
                by,
            } => self.release_throttle(request, account, source, by),
            other => debug_assert!(false, "{other:?} is not about rules"),
        }
    }

    fn set_rules(&mut self, request: RequestId, account: AccountId, rules: &Rules) {
        if !rules.are_sane() {
            let text = "The account's rules cannot be meant: a limit is not positive or a time is no time of the day.";
            self.done(request, DoneOutcome::Failed, text);
            return;
        }
        let book = self.store.books.get(&account);
        let events = book.map_or_else(
            || Book::default().state(rules, self.now_ns.0),
            |book| book.state(rules, self.now_ns.0),
        );
        for event in events {
            self.risk_event(account, event);
        }
        self.risk.dirty.insert(account);
        self.done(
            request,
            DoneOutcome::Done,
            format!("Rules: {}.", rules.name),
        );
    }

    /// States the gate's limits of an account. Its sizes are lowered at once and raised from the next session on, also over
    /// a restart; the other figures are habits, and hold as they are stated.
    pub(super) fn set_limits(&mut self, account: AccountId, limits: Limits) {
        self.limits.insert(account, limits);
        self.dirty.is_account_list = true;
        // What cannot be meant admits nothing new, and must not be what a whole session is held to.
        if limits.are_sane() {
            let book = self.store.books.get(&account).cloned().unwrap_or_default();
            let event = book.state_sizes(limits.sizes(), self.now_ns.0);
            self.risk_event(account, event);
            self.hold_to_sizes(account);
        }
    }

    fn hold_to_sizes(&mut self, account: AccountId) {
        let sizes = self.store.books.get(&account).and_then(|book| book.sizes);
        if let (Some(sizes), Some(limits)) = (sizes, self.limits.get_mut(&account)) {
            *limits = limits.with(sizes);
            self.dirty.is_account_list = true;
        }
    }

    fn set_mode(&mut self, request: RequestId, account: AccountId, mode: Mode, source: String) {
        let known = self.store.books.get(&account).map(|book| book.mode);
        if known == Some(Mode::Locked) && mode != Mode::Locked {
            let text = "The account is locked until the next session; nobody can take that back.";
            self.done(request, DoneOutcome::Denied, text);
            return;
        }
        let at = self.now_ns.0;
        self.risk_event(account, RiskEvent::Mode { mode, source, at });
        self.done(
            request,
            DoneOutcome::Done,
            format!("Mode: {}.", mode.word()),
        );
    }

    fn release_throttle(
        &mut self,
        request: RequestId,
        account: AccountId,
        source: String,
        by: String,
    ) {
        let at = self.now_ns.0;
        self.pace.forgive(account, &source);
        self.risk_event(account, RiskEvent::Released { source, by, at });
        self.done(request, DoneOutcome::Done, "Released.");
    }

    pub(super) fn is_throttled(&self, account: AccountId, source: &str) -> bool {
        let book = self.store.books.get(&account);
        book.is_some_and(|book| book.throttled.contains(source))
    }

    /// Trips the throttle: the source sends nothing until a person releases it, also after a restart.
    pub(super) fn stop_source(&mut self, account: AccountId, source: String) {
        let at = self.now_ns.0;
        self.risk_event(account, RiskEvent::Throttled { source, at });
    }

    /// Records one event and says so.
    pub(super) fn risk_event(&mut self, account: AccountId, event: RiskEvent) {
        let record = Record::Risk {
            account: account.0,
            event,
        };
        if !self.record(&record).1.is_changed {
            return;
        }
        self.risk.untold.insert(account);
        self.risk.is_unpublished = true;
        if let Record::Risk { event, .. } = &record
            && let Some((level, code, text)) = self.words_of(account, event)
        {
            self.notice(level, code, text);
        }
    }

    fn words_of(
        &self,
        account: AccountId,
        event: &RiskEvent,
    ) -> Option<(NoticeLevel, &'static str, String)> {
        let name = self
            .accounts
            .get(&account)
            .map_or_else(|| account.to_string(), |state| state.row.name.clone());
        Some(match event {
            RiskEvent::Rules { rules, .. } => {
                let text = format!(
                    "{name} follows the rules of {}, {}.",
                    rules.name, rules.date
                );
                (NoticeLevel::Info, "rules", text)
            }
            RiskEvent::Pending { rules: Some(_), .. } => {
                let text =
                    format!("{name}: looser limits were stored; they hold from the next session.");
                (NoticeLevel::Info, "rules", text)
            }
            RiskEvent::Sizes {
                pending: Some(_), ..
            } => {
                let text =
                    format!("{name}: larger sizes were stored; they hold from the next session.");
                (NoticeLevel::Info, "rules", text)
            }
            RiskEvent::Warned { rule, percent, .. } => {
                let text = format!("{name}: {percent} % of the {} is used.", rule.title());
                (NoticeLevel::Warning, "risk_warning", text)
            }
            RiskEvent::Tripped { rule, latch } => {
                let (level, text) = self.words_of_latch(account, *rule, *latch);
                (level, "risk_limit", format!("{name}: {text}"))
            }
            RiskEvent::Throttled { source, .. } => {
                let text = format!(
                    "{name}: {source} repeated the same order too often and is stopped until a person releases it."
                );
                (NoticeLevel::Alarm, "throttled", text)
            }
            RiskEvent::Mode { mode, .. } => (
                NoticeLevel::Warning,
                "mode",
                format!("{name}: mode {}.", mode.word()),
            ),
            RiskEvent::Day { .. } if self.store.books.get(&account)?.is_floor_uncertain() => {
                let text = format!(
                    "{name}: the highest end-of-day balance is not known for days that were not seen here; the maximum \
                     loss may be nearer than shown. State the firm's number as risk.stated_high."
                );
                (NoticeLevel::Warning, "high_unknown", text)
            }
            RiskEvent::Pending { rules: None, .. }
            | RiskEvent::Sizes { pending: None, .. }
            | RiskEvent::Day { .. }
            | RiskEvent::Rebased { .. }
            | RiskEvent::Peak { .. }
            | RiskEvent::Flattened { .. }
            | RiskEvent::Released { .. } => return None,
        })
    }

    fn words_of_latch(
        &self,
        account: AccountId,
        rule: RuleName,
        latch: Latch,
    ) -> (NoticeLevel, String) {
        let (used, limit) = (amount(rule, latch.used), amount(rule, latch.limit));
        let reached = format!("{} reached, {used} of {limit}.", rule.title());
        if latch.action == Action::Warn {
            return (NoticeLevel::Warning, reached);
        }
        let until = self.until_text(account);
        let is_flattened = latch.action == Action::Flatten && self.management.is_here(account);
        let also = if is_flattened {
            " Everything is flattened."
        } else {
            ""
        };
        let text = format!("{reached} Entries are blocked {until}.{also}");
        (NoticeLevel::Alarm, text)
    }

    /// `until Tue 17:00 Chicago`.
    fn until_text(&self, account: AccountId) -> String {
        let day = self.risk.live.get(&account).and_then(|live| live.day);
        match day {
            Some((_, end)) if end.0 < i64::MAX => {
                format!("until {} Chicago", chicago_day_and_clock(end))
            }
            Some(_) | None => "until the next session".to_owned(),
        }
    }

    /// Contracts that accounts with rules hold: without their prices no limit could be measured, so they stay watched
    /// whoever looks away.
    pub(crate) fn held_under_rules(&self) -> Vec<String> {
        let ledgers = self.store.ledgers.iter();
        let held = ledgers.filter(|(_, ledger)| ledger.net() != 0);
        held.filter(|(place, _)| self.has_rules(place.0))
            .map(|(place, _)| self.contract_of(place.1).id.clone())
            .collect()
    }

    /// The price of a contract moved: its open profit is part of the rules.
    pub(crate) fn price_moved(&mut self, contract: ContractIndex) {
        let ledgers = self.store.ledgers.iter();
        let held: Vec<AccountId> = ledgers
            .filter(|(place, ledger)| place.1 == contract && ledger.net() != 0)
            .map(|(place, _)| place.0)
            .filter(|account| self.has_rules(*account))
            .collect();
        for account in held {
            self.judge_account(account);
        }
    }

    fn has_rules(&self, account: AccountId) -> bool {
        let is_chosen = self
            .accounts
            .get(&account)
            .is_some_and(|state| state.is_chosen);
        let book = self.store.books.get(&account);
        is_chosen && book.is_some_and(|book| book.rules.is_some())
    }

    /// Does what the rules ask for now; called after every input.
    pub(super) fn run_risk(&mut self) {
        let touched = std::mem::take(&mut self.risk.touched);
        let dirty = std::mem::take(&mut self.risk.dirty);
        self.risk.due = Nanos(i64::MAX);
        if self.now_ns.0 == 0 {
            return;
        }
        // Also of accounts that are not chosen: their day goes on, and they may be chosen again before it ends.
        for place in &touched {
            self.add_up(*place);
        }
        let accounts: Vec<AccountId> = self.store.books.keys().copied().collect();
        for account in accounts {
            if !self.has_rules(account) {
                continue;
            }
            let is_new = self.turn_day(account);
            let is_touched = touched.iter().any(|place| place.0 == account);
            if is_new || is_touched || dirty.contains(&account) {
                self.judge_account(account);
                self.refresh_times(account);
            }
            self.follow_balance(account);
            if self.management.is_here(account) {
                self.finish_latched_flatten(account);
                self.keep_flat_by(account);
            }
        }
    }

    /// Begins the day that the clock is in. True when the day's fills were added up anew.
    fn turn_day(&mut self, account: AccountId) -> bool {
        let live = self.risk.live.entry(account).or_default();
        if let Some((begin, end)) = live.day
            && (begin..end).contains(&self.now_ns)
        {
            self.risk.due = self.risk.due.min(end);
            return false;
        }
        let Some((session, next)) = Product::Equity.calendar().last_opened(self.now_ns) else {
            return false;
        };
        let is_known = self.store.books[&account].day == Some(session.trade_date.0);
        let state = &self.accounts[&account];
        let balance = state.row.balance.filter(|_| state.is_reconciled);
        if !is_known && balance.is_none() {
            return false;
        }
        let end = next.map_or(Nanos(i64::MAX), |next| next.open);
        *self.risk.live.entry(account).or_default() = Live {
            day: Some((session.open, end)),
            ..Live::default()
        };
        self.risk.due = self.risk.due.min(end);
        let places: Vec<Place> = self.store.ledgers.keys().copied().collect();
        for place in places.into_iter().filter(|place| place.0 == account) {
            self.add_up(place);
        }
        if let Some(balance) = balance.filter(|_| !is_known) {
            self.begin_day(account, session.trade_date, balance);
        }
        true
    }

    fn begin_day(&mut self, account: AccountId, date: TradeDate, balance: Money) {
        let realised = self.realised(account);
        let book = &self.store.books[&account];
        let mut event = judge::begin_day(book, date.0, balance.0, realised, self.now_ns.0);
        if let RiskEvent::Day { has_gap, .. } = &mut event {
            *has_gap = book.day.is_some_and(|day| is_gap(TradeDate(day), date));
        }
        self.risk_event(account, event);
        self.hold_to_sizes(account);
    }

    fn add_up(&mut self, place: Place) {
        let (Some(live), Some(ledger)) = (
            self.risk.live.get_mut(&place.0),
            self.store.ledgers.get(&place),
        ) else {
            return;
        };
        if let Some((begin, _)) = live.day {
            live.fills.insert(place.1, DayFills::of(ledger, begin.0));
            live.trades = live.fills.values().map(|day| day.trades.len() as i64).sum();
        }
    }

    fn realised(&self, account: AccountId) -> i64 {
        let live = self.risk.live.get(&account);
        let fills = live.into_iter().flat_map(|live| live.fills.values());
        let sums = fills.map(|day| day.realised);
        sums.fold(0, i64::saturating_add)
    }

    fn open_result(&self, account: AccountId) -> i64 {
        let ledgers = self.store.ledgers.iter();
        let open = ledgers.filter(|(place, ledger)| place.0 == account && ledger.net() != 0);
        open.filter_map(|(place, ledger)| Some(ledger.open_pnl(self.mark(place.1)?.0)))
            .fold(0, i64::saturating_add)
    }

    /// Measures one account and records what follows.
    fn judge_account(&mut self, account: AccountId) {
        let (realised, open) = (self.realised(account), self.open_result(account));
        let (Some(book), Some(live)) = (
            self.store.books.get(&account),
            self.risk.live.get_mut(&account),
        ) else {
            return;
        };
        let (Some(rules), Some(_)) = (&book.rules, book.day) else {
            return;
        };
        let pnl = judge::personal_pnl(rules, realised, open);
        let marks = Marks {
            realised,
            open,
            trades: live.trades,
            peak: live.marks.peak.max(book.peak).max(pnl),
        };
        self.risk.is_unpublished |= live.marks != marks;
        live.marks = marks;
        for event in judge::events(book, &marks, self.now_ns.0) {
            self.risk_event(account, event);
        }
    }

    /// A balance that fills do not explain (a payout, a fee) becomes ours once it has stayed.
    fn follow_balance(&mut self, account: AccountId) {
        let realised = self.realised(account);
        let book = &self.store.books[&account];
        let state = &self.accounts[&account];
        let (Some(stated), Some(_)) = (state.row.balance, book.day) else {
            return;
        };
        let diff = stated.0.saturating_sub(realised);
        let diff = diff.saturating_sub(book.opening);
        let Some(live) = self.risk.live.get_mut(&account) else {
            return;
        };
        if diff.saturating_abs() < DRIFT_MIN_1E4 || !state.is_reconciled {
            live.drift = None;
            return;
        }
        match live.drift {
            Some((known, since)) if known == diff => {
                if self.now.since(since) >= DRIFT_NS {
                    live.drift = None;
                    let (balance, at) = (book.opening.saturating_add(diff), self.now_ns.0);
                    self.risk_event(account, RiskEvent::Rebased { balance, at });
                    self.judge_account(account);
                }
            }
            Some(_) | None => live.drift = Some((diff, self.now)),
        }
    }

    /// Flattens after a latch, again and again until it is read back; a restart goes on with it.
    fn finish_latched_flatten(&mut self, account: AccountId) {
        if !self.store.books[&account].is_flatten_due || !self.accounts[&account].is_reconciled {
            return;
        }
        if self.is_account_flat(account) {
            let at = self.now_ns.0;
            self.risk_event(account, RiskEvent::Flattened { at });
            return;
        }
        let Some(live) = self.risk.live.get_mut(&account) else {
            return;
        };
        if self.now >= live.retry {
            live.retry = Mono(self.now.0 + RETRY_NS);
            self.start_flatten(RequestId::NOBODY, account, None, SOURCE.to_owned());
        }
    }

    fn is_account_flat(&self, account: AccountId) -> bool {
        let mut ledgers = self.store.ledgers.iter();
        let mut stated = self.broker_net.iter();
        let mut rows = self.store.open_rows();
        ledgers.all(|(place, ledger)| place.0 != account || ledger.net() == 0)
            && stated.all(|(place, broker)| place.0 != account || broker.net == 0)
            && !rows.any(|(_, order)| order.account == account && order.is_live())
    }

    /// Closes what stands in a product whose own flatten time has come.
    fn keep_flat_by(&mut self, account: AccountId) {
        let now = self.now_ns;
        let due = self
            .risk
            .live
            .get(&account)
            .map_or(now, |live| live.flat_check);
        if now < due {
            self.risk.due = self.risk.due.min(due);
            return;
        }
        let Some(rules) = self.store.books[&account].rules.clone() else {
            return;
        };
        let mut next = Nanos(now.0 + 60 * SECOND_NS);
        let mut closing = Vec::new();
        for product in Product::ALL {
            let Some(times) = flat_times(&rules, product, now) else {
                continue;
            };
            let end = Nanos(times.deadline.0 + AFTER_DEADLINE_S * SECOND_NS).min(times.until);
            if now < times.flatten {
                next = next.min(times.flatten);
            } else if now < end {
                next = now;
                closing.push((product, times.deadline));
            }
        }
        if let Some(live) = self.risk.live.get_mut(&account) {
            live.flat_check = next;
        }
        self.refresh_times(account);
        for (product, deadline) in closing {
            self.flatten_product(account, product, deadline);
        }
        // While a window is open every input looks again; the clock alone does so each second.
        self.risk.due = self.risk.due.min(next.max(Nanos(now.0 + SECOND_NS)));
    }

    fn flatten_product(&mut self, account: AccountId, product: Product, deadline: Nanos) {
        for contract in self.open_contracts(account) {
            let definition = self.contract_of(contract).clone();
            let live = self.risk.live.entry(account).or_default();
            let retry = live.flat_retry.get(&contract).copied();
            if Product::of_root(&definition.root) != product
                || retry.is_some_and(|at| self.now < at)
            {
                continue;
            }
            live.flat_retry
                .insert(contract, Mono(self.now.0 + RETRY_NS));
            let text = format!(
                "{} is flattened before the deadline of {} Chicago.",
                definition.name,
                chicago_clock(deadline)
            );
            self.notice(NoticeLevel::Warning, "flat_by", text);
            let id = Some(definition.id.as_str());
            self.start_flatten(RequestId::NOBODY, account, id, SOURCE.to_owned());
        }
    }

    /// Contracts in which an account holds lots or works orders.
    fn open_contracts(&self, account: AccountId) -> BTreeSet<ContractIndex> {
        let held = self.store.ledgers.iter();
        let held = held.filter(|(_, ledger)| ledger.net() != 0);
        let stated = self.broker_net.iter().filter(|(_, broker)| broker.net != 0);
        let places = held
            .map(|(place, _)| *place)
            .chain(stated.map(|(place, _)| *place));
        let rows = self.store.open_rows();
        let live = rows.filter(|(_, order)| order.is_live());
        let places = places.chain(live.map(|(_, order)| (order.account, order.contract)));
        places
            .filter(|place| place.0 == account)
            .map(|place| place.1)
            .collect()
    }

    /// The day of an account (begin, end) and its figures; `None` before its first day.
    pub(crate) fn risk_figures(&self, account: AccountId) -> Option<(Nanos, Nanos, Marks)> {
        let live = self.risk.live.get(&account)?;
        let (begin, end) = live.day?;
        Some((begin, end, live.marks))
    }

    /// Tenths of a mini that an account holds now.
    pub(crate) fn tenths_held(&self, account: AccountId, rules: &Rules) -> i64 {
        let ledgers = self.store.ledgers.iter();
        let held = ledgers.filter(|(place, _)| place.0 == account);
        size::tenths(
            rules,
            held.map(|(place, ledger)| (self.contract_of(place.1).root.as_str(), ledger.net())),
        )
    }

    /// The flat-by times of what an account has open, the soonest first; of equity products when it has nothing.
    pub(crate) fn times_of(&self, account: AccountId) -> Option<FlatTimes> {
        self.risk.live.get(&account)?.times
    }

    fn refresh_times(&mut self, account: AccountId) {
        let Some(rules) = &self.store.books[&account].rules else {
            return;
        };
        let open = self.open_contracts(account).into_iter();
        let products = open.map(|index| Product::of_root(&self.contract_of(index).root));
        let times = products.filter_map(|product| flat_times(rules, product, self.now_ns));
        let times = times
            .min_by_key(|times| times.deadline)
            .or_else(|| flat_times(rules, Product::Equity, self.now_ns));
        if let Some(live) = self.risk.live.get_mut(&account) {
            self.risk.is_unpublished |= live.times != times;
            live.times = times;
        }
    }

    /// When the rules look at the clock next.
    pub(super) fn risk_moment(&self) -> Option<Mono> {
        let due = self.risk.due;
        let ahead = (due.0 < i64::MAX && self.now_ns.0 > 0).then(|| due.0 - self.now_ns.0)?;
        Some(Mono(self.now.0 + ahead.max(0) as u64))
    }

    /// Why the rules forbid `size` more lots on a side, or more of one order.
    pub(super) fn rule_reasons(
        &self,
        place: Place,
        side: Side,
        size: i64,
        without: Option<usize>,
    ) -> Vec<Reason> {
        let contract = self.contract_of(place.1);
        let mut reasons = self.hours_reasons(contract);
        reasons.extend(self.login_reason());
        let Some(book) = self.store.books.get(&place.0) else {
            return reasons;
        };
        match book.mode {
            Mode::Normal => {}
            Mode::Reducing => reasons.push((
                "reducing",
                "The account is in reduce-only mode; only exits are taken.".into(),
            )),
            Mode::Locked => {
                let until = self.until_text(place.0);
                reasons.push(("locked", format!("The account is locked {until}.")));
            }
        }
        if let Some(rules) = &book.rules {
            self.latch_reasons(place.0, book, &mut reasons);
            self.product_reasons(rules, contract, &mut reasons);
            self.size_reasons((rules, book), place, (side, size, without), &mut reasons);
            self.opposite_reasons(rules, place, side, &mut reasons);
        }
        reasons
    }

    /// A real exchange that is closed takes nothing; a local market keeps hours of its own.
    fn hours_reasons(&self, contract: &Contract) -> Vec<Reason> {
        let calendar = Product::of_root(&contract.root).calendar();
        if self.environment != Some(Environment::Live) || calendar.is_open(self.now_ns) {
            return Vec::new();
        }
        let opens = calendar.next_open(self.now_ns);
        let when = opens.map_or_else(String::new, |at| {
            format!(" It opens {} Chicago.", chicago_day_and_clock(at))
        });
        vec![(
            "closed",
            format!("The market of {} is closed.{when}", contract.root),
        )]
    }

    fn latch_reasons(&self, account: AccountId, book: &Book, reasons: &mut Vec<Reason>) {
        if book.day.is_none() {
            reasons.push((
                "rules_wait",
                "The account's balance is not known yet; its loss limits cannot be measured."
                    .into(),
            ));
        }
        let until = self.until_text(account);
        for (rule, latch) in &book.latches {
            if latch.action == Action::Warn {
                continue;
            }
            let at = chicago_clock(Nanos(latch.at));
            let limit = amount(*rule, latch.limit);
            let text = format!(
                "The {} of {limit} was reached at {at}; entries are blocked {until}.",
                rule.title()
            );
            reasons.push((rule.word(), text));
        }
    }

    fn product_reasons(&self, rules: &Rules, contract: &Contract, reasons: &mut Vec<Reason>) {
        if !size::is_permitted(rules, &contract.root) {
            let text = format!("{} is not permitted by {}.", contract.root, rules.name);
            reasons.push(("product", text));
        }
        let product = Product::of_root(&contract.root);
        if let Some(times) = flat_times(rules, product, self.now_ns)
            && (times.entries_end..times.until).contains(&self.now_ns)
        {
            let text = format!(
                "{} has to be flat by {} Chicago; entries end at {}.",
                contract.root,
                chicago_clock(times.deadline),
                chicago_clock(times.entries_end)
            );
            reasons.push(("flat_by", text));
        }
    }

    fn size_reasons(
        &self,
        (rules, book): (&Rules, &Book),
        place: Place,
        (side, lots, without): (Side, i64, Option<usize>),
        reasons: &mut Vec<Reason>,
    ) {
        let Some(most) = size::tenths_max(rules, book.size_balance) else {
            return;
        };
        let mut exposures = self.exposures(place.0, without, |_| true);
        exposures.entry(place.1).or_default();
        let worst = exposures.iter().map(|(contract, exposure)| {
            let more = if *contract == place.1 { lots.max(0) } else { 0 };
            let root = self.contract_of(*contract).root.as_str();
            (root, exposure.worst_with(side, more))
        });
        let tenths = size::tenths(rules, worst);
        if tenths > most {
            let text = format!(
                "The account could hold {} minis; {} are allowed ({} micros count as one).",
                size::minis_text(tenths),
                size::minis_text(most),
                10
            );
            reasons.push(("max_contracts", text));
        }
    }

    /// Exposure of every contract of an account by the orders that count, in one pass over them.
    fn exposures(
        &self,
        account: AccountId,
        without: Option<usize>,
        counts: impl Fn(&Order) -> bool,
    ) -> BTreeMap<ContractIndex, Exposure> {
        let mut exposures: BTreeMap<ContractIndex, Exposure> = BTreeMap::new();
        for (place, ledger) in &self.store.ledgers {
            if place.0 == account && ledger.net() != 0 {
                exposures.entry(place.1).or_default().net = ledger.net();
            }
        }
        for (index, order) in self.store.open_rows() {
            let lots = order.may_still_fill();
            if order.account == account && Some(index) != without && lots > 0 && counts(order) {
                let exposure = exposures.entry(order.contract).or_default();
                exposure.add(order.side, lots);
            }
        }
        exposures
    }

    fn opposite_reasons(&self, rules: &Rules, place: Place, side: Side, reasons: &mut Vec<Reason>) {
        if !rules.forbids_opposite {
            return;
        }
        let root = self.contract_of(place.1).root.as_str();
        for (other, state) in self.accounts.iter().filter(|(id, _)| **id != place.0) {
            // Stops and targets of a position are no stance against it, though both together are larger.
            let entries = self.exposures(*other, None, |order| order.role == Role::Entry);
            for (contract, exposure) in entries {
                let theirs = &self.contract_of(contract).root;
                let (net, buys, sells) = (exposure.net, exposure.open_buys, exposure.open_sells);
                if size::are_equivalent(rules, root, theirs)
                    && size::is_opposite(side, net, buys, sells)
                {
                    let text = format!(
                        "Account {} stands on the other side of {theirs}; opposite positions are forbidden.",
                        state.row.name
                    );
                    reasons.push(("opposite", text));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
