//! Market sources: the seeded model, replays of recorded files, scripts.

mod bars;
mod book;
mod depth_replay;
mod dice;
mod lane;
mod model;
mod path;
mod records;
mod script;
mod session;
mod tape_replay;
mod weave;

use std::path::Path;

use crate::contracts::ContractTable;
use crate::feed::{MarketSource, SourceConfig};

use depth_replay::DepthReplay;
use model::Model;
use records::Table;
use script::Script;
use tape_replay::TapeReplay;

/// Opens a source. `now` (UTC nanoseconds) is where the clock of a model or a script begins.
///
/// # Errors
/// Says which file cannot be played, and why.
pub fn open(
    source: &SourceConfig,
    contracts: &ContractTable,
    seed: u64,
    now: i64,
) -> Result<Box<dyn MarketSource>, String> {
    match source {
        SourceConfig::Model => Ok(Box::new(Model::new(contracts, seed, now))),
        SourceConfig::Replay { path } => open_replay(path, contracts, seed),
        SourceConfig::Script { path } => Ok(Box::new(Script::open(path, contracts, now)?)),
    }
}

/// Tells a recording's kind by its name (a full book) or by the columns of its header (ticks, bars).
fn open_replay(
    path: &Path,
    contracts: &ContractTable,
    seed: u64,
) -> Result<Box<dyn MarketSource>, String> {
    let contract = recorded_contract(path, contracts)?;
    let tick_nano = contracts.get(contract).tick_nano;
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    if name.contains(".levels.") {
        return Ok(Box::new(DepthReplay::open(path, contract, tick_nano)?));
    }
    let table = Table::open(path)?;
    let replay = if table.has(&["ts_utc", "price", "size"]) {
        TapeReplay::of_ticks(records::tick_prints(table, tick_nano)?, contract, seed)
    } else {
        TapeReplay::of_bars(records::bars(table, tick_nano)?, contract, seed)
    };
    match replay {
        Ok(replay) => Ok(Box::new(replay)),
        Err(reason) => Err(format!("{}: {reason}", path.display())),
    }
}

/// The product a recording is of, from its file name: the first part that is a root (`nq`), or a root with a month
/// (`esh4`, `esz23`).
fn recorded_contract(path: &Path, contracts: &ContractTable) -> Result<usize, String> {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default()
        .to_ascii_uppercase();
    let parts = name.split(['_', '.', '-']);
    let found = parts
        .flat_map(|part| [part, without_month(part)])
        .find_map(|root| contracts.by_root(root));
    found.ok_or_else(|| {
        format!(
            "{}: the file name names no listed product, such as nq or esh4.",
            path.display()
        )
    })
}

fn without_month(part: &str) -> &str {
    let digits = part.trim_end_matches(|character: char| character.is_ascii_digit());
    let months = "FGHJKMNQUVXZ";
    if digits.len() == part.len() {
        return part;
    }
    digits
        .strip_suffix(|letter| months.contains(letter))
        .unwrap_or(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::{Bar, BarUnit, FeedEvent};

    #[test]
    fn the_product_of_a_recording_is_read_from_its_file_name() {
        let table = ContractTable::at(1_795_500_000_000_000_000);
        let root = |name: &str| {
            recorded_contract(Path::new(name), &table).map(|index| table.get(index).root)
        };
        assert_eq!(root("depth/es_esh4_20231225.levels.csv.gz"), Ok("ES"));
        assert_eq!(root("MNQZ26.csv"), Ok("MNQ"));
        assert_eq!(root("mes_m25_5m.csv.gz"), Ok("MES"));
        assert_eq!(root("NQ_1min_sample.csv.gz"), Ok("NQ"));
        assert!(
            root("btcusdt.csv")
                .unwrap_err()
                .contains("names no listed product")
        );
    }
    /// A shared recording; `None`, said aloud, where the recordings are not at hand.
    fn shared(file: &str) -> Option<std::path::PathBuf> {
        let root = std::env::var_os("PITDESK_SHARED").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
            std::path::PathBuf::from,
        );
        let path = root.join("data").join(file);
        if !path.exists() {
            eprintln!(
                "SKIPPED: {} is absent, its replay is not checked",
                path.display()
            );
            return None;
        }
        Some(path)
    }

    /// Minutes built from the prints of a replay, played for so many hours or to its end.
    fn replayed_minutes(path: &Path, hours: i64) -> Vec<Bar> {
        let mut source = open_replay(path, &ContractTable::at(0), 1).unwrap();
        let (mut out, mut folder) = (Vec::new(), bars::Folder::new(BarUnit::Minute, 1));
        let end = source.start_time() + hours * session::HOUR;
        let mut next = Some(source.start_time());
        while let Some(at) = next.filter(|at| *at < end) {
            next = source.advance((at + session::HOUR).min(end - 1), &mut out);
            for tagged in out.drain(..) {
                if let FeedEvent::Print {
                    at, ticks, lots, ..
                } = tagged.event
                {
                    folder.add_print(at, ticks, lots);
                }
            }
        }
        folder.finish(0, i64::MAX)
    }

    fn recorded_minutes(path: &Path, tick_nano: i64) -> Vec<Bar> {
        let rows = records::bars(Table::open(path).unwrap(), tick_nano).unwrap();
        let bar = |row: records::BarRow| {
            let [open, high, low, close] = row.prices;
            Bar {
                at: row.at,
                open,
                high,
                low,
                close,
                lots: row.lots,
            }
        };
        rows.into_iter().map(bar).collect()
    }

    #[test]
    fn two_sessions_of_recorded_minutes_come_back_from_their_prints_unchanged() {
        let Some(path) = shared("bars/nq_20231119_20231204/nq_1m_utc.csv.gz") else {
            return;
        };
        let minutes = replayed_minutes(&path, 47);
        assert_eq!(minutes.len(), 2 * 1_380);
        assert!(minutes == recorded_minutes(&path, 250_000_000)[..2 * 1_380]);
    }

    #[test]
    fn recorded_gold_ticks_give_the_vendors_minutes() {
        let Some(ticks) = shared("ticks/gc_gcz3_20131007_ticks.csv.gz") else {
            return;
        };
        let Some(bars) = shared("bars/gc_gcz3_20131007_20131008_trades_1m.csv.gz") else {
            return;
        };
        let minutes = replayed_minutes(&ticks, 48);
        assert_eq!(minutes.len(), 1_314);
        let vendor = recorded_minutes(&bars, 100_000_000);
        let volume_off: Vec<i64> = minutes
            .iter()
            .zip(&vendor)
            .filter_map(|(ours, theirs)| {
                assert_eq!(Bar { lots: 0, ..*ours }, Bar { lots: 0, ..*theirs });
                Some((ours.lots - theirs.lots).abs()).filter(|off| *off > 0)
            })
            .collect();
        assert_eq!(
            volume_off,
            [2],
            "the vendor's volume is known to be off in one minute"
        );
    }
}
