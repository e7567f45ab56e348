//! What the footer of a Parquet file promises, read before the Parquet library recurses into it and
//! allocates: depth of its schema, rows, and bytes of its row groups. Thrift compact protocol.

use std::panic::{AssertUnwindSafe, catch_unwind};

use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReaderBuilder as Builder,
};
use parquet::file::metadata::PageIndexPolicy;
use parquet::file::reader::ChunkReader;

use crate::budget;

/// Deepest nesting of groups that is read; catalogues and cutouts have four at the most.
const DEEPEST: usize = 64;

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let b = self.bytes.get(self.at).copied()?;
        self.at += 1;
        Some(b)
    }
    fn varint(&mut self) -> Option<u64> {
        let (mut v, mut shift) = (0u64, 0);
        loop {
            let b = self.byte()?;
            v |= u64::from(b & 0x7f).checked_shl(shift)?;
            if b & 0x80 == 0 {
                return Some(v);
            }
            shift += 7;
        }
    }
    fn zigzag(&mut self) -> Option<i64> {
        let v = self.varint()?;
        Some((v >> 1) as i64 ^ -((v & 1) as i64))
    }
    /// Element type and length of a list.
    fn list(&mut self) -> Option<(u8, u64)> {
        let b = self.byte()?;
        let n = if b >> 4 == 15 {
            self.varint()?
        } else {
            u64::from(b >> 4)
        };
        self.holds(n)?;
        Some((b & 15, n))
    }
    /// Elements take at least a byte each: more than follow are promised by damaged files only.
    fn holds(&self, n: u64) -> Option<()> {
        (n <= self.bytes.len().saturating_sub(self.at) as u64).then_some(())
    }
    /// Passes over an element of a list or map, where booleans have a byte.
    fn element(&mut self, kind: u8, depth: usize) -> Option<()> {
        if kind <= 2 {
            self.byte().map(drop)
        } else {
            self.skip(kind, depth)
        }
    }
    /// Calls `f` with number and type of each field of a struct; `f` takes its value, or says no.
    fn fields(
        &mut self,
        depth: usize,
        f: &mut dyn FnMut(&mut Self, i16, u8) -> Option<bool>,
    ) -> Option<()> {
        let mut last = 0i16;
        loop {
            let b = self.byte()?;
            if b == 0 {
                return Some(());
            }
            last = match b >> 4 {
                0 => self.zigzag()? as i16,
                d => last.wrapping_add(i16::from(d)),
            };
            if !f(self, last, b & 15)? {
                self.skip(b & 15, depth)?;
            }
        }
    }
    fn skip(&mut self, kind: u8, depth: usize) -> Option<()> {
        if depth > 32 {
            return None;
        }
        match kind {
            1 | 2 => {}
            3 => {
                self.byte()?;
            }
            4..=6 => {
                self.varint()?;
            }
            7 => self.at = self.at.checked_add(8)?,
            8 => {
                let n = usize::try_from(self.varint()?).ok()?;
                self.at = self.at.checked_add(n).filter(|e| *e <= self.bytes.len())?;
            }
            9 | 10 => {
                let (of, n) = self.list()?;
                for _ in 0..n {
                    self.element(of, depth + 1)?;
                }
            }
            11 => {
                let n = self.varint()?;
                self.holds(n)?;
                if n > 0 {
                    let kinds = self.byte()?;
                    for _ in 0..n {
                        self.element(kinds >> 4, depth + 1)?;
                        self.element(kinds & 15, depth + 1)?;
                    }
                }
            }
            12 => self.fields(depth + 1, &mut |_, _, _| Some(false))?,
            _ => return None,
        }
        Some(())
    }
}

/// Depth of the schema, and (rows, bytes unpacked) of the largest row group.
fn promises(footer: &[u8]) -> Option<(usize, u64, u64)> {
    let mut r = Reader {
        bytes: footer,
        at: 0,
    };
    let (mut deepest, mut rows, mut bytes) = (0, 0, 0);
    r.fields(0, &mut |r, field, kind| match (field, kind) {
        // The schema, depth first: each element says how many children follow.
        (2, 9) => {
            let (_, n) = r.list()?;
            let mut open: Vec<u64> = vec![];
            for _ in 0..n {
                let mut children = 0u64;
                r.fields(1, &mut |r, field, kind| match (field, kind) {
                    (5, 5) => {
                        children = u64::try_from(r.zigzag()?).ok()?;
                        Some(true)
                    }
                    _ => Some(false),
                })?;
                while open.last() == Some(&0) {
                    open.pop();
                }
                if let Some(left) = open.last_mut() {
                    *left -= 1;
                }
                if children > 0 {
                    open.push(children);
                }
                deepest = deepest.max(open.len());
            }
            Some(true)
        }
        (4, 9) => {
            let (_, n) = r.list()?;
            for _ in 0..n {
                r.fields(1, &mut |r, field, kind| match (field, kind) {
                    (2, 6) => {
                        bytes = bytes.max(u64::try_from(r.zigzag()?).unwrap_or(u64::MAX));
                        Some(true)
                    }
                    (3, 6) => {
                        rows = rows.max(u64::try_from(r.zigzag()?).unwrap_or(u64::MAX));
                        Some(true)
                    }
                    _ => Some(false),
                })?;
            }
            Some(true)
        }
        _ => Some(false),
    })?;
    Some((deepest, rows, bytes))
}

/// Opens a Parquet file that was [checked](check_parquet). The decoder of the Arrow schema that may be
/// in it panics on some damage: that is said as what it is.
///
/// # Errors
/// What is damaged.
pub fn open_parquet<T: ChunkReader + 'static>(file: T) -> Result<Builder<T>, String> {
    open(file, ArrowReaderOptions::new())
}

/// The same with the index of its pages, by which rows that are skipped are not decoded.
///
/// # Errors
/// As [`open_parquet`].
pub fn open_parquet_indexed<T: ChunkReader + 'static>(file: T) -> Result<Builder<T>, String> {
    open(
        file,
        ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional),
    )
}

fn open<T: ChunkReader + 'static>(
    file: T,
    options: ArrowReaderOptions,
) -> Result<Builder<T>, String> {
    let open = || Builder::try_new_with_options(file, options);
    match catch_unwind(AssertUnwindSafe(open)) {
        Ok(found) => found.map_err(|e| format!("damaged Parquet: {e}")),
        Err(_) => Err("damaged Parquet: the Arrow schema in its footer cannot be decoded".into()),
    }
}

/// Opens a Parquet file by its path, [checked](check_parquet).
///
/// # Errors
/// What cannot be read, or is damaged.
pub fn parquet_file(path: &std::path::Path) -> Result<Builder<std::fs::File>, String> {
    let mut file = std::fs::File::open(path).map_err(|e| format!("cannot read: {e}"))?;
    check_parquet(&mut file)?;
    open_parquet(file)
}

/// Refuses a Parquet file whose footer is damaged, or promises what no sound file does.
///
/// # Errors
/// What is wrong with it.
pub fn check_parquet(file: &mut (impl std::io::Read + std::io::Seek)) -> Result<(), String> {
    let fail = |e: std::io::Error| format!("cannot read: {e}");
    let size = file.seek(std::io::SeekFrom::End(0)).map_err(fail)?;
    let short = "damaged Parquet: it has no footer; is the download complete?";
    if size < 12 {
        return Err(short.into());
    }
    let mut end = [0u8; 8];
    file.seek(std::io::SeekFrom::End(-8)).map_err(fail)?;
    file.read_exact(&mut end).map_err(fail)?;
    let length = u64::from(u32::from_le_bytes([end[0], end[1], end[2], end[3]]));
    if &end[4..] != b"PAR1" || length + 12 > size {
        return Err(short.into());
    }
    let mut footer = vec![0; length as usize];
    file.seek(std::io::SeekFrom::End(-8 - length as i64))
        .map_err(fail)?;
    file.read_exact(&mut footer).map_err(fail)?;
    file.seek(std::io::SeekFrom::Start(0)).map_err(fail)?;
    let (depth, rows, bytes) = promises(&footer).ok_or("damaged Parquet: its footer is broken")?;
    if depth > DEEPEST {
        return Err(format!(
            "damaged Parquet: groups nested {depth} deep, expected at most {DEEPEST}"
        ));
    }
    budget::check(bytes, budget::unpacked(size).max(64 << 20), "a row group")?;
    // Rows of nothing, by the million in a few bytes.
    if rows / 1000 > size {
        return Err(format!("damaged Parquet: {rows} rows in {size} bytes"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn footers_are_read_and_damage_is_said() {
        // version 1; a schema of a root with one child that has one child; one row group.
        let footer = [
            0x15, 2, 0x19, 0x3c, 0x48, 1, b'r', 0x15, 2, 0, 0x48, 1, b'g', 0x15, 2, 0, 0x48, 1,
            b'x', 0, 0x16, 14, 0x19, 0x1c, 0x26, 0xa0, 0x1f, 0x16, 14, 0, 0,
        ];
        assert_eq!(promises(&footer), Some((2, 7, 2000)));
        for cut in 0..footer.len() {
            assert_eq!(promises(&footer[..cut]), None, "{cut}");
        }
        let mut file = std::io::Cursor::new(b"PAR1".to_vec());
        assert!(check_parquet(&mut file).is_err());
    }

    /// Lists and maps of more elements than bytes, which take no bytes, ended no run but took for
    /// ever (found by fuzzing).
    #[test]
    fn elements_take_bytes() {
        // Field 1: a map of 2⁶² pairs of booleans; a list of 2⁶² structs.
        let many = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f];
        for head in [&[0x1b][..], &[0x19, 0xfc]] {
            let mut footer = head.to_vec();
            footer.extend(many);
            footer.extend([0x11, 0, 0, 0]);
            assert_eq!(promises(&footer), None);
        }
    }
}
