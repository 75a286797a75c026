//! `Idempotency-Key`: the same write again gives the same answer, for a day.
