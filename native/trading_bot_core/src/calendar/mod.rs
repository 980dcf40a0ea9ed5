//! Exchange sessions: which trade date an instant belongs to, and whether the market is open. Equity, energy and metals, 2013 to 2030.
//!
//! The tables are written by `packaging/generate_calendar.py` and embedded. Outside their range, and for gaps inside it, the
//! answer is `None`: nobody trades on a guess.

use crate::types::{Nanos, civil_from_days, days_from_civil};
use std::sync::LazyLock;

const MINUTE_NS: i64 = 60_000_000_000;
const DAY_NS: i64 = 1440 * MINUTE_NS;

/// Product group with its own holidays and early closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Product {
    Equity,
    Energy,
    Metals,
}

impl Product {
    /// The group of an exchange root. Currencies, rates and everything unlisted follow the equity table, whose ordinary days are the same.
    pub fn of_root(root: &str) -> Self {
        match root {
            "CL" | "QM" | "MCL" | "NG" | "QG" | "MNG" | "RB" | "HO" | "CLE" | "MCLE" | "NGE" => {
                Self::Energy
            }
            "GC" | "MGC" | "SI" | "SIL" | "HG" | "MHG" | "PL" | "GCE" | "SIE" | "CPE" => {
                Self::Metals
            }
            _ => Self::Equity,
        }
    }

    /// The group's sessions.
    pub fn calendar(self) -> &'static Calendar {
        static EQUITY: LazyLock<Calendar> = LazyLock::new(|| {
            Calendar::parse(include_str!("../../../../resources/calendar/equity.csv"))
        });
        static ENERGY: LazyLock<Calendar> = LazyLock::new(|| {
            Calendar::parse(include_str!("../../../../resources/calendar/energy.csv"))
        });
        static METALS: LazyLock<Calendar> = LazyLock::new(|| {
            Calendar::parse(include_str!("../../../../resources/calendar/metals.csv"))
        });
        match self {
            Self::Equity => &EQUITY,
            Self::Energy => &ENERGY,
            Self::Metals => &METALS,
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

    pub fn is_open(&self, at: Nanos) -> bool {
        self.session_of(at).is_some()
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
    let open: i64 = cells.next()?.parse().ok()?;
    let close: i64 = cells.next()?.parse().ok()?;
    let at = |minute: i64| Nanos(trade_date.midnight() + minute * MINUTE_NS);
    (open < close).then(|| Session {
        trade_date,
        open: at(open),
        close: at(close),
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

    #[rstest]
    #[case(Product::Equity)]
    #[case(Product::Energy)]
    #[case(Product::Metals)]
    fn every_row_of_the_table_is_read_and_sessions_never_overlap(#[case] product: Product) {
        let sessions = product.calendar().sessions();
        assert!(sessions.len() > 4_600);
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

    fn shared(path: &str) -> Option<Vec<u8>> {
        let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared");
        let root = std::env::var_os("PITDESK_SHARED")
            .map_or_else(|| PathBuf::from(default), PathBuf::from);
        std::fs::read(root.join(path)).ok()
    }

    /// Days of the reference as (trade date, close in UTC); its form is `{"1/19/2026": "13:00:00"}` in New York time.
    fn reference_closes(entry: &serde_json::Value) -> Vec<(TradeDate, Nanos)> {
        let zone = TimeZone::get("America/New_York").unwrap();
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
