//! The hub's splitter and parser on bytes, for benches and tests: no sockets.

use parking_lot::Mutex;
use pyo3::prelude::*;

use super::errors::engine_error;
use crate::types::{Contract, ContractIndex, ContractLookup, Money};
use crate::websocket::parse::HubParser;
use crate::websocket::signalr::Splitter;

/// Every id is this contract, so that any recorded stream is parsed to its end.
struct AnyContract(Contract);

impl ContractLookup for AnyContract {
    fn by_id(&self, _id: &str) -> Option<&Contract> {
        Some(&self.0)
    }
}

#[derive(Default)]
struct State {
    splitter: Splitter,
    parser: HubParser,
}

/// Splits and parses what a hub would send.
#[pyclass(module = "trading_bot_core", frozen)]
pub struct SignalRCodec {
    state: Mutex<State>,
    contracts: AnyContract,
}

#[pymethods]
impl SignalRCodec {
    #[new]
    fn new() -> Self {
        let quarter = Contract {
            index: ContractIndex(0),
            id: String::new(),
            name: String::new(),
            description: String::new(),
            symbol_id: String::new(),
            root: String::new(),
            tick_units: 25,
            decimals: 2,
            tick_value: Money(125_000),
            is_active: true,
        };
        Self {
            state: Mutex::default(),
            contracts: AnyContract(quarter),
        }
    }

    /// Parses what `data` completes; the number of messages so far.
    fn feed(&self, py: Python<'_>, data: &[u8]) -> PyResult<u64> {
        py.detach(|| {
            let mut state = self.state.lock();
            let State { splitter, parser } = &mut *state;
            splitter
                .feed(data, |record| {
                    parser.read(record, &self.contracts, &mut |_| {});
                })
                .map_err(|error| engine_error("invalid", error.to_string()))?;
            Ok(parser.counters().messages)
        })
    }
}
