//! How a blob's bytes are stored: compressed where that helps, as they are where it does not.

use std::cell::RefCell;

use zstd::bulk::Compressor;

use crate::error::StoreError;

/// zstd's level for large blobs: 3 packs a plan's JSON to a fifth at hundreds of MB/s; higher ones cost more time than they save
/// disk.
const LEVEL: i32 = 3;

/// The level for small ones, which are many: half the time, and a few hundredths more of the disk.
const LEVEL_SMALL: i32 = 1;

/// Below this many bytes a compressed frame saves nothing worth its cost.
const PACK_MIN: usize = 64;

const RAW: i64 = 0;
const ZSTD: i64 = 1;

/// Up to this many bytes the thread's own context packs; larger ones would make it keep megabytes.
const WITH_OWN: usize = 128 << 10;

thread_local! {
    /// Making a context costs as much as packing a few kilobytes with it.
    static PACKING: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
}

/// Bytes as stored, and their encoding.
pub(crate) fn pack(plain: &[u8]) -> (i64, Vec<u8>) {
    if plain.len() >= PACK_MIN
        && let Ok(mut packed) = compress(plain)
        && packed.len() < plain.len()
    {
        packed.shrink_to_fit();
        return (ZSTD, packed);
    }
    (RAW, plain.to_vec())
}

fn compress(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    if plain.len() > WITH_OWN {
        return zstd::bulk::compress(plain, LEVEL);
    }
    PACKING.with_borrow_mut(|own| {
        let compressor = match own {
            Some(compressor) => compressor,
            None => own.insert(Compressor::new(LEVEL_SMALL)?),
        };
        compressor.compress(plain)
    })
}

/// The plain bytes again; `size` bounds what is unpacked.
pub(crate) fn unpack(encoding: i64, size: i64, stored: Vec<u8>) -> Result<Vec<u8>, StoreError> {
    let bad = StoreError::Decode {
        column: "blob.stored",
    };
    let size = usize::try_from(size).map_err(|_| bad.clone())?;
    let plain = match encoding {
        RAW => stored,
        ZSTD => zstd::bulk::decompress(&stored, size).map_err(|_| bad.clone())?,
        _ => return Err(bad),
    };
    if plain.len() == size {
        Ok(plain)
    } else {
        Err(bad)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn unpacking_gives_the_same_bytes_and_text_shrinks() {
        let text = "a plan repeats itself, ".repeat(100).into_bytes();
        let (encoding, stored) = pack(&text);
        assert!(stored.len() * 10 < text.len());
        assert_eq!(unpack(encoding, text.len() as i64, stored).unwrap(), text);
        let (encoding, stored) = pack(b"short");
        assert_eq!((encoding, stored.as_slice()), (RAW, b"short".as_slice()));
        assert_eq!(unpack(encoding, 5, stored).unwrap(), b"short");
    }

    #[test]
    fn a_wrong_size_is_an_error_not_a_bomb() {
        let (encoding, stored) = pack(&vec![7; 1 << 20]);
        assert!(unpack(encoding, 100, stored.clone()).is_err());
        assert!(unpack(encoding, -1, stored).is_err());
    }
}
