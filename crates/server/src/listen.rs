//! Connections: accepted, held to time limits, drained at the end.
