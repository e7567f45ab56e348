//! Files of very many spectra, read a few thousand rows at a time.
//!
//! A FITS file is cut along the axis that counts the spectra: tables of N rows with arrays in
//! their cells, images whose last axis has N elements. What has another length (wavelengths, the
//! primary header) goes with every slice, so that each slice is a small file of the same layout.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use parquet::arrow::arrow_reader::{RowSelection, RowSelector};

use super::{FileSpectra, ReadError, ReadOptions, batch, finished, parquet as own, parse, read};
use crate::fits::{BLOCK, FitsError, Header, Kind, describe};
use crate::spectrum::Spectrum;

/// Files up to this size are read as one.
const WHOLE: u64 = 64 << 20;
/// Bytes of a slice, about.
const SLICE: u64 = 32 << 20;
/// Fewer spectra than this are no reason to cut a file.
const FEWEST: u64 = 512;
/// Longest header; more is no header.
const LONGEST: usize = 16 << 20;

/// Reads the spectra of a file, a large one in slices of rows, each handed to `sink`, which says
/// whether to go on.
///
/// # Errors
/// As [`read`]; what came before an error has been handed over.
pub fn read_slices(
    path: &Path,
    options: &ReadOptions,
    sink: &mut dyn FnMut(FileSpectra) -> bool,
) -> Result<(), ReadError> {
    cut(path, options, WHOLE, SLICE, sink)
}

/// One spectrum of a file, by its HDU and row, without the others of a large one.
///
/// # Errors
/// As [`read`], or there is no such row.
pub fn read_row(
    path: &Path,
    options: &ReadOptions,
    (hdu, row): (usize, usize),
) -> Result<Spectrum, ReadError> {
    let refuse = |why: String| ReadError::Content {
        file: path.display().to_string(),
        why,
    };
    let mut found = None;
    let mut sink = |f: FileSpectra| {
        found = f.rows.into_iter().find(|r| (r.hdu, r.row) == (hdu, row));
        found.is_none()
    };
    if !seek_above(path, options, row as u64, WHOLE, &mut sink)? {
        read_slices(path, options, &mut sink)?;
    }
    let none = || refuse(format!("has no spectrum in HDU {hdu}, row {row}"));
    found.ok_or_else(none)?.spectrum.map_err(refuse)
}

/// Hands over the part of a file that holds a row, where the file has such parts: Parquet, and FITS
/// above `whole` bytes.
fn seek_above(
    path: &Path,
    options: &ReadOptions,
    row: u64,
    whole: u64,
    sink: &mut dyn FnMut(FileSpectra) -> bool,
) -> Result<bool, ReadError> {
    let fail = |source: FitsError| ReadError::Fits {
        file: path.display().to_string(),
        source,
    };
    let mut magic = [0; 6];
    let Ok(mut file) = File::open(path) else {
        return Ok(false);
    };
    if file.read_exact(&mut magic).is_err() {
        return Ok(false);
    }
    if magic.starts_with(b"PAR1") {
        return tables(path, file, options, Some(row as usize), sink).map(|()| true);
    }
    if &magic != b"SIMPLE" || !is_above(path, whole) {
        return Ok(false);
    }
    let Some(plan) = Plan::of(&mut file, SLICE).filter(|p| row < p.spectra) else {
        return Ok(false);
    };
    // With a neighbour: an image of one row would be another layout.
    let (from, to) = (row.saturating_sub(1), (row + 2).min(plan.spectra));
    let bytes = plan
        .slice(&mut file, from, to)
        .map_err(|e| fail(e.into()))?;
    let mut found = parse(path, bytes, options)?;
    plan.number(&mut found, from, to);
    sink(found);
    Ok(true)
}

/// The same with files above `whole` bytes cut into slices of about `slice` bytes.
fn cut(
    path: &Path,
    options: &ReadOptions,
    whole: u64,
    slice: u64,
    sink: &mut dyn FnMut(FileSpectra) -> bool,
) -> Result<(), ReadError> {
    if is_above(path, whole) {
        let fail = |source: FitsError| ReadError::Fits {
            file: path.display().to_string(),
            source,
        };
        let mut file = File::open(path).map_err(|e| fail(e.into()))?;
        let mut magic = [0; 6];
        file.read_exact(&mut magic).map_err(|e| fail(e.into()))?;
        if magic.starts_with(b"PAR1") {
            return tables(path, file, options, None, sink);
        }
        if let Some(plan) = (&magic == b"SIMPLE")
            .then(|| Plan::of(&mut file, slice))
            .flatten()
        {
            for k in 0..plan.slices {
                let (from, to) = plan.rows(k);
                let bytes = plan
                    .slice(&mut file, from, to)
                    .map_err(|e| fail(e.into()))?;
                let mut found = parse(path, bytes, options)?;
                plan.number(&mut found, from, to);
                if !sink(found) {
                    break;
                }
            }
            return Ok(());
        }
    }
    sink(read(path, options)?);
    Ok(())
}

/// Whether a file is worth slices.
pub fn is_large(path: &Path) -> bool {
    is_above(path, WHOLE)
}

fn is_above(path: &Path, bytes: u64) -> bool {
    std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.len() > bytes)
}

/// A Parquet file, a batch of rows at a time, or only one row of it; one with a pixel in each row is
/// read as one.
fn tables(
    path: &Path,
    mut file: File,
    options: &ReadOptions,
    only: Option<usize>,
    sink: &mut dyn FnMut(FileSpectra) -> bool,
) -> Result<(), ReadError> {
    let refuse = |why: String| ReadError::Content {
        file: path.display().to_string(),
        why,
    };
    crate::thrift::check_parquet(&mut file).map_err(refuse)?;
    let opened = match only {
        Some(_) => crate::thrift::open_parquet_indexed(file),
        None => crate::thrift::open_parquet(file),
    };
    let builder = opened.map_err(refuse)?;
    if batch::is_one_spectrum(builder.schema()) {
        sink(read(path, options)?);
        return Ok(());
    }
    let mut builder = builder.with_batch_size(own::BATCH);
    if let Some(row) = only {
        let picked = vec![RowSelector::skip(row), RowSelector::select(1)];
        builder = builder.with_row_selection(RowSelection::from(picked));
    }
    let reader = builder.build().map_err(|e| refuse(e.to_string()))?;
    let mut first = only.unwrap_or(0);
    for b in reader {
        let b = b.map_err(|e| refuse(e.to_string()))?;
        let rows = own::rows_of(&b, first, options).map_err(refuse)?;
        first += b.num_rows();
        if !sink(finished(
            path,
            own::FORMAT.name,
            "begins with PAR1".into(),
            rows,
        )) {
            break;
        }
    }
    Ok(())
}

/// An HDU as it lies in the file.
struct Raw {
    header: Vec<u8>,
    start: u64,
    len: u64,
    /// Keyword of the axis that counts the spectra, if this HDU is cut.
    axis: Option<String>,
}

/// How a FITS file is cut.
struct Plan {
    hdus: Vec<Raw>,
    spectra: u64,
    slices: u64,
}

impl Plan {
    /// None if the file is not to be cut: damaged, packed, too few spectra.
    fn of(file: &mut File, slice: u64) -> Option<Plan> {
        let end = file.seek(SeekFrom::End(0)).ok()?;
        let (mut hdus, mut lengths) = (Vec::new(), Vec::new());
        let mut at = 0u64;
        while at < end && hdus.len() < 1000 {
            let (bytes, header) = header_at(file, at)?;
            let (kind, size) = describe(&header);
            let (start, len) = (at + bytes.len() as u64, size?);
            if start.checked_add(len)? > end {
                return None;
            }
            lengths.push(length(&header, kind));
            hdus.push(Raw {
                header: bytes,
                start,
                len,
                axis: None,
            });
            at = start + len.next_multiple_of(BLOCK as u64);
        }
        let of_spectra = lengths.iter().flatten().filter(|l| l.arrays);
        let spectra = of_spectra.map(|l| l.rows).max()?;
        let (mut cut, mut kept) = (0, 0);
        for (h, l) in hdus.iter_mut().zip(lengths) {
            match l.filter(|l| l.rows == spectra) {
                Some(l) if !l.whole => {
                    h.axis = Some(l.axis);
                    cut += h.len;
                }
                // Arrays of other rows' heap cannot be told apart here.
                Some(_) => return None,
                None => kept += h.len,
            }
        }
        if spectra < FEWEST || kept > SLICE {
            return None;
        }
        // Of nearly the same size, so that none is so small that it looks like another layout.
        let slices = cut.div_ceil(slice).min(spectra / (FEWEST / 2)).max(1);
        Some(Plan {
            hdus,
            spectra,
            slices,
        })
    }

    fn rows(&self, k: u64) -> (u64, u64) {
        let of =
            |k: u64| (u128::from(self.spectra) * u128::from(k) / u128::from(self.slices)) as u64;
        (of(k), of(k + 1))
    }

    /// A FITS file of some spectra.
    fn slice(&self, file: &mut File, from: u64, to: u64) -> std::io::Result<Vec<u8>> {
        let mut out = Vec::new();
        for h in &self.hdus {
            let first = out.len();
            out.extend_from_slice(&h.header);
            let (start, len) = match &h.axis {
                None => (h.start, h.len),
                Some(axis) => {
                    set_cards(&mut out[first..], axis, to - from);
                    let row = h.len / self.spectra;
                    (h.start + from * row, (to - from) * row)
                }
            };
            file.seek(SeekFrom::Start(start))?;
            let there = file.by_ref().take(len).read_to_end(&mut out)?;
            if there as u64 != len {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            out.resize(out.len().next_multiple_of(BLOCK), 0);
        }
        Ok(out)
    }

    /// Rows get the numbers that they have in the whole file; what is no slice is told once.
    fn number(&self, found: &mut FileSpectra, from: u64, to: u64) {
        let many = (to - from) as usize;
        let of = |hdu: usize, rows: &[super::Row]| rows.iter().filter(|r| r.hdu == hdu).count();
        let cut: Vec<bool> = (0..self.hdus.len())
            .map(|i| self.hdus[i].axis.is_some() || of(i, &found.rows) >= many)
            .collect();
        let is_cut = |hdu: usize| cut.get(hdu).copied().unwrap_or(false);
        found.rows.retain(|r| from == 0 || is_cut(r.hdu));
        for r in found.rows.iter_mut().filter(|r| is_cut(r.hdu)) {
            r.row += from as usize;
            if let Ok(s) = &mut r.spectrum {
                s.origin.row = r.row;
            }
        }
    }
}

/// Cards from a place on, with their blocks.
fn header_at(file: &mut File, at: u64) -> Option<(Vec<u8>, Header)> {
    file.seek(SeekFrom::Start(at)).ok()?;
    let mut bytes = Vec::new();
    loop {
        let first = bytes.len();
        bytes.resize(first + BLOCK, 0);
        file.read_exact(&mut bytes[first..]).ok()?;
        if bytes[first..]
            .chunks_exact(80)
            .any(|c| c.starts_with(b"END     "))
        {
            break;
        }
        if bytes.len() > LONGEST {
            return None;
        }
    }
    let (header, used) = Header::parse(&bytes).ok()?;
    (used == bytes.len()).then_some((bytes, header))
}

/// What an HDU counts, and by which keyword.
struct Length {
    rows: u64,
    axis: String,
    /// Its rows hold arrays of pixels.
    arrays: bool,
    /// It cannot be cut: compressed, or with a heap.
    whole: bool,
}

fn length(h: &Header, kind: Kind) -> Option<Length> {
    let of = |key: &str| h.int(key).and_then(|n| u64::try_from(n).ok());
    let fields = of("TFIELDS").unwrap_or(0).min(999);
    match kind {
        Kind::Image => {
            let axis = format!("NAXIS{}", of("NAXIS").filter(|n| *n >= 2)?);
            Some(Length {
                rows: of(&axis)?,
                axis,
                arrays: true,
                whole: false,
            })
        }
        Kind::Compressed => Some(Length {
            rows: of(&format!("ZNAXIS{}", of("ZNAXIS")?))?,
            axis: String::new(),
            arrays: false,
            whole: true,
        }),
        Kind::BinTable | Kind::AsciiTable => {
            let array = |i: u64| {
                let form = h.str(&format!("TFORM{i}")).unwrap_or_default();
                let digits = form.trim().bytes().take_while(u8::is_ascii_digit).count();
                let repeat: u64 = form.trim()[..digits].parse().unwrap_or(1);
                repeat > 1 && !form.trim()[digits..].starts_with(['A', 'a', 'X', 'P', 'Q'])
            };
            Some(Length {
                rows: of("NAXIS2")?,
                axis: "NAXIS2".into(),
                arrays: (1..=fields).any(array),
                whole: of("PCOUNT").unwrap_or(0) > 0,
            })
        }
        _ => None,
    }
}

/// Sets an axis, and blanks the checksums of what is cut.
fn set_cards(header: &mut [u8], axis: &str, rows: u64) {
    for card in header.chunks_exact_mut(80) {
        let key = String::from_utf8_lossy(&card[..8]).trim_end().to_owned();
        if key == axis {
            card.copy_from_slice(format!("{key:<8}= {rows:>20}{:50}", "").as_bytes());
        } else if key == "CHECKSUM" || key == "DATASUM" {
            card.fill(b' ');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fits::write::{Cells, TableWriter, file};

    /// A stack of spectra with a table of targets beside it and the wavelengths in a third HDU.
    fn stack(rows: usize) -> Vec<u8> {
        let pixels = 30;
        let of = |f: &dyn Fn(usize, usize) -> f32| {
            (0..rows * pixels)
                .map(|i| f(i / pixels, i % pixels))
                .collect()
        };
        let mut t = TableWriter::new("SPECTRA");
        t.column("ID", "", Cells::I64((0..rows as i64).collect()));
        let flux = of(&|r, p| (r * 7 + p) as f32);
        let wave = of(&|_, p| 4000.0 + 3.0 * p as f32);
        t.column("WAVELENGTH", "Angstrom", Cells::F32s(pixels, wave));
        t.column("FLUX", "", Cells::F32s(pixels, flux));
        t.column("IVAR", "", Cells::F32s(pixels, of(&|_, _| 4.0)));
        let mut other = TableWriter::new("NOTES");
        other.column("WORD", "", Cells::Text(vec!["none".into(); 3]));
        file(&[("ORIGIN", "test")], &[t, other])
    }

    fn told(path: &Path, whole: u64, slice: u64) -> (usize, Vec<super::super::Row>) {
        let (mut calls, mut rows) = (0, vec![]);
        cut(path, &ReadOptions::default(), whole, slice, &mut |found| {
            calls += 1;
            rows.extend(found.rows);
            true
        })
        .unwrap();
        (calls, rows)
    }

    #[test]
    fn slices_give_the_rows_of_the_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stack.fits");
        std::fs::write(&path, stack(2003)).unwrap();
        let (one, whole) = told(&path, u64::MAX, 1);
        let (many, sliced) = told(&path, 0, 100_000);
        assert!(one == 1 && many > 3, "{many}");
        assert_eq!(whole.len(), 2003);
        assert_eq!(sliced.len(), 2003);
        for (a, b) in whole.iter().zip(&sliced) {
            assert_eq!((a.hdu, a.row), (b.hdu, b.row));
            // Coordinates that are not known are NaN, unequal to themselves.
            let words = |r: &super::super::Row| format!("{:?}", r.spectrum.as_ref().unwrap());
            assert_eq!(words(a), words(b));
        }
        // One row is the same whether its neighbours are read or not.
        let options = ReadOptions::default();
        for row in [0, 1, 1000, 2002] {
            let place = (whole[row].hdu, whole[row].row);
            let one = read_row(&path, &options, place).unwrap();
            assert_eq!(
                format!("{one:?}"),
                format!("{:?}", whole[row].spectrum.as_ref().unwrap())
            );
            let mut found = vec![];
            let mut sink = |f: FileSpectra| {
                found.extend(f.rows);
                true
            };
            assert!(seek_above(&path, &options, row as u64, 0, &mut sink).unwrap());
            let found = found.iter().find(|r| (r.hdu, r.row) == place).unwrap();
            assert_eq!(
                format!("{one:?}"),
                format!("{:?}", found.spectrum.as_ref().unwrap())
            );
        }
        let why = read_row(&path, &options, (1, 2003))
            .unwrap_err()
            .to_string();
        assert!(why.contains("row 2003"), "{why}");
        // Few spectra, and a file that is cut, are read as one: what is lost is told there.
        std::fs::write(&path, stack(100)).unwrap();
        assert_eq!(told(&path, 0, 1000).0, 1);
        let bytes = stack(2003);
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let e = cut(&path, &ReadOptions::default(), 0, 100_000, &mut |_| true);
        assert!(e.unwrap_err().to_string().contains("download complete"));
    }

    /// A bit that changed on the way is noticed where the file has a sum of its data.
    #[test]
    fn changed_data_are_damage() {
        let mut bytes = stack(3);
        let at = bytes.len() - 6000;
        let last = crate::fits::Fits::parse(bytes.clone()).unwrap();
        assert_eq!(last.damage, None);
        bytes[at] ^= 4;
        let damage = crate::fits::Fits::parse(bytes).unwrap().damage.unwrap();
        assert!(damage.contains("DATASUM"), "{damage}");
    }
}
