//! How often a key may come.

/// The count of each key's requests; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Rates {}
