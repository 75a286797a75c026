//! How much a plan may be. Real plans hold 160 to 200 files and 8 to 13 MB.

/// The bounds within which a plan is read. They are checked while reading: what an archive says of itself is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all files together, inflated, and of the archive itself. PlanExe's own interface takes 100 MB at most.
    pub total_bytes: u64,
    /// Bytes of one file, inflated. `track_activity.jsonl`, the largest known, has about 20 MB.
    pub file_bytes: u64,
    /// Files and folders. Ten times what the largest known plan has.
    pub entries: usize,
    /// Inflated bytes of an entry for each of its packed bytes, once `ratio_free_bytes` are passed. Plans compress 4 to 6 times.
    pub ratio: u64,
    /// Inflated bytes below which the ratio is not looked at: small files of white space compress a thousand times.
    pub ratio_free_bytes: u64,
    /// Folders above a file. Plans have one at most.
    pub depth: usize,
    /// Bytes of one path.
    pub path_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            total_bytes: 100_000_000,
            file_bytes: 64_000_000,
            entries: 2_000,
            ratio: 200,
            ratio_free_bytes: 5_000_000,
            depth: 4,
            path_bytes: 512,
        }
    }
}
