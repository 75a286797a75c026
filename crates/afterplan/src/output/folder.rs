//! The enriched plan as a directory.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use report::files::OutputFile;

/// Writes everything below `folder`.
pub fn write(
    folder: &Path,
    originals: &[(String, Arc<[u8]>)],
    made: &[OutputFile],
) -> io::Result<()> {
    for (path, bytes) in originals {
        write_file(folder, path, bytes)?;
    }
    for file in made {
        write_file(folder, &file.path, &file.bytes)?;
    }
    // On the disk before it is revealed: a rename must not outlive what it names.
    fs::File::open(folder)?.sync_all()
}

/// Writes one file, with its folders.
pub fn write_file(folder: &Path, path: &str, bytes: &[u8]) -> io::Result<()> {
    let path = folder.join(path);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::File::create(path)?.write_all(bytes)
}
