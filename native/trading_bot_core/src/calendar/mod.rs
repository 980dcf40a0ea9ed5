//! Exchange sessions of every product of the protocol document's section 19, 2013 to 2030: which trade date an instant belongs to, whether
//! the market is open, when it opens and closes next, and (in `hours`) by when a firm wants to be flat.
//!
//! The tables are written by `packaging/generate_calendar.py` and embedded. Outside their range, and for gaps inside it, the
//! answer is `None`: nobody trades on a guess.

use crate::types::{Nanos, civil_from_days, days_from_civil};
use std::sync::LazyLock;

mod hours;

pub use hours::{FlatBy, chicago, chicago_clock, chicago_day_and_clock, chicago_offset_s};

const MINUTE_NS: i64 = 60_000_000_000;
const DAY_NS: i64 = 1440 * MINUTE_NS;

/// Product group with its own hours, holidays and early closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Product {
    Equity,
    Rates,
    Currencies,
    Energy,
    Metals,
    Grains,
    Livestock,
    Crypto,
}

/// Exchange roots, and the broker's own where they differ, by group. What is not listed follows the equity table.
const ROOTS: [(Product, &[&str]); 8] = [
    (
        Product::Equity,
        &["ES", "MES", "NQ", "MNQ", "RTY", "M2K", "YM", "MYM", "NKD"],
    ),
    (Product::Rates, &["ZT", "ZF", "ZN", "TN", "ZB", "UB"]),
    (
        Product::Currencies,
        &[
            "6A", "6B", "6C", "6E", "6J", "6S", "6M", "6N", "E7", "M6A", "M6B", "M6E",
        ],
    ),
    (
        Product::Energy,
        &[
            "CL", "QM", "MCL", "NG", "QG", "MNG", "RB", "HO", "CLE", "MCLE", "NGE",
        ],
    ),
    (
        Product::Metals,
        &[
            "GC", "MGC", "SI", "SIL", "HG", "MHG", "PL", "GCE", "SIE", "CPE",
        ],
    ),
    (Product::Grains, &["ZC", "ZS", "ZW", "ZM", "ZL"]),
    (Product::Livestock, &["LE", "HE"]),
    (Product::Crypto, &["MBT", "MET"]),
];

/// The embedded table of a group, parsed once.
macro_rules! table {
    ($name:literal) => {{
        static TABLE: LazyLock<Calendar> = LazyLock::new(|| {
            Calendar::parse(include_str!(concat!(
                "../../../../resources/calendar/",
                $name,
                ".csv"
            )))
        });
        &TABLE
    }};
}

impl Product {
    pub const ALL: [Self; 8] = [
        Self::Equity,
        Self::Rates,
        Self::Currencies,
        Self::Energy,
        Self::Metals,
        Self::Grains,
        Self::Livestock,
        Self::Crypto,
    ];

    /// The group of an exchange root.
    pub fn of_root(root: &str) -> Self {
        let mut groups = ROOTS.iter();
        groups
            .find(|(_, roots)| roots.contains(&root))
            .map_or(Self::Equity, |(product, _)| *product)
    }

    /// The group's sessions.
    pub fn calendar(self) -> &'static Calendar {
        match self {
            Self::Equity => table!("equity"),
            Self::Rates => table!("rates"),
            Self::Currencies => table!("currencies"),
            Self::Energy => table!("energy"),
            Self::Metals => table!("metals"),
            Self::Grains => table!("grains"),
            Self::Livestock => table!("livestock"),
            Self::Crypto => table!("crypto"),
        }
    }

    /// The sessions that the firm keeps: those of the exchange, except that crypto has no round-the-clock trading there.
    pub fn firm_calendar(self) -> &'static Calendar {
        match self {
            Self::Crypto => Self::Equity.calendar(),
            _ => self.calendar(),
        }
    }
}

/// A trade date, as days since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TradeDate(pub i32);

impl TradeDate {
    pub fn from_ymd(year: i64, month: i64, day: i64) -> Option<Self> {
        i32::try_from(days_from_civil(year, month, day)?)
            .ok()
            .map(Self)
    }

    /// `2026-11-24`.
    pub fn to_text(self) -> String {
        let (year, month, day) = civil_from_days(i64::from(self.0));
        format!("{year:04}-{month:02}-{day:02}")
    }

    fn midnight(self) -> i64 {
        i64::from(self.0) * DAY_NS
    }
}

/// One session: from `open` (inclusive) to `close` (exclusive).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    pub trade_date: TradeDate,
    pub open: Nanos,
    pub close: Nanos,
    /// A stretch inside the session in which nothing trades: from (inclusive), until (exclusive).
    pub halt: Option<(Nanos, Nanos)>,
}

impl Session {
    fn is_halted(&self, at: Nanos) -> bool {
        self.halt
            .is_some_and(|(from, until)| (from..until).contains(&at))
    }
}

/// The sessions of one product group, in order of time and without overlap.
#[derive(Debug)]
pub struct Calendar {
    sessions: Vec<Session>,
}

impl Calendar {
    /// Reads the generated table. Rows that cannot be read are left out; a test proves that there are none.
    fn parse(table: &str) -> Self {
        let sessions: Vec<Session> = table.lines().skip(1).filter_map(session_from_row).collect();
        debug_assert!(
            sessions.is_sorted_by(|a, b| a.close <= b.open),
            "sessions follow each other"
        );
        Self { sessions }
    }

    pub fn sessions(&self) -> &[Session] {
        &self.sessions
    }

    /// The session that is open at `at`.
    pub fn session_of(&self, at: Nanos) -> Option<Session> {
        let next = self.sessions.partition_point(|session| session.open <= at);
        let session = *self.sessions.get(next.checked_sub(1)?)?;
        (at < session.close).then_some(session)
    }

    /// The session that is open at `at`, or else the next one.
    pub fn session_at_or_after(&self, at: Nanos) -> Option<Session> {
        let next = self.sessions.partition_point(|session| session.close <= at);
        self.sessions.get(next).copied()
    }

    /// The stretch of time that holds `at`: a session, or the break between two of them. Outside the tables it is unbounded, and
    /// begins at 1970 so that clock bars still have a grid.
    pub fn stretch_of(&self, at: Nanos) -> (Nanos, Nanos) {
        let next = self.sessions.partition_point(|session| session.open <= at);
        let before = next
            .checked_sub(1)
            .and_then(|index| self.sessions.get(index));
        let until = self
            .sessions
            .get(next)
            .map_or(Nanos(i64::MAX), |session| session.open);
        match before {
            Some(session) if at < session.close => (session.open, session.close),
            Some(session) => (session.close, until),
            None => (Nanos(0), until),
        }
    }

    /// The session that opened last, whether it is still open or not, and the one after it.
    pub fn last_opened(&self, at: Nanos) -> Option<(Session, Option<Session>)> {
        let next = self.sessions.partition_point(|session| session.open <= at);
        let last = *self.sessions.get(next.checked_sub(1)?)?;
        Some((last, self.sessions.get(next).copied()))
    }

    /// The session of a trade date.
    pub fn session_on(&self, date: TradeDate) -> Option<Session> {
        let at = self
            .sessions
            .binary_search_by_key(&date, |session| session.trade_date)
            .ok()?;
        self.sessions.get(at).copied()
    }

    /// The trade date that `at` counts towards; an instant between two sessions counts towards the next one.
    pub fn trade_date(&self, at: Nanos) -> Option<TradeDate> {
        self.session_at_or_after(at)
            .map(|session| session.trade_date)
    }

    /// Whether the market trades: in a session and in none of its halts.
    pub fn is_open(&self, at: Nanos) -> bool {
        self.session_of(at)
            .is_some_and(|session| !session.is_halted(at))
    }

    /// When trading begins next, after `at`: a session's open, or the end of a halt.
    pub fn next_open(&self, at: Nanos) -> Option<Nanos> {
        let next = self.sessions.partition_point(|session| session.close <= at);
        let near = self.sessions.get(next..)?.iter().take(2);
        near.flat_map(|session| [Some(session.open), session.halt.map(|(_, until)| until)])
            .flatten()
            .find(|open| *open > at)
    }

    /// When trading ends next, after `at`: a session's close, or the begin of a halt.
    pub fn next_close(&self, at: Nanos) -> Option<Nanos> {
        let next = self.sessions.partition_point(|session| session.close <= at);
        let near = self.sessions.get(next..)?.iter().take(1);
        near.flat_map(|session| [session.halt.map(|(from, _)| from), Some(session.close)])
            .flatten()
            .find(|close| *close > at)
    }

    /// Finds the session that a day bar means, whichever way it is stamped: at the session's open, or 00:00 UTC of the trade date.
    pub fn session_of_day_bar(&self, stamp: Nanos) -> Option<Session> {
        if stamp.0.rem_euclid(DAY_NS) == 0 {
            let date = TradeDate(i32::try_from(stamp.utc_day()).ok()?);
            if let Some(session) = self.session_on(date) {
                return Some(session);
            }
        }
        self.session_at_or_after(stamp)
    }
}

fn session_from_row(row: &str) -> Option<Session> {
    let mut cells = row.split(',');
    let mut date = cells.next()?.split('-').map(str::parse::<i64>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    let trade_date = TradeDate::from_ymd(year, month, day)?;
    let at = |minute: i64| Nanos(trade_date.midnight() + minute * MINUTE_NS);
    let mut minutes = cells.map(|cell| cell.parse::<i64>().ok().map(at));
    let (open, close) = (minutes.next()??, minutes.next()??);
    let halt = match (minutes.next(), minutes.next()) {
        (None, None) => None,
        (from, until) => Some((from??, until??)),
    };
    (open < close).then_some(Session {
        trade_date,
        open,
        close,
        halt,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::DateTime;
    use jiff::tz::TimeZone;
    use rstest::rstest;
    use std::path::PathBuf;

    fn utc(text: &str) -> Nanos {
        Nanos::from_iso(text.as_bytes()).unwrap()
    }

    #[test]
    fn every_row_of_the_tables_is_read_and_sessions_never_overlap() {
        for product in Product::ALL {
            check_table(product);
        }
    }

    fn check_table(product: Product) {
        let sessions = product.calendar().sessions();
        assert!(sessions.len() > 4_500);
        assert!(sessions.iter().all(|session| session.open < session.close));
        assert!(
            sessions.windows(2).all(
                |pair| pair[0].close <= pair[1].open && pair[0].trade_date < pair[1].trade_date
            )
        );
        assert_eq!(sessions[0].trade_date.to_text(), "2013-01-02");
    }

    #[rstest]
    #[case("2026-11-23T22:59:59Z", false, "2026-11-24")]
    #[case("2026-11-23T23:00:00Z", true, "2026-11-24")]
    #[case("2026-11-24T21:59:59.9Z", true, "2026-11-24")]
    #[case("2026-11-24T22:00:00Z", false, "2026-11-25")]
    #[case("2026-11-26T18:00:00Z", false, "2026-11-27")]
    #[case("2026-11-27T18:14:59Z", true, "2026-11-27")]
    #[case("2026-11-28T12:00:00Z", false, "2026-11-30")]
    #[case("2026-07-06T21:30:00Z", false, "2026-07-07")]
    #[case("2026-07-06T22:00:00Z", true, "2026-07-07")]
    fn an_instant_belongs_to_its_trade_date(
        #[case] at: &str,
        #[case] is_open: bool,
        #[case] date: &str,
    ) {
        let calendar = Product::Equity.calendar();
        assert_eq!(calendar.is_open(utc(at)), is_open);
        assert_eq!(calendar.trade_date(utc(at)).unwrap().to_text(), date);
    }

    #[test]
    fn outside_the_tables_nothing_is_open() {
        let calendar = Product::Metals.calendar();
        assert_eq!(calendar.session_of(utc("2012-06-01T15:00:00Z")), None);
        assert_eq!(calendar.trade_date(utc("2031-06-02T15:00:00Z")), None);
    }

    #[rstest]
    #[case("2025-04-03T22:00:00Z")]
    #[case("2025-04-04T00:00:00Z")]
    fn a_day_bar_finds_its_trade_date_whichever_way_it_is_stamped(#[case] stamp: &str) {
        let session = Product::Equity
            .calendar()
            .session_of_day_bar(utc(stamp))
            .unwrap();
        assert_eq!(session.trade_date.to_text(), "2025-04-04");
    }

    #[rstest]
    // A grain evening, the pause of 07:45 to 08:30 and the day's end at 13:20 Chicago.
    #[case(Product::Grains, "2026-11-24T01:00:00Z", true)]
    #[case(Product::Grains, "2026-11-24T13:44:59Z", true)]
    #[case(Product::Grains, "2026-11-24T13:45:00Z", false)]
    #[case(Product::Grains, "2026-11-24T14:29:59Z", false)]
    #[case(Product::Grains, "2026-11-24T14:30:00Z", true)]
    #[case(Product::Grains, "2026-11-24T19:20:00Z", false)]
    #[case(Product::Grains, "2026-11-26T16:00:00Z", false)]
    #[case(Product::Livestock, "2026-11-24T14:29:59Z", false)]
    #[case(Product::Livestock, "2026-11-24T19:04:59Z", true)]
    #[case(Product::Livestock, "2026-07-01T18:05:00Z", false)]
    #[case(Product::Rates, "2026-11-27T18:15:00Z", false)]
    #[case(Product::Currencies, "2026-11-27T18:15:00Z", true)]
    // Saturday: crypto trades round the clock since May 2026, and did not before.
    #[case(Product::Crypto, "2026-11-28T15:00:00Z", true)]
    #[case(Product::Crypto, "2026-05-23T15:00:00Z", false)]
    fn each_product_keeps_its_own_hours(
        #[case] product: Product,
        #[case] at: &str,
        #[case] is_open: bool,
    ) {
        assert_eq!(product.calendar().is_open(utc(at)), is_open);
    }

    #[test]
    fn the_next_open_and_close_count_the_halts() {
        let grains = Product::Grains.calendar();
        let at = utc("2026-11-24T02:00:00Z");
        assert_eq!(grains.next_close(at), Some(utc("2026-11-24T13:45:00Z")));
        assert_eq!(grains.next_open(at), Some(utc("2026-11-24T14:30:00Z")));
        let day = utc("2026-11-24T15:00:00Z");
        assert_eq!(grains.next_close(day), Some(utc("2026-11-24T19:20:00Z")));
        assert_eq!(grains.next_open(day), Some(utc("2026-11-25T01:00:00Z")));
        // Thanksgiving: no grains, so the evening before opens Friday's session only on Thursday.
        let eve = utc("2026-11-25T20:00:00Z");
        assert_eq!(grains.next_open(eve), Some(utc("2026-11-27T01:00:00Z")));
    }

    #[test]
    fn the_products_of_the_protocol_have_their_group() {
        let group = |root| Product::of_root(root);
        assert_eq!(group("MNQ"), Product::Equity);
        assert_eq!(group("TN"), Product::Rates);
        assert_eq!(group("M6B"), Product::Currencies);
        assert_eq!(group("MNG"), Product::Energy);
        assert_eq!(group("PL"), Product::Metals);
        assert_eq!(group("ZL"), Product::Grains);
        assert_eq!(group("HE"), Product::Livestock);
        assert_eq!(group("MET"), Product::Crypto);
        let listed: usize = ROOTS.iter().map(|(_, roots)| roots.len()).sum();
        assert_eq!(listed, 51 + 6, "51 products, six of them under two names");
    }

    fn shared(path: &str) -> Option<Vec<u8>> {
        let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared");
        let root = std::env::var_os("PITDESK_SHARED")
            .map_or_else(|| PathBuf::from(default), PathBuf::from);
        std::fs::read(root.join(path)).ok()
    }

    /// Days of the reference as (trade date, close in UTC); its form is `{"1/19/2026": "13:00:00"}` in the entry's own zone.
    fn reference_closes(entry: &serde_json::Value) -> Vec<(TradeDate, Nanos)> {
        let zone = TimeZone::get(entry["exchangeTimeZone"].as_str().unwrap()).unwrap();
        let rows = entry["earlyCloses"].as_object().unwrap().iter();
        rows.map(|(day, clock)| {
            let parts: Vec<i64> = day.split('/').map(|part| part.parse().unwrap()).collect();
            let date = TradeDate::from_ymd(parts[2], parts[0], parts[1]).unwrap();
            let local: DateTime = format!("{}T{}", date.to_text(), clock.as_str().unwrap())
                .parse()
                .unwrap();
            let at = zone.to_timestamp(local).unwrap().as_nanosecond();
            (date, Nanos(i64::try_from(at).unwrap()))
        })
        .collect()
    }

    #[rstest]
    #[case(Product::Equity, "Future-cme-ES", 120)]
    #[case(Product::Energy, "Future-nymex-CL", 110)]
    #[case(Product::Metals, "Future-comex-GC", 30)]
    #[case(Product::Currencies, "Future-cme-6E", 120)]
    #[case(Product::Currencies, "Future-cme-M6E", 120)]
    #[case(Product::Rates, "Future-cbot-ZN", 120)]
    #[case(Product::Rates, "Future-cbot-ZB", 120)]
    #[case(Product::Equity, "Future-cbot-YM", 120)]
    #[case(Product::Equity, "Future-cme-RTY", 120)]
    #[case(Product::Energy, "Future-nymex-NG", 110)]
    fn early_closes_agree_with_an_independent_reference(
        #[case] product: Product,
        #[case] key: &str,
        #[case] least: usize,
    ) {
        let Some(bytes) = shared("data/reference/lean_market_hours_cme_group.json") else {
            eprintln!("SKIPPED: the shared reference lean_market_hours_cme_group.json is not here");
            return;
        };
        let reference: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let mut agreed = 0;
        for (date, close) in reference_closes(&reference[key]) {
            // A close on a day without a session of its own is the reference's way to write a holiday.
            if let Some(session) = product.calendar().session_on(date) {
                assert_eq!(session.close, close, "{} of {key}", date.to_text());
                agreed += 1;
            }
        }
        assert!(agreed >= least, "only {agreed} days were compared");
    }
}
