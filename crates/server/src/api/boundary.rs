//! A form's bytes without its boundary: every client makes up a new one, and the form is the same.

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use sha2::{Digest, Sha256};

/// What is hashed in the boundary's place.
const IN_ITS_PLACE: &[u8] = b"\r\n--\r\n";

/// Takes a form's bytes as they come, and hashes them without the boundary.
#[derive(Debug)]
pub struct Unbounded {
    delimiter: Vec<u8>,
    /// Bytes in which a delimiter may have begun.
    held: Vec<u8>,
}

impl Unbounded {
    /// For a form, as its headers say; none for any other body.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let text = headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let (media, parameters) = text.split_once(';')?;
        if !media.trim().eq_ignore_ascii_case("multipart/form-data") {
            return None;
        }
        let boundary = parameters.split(';').find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim()
                .eq_ignore_ascii_case("boundary")
                .then(|| value.trim().trim_matches('"'))
        })?;
        (!boundary.is_empty()).then(|| Self {
            delimiter: [b"--", boundary.as_bytes()].concat(),
            held: Vec::new(),
        })
    }

    /// Takes the next part.
    pub fn take(&mut self, part: &[u8], hash: &mut Sha256) {
        self.held.extend_from_slice(part);
        let mut rest = self.held.as_slice();
        while let Some(at) = find(rest, &self.delimiter) {
            hash.update(&rest[..at]);
            hash.update(IN_ITS_PLACE);
            rest = &rest[at + self.delimiter.len()..];
        }
        let sure = rest.len().saturating_sub(self.delimiter.len() - 1);
        hash.update(&rest[..sure]);
        let done = self.held.len() - rest.len() + sure;
        self.held.drain(..done);
    }

    /// All is there.
    pub fn end(self, hash: &mut Sha256) {
        hash.update(self.held);
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len())
        .position(|window| window[0] == wanted[0] && window == wanted)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn hashed(content_type: &str, body: &[u8], parts: usize) -> Vec<u8> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, content_type.parse().unwrap());
        let mut hash = Sha256::new();
        let mut form = Unbounded::of(&headers).unwrap();
        for part in body.chunks(parts) {
            form.take(part, &mut hash);
        }
        form.end(&mut hash);
        hash.finalize().to_vec()
    }

    #[test]
    fn a_form_is_the_same_whatever_its_boundary_and_however_it_was_cut() {
        let one = b"--aa\r\nname=x\r\n\r\n-a--a\r\n--aa--\r\n";
        let other = b"--long-one\r\nname=x\r\n\r\n-a--a\r\n--long-one--\r\n";
        let changed = b"--aa\r\nname=x\r\n\r\n-a--b\r\n--aa--\r\n";
        let expected = hashed("multipart/form-data; boundary=aa", one, 1_000);
        for parts in 1..20 {
            assert_eq!(
                hashed("multipart/form-data; boundary=aa", one, parts),
                expected
            );
            let quoted = "Multipart/Form-Data; charset=x; Boundary=\"long-one\"";
            assert_eq!(hashed(quoted, other, parts), expected);
            assert_ne!(
                hashed("multipart/form-data; boundary=aa", changed, parts),
                expected
            );
        }
        for other in [
            "application/zip",
            "multipart/form-data",
            "multipart/form-data; boundary=",
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, other.parse().unwrap());
            assert!(Unbounded::of(&headers).is_none(), "{other}");
        }
    }
}
