//! The rows other threads read: plain, owned, immutable, with the fields of the records in the Python stub.
//!
//! The engine replaces whole tables behind an `ArcSwap`; a reader holds the version it loaded for as long as it likes.
//! Integers as on the seam: prices in ticks, sizes in lots, money in 1/10,000 dollar, times in UTC nanoseconds.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64};

use arc_swap::ArcSwap;
use parking_lot::RwLock;

/// Text shared between rows of successive versions without copying.
pub type Text = Arc<str>;

/// One account of the login. `word` is the account word of decision 9.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRow {
    pub id: i64,
    pub name: Text,
    pub word: Text,
    pub kind_text: Text,
    pub balance_1e4: i64,
    pub can_trade: bool,
    pub is_simulated: bool,
    /// Chosen in this session: its orders are ours to place.
    pub is_own: bool,
    /// The word of the account's bracket mode.
    pub bracket_mode: &'static str,
    /// Who else manages the account on this computer; empty when nobody does.
    pub managed_by: Text,
}

/// One order as the engine knows it. `key` is the tag of our own orders and `#<broker id>` of foreign ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderRow {
    pub key: Text,
    pub tag: Text,
    pub order_id: i64,
    pub account_id: i64,
    pub contract: i64,
    pub contract_id: Text,
    pub side: &'static str,
    pub kind: &'static str,
    pub size_lots: i64,
    pub filled_lots: i64,
    pub limit_ticks: Option<i64>,
    pub stop_ticks: Option<i64>,
    pub trail_ticks: Option<i64>,
    pub wanted_size_lots: Option<i64>,
    pub wanted_limit_ticks: Option<i64>,
    pub wanted_stop_ticks: Option<i64>,
    pub average_fill_ticks_1e4: Option<i64>,
    pub life: &'static str,
    pub change: &'static str,
    /// 0 when there is no doubt.
    pub doubt_since_ns: i64,
    pub look: &'static str,
    pub role: &'static str,
    pub holder: &'static str,
    pub is_foreign: bool,
    pub parent_id: i64,
    pub linked_id: i64,
    /// Key of the entry that a leg protects; empty for other orders.
    pub parent_key: Text,
    /// Name of the one-cancels-other group of a free order; empty when it is in none.
    pub oco_group: Text,
    /// -1 when nothing is known about the queue.
    pub queue_ahead_min: i64,
    /// -1 when nothing is known about the queue.
    pub queue_ahead_max: i64,
    pub created_ns: i64,
    pub updated_ns: i64,
    pub source: Text,
    pub reason: Text,
    /// The local clock of the step that changed the row last: it grows from one published change to the next, also when
    /// another login brings other rows.
    pub revision: i64,
}

/// All orders, oldest first, in chunks: a publication copies those that changed and shares the others, so that it costs
/// the same after a thousand orders as after ten.
#[derive(Clone, Debug, Default)]
pub struct OrderTable {
    chunks: Vec<Arc<Vec<Arc<OrderRow>>>>,
    count: usize,
}

impl OrderTable {
    /// Places of the engine's list that share a chunk.
    const CHUNK: usize = 32;

    /// Takes over the changed places of a list of which some stay empty; the list never gets shorter.
    pub fn update(
        &mut self,
        rows: &[Option<Arc<OrderRow>>],
        changed: impl IntoIterator<Item = usize>,
    ) {
        let known = self.chunks.len();
        self.chunks
            .resize_with(rows.len().div_ceil(Self::CHUNK), Arc::default);
        let grown = known.saturating_sub(1)..self.chunks.len();
        let changed = changed.into_iter().map(|place| place / Self::CHUNK);
        let stale: BTreeSet<usize> = changed.chain(grown).collect();
        for chunk in stale {
            let start = chunk * Self::CHUNK;
            let Some(places) = rows.get(start..rows.len().min(start + Self::CHUNK)) else {
                continue;
            };
            let fresh: Vec<_> = places.iter().flatten().cloned().collect();
            self.count = self.count + fresh.len() - self.chunks[chunk].len();
            self.chunks[chunk] = Arc::new(fresh);
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<OrderRow>> + Clone {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// One net position. `source` is push (hub), poll (REST) or fills.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PositionRow {
    pub account_id: i64,
    pub contract: i64,
    pub contract_id: Text,
    pub net_lots: i64,
    pub average_ticks_1e4: i64,
    pub mark_ticks: Option<i64>,
    pub open_pnl_1e4: i64,
    pub realised_1e4: i64,
    pub fees_1e4: i64,
    pub stop_lots: i64,
    pub target_lots: i64,
    /// Lots whose stop was asked for and does not work.
    pub unprotected_lots: i64,
    pub source: &'static str,
    pub checked_ns: i64,
    pub broker_net_lots: i64,
    pub is_disputed: bool,
}

/// One fill of an account, ours or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FillRow {
    pub trade_id: i64,
    pub order_id: i64,
    pub tag: Text,
    pub account_id: i64,
    pub contract: i64,
    pub contract_id: Text,
    pub side: &'static str,
    pub price_ticks: i64,
    pub size_lots: i64,
    pub fees_1e4: i64,
    pub pnl_1e4: Option<i64>,
    pub time_ns: i64,
    pub is_voided: bool,
}

/// A rule of this computer that moves a stop order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopRuleRow {
    /// Key of the stop order.
    pub key: Text,
    pub account_id: i64,
    pub contract: i64,
    pub contract_id: Text,
    pub break_even_trigger_ticks: Option<i64>,
    pub break_even_plus_ticks: i64,
    /// Start, distance and step of each stage.
    pub trail_stages: Vec<(i64, i64, i64)>,
    pub is_immediate: bool,
    /// resuming, waiting, `break_even`, trailing or ended.
    pub state: &'static str,
    pub best_ticks: Option<i64>,
    /// The level last asked for.
    pub level_ticks: Option<i64>,
    pub moves: i64,
    pub source: Text,
    /// Why the stop stands where it stands.
    pub text: Text,
}

/// How much of one rule is used: 1/10,000 dollar, or trades for the rule of that name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleUseRow {
    pub rule: &'static str,
    pub used: i64,
    pub limit: i64,
    pub percent: i64,
    /// What happens at the limit: warn, block or flatten.
    pub action: &'static str,
    pub is_latched: bool,
    pub latched_ns: i64,
    /// Until when the latch holds; zero without one.
    pub until_ns: i64,
}

/// One account's rules and where it stands. Times are zero where there is no such rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RiskRow {
    pub account_id: i64,
    pub rules_name: Text,
    pub rules_source: Text,
    pub rules_date: Text,
    /// Looser rules wait for the next session.
    pub has_pending: bool,
    /// normal, reducing or locked.
    pub mode: &'static str,
    /// False until the balance is known: nothing new is admitted.
    pub is_measured: bool,
    pub day_ends_ns: i64,
    pub opening_balance_1e4: i64,
    pub high_balance_1e4: i64,
    /// A higher end of day may have been missed, so the floor may be higher than it says.
    pub is_floor_uncertain: bool,
    pub floor_1e4: Option<i64>,
    /// Balance at which the profit target is reached.
    pub target_1e4: Option<i64>,
    pub equity_1e4: i64,
    pub realised_1e4: i64,
    pub open_1e4: i64,
    pub peak_1e4: i64,
    pub trades: i64,
    pub tenths_held: i64,
    pub tenths_max: Option<i64>,
    pub entries_end_ns: i64,
    pub flatten_ns: i64,
    pub deadline_ns: i64,
    pub uses: Vec<RuleUseRow>,
    /// Sources that the repeated-execution throttle stopped.
    pub throttled: Vec<Text>,
}

/// One step of an exit under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExitProgressRow {
    /// Counts the exits of this run; all steps of one exit carry the same number.
    pub exit: i64,
    pub account_id: i64,
    /// Empty when it is about a whole account.
    pub contract_id: Text,
    /// cancel, close, reverse or flatten.
    pub goal: &'static str,
    /// cancelling, closing, flip, fitting, turning, protecting, slow, unknown, halfway, verified, done or failed.
    pub step: &'static str,
    pub count: i64,
    pub total: i64,
    pub text: String,
    pub time_ns: i64,
}

/// State of one connection: name is market, user or rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkRow {
    pub name: &'static str,
    pub state: &'static str,
    pub since_ns: i64,
    pub age_ms: i64,
    pub text: Text,
    /// When the next attempt to connect begins; 0 while none is waited for.
    pub retry_mono_ns: i64,
}

/// The gate said no: every reason, as (code, sentence). Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeniedRow {
    pub tag: Text,
    pub account_id: i64,
    pub contract_id: Text,
    pub reasons: Vec<(&'static str, String)>,
}

/// How loud a notice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeLevel {
    Info,
    Warning,
    Alarm,
}

impl NoticeLevel {
    /// The word on the seam.
    pub fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Alarm => "alarm",
        }
    }
}

/// One plain sentence for the trader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeRow {
    pub level: NoticeLevel,
    pub code: &'static str,
    pub text: String,
    pub time_ns: i64,
}

/// How a request of Python ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DoneOutcome {
    Done,
    Denied,
    Refused,
    Unknown,
    Failed,
}

impl DoneOutcome {
    /// The word on the seam.
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Denied => "denied",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
            Self::Failed => "failed",
        }
    }
}

/// News for Python, in order. State is published before the news of it.
#[expect(
    clippy::large_enum_variant,
    reason = "order news is the common case, and a box would allocate for each"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    OrderChanged(OrderRow),
    FillAdded(FillRow),
    PositionChanged(PositionRow),
    AccountChanged(AccountRow),
    LinkChanged(LinkRow),
    /// Rules, warnings, latches, mode or the day changed.
    RiskChanged(Box<RiskRow>),
    Denied(DeniedRow),
    Notice(NoticeRow),
    RequestDone {
        request_id: u64,
        outcome: DoneOutcome,
        text: String,
        payload_json: String,
    },
    StopRuleChanged(StopRuleRow),
    ExitProgress(ExitProgressRow),
    ArmedChanged {
        source: Text,
        account_id: i64,
        is_armed: bool,
    },
}

/// One print of the tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrintRow {
    /// Counts every print of the contract since subscription, from 1; gaps tell the reader what it missed.
    pub sequence: u64,
    pub time_ns: i64,
    pub ticks: i64,
    pub lots: i64,
    pub is_buy: bool,
}

/// Lots traded at one price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TradedRow {
    pub ticks: i64,
    pub bought_lots: i64,
    pub sold_lots: i64,
}

/// One contract as of one revision. Levels run from the inside outwards.
#[derive(Clone, Debug, Default)]
pub struct MarketView {
    pub contract: i64,
    pub revision: i64,
    pub bids: Vec<(i64, i64)>,
    pub asks: Vec<(i64, i64)>,
    pub book_state: &'static str,
    pub best_bid_ticks: Option<i64>,
    pub best_ask_ticks: Option<i64>,
    pub last_ticks: Option<i64>,
    pub last_lots: i64,
    pub last_side: &'static str,
    pub open_ticks: Option<i64>,
    pub high_ticks: Option<i64>,
    pub low_ticks: Option<i64>,
    pub settle_ticks: Option<i64>,
    pub session_lots: i64,
    /// The session's volume by price, ascending.
    pub traded: Vec<TradedRow>,
    /// The prints since the current visit to the price.
    pub recent: Vec<TradedRow>,
    /// The newest prints, oldest first, each with the revision that published it.
    pub prints: Vec<(i64, PrintRow)>,
    /// Prints ever seen; with `prints` it tells how many a reader missed.
    pub prints_total: u64,
    pub broker_time_ns: i64,
    pub receive_mono_ns: i64,
    pub is_late: bool,
}

impl MarketView {
    /// The prints published after `revision`, at most `limit` of the newest, and how many were left out.
    pub fn prints_since(&self, revision: i64, limit: usize) -> (&[(i64, PrintRow)], u64) {
        let start = self
            .prints
            .partition_point(|(published, _)| *published <= revision);
        let fresh = &self.prints[start..];
        let kept = &fresh[fresh.len().saturating_sub(limit)..];
        (kept, (fresh.len() - kept.len()) as u64)
    }
}

/// One bar. `time_ns` is its opening time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BarRow {
    pub time_ns: i64,
    pub open_ticks: i64,
    pub high_ticks: i64,
    pub low_ticks: i64,
    pub close_ticks: i64,
    pub volume_lots: i64,
}

/// What names a series of bars: contract, unit word, number of units.
pub type BarKey = (i64, &'static str, i64);

/// One series as of one revision; the last bar is forming when `is_forming`.
#[derive(Clone, Debug, Default)]
pub struct BarView {
    pub contract: i64,
    pub unit: &'static str,
    pub number: i64,
    pub revision: i64,
    pub bars: Arc<Vec<BarRow>>,
    /// The bar being built, not yet in `bars`.
    pub forming: Option<BarRow>,
    /// Revision at which bars before the last were last rewritten (history arrived, a bar was corrected).
    pub rewritten_at: i64,
    /// (revision, count of closed bars after it), oldest first: what `first_changed` is answered from.
    pub closed_at: Vec<(i64, usize)>,
    pub is_loading: bool,
}

impl BarView {
    /// Index of the first bar that differs from what a reader at `revision` holds.
    pub fn first_changed(&self, revision: i64) -> usize {
        if revision < self.rewritten_at || revision <= 0 {
            return 0;
        }
        let known = self.closed_at.iter().rev().find(|(at, _)| *at <= revision);
        known.map_or(0, |(_, count)| (*count).min(self.bars.len()))
    }
}

/// Figures of the status bar that the pure engine owns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusView {
    /// idle, connecting, live or halted.
    pub state: &'static str,
    pub unknown_orders: i64,
    pub budget_used: i64,
    pub budget_limit: i64,
    pub exits_kept: i64,
    /// Market time at `mono_ns`, when this was published: the engine sleeps while nothing happens, and the clock runs on.
    pub market_now_ns: i64,
    pub mono_ns: i64,
    pub journal_records: i64,
    /// End of a login that could not be renewed and nears its end; 0 while there is nothing to worry about.
    pub login_ends_mono_ns: i64,
}

/// Everything the engine publishes, and the two words that travel back.
#[derive(Default)]
pub struct Board {
    pub accounts: ArcSwap<Vec<AccountRow>>,
    pub orders: ArcSwap<OrderTable>,
    pub positions: ArcSwap<Vec<PositionRow>>,
    pub fills: ArcSwap<Vec<FillRow>>,
    pub links: ArcSwap<Vec<LinkRow>>,
    pub status: ArcSwap<StatusView>,
    pub limits: ArcSwap<HashMap<i64, crate::order_execution::gate::Limits>>,
    pub risks: ArcSwap<Vec<RiskRow>>,
    pub armed: ArcSwap<Vec<(Text, i64)>>,
    pub stop_rules: ArcSwap<Vec<StopRuleRow>>,
    pub contracts: ArcSwap<Vec<Arc<crate::engine::contract::ContractDef>>>,
    /// By contract index.
    pub markets: RwLock<HashMap<i64, Arc<ArcSwap<MarketView>>>>,
    pub bars: RwLock<HashMap<BarKey, Arc<ArcSwap<BarView>>>>,
    /// Set while the reader has a wake byte it has not answered.
    pub is_awake: AtomicBool,
    /// Mono stamp of the newest published view.
    pub published_mono_ns: AtomicI64,
    pub publications: AtomicU64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(revision: i64) -> Arc<OrderRow> {
        let text: Text = "".into();
        Arc::new(OrderRow {
            key: Text::clone(&text),
            tag: Text::clone(&text),
            order_id: 0,
            account_id: 0,
            contract: 0,
            contract_id: Text::clone(&text),
            side: "buy",
            kind: "limit",
            size_lots: 1,
            filled_lots: 0,
            limit_ticks: None,
            stop_ticks: None,
            trail_ticks: None,
            wanted_size_lots: None,
            wanted_limit_ticks: None,
            wanted_stop_ticks: None,
            average_fill_ticks_1e4: None,
            life: "working",
            change: "none",
            doubt_since_ns: 0,
            look: "working",
            role: "entry",
            holder: "broker",
            is_foreign: false,
            parent_id: 0,
            linked_id: 0,
            parent_key: Text::clone(&text),
            oco_group: Text::clone(&text),
            queue_ahead_min: -1,
            queue_ahead_max: -1,
            created_ns: 0,
            updated_ns: 0,
            source: Text::clone(&text),
            reason: text,
            revision,
        })
    }

    #[test]
    fn a_table_updated_by_places_equals_the_whole_list() {
        let (mut rows, mut table) = (Vec::new(), OrderTable::default());
        for number in 0..200_usize {
            let mut changed = vec![number];
            rows.push(Some(row(number as i64)));
            if number % 3 == 0 {
                let place = number * 7 % rows.len();
                rows[place] = Some(row(-(number as i64)));
                changed.push(place);
            }
            if number % 11 == 0 {
                rows[number / 2] = None;
                changed.push(number / 2);
            }
            table.update(&rows, changed);
            let shown: Vec<i64> = table.iter().map(|row| row.revision).collect();
            let held: Vec<i64> = rows.iter().flatten().map(|row| row.revision).collect();
            assert_eq!((shown, table.len()), (held.clone(), held.len()));
        }
    }

    #[test]
    fn a_change_copies_one_chunk_and_shares_the_rest() {
        let mut rows: Vec<_> = (0..100).map(|number| Some(row(number))).collect();
        let mut table = OrderTable::default();
        table.update(&rows, 0..100);
        let before = table.clone();
        rows[40] = Some(row(1_000));
        table.update(&rows, [40]);
        let is_shared = |at: usize| Arc::ptr_eq(&before.chunks[at], &table.chunks[at]);
        assert_eq!([0, 1, 2].map(is_shared), [true, false, true]);
    }
}
