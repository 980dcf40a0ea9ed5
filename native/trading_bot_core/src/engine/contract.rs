//! The whole vocabulary between the pure engine and the threads that serve it.
//!
//! The driver turns whatever happens (a hub message, an answer, a press, a timer) into an [`Input`] with a [`Stamp`],
//! calls [`Engine::step`](super::Engine::step), and then performs the [`Effect`]s of the [`Outbox`] in order. The engine
//! reads no clock, opens no file and knows no socket; the same inputs give the same effects.
//!
//! Rules for the driver, each of which an invariant depends on:
//!
//! 1. Records are appended to the journal in the order of their indices; after `write(2)` returned, the driver feeds
//!    [`Input::JournalDone`] (and [`Input::JournalFailed`] when it did not).
//! 2. A [`Outgoing`] with `after_record: Some(n)` leaves only when record `n` is written (decision 14). When the journal
//!    fails, a held place is answered with [`Attempt::NotSent`]; cancels and closes go out all the same.
//! 3. Every [`Outgoing`] is sent at most once (a read or a cancel may repeat once after 401) and ends in exactly one
//!    [`Reply`]. One that is still held at its deadline is withdrawn with `NotSent`; a sent one becomes `Silent`.
//! 4. Views are published ([`Engine::publish`](super::Engine::publish)) before the events of the same step are handed on.

use std::sync::Arc;

use crate::market_data::BookTrace;
use crate::order_execution::gate::Limits;
use crate::order_execution::legs::{BracketMode, BracketPlan};
use crate::order_execution::order::Role;
use crate::order_execution::stop_rules::rule::Plan;
use crate::risk_rules::{Mode, Rules};
use crate::types::{
    AccountId, BrokerAccount, BrokerBar, BrokerContract, BrokerOrder, BrokerPosition, BrokerTrade,
    ClientTag, Contract, Lots, Mono, Nanos, OrderKind, RequestId, Side, Ticks,
};
use crate::websocket::parse::{MarketEvent, UserEvent};

pub use super::views::{
    AccountRow, BarKey, BarRow, BarView, Board, DeniedRow, DoneOutcome, Event, ExitProgressRow,
    FillRow, LinkRow, MarketView, NoticeLevel, NoticeRow, OrderRow, PositionRow, PrintRow, RiskRow,
    RuleUseRow, StatusView, StopRuleRow, Text, TradedRow,
};
pub use crate::order_execution::budget::Lane;
pub use crate::order_execution::exits::Part;
pub use crate::order_execution::outcome::{Attempt, Endpoint, Envelope, Outcome};
pub use crate::order_execution::send::Outgoing;

/// A contract definition shared between views.
pub type ContractDef = Contract;

/// When an input happened. `recv` is when its bytes were read (`mono` for inputs without bytes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub mono: Mono,
    pub wall: Nanos,
    pub recv: Mono,
}

/// Names one request to the broker; never reused within a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SendId(pub u64);

/// Everything that can happen to the engine.
#[derive(Debug)]
pub enum Input<'a> {
    /// A market hub message, parsed.
    Market(MarketEvent<'a>),
    /// A user hub message, parsed.
    User(UserEvent),
    /// Something a person, a strategy or another program asked for.
    Command(Command),
    /// The end of one [`Effect::Send`].
    Reply(Reply),
    /// The login succeeded: `connect` of the seam may list accounts now. Starts a new session: everything is disarmed.
    LoggedIn {
        request: RequestId,
        environment: Environment,
    },
    /// A connection changed its state.
    Link(LinkChange),
    /// Every record up to `index` is written.
    JournalDone { index: u64 },
    /// The journal takes no more records; new risk is refused until a restart.
    JournalFailed { text: String },
    /// The time of [`Effect::SetTimer`] came. Harmless when early or repeated.
    Timer,
    /// The broker's own statement of its time (HTTP `Date`).
    ServerTime(Nanos),
    /// Requests that the sender made for the session's own sake: logins, renewals, pings, repeats after a 401.
    Spent(u64),
    /// The driver's answer to [`Effect::HoldAccounts`] about one account: who else manages it, or that it is held here.
    AccountLock {
        account: AccountId,
        holder: Option<String>,
    },
    /// A token was issued; by its own stamps it ends at `ends` of the local clock, after `life_ns` in all.
    LoginLife { ends: Mono, life_ns: u64 },
}

/// What kind of gateway the session talks to (decision 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    Demo,
    Replay,
    Live,
}

impl Environment {
    /// Reads the seam's word.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "demo" => Some(Self::Demo),
            "replay" => Some(Self::Replay),
            "live" => Some(Self::Live),
            _ => None,
        }
    }
}

/// The three connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinkName {
    Market,
    User,
    Rest,
}

impl LinkName {
    /// The word on the seam.
    pub fn word(self) -> &'static str {
        match self {
            Self::Market => "market",
            Self::User => "user",
            Self::Rest => "rest",
        }
    }
}

/// How a connection is. `Live` of a hub means connected *and* subscribed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    Off,
    Connecting,
    Live,
    Late,
    Dead,
}

impl LinkState {
    /// The word on the seam.
    pub fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Connecting => "connecting",
            Self::Live => "live",
            Self::Late => "late",
            Self::Dead => "dead",
        }
    }
}

/// News about a connection; `text` is one sentence for people, without a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkChange {
    pub name: LinkName,
    pub state: LinkState,
    pub text: String,
    /// When the next attempt to connect begins, while one is waited for.
    pub retry: Option<Mono>,
}

/// The end of a request: what happened to it, and the rows when they were read.
#[derive(Clone, Debug)]
pub struct Reply {
    pub id: SendId,
    pub attempt: Attempt,
    /// `Rows::None` unless the attempt is a whole, successful answer of a reading endpoint.
    pub rows: Rows,
}

/// The rows of a reading endpoint, parsed.
#[derive(Clone, Debug, Default)]
pub enum Rows {
    #[default]
    None,
    Accounts(Vec<BrokerAccount>),
    Contracts(Vec<BrokerContract>),
    Orders(Vec<BrokerOrder>),
    Positions(Vec<BrokerPosition>),
    Trades(Vec<BrokerTrade>),
    Bars(Vec<BrokerBar>),
}

/// Units of a bar series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BarUnit {
    Second,
    Minute,
    Hour,
    Day,
}

impl BarUnit {
    /// The word on the seam.
    pub fn word(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// Reads the seam's word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Second, Self::Minute, Self::Hour, Self::Day]
            .into_iter()
            .find(|unit| unit.word() == word)
    }

    /// The number on the wire.
    pub fn to_wire(self) -> i32 {
        match self {
            Self::Second => 1,
            Self::Minute => 2,
            Self::Hour => 3,
            Self::Day => 4,
        }
    }
}

/// One order as somebody wants it. Prices are ticks; `stop_bracket_ticks` and `target_bracket_ticks` are positive
/// distances from the fill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Minted by the caller, so that `submit` can return it at once.
    pub tag: ClientTag,
    pub account: AccountId,
    pub contract_id: String,
    pub side: Side,
    pub kind: OrderKind,
    pub size: Lots,
    pub limit: Option<Ticks>,
    pub stop: Option<Ticks>,
    pub trail: Option<Ticks>,
    pub stop_bracket_ticks: Option<i64>,
    pub target_bracket_ticks: Option<i64>,
    pub is_reduce_only: bool,
    pub source: String,
    /// When the key or button went down; zero when unknown. For measurements only.
    pub pressed: Mono,
}

/// The values a modification wants; `None` leaves a value alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    pub size: Option<Lots>,
    pub limit: Option<Ticks>,
    pub stop: Option<Ticks>,
    pub trail: Option<Ticks>,
}

/// Which working orders a group cancel means; `None` matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    pub contract_id: Option<String>,
    pub side: Option<Side>,
    pub kind: Option<OrderKind>,
    /// Stops or targets of the position, or entries.
    pub role: Option<Role>,
    /// Ends of a range of prices, included: the trigger of a stop, else the limit. Needs a contract.
    pub lowest: Option<Ticks>,
    pub highest: Option<Ticks>,
}

/// What Python (or another program) asks for. Each `request` ends in exactly one [`Event::RequestDone`].
#[derive(Clone, Debug)]
pub enum Command {
    Submit(Draft),
    /// An entry with one stop and up to four targets, as one decision.
    SubmitBracket {
        draft: Draft,
        plan: BracketPlan,
    },
    /// Links living orders: what one fills, the others lose.
    LinkOco {
        request: RequestId,
        keys: Vec<String>,
        source: String,
    },
    /// The trader states an account's bracket setting.
    SetBracketMode {
        request: RequestId,
        account: AccountId,
        mode: BracketMode,
    },
    Modify {
        request: RequestId,
        key: String,
        wanted: Wanted,
        source: String,
    },
    Cancel {
        request: RequestId,
        key: String,
        source: String,
    },
    CancelGroup {
        request: RequestId,
        account: AccountId,
        group: Group,
        source: String,
    },
    ClosePosition {
        request: RequestId,
        account: AccountId,
        contract_id: String,
        part: Part,
        source: String,
    },
    /// Turns a position with one order, tagged by the caller, after its exits are proven to be gone.
    Reverse {
        request: RequestId,
        account: AccountId,
        contract_id: String,
        tag: ClientTag,
        /// Distances of the new exits from the fill, in ticks.
        stop_ticks: Option<i64>,
        target_ticks: Option<i64>,
        source: String,
    },
    /// Flattens every account of this session.
    FlattenEverything {
        request: RequestId,
        source: String,
    },
    Flatten {
        request: RequestId,
        account: AccountId,
        contract_id: Option<String>,
        source: String,
    },
    /// Attaches a rule to a stop order, or takes it away when there is no plan.
    SetStopRule {
        request: RequestId,
        key: String,
        plan: Option<Plan>,
        source: String,
    },
    Arm {
        source: String,
        account: AccountId,
        is_armed: bool,
    },
    /// States the gate's limits of an account: smaller sizes hold at once, larger ones from the next session.
    SetLimits {
        account: AccountId,
        limits: Limits,
    },
    /// States an account's rules: stricter ones hold at once, looser ones from the next session.
    SetRules {
        request: RequestId,
        account: AccountId,
        rules: Box<Rules>,
    },
    SetMode {
        request: RequestId,
        account: AccountId,
        mode: Mode,
        source: String,
    },
    /// A person lets a source go on that the repeated-execution throttle stopped.
    ReleaseThrottle {
        request: RequestId,
        account: AccountId,
        source: String,
        by: String,
    },
    Reconcile {
        request: RequestId,
    },
    ChooseAccounts {
        request: RequestId,
        accounts: Vec<AccountId>,
    },
    Subscribe {
        request: RequestId,
        contract_id: String,
    },
    Unsubscribe {
        request: RequestId,
        contract_id: String,
    },
    WatchBars {
        request: RequestId,
        contract_id: String,
        unit: BarUnit,
        number: i64,
        history_count: i64,
    },
    SearchContracts {
        request: RequestId,
        text: String,
    },
    Halt {
        reason: String,
    },
    /// Records the best levels of a watched contract after every depth time.
    TraceBook {
        contract_id: String,
        trace: BookTrace,
    },
    /// The session ends; the driver closes the sockets.
    Disconnect {
        request: RequestId,
    },
}

impl Command {
    /// A trader's press about one order: its request is what he waits for.
    pub const fn is_of_one_order(&self) -> bool {
        matches!(
            self,
            Self::Submit(_) | Self::Modify { .. } | Self::Cancel { .. }
        )
    }
}

/// What the driver has to do. Order matters.
#[expect(
    clippy::large_enum_variant,
    reason = "order news is the common case, and a box would allocate for each"
)]
#[derive(Debug)]
pub enum Effect {
    /// Append `record` to the journal; it will be number `index`.
    Journal {
        index: u64,
        record: Vec<u8>,
    },
    /// Send one request to the broker.
    Send(Outgoing),
    /// Invoke the market hub's subscriptions (quotes, trades, depth) of one contract. Repeated by the supervisor after
    /// each reconnect until `Unsubscribe`.
    Subscribe {
        contract_id: String,
    },
    Unsubscribe {
        contract_id: String,
    },
    /// The book lost its footing: unsubscribe and subscribe again, now.
    Resubscribe {
        contract_id: String,
    },
    /// The user hub's subscriptions: replaces the set of accounts.
    SubscribeAccounts {
        accounts: Vec<AccountId>,
    },
    /// Try to hold the locks of these accounts of the present gateway and give all others back; answered by
    /// [`Input::AccountLock`] for each. Repeated while one of them is held elsewhere.
    HoldAccounts {
        accounts: Vec<AccountId>,
    },
    /// News for Python, after publishing.
    Event(Event),
    /// Market data changed: publish and wake the reader when it sleeps.
    Wake,
    /// Feed [`Input::Timer`] at or after this moment; replaces the earlier one.
    SetTimer(Mono),
}

/// Collects the effects of one or more steps.
#[derive(Debug, Default)]
pub struct Outbox {
    pub effects: Vec<Effect>,
}

impl Outbox {
    /// Adds one effect.
    pub fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// Adds news for Python.
    pub fn event(&mut self, event: Event) {
        self.push(Effect::Event(event));
    }

    /// Takes all effects, oldest first.
    pub fn drain(&mut self) -> std::vec::Drain<'_, Effect> {
        self.effects.drain(..)
    }
}

/// Contract lists are shared, not copied, between views.
pub type Contracts = Vec<Arc<ContractDef>>;
