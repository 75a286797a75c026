//! The core: one orchestration's state, and the only two functions that change it.
