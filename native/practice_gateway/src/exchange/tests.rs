//! Properties and scenes of the exchange.
