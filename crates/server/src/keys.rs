//! Keys: `afp_<id>_<secret>`, known to the store only by the secret's hash.

/// The keys that were seen a moment ago; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Keys {}
