//! The seam to Python: the only module that names `pyo3`. Described for Python by `native/stubs/trading_bot_core.pyi`.

mod errors;
mod records;

use pyo3::prelude::*;

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
    records::register(module)
}
