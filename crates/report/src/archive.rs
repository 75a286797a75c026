//! The enriched plan as a zip: equal plans give equal bytes.

use std::io::{self, Cursor, Seek, Write};
use std::sync::Arc;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::files::OutputFile;

/// Writes the originals and what was made of them as a zip into `to`, and gives `to` back. All entries bear the zip format's first
/// day, so that equal plans give equal bytes.
///
/// # Errors
/// When `to` refuses, or a path is longer than the format allows.
pub fn write<W: Write + Seek>(
    to: W,
    originals: &[(String, Arc<[u8]>)],
    made: &[OutputFile],
) -> io::Result<W> {
    let mut zip = ZipWriter::new(to);
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
    Ok(zip.finish()?)
}

/// The same as bytes in memory.
///
/// # Errors
/// When a path is longer than the format allows.
pub fn bytes(originals: &[(String, Arc<[u8]>)], made: &[OutputFile]) -> io::Result<Vec<u8>> {
    Ok(write(Cursor::new(Vec::new()), originals, made)?.into_inner())
}
