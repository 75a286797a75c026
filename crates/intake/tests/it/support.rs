//! Zips made byte by byte, so that they can lie.

use std::io::{Cursor, Write};

use intake::error::IntakeError;
use intake::limits::Limits;
use intake::named::Named;
use intake::read::read_zip;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// The least that counts as a plan.
pub const PLAN: (&str, &str) = ("001-2-plan.txt", "Plan:\nA tram.");

/// An entry, stored without compression, whose headers say what the test wants.
#[derive(Clone, Debug)]
pub struct Entry {
    pub name: Vec<u8>,
    pub content: Vec<u8>,
    pub flags: u16,
    pub method: u16,
    pub mode: u32,
    pub declared_size: u32,
}

impl Entry {
    pub fn new(name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Entry {
        let content = content.as_ref().to_vec();
        let declared_size = content.len() as u32;
        Entry {
            name: name.as_ref().to_vec(),
            content,
            flags: 0x800,
            method: 0,
            mode: 0o100_644,
            declared_size,
        }
    }

    pub fn plan() -> Entry {
        Entry::new(PLAN.0, PLAN.1)
    }
}

/// The archive of these entries.
pub fn archive(entries: &[Entry]) -> Vec<u8> {
    let (mut bytes, mut central) = (Vec::new(), Vec::new());
    for entry in entries {
        let offset = bytes.len() as u32;
        let shared = |out: &mut Vec<u8>| {
            for number in [20, entry.flags, entry.method, 0, 0x5a21] {
                out.extend(number.to_le_bytes());
            }
            for number in [
                crc32(&entry.content),
                entry.content.len() as u32,
                entry.declared_size,
            ] {
                out.extend(number.to_le_bytes());
            }
            out.extend((entry.name.len() as u16).to_le_bytes());
            out.extend(0u16.to_le_bytes());
        };
        bytes.extend(b"PK\x03\x04");
        shared(&mut bytes);
        bytes.extend(&entry.name);
        bytes.extend(&entry.content);
        central.extend(b"PK\x01\x02\x14\x03");
        shared(&mut central);
        central.extend([0; 6]);
        central.extend((entry.mode << 16).to_le_bytes());
        central.extend(offset.to_le_bytes());
        central.extend(&entry.name);
    }
    let start = bytes.len() as u32;
    bytes.extend(&central);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    for _ in 0..2 {
        bytes.extend((entries.len() as u16).to_le_bytes());
    }
    bytes.extend((central.len() as u32).to_le_bytes());
    bytes.extend(start.to_le_bytes());
    bytes.extend(0u16.to_le_bytes());
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

/// An honest, deflated archive.
pub fn deflated(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .compression_level(Some(6));
        writer.start_file(*name, options).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// Reads bytes as `p.zip` under the usual limits.
pub fn read(bytes: &[u8]) -> Result<Named, IntakeError> {
    read_zip(bytes, "p.zip", "p.zip", &Limits::default())
}

/// The sentence of a refusal; what was read instead is not printed, for it may be large.
#[track_caller]
pub fn told(read: Result<Named, IntakeError>) -> String {
    match read {
        Ok(named) => panic!("must be refused, but {} files were read", named.files.len()),
        Err(refusal) => refusal.to_string(),
    }
}

/// The sentence with which an archive is refused.
#[track_caller]
pub fn refusal(bytes: &[u8]) -> String {
    told(read(bytes))
}

/// The paths that were read.
pub fn paths(named: &Named) -> Vec<&str> {
    named.files.iter().map(|(path, _)| path.as_str()).collect()
}
