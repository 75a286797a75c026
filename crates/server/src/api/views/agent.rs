//! Agents as the wire shows them.
