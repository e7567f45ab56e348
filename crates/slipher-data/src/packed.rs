//! Files packed by gzip, bzip2, xz or zstd, known by their first bytes.

use std::io::{Error, Read, Result, Write};

use crate::budget;

/// Endings of packed files.
pub const ENDINGS: [&str; 4] = [".gz", ".bz2", ".xz", ".zst"];

/// A name without the ending of a packer.
pub fn bare(name: &str) -> &str {
    let lower = name.to_lowercase();
    let end = ENDINGS.iter().find(|e| lower.ends_with(*e));
    end.map_or(name, |e| &name[..name.len() - e.len()])
}

/// The bytes unpacked, or as they are.
///
/// # Errors
/// Damaged archives, and those that unpack to more than [`budget::unpacked`].
pub fn unpack(bytes: Vec<u8>) -> std::result::Result<Vec<u8>, String> {
    let most = budget::unpacked(bytes.len() as u64);
    let out = match bytes.as_slice() {
        [0x1f, 0x8b, ..] => limited(flate2::read::MultiGzDecoder::new(&bytes[..]), most),
        [b'B', b'Z', b'h', ..] => limited(bzip2_rs::DecoderReader::new(&bytes[..]), most),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            zstd::stream::read::Decoder::new(&bytes[..]).and_then(|d| limited(d, most))
        }
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
            let mut to = Limited { out: vec![], most };
            match lzma_rs::xz_decompress(&mut &bytes[..], &mut to) {
                // One byte over the limit ends it.
                Err(_) if to.out.len() as u64 > most => Ok(to.out),
                Err(e) => Err(Error::other(format!("{e:?}"))),
                Ok(()) => Ok(to.out),
            }
        }
        _ => return Ok(bytes),
    };
    let out = out.map_err(|e| format!("damaged archive: {e}"))?;
    budget::check(out.len() as u64, most, "what it unpacks to")?;
    Ok(out)
}

/// At most one byte more than allowed.
fn limited(from: impl Read, most: u64) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    from.take(most + 1).read_to_end(&mut out)?;
    Ok(out)
}

struct Limited {
    out: Vec<u8>,
    most: u64,
}

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let left = (self.most + 1).saturating_sub(self.out.len() as u64);
        if left == 0 {
            return Err(Error::other("larger than allowed"));
        }
        let n = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        self.out.extend_from_slice(&bytes[..n]);
        Ok(n)
    }
    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "wave flux\n" by the programs gzip, bzip2, xz and zstd.
    #[test]
    fn what_programs_packed_is_unpacked() {
        let text = b"wave flux\n".repeat(20);
        for packed in [GZIP, BZIP2, XZ, ZSTD] {
            assert_eq!(unpack(packed.to_vec()).unwrap(), text);
            // Cut off, it is damaged.
            assert!(unpack(packed[..packed.len() / 2].to_vec()).is_err());
        }
        assert_eq!(unpack(b"plain".to_vec()).unwrap(), b"plain");
        assert_eq!(bare("a.fits.bz2"), "a.fits");
        assert_eq!(bare("a.gz.fits"), "a.gz.fits");
    }

    const GZIP: &[u8] = &[
        31, 139, 8, 0, 0, 0, 0, 0, 0, 3, 43, 79, 44, 75, 85, 72, 203, 41, 173, 224, 42, 31, 210,
        44, 0, 37, 194, 24, 205, 200, 0, 0, 0,
    ];
    const BZIP2: &[u8] = &[
        66, 90, 104, 57, 49, 65, 89, 38, 83, 89, 254, 228, 71, 8, 0, 0, 89, 209, 128, 0, 16, 64, 0,
        35, 4, 3, 192, 32, 0, 84, 64, 12, 2, 149, 64, 60, 166, 147, 178, 105, 52, 158, 19, 226, 97,
        48, 152, 77, 35, 23, 114, 69, 56, 80, 144, 254, 228, 71, 8,
    ];
    const XZ: &[u8] = &[
        253, 55, 122, 88, 90, 0, 0, 4, 230, 214, 180, 70, 2, 0, 33, 1, 22, 0, 0, 0, 116, 47, 229,
        163, 224, 0, 199, 0, 17, 93, 0, 59, 152, 75, 50, 233, 21, 48, 124, 203, 209, 89, 246, 1,
        159, 184, 0, 0, 0, 0, 0, 0, 255, 101, 34, 201, 173, 47, 234, 62, 0, 1, 45, 200, 1, 0, 0, 0,
        74, 6, 190, 25, 177, 196, 103, 251, 2, 0, 0, 0, 0, 4, 89, 90,
    ];
    const ZSTD: &[u8] = &[
        40, 181, 47, 253, 4, 88, 141, 0, 0, 80, 119, 97, 118, 101, 32, 102, 108, 117, 120, 10, 1,
        0, 187, 82, 5, 9, 73, 55, 93, 16,
    ];
}
