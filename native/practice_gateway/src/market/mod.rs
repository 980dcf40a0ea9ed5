//! Market sources: the seeded model, replays of recorded files, scripts.

use crate::contracts::ContractTable;
use crate::feed::{MarketSource, SourceConfig};

/// Opens a source. `now` (UTC nanoseconds) is where a model's clock begins.
pub fn open(
    source: &SourceConfig,
    _contracts: &ContractTable,
    _seed: u64,
    _now: i64,
) -> Result<Box<dyn MarketSource>, String> {
    Err(format!("No market source is built in for {source:?}."))
}
