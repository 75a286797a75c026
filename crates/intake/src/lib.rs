//! Directories and zips, read under limits, as named bytes.
