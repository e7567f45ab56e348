//! Survey files, recognised by content. Adding a format: one file here and one line in [`FORMATS`].

mod arms;
pub mod batch;
mod desi;
#[cfg(feature = "hdf5")]
mod hdf5;
mod image;
mod iraf;
mod marz;
mod masks;
mod names;
mod numpy;
mod parquet;
pub mod pixels;
mod rows;
mod sdss;
mod slices;
mod table;
mod text;
mod votable;

use std::path::Path;

pub use pixels::{Medium, ReadOptions};
pub use slices::{is_large, read_row, read_slices};

use bytes::Bytes;

use crate::fits::{Fits, FitsError, Header, Kind, read_bytes};
use crate::spectrum::Spectrum;
use crate::warning::Warning;

/// A file's content, parsed as far as all formats need.
pub enum Content {
    /// FITS, decompressed.
    Fits(Fits),
    /// Text in UTF-8.
    Text(String),
    /// Parquet, not decoded.
    Parquet(Bytes),
    /// HDF5, not decoded.
    Hdf5(Bytes),
    /// Arrays of NumPy.
    Numpy(Vec<numpy::Named>),
}

/// One format: how it is recognised and read.
pub struct Format {
    /// As `slipher formats` and the catalogue name it.
    pub name: &'static str,
    /// What writes such files, in a line.
    pub about: &'static str,
    /// Why this is the format, if it is.
    pub recognise: fn(&Content) -> Option<String>,
    /// Reads all spectra of a file; a row that cannot be read says why.
    pub read: fn(&Content, &Context) -> Result<Vec<Row>, String>,
}

/// One spectrum of a file, or why it could not be read.
#[derive(Debug)]
pub struct Row {
    /// HDU in which the row was found, from 0; 0 where there are none.
    pub hdu: usize,
    /// Row in it, from 0.
    pub row: usize,
    /// What was read, or why not.
    pub spectrum: Result<Spectrum, String>,
}

/// What a reader may need beyond the content.
pub struct Context<'a> {
    /// Of the file, for formats that spread over several.
    pub path: &'a Path,
    /// What the user said of the files.
    pub options: ReadOptions,
}

/// All formats, the particular before the general.
pub const FORMATS: &[Format] = &[
    sdss::FORMAT,
    desi::FORMAT,
    rows::FORMAT,
    marz::FORMAT,
    table::FORMAT,
    image::FORMAT,
    votable::FORMAT,
    text::FORMAT,
    parquet::FORMAT,
    numpy::FORMAT,
    #[cfg(feature = "hdf5")]
    hdf5::FORMAT,
];

/// First bytes of an HDF5 file.
const HDF5: [u8; 4] = [0x89, b'H', b'D', b'F'];

/// A file that gives no spectra at all.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ReadError {
    #[error("{file}: {source}")]
    Fits { file: String, source: FitsError },
    #[error("{file}: {why}")]
    Content { file: String, why: String },
}

/// All spectra of one file.
#[derive(Debug)]
pub struct FileSpectra {
    /// Name of the format that was recognised.
    pub format: &'static str,
    /// Why it is that format.
    pub because: String,
    /// A row for each spectrum, readable or not.
    pub rows: Vec<Row>,
}

/// Reads every spectrum of a file; a row that cannot be read is an error in its place.
///
/// # Errors
/// If the file cannot be read, or is no format Slipher knows: the message says what was seen and
/// expected.
pub fn read(path: &Path, options: &ReadOptions) -> Result<FileSpectra, ReadError> {
    let bytes = read_bytes(path).map_err(|source| ReadError::Fits {
        file: path.display().to_string(),
        source,
    })?;
    parse(path, bytes, options)
}

/// The same of bytes in memory, unpacked; `path` is what messages and formats of several files call
/// them.
///
/// # Errors
/// As [`read`].
pub fn parse(path: &Path, bytes: Vec<u8>, options: &ReadOptions) -> Result<FileSpectra, ReadError> {
    let file = path.display().to_string();
    let refuse = |why: String| ReadError::Content {
        file: file.clone(),
        why,
    };
    if bytes.is_empty() {
        return Err(refuse("the file is empty".into()));
    }
    let content = if bytes.starts_with(b"SIMPLE") {
        Content::Fits(Fits::parse(bytes).map_err(|source| ReadError::Fits {
            file: file.clone(),
            source,
        })?)
    } else if bytes.starts_with(b"PAR1") {
        Content::Parquet(bytes.into())
    } else if bytes.starts_with(&HDF5) {
        Content::Hdf5(bytes.into())
    } else if bytes.starts_with(numpy::MAGIC) {
        Content::Numpy(numpy::array(&bytes).map_err(refuse)?)
    } else if bytes.starts_with(b"PK") {
        Content::Numpy(numpy::archive(&bytes).map_err(refuse)?)
    } else {
        Content::Text(text_of(bytes).map_err(refuse)?)
    };
    let context = Context {
        path,
        options: *options,
    };
    for format in FORMATS {
        if let Some(because) = (format.recognise)(&content) {
            let mut rows = (format.read)(&content, &context).map_err(|why| {
                refuse(format!("looks like {} ({because}), but {why}", format.name))
            })?;
            if let Content::Fits(Fits {
                damage: Some(why), ..
            }) = &content
            {
                damaged(&mut rows, why);
            }
            if rows.is_empty() {
                return Err(refuse(format!(
                    "looks like {} ({because}), but holds no spectra: 0 rows",
                    format.name
                )));
            }
            return Ok(finished(path, format.name, because, rows));
        }
    }
    Err(refuse(describe(&content)))
}

/// Rows with their places in the file, and identifiers.
fn finished(path: &Path, format: &'static str, because: String, mut rows: Vec<Row>) -> FileSpectra {
    let file = path.display().to_string();
    for r in &mut rows {
        match &mut r.spectrum {
            Err(why) => *why = printable(why),
            Ok(s) => {
                s.object_id = printable(&s.object_id);
                s.origin.file.clone_from(&file);
                s.origin.hdu = r.hdu;
                s.origin.row = r.row;
                if s.object_id.is_empty() {
                    s.object_id = stem(path);
                }
            }
        }
    }
    FileSpectra {
        format,
        because,
        rows,
    }
}

/// Words of a file without what a terminal would obey.
pub fn printable(text: &str) -> String {
    if text.chars().any(char::is_control) {
        text.chars()
            .map(|c| if c.is_control() { '\u{fffd}' } else { c })
            .collect()
    } else {
        text.to_owned()
    }
}

/// Rows of what is left of a file are flagged; a row more says what is lost.
fn damaged(rows: &mut Vec<Row>, why: &str) {
    for s in rows.iter_mut().filter_map(|r| r.spectrum.as_mut().ok()) {
        s.warnings.push(Warning::FileDamaged);
    }
    rows.push(Row {
        hdu: 0,
        row: rows.len(),
        spectrum: Err(format!(
            "the file is damaged ({why}); what was read of it is not accepted"
        )),
    });
}

fn text_of(bytes: Vec<u8>) -> Result<String, String> {
    if bytes.starts_with(b"version https://git-lfs") {
        return Err("is a Git LFS pointer, not the data: run 'git lfs pull'".into());
    }
    if bytes.starts_with(&[0x1f, 0x9d]) {
        return Err(
            "is compressed with Unix 'compress' (.Z): run 'uncompress' or repack it with gzip"
                .into(),
        );
    }
    // UTF-16 of Windows begins with its byte order.
    let wide = |of: fn([u8; 2]) -> u16| -> String {
        let units = bytes[2..].chunks_exact(2).map(|b| of([b[0], b[1]]));
        char::decode_utf16(units)
            .map(|c| c.unwrap_or('\u{fffd}'))
            .collect()
    };
    match bytes.get(..2) {
        Some([0xff, 0xfe]) => return Ok(wide(u16::from_le_bytes)),
        Some([0xfe, 0xff]) => return Ok(wide(u16::from_be_bytes)),
        _ => {}
    }
    if bytes.iter().take(4096).any(|b| *b == 0) {
        return Err("is neither FITS (it does not begin with 'SIMPLE') nor text".into());
    }
    String::from_utf8(bytes)
        .or_else(|e| Ok(e.into_bytes().iter().map(|b| char::from(*b)).collect()))
}

/// What was seen instead of a spectrum.
fn describe(content: &Content) -> String {
    match content {
        Content::Fits(f) => {
            let seen: Vec<String> = f
                .hdus
                .iter()
                .enumerate()
                .take(8)
                .map(|(i, h)| {
                    let name = h.header.str("EXTNAME").unwrap_or("");
                    let what = match (h.kind, f.table(i), f.image(i)) {
                        (Kind::BinTable | Kind::AsciiTable, Ok(t), _) => format!("table of {}", t.columns().iter().take(6).map(|c| c.name.as_str()).collect::<Vec<_>>().join(", ")),
                        (_, _, Ok(im)) => format!("image {:?}", im.axes),
                        (Kind::BinTable, Err(e), _) | (Kind::Image, _, Err(e)) => e.to_string(),
                        (Kind::Other(what), ..) => what.to_owned(),
                        _ => "no data".into(),
                    };
                    format!("HDU {i} {name}: {what}")
                })
                .collect();
            format!(
                "no spectrum found. Expected a table with a wavelength ({}) and a flux column, or a 1-D image with CRVAL1 and CDELT1 (or CD1_1). Found {}",
                names::wave_names(),
                seen.join("; ")
            )
        }
        Content::Parquet(_) => "no spectrum found in this Parquet file".into(),
        Content::Numpy(_) => "no spectrum found in these arrays".into(),
        Content::Hdf5(_) => "is HDF5, which this build does not read: build with the feature 'hdf5', or convert it to Parquet or FITS".into(),
        Content::Text(t) => {
            let first: String = t.lines().find(|l| !l.trim().is_empty()).unwrap_or_default().chars().take(80).collect();
            format!(
                "no spectrum found. Expected at least 10 lines of wavelength, flux and, if known, error, with column names in the first line if there are other columns. First line: '{first}'"
            )
        }
    }
}

/// A number with an exponent as Fortran writes it: `1.5D+03`, `1.5+003`.
pub(crate) fn fortran(word: &str) -> Option<f64> {
    let digits = |c: char| c.is_ascii_digit() || "+-.dDeE".contains(c);
    if !word.chars().all(digits) || !word.chars().any(|c| c.is_ascii_digit()) {
        return None;
    }
    let e = word.replace(['D', 'd'], "E");
    e.parse().ok().or_else(|| {
        // An exponent of three digits leaves no room for its letter.
        let at = e.rfind(['+', '-']).filter(|i| *i > 0)?;
        format!("{}E{}", &e[..at], &e[at..]).parse().ok()
    })
}

/// File name without folders and endings.
pub(crate) fn stem(path: &Path) -> String {
    let name = path
        .file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default();
    let name = crate::packed::bare(&name);
    name.rsplit_once('.').map_or(name, |(s, _)| s).to_owned()
}

/// Degrees from a header value in degrees or sexagesimal.
pub(crate) fn degrees(h: &Header, key: &str, hours: bool) -> Option<f64> {
    if let Some(x) = h.float(key) {
        return Some(x);
    }
    let text = h.str(key)?;
    let mut parts = text.split([':', ' ']).filter(|p| !p.is_empty());
    let first: f64 = parts.next()?.parse().ok()?;
    let minutes: f64 = parts.next()?.parse().ok()?;
    let seconds: f64 = parts.next().and_then(|p| p.parse().ok()).unwrap_or(0.0);
    let sign = if text.trim_start().starts_with('-') {
        -1.0
    } else {
        1.0
    };
    let value = sign * (first.abs() + minutes / 60.0 + seconds / 3600.0);
    Some(if hours { value * 15.0 } else { value })
}

/// Medium of the wavelengths by what a header says: VACUUM, AIRORVAC, CTYPE1 of AWAV or WAVE.
pub(crate) fn medium_of(h: &Header) -> Option<(Medium, String)> {
    if let Some(v) = h.bool("VACUUM") {
        return Some((
            if v { Medium::Vacuum } else { Medium::Air },
            format!("VACUUM = {v}"),
        ));
    }
    let word = h.str("AIRORVAC").map(str::to_lowercase).unwrap_or_default();
    if word.starts_with("vac") || word.starts_with("air") {
        return Some((
            if word.starts_with("air") {
                Medium::Air
            } else {
                Medium::Vacuum
            },
            format!("AIRORVAC = {word}"),
        ));
    }
    match h.str("CTYPE1").unwrap_or_default() {
        // FITS standard 4.0, table 25: four letters, then a blank or an algorithm.
        c if c == "AWAV" || c.starts_with("AWAV-") => Some((Medium::Air, "CTYPE1 = AWAV".into())),
        c if c == "WAVE" || c.starts_with("WAVE-") => {
            Some((Medium::Vacuum, "CTYPE1 = WAVE".into()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_say_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes, word) in [
            ("empty", &b""[..], "empty"),
            (
                "lfs",
                b"version https://git-lfs.github.com/spec/v1\n",
                "git lfs pull",
            ),
            ("zip", b"PK\x03\x04", "zip"),
            ("binary", b"\x00\x01\x02", "neither FITS"),
            ("words", b"hello world\nmore words\n", "hello world"),
            ("cut.fits", b"SIMPLE  =                    T", "END"),
        ] {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            let e = read(&path, &ReadOptions::default())
                .unwrap_err()
                .to_string();
            assert!(e.contains(word) && e.contains(name), "{e}");
        }
    }

    #[test]
    fn sexagesimal() {
        let text = format!(
            "{:<80}{:<80}{:<80}{:<2640}",
            "SIMPLE  =                    T",
            "RA      = '23:00:44.50'",
            "DEC     = '-01:30:00'",
            "END"
        );
        let f = Fits::parse(text.into_bytes()).unwrap();
        let h = &f.hdus[0].header;
        assert!((degrees(h, "RA", true).unwrap() - 345.185_416_7).abs() < 1e-6);
        assert!((degrees(h, "DEC", false).unwrap() + 1.5).abs() < 1e-9);
    }
}
