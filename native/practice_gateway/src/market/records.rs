//! Reading recorded market data: gzipped (or plain) CSV files, decimal prices to ticks, text times to nanoseconds.
//!
//! Every file is somebody else's data: each failure names the file and the line, and nothing here panics.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::session::{MINUTE, SECOND};
use crate::feed::Side;

/// One row of a levels file: the new absolute size of one price.
#[derive(Clone, Copy, Debug)]
pub struct LevelRow {
    /// Exchange time, UTC ns.
    pub at: i64,
    /// Side of the book; `None` for a row that clears the book.
    pub side: Option<Side>,
    /// Price in ticks.
    pub ticks: i64,
    /// Lots now shown, 0 when the level is gone.
    pub lots: i64,
    /// Belongs to the opening snapshot rather than to the stream.
    pub is_snapshot: bool,
}

/// One recorded trade.
#[derive(Clone, Copy, Debug)]
pub struct PrintRow {
    /// UTC ns.
    pub at: i64,
    /// Price in ticks.
    pub ticks: i64,
    /// Lots traded; some vendors have rows of 0 lots that still count for high and low.
    pub lots: i64,
    /// Who crossed the spread, when the recording says so.
    pub aggressor: Option<Side>,
}

/// One recorded bar, prices in ticks.
#[derive(Clone, Copy, Debug)]
pub struct BarRow {
    /// Start of the bar, UTC ns.
    pub at: i64,
    /// Open, high, low, close.
    pub prices: [i64; 4],
    /// Contracts.
    pub lots: i64,
}

/// A CSV file opened by its header line.
pub struct Table {
    name: String,
    header: Vec<String>,
    rows: csv::Reader<Box<dyn Read>>,
}

impl Table {
    /// Opens `path`; a name that ends in `.gz` is decompressed while reading.
    ///
    /// # Errors
    /// Says which file cannot be read.
    pub fn open(path: &Path) -> Result<Self, String> {
        let name = path.display().to_string();
        let file = BufReader::new(
            File::open(path).map_err(|error| format!("Cannot read {name}: {error}."))?,
        );
        let bytes: Box<dyn Read> = if path.extension().is_some_and(|ending| ending == "gz") {
            Box::new(BufReader::new(MultiGzDecoder::new(file)))
        } else {
            Box::new(file)
        };
        let mut rows = csv::Reader::from_reader(bytes);
        let titles = rows
            .headers()
            .map_err(|error| format!("Cannot read {name}: {error}."))?;
        let header = titles.iter().map(str::to_owned).collect();
        Ok(Self { name, header, rows })
    }

    /// Whether the header has every one of these columns.
    pub fn has(&self, columns: &[&str]) -> bool {
        columns
            .iter()
            .all(|wanted| self.header.iter().any(|have| have == wanted))
    }

    /// Reads all rows; `convert` sees the named columns in the order asked for.
    ///
    /// # Errors
    /// Names the file and the line of the first row that is not what the format says.
    pub fn read<const N: usize, T>(
        mut self,
        columns: [&str; N],
        convert: impl Fn([&str; N]) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        let mut places = [0; N];
        for (place, column) in places.iter_mut().zip(columns) {
            *place = self
                .header
                .iter()
                .position(|have| have == column)
                .ok_or_else(|| {
                    format!(
                        "{} has no column {column}; its columns are {}.",
                        self.name,
                        self.header.join(", ")
                    )
                })?;
        }
        let mut record = csv::StringRecord::new();
        let mut all = Vec::new();
        while self
            .rows
            .read_record(&mut record)
            .map_err(|error| format!("{}: {error}.", self.name))?
        {
            let line = record.position().map_or(0, csv::Position::line);
            let fields = places.map(|place| record.get(place).unwrap_or_default());
            all.push(
                convert(fields).map_err(|reason| format!("{} line {line}: {reason}", self.name))?,
            );
        }
        Ok(all)
    }
}

/// Reads `*.levels.csv.gz`.
///
/// # Errors
/// As [`Table::read`].
pub fn levels(path: &Path, tick_nano: i64) -> Result<Vec<LevelRow>, String> {
    let columns = ["ts_event_ns", "kind", "side", "price", "size"];
    Table::open(path)?.read(columns, |[at, kind, side, price, size]| {
        let is_clear = kind == "R";
        Ok(LevelRow {
            at: whole(at)?,
            side: if is_clear {
                None
            } else {
                Some(stated_side(side)?)
            },
            ticks: if is_clear {
                0
            } else {
                ticks(price, tick_nano)?
            },
            lots: if is_clear { 0 } else { whole(size)? },
            is_snapshot: kind == "S",
        })
    })
}

/// Reads `*.trades.csv.gz`.
///
/// # Errors
/// As [`Table::read`].
pub fn trades(path: &Path, tick_nano: i64) -> Result<Vec<PrintRow>, String> {
    let columns = ["ts_event_ns", "price", "size", "aggressor"];
    Table::open(path)?.read(columns, |[at, price, size, aggressor]| {
        Ok(PrintRow {
            at: whole(at)?,
            ticks: ticks(price, tick_nano)?,
            lots: whole(size)?,
            aggressor: stated_side(aggressor).ok(),
        })
    })
}

/// Reads a tick file (`ts_utc,price,size`); rows of one millisecond keep their order.
///
/// # Errors
/// As [`Table::read`].
pub fn tick_prints(table: Table, tick_nano: i64) -> Result<Vec<PrintRow>, String> {
    table.read(["ts_utc", "price", "size"], |[at, price, size]| {
        Ok(PrintRow {
            at: time(at)?,
            ticks: ticks(price, tick_nano)?,
            lots: whole(size)?,
            aggressor: None,
        })
    })
}

/// Reads a bar file: `ts_utc` (UTC) or the vendor's `timestamp` (New York wall time), always the start of the bar.
///
/// # Errors
/// As [`Table::read`].
pub fn bars(table: Table, tick_nano: i64) -> Result<Vec<BarRow>, String> {
    let stamp = if table.has(&["ts_utc"]) {
        "ts_utc"
    } else {
        "timestamp"
    };
    table.read(
        [stamp, "open", "high", "low", "close", "volume"],
        |[at, open, high, low, close, volume]| {
            let mut prices = [0; 4];
            for (slot, text) in prices.iter_mut().zip([open, high, low, close]) {
                *slot = ticks(text, tick_nano)?;
            }
            // Vendors do deliver bars whose high or low misses the open or close; the prints must stay inside the bar.
            prices[1] = prices.into_iter().max().unwrap_or(prices[1]);
            prices[2] = prices.into_iter().min().unwrap_or(prices[2]);
            Ok(BarRow {
                at: time(at)?,
                prices,
                lots: lots(volume)?,
            })
        },
    )
}

/// Length of the bars of a file: the smallest step between two rows, a minute when there is only one.
pub fn bar_length(rows: &[BarRow]) -> i64 {
    let steps = rows.windows(2).map(|pair| pair[1].at - pair[0].at);
    steps.filter(|step| *step > 0).min().unwrap_or(MINUTE)
}

fn stated_side(text: &str) -> Result<Side, String> {
    match text {
        "B" => Ok(Side::Bid),
        "A" => Ok(Side::Ask),
        other => Err(format!("side is {other:?}; allowed are A and B.")),
    }
}

fn whole(text: &str) -> Result<i64, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is not a whole number."))
}

/// A volume, which some vendors write with a decimal point.
fn lots(text: &str) -> Result<i64, String> {
    whole(text.strip_suffix(".0").unwrap_or(text))
}

fn time(text: &str) -> Result<i64, String> {
    let stamp = if text.ends_with('Z') {
        text.parse::<Timestamp>().ok()
    } else {
        let wall = text.parse::<DateTime>().ok();
        wall.and_then(|wall| {
            TimeZone::posix("EST5EDT,M3.2.0,M11.1.0")
                .ok()?
                .to_timestamp(wall)
                .ok()
        })
    };
    let ns = stamp.and_then(|stamp| i64::try_from(stamp.as_nanosecond()).ok());
    ns.ok_or_else(|| format!("{text:?} is not a time such as 2023-11-19T23:00:00Z."))
}

/// Price text to whole ticks, exactly; `tick_nano` is the increment in 1e-9 of a point.
///
/// # Errors
/// Says so when the text is no decimal number or lies off the contract's grid.
pub fn ticks(text: &str, tick_nano: i64) -> Result<i64, String> {
    let price = nanos(text).ok_or_else(|| format!("{text:?} is not a price."))?;
    if price % tick_nano != 0 {
        return Err(format!(
            "price {text} is not on the grid of {} points.",
            tick_nano as f64 / SECOND as f64
        ));
    }
    Ok(price / tick_nano)
}

/// Decimal text to 1e-9 units without going through a float.
fn nanos(text: &str) -> Option<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if fraction.len() > 9 && fraction.bytes().skip(9).any(|digit| digit != b'0') {
        return None;
    }
    let mut scaled: i64 = whole.parse::<u32>().ok()?.into();
    let padded = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
    for digit in padded {
        let value = char::from(digit).to_digit(10)?;
        scaled = scaled.checked_mul(10)?.checked_add(value.into())?;
    }
    Some(sign * scaled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_becomes_ticks_exactly_and_off_grid_text_is_refused_by_name() {
        assert_eq!(ticks("4800.25", 250_000_000), Ok(19_201));
        assert_eq!(ticks("4799.0", 250_000_000), Ok(19_196));
        assert_eq!(ticks("-37.63", 10_000_000), Ok(-3_763));
        assert!(
            ticks("4800.26", 250_000_000)
                .unwrap_err()
                .contains("4800.26 is not on the grid of 0.25")
        );
        assert!(
            ticks("4800,25", 250_000_000)
                .unwrap_err()
                .contains("not a price")
        );
    }

    #[test]
    fn new_york_wall_time_is_read_with_its_summer_time() {
        assert_eq!(time("2023-11-19 18:00:00"), time("2023-11-19T23:00:00Z"));
        assert_eq!(time("2023-07-03 18:00:00"), time("2023-07-03T22:00:00Z"));
        assert!(time("yesterday").is_err());
    }
}
