//! Reading a zip. What it says of its own sizes is not believed: the limits are kept while inflating.

use std::collections::BTreeSet;
use std::io::{Cursor, Read};

use zip::ZipArchive;
use zip::result::ZipError;

use crate::arrange::Found;
use crate::error::IntakeError;
use crate::limits::Limits;
use crate::names;

/// The signature of an entry in the central directory.
const CENTRAL: &[u8; 4] = b"PK\x01\x02";
/// The length of such an entry before its names.
const CENTRAL_BYTES: usize = 46;
/// Bytes inflated between two looks at the limits.
const PIECE: usize = 64 * 1024;

type Archive<'a> = ZipArchive<Cursor<&'a [u8]>>;

pub(crate) fn read(bytes: &[u8], shown: &str, limits: &Limits) -> Result<Found, IntakeError> {
    let too_many = || IntakeError::TooManyEntries {
        path: shown.to_owned(),
        limit: limits.entries,
    };
    if bytes
        .windows(CENTRAL.len())
        .filter(|window| window == CENTRAL)
        .take(limits.entries + 1)
        .count()
        > limits.entries
    {
        return Err(too_many());
    }
    if bytes.is_empty() {
        return Err(IntakeError::Corrupted {
            path: shown.to_owned(),
            detail: "it holds no byte".to_owned(),
        });
    }
    let mut archive = ZipArchive::new(Cursor::new(bytes))
        .map_err(|error| damage(shown, "the list of entries", error))?;
    if archive.len() > limits.entries {
        return Err(too_many());
    }
    refuse_duplicates(bytes, &archive, shown)?;
    let mut inflation = Inflation {
        shown,
        limits,
        found: Found::default(),
        total: 0,
        seen: BTreeSet::new(),
    };
    for index in 0..archive.len() {
        inflation.entry(&mut archive, index)?;
    }
    Ok(inflation.found)
}

/// The zip library keeps one entry a name; which one a reader sees would depend on the reader. So the list itself is walked.
fn refuse_duplicates(bytes: &[u8], archive: &Archive<'_>, shown: &str) -> Result<(), IntakeError> {
    let mut at = usize::try_from(archive.central_directory_start()).unwrap_or(usize::MAX);
    let mut seen = BTreeSet::new();
    while let Some(header) = bytes
        .get(at..)
        .and_then(|rest| rest.get(..CENTRAL_BYTES))
        .filter(|header| header.starts_with(CENTRAL))
    {
        let length = |low: usize| usize::from(u16::from_le_bytes([header[low], header[low + 1]]));
        let name = bytes
            .get(at + CENTRAL_BYTES..at + CENTRAL_BYTES + length(28))
            .unwrap_or_default();
        if !seen.insert(name) {
            return Err(IntakeError::DuplicateName {
                path: shown.to_owned(),
                entry: String::from_utf8_lossy(name).into_owned(),
            });
        }
        at += CENTRAL_BYTES + length(28) + length(30) + length(32);
    }
    Ok(())
}

struct Inflation<'a> {
    shown: &'a str,
    limits: &'a Limits,
    found: Found,
    total: u64,
    seen: BTreeSet<String>,
}

impl Inflation<'_> {
    fn entry(&mut self, archive: &mut Archive<'_>, index: usize) -> Result<(), IntakeError> {
        let shown = self.shown.to_owned();
        let (path, packed) = {
            let raw = archive
                .by_index_raw(index)
                .map_err(|error| damage(self.shown, "an entry", error))?;
            let path = names::relative(self.shown, raw.name_raw(), self.limits)?;
            if raw.is_symlink() {
                return Err(IntakeError::Symlink {
                    path: shown,
                    entry: path,
                });
            }
            if raw.is_dir() || path.is_empty() {
                return Ok(());
            }
            if let Some(reason) = names::noise(&path) {
                self.found.ignore(&path, reason);
                return Ok(());
            }
            if special(raw.unix_mode()) {
                return Err(IntakeError::SpecialFile {
                    path: shown,
                    entry: path,
                });
            }
            if raw.encrypted() {
                return Err(IntakeError::Encrypted {
                    path: shown,
                    entry: path,
                });
            }
            (path, raw.compressed_size())
        };
        if !self.seen.insert(path.clone()) {
            return Err(IntakeError::DuplicateName {
                path: shown,
                entry: path,
            });
        }
        let bytes = self.inflate(archive, index, &path, packed)?;
        self.found.files.push((path, bytes.into()));
        Ok(())
    }

    fn inflate(
        &mut self,
        archive: &mut Archive<'_>,
        index: usize,
        path: &str,
        packed: u64,
    ) -> Result<Vec<u8>, IntakeError> {
        let mut entry = archive
            .by_index(index)
            .map_err(|error| damage(self.shown, path, error))?;
        let promised = usize::try_from(entry.size().min(PIECE as u64 * 16)).unwrap_or(0);
        let mut bytes = Vec::with_capacity(promised + 1);
        loop {
            let got = entry
                .by_ref()
                .take(PIECE as u64)
                .read_to_end(&mut bytes)
                .map_err(|error| damage(self.shown, path, ZipError::Io(error)))?;
            if got == 0 {
                return Ok(bytes);
            }
            self.total += got as u64;
            self.check(path, bytes.len() as u64, packed)?;
        }
    }

    fn check(&self, path: &str, size: u64, packed: u64) -> Result<(), IntakeError> {
        let Limits {
            total_bytes,
            file_bytes,
            ratio,
            ratio_free_bytes,
            ..
        } = *self.limits;
        let (shown, entry) = (self.shown.to_owned(), path.to_owned());
        if size > ratio_free_bytes && size > packed.max(1).saturating_mul(ratio) {
            return Err(IntakeError::Bomb {
                path: shown,
                entry,
                limit: ratio,
            });
        }
        if size > file_bytes {
            return Err(IntakeError::FileTooLarge {
                path: shown,
                entry,
                limit: file_bytes,
            });
        }
        if self.total > total_bytes {
            return Err(IntakeError::TooLarge {
                path: shown,
                limit: total_bytes,
            });
        }
        Ok(())
    }
}

/// Whether a mode (where the archive states one) is neither a file's nor left open.
fn special(mode: Option<u32>) -> bool {
    const KIND: u32 = 0o170_000;
    const FILE: u32 = 0o100_000;
    !matches!(mode.map(|mode| mode & KIND), None | Some(0 | FILE))
}

fn damage(shown: &str, entry: &str, error: ZipError) -> IntakeError {
    let (path, entry) = (shown.to_owned(), entry.to_owned());
    match error {
        ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) => {
            IntakeError::Encrypted { path, entry }
        }
        ZipError::CompressionMethodNotSupported(_) => {
            IntakeError::UnsupportedCompression { path, entry }
        }
        ZipError::Io(error) => IntakeError::Corrupted {
            path,
            detail: format!("{entry}: {error}"),
        },
        error => IntakeError::Corrupted {
            path,
            detail: format!("{entry}: {error}"),
        },
    }
}
