//! Time, the loops, the one door.
