//! The seam to Python: the only module that names `pyo3`. Described for Python by `native/stubs/trading_bot_core.pyi`.

mod codec;
mod convert;
mod engine;
mod errors;
mod frames;
mod records;
mod risk;

use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// FNV-1a of the stub this extension was built with: the Python side compares it with the stub it was written for.
const BUILD_HASH: u64 = fnv1a(include_bytes!("../../../stubs/trading_bot_core.pyi"));

const fn fnv1a(bytes: &[u8]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    hash
}

#[pymodule]
fn trading_bot_core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("VERSION", env!("CARGO_PKG_VERSION"))?;
    module.add("BUILD_HASH", format!("{BUILD_HASH:016x}"))?;
    errors::register(module)?;
    module.add_class::<engine::Engine>()?;
    module.add_class::<codec::SignalRCodec>()?;
    records::register(module)?;
    risk::register(module)?;
    module.add("Event", event_union(module)?)?;
    // Made by pyo3 for `import *`, which nobody uses and the stub does not promise.
    module.delattr("__all__")
}

/// What `drain()` may return, for annotations that are evaluated.
fn event_union<'py>(module: &Bound<'py, PyModule>) -> PyResult<Bound<'py, PyAny>> {
    let classes = records::EVENTS
        .iter()
        .map(|name| module.getattr(*name))
        .collect::<PyResult<Vec<_>>>()?;
    module
        .py()
        .import("typing")?
        .getattr("Union")?
        .get_item(PyTuple::new(module.py(), classes)?)
}
