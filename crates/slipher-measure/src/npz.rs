//! Arrays of a `.npz` file (a zip of `.npy`), as far as the data folder needs: little-endian f32, C
//! order.

use std::io::Read;

/// One array: its shape and values.
pub struct Array {
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

fn u16_at(b: &[u8], i: usize) -> Option<usize> {
    Some(usize::from(u16::from_le_bytes(
        b.get(i..i + 2)?.try_into().ok()?,
    )))
}
fn u32_at(b: &[u8], i: usize) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(b.get(i..i + 4)?.try_into().ok()?)).ok()
}
fn u64_at(b: &[u8], i: usize) -> Option<usize> {
    usize::try_from(u64::from_le_bytes(b.get(i..i + 8)?.try_into().ok()?)).ok()
}

/// The array of a name, if the archive has it.
pub fn array(zip: &[u8], name: &str) -> Option<Array> {
    let end = zip.windows(4).rposition(|w| w == b"PK\x05\x06")?;
    let mut at = u32_at(zip, end + 16)?;
    while zip.get(at..at + 4)? == b"PK\x01\x02" {
        let (names, extra, comment) = (
            u16_at(zip, at + 28)?,
            u16_at(zip, at + 30)?,
            u16_at(zip, at + 32)?,
        );
        let entry = zip.get(at + 46..at + 46 + names)?;
        if entry == format!("{name}.npy").as_bytes() {
            let mut size = u32_at(zip, at + 20)?;
            let mut offset = u32_at(zip, at + 42)?;
            // Zip64: 8-byte values for each field that is all ones, in order (uncompressed,
            // compressed, offset).
            let mut field = at + 46 + names + 4;
            for (slot, value) in [
                (at + 24, None),
                (at + 20, Some(&mut size)),
                (at + 42, Some(&mut offset)),
            ] {
                if u32_at(zip, slot)? == 0xffff_ffff {
                    if let Some(v) = value {
                        *v = u64_at(zip, field)?;
                    }
                    field += 8;
                }
            }
            let start = offset + 30 + u16_at(zip, offset + 26)? + u16_at(zip, offset + 28)?;
            let raw = zip.get(start..start + size)?;
            let mut bytes = Vec::new();
            match u16_at(zip, at + 10)? {
                0 => bytes.extend_from_slice(raw),
                _ => {
                    flate2::read::DeflateDecoder::new(raw)
                        .take(1 << 30)
                        .read_to_end(&mut bytes)
                        .ok()?;
                }
            }
            return npy(&bytes);
        }
        at += 46 + names + extra + comment;
    }
    None
}

fn npy(b: &[u8]) -> Option<Array> {
    let long = *b.get(6)? >= 2;
    let start = if long { 12 } else { 10 };
    let header = if long { u32_at(b, 8)? } else { u16_at(b, 8)? };
    let text = std::str::from_utf8(b.get(start..start + header)?).ok()?;
    if !text.contains("'<f4'") {
        return None;
    }
    let shape = text.split('(').nth(1)?.split(')').next()?;
    let shape = shape
        .split(',')
        .filter_map(|n| n.trim().parse().ok())
        .collect();
    let values = b
        .get(start + header..)?
        .chunks_exact(4)
        .map(|v| f32::from_le_bytes([v[0], v[1], v[2], v[3]]))
        .collect();
    Some(Array { shape, values })
}
