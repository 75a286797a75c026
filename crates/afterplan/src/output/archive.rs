//! The enriched plan as a zip on the disk.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;
use std::sync::Arc;

use report::files::OutputFile;
use zip::ZipArchive;

/// Writes everything into the zip at `path`.
pub fn write(
    path: &Path,
    originals: &[(String, Arc<[u8]>)],
    made: &[OutputFile],
) -> io::Result<()> {
    report::archive::write(BufWriter::new(File::create(path)?), originals, made)?
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?
        .sync_all()
}

/// Whether the file is an enriched plan that an earlier call wrote.
pub fn is_ours(path: &Path) -> bool {
    let archive = File::open(path)
        .ok()
        .and_then(|file| ZipArchive::new(file).ok());
    archive.is_some_and(|archive| archive.index_for_name(report::manifest::PATH).is_some())
}
