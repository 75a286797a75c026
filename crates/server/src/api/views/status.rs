//! How an orchestration stands, as the wire shows it.
