//! How a blob's bytes are stored: compressed where that helps, as they are where it does not.

use crate::error::StoreError;

/// zstd's level: 3 packs a plan's JSON to a fifth at hundreds of MB/s; higher ones cost more time than they save disk.
const LEVEL: i32 = 3;

/// Below this many bytes a compressed frame saves nothing worth its cost.
const PACK_MIN: usize = 64;

const RAW: i64 = 0;
const ZSTD: i64 = 1;

/// Bytes as stored, and their encoding.
pub(crate) fn pack(plain: &[u8]) -> (i64, Vec<u8>) {
    if plain.len() >= PACK_MIN
        && let Ok(packed) = zstd::bulk::compress(plain, LEVEL)
        && packed.len() < plain.len()
    {
        return (ZSTD, packed);
    }
    (RAW, plain.to_vec())
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
