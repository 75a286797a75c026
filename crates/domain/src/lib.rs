//! What is true: no I/O, no clock, no randomness, no async.
