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
pub use model::default_start;
use records::Table;
use script::Script;
use tape_replay::TapeReplay;

/// Opens a source. `now` (UTC nanoseconds) is where the clock of a model or a script begins; see [`default_start`].
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
}
