//! The exceptions of the seam and the one place that builds them.

use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

create_exception!(
    trading_bot_core,
    EngineError,
    PyException,
    "Any failure the engine reports."
);
create_exception!(
    trading_bot_core,
    Busy,
    EngineError,
    "The command queue is full; nothing was queued."
);
create_exception!(
    trading_bot_core,
    Halted,
    EngineError,
    "The engine is halted; only cancels and closes are taken."
);
create_exception!(
    trading_bot_core,
    InvalidCommand,
    EngineError,
    "The command cannot be meant."
);

/// Every value of `EngineError.kind`.
pub const ERROR_KINDS: [&str; 6] = ["fault", "busy", "halted", "invalid", "io", "closed"];

/// Builds the exception of `kind` with the sentence for people.
pub fn engine_error(kind: &'static str, text: impl Into<String>) -> PyErr {
    let text = text.into();
    let error = match kind {
        "busy" => Busy::new_err(text.clone()),
        "halted" => Halted::new_err(text.clone()),
        "invalid" => InvalidCommand::new_err(text.clone()),
        _ => EngineError::new_err(text.clone()),
    };
    Python::attach(|py| {
        let value = error.value(py);
        // The class carries defaults of both attributes, so a failed write leaves an error that can still be read.
        let _ = value.setattr("kind", kind);
        let _ = value.setattr("text", text);
    });
    error
}

/// Adds the exceptions and the table of kinds to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let classes = [
        ("EngineError", "fault", py.get_type::<EngineError>()),
        ("Busy", "busy", py.get_type::<Busy>()),
        ("Halted", "halted", py.get_type::<Halted>()),
        ("InvalidCommand", "invalid", py.get_type::<InvalidCommand>()),
    ];
    for (name, kind, class) in classes {
        class.setattr("kind", kind)?;
        class.setattr("text", "")?;
        module.add(name, class)?;
    }
    module.add("ERROR_KINDS", PyTuple::new(py, ERROR_KINDS)?)
}
