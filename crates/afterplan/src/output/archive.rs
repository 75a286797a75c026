//! The enriched plan as a zip.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use report::files::OutputFile;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// Writes everything into the zip at `path`. All entries bear the zip format's first day: equal plans give equal bytes.
pub fn write(
    path: &Path,
    originals: &[(String, Arc<[u8]>)],
    made: &[OutputFile],
) -> io::Result<()> {
    let mut zip = ZipWriter::new(BufWriter::new(File::create(path)?));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(zip::DateTime::default())
        .unix_permissions(0o644);
    let originals = originals
        .iter()
        .map(|(path, bytes)| (path.as_str(), bytes.as_ref()));
    let made = made
        .iter()
        .map(|file| (file.path.as_str(), file.bytes.as_slice()));
    for (path, bytes) in originals.chain(made) {
        zip.start_file(path, options)?;
        zip.write_all(bytes)?;
    }
    zip.finish()?
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
