//! The contract table: 51 products with tick, value, cost and the active expiry of a given moment.
//!
//! An index into the table names a product and does not depend on the date, so a source opened before the clock is
//! known and the server agree on it. Products, ticks and costs: protocol document, sections 18.6 and 19.

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// Nanoseconds in a second.
pub const SECOND: i64 = 1_000_000_000;

/// When the active expiry moves on to the next one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Roll {
    /// Monday of the week of the third Friday of the delivery month.
    ExpiryWeek,
    /// A day of the month `months` before the delivery month.
    DayBefore { months: i32, day: i8 },
}

/// Exchange hours, Chicago time (protocol document, section 19).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SessionCode {
    /// Sunday to Friday 17:00-16:00.
    A,
    /// Grains: 19:00-07:45 and 08:30-13:20.
    B,
    /// Livestock: 08:30-13:05.
    C,
    /// Crypto, nearly continuous.
    D,
}

struct Product {
    root: &'static str,
    code: &'static str,
    tick_nano: i64,
    tick_value_1e4: i64,
    session: SessionCode,
    months: &'static str,
    roll: Roll,
    round_turn_cents: i64,
    /// The published cost holds exchange and NFA fees only; the commission comes on top.
    cost_is_fees_only: bool,
    kind: Kind,
    description: &'static str,
}

/// Weight against the position limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Mini,
    Micro,
    /// Counts double among the micros (SIL).
    MicroDouble,
    /// A micro by fees that is held to the mini count (MBT, MET).
    MicroAsMini,
}

/// One tradable contract: a product with its expiry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Contract {
    /// `CON.F.US.MNQ.Z26`.
    pub id: String,
    /// Exchange root, `MNQ`.
    pub root: &'static str,
    /// Root, month letter and one digit of the year: `MNQZ6`.
    pub name: String,
    /// Root, month letter and two digits: `MNQZ26`.
    pub display: String,
    /// `F.US.MNQ`.
    pub symbol_id: String,
    pub description: String,
    /// Tick size in 1e-9 of a point.
    pub tick_nano: i64,
    /// Value of a tick in 1/10,000 dollar.
    pub tick_value_1e4: i64,
    /// Exchange and clearing fees of one lot and side, 1/10,000 dollar.
    pub fee_1e4: i64,
    /// Commission of one lot and side, 1/10,000 dollar.
    pub commission_1e4: i64,
    /// Tenths of a mini that one lot counts.
    pub weight_tenths: i64,
    pub session: SessionCode,
    pub active: bool,
}

impl Contract {
    /// Price as decimal text, trailing zeros trimmed.
    pub fn price_text(&self, ticks: i64) -> String {
        nano_text(i128::from(ticks) * i128::from(self.tick_nano))
    }
}

/// Decimal text of a count of 1e-9, trailing zeros trimmed.
pub fn nano_text(nano: i128) -> String {
    let sign = if nano < 0 { "-" } else { "" };
    let magnitude = nano.unsigned_abs();
    let whole = magnitude / 1_000_000_000;
    let fraction = magnitude % 1_000_000_000;
    if fraction == 0 {
        return format!("{sign}{whole}");
    }
    let digits = format!("{fraction:09}");
    format!("{sign}{whole}.{}", digits.trim_end_matches('0'))
}

/// All products with the expiry that is active at one moment.
#[derive(Clone, Debug)]
pub struct ContractTable {
    contracts: Vec<Contract>,
}

impl ContractTable {
    /// The table at `now`, UTC nanoseconds.
    pub fn at(now: i64) -> Self {
        let today = chicago_date(now);
        let contracts = PRODUCTS
            .iter()
            .map(|product| {
                let (year, month) = active_month(product, today);
                contract_of(product, year, month, true)
            })
            .collect();
        Self { contracts }
    }

    pub fn all(&self) -> &[Contract] {
        &self.contracts
    }

    /// # Panics
    /// If `index` is not of this table.
    pub fn get(&self, index: usize) -> &Contract {
        &self.contracts[index]
    }

    /// Index of an active contract.
    pub fn by_id(&self, id: &str) -> Option<usize> {
        self.contracts.iter().position(|contract| contract.id == id)
    }

    /// Index of a product by its exchange root (`ES`, `MNQ`).
    pub fn by_root(&self, root: &str) -> Option<usize> {
        self.contracts
            .iter()
            .position(|contract| contract.root == root)
    }

    /// Another expiry of a known product: found by its id alone and not active.
    pub fn inactive(&self, id: &str) -> Option<Contract> {
        let rest = id.strip_prefix("CON.F.US.")?;
        let (code, expiry) = rest.split_once('.')?;
        let product = PRODUCTS.iter().find(|product| product.code == code)?;
        let letter = expiry.chars().next()?;
        let digits = expiry.get(letter.len_utf8()..)?;
        if digits.len() != 2 || !product.months.contains(letter) {
            return None;
        }
        let year: i16 = digits.parse().ok()?;
        let month = MONTH_LETTERS.find(letter)? as i8 + 1;
        Some(contract_of(product, 2000 + year, month, false))
    }
}

const MONTH_LETTERS: &str = "FGHJKMNQUVXZ";

/// Chicago time by its rule in force since 2007; no time zone database is needed on the machine.
pub fn chicago() -> TimeZone {
    TimeZone::posix("CST6CDT,M3.2.0,M11.1.0").unwrap_or(TimeZone::UTC)
}

/// Chicago calendar date of an instant in UTC nanoseconds.
pub fn chicago_date(at: i64) -> Date {
    chicago().to_datetime(timestamp(at)).date()
}

/// Instant of UTC nanoseconds.
pub fn timestamp(at: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(at)).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn active_month(product: &Product, today: Date) -> (i16, i8) {
    let mut year = today.year();
    let mut month = today.month();
    // Two years hold every expiry of every product, so the search always ends inside.
    for _ in 0..24 {
        let letter = MONTH_LETTERS.as_bytes()[month as usize - 1] as char;
        if product.months.contains(letter) && today < roll_date(product.roll, year, month) {
            return (year, month);
        }
        month += 1;
        if month > 12 {
            month = 1;
            year += 1;
        }
    }
    (year, month)
}

fn roll_date(roll: Roll, year: i16, month: i8) -> Date {
    let first = Date::new(year, month, 1).unwrap_or(Date::ZERO);
    match roll {
        Roll::ExpiryWeek => {
            let friday = first
                .nth_weekday_of_month(3, Weekday::Friday)
                .unwrap_or(first);
            friday.saturating_sub(4.days())
        }
        Roll::DayBefore { months, day } => first
            .saturating_sub(months.months())
            .saturating_add(i32::from(day - 1).days()),
    }
}

fn contract_of(product: &Product, year: i16, month: i8, active: bool) -> Contract {
    let letter = MONTH_LETTERS.as_bytes()[month as usize - 1] as char;
    let two = year % 100;
    let micro = product.kind != Kind::Mini;
    let commission_1e4 = if micro { 2_500 } else { 5_000 };
    let side_1e4 = product.round_turn_cents * 50;
    let fee_1e4 = if product.cost_is_fees_only {
        side_1e4
    } else {
        side_1e4 - commission_1e4
    };
    Contract {
        id: format!("CON.F.US.{}.{letter}{two:02}", product.code),
        root: product.root,
        name: format!("{}{letter}{}", product.root, year % 10),
        display: format!("{}{letter}{two:02}", product.root),
        symbol_id: format!("F.US.{}", product.code),
        description: format!(
            "{}: {} {year}",
            product.description,
            MONTH_NAMES[month as usize - 1]
        ),
        tick_nano: product.tick_nano,
        tick_value_1e4: product.tick_value_1e4,
        fee_1e4,
        commission_1e4,
        weight_tenths: match product.kind {
            Kind::Mini | Kind::MicroAsMini => 10,
            Kind::Micro => 1,
            Kind::MicroDouble => 2,
        },
        session: product.session,
        active,
    }
}

const MONTH_NAMES: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const QUARTERS: &str = "HMUZ";
const MONTHLY: &str = MONTH_LETTERS;
const ENERGY: Roll = Roll::DayBefore { months: 1, day: 17 };
const NATURAL_GAS: Roll = Roll::DayBefore { months: 1, day: 25 };
const MONTH_END: Roll = Roll::DayBefore { months: 1, day: 27 };
const GRAIN: Roll = Roll::DayBefore { months: 1, day: 14 };
const CRYPTO: Roll = Roll::DayBefore { months: 0, day: 25 };

macro_rules! product {
    ($root:literal $code:literal $tick:literal $value:literal $session:ident $months:expr, $roll:expr, $cost:literal $fees_only:literal $kind:ident $text:literal) => {
        Product {
            root: $root,
            code: $code,
            tick_nano: $tick,
            tick_value_1e4: $value,
            session: SessionCode::$session,
            months: $months,
            roll: $roll,
            round_turn_cents: $cost,
            cost_is_fees_only: $fees_only,
            kind: Kind::$kind,
            description: $text,
        }
    };
}

// Root, code, tick in 1e-9, tick value in 1/10,000 dollar, session, active months, roll, round turn in cents.
// Months that the vendor skips as active (gold in October, soybean products in late summer) are left out.
#[rustfmt::skip]
static PRODUCTS: &[Product] = &[
    product!("ES" "EP" 250_000_000 125_000 A QUARTERS, Roll::ExpiryWeek, 378 false Mini "E-mini S&P 500"),
    product!("MES" "MES" 250_000_000 12_500 A QUARTERS, Roll::ExpiryWeek, 122 false Micro "Micro E-mini S&P 500"),
    product!("NQ" "ENQ" 250_000_000 50_000 A QUARTERS, Roll::ExpiryWeek, 378 false Mini "E-mini NASDAQ-100"),
    product!("MNQ" "MNQ" 250_000_000 5_000 A QUARTERS, Roll::ExpiryWeek, 122 false Micro "Micro E-mini Nasdaq-100"),
    product!("RTY" "RTY" 100_000_000 50_000 A QUARTERS, Roll::ExpiryWeek, 378 false Mini "E-mini Russell 2000"),
    product!("M2K" "M2K" 100_000_000 5_000 A QUARTERS, Roll::ExpiryWeek, 122 false Micro "Micro E-mini Russell 2000"),
    product!("YM" "YM" 1_000_000_000 50_000 A QUARTERS, Roll::ExpiryWeek, 378 false Mini "E-mini Dow"),
    product!("MYM" "MYM" 1_000_000_000 5_000 A QUARTERS, Roll::ExpiryWeek, 122 false Micro "Micro E-mini Dow"),
    product!("NKD" "NKD" 5_000_000_000 250_000 A QUARTERS, Roll::ExpiryWeek, 434 true Mini "Nikkei 225 (dollar)"),
    product!("MBT" "MBT" 5_000_000_000 5_000 D MONTHLY, CRYPTO, 234 true MicroAsMini "Micro Bitcoin"),
    product!("MET" "GMET" 500_000_000 500 D MONTHLY, CRYPTO, 24 true MicroAsMini "Micro Ether"),
    product!("CL" "CLE" 10_000_000 100_000 A MONTHLY, ENERGY, 402 false Mini "Crude Oil"),
    product!("MCL" "MCLE" 10_000_000 10_000 A MONTHLY, ENERGY, 152 false Micro "Micro Crude Oil"),
    product!("QM" "NQM" 25_000_000 125_000 A MONTHLY, ENERGY, 244 true Mini "E-mini Crude Oil"),
    product!("NG" "NGE" 1_000_000 100_000 A MONTHLY, NATURAL_GAS, 320 true Mini "Natural Gas"),
    product!("MNG" "MNG" 1_000_000 10_000 A MONTHLY, NATURAL_GAS, 124 true Micro "Micro Natural Gas"),
    product!("QG" "NQG" 5_000_000 125_000 A MONTHLY, NATURAL_GAS, 104 true Mini "E-mini Natural Gas"),
    product!("RB" "RBE" 100_000 42_000 A MONTHLY, ENERGY, 304 true Mini "RBOB Gasoline"),
    product!("HO" "HOE" 100_000 42_000 A MONTHLY, ENERGY, 304 true Mini "NY Harbor ULSD"),
    product!("GC" "GCE" 100_000_000 100_000 A "GJMQZ", MONTH_END, 432 false Mini "Gold"),
    product!("MGC" "MGC" 100_000_000 10_000 A "GJMQZ", MONTH_END, 192 false Micro "Micro Gold"),
    product!("SI" "SIE" 5_000_000 250_000 A "HKNUZ", MONTH_END, 432 false Mini "Silver"),
    product!("SIL" "SIL" 5_000_000 50_000 A "HKNUZ", MONTH_END, 272 false MicroDouble "Micro Silver"),
    product!("HG" "CPE" 500_000 125_000 A "HKNUZ", MONTH_END, 324 true Mini "Copper"),
    product!("MHG" "MHG" 500_000 12_500 A "HKNUZ", MONTH_END, 124 true Micro "Micro Copper"),
    product!("PL" "PLE" 100_000_000 50_000 A "FJNV", MONTH_END, 324 true Mini "Platinum"),
    product!("6A" "DA6" 50_000 50_000 A QUARTERS, Roll::ExpiryWeek, 324 true Mini "Australian Dollar"),
    product!("6B" "BP6" 100_000 62_500 A QUARTERS, Roll::ExpiryWeek, 324 true Mini "British Pound"),
    product!("6C" "CA6" 50_000 50_000 A QUARTERS, Roll::ExpiryWeek, 324 true Mini "Canadian Dollar"),
    product!("6E" "EU6" 50_000 62_500 A QUARTERS, Roll::ExpiryWeek, 324 true Mini "Euro FX"),
    product!("6J" "JY6" 500 62_500 A QUARTERS, Roll::ExpiryWeek, 324 true Mini "Japanese Yen"),
    product!("6S" "SF6" 50_000 62_500 A QUARTERS, Roll::ExpiryWeek, 324 true Mini "Swiss Franc"),
    product!("6M" "MX6" 10_000 50_000 A QUARTERS, Roll::ExpiryWeek, 324 true Mini "Mexican Peso"),
    product!("6N" "NE6" 50_000 50_000 A QUARTERS, Roll::ExpiryWeek, 324 true Mini "New Zealand Dollar"),
    product!("E7" "EEU" 100_000 62_500 A QUARTERS, Roll::ExpiryWeek, 174 true Mini "E-mini Euro FX"),
    product!("M6A" "M6A" 100_000 10_000 A QUARTERS, Roll::ExpiryWeek, 52 true Micro "Micro AUD/USD"),
    product!("M6B" "M6B" 100_000 6_250 A QUARTERS, Roll::ExpiryWeek, 52 true Micro "Micro GBP/USD"),
    product!("M6E" "M6E" 100_000 12_500 A QUARTERS, Roll::ExpiryWeek, 52 true Micro "Micro EUR/USD"),
    product!("ZT" "TUA" 3_906_250 78_125 A QUARTERS, MONTH_END, 134 true Mini "2-Year U.S. Treasury Note"),
    product!("ZF" "FVA" 7_812_500 78_125 A QUARTERS, MONTH_END, 134 true Mini "5-Year U.S. Treasury Note"),
    product!("ZN" "TYA" 15_625_000 156_250 A QUARTERS, MONTH_END, 160 true Mini "10-Year U.S. Treasury Note"),
    product!("TN" "TNA" 15_625_000 156_250 A QUARTERS, MONTH_END, 164 true Mini "Ultra 10-Year U.S. Treasury Note"),
    product!("ZB" "USA" 31_250_000 312_500 A QUARTERS, MONTH_END, 276 false Mini "30-Year U.S. Treasury Bond"),
    product!("UB" "ULA" 31_250_000 312_500 A QUARTERS, MONTH_END, 194 true Mini "Ultra U.S. Treasury Bond"),
    product!("ZC" "ZCE" 250_000_000 125_000 B "HKNUZ", GRAIN, 430 true Mini "Corn"),
    product!("ZS" "ZSE" 250_000_000 125_000 B "FHKNQUX", GRAIN, 430 true Mini "Soybeans"),
    product!("ZW" "ZWA" 250_000_000 125_000 B "HKNUZ", GRAIN, 430 true Mini "Wheat"),
    product!("ZM" "ZME" 100_000_000 100_000 B "FHKNZ", GRAIN, 430 true Mini "Soybean Meal"),
    product!("ZL" "ZLE" 10_000_000 60_000 B "FHKNZ", GRAIN, 430 true Mini "Soybean Oil"),
    product!("LE" "GLE" 25_000_000 100_000 C "GJMQVZ", MONTH_END, 424 true Mini "Live Cattle"),
    product!("HE" "HE" 25_000_000 100_000 C "GJKMNQVZ", MONTH_END, 424 true Mini "Lean Hogs"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>()
            .map_or(0, |t| t.as_nanosecond() as i64)
    }

    #[test]
    fn active_months_of_august_2026_are_those_observed() {
        let table = ContractTable::at(at("2026-08-20T15:00:00Z"));
        let id = |root: &str| table.get(table.by_root(root).expect(root)).id.clone();
        for (root, expected) in [
            ("ES", "CON.F.US.EP.U26"),
            ("CL", "CON.F.US.CLE.V26"),
            ("NG", "CON.F.US.NGE.U26"),
            ("GC", "CON.F.US.GCE.Z26"),
            ("SI", "CON.F.US.SIE.U26"),
            ("PL", "CON.F.US.PLE.V26"),
            ("MBT", "CON.F.US.MBT.Q26"),
            ("ZN", "CON.F.US.TYA.U26"),
            ("ZS", "CON.F.US.ZSE.X26"),
            ("ZM", "CON.F.US.ZME.Z26"),
            ("HE", "CON.F.US.HE.V26"),
        ] {
            assert_eq!(id(root), expected);
        }
        assert_eq!(table.all().len(), 51);
    }

    #[test]
    fn cost_of_a_side_splits_into_fee_and_commission() {
        let table = ContractTable::at(at("2026-11-02T15:00:00Z"));
        let mnq = table.get(table.by_root("MNQ").expect("listed"));
        assert_eq!((mnq.fee_1e4, mnq.commission_1e4), (3_600, 2_500));
        let es = table.get(table.by_root("ES").expect("listed"));
        assert_eq!((es.fee_1e4, es.commission_1e4), (13_900, 5_000));
    }

    #[test]
    fn december_2023_trades_the_march_contract() {
        let table = ContractTable::at(at("2023-12-25T23:00:00Z"));
        assert_eq!(table.get(0).id, "CON.F.US.EP.H24");
    }

    #[test]
    fn expired_months_are_known_by_id_only() {
        let table = ContractTable::at(at("2026-11-02T15:00:00Z"));
        let old = table.inactive("CON.F.US.MNQ.U26").expect("known product");
        assert!(!old.active);
        assert!(table.inactive("CON.F.US.MNQ.F26").is_none());
        assert!(table.inactive("CON.F.US.XXX.U26").is_none());
    }

    #[test]
    fn prices_are_exact_decimals() {
        let table = ContractTable::at(at("2026-11-02T15:00:00Z"));
        let yen = table.get(table.by_root("6J").expect("listed"));
        assert_eq!(yen.price_text(13_001), "0.0065005");
        assert_eq!(table.get(0).price_text(-3), "-0.75");
        assert_eq!(table.get(0).price_text(19_200), "4800");
    }
}
