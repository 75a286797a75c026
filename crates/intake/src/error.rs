//! Refusals: each one sentence that names the thing, and the way out.

use thiserror::Error;

/// Why nothing was read. Paths are as the caller or the archive wrote them, with control characters made visible.
#[derive(Debug, Error)]
pub enum IntakeError {
    /// The path leads nowhere.
    #[error("{path} does not exist; give the path of a PlanExe run directory or of its zip")]
    Missing {
        /// The path.
        path: String,
    },
    /// The system does not let us read it.
    #[error("{path} may not be read (permission denied); make it readable for this user")]
    PermissionDenied {
        /// The path.
        path: String,
    },
    /// Reading failed otherwise.
    #[error("{path} could not be read: {source}")]
    Unreadable {
        /// The path.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// Neither a directory nor a zip.
    #[error("{path} is neither a directory nor a zip; give a PlanExe run directory or its zip")]
    NeitherDirectoryNorZip {
        /// The path.
        path: String,
    },
    /// There is no file in it.
    #[error("{path} holds no files; give the directory or zip in which PlanExe wrote its plan")]
    Empty {
        /// The path.
        path: String,
    },
    /// None of its files is one that PlanExe writes.
    #[error(
        "{path} is not a PlanExe plan: {found}; give the directory or zip that holds files like 001-2-plan.txt and 018-2-wbs_level1.json"
    )]
    NotAPlan {
        /// The path.
        path: String,
        /// What is there instead.
        found: String,
    },
    /// More than one plan.
    #[error("{path} holds {count} plans ({first:?}, {second:?}{}); give one of them", if *count > 2 { ", ..." } else { "" })]
    SeveralPlans {
        /// The path.
        path: String,
        /// How many.
        count: usize,
        /// The first, by its folder.
        first: String,
        /// The second.
        second: String,
    },
    /// The archive is damaged.
    #[error("{path} is a damaged zip ({detail}); download or pack it again")]
    Corrupted {
        /// The archive.
        path: String,
        /// What is wrong, and where.
        detail: String,
    },
    /// A name that would lead out of the plan: `..`, an absolute path, a drive, a backslash.
    #[error(
        "{path} has an entry whose name is not a plain relative path: {entry:?}; pack it again with plain names"
    )]
    Escapes {
        /// The archive or directory.
        path: String,
        /// The entry's name.
        entry: String,
    },
    /// A name that is not UTF-8.
    #[error("{path} has a name that is not UTF-8: {entry}; rename the file and pack it again")]
    NameNotUtf8 {
        /// The archive or directory.
        path: String,
        /// The name, with what cannot be shown replaced.
        entry: String,
    },
    /// Two entries of the same name.
    #[error("{path} has two entries named {entry:?}; pack the zip again with one of them")]
    DuplicateName {
        /// The archive.
        path: String,
        /// The name.
        entry: String,
    },
    /// A symbolic link.
    #[error("{path} has a symbolic link: {entry:?}; replace it by the file itself")]
    Symlink {
        /// The archive or directory.
        path: String,
        /// The link.
        entry: String,
    },
    /// A socket, device or pipe.
    #[error("{path} has something that is neither file nor directory: {entry:?}; remove it")]
    SpecialFile {
        /// The archive or directory.
        path: String,
        /// The thing.
        entry: String,
    },
    /// An encrypted entry.
    #[error("{path} is encrypted (entry {entry:?}); pack it again without a password")]
    Encrypted {
        /// The archive.
        path: String,
        /// The entry.
        entry: String,
    },
    /// A compression that is not read.
    #[error(
        "{path} uses a compression that is not supported (entry {entry:?}); pack it again as an ordinary zip (deflate)"
    )]
    UnsupportedCompression {
        /// The archive.
        path: String,
        /// The entry.
        entry: String,
    },
    /// More files than a plan can have.
    #[error(
        "{path} holds more than {limit} files and folders; a PlanExe plan has about 170: give the plan's own directory or zip"
    )]
    TooManyEntries {
        /// The archive or directory.
        path: String,
        /// The most allowed.
        limit: usize,
    },
    /// More bytes than a plan may have.
    #[error("{path} holds more than {} MB; a PlanExe plan has about 11 MB: remove what does not belong to it", limit / 1_000_000)]
    TooLarge {
        /// The archive or directory.
        path: String,
        /// The most allowed, in bytes.
        limit: u64,
    },
    /// One file with more bytes than a file of a plan may have.
    #[error("{path} has a file of more than {} MB: {entry:?}; remove it", limit / 1_000_000)]
    FileTooLarge {
        /// The archive or directory.
        path: String,
        /// The file.
        entry: String,
        /// The most allowed, in bytes.
        limit: u64,
    },
    /// An archive that swells beyond all measure.
    #[error(
        "{path} looks like a zip bomb: {entry:?} inflates more than {limit} times; pack the plan again"
    )]
    Bomb {
        /// The archive.
        path: String,
        /// The entry at which it showed.
        entry: String,
        /// The ratio allowed.
        limit: u64,
    },
    /// Folders in folders in folders.
    #[error(
        "{path} has folders more than {limit} deep: {entry:?}; a PlanExe plan is one flat directory"
    )]
    TooDeep {
        /// The archive or directory.
        path: String,
        /// The path inside.
        entry: String,
        /// The most allowed.
        limit: usize,
    },
    /// A path that is too long.
    #[error("{path} has a name of more than {limit} bytes: {entry:?}...; rename it")]
    NameTooLong {
        /// The archive or directory.
        path: String,
        /// The beginning of the name.
        entry: String,
        /// The most allowed.
        limit: usize,
    },
}
